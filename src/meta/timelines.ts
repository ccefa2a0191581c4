import type { Database } from 'bun:sqlite';
import { and, asc, desc, eq, max } from 'drizzle-orm';
import { type BunSQLiteDatabase, drizzle } from 'drizzle-orm/bun-sqlite';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import type { Timeline, TimelineType } from '../base/timeline.ts';
import type { VersionName } from '../base/version.ts';
import { migrate } from './meta.ts';
import { timelineChunks, timelines, timelineTypes } from './schema.ts';

/** Raised where rows or chunks of older timelines no longer mean what they say. */
export const TIMELINE_FORMAT = 1;

/** Rows in one INSERT: well below SQLite's 32,766 parameters. */
const INSERT_ROWS_MAX = 1_000;

type Row = typeof timelines.$inferSelect;

/** A version of a timeline; without its chunks, which only a reader wants. */
export interface TimelineVersion extends Omit<Row, 'id'> {
  types: Omit<TimelineType, 'chunks'>[];
}

/**
 * What is known of timelines, in a database of their own: rows may be made anew from the log, timelines may not. Each
 * method is all or nothing.
 */
export interface TimelineMeta {
  /** All versions, by name and from the first on. Of a name without a version the latest that is ready is meant. */
  list(): TimelineVersion[];
  /** @throws Fault `not_found` */
  show(name: VersionName): TimelineVersion;
  /** @throws Fault `not_found`; `conflict` where it is not ready; `unsupported` where it is of another format */
  open(name: VersionName): Timeline;
  /** Begins the next version of a name; returns it. */
  begin(made: Pick<Row, 'name' | 'source' | 'createdAtMicros' | 'order' | 'clock' | 'maxJumpMs'>): number;
  finish(name: VersionName, types: TimelineType[]): void;
  fail(name: VersionName, error: string): void;
  /** Notes of each version that is being made that it was interrupted; how many there are. Only for who knows that nobody makes one. */
  interrupt(): number;
  /** Without a version, all of the name. Returns how many there were. */
  remove(name: VersionName): number;
  /** Chunks that some version has. */
  chunks(): Set<string>;
}

type Db = BunSQLiteDatabase<Record<string, never>>;

/** @throws Fault `unsupported` when a newer version of the program has been there */
export function openTimelineMeta(client: Database): TimelineMeta {
  migrate(client);
  const db: Db = drizzle(client);
  return {
    list: () =>
      db
        .select()
        .from(timelines)
        .orderBy(asc(timelines.name), asc(timelines.version))
        .all()
        .map(row => version(db, row)),
    show: name => version(db, find(db, name)),
    open: name => opened(db, name),
    begin: made => db.transaction(() => begin(db, made), { behavior: 'immediate' }),
    finish(name, types) {
      db.transaction(
        () => {
          const { id } = find(db, name);
          insertTypes(db, id, types);
          db.update(timelines).set({ state: 'ready' }).where(eq(timelines.id, id)).run();
        },
        { behavior: 'immediate' },
      );
    },
    fail(name, error) {
      const { id } = find(db, name);
      db.update(timelines).set({ state: 'error', error }).where(eq(timelines.id, id)).run();
    },
    interrupt() {
      const error = 'its making was interrupted: make it again';
      const all = eq(timelines.state, 'processing');
      return db.update(timelines).set({ state: 'error', error }).where(all).returning({ id: timelines.id }).all()
        .length;
    },
    remove: name => db.transaction(() => remove(db, name), { behavior: 'immediate' }),
    chunks: () =>
      new Set(
        db
          .selectDistinct({ hash: timelineChunks.hash })
          .from(timelineChunks)
          .all()
          .map(({ hash }) => hash),
      ),
  };
}

