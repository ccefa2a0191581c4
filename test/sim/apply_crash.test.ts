/**
 * Every operation of the disk, every statement that changes a database and every removal of one is a place for an apply, a backfill or an abort to
 * die at. Whoever comes next goes on, is asked for the same again, and in the end all rows are those of a run that never stopped.
 */
import { Database } from 'bun:sqlite';
import { afterEach, expect, test } from 'bun:test';
import { foldingOf } from '../../src/cli/alone/engine.ts';
import { DEFAULTS } from '../../src/cli/config.ts';
import type { OpenDatabase } from '../../src/cli/alone/database.ts';
import { decodeRow } from '../../src/cli/decode.ts';
import { Live } from '../../src/cli/alone/live.ts';
import { beginPlan, recordedPlan } from '../../src/cli/alone/recorded.ts';
import { Stages } from '../../src/base/stages.ts';
import { Ingest } from '../../src/ingest/ingest.ts';
import { readMembers } from '../../src/meta/members.ts';
import { openMeta } from '../../src/meta/meta.ts';
import { planHash } from '../../src/plan/canonical.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Start } from '../../src/plan/transition.ts';
import { EventLog } from '../../src/source/log.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { planOf, type SetText, STEPS } from './changing.ts';
import { Crash, SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK } from './engine.ts';
import { body, smallWeek, wild } from './flights.ts';
import { Random } from './random.ts';

/** `bun scripts/long.ts apply` sets it: every place, and not some of them. */
const LONG = process.env.TILEFOLD_LONG === '1';
const PLACES = LONG ? Infinity : 10;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

/** Small, so that a few posts fill one. */
const SEGMENT_BYTES = 6000;

const lines = wild(await smallWeek(5, 12), 3);
const posted = Math.floor(lines.length * 0.8);

/**
 * Databases as a process sees them that may die at any of its operations: a transaction is there whole or not at all, and
 * after a power cut the latest that were not synced may be gone.
 */
class Machine {
  readonly disk: SimulatedDisk;
  /** Of databases. */
  operations = 0;
  #killAt = Infinity;
  #isDead = false;
  #process = 0;
  /** By name: what is committed, oldest first, from what is durable on. */
  readonly #states = new Map<string, Uint8Array[]>();
  readonly #open = new Set<Database>();

  constructor(readonly random: Random) {
    this.disk = new SimulatedDisk(random.below(2 ** 31));
  }

  /** Lets the process die at the n-th operation from now, of databases or of the disk. */
  kill(of: 'database' | 'disk', n: number): void {
    if (of === 'disk') this.disk.kill(n);
    else this.#killAt = this.operations + n;
  }

