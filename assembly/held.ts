/**
 * What memory has of a level below its floor (fold.ts): stretches of tiles of which it knows every row.
 *
 *            where a window begins                         floor
 *   ----------[from ======= to)-------[from === to)----------[==============>
 *
 * Of a fine level an event reads little, there where each of its windows begins, and that moves on with time: what has been
 * read once serves the events after it, and what lies between stays in the store until a window comes to it.
 */

/** Windows of one key mostly begin at fewer places; of more stretches the one that was added first is forgotten. */
export const STRETCHES_HELD: i32 = 7;

/** `count` pairs of (from, to) i64 behind it, in the order in which they were added. */
@unmanaged
export class Held {
  count: i32;
  unused: i32;
}

const PAIR_SIZE: usize = 16;

export const HELD_SIZE: usize = 8 + <usize>STRETCHES_HELD * PAIR_SIZE;

@inline
function pairAt(held: Held, index: i32): usize {
  return changetype<usize>(held) + offsetof<Held>() + <usize>index * PAIR_SIZE;
}

/** One of the stretches has all of [from, to). */
export function hasStretch(held: Held, from: i64, to: i64): bool {
  for (let i = 0; i < held.count; i++) {
    const pair = pairAt(held, i);
    if (load<i64>(pair) <= from && to <= load<i64>(pair, 8)) return true;
  }
  return false;
}

/** Those that [from, to) meets become one with it. */
export function addStretch(held: Held, from: i64, to: i64): void {
  for (let i = held.count - 1; i >= 0; i--) {
    const pair = pairAt(held, i);
    if (load<i64>(pair) > to || from > load<i64>(pair, 8)) continue;
    from = min(from, load<i64>(pair));
    to = max(to, load<i64>(pair, 8));
    removePair(held, i);
  }
  if (held.count == STRETCHES_HELD) removePair(held, 0);
  putPair(held, from, to);
}

/** Where the floor is that sinks upon the stretches which meet it: they are none any more. */
export function takeStretch(held: Held, floor: i64): i64 {
  for (let i = held.count - 1; i >= 0; i--) {
    const pair = pairAt(held, i);
    if (load<i64>(pair, 8) < floor) continue;
    floor = min(floor, load<i64>(pair));
    removePair(held, i);
    i = held.count;
  }
  return floor;
}

/** A row has left: the stretch that had it is two, of which the earlier one is kept where there is room. */
export function cutStretch(held: Held, tileStart: i64): void {
  for (let i = held.count - 1; i >= 0; i--) {
    const pair = pairAt(held, i);
    const from = load<i64>(pair);
    const to = load<i64>(pair, 8);
    if (tileStart < from || tileStart >= to) continue;
    store<i64>(pair, tileStart + 1);
    if (tileStart + 1 == to) removePair(held, i);
    if (from < tileStart && held.count < STRETCHES_HELD) putPair(held, from, tileStart);
    return;
  }
}

function putPair(held: Held, from: i64, to: i64): void {
  const pair = pairAt(held, held.count);
  store<i64>(pair, from);
  store<i64>(pair, to, 8);
  held.count++;
}

function removePair(held: Held, index: i32): void {
  const pair = pairAt(held, index);
  held.count--;
  memory.copy(pair, pair + PAIR_SIZE, <usize>(held.count - index) * PAIR_SIZE);
}
