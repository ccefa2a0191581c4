/** Other definitions for a cluster, by whoever asks for them: a command, or a server of it. */
import { Fault, Faults } from '../../base/fault.ts';
import { formatMicros, wallMicros } from '../../base/time.ts';
import type { AbortedJson, PlanState } from '../../http/plan.ts';
import { diffPlans } from '../../plan/diff.ts';
import { planJson } from '../../plan/json.ts';
import { rowEntities } from '../../plan/layers.ts';
import type { Plan } from '../../plan/plan.ts';
import { type Moment, neverWhole, type Start, type Transition, transition } from '../../plan/transition.ts';
import type { Broker } from '../../source/kafka.ts';
import { AHEAD_MAX_MS } from '../../source/source.ts';
import type { Cassandra } from '../../store/cassandra.ts';
import { keptTables } from '../../store/cql.ts';
import type { Course, CoursePlan } from '../../work/course.ts';
import { readNote, united } from '../../work/note.ts';
import { begunBy } from '../../work/past.ts';
import { givenUp, inForceOf, momentOf, proposed, readTakenUp } from '../../work/succession.ts';
import { backfillGroup, checkPlan, tileGroup } from './cluster.ts';
import type { Config } from '../config.ts';
import type { CourseReader } from './course.ts';
import type { Applied } from '../alone/live.ts';
import { entityHash, numberedIn } from '../alone/recorded.ts';
import { latestOf } from './tiling.ts';

/** Somebody else may decide first: then all is looked at anew, so often. */
const TRIES_MAX = 20;

/** For those who still answer by the definitions before, as long as these may be counted; then nobody does. */
const BEFORE_MAX_MS = 15_000;
const LOOK_EVERY_MS = 500;

export interface SucceedingParts {
  config: Pick<Config, 'kafka' | 'log'>;
  remote: Pick<Cassandra, 'agreement' | 'numbers' | 'newNumbers' | 'makeTables'>;
  broker: Pick<Broker, 'committed' | 'partitionsOf'>;
  courses: CourseReader;
}

/** @throws Fault, Faults of each method: what is refused, with all left as it is */
export interface Succeeding {
  /** Proposes a plan; processes that work take it up, and then it is in force. The same again joins it. */
  apply(next: Plan, start: Start): Promise<Applied & { number: number }>;
  /** Gives up what is to come. */
  abort(): Promise<AbortedJson>;
  state(): Promise<PlanState>;
  /** What is agreed now. */
  look(): Promise<Course>;
}

