import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { formatMicros, MICROS_PER_MS, parseDuration, parseMicros } from '../base/time.ts';
import type { TimelineVersion } from '../meta/timelines.ts';
import { readBody } from './body.ts';
import { issueLine, parseJson } from './features.ts';
import type { Operation } from './operation.ts';

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

const SHAPE = { name: 'Timeline', schema: TIMELINE };
const EXAMPLE: TimelineJson = {
  ...{ name: 'week', version: 1, format: 1, state: 'ready', error: null, source: { from: 'log' } },
  ...{ created_at: '2026-03-02T17:00:00Z', order: 'log', clock: 'event', events: 112_987 },
  ...{ start: '2001-03-05T00:00:00Z', end: '2001-03-11T23:59:00Z' },
  types: [
    {
      ...{ type: 'flight', events: 112_987, start: '2001-03-05T00:00:00Z', end: '2001-03-11T23:59:00Z' },
      hash: '050d4cfb25787a8f335fa5f9a90e0624a8a3252648d74a1f5db9ea892642aeb3',
    },
  ],
};

/** What is saved of the log, and under which name. */
export interface NewTimeline {
  name: string;
  from: 'log' | 'feed';
  types: string[] | null;
  startMicros: bigint | null;
  endMicros: bigint | null;
  lastMs: number | null;
  where: string | null;
}

/** Names are `NAME`, or `NAME@VERSION`. */
export interface TimelineService {
  list(): Promise<TimelineVersion[]>;
  show(name: string): Promise<TimelineVersion>;
  /** Resolves when it has begun: its state says what becomes of it. */
  create(made: NewTimeline): Promise<TimelineVersion>;
  /** Resolves when the file is here, and it has begun. */
  upload(file: NewTimelineFile): Promise<TimelineVersion>;
  /** How many versions there were. */
  remove(name: string): Promise<number>;
}

/** A file that is saved, and under which name. */
export interface NewTimelineFile {
  name: string;
  /** What a name of such a file ends with: `.csv.gz`. */
  suffix: string;
  /** Of CSV and Parquet: the type of all rows, and columns of time and id, where they are called otherwise. */
  names: { type?: string; time?: string; id?: string };
  body: ReadableStream<Uint8Array> | null;
}

const TIMELINES = z.object({ timelines: z.array(TIMELINE) });
const NAME_PARAM = z.object({ name: z.string().describe('NAME, or NAME@VERSION') });

export const GET_TIMELINES: Operation = {
  id: 'listTimelines',
  summary: 'List timelines',
  description: 'Streams of events that are kept under a name, for replays to read: each version by itself.',
  replies: {
    200: {
      description: 'All of them.',
      type: 'application/json',
      content: { shape: { name: 'Timelines', schema: TIMELINES }, example: { timelines: [EXAMPLE] } },
    },
  },
  problems: [501, 503],
};

export function listTimelines(service: TimelineService): Handler {
  return async c => c.json({ timelines: (await service.list()).map(timelineJson) });
}

export const GET_TIMELINE: Operation = {
  id: 'showTimeline',
  summary: 'Show what a timeline holds',
  description: 'Without a version, the latest that is ready; where none is, the latest.',
  params: NAME_PARAM,
  replies: {
    200: { description: 'The version.', type: 'application/json', content: { shape: SHAPE, example: EXAMPLE } },
  },
  problems: [400, 404, 501, 503],
};

export function showTimeline(service: TimelineService): Handler {
  return async c => c.json(timelineJson(await service.show(c.req.param('name')!)));
}

export const WHEN = z.union([z.string(), z.int()]).describe('RFC 3339, or epoch milliseconds');
const BODY = z.strictObject({
  name: z.string().describe('letters, digits, dots, hyphens and underscores'),
  from: z
    .enum(['log', 'feed'])
    .default('log')
    .describe('`feed` is deprecated, `log` is meant: the latest events of the log, as many as feed.events says'),
  types: z.array(z.string()).min(1).optional().describe('only events of these types'),
  start: WHEN.optional(),
  end: WHEN.optional(),
  last: z.string().optional().describe("instead of `start`: a duration before now, by the log's clock"),
  where: z.string().optional().describe('a condition of SQL over inputs of the types, which have to be declared'),
});

export const POST_TIMELINES: Operation = {
  id: 'createTimeline',
  summary: 'Save events of the log as a timeline',
  description:
    'Begins the next version under the name. It is made beside everything else, and its state says when it is ready; one at a time is made.',
  body: {
    'application/json': {
      shape: { name: 'NewTimeline', schema: BODY },
      example: { name: 'late', last: '7d', where: 'delay > 15' },
    },
  },
  replies: {
    202: {
      description: 'It has begun.',
      type: 'application/json',
      content: {
        shape: SHAPE,
        example: { ...EXAMPLE, state: 'processing', start: null, end: null, events: 0, types: [] },
      },
    },
  },
  problems: [400, 413, 415, 422, 501, 503],
};

