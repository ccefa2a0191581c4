import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { formatMicros } from '../base/time.ts';
import type { State } from '../base/metrics.ts';
import { Stages } from '../base/stages.ts';
import type { Now } from '../http/feature_sets.ts';
import { type Engine, nowOf, type Watcher } from '../ingest/engine.ts';
import type { Keeping } from '../ingest/expiry.ts';
import type { BesideWriter } from '../ingest/barrier.ts';
import { Here } from '../ingest/here.ts';
import { Ingest } from '../ingest/ingest.ts';
import { Fold, type ReadBack } from '../kernel/fold.ts';
import { compiledKernels, type Kernel, loadKernel } from '../kernel/instance.ts';
import type { KeyInput } from '../kernel/key.ts';
import { countedIds, type Ids, type Layout } from '../kernel/layout.ts';
import { layPlan } from '../kernel/load.ts';
import type { Meta } from '../meta/meta.ts';
import { planHash } from '../plan/canonical.ts';
import { isTopology } from '../plan/layers.ts';
import { planJson } from '../plan/json.ts';
import type { Plan } from '../plan/plan.ts';
import type { InForce, Start } from '../plan/transition.ts';
import { lastRowsOf } from '../plan/upsert.ts';
import { type Answer, Asker, type LookUp, Reader } from '../read/read.ts';
import { type TileBatch, type TileChoice, type TileTable, tileTable } from '../read/tiles.ts';
import { changedRows, changeTable, type LogStretch } from '../replay/changes.ts';
import { history, type HistoryParts, type Touch } from '../replay/history.ts';
import { type Label, type LabelBatch, labelled, type LabelParts } from '../replay/labels.ts';
import { answersAt, type Moment } from '../replay/moments.ts';
import { type Replay, type ReplayParts, replay } from '../replay/replay.ts';
import { Spill } from '../replay/spill.ts';
import { besideWriter } from '../shard/beside.ts';
import { Crew } from '../shard/crew.ts';
import type { FromShard, FromWriter, ToShard, ToWriter } from '../shard/message.ts';
import { localDisk } from '../source/disk.ts';
import { type ReadDisk, readThrough, tryOften } from '../source/bucket.ts';
import { EventLog, type LogSettings } from '../source/log.ts';
import { s3Bucket } from '../source/s3.ts';
import { folderLog, listSegments, summaryOf } from '../source/segments.ts';
import { AHEAD_MAX_MS, type Clock, type Source } from '../source/source.ts';
import { restoreSegments } from '../source/upload.ts';
import { packFrame } from '../source/zstd.ts';
import { type FolderLock, LOCK_FILE, lockFolder } from '../store/lock.ts';
import { integrityOf } from '../store/sqlite.ts';
import { readBehind } from '../store/behind.ts';
import type { RowReader, Store } from '../store/store.ts';
import type { BackfillState, BackfillSteps } from './backfill.ts';
import type { Config } from './config.ts';
import {
  durablePosition,
  type OpenDatabase,
  openDatabase,
  openFile,
  openRows,
  openSnapshot,
  REFUSE,
  type Unreadable,
} from './database.ts';
import { WALL_PAUSES } from './pauses.ts';
import { planOf } from './plan_cache.ts';
import { startHere, startWorker } from './crew.ts';
import { beginPlan, idsOf, plansFrom, recordedPlan, renewPlan, rowsFromOf } from './recorded.ts';
import { type RefoldParts, refold } from './refold.ts';
import { type Applied, isComputed, Live } from './live.ts';

