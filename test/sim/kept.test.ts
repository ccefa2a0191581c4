/** What lookups leave in memory shows in no answer: with room for all, for some and for none, and beside the oracle. */
import { expect, test } from 'bun:test';
import { answerJson } from '../../src/http/columnar.ts';
import type { Lookup } from '../../src/read/read.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { HOUR_MS } from '../oracle/fixtures/spell.ts';
import { parseLog } from '../oracle/log.ts';
import { now } from '../oracle/naive.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, type Engine, memoryDatabase, openEngine } from './engine.ts';
import { body, smallWeek, tame } from './flights.ts';
import { compareValue, keysOf } from './judge.ts';
import { Random } from './random.ts';

const plan = flightsPlan();
const SETS = plan.sets.map(set => `${set.name}:*`);

/** Room for all, for some rows, and for none: there nothing that is read stays. */
const BOUNDS = [2 ** 32, 150_000, 80_000, 40_000, 20_000, 1];

function open(foldMemoryBytes: number): Promise<Engine> {
  const disk = new SimulatedDisk(1);
  return openEngine(plan, { disk, db: memoryDatabase(), foldMemoryBytes, expires: true });
}

/** Events in bursts of a minute, hours apart: within one, lookups have the same cover, and only rows change. */
function inBursts(line: string, i: number): string {
  const timeMs = Date.UTC(2001, 2, 5) + Math.floor(i / 30) * 5 * HOUR_MS + (i % 30) * 1_500;
  return line.replace(/"time":"[^"]*"/, `"time":"${new Date(timeMs).toISOString()}"`);
}

/** The reply, or why there is none. */
function answerOf(engine: Engine, lookup: Lookup): string {
  try {
    return new TextDecoder().decode(answerJson(engine.reader.lookup(lookup)));
  } catch (error) {
    return String(error);
  }
}

test.each([
  [1, 'over a week', (line: string) => line],
  [2, 'over a week', (line: string) => line],
  [3, 'in bursts', inBursts],
  [4, 'in bursts', inBursts],
] as const)('folding, barriers, eviction, expiry and lookups in any order: seed %d, %s', async (seed, _, timed) => {
  const random = new Random(seed);
  const lines = tame((await smallWeek(6, 12)).map(timed));
  const log = parseLog(Buffer.from(body(lines)).toString(), plan, {
    clock: 'event',
    maxJumpMs: EVENT_CLOCK.maxJumpMs,
  });
  const keys = keysOf(log);
  const engines = await Promise.all(BOUNDS.map(open));
  let asked = 0;
  for (let from = 0; from < lines.length; ) {
    const step = 1 + random.below(12);
    for (const { ingest } of engines) await ingest.post(body(lines.slice(from, from + step)), 'ndjson');
    from += step;
    const isBarrier = random.chance(0.3);
    for (const { ingest } of engines) if (isBarrier) ingest.barrier();
    const entities = Object.fromEntries(
      [...keys].map(([entity, all]) => [
        entity,
        Array.from({ length: random.below(3) }, () => random.pick(all) as string[]),
      ]),
    );
    const one = random.pick(plan.features);
    const lookup = random.chance(0.5)
      ? { features: SETS, entities, at: null }
      : { features: [one.name], entities: { [one.entity]: keys.get(one.entity) as string[][] }, at: null };
    const answers = engines.map(engine => answerOf(engine, lookup));
    for (const answer of answers) expect(answer).toBe(answers[0]!);
    const atMicros = now(log, engines[0]!.ingest.position) - BigInt(random.below(3 * 86_400)) * 1_000_000n;
    const past = engines.map(engine => answerOf(engine, { features: SETS, entities, at: atMicros }));
    for (const answer of past) expect(answer).toBe(past[0]!);
    if (!random.chance(0.1)) continue;
    const p = engines[0]!.ingest.position;
    for (const { entity, features: columns } of engines[1]!.reader.lookup({ features: SETS, entities, at: null })
      .entities)
      for (const column of columns)
        for (const [row, key] of entities[entity]!.entries()) {
          compareValue(plan, column, row, log, key, p, now(log, p));
          asked++;
        }
  }
  expect(asked).toBeGreaterThan(100);
  const evicted = engines.map(({ folds }) => folds[0]!.evicted);
  expect(evicted[0]).toBe(0);
  expect(evicted.at(-1)).toBeGreaterThan(500);
  await Promise.all(engines.map(engine => engine.close()));
});

test('rows that were read once are not read again, nor is their absence, until they leave memory', async () => {
  const lines = tame(await smallWeek(6, 12));
  const disk = new SimulatedDisk(1);
  const db = memoryDatabase();
  const first = await openEngine(plan, { disk, db });
  await first.ingest.post(body(lines), 'ndjson');
  await first.close();
  let reads = 0;
  const second = await openEngine(plan, {
    ...{ disk, db },
    wrapStore(store) {
      const readKey: typeof store.readKey = (...asked) => {
        reads++;
        store.readKey(...asked);
      };
      return { ...store, readKey };
    },
  });
  const entities = {
    origin: ['ATL', 'ORD', '???'],
    route: [
      ['ATL', 'ORD'],
      ['???', '???'],
    ],
  };
  const ask = () =>
    answerOf(second, { features: SETS.filter(set => !set.startsWith('destination')), entities, at: null });
  const before = ask();
  expect(reads).toBe(5);
  expect([ask(), reads]).toEqual([before, 5]);
  second.folds[0]!.evict(0);
  expect([ask(), reads]).toEqual([before, 10]);
  await second.close();
});

test("what was kept expires with its type's clock, though neither its rows nor its tiles have changed", async () => {
  const strict = { ...plan, latenessMs: 1_000 };
  const clock = { kind: 'wall', maxJumpMs: EVENT_CLOCK.maxJumpMs } as const;
  let wallMs = Date.UTC(2001, 2, 5, 0, 0, 28);
  const nowMicros = () => BigInt(wallMs) * 1000n;
  const engine = await openEngine(strict, { disk: new SimulatedDisk(1), db: memoryDatabase(), clock, nowMicros });
  const post = (origin: string) => {
    const data = { origin, destination: 'ORD', delay: 1 };
    const line = JSON.stringify({ type: 'flight', time: new Date(wallMs).toISOString(), data });
    return engine.ingest.post(body(tame([line])), 'ndjson');
  };
  const features = ['origin_delays:flights_2h', 'origin_delays:flights_lifetime'];
  const ask = () => answerOf(engine, { features, entities: { origin: ['ATL'] }, at: null });
  await post('ATL');
  expect(ask()).toContain('"origin_delays:flights_2h":{"values":[1],"statuses":["WARMING"]');
  wallMs += 2_000;
  await post('JFK');
  wallMs -= 2_000;
  expect(ask()).toContain('"origin_delays:flights_2h":{"values":[null],"statuses":["EXPIRED"]}');
  await engine.close();
});
