/** Random definitions over random logs in several threads: answers are the oracle's, rows and errors those of one thread. */
import { expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compose, type Parts } from '../../src/cli/alone/compose.ts';
import { DEFAULTS } from '../../src/cli/config.ts';
import { leftIn } from '../sim/left.ts';
import { seeds } from '../seeds.ts';
import { folders } from '../source/folder.ts';
import { randomCase, trialOf } from './case.ts';
import { proveThreads, type Trial } from './trial.ts';

/** Other seeds than those of proof.test.ts. */
const FIRST_SEED = 300_000;
const TIMEOUT_MS = 300_000;
const MEMORY_BYTES = 256 << 20;

const folder = folders();

function open(at: string, trial: Trial, workers: number, memoryBytes: number): Promise<Parts> {
  const config = {
    ...DEFAULTS,
    log: { ...DEFAULTS.log, dir: join(at, 'log'), clock: trial.clock },
    store: { sqlite: join(at, 'rows.db') },
    definitions: join(at, 'features'),
    fold: { workers, memoryBytes, barrierMs: 100 },
    latenessMs: trial.latenessMs,
  };
  const onFailure = (error: unknown) => {
    throw error;
  };
  return compose(config, { isAlone: workers === 0, announce: null, onFailure, note: console.error });
}

function project(trial: Trial): string {
  const at = folder();
  mkdirSync(join(at, 'features'), { recursive: true });
  writeFileSync(join(at, 'features', 'definitions.yaml'), trial.definitions);
  return at;
}

test.each(seeds(6, 200).map(seed => FIRST_SEED + seed - 1))(
  'seed %d',
  async seed => {
    const of = await randomCase(seed);
    // Arrivals are those of the real wall here.
    const trial = trialOf({ ...of, arrivalsMs: null, clock: { ...of.clock, kind: 'event' } });
    const [alone, together] = [project(trial), project(trial)];
    const one = await open(alone, trial, 0, MEMORY_BYTES);
    await one.ingest.post(new TextEncoder().encode(trial.lines.map(line => `${line}\n`).join('')), 'ndjson');
    await one.close();
    const { values } = await proveThreads(trial, (workers, memoryBytes) => open(together, trial, workers, memoryBytes));
    expect(values).toBeGreaterThan(0);
    expect(leftIn(join(together, 'rows.db'), one.plan)).toEqual(leftIn(join(alone, 'rows.db'), one.plan));
  },
  TIMEOUT_MS,
);
