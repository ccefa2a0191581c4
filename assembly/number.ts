/** Functions of numbers, row by row. A null argument gives null, and so does a result beyond its type. */
import { Op } from './op';
import { Register } from './register';
import { compareStrings } from './text';

/** int64: what is not in `runInt` of expression.ts. */
export function runWhole(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row);
    const x = load<i64>(a.values + at);
    const y = load<i64>(b.values + at);
    let result: i64 = 0;
    switch (op) {
      case Op.ABS_INT:
        result = x < 0 ? -x : x;
        isNull |= <u8>(x == i64.MIN_VALUE);
        break;
      case Op.SIGN_INT:
        result = <i64>(x > 0) - <i64>(x < 0);
        break;
      case Op.ROUND_INT:
        if (isNull == 0) isNull = <u8>!roundInt(x, y);
        result = rounded;
        break;
      case Op.QUOTIENT_INT:
        // Of all quotients that of the least int64 and -1 is the only one that does not fit.
        isNull |= <u8>(y == 0 || (y == -1 && x == i64.MIN_VALUE));
        if (isNull == 0) result = x / y;
        break;
      case Op.BIT_AND:
        result = x & y;
        break;
      case Op.BIT_OR:
        result = x | y;
        break;
      case Op.BIT_XOR:
        result = x ^ y;
        break;
      case Op.BIT_NOT:
        result = ~x;
        break;
      case Op.SHIFT_LEFT:
        // As many zero bits as it moves, and one for the sign; 0 can move anywhere within 64.
        isNull |= <u8>(x < 0 || y < 0 || y > 63 || (x != 0 && y >= clz<i64>(x)));
        if (isNull == 0) result = x << y;
        break;
      default: // SHIFT_RIGHT
        if (y >= 0 && y < 64) result = x >> y;
    }
    store<i64>(target.values + at, isNull == 0 ? result : 0);
    store<u8>(target.nulls + row, isNull);
  }
}

let rounded: i64 = 0;

/** x to the nearest multiple of a power of ten (at most 10^18), ties away from zero. False beyond int64. */
function roundInt(x: i64, unit: i64): bool {
  const rest = x % unit;
  const half = unit >> 1;
  rounded = x - rest;
  if (unit == 1 || (rest < half && rest > -half)) return true;
  const step = rest < 0 ? -unit : unit;
  const sum = rounded + step;
  if (((rounded ^ sum) & (step ^ sum)) < 0) return false;
  rounded = sum;
  return true;
}

/** Powers of ten that a double holds exactly. */
const POWERS: usize = memory.data<f64>([
  1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
]);
const POWER_MAX: i64 = 22;

/** Doubles. SIGN gives an int64, and that of NaN is 0. ROUND_TO's b is an int64: how many digits behind the point. */
export function runRounding(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row);
    const x = load<f64>(a.values + at);
    let result: f64 = 0;
    switch (op) {
      case Op.ABS_DOUBLE:
        result = abs<f64>(x);
        break;
      case Op.SIGN_DOUBLE:
        store<i64>(target.values + at, <i64>(x > 0) - <i64>(x < 0));
        store<u8>(target.nulls + row, isNull);
        continue;
      case Op.ROUND_DOUBLE:
        result = roundAway(x);
        break;
      case Op.ROUND_TO_DOUBLE:
        if (isNull == 0) result = roundTo(x, load<i64>(b.values + at));
        break;
      case Op.FLOOR_DOUBLE:
        result = floor<f64>(x);
        break;
      case Op.CEIL_DOUBLE:
        result = ceil<f64>(x);
        break;
      case Op.TRUNC_DOUBLE:
        result = trunc<f64>(x);
        break;
      default: // SQRT_DOUBLE
        isNull |= <u8>(x < 0);
        result = sqrt<f64>(x);
    }
    store<f64>(target.values + at, result);
    store<u8>(target.nulls + row, isNull);
  }
}

/** Ties away from zero. What lies behind the point is exact, so it is not rounded twice. */
@inline
function roundAway(x: f64): f64 {
  const whole = trunc<f64>(x);
  return abs<f64>(x - whole) >= 0.5 ? whole + copysign<f64>(1.0, x) : whole;
}

/** round(x * 10^n) / 10^n; x itself where the product is beyond a double, and so has no digits behind the point. */
function roundTo(x: f64, digits: i64): f64 {
  assert(digits >= -POWER_MAX && digits <= POWER_MAX);
  const power = load<f64>(POWERS + (<usize>(digits < 0 ? -digits : digits) << 3));
  if (digits < 0) return roundAway(x / power) * power;
  const scaled = roundAway(x * power) / power;
  return abs<f64>(scaled) <= f64.MAX_VALUE ? scaled : x;
}

/** The greater or the lesser of two; the other where one is null. NaN counts as greater than all. */
export function runExtreme(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    const x = a.values + at;
    const y = b.values + at;
    const xNull = load<u8>(a.nulls + row);
    const yNull = load<u8>(b.nulls + row);
    const first = xNull != 0 ? false : yNull != 0 ? true : isFirst(op, x, y);
    store<u64>(target.values + at, load<u64>(first ? x : y));
    store<u8>(target.nulls + row, xNull & yNull);
  }
}

@inline
function isFirst(op: i32, x: usize, y: usize): bool {
  switch (op) {
    case Op.GREATEST_INT:
      return load<i64>(x) >= load<i64>(y);
    case Op.LEAST_INT:
      return load<i64>(x) <= load<i64>(y);
    case Op.GREATEST_DOUBLE:
      return isNaN<f64>(load<f64>(x)) || load<f64>(x) >= load<f64>(y);
    case Op.LEAST_DOUBLE:
      return isNaN<f64>(load<f64>(y)) || load<f64>(x) <= load<f64>(y);
    case Op.GREATEST_STRING:
      return compareStrings(x, y) >= 0;
    default: // LEAST_STRING
      return compareStrings(x, y) <= 0;
  }
}
