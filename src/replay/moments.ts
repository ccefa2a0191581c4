import { advanceRecords, select } from '../ingest/advance.ts';
import { greatestClock } from '../kernel/clock.ts';
import { Fold } from '../kernel/fold.ts';
import type { KeyInput } from '../kernel/key.ts';
import type { Layout } from '../kernel/layout.ts';
import { sequence } from '../kernel/sequence.ts';
import { type Answer, Reader } from '../read/read.ts';
import type { Source } from '../source/source.ts';
import { decodedBatches } from './changes.ts';
import type { Spill } from './spill.ts';

/** A lookup of one key as it was at a moment. */
export interface Moment {
  features: string[];
  entity: string;
  key: KeyInput;
  /** Microseconds since 1970 UTC; null for now, behind the log's last record. */
  atMicros: bigint | null;
}

/**
 * Lookups as of moments of a log: each is answered at its time from the events up to then, by the log's clock. The
 * steps are those of a replay, event by event, and of a lookup.
 *
 * @param layout freshly laid out, of one shard; every row of the log is held in memory
 * @param last as `decodedBatches` has it
 * @returns one answer for each moment, in their order
 * @throws Fault as `Asker.ask`
 */
export async function answersAt(
  layout: Layout,
  last: Spill | null,
  source: Source,
  moments: Moment[],
): Promise<Answer[]> {
  const { kernel } = layout;
  const { exports } = kernel;
  const fold = new Fold(kernel, null);
  const at = { position: -1, micros: 0n };
  const reader = new Reader({
    ...{ layout, fold, store: { readKey: () => {} } },
    position: () => at.position,
    nowMicros: () => at.micros,
  });
  const answers = new Map<Moment, Answer>();
  const waiting = moments.toSorted(byTime);
  const answer = (micros: bigint) => {
    const { features, entity, key } = waiting[0]!;
    at.micros = micros;
    answers.set(waiting.shift()!, reader.lookup({ features, entities: { [entity]: [key] }, at: null }));
  };
  for await (const { position, count } of decodedBatches(layout, last, { source, first: 0, from: 0, to: Infinity })) {
    select(layout);
    // A copy, for memory may grow while the events are folded.
    const clocks = kernel.longs(exports.recordClock.value, count).slice();
    for (let record = 0; record < count; record++) {
      const isBefore = () => waiting[0] && waiting[0].atMicros !== null && waiting[0].atMicros < clocks[record]!;
      while (isBefore()) answer(waiting[0]!.atMicros!);
      exports.forgetTexts();
      if (layout.isSequenced) sequence(layout, fold, null, record, record + 1);
      advanceRecords({ layout, folds: [fold] }, record, record + 1);
      at.position = position + record;
    }
  }
  while (waiting.length > 0) answer(waiting[0]!.atMicros ?? greatestClock(layout) ?? 0n);
  return moments.map(moment => answers.get(moment)!);
}

/** Those of now come last. */
function byTime({ atMicros: a }: Moment, { atMicros: b }: Moment): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return a < b ? -1 : Number(a > b);
}
