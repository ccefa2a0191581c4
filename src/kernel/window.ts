import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { Expression, Read } from '../plan/expression.ts';
import { walk } from '../plan/expression.ts';
import { type Known, windowKnown } from '../plan/known.ts';
import type { Aggregate, Feature } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';
import { typeName } from '../plan/value.ts';
import type { TileRange } from '../plan/window.ts';
import { caseOf, finisherOf, kindOf } from './aggregate.ts';
import { identityOf, Lowering, Op } from './expression.ts';
import type { Kernel } from './instance.ts';
import { keyKindOf } from './key.ts';
import type { AnswerFeature, AnswerLayout, Layout, WindowLayout } from './layout.ts';
import { isColumnar, nestedText } from './nested.ts';
import { registerOf, typeIndex } from './layout.ts';

/** What is to be said of a value, by the kernel's numbers (Status in assembly/register.ts): the graver, the greater. */
export const STATUS = [null, 'WARMING', 'NOT_FOUND', 'EXPIRED', 'OVERFLOW'] as const;
export const WARMING = STATUS.indexOf('WARMING');

/** The type of event that names the entity, and the expressions by which it does. */
export interface EventBinding {
  event: string;
  keys: Expression[];
}

/** Lays out features of one entity, for lookups by key or (with a binding) for events that name the entity. */
export function layAnswer(
  layout: Layout,
  entity: string,
  features: Feature[],
  binding: EventBinding | null,
): AnswerLayout {
  const { kernel, plan, ids } = layout;
  const aggregateOf = (name: string) => plan.aggregates.find(a => a.name === name)!;
  const reads = distinctReads(features);
  const { windows, members, cells } = layWindows(
    layout,
    reads.map(({ read }) => ({ read, aggregate: aggregateOf(read.aggregate) })),
  );
  const entityId = ids.entities.get(entity)!;
  const memberOf = ({ aggregate }: (typeof cells)[number]) => members.findIndex(m => m.aggregate === aggregate);
  const answer: AnswerLayout = {
    ...{ index: 0, entity, entityId, frame: 0, program: null, windows, members, features: new Map() },
    reads: reads.map(({ read, type }, i) => ({ read, type, member: memberOf(cells[i]!), window: cells[i]!.window })),
  };
  const lowering = lowerFeatures(answer, features, reads, cells);
  answer.index = kernel.exports.addAnswer(entityId, lowering.registerCount, windows.length, members.length);
  answer.frame = kernel.exports.answerFrame(answer.index) >>> 0;
  answer.program = lowering.load(kernel, answer.frame);
  if (features.some(feature => readsTime(feature.expression))) kernel.exports.setReadTime(answer.index, reads.length);
  loadMembers(
    layout,
    answer,
    cells.map((cell, register) => ({ ...cell, register })),
  );
  if (binding) bindEvent(layout, answer, binding);
  return answer;
}

/** A read's place: its aggregate, the index of its window, and the register that takes its value. */
export interface MemberCell {
  aggregate: Aggregate;
  window: number;
  register: number;
}

/** What reads read over what: windows and members of one answer, each once, and of each read its cell. */
export function layWindows(
  { kernel, ids }: Layout,
  reads: { read: Read; aggregate: Aggregate }[],
): Pick<AnswerLayout, 'windows' | 'members'> & { cells: Omit<MemberCell, 'register'>[] } {
  const windows: WindowLayout[] = [];
  const members: AnswerLayout['members'] = [];
  const cells = reads.map(({ read, aggregate }) => {
    if (!members.some(m => m.aggregate === aggregate))
      members.push({ aggregate, id: ids.aggregates.get(aggregate.name)! });
    const known = ids.known?.get(aggregate.name);
    return { aggregate, window: indexOrPush(windows, windowLayout(read, aggregate, known)) };
  });
  assert(windows.length <= kernel.exports.WINDOWS_MAX.value, 'too many windows are read together');
  members.sort((a, b) => a.id - b.id);
  return { windows, members, cells };
}

interface DistinctRead {
  read: Read;
  type: Type;
  identity: string;
}

function distinctReads(features: Feature[]): DistinctRead[] {
  const found = new Map<string, DistinctRead>();
  for (const feature of features)
    for (const node of dependenciesOf(feature).reads) {
      assert(node.kind === 'read' && node.read.keys === null, 'a feature reads by the entity being looked up');
      const identity = identityOf(node);
      if (!found.has(identity)) found.set(identity, { read: node.read, type: node.type, identity });
    }
  return [...found.values()];
}

