/**
 * What other dialects say means what it does there: the kernel's values are theirs over random rows. SQLite is at hand;
 * Postgres and MySQL (or MariaDB) are asked where POSTGRES_URL and MYSQL_URL say where they are.
 */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { SQL } from 'bun';
import { DIALECTS } from '../../src/compile/dialects.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME, type Type, type Value } from '../../src/plan/value.ts';
import { compile, evaluateAll, type Row } from '../kernel/evaluate.ts';
import { Random } from '../sim/random.ts';

const SEED = 20_011_107;
const ROWS = 1500;

const SQLITE_COLUMNS = { s: STRING, u: STRING, i: INT64, j: INT64, k: INT64, x: DOUBLE };
const POSTGRES_COLUMNS = { ...SQLITE_COLUMNS, b: BOOL, t: TIME, r: TIME };

/** `j` is never 0. */
const ARITHMETIC = ['i / j', 'i % j', '(i + k) / j * 2', 'i / 2.0', 'x / 4', 'i * j - k', '-i / j', 'ABS(k)', 'ABS(x)'];

const TEXTS = [
  ...["s || '-' || i", 'LENGTH(s)', 'OCTET_LENGTH(s)', "REPLACE(s, 'a', u)", 'SUBSTR(s, 2)', 'SUBSTR(s, 2, 3)'],
  ...['TRIM(s)', 'LTRIM(s)', 'RTRIM(s)', "LTRIM(s, 'ab')", "RTRIM(s, 'é ')", 's = u', 's <> u', "s IN ('a', u)"],
  ...["s LIKE 'a%'", "s LIKE '%A_'", "s LIKE '%é%'", "s NOT LIKE '_'", "s LIKE '%!%%' ESCAPE '!'", "s LIKE 'ab'"],
  ...['CASE WHEN i > k THEN s ELSE u END', 'COALESCE(s, u)', "NULLIF(s, 'a')", 'CAST(i AS TEXT)', 'i BETWEEN k AND j'],
];

const SQLITE = [
  ...ARITHMETIC,
  ...TEXTS,
  ...[
    'i / k',
    'x / k',
    'i % k',
    'INSTR(s, u)',
    'IFNULL(s, u)',
    'IIF(i == k, s, u)',
    "TRIM(s, 'a ')",
    'SIGN(k)',
    's < u',
  ],
  ...[
    'SUBSTRING(s, 3, 1)',
    'CAST(i AS REAL) / j',
    "s LIKE '%b.%'",
    "s LIKE '%\\%%' ESCAPE '\\'",
    "s LIKE '%[%'",
    'i & k',
  ],
];

const POSTGRES = [
  ...ARITHMETIC,
  ...TEXTS,
  ...[
    "s LIKE '%\\%%'",
    "s ILIKE 'A%B'",
    "s ~ '^[ab]+'",
    "s ~ 'b$'",
    "s !~ '(a|é){2,3}[^ ]'",
    "s ~ '\\.|_'",
    "REGEXP_LIKE(s, 'a*b')",
  ],
  ...[
    'CONCAT(s, u, i)',
    'STRPOS(s, u)',
    "POSITION('b' IN s)",
    'SUBSTRING(s FROM 2 FOR 2)',
    "TRIM(BOTH 'a' FROM s)",
    "BTRIM(s, ' a')",
  ],
  ...[
    "STARTS_WITH(s, 'a')",
    "SPLIT_PART(s, 'a', 2)",
    'LEFT(s, 2)',
    'RIGHT(s, 3)',
    "LPAD(s, 5, 'xy')",
    "RPAD(s, 4, '-')",
    'REVERSE(s)',
  ],
  ...[
    'REPEAT(u, 3)',
    "UPPER(REPLACE(u, 'é', ''))",
    'MOD(i, j)',
    'DIV(i, j)',
    'FLOOR(x)',
    'CEIL(x)',
    'TRUNC(x)',
    'CAST(x AS BIGINT)',
    'x::int8 / 2',
  ],
  ...[
    'NOT b OR i > k',
    'i & k',
    'i | k',
    '~i',
    'CAST(b AS INT)',
    "DATE_TRUNC('week', t)",
    "DATE_TRUNC('month', t)",
    "DATE_TRUNC('hour', t)",
  ],
  ...'minute hour day month quarter year week doy dow isodow isoyear epoch'
    .split(' ')
    .map(part => `EXTRACT(${part} FROM t)`),
  ...[
    "t + INTERVAL '1 month'",
    "t - INTERVAL '1 year 2 days'",
    't < r',
    't BETWEEN r AND t',
    "t > '2001-02-03'",
    "t = TIMESTAMP '2001-02-03'",
  ],
];

