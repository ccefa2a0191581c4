/**
 * What events are answered with, as JSON: a piece for each record, straight from the registers of its type's frame.
 *
 *   ,"event_time":"2026-03-01T10:00:00Z","position":17,"features":{"email":"ana","fails":3},"errors":{}
 *
 * What stands before it the body knows, and what is wrong with a record that counts nowhere the glue does: it has no features
 * here. Integers come with all their digits, doubles in the fewest that read back the same, NaN and the infinities as null, times
 * as RFC 3339, lists as arrays, structs and maps as objects.
 */
import { Frame, registerOf } from './frame';
import { allocateZeroed, Bytes } from './memory';
import { firstPosition, recordCount, recordRow, recordTime, recordType } from './batch';
import { typeFrame } from './event_type';
import { blockOf, cellAt, countOf, nullAt } from './nested';
import { SHORTEST_MAX_BYTES, spellDouble } from './shortest';
import { SPELLING_MAX, spellInt, spellTime } from './spell';

export const SHAPE_BOOL: i32 = 0;
export const SHAPE_INT: i32 = 1;
export const SHAPE_DOUBLE: i32 = 2;
export const SHAPE_TIME: i32 = 3;
export const SHAPE_TEXT: i32 = 4;
/** One part: of its elements. */
export const SHAPE_LIST: i32 = 5;
/** A part for each field, with its name. */
export const SHAPE_STRUCT: i32 = 6;
/** Two parts: of its keys, which are no lists and the like, and of what it has for them. */
export const SHAPE_MAP: i32 = 7;

/** How values of a type are spelt. */
@unmanaged
class Shape {
  kind: i32;
  parts: usize;
}

/** A part of a shape, with what stands before it: `"name":`, where it has a name. */
@unmanaged
class Part {
  shape: Shape;
  head: usize;
  headLength: usize;
}

export function makeShape(kind: i32, partCount: i32): Shape {
  const shape = changetype<Shape>(allocateZeroed(offsetof<Shape>()));
  shape.kind = kind;
  shape.parts = allocateZeroed(<usize>partCount * offsetof<Part>());
  return shape;
}

@inline
function partAt(shape: Shape, index: i32): Part {
  return changetype<Part>(shape.parts + <usize>index * offsetof<Part>());
}

/** The bytes of the head are the kernel's from now on. */
export function setShapePart(shape: Shape, index: i32, part: Shape, head: usize, headLength: usize): void {
  const at = partAt(shape, index);
  at.shape = part;
  at.head = head;
  at.headLength = headLength;
}

/** A feature of events of a type. */
@unmanaged
class Answered {
  shape: Shape;
  register: i32;
  /** The register of what is wrong with it, as a text; -1 where nobody asks. */
  error: i32;
  head: usize;
  headLength: usize;
}

const TYPES_MAX: i32 = 4096;
/** Features of each type of event. */
const featuresOf: usize = memory.data(4096 * sizeof<usize>(), 8);

/** Features are spelt in the order in which they are added. */
export function addAnswered(type: i32, shape: Shape, register: i32, error: i32, head: usize, headLength: usize): void {
  assert(<u32>type < <u32>TYPES_MAX);
  const place = featuresOf + <usize>type * sizeof<usize>();
  if (load<usize>(place) == 0) store<usize>(place, changetype<usize>(Bytes.make()));
  const features = changetype<Bytes>(load<usize>(place));
  features.reserve(offsetof<Answered>());
  const feature = changetype<Answered>(features.end);
  feature.shape = shape;
  feature.register = register;
  feature.error = error;
  feature.head = head;
  feature.headLength = headLength;
  features.length += offsetof<Answered>();
}

/** The pieces, one behind the other, and where each ends (u32). */
const out: Bytes = Bytes.make();
const ends: Bytes = Bytes.make();

export function answeredStart(): usize {
  return out.start;
}

export function answeredLength(): usize {
  return out.length;
}

export function answeredEnds(): usize {
  return ends.start;
}

/** Spells records [from, to) of the batch, which have been sequenced and whose texts stand; what was spelt before is gone. */
export function spellAnswered(from: i32, to: i32): void {
  assert(from >= 0 && from <= to && to <= recordCount);
  out.length = 0;
  ends.length = 0;
  ends.reserve(<usize>(to - from) << 2);
  for (let record = from; record < to; record++) {
    spellRecord(<usize>record);
    store<u32>(ends.end, <u32>out.length);
    ends.length += 4;
  }
}

