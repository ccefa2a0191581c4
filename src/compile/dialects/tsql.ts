import type { Dialect } from '../dialect.ts';
import { ENDS, SAME_PARTS, TRIMS } from './alike.ts';

/** Parts of times and what they are abbreviated as (DATEADD, DATEDIFF, DATETRUNC); weeks depend on DATEFIRST. */
const PARTS: Dialect['parts'] = {
  ...SAME_PARTS,
  ...{ YY: 'year', YYYY: 'year', QQ: 'quarter', Q: 'quarter', MM: 'month', M: 'month', DD: 'day', D: 'day' },
  ...{ HH: 'hour', MI: 'minute', N: 'minute', SS: 'second', S: 'second', MS: 'millisecond', MCS: 'microsecond' },
};

const FIELDS: Dialect['fields'] = {
  ...Object.fromEntries(
    Object.entries(PARTS)
      .filter(([, part]) => !/^m\w+second$/.test(part))
      .map(([name, part]) => [name, `EXTRACT(${part} FROM time)`]),
  ),
  DAYOFYEAR: 'EXTRACT(doy FROM time)',
  ISO_WEEK: 'EXTRACT(week FROM time)',
};

/**
 * Transact-SQL, SQL Server's, by its reference: + joins texts, texts are compared by a collation, and by a binary one (_BIN2)
 * but for spaces at their ends, CAST of a float cuts it, AVG of whole numbers is whole, LEN leaves out spaces at the end. Left
 * out is what a collation decides: REPLACE, CHARINDEX, GREATEST.
 */
export const TSQL: Dialect = {
  parser: 'tsql',
  rules: {
    name: 'SQL Server',
    division: 'whole',
    zero: 'null',
    texts: 'collated',
    asBytes: 'COLLATE Latin1_General_BIN2',
    firstIndex: 1,
    roundsTo: 'zero',
    readsNumbers: false,
    spells: ['string', 'int64'],
    hasWholeMeans: 'averages',
    hasTextSums: true,
    hasFirstType: true,
    hasBits: true,
  },
  calls: [
    ['COALESCE', 'COALESCE'],
    ['NULLIF', 'NULLIF'],
    ['ISNULL(a, b)', 'IFNULL(a, b)'],
    ['IIF(a, b, c)', 'IF(a, b, c)'],
    ['COUNT_BIG(*)', 'COUNT(*)'],
    ['COUNT_BIG(a)', 'COUNT(a)'],
    ['STDEV(a)', 'STDDEV_SAMP(a)'],
    ['STDEVP(a)', 'STDDEV_POP(a)'],
    ['VAR(a)', 'VAR_SAMP(a)'],
    ['VARP(a)', 'VAR_POP(a)'],
    ['ABS(x)', 'ABS(x)'],
    ['FLOOR(x)', 'FLOOR(x)'],
    ['CEILING(x)', 'CEIL(x)'],
    ['SQRT(x)', 'SQRT(x)'],
    ['LEN(a)', "LENGTH(RTRIM(a, ' '))"],
    ['LOWER(a)', 'LOWER(a)'],
    ['UPPER(a)', 'UPPER(a)'],
    ['REVERSE(a)', 'REVERSE(a)'],
    ['SUBSTRING(a, start, count)', 'SUBSTRING(a, start, count)'],
    ...ENDS,
    ...TRIMS,
    ['REPLICATE(a, count)', 'REPEAT(a, count)'],
    ['CONCAT', 'CONCAT'],
    ['DATEADD(unit, n, time)', 'time + n unit'],
    ['DATEDIFF(part, a, b)', 'DATE_DIFF(part, a, b)'],
    ['DATEDIFF_BIG(part, a, b)', 'DATE_DIFF(part, a, b)'],
    ['DATETRUNC(part, time)', 'DATE_TRUNC(part, time)'],
    ['DATEPART(field, time)', 'EXTRACT(field FROM time)'],
    ['YEAR(time)', 'YEAR(time)'],
    ['MONTH(time)', 'MONTH(time)'],
    ['DAY(time)', 'DAY(time)'],
  ],
  types: { bool: 'BIT', int64: 'BIGINT', double: 'FLOAT', string: 'NVARCHAR VARCHAR', time: 'DATETIME2' },
  parts: PARTS,
  fields: FIELDS,
  instead: {
    REPLACE: 'a collation decides there what is the same',
    CHARINDEX: 'a collation decides there what is the same; write LIKE',
    GETDATE: 'an event has no other time than its own: write _time',
  },
  likeEscape: '',
  hasLikeClasses: true,
  hasIlike: false,
  hasConvert: true,
  hasBackslashes: false,
  regex: [],
  operators: {},
};
