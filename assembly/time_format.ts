/**
 * Times spelled by a format, and read by one. A format is a program (src/plan/time_format.ts): bytes, each a directive (Directive),
 * behind LITERAL the number of bytes of a text, and these.
 *
 * Times are UTC. A text is read from its start to its end, each number as far as its directive takes digits; spaces may stand
 * before it, behind it, and more of them where the format has one. What a format does not say is that of 1900-01-01T00:00:00.
 */
import { keep, reserve } from './arena';
import { TIME_MAX, TIME_MIN, civilFromDays, day, floorDiv, month, weekday, year } from './calendar';
import { daysFromCivil, daysInMonth } from './json';
import { Op } from './op';
import { Register } from './register';

/** What a byte of a program stands for; src/plan/time_format.ts numbers them alike. Behind a SHORT no zeros stand in front. */
export enum Directive {
  LITERAL,
  SHORT,
  DAY_NAME,
  DAY_NAME_SHORT,
  MONTH_NAME,
  MONTH_NAME_SHORT,
  YEAR,
  YEAR_OF_CENTURY,
  MONTH,
  DAY,
  DAY_OF_YEAR,
  HOUR,
  HOUR_12,
  HALF,
  MINUTE,
  SECOND,
  MILLISECOND,
  MICROSECOND,
  OFFSET,
  DAY_OF_WEEK,
  ISO_DAY_OF_WEEK,
  WEEK_FROM_SUNDAY,
  WEEK_FROM_MONDAY,
  ISO_WEEK,
  ISO_YEAR,
}

const DAY_MICROS: i64 = 86400000000;

/** A directive becomes at most so many bytes: `September`, `Wednesday`. */
const SPELLED_MAX_BYTES: usize = 9;

export function runTimeFormat(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row);
    result = 0;
    if (isNull == 0) {
      const program = <usize>load<u32>(b.values + at);
      const end = program + <usize>load<u32>(b.values + at, 4);
      isNull = <u8>!(op == Op.FORMAT_TIME ? format(load<i64>(a.values + at), program, end) : parse(a.values + at, program, end));
    }
    store<i64>(target.values + at, result);
    store<u8>(target.nulls + row, isNull);
  }
}

/** A column's eight bytes. */
let result: i64 = 0;

/** `SunMonTue...` and so on: names of days from Sunday and of months, full ones with a byte for the length of each. */
const DAYS: usize = memory.data<u8>([
  6, 0x53, 0x75, 0x6e, 0x64, 0x61, 0x79, 0, 0, 0, // Sunday
  6, 0x4d, 0x6f, 0x6e, 0x64, 0x61, 0x79, 0, 0, 0, // Monday
  7, 0x54, 0x75, 0x65, 0x73, 0x64, 0x61, 0x79, 0, 0, // Tuesday
  9, 0x57, 0x65, 0x64, 0x6e, 0x65, 0x73, 0x64, 0x61, 0x79, // Wednesday
  8, 0x54, 0x68, 0x75, 0x72, 0x73, 0x64, 0x61, 0x79, 0, // Thursday
  6, 0x46, 0x72, 0x69, 0x64, 0x61, 0x79, 0, 0, 0, // Friday
  8, 0x53, 0x61, 0x74, 0x75, 0x72, 0x64, 0x61, 0x79, 0, // Saturday
]);
const MONTHS: usize = memory.data<u8>([
  7, 0x4a, 0x61, 0x6e, 0x75, 0x61, 0x72, 0x79, 0, 0, // January
  8, 0x46, 0x65, 0x62, 0x72, 0x75, 0x61, 0x72, 0x79, 0, // February
  5, 0x4d, 0x61, 0x72, 0x63, 0x68, 0, 0, 0, 0, // March
  5, 0x41, 0x70, 0x72, 0x69, 0x6c, 0, 0, 0, 0, // April
  3, 0x4d, 0x61, 0x79, 0, 0, 0, 0, 0, 0, // May
  4, 0x4a, 0x75, 0x6e, 0x65, 0, 0, 0, 0, 0, // June
  4, 0x4a, 0x75, 0x6c, 0x79, 0, 0, 0, 0, 0, // July
  6, 0x41, 0x75, 0x67, 0x75, 0x73, 0x74, 0, 0, 0, // August
  9, 0x53, 0x65, 0x70, 0x74, 0x65, 0x6d, 0x62, 0x65, 0x72, // September
  7, 0x4f, 0x63, 0x74, 0x6f, 0x62, 0x65, 0x72, 0, 0, // October
  8, 0x4e, 0x6f, 0x76, 0x65, 0x6d, 0x62, 0x65, 0x72, 0, // November
  8, 0x44, 0x65, 0x63, 0x65, 0x6d, 0x62, 0x65, 0x72, 0, // December
]);
const NAME_SIZE: usize = 10;
const SHORT_NAME_BYTES: usize = 3;

