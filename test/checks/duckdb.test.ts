/** The engine's lookups, of every entity of the bundled week, as DuckDB has them. */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import type { FeatureColumn } from '../../src/kernel/feature_column.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { memoryDatabase, openEngine } from '../sim/engine.ts';
import { body, tame, weekLines } from '../sim/flights.ts';
import { valueAt } from '../sim/judge.ts';

const FEATURES = new URL('../../examples/flights/features', import.meta.url).pathname;
const HOUR_MS = 3_600_000;

/** What scripts/python/duckdb_values.py writes for one moment. */
interface Moment {
  time: string;
  position: number;
  entities: { [entity: string]: { keys: string[][]; features: { [feature: string]: (number | null)[] } } };
}

const python = pythonOrSkip('lookups = DuckDB');

test.skipIf(python === null)(
  'count, sum, avg, min, max and late, over 2h, 1d, 5d and the lifetime, of every entity',
  async () => {
    const lines = tame(await weekLines());
    const positions = [0, 1_234, 16_384, 47_000, 80_001, lines.length - 1];
    const output = runPython(python!, ['scripts/python/duckdb_values.py', '--positions', positions.join(',')]);
    const moments: Moment[] = new TextDecoder()
      .decode(output)
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(moments.map(({ position }) => position)).toEqual(positions);

    const plan = await compileFolder(FEATURES, { latenessMs: HOUR_MS });
    const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), segmentBytes: 1 << 24 });
    const names = plan.features.map(feature => feature.name).sort();
    let posted = 0;
    let compared = 0;
    for (const [i, { position, time, entities }] of moments.entries()) {
      await engine.ingest.post(body(lines.slice(posted, position + 1)), 'ndjson');
      posted = position + 1;
      // From memory, from the store alone, and from both.
      if (i >= 2) engine.ingest.barrier();
      if (i === 3) engine.folds[0]!.evict(0);
      const keys = Object.fromEntries(Object.entries(entities).map(([entity, of]) => [entity, of.keys]));
      const answer = engine.reader.lookup({
        features: plan.sets.map(set => `${set.name}:*`),
        entities: keys,
        at: null,
      });
      expect([answer.position, answer.timeMicros]).toEqual([position, BigInt(Date.parse(time)) * 1000n]);
      expect(answer.entities.flatMap(({ features }) => features.map(({ name }) => name)).sort()).toEqual(names);
      for (const { entity, features } of answer.entities)
        for (const column of features) compared += compare(column, entities[entity]!, position);
    }
    await engine.close();
    // 26 features of more than 3,000 routes and airports, six times.
    expect(compared).toBeGreaterThan(300_000);
  },
);

/**
 * Averages and rates are the same to the last bit: DuckDB divides a sum by a count, both exact as doubles here (far
 * below 2^53), so its one rounding is the rounding of the exact quotient.
 */
function compare(column: FeatureColumn, of: Moment['entities'][string], position: number): number {
  const theirs = of.features[column.name]!;
  for (const [row, key] of of.keys.entries()) {
    const value = valueAt(column, row);
    const ours = value === null ? null : Number(value);
    if (!Object.is(ours, theirs[row]))
      throw new Error(`${column.name} of ${key} at ${position}: ${ours}, DuckDB has ${theirs[row]}`);
  }
  return theirs.length;
}
