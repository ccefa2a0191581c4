import { assert } from '../base/assert.ts';
import type { Expression } from '../plan/expression.ts';
import type { AggregateFunction, AggregateName } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';

const MOMENTS = 11;
const COUNTS = 12;

/** The field of FeatureValue's oneof (proto/tilefold/v1/row.proto) that holds an aggregate's state, and names its merge. */
const CASES: Partial<Record<AggregateName, number>> = {
  count: 1,
  sum: 2,
  avg: 3,
  min: 4,
  max: 5,
  first: 8,
  last: 9,
  lastN: 10,
  varPop: MOMENTS,
  varSamp: MOMENTS,
  stddevPop: MOMENTS,
  stddevSamp: MOMENTS,
  countUnique: COUNTS,
  mode: COUNTS,
  topK: COUNTS,
  valueCounts: COUNTS,
  bucketCounts: COUNTS,
  quantile: COUNTS,
  decayedSum: 13,
  decayedCount: 13,
  firstN: 20,
  lastDistinct: 21,
  list: 22,
  set: 25,
  argMax: 26,
  argMin: 27,
  approxCountDistinct: 28,
  vectorAvg: 29,
};
const REAL_CASES: Partial<Record<AggregateName, number>> = { sum: 6, avg: 7 };

/** Of several values, and of texts. */
const RANKED_CASES: Partial<Record<AggregateName, number>> = { max: 23, min: 24 };

/** What 8 bytes of a value are (assembly/aggregate.ts). */
const INTEGER = 1;
const REAL = 2;
const TEXT = 3;
const NUMBERS = 4;

export function caseOf(fn: AggregateFunction): number {
  const isRanked = fn.limit !== null || kindOf(fn) === TEXT;
  const found =
    (isRanked ? RANKED_CASES[fn.name] : undefined) ??
    (kindOf(fn) === REAL ? REAL_CASES[fn.name] : undefined) ??
    CASES[fn.name];
  assert(found !== undefined, `aggregate ${fn.name} has no kernel yet: the compiler refuses it`);
  return found;
}

/** Of functions that share a state, which one it is (assembly/aggregate.ts); 0 where there is one only. */
const FINISHERS: Partial<Record<AggregateName, number>> = {
  ...{ varPop: 1, varSamp: 2, stddevPop: 3, stddevSamp: 4 },
  ...{ countUnique: 1, mode: 2, topK: 3, valueCounts: 4, bucketCounts: 5, quantile: 6 },
};
/** Of values in an order the first alone (assembly/ranking.ts). */
const AS_FIRST = 1;

/** What a function's state is finished by; what it is told of that are the function's params. */
export function finisherOf(fn: AggregateFunction): number {
  return isFirstOfRanked(fn) ? AS_FIRST : (FINISHERS[fn.name] ?? 0);
}

function isFirstOfRanked(fn: AggregateFunction): boolean {
  const { name, limit } = fn;
  return limit === null && (name === 'argMax' || name === 'argMin' || caseOf(fn) === RANKED_CASES[name]);
}

/** What a state is told of how many values it keeps, or the like; null where it is told nothing. */
export function limitOf(fn: AggregateFunction): number | null {
  return isFirstOfRanked(fn) ? 1 : fn.limit;
}

/** What values are ranked by, where they are. */
export function rankOf({ name, args }: AggregateFunction): Expression | null {
  return name === 'argMax' || name === 'argMin' ? args[1]! : null;
}

export function kindOf({ name, args }: AggregateFunction): number {
  return name === 'vectorAvg' ? NUMBERS : kindOfType(args[0]?.type);
}

export function kindOfType(type: Type | undefined): number {
  const kind = type?.kind;
  return kind === 'double' ? REAL : kind === 'string' ? TEXT : INTEGER;
}
