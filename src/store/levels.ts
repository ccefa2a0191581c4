/**
 * How rows on disk are kept in order, though they change everywhere (a log-structured merge, after O'Neil et al. 1996):
 *
 *     commit --> tail (newest)        new rows are a run of packs of their own, written one behind the other
 *                tail  tail  tail     when there are many, the latest ones of about a size become one
 *                ........             when they take half as much as the base, stretch after stretch goes into it
 *                base                 round and round
 *
 * A row is looked for from the newest run on, and the first that has it wins; what is an addend there (pack.ts) is added to what the
 * next one has. So a barrier writes what has changed, not each pack that has a row which did, and each row is written some times more,
 * beside others that are its neighbours. The base of a new store are the first rows, or the first tails that are too many.
 */
import type { Database } from 'bun:sqlite';
import { collectGarbage } from '../base/garbage.ts';
import { releaseBytes } from '../base/release.ts';
import { PackMerge, type Run, Runs } from './merge.ts';
import { cutPack, dropRows, PACK_MAX_BYTES, type PackKernel, PackWriter, PIECE_BYTES, pieceOf } from './pack.ts';
import { BASE, END, openPackTable, type Pack, type Packs } from './packs.ts';
import { type SealedRun, sealedPieces } from './sealed.ts';
import type { RowRuns } from './store.ts';

/** More tails are made fewer: reading a row that none of them has costs a pack of each. */
const TAILS_MAX = 6;

/** Tails of which none is larger than all newer ones by this factor become one: each row is written about as often as the logarithm of its tails' sizes. */
const ALIKE_FACTOR = 2;

/**
 * As many where rows come in bulk and hardly one is read: most of them are never written again then, and merging them takes as
 * long as all else. What is due is done by later commits, little by little.
 */
const TAILS_BULK_MAX = 24;

/** So much may lie in tails, however small the base is: merging less at a time would not pay. */
const TAILS_MIN_BYTES = 1 << 20;

/** Rows that are brought from tails into the base in one step, about. */
const STEP_BYTES = 1 << 20;

/**
 * What one commit brings into the base at most, before compression: a hundred milliseconds or two. It is as many times what the
 * commit adds to the database, so that what is due becomes less from commit to commit whatever these bring.
 */
const SETTLED_MIN_BYTES = 16 << 20;
const SETTLED_FACTOR = 24;

/**
 * So many packs are read to be merged before what is left of them is collected. Of each that is some objects, and a buffer that is detached
 * counts until then; the collector does not hurry, for it counts the kernels' memory as what is in use.
 */
const COLLECTED_PACKS = 8192;

/** A run that is not the base, and what it takes in the database. */
export interface Tail {
  run: number;
  size: number;
}

export interface Levels {
  /** What the base takes in the database. */
  base: number;
  /** The newest first. */
  tails: Tail[];
  /** The number of the next tail. */
  nextRun: number;
  /** Where tails are brought into the base next. */
  place: Uint8Array;
}

const NOTHING = new Uint8Array(0);

function sizeOf({ base, tails }: Pick<Levels, 'base' | 'tails'>): number {
  return tails.reduce((sum, tail) => sum + tail.size, base);
}

/** Of a base of so many bytes, and no tails. */
export function levelsOf(base: number): Levels {
  return { base, tails: [], nextRun: BASE + 1, place: NOTHING };
}

/** @param text what `levelsText` has made */
export function levelsFrom(text: string): Levels {
  const { place, ...levels } = JSON.parse(text) as Omit<Levels, 'place'> & { place: string };
  return { ...levels, place: Uint8Array.fromHex(place) };
}

export function levelsText({ place, ...levels }: Levels): string {
  return JSON.stringify({ ...levels, place: place.toHex() });
}

/** The runs that rows are looked for in, the newest first. */
export function runsOf({ tails }: Levels): number[] {
  return [...tails.map(({ run }) => run), BASE];
}

/** How many of the newest tails become one now; 0 where they are few. */
export function tailsToJoin(tails: Tail[], tailsMax = TAILS_MAX): number {
  if (tails.length <= tailsMax) return 0;
  let greatest = tails[0]!.size;
  let count = 1;
  while (count < tails.length && (count < 2 || tails[count]!.size <= greatest * ALIKE_FACTOR))
    greatest = Math.max(greatest, tails[count++]!.size);
  return count;
}

/** The tails take more than they may beside the base; without one, as long as they are few they may take anything. */
export function isOverfull({ base, tails }: Levels): boolean {
  if (base === 0 && tails.length <= TAILS_MAX) return false;
  const size = sizeOf({ base: 0, tails });
  return size > Math.max(TAILS_MIN_BYTES, base / 2);
}

