/**
 * The course that a cluster is on: which definitions its rows are of and which are to come, and which changelog its changes
 * go through. It is what decisions say (store/agreed.ts), and all processes read the same.
 */
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { HighestTile } from '../kernel/fold.ts';
import { membersText, readMembers } from '../meta/members.ts';
import { planJson, readPlan } from '../plan/json.ts';
import type { InForce, Start } from '../plan/transition.ts';
import type { Decided, Decision } from '../store/agreed.ts';
import type { Folded } from './note.ts';

export interface CoursePlan {
  number: number;
  inForce: InForce;
  /** How what is new begins. */
  start: Start;
  appliedAtMicros: bigint;
  /** Events before it, of all partitions together; null while some partition goes by the plan before. */
  position: number | null;
  /** From when on what is new is whole, where it waits for that and all partitions count it. */
  untilMicros: bigint | null;
}

/** One changelog, and what those before it have left: no row has a greater stamp, and none lies beyond the highest tiles. */
export interface CourseEpoch extends Folded {
  number: number;
  partitions: number;
}

export interface Course {
  turn: number;
  plan: CoursePlan;
  /** That comes into force when all is ready for it. */
  coming: CoursePlan | null;
  /** That somebody may still answer by: what it counts goes on being counted. */
  before: CoursePlan | null;
  /** The greatest number that any plan has had. */
  newestPlan: number;
  epoch: CourseEpoch;
  /** That changes go to already, and that is folded when the one before it is drained. */
  comingEpoch: CourseEpoch | null;
}

/** Null before the first decision. @throws Fault `unsupported` where a newer version has decided what this one cannot read */
export function courseOf({ turn, decisions }: Decided): Course | null {
  if (turn === 0) return null;
  const found = <T>(kind: Decision['kind'], state: Decision['state'], read: (one: Decision) => T): T | null => {
    const one = decisions.find(each => each.kind === kind && each.state === state);
    return one ? read(one) : null;
  };
  const plan = found('plan', 'in force', planOf);
  const epoch = found('epoch', 'in force', epochOf);
  assert(plan && epoch, 'where anything is decided, a plan and an epoch are');
  return {
    ...{ turn, plan, epoch },
    coming: found('plan', 'coming', planOf),
    before: found('plan', 'before', planOf),
    newestPlan: Math.max(...decisions.filter(({ kind }) => kind === 'plan').map(({ number }) => number)),
    comingEpoch: found('epoch', 'coming', epochOf),
  };
}

interface PlanBody {
  /** What wrote it: what another one writes may mean something else. */
  format: number;
  json: string;
  members: string;
  start: Start;
  appliedAt: string;
  position: number | null;
  until: string | null;
}

/** Of bodies. One that is greater is of a version that this one knows nothing of. */
const FORMAT = 1;

export function planDecision(plan: CoursePlan, state: Decision['state']): Decision {
  const { number, inForce, start, appliedAtMicros, position, untilMicros } = plan;
  const body: PlanBody = {
    ...{ format: FORMAT, json: planJson(inForce.plan), members: membersText(inForce.members), start },
    ...{ appliedAt: String(appliedAtMicros), position, until: untilMicros === null ? null : String(untilMicros) },
  };
  return { kind: 'plan', number, state, body: JSON.stringify(body) };
}

function planOf({ number, body }: Decision): CoursePlan {
  const { json, members, start, appliedAt, position, until } = readBody<PlanBody>('plan', number, body);
  return {
    ...{ number, start, position, inForce: { plan: readPlan(json), members: readMembers(members) } },
    ...{ appliedAtMicros: BigInt(appliedAt), untilMicros: until === null ? null : BigInt(until) },
  };
}

interface EpochBody {
  format: number;
  partitions: number;
  stamp: string;
  highest: HighestTile[] | null;
}

export function epochDecision({ number, partitions, stamp, highest }: CourseEpoch, state: Decision['state']): Decision {
  const body: EpochBody = { format: FORMAT, partitions, stamp: String(stamp), highest };
  return { kind: 'epoch', number, state, body: JSON.stringify(body) };
}

function epochOf({ number, body }: Decision): CourseEpoch {
  const { partitions, stamp, highest } = readBody<EpochBody>('epoch', number, body);
  return { number, partitions, stamp: BigInt(stamp), highest };
}

function readBody<T extends { format: number }>(what: string, number: number, body: string): T {
  const parsed = JSON.parse(body) as T;
  if (parsed.format <= FORMAT) return parsed;
  throw new Fault(
    'unsupported',
    `${what} ${number} of this cluster was made by a newer version of tilefold; use that one`,
  );
}
