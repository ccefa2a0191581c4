import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { greatest, wallMicros } from '../base/time.ts';
import { Fault, Faults } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import type { TypeClock } from '../base/time.ts';
import { keepingOf } from '../ingest/expiry.ts';
import { Here } from '../ingest/here.ts';
import { Fold } from '../kernel/fold.ts';
import { loadKernel } from '../kernel/instance.ts';
import type { Layout } from '../kernel/layout.ts';
import { layPlan } from '../kernel/load.ts';
import { membersText } from '../meta/members.ts';
import { planHash } from '../plan/canonical.ts';
import { planJson } from '../plan/json.ts';
import { ALL_KNOWN } from '../plan/known.ts';
import type { Plan } from '../plan/plan.ts';
import { type InForce, type Transition, transition } from '../plan/transition.ts';
import { type LastRows, lastRowsOf } from '../plan/upsert.ts';
import { Reader } from '../read/read.ts';
import { listSegments } from '../source/segments.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import { lineCount } from '../source/segment.ts';
import { Tail } from '../source/tail.ts';
import { LOCK_FILE, lockFolder } from '../store/lock.ts';
import type { RowReader, Store } from '../store/store.ts';
import { foldingOf } from './alone/engine.ts';
import { readableLog } from './alone/event_log.ts';
import type { Config } from './config.ts';
import {
  durably,
  type OpenDatabase,
  openDatabase,
  openFile,
  openRows,
  openSnapshot,
  REFUSE,
} from './alone/database.ts';
import { idsOf, numberNew, recordedPlan, rowsFromOf } from './alone/recorded.ts';

/**
 * Rows of a shadow: other definitions, folded from the same log into a database of their own, in `shadow/NAME` beside the
 * database of the rows that are served.
 *
 *   1. begin    with the rows that are served, where they are, or with the log
 *   2. follow   the log, never beyond those rows: what they contain is durable
 *   3. rest     as long as it works, and longer where there is nothing to do
 *
 * Its rows are written with their position as all rows are; killed anywhere it goes on from where it was.
 */
export interface Shadow {
  plan: Plan;
  /** Of the first record that its rows contain. */
  from: number;
  /** Records that they contain: the position of the next one. */
  position(): number;
  /**
   * Folds what is there, and then what comes.
   *
   * @param isOver asked now and then
   * @param onRound hears where it is and where the rows that are served are, after each look at the log
   */
  follow(isOver: () => boolean, onRound: (position: number, end: number) => void): Promise<void>;
  close(): Promise<void>;
}

/** How often the log is looked at. */
const LOOK_EVERY_MS = 250;

/** Rests are no longer than that, nor taken before it has worked for so long. */
const REST_MAX_MS = 200;
const WORK_MIN_MS = 10;

/** Rows are written at least so often while it is behind: what is folded again after a kill. */
const BARRIER_EVERY_MS = 2_000;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export function shadowFolder({ store }: Config, name: string): string {
  if (!NAME.test(name))
    throw new Fault(
      'request',
      `${JSON.stringify(name)} is no name of a shadow: wanted up to 64 letters, digits, _ and -`,
    );
  return join(dirname(store.sqlite), 'shadow', name);
}

function databasePath(config: Config, name: string): string {
  return join(shadowFolder(config, name), 'rows.db');
}

/** Of all that there are, in order. */
export function shadowNames({ store }: Config): string[] {
  const folder = join(dirname(store.sqlite), 'shadow');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(name => existsSync(join(folder, name, 'rows.db')))
    .sort();
}

/**
 * Begins a shadow, or takes one up.
 *
 * @param plan what it folds; null for what it has been begun with
 * @throws Fault `busy` where it is being followed by another process, `not_found` where there is none and no plan,
 *   `conflict` where it has been begun with other definitions, `config` where no rows are served
 */
