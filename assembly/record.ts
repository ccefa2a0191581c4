/**
 * One record: the spans of its type, time, id and data. All of it is checked as JSON, and its data projected in the same pass where
 * that can be.
 */
import { isEnvelope, nameAt, timeAt, timeEnd as changeTimeEnd } from './envelope';
import { EventType, hasBefore, typeAt, typeCount } from './event_type';
import {
  Problem,
  cursor,
  fail,
  integer,
  moveTo,
  peek,
  readString,
  skipSpace,
  skipValue,
  stringEscaped,
  take,
} from './json';
import { beginInputs, clearSlots, project } from './project';
import { isNull, keepName, plainLength, plainName, readTimeValue } from './value';

/** A top-level member's value: where it starts (0: absent) and ends. */
let typeStart: usize = 0;
let typeEnd: usize = 0;
let flatTypeStart: usize = 0;
let flatTypeEnd: usize = 0;
let timeStart: usize = 0;
let timeEnd: usize = 0;
let flatTimeStart: usize = 0;
let flatTimeEnd: usize = 0;
export let dataStart: usize = 0;
export let objectStart: usize = 0;

/** How often the members came: once each, what the first pass projected stands. */
export let typeMembers = 0;
export let dataMembers = 0;
let typeEscaped = false;

/** Are slots wanted of what is read? And the type whose slots the first pass has filled; -1 for none. */
let isProjecting = false;

export function setProjecting(projects: bool): void {
  isProjecting = projects;
}

export let projectedType = -1;

/** The record's type name, and its time. */
let nameStart: usize = 0;
export let nameLength: usize = 0;
export let recordMicros: i64 = 0;

/** Of a record that is read by its form, or again. */
@inline
export function setRecordTime(micros: i64): void {
  recordMicros = micros;
}

export let isFlat: bool = false;

/** The record is an envelope itself. */
export let isBare: bool = false;

/** Where the record that was read last ends, whether or not there was something wrong with its time. */
export let recordEnd: usize = 0;

/** What the record says that it is called, a JSON value; none where `recordIdStart` gives 0. */
let idStart: usize = 0;
let idEnd: usize = 0;
let flatIdStart: usize = 0;
let flatIdEnd: usize = 0;

export function recordIdStart(): usize {
  const start = isFlat ? flatIdStart : idStart;
  return isBare || start == 0 || isNull(start, recordIdEnd()) ? 0 : start;
}

export function recordIdEnd(): usize {
  return isFlat ? flatIdEnd : idEnd;
}

/** The record that was read last says nothing of its time. */
export function lacksTime(): bool {
  const start = isFlat ? flatTimeStart : timeStart;
  return !isBare && (start == 0 || isNull(start, isFlat ? flatTimeEnd : timeEnd));
}

/** Reads one record at the cursor, checking all of it. The cursor ends behind it. */
export function readRecord(): bool {
  typeStart = flatTypeStart = timeStart = flatTimeStart = dataStart = idStart = flatIdStart = recordEnd = 0;
  typeMembers = dataMembers = 0;
  projectedType = -1;
  objectStart = cursor;
  if (peek() != 0x7b) return skipValue(0) ? fail(Problem.NOT_OBJECT) : false;
  if (!readMembers()) return false;
  const afterRecord = cursor;
  isBare = typeStart == 0 && flatTypeStart == 0 && isEnvelope(objectStart);
  isFlat = typeStart == 0 && !isBare;
  if (!readTypeName()) return fail(Problem.NO_TYPE);
  recordEnd = afterRecord;
  if (!readRecordTime()) return false;
  moveTo(afterRecord);
  return true;
}

function readMembers(): bool {
  moveTo(cursor + 1);
  skipSpace();
  if (peek() == 0x7d) {
    moveTo(cursor + 1);
    return true;
  }
  while (true) {
    skipSpace();
    if (!readString()) return false;
    const name = plainName();
    const length = plainLength;
    if (!take(0x3a)) return false;
    skipSpace();
    const start = cursor;
    if (isProjecting && length == 4 && load<u32>(name) == NAME_DATA && projectsNow()) {
      if (!project(typeAt(projectedType), typeAt(projectedType).root, 1)) return false;
      noteData(start);
    } else {
      if (!skipValue(1)) return false;
      noteMember(name, length, start, cursor);
    }
    skipSpace();
    const byte = peek();
    if (byte == 0x7d) {
      moveTo(cursor + 1);
      return true;
    }
    if (byte != 0x2c) return fail(Problem.NOT_JSON);
    moveTo(cursor + 1);
  }
}

