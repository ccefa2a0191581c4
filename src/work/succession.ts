/**
 * How one plan follows on another where many processes tile, and one changelog on another. Pure: each function says what is to
 * be decided (course.ts), from what is agreed and from how far partitions have come, and null where nothing is yet.
 *
 *   1. propose   the plan is there, with numbers for what is new, and changes nothing
 *   2. take up   each partition of events, by whoever owns it: a transaction notes the plan with the offset, and from there on
 *                what is new is counted beside what is in force
 *   3. settle    all partitions have taken it up: it is in force, and what it knows of events is since then
 *   4. retire    nobody answers by the plan before any more: it is no longer counted
 *
 * A position of step 2 is decided by the one process that the broker lets write then, so no event is before it for one process
 * and behind it for another.
 */
import type { TypeClock } from '../base/time.ts';
import { warmFrom, withReadsOf } from '../plan/beside.ts';
import type { Known } from '../plan/known.ts';
import { type InForce, type Member, type Moment, planOnly, type Transition, transition } from '../plan/transition.ts';
import type { Decision } from '../store/agreed.ts';
import { keptTables } from '../store/cql.ts';
import { type Course, type CoursePlan, epochDecision, planDecision } from './course.ts';
import { type Folded, foldedTogether, type Known as Noted, noteOf, readNote, united } from './note.ts';

/** Before the first changelog there are none. */
const NO_ROWS: Folded = { stamp: 0n, highest: [] };

/** What a cluster begins with. */
export function begun(inForce: InForce, partitions: number, nowMicros: bigint): Decision[] {
  const plan: CoursePlan = {
    ...{ number: 1, inForce, start: 'warm', appliedAtMicros: nowMicros, position: 0, untilMicros: null },
  };
  return [planDecision(plan, 'in force'), epochDecision({ number: 1, partitions, ...NO_ROWS }, 'in force')];
}

/** As `transition` wants it: rows of a table live as long as that said when they were written. */
export function inForceOf({ plan: { inForce } }: Pick<Course, 'plan'>): InForce {
  const rowsLastMs = new Map(keptTables(inForce.plan).map(({ levelMs, ttlMs }) => [levelMs, ttlMs]));
  return { ...inForce, rowsLastMs };
}

/** @param numbers of members that are new, by name */
export function proposed(
  { newestPlan }: Course,
  { plan, members }: { plan: InForce['plan']; members: Transition['members'] },
  numbers: Map<string, number>,
  start: CoursePlan['start'],
  nowMicros: bigint,
): Decision[] {
  const numbered = [...members].map(([name, { id, known }]): [string, Member] => [
    name,
    { id: id ?? numbers.get(name)!, known },
  ]);
  const inForce = { plan, members: new Map(numbered) };
  const number = newestPlan + 1;
  return [
    planDecision({ number, inForce, start, appliedAtMicros: nowMicros, position: null, untilMicros: null }, 'coming'),
  ];
}

export function givenUp({ coming }: Course): Decision[] | null {
  return coming && [planDecision(coming, 'given up')];
}

/** Where a partition has taken a plan up. */
export interface TakenUp extends Pick<Noted, 'count' | 'clocks'> {
  /** Of its first event by that plan. */
  offset: bigint;
  /** By the clock of the cluster's events. */
  nowMicros: bigint;
}

export function takenUpNote({ offset, nowMicros, count, clocks }: TakenUp): string {
  const known = noteOf({ count, clocks, mark: { plan: 0, epoch: 0 } });
  return JSON.stringify({ offset: String(offset), now: String(nowMicros), known });
}

export function readTakenUp(note: string): TakenUp {
  const { offset, now, known } = JSON.parse(note) as { offset: string; now: string; known: string };
  const { count, clocks } = readNote(known);
  return { offset: BigInt(offset), nowMicros: BigInt(now), count, clocks };
}

/** Of all partitions together. */
export function momentOf(
  partitions: { count: number; clocks: Map<string, TypeClock> }[],
  nowMicros: bigint,
  aheadMs: number,
): Moment {
  const { count, clocks } = united(partitions);
  return { position: count, clocks, nowMicros, aheadMs };
}

