/**
 * Events into changes: stateless.
 *
 *   1. pick     events for which `where` is true and neither a key column nor the weight is null; of a batch, or of one batch
 *               after the other, and then what is needed of them is copied
 *   2. key      the same keys are found in a hash table that lives until the events are tiled, and events are put in order of
 *               their keys, those of one key in order of time
 *   3. tile     of each key and level, events of one tile stand side by side: they update one set of unpacked states
 *   4. emit     one Change (proto/tilefold/v1/change.proto) per row touched, to the buffer of the key's shard; those of one
 *               key follow on each other, so that whoever folds them finds their entity once
 *
 * A group is what shares the work of one hash: aggregates over the same event type with the same keys, selection and
 * tile levels. Every aggregate of the group gets an entry in every row that a selected event touches, nulls or not,
 * so what a row holds does not depend on how events were cut into batches.
 */
import { clearSize, hasStart, setMoment, start, stateSize, update } from './aggregate';
import { Arena } from './arena';
import { forgetCounts } from './counts';
import { Frame, registerOf } from './expression';
import { forgetSketches } from './hyperloglog';
import { KeyKind, buildKey, hashKey, keyLength, keyStart } from './key';
import { NUMBERS, TEXT } from './kind';
import { forgetRecent } from './last_n';
import { Bytes, allocate, allocateZeroed, copyLoosely, isSame, release } from './memory';
import { addToOrder, beginOrder, endOrder } from './order';
import { makeRefusals, refuse } from './late';
import {
  firstPosition,
  hasBefore,
  recordBefore,
  recordClock,
  recordCount,
  recordRow,
  recordType,
  timeRegister,
  typeAt,
  typeFrame,
} from './ndjson';
import { nestedSize } from './nested';
import { forgetRankings, rankBy } from './ranking';
import { appendEntry } from './row';
import { varintSize, writeVarint, zigzag } from './varint';

/** Tile levels of one group, the lifetime among them. */
export const LEVELS_MAX: i32 = 8;

@unmanaged
class Member {
  id: i32;
  aggregateCase: i32;
  /** Index of the value among the group's columns, and INTEGER, REAL or TEXT; -1 counts the event itself. */
  value: i32;
  kind: i32;
  /** What its states are told before they are updated: how many values are kept, how precisely, or a half-life in milliseconds. */
  limit: i64;
  hasStart: bool;
  /** Index among the columns of what values are ranked by, and what that is; -1 where they are not. */
  rank: i32;
  rankKind: i32;
  /** Of its state. */
  offset: usize;
  clearSize: usize;
}

@unmanaged
class Level {
  /** 0 is the lifetime. */
  lengthMs: i64;
  /** How long past its start a tile takes events, by the type's clock; -1 for ever. */
  ttlMs: i64;
  /** Events refused because their tile had expired (late.ts). */
  refusals: usize;
  /** Start of the tile that was found last. */
  lastMs: i64;
}

@unmanaged
class Group {
  type: i32;
  entity: i32;
  frame: Frame;
  /** The column of the events' times: in a changelog a row may have one of its own. */
  times: usize;
  /** A record may take back a row besides its own. */
  hasBefore: bool;
  /** -1 takes every event. */
  where: i32;
  /** -1 is weight 1 throughout. */
  weight: i32;
  offsetMs: i64;
  keyCount: i32;
  /** (register, KeyKind) pairs. */
  keyColumns: usize;
  /** Events read it: it is tiled record by record (sequence.ts), and not with the others. */
  isSequenced: bool;
  memberCount: i32;
  members: usize;
  levelCount: i32;
  levels: usize;
  stateSize: usize;
  /** The states of one row, used for one after the other. */
  states: usize;
  /** Registers that members take values from, each once: (register, kind) pairs. */
  columnCount: i32;
  columns: usize;
  /** Picked events, each with its values behind it, and keys that they touch. */
  events: Bytes;
  eventSize: usize;
  eventCount: u32;
  keyed: Bytes;
  keyedCount: u32;
  /** Keys that do not stand in the input, and texts that have to outlive their batch. */
  texts: Arena;
  /** Places of (stamp u32, index of Keyed u32): one of an older stamp is empty, so that nothing is ever cleared. */
  table: usize;
  tableSize: u32;
  stamp: u32;
}

