/**
 * Exact sums of doubles, rounded once when they are read: order, batches and retractions cannot show.
 *
 * Every finite double is a multiple of 2^-1074, so a sum of them is one large integer in that unit. It is kept in chunks
 * of 32 bits, each in an i64 that may run over (Radford Neal, "Fast exact summation using small and large
 * superaccumulators", the small one); an add touches two chunks and no carry is passed on until there is need. Only the
 * chunks in use are ever touched: the doubles of one feature mostly need three or four.
 *
 * The doubles of one feature mostly are near to each other, and their sum fits 128 bits: so there is one more number, a
 * signed 128-bit one in units of 2^position, that takes what it can (no more than NEAR_BITS bits, so that two of them add up
 * without running over). Integers are always such. What it cannot take makes room: it goes to the chunks, and starts again.
 * The sum is both together.
 *
 *   nan, positive infinities, negative infinities, count  i64 each: how often they were added
 *   low, high   i32: chunks [low, high) are in use, the others hold rubbish; equal when they count nothing
 *   pending     i32: adds to chunks since carries were last passed on
 *   position    i32: of the near number
 *   near        low u64, high i64
 *   chunks      CHUNKS i64: chunk k counts 2^(32 k) units
 *
 * After `settle` every chunk but the highest is in [0, 2^32), and the highest has the sign.
 */
import { readVarint, unzigzag, varintNext, varintOk, writeVarint, zigzag } from './varint';

/** 2,098 bits of a double's range, 63 for how many are added, and the sign: 68 chunks. */
const CHUNKS: i32 = 68;
const CHUNKS_AT: usize = 64;
export const EXACT_SIZE: usize = 64 + 68 * 8;
/** What has to be 0 in an empty state. */
export const EXACT_CLEAR: usize = 64;

/** Of the near number, without its sign. */
const NEAR_BITS: i32 = 117;

/**
 * Of no sum that was ever written: 2^63 times the greatest double stays below. The bits above it are room for merging the rows of
 * any window (4096 tiles), so that damaged ones never carry past the last chunk.
 */
const MAGNITUDE_BITS_MAX: i32 = 2098 + 63;

/** An add changes a chunk by less than 2^53, so this many stay below 2^63. */
const PENDING_MAX: i32 = 1000;

const LOW_32: i64 = 0xffffffff;

@inline
function chunkAt(state: usize, index: i32): usize {
  assert(<u32>index < <u32>CHUNKS);
  return state + CHUNKS_AT + (<usize>index << 3);
}

@inline
function lowOf(state: usize): i32 {
  return load<i32>(state, 32);
}

@inline
function highOf(state: usize): i32 {
  return load<i32>(state, 36);
}

/** Takes chunks [low, high) into use, the new ones as 0. */
function widen(state: usize, low: i32, high: i32): void {
  const oldLow = lowOf(state);
  const oldHigh = highOf(state);
  if (oldLow == oldHigh) {
    for (let i = low; i < high; i++) store<i64>(chunkAt(state, i), 0);
    store<i32>(state, low, 32);
    store<i32>(state, high, 36);
    return;
  }
  for (let i = low; i < oldLow; i++) store<i64>(chunkAt(state, i), 0);
  for (let i = oldHigh; i < high; i++) store<i64>(chunkAt(state, i), 0);
  if (low < oldLow) store<i32>(state, low, 32);
  if (high > oldHigh) store<i32>(state, high, 36);
}

@inline
function ensure(state: usize, low: i32, high: i32): void {
  if (low < lowOf(state) || high > highOf(state) || lowOf(state) == highOf(state)) widen(state, low, high);
}

@inline
function tick(state: usize): void {
  const pending = load<i32>(state, 40) + 1;
  store<i32>(state, pending, 40);
  if (pending >= PENDING_MAX) settle(state);
}

/** Adds a double `weight` times (+1 or -1). */
export function addDouble(state: usize, value: f64, weight: i64): void {
  addScaled(state, value, weight, 0);
}

