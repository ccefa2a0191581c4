/**
 * Learns the form of a line that was read the long way and is a good event: the line is walked once more, and each
 * stretch between two of its values put behind the stop before it (form.ts), with what is to be done with the value
 * behind (guess.ts).
 *
 * Not every good line has a form. The long way stays the only one for lines
 *   - with escapes in names, or a member twice that may come only once;
 *   - with data before the type, which is not known then;
 *   - in the flat form where the type is not the first member, `_id` aside;
 *   - with inputs of the record's own members, or inputs both on and below a path.
 */
import { registerOf } from './frame';
import {
  Stop,
  STRETCH_MAX_BYTES,
  Stretch,
  UNDECLARED,
  addStretch,
  admitStart,
  decodeStart,
  forgetForms,
  hasRoom,
  isCrowded,
  stopIn,
  stopOfType,
  stretchAt,
} from './form';
import { Action, MEMBER_BITS, Member } from './guess';
import {
  cursor,
  moveTo,
  openText,
  peek,
  readString,
  skipSpace,
  skipValue,
  stringEnd,
  stringEscaped,
  stringStart,
  take,
} from './json';
import { EventType, Input, Kind, Leniency, Node, childOf, inputAt } from './event_type';
import { NAME_DATA, NAME_TIME, NAME_TYPE, isRecordName } from './record';

/** A lesson is paid for by so many lines, once the first ones are used up. */
const LESSON_LINES: i32 = 256;
const CREDIT_MAX: i32 = 256 * LESSON_LINES;
let credit: i32 = CREDIT_MAX;

/** Lines before all forms are forgotten because one place is crowded: those that are right are soon learnt again. */
const CROWDED_LINES: i32 = 1 << 17;
let crowdedLines: i32 = 0;

/** Notes that lines were read: they pay for lessons. */
export function earnLessons(lines: i32): void {
  credit = min(credit + lines, CREDIT_MAX);
  crowdedLines = isCrowded ? crowdedLines + lines : 0;
}

/** Values of a line that is learnt: one with more would take the room of all others. */
const VALUES_MAX: i32 = 256;
let valueCount: i32 = 0;

/** Bits of 64 that objects on the way to inputs can have. */
const BITS_MAX: i32 = 64 - MEMBER_BITS;

/** The stretch that is under way: where it begins, the stop that it is behind, and what it enters. */
let stretchStart: usize = 0;
let behind: Stop = changetype<Stop>(0);
let forbidden: u64 = 0;
let entered: u64 = 0;
let seen: u64 = 0;

/** The record: its type (0: not declared) and number, the stop that lines start from, where its own members stand now. */
let type: EventType = changetype<EventType>(0);
let typeNumber: i32 = 0;
let isFlat: bool = false;
let start: Stop = changetype<Stop>(0);
let record: Stop = changetype<Stop>(0);

/**
 * Learns the line [from, to), whose newline ends before `next`. `eventType` is 0 for a type that is not declared, and
 * for all where lines are only let in.
 */
export function learnLine(
  from: usize,
  to: usize,
  next: usize,
  eventType: usize,
  number: i32,
  flat: bool,
  isAdmission: bool,
): void {
  if (credit < LESSON_LINES) return;
  credit -= LESSON_LINES;
  if (!hasRoom() || crowdedLines > CROWDED_LINES) forgetForms();
  type = changetype<EventType>(eventType);
  typeNumber = eventType == 0 ? UNDECLARED : number;
  isFlat = flat;
  start = record = behind = isAdmission ? admitStart : decodeStart;
  stretchStart = from;
  forbidden = entered = seen = 0;
  valueCount = 0;
  openText(from, to);
  skipSpace();
  if (learnObject(start, 0, 0)) addEnd(to, next);
}

/** Walks the object at the cursor; its members are looked up at `node`, if not 0. False where the line has no form. */
function learnObject(inside: Stop, node: usize, depth: i32): bool {
  moveTo(cursor + 1);
  skipSpace();
  while (peek() != 0x7d) {
    readString();
    if (stringEscaped) return false;
    const name = stringStart;
    const nameLength = stringEnd - stringStart;
    take(0x3a);
    skipSpace();
    const isLearnt = depth == 0 ? learnOwn(name, nameLength) : learnMember(inside, node, name, nameLength, depth + 1);
    if (!isLearnt) return false;
    skipSpace();
    if (peek() == 0x2c) moveTo(cursor + 1);
    skipSpace();
  }
  moveTo(cursor + 1);
  return true;
}

