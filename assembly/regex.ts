/**
 * Regular expressions over texts: the programs of src/plan/regex.ts, run by code points.
 *
 * 1. All places of the program that the text may be at are held at once, the preferred first: `now`. They are places
 *    of SET alone, and MATCH; what lies between is followed when a place is added, each place once for a code point.
 * 2. Each code point takes the places whose set it is in on to `next`. A match drops the places after it, for they
 *    are not preferred.
 * 3. Where no place is left, the bytes that no match begins with are passed over.
 *
 *     (ab|a)c of "ac"    now: [a (of ab), a]  -a->  next: [b, c]  -c->  [match]
 *
 * So a text takes at most (code points * states of the program) steps, whatever the pattern: `regexSteps` counts them.
 * The places of groups are carried along only where they are asked for.
 */
import { keep, reserve } from './arena';
import { allocate, release } from './memory';
import { Op } from './op';
import { Register } from './register';
import { TEXT_MAX_BYTES } from './text';
import { readPoint, widthOf } from './utf8';

/** As src/plan/regex.ts lays out a program; words of four bytes. */
const HEAD_SIZE: usize = 48;
const STATE_SIZE: usize = 32;
const FIRST_BYTES: usize = 16;
const BITS: usize = 16;

/** Operations of a program, and what an assertion asks: src/plan/regex.ts has the same lists. */
enum State {
  MATCH,
  SET,
  SPLIT,
  SAVE,
  ASSERT,
}

enum Assertion {
  TEXT_START,
  TEXT_END,
  LINE_START,
  LINE_END,
  WORD_EDGE,
  NO_WORD_EDGE,
}

/** How many places were looked at since the kernel was made; tests count by it. */
export let regexSteps: i64 = 0;

/** Places in their order, each once: `places[sparse[p]] == p` where p is one of them. */
@unmanaged
class Places {
  count: u32;
  places: usize;
  sparse: usize;
  /** For each place of the program the slots it came with. */
  slots: usize;
}

/** Room for programs of so many states and slots: it grows, and is used by one program after the other. */
let roomStates: usize = 0;
let roomSlots: usize = 0;
let room: usize = 0;
const nowHead: usize = memory.data(16);
const nextHead: usize = memory.data(16);
let now: Places = changetype<Places>(nowHead);
let next: Places = changetype<Places>(nextHead);
/** Entries of the stack: a place to add, or a slot to restore, and its value. */
let stack: usize = 0;
/** The slots of the place at hand; then those of the match. */
let current: usize = 0;
let matched: usize = 0;

/** A slot that no text was kept in. */
const NO_PLACE: u32 = u32.MAX_VALUE;
/** In an entry of the stack: not a slot to restore, but a place to add. */
const ADD: u32 = u32.MAX_VALUE;
const ENTRY_SIZE: usize = 8;

function roomSize(states: usize, slots: usize): usize {
  // Each state puts at most two entries onto the stack.
  return 2 * (states * 8 + states * slots * 4) + (states * 2 + 2) * ENTRY_SIZE + slots * 8;
}

function makeRoom(states: usize, slots: usize): void {
  if (states > roomStates || slots > roomSlots) {
    if (room != 0) release(room, roomSize(roomStates, roomSlots));
    roomStates = max(roomStates, states);
    roomSlots = max(roomSlots, slots);
    room = allocate(roomSize(roomStates, roomSlots));
  }
  now = changetype<Places>(nowHead);
  next = changetype<Places>(nextHead);
  let at = placesAt(now, room, states, slots);
  at = placesAt(next, at, states, slots);
  current = at;
  matched = current + (slots << 2);
  stack = matched + (slots << 2);
}

function placesAt(list: Places, at: usize, states: usize, slots: usize): usize {
  list.count = 0;
  list.places = at;
  list.sparse = at + (states << 2);
  list.slots = at + (states << 3);
  return list.slots + states * (slots << 2);
}

@inline
function holds(list: Places, place: u32): bool {
  const index = load<u32>(list.sparse + (<usize>place << 2));
  return index < list.count && load<u32>(list.places + (<usize>index << 2)) == place;
}

/** The program and the text at hand. */
let program: usize = 0;
let slotCount: usize = 0;
let textStart: usize = 0;
let textEnd: usize = 0;

@inline
function stateAt(place: u32): usize {
  return program + HEAD_SIZE + <usize>place * STATE_SIZE;
}

@inline
function push(top: usize, slot: u32, value: u32): usize {
  store<u32>(top, slot);
  store<u32>(top, value, 4);
  return top + ENTRY_SIZE;
}

@inline
function copySlots(to: usize, from: usize): void {
  if (slotCount != 0) memory.copy(to, from, slotCount << 2);
}

@inline
function slotsOf(list: Places, place: u32): usize {
  return list.slots + <usize>place * (slotCount << 2);
}

