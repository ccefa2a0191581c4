/**
 * Requests of any kind to a server with an engine behind it: every reply is one that the document of the API names, none says that
 * something went wrong here, and the next lookup is answered as ever.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { Stages } from '../../src/base/stages.ts';
import { connect } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { Metrics } from '../../src/base/metrics.ts';
import { app } from '../../src/http/app.ts';
import type { Document } from '../../src/http/openapi.ts';
import type { Explain } from '../../src/read/explain.ts';
import type { Lookup } from '../../src/read/read.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { type Engine, memoryDatabase, openEngine } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { damage, JsonText, NUMBERS, TIMES } from '../kernel/json_text.ts';
import { Conformance } from './conforms.ts';
import { ORIGIN, post } from './told.ts';

/** In the long run, seeds go on where the short one ends. */
const SEEDS = seeds(2, 200);

/** Many times what a seed takes: one that hangs has failed. */
const SEED_MAX_MS = 60_000;

const EVENT = '{"type":"flight","time":"2001-03-05T00:00:00Z","data":{"origin":"STL","destination":"LAS","delay":47}}';

let engine: Engine;
let server: Bun.Server<undefined>;
let surface: ReturnType<typeof app>;
let conformance: Conformance;
const broken: unknown[] = [];
const logged: string[] = [];

async function refuseTimeline(): Promise<never> {
  throw new Fault('not_found', 'there are no timelines here');
}

async function refuseReplay(): Promise<never> {
  throw new Fault('not_found', 'there are no replays here');
}

async function refuseBranch(): Promise<never> {
  throw new Fault('not_found', 'there are no branches here');
}

/** Definitions are not what is hostile here. */
async function refuseFiles(): Promise<never> {
  throw new Fault('conflict', 'no definitions are taken here');
}

beforeAll(async () => {
  engine = await openEngine(flightsPlan(), { disk: new SimulatedDisk(1), db: memoryDatabase() });
  const quiet = () => {};
  const error = (_: unknown, text: string) => void logged.push(text);
  surface = app({
    parts: {
      ...engine,
      applyFiles: refuseFiles,
      planState: () => ({ position: 0, applied_at: '2001-01-07T00:00:00Z', computing: null, waiting: null }),
      abort: async () => ({ aborted: false, position: 0 }),
      timelines: {
        list: async () => [],
        show: refuseTimeline,
        create: refuseTimeline,
        upload: refuseTimeline,
        remove: refuseTimeline,
      },
      feed: { events: async () => ({ events: [], next: null, position: -1 }) },
      branches: {
        list: async () => ({ versions: [], selected: null }),
        show: refuseBranch,
        save: refuseBranch,
        remove: refuseBranch,
      },
      replays: {
        list: async () => ({ replays: [], unreadable: [], next: null }),
        ...{ show: refuseReplay, follow: refuseReplay, create: refuseReplay, cancel: refuseReplay },
        ...{ resume: refuseReplay, remove: refuseReplay, table: refuseReplay, page: refuseReplay },
      },
      reader: readerOf(engine),
      moment: () => ({ position: engine.ingest.position, nowMicros: engine.now(), clocks: engine.here.clocks() }),
      stages: new Stages(),
    },
    unready: () => null,
    origins: [],
    log: { debug: quiet, info: quiet, warn: quiet, error },
    metrics: new Metrics(() => null),
    broken: failure => void broken.push(failure),
  });
  const document = (await (await surface.request('/openapi.json')).json()) as Document;
  conformance = new Conformance(document);
  server = Bun.serve({ port: 0, hostname: '127.0.0.1', idleTimeout: 2, fetch: request => surface.fetch(request) });
});

afterAll(async () => {
  await server.stop(true);
  await engine.close();
});

function readerOf({ reader }: Engine) {
  return {
    lookup: (lookup: Lookup) => reader.lookup(lookup),
    explain: (asked: Explain) => reader.explain(asked),
  };
}

/** A reply that the document knows, and nothing that is our fault. */
async function expectReply(request: Request): Promise<number> {
  const { pathname } = new URL(request.url);
  const { method } = request;
  const response = unpacked(await surface.fetch(request));
  const said = () => `${method} ${request.url} -> ${response.status}: ${logged.at(-1) ?? ''}`;
  if (response.status >= 500 || broken.length > 0) throw new Error(said());
  const operation = conformance.document.paths[pathname]?.[method === 'HEAD' ? 'get' : method.toLowerCase()];
  if (!operation) expect([404, 405], said()).toContain(response.status);
  if (method === 'HEAD') {
    if (operation) expect(Object.keys(operation.responses), said()).toContain(String(response.status));
  } else if (operation) await conformance.expectOf(method, pathname, response);
  else expect(conformance.faultsOf('Problem', await response.json()), said()).toBeNull();
  return response.status;
}

