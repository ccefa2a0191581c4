import { zstdDecompressSync } from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  type RowGroup,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
} from 'hyparquet';
import { getTreePath } from 'hyparquet/src/schema.js';
import { compressors } from 'hyparquet-compressors';
import { Fault } from '../base/fault.ts';
import { formatMicros } from '../base/time.ts';
import { localDisk } from './disk.ts';
import { checkPages, chunkRange } from './parquet_pages.ts';
import { BLOCK_CHARACTERS, RawJson, type RowNames, rowLines } from './rows.ts';
import type { Block } from './source.ts';

/**
 * A Parquet file as blocks of events, a row for each, row group by row group: what one unpacks to is held in memory.
 *
 * Timestamps and dates become RFC 3339 (UTC, digits beyond the microsecond are cut off), bytes base64, NaN and null nothing.
 *
 * @throws Fault `media_type` where it is no such file, or lacks columns, or is damaged: then it says in which row group, column and page
 */
export async function* parquetBlocks(file: string, names: RowNames): AsyncGenerator<Block> {
  const buffer = bytesOf(file, await localDisk.size(file));
  const metadata = await readable(file, () => parquetMetadataAsync(buffer, { parsers: PARSERS }));
  const columns = await readable(file, async () => parquetSchema(metadata).children.map(({ element }) => element.name));
  const lines = rowLines(file, columns, names);
  let row = 0;
  for (const [index, group] of metadata.row_groups.entries()) {
    const count = rowCount(file, group);
    const values: unknown[][] = [];
    for (const name of columns)
      values.push(
        await readable(`${file}: row group ${index}, column ${name}`, async () => {
          await checkColumn(buffer, metadata, group, name);
          return readColumn(buffer, { ...metadata, row_groups: [group] }, name, count);
        }),
      );
    let text = '';
    let line = row + 1;
    for (let i = 0; i < count; i++) {
      text += lines.line(column => values[column]![i]);
      if (text.length < BLOCK_CHARACTERS && i < count - 1) continue;
      yield { bytes: new TextEncoder().encode(text), arrivalMicros: null, file, line };
      line = row + i + 2;
      text = '';
    }
    row += count;
  }
}

/** The library asks for several places at once, and waits for one: what is wrong with another must not end the process. */
function bytesOf(file: string, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice(start, end = byteLength) {
      if (!(start >= 0 && start <= end && end <= byteLength))
        throw new Error(`it says that a part of it is at bytes ${start} to ${end}, and it has ${byteLength}`);
      const read = localDisk.read(file, start, end - start).then(bytes => bytes.slice().buffer);
      read.catch(() => {});
      return read;
    },
  };
}

/** Of a row group. Its columns say how many values they have, and each row has one of each: what says more is damaged. */
function rowCount(file: string, { num_rows: rows, columns }: RowGroup): number {
  const isWhole = rows >= 0n && columns.every(({ meta_data: of }) => of !== undefined && of.num_values >= rows);
  if (isWhole && rows <= GROUP_ROWS_MAX) return Number(rows);
  throw new Fault('media_type', `${file} cannot be read as Parquet: a row group says that it has ${rows} rows`);
}

/** Who writes the largest has 2^26 rows to a group; what a file says that was damaged is mostly far beyond. */
const GROUP_ROWS_MAX = 1n << 26n;

/** Of a column of lists and structs there are several chunks. */
async function checkColumn(
  file: AsyncBuffer,
  metadata: FileMetaData,
  { num_rows: rows, columns }: RowGroup,
  name: string,
) {
  const schema = parquetSchema(metadata);
  for (const { meta_data: meta } of columns) {
    if (meta?.path_in_schema[0] !== name) continue;
    const { start, end } = chunkRange(meta);
    const chunk = { meta, rows: Number(rows), start, schemaPath: getTreePath(schema, meta.path_in_schema) };
    checkPages(new Uint8Array(await file.slice(start, end)), chunk, COMPRESSORS);
  }
}

/** @param metadata of the row group alone. @throws Error where there are fewer rows than it says */
async function readColumn(file: AsyncBuffer, metadata: FileMetaData, name: string, count: number): Promise<unknown[]> {
  const values = new Array<unknown>(count).fill(null);
  let end = 0;
  await parquetRead({
    ...{ file, metadata, compressors: COMPRESSORS, parsers: PARSERS, geoparquet: false },
    columns: [name],
    rowEnd: count,
    onChunk({ columnData, rowStart }) {
      end = rowStart + columnData.length;
      for (let i = 0; i < columnData.length && rowStart + i < count; i++) values[rowStart + i] = columnData[i];
    },
  });
  if (end < count) throw new Error(`it has ${end} of ${count} rows`);
  return values;
}

/**
 * The library's, but for what makes as much of a page as that says of itself; and of pages without values, where everything is
 * null, some of them find nothing to unpack.
 */
const COMPRESSORS: Compressors = Object.fromEntries(
  Object.entries({ ...compressors, ZSTD: unpackZstd }).map(([codec, unpack]) => [
    codec,
    (bytes: Uint8Array, length: number) => (length === 0 ? new Uint8Array(0) : unpack(bytes, length)),
  ]),
);

function unpackZstd(bytes: Uint8Array, length: number): Uint8Array {
  return zstdDecompressSync(bytes, { maxOutputLength: length });
}

const PARSERS = {
  timestampFromMilliseconds: (millis: bigint) => timeText(millis * 1000n),
  timestampFromMicroseconds: (micros: bigint) => timeText(micros),
  timestampFromNanoseconds: (nanos: bigint) => timeText(BigInt.asIntN(64, nanos) / 1000n),
  dateFromDays: (days: number) => timeText(BigInt(days) * 86_400_000_000n),
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && new RawJson(new TextDecoder().decode(bytes)),
};

/** No calendar goes further. */
const MICROS_MAX = 8_640_000_000_000_000_000n;

function timeText(micros: bigint): string {
  return micros > MICROS_MAX || micros < -MICROS_MAX ? `${micros} microseconds` : formatMicros(micros);
}

/** What the library throws says what is wrong with the file. */
async function readable<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault(
      'media_type',
      `${what} cannot be read as Parquet: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
