import { assert, unreachable } from '../base/assert.ts';
import type { Position } from '../base/fault.ts';
import { Fault } from '../base/fault.ts';
import { parseMicros } from '../base/time.ts';
import type { Expression, FunctionName } from '../plan/expression.ts';
import { children } from '../plan/expression.ts';
import type { Type } from '../plan/value.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME, typeName } from '../plan/value.ts';
import type { SqlNode, Word } from './sql.ts';

/** What the names and the aggregates of an expression mean where it stands. Both put their faults into `faults`. */
export interface Scope {
  name(node: SqlNode & { kind: 'name' }): Expression | null;
  aggregate(node: SqlNode & { kind: 'aggregate' }): Expression | null;
  faults: Fault[];
}

/** How many calls may stand inside each other: the kernels keep a value for each. */
export const EXPRESSION_DEPTH_MAX = 64;
/** How much an expression may come to when IN, BETWEEN and NULLIF are written out: it runs for every event. */
export const EXPRESSION_NODES_MAX = 4096;

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * SQL nodes -> a typed expression of the plan; null where something in it is faulty. A part that is faulty is
 * reported once, and does not hide the faults of other parts.
 */
export function bind(node: SqlNode, scope: Scope): Expression | null {
  const expression = bindNode(node, scope);
  if (!expression) return null;
  const { depth, nodes } = measure(expression, new Map());
  const fault = (message: string) => {
    scope.faults.push(new Fault('too_large', message, node.at));
    return null;
  };
  if (depth > EXPRESSION_DEPTH_MAX)
    return fault(`the expression nests ${depth} calls deep, and at most ${EXPRESSION_DEPTH_MAX} are computed`);
  if (nodes > EXPRESSION_NODES_MAX)
    return fault(`the expression comes to ${nodes} operations, and at most ${EXPRESSION_NODES_MAX} are computed`);
  return expression;
}

/** Also a condition: WHERE and FILTER. */
export function bindCondition(node: SqlNode, scope: Scope, what: string): Expression | null {
  const expression = bind(node, scope);
  return expression && wantBool(expression, node, what, scope.faults);
}

interface Extent {
  depth: number;
  nodes: number;
}

/** Written-out parts share their nodes; each is measured once, and counted wherever it stands. */
function measure(expression: Expression, seen: Map<Expression, Extent>): Extent {
  const known = seen.get(expression);
  if (known) return known;
  const inner = children(expression).map(child => measure(child, seen));
  const extent = {
    depth: 1 + Math.max(0, ...inner.map(e => e.depth)),
    nodes: 1 + inner.reduce((sum, e) => sum + e.nodes, 0),
  };
  seen.set(expression, extent);
  return extent;
}

function bindNode(node: SqlNode, scope: Scope): Expression | null {
  switch (node.kind) {
    case 'literal':
      return bindLiteral(node, scope.faults);
    case 'name':
      return scope.name(node);
    case 'faulty':
      return null;
    case 'aggregate':
      return scope.aggregate(node);
    case 'operator':
      return bindOperator(node, scope);
    case 'in':
      return bindIn(node, scope);
    case 'between':
      return bindBetween(node, scope);
    case 'isNull': {
      const of = bindNode(node.of, scope);
      return of && negatedIf(node.negated, call('isNull', [of], BOOL, node.at), node.at);
    }
    case 'case':
      return bindCase(node, scope);
    case 'coalesce': {
      const args = bindAll(node.args, scope);
      const same = args && unify(args, node.args, 'COALESCE', scope.faults);
      return same && call('coalesce', same.values, same.type, node.at);
    }
    case 'nullif':
      return bindNullif(node, scope);
    case 'cast': {
      const of = bindNode(node.of, scope);
      return of && bindCast(of, node, scope.faults);
    }
    default:
      return unreachable(node);
  }
}

function bindAll(nodes: SqlNode[], scope: Scope): Expression[] | null {
  const bound = nodes.map(node => bindNode(node, scope));
  return bound.includes(null) ? null : (bound as Expression[]);
}

export function call(fn: FunctionName, args: Expression[], type: Type, at: Position): Expression {
  return { kind: 'call', fn, args, type, at };
}

function negatedIf(negated: boolean, expression: Expression, at: Position): Expression {
  return negated ? call('not', [expression], BOOL, at) : expression;
}

function bindLiteral(node: SqlNode & { kind: 'literal' }, faults: Fault[]): Expression | null {
  const { value, at } = node;
  switch (typeof value) {
    case 'bigint':
      if (value >= INT64_MIN && value <= INT64_MAX) return { kind: 'literal', value, type: INT64, at };
      faults.push(new Fault('definition', `${value} is beyond int64; with a point (${value}.0) it is a double`, at));
      return null;
    case 'number':
      return { kind: 'literal', value, type: DOUBLE, at };
    case 'string':
      return { kind: 'literal', value, type: STRING, at };
    case 'boolean':
      return { kind: 'literal', value, type: BOOL, at };
    default:
      return nullLiteral(INT64, at);
  }
}

