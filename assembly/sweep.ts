/**
 * Windows over a strand, sorted: one aggregate over one window, for all keys, as a column of whoever reads.
 *
 * Of each key the events that count stand in a line, in order of time; most often that is the order in which they come. A window is a
 * stretch of it, and moves along with the steps:
 *
 *      line     e0  e1  e2  e3  e4  e5  e6                  low = 2, high = 6
 *                       |---- window ----|
 *
 *   1. write   the step's event goes to its place in the line: to the end, or, where it comes late, before those that are later
 *   2. slide   the edges go to where the window of the reading step begins and ends: what comes in is added, what is left behind is
 *              taken back. Where a step is earlier than the one before it they go back as well
 *   3. finish  the value goes to the row of whoever reads
 *
 * What is added and taken back is exact (exact.ts), so that it does not matter in which order: not a bit differs from what the cover of
 * the same window merges. Extremes cannot be taken back: for those that are in the window and have no better one behind them a queue is kept,
 * made anew where the edges have not just gone on. The earliest and the latest values are looked up in the line.
 */
import { MAX, MOMENTS, STATE_SIZE_MAX, clearSize, finish, isGroup, update } from './aggregate';
import { FINISHED, FINISHED_NULL, FINISHED_OVERFLOW } from './finish';
import { REAL, TEXT, canonicalNaN, orderOf } from './kind';
import { RECENT_TEXT_MAX_BYTES } from './last_n';
import { Bytes, allocateZeroed, copyLoosely } from './memory';
import { finishMoments } from './moments';
import { Status } from './register';
import { FED, FED_NOT, Feed, NO_ROW, Strand, feedAt, strandAt } from './strand';
import { OPEN, Window, endOf, startOf } from './window';

/** How values come of what is in the window. */
export enum Manner {
  /** How many there are. */
  COUNTED,
  /** A state that is added to and taken back from. */
  GROUP,
  EXTREME,
  EARLIEST,
  LATEST,
  /** A list of the latest. */
  LATEST_SOME,
}

export const SWEPT: i32 = 0;
/** Its steps are so much out of order that this is no way to go. */
export const SWEEP_TANGLED: i32 = 1;

/** Places in lines that are gone over a second time, for each step, before it is given up. */
const AGAIN_MAX: i64 = 64;

/** The column that was swept last: values 8 bytes a row, nulls and statuses a byte; a list is (first item u32, count u32). */
const values: Bytes = Bytes.make();
const nulls: Bytes = Bytes.make();
const statuses: Bytes = Bytes.make();
/** Steps (u32) whose values are items of lists. */
const items: Bytes = Bytes.make();
/** Rows whose status is EXPIRED or OVERFLOW. */
export let sweptFaults: u32 = 0;

export function sweptValues(): usize {
  return values.start;
}

export function sweptNulls(): usize {
  return nulls.start;
}

export function sweptStatuses(): usize {
  return statuses.start;
}

/** What the column takes, with its items. */
export function sweptBytes(): f64 {
  return <f64>(values.capacity + nulls.capacity + statuses.capacity + items.capacity);
}

// --- what is swept

const window: Window = changetype<Window>(allocateZeroed(offsetof<Window>()));
let strand: Strand = changetype<Strand>(0);
let manner: Manner = Manner.COUNTED;
let aggregateCase: i32 = 0;
let kind: i32 = 0;
let finisher: i32 = 0;
let limit: u32 = 0;

/** Addresses of the strand's columns and of the feed's. */
let millis: usize = 0;
let micros: usize = 0;
let rows: usize = 0;
let lates: usize = 0;
let states: usize = 0;
let fed: usize = 0;

export function setSweptWindow(
  lengthMs: f64,
  resolutionMs: f64,
  agoMs: f64,
  everyMs: f64,
  isExact: bool,
  offsetMs: f64,
): void {
  window.lengthMs = <i64>lengthMs;
  window.resolutionMs = <i64>resolutionMs;
  window.agoMs = <i64>agoMs;
  window.everyMs = <i64>everyMs;
  window.isExact = isExact;
  window.offsetMs = <i64>offsetMs;
}

