/**
 * Events that count, on their way to be tiled (tile.ts): of a batch, or of one batch after the other, and then what is needed of
 * them is copied. They are put into parts by their keys' hash, each with its key behind it; which of them have the same key is
 * asked when a part is tiled, and all that it takes is near.
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
  valueAt,
} from './group';
import { registerOf } from './expression';
import { shardCount } from './change';
import { buildKey, hashKey, keyLength, keyStart } from './key';
import { NUMBERS, TEXT } from './kind';
import { copyLoosely } from './memory';
import { firstPosition, recordBefore, recordClock, recordCount, recordRow, recordType } from './ndjson';
import { nestedSize } from './nested';

/** Of which shard's keys events are picked; -1 for those of all. */
let pickedShard: i32 = -1;

/** Events are picked while those before them wait to be tiled: so their texts are copied out of the batch. */
let isKept: bool = false;

/**
 * Picks the events of records [from, to) of the batch for every group, to be tiled by `tilePicked` with those that were
 * picked before. The more of a key are tiled at once the fewer changes they make.
 */
export function pickRecords(from: i32, to: i32): void {
  pickFrom(from, to, true);
}

/** Picks as `pickRecords` does, of the events only those whose keys are of one shard: the others are another kernel's. */
export function pickShard(from: i32, to: i32, shard: i32): void {
  assert(<u32>shard < <u32>shardCount);
  pickedShard = shard;
  pickFrom(from, to, true);
  pickedShard = -1;
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
  for (let i = 0; i < groupCount; i++)
    if (!groupAt(i).isSequenced) pickGroup(groupAt(i), <usize>from, <usize>to);
}

/** Picks one record for a group that events read. */
export function pickSequenced(group: Group, record: i32): void {
  isKept = false;
  pickGroup(group, <usize>record, <usize>record + 1);
}

export function forgetPicked(group: Group): void {
  for (let i = 0; i < group.partCount; i++) partAt(group, i).length = 0;
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
  if (pickedShard >= 0 && hash % <u32>shardCount != <u32>pickedShard) return;
  pick(group, row, record, weight, hash);
}

/** The key is the one that was built last. */
function pick(group: Group, row: usize, record: usize, weight: i64, hash: u32): void {
  const part = partAt(group, isKept ? partOf(hash) : 0);
  const size = group.eventSize + ((keyLength + 7) & ~7);
  // Keys are copied in steps of 16.
  part.reserve(size + 16);
  const event = changetype<Picked>(part.end);
  event.timeMicros = load<i64>(group.times + (row << 3));
  event.clockMicros = load<i64>(recordClock + (record << 3));
  event.position = firstPosition + <i64>record;
  event.weight = weight;
  event.hash = hash;
  event.keyLength = <u32>keyLength;
  event.size = <u32>size;
  copyValues(group, event, row);
  copyLoosely(pickedKey(group, event), keyStart, keyLength);
  part.length += size;
  group.eventBytes += size;
  group.eventCount++;
  group.clockMicros = max(group.clockMicros, event.clockMicros);
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
  const length = <u64>value >> 32;
  const size = column.kind == NUMBERS ? nestedSize(<usize>length) : <usize>length;
  return <i64>(<u64>group.texts.copy(<usize>(value & 0xffffffff), size) | (length << 32));
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
