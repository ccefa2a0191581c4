/** The rows of one entity that a cover reaches, of memory and of the store, each visited once: a mask says which windows it belongs to. */
import { DECAYED, clearSize } from './aggregate';
import {
  Answer,
  Member,
  RANGE_SIZE,
  STRETCHES_MAX,
  STRETCH_SIZE,
  answerAt,
  memberAt,
  stateAt,
  windowAt,
} from './answer';
import { HALF_LIVES_KEPT, startDecayedWindow } from './decayed';
import {
  Entity,
  Level,
  Row,
  findEntity,
  findLevel,
  findRow,
  levelAt,
  lowerBound,
  numbersOf,
  outlineOf,
  rowAt,
  useRow,
} from './entity';
import { READ_MALFORMED, READ_OK, addClosed, addRow, setRowEnd } from './merge';
import { outlineAt } from './outline';
import { packedEnd, packedLevel, packedTileStart, packedValue, readPacked } from './packed';
import { floorTile } from './tile';

/** Begins the answer for one key. */
export function startKey(answer: i32, start: usize, length: usize): void {
  startEntity(answerAt(answer), start, length);
}

export function startEntity(answer: Answer, start: usize, length: usize): void {
  setEntity(answer, start, length);
  clearStates(answer);
}

export function setEntity(answer: Answer, start: usize, length: usize): void {
  const entity = findEntity(answer.entity, start, length);
  answer.current = entity ? changetype<usize>(entity) : 0;
}

/** Nothing is merged yet. The cover is known. */
export function clearStates(answer: Answer): void {
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    member.found = 0;
    const size = clearSize(member.aggregateCase);
    for (let rest = member.wanted; rest != 0; rest &= rest - 1)
      clear(stateAt(answer, member, <i32>ctz<u64>(rest)), size);
    if (member.aggregateCase == DECAYED) startMember(answer, member);
  }
}

/** Tells the states of a decayed sum when they are read, and from where on: that depends on the coarsest tiles, not on those of the cover. */
function startMember(answer: Answer, member: Member): void {
  const halfLifeMs = <i64>load<f64>(member.parameters);
  for (let rest = member.wanted; rest != 0; rest &= rest - 1) {
    const window = windowAt(answer, <i32>ctz<u64>(rest));
    let cutMs = i64.MIN_VALUE;
    if (window.levelCount > 0) {
      const coarsest = load<i64>(window.levels + (<usize>(window.levelCount - 1) << 3));
      const oldest = answer.timeMicros - HALF_LIVES_KEPT * halfLifeMs * 1000;
      cutMs = floorTile(oldest / 1000 - <i64>(oldest % 1000 < 0), coarsest, window.offsetMs);
    }
    startDecayedWindow(stateAt(answer, member, <i32>ctz<u64>(rest)), halfLifeMs, answer.timeMicros, cutMs);
  }
}

/** Sizes are whole words, and mostly few: a call would take longer. */
@inline
function clear(state: usize, size: usize): void {
  for (let at: usize = 0; at < size; at += 8) store<u64>(state + at, 0);
}

/** Adds a row from the store, unless memory holds a newer one under the same address. */
export function addStoredRow(answer: i32, levelMs: f64, tileStart: f64, bytes: usize, length: usize): i32 {
  return addStored(answerAt(answer), levelMs, tileStart, bytes, bytes + length);
}

