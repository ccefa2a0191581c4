import { join } from 'node:path';
import { type Answer, ROWS, rowText } from './dialect_rows.ts';

/**
 * Makes test/compile/clickhouse.json: what a ClickHouse answers to expressions over a few rows. It runs inside of a Python
 * that has it (`pip install chdb`, in an environment of its own) and takes a few seconds; the test that compares the
 * kernels with the answers needs neither.
 *
 *     CHDB_PYTHON=/tmp/chdb/bin/python bun scripts/clickhouse.ts && biome format --write test/compile/clickhouse.json
 */

/** Lists are never null there. */
const ARGUMENT_COLUMNS =
  "n Int32, s Nullable(String), u Nullable(String), i Nullable(Int64), j Nullable(Int64), x Nullable(Float64), y Nullable(Float64), b Nullable(Bool), c Nullable(Bool), t Nullable(DateTime64(6, 'UTC')), r Nullable(DateTime64(6, 'UTC')), l Array(Nullable(Int64))";

/** Each spelling of the table, and what operators, casts and literals mean. */
export const SAME = String.raw`
coalesce(i, j, 0)
ifNull(i, j)
nullIf(i, j)
nullIf(s, u)
isNull(i)
isNotNull(s)
toNullable(i)
if(b, s, u)
if(i > 0, i, j)
b ? 1 : 2
i > 0 ? 'a' : s
multiIf(b, 1, 2)
multiIf(b, 1, c, 2, 3)
multiIf(i > 9, s, b, u, c, 'c', 'none')
multiIf(i > 9, 1, i > 8, 2, i > 7, 3, i > 6, 4, 5)
multiIf(i > 9, 1, i > 8, 2, i > 7, 3, i > 6, 4, i > 5, 5, 6)
multiIf(i > 9, 1, i > 8, 2, i > 7, 3, i > 6, 4, i > 5, 5, i > 4, 6, 7)
multiIf(i > 9, 1, i > 8, 2, i > 7, 3, i > 6, 4, i > 5, 5, i > 4, 6, i > 3, 7, 8)
multiIf(i > 9, 1, i > 8, 2, i > 7, 3, i > 6, 4, i > 5, 5, i > 4, 6, i > 3, 7, i > 2, 8, 9)
greatest(i, j)
greatest(i, j, 3)
greatest(s, u)
least(i, j)
least(x, y, 2.0)
i + j
i - j
i * j
-i
i / 2
x / nullIf(y, 0)
intDiv(i, j)
intDiv(length(s), -2)
i DIV j
i % j
-7 % 2
modulo(i, j)
7 / 2
abs(i)
abs(i) - 10
abs(x)
sign(i)
sign(x)
floor(x)
floor(i)
ceil(x)
ceiling(x)
trunc(x)
truncate(x)
bitAnd(i, j)
bitOr(i, j)
bitXor(i, j)
bitNot(i)
toInt64(x)
toInt64(b)
toInt64(s = u)
toInt64(i)
CAST(x AS Nullable(Int64))
CAST(x, 'Nullable(Int64)')
x::Nullable(Int64)
toFloat64(i)
CAST(i AS Nullable(Float64))
toString(i)
toString(b)
CAST(i AS Nullable(String))
toInt64OrNull(s)
toInt64OrNull(' 42 ')
toInt64OrNull('+42')
toInt64OrNull('-0042')
toInt64OrNull('+-42')
toInt64OrNull('4.2')
toInt64OrNull('9223372036854775807')
toInt64OrNull('9223372036854775808')
toInt64OrZero(s)
length(s)
OCTET_LENGTH(s)
lengthUTF8(s)
CHAR_LENGTH(s)
CHARACTER_LENGTH(s)
empty(s)
notEmpty(s)
lowerUTF8(s)
upperUTF8(s)
reverseUTF8(s)
substringUTF8(s, 2)
substringUTF8(s, 2, 3)
leftUTF8(s, 2)
rightUTF8(s, 2)
leftPadUTF8(s, 3, 'xy')
rightPadUTF8(s, 8, 'xy')
positionUTF8(s, u)
positionUTF8(s, '')
repeat(s, 2)
repeat(s, 0)
replace(s, 'l', 'x')
replaceAll(s, 'l', u)
replaceAll(s, 'll', 'l')
concat(s, u)
concat(s, '-', i)
concat(s, u, b, 'x')
s || u
s || i || b
startsWith(s, u)
endsWith(s, u)
TRIM(s)
LTRIM(s)
RTRIM(s)
trim(s)
trimBoth(s)
trimLeft(s)
trimRight(s)
TRIM(BOTH 'he' FROM s)
TRIM(LEADING ' ' FROM s)
LTRIM(s, 'he')
RTRIM(s, 'ol')
trimBoth(s, 'a ')
trimLeft(s, 'he')
trimRight(s, 'ol')
splitByChar(',', s)[1]
splitByChar(',', s)[3]
splitByChar(',', s)[9]
splitByString('ll', s)[2]
match(s, '[a-c]')
match(s, '^[a-c]|2')
match(s, '\\d+')
match(s, '\\D{4}')
match(s, '\\w')
match(s, '[^\\W]l*?o$')
match(s, '\\s')
match(s, '\\bl')
match(s, '\\A\\Q100%\\E')
match(s, '\\x41|\\x{42f}|x\\z')
match(s, '[[:alpha:]]')
match(s, '(?P<a>l)+')
match(s, '')
s REGEXP 'l+'
extract(s, 'l+')
extract(s, '[a-z]+')
replaceRegexpOne(s, 'l', '#')
replaceRegexpAll(s, 'l+', '<\\0>')
replaceRegexpAll(s, '(a)(,*)', '<\\2\\1>')
CARDINALITY(l)
arrayElement(l, 1)
l[1]
l[2]
l[7]
has(l, i)
has(l, j)
has(l, NULL)
indexOf(l, j)
arrayMax(l)
arrayMin(l)
toStartOfSecond(t)
toStartOfMinute(t)
toStartOfHour(t)
toStartOfDay(t)
toStartOfMonth(t)
toStartOfQuarter(t)
toStartOfYear(t)
toStartOfWeek(t, 1)
toMonday(t)
toDate(t)
toDate(t) < t
toDate('2001-01-31') < t
toDateTime(t)
t < toDateTime('2001-03-12 00:00:00')
toStartOfFiveMinutes(t)
toStartOfTenMinutes(t)
toStartOfFifteenMinutes(t)
toStartOfInterval(t, INTERVAL 15 MINUTE)
toStartOfInterval(t, INTERVAL 6 HOUR)
toStartOfInterval(t, INTERVAL 2 DAY)
toStartOfInterval(t, INTERVAL 250 MILLISECOND)
toStartOfHour(t) + INTERVAL 1 HOUR
toStartOfMonth(t) + INTERVAL 1 HOUR
toDate(t) + INTERVAL 1 MONTH
date_trunc('second', t)
date_trunc('minute', t)
date_trunc('hour', t)
DATE_TRUNC('DAY', t)
date_trunc('week', t)
date_trunc('month', t)
date_trunc('quarter', t)
date_trunc('year', t)
dateTrunc('millisecond', t)
dateDiff('second', t, r)
dateDiff('minute', t, r)
dateDiff('hour', t, r)
dateDiff('day', t, r)
dateDiff(day, t, r)
dateDiff('week', t, r)
dateDiff('month', t, r)
dateDiff('quarter', t, r)
dateDiff('year', t, r)
dateDiff('millisecond', t, r)
date_diff('day', t, r)
age('second', t, r)
age('minute', t, r)
age('hour', t, r)
age('day', t, r)
age('millisecond', t, r)
addSeconds(t, 5)
addMinutes(t, -90)
addHours(t, j)
addDays(t, j)
addWeeks(t, 2)
addMonths(t, j)
addQuarters(t, -1)
addYears(t, 1)
subtractSeconds(t, 5)
subtractMinutes(t, 5)
subtractHours(t, j)
subtractDays(t, 1)
subtractWeeks(t, j)
subtractMonths(t, 1)
subtractQuarters(t, j)
subtractYears(t, 4)
dateAdd(DAY, 1, t)
date_add(MONTH, j, t)
t + INTERVAL 90 MINUTE
t - INTERVAL 1 DAY
t + INTERVAL j DAY
t + INTERVAL 1 WEEK
t - INTERVAL 1 MONTH
t + INTERVAL 1 QUARTER
r + INTERVAL 1 YEAR
toYear(t)
toQuarter(t)
toMonth(t)
toDayOfMonth(t)
toDayOfWeek(t)
toDayOfYear(t)
toHour(t)
toHour(t) - 5
toMinute(t)
toSecond(t)
toISOWeek(t)
toISOYear(t)
toYYYYMM(t)
toYYYYMMDD(t)
EXTRACT(SECOND FROM t)
EXTRACT(MINUTE FROM t)
EXTRACT(HOUR FROM t)
EXTRACT(DAY FROM t)
EXTRACT(WEEK FROM t)
EXTRACT(MONTH FROM t)
EXTRACT(QUARTER FROM t)
EXTRACT(YEAR FROM t)
toUnixTimestamp(TIMESTAMP '2001-02-03 04:05:06')
toUnixTimestamp64Milli(t)
toUnixTimestamp64Micro(t)
fromUnixTimestamp64Second(j)
fromUnixTimestamp64Milli(j)
fromUnixTimestamp64Micro(j)
s = u
s <> u
s < u
i == j
i > j
x >= y
t > r
t = '2004-01-01'
t < '2001-03-12 00:00:00'
t < TIMESTAMP '2001-03-12 00:00:00'
t < DATE '2001-03-12'
b = 1
0 <> b
b = true
b AND c
b OR c
NOT b
i IN (7, 5, -7)
i NOT IN (7, 5)
s NOT IN ('a', 'hello')
i BETWEEN 0 AND 9
s NOT BETWEEN 'a' AND 'b'
i IS NULL
s IS NOT NULL
s LIKE 'h%'
s LIKE '%l_'
s LIKE '_'
s LIKE '%'
s LIKE ''
s LIKE '%\\%%'
s LIKE '100\\%%'
s LIKE '%d\\\\_'
s NOT LIKE 'a%'
s LIKE '100!%!_!!x' ESCAPE '!'
s ILIKE 'H%'
CASE WHEN b THEN 'a' ELSE 'bcd' END
CASE s WHEN 'hello' THEN 1 WHEN 'a' THEN 2 END
'it''s' || '\\n' || 'it\'s'
`
  .trim()
  .split('\n')
  // Raw texts are of ASCII: Bun writes other letters in them as it likes.
  .concat(["s ILIKE '%å'", "s NOT ILIKE 'ж%'"]);

