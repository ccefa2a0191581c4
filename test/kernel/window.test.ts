/** The cover of a window by tiles, against brute force. */
import { describe, expect, test } from 'bun:test';
import type { Kernel } from '../../src/kernel/instance.ts';
import type { AnswerLayout } from '../../src/kernel/layout.ts';
import { tileRanges, windowRanges } from '../../src/kernel/cover.ts';
import { INT64, STRING } from '../../src/plan/value.ts';
import { firstMomentMs, type TiledWindow, type TileRange } from '../../src/plan/window.ts';
import { aggregate, column, feature, plan, read, required, sliding } from '../oracle/fixtures/spell.ts';
import { Random } from '../sim/random.ts';
import { eventType, layout } from './columns.ts';

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;
const W = 7 * D;

interface Shape {
  levelsMs: number[];
  offsetMs: number;
  /** (length, resolution) of each window. */
  windows: [number, number][];
  /** Windows of other kinds, after those. */
  over?: TiledWindow[];
}

const USUAL: Shape = {
  levelsMs: [M, 30 * M, D],
  offsetMs: 0,
  windows: [
    [2 * H, M],
    [D, 30 * M],
    [5 * D, 30 * M],
    [5 * D, M],
  ],
};
const SHAPES: [string, Shape][] = [
  ['the usual tiles', USUAL],
  ['tiles moved by 5h30m', { ...USUAL, offsetMs: 5 * H + 30 * M }],
  ['tiles moved the other way', { ...USUAL, offsetMs: -3 * H - 30 * M }],
  [
    'tiles of one level',
    {
      levelsMs: [30 * M],
      offsetMs: 7 * M,
      windows: [
        [2 * H, 30 * M],
        [W, 30 * M],
        [10 * M, 30 * M],
      ],
    },
  ],
  [
    'weeks',
    {
      levelsMs: [H, D, W],
      offsetMs: 4 * D,
      windows: [
        [W, H],
        [30 * D, D],
        [26 * W, W],
      ],
    },
  ],
  [
    'seconds up to days',
    {
      levelsMs: [S, M, 30 * M, 6 * H, D],
      offsetMs: 0,
      windows: [
        [90 * S, S],
        [H, S],
        [3 * D, M],
      ],
    },
  ],
  [
    'a window shorter than its tile',
    {
      levelsMs: [H, D],
      offsetMs: 0,
      windows: [
        [M, H],
        [D, D],
        [25 * H, D],
      ],
    },
  ],
];

