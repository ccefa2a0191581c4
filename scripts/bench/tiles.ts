import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE } from './events.ts';
import type { Folded, Progress } from './fold.ts';
import { removeDatabase, type Threaded } from './threads.ts';
import { type Row, RUNS, median, runChild, toMiB } from './measure.ts';

const FEATURES = join(import.meta.dir, 'features');
const THREADS = join(import.meta.dir, 'threads.ts');
const DUCKDB_TILES = join(import.meta.dir, '../python/duckdb_tiles.py');

/** What `tilefold.yaml` gives where nothing is said. */
const MEMORY_DEFAULT_BYTES = 256 * 1024 ** 2;

/**
 * A tired run is warm when memory is full of rows, most keys of the log have come by, runs of rows are merged, and as many rows
 * expire as come: behind this share of it.
 */
const WARM_SHARE = 1 / 5;

/** Its longest window is seven days: in a log of no more than these nothing of it ever expires, and there is more of it to the end. */
export const DAYS_TIRED = 7 / WARM_SHARE;

/** Little beside the state, so that rows leave memory and come back all the time. */
const MEMORY_TIRED_BYTES = 16 * 1024 ** 2;

interface DuckTiles {
  seconds: number;
  rows: number;
  /** Of its tables, or of the Parquet file. */
  bytes: number;
  version: string;
}

/** How many threads either side has, and where the tiles are when the clock stops. */
interface Race {
  threads: number;
  inMemory: boolean;
}

const RACES: Race[] = [
  { threads: 1, inMemory: true },
  { threads: 2, inMemory: true },
  { threads: 1, inMemory: false },
  { threads: 2, inMemory: false },
];

/** Three levels of tiles from the same NDJSON, by the engine of a server and by DuckDB. */
export async function tileRows(events: string, python: string | null): Promise<Row[]> {
  const rows: Row[] = [];
  for (const race of RACES) rows.push(await raceRow(events, python, race));
  return rows;
}

async function raceRow(events: string, python: string | null, { threads, inMemory }: Race): Promise<Row> {
  const [database, csv, parquet] = ['tiles.db', 'tiles.csv', 'tiles.parquet'].map(name => join(CACHE, name));
  const settings = ['--definitions', join(FEATURES, 'tiles'), '--events', events, '--database', database!];
  // In one thread the main one does it all; else it only hands out the work.
  const workers = threads === 1 ? 0 : threads;
  const more = ['--workers', `${workers}`, '--bytes', `${MEMORY_DEFAULT_BYTES}`, ...(inMemory ? ['--memory'] : [])];
  const duck = [DUCKDB_TILES, 'make', events, parquet!, `${threads}`, ...(inMemory ? ['memory'] : [])];
  const ours: Ran<Threaded>[] = [];
  const peer: Ran<DuckTiles>[] = [];
  for (let i = 0; i < RUNS; i++) {
    // Rows are exported after the clock has stopped, once; yet memory is that of the first run, without it.
    const last = i === RUNS - 1 && python !== null ? ['--export', csv!] : [];
    ours.push(await ran<Threaded>([process.execPath, THREADS, ...settings, ...more, ...last]));
    if (python !== null) peer.push(await ran<DuckTiles>([python, ...duck]));
  }
  if (python !== null) await runChild([python, DUCKDB_TILES, 'compare', parquet!, csv!]);
  removeDatabase(database!);
  for (const path of [csv!, parquet!]) await rm(path, { force: true });
  const { events: count, bytes, rowsWritten } = ours[0]!.said;
  const rate = (runs: Ran<{ seconds: number }>[]) => count / median(runs.map(run => run.said.seconds));
  const sizes = [bytes, ...peer.slice(0, 1).map(run => run.said.bytes)].map(size => `${Math.round(toMiB(size))} MiB`);
  const advanceNs = (median(ours.map(run => run.said.advanceSeconds)) / count) * 1e9;
  const besides = inMemory
    ? `, ${Math.round(advanceNs)} ns an event in select, tile and fold`
    : `, ${rowsWritten} rows written`;
  return {
    work: `log -> tiles, ${inMemory ? 'in memory' : 'durable'}, ${threads} thread${threads > 1 ? 's' : ''}`,
    unit: 'events/s',
    ours: rate(ours),
    peer: peer[0] ? { name: `DuckDB ${peer[0].said.version}`, value: rate(peer) } : null,
    goal: inMemory && threads === 1 ? 3 : null,
    memory: { ours: ours[0]!.peakMiB, peer: peer[0]?.peakMiB ?? null },
    note: `${count} events; ${inMemory ? 'the tiles' : 'the files'} take ${sizes.join(' and ')}${besides}`,
  };
}

interface Ran<Said> {
  said: Said;
  peakMiB: number;
}

async function ran<Said>(command: string[]): Promise<Ran<Said>> {
  const { out, peakMiB } = await runChild(command);
  return { said: JSON.parse(out) as Said, peakMiB };
}

