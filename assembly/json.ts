/**
 * A strict reader of JSON text (RFC 8259) and of the values that columns are made of. One cursor moves through
 * [cursor, limit); every function that fails leaves a reason in `problem`. Bytes are only ever read below `limit`.
 */

import { digitCount, digitsOf, tenTo } from './digits';
import { MALFORMED, wellFormedEnd } from './wellformed';

/** Why a record is not one. The glue has the words for each. */
export enum Problem {
  NONE,
  NOT_JSON,
  BAD_UTF8,
  TOO_DEEP,
  NOT_OBJECT,
  NO_TYPE,
  NO_TIME,
  BAD_TIME,
  TOO_LONG,
  /** More rejected records in one body than can be listed. */
  TOO_MANY,
}

/** Arrays and objects inside each other: bounds the reader's recursion. */
export const DEPTH_MAX: i32 = 64;

export let cursor: usize = 0;
export let limit: usize = 0;
export let problem: i32 = Problem.NONE;

/** The last string read: its bytes between the quotes, and whether there is a backslash among them. */
export let stringStart: usize = 0;
export let stringEnd: usize = 0;
export let stringEscaped: bool = false;

export function openText(start: usize, end: usize): void {
  cursor = start;
  limit = end;
  problem = Problem.NONE;
}

export function moveTo(position: usize): void {
  assert(position <= limit);
  cursor = position;
}

/** The byte at the cursor, or 0 at the end (a NUL byte is no JSON either). */
@inline
export function peek(): u8 {
  return cursor < limit ? load<u8>(cursor) : 0;
}

@inline
export function skipSpace(): void {
  // Mostly there is none.
  if (cursor < limit && load<u8>(cursor) <= 0x20) skipSpaces();
}

function skipSpaces(): void {
  while (cursor < limit) {
    const byte = load<u8>(cursor);
    if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return;
    cursor++;
  }
}

@inline
export function fail(reason: i32): bool {
  problem = reason;
  return false;
}

/** Takes one byte of punctuation, after white space. */
@inline
export function take(byte: u8): bool {
  skipSpace();
  if (peek() != byte) return fail(Problem.NOT_JSON);
  cursor++;
  return true;
}

/** Passes over one value of any kind, checking all of it. The cursor stands at its first byte. */
export function skipValue(depth: i32): bool {
  const byte = peek();
  if (byte == 0x22) return readString();
  if (byte == 0x7b) return skipObject(depth);
  if (byte == 0x5b) return skipArray(depth);
  if (byte == 0x74) return takeWord(0x65757274, 4);
  if (byte == 0x66) return takeTail(0x65736c61);
  if (byte == 0x6e) return takeWord(0x6c6c756e, 4);
  return skipNumber();
}

@inline
function takeWord(word: u32, length: usize): bool {
  if (limit - cursor < length || load<u32>(cursor) != word) return fail(Problem.NOT_JSON);
  cursor += length;
  return true;
}

/** `false`: its last four bytes. */
@inline
function takeTail(word: u32): bool {
  if (limit - cursor < 5 || load<u32>(cursor, 1) != word) return fail(Problem.NOT_JSON);
  cursor += 5;
  return true;
}

function skipObject(depth: i32): bool {
  if (depth >= DEPTH_MAX) return fail(Problem.TOO_DEEP);
  cursor++;
  skipSpace();
  if (peek() == 0x7d) {
    cursor++;
    return true;
  }
  while (true) {
    skipSpace();
    if (!readString()) return false;
    if (!take(0x3a)) return false;
    skipSpace();
    if (!skipValue(depth + 1)) return false;
    skipSpace();
    const byte = peek();
    cursor++;
    if (byte == 0x7d) return true;
    if (byte != 0x2c) return fail(Problem.NOT_JSON);
  }
}

