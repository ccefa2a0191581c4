import type { BadRecord } from '../ingest/engine.ts';
import type { Clocks } from '../kernel/clock.ts';
import type { Refused } from '../kernel/late.ts';
import { BLOCK_MAX_BYTES } from '../source/source.ts';

/** Lines that nobody waits for, on their way through all shards at once. */
export interface Stretch {
  /** The caller's until they are sent. */
  lines: Uint8Array;
  /** Where they are for the shards; null before they are sent, and where there are none. */
  slot: SharedArrayBuffer | null;
  position: number;
  arrivalMicros: bigint | null;
  /** So many shards have not folded it. */
  left: number;
  /** What they say of it: the first one for all of them, but for what tiles of each no longer took. */
  count: number;
  clocks: Clocks | null;
  bad: BadRecord[];
  refused: Refused[];
  done: PromiseWithResolvers<void>;
}

export function makeStretch(
  lines: Uint8Array,
  position: number,
  arrivalMicros: bigint | null,
  shards: number,
): Stretch {
  const done = Promise.withResolvers<void>();
  // Whoever waits for it hears of a failure.
  done.promise.catch(() => {});
  const unsaid = { slot: null, count: 0, clocks: null, bad: [], refused: [] };
  return { lines, position, arrivalMicros, left: shards, done, ...unsaid };
}

/** Stretches under way: a shard that folds what it has gathered takes some ten milliseconds, and the others go on meanwhile. */
const SLOTS_MAX = 8;

/** Shared memory for the lines of stretches, which is used again and again. */
export class Slots {
  readonly #free: SharedArrayBuffer[] = [];
  #taken = 0;

  /** The lines where all shards can read them; null where as many are under way as there may be. */
  share(lines: Uint8Array): Uint8Array<SharedArrayBuffer> | null {
    if (this.#taken === SLOTS_MAX) return null;
    this.#taken++;
    let slot = this.#free.pop();
    if (!slot || slot.byteLength < lines.length) slot = new SharedArrayBuffer(Math.max(BLOCK_MAX_BYTES, lines.length));
    const shared = new Uint8Array(slot, 0, lines.length);
    shared.set(lines);
    return shared;
  }

  /** All shards have read it. */
  giveBack(slot: SharedArrayBuffer): void {
    this.#taken--;
    this.#free.push(slot);
  }
}

/** What is sent where nothing but the end of what was gathered is meant. */
export const NO_LINES = new Uint8Array(new SharedArrayBuffer(0));
