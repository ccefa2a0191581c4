import type { FeatureColumn } from '../../kernel/feature_column.ts';
import { INT64, STRING, TIME } from '../../plan/value.ts';
import type { BYTES, TileBatch, TileColumn, TileType } from '../../read/tiles.ts';
import type { ReplayBatch } from '../../replay/replay.ts';
import type { ReplayColumn } from '../../replay/subject.ts';

/** A column of a file, before there are values. */
export interface FrameShape {
  name: string;
  type: FrameType;
  /** No value of it is null. */
  isRequired: boolean;
}

export type FrameType = TileType;

export type FrameBytes = typeof BYTES;

export type FrameColumn = TileColumn;

/** Rows to be written together; `columns` are those of the shapes, in their order. */
export type FrameBatch = TileBatch;

/**
 * A table being written to a file, batch by batch: batches -> bytes to append to it. They may stand on the batch's own
 * arrays, and are written out before the next batch is made.
 */
export interface Frame {
  batch(batch: FrameBatch): Uint8Array[];
  /** The last bytes of the file. */
  end(): Uint8Array[];
}

/** @param about what the whole table is said of, by name; formats without a place for it leave it out */
export type FrameMaker = (shapes: FrameShape[], about?: Record<string, string>) => Frame;

/** `_position`, `_type` and `_time` of each event, and then its features. */
export function replayShapes(columns: ReplayColumn[]): FrameShape[] {
  return [...EVENT, ...columns.map(column => ({ ...column, isRequired: false }))];
}

const EVENT = [
  { name: '_position', type: INT64, isRequired: true },
  { name: '_type', type: STRING, isRequired: true },
  { name: '_time', type: TIME, isRequired: true },
];

/** A replayed batch in the shape of `replayShapes`. */
export function replayFrame({ count, positions, timesMicros, types, columns }: ReplayBatch): FrameBatch {
  const values: FeatureColumn['values'][] = [positions, types, timesMicros];
  const nulls = new Uint8Array(count);
  return { count, columns: [...EVENT.map((shape, i) => ({ ...shape, values: values[i]!, nulls })), ...columns] };
}
