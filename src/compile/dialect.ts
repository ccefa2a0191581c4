import type { Construct } from '../plan/regex.ts';
import type { CastKind, Rules } from './node.ts';

/**
 * Dialects of SQL, each as what it spells otherwise than DuckDB, whose functions and meanings are those of this house.
 * What is not in a dialect's table is refused in it: a spelling is here only where the values are known to be the same.
 * What a system ends with an error is null here, in every dialect; its decimals are doubles.
 */
export interface Dialect {
  /** As the SQL library calls it. */
  parser: string;
  rules: Rules;
  /**
   * Calls, and what they are in DuckDB: `['IFF(a, b, c)', 'IF(a, b, c)']`. A name alone is a call of any arguments, as
   * it is there. Some params ask for more, by their names: see PARAMS.
   */
  calls: [theirs: string, ours: string][];
  types: Record<CastKind, string>;
  /** Parts of times as they are called, and what they are here. */
  parts: Record<string, string>;
  /** Parts of times that EXTRACT takes, and what of `time` they are. */
  fields: Record<string, string>;
  /** How LIKE escapes where no ESCAPE is written; null where nothing does, and the case of ASCII letters does not count. */
  likeEscape: '' | '\\' | null;
  hasIlike: boolean;
  /** Do backslashes in texts escape what stands behind them? */
  hasBackslashes: boolean;
  /** Operators of regular expressions: parts of patterns that mean what they do in RE2, or `re2` where all do. */
  regex: Construct[] | 're2';
  /** Infix operators, by what is written. */
  operators: Record<string, string>;
}

/** What a param in `calls` asks of its argument, by its name. */
export const PARAMS = [
  'part',
  'unit',
  'start',
  'count',
  'filler',
  'pattern',
  'ungrouped',
  'replacement',
  'step',
] as const;

const SAME_PARTS = {
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

function fieldsOf(names: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map(name => [name.toUpperCase(), `EXTRACT(${name} FROM time)`]));
}

const MINUTE_TO_YEAR = fieldsOf('minute hour day month quarter year');

/** In every dialect, with one meaning. */
const SHARED: Dialect['calls'] = [
  ['COALESCE', 'COALESCE'],
  ['NULLIF', 'NULLIF'],
  ['ABS(x)', 'ABS(x)'],
  ['REPLACE(a, filler, b)', 'REPLACE(a, filler, b)'],
  ['SUBSTR(a, start)', 'SUBSTR(a, start)'],
  ['SUBSTR(a, start, count)', 'SUBSTR(a, start, count)'],
];

const LETTERS: Dialect['calls'] = [
  ['LOWER(a)', 'LOWER(a)'],
  ['UPPER(a)', 'UPPER(a)'],
  ['REVERSE(a)', 'REVERSE(a)'],
  ['SUBSTRING(a, start)', 'SUBSTRING(a, start)'],
  ['SUBSTRING(a, start, count)', 'SUBSTRING(a, start, count)'],
];

/** LPAD and RPAD to a length that is written, with a filler that is. */
const PADS: Dialect['calls'] = [
  ['LPAD(a, count, filler)', 'LPAD(a, count, filler)'],
  ['RPAD(a, count, filler)', 'RPAD(a, count, filler)'],
  ['REPEAT(a, count)', 'REPEAT(a, count)'],
];

const ENDS: Dialect['calls'] = [
  ['LEFT(a, count)', 'LEFT(a, count)'],
  ['RIGHT(a, count)', 'RIGHT(a, count)'],
];

const WHOLE_FLOORS: Dialect['calls'] = [
  ['FLOOR(x)', 'CAST(FLOOR(x) AS BIGINT)'],
  ['CEIL(x)', 'CAST(CEIL(x) AS BIGINT)'],
  ['CEILING(x)', 'CAST(CEIL(x) AS BIGINT)'],
];

