import type { Plan } from '../../src/plan/plan.ts';
import type { Lookup } from '../../src/read/read.ts';
import type { KeyInput } from '../../src/kernel/key.ts';
import type { Random } from './random.ts';

/** Lookups of the flights' features: some keys twice or unknown, some moments long gone, some names that nothing has. */
export function randomLookup(random: Random, plan: Plan, airports: string[], nowMicros: bigint): Lookup {
  const features = Array.from({ length: 1 + random.below(4) }, () => {
    const { name, set } = random.pick(plan.features);
    return random.pick([name, name, `${set}:*`, random.chance(0.05) ? `${name}x` : name]);
  });
  const airport = () => random.pick([...airports, 'none', '']);
  const keys = (make: () => KeyInput) => Array.from({ length: random.below(6) }, make);
  const all = { origin: keys(airport), destination: keys(airport), route: keys(() => [airport(), airport()]) };
  const isMalformed = random.chance(0.05);
  const entities = isMalformed ? { origin: [7], destination: [], route: [] } : all;
  const at = random.chance(0.6)
    ? null
    : nowMicros - BigInt(random.below(6 * 86_400)) * 1_000_000n + BigInt(random.below(2));
  return { features, entities, at };
}
