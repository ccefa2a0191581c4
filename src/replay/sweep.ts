/**
 * A job of a replay that goes key by key instead of event by event: of all events it keeps what its columns need, puts that in order of
 * the keys, and lets each window run over it once.
 *
 *   1. batch    decode, given, select, part (batches.ts)
 *   2. gather   the moment, the key and the values of each event, into strands (assembly/strand.ts)
 *   3. sort     by key
 *   4. sweep    column by column (assembly/sweep.ts), each straight into its file
 *
 * What it leaves is what a job makes that takes event by event, to the last bit. Where memory has no room for the strands, or events are too much out of
 * order, it gives up, and that one has to do it.
 */
import { assert } from '../base/assert.ts';
import type { Layout } from '../kernel/layout.ts';
import { typeIndex } from '../kernel/layout.ts';
import { Strands } from '../kernel/strand.ts';
import { mannerOf, sweep, type SweptRows, sweptRows } from '../kernel/sweep.ts';
import { STATUS } from '../kernel/window.ts';
import type { Read } from '../plan/expression.ts';
import type { Aggregate, EventType } from '../plan/plan.ts';
import { type BatchParts, eachBatch, ownKey } from './batches.ts';
import { BLOCK_ROWS, type ColumnWriter } from './column_file.ts';

export interface SweepParts extends BatchParts {
  outputs: { column: string; writer: ColumnWriter }[];
  /** Of the event type in hand. */
  rows: number;
  /** For strands and a column. */
  memoryBytes: number;
}

/** Can an aggregate be swept: is it made of events that add to it and nothing else, in a manner that is known? */
export function isSwept({ after }: Read, { fn }: Aggregate, writer: EventType): boolean {
  return after === null && !writer.changelog && !writer.weight && mannerOf(fn) !== null;
}

/** Of each step of a strand at least, and of each row beside it: number of the key, moment, row, whether it is late, null, status, a feed. */
const STEP_MIN_BYTES = 28;

/** Of each row of the column that is swept: value 8, null, status. */
const ROW_BYTES = 10;

/** @returns false where it has given up, with columns that are not finished */
export async function runSweep(parts: SweepParts): Promise<boolean> {
  const { layout, rows, memoryBytes, stages } = parts;
  const strands = new Strands(layout);
  const columns = columnsOf(parts, strands);
  const isOver = () => strands.bytes + rows * ROW_BYTES > memoryBytes;
  if (!parts.part && rows * STEP_MIN_BYTES <= memoryBytes) strands.reserve(rows);
  const owned: Uint8Array[] = [];
  let hasRoom = !isOver();
  await eachBatch(parts, null, batch => {
    if (!hasRoom) return;
    stages.time('tile', () => strands.gather());
    if (batch.owned) owned.push(batch.owned);
    hasRoom = !isOver();
  });
  if (!hasRoom) return false;
  stages.time('tile', () => strands.sort());
  const ownedRows = parts.part ? Buffer.concat(owned) : null;
  for (const column of columns) {
    const isDone = stages.time('answer', () =>
      sweep(layout.kernel, column.place, column.aggregate, column.read.window),
    );
    if (!isDone) return false;
    stages.time('write', () => writeColumn(layout, column, rows, ownedRows));
  }
  return true;
}

interface SweptColumn {
  writer: ColumnWriter;
  read: Read;
  aggregate: Aggregate;
  place: { strand: number; feed: number };
  /** What is wrong with a value is an error of its event. */
  tellsFaults: boolean;
}

function columnsOf({ layout, event, subject, outputs }: SweepParts, strands: Strands): SweptColumn[] {
  const reader = typeIndex(layout, event);
  const type = layout.types[reader]!;
  return outputs.map(({ column, writer }) => {
    const expression = subject
      ? subject.answer.features.get(column)!.feature.expression
      : type.event.columns.find(({ name }) => name === column)!.expression;
    assert(expression.kind === 'read', `${column} is more than a read`);
    const { read } = expression;
    const aggregate = layout.plan.aggregates.find(({ name }) => name === read.aggregate)!;
    const keys = subject ? ownKey(layout, reader, subject)! : keysOf(layout, reader, column);
    const place = strands.feedOf({ aggregate, reader, keys, exclusive: read.exclusive });
    const tellsFaults = !subject && type.features.find(one => one.column === column)!.error !== null;
    return { writer, read, aggregate, place, tellsFaults };
  });
}

/** Of the read that an event's column is. */
function keysOf({ types }: Layout, type: number, column: string) {
  const { features, reads } = types[type]!;
  const { register } = features.find(one => one.column === column)!;
  const { read, keys } = reads.find(one => one.register === register)!;
  return read.keys!.map((key, i) => ({ register: keys[i]!, type: key.type }));
}

function writeColumn(
  { kernel }: Layout,
  { writer, tellsFaults }: SweptColumn,
  rows: number,
  owned: Uint8Array | null,
): void {
  const hasFaults = tellsFaults && kernel.exports.sweptFaults.value > 0;
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    const to = Math.min(rows, from + BLOCK_ROWS);
    const block = sweptRows(kernel, writer.type, from, to);
    const own = owned?.subarray(from, to) ?? null;
    if (hasFaults) writeFaults(writer, block, own);
    writer.addBlock(block, own);
  }
}

/** As assembly/sequence.ts says them. */
const FAULTS: Partial<Record<(typeof STATUS)[number] & string, string>> = { EXPIRED: 'expired', OVERFLOW: 'overflow' };

function writeFaults(writer: ColumnWriter, { statuses }: SweptRows, owned: Uint8Array | null): void {
  for (let i = 0; i < statuses.length; i++) {
    const status = STATUS[statuses[i]!];
    const text = status && FAULTS[status];
    if (text && (!owned || owned[i])) writer.error(i, text);
  }
}
