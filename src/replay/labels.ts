import { advanceRecords, select } from '../ingest/advance.ts';
import type { AnswerFeature, AnswerLayout, Layout } from '../kernel/layout.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { sequence } from '../kernel/sequence.ts';
import { completeBatch } from '../kernel/upsert.ts';
import { copyRows, type FeatureColumn, makeColumn } from '../kernel/window.ts';
import { answerAlone } from '../read/answer.ts';
import type { Source } from '../source/source.ts';
import type { ReplayParts } from './replay.ts';
import type { Spill } from './spill.ts';

/** A moment that somebody has labelled. */
export interface Label {
  /** Microseconds since 1970 UTC. */
  timeMicros: bigint;
  /** Canonical key bytes, one for each of `LabelParts.asked`; null where the label names no such entity. */
  keys: (Uint8Array | null)[];
}

/** Features of one entity. */
export interface Asked {
  answer: AnswerLayout;
  features: AnswerFeature[];
}

export interface LabelParts<T extends Label> {
  /** Freshly laid out. */
  layout: Layout;
  /** Of that layout: rows that memory has no room for are put aside. */
  spill: Spill;
  source: Source;
  asked: Asked[];
  /** In the order of their times. */
  labels: AsyncIterator<T>;
  onRejected: ReplayParts['onRejected'];
  onBad: ReplayParts['onBad'];
}

export interface LabelBatch<T> {
  labels: T[];
  /** Features in the order of `asked`, a row for each label. */
  columns: FeatureColumn[];
}

/** Labels answered together. */
const BATCH_ROWS = 4096;

/**
 * Features as of labels, point-in-time: each label is answered at its time from the records before it, which are those up to the
 * last one at which the log's clock was not later than that. The steps are those of a replay, and of a lookup at that prefix.
 *
 * @throws Fault `corrupt` where a row is, and as `source`
 */
export async function* labelled<T extends Label>(parts: LabelParts<T>): AsyncGenerator<LabelBatch<T>> {
  const { layout, spill, source, labels } = parts;
  const { kernel } = layout;
  const { exports } = kernel;
  const isWall = source.clock.kind === 'wall';
  const decoder = new Decoder(kernel, layout.types);
  const answers = new Answers<T>(parts);
  let next = await labels.next();
  let position = 0;
  for await (const { bytes, arrivalMicros, file, line } of source.read(0)) {
    decoder.fill(bytes);
    let lines = 0;
    while (decoder.next(position, arrivalMicros)) {
      const { count } = decoder;
      for (const one of decoder.rejected()) parts.onRejected({ ...one, file, line: line + lines + one.line - 1 });
      for (const one of decoder.bad())
        parts.onBad({ ...one, file, line: line + lines + one.line - 1, position: position + one.record });
      lines += decoder.lines;
      if (layout.keepsLastRows) completeBatch(kernel, spill.fold);
      select(layout);
      // A copy, for memory may grow while the events are folded.
      const clocks = kernel.longs(exports.recordClock.value, count).slice();
      for (let record = 0; record < count; record++) {
        // Before a type's first event in time it shows nothing, which is earlier than any label.
        const clock = isWall ? arrivalMicros! : clocks[record]!;
        while (!next.done && next.value.timeMicros < clock) {
          if (answers.add(next.value)) yield answers.take();
          next = await labels.next();
        }
        exports.forgetTexts();
        if (layout.isSequenced) sequence(layout, spill.fold, spill.readRanges, record, record + 1);
        advanceRecords({ layout, folds: [spill.fold] }, record, record + 1);
        spill.makeRoom(position + record + 1);
      }
      position += count;
    }
    if (next.done) break;
  }
  for (; !next.done; next = await labels.next()) if (answers.add(next.value)) yield answers.take();
  if (answers.count > 0) yield answers.take();
}

/** What labels are answered with, until there are enough. */
class Answers<T extends Label> {
  #labels: T[] = [];
  #columns: FeatureColumn[][] = [];

  constructor(private readonly parts: Pick<LabelParts<T>, 'layout' | 'spill' | 'asked'>) {
    this.#begin();
  }

  get count(): number {
    return this.#labels.length;
  }

  /** @returns whether there are enough */
  add(label: T): boolean {
    const { layout, spill, asked } = this.parts;
    const { kernel } = layout;
    const row = this.#labels.push(label) - 1;
    for (const [i, { answer, features }] of asked.entries()) {
      const key = label.keys[i]!;
      if (key === null) {
        for (const column of this.#columns[i]!) leaveNull(column, row);
        continue;
      }
      kernel.exports.coverAt(answer.index, label.timeMicros, 0);
      answerAlone(kernel, answer, features, key, false, spill.reader(answer.entity));
      for (const [f, feature] of features.entries()) copyRows(kernel, answer, feature, 1, this.#columns[i]![f]!, row);
    }
    return this.#labels.length === BATCH_ROWS;
  }

  take(): LabelBatch<T> {
    const batch = {
      labels: this.#labels,
      columns: this.#columns.flat().map(column => cut(column, this.#labels.length)),
    };
    this.#begin();
    return batch;
  }

  #begin(): void {
    this.#labels = [];
    this.#columns = this.parts.asked.map(({ features }) =>
      features.map(({ feature, type }) => makeColumn({ name: feature.name, type }, BATCH_ROWS)),
    );
  }
}

/** All but a list is null until it is filled; a list ends where the one before it does. */
function leaveNull({ values }: FeatureColumn, row: number): void {
  if ('offsets' in values) values.offsets[row + 1] = values.offsets[row]!;
}

/** The first rows of a column. */
function cut(column: FeatureColumn, count: number): FeatureColumn {
  const { values, nulls, statuses } = column;
  const first =
    'offsets' in values ? { ...values, offsets: values.offsets.subarray(0, count + 1) } : cutScalars(values, count);
  return { ...column, values: first, nulls: nulls.subarray(0, count), statuses: statuses.subarray(0, count) };
}

function cutScalars<V extends Exclude<FeatureColumn['values'], { offsets: unknown }>>(values: V, count: number): V {
  return (Array.isArray(values) ? values.slice(0, count) : values.subarray(0, count)) as V;
}