function skipArray(depth: i32): bool {
  if (depth >= DEPTH_MAX) return fail(Problem.TOO_DEEP);
  cursor++;
  skipSpace();
  if (peek() == 0x5d) {
    cursor++;
    return true;
  }
  while (true) {
    skipSpace();
    if (!skipValue(depth + 1)) return false;
    skipSpace();
    const byte = peek();
    cursor++;
    if (byte == 0x5d) return true;
    if (byte != 0x2c) return fail(Problem.NOT_JSON);
  }
}

/** -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
function skipNumber(): bool {
  if (peek() == 0x2d) cursor++;
  if (peek() == 0x30) cursor++;
  else if (!skipDigits()) return fail(Problem.NOT_JSON);
  if (peek() == 0x2e) {
    cursor++;
    if (!skipDigits()) return fail(Problem.NOT_JSON);
  }
  if ((peek() | 0x20) == 0x65) {
    cursor++;
    if (peek() == 0x2b || peek() == 0x2d) cursor++;
    if (!skipDigits()) return fail(Problem.NOT_JSON);
  }
  return true;
}

/** Is a text a number, and nothing else? The cursor stays where it is. */
export function isNumberText(from: usize, end: usize): bool {
  const at = cursor;
  const to = limit;
  openText(from, end);
  const isWhole = skipNumber() && cursor == end;
  openText(at, to);
  return isWhole;
}

@inline
function isDigit(byte: u8): bool {
  return byte >= 0x30 && byte <= 0x39;
}

function skipDigits(): bool {
  const start = cursor;
  let at = start;
  while (at < limit && isDigit(load<u8>(at))) at++;
  cursor = at;
  return at > start;
}

/**
 * Reads a string from its opening quote to past its closing one: escapes, control characters, UTF-8 all checked. Sixteen
 * bytes at a time while they are plain: neither a quote, a backslash, a control character nor beyond ASCII.
 */
export function readString(): bool {
  if (peek() != 0x22) return fail(Problem.NOT_JSON);
  const end = limit;
  let at = cursor + 1;
  stringStart = at;
  stringEscaped = false;
  while (at < end) {
    if (end - at >= 16) {
      const plain = plainBytes(at);
      at += plain;
      if (plain == 16) continue;
    }
    const byte = load<u8>(at);
    if (byte == 0x22) {
      stringEnd = at;
      cursor = at + 1;
      return true;
    }
    if (byte >= 0x20 && byte < 0x80 && byte != 0x5c) {
      at++;
      continue;
    }
    cursor = at;
    if (byte == 0x5c) {
      stringEscaped = true;
      if (!skipEscape()) return fail(Problem.NOT_JSON);
    } else if (byte < 0x20) {
      return fail(Problem.NOT_JSON);
    } else if (!skipSequences(byte)) {
      return fail(Problem.BAD_UTF8);
    }
    at = cursor;
  }
  cursor = end;
  return fail(Problem.NOT_JSON);
}

/** How many of the 16 bytes at `at` come before the first quote, backslash, control character or byte beyond ASCII. */
@inline
function plainBytes(at: usize): usize {
  if (ASC_FEATURE_SIMD) {
    const chunk = v128.load(at);
    // Signed, bytes from 0x80 on are below 0x20 too.
    const special = v128.or(
      v128.or(i8x16.eq(chunk, i8x16.splat(0x22)), i8x16.eq(chunk, i8x16.splat(0x5c))),
      i8x16.lt_s(chunk, i8x16.splat(0x20)),
    );
    const mask = i8x16.bitmask(special);
    return mask == 0 ? 16 : <usize>ctz<i32>(mask);
  }
  const low = specialBytes(load<u64>(at));
  if (low != 0) return <usize>ctz(low) >> 3;
  const high = specialBytes(load<u64>(at, 8));
  return high == 0 ? 16 : 8 + (<usize>ctz(high) >> 3);
}

/** The high bit of the first of them, and of some behind it. */
@inline
function specialBytes(word: u64): u64 {
  const ones: u64 = 0x0101010101010101;
  const quotes = word ^ (ones * 0x22);
  const backslashes = word ^ (ones * 0x5c);
  const zeros = ((quotes - ones) & ~quotes) | ((backslashes - ones) & ~backslashes);
  return (zeros | ((word - ones * 0x20) & ~word) | word) & (ones << 7);
}

