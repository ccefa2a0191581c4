/**
 * Windows that run along with the rows of hot keys (assembly/running.ts), against their twin, the cover: random topologies over
 * random logs, with events that are late, early and of equal times, and each answer compared bit by bit.
 */
import { describe, expect, test } from 'bun:test';
import { paymentLines, paymentsPlan } from '../../scripts/bench/sequence.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { setRunning } from '../../src/kernel/running.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { parseLog } from '../oracle/log.ts';
import { eventRow } from '../oracle/naive.ts';
import { EVENT_CLOCK } from './engine.ts';
import { body, tame } from './flights.ts';
import { isSame, valueAt } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';
import { randomTopology, randomTopologyLines } from './topologies.ts';

const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = Array.from({ length: LONG ? 300 : 10 }, (_, i) => i + 1);

/** What states that run along may take, and from how many rows of a cover on there are any. */
interface Settings {
  bytes: number;
  rows: number;
  memoryBytes?: number;
}

const START_MS = Date.UTC(2024, 0, 1);

const LOGINS_READ_BY_PAYMENTS = `
event login
k := $.k as string
event payment
k := $.k as string
n := Count<login>(by k last 15 seconds)
`;

const MANY_IN_A_WINDOW = `
event payment
k := $.k as string
n := Count(by k last 300 seconds)
`;

const RARELY_WRITTEN = `
event payment
k := $.k as string
odd := $.odd as bool
n := Count(by k where odd last 50 seconds)
all := Count(by k last 50 seconds)
`;

const COVER: Settings = { bytes: 0, rows: 1 };
const RUNNING: Settings = { bytes: 1 << 20, rows: 1 };

/** All answers as one text, and the most that states took. */
async function answersOf(plan: Plan, lines: Uint8Array[], { bytes, rows, memoryBytes = 2 ** 32 }: Settings) {
  const { batches, kernel } = await replayed(plan, lines, { memoryBytes });
  setRunning(kernel, bytes, rows);
  const answers: string[] = [];
  const wrong: string[] = [];
  let sizeMax = 0;
  for await (const { count, positions, columns, errors } of batches) {
    sizeMax = Math.max(sizeMax, kernel.exports.runningSize());
    for (let i = 0; i < count; i++)
      for (const column of columns) {
        const value = valueAt(column, i);
        const text = Array.isArray(value) ? value.map(String).join() : Object.is(value, -0) ? '-0' : String(value);
        answers.push(`${positions[i]} ${column.name} ${text} ${column.statuses[i]}`);
      }
    wrong.push(...errors.map(({ position, feature, text }) => `${position} ${feature}: ${text}`));
  }
  return { answers: [...answers, ...wrong.sort()], sizeMax };
}

describe.each(SEEDS)('seed %d', seed => {
  test('windows that run along = the cover, with room for all states, for few, and with rows that leave', async () => {
    const rng = new Random(seed + 9000);
    const plan = randomTopology(rng, 4 + rng.below(8));
    const lines = tame(randomTopologyLines(rng, 250, rng.pick([1000, 60_000, 172_800_000])));
    const { answers: wanted, sizeMax } = await answersOf(plan, lines, COVER);
    expect(sizeMax).toBe(0);
    for (const settings of [
      RUNNING,
      { ...RUNNING, bytes: 3000 },
      { ...RUNNING, memoryBytes: 1 },
      { ...RUNNING, bytes: 3000, memoryBytes: 1 },
      { ...RUNNING, rows: 12 },
    ]) {
      const { answers } = await answersOf(plan, lines, settings);
      const at = answers.findIndex((answer, i) => answer !== wanted[i]);
      expect([at, answers[at], answers.length]).toEqual([-1, undefined, wanted.length]);
    }
  });

  test('windows that run along = oracle', async () => {
    const rng = new Random(seed + 9500);
    const plan = randomTopology(rng, 6);
    const lines = tame(randomTopologyLines(rng, 100));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const { batches, kernel } = await replayed(plan, lines);
    setRunning(kernel, RUNNING.bytes, RUNNING.rows);
    for await (const { count, positions, columns, types } of batches)
      for (let i = 0; i < count; i++) {
        const position = Number(positions[i]!);
        const wanted = eventRow(plan, log, position)!;
        for (const column of columns) {
          const [event, name] = column.name.split('.') as [string, string];
          const [want, got] = [event === types[i] ? wanted[name]! : null, valueAt(column, i)];
          if (!isSame(got, want)) expect([position, column.name, got]).toEqual([position, column.name, want]);
        }
      }
  });
});

