/**
 * Events that come late. Those of each type are counted by how far they are behind its clock; of those that a tile level
 * no longer takes it is known how many they are, which was the first, and which were the latest, until that is taken.
 */
import { allocateZeroed } from './memory';

// --- behind the clock

/** Upper bounds in microseconds, ascending: on time, 100 ms, 1 s, 10 s, 1 min, 10 min, 1 h, 6 h, 1 d, 7 d. */
export const BEHIND_BOUNDS: i32 = 10;
const bounds: usize = memory.data<i64>([
  0, 100_000, 1_000_000, 10_000_000, 60_000_000, 600_000_000, 3_600_000_000, 21_600_000_000, 86_400_000_000,
  604_800_000_000,
]);

export function behindBounds(): usize {
  return bounds;
}

/** By how many bits a number has: the first bound that is not below all numbers of so many. */
const firstBounds: usize = memory.data(65);
for (let bits: i32 = 1; bits <= 64; bits++) {
  let bound: u8 = 0;
  while (<i32>bound < BEHIND_BOUNDS && load<i64>(bounds + (<usize>bound << 3)) < (<i64>1 << (bits - 1))) bound++;
  store<u8>(firstBounds + bits, bound);
}

/** Room for the counts of one type: one for each bound, one for what is beyond all, and the sum in microseconds. */
export function makeBehind(): usize {
  return allocateZeroed(<usize>(BEHIND_BOUNDS + 2) << 3);
}

/** Events that are on time until they are found to be behind, or bad. */
@inline
export function countOnTime(counts: usize, events: i32): void {
  store<i64>(counts, load<i64>(counts) + <i64>events);
}

/**
 * An event that has been counted as on time, and is not. Bounds are so far apart that there is at most one among the
 * numbers of so many bits: one look is enough.
 */
@inline
export function countBehind(counts: usize, behindMicros: i64): void {
  const first = <usize>load<u8>(firstBounds + <usize>(64 - clz(behindMicros)));
  const beyond = <i32>first < BEHIND_BOUNDS && behindMicros > load<i64>(bounds + (first << 3));
  const count = counts + ((first + <usize>beyond) << 3);
  store<i64>(count, load<i64>(count) + 1);
  const sum = counts + (<usize>(BEHIND_BOUNDS + 1) << 3);
  store<i64>(sum, load<i64>(sum) + behindMicros);
  countOnTime(counts, -1);
}

// --- refused by a tile level

/** Of the latest events that a level refused: enough to see what they have in common. */
export const REFUSALS_KEPT: i32 = 5;

/** Position, time, and the clock of the type after it: 8 bytes each. */
export const REFUSAL_SIZE: i32 = 24;

/** How many rows of events levels have refused since that was last taken: mostly none, and then there is nothing to look for. */
export let refusedNow: i32 = 0;

/** The count, and how many of the latest are there. */
const HEAD_SIZE: usize = 16;

/** Room for one level: head, the first, the latest in ascending order of position. */
export function makeRefusals(): usize {
  return allocateZeroed(HEAD_SIZE + <usize>REFUSAL_SIZE * <usize>(REFUSALS_KEPT + 1));
}

@inline
function latestAt(refusals: usize, index: i32): usize {
  return refusals + HEAD_SIZE + <usize>REFUSAL_SIZE * <usize>(index + 1);
}

function write(at: usize, position: i64, timeMicros: i64, clockMicros: i64): void {
  store<i64>(at, position);
  store<i64>(at, timeMicros, 8);
  store<i64>(at, clockMicros, 16);
}

/**
 * Rows of events come in any order, key by key: what is the first and what are the latest is said by their positions. Of
 * an event of which two rows are refused the earlier one is kept.
 */
export function refuse(refusals: usize, position: i64, timeMicros: i64, clockMicros: i64): void {
  refusedNow++;
  const count = load<i64>(refusals);
  store<i64>(refusals, count + 1);
  const first = refusals + HEAD_SIZE;
  if (count == 0 || position < load<i64>(first)) write(first, position, timeMicros, clockMicros);
  else if (position == load<i64>(first)) store<i64>(first, min(load<i64>(first, 8), timeMicros), 8);
  const kept = <i32>load<i64>(refusals, 8);
  for (let i = 0; i < kept; i++) {
    const known = latestAt(refusals, i);
    if (load<i64>(known) != position) continue;
    store<i64>(known, min(load<i64>(known, 8), timeMicros), 8);
    return;
  }
  let place = kept;
  if (kept < REFUSALS_KEPT) {
    store<i64>(refusals, kept + 1, 8);
    for (; place > 0 && load<i64>(latestAt(refusals, place - 1)) > position; place--)
      memory.copy(latestAt(refusals, place), latestAt(refusals, place - 1), REFUSAL_SIZE);
  } else {
    if (position < load<i64>(latestAt(refusals, 0))) return;
    for (place = 0; place + 1 < kept && load<i64>(latestAt(refusals, place + 1)) < position; place++)
      memory.copy(latestAt(refusals, place), latestAt(refusals, place + 1), REFUSAL_SIZE);
  }
  write(latestAt(refusals, place), position, timeMicros, clockMicros);
}

export function forgetRefusals(refusals: usize): void {
  refusedNow -= <i32>load<i64>(refusals);
  store<i64>(refusals, 0);
  store<i64>(refusals, 0, 8);
}
