import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Fault } from '../base/fault.ts';
import { orWhichThereAre } from '../base/name.ts';
import { formatDuration, formatMicros, MICROS_PER_MS } from '../base/time.ts';
import { FeaturesCombinedLazySchema } from '../gen/tilefold/v1/row_pb.ts';
import { keyTexts } from '../kernel/key.ts';
import { rowsAtOnce } from '../kernel/last_n.ts';
import type { AnswerFeature, AnswerLayout, Layout } from '../kernel/layout.ts';
import { copyRows, type FeatureColumn, makeColumn } from '../kernel/feature_column.ts';
import { layAnswer, want } from '../kernel/answer.ts';
import { STATUS } from '../kernel/window.ts';
import type { Aggregate, Entity, Feature } from '../plan/plan.ts';
import { sameType, STRING, TIME, type Type } from '../plan/value.ts';
import { keptLevels, LIFETIME_LEVEL_MS } from '../plan/window.ts';
import type { Row } from '../store/store.ts';

/** Which tiles, and how their states are shown; null chooses all. */
export interface TileChoice {
  entity: string | null;
  set: string | null;
  /** `LIFETIME_LEVEL_MS` is the lifetime. */
  levelMs: number | null;
  /** Tiles that start in [fromMs, toMs). The lifetime has no start, and is left out where either is given. */
  fromMs: number | null;
  toMs: number | null;
  /** States as the bytes of their FeatureValue, instead of the values that they are finished to. */
  isRaw: boolean;
}

/** What a column of bytes is of, beside the types that values have. */
export const BYTES = { kind: 'bytes' } as const;

export type TileType = Type | typeof BYTES;

export interface TileColumn {
  name: string;
  type: TileType;
  values: FeatureColumn['values'] | Uint8Array[];
  /** 1 where the value is null. */
  nulls: Uint8Array;
}

export interface TileBatch {
  count: number;
  /** As `TileTable.columns` lists them. */
  columns: TileColumn[];
}

export interface TileTable<R extends Row = Row> {
  columns: TileShape[];
  /** Batch by batch, in the order of the rows. */
  batches(rows: Iterable<R>): Generator<TileBatch>;
}

export interface TileShape {
  name: string;
  type: TileType;
  isRequired: boolean;
}

/** Columns that stand before the aggregates, of what rows have beside what is stored. */
export interface Beside<R extends Row> {
  shapes: TileShape[];
  /** As the shapes list them. */
  columns(rows: R[]): TileColumn[];
}

/** Stored rows have nothing else. */
const NOTHING: Beside<Row> = { shapes: [], columns: () => [] };

/**
 * Stored rows as a table, one row a tile: `_entity`, `_key_1` ..., `_level`, `_tile_start`, and each stored aggregate.
 *
 *   1. choose   entities, aggregates and tiles
 *   2. finish   a row alone, by the window kernel, as if it were the lifetime of its key: the values of a window that is
 *               just this tile, rounded as those of lookups are
 *   3. place    keys, level and start beside them; aggregates that the tile does not have are null
 *
 * @param layout in a kernel that holds no rows
 * @throws Fault `not_found` for an entity or a set that the plan does not have, `request` where nothing is chosen
 */
export function tileTable(layout: Layout, choice: TileChoice): TileTable {
  return tableBeside(layout, choice, NOTHING);
}

/** The same for rows that have more to say. */
export function tableBeside<R extends Row>(layout: Layout, choice: TileChoice, beside: Beside<R>): TileTable<R> {
  const subjects = subjectsOf(layout, choice);
  const keyTypes = keyTypesOf(subjects.map(({ entity }) => entity));
  const aggregates = subjects.flatMap(subject => subject.aggregates);
  const columns = [
    { name: '_entity', type: STRING, isRequired: true },
    ...keyTypes.map((type, i) => ({ name: `_key_${i + 1}`, type, isRequired: false })),
    { name: '_level', type: STRING, isRequired: true },
    { name: '_tile_start', type: TIME, isRequired: false },
    ...beside.shapes,
    ...aggregates.map(({ name, type }) => ({ name, type: choice.isRaw ? BYTES : type, isRequired: false })),
  ];
  const table = { layout, keyTypes, aggregates, isRaw: choice.isRaw, beside };
  return { columns, batches: rows => batches(table, subjects, choice, rows) };
}

