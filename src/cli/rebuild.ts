import type { Command } from 'commander';
import { compose } from './alone/compose.ts';
import { loadConfig } from './config.ts';
import { endWith } from './exit.ts';
import { PROFILE, profileText } from './profile.ts';
import { foldProgress } from './progress.ts';
import { stopFirst } from './alone/held.ts';

interface Options {
  config: string;
  rest?: true;
  json?: true;
  profile?: true;
}

/** `tilefold rebuild --from-log`: what the log makes, made anew. */
export function addRebuild(program: Command) {
  program
    .command('rebuild')
    .description('forget all rows and errors, and fold the log anew')
    .requiredOption('--from-log', 'from the event log; killed on the way, the next command goes on with it')
    .option('--rest', 'of a log that no longer begins at 0, what there still is')
    .option('--json', 'as one JSON object')
    .option(...PROFILE)
    .action(async (_options, command: Command) => {
      const { config: path, rest, json, profile } = command.optsWithGlobals<Options>();
      const startMs = performance.now();
      const watcher = foldProgress('rebuild');
      const surroundings = {
        announce: null,
        onFailure: endWith,
        note: console.error,
        watcher,
        rebuilds: rest ? 'rest' : 'whole',
      } as const;
      const parts = await compose(await loadConfig(path), surroundings).catch((error: unknown) => {
        throw stopFirst(error);
      });
      const records = parts.ingest.position + 1;
      await parts.close();
      if (profile) console.error(profileText(parts.state(), (performance.now() - startMs) / 1000));
      console.log(json ? JSON.stringify({ records }) : `${records} records folded anew`);
    });
}