/** Quotients of whole numbers are decimals of few digits there. */
const MYSQL = [
  ...[
    'x / j',
    'i DIV j',
    'i % j',
    'i / 2',
    'x / 4',
    'x / k',
    'i * j - k',
    'ABS(k)',
    'MOD(i, k)',
    'FLOOR(x)',
    'CEIL(x)',
  ],
  ...[
    "CONCAT(s, '-', i)",
    'LENGTH(s)',
    'CHAR_LENGTH(s)',
    "REPLACE(s, 'a', u)",
    'SUBSTR(s, 2)',
    'SUBSTRING(s FROM 2 FOR 3)',
  ],
  ...['TRIM(s)', 'LTRIM(s)', 'RTRIM(s)', 'LEFT(s, 2)', 'RIGHT(s, 3)', "LPAD(s, 5, 'xy')", 'REVERSE(s)', 'REPEAT(u, 3)'],
  ...[
    'BINARY s = u',
    "s LIKE BINARY 'a%'",
    "s LIKE BINARY '%A\\\\_'",
    "BINARY s IN ('a', u)",
    'IFNULL(s, u)',
    'IF(i > k, s, u)',
  ],
  ...['LOWER(s)', 'UPPER(s)', 'COALESCE(s, u)', 'NULLIF(i, k)', 'i BETWEEN k AND j', 'SIGN(x)'],
  ...'YEAR QUARTER MONTH DAY DAYOFYEAR DAYOFWEEK WEEKDAY WEEKOFYEAR HOUR MINUTE SECOND'
    .split(' ')
    .map(part => `${part}(t)`),
  ...'MICROSECOND SECOND MINUTE HOUR DAY WEEK'.split(' ').map(part => `TIMESTAMPDIFF(${part}, t, r)`),
  ...[
    'DATEDIFF(r, t)',
    'DATE_ADD(t, INTERVAL 1 MONTH)',
    'DATE_SUB(t, INTERVAL 3 DAY)',
    't + INTERVAL 2 HOUR',
    't < r',
    'EXTRACT(HOUR FROM t)',
  ],
];

const LETTERS = [...'aaabbAB  %_!.[-é\\😀'];

function randomValue(name: string, type: Type, rng: Random): Value {
  if (rng.chance(0.08)) return null;
  switch (type.kind) {
    case 'string':
      return Array.from({ length: rng.below(name === 's' ? 7 : 2) }, () => rng.pick(LETTERS)).join('');
    case 'bool':
      return rng.chance(0.5);
    case 'double':
      return (rng.below(4001) - 2000) / 8;
    case 'time':
      return BigInt(rng.below(2 ** 31)) * 1_000_000n + BigInt(rng.below(1_000_000));
    default: {
      const value = BigInt(rng.below(41) - 20);
      return name === 'j' && value === 0n ? 7n : value;
    }
  }
}

function randomRows(columns: { [name: string]: Type }): Row[] {
  const rng = new Random(SEED);
  return Array.from({ length: ROWS }, () =>
    Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, randomValue(name, type, rng)])),
  );
}

/** Theirs as ours: they have bools that are numbers, and numbers that are texts. */
function received(value: unknown, { kind }: Type): Value {
  if (value === null || value === undefined) return null;
  if (kind === 'double') return Number(value);
  if (kind === 'bool') return Boolean(value);
  return kind === 'string' ? String(value) : BigInt(value as bigint);
}

async function differences(
  dialect: string,
  list: string[],
  columns: { [name: string]: Type },
  rows: Row[],
  ask: (sql: string, type: Type) => Promise<unknown[]>,
): Promise<string[]> {
  const expressions = await Promise.all(list.map(sql => compile(sql, columns, DIALECTS[dialect]!)));
  const found = evaluateAll(await loadKernel(), expressions, columns, rows);
  const wrong: string[] = [];
  for (const [i, { type }] of expressions.entries()) {
    const theirs = (await ask(list[i]!, type)).map(value => received(value, type));
    expect(theirs.length).toBe(rows.length);
    const at = theirs.findIndex((value, row) => value !== found[i]![row] && !(value === 0 && found[i]![row] === 0));
    if (at >= 0)
      wrong.push(
        `${list[i]} of ${Bun.inspect(rows[at])}: ${Bun.inspect(found[i]![at])}, there ${Bun.inspect(theirs[at])}`,
      );
  }
  return wrong;
}

