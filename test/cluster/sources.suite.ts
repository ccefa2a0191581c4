import { expect, test } from 'bun:test';
import { CompressionCodecs, CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { openKafka } from '../../src/source/kafka.ts';
import { weekLines } from '../sim/flights.ts';
import type { Servers } from './servers.ts';
import { readAll } from './workers.ts';

const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'];

/** What topics may hold beside plain lines. Brokers compress here, by the libraries that they have for it. */
export function sourcesSuite(servers: () => Servers): void {
  test('messages are read whatever they are compressed with', async () => {
    const lines = (await weekLines()).slice(0, 2_000);
    const kafka = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    const read = CODECS.map(async codec => {
      const topic = await topicOf(servers(), codec);
      await producer.send({ topic, messages: lines.map(value => ({ value })) });
      const { values, failure } = await readAll(servers(), topic, lines.length);
      expect(failure).toBeNull();
      expect(values).toEqual(lines);
    });
    await Promise.all(read);
    await producer.disconnect();
  });

  test('what they are compressed with and nobody knows ends whoever reads them, with a fault', async () => {
    const topic = await topicOf(servers(), 'zstd');
    const producer = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    await producer.send({ topic, messages: [{ value: 'x' }] });
    await producer.disconnect();
    const known = CompressionCodecs[CompressionTypes.ZSTD]!;
    try {
      // As if this batch said so of itself: no broker takes one that does.
      (CompressionCodecs as Record<number, unknown>)[CompressionTypes.ZSTD] = (
        CompressionCodecs as Record<number, unknown>
      )[6];
      const { failure } = await readAll(servers(), topic, 1);
      expect(failure?.code).toBe('unsupported');
      expect(failure?.message).toStartWith(`topic ${topic}: messages are compressed by codec 6, wanted none, gzip`);
    } finally {
      CompressionCodecs[CompressionTypes.ZSTD] = known;
    }
  });
}

let topicCount = 0;

/** A topic of one partition that the broker keeps compressed. */
async function topicOf({ kafka }: Servers, codec: string): Promise<string> {
  const broker = await openKafka([kafka]);
  const name = `c${++topicCount}${Date.now().toString(36)}${process.pid}`;
  await broker.makeTopic({ name, partitions: 1, replicas: 1, settings: { 'compression.type': codec } });
  await broker.close();
  return name;
}
