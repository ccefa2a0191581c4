/**
 * Values in an order, at most `limit` of them.
 *
 *   case           in the order of                                 beyond the limit
 *   FIRST_N        (time, position)                                the first remain
 *   LAST_DISTINCT  (time, position), the latest first; of events   the first remain
 *                  with the same value the latest
 *   LIST           (time, position)                                the state is over
 *   GREATEST       the values, the greatest first                  the first remain
 *   LEAST          the values                                      the first remain
 *   SET            the values, each once                           the state is over
 *   ARG_MAX        the ranks, the greatest first; (time, position) the first remain
 *   ARG_MIN        the ranks; (time, position)                     the first remain
 *
 * Whatever remains is a function of the events alone: what leaves a part of them would leave the whole, for as many others
 * are before it there. A state that is over stays so, for events only come to it.
 *
 *   unpacked  see Ranking
 *   entry     time i64, position i64, value, rank: i64, f64 or (address u32, length u32)
 *
 * Entries are in order, but for those that a tile's batch still collects: they come as the events do, up to twice the limit,
 * and are put in order when there is no more room or when the state is read; then what is not before the last of them is
 * not taken any more. Who owns entries is as with LAST_N (last_n.ts).
 *
 * Of a text longer than TEXT_MAX the first TEXT_MAX bytes are kept, with a mark: it is cut. In the order of texts it stands
 * behind what it begins with, where the whole text would; only cut ones among each other may stand otherwise. While a cut text
 * is among those that remain, there is no value, so it does not matter which. A list or a set with such a text is over.
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
  passColumn,
  startColumn,
  sumDeltas,
} from './columns';
import { hashKey } from './key';
import { INTEGER, REAL, TEXT, canonicalNaN, orderOf } from './kind';
import { RECENT_MAX, RECENT_TEXT_MAX_BYTES } from './last_n';
import { allocate, allocateZeroed, release } from './memory';
import { cellAt, nestedCell, takeBlock } from './nested';
import { isWellFormed } from './utf8';
import { readVarint, varintNext, varintOk, writeVarint } from './varint';

// Fields of FeatureValue, as aggregate.ts has the others.
export const FIRST_N: i32 = 20;
export const LAST_DISTINCT: i32 = 21;
export const LIST: i32 = 22;
export const GREATEST: i32 = 23;
export const LEAST: i32 = 24;
export const SET: i32 = 25;
export const ARG_MAX: i32 = 26;
export const ARG_MIN: i32 = 27;

@inline
export function isRanking(aggregateCase: i32): bool {
  return aggregateCase >= FIRST_N && aggregateCase <= ARG_MIN;
}

/** Lists are as long as those of LAST_N, and texts too. */
const LIMIT_MAX: u32 = RECENT_MAX;
const TEXT_MAX: u32 = RECENT_TEXT_MAX_BYTES;

/** In the length of a cut text. */
const CUT: u32 = 0x80000000;

@unmanaged
class Ranking {
  limit: u32;
  count: u32;
  /** What values and ranks are: INTEGER, REAL, TEXT, or 0 where there are none. */
  kind: u32;
  rankKind: u32;
  /** Of neighbours among the entries that came since: do some ascend, do some descend in the order? */
  order: u32;
  isOver: u32;
  /** How many entries, from the first on, were put in order last. */
  settled: u32;
  /** Of a batch: what its ranks are, and where they stand in its events. */
  batchRankKind: u32;
  entries: usize;
  capacity: u32;
  rankAt: usize;
  nullAt: usize;
}

export const RANKING_SIZE: usize = 48;
assert(offsetof<Ranking>() <= RANKING_SIZE);

/** Entries stay with the state when it is cleared. */
export const RANKING_CLEAR: usize = 32;

const ENTRY_SIZE: usize = 32;

const ASCENDS: u32 = 1;
const DESCENDS: u32 = 2;

@inline
function rankingAt(state: usize): Ranking {
  return changetype<Ranking>(state);
}

@inline
function entryAt(ranking: Ranking, index: u32): usize {
  return ranking.entries + <usize>index * ENTRY_SIZE;
}

