/** A partition that is looked at by nobody's group: what a broker hands out beside what it was asked for is left out. */
import { describe, expect, test } from 'bun:test';
import type { Admin, Kafka } from 'kafkajs';
import { Fault } from '../../src/base/fault.ts';
import { stored } from '../../src/source/stored.ts';

interface Kept {
  offset: number;
  isControl?: true;
}

/** Batches of a partition, of which a broker hands out the whole one that an offset is in, and at most so many. */
function brokerOf(batches: Kept[][], { low, high }: { low: number; high: number }, error: Error | null = null) {
  const asked: number[] = [];
  let connections = 0;
  const fetch = async ({ topics }: { topics: { partitions: { fetchOffset: string }[] }[] }) => {
    if (error) throw error;
    const from = Number(topics[0]!.partitions[0]!.fetchOffset);
    asked.push(from);
    const messages = batches.find(batch => batch.at(-1)!.offset >= from) ?? [];
    const told = messages.map(({ offset, isControl = false }) => {
      return { offset: String(offset), value: isControl ? null : Buffer.from(`${offset}`), isControlRecord: isControl };
    });
    return { responses: [{ partitions: [{ messages: told }] }] };
  };
  const cluster = {
    connect: async () => void connections++,
    disconnect: async () => void connections--,
    addTargetTopic: async () => {},
    findLeaderForPartitions: () => ({ 1: [0] }),
    findBroker: async () => ({ fetch }),
  };
  const kafka = { [Symbol('private:Kafka:createCluster')]: () => cluster } as unknown as Kafka;
  const bounds = [{ partition: 0, low: String(low), high: String(high), offset: String(high) }];
  const admin = { fetchTopicOffsets: async () => bounds } as unknown as Admin;
  const read = async (from: bigint) => {
    const offsets: number[] = [];
    for await (const some of stored(kafka, admin, 'errors', from))
      for (const { offset, value } of some) {
        expect(Buffer.from(value).toString()).toBe(String(offset));
        offsets.push(Number(offset));
      }
    return offsets;
  };
  return { read, asked, connections: () => connections };
}

describe('what a partition has', () => {
  const BATCHES: Kept[][] = [
    [{ offset: 3 }, { offset: 4 }, { offset: 5 }, { offset: 6, isControl: true }],
    [{ offset: 8 }, { offset: 9 }],
  ];

  test.each([
    [0n, [3, 4, 5, 8, 9], [3, 7]],
    [5n, [5, 8, 9], [5, 7]],
    [7n, [8, 9], [7]],
    [10n, [], []],
  ])('from %d on', async (from, offsets, asked) => {
    const broker = brokerOf(BATCHES, { low: 3, high: 10 });
    expect(await broker.read(from)).toEqual(offsets);
    expect(broker.asked).toEqual(asked);
    expect(broker.connections()).toBe(0);
  });

  test('ends before a transaction that is not ended yet', async () => {
    const broker = brokerOf(BATCHES, { low: 3, high: 14 });
    expect(await broker.read(3n)).toEqual([3, 4, 5, 8, 9]);
    expect(broker.asked).toEqual([3, 7, 10]);
  });

  test('is told as a fault where the broker does not say', async () => {
    const error = Object.assign(new Error('away'), { name: 'KafkaJSConnectionError' });
    const broker = brokerOf([], { low: 0, high: 1 }, error);
    const said = await broker.read(0n).catch((thrown: unknown) => thrown);
    expect(said).toBeInstanceOf(Fault);
    expect(said).toMatchObject({ code: 'busy', message: expect.stringContaining('away') });
    expect(broker.connections()).toBe(0);
  });
});
