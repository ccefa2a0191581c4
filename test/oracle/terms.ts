/** How the oracle evaluates an expression. What a column or a read of an aggregate is, its scope says. */
import { sketchBucket } from './sketch.ts';
import type { Expression, FunctionName, Read } from '../../src/plan/expression.ts';
import type { Value } from '../../src/plan/value.ts';
import { castInteger, extreme, LIBRARY, positionIn, spelled, spelledReal } from './library.ts';
import { int64 } from './number.ts';

export interface Scope {
  column(name: string): Value;
  read(read: Read): Value;
  /** When a feature is read; an event has no such moment. */
  now?: bigint;
  /** What is wrong with an input or a read; an entity has no such texts. */
  fault?(of: Expression & { kind: 'column' | 'read' }): Value;
}

export function evaluate(expression: Expression, scope: Scope): Value {
  const value = evaluateAny(expression, scope);
  // An int64 where a double stands (a branch of a CASE, a literal) is promoted.
  return expression.type.kind === 'double' && typeof value === 'bigint' ? Number(value) : value;
}

function evaluateAny(expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'column':
      return scope.column(expression.name);
    case 'now':
      return scope.now!;
    case 'read':
      return scope.read(expression.read);
    case 'field':
      return element(evaluate(expression.of, scope), expression.name);
    case 'index':
      return element(evaluate(expression.of, scope), evaluate(expression.by, scope));
    case 'call':
      return call(expression.fn, expression.args, scope);
    case 'fault':
      return scope.fault!(expression.of);
  }
}

/** A struct's field, a map's or a list's element; null where there is none. */
function element(of: Value, by: Value): Value {
  if (of === null || by === null) return null;
  if (Array.isArray(of)) return typeof by === 'bigint' && by >= 0n ? (of[Number(by)] ?? null) : null;
  if (typeof of !== 'object' || typeof by !== 'string') throw new Error(`${String(of)} has no elements`);
  return Object.hasOwn(of, by) ? of[by]! : null;
}

function call(fn: FunctionName, args: Expression[], scope: Scope): Value {
  const values = args.map(arg => evaluate(arg, scope));
  switch (fn) {
    case 'and':
      return values.includes(false) ? false : values.includes(null) ? null : true;
    case 'or':
      return values.includes(true) ? true : values.includes(null) ? null : false;
    case 'isNull':
      return values[0] === null;
    case 'coalesce':
      return values.find(value => value !== null) ?? null;
    case 'case': {
      for (let i = 0; i + 1 < values.length; i += 2) if (values[i] === true) return values[i + 1]!;
      return values.at(-1)!;
    }
    case 'list':
      return values;
    case 'greatest':
      return extreme(values, 1, compare);
    case 'least':
      return extreme(values, -1, compare);
    case 'listPosition':
      return values[0] === null ? null : positionIn(values[0] as Value[], values[1]!);
    case 'bucketIndex':
      return values[0] === null
        ? null
        : BigInt((values[1] as Value[]).filter(one => !(compare(one, values[0]!) >= 0)).length);
    case 'sketchBucket':
      return values[0] === null ? null : sketchBucket(real(values[0]!), real(values[1]!));
    case 'toText':
      return values[0] === null ? null : spelled(values[0]!, args[0]!.type.kind === 'time');
    default: {
      if (values.includes(null)) return null;
      const known = LIBRARY[fn];
      return known ? known(...(values as never[])) : ofPresent(fn, values[0]!, values[1] ?? null);
    }
  }
}

/** The functions that are null of null; here nothing is. */
function ofPresent(fn: FunctionName, a: Value, b: Value): Value {
  switch (fn) {
    case 'add':
      return bothInt64(a, b) ? int64(a + (b as bigint)) : real(a) + real(b);
    case 'subtract':
      return bothInt64(a, b) ? int64(a - (b as bigint)) : real(a) - real(b);
    case 'multiply':
      return bothInt64(a, b) ? int64(a * (b as bigint)) : real(a) * real(b);
    case 'divide':
      return real(b) === 0 ? null : real(a) / real(b);
    case 'modulo':
      return b === 0n ? null : (a as bigint) % (b as bigint);
    case 'negate':
      return typeof a === 'bigint' ? int64(-a) : -real(a);
    case 'not':
      return !a;
    case 'toInt64':
      return castInteger(a);
    case 'toDouble':
      return typeof a === 'string' ? spelledReal(a) : real(a);
    case 'equal':
      return compare(a, b) === 0;
    case 'notEqual':
      return compare(a, b) !== 0;
    case 'less':
      return compare(a, b) < 0;
    case 'lessOrEqual':
      return compare(a, b) <= 0;
    case 'greater':
      return compare(a, b) > 0;
    case 'greaterOrEqual':
      return compare(a, b) >= 0;
    default:
      throw new Error(`no function ${fn} of present values`);
  }
}

function bothInt64(a: Value, b: Value): a is bigint {
  return typeof a === 'bigint' && typeof b === 'bigint';
}

function real(value: Value): number {
  if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'boolean')
    throw new Error(`${String(value)} is no number`);
  return Number(value);
}

/** Negative, 0 or positive; NaN where a NaN stands on either side, so that only `notEqual` is true of it. */
export function compare(a: Value, b: Value): number {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (bothInt64(a, b) || (typeof a === 'boolean' && typeof b === 'boolean')) return a === b ? 0 : a < b! ? -1 : 1;
  const [x, y] = [real(a), real(b)];
  // Not the difference: that of two infinities is NaN.
  return Number.isNaN(x) || Number.isNaN(y) ? Number.NaN : x === y ? 0 : x < y ? -1 : 1;
}
