import { describe, expect, test } from 'bun:test';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Fault, Faults } from '../../src/base/fault.ts';
import { loadConfig, parseConfig, parseSize } from '../../src/cli/config.ts';
import { OWN_EVENT } from '../../src/source/protobuf.ts';
import { lineOf, unmark } from './marked.ts';

const CORES = availableParallelism();

const DEFAULTS = {
  log: {
    dir: '/x/data/log',
    clock: { kind: 'wall', maxJumpMs: 31 * 86_400_000 },
    segmentBytes: 64 * 1024 * 1024,
    segmentAgeMs: 3_600_000,
    compress: true,
    keep: {},
    s3: null,
  },
  store: { sqlite: '/x/data/tilefold.db' },
  timelines: { dir: '/x/data/timelines' },
  branches: { sqlite: '/x/data/branches.db' },
  feed: { events: 10_000, ageMs: 86_400_000 },
  replays: { dir: '/x/data/replays', cacheBytes: 16 * 1024 ** 3 },
  definitions: '/x/features',
  dialect: 'duckdb',
  serve: { port: 8080, host: '127.0.0.1', origins: [] },
  fold: { workers: CORES < 3 ? 0 : Math.min(CORES, 64), memoryBytes: 256 * 1024 * 1024, barrierMs: 1000 },
  latenessMs: 3_600_000,
  scylla: null,
  kafka: null,
};

describe('tilefold.yaml', () => {
  test('has a default for everything', () => {
    for (const text of ['', '# nothing\n', 'log:\nserve: {}\n', 'log: { segment: }\n'])
      expect<unknown>(parseConfig('/x/tilefold.yaml', text)).toEqual(DEFAULTS);
  });
  test('sets everything', () => {
    const text = `log: { dir: ../log, clock: event, max_jump: 1d, segment: { bytes: 16KiB, age: 5m }, compress: false, keep: { age: 90d, bytes: 1TiB } }
store: { sqlite: /y/a.db }
timelines: { dir: tl }
branches: { sqlite: b.db }
feed: { events: 7, age: 5m }
replays: { dir: r, cache: 1GiB }
definitions: defs/
dialect: bigquery
serve: { port: 0, host: 0.0.0.0, origins: ['*', https://a.example, 'http://[::1]:5173'] }
fold: { workers: 3, memory: 1048576, barrier: 250ms }
lateness: 0s
scylla: { hosts: [a, "b:9043"], keyspace: ks, datacenter: eu, replicas: 5, serve: { consistency: local_one, concurrency: 8, speculative: 20ms, timeout: 3s } }
kafka: { brokers: [k], events: e, group: g, tls: { ca: ca.pem, cert: /c.pem, key: /k.pem }, sasl: plain, protobuf: { descriptors: d.binpb, message: s.V, type: v, time: t, id: i, data: d }, changelog: { topic: c, partitions: 4, replicas: 1, retention: 1d }, backfill: { ahead: 1MiB } }
`;
    expect<unknown>(parseConfig('/x/tilefold.yaml', text)).toEqual({
      log: {
        dir: '/log',
        clock: { kind: 'event', maxJumpMs: 86_400_000 },
        segmentBytes: 16 * 1024,
        segmentAgeMs: 300_000,
        compress: false,
        keep: { ageMs: 90 * 86_400_000, bytes: 2 ** 40 },
        s3: null,
      },
      store: { sqlite: '/y/a.db' },
      timelines: { dir: '/x/tl' },
      branches: { sqlite: '/x/b.db' },
      feed: { events: 7, ageMs: 300_000 },
      replays: { dir: '/x/r', cacheBytes: 1024 ** 3 },
      definitions: '/x/defs',
      dialect: 'bigquery',
      serve: { port: 0, host: '0.0.0.0', origins: ['*', 'https://a.example', 'http://[::1]:5173'] },
      fold: { workers: 3, memoryBytes: 1024 * 1024, barrierMs: 250 },
      latenessMs: 0,
      kafka: {
        brokers: ['k'],
        events: 'e',
        group: 'g',
        tls: { ca: '/x/ca.pem', client: { cert: '/c.pem', key: '/k.pem' } },
        sasl: 'plain',
        protobuf: {
          of: { descriptors: '/x/d.binpb', message: 's.V' },
          type: { fixed: 'v' },
          ...{ time: 't', id: 'i', data: 'd' },
        },
        changelog: { topic: 'c', partitions: 4, replicas: 1, retentionMs: 86_400_000 },
        backfill: { aheadBytes: 1_048_576 },
      },
      scylla: {
        hosts: ['a', 'b:9043'],
        keyspace: { name: 'ks', datacenter: 'eu', replicas: 5 },
        tls: null,
        serve: { consistency: 'local_one', readsMax: 8, speculativeMs: 20, timeoutMs: 3_000 },
      },
    });
  });
  test('names a bucket, whose prefix ends in a slash', () => {
    const bucket = (text: string) => parseConfig('/x/tilefold.yaml', `log: { s3: { bucket: logs${text} } }`).log.s3;
    expect(bucket('')).toEqual({ bucket: 'logs', prefix: '' });
    const settings = ', endpoint: "http://127.0.0.1:9000", region: eu-west-1, prefix: a/b';
    const [endpoint, region] = ['http://127.0.0.1:9000', 'eu-west-1'];
    expect(bucket(settings)).toEqual({ bucket: 'logs', endpoint, region, prefix: 'a/b/' });
  });
  test('paths are relative to the file', async () => {
    const config = await loadConfig('examples/flights/tilefold.yaml');
    expect(config.definitions).toBe(join(process.cwd(), 'examples/flights/features'));
    expect(config.log.clock.kind).toBe('event');
  });
  test('a file that is not there is a fault', async () => {
    const error = await loadConfig('/nowhere/tilefold.yaml').catch(error => error);
    expect(error).toEqual(new Fault('config', 'the configuration /nowhere/tilefold.yaml cannot be read (ENOENT)'));
  });
});

