/** Processes of a cluster that a benchmark starts, what they work on, and how far they have come. */
import { closeSync, openSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { compileFolder } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { type Cassandra, openCassandra } from '../../src/store/cassandra.ts';
import { keptTables } from '../../src/store/cql.ts';
import type { Addresses } from '../cluster.ts';

/** Of events, and of changes. */
export const PARTITIONS = 2;
/** Lines of one message, and of what is sent at once: as servers of a cluster send them. */
const MESSAGE_BYTES = 64 << 10;
const SEND_BYTES = 768 << 10;

/** A process that has not begun, or has not come to the end, by then never will. */
const START_MAX_MS = 120_000;
const WAIT_MAX_MS = 600_000;
/** How often a process is asked how far it is, and how often that is told. */
const LOOK_EVERY_MS = 200;
const TELL_EVERY_MS = 5_000;
/** Of what a process that has ended said last. */
const SAID_SHOWN = 2_000;

export interface Input {
  name: string;
  /** A folder. */
  definitions: string;
  lines: string[];
}

export interface Process {
  url: string;
  pid: number;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** A topic and a keyspace of their own. */
export interface Place {
  keyspace: string;
  topic: string;
  /** The path of a configuration. */
  config: string;
}

/** Topics, keyspaces and processes of one input. */
export class Working {
  #count = 0;

  private constructor(
    readonly dir: string,
    private readonly servers: Addresses,
    readonly input: Input,
    private readonly program: string[],
    readonly kafka: Kafka,
    private readonly producer: Producer,
    readonly plan: Plan,
  ) {}

  static async open(dir: string, servers: Addresses, input: Input, program: string[]): Promise<Working> {
    await mkdir(dir, { recursive: true });
    const kafka = new Kafka({ brokers: [servers.kafka], logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const plan = await compileFolder(input.definitions, { latenessMs: 3_600_000 });
    return new Working(dir, servers, input, program, kafka, producer, plan);
  }

  async close(): Promise<void> {
    await this.producer.disconnect();
  }

  /** @param given a topic that has events already */
  async place(given: string | null = null): Promise<Place> {
    const keyspace = `${this.input.name}${++this.#count}`;
    const topic = given ?? keyspace;
    if (given === null) await this.makeTopic(topic);
    await (await this.store(keyspace)).close();
    const changelog = { topic: `${keyspace}.changes`, partitions: PARTITIONS, replicas: 1 };
    const config = join(this.dir, `${keyspace}.yaml`);
    const settings = {
      log: { clock: 'event' },
      definitions: this.input.definitions,
      scylla: { hosts: [this.servers.cassandra], keyspace, replicas: 1 },
      kafka: { brokers: [this.servers.kafka], events: topic, group: keyspace, changelog },
    };
    await writeFile(config, JSON.stringify(settings));
    return { keyspace, topic, config };
  }

  async makeTopic(topic: string): Promise<void> {
    const admin = this.kafka.admin();
    await admin.connect();
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: PARTITIONS }] });
    await admin.disconnect();
  }

  /** Its tables are there. */
  async store(name: string): Promise<Cassandra> {
    const keyspace = { name, datacenter: 'datacenter1', replicas: 1 };
    const store = await openCassandra({ hosts: [this.servers.cassandra], keyspace, user: null });
    await store.makeTables(keptTables(this.plan));
    return store;
  }

  async start({ keyspace, config }: Place, verb: string, words: string[] = []): Promise<Process> {
    const path = join(this.dir, `${keyspace}-${verb}.log`);
    const fd = openSync(path, 'w');
    const command = [...this.program, '--config', config, verb, '--port', '0', ...words];
    const child = Bun.spawn(command, { stdin: 'ignore', stdout: fd, stderr: fd });
    closeSync(fd);
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    const endMs = performance.now() + START_MAX_MS;
    let url: string | undefined;
    for (;;) {
      const said = await Bun.file(path).text();
      url = / on (http:\S+)\n/.exec(said)?.[1]?.replace('localhost', '127.0.0.1');
      // It listens before it has found its servers.
      if (url && (await fetch(`${url}/readyz`).catch(() => null))?.ok) break;
      if (child.exitCode !== null || performance.now() > endMs)
        throw new Error(`${verb} did not begin: ${said.slice(-SAID_SHOWN)}`);
      await Bun.sleep(LOOK_EVERY_MS);
    }
    const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
      child.kill(signal);
      await child.exited;
      process.off('exit', kill);
    };
    return { url, pid: child.pid, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
  }

  async send(topic: string, lines: string[]): Promise<void> {
    for (const [i, values] of sendsOf(lines).entries())
      await this.producer.send({ topic, messages: values.map(value => ({ partition: i % PARTITIONS, value })) });
  }

  /** Waits until so many events are in rows that can be read, and says now and then how far that is. */
  async until({ url }: Process, events: number): Promise<void> {
    const startMs = performance.now();
    for (let toldMs = startMs; ; ) {
      const text = await metricsOf(url);
      const [tiled, changes, rows, coalesced] = [
        ...['events_tiled_total', 'changes_folded_total', 'barrier_rows_total', 'changes_coalesced_total'],
      ].map(name => countOf(text, name)) as [number, number, number, number];
      const lags = ['tile', 'fold'].map(stage => countOf(text, `lag_messages{stage="${stage}"}`));
      const nowMs = performance.now();
      // A change is in a row that was written, alone or with others.
      if (tiled === events && lags.every(lag => lag === 0) && changes === rows + coalesced) return;
      const far = `${tiled} of ${events} events tiled, ${changes} changes folded, ${rows} rows written, ${lags.join(' and ')} messages wait`;
      if (nowMs > startMs + WAIT_MAX_MS) throw new Error(`after ${WAIT_MAX_MS / 1000} s: ${far}`);
      if (nowMs > toldMs + TELL_EVERY_MS) {
        console.error(`bench:   ${Math.round((nowMs - startMs) / 1000)} s: ${far}`);
        toldMs = nowMs;
      }
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }
}

/** Values of messages, so many as are sent together. */
export function sendsOf(lines: string[]): string[][] {
  const sends: string[][] = [[]];
  let [message, bytes] = ['', 0];
  const put = () => {
    if (bytes + message.length > SEND_BYTES) {
      sends.push([]);
      bytes = 0;
    }
    sends.at(-1)!.push(message);
    bytes += message.length;
    message = '';
  };
  for (const line of lines) {
    if (message.length + line.length > MESSAGE_BYTES) put();
    message += message === '' ? line : `\n${line}`;
  }
  if (message !== '') put();
  return sends;
}

export async function metricsOf(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

export function countOf(metrics: string, name: string): number {
  const line = metrics.split('\n').find(each => each.startsWith(`tilefold_${name} `));
  return Number(line?.split(' ').at(-1));
}
