import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mutant } from './mutant.ts';
import { MUTANTS, suitesFor } from './mistakes.ts';

/**
 * mutants.ts [--quick] [NAME...]: would the tests notice? Puts one mistake at a time into a copy of the repository and runs the
 * fast suites on it. A mistake that no suite notices ends in exit code 1, and so does one whose place in the source
 * is no longer there or no longer the only one. `--quick` builds kernels that are hardly optimised, one for both builds.
 */
const ROOT = join(import.meta.dir, '..');
const COPIED = [
  'src',
  'assembly',
  'test',
  'scripts',
  'docs',
  'examples',
  'proto',
  'wasm',
  'package.json',
  'bunfig.toml',
  'tsconfig.json',
];

/** Ten times what the slowest suite takes: a mistake that never ends is noticed too. */
const SUITE_MAX_MS = 300_000;

const isQuick = process.argv.includes('--quick');
const wanted = process.argv.slice(2).filter(word => word !== '--quick');
const chosen = MUTANTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const unknown = wanted.filter(name => !MUTANTS.some(mutant => mutant.name === name));
if (unknown.length > 0) throw new Error(`no mutant ${unknown.join(', ')}`);

const folder = await mkdtemp(join(tmpdir(), 'tilefold-mutants-'));
try {
  for (const name of COPIED) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  // Where there is a Python, suites ask it there too.
  await symlink(join(ROOT, '.cache'), join(folder, '.cache'));
  for (const mutant of chosen) await checkPlace(mutant);
  const broken = await noticedBy([...new Set(chosen.flatMap(({ name }) => suitesFor(name)))]);
  if (broken) throw new Error(`${broken} fails without any mistake, or does not end within ${SUITE_MAX_MS / 1000} s`);
  process.exitCode = (await hunt(chosen)) ? 0 : 1;
} finally {
  await rm(folder, { recursive: true });
}

async function checkPlace({ name, file, from }: Mutant): Promise<void> {
  const count = (await readFile(join(folder, file), 'utf8')).split(from).length - 1;
  if (count !== 1) throw new Error(`mutant ${name}: its place is ${count} times in ${file}, wanted once`);
}

/** @returns whether each was caught */
async function hunt(mutants: Mutant[]): Promise<boolean> {
  const rows: string[] = [];
  let caughtCount = 0;
  for (const [i, mutant] of mutants.entries()) {
    const startMs = performance.now();
    const by = await suiteThatNotices(mutant);
    if (by !== null) caughtCount++;
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const row = `${(by === null ? 'SURVIVED' : 'caught').padEnd(9)}${mutant.name.padEnd(20)}${(by ?? '').padEnd(26)}${seconds.padStart(6)} s  ${mutant.why}`;
    console.log(`${i + 1}/${mutants.length} ${row}`);
    rows.push(row);
  }
  console.log(`\n${rows.join('\n')}\n\n${caughtCount} of ${mutants.length} mutants caught`);
  return caughtCount === mutants.length;
}

async function suiteThatNotices({ name, file, from, to }: Mutant): Promise<string | null> {
  const path = join(folder, file);
  const whole = await readFile(path, 'utf8');
  await writeFile(
    path,
    whole.replace(from, () => to),
  );
  try {
    return await noticedBy(suitesFor(name));
  } finally {
    await writeFile(path, whole);
  }
}

/** The first suite that fails; the kernels are built anew where their sources have changed. */
async function noticedBy(suites: string[]): Promise<string | null> {
  const built = await run(['scripts/kernels.ts']);
  if (built.exitCode !== 0) throw new Error(`a mutant must compile:\n${built.output}`);
  for (const suite of suites) {
    if (!existsSync(join(folder, suite))) throw new Error(`there is no suite ${suite}`);
    const { exitCode, output, isStopped } = await run([
      'test',
      '--parallel',
      '--bail',
      '--timeout',
      `${SUITE_MAX_MS}`,
      `./${suite}`,
    ]);
    if (exitCode === 0) continue;
    // A suite that could not even start has noticed nothing.
    if (!isStopped && !/^\(fail\)/m.test(output)) throw new Error(`${suite} did not run:\n${output}`);
    return suite;
  }
  return null;
}

async function run(words: string[]): Promise<{ exitCode: number; output: string; isStopped: boolean }> {
  const child = Bun.spawn([process.execPath, ...words], {
    cwd: folder,
    env: { ...process.env, ...(isQuick && { TILEFOLD_KERNELS: 'quick' }) },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  let isStopped = false;
  const timer = setTimeout(() => {
    isStopped = true;
    child.kill('SIGKILL');
  }, SUITE_MAX_MS);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const exitCode = await child.exited;
  clearTimeout(timer);
  return { exitCode, output: out + err, isStopped };
}
