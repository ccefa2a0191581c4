/**
 * VECTOR_AVG: for each place of lists of one length an exact sum (exact.ts), and how many lists there were. Linear.
 *
 *   unpacked  count i64, length u32, isUsed u32, sums u32, capacity u32: sums are `length` exact sums, which are read only
 *             where the state is used, so that clearing it costs the same whatever its length
 *
 * A list of another length, or with a null in it, is no vector: it is passed over as a null is.
 *
 * Who owns sums: a tile's state has a block of its own; those that `decodeVector` makes stand in one of two, until the one after
 * the next is decoded; a state that others are merged into has a block of its own.
 */
import { Arena } from './arena';
import {
  EXACT_CLEAR,
  EXACT_ENCODED_MAX,
  EXACT_OVERFLOW,
  EXACT_SIZE,
  addDouble,
  addExact,
  decodeExact,
  encodeExact,
  finishMean,
} from './exact';
import { allocate, allocateZeroed, release } from './memory';
import { cellAt, nestedCell, nullAt, takeBlock } from './nested';
import { readVarint, unzigzag, varintNext, varintOk, writeVarint, zigzag } from './varint';

// A field of FeatureValue, as aggregate.ts has the others.
export const VECTOR_MEAN: i32 = 29;

/** The greatest length: its sums are some 20 bytes each in every row, and 608 where they are computed with. */
export const VECTOR_MAX: u32 = 1 << 10;

@unmanaged
class Vector {
  count: i64;
  length: u32;
  isUsed: u32;
  sums: usize;
  capacity: u32;
}

export const VECTOR_SIZE: usize = 24;
assert(offsetof<Vector>() <= VECTOR_SIZE);

export const VECTOR_CLEAR: usize = 16;

@inline
function vectorAt(state: usize): Vector {
  return changetype<Vector>(state);
}

@inline
function sumAt(vector: Vector, index: u32): usize {
  return vector.sums + <usize>index * EXACT_SIZE;
}

/** Makes a state that is clear ready for `addVector`. */
export function startVector(state: usize, length: u32): void {
  assert(length >= 1 && length <= VECTOR_MAX);
  vectorAt(state).length = length;
}

/** Adds the list of a cell (nested.ts) `weight` times. */
export function addVector(state: usize, cell: i64, weight: i64): void {
  const vector = vectorAt(state);
  const block = <usize>(<u32>cell);
  const count = <i32>(cell >>> 32);
  if (<u32>count != vector.length) return;
  for (let i = 0; i < count; i++) if (load<u8>(nullAt(block, count, i)) != 0) return;
  if (vector.isUsed == 0) use(vector);
  for (let i = 0; i < count; i++) addDouble(sumAt(vector, <u32>i), load<f64>(cellAt(block, i)), weight);
  vector.count += weight;
}

/** Takes sums into use, all of them empty. */
function use(vector: Vector): void {
  if (vector.capacity < vector.length) {
    release(vector.sums, <usize>vector.capacity * EXACT_SIZE);
    vector.sums = allocate(<usize>vector.length * EXACT_SIZE);
    vector.capacity = vector.length;
  }
  for (let i: u32 = 0; i < vector.length; i++) {
    const sum = sumAt(vector, i);
    for (let at: usize = 0; at < EXACT_CLEAR; at += 8) store<u64>(sum + at, 0);
  }
  vector.isUsed = 1;
}

/** Merges `from` into `into`. Of two lengths the greater remains alone; no definition makes such. */
export function mergeVector(into: usize, from: usize): void {
  const target = vectorAt(into);
  const source = vectorAt(from);
  if (source.length < target.length) return;
  if (source.length > target.length) {
    target.length = source.length;
    target.count = 0;
    target.isUsed = 0;
  }
  if (source.isUsed == 0) return;
  if (target.isUsed == 0) use(target);
  for (let i: u32 = 0; i < target.length; i++) addExact(sumAt(target, i), sumAt(source, i));
  target.count += source.count;
}

export const VECTOR_FINISHED: i32 = 0;
export const VECTOR_NULL: i32 = 1;
export const VECTOR_OVERFLOW: i32 = 2;

