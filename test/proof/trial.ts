/**
 * One trial: definitions and a log, run through every engine that there is, each held against the oracle at its own
 * (position, time), and their rows against each other byte by byte.
 *
 *   1. one thread        lookups of every key and feature at some prefixes, from memory, from the store and from both
 *   2. a life of crashes  several shards, hardly any memory, power cuts between posts; it ends with the same rows
 *   3. replay            every row, with memory and with hardly any
 *   4. threads           apart from the others, for it takes a folder and most of the time
 */
import { formatMicros } from '../../src/base/time.ts';
import type { Parts } from '../../src/cli/alone/compose.ts';
import { Fault } from '../../src/base/fault.ts';
import { compileSources } from '../../src/compile/compile.ts';
import type { KeyInput } from '../../src/kernel/key.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { Value } from '../../src/plan/value.ts';
import type { Answer, Lookup } from '../../src/read/read.ts';
import type { ReplayBatch } from '../../src/replay/replay.ts';
import { type Log, type LogRecord, parseLog } from '../oracle/log.ts';
import { now } from '../oracle/naive.ts';
import { SimulatedDatabase } from '../sim/database.ts';
import { Crash, SimulatedDisk } from '../sim/disk.ts';
import { type Engine, memoryDatabase, openEngine, PLENTY_BYTES, rowMap } from '../sim/engine.ts';
import { compareValue, type Keys } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import type { Clock } from '../../src/source/source.ts';
import { replayed } from '../sim/replayed.ts';

export interface Trial {
  /** The text of a file. */
  definitions: string;
  latenessMs: number;
  clock: Clock;
  /** Without their newlines. */
  lines: string[];
  /** When each line arrives, with `clock: wall`; null with `clock: event`, where all arrive long after. */
  arrivalsMs: number[] | null;
  /** Of cuts, barriers, deaths and sizes. */
  runSeed: number;
}

/** What a trial has shown to be wrong, and where. */
export class Disagreement extends Error {
  override name = 'Disagreement';
  constructor(
    readonly stage: Stage,
    message: string,
  ) {
    super(`${stage}: ${message}`);
  }
}

export type Stage = 'compile' | 'oracle' | 'lookup' | 'crash' | 'rows' | 'replay' | 'threads';

/** What was compared. */
export interface Proof {
  values: number;
  rows: number;
  /** Of the log. */
  records: number;
}

/** Values compared in one stage, at most: beyond it some are left out, which ones the seed says. */
const VALUES_MAX = 3_000;

/** @throws Disagreement */
export async function prove(trial: Trial): Promise<Proof> {
  const plan = await stage('compile', () => compileTrial(trial));
  const judge = await stage('oracle', async () => new Judge(trial, plan));
  const looked = await stage('lookup', () => lookAlong(trial, judge));
  const survived = await stage('crash', () => crashAlong(trial, judge));
  await stage('rows', async () => compareRows(looked, survived));
  await stage('replay', () => replayAlong(trial, judge));
  return { values: judge.compared, rows: looked.size, records: judge.log.records.length };
}

