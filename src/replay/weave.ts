/**
 * A column that was swept portion by portion: what each portion has of it waits in a file, a stretch of rows after the other, and all are read at once to
 * put the rows in their order. A stretch, whose parts are as SweptRows has them:
 *
 *     list ends    u32, of lists only
 *     text ends    u32, of texts only
 *     items        8 bytes each, of bools one; or the bytes of texts; integers as packed_longs.ts has them, but those of lists
 *     nulls        a byte a row
 *     statuses     a byte a row
 */
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { countGarbage } from '../base/garbage.ts';
import { Growing } from '../base/growing.ts';
import type { Kernel } from '../kernel/instance.ts';
import { type PackedValues, type SweptRows, sweptRows } from '../kernel/swept.ts';
import { itemType } from '../kernel/feature_column.ts';
import { STATUS } from '../kernel/window.ts';
import type { Type } from '../plan/value.ts';
import { unpackLongs } from './packed_longs.ts';
import { Scratch } from './scratch.ts';

/** Read at a time, of each portion: of a thousand portions some megabytes are in memory. */
const STRETCH_ROWS = 512;

/** What one portion has of a column. */
interface Portion {
  rows: number;
  offset: number;
  stretches: { size: number; crc: number }[];
}

export class Woven {
  readonly #file: Scratch;
  readonly #shape: Shape;
  readonly #portions: Portion[] = [];
  /** While it is put together. */
  #loom: { readers: Reader[]; block: Block } | null = null;

  constructor(
    path: string,
    private readonly type: Type,
  ) {
    this.#file = new Scratch(path);
    this.#shape = shapeOf(type);
  }

  /** The column that was swept last, of the next portion. */
  add(kernel: Kernel, rows: number): void {
    const portion: Portion = { rows, offset: this.#file.size, stretches: [] };
    for (let from = 0; from < rows; from += STRETCH_ROWS) {
      const bytes = Buffer.concat(partsOf(sweptRows(kernel, this.type, from, Math.min(rows, from + STRETCH_ROWS))));
      const { size } = this.#file.append(bytes);
      portion.stretches.push({ size, crc: crc32(bytes) });
      countGarbage(2 * size);
    }
    this.#portions.push(portion);
  }

  /** The next rows, each from the portion that owns it; of others it says only whether they are blank. They hold until the next ones are asked for. */
  next(owners: Uint16Array, blank: number): SweptRows {
    this.#loom ??= {
      readers: this.#portions.map(portion => new Reader(this.#file, this.#shape, portion)),
      block: new Block(this.type, this.#shape),
    };
    const { readers, block } = this.#loom;
    block.start(owners.length);
    for (let row = 0; row < owners.length; row++) {
      const reader = readers[owners[row]!];
      if (reader) block.take(row, reader, reader.next());
      else block.leave(row, owners[row] === blank);
    }
    return block.rows();
  }

  close(): void {
    this.#loom = null;
    this.#file.close();
  }
}

interface Shape {
  isList: boolean;
  isText: boolean;
  /** Integers, one a row. */
  isPacked: boolean;
  /** Bytes of an item that is no text. */
  width: 1 | 8;
}

function shapeOf(type: Type): Shape {
  const isList = type.kind === 'list';
  const { kind } = isList ? itemType(type) : type;
  const isText = kind === 'string';
  const isPacked = !isList && !isText && kind !== 'double' && kind !== 'bool';
  return { isList, isText, isPacked, width: kind === 'bool' ? 1 : 8 };
}

function partsOf({ values, nulls, statuses }: SweptRows): Uint8Array[] {
  return [...valueParts(values), nulls, statuses];
}

function valueParts(values: PackedValues): Uint8Array[] {
  if ('offsets' in values) return [viewOf(values.offsets), ...valueParts(values.items)];
  if ('ends' in values) return [viewOf(values.ends), values.bytes];
  if ('packed' in values) return [values.packed];
  return [viewOf(values)];
}

function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Reads what a portion has row by row. */
class Reader {
  /** Of the stretch at hand. */
  nulls = NONE;
  statuses = NONE;
  items = NONE;
  listEnds: Uint32Array | null = null;
  textEnds: Uint32Array | null = null;
  #rows = 0;
  #at = 0;
  #stretch = 0;
  #left: number;
  #offset: number;

  constructor(
    private readonly file: Scratch,
    private readonly shape: Shape,
    private readonly portion: Portion,
  ) {
    this.#left = portion.rows;
    this.#offset = portion.offset;
  }

