/** Events on their way to the partitions of a topic. What waits while others are sent goes out with the next ones. */
import type { Kafka, Producer } from 'kafkajs';
import { Fault } from '../base/fault.ts';
import { isOfKafka, typeOf } from './broker_error.ts';

/** What is made of one call: below what a broker takes unless it is told to. */
const SEND_BYTES = 768 << 10;

/** Of all partitions, waiting and under way: what comes then is told to come again. */
const WAITING_MAX_BYTES = 32 << 20;

const ALL_REPLICAS = -1;

export interface Sender {
  partitionCount: number;
  /**
   * Sends messages of one partition, behind all that were sent before. When it resolves, all replicas in sync have them.
   *
   * @throws Fault `busy` where too much waits already, or where no broker takes them: then some may be there all the same;
   *   `too_large` for a message that the topic does not take
   */
  send(partition: number, messages: Uint8Array[]): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  messages: Uint8Array[];
  bytes: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export async function openSender(kafka: Kafka, topic: string, partitionCount: number): Promise<Sender> {
  let waitingBytes = 0;
  /** Of each partition that is being sent to, what waits. */
  const queues = new Map<number, Waiting[]>();
  let producer: Promise<Producer> | null = null;

  function producing(): Promise<Producer> {
    producer ??= openProducer(kafka);
    return producer;
  }

  async function send(partition: number, messages: Uint8Array[]): Promise<void> {
    const bytes = messages.reduce((sum, { length }) => sum + length, 0);
    if (waitingBytes + bytes > WAITING_MAX_BYTES)
      throw new Fault('busy', `${waitingBytes} bytes of events wait for Kafka already; ask again in a moment`);
    waitingBytes += bytes;
    try {
      await Promise.all(partsOf(messages).map(part => queued(partition, part)));
    } finally {
      waitingBytes -= bytes;
    }
  }

  function queued(partition: number, { messages, bytes }: Pick<Waiting, 'messages' | 'bytes'>): Promise<void> {
    return new Promise((resolve, reject) => {
      const one = { messages, bytes, resolve, reject };
      const queue = queues.get(partition);
      if (queue) queue.push(one);
      else {
        queues.set(partition, [one]);
        void drain(partition);
      }
    });
  }

  async function drain(partition: number): Promise<void> {
    const queue = queues.get(partition)!;
    while (queue.length > 0) {
      let [count, bytes] = [1, queue[0]!.bytes];
      while (count < queue.length && bytes + queue[count]!.bytes <= SEND_BYTES) bytes += queue[count++]!.bytes;
      const going = queue.splice(0, count);
      try {
        await sendNow(
          partition,
          going.flatMap(({ messages }) => messages),
        );
        for (const { resolve } of going) resolve();
      } catch (error) {
        for (const { reject } of going) reject(error);
      }
    }
    queues.delete(partition);
  }

  async function sendNow(partition: number, values: Uint8Array[]): Promise<void> {
    const messages = values.map(value => ({
      partition,
      value: Buffer.from(value.buffer, value.byteOffset, value.length),
    }));
    const used = producing();
    try {
      await (await used).send({ topic, acks: ALL_REPLICAS, messages });
    } catch (error) {
      // Whether the broker has them is not known. Under the same numbers it would take the next ones for these.
      if (producer === used) producer = null;
      void used.then(one => one.disconnect()).catch(() => {});
      throw faultOf(error);
    }
  }

  await producing().catch(error => {
    throw faultOf(error);
  });
  return {
    partitionCount,
    send,
    close: async () => (await producer)?.disconnect(),
  };

  function faultOf(error: unknown): unknown {
    if (!isOfKafka(error)) return error;
    if (typeOf(error) === 'MESSAGE_TOO_LARGE')
      return new Fault(
        'too_large',
        `the topic ${topic} does not take as much as one event of the body (${error.message})`,
      );
    return new Fault('busy', `Kafka does not take events for ${topic}: ${error.message}`);
  }
}

async function openProducer(kafka: Kafka): Promise<Producer> {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
  await producer.connect();
  return producer;
}

/** Messages that go out together; one that is larger than that goes alone. */
function partsOf(messages: Uint8Array[]): Pick<Waiting, 'messages' | 'bytes'>[] {
  const parts: Pick<Waiting, 'messages' | 'bytes'>[] = [];
  for (const message of messages) {
    const last = parts.at(-1);
    if (last && last.bytes + message.length <= SEND_BYTES) {
      last.messages.push(message);
      last.bytes += message.length;
    } else parts.push({ messages: [message], bytes: message.length });
  }
  return parts;
}