/** Sweeps one aggregate, of a feed of a sorted strand, over the window that was set. */
export function sweep(
  index: i32,
  feed: i32,
  how: Manner,
  ofCase: i32,
  ofKind: i32,
  finishedBy: i32,
  limitedTo: i32,
): i32 {
  const owner = strandAt(index);
  assert(owner.isSorted);
  assert(how != Manner.GROUP || isGroup(ofCase));
  strand = owner;
  manner = how;
  aggregateCase = ofCase;
  kind = ofKind;
  finisher = finishedBy;
  limit = <u32>limitedTo;
  useColumns(owner, feedAt(owner, feed));
  startColumn(owner);
  again = AGAIN_MAX * <i64>owner.stepCount;
  const starts = owner.starts;
  for (let key: usize = 0; key < <usize>owner.keysFound; key++) {
    const first = load<u32>(starts + (key << 2));
    const end = load<u32>(starts + (key << 2), 4);
    sweepKey(first, end);
    if (again < 0) return SWEEP_TANGLED;
  }
  return SWEPT;
}

function useColumns(owner: Strand, feed: Feed): void {
  millis = owner.millis.start;
  micros = owner.micros.start;
  rows = owner.rows.start;
  lates = owner.lates.start;
  states = feed.states.start;
  fed = feed.values.start;
}

/** Null and as blank as the strand has it; rows that are read for are not null until it turns out that they are. */
function startColumn(owner: Strand): void {
  const count = <usize>owner.rowCount;
  setLength(values, count << 3);
  setLength(nulls, count);
  setLength(statuses, count);
  memory.fill(values.start, 0, count << 3);
  memory.copy(nulls.start, owner.nulls.start, count);
  memory.copy(statuses.start, owner.statuses.start, count);
  items.length = 0;
  sweptFaults = 0;
  setLength(line, <usize>owner.longest << 2);
  setLength(queue, manner == Manner.EXTREME ? <usize>owner.longest << 2 : 0);
}

function setLength(bytes: Bytes, length: usize): void {
  bytes.length = 0;
  bytes.reserve(length);
  bytes.length = length;
}

// --- the line of a key

/** Steps (u32) that count, in order of time; the first `lineCount` are there. */
const line: Bytes = Bytes.make();
let lineCount: u32 = 0;
/** The window is what is in [low, high). */
let low: u32 = 0;
let high: u32 = 0;
/** Of the window, in the manner GROUP. */
const state: usize = memory.data(<i32>STATE_SIZE_MAX, 16);
/** Places that may still be gone over a second time. */
let again: i64 = 0;

@inline
function inLine(place: u32): u32 {
  return load<u32>(line.start + (<usize>place << 2));
}

@inline
function millisAt(place: u32): i64 {
  return load<i64>(millis + (<usize>inLine(place) << 3));
}

@inline
function stateOf(step: u32): u8 {
  return load<u8>(states + <usize>step);
}

@inline
function valueOf(step: u32): i64 {
  return load<i64>(fed + (<usize>step << 3));
}

function sweepKey(first: u32, end: u32): void {
  lineCount = low = high = 0;
  if (manner == Manner.GROUP) memory.fill(state, 0, clearSize(aggregateCase));
  queueFirst = queueEnd = 0;
  isQueued = true;
  const isExclusive = strand.isExclusive;
  for (let step = first; step < end; step++) {
    const row = load<u32>(rows + (<usize>step << 2));
    if (isExclusive && row != NO_ROW) read(step, row);
    if (stateOf(step) != FED_NOT) write(step);
    if (!isExclusive && row != NO_ROW) read(step, row);
  }
}

// --- 1. write

@inline
function write(step: u32): void {
  if (lineCount > 0 && load<i64>(micros + (<usize>inLine(lineCount - 1) << 3)) > load<i64>(micros + (<usize>step << 3)))
    return writeLate(step);
  store<u32>(line.start + (<usize>lineCount << 2), step);
  lineCount++;
}

/** Behind all that are no later than it. What is in the window already makes room for it there. */
function writeLate(step: u32): void {
  const moment = load<i64>(micros + (<usize>step << 3));
  let place = lineCount;
  while (place > 0 && load<i64>(micros + (<usize>inLine(place - 1) << 3)) > moment) place--;
  const at = line.start + (<usize>place << 2);
  memory.copy(at + 4, at, <usize>(lineCount - place) << 2);
  store<u32>(at, step);
  again -= <i64>(lineCount - place);
  lineCount++;
  if (place >= high) return;
  high++;
  if (place <= low) {
    low++;
    return;
  }
  isQueued = false;
  if (manner == Manner.GROUP) add(step, 1);
}

// --- 2. slide

