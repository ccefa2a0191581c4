/**
 * Changes into rows: the state of one shard.
 *
 *   entity  (kind, key)  -- hash table -->  levels (a short list)  -->  rows, ascending by tile start
 *
 * A row is kept as its encoded bytes. A change finds its row by binary search (new tiles come at the end, so mostly
 * the last place is the right one), merges, and marks it dirty. Windows read a range of tiles as one stretch of the
 * array. The fold knows no plan: it merges whatever entries come (see row.ts).
 *
 * Memory is bounded by letting rows go that were not used for longest (`evict`, when all are clean). A row that is not in
 * memory is read back before a change may touch it: `fold` applies a batch only after `missing` has listed the rows to be
 * loaded. Not listed are rows that cannot exist: for each (kind, level) there is a floor, and every row that starts at or
 * above it is in memory. It stands above all rows that a restart found in the store, and rises above each row that leaves;
 * so tiles that time has newly come to cost no read. Each level of an entity that memory holds has a floor of its own,
 * which sinks when a lookup has read what lies below it (`holdFrom`), also where that was nothing: until its rows leave
 * again, neither lookups nor changes read them twice.
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
  /** The era in which it was last changed or read. */
  used: u32;
}

@unmanaged
export class Level {
  lengthMs: i64;
  entity: Entity;
  next: usize;
  rows: usize;
  count: i32;
  capacity: i32;
  /** Every row of it that starts at or above this is in memory. */
  floor: i64;
}

@unmanaged
export class Entity {
  kind: i32;
  hash: u32;
  key: usize;
  keyLength: u32;
  /** Another one after each batch that has changed a row of it. */
  version: u32;
  levels: usize;
  /** What lookups have made of its rows, and the bytes that this takes: see window.ts. */
  kept: usize;
  keptSize: u32;
}

/** What is known of all rows of one kind and level together. A short list: there are few kinds and levels. */
@unmanaged
class Stratum {
  kind: i32;
  levelMs: i64;
  next: usize;
  /** Every row that starts at or above it is in memory. */
  floor: i64;
  /** The greatest tile start of any row, in memory or in the store. */
  highest: i64;
}

let strata: usize = 0;
let stratumCount: i32 = 0;

function stratumFor(kind: i32, levelMs: i64): Stratum {
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) {
    const known = changetype<Stratum>(at);
    if (known.kind == kind && known.levelMs == levelMs) return known;
  }
  const stratum = changetype<Stratum>(allocateZeroed(offsetof<Stratum>()));
  stratum.kind = kind;
  stratum.levelMs = levelMs;
  stratum.next = strata;
  stratum.floor = i64.MIN_VALUE;
  stratum.highest = i64.MIN_VALUE;
  strata = changetype<usize>(stratum);
  stratumCount++;
  return stratum;
}

/** For a restart: the store has rows of this kind and level up to this tile. */
export function setHighest(kind: i32, levelMs: f64, tileStart: f64): void {
  const stratum = stratumFor(kind, <i64>levelMs);
  stratum.highest = max(stratum.highest, <i64>tileStart);
  stratum.floor = max(stratum.floor, stratum.highest + 1);
}

/** Fills the list with (kind, level, greatest tile start): an address without a key each. */
export function listHighest(): void {
  listed.length = 0;
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) {
    const stratum = changetype<Stratum>(at);
    if (stratum.highest != i64.MIN_VALUE) listRow(stratum.kind, 0, 0, stratum.levelMs, stratum.highest, 0, 0);
  }
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
  entity.version = 0;
  entity.levels = 0;
  entity.kept = 0;
  entity.keptSize = 0;
  store<usize>(place, changetype<usize>(entity));
  entityCount++;
  return entity;
}

const TABLE_SIZE_MIN: u32 = 1024;

function growTable(): void {
  const old = table;
  const oldSize = tableSize;
  tableSize = max(TABLE_SIZE_MIN, tableSize << 1);
  moveTable(old, oldSize);
}

