/**
 * What a cluster does with its servers on the same cores: one process that tiles and folds, beside what the same servers take to be handed the
 * same events, to give them back, and to be written as many rows.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { compileFolder } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { keptLevels } from '../../src/plan/window.ts';
import { runOf } from '../../src/store/batch.ts';
import { openCassandra } from '../../src/store/cassandra.ts';
import { keptTables } from '../../src/store/cql.ts';
import { byAddress } from '../../src/store/sqlite.ts';
import type { Row as StoredRow } from '../../src/store/store.ts';
import { type Addresses, startCluster, stopCluster } from '../cluster.ts';
import type { Row } from './measure.ts';
import { loadOn, requestBody } from './serving.ts';

/** Of events, and of changes. */
const PARTITIONS = 2;
/** Lines of one message, and of what is sent at once: as servers of a cluster send them. */
const MESSAGE_BYTES = 64 << 10;
const SEND_BYTES = 768 << 10;
/** Rows that the bare writer writes at once: about what a barrier has. */
const WRITE_ROWS = 5_000;

const STEADY_SECONDS = 20;
const STEADY_EVERY_MS = 50;
const CONNECTIONS = 4;
const REQUESTS = 1_000;
/** Events whose keys are looked up. */
const SAMPLED = 10_000;
const WAIT_MAX_MS = 1_800_000;

export interface Input {
  name: string;
  /** A folder. */
  definitions: string;
  lines: string[];
}