function unpacked(response: Response): Response {
  const encoding = response.headers.get('content-encoding');
  if (encoding === null || !response.body) return response;
  const unpacker = new DecompressionStream(encoding as CompressionFormat);
  const body = response.body.pipeThrough(unpacker as ReadableWritablePair<Uint8Array, Uint8Array>);
  return new Response(body, { status: response.status, headers: response.headers });
}

const LOOKUP = '{"features":["origin_delays:*"],"entities":{"origin":["nobody"]}}';

async function expectAnswers(): Promise<void> {
  expect(await expectReply(post('/v1/features', lookupOf()))).toBe(200);
}

/** Of a set that the plan has. */
function lookupOf(): string {
  const [set] = engine.plan.sets;
  return LOOKUP.replace('origin_delays', set!.name).replace('"origin"', JSON.stringify(set!.entity));
}

const PACKINGS: [string, (bytes: Uint8Array) => Uint8Array][] = [
  ['gzip', bytes => gzipSync(bytes)],
  ['deflate', bytes => deflateSync(bytes)],
  ['zstd', bytes => zstdCompressSync(bytes)],
  ['br', bytes => brotliCompressSync(bytes)],
  ['identity', bytes => bytes],
  ['gzip, gzip', bytes => gzipSync(gzipSync(bytes))],
  ['', bytes => bytes],
];
const TYPES = [
  'application/json',
  'application/x-ndjson',
  'text/plain',
  '',
  'application/json;charset=utf-16',
  ';;;',
  'a/b/c',
];
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND'];
const PATHS = [
  '/',
  '/v1/events',
  '/v1/features',
  '/v1/explain',
  '/v1/errors',
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/docs',
];
const ODD_PATHS = [
  '/v1/events/',
  '//',
  '/v1/../v1/errors',
  '/%ff',
  '/%',
  '/%00',
  '/v1/features%2f',
  '/..%2f..%2fetc',
  '/\u{1f600}',
];
const QUERIES = [
  '',
  '?',
  '?limit=1',
  '?limit=1e3',
  '?limit=-1',
  '?limit=99999999999999999999',
  '?after=9007199254740993',
  '?after=NaN',
];
const MORE_QUERIES = [
  '?limit=10001',
  '?limit=',
  '?after=-1&after=5',
  '?%ff=%ff',
  '?limit=%00',
  '?after=1.5',
  `?x=${'y'.repeat(9000)}`,
];

class Requests {
  readonly #json: JsonText;

  constructor(private readonly rng: Random) {
    this.#json = new JsonText(rng);
  }

