/**
 * Lines of NDJSON into columns.
 *
 *   1. line      cut at \n; \r and blank lines are passed over
 *   2. record    the whole line is checked as JSON, and the spans of its type, time and data are found
 *   3. project   the data of a declared type is walked along the trie of its input paths, into slots: in the same pass
 *                where the type stands before the data, as it mostly does; else in a second one
 *   4. commit    slots become a row of the type's frame, or the event is bad; a change in an envelope may be two rows
 *   5. clocks    in the log's order each record moves its type's clock, or its time is what is bad about it: a pass of
 *                its own, for batches may be decoded side by side before it is known where the clocks stand
 *
 * A batch has room for BATCH_ROWS records and as many rejected lines. Strings in columns are slices of the input, or
 * made where they had escapes; lists, maps and structs are always made (nested_input.ts). Input and what is made stay as they
 * are until the next batch is decoded.
 *
 * An event with a faulty input is bad, unless its type is lenient: then that input is null, or its default, and a register
 * of its own has what is said of it (fault.ts). These registers are null all over, so that an event without a fault costs
 * nothing: where one is filled that is noted, and the next batch clears them.
 */
import { readDouble } from './decimal';
import {
  Op,
  afterStart,
  beforeStart,
  changeOp,
  isEnvelope,
  isRowAt,
  isUnavailable,
  nameAt,
  openEnvelope,
  timeAt,
  timeEnd as changeTimeEnd,
} from './envelope';
import { BATCH_ROWS, Frame, makeFrame, registerOf } from './expression';
import { Wrong, faultText } from './fault';
import { forgetForms } from './form';
import { guessedCount, guessedEnd, guessedMicros, guessedType, later, laterCount, serial } from './guess';
import {
  DEPTH_MAX,
  Problem,
  cursor,
  cutInt,
  fail,
  integer,
  isNumberText,
  limit,
  openText,
  moveTo,
  peek,
  problem,
  readDate,
  readEpochMs,
  readInt,
  readString,
  readTime,
  skipSpace,
  skipValue,
  stringEnd,
  stringEscaped,
  stringStart,
  take,
  takeMoment,
  unescape,
} from './json';
import { countBehind, countOnTime, makeBehind } from './late';
import { allocate, allocateZeroed, headOf, release, roundedSize } from './memory';
import { cellAt, nestedCell, nullAt } from './nested';
import {
  addElement,
  addEntry,
  badOf,
  beginBatch,
  beginEvent,
  dropList,
  endList,
  endMap,
  isOverfull,
  isTooMany,
  keepText,
  listStart,
  makeBlock,
  makeFault,
  mapFault,
  textRoom,
} from './nested_input';
import { Register } from './register';

export { NESTED_VALUES_MAX } from './nested_input';

/** A longer line is rejected: it bounds what one event may cost. */
export const LINE_MAX_BYTES: usize = 1 << 20;

export enum Kind {
  BOOL,
  INT64,
  STRING,
  TIME,
  DOUBLE,
  LIST,
  STRUCT,
  /** Of texts to values. */
  MAP,
}

export enum Presence {
  REQUIRED,
  OPTIONAL,
  DEFAULT,
}

/** What a faulty input does. */
export enum Leniency {
  /** The event is bad. */
  NONE,
  /** It is null, or its default. */
  NULL,
  /** As NULL, where nothing can be made of it. */
  CONVERT,
}

/** Why a logged event is bad. */
export enum Bad {
  NONE,
  MISSING,
  WRONG_TYPE,
  OUT_OF_RANGE,
  DATA_NOT_OBJECT,
  TIME_JUMP,
  TIME_AHEAD,
  /** More values in lists and structs than one event may have. */
  TOO_LARGE,
  /** A change that is none of those that there are. */
  UNKNOWN_OP,
  /** A row's own time lies ahead of the change of it. */
  ROW_AHEAD,
  /** What is taken back is not there, or not all of it. */
  NO_BEFORE,
  /** What is added is not there. */
  NO_AFTER,
  /** A text that the database did not hand over. */
  UNAVAILABLE,
  /** A record that says what a row is now is longer than what is kept of one. */
  ROW_TOO_LONG,
}

/** How records of a type are changes of rows. */
export enum Changelog {
  NONE,
  /** A record is a row, and an input says whether it is added. */
  OPS,
  /** A record has up to two rows, in an envelope (envelope.ts). */
  ENVELOPES,
  /** A record is what the row of its key is now: what it was is taken back (upsert.ts). */
  UPSERTS,
}

/** How a record of `UPSERTS` says whether its row is gone. */
export enum Form {
  /** It never is. */
  ROWS,
  OPS,
  FLAG,
  ENVELOPES,
}

/** What projection found for an input. From VALUE on there is one. */
enum Slot {
  MISSING,
  NULL,
  WRONG_TYPE,
  OUT_OF_RANGE,
  TOO_LARGE,
  /** Something in it is bad, and so is the event: its value is the address of that fault (nested_input.ts). */
  BAD_WITHIN,
  VALUE,
  /** Of a lenient type: a part of it was lost. */
  LOSSY,
  /** Of a lenient type: something in it was faulty, and `flaw` is the address of that fault. */
  FLAWED,
}

/** A place that values are read into: an event's input, a struct's field, or the elements of a list, one after the other. */
@unmanaged
export class Input {
  kind: i32;
  presence: i32;
  /** The default, as a column holds it. */
  fallback: u64;
  slot: i32;
  value: u64;
  /** Of a list or a map the place of its elements, of a struct those of its fields; 0 for scalars. */
  shape: usize;
  /** Of an input or a field: its path, as a text's cell. */
  name: u64;
  flaw: usize;
  /** Of the last line read by its form in which it had a value, or null (guess.ts). */
  mark: u64;
}

/** A member name on the way to inputs. Children and inputs are linked lists: they are few. */
@unmanaged
export class Node {
  name: usize;
  nameLength: usize;
  /** The first eight bytes of the name, zeros behind a shorter one: mostly they decide. */
  head: u64;
  sibling: usize;
  child: usize;
  /** Head of a list of input indices plus one, through `nextInput`. */
  input: i32;
}

/** The places that one object is read into, and the paths to them. A list's only place is on no path. */
@unmanaged
export class Shape {
  inputCount: i32;
  inputs: usize;
  /** Next input (plus one) on the same path, by input. */
  nextInput: usize;
  root: Node;
}

@unmanaged
export class EventType extends Shape {
  name: usize;
  nameLength: usize;
  /** Inputs are its first registers, then the event's time, in a changelog its weight, then whatever programs need. */
  frame: Frame;
  changelog: i32;
  /** Of a changelog: the input that says what a record changes, and (plus one, 0 for none) that of each row's own time. */
  opInput: i32;
  timeInput: i32;
  /** What a faulty input does. Where the event is not bad for it, what is said of inputs stands in as many registers behind the time. */
  leniency: i32;
  /** Something is said in this batch. */
  isFlawed: bool;
  /** Of upserts: a `Form`; the inputs that name a row, as pairs of register and KeyKind. */
  form: i32;
  keyCount: i32;
  keyColumns: usize;
  /** The entity that their last rows are kept under, 0 where they are not, and the number of what stands in those rows. */
  lastEntity: i32;
  lastId: i32;
  /** Rows of the frame that this batch has filled. */
  rows: i32;
  /** The type's clock as far as decoding has come; CLOCK_NONE before its first event. */
  clock: i64;
  /** What it showed after the first record that moved it. */
  since: i64;
  /** The latest two times of records in a row that were too far ahead of it, the older one first; CLOCK_NONE for none. */
  jump: i64;
  lastJump: i64;
  /** Events by how far they were behind the clock (late.ts). */
  behind: usize;
}

export const CLOCK_NONE: i64 = i64.MIN_VALUE;

const TYPES_MAX: i32 = 4096;
const types: usize = memory.data(4096 * sizeof<usize>(), 8);
let typeCount = 0;

/** Takes over `name` (an allocated block). Its frame has `registerCount` registers, the inputs and the time among them. */
export function addType(name: usize, nameLength: usize, inputCount: i32, registerCount: i32): i32 {
  assert(typeCount < TYPES_MAX && registerCount > inputCount);
  const type = changetype<EventType>(allocateZeroed(offsetof<EventType>()));
  type.name = name;
  type.nameLength = nameLength;
  setPlaces(type, inputCount);
  type.frame = makeFrame(registerCount, BATCH_ROWS);
  type.clock = CLOCK_NONE;
  type.since = CLOCK_NONE;
  forgetJumps(type);
  type.behind = makeBehind();
  store<usize>(types + <usize>typeCount * sizeof<usize>(), changetype<usize>(type));
  forgetForms();
  return typeCount++;
}

