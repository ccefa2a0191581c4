import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import asc from 'assemblyscript/asc';

/**
 * assembly/index.ts -> wasm/tilefold.wasm, and wasm/tilefold-scalar.wasm for runtimes without SIMD. Does nothing when the
 * sources, the compiler and the flags are those of the last build, so everything that needs the kernels can call it
 * first. `TILEFOLD_KERNELS=quick` builds one of them, hardly optimised, under both names: for who tries one change after another.
 */
const ROOT = join(import.meta.dir, '..');
const IS_QUICK = process.env.TILEFOLD_KERNELS === 'quick';
const FLAGS = [
  ...(IS_QUICK ? ['-O1'] : ['-O3', '--converge']),
  '--runtime',
  'stub', // kernels lay out their memory themselves (assembly/memory.ts); nothing is collected
  // No --noAssert: asserts are kept, and say through env.abort which one it was.
];

/** The sources ask which one they are by `ASC_FEATURE_SIMD`. */
const BUILDS: { file: string; flags: string[] }[] = [
  { file: 'tilefold.wasm', flags: ['--enable', 'simd'] },
  { file: 'tilefold-scalar.wasm', flags: ['--disable', 'simd'] },
];

/** @returns whether anything had to be built */
export async function buildKernels(assembly = join(ROOT, 'assembly'), wasm = join(ROOT, 'wasm')): Promise<boolean> {
  const hash = await hashOf(assembly);
  const hashPath = join(wasm, 'tilefold.sha256');
  const [known, ...built] = await Promise.all(
    [hashPath, ...BUILDS.map(({ file }) => join(wasm, file))].map(readIfThere),
  );
  if (known?.toString() === hash && built.every(bytes => bytes !== null)) return false;

  await mkdir(wasm, { recursive: true });
  for (const { file, flags } of IS_QUICK ? BUILDS.slice(0, 1) : BUILDS)
    await compile(assembly, join(wasm, file), flags);
  if (IS_QUICK) for (const { file } of BUILDS.slice(1)) await copyFile(join(wasm, BUILDS[0]!.file), join(wasm, file));
  await writeFile(hashPath, hash);
  return true;
}

async function compile(assembly: string, outFile: string, flags: string[]): Promise<void> {
  const fresh = `${outFile}.${process.pid}`;
  // Names of files end up in the messages of asserts: relative, so that the same sources are the same bytes anywhere.
  const entry = [join(basename(assembly), 'index.ts'), '--baseDir', dirname(assembly)];
  const { error, stderr } = await asc.main([...entry, '--outFile', fresh, ...FLAGS, ...flags]);
  const messages = stderr.toString();
  if (error) throw new Error(`the kernels do not compile\n${messages}`);
  if (messages) process.stderr.write(messages);
  // Renamed into place, so that nobody who builds or reads at the same time sees half a file.
  await rename(fresh, outFile);
}

async function hashOf(assembly: string): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([asc.version, FLAGS, BUILDS]));
  const names = (await readdir(assembly, { recursive: true })).filter(name => name.endsWith('.ts')).sort();
  for (const name of names) hash.update(`\0${name}\0`).update(await readFile(join(assembly, name)));
  return hash.digest('hex');
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

if (import.meta.main) {
  const built = await buildKernels();
  console.log(built ? 'kernels: built wasm/' : 'kernels: wasm/ is up to date');
}
