/**
 * threads.ts: makes a log of events into tiles by the engine that a server has, in one thread or in several, and prints
 * what it took as JSON. With --memory nothing is written before the clock stops. A process of its own, so that its memory
 * is its own too.
 */
import { rmSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Stages } from '../../src/base/stages.ts';
import { type Folding, foldingOf } from '../../src/cli/alone/engine.ts';
import { openDatabase, REFUSE } from '../../src/cli/alone/database.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import { Ingest } from '../../src/ingest/ingest.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import type { Source } from '../../src/source/source.ts';
import { countedIds, countLines, EVENT_CLOCK, exportTiles, logOf, NEVER_MS, raise } from './fold.ts';

export interface ThreadSettings {
  definitions: string;
  events: string;
  /** A path: threads have connections of their own to it. */
  database: string;
  /** 0 does it all in one thread. */
  workers: number;
  /** All rows stay in memory until the clock has stopped; else each barrier writes them, as a server's do. */
  inMemory: boolean;
  memoryBytes: number;
}

export interface Threaded {
  events: number;
  seconds: number;
  rowsWritten: number;
  /** Of these seconds, those of select, tile and fold, over all threads. */
  advanceSeconds: number;
  /** Of the rows: in memory with their index, or in the database's files. */
  bytes: number;
}

/** @param use is given the rows when all is written; null where nobody wants them, and those in memory are left there */
export async function makeTiles(
  settings: ThreadSettings,
  use: ((state: Parameters<typeof exportTiles>[0]) => unknown) | null,
): Promise<Threaded> {
  const { definitions, events: path, database: file, workers, inMemory } = settings;
  const plan = await compileFolder(definitions, { latenessMs: 3_600_000 });
  const source = await ndjsonFiles([path], EVENT_CLOCK);
  const events = await countLines(source);
  removeDatabase(file);
  const database = openDatabase(file, REFUSE, () => {});
  const ids = countedIds(plan);
  const memoryBytes = inMemory ? Number.POSITIVE_INFINITY : settings.memoryBytes;
  const stages = new Stages();
  const folding = await foldingOf({
    config: configOf(workers, memoryBytes),
    ...{ plan, ids, database, workers, isAlone: workers === 0, keeping: [], onFailure: raise, stages },
  });
  const { engine } = folding;
  const startMs = performance.now();
  await (inMemory ? foldAll(folding, source) : writeAll(folding, source, events));
  const seconds = (performance.now() - startMs) / 1000;
  const bytes = inMemory ? folding.sizes().foldBytes : sizeOf(file);
  const { writtenRows: rowsWritten } = engine;
  const advanceMs = [stages.ms, ...engine.stages().map(({ ms }) => ms)].reduce(
    (sum, { select, tile, fold }) => sum + select + tile + fold,
    0,
  );
  if (inMemory && use) await engine.close();
  use?.({ store: database.store, ids });
  database.close();
  return { events, seconds, rowsWritten, advanceSeconds: advanceMs / 1000, bytes };
}

const KEEP_ALL = {};

function configOf(workers: number, memoryBytes: number): Parameters<typeof foldingOf>[0]['config'] {
  const log = {
    dir: '',
    clock: EVENT_CLOCK,
    segmentBytes: 0,
    segmentAgeMs: 0,
    compress: false,
    keep: KEEP_ALL,
    s3: null,
  };
  return { log, fold: { workers, memoryBytes, barrierMs: NEVER_MS } };
}

/** As ingest takes up a log, but for barriers. */
async function foldAll({ engine, reader }: Folding, source: Source): Promise<void> {
  let last: Promise<void> = Promise.resolve();
  for await (const { bytes, arrivalMicros } of source.read(0)) {
    last = engine.fold(bytes, engine.folded, arrivalMicros, true);
    last.catch(() => {});
    await engine.room();
  }
  await last;
  // Nothing more follows: what was put aside is folded.
  await engine.fold(new Uint8Array(0), engine.folded, null);
  // What was sent to a worker is folded when it has answered: enough keys that each of them has some.
  const keys = Array.from({ length: 256 }, (_, i) => `p${i}`);
  await reader.lookup({ features: ['post_tiles:*'], entities: { post: keys }, at: null });
}

async function writeAll({ engine, door }: Folding, source: Source, end: number): Promise<void> {
  const ingest = await Ingest.open({
    ...{ door, engine, log: logOf(source, end), barrierMs: NEVER_MS, onFailure: raise },
    nowMicros: () => BigInt(Date.now()) * 1000n,
  });
  await ingest.close();
}

const FILES = ['', '-wal', '-shm'];

function sizeOf(file: string): number {
  return FILES.reduce((sum, suffix) => sum + (statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0), 0);
}

export function removeDatabase(file: string): void {
  for (const suffix of FILES) rmSync(file + suffix, { force: true });
}

function writeLines(sink: Bun.FileSink, lines: Iterable<string>): void {
  for (const line of lines) sink.write(line);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      definitions: { type: 'string', default: '' },
      events: { type: 'string', default: '' },
      database: { type: 'string', default: '' },
      workers: { type: 'string', default: '0' },
      memory: { type: 'boolean', default: false },
      bytes: { type: 'string', default: '' },
      export: { type: 'string' },
    },
  });
  const { definitions, events, database, workers, memory: inMemory, bytes, export: out } = values;
  const settings = { definitions, events, database, workers: Number(workers), inMemory, memoryBytes: Number(bytes) };
  const sink = out === undefined ? null : Bun.file(out).writer();
  const made = await makeTiles(settings, sink && (state => writeLines(sink, exportTiles(state))));
  await sink?.end();
  console.log(JSON.stringify(made));
  // Threads that nobody has closed.
  process.exit();
}