const SIZE = 'a size like 64MiB or 16KiB, or a number of bytes';

for (const [marked, ...messages] of [
  [
    '«latenes»: 1h\nserve: { «prot»: 1 }\n',
    'unknown key "latenes"; did you mean "lateness"?',
    'unknown key "prot"; did you mean "port"?',
  ],
  ['log: { «workers»: 2 }\n', 'unknown key "workers"; known here: dir, clock, max_jump, segment, compress, keep, s3'],
  [
    'log: { clock: «evnt», max_jump: «1x», segment: { bytes: «1KiB» } }\n',
    'clock: got "evnt", wanted event or wall',
    'max_jump: got 1x, wanted a duration like 90s, 1h or 1d',
    'bytes: got 1KiB, wanted 4KiB to 4GiB',
  ],
  [
    'store: «3»\nserve: { port: «99999», host: «""», origins: [«https://a.example/»] }\n',
    'store: got 3, wanted a mapping',
    'port: a port is 0 to 65535',
    'host: got an empty text, wanted a host',
    'origins: an origin is http:// or https://, a host in small letters, and maybe a port; or *',
  ],
  [
    'fold: { memory: «16KB», barrier: «0s» }\nlateness: «60»\n',
    `memory: got 16KB, wanted ${SIZE}`,
    'barrier: got 0s, wanted at least 1ms',
    'lateness: got 60, wanted a duration like 90s, 1h or 1d',
  ],
  ['log: { «s3»: { prefix: a } }\n', 'bucket is missing'],
  [
    'log: { s3: { bucket: «Logs», endpoint: «localhost» } }\n',
    'bucket: a bucket is 3 to 63 small letters, digits, dots and hyphens',
    'endpoint: an endpoint is http:// or https://, a host, and maybe a port',
  ],
  [
    'log: { s3: { bucket: logs }, compress: «false» }\n',
    'compress: log.s3 uploads packed segments: it needs compress: true',
  ],
  [
    'log: { keep: { age: «1ms», bytes: «1» } }\n',
    'age: got 1ms, wanted at least 1000ms',
    'bytes: got 1, wanted at least 4KiB',
  ],
  ['fold: { workers: «65» }\n', 'workers: workers are 0 to 64'],
  ['fold: { workers: «many» }\n', 'workers: got "many", wanted cores, or a number of threads, 0 to 64'],
  [
    'dialect: «oracle»\n',
    'dialect: got "oracle", wanted a dialect of SQL: duckdb, postgres, bigquery, mysql, snowflake, flink, spark, databricks, trino, presto, sqlite, athena, clickhouse, redshift, tsql',
  ],
  [
    'fold: { memory: «1.5» }\ndefinitions: «[a]»\n',
    `memory: got 1.5, wanted ${SIZE}`,
    'definitions: got a list, wanted a path',
  ],
  ['serve: { port: 1, «port»: 2 }\n', 'the key port is here twice'],
  ['store: {}\n---\n«lateness»: 1h\n', 'a configuration is one YAML document; this is a second one'],
  ['«- 1»\n', 'got a list, wanted a mapping'],
] as const)
  test(`refused: ${marked}`, () => {
    const { text, expected } = unmark('t.yaml', marked, [...messages]);
    const refused = () => parseConfig('t.yaml', text);
    expect(refused).toThrow(Faults);
    try {
      refused();
    } catch (error) {
      expect((error as Faults).faults.map(lineOf)).toEqual(expected);
      expect((error as Faults).faults.every(fault => fault.code === 'config')).toBe(true);
    }
  });

test('sizes', () => {
  const sizes = ['0', '12', '5 B', '16KiB', '64MiB', '2GiB', '1KB', '-1', '1.5MiB', 'MiB', '9007199254740993', ''];
  const bytes = [0, 12, 5, 16_384, 67_108_864, 2_147_483_648, null, null, null, null, null, null];
  expect(sizes.map(parseSize)).toEqual(bytes);
});

describe('messages of protobuf', () => {
  const protobufOf = (said: string) =>
    parseConfig('/x/tilefold.yaml', `kafka: { brokers: [k], protobuf: ${said} }`).kafka!.protobuf;
  test('are our own where nothing is said of them', () => {
    expect(protobufOf('{}')).toEqual(OWN_EVENT);
    expect(parseConfig('/x/tilefold.yaml', 'kafka: { brokers: [k] }').kafka!.protobuf).toBeNull();
  });
  test('may say their type by a field', () => {
    expect(protobufOf('{ descriptors: d, message: m, type_field: kind, time: t }')).toEqual({
      ...{ of: { descriptors: '/x/d', message: 'm' }, type: { field: 'kind' }, time: 't', id: null, data: null },
    });
  });
  test.each(['{ type: v }', '{ descriptors: d, message: m, type: v }', '{ descriptors: d, message: m, time: t }'])(
    'are refused where they are half said: %s',
    said =>
      expect(() => protobufOf(said)).toThrow('wanted nothing at all, or descriptors, message and time with one of'),
  );
});
