import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { Kafka, logLevel } from 'kafkajs';
import { EXIT } from '../../src/cli/exit.ts';
import { openKafka } from '../../src/source/kafka.ts';
import { Lost, type Message } from '../../src/source/partition.ts';
import { Random } from '../sim/random.ts';
import { weekLines } from '../sim/flights.ts';
import { gateTo } from './gate.ts';
import type { Servers } from './servers.ts';
import {
  clusterOf,
  differences,
  embedded,
  PARTITIONS,
  rowsOf,
  SETTLED_MAX_MS,
  SILENT,
  settle,
  startWorker,
  storedRows,
  type Worker,
} from './workers.ts';

/** Events that one message has, at most. */
const LINES_MAX = 40;

/** Every process may die or stop at any time: the rows are those of one engine on one machine, to the last bit. */
export function workSuite(servers: () => Servers): void {
  test('an outbox that is opened again fences whoever had it before, inside a transaction and between two', async () => {
    const name = `o${Date.now().toString(36)}${process.pid}`;
    const broker = await openKafka([servers().kafka]);
    for (const topic of [name, `${name}.out`])
      await broker.makeTopic({ name: topic, partitions: 1, replicas: 1, settings: {} });
    const open = () => broker.outbox(name, { group: name, topic: name, partition: 0 });
    const message = { topic: `${name}.out`, partition: 0, value: new Uint8Array([1]) };
    const before = await open();
    await before.send([message], { next: 1n, note: 'one' });
    const after = await open();
    await expect(before.send([message], { next: 2n, note: 'stale' })).rejects.toThrow(Lost);
    await after.send([message], { next: 3n, note: 'three' });
    await expect(before.send([message], { next: 4n, note: 'stale' })).rejects.toThrow(Lost);
    const kafka = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    const [found] = await admin.fetchOffsets({ groupId: name, topics: [name] });
    expect(found!.partitions).toEqual([{ partition: 0, offset: '3', metadata: 'three' }]);
    await admin.disconnect();
    await broker.close();
  });

  test('of transactions that are aborted in another order than they began in nothing is read', async () => {
    const name = `a${Date.now().toString(36)}${process.pid}`;
    const broker = await openKafka([servers().kafka]);
    await broker.makeTopic({ name, partitions: 1, replicas: 1, settings: {} });
    const kafka = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING });
    const begun = async (id: string) => {
      const producer = kafka.producer({ transactionalId: `${name}.${id}`, idempotent: true, maxInFlightRequests: 1 });
      await producer.connect();
      return { producer, transaction: await producer.transaction() };
    };
    const [x, y, z] = [await begun('x'), await begun('y'), await begun('z')];
    for (const [{ transaction }, value] of [
      [x, 'x1'],
      [y, 'y1'],
      [x, 'x2'],
      [z, 'z1'],
      [y, 'y2'],
    ] as const)
      await transaction.send({ topic: name, messages: [{ partition: 0, value }] });
    await y.transaction.abort();
    await x.transaction.abort();
    await z.transaction.commit();
    const values: string[] = [];
    const owner = {
      next: 0n,
      async take(messages: Message[], next: bigint) {
        values.push(...messages.map(({ value }) => Buffer.from(value).toString()));
        owner.next = next;
      },
    };
    const fail = (error: unknown) => values.push(String(error));
    const member = await broker.join({
      ...{ group: name, topic: name, dealt() {}, onLost() {}, onFailure: fail, log: SILENT },
      own: async () => owner,
    });
    for (let n = 0; n < 300 && values.length === 0; n++) await Bun.sleep(100);
    expect(values).toEqual(['z1']);
    await member.stop();
    for (const { producer } of [x, y, z]) await producer.disconnect();
    await broker.close();
  });

  test('what one transaction sends may be more than brokers take at a time', async () => {
    const name = `l${Date.now().toString(36)}${process.pid}`;
    const broker = await openKafka([servers().kafka]);
    await broker.makeTopic({ name, partitions: 1, replicas: 1, settings: {} });
    const outbox = await broker.outbox(name, { group: name, topic: name, partition: 0 });
    const value = new Uint8Array(1_000).fill(7);
    const messages = Array.from({ length: 3_000 }, () => ({ topic: name, partition: 0, value }));
    await outbox.send(messages, { next: 1n, note: '' });
    const admin = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const high = async () => (await admin.fetchTopicOffsets(name))[0]!.high;
    // And what the transaction was ended with, which the broker writes a little later.
    for (let n = 0; n < 300 && (await high()) !== '3001'; n++) await Bun.sleep(100);
    expect(await high()).toBe('3001');
    await admin.disconnect();
    await broker.close();
  });

  test('a process that is told to stop and cannot reach the database ends in time', async () => {
    const gate = await gateTo(servers().cassandra);
    const cluster = await clusterOf(servers(), 'g', { seen: gate.address });
    const worker = await startWorker(cluster.dir, ['--grace', '1s']);
    try {
      gate.shut();
      const [first] = await weekLines();
      const producer = cluster.kafka.producer();
      await producer.connect();
      await producer.send({ topic: cluster.name, messages: [{ partition: 0, value: first! }] });
      await producer.disconnect();
      const changes = async () => {
        const offsets = await cluster.admin.fetchTopicOffsets(`${cluster.name}.changes.1`);
        return offsets.reduce((sum, { high }) => sum + Number(high), 0);
      };
      for (let n = 0; n < 300 && (await changes()) === 0; n++) await Bun.sleep(100);
      worker.child.kill('SIGTERM');
      expect(await worker.child.exited).toBe(EXIT.stopped);
      expect(await worker.said()).toContain('not done after 1s: others go on from what is committed');
    } finally {
      worker.child.kill('SIGKILL');
      gate.close();
      await cluster.close();
    }
  });

  const lines = process.env.TILEFOLD_LONG ? 100_000 : 9_000;
  test.each(process.env.TILEFOLD_LONG ? [1, 2, 3, 4] : [1])(
    'the work of processes that are killed and stopped leaves the rows of one that is not: seed %p',
    seed => workedThrough(servers(), seed, lines),
    { timeout: 10 * SETTLED_MAX_MS },
  );

  test.skipIf(!process.env.TILEFOLD_LONG)(
    'a database that hangs for a minute and a broker that begins anew only take time',
    () => satOut(servers(), 30_000),
    { timeout: 10 * SETTLED_MAX_MS },
  );
}

