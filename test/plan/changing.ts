/** Plans in which one definition is another, and what stands on it, found by names alone. */
import type { Expression } from '../../src/plan/expression.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import type { Random } from '../sim/random.ts';

/** Means something else, is of the same type, and as a rule of another value. */
export function changeOne(plan: Plan, rng: Random): string {
  const event = rng.pick(plan.events);
  const aggregate = plan.aggregates.length > 0 ? rng.pick(plan.aggregates) : null;
  if (aggregate && rng.chance(0.3)) {
    const [key] = aggregate.keys;
    if (key && rng.chance(0.5))
      aggregate.where = { kind: 'call', fn: 'isNull', args: [key], type: { kind: 'bool' }, at: null };
    else aggregate.fn = { ...aggregate.fn, params: [...aggregate.fn.params, 1] };
    return `~${aggregate.name}`;
  }
  if (event.columns.length > 0 && rng.chance(0.8)) {
    const column = rng.pick(event.columns);
    const old = column.expression;
    column.expression = { kind: 'call', fn: 'coalesce', args: [old, literalOf(old)], type: old.type, at: null };
    return `${event.name}.${column.name}`;
  }
  const input = rng.pick(event.inputs);
  input.path = ['other', ...input.path];
  return `${event.name}.${input.name}`;
}

function literalOf({ type }: Expression): Expression {
  const values: Record<string, Value> = { int64: 77n, double: 0.5, string: 'other', bool: true, time: 5n, list: [] };
  return { kind: 'literal', value: values[type.kind]!, type, at: null };
}

/** By name, what each column, input or aggregate of a plan is directly made of: `event.column`, `~aggregate`. */
function madeOf(plan: Plan): Map<string, string[]> {
  const parts = new Map<string, string[]>();
  for (const { name, inputs, columns, onFault } of plan.events) {
    const gate = onFault === 'reject' ? inputs.map(input => `${name}.${input.name}`) : [];
    for (const input of inputs) parts.set(`${name}.${input.name}`, gate);
    for (const column of columns) parts.set(`${name}.${column.name}`, [...gate, ...named(column.expression, name)]);
    for (const { name: aggregate, event, at: _at, ...counted } of plan.aggregates)
      if (event === name) parts.set(`~${aggregate}`, [...gate, ...named(counted, name)]);
  }
  return parts;
}

/** Names in any tree of the plan. */
function named(node: unknown, event: string): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const { kind, name, aggregate } = node as Record<string, unknown>;
  const below = Object.values(node).flatMap(child => named(child, event));
  if (kind === 'column') return [`${event}.${name}`, ...below];
  return typeof aggregate === 'string' ? [`~${aggregate}`, ...below] : below;
}

/** All that stands on a definition, and itself. */
export function reachedFrom(start: string, plan: Plan): Set<string> {
  const parts = madeOf(plan);
  const reached = new Set([start]);
  for (let before = 0; before < reached.size; ) {
    before = reached.size;
    for (const [name, of] of parts) if (of.some(part => reached.has(part))) reached.add(name);
  }
  return reached;
}
