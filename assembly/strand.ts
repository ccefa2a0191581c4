/**
 * Strands: what a replay in columns keeps of events. A strand is of events of one type that write aggregates by one key, and of
 * those of one type that read them by one, in the order of the log; most often it is the same event that does both. It becomes one
 * sequence of steps for each key:
 *
 *   1. gather   of each batch what steps are made of goes to the ends of columns: the number of the key, the moment, the row of
 *               whoever reads, and of each feed whether the event counts and with which value
 *   2. sort     steps are put in order of their keys, those of one key stay in that of the log
 *
 *      keys     0 1 0 2 1 0  ->  0 0 0 1 1 2        starts  0 3 5 6
 *      rows     0 1 2 3 4 5  ->  0 2 5 1 4 3
 *
 * sweep.ts runs windows over them. A feed is what a selection and an argument make of an event: aggregates that have both in
 * common share it.
 */
import { Arena } from './arena';
import { Frame, registerOf } from './frame';
import { buildKey, keyLength, keyStart } from './key';
import { Bytes, allocate, allocateZeroed } from './memory';
import { recordClock, recordCount, recordRow, recordTime, recordType } from './batch';
import { CLOCK_NONE, typeFrame } from './event_type';
import { Numbering } from './numbering';
import { Status } from './register';
import { millisecondOf } from './cover';
import { lateBefore } from './seen';

/** Of a step by which nobody reads. */
export const NO_ROW: u32 = 0xffffffff;

/** What an event is to a feed: nothing, one that counts with a null for its value, or with a value. */
export const FED_NOT: u8 = 0;
export const FED_NULL: u8 = 1;
export const FED: u8 = 2;

@unmanaged
export class Feed {
  /** Registers of the writer's frame; -1 where all events count, and where they have no value. */
  where: i32;
  value: i32;
  isText: bool;
  /** Every step counts, and has no value: nothing is kept of it. */
  isAlways: bool;
  /** Of each step FED_NOT, FED_NULL or FED, u8; and its value, i64, where the feed has any: 0 where the step has none. */
  states: Bytes;
  values: Bytes;
}

@unmanaged
export class Strand {
  writer: i32;
  reader: i32;
  /** The event that reads is the one that writes, by the same key: one step for both. */
  isShared: bool;
  /** Who reads leaves itself out. */
  isExclusive: bool;
  keyCount: i32;
  /** (register, KeyKind) pairs, of each side. */
  writerKeys: usize;
  readerKeys: usize;
  feedCount: i32;
  feeds: usize;
  numbering: Numbering;
  /** Of each step: number of the key u32, moment in microseconds i64, row u32, whether it is too late to read u8. */
  keys: Bytes;
  micros: Bytes;
  rows: Bytes;
  lates: Bytes;
  hasLates: bool;
  stepCount: u32;
  /**
   * Once sorted: the moment in milliseconds i64 of each step; the first step of each key, and behind them how many steps there are, u32; of
   * each key whether its steps are in order of time, u8; and the most that a key has.
   */
  millis: Bytes;
  starts: usize;
  orders: usize;
  keysFound: u32;
  longest: u32;
  isSorted: bool;
  /** Events of the reader's type, bad ones too: the rows of the columns; and of each what is so where no step fills it: null u8, status u8. */
  rowCount: u32;
  nulls: Bytes;
  statuses: Bytes;
  /** The clock of the writer's type, and what it showed first. */
  clock: i64;
  since: i64;
  texts: Arena;
}

/** Number of the key, moment twice, row, whether it is late, null, status, and room to put one of these in order. */
const STEP_SIZE: i32 = 4 + 8 + 8 + 4 + 1 + 1 + 1 + 8;

const STRANDS_MAX: i32 = 1024;
const FEEDS_MAX: i32 = 1024;
const strands: usize = memory.data(1024 * sizeof<usize>(), 8);
let strandCount = 0;

