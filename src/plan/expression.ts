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
 *
 * What follows is null where its result is beyond its type: of int64, of times (years 0000 to 9999), of made texts.
 *
 * - `absolute`, `sign` (int64), `bitAnd` ... `shiftRight` and `quotient` (of int64, toward zero, null when the divisor
 *   is 0). `round` (ties away from zero), `floor`, `ceil`, `truncate`, `squareRoot` (null below 0) of doubles;
 *   `roundTo`: a number, and a literal: how many digits stay behind the point, or with a minus become 0 before it.
 * - `greatest`, `least`: of the arguments that are not null; a NaN is greater than all.
 * - Texts count code points; positions are from 1. `trim...`: a text and the literal set of characters to take off;
 *   `like`: a text, a literal pattern, a literal escape ('' for none). `concat`, `replace`, `pad...` and `repeat` are
 *   null where the result would be longer than 16 KiB and than each argument.
 * - Regular expressions (regex.ts): a text and a literal pattern. `regexContains`: is a part of the text like it?
 *   `regexMatches`: the whole text? `regexExtract`: the first part that is, or the literal group of it; '' where there is none.
 *   `regexReplace`, `regexReplaceAll`: with a literal replacement for it, null as `replace` is, and where a text takes
 *   more than 64 passes.
 * - `toText`: int64, bool, time (RFC 3339), double (the shortest that is read as the same, as JSON has it; null of NaN and the
 *   infinities). `toBool`, `toTime`, `toInt64` and `toDouble`, of a string: null where it spells none.
 * - `similarity`: of two texts, a double from 0 to 1, by Jaro and Winkler over code points (assembly/similarity.ts); 0 where either
 *   is empty. `ipBlock`: of an IPv4 address its first three numbers, `82.177.157`, null where the text is none.
 * - `list`: its arguments as the elements of a list, nulls too. It is the whole of a feature, a series of windows, and null
 *   only where all that its elements read is EXPIRED.
 * - Lists of scalars: `listLength`; `listCount`, of elements that are not null; `listContains`, `listPosition` (from 1,
 *   null where there is none): a list and a value, which beside doubles may be an int64. The position of null is that of
 *   the first null. `listMin`, `listMax`, `listSum`, `listMean` are what the aggregate makes of as many events, but null
 *   where no element is there, or where a sum is beyond its type. `listLength` and `listCount` take any list.
 * - Times are UTC. `datePart`, `dateTrunc`: a literal `TimePart` and a time; `dateDiff`: how many starts of the part lie
 *   between two times. `addMicros`, `addMonths` (to the last day of a month that is too short): a time and an int64.
 *   `timeOfMicros`: int64. `formatTime`: a time and a literal format (time_format.ts); `parseTime`: a text and one, null where the text
 *   is not so. `inZone`: a time and a literal IANA zone (zone.ts), the time whose UTC fields are what clocks show there.
 * - What aggregates count by: `bucketIndex`, of a number and a literal list of ascending boundaries of its type (or of doubles), how
 *   many of them are below it, and all are below NaN. `sketchBucket`, of a number as a double and a literal accuracy: its bucket of a
 *   sketch (aggregate `quantile`). No front end spells them as functions.
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
  | 'toDouble'
  | 'absolute'
  | 'sign'
  | 'quotient'
  | 'bitAnd'
  | 'bitOr'
  | 'bitXor'
  | 'bitNot'
  | 'shiftLeft'
  | 'shiftRight'
  | 'round'
  | 'roundTo'
  | 'floor'
  | 'ceil'
  | 'truncate'
  | 'squareRoot'
  | 'greatest'
  | 'least'
  | 'lower'
  | 'upper'
  | 'length'
  | 'byteLength'
  | 'concat'
  | 'substring'
  | 'left'
  | 'right'
  | 'trim'
  | 'trimStart'
  | 'trimEnd'
  | 'replace'
  | 'startsWith'
  | 'endsWith'
  | 'contains'
  | 'position'
  | 'reverse'
  | 'padStart'
  | 'padEnd'
  | 'repeat'
  | 'splitPart'
  | 'like'
  | 'regexContains'
  | 'regexMatches'
  | 'regexExtract'
  | 'regexReplace'
  | 'regexReplaceAll'
  | 'toText'
  | 'toBool'
  | 'toTime'
  | 'list'
  | 'listLength'
  | 'listCount'
  | 'listContains'
  | 'listPosition'
  | 'listMin'
  | 'listMax'
  | 'listSum'
  | 'listMean'
  | 'datePart'
  | 'dateTrunc'
  | 'dateDiff'
  | 'addMicros'
  | 'addMonths'
  | 'timeOfMicros'
  | 'bucketIndex'
  | 'sketchBucket'
  | 'similarity'
  | 'ipBlock'
  | 'formatTime'
  | 'parseTime'
  | 'inZone';

