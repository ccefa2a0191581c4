import { Command } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { addChangelog } from './changelog.ts';
import { addBranch } from './branch.ts';
import { addCheck } from './check.ts';
import { addApply } from './apply.ts';
import { addCompletion } from './completion.ts';
import { addCql } from './cql.ts';
import { addErrors } from './errors.ts';
import { addEvents } from './events.ts';
import { EXIT, EXIT_HELP, exitCodeOf, isPipeBroken } from './exit.ts';
import { addFmt } from './fmt.ts';
import { addFeatures } from './features.ts';
import { addGraph } from './graph.ts';
import { addIngest } from './ingest.ts';
import { addExplain } from './explain.ts';
import { addInfer } from './samples.ts';
import { addInit } from './init.ts';
import { addLate } from './late.ts';
import { addLog } from './log.ts';
import { addLookup } from './lookup.ts';
import { addPlan } from './plan.ts';
import { addRebuild } from './rebuild.ts';
import { addRepartition } from './repartition.ts';
import { addReplay } from './replay.ts';
import { addCache } from './replays.ts';
import { addSchema } from './schema.ts';
import { addServe } from './serve.ts';
import { addShadow } from './shadow.ts';
import { addTest } from './test.ts';
import { addTiles } from './tiles.ts';
import { addTimeline } from './timeline.ts';
import { addVerify } from './verify.ts';
import { addWork } from './work.ts';
import { addArchive } from './archive.ts';

/** @returns the process's exit code */
export async function run(argv: string[]): Promise<number> {
  // Work goes on where nobody reads any more what is said of it: `tilefold features | head`.
  process.stdout.on('error', error => {
    if (!isPipeBroken(error)) throw error;
  });
  try {
    await programOf().parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    return exitCodeOf(error);
  }
}

/** All commands, as the command line and whatever describes it have them. */
export function programOf(): Command {
  const program = new Command('tilefold')
    .description('Features from events: the same online and in replay, to the last bit.')
    .version(manifest.version)
    .option('--config <file>', 'where the data folder and the definitions are', './tilefold.yaml')
    .addHelpText('afterAll', EXIT_HELP)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  for (const add of [
    addInit,
    addInfer,
    addCheck,
    addTest,
    addFmt,
    addGraph,
    addPlan,
    addApply,
    addServe,
    addShadow,
    addIngest,
    addLookup,
    addExplain,
    addFeatures,
    addErrors,
    addEvents,
    addLate,
    addReplay,
    addCache,
    addTimeline,
    addBranch,
    addTiles,
    addChangelog,
    addLog,
    addVerify,
    addRebuild,
    addCql,
    addWork,
    addRepartition,
    addArchive,
    addSchema,
    addCompletion,
  ])
    add(program);
  return program;
}