/** A member of the record itself. */
function learnOwn(name: usize, nameLength: usize): bool {
  const isUnderscored = nameLength == 5 && load<u8>(name) == 0x5f;
  const isKnownBy = isFlat ? isUnderscored : nameLength == 4;
  const word = isKnownBy ? load<u32>(name + <usize>isFlat) : 0;
  const isEarly = record == start;
  if (word == NAME_TYPE) return learnType();
  if (isEarly && !isIdOf(name, nameLength)) entered |= Member.EARLY;
  if (word == NAME_TIME) return learnTime(name, nameLength, isEarly);
  if (isEarly) {
    if (word == NAME_DATA && !isFlat) entered |= Member.EARLY_DATA;
    return learnMember(record, 0, name, nameLength, 1);
  }
  if (typeNumber == UNDECLARED) return learnMember(record, 0, name, nameLength, 1);
  if (isFlat) return learnMember(record, changetype<usize>(type.root), name, nameLength, 1);
  if (word != NAME_DATA) return learnMember(record, 0, name, nameLength, 1);
  if (!enter(Member.DATA)) return false;
  return peek() == 0x7b && learnInside(record, type.root, name, nameLength, 1);
}

/** `_id`, that the flat form may have before its type. */
function isIdOf(name: usize, nameLength: usize): bool {
  return nameLength == 3 && load<u8>(name) == 0x5f && load<u16>(name, 1) == 0x6469;
}

/** The type's name is a part of the stretch. One that a later type takes the place of is not the record's. */
function learnType(): bool {
  if (!enter(Member.TYPE) || !readString() || stringEscaped || !isRecordName(stringStart, stringEnd)) return false;
  if (typeNumber != UNDECLARED) {
    if (isFlat && hasOwnInputs(type.root)) return false;
    forbidden |= Member.EARLY_DATA;
  }
  if (isFlat) forbidden |= Member.EARLY;
  const stop = stopOfType(start, typeNumber, isFlat);
  if (stop == 0) return false;
  record = changetype<Stop>(stop);
  return true;
}

/** Does an input read `_id`, `_type` or `_time`? */
function hasOwnInputs(root: Node): bool {
  const id = childOf(root, OWN_NAMES, 3);
  const type = childOf(root, OWN_NAMES + 3, 5);
  const time = childOf(root, OWN_NAMES + 8, 5);
  return (id | type | time) != 0;
}

/** `_id`, `_type` and `_time` one behind the other, with room to read eight bytes from each. */
const OWN_NAMES: usize = memory.data<u8>([
  0x5f, 0x69, 0x64, 0x5f, 0x74, 0x79, 0x70, 0x65, 0x5f, 0x74, 0x69, 0x6d, 0x65, 0, 0, 0,
]);

function learnTime(name: usize, nameLength: usize, isEarly: bool): bool {
  if ((isFlat && isEarly) || !enter(Member.TIME)) return false;
  const isText = peek() == 0x22;
  return addValue(record, name, nameLength, isText, isText ? Action.TIME : Action.EPOCH_MS, 1) != 0;
}

/** False where the line has been there before. */
function enter(bit: u64): bool {
  if ((seen & bit) != 0) return false;
  seen |= bit;
  entered |= bit;
  forbidden |= bit;
  return true;
}

function learnMember(inside: Stop, node: usize, name: usize, nameLength: usize, depth: i32): bool {
  const child: usize = node == 0 ? 0 : childOf(changetype<Node>(node), name, nameLength);
  if (child == 0) return learnUnwanted(inside, name, nameLength, depth);
  const path = changetype<Node>(child);
  if (path.child == 0) return learnInput(inside, path, name, nameLength, depth);
  if (path.input != 0) return false;
  const byte = peek();
  if (byte != 0x7b && byte != 0x6e) return false;
  return learnInside(inside, path, name, nameLength, depth);
}

