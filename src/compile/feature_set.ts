import type { Position } from '../base/fault.ts';
import { Fault } from '../base/fault.ts';
import { didYouMean } from '../base/name.ts';
import { formatDuration } from '../base/time.ts';
import { aggregateHash } from '../plan/canonical.ts';
import type { Expression, Window } from '../plan/expression.ts';
import { EVENT_TIME } from '../plan/expression.ts';
import type { Aggregate, Entity, EventType, Feature, FeatureSet, Plan, Tiles } from '../plan/plan.ts';
import { LINEAR } from '../plan/plan.ts';
import type { Type } from '../plan/value.ts';
import { INT64, isScalar, OPTIONAL, TIME, typeName } from '../plan/value.ts';
import { defaultResolutionMs, EXACT_TILE_MS, WINDOWS_PER_ENTITY_MAX } from '../plan/window.ts';
import { type AggregateParam, aggregateNamed, HALF_LIVES_KEPT, refusalOf, type SqlAggregate } from './aggregates.ts';
import type { Scope } from './bind.ts';
import { bind, bindCondition, fieldOf } from './bind.ts';
import type { Declared } from './declare.ts';
import type { Dialect } from './dialect.ts';
import { DIALECTS } from './dialect.ts';
import { standsOnAggregate } from './inline.ts';
import { NAME } from './name.ts';
import type { SetKey, WindowSpec } from './shape.ts';
import { SET_REQUIRED, SET_SHAPE } from './shape.ts';
import { READ_TIME, type Select, type SelectItem, type SqlNode } from './node.ts';
import { readExpression, readSelect } from './sql/read.ts';
import { call, scalarHint } from './typing.ts';
import type { YamlDocument } from './yaml.ts';
import { check, isRecord, valueAt } from './yaml.ts';

/** What a feature set adds to the plan; null for each part that is faulty. */
export interface CompiledSet {
  set: FeatureSet | null;
  aggregates: Aggregate[];
  features: Feature[];
}

/** Each window is a cover of its own in every lookup. */
export const WINDOWS_PER_SET_MAX = 32;
/** A reply has a column for each; more than this is several sets. */
export const FEATURES_PER_SET_MAX = 4096;
/** Each level is a row more for every event to write; with the lifetime the kernels hold eight. */
export const TILE_LEVELS_MAX = 7;
/** A lookup reads and merges each tile of a window's cover. */
export const TILES_PER_WINDOW_MAX = 4096;

const TILES_DEFAULT_MS = [60_000, 30 * 60_000, 86_400_000];

/**
 * A feature set in order: settings -> SELECT -> keys, source and WHERE -> an aggregate for each call -> a feature for
 * each item and window -> derived features.
 */
export async function compileSet(
  document: YamlDocument,
  declared: Declared,
  defaultDialect: string,
  faults: Fault[],
): Promise<CompiledSet> {
  const settings = readSettings(document, faults);
  const set: SetScope = { document, settings, name: settings.feature_set ?? '', faults };
  const event = findDeclared(set, 'source', declared.events, 'event type', 'events');
  const entity = findDeclared(set, 'entity', declared.entities, 'entity', 'entities');
  const tiles = tilesOf(set);
  const windows = tiles && settings.windows && windowsOf(set, settings.windows, tiles);
  const dialect = DIALECTS[settings.dialect ?? defaultDialect] ?? null;
  const sql = document.textAt(['sql']);
  const select = sql && settings.sql !== null ? await readSelect(sql, faults, dialect) : null;
  const derived = await readDerived(set, dialect);
  if (!event || !select) return { set: null, aggregates: [], features: [] };

  checkFrom(set, select, event);
  const keys = keysOf(set, select, event, entity);
  const where = select.where && bindCondition(select.where, eventScope(event, 'WHERE', faults), 'WHERE');
  const shared = { set, event, entity, keys, where, tiles: tiles ?? { levelsMs: [], offsetMs: 0 } };
  const { aggregates, items } = itemsOf(shared, select);
  if (windows && tiles) checkDecayed(aggregates, windows, tiles, faults);
  if (!windows || !entity || !keys || !settings.feature_set) return { set: null, aggregates: [], features: [] };

  const features = items.flatMap(item => windows.map(window => featureOf(set, entity, item, window)));
  checkNames(set, features);
  const allNamed = select.whole && items.length === itemCount(select);
  checkSaid(
    set,
    [...items, ...derived].map(({ name }) => name),
    allNamed,
  );
  addDerived(set, entity, features, derived, allNamed);
  if (features.length > FEATURES_PER_SET_MAX) {
    const message = `${set.name} has ${features.length} features, and at most ${FEATURES_PER_SET_MAX} are kept in one set`;
    faults.push(new Fault('too_large', message, document.at(['feature_set'])));
  }
  return { set: setOf(set, event, entity, keys), aggregates, features };
}

type Settings = { [K in SetKey]: ReturnType<(typeof SET_SHAPE)[K]['parse']> | null };

interface SetScope {
  document: YamlDocument;
  settings: Settings;
  name: string;
  faults: Fault[];
}