/** Adds a double times 2^shift, a shift of 0 or more, which is the caller's to bound: there has to be room above. */
@inline
export function addScaled(state: usize, value: f64, weight: i64, shift: i32): void {
  const bits = reinterpret<u64>(value);
  const biased = <i32>(bits >> 52) & 0x7ff;
  if (biased == 0x7ff) {
    const count = state + (value != value ? 0 : value > 0 ? 8 : 16);
    store<i64>(count, load<i64>(count) + weight);
    return;
  }
  const fraction = bits & 0xfffffffffffff;
  const mantissa = biased == 0 ? fraction : fraction | 0x10000000000000;
  if (mantissa == 0) return;
  const position = (biased == 0 ? 0 : biased - 1) + shift;
  const signed = <i64>bits < 0 != weight < 0 ? -(<i64>mantissa) : <i64>mantissa;
  addNear(state, <u64>signed, signed >> 63, position);
}

/** Counts what no sum has room for `weight` times, as an infinity. */
export function countInfinity(state: usize, weight: i64): void {
  store<i64>(state, load<i64>(state, 8) + weight, 8);
}

/** Where 1 is. */
const ONE: i32 = 1074;

/** Adds an int64 `weight` times (+1 or -1). */
export function addInteger(state: usize, value: i64, weight: i64): void {
  if (value != 0) addSigned(state, <u64>value, value >> 63, weight, ONE);
}

@inline
function addSigned(state: usize, low: u64, high: i64, weight: i64, position: i32): void {
  if (weight >= 0) addNear(state, low, high, position);
  else addNear(state, ~low + 1, ~high + <i64>(low == 0), position);
}

let squareLow: u64 = 0;
let squareHigh: u64 = 0;

@inline
function square(value: u64): void {
  const low = value & 0xffffffff;
  const high = value >> 32;
  const cross = low * high;
  squareLow = value * value;
  squareHigh = high * high + (((low * low >> 32) + (cross & 0xffffffff) * 2) >> 32) + (cross >> 32) * 2;
}

/** Adds the square of an int64 `weight` times. */
export function addSquareOfInteger(state: usize, value: i64, weight: i64): void {
  if (value == 0) return;
  square(value < 0 ? <u64>0 - <u64>value : <u64>value);
  // In two parts where it has more bits than the near number takes at once.
  const isWide = squareHigh >> (NEAR_BITS - 65) != 0;
  addSigned(state, squareLow, isWide ? 0 : <i64>squareHigh, weight, ONE);
  if (isWide) addSigned(state, squareHigh, 0, weight, ONE + 64);
}

/** Squares of doubles from 2^512 on are beyond the greatest double. */
const SQUARE_BIASED_END: i32 = 1023 + 512;

/**
 * Adds the square of a double `weight` times: all of its 106 bits, down to the smallest unit of doubles, to which it is
 * rounded where it has bits below (below 2^-485). What is beyond the greatest double counts as an infinity.
 */
export function addSquare(state: usize, value: f64, weight: i64): void {
  const bits = reinterpret<u64>(value);
  const biased = <i32>(bits >> 52) & 0x7ff;
  if (biased >= SQUARE_BIASED_END) {
    const count = state + (value != value ? 0 : 8);
    store<i64>(count, load<i64>(count) + weight);
    return;
  }
  const fraction = bits & 0xfffffffffffff;
  square(biased == 0 ? fraction : fraction | 0x10000000000000);
  const position = (max(biased, 1) - 1) * 2 - ONE;
  if (position < 0) roundSquare(-position);
  if ((squareLow | squareHigh) != 0) addSigned(state, squareLow, <i64>squareHigh, weight, max(position, 0));
}

