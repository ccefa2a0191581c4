import { assert, unreachable } from '../base/assert.ts';
import type { Position } from '../base/fault.ts';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import type { Expression, FunctionName } from '../plan/expression.ts';
import { children } from '../plan/expression.ts';
import type { Type, Value } from '../plan/value.ts';
import { BOOL, DOUBLE, INT64, OPTIONAL, STRING, TIME, typeName } from '../plan/value.ts';
import { bindFunction } from './functions.ts';
import { elementAt } from './functions/lists.ts';
import type { CastKind, Rules, SqlNode, Word } from './node.ts';
import { adapt, call, compare, isNullLiteral, literal, literalText, nullLiteral, unify, wantBool } from './typing.ts';

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
  return isComputed(expression, node.at, scope.faults) ? expression : null;
}

/** Do the kernels take it? If not, there is a fault that says so. */
export function isComputed(expression: Expression, at: Position, faults: Fault[]): boolean {
  const { depth, nodes } = measure(expression, new Map());
  if (depth <= EXPRESSION_DEPTH_MAX && nodes <= EXPRESSION_NODES_MAX) return true;
  const message =
    depth > EXPRESSION_DEPTH_MAX
      ? `the expression nests ${depth} calls deep, and at most ${EXPRESSION_DEPTH_MAX} are computed`
      : `the expression comes to ${nodes} operations, and at most ${EXPRESSION_NODES_MAX} are computed`;
  faults.push(new Fault('too_large', message, at));
  return false;
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
    case 'field': {
      const of = bindNode(node.of, scope);
      return of && fieldOf(of, node.name, node.of.text, node.at, scope.faults);
    }
    case 'element':
      return bindElement(node, scope);
    case 'list':
      return bindList(node, scope);
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
    case 'function': {
      const args = bindAll(node.args, scope);
      return args && bindFunction(args, { ...node, faults: scope.faults });
    }
    case 'cast': {
      const of = bindNode(node.of, scope);
      return of && (node.rules ? castBy(node.rules, of, node, scope.faults) : bindCast(of, node, scope.faults));
    }
    case 'interval':
      scope.faults.push(new Fault('unsupported', INTERVAL_ALONE, node.at));
      return null;
    default:
      return unreachable(node);
  }
}

/** A field of a struct; `text` is how the struct is written. */
export function fieldOf(
  of: Expression,
  { name, at: where }: Word,
  text: string,
  at: Position,
  faults: Fault[],
): Expression | null {
  const fault = (message: string) => {
    faults.push(new Fault('definition', message, where));
    return null;
  };
  if (of.type.kind !== 'struct') {
    const hint = of.type.kind === 'list' ? `; of its first element it is ${text}[1].${name}` : '';
    return fault(`${text} is ${typeName(of.type)}, and only structs have fields${hint}`);
  }
  const names = of.type.fields.map(field => field.name);
  const field = of.type.fields[names.indexOf(name)];
  if (field) return { kind: 'field', of, name, type: field.type, at };
  return fault(`${text} has no field "${name}"${didYouMean(name, names) || `; it has ${names.join(', ')}`}`);
}

function bindElement(node: SqlNode & { kind: 'element' }, scope: Scope): Expression | null {
  const args = bindAll([node.of, node.index], scope);
  if (!args || !node.rules) return args && elementAt(args[0]!, args[1]!, node, scope.faults);
  const index = args[1]!;
  const { firstIndex, name } = node.rules;
  const value = index.kind === 'literal' && typeof index.value === 'bigint' ? index.value : null;
  if (value !== null && value >= BigInt(firstIndex)) {
    const fromOne = literal(value - BigInt(firstIndex) + 1n, INT64, index.at);
    return elementAt(args[0]!, fromOne, node, scope.faults);
  }
  const message = `[ ] wants a number from ${firstIndex} on in ${name} here, got ${node.index.text}: others differ`;
  scope.faults.push(new Fault('unsupported', message, node.index.at));
  return null;
}

/** A list of literals is a literal. */
function bindList(node: SqlNode & { kind: 'list' }, scope: Scope): Expression | null {
  const bound = bindAll(node.items, scope);
  const same = bound && unify(bound, node.items, '[ ]', scope.faults);
  if (!same) return null;
  const odd = same.values.findIndex(value => foldedLiteral(value) === null);
  if (odd < 0) {
    const values = same.values.map(value => foldedLiteral(value)!.value);
    return literal(values, { kind: 'list', of: { type: same.type, presence: OPTIONAL } }, node.at);
  }
  const { text, at } = node.items[odd]!;
  scope.faults.push(new Fault('unsupported', `a list is made of literals only, got ${text}`, at));
  return null;
}