/** Every key is checked by itself: null where it is absent or faulty. */
function readSettings(document: YamlDocument, faults: Fault[]): Settings {
  const value = isRecord(document.value) ? document.value : {};
  for (const key of SET_REQUIRED) {
    if (value[key] !== undefined) continue;
    const at = document.keyAt(value.feature_set === undefined ? [] : ['feature_set']);
    faults.push(new Fault('definition', `${key} is missing from the feature set`, at));
  }
  const read = (key: SetKey) =>
    value[key] === undefined ? null : check<unknown>(SET_SHAPE[key], document, [key], faults);
  return Object.fromEntries((Object.keys(SET_SHAPE) as SetKey[]).map(key => [key, read(key)])) as Settings;
}

function findDeclared<T>(
  { document, settings, faults }: SetScope,
  key: 'source' | 'entity',
  known: Map<string, T | null>,
  what: string,
  section: string,
): T | null {
  const name = settings[key];
  if (name === null) return null;
  const found = known.get(name);
  if (found === undefined) {
    const hint = didYouMean(name, known.keys()) || `; declare it under ${section}:`;
    faults.push(new Fault('definition', `unknown ${what} "${name}"${hint}`, document.at([key])));
  }
  return found ?? null;
}

function tilesOf({ document, settings, faults }: SetScope): Tiles | null {
  if (valueAt(document.value, ['tiles']) !== undefined && settings.tiles === null) return null;
  const levelsMs = settings.tiles ?? TILES_DEFAULT_MS;
  const before = faults.length;
  const fault = (message: string, ...path: (string | number)[]) =>
    faults.push(new Fault('definition', message, document.at(path)));
  if (levelsMs.length > TILE_LEVELS_MAX)
    fault(`tiles: got ${levelsMs.length} lengths, wanted at most ${TILE_LEVELS_MAX}`, 'tiles');
  for (const [i, levelMs] of levelsMs.entries()) {
    const finerMs = levelsMs[i - 1];
    if (finerMs === undefined || (levelMs > finerMs && levelMs % finerMs === 0)) continue;
    const [finer, level] = [formatDuration(finerMs), formatDuration(levelMs)];
    fault(`tiles: each has to be a whole number of the one before it, and ${level} is none of ${finer}`, 'tiles', i);
  }
  const offsetMs = settings.tile_offset ?? 0;
  const coarsestMs = levelsMs.at(-1)!;
  if (offsetMs >= coarsestMs)
    fault(
      `tile_offset: ${formatDuration(offsetMs)} is not shorter than the coarsest tile, ${formatDuration(coarsestMs)}`,
      'tile_offset',
    );
  return faults.length === before ? { levelsMs, offsetMs } : null;
}

interface NamedWindow {
  /** What its features' names end in. */
  label: string;
  /** As written. */
  text: string;
  /** A series has several, the latest first. */
  windows: Window[];
  isSeries: boolean;
}

function windowsOf(set: SetScope, specs: WindowSpec[], tiles: Tiles): NamedWindow[] | null {
  const { document, faults } = set;
  const before = faults.length;
  if (specs.length > WINDOWS_PER_SET_MAX) {
    const message = `windows: got ${specs.length}, and at most ${WINDOWS_PER_SET_MAX} are read`;
    faults.push(new Fault('too_large', message, document.at(['windows'])));
  }
  const windows = specs.map((spec, i): NamedWindow => {
    const { text, label, count } = spec;
    const fault = (message: string) =>
      faults.push(new Fault('definition', `windows: ${message}`, document.at(['windows', i])));
    const twin = specs.findIndex(other => isTwin(other, spec));
    if (twin < i) fault(`${text} is as long as ${specs[twin]!.text}; one of them is enough`);
    if (count !== null && count > WINDOWS_PER_ENTITY_MAX)
      fault(`${text} are ${count} windows, and at most ${WINDOWS_PER_ENTITY_MAX} are read together`);
    const window = windowOf(spec, tiles, fault);
    return { label, text, windows: count === null ? [window] : seriesOf(window, count), isSeries: count !== null };
  });
  return faults.length === before ? windows : null;
}

/** The same times, in tiles of whatever length: nothing of these is in the names of features. */
function isTwin(a: WindowSpec, b: WindowSpec): boolean {
  const isOver = a.everyMs === b.everyMs && a.agoMs === b.agoMs && a.count === b.count;
  return a.lengthMs === b.lengthMs && isOver && a.isExact === b.isExact;
}

function windowOf(spec: WindowSpec, tiles: Tiles, fault: (message: string) => void): Window {
  const { lengthMs, everyMs, agoMs, isExact } = spec;
  if (lengthMs === null) return { kind: 'lifetime' };
  const resolutionMs = tileOf(spec, lengthMs, tiles, fault);
  const isOver = everyMs !== null || agoMs > 0 || isExact;
  const count = coverCountMax(lengthMs, resolutionMs, tiles.levelsMs, isOver);
  if (count > TILES_PER_WINDOW_MAX)
    fault(
      `${spec.text} takes ${count} tiles to answer, and at most ${TILES_PER_WINDOW_MAX} are read; add a coarser one to tiles`,
    );
  if (isExact) return { kind: 'exact', lengthMs, resolutionMs: EXACT_TILE_MS };
  if (everyMs !== null) return { kind: 'hopping', lengthMs, resolutionMs, everyMs, agoMs };
  return agoMs > 0 ? { kind: 'offset', lengthMs, resolutionMs, agoMs } : { kind: 'sliding', lengthMs, resolutionMs };
}

