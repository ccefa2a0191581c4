/**
 * Counts of values: how often each value was there. Distinct values, value counts, the most frequent ones, histograms and
 * quantiles are all finished from this one state.
 *
 *   unpacked  limit u32, count u32, kind u32 (0, INTEGER, REAL or TEXT), flags u32, entries u32, capacity u32
 *   entry     value: i64, f64 or (address u32, length u32); times i64
 *
 * Entries ascend by value, each value once, but for those that a tile's batch still collects: they come as the events do, and
 * are put in order when there is no more room or when the state is read. -0 counts as 0, and all NaNs as one value.
 *
 * No more than `limit` values are kept: a state that has had more is overflown, and stays so. A value that was taken away as
 * often as it came stays, with 0 times, and counts towards the limit. For so a state is overflown where more than
 * `limit` different values stand in its events, whatever their weights and however they were cut and merged: a value that
 * left when its times came to 0 would leave in one order of merges before there were too many, and in another after.
 *
 * Who owns entries: those of a batch stand in an arena until the next batch; those that `decodeCounts` makes stand in one of
 * two buffers, until the one after the next is decoded; a state that others are merged into has a block of its own, which
 * grows with it and stays with it when it is cleared.
 */
import { Arena } from './arena';
import { FINISHED, FINISHED_NULL, FINISHED_OVERFLOW } from './finish';
import { INTEGER, REAL, TEXT, canonicalNaN, orderOf } from './kind';
import { allocate, allocateZeroed, release } from './memory';
import { cellAt, nestedCell, takeBlock } from './nested';
import { bucketValue } from './sketch';
import { isWellFormed } from './utf8';
import { readVarint, unzigzag, varintNext, varintOk, writeVarint, zigzag } from './varint';

/** The greatest limit: what is read, merged and answered for one value. */
export const COUNTS_MAX: u32 = 10000;

/** A longer text is not kept: with it a state is overflown. */
export const COUNTS_TEXT_MAX_BYTES: u32 = 1 << 10;

export const COUNTS_SIZE: usize = 24;

/** A state's entries stay with it when it is cleared. */
export const COUNTS_CLEAR: usize = 16;

const ENTRY_SIZE: usize = 16;

const UNORDERED: u32 = 1;
const OVERFLOWN: u32 = 2;

@unmanaged
class Counts {
  limit: u32;
  count: u32;
  kind: u32;
  flags: u32;
  entries: usize;
  capacity: u32;
}

@inline
function countsAt(state: usize): Counts {
  return changetype<Counts>(state);
}

@inline
function entryAt(counts: Counts, index: u32): usize {
  return counts.entries + <usize>index * ENTRY_SIZE;
}

@inline
function timesOf(entry: usize): i64 {
  return load<i64>(entry, 8);
}

@inline
function storeEntry(entry: usize, value: i64, times: i64): void {
  store<i64>(entry, value);
  store<i64>(entry, times, 8);
}

/** Below 0 where the value of the entry at `x` is less than that of the one at `y`, 0 where they are the same. */
@inline
function compareValues(kind: u32, x: usize, y: usize): i32 {
  if (kind == <u32>TEXT) return compareTexts(x, y);
  const left = load<i64>(x);
  const right = load<i64>(y);
  if (left == right) return 0;
  if (kind == <u32>REAL) return orderOf(left) < orderOf(right) ? -1 : 1;
  return left < right ? -1 : 1;
}

function compareTexts(x: usize, y: usize): i32 {
  const left = load<u32>(x, 4);
  const right = load<u32>(y, 4);
  const order = memory.compare(<usize>load<u32>(x), <usize>load<u32>(y), <usize>min(left, right));
  if (order != 0) return order;
  return left == right ? 0 : left < right ? -1 : 1;
}

function overflow(counts: Counts): void {
  counts.count = 0;
  counts.flags = OVERFLOWN;
}

// --- a batch's events, one by one

/** Where a batch's entries stand. */
const collected: Arena = Arena.make();

