import { beforeAll, describe, expect, test } from 'bun:test';
import Broker from 'kafkajs/src/broker/index.js';
import Cluster from 'kafkajs/src/cluster/index.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { mendDriver } from '../../src/source/mended.ts';

describe('the driver of Kafka', () => {
  beforeAll(mendDriver);

  test('hands out nothing that was sent in a transaction which was aborted', async () => {
    const send = Object.getOwnPropertySymbols(Broker.prototype).find(
      one => one.description === 'private:Broker:sendRequest',
    )!;
    const message = (offset: string) => {
      return { offset, key: null, isControlRecord: false, batchContext: { producerId: 'x', inTransaction: true } };
    };
    const end = (offset: string) => ({ ...message(offset), isControlRecord: true });
    const messages = [message('1'), end('2'), message('3'), end('4')];
    const partitions = [{ partition: 0, messages, abortedTransactions: [{ producerId: 'x', firstOffset: '1' }] }];
    const broker = {
      lookupRequest: () => () => {},
      [send]: async () => ({ responses: [{ topicName: 'e', partitions }] }),
    };
    const { responses } = await Broker.prototype.fetch.call(broker as unknown as Broker, { topics: [] } as never);
    const [of] = responses[0]!.partitions;
    expect(of!.messages.filter(({ isControlRecord }) => !isControlRecord).map(({ offset }) => offset)).toEqual(['3']);
    expect(of!.abortedTransactions).toEqual([]);
  });

  test('asks again where no broker says who coordinates a group: one may only just have begun', async () => {
    // What its pool says when all brokers have answered with errors, or were away.
    const silent = { brokerPool: { withBroker: async () => null } };
    const asked = Cluster.prototype.findGroupCoordinatorMetadata.call(silent as unknown as Cluster, { groupId: 'g' });
    const error = await asked.catch((failure: unknown) => failure);
    // The name makes it look at which brokers there are, and the flag makes it try again.
    expect(error).toMatchObject({ name: 'KafkaJSBrokerNotFound', retriable: true });
  });

  test('looks at what waits to be sent only where something waits', () => {
    const looked: unknown[] = [];
    const queueOf = (pending: object[]) =>
      Object.assign(Object.create(RequestQueue.prototype) as RequestQueue, {
        ...{ pending, throttledUntil: -1, throttleCheckTimeoutId: null },
        checkPendingRequests: () => looked.push(pending),
      });
    const [idle, busy] = [queueOf([]), queueOf([{}])];
    for (const queue of [idle, busy]) queue.scheduleCheckPendingRequests();
    expect([idle.throttleCheckTimeoutId, busy.throttleCheckTimeoutId !== null]).toEqual([null, true]);
    clearTimeout(busy.throttleCheckTimeoutId!);
    expect(looked).toEqual([]);
  });
});
