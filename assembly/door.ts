/**
 * The door: what may enter the log. Bodies are checked as decoding checks lines, but nothing is projected: accepted
 * records are gathered, one a line, and the others listed as rejected.
 */
import { BATCH_ROWS } from './expression';
import { admitStart } from './form';
import { guessLine, guessedEnd, isNewForm, isResting, noteGuess } from './guess';
import { Problem, cursor, fail, moveTo, openText, peek, problem, skipSpace, skipValue } from './json';
import { earnLessons, learnLine } from './lesson';
import { Bytes } from './memory';
import {
  LINE_MAX_BYTES,
  beginLine,
  beginLines,
  endsHere,
  findNewline,
  isBare,
  isFlat,
  isNull,
  isTombstone,
  lineCount,
  lineEnd,
  noteFormLine,
  readRecord,
  reject,
  rejectedCount,
} from './ndjson';

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
    const next: usize = isResting() ? 0 : admitByForm(at, end);
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
  const isNew = isNewForm;
  beginLine();
  const newline = findNewline(start, blockEnd);
  const end = lineEnd(start, newline);
  if (admitLine(start, end) && isNew && newline < blockEnd) learnLine(start, end, newline + 1, 0, 0, isFlat, true);
  return newline + 1;
}

function beginAdmission(from: usize, size: usize): usize {
  accepted.length = 0;
  acceptedCount = 0;
  return beginLines(from, size);
}

/** Returns whether the line is a record whose form can be learnt. */
function admitLine(start: usize, end: usize): bool {
  openText(start, end);
  skipSpace();
  if (cursor == end) return false;
  let reason: i32 = Problem.TOO_LONG;
  if (end - start <= LINE_MAX_BYTES) {
    if (readRecord() && endsHere()) {
      accept(start, end);
      return !isBare;
    }
    reason = problem;
    if (isTombstone(start, end)) return false;
  }
  reject(start, end, reason);
  return false;
}

function accept(start: usize, end: usize): void {
  accepted.append(start, end - start);
  accepted.reserve(1);
  store<u8>(accepted.end, 0x0a);
  accepted.length++;
  acceptedCount++;
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
  const isRecord = readRecord();
  moveTo(end);
  if (isNull(start, end)) return true;
  if (end - start > LINE_MAX_BYTES) return rejectElement(start, end, Problem.TOO_LONG);
  if (!isRecord) return rejectElement(start, end, problem);
  accept(start, end);
  for (let at = accepted.end - 1 - (end - start); at < accepted.end - 1; at++) {
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
