import type { TypeClock } from '../base/time.ts';
import type { TileRange } from '../plan/window.ts';
import type { RunsAhead } from './ahead.ts';
import type { Run } from './merge.ts';
import type { SealedRun } from './sealed.ts';

/**
 * Where rows rest. A row is opaque bytes under (entity kind, key, level, tile start); a store never looks inside. None begins with 00 or
 * 01, which are the marks of what is to be added to rows (pack.ts).
 *
 * Promise: `commit` is all or nothing, and after a crash the store holds the state of some commit that returned, or
 * of the one under way, never a mixture. It may fall back to an earlier commit after a power cut; `position` says
 * which.
 */
export interface Store extends RowReader {
  /**
   * Writes rows (each replaces the one under its address) and the mark they are folded up to, in one transaction,
   * together with whatever `alongside` writes to the same database. An error that `alongside` throws undoes all of it.
   * The position never goes back. Of rows under the same address the last one stays.
   */
  commit(rows: Rows, mark: Mark, alongside?: () => void): void;
  /** Nothing is to be brought together of what commits have written: else each does some of it, of no rows too. */
  isSettled(): boolean;
  /**
   * Deletes rows that lie before the horizon of their entity and level, of as many keys as asked for and no more than
   * `SWEPT_ROWS_MAX`, going on where the last call has stopped, and round and round. Within `alongside` of a commit it
   * is part of that. Returns how many rows it has deleted.
   */
  sweep(horizons: Horizon[], keysMax: number): number;
  /**
   * Puts what `change` makes of each row in its place, of a few rows that are neighbours, in one transaction: the value
   * itself leaves it, null takes the row away. It goes on from where the last call has stopped; null begins with the first
   * row. What others commit between two calls is seen by those that come to it later.
   *
   * @returns where to go on; null behind the last row
   */
  rewrite(from: RewritePlace | null, change: (value: Uint8Array) => Uint8Array | null): RewritePlace | null;
  /** Forgets all rows and goes back to position 0, in one transaction together with what `alongside` does. */
  clear(alongside?: () => void): void;
}

/** What a store is to those who only read: there may be several, in as many threads. */
export interface RowReader {
  /** Rows that whoever folds has put away until a commit brings them: this reader, and none beside it, has them before those of the store. */
  readonly ahead: RunsAhead;
  /** What the rows have been folded from, as the last commit said; position 0 and no clocks when empty. */
  mark(): Mark;
  /**
   * The rows of one key in ranges that ascend by (level, start) and do not overlap, in that order. Made for lookups: one
   * walk for all, as far as the rows are neighbours, and no object for a row.
   */
  readKey(entity: number, key: Uint8Array, ranges: TileRange[], take: TakeRow): void;
  /** The rows of one key with tile starts in [fromMs, toMs), ascending; `toMs` may be Infinity. */
  readRange(entity: number, key: Uint8Array, levelMs: number, fromMs: number, toMs: number): Row[];
  /**
   * Hands over the rows that there are of those that are wanted, in their order. Made for folding: what lies together is read
   * once, and there is no object for a row.
   *
   * @param wanted addresses in order, each once, spelt as rows of a run that have no value
   */
  readRows(wanted: Uint8Array, take: TakeWanted): void;
  /**
   * Every row, ordered by (entity, key bytes, level, tile start), or those behind an address. For checks and exports: a
   * commit made meanwhile may show in part.
   */
  scan(after?: RowAddress): Iterable<Row>;
  /** Lets go of what it holds. Whoever opened a driver closes that. */
  close(): void;
}

/** Is handed a row: its value is [start, end) of bytes that hold until it returns, and that neighbours share. */
export type TakeRow = (levelMs: number, tileStartMs: number, bytes: Uint8Array, start: number, end: number) => void;

/** Is handed the `index`th of the rows that are wanted: its value is [start, end) of bytes that hold until it returns. */
export type TakeWanted = (index: number, bytes: Uint8Array, start: number, end: number) => void;

/** How far a log has been folded, and what folding has to know to go on from there. */
export interface Mark {
  /** Records that the rows contain: the position of the first one that they do not. */
  position: number;
  /** Each event type's clock at that position, by name. */
  clocks: Map<string, TypeClock>;
  /** The latest tile of any row, for each entity kind and level; what is not listed has no rows. */
  highest: { entity: number; levelMs: number; tileStartMs: number }[];
}

/** Rows of an entity kind and a level that may go. */
export interface Horizon {
  entity: number;
  levelMs: number;
  /** Tiles that start before it. */
  beforeMs: number;
}

/** Rows to be written: in any order, or as runs (assembly/run.ts makes them). */
export type Rows = Iterable<Row> | RowRuns;

export interface RowRuns {
  /** They become one, and have no address in common. */
  runs: Run[];
  /**
   * Each stays one of its own: under an address that two have, the row of the later one counts, and that of `runs` before both. They may
   * have addends, which count as well as what they are added to.
   */
  sealed: SealedRun[];
  /** More follows at once, and hardly a row is read meanwhile: runs are made fewer only when they are many, and the rest later. */
  isBulk: boolean;
}

/** How far rows have been rewritten: only the store knows what it says. */
export type RewritePlace = Uint8Array;

export interface RowAddress {
  /** The dictionary's id of the entity kind. */
  entity: number;
  /** Canonical key bytes. */
  key: Uint8Array;
  /** Tile length in milliseconds; 0 is the lifetime. */
  levelMs: number;
  tileStartMs: number;
}

export interface Row extends RowAddress {
  /** FeaturesCombined. */
  value: Uint8Array;
}
