import { assert } from '../base/assert.ts';
import type { Expression, Read } from '../plan/expression.ts';
import type { Known, WindowKnown } from '../plan/known.ts';
import { rowEntities } from '../plan/layers.ts';
import type { Aggregate, EventType, Feature, Plan } from '../plan/plan.ts';
import { lastRowsOf } from '../plan/upsert.ts';
import type { Field, Type } from '../plan/value.ts';
import { identityOf } from './expression.ts';
import type { Kernel } from './instance.ts';
import type { Group } from './group.ts';

/** The dictionary's ids, by name. */
export interface Ids {
  entities: Map<string, number>;
  aggregates: Map<string, number>;
  /** What aggregates know that have not been there from the first record on, by name; the others know all. */
  known?: Map<string, Known>;
}

/** Numbers of a plan that has no dictionary: its rows are nobody else's. */
export function countedIds(plan: Plan): Ids {
  const last = lastRowsOf(plan);
  return {
    entities: new Map([...rowEntities(plan), ...last].map(({ name }, i) => [name, i + 1])),
    aggregates: new Map([...plan.aggregates, ...last].map(({ name }, i) => [name, i + 1])),
  };
}

/** How a plan lies in one kernel instance: every handle that the stages need. */
export interface Layout {
  kernel: Kernel;
  plan: Plan;
  ids: Ids;
  /** Some of its event types say only what a row is now: their batches are completed before they are tiled (upsert.ts). */
  keepsLastRows: boolean;
  /** In the order of their numbers in the kernel. */
  types: TypeLayout[];
  groups: { index: number; group: Group }[];
  /** Events read: records are to be taken one after the other. */
  isSequenced: boolean;
  /** Per entity: all its features, for lookups by key. */
  lookups: Map<string, AnswerLayout>;
  /** What events read, by its number in the kernel. */
  eventAnswers: Map<number, AnswerLayout>;
}

export interface TypeLayout {
  event: EventType;
  inputs: Field[];
  frame: number;
  /** Computes selections, keys and arguments from inputs; null where inputs are all that is needed. */
  program: number | null;
  /** Programs of later layers, from 1 on (src/plan/layers.ts): they compute from what was read. */
  laterPrograms: (number | null)[];
  /** Registers of the type's frame by `identityOf` the expression that they hold. */
  registers: Map<string, number>;
  reads: EventReadLayout[];
  /** Registers of columns that are given, by name: filled from outside, for each batch before its programs run. */
  given: Map<string, number>;
  /** What its events are answered with. */
  features: EventFeatureLayout[];
}

/** A read of an event; several expressions may make the same one. */
export interface EventReadLayout {
  read: Read;
  /** In which it is made. */
  layer: number;
  /** Registers of the type's frame. */
  keys: number[];
  after: number | null;
  register: number;
  /** Takes what is wrong with its value; null where nobody asks. */
  fault: number | null;
}

export interface EventFeatureLayout {
  /** `event.column`. */
  name: string;
  column: string;
  type: Type;
  /** Registers of the type's frame. */
  register: number;
  error: number | null;
}

/** How the features of one entity lie in the kernel: members are aggregates, windows what they are read over. */
export interface AnswerLayout {
  index: number;
  entity: string;
  /** The dictionary's id of the entity. */
  entityId: number;
  frame: number;
  /** Derives features from what was read; null where all features are plain reads. */
  program: number | null;
  windows: WindowLayout[];
  members: MemberLayout[];
  /** What its features read: the value of each stands in the register of its index. */
  reads: ReadLayout[];
  features: Map<string, AnswerFeature>;
}

export interface WindowLayout {
  /** 0 is the lifetime. */
  lengthMs: number;
  resolutionMs: number;
  /** Of those that are over by then, so long ago; 0 for what reaches up to the moment. */
  agoMs: number;
  /** How often one of them begins; 0 where it moves with the moment. */
  everyMs: number;
  /** It ends with the moment, which is within it. */
  isExact: boolean;
  offsetMs: number;
  /** From the resolution up. */
  levelsMs: number[];
  /** Of aggregates that do not know everything; null of those that do. */
  known: WindowKnown | null;
}

export interface MemberLayout {
  aggregate: Aggregate;
  id: number;
}

export interface ReadLayout {
  read: Read;
  type: Type;
  member: number;
  window: number;
}

export interface AnswerFeature {
  feature: Feature;
  type: Type;
  register: number;
  /** What has to be read for it, of itself and of all that it is derived from. */
  cells: { member: number; window: number }[];
}

/** What a feature and all that it is derived from read, each with its register. */
export function readsOf(answer: AnswerLayout, { cells }: AnswerFeature): (ReadLayout & { register: number })[] {
  const isOf = (one: ReadLayout) => cells.some(({ member, window }) => member === one.member && window === one.window);
  return answer.reads.map((one, register) => ({ ...one, register })).filter(isOf);
}

export function typeIndex(layout: Layout, event: string): number {
  const index = layout.types.findIndex(type => type.event.name === event);
  assert(index >= 0, `the plan has no event type ${event}`);
  return index;
}

export function registerOf(type: TypeLayout, expression: Expression): number {
  const register = type.registers.get(identityOf(expression));
  assert(register !== undefined, `nothing computes an expression of ${type.event.name}`);
  return register;
}
