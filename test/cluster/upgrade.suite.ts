import { expect, test } from 'bun:test';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { loadConfig } from '../../src/cli/config.ts';
import { EXIT } from '../../src/cli/exit.ts';
import { openServing } from '../../src/cli/cluster/serving.ts';
import { FeaturesCombinedSchema, FeatureValueSchema } from '../../src/gen/tilefold/v1/row_pb.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { type InForce, planOnly } from '../../src/plan/transition.ts';
import { keptLevels } from '../../src/plan/window.ts';
import type { Cassandra } from '../../src/store/cassandra.ts';
import { type Course, courseOf } from '../../src/work/course.ts';
import { readTakenUp } from '../../src/work/succession.ts';
import { parseLog } from '../oracle/log.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { compareAnswer, everything, keysOf } from '../sim/judge.ts';
import { weekLines } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import type { Servers } from './servers.ts';
import {
  clusterOf,
  DEFINITIONS,
  differences,
  embedded,
  PARTITIONS,
  rowsOf,
  SETTLED_MAX_MS,
  settle,
  SILENT,
  startWorker,
  storedRows,
  type Worker,
  withWords,
} from './workers.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');

type Cluster = Awaited<ReturnType<typeof clusterOf>>;

/** Definitions and partitions change while events come and processes die: rows are those of one machine that has changed at the same places. */
export function upgradeSuite(servers: () => Servers): void {
  test(
    'definitions change under load, whoever is killed or sleeps meanwhile, and rows are those of one machine',
    () => upgraded(servers(), 1),
    { timeout: 4 * SETTLED_MAX_MS },
  );

  test(
    'definitions are made of earlier events under load, whoever is killed or sleeps meanwhile, or wait, or are given up',
    () => backfilled(servers(), 3),
    { timeout: 4 * SETTLED_MAX_MS },
  );

  test(
    'a changelog gets other partitions under load, whoever is killed meanwhile, and rows are those of one machine',
    () => repartitioned(servers(), 2),
    { timeout: 4 * SETTLED_MAX_MS },
  );
}

async function repartitioned(servers: Servers, seed: number): Promise<void> {
  const random = new Random(seed);
  const cluster = await clusterOf(servers, 'r');
  const { dir, store, plan, admin, name } = cluster;
  const workers = [await startWorker(dir), await startWorker(dir)];
  const sender = await senderOf(cluster, random);
  const ended: Worker[] = [];
  try {
    await sender.send(1_500);
    const sending = sender.send(2_000, 6_000);
    expect((await cli(dir, ['repartition', '0'])).code).toBe(EXIT.usage);
    const detached = await cli(dir, ['repartition', '7', '--detach', '--json']);
    expect(JSON.parse(detached.said)).toMatchObject({ epoch: 2, partitions: 7 });
    // In the middle of it, or a little before or behind.
    await Bun.sleep(random.below(1_000));
    workers[0]!.child.kill('SIGKILL');
    ended.push(workers[0]!);
    workers[0] = await startWorker(dir);
    const other = await cli(dir, ['repartition', '5']);
    const isDone = other.code === EXIT.ok;
    expect([EXIT.ok, EXIT.fault] as number[]).toContain(other.code);
    const waited = await cli(dir, ['repartition', isDone ? '5' : '7', '--json']);
    expect([waited.code, JSON.parse(waited.said)]).toEqual([
      EXIT.ok,
      { epoch: isDone ? 3 : 2, partitions: isDone ? 5 : 7, taken_up: null, drained: null },
    ]);
    await sending;
    await sender.send(1_000, 1_000);
    const engine = await embedded(plan, inOrder(sender.sent.flatMap(events => events.map(({ line }) => line))), 1);
    await settle(store, plan, rowsOf(engine));
    await engine.close();
    const topics = [`${name}.changes.1`, `${name}.changes.2`];
    const { topics: found } = await admin.fetchTopicMetadata({ topics });
    // A broker tells them in any order.
    const counts = new Map(found.map(({ name, partitions }) => [name, partitions.length]));
    expect(topics.map(topic => counts.get(topic))).toEqual([4, 7]);
  } catch (error) {
    throw await withWords(error, [...ended, ...workers]);
  } finally {
    for (const { child } of workers) child.kill('SIGKILL');
    await sender.close();
    await cluster.close();
  }
}

