import type { Database } from 'bun:sqlite';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { TypeClock } from '../base/time.ts';
import type { Horizon, Mark, Row, Store } from './store.ts';

const VERSION = 3;

/** Read at a time by `scan`: many rows for one query, few bytes to hold. */
const SCAN_ROWS_MAX = 1_000;

/** Deleted by one sweep at most: what a lookup waits for, some ten milliseconds. */
export const SWEPT_ROWS_MAX = 10_000;

/** Pages of hot rows; what it does not hold, the machine's page cache does. */
const CACHE_BYTES = 64 << 20;

/**
 * Rows of one entity lie side by side in the tree that the table is, tiles in order: a range is one walk. The store
 * makes its tables itself, not the migrations of meta: every backend has its own, and drizzle cannot say WITHOUT ROWID.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS rows (
    entity INTEGER NOT NULL, key BLOB NOT NULL, level INTEGER NOT NULL, tile_start INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (entity, key, level, tile_start)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS rows_state (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, position INTEGER NOT NULL,
    clocks TEXT NOT NULL, highest TEXT NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO rows_state VALUES (1, ${VERSION}, 0, '{}', '[]');
  CREATE TABLE IF NOT EXISTS rows_swept (
    one INTEGER PRIMARY KEY CHECK (one = 1), entity INTEGER NOT NULL, key BLOB NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO rows_swept VALUES (1, 0, x'');
`;

type Key = Pick<Row, 'entity' | 'key'>;

/** Before all keys: the dictionary's numbers begin with 1. */
const START: Key = { entity: 0, key: new Uint8Array(0) };

type Address = [entity: number, key: Uint8Array, levelMs: number, tileStartMs: number];

/**
 * Rows in SQLite. The handle stays its opener's: others write to it alongside, and `close` leaves it open.
 *
 * With a write-ahead log and `synchronous = NORMAL` a commit does not wait for the disk. A power cut may take the
 * last commits away, in order and each whole; their events are still in the event log, which is synced before any
 * of it is folded, and `mark` says from where to fold again.
 *
 * @throws Fault `unsupported` when the rows were written by another version, `corrupt` (then and later) where the file
 *   is no database or a damaged one
 */
export function sqliteStore(db: Database): Store {
  try {
    return openStore(db);
  } catch (error) {
    throw damageOf(error, db.filename) ?? error;
  }
}

