import { assert } from '../base/assert.ts';
import { Stages } from '../base/stages.ts';
import type { Pipeline } from '../ingest/advance.ts';
import { advanceRecords, select } from '../ingest/advance.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { Layout } from '../kernel/layout.ts';
import type { BadEvent, Rejected } from '../kernel/ndjson.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { rowsAtOnce } from '../kernel/last_n.ts';
import { sequence } from '../kernel/sequence.ts';
import { completeBatch } from '../kernel/upsert.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { copyRows, makeColumn, spreadRows } from '../kernel/feature_column.ts';
import { STRING } from '../plan/value.ts';
import { answerRecord, derive } from '../read/answer.ts';
import type { Source } from '../source/source.ts';
import type { Spill } from './spill.ts';
import type { ReplayColumn, Subject } from './subject.ts';
import { eventColumns, subjectsOf } from './subject.ts';

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
  /** As `Replay.columns` lists them; a column of another event type, or of its entity, is null. */
  columns: FeatureColumn[];
  /** What went wrong with single features of these events. */
  errors: FeatureError[];
}

/** A feature whose value is not what it might be. */
export interface FeatureError {
  position: number;
  timeMicros: bigint;
  /** `event.column`. */
  feature: string;
  text: string;
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
  const { columns: ofEntities, subjects } = subjectsOf(parts.layout);
  const columns = [...ofEntities, ...eventColumns(parts.layout)];
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
  const step = recordsAtOnce(layout, subjects);
  const decoder = new Decoder(layout.kernel, layout.types);
  let position = 0;
  let line = 1;
  for await (const block of source.read(0)) {
    stages.time('decode', () => decoder.fill(block.bytes));
    line = block.line ?? line;
    while (stages.time('decode', () => decoder.next(position, block.arrivalMicros))) {
      const { file } = block;
      for (const one of decoder.rejected()) parts.onRejected({ ...one, file, line: line + one.line - 1 });
      for (const one of decoder.bad())
        parts.onBad({ ...one, file, line: line + one.line - 1, position: position + one.record });
      if (layout.keepsLastRows) stages.time('fold', () => completeBatch(layout.kernel, spill.fold));
      stages.time('select', () => select(layout));
      for (let from = 0; from < decoder.count; ) {
        const most = Math.min(decoder.count, from + step);
        const { to, batch } = replayRecords(layout, spill, columns, subjects, from, most, position, stages);
        from = to;
        read.records = position + to;
        if (batch.count > 0) yield batch;
      }
      position += decoder.count;
      line += decoder.lines;
    }
  }
}

/** All that events read: beside entities that are answered its texts wait as long as theirs. */
function eventReads({ eventAnswers }: Layout): Parameters<typeof rowsAtOnce>[1] {
  return [...eventAnswers.values()].map(answer => ({
    answer,
    features: [{ cells: answer.members.map((_, member) => ({ member, window: 0 })) }],
  }));
}

/** Records of a decoded batch from one on, at most as many as an answer's frame has rows; how far it has come, and what of. */
function replayRecords(
  layout: Layout,
  spill: Spill,
  columns: ReplayColumn[],
  subjects: Subject[],
  from: number,
  most: number,
  position: number,
  stages: Stages,
): { to: number; batch: ReplayBatch } {
  const { to, good } = stages.time('answer', () => takeRecords(layout, spill, subjects, from, most, position));
  return { to, batch: stages.time('reply', () => gather(layout, columns, subjects, good, from, position)) };
}

/**
 * Takes records of a decoded batch that `select` has been through, from one on, at most as many as an answer's frame has rows:
 * each is folded, and what events and subjects read as of it stands in their frames, of subjects from row 0 on.
 */
