/**
 * Windows from rows, for one entity at a time.
 *
 *   1. cover    which tiles make up each window at the time of reading (one list of ranges for all windows)
 *   2. gather   the entity's rows in those ranges, each visited once: a mask says which windows it belongs to
 *   3. merge    each entry that somebody wants is unpacked once, and merged into the state of each of its windows
 *   4. finish   one value a read, into a row of the answer's frame; derived features are computed there batchwise
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
import {
  COUNT,
  COUNTS,
  DECAYED,
  FIRST,
  LAST,
  LAST_N,
  MAX,
  MEAN,
  MIN,
  MOMENTS,
  REAL_MEAN,
  REAL_SUM,
  STATE_SIZE_MAX,
  SUM,
  add128,
  caseOf,
  clearSize,
  decode as decodeState,
  finish,
  isStateOf,
  merge,
  stateSize,
} from './aggregate';
import { Arena } from './arena';
import { DISTINCT, finishCounts } from './counts';
import { HALF_LIVES_KEPT, finishDecayed, mergeDecayedTile, startDecayedWindow } from './decayed';
import { Frame, makeFrame, registerOf } from './frame';
import { FINISHED, FINISHED_NULL, FINISHED_OVERFLOW } from './finish';
import { floorOf, knowsRange } from './come_back';
import { Entity, Level, findEntity, findLevel, findRow, keepFor, levelAt, lowerBound, rowAt, useRow } from './entity';
import { LEVELS_MAX } from './group';
import { buildKey, keyLength, keyStart } from './key';
import { INTEGER, TEXT } from './kind';
import { finishRecent, isRecentSince } from './last_n';
import { allocateZeroed } from './memory';
import { finishMoments } from './moments';
import { recordClock, recordCount, recordRow, recordTime, recordType } from './batch';
import { CLOCK_NONE, typeFrame } from './event_type';
import { packedEnd, packedLevel, packedTileStart, packedValue, readPacked } from './packed';
import { AS_FIRST, LAST_DISTINCT, finishFirst, finishList, isDistinctSince, isRankedOver, isRanking } from './ranking';
import { Status } from './register';
import { Head, entryEnd, entryId, entryValue, readEntry } from './row';
import { HYPERLOGLOG } from './hyperloglog';
import { floorTile } from './tile';
import { VECTOR_MEAN, finishVector } from './vector';
import { mergeExtreme, readCount, readMean, readWhole, wholeCount, wholeValue } from './whole';

/** Rows of an answer's frame: keys of a lookup, or events of a replay, that are finished together. */
export const ANSWER_ROWS: i32 = 1024;

/** Distinct windows of one entity: they are the bits of a mask. */
export const WINDOWS_MAX: i32 = 64;

@unmanaged
export class Window {
  /** 0 is the lifetime. */
  lengthMs: i64;
  resolutionMs: i64;
  /** It is over so long before the moment; 0 where it reaches up to that. */
  agoMs: i64;
  /** One of them is over every so often; 0 where it moves with the moment. */
  everyMs: i64;
  /** It ends with the moment's own millisecond. */
  isExact: bool;
  offsetMs: i64;
  levelCount: i32;
  /** Tile lengths from the resolution up, i64 each. */
  levels: usize;
  /** Where it starts at the moment that the answer's cover is for. */
  startMs: i64;
  /** Since when the aggregates that it is read over know their events, where they came later than their event type; else CLOCK_NONE. */
  sinceMicros: i64;
  /** Tiles that start before it are not read: they may be there, and are not whole. */
  floorMs: i64;
}

/** One stored aggregate and all windows over it. */
@unmanaged
export class Member {
  id: i32;
  aggregateCase: i32;
  /** What its values are: INTEGER, REAL or TEXT. */
  kind: i32;
  /** Which of the functions that share its state it is, PLAIN where there is one, and what that is told: f64 each. */
  finisher: i32;
  parameterCount: i32;
  parameters: usize;
  /** The event type whose clock decides what has expired. */
  type: i32;
  /** Its states, one for each window, from here on in the answer's. */
  states: usize;
  /** Windows that somebody reads, those of them that this lookup wants, and those that anything was merged into. */
  read: u64;
  wanted: u64;
  found: u64;
  /** What its entries mostly begin with. */
  head: Head;
}

/** Tiles of one level: level, from, to (milliseconds; `to` may be infinite), f64 each. */
const SPAN_SIZE: usize = 24;

/** One range of tiles: level, from, to (milliseconds; `to` may be infinite) and the window it belongs to. */
const RANGE_SIZE: usize = 32;

