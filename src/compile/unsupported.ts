import { AGGREGATES, SINCE_LAST } from './aggregates.ts';
import { CALLABLE } from './functions.ts';

/** What SQL has and feature sets do not, by name, and what to write instead. */

export const SUB_SELECT = 'sub-selects are not supported';
export const ONE_EVENT_TYPE = 'a feature set reads one event type; let the writer of the event add what it needs';
const ONE_SELECT = 'write a feature set for each select';
const DISTINCT_VALUES = 'only COUNT, LIST and LAST_N look at each value once';
const NOT_KEPT = 'no such aggregate is kept; docs/aggregates.md lists those that are';
const LATEST_OF_MANY = 'write LAST_N(x, 10), which keeps so many of the latest values';
const ROWS_ARE_KEYS = 'a lookup asks for its entities by key, so there is nothing to order or cut';

/** By the word that stands where nothing known can stand. */
export const REFUSED_WORDS = new Map<string, string>([
  ...'JOIN INNER LEFT RIGHT FULL CROSS NATURAL ASOF POSITIONAL SEMI ANTI LATERAL'
    .split(' ')
    .map(word => [word, `JOIN is not supported: ${ONE_EVENT_TYPE}`] as const),
  ['DISTINCT', `DISTINCT in an aggregate is not supported: ${DISTINCT_VALUES}`],
  ['HAVING', 'HAVING is not supported: a feature has a value for every key; put conditions on events into WHERE'],
  ['ORDER', `ORDER BY is not supported: ${ROWS_ARE_KEYS}`],
  ['LIMIT', `LIMIT is not supported: ${ROWS_ARE_KEYS}`],
  ['OFFSET', `OFFSET is not supported: ${ROWS_ARE_KEYS}`],
  ['FETCH', `FETCH is not supported: ${ROWS_ARE_KEYS}`],
  ['TOP', `TOP is not supported: ${ROWS_ARE_KEYS}`],
  ['SELECT', `${SUB_SELECT}: ${ONE_EVENT_TYPE}`],
  ['WITH', `WITH is not supported: ${ONE_EVENT_TYPE}`],
  ['UNION', `UNION is not supported: ${ONE_SELECT}`],
  ['INTERSECT', `INTERSECT is not supported: ${ONE_SELECT}`],
  ['EXCEPT', `EXCEPT is not supported: ${ONE_SELECT}`],
  ['OVER', 'window functions (OVER) are not supported: windows: says over which spans of time to aggregate'],
  ['WINDOW', 'WINDOW is not supported: windows: says over which spans of time to aggregate'],
  ['QUALIFY', 'QUALIFY is not supported: put conditions on events into WHERE'],
  ['WITHIN', `WITHIN GROUP is not supported: ${NOT_KEPT}`],
  ['IGNORE', 'IGNORE NULLS says nothing: aggregates pass over nulls; leave it out'],
  ['RESPECT', 'RESPECT NULLS is not supported: aggregates pass over nulls'],
  ['ALL', 'ALL in an aggregate says nothing: leave it out'],
  ['FROM', 'FROM comes after SELECT'],
  ['USING', 'samples are not supported: every event counts'],
  ['TABLESAMPLE', 'samples are not supported: every event counts'],
  ['INTO', 'SELECT INTO is not supported: features are kept where store: says'],
  ['FOR', 'FOR is not supported here: leave it out'],
  ['PREWHERE', 'PREWHERE is not supported: write WHERE'],
  ['FINAL', 'FINAL is not supported: every event counts'],
  ['SAMPLE', 'samples are not supported: every event counts'],
  ['SETTINGS', 'SETTINGS are not supported: leave them out'],
  ['PIVOT', `PIVOT is not supported: ${ONE_SELECT}`],
  ['ISNULL', 'ISNULL is not supported: write IS NULL'],
  ['NOTNULL', 'NOTNULL is not supported: write IS NOT NULL'],
  [';', `only one statement is read: ${ONE_SELECT}`],
]);

/** Operators the library knows: the member that stands before them, and what to write instead. */
export const REFUSED_OPERATORS = new Map<string, [string, string]>([
  ['glob', ['left', 'GLOB is not supported: compare with LIKE, STARTS_WITH or CONTAINS']],
  ['power', ['this', 'powers are not supported: multiply']],
  ['bitwise_xor', ['left', '^ is not supported: XOR(a, b) is the exclusive or']],
  ['null_safe_eq', ['left', 'IS NOT DISTINCT FROM is not supported: write COALESCE(a = b, a IS NULL AND b IS NULL)']],
  ['null_safe_neq', ['left', 'IS DISTINCT FROM is not supported: write NOT COALESCE(a = b, a IS NULL AND b IS NULL)']],
  ['is_true', ['this', 'IS TRUE is not supported: write COALESCE(condition, FALSE)']],
  ['is_false', ['this', 'IS FALSE is not supported: write NOT COALESCE(condition, TRUE)']],
  ['any', ['this', '= ANY is not supported: write IN (value, ...), or LIST_CONTAINS(list, value)']],
  ['array_slice', ['this', 'slices of lists are not supported: a[1] is an element']],
  ['collation', ['this', 'COLLATE is not supported: texts are compared by their UTF-8 bytes']],
  ['at_time_zone', ['this', 'AT TIME ZONE is not supported: times are UTC; tile_offset shifts days']],
  ['window_function', ['this', REFUSED_WORDS.get('OVER')!]],
  ['within_group', ['this', REFUSED_WORDS.get('WITHIN')!]],
]);

