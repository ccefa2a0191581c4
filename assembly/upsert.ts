/**
 * Records that say what the row of their key is now: what it was is taken back.
 *
 *   1. list      of the batch, its clocks passed: each good one, with its key and its row's text
 *   2. complete  in the log's order, wherever the last rows of all keys are: the text that a key had before, and the new one
 *                in its place
 *   3. take back what was there before becomes a row of the frame, with weight -1
 *
 * Steps 1 and 3 are where the batch is decoded, step 2 may be in another instance: what passes between them is bytes. A last
 * row is a row of the fold as all others (plan/upsert.ts): it is written with the position that it stands for, leaves memory
 * and comes back. Its state is a LAST at time 0, so that of two of them the one of the later position wins.
 *
 *   listed     entity i32 | id i32 | position i64 | key length u32 | text length u32 | key | text
 *   completed  text length u32 | text       a length of 0: there was no row
 */
import { LAST, caseOf } from './aggregate';
import { isInMemory, listOne, startList } from './come_back';
import { findEntity, findLevel, findRow, openRow, useRow } from './entity';
import { putRow } from './fold';
import { buildKey, keyLength, keyStart } from './key';
import { Bytes } from './memory';
import { openEnd, openStart } from './outline';
import { firstPosition, recordCount, recordRow, recordText, recordTextLength, recordType } from './batch';
import { Changelog, typeAt } from './event_type';
import { takeBack, takeNothing } from './upsert_row';
import { entryEnd, entryId, entryValue, readEntry } from './row';
import { readVarint, varintNext, varintOk, varintSize, writeVarint } from './varint';

const listed: Bytes = Bytes.make();
const LISTED_HEAD: usize = 24;

/** Lists the upserts of the batch. */
export function listUpserts(): void {
  listed.length = 0;
  for (let record: usize = 0; record < <usize>recordCount; record++) if (isUpsert(record)) list(record);
}

/** Is it one that counts, of a type whose last rows are kept? */
function isUpsert(record: usize): bool {
  const number = load<i32>(recordType + (record << 2));
  if (number < 0 || load<i32>(recordRow + (record << 2)) < 0) return false;
  const type = typeAt(number);
  return type.changelog == Changelog.UPSERTS && type.lastEntity != 0;
}

function list(record: usize): void {
  const type = typeAt(load<i32>(recordType + (record << 2)));
  const row = <usize>load<i32>(recordRow + (record << 2));
  assert(buildKey(type.frame, row, type.keyColumns, type.keyCount));
  const length = <usize>load<u32>(recordTextLength + (record << 2));
  listed.reserve(LISTED_HEAD + keyLength + length);
  const at = listed.end;
  store<i32>(at, type.lastEntity);
  store<i32>(at, type.lastId, 4);
  store<i64>(at, firstPosition + <i64>record, 8);
  store<u32>(at, <u32>keyLength, 16);
  store<u32>(at, <u32>length, 20);
  memory.copy(at + LISTED_HEAD, keyStart, keyLength);
  memory.copy(at + LISTED_HEAD + keyLength, <usize>load<u32>(recordText + (record << 2)), length);
  listed.length += LISTED_HEAD + keyLength + length;
}

export function upsertsStart(): usize {
  return listed.start;
}

export function upsertsLength(): usize {
  return listed.length;
}

// --- 2. complete

const completed: Bytes = Bytes.make();

export function completedStart(): usize {
  return completed.start;
}

export function completedLength(): usize {
  return completed.length;
}

/** The key of one that is listed, and where the next one is. */
let listedKey: usize = 0;
let listedKeyLength: usize = 0;
let listedText: usize = 0;
let listedTextLength: usize = 0;

function readListed(at: usize): usize {
  listedKey = at + LISTED_HEAD;
  listedKeyLength = <usize>load<u32>(at, 16);
  listedText = listedKey + listedKeyLength;
  listedTextLength = <usize>load<u32>(at, 20);
  return listedText + listedTextLength;
}

/** As `missing` of changes: lists the last rows that memory does not hold and that may exist. */
export function missingLast(start: usize, length: usize): void {
  startList();
  for (let at = start; at < start + length; ) {
    const entity = load<i32>(at);
    const next = readListed(at);
    if (!isInMemory(entity, listedKey, listedKeyLength, 0, 0)) listOne(entity, listedKey, listedKeyLength, 0, 0);
    at = next;
  }
}