@inline
function hasRanks(aggregateCase: i32): bool {
  return aggregateCase == ARG_MAX || aggregateCase == ARG_MIN;
}

/** Are entries told apart by when they were? */
@inline
function hasMoments(aggregateCase: i32): bool {
  return aggregateCase != GREATEST && aggregateCase != LEAST && aggregateCase != SET;
}

/** Is it all or nothing? */
@inline
function isWhole(aggregateCase: i32): bool {
  return aggregateCase == LIST || aggregateCase == SET;
}

/** Does each value stand there once? */
@inline
function isDistinct(aggregateCase: i32): bool {
  return aggregateCase == LAST_DISTINCT || aggregateCase == SET;
}

// --- the order

/** Below 0 where the entry at `x` comes before the one at `y`. 0: they are of the same event, or their values are equal. */
function compare(aggregateCase: i32, ranking: Ranking, x: usize, y: usize): i32 {
  switch (aggregateCase) {
    case FIRST_N:
    case LIST:
      return compareMoments(x, y);
    case LAST_DISTINCT:
      return compareMoments(y, x);
    case GREATEST:
      return compareCells(ranking.kind, y + VALUE_AT, x + VALUE_AT);
    case LEAST:
    case SET:
      return compareCells(ranking.kind, x + VALUE_AT, y + VALUE_AT);
    default: {
      const order = compareCells(ranking.rankKind, x + RANK_AT, y + RANK_AT);
      if (order == 0) return compareMoments(x, y);
      return aggregateCase == ARG_MAX ? -order : order;
    }
  }
}

const VALUE_AT: usize = 16;
const RANK_AT: usize = 24;

@inline
function compareMoments(x: usize, y: usize): i32 {
  const order = compareWords(load<i64>(x), load<i64>(y));
  return order != 0 ? order : compareWords(load<i64>(x, 8), load<i64>(y, 8));
}

@inline
function compareWords(x: i64, y: i64): i32 {
  return <i32>(x > y) - <i32>(x < y);
}

@inline
function compareCells(kind: u32, x: usize, y: usize): i32 {
  if (kind == <u32>INTEGER) return compareWords(load<i64>(x), load<i64>(y));
  if (kind == <u32>REAL) return compareWords(orderOf(load<i64>(x)), orderOf(load<i64>(y)));
  return compareTexts(x, y);
}

/** By their bytes; what is cut stands behind what it begins with. */
function compareTexts(x: usize, y: usize): i32 {
  const xLength = keptLength(x);
  const yLength = keptLength(y);
  const order = memory.compare(<usize>load<u32>(x), <usize>load<u32>(y), min(xLength, yLength));
  if (order != 0) return order < 0 ? -1 : 1;
  return compareWords(<i64>load<u32>(x, 4), <i64>load<u32>(y, 4));
}

@inline
function keptLength(cell: usize): usize {
  return <usize>(load<u32>(cell, 4) & ~CUT);
}

@inline
function isCut(cell: usize): bool {
  return (load<u32>(cell, 4) & CUT) != 0;
}

/** What is kept of a value. */
@inline
function keep(kind: i32, value: i64): i64 {
  if (kind == REAL) return canonicalNaN(value);
  if (kind != TEXT || <u32>(value >>> 32) <= TEXT_MAX) return value;
  return (value & 0xffffffff) | (<i64>(<u64>(TEXT_MAX | CUT) << 32));
}

/** -0 and 0 are equal, so that among distinct values they are one. */
@inline
function withoutSign(kind: i32, value: i64): i64 {
  return kind == REAL && value == i64.MIN_VALUE ? 0 : value;
}

// --- a batch's events, one by one

/** Where a batch's entries stand. */
const collected: Arena = Arena.make();

/** A new batch: the states of the last one are read. */
export function forgetRankings(): void {
  collected.reset();
}

/** Makes a state that is clear ready for `addRanked`. */
export function startRanking(state: usize, limit: u32): void {
  assert(limit >= 1 && limit <= LIMIT_MAX);
  const ranking = rankingAt(state);
  ranking.limit = limit;
  ranking.entries = 0;
  ranking.capacity = 0;
}

