import { expect, test } from 'bun:test';
import { Kafka, logLevel } from 'kafkajs';
import { EXIT } from '../../src/cli/exit.ts';
import { openKafka } from '../../src/source/kafka.ts';
import { Lost, type Message } from '../../src/source/partition.ts';
import { weekLines } from '../sim/flights.ts';
import { gateTo } from './gate.ts';
import type { Servers } from './servers.ts';
import { clusterOf, SILENT, startWorker } from './workers.ts';

/** What work rests on: transactions that fence, and ends in time. What may go wrong with all of it is in fault.suite.ts. */
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

  test('what a topic does not take, or nobody has, is a fault that says so, and no other owner', async () => {
    const name = `f${Date.now().toString(36)}${process.pid}`;
    const broker = await openKafka([servers().kafka]);
    await broker.makeTopic({ name, partitions: 1, replicas: 1, settings: { 'max.message.bytes': '1000' } });
    const many = broker.makeTopic({ name: `${name}.copies`, partitions: 1, replicas: 3, settings: {} });
    await expect(many).rejects.toMatchObject({ code: 'config' });
    const outbox = await broker.outbox(name, { group: name, topic: name, partition: 0 });
    const message = { topic: name, partition: 0, value: crypto.getRandomValues(new Uint8Array(5_000)) };
    const sent = outbox.send([message], { next: 1n, note: '' });
    await expect(sent).rejects.toMatchObject({ code: 'too_large' });
    await expect(sent).rejects.toThrow(`${name} sends to ${name}: Kafka refuses it with MESSAGE_TOO_LARGE`);
    // Asked anew, nothing of that transaction is there.
    const again = await broker.outbox(name, { group: name, topic: name, partition: 0 });
    expect(await broker.committed(name, name)).toEqual(new Map());
    await again.send([], { next: 1n, note: 'here' });
    expect(await broker.committed(name, name)).toEqual(new Map([[0, { next: 1n, note: 'here' }]]));
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
}
