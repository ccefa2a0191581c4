import { greatest, type TypeClock } from '../base/time.ts';
import { Fault } from '../base/fault.ts';
import type { HighestTile } from '../kernel/fold.ts';
import { NOTE_MAX_BYTES } from '../source/partition.ts';

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
    throw foreign(note);
  }
}

/** What is known of the rows of a partition of a changelog up to an offset. */
export interface Folded {
  /** Of the message before it. */
  stamp: bigint;
  /** Up to which tiles there are rows: whatever lies beyond them has none. Null where that is not known. */
  highest: HighestTile[] | null;
}

/** As the note of an offset. Of more kinds of rows than fit into it nothing is known then, and they are looked for. */
export function foldedNote({ stamp, highest }: Folded): string {
  const tiles = highest?.map(({ entity, levelMs, tileStartMs }) => [entity, levelMs, tileStartMs]);
  const note = JSON.stringify({ stamp: String(stamp), highest: tiles });
  return note.length <= NOTE_MAX_BYTES ? note : JSON.stringify({ stamp: String(stamp) });
}

/** @throws Fault `corrupt` where somebody else has committed the offset */
export function readFolded(note: string): Folded {
  // Before it knew of tiles it was the stamp alone.
  if (/^\d{1,19}$/.test(note)) return { stamp: BigInt(note), highest: null };
  try {
    const { stamp, highest } = JSON.parse(note) as { stamp: string; highest?: [number, number, number][] };
    const tiles = highest?.map(([entity, levelMs, tileStartMs]) => ({ entity, levelMs, tileStartMs }));
    return { stamp: BigInt(stamp), highest: tiles ?? null };
  } catch {
    throw foreign(note);
  }
}

/** What is known of all partitions together, whose keys are others from now on; of their rows nothing where of one it is not. */
export function foldedTogether(partitions: Folded[]): Folded {
  const highest = new Map<string, HighestTile>();
  for (const one of partitions.flatMap(partition => partition.highest ?? [])) {
    const name = `${one.entity} ${one.levelMs}`;
    const known = highest.get(name);
    if (!known || one.tileStartMs > known.tileStartMs) highest.set(name, one);
  }
  const isKnown = partitions.every(partition => partition.highest !== null);
  return {
    stamp: greatest(partitions.map(({ stamp }) => stamp)) ?? 0n,
    highest: isKnown ? [...highest.values()] : null,
  };
}

function foreign(note: string): Fault {
  return new Fault(
    'corrupt',
    `an offset of the group was not committed by tilefold: its note is ${JSON.stringify(note)}`,
  );
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

/**
 * Clocks of a partition with those of events before, by others: of types that the first know nothing of, or not from the beginning on.
 */
export function withEarlier(clocks: Known['clocks'], earlier: Known['clocks']): Known['clocks'] {
  const both = new Map(clocks);
  for (const [type, before] of earlier) {
    const known = clocks.get(type);
    const later = known && known.at >= before.at ? known : before;
    both.set(type, { ...later, since: known && known.since < before.since ? known.since : before.since });
  }
  return both;
}

/** Nothing of those earlier clocks is lacking. */
export function hasEarlier(clocks: Known['clocks'], earlier: Known['clocks']): boolean {
  return [...earlier].every(([type, { at, since }]) => {
    const known = clocks.get(type);
    return known !== undefined && known.at >= at && known.since <= since;
  });
}
