/**
 * Changes into rows: the state of one shard.
 *
 *   entity  (kind, key)  -- hash table -->  levels (a short list)  -->  rows, ascending by tile start
 *
 * A row is kept as its encoded bytes. A change finds its row by binary search (new tiles come at the end, so mostly
 * the last place is the right one), merges, and marks it dirty. Windows read a range of tiles as one stretch of the
 * array. The fold knows no plan: it merges whatever entries come (see row.ts).
 *
 * Rows that were written back and left memory are read back before a change may touch them: `fold` applies a batch
 * only after `missing` has listed the rows to be loaded. While nothing has ever left memory there is none (`complete`).
 */
import { hashKey } from './key';
import { Bytes, allocate, allocateZeroed, release, roundedSize } from './memory';
import { ROW_MALFORMED, ROW_OK, mergeRows } from './row';
import { readVarint, unzigzag, varintNext, varintOk } from './varint';

@unmanaged
export class Row {
  tileStart: i64;
  bytes: usize;
  length: u32;
  capacity: u32;
  dirty: u32;
  unused: u32;
}

@unmanaged
export class Level {
  lengthMs: i64;
  entity: Entity;
  next: usize;
  rows: usize;
  count: i32;
  capacity: i32;
}

@unmanaged
export class Entity {
  kind: i32;
  hash: u32;
  key: usize;
  keyLength: u32;
  levels: usize;
}

// --- entities

let table: usize = 0;
let tableSize: u32 = 0;
let entityCount: u32 = 0;
let rowCount: i32 = 0;
/** Bytes that rows and entities occupy; frames, programs and buffers are not among them. */
let stateBytes: usize = 0;

export function foldRows(): i32 {
  return rowCount;
}

export function foldBytes(): f64 {
  return <f64>stateBytes;
}

function take(size: usize): usize {
  stateBytes += roundedSize(size);
  return allocate(size);
}

function give(block: usize, size: usize): void {
  if (block == 0) return;
  stateBytes -= roundedSize(size);
  release(block, size);
}

/** The entity, or null. */
export function findEntity(kind: i32, key: usize, keyLength: usize): Entity | null {
  if (tableSize == 0) return null;
  const place = entityPlace(kind, hashKey(kind, key, keyLength), key, keyLength);
  const known = load<usize>(place);
  return known == 0 ? null : changetype<Entity>(known);
}

/** Mixed once more, because all keys of a shard have the same remainder of their hash. */
@inline
function firstPlace(hash: u32): u32 {
  const mixed = hash * 0x9e3779b1;
  return (mixed ^ (mixed >> 15)) & (tableSize - 1);
}

function entityPlace(kind: i32, hash: u32, key: usize, keyLength: usize): usize {
  let index = firstPlace(hash);
  while (true) {
    const place = table + <usize>index * sizeof<usize>();
    const at = load<usize>(place);
    if (at == 0) return place;
    const entity = changetype<Entity>(at);
    if (
      entity.hash == hash &&
      entity.kind == kind &&
      <usize>entity.keyLength == keyLength &&
      memory.compare(entity.key, key, keyLength) == 0
    )
      return place;
    index = (index + 1) & (tableSize - 1);
  }
}

function entityFor(kind: i32, key: usize, keyLength: usize): Entity {
  if ((entityCount + 1) * 2 > tableSize) growTable();
  const hash = hashKey(kind, key, keyLength);
  const place = entityPlace(kind, hash, key, keyLength);
  if (load<usize>(place) != 0) return changetype<Entity>(load<usize>(place));
  const entity = changetype<Entity>(take(offsetof<Entity>()));
  entity.kind = kind;
  entity.hash = hash;
  entity.key = take(keyLength);
  memory.copy(entity.key, key, keyLength);
  entity.keyLength = <u32>keyLength;
  entity.levels = 0;
  store<usize>(place, changetype<usize>(entity));
  entityCount++;
  return entity;
}

const TABLE_SIZE_MIN: u32 = 1024;

function growTable(): void {
  const old = table;
  const oldSize = tableSize;
  tableSize = max(TABLE_SIZE_MIN, tableSize << 1);
  table = take(<usize>tableSize * sizeof<usize>());
  memory.fill(table, 0, <usize>tableSize * sizeof<usize>());
  for (let i: u32 = 0; i < oldSize; i++) {
    const at = load<usize>(old + <usize>i * sizeof<usize>());
    if (at == 0) continue;
    let index = firstPlace(changetype<Entity>(at).hash);
    while (load<usize>(table + <usize>index * sizeof<usize>()) != 0) index = (index + 1) & (tableSize - 1);
    store<usize>(table + <usize>index * sizeof<usize>(), at);
  }
  give(old, <usize>oldSize * sizeof<usize>());
}

export function findLevel(entity: Entity, lengthMs: i64): Level | null {
  for (let at = entity.levels; at != 0; at = changetype<Level>(at).next)
    if (changetype<Level>(at).lengthMs == lengthMs) return changetype<Level>(at);
  return null;
}

