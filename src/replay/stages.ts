/**
 * How a replay is split into jobs: by what stands on what, and by keys.
 *
 *     login.ip -> login.fails (by ip) -> login.suspicious -> payment.risky (by user) -> payment.hold
 *     level 0     level 1, a fold        level 1             level 2, a fold           level 2
 *
 * A column is one of
 *
 *   - level 0: made of its event alone;
 *   - a fold: it reads aggregates. Its level is one more than that of all it is made of;
 *   - any other: as high as the highest that it is made of.
 *
 * Columns above level 0 are computed once, and read by those that are made of them: they are cut there. Those of level 0 are
 * cheaper to compute than to read. What is computed together, a job, is of one event type and one level: all its columns that
 * are no folds, or the folds of one key, whose events can be told apart by that key. Folds that can be swept key by key
 * (replay/sweep.ts), which is faster, are a job of their own beside those for which each event has to be taken by itself.
 */
import { assert } from '../base/assert.ts';
import { identityOf } from '../kernel/expression.ts';
import { type Expression, walk } from '../plan/expression.ts';
import { aggregateExpressions } from '../plan/layers.ts';
import type { Aggregate, EventType, Feature, FeatureSet, Plan } from '../plan/plan.ts';
import { isScalar, STRING, TIME, type Type } from '../plan/value.ts';
import { columnOf, type Mapping, mappingsOf } from './subject.ts';
import { isSwept } from './sweep.ts';

/** A column of the events of one type: what one file holds. */
export interface Node {
  /** `event.column`, `event set:feature`, or `event _time`. */
  id: string;
  event: string;
  type: Type;
  of:
    | { kind: 'place'; column: PlaceColumn }
    | { kind: 'column'; column: string; error: Expression | null }
    | { kind: 'lookup'; feature: Feature; set: FeatureSet; name: string };
  level: number;
  isFold: boolean;
  /** A fold that is swept. */
  isSwept: boolean;
  /** What is computed together has the same. */
  group: string;
  /** Events of one key can be told from those of others, and need nothing of them. */
  isKeyed: boolean;
  /** Columns that it is made of, up to which it computes everything itself; by id. */
  needs: string[];
  /** Event types whose events are read to compute it, those of `needs` given. */
  reads: string[];
}

/** What a replay says of each event beside its features: its time, null where the event is no row; its id; and what is wrong with it. */
export const PLACE_COLUMNS = ['_time', '_id', '_bad'] as const;
export type PlaceColumn = (typeof PLACE_COLUMNS)[number];

export function placeId(event: string, column: PlaceColumn): string {
  return `${event} ${column}`;
}

/** A column as a replay shows it: of a set's feature there is one for each event type that names its entity. */
export interface Shown {
  name: string;
  event: string;
  id: string;
  type: Type;
}

export class Columns {
  readonly #nodes = new Map<string, Node>();
  readonly #mappings: Mapping[];
  /** Columns that read aggregates, or are made of what does. */
  readonly #stateful = new Map<string, boolean>();

  constructor(readonly plan: Plan) {
    this.#mappings = mappingsOf(plan);
  }

