import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Faults } from '../base/fault.ts';
import { compileSources, readSources, type SourceFile } from '../compile/compile.ts';
import type { AppliedJson, ApplyFiles } from '../http/plan.ts';
import type { Beginning } from '../plan/transition.ts';
import { NOT_IN_FORCE, type Parts } from './compose.ts';
import { type Config, loadConfig } from './config.ts';
import { withParts } from './held.ts';
import type { Applied } from './live.ts';
import { askServer } from './remote.ts';

interface Options {
  config: string;
  sinceNow?: true;
  json?: true;
}

/** `tilefold apply`: other definitions come into force, here or in the server that holds the data folder. */
export function addApply(program: Command) {
  program
    .command('apply')
    .description('bring the definitions of the folder into force, beside a server without a stop')
    .argument('[dir]', 'a folder of definitions, or one with a tilefold.yaml; by default what --config says')
    .option(
      '--since-now',
      'what is new answers at once, WARMING, with what comes from now on: lifetimes and redefined names too',
    )
    .option('--json', 'what has changed, as one JSON object')
    .action(async (dir: string | undefined, _options, command: Command) => {
      const { config: path, sinceNow, json } = command.optsWithGlobals<Options>();
      const config = await loadConfig(path);
      const files = await readSources(await definitionsIn(dir ?? null, config));
      const beginning: Beginning = sinceNow ? 'since-now' : 'warm';
      const body = JSON.stringify({ definitions: files, beginning });
      const ways = {
        open: ({ apply }: Parts) => filesApplied(config, apply)(files, beginning),
        held: async (url: string) =>
          JSON.parse(await askServer(url, '/v1/plan', { method: 'POST', body })) as AppliedJson,
      };
      // That the folder's definitions are not in force yet is why it was called.
      const note = (text: string) => {
        if (text !== NOT_IN_FORCE) console.error(text);
      };
      const applied = await withParts(config, ways, true, note);
      console.log(json ? JSON.stringify(applied) : appliedText(applied));
    });
}

async function definitionsIn(dir: string | null, config: Config): Promise<string> {
  if (dir === null) return config.definitions;
  const path = join(dir, 'tilefold.yaml');
  return existsSync(path) ? (await loadConfig(path)).definitions : dir;
}

/** Files are compiled as those of the configured folder are. */
export function filesApplied({ latenessMs, dialect }: Config, apply: Parts['apply']): ApplyFiles {
  return async (files: SourceFile[], beginning: Beginning) => {
    const { plan, faults } = await compileSources(files, { latenessMs, dialect });
    if (faults.length > 0) throw new Faults(faults);
    return appliedJson(await apply(plan, beginning));
  };
}

function appliedJson({ waitedMs, ...applied }: Applied): AppliedJson {
  return { ...applied, waited_ms: waitedMs };
}

/** What has changed, a line for each aggregate, as a diff writes it. */
export function appliedText({ position, added, redefined, removed, renamed, extended, kept }: AppliedJson): string {
  const lines = [
    ...added.map(name => `+ ${name}`),
    ...redefined.map(name => `~ ${name}`),
    ...removed.map(name => `- ${name}`),
    ...renamed.map(({ from, to }) => `= ${from} is called ${to}`),
    ...extended.map(name => `> ${name} keeps more tiles`),
  ];
  const goOn = `${kept} stored ${kept === 1 ? 'aggregate goes' : 'aggregates go'} on`;
  return [...lines, `in force from record ${position} on; ${goOn}`].join('\n');
}
