import { greatestClock } from '../kernel/clock.ts';
import type { KeyInput } from '../kernel/key.ts';
import { type Answer, Reader } from '../read/read.ts';
import { walk, type WalkParts } from './walk.ts';

/** A lookup of one key as it was at a moment. */
export interface Moment {
  features: string[];
  entity: string;
  key: KeyInput;
  /** Microseconds since 1970 UTC; null for now, behind the log's last record. */
  atMicros: bigint | null;
}

/**
 * Lookups as of moments of a log: each is answered at its time from the events up to then, by the log's clock.
 *
 * @returns one answer for each moment, in their order
 * @throws Fault as `Asker.ask` and `walk`
 */
export async function answersAt(parts: WalkParts, moments: Moment[]): Promise<Answer[]> {
  const { layout, spill } = parts;
  const at = { position: -1, micros: 0n };
  const reader = new Reader({
    ...{ layout, fold: spill.fold, store: { readKey: spill.readRanges } },
    position: () => at.position,
    nowMicros: () => at.micros,
  });
  const answers = new Map<Moment, Answer>();
  for await (const { stop, position } of walk(parts, stopsAt(moments))) {
    const { features, entity, key } = stop.moment;
    at.position = position;
    at.micros = stop.timeMicros ?? greatestClock(layout) ?? 0n;
    answers.set(stop.moment, reader.lookup({ features, entities: { [entity]: [key] }, at: null }));
  }
  return moments.map(moment => answers.get(moment)!);
}

async function* stopsAt(moments: Moment[]) {
  for (const moment of moments.toSorted(byTime)) yield { moment, timeMicros: moment.atMicros };
}

/** Those of now come last. */
function byTime({ atMicros: a }: Moment, { atMicros: b }: Moment): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return a < b ? -1 : Number(a > b);
}
