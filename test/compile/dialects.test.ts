/** What other dialects spell otherwise: the same plan as DuckDB's spelling, or refused where they differ. */
import { describe, expect, test } from 'bun:test';
import { Faults } from '../../src/base/fault.ts';
import { DIALECTS } from '../../src/compile/dialects.ts';
import { paramsOf } from '../../src/compile/spelling.ts';
import { identityOf } from '../../src/kernel/expression.ts';
import { planHash } from '../../src/plan/canonical.ts';
import { BOOL, DOUBLE, INT64, OPTIONAL, STRING, TIME } from '../../src/plan/value.ts';
import { compile } from '../kernel/evaluate.ts';
import { expectSetFaults, FLIGHT, planOf, selectOf, setOf } from './marked.ts';

const COLUMNS = { s: STRING, u: STRING, i: INT64, j: INT64, x: DOUBLE, b: BOOL, t: TIME, r: TIME };
const WITH_LIST = { ...COLUMNS, l: { kind: 'list' as const, of: { type: INT64, presence: OPTIONAL } } };

/** Spelling -> DuckDB's, by hand: nothing of this comes from the tables. */
// Of Redshift by its Database Developer Guide, of T-SQL by its reference at learn.microsoft.com, each by the page of the function.
const SAME: Record<string, [theirs: string, ours: string][]> = {
  postgres: [
    ['i / j', 'i // j'],
    ['i / 2.0', 'i / 2.0'],
    ['(i + j) / 2 * x', '(i + j) // 2 * x'],
    ['x::bigint', 'x::BIGINT'],
    ['CAST(x AS INT4)', 'CAST(x AS BIGINT)'],
    ["s LIKE 'a\\%%'", "s LIKE 'a\\%%' ESCAPE '\\'"],
    ["s NOT LIKE 'a!%' ESCAPE '!'", "s NOT LIKE 'a!%' ESCAPE '!'"],
    ["s ~ '^[a-c]+$'", "REGEXP_MATCHES(s, '^[a-c]+$')"],
    ["NOT s !~ 'a'", "NOT NOT REGEXP_MATCHES(s, 'a')"],
    ['CONCAT(s, NULL, i)', 'CONCAT(s, NULL, i)'],
    ["BTRIM(s) || TRIM(s) || TRIM(LEADING 'x' FROM s)", "TRIM(s, ' ') || TRIM(s, ' ') || LTRIM(s, 'x')"],
    ['SUBSTRING(s FROM 2 FOR 3)', 'SUBSTRING(s, 2, 3)'],
    ["POSITION('a' IN s)", "STRPOS(s, 'a')"],
    ["DATE_TRUNC('week', t)", "DATE_TRUNC('week', t)"],
    ['EXTRACT(dow FROM t) = EXTRACT(EPOCH FROM r)', 'EXTRACT(dow FROM t) = EPOCH(r)'],
    ["t + INTERVAL '1 day'", 't + INTERVAL 1 DAY'],
    ['CAST(i AS double precision)', 'CAST(i AS DOUBLE)'],
    ['l[2]', 'l[2]'],
    ['"s"', 's'],
  ],
  bigquery: [
    ['i / j', 'i / j'],
    ['DIV(i, j)', 'i // j'],
    ['SAFE_DIVIDE(i, j)', 'i / j'],
    ['IFNULL(i, 0)', 'IFNULL(i, 0)'],
    ['SAFE_CAST(s AS INT64)', 'TRY_CAST(s AS BIGINT)'],
    ['CAST(x AS INT64)', 'CAST(ROUND(x) AS BIGINT)'],
    ['CAST(i AS FLOAT64)', 'CAST(i AS DOUBLE)'],
    ['s = "a"', "s = 'a'"],
    ["`s` = 'it\\'s'", "s = 'it''s'"],
    ["REGEXP_CONTAINS(s, r'\\d+$')", "REGEXP_MATCHES(s, '\\d+$')"],
    ["REGEXP_CONTAINS(s, '\\\\d')", "REGEXP_MATCHES(s, '\\d')"],
    ["REGEXP_EXTRACT(s, r'a+')", "CASE WHEN REGEXP_MATCHES(s, 'a+') THEN REGEXP_EXTRACT(s, 'a+') END"],
    ["REGEXP_REPLACE(s, r'(a)', r'<\\1>')", "REGEXP_REPLACE(s, '(a)', '<\\1>', 'g')"],
    ["CONCAT(s, 'a', i)", "s || 'a' || i"],
    ['GREATEST(i, j)', 'CASE WHEN i IS NULL OR j IS NULL THEN NULL ELSE GREATEST(i, j) END'],
    ['TIMESTAMP_TRUNC(t, HOUR)', "DATE_TRUNC('hour', t)"],
    ['TIMESTAMP_TRUNC(t, ISOWEEK)', "DATE_TRUNC('week', t)"],
    ['TIMESTAMP_DIFF(r, t, MINUTE)', "DATE_SUB('minute', t, r)"],
    ['DATETIME_DIFF(r, t, MONTH)', "DATE_DIFF('month', t, r)"],
    ['TIMESTAMP_SUB(t, INTERVAL 1 DAY)', 't - INTERVAL 1 DAY'],
    ['EXTRACT(DAYOFWEEK FROM t)', 'DAYOFWEEK(t) + 1'],
    ['l[0]', 'l[1]'],
    ['STRPOS(LOWER(s), CONCAT(u, SUBSTR(s, 1, 2)))', 'STRPOS(LOWER(s), u || SUBSTR(s, 1, 2))'],
  ],
  mysql: [
    ['i / j', 'i / j'],
    ['i DIV j', 'i // j'],
    ["BINARY s = 'A'", "s = 'A'"],
    ['s <> BINARY u', 's <> u'],
    ["BINARY s IN ('a', 'b')", "s IN ('a', 'b')"],
    ["s LIKE BINARY 'a\\\\_%'", "s LIKE 'a\\_%' ESCAPE '\\'"],
    ['LENGTH(s) + CHAR_LENGTH(s)', 'STRLEN(s) + LENGTH(s)'],
    ['CONCAT(s, "x", i)', "s || 'x' || i"],
    ['CAST(s AS CHAR)', 's'],
    ['DATEDIFF(r, t)', "DATE_DIFF('day', t, r)"],
    ['TIMESTAMPDIFF(MINUTE, t, r)', "DATE_SUB('minute', t, r)"],
    ['DATE_SUB(t, INTERVAL 1 MONTH)', 't - INTERVAL 1 MONTH'],
    ['DATE_ADD(t, INTERVAL 2 DAY)', 't + INTERVAL 2 DAY'],
    ['EXTRACT(HOUR FROM t)', 'HOUR(t)'],
    ['WEEKDAY(t)', 'ISODOW(t) - 1'],
    ["NULLIF(BINARY s, 'a')", "NULLIF(s, 'a')"],
    ["CASE BINARY s WHEN 'a' THEN 1 END", "CASE s WHEN 'a' THEN 1 END"],
    ["s BETWEEN BINARY 'a' AND 'b'", "s BETWEEN 'a' AND 'b'"],
    ['b = 1', 'b = TRUE'],
  ],
  snowflake: [
    ['IFF(b, i, j)', 'IF(b, i, j)'],
    ['NVL2(i, 1, 2)', 'IF(i IS NOT NULL, 1, 2)'],
    ['ZEROIFNULL(i)', 'COALESCE(i, 0)'],
    ['DIV0(x, i)', 'CASE WHEN i = 0 AND x IS NOT NULL THEN 0 ELSE x / i END'],
    ['x::NUMBER', 'ROUND(x)::BIGINT'],
    ["s ILIKE 'a%' AND STARTSWITH(s, 'a')", "s ILIKE 'a%' AND STARTS_WITH(s, 'a')"],
    ["CHARINDEX('a', s)", "STRPOS(s, 'a')"],
    ['DATE_TRUNC(HOUR, t)', "DATE_TRUNC('hour', t)"],
    ["DATEDIFF('day', t, r)", "DATE_DIFF('day', t, r)"],
    ['DATEADD(day, 1, t)', 't + INTERVAL 1 DAY'],
    ['DATEADD(month, i, t)', 't + INTERVAL (i) MONTH'],
    ['DAYOFWEEKISO(t)', 'ISODOW(t)'],
    ['l[0]', 'l[1]'],
  ],
  flink: [
    ['i / j', 'i // j'],
    ['x / NULLIF(j, 0)', 'x / NULLIF(j, 0)'],
    ['`s`', 's'],
    ["s LIKE 'a\\%'", "s LIKE 'a\\%'"],
    ["s NOT LIKE 'a!%' ESCAPE '!'", "s NOT LIKE 'a!%' ESCAPE '!'"],
    ['FLOOR(t TO HOUR)', "DATE_TRUNC('hour', t)"],
    ["FLOOR((t + INTERVAL '1' DAY) TO MONTH)", "DATE_TRUNC('month', t + INTERVAL 1 DAY)"],
    ['FLOOR(x)', 'FLOOR(x)'],
    ['TIMESTAMPDIFF(MINUTE, t, r)', "DATE_SUB('minute', DATE_TRUNC('millisecond', t), DATE_TRUNC('millisecond', r))"],
    ['TIMESTAMPADD(WEEK, 2, t)', 't + INTERVAL 2 WEEK'],
    ['EXTRACT(DOW FROM t) + DAYOFWEEK(t)', 'DAYOFWEEK(t) + 1 + (DAYOFWEEK(t) + 1)'],
    ["REGEXP(s, '^a[0-9]')", "REGEXP_MATCHES(s, '^a[0-9]')"],
    ["POSITION('a' IN s) + LOCATE('a', s)", "STRPOS(s, 'a') + STRPOS(s, 'a')"],
    ['l[1]', 'l[1]'],
  ],
  spark: [
    ['i / j', 'i / j'],
    ['i DIV j', 'i // j'],
    ["s RLIKE '^a[0-9]'", "REGEXP_MATCHES(s, '^a[0-9]')"],
    ["s NOT RLIKE 'a'", "NOT REGEXP_MATCHES(s, 'a')"],
    ["REGEXP_LIKE(s, 'a')", "REGEXP_MATCHES(s, 'a')"],
    ['CAST(x AS BIGINT)', 'CAST(TRUNC(x) AS BIGINT)'],
    ['CAST(2.5 AS BIGINT)', 'CAST(TRUNC(2.5) AS BIGINT)'],
    ['CAST(NULL AS BIGINT)', 'CAST(NULL AS BIGINT)'],
    ['CAST(s AS STRING)', 's'],
    ["LOCATE('a', s)", "STRPOS(s, 'a')"],
    ['FLOOR(x)', 'CAST(FLOOR(x) AS BIGINT)'],
    ['DATEDIFF(r, t)', "DATE_DIFF('day', t, r)"],
    ['TIMESTAMPDIFF(HOUR, t, r)', "DATE_SUB('hour', t, r)"],
    ['DAYOFWEEK(t)', 'DAYOFWEEK(t) + 1'],
    ["s LIKE 'a%'", "s LIKE 'a%' ESCAPE '\\'"],
    ['l[0]', 'l[1]'],
    ['i == j', 'i = j'],
  ],
  databricks: [['DATEADD(HOUR, 2, t)', 't + INTERVAL 2 HOUR']],
  trino: [
    ['i / j', 'i // j'],
    ['x / NULLIF(j, 0)', 'x / NULLIF(j, 0)'],
    ['x / 2', 'x / 2'],
    ["IF(b, s, 'x')", "IF(b, s, 'x')"],
    ["DATE_DIFF('hour', t, r)", "DATE_SUB('hour', t, r)"],
    ["DATE_ADD('day', 1, t)", 't + INTERVAL 1 DAY'],
    ["t + INTERVAL '1' DAY", 't + INTERVAL 1 DAY'],
    ['DAY_OF_WEEK(t)', 'ISODOW(t)'],
    ["REGEXP_LIKE(s, '^a')", "REGEXP_MATCHES(s, '^a')"],
    ['l[1]', 'l[1]'],
  ],
  presto: [['CAST(x AS BIGINT)', 'CAST(ROUND(x) AS BIGINT)']],
  sqlite: [
    ['i / j', 'i // j'],
    ["s LIKE 'a_b%'", "REGEXP_FULL_MATCH(s, '(?s)[aA].[bB].*')"],
    ["s NOT LIKE '5!%.' ESCAPE '!'", "NOT REGEXP_FULL_MATCH(s, '(?s)5%\\.')"],
    ["IIF(i == j, s, 'x')", "IF(i = j, s, 'x')"],
    ["INSTR(s, 'a')", "STRPOS(s, 'a')"],
    ['TRIM(s)', "TRIM(s, ' ')"],
    ['b = 1', 'b = TRUE'],
  ],
  athena: [['i / j', 'i // j']],
  redshift: [
    ['i / j', 'i // j'],
    ["s = 'a '", "RTRIM(s, ' ') = 'a'"],
    ['s <> u', "RTRIM(s, ' ') <> RTRIM(u, ' ')"],
    ["s IN ('a', u)", "RTRIM(s, ' ') = 'a' OR RTRIM(s, ' ') = RTRIM(u, ' ')"],
    ["NULLIF(s, 'a')", "CASE WHEN RTRIM(s, ' ') = 'a' THEN NULL ELSE s END"],
    ["s LIKE 'a%' AND s ILIKE 'b%'", "s LIKE 'a%' AND s ILIKE 'b%'"],
    ['NVL(i, 0) + NVL2(j, 1, 2)', 'NVL(i, 0) + IF(j IS NOT NULL, 1, 2)'],
    ["LEN(s) + CHARINDEX('a', s)", "LENGTH(s) + STRPOS(s, 'a')"],
    ['CONCAT(s, u)', 's || u'],
    ['DATEDIFF(day, t, r)', "DATE_DIFF('day', t, r)"],
    ['DATEADD(month, 2, t)', 't + INTERVAL 2 MONTH'],
    ["DATE_TRUNC('week', t)", "DATE_TRUNC('week', t)"],
    ['EXTRACT(dow FROM t)', 'EXTRACT(dow FROM t)'],
  ],
  tsql: [
    ['i / j', 'i // j'],
    ['s + u', 's || u'],
    ["[s] + N'a' + u", "s || 'a' || u"],
    ["s COLLATE Latin1_General_BIN2 = N'a '", "RTRIM(s, ' ') = 'a'"],
    ["'a' <> u COLLATE Latin1_General_100_BIN2_UTF8", "'a' <> RTRIM(u, ' ')"],
    ["s COLLATE Latin1_General_BIN2 IN ('a', 'b')", "RTRIM(s, ' ') IN ('a', 'b')"],
    ["s COLLATE Latin1_General_BIN2 LIKE 'a!%%' ESCAPE '!'", "s LIKE 'a!%%' ESCAPE '!'"],
    ['ISNULL(i, 0)', 'IFNULL(i, 0)'],
    ['IIF(b = 1, i, j)', 'IF(b = TRUE, i, j)'],
    ['CONVERT(BIGINT, x)', 'CAST(TRUNC(x) AS BIGINT)'],
    ['TRY_CONVERT(FLOAT, i)', 'CAST(i AS DOUBLE)'],
    ['CAST(i AS NVARCHAR)', 'CAST(i AS VARCHAR)'],
    ['LEN(s)', "LENGTH(RTRIM(s, ' '))"],
    ["CONCAT(s, i, 'x')", "CONCAT(s, i, 'x')"],
    ['DATEADD(day, 1, t)', 't + INTERVAL 1 DAY'],
    ['DATEDIFF(mi, t, r)', "DATE_DIFF('minute', t, r)"],
    ['DATEPART(iso_week, t) + DATEPART(hh, t)', 'WEEK(t) + HOUR(t)'],
    ['DATETRUNC(hour, t)', "DATE_TRUNC('hour', t)"],
    ['i & j', 'i & j'],
  ],
  clickhouse: [
    ['i / 2', 'i / 2'],
    ['i DIV j', 'i // j'],
    ['intDiv(i, j) + modulo(i, j)', 'i // j + i % j'],
    ["multiIf(i > j, 'a', b, 'b', s)", "CASE WHEN i > j THEN 'a' WHEN b THEN 'b' ELSE s END"],
    ["i > 0 AND b ? s : (u = 'a' ? u : s)", "IF(i > 0 AND b, s, IF(u = 'a', u, s))"],
    ['b = 1 OR 0 = b', 'b = TRUE OR FALSE = b'],
    ['CAST(x AS Nullable(Int64)) + toInt64(x)', 'CAST(TRUNC(x) AS BIGINT) + CAST(TRUNC(x) AS BIGINT)'],
    ["CAST(i, 'Float64')", 'CAST(i AS DOUBLE)'],
    ['length(s) + lengthUTF8(s)', 'STRLEN(s) + LENGTH(s)'],
    ["splitByChar(',', s)[2]", "COALESCE(SPLIT_PART(s, ',', 2), '')"],
    ["s LIKE 'a\\\\_%'", "s LIKE 'a\\_%' ESCAPE '\\'"],
    ["match(s, '\\\\d+$')", "REGEXP_MATCHES(s, '\\d+$')"],
    ['addDays(t, 3)', 't + INTERVAL 3 DAY'],
    ['subtractMonths(t, i)', 't - INTERVAL (i) MONTH'],
    ["toStartOfHour(t) = date_trunc('hour', t)", "DATE_TRUNC('hour', t) = DATE_TRUNC('hour', t)"],
    ["dateDiff('minute', t, r)", "DATE_DIFF('minute', t, r)"],
    ['indexOf(l, 2)', 'COALESCE(LIST_POSITION(l, 2), 0)'],
    ['`s`', 's'],
  ],
};

