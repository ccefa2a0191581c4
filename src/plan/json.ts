import { Fault } from '../base/fault.ts';
import type { Plan } from './plan.ts';
import type { Type, Value } from './value.ts';

/**
 * A plan as JSON, which has neither int64 nor all doubles: 1 as a bigint is written `"1n"`, and `"-0"`, `"Infinity"` and
 * `"NaN"` are the doubles. What a text in their place means is said by the type beside it.
 */
export function planJson(plan: Plan): string {
  return JSON.stringify(plan, (_name, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value !== 'number' || (Number.isFinite(value) && !Object.is(value, -0))) return value;
    return Object.is(value, -0) ? '-0' : String(value);
  });
}

/**
 * What `planJson` wrote, exactly as it was.
 *
 * @param where it was read, for who has to look there
 * @throws Fault `corrupt` where the text is none of its
 */
export function readPlan(text: string, where = 'the plan in the database'): Plan {
  try {
    const plan = restored(parse(text));
    if (!isPlan(plan)) throw notPlan('it has no events, entities, aggregates, sets and features');
    return plan;
  } catch (error) {
    if (error instanceof Fault) throw new Fault('corrupt', `${where} cannot be read: ${error.message}`);
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw notPlan((error as Error).message);
  }
}

const LISTS = ['events', 'entities', 'aggregates', 'sets', 'features'] as const;

function isPlan(plan: unknown): plan is Plan {
  if (!isObject(plan) || typeof plan.latenessMs !== 'number') return false;
  return LISTS.every(list => {
    const named = plan[list];
    return Array.isArray(named) && named.every(one => isObject(one) && typeof one.name === 'string');
  });
}

/** From the top down, so that what is inside a value is never taken for a part of the plan. */
function restored(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(restored);
  if (!isObject(node)) return node;
  const { type, presence } = node;
  if (isObject(type) && node.kind === 'literal')
    return { ...restoredMembers(node, 'value'), value: restoredValue(node.value, type as Type) };
  if (isObject(type) && isObject(presence) && presence.kind === 'default')
    return {
      ...restoredMembers(node, 'presence'),
      presence: { ...presence, value: restoredValue(presence.value, type as Type) },
    };
  return restoredMembers(node);
}

function restoredMembers(node: Record<string, unknown>, but?: string): Record<string, unknown> {
  const members = Object.entries(node).map(([name, member]) => [name, name === but ? member : restored(member)]);
  return Object.fromEntries(members);
}

function restoredValue(value: unknown, type: Type): Value {
  if (value === null) return null;
  switch (type.kind) {
    case 'bool':
      if (typeof value === 'boolean') return value;
      break;
    case 'string':
      if (typeof value === 'string') return value;
      break;
    case 'double':
      if (typeof value === 'number' || (typeof value === 'string' && DOUBLES.includes(value))) return Number(value);
      break;
    case 'int64':
    case 'time':
      if (typeof value === 'string' && /^-?\d+n$/.test(value)) return BigInt(value.slice(0, -1));
      break;
    case 'list':
      if (Array.isArray(value)) return value.map(item => restoredValue(item, type.of.type));
      break;
    case 'map':
      if (isObject(value)) return restoredEntries(value, () => type.of.type);
      break;
    case 'struct':
      if (isObject(value)) return restoredEntries(value, name => type.fields.find(field => field.name === name)?.type);
      break;
  }
  throw notPlan(`${JSON.stringify(value)} is no ${type.kind}`);
}

const DOUBLES = ['-0', 'Infinity', '-Infinity', 'NaN'];

function restoredEntries(value: Record<string, unknown>, typeOf: (name: string) => Type | undefined): Value {
  const entries = Object.entries(value).map(([name, member]): [string, Value] => {
    const type = typeOf(name);
    if (!type) throw notPlan(`a struct has a member ${JSON.stringify(name)} of no type`);
    return [name, restoredValue(member, type)];
  });
  return Object.fromEntries(entries);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notPlan(why: string): Fault {
  return new Fault('corrupt', why);
}
