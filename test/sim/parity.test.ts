/**
 * Online = replay = oracle, over a week of flights, tame and perturbed: what a lookup answers at a prefix of the log,
 * and what a replay answers for each event, are what the oracle makes of the whole log.
 */
import { describe, expect, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { STATUS, type FeatureColumn } from '../../src/kernel/window.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import { replay, type ReplayBatch } from '../../src/replay/replay.ts';
import type { Block, Source } from '../../src/source/source.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog, type Log } from '../oracle/log.ts';
import { now, value } from '../oracle/naive.ts';
import { SimulatedDisk } from './disk.ts';
import { countedIds, type Engine, EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from './engine.ts';
import { body, smallWeek, tame, wild } from './flights.ts';
import { Random } from './random.ts';

const CUTS = 50;
const SEED = 20010305;

const plan = flightsPlan();
const small = await smallWeek(16, 7);
const logs: [string, Uint8Array[]][] = [
  ['tame', tame(small)],
  ['perturbed', wild(small, SEED)],
];

describe.each(logs)('%s flights', (name, lines) => {
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const keys = keysOf(log);

  test(`lookups at ${CUTS} prefixes = oracle, for every entity and feature`, async () => {
    const rng = new Random(SEED);
    const cuts = cutsOf(lines.length, CUTS, rng);
    // Every third barrier finds memory over its bound: what is read then comes from the store, from memory, and mixed.
    const engine = await openEngine(plan, { disk: new SimulatedDisk(SEED), db: memoryDatabase() });
    let asked = 0;
    for (const [i, [from, to]] of cuts.entries()) {
      await engine.ingest.post(body(lines.slice(from, to)), 'ndjson');
      if (i % 3 === 1) engine.ingest.barrier();
      if (i % 6 === 4) engine.folds[0]!.forget(engine.store.readRow);
      asked += compareLookups(engine, log, keys);
    }
    expect(engine.ingest.position).toBe(log.records.length - 1);
    console.log(`${name}: ${asked} values compared at ${cuts.length} prefixes`);
    expect(asked).toBeGreaterThan(100_000);
    await engine.close();
  }, 300_000);

  test('every replayed row = oracle, and = the lookup at its prefix where its time is the latest yet', async () => {
    const disk = new SimulatedDisk(SEED);
    const engine = await openEngine(plan, { disk, db: memoryDatabase(), segmentBytes: 1 << 16 });
    const good = log.records.filter(record => record.bad === null);
    let row = 0;
    let looked = 0;
    let posted = 0;
    for await (const batch of replayed(plan, lines)) {
      for (let i = 0; i < batch.count; i++, row++) {
        const record = good[row]!;
        expect([Number(batch.positions[i]), batch.timesMicros[i]!, batch.types[i]!]).toEqual([
          record.position,
          record.time,
          record.type,
        ]);
        compareRow(log, record.position, batch, i);
        if (record.time !== record.now) continue;
        posted = await bringTo(engine, lines, posted, record.line);
        compareWithLookup(engine, log, record.position, batch, i);
        looked++;
      }
    }
    expect(row).toBe(good.length);
    expect(looked).toBeGreaterThan(good.length / 20);
    await engine.close();
  }, 300_000);

  test('any batch cut and 1, 2, 3, 7 shards give equal row bytes', async () => {
    const results: Map<string, string>[] = [];
    for (const [shards, cutCount] of [
      [1, 1],
      [1, 400],
      [2, 13],
      [3, 50],
      [7, 7],
    ] as const) {
      const engine = await openEngine(plan, { disk: new SimulatedDisk(SEED), db: memoryDatabase(), shards });
      for (const [from, to] of cutsOf(lines.length, cutCount, new Random(SEED + cutCount)))
        await engine.ingest.post(body(lines.slice(from, to)), 'ndjson');
      engine.ingest.barrier();
      results.push(rowMap(engine.store));
      await engine.close();
    }
    expect(results[0]!.size).toBeGreaterThan(10_000);
    for (const other of results.slice(1)) expect(other).toEqual(results[0]!);
  }, 120_000);
});

/** Random cuts of `count` lines into `parts` stretches, [from, to). */
function cutsOf(count: number, parts: number, rng: Random): [number, number][] {
  const at = new Set<number>([count]);
  while (at.size < parts) at.add(1 + rng.below(count - 1));
  const ends = [...at].sort((a, b) => a - b);
  return ends.map((end, i) => [ends[i - 1] ?? 0, end]);
}

/** Every key that a good event bears, and one that none does, by entity. */
function keysOf(log: Log): Map<string, Value[][]> {
  const found = new Map<string, Map<string, Value[]>>(plan.entities.map(({ name }) => [name, new Map()]));
  for (const { bad, inputs } of log.records) {
    if (bad !== null) continue;
    const { origin, destination } = inputs as { origin: string; destination: string };
    found.get('origin')!.set(origin, [origin]);
    found.get('destination')!.set(destination, [destination]);
    found.get('route')!.set(`${origin} ${destination}`, [origin, destination]);
  }
  const none: Record<string, Value[]> = { origin: ['???'], destination: ['???'], route: ['???', '???'] };
  return new Map([...found].map(([entity, keys]) => [entity, [...keys.values(), none[entity]!]]));
}

/** Looks everything up now and compares it with the oracle; returns how many values there were. */
function compareLookups(engine: Engine, log: Log, keys: Map<string, Value[][]>): number {
  const p = engine.ingest.position;
  const t = now(log, p);
  const entities = Object.fromEntries(keys) as Record<string, string[][]>;
  const answer = engine.reader.lookup({ features: plan.sets.map(set => `${set.name}:*`), entities, at: null });
  expect([answer.position, answer.timeMicros]).toEqual([p, t]);
  let count = 0;
  for (const { entity, features } of answer.entities)
    for (const column of features)
      for (const [row, key] of keys.get(entity)!.entries()) {
        compareValue(column, row, log, key, p, t);
        count++;
      }
  return count;
}

function compareValue(column: FeatureColumn, row: number, log: Log, key: Value[], p: number, t: bigint): void {
  const wanted = value(plan, log, column.name, key, p, t);
  const got = { value: valueAt(column, row), status: STATUS[column.statuses[row]!] };
  if (Object.is(got.value, wanted.value) && got.status === wanted.status) return;
  expect({ feature: column.name, key, p, ...got }).toEqual({ feature: column.name, key, p, ...wanted });
}

function valueAt(column: FeatureColumn, row: number): Value {
  if (column.nulls[row]) return null;
  return column.type.kind === 'bool' ? column.values[row] === 1 : column.values[row]!;
}

const KEY_OF: Record<string, (inputs: { [name: string]: Value }) => Value[]> = {
  origin_delays: inputs => [inputs.origin!],
  destination_delays: inputs => [inputs.destination!],
  route_delays: inputs => [inputs.origin!, inputs.destination!],
};

function compareRow(log: Log, p: number, batch: ReplayBatch, row: number): void {
  const record = log.records[p]!;
  for (const column of batch.columns) {
    const key = KEY_OF[column.name.split(':')[0]!]!(record.inputs);
    compareValue(column, row, log, key, p, record.time);
  }
}

function compareWithLookup(engine: Engine, log: Log, p: number, batch: ReplayBatch, row: number): void {
  const { inputs } = log.records[p]!;
  const entities: Record<string, string[][]> = {};
  for (const set of plan.sets) entities[set.entity] = [KEY_OF[set.name]!(inputs) as string[]];
  const answer = engine.reader.lookup({ features: plan.sets.map(set => `${set.name}:*`), entities, at: null });
  expect(answer.position).toBe(p);
  const looked = new Map(answer.entities.flatMap(({ features }) => features.map(column => [column.name, column])));
  for (const column of batch.columns) {
    const other = looked.get(column.name)!;
    if (Object.is(valueAt(column, row), valueAt(other, 0)) && column.statuses[row] === other.statuses[0]) continue;
    expect({ p, name: column.name, value: valueAt(column, row) }).toEqual({
      p,
      name: column.name,
      value: valueAt(other, 0),
    });
  }
}

/** Posts lines up to the given one (from 1), and returns how many are posted now. */
async function bringTo(engine: Engine, lines: Uint8Array[], posted: number, line: number): Promise<number> {
  if (line > posted) await engine.ingest.post(body(lines.slice(posted, line)), 'ndjson');
  return Math.max(line, posted);
}

async function* replayed(of: Plan, lines: Uint8Array[]): AsyncGenerator<ReplayBatch> {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, of, countedIds(of), { clock: EVENT_CLOCK, aheadMaxMs: 0, shards: 1 });
  const source: Source = {
    clock: EVENT_CLOCK,
    async *read() {
      for (let from = 0; from < lines.length; from += 1000) {
        const block: Block = {
          bytes: body(lines.slice(from, from + 1000)),
          arrivalMicros: null,
          file: 'week',
          line: from + 1,
        };
        yield block;
      }
    },
  };
  const nothing = () => {};
  const parts = { pipeline: { layout, folds: [new Fold(kernel, null)] }, source, onRejected: nothing, onBad: nothing };
  yield* replay(parts).batches;
}
