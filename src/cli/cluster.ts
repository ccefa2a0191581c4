/** Puts together what runs over servers elsewhere, as compose.ts does what runs over a folder. */
import { Fault } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { loadKernel } from '../kernel/instance.ts';
import type { Ids } from '../kernel/layout.ts';
import { layPlan } from '../kernel/load.ts';
import { planHash } from '../plan/canonical.ts';
import { isTopology, rowEntities } from '../plan/layers.ts';
import type { Plan } from '../plan/plan.ts';
import { leftBehind, type Member } from '../source/group.ts';
import { type Broker, openKafka } from '../source/kafka.ts';
import type { Outbox } from '../source/partition.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import { type Cassandra, type ClusterSettings, openCassandra } from '../store/cassandra.ts';
import { Folder } from '../work/folder.ts';
import { SOURCE_PARTITIONS_MAX, Tiler } from '../work/tiler.ts';
import type { Config, KafkaConfig } from './config.ts';
import { planOf } from './plan_cache.ts';
import { entityHash, numberedIn } from './recorded.ts';

/**
 * Where rows are, and who asks for them: who serves may be another user than who folds, of whom the database takes more.
 *
 * @throws Fault `config` where the configuration does not say
 */
export function scyllaOf({ scylla }: Config, path: string, isServing = false): ClusterSettings {
  if (!scylla) throw new Fault('config', `${path} has no section scylla, which says where rows are to be`);
  const { hosts, keyspace } = scylla;
  return { hosts, keyspace, user: (isServing && userOf('TILEFOLD_SCYLLA_SERVE')) || userOf('TILEFOLD_SCYLLA') };
}

function userOf(prefix: string): ClusterSettings['user'] {
  const { [`${prefix}_USER`]: name, [`${prefix}_PASSWORD`]: password = '' } = process.env;
  return name === undefined ? null : { name, password };
}

/** @throws Fault as `openCassandra` */
export async function openRemote(settings: ClusterSettings): Promise<Cassandra & AsyncDisposable> {
  const remote = await openCassandra(settings);
  return { ...remote, [Symbol.asyncDispose]: () => remote.close() };
}

/** A process of a cluster that tiles and folds. */
export interface Work {
  /** For people: what it works on. */
  what: string;
  /** Writes what is folded, commits, leaves, and lets go of everything. */
  close(): Promise<void>;
}

/** Changes of one message are one row at least, and a row may be large. */
const MESSAGE_MAX_BYTES = 8 << 20;

/** Each partition has its own share of the memory for rows. */
const FOLD_MIN_BYTES = 1 << 20;

/** What goes on around a process of a cluster. */
export interface Surroundings {
  log: Log;
  /** Takes what no retry helps against: the process has to end. */
  onFailure: (error: unknown) => void;
}

/**
 * Takes a share of the partitions of events, and of those of the changelog.
 *
 * @throws Fault where the definitions cannot be computed in a cluster, or differ from those that its rows are of
 */
