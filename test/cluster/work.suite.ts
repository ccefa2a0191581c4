import { expect, test } from 'bun:test';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { DEFAULTS } from '../../src/cli/config.ts';
import { compileFolder } from '../../src/compile/compile.ts';
import { openKafka } from '../../src/source/kafka.ts';
import { Lost } from '../../src/source/partition.ts';
import { openCassandra } from '../../src/store/cassandra.ts';
import { keptTables } from '../../src/store/cql.ts';
import { MAX_JUMP_DEFAULT_MS } from '../../src/source/source.ts';
import { joinLines } from '../perturb.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { memoryDatabase, openEngine } from '../sim/engine.ts';
import { Random } from '../sim/random.ts';
import { weekLines } from '../sim/flights.ts';
import type { Servers } from './servers.ts';

const ROOT = join(import.meta.dir, '../..');
const DEFINITIONS = join(ROOT, 'examples/flights/features');
const PARTITIONS = 3;

/** Events that one message has, at most. */
const LINES_MAX = 40;

/** Long enough for a group to notice that members are gone, a few times. */
const SETTLED_MAX_MS = 120_000;

/** Every process may die or stop at any time: the rows are those of one engine on one machine, to the last bit. */
export function workSuite(servers: () => Servers): void {
  test('an outbox that is opened again fences whoever had it before, inside a transaction and between two', async () => {
    const name = `o${Date.now().toString(36)}${process.pid}`;
    const broker = await openKafka([servers().kafka]);
    for (const topic of [name, `${name}.out`])
      await broker.makeTopic({ name: topic, partitions: 1, replicas: 1, settings: {} });
    const open = () => broker.outbox(name, { group: name, topic: name, partition: 0 });
    const message = { topic: `${name}.out`, partition: 0, value: new Uint8Array([1]) };
    const before = await open();
    await before.send([message], { next: 1n, note: 'one' });
    const after = await open();
    await expect(before.send([message], { next: 2n, note: 'stale' })).rejects.toThrow(Lost);
    await after.send([message], { next: 3n, note: 'three' });
    await expect(before.send([message], { next: 4n, note: 'stale' })).rejects.toThrow(Lost);
    const kafka = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    const [found] = await admin.fetchOffsets({ groupId: name, topics: [name] });
    expect(found!.partitions).toEqual([{ partition: 0, offset: '3', metadata: 'three' }]);
    await admin.disconnect();
    await broker.close();
  });

  const lines = process.env.TILEFOLD_LONG ? 100_000 : 9_000;
  test.each(process.env.TILEFOLD_LONG ? [1, 2, 3, 4] : [1])(
    'the work of processes that are killed and stopped leaves the rows of one that is not: seed %p',
    seed => workedThrough(servers(), seed, lines),
    { timeout: 10 * SETTLED_MAX_MS },
  );
}