describe.each(Object.entries(SAME))('%s', (name, rows) => {
  test.each(rows)('%s', async (theirs, ours) => {
    const found = await compile(theirs, WITH_LIST, DIALECTS[name]!);
    expect(identityOf(found)).toBe(identityOf(await compile(ours, WITH_LIST)));
  });
});

const ARGUMENTS: Record<string, string> = {
  span: 'INTERVAL 5 MINUTE',
  monday: '1',
  elapsed: "'day'",
  field: "'day'",
  part: "'day'",
  unit: "'day'",
  cut: "'day'",
  start: '2',
  count: '3',
  filler: "'x'",
  pattern: "'y'",
  ungrouped: "'y'",
  replacement: "'z'",
  step: 'INTERVAL 1 DAY',
  time: 't',
};

/** What is put into DuckDB's words otherwise than it is written. */
const READ_AS: Record<string, string> = { span: '300000000' };

/** Columns that arguments without a name of their own may be. */
const CHOICES = [
  ['s', 'u', "'q'", 's'],
  ['i', 'j', 'i', 'j'],
  ['x', 'i', 'i', 'i'],
  ['b', 'i', 'j', 'i'],
  ['b', 'i'],
  ['b'],
  ['l', 'i', 'i', 'i'],
  ['t', 'r', 't', 't'],
];

