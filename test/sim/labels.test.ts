/** Features as of labels, and lookups as of moments: each is what a lookup would have answered at its time, at the last position whose clock was not later. */
import { expect, test } from 'bun:test';
import { loadKernel } from '../../src/kernel/instance.ts';
import { keyBytes } from '../../src/kernel/key.ts';
import { layPlan } from '../../src/kernel/load.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import { type Label, labelled } from '../../src/replay/labels.ts';
import { answersAt, type Moment } from '../../src/replay/moments.ts';
import { Spill } from '../../src/replay/spill.ts';
import { AHEAD_MAX_MS, type Clock, type Source } from '../../src/source/source.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { countedIds, EVENT_CLOCK, memoryDatabase, PLENTY_BYTES } from './engine.ts';
import { body, smallWeek, wild } from './flights.ts';
import { compareValue, keysOf } from './judge.ts';
import { Random } from './random.ts';
import * as upserts from './upserts.ts';
import { packKernel } from '../../src/kernel/sealing.ts';

const DAY_MICROS = 86_400_000_000n;

interface Told extends Label {
  names: (Value[] | null)[];
}

/** @param arrivals of each line, where the wall is the clock */
function sourceOf(lines: Uint8Array[], clock: Clock, arrivals: bigint[] | null): Source {
  const step = arrivals ? 1 : 500;
  return {
    clock,
    async *read() {
      for (let from = 0; from < lines.length; from += step) {
        const bytes = body(lines.slice(from, from + step));
        yield { bytes, arrivalMicros: arrivals?.[from] ?? null, file: 'log', line: from + 1 };
      }
    },
  };
}

/** The last position at which the log's clock was not later. */
function positionAt(log: Log, timeMicros: bigint): number {
  const beyond = log.records.findIndex(({ now }) => now > timeMicros);
  return (beyond < 0 ? log.records.length : beyond) - 1;
}

