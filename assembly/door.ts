/**
 * The door: what may enter the log. Bodies are checked as decoding checks lines, but nothing is projected: accepted
 * records are gathered, one a line, and the others listed as rejected.
 */
import { BATCH_ROWS } from './frame';
import { admitStart } from './form';
import { guessLine, guessedEnd, isNewForm, isResting, noteGuess } from './guess';
import { Problem, cursor, fail, moveTo, openText, peek, problem, skipSpace, skipValue } from './json';
import { earnLessons, learnLine } from './lesson';
import { Bytes } from './memory';
import { lineCount, noteFormLine, reject, rejectedCount } from './batch';
import { LINE_MAX_BYTES, beginLine, beginLines, endsHere, findNewline, isTombstone, lineEnd } from './ndjson';
import { NAME_TIME, isBare, isFlat, lacksTime, readRecord, recordEnd, recordIdEnd, recordIdStart } from './record';
import { isNull } from './value';

/** Accepted records, one a line. */
const accepted: Bytes = Bytes.make();
export let acceptedCount: i32 = 0;

export function acceptedStart(): usize {
  return accepted.start;
}

export function acceptedLength(): usize {
  return accepted.length;
}

/**
 * Checks lines, each by itself. Stops when the list of rejected lines is full, and returns the offset behind the last line taken.
 */
export function admitLines(from: usize, size: usize): usize {
  const start = beginAdmission(from, size);
  const end = start + size;
  let at = start + from;
  while (at < end && rejectedCount < BATCH_ROWS) {
    const next: usize = isResting() || isFilling ? 0 : admitByForm(at, end);
    at = next == 0 ? admitAnyLine(at, end) : next;
  }
  earnLessons(lineCount);
  return min(at, end) - start;
}

/** Returns where the next line starts; 0 where this one is to be read the long way. */
@inline
function admitByForm(start: usize, blockEnd: usize): usize {
  const next = guessLine(admitStart, start, blockEnd);
  const isRight = next != 0 && guessedEnd - start <= LINE_MAX_BYTES;
  noteGuess(isRight);
  if (!isRight) return 0;
  noteFormLine();
  accept(start, guessedEnd);
  return next;
}

/** Returns where the next line starts. */
function admitAnyLine(start: usize, blockEnd: usize): usize {
  const isNew = isNewForm && !isFilling;
  beginLine();
  const newline = findNewline(start, blockEnd);
  const end = lineEnd(start, newline);
  if (admitLine(start, end) && isNew && newline < blockEnd) learnLine(start, end, newline + 1, 0, 0, isFlat, true);
  return newline + 1;
}

function beginAdmission(from: usize, size: usize): usize {
  accepted.length = 0;
  acceptedCount = 0;
  named.length = 0;
  return beginLines(from, size);
}

/** Returns whether the line is a record whose form can be learnt. */
function admitLine(start: usize, end: usize): bool {
  openText(start, end);
  skipSpace();
  let reason: i32 = Problem.TOO_LONG;
  if (end - start <= bytesMax()) {
    if (cursor == end) return false;
    if (readRecordOrFill() && endsHere()) {
      accept(start, end);
      return !isBare;
    }
    reason = problem;
    if (isTombstone(start, end)) return false;
  }
  reject(start, end, reason);
  return false;
}

/** Where records are filled, one that says nothing of its time is no worse for it. The cursor ends behind it. */
function readRecordOrFill(): bool {
  if (readRecord()) return true;
  if (!isFilling || recordEnd == 0 || !lacksTime()) return false;
  moveTo(recordEnd);
  return true;
}

function accept(start: usize, end: usize): void {
  if (isFilling) fillRecord(start);
  else accepted.append(start, end - start);
  accepted.reserve(1);
  store<u8>(accepted.end, 0x0a);
  accepted.length++;
  acceptedCount++;
}

// --- events that are answered with their features

/** Records are to say what they are called and when they were: where they do not, it is written behind what they say. */
let isFilling: bool = false;

/** What is written behind a record comes to less. */
const FILLED_BYTES_MAX: usize = 96;

/** What is read from the log again is no longer than a line may be. */
@inline
function bytesMax(): usize {
  return isFilling ? LINE_MAX_BYTES - FILLED_BYTES_MAX : LINE_MAX_BYTES;
}

let fillTime: i64 = 0;
/** What names are made of: random bits, and a number for those of one millisecond, so that they sort as they were made. */
let nameSeed: u64 = 0;
let nameCount: u32 = 0;
let nameTime: i64 = 0;

/**
 * Of each record (start u32, length u32) among the accepted bytes of what it is called, a JSON value; length 0 of an envelope. And
 * its line u32.
 */
const named: Bytes = Bytes.make();

export function namedStart(): usize {
  return named.start;
}

/**
 * From now on records are filled.
 *
 * @param timeMs of those that say nothing of their time, epoch milliseconds
 * @param seed random bits that no other body has
 */
export function startFilling(timeMs: f64, seed: u64): void {
  isFilling = true;
  fillTime = <i64>timeMs;
  nameSeed = seed;
  if (nameTime == fillTime) return;
  nameTime = fillTime;
  nameCount = 0;
}

export function stopFilling(): void {
  isFilling = false;
}

