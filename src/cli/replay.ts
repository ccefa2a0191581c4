import type { Command } from 'commander';
import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import type { Clock } from '../source/source.ts';
import { branchPlan } from './branches.ts';
import { loadConfig, parseReplayMemory } from './config.ts';
import { compileDefinitions } from './definitions.ts';
import { frameMaker } from './frame/frame_file.ts';
import { oneMore } from './lookup.ts';
import { MEMORY } from './memory.ts';
import { PROFILE, profileText } from './profile.ts';
import { Progress } from './progress.ts';
import { eventRows, type RowsWork } from './replay_events.ts';
import { type LabelOptions, labelRows, type Unread } from './replay_labels.ts';
import { asked, type AskedOptions } from './replay_options.ts';
import { inOrder, recordedSource, type SourceOptions } from './replay_source.ts';
import { addRuns } from './replays.ts';
import { writing } from './wrong.ts';

interface ReplayOptions extends SourceOptions, AskedOptions, Partial<LabelOptions> {
  out: string;
  errors?: string;
  json?: true;
  memory?: number;
  features?: string;
  branch?: string;
  profile?: true;
}

/** `tilefold replay`: a recorded log, or timelines -> one row for each event, with its features as of itself; or one for each label. */
export function addReplay(program: Command) {
  const replay = program.command('replay');
  addRuns(replay);
  asked(replay)
    .description('run a recorded log through definitions: for each event its features as of that event')
    .option('--features <dir>', 'a folder of definitions, or one with a tilefold.yaml')
    .option('--branch <name>', 'a branch instead: NAME, or NAME@VERSION; by default the selected one')
    .option('--log <file...>', 'NDJSON, gzip or not, or segments of an event log, in order; or the folder of one')
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
    .option(...MEMORY, parseReplayMemory)
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
  refuseMixed(options);
  const { out, errors, order, labels } = options;
  const stretch = { startMicros: options.start ?? null, endMicros: options.end ?? null };
  const recorded = await recordedSource(options, clock);
  const what = labels === undefined ? 'events' : 'labels';
  const progress =
    recorded.records === null
      ? await Progress.overFiles(options.log!, what)
      : Progress.overRecords(recorded.records, what);
  const stages = new Stages();
  const { wrong, replayed } = await writing(options, stretch, async (file, wrong) => {
    const source = progress.watch(inOrder(recorded.source, options, wrong));
    const rows = { memoryBytes: foldMemoryBytes, path: `${out}.rows` };
    const work: RowsWork = { plan, source, rows, makeFrame, out: file, wrong, progress, stages };
    if (labels === undefined) return { ...(await eventRows(work, stretch)), unread: null };
    return { spill: null, unread: await labelRows(work, { ...options, labels }) };
  }).catch((error: unknown) => {
    progress.stop();
    throw error;
  });
  const { count, seconds } = progress.end(out);
  if (options.profile && replayed.spill) {
    const { writtenRows: rowsWritten, fold } = replayed.spill;
    const main = [{ thread: 'main', ms: stages.ms }];
    console.error(profileText({ recordsFolded: count, rowsWritten, rowsLoaded: fold.loaded, stages: main }, seconds));
  }
  if (options.json) {
    const used = recorded.timelines && { timelines: recorded.timelines };
    const of = { ...(branch && { branch }), ...used, ...(order && { order }) };
    const unread = replayed.unread && { labels_rejected: replayed.unread.rejected };
    const told = { [what]: count, ...unread, ...wrong.json(), ...of, seconds, out, errors_out: errors ?? null };
    console.log(JSON.stringify(told));
  }
  if (replayed.unread) tellUnread(replayed.unread);
  wrong.tell(errors);
}

/** Options that are of labels alone, or of events alone. */
function refuseMixed(options: ReplayOptions) {
  if (options.labels === undefined) {
    const alone = (['time', 'key', 'feature'] as const).find(name => options[name] !== undefined);
    if (alone) throw new Fault('config', `--${alone} is about labels: wanted --labels FILE with it`);
    return;
  }
  if (options.start !== undefined || options.end !== undefined)
    throw new Fault('config', '--start and --end limit rows of events: which labels there are, their file says');
}

function tellUnread({ rejected, firstRejected }: Unread) {
  if (rejected === 0) return;
  console.error(`replay: ${rejected} labels have no time and are left out, the first being ${firstRejected}`);
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
