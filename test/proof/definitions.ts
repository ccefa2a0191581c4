/** Whole definitions that a seed decides, in parts, so that a shrinker can leave some out; and their text. */
import { compileSources } from '../../src/compile/compile.ts';
import type { Fault } from '../../src/base/fault.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { ScalarKind, Type } from '../../src/plan/value.ts';
import type { Random } from '../sim/random.ts';
import {
  AGGREGATES,
  type AggregateEntry,
  DERIVES,
  durationText,
  EXPRESSIONS,
  type InputKind,
  KINDS,
  LITERALS,
  NESTED,
  STRUCTS,
  TILES,
  TILES_DEFAULT_MS,
  WINDOWS,
} from './menu.ts';

export interface Definitions {
  types: EventSpec[];
  entities: { name: string; keys: ScalarKind[] }[];
  sets: SetSpec[];
  latenessMs: number;
}

export interface EventSpec {
  name: string;
  inputs: InputSpec[];
  /**
   * Its events add rows and take them back: the input that says which, or null where they are Debezium's; and the one
   * that says when a row was. Null where they are true for good.
   */
  changelog: { op: string | null; time: string | null } | null;
}

export interface InputSpec {
  name: string;
  kind: InputKind;
  presence: 'required' | 'optional' | { default: string };
  /** Below `$.data`; null where it is the input's name. */
  path: string[] | null;
  /** It is of a key, so few different values are the rule. */
  isKey: boolean;
}

export interface SetSpec {
  name: string;
  entity: string;
  source: string;
  /** Inputs in the order of the entity's keys, and in that of GROUP BY. */
  keys: string[];
  groupBy: string[];
  windows: string[];
  tilesMs: readonly number[] | null;
  tileOffsetMs: number;
  where: Sql | null;
  items: Item[];
  derives: { name: string; sql: string }[];
}

/** An expression, and whether DuckDB makes the same of it. */
export interface Sql {
  text: string;
  isDuckdb: boolean;
}

/** `aggregate(argument) FILTER (WHERE filter)`. */
export interface Item {
  name: string;
  sql: string;
  /** The same over rows of DuckDB; null where that cannot say it. */
  duckdb: string | null;
  /** What else it could be, for a shrinker: without what it need not have. */
  simpler: string[];
  /** No lifetime of it is kept. */
  isWindowed: boolean;
  /** Its value is no list and no map, so there may be a series of it. */
  isScalar: boolean;
}

const EVENTS_MAX = 3;
const ENTITIES_MAX = 3;
const SETS_MAX = 4;
const ITEMS_MAX = 5;
const WINDOWS_MAX = 4;

export async function randomDefinitions(random: Random): Promise<Definitions> {
  const count = (most: number) => 1 + Math.min(random.below(most), random.below(most));
  const types = names('event', count(EVENTS_MAX)).map(name => randomType(name, random));
  const entities = names('entity', count(ENTITIES_MAX)).map(name => ({
    name,
    keys: Array.from({ length: count(3) }, () => random.pick(['string', 'string', 'int64', 'bool', 'time'] as const)),
  }));
  const latenessMs = random.pick([0, 1_000, 90_000, 3_600_000, 3_600_000, 86_400_000]);
  const sets = names('set', count(SETS_MAX)).map(name =>
    randomSet(name, random.pick(types), random.pick(entities), random),
  );
  const whole = { types, entities, sets, latenessMs };
  const { plan } = await compileDefinitions(whole);
  for (const set of sets) set.derives = randomDerives(set, plan, random);
  return whole;
}

