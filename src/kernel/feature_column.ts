import { assert } from '../base/assert.ts';
import { type Type, typeName } from '../plan/value.ts';
import type { Kernel } from './instance.ts';
import type { AnswerFeature, AnswerLayout } from './layout.ts';
import { isColumnar, nestedText } from './nested.ts';

/** One feature's values, row by row. */
export interface FeatureColumn {
  name: string;
  type: Type;
  values: ScalarValues | ListValues;
  /** 1 where the value is null. */
  nulls: Uint8Array;
  /** Index into STATUS. */
  statuses: Uint8Array;
}

/** BigInt64Array for int64 and time (microseconds), Float64Array for double, Uint8Array for bool (0 or 1), text for string, and JSON for what is not `isColumnar`. */
export type ScalarValues = BigInt64Array | Float64Array | Uint8Array | string[];

/** The list, or the map, of row i is items [offsets[i], offsets[i + 1]); behind the last of them there may be room for more. */
export interface ListValues {
  offsets: Uint32Array;
  items: ScalarValues;
  /** 1 where the item is null; of maps, whose keys are never null, where what the key is mapped to is. */
  itemNulls: Uint8Array;
  /** Of maps, whose keys the items are, what these are mapped to. */
  mapped?: BigInt64Array;
}

export function isList(values: FeatureColumn['values']): values is ListValues {
  return 'offsets' in values;
}

/** An empty column of `count` rows: all null. */
export function makeColumn(feature: { name: string; type: Type }, count: number): FeatureColumn {
  const { name, type } = feature;
  return {
    name,
    type,
    values: emptyValues(type, count),
    nulls: new Uint8Array(count).fill(1),
    statuses: new Uint8Array(count),
  };
}

function emptyValues(type: Type, count: number): FeatureColumn['values'] {
  if (!isColumnar(type)) return new Array<string>(count).fill('null');
  if (type.kind !== 'list' && type.kind !== 'map') return emptyScalars(type, count);
  const lists = { offsets: new Uint32Array(count + 1), itemNulls: new Uint8Array(0) };
  if (type.kind === 'list') return { ...lists, items: emptyScalars(type.of.type, 0) };
  assert(type.of.type.kind === 'int64', `no column holds a ${typeName(type)}`);
  return { ...lists, items: emptyScalars(type.key, 0), mapped: new BigInt64Array(0) };
}

function emptyScalars(type: Type, count: number): ScalarValues {
  switch (type.kind) {
    case 'double':
      return new Float64Array(count);
    case 'bool':
      return new Uint8Array(count);
    case 'string':
      return new Array<string>(count).fill('');
    default:
      assert(type.kind === 'int64' || type.kind === 'time', `no column holds a ${typeName(type)}`);
      return new BigInt64Array(count);
  }
}

/**
 * Copies rows [first, first + count) of a feature's register to rows `to`, `to` + 1 ... of a column. Lists are filled in ascending
 * order of rows: those behind the last one copied are empty.
 */
export function copyRows(
  kernel: Kernel,
  { frame }: Pick<AnswerLayout, 'frame'>,
  { register }: Pick<AnswerFeature, 'register'>,
  count: number,
  column: FeatureColumn,
  to: number,
  first = 0,
): void {
  const { exports } = kernel;
  const { values } = column;
  const start = exports.frameValues(frame, register) + first * 8;
  const nulls = kernel.bytes(exports.frameNulls(frame, register) + first, count);
  if (isList(values)) copyLists(kernel, start, nulls, values, to);
  else if (values instanceof BigInt64Array) values.set(kernel.longs(start, count), to);
  else if (values instanceof Float64Array) values.set(kernel.doubles(start, count), to);
  else if (Array.isArray(values) && !isColumnar(column.type)) {
    for (let row = 0; row < count; row++)
      if (!nulls[row]) values[to + row] = nestedText(kernel, column.type, start + row * 8);
  } else if (Array.isArray(values)) copyTexts(kernel, start, count, values, to);
  else {
    const bits = kernel.ints(start, count * 2);
    for (let row = 0; row < count; row++) values[to + row] = bits[row * 2]!;
  }
  column.nulls.set(nulls, to);
  column.statuses.set(kernel.bytes(exports.frameStatuses(frame, register) + first, count), to);
}

/** A text may well begin with what looks like a byte order mark. */
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * A string in a register is (address, length): what a feature chooses stands in the kernel as long as the plan does,
 * what it makes until the program runs again.
 */
function copyTexts(kernel: Kernel, start: number, count: number, values: string[], to: number): void {
  const cells = kernel.ints(start, count * 2);
  for (let row = 0; row < count; row++)
    values[to + row] = DECODER.decode(kernel.bytes(cells[row * 2]!, cells[row * 2 + 1]!));
}

/**
 * A list in a register is (address, count): assembly/nested.ts says what stands there. A map is a list of its keys and, behind
 * them, of as many values.
 */