/** The finest tiles that a window is made of. */
function tileOf(spec: WindowSpec, lengthMs: number, tiles: Tiles, fault: (message: string) => void): number {
  if (spec.everyMs !== null) return hoppingTile(spec, lengthMs, spec.everyMs, tiles, fault);
  if (!spec.isExact) return slidingTile(spec, lengthMs, tiles, fault);
  const levels = tiles.levelsMs.map(formatDuration).join(', ');
  if (tiles.levelsMs[0] !== EXACT_TILE_MS)
    fault(`${spec.text} is made of tiles of 1ms, which are none of ${levels}; write tiles: [1ms, 1s, 1m, 30m, 1d]`);
  return EXACT_TILE_MS;
}

/** The tiles that a window moves by. */
function slidingTile(
  spec: WindowSpec,
  lengthMs: number,
  { levelsMs }: Tiles,
  fault: (message: string) => void,
): number {
  const resolutionMs = spec.resolutionMs ?? defaultResolutionMs(lengthMs, levelsMs);
  const resolution = formatDuration(resolutionMs);
  if (!levelsMs.includes(resolutionMs))
    fault(`${resolution} is none of the tiles: ${levelsMs.map(formatDuration).join(', ')}`);
  else if (resolutionMs > lengthMs)
    fault(`${spec.text} is shorter than a tile of ${resolution}; add a finer one to tiles`);
  return resolutionMs;
}

/** The coarsest tiles that its bounds are always between: which they are cannot be seen in its values. */
function hoppingTile(
  { text }: WindowSpec,
  lengthMs: number,
  everyMs: number,
  { levelsMs }: Tiles,
  fault: (message: string) => void,
): number {
  const [length, every] = [formatDuration(lengthMs), formatDuration(everyMs)];
  if (everyMs > lengthMs)
    fault(`${text} leaves out what lies between one and the next; wanted a length of at least ${every}, got ${length}`);
  const fitting = levelsMs.filter(levelMs => lengthMs % levelMs === 0 && everyMs % levelMs === 0);
  if (fitting.length === 0)
    fault(`${text} begins or ends within a tile of ${formatDuration(levelsMs[0]!)}; add a finer one to tiles`);
  return fitting.at(-1) ?? levelsMs[0]!;
}

/** One before the other, the latest first; the length of each is the step from it to the one before. */
function seriesOf(window: Window, count: number): Window[] {
  if (window.kind === 'lifetime' || window.kind === 'exact') return [window];
  const { lengthMs, resolutionMs } = window;
  const latestMs = window.kind === 'sliding' ? 0 : window.agoMs;
  const setBack = Array.from({ length: count }, (_, i) => latestMs + i * lengthMs);
  return setBack.map((agoMs): Window => {
    if (window.kind === 'hopping') return { ...window, agoMs };
    return agoMs === 0 ? window : { kind: 'offset', lengthMs, resolutionMs, agoMs };
  });
}

/** The most tiles that a cover of such a window has: one step short of the coarser tile on each level, and again on the way down where it is over. */
export function coverCountMax(lengthMs: number, resolutionMs: number, levelsMs: number[], isOver: boolean): number {
  const levels = levelsMs.filter(levelMs => levelMs >= resolutionMs);
  const count = levels.reduce((sum, levelMs, i) => {
    const coarserMs = levels[i + 1];
    if (coarserMs === undefined) return sum + Math.ceil(lengthMs / levelMs) + 1;
    return sum + (coarserMs / levelMs - 1) * (isOver ? 2 : 1);
  }, 0);
  return isOver ? Math.min(count, Math.ceil(lengthMs / resolutionMs) + 1) : count;
}

function checkFrom({ faults }: SetScope, { from }: Select, event: EventType): void {
  if (!from || from.name === event.name) return;
  const message = `FROM ${from.name}: the source of this feature set is ${event.name}`;
  faults.push(new Fault('definition', message, from.at));
}

/** In an event's scope names are its inputs, and there is nothing to aggregate. */
export function eventScope(event: EventType, what: string, faults: Fault[]): Scope {
  return {
    faults,
    name(node) {
      const struct = structOf(node, event);
      if (struct) return fieldOf(struct, { name: node.name, at: node.at }, node.table!.name, node.at, faults);
      if (!isTable(node, event, faults)) return null;
      const input = event.inputs.find(i => i.name === node.name);
      if (input) return { kind: 'column', name: input.name, type: input.type, at: node.at };
      const computed = event.columns.find(({ name }) => name === node.name);
      if (computed && standsOnAggregate(node.name, event)) {
        const message = `${node.name} is made of an aggregate, and a feature set looks at one event at a time: keep it in the topology`;
        faults.push(new Fault('unsupported', message, node.at));
        return null;
      }
      if (computed) return { kind: 'column', name: node.name, type: computed.expression.type, at: node.at };
      if (node.name === READ_TIME) {
        const message = `${node.text}: an event has no other time than its own: write ${EVENT_TIME}`;
        faults.push(new Fault('unsupported', message, node.at));
        return null;
      }
      if (node.name === EVENT_TIME) return { kind: 'column', name: EVENT_TIME, type: TIME, at: node.at };
      const names = [...event.inputs, ...event.columns].map(({ name }) => name);
      const hint = didYouMean(node.name, names) || `; it has ${names.join(', ')}`;
      faults.push(new Fault('definition', `event ${event.name} has no input "${node.name}"${hint}`, node.at));
      return null;
    },
    aggregate(node) {
      const message = `an aggregate inside ${what} is not supported: ${what} looks at one event at a time`;
      faults.push(new Fault('unsupported', message, node.symbol.at));
      return null;
    },
  };
}

