/** Values -> texts, and back: CAST. A text that does not spell a value is null. */
import { keep, reserve } from './arena';
import { civilFromDays, day, floorDiv, month, year } from './calendar';
import { readDouble } from './decimal';
import { integer, readDate, readTime } from './json';
import { Op } from './op';
import { Register } from './register';
import { SHORTEST_MAX_BYTES, spellDouble } from './shortest';

/** Room for any int64, and for any time: `+292277-01-09T04:00:54.775807Z`. */
export const SPELLING_MAX: usize = 32;

/** `true` and `false`, to be pointed at. */
const WORDS: usize = memory.data<u8>([0x74, 0x72, 0x75, 0x65, 0x66, 0x61, 0x6c, 0x73, 0x65]);

export function runSpelling(op: i32, target: Register, a: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row);
    result = 0;
    if (isNull == 0) isNull = <u8>!spell(op, a.values + at);
    store<i64>(target.values + at, result);
    store<u8>(target.nulls + row, isNull);
  }
}

/** A column's eight bytes. */
let result: i64 = 0;

function spell(op: i32, x: usize): bool {
  switch (op) {
    case Op.INT_TO_TEXT:
      return putInt(load<i64>(x));
    case Op.BOOL_TO_TEXT:
      return load<i64>(x) != 0 ? putText(WORDS, 4) : putText(WORDS + 4, 5);
    case Op.TIME_TO_TEXT:
      return putTime(load<i64>(x));
    case Op.TEXT_TO_INT:
      return readWhole(<usize>load<u32>(x), <usize>load<u32>(x, 4));
    case Op.TEXT_TO_BOOL:
      return readBool(<usize>load<u32>(x), <usize>load<u32>(x, 4));
    case Op.DOUBLE_TO_TEXT:
      return putDouble(load<f64>(x));
    case Op.TEXT_TO_DOUBLE:
      return readReal(<usize>load<u32>(x), <usize>load<u32>(x, 4));
    default: // TEXT_TO_TIME
      return readMoment(<usize>load<u32>(x), <usize>load<u32>(x, 4));
  }
}

function putText(start: usize, size: usize): bool {
  result = <i64>((<u64>size << 32) | <u64>start);
  return true;
}

function putInt(value: i64): bool {
  const made = reserve(SPELLING_MAX);
  const size = spellInt(value, made) - made;
  keep(size);
  return putText(made, size);
}

/** Writes an integer at `out`; returns where that ends. */
export function spellInt(value: i64, out: usize): usize {
  let rest: u64 = value < 0 ? <u64>0 - <u64>value : <u64>value;
  let size: usize = value < 0 ? 2 : 1;
  for (let more = rest; more > 9; more /= 10) size++;
  if (value < 0) store<u8>(out, 0x2d);
  let at = out + size;
  do {
    store<u8>(--at, <u8>(0x30 + rest % 10));
    rest /= 10;
  } while (rest != 0);
  return out + size;
}

/** As JSON has it; NaN and the infinities have no spelling. */
function putDouble(value: f64): bool {
  if (!isFinite<f64>(value)) return false;
  const made = reserve(SHORTEST_MAX_BYTES);
  const size = spellDouble(value, made) - made;
  keep(size);
  return putText(made, size);
}

function putTime(micros: i64): bool {
  const made = reserve(SPELLING_MAX);
  const size = spellTime(micros, made) - made;
  keep(size);
  return putText(made, size);
}

/** Writes a time at `out`, as RFC 3339 with as many digits behind the second as it needs (0, 3 or 6); returns where that ends. */
export function spellTime(micros: i64, out: usize): usize {
  const days = floorDiv(micros, 86400000000);
  const ofDay = micros - days * 86400000000;
  civilFromDays(days);
  let at = out;
  if (year < 0 || year > 9999) {
    store<u8>(at++, year < 0 ? 0x2d : 0x2b);
    at = putDigits(at, abs<i64>(year), 6);
  } else at = putDigits(at, year, 4);
  at = putDigits(putByte(at, 0x2d), month, 2);
  at = putDigits(putByte(at, 0x2d), day, 2);
  at = putDigits(putByte(at, 0x54), ofDay / 3600000000, 2);
  at = putDigits(putByte(at, 0x3a), (ofDay / 60000000) % 60, 2);
  at = putDigits(putByte(at, 0x3a), (ofDay / 1000000) % 60, 2);
  const fraction = ofDay % 1000000;
  if (fraction % 1000 != 0) at = putDigits(putByte(at, 0x2e), fraction, 6);
  else if (fraction != 0) at = putDigits(putByte(at, 0x2e), fraction / 1000, 3);
  return putByte(at, 0x5a);
}