function copyLists(kernel: Kernel, start: number, nulls: Uint8Array, lists: ListValues, to: number): void {
  const { offsets } = lists;
  const cells = kernel.ints(start, nulls.length * 2);
  const perItem = lists.mapped ? 2 : 1;
  let end = offsets[to]!;
  for (let row = 0; row < nulls.length; row++) {
    if (!nulls[row]) end += cells[row * 2 + 1]! / perItem;
    offsets[to + row + 1] = end;
  }
  offsets.fill(end, to + nulls.length + 1);
  makeRoom(lists, end);
  for (let row = 0; row < nulls.length; row++)
    if (!nulls[row]) copyItems(kernel, cells[row * 2]! >>> 0, cells[row * 2 + 1]! / perItem, lists, offsets[to + row]!);
}

/** The first block of items is as long as they are; later ones grow in doublings, so that long answers are not copied over and over. */
function makeRoom(lists: ListValues, count: number): void {
  const { items, itemNulls } = lists;
  if (count <= itemNulls.length) return;
  const capacity = Math.max(count, itemNulls.length * 2);
  const grow = <T extends { set(from: T): void }>(from: T, into: T): T => {
    into.set(from);
    return into;
  };
  if (items instanceof BigInt64Array) lists.items = grow(items, new BigInt64Array(capacity));
  else if (items instanceof Float64Array) lists.items = grow(items, new Float64Array(capacity));
  else if (items instanceof Uint8Array) lists.items = grow(items, new Uint8Array(capacity));
  lists.itemNulls = grow(itemNulls, new Uint8Array(capacity));
  if (lists.mapped) lists.mapped = grow(lists.mapped, new BigInt64Array(capacity));
}

/** One list: `count` cells at `block`, and behind them as many null bytes; a map has as many cells of values behind those of its keys, and null bytes for both. */
function copyItems(kernel: Kernel, block: number, count: number, lists: ListValues, to: number): void {
  const { items, itemNulls, mapped } = lists;
  if (items instanceof BigInt64Array) items.set(kernel.longs(block, count), to);
  else if (items instanceof Float64Array) items.set(kernel.doubles(block, count), to);
  else if (Array.isArray(items)) copyTexts(kernel, block, count, items, to);
  else {
    const bits = kernel.ints(block, count * 2);
    for (let i = 0; i < count; i++) items[to + i] = bits[i * 2]!;
  }
  if (mapped) mapped.set(kernel.longs(block + count * 8, count), to);
  itemNulls.set(kernel.bytes(mapped ? block + count * 17 : block + count * 8, count), to);
}

/** Puts row i of a column into row `rows[i]` of another one; `rows` ascends. */
export function spreadRows(from: FeatureColumn, rows: number[], into: FeatureColumn): void {
  if (isList(from.values) && isList(into.values)) into.values = spreadLists(from.values, rows, into.values, into.type);
  else if (!isList(from.values) && !isList(into.values)) spreadScalars(from.values, rows, into.values);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    into.nulls[row] = from.nulls[i]!;
    into.statuses[row] = from.statuses[i]!;
  }
}

/** What has 64 bits is copied as two words: as it is, a NaN too, and without making a bigint of it. */
function spreadScalars(from: ScalarValues, rows: number[], into: ScalarValues): void {
  if (Array.isArray(from) || Array.isArray(into) || from.BYTES_PER_ELEMENT === 1) {
    for (let i = 0; i < rows.length; i++) into[rows[i]!] = from[i]!;
    return;
  }
  const [words, places] = [wordsOf(from), wordsOf(into)];
  for (let i = 0; i < rows.length; i++) {
    const place = rows[i]! * 2;
    places[place] = words[i * 2]!;
    places[place + 1] = words[i * 2 + 1]!;
  }
}

function wordsOf({ buffer, byteOffset, length }: Exclude<ScalarValues, string[]>): Int32Array {
  return new Int32Array(buffer, byteOffset, length * 2);
}

/** Lists have no room between them, so all are put together anew: those of `rows` from the one, the others as they were. */
function spreadLists(from: ListValues, rows: number[], into: ListValues, type: Type): ListValues {
  const count = into.offsets.length - 1;
  const sources = new Array<ListValues>(count).fill(into);
  const places = Uint32Array.from(sources.keys());
  for (let i = 0; i < rows.length; i++) {
    sources[rows[i]!] = from;
    places[rows[i]!] = i;
  }
  const offsets = new Uint32Array(count + 1);
  for (let row = 0; row < count; row++) {
    const old = sources[row]!.offsets;
    offsets[row + 1] = offsets[row]! + old[places[row]! + 1]! - old[places[row]!]!;
  }
  const items = emptyScalars(itemType(type), offsets[count]!);
  const itemNulls = new Uint8Array(offsets[count]!);
  const mapped = into.mapped && new BigInt64Array(offsets[count]!);
  for (let row = 0; row < count; row++) {
    const old = sources[row]!;
    for (let to = offsets[row]!, at = old.offsets[places[row]!]!; to < offsets[row + 1]!; to++, at++) {
      items[to] = old.items[at]!;
      itemNulls[to] = old.itemNulls[at]!;
      if (mapped) mapped[to] = old.mapped![at]!;
    }
  }
  return { offsets, items, itemNulls, ...(mapped && { mapped }) };
}

/** Of the elements of a list, or the keys of a map. */
export function itemType(type: Type): Type {
  assert(type.kind === 'list' || type.kind === 'map', `a ${type.kind} has no items`);
  return type.kind === 'list' ? type.of.type : type.key;
}