/** Takes `count` bits away from the end of the square: to nearest, ties to even. */
function roundSquare(count: i32): void {
  const half = count <= 128 && squareBit(count - 1);
  const isAbove = half && hasSquareBits(count - 1);
  if (count >= 64) {
    squareLow = count < 128 ? squareHigh >> (count - 64) : 0;
    squareHigh = 0;
  } else {
    squareLow = (squareLow >> count) | (squareHigh << (64 - count));
    squareHigh >>= count;
  }
  if (half && (isAbove || (squareLow & 1) != 0)) {
    squareLow++;
    squareHigh += <u64>(squareLow == 0);
  }
}

@inline
function squareBit(index: i32): bool {
  return (((index >= 64 ? squareHigh : squareLow) >> (index & 63)) & 1) != 0;
}

/** Is any of its lowest `count` bits set? */
@inline
function hasSquareBits(count: i32): bool {
  if (count >= 64) return squareLow != 0 || (squareHigh & ((<u64>1 << (count - 64)) - 1)) != 0;
  return (squareLow & ((<u64>1 << count) - 1)) != 0;
}

// --- the near number

@inline
function positionOf(state: usize): i32 {
  return load<i32>(state, 44);
}

@inline
function hasNear(state: usize): bool {
  return (load<u64>(state, 48) | load<u64>(state, 56)) != 0;
}

@inline
function setNear(state: usize, low: u64, high: i64, position: i32): void {
  store<i32>(state, position, 44);
  store<u64>(state, low, 48);
  store<i64>(state, high, 56);
}

/** Bits of a signed 128-bit number without its sign; of a power of two below 0 one less than of its opposite. */
@inline
function bitsOf(low: u64, high: i64): i32 {
  const sign = high >> 63;
  const top = <u64>(high ^ sign);
  return top != 0 ? 128 - <i32>clz<u64>(top) : 64 - <i32>clz<u64>(low ^ <u64>sign);
}

@inline
function shiftedHigh(low: u64, high: i64, by: i32): i64 {
  if (by == 0) return high;
  return by < 64 ? (high << by) | <i64>(low >> (64 - by)) : <i64>(low << (by - 64));
}

@inline
function shiftedLow(low: u64, by: i32): u64 {
  return by < 64 ? low << by : 0;
}

/** The near number is the whole sum, and no NaN or infinity was added: its encoding takes at most 24 bytes. */
@inline
export function isNear(state: usize): bool {
  return (
    lowOf(state) == highOf(state) && (load<i64>(state) | load<i64>(state, 8) | load<i64>(state, 16)) == 0
  );
}

/** Adds a number of at most NEAR_BITS bits, in units of 2^position. */
@inline
function addNear(state: usize, low: u64, high: i64, position: i32): void {
  const distance = position - positionOf(state);
  // A double at or above the position by no more than 64 bits fits in any case.
  if (distance >= 0 && distance <= NEAR_BITS && bitsOf(low, high) + distance < NEAR_BITS)
    addAligned(state, shiftedLow(low, distance), shiftedHigh(low, high, distance));
  else addApart(state, low, high, position);
}

@inline
function addAligned(state: usize, low: u64, high: i64): void {
  const sum = load<u64>(state, 48) + low;
  const top = load<i64>(state, 56) + high + <i64>(sum < low);
  store<u64>(state, sum, 48);
  store<i64>(state, top, 56);
  if (bitsOf(sum, top) >= NEAR_BITS) makeRoom(state);
}

/** Where the near number has to move to a lower position, or to give way. */
function addApart(state: usize, low: u64, high: i64, position: i32): void {
  if (hasNear(state)) {
    const nearLow = load<u64>(state, 48);
    const nearHigh = load<i64>(state, 56);
    const distance = positionOf(state) - position;
    if (distance > 0 && distance <= NEAR_BITS && bitsOf(nearLow, nearHigh) + distance < NEAR_BITS) {
      setNear(state, shiftedLow(nearLow, distance), shiftedHigh(nearLow, nearHigh, distance), position);
      addAligned(state, low, high);
      return;
    }
    makeRoom(state);
  }
  setNear(state, low, high, position);
}