@inline
function read(step: u32, row: u32): void {
  if (window.lengthMs != 0) {
    if (load<u8>(lates + <usize>step) != 0) return refuse(row);
    slide(load<i64>(millis + (<usize>step << 3)));
  } else {
    toEnd(lineCount);
    while (low > 0) enterFirst();
  }
  put(row);
}

@inline
function slide(timeMs: i64): void {
  const end = endOf(window, timeMs, false);
  const start = window.everyMs != 0 ? end - window.lengthMs : startAt(timeMs);
  windowStart = start;
  if (end == OPEN) toEnd(lineCount);
  else {
    let to = high;
    while (to < lineCount && millisAt(to) < end) to++;
    toEnd(to);
    while (high > low && millisAt(high - 1) >= end) leaveLast();
    while (high == low && low > 0 && millisAt(low - 1) >= end) {
      low--;
      high--;
      again--;
    }
  }
  while (low < high && millisAt(low) < start) leaveFirst();
  while (low > 0 && millisAt(low - 1) >= start) enterFirst();
}

/** Where the window of the last read began. */
let windowStart: i64 = 0;

@inline
function startAt(timeMs: i64): i64 {
  return window.isExact ? timeMs - window.lengthMs : startOf(window, timeMs);
}

@inline
function toEnd(to: u32): void {
  for (; high < to; high++) {
    if (manner == Manner.GROUP) add(inLine(high), 1);
    else if (manner == Manner.EXTREME && isQueued) enqueue(inLine(high));
  }
}

@inline
function leaveFirst(): void {
  const step = inLine(low);
  if (manner == Manner.GROUP) add(step, -1);
  else if (manner == Manner.EXTREME && queueFirst < queueEnd && queued(queueFirst) == step) queueFirst++;
  low++;
}

function leaveLast(): void {
  high--;
  again--;
  isQueued = false;
  if (manner == Manner.GROUP) add(inLine(high), -1);
}

function enterFirst(): void {
  low--;
  again--;
  isQueued = false;
  if (manner == Manner.GROUP) add(inLine(low), 1);
}

@inline
function add(step: u32, weight: i64): void {
  if (stateOf(step) != FED) return;
  // One that counts events has no values.
  update(aggregateCase, kind, state, fed == 0 ? 0 : valueOf(step), weight);
}

// --- extremes

/** Steps (u32) of the window that are better than all behind them, in the order of the line. */
const queue: Bytes = Bytes.make();
let queueFirst: u32 = 0;
let queueEnd: u32 = 0;
/** False where the edges have gone otherwise than on: then it is made anew. */
let isQueued: bool = true;

@inline
function queued(place: u32): u32 {
  return load<u32>(queue.start + (<usize>place << 2));
}

function enqueue(step: u32): void {
  if (stateOf(step) != FED) return;
  const value = rankOf(valueOf(step));
  while (queueEnd > queueFirst && !isBetter(rankOf(valueOf(queued(queueEnd - 1))), value)) queueEnd--;
  store<u32>(queue.start + (<usize>queueEnd << 2), step);
  queueEnd++;
}

@inline
function rankOf(value: i64): i64 {
  return kind == REAL ? orderOf(value) : value;
}

@inline
function isBetter(value: i64, than: i64): bool {
  return aggregateCase == MAX ? value > than : value < than;
}

function requeue(): void {
  queueFirst = queueEnd = 0;
  for (let place = low; place < high; place++) enqueue(inLine(place));
  again -= <i64>(high - low);
  isQueued = true;
}

// --- 3. finish

/** Nothing is said to who comes too late. */
function refuse(row: u32): void {
  store<u8>(nulls.start + <usize>row, 1);
  store<u8>(statuses.start + <usize>row, <u8>Status.EXPIRED);
  sweptFaults++;
}

@inline
function put(row: u32): void {
  const value = values.start + (<usize>row << 3);
  if (manner == Manner.COUNTED) store<i64>(value, <i64>(high - low));
  else {
    const outcome = finishWindow(value);
    if (outcome != FINISHED) return putNull(row, outcome);
  }
  putStatus(row);
}

@inline
function putStatus(row: u32): void {
  if (high == low) store<u8>(statuses.start + <usize>row, <u8>Status.NOT_FOUND);
  else if (window.lengthMs != 0 && windowStart * 1000 < strand.since)
    store<u8>(statuses.start + <usize>row, <u8>Status.WARMING);
}

function putNull(row: u32, outcome: i32): void {
  store<i64>(values.start + (<usize>row << 3), 0);
  store<u8>(nulls.start + <usize>row, 1);
  if (outcome != FINISHED_OVERFLOW || high == low) return putStatus(row);
  store<u8>(statuses.start + <usize>row, <u8>Status.OVERFLOW);
  sweptFaults++;
}

