import type { Plan } from '../../src/plan/plan.ts';
import { SimulatedDisk } from './disk.ts';
import { memoryDatabase, openEngine, rowsHash } from './engine.ts';
import { body } from './flights.ts';
import type { Random } from './random.ts';

/** What a store's rows are of lines that come in bodies of `step`, with rows written and let go of now and then. */
export async function rowsOfCut(
  plan: Plan,
  lines: Uint8Array[],
  { shards, step, seed, rng }: { shards: number; step: number; seed: number; rng: Random },
): Promise<ReturnType<typeof rowsHash>> {
  const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase(), shards });
  for (let from = 0; from < lines.length; from += step) {
    await engine.ingest.post(body(lines.slice(from, from + step)), 'ndjson');
    if (!rng.chance(0.1)) continue;
    engine.ingest.barrier();
    for (const fold of engine.folds) fold.evict(0);
  }
  engine.ingest.barrier();
  const hash = rowsHash(engine.store);
  await engine.close();
  return hash;
}
