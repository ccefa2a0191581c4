import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import {
  canonicalChangelog,
  canonicalGate,
  canonicalSource,
  canonicalTree,
  canonicalType,
  eventOf,
  type Leaf,
} from './canonical.ts';
import type { Expression, Read } from './expression.ts';
import type { Aggregate, AggregateName, EventFeature, EventType, Feature, Plan } from './plan.ts';
import { TIME, type Type } from './value.ts';
import { isTiled } from './window.ts';

/**
 * What a definition is, whatever it is called and wherever it stands: over the same events of `events`, in the same order,
 * two with the same hash have the same values, to the last bit.
 */
export interface Identity {
  /** SHA-256 in hex, of the definition with all that it depends on, those of what writes its aggregates too. */
  hash: string;
  /** Event types that it reads, or that write what it reads, ascending: events of others cannot change it. */
  events: string[];
}

/**
 * Of everything in a plan that has values.
 *
 *   1. column     an input or the digest of what a column is computed from; its events are its own and those below
 *   2. aggregate  what is counted and how, where it is written; not where its rows lie, nor which tiles they are cut into
 *   3. read       an aggregate over a window: only here tiles, and how late an event may be, can change a value
 *   4. given out  a value, its type as users see it, and what makes an event of its type bad
 *
 * Whoever looks through many asks one of these: what others stand on is looked at once.
 */
export class Identities {
  readonly #columns = new Map<EventType, Map<string, Part>>();
  readonly #aggregates = new Map<string, Part>();
  readonly #features = new Map<string, Part>();

  constructor(readonly plan: Plan) {}

  /** Of an event type itself: what makes an event of it bad, and how it counts. */
  event(name: string): Identity {
    const event = eventOf(this.plan, name);
    const weight = event.weight && this.#expression(event.weight, event);
    return identity(
      [ownMeaning(event), weight?.meaning ?? null],
      unionOf([new Set([name]), weight?.events ?? new Set()]),
    );
  }

  /** Of an input, a column, or the time of an event type. */
  column(event: string, name: string): Identity {
    return this.#given(eventOf(this.plan, event), name, null);
  }

  /** As `column`, with what is said to be wrong with it. */
  eventFeature(event: string, { column, error }: EventFeature): Identity {
    return this.#given(eventOf(this.plan, event), column, error);
  }

  /** Of what is looked up by key. */
  feature(feature: Feature): Identity {
    const entity = this.plan.entities.find(({ name }) => name === feature.entity);
    const { meaning, events } = this.#feature(feature);
    const keys = entity?.keys.map(canonicalType) ?? null;
    return identity(['lookup', keys, givenType(feature.expression.type), meaning], events);
  }

  /** Of the same, as events of a type are given it in a replay, which name the key by these expressions. */
  replayed(feature: Feature, event: string, keys: Expression[]): Identity {
    const of = eventOf(this.plan, event);
    const named = keys.map(key => this.#expression(key, of));
    const looked = this.#feature(feature);
    const key = named.map(({ meaning }) => meaning);
    return identity(
      ['replayed', ownMeaning(of), key, givenType(feature.expression.type), looked.meaning],
      unionOf([new Set([event]), looked.events, ...named.map(({ events }) => events)]),
    );
  }

  /** Of what is counted: who reads it, over which windows and from which tiles, is no part of it. */
  aggregate(name: string): Identity {
    const { meaning, events } = this.#aggregate(name);
    return { hash: meaning as string, events: [...events].sort() };
  }

  #given(event: EventType, name: string, error: Expression | null): Identity {
    const value = this.#column(event, name);
    const wrong = error && this.#expression(error, event);
    const meaning = [
      'column',
      ownMeaning(event),
      givenType(columnType(event, name)),
      value.meaning,
      wrong?.meaning ?? null,
    ];
    return identity(meaning, unionOf([value.events, wrong?.events ?? new Set()]));
  }

