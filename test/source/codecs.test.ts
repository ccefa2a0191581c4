import { describe, expect, test } from 'bun:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import lz4 from 'lz4js';
import { compress } from 'snappyjs';
import { unpackBatch } from '../../src/source/codecs.ts';
import { Random } from '../sim/random.ts';

const random = new Random(3);
/** Some of it repeats itself, from near and from far. */
const PLAIN = Buffer.concat(
  Array.from({ length: 400 }, (_, i) =>
    random.chance(0.3) ? crypto.getRandomValues(new Uint8Array(64)) : Buffer.from(`line ${i % 7} `.repeat(30)),
  ),
);

/** As Java's library frames blocks, which is what brokers expect. */
function framed(plain: Uint8Array, blockBytes: number): Buffer {
  const parts: Uint8Array[] = [Buffer.from('\x82SNAPPY\0\0\0\0\x01\0\0\0\x01', 'latin1')];
  for (let from = 0; from < plain.length; from += blockBytes) {
    const block = compress(plain.subarray(from, from + blockBytes));
    const size = Buffer.alloc(4);
    size.writeUInt32BE(block.length);
    parts.push(size, block);
  }
  return Buffer.concat(parts);
}

const PACKED: [name: string, codec: number, packed: Buffer][] = [
  ['gzip', 1, gzipSync(PLAIN)],
  ['snappy in blocks', 2, framed(PLAIN, 32_768)],
  ['snappy alone', 2, Buffer.from(compress(PLAIN))],
  ['lz4', 3, Buffer.from(lz4.compress(PLAIN))],
  ['zstd', 4, zstdCompressSync(PLAIN)],
];

describe.each(PACKED)('%s', (_name, codec, packed) => {
  test('becomes what it was', () => {
    expect(Buffer.compare(unpackBatch(codec, packed), PLAIN)).toBe(0);
  });

  test('is not unpacked beyond what a batch may be', () => {
    expect(() => unpackBatch(codec, packed, PLAIN.length - 1)).toThrow(
      `more than ${PLAIN.length - 1} bytes once unpacked`,
    );
  });

  test('that is cut off is a fault, or what came before the cut', () => {
    for (let n = 0; n < 40; n++) {
      const part = packed.subarray(0, random.below(packed.length));
      try {
        unpackBatch(codec, part);
      } catch (error) {
        expect((error as Error).name).toBe('Fault');
      }
    }
  });
});

test('a codec that nobody knows is a fault that names those that are', () => {
  expect(() => unpackBatch(5, Buffer.alloc(0))).toThrow('codec 5, wanted none, gzip, snappy, lz4, zstd');
});
