import { blob, customType, index, integer, primaryKey, sqliteTable, text, unique } from 'drizzle-orm/sqlite-core';
import { assert } from '../base/assert.ts';
import type { Refusal } from '../base/refusal.ts';

/** Microseconds of this machine's clock, which fit a double until the year 2255. */
const micros = customType<{ data: bigint; driverData: number }>({
  dataType: () => 'integer',
  toDriver(value) {
    assert(Number.isSafeInteger(Number(value)), `${value} is no time of this machine`);
    return Number(value);
  },
  fromDriver: value => BigInt(value),
});

/** `[position, time, clock]` of each, as JSON: times of events may lie beyond what a number holds exactly, and are texts. */
const refusals = customType<{ data: Refusal[]; driverData: string }>({
  dataType: () => 'text',
  toDriver: all => JSON.stringify(all.map(one => [one.position, String(one.timeMicros), String(one.clockMicros)])),
  fromDriver: text =>
    (JSON.parse(text) as [number, string, string][]).map(([position, time, clock]) => ({
      position,
      timeMicros: BigInt(time),
      clockMicros: BigInt(clock),
    })),
});

/**
 * Names that rows are written under, as small numbers. It only grows: a number never means anything else. What was taken
 * out of a plan and comes back has another number, for its rows have missed something.
 */
export const dictionary = sqliteTable(
  'dictionary',
  {
    kind: text({ enum: ['entity', 'aggregate'] }).notNull(),
    id: integer().notNull(),
    name: text().notNull(),
    /** Of the definition: a changed one has another number, so its rows are others. */
    hash: text().notNull(),
  },
  table => [
    primaryKey({ columns: [table.kind, table.id] }),
    index('dictionary_kind_name_hash').on(table.kind, table.name, table.hash),
  ],
);

/** What was in force from which position on. */
export const plans = sqliteTable('plans', {
  id: integer().primaryKey({ autoIncrement: true }),
  hash: text().notNull(),
  /** The first record of the log that it applies to. */
  position: integer().notNull(),
  appliedAtMicros: micros('applied_at_micros').notNull(),
  json: text().notNull(),
  /** The first record that the rows contain: `position` of the plan that they began with. Null where that is this one. */
  rowsFrom: integer('rows_from'),
  /** Of its aggregates, by name: the number in rows, and what they know of the log. Null where an older version wrote it. */
  members: text(),
});

/** Definitions that are to come into force, when they are computed from the log or their windows are whole; one at a time. */
export const backfills = sqliteTable('backfills', {
  id: integer().primaryKey({ autoIncrement: true }),
  json: text().notNull(),
  /** As of plans: what is new has its number already. */
  members: text().notNull(),
  /** How far their rows are among the others: it changes with them, in the same transactions. */
  progress: text().notNull(),
  /** Where they wait for their windows: from when on these are whole, microseconds since 1970 UTC as digits. */
  until: text(),
  /** Where they wait: the plan that they were applied to, which has stayed in force as far as anybody sees, and its members. */
  before: text(),
  beforeMembers: text('before_members'),
  /** Given up: what rows have of them is being taken out. */
  isAborted: integer('is_aborted', { mode: 'boolean' }).notNull().default(false),
});

/** Work with a beginning and an end: ingests of files, replays. */
export const runs = sqliteTable('runs', {
  id: integer().primaryKey({ autoIncrement: true }),
  kind: text().notNull(),
  startedAtMicros: micros('started_at_micros').notNull(),
  finishedAtMicros: micros('finished_at_micros'),
  /** One that still runs though its process is gone was killed. */
  state: text({ enum: ['running', 'done', 'failed'] }).notNull(),
  detail: text({ mode: 'json' }).$type<Record<string, unknown>>().notNull(),
});

/** What tile levels have refused, for each aggregate and level: as many rows as definitions make, however many events. */
export const late = sqliteTable(
  'late',
  {
    aggregate: text().notNull(),
    event: text().notNull(),
    /** Of the tiles, in milliseconds. */
    levelMs: integer('level_ms').notNull(),
    count: integer().notNull(),
    first: refusals().notNull(),
    /** A few, ascending by position. */
    latest: refusals().notNull(),
  },
  table => [primaryKey({ columns: [table.aggregate, table.event, table.levelMs] })],
);

