import { expect } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { EventLog } from '../../src/source/log.ts';
import { type Clock, MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import type { Store } from '../../src/store/store.ts';
import { lateIn } from '../oracle/late.ts';
import { type Log, parseLog, UNDECLARED } from '../oracle/log.ts';
import { MOMENTS, type Moment, SimulatedDatabase } from './database.ts';
import { Crash, type Lie, SimulatedDisk } from './disk.ts';
import { type Engine, memoryDatabase, openEngine, rowMap, rowsHash } from './engine.ts';
import { body } from './flights.ts';
import { compareLookups, keysOf, type Keys, writtenLate } from './judge.ts';
import { Random } from './random.ts';

/** Small, so that a few posts fill one. */
const SEGMENT_BYTES = 3000;

/** Of a post. */
const LINES_MAX = 12;

/** Posts on their way at once. */
const POSTS_MAX = 4;

/** After so many deaths a process is let live: the story has to end. */
const DEATHS_MAX = 6;

const MINUTE_MICROS = 60_000_000;

/** What a client has to tell, and what must have become of it in the end. */
export interface Story {
  plan: Plan;
  clock: Clock;
  /** Lines to post, some of which the door may reject. */
  lines: Uint8Array[];
  /** The lines that the door lets in, as the log has them. */
  accepted: string[];
  /** By how many events are logged: the first line that is not. */
  nextLine: number[];
  /** By how many events are logged: the rows of a run that never crashed, as a hash. Null where they hang on arrivals. */
  rows: string[] | null;
  log: Log;
  keys: Keys;
}

/** What is wrong with the system, on purpose: the story has to come out differently then. */
export interface Mistake {
  lie?: Lie;
  wrapLog?: (log: EventLog) => EventLog;
  wrapStore?: (store: Store) => Store;
}

/** How a process ends, if it does: in an operation of the disk, of the n-th commit, or after an operation that failed. */
export type Death =
  | { kind: 'operation' | 'failure'; n: number }
  | { kind: 'commit'; n: number; moment: Moment }
  | { kind: 'none' };

export async function makeStory(
  plan: Plan,
  lines: Uint8Array[],
  kind: Clock['kind'],
  keysIn: (log: Log) => Keys = keysOf,
): Promise<Story> {
  const clock: Clock = { kind, maxJumpMs: MAX_JUMP_DEFAULT_MS };
  // Which lines are let in is the same for either clock.
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: clock.maxJumpMs });
  // A line may end in CR LF; the log ends all of its lines alike.
  const accepted = log.records.map(({ line }) => new TextDecoder().decode(lines[line - 1]!).replace(/\r$/, ''));
  const nextLine = [0, ...log.records.map(({ line }) => line)];
  const rows = kind === 'event' ? await prefixRows(plan, accepted) : null;
  return { plan, clock, lines, accepted, nextLine, rows, log, keys: keysIn(log) };
}

/** Rows by length of the prefix, of a run that never crashes. */
async function prefixRows(plan: Plan, accepted: string[]): Promise<string[]> {
  const engine = await openEngine(plan, { disk: new SimulatedDisk(0), db: memoryDatabase() });
  const hashes = [rowsHash(engine.store).hash];
  for (const line of accepted) {
    await engine.ingest.post(new TextEncoder().encode(`${line}\n`), 'ndjson');
    engine.ingest.barrier();
    hashes.push(rowsHash(engine.store).hash);
  }
  await engine.close();
  return hashes;
}

/** What the client knows of the log. */
interface Ledger {
  /** Events that were acknowledged, or found in the log by a process that lived on from it: the first so many. */
  known: number;
  /** Ends (numbers of events) of posts after them that were not acknowledged, in the order of the calls. */
  open: number[];
}

interface World {
  story: Story;
  mistake: Mistake;
  random: Random;
  disk: SimulatedDisk;
  database: SimulatedDatabase;
  ledger: Ledger;
  /** Events that are logged or being posted: the wall goes along with them. */
  told: number;
  nowMicros: () => bigint;
}

/**
 * Processes after one another, each killed somewhere, until one has posted the whole story; then a power cut, and a
 * last process that everything is asked of.
 *
 * @param first how the first processes end; those after them end as the seed says
 */
export async function survive(
  story: Story,
  seed: number,
  mistake: Mistake = {},
  first: Death[] = [],
): Promise<Survived> {
  const random = new Random(seed);
  const disk = new SimulatedDisk(random.below(2 ** 31), mistake.lie ?? null);
  // An operation that is under way when the process dies may be half done.
  const database = new SimulatedDatabase(random, () => disk.kill(0));
  const ledger: Ledger = { known: 0, open: [] };
  const world: World = { story, mistake, random, disk, database, ledger, told: 0, nowMicros: () => arrival(world) };
  const survived: Survived = { deaths: 0, operations: 0, commits: 0 };
  for (let isDone = false; !isDone; ) {
    const { deaths } = survived;
    const death = first[deaths] ?? (deaths < DEATHS_MAX ? someDeath(random) : NO_DEATH);
    isDone = await live(world, death, true);
    if (deaths === 0) Object.assign(survived, { operations: disk.operations, commits: database.commitCount });
    if (!isDone) survived.deaths++;
    endProcess(world);
  }
  disk.powerCut();
  database.powerCut();
  await live(world, NO_DEATH, false);
  endProcess(world);
  return survived;
}