/** Where in events their ranks stand, and the byte that says whether one is null. */
export function rankBy(state: usize, rankAt: usize, nullAt: usize, kind: i32): void {
  const ranking = rankingAt(state);
  ranking.rankAt = rankAt;
  ranking.nullAt = nullAt;
  ranking.batchRankKind = <u32>kind;
}

/** Adds the value of an event, whose rank stands in it: where that is null, nothing. A text is only pointed at. */
export function addRanked(
  aggregateCase: i32,
  state: usize,
  kind: i32,
  time: i64,
  position: i64,
  event: usize,
  value: i64,
): void {
  const ranking = rankingAt(state);
  if (ranking.isOver != 0) return;
  if (hasRanks(aggregateCase) && load<u8>(event + ranking.nullAt) != 0) return;
  if (isWhole(aggregateCase) && kind == TEXT && <u32>(value >>> 32) > TEXT_MAX) return runOver(ranking);
  if (ranking.count == ranking.capacity) {
    makeRoom(aggregateCase, ranking);
    if (ranking.isOver != 0) return;
  }
  const entry = entryAt(ranking, ranking.count);
  const kept = keep(kind, value);
  const isTimed = hasMoments(aggregateCase);
  store<i64>(entry, isTimed ? time : 0);
  store<i64>(entry, isTimed ? position : 0, 8);
  store<i64>(entry, isDistinct(aggregateCase) ? withoutSign(kind, kept) : kept, VALUE_AT);
  store<i64>(entry, 0, RANK_AT);
  ranking.kind = <u32>kind;
  if (hasRanks(aggregateCase)) {
    ranking.rankKind = ranking.batchRankKind;
    store<i64>(entry, keep(<i32>ranking.rankKind, load<i64>(event + ranking.rankAt)), RANK_AT);
  }
  if (ranking.count > 0) {
    const isFull = ranking.settled == ranking.limit && !isWhole(aggregateCase);
    if (isFull && compare(aggregateCase, ranking, entry, entryAt(ranking, ranking.limit - 1)) >= 0) return;
    ranking.order |= compare(aggregateCase, ranking, entry, entry - ENTRY_SIZE) < 0 ? DESCENDS : ASCENDS;
  }
  ranking.count++;
}

const CAPACITY_MIN: u32 = 2;

/** At twice the limit those beyond the limit leave instead: so each entry is moved a few times at most. */
function makeRoom(aggregateCase: i32, ranking: Ranking): void {
  if (ranking.count >= ranking.limit << 1) return settle(aggregateCase, ranking);
  const capacity = min(max(CAPACITY_MIN, ranking.capacity << 1), ranking.limit << 1);
  const size = <usize>capacity * ENTRY_SIZE;
  const entries = collected.reserve(size);
  collected.keep(size);
  memory.copy(entries, ranking.entries, <usize>ranking.count * ENTRY_SIZE);
  ranking.entries = entries;
  ranking.capacity = capacity;
}

/** Puts the entries in order, and leaves those that remain. */
function settle(aggregateCase: i32, ranking: Ranking): void {
  if (ranking.settled == ranking.count) return;
  if ((ranking.order & DESCENDS) != 0) {
    if ((ranking.order & ASCENDS) != 0) sortEntries(aggregateCase, ranking);
    else reverseEntries(ranking);
  }
  if (isDistinct(aggregateCase)) dropTwins(aggregateCase, ranking);
  cutTo(aggregateCase, ranking, ranking.limit);
  setOrdered(ranking);
}

@inline
function setOrdered(ranking: Ranking): void {
  ranking.settled = ranking.count;
  ranking.order = ranking.count > 1 ? ASCENDS : 0;
}

/** Entries are in order. */
@inline
function cutTo(aggregateCase: i32, ranking: Ranking, limit: u32): void {
  if (ranking.count <= limit) return;
  if (isWhole(aggregateCase)) runOver(ranking);
  else ranking.count = limit;
}

