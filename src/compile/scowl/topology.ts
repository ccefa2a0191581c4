import { assert } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import type { Expression } from '../../plan/expression.ts';
import type { Aggregate, EventFeature, EventType } from '../../plan/plan.ts';
import { type Field, STRING } from '../../plan/value.ts';
import { isComputed } from '../bind.ts';
import { type Declared, INPUTS_PER_EVENT_MAX } from '../declare.ts';
import { NAME, NAME_LENGTH_MAX } from '../name.ts';
import type { Place } from '../place.ts';
import { bindAggregate } from './aggregate.ts';
import { bind } from './bind.ts';
import { type Bound, type Scope, pure, refuse } from './bound.ts';
import { ordered } from './depend.ts';
import type { Definition, Desk, Topic } from './desk.ts';
import { type CompiledLookups, lookupsOf } from './entity.ts';
import { mergeAggregates } from './merge.ts';
import type { Topology } from './parser.ts';
import { inputSlot, lineText, resolveTypes, stepsOf } from './slot.ts';
import type { CallNode, Name, Node, Statement } from './tree.ts';

/**
 * Topologies -> event types of the plan with columns and features, and the aggregates that these read.
 *
 *   1. gather    statements of all files -> event types, each with its definitions by name
 *   2. types     `type` statements, in any order
 *   3. inputs    paths and types -> inputs, which later definitions may name
 *   4. order     features -> an order in which each stands behind those it is made of; cycles are faults
 *   5. bind      expression by expression, in that order -> a value with its type, and its error
 *   6. merge     aggregates that mean the same are one
 *   7. lookups   aggregates whose keys are an entity -> feature sets
 */
export function compileTopologies(topologies: Topology[], declared: Declared, faults: Fault[]): CompiledTopologies {
  const desk = gather(topologies, declared, faults);
  resolveTypes(desk.types, declared.types, faults);
  for (const topic of desk.topics.values()) readInputs(topic, declared, faults);
  for (const definition of ordered(allOf(desk), name => find(desk, name), faults)) bindFeature(definition, desk);
  const events = [...desk.topics.values()].map(topic => eventOf(topic, faults));
  for (const event of events) declared.events.set(event.name, event);
  const merged = mergeAggregates(desk);
  return { aggregates: merged.map(({ aggregate }) => aggregate), ...lookupsOf(desk, merged) };
}

export interface CompiledTopologies extends CompiledLookups {
  aggregates: Aggregate[];
}

/** How many definitions one event may have: each is a column. */
export const DEFINITIONS_PER_EVENT_MAX = 4096;

function gather(topologies: Topology[], declared: Declared, faults: Fault[]): Desk {
  const desk: Desk = { topics: new Map(), types: [], entities: [], aggregates: [], reads: [], declared, faults };
  for (const topology of topologies) {
    let topic: Topic | null = null;
    for (const statement of topology.statements) {
      const { place } = topology;
      if (statement.kind === 'event') topic = openTopic(statement.name, topology, desk);
      else if (statement.kind === 'type') desk.types.push({ statement, place });
      else if (statement.kind === 'entity') desk.entities.push({ statement, place });
      else if (topic) define(topic, statement, topology, desk);
      else {
        const at = place(statement.name.start, statement.name.end);
        refuse(`${statement.name.name} belongs to no event: write event and its name above it`, at, desk);
      }
    }
    // What belongs to which event is not known of what could not be read.
    for (const each of desk.topics.values()) for (const name of topology.lost) each.lost.add(name);
  }
  return desk;
}

function openTopic({ name, start, end }: Name, { place }: Topology, desk: Desk): Topic {
  const known = desk.topics.get(name);
  if (known) return known;
  const declared = desk.declared.events.get(name) ?? null;
  const topic: Topic = {
    ...{ name, at: place(start, end), declared, definitions: new Map(), inputs: [], hidden: [], lost: new Set() },
  };
  desk.topics.set(name, topic);
  return topic;
}

