import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { formatMicros, parseMicros } from '../base/time.ts';
import type { FeedEvent, FeedPage } from '../ingest/feed.ts';
import { issueLine } from './features.ts';
import type { Operation } from './operation.ts';
import { pageLimit } from './page.ts';

export const FEED_LIMIT_DEFAULT = 100;

const POSITION = z.coerce.number().int().min(0).optional();

const QUERY = z.object({
  type: z.string().optional().describe('only events of this type'),
  since: z.string().optional().describe('only events of times from then on, RFC 3339'),
  where: z.string().optional().describe('a condition of SQL over inputs of the type, or of all declared ones'),
  before: POSITION.describe('only events at positions before it: `next` of the page before'),
  after: POSITION.describe('only events at positions after it'),
  limit: pageLimit('feed_page', FEED_LIMIT_DEFAULT),
});

const PAGE = z.object({
  events: z.array(
    z.object({
      position: z.int().min(0),
      arrived_at: z.string().nullable(),
      event: z.record(z.string(), z.unknown()).describe('as it is in the log'),
    }),
  ),
  next: z.int().min(0).nullable().describe('what to give as `before` for the next page; null at the end'),
  position: z.int().min(-1).describe('of the latest event, whether it was asked for or not: `after` for what comes'),
});

/** What is asked of the feed. */
export interface FeedRequest {
  type: string | null;
  sinceMicros: bigint | null;
  where: string | null;
  after: number;
  before: number;
  limit: number;
}

export interface FeedService {
  /** @throws Fault, Faults what is wrong with the condition */
  events(request: FeedRequest): Promise<FeedPage>;
}

export const GET_EVENTS: Operation = {
  id: 'listEvents',
  summary: 'The latest events, newest first',
  description:
    'Events of the log that came last, as many and as old as the configuration says, with their positions. They are as they were posted, of undeclared types too.',
  query: QUERY,
  replies: {
    200: {
      description: 'A page of them.',
      type: 'application/json',
      content: {
        shape: { name: 'EventsPage', schema: PAGE },
        example: {
          events: [
            {
              position: 70,
              arrived_at: '2026-03-02T17:00:00Z',
              event: { type: 'flight', time: '2001-03-05T00:01:00Z', data: { origin: 'ATL', delay: 7 } },
            },
          ],
          next: null,
          position: 70,
        },
      },
    },
  },
  problems: [400, 422, 501, 503],
};

export function listEvents(service: FeedService): Handler {
  return async c => {
    const page = await service.events(parseFeed(c.req.query()));
    return c.body(feedText(page), 200, { 'content-type': 'application/json' });
  };
}

/** @throws Fault `request` */
export function parseFeed(text: Record<string, string>): FeedRequest {
  const parsed = QUERY.safeParse(text);
  if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
  const { type = null, since, where = null, after = -1, before = Number.MAX_SAFE_INTEGER, limit } = parsed.data;
  const sinceMicros = since === undefined ? null : parseMicros(since);
  if (since !== undefined && sinceMicros === null)
    throw new Fault('request', `since: got ${since}, wanted an RFC 3339 time`);
  return { type, sinceMicros, where, after, before, limit };
}

export function feedText({ events, next, position }: FeedPage): string {
  return `{"events":[${events.map(eventText).join(',')}],"next":${next},"position":${position}}`;
}

/** Its numbers keep all their digits: the event is not read. */
export function eventText({ position, arrivalMicros, line }: FeedEvent): string {
  const arrived = arrivalMicros === null ? null : formatMicros(arrivalMicros);
  const event = new TextDecoder().decode(line);
  return `{"position":${position},"arrived_at":${JSON.stringify(arrived)},"event":${event}}`;
}
