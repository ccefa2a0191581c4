/**
 * Functions of lists, maps and structs, row by row. What they take out of a block (nested.ts) is not copied: it stays where the
 * block is. Null of null, and where it says so.
 */
import {
  MAX,
  MEAN,
  MIN,
  REAL_MEAN,
  REAL_SUM,
  STATE_SIZE_MAX,
  SUM,
  clearSize,
  finish,
  update,
} from './aggregate';
import { keep, reserve } from './arena';
import { FINISHED } from './finish';
import { INTEGER, REAL } from './kind';
import { blockOf, cellAt, countOf, nestedCell, nestedSize, nullAt } from './nested';
import { Op } from './op';
import { Register, Status } from './register';
import { compareStrings } from './text';

export function runList(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): void {
  const takesNull = op >= Op.LIST_POSITION_INT && op <= Op.LIST_POSITION_STRING;
  for (let row = from; row < to; row++) {
    const at = row << 3;
    result = target.values + at;
    store<u64>(result, 0);
    isSoughtNull = load<u8>(b.nulls + row) != 0;
    let isNull = load<u8>(a.nulls + row) != 0 || (isSoughtNull && !takesNull);
    if (!isNull) isNull = !resultOf(op, a.values + at, b.values + at);
    store<u8>(target.nulls + row, <u8>isNull);
  }
}

/** Where the result of the row at hand goes. */
let result: usize = 0;
let isSoughtNull = false;

@inline
function putInt(value: i64): bool {
  store<i64>(result, value);
  return true;
}

/**
 * A list of what stands in the registers from `first` to `last`, the first one first. It has the gravest of their statuses,
 * but NOT_FOUND only where all have it: a window without events is a part of any series. It is null only where all are
 * EXPIRED.
 */
export function runSeries(target: Register, first: Register, last: Register, from: usize, to: usize): void {
  const start = changetype<usize>(first);
  assert(changetype<usize>(last) >= start);
  const count = <i32>((changetype<usize>(last) - start) / offsetof<Register>()) + 1;
  for (let row = from; row < to; row++) {
    const block = seriesBlock(count);
    let status: u8 = <u8>Status.NONE;
    let missing = 0;
    let expired = 0;
    for (let i: i32 = 0; i < count; i++) {
      const element = changetype<Register>(start + <usize>i * offsetof<Register>());
      const isNull = load<u8>(element.nulls + row);
      const beneath = load<u8>(element.statuses + row);
      // A null text points at nothing.
      store<u64>(cellAt(block, i), isNull != 0 ? 0 : load<u64>(element.values + (row << 3)));
      store<u8>(nullAt(block, count, i), isNull);
      if (beneath == Status.NOT_FOUND) missing++;
      else status = max(status, beneath);
      if (beneath == Status.EXPIRED) expired++;
    }
    store<u64>(target.values + (row << 3), nestedCell(block, count));
    store<u8>(target.nulls + row, <u8>(expired == count));
    store<u8>(target.statuses + row, missing == count ? <u8>Status.NOT_FOUND : status);
  }
}

/** The arena has texts too, of any length. */
function seriesBlock(count: i32): usize {
  const size = nestedSize(count);
  const at = reserve(size + 7);
  const block = (at + 7) & ~(<usize>7);
  keep(block + size - at);
  return block;
}

