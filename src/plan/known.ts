import { floorDiv, MICROS_PER_MS } from '../base/time.ts';
import type { Window } from './expression.ts';
import { floorTile, isTiled, LIFETIME_LEVEL_MS } from './window.ts';

/** What the rows of an aggregate know of the log. A window that reaches back further is WARMING. */
export interface Known {
  /** The first record that it counts. */
  position: number;
  /** Every event from this time on is in it, microseconds since 1970 UTC; null where it knows all that its event type has. */
  sinceMicros: bigint | null;
  /** Levels that came later than the others, or keep tiles for longer than they did at first. */
  levels: KnownLevel[];
  /** Its rows have a lifetime that is no longer kept up: there can be no other under the same number. */
  hasOldLifetime: boolean;
}

/** What is there from the first record on. */
export const ALL_KNOWN: Known = { position: 0, sinceMicros: null, levels: [], hasOldLifetime: false };

export interface KnownLevel {
  /** 0 is the lifetime. */
  levelMs: number;
  /** The first record that it counts. */
  position: number;
  /** Tiles that start at or after it are whole. */
  sinceMicros: bigint;
}

/** Is there nothing that it does not know? */
export function isWhole({ sinceMicros, levels }: Known): boolean {
  return sinceMicros === null && levels.length === 0;
}

/** What a window is to be told of what its aggregate does not know. */
export interface WindowKnown {
  /** Microseconds since 1970 UTC. */
  sinceMicros: bigint;
  /** Tiles that start before it are left alone: some may be there, and others not. */
  floorMs: number;
}

/**
 * Of a window over an aggregate: it reads the level that it moves by and the coarser ones. Null where it can know all.
 *
 * An aggregate that came later has all events from a position on, so all its tiles say the same: nothing is left out of
 * them. Of levels that differ, only what is whole is read.
 */
export function windowKnown({ sinceMicros, levels }: Known, window: Window): WindowKnown | null {
  const read = levels.filter(({ levelMs }) =>
    isTiled(window) ? levelMs >= window.resolutionMs : levelMs === LIFETIME_LEVEL_MS,
  );
  let latest = sinceMicros;
  for (const level of read) if (latest === null || level.sinceMicros > latest) latest = level.sinceMicros;
  if (latest === null) return null;
  const whole = read.map(level => Number(level.sinceMicros / MICROS_PER_MS));
  const floorMs = isTiled(window) && whole.length > 0 ? Math.max(...whole) : UNBOUNDED_MS;
  return { sinceMicros: latest, floorMs };
}

/** Before every tile. */
const UNBOUNDED_MS = -(2 ** 53);

/** The start of the first tile that begins at or after a moment. */
export function ceilTile(micros: bigint, levelMs: number, offsetMs: number): number {
  const ms = Number(-floorDiv(-micros, MICROS_PER_MS));
  return floorTile(ms - 1, levelMs, offsetMs) + levelMs;
}
