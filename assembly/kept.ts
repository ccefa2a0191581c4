/**
 * Finished values of one entity, kept with it for the next lookup: they are a function of its rows and of the cover, so they hold
 * while neither has changed.
 *
 *   answer i32 | version u32, of the entity | coverVersion u32 | unused
 *   of each member: windows that are known u64 | since when its events were known i64, for that is what WARMING says
 *   of each cell: value u64 | null u8 | status u8 | unused
 */
import { COUNT, COUNTS, MAX, MEAN, MIN, MOMENTS, REAL_MEAN, REAL_SUM, SUM } from './aggregate';
import { Answer, Member, memberAt } from './answer';
import { isExpired, putReadTime } from './cell';
import { DISTINCT } from './counts';
import { Entity, keepFor } from './entity';
import { registerOf } from './frame';
import { HYPERLOGLOG } from './hyperloglog';
import { seenSince } from './seen';

const KEPT_HEAD: usize = 16;
const KEPT_MEMBER: usize = 16;
const KEPT_CELL: usize = 16;

/**
 * Values that are eight bytes and nothing else, of a moment that no member has expired at: others depend on more than
 * rows and cover, or stand elsewhere.
 */
export function isKeepable(answer: Answer): bool {
  if (answer.isPast) return false;
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    if (member.wanted == 0) continue;
    if (!isWord(member) || isExpired(answer, member)) return false;
  }
  return true;
}

function isWord(member: Member): bool {
  switch (member.aggregateCase) {
    case COUNTS:
      return member.finisher == DISTINCT;
    case MOMENTS:
    case COUNT:
    case SUM:
    case MEAN:
    case MIN:
    case MAX:
    case REAL_SUM:
    case REAL_MEAN:
    case HYPERLOGLOG:
      return true;
    default:
      return false;
  }
}

@inline
function keptMask(kept: usize, member: i32): usize {
  return kept + KEPT_HEAD + <usize>member * KEPT_MEMBER;
}

@inline
function keptCell(answer: Answer, kept: usize, cell: usize): usize {
  return keptMask(kept, answer.memberCount) + cell * KEPT_CELL;
}

/** They are of this answer, and of the rows and the cover as they are now. */
function isCurrent(answer: Answer, index: i32, entity: Entity): bool {
  const kept = entity.kept;
  if (kept == 0 || load<i32>(kept) != index || load<u32>(kept, 4) != entity.version) return false;
  return load<u32>(kept, 8) == answer.coverVersion;
}

/** Copies what is wanted into a row of the frame; false where some of it is not kept. */
export function takeKept(answer: Answer, index: i32, entity: Entity, row: usize): bool {
  if (!isCurrent(answer, index, entity)) return false;
  const kept = entity.kept;
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    if ((member.wanted & ~load<u64>(keptMask(kept, i))) != 0) return false;
    if (member.wanted != 0 && load<i64>(keptMask(kept, i), 8) != seenSince(member.type)) return false;
  }
  for (let i = 0; i < answer.memberCount; i++) {
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = memberAt(answer, i).wanted; rest != 0; rest &= rest - 1) {
      const cell = first + <usize>ctz<u64>(rest);
      const from = keptCell(answer, kept, cell);
      const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
      store<u64>(register.values + (row << 3), load<u64>(from));
      store<u8>(register.nulls + row, load<u8>(from, 8));
      store<u8>(register.statuses + row, load<u8>(from, 9));
    }
  }
  putReadTime(answer, row);
  return true;
}

/** Keeps what has just been finished, beside what is kept already and still holds. */
export function keepRow(answer: Answer, index: i32, entity: Entity, row: usize): void {
  const cells = <usize>answer.memberCount * <usize>answer.windowCount;
  const isMore = isCurrent(answer, index, entity);
  const kept = keepFor(entity, KEPT_HEAD + <usize>answer.memberCount * KEPT_MEMBER + cells * KEPT_CELL);
  store<i32>(kept, index);
  store<u32>(kept, entity.version, 4);
  store<u32>(kept, answer.coverVersion, 8);
  for (let i = 0; i < answer.memberCount; i++) {
    const member = memberAt(answer, i);
    const wanted = member.wanted;
    const mask = keptMask(kept, i);
    const isSame = isMore && load<i64>(mask, 8) == seenSince(member.type);
    store<u64>(mask, (isSame ? load<u64>(mask) : 0) | wanted);
    store<i64>(mask, seenSince(member.type), 8);
    const first = <usize>i * <usize>answer.windowCount;
    for (let rest = wanted; rest != 0; rest &= rest - 1) {
      const cell = first + <usize>ctz<u64>(rest);
      const to = keptCell(answer, kept, cell);
      const register = registerOf(answer.frame, load<i32>(answer.registers + (cell << 2)));
      store<u64>(to, load<u64>(register.values + (row << 3)));
      store<u8>(to, load<u8>(register.nulls + row), 8);
      store<u8>(to, load<u8>(register.statuses + row), 9);
    }
  }
}
