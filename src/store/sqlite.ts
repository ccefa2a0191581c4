import type { Database } from 'bun:sqlite';
import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { TypeClock } from '../base/time.ts';
import type { TileRange } from '../plan/window.ts';
import {
  addressOf,
  addressSizeMax,
  entityAt,
  entityStart,
  keyAt,
  keyEnd,
  levelAt,
  tileStartAt,
  writeAddress,
} from './address.ts';
import { runOf } from './batch.ts';
import { RunsAhead } from './ahead.ts';
import { Cursor, RunCursor } from './cursor.ts';
import {
  type ChangePack,
  isSettled,
  type Levels,
  levelsFrom,
  levelsOf,
  levelsText,
  openLevels,
  runsOf,
} from './levels.ts';
import { changeRows, filterRows, PackDamage, type PackKernel, PackWalk } from './pack.ts';
import { BASE, END, openPacks, type Packs, REPAIR } from './packs.ts';
import type {
  Horizon,
  Mark,
  RewritePlace,
  Row,
  RowAddress,
  RowReader,
  Rows,
  Store,
  TakeRow,
  TakeWanted,
} from './store.ts';

/** Of how rows lie in the database. */
const VERSION = 8;

/** Of these no run has addends, and up to the one before this one no pack is sealed by a kernel: they are taken as they are. */
const VERSION_WHOLE = 6;

/** Its packs are not compressed, and all of them are the base: they are taken as they are. Of what is older the log makes new ones. */
const VERSION_OLDEST = 5;

/** Deleted by one sweep at most: what a lookup waits for, some ten milliseconds. */
export const SWEPT_ROWS_MAX = 10_000;

/** Looked through by one call of `rewrite`: some milliseconds, a few more where all of them change. */
const REWRITTEN_PACKS = 48;

/** A scan takes so many rows at a time, so that no statement stays open over commits. */
const SCANNED_ROWS = 256;

/** Four packs or so, so that little of a page stays empty; only a new database takes it. */
const PAGE_BYTES = 8192;

/** A barrier goes through packs in order, and comes by a page once: what this does not hold, the machine's page cache does. */
const CACHE_BYTES = 16 << 20;

/** Of each reader beside the one that writes: what it reads again stays in the kernels' memory. */
const READER_CACHE_BYTES = 16 << 20;

/**
 * Pages that the write-ahead log gathers before they go to their places, once for however many commits have changed
 * them: its file grows to 64 MiB.
 */
const CHECKPOINT_PAGES = 8192;

/**
 * Rows lie in packs (packs.ts), each with the CRC-32 of its bytes: SQLite has no checksums of its own. The store makes its
 * tables itself, not the migrations of meta: every backend has its own.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS packs (
    id INTEGER PRIMARY KEY, first BLOB NOT NULL UNIQUE, crc INTEGER NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO packs (first, crc, bytes) VALUES (x'', 0, x'');
  CREATE TABLE IF NOT EXISTS rows_state (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, position INTEGER NOT NULL,
    clocks TEXT NOT NULL, highest TEXT NOT NULL, levels TEXT NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO rows_state VALUES (1, ${VERSION}, 0, '{}', '[]', '${levelsText(levelsOf(0))}');
  CREATE TABLE IF NOT EXISTS rows_swept (
    one INTEGER PRIMARY KEY CHECK (one = 1), entity INTEGER NOT NULL, key BLOB NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO rows_swept VALUES (1, 0, x'');
`;

type Key = Pick<Row, 'entity' | 'key'>;

/** Before all keys: the dictionary's numbers begin with 1. */
const START: Key = { entity: 0, key: new Uint8Array(0) };

/**
 * Rows in SQLite. The handle stays its opener's: others write to it alongside, and `close` leaves it open.
 *
 * With a write-ahead log and `synchronous = NORMAL` a commit does not wait for the disk. A power cut may take the
 * last commits away, in order and each whole; their events are still in the event log, which is synced before any
 * of it is folded, and `mark` says from where to fold again.
 *
 * @param kernel knows what rows are (`packKernel` of kernel/sealing.ts)
 * @throws Fault `unsupported` when the rows were written by another version, `corrupt` (then and later) where the file
 *   is no database or a damaged one
 */
