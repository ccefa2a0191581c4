import type { Context, Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Stages } from '../base/stages.ts';
import type { BodyFormat } from '../ingest/body.ts';
import type { Enrichment, Ingest, Receipt } from '../ingest/ingest.ts';
import type { Plan } from '../plan/plan.ts';
import { isBatchKey, KEY_MAX_CHARACTERS } from '../source/keys.ts';
import { readBody } from './body.ts';
import { enrichedJson } from './enriched.ts';
import { issueLine } from './features.ts';
import type { Named, Operation } from './operation.ts';
import { PROBLEM, problem } from './problem.ts';

/** The kernels judge events, byte by byte; this says to people and to generators what they let in. */
const EVENT_TIME = z
  .union([z.string(), z.int()])
  .describe('RFC 3339 (no offset means UTC, digits beyond the microsecond are cut off) or epoch milliseconds');
const NESTED_EVENT = z.looseObject({
  type: z.string().min(1).describe('the event type; one that nothing declares is logged and counts nowhere'),
  time: EVENT_TIME,
  id: z.string().optional(),
  data: z.record(z.string(), z.unknown()).nullish().describe('the inputs that the event type declares'),
});
const FLAT_EVENT = z.looseObject({
  _type: z.string().min(1),
  _time: EVENT_TIME,
  _id: z.string().optional(),
});
const EVENT = z.union([NESTED_EVENT, FLAT_EVENT]);
const EVENTS: Named = { name: 'Events', schema: z.union([EVENT, z.array(EVENT)]) };

const REJECTED = z
  .array(
    z.object({
      line: z.int().min(1).describe('the line of the body, or the place in an array, from 1'),
      code: z.string(),
      reason: z.string(),
    }),
  )
  .describe('what is no event: it has no position, and is not kept');
const POSITION = z
  .int()
  .min(-1)
  .nullable()
  .describe(
    'of the last event of the log that lookups contain now, -1 when there is none; null in a cluster, whose partitions have no order among them',
  );
const RECEIPT = z.object({ accepted: z.int().min(0), rejected: REJECTED, position: POSITION });
const REFUSAL = PROBLEM.extend({
  accepted: z.literal(0).optional(),
  rejected: REJECTED.optional(),
  position: POSITION.optional(),
});

const QUERY = z.object({
  features: z
    .enum(['', 'true', 'false'])
    .optional()
    .describe('`?features`: answer each event with the features of its topology, as of itself'),
});

const ENRICHED = z.object({
  events: z.array(
    z.object({
      line: z.int().min(1).describe('of the body, or the place in an array, from 1'),
      event_id: z.unknown().describe('as the event says it, or a UUID of version 7 that it was given'),
      event_time: z.string().describe('RFC 3339; of an event that does not say its time when it came'),
      position: z.int().min(0).describe('in the log'),
      features: z.record(z.string(), z.unknown()).describe('by name; integers come with all their digits'),
      errors: z.record(z.string(), z.string()).describe('what is wrong with features, by name'),
      fault: z
        .object({ code: z.string(), reason: z.string() })
        .optional()
        .describe('there only where the event counts nowhere, and has no features: why'),
    }),
  ),
  rejected: REJECTED,
});

const EXAMPLE = {
  type: 'flight',
  time: '2001-03-11T23:59:00Z',
  data: { origin: 'ATL', destination: 'ORD', delay: 7 },
};

export const POST_EVENTS: Operation = {
  id: 'postEvents',
  summary: 'Append events to the log',
  description:
    'Takes one event, an array of them, or NDJSON, packed as Content-Encoding says. The reply comes when every accepted event is durable and is part of every lookup that follows. With `?features` the reply is 200, and has for each event what its definitions answer it with, as of itself: all events acknowledged before count, those of the body before it too. An event that does not say what it is called or when it was is given a name and the time of its arrival. It is NDJSON, a line for each event, where Accept is application/x-ndjson. Lines that are no events are rejected and listed; events whose inputs are not what is declared are accepted, count nowhere, and come out of GET /v1/errors. With an Idempotency-Key header (1 to 255 visible ASCII characters) a body that is sent again within 24 hours counts once: the reply is that of the first time, with Idempotency-Replayed: true. Another body under the same key is refused with 409, and so is one sent again for its features. In a cluster the reply comes when all replicas in sync have every accepted event, lookups contain them about a second later, and an Idempotency-Key is refused with 501.',
  query: QUERY,
  headers: z.object({
    'Idempotency-Key': z
      .string()
      .regex(/^[\x21-\x7e]+$/)
      .max(KEY_MAX_CHARACTERS)
      .optional()
      .describe('what the client calls this body: sent again under the same key it counts once'),
    'Partition-Key': z
      .string()
      .regex(/^[\x21-\x7e]+$/)
      .max(KEY_MAX_CHARACTERS)
      .optional()
      .describe('in a cluster: bodies under the same key are counted in the order in which they come'),
  }),
  body: {
    'application/json': { shape: EVENTS, example: EXAMPLE },
    'application/x-ndjson': { shape: null, example: `${JSON.stringify(EXAMPLE)}\n` },
  },
  replies: {
    200: {
      description: 'With `?features`: durable, counted, and answered. Some lines may have been rejected.',
      type: 'application/json',
      content: {
        shape: { name: 'Enriched', schema: ENRICHED },
        example: {
          events: [
            {
              line: 1,
              event_id: '01890a5d-ac96-7000-8000-5c1d3a2b4f60',
              event_time: '2001-03-11T23:59:00Z',
              position: 112987,
              features: { email: 'ann@example.com', fails: 3 },
              errors: {},
            },
          ],
          rejected: [],
        },
      },
    },
    202: {
      description: 'Accepted: durable and counted. Some lines may have been rejected.',
      type: 'application/json',
      headers: { 'Idempotency-Replayed': '`true` where this is the reply of the first time' },
      content: {
        shape: { name: 'Receipt', schema: RECEIPT },
        example: { accepted: 1, rejected: [], position: 112987 },
      },
    },
    400: {
      description: 'Not one event was accepted. Where the body could be read, `rejected` says why, line by line.',
      type: 'application/problem+json',
      content: {
        shape: { name: 'EventsRefused', schema: REFUSAL },
        example: {
          type: 'about:blank',
          title: 'Bad Request',
          status: 400,
          code: 'request',
          detail: 'the event was rejected; line 1: not valid JSON',
          accepted: 0,
          rejected: [{ line: 1, code: 'not_json', reason: 'not valid JSON' }],
          position: 112987,
        },
      },
    },
  },
  problems: [409, 413, 415, 501, 503],
};

