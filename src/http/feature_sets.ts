import type { Handler } from 'hono';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { formatMicros } from '../base/time.ts';
import { catalogueOf, type FeatureEntry, type Moment, type SetEntry } from '../plan/catalogue.ts';
import type { Window } from '../plan/expression.ts';
import type { Plan } from '../plan/plan.ts';
import { type Change, diffPlans } from '../plan/diff.ts';
import { typeName } from '../plan/value.ts';
import { isTiled } from '../plan/window.ts';
import type { Operation } from './operation.ts';

const TIME = z.string().describe('RFC 3339');
const PEOPLE = { description: z.string(), owner: z.string() };

const WINDOW = z.object({
  kind: z.enum(['lifetime', 'sliding', 'offset', 'hopping', 'exact']),
  length_ms: z.int().nullable().describe('null for a lifetime'),
  step_ms: z.int().nullable().describe('what it moves by; null for a lifetime and for an exact one'),
  offset_ms: z.int().describe('how long before the moment it is over; 0 where it reaches up to that, or the last step'),
  count: z.int().nullable().describe('how many of them, one before the other, a series has; null where it is none'),
});

const AGGREGATE = z.object({
  name: z.string(),
  function: z.string(),
  linear: z.boolean().describe('can take back what was retracted'),
  tiles: z.array(
    z.object({
      length_ms: z.int().describe('0 for a lifetime'),
      kept_ms: z.int().nullable().describe('from the start of a tile; null for good'),
      rows_per_key: z.int().describe('that a key has with events in every tile'),
    }),
  ),
});

const FEATURE = z.object({
  name: z.string(),
  description: z.string().describe('in the words of its author, or what it is computed by'),
  expression: z.string().describe('what it is computed by'),
  type: z.string(),
  units: z.string().nullable(),
  window: WINDOW.nullable().describe('null where it has none of its own'),
  from: z.array(z.string()).describe('features that it is computed from'),
  aggregates: z.array(AGGREGATE).describe('what is stored for it, itself and through what it is computed from'),
  warming_until: TIME.nullable().describe('where a window still reaches back before the first event: until when'),
});

const SET = z.object({
  name: z.string(),
  ...PEOPLE,
  version: z.int(),
  entity: z.object({
    name: z.string(),
    ...PEOPLE,
    keys: z.array(z.object({ type: z.string(), column: z.string().nullable().describe('of the event type') })),
  }),
  event: z.object({
    name: z.string(),
    ...PEOPLE,
    clock: TIME.nullable().describe('how far its time has come; null before its first event'),
    since: TIME.nullable().describe('what the clock showed after its first event: before that nothing is known'),
  }),
  sql: z.string(),
  features: z.array(FEATURE),
});

const COMING = z.object({
  until: TIME.nullable().describe('when they take over; null while they are computed from the log'),
  added: z.array(z.string()).describe('features that are there from then on'),
  redefined: z.array(z.string()).describe('those that mean something else then'),
  removed: z.array(z.string()),
});

const SETS = z.object({
  position: z.int().min(-1).describe('of the last event that lookups contain, -1 when there is none'),
  feature_sets: z.array(SET),
  coming: COMING.nullable().describe('definitions that are to come into force; null where none are'),
});

const EXAMPLE: z.infer<typeof SET> = {
  name: 'origin_delays',
  description: 'how late flights leave an airport',
  owner: 'examples',
  version: 1,
  entity: { name: 'origin', description: '', owner: '', keys: [{ type: 'string', column: 'origin' }] },
  event: {
    name: 'flight',
    description: '',
    owner: '',
    clock: '2001-03-11T23:59:00Z',
    since: '2001-03-05T00:00:00Z',
  },
  sql: 'SELECT origin, COUNT(*) AS flights FROM flight GROUP BY origin',
  features: [
    {
      name: 'origin_delays:flights_2h',
      description: 'COUNT(*) over 2h',
      expression: 'COUNT(*) over 2h',
      type: 'int64',
      units: null,
      window: { kind: 'sliding', length_ms: 7_200_000, step_ms: 60_000, offset_ms: 0, count: null },
      from: [],
      aggregates: [
        {
          name: 'origin_delays:flights',
          function: 'count',
          linear: true,
          tiles: [{ length_ms: 60_000, kept_ms: 10_860_000, rows_per_key: 181 }],
        },
      ],
      warming_until: null,
    },
  ],
};

