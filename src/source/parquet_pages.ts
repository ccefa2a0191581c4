/**
 * The pages of a column of a Parquet file, looked at before the library reads them: it believes what they say of themselves, and
 * of what was damaged it would go round for ever, or take any amount of memory.
 *
 *     column chunk    page, page, page ...             their sizes fill it, their values are those of the chunk
 *     page            header, levels, values           what the header says is in them fits; a checksum is right where there is one
 *     levels, keys    run, run, run ...                each is of no more values than the page has
 *
 * It is walked as the library walks, byte by byte, or something else would be checked than what is read. What values are is not
 * looked at: the library finds that they end too early, or they are other values.
 */
import type { ColumnMetaData, Compressors, DataReader, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, isFlatColumn } from 'hyparquet/src/schema.js';

/** A column of a row group as the file's end describes it. */
export interface Chunk {
  meta: ColumnMetaData;
  /** From the root to the column. */
  schemaPath: SchemaTree[];
  rows: number;
  /** In the file. */
  start: number;
}

/** Of one column in one row group: with all their levels they are held in memory. */
const VALUES_MAX = 1n << 28n;

/** Writers begin another page after some megabytes, or after one value that is larger. */
const PAGE_BYTES_MAX = 1 << 30;

/** Where the library looks for a chunk. @throws Error where it says so itself that it lies nowhere */
export function chunkRange({ dictionary_page_offset, data_page_offset, total_compressed_size: size }: ColumnMetaData) {
  const start = dictionary_page_offset || data_page_offset;
  if (start < 0n || size < 0n) throw new Error(`it says that it has ${size} bytes at byte ${start}`);
  return { start: Number(start), end: Number(start + size) };
}

/**
 * @param bytes the chunk
 * @throws Error that says which page is wrong, and what is wrong with it
 */
export function checkPages(bytes: Uint8Array, chunk: Chunk, compressors: Compressors): void {
  const { meta, rows, schemaPath, start } = chunk;
  const isFlat = isFlatColumn(schemaPath);
  if (isFlat ? meta.num_values !== BigInt(rows) : meta.num_values < BigInt(rows) || meta.num_values > VALUES_MAX)
    throw new Error(`it says that it has ${meta.num_values} values of ${rows} rows`);
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  let left = Number(meta.num_values);
  // As the library does: what follows a column's last value is nobody's, where rows are values.
  while ((isFlat ? left > 0 : true) && reader.offset < bytes.length - 1) {
    const at = start + reader.offset;
    try {
      left -= checkPage(bytes, reader, left, chunk, compressors);
    } catch (error) {
      throw new Error(`the page at byte ${at}: ${(error as Error).message}`);
    }
  }
  if (left > 0) throw new Error(`its pages end with ${left} of ${meta.num_values} values missing`);
}

/**
 * @param reader goes on to the next page
 * @param left so many values it may have
 * @returns how many it has
 */
function checkPage(
  bytes: Uint8Array,
  reader: DataReader,
  left: number,
  chunk: Chunk,
  compressors: Compressors,
): number {
  const header = parquetHeader(reader);
  const { compressed_page_size: size, uncompressed_page_size: whole, crc } = header;
  within('bytes', size, bytes.length - reader.offset);
  within('bytes before it was compressed', whole, PAGE_BYTES_MAX);
  const page = bytes.subarray(reader.offset, reader.offset + size);
  reader.offset += size;
  if (crc !== undefined && Bun.hash.crc32(page) !== crc >>> 0) throw new Error('its checksum is not that of its bytes');
  switch (header.type) {
    case 'DICTIONARY_PAGE':
      within('values', header.dictionary_page_header?.num_values, whole);
      return 0;
    case 'DATA_PAGE':
      return checkData(page, header, left, chunk, compressors);
    case 'DATA_PAGE_V2':
      return checkData2(page, header, left, chunk, compressors);
    default:
      throw new Error(`it is of no known type (${header.type})`);
  }
}

function checkData(page: Uint8Array, header: PageHeader, left: number, chunk: Chunk, compressors: Compressors) {
  const count = within('values', header.data_page_header?.num_values, left);
  const levels = levelBits(chunk.schemaPath);
  const coding = codingOf(header.data_page_header!.encoding, chunk.meta);
  if (levels.every(bits => bits === 0) && coding === null) return count;
  const bytes = unpacked(page, header.uncompressed_page_size, chunk.meta, compressors);
  let at = 0;
  for (const bits of levels)
    if (bits > 0) {
      const end = endOf(bytes, at);
      checkLevels(bytes.subarray(0, end), at + 4, bits, count);
      at = end;
    }
  // Keys of no bits are not read.
  if (coding === 'keys' && bytes[at] === 0) return count;
  checkValues(bytes, at, coding, count);
  return count;
}

