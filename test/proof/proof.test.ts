/**
 * Random definitions over random logs: every engine is the oracle's equal, and rows show nothing of how they were made.
 * What has failed once is tried first. A seed that fails is brought back, shrunk and kept by `bun scripts/proof.ts SEED`.
 */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { keptFolders, keptTrial, randomCase, trialOf } from './case.ts';
import { expectedOf } from './expected.ts';
import { type Proof, prove } from './trial.ts';

/** `bun scripts/long.ts proof` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = LONG ? 5_000 : 200;
const SEEDS_PER_TEST = 20;
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
  const firsts = Array.from({ length: SEEDS / SEEDS_PER_TEST }, (_, i) => i * SEEDS_PER_TEST);
  const sum: Proof = { values: 0, rows: 0, records: 0 };

  test.each(firsts)(
    'seeds from %d',
    async first => {
      for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
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