function runFold({
  definitions,
  events,
  database,
  memoryBytes,
}: Record<'definitions' | 'events' | 'database', string> & {
  memoryBytes: number;
}): Promise<Ran<Folded>> {
  const paths = ['--definitions', definitions, '--events', events, '--database', database];
  return ran([process.execPath, join(import.meta.dir, 'fold.ts'), ...paths, '--memory', `${memoryBytes}`, '--expires']);
}

/** How the first and the last tenth of a long log compare, with little memory and new users all the time. */
export interface Tired {
  /** Those that are counted: behind those that have made it warm. */
  events: number;
  warmEvents: number;
  memoryMiB: number;
  peakMiB: number;
  /** Events a second, and of the processor's. */
  firstTenth: Rates;
  lastTenth: Rates;
  /** Of three tenths together: where runs of rows are merged shows less in them. */
  firstThree: Rates;
  lastThree: Rates;
  /** Rows for each million events of the whole log. */
  rowsWritten: number;
  rowsReadBack: number;
  /** Each tenth by itself. */
  tenths: (Rates & { rowsWritten: number; rowsReadBack: number })[];
}

interface Rates {
  eventsPerSecond: number;
  eventsPerCpuSecond: number;
}

export async function tiredRun(log: string): Promise<Tired> {
  const database = join(CACHE, 'tired.db');
  const settings = { definitions: join(FEATURES, 'serving'), events: log, database, memoryBytes: MEMORY_TIRED_BYTES };
  const { said, peakMiB } = await runFold(settings);
  await rm(database, { force: true });
  const warmEvents = Math.floor(said.events * WARM_SHARE);
  const events = said.events - warmEvents;
  const tenths = tenthsOf(said.progress, warmEvents, said.events);
  const perMillion = (name: 'rowsWritten' | 'rowsReadBack') =>
    Math.round((tenths.reduce((sum, tenth) => sum + tenth[name], 0) / events) * 1e6);
  return {
    events,
    warmEvents,
    memoryMiB: toMiB(MEMORY_TIRED_BYTES),
    peakMiB,
    firstTenth: tenths[0]!,
    lastTenth: tenths[9]!,
    firstThree: ratesOf(tenths.slice(0, 3)),
    lastThree: ratesOf(tenths.slice(-3)),
    rowsWritten: perMillion('rowsWritten'),
    rowsReadBack: perMillion('rowsReadBack'),
    tenths,
  };
}

/** Of tenths together, each of which has as many events. */
export function ratesOf(tenths: Rates[]): Rates {
  const rate = (name: keyof Rates) =>
    Math.round(tenths.length / tenths.reduce((sum, tenth) => sum + 1 / tenth[name], 0));
  return { eventsPerSecond: rate('eventsPerSecond'), eventsPerCpuSecond: rate('eventsPerCpuSecond') };
}

/** Of the events from one on and before another; each as exactly as the blocks allow after which progress was noted. */
export function tenthsOf(progress: Progress[], from: number, to: number): Tired['tenths'] {
  const start: Progress = { events: 0, seconds: 0, cpuSeconds: 0, rowsWritten: 0, rowsReadBack: 0 };
  const markAt = (events: number) => (events === 0 ? start : progress.find(each => each.events >= events)!);
  const marks = Array.from({ length: 11 }, (_, tenth) => markAt(from + ((to - from) * tenth) / 10));
  return marks.slice(1).map((to, i) => {
    const from = marks[i]!;
    return {
      eventsPerSecond: Math.round((to.events - from.events) / (to.seconds - from.seconds)),
      eventsPerCpuSecond: Math.round((to.events - from.events) / (to.cpuSeconds - from.cpuSeconds)),
      rowsWritten: to.rowsWritten - from.rowsWritten,
      rowsReadBack: to.rowsReadBack - from.rowsReadBack,
    };
  });
}

export function tiredTable(tired: Tired): string {
  const { events, warmEvents, memoryMiB, peakMiB, rowsWritten, rowsReadBack, tenths } = tired;
  const each = tenths.map(
    (tenth, i) =>
      `  tenth ${i + 1}: ${tenth.eventsPerSecond} events/s, ${tenth.eventsPerCpuSecond} a CPU second, ${tenth.rowsWritten} rows written, ${tenth.rowsReadBack} read back`,
  );
  const compared = (last: Rates, first: Rates, name: keyof Rates) =>
    `${(last[name] / first[name]).toFixed(2)} (${last[name]} / ${first[name]}`;
  const ratios = (last: Rates, first: Rates) => [
    `${compared(last, first, 'eventsPerSecond')} events/s)`,
    `by the processor ${compared(last, first, 'eventsPerCpuSecond')} events a CPU second)`,
  ];
  return [
    `tired: ${events} events behind ${warmEvents} that made it warm, ${memoryMiB} MiB for rows, ${Math.round(peakMiB)} MiB in all`,
    ...each,
    `last tenth / first tenth: ${ratios(tired.lastTenth, tired.firstTenth).join(', ')}`,
    `last three / first three: ${ratios(tired.lastThree, tired.firstThree).join(', ')}`,
    `for each million events: ${rowsWritten} rows written, ${rowsReadBack} read back`,
  ].join('\n');
}
