/** One Kafka broker that is its own controller (KRaft), for tests and for trying things out: nothing is replicated. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { classPath } from './java.ts';
import type { Security } from './security.ts';
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

/** Clients come by TLS, with a certificate and a password; the broker itself does not, to its own inner ports. */
function secured(port: number, innerPort: number, controllerPort: number, { ca, server, user }: Security): string {
  const login = 'org.apache.kafka.common.security';
  const scram = `${login}.scram.ScramLoginModule required;`;
  return `listeners=SASL_SSL://127.0.0.1:${port},INNER://127.0.0.1:${innerPort},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=SASL_SSL://127.0.0.1:${port},INNER://127.0.0.1:${innerPort}
listener.security.protocol.map=SASL_SSL:SASL_SSL,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INNER
ssl.keystore.type=PEM
ssl.keystore.location=${server}
ssl.truststore.type=PEM
ssl.truststore.location=${ca}
listener.name.sasl_ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=${login}.plain.PlainLoginModule required user_${user.name}="${user.password}";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=${scram}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=${scram}
`;
}

/** Writes its settings, and formats its storage where there is none. */
export function kafkaLaunch(
  java: string,
  dir: string,
  port: number,
  note: (text: string) => void,
  security: Security | null = null,
): Launch {
  const jars = classPath('kafka', note);
  const path = join(dir, 'server.properties');
  mkdirSync(dir, { recursive: true });
  const [controllerPort, innerPort] = freePorts(2) as [number, number];
  // Of a setting that is there twice the second one holds.
  const more = security ? secured(port, innerPort, controllerPort, security) : '';
  writeFileSync(path, settings(dir, port, controllerPort) + more);
  const logging = `-Dlog4j2.configurationFile=${LOG4J}`;
  if (!existsSync(join(dir, 'data/meta.properties'))) {
    const { name, password } = security?.user ?? {};
    const users = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap(mechanism =>
      security ? ['--add-scram', `${mechanism}=[name=${name},password=${password}]`] : [],
    );
    const tool = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', path, ...users];
    const words = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', logging, '-cp', jars, ...tool];
    const { exitCode, stdout, stderr } = Bun.spawnSync([java, ...words]);
    if (exitCode !== 0) throw new Error(`storage of Kafka cannot be made:\n${stdout.toString()}${stderr.toString()}`);
  }
  const heap = ['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'];
  const words = [...heap, '-Djava.awt.headless=true', `-Dkafka.logs.dir=${dir}`, logging, '-cp', jars, 'kafka.Kafka'];
  return { name: 'kafka', dir, port, java, words: [...words, path], ready: 'Kafka Server started' };
}
