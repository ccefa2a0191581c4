import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Metrics } from '../../src/base/metrics.ts';
import { loadConfig } from '../../src/cli/config.ts';
import { openServing } from '../../src/cli/serving.ts';
import { app, type Served } from '../../src/http/app.ts';
import type { Lookup } from '../../src/read/read.ts';
import { randomLookup } from '../sim/asked.ts';
import type { Engine } from '../sim/engine.ts';
import { weekLines } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import type { Servers } from './servers.ts';
import { clusterOf, embedded, rowsOf, SETTLED_MAX_MS, settle, startWorker } from './workers.ts';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const EVENTS = 2_500;

/** Servers that keep nothing answer as one on a machine with all of the log. */
export function serveSuite(servers: () => Servers): void {
  test(
    'what is posted to servers of a cluster is answered by each as on one machine',
    async () => {
      const random = new Random(11);
      const lines = (await weekLines()).slice(0, EVENTS);
      const cluster = await clusterOf(servers(), 's');
      const { dir, plan, store } = cluster;
      const worker = await startWorker(dir);
      const path = join(dir, 'tilefold.yaml');
      const fail = (error: unknown) => expect(error).toBeUndefined();
      const open = async () => openServing(await loadConfig(path), path, { log: SILENT, onFailure: fail });
      const servings = [await open(), await open()];
      const apps = servings.map(({ served }) => appOver(served));
      try {
        const posting: Promise<void>[] = [];
        for (let from = 0; from < lines.length; ) {
          const part = lines.slice(from, from + 1 + random.below(200));
          from += part.length;
          const headers = { ...NDJSON, ...(random.chance(0.5) ? { 'Partition-Key': `k${random.below(5)}` } : {}) };
          posting.push(postTo(random.pick(apps), part, headers));
        }
        await Promise.all(posting);
        const engine = await embedded(plan, lines, 1);
        await settle(store, plan, rowsOf(engine));
        const alone = appOver(servedBy(engine, servings[0]!.served));
        for (let n = 0; n < 100 && servings.some(({ served }) => served.moment().position < EVENTS - 1); n++)
          await Bun.sleep(100);

        const airports = [...new Set(lines.map(line => (JSON.parse(line) as Line).data.origin))].slice(0, 30);
        const asked = Array.from({ length: 60 }, () => randomLookup(random, plan, airports, engine.now()));
        const requests = [...asked.flatMap(requestsOf), ...REFUSED];
        const statuses = new Set<number>();
        for (const [path, init] of requests) {
          const wanted = await saidOf(alone, path, init);
          statuses.add(wanted.status);
          for (const one of apps) expect(await saidOf(one, path, init)).toEqual(wanted);
        }
        expect([...statuses].sort()).toEqual([200, 400, 404, 405, 410, 415]);
        await engine.close();

        const once = { ...NDJSON, 'Idempotency-Key': 'k' };
        const refused = await apps[0]!.request('/v1/events', { method: 'POST', headers: once, body: lines[0]! });
        expect(refused.status).toBe(501);
        expect((await apps[0]!.request('/v1/timelines')).status).toBe(501);
      } finally {
        worker.child.kill('SIGKILL');
        for (const { close } of servings) await close();
        await cluster.close();
      }
    },
    { timeout: 2 * SETTLED_MAX_MS },
  );
}

type App = ReturnType<typeof app>;
type Line = { data: { origin: string } };

const NDJSON = { 'content-type': 'application/x-ndjson' };
const JSON_TYPE = { 'content-type': 'application/json' };

/** What is refused before any row is read, and what needs none. */
const REFUSED: [string, RequestInit][] = [
  ['/v1/feature-sets/origin_delays', {}],
  ['/v1/feature-sets/nobody', {}],
  ['/v1/features', {}],
  ['/v1/features', { method: 'POST', headers: JSON_TYPE, body: '{"features":[]}' }],
  ['/v1/events', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' }],
  ['/v1/events?features', { method: 'POST', headers: NDJSON, body: '{}' }],
  ['/v1/events', { method: 'POST', headers: NDJSON, body: 'no event' }],
  ['/v1/events', { method: 'POST', headers: JSON_TYPE, body: '{' }],
];

function appOver(parts: Served): App {
  return app({ parts, unready: () => null, log: SILENT, metrics: new Metrics(() => null), broken() {} });
}

function servedBy(engine: Engine, others: Served): Served {
  const { ingest, here, reader, plan, now } = engine;
  const moment = () => ({ position: ingest.position, clocks: here.clocks(), nowMicros: now() });
  return {
    ...others,
    ...{ reader, plan, moment },
    ingest: {
      post: (body, format, key) => ingest.post(body, format, key),
      enrich: (...body) => ingest.enrich(...body),
      barrier() {},
    },
  };
}

async function postTo(one: App, lines: string[], headers: Record<string, string>): Promise<void> {
  const reply = await one.request('/v1/events', { method: 'POST', headers, body: lines.join('\n') });
  expect([reply.status, await reply.json()]).toEqual([202, { accepted: lines.length, rejected: [], position: null }]);
}

function requestsOf({ at, ...asked }: Lookup): [string, RequestInit][] {
  const moment = at === null ? null : new Date(Number(at / 1000n)).toISOString();
  const lookup = JSON.stringify({ ...asked, at: moment });
  const [feature] = asked.features;
  const entity = feature!.split('_')[0]!;
  const explain = JSON.stringify({ feature, key: asked.entities[entity]?.[0] ?? 'ATL', at: moment });
  return [
    ['/v1/features', { method: 'POST', headers: JSON_TYPE, body: lookup }],
    ['/v1/explain', { method: 'POST', headers: JSON_TYPE, body: explain }],
  ];
}

/** All but what is of this request or of the one log: an id, a position, and what it is as long as. */
async function saidOf(one: App, path: string, init: RequestInit) {
  const reply = await one.request(path, init);
  const headers = Object.fromEntries(reply.headers);
  for (const name of ['x-request-id', 'content-length']) delete headers[name];
  const body = (await reply.json()) as { position?: unknown };
  return { status: reply.status, headers, body: { ...body, position: null } };
}
