/**
 * Windows of every kind, over random tiles and streams: lookups at prefixes, and replayed rows, are the oracle's.
 */
import { describe, expect, test } from 'bun:test';
import { compileSources } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from './disk.ts';
import { type Engine, EVENT_CLOCK, memoryDatabase, openEngine, rowsHash } from './engine.ts';
import { body, tame } from './flights.ts';
import { compareLookups, compareValue, type Keys, valueAt } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

/** `bun scripts/long.ts windows` sets it: more seeds. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = Array.from({ length: LONG ? 60 : 6 }, (_, i) => i + 1);

const TILES = [
  '[1m, 30m, 1d]',
  '[1m, 30m, 1d]',
  '[10s, 1m, 5m, 1h, 6h, 1d]',
  '[1m]',
  '[15m, 45m, 3h]',
  '[1m, 90m, 1d, 7d]',
  ...['[1ms, 1s, 1m, 30m, 1d]', '[1ms, 100ms, 1m, 1h]'],
];
/** Half of them only make sense with tiles of a minute or less. */
const WINDOWS = [
  ...['2h', '1d', '5d', '1d@30m', '45m', 'lifetime', 'tumbling 1h', 'tumbling 1d', 'tumbling 45m', 'tumbling 7d'],
  ...['hopping 1d every 1h', 'hopping 90m every 30m', 'hopping 2h every 45m', '1d offset 7d', '2h offset 10m'],
  ...['90m offset 1h', '1d offset 37m', '45m offset 1d', '7 x 1d', '5 x 2h', '3 x 45m', '3 x 1d offset 2d'],
  ...['exact 10m', 'exact 90m', 'exact 1d'],
  ...['7 x tumbling 1d', '4 x hopping 2h every 1h', 'tumbling 1h offset 1d', 'hopping 1d every 6h offset 30m'],
];
const OFFSETS = ['', 'tile_offset: 5h30m\n', 'tile_offset: 7m\n', 'tile_offset: 30s\n'];

const ITEMS = [
  ...['COUNT(*) AS n', 'SUM(x) AS s', 'AVG(y) AS mean', 'MIN(x) AS low', 'MAX(y) AS high', 'FIRST(x) AS first'],
  ...['LAST(t) AS last', 'SUM(x) FILTER (WHERE y > 0) / COUNT(x) AS ratio', 'COALESCE(MAX(x), 0) AS top'],
  ...['SUM(x * 4000000000000000000) AS huge', 'STDDEV_POP(y) AS spread', 'COUNT(DISTINCT x) AS distinct'],
];

/** Of windows that the tiles can answer: which they are, the compiler says. */
async function randomPlan(rng: Random): Promise<Plan> {
  const set = (name: string, source: string, items: string[], windows: string[], tiles: string) => `---
feature_set: ${name}
entity: who
source: ${source}
windows: ${JSON.stringify(windows)}
${tiles}sql: SELECT who, ${items.join(', ')} FROM ${source} GROUP BY who
`;
  const declared = `events:
  seen: { who: string, x: int64?, y: double?, t: string? }
  heard: { who: string, x: int64?, y: double?, t: string? }
entities: { who: string }
`;
  const sets = await Promise.all(
    ['seen', 'heard'].map(async source => {
      const lengths = `tiles: ${rng.pick(TILES)}\n`;
      const shifted = lengths + rng.pick(OFFSETS);
      const isWhole =
        (await compiled(declared + set(`${source}_set`, source, ITEMS, ['lifetime'], shifted))).faults.length === 0;
      const tiles = isWhole ? shifted : lengths;
      const items = Array.from(new Set([ITEMS[0]!, rng.pick(ITEMS), rng.pick(ITEMS), rng.pick(ITEMS)]));
      const windows: string[] = [];
      for (const window of Array.from({ length: 9 }, () => rng.pick(WINDOWS))) {
        const tried = declared + set(`${source}_set`, source, items, [...windows, window], tiles);
        if ((await compiled(tried)).faults.length === 0) windows.push(window);
      }
      return set(`${source}_set`, source, items, windows.length > 0 ? windows : ['lifetime'], tiles);
    }),
  );
  const { plan, faults } = await compiled(declared + sets.join(''));
  expect(faults.map(({ message }) => message)).toEqual([]);
  return plan;
}

