/**
 * LAST_N: the values of the latest events, at most `limit` of them.
 *
 *   unpacked  limit u32, count u32, kind u32 (0, INTEGER, REAL or TEXT), isUnordered u32, entries u32, capacity u32
 *   entry     time i64, position i64, value: i64, f64 or (address u32, length u32)
 *
 * Entries are in the order of (time, position), but for those that a tile's batch still collects: they come as the events
 * do, up to twice the limit, and are put in order when there is no more room or when the state is read. So a batch costs
 * n log n at worst, and a copy where events are in order.
 *
 * Who owns entries: those of a batch stand in an arena until the next batch; those that `decodeRecent` makes stand in one
 * of two buffers, until the one after the next is decoded; a state that others are merged into has a block of its own,
 * which grows with it and stays with it when it is cleared.
 *
 * A text longer than RECENT_TEXT_MAX_BYTES is not kept, but that it was there is: as long as it is among the latest, the list is
 * OVERFLOW.
 */
import { Arena } from './arena';
import {
  COLUMN_HEAD,
  closeColumn,
  columnAt,
  columnEnd,
  decodeNumbers,
  decodeReals,
  decodeTexts,
  encodeDeltas,
  encodeIntegers,
  encodeReals,
  enterColumn,
} from './columns';
import { INTEGER, REAL, TEXT, canonicalNaN } from './kind';
import { allocate, allocateZeroed, release } from './memory';
import { cellAt, nestedCell, takeBlock } from './nested';
import { isWellFormed } from './utf8';
import { readVarint, varintNext, varintOk, writeVarint, zigzag } from './varint';

/** The greatest limit: what is read, merged and answered for one value. */
export const RECENT_MAX: u32 = 1000;

/** With the greatest limit the texts of one state are a megabyte at most. */
export const RECENT_TEXT_MAX_BYTES: u32 = 1 << 10;

export const RECENT_SIZE: usize = 24;

/** A state's entries stay with it when it is cleared. */
export const RECENT_CLEAR: usize = 16;

const ENTRY_SIZE: usize = 24;

/** The length of a text that is not kept. */
const TOO_LONG: u32 = 0xffffffff;

@unmanaged
class Recent {
  limit: u32;
  count: u32;
  kind: u32;
  isUnordered: u32;
  entries: usize;
  capacity: u32;
}

@inline
function recentAt(state: usize): Recent {
  return changetype<Recent>(state);
}

@inline
function entryAt(recent: Recent, index: u32): usize {
  return recent.entries + <usize>index * ENTRY_SIZE;
}

/** Below 0 where the entry at `x` is earlier than the one at `y`, 0 where they are of the same event. */
@inline
function compareMoments(x: usize, y: usize): i32 {
  const xTime = load<i64>(x);
  const yTime = load<i64>(y);
  if (xTime != yTime) return xTime < yTime ? -1 : 1;
  const xPosition = load<i64>(x, 8);
  const yPosition = load<i64>(y, 8);
  return xPosition == yPosition ? 0 : xPosition < yPosition ? -1 : 1;
}

// --- a batch's events, one by one

/** Where a batch's entries stand. */
const collected: Arena = Arena.make();

/** A new batch: the states of the last one are read. */
export function forgetRecent(): void {
  collected.reset();
}

/** Makes a state that is clear ready for `addRecent`. */
export function startRecent(state: usize, limit: u32): void {
  assert(limit >= 1 && limit <= RECENT_MAX);
  const recent = recentAt(state);
  recent.limit = limit;
  recent.entries = 0;
  recent.capacity = 0;
}

/** Adds the value of an event. A text is only pointed at. */
export function addRecent(state: usize, kind: i32, time: i64, position: i64, value: i64): void {
  const recent = recentAt(state);
  if (recent.count == recent.capacity) makeRoom(recent);
  const entry = entryAt(recent, recent.count);
  const isLong = kind == TEXT && <u32>(value >>> 32) > RECENT_TEXT_MAX_BYTES;
  storeEntry(entry, time, position, isLong ? <i64>((<u64>TOO_LONG) << 32) : kind == REAL ? canonicalNaN(value) : value);
  if (recent.count > 0 && compareMoments(entry, entry - ENTRY_SIZE) < 0) recent.isUnordered = 1;
  recent.kind = <u32>kind;
  recent.count++;
}

