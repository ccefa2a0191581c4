import type { Kernel } from './instance.ts';

/** Bytes on their way into a kernel: a block of its memory for one call at a time, which grows with what it is given. */
export class Inbox {
  #block = 0;
  #size = 0;

  constructor(readonly kernel: Kernel) {}

  /** Copies bytes in; returns where they stand until the next ones. */
  put(from: Uint8Array): number {
    const { exports, bytes } = this.kernel;
    if (from.length > this.#size) {
      if (this.#block !== 0) exports.release(this.#block, this.#size);
      this.#size = from.length * 2;
      this.#block = exports.allocate(this.#size) >>> 0;
    }
    bytes(this.#block, from.length).set(from);
    return this.#block;
  }
}