function names(what: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${what}${i}`);
}

function randomType(name: string, random: Random): EventSpec {
  const inputs = randomInputs(random);
  if (!random.chance(0.2)) return { name, inputs, changelog: null };
  const time = random.chance(0.5) ? 'changed' : null;
  const op = random.chance(0.6) ? OP : null;
  const said = [
    ...(op ? [{ name: op, kind: 'string' as const }] : []),
    ...(time ? [{ name: time, kind: 'time' as const }] : []),
  ];
  const more = said.map(one => ({ ...one, presence: 'required' as const, path: null, isKey: false }));
  return { name, inputs: [...more, ...inputs], changelog: { op, time } };
}

/** The input of a changelog that says what has become of a row. */
export const OP = 'op';

function randomInputs(random: Random): InputSpec[] {
  const kinds: InputKind[] = Array.from({ length: 3 + random.below(4) }, () => random.pick(KINDS));
  if (random.chance(0.3)) kinds.push(random.pick(Object.keys(NESTED) as (keyof typeof NESTED)[]));
  return kinds.map((kind, i) => randomInput(`${kind[0]}${i}`, kind, false, random));
}

const DEFAULTS: Partial<Record<InputKind, readonly string[]>> = {
  bool: ['true', 'false'],
  int64: ['0', '-7', '9223372036854775807'],
  double: ['0.25', '-0.0', '1e300'],
  string: ['""', '"größe"'],
};

function randomInput(name: string, kind: InputKind, isKey: boolean, random: Random): InputSpec {
  const defaults = DEFAULTS[kind];
  const presence = random.pick(['required', 'optional', 'optional', 'default'] as const);
  const path = random.chance(0.15) ? ['meta', ...(random.chance(0.3) ? ['in'] : []), name] : null;
  if (presence !== 'default') return { name, kind, presence, path, isKey };
  return { name, kind, presence: defaults ? { default: random.pick(defaults) } : 'optional', path, isKey };
}

function randomSet(name: string, source: EventSpec, entity: Definitions['entities'][number], random: Random): SetSpec {
  const keys: string[] = [];
  for (const kind of entity.keys) {
    const fitting = source.inputs.filter(input => input.kind === kind && input.isKey && !keys.includes(input.name));
    const input = fitting.length > 0 && random.chance(0.8) ? random.pick(fitting) : null;
    const key = input ?? randomInput(`key${source.inputs.length}`, kind, true, random);
    if (!input) source.inputs.push(key);
    keys.push(key.name);
  }
  const tilesMs = random.pick(TILES);
  const levelsMs = tilesMs ?? TILES_DEFAULT_MS;
  const items = names('f', 1 + random.below(ITEMS_MAX)).map(item => randomItem(item, source, random));
  return {
    name,
    entity: entity.name,
    source: source.name,
    keys,
    groupBy: random.chance(0.3) ? keys.toReversed() : keys,
    windows: randomWindows(levelsMs, items, random),
    tilesMs,
    tileOffsetMs: random.chance(0.25) ? random.below(levelsMs.at(-1)!) : 0,
    where: random.chance(0.4) ? expression('bool', source.inputs, random, 2) : null,
    items,
    derives: [],
  };
}

/** Those of one set are of different lengths. */
function randomWindows(tilesMs: readonly number[], items: Item[], random: Random): string[] {
  const windows = new Map<string, string>();
  for (let i = 1 + random.below(WINDOWS_MAX); i > 0; i--) {
    const text = random.pick(WINDOWS)(random, tilesMs);
    const isSeries = text?.includes(' x ');
    const isTaken = items.every(item => !(item.isWindowed && text === 'lifetime') && (item.isScalar || !isSeries));
    if (text !== null && isTaken) windows.set(text.split('@')[0]!, text);
  }
  return windows.size > 0 ? [...windows.values()] : [durationText(tilesMs.at(-1)! * 2)];
}

function randomItem(name: string, source: EventSpec, random: Random): Item {
  const one = randomAggregate(source, random);
  const isNumber = ({ entry, kind }: Aggregated) =>
    ['int64', 'double'].includes(entry.gives === 'same' ? kind! : (entry.gives ?? ''));
  const { sql, duckdb, simpler } = one;
  const isWindowed = one.entry.isWindowed ?? false;
  const isScalar = one.entry.gives !== 'list' && one.entry.gives !== null;
  const alone = { name, sql, duckdb, simpler, isWindowed, isScalar };
  if (!isNumber(one) || !random.chance(0.15)) return alone;
  const other = randomAggregate(source, random);
  if (!isNumber(other)) return alone;
  return {
    name,
    sql: `${sql} ${random.pick(['+', '-', '/'])} ${other.sql}`,
    duckdb: null,
    simpler: [sql, other.sql, ...simpler, ...other.simpler],
    isWindowed: isWindowed || (other.entry.isWindowed ?? false),
    isScalar: true,
  };
}

interface Aggregated {
  entry: AggregateEntry;
  kind: InputKind | null;
  sql: string;
  duckdb: string | null;
  simpler: string[];
}

function randomAggregate({ inputs, changelog }: EventSpec, random: Random): Aggregated {
  const entry = random.pick(changelog ? AGGREGATES.filter(({ isLinear }) => isLinear) : AGGREGATES);
  const kind = entry.of.length > 0 ? pickKind(entry.of, inputs, random) : null;
  const of = kind ? argument(kind, inputs, random) : null;
  const filter = random.chance(0.25) ? expression('bool', inputs, random, 2) : null;
  const narrowed = (text: string) => (filter ? `${text} FILTER (WHERE ${filter.text})` : text);
  const [x, n] = [of?.text ?? '', random.pick(entry.limits ?? [0])];
  const sql = narrowed(entry.sql(x, n));
  const isSame = entry.duckdb !== null && (of?.isDuckdb ?? true) && (filter?.isDuckdb ?? true);
  const duckdb = entry.duckdb ? entry.duckdb(x, n, filter?.text ?? 'TRUE') : sql;
  const simpler = [entry.sql(x, n), ...inputs.filter(one => one.kind === kind).map(one => entry.sql(one.name, n))];
  return { entry, kind, sql, duckdb: isSame ? duckdb : null, simpler };
}

/** Lists and structs only where there is one. */
function pickKind(kinds: readonly InputKind[], inputs: InputSpec[], random: Random): InputKind {
  return random.pick(
    kinds.filter(kind => (KINDS as readonly string[]).includes(kind) || inputs.some(one => one.kind === kind)),
  );
}

function argument(kind: InputKind, inputs: InputSpec[], random: Random): Sql {
  if ((KINDS as readonly string[]).includes(kind)) return expression(kind as ScalarKind, inputs, random, 2);
  return { text: random.pick(inputs.filter(one => one.kind === kind)).name, isDuckdb: false };
}

/** Of a kind, over inputs, calls and operators at most `depth` within one another. */
function expression(kind: ScalarKind, inputs: InputSpec[], random: Random, depth: number): Sql {
  const named = inputs.filter(input => input.kind === kind);
  const entries = EXPRESSIONS.filter(
    ({ gives, takes }) =>
      gives === kind && takes.every(of => (KINDS as readonly string[]).includes(of) || inputs.some(i => i.kind === of)),
  );
  const isCall = depth > 0 && random.chance(named.length > 0 ? 0.35 : kind === 'bool' ? 1 : 0.7);
  if (!isCall && named.length > 0) return { text: random.pick(named).name, isDuckdb: true };
  if (!isCall) return { text: random.pick(LITERALS[kind]), isDuckdb: true };
  const { takes, sql, duckdb = false } = random.pick(entries);
  const of = takes.map(one =>
    (KINDS as readonly string[]).includes(one)
      ? expression(one as ScalarKind, inputs, random, depth - 1)
      : argument(one, inputs, random),
  );
  // Every operand stands in brackets, for nobody's precedence is tested here.
  const operands = of.map(({ text }) => (/^[\w.]+$/.test(text) ? text : `(${text})`));
  return { text: sql(...operands), isDuckdb: duckdb && of.every(one => one.isDuckdb) };
}

function randomDerives(set: SetSpec, plan: Plan, random: Random): SetSpec['derives'] {
  const features = plan.features
    .filter(feature => feature.set === set.name)
    .map(({ name, expression: { type } }) => ({ name: name.slice(set.name.length + 1), kind: derivableKind(type) }));
  const derives: SetSpec['derives'] = [];
  for (let i = random.below(3); i > 0; i--) {
    const { takes, sql } = random.pick(DERIVES);
    const of = takes.map(kind => features.filter(feature => feature.kind === kind));
    if (of.some(fitting => fitting.length === 0)) continue;
    derives.push({ name: `d${derives.length}`, sql: sql(...of.map(fitting => random.pick(fitting).name)) });
  }
  return derives;
}

function derivableKind(type: Type): string {
  // An element of any list may be taken; what is made of it here fits all.
  return type.kind;
}

/** As a file of definitions. */
export function definitionsText({ types, entities, sets }: Definitions): string {
  const inputs = types.flatMap(type => type.inputs);
  const structs = inputs.some(({ kind }) => kind === 'items' || kind === 'place') ? STRUCTS : '';
  const declared = [
    'events:',
    ...types.flatMap(({ name, inputs: own, changelog }) => [
      `  ${name}:`,
      ...(changelog ? [`    changelog: { ${changelogText(changelog)} }`] : []),
      ...own.map(input => `    ${input.name}: ${inputText(input)}`),
    ]),
    'entities:',
    ...entities.map(({ name, keys }) => `  ${name}: ${keys.length > 1 ? `[${keys.join(', ')}]` : keys[0]}`),
  ];
  return [`${structs}${declared.join('\n')}\n`, ...sets.map(setText)].join('---\n');
}

function changelogText({ op, time }: NonNullable<EventSpec['changelog']>): string {
  return `${op ? `op: ${op}` : 'format: debezium'}${time ? `, time: ${time}` : ''}`;
}

function inputText({ name, kind, presence, path }: InputSpec): string {
  const type = kind in NESTED ? NESTED[kind as keyof typeof NESTED] : kind;
  const parts = [`type: ${type}`];
  if (presence === 'optional') parts.push('optional: true');
  if (typeof presence === 'object') parts.push(`default: ${presence.default}`);
  if (path) parts.push(`path: $.data.${path.join('.')}`);
  if (!path && presence === 'optional' && name.length % 2 === 0 && !type.startsWith('[')) return `${type}?`;
  return parts.length === 1 && !type.startsWith('[') ? type : `{ ${parts.join(', ')} }`;
}

function setText(set: SetSpec): string {
  const { keys, groupBy, windows, tilesMs, tileOffsetMs, where, items, derives } = set;
  const columns = [...groupBy, ...items.map(({ name, sql }) => `${sql} AS ${name}`)];
  return [
    `feature_set: ${set.name}`,
    `entity: ${set.entity}`,
    ...(keys.join() === groupBy.join() ? [] : [`key: [${keys.join(', ')}]`]),
    `source: ${set.source}`,
    `windows: [${windows.join(', ')}]`,
    ...(tilesMs ? [`tiles: [${tilesMs.map(durationText).join(', ')}]`] : []),
    ...(tileOffsetMs > 0 ? [`tile_offset: ${durationText(tileOffsetMs)}`] : []),
    'sql: |',
    `  SELECT ${columns.join(',\n         ')}`,
    `  FROM ${set.source}`,
    ...(where ? [`  WHERE ${where.text}`] : []),
    `  GROUP BY ${groupBy.join(', ')}`,
    ...(derives.length > 0 ? ['derive:', ...derives.map(({ name, sql }) => `  ${name}: ${JSON.stringify(sql)}`)] : []),
    '',
  ].join('\n');
}

export function compileDefinitions(of: Definitions): Promise<{ plan: Plan; faults: Fault[] }> {
  const sources = [{ file: 'definitions.yaml', text: definitionsText(of) }];
  return compileSources(sources, { latenessMs: of.latenessMs });
}
