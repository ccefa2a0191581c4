import type { Dialect } from '../dialect.ts';
import { SHARED, TRIMS, TRIMS_OF } from './alike.ts';

/** What SQLite spells otherwise. */
export const SQLITE: Dialect = {
  parser: 'sqlite',
  rules: {
    name: 'SQLite',
    division: 'whole',
    zero: 'null',
    texts: 'bytes',
    firstIndex: 1,
    roundsTo: 'refused',
    readsNumbers: false,
    spells: ['string', 'int64'],
    hasBits: true,
  },
  calls: [
    ...SHARED,
    ...TRIMS,
    ['SUBSTRING(a, start)', 'SUBSTRING(a, start)'],
    ['SUBSTRING(a, start, count)', 'SUBSTRING(a, start, count)'],
    ...TRIMS_OF,
    ['IFNULL(a, b)', 'IFNULL(a, b)'],
    ['IIF(a, b, c)', 'IF(a, b, c)'],
    ['INSTR(a, b)', 'STRPOS(a, b)'],
    ['LENGTH(a)', 'LENGTH(a)'],
    ['OCTET_LENGTH(a)', 'STRLEN(a)'],
    ['SIGN(x)', 'SIGN(x)'],
  ],
  types: { bool: '', int64: 'INTEGER INT BIGINT', double: 'REAL DOUBLE', string: 'TEXT', time: '' },
  parts: {},
  fields: {},
  likeEscape: null,
  hasIlike: false,
  hasBackslashes: false,
  regex: [],
  operators: {},
};
