/**
 * A column that was swept portion by portion (piece.ts), put together. What each portion has of it waits elsewhere, a stretch of rows after the other:
 *
 *   1. pack     rows of what was swept last make a stretch, each part at a multiple of 8:
 *
 *                   sizes    rows, words, bytes of texts           3 x u32, 0
 *                   marks    of each row whether it is null, and its status above that, u8
 *                   counts   of lists, how many items a row has    in few bytes, as swept.ts packs integers
 *                   words    a value, or an item of a list: of a text its length; likewise
 *                   texts    their bytes
 *
 *   2. spread   the stretch of a portion that comes next: 8 bytes for each count and each word
 *   3. weave    row by row the next one of the portion that owns it; where that has none at hand its next stretch has to be spread
 *
 *       owners   2 0 2 1        portions   0: a   1: b   2: c d        ->   c a d b
 */
import { Arena } from './arena';
import { INTEGER, TEXT } from './kind';
import { Bytes, allocateZeroed } from './memory';
import { OWNED_BLANK, PORTIONS_MAX } from './piece';
import { Status } from './register';
import { items, markAt, packLongs, setMark, startRows, valueAt, wordOf } from './swept';

const HEAD_SIZE: usize = 16;

/** All rows that were asked for are there. */
export const WOVEN: i32 = -1;

// --- 1. pack

const stretch: Bytes = Bytes.make();
/** Of the rows of the stretch, i64 each. */
const counts: Bytes = Bytes.make();
const words: Bytes = Bytes.make();
/** Values, or items of lists, are texts: a count of texts is none. */
let isText: bool = false;

export function stretchStart(): usize {
  return stretch.start;
}

export function stretchSize(): usize {
  return stretch.length;
}

/** Of rows [from, to) as many, at least one, as `bytesMax` has room for; returns how many. */
export function packStretch(from: u32, to: u32, isList: bool, ofTexts: bool, bytesMax: u32): u32 {
  isText = ofTexts;
  counts.length = words.length = 0;
  let textsSize: usize = 0;
  let row = from;
  for (; row < to; row++) {
    if (words.length + counts.length + textsSize > <usize>bytesMax) break;
    if (!isList) {
      textsSize += addWord(load<i64>(valueAt(row)));
      continue;
    }
    const own = load<u32>(valueAt(row), 4);
    append(counts, <i64>own);
    for (let i: u32 = 0; i < own; i++) textsSize += addWord(itemAt(row, i));
  }
  const count = row - from;
  stretch.setLength(HEAD_SIZE);
  store<u32>(stretch.start, count);
  store<u32>(stretch.start, <u32>(words.length >> 3), 4);
  store<u32>(stretch.start, <u32>textsSize, 8);
  store<u32>(stretch.start, 0, 12);
  stretch.reserve(<usize>count);
  for (let i: u32 = 0; i < count; i++) store<u8>(stretch.end + <usize>i, markAt(from + i));
  stretch.length += <usize>count;
  pad();
  if (isList) packLongs(stretch, counts.start, counts.end);
  pad();
  packLongs(stretch, words.start, words.end);
  pad();
  if (textsSize > 0) packTexts(from, row, isList);
  return count;
}

@inline
function itemAt(row: u32, index: u32): i64 {
  return wordOf(load<i64>(items.start + ((<usize>load<u32>(valueAt(row)) + <usize>index) << 3)));
}

/** Returns what its text takes. */
@inline
function addWord(value: i64): usize {
  if (!isText) {
    append(words, value);
    return 0;
  }
  append(words, <i64>(<u64>value >> 32));
  return <usize>(<u64>value >> 32);
}

@inline
function append(to: Bytes, value: i64): void {
  to.reserve(8);
  store<i64>(to.end, value);
  to.length += 8;
}

function pad(): void {
  stretch.reserve(8);
  store<u64>(stretch.end, 0);
  stretch.length = padded(stretch.length);
}

@inline
function padded(size: usize): usize {
  return (size + 7) & ~(<usize>7);
}

function packTexts(from: u32, to: u32, isList: bool): void {
  for (let row = from; row < to; row++) {
    if (!isList) packText(load<i64>(valueAt(row)));
    else for (let i: u32 = 0; i < load<u32>(valueAt(row), 4); i++) packText(itemAt(row, i));
  }
}

@inline
function packText(cell: i64): void {
  stretch.append(<usize>(cell & 0xffffffff), <usize>(<u64>cell >> 32));
}

// --- 2. spread

/** Of a portion the stretch at hand, and where in it the next row is. */
@unmanaged
class Spool {
  /** As it was packed. */
  bytes: Bytes;
  counts: Bytes;
  words: Bytes;
  row: u32;
  rows: u32;
  word: usize;
  text: usize;
}

const spools: usize = memory.data(1024 * sizeof<usize>(), 8);
let spoolCount = 0;
let isOfLists: bool = false;