async function upgraded(servers: Servers, seed: number): Promise<void> {
  const random = new Random(seed);
  const definitions = mkdtempSync(join(tmpdir(), 'tilefold-features-'));
  cpSync(DEFINITIONS, definitions, { recursive: true });
  const cluster = await clusterOf(servers, 'u', { definitions });
  const { dir, store } = cluster;
  const workers = [await startWorker(dir), await startWorker(dir)];
  const path = join(dir, 'tilefold.yaml');
  const fail = (error: unknown) => expect(error).toBeUndefined();
  const serving = await openServing(await loadConfig(path), path, { log: SILENT, onFailure: fail });
  const sender = await senderOf(cluster, random);
  const ended: Worker[] = [];
  try {
    await sender.send(2_000);
    const first = (await courseIn(store)).plan.inForce;
    change(definitions);
    expect((await cli(dir, ['plan'])).code).toBe(EXIT.changes);
    const refused = await cli(dir, ['apply']);
    expect([refused.code, refused.said.includes('--since-now lets it answer at once')]).toEqual([EXIT.fault, true]);

    // One that sleeps through all of it, and one that is killed in the middle.
    const [sleeper, victim] = workers as [Worker, Worker];
    sleeper.child.kill('SIGSTOP');
    const sending = sender.send(2_000, 10_000);
    const applying = cli(dir, ['apply', '--since-now', '--json']);
    await Bun.sleep(8_000);
    victim.child.kill('SIGKILL');
    ended.push(victim);
    workers[1] = await startWorker(dir);
    const applied = await applying;
    expect([applied.code, applied.said]).toEqual([EXIT.ok, expect.stringContaining('"added":["destination_miles:')]);
    await sending;
    sleeper.child.kill('SIGCONT');
    await sender.send(1_500, 3_000);

    const { plan } = await courseIn(store);
    expect(plan.number).toBe(2);
    const expected = await expectedCells(sender, [first, plan.inForce], await takenUp(store, 2));
    await settleCells(cluster, plan.inForce, expected);
    expect(new Set([...expected.keys()].map(name => name.split(' ')[0])).has('route_delays:flights')).toBe(false);

    // Who serves has gone over, and says what is not whole.
    const asked = { features: ['destination_miles:miles_lifetime', 'origin_delays:flights_lifetime'], at: null };
    const answer = await serving.served.reader.lookup({
      ...asked,
      entities: { destination: ['ATL'], origin: ['ATL'] },
    });
    const statuses = answer.entities.flatMap(({ features }) => features.map(({ sinceMicros }) => sinceMicros !== null));
    expect(statuses).toEqual([true, false]);
    const looked = await cli(dir, ['lookup', 'destination', 'ATL', '--feature', 'destination_miles:miles_lifetime']);
    expect([looked.code, looked.said.includes('WARMING: its events are known since')]).toEqual([EXIT.ok, true]);
    const status = await cli(dir, ['apply', '--status', '--json']);
    expect(JSON.parse(status.said)).toMatchObject({ computing: null, waiting: null, position: plan.position });
    const old = await cli(dir, ['lookup', 'route', 'ATL', 'LAX']);
    expect(old.code).toBe(EXIT.fault);
  } catch (error) {
    throw await withWords(error, [...ended, ...workers]);
  } finally {
    for (const { child } of workers) child.kill('SIGKILL');
    await sender.close();
    await serving.close();
    await cluster.close();
    rmSync(definitions, { recursive: true });
  }
}