/** An entity, and what is shown of its rows. */
interface TileSubject {
  entity: Entity;
  aggregates: Aggregate[];
  answer: AnswerLayout;
  features: AnswerFeature[];
  /** Rows that are finished together. */
  rowsMax: number;
}

interface Table<R extends Row> {
  layout: Layout;
  keyTypes: Type[];
  aggregates: Aggregate[];
  isRaw: boolean;
  beside: Beside<R>;
}

/** By the numbers that rows have for entities. */
type Subjects = (TileSubject & { id: number })[];

// --- 1. choose

function subjectsOf(layout: Layout, { entity: only, set, levelMs }: TileChoice): Subjects {
  const { plan, ids } = layout;
  const names = plan.entities.map(({ name }) => name);
  if (only !== null && !names.includes(only))
    throw new Fault('not_found', `no entity ${only}${orWhichThereAre(only, names)}`);
  const sets = plan.sets.map(({ name }) => name);
  if (set !== null && !sets.includes(set))
    throw new Fault('not_found', `no feature set ${set}${orWhichThereAre(set, sets)}`);
  const levels = new Set(plan.aggregates.flatMap(each => keptLevels(each, plan).map(level => level.levelMs)));
  if (levelMs !== null && !levels.has(levelMs)) {
    const kept = [...levels].sort((a, b) => a - b).map(levelName);
    throw new Fault('not_found', `no tiles of ${levelName(levelMs)} are kept; there are ${kept.join(', ')}`);
  }
  const isChosen = (aggregate: Aggregate) =>
    keptLevels(aggregate, plan).length > 0 && (set === null || aggregate.name.startsWith(`${set}:`));
  const subjects = plan.entities
    .filter(({ name }) => only === null || name === only)
    .map(entity => ({ entity, aggregates: plan.aggregates.filter(a => a.entity === entity.name && isChosen(a)) }))
    .filter(({ aggregates }) => aggregates.length > 0)
    .map(chosen => ({ id: ids.entities.get(chosen.entity.name)!, ...laySubject(layout, chosen) }));
  if (subjects.length === 0)
    throw new Fault(
      'request',
      `nothing is stored of ${set === null ? `entity ${only}` : `set ${set}`} under that entity`,
    );
  return subjects;
}

function laySubject(layout: Layout, chosen: Pick<TileSubject, 'entity' | 'aggregates'>): TileSubject {
  const { entity, aggregates } = chosen;
  const answer = layAnswer(layout, entity.name, aggregates.map(lifetimeOf), null);
  const features = aggregates.map(({ name }) => answer.features.get(name)!);
  return { ...chosen, answer, features, rowsMax: rowsAtOnce(layout.kernel, [{ answer, features }]) };
}

/** A feature that is the aggregate over all that there is. */
export function lifetimeOf({ name, entity, type }: Aggregate): Feature {
  const read = { aggregate: name, window: { kind: 'lifetime' }, keys: null, after: null, exclusive: false } as const;
  const expression = { kind: 'read', type, read, at: null } as const;
  return { name, set: name.split(':')[0]!, entity: entity!, expression, description: '', at: null };
}

function isWanted({ levelMs, tileStartMs }: Row, choice: TileChoice): boolean {
  const { fromMs, toMs } = choice;
  if (choice.levelMs !== null && levelMs !== choice.levelMs) return false;
  if (fromMs === null && toMs === null) return true;
  return levelMs !== LIFETIME_LEVEL_MS && tileStartMs >= (fromMs ?? -Infinity) && tileStartMs < (toMs ?? Infinity);
}

