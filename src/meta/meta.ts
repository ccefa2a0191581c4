import type { Database } from 'bun:sqlite';
import { and, asc, desc, eq, gt, lt, lte, max, sql } from 'drizzle-orm';
import { type BunSQLiteDatabase, drizzle } from 'drizzle-orm/bun-sqlite';
import { SQLiteBunSession } from 'drizzle-orm/bun-sqlite/session';
import { SQLiteSyncDialect } from 'drizzle-orm/sqlite-core';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { mergeRefusals, type Refusals } from '../base/refusal.ts';
import { formatMicros } from '../base/time.ts';
import { migrations } from './migrations.ts';
import { backfills, dictionary, errors, late, plans, runs } from './schema.ts';

/** Older ones go: whoever has more bad events than this needs the count and some samples, not all of them. */
export const ERRORS_KEPT_MAX = 100_000;

/** Of an offending event's text, in UTF-16 units: enough to recognise it. */
export const ERROR_SAMPLE_MAX = 512;

/** Rows in one INSERT: well below SQLite's 32,766 parameters. */
const INSERT_ROWS_MAX = 1_000;

/** An aggregate's number is an int32 in rows. */
const DICTIONARY_ID_MAX = 2 ** 31 - 1;

export interface DictionaryEntry {
  kind: 'entity' | 'aggregate';
  name: string;
  hash: string;
}

export type AppliedPlan = typeof plans.$inferSelect;
export type Backfilled = typeof backfills.$inferSelect;
export type NewBackfill = typeof backfills.$inferInsert;
export type Run = typeof runs.$inferSelect;
export type ErrorRow = typeof errors.$inferSelect;
export type NewError = Omit<ErrorRow, 'id' | 'time'> & { timeMicros: bigint | null };

/** What the tiles of one length of an aggregate have refused. */
export interface LateRow extends Refusals {
  aggregate: string;
  /** The event type. */
  event: string;
  levelMs: number;
}

export interface ErrorsPage {
  /** The `id` of the last error of the page before; null or -1 for the first page. */
  after?: number | null;
  limit: number;
  /** Only those of this event type. */
  type?: string | null;
  /** `oldest` first (the default) or `newest` first. */
  order?: 'oldest' | 'newest';
}

/**
 * What is known besides rows: in the same database, on the same connection, so that it commits together with them.
 * Each method is all or nothing; called within a transaction, it is part of that.
 */
export interface Meta {
  /** Numbers from 1 up, for each kind, in the order of the entries; the same entry always has the same one. */
  dictionary(entries: DictionaryEntry[]): number[];
  /** All that have one. */
  numbers(): (DictionaryEntry & { id: number })[];
  /** Numbers that nothing has had, in the order of the entries, for what begins anew though it may have been there before. */
  number(entries: DictionaryEntry[]): number[];
  /** What has a number is called otherwise from now on. */
  rename(kind: DictionaryEntry['kind'], id: number, name: string): void;
  /** The plan in force, or null before the first. */
  currentPlan(): AppliedPlan | null;
  /** Returns its id. `position` is that of the first record which it applies to. */
  recordPlan(plan: Omit<AppliedPlan, 'id'>): number;
  /** The same plan in other words: what decides values is as it was. */
  rewordPlan(id: number, json: string): void;
  /** All that have been in force since the rows began, the first one first. */
  plans(): AppliedPlan[];
  /** What is to come into force, when it is computed from the log or its windows are whole; or null. */
  backfill(): Backfilled | null;
  beginBackfill(backfill: NewBackfill): void;
  /** Of the one that there is. */
  progressBackfill(progress: string): void;
  /** Gives up the one that there is: it is not to come into force, and what rows have of it is to go. */
  abortBackfill(): void;
  endBackfill(): void;
  /** Long samples are cut. Beyond `ERRORS_KEPT_MAX` the oldest errors are forgotten. */
  addErrors(rows: NewError[]): void;
  /** At most `limit` errors. */
  errors(page: ErrorsPage): ErrorRow[];
  /** Forgets all errors: those of other definitions say nothing of these. Ids go on from where they were. */
  clearErrors(): void;
  /** How many there have been, with those that are no longer kept. */
  errorCount(): number;
  /** Adds to what is known of the same aggregates and levels: of each event once. */
  addLate(rows: LateRow[]): void;
  /** By aggregate and level. */
  late(): LateRow[];
  /** Forgets them, as rows are forgotten that are to be folded anew. */
  clearLate(): void;
  /** Returns its id. */
  startRun(run: Pick<Run, 'kind' | 'startedAtMicros' | 'detail'>): number;
  finishRun(id: number, end: { state: 'done' | 'failed'; finishedAtMicros: bigint; detail: Run['detail'] }): void;
  /** Newest first. */
  runs(limit: number): Run[];
}

type Db = BunSQLiteDatabase<Record<string, never>>;

/**
 * Brings the database's tables up to date.
 *
 * @throws Fault `unsupported` when a newer version of the program has been there
 */