const GROUPS_MAX: i32 = 4096;
const groups: usize = memory.data(4096 * sizeof<usize>(), 8);
let groupCount = 0;

export function addGroup(
  type: i32,
  entity: i32,
  where: i32,
  weight: i32,
  offsetMs: f64,
  keyCount: i32,
  memberCount: i32,
  levelCount: i32,
): i32 {
  assert(groupCount < GROUPS_MAX && levelCount <= LEVELS_MAX);
  const group = changetype<Group>(allocateZeroed(offsetof<Group>()));
  group.type = type;
  group.entity = entity;
  group.frame = typeFrame(type);
  group.hasBefore = hasBefore(typeAt(type));
  group.times = registerOf(group.frame, timeRegister(typeAt(type))).values;
  group.where = where;
  group.weight = weight;
  group.offsetMs = <i64>offsetMs;
  group.keyCount = keyCount;
  group.keyColumns = allocateZeroed((<usize>keyCount << 3) + 1);
  group.memberCount = memberCount;
  group.members = allocateZeroed(<usize>memberCount * offsetof<Member>() + 1);
  group.levelCount = levelCount;
  group.levels = allocateZeroed(<usize>levelCount * offsetof<Level>() + 1);
  // A value and a rank of each member, at most.
  group.columns = allocateZeroed((<usize>memberCount << 4) + 1);
  group.eventSize = PICKED_SIZE;
  group.events = Bytes.make();
  group.keyed = Bytes.make();
  group.texts = Arena.make();
  growTable(group);
  store<usize>(groups + <usize>groupCount * sizeof<usize>(), changetype<usize>(group));
  return groupCount++;
}

@inline
function groupAt(index: i32): Group {
  assert(<u32>index < <u32>groupCount);
  return changetype<Group>(load<usize>(groups + <usize>index * sizeof<usize>()));
}

@inline
function memberAt(group: Group, index: i32): Member {
  return changetype<Member>(group.members + <usize>index * offsetof<Member>());
}

@inline
function levelAt(group: Group, index: i32): Level {
  return changetype<Level>(group.levels + <usize>index * offsetof<Level>());
}

export function setKeyColumn(group: i32, index: i32, register: i32, kind: i32): void {
  assert(<u32>index < <u32>groupAt(group).keyCount);
  const column = groupAt(group).keyColumns + (<usize>index << 3);
  store<i32>(column, register);
  store<i32>(column, kind, 4);
}

/** Members come in ascending order of id: that is the order of a row's entries. */
export function setMember(
  group: i32,
  index: i32,
  id: i32,
  aggregateCase: i32,
  value: i32,
  kind: i32,
  limit: f64,
): void {
  const owner = groupAt(group);
  assert(<u32>index < <u32>owner.memberCount && (index == 0 || memberAt(owner, index - 1).id < id));
  const member = memberAt(owner, index);
  member.id = id;
  member.aggregateCase = aggregateCase;
  member.value = value < 0 ? -1 : columnOf(owner, value, kind);
  member.kind = kind;
  member.limit = <i64>limit;
  member.hasStart = hasStart(aggregateCase);
  member.rank = -1;
  member.offset = owner.stateSize;
  member.clearSize = clearSize(aggregateCase);
  owner.stateSize += stateSize(aggregateCase);
  // Members are set once and in order: with the last one all states have their places.
  if (index + 1 == owner.memberCount) owner.states = allocateZeroed(owner.stateSize + 1);
}

