/**
 * What is asked of one kind of entity: aggregates (members) over windows, the registers that take their values, and of an event how it
 * names the entity. Told once, when definitions are loaded; beside it lies what one lookup after the other needs on its way.
 */
import { stateSize } from './aggregate';
import { CLOCK_NONE, typeFrame } from './event_type';
import { Frame, makeFrame } from './frame';
import { LEVELS_MAX } from './group';
import { allocateZeroed } from './memory';
import { Head } from './row';

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
export const SPAN_SIZE: usize = 24;

/** One range of tiles: level, from, to (milliseconds; `to` may be infinite) and the window it belongs to. */
export const RANGE_SIZE: usize = 32;

/** A stretch of tiles that all belong to the same windows: level, from, to (f64 each), and these windows as a mask u64. */
export const STRETCH_SIZE: usize = 32;
export const STRETCHES_MAX: i32 = 32;

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