async function stage<T>(name: Stage, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Disagreement) throw error;
    throw new Disagreement(name, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

export async function compileTrial({ definitions, latenessMs }: Trial): Promise<Plan> {
  const { plan, faults } = await compileSources([{ file: 'definitions.yaml', text: definitions }], { latenessMs });
  if (faults.length > 0) throw new Disagreement('compile', faults.map(({ message }) => message).join('; '));
  return plan;
}

/** The oracle, and what is asked of it. */
export class Judge {
  readonly log: Log;
  readonly keys: Keys;
  compared = 0;

  constructor(
    trial: Trial,
    readonly plan: Plan,
  ) {
    this.log = logOf(trial, plan);
    this.keys = keysOf(plan, this.log);
  }

  compare(...[column, row, key, p, t]: [Parameters<typeof compareValue>[1], number, Value[], number, bigint]): void {
    compareValue(this.plan, column, row, this.log, key, p, t);
    this.compared++;
  }
}

function logOf({ lines, arrivalsMs, clock: { kind: clock, maxJumpMs } }: Trial, plan: Plan): Log {
  const text = lines.join('\n');
  if (arrivalsMs === null) return parseLog(text, plan, { clock, maxJumpMs });
  // Which lines are records is the same by either clock.
  const { records } = parseLog(text, plan, { clock: 'event', maxJumpMs });
  return parseLog(text, plan, { clock, maxJumpMs, arrivals: records.map(({ line }) => micros(arrivalsMs[line - 1]!)) });
}

function micros(ms: number): bigint {
  return BigInt(ms) * 1000n;
}

/** By an entity's name, every key that a good event bears, and one that none does. */
function keysOf(plan: Plan, log: Log): Keys {
  const keys = new Map(plan.entities.map(({ name }) => [name, new Map<string, Value[]>()]));
  for (const { type, bad, rows } of log.records)
    for (const set of plan.sets)
      for (const { inputs } of bad === null && set.event === type ? rows : []) {
        const key = keyOf(set.keys, inputs);
        if (key) keys.get(set.entity)!.set(key.map(String).join('\n'), key);
      }
  const nobody = { string: 'nobody', int64: 4_711n, time: 4_711n, bool: false } as Record<string, Value>;
  const asked = plan.entities.filter(({ name }) => plan.sets.some(({ entity }) => entity === name));
  return new Map(
    asked.map(({ name, keys: types }) => {
      const found = [...keys.get(name)!.values()];
      const absent = types.map(({ kind }) => nobody[kind]!);
      const isThere = keys.get(name)!.has(absent.map(String).join('\n'));
      return [name, isThere ? found : [...found, absent]];
    }),
  );
}

/** Null where a part of it is. */
function keyOf(keys: Plan['sets'][number]['keys'], inputs: LogRecord['inputs']): Value[] | null {
  const key = keys.map(one => (one.kind === 'column' ? inputs[one.name]! : null));
  return key.includes(null) ? null : key;
}

/** As requests spell it. */
function asked(plan: Plan, entity: string, key: Value[]): KeyInput {
  const { keys } = plan.entities.find(({ name }) => name === entity)!;
  return key.map((part, i) => (keys[i]!.kind === 'time' ? formatMicros(part as bigint) : part)) as KeyInput;
}

// --- 1. lookups

const LOOKUPS = 5;

async function lookAlong(trial: Trial, judge: Judge): Promise<Map<string, string>> {
  const random = new Random(trial.runSeed);
  const wall = new Wall(trial, judge.log);
  const engine = await openEngine(judge.plan, { ...wall.around, disk: new SimulatedDisk(1), db: memoryDatabase() });
  const cuts = cutsOf(trial, LOOKUPS, random);
  const stride = Math.ceil(cuts.length / LOOKUPS);
  const end = () => engine.close();
  return ending(end, async () => {
    for (const [i, [from, to]] of cuts.entries()) {
      await wall.post(engine, from, to);
      if (random.chance(0.5)) engine.ingest.barrier();
      if (random.chance(0.4)) engine.folds[0]!.evict(0);
      if (i === cuts.length - 1) lookUp(engine, judge, wall, random, VALUES_MAX);
      else if (i % stride === 0) lookUp(engine, judge, wall, random, VALUES_MAX / LOOKUPS);
    }
    engine.ingest.barrier();
    return rowMap(engine.store);
  });
}

/** Works, and ends what it worked on; what goes wrong first is what is told. */
async function ending<T>(end: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await end().catch(() => {});
    throw error;
  }
  await end();
  return result;
}

/** All features of as many keys as there is room for. */
function lookUp(engine: Engine, judge: Judge, wall: Wall, random: Random, valuesMax: number): void {
  const { plan, log } = judge;
  const p = engine.ingest.position;
  if (p < 0) return;
  wall.nowMicros = now(log, p);
  const keys = chosenKeys(judge, random, valuesMax);
  const answer = engine.reader.lookup(everything(plan, keys));
  if (answer.position !== p) throw new Error(`answered as of ${answer.position}, wanted ${p}`);
  judgeAnswer(judge, keys, answer);
}

function chosenKeys({ plan, keys: all }: Judge, random: Random, valuesMax: number): Keys {
  const most = Math.max(2, Math.floor(valuesMax / Math.max(1, plan.features.length) / all.size));
  return new Map(
    [...all].map(([entity, keys]) => [
      entity,
      keys.length <= most ? keys : Array.from({ length: most }, () => random.pick(keys)),
    ]),
  );
}

function everything(plan: Plan, keys: Keys): Lookup {
  const entities = [...keys].map(([entity, of]) => [entity, of.map(key => asked(plan, entity, key))]);
  return { features: plan.sets.map(({ name }) => `${name}:*`), entities: Object.fromEntries(entities), at: null };
}

/** At the position that the answer says. */
function judgeAnswer(judge: Judge, keys: Keys, { position, timeMicros, entities }: Answer): void {
  const p = position!;
  const t = now(judge.log, p);
  if (timeMicros !== t) throw new Error(`answered as of ${timeMicros}, wanted ${t}, which is now at ${p}`);
  for (const { entity, features } of entities)
    for (const column of features)
      for (const [row, key] of keys.get(entity)!.entries()) judge.compare(column, row, key, p, t);
}