/** Adds rows from the store as packed.ts has them, likewise; whose they are is not looked at. */
export function addPackedRows(answer: i32, start: usize, length: usize): i32 {
  const owner = answerAt(answer);
  const end = start + length;
  for (let at = start; at < end; ) {
    if (!readPacked(at, end)) return READ_MALFORMED;
    at = packedEnd;
    const outcome = addStored(owner, packedLevel, packedTileStart, packedValue, packedEnd);
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

function addStored(answer: Answer, levelMs: f64, tileStart: f64, bytes: usize, end: usize): i32 {
  if (answer.current != 0) {
    const level = findLevel(changetype<Entity>(answer.current), <i64>levelMs);
    if (level && findRow(level, <i64>tileStart)) return READ_OK;
  }
  const windows = windowsOf(answer, levelMs, tileStart);
  setRowEnd(<i64>levelMs, <i64>tileStart);
  return windows == 0 ? READ_OK : addRow(answer, windows, <i64>tileStart, bytes, end);
}

/** Adds the rows that memory holds. */
export function addMemoryRows(answer: i32): i32 {
  return collect(answerAt(answer));
}

export function collect(answer: Answer): i32 {
  if (answer.current == 0) return READ_OK;
  const entity = changetype<Entity>(answer.current);
  // The latest rows first, which coarse levels have: lists of the latest then need few of the others.
  for (let i = entity.levelCount - 1; i >= 0; i--) {
    const outcome = collectLevel(answer, levelAt(entity, i));
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

function collectLevel(answer: Answer, level: Level): i32 {
  const levelMs = <f64>level.lengthMs;
  let from = Infinity;
  let to = -Infinity;
  for (let i = 0; i < answer.rangeCount; i++) {
    const range = answer.ranges + <usize>i * RANGE_SIZE;
    if (load<f64>(range) != levelMs) continue;
    from = min(from, load<f64>(range, 8));
    to = max(to, load<f64>(range, 16));
  }
  if (from >= to) return READ_OK;
  const first = lowerBound(level, <i64>from);
  const last = to == Infinity ? level.count : lowerBound(level, <i64>to);
  for (let i = last - 1; i >= first; i--) {
    const row = rowAt(level, i);
    const tileStart = <f64>row.tileStart;
    const windows = windowsOf(answer, levelMs, tileStart);
    if (windows == 0) continue;
    useRow(row);
    setRowEnd(level.lengthMs, row.tileStart);
    const outcome = addMemoryRow(answer, windows, row);
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

@inline
function addMemoryRow(answer: Answer, windows: u64, row: Row): i32 {
  const outline = outlineOf(row);
  if (outline != 0) return addClosed(answer, windows, outlineAt(outline), numbersOf(row));
  return addRow(answer, windows, row.tileStart, row.bytes, row.bytes + <usize>row.length);
}

/**
 * Adds rows that memory holds, range by range: a cover is used once, and its windows have mostly an aggregate each, so that
 * rows with several of them are few.
 */
export function collectRanges(answer: Answer): i32 {
  collectedRows = 0;
  if (answer.current == 0) return READ_OK;
  const entity = changetype<Entity>(answer.current);
  let level: Level | null = null;
  for (let i = answer.rangeCount - 1; i >= 0; i--) {
    const range = answer.ranges + <usize>i * RANGE_SIZE;
    const lengthMs = <i64>load<f64>(range);
    if (!level || level.lengthMs != lengthMs) level = findLevel(entity, lengthMs);
    if (!level || level.count == 0) continue;
    const outcome = collectRange(answer, level, range);
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

/** Of the last cover of an event. */
export let collectedRows: i32 = 0;

/** The latest rows first, as `collect` has them. */
function collectRange(answer: Answer, level: Level, range: usize): i32 {
  const from = <i64>load<f64>(range, 8);
  if (level.newestStart < from) return READ_OK;
  const to = load<f64>(range, 16);
  const first = lowerBound(level, from);
  const end = to == Infinity ? level.count : lowerBound(level, <i64>to);
  const windows = <u64>1 << <i32>load<f64>(range, 24);
  collectedRows += end - first;
  for (let i = end - 1; i >= first; i--) {
    const row = rowAt(level, i);
    useRow(row);
    setRowEnd(level.lengthMs, row.tileStart);
    const outcome = addMemoryRow(answer, windows, row);
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

/** The windows that a tile belongs to, as a mask. Tiles mostly come in order, so it is the mask of the one before. */
@inline
function windowsOf(answer: Answer, levelMs: f64, tileStart: f64): u64 {
  if (!isWithin(answer.stretch, levelMs, tileStart)) answer.stretch = stretchOf(answer, levelMs, tileStart);
  return load<u64>(answer.stretch, 24);
}

@inline
function isWithin(stretch: usize, levelMs: f64, tileStart: f64): bool {
  return load<f64>(stretch) == levelMs && tileStart >= load<f64>(stretch, 8) && tileStart < load<f64>(stretch, 16);
}

/** Found anew only for the first tile in it since the cover was made: each key of a lookup has rows in the same ones. */
function stretchOf(answer: Answer, levelMs: f64, tileStart: f64): usize {
  for (let i = 0; i < answer.stretchCount; i++) {
    const known = answer.stretches + <usize>i * STRETCH_SIZE;
    if (isWithin(known, levelMs, tileStart)) return known;
  }
  if (answer.stretchCount == STRETCHES_MAX) answer.stretchCount = 0;
  const stretch = answer.stretches + <usize>answer.stretchCount * STRETCH_SIZE;
  answer.stretchCount++;
  findStretch(answer, stretch, levelMs, tileStart);
  return stretch;
}

/** It reaches from the last edge of a range at or before the tile to the next one after it. */
function findStretch(answer: Answer, stretch: usize, levelMs: f64, tileStart: f64): void {
  let windows: u64 = 0;
  let after = -Infinity;
  let before = Infinity;
  for (let i = 0; i < answer.rangeCount; i++) {
    const range = answer.ranges + <usize>i * RANGE_SIZE;
    if (load<f64>(range) != levelMs) continue;
    const from = load<f64>(range, 8);
    const to = load<f64>(range, 16);
    if (tileStart >= from && tileStart < to) windows |= <u64>1 << <i32>load<f64>(range, 24);
    after = max(after, from <= tileStart ? from : -Infinity);
    after = max(after, to <= tileStart ? to : -Infinity);
    before = min(before, from > tileStart ? from : Infinity);
    before = min(before, to > tileStart ? to : Infinity);
  }
  store<f64>(stretch, levelMs);
  store<f64>(stretch, after, 8);
  store<f64>(stretch, before, 16);
  store<u64>(stretch, windows, 24);
}
