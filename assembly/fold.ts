/**
 * Changes into rows: the state of one shard.
 *
 *   entity  (kind, key)  -- hash table -->  levels, each with its newest row  -->  older rows, ascending by tile start (entity.ts)
 *
 * A row is kept as its encoded bytes, or closed to its numbers (outline.ts). Nearly all changes are of a level's newest row, or
 * make a newer one, so that one stands in the level itself, and the levels of an entity stand side by side: what a change
 * costs is mostly how often memory has to be waited for. Older rows are found by binary search. Windows read a range of tiles
 * as one stretch of rows. The fold knows no plan: it merges whatever entries come (see row.ts).
 *
 * Memory is bounded by letting rows go that were not used for longest (evict.ts), unless the store does not have them yet. A row that is not in
 * memory is read back before a change may touch it: `fold` applies a batch only after `missing` has listed the rows to be
 * loaded (come_back.ts). Not listed are rows that cannot exist: for each (kind, level) there is a floor (stratum.ts), and every row that starts at or
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
import { noteChange } from './dirty';
import {
  Entity,
  Level,
  PLACE_SIZE,
  Row,
  blockOf,
  entityFor,
  firstPlace,
  isEmpty,
  levelFor,
  mergeNumbers,
  newestRow,
  noteLooked,
  openRow,
  outlineOf,
  rowFor,
  setClosed,
  setOpen,
  setRow,
  table,
  tableSize,
} from './entity';
import { hashKey } from './key';
import { Bytes } from './memory';
import { OPENED_MAX, closeRow, closed, closedLength, openClosed, openEnd, openStart } from './outline';
import {
  beginChanges,
  changeEntity,
  changeFeatures,
  changeFeaturesLength,
  changeKey,
  changeKeyLength,
  changeLevel,
  changeTileStart,
  isSameEntity,
  readChange,
} from './read_change';
import { ROW_MALFORMED, ROW_OK, isRow, mergeRows } from './row';
import { isLeftUnread, makeUnread } from './unread';

export const FOLD_OK: i32 = 0;

/** The bytes are no batch of changes, or a row is not in canonical form. */
export const FOLD_MALFORMED: i32 = 1;

/** A change or a row holds an aggregate that this kernel does not know. */
export const FOLD_UNKNOWN_CASE: i32 = 2;

/** Changes that are read before any of them is merged, and entities that they are of, so that memory is waited for once. */
const PENDING_MAX: usize = 1024;
const OWNERS_MAX: usize = 256;

/** Changes that were read. */
const pending: ChangeList = ChangeList.make();

/** Merges every change of a batch into its row. On a fault the changes before the faulty one have been applied: the caller stops. */
export function fold(start: usize, length: usize): i32 {
  const end = start + length;
  ran.length = 0;
  beginChanges();
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
    pending.addChange(owner, changeLevel, changeTileStart, changeFeatures, changeFeaturesLength, 0);
    at = next;
  }
  return at;
}

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
      found ^= load<u32>(blockOf(newestRow(level)));
      // Where the newest goes when a newer one comes.
      if (level.count > 1) found ^= load<u32>(level.rows + <usize>(level.count - 1) * offsetof<Row>());
    }
  }
  noteLooked(found);
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
    const isUnread = isLeftUnread(level, owner.hash, change.tileStart);
    const row = rowFor(level, owner.hash, change.tileStart);
    if (isUnread) makeUnread(row);
    const outcome = mergeInto(row, change, features + change.features, isOurs);
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
  outline: u32;
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
  noted.outline = change.outline;
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

function mergeInto(row: Row, change: Change, features: usize, isOurs: bool): i32 {
  const length = <usize>change.featuresLength;
  const isNew = isEmpty(row);
  if (!isNew && outlineOf(row) == 0) return mergeOpen(row, change, features);
  let outline = change.outline;
  let numbers = features;
  let numbersLength = length;
  if (outline == 0) {
    outline = closeRow(features, features + length);
    numbers = closed;
    numbersLength = closedLength;
  }
  if (outline == 0) {
    if (!isNew) return mergeOpen(row, change, features);
    if (!isOurs && !isRow(features, features + length)) return ROW_MALFORMED;
    setOpen(row, features, length);
  } else if (isNew) setClosed(row, outline, numbers, numbersLength);
  else if (!mergeNumbers(row, outline, numbers)) return mergeOpen(row, change, features);
  return ROW_OK;
}

const merged: Bytes = Bytes.make();

/** Features that were closed, as a row. */
const spelt: usize = memory.data(<i32>OPENED_MAX, 16);

function mergeOpen(row: Row, change: Change, features: usize): i32 {
  // A row of more than integers stays that; where one has had no extreme yet it may become a row of integers alone.
  const mayClose = change.outline != 0 || outlineOf(row) != 0;
  let end = features + <usize>change.featuresLength;
  if (change.outline != 0) {
    end = spelt + openClosed(change.outline, features, spelt);
    features = spelt;
  }
  openRow(row);
  merged.length = 0;
  const outcome = mergeRows(openStart, openEnd, features, end, merged);
  if (outcome != ROW_OK) return outcome;
  if (mayClose) setRow(row, merged.start, merged.length);
  else setOpen(row, merged.start, merged.length);
  return ROW_OK;
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
  setRow(row, bytes, length);
  noteChange(entity, level, row);
}
