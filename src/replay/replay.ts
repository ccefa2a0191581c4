import { Stages } from '../base/stages.ts';
import type { Pipeline } from '../ingest/advance.ts';
import { advanceRecords, select } from '../ingest/advance.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { Layout } from '../kernel/layout.ts';
import type { BadEvent, Rejected } from '../kernel/ndjson.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { rowsAtOnce } from '../kernel/last_n.ts';
import type { FeatureColumn } from '../kernel/window.ts';
import { copyRows, makeColumn, spreadRows } from '../kernel/window.ts';
import { answerRecord, derive } from '../read/answer.ts';
import type { Source } from '../source/source.ts';
import type { Spill } from './spill.ts';
import type { ReplayColumn, Subject } from './subject.ts';
import { subjectsOf } from './subject.ts';

export interface ReplayParts {
  /** Freshly laid out. */
  layout: Layout;
  /** Of that layout: rows are folded in the decoding kernel, and what memory has no room for is put aside. */
  spill: Spill;
  source: Source;
  /** A line that is no record, with the line of its file; and a logged event that cannot count, with its position. */
  onRejected: (rejected: Rejected & { file: string }) => void;
  onBad: (bad: BadEvent & { file: string; position: number }) => void;
  stages?: Stages | undefined;
}

/** Good events of declared types, in the log's order, each with the features of its entities as of itself. */
export interface ReplayBatch {
  count: number;
  positions: BigInt64Array;
  /** Microseconds since 1970 UTC. */
  timesMicros: BigInt64Array;
  types: string[];
  /** As `Replay.columns` lists them; a column of another event type's entity is null. */
  columns: FeatureColumn[];
}

export interface Replay {
  columns: ReplayColumn[];
  batches: AsyncIterable<ReplayBatch>;
  /** How many records were read by now: those that cannot count and those of undeclared types too. */
  records(): number;
}

/**
 * The way of an event, replayed: decode -> select -> for each event: advance by it, answer as of it -> derive.
 *
 * These are the steps of ingest and of lookups themselves, taken event by event: the row of the event at position p is
 * what a lookup at that prefix and that event's time would have answered.
 */
export function replay(parts: ReplayParts): Replay {
  const { columns, subjects } = subjectsOf(parts.layout);
  const read = { records: 0 };
  return { columns, batches: batches(parts, columns, subjects, read), records: () => read.records };
}

async function* batches(
  parts: ReplayParts,
  columns: ReplayColumn[],
  subjects: Subject[],
  read: { records: number },
): AsyncGenerator<ReplayBatch> {
  const { layout, spill, source, stages = new Stages() } = parts;
  const step = rowsAtOnce(
    layout.kernel,
    subjects.map(({ answer }) => ({ answer, features: [...answer.features.values()] })),
  );
  const decoder = new Decoder(layout.kernel, layout.types);
  let position = 0;
  for await (const block of source.read(0)) {
    stages.time('decode', () => decoder.fill(block.bytes));
    let { line } = block;
    while (stages.time('decode', () => decoder.next(position, block.arrivalMicros))) {
      const { file } = block;
      for (const one of decoder.rejected()) parts.onRejected({ ...one, file, line: line + one.line - 1 });
      for (const one of decoder.bad())
        parts.onBad({ ...one, file, line: line + one.line - 1, position: position + one.record });
      stages.time('select', () => select(layout));
      for (let from = 0; from < decoder.count; from += step) {
        const to = Math.min(decoder.count, from + step);
        const batch = replayRecords(layout, spill, columns, subjects, from, to, position, stages);
        read.records = position + to;
        if (batch.count > 0) yield batch;
      }
      position += decoder.count;
      line += decoder.lines;
    }
  }
}

/** Records [from, to) of a decoded batch, at most as many as an answer's frame has rows. */
function replayRecords(
  layout: Layout,
  spill: Spill,
  columns: ReplayColumn[],
  subjects: Subject[],
  from: number,
  to: number,
  position: number,
  stages: Stages,
): ReplayBatch {
  const startMs = performance.now();
  const { kernel, types } = layout;
  const pipeline: Pipeline = { layout, folds: [spill.fold] };
  const { exports } = kernel;
  // Copies, for memory may grow while the events are folded.
  const recordTypes = kernel.ints(exports.recordType.value + from * 4, to - from).slice();
  const recordRows = kernel.ints(exports.recordRow.value + from * 4, to - from).slice();
  const readers = types.map(type => subjects.filter(subject => subject.event === type.event.name));
  const filled = new Map(subjects.map(subject => [subject, 0]));
  exports.forgetTexts();
  for (let i = 0; i < to - from; i++) {
    advanceRecords(pipeline, from + i, from + i + 1);
    if (recordRows[i]! < 0) continue;
    for (const reader of readers[recordTypes[i]!]!) {
      const row = filled.get(reader)!;
      answerRecord(kernel, reader.answer, from + i, row, spill.reader(reader.entity));
      filled.set(reader, row + 1);
    }
    spill.makeRoom(position + from + i + 1);
  }
  for (const [subject, count] of filled) derive(kernel, subject.answer, count);
  stages.add('answer', performance.now() - startMs);
  const good = goodRecords(recordTypes, recordRows);
  return stages.time('reply', () => gather(layout, columns, subjects, good, from, position));
}

/** Indices of records that count, and the type of each. */
interface Good {
  records: number[];
  types: number[];
}

function goodRecords(recordTypes: Int32Array, recordRows: Int32Array): Good {
  const good: Good = { records: [], types: [] };
  for (let i = 0; i < recordRows.length; i++) {
    if (recordRows[i]! < 0) continue;
    good.records.push(i);
    good.types.push(recordTypes[i]!);
  }
  return good;
}

/** What the subjects' frames hold, as columns over the good records. */
function gather(
  layout: Layout,
  columns: ReplayColumn[],
  subjects: Subject[],
  good: Good,
  from: number,
  position: number,
): ReplayBatch {
  const { kernel, types } = layout;
  const count = good.records.length;
  const times = kernel.longs(kernel.exports.recordTime.value + from * 8, (good.records.at(-1) ?? -1) + 1);
  const batch: ReplayBatch = {
    count,
    positions: BigInt64Array.from(good.records, record => BigInt(position + from + record)),
    timesMicros: BigInt64Array.from(good.records, record => times[record]!),
    types: good.types.map(type => types[type]!.event.name),
    columns: columns.map(column => makeColumn(column, count)),
  };
  for (const subject of subjects) {
    const rows = rowsOf(batch, subject.event);
    for (const { column, feature } of subject.columns)
      fillColumn(kernel, subject, feature, batch.columns[column]!, rows);
  }
  return batch;
}

function rowsOf(batch: ReplayBatch, event: string): number[] {
  const rows: number[] = [];
  for (let row = 0; row < batch.count; row++) if (batch.types[row] === event) rows.push(row);
  return rows;
}

/** The subject's n-th answer is of the n-th event of its type: output row `rows[n]`. */
function fillColumn(kernel: Kernel, subject: Subject, name: string, column: FeatureColumn, rows: number[]): void {
  const feature = subject.answer.features.get(name)!;
  const isWhole = rows.length === column.nulls.length;
  const target = isWhole ? column : makeColumn(column, rows.length);
  copyRows(kernel, subject.answer, feature, rows.length, target, 0);
  if (isWhole) return;
  spreadRows(target, rows, column);
}
