import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { Fault } from '../base/fault.ts';
import { ByTime } from '../replay/by_time.ts';
import { sortedSource } from '../replay/sorted.ts';
import type { Order } from '../replay/stream.ts';
import { localDisk } from '../source/disk.ts';
import { ndjsonFiles } from '../source/ndjson.ts';
import { folderLog, folderRecords } from '../source/segments.ts';
import type { Clock, Source } from '../source/source.ts';
import { timelineCount } from '../source/timeline.ts';
import { readableLog } from './alone/event_log.ts';
import { loadConfig } from './config.ts';
import { parseTimelineName, Timelines } from './timelines.ts';
import type { Wrong } from './wrong.ts';

/** What says what is replayed, and in which order. */
export interface SourceOptions {
  config: string;
  log?: string[];
  timelines?: string;
  order?: Order;
  out: string;
}

/** As the log has them, or by their times: what memory has no room for waits in files beside the output then. */
export function inOrder(source: Source, { order, out }: SourceOptions, { hears }: Wrong): Source {
  if (order !== 'time') return source;
  return sortedSource(source, new ByTime(localDisk, dirname(out), `${basename(out)}.events`), hears.onRejected);
}

/** What is replayed. */
export interface Recorded {
  source: Source;
  /** Null where nobody knows. */
  records: number | null;
  /** As `--json` prints them. */
  timelines: { name: string; version: number }[] | null;
}

export async function recordedSource(options: SourceOptions, clock: Clock): Promise<Recorded> {
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
