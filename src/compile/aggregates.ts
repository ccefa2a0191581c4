import { formatDuration, parseDuration } from '../base/time.ts';
import type { Expression } from '../plan/expression.ts';
import type { AggregateName } from '../plan/plan.ts';
import { LINEAR } from '../plan/plan.ts';
import type { ScalarKind, Type } from '../plan/value.ts';
import { BOOL, DOUBLE, INT64, isScalar, REQUIRED, typeName } from '../plan/value.ts';
import type { SqlNode } from './node.ts';
import { call, literal, nullLiteral } from './typing.ts';

/**
 * The aggregates that SQL can call, in one table: what feature sets are read and checked by is what docs/aggregates.md is
 * made of.
 */
export interface SqlAggregate {
  name: AggregateName;
  /** It is the quotient of that aggregate by this one, of the same value. */
  over?: AggregateName;
  /** All spellings, in capitals, the one to write first. */
  names: string[];
  /** How calls are written, where that is otherwise than NAME(x). */
  forms?: string[];
  /** What the value may be: these types, any scalar, lists and structs too, or lists of doubles. */
  takes: ScalarKind[] | 'scalars' | 'all' | 'vectors';
  /** A second value ranks the first: any scalar, right behind it. */
  isRanked?: true;
  /** Do texts count by their order, which is not that of their bytes everywhere? */
  isOrdered?: true;
  /** What it is with DISTINCT before the value. */
  distinct?: AggregateName;
  /** Spellings that want what others may leave out. */
  full?: string[];
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

/** How many different values are counted: all of them are in a row, and whoever folds an event into it goes through them. */
export const COUNTED_DEFAULT = 1000;
export const COUNTED_MAX = 10_000;

/** How many of the values that are there most often are given at most. */
export const TOP_MAX = 1000;

/** Buckets between boundaries are all in every reply. */
export const BOUNDARIES_MAX = 1000;

/** Each is looked for in the whole sketch. */
export const QUANTILES_MAX = 100;

/** How far a quantile may be off, for its size. Finer than the least a sketch of a wide range has too many buckets. */
export const ACCURACY_DEFAULT = 0.01;
const ACCURACY_MIN = 0.001;
const ACCURACY_MAX = 0.5;

/** Buckets of a sketch: with the default accuracy they reach from the least to 10^35 times as much. */
export const SKETCH_BUCKETS_MAX = 4096;

/** After so many half-lives less is left of a value than the last bit of a double. */
export const HALF_LIVES_KEPT = 64;
const HALF_LIFE_MAX_MS = 36_500 * 86_400_000;

const PLAIN = { params: [], wants: 'one argument', everywhere: [], keep: () => ({ limit: null, params: [] }) };
const NUMBERS: ScalarKind[] = ['int64', 'double'];
const SAME = (argument: Type | null) => argument!;

/** Of HyperLogLogs: 2^12 registers, an error of 1.6 percent. */
export const PRECISION_DEFAULT = 12;
export const PRECISION_MIN = 4;
export const PRECISION_MAX = 16;

/** No aggregate of its own: what it is made of stands in sql/aggregate.ts. */
export const SINCE_LAST = 'TIME_SINCE_LAST';

/** How long the lists of a VECTOR_AVG may be. */
export const VECTOR_MAX = 1024;

const TOO_LONG = 'OVERFLOW with a text beyond 1 KiB among them';
const COUNT_KEPT = whole('n', 'keeps a whole number of values', LAST_N_MAX);

/** One value, or as many as are wanted. */
const EXTREME = {
  ...PLAIN,
  takes: 'scalars' as const,
  isOrdered: true as const,
  params: [optional(COUNT_KEPT, [])],
  wants: 'one argument, or two: a value and how many of them to keep',
  keep: ([limit]: number[][]) => ({ limit: limit![0] ?? null, params: [] }),
  result: (argument: Type | null, [limit]: number[][]) => (limit!.length > 0 ? listOf(argument!) : argument!),
  stored: '2 to 13; of texts, or of several, for each 1 to 10, or the text',
  error: 'exact',
  cost: 'a comparison; of several log n',
};

/** Values in an order, so many of them. */
const LISTED = {
  takes: 'scalars' as const,
  params: [COUNT_KEPT],
  wants: 'two arguments, a value and how many of them to keep',
  everywhere: [] as string[],
  keep: ([limit]: number[][]) => ({ limit: limit![0]!, params: [] }),
  result: (argument: Type | null) => listOf(argument!),
  stored: '5, and for each value 4 to 30, and a text',
  error: 'exact',
  cost: 'n log n for n events out of order',
};

/** Values in an order, all of them or none. */
const WHOLE = {
  ...LISTED,
  params: [optional(COUNT_KEPT, [LAST_N_MAX])],
  wants: `one argument, or two: a value and how many of them there are at most (${LAST_N_MAX})`,
};

const RANKED = {
  ...PLAIN,
  takes: 'scalars' as const,
  isRanked: true as const,
  isOrdered: true as const,
  params: [optional(COUNT_KEPT, [])],
  wants: 'two arguments, a value and what ranks it, or three: and how many of them to keep',
  keep: ([limit]: number[][]) => ({ limit: limit![0] ?? null, params: [] }),
  result: (argument: Type | null, [limit]: number[][]) => (limit!.length > 0 ? listOf(argument!) : argument!),
  stored: 'for each value 5 to 40, and texts',
  error: 'exact',
  cost: 'a comparison; of several log n',
};

const MOMENT = {
  ...PLAIN,
  takes: 'scalars' as const,
  result: SAME,
  stored: '2 to 35, mostly below 24; and a text',
  error: 'exact',
  cost: 'a comparison of times',
};

const SPREAD = {
  ...PLAIN,
  takes: NUMBERS,
  result: () => DOUBLE,
  stored: '8 to 640, mostly below 48',
  cost: 'two additions and a square, of 128 bits',
};
const VARIANCE = {
  ...SPREAD,
  error: 'the exact quotient of exact sums, rounded once; squares of doubles below 2^-485 are rounded to 2^-1074',
};
const DEVIATION = { ...SPREAD, error: 'the square root of the variance, that as a double' };
const SPREAD_NULLS = 'NaN with a NaN or an infinity among them, OVERFLOW with a double of 2^512 or more';

const BOUND: AggregateParam = {
  ...whole('n', 'counts a whole number of different values', COUNTED_MAX, COUNTED_DEFAULT),
};
const COUNTED = {
  ...PLAIN,
  takes: 'scalars' as const,
  params: [BOUND],
  wants: 'one argument, or two with how many different values it counts at most',
  keep: ([limit]: number[][]) => ({ limit: limit![0]!, params: [] }),
  stored: '9, and for each value 2 to 20, or 3 to 13 and its text',
  error: 'exact',
  cost: 'n log n for n different values, and a pass over those of the row',
};
const MANY = 'OVERFLOW with more than `n` different values (1000 where nothing is written) or a text beyond 1 KiB';

const HALF_LIFE: AggregateParam = {
  name: 'half-life',
  wants: `wants a half-life from 1ms to ${formatDuration(HALF_LIFE_MAX_MS)}, like '1h' or INTERVAL 1 HOUR`,
  read: readHalfLife,
};
const DECAYED = {
  ...PLAIN,
  params: [HALF_LIFE],
  wants: "two arguments, a value and a half-life like '1h'",
  keep: ([halfLifeMs]: number[][]) => ({ limit: halfLifeMs![0]!, params: halfLifeMs! }),
  result: () => DOUBLE,
  stored: '2 to 340, mostly below 24',
  error: 'the exact sum of values times their powers of two, these rounded: to 2^-51 of the sum of the sizes',
  cost: 'a power of two for each event, and an addition of 128 bits',
};
const DECAYED_NULLS = `Events of more than ${HALF_LIVES_KEPT} half-lives ago drop. OVERFLOW with an infinity or a value of 2^768 or more`;

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
    stored: '8 to 33; of doubles 6 to 350, mostly below 24',
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
  {
    ...COUNTED,
    name: 'countUnique',
    names: ['COUNT_DISTINCT'],
    everywhere: ['COUNT_DISTINCT'],
    forms: ['COUNT(DISTINCT x)', 'COUNT_DISTINCT(x, n)'],
    result: () => INT64,
    gives: `int64: how many different values there are; ${MANY}`,
  },
  {
    ...COUNTED,
    name: 'mode',
    names: ['MODE'],
    everywhere: ['MODE'],
    forms: ['MODE(x)', 'MODE(x, n)'],
    result: SAME,
    gives: `as \`x\`: the value that is there most often, and of those the least; null where there is none, ${MANY}`,
  },
  {
    ...COUNTED,
    name: 'topK',
    names: ['TOP_K', 'APPROX_TOP_K'],
    everywhere: ['TOP_K'],
    forms: ['TOP_K(x, k)', 'TOP_K(x, k, n)'],
    params: [whole('k', 'gives a whole number of values', TOP_MAX), BOUND],
    wants:
      'two arguments, a value and how many of them to give, or three with how many different values it counts at most',
    keep: ([k, limit]) => ({ limit: limit![0]!, params: k! }),
    result: argument => listOf(argument!),
    gives: `a list as of \`x\`: the \`k\` values that are there most often, the most frequent first, of those as frequent the least; ${MANY}`,
  },
  {
    ...COUNTED,
    name: 'valueCounts',
    names: ['HISTOGRAM', 'VALUE_COUNTS'],
    everywhere: ['HISTOGRAM', 'VALUE_COUNTS'],
    forms: ['HISTOGRAM(x)', 'HISTOGRAM(x, n)'],
    wants: `${COUNTED.wants}; BUCKET_COUNTS(x, [...]) counts between boundaries, and this has`,
    result: argument => ({ kind: 'map', key: argument!, of: { type: INT64, presence: REQUIRED } }),
    gives: `a map of each value to how often it is there, which JSON has as an object; ${MANY}`,
  },
  {
    ...PLAIN,
    name: 'bucketCounts',
    names: ['BUCKET_COUNTS'],
    everywhere: ['BUCKET_COUNTS'],
    forms: ['BUCKET_COUNTS(x, [b, ...])'],
    takes: NUMBERS,
    params: [
      {
        name: 'boundaries',
        wants: `counts between boundaries, which are a list of at most ${BOUNDARIES_MAX} ascending numbers`,
        read: node => {
          const numbers = node?.kind === 'list' ? node.items.map(numberOf) : [];
          const isAscending = numbers.every((one, i) => one !== null && (i === 0 || one > numbers[i - 1]!));
          return isAscending && numbers.length > 0 && numbers.length <= BOUNDARIES_MAX ? (numbers as number[]) : null;
        },
      },
    ],
    wants: 'two arguments, a value and a list of boundaries',
    keep: ([boundaries]) => ({ limit: boundaries!.length + 1, params: [boundaries!.length + 1] }),
    result: () => listOf(INT64),
    argument: (value, [boundaries]) => {
      const isWhole = value.type.kind === 'int64' && boundaries!.every(Number.isSafeInteger);
      const list = isWhole
        ? literal(boundaries!.map(BigInt), listOf(INT64), value.at)
        : literal(boundaries!, listOf(DOUBLE), value.at);
      return call('bucketIndex', [value, list], INT64, value.at!);
    },
    gives:
      'a list of int64, one more than boundaries: values up to the first (and it), above that up to the second, and so on; the last is of those above all, and of NaN',
    stored: '9, and for each bucket 2 to 12',
    error: 'exact',
    cost: 'a search in the boundaries, and a pass over the buckets of the row',
  },
  {
    ...PLAIN,
    name: 'quantile',
    names: ['APPROX_QUANTILE'],
    everywhere: ['APPROX_QUANTILE'],
    forms: ['APPROX_QUANTILE(x, q)', 'APPROX_QUANTILE(x, [q, ...])', 'APPROX_QUANTILE(x, q, accuracy)'],
    takes: NUMBERS,
    params: [
      {
        name: 'q',
        wants: `takes a number from 0 to 1, or a list of at most ${QUANTILES_MAX} such`,
        read: node => {
          const numbers = (node?.kind === 'list' ? node.items : node ? [node] : []).map(numberOf);
          const isWithin = numbers.every(one => one !== null && one >= 0 && one <= 1);
          const isList = node?.kind === 'list' ? 1 : 0;
          return isWithin && numbers.length > 0 && numbers.length <= QUANTILES_MAX
            ? [isList, ...(numbers as number[])]
            : null;
        },
      },
      {
        name: 'accuracy',
        wants: `may be off by a part of the value, a number from ${ACCURACY_MIN} to ${ACCURACY_MAX}`,
        isOptional: true,
        read: node => {
          const accuracy = node ? numberOf(node) : ACCURACY_DEFAULT;
          return accuracy !== null && accuracy >= ACCURACY_MIN && accuracy <= ACCURACY_MAX ? [accuracy] : null;
        },
      },
    ],
    wants: 'two arguments, a value and which quantile of them, or three with how far it may be off',
    keep: ([quantiles, accuracy]) => ({ limit: SKETCH_BUCKETS_MAX, params: [...accuracy!, ...quantiles!] }),
    result: (_, [quantiles]) => (quantiles![0] === 1 ? listOf(DOUBLE) : DOUBLE),
    argument: (value, [, accuracy]) =>
      call('sketchBucket', [value, literal(accuracy![0]!, DOUBLE, value.at)], INT64, value.at!),
    gives: `double, or a list of them: of n values in order that with floor(q (n - 1)) below it; null where there is none. NaN is above all. OVERFLOW with values in more than ${SKETCH_BUCKETS_MAX} buckets, which reach over 35 orders of magnitude with the default accuracy`,
    stored:
      '9, and for each bucket 2 to 15, mostly 3; a hundredfold of the least value takes 233 with the default accuracy',
    error: `at most \`accuracy\` of the value, ${ACCURACY_DEFAULT} where nothing is written`,
    cost: 'a bucket by a cubic of the mantissa, and a pass over the buckets of the row',
  },
  {
    ...DECAYED,
    name: 'decayedSum',
    names: ['DECAYED_SUM'],
    everywhere: ['DECAYED_SUM'],
    forms: ["DECAYED_SUM(x, '1h')"],
    takes: NUMBERS,
    gives: `double: the sum of \`x\` that counts half as much after each half-life before the read; 0 where there is none. ${DECAYED_NULLS}`,
  },
  {
    ...DECAYED,
    name: 'decayedCount',
    names: ['DECAYED_COUNT'],
    everywhere: ['DECAYED_COUNT'],
    forms: ["DECAYED_COUNT(x, '1h')"],
    takes: 'scalars',
    argument: value => oneOf(value),
    gives: `double: how many values there are, each of which counts half as much after each half-life; 0 where there is none`,
  },
  {
    ...DECAYED,
    name: 'decayedSum',
    over: 'decayedCount',
    names: ['DECAYED_AVG'],
    everywhere: ['DECAYED_AVG'],
    forms: ["DECAYED_AVG(x, '1h')"],
    takes: NUMBERS,
    gives: 'double: `DECAYED_SUM` by `DECAYED_COUNT`, both of which are stored; null where there is none',
    stored: 'as both',
  },
  {
    ...EXTREME,
    name: 'min',
    names: ['MIN'],
    forms: ['MIN(x)', 'MIN(x, n)'],
    gives: `as \`x\`; null where there is none. -0 is below 0, texts go by their UTF-8 bytes. With \`n\` a list of the least, the least first, each as often as it is there. OVERFLOW while a text that is to be given is beyond 1 KiB`,
  },
  {
    ...EXTREME,
    name: 'max',
    names: ['MAX', 'TOP_N'],
    full: ['TOP_N'],
    everywhere: ['TOP_N'],
    forms: ['MAX(x)', 'MAX(x, n)', 'TOP_N(x, n)'],
    gives: `as \`x\`; null where there is none. NaN is above all. With \`n\` a list of the greatest, the greatest first. OVERFLOW as with MIN`,
  },
  {
    ...RANKED,
    name: 'argMax',
    names: ['ARG_MAX', 'MAX_BY', 'ARGMAX'],
    forms: ['ARG_MAX(x, by)', 'ARG_MAX(x, by, n)', 'MAX_BY', 'ARGMAX'],
    gives: `as \`x\`: of the event with the greatest \`by\`, and of those the earliest by time and then in the log; events where either is null are passed over, and null where there is none. With \`n\` a list, the greatest first. ${TOO_LONG}`,
  },
  {
    ...RANKED,
    name: 'argMin',
    names: ['ARG_MIN', 'MIN_BY', 'ARGMIN'],
    forms: ['ARG_MIN(x, by)', 'ARG_MIN(x, by, n)', 'MIN_BY', 'ARGMIN'],
    gives: `as \`x\`: of the event with the least \`by\`; else as ARG_MAX`,
  },
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
    ...LISTED,
    name: 'lastN',
    names: ['LAST_N'],
    forms: ['LAST_N(x, n)'],
    everywhere: ['LAST_N'],
    distinct: 'lastDistinct',
    gives: `a list as of \`x\`, the latest first; empty where there is none, ${TOO_LONG}`,
  },
  {
    ...LISTED,
    name: 'firstN',
    names: ['FIRST_N'],
    forms: ['FIRST_N(x, n)'],
    everywhere: ['FIRST_N'],
    gives: `a list as of \`x\`, the earliest first; empty where there is none, ${TOO_LONG}`,
  },
  {
    ...LISTED,
    name: 'lastDistinct',
    names: ['LAST_DISTINCT'],
    forms: ['LAST_N(DISTINCT x, n)', 'LAST_DISTINCT(x, n)'],
    everywhere: ['LAST_DISTINCT'],
    gives: `a list as of \`x\`: the distinct values that were latest, each where it was latest, the latest first; -0 is 0; empty where there is none, ${TOO_LONG}`,
  },
  {
    ...WHOLE,
    name: 'list',
    names: ['LIST', 'ARRAY_AGG', 'COLLECT_LIST'],
    forms: ['LIST(x)', 'LIST(x, n)', 'ARRAY_AGG', 'COLLECT_LIST'],
    distinct: 'set',
    gives: `a list as of \`x\`: all values, in the order of time and then of the log; empty where there is none, OVERFLOW with more than \`n\`, or a text beyond 1 KiB`,
  },
  {
    ...WHOLE,
    name: 'set',
    names: ['COLLECT_SET'],
    forms: ['LIST(DISTINCT x)', 'LIST(DISTINCT x, n)', 'COLLECT_SET(x)'],
    gives: `a list as of \`x\`: each value once, from the least on as MIN has them; -0 is 0; empty and OVERFLOW as LIST`,
    stored: 'for each value 1 to 10, and a text',
    cost: 'log n',
  },
  {
    ...PLAIN,
    name: 'approxCountDistinct',
    names: ['APPROX_COUNT_DISTINCT'],
    forms: ['APPROX_COUNT_DISTINCT(x)', 'APPROX_COUNT_DISTINCT(x, precision)'],
    takes: 'scalars',
    params: [
      optional(whole('precision', 'takes a whole number as its precision', PRECISION_MAX, undefined, PRECISION_MIN), [
        PRECISION_DEFAULT,
      ]),
    ],
    wants: `one argument, or two: a value and a precision (${PRECISION_DEFAULT})`,
    everywhere: ['APPROX_COUNT_DISTINCT'],
    keep: ([precision]) => ({ limit: precision![0]!, params: [] }),
    result: () => INT64,
    gives: 'int64: about how many distinct values there are; 0 where there is none. -0 is 0, and every NaN one value',
    stored: 'about 2 for each value, up to 2^precision * 3/4: 3 KiB',
    error: '1.04 / sqrt(2^precision) is the standard error: 1.6 %',
    cost: 'a hash',
  },
  {
    ...LISTED,
    name: 'vectorAvg',
    names: ['VECTOR_AVG'],
    forms: ['VECTOR_AVG(x, n)'],
    takes: 'vectors',
    params: [whole('n', 'averages lists of one length', VECTOR_MAX)],
    wants: 'two arguments, a list of doubles and how long it is',
    everywhere: ['VECTOR_AVG'],
    result: () => listOf(DOUBLE),
    gives:
      'a list of n doubles: the average of each place, as AVG has it. Lists of another length, or with a null in them, are passed over; null where there is none',
    stored: 'for each place some 15 bytes',
    error: 'the exact quotient of the exact sum, rounded once',
    cost: 'n additions',
  },
];

