import { Stages } from '../../src/base/stages.ts';
import { expect } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import type { Log } from '../../src/base/log.ts';
import { Metrics, type State } from '../../src/base/metrics.ts';
import { app, type Services } from '../../src/http/app.ts';
import type { BodyFormat } from '../../src/ingest/body.ts';
import type { Enrichment, Receipt } from '../../src/ingest/ingest.ts';
import { makeColumn } from '../../src/kernel/feature_column.ts';
import type { Refusal } from '../../src/base/refusal.ts';
import type { ErrorRow, ErrorsPage, LateRow } from '../../src/meta/meta.ts';
import type { NewBranch } from '../../src/http/branches.ts';
import type { FeedRequest } from '../../src/http/feed.ts';
import type { NewReplay, ReplayService } from '../../src/http/replay_service.ts';
import type { NewTimeline } from '../../src/http/timelines.ts';
import type { BranchVersion } from '../../src/meta/branches.ts';
import type { TimelineVersion } from '../../src/meta/timelines.ts';
import type { Expression } from '../../src/plan/expression.ts';
import type { Feature, Plan } from '../../src/plan/plan.ts';
import { INT64, STRING } from '../../src/plan/value.ts';
import type { Explanation } from '../../src/read/explain.ts';
import type { Answer, Lookup } from '../../src/read/read.ts';
import type { Manifest } from '../../src/replay/manifest.ts';
import type { RunStatus } from '../../src/replay/state.ts';
import { column, lastN, read } from '../oracle/fixtures/spell.ts';

export const ORIGIN = 'http://localhost';

const TIMELINE: TimelineVersion = {
  ...{ name: 'week', version: 2, format: 1, state: 'ready', error: null, source: { from: 'log' } },
  ...{ createdAtMicros: 978_865_200_000_000n, order: 'log', clock: 'wall', maxJumpMs: 1000 },
  types: [
    { type: 'flight', count: 3, hash: 'a', placesHash: 'b', startMicros: 5n, endMicros: 978_865_200_000_001n },
    { type: 'other', count: 1, hash: 'c', placesHash: 'd', startMicros: -5n, endMicros: 7n },
  ],
};

const BRANCH: BranchVersion = {
  ...{ name: 'risk', version: 2, hash: 'a', author: 'ada', message: 'why', createdAtMicros: 978_865_200_000_000n },
  ...{ latenessMs: 0, dialect: 'duckdb', faults: 1, files: [{ file: 'a.scowl', hash: 'b', bytes: 7 }] },
};

const JOB: Manifest['jobs'][number] = {
  ...{ number: 0, stage: 1, kind: 'fold', event: 'flight', columns: ['flight.n', 'flight.hidden'], needs: [] },
  ...{ reads: ['flight'], part: null, range: null, parts: 0, after: [], isSwept: false },
};

const REPLAY: RunStatus = {
  ...{ id: '20260302-170000-5f3a', folder: '/data/replays/runs/20260302-170000-5f3a', state: 'failed' },
  ...{ failed: [{ job: 0, reason: 'job 0 (flight.n): its thread ended' }], jobs: { total: 2, done: 1 } },
  stages: [{ stage: 1, total: 2, done: 1 }],
  work: { startedMs: 978_865_200_000, endedMs: 978_865_202_000, doneBefore: 0 },
  manifest: {
    ...{ format: 1, id: '20260302-170000-5f3a', engine: 'e', createdAtMicros: 978_865_200_000_000n },
    ...{ definitions: 'live', clock: { kind: 'event', maxJumpMs: 1 }, keepsArrivals: false },
    timelines: [{ name: 'week', version: 1, order: 'log', clock: { kind: 'event', maxJumpMs: 1 }, types: [] }],
    ...{ stretch: { startMicros: null, endMicros: null }, order: 'log' },
    shown: [{ id: 'flight.n', name: 'flight.n', event: 'flight', type: INT64 }],
    ...{ files: {}, about: {}, rows: { flight: 7 }, reused: ['flight.n'], jobs: [JOB, { ...JOB, number: 1 }] },
  },
};

const LATEST = lastN('latest:delay', 'flight', [], column('delay', INT64), 1000);
const LIST: Feature = { ...feature('latest:delay_1d'), set: 'latest', expression: read(LATEST.name, LATEST.type) };

