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
 *
 * Of a key whose steps are in order counts, and sums of integers, need no line: they are differences of totals (totals.ts).
 */
import { MAX, MOMENTS, STATE_SIZE_MAX, clearSize, finish, isGroup, update } from './aggregate';
import { edgesOf, windowStartOf } from './edges';
import { FINISHED, FINISHED_NULL, FINISHED_OVERFLOW } from './finish';
import { REAL, TEXT, canonicalNaN, orderOf } from './kind';
import { RECENT_TEXT_MAX_BYTES } from './last_n';
import { Bytes, allocateZeroed } from './memory';
import { finishMoments } from './moments';
import { Status } from './register';
import { FED, FED_NOT, Feed, NO_ROW, Strand, feedAt, isOrderly, strandAt } from './strand';
import { items, setFault, setNull, setStatus, startColumn, valueAt } from './swept';
import { putTotals, useTotals } from './totals';
import { Window, fillWindow } from './answer';
import { OPEN, endOf } from './cover';

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

// --- what is swept

/** Windows that may be swept over. */
const WINDOWS_MAX: i32 = 4096;
const windows: usize = memory.data(4096 * sizeof<usize>(), 8);
let windowCount = 0;

let window: Window = changetype<Window>(0);
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

/** @returns its number */
export function addSweptWindow(
  lengthMs: f64,
  resolutionMs: f64,
  agoMs: f64,
  everyMs: f64,
  isExact: bool,
  offsetMs: f64,
): i32 {
  assert(windowCount < WINDOWS_MAX);
  const added = changetype<Window>(allocateZeroed(offsetof<Window>()));
  fillWindow(added, lengthMs, resolutionMs, agoMs, everyMs, isExact, offsetMs);
  store<usize>(windows + <usize>windowCount * sizeof<usize>(), changetype<usize>(added));
  return windowCount++;
}

/** Sweeps one aggregate, of a feed of a sorted strand, over a window. */
export function sweep(
  index: i32,
  feed: i32,
  over: i32,
  how: Manner,
  ofCase: i32,
  ofKind: i32,
  finishedBy: i32,
  limitedTo: i32,
): i32 {
  const owner = strandAt(index);
  assert(owner.isSorted);
  assert(how != Manner.GROUP || isGroup(ofCase));
  assert(<u32>over < <u32>windowCount);
  strand = owner;
  window = changetype<Window>(load<usize>(windows + <usize>over * sizeof<usize>()));
  manner = how;
  aggregateCase = ofCase;
  kind = ofKind;
  finisher = finishedBy;
  limit = <u32>limitedTo;
  useColumns(owner, feedAt(owner, feed));
  startColumn(owner, kind);
  line.setLength(<usize>owner.longest << 2);
  queue.setLength(manner == Manner.EXTREME ? <usize>owner.longest << 2 : 0);
  again = AGAIN_MAX * <i64>owner.stepCount;
  const isCounted = manner == Manner.COUNTED;
  const isTotalled =
    (isCounted || manner == Manner.GROUP) && useTotals(owner, feedAt(owner, feed), isCounted, ofCase, ofKind);
  const edges = isTotalled && window.lengthMs != 0 ? edgesOf(owner, window) : null;
  const starts = owner.starts;
  for (let key: usize = 0; key < <usize>owner.keysFound; key++) {
    const first = load<u32>(starts + (key << 2));
    const end = load<u32>(starts + (key << 2), 4);
    if (isTotalled && isOrderly(owner, key)) putTotals(owner, edges, first, end, isCounted, ofCase);
    else sweepKey(first, end);
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
  // Where all count nothing is kept of it.
  return states == 0 ? FED : load<u8>(states + <usize>step);
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
    if (strand.hasLates && load<u8>(lates + <usize>step) != 0) return setFault(row, Status.EXPIRED);
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
  const start = windowStartOf(window, timeMs, end);
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

@inline
function put(row: u32): void {
  const value = valueAt(row);
  if (manner == Manner.COUNTED) store<i64>(value, <i64>(high - low));
  else {
    const outcome = finishWindow(value);
    if (outcome != FINISHED) return putNull(row, outcome);
  }
  putStatus(row);
}

@inline
function putStatus(row: u32): void {
  if (high == low) setStatus(row, Status.NOT_FOUND);
  else if (window.lengthMs != 0 && windowStart * 1000 < strand.since) setStatus(row, Status.WARMING);
}

function putNull(row: u32, outcome: i32): void {
  if (outcome == FINISHED_OVERFLOW && high != low) return setFault(row, Status.OVERFLOW);
  setNull(row);
  putStatus(row);
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
  const first = <u32>(items.length >> 3);
  let count: u32 = 0;
  items.reserve(<usize>limit << 3);
  for (let place = high; place > low && count < limit; place--) {
    const step = inLine(place - 1);
    if (stateOf(step) != FED) {
      again--;
      continue;
    }
    if (kind == TEXT && <usize>(<u64>valueOf(step) >> 32) > RECENT_TEXT_MAX_BYTES) {
      items.length = <usize>first << 3;
      return FINISHED_OVERFLOW;
    }
    store<i64>(items.end, valueOf(step));
    items.length += 8;
    count++;
  }
  store<u32>(value, first);
  store<u32>(value, count, 4);
  return FINISHED;
}