/** What `a.b` is a field of: the input `a`, unless `a` is the event type and has an input `b`. */
function structOf({ table, name }: SqlNode & { kind: 'name' }, event: EventType): Expression | null {
  if (!table || (table.name === event.name && event.inputs.some(input => input.name === name))) return null;
  const input = event.inputs.find(({ name }) => name === table.name);
  return input ? { kind: 'column', name: input.name, type: input.type, at: table.at } : null;
}

function isTable(node: SqlNode & { kind: 'name' }, event: EventType, faults: Fault[]): boolean {
  if (!node.table || node.table.name === event.name) return true;
  const structs = event.inputs.filter(({ type }) => type.kind === 'struct').map(({ name }) => name);
  const hint = didYouMean(node.table.name, structs) || ', and no input is called so';
  const message = `unknown table "${node.table.name}": the only one is ${event.name}${hint}`;
  faults.push(new Fault('definition', message, node.table.at));
  return false;
}

/** What decays is counted in half-lives from the start of a tile, and what is left of it after so many is nothing: neither may be too long. */
function checkDecayed(aggregates: Aggregate[], windows: NamedWindow[], tiles: Tiles, faults: Fault[]): void {
  const coarsestMs = tiles.levelsMs.at(-1)!;
  const isLifetime = windows.some(named => named.windows.some(({ kind }) => kind === 'lifetime'));
  for (const { fn, at } of aggregates) {
    if (fn.name !== 'decayedSum' && fn.name !== 'decayedCount') continue;
    const keptMs = HALF_LIVES_KEPT * fn.limit!;
    const [half, kept] = [formatDuration(fn.limit!), formatDuration(keptMs)];
    const nothing = `after ${HALF_LIVES_KEPT} half-lives of ${half} nothing is left`;
    if (isLifetime)
      faults.push(
        new Fault('unsupported', `a lifetime of what decays is not kept: ${nothing}; write ${kept} under windows`, at),
      );
    if (coarsestMs > keptMs) {
      const message = `tiles: ${formatDuration(coarsestMs)} is longer than ${kept}, and ${nothing}; leave it out`;
      faults.push(new Fault('definition', message, at));
    }
  }
}

/** The columns that name the entity, in the order of its keys. */
function keysOf(set: SetScope, select: Select, event: EventType, entity: Entity | null): Expression[] | null {
  const { document, settings, faults } = set;
  const scope = eventScope(event, 'GROUP BY', faults);
  if (select.groupBy.length === 0) {
    const message = 'GROUP BY is missing: name the columns that hold the key of the entity';
    if (select.whole) faults.push(new Fault('definition', message, document.keyAt(['sql'])));
    return null;
  }
  const grouped = select.groupBy.map(node => {
    const column = groupedColumn(node, select, faults);
    const expression = column && scope.name(column);
    if (!column || expression?.kind !== 'field') return column && expression && { column, expression };
    const message = `GROUP BY takes inputs of the event only: give ${column.text} one of its own, with path: $.data.${column.text}`;
    faults.push(new Fault('unsupported', message, column.at));
    return null;
  });
  if (grouped.includes(null)) return null;
  const columns = grouped as NonNullable<(typeof grouped)[number]>[];
  const names = columns.map(({ column }) => column.name);
  const twin = names.findIndex((name, i) => names.indexOf(name) < i);
  if (twin >= 0) {
    faults.push(new Fault('definition', `GROUP BY names ${names[twin]} twice`, columns[twin]!.column.at));
    return null;
  }
  if (valueAt(document.value, ['key']) !== undefined && settings.key === null) return null;
  const ordered = settings.key ? orderKeys(set, settings.key, names) : names;
  if (!ordered || !entity) return null;
  return matchKeys(
    set,
    ordered.map(name => columns[names.indexOf(name)]!),
    entity,
  );
}

/** A column of GROUP BY, or the one at its position in the SELECT. */
function groupedColumn(node: SqlNode, select: Select, faults: Fault[]): (SqlNode & { kind: 'name' }) | null {
  if (node.kind === 'name') return node;
  const position = node.kind === 'literal' && typeof node.value === 'bigint' ? Number(node.value) : 0;
  const item = select.whole ? select.items[position - 1] : undefined;
  if (item?.node.kind === 'name') return { ...item.node, at: node.at };
  if (!select.whole) return null;
  const message = item
    ? `GROUP BY ${node.text} is ${item.node.text}, which is no column of the event`
    : `GROUP BY ${node.text}: wanted a column, or its position in the SELECT (1 to ${select.items.length})`;
  faults.push(new Fault('definition', message, node.at));
  return null;
}