export function openMeta(client: Database): Meta {
  migrate(client);
  const db: Db = drizzle(client);
  return {
    dictionary: entries => db.transaction(() => entries.map(entry => dictionaryId(db, entry))),
    numbers: () => db.select().from(dictionary).all(),
    number: entries => db.transaction(() => entries.map(entry => nextId(db, entry))),
    rename(kind, id, name) {
      db.update(dictionary)
        .set({ name })
        .where(and(eq(dictionary.kind, kind), eq(dictionary.id, id)))
        .run();
    },
    currentPlan: () => db.select().from(plans).orderBy(desc(plans.id)).limit(1).get() ?? null,
    plans: () => plansSinceStart(db),
    recordPlan: plan => db.transaction(() => recordPlan(db, plan)),
    rewordPlan(id, json) {
      db.update(plans).set({ json }).where(eq(plans.id, id)).run();
    },
    backfill: () => db.select().from(backfills).get() ?? null,
    beginBackfill(backfill) {
      db.insert(backfills).values(backfill).run();
    },
    progressBackfill(progress) {
      db.update(backfills).set({ progress }).run();
    },
    abortBackfill() {
      db.update(backfills).set({ isAborted: true }).run();
    },
    endBackfill() {
      db.delete(backfills).run();
    },
    addErrors: rows => db.transaction(() => addErrors(db, rows)),
    errors: page => errorsPage(db, page),
    clearErrors() {
      db.delete(errors).run();
    },
    errorCount: () => errorCount(db),
    addLate(rows) {
      db.transaction(() => {
        for (const row of rows) addLate(db, row);
      });
    },
    late: () => db.select().from(late).orderBy(asc(late.aggregate), asc(late.levelMs)).all().map(lateRow),
    clearLate() {
      db.delete(late).run();
    },
    startRun(run) {
      return db
        .insert(runs)
        .values({ ...run, state: 'running' })
        .returning({ id: runs.id })
        .get().id;
    },
    finishRun(id, end) {
      const ended = db.update(runs).set(end).where(eq(runs.id, id)).returning({ id: runs.id }).all();
      assert(ended.length === 1, `there is no run ${id} to finish`);
    },
    runs: limit => db.select().from(runs).orderBy(desc(runs.id)).limit(limit).all(),
  };
}

/** Brings tables up to date. @throws Fault `unsupported` when a newer version of the program has been there */
export function migrate(client: Database): void {
  const dialect = new SQLiteSyncDialect();
  const session = new SQLiteBunSession(client, dialect, undefined);
  dialect.migrate(migrations, session);
  const [applied] = session.values<[number]>(sql`SELECT max(created_at) FROM __drizzle_migrations`);
  if (Number(applied?.[0]) > migrations.at(-1)!.folderMillis)
    throw new Fault('unsupported', 'the database was written by a newer version of tilefold; use that one');
}

function dictionaryId(db: Db, entry: DictionaryEntry): number {
  const { kind, name, hash } = entry;
  const same = and(eq(dictionary.kind, kind), eq(dictionary.name, name), eq(dictionary.hash, hash));
  const known = db
    .select({ id: max(dictionary.id) })
    .from(dictionary)
    .where(same)
    .get();
  return known?.id ?? nextId(db, entry);
}

function nextId(db: Db, { kind, name, hash }: DictionaryEntry): number {
  const ofKind = eq(dictionary.kind, kind);
  const last =
    db
      .select({ id: max(dictionary.id) })
      .from(dictionary)
      .where(ofKind)
      .get()?.id ?? 0;
  if (last >= DICTIONARY_ID_MAX) throw new Fault('too_large', `the dictionary is full: ${last} definitions of ${kind}`);
  db.insert(dictionary)
    .values({ kind, id: last + 1, name, hash })
    .run();
  return last + 1;
}

function recordPlan(db: Db, plan: Omit<AppliedPlan, 'id'>): number {
  return db.insert(plans).values(plan).returning({ id: plans.id }).get().id;
}

/** The plan that the rows began with says nothing of `rowsFrom`, those after it do. */
function plansSinceStart(db: Db): AppliedPlan[] {
  const all = db.select().from(plans).orderBy(asc(plans.id)).all();
  return all.slice(
    Math.max(
      0,
      all.findLastIndex(({ rowsFrom }) => rowsFrom === null),
    ),
  );
}

function addErrors(db: Db, rows: NewError[]): void {
  const values = rows.map(({ timeMicros, ...row }) => ({
    ...row,
    time: timeMicros === null ? null : formatMicros(timeMicros),
    sample: row.sample.slice(0, ERROR_SAMPLE_MAX),
  }));
  for (let at = 0; at < values.length; at += INSERT_ROWS_MAX)
    db.insert(errors)
      .values(values.slice(at, at + INSERT_ROWS_MAX))
      .run();
  // Ids have no gaps, so this looks at nothing but what it deletes.
  db.delete(errors)
    .where(lte(errors.id, errorCount(db) - ERRORS_KEPT_MAX))
    .run();
}

/** Ids count from 1 without gaps, and the newest error is always kept. */
function errorCount(db: Db): number {
  return (
    db
      .select({ id: max(errors.id) })
      .from(errors)
      .get()?.id ?? 0
  );
}

function errorsPage(db: Db, { after, limit, type = null, order = 'oldest' }: ErrorsPage): ErrorRow[] {
  const isFirst = after === undefined || after === null || after < 0;
  const beyond = isFirst ? undefined : order === 'oldest' ? gt(errors.id, after) : lt(errors.id, after);
  const by = order === 'oldest' ? asc(errors.id) : desc(errors.id);
  const ofType = type === null ? undefined : eq(errors.type, type);
  return db.select().from(errors).where(and(beyond, ofType)).orderBy(by).limit(limit).all();
}

function addLate(db: Db, row: LateRow): void {
  const { aggregate, event, levelMs } = row;
  const place = and(eq(late.aggregate, aggregate), eq(late.event, event), eq(late.levelMs, levelMs));
  const before = db.select().from(late).where(place).get();
  const { count, first, latest } = before ? mergeRefusals(lateRow(before), row) : row;
  const values = { aggregate, event, levelMs, count, first: [first], latest };
  db.insert(late)
    .values(values)
    .onConflictDoUpdate({ target: [late.aggregate, late.event, late.levelMs], set: values })
    .run();
}

function lateRow({ first, ...row }: typeof late.$inferSelect): LateRow {
  return { ...row, first: first[0]! };
}