export function postTimelines(service: TimelineService): Handler {
  return async c => {
    const parsed = BODY.safeParse(parseJson(await readBody(c.req.raw, 'lookup_body_bytes')));
    if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
    const { name, from, types = null, start, end, last, where = null } = parsed.data;
    if (last !== undefined && (start !== undefined || end !== undefined))
      throw new Fault('request', 'last says where a timeline starts: it is given without start and end');
    const lastMs = last === undefined ? null : parseDuration(last);
    if (last !== undefined && !lastMs)
      throw new Fault('request', `last: got ${last}, wanted a duration like 36h or 7d`);
    const times = { startMicros: microsOf('start', start), endMicros: microsOf('end', end) };
    return c.json(timelineJson(await service.create({ name, from, types, ...times, lastMs, where })), 202);
  };
}

/** @throws Fault `request` */
export function microsOf(what: string, time: string | number | undefined): bigint | null {
  if (time === undefined) return null;
  const micros = typeof time === 'number' ? BigInt(time) * MICROS_PER_MS : parseMicros(time);
  if (micros === null)
    throw new Fault('request', `${what}: got ${time}, wanted an RFC 3339 time or epoch milliseconds`);
  return micros;
}

/** By `Content-Type`, what names of such files end with. */
const SUFFIXES: Record<string, string> = {
  'application/x-ndjson': '.ndjson',
  'application/ndjson': '.ndjson',
  'application/jsonl': '.ndjson',
  'text/csv': '.csv',
  'text/tab-separated-values': '.tsv',
  'application/vnd.apache.parquet': '.parquet',
};
/** By `Content-Encoding`: files are unpacked while they are read. */
const PACKINGS: Record<string, string> = { identity: '', gzip: '.gz', zstd: '.zst' };

const NAMES = z.strictObject({
  type: z.string().optional().describe('of CSV and Parquet without a column `_type`: the type of all their events'),
  time: z.string().optional().describe('of CSV and Parquet: the column of times, instead of `_time`'),
  id: z.string().optional().describe('of CSV and Parquet: the column of ids, instead of `_id`'),
});

export const PUT_TIMELINE: Operation = {
  id: 'uploadTimeline',
  summary: 'Save a file as a timeline',
  description:
    'Takes NDJSON, CSV, TSV or Parquet, the first three packed with gzip or zstd or not, and begins the next version under the name. Its events are put in the order of time; its state says when it is ready.',
  params: z.object({ name: z.string().describe('letters, digits, dots, hyphens and underscores') }),
  query: NAMES,
  body: Object.fromEntries(Object.keys(SUFFIXES).map(type => [type, { shape: null }])),
  replies: {
    202: {
      description: 'The file is here, and it has begun.',
      type: 'application/json',
      content: {
        shape: SHAPE,
        example: { ...EXAMPLE, state: 'processing', start: null, end: null, events: 0, types: [] },
      },
    },
  },
  problems: [400, 413, 415, 422, 501, 503],
};

export function putTimeline(service: TimelineService): Handler {
  return async c => {
    const parsed = NAMES.safeParse(c.req.query());
    if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
    const names = Object.fromEntries(Object.entries(parsed.data).filter(([, name]) => name !== undefined));
    const suffix = suffixOf(c.req.header('content-type') ?? '', c.req.header('content-encoding') ?? 'identity');
    const file = { name: c.req.param('name')!, suffix, names, body: c.req.raw.body };
    return c.json(timelineJson(await service.upload(file)), 202);
  };
}

function suffixOf(contentType: string, encoding: string): string {
  const type = contentType.split(';')[0]!.trim().toLowerCase();
  const [suffix, packing] = [SUFFIXES[type], PACKINGS[encoding.trim().toLowerCase()]];
  if (suffix === undefined)
    throw new Fault(
      'media_type',
      `content-type is ${type === '' ? 'missing' : type}, wanted one of ${Object.keys(SUFFIXES).join(', ')}`,
    );
  if (packing === undefined || (packing !== '' && suffix === '.parquet'))
    throw new Fault('media_type', `content-encoding is ${encoding}, wanted none, and gzip or zstd only of text`);
  return suffix + packing;
}

const DELETED = z.object({ deleted: z.int().min(1).describe('versions') });

export const DELETE_TIMELINE: Operation = {
  id: 'deleteTimeline',
  summary: 'Delete a timeline',
  description: 'Without a version, all that have the name. What no other timeline holds leaves the disk.',
  params: NAME_PARAM,
  replies: {
    200: {
      description: 'It is gone.',
      type: 'application/json',
      content: { shape: { name: 'TimelineDeleted', schema: DELETED }, example: { deleted: 1 } },
    },
  },
  problems: [400, 404, 501, 503],
};

export function deleteTimeline(service: TimelineService): Handler {
  return async c => c.json({ deleted: await service.remove(c.req.param('name')!) });
}

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
