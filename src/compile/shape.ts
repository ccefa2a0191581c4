import { z } from 'zod';
import { parseDuration } from '../base/time.ts';
import { DIALECT_NAMES } from './dialects.ts';
import { NAME, NAME_LENGTH_MAX } from './name.ts';

/** The shapes of what a definitions file holds. What the parts mean to each other is checked where they are compiled. */

/** A name that needs no quotes. */
export const PLAIN_NAME = z
  .string()
  .max(NAME_LENGTH_MAX, `longer than ${NAME_LENGTH_MAX} characters`)
  .regex(NAME, 'a name is letters, digits and _, and begins with a letter')
  .describe('a name');

/** What events call their types and members is not ours to choose. */
export const ANY_NAME = z
  .string()
  .min(1, 'a name has at least one character')
  .max(NAME_LENGTH_MAX, `longer than ${NAME_LENGTH_MAX} characters`)
  .describe('a name');

export const DURATION_MS = z
  .string()
  .describe('a duration like 30m, 1d or 1h30m')
  .transform((text, context) => {
    const durationMs = parseDuration(text);
    if (durationMs !== null && durationMs > 0) return durationMs;
    context.addIssue({ code: 'custom', message: `got "${text}", wanted a duration like 30m, 1d or 1h30m` });
    return z.NEVER;
  });

/** A type as written: `int64`, `string?`, `[crew_member]`, `{ type: int64, default: 0 }`. */
export type TypeSpec = string | [TypeSpec] | SlotSpec;

export interface SlotSpec {
  type: TypeSpec;
  optional?: boolean | undefined;
  default?: unknown;
  path?: string | undefined;
}

/** A text alone is a description. */
const ABOUT_SPEC = z
  .union([z.string(), z.strictObject({ description: z.string().optional(), owner: z.string().optional() })])
  .describe('a description, or a mapping with description and owner')
  .transform(about => (typeof about === 'string' ? { description: about, owner: undefined } : about));

/** Texts for people about what is declared. */
export const ABOUT_SHAPE = z.strictObject({
  events: z.record(ANY_NAME, ABOUT_SPEC).optional(),
  entities: z.record(PLAIN_NAME, ABOUT_SPEC).optional(),
});

const TYPE_WANTED = 'a type: bool, int64, double, string, time, [a type], a name from types:, or { type: ... }';

export const TYPE_SPEC: z.ZodType<TypeSpec> = z.lazy(() =>
  z
    .union([
      z.string().describe(TYPE_WANTED),
      z.tuple([TYPE_SPEC], 'a list type has one type in it: [string]'),
      z.strictObject({
        type: TYPE_SPEC,
        optional: z.boolean().optional(),
        default: z.unknown().optional(),
        path: z.string().optional(),
      }),
    ])
    .describe(TYPE_WANTED),
);

/** The key of an event type that is no input, unless it has a type. */
export const CHANGELOG = 'changelog';

/** How events of a type say which rows they add and take back. */
export const CHANGELOG_SPEC = z
  .strictObject({
    op: z.string().describe('the input that holds +I, -U, +U or -D').optional(),
    format: z.enum(['debezium']).optional(),
    key: z
      .union([z.string(), z.array(z.string().describe('an input'))])
      .describe('the inputs that name a row, where events do not say what it was before: id, or [shop, id]')
      .transform(names => (typeof names === 'string' ? [names] : names))
      .optional(),
    deleted: z.string().describe('the input that is true where the row was deleted').optional(),
    time: z.string().describe("the input that is the row's own time").optional(),
  })
  .describe('how events say what they change: { op: input }, { format: debezium } or { key: input }');

/** Of an event type, for editors: whoever reads one takes its keys one by one. */
export const EVENT_SPEC = z
  .object({ [CHANGELOG]: z.union([CHANGELOG_SPEC, TYPE_SPEC]).optional() })
  .catchall(TYPE_SPEC)
  .meta({ propertyNames: { type: 'string', minLength: 1, maxLength: NAME_LENGTH_MAX } });

const KEY_TYPE_WANTED = "the type of an entity's key, or a list of them: string, [string, int64]";

export const ENTITY_SPEC = z
  .union([z.string(), z.array(z.string().describe('a type'))])
  .describe(KEY_TYPE_WANTED)
  .transform(types => (typeof types === 'string' ? [types] : types));

