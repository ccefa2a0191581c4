/**
 * The rows that memory holds.
 *
 *   entity  (kind, key)  -- hash table -->  levels, each with its newest row  -->  older rows, ascending by tile start
 *
 * A row of integers alone is closed to its numbers (outline.ts), and up to eight bytes of them stand in the row itself; other
 * bytes have a block.
 */
import { hashKey } from './key';
import { copyLoosely, isSame, roundedSize } from './memory';
import { give, take } from './occupied';
import { OUTLINES_MAX, closeRow, closed, closedLength, mergeClosed, merged, mergedLength, open, openedSize } from './outline';
import { Stratum, levelsOf, noteInFilter, stratumFor } from './stratum';

@unmanaged
export class Row {
  tileStart: i64;
  /** A block of the class that `length` bytes need, none while it is empty; or both together are its numbers. */
  bytes: usize;
  length: u32;
  /** The edition that it was last changed in: see dirty.ts. */
  edition: u32;
  /** The era in which it was last changed or read: the lower bits of it; with UNREAD (unread.ts). */
  used: u16;
  /** The number of its outline, with HAS_BLOCK where its numbers have one; 0 of a row that is kept as it is. */
  outline: u16;
}

const HAS_BLOCK: u16 = 0x8000;

/** Of what a row notes of its use: that it is unread (unread.ts), and the era. */
const UNREAD: u16 = 0x8000;
const ERA_MASK: u16 = 0x7fff;

assert(OUTLINES_MAX < <u32>HAS_BLOCK);

/** Numbers up to here stand in the row. */
const NUMBERS_WITHIN: usize = 8;

@unmanaged
export class Level {
  lengthMs: i64;
  stratum: Stratum;
  /** Of all rows, the newest among them. */
  count: i32;
  /** All but the newest. */
  rows: usize;
  capacity: i32;
  /** Every row of it that starts at or above this is in memory. */
  floor: i64;
  /** What memory has all of below the floor (held.ts); 0 where that is nothing. */
  held: usize;
  newestStart: i64;
  newestBytes: usize;
  newestLength: u32;
  newestEdition: u32;
  newestUsed: u16;
  newestOutline: u16;
  /** The edition that a row of it was last changed in, and the least tile start of those changed in that. */
  edition: u32;
  dirtyStart: i64;
}

/** Its key follows behind. */
@unmanaged
export class Entity {
  kind: i32;
  keyLength: u32;
  /** Another one after each batch that has changed a row of it. */
  version: u32;
  levels: usize;
  /** What lookups have made of its rows, and the bytes that this takes: see kept.ts. */
  kept: usize;
  keptSize: u32;
  /** The first of the windows that run along with its rows (running.ts); 0 mostly. */
  running: usize;
  levelCount: i32;
  levelCapacity: i32;
  /** The edition that a row of it was last changed in. */
  edition: u32;

  @inline
  get key(): usize {
    return changetype<usize>(this) + offsetof<Entity>();
  }
}

/** Places of (hash u32, entity u32): most that are not the one wanted are known by their hash. */
export let table: usize = 0;
export const PLACE_SIZE: usize = 8;
export let tableSize: u32 = 0;
let entityCount: u32 = 0;
let rowCount: i32 = 0;

export function foldRows(): i32 {
  return rowCount;
}

/** The entity, or null. */
export function findEntity(kind: i32, key: usize, keyLength: usize): Entity | null {
  if (tableSize == 0) return null;
  const place = entityPlace(kind, hashKey(kind, key, keyLength), key, keyLength);
  const known = load<u32>(place, 4);
  return known == 0 ? null : changetype<Entity>(<usize>known);
}

/** Mixed once more, because all keys of a shard have the same remainder of their hash. */
@inline
export function firstPlace(hash: u32): u32 {
  const mixed = hash * 0x9e3779b1;
  return (mixed ^ (mixed >> 15)) & (tableSize - 1);
}

function entityPlace(kind: i32, hash: u32, key: usize, keyLength: usize): usize {
  let index = firstPlace(hash);
  while (true) {
    const place = table + <usize>index * PLACE_SIZE;
    const at = <usize>load<u32>(place, 4);
    if (at == 0) return place;
    if (load<u32>(place) == hash && isEntity(changetype<Entity>(at), kind, key, keyLength)) return place;
    index = (index + 1) & (tableSize - 1);
  }
}

