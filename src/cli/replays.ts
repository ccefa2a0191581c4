import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { Fault } from '../base/fault.ts';
import { versionText } from '../base/version.ts';
import { columnState, replayJson } from '../http/replays.ts';
import type { Plan } from '../plan/plan.ts';
import type { Manifest } from '../replay/manifest.ts';
import { type ResultKind, resultTable } from '../replay/tables.ts';
import { branchPlan } from './branches.ts';
import { type Config, loadConfig, parseReplayMemory } from './config.ts';
import { compileDefinitions } from './definitions.ts';
import { type FrameFormat, makerOf, writeFrame } from './frame/frame_file.ts';
import type { Frame, FrameBatch } from './frame/frame.ts';
import { placeOf } from './runs/handed.ts';
import { jobText } from './runs/job.ts';
import { namesOf, written } from './log.ts';
import { jobsMin, jobsOf, jobsWithin } from './memory.ts';
import { JobsProgress } from './progress.ts';
import { asked, type AskedOptions } from './replay_options.ts';
import { coresOf, damagedText, type RunRequest, Runs } from './runs/runs.ts';
import { isS3 } from './s3_place.ts';
import { tableText } from './table.ts';
import { parseTimelineName, Timelines } from './timelines.ts';
import { WholeFile } from './frame/whole.ts';

interface Options {
  config: string;
  json?: true;
}

interface PlanOptions extends Options, AskedOptions {
  definitions?: string;
  branch?: string;
  features?: string;
  workers: number;
  memory?: number;
}

interface ManifestOptions extends PlanOptions {
  to: string;
}

interface RunOptions extends PlanOptions {
  out?: string;
  explain?: true;
}

interface ResultOptions extends Options {
  out?: string;
}

const JSON_OPTION = ['--json', 'as one JSON object'] as const;
const WORKERS_OPTION = [
  '--workers <count>',
  'threads, or of a plan processes; as many as there are cores by default',
  workersOf,
  coresOf(),
] as const;
const MEMORY_OPTION = [
  '--memory <size>',
  'what the process may take in all, 320MiB with one worker and 160MiB more for each other one; else rows of its jobs have fold.memory',
  parseReplayMemory,
] as const;
const ID_ARGUMENT = ['<id>', 'of the replay, or its folder'] as const;
const PLACE_ARGUMENT = ['<place>', 'that `replay plan` has written, or the manifest.json in it'] as const;

/** `tilefold replay run` and what belongs to it: replays in jobs, with a cache of columns. */
export function addRuns(replay: Command) {
  planning(replay.command('run'))
    .description('replay timelines in jobs, side by side: what no change has touched comes out of the cache')
    .option('--out <folder>', 'keep the replay in this folder, and not among the data')
    .option('--explain', 'say on standard error of each feature whether it is computed, and why')
    .action(async (_options, command: Command) => runReplay(command.optsWithGlobals<RunOptions>()));
  planning(replay.command('explain'))
    .description('say of each feature whether a replay would compute it, and why; nothing is done')
    .action(async (_options, command: Command) => explain(command.optsWithGlobals<PlanOptions>()));
  planning(replay.command('plan'))
    .description('write a replay down as jobs for others to do')
    .requiredOption('--to <place>', 'a folder or s3://BUCKET/PREFIX: all that jobs read and write is in it')
    .action(async (_options, command: Command) => planManifest(command.optsWithGlobals<ManifestOptions>()));
  replay
    .command('job')
    .description('do one job of a replay that is planned; one that is done already is left alone')
    .argument(...PLACE_ARGUMENT)
    .argument('<number>', 'of the job', numberOf)
    .option(...MEMORY_OPTION)
    .option(...JSON_OPTION)
    .action(async (place: string, number: number, _options, command: Command) =>
      doOne(place, number, command.optsWithGlobals<Options & { memory?: number }>()),
    );
  replay
    .command('finish')
    .description('end a replay whose jobs were done by others, and keep its columns in the cache')
    .argument(...PLACE_ARGUMENT)
    .option(...JSON_OPTION)
    .action(async (place: string, _options, command: Command) => finish(place, command.optsWithGlobals<Options>()));
  replay
    .command('resume')
    .description('go on with a replay that was stopped, or that failed: what is done is not done again')
    .argument(...ID_ARGUMENT)
    .option(...WORKERS_OPTION)
    .option(...MEMORY_OPTION)
    .option(...JSON_OPTION)
    .action(async (id: string, _options, command: Command) => resume(id, command.optsWithGlobals<RunOptions>()));
  replay
    .command('cancel')
    .description('stop a replay that another process works on')
    .argument(...ID_ARGUMENT)
    .action(async (id: string, _options, command: Command) => {
      (await openRuns(command.optsWithGlobals<Options>())).cancel(id);
      console.log(`replay ${id} is told to stop`);
    });
  replay
    .command('list')
    .description('the replays there are')
    .option(...JSON_OPTION)
    .action(async (_options, command: Command) => list(command.optsWithGlobals<Options>()));
  replay
    .command('show')
    .description('what a replay is made of, and how far it is')
    .argument('<id>', 'of the replay, or its folder, or where in S3 it is')
    .option(...JSON_OPTION)
    .action(async (id: string, _options, command: Command) => show(id, command.optsWithGlobals<Options>()));
  replay
    .command('delete')
    .description('delete a replay; what it has put into the cache stays there')
    .argument(...ID_ARGUMENT)
    .action(async (id: string, _options, command: Command) => {
      (await openRuns(command.optsWithGlobals<Options>())).remove(id);
      console.log(`replay ${id} is deleted`);
    });
  results(replay, 'events', 'events of a type, each with its features');
  results(replay, 'errors', 'what is wrong with events of a type, and with their features');
}