/** Events have room for a value of each column, and behind all of them for a byte that says whether it is null. */
function columnOf(group: Group, register: i32, kind: i32): i32 {
  for (let i = 0; i < group.columnCount; i++) {
    if (load<i32>(columnAt(group, i)) != register) continue;
    // Who counts lists does not look into them; others do.
    store<i32>(columnAt(group, i), max(kind, load<i32>(columnAt(group, i), 4)), 4);
    return i;
  }
  store<i32>(columnAt(group, group.columnCount), register);
  store<i32>(columnAt(group, group.columnCount), kind, 4);
  group.columnCount++;
  group.eventSize = PICKED_SIZE + (<usize>group.columnCount << 3) + ((<usize>group.columnCount + 7) & ~7);
  return group.columnCount - 1;
}

@inline
function columnAt(group: Group, index: i32): usize {
  return group.columns + (<usize>index << 3);
}

/** What the values of a member are ranked by. */
export function setMemberRank(group: i32, index: i32, register: i32, kind: i32): void {
  const owner = groupAt(group);
  assert(<u32>index < <u32>owner.memberCount);
  const member = memberAt(owner, index);
  member.rank = columnOf(owner, register, kind);
  member.rankKind = kind;
}

export function setSequenced(group: i32): void {
  groupAt(group).isSequenced = true;
}

export function setLevel(group: i32, index: i32, lengthMs: f64, ttlMs: f64): void {
  assert(<u32>index < <u32>groupAt(group).levelCount);
  const level = levelAt(groupAt(group), index);
  level.lengthMs = <i64>lengthMs;
  level.ttlMs = <i64>ttlMs;
  level.refusals = makeRefusals();
  if (level.lengthMs > 0) level.lastMs = floorTile(0, level.lengthMs, groupAt(group).offsetMs);
}

export function refusalsOf(group: i32, level: i32): usize {
  assert(<u32>level < <u32>groupAt(group).levelCount);
  return levelAt(groupAt(group), level).refusals;
}

// --- picked events, and their keys

/** An event that counts; its values follow, from this offset on. */
const PICKED_SIZE: usize = 48;

@unmanaged
class Picked {
  timeMicros: i64;
  timeMs: i64;
  clockMicros: i64;
  position: i64;
  weight: i64;
  /** Its key, by index. */
  key: u32;
}

/** A key that picked events touch, and its events: `count` of the ordered ones, from `first` on. */
@unmanaged
class Keyed {
  hash: u32;
  length: u32;
  start: usize;
  count: u32;
  first: u32;
}

assert(offsetof<Picked>() <= PICKED_SIZE);

/** Addresses of picked events (u32), key by key: of the group that is being tiled. */
const ordered: Bytes = Bytes.make();

/** Twice as many places as keys keep probes short. */
const TABLE_SIZE_MIN: u32 = 1024;

/** Of which shard's keys events are picked; -1 for those of all. */
let pickedShard: i32 = -1;

/** Events are picked while those before them wait to be tiled: so their keys and texts are copied out of the batch. */
let isKept: bool = false;

// --- changes, by shard

export const SHARDS_MAX: i32 = 64;
let shardCount: i32 = 0;
const shardBuffers: usize = memory.data(64 * sizeof<usize>(), 8);

export function setShards(count: i32): void {
  assert(count >= 1 && count <= SHARDS_MAX);
  for (; shardCount < count; shardCount++)
    store<usize>(shardBuffers + <usize>shardCount * sizeof<usize>(), changetype<usize>(Bytes.make()));
  shardCount = count;
}

@inline
function shardBuffer(shard: i32): Bytes {
  assert(<u32>shard < <u32>shardCount);
  return changetype<Bytes>(load<usize>(shardBuffers + <usize>shard * sizeof<usize>()));
}

export function changesStart(shard: i32): usize {
  return shardBuffer(shard).start;
}

export function changesLength(shard: i32): usize {
  return shardBuffer(shard).length;
}

/** Tiles the events of records [from, to) of the batch for every group, and replaces what the shards' buffers held. */
export function tileRecords(from: i32, to: i32): void {
  assert(pickedBytes() == 0);
  pickFrom(from, to, false);
  tilePicked(usize.MAX_VALUE, false);
}