/** Events that do not count, newest last. */
export const errors = sqliteTable('errors', {
  id: integer().primaryKey({ autoIncrement: true }),
  /** Null for a line that was rejected at the door. */
  position: integer(),
  source: text().notNull(),
  line: integer(),
  type: text(),
  /** RFC 3339: an event's own time may lie beyond what a number holds exactly. */
  time: text(),
  code: text().notNull(),
  message: text().notNull(),
  sample: text().notNull(),
});

/** Versions of timelines: what a name stands for never changes, saved again it has another version. */
export const timelines = sqliteTable(
  'timelines',
  {
    id: integer().primaryKey({ autoIncrement: true }),
    name: text().notNull(),
    version: integer().notNull(),
    /** Of its rows and chunks: what an older one means, this program may not know. */
    format: integer().notNull(),
    /** One that is `processing` though nobody works on it was interrupted. */
    state: text({ enum: ['processing', 'ready', 'error'] }).notNull(),
    error: text(),
    /** What it was made from, for people. */
    source: text({ mode: 'json' }).$type<Record<string, unknown>>().notNull(),
    createdAtMicros: micros('created_at_micros').notNull(),
    /** Its events are in the order of the log, or by time and then as they were given. */
    order: text({ enum: ['log', 'time'] }).notNull(),
    clock: text({ enum: ['event', 'wall'] }).notNull(),
    maxJumpMs: integer('max_jump_ms').notNull(),
  },
  table => [unique('timelines_name_version').on(table.name, table.version)],
);

/** What a version has of each event type. */
export const timelineTypes = sqliteTable(
  'timeline_types',
  {
    timeline: integer().notNull(),
    type: text().notNull(),
    count: integer().notNull(),
    hash: text().notNull(),
    placesHash: text('places_hash').notNull(),
    /** The least and the greatest time, microseconds since 1970 UTC as digits: events' times may lie beyond what a number holds. */
    start: text().notNull(),
    end: text().notNull(),
  },
  table => [primaryKey({ columns: [table.timeline, table.type] })],
);

/** The chunks that hold them, in order. */
export const timelineChunks = sqliteTable(
  'timeline_chunks',
  {
    timeline: integer().notNull(),
    type: text().notNull(),
    number: integer().notNull(),
    hash: text().notNull(),
    count: integer().notNull(),
  },
  table => [primaryKey({ columns: [table.timeline, table.type, table.number] })],
);

/** Names of branches. One stays when it is deleted, so that none of its versions ever means something else. */
export const branches = sqliteTable('branches', {
  name: text().primaryKey(),
  /** The latest that there has been. */
  version: integer().notNull(),
  /** The one that commands mean which are told of none; at most one is. */
  isSelected: integer('is_selected', { mode: 'boolean' }).notNull().default(false),
});

/** Versions of branches: definitions, with what the configuration says about how they are read. */
export const branchVersions = sqliteTable(
  'branch_versions',
  {
    name: text().notNull(),
    version: integer().notNull(),
    /** Of all files and of what else decides what they mean: versions with the same one are the same definitions. */
    hash: text().notNull(),
    author: text().notNull(),
    message: text().notNull(),
    createdAtMicros: micros('created_at_micros').notNull(),
    latenessMs: integer('lateness_ms').notNull(),
    dialect: text().notNull(),
    /** How many were found when it was saved. */
    faults: integer().notNull(),
  },
  table => [primaryKey({ columns: [table.name, table.version] })],
);

/** The files of a version, each by what it holds. */
export const branchFiles = sqliteTable(
  'branch_files',
  {
    name: text().notNull(),
    version: integer().notNull(),
    file: text().notNull(),
    /** SHA-256 of its text, in hex. */
    hash: text().notNull(),
    /** Of its text, unpacked. */
    bytes: integer().notNull(),
  },
  table => [primaryKey({ columns: [table.name, table.version, table.file] })],
);

/** Texts of definition files as they were, each once, packed with zstd. */
export const definitionTexts = sqliteTable('definition_texts', {
  hash: text().primaryKey(),
  packed: blob({ mode: 'buffer' }).notNull(),
});
