/**
 * Random definitions over random logs: every engine is the oracle's equal, and rows show nothing of how they were made.
 * What has failed once is tried first. A seed that fails is brought back, shrunk and kept by `bun scripts/proof.ts SEED`.
 */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { seedLots } from '../seeds.ts';
import { keptFolders, keptTrial, randomCase, trialOf } from './case.ts';
import { expectedOf } from './expected.ts';
import { type Proof, prove } from './trial.ts';

const SEEDS_PER_TEST = 20;
const LOTS = seedLots(120, 5_000, SEEDS_PER_TEST).map(lot => ({ first: lot[0]!, lot }));
const SEEDS = LOTS.flatMap(({ lot }) => lot).length;
/** Many times what they take: one that hangs has failed. */
const TIMEOUT_MS = 300_000;

describe('kept', () => {
  test.each(keptFolders().map(folder => [basename(folder), folder]))(
    '%s',
    async (_name, folder) => {
      const trial = keptTrial(folder);
      // Should the oracle ever change its mind, it is to be noticed.
      expect(JSON.parse(await expectedOf(trial))).toEqual(
        JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')),
      );
      await prove(trial);
    },
    TIMEOUT_MS,
  );
});

describe('random', () => {
  const sum: Proof = { values: 0, rows: 0, records: 0 };

  test.each(LOTS)(
    'seeds from $first',
    async ({ lot }) => {
      for (const seed of lot) {
        try {
          const { values, rows, records } = await prove(trialOf(await randomCase(seed)));
          sum.values += values;
          sum.rows += rows;
          sum.records += records;
        } catch (error) {
          const text = error instanceof Error ? error.message : String(error);
          throw new Error(`seed ${seed} (bun scripts/proof.ts ${seed}): ${text}`);
        }
      }
    },
    TIMEOUT_MS,
  );

  test('there was something to compare', () => {
    console.log(`${SEEDS} seeds: ${sum.records} records, ${sum.values} values and ${sum.rows} rows compared`);
    expect(sum.values / SEEDS).toBeGreaterThan(1_000);
    expect(sum.rows / SEEDS).toBeGreaterThan(50);
  });
});
