/** What the driver of Kafka does wrong, put right in its own classes: once, for the whole process. */
import type Broker from 'kafkajs/src/broker/index.js';
import type Cluster from 'kafkajs/src/cluster/index.js';
import type RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { Fault } from '../base/fault.ts';
import { hideAborted } from './aborted.ts';

export async function mendDriver(): Promise<void> {
  const drivers = await Promise.all([
    import('kafkajs/src/broker/index.js'),
    import('kafkajs/src/cluster/index.js'),
    import('kafkajs/src/network/requestQueue/index.js'),
  ]);
  const [broker, cluster, queue] = drivers;
  mendFetches(broker.default);
  mendCoordinators(cluster.default);
  mendQueues(queue.default);
}

/** Whatever the driver fetches comes without messages of aborted transactions, which it does not tell reliably itself. */
function mendFetches({ prototype }: typeof Broker) {
  const { fetch } = prototype;
  prototype.fetch = async function (request) {
    const fetched = await fetch.call(this, request).catch((error: unknown) => {
      throw error instanceof Fault ? unreadable(error) : error;
    });
    for (const partition of fetched.responses.flatMap(({ partitions }) => partitions)) {
      hideAborted(partition.messages, partition.abortedTransactions ?? []);
      partition.abortedTransactions = [];
    }
    return fetched;
  };
}

/** The one kind of error that makes the driver give up: it would ask again and again for what it cannot read. */
function unreadable(cause: Fault): Error {
  return Object.assign(new Error(cause.message, { cause }), { name: 'KafkaJSNotImplemented' });
}

/**
 * Where no broker says who coordinates a group, it gives up for good, whatever they answered; but one that has just begun, or that
 * went away meanwhile, only has to be asked again. Under this name it does that, and looks at which brokers there are.
 */
function mendCoordinators({ prototype }: typeof Cluster) {
  const { findGroupCoordinatorMetadata } = prototype;
  prototype.findGroupCoordinatorMetadata = async function (request) {
    return findGroupCoordinatorMetadata.call(this, request).catch((error: Error) => {
      if (error.name !== 'KafkaJSGroupCoordinatorNotFound') throw error;
      throw Object.assign(error, { name: 'KafkaJSBrokerNotFound', retriable: true });
    });
  };
}

/** Each connection looks every millisecond whether a request waits that it may send now, where none waits at all. */
function mendQueues({ prototype }: typeof RequestQueue) {
  const { scheduleCheckPendingRequests } = prototype;
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) scheduleCheckPendingRequests.call(this);
  };
}
