/**
 * Rows: concatenations of entries, ids ascending.
 *
 *   0A len | 08 id | 12 len | FeatureValue      one entry, as FeaturesCombined writes it
 *
 * A merge walks two rows side by side. An entry that only one of them has is copied as it is, known or not; only
 * where both have the id are states unpacked, merged and packed again.
 */
import {
  STATE_SIZE_MAX,
  JOIN_ROOM,
  LAST_N,
  caseOf,
  decode,
  encode,
  encodedSizeMax,
  idSize,
  joinLatest,
  merge as mergeStates,
  tagOf,
} from './aggregate';
import { Bytes, allocateZeroed, copyLoosely } from './memory';
import { readVarint, varintNext, varintOk, varintSize, writeVarint } from './varint';
import { WHOLE_MAX, readWholeState, writeMerged, writeWhole } from './whole';

const TAG_ENTRY: u8 = 0x0a;
const TAG_ID: u8 = 0x08;
const TAG_VALUE: u8 = 0x12;

/** Bytes an entry needs beside its FeatureValue: three tags, two lengths and an id, each at its longest. */
export const ENTRY_OVERHEAD_MAX: usize = 3 + 5 + 5 + 5;

export const ROW_OK: i32 = 0;
/** The bytes are no row in canonical form. */
export const ROW_MALFORMED: i32 = 1;
/** An entry's case is one that this kernel does not know, and it would have to be merged. */
export const ROW_UNKNOWN_CASE: i32 = 2;

const ID_MAX: u64 = 0x7fffffff;

/**
 * What the entries of one id and case begin with, as long as the id is below 2^14 and the entry below 128 bytes: a word of
 *
 *   0A size+4 08 id 12 size tag        an id of one byte, and the tag of the case
 *   0A size+5 08 id id 12 size tag     of two
 *
 * (of a tag of two bytes the first) so that one addition and one comparison check all of it, whatever the value's size.
 */
@unmanaged
export class Head {
  /** Of all bytes before the value. */
  size: usize;
  /** Where in the word the value's size is, in bits. */
  shift: u64;
  /** The bytes of the word that count; what they are for a value of size 0, and what each byte of a value adds to them. */
  mask: u64;
  word: u64;
  step: u64;

  static make(id: i32, aggregateCase: i32): Head {
    const head = changetype<Head>(allocateZeroed(offsetof<Head>()));
    const isShort = id < 0x80;
    head.size = isShort ? 6 : 7;
    head.shift = isShort ? 40 : 48;
    head.mask = isShort ? 0x00ffffffffffffff : ~(<u64>0);
    head.step = ((<u64>1) << head.shift) | 0x100;
    const bytes = isShort ? <u64>id | (<u64>TAG_VALUE << 8) : <u64>(id & 0x7f) | 0x80 | (<u64>(id >> 7) << 8) | (<u64>TAG_VALUE << 16);
    // Of a tag of two bytes the first.
    const tag = <u64>(tagOf(aggregateCase) & 0xff) << (head.shift + 8);
    head.word = <u64>TAG_ENTRY | (<u64>(head.size - 2) << 8) | (<u64>TAG_ID << 16) | (bytes << 24) | tag;
    // No entry has the head of a longer id: it fits nothing.
    if (id > 0x3fff) head.word = 0;
    return head;
  }

  /** The size of the value, where the word fits. */
  @inline
  valueSize(word: u64): usize {
    return <usize>((word >> this.shift) & 0xff);
  }

  @inline
  fits(word: u64, size: usize): bool {
    return (word & this.mask) == this.word + <u64>size * this.step && size <= SHORT_MAX;
  }

  /** Writes all that comes before a value of this size. */
  @inline
  write(at: usize, size: usize): void {
    const word = this.word + <u64>size * this.step;
    store<u32>(at, <u32>word);
    store<u16>(at, <u16>(word >> 32), 4);
    if (this.size == 7) store<u8>(at, <u8>(word >> 48), 6);
  }
}

/** The greatest value in an entry that is below 128 bytes with an id of two. */
const SHORT_MAX: usize = 122;

/** Where `readEntry` found the parts of an entry. */
export let entryId: i32 = 0;
export let entryValue: usize = 0;
export let entryEnd: usize = 0;

/** `0A size+4 08 id 12 size`: the head of an entry with an id below 128, in an entry below that too. */
const SHORT_MASK: u64 = 0x000080ff80ff80ff;
const SHORT_WORD: u64 = 0x000000120008000a;

