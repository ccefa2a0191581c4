/**
 * Walks an object along the trie of input paths, checking all of it, and reads what is wanted of it into slots. Lists, maps and
 * structs are read into blocks (nested_input.ts).
 */
import { readDouble } from './decimal';
import { EventType, Input, Kind, Leniency, Node, Shape, childOf, inputAt, nextInput } from './event_type';
import {
  DEPTH_MAX,
  Problem,
  cursor,
  cutInt,
  fail,
  integer,
  isNumberText,
  moveTo,
  peek,
  readDate,
  readEpochMs,
  readInt,
  readString,
  skipSpace,
  skipValue,
  take,
} from './json';
import { cellAt, nestedCell, nullAt } from './nested';
import {
  addElement,
  addEntry,
  beginEvent,
  dropList,
  endList,
  endMap,
  isOverfull,
  isTooMany,
  listStart,
  makeBlock,
  makeFault,
  mapFault,
} from './nested_input';
import { Slot, cellOf, faultOf, flawOf, isNullSlot, withinOf } from './slot';
import { isNullText, isNumber, plainLength, plainName, readTimeValue, textOf } from './value';

/** Does a faulty input of the event at hand leave it good? And is something to be made of it? */
export let isLenient = false;
let converts = false;

@inline
export function beginInputs(type: EventType): void {
  beginEvent();
  isLenient = type.leniency != Leniency.NONE;
  converts = type.leniency == Leniency.CONVERT;
}

export function clearSlots(shape: Shape): void {
  for (let i = 0; i < shape.inputCount; i++) inputAt(shape, i).slot = Slot.MISSING;
}

/** Walks the object at the cursor, checking all of it, and fills the slots of the inputs below `node`. */
export function project(shape: Shape, node: Node, depth: i32): bool {
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
export function innerOf(input: Input): usize {
  return input.slot == Slot.FLAWED ? input.flaw : withinOf(input);
}

/** One checked JSON value into an input's slot. */
export function readInput(input: Input, start: usize, end: usize): void {
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
