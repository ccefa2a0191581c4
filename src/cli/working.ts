/** Puts together a process that works in a cluster, as compose.ts does what works on a folder. */
import { Fault } from '../base/fault.ts';
import type { WorkMetrics, WorkState } from '../base/work_metrics.ts';
import { loadKernel } from '../kernel/instance.ts';
import type { Ids } from '../kernel/layout.ts';
import { layPlan } from '../kernel/load.ts';
import type { Plan } from '../plan/plan.ts';
import { leftBehind, type Member } from '../source/group.ts';
import type { Broker } from '../source/kafka.ts';
import type { Outbox } from '../source/partition.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import { openCassandra } from '../store/cassandra.ts';
import { Folder } from '../work/folder.ts';
import { type FoldedRows, patient } from '../work/patient.ts';
import { SOURCE_PARTITIONS_MAX, Tiler } from '../work/tiler.ts';
import { agreedIds, checkPlan, openBroker, scyllaOf, type Surroundings, tileGroup } from './cluster.ts';
import type { Config, KafkaConfig } from './config.ts';
import { planOf } from './plan_cache.ts';

/** What goes on around it. */
export interface WorkSurroundings extends Surroundings {
  watcher: WorkMetrics;
}

/** Its part in a stage. */
interface Share {
  member: Member;
  close(): Promise<void>;
}

/** A process of a cluster that tiles and folds. */
export interface Work {
  /** For people: what it works on. */
  what: string;
  state(): Promise<WorkState>;
  /** Writes what is folded, commits, leaves, and lets go of everything. */
  close(): Promise<void>;
}

/** Changes of one message are one row at least, and a row may be large. */
const MESSAGE_MAX_BYTES = 8 << 20;

/** Whoever collects metrics waits for no longer. */
const STANDING_MAX_MS = 2_000;

/** Each partition has its own share of the memory for rows. */
const FOLD_MIN_BYTES = 1 << 20;

/**
 * Takes a share of the partitions of events, and of those of the changelog.
 *
 * @throws Fault where the definitions cannot be computed in a cluster, or differ from those that its rows are of
 */
export async function openWork(config: Config, path: string, around: WorkSurroundings): Promise<Work> {
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
    const broker = await openBroker(kafka);
    undo.unshift(() => broker.close());
    const topics = await topicsOf(broker, kafka);
    const folding = await foldShare(config, kafka, topics, broker, patient(remote, around.log), around);
    undo.unshift(folding.close);
    const tiling = await tileShare(config, kafka, topics, broker, { plan, ids }, around);
    undo.unshift(tiling.close);
    const standing = async (): Promise<WorkState['stages']> => [
      { stage: 'tile', ...(await tiling.member.standing()) },
      { stage: 'fold', ...(await folding.member.standing()) },
    ];
    const nothing = (): WorkState['stages'] => [];
    // Of a broker that is away nothing is known; the rest is told all the same.
    const state = async (): Promise<WorkState> => ({
      stages: await Promise.race([standing().catch(nothing), Bun.sleep(STANDING_MAX_MS).then(nothing)]),
      ...folding.sizes(),
    });
    return { what: `${kafka.events} and ${topics.changelog} at ${kafka.brokers.join(', ')}`, state, close };
  } catch (error) {
    await close();
    throw error;
  }
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
  // A broker refuses messages of a process whose clock is hours ahead: its own is asked instead.
  const time = { 'message.timestamp.type': 'LogAppendTime' };
  const common = { 'cleanup.policy': 'delete', 'retention.ms': String(retentionMs), ...time };
  const changes = { 'max.message.bytes': String(MESSAGE_MAX_BYTES) };
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
  rows: FoldedRows,
  around: WorkSurroundings,
): Promise<Share & { sizes(): Pick<WorkState, 'rowsDirty' | 'foldBytes'> }> {
  const folders = new Map<number, Folder>();
  const share = Math.max(FOLD_MIN_BYTES, Math.floor(memoryBytes / partitions));
  const member: Member = await broker.join({
    ...{ group: `${group}.fold`, topic: changelog, ...around, onLost: () => around.watcher.lost() },
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
      const parts = { kernel, rows, epoch, memoryBytes: share, watcher: around.watcher, nowMs: Date.now };
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
  return {
    member,
    sizes: () => ({ rowsDirty: sumOf(folders, 'dirtyCount'), foldBytes: sumOf(folders, 'stateBytes') }),
    async close() {
      clearInterval(timer);
      await flushing;
      await flushAll();
      await member.stop();
    },
  };
}

function sumOf(folders: Map<number, Folder>, what: 'dirtyCount' | 'stateBytes'): number {
  return [...folders.values()].reduce((sum, folder) => sum + folder[what], 0);
}

async function tileShare(
  { log: { clock } }: Config,
  { group, events, changelog: { partitions: shards } }: KafkaConfig,
  topics: Topics,
  broker: Broker,
  { plan, ids }: { plan: Plan; ids: Ids },
  around: WorkSurroundings,
): Promise<Share> {
  const outboxes = new Map<number, Outbox>();
  const source = { group: tileGroup({ group }), topic: events };
  const member = await broker.join({
    ...{ ...source, ...around, onLost: () => around.watcher.lost() },
    dealt() {},
    async own({ partition, low, committed }) {
      await outboxes.get(partition)?.close();
      // First, so that whoever had it before can send no more; what is committed then is all that ever will be.
      const outbox = await broker.outbox(`${source.group}.${events}.${partition}`, { ...source, partition });
      outboxes.set(partition, outbox);
      const progress = await committed();
      if (progress && low > progress.next) throw leftBehind(events, partition, progress.next);
      const layout = layPlan(await loadKernel(), plan, ids, { clock, aheadMaxMs: AHEAD_MAX_MS, shards });
      return new Tiler({ layout, outbox, partition, shards, topics, watcher: around.watcher }, progress, low);
    },
  });
  const close = async () => {
    await member.stop();
    for (const outbox of outboxes.values()) await outbox.close();
  };
  return { member, close };
}
