/**
 * States of many values, as row.proto has them: column by column. What is here reads and writes one field of many entries
 * that stand in memory, each `stride` bytes behind the one before it.
 */
import { canonicalNaN } from './kind';
import { readVarint, unzigzag, varintNext, varintOk, writeVarint, zigzag } from './varint';

// --- writing

/** Before its size is known a packed column is written behind the longest head that one can have: none has 2^21 bytes. */
export const COLUMN_HEAD: usize = 4;

/** Puts the head of the column that ends at `end` at `at`, and the column right behind it; returns the new end. */
export function closeColumn(at: usize, tag: u8, end: usize): usize {
  const from = at + COLUMN_HEAD;
  const size = end - from;
  store<u8>(at, tag);
  const head: usize = 1 + writeVarint(at + 1, <u64>size);
  memory.copy(at + head, from, size);
  return at + head + size;
}

/** The first number is itself, each other one the difference to the one before it, as it lies in 64 bits. */
export function encodeDeltas(first: usize, stride: usize, count: u32, at: usize): usize {
  let last: i64 = 0;
  for (let i: u32 = 0, from = first; i < count; i++, from += stride) {
    const value = load<i64>(from);
    at += writeVarint(at, zigzag(value - last));
    last = value;
  }
  return at;
}

export function encodeIntegers(first: usize, stride: usize, count: u32, at: usize): usize {
  for (let i: u32 = 0, from = first; i < count; i++, from += stride) at += writeVarint(at, zigzag(load<i64>(from)));
  return at;
}

export function encodeReals(first: usize, stride: usize, count: u32, at: usize): usize {
  for (let i: u32 = 0, from = first; i < count; i++, from += stride, at += 8) store<i64>(at, load<i64>(from));
  return at;
}

// --- reading

/** The column that is being read: `columnAt` is where it goes on, or where what is behind it begins. */
export let columnAt: usize = 0;
export let columnEnd: usize = 0;

/** Enters the packed column that has to stand at `at`; an empty one is not written. */
export function enterColumn(at: usize, end: usize, tag: u8): bool {
  if (at >= end || load<u8>(at) != tag) return false;
  const size = readVarint(at + 1, end);
  if (!varintOk || size == 0 || size > <u64>(end - varintNext)) return false;
  columnAt = varintNext;
  columnEnd = varintNext + <usize>size;
  return true;
}

/** What is read next, without a head that says how long it is, begins at `at`. */
@inline
export function startColumn(at: usize): void {
  columnAt = at;
}

/** Leaves the column behind: it has been read by other means, to its end. */
@inline
export function passColumn(): void {
  columnAt = columnEnd;
}

/**
 * Numbers of a packed column, up to `most` of them; returns how many there are. It ends before the column does at a number
 * that is not spelled as `readVarint` reads one: this is that, in one loop.
 */
export function decodeNumbers(first: usize, stride: usize, most: u32): u32 {
  const end = columnEnd;
  let at = columnAt;
  let count: u32 = 0;
  for (let to = first; count < most && at < end; count++, to += stride) {
    let byte = load<u8>(at);
    let value = <u64>(byte & 0x7f);
    let next = at + 1;
    for (let shift: u64 = 7; byte >= 0x80 && next < end && shift < 70; shift += 7) {
      byte = load<u8>(next++);
      value |= (<u64>(byte & 0x7f)) << shift;
    }
    // Cut or longer than 64 bits, or longer than it has to be.
    const size = next - at;
    if (byte >= 0x80 || (size > 1 && byte == 0) || (size == 10 && byte > 1)) break;
    store<i64>(to, unzigzag(value));
    at = next;
  }
  columnAt = at;
  return count;
}

/** Sums of differences, as `encodeDeltas` wrote them. */
export function sumDeltas(first: usize, stride: usize, count: u32): void {
  let last: i64 = 0;
  for (let i: u32 = 0, at = first; i < count; i++, at += stride) {
    last += load<i64>(at);
    store<i64>(at, last);
  }
}

/** Doubles of a packed column, up to `most` of them; returns how many there are. It ends at one that is another spelling of NaN. */
export function decodeReals(first: usize, stride: usize, most: u32): u32 {
  let count: u32 = 0;
  for (let to = first; count < most && columnEnd - columnAt >= 8; count++, to += stride, columnAt += 8) {
    const bits = load<i64>(columnAt);
    if (canonicalNaN(bits) != bits) break;
    store<i64>(to, bits);
  }
  return count;
}

/**
 * Texts from `columnAt` to `end`, each with a head of its own, up to `most` of them, as (address u32, length u32); returns how
 * many there are. They end at one that is longer than `longest`.
 */
export function decodeTexts(first: usize, stride: usize, most: u32, tag: u8, longest: u32, end: usize): u32 {
  let count: u32 = 0;
  for (let to = first; count < most && columnAt < end && load<u8>(columnAt) == tag; count++, to += stride) {
    const length = readVarint(columnAt + 1, end);
    if (!varintOk || length > <u64>longest || length > <u64>(end - varintNext)) break;
    store<u32>(to, <u32>varintNext);
    store<u32>(to, <u32>length, 4);
    columnAt = varintNext + <usize>length;
  }
  return count;
}
