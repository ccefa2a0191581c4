/**
 * Which tiles make up windows at a moment, as ranges of tiles of a level.
 *
 * A window of length W with resolution r, read at t, takes the events from S = floor(t - W, r) on. It needs no end: the
 * log prefix is one. So a cover climbs from fine tiles to coarse ones and never comes down; the coarse tile that is
 * still open stands for all that is new:
 *
 *      S                                                        t
 *      |1m|1m|1m|-------30m-------|-------30m-------|-----------1d (still open) ...
 *
 * A lookup at a past moment answers [S, floor(t, r)), and there the cover comes down again:
 *
 *      S                                                        E
 *      |1m|1m|1m|-------30m-------|-------30m-------|1m|1m|1m|1m|
 *
 * So it does for a window that is over by then: one that ended some time ago, or the latest of those that begin every so
 * often.
 *
 * Each level is used at most twice, so a cover is a short list, and no other cover has fewer tiles.
 */
import { Answer, RANGE_SIZE, Window, answerAt, windowAt } from './answer';
import { floorOf } from './come_back';
import { Entity, findLevel } from './entity';
import { typeFrame } from './event_type';
import { registerOf } from './frame';
import { LEVELS_MAX } from './group';
import { floorTile } from './tile';

/** Sets the moment of reading and finds the tiles of every window for it. */
export function coverAt(answer: i32, timeMicros: i64, isPast: bool): void {
  coverAnswer(answerAt(answer), timeMicros, isPast);
}

/**
 * Takes a single tile for the cover of an answer whose only window is the lifetime: its values are then those of a
 * lifetime that is this tile, read at that time.
 */
export function coverTile(answer: i32, levelMs: f64, tileStart: f64, timeMicros: i64): void {
  const owner = answerAt(answer);
  assert(owner.windowCount == 1 && windowAt(owner, 0).lengthMs == 0);
  startCover(owner, timeMicros, true);
  addRange(owner, 0, <i64>levelMs, <i64>tileStart, <i64>tileStart + 1);
}

export function startCover(answer: Answer, timeMicros: i64, isPast: bool): void {
  answer.timeMicros = timeMicros;
  answer.isPast = isPast;
  answer.rangeCount = 0;
  answer.spanCount = -1;
  answer.stretchCount = 0;
  answer.stretch = answer.stretches;
  store<f64>(answer.stretch, NaN);
}

function coverAnswer(answer: Answer, timeMicros: i64, isPast: bool): void {
  if (answer.timeMicros == timeMicros && answer.isPast == isPast && answer.rangeCount > 0) return;
  findCover(answer, timeMicros, isPast);
  if (!isPast) noteCover(answer);
}

function findCover(answer: Answer, timeMicros: i64, isPast: bool): void {
  startCover(answer, timeMicros, isPast);
  const timeMs = millisecondOf(timeMicros);
  for (let i = 0; i < answer.windowCount; i++) coverWindow(answer, i, timeMs);
}

@inline
export function millisecondOf(micros: i64): i64 {
  return micros / 1000 - <i64>(micros % 1000 < 0);
}

/** The cover for an event, of the time that it names too: no two events are likely to have the same. */
export function coverEvent(answer: Answer, timeMicros: i64, row: usize): void {
  const isSame = answer.timeMicros == timeMicros && answer.rangeCount > 0;
  if (isSame && answer.after < 0 && !answer.isOfEvents) return;
  answer.isLatest = answer.isOfEvents && isLatest(answer, millisecondOf(timeMicros));
  if (answer.after >= 0)
    answer.afterMs = millisecondOf(load<i64>(registerOf(typeFrame(answer.type), answer.after).values + (row << 3)));
  findCover(answer, timeMicros, false);
}

/**
 * Has the entity at hand no event after this millisecond? Each has a row of a millisecond, unless that is over for all who
 * could read it; and memory has all of these from the floor on.
 */
export function isLatest(answer: Answer, timeMs: i64): bool {
  let current: Entity | null = null;
  if (answer.current != 0) current = changetype<Entity>(answer.current);
  if (floorOf(answer.entity, current, EXACT_TILE_MS) > timeMs + 1) return false;
  const level = current ? findLevel(current, EXACT_TILE_MS) : null;
  return !level || level.count == 0 || level.newestStart <= timeMs;
}

