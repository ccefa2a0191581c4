import type { TileRange } from '../plan/window.ts';
import type { Kernel } from './instance.ts';

/** Takes one row: `bytes` from `start` to `end`, a view that may hold many rows. */
export type TakeStored = (levelMs: number, tileStartMs: number, bytes: Uint8Array, start: number, end: number) => void;

/** Hands over the rows of one key in ranges that ascend by level and start, in that order. */
export type ReadRanges = (entity: number, key: Uint8Array, ranges: TileRange[], take: TakeStored) => void;

/** A key, and where it stands in the kernel. */
export interface PlacedKey {
  bytes: Uint8Array;
  start: number;
}

/** Brings what memory may lack of a key into it: from now on it knows all rows of these ranges, and that there are no others. */
export function holdRows(
  kernel: Kernel,
  entity: number,
  key: PlacedKey,
  ranges: TileRange[],
  read: (take: TakeStored) => void,
): void {
  const { exports } = kernel;
  const { length } = key.bytes;
  const copies = new Copies(kernel);
  try {
    read((levelMs, tileStartMs, bytes, start, end) => {
      const row = copies.place(bytes) + start;
      exports.loadRow(entity, key.start, length, levelMs, tileStartMs, row, end - start);
    });
    for (const { levelMs, fromMs, toMs } of ranges) exports.holdRange(entity, key.start, length, levelMs, fromMs, toMs);
  } finally {
    copies.release();
  }
}

/** Copies in the kernel of bytes that a store hands over: many rows in turn share the same. */
export class Copies {
  readonly #blocks: { start: number; length: number }[] = [];
  #last: Uint8Array | null = null;

  constructor(private readonly kernel: Kernel) {}

  /** Where the bytes stand. */
  place(bytes: Uint8Array): number {
    if (bytes !== this.#last) this.#blocks.push({ start: this.kernel.put(bytes), length: bytes.length });
    this.#last = bytes;
    return this.#blocks.at(-1)!.start;
  }

  release(): void {
    for (const { start, length } of this.#blocks) this.kernel.exports.release(start, length);
  }
}
