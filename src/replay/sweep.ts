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
 * order, that one has to do it.
 */
import { assert } from '../base/assert.ts';
import type { Layout } from '../kernel/layout.ts';
import { typeIndex } from '../kernel/layout.ts';
import { Strands } from '../kernel/strand.ts';
import { mannerOf, sweep } from '../kernel/sweep.ts';
import { type SweptRows, sweptRows } from '../kernel/swept.ts';
import { STATUS } from '../kernel/window.ts';
import type { Read } from '../plan/expression.ts';
import type { Aggregate, EventType } from '../plan/plan.ts';
import type { Block } from '../source/source.ts';
import { BatchMaker, type BatchParts, ownKey, type Taker } from './batches.ts';
import { BLOCK_ROWS, type ColumnWriter } from './column_file.ts';

export interface SweepParts extends BatchParts {
  outputs: { column: string; writer: ColumnWriter }[];
  /** Of the event type in hand. */
  rows: number;
}

/** Can an aggregate be swept: is it made of events that add to it and nothing else, in a manner that is known? */
export function isSwept({ after }: Read, { fn }: Aggregate, writer: EventType): boolean {
  return after === null && !writer.changelog && !writer.weight && mannerOf(fn) !== null;
}

/** Of each row of the column that is swept: value 8, null, status; and of each step beside it totals 16, and 4 for each window whose edges are kept. */
const COLUMN_BYTES = 10 + 16;
const EDGES_BYTES = 4;
const EDGES_MAX = 8;

function columnBytes(windowCount: number): number {
  return COLUMN_BYTES + EDGES_BYTES * Math.min(windowCount, EDGES_MAX);
}

/** Of each step of a strand, and of each row beside it: number of the key, moment twice, row, whether it is late, null, status. */
const STEP_BYTES = 27;
/** And of each feed of it: its state and its value. */
const FED_BYTES = 9;

/** About what a job has in memory that sweeps so many columns over so many rows: there are no more feeds, and no more windows, than columns. */
export function sweepBytes(columnCount: number, rows: number): number {
  return rows * (STEP_BYTES + FED_BYTES * columnCount + columnBytes(columnCount));
}

export class Sweeper implements Taker {
  readonly #parts: SweepParts;
  readonly #strands: Strands;
  readonly #columns: SweptColumn[];
  readonly #maker: BatchMaker;
  readonly #owned: Uint8Array[] = [];

  /** @param memoryBytes for strands and a column, of all who take the same events */
  constructor(parts: SweepParts, memoryBytes: number) {
    this.#parts = parts;
    this.#strands = new Strands(parts.layout);
    this.#columns = columnsOf(parts, this.#strands);
    if (!parts.part && sweepBytes(parts.outputs.length, parts.rows) <= memoryBytes) this.#strands.reserve(parts.rows);
    this.#maker = new BatchMaker(parts, null, batch => {
      parts.stages.time('tile', () => this.#strands.gather());
      if (batch.owned) this.#owned.push(batch.owned);
    });
  }

  /** What it holds, and will with a column. */
  get bytes(): number {
    return this.#strands.bytes + this.#parts.rows * columnBytes(this.#strands.windowCount);
  }

  take(lines: Block): void {
    this.#maker.take(lines);
  }

  /** Writes the columns. @returns false where it has given up, with columns that are not finished */
  finish(): boolean {
    const { layout, rows, part, stages } = this.#parts;
    stages.time('tile', () => this.#strands.sort());
    const owned = part ? Buffer.concat(this.#owned) : null;
    for (const column of this.#columns) {
      const isDone = stages.time('answer', () => sweep(layout.kernel, column.place, column.aggregate, column.window));
      if (!isDone) return false;
      stages.time('write', () => writeColumn(layout, column, rows, owned));
    }
    return true;
  }
}

interface SweptColumn {
  writer: ColumnWriter;
  aggregate: Aggregate;
  place: { strand: number; feed: number };
  /** Its number in the kernel. */
  window: number;
  /** What is wrong with a value is an error of its event. */
  tellsFaults: boolean;
}

function columnsOf({ layout, event, subject, outputs }: SweepParts, strands: Strands): SweptColumn[] {
  const reader = typeIndex(layout, event);
  const type = layout.types[reader]!;
  const columns = outputs.map(({ column, writer }) => {
    const expression = subject
      ? subject.answer.features.get(column)!.feature.expression
      : type.event.columns.find(({ name }) => name === column)!.expression;
    assert(expression.kind === 'read', `${column} is more than a read`);
    const { read } = expression;
    const aggregate = layout.plan.aggregates.find(({ name }) => name === read.aggregate)!;
    const keys = subject ? ownKey(layout, reader, subject)! : keysOf(layout, reader, column);
    const place = strands.feedOf({ aggregate, reader, keys, exclusive: read.exclusive });
    const window = strands.windowOf(read.window, aggregate.tiles.offsetMs);
    const tellsFaults = !subject && type.features.find(one => one.column === column)!.error !== null;
    return { writer, aggregate, place, window, tellsFaults };
  });
  // What is made once for a feed stays until another one's turn.
  return columns.sort(({ place: a }, { place: b }) => a.strand - b.strand || a.feed - b.feed);
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
