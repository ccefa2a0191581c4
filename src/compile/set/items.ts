import { Fault, type Position } from '../../base/fault.ts';
import { aggregateHash } from '../../plan/canonical.ts';
import type { Expression, Window } from '../../plan/expression.ts';
import type { Aggregate, EventType, Plan } from '../../plan/plan.ts';
import { isScalar, typeName } from '../../plan/value.ts';
import { type Scope, bind } from '../bind.ts';
import { NAME } from '../name.ts';
import type { Select, SelectItem, SqlNode } from '../node.ts';
import { scalarHint } from '../typing.ts';
import { aggregateOf } from './aggregate.ts';
import { type Shared, eventScope, isReadTime, isTable, readTime, structOf } from './scope.ts';

/** A select item with a name; its reads of aggregates wait for their windows. */
export interface BoundItem {
  name: string;
  at: Position;
  text: string;
  expression: Expression;
}

/**
 * Items that are just one aggregate come first, so that an aggregate bears the name its author gave it, even where
 * another item uses it too.
 */
export function itemsOf(shared: Shared, select: Select): { aggregates: Aggregate[]; items: BoundItem[] } {
  const { set, event, keys } = shared;
  const aggregates = new Map<string, Aggregate>();
  const items = new Map<SelectItem, BoundItem>();
  const names = new Set<string>();
  const candidates = select.items.filter(item => isNamed(item, names, set.faults));
  if (select.whole && itemCount(select) === 0) {
    const message = 'the SELECT has no aggregate, so there is no feature: add one, like COUNT(*) AS events';
    set.faults.push(new Fault('definition', message, set.document.keyAt(['sql'])));
  }
  for (const item of select.items) checkKeyColumn(item, event, keys, set.faults);
  const isPlain = ({ node }: SelectItem) => node.kind === 'aggregate';
  for (const item of [...candidates.filter(isPlain), ...candidates.filter(item => !isPlain(item))]) {
    const bound = bindItem(item, shared, aggregates);
    if (bound) items.set(item, bound);
  }
  const inOrder = candidates.map(item => items.get(item)).filter(item => item !== undefined);
  return { aggregates: [...aggregates.values()], items: inOrder };
}

export function itemCount(select: Select): number {
  return select.items.filter(item => item.node.kind !== 'name').length;
}

/** Everything but the key columns needs a name, which becomes that of its features. */
function isNamed({ node, alias }: SelectItem, names: Set<string>, faults: Fault[]): boolean {
  if (node.kind === 'name') return false;
  const fault = (message: string, at: Position) => {
    faults.push(new Fault('definition', message, at));
    return false;
  };
  if (!alias) return fault(`${node.text} has no name: write ${node.text} AS name`, node.at);
  if (!NAME.test(alias.name))
    return fault(`"${alias.name}": a name is letters, digits and _, and begins with a letter`, alias.at);
  if (names.has(alias.name)) return fault(`two items are called ${alias.name}`, alias.at);
  names.add(alias.name);
  return true;
}

/** A bare column has to be one of the key; with a name of its own it would be a feature, which it cannot be. */
function checkKeyColumn(
  { node, alias }: SelectItem,
  event: EventType,
  keys: Expression[] | null,
  faults: Fault[],
): void {
  if (node.kind !== 'name') return;
  const column = eventScope(event, 'SELECT', faults).name(node);
  if (!column || !keys) return;
  if (column.kind !== 'column' || !isKey(node.name, keys)) faults.push(neitherNor(node));
  else if (alias)
    faults.push(
      new Fault('unsupported', `${node.name} is a key column and keeps its name: leave out AS ${alias.name}`, alias.at),
    );
}

function isKey(name: string, keys: Expression[]): boolean {
  return keys.some(key => key.kind === 'column' && key.name === name);
}

function neitherNor(node: SqlNode & { kind: 'name' }): Fault {
  const message = `column ${node.text} is neither grouped nor aggregated: name it in GROUP BY, or write MAX(${node.text}) or the like`;
  return new Fault('definition', message, node.at);
}

/** Stands for every window until the item's features are made. */
const NO_WINDOW: Window = { kind: 'lifetime' };

function bindItem(item: SelectItem, shared: Shared, aggregates: Map<string, Aggregate>): BoundItem | null {
  const { set, event, keys } = shared;
  const { node, alias } = item;
  let count = 0;
  const scope: Scope = {
    faults: set.faults,
    name(column) {
      if (isReadTime(column, event)) return readTime(column);
      if (structOf(column, event)) {
        if (eventScope(event, 'SELECT', set.faults).name(column)) set.faults.push(neitherNor(column));
        return null;
      }
      if (!isTable(column, event, set.faults)) return null;
      const message = `key column ${column.name} beside an aggregate is not supported: features are computed from aggregates alone`;
      if (!keys) return null;
      if (isKey(column.name, keys)) set.faults.push(new Fault('unsupported', message, column.at));
      else if (eventScope(event, 'SELECT', set.faults).name(column)) set.faults.push(neitherNor(column));
      return null;
    },
    aggregate(inner) {
      count++;
      const name = node.kind === 'aggregate' ? alias!.name : `${alias!.name}$${count}`;
      const aggregate = aggregateOf(inner, `${set.name}:${name}`, shared);
      if (!aggregate) return null;
      const stored = storeOnce(aggregate, event, aggregates);
      const read = { aggregate: stored.name, window: NO_WINDOW, keys: null, after: null, exclusive: false };
      return { kind: 'read', read, type: stored.type, at: inner.at };
    },
  };
  const expression = bind(node, scope);
  if (expression && !isFeatureType(expression, node, set.faults)) return null;
  if (expression && count > 0) return { name: alias!.name, at: alias!.at, text: node.text, expression };
  if (expression) {
    const message = `${alias!.name} has no aggregate in it, so it is no feature: aggregate something, or put it under derive:`;
    set.faults.push(new Fault('definition', message, node.at));
  }
  return null;
}

export function isFeatureType({ type }: Expression, node: SqlNode, faults: Fault[]): boolean {
  if (isScalar(type) || type.kind === 'map' || (type.kind === 'list' && isScalar(type.of.type))) return true;
  const message = `a feature is a scalar or a list of scalars, and ${node.text} is ${typeName(type)}; ${scalarHint(type, node.text)}`;
  faults.push(new Fault('definition', message, node.at));
  return false;
}

/** Equal aggregates of a set are stored once, under the first one's name. */
function storeOnce(aggregate: Aggregate, event: EventType, aggregates: Map<string, Aggregate>): Aggregate {
  const plan: Plan = { events: [event], entities: [], aggregates: [], sets: [], features: [], latenessMs: 0 };
  const hash = aggregateHash(aggregate, plan);
  const stored = aggregates.get(hash) ?? aggregate;
  aggregates.set(hash, stored);
  return stored;
}
