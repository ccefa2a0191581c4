/**
 * Variances and standard deviations: exact sums of values and of their squares, and how many there are, finished with one
 * rounding of the exact quotient.
 *
 *   sum      an exact sum (exact.ts), with the count of values where a mean has it
 *   squares  an exact sum; a square beyond 2^1024 is counted there as an infinity
 *
 * With n values, S and Q the sums: VAR_POP is (n Q - S^2) / n^2 and VAR_SAMP has n (n - 1) below. Nothing of it is rounded
 * before the division, so that what cancels, cancels. A standard deviation is the square root of that double.
 */
import {
  EXACT_CLEAR,
  EXACT_ENCODED_MAX,
  EXACT_SIZE,
  addDouble,
  addExact,
  addInteger,
  addSquare,
  addSquareOfInteger,
  decodeExact,
  encodeExact,
  isNegative,
  magnitudeAt,
  magnitudeHigh,
  magnitudeLow,
  takeMagnitude,
  toDouble,
} from './exact';
import { FINISHED, FINISHED_NULL, FINISHED_OVERFLOW } from './finish';
import { REAL } from './kind';
import { readVarint, unzigzag, varintNext, varintOk, writeVarint, zigzag } from './varint';

export const MOMENTS_SIZE: usize = EXACT_SIZE * 2;

/** The heads of both sums, and what lies between them. */
export const MOMENTS_CLEAR: usize = EXACT_SIZE + EXACT_CLEAR;

export const MOMENTS_ENCODED_MAX: usize = EXACT_ENCODED_MAX * 2 + 64;

/** Where the sum keeps the count. */
const COUNT_AT: usize = 24;

/** Adds a value `weight` times (+1 or -1). */
export function addMoments(state: usize, kind: i32, value: i64, weight: i64): void {
  if (kind == REAL) {
    const real = reinterpret<f64>(value);
    addDouble(state, real, weight);
    addSquare(state + EXACT_SIZE, real, weight);
  } else {
    addInteger(state, value, weight);
    addSquareOfInteger(state + EXACT_SIZE, value, weight);
  }
  store<i64>(state, load<i64>(state, COUNT_AT) + weight, COUNT_AT);
}

export function mergeMoments(into: usize, from: usize): void {
  addExact(into, from);
  addExact(into + EXACT_SIZE, from + EXACT_SIZE);
}

// --- finishing

export const VAR_POP: i32 = 1;
export const VAR_SAMP: i32 = 2;
export const STDDEV_POP: i32 = 3;
export const STDDEV_SAMP: i32 = 4;

/** Null where there are too few values, or more were taken away than came; NaN where one of them was NaN or infinite. */
export function finishMoments(finisher: i32, state: usize, out: usize): i32 {
  const count = load<i64>(state, COUNT_AT);
  const isSample = finisher == VAR_SAMP || finisher == STDDEV_SAMP;
  const divisor = isSample ? count - 1 : count;
  if (count <= 0 || divisor <= 0) return FINISHED_NULL;
  if ((load<i64>(state) | load<i64>(state, 8) | load<i64>(state, 16)) != 0) {
    store<f64>(out, NaN);
    return FINISHED;
  }
  if (load<i64>(state + EXACT_SIZE, 8) != 0) return FINISHED_OVERFLOW;
  takeSpread(state, <u64>count);
  const variance = quotientOf(<u64>count, <u64>divisor);
  if (variance == Infinity || variance == -Infinity) return FINISHED_OVERFLOW;
  const isRoot = finisher == STDDEV_POP || finisher == STDDEV_SAMP;
  // Only where retractions came for values that never were.
  if (isRoot && variance < 0) return FINISHED_NULL;
  store<f64>(out, isRoot ? Math.sqrt(variance) : variance);
  return FINISHED;
}

