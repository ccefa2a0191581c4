import { assert } from '../base/assert.ts';
import { type Expression, type Read, walk } from '../plan/expression.ts';
import { type Known, windowKnown } from '../plan/known.ts';
import type { Aggregate, Feature } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';
import { caseOf, finisherOf, kindOf } from './aggregate.ts';
import { Lowering, Op, identityOf } from './expression.ts';
import type { Kernel } from './instance.ts';
import { keyKindOf } from './key.ts';
import {
  type AnswerFeature,
  type AnswerLayout,
  type Layout,
  type WindowLayout,
  registerOf,
  typeIndex,
} from './layout.ts';

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