/** There are more than can be kept, from now on for ever. */
function runOver(ranking: Ranking): void {
  ranking.isOver = 1;
  ranking.count = 0;
  ranking.kind = 0;
  ranking.rankKind = 0;
  setOrdered(ranking);
}

/** A heap sort: in place, and never worse than n log n. */
function sortEntries(aggregateCase: i32, ranking: Ranking): void {
  const count = ranking.count;
  for (let i = count >> 1; i > 0; i--) sink(aggregateCase, ranking, i - 1, count);
  for (let end = count - 1; end > 0; end--) {
    swap(ranking.entries, entryAt(ranking, end));
    sink(aggregateCase, ranking, 0, end);
  }
}

/** Lets an entry sink until none below it, of the first `count`, comes after it. */
function sink(aggregateCase: i32, ranking: Ranking, index: u32, count: u32): void {
  while (true) {
    let below = (index << 1) + 1;
    if (below >= count) return;
    if (
      below + 1 < count &&
      compare(aggregateCase, ranking, entryAt(ranking, below), entryAt(ranking, below + 1)) < 0
    )
      below++;
    const entry = entryAt(ranking, index);
    if (compare(aggregateCase, ranking, entry, entryAt(ranking, below)) >= 0) return;
    swap(entry, entryAt(ranking, below));
    index = below;
  }
}

function reverseEntries(ranking: Ranking): void {
  for (let i: u32 = 0, j = ranking.count - 1; i < j; i++, j--) swap(entryAt(ranking, i), entryAt(ranking, j));
}

@inline
function swap(x: usize, y: usize): void {
  for (let at: usize = 0; at < ENTRY_SIZE; at += 8) {
    const word = load<i64>(x + at);
    store<i64>(x + at, load<i64>(y + at));
    store<i64>(y + at, word);
  }
}

@inline
function copyEntry(to: usize, from: usize): void {
  for (let at: usize = 0; at < ENTRY_SIZE; at += 8) store<i64>(to + at, load<i64>(from + at));
}

/** Leaves of entries with the same value the first; of the latest no more than the limit. */
function dropTwins(aggregateCase: i32, ranking: Ranking): void {
  if (aggregateCase == LAST_DISTINCT) startSeen(ranking.entries, ranking.kind);
  const most = aggregateCase == LAST_DISTINCT ? ranking.limit : u32.MAX_VALUE;
  let kept: u32 = 0;
  for (let i: u32 = 0; i < ranking.count && kept < most; i++) {
    const entry = entryAt(ranking, i);
    const isNew =
      aggregateCase == LAST_DISTINCT
        ? see(entry, kept)
        : kept == 0 || compare(SET, ranking, entryAt(ranking, kept - 1), entry) != 0;
    if (!isNew) continue;
    if (kept < i) copyEntry(entryAt(ranking, kept), entry);
    kept++;
  }
  ranking.count = kept;
}

// --- values that were seen

/** Four places for each: probes are short. */
const SEEN_SIZE: u32 = 4096;
assert(SEEN_SIZE >= LIMIT_MAX << 2);
/** (stamp u32, index of the entry u32): a place of an older stamp is empty, so nothing is ever cleared. */
const seenPlaces: usize = allocateZeroed(<usize>SEEN_SIZE << 3);
let seenStamp: u32 = 0;
let seenEntries: usize = 0;
let seenKind: u32 = 0;

/** Entries that are seen from now on stand from `entries` on, and their values are of this kind. */
function startSeen(entries: usize, kind: u32): void {
  seenStamp++;
  seenEntries = entries;
  seenKind = kind;
}

/** Is its value new? Then it is seen from now on, as that of the entry that is going to stand at `index`. At most LIMIT_MAX are new. */
function see(entry: usize, index: u32): bool {
  const cell = entry + VALUE_AT;
  const hash =
    seenKind == <u32>TEXT
      ? hashKey(0, <usize>load<u32>(cell), keptLength(cell))
      : <u32>((load<u64>(cell) * 0x9e3779b97f4a7c15) >> 32);
  let place = (hash ^ (hash >> 15)) & (SEEN_SIZE - 1);
  while (true) {
    const at = seenPlaces + (<usize>place << 3);
    if (load<u32>(at) != seenStamp) {
      store<u32>(at, seenStamp);
      store<u32>(at, index, 4);
      return true;
    }
    const known = seenEntries + <usize>load<u32>(at, 4) * ENTRY_SIZE;
    if (compareCells(seenKind, known + VALUE_AT, cell) == 0) return false;
    place = (place + 1) & (SEEN_SIZE - 1);
  }
}

