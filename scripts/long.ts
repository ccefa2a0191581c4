import { join } from 'node:path';

/**
 * long.ts [PART...]: what takes too long for every change. All parts, or those named:
 *
 *   parity    online = replay = oracle with more seeds and cuts, and over the whole week
 *   crash     thousands of seeds of simulated crashes
 *   apply     definitions that change while events come, wait or are given up, of many seeds, and die at any operation
 *   lines     the reader of events on thousands of seeds of good, odd and damaged lines, on each build of the kernels
 *   kill      kill -9 of the real process, 200 times
 *   cluster   a hundred kills of processes of a cluster, sleepers at each step, servers that hang and begin anew
 *   jobs      replays in jobs of random topologies, and many that are killed at any stage
 *   topology  hundreds of random topologies over random logs
 *   fuzz      hundreds of seeds of expressions, damaged rows, packs, definitions and requests
 *   proof     thousands of seeds of random definitions over random logs, and of what has to hold of their states
 *   mutants   scripted mistakes, each of which the fast suites must notice
 *
 * `TILEFOLD_SEEDS=FIRST-LAST` tries these seeds alone, for a night that is cut short: jobs, kill, lines, topology, fuzz and proof know it.
 */
const ROOT = join(import.meta.dir, '..');
const PARTS: Record<string, string[]> = {
  parity: ['test', './test/sim/parity.test.ts'],
  crash: ['test', './test/sim/crash.test.ts'],
  apply: [
    'test',
    ...['./test/sim/apply.test.ts', './test/sim/apply_crash.test.ts', './test/sim/coming.test.ts'],
    './test/cli/shadow.test.ts',
  ],
  lines: ['test', './test/kernel/form.test.ts', './test/kernel/builds.test.ts'],
  kill: ['test', './test/cli/kill.test.ts', './test/cli/apply.test.ts', './test/cli/enriched.test.ts'],
  cluster: ['test', './test/cluster/cluster.test.ts'],
  jobs: ['test', './test/replay', './test/cli/replay_kill.test.ts'],
  topology: ['test', './test/sim/topology.test.ts'],
  fuzz: [
    'test',
    ...['./test/kernel/functions.test.ts', './test/kernel/row_bytes.test.ts', './test/kernel/packed.test.ts'],
    ...['./test/store/pack.test.ts', './test/cli/plan_cache.test.ts'],
    ...['./test/compile/hostile.test.ts', './test/http/hostile.test.ts', './test/source/damaged.test.ts'],
  ],
  proof: ['test', './test/proof'],
  mutants: ['scripts/mutants.ts'],
};

/** A test that says nothing else may take so long; bun's own limit is for a quiet machine, and ends servers that all tests share. */
const TEST_MAX_MS = 3_600_000;

/** Several times what the slowest part takes: one that hangs must not hold up the others for ever. */
const PART_MAX_MS = 3 * 3_600_000;

const wanted = process.argv.slice(2);
const unknown = wanted.filter(name => !Object.hasOwn(PARTS, name));
if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);

const outcomes: [name: string, exitCode: number, minutes: string][] = [];
for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) {
  console.log(`--- ${name}`);
  const startMs = performance.now();
  const exitCode = await run(PARTS[name]!);
  outcomes.push([name, exitCode, ((performance.now() - startMs) / 60_000).toFixed(1)]);
}
for (const [name, exitCode, minutes] of outcomes)
  console.log(`${exitCode === 0 ? 'passed' : 'FAILED'}  ${name.padEnd(8)} ${minutes} min`);
process.exitCode = outcomes.every(([, exitCode]) => exitCode === 0) ? 0 : 1;

async function run(words: string[]): Promise<number> {
  // Mutants are judged by the suites as they are for every change.
  const { TILEFOLD_LONG: _, ...env } = process.env;
  const isTest = words[0] === 'test';
  const child = Bun.spawn([process.execPath, ...words, ...(isTest ? ['--timeout', `${TEST_MAX_MS}`] : [])], {
    cwd: ROOT,
    env: isTest ? { ...env, TILEFOLD_LONG: '1' } : env,
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), PART_MAX_MS);
  const exitCode = await child.exited;
  clearTimeout(timer);
  return exitCode;
}
