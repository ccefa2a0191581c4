import type { Database } from 'bun:sqlite';
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { releaseBytes } from '../base/release.ts';
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
import { PackMerge, Runs } from './merge.ts';
import {
  changeRows,
  cutPack,
  dropRows,
  PACK_MAX_BYTES,
  PackDamage,
  PIECE_BYTES,
  type Piece,
  pieceOf,
  PackWalk,
  PackWriter,
} from './pack.ts';
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

/** Of how rows lie in the database. Those of another version are not read: the log makes them anew. */
const VERSION = 5;

/** Deleted by one sweep at most: what a lookup waits for, some ten milliseconds. */
export const SWEPT_ROWS_MAX = 10_000;

/** Looked through by one call of `rewrite`: some milliseconds, a few more where all of them change. */
const REWRITTEN_PACKS = 256;

/** Two or three packs, so that little of a page stays empty; only a new database takes it. */
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
 * Rows lie in packs (pack.ts), each with the CRC-32 of its bytes: SQLite has no checksums of its own. Each is under an
 * address and has all rows from there to where the next one begins; the first begins before everything. The store makes its tables itself, not the migrations of meta: every backend has its
 * own.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS packs (
    id INTEGER PRIMARY KEY, first BLOB NOT NULL UNIQUE, crc INTEGER NOT NULL, bytes BLOB NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO packs (first, crc, bytes) VALUES (x'', 0, x'');
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

interface Pack {
  id: number;
  first: Uint8Array;
  crc: number;
  /** Thousands of packs are read at a time: whoever is done with one gives it back (`releaseBytes`). */
  bytes: Uint8Array<ArrayBuffer>;
  /** Where the next one begins; null for the last. */
  next: Uint8Array | null;
}

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
  return guarded(db, () => openStore(db));
}

/** What readers need of it, over a handle of their own, which may be a read-only one. Faults are those of `sqliteStore`. */
export function sqliteRows(db: Database): RowReader {
  return guarded(db, () => {
    db.run(`PRAGMA cache_size = ${-READER_CACHE_BYTES / 1024}`);
    checkVersion(db);
    return readerOver(db, openPacks(db));
  });
}

function guarded<T>(db: Database, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw damageOf(error, db.filename) ?? error;
  }
}