@inline
function putByte(at: usize, byte: u8): usize {
  store<u8>(at, byte);
  return at + 1;
}

function putDigits(at: usize, value: i64, count: usize): usize {
  let rest = value;
  for (let i = count; i > 0; i--) {
    store<u8>(at + i - 1, <u8>(0x30 + rest % 10));
    rest /= 10;
  }
  return at + count;
}

@inline
function isSpace(byte: u8): bool {
  return byte == 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** A sign and decimal digits, with spaces around them. */
function readWhole(start: usize, size: usize): bool {
  let at = start;
  let end = start + size;
  while (at < end && isSpace(load<u8>(at))) at++;
  while (end > at && isSpace(load<u8>(end - 1))) end--;
  const sign = at < end ? load<u8>(at) : 0;
  if (sign == 0x2d || sign == 0x2b) at++;
  if (at == end) return false;
  // Counted downward, for there is one more below zero.
  let value: i64 = 0;
  for (; at < end; at++) {
    const digit = <i64>load<u8>(at) - 0x30;
    if (digit < 0 || digit > 9) return false;
    if (value < i64.MIN_VALUE / 10 || value * 10 < i64.MIN_VALUE + digit) return false;
    value = value * 10 - digit;
  }
  if (sign != 0x2d && value == i64.MIN_VALUE) return false;
  result = sign == 0x2d ? value : -value;
  return true;
}

/** A sign, decimal digits with a point among them or at their ends, a power of ten; with spaces around them. */
function readReal(start: usize, size: usize): bool {
  let at = start;
  let end = start + size;
  while (at < end && isSpace(load<u8>(at))) at++;
  while (end > at && isSpace(load<u8>(end - 1))) end--;
  const sign = at < end ? load<u8>(at) : 0;
  // What is read then may begin with a minus, but not with a plus.
  const from = at + <usize>(sign == 0x2b);
  if (sign == 0x2b || sign == 0x2d) at++;
  const whole = passDigits(at, end);
  let count = whole - at;
  at = whole;
  if (at < end && load<u8>(at) == 0x2e) {
    const fraction = passDigits(at + 1, end);
    count += fraction - at - 1;
    at = fraction;
  }
  if (count == 0) return false;
  if (at < end && (load<u8>(at) | 0x20) == 0x65) {
    at++;
    if (at < end && (load<u8>(at) == 0x2b || load<u8>(at) == 0x2d)) at++;
    const power = passDigits(at, end);
    if (power == at) return false;
    at = power;
  }
  if (at != end) return false;
  result = reinterpret<i64>(readDouble(from, end));
  return true;
}

function passDigits(from: usize, end: usize): usize {
  let at = from;
  while (at < end && load<u8>(at) - 0x30 < 10) at++;
  return at;
}

/** true, t, yes, y, 1 and false, f, no, n, 0, in small letters and capitals. */
function readBool(start: usize, size: usize): bool {
  if (size == 0 || size > 5) return false;
  let word: u64 = 0;
  for (let i: usize = 0; i < size; i++) word |= (<u64>load<u8>(start + i) | 0x20) << (i << 3);
  // `|` moves 0x11 and 0x10, which no one writes, onto digits; those are told apart here.
  if (size == 1 && load<u8>(start) < 0x30) return false;
  result = <i64>(word == 0x65757274 || word == 0x74 || word == 0x736579 || word == 0x79 || word == 0x31);
  return result != 0 || word == 0x65736c6166 || word == 0x66 || word == 0x6f6e || word == 0x6e || word == 0x30;
}

/** A moment as event times are written; a date alone is its midnight. */
function readMoment(start: usize, size: usize): bool {
  const found = size == 10 ? readDate(start) : readTime(start, start + size);
  if (found) result = integer;
  return found;
}