export function sqliteStore(db: Database, kernel: PackKernel): Store {
  return guarded(db, () => openStore(db, kernel));
}

/** What readers need of it, over a handle of their own, which may be a read-only one. Faults are those of `sqliteStore`. */
export function sqliteRows(db: Database, kernel: PackKernel): RowReader {
  return guarded(db, () => {
    db.run(`PRAGMA cache_size = ${-READER_CACHE_BYTES / 1024}`);
    checkVersion(db);
    return readerOver(db, openPacks(db, kernel), snapshots(db), kernel);
  });
}

/**
 * Lets work that reads several packs see them as they are at one moment, beside others that commit: what they move from run to
 * run would be seen twice, or not at all. And each pack by itself would take twice as long, for SQLite asks the file's lock and its
 * log for each statement: 7 us a pack, 3 us within a transaction, where one statement for 64 of them takes 4.
 */
function snapshots(db: Database): Guard {
  return work => {
    if (db.inTransaction) return work();
    db.run('BEGIN');
    try {
      return work();
    } finally {
      // Where its files cannot be read SQLite has ended the transaction itself, and what went wrong is on its way.
      if (db.inTransaction) db.run('COMMIT');
    }
  };
}

/** Does some work on the database. */
type Guard = <T>(work: () => T) => T;

function guarded<T>(db: Database, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw troubleOf(error, db.filename) ?? error;
  }
}

function openStore(db: Database, kernel: PackKernel): Store {
  db.run(`PRAGMA page_size = ${PAGE_BYTES}`);
  db.run('PRAGMA journal_mode = WAL');
  db.run('PRAGMA synchronous = NORMAL');
  db.run(`PRAGMA cache_size = ${-CACHE_BYTES / 1024}`);
  db.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  checkVersion(db);
  // At once: one that had to wait in the middle, for another that writes, would be refused instead.
  db.transaction(() => {
    bringUpToDate(db);
    db.run(TABLES);
  }).immediate();

  const packs = openPacks(db, kernel);
  const reader = readerOver(db, packs, snapshots(db), kernel);
  const levelsIn = openLevelsText(db);
  const writer = openLevels(db, packs, kernel);
  const statements = {
    setMark: db.prepare<null, [number, string, string]>('UPDATE rows_state SET position = ?, clocks = ?, highest = ?'),
    setLevels: db.prepare<null, [string]>('UPDATE rows_state SET levels = ?'),
    swept: db.prepare<Key, []>('SELECT entity, key FROM rows_swept'),
    setSwept: db.prepare<null, [number, Uint8Array]>('UPDATE rows_swept SET entity = ?, key = ?'),
  };

  function changing(change: (levels: Levels) => void): void {
    const { levels } = levelsIn.read();
    change(levels);
    statements.setLevels.run(levelsText(levels));
  }

  function commit(rows: Rows, to: Mark, alongside: () => void): void {
    const { position } = reader.mark();
    assert(to.position >= position, `rows up to ${to.position} after rows up to ${position}`);
    changing(levels => writer.add(levels, 'runs' in rows ? rows : { runs: [runOf(rows)], sealed: [], isBulk: false }));
    statements.setMark.run(to.position, clocksText(to.clocks), JSON.stringify(to.highest));
    alongside();
  }
  const commitAtOnce = db.transaction(commit);
  const clearAtOnce = db.transaction((alongside: () => void) => {
    writer.clear();
    statements.setLevels.run(levelsText(levelsOf(0)));
    statements.setMark.run(0, '{}', '[]');
    alongside();
  });

  /** From key to key, as many as are asked for; what has expired of them is then dropped from every pack at once. */
  function sweep(horizons: Horizon[], keysMax: number): number {
    if (horizons.length === 0) return 0;
    const expiry = expiryOf(horizons);
    const cursor = new Cursor(cursorsOf(packs, runsOf(levelsIn.read().levels)), kernel.addUp);
    const swept = statements.swept.get()!;
    const from = nextSwept(swept, expiry);
    let [at, end, deleted]: [Key | null, Uint8Array, number] = [swept, from, 0];
    for (let n = 0; n < keysMax && at && deleted < SWEPT_ROWS_MAX; n++) {
      const start = nextSwept(at, expiry);
      cursor.seek(start, 0, start.length);
      at = cursor.isThere ? keyOf(cursor.walk) : null;
      if (!at) break;
      end = keyEnd(at.entity, at.key);
      for (; cursor.isThere && cursor.walk.isBelow(end, 0, end.length); cursor.next()) {
        if (!expiry.hasExpired(cursor.walk)) continue;
        // Behind the last one that may go now.
        if (++deleted === SWEPT_ROWS_MAX) end = behind(cursor.walk);
      }
    }
    if (deleted > 0) changing(levels => writer.changeRange(levels, from, end, expiry.drop(from, end)));
    const { entity, key } = at ?? START;
    statements.setSwept.run(entity, key);
    return deleted;
  }

  /** What tails have of some packs of the base goes into these, and there is changed: older rows would come out from under it. */
  function rewrite(from: RewritePlace | null, change: (value: Uint8Array) => Uint8Array | null): RewritePlace | null {
    const start = from ?? START.key;
    let end: Uint8Array | null = start;
    for (let n = 0; n < REWRITTEN_PACKS && end; n++) end = packs.at(BASE, end).next;
    changing(levels => {
      writer.settleRange(levels, start, end ?? END);
      writer.changeRange(levels, start, end ?? END, (pack, out) => changeRows(pack, start, end ?? END, change, out));
    });
    return end;
  }
  const rewriteAtOnce = db.transaction(rewrite);

  return {
    ...reader,
    isSettled: () => guarded(db, () => isSettled(levelsIn.read().levels)),
    commit: (rows, to, alongside = () => {}) => guarded(db, () => commitAtOnce.immediate(rows, to, alongside)),
    sweep: (horizons, keysMax) => guarded(db, () => sweep(horizons, keysMax)),
    rewrite: (from, change) => guarded(db, () => rewriteAtOnce.immediate(from, change)),
    clear: (alongside = () => {}) => guarded(db, () => clearAtOnce.immediate(alongside)),
    close() {
      for (const statement of Object.values(statements)) statement.finalize();
      levelsIn.close();
      writer.close();
      reader.close();
    },
  };
}