/** Two features of one entity, and a list: all that the HTTP layer itself looks at, and a set for the catalogue. */
const PLAN: Plan = {
  events: [
    {
      ...{ name: 'flight', inputs: [], columns: [], onFault: 'reject', weight: null, at: null },
      features: [{ column: 'delay', error: null, description: '', at: null }],
    },
  ],
  entities: [{ name: 'origin', keys: [STRING], at: null }],
  aggregates: [LATEST],
  sets: [
    {
      ...{ name: 'delays', description: 'how late', owner: 'tests', entity: 'origin', event: 'flight', sql: 'SELECT' },
      ...{ keys: [column('origin', STRING)], at: null },
    },
  ],
  features: [feature('delays:flights_2h'), feature('delays:rate_2h'), LIST],
  latenessMs: 0,
};

function feature(name: string): Feature {
  const expression: Expression = { kind: 'literal', value: 0n, type: INT64, at: null };
  return { name, set: 'delays', entity: 'origin', expression, description: '', at: null };
}

/** Of a feature that reads nothing. */
const EXPLANATION: Explanation = {
  ...{ entity: 'origin', key: 'ATL', timeMicros: 0n, position: 0 },
  ...{ answer: makeColumn({ name: 'delays:flights_2h', type: INT64 }, 1), expression: '0', from: [], reads: [] },
};

function errorRow(id: number): ErrorRow {
  const event = { position: 70 + id, source: 'log', line: null, type: 'flight', time: '2001-01-07T00:00:00Z' };
  return { id, ...event, code: 'missing', message: 'required input origin is missing or null', sample: '{}' };
}

const REFUSED: Refusal = { position: 7, timeMicros: 978_865_200_000_000n, clockMicros: 978_965_200_000_001n };
const LATE: LateRow = {
  ...{ aggregate: 'delays:flights', event: 'flight', levelMs: 60_000, count: 3 },
  ...{ first: REFUSED, latest: [REFUSED] },
};

export interface Seen {
  /** Errors of what was acknowledged are only in the database after one. */
  barriers: number;
  bodies: { text: string; format: BodyFormat }[];
  lookups: Lookup[];
  pages: ErrorsPage[];
  timelines: NewTimeline[];
  branches: NewBranch[];
  replays: NewReplay[];
  feeds: FeedRequest[];
  logged: Record<string, unknown>[];
  broken: unknown[];
}

export interface Told {
  receipt?: Receipt;
  enrichment?: Enrichment;
  answer?: Answer;
  explanation?: Explanation;
  /** Thrown by whatever is asked. */
  fails?: unknown;
  unready?: string;
  origins?: string[];
  state?: State;
  /** Instead of one that tells of a failed replay. */
  replays?: ReplayService;
  /** The parts are not there yet. */
  opening?: true;
}

