import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Stages } from '../base/stages.ts';
import { Fault } from '../base/fault.ts';
import type { Replay, ReplayBatch, ReplayParts } from '../replay/replay.ts';
import type { Spill } from '../replay/spill.ts';
import { batchWithin, isWithin, type Stretch } from '../replay/within.ts';
import { localDisk } from '../source/disk.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import { folderLog, folderRecords } from '../source/segments.ts';
import type { Clock, Source } from '../source/source.ts';
import { timelineCount } from '../source/timeline.ts';
import type { Plan } from '../plan/plan.ts';
import { branchPlan } from './branches.ts';
import { composeLabels, composeReplay, readableLog } from './compose.ts';
import { loadConfig, parseMemory } from './config.ts';
import { MEMORY } from './memory.ts';
import { compileDefinitions } from './definitions.ts';
import { type Frame, type FrameMaker, frameMaker, replayFrame, replayShapes } from './frame.ts';
import { LabelFile, labelFrame, type LabelRow, labelShapes, labelSubjects } from './labels.ts';
import { badLine, featureErrorLine, rejectedLine } from './lines.ts';
import { oneMore } from './lookup.ts';
import { PROFILE, profileText } from './profile.ts';
import { Progress } from './progress.ts';
import { addRuns } from './replays.ts';
import { parseTime } from './tiles.ts';
import { parseTimelineName, Timelines } from './timelines.ts';
import { WholeFile } from './whole.ts';

interface Options {
  config: string;
  memory?: number;
  features?: string;
  branch?: string;
  log?: string[];
  timelines?: string;
  start?: bigint;
  end?: bigint;
  out: string;
  errors?: string;
  json?: true;
  profile?: true;
  labels?: string;
  time?: string;
  key?: string[];
  feature?: string[];
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
      if (command.opts<Partial<Options>>().out === undefined)
        command.error("error: required option '--out <file>' not specified");
      await replayFiles(command.optsWithGlobals<Options>());
    });
}

async function replayFiles(options: Options) {
  const makeFrame = await frameMaker(options.out);
  const { plan, clock, foldMemoryBytes, branch } = await definitionsOf(options);
  if (options.labels !== undefined) return replayLabels(options, makeFrame, plan, clock, foldMemoryBytes);
  const alone = (['time', 'key', 'feature'] as const).find(name => options[name] !== undefined);
  if (alone) throw new Fault('config', `--${alone} is about labels: wanted --labels FILE with it`);
  const stretch = { startMicros: options.start ?? null, endMicros: options.end ?? null };
  const recorded = await recordedSource(options, clock);
  const { source } = recorded;
  const out = await WholeFile.create(options.out);
  const errors = options.errors === undefined ? null : await WholeFile.create(options.errors);
  const progress =
    recorded.records === null ? await Progress.overFiles(options.log!) : Progress.overRecords(recorded.records);
  const stages = new Stages();
  let spill: Spill | null = null;
  const counts: Counts = { rejected: 0, bad: 0, features: 0, first: null };
  try {
    const rows = { memoryBytes: foldMemoryBytes, path: `${options.out}.rows` };
    const replay = await composeReplay(plan, progress.watch(source), rows, {
      onRejected: rejected => {
        counts.first ??= rejected;
        counts.rejected++;
        errors?.writeNow(rejectedLine(rejected));
      },
      onBad: bad => {
        if (!isWithin(bad.timeMicros, stretch)) return;
        counts.bad++;
        errors?.writeNow(badLine(bad));
      },
      stages,
    });
    spill = replay.spill;
    try {
      await writeBatches(replay, stretch, makeFrame(replayShapes(replay.columns)), out, progress, stages, batch => {
        counts.features += batch.errors.length;
        for (const error of batch.errors) errors?.writeNow(featureErrorLine(error));
      });
    } finally {
      replay.close();
    }
    if (counts.first && replay.records() === 0) throw noEvents(counts.first, counts.rejected);
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
    const { rejected, bad, features } = counts;
    const wrong = { errors: rejected + bad, rejected, feature_errors: features };
    const used = recorded.timelines && { timelines: recorded.timelines };
    const of = branch && { branch };
    console.log(JSON.stringify({ events, ...wrong, ...of, ...used, seconds, out, errors_out: errors ?? null }));
  }
  tellErrors(counts, options.errors);
}

