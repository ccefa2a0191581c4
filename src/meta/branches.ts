import type { Database } from 'bun:sqlite';
import { createHash } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { and, asc, desc, eq, notInArray } from 'drizzle-orm';
import { type BunSQLiteDatabase, drizzle } from 'drizzle-orm/bun-sqlite';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { type VersionName, versionText } from '../base/version.ts';
import { migrate } from './meta.ts';
import { branches, branchFiles, branchVersions, definitionTexts } from './schema.ts';

/** A version of a branch; without what its files say. */
export interface BranchVersion extends Row {
  /** Ascending by path. */
  files: { file: string; hash: string; bytes: number }[];
}

/** A definition file of a branch: its path is relative to the folder that it was in. */
export interface BranchText {
  file: string;
  text: string;
}

/** What a version is made of; all else is given to it. */
export type NewVersion = Omit<Row, 'version' | 'hash'> & { texts: BranchText[] };

type Row = typeof branchVersions.$inferSelect;

/**
 * What is known of branches, and their definitions themselves: all in one database, so that a version is there as a whole or
 * not at all, whoever else writes and whatever dies. Each method is all or nothing; what was saved survives a power cut.
 */
export interface BranchMeta {
  /** All versions, by name and from the first on. Of a name without a version the latest is meant. */
  list(): BranchVersion[];
  /** @throws Fault `not_found` */
  show(name: VersionName): BranchVersion;
  /** @throws Fault `not_found`, `corrupt` where a text is not what was saved */
  texts(name: VersionName): BranchText[];
  /**
   * The next version of a branch, or the latest one where that has the same definitions.
   *
   * @param isOther a branch of the name may not be there yet
   * @throws Fault `conflict` where it is
   */
  save(version: NewVersion, isOther?: boolean): { version: BranchVersion; isNew: boolean };
  /** Without a version, all of the name. Returns how many there were. @throws Fault `not_found` */
  remove(name: VersionName): number;
  /** The branch that is meant where none is named. */
  selected(): string | null;
  /** Null for none. @throws Fault `not_found` */
  select(name: string | null): void;
}

type Db = BunSQLiteDatabase<Record<string, never>>;

/** @throws Fault `unsupported` when a newer version of the program has been there */
export function openBranchMeta(client: Database): BranchMeta {
  migrateBeside(client);
  const db: Db = drizzle(client);
  const alone = <T>(work: () => T): T => db.transaction(work, { behavior: 'immediate' });
  return {
    list: () => db.transaction(() => rowsOf(db).map(row => withFiles(db, row))),
    show: name => db.transaction(() => withFiles(db, find(db, name))),
    texts: name => db.transaction(() => textsOf(db, find(db, name))),
    save: (version, isOther = false) => alone(() => save(db, version, isOther)),
    remove: name => alone(() => remove(db, name)),
    selected: () => db.select().from(branches).where(eq(branches.isSelected, true)).get()?.name ?? null,
    select: name => alone(() => select(db, name)),
  };
}

/** Another process may have begun the same tables a moment ago: then they are there the second time. */
function migrateBeside(client: Database): void {
  try {
    migrate(client);
  } catch (error) {
    if (error instanceof Fault) throw error;
    migrate(client);
  }
}

function rowsOf(db: Db): Row[] {
  return db.select().from(branchVersions).orderBy(asc(branchVersions.name), asc(branchVersions.version)).all();
}

function find(db: Db, named: VersionName): Row {
  const { name, version } = named;
  const all = versionsOf(db, name);
  const found = version === null ? all[0] : all.find(row => row.version === version);
  if (found) return found;
  if (all.length > 0)
    throw new Fault('not_found', `branch ${name} has no version ${version}; its latest is ${all[0]!.version}`);
  const known = db.selectDistinct({ name: branchVersions.name }).from(branchVersions).all();
  const near =
    didYouMean(
      name,
      known.map(row => row.name),
    ) || '; `tilefold branch list` says which there are';
  throw new Fault('not_found', `there is no branch ${name}${near}`);
}

