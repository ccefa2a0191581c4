/** What all processes of a cluster agree on, and where its servers are. */
import { Fault } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import type { WorkMetrics } from '../../base/work_metrics.ts';
import { isTopology } from '../../plan/layers.ts';
import type { Plan } from '../../plan/plan.ts';
import { type Broker, openKafka } from '../../source/kafka.ts';
import type { EventCoding } from '../../source/partition.ts';
import { openProtobuf } from '../../source/protobuf.ts';
import type { Agreement } from '../../store/agreed.ts';
import { type Cassandra, type ClusterSettings, openCassandra } from '../../store/cassandra.ts';
import type { Config, KafkaConfig } from '../config.ts';

/** Whether a configuration is of a cluster: it says where events come from, and where rows are. */
export function isClustered({ kafka, scylla }: Config): boolean {
  return kafka !== null && scylla !== null;
}

/**
 * Where rows are, and who asks for them: who serves may be another user than who folds, of whom the database takes more.
 *
 * @throws Fault `config` where the configuration does not say
 */
export function scyllaOf({ scylla }: Config, path: string, isServing = false): ClusterSettings {
  if (!scylla) throw new Fault('config', `${path} has no section scylla, which says where rows are to be`);
  const { hosts, keyspace, tls } = scylla;
  return {
    hosts,
    keyspace,
    tls: tls ?? null,
    user: (isServing && userOf('TILEFOLD_SCYLLA_SERVE')) || userOf('TILEFOLD_SCYLLA'),
  };
}

function userOf(prefix: string): ClusterSettings['user'] {
  const { [`${prefix}_USER`]: name, [`${prefix}_PASSWORD`]: password = '' } = process.env;
  return name === undefined ? null : { name, password };
}

/** @throws Fault as `openKafka`; `config` where the environment has no password */
export function openBroker({ brokers, tls, sasl }: KafkaConfig): Promise<Broker> {
  const user = userOf('TILEFOLD_KAFKA');
  if (sasl !== null && user === null)
    throw new Fault(
      'config',
      `kafka.sasl is ${sasl}: TILEFOLD_KAFKA_USER and TILEFOLD_KAFKA_PASSWORD are to say, in the environment, for whom`,
    );
  return openKafka(brokers, { tls, login: sasl !== null && user !== null ? { mechanism: sasl, ...user } : null });
}

/** How many partitions of events there are: their topic is somebody else's. @throws Fault `not_found` where it is not there */
export async function sourcesOf(broker: Broker, { events }: KafkaConfig): Promise<number> {
  const found = await broker.partitionsOf(events);
  if (found !== null) return found;
  throw new Fault(
    'not_found',
    `there is no topic ${events}, which kafka.events names: make it, or whoever sends events`,
  );
}

/** How events are messages; null where these are lines. @throws Fault as `openProtobuf` */
export async function codingOf({ protobuf }: KafkaConfig): Promise<EventCoding | null> {
  return protobuf && (await openProtobuf(protobuf));
}

/** @throws Fault as `openCassandra` */
export async function openRemote(settings: ClusterSettings): Promise<Cassandra & AsyncDisposable> {
  const remote = await openCassandra(settings);
  return { ...remote, [Symbol.asyncDispose]: () => remote.close() };
}

/** What goes on around a process of a cluster. */
export interface Surroundings {
  log: Log;
  /** Takes what no retry helps against: the process has to end. */
  onFailure: (error: unknown) => void;
}

/** And around one that tiles and folds. */
export interface WorkSurroundings extends Surroundings {
  watcher: WorkMetrics;
}

export const SHADOW_INSTEAD =
  'there `tilefold apply --when-warm` makes definitions beside those in force, and an archive is replayed by any';