export function listOf(type: Type): Type {
  return { kind: 'list', of: { type, presence: REQUIRED } };
}

/** A whole number from `least` to `most`; with `otherwise` it may be left out. */
function whole(name: string, verb: string, most: number, otherwise?: number, least = 1): AggregateParam {
  return {
    name,
    wants: `${verb}, from ${least} to ${most}`,
    ...(otherwise === undefined ? {} : { isOptional: true as const }),
    read: node => {
      if (!node && otherwise !== undefined) return [otherwise];
      const value = node?.kind === 'literal' ? node.value : null;
      return typeof value === 'bigint' && value >= least && value <= most ? [Number(value)] : null;
    },
  };
}

/** The number that is written; null where it is none that a double holds. */
function numberOf(node: SqlNode): number | null {
  if (node.kind !== 'literal') return null;
  const { value } = node;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : null;
  return typeof value === 'number' ? value : null;
}

/** '1h', or an INTERVAL of days and less; in milliseconds. */
function readHalfLife(node: SqlNode | null): number[] | null {
  let halfLifeMs: number | null = null;
  if (node?.kind === 'literal' && typeof node.value === 'string') halfLifeMs = parseDuration(node.value);
  if (node?.kind === 'interval' && !node.count && node.months === 0n && node.micros % 1000n === 0n)
    halfLifeMs = Number(node.micros / 1000n);
  return halfLifeMs !== null && halfLifeMs >= 1 && halfLifeMs <= HALF_LIFE_MAX_MS ? [halfLifeMs] : null;
}