/** Everything that works on one data folder, wired together. */
export interface Parts {
  /** That is in force now. */
  readonly plan: Plan;
  ingest: Ingest;
  reader: LookUp;
  meta: Meta;
  state: () => State;
  /** How far the log has come, for the catalogue. */
  moment: () => Now;
  /** Of this thread. */
  stages: Stages;
  /** Brings other definitions into force, while events come and lookups are answered. */
  apply: (next: Plan, start: Start) => Promise<Applied>;
  /** Gives up what is to come into force; false where nothing is. */
  abort: () => Promise<boolean>;
  /** What waits for its windows; null where nothing does. */
  waiting: () => Live['waiting'];
  /** Lets it take over, where they are whole. A server does so by itself. */
  settle: () => Promise<void>;
  /** How far what is computed from the log has come; null where nothing is. */
  backfilling: () => BackfillState | null;
  /** Resolves when nothing is computed any more. */
  backfilled: () => Promise<void>;
  /** Writes what is in memory and lets go of everything, the folder's lock last. */
  close(): Promise<void>;
}

/** What goes on around the parts. */
export interface Surroundings {
  /** Where this process will serve, for other commands to find it; null where it does not. */
  announce: string | null;
  /** Where a failure goes that no request waits for: the process has to end. */
  onFailure: (error: unknown) => void;
  /** Takes a sentence on what was found on opening. */
  note: (text: string) => void;
  watcher?: Watcher;
  /**
   * Forgets all rows and errors, and folds the log anew; killed on the way, the next process goes on with it. `rest` of a
   * log that no longer begins at 0 folds what there still is of it.
   */
  rebuilds?: 'whole' | 'rest';
  /** One thread does it all: a command that only looks has no work for more. */
  isAlone?: boolean | undefined;
  /** Of what is computed from the log, instead of the usual numbers. */
  steps?: BackfillSteps | undefined;
}

/**
 * The only place where drivers are opened and parts are put together: definitions -> lock -> log and store -> ids ->
 * kernel -> ingest -> reader. The definitions come first, so that faulty ones never touch the data.
 *
 * @throws Fault `busy` where another process holds the folder
 */
