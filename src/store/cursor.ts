/**
 * Rows of several runs as one: in order, and of rows under one address that of the newest run; addends (pack.ts) are added up with those
 * of older runs.
 */
import { releaseBytes } from '../base/release.ts';
import { type AddUp, PackWalk, PackWriter } from './pack.ts';
import type { Pack } from './packs.ts';

/** Packs of runs, as `Packs` has them. What it hands over is given back (`releaseBytes`). */
export interface RunPacks {
  at(run: number, address: Uint8Array): Pick<Pack, 'bytes' | 'next'>;
}

/** Stands at a row of one run, and goes on from there: its packs are read when it comes to them. */
export class RunCursor {
  readonly walk = new PackWalk();
  isThere = false;
  #pack: ReturnType<RunPacks['at']> | null = null;

  constructor(
    private readonly packs: RunPacks,
    private readonly run: number,
  ) {}

  /** On to the first row at or after the address [start, end) of some bytes, which is not before where it stands. */
  seek(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#pack || !isWithin(bytes, start, end, this.#pack)) {
      this.#open(bytes.subarray(start, end));
      this.isThere = this.walk.next();
    }
    this.isThere = this.isThere && this.walk.seek(bytes, start, end);
    this.#goOn();
  }

  next(): void {
    this.isThere = this.walk.next();
    this.#goOn();
  }

  /** Where a pack has ended it begins with the next one. */
  #goOn(): void {
    while (!this.isThere && this.#pack?.next) {
      this.#open(this.#pack.next);
      this.isThere = this.walk.next();
    }
  }

  #open(address: Uint8Array): void {
    const before = this.#pack;
    this.#pack = this.packs.at(this.run, address);
    this.walk.open(this.#pack.bytes);
    if (before) releaseBytes(before.bytes);
  }
}

/** Of addresses that are not below the pack: nothing of the next ones comes before it. */
function isWithin(bytes: Uint8Array, start: number, end: number, { next }: Pick<Pack, 'next'>): boolean {
  if (next === null) return true;
  const length = Math.min(end - start, next.length);
  for (let i = 0; i < length; i++) if (bytes[start + i] !== next[i]) return bytes[start + i]! < next[i]!;
  return end - start < next.length;
}

/** Stands at the least row of all runs. */
export class Cursor {
  readonly #cursors: RunCursor[];
  #at: RunCursor | null = null;
  readonly #found: PackWalk[] = [];

  /** @param cursors of each run, the newest first */
  constructor(
    cursors: RunCursor[],
    private readonly addUp: AddUp,
  ) {
    this.#cursors = cursors;
  }

  get isThere(): boolean {
    return this.#at !== null;
  }

  /** The address of the row, and of the newest run what it has: only while there is one. */
  get walk(): PackWalk {
    return this.#at!.walk;
  }

  /** The row: a walk that stands at it until the next call. */
  row(): PackWalk {
    const { walk } = this;
    if (!walk.isAddend) return walk;
    this.#found.length = 0;
    for (const cursor of this.#cursors) {
      if (!cursor.isThere || !cursor.walk.isAt(walk.address, 0, walk.length)) continue;
      this.#found.push(cursor.walk);
      if (!cursor.walk.isAddend) break;
    }
    return this.#added();
  }

  /** What the values that were found add up to. */
  #added(): PackWalk {
    SUMS.begin();
    SUMS.takeSum(this.#found);
    const row = new PackWalk().open(this.addUp(SUMS.bytes(), true));
    row.next();
    return row;
  }

  seek(bytes: Uint8Array, start: number, end: number): void {
    for (const cursor of this.#cursors) cursor.seek(bytes, start, end);
    this.#choose();
  }

  next(): void {
    const { walk } = this;
    for (const cursor of this.#cursors)
      if (cursor !== this.#at && cursor.isThere && cursor.walk.isAt(walk.address, 0, walk.length)) cursor.next();
    this.#at!.next();
    this.#choose();
  }

  /**
   * The row under an address, without a look at what older runs have where a newer one has all of it; addresses ascend. A walk that
   * stands at it until the next call.
   */
  find(bytes: Uint8Array, start: number, end: number): PackWalk | null {
    this.#found.length = 0;
    for (const cursor of this.#cursors) {
      cursor.seek(bytes, start, end);
      if (!cursor.isThere || !cursor.walk.isAt(bytes, start, end)) continue;
      this.#found.push(cursor.walk);
      if (!cursor.walk.isAddend) break;
    }
    const [first] = this.#found;
    return first?.isAddend ? this.#added() : (first ?? null);
  }

  #choose(): void {
    let least: RunCursor | null = null;
    for (const cursor of this.#cursors)
      if (cursor.isThere && (!least || cursor.walk.isBelow(least.walk.address, 0, least.walk.length))) least = cursor;
    this.#at = least;
  }
}

/** What is to be added up, as a pack. */
const SUMS = new PackWriter();
