/**
 * A batch of events into changes: stateless.
 *
 *   1. pick     events for which `where` is true and neither a key column nor the weight is null
 *   2. key      the same keys are found in a hash table that lives for one call, and events are put in order of their keys,
 *               those of one key in order of time
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
import { BATCH_ROWS, Frame, registerOf } from './expression';
import { KeyKind, buildKey, hashKey, keyLength, keyStart } from './key';
import { forgetRecent } from './last_n';
import { Bytes, allocateZeroed, copyLoosely, isSame } from './memory';
import { firstPosition, recordClock, recordCount, recordRow, recordType, timeRegister, typeAt, typeFrame } from './ndjson';
import { appendEntry } from './row';
import { varintSize, writeVarint, zigzag } from './varint';

/** Tile levels of one group, the lifetime among them. */
export const LEVELS_MAX: i32 = 8;

@unmanaged
class Member {
  id: i32;
  aggregateCase: i32;
  /** Register of the value, and INTEGER, REAL or TEXT; register -1 counts the event itself. */
  value: i32;
  kind: i32;
  /** What its states are told before they are updated: how many values are kept, or a half-life in milliseconds. */
  limit: i64;
  hasStart: bool;
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
  /** Events refused because their tile had expired. */
  refused: i64;
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
  /** -1 takes every event. */
  where: i32;
  /** -1 is weight 1 throughout. */
  weight: i32;
  offsetMs: i64;
  keyCount: i32;
  /** (register, KeyKind) pairs. */
  keyColumns: usize;
  memberCount: i32;
  members: usize;
  levelCount: i32;
  levels: usize;
  stateSize: usize;
  /** The states of one row, used for one after the other. */
  states: usize;
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
  member.value = value;
  member.kind = kind;
  member.limit = <i64>limit;
  member.hasStart = hasStart(aggregateCase);
  member.offset = owner.stateSize;
  member.clearSize = clearSize(aggregateCase);
  owner.stateSize += stateSize(aggregateCase);
  // Members are set once and in order: with the last one all states have their places.
  if (index + 1 == owner.memberCount) owner.states = allocateZeroed(owner.stateSize + 1);
}

export function setLevel(group: i32, index: i32, lengthMs: f64, ttlMs: f64): void {
  assert(<u32>index < <u32>groupAt(group).levelCount);
  const level = levelAt(groupAt(group), index);
  level.lengthMs = <i64>lengthMs;
  level.ttlMs = <i64>ttlMs;
  if (level.lengthMs > 0) level.lastMs = floorTile(0, level.lengthMs, groupAt(group).offsetMs);
}

export function refusedCount(group: i32, level: i32): f64 {
  assert(<u32>level < <u32>groupAt(group).levelCount);
  return <f64>levelAt(groupAt(group), level).refused;
}

// --- the events of one call, and their keys

/** An event that counts. */
@unmanaged
class Picked {
  row: u32;
  record: u32;
  /** Its key, by index. */
  key: u32;
  timeMicros: i64;
  timeMs: i64;
  weight: i64;
}

/** A key that this call touches, and its events: `count` of the ordered ones, from `first` on. */
@unmanaged
class Keyed {
  hash: u32;
  length: u32;
  start: usize;
  count: u32;
  first: u32;
}

const picked: usize = allocateZeroed(<usize>BATCH_ROWS * offsetof<Picked>());
let pickedCount: u32 = 0;
const keyed: usize = allocateZeroed(<usize>BATCH_ROWS * offsetof<Keyed>());
let keyedCount: u32 = 0;
/** Indices into `picked` (u32), key by key. */
const ordered: usize = allocateZeroed(<usize>BATCH_ROWS << 2);

/** Every event of a batch may have a key of its own; twice that keeps probes short. */
const TABLE_SIZE: u32 = 8192;
assert(<u32>BATCH_ROWS * 2 <= TABLE_SIZE);
/** (stamp u32, index of Keyed u32): an entry of an older stamp is empty, so nothing is ever cleared. */
const table: usize = allocateZeroed(<usize>TABLE_SIZE << 3);
let stamp: u32 = 0;