// --- 2. finish

function* batches<R extends Row>(
  table: Table<R>,
  subjects: Subjects,
  choice: TileChoice,
  rows: Iterable<R>,
): Generator<TileBatch> {
  let subject: Subjects[number] | undefined;
  let waiting: R[] = [];
  for (const row of rows) {
    const isFull = subject && waiting.length === subject.rowsMax;
    if (subject && waiting.length > 0 && (isFull || row.entity !== subject.id)) {
      yield* batchOf(table, subject, waiting);
      waiting = [];
    }
    if (row.entity !== subject?.id) subject = subjects.find(({ id }) => id === row.entity);
    if (subject && isWanted(row, choice)) waiting.push(row);
  }
  if (subject && waiting.length > 0) yield* batchOf(table, subject, waiting);
}

function* batchOf<R extends Row>(table: Table<R>, subject: TileSubject, rows: R[]): Generator<TileBatch> {
  const { kept, columns } = table.isRaw ? rawStates(table, subject, rows) : finishedStates(table, subject, rows);
  if (kept.length > 0) yield place(table, subject, kept, columns);
}

/** Rows that have any of the aggregates, and a column for each of the subject's. */
interface States<R extends Row> {
  kept: R[];
  columns: TileColumn[];
}

function finishedStates<R extends Row>(
  { layout }: Table<R>,
  { answer, features, entity }: TileSubject,
  rows: R[],
): States<R> {
  const { kernel } = layout;
  const { exports } = kernel;
  want(kernel, answer, features);
  exports.coverAt(answer.index, 0n, 0);
  exports.forgetTexts();
  const kept: R[] = [];
  for (const row of rows) {
    const block = kernel.put(row.value);
    exports.startKey(answer.index, block, 0);
    const outcome = exports.addStoredRow(answer.index, LIFETIME_LEVEL_MS, 0, block, row.value.length);
    if (outcome !== exports.READ_OK.value) throw malformed(entity, row);
    exports.finishKey(answer.index, kept.length);
    exports.release(block, row.value.length);
    // One that has none of them is written over by the next.
    if (features.some(feature => hasState(layout, answer, feature, kept.length))) kept.push(row);
  }
  return { kept, columns: features.map(feature => finishedColumn(layout, answer, feature, kept.length)) };
}

function malformed(entity: Entity, { key, levelMs, tileStartMs }: Row): Fault {
  const keys = keyTexts(entity, key).join('/');
  const tile = levelMs === LIFETIME_LEVEL_MS ? '' : ` at ${formatMicros(BigInt(tileStartMs) * MICROS_PER_MS)}`;
  const what = `${entity.name} ${keys}, ${levelName(levelMs)}${tile}`;
  return new Fault('corrupt', `the row of ${what} is not in canonical form; \`tilefold verify\` says what else is not`);
}

const NOT_FOUND = STATUS.indexOf('NOT_FOUND');

function hasState({ kernel }: Layout, answer: AnswerLayout, { register }: AnswerFeature, row: number): boolean {
  const statuses = kernel.exports.frameStatuses(answer.frame, register);
  return kernel.bytes(statuses + row, 1)[0] !== NOT_FOUND;
}

function finishedColumn(layout: Layout, answer: AnswerLayout, feature: AnswerFeature, count: number): TileColumn {
  const column = makeColumn({ name: feature.feature.name, type: feature.type }, count);
  copyRows(layout.kernel, answer, feature, count, column, 0);
  // A count of nothing would be 0, but this tile counts nothing of the kind.
  for (let row = 0; row < count; row++) if (column.statuses[row] === NOT_FOUND) column.nulls[row] = 1;
  return column;
}

