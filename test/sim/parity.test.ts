/**
 * Online = replay = oracle, over a week of flights, tame and perturbed: what a lookup answers at a prefix of the log,
 * and what a replay answers for each event, are what the oracle makes of the whole log.
 */
import { describe, expect, test } from 'bun:test';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import type { ReplayBatch } from '../../src/replay/replay.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog, type Log } from '../oracle/log.ts';
import { now } from '../oracle/naive.ts';
import { SimulatedDisk } from './disk.ts';
import { type Engine, EVENT_CLOCK, memoryDatabase, openEngine, rowsHash } from './engine.ts';
import { body, smallWeek, tame, weekLines, wild } from './flights.ts';
import { compareLookups, compareValue, isSame, type Keys, keysOf, valueAt } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

/** `bun scripts/long.ts parity` sets it: other seeds, more cuts, and the whole week. */
const LONG = process.env.TILEFOLD_LONG === '1';
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
const CUTS = 30;
const CUTS_LONG = 400;
const WEEK_CUTS = 20;
const SEED = 20010305;

/** Of the whole week's replayed rows, one in so many is compared: the oracle would be at it for an hour. */
const WEEK_STRIDE = 11;

const plan = flightsPlan();
const small = await smallWeek(16, 7);
const logs: [name: string, lines: Uint8Array[], seed: number, cuts: number, stride: number][] = [
  ['tame', tame(small), SEED, LONG ? CUTS_LONG : CUTS, 1],
  ['perturbed', wild(small, SEED), SEED, LONG ? CUTS_LONG : CUTS, 1],
];
if (LONG) {
  for (let seed = SEED + 1; seed <= SEED + 4; seed++)
    logs.push([`perturbed (seed ${seed})`, wild(small, seed), seed, CUTS, 1]);
  const week = await weekLines();
  logs.push(["the whole week's", tame(week), SEED, WEEK_CUTS, WEEK_STRIDE]);
  logs.push(["the whole week's perturbed", wild(week, SEED), SEED, WEEK_CUTS, WEEK_STRIDE]);
}

describe.each(logs)('%s flights', (name, lines, seed, cutCount, stride) => {
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
        if (i % 6 === 4) engine.folds[0]!.evict(0);
        asked += compareLookups(engine, log, keys);
        if (LONG && i % 10 === 9) console.log(`${name}: ${i + 1} of ${cuts.length} prefixes`);
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
      for await (const batch of (await replayed(plan, lines)).batches) {
        for (let i = 0; i < batch.count; i++, row++) {
          const record = good[row]!;
          expect([Number(batch.positions[i]), batch.timesMicros[i]!, batch.types[i]!]).toEqual([
            record.position,
            record.time,
            record.type,
          ]);
          if (row % stride !== 0) continue;
          compareRow(log, record.position, batch, i);
          if (record.time !== record.now) continue;
          posted = await bringTo(engine, lines, posted, record.line);
          compareWithLookup(engine, log, record.position, batch, i);
          looked++;
          if (LONG && looked % 2000 === 0) console.log(`${name}: replayed row ${row} of ${good.length}`);
        }
      }
      expect(row).toBe(good.length);
      console.log(`${name}: ${looked} rows of ${row} compared with lookups`);
      expect(looked).toBeGreaterThan(good.length / stride / 20);
      await engine.close();
    },
    TIMEOUT_MS,
  );

  test(
    'any batch cut and 1, 2, 3, 7 shards give equal row bytes',
    async () => {
      const results: { count: number; hash: string }[] = [];
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
        results.push(rowsHash(engine.store));
        await engine.close();
      }
      expect(results[0]!.count).toBeGreaterThan(10_000);
      for (const other of results.slice(1)) expect(other).toEqual(results[0]!);
    },
    TIMEOUT_MS,
  );
});

const wildSmall = wild(small, SEED + 100);

