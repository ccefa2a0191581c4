import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { Fault, Faults } from '../base/fault.ts';
import { parseDuration } from '../base/time.ts';
import type { TlsFiles } from '../base/tls.ts';
import { DIALECT } from '../compile/shape.ts';
import { check, readYaml } from '../compile/yaml.ts';
import { jobsMin, MEMORY_MIN_BYTES, memoryArgument, memoryMin, rowsWithin } from './memory.ts';
import { SASL_MECHANISMS, type SaslMechanism } from '../source/kafka.ts';
import { OWN_EVENT, type ProtobufSettings } from '../source/protobuf.ts';
import type { Keep } from '../source/retention.ts';
import type { S3Settings } from '../source/s3.ts';
import type { Clock } from '../source/source.ts';
import { MAX_JUMP_DEFAULT_MS } from '../source/source.ts';
import type { ClusterSettings, Role } from '../store/cassandra.ts';

/** `tilefold.yaml`, with its defaults filled in and its paths made absolute: they are written relative to the file. */
export interface Config {
  log: {
    dir: string;
    clock: Clock;
    segmentBytes: number;
    segmentAgeMs: number;
    compress: boolean;
    /** Empty keeps all. */
    keep: Keep;
    /** Where packed segments are brought; null where they stay in the folder. */
    s3: S3Settings | null;
  };
  store: { sqlite: string };
  /** Where timelines are kept. */
  timelines: { dir: string };
  /** Where branches are kept. */
  branches: { sqlite: string };
  /** Of the latest events: how many, and since when they have arrived. */
  feed: { events: number; ageMs: number };
  /** Where replays in jobs are kept, and columns for those after them. */
  replays: { dir: string; cacheBytes: number };
  /** The folder of definitions. */
  definitions: string;
  /** The dialect of SQL of feature sets that name none. */
  dialect: string;
  /** `origins` are those of pages that may ask beside its own. */
  serve: { port: number; host: string; origins: string[] };
  /** `workers` fold and answer beside the main thread; with 0 that one does. `memoryBytes` is for all of them. */
  fold: { workers: number; memoryBytes: number; barrierMs: number };
  /** How long past its windows a tile is kept for late events, and how late an event may be and still read them. */
  latenessMs: number;
  /** Where rows of a cluster rest; null where there is none. */
  scylla: (Omit<ClusterSettings, 'user'> & { serve: Role }) | null;
  /** Where events of a cluster come from, and what is made of them goes through; null where there is none. */
  kafka: KafkaConfig | null;
}

export interface KafkaConfig {
  brokers: string[];
  /** Null where connections are plain. */
  tls: TlsFiles | null;
  /** How a name and a password are shown to brokers; null where none is. */
  sasl: SaslMechanism | null;
  /** The topic of events. */
  events: string;
  /** How events are messages of protobuf; null where they are lines of JSON. */
  protobuf: ProtobufSettings | null;
  /** The topic of changes, made where there is none. */
  changelog: { topic: string; partitions: number; replicas: number; retentionMs: number };
  /** So many bytes of what a process makes of earlier events may be in the topic of changes and not in rows yet. */
  backfill: { aheadBytes: number };
  /** What names of groups and of transactions begin with. */
  group: string;
}

/**
 * @param memoryBytes what the process may take, where the command line says so
 * @throws Faults all that is wrong with the file, in its order; Fault where there is no such file
 */
export async function loadConfig(path: string, memoryBytes: number | null = null): Promise<Config> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Fault('config', `the configuration ${path} cannot be read (${error.code})`);
  });
  return parseConfig(path, text, memoryBytes);
}

/** @throws Faults */
export function parseConfig(file: string, text: string, memoryBytes: number | null = null): Config {
  const faults: Fault[] = [];
  const documents = readYaml(file, text, 'config', faults);
  const extra = documents[1];
  if (extra)
    faults.push(new Fault('config', 'a configuration is one YAML document; this is a second one', extra.at([])));
  const document = documents[0];
  const config = document ? check(CONFIG, document, [], faults) : CONFIG.parse({});
  if (faults.length > 0 || !config) {
    throw new Faults(faults.sort((a, b) => a.at!.line - b.at!.line || a.at!.column - b.at!.column));
  }
  return located(config, dirname(resolve(file)), memoryBytes);
}

