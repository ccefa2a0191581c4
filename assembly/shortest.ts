/**
 * Doubles as decimal numbers: of all that are read as the double the shortest, and of those the nearest to it, as JSON and
 * JavaScript print them (Raffaello Giulietti, "The Schubfach way to render doubles").
 *
 *   1. interval   all reals that are rounded to the double, times 4 and scaled by a power of ten to some 17 digits
 *   2. choice     in it a number with a digit less, if just one of the two nearest is; else one of the two with all digits
 *   3. spelling   digits with a point, or with a power of ten where there would be many zeros
 */
import { multiply, productHigh, productLow } from './decimal';
import { POWER_MIN, powers } from './powers';

/** `-0.000001234567890123456` and `-1.2345678901234567e-300` are the longest. */
export const SHORTEST_MAX_BYTES: usize = 32;

const MANTISSA_BITS: i32 = 52;
const HIDDEN_BIT: u64 = <u64>1 << 52;

/** Digits without zeros at their end, and the power of ten that they are times of. */
let digits: u64 = 0;
let power: i32 = 0;

/** Spells a finite double at `out`; returns where that ends. 0 and -0 are `0`. */
export function spellDouble(value: f64, out: usize): usize {
  let at = out;
  if (value == 0) {
    store<u8>(at, 0x30);
    return at + 1;
  }
  if (value < 0) store<u8>(at++, 0x2d);
  toDecimal(reinterpret<u64>(value) & i64.MAX_VALUE);
  return spell(at);
}

/** Of a double's bits, without its sign. */
function toDecimal(bits: u64): void {
  const fraction = bits & (HIDDEN_BIT - 1);
  const biased = <i32>(bits >> MANTISSA_BITS);
  const mantissa = biased == 0 ? fraction : fraction | HIDDEN_BIT;
  const exponent = (biased == 0 ? 1 : biased) - 1075;
  // The double below a power of two is only half as far as the one above.
  const isUneven = fraction == 0 && biased > 1;
  power = (exponent * 1262611 - (isUneven ? 524031 : 0)) >> 22;
  const shift = exponent + ((-power * 1741647) >> 19) + 1;
  const isOdd = mantissa & 1;
  const below = 4 * mantissa - 2 + <u64>isUneven;
  const lower = scaled(below << shift) + isOdd;
  const middle = scaled((4 * mantissa) << shift);
  const upper = scaled((4 * mantissa + 2) << shift) - isOdd;
  digits = choose(lower, middle, upper);
  while (digits % 10 == 0) {
    digits /= 10;
    power++;
  }
}

/** A number in the interval, all of them times 4; `power` is one more where it has a digit less. */
function choose(lower: u64, middle: u64, upper: u64): u64 {
  const whole = middle >> 2;
  if (whole >= 10) {
    const tens = whole / 10;
    const isFirst = lower <= 40 * tens;
    const isSecond = 40 * tens + 40 <= upper;
    if (isFirst != isSecond) {
      power++;
      return tens + <u64>isSecond;
    }
  }
  const isFirst = lower <= 4 * whole;
  const isSecond = 4 * whole + 4 <= upper;
  if (isFirst != isSecond) return whole + <u64>isSecond;
  const half = 4 * whole + 2;
  return whole + <u64>(middle > half || (middle == half && (whole & 1) != 0));
}

/** Powers of five that are exact, or rounded up, as they stand in the table (powers.ts); the others are cut there. */
const ROUNDED_MIN: i32 = -27;
const ROUNDED_MAX: i32 = 55;

/** x times 10^-power, of which 126 bits are kept; the last bit stands for all that lies behind it. */
function scaled(x: u64): u64 {
  const entry = powers + (<usize>(-power - POWER_MIN) << 4);
  let high = load<u64>(entry);
  let low = load<u64>(entry, 8);
  if (-power < ROUNDED_MIN || -power > ROUNDED_MAX) {
    low++;
    high += <u64>(low == 0);
  }
  multiply(x, low);
  const carried = productHigh;
  multiply(x, high);
  const rest = productLow + carried;
  return (productHigh + <u64>(rest < carried)) | <u64>(rest > 1);
}

/** As Number::toString of ECMAScript lays digits out. */
function spell(out: usize): usize {
  let count = 1;
  for (let rest = digits; rest > 9; rest /= 10) count++;
  const point = power + count;
  if (point > 21 || point < -5) return spellPower(out, count, point - 1);
  if (point <= 0) {
    store<u16>(out, 0x2e30);
    memory.fill(out + 2, 0x30, <usize>(-point));
    return writeDigits(out + 2 + <usize>(-point), count);
  }
  if (point >= count) {
    const end = writeDigits(out, count);
    memory.fill(end, 0x30, <usize>(point - count));
    return end + <usize>(point - count);
  }
  const end = writeDigits(out, count);
  return putPoint(out + <usize>point, end);
}

/** One digit, a point and the others, if there are any, `e` and a power with its sign. */
function spellPower(out: usize, count: i32, exponent: i32): usize {
  let at = writeDigits(out, count);
  if (count > 1) at = putPoint(out + 1, at);
  store<u8>(at++, 0x65);
  store<u8>(at++, exponent < 0 ? 0x2d : 0x2b);
  digits = <u64>abs<i32>(exponent);
  return writeDigits(at, digits > 99 ? 3 : digits > 9 ? 2 : 1);
}

/** Moves the bytes from `at` to `end` on by one, for a point. */
function putPoint(at: usize, end: usize): usize {
  memory.copy(at + 1, at, end - at);
  store<u8>(at, 0x2e);
  return end + 1;
}

function writeDigits(out: usize, count: i32): usize {
  let rest = digits;
  for (let i = count - 1; i >= 0; i--) {
    store<u8>(out + <usize>i, <u8>(0x30 + rest % 10));
    rest /= 10;
  }
  return out + <usize>count;
}
