/**
 * Entities in the order in which stores have them: by kind, then by key bytes, a key before those that it begins.
 *
 *   1. the bytes that all keys begin with are left out
 *   2. the next eight, as one number, stand beside each entity: mostly they tell which of two comes first
 *   3. a merge sort from pairs upward: as many steps for whatever keys there are, and no calls within calls
 */
import { Entity } from './fold';
import { allocate, release } from './memory';

/** The eight bytes u64, the entity u32, its kind i32. */
const PLACE_SIZE: usize = 16;

/** Puts addresses of entities (u32 each) in order. */
export function sortEntities(list: usize, count: usize): void {
  if (count < 2) return;
  const size = count * PLACE_SIZE;
  const one = allocate(size);
  const other = allocate(size);
  const depth = commonLength(list, count);
  for (let i: usize = 0; i < count; i++) {
    const entity = entityAt(list, i);
    const place = one + i * PLACE_SIZE;
    store<u64>(place, eightBytes(entity, depth));
    store<u32>(place, <u32>changetype<usize>(entity), 8);
    store<i32>(place, entity.kind, 12);
  }
  const sorted = mergeSort(one, other, count, depth);
  for (let i: usize = 0; i < count; i++) store<u32>(list + (i << 2), load<u32>(sorted + i * PLACE_SIZE, 8));
  release(one, size);
  release(other, size);
}

@inline
function entityAt(list: usize, index: usize): Entity {
  return changetype<Entity>(<usize>load<u32>(list + (index << 2)));
}

/** How many bytes all keys begin with. */
function commonLength(list: usize, count: usize): usize {
  const first = entityAt(list, 0);
  let common = <usize>first.keyLength;
  for (let i: usize = 1; i < count && common > 0; i++) {
    const entity = entityAt(list, i);
    common = min(common, <usize>entity.keyLength);
    let at: usize = 0;
    while (at < common && load<u8>(entity.key + at) == load<u8>(first.key + at)) at++;
    common = at;
  }
  return common;
}

/** The bytes of the key from `depth` on as a number that sorts as they do; behind the end there are zeros. */
@inline
function eightBytes(entity: Entity, depth: usize): u64 {
  const rest = <usize>entity.keyLength - depth;
  if (rest == 0) return 0;
  const word = bswap<u64>(load<u64>(entity.key + depth));
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
  let left = from + start * PLACE_SIZE;
  let right = from + middle * PLACE_SIZE;
  const leftEnd = right;
  const rightEnd = from + end * PLACE_SIZE;
  for (let out = to + start * PLACE_SIZE; out < to + end * PLACE_SIZE; out += PLACE_SIZE) {
    const takesLeft = left < leftEnd && (right >= rightEnd || !isBefore(right, left, depth));
    const place = takesLeft ? left : right;
    store<u64>(out, load<u64>(place));
    store<u64>(out, load<u64>(place, 8), 8);
    if (takesLeft) left += PLACE_SIZE;
    else right += PLACE_SIZE;
  }
}

@inline
function isBefore(place: usize, other: usize, depth: usize): bool {
  const kind = load<i32>(place, 12);
  const otherKind = load<i32>(other, 12);
  if (kind != otherKind) return kind < otherKind;
  const bytes = load<u64>(place);
  const otherBytes = load<u64>(other);
  if (bytes != otherBytes) return bytes < otherBytes;
  return isKeyBefore(
    changetype<Entity>(<usize>load<u32>(place, 8)),
    changetype<Entity>(<usize>load<u32>(other, 8)),
    depth,
  );
}

function isKeyBefore(entity: Entity, other: Entity, depth: usize): bool {
  const length = min(<usize>entity.keyLength, <usize>other.keyLength);
  for (let at = depth; at < length; at++) {
    const byte = load<u8>(entity.key + at);
    const otherByte = load<u8>(other.key + at);
    if (byte != otherByte) return byte < otherByte;
  }
  return entity.keyLength < other.keyLength;
}
