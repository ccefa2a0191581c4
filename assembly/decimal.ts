/**
 * JSON numbers as doubles, rounded once, exactly as JSON.parse reads them: to nearest, ties to even; beyond the largest
 * double they are infinite.
 *
 *   1. split     up to 19 significant digits in a u64, and the power of ten behind them
 *   2. exact     few digits and a small power: one multiplication or division of doubles is right
 *   3. product   the digits times 5^q in 128 bits (Daniel Lemire, "Number Parsing at a Gigabyte per Second"; that it
 *                needs no fallback: Noble Mushtak and Daniel Lemire, "Fast Number Parsing Without Fallback")
 *   4. compare   more than 19 digits, and the ones cut off might decide: the digits against the midpoint of two
 *                doubles, in big integers
 */
import { digitCount, digitsOf, tenTo } from './digits';
import { POWER_MAX, POWER_MIN, powers } from './powers';

/** Digits that a u64 always holds. */
const DIGITS_MAX: i32 = 19;

/** 10^22 is the largest power of ten that is a double. */
const EXACT_POWER_MAX: i64 = 22;
const EXACT_DIGITS_MAX: u64 = 1 << 53;
const exactPowers: usize = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
]);

/** Far beyond any exponent that matters, far below what could overflow when digits are added to it. */
const EXPONENT_MAX: i64 = 1_000_000_000;

/** The double that a checked JSON number in [from, end) is. */
export function readDouble(from: usize, end: usize): f64 {
  const negative = load<u8>(from) == 0x2d;
  const magnitude = readMagnitude(negative ? from + 1 : from, end);
  return negative ? -magnitude : magnitude;
}

/** What `takeDouble` found. */
export let double: f64 = 0;

/**
 * Reads a number of at most 15 digits before its point, at most 15 behind it, 19 of both, and no exponent, into
 * `double`. Returns where it ends; 0 where there is none of that kind.
 */
export function takeDouble(at: usize): usize {
  const isNegative = load<u8>(at) == 0x2d;
  const from = at + <usize>isNegative;
  let to = takeDigits(from, 0);
  if (to == 0 || (load<u8>(from) == 0x30 && to != from + 1)) return 0;
  let fraction: i64 = 0;
  if (load<u8>(to) == 0x2e) {
    const point = to;
    to = takeDigits(point + 1, taken);
    if (to == 0 || to - from > <usize>DIGITS_MAX + 1) return 0;
    fraction = <i64>(to - point) - 1;
  }
  if ((load<u8>(to) | 0x20) == 0x65) return 0;
  const magnitude = taken == 0 ? 0 : toDouble(taken, -fraction);
  double = isNegative ? -magnitude : magnitude;
  return to;
}

let taken: u64 = 0;

/** Puts 1 to 15 digits behind those of `before`; returns where they end, 0 where there are none, or more. */
@inline
function takeDigits(from: usize, before: u64): usize {
  const word = load<u64>(from);
  const count = digitCount(word);
  if (count == 0) return 0;
  taken = before * tenTo(count) + digitsOf(word, count);
  if (count < 8) return from + <usize>count;
  const more = load<u64>(from, 8);
  const moreCount = digitCount(more);
  if (moreCount == 8) return 0;
  if (moreCount != 0) taken = taken * tenTo(moreCount) + digitsOf(more, moreCount);
  return from + 8 + <usize>moreCount;
}

function readMagnitude(from: usize, end: usize): f64 {
  let digits: u64 = 0;
  let digitCount = 0;
  let dropped: i64 = 0; // digits behind the first 19, as powers of ten
  let fraction: i64 = 0; // digits behind the point that are in `digits` or dropped
  let isCut = false; // a dropped digit is not 0
  let seenPoint = false;
  let at = from;
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x2e) {
      seenPoint = true;
      continue;
    }
    if (byte < 0x30 || byte > 0x39) break;
    if (seenPoint) fraction++;
    if (digitCount < DIGITS_MAX) {
      digits = digits * 10 + (byte - 0x30);
      if (digits != 0) digitCount++;
    } else {
      dropped++;
      isCut = isCut || byte != 0x30;
    }
  }
  if (digits == 0) return 0;
  const mantissaEnd = at;
  const power = readExponent(at, end) - fraction + dropped;
  if (!isCut) return toDouble(digits, power);
  const below = toDouble(digits, power);
  if (below == toDouble(digits + 1, power)) return below;
  return roundExactly(below, from, mantissaEnd, power - dropped);
}

