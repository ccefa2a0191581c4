import { unreachable } from '../../base/assert.ts';
import type { Position } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import type { Expression, FunctionName } from '../../plan/expression.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME } from '../../plan/value.ts';
import { call, isNullLiteral, literal, nullLiteral } from '../typing.ts';
import { AGGREGATES } from './aggregates.ts';
import type { Bound, Scope, Operator } from './bound.ts';
import {
  adapt,
  agree,
  chosen,
  compare,
  contains,
  ERRORS,
  firstError,
  isNumber,
  joined,
  made,
  pure,
  refuse,
  wantBool,
} from './bound.ts';
import { FUNCTIONS, functionNamed, type ScowlFunction } from './library.ts';
import { typeText } from './slot.ts';
import type { BinarySymbol, CallNode, Node } from './tree.ts';
import { CLAUSES } from './tree.ts';

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

const NANOS_PER_MICRO = 1000n;

/** A node as an expression of the plan; null where it put a fault into `faults`, or stands on something that did. */
export function bind(node: Node, scope: Scope): Bound | null {
  const at = scope.place(node.start, node.end);
  switch (node.kind) {
    case 'literal':
      return bindLiteral(node.value, at, scope);
    case 'duration':
      if (node.nanos <= INT64_MAX) return pure(literal(node.nanos, INT64, at));
      return refuse('a duration is at most 292 years: it counts nanoseconds in an int', at, scope);
    case 'name': {
      const bound = scope.name(node);
      return bound && scope.looksThrough ? { ...bound, error: scope.errorOf(node.name) } : bound;
    }
    case 'field':
      return bindField(node, scope, at);
    case 'index':
      return bindIndex(node, scope, at);
    case 'list':
      return bindList(node, scope, at);
    case 'unary':
      return node.symbol === '-' ? bindNegative(node, scope, at) : bindNot(node, scope, at);
    case 'binary':
      return bindBinary(node, scope, at);
    case 'in':
      return bindIn(node, scope, at);
    case 'isNull': {
      const of = bind(node.of, scope);
      if (!of) return null;
      const isNull = call('isNull', [of.value], BOOL, at);
      return { value: node.negated ? call('not', [isNull], BOOL, at) : isNull, error: of.error };
    }
    case 'case':
      return bindCase(node, scope, at);
    case 'call':
      return bindCall(node, scope, at);
    case 'path':
      return refuse('a path stands alone behind :=, with its type: name := $.member as string', at, scope);
    default:
      return unreachable(node);
  }
}

function bindLiteral(value: null | boolean | bigint | number | string, at: Position, scope: Scope): Bound | null {
  switch (typeof value) {
    case 'bigint':
      if (value <= INT64_MAX) return pure(literal(value, INT64, at));
      return refuse(`${value} is beyond int; with a point (${value}.0) it is a float`, at, scope);
    case 'number':
      return pure(literal(value, DOUBLE, at));
    case 'string':
      return pure(literal(value, STRING, at));
    case 'boolean':
      return pure(literal(value, BOOL, at));
    default:
      return pure(nullLiteral(INT64, at));
  }
}

function bindField(node: Node & { kind: 'field' }, scope: Scope, at: Position): Bound | null {
  const of = bind(node.of, scope);
  if (!of) return null;
  const { name, start, end } = node.name;
  const { type } = of.value;
  const where = scope.place(start, end);
  if (type.kind !== 'struct') {
    const isMap = type.kind === 'map' ? `: the values of a map are taken by its keys, ['${name}']` : '';
    const isMethod = functionNamed(name) ? `: a function is called, ${name}(...)` : '';
    return refuse(`${typeText(type)} has no fields${isMap || isMethod}`, where, scope);
  }
  const field = type.fields.find(each => each.name === name);
  if (!field) {
    const names = type.fields.map(each => each.name);
    const hint = didYouMean(name, names) || `; it has ${names.join(', ')}`;
    return refuse(`${typeText(type)} has no field "${name}"${hint}`, where, scope);
  }
  return { value: { kind: 'field', of: of.value, name, type: field.type, at }, error: of.error };
}

