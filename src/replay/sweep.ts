/**
 * A job of a replay that goes key by key instead of event by event: of all events it keeps what its columns need, puts that in order of
 * the keys, and lets each window run over it once.
 *
 *   1. batch    decode, given, select, part (batches.ts)
 *   2. gather   the moment, the key and the values of each event, into strands (assembly/strand.ts)
 *   3. sort     by key
 *   4. sweep    column by column (assembly/sweep.ts), each straight into its file
 *
 * Where memory has no room for the strands they are put aside as they come (aside.ts), are sorted and swept by portions of all keys, and columns are put together
 * of what portions have of them (weave.ts). What it leaves is what a job makes that takes event by event, to the last bit. Where a key alone has no room, or
 * events are too much out of order, that one has to do it.
 */
import { assert } from '../base/assert.ts';
import type { Layout } from '../kernel/layout.ts';
import { typeIndex } from '../kernel/layout.ts';
import type { Decoder } from '../kernel/ndjson.ts';
import { Strands } from '../kernel/strand.ts';
import { itemsMax, mannerOf, sweep } from '../kernel/sweep.ts';
import { type SweptRows, sweptRows } from '../kernel/swept.ts';
import { STATUS } from '../kernel/window.ts';
import type { Read } from '../plan/expression.ts';
import type { Aggregate, EventType } from '../plan/plan.ts';
import type { Block } from '../source/source.ts';
import { Aside } from './aside.ts';
import { type Batch, BatchMaker, type BatchParts, ownKey, type Taker } from './batches.ts';
import { BLOCK_ROWS, type ColumnWriter } from './column_file.ts';
import { Woven } from './weave.ts';

export interface SweepParts extends BatchParts {
  outputs: { column: string; writer: ColumnWriter }[];
  /** Of the event type in hand. */
  rows: number;
  /** Of all types that are read. */
  events: number;
  /** For strands and a column. */
  memoryBytes: number;
  /** Of files for what has no room there. */
  path: string;
}

/** Can an aggregate be swept: is it made of events that add to it and nothing else, in a manner that is known? */
export function isSwept({ after }: Read, { fn }: Aggregate, writer: EventType): boolean {
  return after === null && !writer.changelog && !writer.weight && mannerOf(fn) !== null;
}

/**
 * Of each row of the column that is swept: value 8, null, status; and of each step beside it totals 16, places of a line and a queue 4 each,
 * and 4 for each window whose edges are kept.
 */
const COLUMN_BYTES = 10 + 16 + 8;
const EDGES_BYTES = 4;
const EDGES_MAX = 8;
/** Of an item of a list: its value. */
const ITEM_BYTES = 8;

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

/** Of the memory, while a column is put together: what was swept is no longer there then. */
const LOOM_SHARE = 1 / 32;

export class Sweeper implements Taker {
  readonly #parts: SweepParts;
  readonly #strands: Strands;
  readonly #columns: SweptColumn[];
  readonly #maker: BatchMaker;
  readonly #aside: Aside;
  #owned: Uint8Array[] = [];

