import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { MICROS_PER_MS, parseMicros } from '../base/time.ts';
import type { Plan } from '../plan/plan.ts';
import type { Lookup, Reader } from '../read/read.ts';
import { readBody } from './body.ts';
import { answerJson } from './columnar.ts';

/** Room for the keys of the largest lookup, and some. */
const BODY_MAX_BYTES = 8 * 1024 * 1024;

/** Five times a ranking request of 2,000 candidates with 100 features each; about 20 MB of reply. */
export const LOOKUP_VALUES_MAX = 1_000_000;

/** 0000-01-01 and 9999-12-31: the years that RFC 3339 can write. */
const AT_MIN_MS = -62_167_219_200_000;
const AT_MAX_MS = 253_402_300_799_999;

const keyPart = z.union([z.string(), z.number(), z.bigint(), z.boolean()], {
  error: 'a key is a string, a number or a boolean, or a list of these where the entity has several key columns',
});
const lookupBody = z.strictObject({
  features: z.array(z.string()).min(1),
  entities: z.record(z.string(), z.array(z.union([keyPart, z.array(keyPart).min(1)]))),
  at: z.union([z.string(), z.number()], { error: 'wanted null, an RFC 3339 time or epoch milliseconds' }).nullish(),
});

/** Values come as columns: for each entity its keys, for each feature one array as long as the keys. */
export function postFeatures(reader: Pick<Reader, 'lookup'>, plan: Plan): Handler {
  return async c => {
    const lookup = parseLookup(await readBody(c.req.raw, BODY_MAX_BYTES));
    checkSize(lookup, plan);
    const body = answerJson(reader.lookup(lookup));
    return c.body(body, 200, { 'content-type': 'application/json' });
  };
}

/** @throws Fault `request`, which names the member that is not as it should be */
export function parseLookup(body: Uint8Array): Lookup {
  const parsed = lookupBody.safeParse(parseJson(body));
  if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
  const { features, entities, at } = parsed.data;
  return { features, entities, at: at == null ? null : parseAt(at) };
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
function checkSize(lookup: Lookup, plan: Plan) {
  const asked = new Set(lookup.features);
  let values = 0;
  for (const feature of plan.features) {
    if (asked.has(feature.name) || asked.has(`${feature.set}:*`))
      values += lookup.entities[feature.entity]?.length ?? 0;
  }
  if (values > LOOKUP_VALUES_MAX)
    throw new Fault(
      'too_large',
      `keys times features make ${values} values, at most ${LOOKUP_VALUES_MAX} fit into one request`,
    );
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body), exactIntegers);
  } catch (error) {
    throw new Fault('request', `the body is not JSON: ${(error as Error).message}`);
  }
}

/** Whole numbers beyond 2^53 are keys whose every digit counts. */
function exactIntegers(_name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context?.source && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

function issueLine(issue: z.core.$ZodIssue): string {
  const path = issue.path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`));
  return `${path.join('') || 'the body'}: ${issue.message}`;
}
