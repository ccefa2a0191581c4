import type { Handler } from 'hono';
import { z } from 'zod';
import { formatMicros, MICROS_PER_MS } from '../base/time.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { STATUS } from '../kernel/window.ts';
import { LIFETIME_LEVEL_MS } from '../plan/window.ts';
import type { Explain, Explanation, ExplainedRead } from '../read/explain.ts';
import type { LookUp } from '../read/read.ts';
import { levelName } from '../read/tiles.ts';
import { readBody } from './body.ts';
import { cellJson, keyJson } from './columnar.ts';
import { AT, KEY, parseAt, parseBody, SCALAR } from './features.ts';
import type { Operation } from './operation.ts';

const explainBody = z.strictObject({ feature: z.string().describe('`set:name`'), key: KEY, at: AT });

const VALUE = z
  .union([SCALAR, z.array(SCALAR)])
  .describe('an array where it is a list; integers come with all their digits, up to 19');
const STATUS_SHAPE = z.enum(STATUS.filter(status => status !== null)).nullable();
const TIME = z.string().nullable();

/** What `explanationJson` writes. */
const EXPLANATION = z.object({
  feature: z.string(),
  entity: z.string(),
  key: KEY,
  time: z.string().describe('the moment that the value is for, RFC 3339'),
  position: z.int().min(-1).nullable().describe("as an answer's"),
  value: VALUE,
  status: STATUS_SHAPE,
  expression: z.string().describe("what the feature is, in its author's words"),
  from: z
    .array(z.object({ feature: z.string(), value: VALUE, status: STATUS_SHAPE }))
    .describe('the features that it is derived from, also by way of others'),
  reads: z.array(
    z.object({
      aggregate: z.string().describe('as it is stored'),
      window: z.string(),
      start: TIME.describe('events are in the window from then on; null for the lifetime'),
      end: TIME.describe('and before then; null where the log is the only end'),
      value: VALUE.describe('what the tiles merge to'),
      status: STATUS_SHAPE,
      reason: z.string().nullable().describe('what the status is about'),
      cover: z
        .array(
          z.object({
            level: z.string().describe('how long its tiles are'),
            start: TIME,
            end: TIME,
            begun: z.int().describe('tiles of it that have begun by the moment'),
            held: z.int().describe('tiles of it that hold something of the aggregate'),
          }),
        )
        .describe('the tiles that make up the window'),
      tiles: z
        .array(z.object({ level: z.string(), start: TIME, end: TIME, value: VALUE, status: STATUS_SHAPE }))
        .describe('those that hold something, each with what the aggregate would be if it were all that there is'),
    }),
  ),
});

export const POST_EXPLAIN: Operation = {
  id: 'explain',
  summary: 'Explain the value of a feature',
  description:
    'Why a feature has the value that it has for one key: the windows that it reads, the tiles that make them up, and what each tile holds.',
  body: {
    'application/json': {
      shape: { name: 'Explain', schema: explainBody },
      example: { feature: 'origin_delays:flights_2h', key: 'ATL', at: null },
    },
  },
  replies: {
    200: {
      description: 'The value, and how it came about.',
      type: 'application/json',
      content: {
        shape: { name: 'Explanation', schema: EXPLANATION },
        example: {
          feature: 'origin_delays:flights_2h',
          entity: 'origin',
          key: 'ATL',
          time: '2001-03-05T06:44:00Z',
          position: 999,
          value: 21,
          status: null,
          expression: 'COUNT(*) over 2h',
          from: [],
          reads: [
            {
              aggregate: 'origin_delays:flights',
              window: '2h@1m',
              start: '2001-03-05T04:44:00Z',
              end: null,
              value: 21,
              status: null,
              reason: null,
              cover: [{ level: '1m', start: '2001-03-05T04:44:00Z', end: '2001-03-05T05:00:00Z', begun: 16, held: 1 }],
              tiles: [
                {
                  level: '1m',
                  start: '2001-03-05T04:50:00Z',
                  end: '2001-03-05T04:51:00Z',
                  value: 21,
                  status: null,
                },
              ],
            },
          ],
        },
      },
    },
  },
  problems: [400, 404, 410, 413, 415, 503],
};

export function postExplain(reader: LookUp): Handler {
  return async c => {
    const asked = parseExplain(await readBody(c.req.raw, 'lookup_body_bytes'));
    return c.body(explanationJson(await reader.explain(asked)), 200, { 'content-type': 'application/json' });
  };
}

/** @throws Fault `request`, which names the member that is not as it should be */
export function parseExplain(body: Uint8Array): Explain {
  const { feature, key, at } = parseBody(explainBody, body);
  return { feature, key, at: at == null ? null : parseAt(at) };
}

export function explanationJson(explanation: Explanation): string {
  const { answer, entity, key, timeMicros, position, expression, from, reads } = explanation;
  const json = objectJson({
    feature: JSON.stringify(answer.name),
    entity: JSON.stringify(entity),
    key: keyJson(key),
    time: JSON.stringify(formatMicros(timeMicros)),
    position: String(position),
    ...valueJson(answer, 0),
    expression: JSON.stringify(expression),
    from: arrayJson(from, column => objectJson({ feature: JSON.stringify(column.name), ...valueJson(column, 0) })),
    reads: arrayJson(reads, readJson),
  });
  return `${json}\n`;
}

function readJson({ merged, reason, window, startMicros, endMicros, cover, tiles, values }: ExplainedRead): string {
  const timeJson = (micros: bigint | null) => JSON.stringify(micros === null ? null : formatMicros(micros));
  return objectJson({
    aggregate: JSON.stringify(merged.name),
    window: JSON.stringify(window),
    start: timeJson(startMicros),
    end: timeJson(endMicros),
    ...valueJson(merged, 0),
    reason: JSON.stringify(reason),
    cover: arrayJson(cover, ({ levelMs, fromMs, toMs, begun, held }) =>
      objectJson({ ...spanJson(levelMs, fromMs, toMs), begun: String(begun), held: String(held) }),
    ),
    tiles: arrayJson(tiles, ({ levelMs, startMs }, i) =>
      objectJson({ ...spanJson(levelMs, startMs, startMs + levelMs), ...valueJson(values, i) }),
    ),
  });
}

/** Members of an object that has a value: what it is, and what is to be said of it. */
function valueJson(column: FeatureColumn, row: number): { value: string; status: string } {
  return { value: cellJson(column)(row), status: JSON.stringify(STATUS[column.statuses[row]!]) };
}

/** Of one or more tiles: the lifetime has neither start nor end, and an open cover no end. */
function spanJson(levelMs: number, fromMs: number, toMs: number): { level: string; start: string; end: string } {
  const momentJson = (ms: number) =>
    levelMs === LIFETIME_LEVEL_MS || ms === Infinity
      ? 'null'
      : JSON.stringify(formatMicros(BigInt(ms) * MICROS_PER_MS));
  return { level: JSON.stringify(levelName(levelMs)), start: momentJson(fromMs), end: momentJson(toMs) };
}

/** Members are JSON already: numbers keep all their digits. */
function objectJson(members: Record<string, string>): string {
  return `{${Object.entries(members)
    .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
    .join(',')}}`;
}

function arrayJson<T>(items: T[], json: (item: T, index: number) => string): string {
  return `[${items.map(json).join(',')}]`;
}
