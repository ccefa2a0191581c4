import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { localDisk } from './disk.ts';
import { BEGINNING_MAX_BYTES, foreignFormat } from './foreign.ts';
import type { SegmentHeader } from './segment.ts';
import { corrupt } from './corrupt.ts';
import { NEWLINE, readHeader, segmentBlocks } from './segment.ts';
import type { Block, Clock, Source } from './source.ts';
import { BLOCK_MAX_BYTES, LINE_MAX_BYTES } from './source.ts';
import { ByteStream, fileChunks } from './stream.ts';
import { damagedFrame, framePieces, ZSTD_MAGICS } from './zstd.ts';

/** Every gzip member starts with these, and no JSON does. */
const GZIP_MAGIC = [0x1f, 0x8b];
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const NEWLINE_BYTES = Uint8Array.of(NEWLINE);

const WANTED = 'wanted NDJSON, plain or packed with gzip or zstd, or segments of an event log';

/**
 * NDJSON files in the order given, packed with gzip or zstd or not. A file that starts with the header of an event log's segment is read
 * as that: its arrivals and its clock count.
 *
 * Positions of other files are only known once their lines have been judged, so those are read from 0 only.
 *
 * @param clock of plain files
 * @throws Fault `not_found` for a missing file, `media_type` for one that is something else (an image, a database),
 *   `config` where files do not belong together, `corrupt` for damaged gzip, zstd or segments (while reading)
 */
export async function ndjsonFiles(paths: string[], clock: Clock): Promise<Source> {
  const headers = await Promise.all(paths.map(segmentHeader));
  const segments = headers.filter(header => header !== null);
  if (segments.length === 0) return { clock, read: from => plainFiles(paths, from) };
  const plainPath = paths[headers.indexOf(null)];
  if (plainPath !== undefined)
    throw new Fault('config', `${plainPath} is no segment of an event log, and other files given with it are`);
  for (let i = 1; i < segments.length; i++) checkFollows(paths, segments, i);
  return { clock: segments[0]!.clock, read: from => segmentFiles(paths, segments, from) };
}

async function* plainFiles(paths: string[], from: number): AsyncGenerator<Block> {
  assert(from === 0, 'files are read from their start: a position is the count of lines accepted before it');
  for (const path of paths) yield* plainFile(path);
}

async function* plainFile(file: string): AsyncGenerator<Block> {
  const stream = new ByteStream(textChunks(file));
  try {
    const start = await stream.peek(BYTE_ORDER_MARK.length);
    if (startsWith(start, BYTE_ORDER_MARK)) stream.skip(start.length);
    for (let line: number | null = 1; ; line = null) {
      const ahead = await stream.peek(BLOCK_MAX_BYTES);
      if (ahead.length === 0) return;
      // Less than was asked for is the rest of the file, and its last line needs no newline.
      const end = ahead.length < BLOCK_MAX_BYTES ? ahead.length : ahead.lastIndexOf(NEWLINE) + 1;
      const bytes = end > 0 ? ahead.subarray(0, end) : longLineStart(ahead);
      yield { bytes, arrivalMicros: null, file, line };
      if (end > 0) stream.skip(end);
      else await skipLine(stream);
    }
  } finally {
    await stream.close();
  }
}

/** One byte over the limit would do, were it not that a carriage return before the newline does not count. */
function longLineStart(ahead: Uint8Array): Uint8Array {
  return Buffer.concat([ahead.subarray(0, LINE_MAX_BYTES + 2), NEWLINE_BYTES]);
}

async function skipLine(stream: ByteStream): Promise<void> {
  for (;;) {
    const ahead = await stream.peek(BLOCK_MAX_BYTES);
    const end = ahead.indexOf(NEWLINE) + 1;
    stream.skip(end > 0 ? end : ahead.length);
    if (end > 0 || ahead.length === 0) return;
  }
}

