import { assert } from '../base/assert.ts';
import type { AggregateFunction, AggregateName } from '../plan/plan.ts';

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
};
const REAL_CASES: Partial<Record<AggregateName, number>> = { sum: 6, avg: 7 };

/** Of functions that share a state, which one it is (assembly/aggregate.ts); 0 where there is one only. */
const FINISHERS: Partial<Record<AggregateName, number>> = {
  ...{ varPop: 1, varSamp: 2, stddevPop: 3, stddevSamp: 4 },
  ...{ countUnique: 1, mode: 2, topK: 3, valueCounts: 4, bucketCounts: 5, quantile: 6 },
};

/** What a function's state is finished by; what it is told of that are the function's params. */
export function finisherOf(fn: AggregateFunction): number {
  return FINISHERS[fn.name] ?? 0;
}

/** What 8 bytes of a value are (assembly/aggregate.ts). */
const INTEGER = 1;
const REAL = 2;
const TEXT = 3;

export function caseOf(fn: AggregateFunction): number {
  const found = (kindOf(fn) === REAL ? REAL_CASES[fn.name] : undefined) ?? CASES[fn.name];
  assert(found !== undefined, `aggregate ${fn.name} has no kernel yet: the compiler refuses it`);
  return found;
}

export function kindOf({ args }: AggregateFunction): number {
  const kind = args[0]?.type.kind;
  return kind === 'double' ? REAL : kind === 'string' ? TEXT : INTEGER;
}
