/** What memory lacks of the rows that a cover reaches: a store has to be asked for them. */
import { Answer, RANGE_SIZE, SPAN_SIZE, answerAt, memberAt } from './answer';
import { floorOf, knowsRange } from './come_back';
import { Entity, Level, findLevel, lowerBound, rowAt } from './entity';

/** Finds the span of each level that the wanted windows reach. */
function spanLevels(answer: Answer): void {
  let wanted: u64 = 0;
  for (let i = 0; i < answer.memberCount; i++) wanted |= memberAt(answer, i).wanted;
  answer.spanCount = 0;
  for (let i = 0; i < answer.rangeCount; i++) {
    const range = answer.ranges + <usize>i * RANGE_SIZE;
    if (((wanted >> <u64>load<f64>(range, 24)) & 1) == 0) continue;
    const span = spanFor(answer, load<f64>(range));
    store<f64>(span, min(load<f64>(span, 8), load<f64>(range, 8)), 8);
    store<f64>(span, max(load<f64>(span, 16), load<f64>(range, 16)), 16);
  }
}

/** Spans ascend by level, as stores have their rows. */
function spanFor(answer: Answer, levelMs: f64): usize {
  let at = answer.spans;
  const end = at + <usize>answer.spanCount * SPAN_SIZE;
  while (at < end && load<f64>(at) < levelMs) at += SPAN_SIZE;
  if (at < end && load<f64>(at) == levelMs) return at;
  memory.copy(at + SPAN_SIZE, at, end - at);
  store<f64>(at, levelMs);
  store<f64>(at, Infinity, 8);
  store<f64>(at, -Infinity, 16);
  answer.spanCount++;
  return at;
}

/** Lists the spans whose rows memory may lack of the current entity: below the floor of their level. */
export function findGaps(answer: Answer): void {
  let current: Entity | null = null;
  if (answer.current != 0) current = changetype<Entity>(answer.current);
  answer.gapCount = 0;
  if (answer.isOfEvents) return findEventGaps(answer, current);
  if (answer.spanCount < 0) spanLevels(answer);
  for (let i = 0; i < answer.spanCount; i++) {
    const span = answer.spans + <usize>i * SPAN_SIZE;
    const floor = floorOf(answer.entity, current, <i64>load<f64>(span));
    if (load<f64>(span, 8) >= <f64>floor) continue;
    const gap = answer.gaps + <usize>answer.gapCount * SPAN_SIZE;
    answer.gapCount++;
    store<f64>(gap, load<f64>(span));
    store<f64>(gap, load<f64>(span, 8), 8);
    // What is above the floor is in memory; at a past moment less may be asked for.
    store<f64>(gap, answer.isPast ? min(load<f64>(span, 16), <f64>floor) : <f64>floor, 16);
  }
}

/** With a range that an event lacks so many rows are read that come after it, about: for the events that come. */
const AHEAD_ROWS: f64 = 64;
const AHEAD_SHARE: f64 = 8;

/** Gaps of one level: beyond that they are one. Memory holds more stretches than these (held.ts), so none of a read is forgotten by it. */
const LEVEL_GAPS_MAX: i32 = 4;

/** Range by range: what an event reads of fine levels are a few tiles where its windows begin, and much lies between them. */
function findEventGaps(answer: Answer, current: Entity | null): void {
  for (let i = 0; i < answer.rangeCount; i++) {
    const range = answer.ranges + <usize>i * RANGE_SIZE;
    const levelMs = <i64>load<f64>(range);
    const from = load<f64>(range, 8);
    const floor = <f64>floorOf(answer.entity, current, levelMs);
    if (from >= floor) continue;
    const to = min(load<f64>(range, 16), floor);
    const level = current ? findLevel(current, levelMs) : null;
    if (level && knowsRange(level, <i64>from, to > TILES_END ? i64.MAX_VALUE : <i64>to)) continue;
    if (level) addEventGap(answer, level, from, to);
    else addGap(answer, <f64>levelMs, from, max(to, shareOf(from, floor)));
  }
}

/** Some more is wanted than [from, to), up to the floor of the level at most. */
export function addEventGap(answer: Answer, level: Level, from: f64, to: f64): void {
  const floor = <f64>level.floor;
  addGap(answer, <f64>level.lengthMs, from, max(to, aheadOf(level, from, floor)));
}

/** Where some rows of a level end that begin at `from`, if they lie as those above its floor do. */
function aheadOf(level: Level, from: f64, floor: f64): f64 {
  const first = lowerBound(level, level.floor);
  const rows = level.count - first;
  if (rows < 2) return shareOf(from, floor);
  const spanMs = <f64>(level.newestStart - rowAt(level, first).tileStart);
  return min(floor, Math.ceil(from + (spanMs * AHEAD_ROWS) / <f64>(rows - 1)));
}

/** A part of what lies below the floor, where nobody knows how many rows are there. */
@inline
function shareOf(from: f64, floor: f64): f64 {
  return Math.ceil(from + (floor - from) / AHEAD_SHARE);
}

/** Further on than any tile. */
const TILES_END: f64 = 9007199254740991;

/** Those of its level that it meets become one with it. Gaps ascend by level and start. */
function addGap(answer: Answer, levelMs: f64, from: f64, to: f64): void {
  let others = 0;
  for (let i = 0; i < answer.gapCount; i++) if (load<f64>(gapAt(answer, i)) == levelMs) others++;
  const isFull = others >= LEVEL_GAPS_MAX;
  let kept = 0;
  let place = 0;
  for (let i = 0; i < answer.gapCount; i++) {
    const gap = gapAt(answer, i);
    const isMet = load<f64>(gap, 8) <= to && from <= load<f64>(gap, 16);
    if (load<f64>(gap) == levelMs && (isFull || isMet)) {
      from = min(from, load<f64>(gap, 8));
      to = max(to, load<f64>(gap, 16));
      continue;
    }
    memory.copy(gapAt(answer, kept), gap, SPAN_SIZE);
    kept++;
  }
  answer.gapCount = kept;
  while (place < kept && isBefore(gapAt(answer, place), levelMs, from)) place++;
  memory.copy(gapAt(answer, place + 1), gapAt(answer, place), <usize>(kept - place) * SPAN_SIZE);
  const gap = gapAt(answer, place);
  store<f64>(gap, levelMs);
  store<f64>(gap, from, 8);
  store<f64>(gap, to, 16);
  answer.gapCount++;
}

@inline
function gapAt(answer: Answer, index: i32): usize {
  return answer.gaps + <usize>index * SPAN_SIZE;
}

@inline
function isBefore(gap: usize, levelMs: f64, from: f64): bool {
  return load<f64>(gap) < levelMs || (load<f64>(gap) == levelMs && load<f64>(gap, 8) < from);
}

/** Finds what memory may lack of the key that has been started, for `gapsStart`. */
export function listGaps(answer: i32): void {
  findGaps(answerAt(answer));
}

/** Where a store has to be asked for the key that `answerKey` stopped at, ascending by level: three f64 (level, from, to) each. */
export function gapsStart(answer: i32): usize {
  return answerAt(answer).gaps;
}

export function gapsCount(answer: i32): i32 {
  return answerAt(answer).gapCount;
}