function located(config: z.output<typeof CONFIG>, folder: string, memoryBytes: number | null = null): Config {
  const { log, store, timelines, branches, feed, replays, definitions, dialect, serve, fold, lateness, scylla, kafka } =
    config;
  const workers = workersOf(fold.workers);
  return {
    log: {
      dir: resolve(folder, log.dir),
      clock: { kind: log.clock, maxJumpMs: log.max_jump },
      segmentBytes: log.segment.bytes,
      segmentAgeMs: log.segment.age,
      compress: log.compress,
      keep: { ageMs: log.keep.age, bytes: log.keep.bytes },
      s3: log.s3 ? { ...log.s3, prefix: asFolder(log.s3.prefix) } : null,
    },
    store: { sqlite: resolve(folder, store.sqlite) },
    timelines: { dir: resolve(folder, timelines.dir) },
    branches: { sqlite: resolve(folder, branches.sqlite) },
    feed: { events: feed.events, ageMs: feed.age },
    replays: { dir: resolve(folder, replays.dir), cacheBytes: replays.cache },
    definitions: resolve(folder, definitions),
    dialect,
    serve: { port: serve.port, host: serve.host, origins: serve.origins },
    fold: {
      workers,
      memoryBytes: rowsOf(memoryBytes ?? config.memory ?? null, workers, fold.memory),
      barrierMs: fold.barrier,
    },
    latenessMs: lateness,
    scylla: scylla ? scyllaSettings(scylla, folder) : null,
    kafka: kafka ? kafkaSettings(kafka, folder) : null,
  };
}

function scyllaSettings(
  {
    hosts,
    keyspace,
    datacenter,
    replicas = REPLICAS_DEFAULT,
    tls,
    serve: { consistency, concurrency = READS_DEFAULT, speculative, timeout },
  }: z.output<typeof SCYLLA>,
  folder: string,
): Config['scylla'] {
  const serve = { consistency, readsMax: concurrency, speculativeMs: speculative, timeoutMs: timeout };
  return { hosts, keyspace: { name: keyspace, datacenter, replicas }, tls: tlsFiles(tls, folder), serve };
}

function tlsFiles(tls: z.output<typeof TLS> | undefined, folder: string): TlsFiles | null {
  if (!tls) return null;
  const { ca, cert, key } = tls;
  return {
    ca: ca === undefined ? null : resolve(folder, ca),
    client: cert === undefined ? null : { cert: resolve(folder, cert), key: resolve(folder, key!) },
  };
}

/** What rows may occupy where nothing is said of memory. */
const ROWS_DEFAULT_BYTES = 256 * 1024 ** 2;

/**
 * @param rowsBytes what they are given for themselves, where they are
 * @throws Fault `config` where that is more than the process has for them
 */
function rowsOf(processBytes: number | null, workers: number, rowsBytes: number | undefined): number {
  if (processBytes === null) return rowsBytes ?? ROWS_DEFAULT_BYTES;
  const least = memoryMin(workers);
  if (processBytes < least)
    throw new Fault('config', `memory: got ${processBytes} bytes, wanted at least ${least} with ${workers} workers`);
  const most = rowsWithin(processBytes, workers);
  if (rowsBytes !== undefined && rowsBytes > most)
    throw new Fault(
      'config',
      `fold.memory: got ${rowsBytes} bytes, and memory of ${processBytes} has ${most} for rows`,
    );
  return rowsBytes ?? most;
}

/** `--memory` of a command. */
export const parseMemory = memoryArgument(parseSize);

/** The same of replays: in jobs they do with less. */
export const parseReplayMemory = memoryArgument(parseSize, jobsMin(0));