function openStore(db: Database): Store {
  db.run(`PRAGMA page_size = ${PAGE_BYTES}`);
  db.run('PRAGMA journal_mode = WAL');
  db.run('PRAGMA synchronous = NORMAL');
  db.run(`PRAGMA cache_size = ${-CACHE_BYTES / 1024}`);
  db.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  checkVersion(db);
  // At once: one that had to wait in the middle, for another that writes, would be refused instead.
  db.transaction(() => db.run(TABLES)).immediate();

  const packs = openPacks(db);
  const reader = readerOver(db, packs);
  const statements = {
    setMark: db.prepare<null, [number, string, string]>('UPDATE rows_state SET position = ?, clocks = ?, highest = ?'),
    replace: db.prepare<null, [number, Uint8Array, number]>('UPDATE packs SET crc = ?, bytes = ? WHERE id = ?'),
    add: db.prepare<null, [Uint8Array, number, Uint8Array]>('INSERT INTO packs (first, crc, bytes) VALUES (?, ?, ?)'),
    remove: db.prepare<null, [number]>('DELETE FROM packs WHERE id = ?'),
    clear: db.prepare("DELETE FROM packs WHERE first > x''"),
    clearFirst: db.prepare("UPDATE packs SET crc = 0, bytes = x''"),
    swept: db.prepare<Key, []>('SELECT entity, key FROM rows_swept'),
    setSwept: db.prepare<null, [number, Uint8Array]>('UPDATE rows_swept SET entity = ?, key = ?'),
  };
  const out = new PackWriter();
  const merge = new PackMerge();

  /** Replaces a pack by what `out` has. */
  function write({ id, first }: Pack): void {
    if (out.size === 0 && first.length > 0) statements.remove.run(id);
    else if (out.size <= PACK_MAX_BYTES) replace(id, out.bytes());
    else {
      const [head, ...more] = cutPack(out.bytes());
      replace(id, head!.bytes);
      releaseBytes(head!.bytes);
      addAll(more);
    }
  }

  function addAll(pieces: Piece[]): void {
    for (const piece of pieces) {
      add(piece);
      releaseBytes(piece.bytes);
    }
  }

  function add({ first, bytes }: Piece): void {
    statements.add.run(first, crc32(bytes), bytes);
  }

  function replace(id: number, bytes: Uint8Array): void {
    statements.replace.run(crc32(bytes), bytes, id);
  }

  /** Pack by pack: each is read and written once, however many of its rows have changed. */
  function writeRows(runs: Runs): void {
    for (let run = runs.least(); run; run = runs.least()) {
      const pack = packs.at(run.address.subarray(0, run.length));
      merge.open(pack.bytes, pack.next);
      out.begin();
      let isWhole = merge.merge(runs, out);
      write(pack);
      // Many rows at one place: what follows comes in pieces.
      while (!isWhole) {
        out.begin();
        isWhole = merge.merge(runs, out, PIECE_BYTES);
        if (out.size <= PACK_MAX_BYTES) add(pieceOf(out.bytes()));
        else addAll(cutPack(out.bytes()));
      }
      releaseBytes(pack.bytes);
    }
  }

  function commit(rows: Rows, to: Mark, alongside: () => void): void {
    const { position } = reader.mark();
    assert(to.position >= position, `rows up to ${to.position} after rows up to ${position}`);
    writeRows(new Runs('runs' in rows ? rows.runs : [runOf(rows)]));
    statements.setMark.run(to.position, clocksText(to.clocks), JSON.stringify(to.highest));
    alongside();
  }
  const commitAtOnce = db.transaction(commit);
  const clearAtOnce = db.transaction((alongside: () => void) => {
    statements.clear.run();
    statements.clearFirst.run();
    statements.setMark.run(0, '{}', '[]');
    alongside();
  });

  /** Deletes the first rows from an address on and before another, at most so many. */
  function deleteRange(from: Uint8Array, to: Uint8Array, rowsMax: number): number {
    let deleted = 0;
    for (let at: Uint8Array | null = from; at && deleted < rowsMax && Buffer.compare(at, to) < 0; ) {
      const pack = packs.at(at);
      const dropped = dropRows(pack.bytes, from, to, rowsMax - deleted, out);
      if (dropped > 0) write(pack);
      deleted += dropped;
      at = pack.next;
    }
    return deleted;
  }

  /** Deletes what has expired of one key, oldest first within a level, at most so many rows. */
  function sweepKey({ entity, key }: Key, horizons: Horizon[], rowsMax: number): number {
    let deleted = 0;
    for (const { levelMs, beforeMs } of horizons) {
      const from = addressOf(entity, key, levelMs, -Infinity);
      deleted += deleteRange(from, addressOf(entity, key, levelMs, beforeMs), rowsMax - deleted);
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
      at = packs.keyFrom(isSwept ? keyEnd(at.entity, at.key) : entityStart(at.entity + 1));
      if (at) deleted += sweepKey(at, byEntity.get(at.entity) ?? [], SWEPT_ROWS_MAX - deleted);
    }
    const { entity, key } = at ?? START;
    statements.setSwept.run(entity, key);
    return deleted;
  }

  function rewrite(from: RewritePlace | null, change: (value: Uint8Array) => Uint8Array | null): RewritePlace | null {
    let at: Uint8Array | null = from ?? START.key;
    for (let n = 0; n < REWRITTEN_PACKS && at; n++) {
      const pack = packs.at(at);
      if (changeRows(pack.bytes, change, out) > 0) write(pack);
      releaseBytes(pack.bytes);
      at = pack.next;
    }
    return at;
  }
  const rewriteAtOnce = db.transaction(rewrite);

  return {
    ...reader,
    commit: (rows, to, alongside = () => {}) => guarded(db, () => commitAtOnce.immediate(rows, to, alongside)),
    sweep: (horizons, keysMax) => guarded(db, () => sweep(horizons, keysMax)),
    rewrite: (from, change) => guarded(db, () => rewriteAtOnce.immediate(from, change)),
    clear: (alongside = () => {}) => guarded(db, () => clearAtOnce.immediate(alongside)),
    close() {
      for (const statement of Object.values(statements)) statement.finalize();
      reader.close();
    },
  };
}