/** The last one may be written to while it is read. */
async function* segmentFiles(paths: string[], headers: SegmentHeader[], from: number): AsyncGenerator<Block> {
  const fromRecord = headers[0]!.first + from;
  for (const [i, path] of paths.entries()) {
    const next = headers[i + 1]?.first;
    if (next !== undefined && next <= fromRecord) continue;
    const stream = new ByteStream(textChunks(path));
    try {
      const stop = yield* segmentBlocks(stream, path, fromRecord, next === undefined ? 'torn' : 'whole');
      if (next !== undefined && stop !== next)
        throw corrupt(path, stream.offset, `the end of the segment with record ${stop} of ${next}`);
    } finally {
      await stream.close();
    }
  }
}

function checkFollows(paths: string[], headers: SegmentHeader[], i: number): void {
  const [before, header] = [headers[i - 1]!, headers[i]!];
  if (header.previous !== before.first)
    throw new Fault('config', `${paths[i]} does not follow ${paths[i - 1]} in an event log`);
  if (header.clock.kind !== before.clock.kind || header.clock.maxJumpMs !== before.clock.maxJumpMs)
    throw new Fault('corrupt', `${paths[i]} has another clock than ${paths[i - 1]}`);
}

async function segmentHeader(path: string): Promise<SegmentHeader | null> {
  const stream = new ByteStream(textChunks(path));
  try {
    const foreign = foreignFormat(await stream.peek(BEGINNING_MAX_BYTES));
    if (foreign !== null) throw new Fault('media_type', `${path} is ${foreign}, and holds no events: ${WANTED}`);
    return await readHeader(stream, path);
  } finally {
    await stream.close();
  }
}

/** The plain bytes of a file, packed with gzip or zstd or not. @throws Fault as `ndjsonFiles` */
export async function* textChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    const start = await localDisk.read(path, 0, 4);
    if (path.endsWith('.gz') || startsWith(start, GZIP_MAGIC)) yield* gunzipped(path);
    else if (path.endsWith('.zst') || ZSTD_MAGICS.some(magic => startsWith(start, magic))) yield* unpacked(path);
    else yield* fileChunks(localDisk, path);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') throw new Fault('not_found', `there is no file ${path}`);
    if (code === 'EACCES' || code === 'EISDIR') throw new Fault('config', `${path} cannot be read: ${code}`);
    throw error;
  }
}

/** A file may be several gzip members, one after the other. */
async function* gunzipped(path: string): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const packed = Readable.from(fileChunks(localDisk, path));
  packed.on('error', error => gunzip.destroy(error));
  packed.pipe(gunzip);
  try {
    for await (const chunk of gunzip) yield chunk;
  } catch (error) {
    if (!errorCode(error).startsWith('Z_')) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault('corrupt', `${path}: gzip is truncated or damaged near its byte ${gunzip.bytesWritten}: ${why}`);
  } finally {
    packed.destroy();
    gunzip.destroy();
  }
}

/** A frame may be of any size, as those that other programs make are. */
async function* unpacked(path: string): AsyncGenerator<Uint8Array> {
  const unpack = createZstdDecompress();
  let frameOffset = 0;
  const stream = new ByteStream(fileChunks(localDisk, path));
  const pieces = async function* () {
    // The decompressor does not notice a file that is cut off; whoever walks its frames does.
    for await (const piece of framePieces(stream, path)) {
      frameOffset = piece.frameOffset;
      yield piece.bytes.slice();
    }
  };
  const packed = Readable.from(pieces());
  packed.on('error', error => unpack.destroy(error));
  packed.pipe(unpack);
  try {
    for await (const chunk of unpack) yield chunk;
  } catch (error) {
    if (!errorCode(error).startsWith('ZSTD_')) throw error;
    throw damagedFrame(path, frameOffset, error instanceof Error ? error.message : String(error));
  } finally {
    packed.destroy();
    unpack.destroy();
  }
}

function startsWith(bytes: Uint8Array, prefix: number[]): boolean {
  return prefix.every((byte, i) => bytes[i] === byte);
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