@unmanaged
export class Answer {
  entity: i32;
  frame: Frame;
  windowCount: i32;
  windows: usize;
  memberCount: i32;
  members: usize;
  /** Register of (member, window), i32 each. */
  registers: usize;
  /** State of (member, window), of its case's size. */
  states: usize;
  statesSize: usize;
  rangeCount: i32;
  ranges: usize;
  /** Of the levels that the wanted windows reach, from where to where; below 0 where that is not known yet. */
  spanCount: i32;
  spans: usize;
  /** What memory lacks of the key at hand. */
  gapCount: i32;
  gaps: usize;
  /** Another one whenever a lookup at the present has another cover than the last one had: that is copied here. */
  coverVersion: u32;
  lastCount: i32;
  lastRanges: usize;
  /** Stretches that tiles were found in, and the one that the last was in. */
  stretchCount: i32;
  stretch: usize;
  stretches: usize;
  timeMicros: i64;
  isPast: bool;
  /** Register that takes the moment of reading; -1 where nobody asks for it. */
  readTime: i32;
  /** How an event names the entity: (register, KeyKind) pairs over the frame of its type. */
  type: i32;
  keyCount: i32;
  keyColumns: usize;
  /** Its values are those of one event after the other: they go to the frame of the type. */
  isOfEvents: bool;
  /** Nothing of the entity is later than the moment: exact windows need no end. */
  isLatest: bool;
  /** Register of that frame with the time that all has to be later than; -1 where there is no such bound. */
  after: i32;
  /** Tiles that start at or before it are not read. */
  afterMs: i64;
  /** The entity being answered; null where the fold holds nothing of it. */
  current: usize;
  /** Its windows may run along with rows (running.ts). */
  runs: bool;
}

const ANSWERS_MAX: i32 = 4096;
const answers: usize = memory.data(4096 * sizeof<usize>(), 8);
let answerCount = 0;

export function addAnswer(entity: i32, registerCount: i32, windowCount: i32, memberCount: i32): i32 {
  return makeAnswer(entity, makeFrame(registerCount, ANSWER_ROWS), windowCount, memberCount);
}

/** An answer for events of a type: its values go to registers of the type's own frame, beside the inputs. */
export function addEventAnswer(entity: i32, type: i32, windowCount: i32, memberCount: i32): i32 {
  const answer = makeAnswer(entity, typeFrame(type), windowCount, memberCount);
  answerAt(answer).isOfEvents = true;
  return answer;
}

function makeAnswer(entity: i32, frame: Frame, windowCount: i32, memberCount: i32): i32 {
  assert(answerCount < ANSWERS_MAX && windowCount <= WINDOWS_MAX);
  const answer = changetype<Answer>(allocateZeroed(offsetof<Answer>()));
  const cells = <usize>windowCount * <usize>memberCount;
  answer.entity = entity;
  answer.frame = frame;
  answer.windowCount = windowCount;
  answer.windows = allocateZeroed(<usize>windowCount * offsetof<Window>() + 1);
  answer.memberCount = memberCount;
  answer.members = allocateZeroed(<usize>memberCount * offsetof<Member>() + 1);
  answer.registers = allocateZeroed((cells << 2) + 1);
  answer.ranges = allocateZeroed(<usize>windowCount * <usize>(LEVELS_MAX * 2) * RANGE_SIZE + 1);
  answer.lastRanges = allocateZeroed(<usize>windowCount * <usize>(LEVELS_MAX * 2) * RANGE_SIZE + 1);
  const levels = <usize>windowCount * <usize>LEVELS_MAX;
  answer.spanCount = -1;
  answer.spans = allocateZeroed(levels * SPAN_SIZE + 1);
  answer.gaps = allocateZeroed(levels * 2 * SPAN_SIZE + 1);
  answer.stretches = allocateZeroed(<usize>STRETCHES_MAX * STRETCH_SIZE);
  answer.stretch = answer.stretches;
  answer.type = -1;
  answer.readTime = -1;
  answer.after = -1;
  answer.afterMs = i64.MIN_VALUE;
  store<usize>(answers + <usize>answerCount * sizeof<usize>(), changetype<usize>(answer));
  return answerCount++;
}

@inline
export function answerAt(index: i32): Answer {
  assert(<u32>index < <u32>answerCount);
  return changetype<Answer>(load<usize>(answers + <usize>index * sizeof<usize>()));
}

@inline
export function windowAt(answer: Answer, index: i32): Window {
  assert(<u32>index < <u32>answer.windowCount);
  return changetype<Window>(answer.windows + <usize>index * offsetof<Window>());
}

@inline
export function memberAt(answer: Answer, index: i32): Member {
  assert(<u32>index < <u32>answer.memberCount);
  return changetype<Member>(answer.members + <usize>index * offsetof<Member>());
}

export function answerFrame(answer: i32): Frame {
  return answerAt(answer).frame;
}

