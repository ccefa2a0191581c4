/**
 * Events that count, on their way to be tiled (tile.ts): of a batch, or of one batch after the other, and then what is needed of
 * them is copied. They are put into parts by their keys' hash, each with its key behind it; which of them have the same key is
 * asked when a part is tiled, and all that it takes is near. Where other kernels tile, each is handed its share (share.ts), and
 * puts that into parts.
 */
import {
  Column,
  Group,
  PARTS,
  PART_BITS,
  Picked,
  columnAt,
  groupAt,
  groupCount,
  nullAt,
  partAt,
  pickedKey,
  pickedSize,
  setWeight,
  valueAt,
} from './group';
import { registerOf } from './frame';
import { buildKey, hashKey, keyLength, keyStart } from './key';
import { NUMBERS, TEXT } from './kind';
import { Bytes, copyLoosely } from './memory';
import { firstPosition, recordBefore, recordClock, recordCount, recordRow, recordType } from './batch';
import { nestedSize } from './nested';
import { Part } from './part';
import { SHARED_HEAD, beginRuns, endRuns, shareOf } from './share';

/** Events are picked while those before them wait to be tiled: so their texts are copied out of the batch. */
let isKept: bool = false;

/** They are tiled elsewhere. */
let isShared: bool = false;

/**
 * Picks the events of records [from, to) of the batch for every group, to be tiled by `tilePicked` with those that were
 * picked before. The more of a key are tiled at once the fewer changes they make.
 */
export function pickRecords(from: i32, to: i32): void {
  pickFrom(from, to, true);
}

/** Picks the events of records [from, to) of the batch for every group, for the shards that have their keys. */
export function pickShares(from: i32, to: i32): void {
  isShared = true;
  pickFrom(from, to, true);
  isShared = false;
}

/** What events take that are picked and not tiled. */
export function pickedBytes(): f64 {
  let size: usize = 0;
  for (let i = 0; i < groupCount; i++) size += groupAt(i).eventBytes + groupAt(i).texts.size;
  return <f64>size;
}

/** @param keeps texts have to outlive the batch */
export function pickFrom(from: i32, to: i32, keeps: bool): void {
  assert(from >= 0 && from <= to && to <= recordCount);
  isKept = keeps;
  for (let i = 0; i < groupCount; i++) {
    if (groupAt(i).isSequenced) continue;
    if (isShared) beginRuns(i);
    pickGroup(groupAt(i), <usize>from, <usize>to);
    if (isShared) endRuns();
  }
}

/** Picks one record for a group that events read. */
export function pickSequenced(group: Group, record: i32): void {
  isKept = false;
  pickGroup(group, <usize>record, <usize>record + 1);
}

export function forgetPicked(group: Group): void {
  for (let i = 0; i < group.partCount; i++) partAt(group, i).forget();
  group.partCount = 0;
  group.isTiled = false;
  group.eventCount = 0;
  group.eventBytes = 0;
  group.clockMicros = i64.MIN_VALUE;
  group.texts.reset();
}

function pickGroup(group: Group, from: usize, to: usize): void {
  assert(!group.isTiled);
  // What is tiled at once is a batch at most, and often one event alone: there is nothing to be gained by parts.
  group.partCount = isKept ? PARTS : 1;
  for (let record = from; record < to; record++) {
    if (load<i32>(recordType + (record << 2)) != group.type) continue;
    const row = load<i32>(recordRow + (record << 2));
    if (row < 0) continue;
    const before = group.hasBefore ? load<i32>(recordBefore + (record << 2)) : -1;
    if (before >= 0) consider(group, <usize>before, record);
    consider(group, <usize>row, record);
  }
}

/** Is `where` true of an event? */
@inline
function isWanted(group: Group, row: usize): bool {
  if (group.where < 0) return true;
  const where = registerOf(group.frame, group.where);
  return load<u8>(where.nulls + row) == 0 && load<i64>(where.values + (row << 3)) != 0;
}

function consider(group: Group, row: usize, record: usize): void {
  if (!isWanted(group, row)) return;
  let weight: i64 = 1;
  if (group.weight >= 0) {
    const register = registerOf(group.frame, group.weight);
    if (load<u8>(register.nulls + row) != 0) return;
    weight = load<i64>(register.values + (row << 3));
  }
  if (!buildKey(group.frame, row, group.keyColumns, group.keyCount)) return;
  const hash = hashKey(group.entity, keyStart, keyLength);
  const size = pickedSize(group, keyLength);
  if (isShared) share(group, shareOf(hash), row, record, weight, hash, size);
  else {
    const part = partAt(group, isKept ? partOf(hash) : 0);
    // Keys are copied in steps of 16.
    part.reserve(size + 16);
    const event = changetype<Picked>(part.at);
    copyEvent(group, event, row, record, weight, hash);
    copyValues(group, event, row);
    take(group, part, size);
  }
}

/** Copies an event but for its values. The key is the one that was built last. */
@inline
function copyEvent(group: Group, event: Picked, row: usize, record: usize, weight: i64, hash: u32): void {
  event.timeMicros = load<i64>(group.times + (row << 3));
  event.clockMicros = load<i64>(recordClock + (record << 3));
  event.position = firstPosition + <i64>record;
  event.key = hash;
  event.keyLength = <u32>keyLength;
  setWeight(group, event, weight);
  copyLoosely(pickedKey(group, event), keyStart, keyLength);
}

