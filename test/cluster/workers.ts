/** Processes of a cluster, for tests: what they work on, and what comes of it. */
import { expect } from 'bun:test';
import { closeSync, mkdtempSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import type { Fault } from '../../src/base/fault.ts';
import { DEFAULTS } from '../../src/cli/config.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { openKafka } from '../../src/source/kafka.ts';
import type { Message } from '../../src/source/partition.ts';
import { openCassandra } from '../../src/store/cassandra.ts';
import { keptTables } from '../../src/store/cql.ts';
import type { RemoteRows } from '../../src/store/remote.ts';
import type { Addresses } from '../../scripts/cluster.ts';
import { joinLines } from '../perturb.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { type Engine, EVENT_CLOCK, memoryDatabase, openEngine } from '../sim/engine.ts';

export const ROOT = join(import.meta.dir, '../..');
export const DEFINITIONS = join(ROOT, 'examples/flights/features');
/** A log that nobody reads. */
export const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
/** Of the topic of events. */
export const PARTITIONS = 3;

/** Long enough for a group to notice that members are gone, a few times. */
export const SETTLED_MAX_MS = 120_000;

/**
 * A keyspace, topics and a configuration of their own, with the flights' definitions.
 *
 * @param options `seen`: where processes look for Cassandra; `ahead`: of `kafka.backfill`
 */
export async function clusterOf(
  { kafka: address, cassandra }: Addresses,
  letter: string,
  { seen = cassandra, definitions = DEFINITIONS, ahead = '4MiB' } = {},
) {
  const name = `${letter}${Date.now().toString(36)}${process.pid}`;
  const plan = await compileFolder(definitions, DEFAULTS);
  const keyspace = { name, datacenter: 'datacenter1', replicas: 1 };
  const store = await openCassandra({ hosts: [cassandra], user: null, keyspace });
  await store.makeTables(keptTables(plan));
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const topic = { topic: name, numPartitions: PARTITIONS, replicationFactor: 1 };
  await admin.createTopics({ waitForLeaders: true, topics: [topic] });
  const dir = mkdtempSync(join(tmpdir(), 'tilefold-work-'));
  const changelog = { topic: `${name}.changes`, partitions: 4, replicas: 1 };
  const config = {
    log: { clock: 'event' },
    definitions,
    scylla: { hosts: [seen], keyspace: name, replicas: 1 },
    kafka: { brokers: [address], events: name, group: name, changelog, backfill: { ahead } },
    fold: { barrier: '200ms', memory: '4MiB' },
  };
  await Bun.write(join(dir, 'tilefold.yaml'), JSON.stringify(config));
  const close = async () => {
    await admin.disconnect();
    await store.close();
  };
  return { name, plan, store, kafka, admin, dir, close };
}

export interface Worker {
  child: Bun.Subprocess;
  /** Its output so far. */
  said: () => Promise<string>;
}

/** What has failed, with what workers have said until then. */
export async function withWords(error: unknown, workers: Worker[]): Promise<Error> {
  const said = await Promise.all(workers.map(worker => worker.said()));
  return new Error(`${String(error)}\n${said.map((text, i) => `--- worker ${i + 1} said\n${text}`).join('\n')}`);
}

let processCount = 0;

export function startWorker(dir: string, options: string[] = []): Promise<Worker> {
  return startProcess(dir, ['work', ...options], 'tilefold works on');
}

/**
 * @param ready what it says when it has begun
 * @param options of Bun
 */
export async function startProcess(
  dir: string,
  words: string[],
  ready: string,
  env: Record<string, string> = {},
  options: string[] = [],
): Promise<Worker> {
  const path = join(dir, `process-${++processCount}.log`);
  const fd = openSync(path, 'a');
  const child = Bun.spawn([process.execPath, ...options, join(ROOT, 'src/main.ts'), ...words], {
    cwd: dir,
    env: { ...process.env, ...env },
    stdout: fd,
    stderr: fd,
  });
  closeSync(fd);
  const said = () => Bun.file(path).text();
  while (child.exitCode === null && !(await said()).includes(ready)) await Bun.sleep(50);
  if (child.exitCode !== null) throw new Error(`${words[0]} ended with ${child.exitCode}: ${await said()}`);
  return { child, said };
}

/** Waits until rows are those. @throws where they are not after a while */
export async function settle(store: RemoteRows, plan: Plan, expected: Map<string, string>): Promise<void> {
  const endMs = performance.now() + SETTLED_MAX_MS;
  let rows = await storedRows(store, plan);
  while (!Bun.deepEquals(rows, expected) && performance.now() < endMs) {
    await Bun.sleep(500);
    rows = await storedRows(store, plan);
  }
  expect(differences(rows, expected)).toEqual([]);
}

export async function storedRows(store: RemoteRows, plan: Plan): Promise<Map<string, string>> {
  const rows = new Map<string, string>();
  for (const { levelMs } of keptTables(plan))
    for await (const { entity, key, tileStartMs, value } of store.scan(levelMs))
      rows.set(nameOf(entity, key, levelMs, tileStartMs), value.toHex());
  return rows;
}

export function nameOf(entity: number, key: Uint8Array, levelMs: number, tileStartMs: number): string {
  return `${entity} ${Buffer.from(key).toString()} ${levelMs} ${tileStartMs}`;
}

/** A few of them. */
export function differences(found: Map<string, string>, expected: Map<string, string>): string[] {
  const names = [...new Set([...found.keys(), ...expected.keys()])];
  const different = names.filter(name => found.get(name) !== expected.get(name));
  return different
    .slice(0, 5)
    .map(name => `${name}: ${found.get(name)}, wanted ${expected.get(name)}; of ${different.length}`);
}

/** One engine on one machine, with all events in one log, and its rows written. */
export async function embedded(plan: Plan, lines: string[], seed: number): Promise<Engine> {
  const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase(), clock: EVENT_CLOCK });
  for (let from = 0; from < lines.length; from += 1_000) {
    const part = lines.slice(from, from + 1_000).map(line => new TextEncoder().encode(line));
    await engine.ingest.post(joinLines(part), 'ndjson');
  }
  await engine.ingest.barrier();
  return engine;
}

export function rowsOf({ store }: Engine): Map<string, string> {
  const rows = [...store.scan()].map(({ entity, key, levelMs, tileStartMs, value }): [string, string] => [
    nameOf(entity, key, levelMs, tileStartMs),
    value.toHex(),
  ]);
  return new Map(rows);
}

const READ_MAX_MS = 30_000;
/** What is there twice comes behind the others. */
const LINGER_MS = 300;

/** Reads a topic as a process of a cluster does, until so many have come, and those right behind them, or it fails. */
export async function readAll({ kafka }: Pick<Addresses, 'kafka'>, topic: string, count: number) {
  const broker = await openKafka([kafka]);
  const values: string[] = [];
  let failure = null as Fault | null;
  const owner = {
    next: 0n,
    async take(messages: Message[], next: bigint) {
      values.push(...messages.map(({ value }) => Buffer.from(value).toString()));
      owner.next = next;
    },
  };
  const onFailure = (error: unknown) => {
    failure = error as Fault;
  };
  const group = { group: topic, topic, dealt() {}, onLost() {}, onFailure, log: SILENT, own: async () => owner };
  const member = await broker.join(group);
  const endMs = performance.now() + READ_MAX_MS;
  while (values.length < count && !failure && performance.now() < endMs) await Bun.sleep(50);
  await Bun.sleep(LINGER_MS);
  await member.stop();
  await broker.close();
  return { values, failure };
}