async function workedThrough({ kafka: address, cassandra }: Servers, seed: number, count: number): Promise<void> {
  const random = new Random(seed);
  const name = `w${Date.now().toString(36)}${process.pid}${seed}`;
  const plan = await compileFolder(DEFINITIONS, DEFAULTS);
  const all = (await weekLines()).slice(0, count);
  // Some are no events, and some are events that cannot count.
  all.splice(100, 0, 'no event', '{"type":"flight","time":"2001-03-05T01:00:00Z","data":{"origin":7}}');

  await using store = await disposable({
    hosts: [cassandra],
    user: null,
    keyspace: { name, datacenter: 'datacenter1', replicas: 1 },
  });
  await store.makeTables(keptTables(plan));
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic: name, numPartitions: PARTITIONS, replicationFactor: 1 }],
  });
  const dir = mkdtempSync(join(tmpdir(), 'tilefold-work-'));
  await Bun.write(
    join(dir, 'tilefold.yaml'),
    JSON.stringify({
      log: { clock: 'event' },
      definitions: DEFINITIONS,
      scylla: { hosts: [cassandra], keyspace: name, replicas: 1 },
      kafka: {
        brokers: [address],
        events: name,
        group: name,
        changelog: { topic: `${name}.changes`, partitions: 4, replicas: 1 },
      },
      fold: { barrier: '200ms', memory: '4MiB' },
    }),
  );
  const workers = [await startWorker(dir), await startWorker(dir)];
  try {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    let sent = 0;
    const troubles = [() => {}, kill, pause, kill, pause];
    while (sent < all.length) {
      const messages = [];
      for (let n = 0; n < all.length / LINES_MAX / troubles.length / 2 && sent < all.length; n++) {
        const value = all.slice(sent, sent + 1 + random.below(LINES_MAX));
        sent += value.length;
        messages.push({ partition: random.below(PARTITIONS), value: value.join('\n') });
      }
      await producer.send({ topic: name, messages });
      await Bun.sleep(random.below(800));
      await (troubles.shift() ?? (() => {}))();
    }
    await producer.disconnect();

    async function kill(): Promise<void> {
      const at = random.below(workers.length);
      workers[at]!.kill('SIGKILL');
      await workers[at]!.exited;
      workers[at] = await startWorker(dir);
    }

    /** So long that the group gives its partitions to others; then it goes on where it was. */
    async function pause(): Promise<void> {
      const worker = random.pick(workers);
      worker.kill('SIGSTOP');
      await Bun.sleep(7_000 + random.below(3_000));
      worker.kill('SIGCONT');
    }

    const expected = await embeddedRows(plan, all, seed);
    const found = async () => {
      const rows = new Map<string, string>();
      for (const { levelMs } of keptTables(plan))
        for await (const { entity, key, tileStartMs, value } of store.scan(levelMs))
          rows.set(nameOf(entity, key, levelMs, tileStartMs), value.toHex());
      return rows;
    };
    // Whatever is on its way arrives; nothing of it may then be too much.
    const endMs = performance.now() + SETTLED_MAX_MS;
    let rows = await found();
    while (!Bun.deepEquals(rows, expected) && performance.now() < endMs) {
      await Bun.sleep(500);
      rows = await found();
    }
    expect(differences(rows, expected)).toEqual([]);
    const [first, ...others] = workers;
    for (const worker of others) worker.kill('SIGKILL');
    first!.kill('SIGTERM');
    expect(await first!.exited).toBe(0);
    expect(differences(await found(), expected)).toEqual([]);
    expect(await errorsOf(kafka, `${name}.changes.errors`)).toEqual(['not_json', 'wrong_type']);
  } finally {
    for (const worker of workers) worker.kill('SIGKILL');
    await admin.disconnect();
  }
}

async function disposable(settings: Parameters<typeof openCassandra>[0]) {
  const store = await openCassandra(settings);
  return { ...store, [Symbol.asyncDispose]: () => store.close() };
}

async function startWorker(dir: string) {
  const child = Bun.spawn([process.execPath, join(ROOT, 'src/main.ts'), 'work'], {
    cwd: dir,
    stdout: 'pipe',
    stderr: 'inherit',
  });
  let said = '';
  for await (const chunk of child.stdout) {
    said += new TextDecoder().decode(chunk);
    if (said.includes('tilefold works on')) return child;
  }
  throw new Error(`a worker ended with ${await child.exited}: ${said}`);
}

/** Rows of one engine on one machine, of all events in one log. */
async function embeddedRows(
  plan: Awaited<ReturnType<typeof compileFolder>>,
  lines: string[],
  seed: number,
): Promise<Map<string, string>> {
  const clock = { kind: 'event' as const, maxJumpMs: MAX_JUMP_DEFAULT_MS };
  const engine = await openEngine(plan, { disk: new SimulatedDisk(seed), db: memoryDatabase(), clock });
  for (let from = 0; from < lines.length; from += 1_000) {
    const part = lines.slice(from, from + 1_000).map(line => new TextEncoder().encode(line));
    await engine.ingest.post(joinLines(part), 'ndjson');
  }
  await engine.ingest.barrier();
  const rows = [...engine.store.scan()].map(({ entity, key, levelMs, tileStartMs, value }): [string, string] => [
    nameOf(entity, key, levelMs, tileStartMs),
    value.toHex(),
  ]);
  await engine.close();
  return new Map(rows);
}

function nameOf(entity: number, key: Uint8Array, levelMs: number, tileStartMs: number): string {
  return `${entity} ${Buffer.from(key).toString()} ${levelMs} ${tileStartMs}`;
}

/** A few of them. */
function differences(found: Map<string, string>, expected: Map<string, string>): string[] {
  const names = [...new Set([...found.keys(), ...expected.keys()])];
  const different = names.filter(name => found.get(name) !== expected.get(name));
  return different
    .slice(0, 5)
    .map(name => `${name}: ${found.get(name)}, wanted ${expected.get(name)}; of ${different.length}`);
}

/** Codes of what was wrong with events, each time that it was told: what a transaction has that was not committed is not. */
async function errorsOf(kafka: Kafka, topic: string): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: `${topic}.test`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const codes: string[] = [];
  await consumer.run({
    eachMessage: async ({ message }) => {
      codes.push((JSON.parse(String(message.value)) as { code: string }).code);
    },
  });
  for (let n = 0; n < 100 && codes.length < 2; n++) await Bun.sleep(100);
  await Bun.sleep(300);
  await consumer.disconnect();
  return codes.sort();
}