async function backfilled(servers: Servers, seed: number): Promise<void> {
  const random = new Random(seed);
  const definitions = mkdtempSync(join(tmpdir(), 'tilefold-features-'));
  cpSync(DEFINITIONS, definitions, { recursive: true });
  const cluster = await clusterOf(servers, 'b', { definitions, ahead: '64KiB' });
  const { dir, store } = cluster;
  const workers = [await startWorker(dir), await startWorker(dir)];
  const path = join(dir, 'tilefold.yaml');
  const fail = (error: unknown) => expect(error).toBeUndefined();
  const serving = await openServing(await loadConfig(path), path, { log: SILENT, onFailure: fail });
  const { planState, reader } = serving.served;
  const sender = await senderOf(cluster, random, true);
  const ended: Worker[] = [];
  const computing = async () => {
    for (const endMs = performance.now() + SETTLED_MAX_MS; performance.now() < endMs; await Bun.sleep(100)) {
      const { computing } = await planState();
      if (computing && computing.folded > 0) return computing;
    }
    throw new Error('nothing is made of earlier events');
  };
  try {
    await sender.send(4_200);
    change(definitions);
    writeFileSync(join(definitions, 'boardings.yaml'), BOARDINGS);
    expect(await cli(dir, ['shadow', 'list'])).toMatchObject({
      ...{ code: EXIT.fault, said: expect.stringContaining('a shadow: that is of a log on one machine') },
    });
    const begun = await cli(dir, ['apply', '--backfill', '--detach', '--json']);
    expect([begun.code, JSON.parse(begun.said)]).toMatchObject([
      EXIT.ok,
      { position: null, removed: expect.arrayContaining(['route_delays:flights']) },
    ]);
    await computing();
    expect(await cli(dir, ['apply', '--abort'])).toMatchObject({
      code: EXIT.ok,
      said: expect.stringMatching(/^given up/),
    });
    expect(await planState()).toMatchObject({ computing: null, waiting: null });

    // In the middle of it one falls asleep, and one is killed.
    const [sleeper, victim] = workers as [Worker, Worker];
    const sending = sender.send(1_200, 10_000);
    const applying = cli(dir, ['apply', '--backfill', '--json']);
    const { folded, end } = await computing();
    sleeper.child.kill('SIGSTOP');
    victim.child.kill('SIGKILL');
    expect([folded, end]).toEqual([expect.any(Number), expect.any(Number)]);
    expect(folded).toBeLessThan(end);
    ended.push(victim);
    workers[1] = await startWorker(dir);
    const applied = await applying;
    expect([applied.code, applied.said]).toEqual([EXIT.ok, expect.stringContaining('"added":["boardings:boardings"')]);
    await sending;
    sleeper.child.kill('SIGCONT');
    await sender.send(300);

    const { plan, newestPlan } = await courseIn(store);
    expect([plan.number, newestPlan]).toEqual([3, 3]);
    const whole = await expectedCells(
      sender,
      [plan.inForce, plan.inForce],
      sender.sent.map(() => 0n),
    );
    const isWanted = await wantedCells(store, plan.number, plan.inForce.plan);
    const expected = new Map([...whole].filter(([name]) => isWanted(name)));
    expect(expected.size).toBeLessThan(whole.size);
    await settleCells(cluster, plan.inForce, expected, isWanted);
    const lines = inOrder(sender.sent.flatMap(events => events.map(({ line }) => line)));
    const log = parseLog(`${lines.join('\n')}\n`, plan.inForce.plan, {
      clock: 'event',
      maxJumpMs: EVENT_CLOCK.maxJumpMs,
    });
    const keys = new Map(
      [...keysOf(log)].flatMap(([entity, all]) => (entity === 'route' ? [] : [[entity, all.slice(-9)]])),
    );
    await serving.served.reader.lookup(everything(plan.inForce.plan, keys));
    const answer = { ...(await reader.lookup(everything(plan.inForce.plan, keys))), position: log.records.length - 1 };
    expect(compareAnswer(plan.inForce.plan, log, keys, answer)).toBeGreaterThan(400);

    // Windows may wait instead, and be given up, and wait again until they are whole.
    writeFileSync(join(definitions, 'origin_recent.yaml'), RECENT);
    const waits = await cli(dir, ['apply', '--when-warm', '--json']);
    expect([waits.code, JSON.parse(waits.said)]).toMatchObject([
      EXIT.ok,
      { position: null, until: expect.any(String) },
    ]);
    const told = await cli(dir, ['apply', '--status', '--json']);
    expect(JSON.parse(told.said)).toMatchObject({ waiting: { until: JSON.parse(waits.said).until } });
    expect(JSON.parse((await cli(dir, ['apply', '--abort', '--json'])).said)).toMatchObject({ aborted: true });
    expect(await planState()).toMatchObject({ waiting: null, position: plan.position });
    expect((await cli(dir, ['apply', '--when-warm'])).code).toBe(EXIT.ok);
    await sender.send(3_000, 2_000);
    const endMs = performance.now() + SETTLED_MAX_MS;
    while ((await courseIn(store)).plan.number < 5 && performance.now() < endMs) await Bun.sleep(200);
    const looked = await cli(dir, ['lookup', 'origin', 'ATL', '--feature', 'origin_recent:recent_2h', '--json']);
    expect([looked.code, looked.said.includes('WARMING')]).toEqual([EXIT.ok, false]);
  } catch (error) {
    throw await withWords(error, [...ended, ...workers]);
  } finally {
    for (const { child } of workers) child.kill('SIGKILL');
    await sender.close();
    await serving.close();
    await cluster.close();
    rmSync(definitions, { recursive: true });
  }
}