  constructor(parts: SweepParts) {
    this.#parts = parts;
    const { layout, path, memoryBytes, events } = parts;
    const strands = new Strands(layout);
    this.#strands = strands;
    this.#columns = columnsOf(parts, strands);
    const items = Math.max(...this.#columns.map(({ aggregate }) => itemsMax(aggregate.fn)));
    const rowBytes = columnBytes(strands.windowCount) + ITEM_BYTES * items;
    this.#aside = new Aside({ kernel: layout.kernel, strands, path, memoryBytes, rowBytes, events });
    this.#maker = new BatchMaker(parts, null, batch => parts.stages.time('tile', () => this.#gather(batch)));
  }

  take(lines: Block): void {
    this.#maker.take(lines);
  }

  /** Shows somebody else what it decodes. */
  set watch(watch: (decoder: Decoder) => void) {
    this.#maker.watch = watch;
  }

  #gather({ position, count, owned }: Batch): void {
    if (this.#aside.isHopeless) return;
    this.#strands.gather();
    if (owned) this.#owned.push(owned);
    if (this.#aside.isFull) this.#aside.put(position + count, this.#takeOwned());
  }

  #takeOwned(): Uint8Array | null {
    const taken = this.#parts.part ? Buffer.concat(this.#owned) : null;
    this.#owned = [];
    return taken;
  }

  /** Writes the columns. @returns false where it has given up, with columns that are not finished */
  finish(): boolean {
    const { events, stages } = this.#parts;
    if (this.#aside.isHopeless) return false;
    const owned = this.#takeOwned();
    if (!this.#aside.isUsed) return this.#sweepAll(owned);
    stages.time('tile', () => this.#aside.put(events, owned));
    return this.#sweepPortions();
  }

  close(): void {
    this.#aside.close();
  }

  #sweepAll(owned: Uint8Array | null): boolean {
    const { layout, rows, stages } = this.#parts;
    stages.time('tile', () => this.#strands.sort());
    for (const column of this.#columns) {
      if (!this.#sweep(column)) return false;
      const hasFaults = this.#hasFaults(column);
      stages.time('write', () => {
        for (const [from, to] of blocksOf(rows)) {
          const block = sweptRows(layout.kernel, column.writer.type, from, to);
          writeBlock(column, block, owned?.subarray(from, to) ?? null, hasFaults);
        }
      });
    }
    return true;
  }

  #sweepPortions(): boolean {
    const { layout, stages, path, memoryBytes } = this.#parts;
    const room = [this.#aside.portionCount, memoryBytes * LOOM_SHARE] as const;
    const columns = this.#columns.map((column, i) => {
      return { column, woven: new Woven(`${path}.${i}`, column.writer.type, ...room), hasFaults: false };
    });
    try {
      for (const portion of this.#aside.portions()) {
        if (portion === null) return false;
        for (const each of columns) {
          if (!this.#sweep(each.column)) return false;
          each.hasFaults ||= this.#hasFaults(each.column);
          stages.time('write', () => each.woven.add(layout.kernel, portion.index, portion.rows));
        }
      }
      for (const { column, woven, hasFaults } of columns) {
        stages.time('write', () => this.#weave(column, woven, hasFaults));
        woven.close();
      }
      return true;
    } finally {
      for (const { woven } of columns) woven.close();
    }
  }

  #weave(column: SweptColumn, woven: Woven, hasFaults: boolean): void {
    const { layout, rows, part } = this.#parts;
    woven.start(layout.kernel);
    for (const [from, to] of blocksOf(rows)) {
      let owned: Uint8Array | null = null;
      const owners = (into: Uint8Array) => {
        this.#aside.owners(from, into);
        if (part) owned = ownedBy(into, layout.kernel.exports.OWNED_BY_OTHERS.value);
      };
      const block = woven.next(layout.kernel, to - from, owners);
      writeBlock(column, block, owned, hasFaults);
    }
    woven.end(layout.kernel);
  }

  /** False where its events are too much out of order. */
  #sweep({ place, aggregate, window }: SweptColumn): boolean {
    const { layout, stages } = this.#parts;
    return stages.time('answer', () => sweep(layout.kernel, place, aggregate, window));
  }

  /** Has what was swept last values with which something is wrong? */
  #hasFaults({ tellsFaults }: SweptColumn): boolean {
    return tellsFaults && this.#parts.layout.kernel.exports.sweptFaults.value > 0;
  }
}

/** A byte a row, 1 where it is not for others to say. @param owners u16 each */
function ownedBy({ buffer, byteOffset, byteLength }: Uint8Array, others: number): Uint8Array {
  const owners = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return Uint8Array.from(owners, owner => (owner === others ? 0 : 1));
}

function* blocksOf(rows: number): Generator<[from: number, to: number]> {
  for (let from = 0; from < rows; from += BLOCK_ROWS) yield [from, Math.min(rows, from + BLOCK_ROWS)];
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

function writeBlock({ writer }: SweptColumn, block: SweptRows, owned: Uint8Array | null, hasFaults: boolean): void {
  if (hasFaults) writeFaults(writer, block, owned);
  writer.addBlock(block, owned);
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