function orderKeys({ document, faults }: SetScope, written: string[], names: string[]): string[] | null {
  const before = faults.length;
  for (const [i, name] of written.entries()) {
    const at = document.at(['key', i]);
    if (!names.includes(name)) {
      const hint = didYouMean(name, names) || `; it has ${names.join(', ')}`;
      faults.push(new Fault('definition', `key: GROUP BY has no column "${name}"${hint}`, at));
    } else if (written.indexOf(name) < i) faults.push(new Fault('definition', `key: ${name} is named twice`, at));
  }
  const left = names.filter(name => !written.includes(name));
  if (faults.length === before && left.length > 0) {
    const message = `key: GROUP BY also has ${left.join(', ')}; every column of GROUP BY is a part of the entity's key`;
    faults.push(new Fault('definition', message, document.at(['key'])));
  }
  return faults.length === before ? written : null;
}

function matchKeys(
  { faults }: SetScope,
  columns: { column: SqlNode; expression: Expression }[],
  entity: Entity,
): Expression[] | null {
  const before = faults.length;
  if (columns.length !== entity.keys.length) {
    const wanted = `${entity.keys.length} (${entity.keys.map(typeName).join(', ')})`;
    const message = `GROUP BY has ${columns.length} columns, and the key of entity ${entity.name} has ${wanted}`;
    faults.push(new Fault('definition', message, columns[0]!.column.at));
    return null;
  }
  for (const [i, { column, expression }] of columns.entries()) {
    const wanted = entity.keys[i]!;
    if (expression.type.kind === wanted.kind) continue;
    const message = `column ${i + 1} of the key of entity ${entity.name} is ${typeName(wanted)}, and ${column.text} is ${typeName(expression.type)}`;
    faults.push(new Fault('definition', message, column.at));
  }
  return faults.length === before ? columns.map(({ expression }) => expression) : null;
}

/** What all aggregates of a set have in common. */
interface Shared {
  set: SetScope;
  event: EventType;
  entity: Entity | null;
  /** Null where they are faulty. */
  keys: Expression[] | null;
  where: Expression | null;
  tiles: Tiles;
}

/** A select item with a name; its reads of aggregates wait for their windows. */
interface BoundItem {
  name: string;
  at: Position;
  text: string;
  expression: Expression;
}

/**
 * Items that are just one aggregate come first, so that an aggregate bears the name its author gave it, even where
 * another item uses it too.
 */
function itemsOf(shared: Shared, select: Select): { aggregates: Aggregate[]; items: BoundItem[] } {
  const { set, event, keys } = shared;
  const aggregates = new Map<string, Aggregate>();
  const items = new Map<SelectItem, BoundItem>();
  const names = new Set<string>();
  const candidates = select.items.filter(item => isNamed(item, names, set.faults));
  if (select.whole && itemCount(select) === 0) {
    const message = 'the SELECT has no aggregate, so there is no feature: add one, like COUNT(*) AS events';
    set.faults.push(new Fault('definition', message, set.document.keyAt(['sql'])));
  }
  for (const item of select.items) checkKeyColumn(item, event, keys, set.faults);
  const isPlain = ({ node }: SelectItem) => node.kind === 'aggregate';
  for (const item of [...candidates.filter(isPlain), ...candidates.filter(item => !isPlain(item))]) {
    const bound = bindItem(item, shared, aggregates);
    if (bound) items.set(item, bound);
  }
  const inOrder = candidates.map(item => items.get(item)).filter(item => item !== undefined);
  return { aggregates: [...aggregates.values()], items: inOrder };
}

function itemCount(select: Select): number {
  return select.items.filter(item => item.node.kind !== 'name').length;
}

/** Everything but the key columns needs a name, which becomes that of its features. */
function isNamed({ node, alias }: SelectItem, names: Set<string>, faults: Fault[]): boolean {
  if (node.kind === 'name') return false;
  const fault = (message: string, at: Position) => {
    faults.push(new Fault('definition', message, at));
    return false;
  };
  if (!alias) return fault(`${node.text} has no name: write ${node.text} AS name`, node.at);
  if (!NAME.test(alias.name))
    return fault(`"${alias.name}": a name is letters, digits and _, and begins with a letter`, alias.at);
  if (names.has(alias.name)) return fault(`two items are called ${alias.name}`, alias.at);
  names.add(alias.name);
  return true;
}

/** A bare column has to be one of the key; with a name of its own it would be a feature, which it cannot be. */
function checkKeyColumn(
  { node, alias }: SelectItem,
  event: EventType,
  keys: Expression[] | null,
  faults: Fault[],
): void {
  if (node.kind !== 'name') return;
  const column = eventScope(event, 'SELECT', faults).name(node);
  if (!column || !keys) return;
  if (column.kind !== 'column' || !isKey(node.name, keys)) faults.push(neitherNor(node));
  else if (alias)
    faults.push(
      new Fault('unsupported', `${node.name} is a key column and keeps its name: leave out AS ${alias.name}`, alias.at),
    );
}

function isKey(name: string, keys: Expression[]): boolean {
  return keys.some(key => key.kind === 'column' && key.name === name);
}

function neitherNor(node: SqlNode & { kind: 'name' }): Fault {
  const message = `column ${node.text} is neither grouped nor aggregated: name it in GROUP BY, or write MAX(${node.text}) or the like`;
  return new Fault('definition', message, node.at);
}

/** Stands for every window until the item's features are made. */
const NO_WINDOW: Window = { kind: 'lifetime' };