const RECENT = `feature_set: origin_recent
description: how many flights have left an airport
owner: tests
entity: origin
source: flight
windows: [2h]
sql: SELECT origin, COUNT(*) AS recent FROM flight WHERE distance > 100 GROUP BY origin
`;

/** Tiles of a plan that something may still read: what is made of earlier events leaves out those that were over when it was taken up. */
async function wantedCells({ agreement }: Cassandra, number: number, plan: Plan): Promise<(name: string) => boolean> {
  const notes = [...(await agreement.reached('plan', number)).values()].map(readTakenUp);
  const latestMs = Math.max(...notes.map(({ clocks }) => Number(clocks.get('flight')!.at / 1_000n)));
  const ttls = new Map(
    plan.aggregates.map(one => [
      one.name,
      new Map(keptLevels(one, plan).map(({ levelMs, ttlMs }) => [levelMs, ttlMs])),
    ]),
  );
  return name => {
    const parts = name.split(' ');
    const [levelMs, startMs] = parts.slice(-2).map(Number) as [number, number];
    return levelMs === 0 || startMs + ttls.get(parts[0]!)!.get(levelMs)! > latestMs;
  };
}

/** Adds a set and an aggregate, takes one away, and redefines one. */
function change(definitions: string): void {
  rmSync(join(definitions, 'route_delays.yaml'));
  const path = join(definitions, 'destination_delays.yaml');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replaceAll('delay > 15', 'delay > 30').replace(/^ +AVG\(delay\) AS delay_mean,\n/m, ''));
  const origin = join(definitions, 'origin_delays.yaml');
  const wider = readFileSync(origin, 'utf8').replace(
    'COUNT(*) AS flights,',
    'COUNT(*) AS flights, SUM(distance) AS miles,',
  );
  writeFileSync(origin, wider);
  const added = `feature_set: destination_miles
description: how far flights come from
owner: tests
entity: destination
source: flight
windows: [1d, lifetime]
sql: SELECT destination, SUM(distance) AS miles, MAX(distance) AS farthest FROM flight GROUP BY destination
`;
  writeFileSync(join(definitions, 'destination_miles.yaml'), added);
}

/** Sends events of the week one after the other, and keeps what each partition has been sent. */
async function senderOf({ name, kafka }: Cluster, random: Random, isMixed = false) {
  const lines = isMixed
    ? (await weekLines()).flatMap((line, i) => (i % 40 === 0 ? [line, boarding(line)] : line))
    : await weekLines();
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const sent = Array.from({ length: PARTITIONS }, () => [] as { offset: bigint; line: string }[]);
  let at = 0;
  return {
    sent,
    async send(count: number, forMs = 0) {
      const parts = 10;
      for (let part = 0; part < parts; part++) {
        for (const partition of sent.keys()) {
          const values = lines.slice(at, at + count / parts / PARTITIONS);
          at += values.length;
          const messages = values.map(value => ({ partition, value }));
          const [told] = await producer.send({ topic: name, messages });
          const base = BigInt(told!.baseOffset!);
          sent[partition]!.push(...values.map((line, i) => ({ offset: base + BigInt(i), line })));
        }
        await Bun.sleep(forMs / parts + random.below(20));
      }
    },
    close: () => producer.disconnect(),
  };
}

