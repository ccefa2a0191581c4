/**
 * Windows that run along with the rows of hot keys: instead of the whole cover, each read merges only what has left since the
 * read before it, and each write what has come.
 *
 *      start of the last read      start of this one                                 moment
 *      |--- taken away, by the ms ---|------------ what the state has ------------------|
 *
 * A state has all of its key from its start on, in whatever order it came, so late events and equal times are nothing special;
 * only aggregates whose states are groups (aggregate.ts) can be here, for which taking away is merging the opposite: not a bit
 * differs from the cover's. Where it is not the simple case the cover answers, which is right always: where the reading event
 * is earlier than the last one was, where the key has anything later than it, where memory lacks what leaves, or too much leaves.
 *
 * Nothing is lost with a state: it is made anew from the cover. One goes when its entity leaves memory, and all of them when they
 * take more than they may. That rows leave does not touch it: it wants no more of them than those that leave its windows, and
 * these are read back where memory lacks them. An entity's version says whether a state has seen all changes.
 */
import { STATE_SIZE_MAX, caseOf, decode as decodeState, isGroup, isStateOf, merge, negate } from './aggregate';
import { knowsRange } from './come_back';
import { Entity, Level, findLevel, lowerBound, openRow, rowAt, useRow } from './entity';
import { departed } from './evict';
import { Ran, ranEnd, ranStart } from './fold';
import { Bytes, allocate, release } from './memory';
import { open, openEnd, openStart } from './outline';
import { recordTime } from './batch';
import { entryEnd, entryId, entryValue, readEntry } from './row';
import { readWholeState } from './whole';
import { Answer, Member, answerAt, memberAt, stateAt, windowAt } from './answer';
import { finishRow } from './cell';
import { collectedRows } from './collect';
import { EXACT_TILE_MS, isLatest, millisecondOf, startCover, startOf } from './cover';
import { addEventGap } from './gap';

/** What all states may take: some thousand hot keys. */
const RUNNING_BYTES_MAX: usize = 32 << 20;

/** A cover of fewer rows costs no more than a state would. */
const COVERED_MIN: i32 = 12;

/** Of rows that leave one window at once: the cover has hardly more, and the next read is near again. */
const LEAVING_MAX: i32 = 64;

/** Rows back from the newest one that an aggregate's last entry is looked for in. */
const BACK_MAX: i32 = 16;

let bytesMax: usize = RUNNING_BYTES_MAX;
let coveredMin: i32 = COVERED_MIN;

/** For tests: what states may take, 0 for none, and from how many rows on they are worth it. */
export function setRunning(bytes: f64, rows: i32): void {
  forgetRunning();
  bytesMax = <usize>bytes;
  coveredMin = rows;
}

/**
 * Behind it, of each window: start i64; of each member: the last millisecond with an entry i64; of each window: the row at
 * the start, as a guess, i32 in eight bytes; the states as the answer has them.
 */
@unmanaged
class Running {
  answer: i32;
  entity: Entity;
  /** The next one of the entity. */
  next: usize;
  /** Of the entity, when the state has seen all changes. */
  version: u32;
  size: u32;
  /** Its place among all. */
  index: u32;
}

/** Addresses (u32) of all there are, and what they take. */
const all: Bytes = Bytes.make();
let runningBytes: usize = 0;

/** What they take, for tests. */
export function runningSize(): f64 {
  return <f64>runningBytes;
}

@inline
function startAt(running: Running, window: i32): usize {
  return changetype<usize>(running) + offsetof<Running>() + (<usize>window << 3);
}

@inline
function lastAt(running: Running, answer: Answer, member: i32): usize {
  return startAt(running, answer.windowCount + member);
}

@inline
function guessAt(running: Running, answer: Answer, window: i32): usize {
  return startAt(running, answer.windowCount + answer.memberCount + window);
}

@inline
function statesAt(running: Running, answer: Answer): usize {
  return startAt(running, answer.windowCount * 2 + answer.memberCount);
}

