import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import type { FeatureColumn } from '../kernel/window.ts';
import { INT64, STRING, TIME } from '../plan/value.ts';
import type { BYTES, TileBatch, TileColumn, TileType } from '../read/tiles.ts';
import type { ReplayBatch } from '../replay/replay.ts';
import type { ReplayColumn } from '../replay/subject.ts';
import type { WholeFile } from './whole.ts';

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

const WANTED = 'wanted a file name that ends in .arrow, .parquet or .ndjson';

/** What a table is written as: `arrows` is Arrow's stream, without the index that its file ends with. */
export type FrameFormat = 'arrow' | 'arrows' | 'parquet' | 'csv' | 'ndjson';

/** By the file's name. */
export async function frameMaker(out: string): Promise<FrameMaker> {
  const format = (['arrow', 'parquet', 'ndjson'] as const).find(each => out.endsWith(`.${each}`));
  if (!format) throw new Fault('config', `--out: ${WANTED}, got ${out}`);
  return makerOf(format);
}

/** What writes a format is only loaded where it is wanted. */
export async function makerOf(format: FrameFormat): Promise<FrameMaker> {
  switch (format) {
    case 'arrow':
    case 'arrows': {
      const { ArrowFrame } = await import('./arrow.ts');
      return (shapes, about) => new ArrowFrame(shapes, about, format === 'arrow' ? 'file' : 'stream');
    }
    case 'parquet': {
      const { ParquetFrame } = await import('./parquet.ts');
      return (shapes, about) => new ParquetFrame(shapes, about);
    }
    case 'csv': {
      const { csvFrame } = await import('./csv.ts');
      return csvFrame;
    }
    case 'ndjson': {
      const { batchLines } = await import('./lines.ts');
      return () => ({ batch: batch => [batchLines(batch)], end: () => [] });
    }
  }
}

/** Batch by batch: neither the rows nor the file stand in memory as a whole. @returns how many rows there were */
export async function writeFrame(
  out: WholeFile,
  frame: Frame,
  batches: Iterable<FrameBatch> | AsyncIterable<FrameBatch>,
  stages = new Stages(),
): Promise<number> {
  let rows = 0;
  for await (const batch of batches) {
    await stages.wait('write', () => out.write(frame.batch(batch)));
    rows += batch.count;
  }
  await stages.wait('write', () => out.write(frame.end()));
  return rows;
}

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