/** The literal that a value is, or that a whole number beside doubles became. */
function foldedLiteral(value: Expression): { value: Value } | null {
  if (value.kind === 'literal') return value;
  const inner = value.kind === 'call' && value.fn === 'toDouble' ? value.args[0]! : null;
  return inner?.kind === 'literal' && inner.type.kind !== 'string' ? { value: Number(inner.value) } : null;
}

function bindAll(nodes: SqlNode[], scope: Scope): Expression[] | null {
  const bound = nodes.map(node => bindNode(node, scope));
  return bound.includes(null) ? null : (bound as Expression[]);
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

function bindOperator(node: SqlNode & { kind: 'operator' }, scope: Scope): Expression | null {
  if (node.args.some(arg => arg.kind === 'interval')) return bindShift(node, scope);
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
      return compare(fn, args[0]!, args[1]!, symbol, at, scope.faults, node.rules);
  }
}

function arithmetic(
  fn: FunctionName,
  args: Expression[],
  node: SqlNode & { kind: 'operator' },
  faults: Fault[],
): Expression | null {
  if (args.some(arg => arg.type.kind === 'time')) return timeArithmetic(fn, args, node, faults);
  if (fn === 'add' && node.rules?.hasTextSums && args.some(arg => arg.type.kind === 'string'))
    return joined(args, node, faults);
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
  const isDouble = args.some(arg => arg.type.kind === 'double');
  if (fn === 'divide') return divided(args, isDouble, node, faults);
  return call(fn, args, isDouble ? DOUBLE : INT64, node.at);
}

/** text + text; a number beside a text makes a number of it there. */
function joined(args: Expression[], node: SqlNode & { kind: 'operator' }, faults: Fault[]): Expression | null {
  const odd = args.findIndex(({ type }) => type.kind !== 'string');
  if (odd < 0) return bindFunction(args, { ...node, name: '||', faults });
  const { text, at } = node.args[odd]!;
  const message = `+ of texts wants string, got ${typeName(args[odd]!.type)}: write CONCAT, or CAST(${text} AS NVARCHAR)`;
  faults.push(new Fault('definition', message, at));
  return null;
}

/** 7 / 2 is 3.5 in DuckDB and 3 elsewhere. */
function divided(
  args: Expression[],
  isDouble: boolean,
  node: SqlNode & { kind: 'operator' },
  faults: Fault[],
): Expression | null {
  const { rules, at } = node;
  if (rules?.division === 'whole' && !isDouble) return call('quotient', args, INT64, at);
  if (rules?.zero !== 'infinite' || isNeverZero(node.args[1]!)) return call('divide', args, DOUBLE, at);
  const { text, at: where } = node.args[1]!;
  const message = `/ of doubles is infinite where ${text} is 0 in ${rules.name}, and null here: write NULLIF(${text}, 0)`;
  faults.push(new Fault('unsupported', message, where));
  return null;
}

function isNeverZero(node: SqlNode): boolean {
  if (node.kind === 'literal') return Number(node.value) !== 0;
  const other = node.kind === 'function' && node.name === 'NULLIF' ? node.args[1] : undefined;
  return other?.kind === 'literal' && other.value !== null && Number(other.value) === 0;
}

const INTERVAL_ALONE = 'INTERVAL stands beside + and - of a time only: time - INTERVAL 1 DAY';

/** time - time -> microseconds, as an int64. */
function timeArithmetic(
  fn: FunctionName,
  args: Expression[],
  node: SqlNode & { kind: 'operator' },
  faults: Fault[],
): Expression | null {
  const [left, right] = args;
  const a = left && right && adapt(left, TIME, faults);
  const b = left && right && adapt(right, TIME, faults);
  if (left && right && (!a || !b)) return null;
  if (fn === 'subtract' && a?.type.kind === 'time' && b?.type.kind === 'time') {
    if (node.rules) {
      const message = `time - time is no number of microseconds in ${node.rules.name}: write what counts the unit you mean`;
      faults.push(new Fault('unsupported', message, node.symbol.at));
      return null;
    }
    const micros = (time: Expression) => call('toInt64', [time], INT64, node.at);
    return call('subtract', [micros(a), micros(b)], INT64, node.at);
  }
  const odd = node.args[args.findIndex(arg => arg.type.kind === 'time')]!;
  const hint =
    fn === 'add' || fn === 'subtract'
      ? ': a time takes an INTERVAL, and times are subtracted from times'
      : ': write EPOCH_US(time) for its microseconds';
  faults.push(new Fault('definition', `${node.symbol.name} wants int64 or double, got time${hint}`, odd.at));
  return null;
}