/** NULL has no type of its own: it takes that of its neighbours, and is int64 where it has none. */
function nullLiteral(type: Type, at: Position | null): Expression {
  return { kind: 'literal', value: null, type, at };
}

function isNullLiteral(expression: Expression): boolean {
  return expression.kind === 'literal' && expression.value === null;
}

function bindOperator(node: SqlNode & { kind: 'operator' }, scope: Scope): Expression | null {
  const args = bindAll(node.args, scope);
  if (!args) return null;
  const { fn, symbol, at } = node;
  switch (fn) {
    case 'and':
    case 'or':
    case 'not': {
      const conditions = args.map((arg, i) => wantBool(arg, node.args[i]!, symbol.name, scope.faults));
      return conditions.includes(null) ? null : call(fn, conditions as Expression[], BOOL, at);
    }
    case 'add':
    case 'subtract':
    case 'multiply':
    case 'divide':
    case 'modulo':
    case 'negate':
      return arithmetic(fn, args, node, scope.faults);
    default:
      assert(args.length === 2, `${fn} is no comparison`);
      return compare(fn, args[0]!, args[1]!, symbol, at, scope.faults);
  }
}

function wantBool(expression: Expression, node: SqlNode, what: string, faults: Fault[]): Expression | null {
  if (isNullLiteral(expression)) return nullLiteral(BOOL, expression.at);
  if (expression.type.kind === 'bool') return expression;
  const hint = expression.type.kind === 'int64' ? `; write ${node.text} <> 0` : '';
  const message = `${what} wants a condition (bool), got ${typeName(expression.type)}${hint}`;
  faults.push(new Fault('definition', message, node.at));
  return null;
}

function arithmetic(
  fn: FunctionName,
  args: Expression[],
  node: SqlNode & { kind: 'operator' },
  faults: Fault[],
): Expression | null {
  let whole = true;
  for (const [i, { type }] of args.entries()) {
    const { text, at } = node.args[i]!;
    if (type.kind === 'int64' || (type.kind === 'double' && fn !== 'modulo')) continue;
    const wanted = fn === 'modulo' ? 'int64' : 'int64 or double';
    const hint = type.kind === 'bool' ? `: write CASE WHEN ${text} THEN 1 ELSE 0 END` : '';
    const message = `${node.symbol.name} wants ${wanted}, got ${typeName(type)}${hint}`;
    faults.push(new Fault('definition', message, at));
    whole = false;
  }
  if (!whole) return null;
  const isDouble = fn === 'divide' || args.some(arg => arg.type.kind === 'double');
  return call(fn, args, isDouble ? DOUBLE : INT64, node.at);
}

/** A comparison of two values of one kind; a text beside a time is read as a time. */
function compare(
  fn: FunctionName,
  left: Expression,
  right: Expression,
  symbol: Word,
  at: Position,
  faults: Fault[],
): Expression | null {
  const a = adapt(left, right.type, faults);
  const b = a && adapt(right, a.type, faults);
  if (!a || !b) return null;
  const kinds = [a.type.kind, b.type.kind];
  if (a.type.kind === b.type.kind || kinds.every(kind => kind === 'int64' || kind === 'double'))
    return call(fn, [a, b], BOOL, at);
  const hint = kinds.includes('bool') && kinds.includes('int64') ? '; a bool is a condition already' : '';
  const message = `${symbol.name} compares values of one type, got ${typeName(a.type)} and ${typeName(b.type)}${hint}`;
  faults.push(new Fault('definition', message, symbol.at));
  return null;
}

/** Lets a literal take the type of what it is compared with. */
function adapt(expression: Expression, type: Type, faults: Fault[]): Expression | null {
  if (isNullLiteral(expression)) return nullLiteral(type, expression.at);
  const isText = expression.kind === 'literal' && typeof expression.value === 'string';
  if (!isText || type.kind !== 'time') return expression;
  const text = String(expression.value);
  const value = parseMicros(text) ?? parseMicros(`${text}T00:00:00Z`);
  if (value !== null) return { kind: 'literal', value, type: TIME, at: expression.at };
  const message = `'${text}' is no time; wanted one like '2001-01-31' or '2001-01-31T08:30:00Z'`;
  faults.push(new Fault('definition', message, expression.at));
  return null;
}

/** x IN (a, b) -> x = a OR x = b; a balanced tree, so that a long list stays shallow. */
function bindIn(node: SqlNode & { kind: 'in' }, scope: Scope): Expression | null {
  const of = bindNode(node.of, scope);
  const list = bindAll(node.list, scope);
  if (!of || !list) return null;
  const equals = list.map(item => compare('equal', of, item, node.symbol, node.at, scope.faults));
  if (equals.includes(null)) return null;
  return negatedIf(node.negated, anyOf(equals as Expression[], node.at), node.at);
}