/** A database that hangs for a minute, and a broker that is restarted: nobody ends, and memory stays what it was. */
async function satOut(servers: Servers, count: number): Promise<void> {
  const all = (await weekLines()).slice(0, count);
  const gate = await gateTo(servers.cassandra);
  const cluster = await clusterOf(servers, 'q', { seen: gate.address });
  const { name, plan, store, kafka, dir } = cluster;
  const workers = [await startWorker(dir), await startWorker(dir)];
  try {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const parts = 10;
    const bytesOf = () => Math.max(...workers.map(({ child }) => residentBytes(child.pid)));
    const sizes: number[] = [];
    for (let part = 0; part < parts; part++) {
      const lines = all.slice((part * count) / parts, ((part + 1) * count) / parts);
      const messages = lines.map((value, i) => ({ partition: i % PARTITIONS, value }));
      await producer.send({ topic: name, messages });
      sizes.push(bytesOf());
      if (part === 3) gate.shut();
      if (part >= 3 && part < 7) await Bun.sleep(15_000);
      if (part === 7) gate.open();
      if (part === 8) await servers.restartKafka?.();
    }
    await producer.disconnect();
    const engine = await embedded(plan, all, 1);
    await settle(store, plan, rowsOf(engine));
    await engine.close();
    expect(workers.map(({ child }) => child.exitCode)).toEqual([null, null]);
    expect(sizes[7]!).toBeLessThan(sizes[3]! + (128 << 20));
    for (const { child } of workers) child.kill('SIGTERM');
    expect(await Promise.all(workers.map(({ child }) => child.exited))).toEqual([0, 0]);
  } catch (error) {
    throw new Error(`${String(error)}\n${(await Promise.all(workers.map(({ said }) => said()))).join('\n---\n')}`);
  } finally {
    for (const { child } of workers) child.kill('SIGKILL');
    gate.close();
    await cluster.close();
  }
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

async function workedThrough(servers: Servers, seed: number, count: number): Promise<void> {
  const random = new Random(seed);
  const all = (await weekLines()).slice(0, count);
  // Some are no events, and some are events that cannot count.
  all.splice(100, 0, 'no event', '{"type":"flight","time":"2001-03-05T01:00:00Z","data":{"origin":7}}');
  const cluster = await clusterOf(servers, `w${seed}`);
  const { name, plan, store, kafka, dir } = cluster;
  const workers = [await startWorker(dir), await startWorker(dir)];
  const ended: Worker[] = [];
  try {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    let sent = 0;
    const troubles = [() => {}, kill, pause, kill, pause];
    while (sent < all.length) {
      const messages = [];
      for (let n = 0; n < all.length / LINES_MAX / troubles.length / 2 && sent < all.length; n++) {
        const value = all.slice(sent, sent + 1 + random.below(LINES_MAX));
        sent += value.length;
        messages.push({ partition: random.below(PARTITIONS), value: value.join('\n') });
      }
      await producer.send({ topic: name, messages });
      await Bun.sleep(random.below(800));
      await (troubles.shift() ?? (() => {}))();
    }
    await producer.disconnect();

    async function kill(): Promise<void> {
      const at = random.below(workers.length);
      const { child } = workers[at]!;
      child.kill('SIGKILL');
      await child.exited;
      ended.push(workers[at]!);
      workers[at] = await startWorker(dir);
    }

    /** So long that the group gives its partitions to others; then it goes on where it was. */
    async function pause(): Promise<void> {
      const { child } = random.pick(workers);
      child.kill('SIGSTOP');
      await Bun.sleep(7_000 + random.below(3_000));
      child.kill('SIGCONT');
    }

    const engine = await embedded(plan, all, seed);
    const expected = rowsOf(engine);
    await engine.close();
    // Whatever is on its way arrives; nothing of it may then be too much.
    await settle(store, plan, expected);
    const [first, ...others] = workers;
    for (const { child } of others) child.kill('SIGKILL');
    first!.child.kill('SIGTERM');
    expect(await first!.child.exited).toBe(0);
    expect(differences(await storedRows(store, plan), expected)).toEqual([]);
    expect(await errorsOf(kafka, `${name}.changes.errors`)).toEqual(['not_json', 'wrong_type']);
  } catch (error) {
    const said = await Promise.all([...ended, ...workers].map(worker => worker.said()));
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${reason}\n${said.map((text, i) => `--- worker ${i + 1} said\n${text}`).join('\n')}`);
  } finally {
    for (const { child } of workers) child.kill('SIGKILL');
    await cluster.close();
  }
}

/** Codes of what was wrong with events, each time that it was told: what a transaction has that was not committed is not. */
async function errorsOf(kafka: Kafka, topic: string): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: `${topic}.test`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const codes: string[] = [];
  await consumer.run({
    eachMessage: async ({ message }) => {
      codes.push((JSON.parse(String(message.value)) as { code: string }).code);
    },
  });
  for (let n = 0; n < 100 && codes.length < 2; n++) await Bun.sleep(100);
  await Bun.sleep(300);
  await consumer.disconnect();
  return codes.sort();
}