/** Calls that take a member out of JSON. */
export const JSON_CALLS =
  'JSON_EXTRACT JSON_EXTRACT_STRING JSON_EXTRACT_SCALAR JSON_EXTRACT_PATH_TEXT JSON_VALUE JSON_QUERY GET_JSON_OBJECT'
    .concat(' JSONEXTRACTSTRING JSONEXTRACTINT JSONEXTRACTFLOAT JSONEXTRACTBOOL JSONEXTRACTRAW SIMPLEJSONEXTRACTSTRING')
    .concat(' SIMPLEJSONEXTRACTINT VISITPARAMEXTRACTSTRING VISITPARAMEXTRACTINT')
    .split(' ');

/**
 * An input would do what JSON operators do, and says of which type it is, once for all sets: an event that has
 * something else there is bad, which no select may decide by the way.
 *
 * @param steps names of members from the event's data on; null where they are not known, or not all names
 */
export function insteadOfJson(steps: string[] | null): string {
  if (!steps) return 'members of JSON are inputs: declare one with its path, like $.data.a.b';
  const name = steps.at(-1)!;
  return `members of JSON are inputs: declare ${name}: { type: string, optional: true, path: $.data.${steps.join('.')} } (or what type it is), and write ${name}`;
}

/** `$.a.b`, `a.b`, `a` -> a, b; null where there is more in it than names. */
export function jsonSteps(path: string): string[] | null {
  const steps = path.replace(/^\$\.?/, '').split('.');
  return steps.every(step => /^[A-Za-z_]\w*$/.test(step)) ? steps : null;
}

/** Functions that other systems have, and what to write instead of them. */
export const REFUSED_FUNCTIONS = new Map<string, string>([
  ['ISNULL', 'write IS NULL'],
  ['MEAN', 'write AVG'],
  ['SAFE_DIVIDE', 'write a / b, which is null where b is 0'],
  ['COUNT_IF', 'write COUNT(*) FILTER (WHERE condition)'],
  ['COUNTIF', 'write COUNT(*) FILTER (WHERE condition)'],
  ['SUM_IF', 'write SUM(x) FILTER (WHERE condition)'],
  ['FIRST_VALUE', 'write FIRST'],
  ['ANY_VALUE', 'write FIRST'],
  ['LAST_VALUE', 'write LAST'],
  ['BOOL_OR', 'write MAX'],
  ['BOOL_AND', 'write MIN'],
  ['LAST_K', LATEST_OF_MANY],
  ...'MEDIAN QUANTILE STRING_AGG PERCENTILE_CONT PERCENTILE_DISC'.split(' ').map(word => [word, NOT_KEPT] as const),
  ...'POWER POW EXP LN LOG LOG2 LOG10 SIN COS TAN CBRT PI'
    .split(' ')
    .map(word => [word, 'its digits are not the same on every machine; compute it from the feature'] as const),
  ...'TODAY CURRENT_DATE'
    .split(' ')
    .map(word => [word, 'an event has no other time than its own: write _time'] as const),
  ['UNNEST', 'one event counts once; LIST_SUM, LIST_MAX and the like look at all elements'],
  ...'LIST_HAS_ANY ARRAY_HAS_ANY LIST_HAS_ALL ARRAY_HAS_ALL'
    .split(' ')
    .map(word => [word, 'write LIST_CONTAINS(list, value), with AND or OR between'] as const),
  ...'LIST_FIRST LIST_LAST'
    .split(' ')
    .map(word => [word, 'write list[1] for the first element, list[-1] for the last'] as const),
  ...'LIST_FILTER LIST_TRANSFORM LIST_APPLY LIST_REDUCE LIST_SORT LIST_DISTINCT LIST_CONCAT LIST_AGGREGATE LIST_SLICE'
    .split(' ')
    .map(
      word =>
        [word, 'no list is made of another; take elements out of it, or LIST_SUM, LIST_MAX and the like'] as const,
    ),
  ['STRUCT_EXTRACT', 'write struct.field'],
  ['CONCAT_WS', 'write a || separator || b'],
  ['STRFTIME', 'write EXTRACT(part FROM time), or CAST(time AS VARCHAR), which is RFC 3339'],
  ['STRPTIME', 'write CAST(text AS TIMESTAMP), which reads RFC 3339'],
  ['DATE_ADD', 'write time + INTERVAL 1 DAY'],
  ['TIME_BUCKET', 'write DATE_TRUNC'],
  ['RANDOM', 'a feature has one value for one log'],
  ['ROLLUP', 'GROUP BY takes columns only'],
  ['CUBE', 'GROUP BY takes columns only'],
]);

export const KNOWN_FUNCTIONS = [
  ...AGGREGATES.flatMap(({ names }) => names),
  SINCE_LAST,
  'NOW',
  'CAST',
  'TRY_CAST',
  ...CALLABLE,
];