// --- merging

/** The entries of a merge on their way into a state, and one that is too many. */
const merging: usize = allocateZeroed(<usize>(RECENT_MAX + 1) * ENTRY_SIZE);

/**
 * Merges the entries of `from` into `into`, each in order, in one pass; an event that both have is there once. Where limits
 * or kinds differ, the lesser limit and the greater kinds win; no definition makes such.
 */
export function mergeRanked(aggregateCase: i32, into: usize, from: usize): void {
  const target = rankingAt(into);
  const source = rankingAt(from);
  if (source.limit == 0) return;
  target.limit = target.limit == 0 ? source.limit : min(target.limit, source.limit);
  if (target.isOver != 0) return;
  const most = max(source.count, target.count);
  if (source.isOver != 0 || (isWhole(aggregateCase) && most > target.limit)) return runOver(target);
  if (kindsOf(source) > kindsOf(target)) {
    target.kind = source.kind;
    target.rankKind = source.rankKind;
    target.count = 0;
  }
  cutTo(aggregateCase, target, target.limit);
  if (source.count > 0 && kindsOf(source) == kindsOf(target))
    mergeEntries(aggregateCase, target, source);
  setOrdered(target);
}

@inline
function kindsOf(ranking: Ranking): u32 {
  return (ranking.kind << 2) | ranking.rankKind;
}

function mergeEntries(aggregateCase: i32, target: Ranking, source: Ranking): void {
  const limit = target.limit;
  own(target, min(limit, target.count + source.count));
  const isBehind =
    target.count == 0 ||
    (aggregateCase != LAST_DISTINCT &&
      compare(aggregateCase, target, entryAt(target, target.count - 1), source.entries) < 0);
  if (!isBehind) return interleave(aggregateCase, target, source);
  const count = min(limit - target.count, source.count);
  if (count < source.count && isWhole(aggregateCase)) return runOver(target);
  memory.copy(entryAt(target, target.count), source.entries, <usize>count * ENTRY_SIZE);
  target.count += count;
}

function interleave(aggregateCase: i32, target: Ranking, source: Ranking): void {
  const most = isWhole(aggregateCase) ? target.limit + 1 : target.limit;
  const keepsTwins = aggregateCase == GREATEST || aggregateCase == LEAST;
  if (aggregateCase == LAST_DISTINCT) startSeen(merging, target.kind);
  let left: u32 = 0;
  let right: u32 = 0;
  let count: u32 = 0;
  while (count < most && (left < target.count || right < source.count)) {
    const order =
      left == target.count
        ? 1
        : right == source.count
          ? -1
          : compare(aggregateCase, target, entryAt(target, left), entryAt(source, right));
    const entry = order <= 0 ? entryAt(target, left) : entryAt(source, right);
    if (order <= 0) left++;
    if (order > 0 || (order == 0 && !keepsTwins)) right++;
    if (aggregateCase == LAST_DISTINCT && !see(entry, count)) continue;
    copyEntry(merging + <usize>count * ENTRY_SIZE, entry);
    count++;
  }
  if (count > target.limit) return runOver(target);
  memory.copy(target.entries, merging, <usize>count * ENTRY_SIZE);
  target.count = count;
}

/** Of LAST_DISTINCT: can nothing that is earlier than this moment (microseconds) be among the latest any more? */
@inline
export function isDistinctSince(state: usize, micros: i64): bool {
  const ranking = rankingAt(state);
  const count = ranking.count;
  return ranking.limit > 0 && count == ranking.limit && load<i64>(entryAt(ranking, count - 1)) >= micros;
}

