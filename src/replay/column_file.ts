import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { crc32 } from 'node:zlib';
import { Fault } from '../base/fault.ts';
import { countGarbage, giveBack } from '../base/garbage.ts';
import { isColumnar } from '../kernel/nested.ts';
import type { PackedLongs, PackedTexts, SweptRows } from '../kernel/swept.ts';
import { type FeatureColumn, isList, makeColumn, type ScalarValues } from '../kernel/feature_column.ts';
import type { Type } from '../plan/value.ts';
import { packLongs, packSizes, unpackLongs, unpackSizes } from './packed_longs.ts';
import { partOf } from './unfinished.ts';

/**
 * A column of the events of one type, one row for each event of the timelines, bad ones too: so columns join by position.
 *
 *     "TFC1" | size of the head | head      {"format":3,"type":{...},"rows":112987}
 *     block    rows | size | size packed | CRC of rows, size and what is packed | zstd
 *     ...      BLOCK_ROWS rows each, the last one fewer
 *     end      0 | CRC of the head and of all CRCs
 *
 * A block unpacked, numbers little-endian, each part at a multiple of 8:
 *
 *     flags                       which of the parts there are
 *     nulls                       a bit a row
 *     owned                       a bit a row: of a part of a column, the rows that it speaks of
 *     statuses                    a byte a row
 *     values                      doubles 8 bytes, bools one, int64 as packed_longs.ts has them; texts as their sizes and then their
 *                                 bytes; lists as their sizes and items
 *     errors                      rows and texts
 *
 * What stands under a null is 0, so equal columns are equal bytes.
 */
export const BLOCK_ROWS = 16_384;

const MAGIC = 0x31434654;
const FORMAT = 3;
const LEVEL = 1;
const HEAD_MAX_BYTES = 1 << 20;
/** More than any block has: texts of 16,384 rows of the greatest length do not fit in memory either. */
const BLOCK_MAX_BYTES = 1 << 30;

const HAS_OWNED = 1;
const HAS_STATUSES = 2;
const HAS_ERRORS = 4;

/** Errors of single values: rows of a block, ascending, and what is said of them. */
export interface RowErrors {
  rows: number[];
  texts: string[];
}

/** Some rows one behind the other. */
export interface Rows {
  column: FeatureColumn;
  errors: RowErrors;
  /** A byte a row, 1 where the part speaks of it; null where the column is whole. */
  owned: Uint8Array | null;
}

/** Writes a column under a name of its own, which it has once `finish` returns: whole or not at all. */
export class ColumnWriter {
  readonly #file: number;
  readonly #part: string;
  #isOpen = true;
  #pieces: FeatureColumn[] = [];
  #owned: Uint8Array[] = [];
  #errors: RowErrors = { rows: [], texts: [] };
  #blockRows = 0;
  #rows = 0;
  #crc = 0;

  constructor(
    private readonly path: string,
    readonly type: Type,
    private readonly wantedRows: number,
  ) {
    // Two may be making the same column at once: each has a file of its own, and either is right.
    this.#part = partOf(path);
    this.#file = openSync(this.#part, 'w');
    const head = Buffer.from(JSON.stringify({ format: FORMAT, type, rows: wantedRows }, digits));
    this.#crc = crc32(head);
    this.#write(u32s(MAGIC, head.length));
    this.#write(head);
  }

  /** Rows that the block at hand still takes: at most so many are added at a time. */
  get room(): number {
    return BLOCK_ROWS - this.#blockRows;
  }