/** Takes a body of events. `order`: what bodies name that are to keep their order, where a log has several partitions. */
export type TakeEvents = (
  body: Uint8Array,
  format: BodyFormat,
  key: string | null,
  order: string | null,
) => Promise<Receipt>;

/**
 * 202 once every accepted event is durable and counts in lookups; 400 when not one was accepted. Either way the reply
 * lists what was rejected. Bytes go to the kernels as they came: nothing here parses an event.
 */
export function postEvents(
  ingest: Pick<Ingest, 'enrich'> & { post: TakeEvents },
  metrics: Pick<Metrics, 'posted'>,
  plan: () => Plan,
  stages: Pick<Stages, 'time'>,
): Handler {
  return async c => {
    const format = formatOf(c);
    const key = keyOf(c, 'Idempotency-Key');
    if (wantsFeatures(c)) {
      const body = await readBody(c.req.raw, 'enriched_body_bytes');
      checkAnswered(plan());
      const enrichment = await ingest.enrich(body, format, key);
      return enrichedReply(c, enrichment, metrics, stages);
    }
    const receipt = await ingest.post(
      await readBody(c.req.raw, 'events_body_bytes'),
      format,
      key,
      keyOf(c, 'Partition-Key'),
    );
    if (receipt.replayed) c.header('idempotency-replayed', 'true');
    const { accepted, rejected, position } = receipt;
    // What was counted the first time is not counted again.
    if (!receipt.replayed)
      metrics.posted(
        accepted,
        rejected.map(({ code }) => code),
      );
    if (accepted === 0 && rejected.length > 0) return refused(receipt);
    return c.json({ accepted, rejected, position }, 202);
  };
}

function wantsFeatures(c: Context): boolean {
  const parsed = QUERY.safeParse(c.req.query());
  if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
  const { features } = parsed.data;
  return features !== undefined && features !== 'false';
}

/** Nothing is logged that could not be answered as it was meant. */
function checkAnswered(plan: Plan) {
  if (plan.events.some(({ features = [] }) => features.length > 0)) return;
  throw new Fault('request', 'no definition answers events with features: leave `features` out');
}

function enrichedReply(
  c: Context,
  enrichment: Enrichment,
  metrics: Pick<Metrics, 'posted'>,
  stages: Pick<Stages, 'time'>,
): Response {
  const { rejected, parts } = enrichment;
  const accepted = parts.reduce((sum, { count }) => sum + count, 0);
  metrics.posted(
    accepted,
    rejected.map(({ code }) => code),
  );
  if (accepted === 0 && rejected.length > 0) return refused(enrichment);
  const isLines = (c.req.header('accept') ?? '').includes('application/x-ndjson');
  const body = stages.time('reply', () => enrichedJson(enrichment, isLines));
  const type = isLines ? 'application/x-ndjson' : 'application/json';
  return c.body(body, 200, { 'content-type': type, 'content-length': String(body.length) });
}

function refused({ rejected, position }: Pick<Receipt, 'rejected'> & Partial<Receipt>): Response {
  const count = rejected.length === 1 ? 'the event was' : `all ${rejected.length} events were`;
  const detail = `${count} rejected; line ${rejected[0]!.line}: ${rejected[0]!.reason}`;
  return problem('request', detail, { accepted: 0, rejected, position });
}

/** What the client calls the body, so that it may send it again without its counting twice, or what its order is of. */
function keyOf(c: Context, header: 'Idempotency-Key' | 'Partition-Key'): string | null {
  const key = c.req.header(header);
  if (key === undefined) return null;
  if (!isBatchKey(key))
    throw new Fault('request', `${header} is not 1 to ${KEY_MAX_CHARACTERS} visible ASCII characters`);
  return key;
}

function formatOf(c: Context): BodyFormat {
  const type = (c.req.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  switch (type) {
    case 'application/json':
      return 'json';
    case 'application/x-ndjson':
    case 'application/ndjson':
    case 'application/jsonl':
      return 'ndjson';
    default:
      throw new Fault(
        'media_type',
        `content-type is ${type === '' ? 'missing' : type}, wanted application/json (an event or an array of them) or application/x-ndjson (an event a line)`,
      );
  }
}
