import type { Position } from '../../base/fault.ts';
import type { Expression } from '../../plan/expression.ts';
import { EVENT_TIME } from '../../plan/expression.ts';
import type { AggregateFunction, AggregateName } from '../../plan/plan.ts';
import type { Type } from '../../plan/value.ts';
import { BOOL, DOUBLE, INT64, isScalar, TIME } from '../../plan/value.ts';
import { COUNTED_DEFAULT, COUNTED_MAX, LAST_N_MAX, listOf, PRECISION_DEFAULT, VECTOR_MAX } from '../aggregates.ts';
import { call, literal, nullLiteral } from '../typing.ts';

/**
 * The aggregates of topologies, in one table: what they are checked and stored by is what docs/scowl_functions.md is made
 * of. One that is written may be stored as two, or over several events as one for each.
 */
export interface ScowlAggregate {
  name: string;
  /** Without a value it is of the events themselves. */
  value: 'wanted' | 'optional';
  takes: 'scalars' | 'numbers' | 'vectors';
  /** Its windows are no windows, so it takes no `after`. */
  isApproximate?: true;
  /** What `last` is to it, where it is no window. */
  last?: 'halfLife';
  limit: Limit | null;
  /** As a type of the page: `int`, `as x`. */
  result: string;
  gives: string;
  /** What is stored of each event type that it reads. */
  store(value: Expression | null, given: Given): Stored[];
  /**
   * Of what was read: for each that is stored, the reads of each event type in turn. Left out where several event types
   * cannot be read together.
   */
  over?(reads: Expression[][], at: Position): Expression;
}

interface Limit {
  /** Without one it is a fault. */
  isWanted?: true;
  byDefault: number;
  max: number;
  /** Of the page. */
  means: string;
}

/** What stands in the clauses, as far as it decides what is stored. */
export interface Given {
  at: Position;
  limit: number;
  halfLifeMs: number;
  /** Are there several event types? */
  isSeveral: boolean;
}

export interface Stored {
  fn: AggregateFunction;
  type: Type;
}

function stored(name: AggregateName, args: (Expression | null)[], type: Type, limit: number | null = null): Stored {
  // Who finishes a decayed sum is told its half-life as well.
  const params = name === 'decayedSum' || name === 'decayedCount' ? [limit!] : [];
  return { fn: { name, args: args.filter(arg => arg !== null), limit, params }, type };
}

/** True counts 1. */
function asNumber(value: Expression): Expression {
  return value.type.kind === 'bool' ? call('toInt64', [value], INT64, value.at!) : value;
}

function sumOf(reads: Expression[], at: Position): Expression {
  return reads.reduce((a, b) => call('add', [a, b], a.type, at));
}

function quotientOf([sums, counts]: Expression[][], at: Position): Expression {
  return call('divide', [sumOf(sums!, at), sumOf(counts!, at)], DOUBLE, at);
}

/** What an event counts that has the value. */
function oneOf(value: Expression | null, at: Position): Expression {
  const one = literal(1, DOUBLE, at);
  if (!value) return one;
  return call('case', [call('isNull', [value], BOOL, at), nullLiteral(DOUBLE, at), one], DOUBLE, at);
}

/** The time of an event that has the value. */
function timeOf(value: Expression | null, at: Position): Expression {
  const time: Expression = { kind: 'column', name: EVENT_TIME, type: TIME, at };
  if (!value) return time;
  return call('case', [call('isNull', [value], BOOL, at), nullLiteral(TIME, at), time], TIME, at);
}

function extreme(fn: 'greatest' | 'least') {
  return ([reads]: Expression[][], at: Position) =>
    reads!.length === 1 ? reads![0]! : call(fn, reads!, reads![0]!.type, at);
}

const SCALAR = { value: 'wanted', takes: 'scalars', limit: null, result: 'as `x`' } as const;
const NUMBER = { value: 'wanted', takes: 'numbers', limit: null } as const;
const DECAYED = { isApproximate: true, last: 'halfLife', limit: null, result: 'float' } as const;
const LISTED: Limit = { byDefault: LAST_N_MAX, max: LAST_N_MAX, means: 'how many it keeps' };