/** A new batch: the states of the last one are read. */
export function forgetCounts(): void {
  collected.reset();
}

/** Makes a state that is clear ready for `addCount`. */
export function startCounts(state: usize, limit: u32): void {
  assert(limit >= 1 && limit <= COUNTS_MAX);
  const counts = countsAt(state);
  counts.limit = limit;
  counts.entries = 0;
  counts.capacity = 0;
}

/** Adds the value of an event `weight` times. A text is only pointed at. */
export function addCount(state: usize, kind: i32, value: i64, weight: i64): void {
  const counts = countsAt(state);
  counts.kind = <u32>kind;
  if ((counts.flags & OVERFLOWN) != 0) return;
  if (kind == TEXT && <u32>(value >>> 32) > COUNTS_TEXT_MAX_BYTES) return overflow(counts);
  if (counts.count == counts.capacity) {
    makeRoom(counts);
    if ((counts.flags & OVERFLOWN) != 0) return;
  }
  const entry = entryAt(counts, counts.count);
  storeEntry(entry, kind == REAL ? plainReal(value) : value, weight);
  const order = counts.count == 0 ? 1 : compareValues(counts.kind, entry, entry - ENTRY_SIZE);
  // The same value as the one before: nothing more has to stand there.
  if (order == 0) {
    store<i64>(entry - ENTRY_SIZE, timesOf(entry - ENTRY_SIZE) + weight, 8);
    return;
  }
  if (order < 0) counts.flags |= UNORDERED;
  counts.count++;
}

/** All NaNs are one value, and both zeros. */
@inline
function plainReal(bits: i64): i64 {
  return bits == i64.MIN_VALUE ? 0 : canonicalNaN(bits);
}

const CAPACITY_MIN: u32 = 4;

/** Where putting them in order leaves less than half of the room free there will be twice as much: each entry is sorted a few times at most. */
function makeRoom(counts: Counts): void {
  settle(counts);
  if ((counts.flags & OVERFLOWN) != 0 || counts.count << 1 < counts.capacity) return;
  const capacity = max(CAPACITY_MIN, counts.capacity << 1);
  const size = <usize>capacity * ENTRY_SIZE;
  const entries = collected.reserve(size);
  collected.keep(size);
  memory.copy(entries, counts.entries, <usize>counts.count * ENTRY_SIZE);
  counts.entries = entries;
  counts.capacity = capacity;
}

/** Puts the entries in order, each value once. */
function settle(counts: Counts): void {
  if ((counts.flags & UNORDERED) != 0) {
    sortEntries(counts);
    joinEntries(counts);
    counts.flags = 0;
  }
  if (counts.count > counts.limit) overflow(counts);
}

function joinEntries(counts: Counts): void {
  let last: u32 = 0;
  for (let i: u32 = 1; i < counts.count; i++) {
    const entry = entryAt(counts, i);
    const known = entryAt(counts, last);
    if (compareValues(counts.kind, known, entry) == 0) store<i64>(known, timesOf(known) + timesOf(entry), 8);
    else if (++last != i) storeEntry(entryAt(counts, last), load<i64>(entry), timesOf(entry));
  }
  counts.count = last + 1;
}

/** A heap sort: in place, and never worse than n log n. */
function sortEntries(counts: Counts): void {
  const count = counts.count;
  for (let i = count >> 1; i > 0; i--) sink(counts, i - 1, count);
  for (let end = count - 1; end > 0; end--) {
    swap(counts.entries, entryAt(counts, end));
    sink(counts, 0, end);
  }
}

/** Lets an entry sink until none below it, of the first `count`, is greater. */
function sink(counts: Counts, index: u32, count: u32): void {
  while (true) {
    let below = (index << 1) + 1;
    if (below >= count) return;
    if (below + 1 < count && compareValues(counts.kind, entryAt(counts, below), entryAt(counts, below + 1)) < 0) below++;
    const entry = entryAt(counts, index);
    if (compareValues(counts.kind, entry, entryAt(counts, below)) >= 0) return;
    swap(entry, entryAt(counts, below));
    index = below;
  }
}