  #column(event: EventType, name: string): Part {
    const known = this.#columns.get(event) ?? new Map<string, Part>();
    this.#columns.set(event, known);
    const part = known.get(name) ?? this.#columnAnew(event, name);
    known.set(name, part);
    return part;
  }

  #columnAnew(event: EventType, name: string): Part {
    const column = event.columns.find(one => one.name === name);
    if (column) return this.#named(column.expression, event);
    return { meaning: canonicalSource(name, event), events: new Set([event.name]) };
  }

  #feature({ name, expression }: Feature): Part {
    const part = this.#features.get(name) ?? this.#named(expression, null);
    this.#features.set(name, part);
    return part;
  }

  /** Of what others call by a name: written out each time, a few that stand twice on each other would be without end. */
  #named(expression: Expression, event: EventType | null): Part {
    const part = this.#expression(expression, event);
    // Another name of it is nothing else.
    return expression.kind === 'column' ? part : { ...part, meaning: digest(part.meaning) };
  }

  /** @param event whose scope it is in; null for that of an entity, whose columns are features */
  #expression(expression: Expression, event: EventType | null): Part {
    const events = new Set(event ? [event.name] : []);
    const meaning = canonicalTree(expression, leaf => {
      const part = this.#leaf(leaf, event);
      for (const one of part.events) events.add(one);
      return part.meaning;
    });
    return { meaning, events };
  }

  #leaf(leaf: Leaf, event: EventType | null): Part {
    if (leaf.kind === 'read') return this.#read(leaf.read);
    if (event) return this.#column(event, leaf.name);
    const feature = this.plan.features.find(({ name }) => name === leaf.name);
    assert(feature, `${leaf.name} is a feature of the plan`);
    return this.#feature(feature);
  }

  #read({ aggregate: name, window }: Read): Part {
    const { meaning, events } = this.#aggregate(name);
    if (!isTiled(window)) return { meaning, events };
    const { offsetMs } = aggregateOf(this.plan, name).tiles;
    return { meaning: [meaning, this.plan.latenessMs, offsetMs], events };
  }

  #aggregate(name: string): Part {
    const part = this.#aggregates.get(name) ?? this.#aggregateAnew(aggregateOf(this.plan, name));
    this.#aggregates.set(name, part);
    return part;
  }

  #aggregateAnew({ event: writer, keys, where, fn, tiles }: Aggregate): Part {
    const event = eventOf(this.plan, writer);
    const parts: Part[] = [];
    const of = (expression: Expression) => {
      const part = this.#expression(expression, event);
      parts.push(part);
      return part.meaning;
    };
    const meaning = [
      ...['aggregate', ownMeaning(event), event.weight && of(event.weight), keys.map(of), where && of(where)],
      ...[fn.name, fn.args.map(of), fn.limit, fn.params],
      // What has decayed drops by tiles of the coarsest level.
      DECAYED.has(fn.name) ? [tiles.levelsMs.at(-1), tiles.offsetMs] : null,
    ];
    return { meaning: digest(meaning), events: unionOf([new Set([writer]), ...parts.map(({ events }) => events)]) };
  }
}

/** Of something that others stand on. */
interface Part {
  /** As JSON says it. */
  meaning: unknown;
  events: Set<string>;
}

const DECAYED: ReadonlySet<AggregateName> = new Set(['decayedSum', 'decayedCount']);

/** Which events of a type there are, and which rows. */
function ownMeaning(event: EventType): unknown {
  return [event.name, canonicalGate(event), event.changelog ? canonicalChangelog(event.changelog, event) : null];
}

/** Who takes a field of a struct does so by name; where all of it is given out, its fields stand in their order. */
function givenType(type: Type): unknown {
  return [canonicalType(type), orderOf(type)];
}

function orderOf(type: Type): unknown {
  switch (type.kind) {
    case 'list':
    case 'map':
      return orderOf(type.of.type);
    case 'struct':
      return type.fields.map(field => [field.name, orderOf(field.type)]);
    default:
      return null;
  }
}

export function columnType({ inputs, columns }: EventType, name: string): Type {
  const column = columns.find(one => one.name === name);
  return column?.expression.type ?? inputs.find(one => one.name === name)?.type ?? TIME;
}

function aggregateOf(plan: Plan, name: string): Aggregate {
  const aggregate = plan.aggregates.find(one => one.name === name);
  assert(aggregate, `the plan has no aggregate ${name}`);
  return aggregate;
}

function identity(meaning: unknown, events: Set<string>): Identity {
  return { hash: digest(meaning), events: [...events].sort() };
}

function digest(meaning: unknown): string {
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
}

function unionOf(sets: Set<string>[]): Set<string> {
  return new Set(sets.flatMap(set => [...set]));
}
