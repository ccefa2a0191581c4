/**
 * A frame is a set of registers, a register is a column of at most BATCH_ROWS slots.
 *
 *   register   values   8 bytes a row: i64 (int64, time in microseconds, bool as 0 or 1), f64, or a string as
 *                       (address u32, length u32), or a list or a struct as nested.ts has it
 *              nulls    1 byte a row: 1 where the value is null
 *              statuses 1 byte a row: what is to be said of the value; the graver, the greater (Status in register.ts)
 */
import { Arena } from './arena';
import { allocateZeroed } from './memory';
import { Register } from './register';

/** Rows of a batch: its columns of 8 bytes are 32 KiB, so a few of them stay in a core's cache. */
export const BATCH_ROWS: i32 = 4096;

@unmanaged
export class Frame {
  rows: i32;
  registerCount: i32;
  registers: usize;
  /** Texts that its program makes. */
  arena: Arena;
}

/** `rows` is at most BATCH_ROWS. */
export function makeFrame(registerCount: i32, rows: i32): Frame {
  assert(rows <= BATCH_ROWS);
  const frame = changetype<Frame>(allocateZeroed(offsetof<Frame>()));
  frame.rows = rows;
  frame.registerCount = registerCount;
  frame.arena = Arena.make();
  frame.registers = allocateZeroed(<usize>registerCount * offsetof<Register>() + 1);
  for (let i = 0; i < registerCount; i++) {
    const register = registerOf(frame, i);
    register.values = allocateZeroed(<usize>rows << 3);
    register.nulls = allocateZeroed(<usize>rows);
    register.statuses = allocateZeroed(<usize>rows);
  }
  return frame;
}

@inline
export function registerOf(frame: Frame, index: i32): Register {
  assert(<u32>index < <u32>frame.registerCount);
  return changetype<Register>(frame.registers + <usize>index * offsetof<Register>());
}

export function frameValues(frame: Frame, index: i32): usize {
  return registerOf(frame, index).values;
}

export function frameNulls(frame: Frame, index: i32): usize {
  return registerOf(frame, index).nulls;
}

export function frameStatuses(frame: Frame, index: i32): usize {
  return registerOf(frame, index).statuses;
}

/** Fills a register with one value for every row; the 8 bytes stand at `value`. */
export function fillRegister(frame: Frame, index: i32, value: usize, isNull: bool): void {
  const register = registerOf(frame, index);
  const word = load<u64>(value);
  for (let row: usize = 0; row < <usize>frame.rows; row++) store<u64>(register.values + (row << 3), word);
  memory.fill(register.nulls, isNull ? 1 : 0, <usize>frame.rows);
}