function setPlaces(shape: Shape, count: i32): void {
  shape.inputCount = count;
  shape.inputs = allocateZeroed(<usize>count * offsetof<Input>() + 1);
  shape.nextInput = allocateZeroed(<usize>count * 4 + 1);
  shape.root = changetype<Node>(allocateZeroed(offsetof<Node>()));
}

@inline
export function typeAt(index: i32): EventType {
  assert(<u32>index < <u32>typeCount);
  return changetype<EventType>(load<usize>(types + <usize>index * sizeof<usize>()));
}

@inline
export function inputAt(shape: Shape, index: i32): Input {
  assert(<u32>index < <u32>shape.inputCount);
  return changetype<Input>(shape.inputs + <usize>index * offsetof<Input>());
}

/** The input (plus one) behind another (plus one) on the same path. */
@inline
function nextInput(shape: Shape, input: i32): i32 {
  return load<i32>(shape.nextInput + (<usize>(input - 1) << 2));
}

/** Makes the type a changelog. `opInput` is -1 where rows stand in envelopes, `timeInput` where rows have the record's time. */
export function setChangelog(type: i32, opInput: i32, timeInput: i32): void {
  const changed = typeAt(type);
  changed.changelog = opInput < 0 ? Changelog.ENVELOPES : Changelog.OPS;
  changed.opInput = opInput;
  changed.timeInput = timeInput + 1;
}

/** Makes it a changelog of upserts. `opInput` is -1 where none says whether a row is gone; key inputs follow. */
export function setUpsert(type: i32, form: i32, opInput: i32, timeInput: i32, keyCount: i32): void {
  const changed = typeAt(type);
  changed.changelog = Changelog.UPSERTS;
  changed.form = form;
  changed.opInput = opInput;
  changed.timeInput = timeInput + 1;
  changed.keyCount = keyCount;
  changed.keyColumns = allocateZeroed(<usize>keyCount << 3);
}

export function setUpsertKey(type: i32, index: i32, input: i32, kind: i32): void {
  const changed = typeAt(type);
  assert(<u32>index < <u32>changed.keyCount && <u32>input < <u32>changed.inputCount);
  store<i32>(changed.keyColumns + (<usize>index << 3), input);
  store<i32>(changed.keyColumns + (<usize>index << 3), kind, 4);
}

/** The last rows of its keys are kept from now on. */
export function keepLastRows(type: i32, entity: i32, id: i32): void {
  typeAt(type).lastEntity = entity;
  typeAt(type).lastId = id;
}

/** May a record take back a row besides adding its own? Then no line of the type has a form. */
@inline
export function hasBefore(type: EventType): bool {
  return type.changelog >= Changelog.ENVELOPES;
}

/** The inputs of an event type. */
export function typeShape(type: i32): usize {
  return changetype<usize>(typeAt(type));
}

/** Describes an input and puts it at the end of a path (`stepNode`), or on none. `fallback` points at 8 bytes. */
export function setInput(shape: usize, index: i32, kind: i32, presence: i32, fallback: usize, node: usize): void {
  const places = changetype<Shape>(shape);
  const input = inputAt(places, index);
  input.kind = kind;
  input.presence = presence;
  input.fallback = load<u64>(fallback);
  if (node == 0) return;
  const end = changetype<Node>(node);
  store<i32>(places.nextInput + (<usize>index << 2), end.input);
  end.input = index + 1;
  forgetForms();
}

/** Says what an input, or a struct's field, is called where something is wrong with it. Takes over `name` (an allocated block). */
export function nameInput(shape: usize, index: i32, name: usize, nameLength: usize): void {
  inputAt(changetype<Shape>(shape), index).name = <u64>name | (<u64>nameLength << 32);
}

/** Makes the type lenient. Its frame has a register for each input behind that of the time. */
export function setLeniency(type: i32, leniency: i32): void {
  const lenient = typeAt(type);
  assert(lenient.changelog == Changelog.NONE && leniency != Leniency.NONE);
  lenient.leniency = leniency;
  clearFlaws(lenient);
  forgetForms();
}

/** The register that says what is wrong with an input. */
@inline
function flawRegister(type: EventType, input: i32): Register {
  return registerOf(type.frame, timeRegister(type) + 1 + input);
}

function clearFlaws(type: EventType): void {
  for (let i = 0; i < type.inputCount; i++) memory.fill(flawRegister(type, i).nulls, 1, <usize>BATCH_ROWS);
  type.isFlawed = false;
}

/** The places in a list, a map or a struct: one for elements, or `count` for fields. */
export function nestShape(shape: usize, index: i32, count: i32): usize {
  const inner = changetype<Shape>(allocateZeroed(offsetof<Shape>()));
  setPlaces(inner, count);
  inputAt(changetype<Shape>(shape), index).shape = changetype<usize>(inner);
  return changetype<usize>(inner);
}

export function rootNode(shape: usize): usize {
  return changetype<usize>(changetype<Shape>(shape).root);
}

/** The node one step further, made where there is none. Takes over `name` (an allocated block). */
export function stepNode(from: usize, name: usize, nameLength: usize): usize {
  const parent = changetype<Node>(from);
  const known = childOf(parent, name, nameLength);
  if (known != 0) return known;
  const node = changetype<Node>(allocateZeroed(offsetof<Node>()));
  node.name = name;
  node.nameLength = nameLength;
  node.head = headOf(name, nameLength);
  node.sibling = parent.child;
  parent.child = changetype<usize>(node);
  return changetype<usize>(node);
}

@inline
export function childOf(parent: Node, name: usize, nameLength: usize): usize {
  const head = headOf(name, nameLength);
  for (let at = parent.child; at != 0; ) {
    const node = changetype<Node>(at);
    if (node.head == head && node.nameLength == nameLength)
      if (nameLength <= 8 || memory.compare(node.name, name, nameLength) == 0) return at;
    at = node.sibling;
  }
  return 0;
}

/** Behind the input and the side buffer, for loads that are wider than what they are for. */
const SLACK: usize = 64;

export function typeFrame(type: i32): Frame {
  return typeAt(type).frame;
}

export function typeRows(type: i32): i32 {
  return typeAt(type).rows;
}

export function typeBehind(type: i32): usize {
  return typeAt(type).behind;
}

export function typeClock(type: i32): i64 {
  return typeAt(type).clock;
}

export function typeSince(type: i32): i64 {
  return typeAt(type).since;
}

export function typeJump(type: i32): i64 {
  return typeAt(type).jump;
}

export function typeLastJump(type: i32): i64 {
  return typeAt(type).lastJump;
}

/** Decoding goes on with the clock as it stood. */
export function setTypeClock(type: i32, clock: i64, since: i64, jump: i64, lastJump: i64): void {
  const eventType = typeAt(type);
  eventType.clock = clock;
  eventType.since = since;
  eventType.jump = jump;
  eventType.lastJump = lastJump;
}

/** The greatest of all types' clocks, CLOCK_NONE before the first event. */
export function greatestClock(): i64 {
  let greatest = CLOCK_NONE;
  for (let i = 0; i < typeCount; i++) greatest = max(greatest, typeAt(i).clock);
  return greatest;
}

// --- settings of the log

let clockIsWall = false;
let jumpMaxMicros: i64 = 0;
let aheadMaxMicros: i64 = 0;

/** For a source that does not know when its records arrived. */
const NO_ARRIVAL: i64 = i64.MIN_VALUE;

/** An event further than `aheadMs` ahead of its arrival is bad; with an event clock, one `jumpMs` ahead of its type's clock too. */
export function setClock(isWall: bool, jumpMs: f64, aheadMs: f64): void {
  clockIsWall = isWall;
  jumpMaxMicros = <i64>jumpMs * 1000;
  aheadMaxMicros = <i64>aheadMs * 1000;
}

// --- the batch

