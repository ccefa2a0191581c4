import { beforeAll, describe, expect, test } from 'bun:test';
import Cluster from 'kafkajs/src/cluster/index.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { mendDriver } from '../../src/source/mended.ts';

describe('the driver of Kafka', () => {
  beforeAll(mendDriver);

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