/** An event of a type that is declared later. */
function boarding(flight: string): string {
  return flight.replace('"flight"', '"boarding"');
}

const BOARDINGS = `events:
  boarding: { origin: string, destination: string }
---
feature_set: boardings
description: how many boardings there are at an airport
owner: tests
entity: origin
source: boarding
windows: [1d, lifetime]
sql: SELECT origin, COUNT(*) AS boardings FROM boarding GROUP BY origin
`;

async function courseIn({ agreement }: Cassandra): Promise<Course> {
  return courseOf(await agreement.read())!;
}

/** Of each partition, the first offset by a plan. */
async function takenUp({ agreement }: Cassandra, plan: number): Promise<bigint[]> {
  const reached = await agreement.reached('plan', plan);
  return Array.from({ length: PARTITIONS }, (_, partition) => readTakenUp(reached.get(partition)!).offset);
}

/** `set:name row -> state` of the last of these plans: each aggregate counts from where its number is first taken up. */
async function expectedCells(
  { sent }: Awaited<ReturnType<typeof senderOf>>,
  [first, last]: [InForce, InForce],
  from: bigint[],
): Promise<Map<string, string>> {
  const old = new Set([...first.members.values()].map(({ id }) => id));
  const isOld = (name: string) => old.has(last.members.get(name)!.id);
  const names = last.plan.aggregates.map(({ name }) => name);
  const all = sent.flatMap(events => events.map(({ line }) => line));
  const since = sent.flatMap((events, i) => events.filter(({ offset }) => offset >= from[i]!).map(({ line }) => line));
  const cells = new Map<string, string>();
  for (const [isKept, lines] of [
    [true, all],
    [false, since],
  ] as const) {
    const plan = planOnly(last.plan, new Set(names.filter(name => isOld(name) === isKept)));
    const engine = await embedded(plan, inOrder(lines), 1);
    const called = new Map([...engine.ids.aggregates].map(([name, id]) => [id, name]));
    addCells(cells, rowsOf(engine), called, entityNames(plan));
    await engine.close();
  }
  return cells;
}

/** By time, as they are in each partition: what comes late depends on the order. */
function inOrder(lines: readonly string[]): string[] {
  const timed = lines.map(line => ({ line, time: (JSON.parse(line) as { time: string }).time }));
  return timed.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)).map(({ line }) => line);
}

/** Waits until rows have those states. */
async function settleCells(
  { store, name }: Cluster,
  { plan, members }: InForce,
  expected: Map<string, string>,
  isWanted: (name: string) => boolean = () => true,
) {
  const called = new Map([...members].map(([name, { id }]) => [id, name]));
  const endMs = performance.now() + SETTLED_MAX_MS;
  for (;;) {
    const cells = new Map<string, string>();
    addCells(cells, await storedRows(store, plan), called, entityNames(plan));
    const found = new Map([...cells].filter(([name]) => isWanted(name)));
    if (Bun.deepEquals(found, expected)) return;
    if (performance.now() > endMs) {
      expect(differences(found, expected)).toEqual([]);
      throw new Error(`${name} has other rows`);
    }
    await Bun.sleep(500);
  }
}

/** Entities have the same numbers in a database as they are counted, as long as none is added. */
function entityNames(plan: Plan): Map<number, string> {
  return new Map(plan.entities.map(({ name }, i) => [i + 1, name]));
}

function addCells(
  cells: Map<string, string>,
  rows: Map<string, string>,
  called: Map<number, string>,
  entities: Map<number, string>,
): void {
  for (const [row, hex] of rows) {
    const [entity, ...rest] = row.split(' ');
    const { features } = fromBinary(FeaturesCombinedSchema, Uint8Array.fromHex(hex));
    for (const [id, value] of Object.entries(features)) {
      const name = called.get(Number(id));
      const state = toBinary(FeatureValueSchema, value).toHex();
      if (name !== undefined) cells.set(`${name} ${entities.get(Number(entity))} ${rest.join(' ')}`, state);
    }
  }
}

export async function cli(dir: string, words: string[]): Promise<{ code: number; said: string }> {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: dir, stdout: 'pipe', stderr: 'pipe' });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, said: code === EXIT.ok ? out : `${out}${err}` };
}