  /** All that a replay of the plan shows, in its order. */
  shown(): Shown[] {
    const lookups = this.#mappings.flatMap(mapping =>
      this.plan.features
        .filter(({ entity }) => entity === mapping.entity)
        .map(feature => {
          const name = columnOf(feature, mapping);
          const { event } = mapping;
          return { name, event, id: `${event} ${name}`, type: feature.expression.type };
        }),
    );
    const names = [...new Set(lookups.map(({ name }) => name))];
    const ofEvents = this.plan.events.flatMap(event =>
      (event.features ?? []).map(({ column }) => {
        const name = `${event.name}.${column}`;
        return { name, event: event.name, id: name, type: typeOf(event, column) };
      }),
    );
    return [...lookups.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name)), ...ofEvents];
  }

  node(id: string): Node {
    const known = this.#nodes.get(id);
    if (known) return known;
    const node = this.#make(id);
    this.#nodes.set(id, node);
    return node;
  }

  #make(id: string): Node {
    const blank = id.indexOf(' ');
    if (blank < 0) {
      const dot = id.indexOf('.');
      return this.#column(id, this.#event(id.slice(0, dot)), id.slice(dot + 1));
    }
    const [event, name] = [id.slice(0, blank), id.slice(blank + 1)];
    if (isPlace(name)) return place(id, event, name);
    return this.#lookup(id, event, name);
  }

  #column(id: string, event: EventType, column: string): Node {
    const error = event.features?.find(one => one.column === column)?.error ?? null;
    const parts = this.#parts(event.name);
    const own = event.columns.find(({ name }) => name === column);
    // An input stands on nothing.
    if (own) this.#expand(own.expression, event, parts, true);
    if (error) this.#expand(error, event, parts, true);
    const of = { kind: 'column', column, error } as const;
    const isSwept =
      own !== undefined && this.#isSwept(own.expression, event, parts) && tellsOnly(error, own.expression, event);
    return this.#node({ id, event: event.name, type: typeOf(event, column), of, isSwept }, parts, 'by');
  }

  #lookup(id: string, event: string, name: string): Node {
    const found = this.#mappings
      .filter(mapping => mapping.event === event)
      .flatMap(mapping => {
        const feature = this.plan.features.find(
          one => one.entity === mapping.entity && columnOf(one, mapping) === name,
        );
        return feature ? [{ mapping, feature }] : [];
      })[0];
    assert(found, `nothing is called ${id}`);
    const { mapping, feature } = found;
    const set = this.plan.sets.find(one => one.name === mapping.sets[0])!;
    const parts = this.#parts(event);
    for (const key of mapping.keys) this.#expand(key, this.#event(event), parts, false);
    parts.keys.add(JSON.stringify(mapping.keys.map(identityOf)));
    this.#expandFeature(feature, parts);
    const of = { kind: 'lookup', feature, set, name } as const;
    const isSwept = this.#isSwept(feature.expression, this.#event(event), parts);
    return this.#node({ id, event, type: feature.expression.type, of, isSwept }, parts, `${feature.entity} by`);
  }

  /** It is one read, of what no other aggregates are behind, and of events that neither take back nor are taken back. */
  #isSwept(expression: Expression, reader: EventType, { aggregates }: Parts): boolean {
    if (expression.kind !== 'read' || aggregates.size !== 1 || reader.changelog) return false;
    const [aggregate] = aggregates;
    return isSwept(expression.read, aggregate!, this.#event(aggregate!.event));
  }

  #node(what: Pick<Node, 'id' | 'event' | 'type' | 'of' | 'isSwept'>, parts: Parts, how: string): Node {
    const below = [...parts.needs].map(need => this.node(need));
    const base = Math.max(0, ...below.map(({ level }) => level));
    const isFold = parts.aggregates.size > 0;
    const level = isFold ? base + 1 : base;
    const keys = [...parts.keys].sort();
    const reads = [...parts.reads].sort();
    return {
      ...{ ...what, level, isFold },
      group: JSON.stringify([what.event, level, isFold ? [how, what.isSwept, ...keys] : []]),
      isKeyed: isFold && keys.length === 1 && keys[0] !== '[]' && !reads.some(event => this.#event(event).changelog),
      ...{ needs: [...parts.needs].sort(), reads },
    };
  }

  #parts(event: string): Parts {
    return {
      ...{ needs: new Set(), reads: new Set([event]), keys: new Set(), aggregates: new Set(), inlined: new Set() },
    };
  }

  /** @param isReader the expression is of the event whose column it is: how that reads aggregates is how it is keyed */
  #expand(expression: Expression, event: EventType, parts: Parts, isReader: boolean): void {
    walk(expression, node => {
      if (node.kind === 'read') {
        const keys = node.read.keys!.map(identityOf);
        // What is read on behalf of another event has other keys.
        parts.keys.add(isReader ? JSON.stringify(keys) : `${event.name} ${JSON.stringify(keys)}`);
        this.#expandAggregate(node.read.aggregate, parts);
      }
      if (node.kind !== 'column') return;
      const column = event.columns.find(({ name }) => name === node.name);
      const id = `${event.name}.${node.name}`;
      if (!column || parts.inlined.has(id)) return;
      if (this.#isCut(event, node.name, column.expression)) parts.needs.add(id);
      else {
        parts.inlined.add(id);
        this.#expand(column.expression, event, parts, isReader);
      }
    });
  }

  #expandAggregate(name: string, parts: Parts): void {
    const aggregate = this.plan.aggregates.find(one => one.name === name);
    assert(aggregate, `read of an unknown aggregate ${name}`);
    if (parts.aggregates.has(aggregate)) return;
    parts.aggregates.add(aggregate);
    parts.reads.add(aggregate.event);
    const writer = this.#event(aggregate.event);
    for (const expression of aggregateExpressions(aggregate)) this.#expand(expression, writer, parts, false);
  }

  #expandFeature({ expression }: Feature, parts: Parts): void {
    walk(expression, node => {
      if (node.kind === 'column') this.#expandFeature(this.plan.features.find(one => one.name === node.name)!, parts);
      if (node.kind === 'read') this.#expandAggregate(node.read.aggregate, parts);
    });
  }

  /** Lists cannot be handed to a kernel, and a row that is taken back has no columns of its own. */
  #isCut(event: EventType, column: string, { type }: Expression): boolean {
    return isScalar(type) && !event.changelog && !event.weight && this.#isStateful(event, column);
  }

  #isStateful(event: EventType, name: string): boolean {
    const id = `${event.name}.${name}`;
    const known = this.#stateful.get(id);
    if (known !== undefined) return known;
    let found = false;
    const column = event.columns.find(one => one.name === name);
    if (column)
      walk(column.expression, node => {
        found ||= node.kind === 'read' || (node.kind === 'column' && this.#isStateful(event, node.name));
      });
    this.#stateful.set(id, found);
    return found;
  }

  #event(name: string): EventType {
    const event = this.plan.events.find(one => one.name === name);
    assert(event, `the plan has no event type ${name}`);
    return event;
  }
}

