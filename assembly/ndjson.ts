/**
 * Lines of NDJSON into columns.
 *
 *   1. line      cut at \n; \r and blank lines are passed over
 *   2. record    the whole line is checked as JSON, and the spans of its type, time and data are found (record.ts)
 *   3. project   the data of a declared type is walked along the trie of its input paths, into slots: in the same pass
 *                where the type stands before the data, as it mostly does; else in a second one (project.ts)
 *   4. commit    slots become a row of the type's frame, or the event is bad (fill.ts); a change in an envelope may be two rows (envelope_row.ts)
 *   5. clocks    in the log's order each record moves its type's clock, or its time is what is bad about it: a pass of
 *                its own, for batches may be decoded side by side before it is known where the clocks stand (clock.ts)
 *
 * A batch has room for BATCH_ROWS records and as many rejected lines. Strings in columns are slices of the input, or
 * made where they had escapes; lists, maps and structs are always made (nested_input.ts). Input and what is made stay as they
 * are until the next batch is decoded.
 *
 * An event with a faulty input is bad, unless its type is lenient: then that input is null, or its default, and a register
 * of its own has what is said of it (fault.ts). These registers are null all over, so that an event without a fault costs
 * nothing: where one is filled that is noted, and the next batch clears them.
 */
import {
  beginInput,
  beginRecords,
  clearSide,
  noteFormLine,
  noteLine,
  noteRecord,
  recordBad,
  recordRow,
  reject,
} from './batch';
import { commitChange } from './envelope_row';
import { Bad, Changelog, EventType, Node, clearTypes, hasBefore, inputAt, nextInput, typeAt } from './event_type';
import { fillChange, fillInput, fillLenient, fillRow, fillTime, opWeight } from './fill';
import { guessedCount, guessedEnd, guessedMicros, guessedType, later, laterCount, serial } from './guess';
import { Problem, cursor, fail, limit, moveTo, openText, problem, skipSpace } from './json';
import { beginBatch, isOverfull } from './nested_input';
import { beginInputs, isLenient, readInput } from './project';
import {
  dataMembers,
  findType,
  isBare,
  projectData,
  projectedType,
  readRecord,
  recordMicros,
  setProjecting,
  setRecordTime,
  typeMembers,
} from './record';
import { Slot } from './slot';
import { commitUpsert } from './upsert_row';
import { forgetText, isNull } from './value';

/** A longer line is rejected: it bounds what one event may cost. */
export const LINE_MAX_BYTES: usize = 1 << 20;

/** Begins a batch from byte `from` of the input; returns where the input starts. `position` is that of the first record. */
export function beginDecoding(from: usize, size: usize, position: i64): usize {
  const start = beginInput(from, size);
  beginRecords(position);
  clearSide();
  forgetText();
  setProjecting(true);
  beginBatch();
  clearTypes();
  return start;
}

/** Begins a list of rejected lines that nothing is decoded of (door.ts); returns where the input starts. */
export function beginLines(from: usize, size: usize): usize {
  setProjecting(false);
  return beginInput(from, size);
}

/** One line, or one element of an array, more. */
@inline
export function beginLine(): void {
  noteLine();
  clearSide();
}

export function findNewline(at: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    const sixteen = i8x16.splat(0x0a);
    while (at + 16 <= end) {
      const mask = i8x16.bitmask(i8x16.eq(v128.load(at), sixteen));
      if (mask != 0) return at + ctz<i32>(mask);
      at += 16;
    }
  } else {
    const ones: u64 = 0x0101010101010101;
    while (at + 8 <= end) {
      const word = load<u64>(at) ^ (ones * 0x0a);
      const found = (word - ones) & ~word & (ones << 7);
      if (found != 0) return at + (<usize>ctz(found) >> 3);
      at += 8;
    }
  }
  while (at < end && load<u8>(at) != 0x0a) at++;
  return at;
}

/** The end of a line without its line end. */
@inline
export function lineEnd(start: usize, newline: usize): usize {
  return newline > start && load<u8>(newline - 1) == 0x0d ? newline - 1 : newline;
}