  restart(isPowerCut: boolean): void {
    for (const db of this.#open) db.close();
    this.#open.clear();
    this.#killAt = Infinity;
    this.#isDead = false;
    this.#process++;
    if (isPowerCut) {
      this.disk.powerCut();
      for (const states of this.#states.values()) states.length = 1 + this.random.below(states.length);
    } else this.disk.restart();
  }

  open(name: string): OpenDatabase {
    this.#operation(() => {});
    const states = this.#states.get(name);
    const db = states
      ? Database.deserialize(states.at(-1)!, { strict: true })
      : new Database(':memory:', { strict: true });
    this.#open.add(db);
    if (!states) this.#states.set(name, [db.serialize()]);
    const [store, meta] = [sqliteStore(db, packKernel()), openMeta(db)];
    this.#commit(name, db, false);
    return {
      db: this.#watched(name, db),
      store: this.#watchedStore(name, db, store),
      meta,
      close: () => store.close(),
    };
  }

  remove(name: string): void {
    this.#operation(() => this.#states.delete(name));
  }

  /** Transactions beside the store's: those that are durable, and those that are not. */
  #watched(name: string, db: Database): Database {
    let isDurable = false;
    return new Proxy(db, {
      get: (target, member) => {
        if (member === 'run')
          return (sql: string) => {
            if (sql.startsWith('PRAGMA synchronous')) isDurable = sql.endsWith('FULL');
            else target.run(sql);
          };
        if (member === 'transaction')
          return (work: () => unknown) => ({
            immediate: () =>
              this.#operation(() => {
                const result = target.transaction(work).immediate();
                this.#commit(name, target, isDurable);
                return result;
              }),
          });
        const value = Reflect.get(target, member, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #watchedStore(name: string, db: Database, store: OpenDatabase['store']): OpenDatabase['store'] {
    const committed = <T>(work: () => T): T => {
      const result = work();
      this.#commit(name, db, false);
      return result;
    };
    return {
      ...store,
      commit: (...args) => this.#operation(() => committed(() => store.commit(...args))),
      clear: (...args) => this.#operation(() => committed(() => store.clear(...args))),
      rewrite: (...args) => this.#operation(() => committed(() => store.rewrite(...args))),
    };
  }

  #commit(name: string, db: Database, isDurable: boolean): void {
    const states = this.#states.get(name)!;
    if (isDurable) states.length = 0;
    states.push(db.serialize());
  }

  /** It dies before it or after it: SQLite lets it be nothing else. */
  #operation<T>(work: () => T): T {
    const process = this.#process;
    if (this.#isDead || this.disk.isDead || process !== this.#process) throw new Crash('the process is dead');
    const isLast = this.operations++ >= this.#killAt;
    if (!isLast) return work();
    this.#isDead = true;
    this.disk.kill(0);
    if (this.random.chance(0.5)) work();
    throw new Crash('the process died');
  }
}

/** What one process has open. */
interface Process {
  live: Live;
  ingest: Ingest;
  log: EventLog;
  database: OpenDatabase;
}

async function open(machine: Machine, first: Plan): Promise<Process> {
  const { disk } = machine;
  const log = await EventLog.open({ disk, folder: 'log', clock: EVENT_CLOCK, segmentBytes: SEGMENT_BYTES });
  const database = machine.open('rows');
  const { store, meta } = database;
  const nowMicros = () => 4_102_444_800_000_000n;
  if (!recordedPlan(meta)) store.clear(() => beginPlan(meta, first, 0, nowMicros()));
  const onFailure = (error: unknown) => {
    failures.push(error);
  };
  const config = { ...DEFAULTS, log: { ...DEFAULTS.log, clock: EVENT_CLOCK } };
  const around = { onFailure, stages: new Stages(), workers: 0, isAlone: true };
  const live = await Live.open(
    {
      ...{ config, log, database, isServing: false, nowMicros, onFailure, steps: STEPS },
      open: parts => foldingOf({ ...around, config, ...parts }),
      side: { open: () => machine.open('side'), remove: () => machine.remove('side') },
    },
    recordedPlan(meta)!,
  );
  const parts = { engine: live.relay, log, barrierMs: 2 ** 31 - 1, nowMicros, onFailure };
  const ingest = await Ingest.open(live.withDoor(parts));
  live.resume();
  return { live, ingest, log, database };
}

/** What nobody has waited for. */
const failures: unknown[] = [];
afterEach(() => {
  failures.length = 0;
});

type Work = (process: Process) => Promise<void>;

/** Failures that nobody waits for are those of the process. */
async function done(work: () => Promise<void>): Promise<void> {
  failures.length = 0;
  await work();
  if (failures.length > 0) throw failures[0];
}

/** Of a machine that dies where it is told to, and then does the same again until it is done. */
async function survive(first: Plan, work: Work, place: Place | null, seed: number): Promise<Ended> {
  const random = new Random(seed);
  const machine = new Machine(random);
  const before = await open(machine, first);
  await before.ingest.post(body(lines.slice(0, posted)), 'ndjson');
  await before.ingest.barrier();
  const from = { database: machine.operations, disk: machine.disk.operations };
  if (place) machine.kill(place.of, place.n);
  let process: Process | null = before;
  let deaths = 0;
  for (let isDone = false; !isDone; ) {
    try {
      process ??= await open(machine, first);
      const alive = process;
      await done(() => work(alive));
      isDone = true;
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      if (++deaths > 3) throw error;
      machine.restart(random.chance(0.5));
      process = null;
      // The recovery dies too, now and then.
      if (deaths === 1 && random.chance(0.3)) machine.kill('database', random.below(12));
    }
  }
  const operations = { database: machine.operations - from.database, disk: machine.disk.operations - from.disk };
  const { ingest, live, database } = process!;
  await ingest.post(body(lines.slice(posted)), 'ndjson');
  await ingest.close();
  const ended = { deaths, operations, hash: planHash(live.plan), rows: rowsOf(database) };
  machine.restart(false);
  return ended;
}

interface Place {
  of: 'database' | 'disk';
  n: number;
}

interface Ended {
  deaths: number;
  /** From the work's beginning to its end. */
  operations: Record<Place['of'], number>;
  hash: string;
  rows: Map<string, string>;
}

/** Whatever rows hold, by the names of aggregates: those that are in no plan have a number alone. */
function rowsOf({ store, meta }: OpenDatabase): Map<string, string> {
  // What has been in force leaves something when it goes, until that expires.
  const numbers = meta.plans().flatMap(({ members }) => [...readMembers(members ?? '[]').values()].map(({ id }) => id));
  const hasBeen = new Set(numbers);
  const names = new Map([...readMembers(meta.currentPlan()!.members!)].map(([name, { id }]) => [id, name]));
  const rows = new Map<string, string>();
  for (const { entity, key, levelMs, tileStartMs, value } of store.scan())
    for (const [id, state] of decodeRow(value) as Map<number, string>)
      if (names.has(id) || !hasBeen.has(id))
        rows.set(`${entity} ${Buffer.from(key).toString('hex')} ${levelMs} ${tileStartMs} ${names.get(id)}`, state);
  return rows;
}

/** Places spread over all that there are. */
function placesOf(operations: Ended['operations'], seed: number): Place[] {
  const all = (['database', 'disk'] as const).flatMap(of =>
    Array.from({ length: operations[of] }, (_, n): Place => ({ of, n })),
  );
  const step = Math.max(1, all.length / PLACES);
  const places = [];
  for (let at = seed % step; at < all.length; at += step) places.push(all[Math.floor(at)]!);
  return places;
}

const SET: SetText = {
  name: 'a',
  key: 'origin',
  windows: ['2h', '1d'],
  items: new Map([['n', 'COUNT(*)']]),
  where: null,
};
const first = await planOf([SET]);
const next = await planOf([
  { ...SET, where: 'distance > 500' },
  {
    ...SET,
    name: 'b',
    key: 'destination',
    items: new Map([['last', 'LAST_N(delay, 3)']]),
    windows: ['2h', '1d', 'lifetime'],
  },
]);
const waits = await planOf([{ ...SET, where: 'distance > 500' }]);

async function applied({ live }: Process, plan: Plan, start: Start): Promise<void> {
  await live.apply(plan, start);
  await live.backfilled();
}

const WORKS: [string, Plan, Work][] = [
  ['an apply', next, process => applied(process, next, 'since-now')],
  ['a backfill', next, process => applied(process, next, 'whole')],
  [
    'an abort of a backfill',
    first,
    async process => {
      // Dead after it, the same again finds it gone, and begins it once more.
      await process.live.apply(next, 'whole');
      await Promise.race([process.live.backfilled(), Bun.sleep(process.log.end % 7)]);
      await process.live.abort();
      await applied(process, first, 'whole');
    },
  ],
  [
    'an abort of what waits',
    first,
    async process => {
      if (planHash(process.live.plan) === planHash(first)) await process.live.apply(waits, 'when-warm');
      await process.live.abort();
      await applied(process, first, 'whole');
    },
  ],
];

test.each(WORKS)(
  '%s is done or not wherever it dies, and is done in the end',
  async (name, last, work) => {
    const whole = await survive(first, work, null, 1);
    expect([whole.deaths, whole.hash]).toEqual([0, planHash(last)]);
    expect(whole.rows.size).toBeGreaterThan(20);
    expect(whole.operations.database).toBeGreaterThanOrEqual(3);
    const places = placesOf(whole.operations, name.length);
    let deaths = 0;
    for (const [i, place] of places.entries()) {
      const told = `${name}, at operation ${place.n} of the ${place.of}, seed ${i + 2}`;
      const ended = await survive(first, work, place, i + 2).catch((error: Error) => {
        throw new Error(`${told}: ${error.message}`, { cause: error });
      });
      deaths += ended.deaths;
      expect([told, ended.hash]).toEqual([told, planHash(last)]);
      expect([told, ended.rows]).toEqual([told, whole.rows]);
    }
    expect(deaths).toBeGreaterThanOrEqual(Math.min(places.length, 3));
  },
  TIMEOUT_MS,
);
