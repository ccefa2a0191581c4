import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { MICROS_PER_MS, parseMicros } from '../base/time.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Stages } from '../base/stages.ts';
import { type Feature, itemsMax, type Plan } from '../plan/plan.ts';
import type { Lookup, LookUp } from '../read/read.ts';
import { STATUS } from '../kernel/window.ts';
import { readBody } from './body.ts';
import { answerJson } from './columnar.ts';
import { LIMITS, type LimitName, tooLarge } from './limits.ts';
import type { Operation } from './operation.ts';

/** 0000-01-01 and 9999-12-31: the years that RFC 3339 can write. */
const AT_MIN_MS = -62_167_219_200_000;
const AT_MAX_MS = 253_402_300_799_999;

const keyPart = z.union([z.string(), z.number(), z.bigint(), z.boolean()], {
  error: 'a key is a string, a number or a boolean, or a list of these where the entity has several key columns',
});
export const KEY = z.union([keyPart, z.array(keyPart).min(1)]);
export const AT = z
  .union([z.string(), z.number()], { error: 'wanted null, an RFC 3339 time or epoch milliseconds' })
  .nullish()
  .describe('null for now; an RFC 3339 time or epoch milliseconds for a past moment');
const lookupBody = z.strictObject({
  features: z.array(z.string()).min(1).describe('`set:name`, or `set:*` for all of a set'),
  entities: z.record(z.string(), z.array(KEY)).describe('for each entity the keys to look up'),
  at: AT,
});

export const SCALAR = z.union([z.number(), z.string(), z.boolean(), z.null()]);

/** What `answerJson` writes. */
const ANSWER = z.object({
  time: z.string().describe('the moment that the values are for, RFC 3339'),
  position: z
    .int()
    .min(-1)
    .nullable()
    .describe(
      'of the last event that the values contain, -1 when there is none; null for a past moment, and in a cluster',
    ),
  entities: z.record(
    z.string(),
    z.object({
      keys: z.array(KEY).describe('as asked for'),
      features: z.record(
        z.string(),
        z.object({
          values: z
            .array(z.union([SCALAR, z.array(SCALAR), z.record(z.string(), z.number())]))
            .describe(
              'one for each key, an array where it is a list, an object where it is a map; integers come with all their digits, up to 19',
            ),
          statuses: z
            .array(z.enum(STATUS.filter(status => status !== null)).nullable())
            .optional()
            .describe('there only where some value has one: why it is not simply there'),
          since: z
            .string()
            .optional()
            .describe(
              'there only where a status is WARMING: since when the events are known that its windows count, RFC 3339',
            ),
        }),
      ),
    }),
  ),
});

export const POST_FEATURES: Operation = {
  id: 'lookUp',
  summary: 'Look up features',
  description:
    'Values of features for keys of entities: now, which contains every event acknowledged before, or at a past moment. They come as columns, one array for each feature, as long as the keys. Large replies are packed where Accept-Encoding allows it.',
  body: {
    'application/json': {
      shape: { name: 'Lookup', schema: lookupBody },
      example: {
        features: ['origin_delays:flights_2h', 'origin_delays:delay_mean_1d'],
        entities: { origin: ['ATL', 'ORD'] },
        at: null,
      },
    },
  },
  replies: {
    200: {
      description: 'The values.',
      type: 'application/json',
      content: {
        shape: { name: 'Answer', schema: ANSWER },
        example: {
          time: '2001-03-11T23:59:00Z',
          position: 112986,
          entities: {
            origin: {
              keys: ['ATL', 'ORD'],
              features: {
                'origin_delays:flights_2h': { values: [54, 22] },
                'origin_delays:delay_mean_1d': { values: [7.346575342465753, -1.1372972972972972] },
              },
            },
          },
        },
      },
    },
  },
  problems: [400, 404, 410, 413, 415, 503],
};

