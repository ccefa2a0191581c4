import { assert, unreachable } from '../base/assert.ts';
import type { Window } from '../plan/expression.ts';
import type { Aggregate, AggregateFunction } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';
import { caseOf, finisherOf, kindOf } from './aggregate.ts';
import type { Kernel } from './instance.ts';
import { itemType, type ListValues, type ScalarValues } from './window.ts';

/** How values come of what is in a window (Manner in assembly/sweep.ts). */
const MANNERS = ['counted', 'group', 'extreme', 'earliest', 'latest', 'latestSome'] as const;
type Manner = (typeof MANNERS)[number];

/** Longer lists take more room than the rows that they are of. */
const LIST_MAX = 64;

/** In which manner a function is swept; null where it is not, and each event has to be taken by itself. */
export function mannerOf(fn: AggregateFunction): Manner | null {
  switch (fn.name) {
    case 'count':
      return fn.args.length === 0 ? 'counted' : 'group';
    case 'sum':
    case 'avg':
    case 'varPop':
    case 'varSamp':
    case 'stddevPop':
    case 'stddevSamp':
      return 'group';
    case 'min':
    case 'max':
      // Several, and texts, are ranked.
      return fn.limit === null && fn.args[0]!.type.kind !== 'string' ? 'extreme' : null;
    case 'first':
      return 'earliest';
    case 'last':
      return 'latest';
    case 'lastN':
      return fn.limit! <= LIST_MAX ? 'latestSome' : null;
    default:
      return null;
  }
}

/** Sweeps an aggregate over a window, for all keys; false where its events are too much out of order for that. */
export function sweep(
  { exports }: Kernel,
  { strand, feed }: { strand: number; feed: number },
  { fn, tiles }: Aggregate,
  window: Window,
): boolean {
  const { lengthMs, resolutionMs, agoMs, everyMs, isExact } = edgesOf(window);
  exports.setSweptWindow(lengthMs, resolutionMs, agoMs, everyMs, isExact ? 1 : 0, tiles.offsetMs);
  const manner = mannerOf(fn);
  assert(manner !== null, `${fn.name} is not swept`);
  const how = [MANNERS.indexOf(manner), caseOf(fn), kindOf(fn), finisherOf(fn), fn.limit ?? 0] as const;
  return exports.sweep(strand, feed, ...how) === exports.SWEPT.value;
}

/** A length of 0 is the lifetime. */
function edgesOf(window: Window) {
  const none = { lengthMs: 0, resolutionMs: 0, agoMs: 0, everyMs: 0, isExact: false };
  switch (window.kind) {
    case 'lifetime':
      return none;
    case 'exact':
      return { ...none, ...window, isExact: true };
    case 'sliding':
    case 'offset':
    case 'hopping':
      return { ...none, ...window };
    default:
      unreachable(window);
  }
}

/** Texts one behind the other: the i-th is bytes [ends[i], ends[i + 1]). */
export interface PackedTexts {
  ends: Uint32Array;
  bytes: Uint8Array;
}

/** As a FeatureColumn has values, but for texts. */
export type PackedValues = Exclude<ScalarValues, string[]> | PackedTexts | PackedList;
export type PackedList = Omit<ListValues, 'items' | 'mapped'> & {
  items: Exclude<ScalarValues, string[]> | PackedTexts;
};

/** Rows of the column that was swept last. */
export interface SweptRows {
  values: PackedValues;
  nulls: Uint8Array;
  /** Index into STATUS. */
  statuses: Uint8Array;
}

/** Rows [from, to) of the column that was swept last. */
export function sweptRows(kernel: Kernel, type: Type, from: number, to: number): SweptRows {
  const { exports } = kernel;
  const values = valuesOf(kernel, type, from, to);
  const bytes = (start: number) => kernel.bytes(start + from, to - from).slice();
  return { values, nulls: bytes(exports.sweptNulls()), statuses: bytes(exports.sweptStatuses()) };
}

function valuesOf(kernel: Kernel, type: Type, from: number, to: number): PackedValues {
  const { exports } = kernel;
  if (type.kind === 'list') return listsOf(kernel, itemType(type), from, to);
  if (type.kind !== 'string') return wordsOf(kernel, type, exports.sweptValues() + from * 8, to - from);
  const size = exports.packSweptTexts(from, to) >>> 0;
  return textsOf(kernel, to - from, size);
}

function listsOf(kernel: Kernel, type: Type, from: number, to: number): PackedList {
  const { exports } = kernel;
  const count = exports.packSweptLists(from, to) >>> 0;
  const offsets = wordsAt(kernel, exports.packedListEnds(), to - from + 1);
  const ends = type.kind === 'string' ? wordsAt(kernel, exports.packedTextEnds(), count + 1) : null;
  const items = ends ? textsOf(kernel, count, ends[count]!) : wordsOf(kernel, type, exports.packedTexts(), count);
  return { offsets, items, itemNulls: new Uint8Array(count) };
}

function textsOf(kernel: Kernel, count: number, size: number): PackedTexts {
  const { exports } = kernel;
  const ends = wordsAt(kernel, exports.packedTextEnds(), count + 1);
  return { ends, bytes: kernel.bytes(exports.packedTexts(), size).slice() };
}

function wordsAt(kernel: Kernel, start: number, count: number): Uint32Array {
  return new Uint32Array(kernel.ints(start, count).slice().buffer);
}

function wordsOf(kernel: Kernel, type: Type, start: number, count: number): Exclude<ScalarValues, string[]> {
  if (type.kind === 'double') return kernel.doubles(start, count).slice();
  if (type.kind !== 'bool') return kernel.longs(start, count).slice();
  const words = kernel.ints(start, count * 2);
  return Uint8Array.from({ length: count }, (_, i) => words[i * 2]!);
}