/** Reads the entry at `at`; false where there is no canonical one within `end`. */
@inline
export function readEntry(at: usize, end: usize): bool {
  const word = load<u64>(at);
  const size = (word >> 40) & 0xff;
  entryId = <i32>((word >> 24) & 0xff);
  entryValue = at + 6;
  entryEnd = entryValue + <usize>size;
  if (entryEnd <= end && (word & SHORT_MASK) == SHORT_WORD && ((word >> 8) & 0xff) == size + 4 && entryId != 0) return true;
  return readLongEntry(at, end);
}

function readLongEntry(at: usize, end: usize): bool {
  if (at >= end || load<u8>(at) != TAG_ENTRY) return false;
  const length = readVarint(at + 1, end);
  if (!varintOk || length > <u64>(end - varintNext)) return false;
  const inner = varintNext;
  entryEnd = inner + <usize>length;
  if (inner >= entryEnd || load<u8>(inner) != TAG_ID) return false;
  const id = readVarint(inner + 1, entryEnd);
  if (!varintOk || id == 0 || id > ID_MAX) return false;
  entryId = <i32>id;
  const tag = varintNext;
  if (tag >= entryEnd || load<u8>(tag) != TAG_VALUE) return false;
  const valueLength = readVarint(tag + 1, entryEnd);
  if (!varintOk || valueLength != <u64>(entryEnd - varintNext)) return false;
  entryValue = varintNext;
  return true;
}

/** One FeatureValue on its way into a row. */
const packed: Bytes = Bytes.make();

/** Appends an entry to a row. Callers append ids in ascending order. */
@inline
export function appendEntry(row: Bytes, id: i32, aggregateCase: i32, state: usize): void {
  if (!appendWhole(row, id, aggregateCase, state)) appendAny(row, id, aggregateCase, state);
}

/** Appends a state of integers that takes few bytes; false where it is none. */
@inline
function appendWhole(row: Bytes, id: i32, aggregateCase: i32, state: usize): bool {
  if (id > 0x7f) return false;
  row.reserve(6 + WHOLE_MAX);
  const at = row.end;
  const size = writeWhole(aggregateCase, state, at + 6);
  if (size == 0) return false;
  writeShortHead(at, id, size);
  row.length += 6 + size;
  return true;
}

@inline
function writeShortHead(at: usize, id: i32, valueSize: usize): void {
  store<u32>(at, <u32>SHORT_WORD | (<u32>(valueSize + 4) << 8) | (<u32>id << 24));
  store<u16>(at, <u16>TAG_VALUE | <u16>(valueSize << 8), 4);
}

function appendAny(row: Bytes, id: i32, aggregateCase: i32, state: usize): void {
  packed.reserve(encodedSizeMax(aggregateCase, state));
  appendPacked(row, id, encode(aggregateCase, state, packed.start));
}

/** Appends an entry with the value of this size that stands in `packed`. */
function appendPacked(row: Bytes, id: i32, valueSize: usize): void {
  assert(valueSize <= packed.capacity);
  appendValue(row, id, packed.start, valueSize);
}

/** Appends an entry with a FeatureValue as it stands there. */
export function appendValue(row: Bytes, id: i32, value: usize, size: usize): void {
  row.reserve(ENTRY_OVERHEAD_MAX + size);
  let at = row.end;
  store<u8>(at++, TAG_ENTRY);
  at += writeVarint(at, <u64>(idSize(id) + 1 + varintSize(<u64>size) + size));
  store<u8>(at++, TAG_ID);
  at += writeVarint(at, <u64>id);
  store<u8>(at++, TAG_VALUE);
  at += writeVarint(at, <u64>size);
  memory.copy(at, value, size);
  row.length = at + size - row.start;
}

/** Two unpacked states. */
const leftState: usize = memory.data(<i32>STATE_SIZE_MAX, 16);
const rightState: usize = memory.data(<i32>STATE_SIZE_MAX, 16);

@inline
function unpack(aggregateCase: i32, from: usize, end: usize, state: usize): bool {
  return readWholeState(aggregateCase, from, end, state) || decode(aggregateCase, from, end, state);
}

@inline
function appendBytes(row: Bytes, from: usize, size: usize): void {
  row.reserve(size + 15);
  copyLoosely(row.end, from, size);
  row.length += size;
}

/** The entries of a row, in canonical form as far as their heads say it. */
export function isRow(at: usize, end: usize): bool {
  let last = 0;
  while (at < end) {
    if (!readEntry(at, end) || entryId <= last) return false;
    last = entryId;
    at = entryEnd;
  }
  return true;
}

/** How far `mergeAlike` has come. */
let alikeLeft: usize = 0;
let alikeRight: usize = 0;
let alikeId: i32 = 0;

/** Of a word: the id and the case of the entry that begins there, where both are one byte. */
const SAME_MASK: u64 = 0x00ff0000ff000000;