const FLOORS: Dialect['calls'] = [
  ['FLOOR(x)', 'FLOOR(x)'],
  ['CEIL(x)', 'CEIL(x)'],
  ['CEILING(x)', 'CEIL(x)'],
];

/** TRIM of nothing in particular takes off spaces, and no others. */
const TRIMS: Dialect['calls'] = [
  ['TRIM(a)', "TRIM(a, ' ')"],
  ['LTRIM(a)', "LTRIM(a, ' ')"],
  ['RTRIM(a)', "RTRIM(a, ' ')"],
];

/** Of the characters that are named. */
const TRIMS_OF: Dialect['calls'] = [
  ['TRIM(a, filler)', 'TRIM(a, filler)'],
  ['LTRIM(a, filler)', 'LTRIM(a, filler)'],
  ['RTRIM(a, filler)', 'RTRIM(a, filler)'],
];

/** The greatest or least of values one of which is null is null. */
const NULL_EXTREMES: Dialect['calls'] = ['GREATEST', 'LEAST'].flatMap(name => [
  [`${name}(a, b)`, `CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE ${name}(a, b) END`],
  [`${name}(a, b, c)`, `CASE WHEN a IS NULL OR b IS NULL OR c IS NULL THEN NULL ELSE ${name}(a, b, c) END`],
]);

const SPARK: Dialect = {
  parser: 'spark',
  rules: {
    name: 'Spark',
    division: 'real',
    zero: 'null',
    texts: 'bytes',
    firstIndex: 0,
    roundsTo: 'zero',
    readsNumbers: true,
    spells: ['string', 'int64', 'bool'],
  },
  calls: [
    ...SHARED,
    ...LETTERS,
    ...PADS,
    ...ENDS,
    ...TRIMS,
    ...WHOLE_FLOORS,
    ['IFNULL(a, b)', 'IFNULL(a, b)'],
    ['NVL(a, b)', 'NVL(a, b)'],
    ['NVL2(a, b, c)', 'IF(a IS NOT NULL, b, c)'],
    ['IF(a, b, c)', 'IF(a, b, c)'],
    ['COUNT_IF(a)', 'COUNT(*) FILTER (WHERE a)'],
    ['BOOL_OR(a)', 'MAX(a)'],
    ['ANY(a)', 'MAX(a)'],
    ['BOOL_AND(a)', 'MIN(a)'],
    ['EVERY(a)', 'MIN(a)'],
    ['MEAN(a)', 'AVG(a)'],
    ['LENGTH(a)', 'LENGTH(a)'],
    ['CHAR_LENGTH(a)', 'LENGTH(a)'],
    ['OCTET_LENGTH(a)', 'STRLEN(a)'],
    ['CONCAT(a, b)', 'a || b'],
    ['CONCAT(a, b, c)', 'a || b || c'],
    ['CONCAT(a, b, c, d)', 'a || b || c || d'],
    ['STARTSWITH(a, b)', 'STARTS_WITH(a, b)'],
    ['ENDSWITH(a, b)', 'ENDS_WITH(a, b)'],
    ['CONTAINS(text, b)', 'CONTAINS(text, b)'],
    ['INSTR(a, b)', 'STRPOS(a, b)'],
    ['LOCATE(a, b)', 'STRPOS(b, a)'],
    ['CHARINDEX(a, b)', 'STRPOS(b, a)'],
    ['SPLIT_PART(a, filler, start)', 'SPLIT_PART(a, filler, start)'],
    ['REGEXP_LIKE(a, pattern)', 'REGEXP_MATCHES(a, pattern)'],
    ['GREATEST', 'GREATEST'],
    ['LEAST', 'LEAST'],
    ['MOD(a, b)', 'MOD(a, b)'],
    ['ROUND(x)', 'ROUND(x)'],
    ['ARRAY_CONTAINS(a, b)', 'CASE WHEN b IS NOT NULL AND LIST_COUNT(a) = LEN(a) THEN LIST_CONTAINS(a, b) END'],
    ['DATE_TRUNC(part, time)', 'DATE_TRUNC(part, time)'],
    ['DATEDIFF(a, b)', "DATE_DIFF('day', b, a)"],
    ['DATEDIFF(part, a, b)', 'DATE_SUB(part, a, b)'],
    ['TIMESTAMPDIFF(part, a, b)', 'DATE_SUB(part, a, b)'],
    ['DATEADD(unit, n, time)', 'time + n unit'],
    ['TIMESTAMPADD(unit, n, time)', 'time + n unit'],
    ['YEAR(time)', 'YEAR(time)'],
    ['QUARTER(time)', 'QUARTER(time)'],
    ['MONTH(time)', 'MONTH(time)'],
    ['DAY(time)', 'DAY(time)'],
    ['DAYOFMONTH(time)', 'DAY(time)'],
    ['DAYOFYEAR(time)', 'DAYOFYEAR(time)'],
    ['DAYOFWEEK(time)', 'DAYOFWEEK(time) + 1'],
    ['WEEKDAY(time)', 'ISODOW(time) - 1'],
    ['WEEKOFYEAR(time)', 'WEEKOFYEAR(time)'],
    ['HOUR(time)', 'HOUR(time)'],
    ['MINUTE(time)', 'MINUTE(time)'],
    ['SECOND(time)', 'SECOND(time)'],
  ],
  types: {
    bool: 'BOOLEAN',
    int64: 'BIGINT LONG INT INTEGER',
    double: 'DOUBLE',
    string: 'STRING VARCHAR',
    time: 'TIMESTAMP',
  },
  parts: { ...SAME_PARTS, WEEK: 'week' },
  fields: {
    ...MINUTE_TO_YEAR,
    WEEK: 'EXTRACT(week FROM time)',
    DOY: 'EXTRACT(doy FROM time)',
    DOW: 'EXTRACT(dow FROM time) + 1',
    DAYOFWEEK: 'EXTRACT(dow FROM time) + 1',
    YEAROFWEEK: 'EXTRACT(isoyear FROM time)',
  },
  likeEscape: '\\',
  hasIlike: true,
  hasBackslashes: true,
  regex: ['^', '\\d', '\\w'],
  operators: { RLIKE: 'REGEXP_MATCHES', REGEXP: 'REGEXP_MATCHES', DIV: '//' },
};

