/** The course of a cluster as one of its processes knows it: read from the database, and again now and then. */
import { Fault, Faults } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import { wallMicros } from '../../base/time.ts';
import type { Ids } from '../../kernel/layout.ts';
import { planHash } from '../../plan/canonical.ts';
import { rowEntities } from '../../plan/layers.ts';
import type { Plan } from '../../plan/plan.ts';
import { ALL_KNOWN } from '../../plan/known.ts';
import { type InForce, knownOf, type Member } from '../../plan/transition.ts';
import type { Cassandra } from '../../store/cassandra.ts';
import { type Course, courseOf } from '../../work/course.ts';
import { begun } from '../../work/succession.ts';
import { checkPlan } from './cluster.ts';
import { NOT_IN_FORCE } from '../alone/beginning.ts';
import type { Config } from '../config.ts';
import { planOf } from '../plan_cache.ts';
import { entityHash, numberedIn } from '../alone/recorded.ts';

/** How often a process asks whether something has been decided. */
export const COURSE_EVERY_MS = 1_000;

export class CourseReader {
  private constructor(
    private readonly remote: Pick<Cassandra, 'agreement'>,
    private known: Course,
  ) {}

  /**
   * @param first what a cluster begins with that has nothing yet: whoever comes first decides
   * @throws Fault as `checkPlan`, `courseOf` and the database
   */
  static async open(
    remote: Pick<Cassandra, 'agreement' | 'numbers'>,
    first: () => Promise<{ plan: Plan; partitions: number }>,
  ): Promise<CourseReader> {
    const { agreement } = remote;
    for (;;) {
      const course = courseOf(await agreement.read());
      if (course) return new CourseReader(remote, course);
      const { plan, partitions } = await first();
      checkPlan(plan);
      const entries = numberedIn(plan);
      const numbers = await remote.numbers(entries);
      const members = new Map(
        entries.map(({ name }, i): [string, Member] => [name, { id: numbers[i]!, known: ALL_KNOWN }]),
      );
      await agreement.decide(0, begun({ plan, members }, partitions, wallMicros()));
    }
  }

  /** As of the last look. */
  get course(): Course {
    return this.known;
  }

  async look(): Promise<Course> {
    const { agreement } = this.remote;
    if ((await agreement.turn()) !== this.known.turn) {
      const course = courseOf(await agreement.read());
      if (!course) throw new Fault('conflict', 'the keyspace was emptied while processes of its cluster run');
      this.known = course;
    }
    return this.known;
  }
}

/** Says so where the folder has other definitions than those that the cluster goes by, which go on. */
export async function noteOthers(config: Config, { plan, coming }: Course, log: Log): Promise<void> {
  try {
    const hash = planHash((await planOf(config)).plan);
    if ([plan, coming].every(one => one === null || planHash(one.inForce.plan) !== hash)) log.warn({}, NOT_IN_FORCE);
  } catch (error) {
    // Whoever works needs no definitions of its own.
    if (!(error instanceof Fault || error instanceof Faults)) throw error;
    log.warn({ error: error.message }, 'the definitions in the folder are not those of the cluster, which go on');
  }
}

/** What rows call a plan's entities and aggregates, and what these know. */
export async function agreedIds(remote: Pick<Cassandra, 'numbers'>, { plan, members }: InForce): Promise<Ids> {
  const entities = rowEntities(plan).map(one => ({ kind: 'entity' as const, name: one.name, hash: entityHash(one) }));
  const numbers = await remote.numbers(entities);
  return {
    entities: new Map(entities.map(({ name }, i) => [name, numbers[i]!])),
    aggregates: new Map([...members].map(([name, { id }]) => [name, id])),
    known: knownOf(members),
  };
}