/** 1.0 where the value is not null. */
function oneOf(value: Expression): Expression {
  const at = value.at!;
  return call('case', [call('isNull', [value], BOOL, at), nullLiteral(DOUBLE, at), literal(1, DOUBLE, at)], DOUBLE, at);
}

/** It may be left out, and is `instead` then. */
function optional(param: AggregateParam, instead: number[]): AggregateParam {
  return { ...param, isOptional: true, read: node => (node ? param.read(node) : instead) };
}

/** Those that the library reads as what they are, and with clauses of their own; extremes too, but where more is behind their value. */
const READ_BY_KIND: AggregateName[] = ['count', 'sum', 'avg', 'first', 'last'];

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
  if (takes === 'vectors') {
    const isVector = type.kind === 'list' && type.of.type.kind === 'double';
    return isVector ? null : `${label} wants a list of doubles, got ${typeName(type)}`;
  }
  if (takes === 'all' || (takes === 'scalars' && isScalar(type))) return null;
  if (isScalar(type) && takes.includes(type.kind)) return null;
  if (!isScalar(type) || takes === 'scalars') return `${label} wants a scalar, got ${typeName(type)}`;
  const hints: Partial<Record<ScalarKind, string>> = {
    bool: `write CASE WHEN ${text} THEN 1 ELSE 0 END`,
    string: `${TAKE_ANY}; declare the input int64 if it is a number`,
    time: 'MIN and MAX take a time',
  };
  return `${label} wants ${kindsText(takes)}, got ${typeName(type)}; ${hints[type.kind] ?? TAKE_ANY}`;
}