function windowLayout({ window }: Read, aggregate: Aggregate, of: Known | undefined): WindowLayout {
  const known = of ? windowKnown(of, window) : null;
  if (window.kind === 'lifetime')
    return { lengthMs: 0, resolutionMs: 0, agoMs: 0, everyMs: 0, isExact: false, offsetMs: 0, levelsMs: [], known };
  const { lengthMs, resolutionMs } = window;
  const { offsetMs, levelsMs } = aggregate.tiles;
  const agoMs = window.kind === 'offset' || window.kind === 'hopping' ? window.agoMs : 0;
  const everyMs = window.kind === 'hopping' ? window.everyMs : 0;
  return {
    ...{ lengthMs, resolutionMs, agoMs, everyMs, isExact: window.kind === 'exact', offsetMs },
    levelsMs: levelsMs.filter(levelMs => levelMs >= resolutionMs),
    known,
  };
}

function indexOrPush(windows: WindowLayout[], window: WindowLayout): number {
  const known = windows.findIndex(one => identityOfWindow(one) === identityOfWindow(window));
  return known >= 0 ? known : windows.push(window) - 1;
}

function identityOfWindow(window: WindowLayout): string {
  return JSON.stringify(window, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}

/** Reads take the first registers, and the moment of reading the next; then each feature gets a register of its own with its value and its status. */
function lowerFeatures(
  answer: AnswerLayout,
  features: Feature[],
  reads: DistinctRead[],
  cells: { aggregate: Aggregate; window: number }[],
): Lowering {
  const byName = new Map(features.map(feature => [feature.name, feature]));
  const cellOf = (node: Expression) => reads.findIndex(read => read.identity === identityOf(node));
  const leaf = (node: Expression): number => {
    if (node.kind === 'read') return cellOf(node);
    if (node.kind === 'now') return reads.length;
    assert(node.kind === 'column' && byName.has(node.name), 'a feature refers to reads and features of its entity');
    return place(byName.get(node.name)!).register;
  };
  const lowering = new Lowering(reads.length + 1, leaf);
  const place = (feature: Feature): AnswerFeature => {
    const known = answer.features.get(feature.name);
    if (known) return known;
    const { features: names, reads: ownReads } = dependenciesOf(feature);
    const needed = names.map(name => place(byName.get(name)!));
    const cellAt = (node: Expression) => {
      const { aggregate, window } = cells[cellOf(node)]!;
      return { member: answer.members.findIndex(m => m.aggregate === aggregate), window };
    };
    const { expression } = feature;
    let register: number;
    if (expression.kind === 'call' && expression.fn === 'list')
      register = lowerSeries(lowering, expression.args, cellOf);
    else {
      register = lowering.lower(expression);
      if (expression.kind !== 'read') {
        register = lowering.emit(Op.COPY, register);
        joinStatuses(lowering, register, [...needed.map(f => f.register), ...ownReads.map(cellOf)]);
      }
    }
    const placed: AnswerFeature = {
      feature,
      type: feature.expression.type,
      register,
      cells: [...ownReads.map(cellAt), ...needed.flatMap(f => f.cells)],
    };
    answer.features.set(feature.name, placed);
    return placed;
  };
  features.forEach(place);
  return lowering;
}

/** The status of a computed value, made of those of all that it was computed from. */
function joinStatuses(lowering: Lowering, register: number, from: number[]): void {
  lowering.emit(Op.CLEAR_STATUS, register, register, register, register);
  for (const each of from) lowering.emit(Op.STATUS, each, each, each, register);
}

/** Elements stand side by side, each with a status of its own, and one instruction makes the list of them. */
function lowerSeries(lowering: Lowering, elements: Expression[], cellOf: (read: Expression) => number): number {
  const lowered = elements.map(element => lowering.lower(element));
  const placed = elements.map((element, i) => lowering.emit(element.kind === 'read' ? Op.TAKE : Op.COPY, lowered[i]!));
  for (const [i, element] of elements.entries())
    if (element.kind !== 'read') joinStatuses(lowering, placed[i]!, readsIn(element).map(cellOf));
  return lowering.emit(Op.SERIES, placed[0]!, placed.at(-1)!);
}

function readsIn(expression: Expression): Expression[] {
  const reads: Expression[] = [];
  walk(expression, node => {
    if (node.kind === 'read') reads.push(node);
  });
  return reads;
}

/** Tells the kernel of an answer's windows and members, and where their values go. */
export function loadMembers(layout: Layout, answer: AnswerLayout, cells: MemberCell[]): void {
  const { exports } = layout.kernel;
  for (const [i, window] of answer.windows.entries()) {
    const { lengthMs, resolutionMs, agoMs, everyMs, isExact, offsetMs, levelsMs, known } = window;
    const kind = isExact ? 1 : 0;
    exports.setWindow(answer.index, i, lengthMs, resolutionMs, agoMs, everyMs, kind, offsetMs, levelsMs.length);
    for (const [position, levelMs] of levelsMs.entries()) exports.setWindowLevel(answer.index, i, position, levelMs);
    if (known) exports.setWindowKnown(answer.index, i, known.sinceMicros, known.floorMs);
  }
  for (const [i, { aggregate, id }] of answer.members.entries()) {
    const type = typeIndex(layout, aggregate.event);
    const { fn } = aggregate;
    exports.setAnswerMember(answer.index, i, id, caseOf(fn), kindOf(fn), type);
    exports.setFinisher(answer.index, i, finisherOf(fn), fn.params.length);
    for (const [position, value] of fn.params.entries()) exports.setParameter(answer.index, i, position, value);
  }
  for (const { aggregate, window, register } of cells) {
    const member = answer.members.findIndex(m => m.aggregate === aggregate);
    exports.setRead(answer.index, member, window, register);
  }
}

function bindEvent(layout: Layout, answer: AnswerLayout, binding: EventBinding): void {
  const { exports } = layout.kernel;
  const type = typeIndex(layout, binding.event);
  exports.bindEvent(answer.index, type, binding.keys.length);
  for (const [i, key] of binding.keys.entries())
    exports.setEventKey(answer.index, i, registerOf(layout.types[type]!, key), keyKindOf(key.type));
}

function readsTime(expression: Expression): boolean {
  let found = false;
  walk(expression, node => {
    found ||= node.kind === 'now';
  });
  return found;
}

/** Features that a feature refers to, itself not included, and the reads it makes itself. */
export function dependenciesOf(feature: Feature): { features: string[]; reads: Expression[] } {
  const features: string[] = [];
  const reads: Expression[] = [];
  walk(feature.expression, node => {
    if (node.kind === 'column') features.push(node.name);
    if (node.kind === 'read') reads.push(node);
  });
  return { features, reads };
}

/** Restricts what the next keys are read for to what these features need. */
export function want(kernel: Kernel, answer: AnswerLayout, features: AnswerFeature[]): void {
  const masks = new BigUint64Array(answer.members.length);
  for (const feature of features)
    for (const { member, window } of feature.cells) masks[member]! |= 1n << BigInt(window);
  for (const [member, mask] of masks.entries())
    kernel.exports.setWanted(answer.index, member, Number(mask & 0xffffffffn), Number(mask >> 32n));
}

/** The tiles of all windows at a moment, joined to one range per level. */
export function tileRanges(kernel: Kernel, answer: AnswerLayout): TileRange[] {
  const { exports } = kernel;
  const ranges = windowRanges(kernel, answer);
  assert(exports.rangesCount(answer.index) === ranges.length, 'ranges do not change while they are read');
  const joined = new Map<number, TileRange>();
  for (const { levelMs, fromMs, toMs } of ranges) {
    const known = joined.get(levelMs);
    if (!known) joined.set(levelMs, { levelMs, fromMs, toMs });
    else {
      known.fromMs = Math.min(known.fromMs, fromMs);
      known.toMs = Math.max(known.toMs, toMs);
    }
  }
  return [...joined.values()];
}

/** What memory may lack of the key that `answerKey` stopped at, ascending by level. */
export function gapsOf(kernel: Kernel, answer: AnswerLayout): TileRange[] {
  const { exports } = kernel;
  const count = exports.gapsCount(answer.index);
  const view = kernel.doubles(exports.gapsStart(answer.index), count * 3);
  return Array.from({ length: count }, (_, i) => ({
    levelMs: view[i * 3]!,
    fromMs: view[i * 3 + 1]!,
    toMs: view[i * 3 + 2]!,
  }));
}

/** The cover of each window (by its index in the layout) at the moment that `coverAt` has set. */
export function windowRanges(kernel: Kernel, answer: AnswerLayout): (TileRange & { window: number })[] {
  const { exports } = kernel;
  const count = exports.rangesCount(answer.index);
  const view = kernel.doubles(exports.rangesStart(answer.index), count * 4);
  return Array.from({ length: count }, (_, i) => ({
    levelMs: view[i * 4]!,
    fromMs: view[i * 4 + 1]!,
    toMs: view[i * 4 + 2]!,
    window: view[i * 4 + 3]!,
  }));
}

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

export function checkRead(kernel: Kernel, outcome: number): void {
  if (outcome !== kernel.exports.READ_OK.value)
    throw new Fault('corrupt', 'a stored row is not in canonical form, or belongs to other definitions');
}