/** A column is to be put together of what so many portions have. */
export function startWeaving(portions: i32, ofLists: bool, ofTexts: bool): void {
  assert(<u32>portions <= <u32>PORTIONS_MAX);
  for (; spoolCount < portions; spoolCount++) {
    const spool = changetype<Spool>(allocateZeroed(offsetof<Spool>()));
    spool.bytes = Bytes.make();
    spool.counts = Bytes.make();
    spool.words = Bytes.make();
    store<usize>(spools + <usize>spoolCount * sizeof<usize>(), changetype<usize>(spool));
  }
  for (let i = 0; i < portions; i++) spoolAt(i).row = spoolAt(i).rows = 0;
  isOfLists = ofLists;
  isText = ofTexts;
}

@inline
function spoolAt(portion: i32): Spool {
  assert(<u32>portion < <u32>spoolCount);
  return changetype<Spool>(load<usize>(spools + <usize>portion * sizeof<usize>()));
}

/** Where the next stretch of a portion is to be read to. */
export function stretchRoom(portion: i32, size: u32): usize {
  spoolAt(portion).bytes.setLength(<usize>size);
  return spoolAt(portion).bytes.start;
}

/** Once it is there. */
export function spreadStretch(portion: i32): void {
  const spool = spoolAt(portion);
  assert(spool.bytes.length >= HEAD_SIZE);
  const start = spool.bytes.start;
  spool.row = 0;
  spool.rows = load<u32>(start);
  spool.word = 0;
  let at = start + HEAD_SIZE + padded(<usize>spool.rows);
  if (isOfLists) at = spread(at, spool.rows, spool.counts, spool.bytes.end);
  at = spread(at, load<u32>(start, 4), spool.words, spool.bytes.end);
  spool.text = at;
  assert(at + <usize>load<u32>(start, 8) <= spool.bytes.end);
}

/** As swept.ts packs them; returns where the next part begins. */
function spread(from: usize, count: u32, into: Bytes, end: usize): usize {
  into.setLength(<usize>count << 3);
  assert(from + 8 <= end);
  const width = <usize>load<u32>(from);
  const unit = <i64>load<u32>(from, 4);
  const size = padded(<usize>count * width) + (width == 8 ? 8 : 16);
  assert(width <= 8 && from + size <= end);
  const to = into.start;
  if (width == 8) {
    memory.copy(to, from + 8, <usize>count << 3);
    return from + size;
  }
  const base = load<i64>(from, 8);
  const small = from + 16;
  for (let i: usize = 0; i < <usize>count; i++) {
    const value = width == 1 ? load<u8>(small + i) : width == 2 ? load<u16>(small + (i << 1)) : load<u32>(small + (i << 2));
    store<i64>(to + (i << 3), base + <i64>value * unit);
  }
  return from + size;
}

// --- 3. weave

/** Of the rows that are woven, u16 each. */
const owners: Bytes = Bytes.make();
/** Of their values. */
const texts: Arena = Arena.make();
let woven: u32 = 0;

/** So many rows come next; their owners are to be put where it says. */
export function startRowsOf(count: u32): usize {
  startRows(count, isText ? TEXT : INTEGER);
  texts.reset();
  woven = 0;
  owners.setLength(<usize>count << 1);
  return owners.start;
}

/** Returns WOVEN, or the portion whose next stretch is wanted before it goes on. */
export function weave(): i32 {
  const count = <u32>(owners.length >> 1);
  for (; woven < count; woven++) {
    const owner = <u32>load<u16>(owners.start + (<usize>woven << 1));
    if (owner >= <u32>spoolCount) leave(woven, owner == OWNED_BLANK);
    else {
      const spool = spoolAt(owner);
      if (spool.row == spool.rows) return owner;
      take(woven, spool);
    }
  }
  return WOVEN;
}

/** Has every portion given all rows of its stretch at hand? */
export function isWovenUp(portions: i32): bool {
  for (let i = 0; i < portions; i++) if (spoolAt(i).row != spoolAt(i).rows) return false;
  return true;
}

/** Null, of nobody. */
@inline
function leave(row: u32, isBlank: bool): void {
  store<i64>(valueAt(row), 0);
  setMark(row, 1 | (<u8>(isBlank ? Status.NOT_FOUND : Status.NONE) << 1));
}

@inline
function take(row: u32, spool: Spool): void {
  setMark(row, load<u8>(spool.bytes.start + HEAD_SIZE + <usize>spool.row));
  if (isOfLists) takeList(row, spool, <u32>load<i64>(spool.counts.start + (<usize>spool.row << 3)));
  else store<i64>(valueAt(row), nextCell(spool));
  spool.row++;
}

function takeList(row: u32, spool: Spool, count: u32): void {
  store<u32>(valueAt(row), <u32>(items.length >> 3));
  store<u32>(valueAt(row), count, 4);
  items.reserve(<usize>count << 3);
  for (let i: u32 = 0; i < count; i++) {
    store<i64>(items.end, nextCell(spool));
    items.length += 8;
  }
}

@inline
function nextCell(spool: Spool): i64 {
  assert(spool.word < spool.words.length);
  const word = load<i64>(spool.words.start + spool.word);
  spool.word += 8;
  if (!isText) return word;
  assert(<u64>word <= <u64>(spool.bytes.end - spool.text));
  const text = texts.copyShort(spool.text, <usize>word);
  spool.text += <usize>word;
  return <i64>(<u64>text | (<u64>word << 32));
}