function bindIndex(node: Node & { kind: 'index' }, scope: Scope, at: Position): Bound | null {
  const [of, by] = [bind(node.of, scope), bind(node.by, scope)];
  if (!of || !by) return null;
  const { type } = of.value;
  if (type.kind !== 'list' && type.kind !== 'map')
    return refuse(`${typeText(type)} has no elements: [ ] takes those of a list or of a map`, at, scope);
  const wanted = type.kind === 'list' ? INT64 : type.key;
  const index = isNullLiteral(by.value) ? nullLiteral(wanted, by.value.at) : by.value;
  if (index.type.kind !== wanted.kind) {
    const message = `[ ] of a ${type.kind} wants ${typeText(wanted)}, got ${typeText(index.type)}`;
    return refuse(message, scope.place(node.by.start, node.by.end), scope);
  }
  const value: Expression = { kind: 'index', of: of.value, by: index, type: type.of.type, at };
  return { value, error: firstError([of.error, by.error], at) };
}

/** A list of literals is a literal. */
function bindList(node: Node & { kind: 'list' }, scope: Scope, at: Position): Bound | null {
  const items = bindAll(node.items, scope);
  const same = items && agree(items, node.items, '[ ]', scope);
  if (!same) return null;
  const values = same.values.map(({ value }) => foldedLiteral(value));
  const odd = values.indexOf(null);
  if (odd >= 0) {
    const message = 'a list is made of literals only; behind in it may have others';
    return refuse(message, scope.place(node.items[odd]!.start, node.items[odd]!.end), scope);
  }
  const of = { type: same.type, presence: { kind: 'optional' } as const };
  return pure(
    literal(
      values.map(value => value!.value),
      { kind: 'list', of },
      at,
    ),
  );
}

/** The literal that a value is, or that an int beside floats became. */
function foldedLiteral(value: Expression): (Expression & { kind: 'literal' }) | null {
  if (value.kind === 'literal') return value;
  const inner = value.kind === 'call' && value.fn === 'toDouble' ? value.args[0]! : null;
  if (inner?.kind !== 'literal' || inner.type.kind === 'string') return null;
  return { ...inner, value: Number(inner.value), type: DOUBLE };
}

function bindAll(nodes: Node[], scope: Scope): Bound[] | null {
  const bound = nodes.map(node => bind(node, scope));
  return bound.includes(null) ? null : (bound as Bound[]);
}

function bindNegative(node: Node & { kind: 'unary' }, scope: Scope, at: Position): Bound | null {
  if (node.of.kind === 'literal' && typeof node.of.value === 'bigint' && -node.of.value >= INT64_MIN)
    return pure(literal(-node.of.value, INT64, at));
  const of = bind(node.of, scope);
  if (!of) return null;
  const { value } = of;
  if (value.kind === 'literal' && typeof value.value === 'number') return pure(literal(-value.value, DOUBLE, at));
  if (!isNumber(value.type)) return refuse(`- wants int or float, got ${typeText(value.type)}`, at, scope);
  return made(call('negate', [value], value.type, at), [of], value.type.kind === 'int64' ? ERRORS.int : null, at);
}

function bindNot(node: Node & { kind: 'unary' }, scope: Scope, at: Position): Bound | null {
  const of = bindCondition(node.of, 'not', scope);
  return of && { value: call('not', [of.value], BOOL, at), error: of.error };
}

function bindCondition(node: Node, what: string, scope: Scope): Bound | null {
  const bound = bind(node, scope);
  return bound && wantBool(bound, node, what, scope);
}

const COMPARISONS: Partial<Record<BinarySymbol, FunctionName>> = {
  '=': 'equal',
  '!=': 'notEqual',
  '<': 'less',
  '<=': 'lessOrEqual',
  '>': 'greater',
  '>=': 'greaterOrEqual',
};

const ARITHMETIC: Partial<Record<BinarySymbol, FunctionName>> = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
  '%': 'modulo',
};

function bindBinary(node: Node & { kind: 'binary' }, scope: Scope, at: Position): Bound | null {
  const { symbol, operator } = node;
  if (symbol === 'and' || symbol === 'or') {
    const sides = [node.left, node.right].map(side => bindCondition(side, symbol, scope));
    return sides.includes(null) ? null : joined(symbol, sides as Bound[], at);
  }
  const sides = bindAll([node.left, node.right], scope);
  if (!sides) return null;
  const [left, right] = sides as [Bound, Bound];
  const fn = COMPARISONS[symbol];
  if (fn) return compare(fn, left, right, { symbol, at: scope.place(operator.start, operator.end) }, at, scope);
  return arithmetic(symbol, left, right, node, scope, at);
}