export function succeeding({ config, remote, broker, courses }: SucceedingParts): Succeeding {
  const { agreement } = remote;
  const { clock } = config.log;
  const kafka = config.kafka!;

  async function moment(): Promise<Moment> {
    const committed = await broker.committed(tileGroup(kafka), kafka.events);
    const notes = [...committed.values()].map(({ note }) => readNote(note));
    const nowMicros = clock.kind === 'wall' ? wallMicros() : (latestOf(united(notes).clocks) ?? wallMicros());
    return momentOf(notes, nowMicros, clock.kind === 'wall' ? AHEAD_MAX_MS : 0);
  }

  async function apply(next: Plan, start: Start): Promise<Applied & { number: number }> {
    checkPlan(next);
    for (let n = 0; n < TRIES_MAX; n++) {
      const course = await courseAlone();
      const { plan, coming } = course;
      if (coming) return joined(course, coming, next, start);
      const change = checked(course, next, await moment(), start);
      if (planJson(next) === planJson(plan.inForce.plan))
        return { ...told(change), number: plan.number, position: plan.position };
      await remote.makeTables(keptTables(next));
      const numbers = await numberNew(next, change);
      const decisions = proposed(course, { plan: next, members: change.members }, numbers, start, wallMicros());
      if (await agreement.decide(course.turn, decisions))
        return { ...told(change), number: course.newestPlan + 1, position: null };
    }
    throw new Fault('busy', 'others change the definitions of this cluster all the time; try again');
  }

  /** Where nobody can still answer by definitions that are no longer in force. */
  async function courseAlone(): Promise<Course> {
    const endMs = performance.now() + BEFORE_MAX_MS;
    for (;;) {
      const course = await courses.look();
      if (course.comingEpoch)
        throw new Fault('conflict', 'the changelog is being repartitioned: definitions can change when that is done');
      if (!course.before || course.coming || performance.now() > endMs) return course;
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }

  async function joined({ plan }: Course, coming: CoursePlan, next: Plan, start: Start) {
    if (coming.start !== start || planJson(coming.inForce.plan) !== planJson(next))
      throw new Fault(
        'conflict',
        'other definitions are being taken up, to come into force then: --abort gives them up',
      );
    const change = checked({ plan }, next, await moment(), start);
    return { ...told(change), number: coming.number, position: null, untilMicros: coming.untilMicros };
  }

  async function numberNew(next: Plan, { members }: Transition): Promise<Map<string, number>> {
    const added = numberedIn(next).filter(({ name }) => members.get(name)!.id === null);
    const ids = await remote.newNumbers(added);
    await remote.numbers(rowEntities(next).map(one => ({ kind: 'entity', name: one.name, hash: entityHash(one) })));
    return new Map(added.map(({ name }, i) => [name, ids[i]!]));
  }

  async function abort(): Promise<AbortedJson> {
    for (let n = 0; n < TRIES_MAX; n++) {
      const course = await courses.look();
      const decisions = givenUp(course);
      if (!decisions || (await agreement.decide(course.turn, decisions)))
        return { aborted: decisions !== null, position: course.plan.position! };
    }
    throw new Fault('busy', 'others change the definitions of this cluster all the time; try again');
  }

  async function state(): Promise<PlanState> {
    const course = await courses.look();
    const { plan, coming } = course;
    const taken = coming && (await agreement.reached('plan', coming.number)).size;
    const of = (await broker.partitionsOf(kafka.events)) ?? 0;
    const until = coming?.untilMicros ?? null;
    return {
      position: plan.position!,
      applied_at: formatMicros(plan.appliedAtMicros),
      computing: await computing(course),
      waiting: until === null ? null : { until: formatMicros(until) },
      ...(taken !== null && { taken_up: { partitions: taken, of } }),
    };
  }

  /** The first look at what is computed, since when its rate is counted. */
  let first: { plan: number; folded: number; atMs: number } | null = null;

  async function computing(course: Course): Promise<PlanState['computing']> {
    if (!begunBy(course)) return null;
    const { number } = course.coming!;
    const takenUp = await agreement.reached('plan', number);
    const committed = await broker.committed(backfillGroup(kafka, number), kafka.events);
    const folded = united([...committed.values()].map(({ note }) => readNote(note))).count;
    const end = united([...takenUp.values()].map(readTakenUp)).count;
    const atMs = performance.now();
    if (first?.plan !== number) first = { plan: number, folded, atMs };
    const seconds = (atMs - first.atMs) / 1000;
    const rate = seconds > 0 ? Math.max(0, Math.round((folded - first.folded) / seconds)) : 0;
    return { doing: 'folding', folded, end, rate, merged: 0 };
  }

  return { apply, abort, state, look: () => courses.look() };
}

/** @throws Faults all that is refused */
export function checked(course: Pick<Course, 'plan'>, next: Plan, at: Moment, start: Start): Transition {
  const current = inForceOf(course);
  const change = transition(current, next, at, start === 'when-warm' ? 'since-now' : start);
  const refusals = [...diffPlans(current.plan, next).refusals, ...change.refusals];
  if (start === 'when-warm')
    refusals.push(...neverWhole([...change.added, ...change.redefined, ...change.extended], change, next));
  if (refusals.length > 0) throw new Faults(refusals);
  return change;
}

function told({ members, refusals, ...lists }: Transition): Omit<Applied, 'position'> {
  return { ...lists, untilMicros: null, waitedMs: 0 };
}
