/**
 * The events of a job, batch by batch, as whoever computes its columns takes them:
 *
 *   1. decode   a batch of events
 *   2. given    columns of earlier jobs, into registers of their events
 *   3. select   what is made of the event alone
 *   4. part     of a job for a part of all keys: the others' events are passed over, for all but the clocks
 */
import { assert } from '../base/assert.ts';
import type { Stages } from '../base/stages.ts';
import { select } from '../ingest/advance.ts';
import type { Fold } from '../kernel/fold.ts';
import { type Block, fillGiven } from '../kernel/given.ts';
import type { Layout } from '../kernel/layout.ts';
import { registerOf, typeIndex } from '../kernel/layout.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { type KeyRegisters, partitionRows } from '../kernel/partition.ts';
import { completeBatch } from '../kernel/upsert.ts';
import type { Block as Lines, Source } from '../source/source.ts';
import type { ColumnReader } from './column_file.ts';
import type { Subject } from './subject.ts';

export interface BatchParts {
  /** Of what the job has to know of the plan. */
  layout: Layout;
  /** Whose rows it makes. */
  event: string;
  /** Whoever looks up, for columns of sets; null where the columns are the event's own. */
  subject: Subject | null;
  /** By event type; each from the first event on that the source has. */
  given: { event: string; column: string; reader: ColumnReader }[];
  /** Which part of all keys it is for; null for all of them. */
  part: { index: number; count: number } | null;
  stages: Stages;
}

/** The events of one type in a batch. */
export interface TypeRows {
  /** Indices among the records of the batch. */
  records: Int32Array;
  /** In the type's frame; -1 of those that are none. */
  rows: Int32Array;
}

export interface Batch {
  count: number;
  /** Of its first record. */
  position: number;
  /** By the number of the type. */
  types: () => TypeRows[];
  /** Of each event of the type in hand, 1 where what it reads is in the part; null where there are no parts. */
  owned: Uint8Array | null;
}

/** Whoever takes the events of a source, lines by lines in their order: several may over one reading. */
export interface Taker {
  take(lines: Lines): void;
}

/** All events of a source. @param fold has the last rows of upserts; only who reads such has to have it */
export async function eachBatch(
  parts: BatchParts,
  source: Source,
  fold: Fold | null,
  take: (batch: Batch) => void,
): Promise<void> {
  const maker = new BatchMaker(parts, fold, take);
  for await (const lines of source.read(0)) maker.take(lines);
}

/** Makes batches of lines, and hands them on. */
export class BatchMaker implements Taker {
  readonly #decoder: Decoder;
  readonly #batches: Batches;
  #position = 0;
  /** Who looks at what is decoded, before anything is made of it. */
  watch: ((decoder: Decoder) => void) | null = null;

  constructor(
    private readonly parts: BatchParts,
    private readonly fold: Fold | null,
    private readonly hand: (batch: Batch) => void,
  ) {
    this.#decoder = new Decoder(parts.layout.kernel, parts.layout.types);
    this.#batches = new Batches(parts);
  }