/** What exact windows begin and end with. */
export const EXACT_TILE_MS: i64 = 1;

/** Nothing is after a time that is not known. */
@inline
export function lacksAfter(answer: Answer, row: usize): bool {
  return answer.after >= 0 && load<u8>(registerOf(typeFrame(answer.type), answer.after).nulls + row) != 0;
}

/** Time passes, and mostly the cover stays: tiles are longer than what lies between two lookups. */
function noteCover(answer: Answer): void {
  const size = <usize>answer.rangeCount * RANGE_SIZE;
  if (answer.lastCount == answer.rangeCount && memory.compare(answer.lastRanges, answer.ranges, size) == 0) return;
  memory.copy(answer.lastRanges, answer.ranges, size);
  answer.lastCount = answer.rangeCount;
  answer.coverVersion++;
}

function coverWindow(answer: Answer, index: i32, timeMs: i64): void {
  const window = windowAt(answer, index);
  if (window.lengthMs == 0) {
    // What a lifetime was at a past moment is not kept.
    if (!answer.isPast) addRange(answer, index, 0, 0, 1);
    return;
  }
  let end = window.isExact && answer.isLatest ? OPEN : endOf(window, timeMs, answer.isPast);
  let start = window.everyMs != 0 ? end - window.lengthMs : startOf(window, timeMs);
  window.startMs = start;
  start = max(start, window.floorMs);
  if (answer.after >= 0) start = max(start, answer.afterMs + 1);
  for (let i = 0; i < window.levelCount; i++) {
    const level = load<i64>(window.levels + (<usize>i << 3));
    const isCoarsest = i + 1 == window.levelCount;
    const coarser = isCoarsest ? level : load<i64>(window.levels + (<usize>(i + 1) << 3));
    const climb = isCoarsest ? end : -floorTile(-start, coarser, -window.offsetMs);
    const fall = isCoarsest || end == OPEN ? end : floorTile(end, coarser, window.offsetMs);
    if (climb >= fall) {
      if (start < end) addRange(answer, index, level, start, end);
      return;
    }
    if (start < climb) addRange(answer, index, level, start, climb);
    if (fall < end) addRange(answer, index, level, fall, end);
    start = climb;
    end = fall;
  }
}

export const OPEN: i64 = i64.MAX_VALUE;

@inline
export function startOf(window: Window, timeMs: i64): i64 {
  return floorTile(timeMs - window.agoMs - window.lengthMs, window.resolutionMs, window.offsetMs);
}

/** OPEN where the prefix is the only end. */
@inline
export function endOf(window: Window, timeMs: i64, isPast: bool): i64 {
  if (window.everyMs != 0) return floorTile(timeMs - window.agoMs, window.everyMs, window.offsetMs);
  if (window.isExact) return timeMs + 1;
  if (window.agoMs == 0 && !isPast) return OPEN;
  return floorTile(timeMs - window.agoMs, window.resolutionMs, window.offsetMs);
}

function addRange(answer: Answer, window: i32, level: i64, from: i64, to: i64): void {
  assert(answer.rangeCount < answer.windowCount * LEVELS_MAX * 2);
  const at = answer.ranges + <usize>answer.rangeCount * RANGE_SIZE;
  answer.rangeCount++;
  store<f64>(at, <f64>level);
  store<f64>(at, <f64>from, 8);
  store<f64>(at, to == OPEN ? Infinity : <f64>to, 16);
  store<f64>(at, <f64>window, 24);
}

/** The cover: four f64 a range (level, from, to, window). */
export function rangesStart(answer: i32): usize {
  return answerAt(answer).ranges;
}

/** Where a window starts at the moment of the cover, in milliseconds; of no lifetime. */
export function windowStart(answer: i32, window: i32): f64 {
  const tiled = windowAt(answerAt(answer), window);
  assert(tiled.lengthMs != 0);
  return <f64>tiled.startMs;
}

export function rangesCount(answer: i32): i32 {
  return answerAt(answer).rangeCount;
}
