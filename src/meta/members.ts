import { Fault } from '../base/fault.ts';
import type { Known } from '../plan/known.ts';
import type { InForce, Member } from '../plan/transition.ts';

/** A time has more digits than a number of JSON keeps. */
interface KnownText extends Omit<Known, 'sinceMicros' | 'levels'> {
  sinceMicros: string | null;
  levels: { levelMs: number; position: number; sinceMicros: string }[];
}

/** What is recorded with a plan of its aggregates; `readMembers` gives it back. */
export function membersText(members: InForce['members']): string {
  return JSON.stringify(
    [...members].map(([name, { id, known }]) => [name, id, known]),
    (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
  );
}

/** @throws Fault `corrupt` where the text is none of its */
export function readMembers(text: string): InForce['members'] {
  try {
    const entries = JSON.parse(text) as [string, number, KnownText][];
    return new Map(entries.map(([name, id, known]): [string, Member] => [name, { id, known: knownOf(known) }]));
  } catch (error) {
    throw new Fault('corrupt', `the plan's aggregates in the database cannot be read: ${(error as Error).message}`);
  }
}

function knownOf({ sinceMicros, levels, ...rest }: KnownText): Known {
  return {
    ...rest,
    sinceMicros: sinceMicros === null ? null : BigInt(sinceMicros),
    levels: levels.map(level => ({ ...level, sinceMicros: BigInt(level.sinceMicros) })),
  };
}