// --- 2. crashes

const POSTS = 8;
/** On average: each new life takes a kernel for each shard. */
const DEATHS = 1.5;

async function crashAlong(trial: Trial, judge: Judge): Promise<Map<string, string>> {
  const random = new Random(trial.runSeed + 1);
  const disk = new SimulatedDisk(random.below(2 ** 31));
  const database = new SimulatedDatabase(random, () => disk.kill(0));
  const wall = new Wall(trial, judge.log);
  const shards = random.pick([1, 1, 2, 3]);
  const foldMemoryBytes = random.pick([0, 200_000, PLENTY_BYTES]);
  const open = () =>
    openEngine(judge.plan, {
      ...wall.around,
      ...{ disk, db: database.open(), shards, foldMemoryBytes, segmentBytes: 2_000 },
      wrapStore: store => database.wrap(store),
    });
  let engine = await open();
  const cuts = cutsOf(trial, POSTS, random);
  const end = () => die(engine, database);
  return ending(end, async () => {
    for (const [from, to] of cuts) {
      await wall.post(engine, from, to);
      if (random.chance(0.4)) engine.ingest.barrier();
      if (shards === 1 && random.chance(2 / cuts.length)) lookUp(engine, judge, wall, random, VALUES_MAX / POSTS);
      if (!random.chance(DEATHS / cuts.length)) continue;
      const { position } = engine.ingest;
      await die(engine, database);
      const isPowerCut = random.chance(0.5);
      for (const one of [disk, database]) isPowerCut ? one.powerCut() : one.restart();
      engine = await open();
      if (engine.ingest.position !== position)
        throw new Error(`after a restart the log ends with ${engine.ingest.position}, ${position} was acknowledged`);
    }
    engine.ingest.barrier();
    return rowMap(engine.store);
  });
}

/** Nothing of a dead process may stay behind: its last barrier fails. */
async function die(engine: Engine, database: SimulatedDatabase): Promise<void> {
  database.die();
  await engine.ingest.close().catch((error: unknown) => {
    if (!(error instanceof Crash || error instanceof Fault)) throw error;
  });
  engine.store.close();
}

function compareRows(some: Map<string, string>, others: Map<string, string>): void {
  for (const address of new Set([...some.keys(), ...others.keys()])) {
    const [one, other] = [some.get(address), others.get(address)];
    if (one === other) continue;
    throw new Error(`row ${address} (entity, key, level, start) is ${one ?? 'missing'} and ${other ?? 'missing'}`);
  }
}

// --- 3. replay

async function replayAlong(trial: Trial, judge: Judge): Promise<void> {
  const { plan, log } = judge;
  const random = new Random(trial.runSeed + 2);
  // A change that neither adds nor takes back a row has none.
  const good = log.records.filter(({ bad, rows }) => bad === null && rows.length > 0);
  const perRow = Math.max(1, plan.features.length);
  const share = Math.min(1, VALUES_MAX / (perRow * good.length));
  const lines = trial.lines.map(line => new TextEncoder().encode(line));
  const settings = { clock: trial.clock, memoryBytes: random.pick([0, PLENTY_BYTES]) };
  const arrivals = trial.arrivalsMs?.map(micros);
  const { batches } = await replayed(plan, lines, arrivals ? { ...settings, arrivals } : settings);
  let at = 0;
  for await (const batch of batches)
    for (let row = 0; row < batch.count; row++, at++) {
      const record = good[at]!;
      const found = [Number(batch.positions[row]), batch.timesMicros[row]!, batch.types[row]!];
      const wanted = [record.position, record.time, record.type];
      if (!Bun.deepEquals(found, wanted)) throw new Error(`row ${at} is of ${found}, wanted ${wanted}`);
      if (random.chance(share)) compareRow(judge, record, batch, row);
    }
  if (at !== good.length) throw new Error(`${at} rows for ${good.length} good events`);
}

function compareRow(judge: Judge, record: LogRecord, batch: ReplayBatch, row: number): void {
  const keys = columnKeys(judge.plan, record);
  for (const column of batch.columns) {
    const key = keys.get(column.name);
    if (key === undefined) {
      if (!column.nulls[row]) throw new Error(`${column.name} of an event of ${record.type} at ${record.position}`);
      continue;
    }
    // A column that several names of the entity share bears the feature's own name before the @.
    const named = { ...column, name: column.name.replace(/@.*$/, '') };
    judge.compare(named, row, key, record.position, record.time);
  }
}

