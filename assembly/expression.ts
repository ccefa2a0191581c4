/**
 * Expressions over columns, batch by batch: an instruction reads whole registers of a frame (frame.ts) and writes one. There are no
 * branches inside a program: `case` has become a chain of SELECTs, and nothing has side effects.
 */
import { useArena } from './arena';
import { runBucket } from './bucket';
import { runCalendar } from './calendar';
import { isCostly, runDistinct } from './distinct';
import { Frame, registerOf } from './frame';
import { choiceLanes, comparisonLanes, doubleLanes, intLanes, logicLanes } from './lanes';
import { runList, runSeries } from './list';
import { allocate, allocateZeroed } from './memory';
import { runExtreme, runRounding, runWhole } from './number';
import { Op } from './op';
import { runRegex } from './regex';
import { Register, Status } from './register';
import { runSpelling } from './spell';
import { compareStrings, runText } from './text';
import { runTimeFormat } from './time_format';

/** op, target, a, b, c, and what distinct.ts notes: six i32. */
const INSTRUCTION_SIZE: usize = 24;

@unmanaged
export class Program {
  count: i32;
  instructions: usize;
}

export function makeProgram(count: i32): Program {
  const program = changetype<Program>(allocateZeroed(offsetof<Program>()));
  program.count = count;
  program.instructions = allocate(<usize>count * INSTRUCTION_SIZE + 1);
  return program;
}

export function setInstruction(program: Program, index: i32, op: i32, target: i32, a: i32, b: i32, c: i32): void {
  assert(<u32>index < <u32>program.count);
  const at = program.instructions + <usize>index * INSTRUCTION_SIZE;
  store<i32>(at, op);
  store<i32>(at, target, 4);
  store<i32>(at, a, 8);
  store<i32>(at, b, 12);
  store<i32>(at, c, 16);
  store<i32>(at, 0, 20);
}

/**
 * Runs a program over rows [from, to). Texts that it makes stand until it is run from row 0 again: a new batch, then.
 */
export function runProgram(program: Program, frame: Frame, from: i32, to: i32): void {
  assert(from >= 0 && from <= to && to <= frame.rows);
  useArena(frame.arena, from == 0);
  runInstructions(program, frame, from, to);
}

/** Runs a program over one row. Texts that it makes stand until one is run over the whole batch. */
export function runRow(program: Program, frame: Frame, row: i32): void {
  assert(row >= 0 && row < frame.rows);
  useArena(frame.arena, false);
  runInstructions(program, frame, row, row + 1);
}

function runInstructions(program: Program, frame: Frame, from: i32, to: i32): void {
  for (let i = 0; i < program.count; i++) {
    const at = program.instructions + <usize>i * INSTRUCTION_SIZE;
    const target = registerOf(frame, load<i32>(at, 4));
    const a = registerOf(frame, load<i32>(at, 8));
    const b = registerOf(frame, load<i32>(at, 12));
    const c = registerOf(frame, load<i32>(at, 16));
    const op = load<i32>(at);
    if (isCostly(op)) runDistinct(runFunction, op, target, a, b, c, <usize>from, <usize>to, at + 20);
    else runInstruction(op, target, a, b, c, <usize>from, <usize>to);
  }
}

function runInstruction(op: i32, target: Register, a: Register, b: Register, c: Register, from: usize, to: usize): void {
  switch (op) {
    case Op.COPY:
      memory.copy(target.values + (from << 3), a.values + (from << 3), (to - from) << 3);
      memory.copy(target.nulls + from, a.nulls + from, to - from);
      return;
    case Op.ADD_INT:
    case Op.SUBTRACT_INT:
    case Op.MULTIPLY_INT:
    case Op.MODULO_INT:
    case Op.NEGATE_INT:
      runInt(op, target, a, b, from, to);
      return;
    case Op.ADD_DOUBLE:
    case Op.SUBTRACT_DOUBLE:
    case Op.MULTIPLY_DOUBLE:
    case Op.DIVIDE_DOUBLE:
    case Op.NEGATE_DOUBLE:
      runDouble(op, target, a, b, from, to);
      return;
    case Op.AND:
    case Op.OR:
    case Op.NOT:
    case Op.IS_NULL:
      runLogic(op, target, a, b, from, to);
      return;
    case Op.COALESCE:
    case Op.SELECT:
      runChoice(op, target, a, b, c, from, to);
      return;
    case Op.INT_TO_DOUBLE:
    case Op.DOUBLE_TO_INT:
      runConversion(op, target, a, from, to);
      return;
    case Op.CLEAR_STATUS:
      memory.fill(target.statuses + from, 0, to - from);
      return;
    case Op.STATUS:
      runStatus(target, a, from, to);
      return;
    case Op.TAKE:
      runInstruction(Op.COPY, target, a, b, c, from, to);
      memory.copy(target.statuses + from, a.statuses + from, to - from);
      return;
    case Op.SERIES:
      runSeries(target, a, b, from, to);
      return;
    default:
      if (op >= Op.EQUAL_INT && op <= Op.LESS_OR_EQUAL_STRING) runComparison(op, target, a, b, from, to);
      else runFunction(op, target, a, b, c, from, to);
  }
}

