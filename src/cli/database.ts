import { Database } from 'bun:sqlite';
import { existsSync, renameSync } from 'node:fs';
import { Fault } from '../base/fault.ts';
import { type Meta, openMeta } from '../meta/meta.ts';
import { damageOf, integrityOf, sqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';

/** How long a connection waits for another of this process that writes: far longer than any barrier takes. */
const BUSY_MS = 30_000;

export interface OpenDatabase {
  db: Database;
  store: Store;
  meta: Meta;
  close(): void;
}

/**
 * @param note hears that a damaged database was put aside for an empty one; null leaves it as it is
 * @throws Fault `corrupt`
 */
export function openDatabase(path: string, note: ((text: string) => void) | null): OpenDatabase {
  const db = new Database(path, { create: true, readwrite: true, strict: true });
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    const store = sqliteStore(db);
    const meta = openMeta(db);
    const [damage] = note ? integrityOf(db) : [];
    if (damage) throw new Fault('corrupt', `${path}: ${damage.message}`);
    const close = () => {
      store.close();
      db.close();
    };
    return { db, store, meta, close };
  } catch (error) {
    db.close();
    const damage = error instanceof Fault && error.code === 'corrupt' ? error : damageOf(error, path);
    if (!damage || !note) throw damage ?? error;
    note(`${damage.message}; it is put aside as ${path}.damaged`);
    putAside(path);
    return openDatabase(path, null);
  }
}

/** Rows alone, for a thread that only reads them. */
export function openRows(path: string): Pick<OpenDatabase, 'store' | 'close'> {
  const db = new Database(path, { readwrite: true, strict: true });
  db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  const store = sqliteStore(db);
  const close = () => {
    store.close();
    db.close();
  };
  return { store, close };
}

/** Its write-ahead log goes first: one that were left would be read as that of the database which comes after. */
function putAside(path: string) {
  for (const suffix of ['-wal', '-shm', ''])
    if (existsSync(path + suffix)) renameSync(path + suffix, `${path}.damaged${suffix}`);
}