@inline
function isEntity(entity: Entity, kind: i32, key: usize, keyLength: usize): bool {
  return entity.kind == kind && <usize>entity.keyLength == keyLength && isSame(entity.key, key, keyLength);
}

export function entityFor(kind: i32, hash: u32, key: usize, keyLength: usize): Entity {
  if ((entityCount + 1) * 2 > tableSize) growTable();
  const place = entityPlace(kind, hash, key, keyLength);
  const known = <usize>load<u32>(place, 4);
  if (known != 0) return changetype<Entity>(known);
  const entity = changetype<Entity>(take(offsetof<Entity>() + keyLength));
  entity.kind = kind;
  entity.keyLength = <u32>keyLength;
  entity.version = 0;
  entity.levels = 0;
  entity.kept = 0;
  entity.keptSize = 0;
  entity.running = 0;
  entity.levelCount = 0;
  entity.levelCapacity = 0;
  entity.edition = 0;
  memory.copy(entity.key, key, keyLength);
  store<u32>(place, hash);
  store<u32>(place, <u32>changetype<usize>(entity), 4);
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
  table = take(<usize>tableSize * PLACE_SIZE);
  memory.fill(table, 0, <usize>tableSize * PLACE_SIZE);
  for (let i: u32 = 0; i < oldSize; i++) {
    const from = old + <usize>i * PLACE_SIZE;
    if (load<u32>(from, 4) == 0) continue;
    let index = firstPlace(load<u32>(from));
    while (load<u32>(table + <usize>index * PLACE_SIZE, 4) != 0) index = (index + 1) & (tableSize - 1);
    store<u64>(table + <usize>index * PLACE_SIZE, load<u64>(from));
  }
  give(old, <usize>oldSize * PLACE_SIZE);
}

/** Holes in an open table would end searches too early: what is left gets places anew, in a table of its size. */
export function rebuildTable(): void {
  const old = table;
  const oldSize = tableSize;
  if (entityCount == 0) {
    give(old, <usize>oldSize * PLACE_SIZE);
    table = 0;
    tableSize = 0;
    return;
  }
  tableSize = TABLE_SIZE_MIN;
  while (tableSize < entityCount * 2 + 2) tableSize <<= 1;
  moveTable(old, oldSize);
}