function spellRecord(record: usize): void {
  putAscii(',"event_time":');
  putTime(load<i64>(recordTime + (record << 3)));
  putAscii(',"position":');
  putInt(firstPosition + <i64>record);
  const type = load<i32>(recordType + (record << 2));
  const row = load<i32>(recordRow + (record << 2));
  let features: usize = 0;
  if (type >= 0 && row >= 0) features = load<usize>(featuresOf + <usize>type * sizeof<usize>());
  putAscii(',"features":{');
  if (features != 0) putFeatures(changetype<Bytes>(features), typeFrame(type), <usize>row);
  putAscii('},"errors":{');
  if (features != 0) putErrors(changetype<Bytes>(features), typeFrame(type), <usize>row);
  putByte(0x7d);
}

function putFeatures(features: Bytes, frame: Frame, row: usize): void {
  for (let at: usize = 0; at < features.length; at += offsetof<Answered>()) {
    const feature = changetype<Answered>(features.start + at);
    const register = registerOf(frame, feature.register);
    if (at > 0) putByte(COMMA);
    out.append(feature.head, feature.headLength);
    if (load<u8>(register.nulls + row) != 0) putNull();
    else putValue(feature.shape, register.values + (row << 3));
  }
}

function putErrors(features: Bytes, frame: Frame, row: usize): void {
  let isFirst = true;
  for (let at: usize = 0; at < features.length; at += offsetof<Answered>()) {
    const feature = changetype<Answered>(features.start + at);
    if (feature.error < 0) continue;
    const register = registerOf(frame, feature.error);
    if (load<u8>(register.nulls + row) != 0) continue;
    if (!isFirst) putByte(COMMA);
    isFirst = false;
    out.append(feature.head, feature.headLength);
    putText(register.values + (row << 3));
  }
}

// --- values

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const COMMA: u8 = 0x2c;

/** A value that is not null: its 8 bytes stand at `cell`. */
function putValue(shape: Shape, cell: usize): void {
  switch (shape.kind) {
    case SHAPE_BOOL:
      return putAscii(load<i64>(cell) != 0 ? 'true' : 'false');
    case SHAPE_INT:
      return putInt(load<i64>(cell));
    case SHAPE_DOUBLE:
      return putDouble(load<f64>(cell));
    case SHAPE_TIME:
      return putTime(load<i64>(cell));
    case SHAPE_TEXT:
      return putText(cell);
    case SHAPE_LIST:
      return putList(partAt(shape, 0).shape, cell);
    case SHAPE_STRUCT:
      return putStruct(shape, cell);
    default:
      return putMap(partAt(shape, 0).shape, partAt(shape, 1).shape, cell);
  }
}

function putList(element: Shape, cell: usize): void {
  const count = countOf(cell);
  putByte(0x5b);
  for (let i = 0; i < count; i++) {
    if (i > 0) putByte(COMMA);
    putPlace(element, blockOf(cell), count, i);
  }
  putByte(0x5d);
}

function putStruct(shape: Shape, cell: usize): void {
  const count = countOf(cell);
  putByte(0x7b);
  for (let i = 0; i < count; i++) {
    const field = partAt(shape, i);
    if (i > 0) putByte(COMMA);
    out.append(field.head, field.headLength);
    putPlace(field.shape, blockOf(cell), count, i);
  }
  putByte(0x7d);
}

/** Its keys, and behind them as many values. */
function putMap(key: Shape, value: Shape, cell: usize): void {
  const both = countOf(cell);
  const count = both >> 1;
  putByte(0x7b);
  for (let i = 0; i < count; i++) {
    if (i > 0) putByte(COMMA);
    putKey(key, cellAt(blockOf(cell), i));
    putByte(0x3a);
    putPlace(value, blockOf(cell), both, count + i);
  }
  putByte(0x7d);
}

/** An element of a block, or a field. */
function putPlace(shape: Shape, block: usize, count: i32, index: i32): void {
  if (load<u8>(nullAt(block, count, index)) != 0) putNull();
  else putValue(shape, cellAt(block, index));
}