function readExponent(at: usize, end: usize): i64 {
  if (at == end) return 0;
  const sign = load<u8>(++at);
  if (sign == 0x2b || sign == 0x2d) at++;
  let exponent: i64 = 0;
  for (; at < end; at++) exponent = min(exponent * 10 + (load<u8>(at) - 0x30), EXPONENT_MAX);
  return sign == 0x2d ? -exponent : exponent;
}

/** digits * 10^power, digits not 0. */
function toDouble(digits: u64, power: i64): f64 {
  if (digits <= EXACT_DIGITS_MAX && power >= -EXACT_POWER_MAX && power <= EXACT_POWER_MAX) {
    const exact = <f64>digits;
    if (power < 0) return exact / load<f64>(exactPowers + (<usize>(-power) << 3));
    return exact * load<f64>(exactPowers + (<usize>power << 3));
  }
  if (power < POWER_MIN) return 0;
  if (power > POWER_MAX) return Infinity;
  return product(digits, <i32>power);
}

const MANTISSA_BITS: i32 = 52;
const INFINITE_EXPONENT: i32 = 0x7ff;

export let productLow: u64 = 0;
export let productHigh: u64 = 0;

/** x * y in 128 bits. */
@inline
export function multiply(x: u64, y: u64): void {
  const x0 = x & 0xffffffff;
  const x1 = x >> 32;
  const y0 = y & 0xffffffff;
  const y1 = y >> 32;
  const low = x0 * y0;
  const middle = x1 * y0 + (low >> 32);
  const middle2 = x0 * y1 + (middle & 0xffffffff);
  productLow = (middle2 << 32) | (low & 0xffffffff);
  productHigh = x1 * y1 + (middle >> 32) + (middle2 >> 32);
}

function product(digits: u64, power: i32): f64 {
  const shift = <i32>clz(digits);
  const normal = digits << shift;
  const entry = powers + (<usize>(power - POWER_MIN) << 4);
  multiply(normal, load<u64>(entry));
  // The low word of the power matters only where the bits below the 55 that are used are all ones.
  if ((productHigh & 0x1ff) == 0x1ff) {
    const low = productLow;
    const high = productHigh;
    multiply(normal, load<u64>(entry, 8));
    productLow = low + productHigh;
    productHigh = productLow < low ? high + 1 : high;
  }
  const upper = <i32>(productHigh >> 63);
  const cut = upper + 64 - MANTISSA_BITS - 3;
  let mantissa = productHigh >> cut;
  // log2(10^power), rounded down.
  let exponent = ((217706 * power) >> 16) + 63 + upper - shift + 1023;
  if (exponent <= 0) {
    if (1 - exponent >= 64) return 0;
    mantissa >>= 1 - exponent;
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    exponent = mantissa < <u64>1 << MANTISSA_BITS ? 0 : 1;
  } else {
    // Exactly half way: to even. Only these powers can be.
    if (productLow <= 1 && power >= -4 && power <= 23 && (mantissa & 3) == 1 && mantissa << cut == productHigh)
      mantissa &= ~(<u64>1);
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >= <u64>2 << MANTISSA_BITS) {
      mantissa = <u64>1 << MANTISSA_BITS;
      exponent++;
    }
    if (exponent >= INFINITE_EXPONENT) return Infinity;
  }
  return reinterpret<f64>((mantissa & ((<u64>1 << MANTISSA_BITS) - 1)) | (<u64>exponent << MANTISSA_BITS));
}

// --- 4. compare, in big integers of 32-bit limbs, least significant first

/** No midpoint of doubles has more significant digits than this: later ones only say that there is something more. */
const SIGNIFICANT_MAX: i32 = 768;

/** 769 digits (2,555 bits) times 5^341, or 54 bits times 5^1,111 * 2^1,075: below 4,096 bits. */
const LIMBS_MAX: i32 = 160;
const leftLimbs: usize = memory.data(160 * 4, 8);
const rightLimbs: usize = memory.data(160 * 4, 8);
let leftCount: i32 = 0;
let rightCount: i32 = 0;

