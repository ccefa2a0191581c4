import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Stages } from '../base/stages.ts';
import type { Replay } from '../replay/replay.ts';
import type { Spill } from '../replay/spill.ts';
import { localDisk } from '../source/disk.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import { folderLog } from '../source/segments.ts';
import type { Source } from '../source/source.ts';
import { composeReplay, readableLog } from './compose.ts';
import { loadConfig } from './config.ts';
import { compileDefinitions } from './definitions.ts';
import { type Frame, frameMaker, replayFrame, replayShapes } from './frame.ts';
import { badLine, rejectedLine } from './lines.ts';
import { PROFILE, profileText } from './profile.ts';
import { Progress } from './progress.ts';
import { WholeFile } from './whole.ts';

interface Options {
  config: string;
  features: string;
  log: string[];
  out: string;
  errors?: string;
  json?: true;
  profile?: true;
}

/** `tilefold replay`: a recorded log -> one row for each event, with its features as of itself. */
export function addReplay(program: Command) {
  program
    .command('replay')
    .description('run a recorded log through definitions: for each event its features as of that event')
    .requiredOption('--features <dir>', 'a folder of definitions, or one with a tilefold.yaml')
    .requiredOption(
      '--log <file...>',
      'NDJSON, gzip or not, or segments of an event log, in order; or the folder of one',
    )
    .requiredOption('--out <file>', 'an .arrow, .parquet or .ndjson file, there only once all of it is')
    .option('--errors <file>', 'an .ndjson file of the events that cannot count, and why')
    .option('--json', 'what was done as one JSON object')
    .option(...PROFILE)
    .action(async (_options, command: Command) => replayFiles(command.optsWithGlobals<Options>()));
}

async function replayFiles(options: Options) {
  const makeFrame = await frameMaker(options.out);
  const { plan, clock, foldMemoryBytes } = await compileDefinitions(options.features, options.config);
  const files = (await recordedLog(options)) ?? (await ndjsonFiles(options.log, clock));
  const out = await WholeFile.create(options.out);
  const errors = options.errors === undefined ? null : await WholeFile.create(options.errors);
  const progress = await Progress.over(options.log);
  const stages = new Stages();
  let spill: Spill | null = null;
  let errorCount = 0;
  const listError = (line: string) => {
    errorCount++;
    errors?.writeNow(line);
  };
  try {
    const rows = { memoryBytes: foldMemoryBytes, path: `${options.out}.rows` };
    const replay = await composeReplay(plan, progress.watch(files), rows, {
      onRejected: rejected => listError(rejectedLine(rejected)),
      onBad: bad => listError(badLine(bad)),
      stages,
    });
    spill = replay.spill;
    try {
      await writeBatches(replay, makeFrame(replayShapes(replay.columns)), out, progress, stages);
    } finally {
      replay.close();
    }
    await errors?.finish();
    await out.finish();
  } catch (error) {
    progress.stop();
    await out.abandon();
    await errors?.abandon();
    throw error;
  }
  const { events, seconds } = progress.end(options.out);
  if (options.profile) {
    const { writtenRows: rowsWritten, fold } = spill;
    const main = [{ thread: 'main', ms: stages.ms }];
    console.error(profileText({ recordsFolded: events, rowsWritten, rowsLoaded: fold.loaded, stages: main }, seconds));
  }
  if (options.json) {
    const { out, errors } = options;
    console.log(JSON.stringify({ events, errors: errorCount, seconds, out, errors_out: errors ?? null }));
  }
  if (errorCount > 0) console.error(`replay: ${errorCount} lines could not count; ${whereOf(options.errors)}`);
}

/** The event log in the one folder that is named: with its bucket behind it, if it is the configured one. */
async function recordedLog({ log: paths, config: path }: Options): Promise<Source | null> {
  const folder = resolve(paths[0]!);
  if (paths.length > 1 || !(await isFolder(folder))) return null;
  const config = existsSync(path) ? await loadConfig(path) : null;
  return folderLog(config?.log.dir === folder ? readableLog(config) : localDisk, folder);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}

/** Batch by batch: neither the rows nor the file stand in memory as a whole. */
async function writeBatches({ batches }: Replay, frame: Frame, out: WholeFile, progress: Progress, stages: Stages) {
  for await (const batch of batches) {
    await stages.wait('write', () => out.write(frame.batch(replayFrame(batch))));
    progress.count(batch.count);
  }
  await stages.wait('write', () => out.write(frame.end()));
}

function whereOf(errors: string | undefined): string {
  return errors === undefined ? '--errors FILE lists them' : `${errors} lists them`;
}
