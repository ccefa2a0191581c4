import type { Type } from '../plan/value.ts';
import type { Kernel } from './instance.ts';
import { itemType, type ScalarValues } from './feature_column.ts';

/** Texts one behind the other, and their sizes as src/replay/packed_longs.ts has them. */
export interface PackedTexts {
  sizes: Uint8Array;
  bytes: Uint8Array;
}

/** Lists that have so many items, none of them null, and how many each has: likewise. */
export interface PackedList {
  listSizes: Uint8Array;
  count: number;
  items: Exclude<ScalarValues, string[]> | PackedTexts;
}

/** Integers in few bytes, as src/replay/packed_longs.ts has them. */
export interface PackedLongs {
  packed: Uint8Array;
}

/** As a FeatureColumn has values, but for texts and integers. */
export type PackedValues = Exclude<ScalarValues, string[]> | PackedTexts | PackedList | PackedLongs;
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
  if (type.kind === 'string') {
    exports.packSweptTexts(from, to);
    return textsOf(kernel);
  }
  if (type.kind === 'double' || type.kind === 'bool')
    return wordsOf(kernel, type, exports.sweptValues() + from * 8, to - from);
  const size = exports.packSweptLongs(from, to) >>> 0;
  return { packed: kernel.bytes(exports.packedSweptStart(), size) };
}

function listsOf(kernel: Kernel, type: Type, from: number, to: number): PackedList {
  const { exports } = kernel;
  const count = exports.packSweptLists(from, to) >>> 0;
  const listSizes = kernel.bytes(exports.listSizesStart(), exports.listSizesSize());
  const items = type.kind === 'string' ? textsOf(kernel) : wordsOf(kernel, type, exports.packedSweptStart(), count);
  return { listSizes, count, items };
}

/** Those that were packed last. */
function textsOf(kernel: Kernel): PackedTexts {
  const { exports } = kernel;
  const sizes = kernel.bytes(exports.textSizesStart(), exports.textSizesSize());
  return { sizes, bytes: kernel.bytes(exports.packedSweptStart(), exports.packedSweptSize()) };
}

function wordsOf(kernel: Kernel, type: Type, start: number, count: number): Exclude<ScalarValues, string[]> {
  if (type.kind === 'double') return kernel.doubles(start, count);
  if (type.kind !== 'bool') return kernel.longs(start, count);
  const words = kernel.ints(start, count * 2);
  return Uint8Array.from({ length: count }, (_, i) => words[i * 2]!);
}
