/** Rows that are wanted and not in memory: listed, put in order for the store, and put back. */
import { Change, madeChanges } from './change';
import { Entity, Level, entityFor, findEntity, findLevel, findRow, levelFor, rowFor, setRow } from './entity';
import { FOLD_MALFORMED, FOLD_OK } from './fold';
import { isFresh } from './fresh';
import { HELD_SIZE, Held, addStretch, hasStretch, takeStretch } from './held';
import { hashKey } from './key';
import { Bytes, isSame } from './memory';
import { take } from './occupied';
import { addToOrder, beginOrder, endOrder } from './order';
import {
  beginChanges,
  changeEntity,
  changeKey,
  changeKeyLength,
  changeLevel,
  changeTileStart,
  readChange,
} from './read_change';
import { appendRow, beginKey, beginPart } from './run';
import { Stratum, isNew, strata, stratumFor } from './stratum';

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

/** Fills the list with (kind, level, greatest tile start): an address without a key each. */
export function listHighest(): void {
  startList();
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) {
    const stratum = changetype<Stratum>(at);
    if (stratum.highest != i64.MIN_VALUE) listRow(stratum.kind, 0, 0, stratum.levelMs, stratum.highest);
  }
}

/** Memory has all that there is of a row. */
export function isInMemory(kind: i32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): bool {
  return tileStart >= stratumFor(kind, levelMs).floor || knows(kind, key, keyLength, levelMs, tileStart);
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
      appendRow(wanted, row.levelMs, row.tileStart, 0, 0, false);
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
  startList();
  beginChanges();
  const end = start + length;
  for (let at = start; at < end; ) {
    const next = readChange(at, end);
    if (next == 0) return FOLD_MALFORMED;
    const hash = hashKey(changeEntity, changeKey, changeKeyLength);
    listMissing(changeEntity, hash, changeKey, changeKeyLength, changeLevel, changeTileStart);
    at = next;
  }
  return FOLD_OK;
}

/** The same for the changes that tile has made in this kernel. */
export function missingMade(): void {
  startList();
  const list = madeChanges();
  let at = list.changes.start;
  for (let i: usize = 0; i < list.ownerCount; i++) {
    const owner = list.ownerAt(i);
    for (let left = owner.changeCount; left > 0; left--) {
      const change = changetype<Change>(at);
      listMissing(owner.kind, owner.hash, owner.key, <usize>owner.keyLength, change.levelMs, change.tileStart);
      at += offsetof<Change>();
    }
  }
}

@inline
function listMissing(kind: i32, hash: u32, key: usize, keyLength: usize, levelMs: i64, tileStart: i64): void {
  const stratum = stratumFor(kind, levelMs);
  if (tileStart >= stratum.floor || knows(kind, key, keyLength, levelMs, tileStart)) return;
  if (isNowhere(stratum, hash, tileStart)) return;
  listRow(kind, key, keyLength, levelMs, tileStart);
}

/** What memory does not have of a row is not in the store either. */
@inline
function isNowhere(stratum: Stratum, hash: u32, tileStart: i64): bool {
  return isFresh(stratum, hash, tileStart) || isNew(stratum, hash, tileStart);
}

/** The store may have such a row, and memory does not. */
export function lacks(level: Level, hash: u32, tileStart: i64): bool {
  const stratum = level.stratum;
  if (tileStart >= stratum.floor || knowsRange(level, tileStart, tileStart + 1)) return false;
  return findRow(level, tileStart) == null && !isNowhere(stratum, hash, tileStart);
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
  setRow(rowFor(levelFor(entity, levelMs), hash, tileStart), bytes, length);
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

export function holdStretch(level: Level, from: i64, to: i64): void {
  if (level.held == 0) {
    level.held = take(HELD_SIZE);
    changetype<Held>(level.held).count = 0;
  }
  addStretch(changetype<Held>(level.held), from, to);
}
