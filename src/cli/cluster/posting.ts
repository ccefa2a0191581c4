/** Events on their way into a cluster, from a server of it or from files. */
import type { Stages } from '../../base/stages.ts';
import { loadKernel } from '../../kernel/instance.ts';
import type { Broker } from '../../source/kafka.ts';
import { Post } from '../../work/post.ts';
import { codingOf, sourcesOf } from './cluster.ts';
import type { KafkaConfig } from '../config.ts';

/** @throws Fault `not_found` where there is no topic of events, and as `codingOf` */
export async function openPosting(
  broker: Broker,
  kafka: KafkaConfig,
  stages: Stages,
): Promise<{ post: Post; close(): Promise<void> }> {
  const partitionCount = await sourcesOf(broker, kafka);
  const coding = await codingOf(kafka);
  const sender = await broker.sender(kafka.events, partitionCount);
  const post = new Post({ door: await loadKernel(), sender, coding, stages }, process.pid % partitionCount);
  return { post, close: async () => sender.close() };
}