export function setWindow(
  answer: i32,
  index: i32,
  lengthMs: f64,
  resolutionMs: f64,
  agoMs: f64,
  everyMs: f64,
  isExact: bool,
  offsetMs: f64,
  levelCount: i32,
): void {
  assert(levelCount <= LEVELS_MAX);
  const window = windowAt(answerAt(answer), index);
  fillWindow(window, lengthMs, resolutionMs, agoMs, everyMs, isExact, offsetMs);
  window.levelCount = levelCount;
  window.levels = allocateZeroed((<usize>levelCount << 3) + 1);
  window.sinceMicros = CLOCK_NONE;
  window.floorMs = i64.MIN_VALUE;
}

/** What decides where a window begins and ends. */
export function fillWindow(
  window: Window,
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

/** The aggregates that are read over it know less than their event type does. */
export function setWindowKnown(answer: i32, index: i32, sinceMicros: i64, floorMs: f64): void {
  const window = windowAt(answerAt(answer), index);
  window.sinceMicros = sinceMicros;
  window.floorMs = <i64>floorMs;
}

/** Levels ascend, from the window's resolution up, each dividing the next. */
export function setWindowLevel(answer: i32, index: i32, position: i32, lengthMs: f64): void {
  const window = windowAt(answerAt(answer), index);
  assert(<u32>position < <u32>window.levelCount);
  store<i64>(window.levels + (<usize>position << 3), <i64>lengthMs);
}

/** Members come in ascending order of id, as the entries of rows do. */
export function setAnswerMember(answer: i32, index: i32, id: i32, aggregateCase: i32, kind: i32, type: i32): void {
  const owner = answerAt(answer);
  const member = memberAt(owner, index);
  assert(index == 0 || memberAt(owner, index - 1).id < id);
  member.id = id;
  member.aggregateCase = aggregateCase;
  member.kind = kind;
  member.type = type;
  member.head = Head.make(id, aggregateCase);
  // Members are set once and in order: with the last one all states have their places.
  member.states = owner.statesSize;
  owner.statesSize += stateSize(aggregateCase) * <usize>owner.windowCount;
  if (index + 1 == owner.memberCount) owner.states = allocateZeroed(owner.statesSize + 1);
}

/** What a member's state is finished by; without this it is PLAIN. */
export function setFinisher(answer: i32, index: i32, finisher: i32, parameterCount: i32): void {
  const member = memberAt(answerAt(answer), index);
  member.finisher = finisher;
  member.parameterCount = parameterCount;
  member.parameters = allocateZeroed((<usize>parameterCount << 3) + 1);
}

export function setParameter(answer: i32, index: i32, position: i32, value: f64): void {
  const member = memberAt(answerAt(answer), index);
  assert(<u32>position < <u32>member.parameterCount);
  store<f64>(member.parameters + (<usize>position << 3), value);
}

@inline
export function stateAt(answer: Answer, member: Member, window: i32): usize {
  return answer.states + member.states + <usize>window * stateSize(member.aggregateCase);
}

/** The value of `member` over `window` goes to `register` of the answer's frame. */
export function setRead(answer: i32, member: i32, window: i32, register: i32): void {
  const owner = answerAt(answer);
  assert(<u32>window < <u32>owner.windowCount && <u32>register < <u32>owner.frame.registerCount);
  const reader = memberAt(owner, member);
  reader.read |= <u64>1 << window;
  reader.wanted = reader.read;
  store<i32>(owner.registers + ((<usize>member * <usize>owner.windowCount + <usize>window) << 2), register);
}

/** The moment of reading goes to `register` of the answer's frame. */
export function setReadTime(answer: i32, register: i32): void {
  const owner = answerAt(answer);
  assert(<u32>register < <u32>owner.frame.registerCount);
  owner.readTime = register;
}

/** Which windows of a member this lookup wants: two halves of a mask. Those it has no read for are ignored. */
export function setWanted(answer: i32, member: i32, low: u32, high: u32): void {
  const owner = answerAt(answer);
  const reader = memberAt(owner, member);
  owner.spanCount = -1;
  reader.wanted = reader.read & (<u64>low | (<u64>high << 32));
}

export function bindEvent(answer: i32, type: i32, keyCount: i32): void {
  const owner = answerAt(answer);
  owner.type = type;
  owner.keyCount = keyCount;
  owner.keyColumns = allocateZeroed((<usize>keyCount << 3) + 1);
}

export function setEventKey(answer: i32, index: i32, register: i32, kind: i32): void {
  const owner = answerAt(answer);
  assert(<u32>index < <u32>owner.keyCount);
  store<i32>(owner.keyColumns + (<usize>index << 3), register);
  store<i32>(owner.keyColumns + (<usize>index << 3), kind, 4);
}

/** Only what is later than a register of the event says is read, to the millisecond. */
export function setAfter(answer: i32, register: i32): void {
  const owner = answerAt(answer);
  assert(<u32>register < <u32>typeFrame(owner.type).registerCount);
  owner.after = register;
}

// --- what the prefix has seen

let latenessMicros: i64 = 0;
const TYPES_MAX: i32 = 4096;
/**
 * Clocks of the types as of the prefix that is being read (decoding may already be further), and what each clock showed
 * after the first record that moved it: before that nothing is known of the type.
 */
const seen: usize = memory.data(4096 * 8, 8);
const since: usize = memory.data(4096 * 8, 8);
for (let i = 0; i < TYPES_MAX; i++) setSeen(i, CLOCK_NONE, CLOCK_NONE);

export function setLateness(latenessMs: f64): void {
  latenessMicros = <i64>latenessMs * 1000;
}

/** The prefix now holds records [from, to) of the batch too. */
export function seeRecords(from: i32, to: i32): void {
  assert(from >= 0 && from <= to && to <= recordCount);
  for (let record = <usize>from; record < <usize>to; record++) {
    const type = load<i32>(recordType + (record << 2));
    const clock = load<i64>(recordClock + (record << 3));
    if (type < 0 || clock == CLOCK_NONE) continue;
    const at = <usize>type << 3;
    if (load<i64>(seen + at) == CLOCK_NONE) store<i64>(since + at, clock);
    store<i64>(seen + at, clock);
  }
}

/** For a restart: both as they stood. */
export function setSeen(type: i32, clock: i64, first: i64): void {
  assert(<u32>type < <u32>TYPES_MAX);
  store<i64>(seen + (<usize>type << 3), clock);
  store<i64>(since + (<usize>type << 3), first);
}

export function seenClock(type: i32): i64 {
  assert(<u32>type < <u32>TYPES_MAX);
  return load<i64>(seen + (<usize>type << 3));
}

/** CLOCK_NONE before the type's first record that moved its clock. */
export function seenSince(type: i32): i64 {
  assert(<u32>type < <u32>TYPES_MAX);
  return load<i64>(since + (<usize>type << 3));
}

// --- 1. cover

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
function coverEvent(answer: Answer, timeMicros: i64, row: usize): void {
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
function lacksAfter(answer: Answer, row: usize): bool {
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

// --- what memory lacks

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
function findGaps(answer: Answer): void {
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

// --- 2. gather and 3. merge

export const READ_OK: i32 = 0;
/** A row is not in canonical form, or holds another aggregate under an id, or values of another kind. */
export const READ_MALFORMED: i32 = 1;
/** Memory may lack rows of the key: `gapsStart` says which. */
export const READ_GAPS: i32 = 2;

/** Begins the answer for one key. */
export function startKey(answer: i32, start: usize, length: usize): void {
  startEntity(answerAt(answer), start, length);
}

function startEntity(answer: Answer, start: usize, length: usize): void {
  setEntity(answer, start, length);
  clearStates(answer);
}

function setEntity(answer: Answer, start: usize, length: usize): void {
  const entity = findEntity(answer.entity, start, length);
  answer.current = entity ? changetype<usize>(entity) : 0;
}

/** Nothing is merged yet. The cover is known. */
function clearStates(answer: Answer): void {
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

/** All events of the row that is being added are earlier than this. */
let rowEndMicros: i64 = 0;

@inline
function setRowEnd(levelMs: i64, tileStart: i64): void {
  rowEndMicros = levelMs == 0 ? i64.MAX_VALUE : (tileStart + levelMs) * 1000;
}

/** Adds the rows that memory holds. */
export function addMemoryRows(answer: i32): i32 {
  return gather(answerAt(answer));
}

function gather(answer: Answer): i32 {
  if (answer.current == 0) return READ_OK;
  const entity = changetype<Entity>(answer.current);
  // The latest rows first, which coarse levels have: lists of the latest then need few of the others.
  for (let i = entity.levelCount - 1; i >= 0; i--) {
    const outcome = gatherLevel(answer, levelAt(entity, i));
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

function gatherLevel(answer: Answer, level: Level): i32 {
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
    const outcome = addRow(answer, windows, row.tileStart, row.bytes, row.bytes + <usize>row.length);
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

/**
 * Adds rows that memory holds, range by range: a cover is used once, and its windows have mostly an aggregate each, so that
 * rows with several of them are few.
 */
function gatherRanges(answer: Answer): i32 {
  gatheredRows = 0;
  if (answer.current == 0) return READ_OK;
  const entity = changetype<Entity>(answer.current);
  let level: Level | null = null;
  for (let i = answer.rangeCount - 1; i >= 0; i--) {
    const range = answer.ranges + <usize>i * RANGE_SIZE;
    const lengthMs = <i64>load<f64>(range);
    if (!level || level.lengthMs != lengthMs) level = findLevel(entity, lengthMs);
    if (!level || level.count == 0) continue;
    const outcome = gatherRange(answer, level, range);
    if (outcome != READ_OK) return outcome;
  }
  return READ_OK;
}

/** Of the last cover of an event. */
export let gatheredRows: i32 = 0;

/** The latest rows first, as `gather` has them. */
function gatherRange(answer: Answer, level: Level, range: usize): i32 {
  const from = <i64>load<f64>(range, 8);
  if (level.newestStart < from) return READ_OK;
  const to = load<f64>(range, 16);
  const first = lowerBound(level, from);
  const end = to == Infinity ? level.count : lowerBound(level, <i64>to);
  const windows = <u64>1 << <i32>load<f64>(range, 24);
  gatheredRows += end - first;
  for (let i = end - 1; i >= first; i--) {
    const row = rowAt(level, i);
    useRow(row);
    setRowEnd(level.lengthMs, row.tileStart);
    const outcome = addRow(answer, windows, row.tileStart, row.bytes, row.bytes + <usize>row.length);
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

/** A stretch of tiles that all belong to the same windows: level, from, to (f64 each), and these windows as a mask u64. */
const STRETCH_SIZE: usize = 32;
const STRETCHES_MAX: i32 = 32;

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

/** One unpacked state. */
const unpacked: usize = memory.data(<i32>STATE_SIZE_MAX, 16);

/**
 * Entries and members both ascend by id, and mostly a row has an entry for each member in turn: so each entry is first
 * held against the head that the next member's would have. What is another entry, or has a state that is more than a few
 * integers, goes the long way.
 */
function addRow(answer: Answer, windows: u64, tileStartMs: i64, at: usize, end: usize): i32 {
  let member = changetype<Member>(answer.members);
  const last = answer.members + <usize>answer.memberCount * offsetof<Member>();
  while (at < end) {
    if (changetype<usize>(member) == last) return READ_OK;
    const head = member.head;
    const word = load<u64>(at);
    const size = head.valueSize(word);
    const value = at + head.size;
    const mask = member.wanted & windows;
    if (head.fits(word, size) && value + size <= end && (mask == 0 || mergeWhole(answer, member, mask, value, value + size))) {
      at = value + size;
    } else {
      if (!readEntry(at, end)) return READ_MALFORMED;
      at = entryEnd;
      while (changetype<usize>(member) < last && member.id < entryId) member = nextMember(member);
      if (changetype<usize>(member) == last) return READ_OK;
      if (member.id != entryId) continue;
      if (!mergeDecoded(answer, member, member.wanted & windows, tileStartMs)) return READ_MALFORMED;
    }
    member.found |= member.wanted & windows;
    member = nextMember(member);
  }
  return READ_OK;
}

@inline
function nextMember(member: Member): Member {
  return changetype<Member>(changetype<usize>(member) + offsetof<Member>());
}

/** Merges a state of integers straight from its bytes; false where it is another, or spelt in more bytes. */
@inline
function mergeWhole(answer: Answer, member: Member, mask: u64, value: usize, end: usize): bool {
  const state = answer.states + member.states;
  switch (member.aggregateCase) {
    case COUNT:
      if (!readCount(value, end)) return false;
      for (let rest = mask; rest != 0; rest &= rest - 1) {
        const into = state + (<usize>ctz<u64>(rest) << 3);
        store<i64>(into, load<i64>(into) + wholeValue);
      }
      return true;
    case SUM:
      if (!readWhole(SUM, value, end)) return false;
      for (let rest = mask; rest != 0; rest &= rest - 1)
        add128(state + (<usize>ctz<u64>(rest) << 4), <u64>wholeValue, wholeValue >> 63);
      return true;
    case MEAN:
      if (!readMean(value, end)) return false;
      for (let rest = mask; rest != 0; rest &= rest - 1) {
        const into = state + <usize>ctz<u64>(rest) * 24;
        add128(into, <u64>wholeValue, wholeValue >> 63);
        store<i64>(into, load<i64>(into, 16) + wholeCount, 16);
      }
      return true;
    case MIN:
    case MAX:
      if (member.kind != INTEGER || !readWhole(member.aggregateCase, value, end)) return false;
      for (let rest = mask; rest != 0; rest &= rest - 1)
        mergeExtreme(member.aggregateCase, state + (<usize>ctz<u64>(rest) << 4), wholeValue);
      return true;
    default:
      return false;
  }
}

/** Merges the entry just read, whatever its state, by way of its unpacked form; false where it is not canonical, or of another case or kind. */
function mergeDecoded(answer: Answer, member: Member, mask: u64, tileStartMs: i64): bool {
  mask = unfilled(answer, member, mask);
  if (mask == 0) return true;
  if (caseOf(entryValue, entryEnd) != member.aggregateCase) return false;
  if (!decodeState(member.aggregateCase, entryValue, entryEnd, unpacked)) return false;
  if (!isStateOf(member.aggregateCase, unpacked, member.kind)) return false;
  for (let rest = mask; rest != 0; rest &= rest - 1) {
    const state = stateAt(answer, member, <i32>ctz<u64>(rest));
    if (member.aggregateCase == DECAYED) mergeDecayedTile(state, unpacked, tileStartMs);
    else merge(member.aggregateCase, state, unpacked);
  }
  return true;
}

/** Of windows those that the row at hand can still add to: a list of the latest may be full of later ones. */
@inline
function unfilled(answer: Answer, member: Member, mask: u64): u64 {
  if (member.aggregateCase != LAST_N && member.aggregateCase != LAST_DISTINCT) return mask;
  let left = mask;
  for (let rest = mask; rest != 0; rest &= rest - 1) {
    const state = stateAt(answer, member, <i32>ctz<u64>(rest));
    const isFull =
      member.aggregateCase == LAST_N ? isRecentSince(state, rowEndMicros) : isDistinctSince(state, rowEndMicros);
    if (isFull) left &= ~(rest & (0 - rest));
  }
  return left;
}

// --- 4. finish

/**
 * Since when a member's events are known, where the window starts before that at the moment of the cover: its values
 * are WARMING. CLOCK_NONE where all of the window is known. A lifetime holds all that its event type is known of, so it
 * is WARMING only where its aggregate came later than that.
 */
export function warmingSince(answer: i32, member: i32, window: i32): i64 {
  const owner = answerAt(answer);
  return sinceOf(windowAt(owner, window), memberAt(owner, member).type);
}

@inline
function sinceOf(window: Window, type: i32): i64 {
  if (window.lengthMs == 0) return window.sinceMicros;
  const first = max(seenSince(type), window.sinceMicros);
  return window.startMs * 1000 < first ? first : CLOCK_NONE;
}

/** Ends the answer for one key: its values become row `row` of the frame. */
export function finishKey(answer: i32, row: i32): void {
  finishRow(answerAt(answer), <usize>row);
}

export function finishRow(answer: Answer, row: usize): void {
  assert(row < <usize>answer.frame.rows);
  putReadTime(answer, row);
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    const expired = isExpired(answer, member);
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = member.wanted; rest != 0; rest &= rest - 1) {
      const window = <i32>ctz<u64>(rest);
      const isLifetime = expired && windowAt(answer, window).lengthMs == 0;
      finishCell(answer, first + <usize>window, member, window, expired && !isLifetime, row);
    }
  }
}

@inline
function putReadTime(answer: Answer, row: usize): void {
  if (answer.readTime < 0) return;
  const register = registerOf(answer.frame, answer.readTime);
  store<i64>(register.values + (row << 3), answer.timeMicros);
  store<u8>(register.nulls + row, 0);
  store<u8>(register.statuses + row, <u8>Status.NONE);
}

@inline
function finishCell(answer: Answer, cell: usize, member: Member, window: i32, expired: bool, row: usize): void {
  const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
  const value = register.values + (row << 3);
  store<u64>(value, 0);
  let isNull: u8 = 1;
  let status = Status.EXPIRED;
  if (!expired) {
    const outcome = finishState(member, stateAt(answer, member, window), value);
    isNull = outcome == FINISHED ? 0 : 1;
    if ((member.found & (<u64>1 << window)) == 0) status = Status.NOT_FOUND;
    else if (outcome == FINISHED_OVERFLOW) status = Status.OVERFLOW;
    else status = sinceOf(windowAt(answer, window), member.type) == CLOCK_NONE ? Status.NONE : Status.WARMING;
  }
  if (isNull == 0 && (member.aggregateCase == FIRST || member.aggregateCase == LAST))
    keepText(stateAt(answer, member, window), value);
  store<u8>(register.nulls + row, isNull);
  store<u8>(register.statuses + row, <u8>status);
}

@inline
function finishState(member: Member, state: usize, value: usize): i32 {
  if (member.aggregateCase < LAST_N) return finish(member.aggregateCase, state, value);
  return finishLong(member, state, value);
}

/** What is shared by several functions, or is more than eight bytes. */
function finishLong(member: Member, state: usize, value: usize): i32 {
  switch (member.aggregateCase) {
    case LAST_N:
      return finishRecent(state, value, texts) ? FINISHED : FINISHED_OVERFLOW;
    case MOMENTS:
      return finishMoments(member.finisher, state, value);
    case COUNTS:
      return finishCounts(member.finisher, state, member.parameters, member.parameterCount, value, texts);
    case DECAYED:
      return finishDecayed(state, value);
    case VECTOR_MEAN:
      return finishVector(state, value, texts);
    case HYPERLOGLOG:
      return finish(HYPERLOGLOG, state, value);
    default:
      return finishRanking(member, state, value);
  }
}

function finishRanking(member: Member, state: usize, value: usize): i32 {
  assert(isRanking(member.aggregateCase));
  if (isRankedOver(member.aggregateCase, state)) return FINISHED_OVERFLOW;
  if (member.finisher == AS_FIRST) return finishFirst(state, value, texts) ? FINISHED : FINISHED_NULL;
  finishList(state, value, texts);
  return FINISHED;
}

/** Text and lists of finished values: rows change and go, an answer is read when it is whole. */
const texts: Arena = Arena.make();

/** Forgets the text of answers that have been read. */
export function forgetTexts(): void {
  texts.reset();
}

/** What they take. */
export function textBytes(): f64 {
  return <f64>texts.size;
}

@inline
function keepText(state: usize, value: usize): void {
  if (load<i64>(state) != TEXT) return;
  store<u32>(value, <u32>texts.copy(<usize>load<u32>(value), <usize>load<u32>(value, 4)));
}

// --- what was finished before

/**
 * Finished values of one entity, kept with it for the next lookup: they are a function of its rows and of the cover, so they hold
 * while neither has changed.
 *
 *   answer i32 | version u32, of the entity | coverVersion u32 | unused
 *   of each member: windows that are known u64 | since when its events were known i64, for that is what WARMING says
 *   of each cell: value u64 | null u8 | status u8 | unused
 */
const KEPT_HEAD: usize = 16;
const KEPT_MEMBER: usize = 16;
const KEPT_CELL: usize = 16;

/**
 * Values that are eight bytes and nothing else, of a moment that no member has expired at: others depend on more than
 * rows and cover, or stand elsewhere.
 */
function isKeepable(answer: Answer): bool {
  if (answer.isPast) return false;
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    if (member.wanted == 0) continue;
    if (!isWord(member) || isExpired(answer, member)) return false;
  }
  return true;
}

function isWord(member: Member): bool {
  switch (member.aggregateCase) {
    case COUNTS:
      return member.finisher == DISTINCT;
    case MOMENTS:
    case COUNT:
    case SUM:
    case MEAN:
    case MIN:
    case MAX:
    case REAL_SUM:
    case REAL_MEAN:
    case HYPERLOGLOG:
      return true;
    default:
      return false;
  }
}

function isExpired(answer: Answer, member: Member): bool {
  return !answer.isPast && lateBefore(seenClock(member.type), answer.timeMicros);
}

/** Is a moment of reading earlier than the clock of what is read by more than may be? */
@inline
export function lateBefore(clock: i64, timeMicros: i64): bool {
  return clock != CLOCK_NONE && timeMicros < clock - latenessMicros;
}

@inline
function keptMask(kept: usize, member: i32): usize {
  return kept + KEPT_HEAD + <usize>member * KEPT_MEMBER;
}

@inline
function keptCell(answer: Answer, kept: usize, cell: usize): usize {
  return keptMask(kept, answer.memberCount) + cell * KEPT_CELL;
}

/** They are of this answer, and of the rows and the cover as they are now. */
function isCurrent(answer: Answer, index: i32, entity: Entity): bool {
  const kept = entity.kept;
  if (kept == 0 || load<i32>(kept) != index || load<u32>(kept, 4) != entity.version) return false;
  return load<u32>(kept, 8) == answer.coverVersion;
}

/** Copies what is wanted into a row of the frame; false where some of it is not kept. */
function takeKept(answer: Answer, index: i32, entity: Entity, row: usize): bool {
  if (!isCurrent(answer, index, entity)) return false;
  const kept = entity.kept;
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    if ((member.wanted & ~load<u64>(keptMask(kept, i))) != 0) return false;
    if (member.wanted != 0 && load<i64>(keptMask(kept, i), 8) != seenSince(member.type)) return false;
  }
  for (let i = 0; i < answer.memberCount; i++) {
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = memberAt(answer, i).wanted; rest != 0; rest &= rest - 1) {
      const cell = first + <usize>ctz<u64>(rest);
      const from = keptCell(answer, kept, cell);
      const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
      store<u64>(register.values + (row << 3), load<u64>(from));
      store<u8>(register.nulls + row, load<u8>(from, 8));
      store<u8>(register.statuses + row, load<u8>(from, 9));
    }
  }
  putReadTime(answer, row);
  return true;
}

/** Keeps what has just been finished, beside what is kept already and still holds. */
function keepRow(answer: Answer, index: i32, entity: Entity, row: usize): void {
  const cells = <usize>answer.memberCount * <usize>answer.windowCount;
  const isMore = isCurrent(answer, index, entity);
  const kept = keepFor(entity, KEPT_HEAD + <usize>answer.memberCount * KEPT_MEMBER + cells * KEPT_CELL);
  store<i32>(kept, index);
  store<u32>(kept, entity.version, 4);
  store<u32>(kept, answer.coverVersion, 8);
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    const wanted = member.wanted;
    const mask = keptMask(kept, i);
    const isSame = isMore && load<i64>(mask, 8) == seenSince(member.type);
    store<u64>(mask, (isSame ? load<u64>(mask) : 0) | wanted);
    store<i64>(mask, seenSince(member.type), 8);
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = wanted; rest != 0; rest &= rest - 1) {
      const cell = first + <usize>ctz<u64>(rest);
      const to = keptCell(answer, kept, cell);
      const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
      store<u64>(to, load<u64>(register.values + (row << 3)));
      store<u8>(to, load<u8>(register.nulls + row), 8);
      store<u8>(to, load<u8>(register.statuses + row), 9);
    }
  }
}

/** All of the answer for one key, into row `row` of the frame, unless memory may lack some of its rows. */
export function answerKey(answer: i32, keyStart: usize, keyLength: usize, row: i32): i32 {
  const owner = answerAt(answer);
  assert(<u32>row < <u32>ANSWER_ROWS);
  const isKept = isKeepable(owner);
  const known = isKept ? findEntity(owner.entity, keyStart, keyLength) : null;
  if (known && takeKept(owner, answer, known, <usize>row)) return READ_OK;
  startEntity(owner, keyStart, keyLength);
  findGaps(owner);
  if (owner.gapCount > 0) return READ_GAPS;
  const outcome = gather(owner);
  if (outcome != READ_OK) return outcome;
  finishRow(owner, <usize>row);
  if (known) keepRow(owner, answer, known, <usize>row);
  return READ_OK;
}

/** Nothing has the null key: every value is null. */
function finishNullKey(answer: Answer, row: usize): void {
  putReadTime(answer, row);
  for (let i = 0; i < answer.memberCount; i++) {
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = memberAt(answer, i).wanted; rest != 0; rest &= rest - 1) {
      const cell = first + <usize>ctz<u64>(rest);
      const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
      store<u64>(register.values + (row << 3), 0);
      store<u8>(register.nulls + row, 1);
      store<u8>(register.statuses + row, <u8>Status.NOT_FOUND);
    }
  }
}

/**
 * The features of the entity that a record of the batch names, as of that record: (its position, its time). The
 * prefix must have been seen and folded up to it. The record has a row in the frame of the answer's event type.
 */
export function answerRecord(answer: i32, record: i32, row: i32): i32 {
  return startRecord(answer, record, row) ? answerStarted(answer, row) : READ_OK;
}

/** The rest of it, where memory has all rows of the key. */
export function answerStarted(answer: i32, row: i32): i32 {
  const owner = answerAt(answer);
  const outcome = owner.isOfEvents ? gatherRanges(owner) : gather(owner);
  if (outcome == READ_OK) finishRow(owner, <usize>row);
  return outcome;
}

/** Begins that answer where rows have to come from the store too. False for a null key: then it has ended. */
export function startRecord(answer: i32, record: i32, row: i32): bool {
  if (!keyRecord(answer, record, row)) return false;
  coverRecord(answer, record);
  return true;
}

/** Finds the entity that a record names. False for a null key: then the answer has ended. */
export function keyRecord(answer: i32, record: i32, row: i32): bool {
  const owner = answerAt(answer);
  assert(<u32>record < <u32>recordCount && <u32>row < <u32>owner.frame.rows);
  const at = <usize>record;
  assert(load<i32>(recordType + (at << 2)) == owner.type && load<i32>(recordRow + (at << 2)) >= 0);
  const eventRow = <usize>load<i32>(recordRow + (at << 2));
  if (lacksAfter(owner, eventRow)) {
    finishNullKey(owner, <usize>row);
    return false;
  }
  if (!buildKey(typeFrame(owner.type), eventRow, owner.keyColumns, owner.keyCount)) {
    answerOfTime(owner, load<i64>(recordTime + (at << 3)));
    finishNullKey(owner, <usize>row);
    return false;
  }
  setEntity(owner, keyStart, keyLength);
  return true;
}

/** Finds the cover of that record; nothing is merged yet. */
export function coverRecord(answer: i32, record: i32): void {
  const owner = answerAt(answer);
  const at = <usize>record;
  coverEvent(owner, load<i64>(recordTime + (at << 3)), <usize>load<i32>(recordRow + (at << 2)));
  clearStates(owner);
}

/** The moment alone: nothing is covered for who has no key. */
function answerOfTime(answer: Answer, timeMicros: i64): void {
  if (answer.timeMicros != timeMicros) startCover(answer, timeMicros, false);
}

/** Lists what memory may lack of the key that the record names; false where that is nothing. */
export function lacksRows(answer: i32): bool {
  findGaps(answerAt(answer));
  return answerAt(answer).gapCount > 0;
}

/** The key that the record names, until another is built. */
export function recordKeyStart(): usize {
  return keyStart;
}

export function recordKeyLength(): usize {
  return keyLength;
}
