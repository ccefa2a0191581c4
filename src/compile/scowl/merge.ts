import { aggregateHash } from '../../plan/canonical.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Desk, Written } from './desk.ts';

/** Aggregates that mean the same are stored once, under the name of the first; all reads are turned to it. */
export function mergeAggregates({ aggregates, declared, reads }: Desk): Written[] {
  const plan: Plan = {
    events: [...declared.events.values()].flatMap(event => event ?? []),
    aggregates: aggregates.map(({ aggregate }) => aggregate),
    ...{ entities: [], sets: [], features: [], latenessMs: 0 },
  };
  const byHash = new Map<string, Written>();
  const kept = new Map<string, string>();
  for (const written of aggregates) {
    const hash = aggregateHash(written.aggregate, plan);
    const first = byHash.get(hash);
    if (first) first.keyNames.push(...written.keyNames);
    else byHash.set(hash, { ...written, keyNames: [...written.keyNames] });
    kept.set(written.aggregate.name, (first ?? written).aggregate.name);
  }
  for (const read of reads) read.aggregate = kept.get(read.aggregate)!;
  return [...byHash.values()];
}