/** Exchanges last rows for those that are listed; false where one of them is not in canonical form. */
export function completeUpserts(start: usize, length: usize): bool {
  completed.length = 0;
  for (let at = start; at < start + length; ) {
    const next = readListed(at);
    if (!exchange(load<i32>(at), load<i32>(at, 4), load<i64>(at, 8))) return false;
    at = next;
  }
  return true;
}

function exchange(entity: i32, id: i32, position: i64): bool {
  if (!findText(entity, id)) return false;
  completed.reserve(4 + textLength);
  store<u32>(completed.end, <u32>textLength);
  memory.copy(completed.end + 4, textStart, textLength);
  completed.length += 4 + textLength;
  // Of what was never there nothing has to be known.
  if (textLength == 0 && listedTextLength == 0) return true;
  writeLast(id, position);
  putRow(entity, listedKey, listedKeyLength, 0, 0, written.start, written.length);
  return true;
}

let textStart: usize = 0;
let textLength: usize = 0;

const TAG_TIME: u8 = 0x08;
const TAG_POSITION: u8 = 0x10;
const TAG_TEXT: u8 = 0x2a;

/** Finds the text that the last row of the listed key holds; none where it is gone, or was never there. */
function findText(kind: i32, id: i32): bool {
  textLength = 0;
  const entity = findEntity(kind, listedKey, listedKeyLength);
  const level = entity ? findLevel(entity, 0) : null;
  const row = level ? findRow(level, 0) : null;
  if (!row) return true;
  useRow(row);
  openRow(row);
  const end = openEnd;
  for (let at = openStart; at < end; at = entryEnd) {
    if (!readEntry(at, end)) return false;
    if (entryId == id) return readLast(entryValue, entryEnd);
  }
  return true;
}

/** `4A size 08 time 10 position 2A length text`, all of it there. */
function readLast(at: usize, end: usize): bool {
  if (caseOf(at, end) != LAST) return false;
  readVarint(at + 1, end);
  at = varintNext;
  if (!varintOk || at >= end || load<u8>(at) != TAG_TIME) return false;
  readVarint(at + 1, end);
  at = varintNext;
  if (!varintOk || at >= end || load<u8>(at) != TAG_POSITION) return false;
  readVarint(at + 1, end);
  at = varintNext;
  if (!varintOk || at >= end || load<u8>(at) != TAG_TEXT) return false;
  const length = readVarint(at + 1, end);
  if (!varintOk || length != <u64>(end - varintNext)) return false;
  textStart = varintNext;
  textLength = <usize>length;
  return true;
}

const written: Bytes = Bytes.make();

/** Tags, lengths and numbers of a last row, each at its longest. */
const LAST_OVERHEAD_MAX: usize = 64;

/** Writes the row that holds the listed text and nothing else. */
function writeLast(id: i32, position: i64): void {
  written.length = 0;
  written.reserve(LAST_OVERHEAD_MAX + listedTextLength);
  const bodySize: usize = 3 + varintSize(<u64>position) + 1 + varintSize(<u64>listedTextLength) + listedTextLength;
  const valueSize: usize = 1 + varintSize(<u64>bodySize) + bodySize;
  let at = written.start;
  store<u8>(at++, 0x0a);
  at += writeVarint(at, <u64>(1 + varintSize(<u64>id) + 1 + varintSize(<u64>valueSize) + valueSize));
  store<u8>(at++, 0x08);
  at += writeVarint(at, <u64>id);
  store<u8>(at++, 0x12);
  at += writeVarint(at, <u64>valueSize);
  store<u8>(at++, 0x4a);
  at += writeVarint(at, <u64>bodySize);
  store<u8>(at++, TAG_TIME);
  store<u8>(at++, 0);
  store<u8>(at++, TAG_POSITION);
  at += writeVarint(at, <u64>position);
  store<u8>(at++, TAG_TEXT);
  at += writeVarint(at, <u64>listedTextLength);
  memory.copy(at, listedText, listedTextLength);
  written.length = at + listedTextLength - written.start;
}

// --- 3. take back

/** Gives the listed records of the batch what they take back. The bytes stay until the next batch is decoded. */
export function takeBackUpserts(start: usize, length: usize): void {
  const end = start + length;
  let at = start;
  for (let record: usize = 0; record < <usize>recordCount; record++) {
    if (!isUpsert(record)) continue;
    assert(at + 4 <= end);
    const size = <usize>load<u32>(at);
    assert(at + 4 + size <= end);
    if (size == 0) takeNothing(record);
    else takeBack(record, at + 4, size);
    at += 4 + size;
  }
  assert(at == end);
}
