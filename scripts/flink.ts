import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { classPath, findJava } from './cluster/java.ts';
import { type Answer, ROWS, rowText } from './dialect_rows.ts';

/**
 * Makes test/compile/flink.json: what a Flink answers to expressions over a few rows. It runs inside of one Java (17,
 * with Maven to fetch its jars once) and takes a minute or two; the test that compares the kernels with the answers needs neither.
 *
 *     bun scripts/flink.ts && biome format --write test/compile/flink.json
 */

const ARGUMENT_COLUMNS =
  'id INT, s STRING, u STRING, i BIGINT, j BIGINT, x DOUBLE, y DOUBLE, b BOOLEAN, c BOOLEAN, t TIMESTAMP(6), r TIMESTAMP(6), l ARRAY<BIGINT>';

/** Each spelling of the table, and what operators, casts and literals mean. */
export const SAME = `
COALESCE(i, j, 0)
NULLIF(i, j)
NULLIF(s, u)
ABS(i)
ABS(x)
REPLACE(s, 'l', 'x')
REPLACE(s, 'l', u)
SUBSTR(s, 2)
SUBSTR(s, 2, 3)
SUBSTRING(s, 2)
SUBSTRING(s, 2, 3)
SUBSTRING(s FROM 2 FOR 3)
LOWER(s)
UPPER(s)
REVERSE(s)
LEFT(s, 2)
LEFT(s, 0)
RIGHT(s, 2)
RIGHT(s, 0)
TRIM(s)
LTRIM(s)
RTRIM(s)
TRIM(BOTH 'he' FROM s)
TRIM(LEADING ' ' FROM s)
TRIM(TRAILING FROM s)
BTRIM(s)
BTRIM(s, 'a ')
LTRIM(s, 'he')
RTRIM(s, 'ol')
FLOOR(x)
FLOOR(i)
CEIL(x)
CEILING(x)
GREATEST(i, j)
GREATEST(s, u)
GREATEST(i, j, 3)
LEAST(i, j)
LEAST(x, y, 2)
FLOOR(t TO SECOND)
FLOOR(t TO MINUTE)
FLOOR(t TO HOUR)
FLOOR(t TO DAY)
FLOOR(t TO MONTH)
FLOOR(t TO QUARTER)
FLOOR(t TO YEAR)
IF(b, s, u)
IF(i > 0, i, j)
IFNULL(i, j)
CHAR_LENGTH(s)
CHARACTER_LENGTH(s)
REPEAT(s, 2)
REPEAT(s, 0)
CONCAT(s, u)
CONCAT(s, u, 'x')
CONCAT(s, u, 'x', s)
STARTSWITH(s, u)
ENDSWITH(s, u)
LOCATE(u, s)
INSTR(s, u)
POSITION(u IN s)
POSITION('a' IN s)
SPLIT_INDEX(s, ',', 0)
SPLIT_INDEX(s, ',', 2)
SPLIT_INDEX(s, ',', 3)
SPLIT_INDEX(s, 'l', 1)
SPLIT_INDEX(s, 'll', 1)
SPLIT_INDEX(s, 'l', 2)
REGEXP(s, '[a-c]')
REGEXP(s, '^[a-c]|2')
REGEXP(s, '\\d+')
REGEXP(s, '\\w')
REGEXP_EXTRACT(s, 'l+')
REGEXP_EXTRACT(s, '[a-z]+')
MOD(i, j)
ROUND(x)
ROUND(i)
CARDINALITY(l)
ARRAY_CONTAINS(l, i)
ARRAY_CONTAINS(l, j)
ARRAY_MAX(l)
ARRAY_MIN(l)
TIMESTAMPDIFF(SECOND, t, r)
TIMESTAMPDIFF(MINUTE, t, r)
TIMESTAMPDIFF(HOUR, t, r)
TIMESTAMPDIFF(DAY, t, r)
TIMESTAMPDIFF(WEEK, t, r)
TIMESTAMPDIFF(SECOND, r, t)
TIMESTAMPADD(SECOND, 5, t)
TIMESTAMPADD(MINUTE, -5, t)
TIMESTAMPADD(HOUR, 5, t)
TIMESTAMPADD(DAY, j, t)
TIMESTAMPADD(WEEK, 5, t)
TIMESTAMPADD(MONTH, j, t)
TIMESTAMPADD(QUARTER, -1, t)
TIMESTAMPADD(YEAR, 1, t)
YEAR(t)
QUARTER(t)
MONTH(t)
WEEK(t)
DAYOFYEAR(t)
DAYOFMONTH(t)
DAYOFWEEK(t)
HOUR(t)
MINUTE(t)
SECOND(t)
EXTRACT(SECOND FROM t)
EXTRACT(MINUTE FROM t)
EXTRACT(HOUR FROM t)
EXTRACT(DAY FROM t)
EXTRACT(MONTH FROM t)
EXTRACT(QUARTER FROM t)
EXTRACT(YEAR FROM t)
EXTRACT(WEEK FROM t)
EXTRACT(DOY FROM t)
EXTRACT(DOW FROM t)
EXTRACT(ISODOW FROM t)
EXTRACT(ISOYEAR FROM t)
i + j
i - j
i * j
-i
i / j
i / 2
x / 2
x / NULLIF(y, 0)
i % j
7 / 2
CAST(x AS BIGINT)
CAST(i AS DOUBLE)
CAST(i AS STRING)
CAST(b AS BIGINT)
CAST(i AS BOOLEAN)
CAST(t AS TIMESTAMP)
CAST(s AS VARCHAR)
s || u
s || 'x' || u
s = u
s <> u
s < u
i > j
x >= y
t > r
t = r
t < TIMESTAMP '2001-03-12 00:00:00'
t < '2001-03-12 00:00:00'
b AND c
b OR c
NOT b
i IN (7, 5, -7)
i NOT IN (7, 5, NULL)
i BETWEEN 0 AND 9
s NOT BETWEEN 'a' AND 'b'
i IS NULL
s IS NOT NULL
s LIKE 'h%'
s LIKE '%l_'
s LIKE '_'
s LIKE '%'
s LIKE '%\\%'
s LIKE '100\\%%'
s NOT LIKE 'a%'
s LIKE '100!%!_!!x' ESCAPE '!'
CASE WHEN b THEN 'a' ELSE 'bcd' END || '|'
CASE s WHEN 'hello' THEN 1 WHEN 'a' THEN 2 END
CASE WHEN b THEN 'a' ELSE 'bcd' END
l[1]
l[2]
t + INTERVAL '90' MINUTE
t - INTERVAL '1' DAY
INTERVAL '1' DAY + t
t + INTERVAL '1' SECOND
t + INTERVAL '2' HOUR
t - INTERVAL '1' MONTH
t + INTERVAL '1' YEAR
'it''s' || '\\n'
`
  .trim()
  .split('\n');