/** Reads what the runs are, and the position up to which they are, each time: others may have changed them. */
interface LevelsText {
  read(): { levels: Levels; position: number };
  close(): void;
}

function openLevelsText(db: Database): LevelsText {
  const statement = db.prepare<{ levels: string; position: number }, []>('SELECT levels, position FROM rows_state');
  return {
    read() {
      const { levels, position } = statement.get()!;
      return { levels: levelsFrom(levels), position };
    },
    close: () => statement.finalize(),
  };
}

function readerOver(db: Database, packs: Packs, atOnce: Guard, kernel: PackKernel): RowReader {
  const markStatement = db.prepare<{ position: number; clocks: string; highest: string }, []>(
    'SELECT position, clocks, highest FROM rows_state',
  );
  const ahead = new RunsAhead(() => guarded(db, mark).position, kernel);
  let levelsIn: LevelsText | null = null;
  const [low, high] = [new Scratch(), new Scratch()];
  const wanted = new PackWalk();
  const reading = <T>(work: () => T) => guarded(db, () => atOnce(work));

  /** Whoever opens the database to write may bring it up to date meanwhile. */
  function rows(): Cursor {
    if (!levelsIn && (versionOf(db) ?? 0) >= VERSION_WHOLE) levelsIn = openLevelsText(db);
    const { levels, position } = levelsIn?.read() ?? { levels: null, position: mark().position };
    return new Cursor(
      [...ahead.cursors(position), ...cursorsOf(packs, levels ? runsOf(levels) : [BASE])],
      kernel.addUp,
    );
  }

  function mark(): Mark {
    const { position, clocks, highest } = markStatement.get()!;
    return { position, clocks: clocksFrom(clocks), highest: JSON.parse(highest) as Mark['highest'] };
  }

  /** Range by range: mostly all of a key lies in one pack of each run, and one walk finds it. */
  function readKey(entity: number, key: Uint8Array, ranges: TileRange[], take: TakeRow): void {
    const cursor = rows();
    for (const { levelMs, fromMs, toMs } of ranges) {
      low.set(entity, key, levelMs, fromMs);
      high.set(entity, key, levelMs, toMs);
      for (cursor.seek(low.bytes, 0, low.length); cursor.isThere; cursor.next()) {
        const { walk } = cursor;
        if (!walk.isBelow(high.bytes, 0, high.length)) break;
        const { bytes, valueStart, end } = cursor.row();
        take(levelMs, tileStartAt(walk.address, walk.length), bytes, valueStart, end);
      }
    }
  }

  function readRange(entity: number, key: Uint8Array, range: TileRange): Row[] {
    const found: Row[] = [];
    readKey(entity, key, [range], (levelMs, tileStartMs, bytes, start, end) => {
      found.push({ entity, key, levelMs, tileStartMs, value: bytes.slice(start, end) });
    });
    return found;
  }

  /** Addresses ascend, so each pack that has one of them is read once. */
  function readRows(addresses: Uint8Array, take: TakeWanted): void {
    const cursor = rows();
    wanted.open(addresses);
    for (let index = 0; wanted.next(); index++) {
      const found = cursor.find(wanted.address, 0, wanted.length);
      if (found) take(index, found.bytes, found.valueStart, found.end);
    }
  }

  function* scan(after?: RowAddress): Generator<Row> {
    let from: Uint8Array | null = after
      ? behindAddress(addressOf(after.entity, after.key, after.levelMs, after.tileStartMs))
      : START.key;
    while (from) {
      const start: Uint8Array = from;
      const found: Row[] = reading(() => rowsFrom(rows(), start));
      yield* found;
      const last = found.length < SCANNED_ROWS ? null : found.at(-1)!;
      from = last && behindAddress(addressOf(last.entity, last.key, last.levelMs, last.tileStartMs));
    }
  }

  return {
    ahead,
    mark: () => guarded(db, mark),
    readKey: (entity, key, ranges, take) => reading(() => readKey(entity, key, ranges, take)),
    readRange: (entity, key, levelMs, fromMs, toMs) => reading(() => readRange(entity, key, { levelMs, fromMs, toMs })),
    readRows: (addresses, take) => reading(() => readRows(addresses, take)),
    scan,
    close() {
      markStatement.finalize();
      levelsIn?.close();
      packs.close();
    },
  };
}

