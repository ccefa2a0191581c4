/**
 * Rows of a store of which some runs have only what has changed (unread.ts): added up, many at a time, as a pack has them
 * (src/store/pack.ts).
 *
 *   value                     a row as it is
 *   00 | value                an addend: what is to be added to the row that older runs have under the address, if they have one
 *   01 | (length | value)*    a sum of values, the oldest first; all but the first are addends. It stands in no database.
 *
 * No row begins with 00 or 01: an entry has a tag.
 */
import { Bytes, copyLoosely } from './memory';
import { ROW_MALFORMED, ROW_OK, mergeRows } from './row';
import { readVarint, varintNext, varintOk, varintSize, writeVarint } from './varint';

export const ADDEND: u8 = 0;
export const SUM: u8 = 1;

/** A pack whose sums are added up. */
const added: Bytes = Bytes.make();

export function addedStart(): usize {
  return added.start;
}

export function addedLength(): usize {
  return added.length;
}

/** What of a sum is added up already, and what comes of it and the next value. */
let sum: Bytes = Bytes.make();
let next: Bytes = Bytes.make();

/** Room for the end of a loose copy, and for a length and a mark. */
const ROOM: usize = 32;

/**
 * Adds up the sums of a pack, to `added`; what else it has stays as it stands.
 *
 * @param isOldest there is no older run: what is left of addends is rows
 * @returns ROW_OK, or what is wrong with a value or with the pack
 */
export function addUp(start: usize, length: usize, isOldest: bool): i32 {
  const end = start + length;
  added.length = 0;
  let copied = start;
  for (let at = start; at < end; ) {
    // shared | added | address bytes
    readVarint(at, end);
    if (!varintOk) return ROW_MALFORMED;
    const addressSize = readVarint(varintNext, end);
    if (!varintOk || addressSize > <u64>(end - varintNext)) return ROW_MALFORMED;
    const sizeAt = varintNext + <usize>addressSize;
    const size = readVarint(sizeAt, end);
    if (!varintOk || size > <u64>(end - varintNext)) return ROW_MALFORMED;
    const value = varintNext;
    at = value + <usize>size;
    const mark = size == 0 ? SUM + 1 : load<u8>(value);
    if (mark > SUM || (mark == ADDEND && !isOldest)) continue;
    appendBytes(copied, sizeAt - copied);
    copied = at;
    const outcome = mark == SUM ? appendSum(value + 1, at, isOldest) : appendValue(value + 1, at, false);
    if (outcome != ROW_OK) return outcome;
  }
  appendBytes(copied, end - copied);
  return ROW_OK;
}

/** Appends what the values in [at, end) add up to. */
function appendSum(at: usize, end: usize, isOldest: bool): i32 {
  let isAddend = false;
  sum.length = 0;
  for (let isFirst = true; at < end; isFirst = false) {
    const size = readVarint(at, end);
    if (!varintOk || size > <u64>(end - varintNext)) return ROW_MALFORMED;
    const value = varintNext;
    at = value + <usize>size;
    const isMarked = size > 0 && load<u8>(value) == ADDEND;
    if (isFirst) isAddend = isMarked;
    else if (!isMarked) return ROW_MALFORMED;
    next.length = 0;
    const from = isMarked ? value + 1 : value;
    const outcome = mergeRows(sum.start, sum.end, from, at, next);
    if (outcome != ROW_OK) return outcome;
    const before = sum;
    sum = next;
    next = before;
  }
  return appendValue(sum.start, sum.end, isAddend && !isOldest);
}

/** Appends a value behind its length. */
function appendValue(from: usize, to: usize, isAddend: bool): i32 {
  const size = to - from + (isAddend ? 1 : 0);
  added.reserve(ROOM + size);
  let at = added.end;
  at += writeVarint(at, <u64>size);
  if (isAddend) store<u8>(at++, ADDEND);
  copyLoosely(at, from, to - from);
  added.length = at + (to - from) - added.start;
  return ROW_OK;
}

function appendBytes(from: usize, size: usize): void {
  added.reserve(ROOM + size);
  memory.copy(added.end, from, size);
  added.length += size;
}
