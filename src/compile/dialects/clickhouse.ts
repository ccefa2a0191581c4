import type { Dialect } from '../dialect.ts';
import { MINUTE_TO_YEAR, TRIMS, TRIMS_OF } from './alike.ts';

/** Of 1 to 8 conditions. */
const MULTI_IFS: Dialect['calls'] = Array.from({ length: 8 }, (_, i) => {
  const pairs = Array.from({ length: i + 1 }, (_, pair) => [`a${pair}`, `b${pair}`]);
  const whens = pairs.map(([condition, value]) => `WHEN ${condition} THEN ${value}`);
  return [`multiIf(${pairs.flat().join(', ')}, c)`, `CASE ${whens.join(' ')} ELSE c END`];
});

/** Times that shift by units with names of their own. */
const SHIFTS: Dialect['calls'] = ['Second', 'Minute', 'Hour', 'Day', 'Week', 'Month', 'Quarter', 'Year'].flatMap(
  unit => [
    [`add${unit}s(time, n)`, `time + INTERVAL (n) ${unit.toUpperCase()}`],
    [`subtract${unit}s(time, n)`, `time - INTERVAL (n) ${unit.toUpperCase()}`],
  ],
);

const STARTS: Dialect['calls'] = ['Second', 'Minute', 'Hour', 'Day', 'Month', 'Quarter', 'Year'].map(part => [
  `toStartOf${part}(time)`,
  `DATE_TRUNC('${part.toLowerCase()}', time)`,
]);

/** Where a span begins, of spans that days are made of, or that are made of days: they begin with 1970. */
function spanOf(micros: string): string {
  return `MAKE_TIMESTAMP(EPOCH_US(time) - (EPOCH_US(time) % ${micros} + ${micros}) % ${micros})`;
}

const MINUTES: Dialect['calls'] = [
  ['toStartOfFiveMinutes(time)', spanOf('300000000')],
  ['toStartOfTenMinutes(time)', spanOf('600000000')],
  ['toStartOfFifteenMinutes(time)', spanOf('900000000')],
  ['toStartOfInterval(time, span)', spanOf('span')],
];

/** An aggregate, and the same where a condition holds. */
function conditional(calls: Dialect['calls']): Dialect['calls'] {
  return calls.flatMap(([theirs, ours]) => [
    [theirs, ours],
    [theirs.replace('(', 'If(').replace(')', ', condition)'), `${ours} FILTER (WHERE condition)`],
  ]);
}

const AGGREGATES: Dialect['calls'] = [
  ['countIf(a)', 'COUNT(*) FILTER (WHERE a)'],
  ...['sum', 'avg', 'min', 'max'].map((name): [string, string] => [
    `${name}If(a, condition)`,
    `${name.toUpperCase()}(a) FILTER (WHERE condition)`,
  ]),
  ...conditional([
    ['uniqExact(a)', 'COUNT(DISTINCT a)'],
    ['uniq(a)', 'APPROX_COUNT_DISTINCT(a)'],
    ['any(a)', 'FIRST(a)'],
    ['anyLast(a)', 'LAST(a)'],
    ['argMin(a, b)', 'ARG_MIN(a, b)'],
    ['argMax(a, b)', 'ARG_MAX(a, b)'],
    ['varPop(a)', 'VAR_POP(a)'],
    ['varSamp(a)', 'VAR_SAMP(a)'],
    ['stddevPop(a)', 'STDDEV_POP(a)'],
    ['stddevSamp(a)', 'STDDEV_SAMP(a)'],
  ]),
  ['countDistinct(a)', 'COUNT(DISTINCT a)'],
  ['first_value(a)', 'FIRST(a)'],
  ['last_value(a)', 'LAST(a)'],
];

/** Texts as lists, of which an element is taken at once: one that is not there is empty, of a null text too. */
const SPLITS: Dialect['calls'] = ['splitByChar', 'splitByString'].map(name => [
  `${name}(filler, a)[start]`,
  "COALESCE(SPLIT_PART(a, filler, start), '')",
]);

const WHOLE = "CASE WHEN REGEXP_FULL_MATCH(a, '[+-]?[0-9]+') THEN TRY_CAST(a AS BIGINT) END";

const INSTEAD: Dialect['instead'] = {
  SUBSTRING: 'it counts bytes there; write substringUTF8',
  SUBSTR: 'it counts bytes there; write substringUTF8',
  LEFT: 'it counts bytes there; write leftUTF8',
  RIGHT: 'it counts bytes there; write rightUTF8',
  LEFTPAD: 'it counts bytes there; write leftPadUTF8',
  RIGHTPAD: 'it counts bytes there; write rightPadUTF8',
  POSITION: 'it counts bytes there; write positionUTF8',
  'POSITION IN': 'it counts bytes there; write positionUTF8(text, part)',
  REVERSE: 'it counts bytes there; write reverseUTF8',
  LOWER: 'it knows the letters of ASCII only there; write lowerUTF8',
  UPPER: 'it knows the letters of ASCII only there; write upperUTF8',
  ROUND: 'it takes halves to the even number there; write floor(x + 0.5)',
  QUANTILE: 'write APPROX_QUANTILE(x, 0.5)',
  MEDIAN: 'write APPROX_QUANTILE(x, 0.5)',
  TOPK: 'write TOP_K(x, 10)',
  GROUPARRAY: 'write LAST_N(x, 10), which keeps so many of the latest values',
};