test(`sqlite over ${ROWS} rows, seed ${SEED}`, async () => {
  const rows = randomRows(SQLITE_COLUMNS);
  using database = new Database(':memory:', { safeIntegers: true });
  database.run('CREATE TABLE rows (s TEXT, u TEXT, i INTEGER, j INTEGER, k INTEGER, x REAL)');
  const insert = database.prepare('INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)');
  for (const row of rows) insert.run(...(Object.keys(SQLITE_COLUMNS).map(name => row[name]) as never[]));
  const ask = async (sql: string) =>
    database
      .query(`SELECT ${sql} FROM rows ORDER BY rowid`)
      .values()
      .map(([value]) => value);
  expect(await differences('sqlite', SQLITE, SQLITE_COLUMNS, rows, ask)).toEqual([]);
});

/** A value as both of them read it. */
function literal(value: Value, { kind }: Type, time: (micros: Value) => string): string {
  if (value === null) return 'NULL';
  if (kind === 'time') return time(value);
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);
}

/** Makes a table `rows` of rows, with their numbers as `n`. */
async function fill(
  sql: SQL,
  types: string,
  options: string,
  columns: { [name: string]: Type },
  rows: Row[],
  time: (micros: Value) => string,
) {
  await sql.unsafe(`CREATE TEMPORARY TABLE rows_ (n int, ${types}) ${options}`);
  const values = rows.map(
    (row, n) =>
      `(${[n, ...Object.entries(columns).map(([name, type]) => literal(row[name]!, type, time))].join(', ')})`,
  );
  await sql.unsafe(`INSERT INTO rows_ VALUES ${values.join(', ')}`);
}

async function columnOf(sql: SQL, expression: string): Promise<unknown[]> {
  const rows: { value: unknown }[] = await sql.unsafe(`SELECT ${expression} AS value FROM rows_ ORDER BY n`);
  return rows.map(({ value }) => value);
}

const postgresUrl = process.env.POSTGRES_URL;

test.skipIf(!postgresUrl)(`postgres over ${ROWS} rows, seed ${SEED}`, async () => {
  const rows = randomRows(POSTGRES_COLUMNS);
  await using sql = new SQL(postgresUrl!, { max: 1 });
  const types = 's text, u text, i int8, j int8, k int8, x float8, b bool, t timestamp, r timestamp';
  const time = (micros: Value) => `(timestamp 'epoch' + interval '${micros} microseconds')`;
  await fill(sql, types, '', POSTGRES_COLUMNS, rows, time);
  const spelled: Partial<Record<Type['kind'], (of: string) => string>> = {
    time: of => `(extract(epoch FROM ${of}) * 1000000)::int8::text`,
    int64: of => `(${of})::int8::text`,
    double: of => `(${of})::float8`,
  };
  const ask = (expression: string, { kind }: Type) => columnOf(sql, spelled[kind]?.(expression) ?? expression);
  expect(await differences('postgres', POSTGRES, POSTGRES_COLUMNS, rows, ask)).toEqual([]);
});

const mysqlUrl = process.env.MYSQL_URL;

test.skipIf(!mysqlUrl)(`mysql over ${ROWS} rows, seed ${SEED}`, async () => {
  const rows = randomRows(POSTGRES_COLUMNS).map(row => ({ ...row, s: unescaped(row.s!), u: unescaped(row.u!) }));
  await using sql = new SQL(mysqlUrl!, { max: 1 });
  await sql.unsafe('SET NAMES utf8mb4');
  const types = 's text, u text, i bigint, j bigint, k bigint, x double, b bool, t datetime(6), r datetime(6)';
  const time = (micros: Value) => `(timestamp'1970-01-01 00:00:00' + interval ${micros} microsecond)`;
  await fill(sql, types, 'CHARACTER SET utf8mb4', POSTGRES_COLUMNS, rows, time);
  const spelled: Partial<Record<Type['kind'], (of: string) => string>> = {
    time: of => `CAST(timestampdiff(microsecond, '1970-01-01', ${of}) AS CHAR)`,
    int64: of => `CAST(${of} AS CHAR)`,
    double: of => `(${of}) + 0e0`,
  };
  const ask = (expression: string, { kind }: Type) => columnOf(sql, spelled[kind]?.(expression) ?? expression);
  expect(await differences('mysql', MYSQL, POSTGRES_COLUMNS, rows, ask)).toEqual([]);
});

/** In its texts a backslash escapes, so none is sent. */
function unescaped(value: Value): Value {
  return typeof value === 'string' ? value.replaceAll('\\', '/') : value;
}
