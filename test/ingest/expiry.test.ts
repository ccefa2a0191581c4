/** Rows that have expired leave the store bit by bit, and no answer changes. */
import { expect, test } from 'bun:test';
import { horizonsOf, keepingOf } from '../../src/ingest/expiry.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { countedIds, type Engine, EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from '../sim/engine.ts';
import { body, smallWeek, tame, wild } from '../sim/flights.ts';
import { compareLookups, keysOf } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';

const plan = flightsPlan();
const small = await smallWeek(12, 11);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The week three times over: an expired tile of the first is long gone in the last. */
function weeks(lines: string[], count: number): string[] {
  return Array.from({ length: count }, (_, week) =>
    lines.map(line => {
      const event = JSON.parse(line) as { time: string };
      return JSON.stringify({ ...event, time: new Date(Date.parse(event.time) + week * 168 * HOUR).toISOString() });
    }),
  ).flat();
}

/** Moments that can just be answered, and some that cannot: with expired rows gone or there it is the same. */
function comparePast(engine: Engine, kept: Engine): void {
  const entities = { origin: ['ATL', 'ORD', 'DFW'] };
  for (const backMs of [1, 30 * MINUTE, HOUR, HOUR + MINUTE, 2 * HOUR, 26 * HOUR])
    for (const window of ['2h', '1d', '5d']) {
      const ask = (of: Engine) => {
        try {
          const at = of.now() - BigInt(backMs) * 1000n;
          return of.reader.lookup({ features: [`origin_delays:delay_sum_${window}`], entities, at }).entities;
        } catch (error) {
          return (error as Error).message;
        }
      };
      expect(ask(engine)).toEqual(ask(kept));
    }
}

test.each([
  ['tame', tame(weeks(small, 3))],
  ['perturbed', wild(weeks(small, 2), 20010305)],
] as const)('%s flights: lookups = oracle, from memory, from the store and after restarts', async (_, lines) => {
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const keys = keysOf(log);
  const random = new Random(7);
  const [disk, db] = [new SimulatedDisk(1), memoryDatabase()];
  const open = () => openEngine(plan, { disk, db, expires: true });
  const kept = await openEngine(plan, { disk: new SimulatedDisk(2), db: memoryDatabase() });
  let engine = await open();
  let expired = 0;
  for (let from = 0; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + random.below(250));
    await engine.ingest.post(body(lines.slice(from, to)), 'ndjson');
    await kept.ingest.post(body(lines.slice(from, to)), 'ndjson');
    engine.ingest.barrier();
    if (random.chance(0.4)) engine.folds[0]!.evict(0);
    if (random.chance(0.2) || to === lines.length) compareLookups(engine, log, keys);
    comparePast(engine, kept);
    if (random.chance(0.2)) {
      expired += engine.here.expiredRows;
      await engine.close();
      engine = await open();
    }
    from = to;
  }
  kept.ingest.barrier();
  const [rows, all] = [rowMap(engine.store), rowMap(kept.store)];
  expired += engine.here.expiredRows;
  expect(expired).toBeGreaterThan(1000);
  expect(rows.size).toBeLessThan(all.size);
  for (const [address, value] of rows) expect(all.get(address)).toBe(value);
  // Swept to the end nothing is left of what is over, and all of what is not.
  const horizons = horizonsOf(keepingOf(plan, engine.ids), engine.store.mark().clocks);
  while (engine.store.sweep(horizons, 1000) > 0 || engine.store.sweep(horizons, 1000) > 0);
  const live = [...kept.store.scan()].filter(
    row => row.tileStartMs >= (horizons.find(h => h.entity === row.entity && h.levelMs === row.levelMs)?.beforeMs ?? 0),
  );
  expect(rowMap(engine.store).size).toBe(live.length);
  compareLookups(engine, log, keys);
  await Promise.all([engine.close(), kept.close()]);
});

test('a level goes when it is over for all sets and event types that write it, and not before', () => {
  const two: Plan = structuredClone(plan);
  two.events.push({ ...two.events[0]!, name: 'landing' });
  const ids = countedIds(two);
  const horizon = (of: Plan, clocks: [string, bigint][], level: number) =>
    horizonsOf(keepingOf(of, ids), new Map(clocks.map(([type, at]) => [type, { at, since: at, jumps: [] }]))).find(
      h => h.entity === 1 && h.levelMs === level,
    )?.beforeMs;
  const clock = (ms: number) => BigInt(ms) * 1000n;
  const at = 1000 * HOUR;
  // The 1 m tiles serve 2 h; they are kept for that, one tile, and the lateness of 1 h.
  expect(horizon(plan, [['flight', clock(at)]], MINUTE)).toBe(at - 3 * HOUR - MINUTE + 1);
  expect(horizon(plan, [['flight', clock(at) - 1n]], MINUTE)).toBe(at - 3 * HOUR - MINUTE);
  expect(horizon(plan, [['flight', clock(at)]], 0)).toBeUndefined();
  expect(horizon(plan, [], MINUTE)).toBeUndefined();
  const mixed = two.aggregates.find(({ entity }) => entity === 'origin')!;
  mixed.event = 'landing';
  expect(horizon(two, [['flight', clock(at)]], MINUTE)).toBeUndefined();
  const both: [string, bigint][] = [
    ['flight', clock(at)],
    ['landing', clock(at - HOUR)],
  ];
  expect(horizon(two, both, MINUTE)).toBe(at - 4 * HOUR - MINUTE + 1);
});
