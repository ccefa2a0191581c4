import type { FaultCode } from '../base/fault.ts';
import { sideBySide } from '../base/side_by_side.ts';
import type { StageMs } from '../base/stages.ts';
import type { BadRecord } from '../ingest/engine.ts';
import type { Keeping } from '../ingest/expiry.ts';
import type { Clocks } from '../kernel/clock.ts';
import type { CompiledKernels } from '../kernel/instance.ts';
import type { Refused } from '../kernel/late.ts';
import type { Ids } from '../kernel/layout.ts';
import type { Settings } from '../kernel/load.ts';
import type { LateRow } from '../meta/meta.ts';
import type { Plan } from '../plan/plan.ts';
import type { ExplainedFeature } from '../read/explain.ts';
import type { SealedRun } from '../store/sealed.ts';
import type { Mark } from '../store/store.ts';
import type { PackedColumns } from './columns.ts';

/**
 * What passes between the crew and its workers. Bytes are moved, not copied: whoever has sent them has them no more.
 * Messages of one sender arrive in order, and that is all that the crew needs for an answer to be of one prefix.
 */

/** Keys, side by side: thousands of small arrays would be slow to send. */
export interface PackedKeys {
  bytes: Uint8Array;
  /** Where each ends. */
  ends: Uint32Array;
}

export function packKeys(keys: Uint8Array[]): PackedKeys {
  return sideBySide(keys);
}

export function unpackKeys({ bytes, ends }: PackedKeys): Uint8Array[] {
  return Array.from(ends, (end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

/** To a shard. */
export type ToShard =
  | {
      kind: 'open';
      role: 'shard';
      /** How many there are. */
      shards: number;
      database: string;
      plan: Plan;
      ids: Ids;
      settings: Settings;
      mark: Mark;
      /** What its rows may occupy: lookups leave in memory what they read up to here. */
      memoryBytes: number;
      kernels: CompiledKernels;
    }
  /** Decode a chunk; its clocks come with it, or later with `clocks`. Chunks are taken one after the other. */
  | {
      kind: 'decode';
      lines: Uint8Array<ArrayBuffer>;
      count: number;
      position: number;
      arrivalMicros: bigint | null;
      clocks: Clocks | null;
    }
  | { kind: 'clocks'; clocks: Clocks }
  /**
   * Gather its share of events that were decoded for all shards (assembly/share.ts): the memory is another's again when it has
   * answered. The clocks are those behind them. `folds` has it fold what it has gathered.
   */
  | { kind: 'gather'; share: Uint8Array<SharedArrayBuffer>; clocks: Clocks; folds: boolean }
  /** What the upserts take back that it has listed last (kernel/upsert.ts). */
  | { kind: 'before'; before: Uint8Array<ArrayBuffer> }
  /** Fold the changes of a chunk; the clocks are those behind it. */
  | { kind: 'apply'; changes: Uint8Array<ArrayBuffer>; clocks: Clocks }
  | {
      kind: 'answer';
      id: number;
      entity: string;
      features: string[];
      keys: PackedKeys;
      timeMicros: bigint;
      isPast: boolean;
    }
  | {
      kind: 'explain';
      id: number;
      entity: string;
      feature: string;
      key: Uint8Array;
      timeMicros: bigint;
      isPast: boolean;
    }
  /** `isSealed` has it compress what it gives. */
  | { kind: 'snapshot'; isSealed: boolean }
  /** What the last snapshot had is in the store. Rows leave until they occupy at most so many bytes. */
  | { kind: 'settle'; targetBytes: number }
  | { kind: 'close' };

/** From a shard. */
export type FromShard =
  | { kind: 'opened' }
  /** The clocks behind the chunk that it decodes, and the events of it that are bad. */
  | { kind: 'passed'; clocks: Clocks; bad: BadRecord[] }
  /**
   * Upserts of the chunk that it decodes, before it is `passed`: so they come in the log's order, whoever decodes. It goes on
   * when it is told what they take back.
   */
  | { kind: 'listed'; upserts: Uint8Array<ArrayBuffer> }
  /** The chunk's changes, one buffer for each shard, and what of it tiles no longer took. */
  | { kind: 'tiled'; changes: Uint8Array<ArrayBuffer>[]; refused: Refused[] }
  /** Its share is gathered, or folded, and so much tiles no longer took of what it has folded. */
  | { kind: 'gathered'; refused: Refused[]; sizes: ShardSizes }
  | { kind: 'applied'; sizes: ShardSizes }
  | { kind: 'answered'; id: number; columns: PackedColumns; stages: StageMs }
  | { kind: 'explained'; id: number; explained: ExplainedFeature }
  | { kind: 'refused'; id: number; failure: Failure }
  | ({ kind: 'snapshot' } & TakenOff)
  /** `behind` is of all chunks that it has decoded (`behindCounts`). */
  | { kind: 'settled'; sizes: ShardSizes; behind: number[] }
  | { kind: 'closed' }
  | { kind: 'failed'; failure: Failure };

/** Rows on their way to the store. */
export interface TakenOff {
  /** Parts of a run; none where it is sealed. */
  run: Uint8Array<ArrayBuffer>[];
  /** The oldest first. */
  sealed: SealedRun[];
  rowCount: number;
  highest: Mark['highest'];
}

export interface ShardSizes {
  dirtyCount: number;
  dirtyBytes: number;
  stateBytes: number;
  evicted: number;
  loaded: number;
  /** As of a fold. */
  hasMissedRows: boolean;
  /** Put away, and not in a snapshot yet. */
  pendingRows: number;
  stages: StageMs;
}

/** To the one that writes. */
export type ToWriter =
  | { kind: 'open'; role: 'writer'; database: string; keeping: Keeping[]; kernels: CompiledKernels }
  | {
      kind: 'write';
      runs: Uint8Array<ArrayBuffer>[][];
      sealed: SealedRun[];
      isBulk: boolean;
      rowCount: number;
      mark: Mark;
      errors: BadRecord[];
      late: LateRow[];
      merged: string | null;
    }
  | { kind: 'close' };

export type FromWriter =
  | { kind: 'opened' }
  | { kind: 'written'; expired: number; seconds: number }
  | { kind: 'closed' }
  | { kind: 'failed'; failure: Failure };

/** An error that has crossed between threads; `code` is there for a Fault. */
export interface Failure {
  code: FaultCode | null;
  message: string;
  stack: string;
}
