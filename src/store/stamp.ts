/**
 * Which of two writes of a row stays, where several processes may write it.
 *
 * All changes of a row come in one partition of a changelog, and one process folds that partition; but one that has lost it
 * may not know yet, and what it has sent may arrive at any time. So each row says up to where it has been folded (`applied`),
 * and the database keeps the value with the greatest stamp, whatever comes first:
 *
 *   position   1    2    3    4         of the partition
 *   appended   70   70   69   90        microseconds, by the broker's clock, which may stand still or go back
 *   stamp      70   71   72   90        at least one more than the one before, and else when it was appended
 *
 * A row that is folded up to a position is written with the stamp of that position. Stamps are a function of the partition
 * alone, and ascend: whoever has folded further wins, and two who have folded equally far write the same. They are near the
 * time of day, as a database wants them that puts what was written at one time together.
 */

/** How far a row has been folded, and what its write is ordered by. */
export interface Version {
  /** See `appliedAt`. */
  applied: bigint;
  /** Microseconds since 1970 UTC, or a little more. */
  stamp: bigint;
}

/** Before the first position of a partition. */
export const NO_STAMP = 0n;

/** The stamp of the next position, which was appended then. */
export function nextStamp(stamp: bigint, appendedMicros: bigint): bigint {
  return appendedMicros > stamp ? appendedMicros : stamp + 1n;
}

/** Bits of a position: more messages than a partition will ever have. */
const POSITION_BITS = 48n;

/** Changelogs that may follow on each other. */
export const EPOCH_MAX = 2 ** 15 - 1;

/**
 * A position in a partition of the `epoch`th changelog, as one number: partitions of another count are another changelog,
 * begun when the one before it is folded.
 */
export function appliedAt(epoch: number, position: bigint): bigint {
  return (BigInt(epoch) << POSITION_BITS) | position;
}
