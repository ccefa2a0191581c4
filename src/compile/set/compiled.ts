import type { Aggregate, Feature, FeatureSet } from '../../plan/plan.ts';

/** What a feature set adds to the plan; null for each part that is faulty. */
export interface CompiledSet {
  set: FeatureSet | null;
  aggregates: Aggregate[];
  features: Feature[];
}