/** What lies in files of its own, by the order of Op. */
function runFunction(op: i32, target: Register, a: Register, b: Register, c: Register, from: usize, to: usize): void {
  assert((op >= Op.ABS_INT && op <= Op.SKETCH_BUCKET) || op >= Op.MAP_VALUE);
  if (op <= Op.SHIFT_RIGHT) runWhole(op, target, a, b, from, to);
  else if (op <= Op.SQRT_DOUBLE) runRounding(op, target, a, b, from, to);
  else if (op <= Op.LEAST_STRING) runExtreme(op, target, a, b, from, to);
  else if (op <= Op.LIKE) runText(op, target, a, b, c, from, to);
  else if (op <= Op.TEXT_TO_TIME) runSpelling(op, target, a, from, to);
  else if (op <= Op.MICROS_TO_TIME) runCalendar(op, target, a, b, c, from, to);
  else if (op <= Op.LIST_MEAN_DOUBLE) runList(op, target, a, b, from, to);
  else if (op <= Op.REGEX_REPLACE_ALL) runRegex(op, target, a, b, c, from, to);
  else if (op <= Op.SKETCH_BUCKET) runBucket(op, target, a, b, from, to);
  else if (op == Op.MAP_VALUE) runList(op, target, a, b, from, to);
  else if (op <= Op.IP_BLOCK) runText(op, target, a, b, c, from, to);
  else if (op <= Op.TEXT_TO_DOUBLE) runSpelling(op, target, a, from, to);
  else if (op == Op.IN_ZONE) runCalendar(op, target, a, b, c, from, to);
  else runTimeFormat(op, target, a, b, from, to);
}

function runInt(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  const start = ASC_FEATURE_SIMD ? intLanes(op, target, a, b, from, to) : from;
  for (let row = start; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row);
    const x = load<i64>(a.values + at);
    const y = load<i64>(b.values + at);
    let result: i64 = 0;
    if (isNull == 0) {
      switch (op) {
        case Op.ADD_INT:
          result = x + y;
          isNull = <u8>(((x ^ result) & (y ^ result)) < 0);
          break;
        case Op.SUBTRACT_INT:
          result = x - y;
          isNull = <u8>(((x ^ y) & (x ^ result)) < 0);
          break;
        case Op.MULTIPLY_INT:
          result = x * y;
          isNull = <u8>multiplyOverflows(x, y, result);
          break;
        case Op.MODULO_INT:
          if (y == 0) isNull = 1;
          else result = y == -1 ? 0 : x % y;
          break;
        default: // NEGATE_INT
          result = -x;
          isNull = <u8>(x == i64.MIN_VALUE);
      }
    }
    store<i64>(target.values + at, result);
    store<u8>(target.nulls + row, isNull);
  }
}

@inline
function multiplyOverflows(x: i64, y: i64, product: i64): bool {
  if (x == 0 || y == 0) return false;
  if ((x == -1 && y == i64.MIN_VALUE) || (y == -1 && x == i64.MIN_VALUE)) return true;
  if (x == -1 || y == -1) return false;
  return product / y != x;
}

function runDouble(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  const start = ASC_FEATURE_SIMD ? doubleLanes(op, target, a, b, from, to) : from;
  for (let row = start; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row);
    const x = load<f64>(a.values + at);
    const y = load<f64>(b.values + at);
    let result: f64 = 0;
    switch (op) {
      case Op.ADD_DOUBLE:
        result = x + y;
        break;
      case Op.SUBTRACT_DOUBLE:
        result = x - y;
        break;
      case Op.MULTIPLY_DOUBLE:
        result = x * y;
        break;
      case Op.DIVIDE_DOUBLE:
        isNull |= <u8>(y == 0);
        result = x / y;
        break;
      default: // NEGATE_DOUBLE
        result = -x;
    }
    store<f64>(target.values + at, result);
    store<u8>(target.nulls + row, isNull);
  }
}