function compiled(text: string) {
  return compileSources([{ file: 'a.yaml', text }], { latenessMs: 3_600_000 });
}

const WHO = ['ann', 'bob', 'çağla', 'nobody'];
const KEYS: Keys = new Map([['who', WHO.map((who): Value[] => [who])]]);
const MINUTE_MS = 60_000;
/** A Monday. */
const START_MS = Date.UTC(2024, 0, 1);

/** About two weeks, in bursts and pauses; some events are on a bound of tiles, some late, a few too late. */
function randomLines(rng: Random, count: number, isLate: boolean): string[] {
  let clockMs = START_MS;
  return Array.from({ length: count }, () => {
    clockMs += rng.chance(0.02) ? rng.below(36 * 60 * MINUTE_MS) : rng.below(25 * MINUTE_MS);
    const lateMs = isLate && rng.chance(0.2) ? rng.below(rng.chance(0.2) ? 9 * 86_400_000 : 100 * MINUTE_MS) : 0;
    const roundMs = rng.chance(0.3) ? rng.pick([MINUTE_MS, 30 * MINUTE_MS, 60 * MINUTE_MS]) : 1;
    const timeMs = Math.floor((clockMs - lateMs) / roundMs) * roundMs;
    const or = (text: string) => (rng.chance(0.1) ? 'null' : text);
    const data = `{"who":"${rng.pick(WHO.slice(0, 3))}","x":${or(String(rng.below(9) - 3))},"y":${or(`${rng.below(100) - 50}.25`)},"t":${or('"a"')}}`;
    return `{"type":"${rng.pick(['seen', 'seen', 'heard'])}","time":"${new Date(timeMs).toISOString()}","data":${data}}`;
  });
}

describe.each(SEEDS)('seed %d', seed => {
  test('lookups at prefixes and replayed rows = oracle, and rows do not show how events were cut', async () => {
    const rng = new Random(seed);
    const plan = await randomPlan(rng);
    const lines = tame(randomLines(rng, 900, true));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const hashes: unknown[] = [];
    for (const [shards, step] of [
      [1, 45],
      [3, 300],
    ] as const) {
      const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase(), shards });
      for (let from = 0; from < lines.length; from += step) {
        await engine.ingest.post(body(lines.slice(from, from + step)), 'ndjson');
        if (rng.chance(0.4)) engine.ingest.barrier();
        if (engine.folds[0]!.dirtyCount === 0 && rng.chance(0.5)) engine.folds[0]!.evict(0);
        if (shards === 1) compareLookups(engine, log, KEYS);
      }
      engine.ingest.barrier();
      hashes.push(rowsHash(engine.store));
      await engine.close();
    }
    expect(hashes[1]).toEqual(hashes[0]);
    await compareReplay(plan, log, lines, rng);
  });

  test('rows leave the store, and memory is too small for them: values are the same', async () => {
    const rng = new Random(seed + 1000);
    const plan = await randomPlan(rng);
    const lines = tame(randomLines(rng, 500, true));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const engine = await openEngine(plan, {
      ...{ disk: new SimulatedDisk(seed), db: memoryDatabase(), foldMemoryBytes: 1, expires: true },
    });
    for (let from = 0; from < lines.length; from += 50) {
      await engine.ingest.post(body(lines.slice(from, from + 50)), 'ndjson');
      engine.ingest.barrier();
      compareLookups(engine, log, KEYS);
      if (from % 100 === 0) comparePast(engine, rng);
    }
    await engine.close();
  });
});

async function compareReplay(plan: Plan, log: Log, lines: Uint8Array[], rng: Random): Promise<void> {
  let row = 0;
  const good = log.records.filter(record => record.bad === null);
  for await (const batch of (await replayed(plan, lines, { memoryBytes: rng.chance(0.5) ? 100_000 : 2 ** 32 })).batches)
    for (let i = 0; i < batch.count; i++, row++) {
      if (row % 5 !== 0) continue;
      const { position, time, inputs } = good[row]!;
      for (const column of batch.columns) compareValue(plan, column, i, log, [inputs.who!], position, time);
    }
  expect(row).toBe(good.length);
}