/** Per record: its type (-1: not declared), its row in that type's frame (-1: none), time, the type's clock after it. */
export const recordType: usize = memory.data(4096 * 4, 16);
export const recordRow: usize = memory.data(4096 * 4, 16);
/** Per record of a type that may take one back: the row that it takes back besides adding its own (-1: none). */
export const recordBefore: usize = memory.data(4096 * 4, 16);
export const recordTime: usize = memory.data(4096 * 8, 16);
export const recordClock: usize = memory.data(4096 * 8, 16);
/** Per record that says what the row of its key is now: where that stands, and its length; no length where it is gone. */
export const recordText: usize = memory.data(4096 * 4, 16);
export const recordTextLength: usize = memory.data(4096 * 4, 16);
/** Per record: its line's place in the input, the line's number, why it is bad, and the input that made it so. */
export const recordStart: usize = memory.data(4096 * 4, 16);
export const recordLength: usize = memory.data(4096 * 4, 16);
export const recordLine: usize = memory.data(4096 * 4, 16);
export const recordBad: usize = memory.data(4096 * 4, 16);
export const recordInput: usize = memory.data(4096 * 4, 16);
/** Per record: where in that input, a fault of nested_input.ts; 0 where it is the input itself. */
export const recordWithin: usize = memory.data(4096 * 4, 16);
export let recordCount: i32 = 0;
/** A type's frame has no room for the rows of another record. */
export let isFrameFull: bool = false;
/** Position in the log of the batch's first record. */
export let firstPosition: i64 = 0;

/** Per rejected line: its number within the input, the problem, its place. */
export const rejectedLine: usize = memory.data(4096 * 4, 16);
export const rejectedProblem: usize = memory.data(4096 * 4, 16);
export const rejectedStart: usize = memory.data(4096 * 4, 16);
export const rejectedLength: usize = memory.data(4096 * 4, 16);
export let rejectedCount: i32 = 0;

/** Lines passed in this batch, blank ones and rejected ones too; and those of them that were read by their form. */
export let lineCount: i32 = 0;
export let formLineCount: i32 = 0;

/** The time register comes right after the inputs, and in a changelog the weight's behind it. */
@inline
export function timeRegister(type: EventType): i32 {
  return type.inputCount;
}

// --- input and side buffer

let inputStart: usize = 0;
let inputCapacity: usize = 0;
let sideStart: usize = 0;
let sideCapacity: usize = 0;
let sideEnd: usize = 0;

/** The input buffer, at least `size` bytes; what was in it is lost when it has to grow. */
export function inputBuffer(size: usize): usize {
  if (size > inputCapacity) {
    if (inputStart != 0) release(inputStart, inputCapacity + SLACK);
    if (sideStart != 0) release(sideStart, sideCapacity + SLACK);
    inputCapacity = roundedSize(size);
    inputStart = allocate(inputCapacity + SLACK);
    // Names of types are kept, each no longer than its line, and other names stand one at a time behind them.
    sideCapacity = roundedSize(inputCapacity * 2 + 64);
    sideStart = allocate(sideCapacity + SLACK);
  }
  return inputStart;
}

/** For names in a text that does not stand in the input. */
function widenSide(size: usize): void {
  sideEnd = sideStart;
  if (size <= sideCapacity) return;
  if (sideStart != 0) release(sideStart, sideCapacity + SLACK);
  sideCapacity = roundedSize(size);
  sideStart = sideEnd = allocate(sideCapacity + SLACK);
}

@inline
function sideRoom(size: usize): usize {
  assert(sideEnd + size <= sideStart + sideCapacity);
  return sideEnd;
}

/** Begins a batch from byte `from` of the input; returns where the input starts. `position` is that of the first record. */
export function beginDecoding(from: usize, size: usize, position: i64): usize {
  const start = beginLines(from, size);
  isDecoding = true;
  firstPosition = position;
  recordCount = 0;
  isFrameFull = false;
  sideEnd = sideStart;
  lastTextStart = 0;
  beginBatch();
  for (let i = 0; i < typeCount; i++) {
    typeAt(i).rows = 0;
    if (typeAt(i).isFlawed) clearFlaws(typeAt(i));
  }
  return start;
}

/**
 * Moves the types' clocks past the batch's records, from where `setTypeClock` or the batch before has left them. An event
 * whose time is wrong loses its row, whatever else is wrong with it. Called once for each batch, before it is tiled.
 */
export function passClocks(arrivalMicros: i64): void {
  for (let i = 0; i < typeCount; i++) if (!hasBefore(typeAt(i))) countOnTime(typeAt(i).behind, typeAt(i).rows);
  for (let record: usize = 0; record < <usize>recordCount; record++) {
    const type = load<i32>(recordType + (record << 2));
    if (type < 0) continue;
    const eventType = typeAt(type);
    const isFirst = eventType.clock == CLOCK_NONE;
    const wrongTime = moveClock(eventType, load<i64>(recordTime + (record << 3)), arrivalMicros);
    if (isFirst) eventType.since = eventType.clock;
    store<i64>(recordClock + (record << 3), eventType.clock);
    if (load<i32>(recordRow + (record << 2)) >= 0) {
      // It may have two rows, and is one event.
      if (hasBefore(eventType)) countOnTime(eventType.behind, 1);
      const behindMicros = eventType.clock - load<i64>(recordTime + (record << 3));
      if (wrongTime != Bad.NONE) countOnTime(eventType.behind, -1);
      else if (behindMicros > 0) countBehind(eventType.behind, behindMicros);
    }
    if (wrongTime == Bad.NONE) continue;
    store<i32>(recordBad + (record << 2), wrongTime);
    store<i32>(recordInput + (record << 2), -1);
    store<i32>(recordRow + (record << 2), -1);
  }
}

export function findNewline(at: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    const sixteen = i8x16.splat(0x0a);
    while (at + 16 <= end) {
      const mask = i8x16.bitmask(i8x16.eq(v128.load(at), sixteen));
      if (mask != 0) return at + ctz<i32>(mask);
      at += 16;
    }
  } else {
    const ones: u64 = 0x0101010101010101;
    while (at + 8 <= end) {
      const word = load<u64>(at) ^ (ones * 0x0a);
      const found = (word - ones) & ~word & (ones << 7);
      if (found != 0) return at + (<usize>ctz(found) >> 3);
      at += 8;
    }
  }
  while (at < end && load<u8>(at) != 0x0a) at++;
  return at;
}

/** The end of a line without its line end. */
@inline
export function lineEnd(start: usize, newline: usize): usize {
  return newline > start && load<u8>(newline - 1) == 0x0d ? newline - 1 : newline;
}

/** Begins a list of rejected lines that nothing is decoded of (door.ts); returns where the input starts. */
export function beginLines(from: usize, size: usize): usize {
  assert(from <= size && size <= inputCapacity);
  // Ends the input for guess.ts: no number, string or stretch goes on over a NUL byte.
  if (size != 0) store<u64>(inputStart + size, 0);
  isDecoding = false;
  rejectedCount = 0;
  lineCount = 0;
  formLineCount = 0;
  return inputStart;
}

/** One line, or one element of an array, more. */
@inline
export function beginLine(): void {
  lineCount++;
  sideEnd = sideStart;
}

/** One line without its line end. Returns whether it is an event that counts, and so has a form to be learnt. */
export function decodeLine(start: usize, end: usize): bool {
  lineCount++;
  openText(start, end);
  skipSpace();
  if (cursor == end) return false;
  if (end - start > LINE_MAX_BYTES) {
    reject(start, end, Problem.TOO_LONG);
  } else if (!readRecord() || !endsHere()) {
    const reason = problem;
    if (!isTombstone(start, end)) reject(start, end, reason);
  } else {
    return commitRecord(start, end) == Bad.NONE && !isBare;
  }
  return false;
}

/** Is the line a lone null? So Kafka's tools write the record that follows a deleted row, and it is passed over. */
export function isTombstone(start: usize, end: usize): bool {
  openText(start, end);
  skipSpace();
  const at = cursor;
  if (end - at < 4) return false;
  moveTo(at + 4);
  skipSpace();
  return cursor == end && isNull(at, at + 4);
}

/** Is a stretch a null, and nothing else? */
@inline
export function isNull(start: usize, end: usize): bool {
  return end - start == 4 && load<u32>(start) == 0x6c6c756e;
}

@inline
export function endsHere(): bool {
  skipSpace();
  return cursor == limit ? true : fail(Problem.NOT_JSON);
}

export function reject(start: usize, end: usize, reason: i32): void {
  const at = <usize>rejectedCount << 2;
  store<i32>(rejectedLine + at, lineCount);
  store<i32>(rejectedProblem + at, reason);
  store<u32>(rejectedStart + at, <u32>(start - inputStart));
  store<u32>(rejectedLength + at, <u32>(end - start));
  rejectedCount++;
}

// --- one record

