import type { Type } from '../plan/value.ts';
import type { Kernel } from './instance.ts';
import { itemType, type ListValues, type ScalarValues } from './feature_column.ts';

/** Texts one behind the other: the i-th is bytes [ends[i], ends[i + 1]). */
export interface PackedTexts {
  ends: Uint32Array;
  bytes: Uint8Array;
}

/** Integers in few bytes, as src/replay/packed_longs.ts has them. */
export interface PackedLongs {
  packed: Uint8Array;
}

/** As a FeatureColumn has values, but for texts and integers. */
export type PackedValues = Exclude<ScalarValues, string[]> | PackedTexts | PackedList | PackedLongs;
export type PackedList = Omit<ListValues, 'items' | 'mapped'> & {
  items: Exclude<ScalarValues, string[]> | PackedTexts;
};

/** Rows of a column as column files take them. */
export interface SweptRows {
  values: PackedValues;
  nulls: Uint8Array;
  /** Index into STATUS. */
  statuses: Uint8Array;
}

/** Rows [from, to) of the column that was swept last: views of what the kernel has, until it is asked for others. */
export function sweptRows(kernel: Kernel, type: Type, from: number, to: number): SweptRows {
  const { exports } = kernel;
  const values = valuesOf(kernel, type, from, to);
  const bytes = (start: number) => kernel.bytes(start + from, to - from);
  return { values, nulls: bytes(exports.sweptNulls()), statuses: bytes(exports.sweptStatuses()) };
}

function valuesOf(kernel: Kernel, type: Type, from: number, to: number): PackedValues {
  const { exports } = kernel;
  if (type.kind === 'list') return listsOf(kernel, itemType(type), from, to);
  if (type.kind === 'string') return textsOf(kernel, to - from, exports.packSweptTexts(from, to) >>> 0);
  if (type.kind === 'double' || type.kind === 'bool')
    return wordsOf(kernel, type, exports.sweptValues() + from * 8, to - from);
  const size = exports.packSweptLongs(from, to) >>> 0;
  return { packed: kernel.bytes(exports.packedSweptStart(), size) };
}

function listsOf(kernel: Kernel, type: Type, from: number, to: number): PackedList {
  const { exports } = kernel;
  const count = exports.packSweptLists(from, to) >>> 0;
  const offsets = wordsAt(kernel, exports.packedListEnds(), to - from + 1);
  const ends = type.kind === 'string' ? wordsAt(kernel, exports.packedTextEnds(), count + 1) : null;
  const items = ends ? textsOf(kernel, count, ends[count]!) : wordsOf(kernel, type, exports.packedSweptStart(), count);
  return { offsets, items, itemNulls: new Uint8Array(count) };
}

function textsOf(kernel: Kernel, count: number, size: number): PackedTexts {
  const { exports } = kernel;
  const ends = wordsAt(kernel, exports.packedTextEnds(), count + 1);
  return { ends, bytes: kernel.bytes(exports.packedSweptStart(), size) };
}

function wordsAt(kernel: Kernel, start: number, count: number): Uint32Array {
  const { buffer, byteOffset } = kernel.ints(start, count);
  return new Uint32Array(buffer, byteOffset, count);
}

function wordsOf(kernel: Kernel, type: Type, start: number, count: number): Exclude<ScalarValues, string[]> {
  if (type.kind === 'double') return kernel.doubles(start, count);
  if (type.kind !== 'bool') return kernel.longs(start, count);
  const words = kernel.ints(start, count * 2);
  return Uint8Array.from({ length: count }, (_, i) => words[i * 2]!);
}
