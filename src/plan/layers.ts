/**
 * In which order the values of one event of a topology are computed, and its aggregates written and read.
 *
 * A layer is what can be computed at once:
 *
 *   1. columns      of the layer: from inputs, and from what was read in layers before
 *   2. leave out    reads with `exclusive`, whose keys are known by now
 *   3. write        aggregates of this event, whose expressions are known, and that nobody of it has to leave out any more
 *   4. read         with the keys that are known; what is read belongs to the next layer
 *
 * Records are taken one after the other, so nothing else than the event itself is ever waited for.
 */
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { Expression, Read } from './expression.ts';
import { children, walk } from './expression.ts';
import type { Aggregate, Entity, EventType, Plan } from './plan.ts';
import type { Type } from './value.ts';
import { readsOf } from './window.ts';

/** The entity whose rows hold an aggregate: of one that only events read, an implicit one for all keys of its types. */
export function entityOf(aggregate: Aggregate): string {
  return aggregate.entity ?? implicitName(keyTypes(aggregate));
}

/** The entities of a plan's rows: those that it declares, and implicit ones. */
export function rowEntities(plan: Plan): Entity[] {
  const implicit = new Map<string, Entity>();
  for (const aggregate of plan.aggregates) {
    if (aggregate.entity !== null) continue;
    const keys = keyTypes(aggregate);
    implicit.set(implicitName(keys), { name: implicitName(keys), keys, at: null });
  }
  return [...plan.entities, ...implicit.values()];
}

/** Users' names are words: none of them meets it. */
function implicitName(keys: Type[]): string {
  return `(${keys.map(({ kind }) => kind).join(', ')})`;
}

function keyTypes({ keys }: Aggregate): Type[] {
  return keys.map(({ type }) => type);
}

/** Is there something that events read, or are answered with, so that records are taken one after the other? */
export function isTopology(plan: Plan): boolean {
  const isAnswered = ({ features }: EventType) => features !== undefined && features.length > 0;
  return plan.aggregates.some(({ entity }) => entity === null) || plan.events.some(isAnswered);
}

/** Do events read it, those that name an entity or its own? */
export function isReadByEvents({ name, entity }: Aggregate, plan: Plan): boolean {
  return entity === null || readsOf(name, plan).some(({ keys }) => keys !== null);
}

/** What is computed from one event of a type: of its aggregates, sets, features and weight. */
export function expressionsOver(plan: Plan, event: EventType): Expression[] {
  return [
    ...plan.aggregates.filter(a => a.event === event.name).flatMap(aggregateExpressions),
    ...plan.sets.filter(set => set.event === event.name).flatMap(set => set.keys),
    ...(event.weight ? [event.weight] : []),
    ...(event.features ?? []).flatMap(({ error }) => (error ? [error] : [])),
  ];
}

export function aggregateExpressions({ keys, where, fn }: Aggregate): Expression[] {
  return [...keys, ...fn.args, ...(where ? [where] : [])];
}

/** Where events cannot be taken step by step: of each event type the first column that has no layer. */
export function layerFaults(plan: Plan): Fault[] {
  return plan.events.flatMap(event => {
    const layers = new Layers(plan, event);
    for (const { expression } of event.columns) {
      try {
        layers.of(expression);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        return [new Fault(error.code, error.message, expression.at)];
      }
    }
    return [];
  });
}

/** The layers of one event type's columns, reads and aggregates, from 0 on. */
export class Layers {
  readonly #columns = new Map<string, number>();
  readonly #writes = new Map<Aggregate, number>();
  /** Reads that leave the event out, of its own aggregates. */
  readonly #exclusive = new Map<Aggregate, Read[]>();
  readonly #underWay = new Set<string>();

  constructor(
    private readonly plan: Plan,
    private readonly event: EventType,
  ) {
    const roots = [...event.columns.map(({ expression }) => expression), ...expressionsOver(plan, event)];
    for (const root of roots)
      walk(root, node => {
        if (node.kind !== 'read' || !node.read.exclusive) return;
        const aggregate = this.#aggregate(node.read);
        const known = this.#exclusive.get(aggregate);
        if (known) known.push(node.read);
        else this.#exclusive.set(aggregate, [node.read]);
      });
  }

  /** With the columns of which layer an expression is computed. */
  of(expression: Expression): number {
    if (expression.kind === 'column') return this.#column(expression.name);
    if (expression.kind === 'read') return this.read(expression.read) + 1;
    return Math.max(0, ...children(expression).map(child => this.of(child)));
  }

  /** In which layer a read is made. */
  read(read: Read): number {
    const aggregate = this.#aggregate(read);
    const isOwn = aggregate.event === this.event.name && !read.exclusive;
    return Math.max(this.#known(read), isOwn ? this.write(aggregate) : 0);
  }

  /**
   * In which layer an aggregate of this event is written.
   *
   * @throws Fault `unsupported` where a read that leaves the event out hangs on one that does not
   */
  write(aggregate: Aggregate): number {
    assert(aggregate.event === this.event.name, `${aggregate.name} is not written by ${this.event.name}`);
    const known = this.#writes.get(aggregate);
    if (known !== undefined) return known;
    const needed = Math.max(0, ...aggregateExpressions(aggregate).map(expression => this.of(expression)));
    const layer = this.#once(`aggregate ${aggregate.name}`, () =>
      Math.max(needed, ...(this.#exclusive.get(aggregate) ?? []).map(read => this.#known(read))),
    );
    this.#writes.set(aggregate, layer);
    return layer;
  }

  /** When all is known that a read needs of the event. */
  #known({ keys, after }: Read): number {
    return Math.max(0, ...[...keys!, ...(after ? [after] : [])].map(expression => this.of(expression)));
  }

  #column(name: string): number {
    const column = this.event.columns.find(one => one.name === name);
    if (!column) return 0;
    const known = this.#columns.get(name);
    if (known !== undefined) return known;
    const layer = this.#once(`column ${name}`, () => this.of(column.expression));
    this.#columns.set(name, layer);
    return layer;
  }

  /**
   * The compiler refuses cycles of columns and aggregates; that of an event that has to be left out and to be seen it does not
   * know. Rows have no room for both: what is read without the event is not there any more once the event is written.
   */
  #once(subject: string, find: () => number): number {
    if (this.#underWay.has(subject)) {
      const message =
        `${subject} of ${this.event.name} is read both with and without the event, and the read without it (exclusive) hangs ` +
        'on the one with it: the event is counted once, either before or after a read; give the exclusive one an aggregate of its ' +
        'own, by a condition that is always true, such as `where KEY is not null`';
      throw new Fault('unsupported', message);
    }
    this.#underWay.add(subject);
    const layer = find();
    this.#underWay.delete(subject);
    return layer;
  }

  #aggregate(read: Read): Aggregate {
    const found = this.plan.aggregates.find(({ name }) => name === read.aggregate);
    assert(found && read.keys, `an event reads ${read.aggregate}, which is none of its kind`);
    return found;
  }
}
