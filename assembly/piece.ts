/**
 * Strands for which there is no room, put aside in pieces. Keys are dealt out to portions; when the steps that were gathered fill their room, what
 * each portion has of them is a piece, and gathering goes on with nothing. Later the pieces of one portion make strands again, with all
 * steps of their keys, which are swept as any others are.
 *
 *   1. cut     keys are put in order of their portions, and steps in order of their keys. Rows are counted within their portion,
 *              and of each it is noted which that is: an owner
 *   2. pack    a piece, each part at a multiple of 8:
 *
 *                  sizes    of the head, keys, steps, texts      4 x u32
 *                  keys     length u32, steps u32; their bytes   the head ends here
 *                  steps    micros i64, row u32, late u8; of each feed state u8, value i64, where it has any: a text is (offset u32, length u32)
 *                  texts
 *
 *   3. number  the keys of all pieces of a portion, counting their steps
 *   4. place   the steps of each piece at their keys, behind those of the pieces before: in the order of the log
 */
import { forgetEdges } from './edges';
import { hashKey } from './key';
import { Bytes, allocate, release } from './memory';
import { Status } from './register';
import { FED, NO_ROW, Strand, feedAt, findMoments, placesOf, strandAt } from './strand';
import { forgetTotals } from './totals';

/** Owners of rows that no portion has: of events that are no rows, of those whose key has a null, and of those that are for other jobs to say. */
export const OWNED_BY_NONE: u32 = 0xffff;
export const OWNED_BLANK: u32 = 0xfffe;
export const OWNED_BY_OTHERS: u32 = 0xfffd;
export const PORTIONS_MAX: i32 = 1024;

/** Of each row of a cut, u16. */
const owners: Bytes = Bytes.make();
/** Of each row of a cut 1 where it is for this job to say, u8; nothing where all are. */
const ownRowFlags: Bytes = Bytes.make();
/** Of each row of a cut its number within its portion, u32; NO_ROW of those that no portion has. */
const localRows: Bytes = Bytes.make();
/** Rows that each portion has by now, u32. */
const portionRows: usize = memory.data(1024 * 4, 8);
/** Of the strand that is cut, steps in order of their keys, u32, and the first key of each portion, u32, with an end. */
const order: Bytes = Bytes.make();
const firstKeys: usize = memory.data(1025 * 4, 8);
/** Of each key its portion, u32; the number that it has from now on, and of each such number which key it was. */
const portionOf: Bytes = Bytes.make();
const renumbered: Bytes = Bytes.make();
const numberedBefore: Bytes = Bytes.make();

export function ownersStart(): usize {
  return owners.start;
}

/** Rows of the cut. */
export function ownersCount(): u32 {
  return <u32>(owners.length >> 1);
}

export function rowsOfPortion(portion: i32): u32 {
  assert(<u32>portion < <u32>PORTIONS_MAX);
  return load<u32>(portionRows + (<usize>portion << 2));
}

/** What steps and rows take while they are cut, beside the strands. */
export const CUT_STEP_BYTES: i32 = 4;
export const CUT_ROW_BYTES: i32 = 6;

// --- 1. cut

/** Where it is to be put which of the rows are for this job to say, before they get owners; 0 rows where all are. */
export function ownRowsRoom(rowCount: u32): usize {
  ownRowFlags.setLength(<usize>rowCount);
  return ownRowFlags.start;
}

/**
 * Of each row which portion has it; all strands of a job read by the same key, so that one says it. An event of which this job has but what
 * it writes is a step all the same, by which nobody reads.
 */