/** Nothing else is said to be wrong with what is read than what is wrong with the read. */
function tellsOnly(error: Expression | null, read: Expression, event: EventType): boolean {
  if (error === null) return true;
  if (error.kind === 'fault') return identityOf(error.of) === identityOf(read);
  const named = error.kind === 'column' && event.columns.find(({ name }) => name === error.name);
  return named ? tellsOnly(named.expression, read, event) : false;
}

/** What a column is made of, while it is looked through. */
interface Parts {
  needs: Set<string>;
  reads: Set<string>;
  keys: Set<string>;
  aggregates: Set<Aggregate>;
  inlined: Set<string>;
}

function place(id: string, event: string, column: PlaceColumn): Node {
  const type = column === '_time' ? TIME : STRING;
  return {
    ...{ id, event, type, of: { kind: 'place', column }, level: 0, isFold: false, isSwept: false, isKeyed: false },
    ...{ group: JSON.stringify([event, 'place']), needs: [], reads: [event] },
  };
}

function isPlace(name: string): name is PlaceColumn {
  return PLACE_COLUMNS.some(column => column === name);
}

function typeOf(event: EventType, name: string): Type {
  const column = event.columns.find(one => one.name === name)?.expression;
  const found = (column ?? event.inputs.find(one => one.name === name))?.type;
  assert(found, `event ${event.name} has no column ${name}`);
  return found;
}

/** Columns that are computed together. */
export interface PlannedJob {
  /** Those of a stage need nothing of each other. */
  stage: number;
  event: string;
  columns: string[];
  /** Columns that have to be there. */
  needs: string[];
  reads: string[];
  kind: 'places' | 'map' | 'fold';
  isSwept: boolean;
  /** Its keys may be dealt out. */
  isKeyed: boolean;
}

export interface Planned {
  /** By stage. */
  jobs: PlannedJob[];
  /** Columns that are there. */
  reused: string[];
}

/**
 * The jobs that make these columns, and what they are made of where that is not there.
 *
 * @param has the column of this id is there
 */
export function planJobs(columns: Columns, wanted: Iterable<string>, has: (id: string) => boolean): Planned {
  const computed = new Map<string, Node>();
  const reused = new Set<string>();
  const take = (id: string) => {
    if (computed.has(id) || reused.has(id)) return;
    if (has(id)) {
      reused.add(id);
      return;
    }
    const node = columns.node(id);
    computed.set(id, node);
    for (const need of node.needs) take(need);
  };
  for (const id of wanted) take(id);
  const jobs = [...Map.groupBy(computed.values(), ({ group }) => group).values()].map((nodes): PlannedJob => {
    const [{ event, level, isFold, isSwept, of }] = nodes as [Node];
    return {
      ...{ stage: isFold ? 2 * level - 1 : 2 * level, event, columns: nodes.map(({ id }) => id) },
      needs: united(nodes.map(({ needs }) => needs)).filter(need => !nodes.some(({ id }) => id === need)),
      reads: united(nodes.map(({ reads }) => reads)),
      kind: of.kind === 'place' ? 'places' : isFold ? 'fold' : 'map',
      isSwept,
      isKeyed: nodes.every(({ isKeyed }) => isKeyed),
    };
  });
  return { jobs: jobs.sort((a, b) => a.stage - b.stage), reused: [...reused] };
}

function united(lists: string[][]): string[] {
  return [...new Set(lists.flat())].sort();
}