/** No run is to be merged into another. */
export function isSettled(levels: Levels): boolean {
  return !isOverfull(levels) && tailsToJoin(levels.tails) === 0;
}

/** Changes of runs, within whoever's transaction. What `levels` says is kept true; it is for the caller to write down. */
export interface LevelWriter {
  /** Adds rows, and then makes of tails what is due. */
  add(levels: Levels, rows: RowRuns): void;
  /** Brings the rows of tails from an address on, and before another where a pack of the base begins, into the base. */
  settleRange(levels: Levels, from: Uint8Array, to: Uint8Array): void;
  /** Puts what `change` makes of a pack in its place, of those in every run that have rows in a range; it counts changes. */
  changeRange(levels: Levels, from: Uint8Array, to: Uint8Array, change: ChangePack): void;
  clear(): void;
  close(): void;
}

/** Writes a pack anew, and returns in how much it is another then; for 0 it stays. */
export type ChangePack = (pack: Uint8Array, out: PackWriter) => number;

/** The address of the next row, where it is below another; else that. */
function leastBelow(runs: Runs, to: Uint8Array): Uint8Array {
  const run = runs.least();
  return run?.isBelow(to, 0, to.length) ? run.address.slice(0, run.length) : to;
}

export function openLevels(db: Database, packs: Packs, kernel: PackKernel): LevelWriter {
  const table = openPackTable(db, kernel);
  const out = new PackWriter();
  const merge = new PackMerge();

  let readPacks = 0;

  /** The pack of a run that has an address, to be merged. */
  function read(run: number, address: Uint8Array): Pack {
    if (++readPacks % COLLECTED_PACKS === 0) collectGarbage();
    return packs.at(run, address);
  }

  function* partsOf(run: number, from: Uint8Array): Generator<Uint8Array> {
    for (let at: Uint8Array | null = from; at; ) {
      const { bytes, next } = read(run, at);
      yield bytes;
      releaseBytes(bytes);
      at = next;
    }
  }

  function runsFrom(tails: Tail[], from: Uint8Array): Runs {
    const parts = tails.map(({ run }) => partsOf(run, from));
    return new Runs(parts, from);
  }

  /** What `out` has, added up. */
  function made(isOldest: boolean): Uint8Array<ArrayBuffer> {
    return out.hasMarks ? kernel.addUp(out.bytes(), isOldest) : out.bytes();
  }

  /** Puts rows in the place of those of a pack; returns how many bytes more that takes. */
  function write(pack: Pack, rows: Uint8Array<ArrayBuffer>): number {
    if (rows.length <= PACK_MAX_BYTES) return table.replace(pack, rows);
    const [head, ...more] = cutPack(rows);
    let size = table.replace(pack, head!.bytes);
    releaseBytes(head!.bytes);
    for (const piece of more) {
      size += table.add(pack.run, piece);
      releaseBytes(piece.bytes);
    }
    return size;
  }

  /**
   * Merges rows that are below `to` into the base, pack by pack: each is read and written once, however many of its rows
   * have changed.
   *
   * @returns where the pack ends in which so many bytes are reached, or the rows that are merged behind the last pack; or `to`
   */
  function mergeIntoBase(levels: Levels, runs: Runs, to: Uint8Array, bytesMax: number): Uint8Array {
    let merged = 0;
    for (let run = runs.least(); run?.isBelow(to, 0, to.length); run = runs.least()) {
      const pack = read(BASE, run.address.subarray(0, run.length));
      merge.open(pack.bytes, pack.next);
      out.begin();
      let isWhole = merge.merge(runs, out);
      merged += out.size;
      levels.base += write(pack, made(true));
      // Many rows at one place: what follows comes in pieces.
      for (; !isWhole; merged += out.size) {
        if (merged >= bytesMax && !pack.next && merge.isDone) break;
        out.begin();
        isWhole = merge.merge(runs, out, PIECE_BYTES);
        levels.base += table.add(BASE, pieceOf(made(true)));
      }
      releaseBytes(pack.bytes);
      if (merged >= bytesMax && pack.next) return pack.next;
      if (!isWhole) return leastBelow(runs, to);
    }
    return to;
  }

  /** Brings what tails have from an address on into the base, until so many bytes are merged; returns how far. */
  function settleFrom(levels: Levels, from: Uint8Array, to: Uint8Array, bytesMax: number): Uint8Array {
    const end = mergeIntoBase(levels, runsFrom(levels.tails, from), to, bytesMax);
    for (const tail of levels.tails) tail.size += dropRange(tail.run, from, end);
    dropEmpty(levels);
    return end;
  }

  function dropRange(run: number, from: Uint8Array, to: Uint8Array): number {
    const pack = packs.at(run, from);
    let size = drop(pack, from, to);
    if (pack.next && Buffer.compare(pack.next, to) < 0) {
      const last = packs.at(run, to);
      size += table.removeBetween(run, pack.next, last.place);
      size += drop(last, from, to);
    }
    return size;
  }

  function drop(pack: Pack, from: Uint8Array, to: Uint8Array): number {
    const size = dropRows(pack.bytes, from, to, out) > 0 ? write(pack, out.bytes()) : 0;
    releaseBytes(pack.bytes);
    return size;
  }

  function dropEmpty(levels: Levels): void {
    for (const { run, size } of levels.tails) if (size === 0) table.removeRun(run);
    levels.tails = levels.tails.filter(({ size }) => size > 0);
  }

  function addTail(levels: Levels, runs: Runs): void {
    if (!runs.least()) return;
    const run = levels.nextRun++;
    let size = 0;
    merge.open(NOTHING, null);
    for (let first: Uint8Array | null = NOTHING, isWhole = false; !isWhole; first = null) {
      out.begin();
      isWhole = merge.merge(runs, out, PIECE_BYTES);
      const piece = pieceOf(made(false));
      size += table.add(run, { ...piece, first: first ?? piece.first });
    }
    levels.tails.unshift({ run, size });
  }

  function joinTails(levels: Levels, count: number): void {
    const joined = levels.tails.slice(0, count);
    levels.tails = levels.tails.slice(count);
    addTail(levels, runsFrom(joined, NOTHING));
    for (const { run } of joined) table.removeRun(run);
  }

  function add(levels: Levels, { runs, sealed, isBulk }: RowRuns): void {
    const before = sizeOf(levels);
    addSealed(levels, sealed);
    addRuns(levels, runs);
    settle(levels, sizeOf(levels) - before, isBulk);
  }

  /** Rows in order are a new tail, or where there is nothing yet the base. Of runs with an address in common the first wins. */
  function addRuns(levels: Levels, runs: Run[]): void {
    const isNew = levels.base === 0 && levels.tails.length === 0;
    if (isNew) mergeIntoBase(levels, new Runs(runs), END, Number.POSITIVE_INFINITY);
    else addTail(levels, new Runs(runs));
  }

  /** Each run is a new tail as it stands, the last of them the newest. */
  function addSealed(levels: Levels, runs: SealedRun[]): void {
    for (const sealed of runs) {
      if (sealed.ends.length === 0) continue;
      const run = levels.nextRun++;
      let size = 0;
      for (const { first, bytes } of sealedPieces(sealed))
        size += table.addSealed(run, size === 0 ? NOTHING : first, bytes);
      levels.tails.unshift({ run, size });
    }
  }

  /** The base comes first: what it takes is not joined before. Where that is not done, tails are joined that take little. */
  function settle(levels: Levels, added: number, isBulk: boolean): void {
    const most = isBulk ? 0 : Math.max(SETTLED_MIN_BYTES, added * SETTLED_FACTOR);
    for (let settled = 0; isOverfull(levels) && settled < most; settled += STEP_BYTES) {
      const end = settleFrom(levels, levels.place, END, STEP_BYTES);
      levels.place = end === END ? NOTHING : end;
    }
    const { tails } = levels;
    const sizeMax = isBulk || !isOverfull(levels) ? Number.POSITIVE_INFINITY : most / SETTLED_FACTOR;
    const large = tails.findIndex(({ size }) => size > sizeMax);
    const joined = large < 0 ? tails : tails.slice(0, large);
    const count = tailsToJoin(joined, isBulk ? TAILS_BULK_MAX : TAILS_MAX);
    if (count > 0) joinTails(levels, count);
  }

  function changeRange(levels: Levels, from: Uint8Array, to: Uint8Array, change: ChangePack): void {
    levels.base += changeRun(BASE, from, to, change);
    for (const tail of levels.tails) tail.size += changeRun(tail.run, from, to, change);
    dropEmpty(levels);
  }

  function changeRun(run: number, from: Uint8Array, to: Uint8Array, change: ChangePack): number {
    let size = 0;
    for (let at: Uint8Array | null = from; at && Buffer.compare(at, to) < 0; ) {
      const pack: Pack = packs.at(run, at);
      if (change(pack.bytes, out) > 0) size += write(pack, out.bytes());
      releaseBytes(pack.bytes);
      at = pack.next;
    }
    return size;
  }

  return {
    ...{ add, changeRange },
    settleRange: (levels, from, to) => settleFrom(levels, from, to, Number.POSITIVE_INFINITY),
    clear: table.clear,
    close: table.close,
  };
}