/** Makes room for `count` entries in a state that has a block of its own, or one that is large enough. */
function own(ranking: Ranking, count: u32): void {
  if (count <= ranking.capacity) return;
  const capacity = min(LIMIT_MAX, max(count, ranking.capacity << 1));
  const entries = allocate(<usize>capacity * ENTRY_SIZE);
  memory.copy(entries, ranking.entries, <usize>ranking.count * ENTRY_SIZE);
  release(ranking.entries, <usize>ranking.capacity * ENTRY_SIZE);
  ranking.entries = entries;
  ranking.capacity = capacity;
}

// --- finishing

/** Is there a value at all? Not where there are too many, or where a text that decides is cut. */
export function isRankedOver(aggregateCase: i32, state: usize): bool {
  const ranking = rankingAt(state);
  if (ranking.isOver != 0) return true;
  const isText = ranking.kind == <u32>TEXT;
  const isRankText = hasRanks(aggregateCase) && ranking.rankKind == <u32>TEXT;
  if (!isText && !isRankText) return false;
  for (let i: u32 = 0; i < ranking.count; i++) {
    const entry = entryAt(ranking, i);
    if ((isText && isCut(entry + VALUE_AT)) || (isRankText && isCut(entry + RANK_AT))) return true;
  }
  return false;
}

/** How a state of several values is finished: by the first of them alone; else by all, as a list. */
export const AS_FIRST: i32 = 1;

/** Writes the first value, whose text stands in `arena` then; false where there is none. */
export function finishFirst(state: usize, out: usize, arena: Arena): bool {
  const ranking = rankingAt(state);
  if (ranking.count == 0) return false;
  copyValue(ranking, 0, out, arena);
  return true;
}

/** Writes the cell of a list of the values, in their order, whose block and texts stand in `arena`. */
export function finishList(state: usize, out: usize, arena: Arena): void {
  const ranking = rankingAt(state);
  const block = takeBlock(arena, <i32>ranking.count);
  for (let i: u32 = 0; i < ranking.count; i++) copyValue(ranking, i, cellAt(block, <i32>i), arena);
  store<u64>(out, nestedCell(block, <i32>ranking.count));
}

@inline
function copyValue(ranking: Ranking, index: u32, to: usize, arena: Arena): void {
  const value = entryAt(ranking, index) + VALUE_AT;
  store<i64>(to, load<i64>(value));
  if (ranking.kind == <u32>TEXT) store<u32>(to, <u32>arena.copy(<usize>load<u32>(value), keptLength(value)));
}

// --- encoding, as Ranking of row.proto

/** Room for what `encodeRanked` writes, its numbers each at their longest. */
export function rankedSizeMax(state: usize): usize {
  const ranking = rankingAt(state);
  let size: usize = 128 + <usize>ranking.count * 60;
  for (let i: u32 = 0; i < ranking.count; i++) {
    if (ranking.kind == <u32>TEXT) size += keptLength(entryAt(ranking, i) + VALUE_AT);
    if (ranking.rankKind == <u32>TEXT) size += keptLength(entryAt(ranking, i) + RANK_AT);
  }
  return size;
}

const TAG_LIMIT: u8 = 0x08;
const TAG_OVER: u8 = 0x10;
const TAG_TIMES: u8 = 0x1a;
const TAG_POSITIONS: u8 = 0x22;
/** Integers; behind it each 8 more: doubles, texts, and which texts are cut. */
const TAG_VALUES: u8 = 0x2a;
const TAG_RANKS: u8 = 0x4a;

