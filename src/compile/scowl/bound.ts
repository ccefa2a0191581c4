import { Fault, type Position } from '../../base/fault.ts';
import { parseMicros } from '../../base/time.ts';
import type { Expression, FunctionName } from '../../plan/expression.ts';
import type { Type } from '../../plan/value.ts';
import { BOOL, DOUBLE, INT64, isScalar, sameType, STRING, TIME } from '../../plan/value.ts';
import type { Place } from '../place.ts';
import { call, isNullLiteral, literal, literalText, nullLiteral, toDouble } from '../typing.ts';
import { typeText } from './slot.ts';
import type { CallNode, Node, Span } from './tree.ts';

/**
 * A value, and a text that says what went wrong while it was made: null, as an expression or as nothing at all, where
 * nothing did. Of several errors the first in the order of evaluation counts, and what the value does not need
 * (the other branch of an If) is not evaluated.
 */
export interface Bound {
  value: Expression;
  error: Expression | null;
}

export interface Scope {
  place: Place;
  faults: Fault[];
  /** A feature of the event, without the error that it may have itself. */
  name(node: Node & { kind: 'name' }): Bound | null;
  aggregate(node: CallNode): Bound | null;
  /** The error of the feature that a name stands for. */
  errorOf(name: string): Expression | null;
  /** Inside of IfError a name stands for its feature with the error it has; everywhere else an error stays at home. */
  looksThrough: boolean;
}

/** What an operation that cannot be done leaves as its error. */
export const ERRORS = {
  zero: 'division by zero',
  int: 'int overflow',
  time: 'time out of range',
  text: 'text too long',
} as const;

export function refuse(message: string, at: Position, { faults }: { faults: Fault[] }): null {
  faults.push(new Fault('definition', message, at));
  return null;
}

/** A value that nothing can be wrong with. */
export function pure(value: Expression): Bound {
  return { value, error: null };
}

/** The first error that there is. */
export function firstError(errors: (Expression | null)[], at: Position): Expression | null {
  const some = errors.filter(error => error !== null);
  return some.length > 1 ? call('coalesce', some, STRING, at) : (some[0] ?? null);
}

/**
 * What an operation makes of its arguments.
 *
 * @param fails its error where it makes null of what is not null; null where it always can be done
 */
export function made(value: Expression, args: Bound[], fails: string | null, at: Position): Bound {
  const errors = args.map(arg => arg.error);
  const values = args.map(arg => arg.value);
  const own = fails === null || values.some(isNullLiteral) ? null : failure(value, values, fails, at);
  return { value, error: firstError([...errors, own], at) };
}

function failure(value: Expression, args: Expression[], text: string, at: Position): Expression {
  const isNull = call('isNull', [value], BOOL, at);
  const some = args.filter(arg => arg.kind !== 'literal').map(arg => present(arg, at));
  const failed = some.length === 0 ? isNull : call('and', [isNull, ...some], BOOL, at);
  return call('case', [failed, literal(text, STRING, at), nullLiteral(STRING, at)], STRING, at);
}

export function wantBool(bound: Bound, node: Span, what: string, scope: Scope): Bound | null {
  const { value, error } = bound;
  if (isNullLiteral(value)) return { value: nullLiteral(BOOL, value.at), error };
  if (value.type.kind === 'bool') return bound;
  const hint = isNumber(value.type) ? '; compare it with 0' : '';
  const message = `${what} wants a condition (bool), got ${typeText(value.type)}${hint}`;
  return refuse(message, scope.place(node.start, node.end), scope);
}

export function isNumber({ kind }: Type): boolean {
  return kind === 'int64' || kind === 'double';
}

/** Where one side decides alone, what is wrong with those behind it does not matter. */
export function joined(fn: 'and' | 'or', sides: Bound[], at: Position): Bound {
  return sides.reduce((left, right) => {
    const value = call(fn, [left.value, right.value], BOOL, at);
    const decides = fn === 'and' ? call('not', [left.value], BOOL, at) : left.value;
    const behind = right.error && call('case', [decides, nullLiteral(STRING, at), right.error], STRING, at);
    return { value, error: firstError([left.error, behind], at) };
  });
}

export interface Operator {
  symbol: string;
  at: Position;
}