// --- format

/** Where spelling has come to. */
let out: usize = 0;

/** False for a time outside of the years 0000 to 9999. */
function format(micros: i64, program: usize, end: usize): bool {
  if (micros < TIME_MIN || micros > TIME_MAX) return false;
  const made = reserve((end - program) * SPELLED_MAX_BYTES);
  out = made;
  const days = floorDiv(micros, DAY_MICROS);
  const ofDay = micros - days * DAY_MICROS;
  let isShort = false;
  for (let at = program; at < end; ) {
    const directive = <i32>load<u8>(at++);
    if (directive == Directive.LITERAL) {
      const size = <usize>load<u8>(at++);
      memory.copy(out, at, size);
      out += size;
      at += size;
    } else if (directive == Directive.SHORT) {
      isShort = true;
      continue;
    } else if (directive < Directive.YEAR) putName(directive, days);
    else if (directive == Directive.HALF) putPair(ofDay < DAY_MICROS / 2 ? 0x41 : 0x50, 0x4d);
    else if (directive == Directive.OFFSET) {
      putPair(0x2b, 0x30);
      store<u8>(out++, 0x30);
    } else {
      const value = numberOf(directive, days, ofDay);
      // The first days of the year 0 are in the last week of the one before.
      if (value < 0) return false;
      putNumber(value, isShort ? 1 : widthOf(directive));
    }
    isShort = false;
  }
  keep(out - made);
  result = <i64>((<u64>(out - made) << 32) | <u64>made);
  return true;
}

@inline
function putPair(first: u8, second: u8): void {
  store<u8>(out, first);
  store<u8>(out, second, 1);
  out += 2;
}

function putName(directive: i32, days: i64): void {
  const isDay = directive <= Directive.DAY_NAME_SHORT;
  const isFull = directive == Directive.DAY_NAME || directive == Directive.MONTH_NAME;
  civilFromDays(days);
  const name = isDay ? DAYS + <usize>((weekday(days) + 1) % 7) * NAME_SIZE : MONTHS + <usize>(month - 1) * NAME_SIZE;
  const size = isFull ? <usize>load<u8>(name) : SHORT_NAME_BYTES;
  memory.copy(out, name + 1, size);
  out += size;
}

/** At least `width` digits. */
function putNumber(value: i64, width: i32): void {
  let count = 1;
  for (let rest = value; rest > 9; rest /= 10) count++;
  count = max(count, width);
  let rest = value;
  for (let i = count - 1; i >= 0; i--) {
    store<u8>(out + <usize>i, <u8>(0x30 + rest % 10));
    rest /= 10;
  }
  out += <usize>count;
}

/** Digits that a number has, zeros in front; and those that are taken, at most, where it is read. */
function widthOf(directive: i32): i32 {
  switch (directive) {
    case Directive.YEAR:
    case Directive.ISO_YEAR:
      return 4;
    case Directive.DAY_OF_YEAR:
    case Directive.MILLISECOND:
      return 3;
    case Directive.MICROSECOND:
      return 6;
    case Directive.DAY_OF_WEEK:
    case Directive.ISO_DAY_OF_WEEK:
      return 1;
    default:
      return 2;
  }
}

