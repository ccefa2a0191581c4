import type { Type } from '../plan/value.ts';
import type { Kernel } from './instance.ts';
import { type SweptRows, sweptRows } from './swept.ts';
import { itemType } from './feature_column.ts';

/** Rows of a column that a portion of all keys has, one behind the other (assembly/weave.ts). */
export interface Stretch {
  rows: number;
  /** They hold until the next one is packed. */
  bytes: Uint8Array;
}

/** All rows of the column that was swept last, @param bytesMax at a time, but for the last one's text. */
export function* stretchesOf(kernel: Kernel, type: Type, rows: number, bytesMax: number): Generator<Stretch> {
  const { exports } = kernel;
  const { isList, isText } = shapeOf(type);
  for (let from = 0; from < rows; ) {
    const taken = exports.packStretch(from, rows, isList, isText, bytesMax);
    yield { rows: taken, bytes: kernel.bytes(exports.stretchStart(), exports.stretchSize()) };
    from += taken;
  }
}

/** A column is put together next, of what so many portions have. */
export function startWeaving({ exports }: Kernel, type: Type, portions: number): void {
  const { isList, isText } = shapeOf(type);
  exports.startWeaving(portions, isList, isText);
}

function shapeOf(type: Type): { isList: 0 | 1; isText: 0 | 1 } {
  const isList = type.kind === 'list';
  const { kind } = isList ? itemType(type) : type;
  return { isList: isList ? 1 : 0, isText: kind === 'string' ? 1 : 0 };
}

/** What a weaver has at hand of each portion: nothing in the beginning. */
export interface Supply {
  /** Fills it with the owners of the rows that come next: an index of a portion, or who has none. */
  owners(into: Uint8Array): void;
  /** The size of the next stretch of a portion, which is `read` then. */
  sizeOf(portion: number): number;
  read(portion: number, into: Uint8Array): void;
}

/** The next rows, each from the portion that owns it. They hold until the kernel is asked for others. */
export function weave(kernel: Kernel, type: Type, rows: number, supply: Supply): SweptRows {
  const { exports } = kernel;
  supply.owners(kernel.bytes(exports.startRowsOf(rows), rows * 2));
  for (let portion = exports.weave(); portion !== exports.WOVEN.value; portion = exports.weave()) {
    const size = supply.sizeOf(portion);
    supply.read(portion, kernel.bytes(exports.stretchRoom(portion, size), size));
    exports.spreadStretch(portion);
  }
  return sweptRows(kernel, type, 0, rows);
}
