/**
 * Places of the events of one type, as a replay's columns have them: of each when it was, and what it is called. A batch's events
 * go to the ends of both, until there are enough for a block.
 *
 * Most ids stand plainly among the first members of their line; of any other line JavaScript looks for it (src/replay/places.ts).
 *
 *     {"id":"a1","time":...,"type":"view",...}        its id is a1
 *     {"type":"view","id":"a\u0031",...}              an escape: asked for
 */
import { recordBad, recordCount, recordLength, recordRow, recordStart, recordTime, recordType } from './batch';
import { Bad } from './event_type';
import {
  cursor,
  moveTo,
  openText,
  peek,
  readString,
  skipSpace,
  skipValue,
  stringEnd,
  stringEscaped,
  stringStart,
  take,
} from './json';
import { Bytes } from './memory';
import { NAME_TYPE } from './record';
import { packLongs, packSizes } from './swept';

/** Of each event its time i64, 0 where it is no row; whether it is none u8; the length of its id u32, and whether it has none u8. */
const times: Bytes = Bytes.make();
const timeNulls: Bytes = Bytes.make();
const lengths: Bytes = Bytes.make();
const idNulls: Bytes = Bytes.make();
/** Ids, one behind the other. */
const ids: Bytes = Bytes.make();
/** Of the bad events of the block: its row u32, and which record of its batch it was u32. */
const bads: Bytes = Bytes.make();
const packed: Bytes = Bytes.make();

/** Where the id was found last. */
let idStart: usize = 0;
let idLength: usize = 0;

/** Begins a block. */
export function startPlaces(): void {
  times.length = timeNulls.length = lengths.length = idNulls.length = ids.length = bads.length = 0;
}

export function placeCount(): u32 {
  return <u32>timeNulls.length;
}

/**
 * Takes the events of the type among the batch's records, from one on, until the block has `rowsMax`.
 *
 * @param input where the batch's input starts
 * @returns the record that comes next, whose id is asked for where there is room for it; behind the last one all are taken
 */
export function takePlaces(input: usize, type: i32, from: i32, rowsMax: u32): i32 {
  for (let record = from; record < recordCount; record++) {
    const at = <usize>record << 2;
    if (load<i32>(recordType + at) != type) continue;
    if (placeCount() == rowsMax) return record;
    const start = input + <usize>load<u32>(recordStart + at);
    if (!findId(start, start + <usize>load<u32>(recordLength + at))) return record;
    addPlace(record, idStart, <i32>idLength);
  }
  return recordCount;
}

/** @param length of its id; -1 where it has none */
export function addPlace(record: i32, start: usize, length: i32): void {
  const at = <usize>record << 2;
  const isRow = load<i32>(recordRow + at) >= 0;
  if (load<i32>(recordBad + at) != Bad.NONE) {
    bads.reserve(8);
    store<u32>(bads.end, placeCount());
    store<i32>(bads.end, record, 4);
    bads.length += 8;
  }
  times.reserve(8);
  store<i64>(times.end, isRow ? load<i64>(recordTime + (at << 1)) : 0);
  times.length += 8;
  appendByte(timeNulls, isRow ? 0 : 1);
  appendByte(idNulls, length < 0 ? 1 : 0);
  const size = <usize>max(length, 0);
  lengths.reserve(4);
  store<u32>(lengths.end, <u32>size);
  lengths.length += 4;
  ids.append(start, size);
}

@inline
function appendByte(to: Bytes, value: u8): void {
  to.reserve(1);
  store<u8>(to.end, value);
  to.length++;
}

export function placeBadsStart(): usize {
  return bads.start;
}

export function placeBadsCount(): u32 {
  return <u32>(bads.length >> 3);
}

// --- the block

export function placeTimeNulls(): usize {
  return timeNulls.start;
}

export function placeIdNulls(): usize {
  return idNulls.start;
}

export function placeIdsStart(): usize {
  return ids.start;
}