/** time + INTERVAL, INTERVAL + time, time - INTERVAL: months first, then the rest, as DuckDB does. */
function bindShift(node: SqlNode & { kind: 'operator' }, scope: Scope): Expression | null {
  const { faults } = scope;
  const [left, right] = node.args as [SqlNode, SqlNode];
  const [written, interval] = node.fn === 'add' && left.kind === 'interval' ? [right, left] : [left, right];
  if ((node.fn !== 'add' && node.fn !== 'subtract') || interval?.kind !== 'interval' || written.kind === 'interval') {
    const hint = node.fn === 'multiply' ? '; for a number of days that is computed write INTERVAL (x) DAY' : '';
    faults.push(new Fault('unsupported', INTERVAL_ALONE + hint, node.args.find(arg => arg.kind === 'interval')!.at));
    return null;
  }
  const bound = bindNode(written, scope);
  const time = bound && adapt(bound, TIME, faults);
  if (!time) return null;
  if (time.type.kind !== 'time') {
    const message = `${node.symbol.name} INTERVAL wants a time, got ${typeName(time.type)}`;
    faults.push(new Fault('definition', message, written.at));
    return null;
  }
  const sign = node.fn === 'add' ? 1n : -1n;
  if (interval.count) return shiftBy(time, interval, sign, node.at, scope);
  const months = interval.months === 0n ? time : shifted('addMonths', time, sign * interval.months, node.at);
  return interval.micros === 0n && interval.months !== 0n
    ? months
    : shifted('addMicros', months, sign * interval.micros, node.at);
}

function shifted(fn: FunctionName, time: Expression, count: bigint, at: Position): Expression {
  return call(fn, [time, literal(count, INT64, at)], TIME, at);
}

/** By a computed number of months, or of whatever the unit is. */
function shiftBy(
  time: Expression,
  interval: SqlNode & { kind: 'interval' },
  sign: bigint,
  at: Position,
  scope: Scope,
): Expression | null {
  const bound = bindNode(interval.count!, scope);
  if (!bound) return null;
  const count = isNullLiteral(bound) ? nullLiteral(INT64, bound.at) : bound;
  if (count.type.kind !== 'int64') {
    const message = `INTERVAL wants an int64, got ${typeName(count.type)}`;
    scope.faults.push(new Fault('definition', message, interval.count!.at));
    return null;
  }
  const unit = interval.months === 0n ? interval.micros : interval.months;
  const amount = call('multiply', [count, literal(sign * unit, INT64, at)], INT64, at);
  return call(interval.months === 0n ? 'addMicros' : 'addMonths', [time, amount], TIME, at);
}

/** x IN (a, b) -> x = a OR x = b; a balanced tree, so that a long list stays shallow. */
function bindIn(node: SqlNode & { kind: 'in' }, scope: Scope): Expression | null {
  const of = bindNode(node.of, scope);
  const list = bindAll(node.list, scope);
  if (!of || !list || isOddNull(node.list, node.symbol.name, node.rules, scope.faults)) return null;
  const equals = list.map(item => compare('equal', of, item, node.symbol, node.at, scope.faults, node.rules));
  if (equals.includes(null)) return null;
  return negatedIf(node.negated, anyOf(equals as Expression[], node.at), node.at);
}

/** Where NULL among values is one of them, and no value that nobody knows, as it is here. */
function isOddNull(nodes: SqlNode[], what: string, rules: Rules | undefined, faults: Fault[]): boolean {
  const odd = rules?.hasOddNulls && nodes.find(node => node.kind !== 'literal' || node.value === null);
  if (!odd) return false;
  const message = `${what} of ${odd.text} is not supported in ${rules.name}: NULL is a value there like others; write literals, or = and IS NULL`;
  faults.push(new Fault('unsupported', message, odd.at));
  return true;
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
  const from = compare('greaterOrEqual', of, low, node.symbol, node.at, scope.faults, node.rules);
  const to = compare('lessOrEqual', of, high, node.symbol, node.at, scope.faults, node.rules);
  return from && to && negatedIf(node.negated, call('and', [from, to], BOOL, node.at), node.at);
}

