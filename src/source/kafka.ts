import { connect as connectPlain, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Admin, ISocketFactory, SASLOptions } from 'kafkajs';
import { Fault } from '../base/fault.ts';
import { isUntrusted, type TlsFiles, tlsOptions } from '../base/tls.ts';
import { type Again, askAgain, refusalOf, typeOf } from './broker_error.ts';
import { addCodecs } from './codecs.ts';
import { committed, type GroupSettings, join, type Member } from './group.ts';
import { mendDriver } from './mended.ts';
import { openOutbox } from './outbox.ts';
import type { Outbox, Progress } from './partition.ts';
import { openSender, type Sender } from './sender.ts';
import { type Stored, stored } from './stored.ts';

/** Waits are short and many: a broker mostly is ready a few milliseconds later. */
const RETRY = { initialRetryTime: 5, multiplier: 1.5, factor: 0, maxRetryTime: 500, retries: 30 };
const CONNECT_MS = 5_000;
/** All brokers know of a topic by then, and of who leads it. */
const KNOWN: Again = { everyMs: 500, forMs: 10_000 };
const KEEP_ALIVE_MS = 60_000;

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
  /** @throws Fault what the broker refuses */
  makeTopic(topic: Topic): Promise<void>;
  join(settings: GroupSettings): Promise<Member>;
  /** How far a group has come with each partition of a topic, as far as it has committed anything. */
  committed(group: string, topic: string): Promise<Map<number, Progress>>;
  /** What a topic of one partition has now, from an offset on, for whoever only looks. */
  stored(topic: string, from: bigint): AsyncIterable<Stored[]>;
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
  const outboxes = new Set<Outbox>();
  return {
    partitionsOf: topic => partitionsOf(admin, topic),
    async makeTopic({ name, partitions, replicas, settings }) {
      const configEntries = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
      const topic = { topic: name, numPartitions: partitions, replicationFactor: replicas, configEntries };
      const what = `topic ${name} of ${partitions} partitions and ${replicas} replicas is made`;
      const make = () => admin.createTopics({ waitForLeaders: true, topics: [topic] });
      // It is made, and the broker that is asked does not know yet. Once more does nothing where it is there.
      const isNews = (error: unknown) => typeOf(firstOf(error)) === 'UNKNOWN_TOPIC_OR_PARTITION';
      await askAgain(KNOWN, make, isNews).catch(error => {
        throw refusalOf(firstOf(error), what) ?? error;
      });
    },
    join: group => join(kafka, admin, RETRY, group),
    committed: (group, topic) => committed(admin, group, topic),
    stored: (topic, from) => stored(kafka, admin, topic, from),
    sender: (topic, partitionCount) => openSender(kafka, topic, partitionCount),
    async outbox(id, of) {
      const outbox = await openOutbox(kafka, id, of);
      const kept: Outbox = {
        ...outbox,
        close() {
          outboxes.delete(kept);
          return outbox.close();
        },
      };
      outboxes.add(kept);
      return kept;
    },
    async close() {
      await Promise.all([...outboxes].map(outbox => outbox.close()));
      await admin.disconnect();
    },
  };
}

/** Of several topics, each has an error of its own. */
function firstOf(error: unknown): unknown {
  return (error as { errors?: unknown[] }).errors?.[0] ?? error;
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