export function ownRows(strand: i32, portions: i32): void {
  assert(<u32>portions <= <u32>PORTIONS_MAX);
  const owner = strandAt(strand);
  dealKeys(owner, portions);
  const rowCount = <usize>owner.rowCount;
  owners.setLength(rowCount << 1);
  localRows.setLength(rowCount << 2);
  const hasOthers = ownRowFlags.length > 0;
  assert(!hasOthers || ownRowFlags.length == rowCount);
  for (let row: usize = 0; row < rowCount; row++) {
    const isBlank = load<u8>(owner.statuses.start + row) == <u8>Status.NOT_FOUND;
    const isOthers = hasOthers && load<u8>(ownRowFlags.start + row) == 0;
    store<u16>(owners.start + (row << 1), <u16>(isOthers ? OWNED_BY_OTHERS : isBlank ? OWNED_BLANK : OWNED_BY_NONE));
  }
  for (let step: usize = 0; step < <usize>owner.stepCount; step++) {
    const row = load<u32>(owner.rows.start + (step << 2));
    if (row == NO_ROW || <u32>load<u16>(owners.start + (<usize>row << 1)) == OWNED_BY_OTHERS) continue;
    store<u16>(owners.start + (<usize>row << 1), <u16>portionAt(load<u32>(owner.keys.start + (step << 2))));
  }
  for (let row: usize = 0; row < rowCount; row++) {
    const portion = <usize>load<u16>(owners.start + (row << 1));
    store<u32>(localRows.start + (row << 2), NO_ROW);
    if (portion >= <usize>portions) continue;
    const count = portionRows + (portion << 2);
    store<u32>(localRows.start + (row << 2), load<u32>(count));
    store<u32>(count, load<u32>(count) + 1);
  }
}

/** Puts the steps of a strand in order; once rows have owners. */
export function cutStrand(strand: i32, portions: i32): void {
  const owner = strandAt(strand);
  assert(!owner.isSorted && <u32>portions <= <u32>PORTIONS_MAX);
  dealKeys(owner, portions);
  renumber(owner.numbering.count, portions);
  const end = owner.keys.end;
  for (let at = owner.keys.start; at < end; at += 4)
    store<u32>(at, load<u32>(renumbered.start + (<usize>load<u32>(at) << 2)));
  const places = placesOf(owner);
  order.setLength(<usize>owner.stepCount << 2);
  for (let step: u32 = 0; step < owner.stepCount; step++)
    store<u32>(order.start + (<usize>load<u32>(places + (<usize>step << 2)) << 2), step);
}

/** A portion for each key: the same wherever it comes from. */
function dealKeys(owner: Strand, portions: i32): void {
  const count = <usize>owner.numbering.count;
  portionOf.setLength(count << 2);
  owner.numbering.locate();
  for (let key: usize = 0; key < count; key++) {
    const at = owner.numbering.keys.start + (key << 3);
    const hash = hashKey(0, <usize>load<u32>(at), <usize>load<u32>(at, 4));
    store<u32>(portionOf.start + (key << 2), <u32>((<u64>hash * <u64>portions) >> 32));
  }
}

@inline
function portionAt(key: u32): u32 {
  return load<u32>(portionOf.start + (<usize>key << 2));
}

/** By portion; those of one stay in their order. */
function renumber(count: u32, portions: i32): void {
  memory.fill(firstKeys, 0, (<usize>portions + 1) << 2);
  for (let key: u32 = 0; key < count; key++) addAt(firstKeys + ((<usize>portionAt(key) + 1) << 2), 1);
  for (let portion: usize = 0; portion < <usize>portions; portion++)
    addAt(firstKeys + ((portion + 1) << 2), load<u32>(firstKeys + (portion << 2)));
  renumbered.setLength(<usize>count << 2);
  numberedBefore.setLength(<usize>count << 2);
  for (let key: u32 = 0; key < count; key++) {
    const next = firstKeys + (<usize>portionAt(key) << 2);
    const now = load<u32>(next);
    store<u32>(renumbered.start + (<usize>key << 2), now);
    store<u32>(numberedBefore.start + (<usize>now << 2), key);
    store<u32>(next, now + 1);
  }
  // Each has gone on to where the next one begins.
  memory.copy(firstKeys + 4, firstKeys, <usize>portions << 2);
  store<u32>(firstKeys, 0);
}

@inline
function addAt(place: usize, count: u32): void {
  store<u32>(place, load<u32>(place) + count);
}

// --- 2. pack

const HEAD_SIZE: usize = 16;
const piece: Bytes = Bytes.make();