export async function openWork(config: Config, path: string, around: Surroundings): Promise<Work> {
  const { kafka } = config;
  if (!kafka) throw new Fault('config', `${path} has no section kafka, which says where events come from`);
  const settings = scyllaOf(config, path);
  const { plan } = await planOf(config);
  checkPlan(plan);
  const undo: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const each of undo.splice(0)) await each();
  };
  try {
    const remote = await openCassandra(settings);
    undo.unshift(() => remote.close());
    const ids = await agreedIds(remote, plan, settings.keyspace.name);
    const broker = await openKafka(kafka.brokers);
    undo.unshift(() => broker.close());
    const topics = await topicsOf(broker, kafka);
    undo.unshift(await foldShare(config, kafka, topics, broker, remote, around));
    undo.unshift(await tileShare(config, kafka, topics, broker, { plan, ids }, around));
    return { what: `${kafka.events} and ${topics.changelog} at ${kafka.brokers.join(', ')}`, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What a partition alone cannot compute. */
export function checkPlan(plan: Plan): void {
  const upsert = plan.events.find(event => event.changelog?.kind === 'upsert');
  const [what] = [
    ...(isTopology(plan) ? ['a topology, whose events read what others have written'] : []),
    ...(upsert ? [`the event type ${upsert.name}, whose records say only what a row is now`] : []),
  ];
  if (what)
    throw new Fault('unsupported', `the definitions have ${what}: that is computed on one machine, not in a cluster`);
}

/** What rows call the plan's entities and aggregates: all processes have to agree. */
export async function agreedIds(remote: Cassandra, plan: Plan, keyspace: string): Promise<Ids> {
  const hash = planHash(plan);
  if ((await remote.planHash(hash)) !== hash) {
    const wanted = 'other definitions need another keyspace and another group, which begin anew';
    throw new Fault('unsupported', `the rows in ${keyspace} are of other definitions than those here: ${wanted}`);
  }
  const entities = rowEntities(plan).map(one => ({ kind: 'entity' as const, name: one.name, hash: entityHash(one) }));
  const aggregates = numberedIn(plan).map(one => ({ ...one, kind: 'aggregate' as const }));
  const numbers = await remote.numbers([...entities, ...aggregates]);
  const numbered = (of: { name: string }[], from: number) =>
    new Map(of.map(({ name }, i): [string, number] => [name, numbers[from + i]!]));
  return { entities: numbered(entities, 0), aggregates: numbered(aggregates, entities.length) };
}

/** The group that tiles; its notes say how far the clocks of events have come. */
export function tileGroup({ group }: Pick<KafkaConfig, 'group'>): string {
  return `${group}.tile`;
}

interface Topics {
  changelog: string;
  errors: string;
}

/** Those of changes and of errors are made where there are none; that of events is somebody else's. */
async function topicsOf(broker: Broker, { events, changelog }: KafkaConfig): Promise<Topics> {
  const found = await broker.partitionsOf(events);
  if (found === null) throw new Fault('not_found', `there is no topic ${events}, which kafka.events names`);
  if (found > SOURCE_PARTITIONS_MAX)
    throw new Fault('unsupported', `topic ${events} has ${found} partitions, wanted ${SOURCE_PARTITIONS_MAX} at most`);
  const { topic, epoch, partitions, replicas, retentionMs } = changelog;
  const topics = { changelog: `${topic}.${epoch}`, errors: `${topic}.errors` };
  const common = { 'cleanup.policy': 'delete', 'retention.ms': String(retentionMs) };
  const changes = { 'message.timestamp.type': 'LogAppendTime', 'max.message.bytes': String(MESSAGE_MAX_BYTES) };
  const has = await broker.partitionsOf(topics.changelog);
  if (has === null)
    await broker.makeTopic({ name: topics.changelog, partitions, replicas, settings: { ...common, ...changes } });
  else if (has !== partitions) {
    const what = `topic ${topics.changelog} has ${has} partitions, and kafka.changelog.partitions says ${partitions}`;
    throw new Fault('config', `${what}: keys stay in their partitions, so their number stays`);
  }
  if ((await broker.partitionsOf(topics.errors)) === null)
    await broker.makeTopic({ name: topics.errors, partitions: 1, replicas, settings: common });
  return topics;
}

async function foldShare(
  { fold: { memoryBytes, barrierMs } }: Config,
  { group, changelog: { epoch, partitions } }: KafkaConfig,
  { changelog }: Topics,
  broker: Broker,
  rows: Cassandra,
  around: Surroundings,
): Promise<() => Promise<void>> {
  const folders = new Map<number, Folder>();
  const share = Math.max(FOLD_MIN_BYTES, Math.floor(memoryBytes / partitions));
  const member: Member = await broker.join({
    ...{ group: `${group}.fold`, topic: changelog, ...around },
    dealt(now) {
      for (const partition of folders.keys()) if (!now.includes(partition)) folders.delete(partition);
    },
    async own({ partition, low, committed }) {
      const known = folders.get(partition);
      if (known) return known;
      const progress = await committed();
      if (low > (progress?.next ?? 0n)) throw leftBehind(changelog, partition, progress?.next ?? 0n);
      const commit: Member['commit'] = (...of) => member.commit(...of);
      const kernel = await loadKernel();
      const parts = { kernel, rows, epoch, memoryBytes: share };
      const folder = new Folder({ ...parts, commit: one => commit(partition, one) }, progress);
      folders.set(partition, folder);
      return folder;
    },
  });
  const flushAll = () => Promise.all([...folders.values()].map(folder => folder.flush()));
  let flushing: Promise<unknown> | null = null;
  const timer = setInterval(() => {
    flushing ??= flushAll()
      .catch(around.onFailure)
      .finally(() => {
        flushing = null;
      });
  }, barrierMs);
  return async () => {
    clearInterval(timer);
    await flushing;
    await flushAll();
    await member.stop();
  };
}

async function tileShare(
  { log: { clock } }: Config,
  { group, events, changelog: { partitions: shards } }: KafkaConfig,
  topics: Topics,
  broker: Broker,
  { plan, ids }: { plan: Plan; ids: Ids },
  around: Surroundings,
): Promise<() => Promise<void>> {
  const outboxes = new Map<number, Outbox>();
  const source = { group: tileGroup({ group }), topic: events };
  const member = await broker.join({
    ...{ ...source, ...around },
    dealt() {},
    async own({ partition, low, committed }) {
      await outboxes.get(partition)?.close();
      // First, so that whoever had it before can send no more; what is committed then is all that ever will be.
      const outbox = await broker.outbox(`${source.group}.${events}.${partition}`, { ...source, partition });
      outboxes.set(partition, outbox);
      const progress = await committed();
      if (progress && low > progress.next) throw leftBehind(events, partition, progress.next);
      const layout = layPlan(await loadKernel(), plan, ids, { clock, aheadMaxMs: AHEAD_MAX_MS, shards });
      return new Tiler({ layout, outbox, partition, shards, topics }, progress, low);
    },
  });
  return async () => {
    await member.stop();
    for (const outbox of outboxes.values()) await outbox.close();
  };
}
