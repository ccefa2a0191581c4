import type { Dialect } from '../dialect.ts';

/** Parts of times that are called as they are here. */
export const SAME_PARTS = {
  MICROSECOND: 'microsecond',
  MILLISECOND: 'millisecond',
  SECOND: 'second',
  MINUTE: 'minute',
  HOUR: 'hour',
  DAY: 'day',
  MONTH: 'month',
  QUARTER: 'quarter',
  YEAR: 'year',
};

export function fieldsOf(names: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map(name => [name.toUpperCase(), `EXTRACT(${name} FROM time)`]));
}

export const MINUTE_TO_YEAR = fieldsOf('minute hour day month quarter year');

/** In every dialect, with one meaning. */
export const SHARED: Dialect['calls'] = [
  ['COALESCE', 'COALESCE'],
  ['NULLIF', 'NULLIF'],
  ['ABS(x)', 'ABS(x)'],
  ['REPLACE(a, filler, b)', 'REPLACE(a, filler, b)'],
  ['SUBSTR(a, start)', 'SUBSTR(a, start)'],
  ['SUBSTR(a, start, count)', 'SUBSTR(a, start, count)'],
  ['POSITION(a IN b)', 'STRPOS(b, a)'],
];

export const LETTERS: Dialect['calls'] = [
  ['LOWER(a)', 'LOWER(a)'],
  ['UPPER(a)', 'UPPER(a)'],
  ['REVERSE(a)', 'REVERSE(a)'],
  ['SUBSTRING(a, start)', 'SUBSTRING(a, start)'],
  ['SUBSTRING(a, start, count)', 'SUBSTRING(a, start, count)'],
];

/** LPAD and RPAD to a length that is written, with a filler that is. */
export const PADS: Dialect['calls'] = [
  ['LPAD(a, count, filler)', 'LPAD(a, count, filler)'],
  ['RPAD(a, count, filler)', 'RPAD(a, count, filler)'],
  ['REPEAT(a, count)', 'REPEAT(a, count)'],
];

export const ENDS: Dialect['calls'] = [
  ['LEFT(a, count)', 'LEFT(a, count)'],
  ['RIGHT(a, count)', 'RIGHT(a, count)'],
];

export const WHOLE_FLOORS: Dialect['calls'] = [
  ['FLOOR(x)', 'CAST(FLOOR(x) AS BIGINT)'],
  ['CEIL(x)', 'CAST(CEIL(x) AS BIGINT)'],
  ['CEILING(x)', 'CAST(CEIL(x) AS BIGINT)'],
];

export const FLOORS: Dialect['calls'] = [
  ['FLOOR(x)', 'FLOOR(x)'],
  ['CEIL(x)', 'CEIL(x)'],
  ['CEILING(x)', 'CEIL(x)'],
];

/** TRIM of nothing in particular takes off spaces, and no others. */
export const TRIMS: Dialect['calls'] = [
  ['TRIM(a)', "TRIM(a, ' ')"],
  ['LTRIM(a)', "LTRIM(a, ' ')"],
  ['RTRIM(a)', "RTRIM(a, ' ')"],
];

/** What several systems call alike. Floors come behind it, for they differ in type. */
export const COMMON: Dialect['calls'] = [...SHARED, ...LETTERS, ...PADS, ...ENDS, ...TRIMS];

/** Of the characters that are named. */
export const TRIMS_OF: Dialect['calls'] = [
  ['TRIM(a, filler)', 'TRIM(a, filler)'],
  ['LTRIM(a, filler)', 'LTRIM(a, filler)'],
  ['RTRIM(a, filler)', 'RTRIM(a, filler)'],
];

/** The greatest or least of values one of which is null is null. */
export const NULL_EXTREMES: Dialect['calls'] = ['GREATEST', 'LEAST'].flatMap(name => [
  [`${name}(a, b)`, `CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE ${name}(a, b) END`],
  [`${name}(a, b, c)`, `CASE WHEN a IS NULL OR b IS NULL OR c IS NULL THEN NULL ELSE ${name}(a, b, c) END`],
]);
