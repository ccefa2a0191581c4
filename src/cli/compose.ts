import { Database } from 'bun:sqlite';
import { createHash } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { compileFolder } from '../compile/compile.ts';
import type { State } from '../base/metrics.ts';
import { Ingest, type Watcher } from '../ingest/ingest.ts';
import { Fold } from '../kernel/fold.ts';
import { loadKernel } from '../kernel/instance.ts';
import type { Ids } from '../kernel/layout.ts';
import { layPlan, refusedTiles } from '../kernel/load.ts';
import { type Meta, openMeta } from '../meta/meta.ts';
import { aggregateHash, planHash } from '../plan/canonical.ts';
import type { Entity, Plan } from '../plan/plan.ts';
import { Reader } from '../read/read.ts';
import { type Replay, type ReplayParts, replay } from '../replay/replay.ts';
import { Spill } from '../replay/spill.ts';
import { localDisk } from '../source/disk.ts';
import { EventLog, type LogSettings, prefixOf } from '../source/log.ts';
import { AHEAD_MAX_MS, type Source } from '../source/source.ts';
import { packFrame } from '../source/zstd.ts';
import { type FolderLock, LOCK_FILE, lockFolder } from '../store/lock.ts';
import { damageOf, integrityOf, sqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import type { Config } from './config.ts';

/** Everything that works on one data folder, wired together. */
export interface Parts {
  plan: Plan;
  ingest: Ingest;
  reader: Reader;
  meta: Meta;
  state: () => State;
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
  /** Forgets all rows and errors, and folds the log anew; killed on the way, the next process goes on with it. */
  rebuilds?: true;
}

/**
 * The only place where drivers are opened and parts are put together: definitions -> lock -> log and store -> ids ->
 * kernel -> ingest -> reader. The definitions come first, so that faulty ones never touch the data.
 *
 * @throws Fault `busy` where another process holds the folder
 */
export async function compose(config: Config, surroundings: Surroundings): Promise<Parts> {
  const { announce, onFailure, note, watcher, rebuilds } = surroundings;
  const held = await hold(config, note, rebuilds ? 'replace' : 'refuse');
  const { undo, plan, log, store, meta, locks } = held;
  try {
    if (rebuilds) store.clear(() => meta.clearErrors());
    applyPlan(plan, store, meta, note);
    const ids = idsOf(plan, meta);
    const { layout, fold } = await foldOf(config, plan, ids, store);
    const { memoryBytes: foldMemoryBytes, barrierMs } = config.fold;
    const pipeline = { layout, folds: [fold] };
    const ingest = await Ingest.open({
      ...{ pipeline, plan, ids, log, store, meta, foldMemoryBytes, barrierMs, nowMicros, onFailure, watcher },
      expires: true,
    });
    undo.unshift(() => ingest.close());
    const reader = new Reader({
      ...{ layout, fold, store, position: () => ingest.position, nowMicros: () => ingest.now() },
    });
    if (announce !== null) for (const lock of locks) lock.announce(announce);
    const state = () => ({
      logEnd: log.end,
      folded: ingest.position + 1,
      rowsDirty: fold.dirtyCount,
      foldBytes: fold.stateBytes,
      rowsEvicted: fold.evicted,
      rowsLoaded: fold.loaded,
      rowsExpired: ingest.expiredRows,
      tilesRefused: refusedTiles(layout),
    });
    return { plan, ingest, reader, meta, state, close: () => closeAll(undo) };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** What lies in a data folder, held so that nobody else works in it. */
interface Held {
  plan: Plan;
  log: EventLog;
  store: Store;
  meta: Meta;
  db: Database;
  locks: FolderLock[];
  /** Closes it all, in order. */
  undo: (() => unknown)[];
}

/** @param damaged what becomes of a database that cannot be read: `replace` puts it aside and makes an empty one */
async function hold(config: Config, note: (text: string) => void, damaged: 'refuse' | 'replace'): Promise<Held> {
  const plan = await compileFolder(config.definitions, { latenessMs: config.latenessMs });
  const locks = await lockFolders(config);
  const undo: (() => unknown)[] = [() => releaseAll(locks)];
  try {
    const log = await EventLog.open({ ...logSettings(config), onNote: note });
    undo.unshift(() => log.close());
    for (const text of log.notes) note(text);
    const path = config.store.sqlite;
    const database = openDatabase(path, damaged === 'replace' ? note : null);
    undo.unshift(() => database.close());
    return { plan, log, locks, undo, ...database };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

interface OpenDatabase {
  db: Database;
  store: Store;
  meta: Meta;
  close(): void;
}

/**
 * @param note hears that a damaged database was put aside for an empty one; null leaves it as it is
 * @throws Fault `corrupt`
 */
function openDatabase(path: string, note: ((text: string) => void) | null): OpenDatabase {
  const db = new Database(path, { create: true, readwrite: true, strict: true });
  try {
    const store = sqliteStore(db);
    const meta = openMeta(db);
    const [damage] = note ? integrityOf(db) : [];
    if (damage) throw new Fault('corrupt', `${path}: ${damage.message}`);
    const close = () => {
      store.close();
      db.close();
    };
    return { db, store, meta, close };
  } catch (error) {
    db.close();
    const damage = error instanceof Fault && error.code === 'corrupt' ? error : damageOf(error, path);
    if (!damage || !note) throw damage ?? error;
    note(`${damage.message}; it is put aside as ${path}.damaged`);
    putAside(path);
    return openDatabase(path, null);
  }
}

/** Its write-ahead log goes first: one that were left would be read as that of the database which comes after. */
function putAside(path: string) {
  for (const suffix of ['-wal', '-shm', ''])
    if (existsSync(path + suffix)) renameSync(path + suffix, `${path}.damaged${suffix}`);
}

/** What is needed to compare rows with what the log makes of them. */
export interface Comparison {
  plan: Plan;
  meta: Meta;
  ids: Ids;
  store: Store;
  /** What SQLite finds wrong with the file of the database. */
  damages: { offset: number | null; message: string }[];
  /** Rows of the log up to the store's position, folded anew into a store of its own, which `close` deletes. */
  refold(watcher: Watcher): Promise<{ store: Store; meta: Meta }>;
  close(): Promise<void>;
}

/**
 * Opens a data folder without changing its rows.
 *
 * @throws Fault `busy` where another process holds the folder, `config` where the rows are of other definitions
 */
export async function composeComparison(config: Config, note: (text: string) => void): Promise<Comparison> {
  const held = await hold(config, note, 'refuse');
  const { undo, plan, log, store, meta, db } = held;
  try {
    const damages = integrityOf(db);
    if (meta.currentPlan()?.hash !== planHash(plan))
      throw new Fault('config', 'the rows are of other definitions: the next command that opens the folder folds anew');
    const ids = idsOf(plan, meta);
    const refold = async (watcher: Watcher) => {
      const { position } = store.mark();
      if (position > log.end)
        throw new Fault('corrupt', `the rows contain ${position} records, the log has only ${log.end}`);
      const path = `${config.store.sqlite}.refold`;
      removeDatabase(path);
      undo.unshift(() => removeDatabase(path));
      const other = openDatabase(path, null);
      undo.unshift(() => other.close());
      const { layout, fold } = await foldOf(config, plan, ids, other.store);
      const ingest = await Ingest.open({
        ...{ pipeline: { layout, folds: [fold] }, plan, ids, log: prefixOf(log, position), nowMicros, watcher },
        ...{ store: other.store, meta: other.meta, foldMemoryBytes: config.fold.memoryBytes, barrierMs: NEVER_MS },
        onFailure: raise,
      });
      await ingest.close();
      return { store: other.store, meta: other.meta };
    };
    return { plan, meta, ids, store, damages, refold, close: () => closeAll(undo) };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** The longest that a timer takes. */
const NEVER_MS = 2 ** 31 - 1;

function raise(error: unknown): never {
  throw error;
}

function removeDatabase(path: string) {
  for (const suffix of ['-wal', '-shm', '']) rmSync(path + suffix, { force: true });
}

async function foldOf(config: Config, plan: Plan, ids: Ids, store: Store) {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, ids, { clock: config.log.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  return { layout, fold: new Fold(kernel, store.readRow) };
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
  listeners: Pick<ReplayParts, 'onRejected' | 'onBad'>,
): Promise<Replay & { close(): void }> {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, countedIds(plan), { clock: source.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  let close = () => {};
  const spill = new Spill(layout, rows.memoryBytes, () => {
    removeDatabase(rows.path);
    const database = openDatabase(rows.path, null);
    close = () => {
      database.close();
      removeDatabase(rows.path);
    };
    return database.store;
  });
  return { ...replay({ layout, spill, source, ...listeners }), close: () => close() };
}

function logSettings({ log }: Config): LogSettings {
  const { dir: folder, clock, segmentBytes, segmentAgeMs, compress } = log;
  return { disk: localDisk, folder, clock, segmentBytes, segmentAgeMs, pack: compress ? packFrame : undefined };
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
      locks.push(lockFolder(folder, new Database(join(folder, LOCK_FILE))));
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

/** Rows of another plan say nothing of this one: they are forgotten, and the log is folded from its start. */
function applyPlan(plan: Plan, store: Store, meta: Meta, note: (text: string) => void) {
  const hash = planHash(plan);
  const current = meta.currentPlan();
  if (current?.hash === hash) return;
  if (current) {
    note('the definitions have changed: folding the log anew');
    store.clear(() => meta.clearErrors());
  }
  meta.recordPlan({ hash, position: 0, appliedAtMicros: nowMicros(), json: JSON.stringify(plan, exactly) });
}

function exactly(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

/** What rows call the plan's entities and aggregates. */
function idsOf(plan: Plan, meta: Meta): Ids {
  const entities = meta.dictionary(plan.entities.map(e => ({ kind: 'entity', name: e.name, hash: entityHash(e) })));
  const aggregates = meta.dictionary(
    plan.aggregates.map(a => ({ kind: 'aggregate', name: a.name, hash: aggregateHash(a, plan) })),
  );
  return {
    entities: new Map(plan.entities.map(({ name }, i) => [name, entities[i]!])),
    aggregates: new Map(plan.aggregates.map(({ name }, i) => [name, aggregates[i]!])),
  };
}

function countedIds(plan: Plan): Ids {
  return {
    entities: new Map(plan.entities.map(({ name }, i) => [name, i + 1])),
    aggregates: new Map(plan.aggregates.map(({ name }, i) => [name, i + 1])),
  };
}

/** Keys of other types have other bytes. */
function entityHash(entity: Entity): string {
  return createHash('sha256')
    .update(JSON.stringify(entity.keys.map(key => key.kind)))
    .digest('hex');
}

function nowMicros(): bigint {
  return BigInt(Date.now()) * 1000n;
}