/** `tilefold cache`: the columns that replays have left for those after them. */
export function addCache(program: Command) {
  const cache = program.command('cache').description('the columns that replays in jobs keep for those after them');
  cache
    .command('stats')
    .description('how many there are, and what room they take')
    .option(...JSON_OPTION)
    .action(async (_options, command: Command) => stats(command.optsWithGlobals<Options>()));
  cache
    .command('clear')
    .description('delete all of them: the next replay computes everything')
    .option(...JSON_OPTION)
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const deleted = (await openRuns(options)).cache.clear();
      console.log(options.json ? JSON.stringify({ deleted }) : `${deleted} columns deleted`);
    });
}

function planning(command: Command): Command {
  return asked(command)
    .option(
      '--definitions <dir>',
      "a folder of definitions instead, or one with a tilefold.yaml; the configuration's where no branch is selected",
    )
    .option('--features <names>', 'separated by commas, `*` for any letters: login.*,payment.amount; all by default')
    .option(...WORKERS_OPTION)
    .option(...MEMORY_OPTION)
    .option(...JSON_OPTION);
}

function results(replay: Command, kind: ResultKind, what: string) {
  replay
    .command(kind)
    .description(what)
    .argument(...ID_ARGUMENT)
    .argument('<type>', 'the event type')
    .option('-o, --out <file>', 'an .arrow, .parquet, .csv or .ndjson file; NDJSON to standard output by default')
    .action(async (id: string, type: string, _options, command: Command) =>
      writeResult(kind, id, type, command.optsWithGlobals<ResultOptions>()),
    );
}

const WORKERS_MAX = 256;

function workersOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= WORKERS_MAX) return count;
  throw new InvalidArgumentError(`wanted a number from 1 to ${WORKERS_MAX}`);
}

function numberOf(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0) return number;
  throw new InvalidArgumentError('wanted the number of a job, from 0 on');
}

/**
 * What jobs may have, all at once: of what the process may take, where the command line says that.
 *
 * @param workers beside the first thread
 */
function jobsBytesOf({ memory }: { memory?: number }, workers: number, { fold }: Config): number {
  if (memory === undefined) return jobsOf(fold.memoryBytes);
  const least = jobsMin(workers);
  if (memory >= least) return jobsWithin(memory, workers);
  throw new Fault('config', `--memory: got ${memory} bytes, wanted at least ${least} with ${workers} workers`);
}

async function openRuns({ config }: Options): Promise<Runs> {
  return Runs.open(await loadConfig(config));
}

async function requestOf(options: PlanOptions): Promise<{ config: Config; request: RunRequest; memoryBytes: number }> {
  if (options.timelines === undefined) throw new Fault('config', 'wanted --timelines NAMES to replay');
  const config = await loadConfig(options.config);
  const { plan, definitions } = await definitionsOf(options, config);
  const timelines = await Timelines.open(config);
  try {
    const named = namesOf(options.timelines).map(parseTimelineName);
    const request: RunRequest = {
      ...{ plan, definitions, workers: options.workers },
      timelines: timelines.read(named).timelines,
      order: options.order ?? 'log',
      patterns: options.features === undefined ? null : namesOf(options.features),
      stretch: { startMicros: options.start ?? null, endMicros: options.end ?? null },
    };
    return { config, request, memoryBytes: jobsBytesOf(options, options.workers, config) };
  } finally {
    timelines.close();
  }
}

