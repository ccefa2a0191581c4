/**
 * A Kafka broker and a Cassandra node on this machine, of the jars that Maven Central has, without Docker:
 *
 *   bun scripts/cluster.ts up [--kafka PORT] [--cassandra PORT]     starts what is not running; ports are free ones where none is given
 *   bun scripts/cluster.ts status [--json]                          where they are, as variables of a shell
 *   bun scripts/cluster.ts topic NAME PARTITIONS                    makes a topic of this Kafka
 *   bun scripts/cluster.ts down                                     stops them; what they hold stays, for the next `up`
 *   bun scripts/cluster.ts fetch                                    only fetches the jars
 *
 * All of it lies in .cache/cluster.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openKafka } from '../src/source/kafka.ts';
import { cassandraLaunch } from './cluster/cassandra.ts';
import { CLUSTER_DIR, classPath, findJava } from './cluster/java.ts';
import { kafkaLaunch } from './cluster/kafka.ts';
import type { Security } from './cluster/security.ts';
import { findServer, freePorts, type Server, startServer, stopServer } from './cluster/server.ts';

/** `host:port` of each. */
export interface Addresses {
  kafka: string;
  cassandra: string;
}

/** The variables that say where servers are which somebody else has started. */
export const VARIABLES = { kafka: 'TILEFOLD_KAFKA', cassandra: 'TILEFOLD_CASSANDRA' } as const;

const LAUNCHES = { kafka: kafkaLaunch, cassandra: cassandraLaunch };
const NAMES = ['kafka', 'cassandra'] as const;
/** One broker on one machine holds a file and more for each. */
const TOPIC_PARTITIONS_MAX = 100;

export interface ClusterSettings {
  /** Each server has a folder of its own in it. */
  dir: string;
  /** Free ones where none are given. */
  ports?: Partial<Record<Server['name'], number>>;
  /** They end with this process. */
  isTied: boolean;
  note: (text: string) => void;
  /** What clients have to bring; anybody may do anything where it is left out. */
  security?: Security;
}

/**
 * Starts those servers that a folder has not running, and resolves when all serve.
 *
 * @throws Error that says what is missing where they cannot be started
 */
export async function startCluster({ dir, ports = {}, isTied, note, security }: ClusterSettings): Promise<Addresses> {
  const found = findJava();
  if ('missing' in found) throw new Error(found.missing);
  const free = freePorts(NAMES.length);
  const start = async (name: Server['name'], i: number) => {
    const folder = join(dir, name);
    const running = findServer(folder);
    if (running) return running.address;
    const launch = LAUNCHES[name](found.java, folder, ports[name] ?? free[i]!, note, security);
    return (await startServer(launch, isTied)).address;
  };
  const [kafka, cassandra] = await Promise.all(NAMES.map(start));
  return { kafka: kafka!, cassandra: cassandra! };
}

/** Stops those servers of a folder that are running. */
export async function stopCluster(dir: string): Promise<Server[]> {
  const servers = runningIn(dir);
  await Promise.all(servers.map(server => stopServer(server, join(dir, server.name))));
  return servers;
}

function runningIn(dir: string): Server[] {
  return NAMES.map(name => findServer(join(dir, name))).filter(server => server !== null);
}

/** @throws Error where no broker of ours is running, or there is such a topic */
async function makeTopic(name: string, partitionsText: string): Promise<void> {
  const partitions = Number(partitionsText);
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > TOPIC_PARTITIONS_MAX)
    throw new Error(`topic ${name}: got ${partitionsText}, wanted 1 to ${TOPIC_PARTITIONS_MAX} partitions`);
  const server = findServer(join(CLUSTER_DIR, 'kafka'));
  if (!server) throw new Error('no Kafka is running here: `up` starts one');
  const broker = await openKafka([server.address]);
  try {
    const found = await broker.partitionsOf(name);
    if (found !== null) throw new Error(`topic ${name} is there, with ${found} partitions`);
    await broker.makeTopic({ name, partitions, replicas: 1, settings: {} });
  } finally {
    await broker.close();
  }
}

function portOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new Error(`--${name}: got ${text}, wanted a port from 1 to 65535`);
  return port;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { kafka: { type: 'string' }, cassandra: { type: 'string' }, json: { type: 'boolean' } },
  });
  const note = (text: string) => console.error(text);
  /** Lines that a shell takes, quoted or not: `eval "$(bun scripts/cluster.ts up)"`. */
  const tell = (servers: Server[]) => {
    if (values.json) console.log(JSON.stringify(servers));
    else for (const { name, address } of servers) console.log(`export ${VARIABLES[name]}=${address}`);
  };
  const ports = { kafka: portOf('kafka', values.kafka), cassandra: portOf('cassandra', values.cassandra) };
  const [verb, ...words] = positionals;
  if (verb === 'topic' && words.length === 2) return makeTopic(words[0]!, words[1]!);
  switch (positionals.join(' ')) {
    case 'up':
      await startCluster({ dir: CLUSTER_DIR, ports: ports as ClusterSettings['ports'] & {}, isTied: false, note });
      return tell(runningIn(CLUSTER_DIR));
    case 'status':
      return tell(runningIn(CLUSTER_DIR));
    case 'down':
      for (const { name, pid } of await stopCluster(CLUSTER_DIR)) note(`stopped ${name}, pid ${pid}`);
      return;
    case 'fetch':
      for (const name of NAMES) classPath(name, note);
      return;
    default:
      throw new Error(`got \`${positionals.join(' ')}\`, wanted up, down, status, topic NAME PARTITIONS or fetch`);
  }
}

if (import.meta.main) {
  await main().catch((error: Error) => {
    console.error(error.message);
    process.exit(1);
  });
}