export function addStrand(writer: i32, reader: i32, isShared: bool, isExclusive: bool, keyCount: i32): i32 {
  assert(strandCount < STRANDS_MAX && (!isShared || writer == reader));
  const strand = changetype<Strand>(allocateZeroed(offsetof<Strand>()));
  strand.writer = writer;
  strand.reader = reader;
  strand.isShared = isShared;
  strand.isExclusive = isExclusive;
  strand.keyCount = keyCount;
  strand.writerKeys = allocateZeroed((<usize>keyCount << 3) + 1);
  strand.readerKeys = allocateZeroed((<usize>keyCount << 3) + 1);
  strand.feeds = allocateZeroed(<usize>FEEDS_MAX * sizeof<usize>());
  strand.numbering = Numbering.make();
  strand.keys = Bytes.make();
  strand.millis = Bytes.make();
  strand.micros = Bytes.make();
  strand.rows = Bytes.make();
  strand.lates = Bytes.make();
  strand.nulls = Bytes.make();
  strand.statuses = Bytes.make();
  strand.clock = CLOCK_NONE;
  strand.since = CLOCK_NONE;
  strand.texts = Arena.make();
  store<usize>(strands + <usize>strandCount * sizeof<usize>(), changetype<usize>(strand));
  return strandCount++;
}

@inline
export function strandAt(index: i32): Strand {
  assert(<u32>index < <u32>strandCount);
  return changetype<Strand>(load<usize>(strands + <usize>index * sizeof<usize>()));
}

export function setStrandKey(strand: i32, isReader: bool, index: i32, register: i32, kind: i32): void {
  const owner = strandAt(strand);
  assert(<u32>index < <u32>owner.keyCount);
  const key = (isReader ? owner.readerKeys : owner.writerKeys) + (<usize>index << 3);
  store<i32>(key, register);
  store<i32>(key, kind, 4);
}

export function addFeed(strand: i32, where: i32, value: i32, isText: bool): i32 {
  const owner = strandAt(strand);
  assert(owner.feedCount < FEEDS_MAX && owner.stepCount == 0);
  const feed = changetype<Feed>(allocateZeroed(offsetof<Feed>()));
  feed.where = where;
  feed.value = value;
  feed.isText = isText;
  feed.isAlways = owner.isShared && where < 0 && value < 0;
  feed.states = Bytes.make();
  feed.values = Bytes.make();
  store<usize>(owner.feeds + <usize>owner.feedCount * sizeof<usize>(), changetype<usize>(feed));
  return owner.feedCount++;
}

@inline
export function feedAt(strand: Strand, index: i32): Feed {
  assert(<u32>index < <u32>strand.feedCount);
  return changetype<Feed>(load<usize>(strand.feeds + <usize>index * sizeof<usize>()));
}

/** Makes room for so many steps and rows in each strand, before any are gathered: what grows is copied, and takes twice its room. */
export function reserveSteps(count: u32): void {
  for (let i = 0; i < strandCount; i++) {
    const strand = strandAt(i);
    const steps = <usize>count;
    strand.keys.reserve(steps << 2);
    strand.micros.reserve(steps << 3);
    strand.rows.reserve(steps << 2);
    strand.lates.reserve(steps);
    strand.nulls.reserve(steps);
    strand.statuses.reserve(steps);
    for (let k = 0; k < strand.feedCount; k++) {
      const feed = feedAt(strand, k);
      if (!feed.isAlways) feed.states.reserve(steps);
      if (feed.value >= 0) feed.values.reserve(steps << 3);
    }
  }
}

/** Of each key what is noted while steps are put aside (piece.ts). */
const CUT_KEY_BYTES: i32 = 12;

