/**
 * Events into changes: stateless.
 *
 *   1. pick     events for which `where` is true and neither a key column nor the weight is null, into parts by key (gather.ts)
 *   2. key      part by part, events are put in order of their keys, those of one key in order of time (keyed.ts)
 *   3. tile     of each key and level, events of one tile stand side by side: a run for each row that is touched
 *   4. emit     one change for each run (change.ts), with an entry for each member of the group; those of one key follow on
 *               each other, so that whoever folds them finds their entity once
 */
import { COUNT, MEAN, SUM, setMoment, start, update } from './aggregate';
import { addMade, beginChanges, endChanges, forgetMade, madeFeatures, madeSize, shardCount } from './change';
import { forgetCounts } from './counts';
import { Group, Level, Member, Picked, groupAt, groupCount, levelAt, memberAt, nullOffset, valueOffset, weightOf } from './group';
import { forgetSketches } from './hyperloglog';
import { Keyed, keyedAt, keyedCount, orderByKey, orderByTime, orderKeys, orderedAt } from './keyed';
import { forgetRecent } from './last_n';
import { refuse } from './late';
import { Bytes } from './memory';
import { forgetPicked, pickFrom, pickSequenced, pickedBytes } from './gather';
import { PLAIN_MAX, computePlain, plainNumber } from './plain';
import { forgetRankings, rankBy } from './ranking';
import { appendEntry } from './row';
import { zigzag } from './varint';
import { writeWord } from './whole';

/** Tiles the events of records [from, to) of the batch for every group, and replaces what was made before. */
export function tileRecords(from: i32, to: i32): void {
  assert(pickedBytes() == 0);
  pickFrom(from, to, false);
  tilePicked(usize.MAX_VALUE, false);
}

/** Tiles one record for a group that events read: what was made before is replaced. */
export function tileSequenced(group: i32, record: i32): void {
  const owner = groupAt(group);
  assert(owner.isSequenced && shardCount == 1 && tiledGroup == 0 && keyedParts == 0);
  forgetMade();
  pickSequenced(owner, record);
  tileGroup(owner, usize.MAX_VALUE, false);
}

/** How far tiling has come: the group, the parts of it that are done, those whose keys have been found, and so many of these. */
let tiledGroup: i32 = 0;
let tiledParts: i32 = 0;
let keyedParts: i32 = 0;
let tiledKeys: u32 = 0;

/**
 * Tiles what was picked, in some calls, each of which replaces what was made before; false while there is more. No records are
 * picked until it is done.
 *
 * @param bytesMax of features, as they are spelt: there are a key's more at most
 * @param isOrdered keys of a group come in the order in which stores have them: who reads rows back reads what lies together once
 */
export function tilePicked(bytesMax: usize, isOrdered: bool): bool {
  forgetMade();
  for (; tiledGroup < groupCount; tiledGroup++)
    if (!tileGroup(groupAt(tiledGroup), bytesMax, isOrdered)) return false;
  tiledGroup = 0;
  return true;
}

/** False where there are more keys, and as many bytes of features as there may be. */
function tileGroup(group: Group, bytesMax: usize, isOrdered: bool): bool {
  while (tiledParts < group.partCount) {
    if (keyedParts == tiledParts) keyParts(group, isOrdered ? group.partCount : tiledParts + 1, isOrdered);
    for (; tiledKeys < keyedCount; tiledKeys++) {
      if (madeSize >= bytesMax) return false;
      tileKey(group, keyedAt(tiledKeys));
    }
    tiledParts = keyedParts;
  }
  tiledParts = keyedParts = 0;
  forgetPicked(group);
  return true;
}

function keyParts(group: Group, to: i32, isOrdered: bool): void {
  group.isTiled = true;
  orderByKey(group, tiledParts, to);
  if (isOrdered) orderKeys();
  keyedParts = to;
  tiledKeys = 0;
}

// --- 3. tile

function tileKey(group: Group, owner: Keyed): void {
  if (group.hasStates) {
    // Those of the key before are written.
    forgetRecent();
    forgetCounts();
    forgetRankings();
    forgetSketches();
  }
  if (owner.count > 1) orderByTime(owner.first, owner.count);
  beginChanges(group.entity, owner.hash, owner.start, <usize>owner.length);
  for (let i = 0; i < group.levelCount; i++) tileLevel(group, levelAt(group, i), orderedAt(owner.first), owner.count);
  endChanges();
}

/** Addresses of events (u32), in order of time. */
function tileLevel(group: Group, level: Level, events: usize, count: u32): void {
  const clockMicros = max(group.clockMicros, group.horizonMicros);
  if (level.ttlMs >= 0 && (tileStart(level, eventAt(events), group.offsetMs) + level.ttlMs) * 1000 <= clockMicros) {
    count = takeInTime(group, level, events, count);
    events = inTime.start;
  }
  const end = events + (<usize>count << 2);
  for (let at = events; at < end; ) {
    const startMs = tileStart(level, eventAt(at), group.offsetMs);
    let next = at + 4;
    while (next < end && isOfLastTile(level, eventAt(next))) next += 4;
    emit(group, level.lengthMs, startMs, at, <u32>((next - at) >> 2));
    at = next;
  }
}

