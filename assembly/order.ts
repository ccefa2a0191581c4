/**
 * Keys in the order in which stores have them: by kind, then by their bytes, a key before those that it begins.
 *
 *   1. the bytes that all keys begin with are left out
 *   2. the next eight, as one number, stand beside each key: mostly they tell which of two comes first
 *   3. a merge sort from pairs upward: as many steps for whatever keys there are, and no calls within calls
 *
 * What is alike stays in the order in which it came.
 */
import { allocate, release } from './memory';

/** A key that is to be put in order, and whose it is: whatever the caller knows it by. */
@unmanaged
class Place {
  word: u64;
  key: u32;
  keyLength: u32;
  kind: i32;
  owner: u32;
}

let places: usize = 0;
let placeCount: usize = 0;
let placesMax: usize = 0;

/** Begins a list of so many keys at most. */
export function beginOrder(countMax: usize): void {
  placesMax = countMax;
  places = allocate(countMax * offsetof<Place>());
  placeCount = 0;
}

@inline
export function addToOrder(kind: i32, key: usize, keyLength: usize, owner: u32): void {
  assert(placeCount < placesMax);
  const place = placeAt(places, placeCount);
  placeCount++;
  place.key = <u32>key;
  place.keyLength = <u32>keyLength;
  place.kind = kind;
  place.owner = owner;
}

/** Puts them in order, and writes their owners (u32 each) to `to`. The list is gone then. */
export function endOrder(to: usize): void {
  const depth = commonLength();
  for (let i: usize = 0; i < placeCount; i++) {
    const place = placeAt(places, i);
    place.word = eightBytes(place, depth);
  }
  const size = placesMax * offsetof<Place>();
  const other = allocate(size);
  const sorted = mergeSort(places, other, placeCount, depth);
  for (let i: usize = 0; i < placeCount; i++) store<u32>(to + (i << 2), placeAt(sorted, i).owner);
  release(places, size);
  release(other, size);
}

@inline
function placeAt(list: usize, index: usize): Place {
  return changetype<Place>(list + index * offsetof<Place>());
}

/** How many bytes all keys begin with. */
function commonLength(): usize {
  if (placeCount == 0) return 0;
  const first = placeAt(places, 0);
  let common = <usize>first.keyLength;
  for (let i: usize = 1; i < placeCount && common > 0; i++) {
    const place = placeAt(places, i);
    common = min(common, <usize>place.keyLength);
    let at: usize = 0;
    while (at < common && load<u8>(<usize>place.key + at) == load<u8>(<usize>first.key + at)) at++;
    common = at;
  }
  return common;
}

/** The bytes of the key from `depth` on as a number that sorts as they do; behind the end there are zeros. */
@inline
function eightBytes(place: Place, depth: usize): u64 {
  const rest = <usize>place.keyLength - depth;
  if (rest == 0) return 0;
  const word = bswap<u64>(load<u64>(<usize>place.key + depth));
  return rest >= 8 ? word : word & ~((~<u64>0) >> (<u64>rest << 3));
}

/** Sorts places of one block, with the help of another; returns the one that has them in the end. */
function mergeSort(one: usize, other: usize, count: usize, depth: usize): usize {
  let from = one;
  let to = other;
  for (let width: usize = 1; width < count; width <<= 1) {
    for (let start: usize = 0; start < count; start += width << 1)
      mergeSorted(from, to, start, min(start + width, count), min(start + (width << 1), count), depth);
    const swapped = from;
    from = to;
    to = swapped;
  }
  return from;
}

/** Merges places [start, middle) and [middle, end), each of them in order. */
function mergeSorted(from: usize, to: usize, start: usize, middle: usize, end: usize, depth: usize): void {
  const size = offsetof<Place>();
  let left = from + start * size;
  let right = from + middle * size;
  const leftEnd = right;
  const rightEnd = from + end * size;
  for (let out = to + start * size; out < to + end * size; out += size) {
    const takesLeft = left < leftEnd && (right >= rightEnd || !isBefore(changetype<Place>(right), changetype<Place>(left), depth));
    const place = takesLeft ? left : right;
    store<u64>(out, load<u64>(place));
    store<u64>(out, load<u64>(place, 8), 8);
    store<u64>(out, load<u64>(place, 16), 16);
    if (takesLeft) left += size;
    else right += size;
  }
}

assert(offsetof<Place>() == 24);

@inline
function isBefore(place: Place, other: Place, depth: usize): bool {
  if (place.kind != other.kind) return place.kind < other.kind;
  if (place.word != other.word) return place.word < other.word;
  return isKeyBefore(place, other, depth);
}

function isKeyBefore(place: Place, other: Place, depth: usize): bool {
  const length = min(<usize>place.keyLength, <usize>other.keyLength);
  for (let at = depth; at < length; at++) {
    const byte = load<u8>(<usize>place.key + at);
    const otherByte = load<u8>(<usize>other.key + at);
    if (byte != otherByte) return byte < otherByte;
  }
  return place.keyLength < other.keyLength;
}
