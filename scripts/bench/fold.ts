/**
 * fold.ts: folds a log of events into SQLite by ingest's own way (decode, select, tile, fold, barriers), without the
 * door and the event log, and prints what it took as JSON. A process of its own, so that its memory is its own too.
 */
import { Database } from 'bun:sqlite';
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import { compileFolder } from '../../src/compile/compile.ts';
import { FeaturesCombinedSchema, type Int128 } from '../../src/gen/tilefold/v1/row_pb.ts';
import { keepingOf } from '../../src/ingest/expiry.ts';
import { Here } from '../../src/ingest/here.ts';
import { Ingest, type IngestParts } from '../../src/ingest/ingest.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Ids, Layout } from '../../src/kernel/layout.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { openMeta } from '../../src/meta/meta.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { lineCount } from '../../src/source/segment.ts';
import { AHEAD_MAX_MS, type Clock, MAX_JUMP_DEFAULT_MS, type Source } from '../../src/source/source.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';

export const EVENT_CLOCK: Clock = { kind: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS };

/** As far as it had come after each block. */
export interface Progress {
  events: number;
  seconds: number;
  /** Of the processor, all threads together: what others do on the machine shows little in it. */
  cpuSeconds: number;
  rowsWritten: number;
  rowsReadBack: number;
}

export interface Folded {
  events: number;
  seconds: number;
  /** Of these seconds, those spent in barriers. */
  barrierSeconds: number;
  rowsWritten: number;
  rowsReadBack: number;
  stateBytes: number;
  progress: Progress[];
}

export interface FoldSettings {
  definitions: string;
  events: string;
  /** A path, or `:memory:`. */
  database: string;
  memoryBytes: number;
  /** Rows that nothing can read any more leave the store. */
  expires: boolean;
}

/** What is left when all is folded and written; `close` lets go of it. */
export interface FoldedState {
  folded: Folded;
  plan: Plan;
  ids: Ids;
  layout: Layout;
  store: Store;
  close(): void;
}

export async function foldEvents(settings: FoldSettings): Promise<FoldedState> {
  const plan = await compileFolder(settings.definitions, { latenessMs: 3_600_000 });
  const source = await ndjsonFiles([settings.events], EVENT_CLOCK);
  const end = await countLines(source);
  if (settings.database !== ':memory:') rmSync(settings.database, { force: true });
  const db = new Database(settings.database, { create: true, readwrite: true, strict: true });
  const store = sqliteStore(db, packKernel());
  const ids = countedIds(plan);
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, ids, { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  const fold = new Fold(kernel, store.readRows);
  const startMs = performance.now();
  const secondsPassed = () => (performance.now() - startMs) / 1000;
  let [rowsWritten, barrierSeconds] = [0, 0];
  const progress: Progress[] = [];
  const watcher: IngestParts['watcher'] = {
    bad: code => {
      throw new Error(`an event is bad: ${code}`);
    },
    barrier: (seconds, rows) => {
      rowsWritten += rows;
      barrierSeconds += seconds;
    },
    caughtUp: events =>
      progress.push({
        events,
        seconds: secondsPassed(),
        cpuSeconds: cpuSeconds(),
        rowsWritten,
        rowsReadBack: fold.loaded,
      }),
  };
  const engine = new Here({
    ...{ pipeline: { layout, folds: [fold] }, store, meta: openMeta(db), foldMemoryBytes: settings.memoryBytes },
    ...{ keeping: settings.expires ? keepingOf(plan, ids) : [], onFailure: raise, watcher },
  });
  const ingest = await Ingest.open({
    ...{ door: kernel, engine, log: logOf(source, end), barrierMs: NEVER_MS, onFailure: raise, watcher },
    nowMicros: () => BigInt(Date.now()) * 1000n,
  });
  await ingest.close();
  const seconds = secondsPassed();
  const { loaded: rowsReadBack, stateBytes } = fold;
  const close = () => {
    store.close();
    db.close();
  };
  const folded = { events: end, seconds, barrierSeconds, rowsWritten, rowsReadBack, stateBytes, progress };
  return { folded, plan, ids, layout, store, close };
}

/** What this process has had of the processor since it began. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The longest that a timer takes. */
export const NEVER_MS = 2 ** 31 - 1;

export function raise(error: unknown): never {
  throw error;
}

/** Events that stand in a file, as the log that ingest takes up. */
export function logOf(source: Source, end: number): IngestParts['log'] {
  return {
    clock: source.clock,
    start: 0,
    end,
    lastArrivalMicros: null,
    append: () => Promise.reject(new Error('nothing is appended')),
    recall: () => null,
    read: from => source.read(from),
  };
}

export async function countLines(source: Source): Promise<number> {
  let count = 0;
  for await (const { bytes } of source.read(0)) count += lineCount(bytes);
  return count;
}

export function countedIds(plan: Plan): Ids {
  const numbered = (list: { name: string }[]) => new Map(list.map(({ name }, i) => [name, i + 1]));
  return { entities: numbered(plan.entities), aggregates: numbered(plan.aggregates) };
}

/** Rows of feature set `post_tiles`, read by protobuf, as lines of CSV: key, level, tile start, count, sum, sum. */
export function* exportTiles({ store, ids }: Pick<FoldedState, 'store' | 'ids'>): Generator<string> {
  const [n, ms, liked] = ['n', 'ms', 'liked'].map(name => ids.aggregates.get(`post_tiles:${name}`)!);
  const decoder = new TextDecoder();
  for (const { key, levelMs, tileStartMs, value } of store.scan()) {
    const { features } = fromBinary(FeaturesCombinedSchema, value);
    const stateOf = (id: number) => {
      const { case: name, value: held } = features[id]!.state;
      return name === 'sum' ? narrow(held) : held;
    };
    yield `${decoder.decode(key)},${levelMs},${tileStartMs},${stateOf(n!)},${stateOf(ms!)},${stateOf(liked!)}\n`;
  }
}

function narrow(sum: Int128): bigint {
  if (sum.narrow === undefined) throw new Error('a sum beyond int64');
  return sum.narrow;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      definitions: { type: 'string' },
      events: { type: 'string' },
      database: { type: 'string' },
      memory: { type: 'string' },
      expires: { type: 'boolean', default: false },
    },
  });
  const { definitions = '', events = '', database = '', expires } = values;
  const state = await foldEvents({ definitions, events, database, memoryBytes: Number(values.memory), expires });
  state.close();
  console.log(JSON.stringify(state.folded));
}
