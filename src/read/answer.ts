import { assert } from '../base/assert.ts';
import type { Fold } from '../kernel/fold.ts';
import { Copies, holdRows } from '../kernel/hold.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { AnswerFeature, AnswerLayout } from '../kernel/layout.ts';
import { rowsAtOnce } from '../kernel/last_n.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { copyRows } from '../kernel/feature_column.ts';
import { gapsOf } from '../kernel/cover.ts';
import { want } from '../kernel/answer.ts';
import { checkRead } from '../kernel/window.ts';
import type { TileRange } from '../plan/window.ts';
import type { RowReader, TakeRow } from '../store/store.ts';

/** Where memory's rows go to rest. */
export interface Stored {
  /** Hands over the rows of one key in ranges that ascend by level, in that order. */
  read(key: Uint8Array, ranges: TileRange[], take: TakeRow): void;
  /** There is room in memory: what is read stays there, for the next lookup, until eviction takes it. */
  hasRoom(): boolean;
}

export type StoredRows = Pick<RowReader, 'readKey'>;

/** The rows of an entity as `answerKeys` asks for them. */
export function storedOf(store: StoredRows, fold: Pick<Fold, 'hasRoom'>, { entityId }: AnswerLayout): Stored {
  return {
    read: (key, ranges, take) => store.readKey(entityId, key, ranges, take),
    hasRoom: () => fold.hasRoom,
  };
}

/**
 * Values of features for keys of one entity at a moment: cover -> gather -> merge -> finish -> derive. Pure: what comes
 * out depends on the rows and the moment alone. A key is answered from memory, where that has all of its rows; what it
 * may lack is read from the store first. Rows in memory stand before rows of the same address in the store.
 *
 * @param timeMicros microseconds since 1970 UTC
 * @param isPast answers [floor(t - W, r), floor(t, r)) instead of everything from floor(t - W, r) on
 * @param stored null where memory holds every row
 * @param columns one per feature, with a row for each key
 */
export function answerKeys(
  kernel: Kernel,
  answer: AnswerLayout,
  features: AnswerFeature[],
  keys: Uint8Array[],
  timeMicros: bigint,
  isPast: boolean,
  stored: Stored | null,
  columns: FeatureColumn[],
): void {
  const { exports } = kernel;
  want(kernel, answer, features);
  exports.coverAt(answer.index, timeMicros, isPast ? 1 : 0);
  const chunk = rowsAtOnce(kernel, [{ answer, features }]);
  for (let from = 0; from < keys.length; from += chunk) {
    const part = keys.slice(from, from + chunk);
    exports.forgetTexts();
    answerPart(kernel, answer, part, isPast, stored);
    derive(kernel, answer, part.length);
    for (const [i, feature] of features.entries()) copyRows(kernel, answer, feature, part.length, columns[i]!, from);
  }
}

/**
 * The same for the entity that a record of the batch names, as of that record: (its position, its time). The prefix
 * must have been seen and folded up to it; what it names goes to row `row` of the answer's frame.
 *
 * @param stored null while memory holds every row
 */
export function answerRecord(
  kernel: Kernel,
  answer: AnswerLayout,
  record: number,
  row: number,
  stored: Stored | null,
): void {
  const { exports } = kernel;
  if (!stored) checkRead(kernel, exports.answerRecord(answer.index, record, row));
  else if (exports.startRecord(answer.index, record, row)) {
    const key = kernel.bytes(exports.recordKeyStart(), exports.recordKeyLength()).slice();
    exports.listGaps(answer.index);
    checkRead(kernel, answerOnce(kernel, answer, key, stored, row));
  }
}

/**
 * One key under the cover that is set, into row 0 of the answer's frame: what stands there holds until the next answer.
 */
export function answerAlone(
  kernel: Kernel,
  answer: AnswerLayout,
  features: AnswerFeature[],
  key: Uint8Array,
  isPast: boolean,
  stored: Stored | null,
): void {
  want(kernel, answer, features);
  kernel.exports.forgetTexts();
  answerPart(kernel, answer, [key], isPast, stored);
  derive(kernel, answer, 1);
}

/** What a kernel that shares a store, and holds no rows itself, asks it for of every key: a range for each level, ascending. */
export function storeRanges(
  kernel: Kernel,
  answer: AnswerLayout,
  features: AnswerFeature[],
  timeMicros: bigint,
  isPast: boolean,
): TileRange[] {
  const { exports } = kernel;
  want(kernel, answer, features);
  exports.coverAt(answer.index, timeMicros, isPast ? 1 : 0);
  exports.startKey(answer.index, 0, 0);
  exports.listGaps(answer.index);
  return gapsOf(kernel, answer);
}

/** Computes derived features for rows [0, count) of the answer's frame. */
export function derive(kernel: Kernel, answer: AnswerLayout, count: number): void {
  if (answer.program !== null) kernel.exports.runProgram(answer.program, answer.frame, 0, count);
}

/** Keys that become rows 0, 1 ... of the frame. */
function answerPart(
  kernel: Kernel,
  answer: AnswerLayout,
  keys: Uint8Array[],
  isPast: boolean,
  stored: Stored | null,
): void {
  const { exports } = kernel;
  const gaps = exports.READ_GAPS.value;
  const block = putAll(kernel, keys);
  let start = block.start;
  try {
    for (let row = 0; row < keys.length; row++) {
      const { length } = keys[row]!;
      let outcome = exports.answerKey(answer.index, start, length, row);
      if (outcome === gaps) {
        assert(stored, 'memory that lacks rows has a store behind it');
        const place = { bytes: keys[row]!, start };
        if (!isPast && stored.hasRoom()) {
          const ranges = gapsOf(kernel, answer);
          holdRows(kernel, answer.entityId, place, ranges, take => stored.read(place.bytes, ranges, take));
          outcome = exports.answerKey(answer.index, start, length, row);
          assert(outcome !== gaps, 'what was read is held');
        } else outcome = answerOnce(kernel, answer, place.bytes, stored, row);
      }
      checkRead(kernel, outcome);
      start += length;
    }
  } finally {
    // After a fault too: a row that cannot be read is asked for again and again.
    exports.release(block.start, block.length);
  }
}

interface Block {
  start: number;
  length: number;
}

/** Keys behind one another in a block. */
function putAll(kernel: Kernel, keys: Uint8Array[]): Block {
  const length = keys.reduce((sum, key) => sum + key.length, 0);
  const start = kernel.exports.allocate(length) >>> 0;
  const bytes = kernel.bytes(start, length);
  let at = 0;
  for (const key of keys) {
    bytes.set(key, at);
    at += key.length;
  }
  return { start, length };
}

/** Answers the key that has been started from memory and, where that has gaps, the store; it keeps nothing. */
function answerOnce(kernel: Kernel, answer: AnswerLayout, key: Uint8Array, stored: Stored, row: number): number {
  const { exports } = kernel;
  let outcome = exports.READ_OK.value;
  // They stand in the kernel until the key is finished: states point at their text.
  const copies = new Copies(kernel);
  try {
    stored.read(key, gapsOf(kernel, answer), (levelMs, tileStartMs, bytes, start, end) => {
      const added = exports.addStoredRow(answer.index, levelMs, tileStartMs, copies.place(bytes) + start, end - start);
      if (added !== exports.READ_OK.value) outcome = added;
    });
    // A state that could not be read is not finished: what it holds may be no value.
    if (outcome === exports.READ_OK.value) outcome = exports.addMemoryRows(answer.index);
    if (outcome === exports.READ_OK.value) exports.finishKey(answer.index, row);
  } finally {
    copies.release();
  }
  return outcome;
}