function bindCase(node: SqlNode & { kind: 'case' }, scope: Scope): Expression | null {
  const operand = node.operand && bindNode(node.operand, scope);
  if (operand) {
    const whens = node.whens.map(({ when }) => when);
    if (isOddNull(whens, 'CASE', node.rules, scope.faults)) return null;
  }
  const conditions: (Expression | null)[] = [];
  const results: (Expression | null)[] = [];
  for (const { when, result } of node.whens) {
    const bound = bindNode(when, scope);
    if (!bound || !node.operand) conditions.push(bound && wantBool(bound, when, 'WHEN', scope.faults));
    else
      conditions.push(
        operand && compare('equal', operand, bound, { name: 'CASE', at: when.at }, when.at, scope.faults, node.rules),
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

const CAST_TYPES: Record<CastKind, Type> = { bool: BOOL, int64: INT64, double: DOUBLE, string: STRING, time: TIME };

/** A text that spells no value, and a double beyond int64, is null: CAST does what TRY_CAST does. */
function bindCast(of: Expression, node: SqlNode & { kind: 'cast' }, faults: Fault[]): Expression | null {
  const { kind } = of.type;
  const { to, at } = node;
  const type = CAST_TYPES[to];
  if (isNullLiteral(of)) return nullLiteral(type, at);
  if (kind === to) return of;
  if (to === 'time' && literalText(of) !== null) return adapt(of, TIME, faults);
  const fn = CASTS[`${kind} ${to}`];
  if (fn === 'notEqual') return call(fn, [of, literal(kind === 'double' ? 0 : 0n, of.type, at)], BOOL, at);
  if (fn) return call(fn, [of], type, at);
  const hint = CAST_HINTS[`${kind} ${to}`];
  const message = `CAST of ${typeName(of.type)} to ${to} is not supported${hint ? `; ${hint}` : ''}`;
  faults.push(new Fault('unsupported', message, at));
  return null;
}

/** CAST in another dialect: as here, or rounded as there, or refused. */
function castBy(rules: Rules, of: Expression, node: SqlNode & { kind: 'cast' }, faults: Fault[]): Expression | null {
  const refuse = (why: string) => {
    faults.push(new Fault('unsupported', `CAST of ${typeName(of.type)} to ${node.to} ${why}`, node.at));
    return null;
  };
  const cast = `${of.type.kind} ${node.to}`;
  if (node.to === 'time' && literalText(of) !== null) return adapt(of, TIME, faults, rules);
  if (isNullLiteral(of)) return bindCast(of, node, faults);
  if (cast === 'double int64') {
    if (rules.roundsTo === 'refused') return refuse(`is not supported in ${rules.name}: beyond int64 it differs`);
    if (rules.roundsTo === 'saturated') return saturated(of, node.at);
    const first = { even: null, away: 'round', zero: 'truncate' }[rules.roundsTo] as FunctionName | null;
    return bindCast(first ? call(first, [of], DOUBLE, node.at) : of, node, faults);
  }
  if (cast === 'string int64' && !rules.readsNumbers)
    return refuse(
      `is not supported in ${rules.name}: it also reads texts that spell no whole number; declare the input int64`,
    );
  if (cast === 'string double') return refuse('is not supported; declare the input double');
  if (cast === 'time string') return refuse(`is not supported in ${rules.name}: times are spelled RFC 3339 here`);
  if (cast === 'time int64') return refuse(`is not supported in ${rules.name}: it counts seconds or nothing`);
  if (cast === 'bool string' && !rules.spells.includes('bool'))
    return refuse(`is not supported in ${rules.name}: write CASE WHEN ${node.of.text} THEN 'true' ELSE 'false' END`);
  return bindCast(of, node, faults);
}

/** Toward zero; what is beyond int64 is the nearest there is, and what is no number 0. Here that is the greatest of doubles. */
function saturated(x: Expression, at: Position): Expression {
  const whole = (value: bigint) => literal(value, INT64, at);
  const isBeyond = (fn: FunctionName, bound: number) => call(fn, [x, literal(bound, DOUBLE, at)], BOOL, at);
  const cut = call('toInt64', [call('truncate', [x], DOUBLE, at)], INT64, at);
  const branches = [
    ...[isBeyond('greater', Infinity), whole(0n)],
    ...[isBeyond('greaterOrEqual', 2 ** 63), whole(INT64_MAX)],
    ...[isBeyond('less', -(2 ** 63)), whole(INT64_MIN)],
  ];
  return call('case', [...branches, cut], INT64, at);
}

const CASTS: Record<string, FunctionName> = {
  'bool int64': 'toInt64',
  'double int64': 'toInt64',
  'time int64': 'toInt64',
  'string int64': 'toInt64',
  'bool double': 'toDouble',
  'int64 double': 'toDouble',
  'string double': 'toDouble',
  'int64 bool': 'notEqual',
  'double bool': 'notEqual',
  'string bool': 'toBool',
  'int64 string': 'toText',
  'bool string': 'toText',
  'time string': 'toText',
  'string time': 'toTime',
};

const CAST_HINTS: Record<string, string> = {
  'time double': 'EPOCH gives seconds',
  'double string': 'doubles are not spelled; round it and CAST it to BIGINT first',
  'int64 time': 'EPOCH_MS takes milliseconds, TO_TIMESTAMP seconds, MAKE_TIMESTAMP microseconds',
};