/** What steps take, of all strands, with room to put those of each in order, once so many more keys have come. */
export function strandBytes(moreKeys: u32): f64 {
  let size: f64 = 0;
  for (let i = 0; i < strandCount; i++) {
    const strand = strandAt(i);
    // In order there are milliseconds beside microseconds.
    const moved = max(strand.micros.capacity, strand.keys.capacity << 1) + strand.micros.capacity;
    size += <f64>(strand.keys.capacity + strand.micros.capacity + strand.rows.capacity + moved);
    size += <f64>(strand.lates.capacity + strand.nulls.capacity + strand.statuses.capacity + strand.texts.size);
    size += <f64>strand.numbering.sizeWith(moreKeys) + <f64>strand.numbering.count * CUT_KEY_BYTES;
    for (let k = 0; k < strand.feedCount; k++) {
      const feed = feedAt(strand, k);
      size += <f64>(feed.states.capacity + feed.values.capacity);
    }
  }
  return size;
}

/** What a step takes of all strands, with a row beside it, but for its key and its texts. */
export function stepBytes(): i32 {
  let size = 0;
  for (let i = 0; i < strandCount; i++) {
    const strand = strandAt(i);
    size += STEP_SIZE;
    for (let k = 0; k < strand.feedCount; k++) {
      const feed = feedAt(strand, k);
      if (!feed.isAlways) size += feed.value < 0 ? 1 : 9;
    }
  }
  return size;
}

/** Steps of the strand that has most. */
export function stepCount(): u32 {
  let most: u32 = 0;
  for (let i = 0; i < strandCount; i++) most = max(most, strandAt(i).stepCount);
  return most;
}

/** Rows of the strand that has most: where keys are dealt out to jobs they are more than steps. */
export function rowCount(): u32 {
  let most: u32 = 0;
  for (let i = 0; i < strandCount; i++) most = max(most, strandAt(i).rowCount);
  return most;
}

// --- 1. gather

/** Takes the records of the batch, each once it has been selected. */
export function gatherSteps(): void {
  for (let i = 0; i < strandCount; i++) gatherStrand(strandAt(i));
}

function gatherStrand(strand: Strand): void {
  assert(!strand.isSorted);
  if (strand.numbering.isWide) touchKeys(strand);
  for (let record: usize = 0; record < <usize>recordCount; record++) {
    const type = load<i32>(recordType + (record << 2));
    if (type == strand.writer) seeClock(strand, load<i64>(recordClock + (record << 3)));
    const isReader = type == strand.reader;
    const row = load<i32>(recordRow + (record << 2));
    let column = NO_ROW;
    if (isReader) column = addRow(strand);
    if (row < 0) continue;
    if (strand.isShared) {
      if (isReader) gatherShared(strand, record, <usize>row, column);
      continue;
    }
    if (isReader && strand.isExclusive) gatherRead(strand, record, <usize>row, column);
    if (type == strand.writer) gatherWrite(strand, record, <usize>row);
    if (isReader && !strand.isExclusive) gatherRead(strand, record, <usize>row, column);
  }
}

/** Keys of the batch are numbered next: where theirs stand is fetched while others are looked for. */
function touchKeys(strand: Strand): void {
  for (let record: usize = 0; record < <usize>recordCount; record++) {
    const type = load<i32>(recordType + (record << 2));
    const row = load<i32>(recordRow + (record << 2));
    if (row < 0) continue;
    if (type == strand.writer) touchKey(strand, <usize>row, type, strand.writerKeys);
    if (type == strand.reader && !strand.isShared) touchKey(strand, <usize>row, type, strand.readerKeys);
  }
}

@inline
function touchKey(strand: Strand, row: usize, type: i32, columns: usize): void {
  if (buildKey(typeFrame(type), row, columns, strand.keyCount)) strand.numbering.touch(keyStart, keyLength);
}

@inline
function seeClock(strand: Strand, clock: i64): void {
  if (clock == CLOCK_NONE) return;
  if (strand.since == CLOCK_NONE) strand.since = clock;
  strand.clock = clock;
}