/**
 * Where the string's text at `at` is no more plain: at a quote, a backslash, a control character or a byte beyond ASCII.
 * The text must have one of them behind it, and 16 bytes that may be read behind that.
 */
@inline
export function plainStringEnd(at: usize): usize {
  while (true) {
    const plain = plainBytes(at);
    at += plain;
    if (plain != 16) return at;
  }
}

function skipEscape(): bool {
  cursor++;
  const byte = peek();
  cursor++;
  switch (byte) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return true;
    case 0x75: // u
      for (let i = 0; i < 4; i++, cursor++) if (hexDigit(peek()) < 0) return false;
      return true;
    default:
      return false;
  }
}

@inline
function hexDigit(byte: u8): i32 {
  if (isDigit(byte)) return <i32>byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? <i32>lower - 0x57 : -1;
}

/** What is beyond ASCII and behind that, many bytes at once where that is possible. */
@inline
function skipSequences(lead: u8): bool {
  if (!ASC_FEATURE_SIMD) return skipSequence(lead);
  const to = wellFormedEnd(cursor, limit);
  if (to == MALFORMED) return false;
  if (to == cursor) return skipSequence(lead);
  cursor = to;
  return true;
}

/** One UTF-8 sequence of two to four bytes: shortest form only, no surrogates, nothing above U+10FFFF. */
function skipSequence(lead: u8): bool {
  const more: usize = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  if (lead < 0xc2 || lead > 0xf4 || limit - cursor <= more) return false;
  const second = load<u8>(cursor, 1);
  if (lead == 0xe0 && second < 0xa0) return false;
  if (lead == 0xed && second > 0x9f) return false;
  if (lead == 0xf0 && second < 0x90) return false;
  if (lead == 0xf4 && second > 0x8f) return false;
  for (let i: usize = 1; i <= more; i++) if ((load<u8>(cursor + i) & 0xc0) != 0x80) return false;
  cursor += more + 1;
  return true;
}

/**
 * Writes a checked string without its escapes to `to` and returns the length: never longer than the escaped text.
 * A lone surrogate becomes U+FFFD.
 */
export function unescape(from: usize, end: usize, to: usize): usize {
  let out = to;
  while (from < end) {
    const byte = load<u8>(from++);
    if (byte != 0x5c) {
      store<u8>(out++, byte);
      continue;
    }
    const escape = load<u8>(from++);
    if (escape != 0x75) {
      store<u8>(out++, plainEscape(escape));
      continue;
    }
    let code = hex4(from);
    from += 4;
    if ((code & 0xfc00) == 0xd800 && end - from >= 6 && load<u16>(from) == 0x755c) {
      const low = hex4(from + 2);
      if ((low & 0xfc00) == 0xdc00) {
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        from += 6;
      }
    }
    if ((code & 0xfffff800) == 0xd800) code = 0xfffd;
    out += writeUtf8(code, out);
  }
  return out - to;
}

@inline
function plainEscape(escape: u8): u8 {
  switch (escape) {
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return escape;
  }
}

@inline
function hex4(from: usize): u32 {
  return <u32>(
    ((hexDigit(load<u8>(from)) << 12) |
      (hexDigit(load<u8>(from, 1)) << 8) |
      (hexDigit(load<u8>(from, 2)) << 4) |
      hexDigit(load<u8>(from, 3)))
  );
}

