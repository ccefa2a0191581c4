import { assert } from '../base/assert.ts';
import type { Disk } from './disk.ts';

/** One read of a file: large enough to keep a disk busy, small beside a block. */
const READ_BYTES = 256 << 10;

/** Bytes front to back, with a look ahead: what both kinds of files are taken apart with. */
export class ByteStream {
  /** How many bytes have been passed: the place of the next one. */
  offset = 0;
  #chunks: AsyncIterator<Uint8Array, unknown, Uint8Array>;
  #buffer = new Uint8Array(READ_BYTES);
  #start = 0;
  #end = 0;
  #finished = false;

  /** @param chunks may stand where the iterator was shown room for them, and are copied where they do not */
  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, fewer at the end; valid until the next call. Callers bound `length`. */
  async peek(length: number): Promise<Uint8Array> {
    while (this.#end - this.#start < length && !this.#finished) {
      this.#makeRoom(READ_BYTES);
      const { value, done } = await this.#chunks.next(this.#buffer.subarray(this.#end));
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
    const isThere = chunk.buffer === this.#buffer.buffer && chunk.byteOffset === this.#end;
    if (!isThere) {
      this.#makeRoom(chunk.length);
      this.#buffer.set(chunk, this.#end);
    }
    this.#end += chunk.length;
  }

  /** Room for so many bytes behind the end. With much of it, what is held is rarely moved. */
  #makeRoom(length: number): void {
    if (this.#end + length <= this.#buffer.length) return;
    const held = this.#end - this.#start;
    const isTight = held + length > this.#buffer.length / 2;
    const target = isTight ? new Uint8Array(ROOM_FACTOR * (held + length)) : this.#buffer;
    target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = target;
    this.#start = 0;
    this.#end = held;
  }
}

/** Of what a stream has to hold its buffer has room for so many. */
const ROOM_FACTOR = 3;

/** The bytes of a file from `startBytes` up to `endBytes`. They are read to where who asks for them shows room, if there is enough. */
export async function* fileChunks(
  disk: Pick<Disk, 'read'>,
  path: string,
  endBytes = Infinity,
  startBytes = 0,
): AsyncGenerator<Uint8Array, void, Uint8Array | undefined> {
  let room: Uint8Array | undefined;
  for (let offset = startBytes; offset < endBytes; ) {
    const wanted = Math.min(READ_BYTES, endBytes - offset);
    const chunk = await disk.read(path, offset, wanted, room);
    if (chunk.length > 0) room = yield chunk;
    if (chunk.length < wanted) return;
    offset += chunk.length;
  }
}