/** Numbers of 32 bits a place, each in 64, in units of 2^-2148: a square has 138 places at most, n Q 105. */
const PLACES: i32 = 144;
const scaled: usize = memory.data(144 * 8, 8);
const squared: usize = memory.data(144 * 8, 8);
const LOW_32: u64 = 0xffffffff;

/** Places of `scaled` in use, and its sign: what `takeSpread` has left there. */
let spreadHigh: i32 = 0;
let isSpreadNegative: bool = false;

@inline
function placeAt(number: usize, index: i32): usize {
  assert(<u32>index < <u32>PLACES);
  return number + (<usize>index << 3);
}

/** Adds up to 64 bits at a place, and passes carries on. */
function addAt(number: usize, index: i32, value: u64): void {
  for (let carry = value, i = index; carry != 0; i++) {
    const at = placeAt(number, i);
    const sum = load<u64>(at) + (carry & LOW_32);
    store<u64>(at, sum & LOW_32);
    carry = (carry >> 32) + (sum >> 32);
  }
}

/** One unit of a sum is 2^1074 of these. */
const UNIT_PLACES: i32 = 33;
const UNIT_SHIFT: u64 = 18;

/** n Q - S^2 into `scaled`. */
function takeSpread(state: usize, count: u64): void {
  memory.fill(scaled, 0, <usize>PLACES << 3);
  memory.fill(squared, 0, <usize>PLACES << 3);
  takeMagnitude(state);
  for (let i = magnitudeLow; i < magnitudeHigh; i++)
    for (let j = magnitudeLow; j < magnitudeHigh; j++) addAt(squared, i + j, magnitudeAt(i) * magnitudeAt(j));
  takeMagnitude(state + EXACT_SIZE);
  const isOwed = isNegative;
  for (let i = magnitudeLow; i < magnitudeHigh; i++) {
    const shifted = magnitudeAt(i) << UNIT_SHIFT;
    addTimes(i + UNIT_PLACES, shifted & LOW_32, count);
    addTimes(i + UNIT_PLACES + 1, shifted >> 32, count);
  }
  if (isOwed) for (let i = 0; i < PLACES; i++) addAt(scaled, i, load<u64>(placeAt(squared, i)));
  isSpreadNegative = isOwed || isLess();
  if (!isOwed) takeDifference();
  spreadHigh = PLACES;
  while (spreadHigh > 0 && load<u64>(placeAt(scaled, spreadHigh - 1)) == 0) spreadHigh--;
}

@inline
function addTimes(index: i32, word: u64, count: u64): void {
  addAt(scaled, index, word * (count & LOW_32));
  addAt(scaled, index + 1, word * (count >> 32));
}

/** Is n Q below S^2? Of values that all are there it never is. */
function isLess(): bool {
  for (let i = PLACES - 1; i >= 0; i--) {
    const difference = <i64>load<u64>(placeAt(scaled, i)) - <i64>load<u64>(placeAt(squared, i));
    if (difference != 0) return difference < 0;
  }
  return false;
}

/** The lesser from the greater. */
function takeDifference(): void {
  let borrow: i64 = 0;
  for (let i = 0; i < PLACES; i++) {
    const forward = <i64>load<u64>(placeAt(scaled, i)) - <i64>load<u64>(placeAt(squared, i));
    const difference = (isSpreadNegative ? -forward : forward) + borrow;
    store<u64>(placeAt(scaled, i), <u64>difference & LOW_32);
    borrow = difference >> 32;
  }
}

@inline
function bitOf(position: i32): u64 {
  return (load<u64>(placeAt(scaled, position >> 5)) >> (<u64>position & 31)) & 1;
}

/** Positions of `scaled` that are below the unit of doubles. */
const BELOW_UNIT: i32 = 1074;

/**
 * `scaled` divided by n times the divisor, as exact.ts divides: from the top, until 55 significant bits are there or two bits
 * below the smallest unit of doubles; one more bit says whether anything was left over. n is below 2^63, so the remainder,
 * which is below the product, doubles within 128 bits.
 */
