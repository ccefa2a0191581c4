import { Fault } from '../../base/fault.ts';
import { Stages } from '../../base/stages.ts';
import type { Frame, FrameBatch, FrameMaker } from './frame.ts';
import type { WholeFile } from './whole.ts';

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