function rawStates<R extends Row>({ layout }: Table<R>, { aggregates }: TileSubject, rows: R[]): States<R> {
  const ids = aggregates.map(({ name }) => layout.ids.aggregates.get(name)!);
  const kept: R[] = [];
  const states: Map<number, Uint8Array>[] = [];
  for (const row of rows) {
    const byId = statesOf(row.value);
    if (!ids.some(id => byId.has(id))) continue;
    kept.push(row);
    states.push(byId);
  }
  const columns = aggregates.map(({ name }, i) => {
    const values = states.map(byId => byId.get(ids[i]!) ?? NO_BYTES);
    return { name, type: BYTES, values, nulls: Uint8Array.from(values, value => Number(value === NO_BYTES)) };
  });
  return { kept, columns };
}

const NO_BYTES = new Uint8Array(0);

/** Each entry's FeatureValue as it stands in the row, by the aggregate's number. */
function statesOf(row: Uint8Array): Map<number, Uint8Array> {
  const entries = fromBinary(FeaturesCombinedLazySchema, row).features.map((entry): [number, Uint8Array] => {
    const reader = new BinaryReader(entry);
    reader.tag();
    const id = reader.int32();
    reader.tag();
    return [id, reader.bytes()];
  });
  return new Map(entries);
}

// --- 3. place

function place<R extends Row>(
  table: Table<R>,
  { entity, aggregates }: TileSubject,
  rows: R[],
  states: TileColumn[],
): TileBatch {
  const count = rows.length;
  const texts = rows.map(({ key }) => keyTexts(entity, key));
  const keys = table.keyTypes.map((type, i) => keyColumn(`_key_${i + 1}`, type, entity, texts, i));
  const starts = rows.map(({ levelMs, tileStartMs }) => (levelMs === LIFETIME_LEVEL_MS ? null : tileStartMs));
  const values = table.aggregates.map(aggregate => {
    const known = states[aggregates.indexOf(aggregate)];
    if (known) return known;
    if (!table.isRaw) return makeColumn(aggregate, count);
    return { name: aggregate.name, type: BYTES, values: new Array(count).fill(NO_BYTES), nulls: allNull(count) };
  });
  const columns: TileColumn[] = [
    { name: '_entity', type: STRING, values: rows.map(() => entity.name), nulls: new Uint8Array(count) },
    ...keys,
    { name: '_level', type: STRING, values: rows.map(row => levelName(row.levelMs)), nulls: new Uint8Array(count) },
    {
      name: '_tile_start',
      type: TIME,
      values: BigInt64Array.from(starts, ms => BigInt(ms ?? 0) * MICROS_PER_MS),
      nulls: Uint8Array.from(starts, ms => Number(ms === null)),
    },
    ...table.beside.columns(rows),
    ...values,
  ];
  return { count, columns };
}

function allNull(count: number): Uint8Array {
  return new Uint8Array(count).fill(1);
}

export function levelName(levelMs: number): string {
  return levelMs === LIFETIME_LEVEL_MS ? 'lifetime' : formatDuration(levelMs);
}

/** As many as the entity with most of them has. Where entities differ in what one is, it is text. */
function keyTypesOf(entities: Entity[]): Type[] {
  const count = Math.max(...entities.map(({ keys }) => keys.length));
  return Array.from({ length: count }, (_, i) => {
    const types = entities.flatMap(({ keys }) => keys[i] ?? []);
    return types.every(type => sameType(type, types[0]!)) ? types[0]! : STRING;
  });
}

/** Null where the entity has no such key column. */
function keyColumn(name: string, type: Type, entity: Entity, texts: string[][], part: number): TileColumn {
  const own = entity.keys[part];
  if (!own) return makeColumn({ name, type }, texts.length);
  const nulls = new Uint8Array(texts.length);
  const parts = texts.map(each => each[part]!);
  if (type.kind === 'bool')
    return { name, type, values: Uint8Array.from(parts, text => Number(text === 'true')), nulls };
  if (type.kind !== 'string') return { name, type, values: BigInt64Array.from(parts, BigInt), nulls };
  const shown = own.kind === 'time' ? parts.map(text => formatMicros(BigInt(text))) : parts;
  return { name, type, values: shown, nulls };
}
