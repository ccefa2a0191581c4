/**
 * Changes into rows: the state of one shard.
 *
 *   entity  (kind, key)  -- hash table -->  levels, each with its newest row  -->  older rows, ascending by tile start
 *
 * A row is kept as its encoded bytes. Nearly all changes are of a level's newest row, or make a newer one, so that one stands
 * in the level itself, and the levels of an entity stand side by side: what a change costs is mostly how often memory has to
 * be waited for. Older rows are found by binary search. Windows read a range of tiles as one stretch of rows. The fold knows no plan: it merges whatever entries come (see row.ts).
 *
 * Memory is bounded by letting rows go that were not used for longest (`evict`), unless the store does not have them yet. A row that is not in
 * memory is read back before a change may touch it: `fold` applies a batch only after `missing` has listed the rows to be
 * loaded. Not listed are rows that cannot exist: for each (kind, level) there is a floor, and every row that starts at or
 * above it is in memory. It stands above all rows that a restart found in the store, and rises above each row that leaves;
 * so tiles that time has newly come to cost no read. Each level of an entity that memory holds has a floor of its own,
 * which sinks when a lookup has read what lies below it (`holdRange`), also where that was nothing: until its rows leave
 * again, neither lookups nor changes read them twice. Below the floor there may be stretches that memory has all of (held.ts).
 *
 * Of lifetimes, and of the latest tile of long levels, a filter (filter.ts) knows besides which rows may be in the store: those
 * of new keys cost no read, however many keys there are. Filters begin with the first row that leaves, when memory still has
 * all there are. After a restart nobody knows which rows the store has: then there is none of a level until a tile begins.
 */
import { Change, ChangeList, Owner, madeChanges } from './change';
import { addToFilter, filterHash, mayHave } from './filter';
import { HELD_SIZE, Held, addStretch, cutStretch, hasStretch, takeStretch } from './held';
import { hashKey } from './key';
import { Bytes, allocate, allocateZeroed, copyLoosely, isSame, release, roundedSize } from './memory';
import { addToOrder, beginOrder, endOrder } from './order';
import { packRow } from './packed';
import { ROW_MALFORMED, ROW_OK, isRow, mergeRows } from './row';
import { appendRow, beginKey, beginPart } from './run';
import { readVarint, unzigzag, varintNext, varintOk } from './varint';

@unmanaged
export class Row {
  tileStart: i64;
  /** A block of the class that `length` bytes need; none while it is empty. */
  bytes: usize;
  length: u32;
  /** The edition that it was last changed in: see below, where editions are. */
  edition: u32;
  /** The era in which it was last changed or read. */
  used: u32;
}

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
  newestUsed: u32;
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
  /** What lookups have made of its rows, and the bytes that this takes: see window.ts. */
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
  /** Every row that starts at or above `filteredFrom`, in memory or in the store, is in the filter; 0 where there is none. */
  filter: usize;
  filteredFrom: i64;
}

let strata: usize = 0;
let stratumCount: i32 = 0;

/** Others write rows to the store, too: of none it is known that there is none there. */
let isShared: bool = false;

/** Before anything is folded. */
export function shareStore(): void {
  assert(strata == 0);
  isShared = true;
}

/** How many levels entities of a kind mostly have. */
function levelsOf(kind: i32): i32 {
  let count = 0;
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) if (changetype<Stratum>(at).kind == kind) count++;
  return max(1, count);
}

function stratumFor(kind: i32, levelMs: i64): Stratum {
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) {
    const known = changetype<Stratum>(at);
    if (known.kind == kind && known.levelMs == levelMs) return known;
  }
  const stratum = changetype<Stratum>(allocateZeroed(offsetof<Stratum>()));
  stratum.kind = kind;
  stratum.levelMs = levelMs;
  stratum.next = strata;
  stratum.floor = isShared ? i64.MAX_VALUE : i64.MIN_VALUE;
  stratum.highest = i64.MIN_VALUE;
  stratum.filteredFrom = i64.MIN_VALUE;
  strata = changetype<usize>(stratum);
  if (filterSize != 0) makeFilter(stratum);
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
    if (stratum.highest != i64.MIN_VALUE) listRow(stratum.kind, 0, 0, stratum.levelMs, stratum.highest);
  }
}

// --- entities

/** Places of (hash u32, entity u32): most that are not the one wanted are known by their hash. */
let table: usize = 0;
const PLACE_SIZE: usize = 8;
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
  const known = load<u32>(place, 4);
  return known == 0 ? null : changetype<Entity>(<usize>known);
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

