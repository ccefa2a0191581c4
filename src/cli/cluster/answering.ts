/** Answers lookups in a cluster by the plan in force, which may be another one from one second to the next. */
import { wallMicros } from '../../base/time.ts';
import type { Now } from '../../http/feature_sets.ts';
import { resumeClocks } from '../../kernel/clock.ts';
import { Fold } from '../../kernel/fold.ts';
import { loadKernel } from '../../kernel/instance.ts';
import type { Layout } from '../../kernel/layout.ts';
import { layPlan } from '../../kernel/load.ts';
import type { Plan } from '../../plan/plan.ts';
import { knownOf } from '../../plan/transition.ts';
import type { Explain, Explanation } from '../../read/explain.ts';
import type { Answer, Lookup, LookUp } from '../../read/read.ts';
import { RemoteReader } from '../../read/remote.ts';
import type { Broker } from '../../source/kafka.ts';
import { AHEAD_MAX_MS } from '../../source/source.ts';
import type { Cassandra } from '../../store/cassandra.ts';
import type { CoursePlan } from '../../work/course.ts';
import { type Known, readNote, united } from '../../work/note.ts';
import { tileGroup } from './cluster.ts';
import type { Config } from '../config.ts';
import { agreedIds, CourseReader } from './course.ts';
import { planOf } from '../plan_cache.ts';
import { ANSWERED_BY_MAX_MS } from './settler.ts';
import { latestOf } from './tiling.ts';

export interface Answering extends LookUp {
  /** In force, as of the last look. */
  readonly plan: Plan;
  readonly courses: CourseReader;
  moment(): Now;
  /** Asks what is in force, and how far events have been tiled. */
  look(): Promise<void>;
}

/** @throws Fault where definitions that the cluster would begin with cannot be computed in one */
export async function openAnswering(
  config: Config,
  remote: Cassandra,
  broker: Pick<Broker, 'committed'>,
): Promise<Answering> {
  const kafka = config.kafka!;
  const { clock } = config.log;
  const courses = await CourseReader.open(remote, async () => ({
    plan: (await planOf(config)).plan,
    partitions: kafka.changelog.partitions,
  }));
  let known: Pick<Known, 'count' | 'clocks'> = { count: 0, clocks: new Map() };
  let lookedMs = performance.now();
  let looking: Promise<void> | null = null;
  const nowMicros = () => (clock.kind === 'wall' ? wallMicros() : (latestOf(known.clocks) ?? 0n));
  let by = await layBy(courses.course.plan);

  async function layBy(plan: CoursePlan): Promise<{ plan: CoursePlan; layout: Layout; reader: RemoteReader }> {
    const kernel = await loadKernel();
    const ids = await agreedIds(remote, plan.inForce);
    const layout = layPlan(kernel, plan.inForce.plan, ids, { clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
    new Fold(kernel, null).share();
    const reader = new RemoteReader({ layout, rows: remote, position: () => known.count - 1, nowMicros });
    return { plan, layout, reader };
  }

  async function lookAtPlan(): Promise<void> {
    const startMs = performance.now();
    const { plan } = await courses.look();
    if (plan.number !== by.plan.number) {
      by = await layBy(plan);
      resumeClocks(by.layout, known.clocks);
    }
    lookedMs = startMs;
  }

  /** One look serves all who wait for one. */
  function planLookedAt(): Promise<void> {
    looking ??= lookAtPlan().finally(() => {
      looking = null;
    });
    return looking;
  }

  async function look(): Promise<void> {
    await planLookedAt();
    const notes = await broker.committed(tileGroup(kafka), kafka.events);
    known = united([...notes.values()].map(({ note }) => readNote(note)));
    resumeClocks(by.layout, known.clocks);
  }

  /** Whoever has slept may have missed that another plan is in force, and nobody counts for this one any more. */
  async function current(): Promise<RemoteReader> {
    // One that is under way may have begun before the sleep; the next one has not.
    for (let n = 0; n < 2 && performance.now() - lookedMs > ANSWERED_BY_MAX_MS; n++) await planLookedAt();
    return by.reader;
  }

  await look();
  return {
    get plan() {
      return by.plan.inForce.plan;
    },
    courses,
    look,
    moment: (): Now => ({
      ...{ position: known.count - 1, clocks: known.clocks, nowMicros: nowMicros() },
      known: knownOf(by.plan.inForce.members),
    }),
    lookup: async (request: Lookup): Promise<Answer> => (await current()).lookup(request),
    explain: async (request: Explain): Promise<Explanation> => (await current()).explain(request),
  };
}
