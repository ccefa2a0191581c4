import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { CompressionCodecs, CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { WorkMetrics } from '../../src/base/work_metrics.ts';
import { loadConfig } from '../../src/cli/config.ts';
import { EXIT } from '../../src/cli/exit.ts';
import { openServing } from '../../src/cli/cluster/serving.ts';
import { openWork } from '../../src/cli/cluster/working.ts';
import { errorsPage } from '../../src/http/errors.ts';
import { archiveSource } from '../../src/source/archive.ts';
import { localDisk } from '../../src/source/disk.ts';
import { openKafka } from '../../src/source/kafka.ts';
import { weekLines } from '../sim/flights.ts';
import type { Servers } from './servers.ts';
import { cli } from './upgrade.suite.ts';
import {
  clusterOf,
  embedded,
  PARTITIONS,
  readAll,
  rowsOf,
  SETTLED_MAX_MS,
  settle,
  SILENT,
  startProcess,
} from './workers.ts';

const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'];

/** What topics may hold beside plain lines. Brokers compress here, by the libraries that they have for it. */
export function sourcesSuite(servers: () => Servers): void {
  test('messages are read whatever they are compressed with', async () => {
    const lines = (await weekLines()).slice(0, 2_000);
    const kafka = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING });
    const producer = kafka.producer();
    await producer.connect();
    const read = CODECS.map(async codec => {
      const topic = await topicOf(servers(), codec);
      await producer.send({ topic, messages: lines.map(value => ({ value })) });
      const { values, failure } = await readAll(servers(), topic, lines.length);
      expect(failure).toBeNull();
      expect(values).toEqual(lines);
    });
    await Promise.all(read);
    await producer.disconnect();
  });

  test('what they are compressed with and nobody knows ends whoever reads them, with a fault', async () => {
    const topic = await topicOf(servers(), 'zstd');
    const producer = new Kafka({ brokers: [servers().kafka], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    await producer.send({ topic, messages: [{ value: 'x' }] });
    await producer.disconnect();
    const known = CompressionCodecs[CompressionTypes.ZSTD]!;
    try {
      // As if this batch said so of itself: no broker takes one that does.
      (CompressionCodecs as Record<number, unknown>)[CompressionTypes.ZSTD] = (
        CompressionCodecs as Record<number, unknown>
      )[6];
      const { failure } = await readAll(servers(), topic, 1);
      expect(failure?.code).toBe('unsupported');
      expect(failure?.message).toStartWith(`topic ${topic}: messages are compressed by codec 6, wanted none, gzip`);
    } finally {
      CompressionCodecs[CompressionTypes.ZSTD] = known;
    }
  });

  test(
    'events in protobuf are posted, counted, archived and told as those in lines are',
    async () => {
      const cluster = await clusterOf(servers(), 'p');
      const { name, plan, store, kafka, dir, close } = cluster;
      const path = join(dir, 'tilefold.yaml');
      const written = (await Bun.file(path).json()) as { kafka: object };
      await Bun.write(path, JSON.stringify({ ...written, kafka: { ...written.kafka, protobuf: {} } }));
      const config = await loadConfig(path);
      const fail = (error: unknown) => expect(error).toBeUndefined();
      const around = { log: SILENT, onFailure: fail };
      const lines = (await weekLines()).slice(0, 300);
      const serving = await openServing(config, path, around);
      const receipt = await serving.served.ingest.post(Buffer.from(lines.join('\n')), 'ndjson', null, 'one');
      expect(receipt).toMatchObject({ accepted: lines.length, rejected: [] });
      const producer = kafka.producer();
      await producer.connect();
      const partition = Number(Bun.hash.xxHash64('one') % BigInt(PARTITIONS));
      const others = [lines[0]!, null].map(value => ({ partition, value }));
      await producer.send({ topic: name, messages: others });
      await producer.disconnect();
      const watcher = new WorkMetrics(async () => ({ stages: [], rowsDirty: 0, foldBytes: 0 }));
      const work = await openWork(config, path, { ...around, watcher });
      const kept = join(dir, 'archive');
      const words = ['archive', kept, '--segment-age', '100ms', '--log-level', 'error'];
      const archiver = await startProcess(dir, words, 'tilefold archives');
      const engine = await embedded(plan, lines, 1);
      await settle(store, plan, rowsOf(engine));
      await engine.close();
      const { values } = await readAll(servers(), `${name}.changes.errors`, 1);
      expect(values.map(value => JSON.parse(value) as object)).toMatchObject([
        { partition, offset: '300', line: null, position: null, code: 'not_protobuf' },
      ]);
      const errors = async (query: object) => (await errorsPage(serving.served.meta.errors, query)).errors;
      const told = {
        id: 1,
        source: `partition ${partition}, offset 300`,
        code: 'not_protobuf',
        type: null,
        position: null,
      };
      expect(await errors({})).toMatchObject([told]);
      expect(await errors({ after: '1' })).toEqual([]);
      archiver.child.kill('SIGTERM');
      expect(await archiver.child.exited).toBe(0);
      const archived: string[] = [];
      for await (const { bytes } of (await archiveSource(localDisk, kept)).read(0))
        archived.push(Buffer.from(bytes).toString());
      expect(
        archived
          .join('')
          .trimEnd()
          .split('\n')
          .map(line => JSON.parse(line) as object),
      ).toEqual(lines.map(line => JSON.parse(line) as object));
      // What cannot count is listed, by its type too, page by page; a file goes the way of what is posted.
      const bad = '{"type":"flight","time":"2001-03-05T00:01:00Z","data":{"origin":7}}';
      await Bun.write(join(dir, 'more.ndjson'), `${bad}\nno event\n${bad}\n`);
      const ingested = await cli(dir, ['ingest', 'more.ndjson', '--json']);
      expect([ingested.code, ingested.said]).toEqual([
        EXIT.fault,
        `${JSON.stringify({ accepted: 2, replayed: 0, rejected: 1, rejections: [{ file: 'more.ndjson', line: 2, code: 'not_json', reason: 'not valid JSON' }] })}\n`,
      ]);
      for (let n = 0; n < 300 && (await errors({})).length < 3; n++) await Bun.sleep(100);
      expect((await errors({ type: 'flight' })).map(({ code, type }) => [code, type])).toEqual([
        ['wrong_type', 'flight'],
        ['wrong_type', 'flight'],
      ]);
      const page = JSON.parse((await cli(dir, ['errors', '--after', '1', '--limit', '1', '--json'])).said) as Page;
      expect(page).toMatchObject({ errors: [{ code: 'wrong_type' }], next: page.errors[0]!.id });
      expect((await cli(dir, ['errors', '--type', 'nobody'])).said).toBe('no errors\n');
      await work.close();
      await serving.close();
      await close();
    },
    { timeout: 2 * SETTLED_MAX_MS },
  );
}

type Page = Awaited<ReturnType<typeof errorsPage>>;

let topicCount = 0;

/** A topic of one partition that the broker keeps compressed. */
async function topicOf({ kafka }: Servers, codec: string): Promise<string> {
  const broker = await openKafka([kafka]);
  const name = `c${++topicCount}${Date.now().toString(36)}${process.pid}`;
  await broker.makeTopic({ name, partitions: 1, replicas: 1, settings: { 'compression.type': codec } });
  await broker.close();
  return name;
}