/** The latest first. */
function versionsOf(db: Db, name: string): Row[] {
  const named = eq(branchVersions.name, name);
  return db.select().from(branchVersions).where(named).orderBy(desc(branchVersions.version)).all();
}

function withFiles(db: Db, row: Row): BranchVersion {
  const { file, hash, bytes } = branchFiles;
  return { ...row, files: db.select({ file, hash, bytes }).from(branchFiles).where(filesOf(row)).orderBy(file).all() };
}

function filesOf({ name, version }: Pick<Row, 'name' | 'version'>) {
  return and(eq(branchFiles.name, name), eq(branchFiles.version, version));
}

function textsOf(db: Db, row: Row): BranchText[] {
  return withFiles(db, row).files.map(({ file, hash }) => {
    const kept = db.select().from(definitionTexts).where(eq(definitionTexts.hash, hash)).get();
    const text = kept && unpacked(kept.packed);
    if (text === undefined || text === null || hashOf(text) !== hash)
      throw new Fault('corrupt', `${file} of branch ${versionText(row)} is not what was saved; delete that version`);
    return { file, text };
  });
}

function unpacked(packed: Buffer): string | null {
  try {
    return zstdDecompressSync(packed).toString();
  } catch {
    return null;
  }
}

function save(db: Db, { texts, ...made }: NewVersion, isOther: boolean): { version: BranchVersion; isNew: boolean } {
  const { name, latenessMs, dialect } = made;
  const files = texts
    .map(({ file, text }) => ({ file, text, hash: hashOf(text), bytes: Buffer.byteLength(text) }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  const hash = hashOf(JSON.stringify([latenessMs, dialect, files.map(one => [one.file, one.hash])]));
  const [latest] = versionsOf(db, name);
  if (latest && isOther)
    throw new Fault('conflict', `there is a branch ${name}: \`tilefold branch save\` gives it another version`);
  if (latest?.hash === hash) return { version: withFiles(db, latest), isNew: false };
  const row = { ...made, version: nextVersion(db, name), hash };
  for (const { file, text, hash, bytes } of files) {
    const packed = zstdCompressSync(text);
    db.insert(definitionTexts).values({ hash, packed }).onConflictDoNothing().run();
    db.insert(branchFiles).values({ name, version: row.version, file, hash, bytes }).run();
  }
  db.insert(branchVersions).values(row).run();
  return { version: withFiles(db, row), isNew: true };
}

/** No number is given twice, not even where its version is gone. */
function nextVersion(db: Db, name: string): number {
  const last = db.select().from(branches).where(eq(branches.name, name)).get()?.version ?? 0;
  const set = { version: last + 1 };
  db.insert(branches)
    .values({ name, ...set })
    .onConflictDoUpdate({ target: branches.name, set })
    .run();
  return last + 1;
}

function remove(db: Db, named: VersionName): number {
  const { name, version } = named;
  find(db, named);
  const gone = versionsOf(db, name).filter(row => version === null || row.version === version);
  for (const row of gone) {
    db.delete(branchFiles).where(filesOf(row)).run();
    db.delete(branchVersions)
      .where(and(eq(branchVersions.name, name), eq(branchVersions.version, row.version)))
      .run();
  }
  db.delete(definitionTexts)
    .where(notInArray(definitionTexts.hash, db.select({ hash: branchFiles.hash }).from(branchFiles)))
    .run();
  if (versionsOf(db, name).length === 0)
    db.update(branches).set({ isSelected: false }).where(eq(branches.name, name)).run();
  return gone.length;
}

function select(db: Db, name: string | null): void {
  if (name !== null) find(db, { name, version: null });
  db.update(branches).set({ isSelected: false }).run();
  if (name !== null) db.update(branches).set({ isSelected: true }).where(eq(branches.name, name)).run();
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
