import type { Position } from '../base/fault.ts';
import type { Type, Value } from './value.ts';

/**
 * Functions of the language, by the name they have in the plan. All take nulls: unless a line says otherwise a
 * null argument gives null. Front ends map their spellings onto these; what a front end can desugar (BETWEEN, IN,
 * FILTER, Scowl's method style) never reaches the plan.
 *
 * - arithmetic on int64 stays int64 and is null on overflow; with a double on either side it is double.
 *   `divide` is always double (7 / 2 = 3.5) and null when the divisor is 0; `modulo` is int64, has the dividend's
 *   sign, and is null when the divisor is 0.
 * - comparisons order bool false < true, strings by their UTF-8 bytes; int64 beside double compares as double.
 * - `and`, `or`, `not` are three-valued: `false and null` is false, `true or null` is true.
 * - `isNull` is never null. `coalesce` is its first argument that is not null.
 * - `case`: condition, value, condition, value, ..., default; a condition that is null counts as false.
 * - `toInt64`: bool -> 0/1, double -> nearest with ties to even (null when out of range or NaN), time -> microseconds.
 *   `toDouble`: bool, int64.
 */
export type FunctionName =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'modulo'
  | 'negate'
  | 'equal'
  | 'notEqual'
  | 'less'
  | 'lessOrEqual'
  | 'greater'
  | 'greaterOrEqual'
  | 'and'
  | 'or'
  | 'not'
  | 'isNull'
  | 'coalesce'
  | 'case'
  | 'toInt64'
  | 'toDouble';

/** Every expression has a type and may be null. `at` is where it stands in the user's file, for faults. */
export type Expression = { type: Type; at: Position | null } & (
  | { kind: 'literal'; value: Value }
  /** In an event's scope an input or a column of that event; in an entity's scope a feature (`set:name`). */
  | { kind: 'column'; name: string }
  /** A field of a struct; null of null. */
  | { kind: 'field'; of: Expression; name: string }
  /** An element of a list (from 0) or of a map; null where there is none. */
  | { kind: 'index'; of: Expression; by: Expression }
  | { kind: 'call'; fn: FunctionName; args: Expression[] }
  | { kind: 'read'; read: Read }
);

/**
 * A read of an aggregate: by the event at hand (`keys` are expressions over it) or by the entity being looked up
 * (`keys` null).
 */
export interface Read {
  /** Name of an `Aggregate` of the plan. */
  aggregate: string;
  window: Window;
  keys: Expression[] | null;
  /** Only events strictly later than this time of the reading event count; null for no such bound. */
  after: Expression | null;
  /** Leaves out the reading event itself, and only that. */
  exclusive: boolean;
}

/**
 * - `lifetime`: every event of the prefix.
 * - `sliding`: read at t, the events of the prefix with time at or after floor(t - length, resolution).
 * - `exact`: the events of the prefix with time in [t - length, t].
 */
export type Window =
  | { kind: 'lifetime' }
  | { kind: 'sliding'; lengthMs: number; resolutionMs: number }
  | { kind: 'exact'; lengthMs: number };

/** Calls `visit` for an expression and for all below it, parents first. */
export function walk(expression: Expression, visit: (expression: Expression) => void): void {
  visit(expression);
  for (const child of children(expression)) walk(child, visit);
}

export function children(expression: Expression): Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'column':
      return [];
    case 'field':
      return [expression.of];
    case 'index':
      return [expression.of, expression.by];
    case 'call':
      return expression.args;
    case 'read':
      return [...(expression.read.keys ?? []), ...(expression.read.after ? [expression.read.after] : [])];
  }
}