const AGGREGATE = /^(COUNT|SUM|AVG|MIN|MAX|FIRST|LAST|ARG_\w+|VAR_\w+|STDDEV_\w+|APPROX_\w+)\(/;

/** NAME(a, b), FLOOR(a TO b), POSITION(a IN b), NAME(a, b)[c] */
function callOf(name: string, args: string[]): string {
  const [called, kind] = name.split(' ');
  if (kind === '[]') return `${called}(${args.slice(0, -1).join(', ')})[${args.at(-1)}]`;
  return `${called}(${args.join(kind ? ` ${kind} ` : ', ')})`.replace(/ TO '(\w+)'/, ' TO $1');
}

describe('every row of the tables', () => {
  for (const [dialectName, dialect] of Object.entries(DIALECTS))
    test(dialectName, async () => {
      for (const [theirs, ours] of dialect.calls) {
        const { name, params } = paramsOf(theirs);
        if (!params || AGGREGATE.test(ours)) continue;
        let bound = 0;
        for (const choice of CHOICES) {
          const free = params.filter(param => !ARGUMENTS[param]);
          const written = (param: string) => ARGUMENTS[param] ?? choice[free.indexOf(param) % choice.length]!;
          const put = ours
            .replace('n unit', `INTERVAL (n) ${'day'}`)
            .replace(/'[^']*'|\b\w+\b/g, word => (params.includes(word) ? (READ_AS[word] ?? written(word)) : word));
          const wanted = await compile(put, WITH_LIST).catch(() => null);
          const sql = callOf(name, params.map(written));
          const found = await compile(sql, WITH_LIST, dialect).catch((faults: Faults) => faults);
          if (!wanted || (found instanceof Faults && /spelled otherwise|write COALESCE/.test(found.message))) continue;
          bound++;
          if (found instanceof Faults) throw found;
          expect([sql, identityOf(found)]).toEqual([sql, identityOf(wanted)]);
        }
        expect([theirs, bound > 0]).toEqual([theirs, true]);
      }
    });
});

/** Of a set with each: all that is stored is the same. */
const SAME_AGGREGATES: [dialect: string, theirs: string, ours: string][] = [
  [
    'tsql',
    'COUNT_BIG(*) AS a, STDEV(delay) AS b, VARP(delay) AS c',
    'COUNT(*) AS a, STDDEV_SAMP(delay) AS b, VAR_POP(delay) AS c',
  ],
  ['redshift', 'COUNT(DISTINCT RTRIM(destination)) AS a', "COUNT(DISTINCT RTRIM(destination, ' ')) AS a"],
  ['clickhouse', 'count() AS a, count(*) AS b', 'COUNT(*) AS a, COUNT(*) AS b'],
  ['clickhouse', 'countIf(ok) AS a', 'COUNT(*) FILTER (WHERE ok) AS a'],
  [
    'clickhouse',
    'sumIf(delay, ok) AS a, avgIf(delay, ok) AS b',
    'SUM(delay) FILTER (WHERE ok) AS a, AVG(delay) FILTER (WHERE ok) AS b',
  ],
  [
    'clickhouse',
    'minIf(delay, ok) AS a, maxIf(landed, delay > 1) AS b',
    'MIN(delay) FILTER (WHERE ok) AS a, MAX(landed) FILTER (WHERE delay > 1) AS b',
  ],
  ['clickhouse', 'argMax(destination, landed) AS a', 'ARG_MAX(destination, landed) AS a'],
  ['clickhouse', 'argMinIf(destination, landed, ok) AS a', 'ARG_MIN(destination, landed) FILTER (WHERE ok) AS a'],
  [
    'clickhouse',
    'uniqExact(destination) AS a, countDistinct(delay) AS b',
    'COUNT(DISTINCT destination) AS a, COUNT(DISTINCT delay) AS b',
  ],
  ['clickhouse', 'uniqIf(destination, ok) AS a', 'APPROX_COUNT_DISTINCT(destination) FILTER (WHERE ok) AS a'],
  ['clickhouse', 'any(delay) AS a, anyLastIf(delay, ok) AS b', 'FIRST(delay) AS a, LAST(delay) FILTER (WHERE ok) AS b'],
  ['clickhouse', 'first_value(delay) AS a, last_value(delay) AS b', 'FIRST(delay) AS a, LAST(delay) AS b'],
  [
    'clickhouse',
    'varPop(delay) AS a, stddevSampIf(delay, ok) AS b',
    'VAR_POP(delay) AS a, STDDEV_SAMP(delay) FILTER (WHERE ok) AS b',
  ],
];

describe('aggregates', () => {
  test.each(SAME_AGGREGATES)('%s: %s', async (dialect, theirs, ours) => {
    const found = await planOf(FLIGHT, setOf(selectOf(theirs), `dialect: ${dialect}\n`));
    expect(planHash(found)).toBe(planHash(await planOf(FLIGHT, setOf(selectOf(ours)))));
  });
});

const REFUSED: [dialect: string, items: string, ...messages: string[]][] = [
  [
    'postgres',
    'COUNT(«NVL»(delay, 0)) AS n, COUNT(LENGTH(«LAST_DAY»(landed))) AS m',
    'NVL is not supported in Postgres; docs/functions.md lists those that are',
    'LAST_DAY is not supported in Postgres; docs/functions.md lists those that are',
  ],
  ['postgres', "COUNT(*) FILTER (WHERE origin «~~» 'b') AS n", '"~~" is not understood here; wanted LIKE'],
  [
    'postgres',
    "COUNT(*) FILTER (WHERE origin «<» 'b') AS n",
    '< of texts goes by a collation in Postgres, and here by their bytes: it is not supported',
  ],
  [
    'postgres',
    "COUNT(*) FILTER (WHERE origin ~ «'a.b'») AS n",
    '~: . does not mean the same in Postgres and here: write a class, like [^,]',
  ],
  [
    'postgres',
    'COUNT(SUBSTR(origin, «0», 2)) AS n, COUNT(LEFT(origin, «delay»)) AS m',
    'SUBSTR wants a number from 1 on as start in Postgres here, got 0: others differ',
    'LEFT wants a number from 0 on as count in Postgres here, got delay: others differ',
  ],
  [
    'postgres',
    'COUNT(EXTRACT(«second» FROM landed)) AS n',
    'EXTRACT of SECOND is not supported in Postgres; there are minute, hour, day, month, quarter, year, week, doy, dow, isodow, isoyear, epoch',
  ],
  ['postgres', 'COUNT(origin || «ok») AS n', '|| of bool is not supported in Postgres: it is spelled otherwise there'],
  [
    'postgres',
    'COUNT(landed «-» landed) AS n',
    'time - time is no number of microseconds in Postgres: write what counts the unit you mean',
  ],
  [
    'bigquery',
    'COUNT(TIMESTAMP_TRUNC(landed, «WEEK»)) AS n',
    'TIMESTAMP_TRUNC of WEEK is not supported in BigQuery; there are microsecond, millisecond, second, minute, hour, day, month, quarter, year, isoweek',
  ],
  ['bigquery', "COUNT(*) FILTER (WHERE «TRIM»(origin) = 'a') AS n", 'TRIM wants 2 arguments in BigQuery, got 1'],
  [
    'bigquery',
    "COUNT(*) FILTER (WHERE origin = «'a\\qb'») AS n",
    '\\q in a text is not supported: write \\\\ for a backslash',
  ],
  [
    'bigquery',
    'COUNT(CAST(delay AS «NUMERIC»)) AS n',
    'CAST to NUMERIC is not supported in BigQuery: BOOL, INT64, FLOAT64, STRING, TIMESTAMP are',
  ],
  [
    'trino',
    'COUNT(delay / 2.5 / «distance») AS n',
    '/ of doubles is infinite where distance is 0 in Trino, and null here: write NULLIF(distance, 0)',
  ],
  [
    'flink',
    "AVG(«delay») AS mean, COUNT(FLOOR(landed TO «WEEK»)) AS weeks, COUNT(landed + «INTERVAL '1' WEEK») AS later",
    'AVG of int64 is a whole number in Flink, and a double here: write AVG(CAST(delay AS DOUBLE))',
    'FLOOR TO WEEK is not supported: weeks begin on Sundays in Flink, and on Mondays here',
    'INTERVAL of WEEKs is not supported in Flink: it adds another span there; write TIMESTAMPADD(WEEK, 1, time)',
  ],
  [
    'flink',
    "COUNT(«CHAR_LENGHT»(origin)) AS n, COUNT(*) FILTER (WHERE origin LIKE «''») AS m",
    'CHAR_LENGHT is not supported in Flink; did you mean "CHAR_LENGTH"?',
    "LIKE of an empty pattern does not mean the same in Flink and here: write = ''",
  ],
  [
    'spark',
    "COUNT(*) FILTER (WHERE origin RLIKE «'a$'») AS n",
    'RLIKE: $ does not mean the same in Spark and here, before a line end at the end of the text',
  ],
  [
    'mysql',
    "COUNT(*) FILTER (WHERE ok AND origin «=» 'a') AS n, COUNT(*) FILTER (WHERE origin «LIKE» 'a%') AS m",
    '= of texts goes by a collation in MySQL, and here by their bytes: write BINARY before one of them',
    'LIKE goes by a collation in MySQL: write LIKE BINARY',
  ],
  [
    'mysql',
    "COUNT(«NULLIF»(origin, 'a')) AS n, COUNT(CASE origin WHEN «'a'» THEN 1 END) AS m",
    'NULLIF of texts goes by a collation in MySQL, and here by their bytes: write BINARY before one of them',
    'CASE of texts goes by a collation in MySQL, and here by their bytes: write BINARY before one of them',
  ],
  [
    'clickhouse',
    "COUNT(«lower»(origin)) AS n, countIf(«position»('a' IN origin) > 0) AS m",
    'LOWER is not supported in ClickHouse: it knows the letters of ASCII only there; write lowerUTF8',
    'POSITION IN is not supported in ClickHouse: it counts bytes there; write positionUTF8(text, part)',
  ],
  [
    'clickhouse',
    'countIf(delay IN (1, «NULL»)) AS n, countIf(CASE delay WHEN «distance» THEN ok END) AS m',
    'IN of NULL is not supported in ClickHouse: NULL is a value there like others; write literals, or = and IS NULL',
    'CASE of distance is not supported in ClickHouse: NULL is a value there like others; write literals, or = and IS NULL',
  ],
  [
    'clickhouse',
    "countIf(origin «LIKE» '%\\\\n') AS n, countIf(match(origin, «'a.b'»)) AS m",
    'LIKE with \\n does not mean the same in ClickHouse and here: escape the backslash',
    'MATCH: . does not mean the same in ClickHouse and here: write a class, like [^,]',
  ],
  [
    'clickhouse',
    "COUNT(toStartOfInterval(landed, «INTERVAL 7 HOUR»)) AS n, COUNT(age(«'week'», landed, landed)) AS m",
    'TOSTARTOFINTERVAL wants an INTERVAL of days, or of what a day is a multiple of in ClickHouse here, got INTERVAL 7 HOUR: others differ',
    'AGE of WEEK is not supported in ClickHouse: write the quotient of days and 7',
  ],
  [
    'redshift',
    "COUNT(origin «<» destination) AS n, COUNT(DISTINCT «destination») AS m, AVG(«delay») AS mean, COUNT(origin = «'a\\\\'») AS o",
    '< of texts passes over spaces at their ends in Redshift, and here by their bytes: it is not supported',
    'COUNT of different texts passes over spaces at their ends in Redshift: write RTRIM(destination)',
    'AVG of int64 is a whole number in Redshift, and a double here: write AVG(CAST(delay AS DOUBLE))',
    'a backslash in a text is not supported in Redshift: it may escape what stands behind it',
  ],
  [
    'tsql',
    "COUNT(IIF(origin «=» 'a', 1, 0)) AS n, COUNT(origin + «delay») AS m, COUNT(ISNULL(delay, «1.5»)) AS o",
    '= of texts goes by a collation in SQL Server, and here by their bytes: write COLLATE Latin1_General_BIN2 behind one of them',
    '+ of texts wants string, got int64: write CONCAT, or CAST(delay AS NVARCHAR)',
    '1.5 becomes int64 in SQL Server, as what it stands for is: write COALESCE',
  ],
  [
    'tsql',
    "COUNT(IIF(origin COLLATE Latin1_General_BIN2 «LIKE» 'a[bc]', 1, 0)) AS n, COUNT(DATEDIFF(«week», landed, landed)) AS m",
    'LIKE of a [class] is not supported: write several of them',
    'DATEDIFF of week is not supported in SQL Server; there are microsecond, millisecond, second, minute, hour, day, month, quarter, year, yy, yyyy, qq, q, mm, m, dd, d, hh, mi, n, ss, s, ms, mcs',
  ],
  ['mysql', 'COUNT(origin «||» destination) AS n', '"||" is not understood here; wanted an operator'],
  [
    'postgres',
    "COUNT(landed > «'2001-01-31 08:30:00+02:00'») AS n, COUNT(TIMESTAMP «'2001-01-31 08:30:00-02:00'») AS m",
    ...['+', '-'].map(
      sign =>
        `an offset in '2001-01-31 08:30:00${sign}02:00' is not supported in Postgres: not every type of times heeds it there; write it in UTC`,
    ),
  ],
  [
    'spark',
    'COUNT(«CAST(origin AS BIGINT)») AS n',
    'CAST of string to int64 is not supported in Spark: it also reads texts that spell no whole number; declare the input int64',
  ],
  [
    'sqlite',
    'COUNT(«CAST(origin AS INTEGER)») AS n, COUNT(«UPPER»(origin)) AS m',
    'CAST of string to int64 is not supported in SQLite: it also reads texts that spell no whole number; declare the input int64',
    'UPPER is not supported in SQLite; docs/functions.md lists those that are',
  ],
];

const DECLARE = (name: string, path: string) =>
  `members of JSON are inputs: declare ${name}: { type: string, optional: true, path: $.data.${path} } (or what type it is), and write ${name}`;

/** Of which type a member is says the event type, once for all: what a select would have to write there instead. */
const JSON_REFUSED: [dialect: string, items: string, message: string][] = [
  ['postgres', "COUNT(price «->>» 'currency') AS n", `->> is not supported: ${DECLARE('currency', 'price.currency')}`],
  [
    'postgres',
    "COUNT(data -> 'price' «->>» 'currency') AS n",
    `->> is not supported: ${DECLARE('currency', 'price.currency')}`,
  ],
  ['duckdb', "COUNT(price «->» '$.tax.vat' = 'x') AS n", `-> is not supported: ${DECLARE('vat', 'price.tax.vat')}`],
  [
    'bigquery',
    "COUNT(«JSON_VALUE»(data, '$.price.tax')) AS n",
    `JSON_VALUE is not supported: ${DECLARE('tax', 'price.tax')}`,
  ],
  [
    'spark',
    "COUNT(«GET_JSON_OBJECT»(price, '$.tax')) AS n",
    `GET_JSON_OBJECT is not supported: ${DECLARE('tax', 'price.tax')}`,
  ],
  [
    'clickhouse',
    "countIf(«JSONExtractString»(data, 'price', 'tax') = 'x') AS n",
    `JSONEXTRACTSTRING is not supported: ${DECLARE('tax', 'price.tax')}`,
  ],
  ['snowflake', 'COUNT(price«:»tax.vat::STRING) AS n', `: is not supported: ${DECLARE('vat', 'price.tax.vat')}`],
  [
    'sqlite',
    "COUNT(«json_extract»(price, '$.taxes[0]')) AS n",
    'JSON_EXTRACT is not supported: members of JSON are inputs: declare one with its path, like $.data.a.b',
  ],
  [
    'duckdb',
    "COUNT(«json_extract_string»(price, '$.tax')) AS n",
    'JSON_EXTRACT_STRING is not supported: members of JSON are inputs: declare one with its path, like $.data.a.b',
  ],
];

describe('members of JSON', () => {
  test.each(JSON_REFUSED)('%s: %s', async (dialect, items, message) => {
    await expectSetFaults(setOf(selectOf(items), `dialect: ${dialect}\n`), [message]);
  });
});

describe('what differs is refused', () => {
  test.each(REFUSED.map(([dialect, items, ...messages]) => ({ dialect, items, messages })))(
    '$dialect: $items',
    async ({ dialect, items, messages }) => {
      await expectSetFaults(setOf(selectOf(items), `dialect: ${dialect}\n`), messages);
    },
  );
  test('a dialect that nobody knows', async () => {
    await expectSetFaults(setOf(selectOf('COUNT(*) AS n'), 'dialect: «oracle»\n'), [
      'dialect: got "oracle", wanted a dialect of SQL: duckdb, postgres, bigquery, mysql, snowflake, flink, spark, databricks, trino, presto, sqlite, athena, clickhouse, redshift, tsql',
    ]);
  });
  test.each([
    "«TABLE»(TUMBLE(TABLE flight, DESCRIPTOR(landed), INTERVAL '1' HOUR))",
    "«HOP»(TABLE flight, DESCRIPTOR(landed), INTERVAL '1' HOUR, INTERVAL '1' DAY)",
  ])('a table of windows: %s', async from => {
    await expectSetFaults(setOf(`SELECT origin, COUNT(*) AS n FROM ${from} GROUP BY origin`, 'dialect: flink\n'), [
      'windows in SQL are not supported: FROM takes the event type of source, and `windows: [1h]` says over which spans of time to aggregate',
    ]);
  });
});

describe('feature sets', () => {
  const sql = {
    duckdb:
      "SELECT origin, COUNT(*) FILTER (WHERE delay > 15) AS late, SUM(delay // 2) AS half FROM flight WHERE origin LIKE 'A\\%%' ESCAPE '\\' GROUP BY origin",
    postgres:
      "SELECT origin, COUNT(*) FILTER (WHERE delay > 15) AS late, SUM(delay / 2) AS half FROM flight WHERE origin LIKE 'A\\%%' GROUP BY origin",
    bigquery:
      "SELECT `origin`, COUNTIF(delay > 15) AS late, SUM(DIV(delay, 2)) AS half FROM flight WHERE origin LIKE 'A\\\\%%' GROUP BY origin",
    spark:
      "SELECT origin, COUNT_IF(delay > 15) AS late, SUM(delay DIV 2) AS half FROM flight WHERE origin LIKE 'A\\\\%%' GROUP BY 1",
  };
  test('one plan, whichever dialect says it', async () => {
    const hashes = await Promise.all(
      Object.entries(sql).map(async ([dialect, text]) =>
        planHash(await planOf(FLIGHT, setOf(text, `dialect: ${dialect}\n`))),
      ),
    );
    expect(new Set(hashes).size).toBe(1);
  });
  test('derived features are in the dialect too', async () => {
    const set = setOf(selectOf('COUNT(*) AS n'), 'dialect: postgres\nderive: { half: n_2h / 2 }\n');
    const { features } = await planOf(FLIGHT, set);
    expect(features.map(({ expression }) => expression.type.kind)).toEqual(['int64', 'int64']);
  });
});