/** Tiles one record for a group that events read: what stands in the buffer of its only shard is replaced. */
export function tileSequenced(group: i32, record: i32): void {
  const owner = groupAt(group);
  assert(owner.isSequenced && shardCount == 1 && tiledGroup == 0 && tiledKeys == 0);
  shardBuffer(0).length = 0;
  isKept = false;
  pickGroup(owner, <usize>record, <usize>record + 1);
  tileGroup(owner, usize.MAX_VALUE, false);
}

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
  for (let i = 0; i < groupCount; i++) size += groupAt(i).events.length + groupAt(i).texts.size;
  return <f64>size;
}

/** How far tiling has come: the group, and so many of its keys. */
let tiledGroup: i32 = 0;
let tiledKeys: u32 = 0;

/**
 * Tiles what was picked, in some calls, each of which replaces what the shards' buffers held; false while there is more. No
 * records are picked until it is done.
 *
 * @param bytesMax of changes: there are a key's more at most
 * @param isOrdered keys come in the order in which stores have them: who reads rows back reads what lies together once
 */
export function tilePicked(bytesMax: usize, isOrdered: bool): bool {
  for (let shard = 0; shard < shardCount; shard++) shardBuffer(shard).length = 0;
  for (; tiledGroup < groupCount; tiledGroup++)
    if (!tileGroup(groupAt(tiledGroup), bytesMax, isOrdered)) return false;
  tiledGroup = 0;
  return true;
}

/** False where there are more keys, and as many bytes of changes as there may be. */
function tileGroup(group: Group, bytesMax: usize, isOrdered: bool): bool {
  if (group.eventCount == 0) return true;
  if (tiledKeys == 0) {
    orderByKey(group);
    if (isOrdered) orderKeys(group);
  }
  let bytes: usize = 0;
  for (; tiledKeys < group.keyedCount; tiledKeys++) {
    if (bytes >= bytesMax) return false;
    if (tiledKeys + KEYS_AHEAD < group.keyedCount) lookAtKey(group, keyedAt(group, tiledKeys + KEYS_AHEAD));
    bytes += tileKey(group, keyedAt(group, tiledKeys));
  }
  tiledKeys = 0;
  forgetPicked(group);
  return true;
}

/** So many keys before its turn what a key needs is looked at. */
const KEYS_AHEAD: u32 = 8;

/** Looks at the first of a key's events, and at its bytes: nothing else comes of it than that they are near. */
@inline
function lookAtKey(group: Group, owner: Keyed): void {
  let found = load<u32>(owner.start);
  for (let i: u32 = 0; i < min<u32>(owner.count, EVENTS_AHEAD); i++) {
    const event = eventAt(owner.first + i);
    found ^= <u32>event.timeMicros ^ load<u32>(changetype<usize>(event) + group.eventSize - 4);
  }
  considered = found;
}

/** Of a key with more events than this the others are looked for while these are counted. */
const EVENTS_AHEAD: u32 = 4;

function forgetPicked(group: Group): void {
  group.stamp++;
  group.events.length = 0;
  group.eventCount = 0;
  group.keyed.length = 0;
  group.keyedCount = 0;
  group.texts.reset();
}

// --- 1. pick

function pickFrom(from: i32, to: i32, keeps: bool): void {
  assert(from >= 0 && from <= to && to <= recordCount && tiledGroup == 0 && tiledKeys == 0);
  isKept = keeps;
  for (let i = 0; i < groupCount; i++)
    if (!groupAt(i).isSequenced) pickGroup(groupAt(i), <usize>from, <usize>to);
}

/** Some records at a time: what their keys need of memory is looked at before any of them is counted. */
function pickGroup(group: Group, from: usize, to: usize): void {
  for (let record = from; record < to; ) {
    candidateCount = 0;
    builtKeys.reset();
    // A record has two rows at most.
    for (; record < to && candidateCount + 2 <= CANDIDATES_MAX; record++) {
      if (load<i32>(recordType + (record << 2)) != group.type) continue;
      const row = load<i32>(recordRow + (record << 2));
      if (row < 0) continue;
      const before = group.hasBefore ? load<i32>(recordBefore + (record << 2)) : -1;
      if (before >= 0) consider(group, <usize>before, record);
      consider(group, <usize>row, record);
    }
    // One event alone, as replays have it, has nobody to wait with.
    if (candidateCount > 1) lookAhead(group);
    for (let i = 0; i < candidateCount; i++) pick(group, candidateAt(i));
  }
}