export async function compose(config: Config, surroundings: Surroundings): Promise<Parts> {
  const { announce, onFailure, note, watcher, rebuilds } = surroundings;
  const held = await hold(config, note, { damaged: rebuilds ? 'replace' : 'refuse', old: 'replace' });
  const { undo, log, locks, database } = held;
  const { meta } = database;
  try {
    const inForce = await prepareRows(held, rebuilds ?? null, note);
    const { isAlone = false } = surroundings;
    const { workers } = config.fold;
    const stages = new Stages();
    const around = { onFailure, watcher, stages };
    const sidePath = `${config.store.sqlite}.backfill`;
    const live = await Live.open(
      {
        ...{ config, log, database, isServing: announce !== null, nowMicros, onFailure, steps: surroundings.steps },
        // Beside whatever goes on one thread is enough, and its times are nobody's.
        open: (parts, isBeside) =>
          foldingOf({
            ...parts,
            ...(isBeside ? { onFailure, stages: new Stages() } : around),
            ...{ config, isAlone, workers: isBeside ? 1 : workers },
          }),
        side: {
          open: () => openDatabase(sidePath, { damaged: 'replace', old: 'replace' }, note),
          remove: () => removeDatabase(sidePath),
        },
      },
      inForce,
    );
    const { relay } = live;
    const foldedBefore = relay.folded;
    const settings = { engine: relay, log, barrierMs: config.fold.barrierMs, nowMicros, seed: randomBits, ...around };
    const ingest = await Ingest.open(live.withDoor(settings));
    const trimming = trimNowAndThen(held, note);
    undo.unshift(() => trimming.end(config.log.s3 === null));
    undo.unshift(() => ingest.close());
    undo.unshift(() => live.stop());
    await live.settle();
    if (announce !== null) undo.unshift(settleNowAndThen(live, onFailure));
    if (announce !== null) live.resume();
    if (announce !== null) for (const lock of locks) lock.announce(announce);
    const state = (): State => ({
      logEnd: log.end,
      folded: relay.folded,
      rowsExpired: relay.expiredRows,
      recordsFolded: relay.folded - foldedBefore,
      rowsWritten: relay.writtenRows,
      refused: relay.refused(),
      behind: relay.behind(),
      stages: [{ thread: 'main', ms: stages.ms }, ...relay.stages()],
      uploads: config.log.s3 ? log.uploads() : null,
      backfill: live.backfilling,
      waitsUntilMicros: live.waiting?.untilMicros ?? null,
      ...live.sizes(),
    });
    const moment = (): Now => ({
      position: relay.folded - 1,
      clocks: relay.clocks(),
      nowMicros: nowOf(relay, config.log.clock, nowMicros),
      known: live.known,
      coming: live.coming,
    });
    return {
      get plan() {
        return live.plan;
      },
      ...{ ingest, reader: live, meta, state, moment, stages },
      apply: (next, start) => live.apply(next, start),
      abort: () => live.abort(),
      waiting: () => live.waiting,
      settle: () => live.settle(),
      backfilling: () => live.backfilling,
      backfilled: () => live.backfilled(),
      close: () => closeAll(undo),
    };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** What lies in a data folder, held so that nobody else works in it. */
interface Held {
  plan: Plan;
  log: EventLog;
  database: OpenDatabase;
  locks: FolderLock[];
  /** Closes it all, in order. */
  undo: (() => unknown)[];
}

async function hold(config: Config, note: (text: string) => void, unreadable: Unreadable): Promise<Held> {
  const { plan, keep } = await planOf(config);
  const locks = await lockFolders(config);
  const undo: (() => unknown)[] = [() => releaseAll(locks)];
  try {
    keep();
    const log = await EventLog.open({ ...logSettings(config), onNote: note });
    undo.unshift(() => log.close());
    for (const text of log.notes) note(text);
    const path = config.store.sqlite;
    const database = openDatabase(path, unreadable, note);
    undo.unshift(() => database.close());
    return { plan, log, locks, undo, database };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** What is needed to compare rows with what the log makes of them. */
export interface Comparison {
  plan: Plan;
  members: InForce['members'];
  meta: Meta;
  ids: Ids;
  store: Store;
  /** How many plans have been in force since the rows began. */
  planCount: number;
  /** Why the log no longer has all that the rows were folded from; null where it has. */
  why: string | null;
  /** What SQLite finds wrong with the file of the database. */
  damages: { offset: number | null; message: string }[];
  /** Rows of the log up to the store's position, folded anew into a store of its own, which `close` deletes. */
  refold(watcher: Watcher): Promise<{ store: Store; meta: Meta }>;
  close(): Promise<void>;
}

/**
 * Opens a data folder without changing its rows.
 *
 * @throws Fault `busy` where another process holds the folder, `config` where there are no rows
 */
export async function composeComparison(config: Config, note: (text: string) => void): Promise<Comparison> {
  const held = await hold(config, note, REFUSE);
  const { undo, log } = held;
  const { db, store, meta } = held.database;
  try {
    const damages = integrityOf(db);
    const inForce = recordedPlan(meta);
    if (!inForce) throw new Fault('config', 'there are no rows yet');
    const { plan, members } = inForce;
    const ids = idsOf(inForce, meta);
    const from = rowsFromOf(meta);
    const why = whyNotCompared(meta, log);
    const plans = plansFrom(meta);
    const refoldAll = async (watcher: Watcher) => {
      const { position } = store.mark();
      if (position > log.end)
        throw new Fault('corrupt', `the rows contain ${position} records, the log has only ${log.end}`);
      const path = `${config.store.sqlite}.refold`;
      removeDatabase(path);
      undo.unshift(() => removeDatabase(path));
      const other = openDatabase(path, REFUSE, note);
      undo.unshift(() => other.close());
      if (from > 0) other.store.commit([], { position: from, clocks: new Map(), highest: [] });
      const around = { onFailure: raise, watcher, nowMicros };
      const extraPath = `${path}.part`;
      const extra = { open: () => openDatabase(extraPath, REFUSE, note), remove: () => removeDatabase(extraPath) };
      undo.push(extra.remove);
      const settings = { config, keeping: [], workers: config.fold.workers, isAlone: false, onFailure: raise, watcher };
      const open: RefoldParts['open'] = (plan, ids, database) =>
        foldingOf({ ...settings, plan, ids, database, stages: new Stages() });
      await refold({ log, plans, idsOf: one => idsOf(one, meta), side: other, extra, open, ...around }, position);
      return { store: other.store, meta: other.meta };
    };
    const close = () => closeAll(undo);
    return { plan, members, meta, ids, store, planCount: plans.length, why, damages, refold: refoldAll, close };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

function whyNotCompared(meta: Meta, log: EventLog): string | null {
  const from = rowsFromOf(meta);
  return from < log.start ? `they were folded from record ${from} on, and the log begins with ${log.start}` : null;
}

function raise(error: unknown): never {
  throw error;
}

function removeDatabase(path: string) {
  for (const suffix of ['-wal', '-shm', '']) rmSync(path + suffix, { force: true });
}

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
    const moments = { position: () => engine.folded - 1, nowMicros: () => nowOf(engine, config.log.clock, nowMicros) };
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
    startWorker<ToWriter, FromWriter>({ kind: 'open', role: 'writer', database: file, keeping }),
    ...(workers === 0
      ? [startHere(opening, stages)]
      : Array.from({ length: workers }, () => startWorker<ToShard, FromShard>(opening))),
  ]);
  const crew = new Crew(
    {
      ...{ layout, shards, isHere: workers === 0, writer, lastRows, mark, late: meta.late() },
      ...{ foldMemoryBytes, onFailure, watcher, stages },
    },
    { nowMicros: () => nowOf(crew, config.log.clock, nowMicros) },
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
    ...{ kind: 'open', role: 'writer', database: db.filename, keeping },
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

/**
 * A replay numbers its definitions itself: it touches no data folder.
 *
 * @param rows what they may occupy in memory, and where those go that have no room there; `close` deletes that file
 */
export async function composeReplay(
  plan: Plan,
  source: Source,
  rows: { memoryBytes: number; path: string },
  around: Pick<ReplayParts, 'onRejected' | 'onBad' | 'stages'>,
): Promise<Replay & { spill: Spill; close(): void }> {
  const layout = await oneLayout(plan, source);
  const { spill, close } = spillOf(layout, rows);
  return { ...replay({ layout, spill, source, ...around }), spill, close };
}

/** Features as of labels. What is asked of the layout is up to the caller, who knows the labels. */
export async function composeLabels<T extends Label>(
  plan: Plan,
  rows: { memoryBytes: number; path: string },
  clock: Clock,
): Promise<{
  layout: Layout;
  run: (parts: Omit<LabelParts<T>, 'layout' | 'spill'>) => AsyncGenerator<LabelBatch<T>>;
  close(): void;
}> {
  const layout = await oneLayout(plan, { clock });
  const { spill, close } = spillOf(layout, rows);
  return { layout, run: parts => labelled({ ...parts, layout, spill }), close };
}

/** `close` deletes the file, where rows had to go to one. */
export function spillOf(layout: Layout, { memoryBytes, path }: { memoryBytes: number; path: string }) {
  let close = () => {};
  const spill = new Spill(layout, memoryBytes, () => {
    removeDatabase(path);
    const database = openDatabase(path, REFUSE, () => {});
    close = () => {
      database.close();
      removeDatabase(path);
    };
    return database.store;
  });
  return { spill, close: () => close() };
}

/** Lookups as of moments of a log, each by its own clock. Like a replay it touches no data folder. */
export async function composeMoments(
  plan: Plan,
  source: Source,
  rows: { memoryBytes: number; path: string },
  around: Pick<ReplayParts, 'onRejected' | 'onBad'>,
  moments: Moment[],
): Promise<Answer[]> {
  const layout = await oneLayout(plan, source);
  const { spill, close } = spillOf(layout, rows);
  try {
    return await answersAt({ layout, spill, source, ...around }, moments);
  } finally {
    close();
  }
}

/** Stored tiles as they are at one moment. */
export interface Tiles {
  columns: TileTable['columns'];
  batches: Iterable<TileBatch>;
  /** Of the last record of the log that they contain; -1 when there is none. */
  position: number;
  close(): void;
}

/**
 * Reads the store beside whoever writes to it, and holds no lock.
 *
 * @throws Fault as `tileTable`
 */
export async function composeTiles(config: Config, choice: TileChoice): Promise<Tiles> {
  const database = openSnapshot(config.store.sqlite);
  const { store, meta } = database;
  try {
    const inForce = recordedPlan(meta);
    if (!inForce) throw new Fault('not_found', 'there are no rows yet');
    const { plan } = inForce;
    // What has no rows may have no number yet, and nothing is given one here.
    const entities = plan.entities.filter(({ name }) => plan.aggregates.some(({ entity }) => entity === name));
    const stored = { ...plan, entities };
    const settings = { clock: config.log.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 };
    const layout = layPlan(await loadKernel(), stored, tileIds({ ...inForce, plan: stored }, meta), settings);
    const { columns, batches } = tileTable(layout, choice);
    return { columns, batches: batches(store.scan()), position: store.mark().position - 1, close: database.close };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The log as it lies in its folder, beside whoever writes to it: what is told is of records [from, to). */
async function logStretch(config: Config, stretch: Pick<LogStretch, 'from' | 'to'>): Promise<LogStretch> {
  const disk = readableLog(config);
  const { start } = await listSegments(disk, config.log.dir);
  return { source: await folderLog(disk, config.log.dir), first: start, ...stretch };
}

/** @throws Fault as `tileTable` and `folderLog` */
export async function composeChanges(
  config: Config,
  choice: TileChoice,
  { step, ...stretch }: Pick<LogStretch, 'from' | 'to'> & { step: number },
): Promise<{ columns: TileTable['columns']; batches: AsyncIterable<TileBatch> }> {
  const { plan } = await planOf(config);
  const log = await logStretch(config, stretch);
  const [layout, shown] = await twoLayouts(plan, log);
  const { columns, batches } = changeTable(shown, choice);
  const all = async function* () {
    yield* withLastRows(config, plan, log, async function* (last) {
      for await (const rows of changedRows(layout, last, log, step)) yield* batches(rows);
    });
  };
  return { columns, batches: all() };
}

/** Where the last rows of upserts are while a log is told, within the memory that a fold has; what has no room lies in a file. */
async function* withLastRows<T>(
  config: Config,
  plan: Plan,
  { source }: LogStretch,
  tell: (last: Spill | null) => AsyncIterable<T>,
): AsyncGenerator<T> {
  if (lastRowsOf(plan).length === 0) {
    yield* tell(null);
    return;
  }
  // Several may be told of the same log at once.
  const path = join(tmpdir(), `tilefold-${process.pid}-${spillCount++}.spill`);
  const { spill, close } = spillOf(await oneLayout(plan, source), { memoryBytes: config.fold.memoryBytes, path });
  try {
    yield* tell(spill);
  } finally {
    close();
  }
}

let spillCount = 0;

/** One key's history. @throws Fault as `Asker.ask` and `folderLog` */
export async function composeHistory(
  config: Config,
  { entity, key, features }: { entity: string; key: KeyInput; features: string[] },
  stretch: Pick<LogStretch, 'from' | 'to'>,
): Promise<Pick<HistoryParts, 'answer' | 'features'> & { touches: AsyncIterable<Touch> }> {
  const { plan } = await planOf(config);
  const log = await logStretch(config, stretch);
  const [layout, shown] = await twoLayouts(plan, log);
  const asker = new Asker({ layout, position: () => -1, nowMicros });
  const {
    answer,
    features: asked,
    encoded,
  } = asker.ask({ features, entities: { [entity]: [key] }, at: null }).parts[0]!;
  const table = tileTable(shown, { entity, set: null, levelMs: null, fromMs: null, toMs: null, isRaw: false });
  const parts = { layout, table, log, answer, key: encoded[0]!, features: asked };
  const touches = withLastRows(config, plan, log, last => history({ ...parts, last }));
  return { answer, features: asked, touches };
}

/** Of a plan that is numbered here: one to decode and fold in, one to finish tiles in. */
async function twoLayouts(plan: Plan, { source }: LogStretch): Promise<[Layout, Layout]> {
  return [await oneLayout(plan, source), await oneLayout(plan, source)];
}

async function oneLayout(plan: Plan, { clock }: Pick<Source, 'clock'>): Promise<Layout> {
  return layPlan(await loadKernel(), plan, countedIds(plan), { clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
}

/** A tile is what it is, whatever its aggregate does not know. */
function tileIds(inForce: InForce, meta: Meta): Ids {
  return { ...idsOf(inForce, meta), known: new Map() };
}

function logSettings({ log }: Config): LogSettings {
  const { dir: folder, clock, segmentBytes, segmentAgeMs, compress, keep, s3 } = log;
  const bucket = s3 ? { bucket: s3Bucket(s3), pauses: WALL_PAUSES } : undefined;
  const pack = compress ? packFrame : undefined;
  return { disk: localDisk, folder, clock, segmentBytes, segmentAgeMs, pack, bucket, keep };
}

/** The log's folder with its bucket behind it, for whoever only looks: beside a server too. */
export function readableLog({ log }: Config): ReadDisk {
  return log.s3 ? readThrough(localDisk, s3Bucket(log.s3), WALL_PAUSES) : localDisk;
}

/**
 * Notes in the log's folder the segments that it has lost and the bucket has.
 *
 * @throws Fault `config` where no bucket is configured, `not_found` where there is nothing in it
 */
export async function restoreLog(config: Config): Promise<{ restored: number; end: number }> {
  const { dir, s3 } = config.log;
  if (!s3) throw new Fault('config', 'the configuration has no log.s3 to restore the log from');
  const locks = await lockFolders(config);
  try {
    const [bucket, reading] = [s3Bucket(s3), readableLog(config)];
    const { restored, segments } = await restoreSegments(localDisk, reading, dir, {
      list: () => tryOften(`${bucket.name} cannot be listed`, () => bucket.list(), WALL_PAUSES),
    });
    const last = segments.at(-1);
    if (!last) throw new Fault('not_found', `${bucket.name} has no segments of an event log`);
    return { restored, end: last.first + (last.hasPlain ? 0 : (await summaryOf(reading, dir, last)).records) };
  } finally {
    releaseAll(locks);
  }
}

/** Packs and uploads what is closed, and waits for it. Returns how many segments there are and how many were uploaded. */
export async function uploadLog(
  config: Config,
  note: (text: string) => void,
): Promise<{ uploaded: number; closed: number }> {
  if (!config.log.s3) throw new Fault('config', 'the configuration has no log.s3 to upload the log to');
  const locks = await lockFolders(config);
  try {
    const log = await EventLog.open({ ...logSettings(config), onNote: note });
    await log.uploaded();
    const counts = log.uploads();
    await log.close();
    return counts;
  } finally {
    releaseAll(locks);
  }
}

/** In order; what comes first may still need what comes after it. */
async function closeAll(closers: (() => unknown)[]) {
  for (const close of closers) await close();
}

/** The log is what is kept, the rows are what is made of it: whoever writes one of them writes both. */
async function lockFolders(config: Config): Promise<FolderLock[]> {
  const locks: FolderLock[] = [];
  try {
    for (const folder of new Set(foldersOf(config))) {
      await mkdir(folder, { recursive: true });
      locks.push(lockFolder(folder, openFile(join(folder, LOCK_FILE))));
    }
    return locks;
  } catch (error) {
    releaseAll(locks);
    throw error;
  }
}

export function foldersOf(config: Config): string[] {
  return [config.log.dir, dirname(config.store.sqlite)];
}

function releaseAll(locks: FolderLock[]) {
  for (const lock of locks) lock.release();
}

/** What is noted then; `tilefold apply` need not be told. */
export const NOT_IN_FORCE =
  'the definitions in the folder are not those in force, which go on: `tilefold apply` brings them into force';

/**
 * The plan in force goes on, whatever the folder says: `tilefold apply` brings the folder's into force. Where there are no
 * rows yet, or are to be none, the folder's plan begins with them, and the log is folded from its start.
 *
 * @throws Fault `expired`, with all left as it is, where what would have to be folded has left the log
 */
async function prepareRows(
  { plan, log, database }: Held,
  rebuilds: Surroundings['rebuilds'] | null,
  note: (text: string) => void,
): Promise<InForce> {
  const { store, meta } = database;
  const current = meta.currentPlan();
  const isSame = current?.hash === planHash(plan);
  const { position } = store.mark();
  if (current && rebuilds === null && position > rowsFromOf(meta)) {
    if (isSame) return renewPlan(meta, plan);
    if (meta.backfill()?.json !== planJson(plan)) note(NOT_IN_FORCE);
    return recordedPlan(meta)!;
  }
  const from = rebuilds === 'rest' ? log.start : rebuilds === null && current ? rowsFromOf(meta) : 0;
  if ((rebuilds || !isSame) && from < log.start) throw await beginsLater(log);
  store.clear(() => {
    meta.clearErrors();
    meta.clearLate();
    // What was to come is not among the rows any more, and would not be whole.
    meta.endBackfill();
    beginPlan(meta, plan, from, nowMicros());
  });
  // Killed here, the next process comes by again.
  if (from > 0) store.commit([], { position: from, clocks: new Map(), highest: [] });
  return recordedPlan(meta)!;
}

async function beginsLater(log: EventLog): Promise<Fault> {
  const arrival = await log.firstArrivalMicros();
  const since = arrival === null ? '' : `, which arrived at ${formatMicros(arrival)}`;
  const what = `the rows are to be folded from record 0 on, but the log begins with record ${log.start}${since}`;
  return new Fault('expired', `${what}: \`tilefold rebuild --from-log --rest\` folds what there still is`);
}

/** Windows are whole to the minute at best. */
const SETTLE_EVERY_MS = 1_000;

/** @returns what ends it, and waits for what is under way */
function settleNowAndThen(live: Live, onFailure: (error: unknown) => void): () => Promise<void> {
  let settling: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (live.waiting) settling = live.settle().catch(onFailure);
  }, SETTLE_EVERY_MS);
  return async () => {
    clearInterval(timer);
    await settling;
  };
}

/** Often enough for segments that are closed by the hour. */
const TRIM_EVERY_MS = 60_000;

/** Lets segments leave the folder that need not stay, now and every minute. */
function trimNowAndThen({ log, database }: Held, note: (text: string) => void) {
  let isOver = false;
  const trim = async () => {
    try {
      // What is computed from the log may still need them.
      if (!(await log.isTrimmable(nowMicros())) || isOver || isComputed(database.meta.backfill())) return;
      const position = durablePosition(database);
      if (position !== null) await log.trim(position, nowMicros());
    } catch (error) {
      note(`segments could not leave the log's folder: ${(error as Error).message}`);
    }
  };
  void trim();
  const timer = setInterval(() => void trim(), TRIM_EVERY_MS);
  return {
    /**
     * Before the database is closed.
     *
     * @param once more for a command that is soon over, where nobody else has to be asked
     */
    async end(once: boolean) {
      clearInterval(timer);
      if (once) await trim();
      isOver = true;
    },
  };
}

function randomBits(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]!;
}

function nowMicros(): bigint {
  return BigInt(Date.now()) * 1000n;
}