/** Its place in the table is the caller's to clear, and the table to be made anew (`rebuildTable`). */
export function forgetEntity(entity: Entity): void {
  give(entity.levels, <usize>entity.levelCapacity * offsetof<Level>());
  give(entity.kept, <usize>entity.keptSize);
  give(changetype<usize>(entity), offsetof<Entity>() + <usize>entity.keyLength);
  entityCount--;
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

@inline
export function levelAt(entity: Entity, index: i32): Level {
  return changetype<Level>(entity.levels + <usize>index * offsetof<Level>());
}

export function findLevel(entity: Entity, lengthMs: i64): Level | null {
  for (let i = 0; i < entity.levelCount; i++) if (levelAt(entity, i).lengthMs == lengthMs) return levelAt(entity, i);
  return null;
}

/** Levels of the entity move when one is added: hold no other across this call. */
@inline
export function levelFor(entity: Entity, lengthMs: i64): Level {
  for (let i = 0; i < entity.levelCount; i++) if (levelAt(entity, i).lengthMs == lengthMs) return levelAt(entity, i);
  return addLevel(entity, lengthMs);
}

function addLevel(entity: Entity, lengthMs: i64): Level {
  const stratum = stratumFor(entity.kind, lengthMs);
  if (entity.levelCount == entity.levelCapacity) {
    const capacity = max(levelsOf(entity.kind), entity.levelCapacity << 1);
    const levels = take(<usize>capacity * offsetof<Level>());
    memory.copy(levels, entity.levels, <usize>entity.levelCount * offsetof<Level>());
    give(entity.levels, <usize>entity.levelCapacity * offsetof<Level>());
    entity.levels = levels;
    entity.levelCapacity = capacity;
  }
  const level = levelAt(entity, entity.levelCount);
  entity.levelCount++;
  memory.fill(changetype<usize>(level), 0, offsetof<Level>());
  level.lengthMs = lengthMs;
  level.stratum = stratum;
  level.floor = stratum.floor;
  return level;
}

/** The rows of a level, in order: the newest is the last. */
@inline
export function rowAt(level: Level, index: i32): Row {
  if (index + 1 == level.count) return newestRow(level);
  return olderRow(level, index);
}

@inline
export function newestRow(level: Level): Row {
  return changetype<Row>(changetype<usize>(level) + offsetof<Level>('newestStart'));
}

@inline
export function olderRow(level: Level, index: i32): Row {
  return changetype<Row>(level.rows + <usize>index * offsetof<Row>());
}

/** Index of the first row with a tile start at or after `tileStart`. */
export function lowerBound(level: Level, tileStart: i64): i32 {
  let low = 0;
  let high = level.count;
  // New tiles are the common case.
  if (high == 0 || level.newestStart < tileStart) return high;
  if (level.newestStart == tileStart) return high - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rowAt(level, middle).tileStart < tileStart) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Counts barriers: how long ago a row was used, in a coarse way. */
export let era: u32 = 0;

export function beginEra(): void {
  era++;
}

/** Notes that a row is read, or changed. */
@inline
export function useRow(row: Row): void {
  row.used = (row.used & UNREAD) | (<u16>era & ERA_MASK);
}

/** How many eras ago a row was used; a row that was not used for as many eras as `used` can tell apart seems younger than it is. */
@inline
export function ageOf(row: Row): u32 {
  return (era - <u32>row.used) & <u32>ERA_MASK;
}

export function findRow(level: Level, tileStart: i64): Row | null {
  const index = lowerBound(level, tileStart);
  if (index == level.count) return null;
  const row = rowAt(level, index);
  return row.tileStart == tileStart ? row : null;
}

/** The row, empty and clean when it is new. Rows of the level move when one is added: hold no other across this call. */
@inline
export function rowFor(level: Level, hash: u32, tileStart: i64): Row {
  if (level.count > 0 && level.newestStart == tileStart) return newestRow(level);
  return olderOrNew(level, hash, tileStart);
}

function olderOrNew(level: Level, hash: u32, tileStart: i64): Row {
  const index = lowerBound(level, tileStart);
  if (index < level.count && rowAt(level, index).tileStart == tileStart) return rowAt(level, index);
  if (level.count > level.capacity) widenLevel(level);
  if (index < level.count) {
    const from = level.rows + <usize>index * offsetof<Row>();
    memory.copy(from + offsetof<Row>(), from, <usize>(level.count - 1 - index) * offsetof<Row>());
  } else if (index > 0) copyRow(olderRow(level, index - 1), newestRow(level));
  level.count++;
  rowCount++;
  const stratum = level.stratum;
  if (stratum.filter != 0) noteInFilter(stratum, hash, tileStart);
  stratum.highest = max(stratum.highest, tileStart);
  const row = rowAt(level, index);
  row.tileStart = tileStart;
  row.bytes = 0;
  row.length = 0;
  row.edition = 0;
  row.outline = 0;
  row.used = 0;
  useRow(row);
  return row;
}

@inline
export function copyRow(to: Row, from: Row): void {
  // As three words: a call would take longer.
  const into = changetype<usize>(to);
  const row = changetype<usize>(from);
  store<u64>(into, load<u64>(row));
  store<u64>(into, load<u64>(row, 8), 8);
  store<u64>(into, load<u64>(row, 16), 16);
}

/** Makes room for one older row more. */
function widenLevel(level: Level): void {
  const capacity = level.capacity == 0 ? 2 : level.capacity << 1;
  const rows = take(<usize>capacity * offsetof<Row>());
  copyLoosely(rows, level.rows, <usize>level.capacity * offsetof<Row>());
  give(level.rows, <usize>level.capacity * offsetof<Row>());
  level.rows = rows;
  level.capacity = capacity;
}

function shrinkLevel(level: Level): void {
  const capacity = max(0, level.count - 1);
  const size = <usize>capacity * offsetof<Row>();
  const rows: usize = capacity == 0 ? 0 : take(size);
  memory.copy(rows, level.rows, size);
  give(level.rows, <usize>level.capacity * offsetof<Row>());
  level.rows = rows;
  level.capacity = capacity;
}

/** So many rows are left of the level, at its beginning. */
export function keepRows(level: Level, count: i32): void {
  rowCount -= level.count - count;
  level.count = count;
  if (level.capacity > 0 && max(0, count - 1) * 4 <= level.capacity) shrinkLevel(level);
}

// --- what a row holds

/** The store may have more of it. */
@inline
export function isUnread(row: Row): bool {
  return (row.used & UNREAD) != 0;
}

@inline
export function noteUnread(row: Row): void {
  row.used |= UNREAD;
}

/** Neither the store nor memory has anything of it. */
@inline
export function isEmpty(row: Row): bool {
  return row.outline == 0 && row.length == 0;
}

/** Its block; 0 where it has none. */
@inline
export function blockOf(row: Row): usize {
  return row.outline == 0 || (row.outline & HAS_BLOCK) != 0 ? row.bytes : 0;
}

/** What its block occupies. */
@inline
export function blockSize(row: Row): usize {
  return blockOf(row) == 0 ? 0 : roundedSize(<usize>row.length);
}

/** Gives its block back. */
@inline
export function giveBlock(row: Row): void {
  if (blockOf(row) != 0) give(row.bytes, <usize>row.length);
}

/** Where the numbers of a row stand that has an outline. */
@inline
export function numbersOf(row: Row): usize {
  return (row.outline & HAS_BLOCK) != 0 ? row.bytes : changetype<usize>(row) + offsetof<Row>('bytes');
}

/** The number of its outline; 0 of a row that is kept as it is, or that is empty. */
@inline
export function outlineOf(row: Row): u32 {
  return <u32>(row.outline & ~HAS_BLOCK);
}

@inline
export function openRow(row: Row): void {
  open(outlineOf(row), row.outline == 0 ? row.bytes : numbersOf(row), <usize>row.length);
}

/** How long it is when it is open, a few bytes less or more. */
@inline
export function rowSize(row: Row): usize {
  const outline = outlineOf(row);
  if (outline == 0) return <usize>row.length;
  return openedSize(outline, row.outline == outline ? NUMBERS_WITHIN : <usize>row.length);
}

/** From now on it holds the row in these bytes. */
export function setRow(row: Row, from: usize, length: usize): void {
  const outline = closeRow(from, from + length);
  if (outline == 0) setOpen(row, from, length);
  else setClosed(row, outline, closed, closedLength);
}

/** The same, kept as it is. */
@inline
export function setOpen(row: Row, from: usize, length: usize): void {
  setBytes(row, 0, from, length);
}

/** From now on it holds the row with this outline and these numbers. */
@inline
export function setClosed(row: Row, outline: u32, numbers: usize, length: usize): void {
  if (length > NUMBERS_WITHIN) return setBytes(row, <u16>outline | HAS_BLOCK, numbers, length);
  giveBlock(row);
  store<u64>(changetype<usize>(row), load<u64>(numbers), offsetof<Row>('bytes'));
  row.outline = <u16>outline;
}

/** Merges a closed row into one that is closed too; false where nothing has changed, for it has other entries, or large numbers. */
@inline
export function mergeNumbers(row: Row, outline: u32, numbers: usize): bool {
  const own = outlineOf(row);
  if (!mergeClosed(own, numbersOf(row), outline, numbers)) return false;
  setClosed(row, own, merged, mergedLength);
  return true;
}

/** Blocks are multiples of 16, so bytes are copied in steps of that. */
@inline
function setBytes(row: Row, outline: u16, from: usize, length: usize): void {
  const block = blockOf(row);
  if (block == 0 || roundedSize(length) != roundedSize(<usize>row.length)) {
    giveBlock(row);
    row.bytes = length == 0 ? 0 : take(length);
  }
  copyLoosely(row.bytes, from, length);
  row.length = <u32>length;
  row.outline = outline;
}

/** What loads have found; it keeps the loads from being left out. */
let looked: u32 = 0;

@inline
export function noteLooked(found: u32): void {
  looked = found;
}
