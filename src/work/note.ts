import type { TypeClock } from '../base/time.ts';
import { Fault } from '../base/fault.ts';

/** What is known of the events of a partition up to an offset. */
export interface Known {
  /** How many there are: lines that are none have no position. */
  count: number;
  /** Of each event type, by name. */
  clocks: Map<string, TypeClock>;
  /** What its events go by from there on. */
  mark: Mark;
}

/** By their numbers, the newest plan that a partition has taken up, and the changelog that it sends to. */
export interface Mark {
  plan: number;
  epoch: number;
}

export const FIRST_MARK: Mark = { plan: 1, epoch: 1 };

/** As the note of an offset: times need more digits than a JSON number keeps. */
export function noteOf({ count, clocks, mark }: Known): string {
  const texts = [...clocks].map(([type, { at, since, jumps }]) => [type, [at, since, ...jumps].map(String)]);
  return JSON.stringify({ count, clocks: Object.fromEntries(texts), ...mark });
}

/** @throws Fault `corrupt` where somebody else has committed the offset */
export function readNote(note: string): Known {
  try {
    const { count, clocks, plan, epoch } = JSON.parse(note) as {
      count: number;
      clocks: Record<string, [string, string, ...string[]]>;
    } & Mark;
    const read = Object.entries(clocks).map(([type, [at, since, ...jumps]]): [string, TypeClock] => [
      type,
      { at: BigInt(at), since: BigInt(since), jumps: jumps.map(BigInt) },
    ]);
    return { count, clocks: new Map(read), mark: { plan, epoch } };
  } catch {
    throw new Fault(
      'corrupt',
      `an offset of the group was not committed by tilefold: its note is ${JSON.stringify(note)}`,
    );
  }
}

/** What is known of all partitions together: the latest that a clock shows, and the first event that any has had. */
export function united(notes: Pick<Known, 'count' | 'clocks'>[]): Pick<Known, 'count' | 'clocks'> {
  const clocks = new Map<string, TypeClock>();
  for (const [type, { at, since }] of notes.flatMap(note => [...note.clocks])) {
    const known = clocks.get(type);
    const isLater = !known || at > known.at;
    const isFirst = !known || since < known.since;
    clocks.set(type, { at: isLater ? at : known.at, since: isFirst ? since : known.since, jumps: [] });
  }
  return { count: notes.reduce((sum, { count }) => sum + count, 0), clocks };
}