/** `data`, as a word of four bytes; `type` and `time` likewise. */
export const NAME_DATA: u32 = 0x61746164;
export const NAME_TYPE: u32 = 0x65707974;
export const NAME_TIME: u32 = 0x656d6974;

/** `id`, as two bytes. */
const NAME_ID: u16 = 0x6469;

/** Can the object at the cursor be projected in this pass? Its type has to be known, and declared. */
function projectsNow(): bool {
  if (dataMembers != 0 || typeMembers != 1 || typeEscaped || peek() != 0x7b || load<u8>(typeStart) != 0x22) return false;
  nameStart = typeStart + 1;
  nameLength = typeEnd - typeStart - 2;
  const type = findType();
  if (type < 0 || hasBefore(typeAt(type))) return false;
  projectedType = type;
  beginInputs(typeAt(projectedType));
  clearSlots(typeAt(projectedType));
  return true;
}

/** An unescaped name stands where projection has unescaped others since: this one is told by its caller. */
@inline
function noteData(start: usize): void {
  dataStart = start;
  dataMembers++;
}

/** Remembers the members that a record is known by; a later one of the same name wins. */
@inline
function noteMember(name: usize, length: usize, start: usize, end: usize): void {
  if (length == 4) {
    const word = load<u32>(name);
    if (word == NAME_TYPE) {
      typeStart = start;
      typeEnd = end;
      typeEscaped = stringEscaped;
      typeMembers++;
    } else if (word == NAME_TIME) {
      timeStart = start;
      timeEnd = end;
    } else if (word == NAME_DATA) {
      noteData(start);
    }
  } else if (length == 5 && load<u8>(name) == 0x5f) {
    const word = load<u32>(name, 1);
    if (word == NAME_TYPE) {
      flatTypeStart = start;
      flatTypeEnd = end;
    } else if (word == NAME_TIME) {
      flatTimeStart = start;
      flatTimeEnd = end;
    }
  } else if (length == 2 && load<u16>(name) == NAME_ID) {
    idStart = start;
    idEnd = end;
  } else if (length == 3 && load<u8>(name) == 0x5f && load<u16>(name, 1) == NAME_ID) {
    flatIdStart = start;
    flatIdEnd = end;
  }
}

function readTypeName(): bool {
  const start = isBare ? nameAt : isFlat ? flatTypeStart : typeStart;
  if (start == 0 || load<u8>(start) != 0x22) return false;
  moveTo(start);
  readString();
  nameStart = plainName();
  nameLength = plainLength;
  // An unescaped name stands in spare room that the next name would overwrite.
  if (stringEscaped) keepName();
  return nameLength > 0;
}

/** Is the text the name of the record's type? */
export function isRecordName(start: usize, end: usize): bool {
  return nameLength == end - start && memory.compare(nameStart, start, nameLength) == 0;
}

/** The number of the type that the record is of, -1 where it is not declared. */
export function findType(): i32 {
  for (let i = 0; i < typeCount; i++) {
    const type = typeAt(i);
    if (type.nameLength == nameLength && memory.compare(type.name, nameStart, nameLength) == 0) return i;
  }
  return -1;
}

function readRecordTime(): bool {
  const start = isBare ? timeAt : isFlat ? flatTimeStart : timeStart;
  const end = isBare ? changeTimeEnd : isFlat ? flatTimeEnd : timeEnd;
  if (start == 0) return fail(Problem.NO_TIME);
  if (!readTimeValue(start, end)) return fail(Problem.BAD_TIME);
  recordMicros = integer;
  return true;
}

/** The data that was projected last; 0 where there is none. The cursor stands behind it. */
export let projectedStart: usize = 0;

/** Fills the slots from the record's data; false where that is no object. */
export function projectData(type: EventType): bool {
  beginInputs(type);
  clearSlots(type);
  projectedStart = 0;
  if (!isFlat) {
    if (dataStart == 0 || load<u8>(dataStart) == 0x6e) return true;
    if (load<u8>(dataStart) != 0x7b) return false;
  }
  projectedStart = isFlat ? objectStart : dataStart;
  moveTo(projectedStart);
  return project(type, type.root, isFlat ? 0 : 1);
}

/** Fills the slots from a row of an envelope. The cursor stands behind it. */
export function projectRow(type: EventType, start: usize): void {
  clearSlots(type);
  moveTo(start);
  project(type, type.root, 1);
}
