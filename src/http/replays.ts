import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { formatMicros } from '../base/time.ts';
import { type RunStatus, paceOf } from '../replay/state.ts';
import { readBody } from './body.ts';
import { issueLine, parseJson } from './features.ts';
import type { Operation } from './operation.ts';
import { pageLimit } from './page.ts';
import type { ReplayService } from './replay_service.ts';
import { WHEN, microsOf } from './timelines.ts';

const COUNTED = { total: z.int().min(0), done: z.int().min(0) };

const PROGRESS = z.object({
  id: z.string(),
  state: z
    .enum(['planned', 'waiting', 'running', 'interrupted', 'done', 'failed', 'cancelled'])
    .describe('`waiting` for others that were started before; `interrupted` where whoever was at it is gone'),
  progress: z.string().describe('for people: `3 of 25 jobs completed`'),
  jobs: z.object(COUNTED),
  stages: z.array(z.object({ stage: z.int().min(0), ...COUNTED })).describe('jobs of each, in their order'),
  rate: z.number().nullable().describe('jobs per second, since it was begun or resumed; null where none is known'),
  seconds_left: z.number().nullable().describe('what the other jobs take at that rate; null where nobody knows'),
  failed: z
    .array(
      z.object({
        job: z.int().min(0),
        stage: z.int().min(0),
        event: z.string(),
        features: z.array(z.string()).describe('what it was to make; empty where nobody is shown it'),
        reason: z.string(),
      }),
    )
    .describe('jobs that failed; what needs them is missing too'),
});

const REPLAY = PROGRESS.extend({
  errors: z.array(z.string()).describe('the reasons of failed jobs'),
  definitions: z.string().describe('where they are from: `branch risk@3`, `live`, or a folder'),
  folder: z.string().describe('of the server'),
  created_at: z.string(),
  started_at: z.string().nullable().describe('when it was begun or resumed; null before'),
  ended_at: z.string().nullable(),
  timelines: z.array(z.object({ name: z.string(), version: z.int().min(1) })),
  order: z.enum(['log', 'time']).describe('of its events'),
  events: z.record(z.string(), z.int().min(0)).describe('of each type that is read'),
  features: z.array(
    z.object({
      name: z.string(),
      event: z.string(),
      state: z.enum(['reused', 'computed']).describe('`reused` where it was in the cache'),
    }),
  ),
});

export type ReplayJson = z.infer<typeof REPLAY>;

export type ProgressJson = z.infer<typeof PROGRESS>;

const SHAPE = { name: 'Replay', schema: REPLAY };

export const PROGRESS_SHAPE = { name: 'ReplayProgress', schema: PROGRESS };

export const PROGRESS_EXAMPLE: ProgressJson = {
  ...{ id: '20260302-170000-5f3a', state: 'running', progress: '3 of 25 jobs completed', jobs: { total: 25, done: 3 } },
  stages: [
    { stage: 0, total: 5, done: 3 },
    { stage: 1, total: 20, done: 0 },
  ],
  ...{ rate: 1.5, seconds_left: 14.7, failed: [] },
};

const EXAMPLE: ReplayJson = {
  ...PROGRESS_EXAMPLE,
  ...{ errors: [], definitions: 'branch risk@2', folder: '/srv/tilefold/data/replays/runs/20260302-170000-5f3a' },
  ...{ created_at: '2026-03-02T17:00:00Z', started_at: '2026-03-02T17:00:01Z', ended_at: null },
  ...{ timelines: [{ name: 'week', version: 1 }], order: 'log', events: { login: 81_203, payment: 5_120 } },
  features: [{ name: 'payment.risk', event: 'payment', state: 'computed' }],
};

const ID_PARAM = z.object({ id: z.string().describe('what it was called when it was started') });

const JSON_REPLAY = { type: 'application/json', content: { shape: SHAPE, example: EXAMPLE } };

const REPLAYS_LIMIT_DEFAULT = 20;

const PAGE_QUERY = z.object({
  after: z.string().optional().describe('the `next` of the page before'),
  limit: pageLimit('replays_page', REPLAYS_LIMIT_DEFAULT),
});

const PAGE = z.object({
  replays: z.array(REPLAY),
  unreadable: z
    .array(z.object({ id: z.string(), folder: z.string().describe('of the server'), reason: z.string() }))
    .describe('of the same page, those that are damaged or that another version has made: they can be deleted'),
  next: z.string().nullable().describe('what to give as `after` for the next page; null at the end'),
});

export const GET_REPLAYS: Operation = {
  id: 'listReplays',
  summary: 'List replays',
  description: 'Those among the data, whoever has started them.',
  query: PAGE_QUERY,
  replies: {
    200: {
      description: 'A page of them, the newest first.',
      type: 'application/json',
      content: {
        shape: { name: 'Replays', schema: PAGE },
        example: { replays: [EXAMPLE], unreadable: [], next: null },
      },
    },
  },
  problems: [400, 501, 503],
};

export function listReplays(service: ReplayService): Handler {
  return async c => {
    const parsed = PAGE_QUERY.safeParse(c.req.query());
    if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
    const { after = null, limit } = parsed.data;
    const { replays, unreadable, next } = await service.list({ after, limit });
    return c.json({ replays: replays.map(now), unreadable, next });
  };
}

export const GET_REPLAY: Operation = {
  id: 'showReplay',
  summary: 'Show how far a replay is',
  description: 'Its state, jobs by stage, how long the rest takes, what has failed and why.',
  params: ID_PARAM,
  replies: { 200: { description: 'The replay.', ...JSON_REPLAY } },
  problems: [404, 501, 503],
};