/** The answer's reads are of groups, over exact windows alone, and without a bound of the event's. */
export function setRuns(answer: i32): void {
  const owner = answerAt(answer);
  assert(owner.isOfEvents && owner.after < 0);
  for (let i = 0; i < owner.windowCount; i++) {
    const window = windowAt(owner, i);
    assert(window.isExact && window.lengthMs > 0 && window.resolutionMs == EXACT_TILE_MS);
  }
  for (let i = 0; i < owner.memberCount; i++) assert(isGroup(memberAt(owner, i).aggregateCase));
  owner.runs = true;
}

function find(entity: Entity, answer: i32): Running | null {
  for (let at = entity.running; at != 0; at = changetype<Running>(at).next)
    if (changetype<Running>(at).answer == answer) return changetype<Running>(at);
  return null;
}

/** What runs along with entities that have left goes too. */
@inline
function followDepartures(): void {
  if (departed.length > 0) dropDeparted();
}

function dropDeparted(): void {
  for (let place = departed.start; place < departed.end; place += 4) {
    let next: usize = 0;
    for (let at = <usize>load<u32>(place); at != 0; at = next) {
      const running = changetype<Running>(at);
      next = running.next;
      drop(running);
    }
  }
  departed.length = 0;
}

/** Takes it out of all; the last one gets its place. */
function drop(running: Running): void {
  all.length -= 4;
  const last = load<u32>(all.end);
  changetype<Running>(<usize>last).index = running.index;
  store<u32>(all.start + (<usize>running.index << 2), last);
  runningBytes -= <usize>running.size;
  release(changetype<usize>(running), <usize>running.size);
}

function forgetRunning(): void {
  followDepartures();
  for (let at = all.start; at < all.end; at += 4) {
    const running = changetype<Running>(<usize>load<u32>(at));
    running.entity.running = 0;
    release(changetype<usize>(running), <usize>running.size);
  }
  all.length = 0;
  runningBytes = 0;
}

// --- reads

/** The record is answered; the cover has to answer it; rows have to come first that memory lacks: gaps of the answer. */
export const RUN_DONE: i32 = 0;
export const RUN_COVER: i32 = 1;
export const RUN_LACKS: i32 = 2;

/**
 * Answers a record whose key is found, into a row of the frame.
 *
 * @param mayLack memory may not have all rows
 */
export function runOn(answer: i32, record: i32, row: i32, mayLack: bool): i32 {
  const owner = answerAt(answer);
  if (!owner.runs || owner.current == 0) return RUN_COVER;
  followDepartures();
  const entity = changetype<Entity>(owner.current);
  const running = find(entity, answer);
  if (!running || running.version != entity.version) return RUN_COVER;
  const level = findLevel(entity, EXACT_TILE_MS);
  const timeMicros = load<i64>(recordTime + (<usize>record << 3));
  const timeMs = millisecondOf(timeMicros);
  if (!level || !isLatest(owner, timeMs)) return RUN_COVER;
  if (mayLack && lacksLeaving(owner, running, level, timeMs)) return RUN_LACKS;
  if (!canLeave(owner, running, level, timeMs)) return RUN_COVER;
  startCover(owner, timeMicros, false);
  const own = owner.states;
  owner.states = statesAt(running, owner);
  const isGood = leave(owner, running, level, timeMs);
  if (isGood) {
    findLast(owner, running);
    finishRow(owner, <usize>row);
  }
  owner.states = own;
  // A row that is not what it should be: the cover says so.
  if (!isGood) running.version = entity.version - 1;
  return isGood ? RUN_DONE : RUN_COVER;
}

/** Lists what memory may lack of the rows that leave; false where that is nothing. */
function lacksLeaving(owner: Answer, running: Running, level: Level, timeMs: i64): bool {
  owner.gapCount = 0;
  for (let i = 0; i < owner.windowCount; i++) {
    const from = load<i64>(startAt(running, i));
    const to = readStart(owner, i, timeMs);
    if (from < to && !knowsRange(level, from, to)) addEventGap(owner, level, <f64>from, <f64>to);
  }
  return owner.gapCount > 0;
}

@inline
function readStart(owner: Answer, index: i32, timeMs: i64): i64 {
  const window = windowAt(owner, index);
  window.startMs = startOf(window, timeMs);
  return max(window.startMs, window.floorMs);
}