@inline
function storeEntry(entry: usize, time: i64, position: i64, value: i64): void {
  store<i64>(entry, time);
  store<i64>(entry, position, 8);
  store<i64>(entry, value, 16);
}

const CAPACITY_MIN: u32 = 2;

/** At twice the limit the earlier half leaves instead: so each entry is moved a few times at most. */
function makeRoom(recent: Recent): void {
  if (recent.count >= recent.limit << 1) return settle(recent);
  const capacity = min(max(CAPACITY_MIN, recent.capacity << 1), recent.limit << 1);
  const size = <usize>capacity * ENTRY_SIZE;
  const entries = collected.reserve(size);
  collected.keep(size);
  memory.copy(entries, recent.entries, <usize>recent.count * ENTRY_SIZE);
  recent.entries = entries;
  recent.capacity = capacity;
}

/** Puts the entries in order, and leaves the latest. */
function settle(recent: Recent): void {
  if (recent.isUnordered != 0) sortEntries(recent);
  recent.isUnordered = 0;
  keepLatest(recent, recent.limit);
}

@inline
function keepLatest(recent: Recent, count: u32): void {
  if (recent.count <= count) return;
  memory.copy(recent.entries, entryAt(recent, recent.count - count), <usize>count * ENTRY_SIZE);
  recent.count = count;
}

/** A heap sort: in place, and never worse than n log n. */
function sortEntries(recent: Recent): void {
  const count = recent.count;
  for (let i = count >> 1; i > 0; i--) sink(recent, i - 1, count);
  for (let end = count - 1; end > 0; end--) {
    swap(recent.entries, entryAt(recent, end));
    sink(recent, 0, end);
  }
}

/** Lets an entry sink until none below it, of the first `count`, is later. */
function sink(recent: Recent, index: u32, count: u32): void {
  while (true) {
    let below = (index << 1) + 1;
    if (below >= count) return;
    if (below + 1 < count && compareMoments(entryAt(recent, below), entryAt(recent, below + 1)) < 0) below++;
    const entry = entryAt(recent, index);
    if (compareMoments(entry, entryAt(recent, below)) >= 0) return;
    swap(entry, entryAt(recent, below));
    index = below;
  }
}

@inline
function swap(x: usize, y: usize): void {
  const time = load<i64>(x);
  const position = load<i64>(x, 8);
  const value = load<i64>(x, 16);
  memory.copy(x, y, ENTRY_SIZE);
  storeEntry(y, time, position, value);
}

// --- merging

/** The entries of a merge on their way into a state, from the end of the block on. */
const merging: usize = allocateZeroed(<usize>RECENT_MAX * ENTRY_SIZE);
const mergingEnd: usize = merging + <usize>RECENT_MAX * ENTRY_SIZE;

/**
 * Merges the entries of `from` into `into`, each in order, in one pass; an event that both have is there once. Where limits
 * or kinds differ, the lesser limit and the greater kind win, so that even rows that do not belong together merge in any
 * grouping to the same; no definition makes such.
 */
export function mergeRecent(into: usize, from: usize): void {
  const target = recentAt(into);
  const source = recentAt(from);
  if (source.limit == 0) return;
  target.limit = target.limit == 0 ? source.limit : min(target.limit, source.limit);
  if (source.kind > target.kind) {
    target.kind = source.kind;
    target.count = 0;
  }
  const limit = target.limit;
  keepLatest(target, limit);
  if (source.count == 0 || source.kind != target.kind) return;
  own(target, min(limit, target.count + source.count));
  if (target.count == 0) {
    const count = min(limit, source.count);
    memory.copy(target.entries, entryAt(source, source.count - count), <usize>count * ENTRY_SIZE);
    target.count = count;
  } else if (compareMoments(entryAt(target, target.count - 1), source.entries) < 0) {
    append(target, source, limit);
  } else if (compareMoments(entryAt(source, source.count - 1), target.entries) < 0) {
    prepend(target, source, limit);
  } else interleave(target, source, limit);
}

