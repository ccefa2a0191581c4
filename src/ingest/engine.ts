import type { Behind } from '../base/metrics.ts';
import type { ThreadStages } from '../base/stages.ts';
import type { TypeClock } from '../base/time.ts';
import type { FoldedRow } from '../kernel/folded_row.ts';
import type { BadEvent } from '../kernel/ndjson.ts';
import type { Clock } from '../source/source.ts';
import type { TakeEnriched } from './enrich.ts';
import type { RefusedCount } from './late.ts';

/**
 * Where lines of the log become rows: in this thread (`here.ts`) or in several (`shard/crew.ts`). Whichever it is, rows,
 * answers and errors are the same to the last bit.
 */
export interface Engine {
  /** Records folded: the position of the next one. Whatever is asked from now on contains them. */
  readonly folded: number;
  /** Rows deleted from the store since the start, because nothing could read them any more. */
  readonly expiredRows: number;
  /** Rows written to the store since the start. */
  readonly writtenRows: number;
  /** Where the time of threads other than the opener's goes. */
  stages(): ThreadStages[];
  /** The greatest clock of any event type as far as it has folded; null before the first event of a declared type. */
  greatestClock(): bigint | null;
  /** Late events that tiles no longer took, of all that it has folded since the rows began. */
  refused(): RefusedCount[];
  /** Events by how far they were behind their type's clock, of what has been decoded since the start. */
  behind(): Behind;
  /** Each event type's clock as far as it has folded, by name. */
  clocks(): Map<string, TypeClock>;
  /**
   * Folds whole lines that have passed the door, the next ones of the log, and resolves when whatever is asked later
   * contains them. It may be called again before that. The bytes stay as they are until `room` resolves.
   *
   * A failure is told to the engine's `onFailure` too: memory is part of the way, and only a restart makes it whole.
   *
   * @param position of the first line
   * @param isBehind more of the log follows, and nobody asks before it is folded too: there is no hurry but to the end
   * @param take is handed what these events are answered with, where records are taken one after the other
   */
  fold(
    lines: Uint8Array,
    position: number,
    arrivalMicros: bigint | null,
    isBehind?: boolean,
    take?: TakeEnriched | null,
  ): Promise<void>;
  /**
   * Merges rows that were made elsewhere of aggregates which this plan does not have. They stand for no position of the
   * log: `progress` says how far that has come, and reaches the store in the same transaction.
   */
  merge(rows: FoldedRow[], progress: string): void;
  /** Resolves when there is room for more lines. Where all that were given are `isBehind`, `folded` is then behind the last of them. */
  room(): Promise<void>;
  /**
   * Rows changed since the last barrier, bad events and the position that they stand for go to the store in one
   * transaction. In this thread it is done when this returns; with several, when it resolves.
   */
  barrier(): void | Promise<void>;
  /** Where there is time: brings some of what the store has in many runs together, if it has. */
  settle(): void | Promise<void>;
  /** Writes what is in memory, and stops. What is being folded is waited for by the caller. */
  close(): void | Promise<void>;
}

/**
 * Of the memory for rows, so much may dirty ones take, written out, before a barrier is brought forward. A pack of rows is
 * written once by it however many of them have changed, so a row costs less the more there are.
 */
export const DIRTY_SHARE = 1 / 2;

/**
 * The moment of a lookup that names none, microseconds since 1970 UTC.
 *
 * @param wallMicros the wall, live
 */
export function nowOf(engine: Engine, clock: Clock, wallMicros: () => bigint): bigint {
  return clock.kind === 'wall' ? wallMicros() : (engine.greatestClock() ?? 0n);
}

/** Told of what is worth counting; never of single events that count. */
export interface Watcher {
  /** An event that was logged and counts nowhere. */
  bad(code: string): void;
  /** Changed rows are in the store. */
  barrier(seconds: number, rows: number): void;
  /** So many records of the log are folded, of so many that it had on opening. */
  caughtUp?(folded: number, end: number): void;
}

/** A logged event that counts nowhere, with its place in the log. */
export interface BadRecord extends BadEvent {
  position: number;
}

/** Events that wait to be written with the next barrier as errors: more of them bring the barrier forward. */
export const ERRORS_PENDING_MAX = 1000;
