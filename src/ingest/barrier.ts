import type { SealedRun } from '../store/sealed.ts';
import type { Mark, Rows, Store } from '../store/store.ts';
import type { LateRow, Meta } from '../meta/meta.ts';
import type { BadRecord } from './engine.ts';
import { horizonsOf, type Keeping, sweptKeys } from './expiry.ts';

/** What one barrier brings to the store. */
export interface BarrierWork {
  rows: Rows;
  rowCount: number;
  mark: Mark;
  errors: BadRecord[];
  /** What tile levels have refused since the last one. */
  late: LateRow[];
  /** How far rows from elsewhere have been merged in, where some have been since the last barrier. */
  merged: string | null;
}

/** What one barrier brings to a thread beside this one: copies of the rows, which go there. */
export interface Snapshot extends Omit<BarrierWork, 'rows'> {
  runs: Uint8Array<ArrayBuffer>[][];
  sealed: SealedRun[];
  /** As of the rows of a store. */
  isBulk: boolean;
}

/** Writes barriers in another thread, one after the other. */
export interface BesideWriter {
  /** Resolves when it is in the store: so many rows have left that meanwhile, and so long it took. */
  write(snapshot: Snapshot): Promise<{ expired: number; seconds: number }>;
  /** Resolves when nothing of the thread is left. */
  close(): Promise<void>;
}

/**
 * Rows, errors, what was too late, and the position that all stand for, in one transaction; rows that nothing can read any more leave in
 * it too.
 *
 * @param keeping how long rows are kept; empty where none ever leave
 * @returns how many have left
 */
export function writeBarrier(store: Store, meta: Meta, keeping: Keeping[], work: BarrierWork): number {
  const { rows, rowCount, mark, errors, late, merged } = work;
  let expired = 0;
  store.commit(rows, mark, () => {
    meta.addErrors(errors.map(errorRow));
    meta.addLate(late);
    if (merged !== null) meta.progressBackfill(merged);
    expired = store.sweep(horizonsOf(keeping, mark.clocks), sweptKeys(rowCount));
  });
  return expired;
}

function errorRow(bad: BadRecord) {
  const { position, type, timeMicros, code, reason, sample } = bad;
  return { position, source: 'log', line: null, type, timeMicros, code, message: reason, sample };
}
