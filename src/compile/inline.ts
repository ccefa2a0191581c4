import { Fault } from '../base/fault.ts';
import type { Expression } from '../plan/expression.ts';
import { walk } from '../plan/expression.ts';
import type { EventType } from '../plan/plan.ts';
import type { Declared } from './declare.ts';
import type { CompiledSet } from './set/compiled.ts';

/** Nodes of an expression with all that it is computed from: a few columns that stand twice on each other are many. */
export const INLINED_MAX = 10_000;

/**
 * A feature set over an event of a topology, with the event's computed columns written out: its aggregates then look at
 * inputs alone, as those of every feature set do.
 */
export function inlined(compiled: CompiledSet, { events }: Declared, faults: Fault[]): CompiledSet {
  const write = (expression: Expression, event: string): Expression => {
    const declared = events.get(event);
    return declared && declared.columns.length > 0 ? writtenOut(expression, declared, faults) : expression;
  };
  const aggregates = compiled.aggregates.map(aggregate => {
    const { event, fn, keys, where } = aggregate;
    const args = fn.args.map(arg => write(arg, event));
    const own = { keys: keys.map(key => write(key, event)), where: where && write(where, event) };
    return { ...aggregate, ...own, fn: { ...fn, args } };
  });
  const { set } = compiled;
  return { ...compiled, aggregates, set: set && { ...set, keys: set.keys.map(key => write(key, set.event)) } };
}

/** An expression over an event with the event's computed columns written out. */
export function writtenOut(expression: Expression, event: EventType, faults: Fault[]): Expression {
  let count = 0;
  const refuse = (message: string) => faults.push(new Fault('unsupported', message, expression.at));
  const write = (node: Expression): Expression => {
    if (++count > INLINED_MAX) return node;
    switch (node.kind) {
      case 'column': {
        const column = event.columns.find(({ name }) => name === node.name);
        return column ? { ...write(column.expression), at: node.at } : node;
      }
      case 'call':
        return { ...node, args: node.args.map(write) };
      case 'field':
        return { ...node, of: write(node.of) };
      case 'index':
        return { ...node, of: write(node.of), by: write(node.by) };
      default:
        return node;
    }
  };
  const written = write(expression);
  if (count > INLINED_MAX) refuse(`this stands on more than ${INLINED_MAX} operations of ${event.name}`);
  return written;
}

/** Does a column look at more than its event? */
export function standsOnAggregate(name: string, event: EventType, seen = new Set<string>()): boolean {
  const column = event.columns.find(each => each.name === name);
  if (!column || seen.has(name)) return false;
  seen.add(name);
  let isStateful = false;
  walk(column.expression, node => {
    isStateful ||= node.kind === 'read' || node.kind === 'fault';
    if (node.kind === 'column') isStateful ||= standsOnAggregate(node.name, event, seen);
  });
  return isStateful;
}
