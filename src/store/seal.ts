/**
 * Packs as they rest in a database, and as they are worked on:
 *
 *   00 ...            rows as they are (pack.ts: the first shares nothing with one before it); so older versions wrote all
 *   01 ...            rows as their numbers, as kernels seal them (assembly/sealing.ts): where these are most of what there is
 *   28 B5 2F FD ...   a zstd frame of the rows
 */
import { PackDamage, type PackKernel } from './pack.ts';

const SEALED_BYTE = 0x01;

/** What zstd's magic number begins with. */
const ZSTD_BYTE = 0x28;

/** The best of those that take 22 us for 8,000 bytes; the next ones take three times as long for a twentieth. */
const LEVEL = 3;

/** Fewer bytes hardly become less. */
const SEALED_MIN_BYTES = 128;

/** Of numbers a kernel makes a fifth of the bytes; where it leaves more, there is something for zstd to find. */
const SEALED_MAX_SHARE = 0.4;

export function sealPack(rows: Uint8Array<ArrayBuffer>, kernel: PackKernel): Uint8Array<ArrayBuffer> {
  return rows.length < SEALED_MIN_BYTES ? rows : leastOf(rows, kernel.seal(rows));
}

/** @param sealed what a kernel has made of the rows */
function leastOf(rows: Uint8Array<ArrayBuffer>, sealed: Uint8Array<ArrayBuffer> | null): Uint8Array<ArrayBuffer> {
  if (sealed && sealed.length < SEALED_MAX_SHARE * rows.length) return sealed;
  const frame = Bun.zstdCompressSync(rows, { level: LEVEL }) as Uint8Array<ArrayBuffer>;
  const least = sealed && sealed.length < frame.length ? sealed : frame;
  return least.length < rows.length ? least : rows;
}

/** The same for a pack that a kernel has sealed, of rows that take so many bytes. */
export function resealPack(
  sealed: Uint8Array<ArrayBuffer>,
  rowBytes: number,
  kernel: PackKernel,
): Uint8Array<ArrayBuffer> {
  if (sealed.length < SEALED_MAX_SHARE * rowBytes) return sealed;
  const rows = unsealPack(sealed, kernel);
  return rows.length < SEALED_MIN_BYTES ? rows : leastOf(rows, sealed);
}

/** @throws PackDamage where the bytes are not what was sealed, or a frame that cannot be unpacked */
export function unsealPack(stored: Uint8Array<ArrayBuffer>, kernel: PackKernel): Uint8Array<ArrayBuffer> {
  if (stored[0] === ZSTD_BYTE) return unpacked(stored);
  if (stored[0] !== SEALED_BYTE) return stored;
  const rows = kernel.unseal(stored);
  if (!rows) throw new PackDamage();
  return rows;
}

function unpacked(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  try {
    const { buffer, byteOffset, length } = Bun.zstdDecompressSync(frame);
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
  } catch {
    throw new PackDamage();
  }
}
