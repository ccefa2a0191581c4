/**
 * What batches of messages are compressed with. The driver knows gzip, and takes what it knows nothing of for not compressed
 * at all; here each of the eight that fit into a batch's attributes is read, or is a fault.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { CompressionCodecs } from 'kafkajs';
import lz4 from 'lz4js';
import { uncompress } from 'snappyjs';
import { Fault } from '../base/fault.ts';

/** What one batch may become: brokers take a MiB of it compressed, unless they are told to take more. */
export const BATCH_MAX_BYTES = 256 << 20;

type Unpack = (packed: Buffer, maxBytes: number) => Uint8Array;

/** By the number of the codec; what is not here nobody has given a meaning to. */
const CODECS: Record<number, { name: string; unpack: Unpack }> = {
  1: { name: 'gzip', unpack: (packed, maxOutputLength) => gunzipSync(packed, { maxOutputLength }) },
  2: { name: 'snappy', unpack: unpackSnappy },
  3: { name: 'lz4', unpack: unpackLz4 },
  4: { name: 'zstd', unpack: (packed, maxOutputLength) => zstdDecompressSync(packed, { maxOutputLength }) },
};
const CODEC_MAX = 7;

/** Tells the driver how to read what producers compress. */
export function addCodecs(codecs: typeof CompressionCodecs): void {
  const table = codecs as Record<number, () => { decompress(packed: Buffer): Promise<Buffer> }>;
  for (let number = 1; number <= CODEC_MAX; number++)
    table[number] = () => ({
      // What it returns has to be a Buffer: the driver reads numbers out of it.
      decompress: async packed => bufferOf(unpackBatch(number, packed)),
    });
}

/** @throws Fault `unsupported` where the codec is not known, `corrupt` for bytes that are not of it, `too_large` */
export function unpackBatch(codec: number, packed: Buffer, maxBytes = BATCH_MAX_BYTES): Uint8Array {
  const known = CODECS[codec];
  if (!known) {
    const names = Object.values(CODECS).map(({ name }) => name);
    throw new Fault('unsupported', `messages are compressed by codec ${codec}, wanted none, ${names.join(', ')}`);
  }
  try {
    return known.unpack(packed, maxBytes);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === TOO_LARGE)
      throw new Fault('too_large', `messages that were sent together are more than ${maxBytes} bytes once unpacked`);
    throw new Fault('corrupt', `messages are no ${known.name}: ${message}`);
  }
}

/** What zlib says where there is more than it may make. */
const TOO_LARGE = 'ERR_BUFFER_TOO_LARGE';

function tooLarge(): Error {
  return Object.assign(new Error('more than it may become'), { code: TOO_LARGE });
}

/** `\x82SNAPPY\0`, two versions, and then blocks, each behind its size; or, of some producers, one block without all that. */
const SNAPPY_MAGIC = Buffer.from('\x82SNAPPY\0', 'latin1');
const SNAPPY_HEADER_BYTES = SNAPPY_MAGIC.length + 8;

function unpackSnappy(packed: Buffer, maxBytes: number): Uint8Array {
  if (!packed.subarray(0, SNAPPY_MAGIC.length).equals(SNAPPY_MAGIC)) return snappyBlock(packed, maxBytes);
  const blocks: Uint8Array[] = [];
  let left = maxBytes;
  for (let at = SNAPPY_HEADER_BYTES; at < packed.length; ) {
    const [from, to] = [at + 4, at + 4 + packed.readUInt32BE(at)];
    if (to > packed.length) throw new Error(`a block ends at byte ${to} of ${packed.length}`);
    const block = snappyBlock(packed.subarray(from, to), left);
    left -= block.length;
    blocks.push(block);
    at = to;
  }
  return Buffer.concat(blocks);
}

/** It begins with how long it becomes. */
function snappyBlock(block: Buffer, maxBytes: number): Uint8Array {
  let bytes = 0;
  for (let i = 0; i < 5 && i < block.length; i++) {
    bytes += (block[i]! & 127) * 2 ** (7 * i);
    if (block[i]! < 128) break;
  }
  if (bytes > maxBytes) throw tooLarge();
  return uncompress(block);
}

function unpackLz4(packed: Buffer, maxBytes: number): Uint8Array {
  const bytes = lz4.decompressBound(packed);
  // Rounded up to whole blocks of up to 4 MiB: what it says may be more than there is.
  if (!(bytes <= maxBytes)) throw tooLarge();
  return lz4.decompress(packed, bytes);
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