function define(topic: Topic, statement: Definition['statement'], topology: Topology, desk: Desk): void {
  const { place, text } = topology;
  const { name, start, end } = statement.name;
  const at = place(start, end);
  const first = topic.definitions.get(name);
  const what = whyNoName(name);
  if (what) return void refuse(what, at, desk);
  if (first) return void refuse(`${topic.name}.${name} is defined twice: first at ${lineText(first.at)}`, at, desk);
  if (topic.declared?.inputs.some(input => input.name === name))
    return void refuse(`${topic.name}.${name} is defined twice: YAML declares an input of this name`, at, desk);
  if (topic.definitions.size === DEFINITIONS_PER_EVENT_MAX) {
    const message = `${topic.name} has more than ${DEFINITIONS_PER_EVENT_MAX} definitions, and no more are read`;
    desk.faults.push(new Fault('too_large', message, at));
  }
  if (topic.definitions.size >= DEFINITIONS_PER_EVENT_MAX) return;
  const written = statement.kind === 'input' ? text.slice(statement.path.start, statement.end) : null;
  const definition: Definition = {
    ...{ event: topic.name, name, statement, at, place, bound: undefined },
    text: oneLine(written ?? text.slice((statement as { expression: Node }).expression.start, statement.end)),
    about: commentBehind(statement, topology),
  };
  topic.definitions.set(name, definition);
}

function whyNoName(name: string): string | null {
  if (!NAME.test(name)) return `"${name}": a name is letters, digits and _, and begins with a letter`;
  return name.length > NAME_LENGTH_MAX ? `a name is at most ${NAME_LENGTH_MAX} characters long` : null;
}

/** Behind a statement, on the line that it ends with, its author says what it is. */
function commentBehind({ end }: Statement, { comments, place }: Topology): string | null {
  const { line } = place(end - 1, end);
  return comments.get(line) ?? null;
}

function oneLine(text: string): string {
  return text.replace(/\s*(?:--[^\n]*)?\n\s*/g, ' ').trim();
}

function readInputs(topic: Topic, { types }: Declared, faults: Fault[]): void {
  for (const definition of topic.definitions.values()) {
    const { statement, place, name } = definition;
    if (statement.kind !== 'input') continue;
    const { path } = statement;
    const slot = inputSlot(statement.slot, { place, types, faults });
    const steps = stepsOf(path);
    const at = place(path.start, path.end);
    definition.bound = null;
    if (topic.declared) refuse(`${topic.name} is declared in YAML: declare ${name} there`, definition.at, { faults });
    else if (!steps) refuse(`${path.text} names no member: wanted a path like $.name or $['a name']`, at, { faults });
    else if (slot) {
      const input: Field = { name, path: steps, ...slot };
      topic.inputs.push(input);
      const column = { kind: 'column', name, type: slot.type, at: definition.at } as const;
      const fault: Expression = { kind: 'fault', of: column, type: STRING, at: definition.at };
      definition.bound = { value: column, error: fault };
    }
  }
  if (topic.inputs.length <= INPUTS_PER_EVENT_MAX) return;
  const message = `${topic.name} has ${topic.inputs.length} inputs, and at most ${INPUTS_PER_EVENT_MAX} are read`;
  faults.push(new Fault('too_large', message, topic.at));
}

function allOf({ topics }: Desk): Definition[] {
  return [...topics.values()].flatMap(({ definitions }) => [...definitions.values()]);
}

function find({ topics }: Desk, { event, name }: { event: string; name: string }): Definition | null {
  return topics.get(event)?.definitions.get(name) ?? null;
}

function bindFeature(definition: Definition, desk: Desk): void {
  const { statement, event, name, at, place } = definition;
  if (statement.kind !== 'feature') return;
  definition.bound = null;
  let count = 0;
  const naming = () => (count++ === 0 ? `${event}.${name}` : `${event}.${name}$${count}`);
  const bound = bind(statement.expression, scopeOf(event, place, desk, naming));
  if (!bound) return;
  if (bound.value.kind === 'literal' && bound.value.value === null)
    return void refuse(`${name} is null and nothing else, which has no type`, at, desk);
  const { value, error } = bound;
  if (!isComputed(value, at, desk.faults)) return;
  if (error && !isComputed(error, at, [])) {
    const message = `${name} can fail in too many ways to tell them apart: give parts of it names of their own`;
    desk.faults.push(new Fault('too_large', message, at));
    return;
  }
  definition.bound = bound;
}

