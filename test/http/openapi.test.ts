import { describe, expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import type { Document } from '../../src/http/openapi.ts';
import { LIMITS } from '../../src/http/limits.ts';
import { DOUBLE, INT64, STRING } from '../../src/plan/value.ts';
import type { Enrichment } from '../../src/ingest/ingest.ts';
import type { Explanation } from '../../src/read/explain.ts';
import type { Answer } from '../../src/read/read.ts';
import { Conformance } from './conforms.ts';
import { appWith, ORIGIN, post, type Told } from './told.ts';

async function documentNow(): Promise<Document> {
  return (await (await appWith().app.request('/openapi.json')).json()) as Document;
}

/** Whose schemas are made ready once for all. */
let conforming: Promise<Conformance> | null = null;
function conformanceNow(): Promise<Conformance> {
  conforming ??= documentNow().then(document => new Conformance(document));
  return conforming;
}

const ANSWER: Answer = {
  timeMicros: 978_865_200_000_001n,
  position: null,
  entities: [
    {
      entity: 'origin',
      keys: ['ATL', ['x', 9007199254740993n]],
      features: [
        {
          name: 'delays:flights_2h',
          type: INT64,
          values: new BigInt64Array([9223372036854775807n, 0n]),
          nulls: new Uint8Array([0, 0]),
          statuses: new Uint8Array([0, 2]),
          sinceMicros: null,
        },
        {
          name: 'delays:rate_2h',
          type: DOUBLE,
          values: new Float64Array([0.1, 5]),
          nulls: new Uint8Array([0, 1]),
          statuses: new Uint8Array([1, 4]),
          sinceMicros: 983_750_400_000_000n,
        },
        {
          name: 'delays:last_2h',
          type: STRING,
          values: ['a', ''],
          nulls: new Uint8Array([0, 1]),
          statuses: new Uint8Array([0, 0]),
          sinceMicros: null,
        },
      ],
    },
  ],
};

const LOOKUP = '{"features":["delays:*"],"entities":{"origin":["ATL"]}}';
const PLAN = '{"definitions":[{"file":"a.yaml","text":""}]}';
const REJECTED = { line: 1, code: 'not_json', reason: 'not valid JSON' };

/** What is asked, as name and as request; the status of the answer; what the parts are told. */
const EXCHANGES: [string, Request, number, Told][] = [
  ['GET /', new Request(`${ORIGIN}/`), 200, {}],
  ['GET /healthz', new Request(`${ORIGIN}/healthz`), 200, {}],
  ['GET /readyz', new Request(`${ORIGIN}/readyz`), 200, {}],
  ['GET /readyz', new Request(`${ORIGIN}/readyz`), 503, { unready: 'the log is still being folded' }],
  ['GET /metrics', new Request(`${ORIGIN}/metrics`), 200, {}],
  ['GET /openapi.json', new Request(`${ORIGIN}/openapi.json`), 200, {}],
  ['GET /docs', new Request(`${ORIGIN}/docs`), 200, {}],
  ['GET /v1/feature-sets', new Request(`${ORIGIN}/v1/feature-sets`), 200, {}],
  ['GET /v1/feature-sets', new Request(`${ORIGIN}/v1/feature-sets`), 503, { opening: true }],
  ['GET /v1/feature-sets/{name}', new Request(`${ORIGIN}/v1/feature-sets/delays`), 200, {}],
  ['GET /v1/feature-sets/{name}', new Request(`${ORIGIN}/v1/feature-sets/delay`), 404, {}],
  ['GET /v1/feature-sets/{name}', new Request(`${ORIGIN}/v1/feature-sets/delays`), 503, { opening: true }],
  ['GET /v1/late', new Request(`${ORIGIN}/v1/late`), 200, {}],
  ['GET /v1/late', new Request(`${ORIGIN}/v1/late`), 503, { opening: true }],
  ['GET /v1/errors?limit=1', new Request(`${ORIGIN}/v1/errors?limit=1`), 200, {}],
  ['GET /v1/errors?limit=0', new Request(`${ORIGIN}/v1/errors?limit=0`), 400, {}],
  ['GET /v1/errors', new Request(`${ORIGIN}/v1/errors`), 503, { opening: true }],
  ['GET /v1/errors', new Request(`${ORIGIN}/v1/errors`), 500, { fails: new TypeError('a bug') }],
  ['POST /v1/events?features', post('/v1/events?features', '{}'), 200, { enrichment: enrichmentOf() }],
  ['POST /v1/events', post('/v1/events', '{}'), 202, { receipt: { accepted: 2, rejected: [REJECTED], position: 7 } }],
  ['POST /v1/events', post('/v1/events', '{}'), 400, { receipt: { accepted: 0, rejected: [REJECTED], position: -1 } }],
  ['POST /v1/events', post('/v1/events', '{'), 400, { fails: new Fault('request', 'the body is no JSON') }],
  ['POST /v1/events', post('/v1/events', '{}'), 409, { fails: new Fault('conflict', 'another body under this key') }],
  ['POST /v1/events', post('/v1/events', 'a', 'text/plain'), 415, {}],
  ['POST /v1/events', post('/v1/events', ' '.repeat(LIMITS.events_body_bytes.value + 1)), 413, {}],
  ['POST /v1/events', post('/v1/events', '{}'), 503, { opening: true }],
  ['POST /v1/features', post('/v1/features', LOOKUP), 200, { answer: ANSWER }],
  ['POST /v1/features', post('/v1/features', LOOKUP), 200, {}],
  ['POST /v1/features', post('/v1/features', '{}'), 400, {}],
  ['POST /v1/features', post('/v1/features', LOOKUP), 404, { fails: new Fault('not_found', 'no feature') }],
  ['POST /v1/features', post('/v1/features', LOOKUP), 410, { fails: new Fault('expired', 'tiles have expired') }],
  ['POST /v1/features', post('/v1/features', ' '.repeat(LIMITS.lookup_body_bytes.value + 1)), 413, {}],
  ['POST /v1/features', post('/v1/features', LOOKUP), 503, { opening: true }],
  ['GET /v1/plan', new Request(`${ORIGIN}/v1/plan`), 200, {}],
  ['GET /v1/plan', new Request(`${ORIGIN}/v1/plan`), 503, { opening: true }],
  ['POST /v1/plan', post('/v1/plan', PLAN), 200, {}],
  ['POST /v1/plan', post('/v1/plan', '{"definitions":[]}'), 400, {}],
  ['POST /v1/plan', post('/v1/plan', PLAN), 409, { fails: new Fault('conflict', 'a lifetime') }],
  ['POST /v1/plan', post('/v1/plan', ' '.repeat(LIMITS.plan_body_bytes.value + 1)), 413, {}],
  ['POST /v1/plan', post('/v1/plan', PLAN), 422, { fails: new Fault('definition', 'no such input') }],
  ['POST /v1/plan', post('/v1/plan', PLAN), 501, { fails: new Fault('unsupported', 'no such function') }],
  ['POST /v1/plan', post('/v1/plan', PLAN), 503, { opening: true }],
  ['POST /v1/plan/abort', post('/v1/plan/abort', ''), 200, {}],
  ['POST /v1/plan/abort', post('/v1/plan/abort', ''), 503, { opening: true }],
  ['GET /v1/timelines', new Request(`${ORIGIN}/v1/timelines`), 200, {}],
  ['GET /v1/timelines', new Request(`${ORIGIN}/v1/timelines`), 503, { opening: true }],
  ['GET /v1/timelines/{name}', new Request(`${ORIGIN}/v1/timelines/week@2`), 200, {}],
  ['GET /v1/timelines/{name}', timeline('GET', '.x'), 400, { fails: new Fault('request', 'no name') }],
  ['GET /v1/timelines/{name}', timeline('GET', 'x'), 404, { fails: new Fault('not_found', 'no timeline') }],
  ['GET /v1/timelines/{name}', timeline('GET', 'x'), 503, { opening: true }],
  ['POST /v1/timelines', post('/v1/timelines', '{"name":"week","last":"7d"}'), 202, {}],
  ['POST /v1/timelines', post('/v1/timelines', '{"name":"week","start":"now"}'), 400, {}],
  ['POST /v1/timelines', post('/v1/timelines', '{"name":"week","start":1,"last":"7d"}'), 400, {}],
  ['POST /v1/timelines', post('/v1/timelines', ' '.repeat(LIMITS.lookup_body_bytes.value + 1)), 413, {}],
  ['POST /v1/timelines', post('/v1/timelines', '{"name":"a"}'), 422, { fails: new Fault('definition', 'no input') }],
  ['POST /v1/timelines', post('/v1/timelines', '{"name":"a"}'), 503, { fails: new Fault('busy', 'another is made') }],
  ['PUT /v1/timelines/{name}', upload('_id\n'), 202, {}],
  ['PUT /v1/timelines/{name}', upload('_id\n', '?column=_id'), 400, {}],
  ['PUT /v1/timelines/{name}', upload('_id\n'), 413, { fails: new Fault('too_large', 'the body is larger') }],
  ['PUT /v1/timelines/{name}', upload('_id\n', '', 'text/plain'), 415, {}],
  ['PUT /v1/timelines/{name}', upload('_id\n'), 422, { fails: new Fault('config', 'no columns') }],
  ['PUT /v1/timelines/{name}', upload('_id\n'), 503, { opening: true }],
  ['DELETE /v1/timelines/{name}', timeline('DELETE', 'week'), 200, {}],
  ['DELETE /v1/timelines/{name}', timeline('DELETE', '.x'), 400, { fails: new Fault('request', 'no name') }],
  ['DELETE /v1/timelines/{name}', timeline('DELETE', 'x'), 404, { fails: new Fault('not_found', 'no timeline') }],
  ['DELETE /v1/timelines/{name}', timeline('DELETE', 'x'), 503, { opening: true }],
];

EXCHANGES.push(
  ['GET /v1/events', new Request(`${ORIGIN}/v1/events?type=a&since=2001-01-07T00:00:00Z&limit=3`), 200, {}],
  ['GET /v1/events?limit=0', new Request(`${ORIGIN}/v1/events?limit=0`), 400, {}],
  ['GET /v1/events?since', new Request(`${ORIGIN}/v1/events?since=now`), 400, {}],
  ['GET /v1/events', new Request(`${ORIGIN}/v1/events`), 422, { fails: new Fault('definition', 'no input') }],
  ['GET /v1/events', new Request(`${ORIGIN}/v1/events`), 503, { opening: true }],
);

const BRANCH = '{"definitions":[{"file":"a.scowl","text":"event e"}],"message":"why"}';
EXCHANGES.push(
  ['GET /v1/branches', new Request(`${ORIGIN}/v1/branches`), 200, {}],
  ['GET /v1/branches', new Request(`${ORIGIN}/v1/branches`), 503, { opening: true }],
  ['GET /v1/branches/{name}', branch('GET', 'risk@2'), 200, {}],
  ['GET /v1/branches/{name}', branch('GET', '.x'), 400, { fails: new Fault('request', 'no name') }],
  ['GET /v1/branches/{name}', branch('GET', 'x'), 404, { fails: new Fault('not_found', 'no branch') }],
  ['GET /v1/branches/{name}', branch('GET', 'x'), 503, { opening: true }],
  ['PUT /v1/branches/{name}', branch('PUT', 'risk', BRANCH), 200, {}],
  ['PUT /v1/branches/{name}', branch('PUT', 'risk', '{"definitions":[],"message":"why"}'), 400, {}],
  ['PUT /v1/branches/{name}', branch('PUT', 'risk', ' '.repeat(LIMITS.plan_body_bytes.value + 1)), 413, {}],
  ['PUT /v1/branches/{name}', branch('PUT', 'risk', BRANCH), 503, { opening: true }],
  ['DELETE /v1/branches/{name}', branch('DELETE', 'risk'), 200, {}],
  ['DELETE /v1/branches/{name}', branch('DELETE', '.x'), 400, { fails: new Fault('request', 'no name') }],
  ['DELETE /v1/branches/{name}', branch('DELETE', 'x'), 404, { fails: new Fault('not_found', 'no branch') }],
  ['DELETE /v1/branches/{name}', branch('DELETE', 'x'), 503, { opening: true }],
);

function branch(method: string, name: string, body?: string): Request {
  const headers = { 'content-type': 'application/json' };
  return new Request(`${ORIGIN}/v1/branches/${name}`, { method, ...(body !== undefined && { body, headers }) });
}

const REPLAY = '{"timelines":["week"],"branch":"risk","features":["payment.*"],"start":5,"end":"2001-01-07T00:00:00Z"}';
const replayAt = (path: string, method = 'GET', headers = {}) =>
  new Request(`${ORIGIN}/v1/replays/20260302-170000-5f3a${path}`, { method, headers });
const GONE: Told = { fails: new Fault('not_found', 'there is no replay') };
const HELD: Told = { fails: new Fault('conflict', 'it is running') };
const OTHER: Told = { fails: new Fault('unsupported', 'made by another version') };
EXCHANGES.push(
  ['GET /v1/replays', new Request(`${ORIGIN}/v1/replays`), 200, {}],
  ['GET /v1/replays', new Request(`${ORIGIN}/v1/replays?limit=101`), 400, {}],
  ['GET /v1/replays', new Request(`${ORIGIN}/v1/replays`), 503, { opening: true }],
  ['POST /v1/replays', post('/v1/replays', REPLAY), 202, {}],
  ['POST /v1/replays', post('/v1/replays', '{"timelines":[]}'), 400, {}],
  ['POST /v1/replays', post('/v1/replays', REPLAY), 404, { fails: new Fault('not_found', 'no timeline') }],
  ['POST /v1/replays', post('/v1/replays', ' '.repeat(LIMITS.lookup_body_bytes.value + 1)), 413, {}],
  ['POST /v1/replays', post('/v1/replays', REPLAY), 422, { fails: new Fault('definition', 'no such input') }],
  ['POST /v1/replays', post('/v1/replays', REPLAY), 501, OTHER],
  ['POST /v1/replays', post('/v1/replays', REPLAY), 503, { opening: true }],
  ['GET /v1/replays/{id}', replayAt(''), 200, {}],
  ['GET /v1/replays/{id}', replayAt(''), 404, GONE],
  ['GET /v1/replays/{id}', replayAt(''), 503, { opening: true }],
  ['DELETE /v1/replays/{id}', replayAt('', 'DELETE'), 200, {}],
  ['DELETE /v1/replays/{id}', replayAt('', 'DELETE'), 404, GONE],
  ['DELETE /v1/replays/{id}', replayAt('', 'DELETE'), 409, HELD],
  ['DELETE /v1/replays/{id}', replayAt('', 'DELETE'), 503, { opening: true }],
  ['GET /v1/replays/{id}/progress', replayAt('/progress'), 200, {}],
  ['GET /v1/replays/{id}/progress', replayAt('/progress'), 404, GONE],
  ['GET /v1/replays/{id}/progress', replayAt('/progress'), 503, { opening: true }],
  ['POST /v1/replays/{id}/cancel', replayAt('/cancel', 'POST'), 202, {}],
  ['POST /v1/replays/{id}/cancel', replayAt('/cancel', 'POST'), 404, GONE],
  ['POST /v1/replays/{id}/cancel', replayAt('/cancel', 'POST'), 409, HELD],
  ['POST /v1/replays/{id}/cancel', replayAt('/cancel', 'POST'), 503, { opening: true }],
  ['POST /v1/replays/{id}/resume', replayAt('/resume', 'POST'), 202, {}],
  ['POST /v1/replays/{id}/resume', replayAt('/resume', 'POST'), 404, GONE],
  ['POST /v1/replays/{id}/resume', replayAt('/resume', 'POST'), 409, HELD],
  ['POST /v1/replays/{id}/resume', replayAt('/resume', 'POST'), 501, OTHER],
  ['POST /v1/replays/{id}/resume', replayAt('/resume', 'POST'), 503, { opening: true }],
);
for (const kind of ['events', 'errors'])
  EXCHANGES.push(
    [`GET /v1/replays/{id}/${kind}/{type}`, replayAt(`/${kind}/flight?limit=7`), 200, {}],
    [
      `GET /v1/replays/{id}/${kind}/{type}`,
      replayAt(`/${kind}/flight`, 'GET', { accept: 'text/html, text/csv;q=0.5' }),
      ...([200, {}] as const),
    ],
    [`GET /v1/replays/{id}/${kind}/{type}`, replayAt(`/${kind}/flight?limit=0`), 400, {}],
    [`GET /v1/replays/{id}/${kind}/{type}`, replayAt(`/${kind}/flight`), 404, GONE],
    [`GET /v1/replays/{id}/${kind}/{type}`, replayAt(`/${kind}/flight`), 409, HELD],
    [`GET /v1/replays/{id}/${kind}/{type}`, replayAt(`/${kind}/flight`), 503, { opening: true }],
  );

const EXPLAIN = '{"feature":"delays:flights_2h","key":"ATL"}';
const ONE = ANSWER.entities[0]!.features;
EXCHANGES.push(
  ['POST /v1/explain', post('/v1/explain', EXPLAIN), 200, { explanation: explanationOf() }],
  ['POST /v1/explain', post('/v1/explain', EXPLAIN), 200, {}],
  ['POST /v1/explain', post('/v1/explain', '{"feature":7}'), 400, {}],
  ['POST /v1/explain', post('/v1/explain', EXPLAIN), 404, { fails: new Fault('not_found', 'no feature') }],
  ['POST /v1/explain', post('/v1/explain', EXPLAIN), 410, { fails: new Fault('expired', 'tiles have expired') }],
  ['POST /v1/explain', post('/v1/explain', ' '.repeat(LIMITS.lookup_body_bytes.value + 1)), 413, {}],
  ['POST /v1/explain', post('/v1/explain', EXPLAIN), 503, { opening: true }],
);

/** What is of a log on one machine: a server of a cluster refuses it. */
const OF_ONE_MACHINE: [string, Request][] = [
  ['POST /v1/events', post('/v1/events', '{}')],
  ['GET /v1/events', new Request(`${ORIGIN}/v1/events`)],
  ['GET /v1/errors', new Request(`${ORIGIN}/v1/errors`)],
  ['GET /v1/late', new Request(`${ORIGIN}/v1/late`)],
  ['GET /v1/plan', new Request(`${ORIGIN}/v1/plan`)],
  ['POST /v1/plan/abort', post('/v1/plan/abort', '')],
  ['GET /v1/timelines', new Request(`${ORIGIN}/v1/timelines`)],
  ['POST /v1/timelines', post('/v1/timelines', '{"name":"a"}')],
  ['GET /v1/timelines/{name}', timeline('GET', 'x')],
  ['PUT /v1/timelines/{name}', upload('_id\n')],
  ['DELETE /v1/timelines/{name}', timeline('DELETE', 'x')],
  ['GET /v1/replays', new Request(`${ORIGIN}/v1/replays`)],
  ['GET /v1/replays/{id}', replayAt('')],
  ['DELETE /v1/replays/{id}', replayAt('', 'DELETE')],
  ['GET /v1/replays/{id}/progress', replayAt('/progress')],
  ['POST /v1/replays/{id}/cancel', replayAt('/cancel', 'POST')],
  ['GET /v1/replays/{id}/events/{type}', replayAt('/events/flight')],
  ['GET /v1/replays/{id}/errors/{type}', replayAt('/errors/flight')],
  ['GET /v1/branches', new Request(`${ORIGIN}/v1/branches`)],
  ['GET /v1/branches/{name}', branch('GET', 'x')],
  ['PUT /v1/branches/{name}', branch('PUT', 'risk', BRANCH)],
  ['DELETE /v1/branches/{name}', branch('DELETE', 'x')],
];
const ELSEWHERE: Told = { fails: new Fault('unsupported', 'not in a cluster') };
for (const [name, request] of OF_ONE_MACHINE) EXCHANGES.push([name, request, 501, ELSEWHERE]);
function upload(body: string, query = '', type = 'text/csv'): Request {
  return new Request(`${ORIGIN}/v1/timelines/week${query}`, { method: 'PUT', body, headers: { 'content-type': type } });
}

function timeline(method: string, name: string): Request {
  return new Request(`${ORIGIN}/v1/timelines/${name}`, { method });
}

function explanationOf(): Explanation {
  const minute = { levelMs: 60_000, startMs: 978_865_200_000 };
  const window = { window: '2h@1m', startMicros: 978_865_200_000_000n, endMicros: null };
  const cover = { levelMs: 60_000, fromMs: 978_865_200_000, toMs: Number.POSITIVE_INFINITY, begun: 2, held: 2 };
  const lifetime = { levelMs: 0, startMs: 0 };
  return {
    ...{ entity: 'origin', key: ['x', 9007199254740993n], timeMicros: 978_865_200_000_001n, position: null },
    ...{ answer: ONE[0]!, expression: 'COUNT(*) over 2h', from: [ONE[2]!] },
    reads: [
      { merged: ONE[0]!, reason: null, ...window, cover: [cover], tiles: [minute, lifetime], values: ONE[0]! },
      { merged: ONE[1]!, reason: 'so', ...window, cover: [], tiles: [], values: ONE[1]! },
    ],
  };
}

/** Two events, of which one counts nowhere. */
function enrichmentOf(): Enrichment {
  const at = (position: number) => `,"event_time":"2001-03-11T23:59:00Z","position":${position}`;
  const pieces = [
    `${at(7)},"features":{"delay":"late"},"errors":{"delay":"expired"}`,
    `${at(8)},"features":{},"errors":{}`,
  ];
  const bytes = new TextEncoder().encode(pieces.join(''));
  return {
    lines: new TextEncoder().encode('{"_id":"a"}\n{}\n'),
    names: new Uint32Array([7, 3, 1, 0, 0, 2]),
    rejected: [{ line: 3, code: 'not_json', reason: 'not valid JSON' }],
    parts: [
      {
        ...{ position: 7, count: 2, spelt: { bytes, ends: new Uint32Array([pieces[0]!.length, bytes.length]) } },
        faults: new Map([[1, { code: 'undeclared', reason: 'nobody knows it' }]]),
      },
    ],
  };
}

describe('/openapi.json', () => {
  test('has every route of the app, and no other', async () => {
    const { paths } = await documentNow();
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
    );
    const routed = appWith().app.routes.filter(({ method }) => method !== 'ALL');
    expect(documented.sort()).toEqual(
      routed.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`).sort(),
    );
  });

  for (const [name, request, status, told] of EXCHANGES)
    test(`answers ${name} as it says: ${status}`, async () => {
      const conformance = await conformanceNow();
      const response = await appWith(told).app.request(request.clone());
      expect(response.status).toBe(status);
      await conformance.expectOf(request.method, new URL(request.url).pathname, response);
    });

  test('names no status that is not tried above, but 500, and 415 of what is asked', async () => {
    const { paths } = await documentNow();
    const tried = new Set(EXCHANGES.map(([name, , status]) => `${name.split('?')[0]} ${status}`));
    const named = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { responses }]) =>
        Object.keys(responses).map(status => `${method.toUpperCase()} ${path} ${status}`),
      ),
    );
    expect(named.filter(each => !tried.has(each) && !each.endsWith(' 500'))).toEqual([
      'POST /v1/features 415',
      'POST /v1/explain 415',
      'POST /v1/plan 415',
      'POST /v1/timelines 415',
      'PUT /v1/branches/{name} 415',
      'POST /v1/replays 415',
    ]);
  });

  test('a reply that is not as it says is found out', async () => {
    const conformance = await conformanceNow();
    expect(conformance.faultsOf('Receipt', { accepted: 1, rejected: [], position: 3 })).toBeNull();
    expect(conformance.faultsOf('Receipt', { accepted: 1, rejected: [] })).toContain('position');
    expect(conformance.faultsOf('Receipt', { accepted: 1, rejected: [], position: 3, more: 1 })).toContain(
      'additional',
    );
    expect(conformance.faultsOf('Answer', { time: '', position: 0, entities: { a: {} } })).toContain('keys');
    expect(conformance.faultsOf('Lookup', { features: [], entities: {} })).toContain('fewer');
  });

  test('its examples are as it says', async () => {
    const conformance = await conformanceNow();
    const { document } = conformance;
    let count = 0;
    for (const operation of Object.values(document.paths).flatMap(methods => Object.values(methods))) {
      const bodies = [operation.requestBody?.content ?? {}, ...Object.values(operation.responses).map(r => r.content)];
      for (const { schema, example } of bodies.flatMap(content => Object.values(content))) {
        if (example === undefined || typeof schema?.$ref !== 'string') continue;
        count++;
        expect(conformance.faultsOf(schema.$ref.split('/').at(-1)!, example)).toBeNull();
      }
    }
    expect(count).toBeGreaterThanOrEqual(8);
  });

  test('names every limit with its value', async () => {
    const { info } = await documentNow();
    for (const [name, { value }] of Object.entries(LIMITS)) expect(info.description).toContain(`${name} (${value} `);
  });
});

describe('/docs', () => {
  test('shows every path, every limit and every schema, and needs nothing from elsewhere', async () => {
    const response = await appWith().app.request('/docs');
    expect(response.headers.get('content-type')).toStartWith('text/html');
    const page = await response.text();
    const document = await documentNow();
    for (const path of Object.keys(document.paths)) expect(page).toContain(path);
    for (const name of Object.keys(document.components.schemas)) expect(page).toContain(`<h3 id="${name}">`);
    for (const name of Object.keys(LIMITS)) expect(page).toContain(name);
    expect(page).not.toMatch(/<script|<link|<img|@import|url\(|(?:src|href)="(?!#|\/openapi\.json")/);
  });

  test('every link within it leads somewhere', async () => {
    const page = await (await appWith().app.request('/docs')).text();
    const ids = new Set(Array.from(page.matchAll(/ id="([^"]+)"/g), match => match[1]));
    const links = Array.from(page.matchAll(/href="#([^"]+)"/g), match => match[1]);
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter(link => !ids.has(link))).toEqual([]);
  });
});
