import { join } from 'node:path';
import { type Case, randomCase, REGRESSIONS, trialOf } from '../test/proof/case.ts';
import { failureOf, keep, shrunk } from '../test/proof/found.ts';
import type { Disagreement } from '../test/proof/trial.ts';

/**
 * proof.ts SEED | FIRST-LAST: random definitions over random logs, by seed, held against the oracle. The first failure
 * is shrunk, printed, and kept in test/regressions, where every test run tries it first; exit code 1 then.
 */
const [word = ''] = process.argv.slice(2);
const range = /^(\d+)(?:-(\d+))?$/.exec(word);
if (!range) throw new Error('wanted a seed, or the first and the last of several: 17 or 1-1000');
const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];

process.exitCode = 0;
for (let seed = first; seed <= last; seed++) {
  const of = await randomCase(seed);
  const failure = await failureOf(of);
  if (!failure) continue;
  await tell(of, failure, seed);
  process.exitCode = 1;
  break;
}
if (process.exitCode === 0) console.log(`seeds ${first} to ${last}: nothing found`);
// Whatever broke on the way may still hold timers.
process.exit();

async function tell(of: Case, failure: Disagreement, seed: number): Promise<void> {
  console.log(`seed ${seed}, the ${seed - first + 1}. of these, fails: ${failure.message}\n`);
  // What is refused as a whole has nothing in it that could be left out.
  if (failure.stage === 'compile') return console.log(trialOf(of).definitions);
  console.log('shrinking ...');
  const { smallest, tries } = await shrunk(of, failure);
  // Where in the program it was seen is of no use to whoever reads the case later.
  const found = (await failureOf(smallest))!.message.split('\n    at ')[0]!;
  const trial = trialOf(smallest);
  console.log(`after ${tries} candidates: ${found}\n\n${trial.definitions}\n${trial.lines.join('\n')}\n`);
  const folder = join(REGRESSIONS, `${failure.stage}-${seed}`);
  await keep(folder, smallest, { found, seed, commit: commit() });
  console.log(`kept in ${folder}`);
}

function commit(): string | null {
  const { stdout, exitCode } = Bun.spawnSync(['git', 'rev-parse', '--short', 'HEAD']);
  return exitCode === 0 ? stdout.toString().trim() : null;
}
