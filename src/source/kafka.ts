import type { Admin, Consumer, EachBatchPayload, Kafka, Producer } from 'kafkajs';
import { Fault } from '../base/fault.ts';
import { type Given, Lost, type Message, type Outbox, type Outgoing, type Owner, type Progress } from './partition.ts';

/** A group member that has said nothing for so long loses its partitions. */
export const SESSION_MS = 6_000;
const HEARTBEAT_MS = 500;
/** How long a fetch waits for messages: an idle one keeps its consumer from seeking and leaving. */
const FETCH_WAIT_MS = 100;
/** Partitions whose messages are taken at the same time: a transaction is mostly waited for. */
const PARTITIONS_AT_ONCE = 4;
/** Of one partition, in one go: what is made of it has to fit into one transaction. */
const FETCH_BYTES = 1 << 20;
/** A transaction of a process that has died holds up readers for so long. */
const TRANSACTION_MS = 10_000;
/** Waits are short and many: a broker mostly is ready a few milliseconds later. */
const RETRY = { initialRetryTime: 5, multiplier: 1.5, factor: 0, maxRetryTime: 500, retries: 30 };
const CONNECT_MS = 5_000;

export interface Topic {
  name: string;
  partitions: number;
  replicas: number;
  settings: Record<string, string>;
}

export interface GroupSettings {
  group: string;
  topic: string;
  /** Called for each partition whenever the group has dealt them out anew. */
  own: (given: Given) => Promise<Owner>;
  /** Called with all that are this one's now, before `own` is for any of them. */
  dealt: (partitions: number[]) => void;
  /** What is neither a lost partition nor a broker that is away for a while. */
  onFailure: (error: unknown) => void;
}

export interface Member {
  /** Commits how far a partition has come; false where it is no longer this one's, and nothing was committed. */
  commit(partition: number, progress: Progress): Promise<boolean>;
  /** Leaves the group when what is being taken has been. */
  stop(): Promise<void>;
}

/** A broker of Kafka or Redpanda. */
export interface Broker {
  /** How many partitions a topic has; null where there is none. */
  partitionsOf(topic: string): Promise<number | null>;
  makeTopic(topic: Topic): Promise<void>;
  join(settings: GroupSettings): Promise<Member>;
  /** @param id the same for whoever sends what is made of the same partition */
  outbox(id: string, of: { group: string; topic: string; partition: number }): Promise<Outbox>;
  close(): Promise<void>;
}

/** @throws Fault `busy` where no broker answers */
export async function openKafka(brokers: string[]): Promise<Broker> {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';
  // Whoever works with a folder alone need not wait for it.
  const { Kafka, logLevel } = (await import('kafkajs')).default;
  const settings = { clientId: 'tilefold', brokers, logLevel: logLevel.NOTHING, connectionTimeout: CONNECT_MS };
  const kafka = new Kafka({ ...settings, retry: RETRY });
  const admin = kafka.admin();
  await admin.connect().catch((error: Error) => {
    throw new Fault('busy', `Kafka at ${brokers.join(', ')} does not answer: ${error.message}`);
  });
  const producers: Producer[] = [];
  return {
    partitionsOf: topic => partitionsOf(admin, topic),
    async makeTopic({ name, partitions, replicas, settings }) {
      const configEntries = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
      const topic = { topic: name, numPartitions: partitions, replicationFactor: replicas, configEntries };
      await admin.createTopics({ waitForLeaders: true, topics: [topic] });
    },
    join: group => join(kafka, admin, group),
    outbox: (id, of) => openOutbox(kafka, producers, id, of),
    async close() {
      await Promise.all(producers.map(producer => producer.disconnect()));
      await admin.disconnect();
    },
  };
}

async function partitionsOf(admin: Admin, topic: string): Promise<number | null> {
  if (!(await admin.listTopics()).includes(topic)) return null;
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return topics[0]!.partitions.length;
}

/** Errors of the driver, some of them inside others, and what the broker calls them. */
function typeOf(error: unknown): string {
  const { type, cause, originalError } = error as { type?: string; cause?: unknown; originalError?: unknown };
  return type ?? (cause ? typeOf(cause) : originalError ? typeOf(originalError) : '');
}

function isOfKafka(error: unknown): boolean {
  return error instanceof Error && error.name.startsWith('KafkaJS');
}