/** Where all of `source` is earlier. */
@inline
function prepend(target: Recent, source: Recent, limit: u32): void {
  const count = min(limit - target.count, source.count);
  memory.copy(entryAt(target, count), target.entries, <usize>target.count * ENTRY_SIZE);
  memory.copy(target.entries, entryAt(source, source.count - count), <usize>count * ENTRY_SIZE);
  target.count += count;
}

/** Where all of `source` is later. */
@inline
function append(target: Recent, source: Recent, limit: u32): void {
  const count = min(limit, source.count);
  keepLatest(target, min(target.count, limit - count));
  memory.copy(entryAt(target, target.count), entryAt(source, source.count - count), <usize>count * ENTRY_SIZE);
  target.count += count;
}

function interleave(target: Recent, source: Recent, limit: u32): void {
  const least = mergingEnd - <usize>limit * ENTRY_SIZE;
  let left = target.count;
  let right = source.count;
  let at = mergingEnd;
  while (at > least && (left > 0 || right > 0)) {
    const order =
      left == 0 ? -1 : right == 0 ? 1 : compareMoments(entryAt(target, left - 1), entryAt(source, right - 1));
    at -= ENTRY_SIZE;
    memory.copy(at, order < 0 ? entryAt(source, right - 1) : entryAt(target, left - 1), ENTRY_SIZE);
    if (order >= 0) left--;
    if (order <= 0) right--;
  }
  memory.copy(target.entries, at, mergingEnd - at);
  target.count = <u32>((mergingEnd - at) / ENTRY_SIZE);
}

/** Can nothing that is earlier than this moment (microseconds) be among the latest any more? */
@inline
export function isRecentSince(state: usize, micros: i64): bool {
  const recent = recentAt(state);
  return recent.limit > 0 && recent.count == recent.limit && load<i64>(recent.entries) >= micros;
}

/** Makes room for `count` entries in a state that has a block of its own, or one that is large enough. */
function own(recent: Recent, count: u32): void {
  if (count <= recent.capacity) return;
  const capacity = min(RECENT_MAX, max(count, recent.capacity << 1));
  const entries = allocate(<usize>capacity * ENTRY_SIZE);
  memory.copy(entries, recent.entries, <usize>recent.count * ENTRY_SIZE);
  release(recent.entries, <usize>recent.capacity * ENTRY_SIZE);
  recent.entries = entries;
  recent.capacity = capacity;
}

// --- merging what is encoded

/**
 * Writes the merge of two states as a Recent out of their bytes, [leftFrom, leftEnd) and [rightFrom, rightEnd), which have been decoded to `left` and `right`, and
 * returns its end; 0 where `mergeRecent` has to do it. Where all of the right is later, as nearly always, columns are copied but for where
 * they are joined: a state of a thousand is not spelled anew for every event.
 */