/** A top-level member's value: where it starts (0: absent) and ends. */
let typeStart: usize = 0;
let typeEnd: usize = 0;
let flatTypeStart: usize = 0;
let flatTypeEnd: usize = 0;
let timeStart: usize = 0;
let timeEnd: usize = 0;
let flatTimeStart: usize = 0;
let flatTimeEnd: usize = 0;
let dataStart: usize = 0;
let objectStart: usize = 0;

/** How often the members came: once each, what the first pass projected stands. */
let typeMembers = 0;
let dataMembers = 0;
let typeEscaped = false;
/** Is this a decoding, that wants slots filled? And the type whose slots the first pass has filled; -1 for none. */
let isDecoding = false;
let projectedType = -1;

/** The record's type name, and its time. */
let nameStart: usize = 0;
let nameLength: usize = 0;
let recordMicros: i64 = 0;
export let isFlat: bool = false;
/** The record is an envelope itself. */
export let isBare: bool = false;

/** Where the record that was read last ends, whether or not there was something wrong with its time. */
export let recordEnd: usize = 0;

/** What the record says that it is called, a JSON value; none where `recordIdStart` gives 0. */
let idStart: usize = 0;
let idEnd: usize = 0;
let flatIdStart: usize = 0;
let flatIdEnd: usize = 0;

export function recordIdStart(): usize {
  const start = isFlat ? flatIdStart : idStart;
  return isBare || start == 0 || isNull(start, recordIdEnd()) ? 0 : start;
}

export function recordIdEnd(): usize {
  return isFlat ? flatIdEnd : idEnd;
}

/** The record that was read last says nothing of its time. */
export function lacksTime(): bool {
  const start = isFlat ? flatTimeStart : timeStart;
  return !isBare && (start == 0 || isNull(start, isFlat ? flatTimeEnd : timeEnd));
}

/** Reads one record at the cursor, checking all of it. The cursor ends behind it. */
export function readRecord(): bool {
  typeStart = flatTypeStart = timeStart = flatTimeStart = dataStart = idStart = flatIdStart = recordEnd = 0;
  typeMembers = dataMembers = 0;
  projectedType = -1;
  objectStart = cursor;
  if (peek() != 0x7b) return skipValue(0) ? fail(Problem.NOT_OBJECT) : false;
  if (!readMembers()) return false;
  const afterRecord = cursor;
  isBare = typeStart == 0 && flatTypeStart == 0 && isEnvelope(objectStart);
  isFlat = typeStart == 0 && !isBare;
  if (!readTypeName()) return fail(Problem.NO_TYPE);
  recordEnd = afterRecord;
  if (!readRecordTime()) return false;
  moveTo(afterRecord);
  return true;
}

function readMembers(): bool {
  moveTo(cursor + 1);
  skipSpace();
  if (peek() == 0x7d) {
    moveTo(cursor + 1);
    return true;
  }
  while (true) {
    skipSpace();
    if (!readString()) return false;
    const name = plainName();
    const length = plainLength;
    if (!take(0x3a)) return false;
    skipSpace();
    const start = cursor;
    if (isDecoding && length == 4 && load<u32>(name) == NAME_DATA && projectsNow()) {
      if (!project(typeAt(projectedType), typeAt(projectedType).root, 1)) return false;
      noteData(start);
    } else {
      if (!skipValue(1)) return false;
      noteMember(name, length, start, cursor);
    }
    skipSpace();
    const byte = peek();
    if (byte == 0x7d) {
      moveTo(cursor + 1);
      return true;
    }
    if (byte != 0x2c) return fail(Problem.NOT_JSON);
    moveTo(cursor + 1);
  }
}

/** `data`, as a word of four bytes; `type` and `time` likewise. */
export const NAME_DATA: u32 = 0x61746164;
export const NAME_TYPE: u32 = 0x65707974;
export const NAME_TIME: u32 = 0x656d6974;
/** `id`, as two bytes. */
const NAME_ID: u16 = 0x6469;

/** Can the object at the cursor be projected in this pass? Its type has to be known, and declared. */
function projectsNow(): bool {
  if (dataMembers != 0 || typeMembers != 1 || typeEscaped || peek() != 0x7b || load<u8>(typeStart) != 0x22) return false;
  nameStart = typeStart + 1;
  nameLength = typeEnd - typeStart - 2;
  const type = findType();
  if (type < 0 || hasBefore(typeAt(type))) return false;
  projectedType = type;
  beginInputs(typeAt(projectedType));
  clearSlots(typeAt(projectedType));
  return true;
}

/** Does a faulty input of the event at hand leave it good? And is something to be made of it? */
let isLenient = false;
let converts = false;

@inline
function beginInputs(type: EventType): void {
  beginEvent();
  isLenient = type.leniency != Leniency.NONE;
  converts = type.leniency == Leniency.CONVERT;
}

function clearSlots(shape: Shape): void {
  for (let i = 0; i < shape.inputCount; i++) inputAt(shape, i).slot = Slot.MISSING;
}

let plainLength: usize = 0;

/** The name that `readString` has just read, unescaped into spare room where it has to be. */
@inline
function plainName(): usize {
  if (!stringEscaped) {
    plainLength = stringEnd - stringStart;
    return stringStart;
  }
  const room = sideRoom(stringEnd - stringStart);
  plainLength = unescape(stringStart, stringEnd, room);
  return room;
}

/** An unescaped name stands where projection has unescaped others since: this one is told by its caller. */
@inline
function noteData(start: usize): void {
  dataStart = start;
  dataMembers++;
}

/** Remembers the members that a record is known by; a later one of the same name wins. */
@inline
function noteMember(name: usize, length: usize, start: usize, end: usize): void {
  if (length == 4) {
    const word = load<u32>(name);
    if (word == NAME_TYPE) {
      typeStart = start;
      typeEnd = end;
      typeEscaped = stringEscaped;
      typeMembers++;
    } else if (word == NAME_TIME) {
      timeStart = start;
      timeEnd = end;
    } else if (word == NAME_DATA) {
      noteData(start);
    }
  } else if (length == 5 && load<u8>(name) == 0x5f) {
    const word = load<u32>(name, 1);
    if (word == NAME_TYPE) {
      flatTypeStart = start;
      flatTypeEnd = end;
    } else if (word == NAME_TIME) {
      flatTimeStart = start;
      flatTimeEnd = end;
    }
  } else if (length == 2 && load<u16>(name) == NAME_ID) {
    idStart = start;
    idEnd = end;
  } else if (length == 3 && load<u8>(name) == 0x5f && load<u16>(name, 1) == NAME_ID) {
    flatIdStart = start;
    flatIdEnd = end;
  }
}

function readTypeName(): bool {
  const start = isBare ? nameAt : isFlat ? flatTypeStart : typeStart;
  if (start == 0 || load<u8>(start) != 0x22) return false;
  moveTo(start);
  readString();
  nameStart = plainName();
  nameLength = plainLength;
  // An unescaped name stands in spare room that the next name would overwrite.
  if (stringEscaped) sideEnd += nameLength;
  return nameLength > 0;
}

/** Is the text the name of the record's type? */
export function isRecordName(start: usize, end: usize): bool {
  return nameLength == end - start && memory.compare(nameStart, start, nameLength) == 0;
}

function readRecordTime(): bool {
  const start = isBare ? timeAt : isFlat ? flatTimeStart : timeStart;
  const end = isBare ? changeTimeEnd : isFlat ? flatTimeEnd : timeEnd;
  if (start == 0) return fail(Problem.NO_TIME);
  if (!readTimeValue(start, end)) return fail(Problem.BAD_TIME);
  recordMicros = integer;
  return true;
}

/** 2001-03-05T00:00:00Z: the shortest spelling that is read by `takeMoment`. */
const MOMENT_MIN_BYTES: usize = 20;

/** A checked JSON value as a time. */
function readTimeValue(start: usize, end: usize): bool {
  const byte = load<u8>(start);
  if (byte == 0x22) {
    rereadString(start);
    const text = plainName();
    const textEnd = text + plainLength;
    return (plainLength >= MOMENT_MIN_BYTES && takeMoment(text) == textEnd) || readTime(text, textEnd);
  }
  return isNumber(byte) && readEpochMs(start, end);
}

@inline
function isNumber(byte: u8): bool {
  return byte == 0x2d || (byte >= 0x30 && byte <= 0x39);
}

// --- from record to row

