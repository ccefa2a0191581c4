/**
 * What is read of events, as the plan has it: types, the places that their values are read into, and the paths to those.
 */
import { BATCH_ROWS, Frame, makeFrame, registerOf } from './frame';
import { forgetForms } from './form';
import { makeBehind } from './late';
import { allocateZeroed, headOf } from './memory';
import { Register } from './register';

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

export const CLOCK_NONE: i64 = i64.MIN_VALUE;

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

const TYPES_MAX: i32 = 4096;
const types: usize = memory.data(4096 * sizeof<usize>(), 8);
export let typeCount = 0;

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
export function nextInput(shape: Shape, input: i32): i32 {
  return load<i32>(shape.nextInput + (<usize>(input - 1) << 2));
}

/** The time register comes right after the inputs, and in a changelog the weight's behind it. */
@inline
export function timeRegister(type: EventType): i32 {
  return type.inputCount;
}

/** The register that says what is wrong with an input. */
@inline
export function flawRegister(type: EventType, input: i32): Register {
  return registerOf(type.frame, timeRegister(type) + 1 + input);
}

/** Begins a batch: no type has rows yet, and nothing is said of inputs. */
export function clearTypes(): void {
  for (let i = 0; i < typeCount; i++) {
    typeAt(i).rows = 0;
    if (typeAt(i).isFlawed) clearFlaws(typeAt(i));
  }
}

function clearFlaws(type: EventType): void {
  for (let i = 0; i < type.inputCount; i++) memory.fill(flawRegister(type, i).nulls, 1, <usize>BATCH_ROWS);
  type.isFlawed = false;
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

/** The type's records are in agreement with its clock again. */
@inline
export function forgetJumps(type: EventType): void {
  type.jump = CLOCK_NONE;
  type.lastJump = CLOCK_NONE;
}

/** May a record take back a row besides adding its own? Then no line of the type has a form. */
@inline
export function hasBefore(type: EventType): bool {
  return type.changelog >= Changelog.ENVELOPES;
}

/** Makes the type lenient. Its frame has a register for each input behind that of the time. */
export function setLeniency(type: i32, leniency: i32): void {
  const lenient = typeAt(type);
  assert(lenient.changelog == Changelog.NONE && leniency != Leniency.NONE);
  lenient.leniency = leniency;
  clearFlaws(lenient);
  forgetForms();
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

export function typeFrame(type: i32): Frame {
  return typeAt(type).frame;
}

export function typeRows(type: i32): i32 {
  return typeAt(type).rows;
}

export function typeBehind(type: i32): usize {
  return typeAt(type).behind;
}
