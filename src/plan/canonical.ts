import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import type { Expression } from './expression.ts';
import { EVENT_TIME } from './expression.ts';
import type { Aggregate, Changelog, EventFeature, EventType, Feature, Plan } from './plan.ts';
import type { LastRows } from './upsert.ts';
import { isScalar, type Slot, type Type, type Value } from './value.ts';
import { keptLevels } from './window.ts';

/**
 * What a definition means, without what it is called: files, order, comments and positions leave no trace, nor do
 * names that only users read (of columns, aggregates, structs). Two definitions with the same hash compute the same
 * values from the same events.
 */
export function aggregateHash(aggregate: Aggregate, plan: Plan): string {
  return createHash('sha256')
    .update(JSON.stringify(canonicalAggregate(aggregate, plan)))
    .digest('hex');
}

/** Of what a feature means to whoever looks it up, with all that it is derived from; its name and its texts do not count. */
export function featureHash(feature: Feature, plan: Plan): string {
  const keys = plan.entities.find(e => e.name === feature.entity)?.keys.map(canonicalType) ?? null;
  const meaning = { entity: feature.entity, keys, value: canonicalExpression(feature.expression, null, plan) };
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
}

/**
 * Of what an aggregate's rows hold, without what makes events bad that it does not look at: an event type may be declared
 * further while its aggregates go on. What of its inputs the aggregate reads counts all the same.
 */
export function stateHash(aggregate: Aggregate, plan: Plan): string {
  const meaning = { ...(canonicalAggregate(aggregate, plan) as Record<string, unknown>), gate: null };
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
}