/** A log that is laid out afresh, as the oracle has it too, with times of it to ask about. */
async function logOf(plan: Plan, lines: Uint8Array[], memoryBytes: number, clock: Clock) {
  const arrivals = clock.kind === 'wall' ? lines.map((_, i) => 1_704_067_200_000_000n + BigInt(i) * 7_000_000n) : null;
  const { maxJumpMs } = clock;
  const told = parseLog(body(lines), plan, { clock: 'event', maxJumpMs });
  // A line that is rejected has no position.
  const ofRecords = arrivals && told.records.map(({ line }) => arrivals[line - 1]!);
  const log = ofRecords ? parseLog(body(lines), plan, { clock: 'wall', maxJumpMs, arrivals: ofRecords }) : told;
  const layout = layPlan(await loadKernel(), plan, countedIds(plan), { clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  const spill = new Spill(layout, memoryBytes, () => sqliteStore(memoryDatabase(), packKernel()));
  const times = log.records.flatMap(({ time }, i) => [time, ofRecords?.[i] ?? time]);
  return { layout, spill, source: sourceOf(lines, clock, arrivals), log, times };
}

async function compareLabels(
  plan: Plan,
  lines: Uint8Array[],
  memoryBytes: number,
  clock: Clock,
  random: Random,
  keysIn = keysOf,
) {
  const { layout, spill, source, log, times } = await logOf(plan, lines, memoryBytes, clock);
  const asked = [...layout.lookups.values()].map(answer => ({ answer, features: [...answer.features.values()] }));
  const keys = keysIn(log);
  const labels: Told[] = Array.from({ length: 150 }, () => {
    const time = random.pick(times);
    const timeMicros = random.chance(0.1)
      ? random.pick([times[0]! - 400n * DAY_MICROS, times[0]! + 900n * DAY_MICROS])
      : time;
    const names = asked.map(({ answer }) => (random.chance(0.1) ? null : random.pick(keys.get(answer.entity)!)));
    const encoded = names.map((name, i) => {
      const entity = plan.entities.find(one => one.name === asked[i]!.answer.entity)!;
      return name && keyBytes(entity, name as string[]);
    });
    return { timeMicros: timeMicros + BigInt(random.below(3) - 1), keys: encoded, names };
  }).sort((a, b) => (a.timeMicros < b.timeMicros ? -1 : Number(a.timeMicros > b.timeMicros)));
  let bad = 0;
  const batches = labelled<Told>({
    ...{ layout, spill, source, asked },
    labels: (async function* () {
      yield* labels;
    })(),
    onRejected: () => {},
    onBad: () => bad++,
  });
  const found: Told[] = [];
  for await (const batch of batches) {
    found.push(...batch.labels);
    for (const [row, { timeMicros, names }] of batch.labels.entries()) {
      const p = positionAt(log, timeMicros);
      let at = 0;
      for (const [i, { features }] of asked.entries())
        for (const _ of features) {
          const column = batch.columns[at++]!;
          const key = names[i]!;
          if (key === null) expect([column.name, column.nulls[row]]).toEqual([column.name, 1]);
          else compareValue(plan, column, row, log, key, p, timeMicros);
        }
      expect(at).toBe(batch.columns.length);
    }
  }
  expect(found).toEqual(labels);
  return { spill, bad, log };
}

const SEEDS = process.env.TILEFOLD_LONG ? 20 : 1;

test('labels = oracle at the last position before them, by either clock and with little memory', async () => {
  const week = await smallWeek(6, 12);
  for (let seed = 1; seed <= SEEDS; seed++)
    for (const [kind, memoryBytes] of [
      ['event', PLENTY_BYTES],
      ['event', 15_000],
      ['wall', 15_000],
    ] as const) {
      const random = new Random(seed);
      const { spill } = await compareLabels(
        flightsPlan(),
        wild(week, seed),
        memoryBytes,
        { ...EVENT_CLOCK, kind },
        random,
      );
      expect(spill.writtenRows > 0).toBe(memoryBytes < PLENTY_BYTES);
    }
});

test('labels over upserts, where what was bad is told', async () => {
  const lines = upserts.upsertLines(800, new Random(3));
  const { bad, log } = await compareLabels(
    upserts.plan,
    lines,
    PLENTY_BYTES,
    EVENT_CLOCK,
    new Random(4),
    () => new Map([['shop', upserts.SHOPS.map(shop => [shop])]]),
  );
  expect(bad).toBe(log.records.filter(one => one.bad !== null).length);
});

test('lookups at moments = oracle, in whatever order they are asked, and those of now behind the last record', async () => {
  const plan = flightsPlan();
  const lines = wild(await smallWeek(6, 12), 1);
  for (const kind of ['event', 'wall'] as const) {
    const random = new Random(9);
    const { layout, spill, source, log, times } = await logOf(plan, lines, 15_000, { ...EVENT_CLOCK, kind });
    const keys = keysOf(log);
    const names = new Map<Moment, Value[]>();
    for (let i = 0; i < 60; i++) {
      const { entity, name: set } = random.pick(plan.sets);
      const key = random.pick(keys.get(entity)!);
      const atMicros = random.chance(0.1) ? null : random.pick(times) + BigInt(random.below(3) - 1);
      names.set({ features: [`${set}:*`], entity, key: key.length > 1 ? key : key[0], atMicros } as Moment, key);
    }
    const moments = [...names.keys()];
    const answers = await answersAt({ layout, spill, source, onRejected: () => {}, onBad: () => {} }, moments);
    expect(spill.writtenRows).toBeGreaterThan(0);
    for (const [i, moment] of moments.entries()) {
      const p = moment.atMicros === null ? log.records.length - 1 : positionAt(log, moment.atMicros);
      const { position, timeMicros, entities } = answers[i]!;
      expect([position, timeMicros]).toEqual([p, moment.atMicros ?? timeMicros]);
      for (const column of entities[0]!.features) compareValue(plan, column, 0, log, names.get(moment)!, p, timeMicros);
    }
  }
});