/** An event that counts, and its key. */
@unmanaged
class Candidate {
  weight: i64;
  row: u32;
  record: u32;
  hash: u32;
  keyLength: u32;
  key: usize;
  /** The known key that most likely it is; 0 where there is none. */
  guess: usize;
}

const CANDIDATES_MAX: i32 = 256;
const candidates: usize = allocateZeroed(<usize>CANDIDATES_MAX * offsetof<Candidate>());
let candidateCount: i32 = 0;

@inline
function candidateAt(index: i32): Candidate {
  return changetype<Candidate>(candidates + <usize>index * offsetof<Candidate>());
}

/** Keys of candidates that do not stand in the input. */
const builtKeys: Arena = Arena.make();

/** What loads have found; it keeps the loads from being left out. */
export let considered: u32 = 0;

/** Places of all candidates' keys first, then the keys that are known there: memory is waited for once for each step. */
function lookAhead(group: Group): void {
  for (let i = 0; i < candidateCount; i++) {
    const candidate = candidateAt(i);
    const entry = group.table + (<usize>placeOf(group, candidate.hash) << 3);
    const known = changetype<usize>(keyedAt(group, load<u32>(entry, 4)));
    candidate.guess = load<u32>(entry) == group.stamp ? known : 0;
  }
  let found: u32 = 0;
  for (let i = 0; i < candidateCount; i++) {
    const guess = candidateAt(i).guess;
    if (guess != 0) found ^= load<u32>(changetype<Keyed>(guess).start);
  }
  considered = found;
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
  const candidate = candidateAt(candidateCount);
  candidateCount++;
  candidate.row = <u32>row;
  candidate.record = <u32>record;
  candidate.weight = weight;
  candidate.hash = hash;
  candidate.keyLength = <u32>keyLength;
  candidate.key = hasLoneString(group) ? keyStart : builtKeys.copy(keyStart, keyLength);
}

/** Keys of one string stand in the input. */
@inline
function hasLoneString(group: Group): bool {
  return group.keyCount == 1 && load<i32>(group.keyColumns, 4) == KeyKind.STRING;
}

function pick(group: Group, candidate: Candidate): void {
  const row = <usize>candidate.row;
  const record = <usize>candidate.record;
  group.events.reserve(group.eventSize);
  const event = changetype<Picked>(group.events.end);
  event.key = keyIndex(group, candidate);
  event.timeMicros = load<i64>(group.times + (row << 3));
  event.timeMs = floorDivide(event.timeMicros, 1000);
  event.clockMicros = load<i64>(recordClock + (record << 3));
  event.position = firstPosition + <i64>record;
  event.weight = candidate.weight;
  copyValues(group, event, row);
  group.events.length += group.eventSize;
  group.eventCount++;
}

@inline
function valueOffset(column: i32): usize {
  return PICKED_SIZE + (<usize>column << 3);
}

@inline
function nullOffset(group: Group, column: i32): usize {
  return valueOffset(group.columnCount) + <usize>column;
}

@inline
function valueAt(event: Picked, column: i32): usize {
  return changetype<usize>(event) + valueOffset(column);
}

@inline
function nullAt(group: Group, event: Picked, column: i32): usize {
  return changetype<usize>(event) + nullOffset(group, column);
}

@inline
function copyValues(group: Group, event: Picked, row: usize): void {
  for (let i = 0; i < group.columnCount; i++) {
    const register = registerOf(group.frame, load<i32>(columnAt(group, i)));
    const isNull = load<u8>(register.nulls + row);
    let value = load<i64>(register.values + (row << 3));
    if (isKept && isNull == 0 && load<i32>(columnAt(group, i), 4) >= TEXT) value = keptValue(group, i, value);
    store<i64>(valueAt(event, i), value);
    store<u8>(nullAt(group, event, i), isNull);
  }
}

