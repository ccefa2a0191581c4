import { assert } from '../base/assert.ts';
import type { TypeClock } from '../base/time.ts';
import type { Layout } from './layout.ts';

/**
 * The clocks of all event types that have one, by name, as of the prefix that has been seen. Where decoding is further,
 * the jumps are already those of that: a mark for a restart is made where it is not.
 */
export function typeClocks({ kernel, types }: Layout): Map<string, TypeClock> {
  const { exports } = kernel;
  const none = exports.CLOCK_NONE.value;
  const clocks = new Map<string, TypeClock>();
  for (const [type, { event }] of types.entries()) {
    const at = exports.seenClock(type);
    if (at === none) continue;
    const jumps = [exports.typeJump(type), exports.typeLastJump(type)].filter(jump => jump !== none);
    clocks.set(event.name, { at, since: exports.seenSince(type), jumps });
  }
  return clocks;
}

/** For a restart: decoding and reading go on with the clocks as they stood. */
export function resumeClocks({ kernel, types }: Layout, clocks: Map<string, TypeClock>): void {
  const { exports } = kernel;
  const none = exports.CLOCK_NONE.value;
  for (const [type, { event }] of types.entries()) {
    const clock = clocks.get(event.name);
    if (!clock) continue;
    const { at, since, jumps } = clock;
    assert(jumps.length <= 2, `${event.name} remembers ${jumps.length} times`);
    exports.setTypeClock(type, at, jumps.at(-2) ?? none, jumps.at(-1) ?? none);
    exports.setSeen(type, at, since);
  }
}
