/**
 * Point-in-time features: for each of a million views what was known by then of its post and of its user, as columns in files. By
 * `tilefold replay run`, and by window functions of DuckDB, from the same events.
 */
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isList } from '../../src/kernel/feature_column.ts';
import { Timelines } from '../../src/cli/timelines.ts';
import { ColumnReader } from '../../src/replay/column_file.ts';
import { PATHS, readManifest } from '../../src/replay/manifest.ts';
import { CACHE } from './events.ts';
import { type Row, RUNS, median, runChild } from './measure.ts';
import { configIn, type Replayed, TIMELINE } from './replaying.ts';

const FEATURES = join(import.meta.dir, 'features/replay');
/** Those that DuckDB computes too. */
const COLUMNS = 'view.post_*,view.user_*';
const REPLAYING = join(import.meta.dir, 'replaying.ts');
const DUCKDB_REPLAY = join(import.meta.dir, '../python/duckdb_replay.py');

/** What a fast replay is to be held against: five times the best of the others. */
const GOAL = 5;
const WORKERS = [1, 2];
const MEMORY_BYTES = 1 << 30;

/** Of the topology that is replayed twice. */
const FEATURE_COUNT = 100;

interface ByDuckDB {
  seconds: number;
  version: string;
  /** By column, as digits. */
  sums: Record<string, string>;
}

interface Ran<T> {
  told: T;
  peakMiB: number;
}

/** @param events a log as events.ts writes it; @param python null leaves DuckDB out */
export async function replayRows(events: string, python: string | null): Promise<Row[]> {
  const log = await orderedLog(events);
  const data = `${log}.data`;
  const saved = await saveTimeline(log, data);
  const rows: Row[] = [];
  for (const workers of WORKERS) rows.push(await raceRow(log, data, saved, workers, python));
  rows.push(await againRow(data));
  return rows;
}

async function raceRow(
  log: string,
  data: string,
  { count, seconds: savedSeconds }: Saved,
  workers: number,
  python: string | null,
): Promise<Row> {
  const parquet = join(CACHE, 'replay.parquet');
  const ours: Ran<Replayed>[] = [];
  const peer: Ran<ByDuckDB>[] = [];
  for (let i = 0; i < RUNS; i++) {
    ours.push(await replayOnce(data, FEATURES, workers, ['--features', COLUMNS]));
    if (python !== null) peer.push(await told([python, DUCKDB_REPLAY, log, `${workers}`, parquet]));
  }
  if (peer.length > 0) checkSums(sumsOf(ours.at(-1)!.told.folder), peer.at(-1)!.told.sums);
  rmSync(parquet, { force: true });
  const perSecond = (runs: Ran<{ seconds: number }>[]) => count / median(runs.map(({ told: { seconds } }) => seconds));
  const peak = (runs: Ran<unknown>[]) => (runs.length === 0 ? null : Math.max(...runs.map(({ peakMiB }) => peakMiB)));
  return {
    ...{ work: `events -> columns, ${workers} ${workers === 1 ? 'worker' : 'workers'}`, unit: 'events/s' },
    ...{ ours: perSecond(ours), goal: GOAL, memory: { ours: peak(ours), peer: peak(peer) } },
    peer: peer.length === 0 ? null : { name: `DuckDB ${peer[0]!.told.version}`, value: perSecond(peer) },
    note: `${count} events, 19 columns; from a timeline, which took ${savedSeconds.toFixed(1)} s to save, and DuckDB from NDJSON`,
  };
}

/** A hundred features, replayed, and replayed again: then all come from the cache. */
async function againRow(data: string): Promise<Row> {
  const definitions = join(data, 'hundred');
  mkdirSync(definitions, { recursive: true });
  writeFileSync(join(definitions, 'views.scowl'), hundredFeatures());
  const first = await replayOnce(data, definitions, 2);
  const again: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const { told: run } = await replayOnce(data, definitions, 2, ['--keep']);
    if (run.reused < run.shown) throw new Error(`${run.reused} of ${run.shown} features came from the cache`);
    again.push(run.seconds);
  }
  const share = (median(again) / first.told.seconds) * 100;
  return {
    ...{
      work: `replayed again, ${FEATURE_COUNT} features`,
      unit: 'ms',
      ours: median(again) * 1000,
      peer: null,
      goal: null,
    },
    memory: { ours: first.peakMiB, peer: null },
    note: `all from the cache: ${share.toFixed(2)}% of the first run's ${first.told.seconds.toFixed(1)} s; goal 2%`,
  };
}

function hundredFeatures(): string {
  const inputs = ['user', 'post', 'creator', 'lang'];
  const columns = Array.from({ length: FEATURE_COUNT - inputs.length }, (_, i) => {
    const key = inputs[i % 3];
    const hours = 1 + (i % 24);
    return i % 2 === 0
      ? `f${i} := Count(by ${key} last ${hours} hours)`
      : `f${i} := Sum(ms by ${key} where liked last ${hours} hours)`;
  });
  const declared = inputs.map(name => `${name} := $.${name} as string`);
  return ['event view', ...declared, 'ms := $.ms as int', 'liked := $.liked as bool', ...columns, ''].join('\n');
}