/** Its levels are not compressed, and how long they are stands in the header. */
function checkData2(page: Uint8Array, header: PageHeader, left: number, chunk: Chunk, compressors: Compressors) {
  const { data_page_header_v2: about, uncompressed_page_size: whole } = header;
  const count = within('values', about?.num_values, left);
  const { num_nulls, num_rows, encoding, is_compressed, ...lengths } = about!;
  within('nulls', num_nulls, count);
  within('rows', num_rows, count);
  const repeats = within('bytes of levels', lengths.repetition_levels_byte_length, Math.min(page.length, whole));
  const defines = within(
    'bytes of levels',
    lengths.definition_levels_byte_length,
    Math.min(page.length, whole) - repeats,
  );
  const [repeatBits, defineBits] = levelBits(chunk.schemaPath);
  if (repeatBits > 0) checkLevels(page.subarray(0, repeats), 0, repeatBits, count);
  if (defineBits > 0) checkLevels(page.subarray(0, repeats + defines), repeats, defineBits, count);
  const coding = codingOf(encoding, chunk.meta);
  if (coding === null || num_nulls === count) return count;
  const values = page.subarray(repeats + defines);
  const isPlain = is_compressed === false;
  checkValues(
    isPlain ? values : unpacked(values, whole - repeats - defines, chunk.meta, compressors),
    ...([0, coding, count - num_nulls] as const),
  );
  return count;
}

/** How values are written, where they could say of themselves that there are more of them. */
type Coding = 'keys' | 'bits' | 'differences' | null;

function codingOf(encoding: string | undefined, { type }: ColumnMetaData): Coding {
  if (encoding === undefined) throw new Error('its values are written in no known way');
  if (encoding.endsWith('_DICTIONARY') || (encoding === 'RLE' && type !== 'BOOLEAN')) return 'keys';
  if (encoding === 'RLE') return 'bits';
  return encoding.startsWith('DELTA_') ? 'differences' : null;
}

function checkValues(bytes: Uint8Array, at: number, coding: Coding, count: number): void {
  // Where there are only nulls there may be nothing at all.
  if (at >= bytes.length) return;
  // Runs of keys end with the page: the library reads as many as there are values that are no nulls.
  if (coding === 'keys') checkRuns(bytes, at + 1, bytes[at]!, count);
  if (coding === 'bits') checkRuns(bytes.subarray(0, endOf(bytes, at)), at + 4, 1, count);
  if (coding !== 'differences') return;
  const [blockSize, next] = varint(bytes, at);
  const [parts] = varint(bytes, next);
  if (parts === 0 || blockSize % parts !== 0 || blockSize > VALUES_MAX)
    throw new Error(`it has blocks of ${blockSize} values in ${parts} parts`);
}

/** Of runs with their length before them, in four bytes. */
function endOf(bytes: Uint8Array, at: number): number {
  const from = at + 4;
  if (from > bytes.length) throw new Error('it ends where its runs should begin');
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
  return from + within('bytes of runs', length, bytes.length - from);
}

/** Of levels there is one for each value, null or not: where some are missing, the library would go on in what follows. */
function checkLevels(bytes: Uint8Array, from: number, bits: number, count: number): void {
  const seen = checkRuns(bytes, from, bits, count);
  if (seen < count) throw new Error(`its runs end with ${count - seen} of ${count} values missing`);
}

/**
 * Runs of one value, and of values packed into bits, up to the last one that belongs to the page. The last group may be filled
 * up, and may be cut off.
 *
 * @returns of how many values they are; runs may end before
 */
function checkRuns(bytes: Uint8Array, from: number, bits: number, count: number): number {
  const valueBytes = (bits + 7) >> 3;
  let at = from;
  let seen = 0;
  while (seen < count && at < bytes.length) {
    const [header, next] = varint(bytes, at);
    const isPacked = header % 2 === 1;
    const length = Math.floor(header / 2);
    if (length > count) throw new Error(`it has ${count} values, and a run of ${isPacked ? 8 * length : length}`);
    seen += isPacked ? 8 * length : length;
    // The library takes a byte of no groups too.
    at = next + (isPacked ? Math.max(1, length * bits) : valueBytes);
  }
  return seen;
}

/** @returns the number, and where the next one is. @throws Error where it is longer than any of 32 bits */
function varint(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let i = 0; i < VARINT_BYTES_MAX && at + i < bytes.length; i++) {
    const byte = bytes[at + i]!;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [value, at + i + 1];
  }
  throw new Error('a number of it does not end');
}

const VARINT_BYTES_MAX = 5;

function levelBits(path: SchemaTree[]): [repetition: number, definition: number] {
  const bits = (level: number) => 32 - Math.clz32(level);
  // The root is no level.
  return [bits(getMaxRepetitionLevel(path.slice(1))), bits(getMaxDefinitionLevel(path))];
}

function unpacked(bytes: Uint8Array, size: number, { codec }: ColumnMetaData, compressors: Compressors): Uint8Array {
  if (codec === 'UNCOMPRESSED') return bytes;
  const unpack = compressors[codec];
  if (!unpack) throw new Error(`it is compressed with ${codec}, which nobody here unpacks`);
  return unpack(bytes, size);
}

/** What a header says may be of any kind, or not be there. */
function within(what: string, count: unknown, max: number): number {
  if (typeof count === 'number' && count >= 0 && count <= max) return count;
  throw new Error(
    `it says that it has ${typeof count === 'number' ? count : 'no number of'} ${what}, and there is room for ${max}`,
  );
}
