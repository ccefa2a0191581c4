import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { Fault } from '../base/fault.ts';
import { parseDuration } from '../base/time.ts';
import { type TimelineJson, timelineJson } from '../http/timelines.ts';
import { loadConfig } from './config.ts';
import { inferSource } from './infer.ts';
import { namesOf } from './log.ts';
import { tellInferred } from './samples.ts';
import { isS3 } from './s3_place.ts';
import { tableText } from './table.ts';
import { parseTime } from './tiles.ts';
import { type Created, parseTimelineName, type TimelineOrigin, Timelines } from './timelines.ts';

interface Options {
  config: string;
  json?: true;
}

interface CreateOptions extends Options {
  fromLog?: true;
  fromFeed?: true;
  fromArchive?: string;
  start?: bigint;
  end?: bigint;
  last?: number;
  types?: string;
  where?: string;
  type?: string;
  time?: string;
  id?: string;
}

const JSON_OPTION = ['--json', 'as one JSON object'] as const;

/** `tilefold timeline`: named, immutable streams of events, for replays to read. A server may go on meanwhile. */
export function addTimeline(program: Command) {
  const timeline = program.command('timeline').description('save events under a name, for replays to read');
  timeline
    .command('create')
    .description('save events of the log or of files; under a name that is there it is the next version')
    .argument('<name>', 'what replays call it')
    .argument('[file...]', 'NDJSON, CSV or Parquet, packed or not; s3://BUCKET/PREFIX')
    .option('--from-log', 'from the event log')
    .option(
      '--from-feed',
      'deprecated, --from-log is meant: from the latest events of the log, as many as feed.events says',
    )
    .option('--from-archive <place>', 'from the partitions that `tilefold archive` has kept, in the order of time')
    .option('--start <time>', 'events from then on, by their own time: RFC 3339 or epoch milliseconds', parseTime)
    .option('--end <time>', 'events before then', parseTime)
    .option('--last <duration>', "the last of the log, such as 7d, by the log's clock", durationOf)
    .option('--types <names>', 'only events of these types, separated by commas')
    .option('--where <condition>', 'only events of declared types for which this is true: SQL over their inputs')
    .option('--type <name>', 'of CSV and Parquet without a column _type: the type of all their events')
    .option('--time <column>', 'of CSV and Parquet: the column of times, instead of _time')
    .option('--id <column>', 'of CSV and Parquet: the column of ids, instead of _id')
    .option(...JSON_OPTION)
    .action(async (name: string, files: string[], _options, command: Command) =>
      create(name, files, command.optsWithGlobals<CreateOptions>()),
    );
  timeline
    .command('list')
    .description('the timelines there are, each version by itself')
    .option(...JSON_OPTION)
    .action(async (_options, command: Command) => list(command.optsWithGlobals<Options>()));
  timeline
    .command('show')
    .description('what a timeline holds, of each event type')
    .argument('<name>', 'NAME, or NAME@VERSION')
    .option(...JSON_OPTION)
    .action(async (name: string, _options, command: Command) => show(name, command.optsWithGlobals<Options>()));
  timeline
    .command('infer')
    .description('write event types and inputs, as its events have them, for definitions to begin with')
    .argument('<name>', 'NAME, or NAME@VERSION')
    .option('--scowl', 'as a topology; as YAML by default')
    .option(...JSON_OPTION)
    .action(async (name: string, _options, command: Command) => infer(name, command.optsWithGlobals<Options>()));
  timeline
    .command('delete')
    .description('delete a version, or all that have the name; what no other timeline holds leaves the disk')
    .argument('<name>', 'NAME, or NAME@VERSION')
    .option(...JSON_OPTION)
    .action(async (name: string, _options, command: Command) => remove(name, command.optsWithGlobals<Options>()));
}

async function create(name: string, files: string[], options: CreateOptions) {
  const { types, where, start, end, last } = options;
  if (last !== undefined && (start !== undefined || end !== undefined))
    throw new Fault('config', '--last says where a timeline starts: it is given without --start and --end');
  if (options.fromFeed)
    console.error(
      'timeline: --from-feed is deprecated; --from-log reads all of the log, and --last or --start limit it',
    );
  const created = await withTimelines(options, timelines =>
    timelines.create({
      ...{ name, from: originOf(files, options), types: types === undefined ? null : namesOf(types) },
      ...{ startMicros: start ?? null, endMicros: end ?? null, lastMs: last ?? null, where: where ?? null },
    }),
  );
  if (created.firstRejected) {
    const { file, line, reason } = created.firstRejected;
    const count = created.rejected === 1 ? 'line is no event' : 'lines are no events';
    console.error(`timeline: ${created.rejected} ${count}, the first being ${file}:${line}: ${reason}`);
  }
  console.log(options.json ? JSON.stringify(createdJson(created)) : createdText(created));
}