/** Moves the near number to the chunks: five of them hold 128 bits at any shift. */
function makeRoom(state: usize): void {
  if (!hasNear(state)) return;
  const negative = load<i64>(state, 56) < 0;
  let low = load<u64>(state, 48);
  let high = <u64>load<i64>(state, 56);
  if (negative) {
    low = ~low + 1;
    high = ~high + <u64>(low == 0);
  }
  const index = positionOf(state) >> 5;
  const shift = <u64>(positionOf(state) & 31);
  ensure(state, index, min(index + 5, CHUNKS));
  addWord(state, index, low << shift, negative);
  addWord(state, index + 1, (low >> (32 - shift)) & LOW_32, negative);
  addWord(state, index + 2, shift == 0 ? high : (low >> (64 - shift)) | (high << shift), negative);
  addWord(state, index + 3, (high >> (32 - shift)) & LOW_32, negative);
  addWord(state, index + 4, shift == 0 ? 0 : high >> (64 - shift), negative);
  setNear(state, 0, 0, 0);
  tick(state);
}

/** Adds the lower 32 bits of a word to a chunk, or takes them away. Near the greatest doubles there are no chunks for words of 0. */
@inline
function addWord(state: usize, index: i32, word: u64, negative: bool): void {
  const value = <i64>(word & LOW_32);
  if (value == 0) return;
  const chunk = chunkAt(state, index);
  store<i64>(chunk, load<i64>(chunk) + (negative ? -value : value));
}

/** Makes it what takes it away, counts and all. */
export function negateExact(state: usize): void {
  for (let at: usize = 0; at < 32; at += 8) store<i64>(state + at, -load<i64>(state + at));
  if (hasNear(state)) {
    const low = ~load<u64>(state, 48) + 1;
    setNear(state, low, ~load<i64>(state, 56) + <i64>(low == 0), positionOf(state));
  }
  for (let i = lowOf(state); i < highOf(state); i++) store<i64>(chunkAt(state, i), -load<i64>(chunkAt(state, i)));
}

/** Adds the sum `from` to `into`, counts and all. `from` is settled on the way: its value stays. */
export function addExact(into: usize, from: usize): void {
  for (let at: usize = 0; at < 32; at += 8) store<i64>(into + at, load<i64>(into + at) + load<i64>(from + at));
  if (hasNear(from)) addNear(into, load<u64>(from, 48), load<i64>(from, 56), positionOf(from));
  settle(from);
  const low = lowOf(from);
  const high = highOf(from);
  if (low == high) return;
  ensure(into, low, high);
  for (let i = low; i < high; i++) {
    const at = chunkAt(into, i);
    store<i64>(at, load<i64>(at) + load<i64>(chunkAt(from, i)));
  }
  tick(into);
}

/** Adds the sum `from` times 2^shift to `into`, as `addExact` does; false, and nothing is added, where there is no room for it. */
export function addExactScaled(into: usize, from: usize, shift: i32): bool {
  settle(from);
  const nearTop = positionOf(from) + (hasNear(from) ? bitsOf(load<u64>(from, 48), load<i64>(from, 56)) : 0);
  if (max(nearTop, highOf(from) * 32) + shift > MAGNITUDE_BITS_MAX) return false;
  for (let at: usize = 0; at < 32; at += 8) store<i64>(into + at, load<i64>(into + at) + load<i64>(from + at));
  if (hasNear(from)) addNear(into, load<u64>(from, 48), load<i64>(from, 56), positionOf(from) + shift);
  for (let i = lowOf(from); i < highOf(from); i++) {
    const value = load<i64>(chunkAt(from, i));
    addNear(into, <u64>value, value >> 63, i * 32 + shift);
  }
  return true;
}

