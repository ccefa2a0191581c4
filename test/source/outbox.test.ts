import { describe, expect, test } from 'bun:test';
import type { Kafka } from 'kafkajs';
import { Fault } from '../../src/base/fault.ts';
import { openOutbox } from '../../src/source/outbox.ts';
import { Lost, Unsure } from '../../src/source/partition.ts';

/** As the driver makes them. */
function kafkaError(name: string, more: object = {}): Error {
  return Object.assign(new Error(`${name} said`), { name, ...more });
}
const protocol = (type: string) => kafkaError('KafkaJSProtocolError', { type });
const retried = (cause: Error) => kafkaError('KafkaJSNumberOfRetriesExceeded', { cause });

/** A broker whose calls fail where they are told to. */
function brokerOf(failing: { step?: string; error?: Error }) {
  let open = 0;
  const at = async (step: string) => {
    if (failing.step === step) throw failing.error!;
  };
  const transaction = {
    abort: () => at('abort'),
    // What the broker tells of where messages lie; none of these tests asks.
    async sendBatch() {
      await at('sendBatch');
      return [];
    },
    sendOffsets: () => at('sendOffsets'),
    commit: () => at('commit'),
  };
  const kafka = {
    producer: () => ({
      async connect() {
        open++;
        await at('connect');
      },
      async disconnect() {
        open--;
      },
      async transaction() {
        await at('transaction');
        return transaction;
      },
    }),
  } as unknown as Kafka;
  return { kafka, opened: () => open };
}

const OF = { group: 'g.tile', topic: 'events', partition: 3 };
const MESSAGE = { topic: 'changes.1', partition: 0, value: new Uint8Array(1) };
const STEPS = ['transaction', 'sendBatch', 'sendOffsets', 'commit'];

/** What comes of an error, at whichever step of a transaction it is. */
async function saidOf(error: Error): Promise<unknown[]> {
  return Promise.all(
    STEPS.map(async step => {
      const failing: { step?: string; error?: Error } = {};
      const outbox = await openOutbox(brokerOf(failing).kafka, 'g.tile.events.3', OF);
      Object.assign(failing, { step, error });
      return outbox.send([MESSAGE], { next: 1n, note: '' }).catch((thrown: unknown) => thrown);
    }),
  );
}

describe('a transaction that the broker does not say it was done', () => {
  test('is of another owner where it is fenced, by whatever name', async () => {
    const unnamed = Object.assign(protocol('KAFKAJS_UNKNOWN_ERROR_CODE'), { message: 'Unknown error code 90' });
    const fenced = protocol('INVALID_PRODUCER_EPOCH');
    for (const error of [fenced, retried(fenced), unnamed])
      for (const said of await saidOf(error)) expect(said).toBeInstanceOf(Lost);
  });

  test('is asked for anew where waiting may help', async () => {
    const passing = [
      ...['NOT_COORDINATOR_FOR_GROUP', 'GROUP_LOAD_IN_PROGRESS', 'TRANSACTION_COORDINATOR_FENCED'].map(protocol),
      ...['UNKNOWN_PRODUCER_ID', 'INVALID_PRODUCER_ID_MAPPING', 'OUT_OF_ORDER_SEQUENCE_NUMBER'].map(protocol),
      ...['NOT_ENOUGH_REPLICAS', 'REQUEST_TIMED_OUT', 'INVALID_TXN_STATE', 'UNKNOWN'].map(protocol),
      ...['KafkaJSRequestTimeoutError', 'KafkaJSConnectionClosedError'].map(name => kafkaError(name)),
      retried(kafkaError('KafkaJSConnectionError')),
    ];
    for (const error of passing)
      for (const said of await saidOf(error)) {
        expect(said).toBeInstanceOf(Unsure);
        expect((said as Error).message).toStartWith('g.tile.events.3 sends to changes.1: ');
      }
  });

  test('is not begun anew by one that has failed: whoever opens it again does that', async () => {
    const failing: { step?: string; error?: Error } = {};
    const outbox = await openOutbox(brokerOf(failing).kafka, 'id', OF);
    Object.assign(failing, { step: 'commit', error: kafkaError('KafkaJSRequestTimeoutError') });
    await expect(outbox.send([], { next: 1n, note: '' })).rejects.toBeInstanceOf(Unsure);
    delete failing.step;
    await expect(outbox.send([], { next: 1n, note: '' })).rejects.toThrow('id sends an offset: ');
  });

  test.each([
    ['TOPIC_AUTHORIZATION_FAILED', 'config'],
    ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'config'],
    ['MESSAGE_TOO_LARGE', 'too_large'],
    ['UNKNOWN_TOPIC_OR_PARTITION', 'not_found'],
    ['UNSUPPORTED_VERSION', 'unsupported'],
  ])('is a fault where it does not: %s', async (type, code) => {
    for (const said of [...(await saidOf(protocol(type))), ...(await saidOf(retried(protocol(type))))]) {
      expect(said).toBeInstanceOf(Fault);
      expect(said).toMatchObject({ code });
      expect((said as Fault).message).toContain(`g.tile.events.3 sends to changes.1: Kafka refuses it with ${type}; `);
    }
  });

  test('is a bug of ours where the error is none of the broker', async () => {
    for (const said of await saidOf(new TypeError('x'))) expect(said).toBeInstanceOf(TypeError);
  });
});