/** Moves all entities from an old table to a new one of `tableSize` places. */
function moveTable(old: usize, oldSize: u32): void {
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

/** Room for what a lookup makes of an entity's rows. It goes when the entity leaves memory. */
export function keepFor(entity: Entity, size: usize): usize {
  if (<usize>entity.keptSize != size) {
    give(entity.kept, <usize>entity.keptSize);
    entity.kept = take(size);
    entity.keptSize = <u32>size;
  }
  return entity.kept;
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
  level.floor = stratumFor(entity.kind, lengthMs).floor;
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

/** Notes that a row is read. */
@inline
export function useRow(row: Row): void {
  row.used = era;
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
  row.used = era;
  level.count++;
  rowCount++;
  const stratum = stratumFor(level.entity.kind, level.lengthMs);
  stratum.highest = max(stratum.highest, tileStart);
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
    const entity = entityFor(changeEntity, changeKey, changeKeyLength);
    entity.version++;
    const level = levelFor(entity, changeLevel);
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
    row.used = era;
    if ((row.dirty & DIRTY) == 0) markDirty(level, row);
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

/** Lists the rows that a batch of changes touches, that memory does not hold and that may exist. The keys stay where the changes are. */
export function missing(start: usize, length: usize): i32 {
  listed.length = 0;
  const end = start + length;
  for (let at = start; at < end; ) {
    const next = readChange(at, end);
    if (next == 0) return FOLD_MALFORMED;
    if (
      changeTileStart < stratumFor(changeEntity, changeLevel).floor &&
      !knows(changeEntity, changeKey, changeKeyLength, changeLevel, changeTileStart)
    )
      listRow(changeEntity, changeKey, changeKeyLength, changeLevel, changeTileStart, 0, 0);
    at = next;
  }
  return FOLD_OK;
}

/** What memory has of a row is all there is: the row itself, or that there is none. */
function knows(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): bool {
  const entity = findEntity(kind, key, keyLength);
  if (!entity) return false;
  const level = findLevel(entity, levelMs);
  return level ? tileStart >= level.floor || findRow(level, tileStart) != null : false;
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

/** From where on memory has every row of a level of an entity; null is one that it holds nothing of. */
export function floorOf(kind: i32, entity: Entity | null, levelMs: i64): i64 {
  const level = entity ? findLevel(entity, levelMs) : null;
  return level ? level.floor : stratumFor(kind, levelMs).floor;
}

/** The rows of an entity's level from a tile start on have all been loaded, as many as there were. */
export function holdFrom(kind: i32, key: usize, keyLength: usize, levelMs: f64, tileStart: f64): void {
  const level = levelFor(entityFor(kind, key, keyLength), <i64>levelMs);
  level.floor = min(level.floor, <i64>tileStart);
}

// --- dirty rows

/** (level address, tile start) of rows changed since the last barrier: rows move, so they are found again. */
const dirty: Bytes = Bytes.make();

@inline
function markDirty(level: Level, row: Row): void {
  row.dirty |= DIRTY;
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

/** Rows of the last snapshot, as `dirty` lists them: they are being written, and stay until that is done. */
const inFlight: Bytes = Bytes.make();
let isInFlight = false;

/** Lists every dirty row as `listDirty` does; from now on they are in flight, and dirty again when they change. */
export function snapshotDirty(): void {
  assert(!isInFlight);
  isInFlight = true;
  listDirty();
  for (let at = dirty.start; at < dirty.end; at += 16) {
    const row = findRow(changetype<Level>(load<usize>(at)), load<i64>(at, 8));
    if (row) row.dirty = IN_FLIGHT;
  }
  inFlight.append(dirty.start, dirty.length);
  dirty.length = 0;
}

/** The rows that were in flight are in the store now; where there is no snapshot, all dirty ones are. */
export function settle(): void {
  const list = isInFlight ? inFlight : dirty;
  for (let at = list.start; at < list.end; at += 16) {
    const row = findRow(changetype<Level>(load<usize>(at)), load<i64>(at, 8));
    if (row) row.dirty &= ~(isInFlight ? IN_FLIGHT : DIRTY);
  }
  list.length = 0;
  isInFlight = false;
}

const DIRTY: u32 = 1;
const IN_FLIGHT: u32 = 2;

// --- eviction

/** Counts barriers: how long ago a row was used, in a coarse way. */
let era: u32 = 0;

/** Ages are told apart up to here; older ones are alike. */
const AGES: i32 = 64;
const bytesByAge: usize = memory.data(64 * 8, 8);

export let evictedCount: i32 = 0;

/**
 * Lets the rows go that were not used for longest, until rows and their index occupy at most `targetBytes` (0 lets go of
 * all). Only when nothing is dirty: what was not written would be lost. A new era begins.
 */
export function evict(targetBytes: f64): void {
  evictedCount = 0;
  if (<f64>stateBytes > targetBytes) {
    const age = ageToEvict(<i64>(<f64>stateBytes - targetBytes));
    for (let i: u32 = 0; i < tableSize; i++) {
      const place = table + <usize>i * sizeof<usize>();
      const at = load<usize>(place);
      if (at != 0 && evictFrom(changetype<Entity>(at), age)) store<usize>(place, 0);
    }
    rebuildTable();
  }
  era++;
}

@inline
function ageOf(row: Row): i32 {
  return <i32>min<u32>(era - row.used, <u32>(AGES - 1));
}

/** The greatest age that, with all beyond it, frees enough. */
function ageToEvict(bytes: i64): i32 {
  memory.fill(bytesByAge, 0, <usize>AGES << 3);
  for (let i: u32 = 0; i < tableSize; i++) {
    const at = load<usize>(table + <usize>i * sizeof<usize>());
    if (at == 0) continue;
    for (let level = changetype<Entity>(at).levels; level != 0; level = changetype<Level>(level).next)
      weigh(changetype<Level>(level));
  }
  let freed: i64 = 0;
  for (let age = AGES - 1; age > 0; age--) {
    freed += load<i64>(bytesByAge + (<usize>age << 3));
    if (freed >= bytes) return age;
  }
  return 0;
}

function weigh(level: Level): void {
  for (let i = 0; i < level.count; i++) {
    const row = rowAt(level, i);
    const cell = bytesByAge + (<usize>ageOf(row) << 3);
    store<i64>(cell, load<i64>(cell) + <i64>row.capacity + <i64>offsetof<Row>());
  }
}

/** True when nothing of the entity is left. */
function evictFrom(entity: Entity, age: i32): bool {
  let link: usize = 0;
  for (let at = entity.levels; at != 0; ) {
    const level = changetype<Level>(at);
    const next = level.next;
    evictRows(level, age);
    if (level.count == 0) {
      give(level.rows, <usize>level.capacity * offsetof<Row>());
      give(at, offsetof<Level>());
      if (link == 0) entity.levels = next;
      else changetype<Level>(link).next = next;
    } else link = at;
    at = next;
  }
  if (entity.levels != 0) return false;
  give(entity.key, <usize>entity.keyLength);
  give(entity.kept, <usize>entity.keptSize);
  give(changetype<usize>(entity), offsetof<Entity>());
  entityCount--;
  return true;
}

function evictRows(level: Level, age: i32): void {
  let kept = 0;
  for (let i = 0; i < level.count; i++) {
    const row = rowAt(level, i);
    if (row.dirty != 0 || ageOf(row) < age) {
      if (kept != i) memory.copy(changetype<usize>(rowAt(level, kept)), changetype<usize>(row), offsetof<Row>());
      kept++;
      continue;
    }
    give(row.bytes, <usize>row.capacity);
    level.floor = max(level.floor, row.tileStart + 1);
    const stratum = stratumFor(level.entity.kind, level.lengthMs);
    stratum.floor = max(stratum.floor, row.tileStart + 1);
    evictedCount++;
  }
  rowCount -= level.count - kept;
  level.count = kept;
  if (kept > 0 && kept * 4 <= level.capacity) shrinkLevel(level);
}

function shrinkLevel(level: Level): void {
  const capacity = max(2, level.count);
  const rows = take(<usize>capacity * offsetof<Row>());
  memory.copy(rows, level.rows, <usize>level.count * offsetof<Row>());
  give(level.rows, <usize>level.capacity * offsetof<Row>());
  level.rows = rows;
  level.capacity = capacity;
}

/** Holes in an open table would end searches too early: what is left gets places anew, in a table of its size. */
function rebuildTable(): void {
  const old = table;
  const oldSize = tableSize;
  if (entityCount == 0) {
    give(old, <usize>oldSize * sizeof<usize>());
    table = 0;
    tableSize = 0;
    return;
  }
  tableSize = TABLE_SIZE_MIN;
  while (tableSize < entityCount * 2 + 2) tableSize <<= 1;
  moveTable(old, oldSize);
}