/** Returns why it is bad, if it is. */
function commitRecord(start: usize, end: usize): i32 {
  const type = findType();
  const index = noteRecord(start, end, type);
  if (type < 0) return Bad.NONE;
  const eventType = typeAt(type);
  if (eventType.changelog == Changelog.UPSERTS) return commitUpsert(eventType, index, end - start);
  if (hasBefore(eventType)) return commitChange(eventType, index);
  const bad = judge(eventType, type, index);
  store<i32>(recordBad + (index << 2), bad);
  if (bad == Bad.NONE) store<i32>(recordRow + (index << 2), eventType.rows++);
  return bad;
}

/** Enters a record of the type into the batch, with neither a row nor a fault. */
@inline
function noteRecord(start: usize, end: usize, type: i32): usize {
  const index = <usize>recordCount;
  recordCount++;
  store<i32>(recordType + (index << 2), type);
  store<i32>(recordRow + (index << 2), -1);
  store<i64>(recordTime + (index << 3), recordMicros);
  store<u32>(recordStart + (index << 2), <u32>(start - inputStart));
  store<u32>(recordLength + (index << 2), <u32>(end - start));
  store<i32>(recordLine + (index << 2), lineCount);
  store<i32>(recordBad + (index << 2), Bad.NONE);
  store<i32>(recordInput + (index << 2), -1);
  store<usize>(recordWithin + (index << 2), 0);
  store<i64>(recordClock + (index << 3), CLOCK_NONE);
  return index;
}

/** The number of the type that the record is of, -1 where it is not declared. */
export function findType(): i32 {
  for (let i = 0; i < typeCount; i++) {
    const type = typeAt(i);
    if (type.nameLength == nameLength && memory.compare(type.name, nameStart, nameLength) == 0) return i;
  }
  return -1;
}

/** Projects the data and fills the next row; or says what is bad. */
function judge(type: EventType, number: i32, index: usize): i32 {
  if (projectedType == number && typeMembers == 1 && dataMembers == 1) return fillRow(type, index, 1);
  return projectData(type) ? fillRow(type, index, 1) : Bad.DATA_NOT_OBJECT;
}

/** The data that was projected last; 0 where there is none. The cursor stands behind it. */
let projectedStart: usize = 0;

/** Fills the slots from the record's data; false where that is no object. */
function projectData(type: EventType): bool {
  beginInputs(type);
  clearSlots(type);
  projectedStart = 0;
  if (!isFlat) {
    if (dataStart == 0 || load<u8>(dataStart) == 0x6e) return true;
    if (load<u8>(dataStart) != 0x7b) return false;
  }
  projectedStart = isFlat ? objectStart : dataStart;
  moveTo(projectedStart);
  return project(type, type.root, isFlat ? 0 : 1);
}

/** Fills a row for what a change takes back, and one for what it adds; none for what is neither. Returns why it is bad, if it is. */
function commitChange(type: EventType, index: usize): i32 {
  const first = type.rows;
  store<i32>(recordBefore + (index << 2), -1);
  const bad = judgeChange(type, index);
  store<i32>(recordBad + (index << 2), bad);
  if (bad != Bad.NONE) type.rows = first;
  else if (type.rows > first) store<i32>(recordRow + (index << 2), type.rows - 1);
  if (type.rows - first == 2) store<i32>(recordBefore + (index << 2), first);
  isFrameFull = isFrameFull || type.rows + 2 > BATCH_ROWS;
  return bad;
}

function judgeChange(type: EventType, index: usize): i32 {
  beginInputs(type);
  const object = isFlat || isBare ? objectStart : dataStart;
  if (object == 0 || load<u8>(object) == 0x6e) return Bad.NONE;
  if (load<u8>(object) != 0x7b) return Bad.DATA_NOT_OBJECT;
  if (!openEnvelope(object)) return Bad.NONE;
  const op = changeOp();
  if (op == Op.UNKNOWN) return Bad.UNKNOWN_OP;
  const before = beforeStart;
  const after = afterStart;
  if ((op & Op.TAKES) != 0) {
    if (!isRowAt(before)) return Bad.NO_BEFORE;
    const bad = fillSide(type, index, before, -1);
    if (bad != Bad.NONE) return bad == Bad.MISSING ? Bad.NO_BEFORE : bad;
  }
  if ((op & Op.ADDS) == 0) return Bad.NONE;
  return isRowAt(after) ? fillSide(type, index, after, 1) : Bad.NO_AFTER;
}

/** Projects a row of an envelope into the frame's next one, or says what is bad about it. */
function fillSide(type: EventType, index: usize, start: usize, weight: i64): i32 {
  projectRow(type, start);
  const bad = fillAvailable(type, index, weight);
  if (bad == Bad.NONE) type.rows++;
  return bad;
}

/** Fills the slots from a row of an envelope. The cursor stands behind it. */
function projectRow(type: EventType, start: usize): void {
  clearSlots(type);
  moveTo(start);
  project(type, type.root, 1);
}

function fillAvailable(type: EventType, index: usize, weight: i64): i32 {
  const bad = fillRow(type, index, weight);
  if (bad != Bad.NONE) return bad;
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    if (input.kind != Kind.STRING || input.slot != Slot.VALUE || !isUnavailable(input.value)) continue;
    store<i32>(recordInput + (index << 2), i);
    return Bad.UNAVAILABLE;
  }
  return Bad.NONE;
}

// --- a record that says what the row of its key is now

/** The last row of each key is kept, and a batch may take back as many rows as it has records: what those take is bounded. */
export const UPSERT_MAX_BYTES: usize = 64 << 10;

/** Is the row gone? Then its record has a row in the frame all the same, with the key alone, until it is known what it was. */
let isGone: bool = false;
/** Where the row stands; 0 where nothing is said of it. */
let upsertStart: usize = 0;
let upsertEnd: usize = 0;

function commitUpsert(type: EventType, index: usize, size: usize): i32 {
  store<i32>(recordBefore + (index << 2), -1);
  const bad = size > UPSERT_MAX_BYTES ? Bad.ROW_TOO_LONG : judgeUpsert(type, index);
  store<i32>(recordBad + (index << 2), bad);
  if (bad == Bad.NONE && upsertStart != 0) {
    store<i32>(recordRow + (index << 2), type.rows++);
    store<usize>(recordText + (index << 2), upsertStart);
    store<usize>(recordTextLength + (index << 2), isGone ? 0 : upsertEnd - upsertStart);
  }
  // For each of them there may be one more.
  isFrameFull = isFrameFull || type.rows * 2 + 2 > BATCH_ROWS;
  return bad;
}

function judgeUpsert(type: EventType, index: usize): i32 {
  isGone = false;
  if (type.form == Form.ENVELOPES) return judgeEnvelope(type, index);
  if (!projectData(type)) return Bad.DATA_NOT_OBJECT;
  upsertStart = projectedStart;
  upsertEnd = cursor;
  const word: i32 = type.opInput < 0 ? Said.THERE : wordOf(inputAt(type, type.opInput), type.form);
  if (word == Said.NOTHING) {
    upsertStart = 0;
    return Bad.NONE;
  }
  isGone = word == Said.GONE;
  if (isGone) return fillKey(type, index);
  return fillRow(type, index, word == Said.UNKNOWN ? 0 : 1);
}

/** What an input says of its row. */
enum Said {
  /** It is what the record says. */
  THERE,
  GONE,
  /** Nothing that was not known. */
  NOTHING,
  UNKNOWN,
}

/** A faulty input is none of the words: the row is judged, and the input in it. */
function wordOf(input: Input, form: i32): i32 {
  if (faultOf(input) != Bad.NONE) return Said.UNKNOWN;
  if (isNullSlot(input) != 0) return Said.THERE;
  const cell = cellOf(input);
  if (input.kind == Kind.BOOL) return cell != 0 ? Said.GONE : Said.THERE;
  const at = <usize><u32>cell;
  const length = <usize>(cell >> 32);
  if (form == Form.OPS) {
    const weight = weightOf(at, length);
    if (weight >= 0) return weight == 0 ? Said.UNKNOWN : Said.THERE;
    return load<u16>(at) == MINUS_D ? Said.GONE : Said.NOTHING;
  }
  if (length == 4 && load<u32>(at) == 0x65757274) return Said.GONE;
  return length == 5 && load<u32>(at) == 0x736c6166 && load<u8>(at, 4) == 0x65 ? Said.THERE : Said.UNKNOWN;
}

