/**
 * Packs as they rest in a database, and as they are worked on:
 *
 *   00 ...            rows as they are (pack.ts: the first shares nothing with one before it); so older versions wrote all
 *   28 B5 2F FD ...   a zstd frame of them
 */
import { PackDamage } from './pack.ts';

/** What zstd's magic number begins with. */
const ZSTD_BYTE = 0x28;

/** The best of those that take 22 us for 8,000 bytes; the next ones take three times as long for a twentieth. */
const LEVEL = 3;

/** Fewer bytes hardly become less. */
const SEALED_MIN_BYTES = 128;

export function sealPack(rows: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (rows.length < SEALED_MIN_BYTES) return rows;
  const sealed = Bun.zstdCompressSync(rows, { level: LEVEL });
  return sealed.length < rows.length ? (sealed as Uint8Array<ArrayBuffer>) : rows;
}

/** @throws PackDamage where the bytes are a frame that cannot be unpacked */
export function unsealPack(stored: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (stored[0] !== ZSTD_BYTE) return stored;
  try {
    const { buffer, byteOffset, length } = Bun.zstdDecompressSync(stored);
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
  } catch {
    throw new PackDamage();
  }
}