/** An object on the way to inputs, or null in its place, which is a part of the stretch as an empty object is. */
function learnInside(inside: Stop, node: Node, name: usize, nameLength: usize, depth: i32): bool {
  const at = stopIn(inside, name, nameLength, false);
  if (at == 0) return false;
  const stop = changetype<Stop>(at);
  if (depth > 1 || isFlat) {
    if (stop.bit == 0) {
      if (record.bitCount == BITS_MAX) return false;
      stop.bit = <u64>1 << (MEMBER_BITS + record.bitCount++);
    }
    if (!enter(stop.bit)) return false;
  }
  return peek() == 0x7b ? learnObject(stop, changetype<usize>(node), depth) : skipValue(depth);
}

function learnUnwanted(inside: Stop, name: usize, nameLength: usize, depth: i32): bool {
  const byte = peek();
  if (byte == 0x7b) {
    const stop = stopIn(inside, name, nameLength, false);
    return stop != 0 && learnObject(changetype<Stop>(stop), 0, depth);
  }
  const isText = byte == 0x22;
  return addValue(inside, name, nameLength, isText, isText ? Action.SKIP_TEXT : Action.SKIP, depth) != 0;
}

function learnInput(inside: Stop, path: Node, name: usize, nameLength: usize, depth: i32): bool {
  const index = path.input - 1;
  const input = inputAt(type, index);
  const isOne = load<i32>(type.nextInput + (<usize>index << 2)) == 0;
  const action = isOne ? actionOf(input.kind, peek() == 0x22) : Action.LATER;
  const isText = action == Action.TEXT || action == Action.TEXT_OR_NULL || action == Action.MOMENT;
  const added = addValue(inside, name, nameLength, isText, action, depth);
  if (added == 0) return false;
  const stretch = changetype<Stretch>(added);
  const register = registerOf(type.frame, index);
  stretch.values = register.values;
  stretch.nulls = register.nulls;
  stretch.mark = changetype<usize>(input) + offsetof<Input>('mark');
  stretch.rows = changetype<usize>(type) + offsetof<EventType>('rows');
  stretch.node = changetype<usize>(path);
  return true;
}

function actionOf(kind: i32, isText: bool): i32 {
  switch (kind) {
    case Kind.INT64:
      return Action.INT;
    case Kind.DOUBLE:
      return Action.DOUBLE;
    case Kind.BOOL:
      return Action.BOOL;
    case Kind.STRING:
      if (!isText) return Action.LATER;
      return type.leniency == Leniency.CONVERT ? Action.TEXT_OR_NULL : Action.TEXT;
    case Kind.TIME:
      return isText ? Action.MOMENT : Action.LATER;
    default:
      return Action.LATER;
  }
}

/** Ends the stretch at the cursor's value, passes over that, and begins the next. Returns the stretch; 0 without room. */
function addValue(inside: Stop, name: usize, nameLength: usize, isText: bool, action: i32, depth: i32): usize {
  if (++valueCount > VALUES_MAX) return 0;
  const target = stopIn(inside, name, nameLength, isText);
  if (target == 0) return 0;
  const added = endStretch(cursor + <usize>isText, action, target);
  if (added == 0) return 0;
  changetype<Stretch>(added).depth = depth;
  skipValue(depth);
  stretchStart = cursor - <usize>isText;
  behind = changetype<Stop>(target);
  return added;
}

/** The stretch from where it began to `to`: the one that is there already, if it means the same, or a new one. */
function endStretch(to: usize, action: i32, target: usize): usize {
  const length = to - stretchStart;
  if (length > STRETCH_MAX_BYTES) return 0;
  let at = stretchAt(behind, stretchStart, length);
  if (at == 0) {
    at = addStretch(behind, stretchStart, length);
    if (at == 0) return 0;
    const stretch = changetype<Stretch>(at);
    stretch.action = action;
    stretch.target = target;
    stretch.forbidden = forbidden;
    stretch.entered = entered;
  }
  const stretch = changetype<Stretch>(at);
  forbidden = entered = 0;
  return stretch.action == action && stretch.target == target ? at : 0;
}

/** The last stretch goes on over the newline. */
function addEnd(to: usize, next: usize): void {
  if (record == start) return;
  const at = endStretch(next, Action.END, changetype<usize>(start));
  if (at == 0) return;
  const stretch = changetype<Stretch>(at);
  stretch.type = typeNumber;
  stretch.tail = next - to;
}
