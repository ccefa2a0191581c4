import { Database } from 'bun:sqlite';
import { nowOf } from '../../src/ingest/engine.ts';
import { keepingOf } from '../../src/ingest/expiry.ts';
import { Here } from '../../src/ingest/here.ts';
import { Ingest } from '../../src/ingest/ingest.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Ids } from '../../src/kernel/layout.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { type Meta, openMeta } from '../../src/meta/meta.ts';
import { isTopology, rowEntities } from '../../src/plan/layers.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { lastRowsOf } from '../../src/plan/upsert.ts';
import { Reader } from '../../src/read/read.ts';
import type { Disk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { AHEAD_MAX_MS, type Clock, MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import type { Row, Store } from '../../src/store/store.ts';

export const EVENT_CLOCK: Clock = { kind: 'event', maxJumpMs: MAX_JUMP_DEFAULT_MS };

export interface EngineSettings {
  disk: Disk;
  /** Of the log. */
  folder?: string;
  db: Database;
  clock?: Clock;
  shards?: number;
  foldMemoryBytes?: number;
  segmentBytes?: number;
  /** Rows that have expired leave the store; without it stores can be compared row by row. */
  expires?: boolean;
  nowMicros?: () => bigint;
  /** What stands between ingest and its log or store: tests put deaths and mistakes there. */
  wrapLog?: (log: EventLog) => EventLog;
  wrapStore?: (store: Store) => Store;
}

/** One process's worth of the embedded system, on a disk and a database that outlive it. No timer ever fires. */
export interface Engine {
  ingest: Ingest;
  here: Here;
  /** Of a lookup that names no moment. */
  now: () => bigint;
  reader: Reader;
  folds: Fold[];
  log: EventLog;
  store: Store;
  meta: Meta;
  plan: Plan;
  ids: Ids;
  /** Ends the process in good order. */
  close(): Promise<void>;
}

const NEVER_MS = 2 ** 31 - 1;
export const PLENTY_BYTES = 2 ** 32;

export async function openEngine(plan: Plan, settings: EngineSettings): Promise<Engine> {
  const {
    disk,
    folder = 'log',
    db,
    clock = EVENT_CLOCK,
    shards: wanted = 1,
    foldMemoryBytes = PLENTY_BYTES,
    segmentBytes = 1 << 20,
  } = settings;
  // Records of a topology are taken one after the other, whatever is asked for.
  const shards = isTopology(plan) ? 1 : wanted;
  const nowMicros = settings.nowMicros ?? (() => 4_102_444_800_000_000n);
  const { wrapLog = log => log, wrapStore = store => store } = settings;
  const log = wrapLog(await EventLog.open({ disk, folder, clock, segmentBytes }));
  const store = wrapStore(sqliteStore(db, packKernel()));
  const meta = openMeta(db);
  const ids = countedIds(plan);
  const kernels = await Promise.all(Array.from({ length: shards }, loadKernel));
  const layout = layPlan(kernels[0]!, plan, ids, { clock, aheadMaxMs: AHEAD_MAX_MS, shards });
  const folds = kernels.map(kernel => new Fold(kernel, store.readRows));
  const pipeline = { layout, folds };
  const onFailure = (error: unknown) => {
    throw error;
  };
  const keeping = settings.expires ? keepingOf(plan, ids) : [];
  const here = new Here({ pipeline, store, meta, keeping, foldMemoryBytes, onFailure });
  const door = kernels[0]!;
  const seed = () => 7n;
  const ingest = await Ingest.open({ door, engine: here, log, barrierMs: NEVER_MS, nowMicros, seed, onFailure });
  const now = () => nowOf(here, clock, nowMicros);
  const moments = { position: () => ingest.position, nowMicros: now };
  const reader = new Reader({ layout, fold: folds[0]!, store, ...moments });
  const close = async () => {
    await ingest.close();
    await log.close();
    store.close();
  };
  return { ingest, here, now, reader, folds, log, store, meta, plan, ids, close };
}

export function memoryDatabase(): Database {
  return new Database(':memory:', { strict: true });
}

export function countedIds(plan: Plan): Ids {
  const last = lastRowsOf(plan);
  return {
    entities: new Map([...rowEntities(plan), ...last].map(({ name }, i) => [name, i + 1])),
    aggregates: new Map([...plan.aggregates, ...last].map(({ name }, i) => [name, i + 1])),
  };
}

/** Every row under its address, for comparing stores. */
export function rowMap(store: Store): Map<string, string> {
  return new Map([...store.scan()].map(row => [addressOf(row), Buffer.from(row.value).toString('hex')]));
}

/** For comparing many stores, or large ones: how many rows there are, and a hash of them all. */
export function rowsHash(store: Pick<Store, 'scan'>): { count: number; hash: string } {
  const hash = new Bun.CryptoHasher('sha1');
  let count = 0;
  for (const { entity, key, levelMs, tileStartMs, value } of store.scan()) {
    hash.update(`${entity} ${levelMs} ${tileStartMs} ${key.length} ${value.length} `).update(key).update(value);
    count++;
  }
  return { count, hash: hash.digest('hex') };
}

function addressOf({ entity, key, levelMs, tileStartMs }: Row): string {
  return `${entity} ${Buffer.from(key).toString('hex')} ${levelMs} ${tileStartMs}`;
}
