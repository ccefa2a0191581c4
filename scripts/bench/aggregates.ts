import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stages } from '../../src/base/stages.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import { advance } from '../../src/ingest/advance.ts';
import type { FoldedRow } from '../../src/kernel/folded_row.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Layout } from '../../src/kernel/layout.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { type FeatureColumn, isList, makeColumn } from '../../src/kernel/feature_column.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { answerKeys } from '../../src/read/answer.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import { CACHE, uniform } from './events.ts';
import { countedIds, EVENT_CLOCK } from './fold.ts';
import { median, type Row, RUNS, runChild } from './measure.ts';

const DUCKDB_AGGREGATES = join(import.meta.dir, '../python/duckdb_aggregates.py');

const EVENTS = 500_000;
const KEYS = 5_000;
const SEED = 42;
const START_MS = Date.UTC(2026, 2, 1);
const DAYS = 7;

/** States merged in one run at least. */
const MERGED_PER_RUN_MIN = 300_000;

interface Case {
  sql: string;
  /** The same in DuckDB's words; null where it has no such aggregate. */
  duckdb: string | null;
  /** Both estimate, or break ties, each in its own way: their values are not compared. */
  differs?: string;
}

const CASES: Case[] = [
  { sql: 'COUNT(*)', duckdb: 'count(*)' },
  { sql: 'SUM(n)', duckdb: 'sum(n)::BIGINT' },
  { sql: 'SUM(x)', duckdb: 'sum(x)' },
  { sql: 'AVG(n)', duckdb: 'avg(n)' },
  { sql: 'AVG(x)', duckdb: 'avg(x)' },
  { sql: 'VAR_SAMP(n)', duckdb: 'var_samp(n)' },
  { sql: 'STDDEV_POP(x)', duckdb: 'stddev_pop(x)' },
  { sql: 'COUNT(DISTINCT s)', duckdb: 'count(DISTINCT s)' },
  { sql: 'MODE(s)', duckdb: 'mode(s)', differs: 'of values as frequent another one' },
  { sql: 'TOP_K(s, 3)', duckdb: null },
  { sql: 'HISTOGRAM(s)', duckdb: 'histogram(s)' },
  { sql: 'BUCKET_COUNTS(n, [1000, 5000, 20000])', duckdb: null },
  { sql: 'APPROX_QUANTILE(x, 0.5)', duckdb: 'approx_quantile(x, 0.5)', differs: 'a t-digest' },
  { sql: "DECAYED_SUM(x, '1d')", duckdb: null },
  { sql: "DECAYED_COUNT(x, '1d')", duckdb: null },
  { sql: 'VECTOR_AVG(v, 4)', duckdb: '[avg(v[1]), avg(v[2]), avg(v[3]), avg(v[4])]' },
  { sql: 'MIN(n)', duckdb: 'min(n)' },
  { sql: 'MAX(s)', duckdb: 'max(s)' },
  { sql: 'MAX(n, 3)', duckdb: 'max(n, 3)' },
  { sql: 'ARG_MAX(s, x)', duckdb: 'arg_max(s, x)' },
  { sql: 'FIRST(s)', duckdb: 'arg_min(s, time)' },
  { sql: 'LAST(s)', duckdb: 'arg_max(s, time)' },
  { sql: 'FIRST_N(s, 5)', duckdb: 'arg_min(s, time, 5)' },
  { sql: 'LAST_N(s, 5)', duckdb: 'arg_max(s, time, 5)' },
  { sql: 'LAST_N(n, 100)', duckdb: 'arg_max(n, time, 100)' },
  { sql: 'LAST_N(DISTINCT s, 5)', duckdb: null },
  { sql: 'LIST(n)', duckdb: 'list(n ORDER BY time)' },
  { sql: 'COLLECT_SET(s)', duckdb: 'list_sort(list(DISTINCT s))' },
  { sql: 'APPROX_COUNT_DISTINCT(s)', duckdb: 'approx_count_distinct(s)', differs: 'its own sketch' },
];

