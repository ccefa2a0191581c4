/**
 * What is explained is what is answered: the value is the lookup's, the tiles are those of the window, each holds what the
 * oracle makes of its own events, and together they make the value.
 */
import { describe, expect, test } from 'bun:test';
import { STATUS } from '../../src/kernel/window.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import type { KeyInput } from '../../src/kernel/key.ts';
import type { ExplainedRead } from '../../src/read/explain.ts';
import { feature, LIFETIME, read } from '../oracle/fixtures/spell.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { now, value } from '../oracle/naive.ts';
import { SimulatedDisk } from './disk.ts';
import { type Engine, EVENT_CLOCK, memoryDatabase, openEngine } from './engine.ts';
import { body, smallWeek, tame } from './flights.ts';
import { isSame, keysOf, valueAt } from './judge.ts';
import { Random } from './random.ts';

const plan = flightsPlan();

/** The same with every aggregate over its lifetime: of a log with the events of one tile that is what the tile holds. */
const bare: Plan = {
  ...plan,
  features: plan.aggregates.map(({ name, type }) => {
    const set = plan.sets.find(each => name.startsWith(`${each.name}:`))!;
    return feature(set, name.slice(set.name.length + 1), read(name, type, { window: LIFETIME }));
  }),
};

const lines = tame(await smallWeek(8, 12));
const clock = { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs } as const;
const log = parseLog(body(lines), plan, clock);

/** Of the first records the events in [fromMs, toMs). */
function within(p: number, fromMs: number, toMs: number): Log {
  const kept = lines.filter((_, i) => {
    const ms = Number(log.records[i]!.time / 1000n);
    return i <= p && ms >= fromMs && ms < toMs;
  });
  return parseLog(body(kept), bare, clock);
}

function checkTiles(explained: ExplainedRead, key: Value[], p: number): void {
  const { merged, cover, tiles, values } = explained;
  expect(cover.reduce((sum, range) => sum + range.held, 0)).toBe(tiles.length);
  for (const [i, { levelMs, startMs }] of tiles.entries()) {
    const range = cover.find(one => one.levelMs === levelMs && one.fromMs <= startMs && startMs < one.toMs);
    expect([levelMs, startMs, range !== undefined]).toEqual([levelMs, startMs, true]);
    if (i % 3 > 0) continue;
    const of = levelMs === 0 ? within(p, -Infinity, Infinity) : within(p, startMs, startMs + levelMs);
    const wanted = value(bare, of, merged.name, key, of.records.length - 1, now(of, of.records.length - 1));
    if (!isSame(valueAt(values, i), wanted.value))
      expect({ tile: startMs, of: merged.name, value: valueAt(values, i) }).toEqual({
        ...{ tile: startMs, of: merged.name, value: wanted.value },
      });
  }
  // Counts and sums of tiles add up; the others are judged by what they merge to, which is the lookup's.
  if (/:(flights|late|delay_sum)$/.test(merged.name)) {
    const sum = tiles.reduce((total, _, i) => total + ((valueAt(values, i) as bigint | null) ?? 0n), 0n);
    expect([merged.name, valueAt(merged, 0)]).toEqual([merged.name, sum]);
  }
}

function explainOne(engine: Engine, name: string, key: Value[], at: bigint | null): void {
  const { entity } = plan.features.find(each => each.name === name)!;
  const asked = (key.length === 1 ? key[0] : key) as KeyInput;
  const explanation = engine.reader.explain({ feature: name, key: asked, at });
  const answer = engine.reader.lookup({ features: [name], entities: { [entity]: [asked] }, at });
  const [looked] = answer.entities[0]!.features;
  expect([explanation.timeMicros, explanation.position]).toEqual([answer.timeMicros, answer.position]);
  const shown = (column: typeof explanation.answer) => [valueAt(column, 0), STATUS[column.statuses[0]!]];
  expect([name, ...shown(explanation.answer)]).toEqual([name, ...shown(looked!)]);
  for (const each of explanation.reads) {
    expect(each.reason === null).toBe(each.merged.statuses[0] === 0);
    if (at === null) checkTiles(each, key, engine.ingest.position);
  }
  // A derived feature is what its expression makes of those beside it, which are looked up too.
  for (const from of explanation.from) {
    const [beside] = engine.reader.lookup({ features: [from.name], entities: { [entity]: [asked] }, at }).entities[0]!
      .features;
    expect([from.name, ...shown(from)]).toEqual([from.name, ...shown(beside!)]);
  }
}

describe.each([
  ['from memory', Number.POSITIVE_INFINITY],
  ['from memory and the store', 100_000],
  ['from the store', 1],
])('%s', (_, foldMemoryBytes) => {
  test('at many prefixes, of random features and keys', async () => {
    const rng = new Random(7);
    const keys = keysOf(log);
    const engine = await openEngine(plan, {
      ...{ disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes, expires: true },
    });
    for (let from = 0; from < lines.length; from += 60) {
      await engine.ingest.post(body(lines.slice(from, from + 60)), 'ndjson');
      engine.ingest.barrier();
      for (let i = 0; i < 8; i++) {
        const one = rng.pick(plan.features);
        const isWindow = !one.name.endsWith('lifetime');
        const back = BigInt(rng.below(3_600_000)) * 1000n;
        const at = isWindow && rng.chance(0.3) ? now(log, engine.ingest.position) - back : null;
        explainOne(engine, one.name, rng.pick(keys.get(one.entity)!), at);
      }
    }
    await engine.close();
  });
});

test('a feature that nobody knows, a set, and a key of another shape are refused', async () => {
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  const explain =
    (feature: string, key: KeyInput, at: bigint | null = null) =>
    () =>
      engine.reader.explain({ feature, key, at });
  expect(explain('origin_delays:flight_2h', 'ATL')).toThrow('did you mean "origin_delays:flights_2h"?');
  expect(explain('origin_delays:*', 'ATL')).toThrow('one feature is explained at a time');
  expect(explain('origin_delays:flights_2h', ['ATL', 'ORD'])).toThrow('has 1 parts, got 2');
  expect(explain('origin_delays:flights_2h', 'ATL', 10n ** 18n)).toThrow('later than now');
  await engine.close();
});