/** Writes the state as a Ranking, and returns the end of it. The state is put in order first. */
export function encodeRanked(aggregateCase: i32, state: usize, out: usize): usize {
  const ranking = rankingAt(state);
  settle(aggregateCase, ranking);
  if (ranking.limit == 0) return out;
  store<u8>(out, TAG_LIMIT);
  let at = out + 1 + writeVarint(out + 1, <u64>ranking.limit);
  if (ranking.isOver != 0) {
    store<u8>(at++, TAG_OVER);
    store<u8>(at++, 1);
  }
  if (ranking.count == 0) return at;
  const first = ranking.entries;
  const count = ranking.count;
  if (hasMoments(aggregateCase)) {
    at = closeColumn(at, TAG_TIMES, encodeDeltas(first, ENTRY_SIZE, count, at + COLUMN_HEAD));
    at = closeColumn(at, TAG_POSITIONS, encodeDeltas(first + 8, ENTRY_SIZE, count, at + COLUMN_HEAD));
  }
  at = encodeCells(first + VALUE_AT, count, ranking.kind, TAG_VALUES, at);
  return hasRanks(aggregateCase) ? encodeCells(first + RANK_AT, count, ranking.rankKind, TAG_RANKS, at) : at;
}

function encodeCells(first: usize, count: u32, kind: u32, tag: u8, at: usize): usize {
  if (kind == <u32>INTEGER) return closeColumn(at, tag, encodeIntegers(first, ENTRY_SIZE, count, at + COLUMN_HEAD));
  if (kind == <u32>REAL) return closeColumn(at, tag + 8, encodeReals(first, ENTRY_SIZE, count, at + COLUMN_HEAD));
  at = encodeTexts(first, count, tag + 16, at);
  const end = encodeCuts(first, count, at + COLUMN_HEAD);
  return end == at + COLUMN_HEAD ? at : closeColumn(at, tag + 24, end);
}

function encodeTexts(first: usize, count: u32, tag: u8, at: usize): usize {
  for (let i: u32 = 0, cell = first; i < count; i++, cell += ENTRY_SIZE) {
    const length = keptLength(cell);
    store<u8>(at++, tag);
    at += writeVarint(at, <u64>length);
    memory.copy(at, <usize>load<u32>(cell), length);
    at += length;
  }
  return at;
}

function encodeCuts(first: usize, count: u32, at: usize): usize {
  for (let i: u32 = 0, cell = first; i < count; i++, cell += ENTRY_SIZE)
    if (isCut(cell)) at += writeVarint(at, <u64>i);
  return at;
}

// --- decoding

/** Entries of the last two states that were decoded. */
const decodedEven: usize = allocateZeroed(<usize>RECENT_MAX * ENTRY_SIZE);
const decodedOdd: usize = allocateZeroed(<usize>RECENT_MAX * ENTRY_SIZE);
let isOdd: bool = false;

/** Unpacks the Ranking in [from, end); false where the bytes are not its one canonical spelling. */
export function decodeRanked(aggregateCase: i32, from: usize, end: usize, state: usize): bool {
  isOdd = !isOdd;
  const ranking = rankingAt(state);
  memory.fill(state, 0, RANKING_CLEAR);
  ranking.entries = isOdd ? decodedOdd : decodedEven;
  ranking.capacity = LIMIT_MAX;
  if (from >= end || load<u8>(from) != TAG_LIMIT) return false;
  const limit = readVarint(from + 1, end);
  if (!varintOk || limit == 0 || limit > <u64>LIMIT_MAX) return false;
  ranking.limit = <u32>limit;
  let at = varintNext;
  if (at == end) return true;
  if (load<u8>(at) == TAG_OVER) {
    ranking.isOver = 1;
    return isWhole(aggregateCase) && end - at == 2 && load<u8>(at, 1) == 1;
  }
  let most = ranking.limit;
  if (hasMoments(aggregateCase)) {
    most = decodeMoments(ranking, at, end);
    if (most == 0) return false;
    at = columnAt;
  }
  ranking.count = decodeCells(ranking.entries + VALUE_AT, most, TAG_VALUES, at, end);
  ranking.kind = decodedKind;
  if (ranking.count == 0 || (hasMoments(aggregateCase) && ranking.count != most)) return false;
  if (hasRanks(aggregateCase)) {
    if (decodeCells(ranking.entries + RANK_AT, most, TAG_RANKS, columnAt, end) != most) return false;
    ranking.rankKind = decodedKind;
  }
  setOrdered(ranking);
  return columnAt == end && isInOrder(aggregateCase, ranking);
}