/** A broker that has had so many messages in each partition, and keeps what it is told. */
function recordingBroker(had: number) {
  const ends = new Map<string, number>();
  const told: unknown[] = [];
  const transaction = {
    abort: async () => {},
    async sendBatch({
      topicMessages,
    }: {
      topicMessages: { topic: string; messages: { partition: number; value: Buffer }[] }[];
    }) {
      const sent = topicMessages.flatMap(({ topic, messages }) => messages.map(one => ({ topic, ...one })));
      told.push(sent.map(({ topic, partition, value }) => `${topic} ${partition} ${value[0]}`));
      const places = Map.groupBy(sent, ({ topic, partition }) => `${topic} ${partition}`);
      return [...places].map(([place, of]) => {
        const baseOffset = ends.get(place) ?? had;
        ends.set(place, baseOffset + of.length);
        return { topicName: of[0]!.topic, partition: of[0]!.partition, baseOffset: String(baseOffset) };
      });
    },
    sendOffsets: async (of: unknown) => void told.push(of),
    commit: async () => void told.push('committed'),
  };
  const producer = { connect: async () => {}, disconnect: async () => {}, transaction: async () => transaction };
  return { kafka: { producer: () => producer } as unknown as Kafka, told };
}

test('a transaction has all that is sent, and how far that is; it is said where the last of each partition lies', async () => {
  const { kafka, told } = recordingBroker(100);
  const outbox = await openOutbox(kafka, 'g.tile.events.3', OF);
  const large = 400 << 10;
  const message = (first: number, topic: string, partition: number) => {
    return { topic, partition, value: new Uint8Array(large).fill(first, 0, 1) };
  };
  const messages = [
    message(1, 'changes', 0),
    message(2, 'changes', 1),
    message(3, 'errors', 0),
    message(4, 'changes', 1),
  ];
  const small = { topic: 'changes', partition: 1, value: Uint8Array.of(5) };
  const placed = await outbox.send([...messages, small], { next: 8n, note: 'known' });
  // Two large ones together are more than goes at once.
  expect(told).toEqual([
    ...[['changes 0 1'], ['changes 1 2'], ['errors 0 3'], ['changes 1 4', 'changes 1 5']],
    {
      consumerGroupId: 'g.tile',
      topics: [{ topic: 'events', partitions: [{ partition: 3, offset: '8', metadata: 'known' }] }],
    },
    'committed',
  ]);
  expect(placed).toEqual([
    { topic: 'changes', partition: 0, offset: 100n },
    { topic: 'changes', partition: 1, offset: 102n },
    { topic: 'errors', partition: 0, offset: 100n },
  ]);
});

test('an outbox that cannot be opened leaves no connection, and says why', async () => {
  for (const step of ['connect', 'transaction', 'abort']) {
    const away = brokerOf({ step, error: kafkaError('KafkaJSConnectionError') });
    await expect(openOutbox(away.kafka, 'id', OF)).rejects.toBeInstanceOf(Unsure);
    expect(away.opened()).toBe(0);
    const error = protocol('TRANSACTIONAL_ID_AUTHORIZATION_FAILED');
    await expect(openOutbox(brokerOf({ step, error }).kafka, 'id', OF)).rejects.toMatchObject({ code: 'config' });
  }
});