/** @throws Fault `unsupported` in a cluster, for what is made of the log of one machine */
export function checkAlone(config: Config, what: string, instead: string): void {
  if (isClustered(config))
    throw new Fault('unsupported', `${what}: that is of a log on one machine, and not of a cluster; ${instead}`);
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

/** The group that tiles; its notes say how far the clocks of events have come. */
export function tileGroup({ group }: Pick<KafkaConfig, 'group'>): string {
  return `${group}.tile`;
}

/** The group that folds a changelog: each has its own. */
export function foldGroup({ group }: Pick<KafkaConfig, 'group'>, epoch: number): string {
  return `${group}.fold.${epoch}`;
}

/** The group that makes of earlier events what a plan has begun: each has its own. */
export function backfillGroup({ group }: Pick<KafkaConfig, 'group'>, plan: number): string {
  return `${group}.backfill.${plan}`;
}

/** The topic of changes: of each epoch another one. */
export function changelogName({ changelog: { topic } }: KafkaConfig, epoch: number): string {
  return `${topic}.${epoch}`;
}

/** The topic of what is wrong with events. */
export function errorsName({ changelog: { topic } }: KafkaConfig): string {
  return `${topic}.errors`;
}

/** How often, and after how long, a broker is asked once more for a topic before that is believed to be gone. */
const LOOKS_MAX = 5;
const LOOK_EVERY_MS = 200;

/** Changes of one message are one row at least, and a row may be large. */
const MESSAGE_MAX_BYTES = 8 << 20;

/**
 * Makes the topic of changes where there is none.
 *
 * @param isSentTo changes had been sent to it before this was asked: then it is not made again
 * @throws Fault `config` where there is one of other partitions, `not_found` where it has been deleted
 */
export async function makeChangelog(
  broker: Pick<Broker, 'partitionsOf' | 'makeTopic'>,
  kafka: KafkaConfig,
  { number, partitions }: { number: number; partitions: number },
  isSentTo = false,
): Promise<void> {
  const { replicas, retentionMs } = kafka.changelog;
  const name = changelogName(kafka, number);
  let has = await broker.partitionsOf(name);
  // Of several brokers one may not know yet of what another one has made.
  for (let n = 0; isSentTo && has === null && n < LOOKS_MAX; n++) {
    await Bun.sleep(LOOK_EVERY_MS);
    has = await broker.partitionsOf(name);
  }
  if (has === null) {
    if (isSentTo) throw changelogGone(name);
    const changes = { 'message.timestamp.type': 'LogAppendTime', 'max.message.bytes': String(MESSAGE_MAX_BYTES) };
    const settings = { 'cleanup.policy': 'delete', 'retention.ms': String(retentionMs), ...changes };
    await broker.makeTopic({ name, partitions, replicas, settings });
  } else if (has !== partitions) {
    const what = `topic ${name} has ${has} partitions, and the cluster has agreed on ${partitions}`;
    throw new Fault(
      'config',
      `${what}: keys stay in their partitions, and \`tilefold repartition\` changes their number`,
    );
  }
}

/**
 * Makes the topic of the changelog that is to come, once: what is noted as made, and is not there any more, had changes.
 *
 * @throws Fault as `makeChangelog`
 */
export async function makeComing(
  { agreement }: { agreement: Pick<Agreement, 'reached' | 'reach'> },
  broker: Pick<Broker, 'partitionsOf' | 'makeTopic'>,
  kafka: KafkaConfig,
  epoch: { number: number; partitions: number },
): Promise<void> {
  // Asked for first: whoever makes it a moment later does not have this one believe that it is gone.
  const isMade = (await agreement.reached('made', epoch.number)).size > 0;
  await makeChangelog(broker, kafka, epoch, isMade);
  if (!isMade) await agreement.reach('made', epoch.number, 0, '');
}

function changelogGone(name: string): Fault {
  return new Fault(
    'not_found',
    `topic ${name}, which has changes of this cluster, is gone, and with it what of them was not in rows yet: give kafka.group, kafka.changelog.topic and scylla.keyspace new names, and what the topic of events has is counted from its beginning`,
  );
}
