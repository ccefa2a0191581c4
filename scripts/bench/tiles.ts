import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE } from './events.ts';
import type { Folded, Progress } from './fold.ts';
import { type Row, RUNS, median, runChild, toMiB } from './measure.ts';
import type { Advanced } from './rows.ts';

const FEATURES = join(import.meta.dir, 'features');
const DUCKDB_TILES = join(import.meta.dir, '../python/duckdb_tiles.py');

/** What `tilefold.yaml` gives where nothing is said. */
const MEMORY_DEFAULT_BYTES = 256 * 1024 ** 2;

/** Little beside the state, so that rows leave memory and come back all the time. */
const MEMORY_TIRED_BYTES = 16 * 1024 ** 2;

interface DuckTiles {
  seconds: number;
  /** Of these, those until the tiles were tables in memory. */
  table_seconds: number;
  rows: number;
  version: string;
}

/** Three levels of tiles from the same NDJSON: by ingest's own way into SQLite, and by DuckDB into Parquet. */
export async function tileRows(events: string, python: string | null): Promise<Row[]> {
  const names = ['tiles.db', 'tiles.csv', 'rows.csv', 'tiles.parquet'];
  const [database, csv, rowsCsv, parquet] = names.map(name => join(CACHE, name));
  const definitions = join(FEATURES, 'tiles');
  const ours: Ran<Folded>[] = [];
  const inMemory: Ran<Advanced>[] = [];
  const peer: Ran<DuckTiles>[] = [];
  for (let i = 0; i < RUNS; i++) {
    // Rows are exported after the clock has stopped, once; yet memory is that of the first runs, without it.
    const more = i === RUNS - 1 && python !== null ? ['--export', csv!] : [];
    ours.push(await runFold({ definitions, events, database: database!, memoryBytes: MEMORY_DEFAULT_BYTES }, more));
    const exported = i === RUNS - 1 && python !== null ? ['--export', rowsCsv!] : [];
    inMemory.push(await ran([...inBun('rows.ts'), '--definitions', definitions, '--events', events, ...exported]));
    if (python !== null) peer.push(await ran<DuckTiles>([python, DUCKDB_TILES, 'make', events, parquet!]));
  }
  if (python !== null)
    for (const made of [csv!, rowsCsv!]) await runChild([python, DUCKDB_TILES, 'compare', parquet!, made]);
  const { events: count, rowsWritten, barrierSeconds, seconds } = ours[0]!.said;
  for (const name of names) await rm(join(CACHE, name), { force: true });
  const rate = (runs: Ran<{ seconds: number }>[]) => count / median(runs.map(run => run.said.seconds));
  const share = Math.round((100 * barrierSeconds) / seconds);
  const advanceNs = median(inMemory.map(run => run.said.advanceSeconds)) * 1e9;
  return [
    {
      work: 'log -> tiles, in memory',
      unit: 'events/s',
      ours: rate(inMemory),
      peer:
        python === null
          ? null
          : {
              name: `DuckDB ${peer[0]!.said.version}, 1 thread`,
              value: count / median(peer.map(run => run.said.table_seconds)),
            },
      goal: 3,
      memory: { ours: inMemory[0]!.peakMiB, peer: peer[0]?.peakMiB ?? null },
      note: `${count} events, ${inMemory[0]!.said.rows} rows; ${Math.round(advanceNs / count)} ns an event in select, tile and fold`,
    },
    {
      work: 'log -> tiles of 1m, 30m, 1d',
      unit: 'events/s',
      ours: rate(ours),
      peer: python === null ? null : { name: `DuckDB ${peer[0]!.said.version}, 1 thread`, value: rate(peer) },
      goal: null,
      memory: { ours: ours[0]!.peakMiB, peer: peer[0]?.peakMiB ?? null },
      note: `${count} events, ${rowsWritten} rows written, ${share}% of the time at barriers`,
    },
  ];
}

interface Ran<Said> {
  said: Said;
  peakMiB: number;
}

async function ran<Said>(command: string[]): Promise<Ran<Said>> {
  const { out, peakMiB } = await runChild(command);
  return { said: JSON.parse(out) as Said, peakMiB };
}

function inBun(script: string): string[] {
  return [process.execPath, join(import.meta.dir, script)];
}

function runFold(
  {
    definitions,
    events,
    database,
    memoryBytes,
  }: Record<'definitions' | 'events' | 'database', string> & {
    memoryBytes: number;
  },
  more: string[],
): Promise<Ran<Folded>> {
  const paths = ['--definitions', definitions, '--events', events, '--database', database];
  return ran([...inBun('fold.ts'), ...paths, '--memory', `${memoryBytes}`, ...more]);
}

/** How the first and the last tenth of a long log compare, with little memory and new users all the time. */
export interface Tired {
  events: number;
  memoryMiB: number;
  peakMiB: number;
  /** Events a second. */
  firstTenth: number;
  lastTenth: number;
  /** Rows for each million events of the whole log. */
  rowsWritten: number;
  rowsReadBack: number;
  /** Each tenth by itself. */
  tenths: { eventsPerSecond: number; rowsWritten: number; rowsReadBack: number }[];
}

export async function tiredRun(events: string): Promise<Tired> {
  const database = join(CACHE, 'tired.db');
  const settings = { definitions: join(FEATURES, 'serving'), events, database, memoryBytes: MEMORY_TIRED_BYTES };
  const { said, peakMiB } = await runFold(settings, ['--expires']);
  await rm(database, { force: true });
  const tenths = tenthsOf(said.progress, said.events);
  const perMillion = (rows: number) => Math.round((rows / said.events) * 1e6);
  return {
    events: said.events,
    memoryMiB: toMiB(MEMORY_TIRED_BYTES),
    peakMiB,
    firstTenth: tenths[0]!.eventsPerSecond,
    lastTenth: tenths[9]!.eventsPerSecond,
    rowsWritten: perMillion(said.rowsWritten),
    rowsReadBack: perMillion(said.rowsReadBack),
    tenths,
  };
}

/** Each as exactly as the blocks allow after which progress was noted. */
export function tenthsOf(progress: Progress[], events: number): Tired['tenths'] {
  const start: Progress = { events: 0, seconds: 0, rowsWritten: 0, rowsReadBack: 0 };
  const marks = [start];
  for (let tenth = 1; tenth <= 10; tenth++) marks.push(progress.find(each => each.events >= (events * tenth) / 10)!);
  return marks.slice(1).map((to, i) => {
    const from = marks[i]!;
    return {
      eventsPerSecond: Math.round((to.events - from.events) / (to.seconds - from.seconds)),
      rowsWritten: to.rowsWritten - from.rowsWritten,
      rowsReadBack: to.rowsReadBack - from.rowsReadBack,
    };
  });
}

export function tiredTable(tired: Tired): string {
  const { events, memoryMiB, peakMiB, firstTenth, lastTenth, rowsWritten, rowsReadBack, tenths } = tired;
  const each = tenths.map(
    (tenth, i) =>
      `  tenth ${i + 1}: ${tenth.eventsPerSecond} events/s, ${tenth.rowsWritten} rows written, ${tenth.rowsReadBack} read back`,
  );
  return [
    `tired: ${events} events, ${memoryMiB} MiB for rows, ${Math.round(peakMiB)} MiB in all`,
    ...each,
    `last tenth / first tenth: ${(lastTenth / firstTenth).toFixed(2)} (${lastTenth} / ${firstTenth} events/s)`,
    `for each million events: ${rowsWritten} rows written, ${rowsReadBack} read back`,
  ].join('\n');
}
