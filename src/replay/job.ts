/**
 * One job of a replay: events of some types -> columns of one of them. It is alone in the world: what it reads are the events
 * and the columns that it is given, what it leaves are the columns that it was to make.
 *
 *   1. decode   a batch of events
 *   2. given    columns of earlier jobs, into registers of their events
 *   3. select   what is made of the event alone
 *   4. part     of a job for a part of all keys: the others' events are passed over, for all but the clocks
 *   5. take     event by event: fold, read
 *   6. write    rows of the event type in hand, bad ones too
 */
import { assert } from '../base/assert.ts';
import type { Stages } from '../base/stages.ts';
import { select } from '../ingest/advance.ts';
import { fillGiven, type Block } from '../kernel/given.ts';
import type { Layout } from '../kernel/layout.ts';
import { registerOf, typeIndex } from '../kernel/layout.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { type KeyRegisters, partitionRows } from '../kernel/partition.ts';
import { completeBatch } from '../kernel/upsert.ts';
import { copyRows, type FeatureColumn, makeColumn, spreadRows } from '../kernel/window.ts';
import { STRING, type Type } from '../plan/value.ts';
import type { Source } from '../source/source.ts';
import type { ColumnReader, ColumnWriter } from './column_file.ts';
import { recordsAtOnce, takeRecords } from './replay.ts';
import type { Spill } from './spill.ts';
import type { Subject } from './subject.ts';

export interface JobParts {
  /** Of what the job has to know of the plan. */
  layout: Layout;
  spill: Spill;
  source: Source;
  /** Whose rows it makes. */
  event: string;
  /** Whoever looks up, for columns of sets; null where the columns are the event's own. */
  subject: Subject | null;
  outputs: { column: string; writer: ColumnWriter }[];
  /** By event type; each from the first event on that the source has. */
  given: { event: string; column: string; reader: ColumnReader }[];
  /** Which part of all keys it is for; null for all of them. */
  part: { index: number; count: number } | null;
  /** Rows of the events that the source has of the type: only these are written, [from, to). */
  from: number;
  to: number;
  stages: Stages;
}

export async function runJob(parts: JobParts): Promise<void> {
  const { layout, source, spill, stages } = parts;
  const decoder = new Decoder(layout.kernel, layout.types);
  const job = new Job(parts);
  let position = 0;
  for await (const block of source.read(0)) {
    stages.time('decode', () => decoder.fill(block.bytes));
    while (stages.time('decode', () => decoder.next(position, block.arrivalMicros))) {
      assert(decoder.rejected().length === 0, 'a timeline holds nothing but events');
      if (layout.keepsLastRows) stages.time('fold', () => completeBatch(layout.kernel, spill.fold));
      job.batch(decoder.count, position);
      position += decoder.count;
    }
  }
}

/** Where the values of a column stand, and what is said to be wrong with them. */
interface Output {
  writer: ColumnWriter;
  type: Type;
  frame: number;
  register: number;
  error: number | null;
}

/** The events of one type in a batch. */
interface TypeRows {
  /** Indices among the records of the batch. */
  records: Int32Array;
  /** In the type's frame; -1 of those that are none. */
  rows: Int32Array;
}

class Job {
  readonly #parts: JobParts;
  readonly #outputs: Output[];
  /** The number of the type whose rows are written. */
  readonly #type: number;
  readonly #subjects: Subject[];
  readonly #keys: { own: KeyRegisters | null; ofTypes: KeyRegisters[][] };
  readonly #step: number;
  /** Events of the type that were seen. */
  #seen = 0;
  #blocks: Block[] = [];

  constructor(parts: JobParts) {
    this.#parts = parts;
    const { layout, event, subject } = parts;
    this.#type = typeIndex(layout, event);
    this.#subjects = subject ? [subject] : [];
    this.#outputs = parts.outputs.map(({ column, writer }) => ({ writer, ...this.#placeOf(column) }));
    this.#step = recordsAtOnce(layout, this.#subjects);
    this.#keys = { own: this.#ownKey(), ofTypes: layout.types.map((_, type) => this.#keysOf(type)) };
  }