/** How many there are; 0 where they are not canonical. */
function decodeMoments(ranking: Ranking, at: usize, end: usize): u32 {
  const first = ranking.entries;
  if (!enterColumn(at, end, TAG_TIMES)) return 0;
  const count = decodeNumbers(first, ENTRY_SIZE, ranking.limit);
  if (columnAt != columnEnd || !enterColumn(columnAt, end, TAG_POSITIONS)) return 0;
  if (decodeNumbers(first + 8, ENTRY_SIZE, count) != count || columnAt != columnEnd) return 0;
  sumDeltas(first, ENTRY_SIZE, count);
  sumDeltas(first + 8, ENTRY_SIZE, count);
  return count;
}

/** What the cells are that were decoded last. */
let decodedKind: u32 = 0;

/** Values or ranks, up to `most` of them; returns how many there are, 0 where they are not canonical. */
function decodeCells(first: usize, most: u32, tag: u8, at: usize, end: usize): u32 {
  if (at >= end) return 0;
  const found = load<u8>(at);
  if (found == tag || found == tag + 8) {
    if (!enterColumn(at, end, found)) return 0;
    decodedKind = <u32>(found == tag ? INTEGER : REAL);
    const count = found == tag ? decodeNumbers(first, ENTRY_SIZE, most) : decodeReals(first, ENTRY_SIZE, most);
    return columnAt == columnEnd ? count : 0;
  }
  decodedKind = <u32>TEXT;
  startColumn(at);
  const count = decodeTexts(first, ENTRY_SIZE, most, tag + 16, TEXT_MAX, end);
  if (columnAt == end || load<u8>(columnAt) != tag + 24) return count;
  return enterColumn(columnAt, end, tag + 24) && decodeCuts(first, count) ? count : 0;
}

/** Indices of texts that are cut, ascending, to the end of the column: they are as long as is kept. */
function decodeCuts(first: usize, count: u32): bool {
  let least: u64 = 0;
  for (let at = columnAt; at < columnEnd; at = varintNext) {
    const index = readVarint(at, columnEnd);
    if (!varintOk || index < least || index >= <u64>count) return false;
    const cell = first + <usize>index * ENTRY_SIZE;
    if (load<u32>(cell, 4) != TEXT_MAX) return false;
    store<u32>(cell, TEXT_MAX | CUT, 4);
    least = index + 1;
  }
  passColumn();
  return true;
}

/** Are they in order, each event there once, and each value where that is wanted? */
function isInOrder(aggregateCase: i32, ranking: Ranking): bool {
  const keepsTwins = aggregateCase == GREATEST || aggregateCase == LEAST;
  if (aggregateCase == LAST_DISTINCT) startSeen(ranking.entries, ranking.kind);
  for (let i: u32 = 0; i < ranking.count; i++) {
    const entry = entryAt(ranking, i);
    if (i > 0) {
      const order = compare(aggregateCase, ranking, entry - ENTRY_SIZE, entry);
      if (order > 0 || (order == 0 && !keepsTwins)) return false;
    }
    if (ranking.kind == <u32>TEXT && isWhole(aggregateCase) && isCut(entry + VALUE_AT)) return false;
    if (!isDistinct(aggregateCase)) continue;
    if (withoutSign(<i32>ranking.kind, load<i64>(entry, VALUE_AT)) != load<i64>(entry, VALUE_AT)) return false;
    if (aggregateCase == LAST_DISTINCT && !see(entry, i)) return false;
  }
  return true;
}

/** Is what it holds of this kind, and are its texts text? Its bytes alone do not say whose values they are. */
export function isRankedOf(state: usize, kind: i32): bool {
  const ranking = rankingAt(state);
  if (ranking.count == 0) return true;
  if (ranking.kind != <u32>kind) return false;
  if (kind != TEXT) return true;
  for (let i: u32 = 0; i < ranking.count; i++) {
    const cell = entryAt(ranking, i) + VALUE_AT;
    // A cut one is never shown.
    if (!isCut(cell) && !isWellFormed(<usize>load<u32>(cell), keptLength(cell))) return false;
  }
  return true;
}
