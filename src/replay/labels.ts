import type { AnswerFeature, AnswerLayout } from '../kernel/layout.ts';
import { copyRows, type FeatureColumn, makeColumn } from '../kernel/feature_column.ts';
import { answerAlone } from '../read/answer.ts';
import { walk, type WalkParts } from './walk.ts';

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

export interface LabelParts<T extends Label> extends WalkParts {
  asked: Asked[];
  /** In the order of their times. */
  labels: AsyncIterator<T>;
}

export interface LabelBatch<T> {
  labels: T[];
  /** Features in the order of `asked`, a row for each label. */
  columns: FeatureColumn[];
  /** How many records were read by now. */
  records: number;
}

/** Labels answered together. */
const BATCH_ROWS = 4096;

/**
 * Features as of labels, point-in-time: each label is answered at its time from the records before it, which are those up to the
 * last one at which the log's clock was not later than that, as a lookup at that prefix would be.
 *
 * @throws Fault as `walk`
 */
export async function* labelled<T extends Label>(parts: LabelParts<T>): AsyncGenerator<LabelBatch<T>> {
  const answers = new Answers<T>(parts);
  let records = 0;
  for await (const { stop, position } of walk(parts, parts.labels)) {
    records = position + 1;
    if (answers.add(stop)) yield answers.take(records);
  }
  if (answers.count > 0) yield answers.take(records);
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

  take(records: number): LabelBatch<T> {
    const batch = {
      ...{ labels: this.#labels, records },
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