/** Of everything that decides a plan's values: two plans with the same hash may share rows. Feature names count here. */
export function planHash(plan: Plan): string {
  const parts = {
    aggregates: plan.aggregates.map(a => [a.name, canonicalAggregate(a, plan), keptLevels(a, plan)]).sort(byFirst),
    latenessMs: plan.latenessMs,
  };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** What an event is answered with under a name, and what is said to be wrong with it. */
export function eventFeatureMeaning(
  event: EventType,
  { column, error }: EventFeature,
  type: Type,
  plan: Plan,
): unknown {
  const value = canonicalExpression({ kind: 'column', name: column, type, at: null }, event, plan);
  return [canonicalType(type), value, error && canonicalExpression(error, event, plan)];
}

/** What decides which events of a type count, and what is said of those that do not. */
export function eventMeaning(event: EventType, plan: Plan): unknown {
  const { name, onFault, inputs, changelog, weight } = event;
  // What is nested may be more than an event can hold; other faults leave events of this kind as they are.
  const judged = onFault === 'reject' ? inputs : inputs.filter(({ type }) => !isScalar(type));
  return {
    ...{ name, onFault, inputs: judged.map(input => [input.name, canonicalInput(input)]) },
    changelog: changelog && canonicalChangelog(changelog, event),
    weight: weight && canonicalExpression(weight, event, plan),
  };
}

function canonicalAggregate(aggregate: Aggregate, plan: Plan): unknown {
  const event = eventOf(plan, aggregate.event);
  const inScope = (expression: Expression) => canonicalExpression(expression, event, plan);
  return {
    event: aggregate.event,
    gate: canonicalGate(event),
    weight: event.weight && inScope(event.weight),
    // Left out where there is none: so the hashes of append-only events are what they always were.
    changelog: event.changelog && canonicalChangelog(event.changelog, event),
    entity: aggregate.entity,
    keys: aggregate.keys.map(inScope),
    where: aggregate.where && inScope(aggregate.where),
    fn: { ...aggregate.fn, args: aggregate.fn.args.map(inScope) },
    tiles: aggregate.tiles,
  };
}

/** A bad event counts nowhere, so all that can make one bad is part of what everything over it means. */
export function canonicalGate(event: EventType): unknown {
  return event.onFault === 'reject' ? event.inputs.map(canonicalInput).sort() : null;
}

/** @param event whose scope the expression is in; null for that of an entity, whose columns are features */
function canonicalExpression(expression: Expression, event: EventType | null, plan: Plan): unknown {
  return canonicalTree(expression, leaf => {
    if (leaf.kind === 'column') return canonicalColumn(leaf.name, event, plan);
    const aggregate = plan.aggregates.find(a => a.name === leaf.read.aggregate);
    assert(aggregate, `read of an unknown aggregate ${leaf.read.aggregate}`);
    return event
      ? digested(aggregate, plan, () => canonicalAggregate(aggregate, plan))
      : canonicalAggregate(aggregate, plan);
  });
}

function canonicalColumn(name: string, event: EventType | null, plan: Plan): unknown {
  if (!event) {
    const feature = plan.features.find(f => f.name === name);
    return feature ? canonicalExpression(feature.expression, null, plan) : ['feature', name];
  }
  const column = event.columns.find(c => c.name === name);
  // Another name of a column is no other column.
  if (column?.expression.kind === 'column') return canonicalColumn(column.expression.name, event, plan);
  if (column) return ['column', digested(column, plan, () => canonicalExpression(column.expression, event, plan))];
  return canonicalSource(name, event);
}

/** What a name of an event stands for where it is none of its columns: an input, or the time. */
export function canonicalSource(name: string, event: EventType): unknown {
  const input = event.inputs.find(i => i.name === name);
  if (!input && name === EVENT_TIME) return ['time'];
  assert(input, `column ${name} is neither an input nor a column of event ${event.name}`);
  return ['input', canonicalInput(input), event.onFault === 'convert'];
}

/** What an expression stands on. */
export type Leaf = Expression & { kind: 'column' | 'read' };

/** @param meaningOf what a column stands for, and the aggregate that is read */
export function canonicalTree(expression: Expression, meaningOf: (leaf: Leaf) => unknown): unknown {
  const below = (child: Expression) => canonicalTree(child, meaningOf);
  switch (expression.kind) {
    case 'literal':
      return ['literal', canonicalType(expression.type), canonicalValue(expression.value)];
    case 'column':
      return meaningOf(expression);
    case 'now':
      return ['now'];
    case 'field':
      return ['field', below(expression.of), expression.name];
    case 'index':
      return ['index', below(expression.of), below(expression.by)];
    case 'fault':
      return ['fault', below(expression.of)];
    case 'call':
      return ['call', expression.fn, expression.args.map(below)];
    case 'read': {
      const { window, keys, after, exclusive } = expression.read;
      return ['read', meaningOf(expression), window, keys?.map(below) ?? null, after && below(after), exclusive];
    }
  }
}

/** Of each plan, what its columns and aggregates mean. */
const DIGESTS = new WeakMap<Plan, Map<object, string>>();

/**
 * The digest of what a column or an aggregate means that others stand on: written out, a few that stand twice on each other
 * would be without end. An entity's features are written out, for their hashes are older than that.
 */
function digested(of: object, plan: Plan, meaning: () => unknown): string {
  const known = DIGESTS.get(plan) ?? new Map<object, string>();
  DIGESTS.set(plan, known);
  const digest = known.get(of) ?? createHash('sha256').update(JSON.stringify(meaning())).digest('hex');
  known.set(of, digest);
  return digest;
}

export function canonicalChangelog(changelog: Changelog, { inputs }: EventType): unknown {
  const named = (name: string | null) => name && canonicalInput(inputs.find(input => input.name === name)!);
  const time = named(changelog.time);
  if (changelog.kind === 'upsert')
    return [changelog.kind, changelog.key.map(named), changelog.form, named(changelog.says), time];
  return [changelog.kind, changelog.kind === 'ops' ? named(changelog.op) : null, time];
}

/** Of what the last rows of an event type are the last of: all aggregates over it are others where these are. */
export function lastRowsHash({ event, changelog }: LastRows): string {
  return createHash('sha256')
    .update(JSON.stringify([event.name, canonicalChangelog(changelog, event)]))
    .digest('hex');
}

function canonicalInput(input: Slot & { path: string[] }): string {
  return JSON.stringify([input.path, canonicalSlot(input)]);
}

function canonicalSlot(slot: Slot): unknown {
  const { presence } = slot;
  return [canonicalType(slot.type), presence.kind, presence.kind === 'default' ? canonicalValue(presence.value) : null];
}

export function canonicalType(type: Type): unknown {
  switch (type.kind) {
    case 'list':
      return ['list', canonicalSlot(type.of)];
    case 'map':
      return ['map', canonicalType(type.key), canonicalSlot(type.of)];
    case 'struct':
      return ['struct', type.fields.map(field => [field.name, field.path, canonicalSlot(field)]).sort(byFirst)];
    default:
      return type.kind;
  }
}

/** int64 and double literals stay apart: 1 as a bigint is written `1n`. */
function canonicalValue(value: Value): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'string') return { string: value };
  if (Array.isArray(value)) return value.map(canonicalValue);
  if (value !== null && typeof value === 'object')
    return {
      struct: Object.entries(value)
        .map(([name, v]) => [name, canonicalValue(v)])
        .sort(byFirst),
    };
  return value;
}

function byFirst(a: unknown[], b: unknown[]): number {
  return String(a[0]) < String(b[0]) ? -1 : 1;
}

export function eventOf(plan: Plan, name: string): EventType {
  const event = plan.events.find(e => e.name === name);
  assert(event, `the plan has no event type ${name}`);
  return event;
}