/** The latest that is ready, or where none is, the latest. */
function find(db: Db, { name, version }: VersionName): Row {
  const named = eq(timelines.name, name);
  const all = db.select().from(timelines).where(named).orderBy(desc(timelines.version)).all();
  const found =
    version === null
      ? (all.find(({ state }) => state === 'ready') ?? all[0])
      : all.find(row => row.version === version);
  if (found) return found;
  if (all.length > 0)
    throw new Fault('not_found', `timeline ${name} has no version ${version}; its latest is ${all[0]!.version}`);
  const known = db.selectDistinct({ name: timelines.name }).from(timelines).all();
  const near =
    didYouMean(
      name,
      known.map(row => row.name),
    ) || '; `tilefold timeline list` says which there are';
  throw new Fault('not_found', `there is no timeline ${name}${near}`);
}

function version(db: Db, { id, ...row }: Row): TimelineVersion {
  return { ...row, types: typesOf(db, id) };
}

function typesOf(db: Db, id: number): TimelineVersion['types'] {
  const rows = db
    .select()
    .from(timelineTypes)
    .where(eq(timelineTypes.timeline, id))
    .orderBy(asc(timelineTypes.type))
    .all();
  return rows.map(({ type, count, hash, placesHash, start, end }) => ({
    ...{ type, count, hash, placesHash },
    startMicros: BigInt(start),
    endMicros: BigInt(end),
  }));
}

function opened(db: Db, named: VersionName): Timeline {
  const { id, name, version, format, state, error, order, clock, maxJumpMs } = find(db, named);
  if (format < TIMELINE_FORMAT) throw new Fault('unsupported', oldText(name));
  if (format > TIMELINE_FORMAT)
    throw new Fault('unsupported', `timeline ${name}@${version} was made by a newer version of tilefold; use that one`);
  if (state !== 'ready')
    throw new Fault('conflict', `timeline ${name}@${version} is not ready: ${error ?? 'it is being made'}`);
  const chunks = db
    .select()
    .from(timelineChunks)
    .where(eq(timelineChunks.timeline, id))
    .orderBy(asc(timelineChunks.number))
    .all();
  const byType = Map.groupBy(chunks, ({ type }) => type);
  const types = typesOf(db, id).map(one => ({
    ...one,
    chunks: (byType.get(one.type) ?? []).map(({ hash, count }) => ({ hash, count })),
  }));
  return { name, version, order, clock: { kind: clock, maxJumpMs }, types };
}

/** In the words that its users know from elsewhere. */
function oldText(name: string): string {
  const how = `\`tilefold timeline create ${name}\` from the log or the files that it was made from saves it again`;
  return `timeline ${name} has not been initialized: it was saved in an older format, and ${how}`;
}

function begin(db: Db, made: Parameters<TimelineMeta['begin']>[0]): number {
  const last = db
    .select({ version: max(timelines.version) })
    .from(timelines)
    .where(eq(timelines.name, made.name))
    .get();
  const version = (last?.version ?? 0) + 1;
  db.insert(timelines)
    .values({ ...made, version, format: TIMELINE_FORMAT, state: 'processing' })
    .run();
  return version;
}

function insertTypes(db: Db, timeline: number, types: TimelineType[]): void {
  for (const { type, count, hash, placesHash, startMicros, endMicros, chunks } of types) {
    db.insert(timelineTypes)
      .values({ timeline, type, count, hash, placesHash, start: String(startMicros), end: String(endMicros) })
      .run();
    const rows = chunks.map((chunk, number) => ({ timeline, type, number, ...chunk }));
    for (let at = 0; at < rows.length; at += INSERT_ROWS_MAX)
      db.insert(timelineChunks)
        .values(rows.slice(at, at + INSERT_ROWS_MAX))
        .run();
  }
}

function remove(db: Db, { name, version }: VersionName): number {
  const named = and(eq(timelines.name, name), ...(version === null ? [] : [eq(timelines.version, version)]));
  const ids = db.select({ id: timelines.id }).from(timelines).where(named).all();
  for (const { id } of ids) {
    db.delete(timelineChunks).where(eq(timelineChunks.timeline, id)).run();
    db.delete(timelineTypes).where(eq(timelineTypes.timeline, id)).run();
    const gone = db.delete(timelines).where(eq(timelines.id, id)).returning({ id: timelines.id }).all();
    assert(gone.length === 1, `timeline ${name} was there a moment ago`);
  }
  return ids.length;
}