/** A past moment that is refused says from when on there are answers, and there they are. */
function comparePast(engine: Engine, rng: Random): void {
  const nowMicros = engine.now();
  for (const { name } of engine.plan.features.filter(({ name }) => !name.endsWith('lifetime'))) {
    const ask = (at: bigint) => engine.reader.lookup({ features: [name], entities: { who: ['ann'] }, at });
    const back = BigInt(rng.below(20 * 86_400_000)) * 1000n;
    const refused = refusal(() => ask(nowMicros - back));
    const earliest = /from (\S+) on/.exec(refused ?? '')?.[1];
    if (refused === null || earliest === undefined) continue;
    const firstMicros = BigInt(Date.parse(earliest)) * 1000n;
    if (firstMicros > nowMicros) continue;
    expect([name, refusal(() => ask(firstMicros))]).toEqual([name, null]);
    expect([name, refusal(() => ask(firstMicros - 1n))]).toEqual([name, refused]);
  }
}

function refusal(ask: () => unknown): string | null {
  try {
    ask();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

test('exact windows hold what lies between their start and the moment, to the millisecond', async () => {
  const { plan } = await compiled(`events: { seen: { who: string, x: int64 } }
entities: { who: string }
---
feature_set: s
entity: who
source: seen
tiles: [1ms, 1s, 1m, 30m, 1d]
tile_offset: 7m
windows: [exact 2s, exact 10m, exact 90m, 10m]
sql: SELECT who, COUNT(*) AS n, SUM(x) AS s, LAST(x) AS last FROM seen GROUP BY who
`);
  const rng = new Random(4);
  let ms = START_MS;
  const lines = tame(
    Array.from({ length: 800 }, (_, i) => {
      ms += rng.pick([0, 0, 1, 999, 1000, 2000, 60_000, 600_000, rng.below(90_000)]);
      // Late ones are in no window of those before them, and in all of those after.
      const lateMs = rng.chance(0.2) ? rng.pick([1, 2000, 600_000, rng.below(5_000_000)]) : 0;
      const micros = String(rng.below(1000)).padStart(3, '0');
      const time = new Date(ms - lateMs).toISOString().replace('Z', `${micros}Z`);
      return `{"type":"seen","time":"${time}","data":{"who":"${rng.pick(WHO.slice(0, 2))}","x":${i}}}`;
    }),
  );
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const engine = await openEngine(plan, {
    ...{ disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes: 50_000, expires: true },
  });
  for (let from = 0; from < lines.length; from += 8) {
    await engine.ingest.post(body(lines.slice(from, from + 8)), 'ndjson');
    if (rng.chance(0.5)) engine.ingest.barrier();
    compareLookups(engine, log, KEYS);
  }
  await engine.close();
  await compareReplay(plan, log, lines, rng);
});

test('the days of a series make the window that they are cut from, at any moment', async () => {
  const { plan } = await compiled(`events: { seen: { who: string, x: int64 } }
entities: { who: string }
---
feature_set: s
entity: who
source: seen
windows: [7d@30m, 7 x 1d, 1d, 1d offset 6d]
sql: SELECT who, SUM(x) AS s FROM seen GROUP BY who
derive:
  whole: LIST_SUM(s_7x1d)
  first: s_7x1d[1]
  last: s_7x1d[7]
`);
  const rng = new Random(3);
  const lines = tame(
    randomLines(rng, 700, true).map(line => line.replace('"heard"', '"seen"').replace('"x":null', '"x":1')),
  );
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  for (let from = 0; from < lines.length; from += 20) {
    await engine.ingest.post(body(lines.slice(from, from + 20)), 'ndjson');
    const { entities } = engine.reader.lookup({ features: ['s:*'], entities: { who: ['ann', 'bob'] }, at: null });
    const of = (name: string, row: number) =>
      valueAt(entities[0]!.features.find(each => each.name === `s:${name}`)!, row);
    for (const row of [0, 1]) {
      expect([of('whole', row), of('first', row), of('last', row)]).toEqual([
        of('s_7d', row),
        of('s_1d', row),
        of('s_1d_offset_6d', row),
      ]);
    }
  }
  await engine.close();
});
