import { connect as connectPlain, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Admin, ISocketFactory, Kafka, Producer, SASLOptions } from 'kafkajs';
import { Fault } from '../base/fault.ts';
import { isUntrusted, type TlsFiles, tlsOptions } from '../base/tls.ts';
import { isOfKafka, typeOf } from './broker_error.ts';
import { addCodecs } from './codecs.ts';
import { ARRIVED, committed, type GroupSettings, join, type Member } from './group.ts';
import { mendDriver } from './mended.ts';
import { Lost, type Outbox, type Outgoing, type Progress } from './partition.ts';
import { openSender, type Sender } from './sender.ts';

/** A transaction of a process that has died holds up readers for so long. */
const TRANSACTION_MS = 10_000;
/** Waits are short and many: a broker mostly is ready a few milliseconds later. */
const RETRY = { initialRetryTime: 5, multiplier: 1.5, factor: 0, maxRetryTime: 500, retries: 30 };
const CONNECT_MS = 5_000;
const KEEP_ALIVE_MS = 60_000;

/** Of a transaction, in one go: what goes to one partition is one batch there, and brokers take a MiB. */
const SEND_BYTES = 768 << 10;
/** What a message takes beside its value, or a little less. */
const MESSAGE_BYTES = 32;

export interface Topic {
  name: string;
  partitions: number;
  replicas: number;
  settings: Record<string, string>;
}

/** A broker of Kafka or Redpanda. */
export interface Broker {
  /** How many partitions a topic has; null where there is none. */
  partitionsOf(topic: string): Promise<number | null>;
  makeTopic(topic: Topic): Promise<void>;
  join(settings: GroupSettings): Promise<Member>;
  /** How far a group has come with each partition of a topic, as far as it has committed anything. */
  committed(group: string, topic: string): Promise<Map<number, Progress>>;
  /** Where events of a topic are sent to. */
  sender(topic: string, partitionCount: number): Promise<Sender>;
  /** @param id the same for whoever sends what is made of the same partition */
  outbox(id: string, of: { group: string; topic: string; partition: number }): Promise<Outbox>;
  close(): Promise<void>;
}

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
export type SaslMechanism = (typeof SASL_MECHANISMS)[number];

/** What brokers want of whoever connects. */
export interface Access {
  tls: TlsFiles | null;
  login: { mechanism: SaslMechanism; name: string; password: string } | null;
}

/** @throws Fault `busy` where no broker answers, `config` where it refuses us, or we do not trust it */
export async function openKafka(
  brokers: string[],
  { tls, login }: Access = { tls: null, login: null },
): Promise<Broker> {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';
  // Whoever works with a folder alone need not wait for it.
  const { Kafka, logLevel, CompressionCodecs } = (await import('kafkajs')).default;
  if (!isMended) {
    addCodecs(CompressionCodecs);
    await mendDriver();
    isMended = true;
  }
  const where = `Kafka at ${brokers.join(', ')}`;
  const untrusted = Promise.withResolvers<never>();
  const kafka = new Kafka({
    ...{ clientId: 'tilefold', brokers, logLevel: logLevel.NOTHING, connectionTimeout: CONNECT_MS, retry: RETRY },
    ...(tls && { ssl: await tlsOptions(tls) }),
    ...(login && { sasl: saslOf(login) }),
    socketFactory: socketsTelling(untrusted.reject),
  });
  const admin = kafka.admin();
  await Promise.race([admin.connect(), untrusted.promise]).catch(async (error: Error) => {
    await admin.disconnect();
    if (isUntrusted(error))
      throw new Fault('config', `${where} and this process do not trust each other: ${error.message}`);
    if (error.name === 'KafkaJSSASLAuthenticationError')
      throw new Fault('config', `${where} does not let ${login?.name} in: ${error.message}`);
    throw new Fault('busy', `${where} does not answer: ${error.message}`);
  });
  const producers = new Set<Producer>();
  return {
    partitionsOf: topic => partitionsOf(admin, topic),
    async makeTopic({ name, partitions, replicas, settings }) {
      const configEntries = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
      const topic = { topic: name, numPartitions: partitions, replicationFactor: replicas, configEntries };
      await admin.createTopics({ waitForLeaders: true, topics: [topic] });
    },
    join: group => join(kafka, admin, RETRY, group),
    committed: (group, topic) => committed(admin, group, topic),
    sender: (topic, partitionCount) => openSender(kafka, topic, partitionCount),
    outbox: (id, of) => openOutbox(kafka, producers, id, of),
    async close() {
      await Promise.all([...producers].map(producer => producer.disconnect()));
      await admin.disconnect();
    },
  };
}

function saslOf({ mechanism, name, password }: NonNullable<Access['login']>): SASLOptions {
  return { mechanism, username: name, password };
}

/** The driver tries again where a certificate is not good, and then says only that nobody answers. */
function socketsTelling(untrusted: (error: Error) => void): ISocketFactory {
  return ({ host, port, ssl, onConnect }) => {
    const named = isIP(host) ? {} : { servername: host };
    const socket = ssl
      ? connectTls({ host, port, ...named, ...ssl }, onConnect)
      : connectPlain({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return socket.on('error', error => {
      if (isUntrusted(error)) untrusted(error);
    });
  };
}

/** The driver is one for the whole process. */
let isMended = false;

async function partitionsOf(admin: Admin, topic: string): Promise<number | null> {
  if (!(await admin.listTopics()).includes(topic)) return null;
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]!.partitions.length;
}

async function openOutbox(
  kafka: Kafka,
  producers: Set<Producer>,
  transactionalId: string,
  { group, topic, partition }: { group: string; topic: string; partition: number },
): Promise<Outbox> {
  const producer = kafka.producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: TRANSACTION_MS,
    allowAutoTopicCreation: false,
  });
  producers.add(producer);
  await producer.connect();
  // Only a transaction makes the driver ask for its number, which is what fences others; this one has nothing in it.
  const first = await producer.transaction();
  await first.abort();

  async function send(messages: Outgoing[], { next, note }: Progress): Promise<void> {
    try {
      const transaction = await producer.transaction();
      for (const part of partsOf(messages)) await transaction.sendBatch({ topicMessages: byTopic(part) });
      const offset = { partition, offset: String(next), metadata: note };
      await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions: [offset] }] });
      await transaction.commit();
    } catch (error) {
      // Whether it was committed is for the broker to say: whoever opens the outbox anew asks where the group stands.
      if (isOfKafka(error)) throw new Lost(`${transactionalId}: ${typeOf(error)} ${(error as Error).message}`);
      throw error;
    }
  }

  return {
    send,
    async close() {
      producers.delete(producer);
      await producer.disconnect();
    },
  };
}

/** Messages that are sent together; one that is larger than that goes alone. */
function partsOf(messages: Outgoing[]): Outgoing[][] {
  const parts: Outgoing[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    size += message.value.length + MESSAGE_BYTES;
    if (size > SEND_BYTES) {
      parts.push([]);
      size = message.value.length + MESSAGE_BYTES;
    }
    parts.at(-1)!.push(message);
  }
  return parts;
}

function byTopic(messages: Outgoing[]) {
  const topics = Map.groupBy(messages, ({ topic }) => topic);
  return [...topics].map(([topic, of]) => ({
    topic,
    messages: of.map(({ partition, value, arrivedMs }) => ({
      partition,
      value: Buffer.from(value.buffer, value.byteOffset, value.length),
      ...(arrivedMs !== undefined && { headers: { [ARRIVED]: String(arrivedMs) } }),
    })),
  }));
}
