import { Fault } from '../../base/fault.ts';
import { AGGREGATES } from './aggregates.ts';
import { lineText } from './slot.ts';
import type { Definition } from './desk.ts';
import type { CallNode, Node } from './tree.ts';
import { nodesIn } from './tree.ts';

/** A chain of features each of which is made of the next one: whoever follows it calls itself as often. */
export const CHAIN_MAX = 256;

interface Reference {
  event: string;
  name: string;
}

/**
 * Definitions, each behind those that it is made of; through aggregates too, with what these look up in the writing
 * event. Those of a cycle are left out, and one fault shows it.
 */
export function ordered(
  all: Definition[],
  find: (reference: Reference) => Definition | null,
  faults: Fault[],
): Definition[] {
  const order: Definition[] = [];
  /** On how many, one upon the other, each stands. */
  const depths = new Map<Definition, number>();
  const trail = new Map<Definition, { waiting: Definition[]; depth: number }>();
  for (const first of all) {
    if (!depths.has(first)) trail.set(first, { waiting: madeOf(first, find), depth: 0 });
    for (let top = lastOf(trail); top; top = lastOf(trail)) {
      const [definition, step] = top;
      const next = step.waiting.pop();
      const depth = next && depths.get(next);
      if (depth !== undefined) step.depth = Math.max(step.depth, depth + 1);
      else if (next && trail.has(next)) faults.push(cycleFault([...trail.keys()], next));
      else if (next) trail.set(next, { waiting: madeOf(next, find), depth: 0 });
      else {
        trail.delete(definition);
        depths.set(definition, step.depth);
        const below = lastOf(trail)?.[1];
        if (below) below.depth = Math.max(below.depth, step.depth + 1);
        if (step.depth === CHAIN_MAX) faults.push(chainFault(definition));
        if (step.depth < CHAIN_MAX) order.push(definition);
      }
    }
  }
  return order;
}

function lastOf<K, V>(map: Map<K, V>): [K, V] | null {
  let last: [K, V] | null = null;
  for (const entry of map) last = entry;
  return last;
}

/** In the order in which they are written: the last is looked at first. */
function madeOf({ event, statement }: Definition, find: (reference: Reference) => Definition | null): Definition[] {
  if (statement.kind !== 'feature') return [];
  const references: Reference[] = [];
  refer(statement.expression, event, references);
  return references.flatMap(reference => find(reference) ?? []).reverse();
}

function refer(node: Node, event: string, into: Reference[]): void {
  if (node.kind === 'name') into.push({ event, name: node.name });
  else if (node.kind === 'call' && AGGREGATES.has(node.fn.name)) referAggregate(node, event, into);
  else for (const child of nodesIn(node)) refer(child, event, into);
}

function referAggregate(node: CallNode, reader: string, into: Reference[]): void {
  const { by, where, after } = node.clauses;
  if (after) refer(after.value, reader, into);
  for (const key of by ?? []) refer(key.of, reader, into);
  for (const writer of node.events?.map(({ name }) => name) ?? [reader]) {
    for (const arg of node.args) refer(arg, writer, into);
    if (where) refer(where.value, writer, into);
    for (const { of, as } of by ?? []) {
      if (as) into.push({ event: writer, name: as.name });
      else refer(of, writer, into);
    }
  }
}

function cycleFault(trail: Definition[], next: Definition): Fault {
  const cycle = trail.slice(trail.indexOf(next));
  const [first] = cycle;
  const named = ({ event, name, at }: Definition) => `${event}.${name} (${lineText(at)})`;
  const text = [...cycle.map(named), `${first!.event}.${first!.name}`].join(' -> ');
  return new Fault('definition', `a feature cannot be made of itself: ${text}`, first!.at);
}

function chainFault({ event, name, at }: Definition): Fault {
  const message = `${event}.${name} stands on ${CHAIN_MAX} features, each made of the next one, and no more are read`;
  return new Fault('too_large', message, at);
}
