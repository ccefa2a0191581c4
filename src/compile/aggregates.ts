import type { Expression } from '../plan/expression.ts';
import type { AggregateName } from '../plan/plan.ts';
import { LINEAR } from '../plan/plan.ts';
import type { ScalarKind, Type } from '../plan/value.ts';
import { DOUBLE, INT64, isScalar, REQUIRED, typeName } from '../plan/value.ts';
import type { SqlNode } from './node.ts';

/**
 * The aggregates that SQL can call, in one table: what feature sets are read and checked by is what docs/aggregates.md is
 * made of.
 */
export interface SqlAggregate {
  name: AggregateName;
  /** All spellings, in capitals, the one to write first. */
  names: string[];
  /** How calls are written, where that is otherwise than NAME(x). */
  forms?: string[];
  /** What the value may be: these types, any scalar, or lists and structs too. */
  takes: ScalarKind[] | 'scalars' | 'all';
  /** What is written behind the value. */
  params: AggregateParam[];
  /** How many arguments, and which, as a fault says it. */
  wants: string;
  /** Spellings that mean the same in every dialect, or are in none but ours. */
  everywhere: string[];
  /** What the state is told of what was written: as many lists of numbers as there are params. */
  keep(given: number[][]): { limit: number | null; params: number[] };
  result(argument: Type | null, given: number[][]): Type;
  /** What stands for the value, where the state takes something else than that. */
  argument?(value: Expression, given: number[][]): Expression;
  /** For the page: what it gives and when it is null, the state's size in a row, how exact it is, what an event costs. */
  gives: string;
  stored: string;
  error: string;
  cost: string;
}

/** A literal behind the value: a part of what is stored, so it has to be written. */
export interface AggregateParam {
  name: string;
  /** As a fault says it behind the aggregate's name: `keeps a whole number of values, from 1 to 1000`. */
  wants: string;
  /** It may be left out: `read` is asked what it is then. */
  isOptional?: true;
  /** The numbers that are written; null where they are not what is wanted. */
  read(node: SqlNode | null): number[] | null;
}

/** How many values LAST_N keeps at most: all of them are in a row, and in a reply. */
export const LAST_N_MAX = 1000;

const PLAIN = { params: [], wants: 'one argument', everywhere: [], keep: () => ({ limit: null, params: [] }) };
const NUMBERS: ScalarKind[] = ['int64', 'double'];
const ORDERED: ScalarKind[] = ['int64', 'double', 'bool', 'time'];
const SAME = (argument: Type | null) => argument!;

const EXTREME = {
  ...PLAIN,
  takes: ORDERED,
  result: SAME,
  gives: 'as `x`; null where there is none. NaN is above all, -0 below 0',
  stored: '3 to 13',
  error: 'exact',
  cost: 'a comparison',
};

const MOMENT = {
  ...PLAIN,
  takes: 'scalars' as const,
  result: SAME,
  stored: '14 to 24, and a text',
  error: 'exact',
  cost: 'a comparison of times',
};

const SPREAD = {
  ...PLAIN,
  takes: NUMBERS,
  result: () => DOUBLE,
  stored: '10 to 680, mostly below 48',
  cost: 'two additions and a square, of 128 bits',
};
const VARIANCE = {
  ...SPREAD,
  error: 'the exact quotient of exact sums, rounded once; squares of doubles below 2^-485 are rounded to 2^-1074',
};
const DEVIATION = { ...SPREAD, error: 'the square root of the variance, that as a double' };
const SPREAD_NULLS = 'NaN with a NaN or an infinity among them, OVERFLOW with a double of 2^512 or more';

