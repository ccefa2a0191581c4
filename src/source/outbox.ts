/** What one source partition sends, all of it or nothing, and what became of it where the broker does not say that it was done. */
import type { Kafka, RecordMetadata } from 'kafkajs';
import { isFenced, isOfKafka, refusalOf, typeOf } from './broker_error.ts';
import { ARRIVED } from './group.ts';
import { Lost, type Outbox, type Outgoing, type Placed, type Progress, Unsure } from './partition.ts';

/** A transaction of a process that has died holds up readers for so long. */
const TRANSACTION_MS = 10_000;

/** Of a transaction, in one go: what goes to one partition is one batch there, and brokers take a MiB. */
const SEND_BYTES = 768 << 10;
/** What a message takes beside its value, or a little less. */
const MESSAGE_BYTES = 32;

/**
 * Opens it, and with that shuts out whoever has opened the same before.
 *
 * @throws Fault what no waiting helps against, Unsure where the broker does not answer
 */
export async function openOutbox(
  kafka: Pick<Kafka, 'producer'>,
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
  try {
    await producer.connect();
    // Only a transaction makes the driver ask for its number, which is what fences others; this one has nothing in it.
    const first = await producer.transaction();
    await first.abort();
  } catch (error) {
    await producer.disconnect().catch(() => {});
    throw said(error, `${transactionalId} begins to send`);
  }

  /** The driver does not end what has failed: nothing more is sent here. */
  let failure: unknown = null;

  async function send(messages: Outgoing[], { next, note }: Progress): Promise<Placed[]> {
    if (failure !== null) throw failure;
    const last = new Map<string, Placed>();
    try {
      const transaction = await producer.transaction();
      for (const part of partsOf(messages)) {
        const told = await transaction.sendBatch({ topicMessages: byTopic(part) });
        for (const placed of placesOf(part, told)) last.set(`${placed.topic} ${placed.partition}`, placed);
      }
      const offset = { partition, offset: String(next), metadata: note };
      await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions: [offset] }] });
      await transaction.commit();
      return [...last.values()];
    } catch (error) {
      const topics = [...new Set(messages.map(({ topic }) => topic))].join(', ');
      failure = said(error, `${transactionalId} sends ${topics === '' ? 'an offset' : `to ${topics}`}`);
      throw failure;
    }
  }

  return { send, close: () => producer.disconnect() };
}

/** Whether a transaction was committed is for the broker to say: whoever opens the outbox anew asks where the group stands. */
function said(error: unknown, what: string): unknown {
  if (!isOfKafka(error)) return error;
  const text = `${what}: ${typeOf(error)} ${error.message}`;
  return isFenced(error) ? new Lost(text) : (refusalOf(error, what) ?? new Unsure(text));
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

/** What is sent together to a partition lies there in one piece: a broker says where that begins. */
function placesOf(messages: Outgoing[], told: RecordMetadata[]): Placed[] {
  return told.map(({ topicName: topic, partition, baseOffset }) => {
    const count = messages.filter(one => one.topic === topic && one.partition === partition).length;
    return { topic, partition, offset: BigInt(baseOffset!) + BigInt(count - 1) };
  });
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
