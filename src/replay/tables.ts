import { Fault } from '../base/fault.ts';
import { type FeatureColumn, makeColumn } from '../kernel/feature_column.ts';
import { STRING, TIME } from '../plan/value.ts';
import type { TileBatch, TileShape } from '../read/tiles.ts';
import type { Manifest } from './manifest.ts';
import { type EventError, errorsOf, eventShapes, eventsOf } from './results.ts';

/** What a replay gives of an event type: its events with their features, or what is wrong with them. */
export type ResultKind = 'events' | 'errors';

/** A result as a table, block by block. */
export interface ResultTable {
  shapes: TileShape[];
  batches: Iterable<TileBatch>;
}

/** A part of a table, and where the next one begins; null at the end. */
export interface ResultPage {
  batches: TileBatch[];
  next: string | null;
}

/** @throws Fault `not_found` where the replay has no such type */
export function resultTable(manifest: Manifest, folder: string, kind: ResultKind, type: string): ResultTable {
  const shapes = eventShapes(manifest, type).map(shape => ({ ...shape, isRequired: REQUIRED.has(shape.name) }));
  if (kind === 'events') return { shapes, batches: eventsOf(manifest, folder, type) };
  return { shapes: ERROR_SHAPES, batches: errorBatches(manifest, folder, type) };
}

/**
 * @param after `next` of the page before; null for the first one
 * @param limit rows of the table
 * @throws Fault `request` where `after` is none, `not_found` as `resultTable`
 */
export function resultPage(
  manifest: Manifest,
  folder: string,
  kind: ResultKind,
  type: string,
  { after, limit }: { after: string | null; limit: number },
): ResultPage {
  const cursor = parseCursor(after);
  if (kind === 'errors') return errorPage(manifest, folder, type, cursor, limit);
  const batches = [...eventsOf(manifest, folder, type, cursor.row, limit)];
  const count = batches.reduce((sum, batch) => sum + batch.count, 0);
  const row = (batches.at(-1)?.lastRow ?? 0) + 1;
  return { batches, next: count < limit || row >= manifest.rows[type]! ? null : cursorText({ row, passed: 0 }) };
}

/** The row that a page begins with, and how many errors of that row others have had. */
interface Cursor {
  row: number;
  passed: number;
}

function errorPage(manifest: Manifest, folder: string, type: string, from: Cursor, limit: number): ResultPage {
  const errors: EventError[] = [];
  let { passed } = from;
  // One more than is given out says whether there is another page.
  for (const all of errorsOf(manifest, folder, type, from.row)) {
    for (const error of all) if (error.row > from.row || passed-- <= 0) errors.push(error);
    if (errors.length > limit) break;
  }
  const page = errors.slice(0, limit);
  const batches = page.length === 0 ? [] : [errorBatch(page, type)];
  if (errors.length <= limit) return { batches, next: null };
  const { row } = page.at(-1)!;
  const before = row === from.row ? from.passed : 0;
  return { batches, next: cursorText({ row, passed: before + page.filter(error => error.row === row).length }) };
}

function cursorText({ row, passed }: Cursor): string {
  return `${row}.${passed}`;
}

function parseCursor(text: string | null): Cursor {
  if (text === null) return { row: 0, passed: 0 };
  const [, row, passed] = /^(\d{1,15})\.(\d{1,9})$/.exec(text) ?? [];
  if (row === undefined) throw new Fault('request', `after: got ${text}, wanted \`next\` of the page before`);
  return { row: Number(row), passed: Number(passed) };
}

const REQUIRED = new Set(['_type', '_time']);

const ERROR_SHAPES: TileShape[] = [
  { name: '_id', type: STRING, isRequired: false },
  { name: '_type', type: STRING, isRequired: true },
  { name: '_time', type: TIME, isRequired: true },
  { name: 'feature', type: STRING, isRequired: false },
  { name: 'error', type: STRING, isRequired: true },
];

function* errorBatches(manifest: Manifest, folder: string, type: string): Generator<TileBatch> {
  for (const errors of errorsOf(manifest, folder, type)) yield errorBatch(errors, type);
}

function errorBatch(errors: EventError[], type: string): TileBatch {
  const times = {
    ...makeColumn({ name: '_time', type: TIME }, errors.length),
    values: BigInt64Array.from(errors, ({ timeMicros }) => timeMicros),
    nulls: new Uint8Array(errors.length),
  };
  const columns = [
    texts('_id', errors, ({ id }) => id),
    texts('_type', errors, () => type),
    times,
    texts('feature', errors, ({ feature }) => feature),
    texts('error', errors, ({ error }) => error),
  ];
  return { count: errors.length, columns };
}

function texts(name: string, errors: EventError[], of: (error: EventError) => string | null): FeatureColumn {
  const values = errors.map(of);
  return {
    ...makeColumn({ name, type: STRING }, errors.length),
    values: values.map(value => value ?? ''),
    nulls: Uint8Array.from(values, value => (value === null ? 1 : 0)),
  };
}