function judgeEnvelope(type: EventType, index: usize): i32 {
  beginInputs(type);
  upsertStart = 0;
  const object = isFlat || isBare ? objectStart : dataStart;
  if (object == 0 || load<u8>(object) == 0x6e) return Bad.NONE;
  if (load<u8>(object) != 0x7b) return Bad.DATA_NOT_OBJECT;
  if (!openEnvelope(object)) return Bad.NONE;
  const op = changeOp();
  if (op == Op.UNKNOWN) return Bad.UNKNOWN_OP;
  isGone = op == Op.TAKES;
  const start = isGone ? beforeStart : afterStart;
  if (!isRowAt(start)) return isGone ? Bad.NO_BEFORE : Bad.NO_AFTER;
  upsertStart = start;
  projectRow(type, start);
  upsertEnd = cursor;
  return isGone ? fillKey(type, index) : fillAvailable(type, index, 1);
}

/** Fills the frame's next row with the key alone, or says what is bad about that. */
function fillKey(type: EventType, index: usize): i32 {
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    const register = registerOf(type.frame, i);
    store<u64>(register.values + (<usize>type.rows << 3), 0);
    store<u8>(register.nulls + <usize>type.rows, 1);
    if (!isKeyInput(type, i)) continue;
    const bad = faultOf(input);
    if (bad != Bad.NONE) {
      store<i32>(recordInput + (index << 2), i);
      store<usize>(recordWithin + (index << 2), withinOf(input));
      return bad;
    }
    fillCell(input, register, <usize>type.rows);
  }
  fillTime(type, recordMicros);
  fillWeight(type, -1);
  return Bad.NONE;
}

function isKeyInput(type: EventType, input: i32): bool {
  for (let i = 0; i < type.keyCount; i++) if (load<i32>(type.keyColumns + (<usize>i << 3)) == input) return true;
  return false;
}

/**
 * Gives a record of the batch the row that it takes back: a frame's row of its own, or that of its key where the row is gone.
 * What was good once is not judged again: what an input finds no value in is null. `text` is a row as `recordText` has them,
 * and stands until the next batch is decoded.
 */
export function takeBack(index: usize, text: usize, length: usize): void {
  const type = typeAt(load<i32>(recordType + (index << 2)));
  const own = load<i32>(recordRow + (index << 2));
  const rows = type.rows;
  beginInputs(type);
  clearSlots(type);
  openText(text, text + length);
  widenSide(length);
  project(type, type.root, 0);
  recordMicros = load<i64>(recordTime + (index << 3));
  // Filling goes by the next row.
  if (load<u32>(recordTextLength + (index << 2)) == 0) type.rows = own;
  for (let i = 0; i < type.inputCount; i++) fillCell(inputAt(type, i), registerOf(type.frame, i), <usize>type.rows);
  fillTime(type, timeOfRow(type));
  fillWeight(type, -1);
  if (type.rows == own) {
    type.rows = rows;
    return;
  }
  store<i32>(recordBefore + (index << 2), rows);
  type.rows = rows + 1;
}

/** A record takes nothing back: where its row is gone, it has none. */
export function takeNothing(index: usize): void {
  if (load<u32>(recordTextLength + (index << 2)) == 0) store<i32>(recordRow + (index << 2), -1);
}

/** The next row's own time, where it has one. */
function timeOfRow(type: EventType): i64 {
  if (type.timeInput == 0) return recordMicros;
  const times = registerOf(type.frame, type.timeInput - 1);
  const row = <usize>type.rows;
  return load<u8>(times.nulls + row) != 0 ? recordMicros : load<i64>(times.values + (row << 3));
}

/** What is bad about the event's time, if anything; a bad one leaves the clock as it was. */
function moveClock(type: EventType, timeMicros: i64, arrivalMicros: i64): i32 {
  const isKnown = arrivalMicros != NO_ARRIVAL;
  if (isKnown && timeMicros - arrivalMicros > aheadMaxMicros) return Bad.TIME_AHEAD;
  if (clockIsWall) {
    type.clock = max(type.clock, arrivalMicros);
    return Bad.NONE;
  }
  const jumps = type.clock != CLOCK_NONE && timeMicros - type.clock > jumpMaxMicros;
  if (jumps && !jumpsAgree(type, timeMicros)) return Bad.TIME_JUMP;
  type.clock = max(type.clock, timeMicros);
  forgetJumps(type);
  return Bad.NONE;
}

/**
 * Records in a row that jump to three times no further apart than the clock may jump are no mistake: the type was quiet
 * for long. A time again tells nothing new, for it may be the same wrong record, sent twice.
 */
function jumpsAgree(type: EventType, timeMicros: i64): bool {
  const jump = type.jump;
  const lastJump = type.lastJump;
  if (timeMicros == jump || timeMicros == lastJump) return false;
  const first = min(min(jump, lastJump), timeMicros);
  const last = max(max(jump, lastJump), timeMicros);
  if (jump != CLOCK_NONE && last - first <= jumpMaxMicros) return true;
  type.jump = lastJump;
  type.lastJump = timeMicros;
  return false;
}

@inline
function forgetJumps(type: EventType): void {
  type.jump = CLOCK_NONE;
  type.lastJump = CLOCK_NONE;
}

/** Walks the object at the cursor, checking all of it, and fills the slots of the inputs below `node`. */
function project(shape: Shape, node: Node, depth: i32): bool {
  if (depth >= DEPTH_MAX) return fail(Problem.TOO_DEEP);
  moveTo(cursor + 1);
  skipSpace();
  if (peek() == 0x7d) {
    moveTo(cursor + 1);
    return true;
  }
  while (true) {
    skipSpace();
    if (!readString()) return false;
    const name = plainName();
    const child = childOf(node, name, plainLength);
    if (!take(0x3a)) return false;
    skipSpace();
    const isRead = child == 0 ? skipValue(depth + 1) : projectValue(shape, changetype<Node>(child), depth + 1);
    if (!isRead) return false;
    skipSpace();
    const byte = peek();
    if (byte != 0x7d && byte != 0x2c) return fail(Problem.NOT_JSON);
    moveTo(cursor + 1);
    if (byte == 0x7d) return true;
  }
}

function projectValue(shape: Shape, node: Node, depth: i32): bool {
  const start = cursor;
  if (node.child != 0) {
    // The last of equal names wins whole, so what an earlier one left below is forgotten.
    const byte = peek();
    markBelow(
      shape,
      changetype<Node>(node.child),
      byte == 0x7b ? Slot.MISSING : byte == 0x6e ? Slot.NULL : Slot.WRONG_TYPE,
    );
    if (byte == 0x7b && !project(shape, node, depth)) return false;
  }
  let index = node.input;
  if (cursor == start) {
    if (index == 0) return skipValue(depth);
    if (!readPlace(inputAt(shape, index - 1), depth)) return false;
    index = nextInput(shape, index);
  }
  const end = cursor;
  for (; index != 0; index = nextInput(shape, index)) readInput(inputAt(shape, index - 1), start, end);
  moveTo(end);
  return true;
}

function markBelow(shape: Shape, first: Node, slot: i32): void {
  for (let at = changetype<usize>(first); at != 0; ) {
    const node = changetype<Node>(at);
    for (let index = node.input; index != 0; index = nextInput(shape, index)) inputAt(shape, index - 1).slot = slot;
    if (node.child != 0) markBelow(shape, changetype<Node>(node.child), slot);
    at = node.sibling;
  }
}

/** Reads the value at the cursor into a slot, checking all of it. */
function readPlace(input: Input, depth: i32): bool {
  if (input.shape != 0) return readNested(input, depth);
  const start = cursor;
  if (!skipValue(depth)) return false;
  const end = cursor;
  readInput(input, start, end);
  moveTo(end);
  return true;
}

function readNested(input: Input, depth: i32): bool {
  const byte = peek();
  if (byte == 0x5b && input.kind == Kind.LIST) return readList(input, depth);
  if (byte == 0x7b && input.kind == Kind.STRUCT) return readStruct(input, depth);
  if (byte == 0x7b && input.kind == Kind.MAP) return readMap(input, depth);
  const start = cursor;
  if (!skipValue(depth)) return false;
  input.slot = byte == 0x6e || (converts && byte == 0x22 && isNullText(textOf(start))) ? Slot.NULL : Slot.WRONG_TYPE;
  return true;
}

