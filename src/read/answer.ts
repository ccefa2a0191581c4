import type { Kernel } from '../kernel/instance.ts';
import type { AnswerFeature, AnswerLayout } from '../kernel/layout.ts';
import { rowsAtOnce } from '../kernel/last_n.ts';
import type { FeatureColumn, TileRange } from '../kernel/window.ts';
import { checkRead, copyRows, tileRanges, want } from '../kernel/window.ts';

/** Rows of one entity in a range of tiles, from where memory's rows go to rest. */
export type ReadRange = (
  key: Uint8Array,
  range: TileRange,
) => Iterable<{ levelMs: number; tileStartMs: number; value: Uint8Array }>;

/**
 * Values of features for keys of one entity at a moment: cover -> gather -> merge -> finish -> derive. Pure: what comes
 * out depends on the rows and the moment alone. Rows in memory stand before rows of the same address in the store.
 *
 * @param timeMicros microseconds since 1970 UTC
 * @param isPast answers [floor(t - W, r), floor(t, r)) instead of everything from floor(t - W, r) on
 * @param readRange null while memory holds every row
 * @param columns one per feature, with a row for each key
 */
export function answerKeys(
  kernel: Kernel,
  answer: AnswerLayout,
  features: AnswerFeature[],
  keys: Uint8Array[],
  timeMicros: bigint,
  isPast: boolean,
  readRange: ReadRange | null,
  columns: FeatureColumn[],
): void {
  const { exports } = kernel;
  want(kernel, answer, features);
  exports.coverAt(answer.index, timeMicros, isPast ? 1 : 0);
  const stored = readRange && { ranges: tileRanges(kernel, answer), readRange };
  const chunk = rowsAtOnce(kernel, [{ answer, features }]);
  for (let from = 0; from < keys.length; from += chunk) {
    const count = Math.min(chunk, keys.length - from);
    exports.forgetTexts();
    for (let row = 0; row < count; row++) {
      const key = keys[from + row]!;
      startKey(kernel, answer, key);
      endKey(kernel, answer, key, row, stored);
    }
    derive(kernel, answer, count);
    for (const [i, feature] of features.entries()) copyRows(kernel, answer, feature, count, columns[i]!, from);
  }
}

/**
 * The same for the entity that a record of the batch names, as of that record: (its position, its time). The prefix
 * must have been seen and folded up to it; what it names goes to row `row` of the answer's frame.
 *
 * @param readRange null while memory holds every row
 */
export function answerRecord(
  kernel: Kernel,
  answer: AnswerLayout,
  record: number,
  row: number,
  readRange: ReadRange | null,
): void {
  const { exports } = kernel;
  if (!readRange) checkRead(kernel, exports.answerRecord(answer.index, record, row));
  else if (exports.startRecord(answer.index, record, row)) {
    const key = kernel.bytes(exports.recordKeyStart(), exports.recordKeyLength()).slice();
    endKey(kernel, answer, key, row, { ranges: tileRanges(kernel, answer), readRange });
  }
}

/** Gathers, merges and finishes what was begun for a key. */
function endKey(
  kernel: Kernel,
  answer: AnswerLayout,
  key: Uint8Array,
  row: number,
  stored: { ranges: TileRange[]; readRange: ReadRange } | null,
): void {
  const { exports } = kernel;
  const blocks = stored ? stored.ranges.flatMap(range => addRange(kernel, answer, stored.readRange(key, range))) : [];
  checkRead(kernel, exports.addMemoryRows(answer.index));
  exports.finishKey(answer.index, row);
  for (const { start, length } of blocks) exports.release(start, length);
}

/** Computes derived features for rows [0, count) of the answer's frame. */
export function derive(kernel: Kernel, answer: AnswerLayout, count: number): void {
  if (answer.program !== null) kernel.exports.runProgram(answer.program, answer.frame, 0, count);
}

function startKey(kernel: Kernel, answer: AnswerLayout, key: Uint8Array): void {
  const block = kernel.put(key);
  kernel.exports.startKey(answer.index, block, key.length);
  kernel.exports.release(block, key.length);
}

/** Stored rows stand in the kernel until the key is finished: states point at their text. */
function addRange(kernel: Kernel, answer: AnswerLayout, rows: ReturnType<ReadRange>): Block[] {
  const { exports } = kernel;
  const blocks: Block[] = [];
  for (const { levelMs, tileStartMs, value } of rows) {
    const start = kernel.put(value);
    blocks.push({ start, length: value.length });
    checkRead(kernel, exports.addStoredRow(answer.index, levelMs, tileStartMs, start, value.length));
  }
  return blocks;
}

interface Block {
  start: number;
  length: number;
}
