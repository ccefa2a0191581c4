/**
 * The column that a sweep makes (sweep.ts): of each row of whoever reads a value, whether it is null, and its status; and stretches of it as
 * column files have them.
 */
import { TEXT, REAL, canonicalNaN } from './kind';
import { Bytes, copyLoosely } from './memory';
import { Status } from './register';
import { Strand } from './strand';

/** Values 8 bytes a row, nulls and statuses a byte; a list is (first item u32, count u32). */
const values: Bytes = Bytes.make();
const nulls: Bytes = Bytes.make();
const statuses: Bytes = Bytes.make();
/** Values of items of lists, 8 bytes each; a text is (start u32, length u32). */
export const items: Bytes = Bytes.make();
/** What items are; of what is no list, what was aggregated. */
let kind: i32 = 0;
/** Rows whose status is EXPIRED or OVERFLOW. */
export let sweptFaults: u32 = 0;

export function sweptValues(): usize {
  return values.start;
}

export function sweptNulls(): usize {
  return nulls.start;
}

export function sweptStatuses(): usize {
  return statuses.start;
}

/** What the column takes, with its items. */
export function sweptBytes(): f64 {
  return <f64>(values.capacity + nulls.capacity + statuses.capacity + items.capacity);
}

/** Null and as blank as the strand has it; rows that are read for are not null until it turns out that they are. */
export function startColumn(owner: Strand, ofKind: i32): void {
  const count = <usize>owner.rowCount;
  values.setLength(count << 3);
  nulls.setLength(count);
  statuses.setLength(count);
  memory.fill(values.start, 0, count << 3);
  memory.copy(nulls.start, owner.nulls.start, count);
  memory.copy(statuses.start, owner.statuses.start, count);
  items.length = 0;
  kind = ofKind;
  sweptFaults = 0;
}

/** Room for rows that are put there one by one, of values that were swept before. */
export function startRows(count: u32, ofKind: i32): void {
  values.setLength(<usize>count << 3);
  nulls.setLength(<usize>count);
  statuses.setLength(<usize>count);
  items.length = 0;
  kind = ofKind;
}

/** Whether a row is null, and its status above that. */
@inline
export function markAt(row: u32): u8 {
  return load<u8>(nulls.start + <usize>row) | (load<u8>(statuses.start + <usize>row) << 1);
}

@inline
export function setMark(row: u32, mark: u8): void {
  store<u8>(nulls.start + <usize>row, mark & 1);
  store<u8>(statuses.start + <usize>row, mark >> 1);
}

/** An item of a list, as it is told. */
@inline
export function wordOf(value: i64): i64 {
  return kind == REAL ? canonicalNaN(value) : value;
}

/** Where a row's value goes. */
@inline
export function valueAt(row: u32): usize {
  return values.start + (<usize>row << 3);
}

@inline
export function setStatus(row: u32, status: Status): void {
  store<u8>(statuses.start + <usize>row, <u8>status);
}

export function setNull(row: u32): void {
  store<i64>(valueAt(row), 0);
  store<u8>(nulls.start + <usize>row, 1);
}

/** Null, with a fault that says why. */
export function setFault(row: u32, status: Status): void {
  setNull(row);
  setStatus(row, status);
  sweptFaults++;
}

// --- rows of the column, one behind the other

/** Of rows [from, to) what column files have: integers in few bytes, texts, or lists. */
const packed: Bytes = Bytes.make();
/** Of texts their lengths u32, and of lists how many items they have; and both as column files have sizes. */
const lengths: Bytes = Bytes.make();
const counts: Bytes = Bytes.make();
const textSizes: Bytes = Bytes.make();
const listSizes: Bytes = Bytes.make();

export function packedStart(): usize {
  return packed.start;
}

export function packedSize(): usize {
  return packed.length;
}

export function textSizesStart(): usize {
  return textSizes.start;
}

export function textSizesSize(): usize {
  return textSizes.length;
}

export function listSizesStart(): usize {
  return listSizes.start;
}

export function listSizesSize(): usize {
  return listSizes.length;
}

/** As src/replay/packed_longs.ts, to the byte. */
const SAFE_MAX: i64 = (1 << 53) - 1;
const MILLI: i64 = 1000;

/** Packs integers; returns their size. */
export function packSweptLongs(from: u32, to: u32): usize {
  packed.length = 0;
  packLongs(packed, valueAt(from), valueAt(to));
  return packed.length;
}