  next(): Request {
    const { rng } = this;
    const path = rng.chance(0.85) ? rng.pick(PATHS) : rng.pick(ODD_PATHS);
    const isPost = path.startsWith('/v1') && path !== '/v1/errors';
    const method = rng.chance(0.85) ? (isPost ? 'POST' : 'GET') : rng.pick(METHODS);
    const url = `${ORIGIN}${path}${rng.chance(0.4) ? rng.pick([...QUERIES, ...MORE_QUERIES]) : ''}`;
    if (method === 'GET' || method === 'HEAD') return new Request(url, { method, headers: this.#headers() });
    const plain = new TextEncoder().encode(this.#bodyOf(path));
    const [encoding, pack] = rng.chance(0.4) ? rng.pick(PACKINGS) : PACKINGS[4]!;
    const packed = pack(rng.chance(0.3) ? damage(plain.subarray(0, 4000), rng) : plain);
    const body = rng.chance(0.15) ? damage(packed.subarray(0, 4000), rng) : packed;
    const type = rng.chance(0.8) ? rng.pick(TYPES.slice(0, 2)) : rng.pick(TYPES);
    const headers = { ...this.#headers(), 'content-type': type, 'content-encoding': encoding };
    return new Request(url, { method, headers, body: new Uint8Array(body) });
  }

  #headers(): Record<string, string> {
    const { rng } = this;
    if (rng.chance(0.6)) return {};
    return {
      'idempotency-key': rng.pick(['a', 'b', 'c', 'x'.repeat(255), 'x'.repeat(256), 'two words', '\xff', '']),
      'accept-encoding': rng.pick(['gzip', 'br;q=2', '*', 'identity;q=0', ',,,;q', 'zstd']),
      'x-request-id': rng.pick(['', 'id', '\xe9', 'y'.repeat(5000)]),
      'content-length': rng.pick(['0', '5', '99999999999999', '-1', 'NaN']),
    };
  }

  #bodyOf(path: string): string {
    return path === '/v1/features' ? this.#lookup() : path === '/v1/explain' ? this.#explain() : this.#events();
  }

  #events(): string {
    const { rng } = this;
    const events = Array.from({ length: rng.below(5) }, () => (rng.chance(0.5) ? EVENT : this.#event()));
    return rng.chance(0.5) ? `[${events.join(',')}]` : events.join(rng.pick(['\n', '\r\n', '\n\n']));
  }

  #event(): string {
    const json = this.#json;
    const data = json.object(['origin', 'destination', 'delay', 'x'].map(name => [name, json.value(2)]));
    const time = this.rng.chance(0.5) ? json.spell(this.rng.pick(TIMES)) : this.rng.pick(NUMBERS);
    return json.object([
      ['type', this.rng.chance(0.8) ? '"flight"' : json.value(1)],
      ['time', time],
      ['data', this.rng.chance(0.8) ? data : json.value(2)],
    ]);
  }

  #explain(): string {
    const { rng } = this;
    const json = this.#json;
    const { name, entity } = rng.pick(engine.plan.features);
    const { keys } = engine.plan.entities.find(each => each.name === entity)!;
    const part = () => (rng.chance(0.8) ? json.spell(rng.pick(['STL', 'LAS', json.text()])) : json.value(0));
    const key = keys.length > 1 && rng.chance(0.9) ? json.array(keys.map(part)) : part();
    const members: [string, string][] = [
      ['feature', rng.chance(0.9) ? json.spell(name) : json.value(1)],
      ['key', key],
    ];
    const at = rng.pick(['null', json.spell(rng.pick(TIMES)), rng.pick(NUMBERS), json.value(1)]);
    return json.object(rng.chance(0.6) ? members : [...members, ['at', at]]);
  }

  #lookup(): string {
    const { rng } = this;
    const json = this.#json;
    const { plan } = engine;
    const names = [...plan.features.slice(0, 40).map(({ name }) => name), ...plan.sets.map(({ name }) => `${name}:*`)];
    const features = Array.from({ length: 1 + rng.below(4) }, () =>
      rng.chance(0.9) ? json.spell(rng.pick(names)) : json.value(1),
    );
    const entities = plan.entities.map(({ name, keys }): [string, string] => {
      const part = () => (rng.chance(0.8) ? json.spell(rng.pick(['STL', 'LAS', json.text()])) : json.value(0));
      const key = () => (keys.length > 1 && rng.chance(0.9) ? json.array(keys.map(part)) : part());
      return [name, json.array(Array.from({ length: rng.below(5) }, key))];
    });
    const at = rng.pick(['null', json.spell(rng.pick(TIMES)), rng.pick(NUMBERS), json.value(1)]);
    const members: [string, string][] = [
      ['features', json.array(features)],
      ['entities', json.object(rng.chance(0.9) ? entities : [...entities, ['__proto__', '["x"]'], ['nobody', '[1]']])],
    ];
    return json.object(rng.chance(0.6) ? members : [...members, ['at', at]]);
  }
}

