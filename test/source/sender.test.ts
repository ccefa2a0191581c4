import { describe, expect, test } from 'bun:test';
import type { Kafka } from 'kafkajs';
import { Fault } from '../../src/base/fault.ts';
import { openSender } from '../../src/source/sender.ts';

interface Sent {
  producer: number;
  partition: number;
  values: string[];
}

/** A broker that takes what it is told to take, when it is told to. */
function brokerOf() {
  const sent: Sent[] = [];
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let producers = 0;
  const kafka = {
    producer() {
      const producer = ++producers;
      return {
        async connect() {},
        async disconnect() {},
        send({ messages }: { messages: { partition: number; value: Buffer }[] }) {
          sent.push({ producer, partition: messages[0]!.partition, values: messages.map(one => one.value.toString()) });
          return new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
        },
      };
    },
  } as unknown as Kafka;
  return { kafka, sent, waiting };
}

const bytes = (text: string) => new TextEncoder().encode(text);
/** Long enough for what is ready to go out. */
const soon = () => new Promise(resolve => setImmediate(resolve));

describe('events on their way', () => {
  test('of one partition go one after the other, and what waits goes together', async () => {
    const { kafka, sent, waiting } = brokerOf();
    const sender = await openSender(kafka, 'events', 2);
    const done: string[] = [];
    for (const name of ['a', 'b', 'c']) void sender.send(0, [bytes(name)]).then(() => done.push(name));
    void sender.send(1, [bytes('d'), bytes('e')]).then(() => done.push('d'));
    await soon();
    expect(sent.map(({ partition, values }) => [partition, ...values])).toEqual([
      [0, 'a'],
      [1, 'd', 'e'],
    ]);
    waiting[1]!.resolve();
    waiting[0]!.resolve();
    await soon();
    await soon();
    expect(done.sort()).toEqual(['a', 'd']);
    expect(sent[2]).toEqual({ producer: 1, partition: 0, values: ['b', 'c'] });
    waiting[2]!.resolve();
    await soon();
    await soon();
    expect(done.sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a failure is told to those whose events it was, and numbers of what may be there are not used again', async () => {
    const { kafka, sent, waiting } = brokerOf();
    const sender = await openSender(kafka, 'events', 1);
    const first = sender.send(0, [bytes('a')]);
    const second = sender.send(0, [bytes('b')]);
    await soon();
    waiting[0]!.reject(Object.assign(new Error('no answer'), { name: 'KafkaJSNumberOfRetriesExceeded' }));
    await expect(first).rejects.toThrow('Kafka does not take events for events: no answer');
    await soon();
    expect(sent.map(({ producer, values }) => [producer, ...values])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    waiting[1]!.resolve();
    await second;
    const third = sender.send(0, [bytes('c')]);
    await soon();
    waiting[2]!.reject(Object.assign(new Error('large'), { name: 'KafkaJSProtocolError', type: 'MESSAGE_TOO_LARGE' }));
    expect((await third.catch((error: Fault) => error)) as Fault).toMatchObject({ code: 'too_large' });
  });

  test('too much of them is refused at once, until there is room', async () => {
    const { kafka, waiting } = brokerOf();
    const sender = await openSender(kafka, 'events', 4);
    const large = new Uint8Array(8 << 20);
    const taken = [0, 1, 2, 3].map(partition => sender.send(partition, [large]));
    const refused = await sender.send(0, [bytes('a')]).catch((error: Fault) => error);
    expect(refused).toBeInstanceOf(Fault);
    expect(refused).toMatchObject({ code: 'busy' });
    await soon();
    for (const { resolve } of waiting) resolve();
    await Promise.all(taken);
    const after = sender.send(0, [bytes('a')]);
    await soon();
    waiting.at(-1)!.resolve();
    await after;
  });
});