/** Adds a place, and all that can be reached from it without a code point, to a list; `current` has its slots. */
function add(list: Places, from: u32, at: usize): void {
  let top = push(stack, ADD, from);
  while (top > stack) {
    top -= ENTRY_SIZE;
    const slot = load<u32>(top);
    const place = load<u32>(top, 4);
    if (slot != ADD) {
      store<u32>(current + (<usize>slot << 2), place);
      continue;
    }
    if (holds(list, place)) continue;
    regexSteps++;
    // Places between are in the list as well, so that none is followed twice; a step passes over them.
    store<u32>(list.places + (<usize>list.count << 2), place);
    store<u32>(list.sparse + (<usize>place << 2), list.count);
    list.count++;
    const state = stateAt(place);
    switch (load<u32>(state)) {
      case State.SPLIT:
        top = push(top, ADD, load<u32>(state, 8));
        top = push(top, ADD, load<u32>(state, 4));
        break;
      case State.SAVE: {
        const kept = load<u32>(state, 8);
        if (<usize>kept < slotCount) {
          const value = current + (<usize>kept << 2);
          top = push(top, kept, load<u32>(value));
          store<u32>(value, <u32>(at - textStart));
        }
        top = push(top, ADD, load<u32>(state, 4));
        break;
      }
      case State.ASSERT:
        if (isTrue(load<u32>(state, 8), at)) top = push(top, ADD, load<u32>(state, 4));
        break;
      default:
        copySlots(slotsOf(list, place), current);
    }
  }
}

function isTrue(what: u32, at: usize): bool {
  switch (what) {
    case Assertion.TEXT_START:
      return at == textStart;
    case Assertion.TEXT_END:
      return at == textEnd;
    case Assertion.LINE_START:
      return at == textStart || load<u8>(at - 1) == 0x0a;
    case Assertion.LINE_END:
      return at == textEnd || load<u8>(at) == 0x0a;
    default: {
      const isEdge = (at > textStart && isWord(load<u8>(at - 1))) != (at < textEnd && isWord(load<u8>(at)));
      return isEdge == (what == Assertion.WORD_EDGE);
    }
  }
}

@inline
function isWord(byte: u8): bool {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte == 0x5f;
}

@inline
function hasBit(bits: usize, index: u32): bool {
  return ((load<u32>(bits + <usize>((index >> 5) << 2)) >> (index & 31)) & 1) != 0;
}

/** Is a code point in the set of a state? Beyond ASCII by halving its ranges. */
function isIn(state: usize, point: u32): bool {
  if (point < 0x80) return hasBit(state + BITS, point);
  const ranges = program + (<usize>load<u32>(state, 8) << 2);
  let low: i32 = 0;
  let high = load<i32>(state, 12);
  while (low < high) {
    const middle = (low + high) >> 1;
    const range = ranges + (<usize>middle << 3);
    if (point > load<u32>(range, 4)) low = middle + 1;
    else if (point < load<u32>(range)) high = middle;
    else return true;
  }
  return false;
}

/** How many bytes of the text at hand were looked at; a replacement may come back to some. */
let scanned: u64 = 0;

/** Looks for the first match that begins at or after `from`; its slots are in `matched` then, as many as are kept. */
function search(from: usize): bool {
  now.count = 0;
  let found = false;
  const start = load<u32>(program, 8);
  const isAnchored = load<u32>(program, 12) != 0;
  let at = from;
  while (true) {
    if (now.count == 0) {
      if (found || (isAnchored && at != textStart)) break;
      while (at < textEnd && !hasBit(program + FIRST_BYTES, <u32>load<u8>(at))) at++;
    }
    if (!found) {
      if (slotCount != 0) memory.fill(current, 0xff, slotCount << 2);
      add(now, start, at);
    }
    const isEnd = at >= textEnd;
    const point = isEnd ? 0 : readPoint(at);
    const width: usize = isEnd ? 0 : widthOf(load<u8>(at));
    next.count = 0;
    for (let i: u32 = 0; i < now.count; i++) {
      const place = load<u32>(now.places + (<usize>i << 2));
      const state = stateAt(place);
      const operation = load<u32>(state);
      if (operation == State.SET) {
        regexSteps++;
        if (isEnd || !isIn(state, point)) continue;
        copySlots(current, slotsOf(now, place));
        add(next, load<u32>(state, 4), at + width);
      } else if (operation == State.MATCH) {
        if (slotCount == 0) return true;
        copySlots(matched, slotsOf(now, place));
        found = true;
        break;
      }
    }
    if (isEnd) break;
    const last = now;
    now = next;
    next = last;
    at += width;
  }
  scanned += <u64>(at - from);
  return found;
}

/** A program, and the text that it is run over; `slots` of its places of groups are kept. */
function begin(pattern: usize, slots: usize, start: usize, end: usize): void {
  program = pattern;
  slotCount = slots;
  textStart = start;
  textEnd = end;
  makeRoom(<usize>load<u32>(pattern), slots);
}

