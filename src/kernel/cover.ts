import { assert } from '../base/assert.ts';
import type { TileRange } from '../plan/window.ts';
import type { Kernel } from './instance.ts';
import type { AnswerLayout } from './layout.ts';

/** The tiles of all windows at a moment, joined to one range per level. */
export function tileRanges(kernel: Kernel, answer: AnswerLayout): TileRange[] {
  const { exports } = kernel;
  const ranges = windowRanges(kernel, answer);
  assert(exports.rangesCount(answer.index) === ranges.length, 'ranges do not change while they are read');
  const joined = new Map<number, TileRange>();
  for (const { levelMs, fromMs, toMs } of ranges) {
    const known = joined.get(levelMs);
    if (!known) joined.set(levelMs, { levelMs, fromMs, toMs });
    else {
      known.fromMs = Math.min(known.fromMs, fromMs);
      known.toMs = Math.max(known.toMs, toMs);
    }
  }
  return [...joined.values()];
}

/** What memory may lack of the key that `answerKey` stopped at, ascending by level. */
export function gapsOf(kernel: Kernel, answer: AnswerLayout): TileRange[] {
  const { exports } = kernel;
  const count = exports.gapsCount(answer.index);
  const view = kernel.doubles(exports.gapsStart(answer.index), count * 3);
  return Array.from({ length: count }, (_, i) => ({
    levelMs: view[i * 3]!,
    fromMs: view[i * 3 + 1]!,
    toMs: view[i * 3 + 2]!,
  }));
}

/** The cover of each window (by its index in the layout) at the moment that `coverAt` has set. */
export function windowRanges(kernel: Kernel, answer: AnswerLayout): (TileRange & { window: number })[] {
  const { exports } = kernel;
  const count = exports.rangesCount(answer.index);
  const view = kernel.doubles(exports.rangesStart(answer.index), count * 4);
  return Array.from({ length: count }, (_, i) => ({
    levelMs: view[i * 4]!,
    fromMs: view[i * 4 + 1]!,
    toMs: view[i * 4 + 2]!,
    window: view[i * 4 + 3]!,
  }));
}