/** Keys that do not stand in the input. */
const keys: Arena = Arena.make();

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
  assert(from >= 0 && from <= to && to <= recordCount);
  for (let shard = 0; shard < shardCount; shard++) shardBuffer(shard).length = 0;
  for (let i = 0; i < groupCount; i++) tileGroup(groupAt(i), <usize>from, <usize>to);
}

function tileGroup(group: Group, from: usize, to: usize): void {
  stamp++;
  pickedCount = 0;
  keyedCount = 0;
  keys.reset();
  forgetRecent();
  forgetCounts();
  for (let record = from; record < to; record++) {
    if (load<i32>(recordType + (record << 2)) != group.type) continue;
    const row = load<i32>(recordRow + (record << 2));
    if (row >= 0) pick(group, <usize>row, record);
  }
  orderByKey();
  for (let i: u32 = 0; i < keyedCount; i++) tileKey(group, keyedAt(i));
}

// --- 1. pick

/** Is `where` true of an event? */
@inline
function isWanted(group: Group, row: usize): bool {
  if (group.where < 0) return true;
  const where = registerOf(group.frame, group.where);
  return load<u8>(where.nulls + row) == 0 && load<i64>(where.values + (row << 3)) != 0;
}

function pick(group: Group, row: usize, record: usize): void {
  if (!isWanted(group, row)) return;
  let weight: i64 = 1;
  if (group.weight >= 0) {
    const register = registerOf(group.frame, group.weight);
    if (load<u8>(register.nulls + row) != 0) return;
    weight = load<i64>(register.values + (row << 3));
  }
  if (!buildKey(group.frame, row, group.keyColumns, group.keyCount)) return;
  const event = pickedAt(pickedCount);
  event.row = <u32>row;
  event.record = <u32>record;
  event.key = keyIndex(group);
  event.timeMicros = load<i64>(group.times + (row << 3));
  event.timeMs = floorDivide(event.timeMicros, 1000);
  event.weight = weight;
  pickedCount++;
}

@inline
function pickedAt(index: u32): Picked {
  return changetype<Picked>(picked + <usize>index * offsetof<Picked>());
}

@inline
function keyedAt(index: u32): Keyed {
  return changetype<Keyed>(keyed + <usize>index * offsetof<Keyed>());
}

/** The first record of the batch from `from` on that counts for the key; `recordCount` where there is none. */
export function findKeyed(group: i32, from: i32, key: usize, length: usize): i32 {
  const owner = groupAt(group);
  assert(from >= 0 && from <= recordCount);
  for (let record = <usize>from; record < <usize>recordCount; record++) {
    if (load<i32>(recordType + (record << 2)) != owner.type) continue;
    const row = load<i32>(recordRow + (record << 2));
    if (row >= 0 && isKeyed(owner, <usize>row, key, length)) return <i32>record;
  }
  return recordCount;
}

function isKeyed(group: Group, row: usize, key: usize, length: usize): bool {
  if (!isWanted(group, row) || !buildKey(group.frame, row, group.keyColumns, group.keyCount)) return false;
  return keyLength == length && memory.compare(keyStart, key, length) == 0;
}

// --- 2. key

/** The index of the key just built, which has one event more. */
function keyIndex(group: Group): u32 {
  const hash = hashKey(group.entity, keyStart, keyLength);
  let place = (hash ^ (hash >> 15)) & (TABLE_SIZE - 1);
  while (true) {
    const entry = table + (<usize>place << 3);
    if (load<u32>(entry) != stamp) {
      store<u32>(entry, stamp);
      store<u32>(entry, keyedCount, 4);
      return addKey(group, hash);
    }
    const index = load<u32>(entry, 4);
    const known = keyedAt(index);
    if (known.hash == hash && <usize>known.length == keyLength && isSame(known.start, keyStart, keyLength)) {
      known.count++;
      return index;
    }
    place = (place + 1) & (TABLE_SIZE - 1);
  }
}