/** As `replay` takes them; where nothing is named and no branch selected, those of the configuration. */
async function definitionsOf(
  { definitions, branch, config: path }: PlanOptions,
  config: Config,
): Promise<{ plan: Plan; definitions: string }> {
  if (definitions !== undefined && branch !== undefined)
    throw new Fault('config', 'wanted one of --definitions DIR and --branch NAME to replay');
  if (definitions !== undefined) return { ...(await compileDefinitions(definitions, path)), definitions };
  try {
    const { plan, version } = await branchPlan(config, branch);
    return { plan, definitions: `branch ${versionText(version)}` };
  } catch (error) {
    if (branch !== undefined || !(error instanceof Fault) || error.code !== 'not_found') throw error;
    return { ...(await compileDefinitions(null, path)), definitions: config.definitions };
  }
}

async function runReplay(options: RunOptions) {
  const { config, request, memoryBytes } = await requestOf(options);
  const runs = await Runs.open(config);
  if (options.explain) console.error(explainText(runs.explain(request)));
  const { folder, damaged } = await runs.plan(request, options.out ?? null);
  noteDamaged(damaged);
  await work(runs, folder, { ...options, memoryBytes });
}

function noteDamaged(columns: string[]) {
  for (const name of columns) note(damagedText(name));
}

function note(text: string) {
  console.error(`replay: ${text}`);
}

async function resume(id: string, options: RunOptions) {
  const config = await loadConfig(options.config);
  const runs = await Runs.open(config);
  await work(runs, runs.folderOf(id), { ...options, memoryBytes: jobsBytesOf(options, options.workers, config) });
}

async function work(runs: Runs, folder: string, { workers, memoryBytes, json }: RunOptions & { memoryBytes: number }) {
  const progress = new JobsProgress();
  const stop = Promise.withResolvers<void>();
  const hear = () => stop.resolve();
  process.once('SIGINT', hear).once('SIGTERM', hear);
  const startMs = performance.now();
  try {
    const how = { workers, memoryBytes, stopped: stop.promise, note };
    const { id, jobs, reused, shown } = await runs.run(folder, how, (...told) => progress.tell(...told));
    progress.end();
    const seconds = (performance.now() - startMs) / 1000;
    const taken = shown.filter(one => reused.includes(one.id)).length;
    if (json)
      console.log(JSON.stringify({ id, folder, jobs: jobs.length, features: shown.length, reused: taken, seconds }));
    else
      console.log(
        `replay ${id}: ${shown.length} features, ${taken} of them from the cache, ${jobs.length} jobs completed`,
      );
  } finally {
    progress.end();
    process.off('SIGINT', hear).off('SIGTERM', hear);
  }
}

async function explain(options: PlanOptions) {
  const { config, request } = await requestOf(options);
  const features = (await Runs.open(config)).explain(request);
  if (!options.json) return console.log(explainText(features));
  const told = features.map(({ name, event, isReused, how, why }) => ({
    name,
    event,
    state: columnState(isReused),
    how,
    why,
  }));
  console.log(JSON.stringify({ features: told }));
}

function explainText(features: ReturnType<Runs['explain']>): string {
  const rows = features.map(({ name, event, isReused, how, why }) => [
    name,
    event,
    columnState(isReused),
    how ?? '-',
    why,
  ]);
  return tableText([['feature', 'event', 'state', 'by', 'why'], ...rows]);
}

async function planManifest(options: ManifestOptions) {
  const { config, request } = await requestOf(options);
  const { manifest, folder, damaged } = await (await Runs.open(config)).plan(request, placeOf(options.to, config));
  noteDamaged(damaged);
  const jobs = manifest.jobs.map(job => ({ ...job, what: jobText(manifest, job) }));
  if (options.json) {
    const told = jobs.map(({ number, stage, kind, event, after, what }) => {
      return { number, stage, kind, event, after, what };
    });
    console.log(JSON.stringify({ id: manifest.id, folder, jobs: told, waves: wavesOf(manifest.jobs) }));
    return;
  }
  const rows = jobs.map(({ number, stage, kind, after, what }) => [
    ...[String(number), String(stage), kind],
    ...[after.join(' '), what.replace(/^job \d+ /, '')],
  ]);
  console.log(tableText([['job', 'stage', 'kind', 'after', 'makes'], ...rows]));
}

