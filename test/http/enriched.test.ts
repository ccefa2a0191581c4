/** POST /v1/events?features, over a real engine. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { Hono } from 'hono';
import { Stages } from '../../src/base/stages.ts';
import { postEvents } from '../../src/http/events.ts';
import { problemOf } from '../../src/http/problem.ts';
import type { EventFeature, Plan } from '../../src/plan/plan.ts';
import { BOOL, INT64, OPTIONAL, STRING, type Type } from '../../src/plan/value.ts';
import { aggregate, call, column, literal, optional, plan, read, required } from '../oracle/fixtures/spell.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { type Engine, memoryDatabase, openEngine } from '../sim/engine.ts';

const EMAIL = column('email', STRING);
const HOME: Type = { kind: 'struct', name: null, fields: [required('street', STRING), optional('floor', INT64)] };

function answered(name: string, error: EventFeature['error'] = null): EventFeature {
  return { column: name, error, description: '', at: null };
}

/** Logins by email, whether they failed, and a sum that soon is beyond its type. */
const PLAN: Plan = plan({
  events: [
    {
      ...{ name: 'login', onFault: 'reject', weight: null, at: null },
      inputs: [required('email', STRING), optional('ok', BOOL), { ...optional('home', HOME), presence: OPTIONAL }],
      columns: [
        { name: 'nth', expression: read('logins', INT64, { keys: [EMAIL] }) },
        { name: 'huge', expression: read('huge', INT64, { keys: [EMAIL] }) },
      ],
      features: [
        ...['email', 'home', 'nth'].map(name => answered(name)),
        answered('huge', {
          ...{ kind: 'fault', type: STRING, at: null },
          of: read('huge', INT64, { keys: [EMAIL] }) as never,
        }),
      ],
    },
  ],
  aggregates: [
    aggregate('logins', 'login', [EMAIL], 'count', null),
    aggregate('huge', 'login', [EMAIL], 'sum', call('multiply', INT64, literal(4n * 10n ** 18n), literal(1n))),
  ],
});

const NOW_MS = Date.UTC(2024, 0, 1, 12);
let engine: Engine;
let app: Hono;

function serving(of: Plan): Hono {
  const app = new Hono();
  app.post(
    '/v1/events',
    postEvents(engine.ingest, { posted: () => {} }, () => of, new Stages()),
  );
  app.onError(error => problemOf(error, { error: () => {}, info: () => {}, warn: () => {} } as never));
  return app;
}

beforeAll(async () => {
  engine = await openEngine(PLAN, {
    ...{ disk: new SimulatedDisk(1), db: memoryDatabase(), clock: { kind: 'wall', maxJumpMs: 0 } },
    nowMicros: () => BigInt(NOW_MS) * 1000n,
  });
  app = serving(PLAN);
});

afterAll(() => engine.close());

function post(
  body: string,
  { type = 'application/x-ndjson', query = '?features', ...headers }: Record<string, string> = {},
) {
  return app.request(`/v1/events${query}`, { method: 'POST', body, headers: { 'content-type': type, ...headers } });
}

test('each event is answered with its features as of itself, in the order of the body, and errors beside them', async () => {
  const time = '2024-01-01T11:59:00Z';
  const lines = [
    `{"type":"login","time":"${time}","id":"first","data":{"email":"ann","home":{"street":"Long \\"Rd\\"","floor":9007199254740993}}}`,
    '',
    'nonsense',
    `{"type":"login","time":"${time}","id":17,"data":{"email":"ann"}}`,
    `{"_type":"login","_time":"${time}","_id":"third","email":"ann"}`,
    `{"type":"login","time":"${time}","data":{"email":7}}`,
    `{"type":"unheard","time":"${time}"}`,
  ];
  const response = await post(lines.join('\n'));
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text).toContain('"home":{"street":"Long \\"Rd\\"","floor":9007199254740993}');
  const { events, rejected } = JSON.parse(text);
  const at = { event_time: time };
  expect(events.slice(0, 3)).toEqual([
    {
      ...{ line: 1, event_id: 'first', ...at, position: 0, errors: {} },
      features: { email: 'ann', home: { street: 'Long "Rd"', floor: 9007199254740992 }, nth: 1, huge: 4e18 },
    },
    {
      ...{ line: 4, event_id: 17, ...at, position: 1, errors: {} },
      features: { email: 'ann', home: null, nth: 2, huge: 8e18 },
    },
    {
      ...{ line: 5, event_id: 'third', ...at, position: 2, errors: { huge: 'overflow' } },
      features: { email: 'ann', home: null, nth: 3, huge: null },
    },
  ]);
  expect(events[3]).toMatchObject({ line: 6, position: 3, features: {}, fault: { code: 'wrong_type' } });
  expect(events[4]).toMatchObject({ line: 7, position: 4, features: {}, fault: { code: 'undeclared' } });
  expect(rejected).toEqual([{ line: 3, code: 'not_json', reason: 'not valid JSON' }]);
});

