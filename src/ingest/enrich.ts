import type { Kernel } from '../kernel/instance.ts';
import type { EventFeatureLayout, Layout } from '../kernel/layout.ts';
import type { BadEvent } from '../kernel/ndjson.ts';
import { copyRows, type FeatureColumn, makeColumn } from '../kernel/window.ts';
import { STRING } from '../plan/value.ts';

/** Some events, one behind the other in the log, with what each is answered with as of itself. */
export interface Enriched {
  /** Of the first of them. */
  position: number;
  count: number;
  /** Microseconds since 1970 UTC. */
  timesMicros: BigInt64Array;
  /** Index into `types`; -1 for an event of a type that nothing declares. */
  types: Int32Array;
  /** Of each event its row in the columns of its type; -1 where it cannot count. */
  rows: Int32Array;
  /** Why events cannot count; `record` is their index here. */
  bad: BadEvent[];
  /** Features of each type; those of a type without events are left out. */
  features: (EnrichedType | null)[];
}

export interface EnrichedType {
  event: string;
  /** Named as in the event's scope. */
  columns: FeatureColumn[];
  /** Of each column what is wrong with its values, as texts; null where nothing is. */
  errors: (FeatureColumn | null)[];
}

/** Takes what was enriched, in the log's order. */
export type TakeEnriched = (part: Enriched) => void;

/**
 * What stands in the frames of event types of records [from, to) of the batch.
 *
 * @param position of the batch's first record
 * @param bad of the whole batch
 */
export function enrichedRecords(layout: Layout, from: number, to: number, position: number, bad: BadEvent[]): Enriched {
  const { kernel, types } = layout;
  const { exports } = kernel;
  const count = to - from;
  const ints = (column: { value: number }) => kernel.ints(column.value + from * 4, count).slice();
  const recordTypes = ints(exports.recordType);
  const rows = ints(exports.recordRow);
  const first = types.map((_, type) => firstRow(recordTypes, rows, type));
  for (let i = 0; i < count; i++) if (rows[i]! >= 0) rows[i]! -= first[recordTypes[i]!]!.row;
  return {
    position: position + from,
    count,
    timesMicros: kernel.longs(exports.recordTime.value + from * 8, count).slice(),
    types: recordTypes,
    rows,
    bad: bad.filter(({ record }) => record >= from && record < to).map(one => ({ ...one, record: one.record - from })),
    features: types.map(({ event, frame, features }, type) => {
      const { row, rowCount } = first[type]!;
      return rowCount === 0 ? null : { event: event.name, ...copyFeatures(kernel, frame, features, row, rowCount) };
    }),
  };
}

/** Events of a type have rows one behind the other. */
function firstRow(types: Int32Array, rows: Int32Array, type: number): { row: number; rowCount: number } {
  let row = -1;
  let rowCount = 0;
  for (let i = 0; i < types.length; i++) {
    if (types[i] !== type || rows[i]! < 0) continue;
    if (row < 0) row = rows[i]!;
    rowCount++;
  }
  return { row, rowCount };
}

function copyFeatures(
  kernel: Kernel,
  frame: number,
  features: EventFeatureLayout[],
  row: number,
  count: number,
): Pick<EnrichedType, 'columns' | 'errors'> {
  const copied = (name: string, type: EventFeatureLayout['type'], register: number) => {
    const column = makeColumn({ name, type }, count);
    copyRows(kernel, { frame }, { register }, count, column, 0, row);
    return column;
  };
  return {
    columns: features.map(({ column, type, register }) => copied(column, type, register)),
    errors: features.map(({ column, error }) => {
      const isSilent =
        error === null ||
        kernel.bytes(kernel.exports.frameNulls(frame, error) + row, count).every(isNull => isNull === 1);
      return isSilent ? null : copied(column, STRING, error);
    }),
  };
}