/** Where the result of the row at hand goes. */
let cell: usize = 0;

@inline
function put(start: usize, end: usize): bool {
  store<u32>(cell, <u32>start);
  store<u32>(cell, <u32>(end - start), 4);
  return true;
}

/**
 * REGEX_CONTAINS, REGEX_EXTRACT, REGEX_REPLACE: a is the text; b the program; c the number of a group, or a
 * replacement with the group before each text of it. b and c are the same for all rows.
 */
export function runRegex(op: i32, target: Register, a: Register, b: Register, c: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    cell = target.values + at;
    store<u64>(cell, 0);
    let isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row) | load<u8>(c.nulls + row);
    if (isNull == 0) isNull = <u8>!regexOf(op, a.values + at, b.values + at, c.values + at);
    store<u8>(target.nulls + row, isNull);
  }
}

/** False for null: see `replace`. */
function regexOf(op: i32, text: usize, pattern: usize, more: usize): bool {
  const start = <usize>load<u32>(text);
  const end = start + <usize>load<u32>(text, 4);
  const words = <usize>load<u32>(pattern);
  if (op == Op.REGEX_CONTAINS) {
    begin(words, 0, start, end);
    store<i64>(cell, <i64>search(start));
    return true;
  }
  if (op == Op.REGEX_EXTRACT) {
    const group = <usize>load<i64>(more);
    begin(words, min(<usize>load<u32>(words, 4), (group + 1) << 1), start, end);
    if (!search(start)) return put(start, start);
    const first = group << 1 < slotCount ? slotOf(group << 1) : NO_PLACE;
    const last = group << 1 < slotCount ? slotOf((group << 1) + 1) : NO_PLACE;
    return first == NO_PLACE || last == NO_PLACE ? put(start, start) : put(start + first, start + last);
  }
  begin(words, <usize>load<u32>(words, 4), start, end);
  return replace(start, end, <usize>load<u32>(more), <usize>load<u32>(more, 4), op == Op.REGEX_REPLACE_ALL);
}

@inline
function slotOf(slot: usize): u32 {
  return load<u32>(matched + (slot << 2));
}

/**
 * How often a replacement may look at a text. A search for one match reads on beyond it (`a.*b|a` does, up to the end), and
 * the next one begins behind it; without a limit a long text could take its length times itself.
 */
const PASSES_MAX: u64 = 64;

/**
 * As RE2 does: what is empty right behind the match before it is none. A replacement is a row of parts: (group or
 * NO_PLACE u32, size of the text u32, the text). False where the text becomes too long, or takes too many passes.
 */
function replace(start: usize, end: usize, parts: usize, partsSize: usize, isAll: bool): bool {
  const limit = max(TEXT_MAX_BYTES, max(end - start, partsSize));
  // A short text is done with in no time.
  const scanLimit = PASSES_MAX * <u64>(end - start + 1024);
  let size: usize = 0;
  let made: usize = 0;
  // First how long it becomes, then what.
  for (let pass = 0; pass < 2; pass++) {
    scanned = 0;
    let out: usize = 0;
    let at = start;
    let lastEnd: usize = 0;
    while (at <= end && search(at)) {
      const first = start + slotOf(0);
      const last = start + slotOf(1);
      if (pass == 1) memory.copy(made + out, at, first - at);
      out += first - at;
      if (first == last && first == lastEnd) {
        // Passes over the code point at hand, and looks on behind it.
        if (first >= end) {
          at = end;
          break;
        }
        const width = widthOf(load<u8>(first));
        if (pass == 1) memory.copy(made + out, first, width);
        out += width;
        at = first + width;
        continue;
      }
      for (let part = parts; part < parts + partsSize; ) {
        const group = load<u32>(part);
        const textSize = <usize>load<u32>(part, 4);
        let from = part + 8;
        let length = textSize;
        if (group != NO_PLACE) {
          const isKept = slotOf(<usize>group << 1) != NO_PLACE && slotOf((<usize>group << 1) + 1) != NO_PLACE;
          from = isKept ? start + slotOf(<usize>group << 1) : start;
          length = isKept ? <usize>(slotOf((<usize>group << 1) + 1) - slotOf(<usize>group << 1)) : 0;
        }
        if (pass == 1) memory.copy(made + out, from, length);
        out += length;
        part += 8 + textSize;
      }
      at = last;
      lastEnd = last;
      if (out > limit || scanned > scanLimit) return false;
      if (!isAll) break;
    }
    if (pass == 1) {
      if (at < end) memory.copy(made + out, at, end - at);
      break;
    }
    if (out == 0 && at == start) return put(start, end);
    size = out + (end - at);
    if (size > limit) return false;
    made = reserve(size);
  }
  keep(size);
  return put(made, made + size);
}