function originOf(files: string[], options: CreateOptions): TimelineOrigin {
  const { fromLog, fromFeed, fromArchive, last, type, time, id } = options;
  const names = Object.fromEntries(Object.entries({ type, time, id }).filter(([, name]) => name !== undefined));
  const given = [fromLog && '--from-log', fromFeed && '--from-feed', fromArchive && '--from-archive'].filter(Boolean);
  if (given.length > 1) throw new Fault('config', `wanted one of ${given.join(' and ')}`);
  if (given.length > 0 && files.length > 0)
    throw new Fault('config', `${given[0]} reads no files, and ${files[0]} is given`);
  if (fromLog || fromFeed) return { kind: fromLog ? 'log' : 'feed' };
  if (last !== undefined) throw new Fault('config', '--last is of a log: files and archives want --start');
  if (fromArchive !== undefined)
    return { kind: 'archive', dir: isS3(fromArchive) ? fromArchive : resolve(fromArchive) };
  if (files.length === 0) throw new Fault('config', 'wanted --from-log, or files to make a timeline from');
  return { kind: 'files', paths: files, names };
}

function createdJson({ version, records, rejected, chunksWritten, chunksShared }: Created) {
  const counts = { read: records, rejected, chunks_written: chunksWritten, chunks_shared: chunksShared };
  return { ...timelineJson(version), ...counts };
}

function createdText(created: Created): string {
  const { name, version, events, start, end } = timelineJson(created.version);
  return `${name}@${version}: ${events} of ${created.records} events, ${start} to ${end}`;
}

async function list(options: Options) {
  const all = (await withTimelines(options, timelines => timelines.list())).map(timelineJson);
  if (options.json) return console.log(JSON.stringify({ timelines: all }));
  if (all.length === 0) return console.log('there are no timelines');
  const rows = all.map(({ name, version, state, events, types, start, end }) =>
    [`${name}@${version}`, state, events, types.length, start ?? '-', end ?? '-'].map(String),
  );
  console.log(tableText([['timeline', 'state', 'events', 'types', 'start', 'end'], ...rows]));
}

async function show(name: string, options: Options) {
  const found = timelineJson(await withTimelines(options, timelines => timelines.show(parseTimelineName(name))));
  console.log(options.json ? JSON.stringify(found) : shownText(found));
}

function shownText({
  name,
  version,
  state,
  error,
  source,
  created_at,
  order,
  clock,
  start,
  end,
  events,
  types,
}: TimelineJson) {
  const facts = [
    ['timeline', `${name}@${version}`],
    ['state', error === null ? state : `${state}: ${error}`],
    ['made from', JSON.stringify(source)],
    ['made at', created_at],
    ['order', order === 'log' ? `as in the log, clock ${clock}` : 'by time'],
    ['events', start === null ? String(events) : `${events}, from ${start} to ${end}`],
  ];
  const said = facts.map(([what, text]) => `${what!.padEnd(9)}  ${text}`).join('\n');
  if (types.length === 0) return said;
  const rows = types.map(each => [each.type, each.events, each.start, each.end, `sha256:${each.hash}`].map(String));
  return `${said}\n\n${tableText([['type', 'events', 'start', 'end', 'hash'], ...rows])}`;
}

async function infer(name: string, options: Options & { scowl?: true }) {
  const inferred = await withTimelines(options, timelines =>
    inferSource(timelines.read([parseTimelineName(name)]).source),
  );
  await tellInferred(inferred, options);
}

async function remove(name: string, options: Options) {
  const count = await withTimelines(options, timelines => timelines.remove(parseTimelineName(name)));
  console.log(
    options.json ? JSON.stringify({ deleted: count }) : `${count} ${count === 1 ? 'version' : 'versions'} deleted`,
  );
}

async function withTimelines<T>({ config }: Options, work: (timelines: Timelines) => T | Promise<T>): Promise<T> {
  const timelines = await Timelines.open(await loadConfig(config));
  try {
    return await work(timelines);
  } finally {
    timelines.close();
  }
}

function durationOf(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === null || durationMs === 0) throw new InvalidArgumentError('wanted a duration like 36h or 7d');
  return durationMs;
}