function replayOnce(data: string, definitions: string, workers: number, more: string[] = []): Promise<Ran<Replayed>> {
  const settings = ['--data', data, '--definitions', definitions, '--workers', `${workers}`];
  return told(['bun', REPLAYING, ...settings, '--memory', `${MEMORY_BYTES}`, ...more]);
}

async function told<T>(command: string[]): Promise<Ran<T>> {
  const { out, peakMiB } = await runChild(command);
  return { told: JSON.parse(out) as T, peakMiB };
}

// --- the events

interface Saved {
  count: number;
  seconds: number;
}

async function saveTimeline(log: string, data: string): Promise<Saved> {
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { recursive: true });
  const timelines = await Timelines.open(configIn(data));
  const startMs = performance.now();
  const made = await timelines.create({
    ...{ name: TIMELINE, from: { kind: 'files', paths: [log], names: {} }, types: null },
    ...{ startMicros: null, endMicros: null, lastMs: null, where: null },
  });
  timelines.close();
  return { count: made.records, seconds: (performance.now() - startMs) / 1000 };
}

/** An event of the log is written so much later at most than one behind it. */
const DISORDER_MS = 3_000;
const WRITTEN_LINES = 8_192;

/** The same events in the order of time, no two of one millisecond: whose turn it is within one DuckDB does not know. */
async function orderedLog(events: string): Promise<string> {
  const path = events.replace(/\.ndjson$/, '-ordered.ndjson');
  if (existsSync(path)) return path;
  const sink = Bun.file(`${path}.part`).writer();
  let lastMs = 0;
  let written = 0;
  const waiting: { ms: number; line: string }[] = [];
  const write = async (upTo: number) => {
    let count = 0;
    for (; count < waiting.length && waiting[count]!.ms <= upTo; count++) {
      const { ms, line } = waiting[count]!;
      lastMs = Math.max(lastMs + 1, ms);
      sink.write(`${line.replace(TIME, `"time":"${new Date(lastMs).toISOString()}"`)}\n`);
      if (++written % WRITTEN_LINES === 0) await sink.flush();
    }
    waiting.splice(0, count);
  };
  let newestMs = 0;
  for await (const line of createInterface({ input: createReadStream(events) })) {
    const ms = Date.parse(TIME.exec(line)![1]!);
    let place = waiting.length;
    while (place > 0 && waiting[place - 1]!.ms > ms) place--;
    waiting.splice(place, 0, { ms, line });
    newestMs = Math.max(newestMs, ms);
    if (waiting.length >= WRITTEN_LINES) await write(newestMs - DISORDER_MS);
  }
  await write(Number.POSITIVE_INFINITY);
  await sink.end();
  renameSync(`${path}.part`, path);
  return path;
}

const TIME = /"time":"([^"]+)"/;

// --- the values

/** What the columns of a replay come to, each value by when its event was, as duckdb_replay.py has it. */
function sumsOf(folder: string): Record<string, string> {
  const { manifest } = readManifest(folder, null);
  const weights = weightsOf(PATHS.column(folder, manifest.files['view _time']!));
  const sums: Record<string, string> = {};
  for (const { id } of manifest.shown)
    sums[id.slice('view.'.length)] = sumOf(PATHS.column(folder, manifest.files[id]!), weights);
  return sums;
}

/** Of each event. */
function weightsOf(path: string): bigint[] {
  const reader = new ColumnReader(path);
  const weights: bigint[] = [];
  for (let rows = reader.block(); rows; rows = reader.block())
    for (const micros of rows.column.values as BigInt64Array) weights.push(((micros / 1000n) % 1009n) + 1n);
  reader.close();
  return weights;
}

function sumOf(path: string, weights: bigint[]): string {
  const reader = new ColumnReader(path);
  let [row, sum] = [0, 0n];
  for (let rows = reader.block(); rows; rows = reader.block()) {
    const { values } = rows.column;
    for (let i = 0; i < rows.column.nulls.length; i++) {
      if (isList(values)) {
        const items = (values.items as string[]).slice(values.offsets[i], values.offsets[i + 1]);
        const placed = items.reduce((all, post, place) => all + (place + 1) * Number(post.slice(1)), 0);
        sum += BigInt(placed) * weights[row++]!;
      } else if (values instanceof BigInt64Array) sum += values[i]! * weights[row++]!;
    }
  }
  reader.close();
  return String(sum);
}

function checkSums(ours: Record<string, string>, peer: Record<string, string>): void {
  for (const [name, sum] of Object.entries(peer))
    if (ours[name] !== sum) throw new Error(`column ${name}: ours come to ${ours[name]}, the peer's to ${sum}`);
}
