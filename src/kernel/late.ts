import { assert } from '../base/assert.ts';
import type { Behind } from '../base/metrics.ts';
import { REFUSALS_KEPT, type Refusal, type Refusals } from '../base/refusal.ts';
import type { TypeClock } from '../base/time.ts';
import type { Kernel } from './instance.ts';
import type { Layout } from './layout.ts';

/** What one tile level of a group of aggregates has refused: indices into the layout's groups, and into their levels. */
export interface Refused extends Refusals {
  group: number;
  level: number;
}

/** What levels have refused since this was asked last, of whatever has been tiled. */
export function takeRefused({ kernel, groups }: Layout): Refused[] {
  const { exports } = kernel;
  if (exports.refusedNow.value === 0) return [];
  const taken: Refused[] = [];
  for (const [group, { index, group: laid }] of groups.entries())
    for (const level of laid.levels.keys()) {
      const start = exports.refusalsOf(index, level) >>> 0;
      const refusals = refusalsAt(kernel, start);
      if (!refusals) continue;
      taken.push({ group, level, ...refusals });
      exports.forgetRefusals(start);
    }
  assert(exports.refusedNow.value === 0, 'what was refused has been taken');
  return taken;
}

/** Tiles that are over by these clocks, of event types by name, are not made from now on: nothing reads them any more. */
export function passOver({ kernel, groups, types }: Layout, clocks: Map<string, TypeClock>): void {
  for (const { index, group } of groups) {
    const clock = clocks.get(types[group.type]!.event.name);
    if (clock) kernel.exports.setHorizon(index, clock.at);
  }
}

/** Words of 8 bytes: the count, how many of the latest are kept, the first, the latest. */
function refusalsAt(kernel: Kernel, start: number): Refusals | null {
  const { exports } = kernel;
  assert(exports.REFUSALS_KEPT.value === REFUSALS_KEPT, 'the kernels keep as many as are kept elsewhere');
  const words = exports.REFUSAL_SIZE.value / 8;
  const view = kernel.longs(start, 2 + words * (1 + REFUSALS_KEPT));
  const count = Number(view[0]);
  if (count === 0) return null;
  const at = (word: number): Refusal => ({
    position: Number(view[word]),
    timeMicros: view[word + 1]!,
    clockMicros: view[word + 2]!,
  });
  const latest = Array.from({ length: Number(view[1]) }, (_, i) => at(2 + words * (1 + i)));
  return { count, first: at(2), latest };
}

/**
 * How far events were behind the clock of their type when they came, since the kernel was made: for each type, in the
 * layout's order, a count for each of `behindBounds`, one for what is beyond all of them, and the sum in microseconds.
 */
export function behindCounts({ kernel, types }: Layout): number[] {
  const size = kernel.exports.BEHIND_BOUNDS.value + 2;
  return [...types.keys()].flatMap(type => {
    return Array.from(kernel.longs(kernel.exports.typeBehind(type) >>> 0, size), Number);
  });
}

/** `behindCounts` by the names of event types; 0 throughout where there are none yet. */
export function behindOf({ kernel, types }: Layout, counts: number[]): Behind {
  const bounds = behindBounds(kernel);
  const size = bounds.length + 2;
  return {
    bounds: bounds.map(micros => micros / 1e6),
    types: types.map(({ event }, i) => {
      const own = Array.from({ length: size }, (_, n) => counts[i * size + n] ?? 0);
      return { type: event.name, counts: own.slice(0, -1), seconds: own.at(-1)! / 1e6 };
    }),
  };
}

/** Upper bounds in microseconds, ascending; the first is 0, for events that are on time. */
export function behindBounds(kernel: Kernel): number[] {
  const { exports } = kernel;
  return Array.from(kernel.longs(exports.behindBounds() >>> 0, exports.BEHIND_BOUNDS.value), Number);
}
