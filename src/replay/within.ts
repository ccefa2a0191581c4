import type { FeatureColumn, ListValues, ScalarValues } from '../kernel/feature_column.ts';
import { isList } from '../kernel/feature_column.ts';
import type { ReplayBatch } from './replay.ts';

/** Times in [start, end), microseconds since 1970 UTC; null for no bound. */
export interface Stretch {
  startMicros: bigint | null;
  endMicros: bigint | null;
}

export function isWithin(timeMicros: bigint, { startMicros, endMicros }: Stretch): boolean {
  return (startMicros === null || timeMicros >= startMicros) && (endMicros === null || timeMicros < endMicros);
}

/** The rows of a batch whose events are of a stretch of time: what they are made of is all that came before. */
export function batchWithin(batch: ReplayBatch, stretch: Stretch): ReplayBatch {
  const rows: number[] = [];
  for (const [row, timeMicros] of batch.timesMicros.entries()) if (isWithin(timeMicros, stretch)) rows.push(row);
  if (rows.length === batch.count) return batch;
  return {
    count: rows.length,
    positions: BigInt64Array.from(rows, row => batch.positions[row]!),
    timesMicros: BigInt64Array.from(rows, row => batch.timesMicros[row]!),
    types: rows.map(row => batch.types[row]!),
    columns: batch.columns.map(column => pickRows(column, rows)),
    errors: batch.errors.filter(({ timeMicros }) => isWithin(timeMicros, stretch)),
  };
}

/** Some rows of a column, in this order. */
export function pickRows(column: FeatureColumn, rows: number[]): FeatureColumn {
  const { values, nulls, statuses } = column;
  return {
    ...column,
    values: isList(values) ? pickLists(values, rows) : pickScalars(values, rows),
    nulls: Uint8Array.from(rows, row => nulls[row]!),
    statuses: Uint8Array.from(rows, row => statuses[row]!),
  };
}

/** NaNs stay the NaNs that they are: a double is copied as a double. */
function pickScalars(values: ScalarValues, rows: number[]): ScalarValues {
  if (Array.isArray(values)) return rows.map(row => values[row]!);
  if (values instanceof BigInt64Array) return BigInt64Array.from(rows, row => values[row]!);
  if (values instanceof Float64Array) return Float64Array.from(rows, row => values[row]!);
  return Uint8Array.from(rows, row => values[row]!);
}

function pickLists({ offsets, items, itemNulls, mapped }: ListValues, rows: number[]): ListValues {
  const picked: number[] = [];
  const ends = new Uint32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) {
    for (let item = offsets[row]!; item < offsets[row + 1]!; item++) picked.push(item);
    ends[i + 1] = picked.length;
  }
  return {
    offsets: ends,
    items: pickScalars(items, picked),
    itemNulls: Uint8Array.from(picked, item => itemNulls[item]!),
    ...(mapped && { mapped: BigInt64Array.from(picked, item => mapped[item]!) }),
  };
}