/**
 * @param at the moment at which all partitions together have taken the plan up; null while some have not
 * @param nowMicros for what waits for its windows
 * @param since of event types, from when on what was to be made of earlier events is whole (past.ts), where that is not from the
 *   first on; null while it is being made
 */
export function settled(
  course: Course,
  at: Moment | null,
  nowMicros: bigint,
  since: Map<string, bigint> | null,
): Decision[] | null {
  const { coming, plan, before } = course;
  if (!coming || !at) return null;
  const { start, inForce } = coming;
  const beginning = start === 'when-warm' ? 'since-now' : start;
  const change = transition(inForceOf(course), inForce.plan, at, beginning);
  const events = new Map(inForce.plan.aggregates.map(({ name, event }) => [name, event]));
  const knownBy = (name: string): Known => {
    const { id, known } = change.members.get(name)!;
    const sinceMicros = id === null && start === 'whole' ? since?.get(events.get(name)!) : undefined;
    return sinceMicros === undefined ? known : { ...known, sinceMicros };
  };
  const members = new Map(
    [...inForce.members].map(([name, { id }]): [string, Member] => [name, { id, known: knownBy(name) }]),
  );
  const whole = start === 'when-warm' ? wholeFrom(course, change) : null;
  const next = { ...coming, inForce: { plan: inForce.plan, members }, position: at.position, untilMicros: whole };
  const waits = whole !== null && nowMicros < whole;
  if (waits || (start === 'whole' && since === null))
    return coming.position === null ? [planDecision(next, 'coming')] : null;
  return [
    planDecision({ ...next, untilMicros: null }, 'in force'),
    planDecision(plan, 'before'),
    ...(before ? [planDecision(before, 'over')] : []),
  ];
}

/** What is redefined has to be whole as what is added. */
function wholeFrom({ plan, coming }: Course, change: Transition): bigint | null {
  const added = [...change.added, ...change.redefined];
  const were = new Map([...plan.inForce.members].filter(([name]) => !change.redefined.includes(name)));
  return warmFrom(coming!.inForce.plan, { ...change, added }, were);
}

/**
 * What the tile stage counts: the plan that is taken up last, with the tiles that the one which may still be asked reads, and
 * what that one alone has. So one and the same goes on from before the next plan is in force until nobody asks the other one.
 */
export function lanesOf({ plan, coming, before }: Pick<Course, 'plan' | 'coming' | 'before'>): [InForce, ...InForce[]] {
  const { inForce: last } = coming ?? plan;
  const asked = (coming ? plan : before)?.inForce;
  if (!asked) return [last];
  const numbers = new Set([...last.members.values()].map(({ id }) => id));
  const alone = asked.plan.aggregates.filter(({ name }) => !numbers.has(asked.members.get(name)!.id));
  const main = { plan: withReadsOf(asked, last), members: last.members };
  if (alone.length === 0) return [main];
  const rest = planOnly(asked.plan, new Set(alone.map(({ name }) => name)));
  return [main, { plan: rest, members: asked.members }];
}

export function retired({ before }: Course): Decision[] | null {
  return before && [planDecision(before, 'over')];
}

/** While the changelog before is still folded. */
const UNKNOWN_ROWS: Folded = { stamp: 0n, highest: null };

export function nextEpoch({ epoch }: Course, partitions: number): Decision[] {
  return [epochDecision({ number: epoch.number + 1, partitions, ...UNKNOWN_ROWS }, 'coming')];
}

/**
 * @param takenUp how many partitions of events send to the next changelog, of so many
 * @param drained of the partitions of the one before that are drained, what they have left
 */
export function settledEpoch(
  { epoch, comingEpoch }: Course,
  { takenUp, sources }: { takenUp: number; sources: number },
  drained: Folded[],
): Decision[] | null {
  if (!comingEpoch || takenUp < sources || drained.length < epoch.partitions) return null;
  const next = { ...comingEpoch, ...foldedTogether(drained) };
  return [epochDecision(next, 'in force'), epochDecision(epoch, 'over')];
}