/** A text, or a list of numbers (nested.ts), that outlives its batch. */
function keptValue(group: Group, column: i32, value: i64): i64 {
  const length = <u64>value >> 32;
  const isList = load<i32>(columnAt(group, column), 4) == NUMBERS;
  const size = isList ? nestedSize(<usize>length) : <usize>length;
  return <i64>(<u64>group.texts.copy(<usize>(value & 0xffffffff), size) | (length << 32));
}

@inline
function keyedAt(group: Group, index: u32): Keyed {
  return changetype<Keyed>(group.keyed.start + <usize>index * offsetof<Keyed>());
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

// --- 2. key

/** The index of a candidate's key, which has one event more. */
function keyIndex(group: Group, candidate: Candidate): u32 {
  const hash = candidate.hash;
  const length = candidate.keyLength;
  let place = placeOf(group, hash);
  while (true) {
    const entry = group.table + (<usize>place << 3);
    if (load<u32>(entry) != group.stamp) {
      store<u32>(entry, group.stamp);
      store<u32>(entry, group.keyedCount, 4);
      return addKey(group, candidate);
    }
    const index = load<u32>(entry, 4);
    const known = keyedAt(group, index);
    if (known.hash == hash && known.length == length && isSame(known.start, candidate.key, <usize>length)) {
      known.count++;
      return index;
    }
    place = (place + 1) & (group.tableSize - 1);
  }
}

@inline
function placeOf(group: Group, hash: u32): u32 {
  return (hash ^ (hash >> 15)) & (group.tableSize - 1);
}

function addKey(group: Group, candidate: Candidate): u32 {
  group.keyed.reserve(offsetof<Keyed>());
  group.keyed.length += offsetof<Keyed>();
  const added = keyedAt(group, group.keyedCount);
  group.keyedCount++;
  added.hash = candidate.hash;
  added.length = candidate.keyLength;
  added.start = candidate.key;
  added.count = 1;
  // A lone string stays where it is until the next batch is decoded.
  if (isKept || !hasLoneString(group)) added.start = group.texts.copy(candidate.key, <usize>candidate.keyLength);
  if (group.keyedCount * 2 > group.tableSize) growTable(group);
  return group.keyedCount - 1;
}

/** Makes a larger table, and gives all keys their places in it. */
function growTable(group: Group): void {
  release(group.table, <usize>group.tableSize << 3);
  group.tableSize = max(TABLE_SIZE_MIN, group.tableSize << 1);
  const size = <usize>group.tableSize << 3;
  group.table = allocate(size);
  memory.fill(group.table, 0, size);
  group.stamp = 1;
  for (let i: u32 = 0; i < group.keyedCount; i++) {
    let place = placeOf(group, keyedAt(group, i).hash);
    while (load<u32>(group.table + (<usize>place << 3)) != 0) place = (place + 1) & (group.tableSize - 1);
    store<u32>(group.table + (<usize>place << 3), 1);
    store<u32>(group.table + (<usize>place << 3), i, 4);
  }
}

/** Indices of keys in order. */
const keyOrder: Bytes = Bytes.make();
/** Keys are moved here in order; then it changes places with what the group has. */
let orderedKeys: Bytes = Bytes.make();

/** Puts keys in order, whose events have been put in order of them: no event knows its key by index any more. */
function orderKeys(group: Group): void {
  const count = <usize>group.keyedCount;
  if (count < 2) return;
  beginOrder(count);
  for (let i: u32 = 0; i < group.keyedCount; i++) {
    const keyed = keyedAt(group, i);
    addToOrder(0, keyed.start, <usize>keyed.length, i);
  }
  keyOrder.length = 0;
  keyOrder.reserve(count << 2);
  endOrder(keyOrder.start);
  orderedKeys.length = 0;
  orderedKeys.reserve(group.keyed.length);
  orderedKeys.length = group.keyed.length;
  for (let i: usize = 0; i < count; i++) {
    const from = changetype<usize>(keyedAt(group, load<u32>(keyOrder.start + (i << 2))));
    memory.copy(orderedKeys.start + i * offsetof<Keyed>(), from, offsetof<Keyed>());
  }
  const unordered = group.keyed;
  group.keyed = orderedKeys;
  orderedKeys = unordered;
}

/** Puts the events in order of their keys, and for each key in the order in which they came. */
function orderByKey(group: Group): void {
  let first: u32 = 0;
  for (let i: u32 = 0; i < group.keyedCount; i++) {
    const owner = keyedAt(group, i);
    owner.first = first;
    first += owner.count;
    owner.count = 0;
  }
  ordered.length = 0;
  ordered.reserve(<usize>group.eventCount << 2);
  for (let at = group.events.start; at < group.events.end; at += group.eventSize) {
    const owner = keyedAt(group, changetype<Picked>(at).key);
    store<u32>(ordered.start + (<usize>(owner.first + owner.count) << 2), <u32>at);
    owner.count++;
  }
}

@inline
function eventAt(place: u32): Picked {
  return changetype<Picked>(<usize>load<u32>(ordered.start + (<usize>place << 2)));
}

/** Puts the events of a key in order of time; mostly they are. Shell's way: no worst case to speak of at this size. */
function orderByTime(first: u32, count: u32): void {
  let isOrdered = true;
  for (let i: u32 = 1; i < count; i++)
    if (eventAt(first + i).timeMicros < eventAt(first + i - 1).timeMicros) isOrdered = false;
  if (isOrdered) return;
  let gap: u32 = 1;
  while (gap * 3 + 1 < count) gap = gap * 3 + 1;
  for (; gap > 0; gap = (gap - 1) / 3)
    for (let i: u32 = gap; i < count; i++) {
      const event = eventAt(first + i);
      let to = i;
      for (; to >= gap && eventAt(first + to - gap).timeMicros > event.timeMicros; to -= gap)
        store<u32>(ordered.start + (<usize>(first + to) << 2), <u32>changetype<usize>(eventAt(first + to - gap)));
      store<u32>(ordered.start + (<usize>(first + to) << 2), <u32>changetype<usize>(event));
    }
}

// --- 3. tile

/** Returns how many bytes of changes there are of it. */
function tileKey(group: Group, owner: Keyed): usize {
  // The states of the key before are written.
  forgetRecent();
  forgetCounts();
  forgetRankings();
  forgetSketches();
  if (owner.count > 1) orderByTime(owner.first, owner.count);
  writeHead(group.entity, owner.start, <usize>owner.length);
  const out = shardBuffer(<i32>(owner.hash % <u32>shardCount));
  const before = out.length;
  for (let i = 0; i < group.levelCount; i++) tileLevel(group, levelAt(group, i), owner, out);
  return out.length - before;
}

/** Events that a level refuses are passed over: a tile may have taken others, by an earlier clock. */
function tileLevel(group: Group, level: Level, owner: Keyed, out: Bytes): void {
  let isOpen = false;
  let openMs: i64 = 0;
  const end = owner.first + owner.count;
  for (let place = owner.first; place < end; place++) {
    const event = eventAt(place);
    const startMs = tileStart(level, event.timeMs, group.offsetMs);
    if (level.ttlMs >= 0 && (startMs + level.ttlMs) * 1000 <= event.clockMicros) {
      refuse(level.refusals, event.position, event.timeMicros, event.clockMicros);
      continue;
    }
    if (!isOpen || startMs != openMs) {
      if (isOpen) emit(group, level.lengthMs, openMs, out);
      clearStates(group, startMs);
      isOpen = true;
      openMs = startMs;
    }
    setMoment(event.timeMicros, event.position, changetype<usize>(event));
    updateStates(group, event);
  }
  if (isOpen) emit(group, level.lengthMs, openMs, out);
}

/** A division takes long, and most events are of the tile of the one before. */
@inline
function tileStart(level: Level, timeMs: i64, offsetMs: i64): i64 {
  if (level.lengthMs == 0) return 0;
  if (<u64>(timeMs - level.lastMs) >= <u64>level.lengthMs) level.lastMs = floorTile(timeMs, level.lengthMs, offsetMs);
  return level.lastMs;
}

@inline
function floorDivide(dividend: i64, divisor: i64): i64 {
  const quotient = dividend / divisor;
  return dividend - quotient * divisor < 0 ? quotient - 1 : quotient;
}

@inline
export function floorTile(timeMs: i64, lengthMs: i64, offsetMs: i64): i64 {
  return floorDivide(timeMs - offsetMs, lengthMs) * lengthMs + offsetMs;
}

function clearStates(group: Group, startMs: i64): void {
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    const state = group.states + member.offset;
    for (let at: usize = 0; at < member.clearSize; at += 8) store<u64>(state + at, 0);
    if (!member.hasStart) continue;
    start(member.aggregateCase, state, member.limit, startMs);
    if (member.rank >= 0) rankBy(state, valueOffset(member.rank), nullOffset(group, member.rank), member.rankKind);
  }
}