test('what an event does not say of its name and time is given to it, and is in the log', async () => {
  const body = '[{"type":"login","data":{"email":"bob"}},\n {"_type":"login","email":"bob","_id":null,"_time":null }]';
  const { events } = (await (await post(body, { type: 'application/json' })).json()) as {
    events: { line: number; event_id: string; event_time: string; features: object }[];
  };
  expect(events.map(({ line, event_time, features }) => ({ line, event_time, features }))).toEqual([
    { line: 1, event_time: '2024-01-01T12:00:00Z', features: expect.objectContaining({ nth: 1 }) },
    { line: 2, event_time: '2024-01-01T12:00:00Z', features: expect.objectContaining({ nth: 2 }) },
  ]);
  const [first, second] = events.map(event => event.event_id) as [string, string];
  // Version 7, variant 10, and sorted as they came.
  for (const id of [first, second])
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(Number.parseInt(first.replaceAll('-', '').slice(0, 12), 16)).toBe(NOW_MS);
  expect(first < second).toBe(true);
  const logged: string[] = [];
  for await (const { bytes } of engine.log.read(5))
    logged.push(...new TextDecoder().decode(bytes).trimEnd().split('\n'));
  const records = logged.slice(0, 2).map(line => JSON.parse(line));
  expect(records).toEqual([
    { type: 'login', time: NOW_MS, id: first, data: { email: 'bob' } },
    { _type: 'login', _time: NOW_MS, _id: second, email: 'bob' },
  ]);
});

test('NDJSON, where it is asked for: a line for each event, rejected ones in their places', async () => {
  const body = '{"type":"login","data":{"email":"cy"}}\n{"type":\n{"type":"login","data":{"email":"cy"}}\n';
  const response = await post(body, { accept: 'application/x-ndjson' });
  expect(response.headers.get('content-type')).toBe('application/x-ndjson');
  const lines = (await response.text())
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  expect(lines.map(({ line, code, features }) => [line, code ?? features.nth])).toEqual([
    [1, 1],
    [2, 'not_json'],
    [3, 2],
  ]);
});

test('a key counts once; what was answered the first time is not answered again', async () => {
  const body = '{"type":"login","data":{"email":"dee"}}';
  expect((await post(body, { 'idempotency-key': 'k1' })).status).toBe(200);
  const again = await post(body, { 'idempotency-key': 'k1' });
  expect(again.status).toBe(409);
  expect(((await again.json()) as { detail: string }).detail).toContain(
    'taken under the key k1 before, and counts once',
  );
  const next = (await (await post(body)).json()) as { events: { features: { nth: number } }[] };
  expect(next.events[0]!.features.nth).toBe(2);
});

test('bodies that come together are answered in the order of the log', async () => {
  const body = (n: number) => `{"type":"login","id":${n},"data":{"email":"eve"}}`;
  const replies = await Promise.all(Array.from({ length: 50 }, async (_, n) => (await post(body(n))).json()));
  const events = (replies as { events: { position: number; features: { nth: number } }[] }[]).flatMap(
    reply => reply.events,
  );
  const first = Math.min(...events.map(({ position }) => position));
  for (const { position, features } of events) expect(features.nth).toBe(position - first + 1);
});

test('what is no event, and what nobody answers, is refused', async () => {
  const none = await post('nonsense');
  expect(none.status).toBe(400);
  expect(await none.json()).toMatchObject({ accepted: 0, rejected: [{ line: 1, code: 'not_json' }] });
  expect((await post('{}', { query: '?features=some' })).status).toBe(400);
  const refused = await serving(plan({})).request('/v1/events?features', {
    ...{ method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
  });
  expect(refused.status).toBe(400);
  expect(((await refused.json()) as { detail: string }).detail).toContain('no definition answers events');
});