/** A window as written: `2h`, `5d@1m`, `1d offset 7d`, `7 x tumbling 1d`, `hopping 1d every 1h`, `lifetime`. */
export interface WindowSpec {
  /** As written, but for the tiles that it moves by. */
  text: string;
  /** What its features' names end in: `2h`, `1d_offset_7d`, `7x1d_tumbling`, `1d_every_1h`. */
  label: string;
  /** Null for the lifetime. */
  lengthMs: number | null;
  /** Null where the window's author leaves it to us. */
  resolutionMs: number | null;
  /** Null where it moves tile by tile. */
  everyMs: number | null;
  agoMs: number;
  /** It holds what lies between its start and the moment, to the millisecond. */
  isExact: boolean;
  /** How many of them, one before the other, make a series; null where there is one, which is no list. */
  count: number | null;
}

const WINDOW_WANTED =
  'a window: 2h, 5d@1m, 1d offset 7d, 7 x 1d, tumbling 1h, hopping 1d every 1h, exact 10m or lifetime';

const WINDOW =
  /^(?:(\d+) *x *)?(?:(tumbling|hopping|exact) +)?(\w+)(?:@(\w+))?(?: +every +(\w+))?(?: +offset +(\w+))?$/;

const WINDOW_SPEC = z
  .string()
  .describe(WINDOW_WANTED)
  .transform((text, context): WindowSpec => {
    const spec = parseWindow(text.trim());
    if (spec) return spec;
    context.addIssue({ code: 'custom', message: `got "${text}", wanted ${WINDOW_WANTED}` });
    return z.NEVER;
  });

function parseWindow(text: string): WindowSpec | null {
  const one = { everyMs: null, agoMs: 0, isExact: false, count: null };
  if (text === 'lifetime') return { text, label: text, lengthMs: null, resolutionMs: null, ...one };
  const [, count, kind, length, resolution, every, offset] = WINDOW.exec(text) ?? [];
  const isExact = kind === 'exact';
  if (isExact && (count !== undefined || offset !== undefined)) return null;
  const lengthMs = parseDuration(length ?? '');
  const resolutionMs = resolution === undefined ? null : parseDuration(resolution);
  const everyMs = kind === 'tumbling' ? lengthMs : every === undefined ? null : parseDuration(every);
  const agoMs = offset === undefined ? 0 : parseDuration(offset);
  const isWhole = lengthMs && resolutionMs !== 0 && everyMs !== 0 && agoMs !== null && count !== '0';
  if (
    !isWhole ||
    (resolution !== undefined && (!resolutionMs || kind)) ||
    (every !== undefined) !== (kind === 'hopping')
  )
    return null;
  if ((every !== undefined && !everyMs) || (offset !== undefined && !agoMs)) return null;
  return {
    text: [count && `${count} x`, kind, length, every && `every ${every}`, offset && `offset ${offset}`]
      .filter(part => part)
      .join(' '),
    label: [
      ...[count ? `${count}x${length}` : length!, (kind === 'tumbling' || isExact) && kind],
      ...[every && `every_${every}`, offset && `offset_${offset}`],
    ]
      .filter(part => part)
      .join('_'),
    ...{ lengthMs, resolutionMs, everyMs, agoMs, isExact, count: count === undefined ? null : Number(count) },
  };
}

const DIALECT_WANTED = `a dialect of SQL: ${DIALECT_NAMES.join(', ')}`;

export const DIALECT = z.enum(DIALECT_NAMES as [string, ...string[]]).describe(DIALECT_WANTED);

/** The keys of a feature set, one shape each, so that a fault in one does not hide those in the others. */
export const SET_SHAPE = {
  feature_set: PLAIN_NAME,
  description: z.string(),
  owner: z.string(),
  version: z.bigint().min(1n, 'wanted a whole number from 1').describe('a whole number from 1'),
  entity: z.string().describe('the name of an entity'),
  key: z
    .union([z.string(), z.array(z.string())])
    .describe('a column, or a list of columns')
    .transform(columns => (typeof columns === 'string' ? [columns] : columns)),
  source: z.string().describe('the name of an event type'),
  windows: z.array(WINDOW_SPEC).min(1, 'got none, wanted at least one window'),
  tiles: z.array(DURATION_MS).min(1, 'got none, wanted at least one tile length'),
  tile_offset: DURATION_MS,
  dialect: DIALECT,
  sql: z.string().describe('a SELECT'),
  derive: z.record(PLAIN_NAME, z.string().describe('an expression over features of this set')),
  describe: z.record(PLAIN_NAME, z.string().describe('what an item or a derived feature says')),
  units: z.record(PLAIN_NAME, z.string().describe('what an item or a derived feature is counted in, such as minutes')),
};

export type SetKey = keyof typeof SET_SHAPE;

export const SET_REQUIRED: SetKey[] = ['feature_set', 'entity', 'source', 'windows', 'sql'];