  take({ bytes, arrivalMicros }: Lines): void {
    const { layout, stages } = this.parts;
    const decoder = this.#decoder;
    stages.time('decode', () => decoder.fill(bytes));
    while (stages.time('decode', () => decoder.next(this.#position, arrivalMicros))) {
      assert(decoder.rejected().length === 0, 'a timeline holds nothing but events');
      if (layout.keepsLastRows) {
        const { fold } = this;
        assert(fold, 'last rows of upserts are kept by a fold');
        stages.time('fold', () => completeBatch(layout.kernel, fold));
      }
      this.watch?.(decoder);
      this.hand(this.#batches.next(decoder.count, this.#position));
      this.#position += decoder.count;
    }
  }
}

class Batches {
  readonly #parts: BatchParts;
  /** The number of the type whose rows are made. */
  readonly #type: number;
  /** How its events name what they read, and all keys by which events of each type write or read. */
  readonly #keys: { own: KeyRegisters | null; ofTypes: KeyRegisters[][] };
  #blocks: Block[] = [];

  constructor(parts: BatchParts) {
    this.#parts = parts;
    const { layout, event, subject } = parts;
    this.#type = typeIndex(layout, event);
    const own = ownKey(layout, this.#type, subject);
    this.#keys = { own, ofTypes: layout.types.map((_, type) => this.#keysOf(type, own)) };
  }

  next(count: number, position: number): Batch {
    const { layout, stages, part, given } = this.#parts;
    let found: TypeRows[] | null = null;
    // Who takes all events together does not ask for it.
    const types = () => (found ??= rowsByType(layout, count));
    stages.time('select', () => {
      this.#empty();
      if (given.length > 0) this.#fill(types());
      select(layout);
    });
    return { count, position, types, owned: part && this.#ownedRows(types(), part) };
  }

  #keysOf(type: number, own: KeyRegisters | null): KeyRegisters[] {
    const { layout } = this.#parts;
    const of = layout.types[type]!;
    const written = layout.plan.aggregates
      .filter(({ event }) => event === of.event.name)
      .map(({ keys }) => keys.map(key => ({ register: registerOf(of, key), type: key.type })));
    const all = type === this.#type && own ? [own, ...written] : written;
    return [...new Map(all.map(key => [JSON.stringify(key), key])).values()];
  }

  /** What columns of the batch before needed room for. */
  #empty(): void {
    const { exports } = this.#parts.layout.kernel;
    for (const { start, size } of this.#blocks) exports.release(start, size);
    this.#blocks = [];
  }

  /** Columns that are given go to the rows of their events. */
  #fill(types: TypeRows[]): void {
    const { layout, given } = this.#parts;
    const { kernel } = layout;
    for (const { event, column, reader } of given) {
      const index = typeIndex(layout, event);
      const { frame, given: registers } = layout.types[index]!;
      const { rows } = types[index]!;
      const block = fillGiven(kernel, frame, registers.get(column)!, reader.take(rows.length), rows);
      if (block) this.#blocks.push(block);
    }
  }

  /** Passes over events of which no key is in the part. */
  #ownedRows(types: TypeRows[], { index, count }: { index: number; count: number }): Uint8Array {
    const { kernel } = this.#parts.layout;
    const { exports } = kernel;
    for (const [type, { records, rows }] of types.entries()) {
      const keys = this.#keys.ofTypes[type]!;
      const parts = keys.map(key => this.#partsOf(type, key, count));
      const recordRows = kernel.ints(exports.recordRow.value, exports.recordCount.value);
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        if (row >= 0 && !parts.some(part => part[row] === index)) recordRows[records[i]!] = -1;
      }
    }
    const { rows } = types[this.#type]!;
    const { own } = this.#keys;
    assert(own, 'a job for a part of all keys has events that read');
    const parts = this.#partsOf(this.#type, own, count);
    return Uint8Array.from(rows, row => ((row < 0 ? index === 0 : parts[row] === index) ? 1 : 0));
  }

  #partsOf(type: number, key: KeyRegisters, count: number): Uint8Array {
    const { kernel, types } = this.#parts.layout;
    const parts = new Uint8Array(kernel.exports.typeRows(type));
    partitionRows(kernel, types[type]!.frame, key, count, parts);
    return parts;
  }
}

/** How the events whose rows are made name what they read. */
export function ownKey(layout: Layout, type: number, subject: Subject | null): KeyRegisters | null {
  const of = layout.types[type]!;
  if (subject) return subject.keys.map(key => ({ register: registerOf(of, key), type: key.type }));
  const [read] = of.reads;
  return read ? read.read.keys!.map((key, i) => ({ register: read.keys[i]!, type: key.type })) : null;
}

function rowsByType({ kernel, types }: Layout, count: number): TypeRows[] {
  const { exports } = kernel;
  const recordTypes = kernel.ints(exports.recordType.value, count);
  const recordRows = kernel.ints(exports.recordRow.value, count);
  return types.map((_, type) => {
    const records = new Int32Array(count);
    let length = 0;
    for (let record = 0; record < count; record++) if (recordTypes[record] === type) records[length++] = record;
    const own = records.subarray(0, length);
    return { records: own, rows: Int32Array.from(own, record => recordRows[record]!) };
  });
}
