/** Slots -> the next row of the type's frame, or the first fault among them. */
import { recordInput, recordWithin } from './batch';
import { aheadMaxMicros } from './clock';
import { Bad, Changelog, EventType, Input, flawRegister, inputAt, timeRegister } from './event_type';
import { registerOf } from './frame';
import { Wrong, faultText } from './fault';
import { isOverfull } from './nested_input';
import { innerOf, isLenient } from './project';
import { recordMicros } from './record';
import { Slot, faultOf, fillCell, flawOf, hasValue, withinOf } from './slot';

/**
 * Writes the slots into the frame's next row, with defaults where values are missing; or names the first fault. `weight` is
 * that of a row in an envelope, and else of no meaning.
 */
export function fillRow(type: EventType, index: usize, weight: i64): i32 {
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

/** Writes the slots of a lenient type into the frame's next row. */
export function fillLenient(type: EventType): void {
  for (let i = 0; i < type.inputCount; i++) {
    const input = inputAt(type, i);
    if (input.shape != 0 && hasValue(input) && isOverfull()) input.slot = Slot.TOO_LARGE;
    fillInput(type, i);
  }
}

export function fillInput(type: EventType, index: i32): bool {
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

/** Fills the weight of the frame's next row (0 for none), and its time where that is one of its inputs; or says what is bad. */
export function fillChange(type: EventType, weight: i64): i32 {
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
export function fillWeight(type: EventType, weight: i64): void {
  const weights = registerOf(type.frame, timeRegister(type) + 1);
  store<i64>(weights.values + (<usize>type.rows << 3), weight);
  store<u8>(weights.nulls + <usize>type.rows, 0);
}

@inline
export function fillTime(type: EventType, timeMicros: i64): void {
  const row = <usize>type.rows;
  const time = registerOf(type.frame, timeRegister(type));
  store<i64>(time.values + (row << 3), timeMicros);
  store<u8>(time.nulls + row, 0);
}

/** What the next row's +I, +U, -U or -D weighs; 0 for any other text. */
export function opWeight(type: EventType): i64 {
  const op = load<u64>(registerOf(type.frame, type.opInput).values + (<usize>type.rows << 3));
  return weightOf(<usize><u32>op, <usize>(op >> 32));
}

export function weightOf(at: usize, length: usize): i64 {
  if (length != 2) return 0;
  const word = load<u16>(at);
  if (word == PLUS_I || word == PLUS_U) return 1;
  return word == MINUS_U || word == MINUS_D ? -1 : 0;
}

const PLUS_I: u16 = 0x492b;
const PLUS_U: u16 = 0x552b;
const MINUS_U: u16 = 0x552d;
export const MINUS_D: u16 = 0x442d;
