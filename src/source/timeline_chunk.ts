import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { countGarbage } from '../base/garbage.ts';
import type { ChunkRef } from '../base/timeline.ts';
import { Corrupt } from './corrupt.ts';
import { type Disk, isMissing } from './disk.ts';
import { removeIfThere } from './segments.ts';
import { LINE_MAX_BYTES } from './source.ts';
import { ByteStream } from './stream.ts';
import { damagedFrame, packFrame, skippedContent, skippedFrame } from './zstd.ts';

/**
 * Some events of one type, one after the other, as a timeline keeps them: a file named by what it holds, so that what
 * another timeline holds already is there already.
 *
 *     skipped frame   {"$chunk":{"format":1,"events":3,"bytes":240,"arrivals":true,"crc":1298371,"lines":812}}
 *                     packed: times, orders, arrivals; of each the first, then the differences, as int64
 *     frame           the lines, each with its newline
 *
 * `zstdcat` prints the lines and nothing else. `crc` is of what is packed, so that damage is found before anything is unpacked.
 */
export interface Chunk {
  /** Of the lines. */
  count: number;
  lines: Uint8Array;
  /** Microseconds since 1970 UTC. */
  readonly timesMicros: BigInt64Array;
  /** Of a log, positions; of files, the place among all events of the same time. Ascending among equal times. */
  readonly orders: BigInt64Array;
  /** Microseconds since 1970 UTC; null where nobody knows. */
  arrivalsMicros: BigInt64Array | null;
}

/** A chunk is closed behind a line that says so itself (see `isLast`), from so many bytes on: the same wherever it stands. */
export const CHUNK_MIN_BYTES = 128 << 10;
/** About as many more come, as lines go. */
const CHUNK_MORE_BYTES = 384 << 10;
/** Where no line says so. One frame holds it, and a line of the greatest length fits. */
export const CHUNK_MAX_BYTES = LINE_MAX_BYTES + 1;

/** Times, orders, arrivals of the shortest lines that are events. */
const HEADER_MAX_BYTES = 4 << 20;
const FORMAT = 1;
const HEADER =
  /^\{"\$chunk":\{"format":(\d{1,9}),"events":(\d{1,9}),"bytes":(\d{1,9}),"arrivals":(true|false),"crc":(\d{1,10}),"lines":(\d{1,9})\}\}\n/;

/** Is this the last line of its chunk? The longer it is, the likelier: so a chunk has about as many bytes, however long lines are. */
export function isLast(line: Uint8Array, chunkBytes: number): boolean {
  return chunkBytes >= CHUNK_MIN_BYTES && crc32(line) < (line.length / CHUNK_MORE_BYTES) * 2 ** 32;
}

export function chunkPath(folder: string, hash: string): string {
  return join(folder, `${hash}.ndjson.zst`);
}

/** What chunks are read through. */
export type ReadingDisk = Pick<Disk, 'read' | 'size'>;

const NAME = /^([0-9a-f]{64})\.ndjson\.zst(\.part)?$/;

/**
 * Keeps a chunk, durably once the folder is synced; one that is there already is read, and written anew where it is damaged.
 *
 * @returns its hash, and whether it had to be written
 */
