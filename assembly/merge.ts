/** A row is merged into the states of the windows that it belongs to: each of its entries that somebody wants, unpacked once. */
import {
  COUNT,
  DECAYED,
  LAST_N,
  MEAN,
  STATE_SIZE_MAX,
  SUM,
  add128,
  caseOf,
  decode as decodeState,
  isStateOf,
  merge,
} from './aggregate';
import { Answer, Member, stateAt } from './answer';
import { mergeDecayedTile } from './decayed';
import { isRecentSince } from './last_n';
import { Outline, numberAt, numberNext, partAt } from './outline';
import { LAST_DISTINCT, isDistinctSince } from './ranking';
import { entryEnd, entryId, entryValue, readEntry } from './row';
import { isOfIntegers, mergeExtreme, readNumbers, wholeCount, wholeValue } from './whole';

export const READ_OK: i32 = 0;

/** A row is not in canonical form, or holds another aggregate under an id, or values of another kind. */
export const READ_MALFORMED: i32 = 1;

/** All events of the row that is being added are earlier than this. */
let rowEndMicros: i64 = 0;

@inline
export function setRowEnd(levelMs: i64, tileStart: i64): void {
  rowEndMicros = levelMs == 0 ? i64.MAX_VALUE : (tileStart + levelMs) * 1000;
}

/** One unpacked state. */
const unpacked: usize = memory.data(<i32>STATE_SIZE_MAX, 16);

/**
 * Entries and members both ascend by id, and mostly a row has an entry for each member in turn: so each entry is first
 * held against the head that the next member's would have. What is another entry, or has a state that is more than a few
 * integers, goes the long way.
 */
export function addRow(answer: Answer, windows: u64, tileStartMs: i64, at: usize, end: usize): i32 {
  let member = changetype<Member>(answer.members);
  const last = answer.members + <usize>answer.memberCount * offsetof<Member>();
  while (at < end) {
    if (changetype<usize>(member) == last) return READ_OK;
    const head = member.head;
    const word = load<u64>(at);
    const size = head.valueSize(word);
    const value = at + head.size;
    const mask = member.wanted & windows;
    if (head.fits(word, size) && value + size <= end && (mask == 0 || mergeWhole(answer, member, mask, value, value + size))) {
      at = value + size;
    } else {
      if (!readEntry(at, end)) return READ_MALFORMED;
      at = entryEnd;
      while (changetype<usize>(member) < last && member.id < entryId) member = nextMember(member);
      if (changetype<usize>(member) == last) return READ_OK;
      if (member.id != entryId) continue;
      if (!mergeDecoded(answer, member, member.wanted & windows, tileStartMs)) return READ_MALFORMED;
    }
    member.found |= member.wanted & windows;
    member = nextMember(member);
  }
  return READ_OK;
}

@inline
function nextMember(member: Member): Member {
  return changetype<Member>(changetype<usize>(member) + offsetof<Member>());
}

/** Merges a state of integers straight from its bytes; false where it is another, or spelt in more bytes. */
@inline
function mergeWhole(answer: Answer, member: Member, mask: u64, value: usize, end: usize): bool {
  if (!readNumbers(member.aggregateCase, value, end) || !isOfIntegers(member.aggregateCase, member.kind)) return false;
  mergeIntegers(answer, member, mask, wholeValue, wholeCount);
  return true;
}

/** Merges what a state of integers has: a number, and of a mean a count. */
@inline
function mergeIntegers(answer: Answer, member: Member, mask: u64, value: i64, count: i64): void {
  const state = answer.states + member.states;
  switch (member.aggregateCase) {
    case COUNT:
      for (let rest = mask; rest != 0; rest &= rest - 1) {
        const into = state + (<usize>ctz<u64>(rest) << 3);
        store<i64>(into, load<i64>(into) + value);
      }
      return;
    case SUM:
      for (let rest = mask; rest != 0; rest &= rest - 1)
        add128(state + (<usize>ctz<u64>(rest) << 4), <u64>value, value >> 63);
      return;
    case MEAN:
      for (let rest = mask; rest != 0; rest &= rest - 1) {
        const into = state + <usize>ctz<u64>(rest) * 24;
        add128(into, <u64>value, value >> 63);
        store<i64>(into, load<i64>(into, 16) + count, 16);
      }
      return;
    default:
      for (let rest = mask; rest != 0; rest &= rest - 1)
        mergeExtreme(member.aggregateCase, state + (<usize>ctz<u64>(rest) << 4), value);
  }
}

/** Adds a row that is closed (outline.ts): its numbers are merged as they stand there. */
export function addClosed(answer: Answer, windows: u64, outline: Outline, numbers: usize): i32 {
  let member = changetype<Member>(answer.members);
  const last = answer.members + <usize>answer.memberCount * offsetof<Member>();
  for (let i = 0; i < outline.count; i++) {
    const part = partAt(outline, i);
    const value = numberAt(numbers);
    numbers = numberNext;
    let count: i64 = 0;
    if (part.aggregateCase == MEAN) {
      count = numberAt(numbers);
      numbers = numberNext;
      i++;
    }
    while (changetype<usize>(member) < last && member.id < part.id) member = nextMember(member);
    if (changetype<usize>(member) == last) return READ_OK;
    if (member.id != part.id) continue;
    const wanted = member.wanted & windows;
    if (wanted != 0) {
      if (member.aggregateCase != part.aggregateCase || !isOfIntegers(part.aggregateCase, member.kind)) return READ_MALFORMED;
      mergeIntegers(answer, member, wanted, value, count);
      member.found |= wanted;
    }
    member = nextMember(member);
  }
  return READ_OK;
}

/** Merges the entry just read, whatever its state, by way of its unpacked form; false where it is not canonical, or of another case or kind. */
function mergeDecoded(answer: Answer, member: Member, mask: u64, tileStartMs: i64): bool {
  mask = unfilled(answer, member, mask);
  if (mask == 0) return true;
  if (caseOf(entryValue, entryEnd) != member.aggregateCase) return false;
  if (!decodeState(member.aggregateCase, entryValue, entryEnd, unpacked)) return false;
  if (!isStateOf(member.aggregateCase, unpacked, member.kind)) return false;
  for (let rest = mask; rest != 0; rest &= rest - 1) {
    const state = stateAt(answer, member, <i32>ctz<u64>(rest));
    if (member.aggregateCase == DECAYED) mergeDecayedTile(state, unpacked, tileStartMs);
    else merge(member.aggregateCase, state, unpacked);
  }
  return true;
}

/** Of windows those that the row at hand can still add to: a list of the latest may be full of later ones. */
@inline
function unfilled(answer: Answer, member: Member, mask: u64): u64 {
  if (member.aggregateCase != LAST_N && member.aggregateCase != LAST_DISTINCT) return mask;
  let left = mask;
  for (let rest = mask; rest != 0; rest &= rest - 1) {
    const state = stateAt(answer, member, <i32>ctz<u64>(rest));
    const isFull =
      member.aggregateCase == LAST_N ? isRecentSince(state, rowEndMicros) : isDistinctSince(state, rowEndMicros);
    if (isFull) left &= ~(rest & (0 - rest));
  }
  return left;
}
