import { assert } from '../base/assert.ts';
import type { AggregateName } from '../plan/plan.ts';

/** The field of FeatureValue's oneof (proto/tilefold/v1/row.proto) that holds an aggregate's state, and names its merge. */
const CASES: Partial<Record<AggregateName, number>> = { count: 1, sum: 2, avg: 3, min: 4, max: 5 };

export function caseOf(name: AggregateName): number {
  const found = CASES[name];
  assert(found !== undefined, `aggregate ${name} has no kernel yet: the compiler refuses it`);
  return found;
}