/** Names of objects follow it. */
function asFolder(prefix: string): string {
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

const UNIT_BYTES = new Map([
  ['', 1],
  ['B', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
  ['TiB', 1024 ** 4],
]);

const SIZE_WANTED = 'a size like 64MiB or 16KiB, or a number of bytes';

/** `64MiB` -> bytes; null where the text is no size. */
export function parseSize(text: string): number | null {
  const [, count, unit] = /^(\d+)\s*([A-Za-z]*)$/.exec(text) ?? [];
  const unitBytes = unit === undefined ? undefined : UNIT_BYTES.get(unit);
  const bytes = Number(count) * (unitBytes ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** A segment is a file: smaller than a disk page is waste, and it should be small enough to be copied in one go. */
const SEGMENT_SIZE = { min: 4 * 1024, max: 4 * 1024 ** 3, wanted: '4KiB to 4GiB' };
/** A segment for every few events would be a folder of nothing but headers. */
const SEGMENT_AGE_MIN_MS = 1_000;
/** Less than the smallest segment would keep nothing but the one that is written to. */
const KEEP_SIZE = { min: 4 * 1024, max: Number.MAX_SAFE_INTEGER, wanted: 'at least 4KiB' };
/** The kernels' memory is 32-bit; below a MiB nearly every event would have to read its rows back. */
const FOLD_SIZE = { min: 1024 ** 2, max: 4 * 1024 ** 3, wanted: '1MiB to 4GiB' };

/** Each of a few partitions sends some KiB at once at the least, and live changes wait behind all of it. */
const AHEAD_SIZE = { min: 64 * 1024, max: 1024 ** 3, wanted: '64KiB to 1GiB' };

/** 0 keeps nothing. */
const CACHE_SIZE = { min: 0, max: Number.MAX_SAFE_INTEGER, wanted: 'a size' };
/** Of the process: less than the runtime and a few rows take cannot be kept. */
const PROCESS_SIZE = { min: MEMORY_MIN_BYTES, max: Number.MAX_SAFE_INTEGER, wanted: 'at least 448MiB' };

function size({ min, max, wanted }: { min: number; max: number; wanted: string }) {
  return z
    .union([z.bigint(), z.string()])
    .describe(SIZE_WANTED)
    .transform((written, context) => {
      const bytes = parseSize(String(written));
      if (bytes !== null && bytes >= min && bytes <= max) return bytes;
      context.addIssue({ code: 'custom', message: `got ${written}, wanted ${bytes === null ? SIZE_WANTED : wanted}` });
      return z.NEVER;
    });
}

const DURATION_WANTED = 'a duration like 90s, 1h or 1d';

function duration(minMs: number) {
  return z
    .string()
    .describe(DURATION_WANTED)
    .transform((text, context) => {
      const durationMs = parseDuration(text);
      if (durationMs !== null && durationMs >= minMs) return durationMs;
      const wanted = durationMs === null ? DURATION_WANTED : `at least ${minMs}ms`;
      context.addIssue({ code: 'custom', message: `got ${text}, wanted ${wanted}` });
      return z.NEVER;
    });
}

const PATH = z.string().min(1, 'got an empty text, wanted a path').describe('a path');

const PORT = z
  .bigint()
  .describe('a port, 0 to 65535')
  .refine(port => port >= 0n && port <= 65535n, 'a port is 0 to 65535')
  .transform(Number);

/** Each has its own memory and its own shard of the rows: more than cores is of no use. */
export const WORKERS_MAX = 64;

const WORKERS = z
  .union([z.literal('cores'), z.bigint()])
  .describe(`cores, or a number of threads, 0 to ${WORKERS_MAX}`)
  .refine(
    count => count === 'cores' || (count >= 0n && count <= BigInt(WORKERS_MAX)),
    `workers are 0 to ${WORKERS_MAX}`,
  );

/**
 * With two cores the thread that writes has the second one: workers would share both with it and the main thread, and a
 * lookup that has to wake them takes twice as long.
 */
const CORES_FOR_WORKERS_MIN = 3;

function workersOf(written: 'cores' | bigint): number {
  if (written !== 'cores') return Number(written);
  const cores = availableParallelism();
  return cores < CORES_FOR_WORKERS_MIN ? 0 : Math.min(cores, WORKERS_MAX);
}

/** They are held in memory, and looked through for each answer. */
const FEED_EVENTS_MAX = 1_000_000;

const FEED_EVENTS = z
  .bigint()
  .describe(`a number of events, 1 to ${FEED_EVENTS_MAX}`)
  .refine(count => count >= 1n && count <= BigInt(FEED_EVENTS_MAX), `events are 1 to ${FEED_EVENTS_MAX}`)
  .transform(Number);

/** A section that is there without anything in it is one of defaults, as one that is not there. */
function section<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess(value => value ?? {}, z.strictObject(shape));
}

const BUCKET = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'a bucket is 3 to 63 small letters, digits, dots and hyphens')
  .describe('the name of a bucket');

const ENDPOINT = z
  .string()
  .regex(/^https?:\/\/[^/?#\s]+\/?$/, 'an endpoint is http:// or https://, a host, and maybe a port')
  .describe('a URL of a host');

const S3 = z.strictObject({
  bucket: BUCKET,
  endpoint: ENDPOINT.optional(),
  region: z.string().min(1, 'got an empty text, wanted a region').describe('a region').optional(),
  prefix: z
    .string()
    .regex(/^(?!\/)[\w!.*'()/-]*$/, "a prefix is letters, digits and any of _ ! . * ' ( ) - and / within")
    .describe('what names of objects begin with')
    .default(''),
});

const ORIGIN = z
  .string()
  .regex(
    /^(\*|https?:\/\/([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?)$/,
    'an origin is http:// or https://, a host in small letters, and maybe a port; or *',
  )
  .describe('an origin like https://app.example');

const HOST = z
  .string()
  .regex(/^[\w.-]+(:\d{1,5})?$/, 'a host is a name or an address, and maybe a port')
  .describe('a host, and maybe a port');

/** What survives the loss of a node, with a majority that answers. */
const REPLICAS_DEFAULT = 3;
/** More copies than any database is run with. */
const REPLICAS_MAX = 9n;

function count(most: bigint) {
  return z
    .bigint()
    .describe(`1 to ${most}`)
    .refine(number => number >= 1n && number <= most, `wanted 1 to ${most}`)
    .transform(Number);
}

/** Statements of one process that are under way: more wait here, where fewer would leave a few nodes idle. */
const READS_DEFAULT = 256;
const READS_MAX = 4096n;

const PEM = PATH.describe('a path of a PEM file');

const TLS = z
  .strictObject({ ca: PEM.optional(), cert: PEM.optional(), key: PEM.optional() })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'cert and key come together')
  .describe('connections by TLS, and files for them');

const SCYLLA = z.strictObject({
  hosts: z.array(HOST).min(1, 'got no host, wanted one at least'),
  keyspace: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,47}$/, 'a keyspace is up to 48 small letters, digits and _, the first a letter')
    .describe('the name of a keyspace')
    .default('tilefold'),
  datacenter: z
    .string()
    .regex(/^[\w.-]+$/, 'a data centre is letters, digits and any of _ . -')
    .describe('the name of a data centre')
    .default('datacenter1'),
  replicas: z
    .bigint()
    .describe(`1 to ${REPLICAS_MAX}`)
    .refine(count => count >= 1n && count <= REPLICAS_MAX, `replicas are 1 to ${REPLICAS_MAX}`)
    .transform(Number)
    .optional(),
  tls: TLS.optional(),
  serve: z
    .strictObject({
      consistency: z.enum(['local_quorum', 'local_one']).describe('local_quorum or local_one').default('local_quorum'),
      concurrency: count(READS_MAX).optional(),
      speculative: duration(1).default(100),
      timeout: duration(1).default(5_000),
    })
    .prefault({}),
});

const TOPIC = z
  .string()
  .regex(/^[\w.-]{1,200}$/, 'a topic is up to 200 letters, digits and any of _ . -')
  .describe('the name of a topic');

/** As many as tiling deals changes out to. */
export const CHANGELOG_PARTITIONS_MAX = 64n;
const CHANGELOG_PARTITIONS_DEFAULT = 8;

const FIELD = z.string().min(1, 'got an empty text, wanted the name of a field').describe('the name of a field');

/** Nothing of it is said of the messages that proto/ has for events, and all of it has to be of others. */
const PROTOBUF = z
  .strictObject({
    descriptors: PATH.optional(),
    message: z.string().min(1, 'got an empty text, wanted a name').describe('the full name of a message').optional(),
    type: z.string().min(1, 'got an empty text, wanted a type').describe('an event type').optional(),
    type_field: FIELD.optional(),
    time: FIELD.optional(),
    id: FIELD.optional(),
    data: FIELD.optional(),
  })
  .refine(
    ({ descriptors, message, type, type_field, time, id, data }) =>
      descriptors === undefined
        ? [message, type, type_field, time, id, data].every(one => one === undefined)
        : message !== undefined && time !== undefined && (type === undefined) !== (type_field === undefined),
    'wanted nothing at all, or descriptors, message and time with one of type and type_field',
  )
  .describe('messages of protobuf: of tilefold.v1.Event, or of what descriptors say');

function protobufSettings(said: z.output<typeof PROTOBUF> | undefined, folder: string): ProtobufSettings | null {
  if (!said) return null;
  const { descriptors, message, type, type_field, time, id = null, data = null } = said;
  if (descriptors === undefined) return OWN_EVENT;
  return {
    ...{ of: { descriptors: resolve(folder, descriptors), message: message! }, time: time!, id, data },
    type: type === undefined ? { field: type_field! } : { fixed: type },
  };
}

const KAFKA = z.strictObject({
  brokers: z.array(HOST).min(1, 'got no broker, wanted one at least'),
  events: TOPIC.default('events'),
  group: TOPIC.default('tilefold'),
  protobuf: PROTOBUF.optional(),
  tls: TLS.optional(),
  sasl: z.enum(SASL_MECHANISMS).describe(SASL_MECHANISMS.join(', ')).optional(),
  changelog: z
    .strictObject({
      topic: TOPIC.default('changelog'),
      partitions: count(CHANGELOG_PARTITIONS_MAX).optional(),
      replicas: count(REPLICAS_MAX).optional(),
      retention: duration(60_000).default(7 * 86_400_000),
    })
    .prefault({}),
  backfill: z.strictObject({ ahead: size(AHEAD_SIZE).default(4 * 1024 ** 2) }).prefault({}),
});

function kafkaSettings(
  { brokers, events, group, protobuf, tls, sasl, changelog, backfill }: z.output<typeof KAFKA>,
  folder: string,
): KafkaConfig {
  const { topic, partitions = CHANGELOG_PARTITIONS_DEFAULT, replicas = REPLICAS_DEFAULT } = changelog;
  return {
    ...{ brokers, tls: tlsFiles(tls, folder), sasl: sasl ?? null },
    ...{ events, group, protobuf: protobufSettings(protobuf, folder) },
    changelog: { topic, partitions, replicas, retentionMs: changelog.retention },
    backfill: { aheadBytes: backfill.ahead },
  };
}

/** What is uploaded is what is packed. */
const UPLOADS_PACKED = 'log.s3 uploads packed segments: it needs compress: true';

/** What the file may say. */
export const CONFIG = section({
  log: section({
    dir: PATH.default('data/log'),
    clock: z.enum(['event', 'wall']).describe('event or wall').default('wall'),
    max_jump: duration(1).default(MAX_JUMP_DEFAULT_MS),
    segment: section({
      bytes: size(SEGMENT_SIZE).default(64 * 1024 ** 2),
      age: duration(SEGMENT_AGE_MIN_MS).default(3_600_000),
    }),
    compress: z.boolean().describe('true or false').default(true),
    keep: section({
      age: duration(SEGMENT_AGE_MIN_MS).optional(),
      bytes: size(KEEP_SIZE).optional(),
    }),
    s3: S3.optional(),
  }).refine(({ s3, compress }) => !s3 || compress, { path: ['compress'], message: UPLOADS_PACKED }),
  store: section({ sqlite: PATH.default('data/tilefold.db') }),
  timelines: section({ dir: PATH.default('data/timelines') }),
  branches: section({ sqlite: PATH.default('data/branches.db') }),
  feed: section({ events: FEED_EVENTS.default(10_000), age: duration(1000).default(86_400_000) }),
  replays: section({ dir: PATH.default('data/replays'), cache: size(CACHE_SIZE).default(16 * 1024 ** 3) }),
  definitions: PATH.default('features'),
  dialect: DIALECT.default('duckdb'),
  serve: section({
    port: PORT.default(8080),
    host: z.string().min(1, 'got an empty text, wanted a host').default('127.0.0.1'),
    origins: z.array(ORIGIN).default([]),
  }),
  fold: section({
    workers: WORKERS.default('cores'),
    memory: size(FOLD_SIZE).optional(),
    barrier: duration(1).default(1000),
  }),
  memory: size(PROCESS_SIZE).optional(),
  lateness: duration(0).default(3_600_000),
  scylla: SCYLLA.optional(),
  kafka: KAFKA.optional(),
});

/** What holds where there is no configuration: its paths are relative to the current folder. */
export const DEFAULTS: Config = located(CONFIG.parse({}), process.cwd());
