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
import { Bytes } from './memory';
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
const CLOSE: u8 = 0x7d;
const OPEN_LIST: u8 = 0x5b;
const CLOSE_LIST: u8 = 0x5d;
const SPACE: u8 = 0x20;
const LETTER_I: u8 = 0x69;
const LETTER_D: u8 = 0x64;
const LETTER_T: u8 = 0x74;
const LETTER_Y: u8 = 0x79;
/** `id`, `ty` and `type`. */
const TWO_ID: u16 = 0x6469;
const TWO_TY: u16 = 0x7974;
const FOUR_TYPE: u32 = 0x65707974;
/** `"id":` and `"type":` as words, and what of a word is theirs. */
const ID: u64 = 0x3a22646922;
const ID_MASK: u64 = 0xffffffffff;
const TYPE: u64 = 0x3a226570797422;
const TYPE_MASK: u64 = 0x00ffffffffffffff;

/** Of a line whose first members are texts without escapes, `id` and `type` among them, and which has neither again: false of any other. */
function findId(start: usize, end: usize): bool {
  if (load<u8>(start) != OPEN) return false;
  let hasId = false;
  let hasType = false;
  let at = start + 1;
  while (true) {
    const name = load<u64>(at);
    const nameEnd = textEnd(at, end);
    if (nameEnd == 0 || load<u8>(nameEnd, 1) != COLON) return false;
    const valueEnd = textEnd(nameEnd + 2, end);
    if (valueEnd == 0) return false;
    if ((name & ID_MASK) == ID) {
      hasId = true;
      idStart = nameEnd + 3;
      idLength = valueEnd - idStart;
    } else if ((name & TYPE_MASK) == TYPE) hasType = true;
    if (hasId && hasType) return !isNamedAgain(valueEnd + 1, end);
    if (load<u8>(valueEnd, 1) != COMMA) return false;
    at = valueEnd + 2;
  }
}

/** Whether a member `id` or `type` of the event follows, or one whose name has escapes: of two that have a name the last one counts. */
function isNamedAgain(start: usize, end: usize): bool {
  if (!mayBeNamed(start, end)) return false;
  let depth = 1;
  for (let at = start; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == OPEN || byte == OPEN_LIST) depth++;
    else if (byte == CLOSE || byte == CLOSE_LIST) depth--;
    if (byte != QUOTE) continue;
    const from = at;
    do {
      at += load<u8>(at) == BACKSLASH ? 2 : 1;
      if (at >= end) return true;
    } while (load<u8>(at) != QUOTE);
    if (depth == 1 && isName(from, at, end)) return true;
  }
  return false;
}

/** Whether any text in it is `id` or `type`, or has escapes. */
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

/** Of a text between quotes: whether it names a member, and that is one of ours, or has escapes. */
function isName(from: usize, to: usize, end: usize): bool {
  let at = to + 1;
  while (at < end && load<u8>(at) <= SPACE) at++;
  if (at >= end || load<u8>(at) != COLON) return false;
  const size = to - from - 1;
  if (size == 2 && load<u16>(from, 1) == TWO_ID) return true;
  if (size == 4 && load<u32>(from, 1) == FOUR_TYPE) return true;
  for (let i = from + 1; i < to; i++) if (load<u8>(i) == BACKSLASH) return true;
  return false;
}

/** The closing quote, before `end`, of a text that begins here and has no escapes; 0 where there is none. */
function textEnd(start: usize, end: usize): usize {
  if (load<u8>(start) != QUOTE) return 0;
  let at = start + 1;
  if (ASC_FEATURE_SIMD) {
    const quotes = i8x16.splat(QUOTE);
    const backslashes = i8x16.splat(BACKSLASH);
    for (; at + 16 <= end; at += 16) {
      const sixteen = v128.load(at);
      const found = i8x16.bitmask(v128.or(i8x16.eq(sixteen, quotes), i8x16.eq(sixteen, backslashes)));
      if (found == 0) continue;
      at += ctz<i32>(found);
      return load<u8>(at) == QUOTE ? at : 0;
    }
  }
  for (; at < end; at++) {
    if (load<u8>(at) == QUOTE) return at;
    if (load<u8>(at) == BACKSLASH) return 0;
  }
  return 0;
}