/** Passes carries on, and gives back chunks at both ends that are 0. */
function settle(state: usize): void {
  store<i32>(state, 0, 40);
  let high = highOf(state);
  const low = lowOf(state);
  if (low == high) return;
  for (let i = low; i < high; i++) {
    const at = chunkAt(state, i);
    const value = load<i64>(at);
    const isTop = i + 1 == high;
    // The highest chunk keeps its sign, and whatever fits beside it.
    if (isTop && value > -0x100000000 && value < 0x100000000) break;
    const carry = value >> 32;
    store<i64>(at, value & LOW_32);
    if (isTop) {
      store<i64>(chunkAt(state, high), carry);
      high++;
    } else {
      const next = chunkAt(state, i + 1);
      store<i64>(next, load<i64>(next) + carry);
    }
  }
  while (high > low && load<i64>(chunkAt(state, high - 1)) == 0) high--;
  let first = low;
  while (first < high && load<i64>(chunkAt(state, first)) == 0) first++;
  store<i32>(state, first, 32);
  store<i32>(state, high, 36);
}

// --- magnitude: the sum without its sign, chunks [magnitudeLow, magnitudeHigh) of 32 bits each, both ends not 0

const magnitude: usize = memory.data(69 * 8, 8);
export let magnitudeLow: i32 = 0;
export let magnitudeHigh: i32 = 0;
export let isNegative: bool = false;

@inline
export function magnitudeAt(index: i32): u64 {
  assert(<u32>index < 69);
  return load<u64>(magnitude + (<usize>index << 3));
}

/** Leaves the magnitude of a sum there. Its value stays. */
export function takeMagnitude(state: usize): void {
  makeRoom(state);
  settle(state);
  const low = lowOf(state);
  const high = highOf(state);
  magnitudeLow = low;
  magnitudeHigh = high;
  isNegative = low < high && load<i64>(chunkAt(state, high - 1)) < 0;
  if (low == high) return;
  let carry: i64 = 0;
  for (let i = low; i < high; i++) {
    const value = load<i64>(chunkAt(state, i));
    const signed = (isNegative ? -value : value) + carry;
    store<i64>(magnitude + (<usize>i << 3), i + 1 == high ? signed : signed & LOW_32);
    carry = signed >> 32;
  }
  // Borrowed from below, the highest chunk may have become 0.
  while (magnitudeHigh > low && magnitudeAt(magnitudeHigh - 1) == 0) magnitudeHigh--;
  while (magnitudeLow < magnitudeHigh && magnitudeAt(magnitudeLow) == 0) magnitudeLow++;
}

/** Position of the highest bit, -1 when the magnitude is 0. */
function topBit(): i32 {
  if (magnitudeLow == magnitudeHigh) return -1;
  return (magnitudeHigh - 1) * 32 + 63 - <i32>clz(magnitudeAt(magnitudeHigh - 1));
}

@inline
function bitAt(position: i32): u64 {
  const index = position >> 5;
  if (index < magnitudeLow || index >= magnitudeHigh) return 0;
  return (magnitudeAt(index) >> (position & 31)) & 1;
}

// --- finish

export const EXACT_OK: i32 = 0;
export const EXACT_OVERFLOW: i32 = 1;

/** The sum as a double, rounded to nearest, ties to even; or why it is none. NaN and infinities as IEEE would have them. */
export function finishSum(state: usize, out: usize): i32 {
  if (finishSpecial(state, out)) return EXACT_OK;
  return finishQuotient(state, 1, 0, out);
}

/** The sum times 2^exponent, rounded once. False where an infinity was added, or it is beyond the greatest double. */
export function finishScaled(state: usize, exponent: i32, out: usize): bool {
  if ((load<i64>(state, 8) | load<i64>(state, 16)) != 0) return false;
  return finishSpecial(state, out) || finishQuotient(state, 1, exponent, out) == EXACT_OK;
}

