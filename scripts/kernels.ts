import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import asc from 'assemblyscript/asc';

/**
 * assembly/index.ts -> wasm/tilefold.wasm. Does nothing when the sources, the compiler and the flags are those of the
 * last build, so everything that needs the kernels can call it first.
 */
const ROOT = join(import.meta.dir, '..');
const FLAGS = [
  '-O3',
  '--converge',
  '--runtime',
  'stub', // kernels lay out their memory themselves (assembly/memory.ts); nothing is collected
  '--enable',
  'simd',
  // No --noAssert: asserts are kept, and say through env.abort which one it was.
];

/** @returns whether anything had to be built */
export async function buildKernels(assembly = join(ROOT, 'assembly'), wasm = join(ROOT, 'wasm')): Promise<boolean> {
  const hash = await hashOf(assembly);
  const hashPath = join(wasm, 'tilefold.sha256');
  const built = await Promise.all([readIfThere(hashPath), readIfThere(join(wasm, 'tilefold.wasm'))]);
  if (built[0]?.toString() === hash && built[1]) return false;

  await mkdir(wasm, { recursive: true });
  const fresh = `tilefold.${process.pid}.wasm`;
  // Names of files end up in the messages of asserts: relative, so that the same sources are the same bytes anywhere.
  const entry = [join(basename(assembly), 'index.ts'), '--baseDir', dirname(assembly)];
  const { error, stderr } = await asc.main([...entry, '--outFile', join(wasm, fresh), ...FLAGS]);
  const messages = stderr.toString();
  if (error) throw new Error(`the kernels do not compile\n${messages}`);
  if (messages) process.stderr.write(messages);
  // Renamed into place, so that nobody who builds or reads at the same time sees half a file.
  await rename(join(wasm, fresh), join(wasm, 'tilefold.wasm'));
  await writeFile(hashPath, hash);
  return true;
}

async function hashOf(assembly: string): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([asc.version, FLAGS]));
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
  console.log(built ? 'kernels: built wasm/tilefold.wasm' : 'kernels: wasm/tilefold.wasm is up to date');
}
