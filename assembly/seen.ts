/** What the prefix of the log that is being read has seen of each type of event, and by that, what has expired. */
import { recordClock, recordCount, recordType } from './batch';
import { CLOCK_NONE } from './event_type';

let latenessMicros: i64 = 0;
const TYPES_MAX: i32 = 4096;

/**
 * Clocks of the types as of the prefix that is being read (decoding may already be further), and what each clock showed
 * after the first record that moved it: before that nothing is known of the type.
 */
const seen: usize = memory.data(4096 * 8, 8);
const since: usize = memory.data(4096 * 8, 8);
for (let i = 0; i < TYPES_MAX; i++) setSeen(i, CLOCK_NONE, CLOCK_NONE);

export function setLateness(latenessMs: f64): void {
  latenessMicros = <i64>latenessMs * 1000;
}

/** The prefix now holds records [from, to) of the batch too. */
export function seeRecords(from: i32, to: i32): void {
  assert(from >= 0 && from <= to && to <= recordCount);
  for (let record = <usize>from; record < <usize>to; record++) {
    const type = load<i32>(recordType + (record << 2));
    const clock = load<i64>(recordClock + (record << 3));
    if (type < 0 || clock == CLOCK_NONE) continue;
    const at = <usize>type << 3;
    if (load<i64>(seen + at) == CLOCK_NONE) store<i64>(since + at, clock);
    store<i64>(seen + at, clock);
  }
}

/** For a restart: both as they stood. */
export function setSeen(type: i32, clock: i64, first: i64): void {
  assert(<u32>type < <u32>TYPES_MAX);
  store<i64>(seen + (<usize>type << 3), clock);
  store<i64>(since + (<usize>type << 3), first);
}

export function seenClock(type: i32): i64 {
  assert(<u32>type < <u32>TYPES_MAX);
  return load<i64>(seen + (<usize>type << 3));
}

/** CLOCK_NONE before the type's first record that moved its clock. */
export function seenSince(type: i32): i64 {
  assert(<u32>type < <u32>TYPES_MAX);
  return load<i64>(since + (<usize>type << 3));
}

/** Is a moment of reading earlier than the clock of what is read by more than may be? */
@inline
export function lateBefore(clock: i64, timeMicros: i64): bool {
  return clock != CLOCK_NONE && timeMicros < clock - latenessMicros;
}