export async function openShadow(
  config: Config,
  name: string,
  plan: Plan | null,
  { isFromStart, memoryBytes }: { isFromStart: boolean; memoryBytes: number },
): Promise<Shadow> {
  const folder = shadowFolder(config, name);
  if (!existsSync(config.store.sqlite)) throw noRows();
  if (!plan && !existsSync(join(folder, 'rows.db'))) throw noShadow(config, name);
  mkdirSync(folder, { recursive: true });
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const each of undo.splice(0)) await each();
  };
  const lock = lockFolder(folder, openFile(join(folder, LOCK_FILE)));
  undo.unshift(() => lock.release());
  try {
    const served = openRows(config.store.sqlite);
    undo.unshift(() => served.close());
    const database = openDatabase(databasePath(config, name), REFUSE, () => {});
    undo.unshift(() => database.close());
    const { store, meta } = database;
    if (meta.currentPlan() === null) await begin(config, database, plan!, isFromStart);
    const inForce = recordedPlan(meta)!;
    if (plan && planJson(plan) !== planJson(inForce.plan))
      throw new Fault(
        'conflict',
        `shadow ${name} has been begun with other definitions: drop it, or give another name`,
      );
    const ids = idsOf(inForce, meta);
    const { engine } = await foldingOf({
      config: { log: config.log, fold: { ...config.fold, memoryBytes } },
      ...{ plan: inForce.plan, ids, database, keeping: keepingOf(inForce.plan, ids) },
      ...{ workers: 0, isAlone: true, stages: new Stages() },
      onFailure(error) {
        throw error;
      },
    });
    undo.unshift(() => engine.close());
    const tail = new Tail(readableLog(config), config.log.dir);
    const foldTo = async (until: number, isOver: () => boolean) => {
      let position = engine.folded;
      let [sinceMs, writtenMs] = [performance.now(), performance.now()];
      for await (const { bytes, arrivalMicros } of tail.read(position, until)) {
        const from = position;
        position += lineCount(bytes);
        await engine.fold(bytes, from, arrivalMicros, position < until);
        if (isOver()) break;
        sinceMs = await rested(sinceMs);
        if (performance.now() - writtenMs < BARRIER_EVERY_MS) continue;
        await engine.barrier();
        writtenMs = performance.now();
      }
      await engine.barrier();
    };
    return {
      plan: inForce.plan,
      from: rowsFromOf(meta),
      position: () => store.mark().position,
      async follow(isOver, onRound) {
        for (;;) {
          const end = served.store.mark().position;
          if (end > engine.folded) await foldTo(end, isOver);
          onRound(engine.folded, end);
          if (isOver()) return;
          await Bun.sleep(LOOK_EVERY_MS);
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @returns when work began again */
async function rested(sinceMs: number): Promise<number> {
  const workedMs = performance.now() - sinceMs;
  if (workedMs < WORK_MIN_MS) return sinceMs;
  await Bun.sleep(Math.min(workedMs, REST_MAX_MS));
  return performance.now();
}

/** Records the plan and where its rows begin, in one transaction: killed before, it is begun anew. */
async function begin(config: Config, { db, store, meta }: OpenDatabase, plan: Plan, isFromStart: boolean) {
  const { start } = await listSegments(readableLog(config), config.log.dir);
  const served = openSnapshot(config.store.sqlite);
  try {
    const current = recordedPlan(served.meta);
    if (!current) throw noRows();
    const { position, clocks } = served.store.mark();
    const from = isFromStart ? start : position;
    const [unknown] = lastRowsOf(plan);
    if (unknown && !isFromStart && from > 0) throw noLastRows(unknown);
    const known = isFromStart ? new Map<string, TypeClock>() : clocks;
    durably(db, () => {
      const nowMicros = wallMicros();
      const at = { position: from, clocks: known, nowMicros };
      const inForce = numberNew(meta, plan, beginning(plan, isFromStart ? null : current.plan, at, config));
      if (from > 0) store.commit([], { position: from, clocks: known, highest: [] });
      const text = { json: planJson(plan), members: membersText(inForce.members) };
      meta.recordPlan({ hash: planHash(plan), position: from, appliedAtMicros: nowMicros, rowsFrom: null, ...text });
    });
  } finally {
    served.close();
  }
}

/** What rows have been taken back since would be wrong, and nothing of a value would say so. */
function noLastRows({ event: { name, at } }: LastRows): Fault {
  const message = `${name} says only what a row is now, and what its rows were before is in the log: --from-start reads it from there`;
  return new Fault('conflict', message, at);
}

/**
 * What begins now knows its events from now on, as what is applied then does.
 *
 * @param served the plan whose rows it begins with; null where it begins with the log, and knows all that there is
 */
function beginning(
  plan: Plan,
  served: Plan | null,
  at: { position: number; clocks: Map<string, TypeClock>; nowMicros: bigint },
  { log }: Config,
): Transition {
  const none: InForce = { plan: { ...(served ?? plan), aggregates: [], features: [], sets: [] }, members: new Map() };
  const isWall = log.clock.kind === 'wall';
  const latest = greatest([...at.clocks.values().map(clock => clock.at)]) ?? 0n;
  const moment = { ...at, nowMicros: isWall ? at.nowMicros : latest, aheadMs: isWall ? AHEAD_MAX_MS : 0 };
  const change = transition(none, plan, moment, 'since-now');
  if (served && change.refusals.length > 0) throw new Faults(change.refusals.map(refusal));
  const members = [...change.members].map(([name, { id, known }]) => {
    return [name, { id, known: served ? known : ALL_KNOWN }] as const;
  });
  return { ...change, members: new Map(members) };
}

/** What is applied may be computed from the log; a shadow may begin with it. */
function refusal({ code, message, at }: Fault): Fault {
  return new Fault(code, message.replace(/--backfill\b.*/, '--from-start reads it'), at);
}

function noRows(): Fault {
  return new Fault('config', 'there are no rows yet to follow: a server, or `tilefold ingest`, makes some');
}

function noShadow(config: Config, name: string): Fault {
  const names = shadowNames(config);
  const others = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
  return new Fault('not_found', `there is no shadow ${name}; ${others}`);
}

/** Rows of a database as they are at one moment, and what answers from them. */
export interface StillRows {
  plan: Plan;
  layout: Layout;
  store: RowReader;
  /** Folds in memory from where the rows are: nothing of it is written. */
  engine: Pick<Here, 'fold'>;
  /** Records that they contain. */
  position: number;
  /** The greatest of any event type; 0 before any event. */
  clockMicros: bigint;
  /** Answers as of the rows, and of what is folded into memory besides. */
  readerAt(position: () => number, nowMicros: () => bigint): Reader;
  close(): void;
}

export async function stillRows(config: Config): Promise<StillRows> {
  if (!existsSync(config.store.sqlite)) throw noRows();
  return stillRowsOf(config, config.store.sqlite);
}

/** @throws Fault `not_found` */
export async function stillShadow(config: Config, name: string): Promise<StillRows> {
  const path = databasePath(config, name);
  if (!existsSync(path)) throw noShadow(config, name);
  return stillRowsOf(config, path);
}

async function stillRowsOf(config: Config, path: string): Promise<StillRows> {
  const { store, meta, close } = openSnapshot(path);
  try {
    const inForce = recordedPlan(meta);
    if (!inForce) throw noRows();
    // What has no rows may have no number yet, and nothing is given one here.
    const { plan } = inForce;
    const entities = plan.entities.filter(({ name }) => plan.aggregates.some(({ entity }) => entity === name));
    const stored = { ...inForce, plan: { ...plan, entities } };
    const kernel = await loadKernel();
    const settings = { clock: config.log.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 };
    const layout = layPlan(kernel, stored.plan, idsOf(stored, meta), settings);
    const { position, clocks } = store.mark();
    const fold = new Fold(kernel, store.readRows);
    const engine = new Here({
      ...{ pipeline: { layout, folds: [fold] }, store: unwritten(store), meta, keeping: [] },
      // What is folded has nowhere else to be.
      foldMemoryBytes: Number.POSITIVE_INFINITY,
      onFailure(error) {
        throw error;
      },
    });
    const clockMicros = greatest([...clocks.values().map(({ at }) => at)]) ?? 0n;
    const readerAt: StillRows['readerAt'] = (at, nowMicros) =>
      new Reader({ layout, fold, store, position: () => at() - 1, nowMicros });
    return { plan: stored.plan, layout, store, engine, position, clockMicros, readerAt, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** A store that takes nothing: rows stay in memory. */
function unwritten(store: RowReader): Store {
  return { ...store, commit() {}, isSettled: () => true, sweep: () => 0, rewrite: () => null, clear() {} };
}

/** The moment of a lookup that names none. */
export function stillNow({ log }: Config, { clockMicros }: Pick<StillRows, 'clockMicros'>): bigint {
  return log.clock.kind === 'wall' ? wallMicros() : clockMicros;
}

/** What `shadow list` says of one. */
export interface ShadowState {
  name: string;
  /** Of the first record that its rows contain. */
  from: number;
  /** Of the next one, and of that of the rows that are served. */
  position: number;
  served_position: number;
  /** A process follows the log for it just now. */
  running: boolean;
  features: number;
}

export function shadowStates(config: Config): ShadowState[] {
  const names = shadowNames(config);
  if (names.length === 0) return [];
  const served = openRows(config.store.sqlite);
  const servedPosition = served.store.mark().position;
  served.close();
  return names.map(name => {
    const { store, meta, close } = openSnapshot(databasePath(config, name));
    const inForce = recordedPlan(meta);
    const { position } = store.mark();
    const from = inForce ? rowsFromOf(meta) : position;
    close();
    const features = inForce?.plan.features.length ?? 0;
    return { name, from, position, served_position: servedPosition, running: isHeld(config, name), features };
  });
}

function isHeld(config: Config, name: string): boolean {
  const folder = shadowFolder(config, name);
  try {
    lockFolder(folder, openFile(join(folder, LOCK_FILE))).release();
    return false;
  } catch (error) {
    if (error instanceof Fault && error.code === 'busy') return true;
    throw error;
  }
}

/** Deletes a shadow. @throws Fault `busy` while it is being followed, `not_found` */
export function dropShadow(config: Config, name: string): void {
  const folder = shadowFolder(config, name);
  if (!existsSync(join(folder, 'rows.db'))) throw noShadow(config, name);
  const lock = lockFolder(folder, openFile(join(folder, LOCK_FILE)));
  // The database goes while nobody else can take it up.
  for (const suffix of ['-wal', '-shm', '']) rmSync(databasePath(config, name) + suffix, { force: true });
  lock.release();
  rmSync(folder, { recursive: true });
}