  batch(count: number, position: number): void {
    const { layout, stages, part } = this.#parts;
    const types = rowsByType(layout, count);
    stages.time('select', () => {
      this.#fill(types);
      select(layout);
    });
    const owned = part && this.#ownedRows(types, part);
    const isFolded = layout.groups.length > 0;
    for (let from = 0; from < count; ) {
      const most = Math.min(count, from + this.#step);
      const to = isFolded ? this.#take(from, most, position) : count;
      stages.time('write', () => this.#write(types[this.#type]!, owned, from, to));
      from = to;
    }
  }

  #take(from: number, most: number, position: number): number {
    const { layout, spill, stages } = this.#parts;
    return stages.time('answer', () => takeRecords(layout, spill, this.#subjects, from, most, position).to);
  }

  #placeOf(name: string): Omit<Output, 'writer'> {
    const { layout, subject } = this.#parts;
    if (subject) {
      const feature = subject.answer.features.get(name);
      assert(feature, `nobody looks up ${name}`);
      return { type: feature.type, frame: subject.answer.frame, register: feature.register, error: null };
    }
    const { features, frame } = layout.types[this.#type]!;
    const feature = features.find(({ column }) => column === name);
    assert(feature, `events are not answered with ${name}`);
    return { type: feature.type, frame, register: feature.register, error: feature.error };
  }

  /** How the events that are written name what they read. */
  #ownKey(): KeyRegisters | null {
    const { layout, subject } = this.#parts;
    const type = layout.types[this.#type]!;
    if (subject) return subject.keys.map(key => ({ register: registerOf(type, key), type: key.type }));
    const [read] = type.reads;
    return read ? read.read.keys!.map((key, i) => ({ register: read.keys[i]!, type: key.type })) : null;
  }

  /** All keys by which events of a type write or read. */
  #keysOf(type: number): KeyRegisters[] {
    const { layout } = this.#parts;
    const of = layout.types[type]!;
    const own = type === this.#type ? this.#ownKey() : null;
    const written = layout.plan.aggregates
      .filter(({ event }) => event === of.event.name)
      .map(({ keys }) => keys.map(key => ({ register: registerOf(of, key), type: key.type })));
    const distinct = new Map([...(own ? [own] : []), ...written].map(key => [JSON.stringify(key), key]));
    return [...distinct.values()];
  }

  /** Columns that are given go to the rows of their events. */
  #fill(types: TypeRows[]): void {
    const { layout, given } = this.#parts;
    const { kernel } = layout;
    for (const { start, size } of this.#blocks) kernel.exports.release(start, size);
    this.#blocks = [];
    for (const { event, column, reader } of given) {
      const index = typeIndex(layout, event);
      const { frame, given: registers } = layout.types[index]!;
      const { rows } = types[index]!;
      const block = fillGiven(kernel, frame, registers.get(column)!, reader.take(rows.length), rows);
      if (block) this.#blocks.push(block);
    }
  }

  /**
   * Passes over events of which no key is in the part.
   *
   * @returns for each event of the type in hand, whether what it reads is in the part
   */
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
    const owned = Uint8Array.from(rows, row => ((row < 0 ? index === 0 : parts[row] === index) ? 1 : 0));
    return owned;
  }

  #partsOf(type: number, key: KeyRegisters, count: number): Uint8Array {
    const { kernel, types } = this.#parts.layout;
    const parts = new Uint8Array(kernel.exports.typeRows(type));
    partitionRows(kernel, types[type]!.frame, key, count, parts);
    return parts;
  }

  /** Writes the rows of records [from, to). */
  #write({ records, rows }: TypeRows, owned: Uint8Array | null, from: number, to: number): void {
    const [start, end] = [firstFrom(records, from), firstFrom(records, to)];
    const inFrame = this.#subjects.length > 0 ? this.#answered(records, start, end) : rows.slice(start, end);
    if (owned) this.#forgetOthers(inFrame, owned.subarray(start, end));
    // Of a range some may lie before it or behind it.
    const low = Math.max(0, this.#parts.from - this.#seen);
    const high = Math.min(end - start, this.#parts.to - this.#seen);
    this.#seen += end - start;
    for (let at = low; at < high; ) {
      const next = Math.min(high, at + this.#outputs[0]!.writer.room);
      const own = owned ? owned.slice(start + at, start + next) : null;
      for (const output of this.#outputs) this.#writeRows(output, inFrame.subarray(at, next), own);
      at = next;
    }
  }

  /** Rows of the subject's frame: those who were answered, one behind the other. */
  #answered(records: Int32Array, start: number, end: number): Int32Array {
    const { kernel } = this.#parts.layout;
    const recordRows = kernel.ints(kernel.exports.recordRow.value, kernel.exports.recordCount.value);
    let row = 0;
    return Int32Array.from(records.subarray(start, end), record => (recordRows[record]! < 0 ? -1 : row++));
  }

  /** What stands in the frame for events of other parts is of events before them. */
  #forgetOthers(inFrame: Int32Array, owned: Uint8Array): void {
    const { kernel } = this.#parts.layout;
    for (const { frame, register, error } of this.#outputs)
      for (const one of error === null ? [register] : [register, error]) {
        const nulls = kernel.exports.frameNulls(frame, one);
        for (let i = 0; i < inFrame.length; i++)
          if (!owned[i] && inFrame[i]! >= 0) kernel.bytes(nulls + inFrame[i]!, 1)[0] = 1;
      }
  }

  #writeRows({ writer, type, frame, register, error }: Output, inFrame: Int32Array, owned: Uint8Array | null): void {
    const { kernel } = this.#parts.layout;
    if (error !== null) this.#writeErrors(writer, frame, error, inFrame, owned);
    writer.add(rowsInFrame(kernel, frame, register, type, inFrame), owned);
  }

  #writeErrors(
    writer: ColumnWriter,
    frame: number,
    error: number,
    inFrame: Int32Array,
    owned: Uint8Array | null,
  ): void {
    const { kernel } = this.#parts.layout;
    const nulls = kernel.bytes(kernel.exports.frameNulls(frame, error), kernel.exports.BATCH_ROWS.value);
    if (inFrame.every(row => row < 0 || nulls[row] === 1)) return;
    const texts = rowsInFrame(kernel, frame, error, STRING, inFrame);
    for (let i = 0; i < inFrame.length; i++)
      if (!texts.nulls[i] && (!owned || owned[i])) writer.error(i, (texts.values as string[])[i]!);
  }
}

/** Rows of a frame as a column: those that are there ascend one by one. */
function rowsInFrame(
  kernel: Layout['kernel'],
  frame: number,
  register: number,
  type: Type,
  inFrame: Int32Array,
): FeatureColumn {
  const places: number[] = [];
  for (let i = 0; i < inFrame.length; i++) if (inFrame[i]! >= 0) places.push(i);
  const found = makeColumn({ name: '', type }, places.length);
  if (places.length > 0) copyRows(kernel, { frame }, { register }, places.length, found, 0, inFrame[places[0]!]!);
  if (places.length === inFrame.length) return found;
  const all = makeColumn({ name: '', type }, inFrame.length);
  spreadRows(found, places, all);
  return all;
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

/** The first index whose record is not before this one. */
function firstFrom(records: Int32Array, record: number): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (records[middle]! < record) low = middle + 1;
    else high = middle;
  }
  return low;
}