export function writeUtf8(code: u32, to: usize): usize {
  if (code < 0x80) {
    store<u8>(to, <u8>code);
    return 1;
  }
  if (code < 0x800) {
    store<u8>(to, <u8>(0xc0 | (code >> 6)));
    store<u8>(to, <u8>(0x80 | (code & 0x3f)), 1);
    return 2;
  }
  if (code < 0x10000) {
    store<u8>(to, <u8>(0xe0 | (code >> 12)));
    store<u8>(to, <u8>(0x80 | ((code >> 6) & 0x3f)), 1);
    store<u8>(to, <u8>(0x80 | (code & 0x3f)), 2);
    return 3;
  }
  store<u8>(to, <u8>(0xf0 | (code >> 18)));
  store<u8>(to, <u8>(0x80 | ((code >> 12) & 0x3f)), 1);
  store<u8>(to, <u8>(0x80 | ((code >> 6) & 0x3f)), 2);
  store<u8>(to, <u8>(0x80 | (code & 0x3f)), 3);
  return 4;
}

/** What `readInt` and `readTime` found. */
export let integer: i64 = 0;

/** Digits of 2^63 - 1. */
const INT64_DIGITS_MAX: i64 = 19;

/**
 * The int64 that a checked JSON number in [from, end) is: exact, in any spelling (`100`, `1e2`, `100.0`). False where
 * it is not integral or not in range.
 */
export function readInt(from: usize, end: usize): bool {
  return readWhole(from, end, false);
}

/** As `readInt`, without what lies behind the point. False where the rest is not in range. */
export function cutInt(from: usize, end: usize): bool {
  return readWhole(from, end, true);
}

function readWhole(from: usize, end: usize, isCut: bool): bool {
  const negative = load<u8>(from) == 0x2d;
  if (negative) from++;
  if (end - from <= PLAIN_DIGITS_MAX && readPlainInt(from, end)) {
    if (negative) integer = -integer;
    return true;
  }
  // First the digits' count and the power of ten that they stand before, then the digits again into 64 bits.
  let pointAt: i64 = -1;
  let digits: i64 = 0;
  let significant: i64 = 0; // digits up to the last one that is not 0
  let leading = true;
  let at = from;
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x2e) {
      pointAt = digits;
      continue;
    }
    if (!isDigit(byte)) break;
    digits++;
    if (byte != 0x30) {
      significant = digits;
      leading = false;
    }
  }
  const mantissaEnd = at;
  if (leading) {
    integer = 0;
    return true;
  }
  const exponent = at < end ? readExponent(at + 1, end) : 0;
  const scale = exponent + (pointAt < 0 ? digits : pointAt); // the value is 0.d1d2d3... * 10^scale
  if (scale < significant) {
    if (!isCut) return false;
    significant = max<i64>(scale, 0);
  }
  let value: u64 = 0;
  let seen: i64 = 0;
  let used: i64 = 0;
  for (at = from; at < mantissaEnd && seen < significant; at++) {
    const byte = load<u8>(at);
    if (byte == 0x2e) continue;
    seen++;
    if (value == 0 && byte == 0x30) continue;
    if (++used > INT64_DIGITS_MAX) return false;
    value = value * 10 + (byte - 0x30);
  }
  for (let power = significant; power < scale; power++) {
    if (++used > INT64_DIGITS_MAX) return false;
    value *= 10;
  }
  // Nineteen digits are below 2^64, so nothing has wrapped around yet.
  if (value > (<u64>i64.MAX_VALUE) + <u64>negative) return false;
  integer = negative ? <i64>(<u64>0 - value) : <i64>value;
  return true;
}

/** Digits that an int64 always holds. */
const PLAIN_DIGITS_MAX: usize = 18;

/** Digits and nothing else, as integers mostly are. */
@inline
function readPlainInt(from: usize, end: usize): bool {
  let value: i64 = 0;
  for (let at = from; at < end; at++) {
    const byte = load<u8>(at);
    if (!isDigit(byte)) return false;
    value = value * 10 + (byte - 0x30);
  }
  integer = value;
  return true;
}

/**
 * Reads a number of at most 16 digits and nothing else, as integers mostly are, into `integer`. Returns where it ends; 0
 * where there is none of that kind. 17 bytes are read whatever they are.
 */