/**
 * What the expressions of an event see: its other features, and aggregates.
 *
 * @param naming gives the next aggregate its name
 */
function scopeOf(event: string, place: Place, desk: Desk, naming: () => string): Scope {
  const scope: Scope = {
    place,
    faults: desk.faults,
    looksThrough: false,
    name: node => nameIn(event, node, place, desk),
    errorOf: name => errorOf(event, name, desk),
    aggregate: (node: CallNode) =>
      bindAggregate(node, {
        ...{ reader: event, scope, desk, naming },
        scopeOf: writer => (writer === event ? scope : scopeOf(writer, place, desk, naming)),
      }),
  };
  return scope;
}

function nameIn(event: string, node: Node & { kind: 'name' }, place: Place, desk: Desk): Bound | null {
  const { name } = node;
  const at = place(node.start, node.end);
  const topic = desk.topics.get(event);
  const declared = desk.declared.events.get(event);
  const definition = topic?.definitions.get(name);
  if (definition) {
    const { bound } = definition;
    return bound ? pure({ kind: 'column', name, type: bound.value.type, at }) : null;
  }
  const input = declared?.inputs.find(each => each.name === name);
  if (input) return pure({ kind: 'column', name, type: input.type, at });
  if (topic?.lost.has(name) || (declared === null && !topic)) return null;
  const names = [...(topic?.definitions.keys() ?? []), ...(declared?.inputs.map(each => each.name) ?? [])];
  const hint = didYouMean(name, names) || `; define it: ${name} := $.${name} as string`;
  return refuse(`event ${event} has no feature "${name}"${hint}`, at, desk);
}

/** Of a feature that has one, a column of its own, so that however many ask for it, it is there once. */
function errorOf(event: string, name: string, desk: Desk): Expression | null {
  const topic = desk.topics.get(event);
  const error = topic?.definitions.get(name)?.bound?.error ?? null;
  if (!topic || !error || (error.kind === 'fault' && error.of.kind === 'column')) return error;
  const hidden = `${name}$error`;
  if (!topic.hidden.some(column => column.name === hidden)) topic.hidden.push({ name: hidden, expression: error });
  return { kind: 'column', name: hidden, type: STRING, at: error.at };
}

function eventOf({ name, at, declared, definitions, inputs, hidden, lost }: Topic, faults: Fault[]): EventType {
  const bound = [...definitions.values()].filter(definition => definition.bound);
  const columns = bound.flatMap(({ name: column, statement, bound: made }) =>
    statement.kind === 'feature' ? [{ name: column, expression: made!.value }] : [],
  );
  const features = bound.map((definition): EventFeature => {
    const { about, text: description } = definition;
    const isHidden = hidden.some(column => column.name === `${definition.name}$error`);
    const error: Expression | null = isHidden
      ? { kind: 'column', name: `${definition.name}$error`, type: STRING, at: definition.at }
      : definition.bound!.error;
    const of = { column: definition.name, error, description };
    return { ...of, ...(about !== null && { about }), at: definition.at };
  });
  const isFaulty = lost.size > 0 || bound.length < definitions.size;
  if (inputs.length + (declared?.inputs.length ?? 0) === 0 && !isFaulty)
    refuse(`event ${name} has no inputs: give it one, like id := $.id as string`, at, { faults });
  if (!declared)
    return { name, inputs, columns: [...columns, ...hidden], features, onFault: 'convert', weight: null, at };
  const own = declared.inputs.map(
    (input): EventFeature => ({ column: input.name, error: null, description: input.path.join('.'), at: declared.at }),
  );
  assert(declared.columns.length === 0, 'YAML declares inputs only');
  return { ...declared, columns: [...columns, ...hidden], features: [...own, ...features] };
}