export const GET_FEATURE_SETS: Operation = {
  id: 'listFeatureSets',
  summary: 'List all features',
  description:
    'Every feature set with its features: what they say, what they are computed by, what is kept for them, how far their events have come and whether their windows are whole.',
  replies: {
    200: {
      description: 'All of them.',
      type: 'application/json',
      content: {
        shape: { name: 'FeatureSets', schema: SETS },
        example: { position: 112986, feature_sets: [EXAMPLE], coming: null },
      },
    },
  },
  problems: [503],
};

export const GET_FEATURE_SET: Operation = {
  id: 'showFeatureSet',
  summary: 'Show the features of one set',
  description: 'As in the list of all.',
  params: z.object({ name: z.string().describe('of the feature set') }),
  replies: {
    200: {
      description: 'The set.',
      type: 'application/json',
      content: { shape: { name: 'FeatureSet', schema: SET }, example: EXAMPLE },
    },
  },
  problems: [404, 503],
};

/** How far the log has come, and what has been folded of it. */
export interface Now extends Moment {
  /** Of the last record folded; -1 when there is none. */
  position: number;
  /** Definitions that are to come into force, and when, if that is known. */
  coming?: { plan: Plan; untilMicros: bigint | null } | null;
}

export function listFeatureSets(plan: () => Plan, now: () => Now): Handler {
  return c => c.json(featureSets(plan(), now()));
}

export function showFeatureSet(plan: () => Plan, now: () => Now): Handler {
  return c => {
    const name = c.req.param('name')!;
    const { feature_sets } = featureSets(plan(), now());
    const found = feature_sets.find(set => set.name === name);
    if (found) return c.json(found);
    const names = feature_sets.map(set => set.name);
    throw new Fault('not_found', `no feature set ${name}${didYouMean(name, names)}`);
  };
}

export function featureSets(plan: Plan, now: Now): z.infer<typeof SETS> {
  const { position, coming } = now;
  return { position, feature_sets: catalogueOf(plan, now).map(setOf), coming: coming ? comingOf(plan, coming) : null };
}

function comingOf(plan: Plan, { plan: next, untilMicros }: NonNullable<Now['coming']>): z.infer<typeof COMING> {
  const { features } = diffPlans(plan, next);
  const named = (...changes: Change[]) =>
    features.flatMap(one => (changes.includes(one.change) ? (one.after ?? one.before)!.name : []));
  return {
    until: timeOf(untilMicros),
    added: named('added', 'renamed'),
    redefined: named('redefined', 'dirtied'),
    removed: features.flatMap(({ change, before }) =>
      change === 'removed' || change === 'renamed' ? before!.name : [],
    ),
  };
}

function setOf({ set, entity, keyColumns, event, clockMicros, sinceMicros, features }: SetEntry): z.infer<typeof SET> {
  const { name, description, owner, version = 1, sql } = set;
  return {
    name,
    description,
    owner,
    version,
    entity: {
      name: entity.name,
      description: entity.description ?? '',
      owner: entity.owner ?? '',
      keys: entity.keys.map((type, i) => ({ type: typeName(type), column: keyColumns[i]! })),
    },
    event: { ...event, clock: timeOf(clockMicros), since: timeOf(sinceMicros) },
    sql,
    features: features.map(featureOf),
  };
}

function featureOf({
  feature,
  type,
  window,
  seriesCount,
  aggregates,
  from,
  warmMicros,
}: FeatureEntry): z.infer<typeof FEATURE> {
  const { name, description: expression, about, units } = feature;
  return {
    name,
    description: about ?? expression,
    expression,
    type: typeName(type),
    units: units ?? null,
    window: window && windowOf(window, seriesCount),
    from,
    aggregates: aggregates.map(aggregate => ({
      name: aggregate.name,
      function: aggregate.fn,
      linear: aggregate.isLinear,
      tiles: aggregate.tiles.map(({ levelMs, ttlMs, rowsPerKey }) => ({
        length_ms: levelMs,
        kept_ms: ttlMs === Infinity ? null : ttlMs,
        rows_per_key: rowsPerKey,
      })),
    })),
    warming_until: timeOf(warmMicros),
  };
}

function windowOf(window: Window, count: number | null): z.infer<typeof WINDOW> {
  return {
    kind: window.kind,
    length_ms: window.kind === 'lifetime' ? null : window.lengthMs,
    step_ms: window.kind === 'hopping' ? window.everyMs : isTiled(window) ? window.resolutionMs : null,
    offset_ms: window.kind === 'hopping' || window.kind === 'offset' ? window.agoMs : 0,
    count,
  };
}

function timeOf(micros: bigint | null): string | null {
  return micros === null ? null : formatMicros(micros);
}