/** Until a step fills it, it is that of an event that is no row. */
@inline
function addRow(strand: Strand): u32 {
  strand.nulls.reserve(1);
  strand.statuses.reserve(1);
  store<u8>(strand.nulls.end, 1);
  store<u8>(strand.statuses.end, <u8>Status.NONE);
  strand.nulls.length++;
  strand.statuses.length++;
  return strand.rowCount++;
}

/** Nothing has the null key. */
@inline
function leaveBlank(strand: Strand, column: u32): void {
  store<u8>(strand.statuses.start + <usize>column, <u8>Status.NOT_FOUND);
}

@inline
function gatherShared(strand: Strand, record: usize, row: usize, column: u32): void {
  const frame = typeFrame(strand.writer);
  if (!buildKey(frame, row, strand.writerKeys, strand.keyCount)) return leaveBlank(strand, column);
  feed(strand, frame, row);
  addStep(strand, record, column);
}

function gatherRead(strand: Strand, record: usize, row: usize, column: u32): void {
  if (!buildKey(typeFrame(strand.reader), row, strand.readerKeys, strand.keyCount)) return leaveBlank(strand, column);
  for (let i = 0; i < strand.feedCount; i++) addFed(feedAt(strand, i), FED_NOT, 0);
  addStep(strand, record, column);
}

/** An event that counts for no feed is no step. */
function gatherWrite(strand: Strand, record: usize, row: usize): void {
  const frame = typeFrame(strand.writer);
  if (!buildKey(frame, row, strand.writerKeys, strand.keyCount)) return;
  if (feed(strand, frame, row)) addStep(strand, record, NO_ROW);
  else for (let i = 0; i < strand.feedCount; i++) dropFed(feedAt(strand, i));
}

/** Whether any feed counts the event. */
function feed(strand: Strand, frame: Frame, row: usize): bool {
  let counts = false;
  for (let i = 0; i < strand.feedCount; i++) {
    const one = feedAt(strand, i);
    if (!isWanted(frame, one.where, row)) {
      addFed(one, FED_NOT, 0);
      continue;
    }
    counts = true;
    if (one.isAlways) continue;
    if (one.value < 0) addFed(one, FED, 0);
    else addValue(strand, frame, one, row);
  }
  return counts;
}

@inline
function isWanted(frame: Frame, where: i32, row: usize): bool {
  if (where < 0) return true;
  const register = registerOf(frame, where);
  return load<u8>(register.nulls + row) == 0 && load<i64>(register.values + (row << 3)) != 0;
}

@inline
function addValue(strand: Strand, frame: Frame, one: Feed, row: usize): void {
  const register = registerOf(frame, one.value);
  if (load<u8>(register.nulls + row) != 0) return addFed(one, FED_NULL, 0);
  let value = load<i64>(register.values + (row << 3));
  if (one.isText) {
    const length = <u64>value >> 32;
    value = <i64>(<u64>strand.texts.copyShort(<usize>(value & 0xffffffff), <usize>length) | (length << 32));
  }
  addFed(one, FED, value);
}

@inline
function addFed(one: Feed, state: u8, value: i64): void {
  one.states.reserve(1);
  store<u8>(one.states.end, state);
  one.states.length++;
  if (one.value < 0) return;
  one.values.reserve(8);
  store<i64>(one.values.end, value);
  one.values.length += 8;
}

function dropFed(one: Feed): void {
  one.states.length--;
  if (one.value >= 0) one.values.length -= 8;
}

/** The key is the one that was built last. */
@inline
function addStep(strand: Strand, record: usize, column: u32): void {
  const micros = load<i64>(recordTime + (record << 3));
  append32(strand.keys, strand.numbering.numberOf(keyStart, keyLength));
  append64(strand.micros, micros);
  append32(strand.rows, column);
  const isLate = lateBefore(strand.clock, micros);
  if (isLate) strand.hasLates = true;
  strand.lates.reserve(1);
  store<u8>(strand.lates.end, isLate ? 1 : 0);
  strand.lates.length++;
  strand.stepCount++;
  if (column != NO_ROW) store<u8>(strand.nulls.start + <usize>column, 0);
}