async function join(
  kafka: Kafka,
  admin: Admin,
  { group, topic, own, dealt, onFailure }: GroupSettings,
): Promise<Member> {
  const consumer: Consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: SESSION_MS,
    rebalanceTimeout: SESSION_MS,
    heartbeatInterval: HEARTBEAT_MS,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    maxBytesPerPartition: FETCH_BYTES,
    retry: { ...RETRY, restartOnFailure: async () => true },
  });
  /** Of the last deal; `isSought`: it has been told where to begin. */
  const owners = new Map<number, { owner: Owner; deal: number; isSought: boolean }>();
  let deal = 0;
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    deal++;
    dealt(payload.memberAssignment[topic] ?? []);
  });

  const lowOf = async (partition: number) => {
    const offsets = await admin.fetchTopicOffsets(topic);
    return BigInt(offsets.find(one => one.partition === partition)!.low);
  };
  const committedOf = async (partition: number): Promise<Progress | null> => {
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    const { offset = '-1', metadata = null } = found?.partitions.find(one => one.partition === partition) ?? {};
    return offset === '-1' ? null : { next: BigInt(offset), note: metadata ?? '' };
  };
  const ownerOf = async (partition: number) => {
    const held = owners.get(partition);
    if (held?.deal === deal) return held;
    const given = { partition, low: await lowOf(partition), committed: () => committedOf(partition) };
    const dealt = deal;
    const next = { owner: await own(given), deal: dealt, isSought: false };
    owners.set(partition, next);
    return next;
  };

  /** Of each partition one batch at a time, even where another deal comes while one is being taken. */
  const turns = new Map<number, Promise<void>>();
  function eachBatch(payload: EachBatchPayload): Promise<void> {
    const { partition } = payload.batch;
    const done = (turns.get(partition) ?? Promise.resolve()).then(() => takeBatch(payload));
    turns.set(
      partition,
      done.catch(() => {}),
    );
    return done;
  }

  async function takeBatch({ batch, resolveOffset, heartbeat, isStale }: EachBatchPayload): Promise<void> {
    const { partition } = batch;
    try {
      const held = await ownerOf(partition);
      const { next } = held.owner;
      const first = BigInt(batch.firstOffset()!);
      // Behind the first time, only what a broker keeps for itself may lie between.
      if (first !== next && (!held.isSought || first < next)) {
        held.isSought = true;
        consumer.seek({ topic, partition, offset: String(next) });
        return;
      }
      if (first > next && (await lowOf(partition)) > next) throw leftBehind(topic, partition, next);
      held.isSought = true;
      if (isStale()) return;
      await held.owner.take(batch.messages.map(messageOf), BigInt(batch.lastOffset()) + 1n);
      resolveOffset(batch.messages.at(-1)!.offset);
      await heartbeat();
    } catch (error) {
      if (error instanceof Lost) {
        owners.delete(partition);
        // Where this one is no longer of the group, it throws, and joins anew.
        await heartbeat();
        return;
      }
      if (!isOfKafka(error)) onFailure(error);
      throw error;
    }
  }

  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
    eachBatch,
  });
  return {
    async commit(partition, { next, note }) {
      try {
        await consumer.commitOffsets([{ topic, partition, offset: String(next), metadata: note }]);
        return true;
      } catch (error) {
        if (isOfKafka(error)) return false;
        throw error;
      }
    },
    stop: () => consumer.disconnect(),
  };
}

/** What the broker no longer has cannot be made up for. */
export function leftBehind(topic: string, partition: number, next: bigint): Fault {
  const what = `partition ${partition} of ${topic} was read up to offset ${next}, and the broker no longer has what follows`;
  return new Fault('expired', `${what}: retention of the topic has to be longer than its readers are away`);
}

function messageOf({ offset, timestamp, value }: EachBatchPayload['batch']['messages'][number]): Message {
  return { offset: BigInt(offset), timestampMs: Number(timestamp), value: value ?? new Uint8Array(0) };
}

async function openOutbox(
  kafka: Kafka,
  producers: Producer[],
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
  await producer.connect();
  producers.push(producer);
  // Only a transaction makes the driver ask for its number, which is what fences others; this one has nothing in it.
  const first = await producer.transaction();
  await first.abort();

  async function send(messages: Outgoing[], { next, note }: Progress): Promise<void> {
    try {
      const transaction = await producer.transaction();
      if (messages.length > 0) await transaction.sendBatch({ topicMessages: byTopic(messages) });
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
      producers.splice(producers.indexOf(producer), 1);
      await producer.disconnect();
    },
  };
}

function byTopic(messages: Outgoing[]) {
  const topics = Map.groupBy(messages, ({ topic }) => topic);
  return [...topics].map(([topic, of]) => ({
    topic,
    messages: of.map(({ partition, value }) => ({
      partition,
      value: Buffer.from(value.buffer, value.byteOffset, value.length),
    })),
  }));
}
