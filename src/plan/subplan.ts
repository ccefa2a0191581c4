import { assert } from '../base/assert.ts';
import { type Expression, EVENT_TIME, walk } from './expression.ts';
import { aggregateExpressions } from './layers.ts';
import type { Aggregate, EventType, Feature, FeatureSet, Plan } from './plan.ts';
import { isScalar, type Type } from './value.ts';

/** What is to be computed of a plan by itself: columns of the rows of one event type. */
export interface Part {
  event: string;
  /** Inputs and columns of the event. */
  columns: string[];
  /** What is looked up by key, of one entity, and the set whose keys say how the event names it; null for nothing of the kind. */
  lookups: { set: FeatureSet; features: Feature[] } | null;
  /** Columns of events whose values are there already. */
  given: Map<string, Set<string>>;
}

/**
 * The plan of a part: nothing but what its values hang on, up to columns that are given. Its values are those of the whole
 * plan, for a value hangs on nothing else.
 *
 * An event type whose faulty inputs make events bad keeps all of them, and one of another kind all that are nested, which
 * together may be more than an event can hold.
 */
export function subplan(plan: Plan, part: Part): Plan {
  const needed = new Needed(plan, part.given);
  const event = needed.event(part.event);
  const features = part.columns.map(column => {
    const shown = event.of.features?.find(one => one.column === column);
    return shown ?? { column, error: null, description: '', at: null };
  });
  for (const { column, error } of features) {
    needed.column(event, column);
    if (error) needed.visit(error, event);
  }
  const sets = part.lookups ? [part.lookups.set] : [];
  for (const { keys } of sets) for (const key of keys) needed.visit(key, event);
  const lookedUp = part.lookups ? needed.lookups(part.lookups.features) : [];
  const events = needed.events();
  for (const one of events) if (one.name === part.event && features.length > 0) one.features = features;
  const entities = new Set([...needed.aggregates].flatMap(({ entity }) => (entity === null ? [] : [entity])));
  for (const { entity } of sets) entities.add(entity);
  return {
    events,
    entities: plan.entities.filter(({ name }) => entities.has(name)),
    aggregates: plan.aggregates.filter(one => needed.aggregates.has(one)),
    ...{ sets, features: lookedUp, latenessMs: plan.latenessMs },
  };
}

/** What of an event type is needed, by name. */
interface NeededEvent {
  of: EventType;
  inputs: Set<string>;
  columns: Set<string>;
  given: Map<string, Type>;
}

class Needed {
  readonly aggregates = new Set<Aggregate>();
  readonly #events = new Map<string, NeededEvent>();

  constructor(
    private readonly plan: Plan,
    private readonly given: Part['given'],
  ) {}

  event(name: string): NeededEvent {
    const known = this.#events.get(name);
    if (known) return known;
    const of = this.plan.events.find(one => one.name === name);
    assert(of, `the plan has no event type ${name}`);
    const event: NeededEvent = { of, inputs: new Set(), columns: new Set(), given: new Map() };
    this.#events.set(name, event);
    for (const input of of.inputs)
      if (of.onFault === 'reject' || of.changelog || !isScalar(input.type)) event.inputs.add(input.name);
    if (of.weight) this.visit(of.weight, event);
    return event;
  }

  column(event: NeededEvent, name: string, type?: Type): void {
    const column = event.of.columns.find(one => one.name === name);
    if (!column) {
      const isInput = event.of.inputs.some(one => one.name === name);
      assert(isInput || name === EVENT_TIME, `${event.of.name} has neither an input nor a column ${name}`);
      if (isInput) event.inputs.add(name);
    } else if (this.given.get(event.of.name)?.has(name)) event.given.set(name, type ?? column.expression.type);
    else if (!event.columns.has(name)) {
      event.columns.add(name);
      this.visit(column.expression, event);
    }
  }

  visit(expression: Expression, event: NeededEvent): void {
    walk(expression, node => {
      if (node.kind === 'column') this.column(event, node.name, node.type);
      if (node.kind === 'read') this.#aggregate(node.read.aggregate);
    });
  }

  /** With all that they are derived from. */
  lookups(features: Feature[]): Feature[] {
    const found = new Set<Feature>();
    const take = (feature: Feature) => {
      if (found.has(feature)) return;
      found.add(feature);
      walk(feature.expression, node => {
        if (node.kind === 'column') take(this.plan.features.find(({ name }) => name === node.name)!);
        if (node.kind === 'read') this.#aggregate(node.read.aggregate);
      });
    };
    for (const feature of features) take(feature);
    return this.plan.features.filter(feature => found.has(feature));
  }

  events(): EventType[] {
    return this.plan.events.flatMap(one => {
      const needed = this.#events.get(one.name);
      if (!needed) return [];
      const { features: _, ...event } = one;
      const given = [...needed.given].map(([name, type]) => ({ name, type }));
      return {
        ...event,
        inputs: one.inputs.filter(({ name }) => needed.inputs.has(name)),
        columns: one.columns.filter(({ name }) => needed.columns.has(name)),
        ...(given.length > 0 && { given }),
      };
    });
  }

  #aggregate(name: string): void {
    const aggregate = this.plan.aggregates.find(one => one.name === name);
    assert(aggregate, `read of an unknown aggregate ${name}`);
    if (this.aggregates.has(aggregate)) return;
    this.aggregates.add(aggregate);
    const event = this.event(aggregate.event);
    for (const expression of aggregateExpressions(aggregate)) this.visit(expression, event);
  }
}