/** What is refused: ClickHouse answers otherwise than the like of it here, or for some arguments nobody has made sure. */
export const DIFFERS = String.raw`
i / j
x / y
i NOT IN (7, 5, NULL)
i IN (j, 7)
CASE i WHEN j THEN 1 ELSE 2 END
CASE i WHEN NULL THEN 1 ELSE 2 END
s LIKE '%\\n%'
match(s, 'e.e')
lower(s)
upper(s)
position(s, u)
POSITION(u IN s)
leftPad(s, 3, 'x')
round(x)
sqrt(y)
toInt64OrNull(s, 0)
toFloat64OrNull(s)
toString(t)
concat(s, t)
toInt32(i)
toStartOfWeek(t)
toStartOfInterval(t, INTERVAL 7 HOUR)
toStartOfInterval(t, INTERVAL 1 WEEK)
toWeek(t)
WEEK(t)
age('month', t, r)
age('week', t, r)
t - r
toDate(i)
replaceOne(s, 'l', 'x')
l[-1]
splitByChar(',', s)[-1]
`
  .trim()
  .split('\n');

/** Where ClickHouse ends with an error. */
export const FAILING = ['intDiv(i, i - i)', 'i % (i - i)', 'modulo(i, i - i)', 'CAST(x AS Int64)', 'CAST(i AS String)'];