export function showReplay(service: ReplayService): Handler {
  return async c => c.json(now(await service.show(c.req.param('id')!)));
}

const BODY = z.strictObject({
  timelines: z.array(z.string()).min(1).describe('NAME, or NAME@VERSION'),
  branch: z.string().optional().describe('NAME, or NAME@VERSION; what is in force by default'),
  features: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('names, `*` standing for any letters: `login.*`; all by default'),
  start: WHEN.optional().describe('give out events from then on, by their time; all before is read too'),
  end: WHEN.optional().describe('give out events before then'),
  order: z
    .enum(['log', 'time'])
    .default('log')
    .describe('of events: `time` puts those of a log into the order of their times, which no lookup ever had'),
});

export const POST_REPLAYS: Operation = {
  id: 'startReplay',
  summary: 'Replay timelines in jobs',
  description:
    'Plans the replay, and begins it beside everything else, with one thread less than there are cores. One at a time is computed, the others wait; what no change has touched comes out of the cache. A server that ends leaves it interrupted, to be resumed.',
  body: {
    'application/json': {
      shape: { name: 'NewReplay', schema: BODY },
      example: { timelines: ['week'], branch: 'risk@2', features: ['payment.*'] },
    },
  },
  replies: { 202: { description: 'It is planned.', ...JSON_REPLAY } },
  problems: [400, 404, 413, 415, 422, 501, 503],
};

export function postReplays(service: ReplayService): Handler {
  return async c => {
    const parsed = BODY.safeParse(parseJson(await readBody(c.req.raw, 'lookup_body_bytes')));
    if (!parsed.success) throw new Fault('request', parsed.error.issues.map(issueLine).join('; '));
    const { timelines, branch = null, features = null, start, end, order } = parsed.data;
    const stretch = { startMicros: microsOf('start', start), endMicros: microsOf('end', end) };
    return c.json(now(await service.create({ timelines, branch, features, order, ...stretch })), 202);
  };
}

export const POST_CANCEL: Operation = {
  id: 'cancelReplay',
  summary: 'Stop a replay',
  description: 'Whoever works on it stops within a second, this server or another process. What is done stays done.',
  params: ID_PARAM,
  replies: { 202: { description: 'It is told to stop.', ...JSON_REPLAY } },
  problems: [404, 409, 501, 503],
};

export function postCancel(service: ReplayService): Handler {
  return async c => c.json(now(await service.cancel(c.req.param('id')!)), 202);
}

export const POST_RESUME: Operation = {
  id: 'resumeReplay',
  summary: 'Go on with a replay',
  description:
    'One that was stopped or interrupted, that has failed or was never begun. What is done is not done again.',
  params: ID_PARAM,
  replies: { 202: { description: 'It goes on.', ...JSON_REPLAY } },
  problems: [404, 409, 501, 503],
};

export function postResume(service: ReplayService): Handler {
  return async c => c.json(now(await service.resume(c.req.param('id')!)), 202);
}

export const DELETE_REPLAY: Operation = {
  id: 'deleteReplay',
  summary: 'Delete a replay',
  description: 'What it has put into the cache stays there. One that is worked on, or waits, is cancelled first.',
  params: ID_PARAM,
  replies: {
    200: {
      description: 'It is gone.',
      type: 'application/json',
      content: {
        shape: { name: 'ReplayDeleted', schema: z.object({ deleted: z.literal(1) }) },
        example: { deleted: 1 },
      },
    },
  },
  problems: [404, 409, 501, 503],
};

export function deleteReplay(service: ReplayService): Handler {
  return async c => {
    await service.remove(c.req.param('id')!);
    return c.json({ deleted: 1 });
  };
}

function now(status: RunStatus): ReplayJson {
  return replayJson(status, Date.now());
}

/** How far a replay is, as HTTP and `--json` tell it. */
export function progressJson(status: RunStatus, nowMs: number): ProgressJson {
  const { id, state, jobs, stages, failed, manifest } = status;
  const { rate, left } = paceOf(status, nowMs);
  const names = new Map(manifest.shown.map(shown => [shown.id, shown.name]));
  return {
    ...{ id, state, progress: `${jobs.done} of ${jobs.total} jobs completed`, jobs, stages, rate, seconds_left: left },
    failed: failed.map(({ job, reason }) => {
      const { stage, event, columns } = manifest.jobs[job]!;
      return { job, stage, event, features: columns.flatMap(column => names.get(column) ?? []), reason };
    }),
  };
}

/** A replay likewise. */
export function replayJson(status: RunStatus, nowMs: number): ReplayJson {
  const { folder, failed, work, manifest } = status;
  const { createdAtMicros, definitions, timelines, order, shown, reused, rows } = manifest;
  return {
    ...progressJson(status, nowMs),
    ...{ errors: failed.map(({ reason }) => reason), definitions, folder, created_at: formatMicros(createdAtMicros) },
    ...{ started_at: timeOf(work?.startedMs), ended_at: timeOf(work?.endedMs) },
    timelines: timelines.map(({ name, version }) => ({ name, version })),
    order,
    events: rows,
    features: shown.map(({ name, event, id }) => ({ name, event, state: columnState(reused.includes(id)) })),
  };
}

/** What a column of a replay is said to be. */
export function columnState(isReused: boolean): 'reused' | 'computed' {
  return isReused ? 'reused' : 'computed';
}

function timeOf(ms: number | null | undefined): string | null {
  return ms == null ? null : formatMicros(BigInt(ms) * 1000n);
}
