/**
 * A column that was swept portion by portion: what each portion has of it waits in a file, stretch by stretch, and all are read at once to put the
 * rows in their order (assembly/weave.ts). In the file a stretch stands behind its size and its CRC, u32 each.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { SweptRows } from '../kernel/swept.ts';
import { startWeaving, stretchesOf, weave } from '../kernel/weave.ts';
import type { Type } from '../plan/value.ts';
import { Scratch } from './scratch.ts';

/** Of one portion: more is not read any faster. */
const STRETCH_MAX_BYTES = 64 << 10;
const HEAD_BYTES = 8;

/** What one portion has of a column, from an offset of the file on. */
interface Portion {
  offset: number;
  stretchCount: number;
  /** Of the stretch that comes next, once it was looked at. */
  size: number;
  crc: number;
}

export class Woven {
  readonly #file: Scratch;
  readonly #portions: Portion[];
  readonly #stretchBytes: number;
  readonly #head = new Uint8Array(HEAD_BYTES);
  readonly #headView = new DataView(this.#head.buffer);

  /** @param memoryBytes for stretches, of all portions at once: spread out they take about twice as much */
  constructor(
    path: string,
    private readonly type: Type,
    portions: number,
    memoryBytes: number,
  ) {
    this.#file = new Scratch(path);
    this.#portions = Array.from({ length: portions }, () => ({ offset: 0, stretchCount: 0, size: 0, crc: 0 }));
    this.#stretchBytes = Math.min(STRETCH_MAX_BYTES, Math.floor(memoryBytes / portions));
  }

  /** The column that was swept last, of a portion. */
  add(kernel: Kernel, index: number, rows: number): void {
    const portion = this.#portions[index]!;
    portion.offset = this.#file.size;
    for (const { bytes } of stretchesOf(kernel, this.type, rows, this.#stretchBytes)) {
      this.#headView.setUint32(0, bytes.length, true);
      this.#headView.setUint32(4, crc32(bytes), true);
      this.#file.append(this.#head);
      this.#file.append(bytes);
      portion.stretchCount++;
    }
  }

  /** All portions are there: their rows come next. */
  start(kernel: Kernel): void {
    startWeaving(kernel, this.type, this.#portions.length);
  }

  /** The next rows, each from the portion that owns it. @param owners fills bytes with those of the rows */
  next(kernel: Kernel, rows: number, owners: (into: Uint8Array) => void): SweptRows {
    const sizeOf = (portion: number) => this.#sizeOf(this.#portions[portion]!);
    const read = (portion: number, into: Uint8Array) => this.#read(this.#portions[portion]!, into);
    return weave(kernel, this.type, rows, { owners, sizeOf, read });
  }

  /** All rows were asked for: one that is left over has pushed others out of their places. */
  end({ exports }: Kernel): void {
    const isRead = this.#portions.every(({ stretchCount }) => stretchCount === 0);
    assert(isRead && exports.isWovenUp(this.#portions.length) !== 0, 'a portion has no rows but those that it owns');
  }

  #sizeOf(portion: Portion): number {
    assert(portion.stretchCount > 0, 'a portion has a row for each that it owns');
    portion.stretchCount--;
    this.#file.read(portion.offset, this.#head);
    portion.offset += HEAD_BYTES;
    portion.size = this.#headView.getUint32(0, true);
    portion.crc = this.#headView.getUint32(4, true);
    // No size is believed that the file has not.
    this.#file.need(portion.offset, portion.size);
    return portion.size;
  }

  #read(portion: Portion, into: Uint8Array): void {
    this.#file.read(portion.offset, into);
    this.#file.check(portion.offset, into, portion.crc);
    portion.offset += portion.size;
  }

  close(): void {
    this.#file.close();
  }
}