/** Keys are texts, whatever they are of: NaN and the infinities have theirs too. */
function putKey(shape: Shape, cell: usize): void {
  if (shape.kind == SHAPE_TEXT || shape.kind == SHAPE_TIME) return putValue(shape, cell);
  putByte(QUOTE);
  const number = load<f64>(cell);
  if (shape.kind != SHAPE_DOUBLE) putValue(shape, cell);
  else if (isFinite(number)) putFinite(number);
  else putAscii(isNaN(number) ? 'NaN' : number > 0 ? 'Infinity' : '-Infinity');
  putByte(QUOTE);
}

@inline
function putByte(byte: u8): void {
  out.reserve(1);
  store<u8>(out.end, byte);
  out.length++;
}

function putAscii(text: string): void {
  out.reserve(<usize>text.length);
  const at = out.end;
  for (let i = 0; i < text.length; i++) store<u8>(at + <usize>i, <u8>text.charCodeAt(i));
  out.length += <usize>text.length;
}

@inline
function putNull(): void {
  putAscii('null');
}

function putInt(value: i64): void {
  out.reserve(SPELLING_MAX);
  out.length = spellInt(value, out.end) - out.start;
}

function putDouble(value: f64): void {
  if (!isFinite(value)) return putNull();
  // Zero has a sign in JSON too.
  if (reinterpret<u64>(value) == 0x8000000000000000) putByte(0x2d);
  putFinite(value);
}

function putFinite(value: f64): void {
  out.reserve(SHORTEST_MAX_BYTES);
  out.length = spellDouble(value, out.end) - out.start;
}

function putTime(micros: i64): void {
  out.reserve(SPELLING_MAX + 2);
  store<u8>(out.end, QUOTE);
  const end = spellTime(micros, out.end + 1);
  store<u8>(end, QUOTE);
  out.length = end + 1 - out.start;
}

/** The longest escape of a byte: `\u001f`. */
const ESCAPE_MAX: usize = 6;

/** A string; JSON wants no more than quotes, backslashes and what is below the space to be escaped. */
function putText(cell: usize): void {
  let from = <usize>load<u32>(cell);
  const length = <usize>load<u32>(cell, 4);
  const end = from + length;
  out.reserve(length * ESCAPE_MAX + 2);
  let at = out.end;
  store<u8>(at++, QUOTE);
  while (from < end) {
    const word = load<u64>(from);
    if (from + 8 <= end && isPlainWord(word)) {
      store<u64>(at, word);
      at += 8;
      from += 8;
    } else at = putCharacter(at, load<u8>(from++));
  }
  store<u8>(at++, QUOTE);
  out.length = at - out.start;
}

const ONES: u64 = 0x0101010101010101;
const HIGHS: u64 = 0x8080808080808080;

/** None of its eight bytes is to be escaped. */
@inline
function isPlainWord(word: u64): bool {
  const quotes = word ^ (ONES * <u64>QUOTE);
  const backslashes = word ^ (ONES * <u64>BACKSLASH);
  const found = ((word - ONES * 0x20) & ~word) | ((quotes - ONES) & ~quotes) | ((backslashes - ONES) & ~backslashes);
  return (found & HIGHS) == 0;
}

function putCharacter(at: usize, byte: u8): usize {
  if (byte >= 0x20 && byte != QUOTE && byte != BACKSLASH) {
    store<u8>(at, byte);
    return at + 1;
  }
  store<u8>(at, BACKSLASH);
  const letter = letterOf(byte);
  store<u8>(at + 1, letter);
  if (letter != 0x75) return at + 2;
  store<u16>(at + 2, 0x3030);
  store<u8>(at + 4, 0x30 + (byte >> 4));
  const low = byte & 15;
  store<u8>(at + 5, low < 10 ? 0x30 + low : 0x57 + low);
  return at + ESCAPE_MAX;
}

/** What stands behind the backslash: `u` where four digits follow. */
function letterOf(byte: u8): u8 {
  switch (byte) {
    case 0x08:
      return 0x62;
    case 0x09:
      return 0x74;
    case 0x0a:
      return 0x6e;
    case 0x0c:
      return 0x66;
    case 0x0d:
      return 0x72;
    case QUOTE:
    case BACKSLASH:
      return byte;
    default:
      return 0x75;
  }
}
