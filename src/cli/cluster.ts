/** What all processes of a cluster agree on, and where its servers are. */
import { Fault } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { Ids } from '../kernel/layout.ts';
import { planHash } from '../plan/canonical.ts';
import { isTopology, rowEntities } from '../plan/layers.ts';
import type { Plan } from '../plan/plan.ts';
import { type Broker, openKafka } from '../source/kafka.ts';
import { type Cassandra, type ClusterSettings, openCassandra } from '../store/cassandra.ts';
import type { Config, KafkaConfig } from './config.ts';
import { entityHash, numberedIn } from './recorded.ts';

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