function cursorsOf(packs: Packs, runs: number[]): RunCursor[] {
  return runs.map(run => new RunCursor(packs, run));
}

/** An address that is written again and again. */
class Scratch {
  bytes = new Uint8Array(256);
  length = 0;

  set(entity: number, key: Uint8Array, levelMs: number, tileStartMs: number): void {
    if (this.bytes.length < addressSizeMax(key)) this.bytes = new Uint8Array(2 * addressSizeMax(key));
    this.length = writeAddress(this.bytes, 0, entity, key, levelMs, tileStartMs);
  }

  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** The first rows at or after an address. */
function rowsFrom(cursor: Cursor, address: Uint8Array): Row[] {
  const rows: Row[] = [];
  for (cursor.seek(address, 0, address.length); cursor.isThere && rows.length < SCANNED_ROWS; cursor.next())
    rows.push(rowOf(cursor.row()));
  return rows;
}

function rowOf(walk: PackWalk): Row {
  const { address, length } = walk;
  return {
    ...keyOf(walk),
    levelMs: levelAt(address, length),
    tileStartMs: tileStartAt(address, length),
    value: walk.value().slice(),
  };
}

function keyOf({ address, length }: PackWalk): Key {
  return { entity: entityAt(address), key: keyAt(address, length) };
}

/** Before what comes after an address: none begins another. */
function behindAddress(address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(address.length + 1);
  bytes.set(address);
  return bytes;
}

function behind({ address, length }: PackWalk): Uint8Array {
  return behindAddress(address.subarray(0, length));
}

/** Where the keys behind one begin that may have rows which have expired. */
function nextSwept({ entity, key }: Key, { entities }: Expiry): Uint8Array {
  return entities.has(entity) || entity === START.entity ? keyEnd(entity, key) : entityStart(entity + 1);
}

interface Expiry {
  /** Kinds of which rows expire. */
  entities: Set<number>;
  hasExpired(row: PackWalk): boolean;
  /** Drops those within a range from a pack. */
  drop(from: Uint8Array, to: Uint8Array): ChangePack;
}

function expiryOf(horizons: Horizon[]): Expiry {
  const hasExpired = ({ address, length }: PackWalk): boolean => {
    const [entity, levelMs] = [entityAt(address), levelAt(address, length)];
    for (const horizon of horizons)
      if (horizon.entity === entity && horizon.levelMs === levelMs)
        return tileStartAt(address, length) < horizon.beforeMs;
    return false;
  };
  return {
    entities: new Set(horizons.map(({ entity }) => entity)),
    hasExpired,
    drop: (from, to) => (pack, out) => filterRows(pack, row => hasExpired(row) && row.isWithin(from, to), out),
  };
}

/** What is wrong with the file, or with the disk that has it, as a fault; null where the error is another. */
export function troubleOf(error: unknown, file: string, repair = REPAIR): Fault | null {
  if (/^SQLITE_(FULL|IOERR(?!_SHORT_READ))/.test(codeOf(error)))
    return new Fault('busy', `${file}: ${(error as Error).message}: nothing of it was written`);
  return damageOf(error, file, repair);
}

/** Of SQLite's error, which may be the cause of another. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return 'code' in error ? String(error.code) : codeOf(error.cause);
}

/** SQLite's error, or that of a pack, as a fault of the file; null where it is another error. */
export function damageOf(error: unknown, file: string, repair = REPAIR): Fault | null {
  const code = codeOf(error);
  if (!/^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code) && !(error instanceof PackDamage)) return null;
  const place = error instanceof PackDamage && error.place !== null ? ` (${error.place})` : '';
  return new Fault('corrupt', `${file}: ${(error as Error).message}${place}; ${repair}`);
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
    if (!damageOf(error, db.filename)) throw error;
    damages.push({ offset: null, message: (error as Error).message });
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

/** Of the rows in a database; null where there are none yet. */
function versionOf(db: Database): number | null {
  const made = db.query("SELECT 1 FROM sqlite_schema WHERE name = 'rows_state'").get();
  if (!made) return null;
  return db.query<{ version: number }, []>('SELECT version FROM rows_state').get()!.version;
}

function checkVersion(db: Database): void {
  const version = versionOf(db);
  if (version === null || (version >= VERSION_OLDEST && version <= VERSION)) return;
  const found = `rows of version ${version} in ${db.filename}; this program reads version ${VERSION}`;
  if (version > VERSION) throw new Fault('unsupported', `${found}: use a newer tilefold`);
  throw new Fault(
    'unsupported',
    `${found}: a command that opens the folder to write makes them anew from the log, by itself`,
  );
}

/** Packs of the oldest version are the base; each is compressed when it is next written. */
function bringUpToDate(db: Database): void {
  const version = versionOf(db);
  if (version === VERSION_OLDEST) addLevels(db);
  if (version !== null && version < VERSION) db.run(`UPDATE rows_state SET version = ${VERSION}`);
}

function addLevels(db: Database): void {
  const { size } = db.query<{ size: number }, []>('SELECT sum(length(bytes)) AS size FROM packs').get()!;
  db.run(`ALTER TABLE rows_state ADD COLUMN levels TEXT NOT NULL DEFAULT '${levelsText(levelsOf(size))}'`);
}

/** There are rows that an older version has written, which this one cannot read. */
export function hasOldRows(db: Database): boolean {
  return guarded(db, () => (versionOf(db) ?? VERSION) < VERSION_OLDEST);
}

/**
 * Takes old rows away, in one transaction with what `alongside` does; the store that is opened then is empty, and the log
 * makes them anew.
 */
export function forgetOldRows(db: Database, alongside: () => void): void {
  const forget = db.transaction(() => {
    for (const table of ['rows', 'packs', 'rows_state', 'rows_swept']) db.run(`DROP TABLE IF EXISTS ${table}`);
    alongside();
  });
  guarded(db, () => forget.immediate());
}

/** The order of scans. */
export function byAddress(a: RowAddress, b: RowAddress): number {
  return a.entity - b.entity || Buffer.compare(a.key, b.key) || a.levelMs - b.levelMs || a.tileStartMs - b.tileStartMs;
}
