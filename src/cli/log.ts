import { stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { Fault } from '../base/fault.ts';
import { formatDuration, formatMicros } from '../base/time.ts';
import { loadKernel } from '../kernel/instance.ts';
import { TypePicker } from '../kernel/pick.ts';
import { localDisk } from '../source/disk.ts';
import { firstLines, lineCount } from '../source/segment.ts';
import { folderBlocks, listSegments, uploadedBytes } from '../source/segments.ts';
import { surveyLog, type SurveyedSegment } from '../source/survey.ts';
import { restoreLog, uploadLog } from './alone/log_bucket.ts';
import { readableLog } from './alone/event_log.ts';
import { type Config, loadConfig } from './config.ts';
import { EXIT, isPipeBroken } from './exit.ts';
import { stopFirst } from './alone/held.ts';
import { tableText } from './table.ts';

interface Options {
  config: string;
  json?: true;
}

interface CatOptions extends Options {
  from: number;
  to?: number;
  types?: string;
}

/** `tilefold log`: looks at the event log where it lies, beside a server too; and brings it to its bucket and back. */
export function addLog(program: Command) {
  const log = program.command('log').description('look at the event log; a server may be writing to it meanwhile');
  log
    .command('stat')
    .description('what the log holds, segment by segment')
    .option('--json', 'as one JSON object')
    .action(async (_options, command: Command) => statLog(command.optsWithGlobals<Options>()));
  log
    .command('cat')
    .description('write events to standard output, one a line, as they were accepted')
    .option('--from <position>', 'the first one', positionOf, 0)
    .option('--to <position>', 'the first one that is left out', positionOf)
    .option('--types <names>', 'only of these types, separated by commas')
    .action(async (_options, command: Command) => catLog(command.optsWithGlobals<CatOptions>()));
  log
    .command('verify')
    .description('check every byte of the log; damage is told with its file and byte')
    .option('--json', 'as one JSON object')
    .action(async (_options, command: Command) => verifyLog(command.optsWithGlobals<Options>()));
  log
    .command('upload')
    .description('upload closed segments to the bucket, and wait for it; a server does so by itself')
    .option('--json', 'as one JSON object')
    .action(async (_options, command: Command) => upload(command.optsWithGlobals<Options>()));
  log
    .command('restore')
    .description('take up the log that the bucket has, where the folder has lost it or parts of it')
    .option('--json', 'as one JSON object')
    .action(async (_options, command: Command) => restore(command.optsWithGlobals<Options>()));
}

async function restore({ config: path, json }: Options) {
  const { restored, end } = await restoreLog(await loadConfig(path)).catch((error: unknown) => {
    throw stopFirst(error);
  });
  if (json) console.log(JSON.stringify({ restored, end }));
  else console.log(`${restored} segments restored; the log ends with record ${end - 1}, and goes on from there`);
}

async function upload({ config: path, json }: Options) {
  const counts = await uploadLog(await loadConfig(path), console.error).catch((error: unknown) => {
    throw stopFirst(error);
  });
  const { uploaded, closed } = counts;
  console.log(
    json ? JSON.stringify({ uploaded, closed }) : `${uploaded} of ${closed} closed segments are in the bucket`,
  );
  if (uploaded < closed) process.exitCode = EXIT.fault;
}

async function statLog({ config: path, json }: Options) {
  const config = await loadConfig(path);
  const { log } = config;
  const segments: StatedSegment[] = [];
  let clock: string | null = null;
  for await (const surveyed of surveyLog(readableLog(config), log.dir, 'summary')) {
    if (surveyed.damages[0]) throw surveyed.damages[0];
    if (surveyed.clock) clock = `${surveyed.clock.kind}, max_jump ${formatDuration(surveyed.clock.maxJumpMs)}`;
    segments.push(await stated(log.dir, surveyed));
  }
  const sum = (of: (segment: StatedSegment) => number) => segments.reduce((total, segment) => total + of(segment), 0);
  const total = {
    folder: log.dir,
    clock,
    records: sum(({ records }) => records),
    bytes: sum(({ bytes }) => bytes),
    stored_bytes: sum(segment => segment.stored_bytes),
    uploaded_bytes: sum(segment => segment.uploaded_bytes),
    first_arrival: segments.find(segment => segment.first_arrival !== null)?.first_arrival ?? null,
    last_arrival: segments.findLast(segment => segment.last_arrival !== null)?.last_arrival ?? null,
  };
  if (json) return console.log(JSON.stringify({ ...total, segments }));
  const rows = segments.map(({ file, first, records, bytes, stored_bytes, where, first_arrival, last_arrival }) =>
    [file, first, records, bytes, stored_bytes, where, first_arrival ?? '-', last_arrival ?? '-'].map(String),
  );
  const heads = ['segment', 'first', 'records', 'bytes', 'stored', 'where', 'first arrival', 'last arrival'];
  console.log(tableText([heads, ...rows]));
  console.log(`\n${total.records} records, ${total.bytes} bytes in ${total.stored_bytes} stored; clock ${total.clock}`);
}

interface StatedSegment {
  file: string;
  first: number;
  records: number;
  /** Plain, and as it lies on the disk. */
  bytes: number;
  stored_bytes: number;
  /** Of the object. */
  uploaded_bytes: number;
  where: 'folder' | 'bucket' | 'both';
  first_arrival: string | null;
  last_arrival: string | null;
}

async function stated(folder: string, surveyed: SurveyedSegment): Promise<StatedSegment> {
  const { file, first, summary, hasPlain, hasPacked, isUploaded } = surveyed;
  const uploaded = isUploaded ? await uploadedBytes(localDisk, folder, first) : 0;
  // It may have been packed since it was listed.
  const size = hasPlain || hasPacked ? (await stat(file).catch(() => stat(`${file}.zst`))).size : 0;
  return {
    file: file.slice(file.lastIndexOf('/') + 1),
    first,
    records: summary?.records ?? 0,
    bytes: summary?.bytes ?? size,
    stored_bytes: size,
    uploaded_bytes: uploaded,
    where: !isUploaded ? 'folder' : size > 0 ? 'both' : 'bucket',
    first_arrival: summary && formatMicros(summary.firstArrivalMicros),
    last_arrival: summary && formatMicros(summary.lastArrivalMicros),
  };
}

async function catLog({ config: path, from, to = Infinity, types }: CatOptions) {
  const config = await loadConfig(path);
  const picker = types === undefined ? null : new TypePicker(await loadKernel(), namesOf(types));
  let position = Math.max(from, (await listSegments(localDisk, config.log.dir)).start);
  for await (const { bytes } of folderBlocks(readableLog(config), config.log.dir, position)) {
    if (position >= to) return;
    const lines = firstLines(bytes, to - position);
    position += lineCount(lines);
    if (!(await written(picker ? picker.pick(lines) : lines))) return;
  }
}

export function namesOf(types: string): string[] {
  const names = types.split(',').map(name => name.trim());
  if (names.includes('')) throw new Fault('config', `--types: wanted names separated by commas, got ${types}`);
  return names;
}

/** False where nobody reads any more, such as behind `| head`. */
export async function written(bytes: Uint8Array): Promise<boolean> {
  // Written, nothing empties the file that it goes to.
  if (bytes.length === 0) return true;
  try {
    await Bun.write(Bun.stdout, Uint8Array.from(bytes));
    return true;
  } catch (error) {
    if (isPipeBroken(error)) return false;
    throw error;
  }
}

/** What `log verify` has found, as `--json` prints it. */
export interface LogReport {
  ok: boolean;
  segments: number;
  records: number;
  damages: { file: string; offset: number; message: string }[];
  /** Unfinished writes at the log's end: none is damage. */
  unfinished: { file: string; offset: number }[];
}

export async function surveyReport(config: Config): Promise<LogReport> {
  const report: LogReport = { ok: true, segments: 0, records: 0, damages: [], unfinished: [] };
  for await (const { file, summary, damages, tornBytes } of surveyLog(readableLog(config), config.log.dir, 'all')) {
    report.segments++;
    report.records += summary?.records ?? 0;
    for (const damage of damages)
      report.damages.push({ file: damage.file, offset: damage.offset, message: damage.message });
    if (tornBytes !== null) report.unfinished.push({ file, offset: tornBytes });
  }
  report.ok = report.damages.length === 0;
  return report;
}

async function verifyLog({ config: path, json }: Options) {
  const report = await surveyReport(await loadConfig(path));
  if (json) console.log(JSON.stringify(report));
  else tellReport(report);
  if (!report.ok) process.exitCode = EXIT.fault;
}

export function tellReport({ segments, records, damages, unfinished }: LogReport) {
  for (const { file, offset, message } of damages)
    console.error(`${file}:${offset}: ${message.replace(`${file}: `, '')}`);
  if (damages.length > 0)
    console.error('what is damaged has to come back from a copy: the log is where all else comes from');
  for (const { file, offset } of unfinished)
    console.error(`${file}:${offset}: an unfinished write, which the next process that opens the log cuts off`);
  console.log(
    `${segments} segments, ${records} records: ${damages.length === 0 ? 'whole' : `${damages.length} damages`}`,
  );
}

export function positionOf(text: string): number {
  const position = Number(text);
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('wanted a position, from 0');
  return position;
}