function runComparison(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  const start = ASC_FEATURE_SIMD ? comparisonLanes(op, target, a, b, from, to) : from;
  for (let row = start; row < to; row++) {
    const at = row << 3;
    const isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row);
    const x = a.values + at;
    const y = b.values + at;
    let result = false;
    if (isNull == 0) {
      switch (op) {
        case Op.EQUAL_INT:
          result = load<i64>(x) == load<i64>(y);
          break;
        case Op.LESS_INT:
          result = load<i64>(x) < load<i64>(y);
          break;
        case Op.LESS_OR_EQUAL_INT:
          result = load<i64>(x) <= load<i64>(y);
          break;
        case Op.EQUAL_DOUBLE:
          result = load<f64>(x) == load<f64>(y);
          break;
        case Op.LESS_DOUBLE:
          result = load<f64>(x) < load<f64>(y);
          break;
        case Op.LESS_OR_EQUAL_DOUBLE:
          result = load<f64>(x) <= load<f64>(y);
          break;
        case Op.EQUAL_STRING:
          result = compareStrings(x, y) == 0;
          break;
        case Op.LESS_STRING:
          result = compareStrings(x, y) < 0;
          break;
        default: // LESS_OR_EQUAL_STRING
          result = compareStrings(x, y) <= 0;
      }
    }
    store<i64>(target.values + at, <i64>result);
    store<u8>(target.nulls + row, isNull);
  }
}

/** Three-valued: `false and null` is false, `true or null` is true. */
function runLogic(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  const start = ASC_FEATURE_SIMD ? logicLanes(op, target, a, b, from, to) : from;
  for (let row = start; row < to; row++) {
    const at = row << 3;
    const xNull = load<u8>(a.nulls + row) != 0;
    const yNull = load<u8>(b.nulls + row) != 0;
    const x = load<i64>(a.values + at) != 0;
    const y = load<i64>(b.values + at) != 0;
    let result = false;
    let isNull = false;
    switch (op) {
      case Op.AND:
        isNull = (xNull && (yNull || y)) || (yNull && x);
        result = !xNull && x && !yNull && y;
        break;
      case Op.OR:
        isNull = (xNull && (yNull || !y)) || (yNull && !x);
        result = (!xNull && x) || (!yNull && y);
        break;
      case Op.NOT:
        isNull = xNull;
        result = !x;
        break;
      default: // IS_NULL
        result = xNull;
    }
    store<i64>(target.values + at, <i64>(result && !isNull));
    store<u8>(target.nulls + row, <u8>isNull);
  }
}

/** COALESCE: a, else b. SELECT: b where a is true, else c. */
function runChoice(op: i32, target: Register, a: Register, b: Register, c: Register, from: usize, to: usize): void {
  const start = ASC_FEATURE_SIMD ? choiceLanes(op, target, a, b, c, from, to) : from;
  for (let row = start; row < to; row++) {
    const at = row << 3;
    const first =
      op == Op.COALESCE
        ? load<u8>(a.nulls + row) == 0
        : load<u8>(a.nulls + row) == 0 && load<i64>(a.values + at) != 0;
    const chosen = op == Op.COALESCE ? (first ? a : b) : first ? b : c;
    store<u64>(target.values + at, load<u64>(chosen.values + at));
    store<u8>(target.nulls + row, load<u8>(chosen.nulls + row));
  }
}

/** Doubles in [-2^63, 2^63) have an int64; ties go to even. The point matters: without it this would be an i64, wrapped around. */
const INT64_END: f64 = 9223372036854775808.0;

function runConversion(op: i32, target: Register, a: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    let isNull = load<u8>(a.nulls + row);
    if (op == Op.INT_TO_DOUBLE) {
      store<f64>(target.values + at, <f64>load<i64>(a.values + at));
    } else {
      const rounded = nearest<f64>(load<f64>(a.values + at));
      const fits = rounded >= -INT64_END && rounded < INT64_END;
      store<i64>(target.values + at, fits ? <i64>rounded : 0);
      if (!fits) isNull = 1;
    }
    store<u8>(target.nulls + row, isNull);
  }
}

/** A null value has the gravest status of what it was made of; one that is there only says so if any of that is WARMING. */
function runStatus(target: Register, a: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const before = load<u8>(target.statuses + row);
    const beneath = load<u8>(a.statuses + row);
    let status = max(before, beneath);
    if (load<u8>(target.nulls + row) == 0)
      status = <u8>(before == Status.WARMING || beneath == Status.WARMING ? Status.WARMING : Status.NONE);
    store<u8>(target.statuses + row, status);
  }
}
