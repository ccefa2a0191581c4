import type { Handler } from 'hono';
import { z } from 'zod';
import type { Refusal } from '../base/refusal.ts';
import { formatMicros } from '../base/time.ts';
import type { Ingest } from '../ingest/ingest.ts';
import type { LateRow, Meta } from '../meta/meta.ts';
import type { Operation } from './operation.ts';

const REFUSED = z.object({
  position: z.int().min(0),
  time: z.string().describe("the event's own, RFC 3339"),
  clock: z.string().describe('of its type when it came, RFC 3339'),
  behind_ms: z.number().describe('clock minus time'),
});

const LATE = z.object({
  late: z.array(
    z.object({
      event: z.string(),
      feature_set: z.string(),
      aggregates: z.array(z.string()).describe('of the set, those whose tiles refused the same events'),
      tile_ms: z.int().describe('the length of the tiles'),
      count: z.int().min(1).describe('how many events they refused'),
      first: REFUSED,
      latest: z.array(REFUSED).describe('a few of them, the latest last'),
    }),
  ),
});

export const GET_LATE: Operation = {
  id: 'listLate',
  summary: 'List what came too late',
  description:
    'Events that came after their tile was no longer kept: for each length of tiles that refused some, which aggregates lack them, how many there are, the first and the latest. Windows over such tiles do not have them; lifetimes do. Each is counted once since the rows began, whatever was restarted since.',
  replies: {
    200: {
      description: 'All of it.',
      type: 'application/json',
      content: {
        shape: { name: 'Late', schema: LATE },
        example: {
          late: [
            {
              event: 'flight',
              feature_set: 'origin_delays',
              aggregates: ['origin_delays:flights'],
              tile_ms: 60_000,
              count: 1,
              first: {
                position: 70,
                time: '2001-03-05T00:01:00Z',
                clock: '2001-03-05T09:00:00Z',
                behind_ms: 32_340_000,
              },
              latest: [
                { position: 70, time: '2001-03-05T00:01:00Z', clock: '2001-03-05T09:00:00Z', behind_ms: 32_340_000 },
              ],
            },
          ],
        },
      },
    },
  },
  problems: [501, 503],
};

/** Of every event acknowledged before. */
export function showLate(ingest: Pick<Ingest, 'barrier'>, meta: Pick<Meta, 'late'>): Handler {
  return async c => {
    // It reaches the database with the rows.
    await ingest.barrier();
    return c.json(lateList(meta.late()));
  };
}

/** Aggregates of one set whose tiles refused the same are listed together: mostly that is all of the set. */
export function lateList(rows: LateRow[]): z.infer<typeof LATE> {
  const alike = Map.groupBy(rows, ({ aggregate, event, levelMs, count, first, latest }) =>
    JSON.stringify([setOf(aggregate), event, levelMs, count, ...[first, ...latest].map(({ position }) => position)]),
  );
  const late = [...alike.values()].map(those => {
    const [{ aggregate, event, levelMs, count, first, latest }] = those as [LateRow];
    return {
      event,
      feature_set: setOf(aggregate),
      aggregates: those.map(one => one.aggregate),
      tile_ms: levelMs,
      count,
      first: refusedOf(first),
      latest: latest.map(refusedOf),
    };
  });
  return { late };
}

/** `shops:n` -> `shops` */
function setOf(aggregate: string): string {
  return aggregate.slice(0, aggregate.indexOf(':'));
}

function refusedOf({ position, timeMicros, clockMicros }: Refusal): z.infer<typeof REFUSED> {
  const behind_ms = Number(clockMicros - timeMicros) / 1000;
  return { position, time: formatMicros(timeMicros), clock: formatMicros(clockMicros), behind_ms };
}
