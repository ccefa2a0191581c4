import { mkdir, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { buildKernels } from './kernels.ts';

/** src/main.ts -> dist/tilefold, or another file: one with Bun, the kernels, the SQL parser and the migrations inside. */
const ROOT = join(import.meta.dir, '..');

export async function build(outfile: string): Promise<void> {
  await buildKernels();
  await mkdir(dirname(outfile), { recursive: true });
  const result = await Bun.build({
    entrypoints: [
      join(ROOT, 'src/main.ts'),
      join(ROOT, 'src/cli/alone/worker.ts'),
      join(ROOT, 'src/cli/runs/job_worker.ts'),
      join(ROOT, 'src/cli/runs/run_planner.ts'),
    ],
    // Flat, so that a worker is found beside the program, as src/cli/alone/crew.ts looks for it.
    naming: { entry: '[name].[ext]' },
    target: 'bun',
    format: 'esm',
    // A stack trace from a user's machine should name our lines. The binary carries the map; the copy beside it is not needed.
    sourcemap: 'inline',
    minify: { whitespace: true, syntax: true, identifiers: false },
    // Parsed ahead: half of what a start takes.
    bytecode: true,
    // What lies in the folder it is started in must not change what it does.
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  });
  for (const log of result.logs) console.error(log);
  for (const entry of ['tilefold', 'main.js', 'worker.js', 'job_worker.js', 'run_planner.js'])
    await rm(join(dirname(outfile), `${entry}.map`), { force: true });
}

if (import.meta.main) {
  const outfile = join(ROOT, 'dist/tilefold');
  await build(outfile);
  const { size } = await stat(outfile);
  console.log(`build: ${relative(process.cwd(), outfile)}, ${(size / 1024 / 1024).toFixed(0)} MiB`);
}