export function joinRecent(
  left: usize,
  leftFrom: usize,
  leftEnd: usize,
  right: usize,
  rightFrom: usize,
  rightEnd: usize,
  out: usize,
): usize {
  const earlier = recentAt(left);
  const later = recentAt(right);
  const limit = earlier.limit;
  if (limit != later.limit || earlier.kind != later.kind || earlier.count == 0 || later.count == 0) return 0;
  if (later.count >= limit || compareMoments(entryAt(earlier, earlier.count - 1), later.entries) >= 0) return 0;
  if (earlier.kind == <u32>TEXT && (hasTooLong(earlier) || hasTooLong(later))) return 0;
  const dropped = earlier.count - min(earlier.count, limit - later.count);
  store<u8>(out, TAG_LIMIT);
  let at = out + 1 + writeVarint(out + 1, <u64>limit);
  leftAt = behindLimit(leftFrom, leftEnd);
  rightAt = behindLimit(rightFrom, rightEnd);
  at = joinDeltas(earlier, later, 0, dropped, TAG_TIMES, leftEnd, rightEnd, at);
  at = joinDeltas(earlier, later, 8, dropped, TAG_POSITIONS, leftEnd, rightEnd, at);
  if (earlier.kind == <u32>TEXT) {
    for (let i: u32 = 0; i < dropped; i++) {
      readVarint(leftAt + 1, leftEnd);
      leftAt = varintNext + <usize>load<u32>(entryAt(earlier, i), 20);
    }
    return put(put(at, leftAt, leftEnd), rightAt, rightEnd);
  }
  const isInteger = earlier.kind == <u32>INTEGER;
  enterBoth(isInteger ? TAG_INTEGERS : TAG_REALS, leftEnd, rightEnd);
  const kept = isInteger ? skipVarints(leftAt, dropped) : leftAt + (<usize>dropped << 3);
  const end = put(put(at + COLUMN_HEAD, kept, leftTo), rightAt, rightTo);
  return closeColumn(at, isInteger ? TAG_INTEGERS : TAG_REALS, end);
}

/** The columns that are being joined, or where those behind them begin. */
let leftAt: usize = 0;
let leftTo: usize = 0;
let rightAt: usize = 0;
let rightTo: usize = 0;

@inline
function behindLimit(from: usize, end: usize): usize {
  readVarint(from + 1, end);
  return varintNext;
}

@inline
function enterBoth(tag: u8, leftEnd: usize, rightEnd: usize): void {
  enterColumn(leftAt, leftEnd, tag);
  leftAt = columnAt;
  leftTo = columnEnd;
  enterColumn(rightAt, rightEnd, tag);
  rightAt = columnAt;
  rightTo = columnEnd;
}

/** Times, or positions: the first that is kept is written whole, and the first of the later ones as its difference to the last of the earlier. */
function joinDeltas(
  earlier: Recent,
  later: Recent,
  offset: usize,
  dropped: u32,
  tag: u8,
  leftEnd: usize,
  rightEnd: usize,
  out: usize,
): usize {
  enterBoth(tag, leftEnd, rightEnd);
  let at = out + COLUMN_HEAD;
  at += writeVarint(at, zigzag(load<i64>(entryAt(earlier, dropped) + offset)));
  at = put(at, skipVarints(leftAt, dropped + 1), leftTo);
  const last = load<i64>(entryAt(earlier, earlier.count - 1) + offset);
  at += writeVarint(at, zigzag(load<i64>(later.entries + offset) - last));
  at = put(at, skipVarints(rightAt, 1), rightTo);
  leftAt = leftTo;
  rightAt = rightTo;
  return closeColumn(out, tag, at);
}

@inline
function put(to: usize, from: usize, end: usize): usize {
  memory.copy(to, from, end - from);
  return to + (end - from);
}

@inline
function skipVarints(at: usize, count: u32): usize {
  for (let i: u32 = 0; i < count; i++) {
    while (load<u8>(at) >= 0x80) at++;
    at++;
  }
  return at;
}

function hasTooLong(recent: Recent): bool {
  for (let i: u32 = 0; i < recent.count; i++) if (load<u32>(entryAt(recent, i), 20) == TOO_LONG) return true;
  return false;
}

// --- finishing

/**
 * Writes the cell of a list of the values, the latest first, whose block and texts stand in `arena`; false where a text
 * among them was too long to be kept.
 */
