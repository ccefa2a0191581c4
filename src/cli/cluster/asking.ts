/** For commands of a cluster that are soon over: its database and its broker, what it has agreed on, and answers. */
import { wallMicros } from '../../base/time.ts';
import { knownOf } from '../../plan/transition.ts';
import type { Broker } from '../../source/kafka.ts';
import { type Cassandra, openCassandra } from '../../store/cassandra.ts';
import { courseOf } from '../../work/course.ts';
import { readNote, united } from '../../work/note.ts';
import { type Answering, openAnswering } from './answering.ts';
import { openBroker, scyllaOf, tileGroup } from './cluster.ts';
import type { Config } from '../config.ts';
import { CourseReader } from './course.ts';
import type { InForce } from '../in_force.ts';
import { planOf } from '../plan_cache.ts';
import { type Succeeding, succeeding } from './succeeding.ts';
import { latestOf } from './tiling.ts';

export interface Asking {
  remote: Cassandra;
  broker: Broker;
  /** Of a cluster that has not begun, with what the configuration says. */
  courses(): Promise<CourseReader>;
}

/**
 * Does something with a cluster, and lets go of it.
 *
 * @throws Fault `busy` where the database or the broker does not answer
 */
export async function asking<T>(config: Config, path: string, work: (asking: Asking) => Promise<T>): Promise<T> {
  const kafka = config.kafka!;
  const remote = await openCassandra(scyllaOf(config, path));
  try {
    const broker = await openBroker(kafka);
    const first = async () => ({ plan: (await planOf(config)).plan, partitions: kafka.changelog.partitions });
    try {
      return await work({ remote, broker, courses: () => CourseReader.open(remote, first) });
    } finally {
      await broker.close();
    }
  } finally {
    await remote.close();
  }
}

/** Works on what is in force there, and what is to come. */
export function succeedingIn<T>(config: Config, path: string, work: (one: Succeeding) => Promise<T>): Promise<T> {
  return asking(config, path, async ({ remote, broker, courses }) =>
    work(succeeding({ config, remote, broker, courses: await courses() })),
  );
}

/** Answers as a server of the cluster would. */
export function answered<T>(config: Config, path: string, work: (answering: Answering) => Promise<T>): Promise<T> {
  return asking(config, path, async ({ remote, broker }) => work(await openAnswering(config, remote, broker)));
}

/** What is in force there, as `planInForce` says it of a data folder; null before the cluster has begun. */
export function clusterInForce(config: Config, path: string): Promise<InForce | null> {
  return asking(config, path, async ({ broker, remote }) => {
    const course = courseOf(await remote.agreement.read());
    if (!course) return null;
    const { plan, coming } = course;
    const kafka = config.kafka!;
    const committed = await broker.committed(tileGroup(kafka), kafka.events);
    const { count, clocks } = united([...committed.values()].map(({ note }) => readNote(note)));
    const nowMicros = config.log.clock.kind === 'wall' ? wallMicros() : latestOf(clocks);
    return {
      plan: plan.inForce.plan,
      from: 0,
      // Each decision has numbers of its own: there are none that two names could share.
      numbers: [],
      now: { position: count - 1, clocks, nowMicros, known: knownOf(plan.inForce.members) },
      coming: coming && { plan: coming.inForce.plan, untilMicros: coming.untilMicros },
    };
  });
}