/** In this order the kernel numbers them. `dateTrunc` and `dateDiff` know those up to `year`. */
export const TIME_PARTS = [
  'microsecond',
  'millisecond',
  'second',
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'quarter',
  'year',
  'dow',
  'isodow',
  'doy',
  'isoyear',
  'epoch_ms',
] as const;

export type TimePart = (typeof TIME_PARTS)[number];

/** The column of every event type that is its time. An input of this name stands before it. */
export const EVENT_TIME = '_time';

/** Every expression has a type and may be null. `at` is where it stands in the user's file, for faults. */
export type Expression = { type: Type; at: Position | null } & (
  | { kind: 'literal'; value: Value }
  /** In an event's scope an input or a column of that event; in an entity's scope a feature (`set:name`). */
  | { kind: 'column'; name: string }
  /** In an entity's scope the moment at which it is read: of a replayed event its time. */
  | { kind: 'now' }
  /** A field of a struct; null of null. */
  | { kind: 'field'; of: Expression; name: string }
  /** An element of a list (from 0) or of a map; null where there is none. */
  | { kind: 'index'; of: Expression; by: Expression }
  | { kind: 'call'; fn: FunctionName; args: Expression[] }
  | { kind: 'read'; read: Read }
  /**
   * What is wrong with a value, as a text, or null: of an input (a column; where its event's `onFault` lets it pass) the
   * first fault in it, of a read of an event why it has no value (`overflow`, `expired`). Topologies make errors of it.
   */
  | { kind: 'fault'; of: Expression & { kind: 'column' | 'read' } }
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
 * Of the prefix, read at t, with starts of tiles as what `floor` goes back to:
 *
 * - `lifetime`: every event.
 * - `sliding`: those with time at or after floor(t - length, resolution).
 * - `offset`: those with time in [floor(t - ago - length, resolution), floor(t - ago, resolution)).
 * - `hopping`: those with time in [end - length, end), where end = floor(t - ago, every): the latest of the windows of that
 *   length, one `every` so long, that is over by t - ago. Tumbling is a length of `every`.
 * - `exact`: those with time in [t - length, t], all three in whole milliseconds, which is its resolution.
 */
export type Window =
  | { kind: 'lifetime' }
  | { kind: 'sliding'; lengthMs: number; resolutionMs: number }
  | { kind: 'offset'; lengthMs: number; resolutionMs: number; agoMs: number }
  | { kind: 'hopping'; lengthMs: number; resolutionMs: number; everyMs: number; agoMs: number }
  | { kind: 'exact'; lengthMs: number; resolutionMs: 1 };

/** Calls `visit` for an expression and for all below it, parents first. */
export function walk(expression: Expression, visit: (expression: Expression) => void): void {
  visit(expression);
  for (const child of children(expression)) walk(child, visit);
}

export function children(expression: Expression): Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'column':
    case 'now':
      return [];
    case 'field':
      return [expression.of];
    case 'index':
      return [expression.of, expression.by];
    case 'call':
      return expression.args;
    case 'read':
      return [...(expression.read.keys ?? []), ...(expression.read.after ? [expression.read.after] : [])];
    case 'fault':
      return [expression.of];
  }
}