export function finishRecent(state: usize, out: usize, arena: Arena): bool {
  const recent = recentAt(state);
  const count = <i32>recent.count;
  const block = takeBlock(arena, count);
  for (let i = 0; i < count; i++) {
    const value = entryAt(recent, count - 1 - i) + 16;
    const cell = cellAt(block, i);
    store<i64>(cell, load<i64>(value));
    if (recent.kind != <u32>TEXT) continue;
    const length = load<u32>(value, 4);
    if (length == TOO_LONG) return false;
    store<u32>(cell, <u32>arena.copy(<usize>load<u32>(value), <usize>length));
  }
  store<u64>(out, nestedCell(block, count));
  return true;
}

// --- encoding, as Recent of row.proto

/** Room for what `encodeRecent` writes, its numbers each at their longest. */
export function recentSizeMax(state: usize): usize {
  const recent = recentAt(state);
  let size: usize = 64 + <usize>recent.count * 40;
  if (recent.kind == <u32>TEXT)
    for (let i: u32 = 0; i < recent.count; i++) size += keptLength(entryAt(recent, i));
  return size;
}

const TAG_LIMIT: u8 = 0x08;
const TAG_TIMES: u8 = 0x12;
const TAG_POSITIONS: u8 = 0x1a;
const TAG_INTEGERS: u8 = 0x22;
const TAG_REALS: u8 = 0x2a;
const TAG_TEXTS: u8 = 0x32;
const TAG_TOO_LONG: u8 = 0x3a;

/** Of what is kept of a text. */
@inline
function keptLength(entry: usize): usize {
  return load<u32>(entry, 20) == TOO_LONG ? 0 : <usize>load<u32>(entry, 20);
}

/** Writes the state as a Recent, and returns the end of it. The state is put in order first. */
export function encodeRecent(state: usize, out: usize): usize {
  const recent = recentAt(state);
  settle(recent);
  if (recent.limit == 0) return out;
  store<u8>(out, TAG_LIMIT);
  let at = out + 1 + writeVarint(out + 1, <u64>recent.limit);
  if (recent.count == 0) return at;
  const first = recent.entries;
  const count = recent.count;
  at = closeColumn(at, TAG_TIMES, encodeDeltas(first, ENTRY_SIZE, count, at + COLUMN_HEAD));
  at = closeColumn(at, TAG_POSITIONS, encodeDeltas(first + 8, ENTRY_SIZE, count, at + COLUMN_HEAD));
  if (recent.kind == <u32>INTEGER)
    return closeColumn(at, TAG_INTEGERS, encodeIntegers(first + 16, ENTRY_SIZE, count, at + COLUMN_HEAD));
  if (recent.kind == <u32>REAL)
    return closeColumn(at, TAG_REALS, encodeReals(first + 16, ENTRY_SIZE, count, at + COLUMN_HEAD));
  at = encodeTexts(recent, at);
  const end = encodeTooLong(recent, at + COLUMN_HEAD);
  return end == at + COLUMN_HEAD ? at : closeColumn(at, TAG_TOO_LONG, end);
}

function encodeTexts(recent: Recent, at: usize): usize {
  for (let i: u32 = 0; i < recent.count; i++) {
    const length = keptLength(entryAt(recent, i));
    store<u8>(at++, TAG_TEXTS);
    at += writeVarint(at, <u64>length);
    memory.copy(at, <usize>load<u32>(entryAt(recent, i), 16), length);
    at += length;
  }
  return at;
}

function encodeTooLong(recent: Recent, at: usize): usize {
  for (let i: u32 = 0; i < recent.count; i++)
    if (load<u32>(entryAt(recent, i), 20) == TOO_LONG) at += writeVarint(at, <u64>i);
  return at;
}

// --- decoding

/** Entries of the last two states that were decoded. */
const decodedEven: usize = allocateZeroed(<usize>RECENT_MAX * ENTRY_SIZE);
const decodedOdd: usize = allocateZeroed(<usize>RECENT_MAX * ENTRY_SIZE);
let isOdd: bool = false;

