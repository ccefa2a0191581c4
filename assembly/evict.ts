/** Rows that leave memory: those that were not used for longest. */
import { holdStretch } from './come_back';
import { isClean } from './dirty';
import {
  Entity,
  Level,
  PLACE_SIZE,
  Row,
  ageOf,
  beginEra,
  blockSize,
  copyRow,
  forgetEntity,
  giveBlock,
  keepRows,
  levelAt,
  lowerBound,
  newestRow,
  olderRow,
  rebuildTable,
  rowAt,
  table,
  tableSize,
} from './entity';
import { noteDeparted } from './fresh';
import { HELD_SIZE, Held, cutStretch } from './held';
import { Bytes } from './memory';
import { give, stateBytes } from './occupied';
import { filterSize, isShared, makeFilters, putInFilter } from './stratum';

/** Ranks are told apart up to here; rows beyond are alike. */
const RANKS: i32 = 128;
const bytesByRank: usize = memory.data(128 * 8, 8);
export let evictedCount: i32 = 0;

/** What runs along with entities that have left (u32 each): running.ts lets go of it. */
export const departed: Bytes = Bytes.make();

/**
 * Lets the rows go that were not used for longest, until rows and their index occupy at most about `targetBytes` (0 lets go of
 * all). Rows that are dirty or in flight stay: what was not written would be lost. A new era begins.
 */
export function evict(targetBytes: f64): void {
  evictedCount = 0;
  if (<f64>stateBytes > targetBytes) {
    if (filterSize == 0 && !isShared) beginFilters(<usize>targetBytes);
    const rank = targetBytes == 0 ? 0 : rankToEvict(<i64>(<f64>stateBytes - targetBytes));
    for (let i: u32 = 0; i < tableSize; i++) {
      const place = table + <usize>i * PLACE_SIZE;
      const at = <usize>load<u32>(place, 4);
      if (at == 0) continue;
      const hash = load<u32>(place);
      if (evictFrom(changetype<Entity>(at), rank)) store<u32>(place, 0, 4);
      if (!isFreshGone) continue;
      isFreshGone = false;
      noteDeparted(hash, targetBytes);
    }
    rebuildTable();
  }
  beginEra();
}

/** A fresh row (fresh.ts) of the entity that was looked at last has left. */
let isFreshGone: bool = false;

/**
 * Rows leave from the highest rank on: that of those not used for longest. Of rows that were last used in the same era those go
 * first whose tile is over, for there is a later one of their level: events hardly come to them any more, and all that a log which is
 * ahead of its rows has filled memory with is of one era.
 */
@inline
function rankOf(level: Level, row: Row): i32 {
  const isOver = row.tileStart < level.stratum.highest;
  return <i32>min<u32>((ageOf(row) << 1) + <u32>isOver, <u32>(RANKS - 1));
}

/** Of a larger table some of its places, which keys have by their hash, say what all of them have: no more of it is looked at twice. */
const WEIGHED_PLACES: u32 = 1 << 14;

/** The greatest rank that, with all beyond it, frees enough, or in a large table about enough. */
function rankToEvict(bytes: i64): i32 {
  memory.fill(bytesByRank, 0, <usize>RANKS << 3);
  const step = max<u32>(tableSize / WEIGHED_PLACES, 1);
  for (let i: u32 = 0; i < tableSize; i += step) {
    const at = <usize>load<u32>(table + <usize>i * PLACE_SIZE, 4);
    if (at == 0) continue;
    const entity = changetype<Entity>(at);
    for (let j = 0; j < entity.levelCount; j++) weigh(levelAt(entity, j));
  }
  let freed: i64 = 0;
  for (let rank = RANKS - 1; rank > 0; rank--) {
    freed += load<i64>(bytesByRank + (<usize>rank << 3)) * <i64>step;
    if (freed >= bytes) return rank;
  }
  return 0;
}

function weigh(level: Level): void {
  for (let i = 0; i < level.count; i++) {
    const row = rowAt(level, i);
    if (!isClean(row)) continue;
    const cell = bytesByRank + (<usize>rankOf(level, row) << 3);
    store<i64>(cell, load<i64>(cell) + <i64>blockSize(row) + <i64>offsetof<Row>());
  }
}

/** True when nothing of the entity is left. */
function evictFrom(entity: Entity, rank: i32): bool {
  let kept = 0;
  for (let i = 0; i < entity.levelCount; i++) {
    const level = levelAt(entity, i);
    evictRows(level, rank);
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
  forgetEntity(entity);
  return true;
}

function evictRows(level: Level, rank: i32): void {
  // A level may be there only to say that it has no rows.
  if (level.count == 0) return;
  const older = level.count - 1;
  const floor = level.floor;
  let kept = 0;
  for (let i = 0; i < older; i++) {
    const row = olderRow(level, i);
    if (leaves(level, row, rank, floor)) continue;
    if (kept != i) copyRow(olderRow(level, kept), row);
    kept++;
  }
  // With the newest gone, the last of the others takes its place.
  if (!leaves(level, newestRow(level), rank, floor)) kept++;
  else if (kept > 0) copyRow(newestRow(level), olderRow(level, kept - 1));
  keepRows(level, kept);
}

/** Lets go of a row of such a rank that is clean. Rows leave in order; `floor` was the level's before the first of them did. */
@inline
function leaves(level: Level, row: Row, rank: i32, floor: i64): bool {
  if (rankOf(level, row) < rank || !isClean(row)) return false;
  giveBlock(row);
  if (row.tileStart < level.floor) {
    if (level.held != 0) cutStretch(changetype<Held>(level.held), row.tileStart);
  } else {
    // What is before the first one that leaves is all there, mostly because nothing is: of a young log that is where long windows begin.
    if (level.floor == floor && floor < row.tileStart) holdStretch(level, floor, row.tileStart);
    level.floor = row.tileStart + 1;
  }
  if (row.tileStart >= level.stratum.freshFrom) isFreshGone = true;
  level.stratum.floor = max(level.stratum.floor, row.tileStart + 1);
  evictedCount++;
  return true;
}

/** Rows are going to leave for the first time. */
function beginFilters(targetBytes: usize): void {
  if (!makeFilters(targetBytes)) return;
  for (let i: u32 = 0; i < tableSize; i++) {
    const place = table + <usize>i * PLACE_SIZE;
    if (load<u32>(place, 4) != 0) filterEntity(changetype<Entity>(<usize>load<u32>(place, 4)), load<u32>(place));
  }
}

function filterEntity(entity: Entity, hash: u32): void {
  for (let i = 0; i < entity.levelCount; i++) {
    const level = levelAt(entity, i);
    const stratum = level.stratum;
    if (stratum.filter == 0) continue;
    for (let j = lowerBound(level, stratum.filteredFrom); j < level.count; j++)
      putInFilter(stratum, hash, rowAt(level, j).tileStart);
  }
}