/** Values come as columns: for each entity its keys, for each feature one array as long as the keys. */
export function postFeatures(
  reader: LookUp,
  plan: () => Plan,
  metrics: Pick<Metrics, 'lookup'>,
  stages: Pick<Stages, 'time'>,
): Handler {
  return async c => {
    const lookup = parseLookup(await readBody(c.req.raw, 'lookup_body_bytes'));
    const { keys, values } = checkSize(lookup, plan());
    const answer = await reader.lookup(lookup);
    const body = stages.time('reply', () => answerJson(answer));
    metrics.lookup(keys, values);
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
    return c.body(body, 200, headers);
  };
}

/** @throws Fault `request`, which names the member that is not as it should be */
export function parseLookup(body: Uint8Array): Lookup {
  const { features, entities, at } = parseBody(lookupBody, body);
  return { features, entities, at: at == null ? null : parseAt(at) };
}

/** @throws Fault `request` likewise */
export function parseBody<T>(shape: z.ZodType<T>, body: Uint8Array): T {
  const parsed = shape.safeParse(parseJson(body));
  if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
  return parsed.data;
}

/** `at` as requests and the command line write it -> microseconds. */
export function parseAt(at: string | number): bigint {
  if (typeof at === 'string') {
    const micros = parseMicros(at);
    if (micros === null) throw new Fault('request', `at: ${JSON.stringify(at)} is no RFC 3339 time`);
    return micros;
  }
  if (!Number.isInteger(at) || at < AT_MIN_MS || at > AT_MAX_MS)
    throw new Fault('request', `at: ${at} is no whole number of epoch milliseconds within the years 0 to 9999`);
  return BigInt(at) * MICROS_PER_MS;
}

/** Counts before anything is read. Names that are not known count nothing: the reader refuses them. */
function checkSize(lookup: Lookup, plan: Plan): { keys: number; values: number } {
  checkCount('lookup_features', lookup.features.length, 'names of features are asked for');
  const keys = Object.values(lookup.entities).reduce((sum, each) => sum + each.length, 0);
  checkCount('lookup_keys', keys, 'keys are asked for');
  const asked = new Set(lookup.features);
  let values = 0;
  for (const feature of plan.features) {
    if (asked.has(feature.name) || asked.has(`${feature.set}:*`))
      values += (lookup.entities[feature.entity]?.length ?? 0) * valuesOf(feature, plan);
  }
  checkCount('lookup_values', values, 'values are what keys times features make');
  return { keys, values };
}

/** A list or a map counts as all the values it may have. */
function valuesOf({ expression }: Feature, plan: Plan): number {
  if (expression.kind === 'call' && expression.fn === 'list') return expression.args.length;
  const read = expression.kind === 'read' ? expression.read.aggregate : null;
  const aggregate = plan.aggregates.find(({ name }) => name === read);
  return Math.max(1, aggregate ? itemsMax(aggregate.fn) : 0);
}

function checkCount(limit: LimitName, count: number, found: string) {
  if (count > LIMITS[limit].value) throw tooLarge(limit, `${count} ${found}`);
}

/** @throws Fault `request` */
export function parseJson(body: Uint8Array): unknown {
  try {
    const text = DECODER.decode(body);
    // A function that is asked of every value costs more than the parser itself.
    return LONG_DIGITS.test(text) ? JSON.parse(text, exactIntegers) : JSON.parse(text);
  } catch (error) {
    throw new Fault('request', `the body is not JSON: ${(error as Error).message}`);
  }
}

const DECODER = new TextDecoder('utf-8', { fatal: true });

/** 2^53 has 16 digits: where no more stand together, every whole number is exact. */
const LONG_DIGITS = /\d{16}/;

/** Whole numbers beyond 2^53 are keys whose every digit counts. */
function exactIntegers(_name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context?.source && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

/** `entities.origin[0]: what is wrong with it` */
export function issueLine(issue: z.core.$ZodIssue): string {
  const path = issue.path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`));
  return `${path.join('') || 'the body'}: ${issue.message}`;
}