  /** @param owned a byte a row, of a part of a column */
  add(column: FeatureColumn, owned: Uint8Array | null = null): void {
    this.#pieces.push(column);
    if (owned) this.#owned.push(owned);
    this.#blockRows += column.nulls.length;
    this.#rows += column.nulls.length;
    if (this.#blockRows === BLOCK_ROWS) this.#flush();
  }

  /** A whole block, or the last one. @param owned as `add` takes it */
  addBlock(rows: SweptRows, owned: Uint8Array | null = null): void {
    this.#blockRows += rows.nulls.length;
    this.#rows += rows.nulls.length;
    this.#flushRows(rows, owned);
  }

  /** Of the row that is `ahead` rows behind those that were added: before they are. */
  error(ahead: number, text: string): void {
    this.#errors.rows.push(this.#blockRows + ahead);
    this.#errors.texts.push(text);
  }

  /** Durable then, but for the folder. */
  finish(): void {
    if (this.#blockRows > 0) this.#flush();
    if (this.#rows !== this.wantedRows)
      throw new Error(`${this.path} is to have ${this.wantedRows} rows, and has ${this.#rows}`);
    this.#write(u32s(0, this.#crc));
    fsyncSync(this.#file);
    closeSync(this.#file);
    this.#isOpen = false;
    renameSync(this.#part, this.path);
  }

  /** Leaves nothing; what is finished stays. */
  abandon(): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
    rmSync(this.#part, { force: true });
  }

  #flush(): void {
    const size = this.#flushRows(joinColumns(this.#pieces, this.type), joinBytes(this.#owned));
    // What the rows were, and their parts.
    countGarbage(2 * size);
  }

  /** @returns what they take */
  #flushRows(rows: FeatureColumn | SweptRows, owned: Uint8Array | null): number {
    const plain = encodeRows(rows, this.#errors, owned);
    const packed = Bun.zstdCompressSync(plain, { level: LEVEL });
    const size = plain.length;
    giveBack(plain);
    const crc = crcOf(this.#blockRows, size, packed);
    this.#crc = crc32(u32s(crc), this.#crc);
    this.#write(u32s(this.#blockRows, size, packed.length, crc));
    this.#write(packed);
    giveBack(packed);
    this.#pieces = [];
    this.#owned = [];
    this.#errors = { rows: [], texts: [] };
    this.#blockRows = 0;
    return size;
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }
}

/** Several blocks of most columns: they are read with one call. */
const AHEAD_BYTES = 128 << 10;

/** Reads a column block by block. */
export class ColumnReader {
  readonly #file: number;
  /** Of the file: no size that it speaks of is believed beyond it. */
  readonly #size: number;
  #offset = 0;
  /** What was read of the file, from an offset of it on. */
  #ahead = new Uint8Array(0);
  /** Where it is read to. */
  #room = new Uint8Array(0);
  #aheadOffset = 0;
  #crc = 0;
  #read = 0;
  #skipped = false;
  readonly type: Type;
  readonly rows: number;
  /** The block at hand, and how many of its rows were taken. */
  #block: FeatureColumn | null = null;
  #taken = 0;

  /** @throws Fault `corrupt` where it is gone, or is not what was written */
  constructor(private readonly path: string) {
    this.#file = open(path);
    this.#size = fstatSync(this.#file).size;
    try {
      const [magic, size] = this.#words(2);
      if (magic !== MAGIC || size! > HEAD_MAX_BYTES) throw damaged(path, 0, 'no head of a column');
      const text = this.#bytes(size!);
      this.#crc = crc32(text);
      const head = headOf(Buffer.from(text).toString(), path);
      this.type = head.type;
      this.rows = head.rows;
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /** The next block; null behind the last one. */
  block(): Rows | null {
    const at = this.#offset;
    const next = this.#packed();
    if (!next) return null;
    const plain = Bun.zstdDecompressSync(next.packed);
    if (plain.length !== next.size) throw damaged(this.path, at, 'a block of another size');
    countGarbage(next.packed.length + 2 * plain.length);
    return decodeRows(plain, next.rows, this.type);
  }

  /** Reads the rest without unpacking it. @throws Fault `corrupt` */
  check(): void {
    while (this.#packed());
  }

  #packed(): { rows: number; size: number; packed: Uint8Array<ArrayBuffer> } | null {
    const at = this.#offset;
    const [rows] = this.#words(1);
    if (rows === 0) {
      const [crc] = this.#words(1);
      if (!this.#skipped && (crc !== this.#crc || this.#read !== this.rows))
        throw damaged(this.path, at, 'it lacks rows');
      return null;
    }
    const [size, packedSize, crc] = this.#words(3);
    if (rows! > BLOCK_ROWS || size! > BLOCK_MAX_BYTES || packedSize! > BLOCK_MAX_BYTES)
      throw damaged(this.path, at, 'no block of a column');
    const packed = this.#bytes(packedSize!);
    if (crcOf(rows!, size!, packed) !== crc) throw damaged(this.path, at, 'a wrong checksum');
    this.#crc = crc32(u32s(crc!), this.#crc);
    this.#read += rows!;
    return { rows: rows!, size: size!, packed };
  }

  /** The next `count` rows of a column of scalars, whatever the blocks. */
  take(count: number): FeatureColumn {
    const pieces: FeatureColumn[] = [];
    for (let wanted = count; wanted > 0; ) {
      if (!this.#block || this.#taken === this.#block.nulls.length) {
        const next = this.block();
        if (!next) throw damaged(this.path, this.#offset, `it has ${this.rows} rows, and more are asked for`);
        this.#block = next.column;
        this.#taken = 0;
      }
      const to = Math.min(this.#taken + wanted, this.#block.nulls.length);
      pieces.push(sliceColumn(this.#block, this.#taken, to));
      wanted -= to - this.#taken;
      this.#taken = to;
    }
    return joinColumns(pieces, this.type);
  }

  /** Passes over rows: whole blocks of them are not unpacked. */
  skip(count: number): void {
    let left = count;
    while (left >= BLOCK_ROWS && !this.#block) {
      const [rows, , packedSize] = this.#words(4);
      if (rows !== BLOCK_ROWS)
        throw damaged(this.path, this.#offset, `${count} rows are passed over, and it has fewer`);
      this.#offset += packedSize!;
      this.#skipped = true;
      left -= rows;
    }
    if (left > 0) this.take(left);
  }

  close(): void {
    closeSync(this.#file);
  }

  #words(count: number): Uint32Array {
    return new Uint32Array(this.#bytes(count * 4).slice().buffer);
  }

  /** Good until the next ones are asked for. */
  #bytes(size: number): Uint8Array<ArrayBuffer> {
    if (this.#offset + size > this.#size) throw damaged(this.path, this.#offset, 'it is cut off');
    if (this.#offset + size > this.#aheadOffset + this.#ahead.length) this.#readAhead(size);
    const at = this.#offset - this.#aheadOffset;
    this.#offset += size;
    return this.#ahead.subarray(at, at + size);
  }

  #readAhead(wanted: number): void {
    const size = Math.min(Math.max(wanted, AHEAD_BYTES), this.#size - this.#offset);
    if (size > this.#room.length) this.#room = new Uint8Array(size);
    const bytes = this.#room.subarray(0, size);
    for (let at = 0; at < size; ) {
      const read = readSync(this.#file, bytes, at, size - at, this.#offset + at);
      if (read === 0) throw damaged(this.path, this.#offset, 'it is cut off');
      at += read;
    }
    this.#ahead = bytes;
    this.#aheadOffset = this.#offset;
  }
}

/** Reads all of a column, block by block, without unpacking it. @throws Fault `corrupt` */
export function checkColumn(path: string): void {
  const reader = new ColumnReader(path);
  try {
    reader.check();
  } finally {
    reader.close();
  }
}

/** The cache believes a file that is as it was when it was whole: from now on this one is not, under whatever name it is there. */
function distrust(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch (error) {
    // Of one that is not ours to change all that can be done is to tell.
    if (!['EPERM', 'EACCES', 'EROFS', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function crcOf(rows: number, size: number, packed: Uint8Array): number {
  return crc32(packed, crc32(u32s(rows, size)));
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Fault('corrupt', `${path} is gone`);
    throw error;
  }
}

function headOf(text: string, path: string): { type: Type; rows: number } {
  let head: { format: number; type: Type; rows: number };
  try {
    head = JSON.parse(text) as typeof head;
  } catch {
    throw damaged(path, 0, 'no head of a column');
  }
  if (head.format !== FORMAT)
    throw new Fault('unsupported', `${path} is a column of format ${head.format}; this version reads format ${FORMAT}`);
  return head;
}

function damaged(path: string, offset: number, what: string): Fault {
  distrust(path);
  return new Fault('corrupt', `${path} is damaged at byte ${offset}: ${what}`);
}

/** Types hold literals of int64 where inputs have defaults; nobody reads those of a column. */
function digits(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

function u32s(...words: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(words).buffer);
}

/** Parts of a block, each at a multiple of 8. */
class Parts {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  add(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    const rest = this.#length % 8;
    if (rest === 0) return;
    this.#parts.push(new Uint8Array(8 - rest));
    this.#length += 8 - rest;
  }

  joined(): Uint8Array<ArrayBuffer> {
    return joinBytes(this.#parts) ?? new Uint8Array(0);
  }
}

function encodeRows(
  { nulls, statuses, values }: FeatureColumn | SweptRows,
  errors: RowErrors,
  owned: Uint8Array | null,
): Uint8Array<ArrayBuffer> {
  const parts = new Parts();
  const hasStatuses = hasAny(statuses);
  const hasErrors = errors.rows.length > 0;
  parts.add(u32s((owned ? HAS_OWNED : 0) | (hasStatuses ? HAS_STATUSES : 0) | (hasErrors ? HAS_ERRORS : 0)));
  parts.add(bitsOf(nulls));
  if (owned) parts.add(bitsOf(owned));
  if (hasStatuses) parts.add(statuses);
  if ('listSizes' in values) {
    parts.add(values.listSizes);
    // None of its items is null.
    parts.add(new Uint8Array(Math.ceil(values.count / 8)));
    addScalars(parts, values.items, null);
  } else if (!('offsets' in values)) addScalars(parts, values, nulls);
  else {
    const { offsets, items, itemNulls, mapped } = values;
    const count = offsets[nulls.length]!;
    addEnds(parts, offsets.subarray(0, nulls.length + 1));
    parts.add(bitsOf(itemNulls.subarray(0, count)));
    // Under a null key of a map nothing is mapped, so only items of lists may be null.
    addScalars(parts, headOfValues(items, count), mapped ? null : itemNulls);
    if (mapped) addScalars(parts, mapped.subarray(0, count), itemNulls);
  }
  if (hasErrors) {
    parts.add(u32s(errors.rows.length));
    parts.add(viewOf(Uint32Array.from(errors.rows)));
    addTexts(parts, errors.texts, null);
  }
  return parts.joined();
}

function headOfValues(items: ScalarValues, count: number): ScalarValues {
  return Array.isArray(items) ? items.slice(0, count) : items.subarray(0, count);
}

/** What is null is 0. */
function addScalars(parts: Parts, values: ScalarValues | PackedTexts | PackedLongs, nulls: Uint8Array | null): void {
  if (Array.isArray(values)) {
    addTexts(parts, values, nulls);
    return;
  }
  if ('sizes' in values) {
    parts.add(values.sizes);
    parts.add(values.bytes);
    return;
  }
  if ('packed' in values) parts.add(values.packed);
  else if (values instanceof BigInt64Array) for (const piece of packLongs(values, nulls)) parts.add(piece);
  else parts.add(viewOf(nulls && hasAny(nulls) ? withoutNulls(values, nulls) : values));
}

function withoutNulls<T extends Float64Array | Uint8Array>(values: T, nulls: Uint8Array): T {
  const plain = values.slice() as T;
  for (let i = 0; i < plain.length; i++) if (nulls[i]) plain[i] = 0;
  return plain;
}

function hasAny(flags: Uint8Array): boolean {
  const { buffer, byteOffset, length } = flags;
  // Four at a time, where they stand so.
  const wordCount = byteOffset % 4 === 0 ? length >> 2 : 0;
  const words = new Uint32Array(buffer, wordCount === 0 ? 0 : byteOffset, wordCount);
  for (let i = 0; i < wordCount; i++) if (words[i] !== 0) return true;
  for (let i = wordCount * 4; i < length; i++) if (flags[i] !== 0) return true;
  return false;
}

function addEnds(parts: Parts, ends: Uint32Array): void {
  parts.add(packSizes(ends));
}

function addTexts(parts: Parts, texts: string[], nulls: Uint8Array | null): void {
  const ends = new Uint32Array(texts.length + 1);
  const all = texts.map((text, i) => (nulls?.[i] ? '' : text));
  const bytes = ENCODER.encode(all.join(''));
  let size = 0;
  for (const [i, text] of all.entries()) {
    size += Buffer.byteLength(text);
    ends[i + 1] = size;
  }
  addEnds(parts, ends);
  parts.add(bytes);
}

const ENCODER = new TextEncoder();
/** A text may well begin with what looks like a byte order mark. */
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function bitsOf(flags: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(flags.length / 8));
  if (!hasAny(flags)) return bits;
  for (let i = 0; i < flags.length; i++) if (flags[i]) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

/** The parts of a block, in the order in which they were added. */
class Cursor {
  #at = 0;

  constructor(private readonly bytes: Uint8Array<ArrayBuffer>) {}

  take(size: number): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.subarray(this.#at, this.#at + size);
    this.#at += Math.ceil(size / 8) * 8;
    return taken;
  }

  words(count: number): Uint32Array {
    const { buffer, byteOffset } = this.take(count * 4);
    return new Uint32Array(buffer, byteOffset, count);
  }

  flags(count: number): Uint8Array {
    const bits = this.take(Math.ceil(count / 8));
    const flags = new Uint8Array(count);
    for (let i = 0; i < count; i++) flags[i] = (bits[i >> 3]! >> (i & 7)) & 1;
    return flags;
  }

  /** Of things of so many sizes, one behind the other: where each begins, and where the last one ends. */
  ends(count: number): Uint32Array {
    return unpackSizes(size => this.take(size), count);
  }

  texts(count: number): string[] {
    const ends = this.ends(count);
    const bytes = this.take(ends[count]!);
    return Array.from({ length: count }, (_, i) => DECODER.decode(bytes.subarray(ends[i]!, ends[i + 1]!)));
  }

  scalars(like: ScalarValues, count: number): ScalarValues {
    if (Array.isArray(like)) return this.texts(count);
    if (like instanceof BigInt64Array) return unpackLongs(size => this.take(size), count);
    const { buffer, byteOffset } = this.take(count * like.BYTES_PER_ELEMENT);
    if (like instanceof Float64Array) return new Float64Array(buffer, byteOffset, count);
    return new Uint8Array(buffer, byteOffset, count);
  }
}

function decodeRows(plain: Uint8Array, rows: number, type: Type): Rows {
  // Views of 8 bytes want an address that is a multiple of 8.
  const cursor = new Cursor(plain.byteOffset % 8 === 0 ? (plain as Uint8Array<ArrayBuffer>) : plain.slice());
  const [flags] = cursor.words(1);
  const nulls = cursor.flags(rows);
  const owned = flags! & HAS_OWNED ? cursor.flags(rows) : null;
  const statuses = flags! & HAS_STATUSES ? cursor.take(rows) : new Uint8Array(rows);
  const column = makeColumn({ name: '', type }, 0);
  Object.assign(column, { nulls, statuses, values: valuesOf(cursor, column.values, rows) });
  const errors: RowErrors = { rows: [], texts: [] };
  if (flags! & HAS_ERRORS) readErrors(cursor, errors);
  // What no column holds as such has a JSON text where it is null, too.
  if (!isColumnar(type)) nullTexts(column);
  return { column, owned, errors };
}

function valuesOf(cursor: Cursor, like: FeatureColumn['values'], rows: number): FeatureColumn['values'] {
  if (!isList(like)) return cursor.scalars(like, rows);
  const offsets = cursor.ends(rows);
  const count = offsets[rows]!;
  const itemNulls = cursor.flags(count);
  const items = cursor.scalars(like.items, count);
  if (!like.mapped) return { offsets, items, itemNulls };
  return { offsets, items, itemNulls, mapped: cursor.scalars(like.mapped, count) as BigInt64Array };
}

function readErrors(cursor: Cursor, errors: RowErrors): void {
  const [count] = cursor.words(1);
  errors.rows = Array.from(cursor.words(count!));
  errors.texts = cursor.texts(count!);
}

function nullTexts({ values, nulls }: FeatureColumn): void {
  const texts = values as string[];
  for (let i = 0; i < texts.length; i++) if (nulls[i]) texts[i] = 'null';
}

/** Rows [from, to) of a column of scalars, as views. */
function sliceColumn(column: FeatureColumn, from: number, to: number): FeatureColumn {
  const values = column.values as ScalarValues;
  return {
    ...column,
    values: Array.isArray(values) ? values.slice(from, to) : values.subarray(from, to),
    nulls: column.nulls.subarray(from, to),
    statuses: column.statuses.subarray(from, to),
  };
}

/** Columns of one type, one behind the other. */
export function joinColumns(pieces: FeatureColumn[], type: Type): FeatureColumn {
  if (pieces.length === 1) return pieces[0]!;
  const rows = pieces.reduce((sum, { nulls }) => sum + nulls.length, 0);
  const all = makeColumn({ name: pieces[0]?.name ?? '', type }, rows);
  all.nulls = joinBytes(pieces.map(({ nulls }) => nulls)) ?? new Uint8Array(0);
  all.statuses = joinBytes(pieces.map(({ statuses }) => statuses)) ?? new Uint8Array(0);
  if (!isList(all.values)) {
    all.values = joinScalars(
      pieces.map(({ values }) => values as ScalarValues),
      all.values,
    );
    return all;
  }
  const lists = pieces.map(({ values }) => values).filter(isList);
  let [row, end] = [0, 0];
  for (const [i, { offsets }] of lists.entries()) {
    const count = pieces[i]!.nulls.length;
    for (let k = 0; k < count; k++) all.values.offsets[row + k + 1] = end + offsets[k + 1]!;
    row += count;
    end += offsets[count]!;
  }
  const counts = lists.map(({ offsets }, i) => offsets[pieces[i]!.nulls.length]!);
  all.values.items = joinScalars(
    lists.map(({ items }, i) => headOfValues(items, counts[i]!)),
    all.values.items,
  );
  all.values.itemNulls =
    joinBytes(lists.map(({ itemNulls }, i) => itemNulls.subarray(0, counts[i]!))) ?? new Uint8Array(0);
  if (all.values.mapped)
    all.values.mapped = joinScalars(
      lists.map(({ mapped }, i) => mapped!.subarray(0, counts[i]!)),
      all.values.mapped,
    ) as BigInt64Array;
  return all;
}

/** As bytes, so that a NaN stays the NaN that it is. */
function joinScalars(pieces: ScalarValues[], like: ScalarValues): ScalarValues {
  if (Array.isArray(like)) return (pieces as string[][]).flat();
  const bytes = joinBytes((pieces as Exclude<ScalarValues, string[]>[]).map(viewOf)) ?? new Uint8Array(0);
  const { buffer } = bytes;
  if (like instanceof BigInt64Array) return new BigInt64Array(buffer);
  if (like instanceof Float64Array) return new Float64Array(buffer);
  return bytes;
}

/** Null where there is nothing to join. */
function joinBytes(pieces: Uint8Array[]): Uint8Array<ArrayBuffer> | null {
  if (pieces.length === 0) return null;
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
