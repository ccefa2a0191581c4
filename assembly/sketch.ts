/**
 * Buckets of doubles whose width is a given part of their value, as DDSketch has them (Masson, Rim, Lee: "DDSketch: a fast and
 * fully-mergeable quantile sketch with relative-error guarantees", with its cubic mapping): counted by bucket (counts.ts),
 * quantiles are known to that part.
 *
 * A double is 2^e (1 + t); e + P(t) stands for its logarithm, P being the cubic that is 0 at 0 and 1 at 1 and, where it is
 * flattest, grows 10/7 as fast as the natural logarithm. Of that, buckets are equal steps. Nothing but additions and products of
 * doubles is in it, so that every machine makes the same of it.
 *
 *   ... -(2^30 + i)   0   2^30 + i ...      buckets of values below 0, of 0 and above 0, i from -2^30 up
 *   -2^40   2^40   2^40 + 1                 of the infinities, and of NaN, which is above all
 */

/** More than any index of a step is away from 0: with the finest accuracy there are 2^20 of them. */
const OFFSET: i64 = 1 << 30;
const INFINITE: i64 = 1 << 40;
const NONE: i64 = INFINITE + 1;

// P(t) = ((A t + B) t + C) t
const A: f64 = 6.0 / 35.0;
const B: f64 = -3.0 / 5.0;
const C: f64 = 10.0 / 7.0;

/** The accuracy that steps were last made for, and how many of them a doubling has. */
let knownAccuracy: f64 = 0;
let steps: f64 = 0;

/** Terms of a series in accuracy^2, which is at most 1/4: what is left out is less than 2^-60 of it. */
const TERMS: i32 = 30;

/** A little more than needed: what rounding moves a value by is within the error, too. */
const MARGIN: f64 = 1.000001;

/**
 * From the end of a bucket to its beginning is at most (1 + a) / (1 - a), so that what stands between them is at most a away
 * from both. The logarithm of that is 2 (a + a^3/3 + a^5/5 ...).
 */
function useAccuracy(accuracy: f64): void {
  if (accuracy == knownAccuracy) return;
  const square = accuracy * accuracy;
  let sum: f64 = 0;
  for (let i = TERMS; i >= 0; i--) sum = sum * square + 1.0 / <f64>(2 * i + 1);
  steps = (MARGIN * 0.7) / (2 * accuracy * sum);
  knownAccuracy = accuracy;
}

/** The bucket of a double. */
export function bucketOf(value: f64, accuracy: f64): i64 {
  useAccuracy(accuracy);
  if (value != value) return NONE;
  if (value == 0) return 0;
  const magnitude = abs(value);
  const bucket = magnitude == Infinity ? INFINITE : OFFSET + indexOf(magnitude);
  return value < 0 ? -bucket : bucket;
}

const FRACTION: u64 = 0xfffffffffffff;
const ONE_BITS: u64 = 0x3ff0000000000000;

/** The step that a finite double above 0 is in. */
function indexOf(magnitude: f64): i64 {
  let bits = reinterpret<u64>(magnitude);
  let exponent = <i32>(bits >> 52) - 1023;
  if (exponent == -1023) {
    bits = reinterpret<u64>(magnitude * 18014398509481984.0);
    exponent = <i32>(bits >> 52) - 1023 - 54;
  }
  const t = reinterpret<f64>((bits & FRACTION) | ONE_BITS) - 1;
  return <i64>Math.floor((<f64>exponent + ((A * t + B) * t + C) * t) * steps);
}

/** What stands for all values of a bucket: as far from its least as from its greatest, for their size. */
export function bucketValue(bucket: i64, accuracy: f64): f64 {
  useAccuracy(accuracy);
  if (bucket == 0) return 0;
  if (bucket == NONE) return NaN;
  const place = bucket < 0 ? -bucket : bucket;
  if (place == INFINITE) return bucket < 0 ? -Infinity : Infinity;
  const least = firstFrom(place - OFFSET);
  const greatest = reinterpret<f64>(reinterpret<i64>(firstFrom(place - OFFSET + 1)) - 1);
  const middle = least * (2 / (1 + least / greatest));
  return bucket < 0 ? -middle : middle;
}

const INFINITY_BITS: i64 = 0x7ff0000000000000;

/** The first double above 0 whose step is not below this one; infinity where there is none. Doubles above 0 ascend as their bits do. */
function firstFrom(index: i64): f64 {
  let low: i64 = 1;
  let high = INFINITY_BITS;
  while (low < high) {
    const middle = low + ((high - low) >> 1);
    if (indexOf(reinterpret<f64>(middle)) < index) low = middle + 1;
    else high = middle;
  }
  return reinterpret<f64>(low);
}
