import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { makeColumn } from '../kernel/feature_column.ts';
import { STRING, TIME } from '../plan/value.ts';
import { BLOCK_ROWS, ColumnReader, type Rows } from './column_file.ts';
import { type Manifest, PATHS } from './manifest.ts';
import type { BadPlace } from './places.ts';
import { placeId, type Shown } from './stages.ts';
import { isWithin, pickRows } from './within.ts';

/** Some events of one type: `_id`, `_type` and `_time`, and then their features. */
export interface EventRows {
  count: number;
  columns: FeatureColumn[];
  /** Of the last of them, among all of their type. */
  lastRow: number;
}

/** What columns a replay has of an event type. @throws Fault `not_found` */
export function shownOf({ shown }: Manifest, type: string): Shown[] {
  const own = shown.filter(({ event }) => event === type);
  if (own.length > 0) return own;
  const types = [...new Set(shown.map(({ event }) => event))];
  const what = `this replay has no events of type "${type}", but of ${types.join(', ')}`;
  throw new Fault('not_found', `${what}${didYouMean(type, types)}`);
}

/**
 * Events of a type with their features, in their order, block by block: no more than a block of each column is in memory.
 *
 * @param from the first row, among all of the type
 * @param max at most so many events
 */
export function* eventsOf(
  manifest: Manifest,
  folder: string,
  type: string,
  from = 0,
  max = Number.POSITIVE_INFINITY,
): Generator<EventRows> {
  const shown = shownOf(manifest, type);
  let left = max;
  for (const { places, features, first } of blocksOf(manifest, folder, type, shown, from)) {
    if (left === 0) return;
    const rows = rowsWithin(places, manifest)
      .filter(row => first + row >= from)
      .slice(0, left);
    if (rows.length === 0) continue;
    left -= rows.length;
    const [time, id] = [pickRows(places.time.column, rows), pickRows(places.id.column, rows)];
    const ofType = makeColumn({ name: '_type', type: STRING }, rows.length);
    (ofType.values as string[]).fill(type);
    ofType.nulls.fill(0);
    const columns = features.map(({ column }, i) => ({ ...pickRows(column, rows), name: shown[i]!.name }));
    yield {
      ...{ count: rows.length, lastRow: first + rows.at(-1)! },
      columns: [{ ...id, name: '_id' }, ofType, { ...time, name: '_time' }, ...columns],
    };
  }
}

/** What is wrong with events of a type: with a feature, or with the whole event, which counts nowhere then. */
export interface EventError {
  /** Of its event, among all of the type. */
  row: number;
  id: string | null;
  timeMicros: bigint;
  /** Null where the event is bad as a whole. */
  feature: string | null;
  error: string;
}

/** @param from the first row, among all of the type */
export function* errorsOf(manifest: Manifest, folder: string, type: string, from = 0): Generator<EventError[]> {
  const shown = shownOf(manifest, type);
  for (const { places, features, first } of blocksOf(manifest, folder, type, shown, from)) {
    const found: EventError[] = [];
    const times = places.time.column.values as BigInt64Array;
    const idAt = ({ values, nulls }: FeatureColumn, row: number) => (nulls[row] ? null : (values as string[])[row]!);
    const add = (row: number, timeMicros: bigint, feature: string | null, error: string) => {
      if (first + row < from || !isWithin(timeMicros, manifest.stretch)) return;
      found.push({ row: first + row, id: idAt(places.id.column, row), timeMicros, feature, error });
    };
    const { nulls, values } = places.bad.column;
    for (let row = 0; row < nulls.length; row++) {
      if (nulls[row]) continue;
      const { reason, time } = JSON.parse((values as string[])[row]!) as BadPlace & { time: string };
      add(row, BigInt(time), null, reason);
    }
    for (const [i, { errors }] of features.entries())
      for (const [k, row] of errors.rows.entries())
        if (!places.time.column.nulls[row]) add(row, times[row]!, shown[i]!.name, errors.texts[k]!);
    // Of one event in the order of its features: the sort is stable.
    yield found.sort((a, b) => a.row - b.row);
  }
}

interface Blocks {
  places: { time: Rows; id: Rows; bad: Rows };
  features: Rows[];
  /** The row that it begins with. */
  first: number;
}

/** From the block on that a row is in: those before are passed over. */
function* blocksOf(manifest: Manifest, folder: string, type: string, shown: Shown[], from: number): Generator<Blocks> {
  const ids = [placeId(type, '_time'), placeId(type, '_id'), placeId(type, '_bad'), ...shown.map(({ id }) => id)];
  const readers: ColumnReader[] = [];
  try {
    for (const id of ids) readers.push(new ColumnReader(PATHS.column(folder, manifest.files[id]!)));
    if (from >= readers[0]!.rows) return;
    let first = Math.floor(from / BLOCK_ROWS) * BLOCK_ROWS;
    for (const reader of readers) reader.skip(first);
    for (;;) {
      const rows = readers.map(reader => reader.block());
      const [time, id, bad, ...features] = rows as Rows[];
      if (!time) return;
      yield { places: { time, id: id!, bad: bad! }, features, first };
      first += BLOCK_ROWS;
    }
  } finally {
    for (const reader of readers) reader.close();
  }
}

/** Rows of a block that are events, of the stretch of time that is given out. */
function rowsWithin({ time }: Blocks['places'], { stretch }: Manifest): number[] {
  const { nulls, values } = time.column;
  const rows: number[] = [];
  for (let row = 0; row < nulls.length; row++)
    if (!nulls[row] && isWithin((values as BigInt64Array)[row]!, stretch)) rows.push(row);
  return rows;
}

/** Columns of `eventsOf`, before there are rows. */
export function eventShapes(manifest: Manifest, type: string): { name: string; type: Shown['type'] }[] {
  const head = [
    { name: '_id', type: STRING },
    { name: '_type', type: STRING },
    { name: '_time', type: TIME },
  ];
  return [...head, ...shownOf(manifest, type).map(({ name, type: of }) => ({ name, type: of }))];
}