/** The sum divided by `count` (not 0), rounded once. */
export function finishMean(state: usize, count: i64, out: usize): i32 {
  if (finishSpecial(state, out)) return EXACT_OK;
  return finishQuotient(state, count, 0, out);
}

function finishSpecial(state: usize, out: usize): bool {
  const nan = load<i64>(state) != 0;
  const positive = load<i64>(state, 8) != 0;
  const negative = load<i64>(state, 16) != 0;
  if (!nan && !positive && !negative) return false;
  store<f64>(out, nan || (positive && negative) ? NaN : positive ? Infinity : -Infinity);
  return true;
}

/**
 * Long division, bit by bit from the top, until 55 significant bits are there, or two bits below the smallest unit; one
 * more bit says whether anything was left over. The quotient is times 2^exponent.
 */
function finishQuotient(state: usize, divisor: i64, exponent: i32, out: usize): i32 {
  takeMagnitude(state);
  const negative = isNegative != divisor < 0;
  const by: u64 = divisor < 0 ? <u64>0 - <u64>divisor : <u64>divisor;
  let position = topBit();
  if (position < 0) {
    store<f64>(out, 0);
    return EXACT_OK;
  }
  let remainder: u64 = 0;
  let bits: u64 = 0;
  let bitCount = 0;
  for (; bitCount < 55 && position >= -2 - exponent; position--) {
    remainder = (remainder << 1) | (position >= 0 ? bitAt(position) : 0);
    const digit: u64 = remainder >= by ? 1 : 0;
    if (digit) remainder -= by;
    bits = (bits << 1) | digit;
    if (bits != 0) bitCount++;
  }
  const rest = remainder != 0 || anyBitBelow(position);
  const value = toDouble((bits << 1) | (rest ? 1 : 0), position + exponent);
  store<f64>(out, negative ? -value : value);
  return value == Infinity ? EXACT_OVERFLOW : EXACT_OK;
}

/** Is any bit at or below `position` set? */
function anyBitBelow(position: i32): bool {
  if (position < 0) return false;
  const index = position >> 5;
  for (let i = magnitudeLow; i < min(index, magnitudeHigh); i++) if (magnitudeAt(i) != 0) return true;
  if (index < magnitudeLow || index >= magnitudeHigh) return false;
  return (magnitudeAt(index) & ((<u64>2 << (position & 31)) - 1)) != 0;
}

/** bits * 2^exponent units of 2^-1074, rounded; the lowest bit only says whether there is more. */
export function toDouble(bits: u64, exponent: i32): f64 {
  if (bits == 0) return 0;
  const top = 64 - <i32>clz(bits) + exponent;
  if (top <= 53) {
    // Below 2^53 units every double is a whole number of them, and its bits are that number.
    const cut = -exponent;
    let units = cut >= 64 ? 0 : bits >> cut;
    const below = cut >= 64 ? bits : bits & ((<u64>1 << cut) - 1);
    const half = cut > 64 ? <u64>0 : <u64>1 << (cut - 1);
    if (cut <= 64 && (below > half || (below == half && (units & 1) == 1))) units++;
    return reinterpret<f64>(units);
  }
  // In two steps where the unit itself has no bit to spare; both are exact.
  if (exponent < 0) return <f64>bits * power2(exponent) * power2(-1074);
  return <f64>bits * power2(exponent - 1074);
}

/** 2^exponent; below the normal range its one bit, above it infinite. */
function power2(exponent: i32): f64 {
  if (exponent < -1022) return reinterpret<f64>(<u64>1 << (exponent + 1074));
  return exponent > 1023 ? Infinity : reinterpret<f64>(<u64>(exponent + 1023) << 52);
}

// --- encoding: ExactSum of proto/tilefold/v1/row.proto

const TAG_MAGNITUDE: u8 = 0x0a;
const TAG_EXPONENT: u8 = 0x10;
const TAG_NEGATIVE: u8 = 0x18;
const TAG_NAN: u8 = 0x20;
const TAG_POSITIVE: u8 = 0x28;
const TAG_NEGATIVE_INFINITY: u8 = 0x30;

