/**
 * Rows: concatenations of entries, ids ascending.
 *
 *   0A len | 08 id | 12 len | FeatureValue      one entry, as FeaturesCombined writes it
 *
 * A merge walks two rows side by side. An entry that only one of them has is copied as it is, known or not; only
 * where both have the id are states unpacked, merged and packed again.
 */
import {
  caseOf,
  decode,
  encode,
  encodedSizeMax,
  idSize,
  merge as mergeStates,
  tagOf,
} from './aggregate';
import { Bytes, allocateZeroed } from './memory';
import { readVarint, varintNext, varintOk, varintSize, writeVarint } from './varint';

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
 * so that one addition and one comparison check all of it, whatever the value's size.
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
    const tag = <u64>tagOf(aggregateCase) << (head.shift + 8);
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
}

/** The greatest value in an entry that is below 128 bytes with an id of two. */
const SHORT_MAX: usize = 122;

/** Where `readEntry` found the parts of an entry. */
export let entryId: i32 = 0;
export let entryValue: usize = 0;
export let entryEnd: usize = 0;

/** Reads the entry at `at`; false where there is no canonical one within `end`. */
export function readEntry(at: usize, end: usize): bool {
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
export function appendEntry(row: Bytes, id: i32, aggregateCase: i32, state: usize): void {
  packed.reserve(encodedSizeMax(aggregateCase, state));
  const valueSize = encode(aggregateCase, state, packed.start);
  assert(valueSize <= packed.capacity);
  row.reserve(ENTRY_OVERHEAD_MAX + valueSize);
  let at = row.end;
  store<u8>(at++, TAG_ENTRY);
  at += writeVarint(at, <u64>(idSize(id) + 1 + varintSize(<u64>valueSize) + valueSize));
  store<u8>(at++, TAG_ID);
  at += writeVarint(at, <u64>id);
  store<u8>(at++, TAG_VALUE);
  at += writeVarint(at, <u64>valueSize);
  memory.copy(at, packed.start, valueSize);
  row.length = at + valueSize - row.start;
}

/** Two unpacked states: at least STATE_SIZE_MAX bytes each. */
const leftState: usize = memory.data(592, 16);
const rightState: usize = memory.data(592, 16);

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
      if (!decode(aggregateCase, leftValue, leftNext, leftState)) return ROW_MALFORMED;
      if (!decode(aggregateCase, rightValue, rightNext, rightState)) return ROW_MALFORMED;
      mergeStates(aggregateCase, leftState, rightState);
      appendEntry(out, id, aggregateCase, leftState);
    } else if (takeLeft) {
      out.append(left, leftNext - left);
    } else {
      out.append(right, rightNext - right);
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
