/** What becomes of a seed that fails: shrunk, told, and kept. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Case, keepTrial, type Reason, trialOf } from './case.ts';
import { expectedOf } from './expected.ts';
import { shrink } from './shrink.ts';
import { Disagreement, prove } from './trial.ts';

/** Candidates tried for a failure: a minute or two. */
const TRIES_MAX = 3_000;

/** What is wrong with a case; null where nothing is. */
export async function failureOf(of: Case): Promise<Disagreement | null> {
  try {
    await prove(trialOf(of));
    return null;
  } catch (error) {
    if (error instanceof Disagreement) return error;
    throw error;
  }
}

/** The smallest case that fails at the same stage. */
export async function shrunk(of: Case, failure: Disagreement): Promise<{ smallest: Case; tries: number }> {
  return shrink(of, async candidate => (await failureOf(candidate))?.stage === failure.stage, TRIES_MAX);
}

/** Definitions, events, settings and what the oracle expects, in a folder of their own. */
export async function keep(folder: string, of: Case, reason: Reason): Promise<void> {
  const trial = trialOf(of);
  rmSync(folder, { recursive: true, force: true });
  keepTrial(folder, trial, reason);
  writeFileSync(join(folder, 'expected.json'), await expectedOf(trial));
}
