/** Rows on their way into packs: their addresses and values side by side, and the order in which to take them. */
import { addressSizeMax, writeAddress } from './address.ts';
import { Growing } from '../base/growing.ts';
import { PackWriter } from './pack.ts';
import type { Row } from './store.ts';

/** Smaller stretches are put in order one by one. */
const INSERTION_MAX = 12;

export interface Batch {
  count: number;
  addresses: Uint8Array;
  /** Where each row's address begins; one more for the end of the last. */
  addressStarts: Uint32Array;
  values: Uint8Array;
  valueStarts: Uint32Array;
  /** Rows by address, each address once: of several rows under one the last has won. */
  order: Uint32Array;
}

/** A part of a run ends behind the row that fills it. */
const PART_BYTES = 64 << 10;

/** Rows as a run: in order of their addresses, each address once, of its rows the last. */
export function* runOf(rows: Iterable<Row>): Generator<Uint8Array<ArrayBuffer>> {
  const { addresses, addressStarts, values, valueStarts, order } = batchOf(rows);
  const out = new PackWriter();
  out.begin();
  for (const row of order) {
    const [start, end] = [addressStarts[row]!, addressStarts[row + 1]!];
    out.put(addresses, start, end, values, valueStarts[row]!, valueStarts[row + 1]!);
    if (out.size < PART_BYTES) continue;
    yield out.bytes().slice();
    out.begin();
  }
  if (out.size > 0) yield out.bytes();
}

/** Rows in order of their addresses. No object is made for a row. */
export function batchOf(rows: Iterable<Row>): Batch {
  const addresses = new Growing();
  const values = new Growing();
  let starts = new Uint32Array(1024);
  let valueStarts = new Uint32Array(1024);
  let count = 0;
  for (const { entity, key, levelMs, tileStartMs, value } of rows) {
    if (count + 2 > starts.length) {
      starts = longer(starts);
      valueStarts = longer(valueStarts);
    }
    const bytes = addresses.room(addressSizeMax(key));
    addresses.length = writeAddress(bytes, addresses.length, entity, key, levelMs, tileStartMs);
    values.copy(value, 0, value.length);
    count++;
    starts[count] = addresses.length;
    valueStarts[count] = values.length;
  }
  const batch = { count, addresses: addresses.bytes, addressStarts: starts, values: values.bytes, valueStarts };
  return { ...batch, order: orderOf(addresses.bytes, starts, count) };
}

function longer(numbers: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const twice = new Uint32Array(numbers.length * 2);
  twice.set(numbers);
  return twice;
}

/**
 * Indices of rows by address, each address once, of its rows the last.
 *
 *   1. the bytes that all addresses begin with are left out
 *   2. the next eight are two numbers, and rows are sorted by these (radix sort: no row is compared with another)
 *   3. rows that are still alike, mostly those of one key, are sorted by the bytes that follow
 */
function orderOf(addresses: Uint8Array, starts: Uint32Array, count: number): Uint32Array {
  const depth = commonLength(addresses, starts, count);
  const low = new Uint32Array(count);
  const high = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    high[i] = fourBytes(addresses, starts, i, depth);
    low[i] = fourBytes(addresses, starts, i, depth + 4);
  }
  let order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  order = radixSort(high, radixSort(low, order));
  let kept = 0;
  for (let from = 0; from < count; ) {
    let to = from + 1;
    while (to < count && high[order[to]!] === high[order[from]!] && low[order[to]!] === low[order[from]!]) to++;
    if (to > from + 1) sortFrom(addresses, starts, order, from, to, depth);
    // Alike in address, they are in the order in which they came.
    for (; from < to; from++)
      if (from + 1 === to || compareAt(addresses, starts, order[from]!, order[from + 1]!, depth) !== 0)
        order[kept++] = order[from]!;
  }
  return order.subarray(0, kept);
}

/** How many bytes all addresses begin with. */
function commonLength(addresses: Uint8Array, starts: Uint32Array, count: number): number {
  if (count === 0) return 0;
  let common = starts[1]!;
  for (let i = 1; i < count; i++) {
    const start = starts[i]!;
    common = Math.min(common, starts[i + 1]! - start);
    for (let at = 0; at < common; at++) if (addresses[at] !== addresses[start + at]) common = at;
  }
  return common;
}

