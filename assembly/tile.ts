/**
 * A batch of events into changes: stateless.
 *
 *   1. select   events for which `where` is true and neither a key column nor the weight is null
 *   2. group    by (key, level, tile start) in a hash table that lives for one call
 *   3. update   the unpacked states of every aggregate of the group, value by value
 *   4. emit     one Change (proto/tilefold/v1/change.proto) per row touched, to the buffer of the key's shard
 *
 * A group is what shares the work of one hash: aggregates over the same event type with the same keys, selection and
 * tile levels. Every aggregate of the group gets an entry in every row that a selected event touches, nulls or not,
 * so what a row holds does not depend on how events were cut into batches.
 */
import { LAST_N, clearSize, setMoment, stateSize, update } from './aggregate';
import { BATCH_ROWS, Frame, registerOf } from './expression';
import { buildKey, hashKey, key } from './key';
import { forgetRecent, startRecent } from './last_n';
import { Bytes, allocateZeroed } from './memory';
import { firstPosition, recordClock, recordCount, recordRow, recordTime, recordType, typeFrame } from './ndjson';
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
  /** How many values are kept, by an aggregate that keeps some. */
  limit: u32;
  offset: usize;
}

@unmanaged
class Level {
  /** 0 is the lifetime. */
  lengthMs: i64;
  /** How long past its start a tile takes events, by the type's clock; -1 for ever. */
  ttlMs: i64;
  /** Events refused because their tile had expired. */
  refused: i64;
}

@unmanaged
class Group {
  type: i32;
  entity: i32;
  frame: Frame;
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
  limit: u32,
): void {
  const owner = groupAt(group);
  assert(<u32>index < <u32>owner.memberCount && (index == 0 || memberAt(owner, index - 1).id < id));
  const member = memberAt(owner, index);
  member.id = id;
  member.aggregateCase = aggregateCase;
  member.value = value;
  member.kind = kind;
  member.limit = limit;
  member.offset = owner.stateSize;
  owner.stateSize += stateSize(aggregateCase);
}

export function setLevel(group: i32, index: i32, lengthMs: f64, ttlMs: f64): void {
  assert(<u32>index < <u32>groupAt(group).levelCount);
  const level = levelAt(groupAt(group), index);
  level.lengthMs = <i64>lengthMs;
  level.ttlMs = <i64>ttlMs;
}

export function refusedCount(group: i32, level: i32): f64 {
  assert(<u32>level < <u32>groupAt(group).levelCount);
  return <f64>levelAt(groupAt(group), level).refused;
}

// --- the hash table of one call

/** A row that this call touches: its states follow behind. */
@unmanaged
class Touched {
  hash: u32;
  keyLength: u32;
  key: usize;
  level: i64;
  tileStart: i64;
  states: usize;
}

/** Every event of a batch may touch a row of its own at every level; twice that keeps probes short. */
const TABLE_SIZE: u32 = 65536;
assert(<u32>BATCH_ROWS * <u32>LEVELS_MAX * 2 <= TABLE_SIZE);
/** (stamp u32, index of Touched u32): an entry of an older stamp is empty, so nothing is ever cleared. */
const table: usize = allocateZeroed(<usize>TABLE_SIZE << 3);
let stamp: u32 = 0;

const touched: Bytes = Bytes.make();
let touchedCount: u32 = 0;
/** Key bytes and states of this call: offsets into them are turned to addresses only when all is known. */
const arena: Bytes = Bytes.make();

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
  touched.length = 0;
  touchedCount = 0;
  arena.length = 0;
  forgetRecent();
  for (let record = from; record < to; record++) {
    if (load<i32>(recordType + (record << 2)) != group.type) continue;
    const row = load<i32>(recordRow + (record << 2));
    if (row < 0) continue;
    setMoment(load<i64>(recordTime + (record << 3)), firstPosition + <i64>record);
    tileEvent(group, <usize>row, load<i64>(recordTime + (record << 3)), load<i64>(recordClock + (record << 3)));
  }
  for (let i: u32 = 0; i < touchedCount; i++) emit(group, touchedAt(i));
}

function tileEvent(group: Group, row: usize, timeMicros: i64, clockMicros: i64): void {
  if (group.where >= 0) {
    const where = registerOf(group.frame, group.where);
    if (load<u8>(where.nulls + row) != 0 || load<i64>(where.values + (row << 3)) == 0) return;
  }
  if (!buildKey(group.frame, row, group.keyColumns, group.keyCount)) return;
  const keyHash = hashKey(group.entity, key.start, key.length);
  let weight: i64 = 1;
  if (group.weight >= 0) {
    const register = registerOf(group.frame, group.weight);
    if (load<u8>(register.nulls + row) != 0) return;
    weight = load<i64>(register.values + (row << 3));
  }
  const timeMs = floorDivide(timeMicros, 1000);
  for (let i = 0; i < group.levelCount; i++) {
    const level = levelAt(group, i);
    const startMs = level.lengthMs == 0 ? 0 : floorTile(timeMs, level.lengthMs, group.offsetMs);
    if (level.ttlMs >= 0 && (startMs + level.ttlMs) * 1000 <= clockMicros) {
      level.refused++;
      continue;
    }
    updateStates(group, touch(group, keyHash, level.lengthMs, startMs), row, weight);
  }
}

@inline
function floorDivide(dividend: i64, divisor: i64): i64 {
  const quotient = dividend / divisor;
  return dividend % divisor < 0 ? quotient - 1 : quotient;
}

