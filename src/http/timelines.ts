import { z } from 'zod';
import { formatMicros } from '../base/time.ts';
import type { TimelineVersion } from '../meta/timelines.ts';

const TIME = z.string().nullable().describe('of an event, RFC 3339; null where there is none');

const TIMELINE = z.object({
  name: z.string(),
  version: z.int().min(1),
  format: z.int().min(0).describe('of how it is kept: one of an older format has to be made again'),
  state: z.enum(['processing', 'ready', 'error']),
  error: z.string().nullable().describe('why there is nothing to read'),
  source: z.record(z.string(), z.unknown()).describe('what it was made from'),
  created_at: z.string(),
  order: z.enum(['log', 'time']).describe('of its events: as in the log, or by time and then as they were given'),
  clock: z.enum(['event', 'wall']),
  start: TIME.describe('the least time of its events'),
  end: TIME.describe('the greatest'),
  events: z.int().min(0),
  types: z.array(
    z.object({
      type: z.string(),
      events: z.int().min(1),
      start: z.string(),
      end: z.string(),
      hash: z.string().describe('over its events in their order: the same events have the same'),
    }),
  ),
});

export type TimelineJson = z.infer<typeof TIMELINE>;

/** A version as HTTP and `--json` tell it. */
export function timelineJson(version: TimelineVersion): TimelineJson {
  const { name, format, state, error, source, createdAtMicros, order, clock, types } = version;
  return {
    ...{ name, version: version.version, format, state, error, source, created_at: formatMicros(createdAtMicros) },
    ...{ order, clock },
    start: timeOrNull(types.map(({ startMicros }) => startMicros).sort(byValue)[0]),
    end: timeOrNull(
      types
        .map(({ endMicros }) => endMicros)
        .sort(byValue)
        .at(-1),
    ),
    events: types.reduce((sum, { count }) => sum + count, 0),
    types: types.map(({ type, count, startMicros, endMicros, hash }) => ({
      ...{ type, events: count, start: formatMicros(startMicros), end: formatMicros(endMicros), hash },
    })),
  };
}

function timeOrNull(micros: bigint | undefined): string | null {
  return micros === undefined ? null : formatMicros(micros);
}

function byValue(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}