function numberOf(directive: i32, days: i64, ofDay: i64): i64 {
  const hour = ofDay / 3600000000;
  switch (directive) {
    case Directive.HOUR:
      return hour;
    case Directive.HOUR_12:
      return (hour + 11) % 12 + 1;
    case Directive.MINUTE:
      return (ofDay / 60000000) % 60;
    case Directive.SECOND:
      return (ofDay / 1000000) % 60;
    case Directive.MILLISECOND:
      return (ofDay / 1000) % 1000;
    case Directive.MICROSECOND:
      return ofDay % 1000000;
    case Directive.DAY_OF_WEEK:
      return (weekday(days) + 1) % 7;
    case Directive.ISO_DAY_OF_WEEK:
      return weekday(days) + 1;
    default:
      return dateOf(directive, days);
  }
}

function dateOf(directive: i32, days: i64): i64 {
  const isIso = directive >= Directive.ISO_WEEK;
  // A week belongs to the year of its Thursday.
  const counted = isIso ? days - weekday(days) + 3 : days;
  civilFromDays(counted);
  const ofYear = counted - daysFromCivil(<i32>year, 1, 1);
  switch (directive) {
    case Directive.YEAR:
    case Directive.ISO_YEAR:
      return year;
    case Directive.YEAR_OF_CENTURY:
      return year % 100;
    case Directive.MONTH:
      return month;
    case Directive.DAY:
      return day;
    case Directive.DAY_OF_YEAR:
      return ofYear + 1;
    case Directive.WEEK_FROM_SUNDAY:
      return (ofYear + 7 - (weekday(days) + 1) % 7) / 7;
    case Directive.WEEK_FROM_MONDAY:
      return (ofYear + 7 - weekday(days)) / 7;
    default: // ISO_WEEK
      return ofYear / 7 + 1;
  }
}

// --- parse

/** Where reading has come to, and where the text ends. */
let cursor: usize = 0;
let limit: usize = 0;

/** What has been read. */
let readYear: i64 = 0;
let readMonth: i64 = 0;
let readDay: i64 = 0;
let dayOfYear: i64 = 0;
let hours: i64 = 0;
let isHour12 = false;
/** 1 after noon, 0 before it, -1 where it is not said. */
let half: i32 = -1;
let minutes: i64 = 0;
let seconds: i64 = 0;
let fraction: i64 = 0;
let offsetMicros: i64 = 0;

/** The text of a cell. False where it is none that the format would have. */
function parse(text: usize, program: usize, end: usize): bool {
  cursor = <usize>load<u32>(text);
  limit = cursor + <usize>load<u32>(text, 4);
  readYear = 1900;
  readMonth = readDay = 1;
  dayOfYear = hours = minutes = seconds = fraction = offsetMicros = 0;
  isHour12 = false;
  half = -1;
  skipSpaces();
  for (let at = program; at < end; ) {
    const directive = <i32>load<u8>(at++);
    if (directive == Directive.SHORT) continue;
    if (directive == Directive.LITERAL) {
      const size = <usize>load<u8>(at++);
      if (!takeLiteral(at, at + size)) return false;
      at += size;
    } else if (!take(directive)) return false;
  }
  skipSpaces();
  return cursor == limit && finish();
}