function levelFor(entity: Entity, lengthMs: i64): Level {
  const known = findLevel(entity, lengthMs);
  if (known) return known;
  const level = changetype<Level>(take(offsetof<Level>()));
  level.lengthMs = lengthMs;
  level.entity = entity;
  level.next = entity.levels;
  level.rows = 0;
  level.count = 0;
  level.capacity = 0;
  entity.levels = changetype<usize>(level);
  return level;
}

@inline
export function rowAt(level: Level, index: i32): Row {
  return changetype<Row>(level.rows + <usize>index * offsetof<Row>());
}

/** Index of the first row with a tile start at or after `tileStart`. */
export function lowerBound(level: Level, tileStart: i64): i32 {
  let low = 0;
  let high = level.count;
  // New tiles are the common case.
  if (high > 0 && rowAt(level, high - 1).tileStart < tileStart) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rowAt(level, middle).tileStart < tileStart) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function findRow(level: Level, tileStart: i64): Row | null {
  const index = lowerBound(level, tileStart);
  if (index == level.count) return null;
  const row = rowAt(level, index);
  return row.tileStart == tileStart ? row : null;
}

/** The row, empty and clean when it is new. Rows of the level move when one is added: hold no other across this call. */
function rowFor(level: Level, tileStart: i64): Row {
  const index = lowerBound(level, tileStart);
  if (index < level.count && rowAt(level, index).tileStart == tileStart) return rowAt(level, index);
  if (level.count == level.capacity) {
    const capacity = level.capacity == 0 ? 2 : level.capacity << 1;
    const rows = take(<usize>capacity * offsetof<Row>());
    memory.copy(rows, level.rows, <usize>level.count * offsetof<Row>());
    give(level.rows, <usize>level.capacity * offsetof<Row>());
    level.rows = rows;
    level.capacity = capacity;
  }
  const row = rowAt(level, index);
  memory.copy(changetype<usize>(row) + offsetof<Row>(), changetype<usize>(row), <usize>(level.count - index) * offsetof<Row>());
  memory.fill(changetype<usize>(row), 0, offsetof<Row>());
  row.tileStart = tileStart;
  level.count++;
  rowCount++;
  return row;
}

function setBytes(row: Row, from: usize, length: usize): void {
  if (length > <usize>row.capacity) {
    give(row.bytes, <usize>row.capacity);
    const capacity = roundedSize(length);
    row.bytes = take(capacity);
    row.capacity = <u32>capacity;
  }
  memory.copy(row.bytes, from, length);
  row.length = <u32>length;
}

// --- changes

export const FOLD_OK: i32 = 0;
/** The bytes are no batch of changes, or a row is not in canonical form. */
export const FOLD_MALFORMED: i32 = 1;
/** A change or a row holds an aggregate that this kernel does not know. */
export const FOLD_UNKNOWN_CASE: i32 = 2;

let changeEntity: i32 = 0;
let changeKey: usize = 0;
let changeKeyLength: usize = 0;
let changeLevel: i64 = 0;
let changeTileStart: i64 = 0;
let changeFeatures: usize = 0;
let changeFeaturesLength: usize = 0;

/** Reads one Change with its fields in ascending order; returns where the next one starts, 0 when malformed. */
function readChange(at: usize, end: usize): usize {
  if (at >= end || load<u8>(at) != 0x0a) return 0;
  const length = readVarint(at + 1, end);
  if (!varintOk || length > <u64>(end - varintNext)) return 0;
  at = varintNext;
  const next = at + <usize>length;
  changeEntity = 0;
  changeKeyLength = 0;
  changeLevel = 0;
  changeTileStart = 0;
  changeFeaturesLength = 0;
  changeKey = changeFeatures = at;
  while (at < next) {
    const tag = load<u8>(at);
    const value = readVarint(at + 1, next);
    if (!varintOk) return 0;
    at = varintNext;
    if ((tag & 7) == 2) {
      if (value > <u64>(next - at)) return 0;
      if (tag == 0x12) {
        changeKey = at;
        changeKeyLength = <usize>value;
      } else if (tag == 0x2a) {
        changeFeatures = at;
        changeFeaturesLength = <usize>value;
      } else return 0;
      at += <usize>value;
    } else if (tag == 0x08) changeEntity = <i32>value;
    else if (tag == 0x18) changeLevel = <i64>value;
    else if (tag == 0x20) changeTileStart = unzigzag(value);
    else return 0;
  }
  return next;
}

const merged: Bytes = Bytes.make();

/** Merges every change into its row. On a fault the changes before the faulty one have been applied: the caller stops. */
export function fold(start: usize, length: usize): i32 {
  const end = start + length;
  for (let at = start; at < end; ) {
    const next = readChange(at, end);
    if (next == 0) return FOLD_MALFORMED;
    const level = levelFor(entityFor(changeEntity, changeKey, changeKeyLength), changeLevel);
    const row = rowFor(level, changeTileStart);
    merged.length = 0;
    const outcome = mergeRows(
      row.bytes,
      row.bytes + <usize>row.length,
      changeFeatures,
      changeFeatures + changeFeaturesLength,
      merged,
    );
    if (outcome != ROW_OK) return outcome == ROW_MALFORMED ? FOLD_MALFORMED : FOLD_UNKNOWN_CASE;
    setBytes(row, merged.start, merged.length);
    if (row.dirty == 0) markDirty(level, row);
    at = next;
  }
  return FOLD_OK;
}

