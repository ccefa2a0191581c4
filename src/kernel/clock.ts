import { assert } from '../base/assert.ts';
import type { TypeClock } from '../base/time.ts';
import type { Layout } from './layout.ts';

/**
 * The clocks of all event types, in the order of their numbers: for each `at`, `since`, and the latest two jumps, the
 * older one first; CLOCK_NONE for what is not there. So they pass between threads.
 */
export type Clocks = BigInt64Array;

const WORDS = 4;

/** The greatest of them as far as events are folded; null before the first event of a declared type. */
export function greatestClock({ kernel: { exports } }: Layout): bigint | null {
  const greatest = exports.greatestClock();
  return greatest === exports.CLOCK_NONE.value ? null : greatest;
}

/** Where decoding has come to. */
export function decodedClocks({ kernel, types }: Layout): Clocks {
  const { exports } = kernel;
  const clocks = new BigInt64Array(types.length * WORDS);
  for (const type of types.keys())
    clocks.set(
      [exports.typeClock(type), exports.typeSince(type), exports.typeJump(type), exports.typeLastJump(type)],
      type * WORDS,
    );
  return clocks;
}

/** Decoding goes on from there. */
export function resumeDecoding({ kernel, types }: Layout, clocks: Clocks): void {
  for (const type of types.keys()) {
    const [at, since, jump, lastJump] = clocks.subarray(type * WORDS, (type + 1) * WORDS);
    kernel.exports.setTypeClock(type, at!, since!, jump!, lastJump!);
  }
}

/** What is read from now on is read as of them. */
export function seeClocks({ kernel, types }: Layout, clocks: Clocks): void {
  for (const type of types.keys()) kernel.exports.setSeen(type, clocks[type * WORDS]!, clocks[type * WORDS + 1]!);
}

/** The greatest; null before the first event of any type. */
export function greatestOf({ kernel, types }: Layout, clocks: Clocks): bigint | null {
  const none = kernel.exports.CLOCK_NONE.value;
  let greatest = none;
  for (const type of types.keys()) if (clocks[type * WORDS]! > greatest) greatest = clocks[type * WORDS]!;
  return greatest === none ? null : greatest;
}

/** For a mark: those of types that have one, by name. */
export function namedClocks({ kernel, types }: Layout, clocks: Clocks): Map<string, TypeClock> {
  const none = kernel.exports.CLOCK_NONE.value;
  const named = new Map<string, TypeClock>();
  for (const [type, { event }] of types.entries()) {
    const [at, since, ...jumps] = clocks.subarray(type * WORDS, (type + 1) * WORDS);
    if (at !== none) named.set(event.name, { at: at!, since: since!, jumps: jumps.filter(jump => jump !== none) });
  }
  return named;
}

/** `namedClocks` back again. */
export function clocksOf({ kernel, types }: Layout, named: Map<string, TypeClock>): Clocks {
  const none = kernel.exports.CLOCK_NONE.value;
  const clocks = new BigInt64Array(types.length * WORDS).fill(none);
  for (const [type, { event }] of types.entries()) {
    const clock = named.get(event.name);
    if (!clock) continue;
    const { at, since, jumps } = clock;
    assert(jumps.length <= 2, `${event.name} remembers ${jumps.length} times`);
    clocks.set([at, since, jumps.at(-2) ?? none, jumps.at(-1) ?? none], type * WORDS);
  }
  return clocks;
}

/**
 * As of the prefix that has been seen, for a mark. Where decoding is further, the jumps are already those of that: a mark
 * for a restart is made where it is not.
 */
export function typeClocks(layout: Layout): Map<string, TypeClock> {
  const { exports } = layout.kernel;
  const clocks = decodedClocks(layout);
  for (const type of layout.types.keys()) clocks.set([exports.seenClock(type), exports.seenSince(type)], type * WORDS);
  return namedClocks(layout, clocks);
}

/** For a restart: decoding and reading go on with the clocks as they stood. */
export function resumeClocks(layout: Layout, named: Map<string, TypeClock>): void {
  const clocks = clocksOf(layout, named);
  resumeDecoding(layout, clocks);
  seeClocks(layout, clocks);
}