function addKey(group: Group, hash: u32): u32 {
  const added = keyedAt(keyedCount);
  added.hash = hash;
  added.length = <u32>keyLength;
  added.start = keyStart;
  added.count = 1;
  // A lone string stays where it is until the next batch is decoded.
  if (group.keyCount != 1 || load<i32>(group.keyColumns, 4) != KeyKind.STRING) {
    added.start = keys.reserve(keyLength);
    memory.copy(added.start, keyStart, keyLength);
    keys.keep(keyLength);
  }
  return keyedCount++;
}

/** Puts the events in order of their keys, and for each key in the order in which they came. */
function orderByKey(): void {
  let first: u32 = 0;
  for (let i: u32 = 0; i < keyedCount; i++) {
    keyedAt(i).first = first;
    first += keyedAt(i).count;
    keyedAt(i).count = 0;
  }
  for (let i: u32 = 0; i < pickedCount; i++) {
    const owner = keyedAt(pickedAt(i).key);
    store<u32>(ordered + (<usize>(owner.first + owner.count) << 2), i);
    owner.count++;
  }
}

@inline
function eventAt(place: u32): Picked {
  return pickedAt(load<u32>(ordered + (<usize>place << 2)));
}

/** Puts the events of a key in order of time; mostly they are. Shell's way: no worst case to speak of at this size. */
function orderByTime(first: u32, count: u32): void {
  let isOrdered = true;
  for (let i: u32 = 1; i < count; i++)
    if (eventAt(first + i).timeMicros < eventAt(first + i - 1).timeMicros) isOrdered = false;
  if (isOrdered) return;
  for (let gap: u32 = GAP_MAX; gap > 0; gap = (gap - 1) / 3)
    for (let i: u32 = gap; i < count; i++) {
      const index = load<u32>(ordered + (<usize>(first + i) << 2));
      const timeMicros = pickedAt(index).timeMicros;
      let to = i;
      for (; to >= gap && eventAt(first + to - gap).timeMicros > timeMicros; to -= gap)
        store<u32>(ordered + (<usize>(first + to) << 2), load<u32>(ordered + (<usize>(first + to - gap) << 2)));
      store<u32>(ordered + (<usize>(first + to) << 2), index);
    }
}

/** Gaps are 1, 4, 13, 40 and so on. */
const GAP_MAX: u32 = 1093;

// --- 3. tile

function tileKey(group: Group, owner: Keyed): void {
  if (owner.count > 1) orderByTime(owner.first, owner.count);
  writeHead(group.entity, owner.start, <usize>owner.length);
  const out = shardBuffer(<i32>(owner.hash % <u32>shardCount));
  for (let i = 0; i < group.levelCount; i++) tileLevel(group, levelAt(group, i), owner, out);
}

/** Events that a level refuses are passed over: a tile may have taken others, by an earlier clock. */
function tileLevel(group: Group, level: Level, owner: Keyed, out: Bytes): void {
  let isOpen = false;
  let openMs: i64 = 0;
  const end = owner.first + owner.count;
  for (let place = owner.first; place < end; place++) {
    const event = eventAt(place);
    const startMs = tileStart(level, event.timeMs, group.offsetMs);
    const clockMicros = load<i64>(recordClock + (<usize>event.record << 3));
    if (level.ttlMs >= 0 && (startMs + level.ttlMs) * 1000 <= clockMicros) {
      level.refused++;
      continue;
    }
    if (!isOpen || startMs != openMs) {
      if (isOpen) emit(group, level.lengthMs, openMs, out);
      clearStates(group, startMs);
      isOpen = true;
      openMs = startMs;
    }
    setMoment(event.timeMicros, firstPosition + <i64>event.record);
    updateStates(group, <usize>event.row, event.weight);
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
    if (member.hasStart) start(member.aggregateCase, state, member.limit, startMs);
  }
}

function updateStates(group: Group, row: usize, weight: i64): void {
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    let value: i64 = 0;
    if (member.value >= 0) {
      const register = registerOf(group.frame, member.value);
      if (load<u8>(register.nulls + row) != 0) continue;
      value = load<i64>(register.values + (row << 3));
    }
    update(member.aggregateCase, member.kind, group.states + member.offset, value, weight);
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
