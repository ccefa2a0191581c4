/** One Kafka broker that is its own controller (KRaft), for tests and for trying things out: nothing is replicated. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { classPath } from './java.ts';
import { freePorts, type Launch } from './server.ts';

const LOG4J = fileURLToPath(new URL('log4j2.properties', import.meta.url));

/** Any will do: there is one cluster in each folder. */
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg';

function settings(dir: string, port: number, controllerPort: number): string {
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=${dir}/data
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.coordinator.threads=1
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
log.segment.delete.delay.ms=1000
`;
}

/** Writes its settings, and formats its storage where there is none. */
export function kafkaLaunch(java: string, dir: string, port: number, note: (text: string) => void): Launch {
  const jars = classPath('kafka', note);
  const path = join(dir, 'server.properties');
  mkdirSync(dir, { recursive: true });
  writeFileSync(path, settings(dir, port, freePorts(1)[0]!));
  const logging = `-Dlog4j2.configurationFile=${LOG4J}`;
  if (!existsSync(join(dir, 'data/meta.properties'))) {
    const tool = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', path];
    const words = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', logging, '-cp', jars, ...tool];
    const { exitCode, stdout, stderr } = Bun.spawnSync([java, ...words]);
    if (exitCode !== 0) throw new Error(`storage of Kafka cannot be made:\n${stdout.toString()}${stderr.toString()}`);
  }
  const heap = ['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'];
  const words = [...heap, '-Djava.awt.headless=true', `-Dkafka.logs.dir=${dir}`, logging, '-cp', jars, 'kafka.Kafka'];
  return { name: 'kafka', dir, port, java, words: [...words, path], ready: 'Kafka Server started' };
}