function bindItem(item: SelectItem, shared: Shared, aggregates: Map<string, Aggregate>): BoundItem | null {
  const { set, event, keys } = shared;
  const { node, alias } = item;
  let count = 0;
  const scope: Scope = {
    faults: set.faults,
    name(column) {
      if (isReadTime(column, event)) return readTime(column);
      if (structOf(column, event)) {
        if (eventScope(event, 'SELECT', set.faults).name(column)) set.faults.push(neitherNor(column));
        return null;
      }
      if (!isTable(column, event, set.faults)) return null;
      const message = `key column ${column.name} beside an aggregate is not supported: features are computed from aggregates alone`;
      if (!keys) return null;
      if (isKey(column.name, keys)) set.faults.push(new Fault('unsupported', message, column.at));
      else if (eventScope(event, 'SELECT', set.faults).name(column)) set.faults.push(neitherNor(column));
      return null;
    },
    aggregate(inner) {
      count++;
      const name = node.kind === 'aggregate' ? alias!.name : `${alias!.name}$${count}`;
      const aggregate = aggregateOf(inner, `${set.name}:${name}`, shared);
      if (!aggregate) return null;
      const stored = storeOnce(aggregate, event, aggregates);
      const read = { aggregate: stored.name, window: NO_WINDOW, keys: null, after: null, exclusive: false };
      return { kind: 'read', read, type: stored.type, at: inner.at };
    },
  };
  const expression = bind(node, scope);
  if (expression && !isFeatureType(expression, node, set.faults)) return null;
  if (expression && count > 0) return { name: alias!.name, at: alias!.at, text: node.text, expression };
  if (expression) {
    const message = `${alias!.name} has no aggregate in it, so it is no feature: aggregate something, or put it under derive:`;
    set.faults.push(new Fault('definition', message, node.at));
  }
  return null;
}

/** Around aggregates an item is computed when it is read. */
function isReadTime({ name, table }: SqlNode & { kind: 'name' }, event: EventType): boolean {
  return table === null && name === READ_TIME && !event.inputs.some(input => input.name === name);
}

function readTime({ at }: SqlNode): Expression {
  return { kind: 'now', type: TIME, at };
}

function isFeatureType({ type }: Expression, node: SqlNode, faults: Fault[]): boolean {
  if (isScalar(type) || type.kind === 'map' || (type.kind === 'list' && isScalar(type.of.type))) return true;
  const message = `a feature is a scalar or a list of scalars, and ${node.text} is ${typeName(type)}; ${scalarHint(type, node.text)}`;
  faults.push(new Fault('definition', message, node.at));
  return false;
}

/** Equal aggregates of a set are stored once, under the first one's name. */
function storeOnce(aggregate: Aggregate, event: EventType, aggregates: Map<string, Aggregate>): Aggregate {
  const plan: Plan = { events: [event], entities: [], aggregates: [], sets: [], features: [], latenessMs: 0 };
  const hash = aggregateHash(aggregate, plan);
  const stored = aggregates.get(hash) ?? aggregate;
  aggregates.set(hash, stored);
  return stored;
}

function aggregateOf(node: SqlNode & { kind: 'aggregate' }, name: string, shared: Shared): Aggregate | null {
  const { set, event, entity, keys, where, tiles } = shared;
  const label = node.symbol.name.toUpperCase();
  const argument = node.of && bind(node.of, eventScope(event, label, set.faults));
  const filter = node.filter && bindCondition(node.filter, eventScope(event, 'FILTER', set.faults), 'FILTER');
  if (!canTakeBack(node, label, event, set.faults)) return null;
  const spec = aggregateNamed(node.name);
  const [by, ...behind] = spec.isRanked ? (node.params as [SqlNode, ...SqlNode[]]) : [null, ...node.params];
  const rank = by && bind(by, eventScope(event, label, set.faults));
  const given = spec.params.map((param, i) => paramOf(param, behind[i] ?? null, label, set.faults));
  if ((node.of && !argument) || (by && !rank) || (node.filter && !filter) || !areGiven(given)) return null;
  if (argument && !isAggregable(spec, label, argument, node.of!, set.faults)) return null;
  if (rank && !canRank(label, rank, by!, set.faults)) return null;
  if (spec.isOrdered && !isOrderKnown(node, label, rank ?? argument!, set.faults)) return null;
  if (argument && !isToldApart(node, argument, set.faults)) return null;
  if (argument && !isRealMean(node, argument, set.faults)) return null;
  const value = argument && spec.argument ? spec.argument(argument, given) : argument;
  const arg = filter ? filtered(value, filter, node) : value;
  const fn = { name: node.name, args: [arg, rank].filter(one => one !== null), ...spec.keep(given) };
  const type = spec.result(argument?.type ?? null, given);
  return {
    name,
    event: event.name,
    entity: entity?.name ?? null,
    keys: keys ?? [],
    where,
    fn,
    tiles,
    type,
    at: node.at,
  };
}

function canRank(label: string, { type }: Expression, { text, at }: SqlNode, faults: Fault[]): boolean {
  if (isScalar(type)) return true;
  const message = `${label} is ranked by a scalar, got ${typeName(type)}; ${scalarHint(type, text)}`;
  faults.push(new Fault('definition', message, at));
  return false;
}

