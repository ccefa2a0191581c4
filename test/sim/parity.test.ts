/**
 * Online = replay = oracle, over a week of flights, tame and perturbed: what a lookup answers at a prefix of the log,
 * and what a replay answers for each event, are what the oracle makes of the whole log.
 */
import { describe, expect, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import { replay, type ReplayBatch } from '../../src/replay/replay.ts';
import type { Block, Source } from '../../src/source/source.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog, type Log } from '../oracle/log.ts';
import { SimulatedDisk } from './disk.ts';
import { countedIds, type Engine, EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from './engine.ts';
import { body, smallWeek, tame, weekLines, wild } from './flights.ts';
import { compareLookups, compareValue, keysOf, valueAt } from './judge.ts';
import { Random } from './random.ts';

/** `bun scripts/long.ts parity` sets it: other seeds, more cuts, and the whole week. */
const LONG = process.env.TILEFOLD_LONG === '1';
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
const CUTS = 50;
const CUTS_LONG = 400;
const SEED = 20010305;

const plan = flightsPlan();
const small = await smallWeek(16, 7);
const logs: [name: string, lines: Uint8Array[], seed: number, cuts: number][] = [
  ['tame', tame(small), SEED, LONG ? CUTS_LONG : CUTS],
  ['perturbed', wild(small, SEED), SEED, LONG ? CUTS_LONG : CUTS],
];
if (LONG) {
  for (let seed = SEED + 1; seed <= SEED + 4; seed++)
    logs.push([`perturbed (seed ${seed})`, wild(small, seed), seed, CUTS]);
  const week = await weekLines();
  logs.push(["the whole week's", tame(week), SEED, CUTS], ["the whole week's perturbed", wild(week, SEED), SEED, CUTS]);
}

describe.each(logs)('%s flights', (name, lines, seed, cutCount) => {
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const keys = keysOf(log);

  test(
    `lookups at ${cutCount} prefixes = oracle, for every entity and feature`,
    async () => {
      const rng = new Random(seed);
      const cuts = cutsOf(lines.length, cutCount, rng);
      // Every third barrier finds memory over its bound: what is read then comes from the store, from memory, and mixed.
      const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
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
    },
    TIMEOUT_MS,
  );

  test(
    'every replayed row = oracle, and = the lookup at its prefix where its time is the latest yet',
    async () => {
      const disk = new SimulatedDisk(seed);
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
    },
    TIMEOUT_MS,
  );

  test(
    'any batch cut and 1, 2, 3, 7 shards give equal row bytes',
    async () => {
      const results: Map<string, string>[] = [];
      for (const [shards, parts] of [
        [1, 1],
        [1, 400],
        [2, 13],
        [3, 50],
        [7, 7],
      ] as const) {
        const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase(), shards });
        for (const [from, to] of cutsOf(lines.length, parts, new Random(seed + parts)))
          await engine.ingest.post(body(lines.slice(from, to)), 'ndjson');
        engine.ingest.barrier();
        results.push(rowMap(engine.store));
        await engine.close();
      }
      expect(results[0]!.size).toBeGreaterThan(10_000);
      for (const other of results.slice(1)) expect(other).toEqual(results[0]!);
    },
    TIMEOUT_MS,
  );
});

/** Random cuts of `count` lines into `parts` stretches, [from, to). */
function cutsOf(count: number, parts: number, rng: Random): [number, number][] {
  const at = new Set<number>([count]);
  while (at.size < parts) at.add(1 + rng.below(count - 1));
  const ends = [...at].sort((a, b) => a - b);
  return ends.map((end, i) => [ends[i - 1] ?? 0, end]);
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
    compareValue(plan, column, row, log, key, p, record.time);
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