function openStore(db: Database): Store {
  db.run('PRAGMA journal_mode = WAL');
  db.run('PRAGMA synchronous = NORMAL');
  db.run(`PRAGMA cache_size = ${-CACHE_BYTES / 1024}`);
  checkVersion(db);
  db.transaction(() => db.run(TABLES))();

  const statements = {
    mark: db.prepare<{ position: number; clocks: string; highest: string }, []>(
      'SELECT position, clocks, highest FROM rows_state',
    ),
    setMark: db.prepare<null, [number, string, string]>('UPDATE rows_state SET position = ?, clocks = ?, highest = ?'),
    write: db.prepare<null, [...Address, Uint8Array]>('INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)'),
    readRange: db.prepare<{ tileStartMs: number; value: Uint8Array }, [...Address, number]>(
      `SELECT tile_start AS tileStartMs, value FROM rows
       WHERE entity = ? AND key = ? AND level = ? AND tile_start >= ? AND tile_start < ? ORDER BY tile_start`,
    ),
    readRow: db.prepare<{ value: Uint8Array }, Address>(
      'SELECT value FROM rows WHERE entity = ? AND key = ? AND level = ? AND tile_start = ?',
    ),
    scan: db.prepare<Row, [...Address, number]>(
      `SELECT entity, key, level AS levelMs, tile_start AS tileStartMs, value FROM rows
       WHERE (entity, key, level, tile_start) > (?, ?, ?, ?) ORDER BY entity, key, level, tile_start LIMIT ?`,
    ),
    clear: db.prepare('DELETE FROM rows'),
    swept: db.prepare<Key, []>('SELECT entity, key FROM rows_swept'),
    setSwept: db.prepare<null, [number, Uint8Array]>('UPDATE rows_swept SET entity = ?, key = ?'),
    nextKey: db.prepare<Key, [number, Uint8Array]>(
      'SELECT entity, key FROM rows WHERE (entity, key) > (?, ?) ORDER BY entity, key LIMIT 1',
    ),
    nextEntity: db.prepare<Key, [number]>('SELECT entity, key FROM rows WHERE entity > ? ORDER BY entity, key LIMIT 1'),
    /** Of the rows before the horizon the one behind so many; null where there are no more. */
    rest: db.prepare<{ tileStartMs: number }, [...Address, number]>(
      `SELECT tile_start AS tileStartMs FROM rows
       WHERE entity = ? AND key = ? AND level = ? AND tile_start < ? ORDER BY tile_start LIMIT 1 OFFSET ?`,
    ),
    expire: db.prepare<null, Address>('DELETE FROM rows WHERE entity = ? AND key = ? AND level = ? AND tile_start < ?'),
  };
  const mark = (): Mark => {
    const { position, clocks, highest } = statements.mark.get()!;
    return { position, clocks: clocksFrom(clocks), highest: JSON.parse(highest) as Mark['highest'] };
  };

  function commit(rows: Iterable<Row>, to: Mark, alongside: () => void): void {
    const { position } = mark();
    assert(to.position >= position, `rows up to ${to.position} after rows up to ${position}`);
    // In the order of the tree, neighbours share the pages they are written to.
    for (const { entity, key, levelMs, tileStartMs, value } of [...rows].sort(byAddress))
      statements.write.run(entity, key, levelMs, tileStartMs, value);
    statements.setMark.run(to.position, clocksText(to.clocks), JSON.stringify(to.highest));
    alongside();
  }
  const commitAtOnce = db.transaction(commit);
  const clearAtOnce = db.transaction((alongside: () => void) => {
    statements.clear.run();
    statements.setMark.run(0, '{}', '[]');
    alongside();
  });

  /** Deletes what has expired of one key, oldest first within a level, at most so many rows. */
  function sweepKey({ entity, key }: Key, horizons: Horizon[], rowsMax: number): number {
    let deleted = 0;
    for (const { levelMs, beforeMs } of horizons) {
      const rest = statements.rest.get(entity, key, levelMs, beforeMs, rowsMax - deleted);
      deleted += statements.expire.run(entity, key, levelMs, rest?.tileStartMs ?? beforeMs).changes;
    }
    return deleted;
  }

  /** From key to key, and within each only to what has expired: rows that stay are not looked at. */
  function sweep(horizons: Horizon[], keysMax: number): number {
    if (horizons.length === 0) return 0;
    const byEntity = Map.groupBy(horizons, ({ entity }) => entity);
    let deleted = 0;
    let at: Key | null = statements.swept.get()!;
    for (let n = 0; n < keysMax && at && deleted < SWEPT_ROWS_MAX; n++) {
      const isSwept: boolean = byEntity.has(at.entity) || at.entity === START.entity;
      at = isSwept ? statements.nextKey.get(at.entity, at.key) : statements.nextEntity.get(at.entity);
      if (at) deleted += sweepKey(at, byEntity.get(at.entity) ?? [], SWEPT_ROWS_MAX - deleted);
    }
    const { entity, key } = at ?? START;
    statements.setSwept.run(entity, key);
    return deleted;
  }

  const guard = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw damageOf(error, db.filename) ?? error;
    }
  };

  return {
    mark: () => guard(mark),
    commit: (rows, to, alongside = () => {}) => guard(() => commitAtOnce.immediate(rows, to, alongside)),
    readRange: (entity, key, levelMs, fromMs, toMs) =>
      guard(() => statements.readRange.all(entity, key, levelMs, fromMs, toMs)).map(({ tileStartMs, value }) => {
        return { entity, key, levelMs, tileStartMs, value };
      }),
    readRow: (entity, key, levelMs, tileStartMs) =>
      guard(() => statements.readRow.get(entity, key, levelMs, tileStartMs))?.value ?? null,
    *scan() {
      // Page by page, so that no statement stays open over commits.
      let last: Address = [Number.MIN_SAFE_INTEGER, new Uint8Array(0), 0, 0];
      for (;;) {
        const rows = guard(() => statements.scan.all(...last, SCAN_ROWS_MAX));
        yield* rows;
        if (rows.length < SCAN_ROWS_MAX) return;
        const { entity, key, levelMs, tileStartMs } = rows.at(-1)!;
        last = [entity, key, levelMs, tileStartMs];
      }
    },
    sweep: (horizons, keysMax) => guard(() => sweep(horizons, keysMax)),
    clear: (alongside = () => {}) => guard(() => clearAtOnce.immediate(alongside)),
    close() {
      for (const statement of Object.values(statements)) statement.finalize();
    },
  };
}