/** Texts are ordered by their bytes here, and by a collation elsewhere. */
function isOrderKnown(
  { symbol, rules }: SqlNode & { kind: 'aggregate' },
  label: string,
  { type }: Expression,
  faults: Fault[],
): boolean {
  if (type.kind !== 'string' || !rules || rules.texts === 'bytes') return true;
  const message = `${label} of texts is not supported in ${rules.name}: a collation decides there which is greater`;
  faults.push(new Fault('unsupported', message, symbol.at));
  return false;
}

/** What is written behind a value is a part of what is stored, so it has to be a literal. */
function paramOf(param: AggregateParam, node: SqlNode | null, label: string, faults: Fault[]): number[] | null {
  const given = param.read(node);
  if (!given && node && node.kind !== 'faulty')
    faults.push(new Fault('definition', `${label} ${param.wants}, and ${node.text} is none`, node.at));
  return given;
}

function areGiven(given: (number[] | null)[]): given is number[][] {
  return !given.includes(null);
}

/** A changelog takes rows back, and of a greatest or latest value nobody knows what was there before it. */
function canTakeBack(
  { name, symbol }: SqlNode & { kind: 'aggregate' },
  label: string,
  event: EventType,
  faults: Fault[],
) {
  if (LINEAR[name] || (event.changelog === undefined && event.weight === null)) return true;
  const message = `${label} over ${event.name} is not supported: it is a changelog, and ${label} cannot take a row back`;
  faults.push(new Fault('unsupported', `${message}; COUNT, SUM and AVG can`, symbol.at));
  return false;
}

/** f(x) FILTER (WHERE c) -> f(CASE WHEN c THEN x END), for every f passes over nulls. */
function filtered(argument: Expression | null, filter: Expression, { at }: SqlNode): Expression {
  const value: Expression = argument ?? { kind: 'literal', value: 1n, type: INT64, at };
  const otherwise: Expression = { kind: 'literal', value: null, type: value.type, at };
  return call('case', [filter, value, otherwise], value.type, at);
}

/** Where a collation decides which texts are the same, as many are distinct as that says. */
function isToldApart(node: SqlNode & { kind: 'aggregate' }, { type }: Expression, faults: Fault[]): boolean {
  const { rules, of, name, symbol } = node;
  const isCollated = rules?.texts === 'collated' && of!.rules?.texts !== 'bytes';
  if (!isCollated || type.kind !== 'string' || name !== 'countUnique') return true;
  const message = `${symbol.name.toUpperCase()} of different texts goes by a collation in ${rules.name}, and here by their bytes`;
  faults.push(new Fault('unsupported', `${message}: write BINARY ${of!.text}`, of!.at));
  return false;
}

/** Of whole numbers means and variances are whole in some systems. */
function isRealMean(node: SqlNode & { kind: 'aggregate' }, { type }: Expression, faults: Fault[]): boolean {
  const { rules, of, name, symbol } = node;
  if (!rules?.hasWholeMeans || type.kind !== 'int64' || !/^(avg|var|std)/.test(name)) return true;
  const label = symbol.name.toUpperCase();
  const message = `${label} of int64 is a whole number in ${rules.name}, and a double here`;
  faults.push(new Fault('unsupported', `${message}: write ${label}(CAST(${of!.text} AS DOUBLE))`, of!.at));
  return false;
}

function isAggregable(
  spec: SqlAggregate,
  label: string,
  { type }: Expression,
  { text, at }: SqlNode,
  faults: Fault[],
): boolean {
  const refusal = refusalOf(spec, label, type, text);
  if (refusal === null) return true;
  const hint = isScalar(type) ? '' : `; ${scalarHint(type, text)}`;
  faults.push(new Fault('definition', refusal + hint, at));
  return false;
}

function featureOf(set: SetScope, entity: Entity, item: BoundItem, named: NamedWindow): Feature {
  const { label, text, windows, isSeries } = named;
  const { type } = item.expression;
  if (isSeries && !isScalar(type)) {
    const message = `${item.name} is ${typeName(type)}, and over ${text} it would be a list of such; keep it in a set without a series`;
    set.faults.push(new Fault('unsupported', message, item.at));
  }
  const elements = windows.map(window => overWindow(item.expression, window));
  return {
    name: `${set.name}:${item.name}_${label}`,
    set: set.name,
    entity: entity.name,
    expression: isSeries ? listOf(elements, type) : elements[0]!,
    description: `${item.text} over ${text}`,
    ...saidOf(set, item.name),
    at: item.at,
  };
}

function listOf(elements: Expression[], type: Type): Expression {
  return call('list', elements, { kind: 'list', of: { type, presence: OPTIONAL } }, elements[0]!.at!);
}

/** `n_1d_offset` over 7d, and `n` over 1d offset 7d: whoever reads the name could not tell which it is. */
function checkNames(set: SetScope, features: Feature[]): void {
  const known = new Map<string, Feature>();
  for (const feature of features) {
    const twin = known.get(feature.name);
    known.set(feature.name, feature);
    if (!twin) continue;
    const message = `${feature.name} would be ${twin.description} and ${feature.description}; give one of them another name`;
    set.faults.push(new Fault('definition', message, feature.at));
  }
}

