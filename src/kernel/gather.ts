import type { Kernel } from './instance.ts';

/** Picks records [from, to) of the batch: they are tiled by `tilePicked`, with those of batches before and after it. */
export function pick(kernel: Kernel, from: number, to: number): void {
  kernel.exports.pickRecords(from, to);
}

/** What events occupy that are picked and not tiled yet. */
export function pickedBytes(kernel: Kernel): number {
  return kernel.exports.pickedBytes();
}

/** The first record of the batch from `from` on that counts for a key in a group; the batch's count where there is none. */
export function findKeyed(kernel: Kernel, group: number, from: number, key: { start: number; length: number }): number {
  return kernel.exports.findKeyed(group, from, key.start, key.length);
}