function entityFor(kind: i32, hash: u32, key: usize, keyLength: usize): Entity {
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
function levelFor(entity: Entity, lengthMs: i64): Level {
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
function newestRow(level: Level): Row {
  return changetype<Row>(changetype<usize>(level) + offsetof<Level>('newestStart'));
}

@inline
function olderRow(level: Level, index: i32): Row {
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
@inline
function rowFor(level: Level, hash: u32, tileStart: i64): Row {
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
  row.used = era;
  return row;
}

@inline
function copyRow(to: Row, from: Row): void {
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

/** Blocks are multiples of 16, so bytes are copied in steps of that. */
@inline
function setBytes(row: Row, from: usize, length: usize): void {
  if (row.bytes == 0 || roundedSize(length) != roundedSize(<usize>row.length)) {
    give(row.bytes, <usize>row.length);
    row.bytes = length == 0 ? 0 : take(length);
  }
  copyLoosely(row.bytes, from, length);
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

/** Entity and key of a change as its bytes begin: the change after it mostly begins alike. None where `lastHeadSize` is 0. */
let lastHead: usize = 0;
let lastHeadSize: usize = 0;
let isSameEntity: bool = false;

/** Reads one Change with its fields in ascending order; returns where the next one starts, 0 when malformed. */
function readChange(at: usize, end: usize): usize {
  if (at >= end || load<u8>(at) != 0x0a) return 0;
  const length = readVarint(at + 1, end);
  if (!varintOk || length > <u64>(end - varintNext)) return 0;
  at = varintNext;
  const next = at + <usize>length;
  changeLevel = 0;
  changeTileStart = 0;
  changeFeaturesLength = 0;
  changeFeatures = at;
  isSameEntity = lastHeadSize > 0 && next - at >= lastHeadSize && isSame(at, lastHead, lastHeadSize);
  if (isSameEntity) at += lastHeadSize;
  else {
    lastHead = at;
    lastHeadSize = 0;
    changeEntity = 0;
    changeKeyLength = 0;
    changeKey = at;
  }
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
      // A head is what is before all other fields.
      if (tag == 0x12 && changeLevel == 0 && changeTileStart == 0 && changeFeaturesLength == 0) {
        isSameEntity = false;
        lastHeadSize = at - lastHead;
      }
    } else if (tag == 0x08) {
      changeEntity = <i32>value;
      isSameEntity = false;
    } else if (tag == 0x18) changeLevel = <i64>value;
    else if (tag == 0x20) changeTileStart = unzigzag(value);
    else return 0;
  }
  return next;
}

/** Changes that are read before any of them is merged, and entities that they are of, so that memory is waited for once. */
const PENDING_MAX: usize = 1024;
const OWNERS_MAX: usize = 256;

/** Changes that were read. */
const pending: ChangeList = ChangeList.make();

/** Merges every change of a batch into its row. On a fault the changes before the faulty one have been applied: the caller stops. */
export function fold(start: usize, length: usize): i32 {
  const end = start + length;
  ran.length = 0;
  lastHeadSize = 0;
  for (let at = start; at < end; ) {
    const next = readPending(at, end);
    const outcome = mergeChanges(pending, false);
    if (outcome != FOLD_OK) return outcome;
    if (next == 0) return FOLD_MALFORMED;
    at = next;
  }
  return FOLD_OK;
}

/** Merges the changes that tile has made in this kernel. */
export function foldMade(): i32 {
  ran.length = 0;
  return mergeChanges(madeChanges(), true);
}

/** Reads changes until there is no room for more. Returns where the next one begins, 0 where one is malformed. */
function readPending(at: usize, end: usize): usize {
  pending.clear();
  let owner = changetype<Owner>(0);
  for (let count: usize = 0; at < end && count < PENDING_MAX && pending.ownerCount < OWNERS_MAX; count++) {
    const next = readChange(at, end);
    if (next == 0) return 0;
    if (!isSameEntity || count == 0) {
      const hash = hashKey(changeEntity, changeKey, changeKeyLength);
      owner = pending.addOwner(changeEntity, hash, changeKey, changeKeyLength);
    }
    pending.addChange(owner, changeLevel, changeTileStart, changeFeatures, changeFeaturesLength);
    at = next;
  }
  return at;
}

/** What loads have found; it keeps the loads from being left out. */
export let looked: u32 = 0;

/**
 * Looks at the memory that the merges are going to need, one step for all owners [from, to) before the next step: the processor
 * waits for many places at a time, where each merge by itself would wait for one after the other. Nothing else comes of it.
 */
function lookAhead(list: ChangeList, from: usize, to: usize): void {
  if (tableSize == 0) return;
  for (let i = from; i < to; i++) {
    const owner = list.ownerAt(i);
    const place = table + <usize>firstPlace(owner.hash) * PLACE_SIZE;
    owner.guess = select<usize>(<usize>load<u32>(place, 4), 0, load<u32>(place) == owner.hash);
  }
  for (let i = from; i < to; i++) {
    const owner = list.ownerAt(i);
    owner.levels = owner.guess == 0 ? 0 : changetype<Entity>(owner.guess).levels;
  }
  let found: u32 = 0;
  for (let i = from; i < to; i++) {
    const owner = list.ownerAt(i);
    if (owner.levels == 0) continue;
    const count = changetype<Entity>(owner.guess).levelCount;
    for (let j = 0; j < count; j++) {
      const level = changetype<Level>(owner.levels + <usize>j * offsetof<Level>());
      found ^= load<u32>(level.newestBytes);
      // Where the newest goes when a newer one comes.
      if (level.count > 1) found ^= load<u32>(level.rows + <usize>(level.count - 1) * offsetof<Row>());
    }
  }
  looked = found;
}

/** @param isOurs features are rows in canonical form, as this kernel has just made them */
function mergeChanges(list: ChangeList, isOurs: bool): i32 {
  const count = list.ownerCount;
  let at = list.changes.start;
  for (let from: usize = 0; from < count; from += OWNERS_MAX) {
    const to = min(from + OWNERS_MAX, count);
    lookAhead(list, from, to);
    for (let i = from; i < to; i++) {
      const owner = list.ownerAt(i);
      const end = at + <usize>owner.changeCount * offsetof<Change>();
      const outcome = mergeOwner(owner, at, end, list.features, isOurs);
      if (outcome != ROW_OK) return outcome == ROW_MALFORMED ? FOLD_MALFORMED : FOLD_UNKNOWN_CASE;
      at = end;
    }
  }
  return FOLD_OK;
}

function mergeOwner(owner: Owner, from: usize, to: usize, features: usize, isOurs: bool): i32 {
  const entity = entityFor(owner.kind, owner.hash, owner.key, <usize>owner.keyLength);
  entity.version++;
  for (let at = from; at < to; at += offsetof<Change>()) {
    const change = changetype<Change>(at);
    const level = levelFor(entity, change.levelMs);
    const row = rowFor(level, owner.hash, change.tileStart);
    const outcome = mergeInto(row, features + change.features, <usize>change.featuresLength, isOurs);
    if (outcome != ROW_OK) return outcome;
    noteChange(entity, level, row);
    if (entity.running != 0) noteRan(entity, change, features);
  }
  return ROW_OK;
}

/** A change of an entity that windows run along with; its features stand where the changes do. */
@unmanaged
export class Ran {
  entity: Entity;
  featuresLength: u32;
  features: usize;
  levelMs: i64;
  tileStart: i64;
}

/** Those of the last fold, batch by batch of an entity. */
const ran: Bytes = Bytes.make();

function noteRan(entity: Entity, change: Change, features: usize): void {
  ran.reserve(offsetof<Ran>());
  const noted = changetype<Ran>(ran.end);
  noted.entity = entity;
  noted.features = features + change.features;
  noted.featuresLength = change.featuresLength;
  noted.levelMs = change.levelMs;
  noted.tileStart = change.tileStart;
  ran.length += offsetof<Ran>();
}

@inline
export function ranStart(): usize {
  return ran.start;
}

@inline
export function ranEnd(): usize {
  return ran.end;
}

const merged: Bytes = Bytes.make();

@inline
function mergeInto(row: Row, features: usize, length: usize, isOurs: bool): i32 {
  const end = features + length;
  if (row.length == 0) {
    if (!isOurs && !isRow(features, end)) return ROW_MALFORMED;
    setBytes(row, features, length);
    return ROW_OK;
  }
  merged.length = 0;
  const outcome = mergeRows(row.bytes, row.bytes + <usize>row.length, features, end, merged);
  if (outcome == ROW_OK) setBytes(row, merged.start, merged.length);
  return outcome;
}

// --- filters

/** Of shorter tiles there are few that are below the floor and have no row. */
const FILTERED_MS: i64 = 3_600_000;

/** Of what rows may take, so much for each filter, and so much for all of them; and no filter is larger than this. */
const FILTER_SHARE: u32 = 32;
const FILTERS_SHARE: u32 = 4;
const FILTER_MAX: usize = 4 << 20;

/** What each takes; 0 before the first row has left. */
let filterSize: usize = 0;
/** What is left for more of them. */
let filterRoom: usize = 0;

/** Rows are going to leave for the first time. */
function beginFilters(targetBytes: usize): void {
  const most = min(targetBytes / FILTER_SHARE, FILTER_MAX);
  // A smaller one would be one block of a row or two.
  if (most < 64) return;
  filterSize = <usize>1 << (31 - clz<u32>(<u32>most));
  filterRoom = targetBytes / FILTERS_SHARE;
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) makeFilter(changetype<Stratum>(at));
  for (let i: u32 = 0; i < tableSize; i++) {
    const place = table + <usize>i * PLACE_SIZE;
    if (load<u32>(place, 4) != 0) filterEntity(changetype<Entity>(<usize>load<u32>(place, 4)), load<u32>(place));
  }
}

/** Without one row that it could know, where memory does not have all there are. */
function makeFilter(stratum: Stratum): void {
  const isFiltered = stratum.levelMs == 0 || stratum.levelMs >= FILTERED_MS;
  if (!isFiltered || filterSize > filterRoom) return;
  filterRoom -= filterSize;
  stratum.filter = take(filterSize);
  memory.fill(stratum.filter, 0, filterSize);
  stratum.filteredFrom = stratum.floor == i64.MIN_VALUE ? stratum.highest : stratum.highest + 1;
}

function filterEntity(entity: Entity, hash: u32): void {
  for (let i = 0; i < entity.levelCount; i++) {
    const level = levelAt(entity, i);
    const stratum = level.stratum;
    if (stratum.filter == 0) continue;
    for (let j = lowerBound(level, stratum.filteredFrom); j < level.count; j++)
      addToFilter(stratum.filter, filterSize, filterHash(hash, rowAt(level, j).tileStart));
  }
}

/** A row more: with the first one of a new tile those of the tiles before it are forgotten. */
function noteInFilter(stratum: Stratum, hash: u32, tileStart: i64): void {
  if (tileStart > stratum.highest) {
    memory.fill(stratum.filter, 0, filterSize);
    stratum.filteredFrom = tileStart;
  }
  if (tileStart >= stratum.filteredFrom) addToFilter(stratum.filter, filterSize, filterHash(hash, tileStart));
}

/** There is no such row, neither in memory nor in the store; false where that is not known. */
function isNew(stratum: Stratum, key: usize, keyLength: usize, tileStart: i64): bool {
  if (stratum.filter == 0 || tileStart < stratum.filteredFrom) return false;
  return !mayHave(stratum.filter, filterSize, filterHash(hashKey(stratum.kind, key, keyLength), tileStart));
}

// --- rows that leave and come back

/** One row's address, for the glue: kind i32, key length u32, key u32, unused u32, level i64, tile start i64. */
export const ADDRESS_SIZE: usize = 32;
const listed: Bytes = Bytes.make();

export function listedStart(): usize {
  return listed.start;
}

export function listedCount(): i32 {
  return <i32>(listed.length / ADDRESS_SIZE);
}

function listRow(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): void {
  listed.reserve(ADDRESS_SIZE);
  const at = listed.end;
  store<i32>(at, kind);
  store<u32>(at, <u32>keyLength, 4);
  store<u32>(at, <u32>key, 8);
  store<u32>(at, 0, 12);
  store<i64>(at, levelMs, 16);
  store<i64>(at, tileStart, 24);
  listed.length += ADDRESS_SIZE;
}

/** For rows that are not touched by changes (upsert.ts). */
export function startList(): void {
  listed.length = 0;
}

export function listOne(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): void {
  listRow(kind, key, keyLength, levelMs, tileStart);
}

/** Memory has all that there is of a row. */
export function isInMemory(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): bool {
  return tileStart >= stratumFor(kind, levelMs).floor || knows(kind, key, keyLength, levelMs, tileStart);
}

/** Puts a row in the place of whatever is there. Memory has to have that. */
export function putRow(
  kind: i32,
  key: usize,
  keyLength: usize,
  levelMs: i64,
  tileStart: i64,
  bytes: usize,
  length: usize,
): void {
  const hash = hashKey(kind, key, keyLength);
  const entity = entityFor(kind, hash, key, keyLength);
  entity.version++;
  const level = levelFor(entity, levelMs);
  const row = rowFor(level, hash, tileStart);
  setBytes(row, bytes, length);
  noteChange(entity, level, row);
}

/** What `listed` has, in order of addresses and each once, as run.ts has them: rows without a value. */
const wanted: Bytes = Bytes.make();
/** The place in `listed` of each of them. */
const wantedPlaces: Bytes = Bytes.make();

export function wantedStart(): usize {
  return wanted.start;
}

export function wantedLength(): usize {
  return wanted.length;
}

@unmanaged
class Listed {
  kind: i32;
  keyLength: u32;
  key: u32;
  unused: u32;
  levelMs: i64;
  tileStart: i64;
}

@inline
function listedAt(index: usize): Listed {
  return changetype<Listed>(listed.start + index * ADDRESS_SIZE);
}

@inline
function wantedAt(index: usize): Listed {
  return listedAt(<usize>load<u32>(wantedPlaces.start + (index << 2)));
}

/** Puts what is listed in order; returns how many rows that are. */
export function wantListed(): i32 {
  wanted.length = 0;
  wantedPlaces.length = 0;
  const count = listed.length / ADDRESS_SIZE;
  if (count == 0) return 0;
  wantedPlaces.reserve(count << 2);
  wantedPlaces.length = count << 2;
  beginOrder(count);
  for (let i: usize = 0; i < count; i++) {
    const row = listedAt(i);
    addToOrder(row.kind, <usize>row.key, <usize>row.keyLength, <u32>i);
  }
  endOrder(wantedPlaces.start);
  beginPart();
  let kept: usize = 0;
  for (let from: usize = 0; from < count; ) {
    const first = wantedAt(from);
    let to = from + 1;
    while (to < count && isSameKey(first, wantedAt(to))) to++;
    sortTiles(from, to);
    beginKey(first.kind, <usize>first.key, <usize>first.keyLength);
    for (; from < to; from++) {
      const row = wantedAt(from);
      if (kept > 0 && isSameTile(wantedAt(kept - 1), row) && isSameKey(wantedAt(kept - 1), row)) continue;
      appendRow(wanted, row.levelMs, row.tileStart, 0, 0);
      store<u32>(wantedPlaces.start + (kept << 2), load<u32>(wantedPlaces.start + (from << 2)));
      kept++;
    }
  }
  wantedPlaces.length = kept << 2;
  return <i32>kept;
}

@inline
function isSameKey(row: Listed, other: Listed): bool {
  if (row.kind != other.kind || row.keyLength != other.keyLength) return false;
  return row.key == other.key || isSame(<usize>row.key, <usize>other.key, <usize>row.keyLength);
}

@inline
function isSameTile(row: Listed, other: Listed): bool {
  return row.levelMs == other.levelMs && row.tileStart == other.tileStart;
}

/** Rows [from, to) of one key by level and tile start: they come level by level, and few are out of place. */
function sortTiles(from: usize, to: usize): void {
  for (let i = from + 1; i < to; i++) {
    const place = load<u32>(wantedPlaces.start + (i << 2));
    const row = listedAt(<usize>place);
    let at = i;
    for (; at > from && isTileBefore(row, wantedAt(at - 1)); at--)
      store<u32>(wantedPlaces.start + (at << 2), load<u32>(wantedPlaces.start + ((at - 1) << 2)));
    store<u32>(wantedPlaces.start + (at << 2), place);
  }
}

@inline
function isTileBefore(row: Listed, other: Listed): bool {
  return row.levelMs != other.levelMs ? row.levelMs < other.levelMs : row.tileStart < other.tileStart;
}

/**
 * Puts rows [from, to) back of those that are wanted: of each the store has so many bytes (a u32; 0 where it has none), one
 * behind the other. Those that memory has already stay as they are.
 */
export function loadWanted(from: u32, to: u32, sizes: usize, values: usize, valuesLength: usize): void {
  assert(from <= to && <usize>to <= wantedPlaces.length >> 2);
  const end = values + valuesLength;
  for (let i = from; i < to; i++) {
    const row = wantedAt(<usize>i);
    const size = <usize>load<u32>(sizes + (<usize>(i - from) << 2));
    assert(size <= end - values);
    loadAt(row.kind, <usize>row.key, <usize>row.keyLength, row.levelMs, row.tileStart, values, size);
    values += size;
  }
}

/** Lists the rows that a batch of changes touches, that memory does not hold and that may exist. The keys stay where the changes are. */
export function missing(start: usize, length: usize): i32 {
  listed.length = 0;
  lastHeadSize = 0;
  const end = start + length;
  for (let at = start; at < end; ) {
    const next = readChange(at, end);
    if (next == 0) return FOLD_MALFORMED;
    listMissing(changeEntity, changeKey, changeKeyLength, changeLevel, changeTileStart);
    at = next;
  }
  return FOLD_OK;
}

/** The same for the changes that tile has made in this kernel. */
export function missingMade(): void {
  listed.length = 0;
  const list = madeChanges();
  let at = list.changes.start;
  for (let i: usize = 0; i < list.ownerCount; i++) {
    const owner = list.ownerAt(i);
    for (let left = owner.changeCount; left > 0; left--) {
      const change = changetype<Change>(at);
      listMissing(owner.kind, owner.key, <usize>owner.keyLength, change.levelMs, change.tileStart);
      at += offsetof<Change>();
    }
  }
}

@inline
function listMissing(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): void {
  if (isInMemory(kind, key, keyLength, levelMs, tileStart)) return;
  if (isNew(stratumFor(kind, levelMs), key, keyLength, tileStart)) return;
  listRow(kind, key, keyLength, levelMs, tileStart);
}

/** What memory has of a row is all there is: the row itself, or that there is none. */
function knows(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): bool {
  const entity = findEntity(kind, key, keyLength);
  if (!entity) return false;
  const level = findLevel(entity, levelMs);
  return level ? knowsRange(level, tileStart, tileStart + 1) || findRow(level, tileStart) != null : false;
}

/** Memory has every row of the level that starts in [from, to). */
export function knowsRange(level: Level, from: i64, to: i64): bool {
  if (from >= level.floor) return true;
  return level.held != 0 && hasStretch(changetype<Held>(level.held), from, min(to, level.floor));
}

function holds(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): bool {
  const entity = findEntity(kind, key, keyLength);
  if (!entity) return false;
  const level = findLevel(entity, levelMs);
  return level ? findRow(level, tileStart) != null : false;
}

/** Puts a row back that the store holds (length 0: the store has none either). Does nothing where memory has it already. */
export function loadRow(kind: i32, key: usize, keyLength: usize, levelMs: f64, tileStart: f64, bytes: usize, length: usize): void {
  loadAt(kind, key, keyLength, <i64>levelMs, <i64>tileStart, bytes, length);
}

function loadAt(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64, bytes: usize, length: usize): void {
  if (holds(kind, key, keyLength, levelMs, tileStart)) return;
  const hash = hashKey(kind, key, keyLength);
  const entity = entityFor(kind, hash, key, keyLength);
  setBytes(rowFor(levelFor(entity, levelMs), hash, tileStart), bytes, length);
}

/** From where on memory has every row of a level of an entity; null is one that it holds nothing of. */
export function floorOf(kind: i32, entity: Entity | null, levelMs: i64): i64 {
  const level = entity ? findLevel(entity, levelMs) : null;
  return level ? level.floor : stratumFor(kind, levelMs).floor;
}

/** Further on than any tile, and still a whole number of milliseconds. */
const END_MS: f64 = 9007199254740991;

/** The rows of an entity's level that start in [from, to) have all been loaded, as many as there were. */
export function holdRange(kind: i32, key: usize, keyLength: usize, levelMs: f64, from: f64, to: f64): void {
  const entity = entityFor(kind, hashKey(kind, key, keyLength), key, keyLength);
  const level = levelFor(entity, <i64>levelMs);
  const end = to > END_MS ? i64.MAX_VALUE : <i64>to;
  if (end < level.floor) holdStretch(level, <i64>from, end);
  else if (<i64>from < level.floor) {
    level.floor = <i64>from;
    if (level.held != 0) level.floor = takeStretch(changetype<Held>(level.held), level.floor);
  }
}

function holdStretch(level: Level, from: i64, to: i64): void {
  if (level.held == 0) {
    level.held = take(HELD_SIZE);
    changetype<Held>(level.held).count = 0;
  }
  addStretch(changetype<Held>(level.held), from, to);
}

// --- dirty rows
//
// Between two barriers rows are of one edition: a row notes the edition that it was last changed in. Of the current one are
// those that are dirty; of the last one, while it is in flight, those that are being written; all others are clean. So a row
// that changes while it is being written is dirty again, and what has been written becomes clean without a look at any row.

let edition: u32 = 1;
/** Whether the edition before this is in flight. */
let isInFlight: bool = false;

/** Entities (u32 each) that have rows of the current edition. */
const dirty: Bytes = Bytes.make();
/** How many rows those are, and what they took when they became dirty. */
let dirtyRows: i32 = 0;
let dirtySize: usize = 0;

/** A row has just been changed. */
@inline
function noteChange(entity: Entity, level: Level, row: Row): void {
  row.used = era;
  if (row.edition != edition) markDirty(entity, level, row);
}

@inline
function markDirty(entity: Entity, level: Level, row: Row): void {
  row.edition = edition;
  dirtyRows++;
  dirtySize += blockSize(row) + offsetof<Row>();
  if (level.edition == edition) {
    level.dirtyStart = min(level.dirtyStart, row.tileStart);
    return;
  }
  level.edition = edition;
  level.dirtyStart = row.tileStart;
  if (entity.edition == edition) return;
  entity.edition = edition;
  dirty.reserve(4);
  store<u32>(dirty.end, <u32>changetype<usize>(entity));
  dirty.length += 4;
}

/** The store has its bytes, as far as this knows. */
@inline
function isClean(row: Row): bool {
  return row.edition < edition - (isInFlight ? 1 : 0);
}

export function dirtyCount(): i32 {
  return dirtyRows;
}

export function dirtyBytes(): f64 {
  return <f64>dirtySize;
}

/** Dirty rows on their way out, as packed.ts or as run.ts has them: a part of them at a time, which ends behind the row that fills it. */
const packed: Bytes = Bytes.make();
let partBytes: usize = 0;

export function packedStart(): usize {
  return packed.start;
}

export function packedLength(): usize {
  return packed.length;
}

/** How far packing has come: the entity, by its place among those that are dirty, and the next row of it. */
let packingEntity: usize = 0;
let packingLevel: i64 = 0;
let packingStart: i64 = 0;

/** Dirty rows are going to be packed from the first one on: `packPart` follows, and nothing else that changes rows. */
export function startPacking(): void {
  const count = dirty.length >> 2;
  beginOrder(count);
  for (let i: usize = 0; i < count; i++) {
    const entity = dirtyEntity(i);
    addToOrder(entity.kind, entity.key, <usize>entity.keyLength, <u32>changetype<usize>(entity));
  }
  endOrder(dirty.start);
  packingEntity = 0;
  packingLevel = 0;
  packingStart = i64.MIN_VALUE;
}

/**
 * Packs the next part of the dirty rows, in order of their addresses; false when there are no more. They stay dirty.
 *
 * @param isRun as run.ts has them, or else as packed.ts
 * @param bytes that fill the part
 */
export function packPart(isRun: bool, bytes: u32): bool {
  packed.length = 0;
  partBytes = <usize>bytes;
  beginPart();
  for (; packingEntity < dirty.length >> 2; packingEntity++) {
    const entity = dirtyEntity(packingEntity);
    lookForPacking(packingEntity);
    if (isRun) beginKey(entity.kind, entity.key, <usize>entity.keyLength);
    if (!packEntity(entity, isRun)) return true;
    packingLevel = 0;
  }
  return packed.length > 0;
}

@inline
function dirtyEntity(index: usize): Entity {
  return changetype<Entity>(<usize>load<u32>(dirty.start + (index << 2)));
}

/** Looks at what entities behind this one need of memory, each step of it some entities before the next step. */
function lookForPacking(index: usize): void {
  const count = dirty.length >> 2;
  let found: u32 = 0;
  if (index + 24 < count) found ^= dirtyEntity(index + 24).keyLength;
  if (index + 16 < count) {
    const entity = dirtyEntity(index + 16);
    for (let i = 0; i < entity.levelCount; i++) found ^= <u32>levelAt(entity, i).count;
  }
  if (index + 8 < count) {
    const entity = dirtyEntity(index + 8);
    for (let i = 0; i < entity.levelCount; i++) {
      const level = levelAt(entity, i);
      found ^= load<u32>(level.newestBytes) ^ load<u32>(level.rows);
    }
  }
  looked = found;
}

/** Level by level, the shortest first: they stand in the order in which they were touched. False where the part is full. */
function packEntity(entity: Entity, isRun: bool): bool {
  for (let level = levelFrom(entity, packingLevel); level != null; level = levelFrom(entity, packingLevel)) {
    if (level.edition == edition && !packLevel(entity, level, isRun)) return false;
    packingLevel = level.lengthMs + 1;
    packingStart = i64.MIN_VALUE;
  }
  return true;
}

/** The shortest level that is not shorter than this. */
function levelFrom(entity: Entity, lengthMs: i64): Level | null {
  let found: Level | null = null;
  for (let i = 0; i < entity.levelCount; i++) {
    const level = levelAt(entity, i);
    if (level.lengthMs >= lengthMs && (found == null || level.lengthMs < found.lengthMs)) found = level;
  }
  return found;
}

function packLevel(entity: Entity, level: Level, isRun: bool): bool {
  for (let i = lowerBound(level, max(level.dirtyStart, packingStart)); i < level.count; i++) {
    const row = rowAt(level, i);
    if (row.edition != edition) continue;
    if (packed.length >= partBytes) {
      packingLevel = level.lengthMs;
      packingStart = row.tileStart;
      return false;
    }
    if (isRun) appendRow(packed, level.lengthMs, row.tileStart, row.bytes, <usize>row.length);
    else packDirtyRow(entity, level, row);
  }
  return true;
}

function packDirtyRow(entity: Entity, level: Level, row: Row): void {
  const keyLength = <usize>entity.keyLength;
  packRow(packed, entity.kind, entity.key, keyLength, level.lengthMs, row.tileStart, row.bytes, <usize>row.length);
}

/**
 * The dirty rows, all of them packed, are in flight from now on, until `settle`; those that change meanwhile are dirty again.
 * One snapshot can be in flight at a time.
 */
export function snapshotDirty(): void {
  assert(!isInFlight);
  isInFlight = true;
  startEdition();
}

function startEdition(): void {
  dirty.length = 0;
  dirtyRows = 0;
  dirtySize = 0;
  edition++;
}

/** What was in flight is in the store now; where nothing was, all dirty rows are, just packed. */
export function settle(): void {
  if (!isInFlight) startEdition();
  isInFlight = false;
}

// --- eviction

/** Counts barriers: how long ago a row was used, in a coarse way. */
let era: u32 = 0;

/** Ages are told apart up to here; older ones are alike. */
const AGES: i32 = 64;
const bytesByAge: usize = memory.data(64 * 8, 8);

export let evictedCount: i32 = 0;

/** What runs along with entities that have left (u32 each): running.ts lets go of it. */
export const departed: Bytes = Bytes.make();

/**
 * Lets the rows go that were not used for longest, until rows and their index occupy at most `targetBytes` (0 lets go of
 * all). Rows that are dirty or in flight stay: what was not written would be lost. A new era begins.
 */
export function evict(targetBytes: f64): void {
  evictedCount = 0;
  if (<f64>stateBytes > targetBytes) {
    if (filterSize == 0 && !isShared) beginFilters(<usize>targetBytes);
    const age = ageToEvict(<i64>(<f64>stateBytes - targetBytes));
    for (let i: u32 = 0; i < tableSize; i++) {
      const place = table + <usize>i * PLACE_SIZE;
      const at = <usize>load<u32>(place, 4);
      if (at != 0 && evictFrom(changetype<Entity>(at), age)) store<u32>(place, 0, 4);
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
    const at = <usize>load<u32>(table + <usize>i * PLACE_SIZE, 4);
    if (at == 0) continue;
    const entity = changetype<Entity>(at);
    for (let j = 0; j < entity.levelCount; j++) weigh(levelAt(entity, j));
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
    if (!isClean(row)) continue;
    const cell = bytesByAge + (<usize>ageOf(row) << 3);
    store<i64>(cell, load<i64>(cell) + <i64>blockSize(row) + <i64>offsetof<Row>());
  }
}

/** What its bytes occupy. */
@inline
function blockSize(row: Row): usize {
  return row.bytes == 0 ? 0 : roundedSize(<usize>row.length);
}

/** True when nothing of the entity is left. */
function evictFrom(entity: Entity, age: i32): bool {
  let kept = 0;
  for (let i = 0; i < entity.levelCount; i++) {
    const level = levelAt(entity, i);
    evictRows(level, age);
    if (level.count == 0) {
      give(level.held, HELD_SIZE);
      continue;
    }
    if (kept != i) memory.copy(changetype<usize>(levelAt(entity, kept)), changetype<usize>(level), offsetof<Level>());
    kept++;
  }
  entity.levelCount = kept;
  if (kept != 0) return false;
  if (entity.running != 0) {
    departed.reserve(4);
    store<u32>(departed.end, <u32>entity.running);
    departed.length += 4;
  }
  give(entity.levels, <usize>entity.levelCapacity * offsetof<Level>());
  give(entity.kept, <usize>entity.keptSize);
  give(changetype<usize>(entity), offsetof<Entity>() + <usize>entity.keyLength);
  entityCount--;
  return true;
}

function evictRows(level: Level, age: i32): void {
  // A level may be there only to say that it has no rows.
  if (level.count == 0) return;
  const older = level.count - 1;
  const floor = level.floor;
  let kept = 0;
  for (let i = 0; i < older; i++) {
    const row = olderRow(level, i);
    if (leaves(level, row, age, floor)) continue;
    if (kept != i) copyRow(olderRow(level, kept), row);
    kept++;
  }
  // With the newest gone, the last of the others takes its place.
  if (!leaves(level, newestRow(level), age, floor)) kept++;
  else if (kept > 0) copyRow(newestRow(level), olderRow(level, kept - 1));
  rowCount -= level.count - kept;
  level.count = kept;
  if (level.capacity > 0 && max(0, kept - 1) * 4 <= level.capacity) shrinkLevel(level);
}

/** Lets go of a row that is so old and clean. Rows leave in order; `floor` was the level's before the first of them did. */
@inline
function leaves(level: Level, row: Row, age: i32, floor: i64): bool {
  if (ageOf(row) < age || !isClean(row)) return false;
  give(row.bytes, <usize>row.length);
  if (row.tileStart < level.floor) {
    if (level.held != 0) cutStretch(changetype<Held>(level.held), row.tileStart);
  } else {
    // What is before the first one that leaves is all there, mostly because nothing is: of a young log that is where long windows begin.
    if (level.floor == floor && floor < row.tileStart) holdStretch(level, floor, row.tileStart);
    level.floor = row.tileStart + 1;
  }
  level.stratum.floor = max(level.stratum.floor, row.tileStart + 1);
  evictedCount++;
  return true;
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

/** Holes in an open table would end searches too early: what is left gets places anew, in a table of its size. */
function rebuildTable(): void {
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
