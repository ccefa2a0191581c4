/** Bytes that grow at the end. */
export class Growing {
  bytes = new Uint8Array(4096);
  length = 0;

  /** The bytes, with room for `more` behind the end. */
  room(more: number): Uint8Array {
    if (this.length + more > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    return this.bytes;
  }

  /** Appends a part of other bytes: short ones, byte by byte, cost less than a view. */
  copy(from: Uint8Array, start: number, end: number): void {
    const bytes = this.room(end - start);
    if (end - start > VIEW_MIN_BYTES) bytes.set(from.subarray(start, end), this.length);
    else for (let i = start, at = this.length; i < end; i++) bytes[at++] = from[i]!;
    this.length += end - start;
  }
}

const VIEW_MIN_BYTES = 64;
