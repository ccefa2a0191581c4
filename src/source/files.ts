import { Fault } from '../base/fault.ts';
import { localDisk } from './disk.ts';
import { ndjsonFiles } from './ndjson.ts';
import { ROW_NAMES, type RowNames } from './rows.ts';
import { type Block, MAX_JUMP_DEFAULT_MS, type Source } from './source.ts';

const TABLE = /\.(csv|tsv)(\.gz|\.zst)?$/i;
const PARQUET = /\.parquet$/i;

/**
 * Files of events of several kinds, told by their names, one after the other: CSV, TSV and Parquet, and NDJSON where they are
 * called otherwise. Arrivals are passed over: time passes by the events.
 *
 * @throws Fault `config` where columns are named for a file that has none, `not_found`; while reading as `ndjsonFiles`,
 *   `csvBlocks` and `parquetBlocks`
 */
export async function eventFiles(paths: string[], names: Partial<RowNames>): Promise<Source> {
  const isNamed = Object.values(names).some(name => name !== undefined && name !== null);
  for (const path of paths) {
    await localDisk.size(path).catch(() => {
      throw new Fault('not_found', `there is no file ${path}`);
    });
    if (isNamed && !TABLE.test(path) && !PARQUET.test(path))
      throw new Fault('config', `${path} has no columns: --type, --time and --id are for CSV and Parquet`);
  }
  return {
    clock: { kind: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS },
    async *read() {
      for (const path of paths) yield* fileBlocks(path, { ...ROW_NAMES, ...names });
    },
  };
}

/** What reads tables is only loaded where there are some. */
async function* fileBlocks(path: string, names: RowNames): AsyncGenerator<Block> {
  if (TABLE.test(path)) yield* (await import('./csv.ts')).csvBlocks(path, names);
  else if (PARQUET.test(path)) yield* (await import('./parquet.ts')).parquetBlocks(path, names);
  else yield* (await ndjsonFiles([path], { kind: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS })).read(0);
}