/** @param steady events a second */
export async function clusterRows(inputs: Input[], steady: number, program: string[]): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'tilefold-bench-'));
  try {
    const servers = await startCluster({ dir, isTied: true, note: console.error });
    const rows: Row[] = [];
    for (const input of inputs) {
      const bench = await Bench.open(join(dir, input.name), servers, input, program);
      rows.push(...(await bench.thrown()));
      if (input === inputs.at(-1)) rows.push(await bench.steady(steady), ...(await bench.served()));
      await bench.close();
    }
    return rows;
  } finally {
    await stopCluster(dir);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Topics and keyspaces of one input. */
class Bench {
  #count = 0;

  private constructor(
    private readonly dir: string,
    private readonly servers: Addresses,
    private readonly input: Input,
    private readonly program: string[],
    private readonly kafka: Kafka,
    private readonly producer: Producer,
    private readonly plan: Plan,
  ) {}

  static async open(dir: string, servers: Addresses, input: Input, program: string[]): Promise<Bench> {
    await mkdir(dir, { recursive: true });
    const kafka = new Kafka({ brokers: [servers.kafka], logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const plan = await compileFolder(input.definitions, { latenessMs: 3_600_000 });
    return new Bench(dir, servers, input, program, kafka, producer, plan);
  }

  async close(): Promise<void> {
    await this.producer.disconnect();
  }

  /** All events at once, as fast as they go. */
  async thrown(): Promise<Row[]> {
    const { lines, name } = this.input;
    const place = await this.#place();
    const work = await this.#start(place.config, 'work');
    const startMs = performance.now();
    await this.#send(place.topic, lines);
    await this.#until(work.url, lines.length);
    const seconds = (performance.now() - startMs) / 1000;
    const written = await measured(work.url, 'barrier_rows_total');
    const memory = { ours: null, peer: null };
    await work.stop();
    const bare = await this.#bare(place.keyspace, written);
    const total = bare.produce + bare.consume + bare.write;
    const [each, others] = [written / lines.length, this.#rowsOfOthers()];
    const parts = Object.entries(bare).map(([what, took]) => `${what} ${took.toFixed(1)} s`);
    return [
      {
        ...{ work: `cluster, ${name}: events -> rows`, unit: 'events/s' as const, ours: lines.length / seconds },
        ...{ peer: { name: 'bare', value: lines.length / total }, goal: null, memory },
        note: `${lines.length} events, ${written} rows written in ${seconds.toFixed(1)} s; bare: ${parts.join(', ')}`,
      },
      {
        ...{ work: `cluster, ${name}: rows written`, unit: 'rows/event' as const, ours: each },
        ...{ peer: { name: 'a row for each feature and tile', value: others }, goal: 100, memory },
        note: `${this.plan.aggregates.length} aggregates, at the pace of the row above`,
      },
    ];
  }

  /** At a pace that it can hold: how old what can be read is. */
  async steady(rate: number): Promise<Row> {
    const place = await this.#place();
    const work = await this.#start(place.config, 'work');
    const { lines } = this.input;
    const each = Math.ceil((rate * STEADY_EVERY_MS) / 1000);
    let sent = 0;
    const startMs = performance.now();
    for (let n = 0; n * STEADY_EVERY_MS < STEADY_SECONDS * 1000; n++) {
      await Bun.sleep(Math.max(0, startMs + n * STEADY_EVERY_MS - performance.now()));
      const part = Array.from({ length: each }, (_, i) => lines[(sent + i) % lines.length]!);
      await this.#send(place.topic, part);
      sent += each;
    }
    const pace = sent / ((performance.now() - startMs) / 1000);
    await this.#until(work.url, sent);
    const [p50, p99] = [await quantile(work.url, 0.5), await quantile(work.url, 0.99)];
    await work.stop();
    return {
      ...{ work: `cluster: freshness, p99, ${Math.round(pace)} events/s`, unit: 'ms', ours: p99 * 1000 },
      ...{ peer: { name: 'goal', value: 3_000 }, goal: 1, memory: { ours: null, peer: null } },
      note: `p50 ${Math.round(p50 * 1000)} ms; from arrival until rows could be read, barrier 1 s, bounds of a histogram`,
    };
  }

  /** Lookups, alone and while another process begins from nothing with all events. */
  async served(): Promise<Row[]> {
    const place = await this.#place();
    const work = await this.#start(place.config, 'work');
    await this.#send(place.topic, this.input.lines);
    await this.#until(work.url, this.input.lines.length);
    await work.stop();
    const serve = await this.#start(place.config, 'serve', ['--grace', '0s', '--log-level', 'error']);
    const body = join(this.dir, 'lookup.json');
    await writeFile(body, requestBody(this.input.lines.slice(0, SAMPLED).join('\n')));
    const ask = () => loadOn(`${serve.url}/v1/features`, body, CONNECTIONS, REQUESTS);
    await ask();
    const alone = await ask();
    const cold = await this.#place(place.topic);
    const backfill = await this.#start(cold.config, 'work');
    const beside = await ask();
    await backfill.kill();
    await serve.kill();
    const row = (what: string, { p50Ms, p99Ms, seconds }: typeof alone): Row => ({
      ...{ work: `cluster, lookups: p99, ${what}`, unit: 'ms', ours: p99Ms, peer: null, goal: null },
      ...{ memory: { ours: null, peer: null } },
      note: `p50 ${p50Ms.toFixed(1)} ms, ${Math.round(REQUESTS / seconds)} requests/s over ${CONNECTIONS} connections`,
    });
    return [row('alone', alone), row('beside a cold backfill, 64 reads at once', beside)];
  }

  /** A topic of its own, unless one is given, and a keyspace. */
  async #place(given: string | null = null) {
    const keyspace = `${this.input.name}${++this.#count}`;
    const topic = given ?? keyspace;
    if (given === null) await this.#makeTopic(topic);
    await (await this.#store(keyspace)).close();
    const changelog = { topic: `${keyspace}.changes`, partitions: PARTITIONS, replicas: 1 };
    const config = join(this.dir, `${keyspace}.yaml`);
    await writeFile(
      config,
      JSON.stringify({
        log: { clock: 'event' },
        definitions: this.input.definitions,
        scylla: { hosts: [this.servers.cassandra], keyspace, replicas: 1 },
        kafka: { brokers: [this.servers.kafka], events: topic, group: keyspace, changelog },
      }),
    );
    return { keyspace, topic, config };
  }

  async #makeTopic(topic: string): Promise<void> {
    const admin = this.kafka.admin();
    await admin.connect();
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: PARTITIONS }] });
    await admin.disconnect();
  }

  async #store(name: string) {
    const keyspace = { name, datacenter: 'datacenter1', replicas: 1 };
    const store = await openCassandra({ hosts: [this.servers.cassandra], keyspace, user: null });
    await store.makeTables(keptTables(this.plan));
    return store;
  }

  async #start(config: string, verb: string, words: string[] = []) {
    const command = [...this.program, '--config', config, verb, '--port', '0', ...words];
    const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' });
    let said = '';
    for await (const chunk of child.stdout) {
      said += new TextDecoder().decode(chunk);
      if (/ on http:\S+\n/.test(said)) break;
    }
    const url = / on (http:\S+)\n/.exec(said)?.[1];
    if (url === undefined) throw new Error(`${verb} ended with ${await child.exited}: ${said}`);
    const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
      child.kill(signal);
      await child.exited;
    };
    return { url, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
  }

  async #send(topic: string, lines: string[]): Promise<void> {
    for (const [i, values] of sendsOf(lines).entries())
      await this.producer.send({ topic, messages: values.map(value => ({ partition: i % PARTITIONS, value })) });
  }

  /** Until so many events are in rows that can be read. */
  async #until(url: string, events: number): Promise<void> {
    const endMs = performance.now() + WAIT_MAX_MS;
    for (;;) {
      const text = await (await fetch(`${url}/metrics`)).text();
      const lag = ['tile', 'fold'].map(stage => countOf(text, `lag_messages{stage="${stage}"}`));
      const isFolded = lag.every(count => count === 0) && countOf(text, 'rows_dirty') === 0;
      if (countOf(text, 'events_tiled_total') === events && isFolded) return;
      if (performance.now() > endMs) throw new Error(`not folded after ${WAIT_MAX_MS / 1000} s`);
      await Bun.sleep(100);
    }
  }

  /** Seconds for the same events through a topic, and for as many rows into tables: those of a keyspace, again and again. */
  async #bare(keyspace: string, rowCount: number) {
    const topic = `${this.input.name}.bare`;
    await this.#makeTopic(topic);
    const [from, to] = [await this.#store(keyspace), await this.#store(`${this.input.name}_bare`)];
    const rows: StoredRow[] = [];
    for (const { levelMs } of keptTables(this.plan)) for await (const row of from.scan(levelMs)) rows.push(row);
    rows.sort(byAddress);
    const produce = await secondsOf(() => this.#send(topic, this.input.lines));
    const wanted = sendsOf(this.input.lines).flat().length;
    const consume = await secondsOf(() => this.#consume(topic, wanted));
    const write = await secondsOf(async () => {
      let stamp = 0n;
      for (let written = 0; written < rowCount; ) {
        const at = written % rows.length;
        const part = rows.slice(at, at + Math.min(WRITE_ROWS, rowCount - written));
        await to.writeRows(
          [...runOf(part)].map(bytes => bytes.slice()),
          { applied: 0n, stamp: ++stamp },
        );
        written += part.length;
      }
    });
    await from.close();
    await to.close();
    return { produce, consume, write };
  }

  async #consume(topic: string, wanted: number): Promise<void> {
    const consumer = this.kafka.consumer({ groupId: `${topic}.bare`, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const done = Promise.withResolvers<void>();
    let count = 0;
    await consumer.run({
      eachBatch: async ({ batch }) => {
        count += batch.messages.length;
        if (count >= wanted) done.resolve();
      },
    });
    await done.promise;
    await consumer.disconnect();
  }

  /** Of an event where each aggregate of each level of tiles has a row of its own, written with each event. */
  #rowsOfOthers(): number {
    return this.plan.aggregates.reduce((sum, aggregate) => sum + keptLevels(aggregate, this.plan).length, 0);
  }
}

/** Values of messages, so many as are sent together. */
function sendsOf(lines: string[]): string[][] {
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

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
}

function countOf(metrics: string, name: string): number {
  const line = metrics.split('\n').find(each => each.startsWith(`tilefold_${name} `));
  return Number(line?.split(' ').at(-1));
}

async function measured(url: string, name: string): Promise<number> {
  return countOf(await (await fetch(`${url}/metrics`)).text(), name);
}

/** Of the freshness: the upper bound of the bucket that has it, in seconds. */
async function quantile(url: string, q: number): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const buckets = [...text.matchAll(/^tilefold_freshness_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm)];
  const all = Number(buckets.at(-1)![2]);
  const [, bound] = buckets.find(([, , count]) => Number(count) >= q * all)!;
  return bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
}