export interface Survived {
  deaths: number;
  /** Of the first process. */
  operations: number;
  commits: number;
}

const NO_DEATH: Death = { kind: 'none' };

/** Early deaths are in the recovery from the last one. */
function someDeath(random: Random): Death {
  const kind = random.pick(['operation', 'operation', 'operation', 'commit', 'commit', 'failure'] as const);
  if (kind === 'commit') return { kind, n: random.below(random.pick([1, 3, 6])), moment: random.pick(MOMENTS) };
  return { kind, n: random.below(random.pick([15, 40, 80])) };
}

function endProcess({ disk, database, random }: World): void {
  const isPowerCut = random.chance(0.6);
  if (isPowerCut) disk.powerCut();
  else disk.restart();
  if (isPowerCut) database.powerCut();
  else database.restart();
}

/** A process: opens what is there, then posts until it is done or dead, or (not `posts`) answers all questions. */
async function live(world: World, death: Death, posts: boolean): Promise<boolean> {
  const { story, mistake, disk, database, random } = world;
  const { wrapLog = log => log, wrapStore = store => store } = mistake;
  if (death.kind === 'operation') disk.kill(death.n);
  if (death.kind === 'failure') disk.fail(death.n);
  if (death.kind === 'commit') database.kill(death.n, death.moment);
  let engine: Engine | null = null;
  try {
    engine = await openEngine(story.plan, {
      disk,
      db: database.open(),
      clock: story.clock,
      segmentBytes: SEGMENT_BYTES,
      shards: posts ? random.pick([1, 1, 1, 2, 3]) : 1,
      foldMemoryBytes: random.pick([0, 300_000, 2 ** 32]),
      nowMicros: () => world.nowMicros(),
      wrapLog,
      wrapStore: store => wrapStore(database.wrap(store)),
    });
    const arrivals = await findLogged(world, engine.log);
    checkRows(world, engine);
    if (posts) await postRest(world, engine);
    else await askAll(world, engine, arrivals);
    return true;
  } catch (error) {
    if (death.kind === 'none' || !isDeath(error)) throw error;
    return false;
  } finally {
    database.die();
    if (engine) await abandon(engine);
  }
}

function isDeath(error: unknown): boolean {
  if (error instanceof Fault) return error.code === 'busy';
  return error instanceof Crash || (error instanceof Error && error.message.startsWith('EIO'));
}

/** Nothing of a dead process may stay behind; its store is dead too, and takes no last barrier. */
async function abandon(engine: Engine): Promise<void> {
  await engine.ingest.close().catch((error: unknown) => {
    if (!isDeath(error)) throw error;
  });
  engine.store.close();
}

/** What the log has is what is known, then some of the open posts, each whole. From here on that is known. */
async function findLogged({ story, ledger }: World, log: EventLog): Promise<bigint[]> {
  const found: string[] = [];
  const arrivals: bigint[] = [];
  for await (const { bytes, arrivalMicros } of log.read(0)) {
    const lines = new TextDecoder().decode(bytes).split('\n').slice(0, -1);
    found.push(...lines);
    arrivals.push(...lines.map(() => arrivalMicros!));
  }
  expect(found).toEqual(story.accepted.slice(0, found.length));
  if (found.length !== ledger.known && !ledger.open.includes(found.length))
    throw new Error(
      `the log has ${found.length} events; ${ledger.known} are known, posts are open to ${ledger.open.join(', ') || 'none'}`,
    );
  ledger.known = found.length;
  ledger.open = [];
  return arrivals;
}

/** After a barrier: the rows are those of a run that never crashed. */
function checkRows({ story, ledger }: World, engine: Engine): void {
  expect(engine.store.mark().position).toBe(ledger.known);
  if (story.rows && rowsHash(engine.store).hash !== story.rows[ledger.known])
    throw new Error(`the rows of the first ${ledger.known} events are not those of a run that never crashed`);
}

/** Waves of posts, with barriers while they are on their way, between them and after them. */
async function postRest(world: World, engine: Engine): Promise<void> {
  const { story, random, ledger } = world;
  while (story.nextLine[ledger.known]! < story.lines.length && ledger.known < story.accepted.length) {
    const posts: Promise<void>[] = [];
    try {
      await postWave(world, engine, posts);
    } finally {
      // Whatever became of this process, nothing of it may go on when the next one begins.
      await Promise.allSettled(posts);
    }
    await Promise.all(posts);
    if (random.chance(0.3)) engine.ingest.barrier();
  }
  if (engine.folds.length === 1 && story.clock.kind === 'event' && random.chance(0.2))
    compareLookups(engine, story.log, story.keys);
  engine.ingest.barrier();
  checkRows(world, engine);
}

