/**
 * Functions of times: int64 microseconds since 1970, UTC, in the Gregorian calendar. A time that comes out of one lies
 * in the years 0000 to 9999, or is null.
 */
import { daysFromCivil, daysInMonth } from './json';
import { Op } from './op';
import { Register } from './register';

/** Parts of a time, as src/kernel/expression.ts numbers them. Up to DAY the length is fixed. */
export enum Part {
  MICROSECOND,
  MILLISECOND,
  SECOND,
  MINUTE,
  HOUR,
  DAY,
  WEEK,
  MONTH,
  QUARTER,
  YEAR,
  DAY_OF_WEEK,
  ISO_DAY_OF_WEEK,
  DAY_OF_YEAR,
  ISO_YEAR,
  EPOCH_MS,
}

const DAY_MICROS: i64 = 86400000000;
export const TIME_MIN: i64 = -62167219200000000;
export const TIME_MAX: i64 = 253402300799999999;

/** More months than there are between the first time and the last. */
const MONTHS_MAX: i64 = 120000;

export function runCalendar(op: i32, target: Register, a: Register, b: Register, c: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row) | load<u8>(c.nulls + row);
    result = 0;
    if (isNull == 0) isNull = <u8>!compute(op, load<i64>(a.values + at), load<i64>(b.values + at), load<i64>(c.values + at));
    store<i64>(target.values + at, isNull == 0 ? result : 0);
    store<u8>(target.nulls + row, isNull);
  }
}

let result: i64 = 0;

/** The part of DATE_PART, DATE_TRUNC and DATE_DIFF is the first argument. False for null. */
function compute(op: i32, x: i64, y: i64, z: i64): bool {
  switch (op) {
    case Op.DATE_PART:
      result = partOf(<i32>x, y);
      return true;
    case Op.DATE_TRUNC:
      return putTime(truncate(<i32>x, y));
    case Op.DATE_DIFF:
      result = countOf(<i32>x, z) - countOf(<i32>x, y);
      return true;
    case Op.ADD_MICROS: {
      const sum = x + y;
      return ((x ^ sum) & (y ^ sum)) >= 0 && putTime(sum);
    }
    case Op.ADD_MONTHS:
      return addMonths(x, y);
    case Op.IN_ZONE:
      return putTime(x + offsetAt(<usize>(<u32>y), <u32>(y >>> 32), x));
    default: // MICROS_TO_TIME
      return putTime(x);
  }
}

@inline
function putTime(micros: i64): bool {
  result = micros;
  return micros >= TIME_MIN && micros <= TIME_MAX;
}

/** Rounds toward minus infinity, as times before 1970 need. */
export function floorDiv(dividend: i64, divisor: i64): i64 {
  const quotient = dividend / divisor;
  return dividend % divisor < 0 ? quotient - 1 : quotient;
}

export let year: i64 = 0;
export let month: i64 = 0;
export let day: i64 = 0;

/** Sets `year`, `month` and `day` (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
export function civilFromDays(days: i64): void {
  const shifted = days + 719468;
  const era = floorDiv(shifted, 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const monthFromMarch = (5 * dayOfYear + 2) / 153;
  day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1;
  month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  year = yearOfEra + era * 400 + <i64>(month <= 2);
}

/** 1970-01-01 was a Thursday; 0 is Monday. */
@inline
export function weekday(days: i64): i64 {
  return days + 3 - floorDiv(days + 3, 7) * 7;
}

@inline
function lengthOf(part: i32): i64 {
  switch (part) {
    case Part.MICROSECOND:
      return 1;
    case Part.MILLISECOND:
      return 1000;
    case Part.SECOND:
      return 1000000;
    case Part.MINUTE:
      return 60000000;
    case Part.HOUR:
      return 3600000000;
    default:
      return DAY_MICROS;
  }
}

function partOf(part: i32, micros: i64): i64 {
  const days = floorDiv(micros, DAY_MICROS);
  const ofDay = micros - days * DAY_MICROS;
  switch (part) {
    case Part.MICROSECOND:
      return ofDay % 60000000;
    case Part.MILLISECOND:
      return (ofDay % 60000000) / 1000;
    case Part.SECOND:
      return (ofDay % 60000000) / 1000000;
    case Part.MINUTE:
      return (ofDay / 60000000) % 60;
    case Part.HOUR:
      return ofDay / 3600000000;
    case Part.DAY_OF_WEEK:
      return (weekday(days) + 1) % 7;
    case Part.ISO_DAY_OF_WEEK:
      return weekday(days) + 1;
    case Part.EPOCH_MS:
      return floorDiv(micros, 1000);
    default:
      return datePartOf(part, days);
  }
}

function datePartOf(part: i32, days: i64): i64 {
  civilFromDays(days);
  switch (part) {
    case Part.DAY:
      return day;
    case Part.MONTH:
      return month;
    case Part.QUARTER:
      return (month + 2) / 3;
    case Part.YEAR:
      return year;
    case Part.DAY_OF_YEAR:
      return days - daysFromCivil(<i32>year, 1, 1) + 1;
    default: {
      // A week belongs to the year of its Thursday.
      const thursday = days - weekday(days) + 3;
      civilFromDays(thursday);
      return part == Part.ISO_YEAR ? year : (thursday - daysFromCivil(<i32>year, 1, 1)) / 7 + 1;
    }
  }
}

/**
 * How far a zone's clocks are ahead of UTC at a time. The zone is `size` bytes of (from i64, ahead i64), in microseconds, that
 * ascend; what was before the first of them is as if it had been as then.
 */
function offsetAt(zone: usize, size: u32, micros: i64): i64 {
  let low: u32 = 0;
  let high = size >> 4;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (load<i64>(zone + (<usize>middle << 4)) <= micros) low = middle;
    else high = middle;
  }
  return load<i64>(zone + (<usize>low << 4), 8);
}

/** The start of the part that a time lies in. */
function truncate(part: i32, micros: i64): i64 {
  if (part <= Part.DAY) return floorDiv(micros, lengthOf(part)) * lengthOf(part);
  const days = floorDiv(micros, DAY_MICROS);
  if (part == Part.WEEK) return (days - weekday(days)) * DAY_MICROS;
  civilFromDays(days);
  if (part == Part.QUARTER) month -= (month - 1) % 3;
  if (part == Part.YEAR) month = 1;
  return daysFromCivil(<i32>year, <i32>month, 1) * DAY_MICROS;
}

/** How many starts of a part there were before a time, from one and the same moment on. */
function countOf(part: i32, micros: i64): i64 {
  if (part <= Part.DAY) return floorDiv(micros, lengthOf(part));
  const days = floorDiv(micros, DAY_MICROS);
  if (part == Part.WEEK) return floorDiv(days + 3, 7);
  civilFromDays(days);
  if (part == Part.YEAR) return year;
  const months = year * 12 + month - 1;
  return part == Part.QUARTER ? floorDiv(months, 3) : months;
}

/** The same day and time of another month, or its last day where it has no such day. */
function addMonths(micros: i64, count: i64): bool {
  if (count > MONTHS_MAX || count < -MONTHS_MAX) return false;
  const days = floorDiv(micros, DAY_MICROS);
  civilFromDays(days);
  const months = year * 12 + month - 1 + count;
  const newYear = <i32>floorDiv(months, 12);
  if (newYear < 0 || newYear > 9999) return false;
  const newMonth = <i32>(months - <i64>newYear * 12) + 1;
  const newDay = <i32>min<i64>(day, daysInMonth(newYear, newMonth));
  return putTime(daysFromCivil(newYear, newMonth, newDay) * DAY_MICROS + (micros - days * DAY_MICROS));
}
