import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Fault, Faults } from '../base/fault.ts';
import { EXIT } from './exit.ts';

interface Options {
  check?: true;
  json?: true;
}

interface Formatted {
  file: string;
  before: string;
  after: string;
}

/** `tilefold fmt`: what it cannot read it leaves alone, and all the rest too. */
export function addFmt(program: Command) {
  program
    .command('fmt')
    .description('write topologies as everybody writes them; comments and the order of lines stay')
    .argument('<files...>', '*.scowl, or folders of them')
    .option('--check', 'write nothing, and fail where something would be written otherwise')
    .option('--json', 'the files that are written otherwise, as one JSON object')
    .action(async (paths: string[], { check, json }: Options) => {
      const files = (await Promise.all(paths.map(topologiesIn))).flat();
      const changed = (await formatAll(files)).filter(({ before, after }) => before !== after);
      if (!check) for (const { file, after } of changed) await writeFile(file, after);
      const names = changed.map(({ file }) => file);
      if (json) console.log(JSON.stringify({ files: files.length, changed: names }));
      else for (const name of names) console.log(check ? `${name} is to be formatted` : `formatted ${name}`);
      if (check && changed.length > 0) process.exitCode = EXIT.fault;
    });
}

/** A file is what its author says it is; of a folder those that are called so, however deep. */
async function topologiesIn(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path, { recursive: true });
  const found = names.filter(name => name.endsWith('.scowl')).map(name => join(path, name));
  if (found.length === 0) throw new Fault('config', `there is no *.scowl file in ${path}`);
  return found.sort();
}

async function formatAll(files: string[]): Promise<Formatted[]> {
  const { formatScowl } = await import('../compile/scowl/format.ts');
  const faults: Fault[] = [];
  const formatted = await Promise.all(
    files.map(async file => {
      const before = await readFile(file, 'utf8');
      return { file, before, after: formatScowl(file, before, faults) };
    }),
  );
  if (faults.length > 0) throw new Faults(faults);
  return formatted as Formatted[];
}