test('a reader that is earlier than the last one has what had left by then, though nothing is later than it', async () => {
  const { plan, faults } = await compileSources([{ file: 'a.scowl', text: LOGINS_READ_BY_PAYMENTS }], {
    latenessMs: 60_000,
  });
  expect(faults).toEqual([]);
  const event = (type: string, second: number) =>
    new TextEncoder().encode(JSON.stringify({ type, time: START_MS + second * 1000, data: { k: 'a' } }));
  const lines = [
    event('login', 0),
    event('login', 10),
    event('payment', 12),
    event('payment', 24),
    event('payment', 14),
  ];
  const { answers } = await answersOf(plan, [...lines, event('payment', 26)], RUNNING);
  const counts = answers.filter(answer => answer.includes('payment.n ') && !answer.includes('null'));
  expect(counts.map(answer => answer.split(' ')[2])).toEqual(['2', '1', '2', '0']);
});

test('rows that have left memory before they leave the window are read back, where the key itself has stayed', async () => {
  const { plan, faults } = await compileSources([{ file: 'a.scowl', text: MANY_IN_A_WINDOW }], { latenessMs: 60_000 });
  expect(faults).toEqual([]);
  const rng = new Random(1);
  const lines = Array.from({ length: 1_000 }, (_, i) => {
    const data = { k: `k${rng.below(8)}` };
    return new TextEncoder().encode(JSON.stringify({ type: 'payment', time: START_MS + i * 500, data }));
  });
  const { answers: wanted } = await answersOf(plan, lines, COVER);
  // Room for some of the rows of each key.
  const { answers, sizeMax } = await answersOf(plan, lines, { ...RUNNING, memoryBytes: 60_000 });
  expect(sizeMax).toBeGreaterThan(0);
  expect(answers.findIndex((answer, i) => answer !== wanted[i])).toBe(-1);
});

test('a key with nothing new of what is read, further back than is looked for, is answered by the cover', async () => {
  const { plan, faults } = await compileSources([{ file: 'a.scowl', text: RARELY_WRITTEN }], { latenessMs: 60_000 });
  expect(faults).toEqual([]);
  // When the window begins to move, and would run along, the last one is 30 rows back.
  const odd = [20, 75];
  const lines = Array.from({ length: 100 }, (_, i) => {
    const data = { k: 'a', odd: odd.includes(i) };
    return new TextEncoder().encode(JSON.stringify({ type: 'payment', time: START_MS + i * 1000, data }));
  });
  const { answers, sizeMax } = await answersOf(plan, lines, { ...RUNNING, rows: 2 });
  expect(sizeMax).toBeGreaterThan(0);
  const counts = answers.filter(answer => answer.includes('payment.n ')).map(answer => answer.split(' ')[2]);
  expect(counts).toEqual(lines.map((_, i) => String(odd.filter(at => at >= i - 50 && at <= i).length)));
});

test('hot keys have states, which take no more than they may, and none where they may take nothing', async () => {
  const [plan, lines] = [paymentsPlan(), paymentLines(4_000)];
  const cover = await answersOf(plan, lines, COVER);
  const running = await answersOf(plan, lines, { bytes: 1 << 20, rows: 12 });
  expect(running.answers).toEqual(cover.answers);
  // That of the busiest customer alone has the exact sums of doubles of a window.
  expect(running.sizeMax).toBeGreaterThan(2_000);
  const few = await answersOf(plan, lines, { bytes: 12_000, rows: 1 });
  expect(few.answers).toEqual(cover.answers);
  expect(few.sizeMax).toBeGreaterThan(0);
  expect(few.sizeMax).toBeLessThanOrEqual(12_000);
});
