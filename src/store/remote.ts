import type { TileRange } from '../plan/window.ts';
import type { Row, TakeRow } from './store.ts';
import type { Version } from './stamp.ts';

/**
 * Where rows rest that several processes fold and many read: a database elsewhere. There are no transactions over rows: each
 * says itself how far it has been folded (stamp.ts), and whoever folds leaves out what a row contains already.
 */
export interface RemoteRows {
  /**
   * Hands over the rows that there are of those that are wanted, in their order, each with its version; where it rejects,
   * none of them.
   *
   * @param wanted addresses in order, each once, spelt as rows of a run that have no value
   */
  readRows(wanted: Uint8Array, take: TakeVersioned): Promise<void>;
  /**
   * Writes rows that have been folded up to a version. One that is there with a greater stamp stays, and the same write may
   * come again. When it resolves, all are acknowledged; where it rejects, any of them may be there.
   *
   * @param run rows in order of their addresses, spelt as packs
   */
  writeRows(run: Uint8Array[], version: Version): Promise<void>;
  /**
   * The rows of some keys, each once, in ranges that ascend by (level, start) and do not overlap: those of one key in that order,
   * and between them those of others.
   */
  readKeys(entity: number, keys: Uint8Array[], ranges: TileRange[], take: TakeKeyed): Promise<void>;
  /** Every row of a level, in no order. For checks and exports. */
  scan(levelMs: number): AsyncIterable<Row & Version>;
}

/** Is handed a row of the `index`th of the keys: its value is [start, end) of bytes. */
export type TakeKeyed = (index: number, ...row: Parameters<TakeRow>) => void;

/** Is handed the `index`th of the rows that are wanted: its value is [start, end) of bytes. */
export type TakeVersioned = (index: number, bytes: Uint8Array, start: number, end: number, version: Version) => void;
