/**
 * Groups: what shares the work of one hash. Aggregates over the same event type with the same keys, selection and tile
 * levels. Every aggregate of the group gets an entry in every row that a selected event touches, nulls or not, so what a row
 * holds does not depend on how events were cut into batches.
 */
import { clearSize, hasStart, stateSize } from './aggregate';
import { Arena } from './arena';
import { Frame, registerOf } from './frame';
import { makeRefusals } from './late';
import { Bytes, allocateZeroed } from './memory';
import { hasBefore, timeRegister, typeAt, typeFrame } from './event_type';
import { closeRow } from './outline';
import { Part } from './part';
import { Template, appendZero } from './plain';
import { isOfIntegers } from './whole';

/** Tile levels of one group, the lifetime among them. */
export const LEVELS_MAX: i32 = 8;

@unmanaged
export class Member {
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
  /** Its entries are of one integer (plain.ts); null where they are not. */
  template: Template | null;
  /** Of the value and of its null, in a picked event. */
  valueOffset: usize;
  nullOffset: usize;
  /** Of its state. */
  offset: usize;
  clearSize: usize;
}

/** A register that members take values from, and where its values and its nulls are. */
@unmanaged
export class Column {
  register: i32;
  kind: i32;
  values: usize;
  nulls: usize;
}

@unmanaged
export class Level {
  /** 0 is the lifetime. */
  lengthMs: i64;
  /** How long past its start a tile takes events, by the type's clock; -1 for ever. */
  ttlMs: i64;
  /** Events refused because their tile had expired (late.ts). */
  refusals: usize;
  /** The same length in microseconds, and the start of the tile that was found last; that of a lifetime holds all there is. */
  lengthMicros: u64;
  lastMicros: i64;
  lastMs: i64;
}

/**
 * Events are picked into parts, by their keys' hash: what one part needs while it is tiled, its events and the table of its
 * keys, stays in a core's own cache (a part of a full gathering is a quarter of a megabyte). Picking writes to the ends of so
 * many buffers, which is as many pages as a processor has at hand.
 */
export const PART_BITS: u32 = 6;
export const PARTS: i32 = 1 << PART_BITS;

@unmanaged
export class Group {
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
  /** Not all members are of entries of one integer. */
  hasStates: bool;
  /** The outline of the rows that its members make (outline.ts); 0 where these are of more than integers, or of weights. */
  outline: u32;
  /** It is being tiled: until that is done, nothing is picked for it. */
  isTiled: bool;
  memberCount: i32;
  members: usize;
  levelCount: i32;
  levels: usize;
  stateSize: usize;
  /** The states of one row, used for one after the other. */
  states: usize;
  /** Each register once. */
  columnCount: i32;
  columns: usize;
  /** Picked events: PARTS of Part, of which so many may have some. */
  parts: usize;
  partCount: i32;
  /** Of a picked event but for its key. */
  eventSize: usize;
  eventCount: u32;
  /** Of all picked events. */
  eventBytes: usize;
  /** The greatest clock that any of them came by. */
  clockMicros: i64;
  /** Tiles that are over by then are not made, by whatever clock their events came. */
  horizonMicros: i64;
  /** Texts that have to outlive their batch. */
  texts: Arena;
}

const GROUPS_MAX: i32 = 4096;
const groups: usize = memory.data(4096 * sizeof<usize>(), 8);
export let groupCount: i32 = 0;

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
  group.columns = allocateZeroed(<usize>memberCount * 2 * offsetof<Column>() + 1);
  group.parts = allocateZeroed(<usize>PARTS * offsetof<Part>());
  group.clockMicros = i64.MIN_VALUE;
  group.horizonMicros = i64.MIN_VALUE;
  group.texts = Arena.make();
  store<usize>(groups + <usize>groupCount * sizeof<usize>(), changetype<usize>(group));
  return groupCount++;
}

@inline
export function groupAt(index: i32): Group {
  assert(<u32>index < <u32>groupCount);
  return changetype<Group>(load<usize>(groups + <usize>index * sizeof<usize>()));
}

@inline
export function memberAt(group: Group, index: i32): Member {
  return changetype<Member>(group.members + <usize>index * offsetof<Member>());
}

@inline
export function levelAt(group: Group, index: i32): Level {
  return changetype<Level>(group.levels + <usize>index * offsetof<Level>());
}

@inline
export function partAt(group: Group, index: i32): Part {
  return changetype<Part>(group.parts + <usize>index * offsetof<Part>());
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
  // Of weight 1: others take back what states have counted.
  member.template = owner.weight < 0 ? Template.make(id, aggregateCase, kind) : null;
  member.offset = owner.stateSize;
  member.clearSize = clearSize(aggregateCase);
  owner.stateSize += stateSize(aggregateCase);
}