@inline
export function takeInt(at: usize): usize {
  const isNegative = load<u8>(at) == 0x2d;
  const from = at + <usize>isNegative;
  const word = load<u64>(from);
  const count = digitCount(word);
  if (count == 0 || (<u8>word == 0x30 && count > 1)) return 0;
  let value = <i64>digitsOf(word, count);
  let to = from + <usize>count;
  if (count == 8) {
    const more = load<u64>(to);
    const moreCount = digitCount(more);
    if (moreCount == 8) return 0;
    if (moreCount != 0) value = value * <i64>tenTo(moreCount) + <i64>digitsOf(more, moreCount);
    to += <usize>moreCount;
  }
  const next = load<u8>(to);
  if (next == 0x2e || (next | 0x20) == 0x65) return 0;
  integer = isNegative ? -value : value;
  return to;
}

/** The end of a number without an exponent, of up to 15 digits on each side of its point; 0 where there is none of that kind. */
@inline
export function passNumber(at: usize): usize {
  const from = at + <usize>(load<u8>(at) == 0x2d);
  let to = digitsEnd(from);
  if (to == 0 || (load<u8>(from) == 0x30 && to != from + 1)) return 0;
  if (load<u8>(to) == 0x2e) to = digitsEnd(to + 1);
  return to == 0 || (load<u8>(to) | 0x20) == 0x65 ? 0 : to;
}

/** Behind 1 to 15 digits; 0 where there are none, or more. */
@inline
function digitsEnd(from: usize): usize {
  const count = digitCount(load<u64>(from));
  if (count < 8) return count == 0 ? 0 : from + <usize>count;
  const more = digitCount(load<u64>(from, 8));
  return more == 8 ? 0 : from + 8 + <usize>more;
}

/** Exponents are cut here: far beyond any that could still make an int64 of a line's digits. */
const EXPONENT_MAX: i64 = 1_000_000_000;

function readExponent(at: usize, end: usize): i64 {
  const sign = load<u8>(at);
  if (sign == 0x2b || sign == 0x2d) at++;
  let exponent: i64 = 0;
  for (; at < end; at++) exponent = min(exponent * 10 + (load<u8>(at) - 0x30), EXPONENT_MAX);
  return sign == 0x2d ? -exponent : exponent;
}

/** Epoch milliseconds of 0000-01-01T00:00:00Z and of the last millisecond of the year 9999. */
const EPOCH_MS_MIN: i64 = -62167219200000;
const EPOCH_MS_MAX: i64 = 253402300799999;

/** A JSON number as a time: integral epoch milliseconds, years 0000 to 9999 -> microseconds. */
export function readEpochMs(from: usize, end: usize): bool {
  if (!readInt(from, end) || integer < EPOCH_MS_MIN || integer > EPOCH_MS_MAX) return false;
  integer *= 1000;
  return true;
}

/** RFC 3339 text (0-9 fraction digits, cut to microseconds; no offset means UTC) -> microseconds since 1970 UTC. */
export function readTime(from: usize, end: usize): bool {
  // 2001-01-01T00:00:00 is 19 bytes; the longest has .123456789+00:00 behind it.
  const length = end - from;
  if (length < 19 || length > 35) return false;
  if (load<u8>(from, 4) != 0x2d || load<u8>(from, 7) != 0x2d) return false;
  const separator = load<u8>(from, 10);
  if ((separator | 0x20) != 0x74 && separator != 0x20) return false;
  if (load<u8>(from, 13) != 0x3a || load<u8>(from, 16) != 0x3a) return false;
  const century = digits2(from);
  const yearInCentury = digits2(from + 2);
  const month = digits2(from + 5);
  const day = digits2(from + 8);
  const hour = digits2(from + 11);
  const minute = digits2(from + 14);
  const second = digits2(from + 17);
  if ((century | yearInCentury | month | day | hour | minute | second) < 0) return false;
  const year = century * 100 + yearInCentury;
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return false;
  if (hour > 23 || minute > 59 || second > 59) return false;
  let at = from + 19;
  let micros: i64 = 0;
  if (at < end && load<u8>(at) == 0x2e) {
    const fraction = ++at;
    let unit: i64 = 100000;
    for (; at < end && isDigit(load<u8>(at)); at++) {
      micros += unit * (load<u8>(at) - 0x30);
      unit /= 10;
    }
    if (at == fraction || at - fraction > 9) return false;
  }
  let offsetMinutes = 0;
  if (at < end) {
    const zone = load<u8>(at);
    if ((zone | 0x20) == 0x7a) {
      at++;
    } else {
      if ((zone != 0x2b && zone != 0x2d) || end - at != 6 || load<u8>(at, 3) != 0x3a) return false;
      const offsetHour = digits2(at + 1);
      const offsetMinute = digits2(at + 4);
      if ((offsetHour | offsetMinute) < 0 || offsetHour > 23 || offsetMinute > 59) return false;
      offsetMinutes = (offsetHour * 60 + offsetMinute) * (zone == 0x2d ? -1 : 1);
      at += 6;
    }
  }
  if (at != end) return false;
  const seconds = daysFromCivil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - <i64>offsetMinutes * 60;
  integer = seconds * 1000000 + micros;
  return true;
}