@inline
export function floorTile(timeMs: i64, lengthMs: i64, offsetMs: i64): i64 {
  return floorDivide(timeMs - offsetMs, lengthMs) * lengthMs + offsetMs;
}

function updateStates(group: Group, states: usize, row: usize, weight: i64): void {
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    let value: i64 = 0;
    if (member.value >= 0) {
      const register = registerOf(group.frame, member.value);
      if (load<u8>(register.nulls + row) != 0) continue;
      value = load<i64>(register.values + (row << 3));
    }
    update(member.aggregateCase, member.kind, states + member.offset, value, weight);
  }
}

@inline
function touchedAt(index: u32): Touched {
  return changetype<Touched>(touched.start + <usize>index * offsetof<Touched>());
}

/** The states of (the key just built, level, tile), all empty when this call first touches them. */
function touch(group: Group, keyHash: u32, levelMs: i64, startMs: i64): usize {
  const mixed = keyHash ^ (<u32>(startMs / 1000) * 0x9e3779b1) ^ (<u32>levelMs * 0x85ebca77);
  let place = (mixed ^ (mixed >> 15)) & (TABLE_SIZE - 1);
  while (true) {
    const entry = table + (<usize>place << 3);
    if (load<u32>(entry) != stamp) {
      store<u32>(entry, stamp);
      store<u32>(entry, touchedCount, 4);
      return addTouched(group, keyHash, levelMs, startMs);
    }
    const known = touchedAt(load<u32>(entry, 4));
    if (
      known.hash == keyHash &&
      known.tileStart == startMs &&
      known.level == levelMs &&
      <usize>known.keyLength == key.length &&
      memory.compare(arena.start + known.key, key.start, key.length) == 0
    )
      return arena.start + known.states;
    place = (place + 1) & (TABLE_SIZE - 1);
  }
}

function addTouched(group: Group, keyHash: u32, levelMs: i64, startMs: i64): usize {
  touched.reserve(offsetof<Touched>());
  touched.length += offsetof<Touched>();
  const entry = touchedAt(touchedCount++);
  entry.hash = keyHash;
  entry.keyLength = <u32>key.length;
  entry.level = levelMs;
  entry.tileStart = startMs;
  entry.key = arena.length;
  arena.append(key.start, key.length);
  arena.reserve(group.stateSize + 8);
  arena.length = (arena.length + 7) & ~(<usize>7);
  entry.states = arena.length;
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    memory.fill(arena.end + member.offset, 0, clearSize(member.aggregateCase));
    if (member.aggregateCase == LAST_N) startRecent(arena.end + member.offset, member.limit);
  }
  arena.length += group.stateSize;
  return arena.start + entry.states;
}

// Field tags of Change, as change.proto gives them, and of ChangeBatch.
const TAG_CHANGE: u8 = 0x0a;
const TAG_ENTITY: u8 = 0x08;
const TAG_KEY: u8 = 0x12;
const TAG_LEVEL: u8 = 0x18;
const TAG_TILE_START: u8 = 0x20;
const TAG_FEATURES: u8 = 0x2a;

/** Tags, lengths and numbers of a change and of its place in the batch, each at its longest. */
const CHANGE_OVERHEAD_MAX: usize = 64;

const row: Bytes = Bytes.make();
const head: usize = memory.data(64, 8);

function emit(group: Group, entry: Touched): void {
  row.length = 0;
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    appendEntry(row, member.id, member.aggregateCase, arena.start + entry.states + member.offset);
  }
  const headSize = writeHead(group, entry);
  const tailSize: usize = 1 + varintSize(<u64>row.length) + row.length;
  const size = headSize + <usize>entry.keyLength + tailSize;
  const out = shardBuffer(<i32>(entry.hash % <u32>shardCount));
  out.reserve(size + <usize>CHANGE_OVERHEAD_MAX);
  let at = out.end;
  store<u8>(at++, TAG_CHANGE);
  at += writeVarint(at, <u64>(size + levelSize));
  // Fields in ascending order: entity and key, level and tile start, features.
  memory.copy(at, head, headSize);
  at += headSize;
  memory.copy(at, arena.start + entry.key, <usize>entry.keyLength);
  at += <usize>entry.keyLength;
  memory.copy(at, level, levelSize);
  at += levelSize;
  store<u8>(at++, TAG_FEATURES);
  at += writeVarint(at, <u64>row.length);
  memory.copy(at, row.start, row.length);
  out.length = at + row.length - out.start;
}

const level: usize = memory.data(32, 8);
let levelSize: usize = 0;

/** Entity, and tag and length of the key, to `head`; level and tile start to `level`. Zeros are left out, as proto3 does. */
function writeHead(group: Group, entry: Touched): usize {
  let at = head;
  store<u8>(at++, TAG_ENTITY);
  at += writeVarint(at, <u64>group.entity);
  if (entry.keyLength > 0) {
    store<u8>(at++, TAG_KEY);
    at += writeVarint(at, <u64>entry.keyLength);
  }
  let to = level;
  if (entry.level != 0) {
    store<u8>(to++, TAG_LEVEL);
    to += writeVarint(to, <u64>entry.level);
  }
  if (entry.tileStart != 0) {
    store<u8>(to++, TAG_TILE_START);
    to += writeVarint(to, zigzag(entry.tileStart));
  }
  levelSize = to - level;
  return at - head;
}
