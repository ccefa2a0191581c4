/**
 * Rows that the store does not have yet, and their way out.
 *
 * Between two barriers rows are of one edition: a row notes the edition that it was last changed in. Of the current one are
 * those that are dirty; of the last one, while it is in flight, those that are being written; all others are clean. So a row
 * that changes while it is being written is dirty again, and what has been written becomes clean without a look at any row.
 */
import {
  Entity,
  Level,
  Row,
  blockOf,
  isUnread,
  levelAt,
  lowerBound,
  newestRow,
  noteLooked,
  numbersOf,
  openRow,
  outlineOf,
  rowAt,
  rowSize,
  useRow,
} from './entity';
import { Bytes } from './memory';
import { addToOrder, beginOrder, endOrder } from './order';
import { openEnd, openStart } from './outline';
import { packRow } from './packed';
import { appendRow, beginKey, beginPart } from './run';
import { beginSealing, endSealing, sealFolded, sealingSize } from './sealing';
import { dropUnread, unreadRows } from './unread';

export let edition: u32 = 1;

/** Whether the edition before this is in flight. */
let isInFlight: bool = false;

/** Entities (u32 each) that have rows of the current edition. */
const dirty: Bytes = Bytes.make();

/** How many rows those are, and what they will take when they are packed, by what they had when they became dirty. */
let dirtyRows: i32 = 0;
let dirtySize: usize = 0;

/** A row has just been changed. */
@inline
export function noteChange(entity: Entity, level: Level, row: Row): void {
  useRow(row);
  if (row.edition != edition) markDirty(entity, level, row);
}

@inline
function markDirty(entity: Entity, level: Level, row: Row): void {
  row.edition = edition;
  dirtyRows++;
  dirtySize += rowSize(row) + offsetof<Row>();
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
export function isClean(row: Row): bool {
  return row.edition < edition - (isInFlight ? 1 : 0);
}

export function dirtyCount(): i32 {
  return dirtyRows;
}

export function dirtyBytes(): f64 {
  return <f64>dirtySize;
}

/** How dirty rows are packed: as packed.ts has them, as run.ts has them, or sealed as a store keeps them (sealing.ts). */
export const AS_ROWS: i32 = 0;
export const AS_RUN: i32 = 1;
export const AS_PACK: i32 = 2;

/** Dirty rows on their way out, a part of them at a time, which ends behind the row that fills it. What is sealed is sealing.ts's. */
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
 * @param form AS_ROWS, AS_RUN or AS_PACK
 * @param bytes that fill the part
 */
export function packPart(form: i32, bytes: u32): bool {
  packed.length = 0;
  partBytes = <usize>bytes;
  beginPart();
  if (form != AS_PACK) return packRows(form);
  beginSealing();
  packRows(form);
  return endSealing();
}

function packRows(form: i32): bool {
  for (; packingEntity < dirty.length >> 2; packingEntity++) {
    const entity = dirtyEntity(packingEntity);
    lookForPacking(packingEntity);
    if (form != AS_ROWS) beginKey(entity.kind, entity.key, <usize>entity.keyLength);
    if (!packEntity(entity, form)) return true;
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
      found ^= load<u32>(blockOf(newestRow(level))) ^ load<u32>(level.rows);
    }
  }
  noteLooked(found);
}

/** Level by level, the shortest first: they stand in the order in which they were touched. False where the part is full. */
function packEntity(entity: Entity, form: i32): bool {
  for (let level = levelFrom(entity, packingLevel); level != null; level = levelFrom(entity, packingLevel)) {
    if (level.edition == edition && !packLevel(entity, level, form)) return false;
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

function packLevel(entity: Entity, level: Level, form: i32): bool {
  for (let i = lowerBound(level, max(level.dirtyStart, packingStart)); i < level.count; i++) {
    const row = rowAt(level, i);
    if (row.edition != edition) continue;
    const isFull = (form == AS_PACK ? sealingSize : packed.length) >= partBytes;
    if (isFull || !packAs(form, entity, level, row)) {
      packingLevel = level.lengthMs;
      packingStart = row.tileStart;
      return false;
    }
  }
  return true;
}

/** False where the part has no room for such a row. */
@inline
function packAs(form: i32, entity: Entity, level: Level, row: Row): bool {
  if (form == AS_PACK) {
    const outline = outlineOf(row);
    const at = outline == 0 ? row.bytes : numbersOf(row);
    return sealFolded(level.lengthMs, row.tileStart, outline, at, <usize>row.length, isUnread(row));
  }
  openRow(row);
  if (form == AS_RUN) appendRow(packed, level.lengthMs, row.tileStart, openStart, openEnd - openStart, isUnread(row));
  else packOpenRow(entity, level, row.tileStart);
  return true;
}

function packOpenRow(entity: Entity, level: Level, tileStart: i64): void {
  const keyLength = <usize>entity.keyLength;
  packRow(packed, entity.kind, entity.key, keyLength, level.lengthMs, tileStart, openStart, openEnd - openStart);
}

/**
 * The dirty rows, all of them packed, are in flight from now on, until `settle`; those that change meanwhile are dirty again.
 * One snapshot can be in flight at a time.
 */
export function snapshotDirty(): void {
  assert(!isInFlight && unreadRows == 0);
  isInFlight = true;
  startEdition();
}

/**
 * The dirty rows, all of them packed, are kept by whoever has taken them until the store has them, and are clean from now on; those that
 * are unread leave. What is in flight stays so.
 */
export function putAwayDirty(): void {
  for (let i: usize = 0; i < dirty.length >> 2; i++) cleanEntity(dirtyEntity(i));
  forgetDirty();
}

function cleanEntity(entity: Entity): void {
  entity.edition = 0;
  for (let i = 0; i < entity.levelCount; i++) {
    const level = levelAt(entity, i);
    if (level.edition != edition) continue;
    level.edition = 0;
    for (let j = lowerBound(level, level.dirtyStart); j < level.count; j++) {
      const row = rowAt(level, j);
      if (row.edition == edition) row.edition = 0;
    }
    if (unreadRows > 0) dropUnread(level);
  }
}

function startEdition(): void {
  forgetDirty();
  edition++;
}

function forgetDirty(): void {
  dirty.length = 0;
  dirtyRows = 0;
  dirtySize = 0;
}

/** What was in flight is in the store now; where nothing was, all dirty rows are, just packed. */
export function settle(): void {
  assert(unreadRows == 0);
  if (!isInFlight) startEdition();
  isInFlight = false;
}