@inline
function isSpace(byte: u8): bool {
  return byte == 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function skipSpaces(): void {
  while (cursor < limit && isSpace(load<u8>(cursor))) cursor++;
}

/** A space of the format is at least one in the text. */
function takeLiteral(from: usize, end: usize): bool {
  for (let at = from; at < end; at++) {
    const byte = load<u8>(at);
    if (cursor == limit) return false;
    if (isSpace(byte)) {
      if (!isSpace(load<u8>(cursor))) return false;
      skipSpaces();
      while (at + 1 < end && isSpace(load<u8>(at + 1))) at++;
    } else if (load<u8>(cursor++) != byte) return false;
  }
  return true;
}

/** The number that was taken, and its digits. */
let number: i64 = 0;
let digits = 0;

function take(directive: i32): bool {
  if (directive < Directive.YEAR) return takeName(directive);
  if (directive == Directive.HALF) return takeHalf();
  if (directive == Directive.OFFSET) return takeOffset();
  if (!takeNumber(widthOf(directive))) return false;
  switch (directive) {
    case Directive.YEAR:
      readYear = number;
      return true;
    case Directive.YEAR_OF_CENTURY:
      readYear = number < 69 ? 2000 + number : 1900 + number;
      return true;
    case Directive.MONTH:
      readMonth = number;
      return number >= 1 && number <= 12;
    case Directive.DAY:
      readDay = number;
      return number >= 1 && number <= 31;
    case Directive.DAY_OF_YEAR:
      dayOfYear = number;
      return number >= 1 && number <= 366;
    case Directive.HOUR:
      hours = number;
      isHour12 = false;
      return number <= 23;
    case Directive.HOUR_12:
      hours = number;
      isHour12 = true;
      return number >= 1 && number <= 12;
    case Directive.MINUTE:
      minutes = number;
      return number <= 59;
    case Directive.SECOND:
      seconds = number;
      return number <= 59;
    default:
      // A fraction, of which the last digits may be missing.
      for (let i = digits; i < 6; i++) number *= 10;
      fraction = number;
      return true;
  }
}

function takeNumber(digitsMax: i32): bool {
  number = 0;
  digits = 0;
  while (digits < digitsMax && cursor < limit && load<u8>(cursor) - 0x30 < 10) {
    number = number * 10 + (load<u8>(cursor++) - 0x30);
    digits++;
  }
  return digits > 0;
}

function takeName(directive: i32): bool {
  const isDay = directive <= Directive.DAY_NAME_SHORT;
  const isFull = directive == Directive.DAY_NAME || directive == Directive.MONTH_NAME;
  const names = isDay ? DAYS : MONTHS;
  const count = isDay ? 7 : 12;
  for (let i = 0; i < count; i++) {
    const name = names + <usize>i * NAME_SIZE;
    const size = isFull ? <usize>load<u8>(name) : SHORT_NAME_BYTES;
    if (!takeWord(name + 1, size)) continue;
    if (!isDay) readMonth = i + 1;
    return true;
  }
  return false;
}

/** In small letters and capitals. */
function takeWord(word: usize, size: usize): bool {
  if (limit - cursor < size) return false;
  for (let i: usize = 0; i < size; i++) if (((load<u8>(cursor + i) ^ load<u8>(word + i)) & 0xdf) != 0) return false;
  cursor += size;
  return true;
}

/** AM and PM. */
const HALVES: usize = memory.data<u8>([0x41, 0x4d, 0x50, 0x4d]);

function takeHalf(): bool {
  half = takeWord(HALVES, 2) ? 0 : takeWord(HALVES + 2, 2) ? 1 : -1;
  return half >= 0;
}

/** Z, +02, +0230, +02:30. */
function takeOffset(): bool {
  if (cursor == limit) return false;
  const sign = load<u8>(cursor++);
  if ((sign | 0x20) == 0x7a) return true;
  if ((sign != 0x2b && sign != 0x2d) || !takeNumber(2) || digits != 2 || number > 23) return false;
  let ahead = number * 60;
  const hasColon = cursor < limit && load<u8>(cursor) == 0x3a;
  if (hasColon) cursor++;
  if (takeNumber(2)) {
    if (digits != 2 || number > 59) return false;
    ahead += number;
  } else if (hasColon) return false;
  offsetMicros = ahead * (sign == 0x2d ? -60000000 : 60000000);
  return true;
}

/** Of what was read the time; false where there is no such day. */
function finish(): bool {
  if (isHour12) hours = (hours % 12) + (half == 1 ? 12 : 0);
  let days: i64 = 0;
  if (dayOfYear > 0) {
    days = daysFromCivil(<i32>readYear, 1, 1) + dayOfYear - 1;
    if (days >= daysFromCivil(<i32>readYear + 1, 1, 1)) return false;
  } else {
    if (readDay > <i64>daysInMonth(<i32>readYear, <i32>readMonth)) return false;
    days = daysFromCivil(<i32>readYear, <i32>readMonth, <i32>readDay);
  }
  result = days * DAY_MICROS + ((hours * 60 + minutes) * 60 + seconds) * 1000000 + fraction - offsetMicros;
  return result >= TIME_MIN && result <= TIME_MAX;
}