/** `--labels`: a row for each label instead of one for each event. */
async function replayLabels(
  options: Options,
  makeFrame: FrameMaker,
  plan: Plan,
  clock: Clock,
  memoryBytes: number,
): Promise<void> {
  if (options.start !== undefined || options.end !== undefined)
    throw new Fault('config', '--start and --end limit rows of events: which labels there are, their file says');
  const { source } = await recordedSource(options, clock);
  const out = await WholeFile.create(options.out);
  const errors = options.errors === undefined ? null : await WholeFile.create(options.errors);
  const file = await LabelFile.read(options.labels!, options, options.out);
  const counts = { rejected: 0, bad: 0 };
  const startMs = performance.now();
  try {
    if (file.count === 0)
      throw new Fault('media_type', `no row of ${options.labels} has a time: ${file.firstRejected ?? 'it has none'}`);
    const { layout, run, close } = await composeLabels<LabelRow>(
      plan,
      { memoryBytes, path: `${options.out}.rows` },
      source.clock,
    );
    try {
      const subjects = labelSubjects(layout, file, options);
      const frame = makeFrame(labelShapes(file, subjects));
      const batches = run({
        ...{ source, asked: subjects.asked, labels: file.rows(subjects, plan) },
        onRejected(rejected) {
          counts.rejected++;
          errors?.writeNow(rejectedLine(rejected));
        },
        onBad(bad) {
          counts.bad++;
          errors?.writeNow(badLine(bad));
        },
      });
      for await (const batch of batches) await out.write(frame.batch(labelFrame(file, batch)));
      await out.write(frame.end());
    } finally {
      close();
    }
    await errors?.finish();
    await out.finish();
  } catch (error) {
    await out.abandon();
    await errors?.abandon();
    throw error;
  } finally {
    await file.close();
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const { count, rejected: unread, firstRejected } = file;
  if (unread > 0)
    console.error(`replay: ${unread} labels have no time and are left out, the first being ${firstRejected}`);
  tellErrors({ ...counts, features: 0 }, options.errors);
  const wrong = { labels_rejected: unread, errors: counts.rejected + counts.bad, rejected: counts.rejected };
  if (options.json)
    console.log(JSON.stringify({ labels: count, ...wrong, seconds: Number(seconds), out: options.out }));
  else console.error(`${count} labels in ${seconds} s, written to ${options.out}`);
}

/** What is computed, and of which branch it is. */
async function definitionsOf({ features, branch, memory, config: path }: Options) {
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

type Rejected = Parameters<ReplayParts['onRejected']>[0];

/** Lines that are no events, and the first of them; events that cannot count. */
interface Counts {
  rejected: number;
  bad: number;
  /** Values of single features that something is wrong with. */
  features: number;
  first: Rejected | null;
}

/** Something else was taken for a log; nothing is written then. */
function noEvents({ file, line, reason, sample }: Rejected, count: number): Fault {
  const found = `line ${line} of ${file}: ${reason}, found ${JSON.stringify(sample.slice(0, SAMPLE_CHARACTERS))}`;
  return new Fault('media_type', `no line is an event: all ${count} were rejected, the first being ${found}`);
}

/** Enough to know a file again. */
const SAMPLE_CHARACTERS = 60;

function tellErrors({ rejected, bad, features }: Omit<Counts, 'first'>, errors: string | undefined) {
  const where = errors === undefined ? '--errors FILE lists them' : `${errors} lists them`;
  if (rejected > 0)
    console.error(`replay: ${rejected} ${rejected === 1 ? 'line is no event' : 'lines are no events'}; ${where}`);
  if (bad > 0) console.error(`replay: ${bad} ${bad === 1 ? 'event' : 'events'} could not count; ${where}`);
  if (features > 0)
    console.error(`replay: ${features} ${features === 1 ? 'feature has an error' : 'features have errors'}; ${where}`);
}

/** What is replayed. */
interface Recorded {
  source: Source;
  /** Null where nobody knows. */
  records: number | null;
  /** As `--json` prints them. */
  timelines: { name: string; version: number }[] | null;
}

async function recordedSource(options: Options, clock: Clock): Promise<Recorded> {
  const { log, timelines, config } = options;
  if ((log === undefined) === (timelines === undefined))
    throw new Fault('config', 'wanted one of --log FILES and --timelines NAMES to replay');
  if (timelines !== undefined) return recordedTimelines(timelines.split(','), config);
  const folder = await recordedLog(log!, config);
  return folder ?? { source: await ndjsonFiles(log!, clock), records: null, timelines: null };
}

async function recordedTimelines(names: string[], path: string): Promise<Recorded> {
  const timelines = await Timelines.open(await loadConfig(path));
  try {
    const { source, timelines: read } = timelines.read(names.map(name => parseTimelineName(name.trim())));
    const used = read.map(({ name, version }) => ({ name, version }));
    return { source, records: timelineCount(read), timelines: used };
  } finally {
    timelines.close();
  }
}

/** The event log in the one folder that is named: with its bucket behind it, if it is the configured one. */
async function recordedLog(paths: string[], path: string): Promise<Recorded | null> {
  const folder = resolve(paths[0]!);
  if (paths.length > 1 || !(await isFolder(folder))) return null;
  const config = existsSync(path) ? await loadConfig(path) : null;
  const disk = config?.log.dir === folder ? readableLog(config) : localDisk;
  return { source: await folderLog(disk, folder), records: await folderRecords(disk, folder), timelines: null };
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
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
