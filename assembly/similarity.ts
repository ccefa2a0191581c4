/**
 * How alike two texts are, from 0 to 1, by Jaro and Winkler, as DuckDB computes it (jaro_winkler_similarity), of code points:
 *
 *   common   code points of b, from the first on, each with the first equal one of a that is no further away than half the
 *            length of the longer text, and that no other has taken
 *   jaro     the mean of common / length of a, common / length of b, and of the part of the common ones that are in one
 *            order in both texts: two that changed places count once
 *   winkler  beyond 0.7 nearer to 1 by a tenth for each of the first four code points that are the same
 *
 * What a has of a code point is a chain of places. No place is looked at twice, so it takes the sum of the lengths, whatever
 * the texts are.
 */
import { Bytes } from './memory';
import { readPoint, widthOf } from './utf8';

const BOOST_FROM: f64 = 0.7;
const BOOST: f64 = 0.1;
const PREFIX_MAX: i32 = 4;

/** Code points of a, of each the next place (plus one) that has the same one, and whether it was taken. */
const points: Bytes = Bytes.make();
const next: Bytes = Bytes.make();
const taken: Bytes = Bytes.make();
/** Code points of b that are common, in its order. */
const common: Bytes = Bytes.make();
/** Code point (plus one; 0 where there is none) and the first place (plus one) that is still to be had, 4 bytes each. */
const chains: Bytes = Bytes.make();
let chainMask: u32 = 0;

export function similarity(a: usize, aEnd: usize, b: usize, bEnd: usize): f64 {
  const aCount = chain(a, aEnd);
  const bCount = countOf(b, bEnd);
  if (aCount == 0 || bCount == 0) return 0;
  const reach = max<i32>(max<i32>(aCount, bCount) / 2 - 1, 0);
  const count = match(b, bEnd, reach);
  if (count == 0) return 0;
  const moved = countMoved(aCount, count) / 2;
  let sum = <f64>count / <f64>aCount;
  sum += <f64>count / <f64>bCount;
  sum += <f64>(count - moved) / <f64>count;
  const jaro = sum / 3;
  if (jaro <= BOOST_FROM) return jaro;
  return jaro + <f64>prefixOf(a, aEnd, b, bEnd) * BOOST * (1 - jaro);
}

function countOf(start: usize, end: usize): i32 {
  let count = 0;
  for (let at = start; at < end; at += widthOf(load<u8>(at))) count++;
  return count;
}

/** Makes the chains of a text's code points; returns how many there are. */
function chain(start: usize, end: usize): i32 {
  const count = countOf(start, end);
  const size = <usize>count << 2;
  points.length = next.length = taken.length = common.length = chains.length = 0;
  points.reserve(size + 4);
  next.reserve(size + 4);
  taken.reserve(<usize>count + 1);
  memory.fill(taken.start, 0, <usize>count);
  // At least twice as many as there are code points, so that some are empty.
  const places: u32 = 2 << (32 - clz<u32>(<u32>count | 7));
  chainMask = places - 1;
  chains.reserve(<usize>places << 3);
  memory.fill(chains.start, 0, <usize>places << 3);
  for (let at = start, i = 0; at < end; at += widthOf(load<u8>(at)), i++) store<u32>(points.start + (<usize>i << 2), readPoint(at));
  for (let i = count - 1; i >= 0; i--) {
    const point = load<u32>(points.start + (<usize>i << 2));
    const place = chainOf(point);
    store<u32>(next.start + (<usize>i << 2), load<u32>(place, 4));
    store<u32>(place, point + 1);
    store<u32>(place, <u32>i + 1, 4);
  }
  return count;
}

/** The chain of a code point, or where it would be. */
function chainOf(point: u32): usize {
  let place = ((point * 0x9e3779b1) >> 7) & chainMask;
  while (true) {
    const at = chains.start + (<usize>place << 3);
    const other = load<u32>(at);
    if (other == 0 || other == point + 1) return at;
    place = (place + 1) & chainMask;
  }
}

/** Takes for each code point of b the first one of a that is within reach; returns for how many there is one. */
function match(start: usize, end: usize, reach: i32): i32 {
  let count = 0;
  for (let at = start, j = 0; at < end; at += widthOf(load<u8>(at)), j++) {
    const point = readPoint(at);
    const place = chainOf(point);
    let i = <i32>load<u32>(place, 4) - 1;
    // What has fallen behind is out of reach of all that follow.
    while (i >= 0 && i < j - reach) i = <i32>load<u32>(next.start + (<usize>i << 2)) - 1;
    if (load<u32>(place) != 0) store<u32>(place, <u32>(i + 1), 4);
    if (i < 0 || i > j + reach) continue;
    store<u32>(place, load<u32>(next.start + (<usize>i << 2)), 4);
    store<u8>(taken.start + <usize>i, 1);
    common.reserve(4);
    store<u32>(common.end, point);
    common.length += 4;
    count++;
  }
  return count;
}

/** How many of the common code points are another one in a than in b, in the order of each. */
function countMoved(aCount: i32, count: i32): i32 {
  let moved = 0;
  let j = 0;
  for (let i = 0; i < aCount && j < count; i++) {
    if (load<u8>(taken.start + <usize>i) == 0) continue;
    moved += <i32>(load<u32>(points.start + (<usize>i << 2)) != load<u32>(common.start + (<usize>j << 2)));
    j++;
  }
  return moved;
}

function prefixOf(a: usize, aEnd: usize, b: usize, bEnd: usize): i32 {
  let count = 0;
  while (count < PREFIX_MAX && a < aEnd && b < bEnd && readPoint(a) == readPoint(b)) {
    a += widthOf(load<u8>(a));
    b += widthOf(load<u8>(b));
    count++;
  }
  return count;
}