@inline
function append32(to: Bytes, value: u32): void {
  to.reserve(4);
  store<u32>(to.end, value);
  to.length += 4;
}

@inline
function append64(to: Bytes, value: i64): void {
  to.reserve(8);
  store<i64>(to.end, value);
  to.length += 8;
}

// --- 2. sort

/** Puts the steps in order of their keys; no more are gathered then. */
export function sortStrand(strand: i32): void {
  const owner = strandAt(strand);
  if (owner.isSorted) return;
  owner.isSorted = true;
  const places = placesOf(owner);
  const count = owner.stepCount;
  move<u32>(owner.rows, places, count);
  move<i64>(owner.micros, places, count);
  if (owner.hasLates) move<u8>(owner.lates, places, count);
  for (let i = 0; i < owner.feedCount; i++) {
    const one = feedAt(owner, i);
    if (one.isAlways) continue;
    move<u8>(one.states, places, count);
    if (one.value >= 0) move<i64>(one.values, places, count);
  }
  owner.keys.free();
  owner.numbering.free();
  findMoments(owner);
}

/** The milliseconds of all steps, and whether those of a key go on. */
export function findMoments(owner: Strand): void {
  owner.millis.setLength(owner.micros.length);
  owner.orders = allocateZeroed(<usize>owner.keysFound + 1);
  for (let key: usize = 0; key < <usize>owner.keysFound; key++) {
    const end = <usize>load<u32>(owner.starts + (key << 2), 4);
    let before = i64.MIN_VALUE;
    let isOrdered = true;
    for (let step = <usize>load<u32>(owner.starts + (key << 2)); step < end; step++) {
      const micros = load<i64>(owner.micros.start + (step << 3));
      isOrdered = isOrdered && micros >= before;
      before = micros;
      store<i64>(owner.millis.start + (step << 3), millisecondOf(micros));
    }
    store<u8>(owner.orders + key, isOrdered ? 1 : 0);
  }
}

/** Are the steps of a key, of a sorted strand, in order of time? */
@inline
export function isOrderly(strand: Strand, key: usize): bool {
  return load<u8>(strand.orders + key) != 0;
}

/** Where each step goes: how many come before it, by their keys, takes the place of its key. */
export function placesOf(strand: Strand): usize {
  const keyCount = <usize>strand.numbering.count;
  const starts = allocate((keyCount + 2) << 2);
  memory.fill(starts, 0, (keyCount + 2) << 2);
  const end = strand.keys.end;
  for (let at = strand.keys.start; at < end; at += 4) {
    const next = starts + ((<usize>load<u32>(at) + 2) << 2);
    store<u32>(next, load<u32>(next) + 1);
  }
  for (let key: usize = 2; key < keyCount + 2; key++) {
    const place = starts + (key << 2);
    store<u32>(place, load<u32>(place) + load<u32>(place - 4));
  }
  for (let at = strand.keys.start; at < end; at += 4) {
    const next = starts + ((<usize>load<u32>(at) + 1) << 2);
    const place = load<u32>(next);
    store<u32>(next, place + 1);
    store<u32>(at, place);
  }
  strand.starts = starts;
  strand.keysFound = <u32>keyCount;
  for (let key: usize = 0; key < keyCount; key++) {
    const place = starts + (key << 2);
    strand.longest = max(strand.longest, load<u32>(place, 4) - load<u32>(place));
  }
  return strand.keys.start;
}

function move<T>(column: Bytes, places: usize, count: u32): void {
  const moved = Bytes.make();
  moved.reserve(<usize>count * sizeof<T>());
  moved.length = <usize>count * sizeof<T>();
  for (let i: usize = 0; i < <usize>count; i++)
    store<T>(moved.start + <usize>load<u32>(places + (i << 2)) * sizeof<T>(), load<T>(column.start + i * sizeof<T>()));
  column.takeFrom(moved);
}
