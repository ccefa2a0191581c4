import { advanceRecords, select } from '../ingest/advance.ts';
import type { Layout } from '../kernel/layout.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { sequence } from '../kernel/sequence.ts';
import { completeBatch } from '../kernel/upsert.ts';
import type { Source } from '../source/source.ts';
import type { ReplayParts } from './replay.ts';
import type { Spill } from './spill.ts';

export interface WalkParts extends Pick<ReplayParts, 'onRejected' | 'onBad'> {
  /** Freshly laid out. */
  layout: Layout;
  /** Of that layout: rows that memory has no room for are put aside. */
  spill: Spill;
  source: Source;
}

/** Where somebody wants to look around. */
export interface Stop {
  /** Microseconds since 1970 UTC; null is behind the last record. */
  timeMicros: bigint | null;
}

/** A place between two records: all before it are folded, and nothing behind it is. */
export interface Reached<S extends Stop> {
  stop: S;
  /** Of the last record before it; -1 where there is none. */
  position: number;
}

/**
 * Walks a log record by record, with the steps of a replay, and stops for each moment where the log's clock has not passed it
 * yet: decode -> select -> for each record: stops before it, advance by it.
 *
 * Records behind the last stop are not read. Whoever takes a place answers as of it before he asks for the next.
 *
 * @param stops in the order of their times, those of null last
 * @throws Fault `corrupt` where a row is, and as `source`
 */
export async function* walk<S extends Stop>(parts: WalkParts, stops: AsyncIterator<S>): AsyncGenerator<Reached<S>> {
  const { layout, spill, source } = parts;
  const { kernel } = layout;
  const { exports } = kernel;
  const isWall = source.clock.kind === 'wall';
  const decoder = new Decoder(kernel, layout.types);
  let next = await stops.next();
  let position = 0;
  let line = 1;
  for await (const { bytes, arrivalMicros, file, line: start } of source.read(0)) {
    decoder.fill(bytes);
    line = start ?? line;
    while (decoder.next(position, arrivalMicros)) {
      const { count } = decoder;
      for (const one of decoder.rejected()) parts.onRejected({ ...one, file, line: line + one.line - 1 });
      for (const one of decoder.bad())
        parts.onBad({ ...one, file, line: line + one.line - 1, position: position + one.record });
      line += decoder.lines;
      if (layout.keepsLastRows) completeBatch(kernel, spill.fold);
      select(layout);
      // A copy, for memory may grow while the events are folded.
      const clocks = kernel.longs(exports.recordClock.value, count).slice();
      for (let record = 0; record < count; record++) {
        // Before a type's first event in time it shows nothing, which is earlier than any moment.
        const clock = isWall ? arrivalMicros! : clocks[record]!;
        for (; isBefore(next, clock); next = await stops.next()) {
          yield { stop: next.value, position: position + record - 1 };
        }
        exports.forgetTexts();
        if (layout.isSequenced) sequence(layout, spill.fold, spill.readRanges, record, record + 1);
        advanceRecords({ layout, folds: [spill.fold] }, record, record + 1);
        spill.makeRoom(position + record + 1);
      }
      position += count;
    }
    if (next.done) return;
  }
  for (; !next.done; next = await stops.next()) yield { stop: next.value, position: position - 1 };
}

function isBefore<S extends Stop>(next: IteratorResult<S>, clockMicros: bigint): next is IteratorYieldResult<S> {
  return !next.done && next.value.timeMicros !== null && next.value.timeMicros < clockMicros;
}