/** 68 chunks of 4 bytes, and tags, lengths and counts at their longest. */
export const EXACT_ENCODED_MAX: usize = 68 * 4 + 64;

/** Writes an ExactSum (without its own tag and length) and returns its size. Its count is not part of it. */
export function encodeExact(state: usize, out: usize): usize {
  if (lowOf(state) == highOf(state)) return encodeNear(state, out);
  let at = out;
  takeMagnitude(state);
  if (magnitudeLow < magnitudeHigh) {
    const shift = <i32>ctz(magnitudeAt(magnitudeLow));
    const lowest = magnitudeLow * 32 + shift;
    const size = <usize>((topBit() - lowest) >> 3) + 1;
    store<u8>(at++, TAG_MAGNITUDE);
    at += writeVarint(at, <u64>size);
    for (let i: usize = 0; i < size; i++) store<u8>(at++, byteAt(lowest + (<i32>i << 3)));
    store<u8>(at++, TAG_EXPONENT);
    at += writeVarint(at, zigzag(<i64>lowest - 1074));
    if (isNegative) {
      store<u8>(at++, TAG_NEGATIVE);
      store<u8>(at++, 1);
    }
  }
  return encodeSpecial(state, at) - out;
}

/** How often NaN and the infinities were added, and where that ends. */
@inline
function encodeSpecial(state: usize, at: usize): usize {
  if ((load<i64>(state) | load<i64>(state, 8) | load<i64>(state, 16)) == 0) return at;
  at += writeCount(at, TAG_NAN, load<i64>(state));
  at += writeCount(at, TAG_POSITIVE, load<i64>(state, 8));
  return at + writeCount(at, TAG_NEGATIVE_INFINITY, load<i64>(state, 16));
}

/** Where the near number is the whole sum. */
function encodeNear(state: usize, out: usize): usize {
  if (!hasNear(state)) return encodeSpecial(state, out) - out;
  const negative = load<i64>(state, 56) < 0;
  let low = load<u64>(state, 48);
  let high = <u64>load<i64>(state, 56);
  if (negative) {
    low = ~low + 1;
    high = ~high + <u64>(low == 0);
  }
  // Odd, as the encoding wants it.
  const zeros = low != 0 ? <i32>ctz<u64>(low) : 64 + <i32>ctz<u64>(high);
  if (zeros >= 64) {
    low = high >> (zeros - 64);
    high = 0;
  } else if (zeros > 0) {
    low = (low >> zeros) | (high << (64 - zeros));
    high >>= zeros;
  }
  const bits = high != 0 ? 128 - <i32>clz<u64>(high) : 64 - <i32>clz<u64>(low);
  const size = <usize>((bits + 7) >> 3);
  store<u8>(out, TAG_MAGNITUDE);
  store<u8>(out, <u8>size, 1);
  store<u64>(out, low, 2);
  store<u64>(out, high, 10);
  let at = out + 2 + size;
  store<u8>(at++, TAG_EXPONENT);
  at += writeVarint(at, zigzag(<i64>(positionOf(state) + zeros - 1074)));
  if (negative) {
    store<u8>(at++, TAG_NEGATIVE);
    store<u8>(at++, 1);
  }
  return encodeSpecial(state, at) - out;
}

/** Eight bits of the magnitude from a position on. */
@inline
function byteAt(position: i32): u8 {
  const index = position >> 5;
  const low = index < magnitudeHigh ? magnitudeAt(index) : 0;
  const high = index + 1 < magnitudeHigh ? magnitudeAt(index + 1) : 0;
  return <u8>((low | (high << 32)) >> (position & 31));
}

function writeCount(at: usize, tag: u8, count: i64): usize {
  if (count == 0) return 0;
  store<u8>(at, tag);
  return 1 + writeVarint(at + 1, zigzag(count));
}