describe('requests', () => {
  test.each(SEEDS)(
    'of any kind, seed %p',
    async seed => {
      const rng = new Random(seed);
      const requests = new Requests(rng);
      const statuses = new Map<number, number>();
      for (let round = 0; round < 1200; round++) {
        const request = requests.next();
        const sent = request.clone();
        try {
          const status = await expectReply(request);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        } catch (error) {
          const body = Buffer.from(await sent.arrayBuffer()).toString('base64');
          const headers = JSON.stringify([...sent.headers]);
          throw new Error(`seed ${seed}, round ${round}: ${error}\n${sent.method} ${sent.url} ${headers} ${body}`);
        }
      }
      await expectAnswers();
      for (const status of [200, 202, 400, 404, 405, 415])
        expect([status, statuses.get(status) ?? 0]).not.toEqual([status, 0]);
    },
    SEED_MAX_MS,
  );

  const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  const bodies: [string, string, string, number][] = [
    ['JSON of a million brackets', '/v1/features', deep(1_000_000), 400],
    ['features that are brackets', '/v1/features', `{"features":${deep(100_000)},"entities":{}}`, 400],
    ['a name of a million letters', '/v1/features', `{"features":["${'a'.repeat(1_000_000)}"],"entities":{}}`, 404],
    [
      'an entity of a million letters',
      '/v1/features',
      `{"features":["a:b"],"entities":{"${'a'.repeat(1_000_000)}":[]}}`,
      404,
    ],
    [
      'an unknown member of a million letters',
      '/v1/features',
      `{"features":["a:b"],"entities":{},"${'a'.repeat(1_000_000)}":1}`,
      400,
    ],
    [
      'a time of a million letters',
      '/v1/features',
      `{"features":["a:b"],"entities":{},"at":"${'1'.repeat(1_000_000)}"}`,
      400,
    ],
    [
      'a number of a million digits',
      '/v1/features',
      `{"features":["a:b"],"entities":{"origin":[${'9'.repeat(1_000_000)}]}}`,
      404,
    ],
    [
      '100,000 keys that are none',
      '/v1/features',
      `{"features":["a:b"],"entities":{"origin":[${'null,'.repeat(100_000)}1]}}`,
      400,
    ],
    ['events of a million brackets', '/v1/events', deep(1_000_000), 400],
    ['100,000 lines that are no events', '/v1/events', '{}\n'.repeat(100_000), 400],
  ];

  test.each(bodies)('%s', async (_, path, body, wanted) => {
    const type = path === '/v1/events' && body.includes('\n') ? 'application/x-ndjson' : 'application/json';
    expect(await expectReply(post(path, body, type))).toBe(wanted);
    await expectAnswers();
  });
});

describe('what is no request', () => {
  /** Sends bytes and ends; what comes back within a moment, or nothing. */
  function exchange(text: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(server.port!, '127.0.0.1');
    let reply = '';
    socket.setEncoding('latin1').on('data', chunk => {
      reply += chunk;
    });
    socket.once('connect', () => socket.end(text, 'latin1')).once('error', () => resolve(reply));
    socket.once('close', () => resolve(reply)).setTimeout(5000, () => socket.destroy());
    return promise;
  }

  const head = (more: string) => `POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${more}\r\n`;
  const texts: [string, string][] = [
    ['nothing', ''],
    ['not HTTP', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
    ['half a head', 'POST /v1/events HTTP/1.1\r\nhost'],
    ['half a body', `${head('content-length: 500\r\n')}${EVENT}`],
    ['a body longer than said', `${head('content-length: 5\r\n')}${EVENT}`],
    ['a length below 0', `${head('content-length: -5\r\n')}${EVENT}`],
    ['two lengths', `${head('content-length: 5\r\ncontent-length: 6\r\n')}${EVENT}`],
    ['a length and chunks', `${head('content-length: 5\r\ntransfer-encoding: chunked\r\n')}5\r\nabcde\r\n0\r\n\r\n`],
    ['chunks that break off', `${head('transfer-encoding: chunked\r\n')}ff\r\nabc`],
    ['chunks of no length', `${head('transfer-encoding: chunked\r\n')}zz\r\nabc\r\n`],
    ['half a gzip', `${head('content-encoding: gzip\r\ncontent-length: 500\r\n')}\x1f\x8b\x08`],
    ['a head without end', `${head(`x: ${'y'.repeat(200_000)}\r\n`)}`],
    ['thousands of headers', head('x: y\r\n'.repeat(5000))],
    ['a path without end', `GET /${'y'.repeat(200_000)} HTTP/1.1\r\nhost: x\r\n\r\n`],
    ['a NUL in the path', 'GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['a host that is none', 'GET / HTTP/1.1\r\nhost: a b:99999\r\n\r\n'],
    ['another version', 'GET / HTTP/9.9\r\nhost: x\r\n\r\n'],
  ];

  test.each(texts)(
    '%s',
    async (_, text) => {
      const reply = await exchange(text);
      const statuses = Array.from(reply.matchAll(/^HTTP\/1\.1 (\d{3})/gm), match => Number(match[1]));
      expect(statuses.filter(status => status >= 500 && status !== 505)).toEqual([]);
      expect(broken).toEqual([]);
      await expectAnswers();
      const ping = await fetch(new URL('/healthz', server.url));
      expect(ping.status).toBe(200);
    },
    15_000,
  );
});