export function takeRecords(
  layout: Layout,
  spill: Spill,
  subjects: Subject[],
  from: number,
  most: number,
  position: number,
): { to: number; good: Good } {
  const { kernel, types } = layout;
  const pipeline: Pipeline = { layout, folds: [spill.fold] };
  const { exports } = kernel;
  exports.forgetTexts();
  // Where lookups answer nothing of these events, they need no turn of their own.
  const isAlone = layout.isSequenced && subjects.length === 0;
  const to = isAlone ? sequenceRecords(layout, spill, from, most, position) : most;
  // Copies, for memory may grow while the events are folded.
  const recordTypes = kernel.ints(exports.recordType.value + from * 4, to - from).slice();
  const recordRows = kernel.ints(exports.recordRow.value + from * 4, to - from).slice();
  const readers = types.map(type => subjects.filter(subject => subject.event === type.event.name));
  const filled = new Map(subjects.map(subject => [subject, 0]));
  for (let i = 0; i < to - from && !isAlone; i++) {
    if (layout.isSequenced) sequence(layout, spill.fold, spill.readRanges, from + i, from + i + 1);
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
  return { to, good: goodRecords(recordTypes, recordRows) };
}

/** At most so many records are taken at once: an answer's frame has no more rows, and texts wait. */
export function recordsAtOnce(layout: Layout, subjects: Subject[]): number {
  return rowsAtOnce(layout.kernel, [
    ...subjects.map(({ answer }) => ({ answer, features: [...answer.features.values()] })),
    ...(subjects.length > 0 ? eventReads(layout) : []),
  ]);
}

/** Takes records that only events ask about, until rows have to make room or texts have to be read; returns how far it has come. */
function sequenceRecords(layout: Layout, spill: Spill, from: number, to: number, position: number): number {
  const { fold, readRanges, memoryBytes } = spill;
  const end = sequence(layout, fold, readRanges, from, to, memoryBytes);
  spill.makeRoom(position + end);
  return end;
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
    errors: [],
  };
  for (const subject of subjects) {
    const rows = rowsOf(batch, subject.event);
    for (const { column, feature } of subject.columns)
      fillColumn(kernel, subject, feature, batch.columns[column]!, rows);
  }
  fillEventColumns(layout, batch, good, from);
  return batch;
}

/** Features of events stand in the frames of their types, from the row of the first of them on. */
function fillEventColumns({ kernel, types }: Layout, batch: ReplayBatch, good: Good, from: number): void {
  const { exports } = kernel;
  for (const [index, { event, frame, features }] of types.entries()) {
    const rows = features.length > 0 ? rowsOf(batch, event.name) : [];
    if (rows.length === 0) continue;
    const first = kernel.ints(exports.recordRow.value + (from + good.records[rows[0]!]!) * 4, 1)[0]!;
    assert(good.types[rows[0]!] === index, 'types are numbered in order');
    for (const { name, register, error } of features) {
      const column = batch.columns.find(one => one.name === name)!;
      copyInto(kernel, { frame }, { register }, rows, first, column);
      if (error !== null) listErrors(kernel, { frame }, error, rows, first, name, batch);
    }
  }
}

/** A text that is not null is an error of its event. */
function listErrors(
  kernel: Kernel,
  frame: { frame: number },
  register: number,
  rows: number[],
  first: number,
  feature: string,
  { positions, timesMicros, errors }: ReplayBatch,
): void {
  const nulls = kernel.bytes(kernel.exports.frameNulls(frame.frame, register) + first, rows.length);
  if (nulls.every(isNull => isNull === 1)) return;
  const texts = makeColumn({ name: feature, type: STRING }, rows.length);
  copyRows(kernel, frame, { register }, rows.length, texts, 0, first);
  for (const [i, row] of rows.entries()) {
    if (texts.nulls[i]) continue;
    const text = (texts.values as string[])[i]!;
    errors.push({ position: Number(positions[row]!), timeMicros: timesMicros[row]!, feature, text });
  }
}

function rowsOf(batch: ReplayBatch, event: string): number[] {
  const rows: number[] = [];
  for (let row = 0; row < batch.count; row++) if (batch.types[row] === event) rows.push(row);
  return rows;
}

/** The subject's n-th answer is of the n-th event of its type: output row `rows[n]`. */
function fillColumn(kernel: Kernel, subject: Subject, name: string, column: FeatureColumn, rows: number[]): void {
  copyInto(kernel, subject.answer, subject.answer.features.get(name)!, rows, 0, column);
}

/** Rows of a frame, from `first` on, into the rows of a column that are theirs. */
function copyInto(
  kernel: Kernel,
  frame: { frame: number },
  of: { register: number },
  rows: number[],
  first: number,
  column: FeatureColumn,
): void {
  const isWhole = rows.length === column.nulls.length;
  const target = isWhole ? column : makeColumn(column, rows.length);
  copyRows(kernel, frame, of, rows.length, target, 0, first);
  if (isWhole) return;
  spreadRows(target, rows, column);
}