function arithmetic(
  symbol: BinarySymbol,
  left: Bound,
  right: Bound,
  node: Node & { kind: 'binary' },
  scope: Scope,
  at: Position,
): Bound | null {
  const isTime = [left, right].some(({ value }) => value.type.kind === 'time');
  if (isTime) return timeArithmetic(symbol, left, right, node, scope, at);
  const kinds = [left, right].map(({ value }) => (isNullLiteral(value) ? null : value.type.kind));
  if (symbol === '+' && kinds.includes('string') && kinds.every(kind => kind === 'string' || kind === null)) {
    const texts = [left.value, right.value].map(value => adapt(value, STRING, scope)!);
    return made(call('concat', texts, STRING, at), [left, right], ERRORS.text, at);
  }
  for (const [i, side] of [left, right].entries()) {
    const { kind } = side.value.type;
    if (kind === 'int64' || (kind === 'double' && symbol !== '%')) continue;
    const wanted = symbol === '%' ? 'int' : 'int or float';
    const hint = kind === 'bool' ? ': write If(x, 1, 0)' : kind === 'string' && symbol === '+' ? ': write Concat' : '';
    const { start, end } = i === 0 ? node.left : node.right;
    const message = `${symbol} wants ${wanted}, got ${typeText(side.value.type)}${hint}`;
    return refuse(message, scope.place(start, end), scope);
  }
  const isDouble = kinds.includes('double') || symbol === '/';
  const value = call(ARITHMETIC[symbol]!, [left.value, right.value], isDouble ? DOUBLE : INT64, at);
  const fails = symbol === '/' || symbol === '%' ? ERRORS.zero : isDouble ? null : ERRORS.int;
  return made(value, [left, right], fails, at);
}

/** Durations are nanoseconds in an int; times know microseconds, and what is less is cut off. */
function timeArithmetic(
  symbol: BinarySymbol,
  left: Bound,
  right: Bound,
  node: Node & { kind: 'binary' },
  scope: Scope,
  at: Position,
): Bound | null {
  const a = adapt(left.value, symbol === '-' ? TIME : INT64, scope);
  const b = adapt(right.value, symbol === '-' && right.value.kind !== 'literal' ? right.value.type : TIME, scope);
  const [x, y] = [a ?? left.value, b ?? right.value];
  if (!a || !b) return null;
  if (symbol === '-' && x.type.kind === 'time' && y.type.kind === 'time') {
    const micros = call('dateDiff', [literal('microsecond', STRING, at), y, x], INT64, at);
    const nanos = call('multiply', [micros, literal(NANOS_PER_MICRO, INT64, at)], INT64, at);
    return made(nanos, [left, right], ERRORS.int, at);
  }
  if (symbol === '-' && x.type.kind === 'time' && y.type.kind === 'int64')
    return shifted({ ...left, value: x }, { ...right, value: y }, -NANOS_PER_MICRO, at);
  const isSum = symbol === '+' && [x, y].some(side => side.type.kind === 'int64');
  if (isSum && x.type.kind === 'time') return shifted(left, right, NANOS_PER_MICRO, at);
  if (isSum) return shifted(right, left, NANOS_PER_MICRO, at);
  const { start, end } = node.operator;
  const got = `${typeText(left.value.type)} ${symbol} ${typeText(right.value.type)}`;
  const message = `${got} is nothing: a time takes + and - of a duration (nanoseconds, like 1 hour), and - of a time`;
  return refuse(message, scope.place(start, end), scope);
}

function shifted(time: Bound, nanos: Bound, divisor: bigint, at: Position): Bound {
  const micros = call('quotient', [nanos.value, literal(divisor, INT64, at)], INT64, at);
  return made(call('addMicros', [time.value, micros], TIME, at), [time, nanos], ERRORS.time, at);
}