test(
  'tiles may be shifted: lookups = oracle with tiles that begin at 05:30 UTC',
  async () => {
    const shifted = shiftedPlan(plan, 330 * 60_000);
    const log = parseLog(body(wildSmall), shifted, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const engine = await openEngine(shifted, { disk: new SimulatedDisk(SEED), db: memoryDatabase() });
    for (const [from, to] of cutsOf(wildSmall.length, 12, new Random(SEED))) {
      await engine.ingest.post(body(wildSmall.slice(from, to)), 'ndjson');
      compareLookups(engine, log, keysOf(log));
    }
    await engine.close();
  },
  TIMEOUT_MS,
);

test(
  'lookups at past moments = oracle over whole tiles before them, from memory and from the store',
  async () => {
    const log = parseLog(body(wildSmall), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const keys = keysOf(log);
    const rng = new Random(SEED);
    const engine = await openEngine(plan, { disk: new SimulatedDisk(SEED), db: memoryDatabase() });
    let asked = 0;
    for (const [i, [from, to]] of cutsOf(wildSmall.length, LONG ? 100 : 16, rng).entries()) {
      await engine.ingest.post(body(wildSmall.slice(from, to)), 'ndjson');
      if (i % 2 === 1) engine.ingest.barrier();
      if (i % 4 === 3) engine.folds[0]!.evict(0);
      const p = engine.ingest.position;
      // All tiles that its windows need are kept this long.
      const at = now(log, p) - BigInt(rng.below(Number(micros(plan.latenessMs))));
      asked += comparePast(engine, log, keys, p, at);
    }
    expect(asked).toBeGreaterThan(10_000);
    await engine.close();
  },
  TIMEOUT_MS,
);

test(
  'more keys than the kernel answers at once',
  async () => {
    const log = parseLog(body(wildSmall), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const engine = await openEngine(plan, { disk: new SimulatedDisk(SEED), db: memoryDatabase() });
    await engine.ingest.post(body(wildSmall), 'ndjson');
    const keys = new Map([...keysOf(log)].map(([entity, of]) => [entity, new Array<Value[][]>(80).fill(of).flat()]));
    expect(keys.get('origin')!.length).toBeGreaterThan(engine.folds[0]!.kernel.exports.ANSWER_ROWS.value);
    compareLookups(
      engine,
      log,
      new Map([
        ['origin', keys.get('origin')!],
        ['destination', []],
        ['route', []],
      ]),
    );
    await engine.close();
  },
  TIMEOUT_MS,
);

test('a tile takes events until the moment at which it expires', async () => {
  // 2h windows live in tiles of a minute: those of 2 h + 1 m + 1 h of lateness ago have just expired.
  const flight = (time: string) =>
    new TextEncoder().encode(`{"type":"flight","time":"2001-03-05T${time}Z","data":{"origin":"A","destination":"B"}}`);
  const tileStarts = async (times: string[]) => {
    const engine = await openEngine(plan, { disk: new SimulatedDisk(SEED), db: memoryDatabase() });
    await engine.ingest.post(body(times.map(flight)), 'ndjson');
    engine.ingest.barrier();
    const starts = [...engine.store.scan()].filter(row => row.levelMs === 60_000).map(row => row.tileStartMs);
    await engine.close();
    return [...new Set(starts)].map(ms => new Date(ms).toISOString().slice(11, 16));
  };
  expect(await tileStarts(['12:01:00', '09:00:59'])).toEqual(['12:01']);
  expect(await tileStarts(['12:00:59.999999', '09:00:59'])).toEqual(['09:00', '12:00']);
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
    if (isSame(valueAt(column, row), valueAt(other, 0)) && column.statuses[row] === other.statuses[0]) continue;
    expect({ p, name: column.name, value: valueAt(column, row) }).toEqual({
      p,
      name: column.name,
      value: valueAt(other, 0),
    });
  }
}

function shiftedPlan(of: Plan, offsetMs: number): Plan {
  return { ...of, aggregates: of.aggregates.map(one => ({ ...one, tiles: { ...one.tiles, offsetMs } })) };
}

/**
 * A past moment's answer is that of the log without the events of that moment's tile and later ones, read as if its
 * types' clocks stood there.
 */
function comparePast(engine: Engine, log: Log, keys: Keys, p: number, t: bigint): number {
  const entities = Object.fromEntries(keys) as Record<string, string[][]>;
  const answer = engine.reader.lookup({ features: plan.sets.map(set => `${set.name}:*`), entities, at: t });
  expect([answer.position, answer.timeMicros]).toEqual([null, t]);
  let count = 0;
  for (const [suffix, resolutionMs] of [
    ['2h', 60_000],
    ['1d', 1_800_000],
    ['5d', 1_800_000],
  ] as const) {
    const before = logBefore(log, p, t - (t % micros(resolutionMs)), t);
    for (const { entity, features } of answer.entities)
      for (const column of features.filter(({ name }) => name.endsWith(`_${suffix}`)))
        for (const [row, key] of keys.get(entity)!.entries()) {
          compareValue(plan, column, row, before, key, p + 1, t);
          count++;
        }
  }
  return count;
}

function logBefore(log: Log, p: number, end: bigint, clock: bigint): Log {
  const records = log.records.slice(0, p + 1).map(record => (record.time < end ? record : { ...record, bad: 'later' }));
  const since = records.findLast(record => record.type === 'flight')?.since ?? null;
  const last = { ...log.records[p]!, position: p + 1, type: 'flight', bad: 'a clock', clock, since };
  return { ...log, records: [...records, last] };
}

function micros(ms: number): bigint {
  return BigInt(ms) * 1000n;
}

/** Posts lines up to the given one (from 1), and returns how many are posted now. */
async function bringTo(engine: Engine, lines: Uint8Array[], posted: number, line: number): Promise<number> {
  if (line > posted) await engine.ingest.post(body(lines.slice(posted, line)), 'ndjson');
  return Math.max(line, posted);
}