interface DuckAggregate {
  seconds: number;
  version: string;
  values: Record<string, unknown>;
}

/** Each aggregate alone, keyed by one text, in tiles of a day: events folded, and states merged, in a second. */
export async function aggregateRows(python: string | null): Promise<Row[]> {
  const events = await aggregateLog();
  const rows: Row[] = [];
  for (const one of CASES) rows.push(await aggregateRow(one, events, python));
  return rows;
}

async function aggregateRow(one: Case, events: string, python: string | null): Promise<Row> {
  const plan = await planOf(one.sql);
  const runs: Run[] = [];
  for (let i = 0; i < RUNS; i++) runs.push(await run(plan, events));
  const peer = python !== null && one.duckdb !== null ? await askDuckDb(python, events, one.duckdb) : null;
  const { rows, bytes, values } = runs[0]!;
  if (peer && !one.differs) checkValues(one.sql, values, peer.values);
  const rate = (seconds: (run: Run) => number, count: number) => count / median(runs.map(seconds));
  const merged = Math.round(rate(found => found.mergeSeconds, 1));
  const log = Math.round(rate(found => found.decodeSeconds + found.foldSeconds, EVENTS));
  const sizes = `${(bytes / rows).toFixed(1)} bytes a row of ${(EVENTS / rows).toFixed(1)} events`;
  const speeds = `${merged.toLocaleString('en')} states merged/s, ${log.toLocaleString('en')} events/s with decoding`;
  return {
    work: one.sql,
    unit: 'events/s',
    ours: rate(found => found.foldSeconds, EVENTS),
    peer: peer && { name: `DuckDB ${peer.version}`, value: EVENTS / peer.seconds },
    goal: null,
    memory: { ours: null, peer: null },
    note: `${sizes}; ${speeds}${one.differs ? `; DuckDB: ${one.differs}` : ''}`,
  };
}

interface Run {
  decodeSeconds: number;
  /** Of select, tile and fold. */
  foldSeconds: number;
  /** For one state, of merging and finishing. */
  mergeSeconds: number;
  rows: number;
  bytes: number;
  values: Map<string, unknown>;
}

async function run(plan: Plan, events: string): Promise<Run> {
  const kernel = await loadKernel();
  const settings = { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 };
  const layout = layPlan(kernel, plan, countedIds(plan), settings);
  const fold = new Fold(kernel, null);
  const stages = new Stages();
  await foldAll(layout, fold, events, stages);
  const { decode, select, tile, fold: folding } = stages.ms;
  const rows = fold.dirtyRows();
  const bytes = rows.reduce((sum, { value }) => sum + value.length, 0);
  const merged = mergeAll(layout, rows);
  const times = { decodeSeconds: decode / 1000, foldSeconds: (select + tile + folding) / 1000 };
  return { ...times, ...merged, rows: rows.length, bytes };
}

async function foldAll(layout: Layout, fold: Fold, events: string, stages: Stages): Promise<void> {
  const source = await ndjsonFiles([events], EVENT_CLOCK);
  const decoder = new Decoder(layout.kernel, layout.types);
  let position = 0;
  for await (const { bytes } of source.read(0)) {
    decoder.fill(bytes);
    while (stages.time('decode', () => decoder.next(position, null))) {
      advance({ layout, folds: [fold] }, stages);
      position += decoder.count;
    }
  }
  if (position !== EVENTS) throw new Error(`${position} events were read, wanted ${EVENTS}`);
}

/** Every key's window over all of its rows. */
function mergeAll(layout: Layout, rows: FoldedRow[]): Pick<Run, 'mergeSeconds' | 'values'> {
  const { kernel } = layout;
  const answer = layout.lookups.get('k')!;
  const [feature] = [...answer.features.values()];
  const byText = new Map(rows.map(({ key }) => [Buffer.from(key).toString(), key]));
  const keys = [...byText.values()];
  const column = makeColumn({ name: 'value', type: feature!.type }, keys.length);
  const endMicros = BigInt(START_MS + DAYS * 86_400_000) * 1000n;
  const passes = Math.ceil(MERGED_PER_RUN_MIN / rows.length);
  const startMs = performance.now();
  for (let pass = 0; pass < passes; pass++)
    answerKeys(kernel, answer, [feature!], keys, endMicros, false, null, [column]);
  const seconds = (performance.now() - startMs) / 1000;
  const values = new Map([...byText.keys()].map((text, row) => [text, valueAt(column, row)]));
  return { mergeSeconds: seconds / passes / rows.length, values };
}

