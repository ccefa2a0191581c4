/**
 * Finds the Python that checks tilefold by other hands (DuckDB, Google's protobuf, Polars, pandas). Tests ask for it
 * with `pythonOrSkip`.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Where `.ci/run` and the command below make it; TILEFOLD_PYTHON names another. */
const VENV_PYTHON = `${ROOT}.cache/venv/bin/python`;

export const MAKE_VENV =
  'python3 -m venv .cache/venv && .cache/venv/bin/pip install -r scripts/python/requirements.txt';

/** The path of a Python with the packages of scripts/python/requirements.txt, or null where there is none. */
export function findPython(): string | null {
  const path = process.env.TILEFOLD_PYTHON ?? VENV_PYTHON;
  return existsSync(path) ? path : null;
}

/**
 * For tests: `test.skipIf(pythonOrSkip('oracle = DuckDB') === null)(...)`. Says aloud what is skipped, why, and what
 * to do about it; under CI=true nothing is skipped.
 *
 * @throws Error under CI=true where there is no Python
 */
export function pythonOrSkip(what: string): string | null {
  const python = findPython();
  if (python !== null) return python;
  const reason = `${what}: no Python at ${process.env.TILEFOLD_PYTHON ?? VENV_PYTHON}. Make one with: ${MAKE_VENV}`;
  if (process.env.CI === 'true') throw new Error(reason);
  console.warn(`SKIPPED ${reason}`);
  return null;
}

/**
 * Runs Python in the project's folder.
 *
 * @param args a script (`scripts/python/read_rows.py`) or `-c` and a program, and what follows
 * @returns what it wrote to standard output
 * @throws Error with what it wrote to standard error where it did not exit with 0
 */
export function runPython(python: string, args: string[], input?: Uint8Array): Uint8Array {
  const { exitCode, stdout, stderr } = Bun.spawnSync([python, ...args], { cwd: ROOT, stdin: input ?? 'ignore' });
  if (exitCode !== 0) throw new Error(`${python} ${args.join(' ')} exited with ${exitCode}:\n${stderr.toString()}`);
  return stdout;
}

/** Compiles proto/, or another folder, into a FileDescriptorSet, and returns its path. */
export function buildDescriptors(folder = 'proto', name = 'descriptors'): string {
  const path = `${ROOT}.cache/${name}.binpb`;
  const buf = `${ROOT}node_modules/.bin/buf`;
  const { exitCode, stderr } = Bun.spawnSync([buf, 'build', folder, '-o', path], { cwd: ROOT });
  if (exitCode !== 0) throw new Error(`buf build exited with ${exitCode}:\n${stderr.toString()}`);
  return path;
}
