import type { AnswerFeature } from '../kernel/layout.ts';
import { type FeatureColumn, isList, makeColumn } from '../kernel/feature_column.ts';

/**
 * Columns of an answer on their way between threads: an object for each of them, and for each of its arrays, would be
 * slower to send than to compute. Those of numbers share one buffer, each with its values, its nulls and its statuses:
 *
 *   values (8 bytes a row; 1 for bools) of all columns | nulls and statuses (1 byte a row each) of all columns
 *
 * Texts and lists go as they are.
 */
export interface PackedColumns {
  bytes: Uint8Array<ArrayBuffer>;
  /** By column; null where the values are in the buffer. */
  others: (FeatureColumn['values'] | null)[];
}

/** Values of 8 bytes come first, so that all of them are aligned. */
type Numbers = BigInt64Array | Float64Array | Uint8Array;

export function packColumns(columns: FeatureColumn[], count: number): PackedColumns {
  const bytes = new Uint8Array(columns.reduce((sum, { values }) => sum + (widthOf(values) + 2) * count, 0));
  const others = columns.map(({ values }) => (widthOf(values) === 0 ? values : null));
  let at = 0;
  for (const { values } of byWidth(columns)) {
    bytes.set(bytesOf(values as Numbers), at);
    at += widthOf(values) * count;
  }
  for (const { nulls, statuses } of columns) {
    bytes.set(nulls, at);
    bytes.set(statuses, at + count);
    at += 2 * count;
  }
  return { bytes, others };
}

/** The columns again, as views of the buffer. */
export function unpackColumns({ bytes, others }: PackedColumns, features: AnswerFeature[], count: number) {
  // Without rows of their own: they say what there is to read.
  const columns = features.map(({ feature, type }) => makeColumn({ name: feature.name, type }, 0));
  let at = 0;
  for (const column of byWidth(columns)) {
    const { values } = column;
    const start = bytes.byteOffset + at;
    if (values instanceof BigInt64Array) column.values = new BigInt64Array(bytes.buffer, start, count);
    else if (values instanceof Float64Array) column.values = new Float64Array(bytes.buffer, start, count);
    else column.values = bytes.subarray(at, at + count);
    at += widthOf(values) * count;
  }
  for (const [i, column] of columns.entries()) {
    column.values = others[i] ?? column.values;
    column.nulls = bytes.subarray(at, at + count);
    column.statuses = bytes.subarray(at + count, at + 2 * count);
    at += 2 * count;
  }
  return columns;
}

/** Columns of numbers, the wider ones first. */
function byWidth(columns: FeatureColumn[]): FeatureColumn[] {
  return [8, 1].flatMap(width => columns.filter(({ values }) => widthOf(values) === width));
}

function widthOf(values: FeatureColumn['values']): number {
  if (isList(values) || Array.isArray(values)) return 0;
  return values.BYTES_PER_ELEMENT;
}

function bytesOf(values: Numbers): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