/** As JSON has it. */
function valueAt({ values, nulls, type }: FeatureColumn, row: number): unknown {
  if (nulls[row] === 1) return null;
  if (!isList(values)) return plain(values[row]);
  const { offsets, items, mapped } = values;
  const [from, to] = [offsets[row]!, offsets[row + 1]!];
  const list = Array.from({ length: to - from }, (_, i) => plain(items[from + i]));
  if (type.kind !== 'map') return list;
  return Object.fromEntries(list.map((key, i) => [String(key), plain(mapped![from + i])]));
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

/** @throws Error with the first value that DuckDB has otherwise; its sums of doubles are not exact */
function checkValues(sql: string, ours: Map<string, unknown>, theirs: Record<string, unknown>): void {
  if (ours.size !== Object.keys(theirs).length) throw new Error(`${sql}: ${ours.size} keys, and others by DuckDB`);
  for (const [key, value] of ours)
    if (!isClose(value, theirs[key]))
      throw new Error(`${sql} of ${key}: ${shown(value)}, by DuckDB ${shown(theirs[key])}`);
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 200);
}

/** Of what a sum of doubles may be off, for its size. */
const TOLERANCE = 1e-9;

function isClose(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number')
    return Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b));
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  const others = new Map<string, unknown>(right);
  return left.length === right.length && left.every(([key, value]) => isClose(value, others.get(key)));
}

async function planOf(sql: string): Promise<Plan> {
  const folder = await mkdtemp(join(tmpdir(), 'tilefold-bench-'));
  try {
    await writeFile(join(folder, 'e.yaml'), definitionOf(sql));
    return await compileFolder(folder, { latenessMs: 3_600_000 });
  } finally {
    await rm(folder, { recursive: true });
  }
}

function definitionOf(sql: string): string {
  return `events:
  e: { k: string, n: int64, x: double, s: string, v: [double] }
entities: { k: string }
---
feature_set: one
description: an aggregate alone
owner: bench
entity: k
source: e
tiles: [1d]
windows: [${DAYS + 1}d@1d]
sql: SELECT k, ${sql} AS value FROM e GROUP BY k
`;
}

async function askDuckDb(python: string, events: string, expression: string): Promise<DuckAggregate> {
  const { out } = await runChild([python, DUCKDB_AGGREGATES, events, expression, `${RUNS}`]);
  return JSON.parse(out);
}

/** A log of its own, with a value of each type; made once. */
async function aggregateLog(): Promise<string> {
  const path = join(CACHE, `aggregates-${EVENTS}-${SEED}.ndjson`);
  if (existsSync(path)) return path;
  await mkdir(CACHE, { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const sink = Bun.file(fresh).writer();
  for (const line of aggregateLines()) sink.write(line);
  await sink.end();
  await rename(fresh, path);
  return path;
}

/** In the order of time, no two at the same: which is the first and which the last is no matter of ties. */
function* aggregateLines(): Generator<string> {
  const random = uniform(SEED);
  const stepMs = (DAYS * 86_400_000) / EVENTS;
  for (let i = 0; i < EVENTS; i++) {
    const time = new Date(START_MS + Math.floor(i * stepMs)).toISOString();
    const key = Math.floor(KEYS * random());
    const n = Math.floor(-8_000 * Math.log(1 - random()));
    const v = [random(), random(), random(), random()];
    yield `{"type":"e","time":"${time}","data":{"k":"k${key}","n":${n},"x":${random() * 1000},"s":"s${Math.floor(200 * random() ** 2)}","v":${JSON.stringify(v)}}}\n`;
  }
}