/** All members have been set, with what they are ranked by: where the values of an event stand is known. */
export function closeGroup(group: i32): void {
  const owner = groupAt(group);
  owner.states = allocateZeroed(owner.stateSize + 1);
  owner.eventSize = nullOffset(owner, owner.columnCount);
  for (let i = 0; i < owner.memberCount; i++) {
    const member = memberAt(owner, i);
    if (!member.template) owner.hasStates = true;
    if (member.value < 0) continue;
    member.valueOffset = valueOffset(member.value);
    member.nullOffset = nullOffset(owner, member.value);
  }
  if (owner.weight < 0) owner.outline = membersOutline(owner);
}

const example: Bytes = Bytes.make();

/** The outline of a row with an entry of each member; 0 where one is of more than integers. */
function membersOutline(group: Group): u32 {
  example.length = 0;
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    if (!isOfIntegers(member.aggregateCase, member.kind)) return 0;
    appendZero(example, member.id, member.aggregateCase);
  }
  return closeRow(example.start, example.end);
}

/** Events have room for a value of each column, and behind all of them for a byte each that says whether it is null. */
function columnOf(group: Group, register: i32, kind: i32): i32 {
  for (let i = 0; i < group.columnCount; i++) {
    const known = columnAt(group, i);
    if (known.register != register) continue;
    // Who counts lists does not look into them; others do.
    known.kind = max(kind, known.kind);
    return i;
  }
  const column = columnAt(group, group.columnCount);
  column.register = register;
  column.kind = kind;
  column.values = registerOf(group.frame, register).values;
  column.nulls = registerOf(group.frame, register).nulls;
  return group.columnCount++;
}

@inline
export function columnAt(group: Group, index: i32): Column {
  return changetype<Column>(group.columns + <usize>index * offsetof<Column>());
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

export function setHorizon(group: i32, micros: i64): void {
  groupAt(group).horizonMicros = micros;
}

export function setLevel(group: i32, index: i32, lengthMs: f64, ttlMs: f64): void {
  assert(<u32>index < <u32>groupAt(group).levelCount);
  const level = levelAt(groupAt(group), index);
  level.lengthMs = <i64>lengthMs;
  level.ttlMs = <i64>ttlMs;
  level.refusals = makeRefusals();
  if (level.lengthMs == 0) {
    level.lengthMicros = u64.MAX_VALUE;
    level.lastMicros = i64.MIN_VALUE;
    return;
  }
  // At first the tile that begins at the offset.
  level.lengthMicros = <u64>level.lengthMs * 1000;
  level.lastMs = groupAt(group).offsetMs;
  level.lastMicros = level.lastMs * 1000;
}

export function refusalsOf(group: i32, level: i32): usize {
  assert(<u32>level < <u32>groupAt(group).levelCount);
  return levelAt(groupAt(group), level).refusals;
}

// --- picked events

/** An event that counts; its values follow from this offset on, then its weight where not all are 1, its nulls, and its key. */
export const PICKED_SIZE: usize = 32;

@unmanaged
export class Picked {
  timeMicros: i64;
  clockMicros: i64;
  position: i64;
  /** The hash of its key; once keys have been found, its key by index (keyed.ts). */
  key: u32;
  keyLength: u32;
}

assert(offsetof<Picked>() == PICKED_SIZE);

@inline
export function valueOffset(column: i32): usize {
  return PICKED_SIZE + (<usize>column << 3);
}

/** Where all columns are known: all have a weight, or none. */
@inline
function weightOffset(group: Group): usize {
  return valueOffset(group.columnCount);
}

@inline
export function nullOffset(group: Group, column: i32): usize {
  return weightOffset(group) + (group.weight < 0 ? 0 : 8) + <usize>column;
}

@inline
export function setWeight(group: Group, event: Picked, weight: i64): void {
  if (group.weight >= 0) store<i64>(changetype<usize>(event) + weightOffset(group), weight);
}

@inline
export function weightOf(group: Group, event: Picked): i64 {
  return group.weight < 0 ? 1 : load<i64>(changetype<usize>(event) + weightOffset(group));
}

/** What an event takes that has a key of so many bytes. */
@inline
export function pickedSize(group: Group, keyLength: usize): usize {
  return (group.eventSize + keyLength + 7) & ~7;
}

@inline
export function valueAt(event: Picked, column: i32): usize {
  return changetype<usize>(event) + valueOffset(column);
}

@inline
export function nullAt(group: Group, event: Picked, column: i32): usize {
  return changetype<usize>(event) + nullOffset(group, column);
}

@inline
export function pickedKey(group: Group, event: Picked): usize {
  return changetype<usize>(event) + group.eventSize;
}