/** Does each window move on, by few rows? All of them are in memory. */
function canLeave(owner: Answer, running: Running, level: Level, timeMs: i64): bool {
  for (let i = 0; i < owner.windowCount; i++) {
    const from = load<i64>(startAt(running, i));
    const to = readStart(owner, i, timeMs);
    if (to < from) return false;
    if (to == from) continue;
    const first = firstRow(owner, running, level, i, from);
    if (first + LEAVING_MAX < level.count && rowAt(level, first + LEAVING_MAX).tileStart < to) return false;
  }
  return true;
}

/** The first row from a window's start on: mostly where it was. */
function firstRow(owner: Answer, running: Running, level: Level, window: i32, from: i64): i32 {
  const place = guessAt(running, owner, window);
  const guess = load<i32>(place);
  if (guess >= 0 && guess <= level.count) {
    const isBehind = guess == 0 || rowAt(level, guess - 1).tileStart < from;
    if (isBehind && (guess == level.count || rowAt(level, guess).tileStart >= from)) return guess;
  }
  const found = lowerBound(level, from);
  store<i32>(place, found);
  return found;
}

/** Takes away what has left; false where a row is not what it should be. */
function leave(owner: Answer, running: Running, level: Level, timeMs: i64): bool {
  for (let i = 0; i < owner.windowCount; i++) {
    const from = load<i64>(startAt(running, i));
    const to = readStart(owner, i, timeMs);
    if (to == from) continue;
    let at = firstRow(owner, running, level, i, from);
    for (; at < level.count; at++) {
      const row = rowAt(level, at);
      if (row.tileStart >= to) break;
      useRow(row);
      openRow(row);
      if (!apply(owner, <u64>1 << i, openStart, openEnd, true)) return false;
    }
    store<i32>(guessAt(running, owner, i), at);
    store<i64>(startAt(running, i), to);
  }
  return true;
}

/** A member has been found in the windows that begin no later than the last of its entries. */
function findLast(owner: Answer, running: Running): void {
  for (let i = 0; i < owner.memberCount; i++) {
    const member = memberAt(owner, i);
    member.found = 0;
    const last = load<i64>(lastAt(running, owner, i));
    for (let window = 0; window < owner.windowCount; window++)
      if (last >= load<i64>(startAt(running, window))) member.found |= <u64>1 << window;
  }
}

/** One unpacked state. */
const unpacked: usize = memory.data(<i32>STATE_SIZE_MAX, 16);

/** Merges the entries of a row, or their opposites, into the windows of a mask. */
function apply(owner: Answer, windows: u64, at: usize, end: usize, isLeaving: bool): bool {
  let index = 0;
  while (at < end) {
    if (!readEntry(at, end)) return false;
    at = entryEnd;
    while (index < owner.memberCount && memberAt(owner, index).id < entryId) index++;
    if (index == owner.memberCount) return true;
    const member = memberAt(owner, index);
    if (member.id == entryId && !applyEntry(owner, member, member.wanted & windows, isLeaving)) return false;
  }
  return true;
}

function applyEntry(owner: Answer, member: Member, windows: u64, isLeaving: bool): bool {
  if (windows == 0) return true;
  const aggregateCase = member.aggregateCase;
  if (!readWholeState(aggregateCase, entryValue, entryEnd, unpacked)) {
    if (caseOf(entryValue, entryEnd) != aggregateCase) return false;
    if (!decodeState(aggregateCase, entryValue, entryEnd, unpacked)) return false;
    if (!isStateOf(aggregateCase, unpacked, member.kind)) return false;
  }
  if (isLeaving) negate(aggregateCase, unpacked);
  for (let rest = windows; rest != 0; rest &= rest - 1)
    merge(aggregateCase, stateAt(owner, member, <i32>ctz<u64>(rest)), unpacked);
  return true;
}

// --- writes