export function placeIdsSize(): usize {
  return ids.length;
}

export function packedPlacesStart(): usize {
  return packed.start;
}

/** Packs the times as column files have them; returns their size. */
export function packPlaceTimes(): usize {
  packed.length = 0;
  packLongs(packed, times.start, times.end);
  return packed.length;
}

/** Likewise the lengths of ids. */
export function packPlaceLengths(): usize {
  packed.length = 0;
  packSizes(packed, lengths);
  return packed.length;
}

// --- ids

const QUOTE: u8 = 0x22;
const COLON: u8 = 0x3a;
const COMMA: u8 = 0x2c;
const OPEN: u8 = 0x7b;
const BACKSLASH: u8 = 0x5c;
const LETTER_I: u8 = 0x69;
const LETTER_D: u8 = 0x64;
const LETTER_T: u8 = 0x74;
const LETTER_Y: u8 = 0x79;
/** `id`, and how `type` begins. */
const TWO_ID: u16 = 0x6469;
const TWO_TY: u16 = 0x7974;

/** Of a line whose first members are texts without escapes, `id` and `type` among them, and which has neither again: false of any other. */
function findId(start: usize, end: usize): bool {
  openText(start, end);
  if (peek() != OPEN) return false;
  let hasId = false;
  let hasType = false;
  do {
    moveTo(cursor + 1);
    if (!readPlainString()) return false;
    const isId = isNameId();
    if (isNameType()) hasType = true;
    if (peek() != COLON) return false;
    moveTo(cursor + 1);
    if (!readPlainString()) return false;
    if (isId) {
      hasId = true;
      idStart = stringStart;
      idLength = stringEnd - stringStart;
    }
    if (hasId && hasType) return !isNamedAgain(end);
  } while (peek() == COMMA);
  return false;
}

@inline
function readPlainString(): bool {
  return readString() && !stringEscaped;
}

@inline
function isNameId(): bool {
  return stringEnd - stringStart == 2 && load<u16>(stringStart) == TWO_ID;
}

@inline
function isNameType(): bool {
  return stringEnd - stringStart == 4 && load<u32>(stringStart) == NAME_TYPE;
}

/** Whether a member `id` or `type` follows behind the cursor, or one whose name has escapes: of two that have a name the last one counts. */
function isNamedAgain(end: usize): bool {
  if (!mayBeNamed(cursor, end)) return false;
  skipSpace();
  while (peek() == COMMA) {
    moveTo(cursor + 1);
    skipSpace();
    if (!readPlainString() || isNameId() || isNameType()) return true;
    if (!take(COLON)) return true;
    skipSpace();
    if (!skipValue(1)) return true;
    skipSpace();
  }
  return false;
}

/** Whether any text in it may be `id` or `type`, or has escapes. */
function mayBeNamed(start: usize, end: usize): bool {
  let at = start;
  if (ASC_FEATURE_SIMD) {
    const backslashes = i8x16.splat(BACKSLASH);
    const quotes = i8x16.splat(QUOTE);
    for (; at + 19 <= end; at += 16) {
      const first = v128.load(at);
      const second = v128.load(at, 1);
      const third = v128.load(at, 2);
      const id = v128.and(i8x16.eq(second, i8x16.splat(LETTER_I)), i8x16.eq(third, i8x16.splat(LETTER_D)));
      const type = v128.and(i8x16.eq(second, i8x16.splat(LETTER_T)), i8x16.eq(third, i8x16.splat(LETTER_Y)));
      const names = v128.and(i8x16.eq(first, quotes), v128.or(id, type));
      if (v128.any_true(v128.or(names, i8x16.eq(first, backslashes)))) return true;
    }
  }
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == BACKSLASH) return true;
    if (byte != QUOTE || at + 2 >= end) continue;
    const two = load<u16>(at, 1);
    if (two == TWO_ID || two == TWO_TY) return true;
  }
  return false;
}
