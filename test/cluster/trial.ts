/**
 * A trial: processes work on events while something goes wrong, and in the end all is as if nothing had.
 *
 *   feed, break, feed, ... -> the rest is fed -> rows settle -> processes leave
 *   rows    those of one engine on one machine, byte by byte, and they stay so
 *   values  of every feature of every key: the oracle's
 *   errors  each event that cannot count is told once
 */
import { expect } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resumeClocks } from '../../src/kernel/clock.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { RemoteReader } from '../../src/read/remote.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import { parseLog } from '../oracle/log.ts';
import { type Engine, EVENT_CLOCK } from '../sim/engine.ts';
import { weekLines } from '../sim/flights.ts';
import { compareAnswer, everything, keysOf } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import type { Servers } from './servers.ts';
import { FATE, type Fate } from './steps.ts';
import {
  clusterOf,
  differences,
  embedded,
  PARTITIONS,
  readAll,
  rowsOf,
  settle,
  startProcess,
  storedRows,
  type Worker,
  withWords,
} from './workers.ts';

/** Lines that one message has, at most. */
const LINES_MAX = 40;
/** Members that have said nothing for longer have lost their partitions (`SESSION_MS`), and others have them. */
const ASLEEP_MS = 8_000;
const STOPPED_MAX_MS = 90_000;

/** Among the events, from the beginning on: what nobody can count. */
const POISON = [
  'no event',
  '{"type":"flight","time":"2001-03-05T01:00:00Z","data":{"origin":7}}',
  '{"type":"flight","data":{}}',
  '{"type":"flight","time":"yesterday","data":{}}',
  '[1,2',
  '"\u0000\ufffd"',
  `{"type":"flight","time":"2001-03-05T01:00:00Z","data":${'['.repeat(500)}`,
];

export interface Trial {
  cluster: Awaited<ReturnType<typeof clusterOf>>;
  random: Random;
  /** Those that are at it. */
  workers: Worker[];
  start(fate?: Fate): Promise<Worker>;
  /** Sends that share of the events, in messages to any partition. */
  feed(share: number): Promise<void>;
  kill(worker: Worker): Promise<void>;
  /** Resolves when it has stopped by itself, and for so long that others have what it had. */
  asleep(worker: Worker): Promise<void>;
  wake(worker: Worker): void;
}

export interface TrialSettings {
  /** Its names begin with it. */
  letter: string;
  seed?: number;
  events: number;
  /** Where processes look for Cassandra. */
  seen?: string;
}

export async function trial(
  servers: Servers,
  { letter, seed = 1, events, seen }: TrialSettings,
  course: (trial: Trial) => Promise<void>,
): Promise<void> {
  const random = new Random(seed);
  const lines = (await weekLines()).slice(0, events);
  for (const [i, line] of POISON.entries()) lines.splice(50 * (i + 1), 0, line);
  const cluster = await clusterOf(servers, letter, seen === undefined ? {} : { seen });
  const { name, plan, store, kafka, dir } = cluster;
  const workers: Worker[] = [];
  const all: Worker[] = [];
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  let sent = 0;

  async function start(fate: Fate = {}): Promise<Worker> {
    const preload = ['--preload', join(import.meta.dir, 'steps.ts')];
    const env = { [FATE]: JSON.stringify(fate) };
    const worker = await startProcess(dir, ['work'], 'tilefold works on', env, preload);
    workers.push(worker);
    all.push(worker);
    return worker;
  }

  async function feed(share: number): Promise<void> {
    const end = Math.min(lines.length, sent + Math.ceil(share * lines.length));
    while (sent < end) {
      const value = lines.slice(sent, Math.min(end, sent + 1 + random.below(LINES_MAX)));
      sent += value.length;
      const messages = [{ partition: random.below(PARTITIONS), value: value.join('\n') }];
      await producer.send({ topic: name, messages });
    }
  }

  try {
    await producer.connect();
    // What has no value is no event, and no error either.
    await producer.send({ topic: name, messages: [{ partition: 0, value: null }] });
    await course({
      ...{ cluster, random, workers, start, feed },
      async kill(worker) {
        worker.child.kill('SIGKILL');
        await worker.child.exited;
        workers.splice(workers.indexOf(worker), 1);
      },
      async asleep({ child, said }) {
        const endMs = performance.now() + STOPPED_MAX_MS;
        while (!isStopped(child.pid)) {
          if (performance.now() > endMs || child.exitCode !== null)
            throw new Error(`it never stopped: ${await said()}`);
          await Bun.sleep(50);
        }
        await Bun.sleep(ASLEEP_MS);
      },
      wake: ({ child }) => child.kill('SIGCONT'),
    });
    await feed(1);
    const engine = await embedded(plan, lines, seed);
    const expected = rowsOf(engine);
    // Whatever is on its way arrives; nothing of it may then be too much.
    await settle(store, plan, expected);
    for (const { child } of workers) child.kill('SIGTERM');
    expect(await Promise.all(workers.map(({ child }) => child.exited))).toEqual(workers.map(() => 0));
    expect(differences(await storedRows(store, plan), expected)).toEqual([]);
    await compareValues(cluster, engine, lines);
    expect(await errorsOf(servers, `${name}.changes.errors`)).toEqual(POISON_CODES);
    await engine.close();
  } catch (error) {
    throw await withWords(error, all);
  } finally {
    for (const { child } of all) child.kill('SIGKILL');
    await producer.disconnect();
    await cluster.close();
  }
}

function isStopped(pid: number): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** Of every key that an event has, and one that none has, out of the rows in the database. */
async function compareValues(
  { plan, store }: Trial['cluster'],
  { ids, now, here }: Engine,
  lines: string[],
): Promise<void> {
  const log = parseLog(`${lines.join('\n')}\n`, plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, ids, { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  new Fold(kernel, null).share();
  resumeClocks(layout, here.clocks());
  const reader = new RemoteReader({ layout, rows: store, position: () => log.records.length - 1, nowMicros: now });
  const keys = keysOf(log);
  // Partitions have no order among themselves, so an answer has no position; what is asked last has seen all of them.
  const answer = { ...(await reader.lookup(everything(plan, keys))), position: log.records.length - 1 };
  expect(compareAnswer(plan, log, keys, answer)).toBeGreaterThan(1_000);
}

/** What is told of them, in order of the codes. */
const POISON_CODES = ['bad_time', 'no_time', 'not_json', 'not_json', 'not_json', 'too_deep', 'wrong_type'];

/** Codes of what was wrong with events, each time that it was told: what a transaction has that was not committed is not. */
async function errorsOf(servers: Servers, topic: string): Promise<string[]> {
  const { values } = await readAll(servers, topic, POISON_CODES.length);
  return values.map(value => (JSON.parse(value) as { code: string }).code).sort();
}