@inline
function swap(x: usize, y: usize): void {
  const value = load<i64>(x);
  const times = timesOf(x);
  storeEntry(x, load<i64>(y), timesOf(y));
  storeEntry(y, value, times);
}

// --- merging

/** The entries of a merge on their way into a state: one more would be too many. */
const merging: usize = allocateZeroed(<usize>COUNTS_MAX * ENTRY_SIZE);

/**
 * Merges the entries of `from` into `into`, each in order, in one pass. Where limits or kinds differ, the lesser limit and the
 * greater kind win, so that even rows that do not belong together merge in any grouping to the same; no definition makes such.
 */
export function mergeCounts(into: usize, from: usize): void {
  const target = countsAt(into);
  const source = countsAt(from);
  if (source.limit == 0) return;
  target.limit = target.limit == 0 ? source.limit : min(target.limit, source.limit);
  if (source.kind > target.kind) {
    target.kind = source.kind;
    target.count = 0;
    target.flags = 0;
  }
  if (source.kind == target.kind && (source.flags & OVERFLOWN) != 0) overflow(target);
  if ((target.flags & OVERFLOWN) != 0) return;
  if (target.count > target.limit) return overflow(target);
  if (source.kind != target.kind || source.count == 0) return;
  const count = target.count == 0 ? copyEntries(source) : joinSorted(target, source, target.limit);
  if (count > target.limit) return overflow(target);
  own(target, count);
  memory.copy(target.entries, merging, <usize>count * ENTRY_SIZE);
  target.count = count;
}

/** Entries into the buffer, and how many they are: one more than there is room for where they do not fit. */
function copyEntries(source: Counts): u32 {
  memory.copy(merging, source.entries, <usize>source.count * ENTRY_SIZE);
  return source.count;
}

function joinSorted(target: Counts, source: Counts, limit: u32): u32 {
  let left: u32 = 0;
  let right: u32 = 0;
  let count: u32 = 0;
  while (left < target.count || right < source.count) {
    if (count == limit) return limit + 1;
    const x = entryAt(target, left);
    const y = entryAt(source, right);
    const order = left == target.count ? 1 : right == source.count ? -1 : compareValues(target.kind, x, y);
    const to = merging + <usize>count * ENTRY_SIZE;
    if (order == 0) storeEntry(to, load<i64>(x), timesOf(x) + timesOf(y));
    else storeEntry(to, load<i64>(order < 0 ? x : y), timesOf(order < 0 ? x : y));
    if (order <= 0) left++;
    if (order >= 0) right++;
    count++;
  }
  return count;
}

/** Makes room for `count` entries in a state that has a block of its own, or one that is large enough. */
function own(counts: Counts, count: u32): void {
  if (count <= counts.capacity) return;
  const capacity = min(COUNTS_MAX, max(count, counts.capacity << 1));
  release(counts.entries, <usize>counts.capacity * ENTRY_SIZE);
  counts.entries = allocate(<usize>capacity * ENTRY_SIZE);
  counts.capacity = capacity;
}

// --- finishing

/** How many values are there. */
export const DISTINCT: i32 = 1;
/** The value that is there most often, and of those the least. */
export const MODE: i32 = 2;
/** The values that are there most often: their number is the parameter. */
export const TOP: i32 = 3;
/** Values, and how often each is there. */
export const VALUE_COUNTS: i32 = 4;
/** How often each of the values 0, 1 ... is there: how many of them there are is the parameter. */
export const BUCKETS: i32 = 5;
/** Quantiles of what sketch.ts made values of. Parameters: its accuracy, 1 for a list of them or 0 for one alone, and which they are. */
export const QUANTILE: i32 = 6;

