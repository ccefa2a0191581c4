import { Fault } from '../base/fault.ts';
import { Corrupt } from './corrupt.ts';
import { ByteStream } from './stream.ts';

/**
 * Zstandard files, taken apart without unpacking them (RFC 8878):
 *
 *     frame   28 B5 2F FD | descriptor | window, dictionary, content size | block ... block | checksum
 *     block   3 bytes: last (1 bit), kind (2 bits), size (21 bits) | content
 *     skipped 5n 2A 4D 18 | size | content that is no data
 *
 * Decompressors stop without a word where a file is cut off. Whoever walks the blocks knows where frames end, and so
 * that the last one does, and in which of them damage lies.
 */
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPED_MAGIC = 0x184d2a50;
const SKIPPED_MASK = 0xfffffff0;

/** Every file of it starts with these, and no JSON does. */
export const ZSTD_MAGICS = [
  [0x28, 0xb5, 0x2f, 0xfd],
  [0x50, 0x2a, 0x4d, 0x18],
];

/** Plain bytes in a frame that we make: large enough that dictionaries of frames do not repeat what costs, small
 * enough that unpacking one takes about a millisecond. 4 MiB packs no better (9.7 times for flights, either way). */
export const FRAME_BYTES = 1 << 20;

/** The first level that is much faster than a disk: 480 MB/s and 9.7 times for flights; 9 has 74 MB/s and 11.7 times. */
const LEVEL = 3;

/** What one block unpacks to at most, by the format. */
const BLOCK_BYTES = 128 << 10;

/** Frames that we unpack in one go; those that others make may be of any size, and are unpacked as a stream. */
const FRAME_BLOCKS_MAX = (2 * FRAME_BYTES) / BLOCK_BYTES;

/** Magic, descriptor, window, dictionary and content size. */
const FRAME_HEADER_MAX_BYTES = 18;

export type Pack = (plain: Uint8Array) => Promise<Uint8Array>;

/** One frame, made beside the event loop. */
export const packFrame: Pack = plain => Bun.zstdCompress(plain, { level: LEVEL });

/** Bytes that decompressors pass over. */
export function skippedFrame(content: Uint8Array): Uint8Array {
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, SKIPPED_MAGIC, true);
  head.setUint32(4, content.length, true);
  return Buffer.concat([new Uint8Array(head.buffer), content]);
}

/** A header or a block of a frame as it stands in the file. */
export interface Piece {
  bytes: Uint8Array;
  /** Where its frame starts in the file. */
  frameOffset: number;
  isFirst: boolean;
  isLast: boolean;
}

/**
 * The pieces of all frames that hold data. Bytes are valid until the next piece is asked for.
 *
 * @throws Fault `corrupt`, with the byte that the damaged frame starts at
 */
export async function* framePieces(stream: ByteStream, file: string): AsyncGenerator<Piece> {
  for (;;) {
    const frameOffset = stream.offset;
    const head = view(await stream.peek(FRAME_HEADER_MAX_BYTES));
    if (head.byteLength === 0 && frameOffset > 0) return;
    if (head.byteLength >= 8 && (head.getUint32(0, true) & SKIPPED_MASK) >>> 0 === SKIPPED_MAGIC) {
      await skip(stream, file, frameOffset, 8 + head.getUint32(4, true));
      continue;
    }
    const size = headerSize(head);
    if (size === null) throw damagedFrame(file, frameOffset, 'there is no frame');
    const hasChecksum = (head.getUint8(4) & 4) !== 0;
    yield { bytes: await taken(stream, file, frameOffset, size), frameOffset, isFirst: true, isLast: false };
    for (let isLast = false; !isLast; ) {
      const block = view(await stream.peek(3));
      if (block.byteLength < 3) throw damagedFrame(file, frameOffset, 'it is cut off');
      const bits = block.getUint16(0, true) | (block.getUint8(2) << 16);
      isLast = (bits & 1) === 1;
      const kind = (bits >> 1) & 3;
      if (kind === 3 || bits >> 3 > BLOCK_BYTES)
        throw damagedFrame(file, frameOffset, 'a block has no such kind or size');
      // A run is one byte long, however often it stands for itself.
      const length = 3 + (kind === 1 ? 1 : bits >> 3) + (isLast && hasChecksum ? 4 : 0);
      yield { bytes: await taken(stream, file, frameOffset, length), frameOffset, isFirst: false, isLast };
    }
  }
}

/**
 * The plain bytes of a file that `packFrame` has made.
 *
 * @throws Fault `corrupt`, `unsupported` for a frame that is larger than we make them
 */
export async function* unpackedFrames(packed: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  const stream = new ByteStream(packed);
  let frame: Uint8Array[] = [];
  try {
    for await (const { bytes, frameOffset, isFirst, isLast } of framePieces(stream, file)) {
      if (isFirst) frame = [];
      frame.push(bytes.slice());
      // The first piece is the frame's header.
      if (frame.length > FRAME_BLOCKS_MAX + 1)
        throw new Fault(
          'unsupported',
          `${file} has a frame of more than ${FRAME_BLOCKS_MAX * BLOCK_BYTES} bytes, which this did not make: unpack it with \`zstd -d --rm\``,
        );
      if (isLast) yield unpack(Buffer.concat(frame), file, frameOffset);
    }
  } finally {
    await stream.close();
  }
}

function unpack(frame: Uint8Array<ArrayBuffer>, file: string, frameOffset: number): Uint8Array {
  try {
    return Bun.zstdDecompressSync(frame);
  } catch (error) {
    throw damagedFrame(file, frameOffset, error instanceof Error ? error.message : String(error));
  }
}

/** What a file holds before its first frame of data; null where that is nothing. */
export async function skippedContent(stream: ByteStream, maxBytes: number): Promise<Uint8Array | null> {
  const size = skippedSize(await stream.peek(8), maxBytes);
  return size === null ? null : (skippedIn(await stream.peek(8 + size), maxBytes)?.slice() ?? null);
}

/** The same where all of the file is at hand: of these bytes, and good as long as they are. */
export function skippedIn(bytes: Uint8Array, maxBytes: number): Uint8Array | null {
  const size = skippedSize(bytes, maxBytes);
  return size === null || bytes.length < 8 + size ? null : bytes.subarray(8, 8 + size);
}

function skippedSize(bytes: Uint8Array, maxBytes: number): number | null {
  const head = view(bytes);
  if (head.byteLength < 8 || head.getUint32(0, true) !== SKIPPED_MAGIC) return null;
  const size = head.getUint32(4, true);
  return size > maxBytes ? null : size;
}

export function damagedFrame(file: string, offset: number, why: string): Corrupt {
  return new Corrupt(file, offset, `${file}: the zstd frame at byte ${offset} is damaged: ${why}`);
}

/** Null where no frame starts. */
function headerSize(head: DataView): number | null {
  if (head.byteLength < 6 || head.getUint32(0, true) !== FRAME_MAGIC) return null;
  const descriptor = head.getUint8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  return 5 + (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes;
}

async function taken(stream: ByteStream, file: string, frameOffset: number, length: number): Promise<Uint8Array> {
  const bytes = await stream.peek(length);
  if (bytes.length < length) throw damagedFrame(file, frameOffset, 'it is cut off');
  stream.skip(length);
  return bytes;
}

async function skip(stream: ByteStream, file: string, frameOffset: number, length: number): Promise<void> {
  for (let rest = length; rest > 0; )
    rest -= (await taken(stream, file, frameOffset, Math.min(rest, BLOCK_BYTES))).length;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