/** One line without its line end. Returns whether it is an event that counts, and so has a form to be learnt. */
export function decodeLine(start: usize, end: usize): bool {
  noteLine();
  openText(start, end);
  skipSpace();
  // Before it is passed over as blank: of what is too long for a block its beginning alone is here (src/source/ndjson.ts).
  if (end - start > LINE_MAX_BYTES) {
    reject(start, end, Problem.TOO_LONG);
  } else if (cursor == end) {
    return false;
  } else if (!readRecord() || !endsHere()) {
    const reason = problem;
    if (!isTombstone(start, end)) reject(start, end, reason);
  } else {
    return commitRecord(start, end) == Bad.NONE && !isBare;
  }
  return false;
}

/** Is the line a lone null? So Kafka's tools write the record that follows a deleted row, and it is passed over. */
export function isTombstone(start: usize, end: usize): bool {
  openText(start, end);
  skipSpace();
  const at = cursor;
  if (end - at < 4) return false;
  moveTo(at + 4);
  skipSpace();
  return cursor == end && isNull(at, at + 4);
}

@inline
export function endsHere(): bool {
  skipSpace();
  return cursor == limit ? true : fail(Problem.NOT_JSON);
}

/** Returns why it is bad, if it is. */
function commitRecord(start: usize, end: usize): i32 {
  const type = findType();
  const index = noteRecord(start, end, type, recordMicros);
  if (type < 0) return Bad.NONE;
  const eventType = typeAt(type);
  if (eventType.changelog == Changelog.UPSERTS) return commitUpsert(eventType, index, end - start);
  if (hasBefore(eventType)) return commitChange(eventType, index);
  const bad = judge(eventType, type, index);
  store<i32>(recordBad + (index << 2), bad);
  if (bad == Bad.NONE) store<i32>(recordRow + (index << 2), eventType.rows++);
  return bad;
}

/** Projects the data and fills the next row; or says what is bad. */
function judge(type: EventType, number: i32, index: usize): i32 {
  if (projectedType == number && typeMembers == 1 && dataMembers == 1) return fillRow(type, index, 1);
  return projectData(type) ? fillRow(type, index, 1) : Bad.DATA_NOT_OBJECT;
}

/**
 * Enters the line at `start` that guess.ts has read by its form, its plain values already in the next row. False, with
 * nothing changed, where the long way must say what is bad.
 */
export function commitGuess(start: usize): bool {
  if (guessedEnd - start > LINE_MAX_BYTES) return false;
  setRecordTime(guessedMicros);
  if (guessedType < 0) {
    noteFormLine();
    noteRecord(start, guessedEnd, -1, guessedMicros);
    return true;
  }
  const type = typeAt(guessedType);
  if ((laterCount != 0 || guessedCount != type.inputCount) && !completeRow(type, start)) return false;
  if (type.changelog == Changelog.OPS && fillChange(type, opWeight(type)) != Bad.NONE) return false;
  noteFormLine();
  const index = noteRecord(start, guessedEnd, guessedType, guessedMicros);
  if (type.timeInput == 0) fillTime(type, recordMicros);
  store<i32>(recordRow + (index << 2), type.rows++);
  return true;
}

/** Reads what was left for later, and fills in what is missing. False where an input is at fault, and the event bad for it. */
function completeRow(type: EventType, start: usize): bool {
  openText(start, guessedEnd);
  beginInputs(type);
  for (let i = 0; i < laterCount; i++) {
    const span = later + <usize>i * 12;
    const node = changetype<Node>(load<usize>(span));
    for (let index = node.input; index != 0; index = nextInput(type, index)) {
      const input = inputAt(type, index - 1);
      input.mark = serial;
      readInput(input, load<usize>(span, 4), load<usize>(span, 8));
      if (!fillInput(type, index - 1)) return false;
    }
  }
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    if (input.mark == serial) continue;
    input.slot = Slot.MISSING;
    if (!fillInput(type, i)) return false;
  }
  // What was filled before there were too many is lost too.
  if (isLenient && isOverfull()) fillLenient(type);
  return true;
}