/** Takes in what the last fold has changed of entities that have states; false where a row is not what it should be. */
export function enterRunning(): bool {
  if (ranStart() == ranEnd()) return true;
  followDepartures();
  for (let at = ranStart(); at < ranEnd(); at += offsetof<Ran>()) {
    const ran = changetype<Ran>(at);
    for (let one = ran.entity.running; one != 0; one = changetype<Running>(one).next)
      if (!enter(changetype<Running>(one), ran)) return false;
  }
  return true;
}

/** All changes of one fold are one version more; a state that lacks an earlier one stays as it is. */
function enter(running: Running, ran: Ran): bool {
  if (running.version + 1 == ran.entity.version) running.version++;
  if (running.version != ran.entity.version || ran.levelMs != EXACT_TILE_MS) return true;
  const owner = answerAt(running.answer);
  let windows: u64 = 0;
  for (let i = 0; i < owner.windowCount; i++)
    if (ran.tileStart >= load<i64>(startAt(running, i))) windows |= <u64>1 << i;
  open(ran.outline, ran.features, <usize>ran.featuresLength);
  noteLast(owner, running, ran);
  if (windows == 0) return true;
  const own = owner.states;
  owner.states = statesAt(running, owner);
  const isGood = apply(owner, windows, openStart, openEnd, false);
  owner.states = own;
  return isGood;
}

/** By the features that are open. */
function noteLast(owner: Answer, running: Running, ran: Ran): void {
  for (let i = 0; i < owner.memberCount; i++) {
    const last = lastAt(running, owner, i);
    if (ran.tileStart <= load<i64>(last)) continue;
    if (hasEntry(openStart, openEnd, memberAt(owner, i).id)) store<i64>(last, ran.tileStart);
  }
}

function hasEntry(at: usize, end: usize, id: i32): bool {
  while (at < end && readEntry(at, end) && entryId <= id) {
    if (entryId == id) return true;
    at = entryEnd;
  }
  return false;
}

// --- the first read

/** Keeps what the cover of an event has come to, if there was much to be merged: the next reads go on from there. */
export function beginRunning(answer: i32): void {
  const owner = answerAt(answer);
  if (!owner.runs || owner.current == 0 || !owner.isLatest || collectedRows < coveredMin) return;
  followDepartures();
  const entity = changetype<Entity>(owner.current);
  const level = findLevel(entity, EXACT_TILE_MS);
  if (!level) return;
  let running = find(entity, answer);
  if (!running) running = make(owner, answer, entity);
  if (!running) return;
  // Until it is whole.
  running.version = entity.version - 1;
  for (let i = 0; i < owner.memberCount; i++) if (!setLast(owner, running, level, i)) return;
  for (let i = 0; i < owner.windowCount; i++) {
    const window = windowAt(owner, i);
    store<i64>(startAt(running, i), max(window.startMs, window.floorMs));
    store<i32>(guessAt(running, owner, i), -1);
  }
  memory.copy(statesAt(running, owner), owner.states, owner.statesSize);
  running.version = entity.version;
}

/** False where it is not near, or where memory may lack a later one. */
function setLast(owner: Answer, running: Running, level: Level, index: i32): bool {
  const member = memberAt(owner, index);
  const place = lastAt(running, owner, index);
  store<i64>(place, i64.MIN_VALUE);
  if (member.found == 0) return true;
  for (let i = level.count - 1; i >= max(0, level.count - BACK_MAX); i--) {
    const row = rowAt(level, i);
    if (row.tileStart < level.floor) return false;
    openRow(row);
    if (!hasEntry(openStart, openEnd, member.id)) continue;
    store<i64>(place, row.tileStart);
    return true;
  }
  return false;
}

function make(owner: Answer, answer: i32, entity: Entity): Running | null {
  const size = statesAt(changetype<Running>(0), owner) + owner.statesSize;
  if (size > bytesMax) return null;
  if (runningBytes + size > bytesMax) forgetRunning();
  const running = changetype<Running>(allocate(size));
  running.answer = answer;
  running.entity = entity;
  running.size = <u32>size;
  running.next = entity.running;
  entity.running = changetype<usize>(running);
  all.reserve(4);
  store<u32>(all.end, <u32>changetype<usize>(running));
  running.index = <u32>(all.length >> 2);
  all.length += 4;
  runningBytes += size;
  return running;
}
