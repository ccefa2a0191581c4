/** What a partition has now, from an offset on, for whoever looks at it and is of no group: the driver reads for groups alone. */
import type { Admin, Kafka } from 'kafkajs';
import type Cluster from 'kafkajs/src/cluster/index.js';
import { assert } from '../base/assert.ts';
import { faultOf, isOfKafka } from './broker_error.ts';

export interface Stored {
  offset: bigint;
  value: Uint8Array;
}

/** Of one reply; what is packed may be more. */
const FETCH_BYTES = 1 << 20;
const READ_COMMITTED = 1;
const METADATA_MS = 300_000;

/** In order, a lot at a time, up to where the partition ends when it is asked. @throws Fault */
export async function* stored(kafka: Kafka, admin: Admin, topic: string, from: bigint): AsyncGenerator<Stored[]> {
  const cluster = clusterOf(kafka);
  try {
    const { low, high } = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === PARTITION)!;
    let next = from < BigInt(low) ? BigInt(low) : from;
    await cluster.connect();
    await cluster.addTargetTopic(topic);
    while (next < BigInt(high)) {
      const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [PARTITION]));
      const broker = await cluster.findBroker({ nodeId: nodeId! });
      const asked = { partition: PARTITION, fetchOffset: String(next), maxBytes: FETCH_BYTES };
      const request = { isolationLevel: READ_COMMITTED, maxBytes: FETCH_BYTES, maxWaitTime: 100 };
      const { responses } = await broker.fetch({ ...request, topics: [{ topic, partitions: [asked] }] });
      const { messages } = responses[0]!.partitions[0]!;
      const last = messages.at(-1);
      // Of a transaction that is not ended yet nothing is handed out, nor of what comes behind it.
      if (!last) return;
      const read = messages.filter(({ offset, isControlRecord }) => BigInt(offset) >= next && !isControlRecord);
      yield read.map(({ offset, value }) => ({ offset: BigInt(offset), value: value ?? new Uint8Array(0) }));
      next = BigInt(last.offset) + 1n;
    }
  } catch (error) {
    throw isOfKafka(error) ? faultOf(error, `${topic} is read`) : error;
  } finally {
    await cluster.disconnect();
  }
}

/** Topics that are read so have one. */
const PARTITION = 0;

/** As the driver makes one for each of its consumers, by a method that it keeps to itself. */
function clusterOf(kafka: Kafka): Cluster {
  const make = Object.getOwnPropertySymbols(kafka).find(one => one.description === 'private:Kafka:createCluster');
  assert(make, 'the driver makes clusters');
  const making = kafka as unknown as Record<symbol, (settings: object) => Cluster>;
  return making[make]!({ metadataMaxAge: METADATA_MS, allowAutoTopicCreation: false, isolationLevel: READ_COMMITTED });
}