/** x and y are cells of the arguments. False for null. */
function resultOf(op: i32, x: usize, y: usize): bool {
  const block = blockOf(x);
  const count = countOf(x);
  switch (op) {
    case Op.FIELD:
    case Op.ELEMENT:
      return take(block, count, load<i64>(y));
    case Op.MAP_VALUE:
      return takeFor(block, count, y);
    case Op.LIST_LENGTH:
      return putInt(<i64>count);
    case Op.LIST_COUNT:
      return putInt(<i64>presentCount(block, count));
    case Op.LIST_CONTAINS_INT:
    case Op.LIST_CONTAINS_DOUBLE:
    case Op.LIST_CONTAINS_STRING:
      return putInt(<i64>(find(op - Op.LIST_CONTAINS_INT, block, count, y) >= 0));
    case Op.LIST_POSITION_INT:
    case Op.LIST_POSITION_DOUBLE:
    case Op.LIST_POSITION_STRING: {
      const found = isSoughtNull ? findNull(block, count) : find(op - Op.LIST_POSITION_INT, block, count, y);
      return found >= 0 && putInt(<i64>found + 1);
    }
    case Op.LIST_MIN_STRING:
      return extremeText(block, count, -1);
    case Op.LIST_MAX_STRING:
      return extremeText(block, count, 1);
    case Op.LIST_MIN_INT:
      return aggregated(MIN, INTEGER, block, count);
    case Op.LIST_MIN_DOUBLE:
      return aggregated(MIN, REAL, block, count);
    case Op.LIST_MAX_INT:
      return aggregated(MAX, INTEGER, block, count);
    case Op.LIST_MAX_DOUBLE:
      return aggregated(MAX, REAL, block, count);
    case Op.LIST_SUM_INT:
      return aggregated(SUM, INTEGER, block, count);
    case Op.LIST_SUM_DOUBLE:
      return aggregated(REAL_SUM, REAL, block, count);
    case Op.LIST_MEAN_INT:
      return aggregated(MEAN, INTEGER, block, count);
    default: // LIST_MEAN_DOUBLE
      return aggregated(REAL_MEAN, REAL, block, count);
  }
}

/** Elements and fields count from 0; null where there is none. */
@inline
function take(block: usize, count: i32, index: i64): bool {
  if (index < 0 || index >= <i64>count) return false;
  if (load<u8>(nullAt(block, count, <i32>index)) != 0) return false;
  store<u64>(result, load<u64>(cellAt(block, <i32>index)));
  return true;
}

/** What a map (nested.ts) has for the text of a cell; null where it has not the key. */
function takeFor(block: usize, count: i32, key: usize): bool {
  const keys = count >> 1;
  let low = 0;
  let high = keys;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareStrings(cellAt(block, middle), key) < 0) low = middle + 1;
    else high = middle;
  }
  if (low == keys || compareStrings(cellAt(block, low), key) != 0) return false;
  return take(block, count, <i64>(keys + low));
}

function presentCount(block: usize, count: i32): i32 {
  let present = 0;
  for (let i: i32 = 0; i < count; i++) present += <i32>(load<u8>(nullAt(block, count, i)) == 0);
  return present;
}

/** What elements are compared as, in the order of each function's ops. */
const AS_INT: i32 = 0;
const AS_DOUBLE: i32 = 1;

/** The first element that equals the value at `sought`, counted from 0; -1 where none does. */
function find(kind: i32, block: usize, count: i32, sought: usize): i32 {
  for (let i: i32 = 0; i < count; i++) {
    if (load<u8>(nullAt(block, count, i)) != 0) continue;
    const at = cellAt(block, i);
    const isEqual =
      kind == AS_INT
        ? load<i64>(at) == load<i64>(sought)
        : kind == AS_DOUBLE
          ? load<f64>(at) == load<f64>(sought)
          : compareStrings(at, sought) == 0;
    if (isEqual) return i;
  }
  return -1;
}

function findNull(block: usize, count: i32): i32 {
  for (let i: i32 = 0; i < count; i++) if (load<u8>(nullAt(block, count, i)) != 0) return i;
  return -1;
}

/** The text that comes first (-1) or last (1) by its bytes. */
function extremeText(block: usize, count: i32, sign: i32): bool {
  let best: usize = 0;
  for (let i: i32 = 0; i < count; i++) {
    if (load<u8>(nullAt(block, count, i)) != 0) continue;
    const at = cellAt(block, i);
    if (best == 0 || compareStrings(at, best) * sign > 0) best = at;
  }
  if (best == 0) return false;
  store<u64>(result, load<u64>(best));
  return true;
}

const state: usize = memory.data(<i32>STATE_SIZE_MAX, 16);

/** As the aggregate of that name makes it of as many events; null where nothing is there, or too much. */
function aggregated(aggregateCase: i32, kind: i32, block: usize, count: i32): bool {
  memory.fill(state, 0, clearSize(aggregateCase));
  let isEmpty = true;
  for (let i: i32 = 0; i < count; i++) {
    if (load<u8>(nullAt(block, count, i)) != 0) continue;
    isEmpty = false;
    update(aggregateCase, kind, state, load<i64>(cellAt(block, i)), 1);
  }
  return !isEmpty && finish(aggregateCase, state, result) == FINISHED;
}