/** The next bytes as a number that sorts as they do; behind the end there are zeros. */
function fourBytes(bytes: Uint8Array, starts: Uint32Array, index: number, depth: number): number {
  const at = starts[index]! + depth;
  const end = starts[index + 1]!;
  let number = 0;
  for (let i = at; i < at + 4; i++) number = (number << 8) | (i < end ? bytes[i]! : 0);
  return number >>> 0;
}

/** Bits by which rows are told apart in one pass. */
const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;

/** Rows by a number of each; those with the same stay in their order. */
function radixSort(numbers: Uint32Array, order: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  let [from, to] = [order, new Uint32Array(order.length)];
  const ends = new Uint32Array(DIGITS);
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    ends.fill(0);
    for (let i = 0; i < from.length; i++) ends[(numbers[i]! >>> shift) & (DIGITS - 1)]!++;
    if (ends.includes(from.length)) continue;
    for (let digit = 0, end = 0; digit < DIGITS; digit++) {
      const size = ends[digit]!;
      ends[digit] = end;
      end += size;
    }
    for (let i = 0; i < from.length; i++) {
      const row = from[i]!;
      to[ends[(numbers[row]! >>> shift) & (DIGITS - 1)]!++] = row;
    }
    [from, to] = [to, from];
  }
  return from;
}

/**
 * Quicksort by one byte after the other (Bentley and Sedgewick): rows whose addresses are alike up to `depth` are split
 * into those with a smaller, the same and a greater byte there. The largest part is gone on with, so that calls within
 * calls are as many as the logarithm of the rows, however long their keys are.
 */
function sortFrom(
  bytes: Uint8Array,
  starts: Uint32Array,
  order: Uint32Array,
  from: number,
  to: number,
  depth: number,
): void {
  while (to - from > INSERTION_MAX) {
    const pivot = byteAt(bytes, starts, order[(from + to) >> 1]!, depth);
    let [less, at, more] = [from, from, to];
    while (at < more) {
      const index = order[at]!;
      const byte = byteAt(bytes, starts, index, depth);
      if (byte < pivot) {
        order[at++] = order[less]!;
        order[less++] = index;
      } else if (byte > pivot) {
        order[at] = order[--more]!;
        order[more] = index;
      } else at++;
    }
    if (pivot < 0) {
      // These have ended and are alike: they stay in the order in which they came. None is smaller than they.
      order.subarray(from, more).sort();
      from = more;
    } else if (more - less >= less - from && more - less >= to - more) {
      sortFrom(bytes, starts, order, from, less, depth);
      sortFrom(bytes, starts, order, more, to, depth);
      [from, to, depth] = [less, more, depth + 1];
    } else {
      sortFrom(bytes, starts, order, less, more, depth + 1);
      if (less - from > to - more) {
        sortFrom(bytes, starts, order, more, to, depth);
        to = less;
      } else {
        sortFrom(bytes, starts, order, from, less, depth);
        from = more;
      }
    }
  }
  insertionSort(bytes, starts, order, from, to, depth);
}

function insertionSort(
  bytes: Uint8Array,
  starts: Uint32Array,
  order: Uint32Array,
  from: number,
  to: number,
  depth: number,
): void {
  for (let i = from + 1; i < to; i++) {
    const index = order[i]!;
    let at = i;
    for (; at > from && isAfter(bytes, starts, order[at - 1]!, index, depth); at--) order[at] = order[at - 1]!;
    order[at] = index;
  }
}

function isAfter(bytes: Uint8Array, starts: Uint32Array, a: number, b: number, depth: number): boolean {
  const order = compareAt(bytes, starts, a, b, depth);
  return order > 0 || (order === 0 && a > b);
}

function compareAt(bytes: Uint8Array, starts: Uint32Array, a: number, b: number, depth: number): number {
  const [aStart, bStart] = [starts[a]!, starts[b]!];
  const [aLength, bLength] = [starts[a + 1]! - aStart, starts[b + 1]! - bStart];
  for (let i = depth; i < aLength && i < bLength; i++) {
    const difference = bytes[aStart + i]! - bytes[bStart + i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** -1 behind the end. */
function byteAt(bytes: Uint8Array, starts: Uint32Array, index: number, depth: number): number {
  const at = starts[index]! + depth;
  return at < starts[index + 1]! ? bytes[at]! : -1;
}
