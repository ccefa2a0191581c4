import type { Timeline } from '../base/timeline.ts';
import { type Clock, MAX_JUMP_DEFAULT_MS, type Source } from '../source/source.ts';
import { timelineSource } from '../source/timeline.ts';
import type { ReadingDisk } from '../source/timeline_chunk.ts';

/** Timelines that are replayed together: one keeps its clock and its arrivals, several are a new stream (source/timeline.ts). */
export interface Streamed {
  timelines: Timeline[];
  clock: Clock;
  keepsArrivals: boolean;
}

/** Of a replay: as the events were logged, or by their times. */
export type Order = 'log' | 'time';

/** @param order of time: what timelines of a log hold is put into it (sorted.ts), and is another stream with columns of its own */
export function streamed(timelines: Timeline[], order: Order = 'log'): Streamed {
  return order === 'log' ? merged(timelines) : merged(timelines.map(inTime));
}

function inTime(timeline: Timeline): Timeline {
  return timeline.order === 'time'
    ? timeline
    : { ...timeline, order: 'time', clock: { ...timeline.clock, kind: 'event' } };
}

function merged(timelines: Timeline[]): Streamed {
  const [first] = timelines;
  // Files do not know when their events arrived.
  if (timelines.length === 1 && first) return { timelines, clock: first.clock, keepsArrivals: first.order === 'log' };
  const maxJumpMs = Math.max(...timelines.map(({ clock }) => clock.maxJumpMs), MAX_JUMP_DEFAULT_MS);
  return { timelines, clock: { kind: 'event', maxJumpMs }, keepsArrivals: false };
}

/**
 * Of the timelines what has to be read for events of some types to come in their order. Of one timeline that is these
 * types, and so it is of one that is in the order of time. Where several are merged and one is in the order of a log, an event of
 * another type may hold up those behind it: then all its types are read.
 */
export function readOf(timelines: Timeline[], types: string[]): Timeline[] {
  const holding = timelines.filter(timeline => timeline.types.some(({ type }) => types.includes(type)));
  return holding.map(timeline => {
    const isHeldUp = holding.length > 1 && timeline.order === 'log';
    return isHeldUp ? timeline : { ...timeline, types: timeline.types.filter(({ type }) => types.includes(type)) };
  });
}

/** What events of some types are, and in which order they come: the same text, the same events. */
export function contentOf({ timelines }: Streamed, types: string[]): unknown {
  return readOf(timelines, types).map(({ order, types: read }) => [
    order,
    read.map(({ type, hash, placesHash }) => [type, hash, read.length > 1 ? placesHash : null]),
  ]);
}

export function countOf({ timelines }: Streamed, type: string): number {
  return timelines.flatMap(one => one.types).reduce((sum, one) => sum + (one.type === type ? one.count : 0), 0);
}

/** Time differences that no two events have. */
const NO_JUMP_MS = 4e14;

/** The clock of events that are looked at one by one: none is bad for the others' sake. */
export const NO_CLOCK: Clock = { kind: 'event', maxJumpMs: NO_JUMP_MS };

/** @param folder of the chunks; @param clock and arrivals, if other than those of all that is replayed */
export function streamSource(
  disk: ReadingDisk,
  folder: string,
  read: Timeline[],
  { clock, keepsArrivals }: Pick<Streamed, 'clock' | 'keepsArrivals'>,
): Source {
  return {
    clock,
    async *read(from) {
      if (read.length === 0) return;
      for await (const block of timelineSource(disk, folder, read).read(from))
        yield keepsArrivals ? block : { ...block, arrivalMicros: null };
    },
  };
}

/** Rows [from, to) of the events of one type, in one timeline: the chunks that have them, and the row that those begin with. */
export function rowsOf(timeline: Timeline, from: number, to: number): { timeline: Timeline; first: number } {
  const [type] = timeline.types;
  const chunks: Timeline['types'][number]['chunks'] = [];
  let [row, first] = [0, 0];
  for (const chunk of type!.chunks) {
    if (row + chunk.count > from && row < to) {
      if (chunks.length === 0) first = row;
      chunks.push(chunk);
    }
    row += chunk.count;
  }
  const count = chunks.reduce((sum, chunk) => sum + chunk.count, 0);
  return { timeline: { ...timeline, types: [{ ...type!, count, chunks }] }, first };
}
