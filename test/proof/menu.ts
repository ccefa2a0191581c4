/**
 * What random definitions are made of, as tables: whatever the language learns is a line or two here, and from then on
 * every engine is held against the oracle with it.
 */
import type { ScalarKind } from '../../src/plan/value.ts';
import type { Random } from '../sim/random.ts';

export const KINDS = ['bool', 'int64', 'double', 'string', 'time'] as const satisfies ScalarKind[];

/** What an input may be: a scalar, or one of the lists and structs below. */
export type InputKind = ScalarKind | keyof typeof NESTED;

/** As definitions write them. `item` and `place` are declared under `types:`. */
export const NESTED = { ints: '[int64?]', doubles: '[double]', texts: '[string]', items: '[item]', place: 'place' };

export const STRUCTS = `types:
  item: { sku: string, n: { type: int64, optional: true }, price: { type: double, default: 1.5 } }
  place: { city: string?, at: { type: time, optional: true, path: $.seen.at } }
`;

/** An aggregate as a SELECT writes it. */
export interface AggregateEntry {
  /** Kinds of its argument; none where it takes no argument. */
  of: readonly InputKind[];
  /** `n` is one of `limits`. */
  sql: (x: string, n: number) => string;
  limits?: readonly number[];
  /** It can take a row of a changelog back. */
  isLinear?: true;
  /** A lifetime of it is refused. */
  isWindowed?: true;
  /** Of its value: `same` as its argument, a list of such, or a kind; null where derived features leave it alone. */
  gives: ScalarKind | 'same' | 'list' | null;
  /**
   * How DuckDB says it, of rows that have an `_order`; null where it cannot. Where it is left out it is `sql`, and
   * FILTER with a condition.
   */
  duckdb?: ((x: string, n: number, condition: string) => string) | null;
}

const SCALARS = KINDS;
const NUMBERS = ['int64', 'double'] as const;

/** Of different values, or of the most frequent: some events have more of them. */
const FEW = [1, 2, 5, 40] as const;

/** In minutes: as short as a tile of a day allows, and far longer than the windows. */
const HALF_LIVES = [30, 90, 100_000];