interface Packs {
  /** The pack that has what there is under an address. */
  at(address: Uint8Array): Pack;
  /** The key of the first row at or after an address. */
  keyFrom(address: Uint8Array): Key | null;
  close(): void;
}

function openPacks(db: Database): Packs {
  const pack = db.prepare<Pack, [Uint8Array]>(
    `SELECT id, first, crc, bytes,
       (SELECT behind.first FROM packs AS behind WHERE behind.first > packs.first ORDER BY behind.first LIMIT 1) AS next
     FROM packs WHERE first <= ? ORDER BY first DESC LIMIT 1`,
  );
  const walk = new PackWalk();
  function at(address: Uint8Array): Pack {
    const found = pack.get(address);
    if (!found) throw new Fault('corrupt', `${db.filename}: the first rows are missing; ${REPAIR}`);
    if (crc32(found.bytes) !== found.crc) throw new PackDamage();
    return found;
  }
  function keyFrom(address: Uint8Array): Key | null {
    for (let from: Uint8Array | null = address; from; ) {
      const { bytes, next } = at(from);
      if (walk.open(bytes).next() && walk.seek(address, 0, address.length))
        return { entity: entityAt(walk.address), key: keyAt(walk.address, walk.length) };
      from = next;
    }
    return null;
  }
  return { at, keyFrom, close: () => pack.finalize() };
}