async function postWave(world: World, engine: Engine, posts: Promise<void>[]): Promise<void> {
  const { story, random, ledger } = world;
  let from = story.nextLine[ledger.known]!;
  for (let i = random.below(POSTS_MAX); i >= 0 && from < story.lines.length; i--) {
    const to = Math.min(from + 1 + random.below(LINES_MAX), story.lines.length);
    posts.push(post(world, engine, from, to));
    from = to;
    if (random.chance(0.3)) await null;
    if (random.chance(0.2)) engine.ingest.barrier();
  }
}

/** Posts lines [from, to); when that returns, the client counts on them. */
async function post(world: World, engine: Engine, from: number, to: number): Promise<void> {
  const { story, ledger } = world;
  const start = countBefore(story, from);
  const end = countBefore(story, to);
  if (end > start) ledger.open.push(end);
  world.told = end;
  const receipt = await engine.ingest.post(body(story.lines.slice(from, to)), 'ndjson');
  expect(receipt.accepted).toBe(end - start);
  if (end === start) return;
  expect(receipt.position).toBeGreaterThanOrEqual(end - 1);
  // The log keeps order: whatever was posted before is there too.
  ledger.known = Math.max(ledger.known, end);
  ledger.open = ledger.open.filter(open => open > end);
}

/** How many of the first lines the door lets in. */
function countBefore({ log }: Story, line: number): number {
  let count = 0;
  while (count < log.records.length && log.records[count]!.line <= line) count++;
  return count;
}

/** Everything that is posted is there once; rows, lookups and errors are those of the log as it stands. */
async function askAll(world: World, engine: Engine, arrivals: bigint[]): Promise<void> {
  const { story, ledger, disk } = world;
  expect(ledger.known).toBe(story.accepted.length);
  const { kind, maxJumpMs } = story.clock;
  const log = story.rows
    ? story.log
    : parseLog(`${story.accepted.join('\n')}\n`, story.plan, { clock: kind, maxJumpMs, arrivals });
  const fresh = await openEngine(story.plan, { disk, db: memoryDatabase(), clock: story.clock });
  const [rows, freshRows] = [rowMap(engine.store), rowMap(fresh.store)];
  if (rows.size !== freshRows.size) throw new Error(`${rows.size} rows; a fresh run has ${freshRows.size}`);
  expect(rows).toEqual(freshRows);
  await fresh.close();
  world.nowMicros = () => arrivals.at(-1)!;
  compareLookups(engine, log, story.keys);
  // What can still be asked hangs on the clocks of the types, which the rows do not show.
  for (const [entity, [key]] of story.keys) {
    const { name, set } = story.plan.features.find(of => of.entity === entity && of.name.endsWith('_2h'))!;
    const { event } = story.plan.sets.find(of => of.name === set)!;
    const times = log.records.filter(({ type, bad }) => type === event && bad === null).map(({ time }) => Number(time));
    const longAgo = BigInt(Math.max(...times)) - 10n * 86_400_000_000n;
    const request = { features: [name], entities: { [entity]: [key as string[]] }, at: longAgo };
    expect(() => engine.reader.lookup(request)).toThrow('earlier tiles have expired');
  }
  const bad = log.records.filter(record => record.bad !== null && record.bad !== UNDECLARED);
  const errors = engine.meta.errors({ limit: bad.length + 1 });
  const [found, wanted] = [errors, bad].map(of => of.map(({ position, type }) => `${position} ${type}`).join(', '));
  if (found !== wanted) throw new Error(`errors are of ${found}; bad are ${wanted}`);
  const [written, late] = [writtenLate(engine.meta), lateIn(story.plan, log)].map(of =>
    of.map(one => JSON.stringify(one)),
  );
  const wrong = written!.findIndex((one, i) => one !== late![i]);
  if (wrong >= 0 || written!.length !== late!.length)
    throw new Error(`late is ${written![wrong]}, not ${late![wrong]}, of ${written!.length} and ${late!.length}`);
}

/**
 * The wall goes along with the events, unevenly, and not always forward. With an event clock it does so a century later:
 * then an event's being good depends on no arrival, and a run that never crashed can be compared.
 */
function arrival({ story, told, random }: World): bigint {
  const { clock, time } = story.log.records[Math.max(0, told - 1)]!;
  const apart = story.clock.kind === 'event' ? CENTURY_MICROS : 0n;
  return (clock ?? time) + apart + BigInt(random.below(40 * MINUTE_MICROS) - 20 * MINUTE_MICROS);
}

const CENTURY_MICROS = 3_155_760_000_000_000n;