/** Of an event of some type, which key each column is of, as docs/meaning.md says it. */
function columnKeys(plan: Plan, record: LogRecord): Map<string, Value[]> {
  const keys = new Map<string, Value[]>();
  const sets = plan.sets.filter(({ event }) => event === record.type);
  const wayOf = (set: Plan['sets'][number]) => set.keys.map(key => (key.kind === 'column' ? key.name : '')).join('+');
  for (const set of sets) {
    const ways = new Set(sets.filter(({ entity }) => entity === set.entity).map(wayOf));
    const way = wayOf(set);
    const own = sets.filter(other => other.entity === set.entity && wayOf(other) === way).map(({ name }) => name);
    const key = set.keys.map(one => (one.kind === 'column' ? record.inputs[one.name]! : null));
    for (const feature of plan.features.filter(({ entity }) => entity === set.entity))
      keys.set(own.includes(feature.set) || ways.size === 1 ? feature.name : `${feature.name}@${way}`, key);
  }
  return keys;
}

// --- 4. threads

/** What a data folder is made with. */
export type Start = (workers: number, memoryBytes: number) => Promise<Parts>;

/**
 * The same with real threads, of which there are others after a restart in the middle: every answer is the oracle's at
 * the position that it says.
 *
 * @param start opens the folder; whoever calls this compares what is left in it
 */
export async function proveThreads(trial: Trial, start: Start): Promise<Proof> {
  const judge = new Judge(trial, await compileTrial(trial));
  const random = new Random(trial.runSeed + 3);
  const cuts = cutsOf(trial, POSTS, random);
  const half = Math.ceil(cuts.length / 2);
  for (const stretch of [cuts.slice(0, half), cuts.slice(half)])
    await stage('threads', async () => {
      const parts = await start(1 + random.below(3), random.pick([1, 256 << 20]));
      return ending(parts.close, () => postInThreads(trial, judge, parts, stretch, random));
    });
  return { values: judge.compared, rows: 0, records: judge.log.records.length };
}

async function postInThreads(
  { lines }: Trial,
  judge: Judge,
  { ingest, reader }: Parts,
  cuts: [number, number][],
  random: Random,
): Promise<void> {
  const under: Promise<unknown>[] = [];
  for (const [from, to] of cuts) {
    under.push(
      ingest.post(
        new TextEncoder().encode(
          lines
            .slice(from, to)
            .map(line => `${line}\n`)
            .join(''),
        ),
        'ndjson',
      ),
    );
    if (random.chance(0.5)) await under.at(-1);
    if (random.chance(0.3)) await ingest.barrier();
    const keys = chosenKeys(judge, random, VALUES_MAX / POSTS);
    const answer = await reader.lookup(everything(judge.plan, keys));
    if (answer.position! >= 0) judgeAnswer(judge, keys, answer);
  }
  await Promise.all(under);
}

// --- the log and its clock

/** What time it is: with a wall clock that of the line that arrives, or of the last one. */
class Wall {
  nowMicros: bigint;
  readonly around: { clock: Clock; nowMicros: () => bigint };

  constructor(
    private readonly trial: Trial,
    log: Log,
  ) {
    // A century on, no event is ahead of its arrival.
    this.nowMicros = (log.records.at(-1)?.now ?? 0n) + CENTURY_MICROS;
    this.around = { clock: trial.clock, nowMicros: () => this.nowMicros };
  }

  /** Lines [from, to). */
  async post(engine: Engine, from: number, to: number): Promise<void> {
    const { lines, arrivalsMs } = this.trial;
    if (arrivalsMs) this.nowMicros = micros(arrivalsMs[from]!);
    const text = lines
      .slice(from, to)
      .map(line => `${line}\n`)
      .join('');
    await engine.ingest.post(new TextEncoder().encode(text), 'ndjson');
  }
}

const CENTURY_MICROS = 3_155_760_000_000_000n;

/** With a wall clock events arrive by the line; posts of several lines would arrive at once. */
function cutsOf({ lines, clock }: Trial, parts: number, random: Random): [from: number, to: number][] {
  if (clock.kind === 'wall') return lines.map((_, i) => [i, i + 1]);
  const ends = new Set([lines.length, ...Array.from({ length: parts - 1 }, () => 1 + random.below(lines.length))]);
  const sorted = [...ends].sort((a, b) => a - b);
  return sorted.map((end, i) => [sorted[i - 1] ?? 0, end]);
}
