import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { countGarbage } from '../base/garbage.ts';
import type { ChunkRef } from '../base/timeline.ts';
import { Corrupt } from './corrupt.ts';
import { type Disk, isMissing } from './disk.ts';
import { removeIfThere } from './segments.ts';
import { LINE_MAX_BYTES } from './source.ts';
import { damagedFrame, packFrame, skippedFrame, skippedIn } from './zstd.ts';

/**
 * Some events of one type, one after the other, as a timeline keeps them: a file named by what it holds, so that what
 * another timeline holds already is there already.
 *
 *     skipped frame   {"$chunk":{"format":2,"events":3,"bytes":240,"arrivals":true,"hash":"5f1c...","crc":1298371,"lines":812}}
 *                     packed: times, orders, arrivals; of each the first, then the differences, as int64
 *     frame           the lines, each with its newline
 *
 * `zstdcat` prints the lines and nothing else. `crc` is of what the header says before it, and of what is packed, so that damage is found before anything is
 * unpacked. `hash` is of what is held: whoever reads a chunk sees by it that it has the name it was given, and need not take the hash of all
 * that is in it once more. In format 1 there was none, and `crc` was of what is packed alone.
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
const FORMAT = 2;
/** The one before: hash and name of what it holds are compared once it is unpacked. */
const FORMAT_UNNAMED = 1;
const HEADER =
  /^\{"\$chunk":\{("format":(\d{1,9}),"events":\d{1,9},"bytes":(\d{1,9}),"arrivals":(true|false)(?:,"hash":"([0-9a-f]{64})")?),"crc":(\d{1,10}),"lines":(\d{1,9})\}\}\n/;
/** More than any header has. */
const HEADER_TEXT_MAX_BYTES = 256;

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
    await file.write(await encodeChunk(chunk, columns, hash));
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

async function encodeChunk(
  { count, lines, arrivalsMicros }: Chunk,
  plain: Uint8Array,
  hash: string,
): Promise<Uint8Array> {
  const [columns, packed] = await Promise.all([packFrame(plain), packFrame(lines)]);
  const said = `"format":${FORMAT},"events":${count},"bytes":${lines.length},"arrivals":${arrivalsMicros !== null},"hash":"${hash}"`;
  const text = `${said},"crc":${crcOf(said, columns, packed)},"lines":${packed.length}`;
  return Buffer.concat([skippedFrame(Buffer.concat([Buffer.from(`{"$chunk":{${text}}}\n`), columns])), packed]);
}

function crcOf(said: string, columns: Uint8Array, packed: Uint8Array): number {
  return crc32(packed, crc32(columns, crc32(said)));
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
 * @param room may hold the file until then; of the chunk nothing is left there
 * @throws Fault `corrupt`, with file and byte, where it is gone, or is not what was written; `unsupported` for a format that
 *   this version cannot read
 */
export async function readChunk(
  disk: ReadingDisk,
  folder: string,
  { hash, count }: ChunkRef,
  room: Room = { bytes: new Uint8Array(0) },
): Promise<Chunk> {
  const path = chunkPath(folder, hash);
  const bytes = await readFile(disk, path, room);
  const skipped = skippedIn(bytes, HEADER_MAX_BYTES);
  const head = skipped && HEADER.exec(Buffer.from(skipped.subarray(0, HEADER_TEXT_MAX_BYTES)).toString('latin1'));
  if (!skipped || !head) throw damagedFrame(path, 0, 'no header of a chunk');
  const [text, said, format, lineBytes, hasArrivals, named, crc, packedSize] = head as string[];
  checkFormat(path, Number(format), named);
  // They are unpacked when somebody asks for them, if anybody does.
  const columns = skipped.slice(text!.length);
  const linesOffset = 8 + skipped.length;
  const packed = bytes.subarray(linesOffset);
  if (packed.length !== Number(packedSize))
    throw damagedFrame(path, linesOffset, 'it is cut off, or has more behind it');
  if (crcOf(named ? said! : '', columns, packed) !== Number(crc))
    throw damagedFrame(path, linesOffset, 'a wrong checksum');
  const lines = unpacked(path, linesOffset, packed);
  // Lines are given back by whoever has them: this stands for the little things that are made for each chunk, and its batches.
  countGarbage(bytes.length);
  const unpackColumns = () => columnsIn(path, columns, count * (hasArrivals === 'true' ? 3 : 2));
  const isSame = named ? named === hash && lines.length === Number(lineBytes) : hashOf(unpackColumns(), lines) === hash;
  if (!isSame) throw otherThanNamed(path);
  return chunkOf(count, hasArrivals === 'true', unpackColumns, lines);
}

/** @param named the hash that a header says */
function checkFormat(path: string, format: number, named: string | undefined): void {
  if (format !== FORMAT && format !== FORMAT_UNNAMED)
    throw new Fault('unsupported', `${path} is a chunk of format ${format}; this version reads format ${FORMAT}`);
  if ((format === FORMAT) !== (named !== undefined)) throw damagedFrame(path, 0, 'no header of a chunk');
}

function columnsIn(path: string, packed: Uint8Array, valueCount: number): Uint8Array {
  const columns = unpacked(path, 0, packed);
  countGarbage(columns.length);
  if (columns.length !== 8 * valueCount) throw otherThanNamed(path);
  return columns;
}

function otherThanNamed(path: string): Corrupt {
  return new Corrupt(path, 0, `${path}: it holds other events than its name says`);
}

/** Where nothing is merged nobody asks for times and orders: they are unpacked, and summed up, when somebody does. */
function chunkOf(count: number, hasArrivals: boolean, unpackColumns: () => Uint8Array, lines: Uint8Array): Chunk {
  let columns: Uint8Array | null = null;
  const summed: (BigInt64Array | undefined)[] = [];
  const column = (k: number) => {
    columns ??= unpackColumns();
    summed[k] ??= sumsOf(Uint8Array.from(columns.subarray(k * count * 8, (k + 1) * count * 8)));
    return summed[k];
  };
  return {
    ...{ count, lines, arrivalsMicros: hasArrivals ? column(2) : null },
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
    return Bun.zstdDecompressSync(frame as Uint8Array<ArrayBuffer>);
  } catch (error) {
    throw damagedFrame(path, offset, error instanceof Error ? error.message : String(error));
  }
}

/** More than any chunk has. */
const FILE_MAX_BYTES = 16 << 20;

/** Where a file is read to, one after the other: it grows with the largest. */
export interface Room {
  bytes: Uint8Array;
}

async function readFile(disk: ReadingDisk, path: string, room: Room): Promise<Uint8Array> {
  try {
    const size = Math.min(await disk.size(path), FILE_MAX_BYTES);
    if (size > room.bytes.length) room.bytes = new Uint8Array(size);
    return await disk.read(path, 0, size, room.bytes);
  } catch (error) {
    if (isMissing(error)) throw new Corrupt(path, 0, `${path} is gone`);
    throw error;
  }
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
