import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { type CompileSettings, compileSources, readSources, type SourceFile } from '../compile/compile.ts';
import { Faults } from '../base/fault.ts';
import { placeFile } from '../base/file.ts';
import type { Plan } from '../plan/plan.ts';
import packages from '../../package.json' with { type: 'json' };
import type { Config } from './config.ts';
import { reasonOf } from './exit.ts';

/** In the data folder: the plan that the definitions were compiled to last. It may be deleted at any time. */
export const PLAN_FILE = 'plan.cache';

const DIGEST_BYTES = 32;

export interface CompiledPlan {
  plan: Plan;
  /** Keeps the plan for the next process; the data folder must be there. `note` hears why it cannot be kept, where that is so. */
  keep(note: (text: string) => void): void;
}

/**
 * The plan of the configured definitions: the one kept in the data folder, where these very files were compiled by this
 * very program, else compiled now. Compiling takes a few hundred milliseconds and a hundred megabytes, for the parser of
 * SQL is a large library.
 *
 * @throws Faults all that is wrong with any file
 */
export async function planOf({ definitions, latenessMs, dialect, store }: Config): Promise<CompiledPlan> {
  const settings = { latenessMs, dialect };
  const files = await readSources(definitions);
  const path = join(dirname(store.sqlite), PLAN_FILE);
  const key = keyOf(files, settings);
  const kept = readKept(path, key);
  if (kept) return { plan: kept, keep() {} };
  const { plan, faults } = await compileSources(files, settings);
  if (faults.length > 0) throw new Faults(faults);
  return { plan, keep: note => writeKept(path, key, plan, note) };
}

/** Everything that the plan is a function of, the compiler itself included. */
function keyOf(files: SourceFile[], settings: CompileSettings): Buffer {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([programText(), settings, files.map(({ file, text }) => [file, text])]));
  return hash.digest();
}

/** Another one whenever the compiler may be another one: of a binary its file, of sources their files. */
function programText(): string {
  const isBinary = import.meta.dir.startsWith('/$bunfs');
  const folders = ['base', 'compile', 'plan'].map(name => join(import.meta.dir, '..', name));
  const paths = isBinary
    ? [process.execPath]
    : folders.flatMap(folder => readdirSync(folder).map(name => join(folder, name)));
  const files = paths.sort().map(path => [path, statSync(path).size, statSync(path).mtimeMs]);
  return JSON.stringify([Bun.version, packages, files]);
}

/** Key, digest of the plan, plan. What is damaged, of something else or cannot be read is as good as not there. */
function readKept(path: string, key: Buffer): Plan | null {
  const bytes = bytesOf(path);
  if (!bytes) return null;
  const [keyed, digest] = [bytes.subarray(0, DIGEST_BYTES), bytes.subarray(DIGEST_BYTES, 2 * DIGEST_BYTES)];
  const plan = bytes.subarray(2 * DIGEST_BYTES);
  if (!keyed.equals(key) || !digest.equals(digestOf(plan))) return null;
  return deserialize(plan) as Plan;
}

/** Null whatever the file system says no for: whoever compiles anew needs nothing of it. */
function bytesOf(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

/** Whatever the file system says no for, a full disk above all, stops nobody: the next process compiles as this one did. */
function writeKept(path: string, key: Buffer, plan: Plan, note: (text: string) => void) {
  const bytes = serialize(plan);
  try {
    placeFile(path, Buffer.concat([key, digestOf(bytes), bytes]));
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === null) throw error;
    note(`what the definitions compile to is not kept for the next start: ${reason}`);
  }
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