export function pieceStart(): usize {
  return piece.start;
}

/** What a strand that was cut has of a portion; returns its size, 0 where that is nothing. */
export function packPiece(strand: i32, portion: i32): usize {
  const owner = strandAt(strand);
  const firstKey = load<u32>(firstKeys + (<usize>portion << 2));
  const endKey = load<u32>(firstKeys + (<usize>portion << 2), 4);
  if (firstKey == endKey) return 0;
  const from = load<u32>(owner.starts + (<usize>firstKey << 2));
  const to = load<u32>(owner.starts + (<usize>endKey << 2));
  piece.setLength(HEAD_SIZE);
  packKeys(owner, firstKey, endKey);
  store<u32>(piece.start, <u32>piece.length);
  store<u32>(piece.start, endKey - firstKey, 4);
  store<u32>(piece.start, to - from, 8);
  pick<i64>(owner.micros, from, to);
  pickRows(owner, from, to);
  pick<u8>(owner.lates, from, to);
  let textsSize: u32 = 0;
  for (let i = 0; i < owner.feedCount; i++) {
    const feed = feedAt(owner, i);
    if (feed.isAlways) continue;
    pick<u8>(feed.states, from, to);
    if (feed.isText) textsSize = pickTexts(feed.values, feed.states, from, to, textsSize);
    else if (feed.value >= 0) pick<i64>(feed.values, from, to);
  }
  store<u32>(piece.start, textsSize, 12);
  for (let i = 0; i < owner.feedCount; i++)
    if (feedAt(owner, i).isText) packTexts(feedAt(owner, i).values, feedAt(owner, i).states, from, to);
  return piece.length;
}

/** Each as it was numbered while it was gathered: there its bytes are. */
function packKeys(owner: Strand, firstKey: u32, endKey: u32): void {
  const first = piece.length;
  const count = <usize>(endKey - firstKey);
  piece.reserve(count << 3);
  piece.length += count << 3;
  for (let i: usize = 0; i < count; i++) {
    const now = <usize>firstKey + i;
    const key = owner.numbering.keys.start + (<usize>load<u32>(numberedBefore.start + (now << 2)) << 3);
    const starts = owner.starts + (now << 2);
    const length = load<u32>(key, 4);
    store<u32>(piece.start + first + (i << 3), length);
    store<u32>(piece.start + first + (i << 3), load<u32>(starts, 4) - load<u32>(starts), 4);
    piece.append(<usize>load<u32>(key), <usize>length);
  }
  pad();
}

function pad(): void {
  piece.reserve(8);
  store<u64>(piece.end, 0);
  piece.length = (piece.length + 7) & ~(<usize>7);
}

@inline
function stepAt(place: u32): usize {
  return <usize>load<u32>(order.start + (<usize>place << 2));
}

function pick<T>(column: Bytes, from: u32, to: u32): void {
  const size = <usize>(to - from) * sizeof<T>();
  piece.reserve(size);
  for (let place = from, at = piece.end; place < to; place++, at += sizeof<T>())
    store<T>(at, load<T>(column.start + stepAt(place) * sizeof<T>()));
  piece.length += size;
  pad();
}

function pickRows(owner: Strand, from: u32, to: u32): void {
  piece.reserve(<usize>(to - from) << 2);
  for (let place = from; place < to; place++) {
    const row = load<u32>(owner.rows.start + (stepAt(place) << 2));
    store<u32>(piece.end, row == NO_ROW ? NO_ROW : load<u32>(localRows.start + (<usize>row << 2)));
    piece.length += 4;
  }
  pad();
}

/** Where each will stand among the texts of the piece; what is no text is nothing. Returns where the next one will. */
function pickTexts(values: Bytes, states: Bytes, from: u32, to: u32, offset: u32): u32 {
  piece.reserve(<usize>(to - from) << 3);
  for (let place = from; place < to; place++) {
    const length = lengthOf(values, states, stepAt(place));
    store<u32>(piece.end, offset);
    store<u32>(piece.end, length, 4);
    piece.length += 8;
    offset += length;
  }
  return offset;
}

