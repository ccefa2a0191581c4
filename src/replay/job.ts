/**
 * One job of a replay: events of some types -> columns of one of them. It is alone in the world: what it reads are the events
 * and the columns that it is given, what it leaves are the columns that it was to make.
 *
 *   1. batch   decode, given, select, part (batches.ts)
 *   2. take    event by event: fold, read
 *   3. write   rows of the event type in hand, bad ones too
 *
 * Columns that can be had key by key are swept instead (replay/sweep.ts).
 */
import { assert } from '../base/assert.ts';
import type { Layout } from '../kernel/layout.ts';
import { typeIndex } from '../kernel/layout.ts';
import { copyRows, type FeatureColumn, makeColumn, spreadRows } from '../kernel/feature_column.ts';
import { STRING, type Type } from '../plan/value.ts';
import { type Batch, type BatchParts, eachBatch, type TypeRows } from './batches.ts';
import type { Source } from '../source/source.ts';
import type { ColumnWriter } from './column_file.ts';
import { recordsAtOnce, takeRecords } from './replay.ts';
import type { Spill } from './spill.ts';
import type { Subject } from './subject.ts';

export interface JobParts extends BatchParts {
  source: Source;
  spill: Spill;
  outputs: { column: string; writer: ColumnWriter }[];
  /** Rows of the events that the source has of the type: only these are written, [from, to). */
  from: number;
  to: number;
}

export async function runJob(parts: JobParts): Promise<void> {
  const job = new Job(parts);
  await eachBatch(parts, parts.source, parts.spill.fold, batch => job.take(batch));
}

/** Where the values of a column stand, and what is said to be wrong with them. */
interface Output {
  writer: ColumnWriter;
  type: Type;
  frame: number;
  register: number;
  error: number | null;
}

class Job {
  readonly #parts: JobParts;
  readonly #outputs: Output[];
  /** The number of the type whose rows are written. */
  readonly #type: number;
  readonly #subjects: Subject[];
  readonly #step: number;
  /** Events of the type that were seen. */
  #seen = 0;

  constructor(parts: JobParts) {
    this.#parts = parts;
    const { layout, event, subject } = parts;
    this.#type = typeIndex(layout, event);
    this.#subjects = subject ? [subject] : [];
    this.#outputs = parts.outputs.map(({ column, writer }) => ({ writer, ...this.#placeOf(column) }));
    this.#step = recordsAtOnce(layout, this.#subjects);
  }

  take({ count, position, types, owned }: Batch): void {
    const { layout, stages } = this.#parts;
    const isFolded = layout.groups.length > 0;
    const own = types()[this.#type]!;
    for (let from = 0; from < count; ) {
      const most = Math.min(count, from + this.#step);
      const to = isFolded ? this.#advance(from, most, position) : count;
      stages.time('write', () => this.#write(own, owned, from, to));
      from = to;
    }
  }

  #advance(from: number, most: number, position: number): number {
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