/** Unpacks the Recent in [from, end); false where the bytes are not its one canonical spelling. */
export function decodeRecent(from: usize, end: usize, state: usize): bool {
  isOdd = !isOdd;
  const recent = recentAt(state);
  memory.fill(state, 0, RECENT_CLEAR);
  recent.entries = isOdd ? decodedOdd : decodedEven;
  recent.capacity = RECENT_MAX;
  if (from >= end || load<u8>(from) != TAG_LIMIT) return false;
  const limit = readVarint(from + 1, end);
  if (!varintOk || limit == 0 || limit > <u64>RECENT_MAX) return false;
  recent.limit = <u32>limit;
  if (varintNext == end) return true;
  if (!enterColumn(varintNext, end, TAG_TIMES) || !decodeTimes(recent)) return false;
  if (!enterColumn(columnAt, end, TAG_POSITIONS) || !decodePositions(recent)) return false;
  if (columnAt >= end) return false;
  const values = recent.entries + 16;
  switch (load<u8>(columnAt)) {
    case TAG_INTEGERS:
      recent.kind = <u32>INTEGER;
      if (!enterColumn(columnAt, end, TAG_INTEGERS)) return false;
      return decodeNumbers(values, ENTRY_SIZE, recent.count) == recent.count && columnAt == end;
    case TAG_REALS:
      recent.kind = <u32>REAL;
      if (!enterColumn(columnAt, end, TAG_REALS)) return false;
      return decodeReals(values, ENTRY_SIZE, recent.count) == recent.count && columnAt == end;
    default:
      recent.kind = <u32>TEXT;
      if (decodeTexts(values, ENTRY_SIZE, recent.count, TAG_TEXTS, RECENT_TEXT_MAX_BYTES, end) != recent.count) return false;
      if (columnAt == end) return true;
      return enterColumn(columnAt, end, TAG_TOO_LONG) && columnEnd == end && decodeTooLong(recent);
  }
}

/** They say how many entries there are, and never descend. */
function decodeTimes(recent: Recent): bool {
  recent.count = decodeNumbers(recent.entries, ENTRY_SIZE, recent.limit);
  let last: i64 = 0;
  for (let i: u32 = 0; i < recent.count; i++) {
    const delta = load<i64>(entryAt(recent, i));
    const time = last + delta;
    if (i > 0 && (delta < 0 || time < last)) return false;
    store<i64>(entryAt(recent, i), time);
    last = time;
  }
  return columnAt == columnEnd;
}

/** They ascend where times are equal. */
function decodePositions(recent: Recent): bool {
  if (decodeNumbers(recent.entries + 8, ENTRY_SIZE, recent.count) != recent.count) return false;
  let last: i64 = 0;
  for (let i: u32 = 0; i < recent.count; i++) {
    const entry = entryAt(recent, i);
    last += load<i64>(entry, 8);
    store<i64>(entry, last, 8);
    if (i > 0 && compareMoments(entry - ENTRY_SIZE, entry) >= 0) return false;
  }
  return columnAt == columnEnd;
}

/** Is what it holds of this kind, and are its texts text? Its bytes alone do not say whose values they are. */
export function isRecentOf(state: usize, kind: i32): bool {
  const recent = recentAt(state);
  if (recent.count == 0) return true;
  if (recent.kind != <u32>kind) return false;
  if (kind != TEXT) return true;
  for (let i: u32 = 0; i < recent.count; i++) {
    const entry = entryAt(recent, i);
    if (!isWellFormed(<usize>load<u32>(entry, 16), keptLength(entry))) return false;
  }
  return true;
}

/** Indices of empty texts, ascending, to the end of the column. */
function decodeTooLong(recent: Recent): bool {
  let least: u64 = 0;
  for (let at = columnAt; at < columnEnd; at = varintNext) {
    const index = readVarint(at, columnEnd);
    if (!varintOk || index < least || index >= <u64>recent.count) return false;
    const value = entryAt(recent, <u32>index) + 16;
    if (load<u32>(value, 4) != 0) return false;
    store<u32>(value, 0);
    store<u32>(value, TOO_LONG, 4);
    least = index + 1;
  }
  return true;
}
