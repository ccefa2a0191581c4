import type { Kernel } from './instance.ts';

/** Picks records [from, to) of the batch for the kernels that tile and fold them, each of which has a shard of the keys. */
export function pickShares(kernel: Kernel, from: number, to: number): void {
  kernel.exports.pickShares(from, to);
}

/** What has been picked for all of them and not been taken. */
export function sharedBytes(kernel: Kernel): number {
  return kernel.exports.sharedBytes();
}

/**
 * What has been picked for each shard since this was asked last.
 *
 * @param memory where the kernels' threads can read them, of `sharedBytes` or more
 */
export function takeShares(
  { exports, bytes }: Kernel,
  shards: number,
  memory: SharedArrayBuffer,
): Uint8Array<SharedArrayBuffer>[] {
  let at = 0;
  const shares = Array.from({ length: shards }, (_, shard) => {
    const share = new Uint8Array(memory, at, exports.shareLength(shard));
    share.set(bytes(exports.shareStart(shard) >>> 0, share.length));
    at += share.length;
    return share;
  });
  exports.forgetShares();
  return shares;
}

/** Gathers a share that another kernel has picked, as if its events had been picked here. */
export function gatherShare(kernel: Kernel, share: Uint8Array): void {
  const { exports } = kernel;
  const block = exports.allocate(share.length) >>> 0;
  kernel.bytes(block, share.length).set(share);
  exports.takeShare(block, share.length);
  exports.release(block, share.length);
}