/** A date with midnight behind it, to be read. */
const midnight: usize = memory.data(19, 8);

/** The ten bytes of a date, as in RFC 3339, for its midnight, UTC. */
export function readDate(from: usize): bool {
  memory.copy(midnight, from, 10);
  store<u64>(midnight, 0x303a30303a303054, 10);
  store<u8>(midnight, 0x30, 18);
  return readTime(midnight, midnight + 19);
}

/** The minute that was read last, as its first 16 bytes (2001-03-05T06:07), and in microseconds. */
let minute0: u64 = 0;
let minute1: u64 = 0;
let minuteMicros: i64 = 0;

/**
 * Reads a time in the spellings that machines write, 2001-03-05T06:07:08Z or 2001-03-05T06:07:08.123Z, into `integer`,
 * and returns where it ends; 0 where there is none of that kind. 24 bytes are read whatever they are. Events come
 * nearly in order, so mostly only the seconds are new.
 */
@inline
export function takeMoment(at: usize): usize {
  if ((load<u64>(at) != minute0 || load<u64>(at, 8) != minute1) && !takeMinute(at)) return 0;
  const rest = load<u64>(at, 16);
  const tens = <u32>((rest >> 8) & 0xff) - 0x30;
  const ones = <u32>((rest >> 16) & 0xff) - 0x30;
  if (<u8>rest != 0x3a || tens > 5 || ones > 9) return 0;
  const micros = minuteMicros + <i64>(tens * 10 + ones) * 1000000;
  const next = <u8>(rest >> 24);
  if (next == 0x5a) {
    integer = micros;
    return at + 20;
  }
  const thousandths = rest >> 32;
  if (next != 0x2e || thousandths >> 24 != 0x5a || digitCount(thousandths) != 3) return 0;
  integer = micros + <i64>digitsOf(thousandths, 3) * 1000;
  return at + 24;
}

function takeMinute(at: usize): bool {
  if (!readTime(at, at + 19)) return false;
  minute0 = load<u64>(at);
  minute1 = load<u64>(at, 8);
  minuteMicros = integer - <i64>digits2(at + 17) * 1000000;
  return true;
}

/** Two decimal digits, or -1. */
@inline
function digits2(at: usize): i32 {
  const tens = load<u8>(at);
  const ones = load<u8>(at, 1);
  return isDigit(tens) && isDigit(ones) ? (<i32>tens - 0x30) * 10 + <i32>ones - 0x30 : -1;
}

export function daysInMonth(year: i32, month: i32): i32 {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/** Days since 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
export function daysFromCivil(year: i32, month: i32, day: i32): i64 {
  const y: i32 = month <= 2 ? year - 1 : year;
  const era: i32 = (y >= 0 ? y : y - 399) / 400;
  const yearOfEra: i32 = y - era * 400;
  const dayOfYear: i32 = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const dayOfEra: i32 = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
  return <i64>era * 146097 + <i64>dayOfEra - 719468;
}