/** Appends the integers that stand in [start, end). */
export function packLongs(into: Bytes, start: usize, end: usize): void {
  let least = i64.MAX_VALUE;
  let most = i64.MIN_VALUE;
  for (let at = start; at < end; at += 8) {
    const value = load<i64>(at);
    least = min(least, value);
    most = max(most, value);
  }
  const isSafe = start < end && least >= -SAFE_MAX && most <= SAFE_MAX;
  const unit: i64 = isSafe && most - least > 0xffffffff ? MILLI : 1;
  const isPacked = isSafe && (unit == 1 || hasUnit(start, end, least));
  const width: usize = isPacked ? widthOf((most - least) / unit) : 8;
  const count = (end - start) >> 3;
  into.reserve(16 + count * width);
  const head = into.end;
  store<u32>(head, <u32>width);
  store<u32>(head, width == 8 ? 1 : <u32>unit, 4);
  if (width == 8) {
    memory.copy(head + 8, start, count << 3);
    into.length += 8 + (count << 3);
    return;
  }
  store<i64>(head, least, 8);
  const small = head + 16;
  if (width == 1) for (let i: usize = 0; i < count; i++) store<u8>(small + i, <u8>(load<i64>(start + (i << 3)) - least));
  else if (width == 2)
    for (let i: usize = 0; i < count; i++) store<u16>(small + (i << 1), <u16>(load<i64>(start + (i << 3)) - least));
  else for (let i: usize = 0; i < count; i++) store<u32>(small + (i << 2), <u32>((load<i64>(start + (i << 3)) - least) / unit));
  into.length += 16 + count * width;
}

function hasUnit(start: usize, end: usize, base: i64): bool {
  for (let at = start; at < end; at += 8) if ((load<i64>(at) - base) % MILLI != 0) return false;
  return true;
}

@inline
function widthOf(most: i64): usize {
  return most < 0x100 ? 1 : most < 0x10000 ? 2 : most <= 0xffffffff ? 4 : 8;
}

/** Appends sizes, u32 each. */
export function packSizes(into: Bytes, sizes: Bytes): void {
  const count = sizes.length >> 2;
  let most: u32 = 0;
  for (let at = sizes.start; at < sizes.end; at += 4) most = max(most, load<u32>(at));
  const width = widthOf(<i64>most);
  into.reserve(8 + count * width);
  store<u32>(into.end, <u32>width);
  store<u32>(into.end, 1, 4);
  const small = into.end + 8;
  const from = sizes.start;
  if (width == 1) for (let i: usize = 0; i < count; i++) store<u8>(small + i, load<u8>(from + (i << 2)));
  else if (width == 2) for (let i: usize = 0; i < count; i++) store<u16>(small + (i << 1), load<u16>(from + (i << 2)));
  else memory.copy(small, from, count << 2);
  into.length += 8 + count * width;
}

/** Puts the texts of rows [from, to) behind one another; returns their size. */
export function packSweptTexts(from: u32, to: u32): usize {
  startTexts(<usize>(to - from));
  for (let row = from; row < to; row++) appendText(load<i64>(valueAt(row)));
  endTexts();
  return packed.length;
}

/** Puts the items of lists behind one another, 8 bytes each, or as texts; returns how many there are. */
export function packSweptLists(from: u32, to: u32): u32 {
  counts.setLength(<usize>(to - from) << 2);
  let count: u32 = 0;
  for (let row = from, at = counts.start; row < to; row++, at += 4) {
    const own = load<u32>(valueAt(row), 4);
    store<u32>(at, own);
    count += own;
  }
  listSizes.length = 0;
  packSizes(listSizes, counts);
  startTexts(kind == TEXT ? <usize>count : 0);
  if (kind != TEXT) packed.reserve(<usize>count << 3);
  for (let row = from; row < to; row++) {
    const own = load<u32>(valueAt(row), 4);
    let item = items.start + (<usize>load<u32>(valueAt(row)) << 3);
    for (const end = item + (<usize>own << 3); item < end; item += 8) appendItem(load<i64>(item));
  }
  if (kind == TEXT) endTexts();
  return count;
}

@inline
function appendItem(value: i64): void {
  if (kind == TEXT) return appendText(value);
  store<i64>(packed.end, wordOf(value));
  packed.length += 8;
}

function startTexts(count: usize): void {
  packed.length = lengths.length = 0;
  lengths.reserve(count << 2);
}

function endTexts(): void {
  textSizes.length = 0;
  packSizes(textSizes, lengths);
}

/** There is room for its length. */
@inline
function appendText(cell: i64): void {
  const length = <usize>(<u64>cell >> 32);
  packed.reserve(length + 16);
  copyLoosely(packed.end, <usize>(cell & 0xffffffff), length);
  packed.length += length;
  store<u32>(lengths.end, <u32>length);
  lengths.length += 4;
}