function packTexts(values: Bytes, states: Bytes, from: u32, to: u32): void {
  for (let place = from; place < to; place++) {
    const step = stepAt(place);
    const length = <usize>lengthOf(values, states, step);
    if (length > 0) piece.append(<usize>load<u32>(values.start + (step << 3)), length);
  }
}

@inline
function lengthOf(values: Bytes, states: Bytes, step: usize): u32 {
  return load<u8>(states.start + step) == FED ? load<u32>(values.start + (step << 3), 4) : 0;
}

/**
 * Once all pieces are packed: gathering goes on, or portions are opened. Room stays, for as much again, and so does what is known of all
 * events: the clock, and whether any is late.
 */
export function forgetSteps(strand: i32): void {
  const owner = strandAt(strand);
  forgetTotals();
  forgetEdges(owner);
  release(owner.starts, <usize>(owner.keysFound + 2) << 2);
  release(owner.orders, <usize>owner.keysFound + 1);
  owner.starts = owner.orders = 0;
  owner.keysFound = owner.longest = owner.stepCount = owner.rowCount = 0;
  owner.isSorted = false;
  owner.keys.length = owner.millis.length = owner.micros.length = owner.rows.length = owner.lates.length = 0;
  owner.nulls.length = owner.statuses.length = 0;
  owner.numbering.clear();
  owner.texts.reset();
  for (let i = 0; i < owner.feedCount; i++) {
    const feed = feedAt(owner, i);
    feed.states.length = feed.values.length = 0;
  }
}

// --- 3. number

/** Of each key of the pieces, one behind the other, its number u32; and of each number how many steps it has. */
const numbers: Bytes = Bytes.make();
const counts: Bytes = Bytes.make();
let numbersAt: usize = 0;

/** A strand that was forgotten is to have a portion. */
export function openPortion(): void {
  numbers.length = counts.length = numbersAt = 0;
}

/** Of all pieces, in the order in which they were cut; only their heads are read. */
export function numberKeys(strand: i32, head: usize, size: usize): void {
  const owner = strandAt(strand);
  const keyCount = <usize>load<u32>(head, 4);
  assert(HEAD_SIZE + (keyCount << 3) <= size);
  let text = head + HEAD_SIZE + (keyCount << 3);
  for (let i: usize = 0; i < keyCount; i++) {
    const key = head + HEAD_SIZE + (i << 3);
    const length = <usize>load<u32>(key);
    assert(text + length <= head + size);
    const number = owner.numbering.numberOf(text, length);
    text += length;
    numbers.reserve(4);
    store<u32>(numbers.end, number);
    numbers.length += 4;
    if (<usize>number << 2 == counts.length) {
      counts.reserve(4);
      store<u32>(counts.end, 0);
      counts.length += 4;
    }
    addAt(counts.start + (<usize>number << 2), load<u32>(key, 4));
    owner.stepCount += load<u32>(key, 4);
  }
}

/** Steps that the portion has, in the strand. */
export function numberedSteps(strand: i32): u32 {
  return strandAt(strand).stepCount;
}

// --- 4. place

/** Makes room for the steps of all keys that were numbered, and for so many rows, to each of which there is a step. */
export function makePlaces(strand: i32, rowCount: u32): void {
  const owner = strandAt(strand);
  const keyCount = owner.numbering.count;
  owner.starts = allocate(<usize>(keyCount + 2) << 2);
  owner.keysFound = keyCount;
  let start: u32 = 0;
  for (let key: usize = 0; key < <usize>keyCount; key++) {
    const count = load<u32>(counts.start + (key << 2));
    owner.longest = max(owner.longest, count);
    store<u32>(owner.starts + (key << 2), start);
    // From now on where its next step goes.
    store<u32>(counts.start + (key << 2), start);
    start += count;
  }
  store<u32>(owner.starts + (<usize>keyCount << 2), start);
  const steps = <usize>owner.stepCount;
  owner.micros.setLength(steps << 3);
  owner.rows.setLength(steps << 2);
  owner.lates.setLength(steps);
  for (let i = 0; i < owner.feedCount; i++) {
    const feed = feedAt(owner, i);
    if (feed.isAlways) continue;
    feed.states.setLength(steps);
    if (feed.value >= 0) feed.values.setLength(steps << 3);
  }
  owner.rowCount = rowCount;
  owner.nulls.setLength(<usize>rowCount);
  owner.statuses.setLength(<usize>rowCount);
  memory.fill(owner.nulls.start, 0, <usize>rowCount);
  memory.fill(owner.statuses.start, <u8>Status.NONE, <usize>rowCount);
}

