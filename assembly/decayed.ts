/**
 * Sums of values that count half as much after each half-life: of value * 2^((time - now) / half-life).
 *
 * Time is counted in half-lives since 1970, a whole number and a part of one. A value is multiplied by 2^part, and rounded; that of
 * the whole number is exact, for a sum of doubles takes any power of two as a shift. So a state is the exact sum of
 *
 *   (value * 2^part) * 2^(whole - start)
 *
 * where `start` is the whole number of its tile's start, and states of tiles with other starts add up exactly too: what comes
 * of a window does not depend on which tiles it was made of. It is rounded once, and once more by now's own part.
 *
 *   sum        an exact sum (exact.ts)
 *   halfLife   i64, microseconds
 *   start      i64, in half-lives
 *   cut        i64, milliseconds: of a window's state, tiles before it drop
 *   time       i64, microseconds: of a window's state, when it is read
 */
import { EXACT_CLEAR, EXACT_SIZE, addExactScaled, addScaled, countInfinity, finishScaled } from './exact';
import { FINISHED, FINISHED_OVERFLOW } from './finish';

export const DECAYED_SIZE: usize = EXACT_SIZE + 32;
export const DECAYED_CLEAR: usize = EXACT_CLEAR;

const HALF_LIFE_AT: usize = EXACT_SIZE;
const START_AT: usize = EXACT_SIZE + 8;
const CUT_AT: usize = EXACT_SIZE + 16;
const TIME_AT: usize = EXACT_SIZE + 24;

/** Tiles older than that drop, and none is longer: what is left of a value is less than a double's last bit. */
export const HALF_LIVES_KEPT: i64 = 64;

/** Of a window's state: no tile that it keeps starts earlier before now. */
const BEFORE_NOW: i64 = HALF_LIVES_KEPT * 2 + 2;

/** A tile's own, and the window's over it: the greatest shift there is, but for events that lie ahead of the read. */
const SHIFT_MAX: i64 = 512;

/** A value from here on would not fit with these shifts: it makes the sum OVERFLOW, as an infinity does. 2^768. */
const VALUE_END: f64 = reinterpret<f64>(<u64>(1023 + 768) << 52);

/** Makes a state that is clear ready for the events of a tile that starts there. */
export function startDecayed(state: usize, halfLifeMs: i64, startMs: i64): void {
  const halfLife = halfLifeMs * 1000;
  store<i64>(state, halfLife, HALF_LIFE_AT);
  store<i64>(state, wholeOf(startMs * 1000, halfLife), START_AT);
}

/** Makes a state that is clear ready for the tiles of a window that is read at this time. Tiles that start before `cutMs` drop. */
export function startDecayedWindow(state: usize, halfLifeMs: i64, timeMicros: i64, cutMs: i64): void {
  const halfLife = halfLifeMs * 1000;
  store<i64>(state, halfLife, HALF_LIFE_AT);
  store<i64>(state, wholeOf(timeMicros, halfLife) - BEFORE_NOW, START_AT);
  store<i64>(state, cutMs, CUT_AT);
  store<i64>(state, timeMicros, TIME_AT);
}

@inline
function wholeOf(timeMicros: i64, halfLife: i64): i64 {
  const quotient = timeMicros / halfLife;
  return timeMicros - quotient * halfLife < 0 ? quotient - 1 : quotient;
}

/** Adds the value of an event at this time `weight` times (+1 or -1). */
export function addDecayed(state: usize, value: f64, timeMicros: i64, weight: i64): void {
  const halfLife = load<i64>(state, HALF_LIFE_AT);
  const whole = wholeOf(timeMicros, halfLife);
  const shift = whole - load<i64>(state, START_AT);
  if (value != value) return addScaled(state, value, weight, 0);
  if (!(abs(value) < VALUE_END) || <u64>shift > <u64>SHIFT_MAX) return countInfinity(state, weight);
  addScaled(state, value * powerOf(timeMicros - whole * halfLife, halfLife), weight, <i32>shift);
}

/** The last power that was computed: one event has many features and levels. */
let lastRest: i64 = 0;
let lastHalfLife: i64 = 1;
let lastPower: f64 = 1;

/** 2^(rest / halfLife), rest from 0 to below halfLife. */
function powerOf(rest: i64, halfLife: i64): f64 {
  if (rest != lastRest || halfLife != lastHalfLife) {
    lastRest = rest;
    lastHalfLife = halfLife;
    lastPower = power2(<f64>rest / <f64>halfLife);
  }
  return lastPower;
}

const LN2: f64 = 0.6931471805599453;

/** Terms of e^y, whose y is at most ln(2) / 2 from 0: what is left out is less than 2^-60. */
const TERMS: i32 = 14;

/** What y^i is divided by there, 1 / i!, f64 each. */
const factors: usize = memory.data(15 * 8, 8);
let factorial: f64 = 1;
for (let i = 0; i <= TERMS; i++) {
  store<f64>(factors + (<usize>i << 3), 1 / factorial);
  factorial *= <f64>(i + 1);
}

/** 2^part, part from 0 to 1, to the last bit or two: in additions and products alone, so that it is the same everywhere. */
export function power2(part: f64): f64 {
  const isUpper = part >= 0.5;
  const y = (isUpper ? part - 1 : part) * LN2;
  let sum: f64 = 0;
  for (let i = TERMS; i >= 0; i--) sum = sum * y + load<f64>(factors + (<usize>i << 3));
  return isUpper ? sum * 2 : sum;
}

/** Adds two states of one tile. */
export { addExact as mergeDecayed } from './exact';

/** Adds the state of a tile that starts there to a window's. */
export function mergeDecayedTile(into: usize, from: usize, startMs: i64): void {
  if (startMs < load<i64>(into, CUT_AT)) return;
  const shift = wholeOf(startMs * 1000, load<i64>(into, HALF_LIFE_AT)) - load<i64>(into, START_AT);
  // So old that nothing of it is left, where no cut says so: of a tile that is read alone.
  if (shift < 0) return;
  if (shift > SHIFT_MAX || !addExactScaled(into, from, <i32>shift)) countInfinity(into, 1);
}

/** The window's sum as of its time; OVERFLOW where a value in it was infinite, or too great. */
export function finishDecayed(state: usize, out: usize): i32 {
  const halfLife = load<i64>(state, HALF_LIFE_AT);
  const time = load<i64>(state, TIME_AT);
  const rest = time - wholeOf(time, halfLife) * halfLife;
  if (!finishScaled(state, -<i32>BEFORE_NOW, out)) return FINISHED_OVERFLOW;
  // 2^-part is 2^(1 - part) / 2, and of 0 it is 1.
  if (rest != 0) store<f64>(out, (load<f64>(out) * power2(<f64>(halfLife - rest) / <f64>halfLife)) / 2);
  return FINISHED;
}
