import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { type Command } from 'commander';
import { Fault } from '../base/fault.ts';
import type { Plan } from '../plan/plan.ts';
import type { ReplayBatch } from '../replay/replay.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import { composeReplay } from './compose.ts';
import { compileDefinitions } from './definitions.ts';
import { batchLines } from './lines.ts';
import { Progress } from './progress.ts';

interface Options {
  config: string;
  features: string;
  log: string[];
  out: string;
  errors?: string;
}

export function addReplay(program: Command) {
  program
    .command('replay')
    .description('run a recorded log through definitions: for each event its features as of that event')
    .requiredOption('--features <dir>', 'a folder of definitions, or one with a tilefold.yaml')
    .requiredOption('--log <file...>', 'NDJSON, gzip or not, or segments of an event log, in order')
    .requiredOption('--out <file>', 'an .arrow or .ndjson file, there only once all of it is')
    .option('--errors <file>', 'an .ndjson file of the events that cannot count, and why')
    .action(async (_options, command: Command) => {
      await replayFiles(command.optsWithGlobals<Options>());
    });
}

async function replayFiles(options: Options) {
  const { plan, clock } = await compileDefinitions(options.features, options.config);
  const frame = await frameOf(options.out, plan);
  const progress = await Progress.over(options.log);
  const source = progress.watch(await ndjsonFiles(options.log, clock));
  const out = await WholeFile.create(options.out);
  const errors = options.errors === undefined ? null : await WholeFile.create(options.errors);
  try {
    for await (const batch of composeReplay(plan, source, errors)) {
      await out.write(frame.batch(batch));
      progress.count(batch.count);
    }
    await out.write(frame.end());
    await errors?.finish();
    await out.finish();
    progress.end(options.out);
  } catch (error) {
    progress.stop();
    await Promise.all([out.abandon(), errors?.abandon()]);
    throw error;
  }
}