const TRINO: Dialect = {
  parser: 'trino',
  rules: {
    name: 'Trino',
    division: 'whole',
    zero: 'infinite',
    texts: 'bytes',
    firstIndex: 1,
    roundsTo: 'away',
    readsNumbers: true,
    spells: ['string'],
  },
  calls: [
    ...SHARED,
    ...LETTERS,
    ...FLOORS,
    ...NULL_EXTREMES,
    ['IF(a, b, c)', 'IF(a, b, c)'],
    ['IF(a, b)', 'IF(a, b, NULL)'],
    ['COUNT_IF(a)', 'COUNT(*) FILTER (WHERE a)'],
    ['BOOL_OR(a)', 'MAX(a)'],
    ['BOOL_AND(a)', 'MIN(a)'],
    ['EVERY(a)', 'MIN(a)'],
    ['LENGTH(a)', 'LENGTH(a)'],
    ['CONCAT(a, b)', 'a || b'],
    ['CONCAT(a, b, c)', 'a || b || c'],
    ['CONCAT(a, b, c, d)', 'a || b || c || d'],
    ['STARTS_WITH(a, b)', 'STARTS_WITH(a, b)'],
    ['STRPOS(a, b)', 'STRPOS(a, b)'],
    ['LPAD(a, count, filler)', 'LPAD(a, count, filler)'],
    ['RPAD(a, count, filler)', 'RPAD(a, count, filler)'],
    ['REGEXP_LIKE(a, pattern)', 'REGEXP_MATCHES(a, pattern)'],
    ['MOD(a, b)', 'MOD(a, b)'],
    ['ROUND(x)', 'ROUND(x)'],
    ['TRUNCATE(x)', 'TRUNC(x)'],
    ['CARDINALITY(a)', 'CARDINALITY(a)'],
    ['CONTAINS(a, b)', 'CASE WHEN LIST_CONTAINS(a, b) OR LIST_COUNT(a) = LEN(a) THEN LIST_CONTAINS(a, b) END'],
    ['DATE_TRUNC(part, time)', 'DATE_TRUNC(part, time)'],
    ['DATE_DIFF(part, a, b)', 'DATE_SUB(part, a, b)'],
    ['DATE_ADD(unit, n, time)', 'time + n unit'],
    ['YEAR(time)', 'YEAR(time)'],
    ['QUARTER(time)', 'QUARTER(time)'],
    ['MONTH(time)', 'MONTH(time)'],
    ['DAY(time)', 'DAY(time)'],
    ['DAY_OF_MONTH(time)', 'DAY(time)'],
    ['DAY_OF_YEAR(time)', 'DAYOFYEAR(time)'],
    ['DOY(time)', 'DAYOFYEAR(time)'],
    ['DAY_OF_WEEK(time)', 'ISODOW(time)'],
    ['DOW(time)', 'ISODOW(time)'],
    ['WEEK(time)', 'WEEK(time)'],
    ['WEEK_OF_YEAR(time)', 'WEEK(time)'],
    ['YEAR_OF_WEEK(time)', 'ISOYEAR(time)'],
    ['YOW(time)', 'ISOYEAR(time)'],
    ['HOUR(time)', 'HOUR(time)'],
    ['MINUTE(time)', 'MINUTE(time)'],
    ['SECOND(time)', 'SECOND(time)'],
    ['TO_UNIXTIME(time)', 'EPOCH(time)'],
  ],
  types: { bool: 'BOOLEAN', int64: 'BIGINT INTEGER INT', double: 'DOUBLE', string: 'VARCHAR', time: 'TIMESTAMP' },
  parts: { ...SAME_PARTS, WEEK: 'week', MICROSECOND: '' },
  fields: {
    ...MINUTE_TO_YEAR,
    SECOND: 'EXTRACT(second FROM time)',
    WEEK: 'EXTRACT(week FROM time)',
    DOY: 'EXTRACT(doy FROM time)',
    DAY_OF_YEAR: 'EXTRACT(doy FROM time)',
    DOW: 'EXTRACT(isodow FROM time)',
    DAY_OF_WEEK: 'EXTRACT(isodow FROM time)',
    YOW: 'EXTRACT(isoyear FROM time)',
    YEAR_OF_WEEK: 'EXTRACT(isoyear FROM time)',
  },
  likeEscape: '',
  hasIlike: false,
  hasBackslashes: false,
  regex: ['^'],
  operators: {},
};

