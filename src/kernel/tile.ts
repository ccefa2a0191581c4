import type { Kernel } from './instance.ts';

/** Tiles records [from, to) of the batch: what that changes stands in the kernel until the next call, for `Fold.applyMade` or `changes`. */
export function tile(kernel: Kernel, from: number, to: number): void {
  kernel.exports.tileRecords(from, to);
}

/** More than there can be in a 32-bit memory. */
const ALL_BYTES = 0xffff_ffff;

/**
 * Tiles what was picked; false while there is more of it, and then no records may be picked. What that changes stands in the
 * kernel until the next call, for `Fold.applyMade` or `changes`.
 *
 * @param bytesMax about so many bytes of features, as they are spelt, are made by one call
 * @param isOrdered keys come in the order in which stores have them, for whoever has to read rows back
 */
export function tilePicked(kernel: Kernel, bytesMax = ALL_BYTES, isOrdered = false): boolean {
  return kernel.exports.tilePicked(bytesMax, isOrdered ? 1 : 0) !== 0;
}