/** The keys of the piece that is placed: of each where its steps go u32, and how many there are u32. */
const runs: Bytes = Bytes.make();

/** Pieces in the order in which their keys were numbered. */
export function placeSteps(strand: i32, start: usize, size: usize): void {
  const owner = strandAt(strand);
  const count = load<u32>(start, 8);
  const textsSize = <usize>load<u32>(start, 12);
  placeRuns(start, load<u32>(start, 4), owner.stepCount);
  let at = start + <usize>load<u32>(start);
  assert(at + sizeOfSteps(owner, count) + textsSize <= start + size);
  at = place<i64>(owner.micros, at, count);
  at = place<u32>(owner.rows, at, count);
  at = place<u8>(owner.lates, at, count);
  const texts = owner.texts.copy(start + size - textsSize, textsSize);
  for (let i = 0; i < owner.feedCount; i++) {
    const feed = feedAt(owner, i);
    if (feed.isAlways) continue;
    at = place<u8>(feed.states, at, count);
    if (feed.value < 0) continue;
    at = feed.isText ? placeTexts(feed.values, at, texts) : place<i64>(feed.values, at, count);
  }
}

/** Once all of them are placed it is as sorted as any other. */
export function closePortion(strand: i32): void {
  const owner = strandAt(strand);
  findMoments(owner);
  owner.isSorted = true;
}

function placeRuns(start: usize, keyCount: u32, steps: u32): void {
  runs.setLength(<usize>keyCount << 3);
  for (let i: usize = 0; i < <usize>keyCount; i++, numbersAt += 4) {
    assert(numbersAt < numbers.length);
    const next = counts.start + (<usize>load<u32>(numbers.start + numbersAt) << 2);
    const length = load<u32>(start + HEAD_SIZE + (i << 3), 4);
    const first = load<u32>(next);
    assert(first + length <= steps);
    store<u32>(runs.start + (i << 3), first);
    store<u32>(runs.start + (i << 3), length, 4);
    store<u32>(next, first + length);
  }
}

/** Of the steps of a piece, but for its texts. */
function sizeOfSteps(owner: Strand, count: u32): usize {
  const steps = <usize>count;
  let size = (steps << 3) + padded(steps << 2) + padded(steps);
  for (let i = 0; i < owner.feedCount; i++) {
    const feed = feedAt(owner, i);
    if (!feed.isAlways) size += padded(steps) + (feed.value < 0 ? 0 : steps << 3);
  }
  return size;
}

@inline
function padded(size: usize): usize {
  return (size + 7) & ~(<usize>7);
}

/** Returns where the next part of the piece begins. */
function place<T>(column: Bytes, from: usize, count: u32): usize {
  let at = from;
  for (let run = runs.start; run < runs.end; run += 8) {
    let to = column.start + <usize>load<u32>(run) * sizeof<T>();
    for (let i = load<u32>(run, 4); i > 0; i--, at += sizeof<T>(), to += sizeof<T>()) store<T>(to, load<T>(at));
  }
  return from + padded(<usize>count * sizeof<T>());
}

function placeTexts(values: Bytes, from: usize, texts: usize): usize {
  let at = from;
  for (let run = runs.start; run < runs.end; run += 8) {
    let to = values.start + (<usize>load<u32>(run) << 3);
    for (let i = load<u32>(run, 4); i > 0; i--, at += 8, to += 8) {
      store<u32>(to, <u32>texts + load<u32>(at));
      store<u32>(to, load<u32>(at, 4), 4);
    }
  }
  return at;
}
