import type { Command } from 'commander';
import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import type { Replay, ReplayBatch } from '../replay/replay.ts';
import { batchWithin, type Stretch } from '../replay/within.ts';
import type { Clock } from '../source/source.ts';
import { branchPlan } from './branches.ts';
import { composeReplay } from './compose.ts';
import { loadConfig, parseMemory } from './config.ts';
import { compileDefinitions } from './definitions.ts';
import { type Frame, frameMaker, replayFrame, replayShapes } from './frame.ts';
import { oneMore } from './lookup.ts';
import { MEMORY } from './memory.ts';
import { ORDER } from './order.ts';
import { PROFILE, profileText } from './profile.ts';
import { Progress } from './progress.ts';
import { type LabelOptions, replayLabels } from './replay_labels.ts';
import { inOrder, recordedSource, type SourceOptions } from './replay_source.ts';
import { addRuns } from './replays.ts';
import { parseTime } from './tiles.ts';
import type { WholeFile } from './whole.ts';
import { noEvents, writing } from './wrong.ts';

interface ReplayOptions extends SourceOptions, Partial<Pick<LabelOptions, 'labels'>>, Omit<LabelOptions, 'labels'> {
  memory?: number;
  features?: string;
  branch?: string;
  profile?: true;
}

/** `tilefold replay`: a recorded log, or timelines -> one row for each event, with its features as of itself. */
export function addReplay(program: Command) {
  const replay = program.command('replay');
  addRuns(replay);
  replay
    .description('run a recorded log through definitions: for each event its features as of that event')
    .option('--features <dir>', 'a folder of definitions, or one with a tilefold.yaml')
    .option('--branch <name>', 'a branch instead: NAME, or NAME@VERSION; by default the selected one')
    .option('--log <file...>', 'NDJSON, gzip or not, or segments of an event log, in order; or the folder of one')
    .option('--timelines <names>', 'timelines instead, separated by commas: NAME, or NAME@VERSION')
    .option(...ORDER)
    .option('--start <time>', 'give out rows of events from then on, by their time; all before is read too', parseTime)
    .option('--end <time>', 'give out rows of events before then', parseTime)
    .option('--out <file>', 'an .arrow, .parquet or .ndjson file, there only once all of it is')
    .option(
      '--errors <file>',
      'an .ndjson file of the events that cannot count, of features that something is wrong with, and why',
    )
    .option(
      '--labels <file>',
      'for each row of a .csv, .tsv or .parquet file its features, as of its time: rows to train on',
    )
    .option('--time <column>', "the labels' times; _time by default")
    .option('--key <entity=columns>', 'the columns of labels that name an entity; may be given again', oneMore)
    .option('--feature <name>', 'set:name or set:*, may be given again: what labels are given, all by default', oneMore)
    .option('--json', 'what was done as one JSON object')
    .option(...MEMORY, parseMemory)
    .option(...PROFILE)
    .action(async (_options, command: Command) => {
      // An option that is required here would be of `replay run` and its like, too.
      if (command.opts<Partial<ReplayOptions>>().out === undefined)
        command.error("error: required option '--out <file>' not specified");
      await replayFiles(command.optsWithGlobals<ReplayOptions>());
    });
}

async function replayFiles(options: ReplayOptions) {
  const makeFrame = await frameMaker(options.out);
  const { plan, clock, foldMemoryBytes, branch } = await definitionsOf(options);
  if (options.labels !== undefined)
    return replayLabels({ ...options, labels: options.labels }, makeFrame, plan, clock, foldMemoryBytes);
  const alone = (['time', 'key', 'feature'] as const).find(name => options[name] !== undefined);
  if (alone) throw new Fault('config', `--${alone} is about labels: wanted --labels FILE with it`);
  const stretch = { startMicros: options.start ?? null, endMicros: options.end ?? null };
  const recorded = await recordedSource(options, clock);
  const progress =
    recorded.records === null ? await Progress.overFiles(options.log!) : Progress.overRecords(recorded.records);
  const stages = new Stages();
  const { wrong, replayed } = await writing(options, stretch, async (out, wrong) => {
    const rows = { memoryBytes: foldMemoryBytes, path: `${options.out}.rows` };
    const source = progress.watch(inOrder(recorded.source, options, wrong));
    const replayed = await composeReplay(plan, source, rows, { ...wrong.hears, stages });
    try {
      const frame = makeFrame(replayShapes(replayed.columns));
      await writeBatches(replayed, stretch, frame, out, progress, stages, batch => wrong.features(batch.errors));
    } finally {
      replayed.close();
    }
    if (wrong.first && replayed.records() === 0) throw noEvents(wrong.first, wrong.rejected);
    return replayed;
  }).catch((error: unknown) => {
    progress.stop();
    throw error;
  });
  const { events, seconds } = progress.end(options.out);
  if (options.profile) {
    const { writtenRows: rowsWritten, fold } = replayed.spill;
    const main = [{ thread: 'main', ms: stages.ms }];
    console.error(profileText({ recordsFolded: events, rowsWritten, rowsLoaded: fold.loaded, stages: main }, seconds));
  }
  if (options.json) {
    const { out, errors, order } = options;
    const used = recorded.timelines && { timelines: recorded.timelines };
    const of = { ...(branch && { branch }), ...used, ...(order && { order }) };
    console.log(JSON.stringify({ events, ...wrong.json(), ...of, seconds, out, errors_out: errors ?? null }));
  }
  wrong.tell(options.errors);
}

/** What is computed, and of which branch it is. */
async function definitionsOf({ features, branch, memory, config: path }: ReplayOptions) {
  if (features !== undefined && branch !== undefined)
    throw new Fault('config', 'wanted one of --features DIR and --branch NAME to replay');
  if (features !== undefined) return { ...(await compileDefinitions(features, path, memory ?? null)), branch: null };
  const config = await loadConfig(path, memory ?? null);
  const { plan, version } = await branchPlan(config, branch).catch((error: unknown) => {
    if (branch !== undefined || !(error instanceof Fault) || error.code !== 'not_found') throw error;
    throw new Fault('config', 'wanted --features DIR or --branch NAME to replay: no branch is selected');
  });
  // Files come without arrivals, so their clock can only be that of their events.
  const clock: Clock = { kind: 'event', maxJumpMs: config.log.clock.maxJumpMs };
  const of = { name: version.name, version: version.version };
  return { plan, clock, foldMemoryBytes: config.fold.memoryBytes, branch: of };
}

/** Batch by batch: neither the rows nor the file stand in memory as a whole. */
async function writeBatches(
  replay: Replay,
  stretch: Stretch,
  frame: Frame,
  out: WholeFile,
  progress: Progress,
  stages: Stages,
  seen: (batch: ReplayBatch) => void,
) {
  for await (const whole of replay.batches) {
    const batch = batchWithin(whole, stretch);
    seen(batch);
    await stages.wait('write', () => out.write(frame.batch(replayFrame(batch))));
    progress.count(batch.count, replay.records());
  }
  await stages.wait('write', () => out.write(frame.end()));
}