export const AGGREGATES: readonly AggregateEntry[] = [
  { of: [], isLinear: true, sql: () => 'COUNT(*)', gives: 'int64' },
  { of: [...SCALARS, 'ints', 'items', 'place'], isLinear: true, sql: x => `COUNT(${x})`, gives: 'int64' },
  {
    of: NUMBERS,
    isLinear: true,
    sql: x => `SUM(${x})`,
    gives: 'same',
    duckdb: (x, _, c) => `COALESCE(SUM(${x}) FILTER (WHERE ${c}), 0)`,
  },
  { of: NUMBERS, isLinear: true, sql: x => `AVG(${x})`, gives: 'double' },
  { of: NUMBERS, isLinear: true, sql: x => `VAR_POP(${x})`, gives: 'double' },
  { of: NUMBERS, isLinear: true, sql: x => `VAR_SAMP(${x})`, gives: 'double' },
  { of: NUMBERS, isLinear: true, sql: x => `STDDEV_POP(${x})`, gives: 'double' },
  { of: NUMBERS, isLinear: true, sql: x => `STDDEV_SAMP(${x})`, gives: 'double' },
  { of: SCALARS, isLinear: true, sql: x => `COUNT(DISTINCT ${x})`, gives: 'int64', duckdb: null },
  {
    of: SCALARS,
    isLinear: true,
    limits: FEW,
    sql: (x, n) => `COUNT_DISTINCT(${x}, ${n})`,
    gives: 'int64',
    duckdb: null,
  },
  { of: SCALARS, isLinear: true, limits: FEW, sql: (x, n) => `MODE(${x}, ${n * 3})`, gives: 'same', duckdb: null },
  { of: SCALARS, isLinear: true, limits: FEW, sql: (x, n) => `TOP_K(${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, isLinear: true, limits: FEW, sql: (x, n) => `HISTOGRAM(${x}, ${n})`, gives: null, duckdb: null },
  { of: NUMBERS, isLinear: true, sql: x => `BUCKET_COUNTS(${x}, [-3, 0, 0.5, 100])`, gives: 'list', duckdb: null },
  { of: ['int64'], isLinear: true, sql: x => `BUCKET_COUNTS(${x}, [-3, 0, 7])`, gives: 'list', duckdb: null },
  { of: NUMBERS, isLinear: true, sql: x => `APPROX_QUANTILE(${x}, 0.5)`, gives: 'double', duckdb: null },
  { of: NUMBERS, isLinear: true, sql: x => `APPROX_QUANTILE(${x}, [0, 0.9, 1], 0.2)`, gives: 'list', duckdb: null },
  {
    of: NUMBERS,
    isLinear: true,
    isWindowed: true,
    limits: HALF_LIVES,
    sql: (x, n) => `DECAYED_SUM(${x}, '${n}m')`,
    gives: 'double',
    duckdb: null,
  },
  {
    of: SCALARS,
    isLinear: true,
    isWindowed: true,
    limits: HALF_LIVES,
    sql: (x, n) => `DECAYED_COUNT(${x}, '${n}m')`,
    gives: 'double',
    duckdb: null,
  },
  {
    of: NUMBERS,
    isLinear: true,
    isWindowed: true,
    limits: HALF_LIVES,
    sql: (x, n) => `DECAYED_AVG(${x}, '${n}m')`,
    gives: 'double',
    duckdb: null,
  },
  { of: SCALARS, sql: x => `MIN(${x})`, gives: 'same' },
  { of: SCALARS, sql: x => `MAX(${x})`, gives: 'same' },
  {
    of: SCALARS,
    sql: x => `FIRST(${x})`,
    gives: 'same',
    duckdb: (x, _, c) => `ARG_MIN(${x}, _order) FILTER (WHERE ${c})`,
  },
  {
    of: SCALARS,
    sql: x => `LAST(${x})`,
    gives: 'same',
    duckdb: (x, _, c) => `ARG_MAX(${x}, _order) FILTER (WHERE ${c})`,
  },
  {
    of: SCALARS,
    limits: [1, 2, 3, 7, 40],
    sql: (x, n) => `LAST_N(${x}, ${n})`,
    gives: 'list',
    duckdb: (x, n, c) =>
      `COALESCE((LIST(${x} ORDER BY _order DESC) FILTER (WHERE ${x} IS NOT NULL AND (${c})))[1:${n}], [])`,
  },
  { of: SCALARS, limits: [1, 3], sql: (x, n) => `MIN(${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, limits: [1, 3], sql: (x, n) => `MAX(${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, sql: x => `ARG_MAX(${x}, _time)`, gives: 'same', duckdb: null },
  { of: SCALARS, limits: [2, 5], sql: (x, n) => `ARG_MIN(${x}, ${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, limits: [1, 3, 40], sql: (x, n) => `FIRST_N(${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, limits: [1, 3], sql: (x, n) => `LAST_N(DISTINCT ${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, limits: [3, 60], sql: (x, n) => `LIST(${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, limits: [3, 60], sql: (x, n) => `LIST(DISTINCT ${x}, ${n})`, gives: 'list', duckdb: null },
  { of: SCALARS, limits: [4, 12], sql: (x, n) => `APPROX_COUNT_DISTINCT(${x}, ${n})`, gives: 'int64', duckdb: null },
];

/** A window as `windows:` writes it, of a set with these tiles (milliseconds); null where it does not go with them. */
export type WindowEntry = (random: Random, tilesMs: readonly number[]) => string | null;

export const WINDOWS: readonly WindowEntry[] = [
  () => 'lifetime',
  (random, tilesMs) => spanText(random, tilesMs),
  (random, tilesMs) => spanText(random, tilesMs),
  (random, tilesMs) => {
    const resolutionMs = random.pick(tilesMs);
    return `${durationText(resolutionMs * (1 + random.below(40)))}@${durationText(resolutionMs)}`;
  },
  (random, tilesMs) => `${spanText(random, tilesMs)} offset ${spanText(random, tilesMs)}`,
  (random, tilesMs) => `tumbling ${tilesText(random, tilesMs, 4)}`,
  (random, tilesMs) => {
    const stepMs = random.pick(tilesMs);
    return `hopping ${durationText(stepMs * (2 + random.below(5)))} every ${durationText(stepMs)}`;
  },
  (random, tilesMs) => `${2 + random.below(4)} x ${tilesText(random, tilesMs, 3)}`,
  (random, tilesMs) =>
    `2 x tumbling ${durationText(random.pick(tilesMs))} offset ${durationText(random.pick(tilesMs))}`,
];

/** A few tiles long. */
function tilesText(random: Random, tilesMs: readonly number[], most: number): string {
  return durationText(random.pick(tilesMs) * (1 + random.below(most)));
}

/** Some tiles long, or not a whole number of any. */
function spanText(random: Random, tilesMs: readonly number[]): string {
  const [finest, coarsest] = [tilesMs[0]!, tilesMs.at(-1)!];
  if (random.chance(0.2)) return durationText(coarsest * (1 + random.below(3)));
  if (random.chance(0.2)) return durationText(finest + random.below(Math.min(coarsest * 2, finest * 200)));
  return durationText(random.pick(tilesMs) * (1 + random.below(30)));
}

/** Tile lengths, fine to coarse; null is what a set has that names none. */
export const TILES: readonly (readonly number[] | null)[] = [
  null,
  null,
  [10_000, 300_000, 3_600_000, 86_400_000],
  [60_000],
  [420_000],
  [1_000, 60_000],
  [500, 30_000, 900_000],
  [13_000, 26_000, 78_000],
  [3_600_000, 86_400_000],
  [86_400_000],
];

export const TILES_DEFAULT_MS = [60_000, 1_800_000, 86_400_000] as const;

export interface ExpressionEntry {
  gives: ScalarKind;
  takes: readonly InputKind[];
  sql: (...of: string[]) => string;
  /** Whether DuckDB makes the same of what random events hold; no by default. */
  duckdb?: true;
}

/** Operators and functions, mostly those that make something of nulls. */
export const EXPRESSIONS: readonly ExpressionEntry[] = [
  { gives: 'int64', takes: ['int64', 'int64'], sql: (x, y) => `${x} + ${y}`, duckdb: true },
  { gives: 'int64', takes: ['int64', 'int64'], sql: (x, y) => `${x} * ${y} - 1`, duckdb: true },
  { gives: 'int64', takes: ['int64'], sql: x => `ABS(${x})`, duckdb: true },
  { gives: 'int64', takes: ['int64'], sql: x => `COALESCE(${x}, -1)`, duckdb: true },
  { gives: 'int64', takes: ['int64'], sql: x => `${x} % 3`, duckdb: true },
  { gives: 'int64', takes: ['bool', 'int64'], sql: (b, x) => `CASE WHEN ${b} THEN ${x} END`, duckdb: true },
  { gives: 'int64', takes: ['bool'], sql: b => `CASE WHEN ${b} THEN 1 ELSE 0 END`, duckdb: true },
  { gives: 'int64', takes: ['double'], sql: d => `CAST(${d} AS BIGINT)` },
  { gives: 'int64', takes: ['string'], sql: s => `LENGTH(${s})` },
  { gives: 'int64', takes: ['string'], sql: s => `CAST(${s} AS BIGINT)` },
  { gives: 'int64', takes: ['time'], sql: t => `EXTRACT(hour FROM ${t})` },
  { gives: 'int64', takes: ['ints'], sql: l => `LIST_SUM(${l})` },
  { gives: 'int64', takes: ['ints'], sql: l => `${l}[-1]` },
  { gives: 'int64', takes: ['texts'], sql: l => `LEN(${l})` },
  { gives: 'int64', takes: ['items'], sql: l => `${l}[1].n` },
  { gives: 'double', takes: ['double', 'double'], sql: (x, y) => `${x} - ${y}`, duckdb: true },
  { gives: 'double', takes: ['double', 'int64'], sql: (x, y) => `${x} * ${y}`, duckdb: true },
  { gives: 'double', takes: ['int64', 'int64'], sql: (x, y) => `${x} / ${y}` },
  { gives: 'double', takes: ['int64'], sql: x => `CAST(${x} AS DOUBLE)`, duckdb: true },
  { gives: 'double', takes: ['double'], sql: x => `GREATEST(${x}, 0.5)` },
  { gives: 'double', takes: ['doubles'], sql: l => `LIST_AVG(${l})` },
  { gives: 'double', takes: ['items'], sql: l => `${l}[2].price` },
  { gives: 'string', takes: ['string'], sql: s => `UPPER(${s})` },
  { gives: 'string', takes: ['string', 'string'], sql: (s, t) => `${s} || '/' || ${t}`, duckdb: true },
  { gives: 'string', takes: ['string'], sql: s => `SUBSTR(${s}, 1, 2)` },
  { gives: 'string', takes: ['int64'], sql: x => `CAST(${x} AS VARCHAR)`, duckdb: true },
  { gives: 'string', takes: ['texts'], sql: l => `${l}[1]` },
  { gives: 'string', takes: ['items'], sql: l => `${l}[-1].sku` },
  { gives: 'string', takes: ['place'], sql: p => `${p}.city` },
  { gives: 'bool', takes: ['bool'], sql: b => `NOT ${b}`, duckdb: true },
  { gives: 'bool', takes: ['bool', 'bool'], sql: (a, b) => `(${a} AND ${b})`, duckdb: true },
  { gives: 'bool', takes: ['bool', 'bool'], sql: (a, b) => `(${a} OR ${b})`, duckdb: true },
  { gives: 'bool', takes: ['int64'], sql: x => `${x} > 2`, duckdb: true },
  { gives: 'bool', takes: ['int64', 'int64'], sql: (x, y) => `${x} <= ${y}`, duckdb: true },
  { gives: 'bool', takes: ['int64'], sql: x => `${x} IS NOT NULL`, duckdb: true },
  { gives: 'bool', takes: ['string'], sql: s => `${s} IS NULL`, duckdb: true },
  { gives: 'bool', takes: ['double'], sql: d => `${d} < 0.75`, duckdb: true },
  { gives: 'bool', takes: ['string'], sql: s => `${s} = 'a'`, duckdb: true },
  { gives: 'bool', takes: ['string'], sql: s => `${s} IN ('a', 'b', '東京')`, duckdb: true },
  { gives: 'bool', takes: ['string'], sql: s => `${s} LIKE 'a%'`, duckdb: true },
  { gives: 'bool', takes: ['string', 'string'], sql: (s, t) => `${s} < ${t}` },
  { gives: 'bool', takes: ['int64'], sql: x => `${x} BETWEEN -1 AND 4`, duckdb: true },
  { gives: 'bool', takes: ['time', 'time'], sql: (s, t) => `${s} >= ${t}`, duckdb: true },
  { gives: 'bool', takes: ['texts'], sql: l => `LIST_CONTAINS(${l}, 'a')` },
  { gives: 'time', takes: ['time'], sql: t => `${t} - INTERVAL 90 MINUTE` },
  { gives: 'time', takes: ['time'], sql: t => `DATE_TRUNC('hour', ${t})` },
  { gives: 'time', takes: ['place'], sql: p => `${p}.at` },
];

/** Where no input is of a kind. `_time` is the event's own. */
export const LITERALS: Record<ScalarKind, readonly string[]> = {
  bool: ['TRUE', 'FALSE'],
  int64: ['0', '7', '-3'],
  double: ['0.5', '-2.25'],
  string: ["'a'", "''", "'größe'"],
  time: ['_time'],
};

/** A derived feature, of features of these kinds. */
export interface DeriveEntry {
  takes: readonly (ScalarKind | 'list')[];
  sql: (...of: string[]) => string;
}

export const DERIVES: readonly DeriveEntry[] = [
  { takes: ['int64', 'int64'], sql: (a, b) => `${a} / ${b}` },
  { takes: ['int64', 'double'], sql: (a, b) => `${a} + ${b}` },
  { takes: ['int64', 'int64'], sql: (a, b) => `COALESCE(${a}, 5) - ${b}` },
  { takes: ['int64'], sql: a => `${a} > 1` },
  { takes: ['double', 'int64'], sql: (a, b) => `CASE WHEN ${a} < ${b} THEN 'less' WHEN ${a} >= ${b} THEN 'more' END` },
  { takes: ['bool', 'bool'], sql: (a, b) => `${a} AND NOT ${b}` },
  { takes: ['string', 'int64'], sql: (a, b) => `UPPER(${a}) || ${b}` },
  { takes: ['time'], sql: a => `DATE_TRUNC('day', ${a})` },
  { takes: ['list'], sql: a => `${a}[1]` },
  { takes: ['list'], sql: a => `LEN(${a})` },
];

const UNITS: readonly [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** A duration as definitions write it. */
export function durationText(ms: number): string {
  let rest = ms;
  let text = '';
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text;
}
