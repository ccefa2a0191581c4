import { expect, test } from 'bun:test';
import { WorkMetrics, type WorkState } from '../../src/base/work_metrics.ts';
import { vitals } from '../../src/http/vitals.ts';

const STATE: WorkState = {
  stages: [
    { stage: 'tile', partitions: 3, lag: 40 },
    { stage: 'fold', partitions: 2, lag: 5 },
  ],
  ...{ rowsDirty: 7, foldBytes: 4096 },
};

/** `name{labels}` -> value. */
async function metricsOf(app: ReturnType<typeof vitals>): Promise<Map<string, number>> {
  const response = await app.request('/metrics');
  expect(response.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
  const lines = (await response.text()).split('\n').filter(line => line.startsWith('tilefold_'));
  return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))] as const));
}

test('a process that works says what it has done and how far it has come', async () => {
  let state = STATE;
  let looks = 0;
  const watcher = new WorkMetrics(async () => {
    looks++;
    return state;
  });
  watcher.tiled(100);
  watcher.bad('late');
  watcher.folded(60, 10);
  watcher.written(0.02, 25, 60);
  watcher.evicted(4);
  watcher.fresh(0.3);
  watcher.lost();
  const app = vitals(() => null, watcher);
  const found = await metricsOf(app);
  const of = (name: string) => found.get(`tilefold_${name}`);
  expect(['rows_dirty', 'fold_state_bytes'].map(of)).toEqual([7, 4096]);
  expect(['partitions', 'lag_messages'].map(name => of(`${name}{stage="tile"}`))).toEqual([3, 40]);
  expect(['partitions', 'lag_messages'].map(name => of(`${name}{stage="fold"}`))).toEqual([2, 5]);
  const totals = ['events_tiled', 'changes_folded', 'changes_hit', 'changes_coalesced', 'rows_loaded', 'rows_evicted'];
  expect(totals.map(name => of(`${name}_total`))).toEqual([100, 60, 50, 35, 10, 4]);
  expect(of('events_bad_total{code="late"}')).toBe(1);
  expect([of('barrier_rows_total'), of('partitions_lost_total')]).toEqual([25, 1]);
  expect([of('barrier_seconds_sum'), of('freshness_seconds_bucket{le="0.5"}')]).toEqual([0.02, 1]);
  expect(looks).toBe(1);
  // Of a broker that is away nothing is said.
  state = { ...STATE, stages: [] };
  expect((await metricsOf(app)).has('tilefold_lag_messages{stage="tile"}')).toBe(false);
});

test('it is alive, and ready until it is told to stop', async () => {
  let reason: string | null = null;
  const app = vitals(() => reason, new WorkMetrics(async () => STATE));
  expect((await app.request('/healthz')).status).toBe(200);
  expect((await app.request('/readyz')).status).toBe(200);
  reason = 'the server is shutting down';
  expect((await app.request('/readyz')).status).toBe(503);
});