@inline
function finishWindow(value: usize): i32 {
  switch (manner) {
    case Manner.GROUP:
      return aggregateCase == MOMENTS ? finishMoments(finisher, state, value) : finish(aggregateCase, state, value);
    case Manner.EXTREME:
      return finishExtreme(value);
    case Manner.LATEST:
      return finishLatest(value);
    case Manner.EARLIEST:
      return finishEarliest(value);
    default:
      return finishSome(value);
  }
}

function finishExtreme(value: usize): i32 {
  if (!isQueued) requeue();
  if (queueFirst == queueEnd) return FINISHED_NULL;
  return finishAs(value, queued(queueFirst));
}

@inline
function finishAs(value: usize, step: u32): i32 {
  const found = valueOf(step);
  store<i64>(value, kind == REAL ? canonicalNaN(found) : found);
  return FINISHED;
}

function finishLatest(value: usize): i32 {
  for (let place = high; place > low; place--)
    if (stateOf(inLine(place - 1)) == FED) return finishAs(value, inLine(place - 1));
    else again--;
  return FINISHED_NULL;
}

function finishEarliest(value: usize): i32 {
  for (let place = low; place < high; place++)
    if (stateOf(inLine(place)) == FED) return finishAs(value, inLine(place));
    else again--;
  return FINISHED_NULL;
}

function finishSome(value: usize): i32 {
  const first = <u32>(items.length >> 2);
  let count: u32 = 0;
  items.reserve(<usize>limit << 2);
  for (let place = high; place > low && count < limit; place--) {
    const step = inLine(place - 1);
    if (stateOf(step) != FED) {
      again--;
      continue;
    }
    if (kind == TEXT && <usize>(<u64>valueOf(step) >> 32) > RECENT_TEXT_MAX_BYTES) {
      items.length = <usize>first << 2;
      return FINISHED_OVERFLOW;
    }
    store<u32>(items.end, step);
    items.length += 4;
    count++;
  }
  store<u32>(value, first);
  store<u32>(value, count, 4);
  return FINISHED;
}

// --- rows of the column, one behind the other

/** Of rows [from, to) of a column of texts, or of lists: what stands in it, as column files have it. */
const packed: Bytes = Bytes.make();
/** Of texts where each begins, and behind the last of them where it ends, u32; of lists likewise which item. */
const textEnds: Bytes = Bytes.make();
const listEnds: Bytes = Bytes.make();

export function packedTexts(): usize {
  return packed.start;
}

export function packedTextEnds(): usize {
  return textEnds.start;
}

export function packedListEnds(): usize {
  return listEnds.start;
}

/** Puts the texts of rows [from, to) behind one another; returns their size. */
export function packSweptTexts(from: u32, to: u32): usize {
  startTexts();
  for (let row = from; row < to; row++) appendText(load<i64>(values.start + (<usize>row << 3)));
  return packed.length;
}

/** Puts the items of lists behind one another, 8 bytes each, or as texts; returns how many there are. */
export function packSweptLists(from: u32, to: u32): u32 {
  startTexts();
  listEnds.length = 0;
  append(listEnds, 0);
  let count: u32 = 0;
  for (let row = from; row < to; row++) {
    const cell = values.start + (<usize>row << 3);
    const own = load<u32>(cell, 4);
    for (let i: u32 = 0; i < own; i++) appendItem(load<u32>(items.start + (<usize>(load<u32>(cell) + i) << 2)));
    count += own;
    append(listEnds, count);
  }
  return count;
}

@inline
function appendItem(step: u32): void {
  const value = valueOf(step);
  if (kind == TEXT) return appendText(value);
  packed.reserve(8);
  store<i64>(packed.end, kind == REAL ? canonicalNaN(value) : value);
  packed.length += 8;
}

function startTexts(): void {
  packed.length = 0;
  textEnds.length = 0;
  append(textEnds, 0);
}

@inline
function appendText(cell: i64): void {
  const length = <usize>(<u64>cell >> 32);
  packed.reserve(length + 16);
  copyLoosely(packed.end, <usize>(cell & 0xffffffff), length);
  packed.length += length;
  append(textEnds, <u32>packed.length);
}

@inline
function append(to: Bytes, value: u32): void {
  to.reserve(4);
  store<u32>(to.end, value);
  to.length += 4;
}