async function answerOf(shape: Shape): Promise<{ kernel: Kernel; answer: AnswerLayout }> {
  const key = column('k', STRING);
  const set = { name: 's', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
  const { levelsMs, offsetMs, windows, over = [] } = shape;
  const all = [...windows.map(([lengthMs, resolutionMs]) => sliding(lengthMs, resolutionMs)), ...over];
  const of = await layout(
    plan({
      events: [eventType('e', [required('k', STRING)])],
      entities: [{ name: 'k', keys: [STRING], at: null }],
      aggregates: [aggregate('s:n', 'e', [key], 'count', null, { entity: 'k', tiles: { levelsMs, offsetMs } })],
      sets: [set],
      features: all.map((window, i) => feature(set, `n_${i}`, read('s:n', INT64, { window }))),
    }),
  );
  return { kernel: of.kernel, answer: of.lookups.get('k')! };
}

/** The cover of each window at a time in milliseconds, its ranges ascending. */
function covers(
  { kernel, answer }: { kernel: Kernel; answer: AnswerLayout },
  timeMs: number,
  isPast: boolean,
): TileRange[][] {
  kernel.exports.coverAt(answer.index, BigInt(timeMs) * 1000n, isPast ? 1 : 0);
  const found: TileRange[][] = answer.windows.map(() => []);
  for (const { window, ...range } of windowRanges(kernel, answer)) found[window]!.push(range);
  return found.map(ranges => ranges.sort((a, b) => a.fromMs - b.fromMs));
}

function floorTo(ms: number, step: number, offset: number): number {
  const past = (((ms - offset) % step) + step) % step;
  return ms - past;
}

/** Ranges follow on each other from `from` to `to`, each on the grid of its level. */
function checkExact(ranges: TileRange[], from: number, to: number, offsetMs: number): void {
  let at = from;
  for (const { levelMs, fromMs, toMs } of ranges) {
    const onGrid = (ms: number) => ms === Infinity || floorTo(ms, levelMs, offsetMs) === ms;
    if (fromMs !== at || toMs <= fromMs || !onGrid(fromMs) || !onGrid(toMs))
      throw new Error(`[${from}, ${to}): a range of ${levelMs} from ${fromMs} to ${toMs} stands at ${at}`);
    at = toMs;
  }
  if (at !== Math.max(from, to)) throw new Error(`[${from}, ${to}): covered up to ${at} only`);
}

/** The least number of tiles of these levels that make up [from, to), by trying all. */
function fewestTiles(from: number, to: number, levelsMs: number[], offsetMs: number): number {
  const unit = levelsMs[0]!;
  const fewest = [0];
  for (let end = from + unit; end <= to; end += unit) {
    const ways = levelsMs.filter(levelMs => end - levelMs >= from && floorTo(end, levelMs, offsetMs) === end);
    fewest.push(1 + Math.min(...ways.map(levelMs => fewest[(end - levelMs - from) / unit]!)));
  }
  return fewest.at(-1)!;
}

/** The least number of tiles that hold all from `from` on and have begun by `at`, by trying all. */
function fewestBegun(from: number, at: number, levelsMs: number[], offsetMs: number): number {
  const unit = levelsMs[0]!;
  const count = Math.max(0, Math.floor((at - from) / unit) + 1);
  const fewest = new Array<number>(count).fill(0);
  for (let i = count - 1; i >= 0; i--) {
    const ways = levelsMs.filter(levelMs => floorTo(from + i * unit, levelMs, offsetMs) === from + i * unit);
    // Where a tile goes past the moment nothing more is needed.
    fewest[i] = 1 + Math.min(...ways.map(levelMs => fewest[i + levelMs / unit] ?? 0));
  }
  return fewest[0] ?? 0;
}

function begunCount(ranges: TileRange[], at: number): number {
  const begun = ({ levelMs, fromMs, toMs }: TileRange) => Math.ceil((Math.min(toMs, at + 1) - fromMs) / levelMs);
  return ranges.reduce((sum, range) => sum + Math.max(0, begun(range)), 0);
}

function tileCount(ranges: TileRange[]): number {
  return ranges.reduce((sum, { levelMs, fromMs, toMs }) => sum + (toMs - fromMs) / levelMs, 0);
}

const WEEK_START = Date.parse('2001-03-04T00:00:00Z');

describe.each(SHAPES)('%s', (_, shape) => {
  const { levelsMs, offsetMs } = shape;
  const coarsest = levelsMs.at(-1)!;

  /** Checks every window at a moment; `count` compares the numbers of tiles with brute force, too. */
  function check(of: { kernel: Kernel; answer: AnswerLayout }, timeMs: number, count: boolean): void {
    for (const isPast of [false, true])
      for (const [i, ranges] of covers(of, timeMs, isPast).entries()) {
        const { lengthMs, resolutionMs } = of.answer.windows[i]!;
        const from = floorTo(timeMs - lengthMs, resolutionMs, offsetMs);
        const to = isPast ? floorTo(timeMs, resolutionMs, offsetMs) : Infinity;
        checkExact(ranges, from, to, offsetMs);
        if (!count) continue;
        const levels = levelsMs.filter(levelMs => levelMs >= resolutionMs);
        // An open cover ends in coarsest tiles without end: what is before them is to be small.
        const finite = isPast ? ranges : ranges.slice(0, -1);
        const end = isPast ? to : floorTo(from + coarsest - 1, coarsest, offsetMs);
        if (!isPast) expect(ranges.at(-1)).toEqual({ levelMs: coarsest, fromMs: end, toMs: Infinity });
        if (from < end) expect(tileCount(finite)).toBe(fewestTiles(from, end, levels, offsetMs));
      }
  }

  test('every minute of a week: no gap, no overlap, and nothing else', async () => {
    const of = await answerOf(shape);
    for (let minute = 0; minute < 7 * 24 * 60; minute++) check(of, WEEK_START + minute * M, false);
  });

  test('no other cover has fewer tiles', async () => {
    const of = await answerOf(shape);
    const rng = new Random(1);
    for (let i = 0; i < 25; i++) check(of, WEEK_START + rng.below(W), true);
    for (const ms of [0, -1, 1, D, D - 1, -D, coarsest, offsetMs, offsetMs - 1]) check(of, WEEK_START + ms, true);
  });

  test('before 1970, at the ends of time, and within a millisecond', async () => {
    const of = await answerOf(shape);
    const rng = new Random(2);
    for (const ms of [0, -1, 1, -M, -D - 1, -W, Date.UTC(9999, 11, 31), -62_167_219_200_000]) check(of, ms, false);
    for (let i = 0; i < 500; i++) check(of, -rng.below(400) * W - rng.below(W), i < 10);
    const { kernel, answer } = of;
    for (const ms of [WEEK_START, -WEEK_START, -1]) {
      const whole = covers(of, ms, true);
      kernel.exports.coverAt(answer.index, BigInt(ms) * 1000n + 999n, 1);
      expect(windowRanges(kernel, answer).length).toBe(whole.flat().length);
      checkExact(
        sorted(windowRanges(kernel, answer).filter(r => r.window === 0)),
        whole[0]![0]?.fromMs ?? 0,
        whole[0]?.at(-1)?.toMs ?? 0,
        offsetMs,
      );
    }
  });
});

function sorted(ranges: TileRange[]): TileRange[] {
  return ranges.toSorted((a, b) => a.fromMs - b.fromMs);
}

test.each([
  ['from midnight', 0],
  ['moved by 5h30m', 5 * H + 30 * M],
])('every minute of a week, tiles %s: no other rows are fewer, now or at a past moment', async (_, offsetMs) => {
  const shape = { ...USUAL, offsetMs, windows: USUAL.windows.slice(0, 3) };
  const of = await answerOf(shape);
  for (let timeMs = WEEK_START; timeMs < WEEK_START + W; timeMs += M)
    for (const isPast of [false, true])
      for (const [i, ranges] of covers(of, timeMs, isPast).entries()) {
        const { lengthMs, resolutionMs, levelsMs } = of.answer.windows[i]!;
        const from = floorTo(timeMs - lengthMs, resolutionMs, offsetMs);
        const to = floorTo(timeMs, resolutionMs, offsetMs);
        const [found, fewest] = isPast
          ? [tileCount(ranges), fewestTiles(from, to, levelsMs, offsetMs)]
          : [begunCount(ranges, timeMs), fewestBegun(from, timeMs, levelsMs, offsetMs)];
        if (found !== fewest)
          expect({ timeMs, isPast, lengthMs, found }).toEqual({ timeMs, isPast, lengthMs, found: fewest });
      }
});

const OVER: [window: TiledWindow, from: (timeMs: number, floor: typeof floorTo) => number, lengthMs: number][] = [
  [
    { kind: 'offset', lengthMs: D, resolutionMs: 30 * M, agoMs: W },
    (timeMs, floor) => floor(timeMs - W - D, 30 * M, 0),
    D,
  ],
  [
    { kind: 'offset', lengthMs: 2 * H, resolutionMs: M, agoMs: 37 * M + 1 },
    (timeMs, floor) => floor(timeMs - 37 * M - 1 - 2 * H, M, 0),
    2 * H,
  ],
  [
    { kind: 'hopping', lengthMs: H, resolutionMs: 30 * M, everyMs: H, agoMs: 0 },
    (timeMs, floor) => floor(timeMs, H, 0) - H,
    H,
  ],
  [
    { kind: 'hopping', lengthMs: 45 * M, resolutionMs: M, everyMs: 45 * M, agoMs: 0 },
    (timeMs, floor) => floor(timeMs, 45 * M, 0) - 45 * M,
    45 * M,
  ],
  [
    { kind: 'hopping', lengthMs: D, resolutionMs: 30 * M, everyMs: 6 * H, agoMs: D + 10 * M },
    (timeMs, floor) => floor(timeMs - D - 10 * M, 6 * H, 0) - D,
    D,
  ],
];

test.each([
  ['from midnight', 0],
  ['moved by 5h30m', 5 * H + 30 * M],
])(
  'every minute of a week, tiles %s: windows that are over have their bounds, and the fewest tiles',
  async (_, offsetMs) => {
    const over = OVER.map(([window]) => window);
    const of = await answerOf({ levelsMs: USUAL.levelsMs, offsetMs, windows: [], over });
    const floor = (ms: number, step: number) => floorTo(ms, step, offsetMs);
    for (let timeMs = WEEK_START; timeMs < WEEK_START + W; timeMs += M)
      for (const isPast of [false, true])
        for (const [i, ranges] of covers(of, timeMs + 999, isPast).entries()) {
          const [, start, lengthMs] = OVER[i]!;
          const from = start(timeMs + 999, floor);
          checkExact(ranges, from, from + lengthMs, offsetMs);
          const fewest = fewestTiles(from, from + lengthMs, of.answer.windows[i]!.levelsMs, offsetMs);
          if (tileCount(ranges) !== fewest)
            expect({ timeMs, i, found: tileCount(ranges) }).toEqual({ timeMs, i, found: fewest });
          // The first moment that has this window is the one at which its last tile is over.
          const first = firstMomentMs(over[i]!, from, offsetMs);
          if (first > timeMs + 999 || start(first, floor) !== from || start(first - 1, floor) >= from)
            expect({ timeMs, i, first }).toEqual({ timeMs, i, first: -1 });
        }
  },
);

test('2 hours at 3:37 pm', async () => {
  const of = await answerOf(USUAL);
  const at = (text: string) => Date.parse(`2001-03-05T${text}Z`);
  const nextDay = Date.parse('2001-03-06T00:00:00Z');
  expect(covers(of, at('15:37:42.5'), false)[0]).toEqual([
    { levelMs: M, fromMs: at('13:37:00'), toMs: at('14:00:00') },
    { levelMs: 30 * M, fromMs: at('14:00:00'), toMs: nextDay },
    { levelMs: D, fromMs: nextDay, toMs: Infinity },
  ]);
  expect(begunCount(covers(of, at('15:37:42.5'), false)[0]!, at('15:37:42.5'))).toBe(27);
  expect(covers(of, at('15:37:42.5'), true)[0]).toEqual([
    { levelMs: M, fromMs: at('13:37:00'), toMs: at('14:00:00') },
    { levelMs: 30 * M, fromMs: at('14:00:00'), toMs: at('15:30:00') },
    { levelMs: M, fromMs: at('15:30:00'), toMs: at('15:37:00') },
  ]);
});

test('with an offset of 5h30m days begin at 5:30 UTC', async () => {
  const of = await answerOf({ levelsMs: [30 * M, D], offsetMs: 5 * H + 30 * M, windows: [[D, 30 * M]] });
  const at = (text: string) => Date.parse(`2001-03-${text}Z`);
  expect(covers(of, at('05T15:37:00'), false)[0]).toEqual([
    { levelMs: 30 * M, fromMs: at('04T15:30:00'), toMs: at('05T05:30:00') },
    { levelMs: D, fromMs: at('05T05:30:00'), toMs: Infinity },
  ]);
});

test('ranges joined for the store hold every range of their level', async () => {
  const of = await answerOf(USUAL);
  for (let hour = 0; hour < 48; hour++)
    for (const isPast of [false, true]) {
      const all = covers(of, WEEK_START + hour * H + 7 * M, isPast).flat();
      const joined = tileRanges(of.kernel, of.answer);
      expect(new Set(joined.map(range => range.levelMs)).size).toBe(joined.length);
      for (const { levelMs, fromMs, toMs } of all) {
        const one = joined.find(range => range.levelMs === levelMs)!;
        expect(one.fromMs <= fromMs && toMs <= one.toMs).toBe(true);
      }
    }
});