const ALL: ScowlAggregate[] = [
  {
    ...{ name: 'Count', value: 'optional', takes: 'scalars', limit: null, result: 'int' },
    gives: 'events, or those whose `x` is not null; 0 where there are none',
    store: value => [stored('count', [value], INT64)],
    over: ([reads], at) => sumOf(reads!, at),
  },
  {
    ...{ name: 'CountUnique', value: 'wanted', takes: 'scalars', result: 'int' },
    limit: { byDefault: COUNTED_DEFAULT, max: COUNTED_MAX, means: 'how many different values it counts at most' },
    gives: 'different values; 0 where there are none, overflow where there are more than `limit`',
    store: (value, { limit }) => [stored('countUnique', [value], INT64, limit)],
  },
  {
    ...{ ...NUMBER, name: 'Sum', result: 'as `x`' },
    gives: 'exact, and of floats rounded once; 0 where there are none. Of bool how many are true',
    store: value => [stored('sum', [asNumber(value!)], asNumber(value!).type)],
    over: ([reads], at) => sumOf(reads!, at),
  },
  {
    ...{ ...NUMBER, name: 'Average', result: 'float' },
    gives: 'the exact quotient, rounded once; null where there are none. Of bool the share that is true',
    store: (value, { isSeveral }) => {
      const of = asNumber(value!);
      return isSeveral ? [stored('sum', [of], of.type), stored('count', [of], INT64)] : [stored('avg', [of], DOUBLE)];
    },
    over: (reads, at) => (reads.length === 1 ? reads[0]![0]! : quotientOf(reads, at)),
  },
  {
    ...{ ...SCALAR, name: 'Min' },
    gives: 'the least; null where there are none',
    store: value => [stored('min', [value], value!.type)],
    over: extreme('least'),
  },
  {
    ...{ ...SCALAR, name: 'Max' },
    gives: 'the greatest; null where there are none',
    store: value => [stored('max', [value], value!.type)],
    over: extreme('greatest'),
  },
  ...(['Latest', 'Last'] as const).map(
    (name): ScowlAggregate => ({
      ...{ ...SCALAR, name },
      gives: `of the event with the greatest time, and of those the last in the log${name === 'Last' ? '; another name of Latest' : ''}`,
      store: value => [stored('last', [value], value!.type)],
    }),
  ),
  {
    ...{ name: 'LatestTime', value: 'optional', takes: 'scalars', limit: null, result: 'time' },
    gives: 'the greatest time of an event, or of one whose `x` is not null; null where there are none',
    store: (value, { at }) => [stored('max', [timeOf(value, at)], TIME)],
    over: extreme('greatest'),
  },
  {
    ...{ ...SCALAR, name: 'First' },
    gives: 'of the event with the least time, and of those the first in the log',
    store: value => [stored('first', [value], value!.type)],
  },
  {
    ...{ ...DECAYED, name: 'DecayedCount', value: 'optional', takes: 'scalars' },
    gives: 'events, or those whose `x` is not null, each of which counts half as much after each half-life',
    store: (value, { at, halfLifeMs }) => [stored('decayedCount', [oneOf(value, at)], DOUBLE, halfLifeMs)],
    over: ([reads], at) => sumOf(reads!, at),
  },
  {
    ...{ ...DECAYED, name: 'DecayedSum', value: 'wanted', takes: 'numbers' },
    gives: 'the sum of values that count half as much after each half-life; 0 where there are none',
    store: (value, { halfLifeMs }) => [stored('decayedSum', [asNumber(value!)], DOUBLE, halfLifeMs)],
    over: ([reads], at) => sumOf(reads!, at),
  },
  {
    ...{ ...DECAYED, name: 'DecayedAverage', value: 'wanted', takes: 'numbers' },
    gives: 'DecayedSum by DecayedCount; null where there are none',
    store: (value, { at, halfLifeMs }) => [
      stored('decayedSum', [asNumber(value!)], DOUBLE, halfLifeMs),
      stored('decayedCount', [oneOf(value, at)], DOUBLE, halfLifeMs),
    ],
    over: quotientOf,
  },
  {
    ...{ name: 'HyperLogLog', value: 'wanted', takes: 'scalars', isApproximate: true, limit: null, result: 'int' },
    gives: `about how many different values, off by 1.6 percent; without a bound on how many there are`,
    store: value => [stored('approxCountDistinct', [value], INT64, PRECISION_DEFAULT)],
  },
  {
    ...{ name: 'Sequence', value: 'wanted', takes: 'scalars', limit: LISTED, result: 'a list as of `x`' },
    gives: 'the latest `limit` values, the latest first',
    store: (value, { limit }) => [stored('lastN', [value], listOf(value!.type), limit)],
  },
  {
    ...{ name: 'Set', value: 'wanted', takes: 'scalars', limit: LISTED, result: 'a list as of `x`' },
    gives: 'each value once: the `limit` that were latest, the latest first',
    store: (value, { limit }) => [stored('lastDistinct', [value], listOf(value!.type), limit)],
  },
  {
    ...{ name: 'VectorAverage', value: 'wanted', takes: 'vectors', result: '[float]' },
    limit: { isWanted: true, byDefault: 1, max: VECTOR_MAX, means: 'how long the lists are' },
    gives: 'of lists of `limit` floats the average of each place; lists of another length are passed over',
    store: (value, { limit }) => [stored('vectorAvg', [value], listOf(DOUBLE), limit)],
  },
];

export const AGGREGATES = new Map(ALL.map(aggregate => [aggregate.name, aggregate]));

/** What a value of a type has to be, if it is not that. */
export function wantedOf({ takes }: ScowlAggregate, type: Type): string | null {
  const isNumber = type.kind === 'int64' || type.kind === 'double';
  switch (takes) {
    case 'scalars':
      return isScalar(type) ? null : 'bool, int, float, string or time';
    case 'numbers':
      return isNumber || type.kind === 'bool' ? null : 'int, float or bool';
    case 'vectors':
      return type.kind === 'list' && type.of.type.kind === 'double' ? null : 'a list of floats';
  }
}