/** Unpacks an ExactSum in [from, end) into an empty state; false where the bytes are not its one canonical spelling. */
export function decodeExact(from: usize, end: usize, state: usize): bool {
  for (let at: usize = 0; at < EXACT_CLEAR; at += 8) store<u64>(state + at, 0);
  let at = from;
  if (at < end && load<u8>(at) == TAG_MAGNITUDE) {
    at = decodeMagnitude(at, end, state);
    if (at == 0) return false;
  }
  at = readCount(at, end, TAG_NAN, state);
  if (at != 0) at = readCount(at, end, TAG_POSITIVE, state + 8);
  if (at != 0) at = readCount(at, end, TAG_NEGATIVE_INFINITY, state + 16);
  return at == end;
}

/** Returns where the fields behind it start, 0 when it is not canonical. */
function decodeMagnitude(from: usize, end: usize, state: usize): usize {
  const size = readVarint(from + 1, end);
  if (!varintOk || size == 0 || size > <u64>(CHUNKS * 4) || size > <u64>(end - varintNext)) return 0;
  const bytes = varintNext;
  let at = bytes + <usize>size;
  // Odd, and no byte more than needed.
  if ((load<u8>(bytes) & 1) == 0 || load<u8>(at - 1) == 0) return 0;
  const topBits = 31 - <i64>clz<u32>(<u32>load<u8>(at - 1));
  if (at >= end || load<u8>(at) != TAG_EXPONENT) return 0;
  const exponent = unzigzag(readVarint(at + 1, end));
  if (!varintOk) return 0;
  at = varintNext;
  const position = exponent + 1074;
  const last = position + (<i64>(size - 1) << 3) + topBits;
  if (position < 0 || last >= <i64>MAGNITUDE_BITS_MAX) return 0;
  let negative = false;
  if (at < end && load<u8>(at) == TAG_NEGATIVE) {
    if (at + 1 >= end || load<u8>(at, 1) != 1) return 0;
    negative = true;
    at += 2;
  }
  if (size <= NEAR_SIZE) {
    decodeNear(state, bytes, <usize>size, <i32>position, negative);
    return at;
  }
  widen(state, <i32>position >> 5, <i32>(last >> 5) + 1);
  for (let i: i32 = 0; i < <i32>size; i++) addByte(state, <i32>position + (i << 3), load<u8>(bytes + <usize>i), negative);
  return at;
}

/** Whole bytes that the near number takes. */
const NEAR_SIZE: u64 = 14;

@inline
function decodeNear(state: usize, bytes: usize, size: usize, position: i32, negative: bool): void {
  let low = load<u64>(bytes);
  let high: u64 = 0;
  if (size < 8) low &= ~(~(<u64>0) << (<u64>size << 3));
  if (size > 8) high = load<u64>(bytes, 8) & ~(~(<u64>0) << ((<u64>size - 8) << 3));
  if (negative) {
    low = ~low + 1;
    high = ~high + <u64>(low == 0);
  }
  setNear(state, low, <i64>high, position);
}

@inline
function addByte(state: usize, position: i32, byte: u8, negative: bool): void {
  const index = position >> 5;
  const shifted = <u64>byte << (position & 31);
  addTo(state, index, <i64>(shifted & 0xffffffff), negative);
  if (shifted >> 32 != 0) addTo(state, index + 1, <i64>(shifted >> 32), negative);
}

@inline
function addTo(state: usize, index: i32, value: i64, negative: bool): void {
  if (value == 0) return;
  const at = chunkAt(state, index);
  store<i64>(at, load<i64>(at) + (negative ? -value : value));
}

function readCount(at: usize, end: usize, tag: u8, to: usize): usize {
  if (at >= end || load<u8>(at) != tag) return at;
  const count = unzigzag(readVarint(at + 1, end));
  if (!varintOk || count == 0) return 0;
  store<i64>(to, count);
  return varintNext;
}