/** Behind a faulty element no other is read, unless the type is lenient, but all are checked; so it is behind too many. */
function readList(input: Input, depth: i32): bool {
  if (depth >= DEPTH_MAX) return fail(Problem.TOO_DEEP);
  const element = inputAt(changetype<Shape>(input.shape), 0);
  const start = listStart();
  let fault: usize = 0;
  moveTo(cursor + 1);
  skipSpace();
  if (peek() == 0x5d) {
    moveTo(cursor + 1);
    return endSlot(input, endList(start), 0);
  }
  for (let index = 0; ; index++) {
    skipSpace();
    const isPassed = isLenient ? isOverfull() : fault != 0;
    if (isPassed ? !skipValue(depth + 1) : !readPlace(element, depth + 1)) return false;
    if (!isPassed) {
      if (isTooMany(1)) element.slot = Slot.TOO_LARGE;
      if (fault == 0) fault = faultIn(element, index);
      if (fault == 0 || isLenient) addElement(cellOf(element), isNullSlot(element));
    }
    skipSpace();
    const byte = peek();
    if (byte != 0x5d && byte != 0x2c) return fail(Problem.NOT_JSON);
    moveTo(cursor + 1);
    if (byte == 0x5d) break;
  }
  if (fault == 0 || isLenient) return endSlot(input, endList(start), fault);
  dropList(start);
  return endSlot(input, 0, fault);
}

/** Of equal keys the last one counts, so that which value is faulty shows only at the end. */
function readMap(input: Input, depth: i32): bool {
  if (depth >= DEPTH_MAX) return fail(Problem.TOO_DEEP);
  const place = inputAt(changetype<Shape>(input.shape), 0);
  const start = listStart();
  moveTo(cursor + 1);
  skipSpace();
  if (peek() == 0x7d) {
    moveTo(cursor + 1);
    return endSlot(input, endMap(start), 0);
  }
  for (let number = 0; ; number++) {
    skipSpace();
    const keyStart = cursor;
    if (!readString()) return false;
    const isPassed = isOverfull();
    const key: u64 = isPassed ? 0 : textOf(keyStart);
    if (!take(0x3a)) return false;
    skipSpace();
    if (isPassed ? !skipValue(depth + 1) : !readPlace(place, depth + 1)) return false;
    if (!isPassed) {
      if (isTooMany(1)) place.slot = Slot.TOO_LARGE;
      addEntry(key, cellOf(place), isNullSlot(place), wrongOf(place), innerOf(place), number);
    }
    skipSpace();
    const byte = peek();
    if (byte != 0x7d && byte != 0x2c) return fail(Problem.NOT_JSON);
    moveTo(cursor + 1);
    if (byte == 0x7d) break;
  }
  const map = endMap(start);
  return endSlot(input, map, mapFault);
}

/** Fields are judged when all are read, for the last of equal names wins: the first faulty one of the type's order is named. */
function readStruct(input: Input, depth: i32): bool {
  const fields = changetype<Shape>(input.shape);
  const count = fields.inputCount;
  clearSlots(fields);
  if (!project(fields, fields.root, depth)) return false;
  let fault: usize = 0;
  for (let i = 0; fault == 0 && i < count; i++) fault = faultIn(inputAt(fields, i), i);
  if (fault != 0 && !isLenient) return endSlot(input, 0, fault);
  if (isTooMany(count)) {
    input.slot = Slot.TOO_LARGE;
    return true;
  }
  const block = makeBlock(count);
  for (let i = 0; i < count; i++) {
    const field = inputAt(fields, i);
    store<u64>(cellAt(block, i), cellOf(field));
    store<u8>(nullAt(block, count, i), isNullSlot(field));
  }
  return endSlot(input, nestedCell(block, count), fault);
}

@inline
function endSlot(input: Input, cell: u64, fault: usize): bool {
  input.slot = fault == 0 ? Slot.VALUE : isLenient ? Slot.FLAWED : Slot.BAD_WITHIN;
  input.value = fault == 0 || isLenient ? cell : <u64>fault;
  input.flaw = fault;
  return true;
}

/** What is bad in an element or a field, by its number, or 0. */
@inline
function faultIn(input: Input, index: i32): usize {
  const bad = wrongOf(input);
  return bad == 0 ? 0 : makeFault(bad, index, innerOf(input), 0);
}

/** What is wrong with a slot: a Bad, or a Wrong of a lenient type. */
@inline
function wrongOf(input: Input): i32 {
  return isLenient ? flawOf(input) : faultOf(input);
}

/** Where in the slot: a fault, or 0 where it is the slot itself. */
@inline
function innerOf(input: Input): usize {
  return input.slot == Slot.FLAWED ? input.flaw : withinOf(input);
}

/** One checked JSON value into an input's slot. */
function readInput(input: Input, start: usize, end: usize): void {
  if (input.shape != 0) {
    // How deep it stands does not matter any more.
    moveTo(start);
    readNested(input, 0);
    return;
  }
  const byte = load<u8>(start);
  if (byte == 0x6e) {
    input.slot = Slot.NULL;
    return;
  }
  readScalar(input, byte, start, end);
  if (converts && (input.slot != Slot.VALUE || input.kind == Kind.STRING)) convert(input, byte, start, end);
}

function readScalar(input: Input, byte: u8, start: usize, end: usize): void {
  input.slot = Slot.WRONG_TYPE;
  switch (input.kind) {
    case Kind.BOOL:
      if (byte != 0x74 && byte != 0x66) return;
      input.value = byte == 0x74 ? 1 : 0;
      break;
    case Kind.INT64:
      if (!isNumber(byte)) return;
      if (!readInt(start, end)) {
        input.slot = Slot.OUT_OF_RANGE;
        return;
      }
      input.value = <u64>integer;
      break;
    case Kind.DOUBLE:
      if (!isNumber(byte)) return;
      input.value = reinterpret<u64>(readDouble(start, end));
      break;
    case Kind.TIME:
      if (byte != 0x22 && !isNumber(byte)) return;
      if (!readTimeValue(start, end)) return;
      input.value = <u64>integer;
      break;
    default: {
      // STRING
      if (byte != 0x22) return;
      input.value = textOf(start);
    }
  }
  input.slot = Slot.VALUE;
}

/** Makes what can be made of a value that is of another type; a text `null` is null. */
function convert(input: Input, byte: u8, start: usize, end: usize): void {
  if (byte == 0x22) {
    const text = textOf(start);
    if (isNullText(text)) input.slot = Slot.NULL;
    else if (input.kind != Kind.STRING) convertText(input, <usize><u32>text, <usize><u32>text + <usize>(text >> 32));
    return;
  }
  if (byte == 0x5b || byte == 0x7b) return;
  if (input.kind == Kind.STRING) {
    // As it was written.
    putConverted(input, <u64>start | (<u64>(end - start) << 32));
  } else if (input.slot == Slot.OUT_OF_RANGE && cutInt(start, end)) {
    input.value = <u64>integer;
    input.slot = Slot.LOSSY;
  }
}

@inline
function putConverted(input: Input, value: u64): void {
  input.value = value;
  input.slot = Slot.VALUE;
}

@inline
function isNullText(text: u64): bool {
  return text >> 32 == 4 && load<u32>(<usize><u32>text) == 0x6c6c756e;
}

function convertText(input: Input, start: usize, end: usize): void {
  if (input.kind == Kind.BOOL) {
    const isTrue = end - start == 4 && load<u32>(start) == 0x65757274;
    const isFalse = end - start == 5 && load<u32>(start) == 0x736c6166 && load<u8>(start, 4) == 0x65;
    if (isTrue || isFalse) putConverted(input, isTrue ? 1 : 0);
  } else if (input.kind == Kind.TIME && end - start == 10 && readDate(start)) {
    putConverted(input, <u64>integer);
  } else if (isNumberText(start, end)) {
    if (input.kind == Kind.DOUBLE) putConverted(input, reinterpret<u64>(readDouble(start, end)));
    else if (input.kind == Kind.TIME) {
      if (readEpochMs(start, end)) putConverted(input, <u64>integer);
    } else if (readInt(start, end)) putConverted(input, <u64>integer);
    else if (cutInt(start, end)) {
      input.value = <u64>integer;
      input.slot = Slot.LOSSY;
    }
  }
}

/** A checked string's place and whether it has escapes; mostly it is the one that was read last. */
@inline
function rereadString(start: usize): void {
  if (stringStart == start + 1) return;
  moveTo(start);
  readString();
}

let lastTextStart: usize = 0;
let lastText: u64 = 0;

/** A checked JSON string as a column holds it. Several inputs on one path share what was unescaped. */
function textOf(start: usize): u64 {
  if (start == lastTextStart) return lastText;
  rereadString(start);
  let text = stringStart;
  let length = stringEnd - stringStart;
  if (stringEscaped) {
    text = textRoom(length);
    length = unescape(stringStart, stringEnd, text);
    keepText(length);
  }
  lastTextStart = start;
  lastText = <u64>text | (<u64>length << 32);
  return lastText;
}