/** x in [a, b] -> x = a or x = b; a balanced tree, so that a long list stays shallow. */
function bindIn(node: Node & { kind: 'in' }, scope: Scope, at: Position): Bound | null {
  const of = bind(node.of, scope);
  const symbol = { symbol: 'in', at: scope.place(node.operator.start, node.operator.end) };
  const negated = (bound: Bound | null) =>
    bound && node.negated ? { ...bound, value: call('not', [bound.value], BOOL, at) } : bound;
  if (node.list.kind !== 'list') return negated(bindInList(node.list, of, symbol, scope, at));
  const items = bindAll(node.list.items, scope);
  if (!of || !items) return null;
  if (items.length === 0) return negated({ value: literal(false, BOOL, at), error: of.error });
  const equals = items.map(item => compare('equal', of, item, symbol, at, scope));
  if (equals.includes(null)) return null;
  const value = anyOf(
    equals.map(bound => bound!.value),
    at,
  );
  return negated({ value, error: firstError([of.error, ...items.map(item => item.error)], at) });
}

function anyOf(conditions: Expression[], at: Position): Expression {
  if (conditions.length === 1) return conditions[0]!;
  const half = conditions.length >> 1;
  return call('or', [anyOf(conditions.slice(0, half), at), anyOf(conditions.slice(half), at)], BOOL, at);
}

function bindInList(node: Node, of: Bound | null, symbol: Operator, scope: Scope, at: Position): Bound | null {
  const list = bind(node, scope);
  if (!list || !of) return null;
  if (list.value.type.kind === 'list') return contains(list, of, symbol.symbol, symbol.at, at, scope);
  const hint = list.value.type.kind === 'string' ? '; write Contains(text, part)' : '';
  return refuse(`in wants a list, got ${typeText(list.value.type)}${hint}`, scope.place(node.start, node.end), scope);
}

function bindCase(node: Node & { kind: 'case' }, scope: Scope, at: Position): Bound | null {
  const { name, start, end } = node.fn;
  if (name !== 'Case' || !node.isBare) {
    const message = `when belongs to Case(when condition then value ... default value), got ${name}`;
    return refuse(message, scope.place(start, end), scope);
  }
  if (node.whens.length > CASES_MAX) {
    const message = `Case has ${node.whens.length} conditions, and at most ${CASES_MAX} are read`;
    return refuse(message, scope.place(start, end), scope);
  }
  const conditions = node.whens.map(({ when }) => bindCondition(when, 'when', scope));
  const thens = node.whens.map(({ value }) => value);
  const nodes = node.otherwise ? [...thens, node.otherwise] : thens;
  const values = bindAll(nodes, scope);
  if (!values || conditions.includes(null)) return null;
  return chosen(conditions as Bound[], values, nodes, 'Case', scope, at);
}

/** Each condition takes a step of its error down with it. */
export const CASES_MAX = 200;

function bindCall(node: CallNode, scope: Scope, at: Position): Bound | null {
  const { name, start, end } = node.fn;
  if (AGGREGATES.has(name)) return scope.aggregate(node);
  const where = scope.place(start, end);
  const fn = functionNamed(name);
  if (!fn) {
    const known = [...FUNCTIONS.map(each => each.name), ...AGGREGATES.keys()];
    return refuse(`unknown function "${name}"${didYouMean(name, known)}`, where, scope);
  }
  const clause = CLAUSES.find(each => node.clauses[each] !== null);
  if (clause || node.events)
    return refuse(`${clause ?? '<event>'} belongs to aggregates, and ${name} is none`, where, scope);
  const required = fn.required ?? fn.params.length;
  if (node.args.length < required || (node.args.length > fn.params.length && !fn.repeats))
    return refuse(`${name} wants ${wanted(fn)}, got ${node.args.length}`, where, scope);
  return fn.bind(node.args, { fn, at, scope, bind });
}

function wanted({ params, required = params.length, repeats }: ScowlFunction): string {
  if (params.length === 0) return 'no arguments';
  const names = params.map(({ name }) => name).join(', ');
  const count = repeats ? `${required} arguments or more` : required === 1 && params.length === 1 ? '1 argument' : '';
  const range = required === params.length ? `${required} arguments` : `${required} to ${params.length} arguments`;
  return `${count || range} (${names})`;
}
