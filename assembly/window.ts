/**
 * Windows from rows, for one entity at a time.
 *
 *   1. cover    which tiles make up each window at the time of reading (cover.ts); what memory lacks of them (gap.ts) is asked of the store
 *   2. collect  the entity's rows in those ranges, each visited once: a mask says which windows it belongs to (collect.ts)
 *   3. merge    each entry that somebody wants is unpacked once, and merged into the state of each of its windows (merge.ts)
 *   4. finish   one value a read, into a row of the answer's frame (cell.ts); derived features are computed there batchwise
 *
 * What was finished before is taken as it is while neither rows nor cover have changed (kept.ts).
 */
import { ANSWER_ROWS, Answer, answerAt } from './answer';
import { recordCount, recordRow, recordTime, recordType } from './batch';
import { finishNullKey, finishRow } from './cell';
import { clearStates, collect, collectRanges, setEntity, startEntity } from './collect';
import { coverEvent, lacksAfter, startCover } from './cover';
import { findEntity } from './entity';
import { typeFrame } from './event_type';
import { findGaps } from './gap';
import { isKeepable, keepRow, takeKept } from './kept';
import { buildKey, keyLength, keyStart } from './key';
import { READ_OK } from './merge';

/** Memory may lack rows of the key: `gapsStart` says which. */
export const READ_GAPS: i32 = 2;

/** All of the answer for one key, into row `row` of the frame, unless memory may lack some of its rows. */
export function answerKey(answer: i32, keyStart: usize, keyLength: usize, row: i32): i32 {
  const owner = answerAt(answer);
  assert(<u32>row < <u32>ANSWER_ROWS);
  const isKept = isKeepable(owner);
  const known = isKept ? findEntity(owner.entity, keyStart, keyLength) : null;
  if (known && takeKept(owner, answer, known, <usize>row)) return READ_OK;
  startEntity(owner, keyStart, keyLength);
  findGaps(owner);
  if (owner.gapCount > 0) return READ_GAPS;
  const outcome = collect(owner);
  if (outcome != READ_OK) return outcome;
  finishRow(owner, <usize>row);
  if (known) keepRow(owner, answer, known, <usize>row);
  return READ_OK;
}

/**
 * The features of the entity that a record of the batch names, as of that record: (its position, its time). The
 * prefix must have been seen and folded up to it. The record has a row in the frame of the answer's event type.
 */
export function answerRecord(answer: i32, record: i32, row: i32): i32 {
  return startRecord(answer, record, row) ? answerStarted(answer, row) : READ_OK;
}

/** The rest of it, where memory has all rows of the key. */
export function answerStarted(answer: i32, row: i32): i32 {
  const owner = answerAt(answer);
  const outcome = owner.isOfEvents ? collectRanges(owner) : collect(owner);
  if (outcome == READ_OK) finishRow(owner, <usize>row);
  return outcome;
}

/** Begins that answer where rows have to come from the store too. False for a null key: then it has ended. */
export function startRecord(answer: i32, record: i32, row: i32): bool {
  if (!keyRecord(answer, record, row)) return false;
  coverRecord(answer, record);
  return true;
}

/** Finds the entity that a record names. False for a null key: then the answer has ended. */
export function keyRecord(answer: i32, record: i32, row: i32): bool {
  const owner = answerAt(answer);
  assert(<u32>record < <u32>recordCount && <u32>row < <u32>owner.frame.rows);
  const at = <usize>record;
  assert(load<i32>(recordType + (at << 2)) == owner.type && load<i32>(recordRow + (at << 2)) >= 0);
  const eventRow = <usize>load<i32>(recordRow + (at << 2));
  if (lacksAfter(owner, eventRow)) {
    finishNullKey(owner, <usize>row);
    return false;
  }
  if (!buildKey(typeFrame(owner.type), eventRow, owner.keyColumns, owner.keyCount)) {
    answerOfTime(owner, load<i64>(recordTime + (at << 3)));
    finishNullKey(owner, <usize>row);
    return false;
  }
  setEntity(owner, keyStart, keyLength);
  return true;
}

/** Finds the cover of that record; nothing is merged yet. */
export function coverRecord(answer: i32, record: i32): void {
  const owner = answerAt(answer);
  const at = <usize>record;
  coverEvent(owner, load<i64>(recordTime + (at << 3)), <usize>load<i32>(recordRow + (at << 2)));
  clearStates(owner);
}

/** The moment alone: nothing is covered for who has no key. */
function answerOfTime(answer: Answer, timeMicros: i64): void {
  if (answer.timeMicros != timeMicros) startCover(answer, timeMicros, false);
}

/** Lists what memory may lack of the key that the record names; false where that is nothing. */
export function lacksRows(answer: i32): bool {
  findGaps(answerAt(answer));
  return answerAt(answer).gapCount > 0;
}

/** The key that the record names, until another is built. */
export function recordKeyStart(): usize {
  return keyStart;
}

export function recordKeyLength(): usize {
  return keyLength;
}