/** Beside each other what makes the same of all rows. */
export const AGGREGATES: [theirs: string, standard: string][] = [
  ['count()', 'COUNT(*)'],
  ['countIf(b)', 'COUNT(*) FILTER (WHERE b)'],
  ['sumIf(i, b)', 'SUM(i) FILTER (WHERE b)'],
  ['avgIf(j, b)', 'AVG(j) FILTER (WHERE b)'],
  ['minIf(s, b)', 'MIN(s) FILTER (WHERE b)'],
  ['maxIf(t, b)', 'MAX(t) FILTER (WHERE b)'],
  ['uniqExact(j)', 'COUNT(DISTINCT j)'],
  ['uniqExactIf(j, b)', 'COUNT(DISTINCT j) FILTER (WHERE b)'],
  ['countDistinct(s)', 'COUNT(DISTINCT s)'],
  ['uniq(j)', 'COUNT(DISTINCT j)'],
  ['uniqIf(j, b)', 'COUNT(DISTINCT j) FILTER (WHERE b)'],
  ['any(i)', 'argMin(i, n)'],
  ['anyIf(i, c)', 'argMin(i, n) FILTER (WHERE c)'],
  ['anyLast(u)', 'argMax(u, n)'],
  ['anyLastIf(u, c)', 'argMax(u, n) FILTER (WHERE c)'],
  ['first_value(i)', 'argMin(i, n)'],
  ['last_value(u)', 'argMax(u, n)'],
  ['argMinIf(s, t, b)', 'argMin(s, t) FILTER (WHERE b)'],
  ['argMaxIf(s, t, b)', 'argMax(s, t) FILTER (WHERE b)'],
  ['argMin(s, t)', 'argMin(s, t) FILTER (WHERE s IS NOT NULL AND t IS NOT NULL)'],
  ['argMax(s, t)', 'argMax(s, t) FILTER (WHERE s IS NOT NULL AND t IS NOT NULL)'],
  ['varPop(j)', 'VAR_POP(j)'],
  ['varPopIf(j, b)', 'VAR_POP(j) FILTER (WHERE b)'],
  ['varSamp(j)', 'VAR_SAMP(j)'],
  ['varSampIf(j, b)', 'VAR_SAMP(j) FILTER (WHERE b)'],
  ['stddevPop(j)', 'STDDEV_POP(j)'],
  ['stddevPopIf(j, b)', 'STDDEV_POP(j) FILTER (WHERE b)'],
  ['stddevSamp(j)', 'STDDEV_SAMP(j)'],
  ['stddevSampIf(j, b)', 'STDDEV_SAMP(j) FILTER (WHERE b)'],
];

const FIXTURE = join(import.meta.dir, '..', 'test', 'compile', 'clickhouse.json');
const DEADLINE_MS = 5 * 60_000;

async function main(): Promise<void> {
  const python = process.env.CHDB_PYTHON ?? 'python3';
  const expressions = [...SAME, ...DIFFERS, ...FAILING];
  const rows = ROWS.map((row, n) => Object.values({ n, ...row, l: row.l ?? [] }));
  const asked = rowText({ columns: ARGUMENT_COLUMNS, rows, expressions, aggregates: AGGREGATES.flat() });
  const child = Bun.spawnSync([python, join(import.meta.dir, 'clickhouse', 'evaluate.py')], {
    stdin: new TextEncoder().encode(asked),
    timeout: DEADLINE_MS,
  });
  if (child.exitCode !== 0) throw new Error(`${python} exited with ${child.exitCode}:\n${child.stderr.toString()}`);
  const lines = child.stdout.toString().trim().split('\n');
  await Bun.write(FIXTURE, `[\n${lines.join(',\n')}\n]\n`);
  const answers: Answer[] = lines.map(line => JSON.parse(line));
  console.error(`${answers.length} answers, ${answers.filter(({ error }) => error).length} of them errors`);
}

if (import.meta.main) await main();