/** Writes the 8 bytes of the value, whose lists and texts stand in `arena`; or says why there is none. */
export function finishCounts(finisher: i32, state: usize, parameters: usize, parameterCount: i32, out: usize, arena: Arena): i32 {
  const counts = countsAt(state);
  if ((counts.flags & OVERFLOWN) != 0) return FINISHED_OVERFLOW;
  switch (finisher) {
    case DISTINCT:
      store<i64>(out, distinctOf(counts));
      return FINISHED;
    case MODE:
      return finishMode(counts, out, arena);
    case TOP:
      return finishTop(counts, <u32>load<f64>(parameters), out, arena);
    case VALUE_COUNTS:
      return finishValues(counts, out, arena);
    case BUCKETS:
      return finishBuckets(counts, <i32>load<f64>(parameters), out, arena);
    default:
      return finishQuantiles(counts, parameters, parameterCount, out, arena);
  }
}

function distinctOf(counts: Counts): i64 {
  let distinct: i64 = 0;
  for (let i: u32 = 0; i < counts.count; i++) distinct += <i64>(timesOf(entryAt(counts, i)) != 0);
  return distinct;
}

/** The value of an entry as a cell of its own. */
function putValue(counts: Counts, entry: usize, cell: usize, arena: Arena): void {
  store<i64>(cell, load<i64>(entry));
  if (counts.kind == <u32>TEXT) store<u32>(cell, <u32>arena.copy(<usize>load<u32>(entry), <usize>load<u32>(entry, 4)));
}

function finishMode(counts: Counts, out: usize, arena: Arena): i32 {
  let best: usize = 0;
  for (let i: u32 = 0; i < counts.count; i++) {
    const entry = entryAt(counts, i);
    if (timesOf(entry) > (best == 0 ? 0 : timesOf(best))) best = entry;
  }
  if (best == 0) return FINISHED_NULL;
  putValue(counts, best, out, arena);
  return FINISHED;
}

/** Addresses of the entries that are there most often, from the least often on: a heap whose first is the first to leave. */
const ranked: usize = allocateZeroed(<usize>COUNTS_MAX * sizeof<usize>());
let rankedCount: u32 = 0;

@inline
function rankedAt(index: u32): usize {
  return load<usize>(ranked + <usize>index * sizeof<usize>());
}

@inline
function setRanked(index: u32, entry: usize): void {
  store<usize>(ranked + <usize>index * sizeof<usize>(), entry);
}

/** Is the entry at `x` behind the one at `y`? Entries ascend by value, so of those that are there as often the later is. */
@inline
function isBehind(x: usize, y: usize): bool {
  return timesOf(x) != timesOf(y) ? timesOf(x) < timesOf(y) : x > y;
}

function finishTop(counts: Counts, most: u32, out: usize, arena: Arena): i32 {
  rankedCount = 0;
  for (let i: u32 = 0; i < counts.count; i++) if (timesOf(entryAt(counts, i)) > 0) rank(entryAt(counts, i), most);
  const length = rankedCount;
  const block = takeBlock(arena, <i32>length);
  for (let i = length; i > 0; i--) {
    putValue(counts, rankedAt(0), cellAt(block, <i32>i - 1), arena);
    rankedCount--;
    setRanked(0, rankedAt(rankedCount));
    sinkRanked(0);
  }
  store<u64>(out, nestedCell(block, <i32>length));
  return FINISHED;
}

function rank(entry: usize, most: u32): void {
  if (rankedCount == most) {
    if (isBehind(entry, rankedAt(0))) return;
    setRanked(0, entry);
    return sinkRanked(0);
  }
  let index = rankedCount++;
  for (; index > 0 && isBehind(entry, rankedAt((index - 1) >> 1)); index = (index - 1) >> 1)
    setRanked(index, rankedAt((index - 1) >> 1));
  setRanked(index, entry);
}

/** Lets the entry at `index` sink until none below it is behind it. */
function sinkRanked(index: u32): void {
  const entry = rankedAt(index);
  while (true) {
    let below = (index << 1) + 1;
    if (below >= rankedCount) break;
    if (below + 1 < rankedCount && isBehind(rankedAt(below + 1), rankedAt(below))) below++;
    if (!isBehind(rankedAt(below), entry)) break;
    setRanked(index, rankedAt(below));
    index = below;
  }
  setRanked(index, entry);
}