  /** The index of its next row in the stretch at hand. */
  next(): number {
    if (this.#at === this.#rows) this.#read();
    return this.#at++;
  }

  #read(): void {
    const stretch = this.portion.stretches[this.#stretch++];
    assert(stretch, 'a portion has a row for each that it owns');
    const { size, crc } = stretch;
    const bytes = new Uint8Array(size);
    this.file.read(this.#offset, bytes);
    this.file.check(this.#offset, bytes, crc);
    this.#offset += size;
    this.#rows = Math.min(STRETCH_ROWS, this.#left);
    this.#left -= this.#rows;
    this.#at = 0;
    this.#take(bytes, this.#rows);
    countGarbage(size + (this.shape.isPacked ? this.items.length : 0));
  }

  #take(bytes: Uint8Array<ArrayBuffer>, rows: number): void {
    const { isList, isText, isPacked } = this.shape;
    let at = 0;
    const take = (size: number) => {
      at += size;
      return bytes.subarray(at - size, at);
    };
    const ends = (count: number) => {
      const { buffer, byteOffset } = take((count + 1) * 4);
      return new Uint32Array(buffer, byteOffset, count + 1);
    };
    this.listEnds = isList ? ends(rows) : null;
    const count = this.listEnds?.[rows] ?? rows;
    this.textEnds = isText ? ends(count) : null;
    this.items = isPacked ? viewOf(unpackLongs(take, count)) : bytes.subarray(at, bytes.length - 2 * rows);
    this.nulls = bytes.subarray(bytes.length - 2 * rows, bytes.length - rows);
    this.statuses = bytes.subarray(bytes.length - rows);
  }
}

const NONE: Uint8Array = new Uint8Array(0);
const NOT_FOUND = STATUS.indexOf('NOT_FOUND');

/** Rows that are put together, in room that is used again for the next ones. */
class Block {
  #nulls = NONE;
  #statuses = NONE;
  #listEnds: Uint32Array | null = null;
  readonly #textEnds: number[] = [];
  readonly #items = new Growing();
  #count = 0;

  constructor(
    private readonly type: Type,
    private readonly shape: Shape,
  ) {}

  start(rows: number): void {
    if (this.#nulls.length !== rows) {
      this.#nulls = new Uint8Array(rows);
      this.#statuses = new Uint8Array(rows);
      this.#listEnds = this.shape.isList ? new Uint32Array(rows + 1) : null;
    }
    this.#textEnds.length = 0;
    this.#textEnds.push(0);
    this.#items.length = this.#count = 0;
  }

  take(row: number, from: Reader, index: number): void {
    this.#nulls[row] = from.nulls[index]!;
    this.#statuses[row] = from.statuses[index]!;
    const { listEnds } = from;
    const [first, end] = listEnds ? [listEnds[index]!, listEnds[index + 1]!] : [index, index + 1];
    for (let item = first; item < end; item++) this.#add(from, item);
    if (this.#listEnds) this.#listEnds[row + 1] = this.#count;
  }

  /** Null, of nobody. */
  leave(row: number, isBlank: boolean): void {
    this.#nulls[row] = 1;
    this.#statuses[row] = isBlank ? NOT_FOUND : 0;
    if (this.#listEnds) this.#listEnds[row + 1] = this.#count;
    else if (this.shape.isText) this.#textEnds.push(this.#items.length);
    else this.#items.copy(ZERO, 0, this.shape.width);
  }

  #add({ items, textEnds }: Reader, item: number): void {
    const { width } = this.shape;
    if (textEnds) {
      this.#items.copy(items, textEnds[item]!, textEnds[item + 1]!);
      this.#textEnds.push(this.#items.length);
    } else this.#items.copy(items, item * width, (item + 1) * width);
    this.#count++;
  }

  rows(): SweptRows {
    const { type } = this;
    const bytes = this.#items.bytes.subarray(0, this.#items.length);
    const items = this.shape.isText
      ? { ends: Uint32Array.from(this.#textEnds), bytes }
      : wordsOf(this.#listEnds ? itemType(type) : type, bytes);
    // The writer makes as much of it as it is, before it is packed.
    countGarbage(bytes.length + 4 * this.#textEnds.length + this.#count);
    const offsets = this.#listEnds;
    const values = offsets ? { offsets, items, itemNulls: new Uint8Array(this.#count) } : items;
    return { values, nulls: this.#nulls, statuses: this.#statuses };
  }
}

const ZERO = new Uint8Array(8);

function wordsOf({ kind }: Type, bytes: Uint8Array<ArrayBuffer>): BigInt64Array | Float64Array | Uint8Array {
  const { buffer, byteOffset, byteLength } = bytes;
  if (kind === 'bool') return bytes;
  return new (kind === 'double' ? Float64Array : BigInt64Array)(buffer, byteOffset, byteLength / 8);
}