/** Jobs that can be done at once, wave by wave: each when all those before it are done. */
function wavesOf(jobs: Manifest['jobs']): number[][] {
  const waves: number[] = [];
  for (const { number, after } of jobs) waves[number] = 1 + Math.max(-1, ...after.map(before => waves[before]!));
  return Object.values(Object.groupBy(jobs, ({ number }) => waves[number]!)).map(wave =>
    wave!.map(({ number }) => number),
  );
}

async function doOne(text: string, number: number, options: Options & { memory?: number }) {
  const config = await loadConfig(options.config);
  const place = placeOf(text, config);
  const isNew = await (await Runs.open(config)).job(place, number, jobsBytesOf(options, 0, config));
  const state = isNew ? 'done' : 'was done already';
  console.log(options.json ? JSON.stringify({ job: number, state }) : `job ${number} ${isNew ? 'is done' : state}`);
}

async function finish(text: string, options: Options) {
  const config = await loadConfig(options.config);
  const { manifest, folder } = await (await Runs.open(config)).finish(placeOf(text, config));
  const { id, shown, jobs } = manifest;
  if (options.json) console.log(JSON.stringify({ id, folder, features: shown.length, jobs: jobs.length }));
  else console.log(`replay ${id}: ${shown.length} features, ${jobs.length} jobs completed`);
}

async function list(options: Options) {
  const { replays, unreadable } = (await openRuns(options)).list();
  const all = replays.map(status => replayJson(status, Date.now()));
  if (options.json) return console.log(JSON.stringify({ replays: all, unreadable }));
  const rows = all.map(({ id, state, jobs, timelines, created_at }) => [
    ...[id, state, `${jobs.done} of ${jobs.total}`],
    ...[timelines.map(({ name, version }) => `${name}@${version}`).join(', '), created_at],
  ]);
  console.log(tableText([['replay', 'state', 'jobs', 'timelines', 'made at'], ...rows]));
  for (const { id, reason } of unreadable)
    console.log(`replay ${id} cannot be shown: ${reason}; \`tilefold replay delete ${id}\` deletes it`);
}

async function show(id: string, options: Options) {
  const config = await loadConfig(options.config);
  const runs = await Runs.open(config);
  const place = isS3(id) ? placeOf(id, config) : id;
  const run = replayJson(typeof place === 'string' ? runs.show(place) : await runs.showIn(place), Date.now());
  if (options.json) return console.log(JSON.stringify(run));
  const { timelines, features, errors } = run;
  const lines = [
    ...[
      ['replay', run.id],
      ['state', run.state],
      ['jobs', run.progress],
    ],
    ...[
      ['definitions', run.definitions],
      ['timelines', timelines.map(one => `${one.name}@${one.version}`).join(', ')],
      ['order', run.order === 'log' ? 'of the log' : 'of time'],
    ],
    ...[
      ['made at', run.created_at],
      ['folder', run.folder],
    ],
    ...errors.map(error => ['error', error]),
  ];
  const rows = features.map(({ name, event, state }) => [name, event, state]);
  console.log(`${tableText(lines)}\n\n${tableText([['feature', 'event', 'state'], ...rows])}`);
}

async function stats(options: Options) {
  const { cache } = await openRuns(options);
  const entries = cache.entries();
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  if (options.json) console.log(JSON.stringify({ columns: entries.length, bytes, max_bytes: cache.maxBytes }));
  else console.log(`${entries.length} columns, ${bytes} bytes of at most ${cache.maxBytes}`);
}

async function writeResult(kind: ResultKind, id: string, type: string, options: ResultOptions) {
  const { out = null } = options;
  const { folder, manifest } = (await openRuns(options)).results(id);
  const makeFrame = await makerOf(formatOf(out));
  const { shapes, batches } = resultTable(manifest, folder, kind, type);
  await writeTable(makeFrame(shapes), batches, out);
}

/** Block by block: neither the rows nor the file stand in memory as a whole. */
async function writeTable(frame: Frame, batches: Iterable<FrameBatch>, out: string | null) {
  if (out === null) {
    for (const batch of batches) for (const bytes of frame.batch(batch)) if (!(await written(bytes))) return;
    return;
  }
  const file = await WholeFile.create(out);
  try {
    const count = await writeFrame(file, frame, batches);
    await file.finish();
    console.error(`replay: ${count} rows, written to ${out}`);
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

function formatOf(out: string | null): FrameFormat {
  if (out === null) return 'ndjson';
  const format = (['arrow', 'parquet', 'csv', 'ndjson'] as const).find(each => out.endsWith(`.${each}`));
  if (format) return format;
  throw new Fault('config', `--out: wanted a file name that ends in .arrow, .parquet, .csv or .ndjson, got ${out}`);
}
