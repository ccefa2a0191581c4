/** Values of windows out of their states, into a row of the answer's frame, each with its status. */
import { COUNTS, DECAYED, FIRST, LAST, LAST_N, MOMENTS, finish } from './aggregate';
import { Answer, Member, Window, answerAt, memberAt, stateAt, windowAt } from './answer';
import { Arena } from './arena';
import { finishCounts } from './counts';
import { finishDecayed } from './decayed';
import { CLOCK_NONE } from './event_type';
import { FINISHED, FINISHED_NULL, FINISHED_OVERFLOW } from './finish';
import { registerOf } from './frame';
import { HYPERLOGLOG } from './hyperloglog';
import { TEXT } from './kind';
import { finishRecent } from './last_n';
import { finishMoments } from './moments';
import { AS_FIRST, finishFirst, finishList, isRankedOver, isRanking } from './ranking';
import { Status } from './register';
import { lateBefore, seenClock, seenSince } from './seen';
import { VECTOR_MEAN, finishVector } from './vector';

/**
 * Since when a member's events are known, where the window starts before that at the moment of the cover: its values
 * are WARMING. CLOCK_NONE where all of the window is known. A lifetime holds all that its event type is known of, so it
 * is WARMING only where its aggregate came later than that.
 */
export function warmingSince(answer: i32, member: i32, window: i32): i64 {
  const owner = answerAt(answer);
  return sinceOf(windowAt(owner, window), memberAt(owner, member).type);
}

@inline
function sinceOf(window: Window, type: i32): i64 {
  if (window.lengthMs == 0) return window.sinceMicros;
  const first = max(seenSince(type), window.sinceMicros);
  return window.startMs * 1000 < first ? first : CLOCK_NONE;
}

/** Ends the answer for one key: its values become row `row` of the frame. */
export function finishKey(answer: i32, row: i32): void {
  finishRow(answerAt(answer), <usize>row);
}

export function finishRow(answer: Answer, row: usize): void {
  assert(row < <usize>answer.frame.rows);
  putReadTime(answer, row);
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    const expired = isExpired(answer, member);
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = member.wanted; rest != 0; rest &= rest - 1) {
      const window = <i32>ctz<u64>(rest);
      const isLifetime = expired && windowAt(answer, window).lengthMs == 0;
      finishCell(answer, first + <usize>window, member, window, expired && !isLifetime, row);
    }
  }
}

@inline
export function putReadTime(answer: Answer, row: usize): void {
  if (answer.readTime < 0) return;
  const register = registerOf(answer.frame, answer.readTime);
  store<i64>(register.values + (row << 3), answer.timeMicros);
  store<u8>(register.nulls + row, 0);
  store<u8>(register.statuses + row, <u8>Status.NONE);
}

@inline
function finishCell(answer: Answer, cell: usize, member: Member, window: i32, expired: bool, row: usize): void {
  const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
  const value = register.values + (row << 3);
  store<u64>(value, 0);
  let isNull: u8 = 1;
  let status = Status.EXPIRED;
  if (!expired) {
    const outcome = finishState(member, stateAt(answer, member, window), value);
    isNull = outcome == FINISHED ? 0 : 1;
    if ((member.found & (<u64>1 << window)) == 0) status = Status.NOT_FOUND;
    else if (outcome == FINISHED_OVERFLOW) status = Status.OVERFLOW;
    else status = sinceOf(windowAt(answer, window), member.type) == CLOCK_NONE ? Status.NONE : Status.WARMING;
  }
  if (isNull == 0 && (member.aggregateCase == FIRST || member.aggregateCase == LAST))
    keepText(stateAt(answer, member, window), value);
  store<u8>(register.nulls + row, isNull);
  store<u8>(register.statuses + row, <u8>status);
}

@inline
function finishState(member: Member, state: usize, value: usize): i32 {
  if (member.aggregateCase < LAST_N) return finish(member.aggregateCase, state, value);
  return finishLong(member, state, value);
}

/** What is shared by several functions, or is more than eight bytes. */
function finishLong(member: Member, state: usize, value: usize): i32 {
  switch (member.aggregateCase) {
    case LAST_N:
      return finishRecent(state, value, texts) ? FINISHED : FINISHED_OVERFLOW;
    case MOMENTS:
      return finishMoments(member.finisher, state, value);
    case COUNTS:
      return finishCounts(member.finisher, state, member.parameters, member.parameterCount, value, texts);
    case DECAYED:
      return finishDecayed(state, value);
    case VECTOR_MEAN:
      return finishVector(state, value, texts);
    case HYPERLOGLOG:
      return finish(HYPERLOGLOG, state, value);
    default:
      return finishRanking(member, state, value);
  }
}

function finishRanking(member: Member, state: usize, value: usize): i32 {
  assert(isRanking(member.aggregateCase));
  if (isRankedOver(member.aggregateCase, state)) return FINISHED_OVERFLOW;
  if (member.finisher == AS_FIRST) return finishFirst(state, value, texts) ? FINISHED : FINISHED_NULL;
  finishList(state, value, texts);
  return FINISHED;
}

/** Text and lists of finished values: rows change and go, an answer is read when it is whole. */
const texts: Arena = Arena.make();

/** Forgets the text of answers that have been read. */
export function forgetTexts(): void {
  texts.reset();
}

/** What they take. */
export function textBytes(): f64 {
  return <f64>texts.size;
}

@inline
function keepText(state: usize, value: usize): void {
  if (load<i64>(state) != TEXT) return;
  store<u32>(value, <u32>texts.copy(<usize>load<u32>(value), <usize>load<u32>(value, 4)));
}

/** Nothing has the null key: every value is null. */
export function finishNullKey(answer: Answer, row: usize): void {
  putReadTime(answer, row);
  for (let i = 0; i < answer.memberCount; i++) {
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = memberAt(answer, i).wanted; rest != 0; rest &= rest - 1) {
      const cell = first + <usize>ctz<u64>(rest);
      const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
      store<u64>(register.values + (row << 3), 0);
      store<u8>(register.nulls + row, 1);
      store<u8>(register.statuses + row, <u8>Status.NOT_FOUND);
    }
  }
}

export function isExpired(answer: Answer, member: Member): bool {
  return !answer.isPast && lateBefore(seenClock(member.type), answer.timeMicros);
}