/** Two scalars of one type, numbers of both; a text beside a time is read as a time. */
export function compare(
  fn: FunctionName,
  left: Bound,
  right: Bound,
  { symbol, at: where }: Operator,
  at: Position,
  scope: Scope,
): Bound | null {
  const a = adapt(left.value, right.value.type, scope);
  const b = a && adapt(right.value, a.type, scope);
  if (!a || !b) return null;
  const odd = [a, b].find(({ type }) => !isScalar(type));
  if (odd) return refuse(`${symbol} compares scalars, got ${typeText(odd.type)}`, odd.at ?? where, scope);
  if (a.type.kind !== b.type.kind && !(isNumber(a.type) && isNumber(b.type)))
    return refuse(
      `${symbol} compares values of one type, got ${typeText(a.type)} and ${typeText(b.type)}`,
      where,
      scope,
    );
  return { value: call(fn, [a, b], BOOL, at), error: firstError([left.error, right.error], at) };
}

/** Lets a literal take the type of what it stands beside: null any, a text that of a time. */
export function adapt(value: Expression, type: Type, scope: Scope): Expression | null {
  if (isNullLiteral(value)) return nullLiteral(type, value.at);
  const text = literalText(value);
  if (text === null || type.kind !== 'time') return value;
  const micros = parseMicros(text) ?? parseMicros(`${text}T00:00:00Z`);
  if (micros !== null) return literal(micros, TIME, value.at);
  return refuse(`'${text}' is no time; wanted one like '2001-01-31' or '2001-01-31T08:30:00Z'`, value.at!, scope);
}

/** Is a value an element of a list? */
export function contains(
  list: Bound,
  of: Bound,
  what: string,
  where: Position,
  at: Position,
  scope: Scope,
): Bound | null {
  if (list.value.type.kind !== 'list') return null;
  const element = list.value.type.of.type;
  const value = isNullLiteral(of.value) ? nullLiteral(element, at) : adapt(of.value, element, scope);
  if (!value) return null;
  const fits = value.type.kind === element.kind || (element.kind === 'double' && value.type.kind === 'int64');
  if (!isScalar(element) || !fits) {
    const message = `${what} wants an element of ${typeText(list.value.type)}, got ${typeText(value.type)}`;
    return refuse(message, where, scope);
  }
  const found = call('listContains', [list.value, value], BOOL, at);
  return { value: found, error: firstError([of.error, list.error], at) };
}

/**
 * The value behind the first condition that is true, or behind all of them, or null. Only what was looked at counts as an
 * error.
 */
export function chosen(
  conditions: Bound[],
  values: Bound[],
  nodes: Span[],
  what: string,
  scope: Scope,
  at: Position,
): Bound | null {
  const same = agree(values, nodes, what, scope);
  if (!same) return null;
  const otherwise = same.values[conditions.length] ?? pure(nullLiteral(same.type, at));
  const pairs = conditions.flatMap((condition, i) => [condition.value, same.values[i]!.value]);
  const value = call('case', [...pairs, otherwise.value], same.type, at);
  const all = [...conditions, ...same.values];
  if (all.every(({ error }) => error === null)) return { value, error: null };
  const none = nullLiteral(STRING, at);
  const errors = conditions.flatMap((condition, i) => {
    const own = condition.error ? [present(condition.error, at), condition.error] : [];
    return [...own, condition.value, same.values[i]!.error ?? none];
  });
  return { value, error: call('case', [...errors, otherwise.error ?? none], STRING, at) };
}

export function present(value: Expression, at: Position): Expression {
  return call('not', [call('isNull', [value], BOOL, at)], BOOL, at);
}

/** Values that stand for each other get one type: nulls and texts adapt, and beside a float an int becomes one. */
export function agree(
  bound: Bound[],
  nodes: Span[],
  what: string,
  scope: Scope,
): { values: Bound[]; type: Type } | null {
  const typed = bound.map(({ value }) => value).filter(value => !isNullLiteral(value));
  const isReal = typed.some(({ type }) => type.kind === 'double') && typed.every(({ type }) => isNumber(type));
  const type = typed.find(({ type }) => type.kind === 'time')?.type ?? (isReal ? DOUBLE : typed[0]?.type);
  if (!type) return { values: bound, type: INT64 };
  const values: Bound[] = [];
  for (const [i, { value, error }] of bound.entries()) {
    const adapted = adapt(value, type, scope);
    if (!adapted) return null;
    const fits = sameType(adapted.type, type) || (type.kind === 'double' && isNumber(adapted.type));
    if (!fits) {
      const message = `${what} wants values of one type, got ${typeText(type)} and ${typeText(adapted.type)}`;
      return refuse(message, scope.place(nodes[i]!.start, nodes[i]!.end), scope);
    }
    values.push({ value: asDouble(adapted, type), error });
  }
  return { values, type };
}

function asDouble(value: Expression, { kind }: Type): Expression {
  return kind === 'double' && value.type.kind === 'int64' ? toDouble(value) : value;
}
