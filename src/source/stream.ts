import { assert } from '../base/assert.ts';
import type { Disk } from './disk.ts';

/** One read of a file: large enough to keep a disk busy, small beside a block. */
const READ_BYTES = 256 << 10;

/** Bytes front to back, with a look ahead: what both kinds of files are taken apart with. */
export class ByteStream {
  /** How many bytes have been passed: the place of the next one. */
  offset = 0;
  #chunks: AsyncIterator<Uint8Array>;
  #buffer = new Uint8Array(READ_BYTES);
  #start = 0;
  #end = 0;
  #finished = false;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, fewer at the end; valid until the next call. Callers bound `length`. */
  async peek(length: number): Promise<Uint8Array> {
    while (this.#end - this.#start < length && !this.#finished) {
      const { value, done } = await this.#chunks.next();
      if (done) this.#finished = true;
      else this.#add(value);
    }
    return this.#buffer.subarray(this.#start, Math.min(this.#end, this.#start + length));
  }

  /** Passes over bytes that have been peeked at. */
  skip(length: number): void {
    assert(length <= this.#end - this.#start, 'only bytes that have been peeked at can be skipped');
    this.#start += length;
    this.offset += length;
  }

  async close(): Promise<void> {
    this.#finished = true;
    await this.#chunks.return?.();
  }

  #add(chunk: Uint8Array): void {
    const held = this.#end - this.#start;
    if (this.#end + chunk.length > this.#buffer.length) {
      const roomy = held + chunk.length > this.#buffer.length / 2;
      const target = roomy ? new Uint8Array(2 * (held + chunk.length)) : this.#buffer;
      target.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = target;
      this.#start = 0;
      this.#end = held;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }
}

/** The bytes of a file, up to `endBytes`. */
export async function* fileChunks(
  disk: Pick<Disk, 'read'>,
  path: string,
  endBytes = Infinity,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < endBytes; ) {
    const wanted = Math.min(READ_BYTES, endBytes - offset);
    const chunk = await disk.read(path, offset, wanted);
    if (chunk.length > 0) yield chunk;
    if (chunk.length < wanted) return;
    offset += chunk.length;
  }
}