/**
 * ClickHouse's, as ClickHouse 26.9 computes it over Nullable columns: test/compile/clickhouse.json has what it said of
 * every row, and scripts/clickhouse.ts asks it again. Left out is what it makes otherwise: LENGTH, SUBSTRING, POSITION and
 * the like count bytes, LOWER and UPPER know ASCII only, ROUND takes halves to the even, SQRT of less than 0 is a number.
 */
export const CLICKHOUSE: Dialect = {
  parser: 'clickhouse',
  rules: {
    name: 'ClickHouse',
    division: 'real',
    zero: 'infinite',
    texts: 'bytes',
    firstIndex: 1,
    roundsTo: 'zero',
    readsNumbers: false,
    spells: ['string', 'int64', 'bool'],
    hasOddNulls: true,
    hasBits: true,
  },
  calls: [
    ...AGGREGATES,
    ['coalesce', 'COALESCE'],
    ['ifNull(a, b)', 'IFNULL(a, b)'],
    ['nullIf(a, b)', 'NULLIF(a, b)'],
    ['isNull(a)', 'a IS NULL'],
    ['isNotNull(a)', 'a IS NOT NULL'],
    ['toNullable(a)', 'a'],
    ['if(a, b, c)', 'IF(a, b, c)'],
    ...MULTI_IFS,
    ['greatest', 'GREATEST'],
    ['least', 'LEAST'],
    ['intDiv(a, b)', 'a // b'],
    ['modulo(a, b)', 'a % b'],
    ['abs(x)', 'ABS(x)'],
    ['sign(x)', 'SIGN(x)'],
    ['floor(x)', 'FLOOR(x)'],
    ['ceil(x)', 'CEIL(x)'],
    ['ceiling(x)', 'CEIL(x)'],
    ['trunc(x)', 'TRUNC(x)'],
    ['truncate(x)', 'TRUNC(x)'],
    ['bitAnd(a, b)', 'a & b'],
    ['bitOr(a, b)', 'a | b'],
    ['bitXor(a, b)', 'XOR(a, b)'],
    ['bitNot(a)', '~a'],
    ['toInt64OrNull(a)', WHOLE],
    ['toInt64OrZero(a)', `CASE WHEN a IS NOT NULL THEN COALESCE(${WHOLE}, 0) END`],
    ['length(a)', 'STRLEN(a)'],
    ['OCTET_LENGTH(a)', 'STRLEN(a)'],
    ['lengthUTF8(a)', 'LENGTH(a)'],
    ['CHAR_LENGTH(a)', 'LENGTH(a)'],
    ['CHARACTER_LENGTH(a)', 'LENGTH(a)'],
    ['empty(a)', "a = ''"],
    ['notEmpty(a)', "a <> ''"],
    ['lowerUTF8(a)', 'LOWER(a)'],
    ['upperUTF8(a)', 'UPPER(a)'],
    ['reverseUTF8(a)', 'REVERSE(a)'],
    ['substringUTF8(a, start)', 'SUBSTRING(a, start)'],
    ['substringUTF8(a, start, count)', 'SUBSTRING(a, start, count)'],
    ['leftUTF8(a, count)', 'LEFT(a, count)'],
    ['rightUTF8(a, count)', 'RIGHT(a, count)'],
    ['leftPadUTF8(a, count, filler)', 'LPAD(a, count, filler)'],
    ['rightPadUTF8(a, count, filler)', 'RPAD(a, count, filler)'],
    ['positionUTF8(a, b)', 'STRPOS(a, b)'],
    ['repeat(a, count)', 'REPEAT(a, count)'],
    ['replace(a, filler, b)', 'REPLACE(a, filler, b)'],
    ['replaceAll(a, filler, b)', 'REPLACE(a, filler, b)'],
    ['concat(a, b)', 'a || b'],
    ['concat(a, b, c)', 'a || b || c'],
    ['concat(a, b, c, d)', 'a || b || c || d'],
    ['startsWith(a, b)', 'STARTS_WITH(a, b)'],
    ['endsWith(a, b)', 'ENDS_WITH(a, b)'],
    ...TRIMS,
    ['trimBoth(a)', "TRIM(a, ' ')"],
    ['trimLeft(a)', "LTRIM(a, ' ')"],
    ['trimRight(a)', "RTRIM(a, ' ')"],
    ...TRIMS_OF,
    ['trimBoth(a, filler)', 'TRIM(a, filler)'],
    ['trimLeft(a, filler)', 'LTRIM(a, filler)'],
    ['trimRight(a, filler)', 'RTRIM(a, filler)'],
    ...SPLITS,
    ['match(a, pattern)', 'REGEXP_MATCHES(a, pattern)'],
    ['extract(a, ungrouped)', 'REGEXP_EXTRACT(a, ungrouped)'],
    ['replaceRegexpOne(a, pattern, replacement)', 'REGEXP_REPLACE(a, pattern, replacement)'],
    ['replaceRegexpAll(a, pattern, replacement)', "REGEXP_REPLACE(a, pattern, replacement, 'g')"],
    ['CARDINALITY(a)', 'CARDINALITY(a)'],
    ['arrayElement(a, start)', 'LIST_EXTRACT(a, start)'],
    ['has(a, b)', 'CASE WHEN b IS NULL THEN LIST_COUNT(a) < LEN(a) ELSE LIST_CONTAINS(a, b) END'],
    ['indexOf(a, b)', 'COALESCE(LIST_POSITION(a, b), 0)'],
    ['arrayMax(a)', 'LIST_MAX(a)'],
    ['arrayMin(a)', 'LIST_MIN(a)'],
    ...STARTS,
    ['toStartOfWeek(time, monday)', "DATE_TRUNC('week', time)"],
    ['toMonday(time)', "DATE_TRUNC('week', time)"],
    ['toDate(time)', "DATE_TRUNC('day', CAST(time AS TIMESTAMP))"],
    ['toDateTime(time)', "DATE_TRUNC('second', CAST(time AS TIMESTAMP))"],
    ...MINUTES,
    ['date_trunc(part, time)', 'DATE_TRUNC(part, time)'],
    ['dateTrunc(part, time)', 'DATE_TRUNC(part, time)'],
    ['dateDiff(part, a, b)', 'DATE_DIFF(part, a, b)'],
    ['date_diff(part, a, b)', 'DATE_DIFF(part, a, b)'],
    ['age(elapsed, a, b)', 'DATE_SUB(elapsed, a, b)'],
    ...SHIFTS,
    ['dateAdd(unit, n, time)', 'time + n unit'],
    ['date_add(unit, n, time)', 'time + n unit'],
    ['toYear(time)', 'YEAR(time)'],
    ['toQuarter(time)', 'QUARTER(time)'],
    ['toMonth(time)', 'MONTH(time)'],
    ['toDayOfMonth(time)', 'DAY(time)'],
    ['toDayOfWeek(time)', 'ISODOW(time)'],
    ['toDayOfYear(time)', 'DAYOFYEAR(time)'],
    ['toHour(time)', 'HOUR(time)'],
    ['toMinute(time)', 'MINUTE(time)'],
    ['toSecond(time)', 'SECOND(time)'],
    ['toISOWeek(time)', 'WEEK(time)'],
    ['toISOYear(time)', 'ISOYEAR(time)'],
    ['toYYYYMM(time)', 'YEAR(time) * 100 + MONTH(time)'],
    ['toYYYYMMDD(time)', 'YEAR(time) * 10000 + MONTH(time) * 100 + DAY(time)'],
    ['toUnixTimestamp(time)', 'EPOCH_US(time) // 1000000'],
    ['toUnixTimestamp64Milli(time)', 'EPOCH_MS(time)'],
    ['toUnixTimestamp64Micro(time)', 'EPOCH_US(time)'],
    ['fromUnixTimestamp64Second(n)', 'TO_TIMESTAMP(n)'],
    ['fromUnixTimestamp64Milli(n)', 'EPOCH_MS(n)'],
    ['fromUnixTimestamp64Micro(n)', 'MAKE_TIMESTAMP(n)'],
  ],
  instead: INSTEAD,
  casts: [
    ['toInt64', 'int64'],
    ['toFloat64', 'double'],
    ['toString', 'string'],
  ],
  types: { bool: '', int64: 'Int64 BIGINT', double: 'Float64 DOUBLE', string: 'String TEXT VARCHAR', time: '' },
  typeWrapper: 'Nullable',
  parts: {
    MILLISECOND: 'millisecond',
    SECOND: 'second',
    MINUTE: 'minute',
    HOUR: 'hour',
    DAY: 'day',
    WEEK: 'week',
    MONTH: 'month',
    QUARTER: 'quarter',
    YEAR: 'year',
  },
  fields: { ...MINUTE_TO_YEAR, SECOND: 'EXTRACT(second FROM time)', WEEK: 'EXTRACT(week FROM time)' },
  likeEscape: '\\',
  keepsBackslashes: true,
  hasIlike: true,
  hasBareCount: true,
  hasTernary: true,
  hasBackslashes: true,
  regex: ['^', '$', '\\d', '\\s', '\\w', '\\b', '\\A', '\\z', '\\Q', '\\x', '[[:class:]]', '(?P<name>)', '*?'],
  operators: { REGEXP: 'REGEXP_MATCHES', DIV: '//' },
};