function anyOf(conditions: Expression[], at: Position): Expression {
  if (conditions.length === 1) return conditions[0]!;
  const half = conditions.length >> 1;
  return call('or', [anyOf(conditions.slice(0, half), at), anyOf(conditions.slice(half), at)], BOOL, at);
}

function bindBetween(node: SqlNode & { kind: 'between' }, scope: Scope): Expression | null {
  const args = bindAll([node.of, node.low, node.high], scope);
  if (!args) return null;
  const [of, low, high] = args as [Expression, Expression, Expression];
  const from = compare('greaterOrEqual', of, low, node.symbol, node.at, scope.faults);
  const to = compare('lessOrEqual', of, high, node.symbol, node.at, scope.faults);
  return from && to && negatedIf(node.negated, call('and', [from, to], BOOL, node.at), node.at);
}

function bindCase(node: SqlNode & { kind: 'case' }, scope: Scope): Expression | null {
  const operand = node.operand && bindNode(node.operand, scope);
  const conditions: (Expression | null)[] = [];
  const results: (Expression | null)[] = [];
  for (const { when, result } of node.whens) {
    const bound = bindNode(when, scope);
    if (!bound || !node.operand) conditions.push(bound && wantBool(bound, when, 'WHEN', scope.faults));
    else
      conditions.push(
        operand && compare('equal', operand, bound, { name: 'CASE', at: when.at }, when.at, scope.faults),
      );
    results.push(bindNode(result, scope));
  }
  if (node.otherwise) results.push(bindNode(node.otherwise, scope));
  if (results.includes(null)) return null;
  const written = [...node.whens.map(({ result }) => result), ...(node.otherwise ? [node.otherwise] : [])];
  const same = unify(results as Expression[], written, 'CASE', scope.faults);
  if (!same || conditions.includes(null)) return null;
  const args = conditions.flatMap((condition, i) => [condition as Expression, same.values[i]!]);
  const otherwise = node.otherwise ? same.values.at(-1)! : nullLiteral(same.type, node.at);
  return call('case', [...args, otherwise], same.type, node.at);
}

/** Values that stand for each other get one type: nulls adapt, and beside a double an int64 becomes one. */
function unify(
  values: Expression[],
  nodes: SqlNode[],
  what: string,
  faults: Fault[],
): { values: Expression[]; type: Type } | null {
  const typed = values.filter(value => !isNullLiteral(value));
  const isNumber = ({ type }: Expression) => type.kind === 'int64' || type.kind === 'double';
  const type =
    typed.length > 0 && typed.every(isNumber) && typed.some(v => v.type.kind === 'double') ? DOUBLE : typed[0]?.type;
  if (!type) return { values, type: INT64 };
  const odd = values.findIndex(value => {
    const fits = value.type.kind === type.kind || (type.kind === 'double' && isNumber(value));
    return !isNullLiteral(value) && !fits;
  });
  if (odd >= 0) {
    const message = `${what} wants values of one type, got ${typeName(type)} and ${typeName(values[odd]!.type)}`;
    faults.push(new Fault('definition', message, nodes[odd]!.at));
    return null;
  }
  const convert = (value: Expression) => {
    if (isNullLiteral(value)) return nullLiteral(type, value.at);
    return value.type.kind === type.kind ? value : toDouble(value);
  };
  return { values: values.map(convert), type };
}

function toDouble(value: Expression): Expression {
  return { kind: 'call', fn: 'toDouble', args: [value], type: DOUBLE, at: value.at };
}

/** NULLIF(a, b) -> CASE WHEN a = b THEN NULL ELSE a END */
function bindNullif(node: SqlNode & { kind: 'nullif' }, scope: Scope): Expression | null {
  const args = bindAll(node.args, scope);
  if (!args) return null;
  const [of, other] = args as [Expression, Expression];
  const equal = compare('equal', of, other, node.symbol, node.at, scope.faults);
  return equal && call('case', [equal, nullLiteral(of.type, node.at), of], of.type, node.at);
}

function bindCast(of: Expression, node: SqlNode & { kind: 'cast' }, faults: Fault[]): Expression | null {
  const { kind } = of.type;
  const to = node.to === 'int64' ? INT64 : DOUBLE;
  const fn = node.to === 'int64' ? 'toInt64' : 'toDouble';
  if (isNullLiteral(of)) return nullLiteral(to, node.at);
  if (kind === to.kind) return of;
  if (kind === 'bool' || kind === 'int64' || kind === 'double' || (kind === 'time' && node.to === 'int64'))
    return call(fn, [of], to, node.at);
  const hint = kind === 'time' ? '; CAST it to BIGINT first, which gives microseconds' : '; declare the input int64';
  const message = `CAST of ${typeName(of.type)} to ${typeName(to)} is not supported${kind === 'time' || kind === 'string' ? hint : ''}`;
  faults.push(new Fault('unsupported', message, node.at));
  return null;
}
