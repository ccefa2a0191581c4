/**
 * Packs in a table of SQLite. Runs of them stand one behind the other in it: the base, and tails (levels.ts) by number.
 *
 *   address of the first row               a pack of the base
 *   FF | run u32 | address of the first    a pack of a tail; no address begins with FF
 *
 * Each pack has all rows of its run from there to where the next one begins; the first of a run begins before everything,
 * and stays when it is empty.
 */
import type { Database } from 'bun:sqlite';
import { crc32 } from 'node:zlib';
import { Fault } from '../base/fault.ts';
import { releaseBytes } from '../base/release.ts';
import { entityAt, entityStart, keyAt } from './address.ts';
import { PackDamage, type PackKernel, type Piece } from './pack.ts';
import { sealPack, unsealPack } from './seal.ts';

/** The run that all others are merged into in the end. */
export const BASE = 0;

/** The repair that every message of damage names. */
export const REPAIR = '`tilefold rebuild --from-log` makes it anew';

const TAIL_BYTE = 0xff;
const TAIL_PREFIX_SIZE = 5;

/** Behind all rows. */
export const END = entityStart(Number.POSITIVE_INFINITY);

export interface Pack {
  id: number;
  run: number;
  /** What it is under: an address, behind the number of its run. */
  place: Uint8Array;
  /** Its rows. Thousands of packs are read at a time: whoever is done with one gives it back (`releaseBytes`). */
  bytes: Uint8Array<ArrayBuffer>;
  /** What it takes in the database. */
  storedSize: number;
  /** Where the next one of the run begins; null for the last. */
  next: Uint8Array | null;
}

interface Stored {
  id: number;
  first: Uint8Array<ArrayBuffer>;
  crc: number;
  bytes: Uint8Array<ArrayBuffer>;
  next: Uint8Array | null;
}

export interface Packs {
  /**
   * The pack that has what a run has under an address.
   *
   * @throws PackDamage where it is not what was written
   */
  at(run: number, address: Uint8Array): Pack;
  close(): void;
}

export function openPacks(db: Database, kernel: PackKernel): Packs {
  const pack = db.prepare<Stored, [Uint8Array]>(
    `SELECT id, first, crc, bytes,
       (SELECT behind.first FROM packs AS behind WHERE behind.first > packs.first ORDER BY behind.first LIMIT 1) AS next
     FROM packs WHERE first <= ? ORDER BY first DESC LIMIT 1`,
  );
  function at(run: number, address: Uint8Array): Pack {
    const found = pack.get(placeOf(run, address));
    if (!found || runAt(found.first) !== run)
      throw new Fault('corrupt', `${db.filename}: the first rows are missing; ${REPAIR}`);
    const { id, first, crc, bytes, next } = found;
    try {
      if (crc32(bytes) !== crc) throw new PackDamage();
      const isLast = next === null || runAt(next) !== run;
      const size = prefixSize(run);
      const plain = unsealPack(bytes, kernel);
      const storedSize = bytes.length;
      if (plain !== bytes) releaseBytes(bytes);
      return { id, run, place: first, bytes: plain, storedSize, next: isLast ? null : next.subarray(size) };
    } catch (error) {
      if (error instanceof PackDamage) error.place ??= placeText(id, first);
      throw error;
    }
  }
  return { at, close: () => pack.finalize() };
}

/** Where a pack stands, for people. */
function placeText(id: number, first: Uint8Array): string {
  const address = first.subarray(prefixSize(runAt(first)));
  if (address.length < entityStart(0).length) return `pack ${id}, the first`;
  const key = new TextDecoder().decode(keyAt(address, address.length));
  return `pack ${id}, from key ${JSON.stringify(key)} of entity ${entityAt(address)} on`;
}

function prefixSize(run: number): number {
  return run === BASE ? 0 : TAIL_PREFIX_SIZE;
}

function placeOf(run: number, address: Uint8Array): Uint8Array {
  if (run === BASE) return address;
  const place = new Uint8Array(TAIL_PREFIX_SIZE + address.length);
  place[0] = TAIL_BYTE;
  new DataView(place.buffer).setUint32(1, run);
  place.set(address, TAIL_PREFIX_SIZE);
  return place;
}

function runAt(place: Uint8Array): number {
  if (place[0] !== TAIL_BYTE) return BASE;
  return new DataView(place.buffer, place.byteOffset).getUint32(1);
}

/** Changes packs. What is returned are bytes in the database: so many more than before. */
export interface PackTable {
  add(run: number, piece: Piece): number;
  /** The same for one that is compressed. */
  addSealed(run: number, first: Uint8Array, sealed: Uint8Array): number;
  /** Puts rows in the place of those of a pack; without rows the pack goes, unless it is the first of its run. */
  replace(pack: Pack, rows: Uint8Array<ArrayBuffer>): number;
  /** Takes away whole packs of a run: those that begin at or after an address and before a place. */
  removeBetween(run: number, from: Uint8Array, beforePlace: Uint8Array): number;
  removeRun(run: number): void;
  clear(): void;
  close(): void;
}

export function openPackTable(db: Database, kernel: PackKernel): PackTable {
  const statements = {
    add: db.prepare<null, [Uint8Array, number, Uint8Array]>('INSERT INTO packs (first, crc, bytes) VALUES (?, ?, ?)'),
    replace: db.prepare<null, [number, Uint8Array, number]>('UPDATE packs SET crc = ?, bytes = ? WHERE id = ?'),
    remove: db.prepare<null, [number]>('DELETE FROM packs WHERE id = ?'),
    sizeBetween: db.prepare<{ size: number }, [Uint8Array, Uint8Array]>(
      'SELECT ifnull(sum(length(bytes)), 0) AS size FROM packs WHERE first >= ? AND first < ?',
    ),
    removeBetween: db.prepare<null, [Uint8Array, Uint8Array]>('DELETE FROM packs WHERE first >= ? AND first < ?'),
    clear: db.prepare("DELETE FROM packs WHERE first > x''"),
    clearFirst: db.prepare("UPDATE packs SET crc = 0, bytes = x''"),
  };
  function addSealed(run: number, first: Uint8Array, sealed: Uint8Array): number {
    statements.add.run(placeOf(run, first), crc32(sealed), sealed);
    return sealed.length;
  }
  function add(run: number, { first, bytes }: Piece): number {
    const sealed = sealPack(bytes, kernel);
    const size = addSealed(run, first, sealed);
    if (sealed !== bytes) releaseBytes(sealed);
    return size;
  }
  function replace({ id, run, place, storedSize }: Pack, rows: Uint8Array<ArrayBuffer>): number {
    if (rows.length === 0 && place.length > prefixSize(run)) {
      statements.remove.run(id);
      return -storedSize;
    }
    const sealed = sealPack(rows, kernel);
    const size = sealed.length;
    statements.replace.run(crc32(sealed), sealed, id);
    if (sealed !== rows) releaseBytes(sealed);
    return size - storedSize;
  }
  function removeBetween(run: number, from: Uint8Array, beforePlace: Uint8Array): number {
    const place = placeOf(run, from);
    const { size } = statements.sizeBetween.get(place, beforePlace)!;
    statements.removeBetween.run(place, beforePlace);
    return -size;
  }
  function clear(): void {
    statements.clear.run();
    statements.clearFirst.run();
  }
  return {
    ...{ add, addSealed, replace, removeBetween, clear },
    removeRun: run => statements.removeBetween.run(placeOf(run, new Uint8Array(0)), placeOf(run, END)),
    close() {
      for (const statement of Object.values(statements)) statement.finalize();
    },
  };
}