/** The repair that every message of damage names. */
const REPAIR = '`tilefold rebuild --from-log` makes it anew';

/** SQLite's error as a fault of the file; null where it is another error. */
export function damageOf(error: unknown, file: string): Fault | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code)) return null;
  return new Fault('corrupt', `${file}: ${(error as Error).message}; ${REPAIR}`);
}

/** So many damages are told: one is enough to make the database anew. */
const DAMAGES_MAX = 20;

/** What SQLite itself finds wrong with a database, page by page, with the byte that the page starts at. */
export function integrityOf(db: Database): { offset: number | null; message: string }[] {
  const damages: { offset: number | null; message: string }[] = [];
  try {
    const { page_size } = db.query<{ page_size: number }, []>('PRAGMA page_size').get()!;
    const place = (message: string) => {
      const page = /\b[Pp]age (\d+)/.exec(message)?.[1];
      return { offset: page === undefined ? null : (Number(page) - 1) * page_size, message };
    };
    const lines = db.query<{ integrity_check: string }, []>(`PRAGMA integrity_check(${DAMAGES_MAX})`);
    // Row by row: it may find something, and then not be able to go on.
    for (const { integrity_check } of lines.iterate())
      for (const line of integrity_check.split('\n'))
        if (line !== 'ok' && !line.startsWith('*** in database')) damages.push(place(line));
  } catch (error) {
    const damage = damageOf(error, db.filename);
    if (!damage) throw error;
    damages.push({ offset: null, message: damage.message });
  }
  return damages;
}

/** For each type its clock, since when it is known, and the jumps; as text, for they need more digits than a JSON number keeps. */
function clocksText(clocks: Map<string, TypeClock>): string {
  const texts = [...clocks].map(([type, { at, since, jumps }]) => [type, [at, since, ...jumps].map(String)]);
  return JSON.stringify(Object.fromEntries(texts));
}

function clocksFrom(text: string): Map<string, TypeClock> {
  const texts = Object.entries(JSON.parse(text) as Record<string, [string, string, ...string[]]>);
  return new Map(
    texts.map(([type, [at, since, ...jumps]]) => [
      type,
      { at: BigInt(at), since: BigInt(since), jumps: jumps.map(BigInt) },
    ]),
  );
}

function checkVersion(db: Database): void {
  const made = db.query("SELECT 1 FROM sqlite_schema WHERE name = 'rows_state'").get();
  if (!made) return;
  const { version } = db.query<{ version: number }, []>('SELECT version FROM rows_state').get()!;
  if (version !== VERSION)
    throw new Fault('unsupported', `rows of version ${version} in the database; this program reads version ${VERSION}`);
}

/** The order of scans. */
export function byAddress(a: Row, b: Row): number {
  return a.entity - b.entity || Buffer.compare(a.key, b.key) || a.levelMs - b.levelMs || a.tileStartMs - b.tileStartMs;
}