export async function keepChunk(disk: Disk, folder: string, chunk: Chunk): Promise<{ hash: string; isNew: boolean }> {
  const columns = columnsOf(chunk);
  const hash = hashOf(columns, chunk.lines);
  const path = chunkPath(folder, hash);
  if (await isWhole(disk, folder, { hash, count: chunk.count })) return { hash, isNew: false };
  const part = `${path}.part`;
  await removeIfThere(disk, part);
  const file = await disk.create(part);
  try {
    await file.write(await encodeChunk(chunk, columns));
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(part, path);
  return { hash, isNew: true };
}

async function isWhole(disk: Disk, folder: string, ref: ChunkRef): Promise<boolean> {
  try {
    await readChunk(disk, folder, ref);
    return true;
  } catch (error) {
    if (error instanceof Corrupt) return false;
    throw error;
  }
}

async function encodeChunk({ count, lines, arrivalsMicros }: Chunk, plain: Uint8Array): Promise<Uint8Array> {
  const [columns, packed] = await Promise.all([packFrame(plain), packFrame(lines)]);
  const crc = crc32(packed, crc32(columns));
  const text = `"format":${FORMAT},"events":${count},"bytes":${lines.length},"arrivals":${arrivalsMicros !== null},"crc":${crc},"lines":${packed.length}`;
  return Buffer.concat([skippedFrame(Buffer.concat([Buffer.from(`{"$chunk":{${text}}}\n`), columns])), packed]);
}

function columnsOf({ count, timesMicros, orders, arrivalsMicros }: Chunk): Uint8Array {
  const columns = [timesMicros, orders, ...(arrivalsMicros ? [arrivalsMicros] : [])];
  const differences = new BigInt64Array(count * columns.length);
  for (const [k, column] of columns.entries())
    for (let i = 0, before = 0n; i < count; before = column[i++]!) differences[k * count + i] = column[i]! - before;
  return new Uint8Array(differences.buffer);
}

/** Of what a chunk holds, however it is packed: how many columns there are follows from how many lines. */
function hashOf(columns: Uint8Array, lines: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(columns).update(lines).digest('hex');
}

/**
 * @throws Fault `corrupt`, with file and byte, where it is gone, or is not what was written; `unsupported` for a format that
 *   this version cannot read
 */
export async function readChunk(disk: ReadingDisk, folder: string, { hash, count }: ChunkRef): Promise<Chunk> {
  const path = chunkPath(folder, hash);
  const bytes = await readFile(disk, path);
  const skipped = await skippedContent(new ByteStream(once(bytes)), HEADER_MAX_BYTES);
  const head = skipped && HEADER.exec(Buffer.from(skipped.subarray(0, 256)).toString('latin1'));
  if (!skipped || !head) throw damagedFrame(path, 0, 'no header of a chunk');
  if (Number(head[1]) !== FORMAT)
    throw new Fault('unsupported', `${path} is a chunk of format ${head[1]}; this version reads format ${FORMAT}`);
  const columns = skipped.subarray(head[0].length);
  const linesOffset = 8 + skipped.length;
  const packed = bytes.subarray(linesOffset);
  if (packed.length !== Number(head[6])) throw damagedFrame(path, linesOffset, 'it is cut off, or has more behind it');
  if (crc32(packed, crc32(columns)) !== Number(head[5])) throw damagedFrame(path, linesOffset, 'a wrong checksum');
  const plain = { columns: unpacked(path, 0, columns), lines: unpacked(path, linesOffset, packed) };
  countGarbage(2 * bytes.length + plain.columns.length + plain.lines.length);
  const per = head[4] === 'true' ? 3 : 2;
  if (plain.columns.length !== 8 * per * count || hashOf(plain.columns, plain.lines) !== hash)
    throw new Corrupt(path, 0, `${path}: it holds other events than its name says`);
  return chunkOf(count, plain.columns, plain.lines);
}

/** Where nothing is merged nobody asks for times and orders: they are summed up when somebody does. */
function chunkOf(count: number, columns: Uint8Array, lines: Uint8Array): Chunk {
  const summed: (BigInt64Array | undefined)[] = [];
  const column = (k: number) => {
    summed[k] ??= sumsOf(Uint8Array.from(columns.subarray(k * count * 8, (k + 1) * count * 8)));
    return summed[k];
  };
  return {
    ...{ count, lines, arrivalsMicros: columns.length > 2 * count * 8 ? column(2) : null },
    get timesMicros() {
      return column(0);
    },
    get orders() {
      return column(1);
    },
  };
}

function sumsOf(differences: Uint8Array<ArrayBuffer>): BigInt64Array {
  const values = new BigInt64Array(differences.buffer);
  for (let i = 1; i < values.length; i++) values[i] = values[i - 1]! + values[i]!;
  return values;
}

function unpacked(path: string, offset: number, frame: Uint8Array): Uint8Array {
  try {
    return Bun.zstdDecompressSync(frame.slice());
  } catch (error) {
    throw damagedFrame(path, offset, error instanceof Error ? error.message : String(error));
  }
}

/** More than any chunk has. */
const FILE_MAX_BYTES = 16 << 20;

async function readFile(disk: ReadingDisk, path: string): Promise<Uint8Array> {
  try {
    return await disk.read(path, 0, Math.min(await disk.size(path), FILE_MAX_BYTES));
  } catch (error) {
    if (isMissing(error)) throw new Corrupt(path, 0, `${path} is gone`);
    throw error;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Removes all chunks but these, and what nobody has finished. */
export async function sweepChunks(disk: Disk, folder: string, kept: Set<string>): Promise<number> {
  let count = 0;
  for (const name of await disk.list(folder)) {
    const [, hash, part] = NAME.exec(name) ?? [];
    if (hash === undefined || (part === undefined && kept.has(hash))) continue;
    await removeIfThere(disk, join(folder, name));
    count++;
  }
  await disk.syncFolder(folder);
  return count;
}
