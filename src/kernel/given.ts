import { assert } from '../base/assert.ts';
import type { Kernel } from './instance.ts';
import { type FeatureColumn, isList } from './feature_column.ts';

/** Texts that were put into the kernel for a batch: they stay until the next one. */
export interface Block {
  start: number;
  size: number;
}

/**
 * Puts values into a register of a frame, from outside: what an event's column holds that was computed before.
 *
 * @param rows of the frame, for each row of the column; -1 for none
 * @returns where texts stand, to be released once the batch is through; null where there are none
 */
export function fillGiven(
  kernel: Kernel,
  frame: number,
  register: number,
  column: FeatureColumn,
  rows: Int32Array,
): Block | null {
  const { values, nulls } = column;
  assert(!isList(values), 'only scalars are given');
  const texts = Array.isArray(values) ? putTexts(kernel, values) : null;
  const { exports } = kernel;
  // Taken after texts were put: memory may have grown.
  const end = rows.reduce((most, row) => Math.max(most, row + 1), 0);
  const targetNulls = kernel.bytes(exports.frameNulls(frame, register), end);
  const words = kernel.ints(exports.frameValues(frame, register), end * 2);
  const from = texts ? texts.cells : wordsOf(values as Exclude<typeof values, string[]>);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (row < 0) continue;
    targetNulls[row] = nulls[i]!;
    words[row * 2] = from[i * 2]!;
    words[row * 2 + 1] = from[i * 2 + 1]!;
  }
  return texts?.block ?? null;
}

/** As a register has them: two words a value. */
function wordsOf(values: BigInt64Array | Float64Array | Uint8Array): Int32Array {
  if (!(values instanceof Uint8Array)) return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  const words = new Int32Array(values.length * 2);
  for (let i = 0; i < values.length; i++) words[i * 2] = values[i]!;
  return words;
}

/** Behind one another; of each (address, length). */
function putTexts(kernel: Kernel, texts: string[]): { cells: Int32Array; block: Block | null } {
  const bytes = new TextEncoder().encode(texts.join(''));
  const start = bytes.length === 0 ? 0 : kernel.exports.allocate(bytes.length) >>> 0;
  kernel.bytes(start, bytes.length).set(bytes);
  const cells = new Int32Array(texts.length * 2);
  let at = start;
  for (let i = 0; i < texts.length; i++) {
    const length = Buffer.byteLength(texts[i]!);
    cells[i * 2] = at;
    cells[i * 2 + 1] = length;
    at += length;
  }
  return { cells, block: bytes.length === 0 ? null : { start, size: bytes.length } };
}
