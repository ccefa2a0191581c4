import type { Dialect } from '../dialect.ts';
import { COMMON, FLOORS, MINUTE_TO_YEAR, SAME_PARTS, TRIMS_OF, fieldsOf } from './alike.ts';

/**
 * What Redshift spells otherwise, by its Database Developer Guide. Postgres is its kin, and no more than that: texts are
 * equal where they differ in spaces at their ends (Examples with character types), AVG of whole numbers is whole (AVG
 * function), CONCAT of a null is null. Left out is what the guide does not say: patterns, backslashes, CAST of doubles.
 */
export const REDSHIFT: Dialect = {
  parser: 'redshift',
  rules: {
    name: 'Redshift',
    division: 'whole',
    zero: 'null',
    texts: 'padded',
    firstIndex: 0,
    roundsTo: 'refused',
    readsNumbers: false,
    spells: ['string', 'int64'],
    hasWholeMeans: 'averages',
  },
  calls: [
    ...COMMON,
    ...FLOORS,
    ['NVL(a, b)', 'NVL(a, b)'],
    ['NVL2(a, b, c)', 'IF(a IS NOT NULL, b, c)'],
    ['BOOL_OR(a)', 'MAX(a)'],
    ['BOOL_AND(a)', 'MIN(a)'],
    ['LEN(a)', 'LENGTH(a)'],
    ['LENGTH(a)', 'LENGTH(a)'],
    ['CHAR_LENGTH(a)', 'LENGTH(a)'],
    ['CHARACTER_LENGTH(a)', 'LENGTH(a)'],
    ['OCTET_LENGTH(a)', 'STRLEN(a)'],
    ['BTRIM(a)', "TRIM(a, ' ')"],
    ['BTRIM(a, filler)', 'TRIM(a, filler)'],
    ...TRIMS_OF,
    ['CONCAT(a, b)', 'a || b'],
    ['STRPOS(a, b)', 'STRPOS(a, b)'],
    ['CHARINDEX(a, b)', 'STRPOS(b, a)'],
    ['SPLIT_PART(a, filler, start)', 'SPLIT_PART(a, filler, start)'],
    ['MOD(a, b)', 'MOD(a, b)'],
    ['TRUNC(x)', 'TRUNC(x)'],
    ['SQRT(x)', 'SQRT(x)'],
    ['DATE_TRUNC(part, time)', 'DATE_TRUNC(part, time)'],
    ['DATEDIFF(elapsed, a, b)', 'DATE_DIFF(elapsed, a, b)'],
    ['DATEADD(unit, n, time)', 'time + n unit'],
  ],
  types: {
    bool: 'BOOLEAN BOOL',
    int64: 'BIGINT INT8',
    double: 'DOUBLE FLOAT8 FLOAT',
    string: 'VARCHAR TEXT',
    time: 'TIMESTAMP',
  },
  parts: { ...SAME_PARTS, WEEK: 'week' },
  fields: { ...MINUTE_TO_YEAR, ...fieldsOf('week doy dow') },
  likeEscape: '',
  hasIlike: true,
  hasBackslashes: 'unknown',
  regex: [],
  operators: {},
};