export const AGGREGATES: SqlAggregate[] = [
  {
    ...PLAIN,
    name: 'count',
    names: ['COUNT'],
    forms: ['COUNT(*)', 'COUNT(x)'],
    takes: 'all',
    result: () => INT64,
    gives: 'int64: events, or events where `x` is not null',
    stored: '2 to 11',
    error: 'exact',
    cost: 'an addition',
  },
  {
    ...PLAIN,
    name: 'sum',
    names: ['SUM'],
    takes: NUMBERS,
    result: SAME,
    gives: 'as `x`; 0 where there is none, OVERFLOW beyond its type',
    stored: '4 to 20; of doubles 2 to 340, mostly below 16',
    error: 'exact, and of doubles rounded once',
    cost: 'an addition of 128 bits',
  },
  {
    ...PLAIN,
    name: 'avg',
    names: ['AVG'],
    takes: NUMBERS,
    result: () => DOUBLE,
    gives: 'double; null where there is none',
    stored: '8 to 35; of doubles 6 to 350, mostly below 24',
    error: 'the exact quotient of the exact sum, rounded once',
    cost: 'two additions',
  },
  {
    ...VARIANCE,
    name: 'varPop',
    names: ['VAR_POP'],
    everywhere: ['VAR_POP'],
    gives: `double; null where there is none, ${SPREAD_NULLS}`,
  },
  {
    ...VARIANCE,
    name: 'varSamp',
    names: ['VAR_SAMP', 'VARIANCE'],
    everywhere: ['VAR_SAMP'],
    gives: `double; null where there are less than two, ${SPREAD_NULLS}`,
  },
  {
    ...DEVIATION,
    name: 'stddevPop',
    names: ['STDDEV_POP'],
    everywhere: ['STDDEV_POP'],
    gives: `double; null where there is none, ${SPREAD_NULLS}`,
  },
  {
    ...DEVIATION,
    name: 'stddevSamp',
    names: ['STDDEV_SAMP', 'STDDEV'],
    everywhere: ['STDDEV_SAMP'],
    gives: `double; null where there are less than two, ${SPREAD_NULLS}`,
  },
  { ...EXTREME, name: 'min', names: ['MIN'] },
  { ...EXTREME, name: 'max', names: ['MAX'] },
  {
    ...MOMENT,
    name: 'first',
    names: ['FIRST'],
    gives: 'as `x`: of the event with the least time, and of those the first in the log; null where there is none',
  },
  {
    ...MOMENT,
    name: 'last',
    names: ['LAST'],
    gives: 'as `x`: of the event with the greatest time, and of those the last in the log; null where there is none',
  },
  {
    name: 'lastN',
    names: ['LAST_N'],
    forms: ['LAST_N(x, n)'],
    takes: 'scalars',
    params: [whole('n', 'keeps a whole number of values', LAST_N_MAX)],
    wants: 'two arguments, a value and how many of them to keep',
    everywhere: ['LAST_N'],
    keep: ([limit]) => ({ limit: limit![0]!, params: [] }),
    result: argument => listOf(argument!),
    gives:
      'a list as of `x`, the latest first; empty where there is none, OVERFLOW with a text beyond 1 KiB among them',
    stored: 'for each value 4 to 30, and a text',
    error: 'exact',
    cost: 'n log n for n events out of order',
  },
];

export function listOf(type: Type): Type {
  return { kind: 'list', of: { type, presence: REQUIRED } };
}

/** A whole number from 1 to `most`. */
function whole(name: string, verb: string, most: number): AggregateParam {
  return {
    name,
    wants: `${verb}, from 1 to ${most}`,
    read: node => {
      const value = node?.kind === 'literal' ? node.value : null;
      return typeof value === 'bigint' && value >= 1n && value <= BigInt(most) ? [Number(value)] : null;
    },
  };
}

/** Those that the library reads as what they are, and with clauses of their own. */
const READ_BY_KIND: AggregateName[] = ['count', 'sum', 'avg', 'min', 'max', 'first', 'last'];

/** All others by their spellings. */
export const BY_SPELLING = new Map(
  AGGREGATES.filter(({ name }) => !READ_BY_KIND.includes(name)).flatMap(each =>
    each.names.map(name => [name, each] as const),
  ),
);

export function aggregateNamed(name: AggregateName): SqlAggregate {
  return AGGREGATES.find(each => each.name === name)!;
}

/** How calls of it are written. */
export function formsOf({ names, forms }: SqlAggregate): string[] {
  return forms ?? names.map(name => `${name}(x)`);
}

export function isLinear({ name }: SqlAggregate): boolean {
  return LINEAR[name];
}

/** `int64, double, bool or time` */
export function kindsText(kinds: string[]): string {
  return kinds.length < 2 ? kinds.join() : `${kinds.slice(0, -1).join(', ')} or ${kinds.at(-1)}`;
}

const TAKE_ANY = 'COUNT, FIRST, LAST and LAST_N take any type';

/** Why an aggregate, called by this name, does not take a value that is written so; null where it does. */
export function refusalOf({ takes }: SqlAggregate, label: string, type: Type, text: string): string | null {
  if (takes === 'all' || (takes === 'scalars' && isScalar(type))) return null;
  if (isScalar(type) && takes.includes(type.kind)) return null;
  if (!isScalar(type) || takes === 'scalars') return `${label} wants a scalar, got ${typeName(type)}`;
  const isOrdered = takes.includes('time');
  const hints: Partial<Record<ScalarKind, string>> = {
    bool: `write CASE WHEN ${text} THEN 1 ELSE 0 END`,
    string: isOrdered ? TAKE_ANY : `${TAKE_ANY}; declare the input int64 if it is a number`,
    time: 'MIN and MAX take a time',
  };
  return `${label} wants ${kindsText(takes)}, got ${typeName(type)}; ${hints[type.kind] ?? TAKE_ANY}`;
}