/** Writes the cell of a list of the averages, each rounded once, whose block stands in `arena`; or says why there is none. */
export function finishVector(state: usize, out: usize, arena: Arena): i32 {
  const vector = vectorAt(state);
  if (vector.isUsed == 0 || vector.count == 0) return VECTOR_NULL;
  const block = takeBlock(arena, <i32>vector.length);
  for (let i: u32 = 0; i < vector.length; i++)
    if (finishMean(sumAt(vector, i), vector.count, cellAt(block, <i32>i)) == EXACT_OVERFLOW) return VECTOR_OVERFLOW;
  store<u64>(out, nestedCell(block, <i32>vector.length));
  return VECTOR_FINISHED;
}

// --- encoding, as VectorMean of row.proto

const TAG_LENGTH: u8 = 0x08;
const TAG_COUNT: u8 = 0x10;
const TAG_SUMS: u8 = 0x1a;

/** Room for what `encodeVector` writes. */
export function vectorSizeMax(state: usize): usize {
  const vector = vectorAt(state);
  return 64 + (vector.isUsed != 0 ? <usize>vector.length * (EXACT_ENCODED_MAX + 8) : 0);
}

/** An exact sum on its way to its place: how long its head is shows with its size. */
const nested: usize = memory.data(512, 8);

/** Writes the state as a VectorMean, and returns the end of it. */
export function encodeVector(state: usize, out: usize): usize {
  const vector = vectorAt(state);
  if (vector.length == 0) return out;
  store<u8>(out, TAG_LENGTH);
  const head = out + 1 + writeVarint(out + 1, <u64>vector.length);
  if (vector.isUsed == 0) return head;
  store<u8>(head, TAG_COUNT);
  let at = head + 1 + writeVarint(head + 1, zigzag(vector.count));
  let isEmpty = vector.count == 0;
  for (let i: u32 = 0; i < vector.length; i++) {
    const size = encodeExact(sumAt(vector, i), nested);
    isEmpty = isEmpty && size == 0;
    store<u8>(at++, TAG_SUMS);
    at += writeVarint(at, <u64>size);
    memory.copy(at, nested, size);
    at += size;
  }
  // What came and went again leaves nothing.
  return isEmpty ? head : at;
}

// --- decoding

/** Sums of the last two states that were decoded. */
let decodedEven: usize = 0;
let decodedOdd: usize = 0;
let isOdd: bool = false;

/** Unpacks the VectorMean in [from, end); false where the bytes are not its one canonical spelling. */
export function decodeVector(from: usize, end: usize, state: usize): bool {
  if (decodedEven == 0) {
    decodedEven = allocateZeroed(<usize>VECTOR_MAX * EXACT_SIZE);
    decodedOdd = allocateZeroed(<usize>VECTOR_MAX * EXACT_SIZE);
  }
  isOdd = !isOdd;
  const vector = vectorAt(state);
  memory.fill(state, 0, VECTOR_CLEAR);
  vector.sums = isOdd ? decodedOdd : decodedEven;
  vector.capacity = VECTOR_MAX;
  if (from >= end || load<u8>(from) != TAG_LENGTH) return false;
  const length = readVarint(from + 1, end);
  if (!varintOk || length == 0 || length > <u64>VECTOR_MAX) return false;
  vector.length = <u32>length;
  let at = varintNext;
  if (at == end) return true;
  if (load<u8>(at) != TAG_COUNT) return false;
  vector.count = unzigzag(readVarint(at + 1, end));
  if (!varintOk) return false;
  at = varintNext;
  vector.isUsed = 1;
  let isEmpty = vector.count == 0;
  for (let i: u32 = 0; i < vector.length; i++) {
    if (at >= end || load<u8>(at) != TAG_SUMS) return false;
    const size = readVarint(at + 1, end);
    if (!varintOk || size > <u64>(end - varintNext)) return false;
    at = varintNext + <usize>size;
    if (!decodeExact(varintNext, at, sumAt(vector, i))) return false;
    isEmpty = isEmpty && size == 0;
  }
  return at == end && !isEmpty;
}