// --- rows that leave and come back

/** One row's address, for the glue: kind i32, key length u32, key u32, value u32, value length u32, unused, level i64, tile start i64. */
export const ADDRESS_SIZE: usize = 40;
const listed: Bytes = Bytes.make();

export function listedStart(): usize {
  return listed.start;
}

export function listedCount(): i32 {
  return <i32>(listed.length / ADDRESS_SIZE);
}

function listRow(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64, bytes: usize, length: u32): void {
  listed.reserve(ADDRESS_SIZE);
  const at = listed.end;
  store<i32>(at, kind);
  store<u32>(at, <u32>keyLength, 4);
  store<u32>(at, <u32>key, 8);
  store<u32>(at, <u32>bytes, 12);
  store<u32>(at, length, 16);
  store<u32>(at, 0, 20);
  store<i64>(at, levelMs, 24);
  store<i64>(at, tileStart, 32);
  listed.length += ADDRESS_SIZE;
}

/** Lists the rows that a batch of changes touches and memory does not hold. The keys stay where the changes are. */
export function missing(start: usize, length: usize): i32 {
  listed.length = 0;
  const end = start + length;
  for (let at = start; at < end; ) {
    const next = readChange(at, end);
    if (next == 0) return FOLD_MALFORMED;
    if (!holds(changeEntity, changeKey, changeKeyLength, changeLevel, changeTileStart))
      listRow(changeEntity, changeKey, changeKeyLength, changeLevel, changeTileStart, 0, 0);
    at = next;
  }
  return FOLD_OK;
}

function holds(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): bool {
  const entity = findEntity(kind, key, keyLength);
  if (!entity) return false;
  const level = findLevel(entity, levelMs);
  return level ? findRow(level, tileStart) != null : false;
}

/** Puts a row back that the store holds (length 0: the store has none either). Does nothing where memory has it already. */
export function loadRow(kind: i32, key: usize, keyLength: usize, levelMs: f64, tileStart: f64, bytes: usize, length: usize): void {
  if (holds(kind, key, keyLength, <i64>levelMs, <i64>tileStart)) return;
  const row = rowFor(levelFor(entityFor(kind, key, keyLength), <i64>levelMs), <i64>tileStart);
  setBytes(row, bytes, length);
}

// --- dirty rows

/** (level address, tile start) of rows changed since the last barrier: rows move, so they are found again. */
const dirty: Bytes = Bytes.make();

@inline
function markDirty(level: Level, row: Row): void {
  row.dirty = 1;
  dirty.reserve(16);
  store<usize>(dirty.end, changetype<usize>(level));
  store<i64>(dirty.end, row.tileStart, 8);
  dirty.length += 16;
}

export function dirtyCount(): i32 {
  return <i32>(dirty.length >> 4);
}

/** Lists every dirty row with its bytes, in the order in which they became dirty. Views of it hold until the next change. */
export function listDirty(): void {
  listed.length = 0;
  for (let at = dirty.start; at < dirty.end; at += 16) {
    const level = changetype<Level>(load<usize>(at));
    const entity = level.entity;
    const row = findRow(level, load<i64>(at, 8));
    if (!row) abort('a dirty row is gone');
    else listRow(entity.kind, entity.key, <usize>entity.keyLength, level.lengthMs, row.tileStart, row.bytes, row.length);
  }
}

/** All dirty rows are in the store now. */
export function settle(): void {
  for (let at = dirty.start; at < dirty.end; at += 16) {
    const row = findRow(changetype<Level>(load<usize>(at)), load<i64>(at, 8));
    if (row) row.dirty = 0;
  }
  dirty.length = 0;
}

/** Gives all memory of the state back. Only when nothing is dirty: what was not written would be lost. */
export function forget(): void {
  assert(dirty.length == 0);
  for (let i: u32 = 0; i < tableSize; i++) {
    const at = load<usize>(table + <usize>i * sizeof<usize>());
    if (at != 0) forgetEntity(changetype<Entity>(at));
  }
  give(table, <usize>tableSize * sizeof<usize>());
  table = 0;
  tableSize = 0;
  entityCount = 0;
  rowCount = 0;
  assert(stateBytes == 0);
}

function forgetEntity(entity: Entity): void {
  for (let at = entity.levels; at != 0; ) {
    const level = changetype<Level>(at);
    at = level.next;
    for (let i = 0; i < level.count; i++) give(rowAt(level, i).bytes, <usize>rowAt(level, i).capacity);
    give(level.rows, <usize>level.capacity * offsetof<Row>());
    give(changetype<usize>(level), offsetof<Level>());
  }
  give(entity.key, <usize>entity.keyLength);
  give(changetype<usize>(entity), offsetof<Entity>());
}
