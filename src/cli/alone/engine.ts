import type { State } from '../../base/metrics.ts';
import type { Stages } from '../../base/stages.ts';
import { wallMicros } from '../../base/time.ts';
import type { BesideWriter } from '../../ingest/barrier.ts';
import { type Engine, type Watcher, nowOf } from '../../ingest/engine.ts';
import type { Keeping } from '../../ingest/expiry.ts';
import { Here } from '../../ingest/here.ts';
import { Fold, type ReadBack } from '../../kernel/fold.ts';
import { type Kernel, compiledKernels, loadKernel } from '../../kernel/instance.ts';
import type { Ids } from '../../kernel/layout.ts';
import { layPlan } from '../../kernel/load.ts';
import { isTopology } from '../../plan/layers.ts';
import type { Plan } from '../../plan/plan.ts';
import { lastRowsOf } from '../../plan/upsert.ts';
import { type LookUp, Reader } from '../../read/read.ts';
import { besideWriter } from '../../shard/beside.ts';
import { Crew } from '../../shard/crew.ts';
import type { FromShard, FromWriter, ToShard, ToWriter } from '../../shard/message.ts';
import { AHEAD_MAX_MS } from '../../source/source.ts';
import { readBehind } from '../../store/behind.ts';
import type { RowReader } from '../../store/store.ts';
import type { Config } from '../config.ts';
import { startHere, startWorker } from './crew.ts';
import { type OpenDatabase, openRows } from './database.ts';

export interface FoldingParts {
  config: Pick<Config, 'log' | 'fold'>;
  plan: Plan;
  ids: Ids;
  database: OpenDatabase;
  /** How long rows are kept; empty where none ever leave the store. */
  keeping: Keeping[];
  /** Where last rows of upserts are that the database does not have, where there are some. */
  behind?: RowReader['readRows'] | undefined;
  onFailure: (error: unknown) => void;
  watcher?: Watcher | undefined;
  stages: Stages;
  /** 0 does it all in this thread. */
  workers: number;
  /** Writes in this thread too, which then folds, whatever `workers` says. */
  isAlone: boolean;
}

export interface Folding {
  engine: Engine;
  /** Of this thread. */
  door: Kernel;
  reader: LookUp;
  sizes: () => Pick<State, 'rowsDirty' | 'foldBytes' | 'rowsEvicted' | 'rowsLoaded'>;
}

/** Where events are folded and lookups answered: in this thread, or in workers. Barriers are written by one beside them. */
export async function foldingOf(parts: FoldingParts): Promise<Folding> {
  const { config, plan, ids, database, keeping, workers, watcher, onFailure, stages } = parts;
  // Records of a topology are taken one after the other: by one thread, which is this one.
  const isAlone = parts.isAlone || isTopology(plan);
  const { store, meta } = database;
  const kernel = await loadKernel();
  const settings = { clock: config.log.clock, aheadMaxMs: AHEAD_MAX_MS, shards: isAlone ? 1 : Math.max(1, workers) };
  const layout = layPlan(kernel, plan, ids, settings);
  const foldMemoryBytes = config.fold.memoryBytes;
  if (isAlone) {
    // What another thread writes is read as by any other reader.
    const beside = parts.isAlone ? null : await writeBeside(database, keeping, onFailure);
    const { writer = null, rows = store } = beside ?? {};
    const fold = new Fold(kernel, readBackOf(parts, rows));
    const engine = new Here({
      pipeline: { layout, folds: [fold] },
      ...{ store, meta, writer, rows, keeping, foldMemoryBytes, onFailure, watcher, stages },
    });
    const moments = { position: () => engine.folded - 1, nowMicros: () => nowOf(engine, config.log.clock, wallMicros) };
    const here = new Reader({ layout, fold, store: rows, ...moments });
    const reader: LookUp = {
      lookup: request => stages.time('answer', () => here.lookup(request)),
      explain: request => stages.time('answer', () => here.explain(request)),
    };
    const sizes = () => sizesOf(fold);
    return { engine, door: kernel, reader, sizes };
  }
  const file = database.db.filename;
  const mark = store.mark();
  const shardCount = settings.shards;
  const lastRows = layout.keepsLastRows ? new Fold(kernel, readBackOf(parts, store)) : null;
  const memoryBytes = foldMemoryBytes / (shardCount + (lastRows ? 1 : 0));
  const kernels = await compiledKernels();
  const opening: ToShard & { kind: 'open' } = {
    ...{ kind: 'open', role: 'shard', shards: shardCount, database: file },
    ...{ plan, ids, settings, mark, memoryBytes, kernels },
  };
  const [writer, ...shards] = await Promise.all([
    startWorker<ToWriter, FromWriter>({ kind: 'open', role: 'writer', database: file, keeping, kernels }),
    ...(workers === 0
      ? [startHere(opening, stages)]
      : Array.from({ length: workers }, () => startWorker<ToShard, FromShard>(opening))),
  ]);
  const crew = new Crew(
    {
      ...{
        layout,
        shards,
        isHere: workers === 0,
        writer,
        lastRows,
        mark,
        isSettled: () => store.isSettled(),
        late: meta.late(),
      },
      ...{ foldMemoryBytes, onFailure, watcher, stages },
    },
    { nowMicros: () => nowOf(crew, config.log.clock, wallMicros) },
  );
  return { engine: crew, door: kernel, reader: crew, sizes: () => sizesOf(crew.sizes()) };
}

function readBackOf({ plan, ids, behind }: FoldingParts, { readRows }: Pick<RowReader, 'readRows'>): ReadBack {
  if (!behind) return readRows;
  const entities = new Set(lastRowsOf(plan).map(({ name }) => ids.entities.get(name)!));
  return readBehind(readRows, behind, entities);
}

/** A writer in a thread of its own, and what reads the rows that it writes. */
async function writeBeside(
  { db }: OpenDatabase,
  keeping: Keeping[],
  onFailure: (error: unknown) => void,
): Promise<{ writer: BesideWriter; rows: RowReader }> {
  const wire = await startWorker<ToWriter, FromWriter>({
    ...{ kind: 'open', role: 'writer', database: db.filename, keeping, kernels: await compiledKernels() },
  });
  const writer = besideWriter(wire, onFailure);
  const { store: rows, close } = openRows(db.filename);
  return {
    rows,
    writer: {
      ...writer,
      async close() {
        await writer.close();
        close();
      },
    },
  };
}

function sizesOf({
  dirtyCount,
  stateBytes,
  evicted,
  loaded,
}: Pick<Fold, 'dirtyCount' | 'stateBytes' | 'evicted' | 'loaded'>) {
  return { rowsDirty: dirtyCount, foldBytes: stateBytes, rowsEvicted: evicted, rowsLoaded: loaded };
}