/** Appends the record that was read last, with what it lacks. */
function fillRecord(start: usize): void {
  const hasId = recordIdStart() != 0;
  const before = accepted.length - start;
  // What stands behind the last brace is space.
  accepted.append(start, recordEnd - 1 - start);
  let idAt = hasId ? recordIdStart() + before : 0;
  let idLength = hasId ? recordIdEnd() - recordIdStart() : 0;
  if (!hasId && !isBare) {
    appendMember(0x6469, 2);
    idAt = accepted.length;
    appendName();
    idLength = accepted.length - idAt;
  }
  if (lacksTime()) {
    appendMember(NAME_TIME, 4);
    appendDigits(fillTime);
  }
  appendByte(0x7d);
  named.reserve(12);
  store<u32>(named.end, <u32>idAt);
  store<u32>(named.end, <u32>idLength, 4);
  store<u32>(named.end, <u32>lineCount, 8);
  named.length += 12;
}

function appendByte(byte: u8): void {
  accepted.reserve(1);
  store<u8>(accepted.end, byte);
  accepted.length++;
}

/** `,"name":`, with a `_` before it in the flat form. There is a member before it: a record has a type. */
function appendMember(name: u32, length: usize): void {
  accepted.reserve(16);
  appendByte(0x2c);
  appendByte(0x22);
  if (isFlat) appendByte(0x5f);
  store<u32>(accepted.end, name);
  accepted.length += length;
  appendByte(0x22);
  appendByte(0x3a);
}

function appendDigits(value: i64): void {
  if (value < 0) appendByte(0x2d);
  let rest: u64 = value < 0 ? <u64>(0 - value) : <u64>value;
  let scale: u64 = 1;
  while (rest / scale >= 10) scale *= 10;
  for (; scale > 0; scale /= 10) {
    appendByte(<u8>(0x30 + rest / scale));
    rest %= scale;
  }
}

/**
 * A UUID of version 7 in quotes: 48 bits of milliseconds, 26 bits of a count within the millisecond that take the place of
 * some of the random ones, and 48 random bits.
 */
function appendName(): void {
  const random = nextRandom();
  const count = nameCount++ & 0x03ffffff;
  const high = ((<u64>fillTime & 0xffffffffffff) << 16) | 0x7000 | <u64>(count >> 14);
  const low = (<u64>0x8000000000000000) | (<u64>(count & 0x3fff) << 48) | (random & 0xffffffffffff);
  appendByte(0x22);
  appendHex(high, 60, 32);
  appendByte(0x2d);
  appendHex(high, 28, 16);
  appendByte(0x2d);
  appendHex(high, 12, 0);
  appendByte(0x2d);
  appendHex(low, 60, 48);
  appendByte(0x2d);
  appendHex(low, 44, 0);
  appendByte(0x22);
}

/** The digits of a word from one place down to another. */
function appendHex(word: u64, from: i32, to: i32): void {
  for (let shift = from; shift >= to; shift -= 4) {
    const digit = <u8>((word >> <u64>shift) & 15);
    appendByte(digit < 10 ? 0x30 + digit : 0x57 + digit);
  }
}

/** SplitMix64. */
function nextRandom(): u64 {
  nameSeed += 0x9e3779b97f4a7c15;
  let mixed = nameSeed;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

/**
 * Checks a body that is one JSON value: a record, or an array of records. Line breaks inside become spaces. Returns
 * false where the body is no JSON (`problem` says why): then nothing of it is accepted. A record's `line` is its index
 * in the array plus one.
 */
export function admitDocument(size: usize): bool {
  const start = beginAdmission(0, size);
  openText(start, start + size);
  skipSpace();
  const isArray = peek() == 0x5b;
  if (isArray) moveTo(cursor + 1);
  skipSpace();
  if (isArray && peek() == 0x5d) {
    moveTo(cursor + 1);
    return endsHere();
  }
  while (true) {
    skipSpace();
    if (!admitElement()) return false;
    skipSpace();
    if (!isArray) break;
    const byte = peek();
    if (byte != 0x5d && byte != 0x2c) return fail(Problem.NOT_JSON);
    moveTo(cursor + 1);
    if (byte == 0x5d) break;
  }
  return endsHere();
}

function admitElement(): bool {
  beginLine();
  const start = cursor;
  if (!skipValue(0)) return false;
  const end = cursor;
  moveTo(start);
  const isRecord = readRecordOrFill();
  moveTo(end);
  if (isNull(start, end)) return true;
  if (end - start > bytesMax()) return rejectElement(start, end, Problem.TOO_LONG);
  if (!isRecord) return rejectElement(start, end, problem);
  const acceptedFrom = accepted.length;
  accept(start, end);
  for (let at = accepted.start + acceptedFrom; at < accepted.end - 1; at++) {
    const byte = load<u8>(at);
    if (byte == 0x0a || byte == 0x0d) store<u8>(at, 0x20);
  }
  return true;
}

/** False, ending the whole body, when the list of rejected records is full. */
function rejectElement(start: usize, end: usize, reason: i32): bool {
  if (rejectedCount == BATCH_ROWS) return fail(Problem.TOO_MANY);
  reject(start, end, reason);
  return true;
}
