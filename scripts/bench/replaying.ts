/**
 * replaying.ts: replays a timeline in jobs, as `tilefold replay run` does, and prints as JSON what it took: from the plan of the
 * replay to the last column's file. A process of its own, so that its memory is its own too.
 *
 *     replaying.ts --data FOLDER --definitions FOLDER --workers N --memory BYTES [--features NAMES] [--keep]
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseConfig } from '../../src/cli/config.ts';
import { jobsWithin } from '../../src/cli/memory.ts';
import { Runs } from '../../src/cli/runs/runs.ts';
import { Timelines } from '../../src/cli/timelines.ts';
import { compileFolder } from '../../src/compile/compile.ts';

/** What is kept in the data folder, and what each run finds there. */
export const TIMELINE = 'views';

export interface Replayed {
  seconds: number;
  /** Where its columns are. */
  folder: string;
  /** Columns that were taken from the cache, and all that are shown. */
  reused: number;
  shown: number;
}

/** A configuration whose data are in a folder. */
export function configIn(data: string) {
  return parseConfig(join(data, 'tilefold.yaml'), 'replays: { cache: 64GiB }\n');
}

export interface ReplaySettings {
  definitions: string;
  /** Of features, with `*` for any characters; null for all. */
  patterns: string[] | null;
  workers: number;
  memoryBytes: number;
}

export async function replayIn(
  data: string,
  { definitions, patterns, workers, memoryBytes }: ReplaySettings,
): Promise<Replayed> {
  const config = configIn(data);
  const plan = await compileFolder(definitions, { latenessMs: config.latenessMs });
  const runs = await Runs.open(config);
  const timelines = await Timelines.open(config);
  const read = timelines.read([{ name: TIMELINE, version: null }]);
  timelines.close();
  const startMs = performance.now();
  const request = { plan, definitions, timelines: read.timelines, order: 'log' as const, patterns, workers };
  const { folder, manifest } = await runs.plan({ ...request, stretch: { startMicros: null, endMicros: null } }, null);
  const stopped = new Promise<void>(() => {});
  if (manifest.jobs.length > 0) await runs.run(folder, { workers, memoryBytes, stopped }, () => {});
  const seconds = (performance.now() - startMs) / 1000;
  return { seconds, folder, reused: manifest.reused.length, shown: manifest.shown.length };
}

/** What replays have left: each run is to compute everything. */
export function forgetReplays(data: string): void {
  rmSync(configIn(data).replays.dir, { recursive: true, force: true });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      definitions: { type: 'string' },
      workers: { type: 'string', default: '1' },
      memory: { type: 'string' },
      features: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  });
  const { data, definitions, workers, memory, features, keep } = values;
  if (!keep) forgetReplays(data!);
  const patterns = features?.split(',') ?? null;
  const how = {
    definitions: definitions!,
    patterns,
    workers: Number(workers),
    memoryBytes: jobsWithin(Number(memory), Number(workers)),
  };
  console.log(JSON.stringify(await replayIn(data!, how)));
  process.exit(0);
}