/**
 * The digits are at or above `below` and below its next but one: is the value under, on or above the midpoint of
 * `below` and the next double?
 *
 * @param power of ten behind the last digit of the text
 */
function roundExactly(below: f64, from: usize, end: usize, power: i64): f64 {
  if (below == Infinity) return below;
  const bits = reinterpret<u64>(below);
  const biased = <i32>(bits >> MANTISSA_BITS);
  const fraction = bits & ((<u64>1 << MANTISSA_BITS) - 1);
  // midpoint = (2 * mantissa + 1) * 2^(exponent - 1)
  const mantissa = biased == 0 ? fraction : fraction | (<u64>1 << MANTISSA_BITS);
  const exponent = (biased == 0 ? 1 : biased) - 1075 - 1;

  const tens = readDigits(from, end, power);
  rightCount = setLimbs(rightLimbs, 2 * mantissa + 1);
  // digits * 10^tens against midpoint * 2^exponent, both made whole: 10 = 5 * 2, and negative powers change sides.
  const fives = tens;
  const twos = tens - exponent;
  if (fives >= 0) leftCount = timesPower(leftLimbs, leftCount, 5, fives);
  else rightCount = timesPower(rightLimbs, rightCount, 5, -fives);
  if (twos >= 0) leftCount = timesPower(leftLimbs, leftCount, 2, twos);
  else rightCount = timesPower(rightLimbs, rightCount, 2, -twos);
  const order = compareLimbs();
  if (order < 0 || (order == 0 && (mantissa & 1) == 0)) return below;
  return reinterpret<f64>(bits + 1);
}

/** Up to SIGNIFICANT_MAX digits to the left limbs, and a 1 behind them where more follow; the power of ten that remains. */
function readDigits(from: usize, end: usize, power: i64): i32 {
  let seen = 0;
  let rest: i64 = 0;
  let more = false;
  leftCount = 0;
  for (let at = from; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x2e || (seen == 0 && byte == 0x30)) continue;
    if (seen < SIGNIFICANT_MAX) {
      leftCount = timesPlus(leftLimbs, leftCount, 10, byte - 0x30);
      seen++;
    } else {
      rest++;
      more = more || byte != 0x30;
    }
  }
  let tens = power + rest;
  if (more) {
    leftCount = timesPlus(leftLimbs, leftCount, 10, 1);
    tens--;
  }
  // `below` is finite, so the value is below 2^1024, and at least 10^18 * 10^-342: the power is small.
  assert(tens >= -1200 && tens <= 400);
  return <i32>tens;
}

function setLimbs(limbs: usize, value: u64): i32 {
  store<u32>(limbs, <u32>value);
  store<u32>(limbs, <u32>(value >> 32), 4);
  return value >> 32 != 0 ? 2 : 1;
}

function timesPlus(limbs: usize, count: i32, factor: u32, plus: u32): i32 {
  let carry: u64 = plus;
  for (let i = 0; i < count; i++) {
    const at = limbs + (<usize>i << 2);
    carry += <u64>load<u32>(at) * factor;
    store<u32>(at, <u32>carry);
    carry >>= 32;
  }
  if (carry != 0) {
    assert(count < LIMBS_MAX);
    store<u32>(limbs + (<usize>count << 2), <u32>carry);
    count++;
  }
  return count;
}

/** Times base^power, a chunk of the largest power that is below 2^32 at a time. */
function timesPower(limbs: usize, count: i32, base: u32, power: i32): i32 {
  const stepPower = base == 5 ? 13 : 31;
  const step: u32 = base == 5 ? 1220703125 : <u32>1 << 31;
  for (; power >= stepPower; power -= stepPower) count = timesPlus(limbs, count, step, 0);
  for (; power > 0; power--) count = timesPlus(limbs, count, base, 0);
  return count;
}

function compareLimbs(): i32 {
  if (leftCount != rightCount) return leftCount < rightCount ? -1 : 1;
  for (let i = leftCount - 1; i >= 0; i--) {
    const left = load<u32>(leftLimbs + (<usize>i << 2));
    const right = load<u32>(rightLimbs + (<usize>i << 2));
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}