/** What is refused: Flink answers otherwise than the like of it here, or for some arguments nobody has made sure. */
export const DIFFERS = `
LPAD(s, 3, 'x')
RPAD(s, 3, 'xy')
SQRT(x)
SIGN(x)
SIGN(i)
FLOOR(t TO WEEK)
FLOOR(t TO MILLISECOND)
TIMESTAMPDIFF(MILLISECOND, t, r)
TIMESTAMPDIFF(MONTH, t, r)
t + INTERVAL '1' WEEK
t + INTERVAL '1' QUARTER
CAST(b AS STRING)
CAST(t AS STRING)
x / y
s LIKE ''
REGEXP(s, '')
REGEXP(s, 'a.b')
EXTRACT(MILLISECOND FROM t)
EXTRACT(EPOCH FROM t)
REGEXP_REPLACE(s, 'l', 'x')
CONCAT_WS(',', s, u)
SUBSTR(s, 0, 2)
l[0]
`
  .trim()
  .split('\n');

/** Where Flink ends with an error. */
export const FAILING = ['i / (i - i)', 'i % (i - i)', 'MOD(i, i - i)'];

/** Of all rows. */
export const AGGREGATES = [
  'COUNT(*)',
  'COUNT(i)',
  'COUNT(DISTINCT s)',
  'COUNT(*) FILTER (WHERE b)',
  'MIN(s)',
  'MAX(s)',
  'MAX(t)',
  'AVG(i)',
  'AVG(j)',
  'AVG(CAST(j AS DOUBLE))',
  'VAR_POP(j)',
  'STDDEV_SAMP(j)',
];

const FOLDER = join(import.meta.dir, 'flink');
const FIXTURE = join(import.meta.dir, '..', 'test', 'compile', 'flink.json');
/** A job takes a second; a machine with nothing else to do needs a minute for all. */
const DEADLINE_MS = 15 * 60_000;

async function main(): Promise<void> {
  const found = findJava('Flink');
  if ('missing' in found) throw new Error(found.missing);
  mkdirSync(join(import.meta.dir, '..', '.cache', 'cluster'), { recursive: true });
  const jars = classPath('flink', console.error, join(FOLDER, 'flink.xml'));
  const folder = mkdtempSync(join(tmpdir(), 'flink-'));
  try {
    const answers = await ask(found.java, jars, folder);
    await Bun.write(FIXTURE, `[\n${answers.map(one => JSON.stringify(one)).join(',\n')}\n]\n`);
    console.error(`${answers.length} answers, ${answers.filter(({ values }) => !values).length} of them errors`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function ask(java: string, jars: string, folder: string): Promise<Answer[]> {
  const rows = join(folder, 'rows.ndjson');
  await Bun.write(rows, ROWS.map((row, id) => `${rowText({ id, ...row })}\n`).join(''));
  const asked = join(folder, 'asked.json');
  const expressions = [...SAME, ...DIFFERS];
  const groups = { expressions, aggregates: AGGREGATES, failing: FAILING };
  await Bun.write(asked, JSON.stringify({ columns: ARGUMENT_COLUMNS, rows, ...groups }));
  const opened = ['java.base/java.util=ALL-UNNAMED', 'java.base/java.lang=ALL-UNNAMED'];
  const flags = ['-Xmx512m', '-XX:+UseSerialGC', ...opened.flatMap(one => ['--add-opens', one])];
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [java, ...flags, '-cp', jars, join(FOLDER, 'Evaluate.java'), asked],
    { stdin: 'ignore', timeout: DEADLINE_MS },
  );
  if (exitCode !== 0) throw new Error(`Flink exited with ${exitCode}:\n${stderr.toString()}`);
  const answers = stdout
    .toString()
    .trim()
    .split('\n')
    .map((line): Answer => JSON.parse(line));
  const order = [...expressions, ...AGGREGATES, ...FAILING];
  return answers.sort((a, b) => order.indexOf(a.sql) - order.indexOf(b.sql));
}

if (import.meta.main) await main();