@inline
function eventAt(place: usize): Picked {
  return changetype<Picked>(<usize>load<u32>(place));
}

/** The tile that an event is of. A division takes long, and many events are of the tile of the one before. */
@inline
function tileStart(level: Level, event: Picked, offsetMs: i64): i64 {
  if (!isOfLastTile(level, event)) findTile(level, event.timeMicros, offsetMs);
  return level.lastMs;
}

@inline
function isOfLastTile(level: Level, event: Picked): bool {
  return <u64>(event.timeMicros - level.lastMicros) < level.lengthMicros;
}

function findTile(level: Level, timeMicros: i64, offsetMs: i64): void {
  const lengthMs = level.lengthMs;
  const ordinal = floorDivide(timeMicros - offsetMs * 1000, lengthMs * 1000);
  level.lastMs = ordinal * lengthMs + offsetMs;
  level.lastMicros = level.lastMs * 1000;
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

/** Addresses of the events that a level has not refused. */
const inTime: Bytes = Bytes.make();

/**
 * Passes over events that a level refuses: a tile may have taken others, by an earlier clock. So it does over those of tiles that
 * nobody wants. Returns how many are left.
 */
function takeInTime(group: Group, level: Level, events: usize, count: u32): u32 {
  inTime.length = 0;
  inTime.reserve(<usize>count << 2);
  for (let place = events; place < events + (<usize>count << 2); place += 4) {
    const event = eventAt(place);
    const startMs = tileStart(level, event, group.offsetMs);
    const overMicros = (startMs + level.ttlMs) * 1000;
    if (overMicros <= event.clockMicros) {
      refuse(level.refusals, event.position, event.timeMicros, event.clockMicros);
      continue;
    }
    if (overMicros <= group.horizonMicros) continue;
    store<u32>(inTime.end, load<u32>(place));
    inTime.length += 4;
  }
  return <u32>(inTime.length >> 2);
}

// --- 4. emit

/** The change of a row, by events of its tile. */
function emit(group: Group, levelMs: i64, startMs: i64, events: usize, count: u32): void {
  const from = madeFeatures.length;
  if (group.outline != 0 && appendNumbers(group, events, count)) return addMade(levelMs, startMs, from, group.outline);
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    if (!appendPlain(member, events, count)) appendState(group, member, startMs, events, count);
  }
  addMade(levelMs, startMs, from, 0);
}

/** Appends a number of each member, as a closed row has them; false where a state has to be asked. */
@inline
function appendNumbers(group: Group, events: usize, count: u32): bool {
  // Of a mean two, and each is stored in a whole word.
  madeFeatures.reserve((<usize>group.memberCount << 4) + 8);
  let to = madeFeatures.end;
  for (let i = 0; i < group.memberCount; i++) {
    const member = memberAt(group, i);
    const isMean = member.aggregateCase == MEAN;
    if (!computeNumber(member, isMean ? SUM : member.aggregateCase, events, count)) return false;
    to += writeWord(to, zigzag(number));
    if (!isMean) continue;
    computeNumber(member, COUNT, events, count);
    to += writeWord(to, zigzag(number));
  }
  madeFeatures.length = to - madeFeatures.start;
  return true;
}

/** What was computed last. */
let number: i64 = 0;

/** Computes the integer of a case over a member's values; false where its state has to be asked. */
@inline
function computeNumber(member: Member, aggregateCase: i32, events: usize, count: u32): bool {
  number = <i64>count;
  if (member.value < 0) return true;
  const isPlain = computePlain(aggregateCase, events, count, member.valueOffset, member.nullOffset);
  number = plainNumber;
  return isPlain;
}

/** Appends an entry of one integer, which nearly all are; false where the member's state has to be asked. */
@inline
function appendPlain(member: Member, events: usize, count: u32): bool {
  const template = member.template;
  if (!template || !computeNumber(member, template.aggregateCase, events, count)) return false;
  madeFeatures.reserve(PLAIN_MAX);
  madeFeatures.length += template.write(madeFeatures.end, number);
  return true;
}

function appendState(group: Group, member: Member, startMs: i64, events: usize, count: u32): void {
  const state = group.states + member.offset;
  clearState(group, member, state, startMs);
  for (let place = events; place < events + (<usize>count << 2); place += 4) {
    const event = eventAt(place);
    let value: i64 = 0;
    if (member.value >= 0) {
      if (load<u8>(changetype<usize>(event) + member.nullOffset) != 0) continue;
      value = load<i64>(changetype<usize>(event) + member.valueOffset);
    }
    setMoment(event.timeMicros, event.position, changetype<usize>(event));
    update(member.aggregateCase, member.kind, state, value, weightOf(group, event));
  }
  appendEntry(madeFeatures, member.id, member.aggregateCase, state);
}

function clearState(group: Group, member: Member, state: usize, startMs: i64): void {
  for (let at: usize = 0; at < member.clearSize; at += 8) store<u64>(state + at, 0);
  if (!member.hasStart) return;
  start(member.aggregateCase, state, member.limit, startMs);
  if (member.rank >= 0) rankBy(state, valueOffset(member.rank), nullOffset(group, member.rank), member.rankKind);
}
