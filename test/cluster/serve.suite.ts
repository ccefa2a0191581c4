import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Metrics } from '../../src/base/metrics.ts';
import { loadConfig } from '../../src/cli/config.ts';
import { openServing } from '../../src/cli/cluster/serving.ts';
import { app, type Served } from '../../src/http/app.ts';
import type { Lookup } from '../../src/read/read.ts';
import { randomLookup } from '../sim/asked.ts';
import type { Engine } from '../sim/engine.ts';
import { weekLines } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import type { Servers } from './servers.ts';
import {
  clusterOf,
  embedded,
  PARTITIONS,
  rowsOf,
  SETTLED_MAX_MS,
  SILENT,
  settle,
  startProcess,
  startWorker,
} from './workers.ts';

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
      const worker = await startWorker(dir, ['--port', '0']);
      const path = join(dir, 'tilefold.yaml');
      const fail = (error: unknown) => expect(error).toBeUndefined();
      const serving = await openServing(await loadConfig(path), path, { log: SILENT, onFailure: fail });
      const options = ['--port', '0', '--grace', '0s', '--log-level', 'warn'];
      const server = await startProcess(dir, ['serve', ...options], 'tilefold serves');
      const url = urlIn(await server.said());
      const there: App = {
        request(path, init = {}) {
          return fetch(`${url}${path}`, { ...init, headers: { ...init.headers, 'accept-encoding': 'identity' } });
        },
      };
      const apps = [appOver(serving.served), there];
      try {
        for (let from = 0; from < lines.length; ) {
          const part = lines.slice(from, from + 1 + random.below(200));
          from += part.length;
          const headers = { ...NDJSON, ...(random.chance(0.5) ? { 'Partition-Key': `k${random.below(5)}` } : {}) };
          // One after the other: what comes much too late for a tile depends on the order, as on one machine.
          await postTo(random.pick(apps), part, headers);
        }
        const engine = await embedded(plan, lines, 1);
        await settle(store, plan, rowsOf(engine));
        const alone = appOver(servedBy(engine, serving.served));
        const isKnown = async (one: App) => {
          const { position } = (await (await one.request('/v1/feature-sets')).json()) as { position: number };
          return position === EVENTS - 1;
        };
        for (const one of apps) for (let n = 0; n < 100 && !(await isKnown(one)); n++) await Bun.sleep(100);

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
        await checkMetrics(urlIn(await worker.said()));
        worker.child.kill('SIGTERM');
        expect(await worker.child.exited).toBe(0);
        await checkAside(cluster, there, asked.find(({ at }) => at === null)!, lines[0]!);
        server.child.kill('SIGTERM');
        expect(await server.child.exited).toBe(0);
      } finally {
        worker.child.kill('SIGKILL');
        server.child.kill('SIGKILL');
        await serving.close();
        await cluster.close();
      }
    },
    { timeout: 2 * SETTLED_MAX_MS },
  );
}

/** Definitions of a version that this one does not know: others answer by them. */
async function checkAside({ store }: Cluster, one: App, asked: Lookup, line: string): Promise<void> {
  const { agreement } = store;
  const body = JSON.stringify({ format: 99 });
  const plan = { kind: 'plan' as const, number: 2, state: 'coming' as const, body };
  expect(await agreement.decide(await agreement.turn(), [plan])).toBe(true);
  const isReady = async () => (await one.request('/readyz')).status === 200;
  for (let n = 0; n < 100 && (await isReady()); n++) await Bun.sleep(100);
  const said = await (await one.request('/readyz')).text();
  expect(said).toContain('plan 2 of this cluster was made by a newer version of tilefold');
  const status = async () => (await one.request(...requestsOf(asked)[0]!)).status;
  for (let n = 0; n < 100 && (await status()) === 200; n++) await Bun.sleep(100);
  expect(await status()).toBe(503);
  expect((await one.request('/healthz')).status).toBe(200);
  await postTo(one, [line], NDJSON);
}

interface App {
  request(path: string, init?: RequestInit): Response | Promise<Response>;
}
type Cluster = Awaited<ReturnType<typeof clusterOf>>;
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
  return app({ parts, unready: () => null, origins: [], log: SILENT, metrics: new Metrics(() => null), broken() {} });
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

function urlIn(said: string): string {
  return / on (http:\S+)$/m.exec(said)![1]!;
}

/** What a process says of itself, once all is folded. */
async function checkMetrics(url: string): Promise<void> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const measured = (name: string) => Number(new RegExp(`^tilefold_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  expect(measured('events_tiled_total')).toBe(EVENTS);
  expect(['tile', 'fold'].map(stage => measured(`partitions{stage="${stage}"}`))).toEqual([PARTITIONS, 4]);
  expect(['tile', 'fold'].map(stage => measured(`lag_messages{stage="${stage}"}`))).toEqual([0, 0]);
  expect(measured('rows_dirty')).toBe(0);
  const [folded, hit, coalesced] = ['folded', 'hit', 'coalesced'].map(name => measured(`changes_${name}_total`));
  expect(hit! + measured('rows_loaded_total')).toBe(folded!);
  expect(coalesced! + measured('barrier_rows_total')).toBe(folded!);
  expect(measured('freshness_seconds_count')).toBeGreaterThan(0);
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
  for (const name of ['x-request-id', 'content-length', 'date']) delete headers[name];
  const body = (await reply.json()) as { position?: unknown };
  return { status: reply.status, headers, body: { ...body, position: null } };
}