/** A map's block: all values, and behind them how often each is there. */
function finishValues(counts: Counts, out: usize, arena: Arena): i32 {
  const length = <i32>distinctOf(counts);
  const block = takeBlock(arena, length * 2);
  let at = 0;
  for (let i: u32 = 0; i < counts.count; i++) {
    const entry = entryAt(counts, i);
    if (timesOf(entry) == 0) continue;
    putValue(counts, entry, cellAt(block, at), arena);
    store<i64>(cellAt(block, length + at), timesOf(entry));
    at++;
  }
  store<u64>(out, nestedCell(block, length * 2));
  return FINISHED;
}

function finishBuckets(counts: Counts, length: i32, out: usize, arena: Arena): i32 {
  const block = takeBlock(arena, length);
  for (let i = 0; i < length; i++) store<i64>(cellAt(block, i), 0);
  for (let i: u32 = 0; i < counts.count; i++) {
    const bucket = load<i64>(entryAt(counts, i));
    // Of damaged rows alone.
    if (<u64>bucket >= <u64>length) return FINISHED_OVERFLOW;
    store<i64>(cellAt(block, <i32>bucket), timesOf(entryAt(counts, i)));
  }
  store<u64>(out, nestedCell(block, length));
  return FINISHED;
}

function finishQuantiles(counts: Counts, parameters: usize, parameterCount: i32, out: usize, arena: Arena): i32 {
  const accuracy = load<f64>(parameters);
  let total: i64 = 0;
  for (let i: u32 = 0; i < counts.count; i++) total += max<i64>(0, timesOf(entryAt(counts, i)));
  if (total <= 0) return FINISHED_NULL;
  if (load<f64>(parameters, 8) == 0) {
    store<f64>(out, quantileOf(counts, accuracy, total, load<f64>(parameters, 16)));
    return FINISHED;
  }
  const length = parameterCount - 2;
  const block = takeBlock(arena, length);
  for (let i = 0; i < length; i++) {
    const quantile = load<f64>(parameters + (<usize>(i + 2) << 3));
    store<f64>(cellAt(block, i), quantileOf(counts, accuracy, total, quantile));
  }
  store<u64>(out, nestedCell(block, length));
  return FINISHED;
}

/** The bucket that holds the value with so many below it: of the total less one, that part, rounded down. */
function quantileOf(counts: Counts, accuracy: f64, total: i64, quantile: f64): f64 {
  const rank = <i64>Math.floor(quantile * <f64>(total - 1));
  let below: i64 = 0;
  let last: i64 = 0;
  for (let i: u32 = 0; i < counts.count; i++) {
    const times = timesOf(entryAt(counts, i));
    if (times <= 0) continue;
    last = load<i64>(entryAt(counts, i));
    below += times;
    if (below > rank) break;
  }
  return bucketValue(last, accuracy);
}

// --- encoding, as ValueCounts of row.proto

/** Room for what `encodeCounts` writes, its numbers each at their longest. */
export function countsSizeMax(state: usize): usize {
  const counts = countsAt(state);
  let size: usize = 64 + <usize>counts.count * 32;
  if (counts.kind == <u32>TEXT) for (let i: u32 = 0; i < counts.count; i++) size += <usize>load<u32>(entryAt(counts, i), 4);
  return size;
}

const TAG_LIMIT: u8 = 0x08;
const TAG_INTEGERS: u8 = 0x12;
const TAG_REALS: u8 = 0x1a;
const TAG_TEXTS: u8 = 0x22;
const TAG_TIMES: u8 = 0x2a;
const TAG_OVERFLOWN: u8 = 0x30;