function updateStates(group: Group, event: Picked): void {
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    let value: i64 = 0;
    if (member.value >= 0) {
      if (load<u8>(nullAt(group, event, member.value)) != 0) continue;
      value = load<i64>(valueAt(event, member.value));
    }
    update(member.aggregateCase, member.kind, group.states + member.offset, value, event.weight);
  }
}

// --- 4. emit

// Field tags of Change, as change.proto gives them, and of ChangeBatch.
const TAG_CHANGE: u8 = 0x0a;
const TAG_ENTITY: u8 = 0x08;
const TAG_KEY: u8 = 0x12;
const TAG_LEVEL: u8 = 0x18;
const TAG_TILE_START: u8 = 0x20;
const TAG_FEATURES: u8 = 0x2a;

/** Tags, lengths and numbers of a change and of its place in the batch, each at its longest, and the room of loose copies. */
const CHANGE_OVERHEAD_MAX: usize = 96;

const row: Bytes = Bytes.make();

/** Entity and key, as every change of a key begins. */
const head: Bytes = Bytes.make();

/** Level and tile start. */
const address: usize = memory.data(32, 8);

function emit(group: Group, levelMs: i64, startMs: i64, out: Bytes): void {
  row.length = 0;
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    appendEntry(row, member.id, member.aggregateCase, group.states + member.offset);
  }
  const addressSize = writeAddress(levelMs, startMs);
  const size = head.length + addressSize + 1 + varintSize(<u64>row.length) + row.length;
  out.reserve(size + CHANGE_OVERHEAD_MAX);
  let at = out.end;
  store<u8>(at++, TAG_CHANGE);
  at += writeVarint(at, <u64>size);
  // Fields in ascending order: entity and key, level and tile start, features.
  copyLoosely(at, head.start, head.length);
  at += head.length;
  copyLoosely(at, address, addressSize);
  at += addressSize;
  store<u8>(at++, TAG_FEATURES);
  at += writeVarint(at, <u64>row.length);
  copyLoosely(at, row.start, row.length);
  out.length = at + row.length - out.start;
}

/** Zeros are left out, as proto3 does. */
function writeHead(entity: i32, key: usize, length: usize): void {
  head.length = 0;
  head.reserve(length + CHANGE_OVERHEAD_MAX);
  let at = head.start;
  store<u8>(at++, TAG_ENTITY);
  at += writeVarint(at, <u64>entity);
  if (length > 0) {
    store<u8>(at++, TAG_KEY);
    at += writeVarint(at, <u64>length);
    copyLoosely(at, key, length);
    at += length;
  }
  head.length = at - head.start;
}

/** Returns its size. */
function writeAddress(levelMs: i64, startMs: i64): usize {
  let at = address;
  if (levelMs != 0) {
    store<u8>(at++, TAG_LEVEL);
    at += writeVarint(at, <u64>levelMs);
  }
  if (startMs != 0) {
    store<u8>(at++, TAG_TILE_START);
    at += writeVarint(at, zigzag(startMs));
  }
  return at - address;
}