/** The event behind the last one of a part is one of it. */
@inline
function take(group: Group, part: Part, size: usize): void {
  group.clockMicros = max(group.clockMicros, changetype<Picked>(part.at).clockMicros);
  part.at += size;
  group.eventBytes += size;
  group.eventCount++;
}

/** Mixed first, for all keys of a shard have the same remainder of their hash. */
@inline
function partOf(hash: u32): i32 {
  return <i32>((hash * 0x9e3779b1) >> (32 - PART_BITS));
}

@inline
function copyValues(group: Group, event: Picked, row: usize): void {
  for (let i = 0; i < group.columnCount; i++) {
    const column = columnAt(group, i);
    const isNull = load<u8>(column.nulls + row);
    let value = load<i64>(column.values + (row << 3));
    if (column.kind >= TEXT && isKept && isNull == 0) value = keptValue(group, column, value);
    store<i64>(valueAt(event, i), value);
    store<u8>(nullAt(group, event, i), isNull);
  }
}

/** A text, or a list of numbers (nested.ts), that outlives its batch. */
function keptValue(group: Group, column: Column, value: i64): i64 {
  const copy = group.texts.copy(<usize>(value & 0xffffffff), textSize(column, value));
  return <i64>(<u64>copy | (<u64>value & LENGTH));
}

/** Of a value that is an address below a length. */
const LENGTH: u64 = 0xffffffff00000000;

@inline
function textSize(column: Column, value: i64): usize {
  const length = <usize>(<u64>value >> 32);
  return column.kind == NUMBERS ? nestedSize(length) : length;
}

// --- shares

function share(group: Group, to: Bytes, row: usize, record: usize, weight: i64, hash: u32, size: usize): void {
  to.reserve(SHARED_HEAD);
  to.length += SHARED_HEAD;
  // Keys are copied in steps of 16.
  to.reserve(size + 16);
  copyEvent(group, changetype<Picked>(to.end), row, record, weight, hash);
  const start = to.length;
  to.length += size;
  for (let i = 0; i < group.columnCount; i++) {
    const column = columnAt(group, i);
    const isNull = load<u8>(column.nulls + row);
    let value = load<i64>(column.values + (row << 3));
    if (column.kind >= TEXT && isNull == 0) {
      const offset = to.length - start;
      to.append(<usize>(value & 0xffffffff), textSize(column, value));
      value = <i64>(<u64>offset | (<u64>value & LENGTH));
    }
    // What was appended may have moved it.
    const event = changetype<Picked>(to.start + start);
    store<i64>(valueAt(event, i), value);
    store<u8>(nullAt(group, event, i), isNull);
  }
  to.length = start + ((to.length - start + 7) & ~7);
  store<u32>(to.start + start - SHARED_HEAD, <u32>(to.length - start));
}

/** Puts the events of a share into parts, as if they had been picked here. */
export function takeShare(start: usize, length: usize): void {
  const end = start + length;
  for (let at = start; at < end; ) {
    const group = groupAt(load<i32>(at));
    const stop = at + 8 + <usize>load<u32>(at, 4);
    assert(stop <= end && !group.isTiled);
    group.partCount = PARTS;
    at += 8;
    while (at < stop) {
      const size = <usize>load<u32>(at);
      at += SHARED_HEAD;
      assert(size >= group.eventSize && at + size <= stop);
      takeEvent(group, changetype<Picked>(at), size);
      at += size;
    }
  }
}

@inline
function takeEvent(group: Group, shared: Picked, sharedSize: usize): void {
  const size = pickedSize(group, <usize>shared.keyLength);
  assert(size <= sharedSize);
  const part = partAt(group, partOf(shared.key));
  part.reserve(size + 16);
  copyLoosely(part.at, changetype<usize>(shared), size);
  if (sharedSize > size) takeTexts(group, shared, sharedSize, changetype<Picked>(part.at));
  take(group, part, size);
}

function takeTexts(group: Group, shared: Picked, sharedSize: usize, event: Picked): void {
  for (let i = 0; i < group.columnCount; i++) {
    const column = columnAt(group, i);
    if (column.kind < TEXT || load<u8>(nullAt(group, shared, i)) != 0) continue;
    const value = load<i64>(valueAt(shared, i));
    const offset = <usize>(value & 0xffffffff);
    assert(offset + textSize(column, value) <= sharedSize);
    store<i64>(valueAt(event, i), keptValue(group, column, <i64>(<u64>value + changetype<usize>(shared))));
  }
}

/** The first record of the batch from `from` on that counts for the key; `recordCount` where there is none. */
export function findKeyed(group: i32, from: i32, key: usize, length: usize): i32 {
  const owner = groupAt(group);
  assert(from >= 0 && from <= recordCount);
  for (let record = <usize>from; record < <usize>recordCount; record++) {
    if (load<i32>(recordType + (record << 2)) != owner.type) continue;
    const row = load<i32>(recordRow + (record << 2));
    if (row < 0) continue;
    const before = owner.hasBefore ? load<i32>(recordBefore + (record << 2)) : -1;
    if (before >= 0 && isKeyed(owner, <usize>before, key, length)) return <i32>record;
    if (isKeyed(owner, <usize>row, key, length)) return <i32>record;
  }
  return recordCount;
}

function isKeyed(group: Group, row: usize, key: usize, length: usize): bool {
  if (!isWanted(group, row) || !buildKey(group.frame, row, group.keyColumns, group.keyCount)) return false;
  return keyLength == length && memory.compare(keyStart, key, length) == 0;
}