/** By what `dialect:` says. */
export const DIALECTS: Record<string, Dialect> = {
  postgres: {
    parser: 'postgresql',
    rules: {
      name: 'Postgres',
      division: 'whole',
      zero: 'null',
      texts: 'equal',
      firstIndex: 1,
      roundsTo: 'even',
      readsNumbers: true,
      spells: ['string', 'int64'],
    },
    calls: [
      ...SHARED,
      ...LETTERS,
      ...PADS,
      ...ENDS,
      ...TRIMS,
      ...FLOORS,
      ['BOOL_OR(a)', 'MAX(a)'],
      ['BOOL_AND(a)', 'MIN(a)'],
      ['EVERY(a)', 'MIN(a)'],
      ['LENGTH(a)', 'LENGTH(a)'],
      ['CHAR_LENGTH(a)', 'LENGTH(a)'],
      ['CHARACTER_LENGTH(a)', 'LENGTH(a)'],
      ['OCTET_LENGTH(a)', 'STRLEN(a)'],
      ['BTRIM(a)', "TRIM(a, ' ')"],
      ['BTRIM(a, filler)', 'TRIM(a, filler)'],
      ...TRIMS_OF,
      ['CONCAT', 'CONCAT'],
      ['STARTS_WITH(a, b)', 'STARTS_WITH(a, b)'],
      ['STRPOS(a, b)', 'STRPOS(a, b)'],
      ['SPLIT_PART(a, filler, start)', 'SPLIT_PART(a, filler, start)'],
      ['REGEXP_LIKE(a, pattern)', 'REGEXP_MATCHES(a, pattern)'],
      ['MOD(a, b)', 'MOD(a, b)'],
      ['DIV(a, b)', 'a // b'],
      ['TRUNC(x)', 'TRUNC(x)'],
      ['SQRT(x)', 'SQRT(x)'],
      ['CARDINALITY(a)', 'CARDINALITY(a)'],
      ['DATE_TRUNC(part, time)', 'DATE_TRUNC(part, time)'],
    ],
    types: {
      bool: 'BOOLEAN BOOL',
      int64: 'BIGINT INT8 INTEGER INT INT4',
      double: 'DOUBLE FLOAT8 FLOAT',
      string: 'TEXT VARCHAR',
      time: 'TIMESTAMP TIMESTAMPTZ',
    },
    parts: { ...SAME_PARTS, WEEK: 'week' },
    fields: {
      ...MINUTE_TO_YEAR,
      ...fieldsOf('week doy dow isodow isoyear epoch'),
    },
    likeEscape: '\\',
    hasIlike: true,
    hasBackslashes: false,
    regex: ['^', '$'],
    operators: { '~': 'REGEXP_MATCHES', '!~': 'REGEXP_MATCHES' },
  },
  bigquery: {
    parser: 'bigquery',
    rules: {
      name: 'BigQuery',
      division: 'real',
      zero: 'null',
      texts: 'bytes',
      firstIndex: 0,
      roundsTo: 'away',
      readsNumbers: true,
      spells: ['string', 'int64', 'bool'],
    },
    calls: [
      ...SHARED,
      ...LETTERS,
      ...PADS,
      ...ENDS,
      ...FLOORS,
      ...NULL_EXTREMES,
      ['IFNULL(a, b)', 'IFNULL(a, b)'],
      ['IF(a, b, c)', 'IF(a, b, c)'],
      ['COUNTIF(a)', 'COUNT(*) FILTER (WHERE a)'],
      ['LOGICAL_OR(a)', 'MAX(a)'],
      ['LOGICAL_AND(a)', 'MIN(a)'],
      ['SAFE_DIVIDE(a, b)', 'a / b'],
      ['DIV(a, b)', 'a // b'],
      ['MOD(a, b)', 'MOD(a, b)'],
      ['ROUND(x)', 'ROUND(x)'],
      ['TRUNC(x)', 'TRUNC(x)'],
      ['SQRT(x)', 'SQRT(x)'],
      ['LENGTH(a)', 'LENGTH(a)'],
      ['CHAR_LENGTH(a)', 'LENGTH(a)'],
      ['BYTE_LENGTH(a)', 'STRLEN(a)'],
      ['OCTET_LENGTH(a)', 'STRLEN(a)'],
      ...TRIMS_OF,
      ['CONCAT(a, b)', 'a || b'],
      ['CONCAT(a, b, c)', 'a || b || c'],
      ['CONCAT(a, b, c, d)', 'a || b || c || d'],
      ['STARTS_WITH(a, b)', 'STARTS_WITH(a, b)'],
      ['ENDS_WITH(a, b)', 'ENDS_WITH(a, b)'],
      ['STRPOS(a, b)', 'STRPOS(a, b)'],
      ['INSTR(a, filler)', 'STRPOS(a, filler)'],
      ['REGEXP_CONTAINS(a, pattern)', 'REGEXP_MATCHES(a, pattern)'],
      ['REGEXP_EXTRACT(a, ungrouped)', 'CASE WHEN REGEXP_MATCHES(a, ungrouped) THEN REGEXP_EXTRACT(a, ungrouped) END'],
      ['REGEXP_REPLACE(a, pattern, replacement)', "REGEXP_REPLACE(a, pattern, replacement, 'g')"],
      ['ARRAY_LENGTH(a)', 'ARRAY_LENGTH(a)'],
      ['TIMESTAMP_TRUNC(time, part)', 'DATE_TRUNC(part, time)'],
      ['DATETIME_TRUNC(time, part)', 'DATE_TRUNC(part, time)'],
      ['TIMESTAMP_DIFF(a, b, part)', 'DATE_SUB(part, b, a)'],
      ['DATETIME_DIFF(a, b, part)', 'DATE_DIFF(part, b, a)'],
      ['TIMESTAMP_ADD(time, step)', 'time + step'],
      ['TIMESTAMP_SUB(time, step)', 'time - step'],
      ['DATETIME_ADD(time, step)', 'time + step'],
      ['DATETIME_SUB(time, step)', 'time - step'],
      ['UNIX_MICROS(time)', 'EPOCH_US(time)'],
      ['UNIX_MILLIS(time)', 'EPOCH_MS(time)'],
      ['TIMESTAMP_MILLIS(n)', 'EPOCH_MS(n)'],
      ['TIMESTAMP_SECONDS(n)', 'TO_TIMESTAMP(n)'],
      ['TIMESTAMP_MICROS(n)', 'MAKE_TIMESTAMP(n)'],
    ],
    types: {
      bool: 'BOOL BOOLEAN',
      int64: 'INT64 INT BIGINT INTEGER',
      double: 'FLOAT64',
      string: 'STRING',
      time: 'TIMESTAMP DATETIME',
    },
    parts: { ...SAME_PARTS, ISOWEEK: 'week' },
    fields: {
      ...MINUTE_TO_YEAR,
      SECOND: 'EXTRACT(second FROM time)',
      ISOWEEK: 'EXTRACT(week FROM time)',
      ISOYEAR: 'EXTRACT(isoyear FROM time)',
      DAYOFWEEK: 'EXTRACT(dow FROM time) + 1',
      DAYOFYEAR: 'EXTRACT(doy FROM time)',
    },
    likeEscape: '\\',
    hasIlike: false,
    hasBackslashes: true,
    regex: 're2',
    operators: {},
  },
  snowflake: {
    parser: 'snowflake',
    rules: {
      name: 'Snowflake',
      division: 'real',
      zero: 'null',
      texts: 'bytes',
      firstIndex: 0,
      roundsTo: 'away',
      readsNumbers: false,
      spells: ['string', 'int64'],
    },
    calls: [
      ...SHARED,
      ...LETTERS,
      ...PADS,
      ...ENDS,
      ...TRIMS,
      ...FLOORS,
      ...NULL_EXTREMES,
      ['IFNULL(a, b)', 'IFNULL(a, b)'],
      ['NVL(a, b)', 'NVL(a, b)'],
      ['NVL2(a, b, c)', 'IF(a IS NOT NULL, b, c)'],
      ['IFF(a, b, c)', 'IF(a, b, c)'],
      ['ZEROIFNULL(a)', 'COALESCE(a, 0)'],
      ['NULLIFZERO(a)', 'NULLIF(a, 0)'],
      ['DIV0(a, b)', 'CASE WHEN b = 0 AND a IS NOT NULL THEN 0 ELSE a / b END'],
      ['DIV0NULL(a, b)', 'CASE WHEN (b = 0 OR b IS NULL) AND a IS NOT NULL THEN 0 ELSE a / b END'],
      ['COUNT_IF(a)', 'COUNT(*) FILTER (WHERE a)'],
      ['BOOLOR_AGG(a)', 'MAX(a)'],
      ['BOOLAND_AGG(a)', 'MIN(a)'],
      ['MOD(a, b)', 'MOD(a, b)'],
      ['ROUND(x)', 'ROUND(x)'],
      ['TRUNC(x)', 'TRUNC(x)'],
      ['SQRT(x)', 'SQRT(x)'],
      ['LENGTH(a)', 'LENGTH(a)'],
      ['LEN(a)', 'LENGTH(a)'],
      ['OCTET_LENGTH(a)', 'STRLEN(a)'],
      ...TRIMS_OF,
      ['CONCAT(a, b)', 'a || b'],
      ['CONCAT(a, b, c)', 'a || b || c'],
      ['CONCAT(a, b, c, d)', 'a || b || c || d'],
      ['STARTSWITH(a, b)', 'STARTS_WITH(a, b)'],
      ['ENDSWITH(a, b)', 'ENDS_WITH(a, b)'],
      ['CONTAINS(text, b)', 'CONTAINS(text, b)'],
      ['CHARINDEX(a, b)', 'STRPOS(b, a)'],
      ['POSITION(a, b)', 'STRPOS(b, a)'],
      ['SPLIT_PART(a, filler, start)', 'SPLIT_PART(a, filler, start)'],
      ['ARRAY_SIZE(a)', 'ARRAY_LENGTH(a)'],
      ['DATE_TRUNC(part, time)', 'DATE_TRUNC(part, time)'],
      ['DATEDIFF(part, a, b)', 'DATE_DIFF(part, a, b)'],
      ['TIMESTAMPDIFF(part, a, b)', 'DATE_DIFF(part, a, b)'],
      ['DATEADD(unit, n, time)', 'time + n unit'],
      ['TIMESTAMPADD(unit, n, time)', 'time + n unit'],
      ['YEAR(time)', 'YEAR(time)'],
      ['QUARTER(time)', 'QUARTER(time)'],
      ['MONTH(time)', 'MONTH(time)'],
      ['DAY(time)', 'DAY(time)'],
      ['DAYOFMONTH(time)', 'DAY(time)'],
      ['DAYOFYEAR(time)', 'DAYOFYEAR(time)'],
      ['DAYOFWEEKISO(time)', 'ISODOW(time)'],
      ['WEEKISO(time)', 'WEEK(time)'],
      ['YEAROFWEEKISO(time)', 'ISOYEAR(time)'],
      ['HOUR(time)', 'HOUR(time)'],
      ['MINUTE(time)', 'MINUTE(time)'],
      ['SECOND(time)', 'SECOND(time)'],
    ],
    types: {
      bool: 'BOOLEAN',
      int64: 'INT INTEGER BIGINT NUMBER',
      double: 'FLOAT DOUBLE FLOAT8',
      string: 'VARCHAR STRING TEXT',
      time: 'TIMESTAMP TIMESTAMP_NTZ DATETIME',
    },
    parts: SAME_PARTS,
    fields: {
      ...MINUTE_TO_YEAR,
      SECOND: 'EXTRACT(second FROM time)',
      WEEKISO: 'EXTRACT(week FROM time)',
      DAYOFWEEKISO: 'EXTRACT(isodow FROM time)',
      DAYOFYEAR: 'EXTRACT(doy FROM time)',
      YEAROFWEEKISO: 'EXTRACT(isoyear FROM time)',
    },
    likeEscape: '',
    hasIlike: true,
    hasBackslashes: true,
    regex: [],
    operators: {},
  },
  spark: SPARK,
  databricks: { ...SPARK, parser: 'databricks', rules: { ...SPARK.rules, name: 'Databricks' } },
  trino: TRINO,
  presto: { ...TRINO, parser: 'presto', rules: { ...TRINO.rules, name: 'Presto' } },
  sqlite: {
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
  },
};

export const DIALECT_NAMES = ['duckdb', ...Object.keys(DIALECTS)];