/**
 * Enters the line at `start` that guess.ts has read by its form, its plain values already in the next row. False, with
 * nothing changed, where the long way must say what is bad.
 */
export function commitGuess(start: usize): bool {
  if (guessedEnd - start > LINE_MAX_BYTES) return false;
  recordMicros = guessedMicros;
  if (guessedType < 0) {
    noteFormLine();
    noteRecord(start, guessedEnd, -1);
    return true;
  }
  const type = typeAt(guessedType);
  if ((laterCount != 0 || guessedCount != type.inputCount) && !completeRow(type, start)) return false;
  if (type.changelog == Changelog.OPS && fillChange(type, opWeight(type)) != Bad.NONE) return false;
  noteFormLine();
  const index = noteRecord(start, guessedEnd, guessedType);
  if (type.timeInput == 0) fillTime(type, recordMicros);
  store<i32>(recordRow + (index << 2), type.rows++);
  return true;
}

@inline
export function noteFormLine(): void {
  lineCount++;
  formLineCount++;
}

/** Reads what was left for later, and fills in what is missing. False where an input is at fault, and the event bad for it. */
function completeRow(type: EventType, start: usize): bool {
  openText(start, guessedEnd);
  beginInputs(type);
  for (let i = 0; i < laterCount; i++) {
    const span = later + <usize>i * 12;
    const node = changetype<Node>(load<usize>(span));
    for (let index = node.input; index != 0; index = nextInput(type, index)) {
      const input = inputAt(type, index - 1);
      input.mark = serial;
      readInput(input, load<usize>(span, 4), load<usize>(span, 8));
      if (!fillInput(type, index - 1)) return false;
    }
  }
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    if (input.mark == serial) continue;
    input.slot = Slot.MISSING;
    if (!fillInput(type, i)) return false;
  }
  // What was filled before there were too many is lost too.
  if (isLenient && isOverfull()) fillLenient(type);
  return true;
}

function fillInput(type: EventType, index: i32): bool {
  const input = inputAt(type, index);
  if (isLenient) fillFlaw(type, index, input);
  else if (faultOf(input) != Bad.NONE) return false;
  fillCell(input, registerOf(type.frame, index), <usize>type.rows);
  return true;
}

/** Says what is wrong with an input of the next row, if anything is. */
function fillFlaw(type: EventType, index: i32, input: Input): void {
  const wrong = flawOf(input);
  if (wrong == Wrong.NONE) return;
  const flaws = flawRegister(type, index);
  const row = <usize>type.rows;
  store<u64>(flaws.values + (row << 3), faultText(input, wrong, innerOf(input)));
  store<u8>(flaws.nulls + row, 0);
  type.isFlawed = true;
}

/** Writes the slots of a lenient type into the frame's next row. */
function fillLenient(type: EventType): void {
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    if (input.shape != 0 && hasValue(input) && isOverfull()) input.slot = Slot.TOO_LARGE;
    fillInput(type, i);
  }
}

/**
 * Writes the slots into the frame's next row, with defaults where values are missing; or names the first fault. `weight` is
 * that of a row in an envelope, and else of no meaning.
 */
function fillRow(type: EventType, index: usize, weight: i64): i32 {
  if (isLenient) fillLenient(type);
  else {
    const bad = fillInputs(type, index);
    if (bad != Bad.NONE) return bad;
  }
  if (type.timeInput == 0) fillTime(type, recordMicros);
  if (type.changelog == Changelog.NONE) return Bad.NONE;
  const bad = fillChange(type, type.changelog == Changelog.OPS ? opWeight(type) : weight);
  if (bad != Bad.NONE) store<i32>(recordInput + (index << 2), bad == Bad.ROW_AHEAD ? type.timeInput - 1 : type.opInput);
  return bad;
}

function fillInputs(type: EventType, index: usize): i32 {
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    const bad = faultOf(input);
    if (bad != Bad.NONE) {
      store<i32>(recordInput + (index << 2), i);
      store<usize>(recordWithin + (index << 2), withinOf(input));
      return bad;
    }
    fillCell(input, registerOf(type.frame, i), <usize>type.rows);
  }
  return Bad.NONE;
}

/** Fills the weight of the frame's next row (0 for none), and its time where that is one of its inputs; or says what is bad. */
function fillChange(type: EventType, weight: i64): i32 {
  if (weight == 0) return Bad.UNKNOWN_OP;
  const row = <usize>type.rows;
  fillWeight(type, weight);
  if (type.timeInput == 0) return Bad.NONE;
  const times = registerOf(type.frame, type.timeInput - 1);
  const timeMicros = load<i64>(times.values + (row << 3));
  if (timeMicros - recordMicros > aheadMaxMicros) return Bad.ROW_AHEAD;
  fillTime(type, timeMicros);
  return Bad.NONE;
}

@inline
function fillWeight(type: EventType, weight: i64): void {
  const weights = registerOf(type.frame, timeRegister(type) + 1);
  store<i64>(weights.values + (<usize>type.rows << 3), weight);
  store<u8>(weights.nulls + <usize>type.rows, 0);
}

/** What the next row's +I, +U, -U or -D weighs; 0 for any other text. */
function opWeight(type: EventType): i64 {
  const op = load<u64>(registerOf(type.frame, type.opInput).values + (<usize>type.rows << 3));
  return weightOf(<usize><u32>op, <usize>(op >> 32));
}

function weightOf(at: usize, length: usize): i64 {
  if (length != 2) return 0;
  const word = load<u16>(at);
  if (word == PLUS_I || word == PLUS_U) return 1;
  return word == MINUS_U || word == MINUS_D ? -1 : 0;
}

const PLUS_I: u16 = 0x492b;
const PLUS_U: u16 = 0x552b;
const MINUS_U: u16 = 0x552d;
const MINUS_D: u16 = 0x442d;

/** The cell of a slot that leaves its event good. */
function fillCell(input: Input, register: Register, row: usize): void {
  store<u64>(register.values + (row << 3), cellOf(input));
  store<u8>(register.nulls + row, isNullSlot(input));
}

@inline
function fillTime(type: EventType, timeMicros: i64): void {
  const row = <usize>type.rows;
  const time = registerOf(type.frame, timeRegister(type));
  store<i64>(time.values + (row << 3), timeMicros);
  store<u8>(time.nulls + row, 0);
}

@inline
function hasValue(input: Input): bool {
  return input.slot >= Slot.VALUE;
}

/** What a column holds of a slot that leaves its event good: its value, its default, or nothing. */
@inline
function cellOf(input: Input): u64 {
  if (hasValue(input)) return input.value;
  return input.presence == Presence.DEFAULT ? input.fallback : 0;
}

@inline
function isNullSlot(input: Input): u8 {
  return <u8>(!hasValue(input) && input.presence != Presence.DEFAULT);
}

/** What is wrong with a slot of a lenient type. */
function flawOf(input: Input): i32 {
  switch (input.slot) {
    case Slot.MISSING:
      return input.presence == Presence.REQUIRED ? Wrong.MISSING : Wrong.NONE;
    case Slot.NULL:
      return input.presence == Presence.REQUIRED ? Wrong.NULL : Wrong.NONE;
    case Slot.TOO_LARGE:
      return Wrong.TOO_MANY;
    case Slot.VALUE:
      return Wrong.NONE;
    case Slot.LOSSY:
      return Wrong.LOSSY;
    case Slot.FLAWED:
      return badOf(input.flaw);
    default:
      return Wrong.TYPE;
  }
}

@inline
function faultOf(input: Input): i32 {
  if (input.slot == Slot.VALUE) return Bad.NONE;
  if (input.slot == Slot.WRONG_TYPE) return Bad.WRONG_TYPE;
  if (input.slot == Slot.OUT_OF_RANGE) return Bad.OUT_OF_RANGE;
  if (input.slot == Slot.TOO_LARGE) return Bad.TOO_LARGE;
  if (input.slot == Slot.BAD_WITHIN) return badOf(<usize>input.value);
  return input.presence == Presence.REQUIRED ? Bad.MISSING : Bad.NONE;
}

/** The fault within a faulty slot; 0 where the fault is the slot's own. */
@inline
function withinOf(input: Input): usize {
  return input.slot == Slot.BAD_WITHIN ? <usize>input.value : 0;
}
