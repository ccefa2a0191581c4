import { fromBinary } from '@bufbuild/protobuf';
import { ChangeBatchSchema } from '../gen/tilefold/v1/change_pb.ts';
import { select } from '../ingest/advance.ts';
import type { Layout } from '../kernel/layout.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { changes, spellChanges } from '../kernel/change.ts';
import { tile } from '../kernel/tile.ts';
import { completeBatch } from '../kernel/upsert.ts';
import { INT64 } from '../plan/value.ts';
import { type Beside, tableBeside, type TileChoice, type TileTable } from '../read/tiles.ts';
import type { Source } from '../source/source.ts';
import type { Row } from '../store/store.ts';
import type { Spill } from './spill.ts';

/** What the events of a stretch of the log add to one row: merged into it, its value is the row's after them. */
export interface ChangedRow extends Row {
  /** Positions of events: the first, and the first that is none of them. */
  fromPosition: number;
  toPosition: number;
}

/** Records of a log, by position. */
export interface LogStretch {
  source: Source;
  /** Position of the source's first record. */
  first: number;
  /** What is told is of records [from, to). */
  from: number;
  to: number;
}

/** Changes that are put in order of their entities together: enough for row groups, few enough to be held. */
const CHANGES_MAX = 16_384;

/** What tile says to fold, as a table: the columns of a table of tiles, and which events each change is of. */
export function changeTable(layout: Layout, choice: TileChoice): TileTable<ChangedRow> {
  return tableBeside(layout, choice, RANGE);
}

const RANGE: Beside<ChangedRow> = {
  shapes: [
    { name: '_from', type: INT64, isRequired: true },
    { name: '_to', type: INT64, isRequired: true },
  ],
  columns(rows) {
    const nulls = new Uint8Array(rows.length);
    return [
      { name: '_from', type: INT64, values: BigInt64Array.from(rows, row => BigInt(row.fromPosition)), nulls },
      { name: '_to', type: INT64, values: BigInt64Array.from(rows, row => BigInt(row.toPosition)), nulls },
    ];
  },
};

/**
 * The changes of a log: decode -> select -> tile, `step` events at a time. Events before the stretch move the clocks, and
 * are not tiled.
 *
 * @returns changes of at most some thousand events, one entity after the other, and each entity's in the log's order
 */
export async function* changedRows(
  layout: Layout,
  last: Spill | null,
  log: LogStretch,
  step: number,
): AsyncGenerator<ChangedRow[]> {
  let waiting: ChangedRow[] = [];
  for await (const { position, count } of decodedBatches(layout, last, log)) {
    const end = Math.min(position + count, log.to);
    let from = Math.max(position, log.from);
    if (from < end) select(layout);
    for (let to = from; from < end; from = to) {
      // Stretches begin at multiples of the step, so that cuts of the log into blocks show as little as they can.
      to = Math.min(end, from - (from % step) + step);
      tile(layout.kernel, from - position, to - position);
      spellChanges(layout.kernel);
      for (const row of rowsOf(changes(layout.kernel, 0), from, to)) waiting.push(row);
      if (waiting.length < CHANGES_MAX) continue;
      yield byEntity(waiting);
      waiting = [];
    }
  }
  if (waiting.length > 0) yield byEntity(waiting);
}

/**
 * Batches of records in the kernel, up to the stretch's end, their clocks passed. Each stands there until the next.
 *
 * @param last where the last rows of upserts are, in a kernel of their own; null where the plan has none
 */
export async function* decodedBatches(
  { kernel, types }: Layout,
  last: Spill | null,
  { source, first, to }: LogStretch,
): AsyncGenerator<{ position: number; count: number }> {
  const decoder = new Decoder(kernel, types);
  let position = first;
  for await (const { bytes, arrivalMicros } of source.read(0)) {
    decoder.fill(bytes);
    while (position < to && decoder.next(position, arrivalMicros)) {
      if (last) completeBatch(kernel, last.fold);
      last?.makeRoom(position + decoder.count);
      yield { position, count: decoder.count };
      position += decoder.count;
    }
    if (position >= to) return;
  }
}

/** Changes as rows, with positions beside them. The bytes are the kernel's, and are copied. */
export function rowsOf(batch: Uint8Array, fromPosition: number, toPosition: number): ChangedRow[] {
  return fromBinary(ChangeBatchSchema, batch.slice()).changes.map(({ entity, key, level, tileStart, features }) => ({
    ...{ entity, key, levelMs: Number(level), tileStartMs: Number(tileStart), value: features },
    ...{ fromPosition, toPosition },
  }));
}

function byEntity(rows: ChangedRow[]): ChangedRow[] {
  return rows.sort((a, b) => a.entity - b.entity);
}
