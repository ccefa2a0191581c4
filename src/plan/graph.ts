import type { Expression } from './expression.ts';
import { walk } from './expression.ts';
import type { Aggregate, EventType, Feature, Plan } from './plan.ts';
import type { Type } from './value.ts';

/** What stands on what in a plan, by names: `event.feature`, `set:feature`, and aggregates as the plan calls them. */
export interface Graph {
  features: GraphFeature[];
  aggregates: GraphAggregate[];
}

export interface GraphFeature {
  name: string;
  /** An input or a feature of an event, or what is looked up by key. */
  kind: 'input' | 'feature' | 'lookup';
  type: Type;
  description: string;
  /** Features that it is made of, and aggregates. */
  reads: string[];
  readsAggregates: string[];
  /** Aggregates of which it is a key, the value or the condition. */
  writes: string[];
  /** All that has other values, or may have, once its definition is another one; itself is not among them. */
  recomputes: string[];
}

export interface GraphAggregate {
  name: string;
  /** The event type that writes it. */
  event: string;
  fn: string;
  writtenBy: string[];
  readBy: string[];
}

/**
 *   1. nodes   inputs and columns of events, aggregates, features of sets; each with what it is directly made of
 *   2. turn    what each of them is directly part of
 *   3. reach   from each on, to the end
 */
export function graphOf(plan: Plan): Graph {
  const nodes = nodesOf(plan);
  const partOf = new Map<string, string[]>([...nodes.keys()].map(name => [name, []]));
  for (const [name, { madeOf }] of nodes) for (const part of madeOf) partOf.get(part)!.push(name);
  const features: GraphFeature[] = [];
  for (const [name, { madeOf, subject }] of nodes) {
    if (!subject) continue;
    const isAggregate = (other: string) => nodes.get(other)!.aggregate !== null;
    features.push({
      ...{ name, ...subject },
      reads: madeOf.filter(part => !isAggregate(part)),
      readsAggregates: madeOf.filter(isAggregate).map(bare),
      writes: partOf.get(name)!.filter(isAggregate).map(bare),
      recomputes: reachedFrom(name, partOf).filter(other => nodes.get(other)!.subject !== null),
    });
  }
  const aggregates = [...nodes].flatMap(([key, { aggregate, madeOf }]) => {
    if (!aggregate) return [];
    const { name, event, fn } = aggregate;
    return [{ name, event, fn: fn.name, writtenBy: madeOf.map(bare), readBy: partOf.get(key)!.map(bare) }];
  });
  return { features, aggregates };
}

/** An aggregate may be called as a feature is: among nodes its name begins with what no name has. */
const MARK = '\u0000';

function bare(node: string): string {
  return node.startsWith(MARK) ? node.slice(1) : node;
}

interface Node {
  madeOf: string[];
  subject: Pick<GraphFeature, 'kind' | 'type' | 'description'> | null;
  aggregate: Aggregate | null;
}

function nodesOf(plan: Plan): Map<string, Node> {
  const nodes = new Map<string, Node>();
  for (const event of plan.events) addEvent(event, nodes);
  for (const aggregate of plan.aggregates) {
    const event = plan.events.find(({ name }) => name === aggregate.event)!;
    const { keys, where, fn } = aggregate;
    const madeOf = partsOf([...keys, ...(where ? [where] : []), ...fn.args], event);
    nodes.set(MARK + aggregate.name, { madeOf, subject: null, aggregate });
  }
  for (const { name, expression, description } of plan.features as Feature[]) {
    const subject = { kind: 'lookup', type: expression.type, description } as const;
    nodes.set(name, { madeOf: partsOf([expression], null), subject, aggregate: null });
  }
  return nodes;
}

function addEvent(event: EventType, nodes: Map<string, Node>): void {
  const described = new Map(event.features?.map(({ column, description }) => [column, description]));
  for (const { name, type, path } of event.inputs) {
    const subject = { kind: 'input', type, description: described.get(name) ?? `$.${path.join('.')}` } as const;
    nodes.set(`${event.name}.${name}`, { madeOf: [], subject, aggregate: null });
  }
  for (const { name, expression } of event.columns) {
    const description = described.get(name);
    if (description === undefined) continue;
    const subject = { kind: 'feature', type: expression.type, description } as const;
    nodes.set(`${event.name}.${name}`, { madeOf: partsOf([expression], event), subject, aggregate: null });
  }
}

/** @param event whose scope the expressions are in; null for that of an entity, whose columns are features */
function partsOf(expressions: Expression[], event: EventType | null): string[] {
  const parts = new Set<string>();
  const visit = (expression: Expression) =>
    walk(expression, node => {
      if (node.kind === 'read') parts.add(MARK + node.read.aggregate);
      if (node.kind !== 'column') return;
      if (!event) parts.add(node.name);
      else if (event.inputs.some(({ name }) => name === node.name)) parts.add(`${event.name}.${node.name}`);
      else {
        // What no author has written is called after what it belongs to.
        const [written] = node.name.split('$');
        const column = event.columns.find(({ name }) => name === node.name);
        const isShown = event.features?.some(feature => feature.column === written);
        if (isShown) parts.add(`${event.name}.${written}`);
        else if (column) visit(column.expression);
      }
    });
  for (const expression of expressions) visit(expression);
  return [...parts];
}

function reachedFrom(start: string, edges: Map<string, string[]>): string[] {
  const reached = new Set<string>();
  const waiting = [...edges.get(start)!];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (reached.has(name) || name === start) continue;
    reached.add(name);
    waiting.push(...edges.get(name)!);
  }
  return [...edges.keys()].filter(name => reached.has(name));
}
