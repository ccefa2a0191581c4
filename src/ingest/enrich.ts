import { type Spelt, spellAnswered } from '../kernel/answered.ts';
import type { Layout } from '../kernel/layout.ts';
import type { BadEvent } from '../kernel/ndjson.ts';

/** Some events, one behind the other in the log, with what each is answered with as of itself. */
export interface Enriched {
  /** Of the first of them. */
  position: number;
  count: number;
  /** Of each event its time, its position, its features and what is wrong with these, as members of an object of JSON. */
  spelt: Spelt;
  /** Why events cannot count, by their index here: those have no features. */
  faults: Map<number, EventFault>;
}

export type EventFault = Pick<BadEvent, 'code' | 'reason'>;

/** Takes what was enriched, in the log's order. */
export type TakeEnriched = (part: Enriched) => void;

const UNDECLARED: EventFault = { code: 'undeclared', reason: 'no definition declares events of this type' };

/**
 * What records [from, to) of the batch are answered with, which have just been sequenced.
 *
 * @param position of the batch's first record
 * @param bad of the whole batch
 */
export function enrichedRecords(
  { kernel }: Layout,
  from: number,
  to: number,
  position: number,
  bad: BadEvent[],
): Enriched {
  const count = to - from;
  const types = kernel.ints(kernel.exports.recordType.value + from * 4, count);
  const faults = new Map<number, EventFault>();
  for (let i = 0; i < count; i++) if (types[i]! < 0) faults.set(i, UNDECLARED);
  for (const { record, code, reason } of bad)
    if (record >= from && record < to) faults.set(record - from, { code, reason });
  return { position: position + from, count, spelt: spellAnswered(kernel, from, to), faults };
}
