/**
 * Where events come from. Everything above this file reads blocks of whole lines and knows no files.
 *
 * A source is a sequence of records; a record's position is its index in that sequence, from 0. Lines that are
 * rejected at the door (not JSON, no type, no time) have no position: in an event log there are none, in a file
 * that somebody else wrote there may be.
 */
export interface Source {
  /** How the log's time passes. Fixed when the log is made: it is part of what its features mean. */
  readonly clock: Clock;
  /**
   * Blocks in order, from the record at position `from`: all that the source holds at the time of the call. A block
   * is not empty, is at most `BLOCK_MAX_BYTES` long, and ends where a line ends (the last block of a file may lack
   * the newline). Block bytes are only valid until the next block is asked for.
   *
   * A line too long for a block comes cut, but still over `LINE_MAX_BYTES`: the kernel refuses it for its length as
   * it would the whole line, and no block has to grow for it.
   *
   * @throws Fault `corrupt`, with file and byte offset, where stored bytes are not what was written
   */
  read(from: number): AsyncIterable<Block>;
}

export interface Block {
  /** Whole lines of NDJSON. */
  bytes: Uint8Array;
  /** When these records arrived, microseconds since 1970 UTC; null where the source does not know. */
  arrivalMicros: bigint | null;
  /** For messages: where the block's first line stands. `line` counts from 1; null where it follows on the block before (`numbered`). */
  file: string;
  line: number | null;
}

export interface Clock {
  /**
   * - `event`: now is the greatest event time so far.
   * - `wall`: now is the arrival of the latest record, and live, the wall.
   */
  kind: 'event' | 'wall';
  /** An event further ahead of its type's clock (`event`) is bad: one wrong year must not expire everything else. */
  maxJumpMs: number;
}

/** A record's line without its newline; also bounds what one record can cost in every buffer behind the door. */
export const LINE_MAX_BYTES = 1 << 20;

/** Large enough that a call into the kernel costs nothing beside its work, and that every legal line fits. */
export const BLOCK_MAX_BYTES = LINE_MAX_BYTES + (64 << 10);

export const MAX_JUMP_DEFAULT_MS = 31 * 86_400_000;

/** An event this far ahead of its arrival is bad, where that is known. */
export const AHEAD_MAX_MS = 10 * 60_000;