/** Writes the state as ValueCounts, and returns the end of it. The state is put in order first. */
export function encodeCounts(state: usize, out: usize): usize {
  const counts = countsAt(state);
  settle(counts);
  if (counts.limit == 0) return out;
  store<u8>(out, TAG_LIMIT);
  let at = out + 1 + writeVarint(out + 1, <u64>counts.limit);
  if ((counts.flags & OVERFLOWN) != 0) {
    store<u8>(at, TAG_OVERFLOWN);
    store<u8>(at, <u8>counts.kind, 1);
    return at + 2;
  }
  if (counts.count == 0) return at;
  at = encodeValues(counts, at);
  const end = encodeTimes(counts, at + COLUMN_HEAD);
  return closeColumn(at, TAG_TIMES, end);
}

function encodeValues(counts: Counts, at: usize): usize {
  if (counts.kind == <u32>INTEGER) return closeColumn(at, TAG_INTEGERS, encodeIntegers(counts, at + COLUMN_HEAD));
  if (counts.kind == <u32>TEXT) return encodeTexts(counts, at);
  const column = at + COLUMN_HEAD;
  for (let i: u32 = 0; i < counts.count; i++) store<i64>(column + (<usize>i << 3), load<i64>(entryAt(counts, i)));
  return closeColumn(at, TAG_REALS, column + (<usize>counts.count << 3));
}

/** Before its size is known a column is written behind the longest head that one can have: no column has 2^21 bytes. */
const COLUMN_HEAD: usize = 4;

/** Puts the head of the column that ends at `end` at `at`, and the column right behind it. */
function closeColumn(at: usize, tag: u8, end: usize): usize {
  const from = at + COLUMN_HEAD;
  const size = end - from;
  store<u8>(at, tag);
  const head: usize = 1 + writeVarint(at + 1, <u64>size);
  memory.copy(at + head, from, size);
  return at + head + size;
}

/** The first as it is, each other one as what it is more than the one before, in 64 bits. */
function encodeIntegers(counts: Counts, at: usize): usize {
  let last: i64 = 0;
  for (let i: u32 = 0; i < counts.count; i++) {
    const value = load<i64>(entryAt(counts, i));
    at += writeVarint(at, zigzag(value - last));
    last = value;
  }
  return at;
}

function encodeTexts(counts: Counts, at: usize): usize {
  for (let i: u32 = 0; i < counts.count; i++) {
    const entry = entryAt(counts, i);
    const length = <usize>load<u32>(entry, 4);
    store<u8>(at++, TAG_TEXTS);
    at += writeVarint(at, <u64>length);
    memory.copy(at, <usize>load<u32>(entry), length);
    at += length;
  }
  return at;
}

function encodeTimes(counts: Counts, at: usize): usize {
  for (let i: u32 = 0; i < counts.count; i++) at += writeVarint(at, zigzag(timesOf(entryAt(counts, i))));
  return at;
}

// --- decoding

/** Entries of the last two states that were decoded. */
const decodedEven: usize = allocateZeroed(<usize>COUNTS_MAX * ENTRY_SIZE);
const decodedOdd: usize = allocateZeroed(<usize>COUNTS_MAX * ENTRY_SIZE);
let isOdd: bool = false;

/** The column that is being read: `columnAt` is where it goes on, or where what is behind it begins. */
let columnAt: usize = 0;
let columnEnd: usize = 0;

/** Unpacks the ValueCounts in [from, end); false where the bytes are not its one canonical spelling. */
export function decodeCounts(from: usize, end: usize, state: usize): bool {
  isOdd = !isOdd;
  const counts = countsAt(state);
  memory.fill(state, 0, COUNTS_CLEAR);
  counts.entries = isOdd ? decodedOdd : decodedEven;
  counts.capacity = COUNTS_MAX;
  if (from >= end || load<u8>(from) != TAG_LIMIT) return false;
  const limit = readVarint(from + 1, end);
  if (!varintOk || limit == 0 || limit > <u64>COUNTS_MAX) return false;
  counts.limit = <u32>limit;
  const at = varintNext;
  if (at == end) return true;
  switch (load<u8>(at)) {
    case TAG_OVERFLOWN: {
      const kind = end - at == 2 ? <u32>load<u8>(at, 1) : 0;
      counts.kind = kind;
      counts.flags = OVERFLOWN;
      return kind >= <u32>INTEGER && kind <= <u32>TEXT;
    }
    case TAG_INTEGERS:
      counts.kind = <u32>INTEGER;
      return enterColumn(at, end, TAG_INTEGERS) && decodeIntegers(counts) && decodeTimes(counts, end);
    case TAG_REALS:
      counts.kind = <u32>REAL;
      return enterColumn(at, end, TAG_REALS) && decodeReals(counts) && decodeTimes(counts, end);
    default:
      counts.kind = <u32>TEXT;
      columnAt = at;
      return decodeTexts(counts, end) && decodeTimes(counts, end);
  }
}

