import { Database } from 'bun:sqlite';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { packKernel } from '../../kernel/sealing.ts';
import { type Meta, openMeta } from '../../meta/meta.ts';
import {
  damageOf,
  forgetOldRows,
  hasOldRows,
  integrityOf,
  sqliteRows,
  sqliteStore,
  troubleOf,
} from '../../store/sqlite.ts';
import type { RowReader, Store } from '../../store/store.ts';

/** How long a connection waits for another of this process that writes: far longer than any barrier takes. */
const BUSY_MS = 30_000;

export interface OpenDatabase {
  db: Database;
  store: Store;
  meta: Meta;
  close(): void;
}

/** What becomes of a database that cannot be read, and of rows that an older version has written. */
export interface Unreadable {
  /** `replace` puts it aside and makes an empty one. */
  damaged: 'refuse' | 'replace';
  /** `replace` forgets them, for the log to make them anew. */
  old: 'refuse' | 'replace';
}

export const REFUSE: Unreadable = { damaged: 'refuse', old: 'refuse' };

/**
 * @param note hears what was replaced
 * @throws Fault `corrupt` or `unsupported` where nothing is to be replaced
 */
export function openDatabase(path: string, { damaged, old }: Unreadable, note: (text: string) => void): OpenDatabase {
  const db = openFile(path);
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    if (old === 'replace' && hasOldRows(db)) {
      const meta = openMeta(db);
      forgetOldRows(db, () => {
        meta.clearErrors();
        meta.clearLate();
      });
      note('the rows are of an older version: folding the log anew');
    }
    const store = sqliteStore(db, packKernel());
    const meta = guarded(openMeta(db), path);
    const [damage] = damaged === 'replace' ? integrityOf(db) : [];
    if (damage) throw new Fault('corrupt', `${path}: ${damage.message}`);
    const close = () => {
      store.close();
      db.close();
    };
    return { db, store, meta, close };
  } catch (error) {
    db.close();
    const damage = error instanceof Fault && error.code === 'corrupt' ? error : damageOf(error, path);
    if (!damage || damaged !== 'replace') throw damage ?? troubleOf(error, path) ?? error;
    note(`${damage.message}; it is put aside as ${path}.damaged`);
    putAside(path);
    return openDatabase(path, { damaged: 'refuse', old }, note);
  }
}

/** @throws Fault `config` where there is no file to be had at the path: a folder stands there, or rights are missing */
export function openFile(path: string): Database {
  try {
    return new Database(path, { create: true, readwrite: true, strict: true });
  } catch (error) {
    throw new Fault('config', `${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Of a database that the log knows nothing of. */
const FROM_BACKUP = 'nothing makes it anew: it has to come back from a backup';

/**
 * A database of what cannot be made anew, which several processes write: what is committed survives a power cut.
 *
 * @param open what is in it
 * @throws Fault `corrupt` (then and later) where the file is no database or a damaged one
 */
export function openShared<Of extends object>(path: string, open: (db: Database) => Of): { db: Database; meta: Of } {
  const db = openFile(path);
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    db.run('PRAGMA journal_mode = WAL');
    db.run('PRAGMA synchronous = FULL');
    return { db, meta: guarded(open(db), path, FROM_BACKUP) };
  } catch (error) {
    db.close();
    throw troubleOf(error, path, FROM_BACKUP) ?? error;
  }
}

/**
 * The position up to which rows contain the log after a power cut too; null where somebody reads or writes just now, and
 * one has to ask again. Commits alone may be lost then: what a checkpoint has brought into the database is synced.
 */
export function durablePosition({ db, store }: OpenDatabase): number | null {
  const { position } = store.mark();
  const { busy, log, checkpointed } = db
    .query<{ busy: number; log: number; checkpointed: number }, []>('PRAGMA wal_checkpoint(PASSIVE)')
    .get()!;
  return busy === 0 && log === checkpointed ? position : null;
}

/** Rows alone, for a thread that only reads them. */
export function openRows(path: string): { store: RowReader; close(): void } {
  const db = new Database(path, { readonly: true, strict: true });
  db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  const store = sqliteRows(db, packKernel());
  const close = () => {
    store.close();
    db.close();
  };
  return { store, close };
}

/**
 * Rows and names as they are at this moment, beside whoever goes on writing them: nothing is changed here, and nobody
 * waits for it. SQLite's write-ahead log keeps what is written meanwhile until it is closed.
 *
 * @throws Fault `unsupported` where an older version has written it, and nothing has opened it since
 */
export function openSnapshot(path: string): { store: RowReader; meta: Meta; close(): void } {
  const db = new Database(path, { readonly: true, strict: true });
  db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  const meta = openUnchanged(db, path);
  const store = sqliteRows(db, packKernel());
  db.run('BEGIN');
  // The moment is that of the first read.
  store.mark();
  const close = () => {
    store.close();
    db.close();
  };
  return { store, meta, close };
}

/** What is wrong with the file is a fault of it, whoever finds it. */
function guarded<Of extends object>(meta: Of, path: string, repair?: string): Of {
  const works = Object.entries(meta as Record<string, (...of: unknown[]) => unknown>).map(([name, work]) => [
    name,
    (...of: unknown[]) => {
      try {
        return work(...of);
      } catch (error) {
        throw troubleOf(error, path, repair) ?? error;
      }
    },
  ]);
  return Object.fromEntries(works) as Of;
}

/** Tables of an older version are not brought up to date here. */
function openUnchanged(db: Database, path: string): Meta {
  try {
    return guarded(openMeta(db), path);
  } catch (error) {
    db.close();
    const { cause } = error as { cause?: { code?: string } };
    if (cause?.code !== 'SQLITE_READONLY') throw troubleOf(error, path) ?? error;
    const message = `${path} was written by an older version: \`tilefold errors\`, or a server, brings it up to date`;
    throw new Fault('unsupported', message);
  }
}

/** Its write-ahead log goes first: one that were left would be read as that of the database which comes after. */
function putAside(path: string) {
  for (const suffix of ['-wal', '-shm', ''])
    if (existsSync(path + suffix)) renameSync(path + suffix, `${path}.damaged${suffix}`);
}

/** In one transaction that waits for its turn to write at once: one that first reads would be refused beside another that writes. */
export function writing<T>(db: Database, work: () => T): T {
  return db.transaction(work).immediate() as T;
}

/** What is committed within, and all that was committed before, survives a power cut when it returns. */
export function durably(db: Database, work: () => void): void {
  db.run('PRAGMA synchronous = FULL');
  try {
    writing(db, work);
  } finally {
    db.run('PRAGMA synchronous = NORMAL');
  }
}

/** With all that SQLite keeps beside it. */
export function removeDatabase(path: string) {
  for (const suffix of ['-wal', '-shm', '']) rmSync(path + suffix, { force: true });
}