/** What its author says of an item or of a derived feature; an item's windows share it. */
function saidOf({ settings }: SetScope, name: string): Pick<Feature, 'about' | 'units'> {
  const said = (texts: Record<string, string> | null) => (texts && Object.hasOwn(texts, name) ? texts[name]! : null);
  const [about, units] = [said(settings.describe), said(settings.units)];
  return { ...(about !== null && { about }), ...(units !== null && { units }) };
}

/** @param allNamed are all items among the names? If not, an unknown one may be one that is faulty */
function checkSaid({ document, settings, name: set, faults }: SetScope, names: string[], allNamed: boolean): void {
  for (const key of ['describe', 'units'] as const)
    for (const name of Object.keys(settings[key] ?? {})) {
      if (names.includes(name) || !allNamed) continue;
      const hint = didYouMean(name, names) || `; it has ${names.join(', ')}`;
      const message = `${key}: feature set ${set} has no item "${name}"${hint}`;
      faults.push(new Fault('definition', message, document.keyAt([key, name])));
    }
}

function overWindow(expression: Expression, window: Window): Expression {
  const inWindow = (inner: Expression) => overWindow(inner, window);
  switch (expression.kind) {
    case 'read':
      return { ...expression, read: { ...expression.read, window } };
    case 'call':
      return { ...expression, args: expression.args.map(inWindow) };
    case 'field':
      return { ...expression, of: inWindow(expression.of) };
    case 'index':
      return { ...expression, of: inWindow(expression.of), by: inWindow(expression.by) };
    default:
      return expression;
  }
}

interface Derivation {
  name: string;
  node: SqlNode | null;
  text: string;
}

async function readDerived({ document, settings, faults }: SetScope, dialect: Dialect | null): Promise<Derivation[]> {
  const derived: Derivation[] = [];
  for (const name of Object.keys(settings.derive ?? {})) {
    const text = document.textAt(['derive', name]);
    if (text) derived.push({ name, node: await readExpression(text, faults, dialect), text: text.text.trim() });
  }
  return derived;
}

/**
 * Derived features refer to features of their set, derived ones too, in any order.
 *
 * @param features those of the windows; the derived ones are added
 * @param allNamed is every feature of the set among them? If not, an unknown name may be one that is faulty
 */
function addDerived(
  set: SetScope,
  entity: Entity,
  features: Feature[],
  derived: Derivation[],
  allNamed: boolean,
): void {
  const { document, faults } = set;
  const byName = new Map<string, Feature | null>(features.map(feature => [feature.name, feature]));
  const waiting = new Map(derived.map(derivation => [derivation.name, derivation]));
  const fault = (message: string, at: Position) => faults.push(new Fault('definition', message, at));
  const resolve = ({ name, node, text }: Derivation, trail: string[]): void => {
    if (!waiting.delete(name)) return;
    const at = document.keyAt(['derive', name]);
    const full = `${set.name}:${name}`;
    if (byName.has(full))
      return void fault(`${name} is a feature of the windows already; call this one something else`, at);
    byName.set(full, null);
    const names = [...trail, name];
    const scope: Scope = {
      faults,
      name(reference) {
        if (reference.table === null && reference.name === READ_TIME) return readTime(reference);
        const cycle = names.indexOf(reference.name);
        if (cycle >= 0) {
          const text = [...names.slice(cycle), reference.name].join(' -> ');
          fault(`a feature cannot be derived from itself: ${text}`, reference.at);
          return null;
        }
        const next = waiting.get(reference.name);
        if (next) resolve(next, names);
        return referTo(set, reference, byName, derived, allNamed);
      },
      aggregate(inner) {
        fault(`derive: reads features of this set; put ${inner.text} into sql under a name`, inner.symbol.at);
        return null;
      },
    };
    const expression = node && bind(node, scope);
    if (!expression || !isFeatureType(expression, node, faults)) return;
    const of = { name: full, set: set.name, entity: entity.name };
    const feature: Feature = { ...of, expression, description: text, ...saidOf(set, name), at };
    byName.set(full, feature);
    features.push(feature);
  };
  for (const derivation of derived) resolve(derivation, []);
}

function referTo(
  set: SetScope,
  reference: SqlNode & { kind: 'name' },
  byName: Map<string, Feature | null>,
  derived: Derivation[],
  allNamed: boolean,
): Expression | null {
  const name = `${set.name}:${reference.name}`;
  const found = reference.table ? undefined : byName.get(name);
  if (found) return { kind: 'column', name, type: found.expression.type, at: reference.at };
  if (found === null || !allNamed) return null;
  const known = [...[...byName.keys()].map(key => key.slice(key.indexOf(':') + 1)), ...derived.map(({ name }) => name)];
  const message = `feature set ${set.name} has no feature "${reference.text}"${didYouMean(reference.name, known)}`;
  set.faults.push(new Fault('definition', message, reference.at));
  return null;
}

function setOf(
  { document, settings, name }: SetScope,
  event: EventType,
  entity: Entity,
  keys: Expression[],
): FeatureSet {
  return {
    name,
    description: settings.description ?? '',
    owner: settings.owner ?? '',
    ...(settings.version !== null && { version: Number(settings.version) }),
    entity: entity.name,
    event: event.name,
    keys,
    sql: settings.sql ?? '',
    at: document.at(['feature_set']),
  };
}