function quotientOf(count: u64, divisor: u64): f64 {
  if (spreadHigh == 0) return 0;
  multiply(count, divisor);
  const byLow = productLow;
  const byHigh = productHigh;
  let low: u64 = 0;
  let high: u64 = 0;
  let bits: u64 = 0;
  let bitCount = 0;
  let position = spreadHigh * 32 - 1;
  for (; bitCount < 55 && position >= BELOW_UNIT - 2; position--) {
    high = (high << 1) | (low >> 63);
    low = (low << 1) | bitOf(position);
    const isOver = high > byHigh || (high == byHigh && low >= byLow);
    if (isOver) {
      high -= byHigh + <u64>(low < byLow);
      low -= byLow;
    }
    bits = (bits << 1) | <u64>isOver;
    if (bits != 0) bitCount++;
  }
  const rest = (low | high) != 0 || hasBitsTo(position);
  const value = toDouble((bits << 1) | <u64>rest, position - BELOW_UNIT);
  return isSpreadNegative ? -value : value;
}

/** Is any bit at or below the position set? */
function hasBitsTo(position: i32): bool {
  const index = position >> 5;
  for (let i = 0; i < index; i++) if (load<u64>(placeAt(scaled, i)) != 0) return true;
  return (load<u64>(placeAt(scaled, index)) & (((<u64>2) << (<u64>position & 31)) - 1)) != 0;
}

let productLow: u64 = 0;
let productHigh: u64 = 0;

/** The 128 bits of a product. */
function multiply(x: u64, y: u64): void {
  const low = (x & LOW_32) * (y & LOW_32);
  const cross = (x >> 32) * (y & LOW_32) + (low >> 32);
  const other = (x & LOW_32) * (y >> 32) + (cross & LOW_32);
  productLow = (other << 32) | (low & LOW_32);
  productHigh = (x >> 32) * (y >> 32) + (cross >> 32) + (other >> 32);
}

// --- encoding, as Moments of row.proto

const TAG_SUM: u8 = 0x0a;
const TAG_SQUARES: u8 = 0x12;
const TAG_COUNT: u8 = 0x18;

/** Tag and length of a sum, at their longest. */
const PART_HEAD: usize = 4;

/** Writes the state as Moments, and returns the end of it. */
export function encodeMoments(state: usize, out: usize): usize {
  let at = encodePart(TAG_SUM, state, out);
  at = encodePart(TAG_SQUARES, state + EXACT_SIZE, at);
  store<u8>(at, TAG_COUNT);
  return at + 1 + writeVarint(at + 1, zigzag(load<i64>(state, COUNT_AT)));
}

function encodePart(tag: u8, sum: usize, at: usize): usize {
  const size = encodeExact(sum, at + PART_HEAD);
  store<u8>(at, tag);
  const head: usize = 1 + writeVarint(at + 1, <u64>size);
  memory.copy(at + head, at + PART_HEAD, size);
  return at + head + size;
}

/** Unpacks the Moments in [from, end); false where the bytes are not its one canonical spelling. */
export function decodeMoments(from: usize, end: usize, state: usize): bool {
  let at = decodePart(TAG_SUM, from, end, state);
  if (at != 0) at = decodePart(TAG_SQUARES, at, end, state + EXACT_SIZE);
  if (at == 0 || at >= end || load<u8>(at) != TAG_COUNT) return false;
  store<i64>(state, unzigzag(readVarint(at + 1, end)), COUNT_AT);
  return varintOk && varintNext == end;
}

/** Returns where the field behind it starts, 0 where it is not canonical. */
function decodePart(tag: u8, from: usize, end: usize, sum: usize): usize {
  if (from >= end || load<u8>(from) != tag) return 0;
  const size = readVarint(from + 1, end);
  if (!varintOk || size > <u64>(end - varintNext)) return 0;
  const to = varintNext + <usize>size;
  return decodeExact(varintNext, to, sum) ? to : 0;
}