/** The app over parts that record what they were asked and answer what they are told to. */
export function appWith(told: Told = {}) {
  const seen: Seen = {
    ...{
      bodies: [],
      lookups: [],
      pages: [],
      timelines: [],
      branches: [],
      replays: [],
      feeds: [],
      barriers: 0,
      logged: [],
      broken: [],
    },
  };
  const log = (level: keyof Log) => (fields: object, text: string) => {
    seen.logged.push({ level, text, ...fields });
  };
  const parts: Services['parts'] = {
    stages: new Stages(),
    ingest: {
      barrier() {
        seen.barriers++;
      },
      async post(body, format) {
        if (told.fails) throw told.fails;
        seen.bodies.push({ text: new TextDecoder().decode(body), format });
        return told.receipt ?? { accepted: 1, rejected: [], position: 0 };
      },
      async enrich() {
        return told.enrichment ?? { lines: new Uint8Array(0), names: new Uint32Array(0), rejected: [], parts: [] };
      },
    },
    reader: {
      lookup(lookup) {
        if (told.fails) throw told.fails;
        seen.lookups.push(lookup);
        return told.answer ?? { timeMicros: 0n, position: 0, entities: [] };
      },
      explain() {
        if (told.fails) throw told.fails;
        return told.explanation ?? EXPLANATION;
      },
    },
    meta: {
      errors(page) {
        if (told.fails) throw told.fails;
        seen.pages.push(page);
        return [errorRow(3), errorRow(9)].slice(0, page.limit);
      },
      late() {
        if (told.fails) throw told.fails;
        return [LATE];
      },
    },
    plan: PLAN,
    moment: () => ({ position: 6, nowMicros: 978_865_200_000_000n, clocks: new Map() }),
    planState: () => {
      if (told.fails) throw told.fails;
      return { position: 7, applied_at: '2001-01-07T00:00:00Z', computing: null, waiting: null };
    },
    async abort() {
      if (told.fails) throw told.fails;
      return { aborted: true, position: 7 };
    },
    timelines: {
      async list() {
        if (told.fails) throw told.fails;
        return [TIMELINE];
      },
      async show(name) {
        if (told.fails) throw told.fails;
        return { ...TIMELINE, name };
      },
      async create(made) {
        if (told.fails) throw told.fails;
        seen.timelines.push(made);
        return { ...TIMELINE, state: 'processing', types: [] };
      },
      async upload({ name }) {
        if (told.fails) throw told.fails;
        return { ...TIMELINE, name, state: 'processing', types: [] };
      },
      async remove() {
        if (told.fails) throw told.fails;
        return 2;
      },
    },
    feed: {
      async events(request) {
        if (told.fails) throw told.fails;
        seen.feeds.push(request);
        const line = new TextEncoder().encode('{"type":"flight","n":12345678901234567890}');
        return { events: [{ position: 7, arrivalMicros: null, line }], next: 7, position: 9 };
      },
    },
    branches: {
      async list() {
        if (told.fails) throw told.fails;
        return { versions: [BRANCH], selected: 'risk' };
      },
      async show(name) {
        if (told.fails) throw told.fails;
        const at = { file: 'risk@2/a.scowl', line: 1, column: 2, length: 3 };
        const faults = [new Fault('definition', 'no such input', at), new Fault('definition', 'nothing', null)];
        return { version: { ...BRANCH, name }, texts: [{ file: 'a.scowl', text: 'event e' }], faults, selected: null };
      },
      async save(branch) {
        if (told.fails) throw told.fails;
        seen.branches.push(branch);
        return { version: BRANCH, isNew: true, selected: null };
      },
      async remove() {
        if (told.fails) throw told.fails;
        return 2;
      },
    },
    replays: told.replays ?? toldReplays(told, seen),
    async applyFiles() {
      if (told.fails) throw told.fails;
      return {
        position: 7,
        added: ['a:b'],
        redefined: [],
        removed: [],
        renamed: [],
        extended: [],
        kept: 2,
        until: null,
        waited_ms: 0.5,
      };
    },
  };
  const services: Services = {
    parts: told.opening ? null : parts,
    unready: () => told.unready ?? null,
    origins: told.origins ?? [],
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    metrics: new Metrics(() => told.state ?? null),
    broken: error => seen.broken.push(error),
  };
  return { app: app(services), seen };
}

function toldReplays(told: Told, seen: Seen): ReplayService {
  const answer = async () => {
    if (told.fails) throw told.fails;
    return REPLAY;
  };
  return {
    async list({ after }) {
      return { replays: [await answer()], unreadable: [], next: after };
    },
    ...{ show: answer, cancel: answer, resume: answer },
    async follow() {
      await answer();
      return () => REPLAY;
    },
    create(replay) {
      seen.replays.push(replay);
      return answer();
    },
    async remove() {
      await answer();
    },
    async table(_id, kind, type, format) {
      await answer();
      return [`${kind} of ${type} as `, format].map(text => new TextEncoder().encode(text)).values();
    },
    async page(_id, _kind, _type, { after, limit }) {
      await answer();
      return { lines: [JSON.stringify({ after, limit })], next: '3.0' };
    },
  };
}

export function post(path: string, body: string | ReadableStream, type = 'application/json'): Request {
  return new Request(`${ORIGIN}${path}`, { method: 'POST', body, headers: { 'content-type': type } });
}

export async function problemIn(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = (await response.json()) as Record<string, unknown>;
  expect(body.status).toBe(response.status);
  expect(body.type).toBe('about:blank');
  return body;
}
