/** What has been found for an input: its value, its default, nothing, or what is wrong with it. */
import { Bad, Input, Presence } from './event_type';
import { Wrong } from './fault';
import { badOf } from './nested_input';
import { Register } from './register';

/** What projection found for an input. From VALUE on there is one. */
export enum Slot {
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

@inline
export function hasValue(input: Input): bool {
  return input.slot >= Slot.VALUE;
}

/** What a column holds of a slot that leaves its event good: its value, its default, or nothing. */
@inline
export function cellOf(input: Input): u64 {
  if (hasValue(input)) return input.value;
  return input.presence == Presence.DEFAULT ? input.fallback : 0;
}

@inline
export function isNullSlot(input: Input): u8 {
  return <u8>(!hasValue(input) && input.presence != Presence.DEFAULT);
}

/** The cell of a slot that leaves its event good. */
export function fillCell(input: Input, register: Register, row: usize): void {
  store<u64>(register.values + (row << 3), cellOf(input));
  store<u8>(register.nulls + row, isNullSlot(input));
}

@inline
export function faultOf(input: Input): i32 {
  if (input.slot == Slot.VALUE) return Bad.NONE;
  if (input.slot == Slot.WRONG_TYPE) return Bad.WRONG_TYPE;
  if (input.slot == Slot.OUT_OF_RANGE) return Bad.OUT_OF_RANGE;
  if (input.slot == Slot.TOO_LARGE) return Bad.TOO_LARGE;
  if (input.slot == Slot.BAD_WITHIN) return badOf(<usize>input.value);
  return input.presence == Presence.REQUIRED ? Bad.MISSING : Bad.NONE;
}

/** The fault within a faulty slot; 0 where the fault is the slot's own. */
@inline
export function withinOf(input: Input): usize {
  return input.slot == Slot.BAD_WITHIN ? <usize>input.value : 0;
}

/** What is wrong with a slot of a lenient type. */
export function flawOf(input: Input): i32 {
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