function readerOver(db: Database, packs: Packs): RowReader {
  const markStatement = db.prepare<{ position: number; clocks: string; highest: string }, []>(
    'SELECT position, clocks, highest FROM rows_state',
  );
  const walk = new PackWalk();
  const wanted = new PackWalk();
  const [low, high] = [new Scratch(), new Scratch()];

  function mark(): Mark {
    const { position, clocks, highest } = markStatement.get()!;
    return { position, clocks: clocksFrom(clocks), highest: JSON.parse(highest) as Mark['highest'] };
  }

  /** Range by range and pack by pack; mostly all of a key lies in one, and one walk finds it. */
  function readKey(entity: number, key: Uint8Array, ranges: TileRange[], take: TakeRow): void {
    let pack: Pack | null = null;
    let isThere = false;
    for (const { levelMs, fromMs, toMs } of ranges) {
      low.set(entity, key, levelMs, fromMs);
      high.set(entity, key, levelMs, toMs);
      if (!pack || !isWithin(low.view(), pack)) {
        pack = packs.at(low.view());
        isThere = walk.open(pack.bytes).next();
      }
      for (;;) {
        isThere = isThere && walk.seek(low.bytes, 0, low.length);
        while (isThere && walk.isBelow(high.bytes, 0, high.length)) {
          take(levelMs, tileStartAt(walk.address, walk.length), pack.bytes, walk.valueStart, walk.end);
          isThere = walk.next();
        }
        if (isThere || isWithin(high.view(), pack)) break;
        // Whoever writes meanwhile may have moved rows: they go on from there, not from where the pack begins.
        const from = pack.next!;
        pack = packs.at(from);
        isThere = walk.open(pack.bytes).next() && walk.seek(from, 0, from.length);
      }
    }
  }

  function readRange(entity: number, key: Uint8Array, range: TileRange): Row[] {
    const rows: Row[] = [];
    readKey(entity, key, [range], (levelMs, tileStartMs, bytes, start, end) => {
      rows.push({ entity, key, levelMs, tileStartMs, value: bytes.slice(start, end) });
    });
    return rows;
  }

  /** Pack by pack: both come in order, so that each is walked once. */
  function readRows(rows: Uint8Array, take: TakeWanted): void {
    let isWanted = wanted.open(rows).next();
    for (let index = 0; isWanted; ) {
      const { bytes, next } = packs.at(wanted.address.subarray(0, wanted.length));
      let isThere = walk.open(bytes).next();
      for (; isWanted && (next === null || wanted.isBelow(next, 0, next.length)); index++) {
        isThere = isThere && walk.seek(wanted.address, 0, wanted.length);
        if (isThere && walk.isAt(wanted.address, 0, wanted.length)) take(index, bytes, walk.valueStart, walk.end);
        isWanted = wanted.next();
      }
      releaseBytes(bytes);
    }
  }

  function* scan(after?: RowAddress): Generator<Row> {
    const start = after ? addressOf(after.entity, after.key, after.levelMs, after.tileStartMs) : START.key;
    let isAfter = after === undefined;
    // Pack by pack, so that no statement stays open over commits, and each from where the last one ended.
    for (let from: Uint8Array | null = start; from; ) {
      const { next, rows } = guarded(db, () => rowsFrom(packs, from!));
      const [first, ...more] = rows;
      if (first && (isAfter || byAddress(first, after!) !== 0)) yield first;
      isAfter ||= first !== undefined;
      yield* more;
      from = next;
    }
  }

  return {
    mark: () => guarded(db, mark),
    readKey: (entity, key, ranges, take) => guarded(db, () => readKey(entity, key, ranges, take)),
    readRange: (entity, key, levelMs, fromMs, toMs) =>
      guarded(db, () => readRange(entity, key, { levelMs, fromMs, toMs })),
    readRows: (rows, take) => guarded(db, () => readRows(rows, take)),
    scan,
    close() {
      markStatement.finalize();
      packs.close();
    },
  };
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

/** Of addresses that are not below the pack: nothing of the next ones comes before it. */
function isWithin(address: Uint8Array, { next }: Pack): boolean {
  return next === null || Buffer.compare(address, next) < 0;
}

/** The rows of a pack at or after an address. */
function rowsFrom(packs: Packs, address: Uint8Array): { rows: Row[]; next: Uint8Array | null } {
  const { bytes, next } = packs.at(address);
  const walk = new PackWalk().open(bytes);
  const rows: Row[] = [];
  let isThere = walk.next() && walk.seek(address, 0, address.length);
  for (; isThere; isThere = walk.next()) rows.push(rowOf(walk));
  return { rows, next };
}

function rowOf(walk: PackWalk): Row {
  const { address, length } = walk;
  return {
    entity: entityAt(address),
    key: keyAt(address, length),
    levelMs: levelAt(address, length),
    tileStartMs: tileStartAt(address, length),
    value: walk.value(),
  };
}

/** The repair that every message of damage names. */
const REPAIR = '`tilefold rebuild --from-log` makes it anew';

/** SQLite's error, or that of a pack, as a fault of the file; null where it is another error. */
export function damageOf(error: unknown, file: string): Fault | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code) && !(error instanceof PackDamage)) return null;
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

/** Of the rows in a database; null where there are none yet. */
function versionOf(db: Database): number | null {
  const made = db.query("SELECT 1 FROM sqlite_schema WHERE name = 'rows_state'").get();
  if (!made) return null;
  return db.query<{ version: number }, []>('SELECT version FROM rows_state').get()!.version;
}

function checkVersion(db: Database): void {
  const version = versionOf(db);
  if (version === null || version === VERSION) return;
  const found = `rows of version ${version} in ${db.filename}; this program reads version ${VERSION}`;
  if (version > VERSION) throw new Fault('unsupported', `${found}: use a newer tilefold`);
  throw new Fault(
    'unsupported',
    `${found}: a command that opens the folder to write makes them anew from the log, by itself`,
  );
}

/** There are rows that an older version has written. */
export function hasOldRows(db: Database): boolean {
  return guarded(db, () => (versionOf(db) ?? VERSION) < VERSION);
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
