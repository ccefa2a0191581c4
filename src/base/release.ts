/**
 * Gives the memory of bytes back at once, whoever still holds them: they are empty afterwards. For what has come from
 * another thread, or is large and short-lived: the collector does not know how much such buffers take, and lets them lie.
 */
export function releaseBytes(bytes: Uint8Array<ArrayBuffer>): void {
  bytes.buffer.transfer(0);
}

/**
 * Asks the collector to run beside everything else. Called at each barrier: what has gone through a thread since the last
 * one were large buffers, and the collector, which counts the kernels' memory among what lives, would let as much again lie.
 */
export function collectSoon(): void {
  Bun.gc(false);
}