/** Enters the packed column that has to stand at `at`; an empty one is not written. */
function enterColumn(at: usize, end: usize, tag: u8): bool {
  if (at >= end || load<u8>(at) != tag) return false;
  const size = readVarint(at + 1, end);
  if (!varintOk || size == 0 || size > <u64>(end - varintNext)) return false;
  columnAt = varintNext;
  columnEnd = varintNext + <usize>size;
  return true;
}

function decodeIntegers(counts: Counts): bool {
  let last: i64 = 0;
  for (; columnAt < columnEnd; counts.count++) {
    if (counts.count == counts.limit) return false;
    const value = last + unzigzag(readVarint(columnAt, columnEnd));
    if (!varintOk || (counts.count > 0 && value <= last)) return false;
    store<i64>(entryAt(counts, counts.count), value);
    columnAt = varintNext;
    last = value;
  }
  return true;
}

function decodeReals(counts: Counts): bool {
  const size = columnEnd - columnAt;
  if ((size & 7) != 0 || size >> 3 > <usize>counts.limit) return false;
  for (; columnAt < columnEnd; columnAt += 8, counts.count++) {
    const bits = load<i64>(columnAt);
    const entry = entryAt(counts, counts.count);
    store<i64>(entry, bits);
    if (plainReal(bits) != bits) return false;
    if (counts.count > 0 && compareValues(<u32>REAL, entry - ENTRY_SIZE, entry) >= 0) return false;
  }
  return true;
}

function decodeTexts(counts: Counts, end: usize): bool {
  for (; columnAt < end && load<u8>(columnAt) == TAG_TEXTS; counts.count++) {
    if (counts.count == counts.limit) return false;
    const length = readVarint(columnAt + 1, end);
    if (!varintOk || length > <u64>COUNTS_TEXT_MAX_BYTES || length > <u64>(end - varintNext)) return false;
    const entry = entryAt(counts, counts.count);
    store<u32>(entry, <u32>varintNext);
    store<u32>(entry, <u32>length, 4);
    if (counts.count > 0 && compareTexts(entry - ENTRY_SIZE, entry) >= 0) return false;
    columnAt = varintNext + <usize>length;
  }
  return counts.count > 0;
}

/** As many as there are values, and nothing behind them. */
function decodeTimes(counts: Counts, end: usize): bool {
  if (!enterColumn(columnAt, end, TAG_TIMES) || columnEnd != end) return false;
  for (let i: u32 = 0; i < counts.count; i++) {
    const times = unzigzag(readVarint(columnAt, columnEnd));
    if (!varintOk) return false;
    store<i64>(entryAt(counts, i), times, 8);
    columnAt = varintNext;
  }
  return columnAt == columnEnd;
}

/** Is what it holds of this kind, and are its texts text? Its bytes alone do not say whose values they are. */
export function isCountsOf(state: usize, kind: i32): bool {
  const counts = countsAt(state);
  if (counts.kind == 0) return true;
  if (counts.kind != <u32>kind) return false;
  if (kind != TEXT) return true;
  for (let i: u32 = 0; i < counts.count; i++) {
    const entry = entryAt(counts, i);
    if (!isWellFormed(<usize>load<u32>(entry), <usize>load<u32>(entry, 4))) return false;
  }
  return true;
}
