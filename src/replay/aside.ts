/**
 * What a sweep has gathered and memory has no room for, put aside in files until everything is gathered:
 *
 *   1. make room   when the room for steps is full, what there is is cut by portions of all keys, and goes to a file
 *   2. portions    one after the other made into strands again, to be swept
 *   3. owners      of each row which portion has it: so columns are put together again (replay/weave.ts)
 *
 * A portion has to fit into memory, and so has its most frequent key.
 */
import { crc32 } from 'node:zlib';
import { countGarbage } from '../base/garbage.ts';
import type { Kernel } from '../kernel/instance.ts';
import { assemble, cut, type Piece, type Waiting } from '../kernel/piece.ts';
import type { Strands } from '../kernel/strand.ts';
import { Scratch } from './scratch.ts';

export interface AsideParts {
  kernel: Kernel;
  strands: Strands;
  /** Of the files. */
  path: string;
  /** For strands, and a column that is swept. */
  memoryBytes: number;
  /** Of each row, in the column that takes most, and beside it. */
  rowBytes: number;
  /** Events that will be gathered, at most. */
  events: number;
}

/** Of the memory: the rest is for keys that are more or longer than usual. */
const STEPS_SHARE = 0.9;
/** A row for which there is no step has its value in the column all the same: value 8, null, status. */
const ROW_ALONE_BYTES = 10;
/** For a key, where one in some steps is a new one. */
const KEY_BYTES = 8;
/** A piece, while it is packed, has so much of the steps of a cut. */
const PIECE_SHARE = 1 / 3;
/** Of the room for steps, a portion has so much as a rule: what frequent keys have comes beside it. */
const PORTION_SHARE = 1 / 2;

export class Aside {
  readonly #parts: AsideParts;
  /** Steps for which there is room. */
  readonly #stepsMax: number;
  #files: { pieces: Scratch; owners: Scratch } | null = null;
  /** 0 until something is put aside. */
  #portions = 0;
  #waiting: (Waiting & { strand: number; portion: number })[] = [];

  /** Before anything is gathered. */
  constructor(parts: AsideParts) {
    this.#parts = parts;
    const { exports } = parts.kernel;
    const step = exports.stepBytes() * (1 + PIECE_SHARE) + exports.CUT_STEP_BYTES.value + KEY_BYTES;
    const row = parts.rowBytes + exports.CUT_ROW_BYTES.value;
    this.#stepsMax = Math.floor((parts.memoryBytes * STEPS_SHARE) / (step + row));
    parts.strands.reserve(Math.min(this.#stepsMax, parts.events));
  }

  /** Once something was put aside. */
  get portionCount(): number {
    return this.#portions;
  }

  get isUsed(): boolean {
    return this.#portions > 0;
  }

  /** Whether there is so little room that no number of portions will do: nothing is put aside then. */
  get isHopeless(): boolean {
    return this.#portions > this.#parts.kernel.exports.PORTIONS_MAX.value;
  }

  /** Whether there is room for another batch. */
  get isFull(): boolean {
    const { kernel, strands, rowBytes, memoryBytes } = this.#parts;
    const { exports } = kernel;
    const steps = exports.stepCount() >>> 0;
    const batch = Math.min(exports.BATCH_ROWS.value, this.#stepsMax / 2);
    if (steps > this.#stepsMax - batch) return true;
    const alone = Math.max(0, (exports.rowCount() >>> 0) - steps);
    return strands.bytesWith(batch) + steps * rowBytes + alone * ROW_ALONE_BYTES > memoryBytes;
  }

  /**
   * Puts aside what was gathered.
   *
   * @param events that were, since the beginning
   * @param owned of each row since the last time 1 where it is for this job to say; null where all are
   */
  put(events: number, owned: Uint8Array | null): void {
    const { kernel, strands, path } = this.#parts;
    this.#portions ||= this.#portionsFor(events);
    if (this.isHopeless) return;
    this.#files ??= { pieces: new Scratch(`${path}.pieces`), owners: new Scratch(`${path}.owners`) };
    const { pieces, owners } = this.#files;
    const found = cut(kernel, strands, this.#portions, owned, piece => this.#wait(pieces, piece));
    owners.append(found);
    countGarbage(found.length);
  }

  #portionsFor(events: number): number {
    const { kernel, events: all } = this.#parts;
    // Where nothing was gathered there may be something yet.
    const steps = (Math.max(kernel.exports.stepCount() >>> 0, 1) * all) / Math.max(events, 1);
    return Math.max(1, Math.ceil(steps / (this.#stepsMax * PORTION_SHARE)));
  }

  #wait(file: Scratch, { strand, portion, bytes, headSize }: Piece): void {
    const { offset, size } = file.append(bytes);
    const crcs = new Map([headSize, size].map(length => [length, crc32(bytes.subarray(0, length))]));
    const read = (into: Uint8Array) => {
      file.read(offset, into);
      file.check(offset, into, crcs.get(into.length)!);
    };
    this.#waiting.push({ strand, portion, size, headSize, read });
  }

  /**
   * Each portion, whose strands stand in the kernel until the next one; null, as the last one, of one that has no room. The largest
   * comes first: what grows for it is large enough for the others.
   */
  *portions(): Generator<{ index: number; rows: number } | null> {
    const { kernel, strands } = this.#parts;
    const of = Map.groupBy(this.#waiting, ({ strand, portion }) => `${strand} ${portion}`);
    const rowsOf = (portion: number) => kernel.exports.rowsOfPortion(portion) >>> 0;
    const order = Array.from({ length: this.#portions }, (_, index) => index).sort((a, b) => rowsOf(b) - rowsOf(a));
    for (const index of order) {
      for (const strand of strands.indices) {
        const pieces = of.get(`${strand} ${index}`) ?? [];
        if (!assemble(kernel, strand, index, pieces, this.#stepsMax)) {
          yield null;
          return;
        }
      }
      yield { index, rows: rowsOf(index) };
    }
  }

  /** Of the rows from there on, u16 each. */
  owners(from: number, into: Uint8Array): void {
    this.#files!.owners.read(from * 2, into);
  }

  close(): void {
    this.#files?.pieces.close();
    this.#files?.owners.close();
  }
}
