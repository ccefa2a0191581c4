/**
 * What of a plan that is to come into force is made of the events before it, and how far that is. Pure.
 *
 *   events of a partition   | first that there is ......... taken up (succession.ts) ........
 *   what is new             |<------ a second tiler ------>|<-- the tiler of all the rest -->|
 *
 * Both send to the same changelog, each what is on its side alone, with how far it is in the same transaction: so each event is
 * in rows once, whoever dies, or wakes up late. States merge in any order.
 */
import { type InForce, planOnly } from '../plan/transition.ts';
import type { Course } from './course.ts';
import { readTakenUp } from './succession.ts';

/** Aggregates that are to be whole when the plan comes into force and have no rows before that; null where there are none. */
export function begunBy({ plan, coming }: Pick<Course, 'plan' | 'coming'>): InForce | null {
  if (coming?.start !== 'whole') return null;
  const { plan: next, members } = coming.inForce;
  const numbers = new Set([...plan.inForce.members.values()].map(({ id }) => id));
  const begun = next.aggregates.map(({ name }) => name).filter(name => !numbers.has(members.get(name)!.id));
  return begun.length === 0 ? null : { plan: planOnly(next, new Set(begun)), members };
}

/** The first offset of a partition that is made anything of, and back again. */
export function beginningNote(offset: bigint): string {
  return String(offset);
}

export function readBeginning(note: string): bigint {
  return BigInt(note);
}

/** What partitions have noted of a plan, each by its number. */
export interface PastNotes {
  /** Where it was taken up. */
  takenUp: Map<number, string>;
  /** Where what is made of earlier events begins. */
  beginnings: Map<number, string>;
  /** As `takenUp`, of what is made of them. */
  ends: Map<number, string>;
}

/**
 * Of event types, the time from which on all events are in the rows of what was begun; none where all have been there. What a
 * topic had let go of before is not in them, as what a log has lost is not on one machine.
 */
export function wholeSince({ takenUp, beginnings, ends }: PastNotes): Map<string, bigint> {
  const since = new Map<string, bigint>();
  const see = (type: string, micros: bigint) => {
    if (micros > (since.get(type) ?? micros - 1n)) since.set(type, micros);
  };
  for (const [partition, beginning] of beginnings) {
    if (readBeginning(beginning) === 0n) continue;
    const { clocks } = readTakenUp(ends.get(partition)!);
    for (const [type, clock] of clocks) see(type, clock.since);
    // Where none is left of those that there were, all that are known come later.
    for (const [type, { at }] of readTakenUp(takenUp.get(partition)!).clocks) if (!clocks.has(type)) see(type, at + 1n);
  }
  return since;
}