/** Two rows of one set have the same ids in the same order, and few have states that are more than integers: as far as that goes. */
function mergeAlike(left: usize, leftEnd: usize, right: usize, rightEnd: usize, last: i32, out: Bytes): void {
  // Each entry ends up at most as long as both were, and is written in whole words.
  out.reserve(leftEnd - left + (rightEnd - right) + WHOLE_MAX);
  let at = out.end;
  while (left < leftEnd && right < rightEnd) {
    const leftWord = load<u64>(left);
    const rightWord = load<u64>(right);
    const id = <i32>((leftWord >> 24) & 0xff);
    if (((leftWord ^ rightWord) & SAME_MASK) != 0 || id <= last) break;
    const leftSize = (leftWord >> 40) & 0xff;
    const rightSize = (rightWord >> 40) & 0xff;
    if ((leftWord & SHORT_MASK) != SHORT_WORD || ((leftWord >> 8) & 0xff) != leftSize + 4) break;
    if ((rightWord & SHORT_MASK) != SHORT_WORD || ((rightWord >> 8) & 0xff) != rightSize + 4) break;
    const leftNext = left + 6 + <usize>leftSize;
    const rightNext = right + 6 + <usize>rightSize;
    if (leftNext > leftEnd || rightNext > rightEnd) break;
    const size = writeMerged(<u8>(leftWord >> 48), left + 6, leftNext, right + 6, rightNext, at + 6);
    if (size == 0) break;
    writeShortHead(at, id, size);
    at += 6 + size;
    left = leftNext;
    right = rightNext;
    last = id;
  }
  out.length = at - out.start;
  alikeLeft = left;
  alikeRight = right;
  alikeId = last;
}

/** Appends the merge of the two values that `leftState` and `rightState` have been unpacked from. */
function appendMerged(
  out: Bytes,
  id: i32,
  aggregateCase: i32,
  left: usize,
  leftEnd: usize,
  right: usize,
  rightEnd: usize,
): void {
  if (aggregateCase == LAST_N) {
    packed.reserve(leftEnd - left + (rightEnd - right) + JOIN_ROOM);
    const size = joinLatest(leftState, left, leftEnd, rightState, right, rightEnd, packed.start);
    if (size > 0) return appendPacked(out, id, size);
  }
  mergeStates(aggregateCase, leftState, rightState);
  appendEntry(out, id, aggregateCase, leftState);
}

/** Appends the merge of two rows to `out`. On a fault `out` holds a part, to be thrown away. */
export function mergeRows(left: usize, leftEnd: usize, right: usize, rightEnd: usize, out: Bytes): i32 {
  let last = 0;
  let leftId = 0;
  let leftValue: usize = 0;
  let leftNext: usize = 0;
  let rightId = 0;
  let rightValue: usize = 0;
  let rightNext: usize = 0;
  while (true) {
    if (leftId == 0 && rightId == 0) {
      mergeAlike(left, leftEnd, right, rightEnd, last, out);
      left = alikeLeft;
      right = alikeRight;
      last = alikeId;
    }
    // An id of 0 means: read that side's next entry.
    if (leftId == 0 && left < leftEnd) {
      if (!readEntry(left, leftEnd)) return ROW_MALFORMED;
      leftId = entryId;
      leftValue = entryValue;
      leftNext = entryEnd;
    }
    if (rightId == 0 && right < rightEnd) {
      if (!readEntry(right, rightEnd)) return ROW_MALFORMED;
      rightId = entryId;
      rightValue = entryValue;
      rightNext = entryEnd;
    }
    const leftDone = left >= leftEnd;
    const rightDone = right >= rightEnd;
    if (leftDone && rightDone) return ROW_OK;
    const takeLeft = !leftDone && (rightDone || leftId <= rightId);
    const takeRight = !rightDone && (leftDone || rightId <= leftId);
    const id = takeLeft ? leftId : rightId;
    if (id <= last) return ROW_MALFORMED;
    last = id;
    if (takeLeft && takeRight) {
      const aggregateCase = caseOf(leftValue, leftNext);
      if (aggregateCase == 0) return ROW_UNKNOWN_CASE;
      if (caseOf(rightValue, rightNext) != aggregateCase) return ROW_MALFORMED;
      if (!unpack(aggregateCase, leftValue, leftNext, leftState)) return ROW_MALFORMED;
      if (!unpack(aggregateCase, rightValue, rightNext, rightState)) return ROW_MALFORMED;
      appendMerged(out, id, aggregateCase, leftValue, leftNext, rightValue, rightNext);
    } else if (takeLeft) {
      appendBytes(out, left, leftNext - left);
    } else {
      appendBytes(out, right, rightNext - right);
    }
    if (takeLeft) {
      left = leftNext;
      leftId = 0;
    }
    if (takeRight) {
      right = rightNext;
      rightId = 0;
    }
  }
}
