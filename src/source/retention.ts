import { KEY_KEPT_MS } from './keys.ts';

/** How much of a log stays in its folder; what is left out bounds nothing. */
export interface Keep {
  /** By arrival: how long ago the last record of a segment may have come. */
  ageMs?: number | undefined;
  /** Of all segments, as they lie on the disk. */
  bytes?: number | undefined;
}

/** A closed segment that is in the folder. */
export interface KeptSegment {
  first: number;
  /** The position after its last record. */
  end: number;
  storedBytes: number;
  lastArrivalMicros: bigint;
  keyedCount: number;
  /** It is not about to be packed. */
  isSettled: boolean;
  isUploaded: boolean;
}

/** Keys of batches are known for a day by the log's arrivals; a wall that is set back by less does not cost one. */
const KEYS_MARGIN_MS = 3_600_000;
const KEYS_NEEDED_MICROS = BigInt(KEY_KEPT_MS + KEYS_MARGIN_MS) * 1000n;

/**
 * Which closed segments leave the folder: the oldest, as far as `keep` no longer wants them.
 *
 * Without a bucket they are gone for good. So none leaves whose records the rows do not contain yet, or whose batches
 * have keys that a retry may still bring; and none that follows one that stays, for a log has no gaps. With a bucket
 * those leave that it has, whatever becomes of the others.
 *
 * @param segments ascending
 * @param otherBytes of what is in the folder besides them
 * @param rowsPosition rows contain, durably, all records before it
 */
export function leaving(
  segments: KeptSegment[],
  keep: Keep,
  { otherBytes, rowsPosition, nowMicros, hasBucket }: Moment,
): KeptSegment[] {
  const { ageMs = Infinity, bytes = Infinity } = keep;
  const gone: KeptSegment[] = [];
  let kept = segments.reduce((sum, { storedBytes }) => sum + storedBytes, otherBytes);
  for (const segment of segments) {
    const isOld = Number(nowMicros - segment.lastArrivalMicros) > ageMs * 1000;
    if (!isOld && kept <= bytes) break;
    const hasKeys = segment.keyedCount > 0 && nowMicros - segment.lastArrivalMicros <= KEYS_NEEDED_MICROS;
    const isFree = segment.isSettled && segment.end <= rowsPosition;
    const mayLeave = isFree && (hasBucket ? segment.isUploaded : !hasKeys);
    if (!mayLeave && !hasBucket) break;
    if (!mayLeave) continue;
    gone.push(segment);
    kept -= segment.storedBytes;
  }
  return gone;
}

export interface Moment {
  otherBytes: number;
  rowsPosition: number;
  nowMicros: bigint;
  hasBucket: boolean;
}
