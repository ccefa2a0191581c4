/**
 * Bytes outside JavaScript's heap that nobody needs any more: chunks that were read, columns that were written. The collector hurries the less
 * the more there is in use, and beside a kernel of a gigabyte it lets nearly another one gather. Who works within a bound of memory has it collect
 * sooner. Each thread has a collector, and a count, of its own.
 */
let boundBytes = Number.POSITIVE_INFINITY;
let gatheredBytes = 0;

/** From now on no more than so much gathers in this thread, but for what is counted at once. */
export function boundGarbage(bytes: number): void {
  boundBytes = bytes;
}

/** Counts bytes that were made outside the heap, and are used once. */
export function countGarbage(bytes: number): void {
  gatheredBytes += bytes;
  if (gatheredBytes >= boundBytes) collectGarbage();
}

/** Takes some milliseconds, in which the thread does nothing else. */
export function collectGarbage(): void {
  gatheredBytes = 0;
  Bun.gc(true);
}

/**
 * Gives back bytes that nobody looks at any more, without waiting for the collector: whoever makes some next has them again, while they are still
 * near the processor, where fresh ones would first be cleared by the system. Bytes that share their buffer with others stay.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (byteLength > 0 && buffer.byteLength === byteLength) (buffer as ArrayBuffer).transfer(0);
}
