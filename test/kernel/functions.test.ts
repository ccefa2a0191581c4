/** Every function of SQL: SQL -> plan -> kernel, against the oracle, and against the page that describes it. */
import { describe, expect, test } from 'bun:test';
import { OPERATORS, functionsPage } from '../../scripts/functions.ts';
import { lettersSource } from '../../scripts/letters.ts';
import { formatMicros } from '../../src/base/time.ts';
import { FUNCTIONS } from '../../src/compile/functions.ts';
import { Lowering } from '../../src/kernel/expression.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import {
  BOOL,
  DOUBLE,
  type Field,
  INT64,
  OPTIONAL,
  STRING,
  TIME,
  type Type,
  type Value,
} from '../../src/plan/value.ts';
import type { Expression } from '../../src/plan/expression.ts';
import { evaluate } from '../oracle/terms.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { compile, evaluateAll, type Row, setCell } from './evaluate.ts';

const NO_READS = () => {
  throw new Error('no reads here');
};

/** As the page writes values. */
function shown(value: Value, type: Type): string {
  if (value === null) return 'NULL';
  if (type.kind === 'time') return formatMicros(value as bigint);
  if (type.kind === 'double') return Number.isInteger(value) ? `${value}.0` : String(value);
  return type.kind === 'string' ? `'${value}'` : String(value);
}

describe('the page of functions', () => {
  test('is as the table makes it', async () => {
    const page = await Bun.file(new URL('../../docs/functions.md', import.meta.url)).text();
    expect(page).toBe(functionsPage());
  });

  const examples = [...OPERATORS, ...FUNCTIONS].flatMap(({ examples }) => examples);
  test.each(examples)('%s = %s', async (sql, value) => {
    const kernel = await loadKernel();
    const expression = await compile(sql);
    const [[found]] = evaluateAll(kernel, [expression], {}, [{}]) as [[Value]];
    expect(shown(found, expression.type)).toBe(value);
    expect(found).toBe(evaluate(expression, { column: () => null, read: NO_READS }) as never);
  });

  test('has an example of every function', () => {
    expect(FUNCTIONS.filter(fn => fn.examples.length === 0).map(fn => fn.names)).toEqual([]);
  });
});

test('the table of letters is as JavaScript maps them', async () => {
  const table = await Bun.file(new URL('../../assembly/letters.ts', import.meta.url)).text();
  expect(table).toBe(lettersSource());
});

function listOf(type: Type): Type {
  return { kind: 'list', of: { type, presence: OPTIONAL } };
}

function fieldOf(name: string, type: Type): Field {
  return { name, path: [name], type, presence: OPTIONAL };
}

const MEMBER: Type = {
  kind: 'struct',
  name: 'member',
  fields: [fieldOf('name', STRING), fieldOf('hours', DOUBLE), fieldOf('legs', listOf(INT64))],
};

const COLUMNS = {
  s: STRING,
  u: STRING,
  v: STRING,
  i: INT64,
  j: INT64,
  x: DOUBLE,
  y: DOUBLE,
  b: BOOL,
  t: TIME,
  r: TIME,
  l: listOf(INT64),
  d: listOf(DOUBLE),
  w: listOf(STRING),
  q: listOf(TIME),
  g: listOf(listOf(INT64)),
  m: MEMBER,
  c: listOf(MEMBER),
};

const PARTS = ['microsecond', 'millisecond', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'];
const FIELDS = [...PARTS, 'dow', 'isodow', 'doy', 'isoyear', 'epoch'];

const TEXTS = [
  ...[
    'LOWER(s)',
    'UPPER(s)',
    'LENGTH(s)',
    'STRLEN(s)',
    'REVERSE(s)',
    'CONCAT(s, u, i, b, t)',
    "s || '-' || u || i || b || t",
  ],
  ...[
    'SUBSTRING(s, i, j)',
    'SUBSTRING(s, i)',
    'SUBSTR(s, j, i)',
    'LEFT(s, i)',
    'RIGHT(s, i)',
    'TRIM(s)',
    'LTRIM(s)',
    'RTRIM(s)',
  ],
  ...[
    "TRIM(s, 'aé😀')",
    "LTRIM(s, 'ab ')",
    "RTRIM(s, '😀ß')",
    'REPLACE(s, u, v)',
    "REPLACE(s, 'a', u)",
    "REPLACE(s, 'ab', '')",
  ],
  ...[
    'STARTS_WITH(s, u)',
    'ENDS_WITH(s, u)',
    'CONTAINS(s, u)',
    'STRPOS(s, u)',
    'LPAD(s, i, u)',
    'RPAD(s, i, u)',
    'REPEAT(s, i)',
  ],
  ...[
    'SPLIT_PART(s, u, i)',
    "SPLIT_PART(s, 'a', i)",
    "s LIKE 'a%'",
    "s LIKE '%a%b%'",
    "s LIKE '_%é'",
    "s NOT LIKE '%'",
    "s LIKE ''",
  ],
  ...["s LIKE '!%a!_%' ESCAPE '!'", "s LIKE '%😀_' ESCAPE 'a'", "s ILIKE '%A_'", "s LIKE '%a_b'", "s LIKE '__'"],
  ...[
    "s LIKE '%%a' ESCAPE '%'",
    's < u',
    's = u',
    'GREATEST(s, u, v)',
    'LEAST(s, u)',
    'NULLIF(s, u)',
    'IF(b, s, u)',
    'IFNULL(s, u)',
  ],
  ...['CAST(i AS VARCHAR)', 'CAST(b AS VARCHAR)', 'CAST(t AS VARCHAR)', 'CAST(s AS BIGINT)', 'CAST(s AS BOOLEAN)'],
  ...[
    'JARO_WINKLER_SIMILARITY(s, u)',
    'CAST(s AS DOUBLE)',
    "STRPTIME(s, '%Y-%m-%d')",
    "TRY_STRPTIME(CAST(i AS VARCHAR), '%d')",
  ],
  ...['CAST(s AS TIMESTAMP)', 'CAST(CAST(i AS VARCHAR) AS BIGINT)', 'CAST(CAST(t AS VARCHAR) AS TIMESTAMP)'],
  ...[
    "REGEXP_MATCHES(s, '^[ab]+|é$')",
    "REGEXP_MATCHES(s, 'ß|k', 'i')",
    "s !~ '[^a-z]{2}'",
    "REGEXP_FULL_MATCH(s, '.*a.*', 's')",
    "s SIMILAR TO '(\\w|\\s)+'",
    "REGEXP_EXTRACT(s, '([a-z]+)[^a-z]+([a-z]+)', 2)",
    "REGEXP_EXTRACT(s, '[^ -~]+')",
    "REGEXP_REPLACE(s, '(a)(b?)', '<\\2\\1>')",
    "REGEXP_REPLACE(s, 'b*', '-', 'g')",
    "REGEXP_REPLACE(UPPER(s), '[aé]+', '', 'gi')",
  ],
  ...['LOWER(REVERSE(UPPER(s)))', 'REPLACE(UPPER(s), UPPER(u), LOWER(v))', 'LENGTH(CONCAT(s, u)) - LENGTH(s)'],
];

const TIMES = [
  ...FIELDS.map(field => `EXTRACT(${field} FROM t)`),
  ...PARTS.map(part => `DATE_TRUNC('${part}', t)`),
  ...PARTS.map(part => `DATE_DIFF('${part}', t, r)`),
  ...PARTS.slice(0, 7).map(part => `DATE_SUB('${part}', t, r)`),
  ...[
    't - r',
    't + INTERVAL 5 MINUTE',
    "t - INTERVAL '1 day 12 hours'",
    't + INTERVAL (i) DAY',
    't + INTERVAL (j) MONTH',
  ],
  ...[
    "t + INTERVAL '1 month'",
    "t - INTERVAL '1 year 1 month 3 days'",
    't + INTERVAL (j) SECOND',
    'INTERVAL 1 WEEK + t',
  ],
  ...[
    'EPOCH_MS(t)',
    'EPOCH_US(t)',
    'EPOCH(t)',
    'EPOCH_MS(i)',
    'TO_TIMESTAMP(i)',
    'MAKE_TIMESTAMP(i)',
    'YEAR(t)',
    'DAYOFYEAR(t)',
  ],
  ...["STRFTIME(t, '%a %d %b %Y %I:%M:%S.%f %p %j %V %G')", "STRPTIME(STRFTIME(t, '%c'), '%c')"],
  ...[
    "t BETWEEN '1999-12-31' AND r",
    'GREATEST(t, r)',
    'LEAST(t, r)',
    "COALESCE(t, '2001-01-01')",
    "t = TIMESTAMP '2000-02-29'",
  ],
];

const NUMBERS = [
  ...[
    'ABS(i)',
    'ABS(x)',
    'SIGN(i)',
    'SIGN(x)',
    'ROUND(x)',
    'ROUND(i)',
    'FLOOR(x)',
    'CEIL(x)',
    'TRUNC(x)',
    'FLOOR(i)',
    'SQRT(x)',
  ],
  ...[
    'SQRT(i)',
    'MOD(i, j)',
    'i // j',
    'i % j // 3',
    'i & j',
    'i | j',
    'XOR(i, j)',
    '~i',
    'i << j',
    'i >> j',
    '5 << 3',
  ],
  ...[-18, -5, -1, 0, 1, 2, 18].flatMap(digits => [`ROUND(x, ${digits})`, `ROUND(i, ${digits})`]),
  ...['GREATEST(x, y)', 'LEAST(x, y)', 'GREATEST(i, x)', 'LEAST(i, j, 0)', 'GREATEST(b, FALSE)', 'CAST(i AS BOOLEAN)'],
  ...['CAST(x AS BOOLEAN)', 'NULLIF(i, j)', 'IF(b, i, x)', 'NVL(i, 0)'],
];

const LISTS = [
  ...[
    'l[1]',
    'l[-1]',
    'COALESCE(l[0], 7)',
    'l[i]',
    'COALESCE(l[NULL], 7)',
    'd[2]',
    'w[i]',
    'q[1]',
    'g[2][1]',
    'g[-1][i]',
    'LIST_EXTRACT(l, 3)',
  ],
  ...['m.name', 'm.hours', "m['name']", 'm.legs[1]', 'c[1].name', 'c[-1].legs[-1]', 'c[i].hours', '(c[2]).name'],
  ...['LEN(l)', 'LENGTH(w)', 'ARRAY_LENGTH(g)', 'CARDINALITY(c)', 'LIST_COUNT(l)', 'LIST_COUNT(g)', 'LEN(m.legs)'],
  ...[
    'LIST_CONTAINS(l, i)',
    'LIST_CONTAINS(d, x)',
    'LIST_CONTAINS(d, i)',
    'LIST_CONTAINS(w, s)',
    'LIST_CONTAINS(q, t)',
  ],
  ...['LIST_POSITION(l, i)', 'LIST_POSITION(d, x)', 'LIST_POSITION(w, s)', 'LIST_POSITION(l, NULL)', 'CONTAINS(w, u)'],
  ...['LIST_MIN(l)', 'LIST_MAX(l)', 'LIST_MIN(d)', 'LIST_MAX(d)', 'LIST_MIN(w)', 'LIST_MAX(w)', 'LIST_MAX(q)'],
  ...['LIST_SUM(l)', 'LIST_SUM(d)', 'LIST_AVG(l)', 'LIST_AVG(d)', 'LIST_SUM(g[1])', 'LIST_SUM(c[1].legs)'],
  ...[
    'l IS NULL',
    'm IS NOT NULL',
    'COALESCE(l, [1, 2])',
    'IF(b, l, g[1])',
    'CASE WHEN b THEN m ELSE c[1] END',
    'g[1]',
  ],
  ...[
    'LIST_CONTAINS([1, 2, NULL], i)',
    "['a', 'b', NULL][i]",
    '[0.5, 1][1]',
    'LIST_SUM([1, 2.5])',
    'COALESCE(c[1], m).name',
  ],
];

/** One, two, three and four bytes; letters that grow when they change case, and some that have none. */
const ALPHABET = [...'aabbAB  %_!,019-é\u00a0ßİıǅȺſKσςΣ\u0301\u3000ﬁẞ😀𐐀𐐨\u{10ffff}'];
const SPELLINGS = [
  ...[
    '0',
    '-0',
    '+7',
    ' 42 ',
    '9223372036854775807',
    '-9223372036854775808',
    '9223372036854775808',
    '-9223372036854775809',
  ],
  ...[
    '-',
    '+',
    ' ',
    '1 2',
    '--1',
    '00000000000000000000000012',
    '1e3',
    '0x1f',
    '1_0',
    '\t\n12\r',
    '12\u00a0',
    'true',
    'FALSE',
  ],
  ...[
    'T',
    'yes',
    'No',
    'y',
    'tru',
    'truee',
    'on',
    '\u0010',
    '\u0011',
    'ye\u0053',
    '2001-02-29',
    '2000-02-29',
    '2001-02-03T04:05:06Z',
  ],
  ...[
    '2001-02-03 04:05:06.1234567+02:00',
    '2001-02-03T04:05',
    '0000-01-01',
    '9999-12-31T23:59:59.999999999Z',
    '2001-2-3',
  ],
];
const INTS = [
  0n,
  1n,
  -1n,
  2n,
  -2n,
  3n,
  5n,
  -7n,
  15n,
  25n,
  63n,
  64n,
  2n ** 62n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  -(2n ** 63n) + 1n,
];
const DOUBLES = [
  0,
  -0,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  0.49999999999999994,
  2.675,
  1e15 + 0.5,
  2 ** 52 + 1,
  1e300,
  -1e308,
  5e-324,
];
const ODD = [Number.NaN, Infinity, -Infinity];
const TIME_MIN = -62_167_219_200_000_000n;
const TIME_MAX = 253_402_300_799_999_999n;
const MOMENTS = [0n, -1n, 1n, TIME_MIN, TIME_MAX, 951_782_400_000_000n, 946_684_799_999_999n, 980_899_200_000_000n];

function text(rng: Random): string {
  if (rng.chance(0.15)) return rng.pick(SPELLINGS);
  return Array.from({ length: rng.below(rng.chance(0.1) ? 60 : 6) }, () => rng.pick(ALPHABET)).join('');
}

function randomValue(type: Type, rng: Random): Value {
  if (rng.chance(0.1)) return null;
  switch (type.kind) {
    case 'string':
      return text(rng);
    case 'bool':
      return rng.chance(0.5);
    case 'double':
      if (rng.chance(0.1)) return rng.pick(ODD);
      return rng.chance(0.4) ? rng.pick(DOUBLES) : (rng.next() - 0.5) * 10 ** (rng.below(40) - 10);
    case 'list': {
      const values = Array.from({ length: rng.below(5) }, () => randomValue(type.of.type, rng));
      // Equal elements too, and what is looked for.
      return rng.chance(0.5) ? values : values.flatMap(value => [value, ...values.slice(0, 1)]);
    }
    case 'struct':
      return Object.fromEntries(type.fields.map(field => [field.name, randomValue(field.type, rng)]));
    case 'time':
      if (rng.chance(0.2)) return rng.pick(MOMENTS);
      if (rng.chance(0.5)) return TIME_MIN + (BigInt(rng.below(2 ** 30)) * (TIME_MAX - TIME_MIN)) / 2n ** 30n;
      return timeNear((BigInt(rng.below(2 ** 31) - 2 ** 30) * 86_400_000_000n) / BigInt(1 + rng.below(100_000)));
    default:
      if (rng.chance(0.3)) return rng.pick(INTS);
      return rng.chance(0.6)
        ? BigInt(rng.below(24) - 8)
        : BigInt.asIntN(64, BigInt(rng.below(2 ** 32)) * BigInt(rng.below(2 ** 32)));
  }
}

function randomRows(seed: number, count: number): Row[] {
  const rng = new Random(seed);
  return Array.from({ length: count }, () =>
    Object.fromEntries(Object.entries(COLUMNS).map(([name, type]) => [name, randomValue(type, rng)])),
  );
}

const SEED = 20_011_103;
const ROWS = 1500;

describe.each([
  ['texts', TEXTS],
  ['times', TIMES],
  ['numbers', NUMBERS],
  ['lists', LISTS],
])('kernel = oracle over random rows: %s', (_, list) => {
  // One program for all of them, as in a plan: they share what they have in common.
  test(`seed ${SEED}`, async () => {
    const kernel = await loadKernel();
    const expressions = await Promise.all(list.map(sql => compile(sql, COLUMNS)));
    const rows = randomRows(SEED, ROWS);
    const found = evaluateAll(kernel, expressions, COLUMNS, rows);
    for (const [i, expression] of expressions.entries()) {
      let known = 0;
      for (const [at, row] of rows.entries()) {
        const wanted = evaluate(expression, { column: name => row[name]!, read: NO_READS });
        const got = found[i]![at]!;
        if (got !== null) known++;
        if (!Object.is(got, wanted) && !(typeof got === 'object' && Bun.deepEquals(got, wanted)))
          throw new Error(
            `${list[i]} of row ${at} ${Bun.inspect(row)}: ${Bun.inspect(got)}, not ${Bun.inspect(wanted)}`,
          );
      }
      // A column of nulls would show nothing.
      if (known < ROWS / 100) throw new Error(`${list[i]} is null in all rows but ${known}`);
    }
  });
});

/** No column holds others than these. */
function timeNear(micros: bigint): bigint {
  return micros < TIME_MIN ? TIME_MIN : micros > TIME_MAX ? TIME_MAX : micros;
}

/** The expression with some of its columns replaced by other expressions of their types. */
function graft(expression: Expression, others: Expression[], depth: number, rng: Random): Expression {
  switch (expression.kind) {
    case 'column': {
      if (depth === 0 || rng.chance(0.3)) return expression;
      const fitting = others.filter(other => Bun.deepEquals(other.type, expression.type));
      return fitting.length === 0 ? expression : graft(rng.pick(fitting), others, depth - 1, rng);
    }
    case 'call':
      return { ...expression, args: expression.args.map(arg => graft(arg, others, depth, rng)) };
    case 'field':
      return { ...expression, of: graft(expression.of, others, depth, rng) };
    case 'index':
      return {
        ...expression,
        of: graft(expression.of, others, depth, rng),
        by: graft(expression.by, others, depth, rng),
      };
    default:
      return expression;
  }
}

/** In the long run, seeds go on where the short one ends. */
const GRAFT_SEEDS = seeds(2, 300);

test.each(GRAFT_SEEDS)('functions of functions = oracle, over rows cut anywhere, seed %p', async seed => {
  const rng = new Random(seed);
  const all = await Promise.all([...TEXTS, ...TIMES, ...NUMBERS, ...LISTS].map(sql => compile(sql, COLUMNS)));
  const expressions = Array.from({ length: 150 }, () => graft(rng.pick(all), all, 1 + rng.below(3), rng));
  const kernel = await loadKernel();
  const rows = randomRows(seed, 120);
  const cut = rng.below(rows.length);
  const parts = [rows.slice(0, cut), rows.slice(cut)].map(part => evaluateAll(kernel, expressions, COLUMNS, part));
  for (const [i, expression] of expressions.entries())
    for (const [at, row] of rows.entries()) {
      const wanted = evaluate(expression, { column: name => row[name]!, read: NO_READS });
      const got = at < cut ? parts[0]![i]![at]! : parts[1]![i]![at - cut]!;
      if (Object.is(got, wanted) || (typeof got === 'object' && Bun.deepEquals(got, wanted))) continue;
      const found = `${Bun.inspect(got)}, not ${Bun.inspect(wanted)} of ${Bun.inspect(row)}`;
      throw new Error(`seed ${seed}, expression ${i}: ${found}: ${Bun.inspect(expression, { depth: 20 })}`);
    }
});

test('every function is in one of the lists', () => {
  const all = [...TEXTS, ...TIMES, ...NUMBERS, ...LISTS].join('\n');
  const missing = FUNCTIONS.filter(({ names }) => !names.some(name => all.includes(name)));
  expect(missing.map(({ names }) => names[0])).toEqual([]);
});

test('times beyond the years 0000 to 9999 are spelled with a sign', async () => {
  const kernel = await loadKernel();
  const expression = await compile('CAST(t AS VARCHAR)', COLUMNS);
  const moments = [TIME_MIN - 1n, TIME_MAX + 1n, -8_640_000_000_000_000_000n, 8_640_000_000_000_000_000n];
  const rows = moments.map(t => ({ ...randomRows(1, 1)[0], t }));
  expect(evaluateAll(kernel, [expression], COLUMNS, rows)[0]).toEqual([
    ...[
      '-000001-12-31T23:59:59.999999Z',
      '+010000-01-01T00:00:00Z',
      '-271821-04-20T00:00:00Z',
      '+275760-09-13T00:00:00Z',
    ],
  ]);
});

describe('long texts', () => {
  const S = { s: STRING, u: STRING, i: INT64 };
  const of = async (sql: string, rows: Row[]) =>
    evaluateAll(await loadKernel(), [await compile(sql, S)], S, rows)[0]!.map(
      value => (value as string | null)?.length ?? null,
    );
  const row = (s: string, u = '', i = 0n): Row => ({ s, u, i });

  test('a text that is made has at most 16 KiB, or as much as its longest argument', async () => {
    const half = 'x'.repeat(8192);
    const long = 'x'.repeat(200_000);
    expect(await of('s || u', [row(half, half), row(half, `${half}y`), row(long, ''), row(long, 'y')])).toEqual([
      ...[16384, null, 200_000, null],
    ]);
    expect(await of('REPEAT(s, i)', [row('ab', '', 8192n), row('ab', '', 8193n), row(long, '', 1n)])).toEqual([
      ...[16384, null, 200_000],
    ]);
    expect(await of('LPAD(s, i, u)', [row('', 'é', 8192n), row('', 'é', 8193n), row(long, 'y', 200_001n)])).toEqual([
      ...[8192, null, null],
    ]);
    expect(
      await of("REPLACE(s, 'x', u)", [row(half, 'yz'), row(half, 'yzz'), row(long, 'y'), row(long, 'yz')]),
    ).toEqual([...[16384, null, 200_000, null]]);
    expect(await of('UPPER(REVERSE(s))', [row(long), row('ȿ'.repeat(50_000))])).toEqual([200_000, 50_000]);
  });

  test('memory does not grow from batch to batch', async () => {
    const kernel = await loadKernel();
    const expressions = [await compile('UPPER(s) || LPAD(s, 4000, u)', S), await compile('REVERSE(s)', S)];
    const rows = (seed: number) =>
      Array.from({ length: 64 }, (_, i) => row('é'.repeat(1 + ((i * 37 + seed) % 3000)), 'ab'));
    const columns = Object.keys(S);
    const lowering = new Lowering(columns.length, e =>
      columns.findIndex(name => e.kind === 'column' && e.name === name),
    );
    for (const expression of expressions) lowering.lower(expression);
    const { exports } = kernel;
    const frame = exports.answerFrame(exports.addAnswer(1, lowering.registerCount, 0, 0)) >>> 0;
    const program = lowering.load(kernel, frame)!;
    const sizes = Array.from({ length: 40 }, (_, batch) => {
      const texts = rows(batch % 10).flatMap((one, i) =>
        columns.flatMap((name, register) => setCell(kernel, frame, register, i, S[name as 's'], one[name]!)),
      );
      exports.runProgram(program, frame, 0, 64);
      for (const [block, length] of texts) exports.release(block, length);
      return exports.memory.buffer.byteLength;
    });
    // The same ten batches again and again: what they took in the end is enough for ever.
    expect(sizes.at(-1)).toBe(sizes[19]!);
    exports.runProgram(program, frame, 0, 0);
    expect(exports.memoryInUse()).toBeLessThan(4 << 20);
  });

  // Searched for by comparing at every place it would take minutes.
  test('what repeats itself takes no more time than its length', async () => {
    const a = 'a'.repeat(400_000);
    const needle = `${'a'.repeat(200_000)}b`;
    const sum = 'LENGTH(REPLACE(s, u, u)) + STRPOS(s, u) + LENGTH(SPLIT_PART(s, u, 1))';
    expect(await of(`CAST(${sum} = 800000 AS VARCHAR)`, [row(a, needle)])).toEqual(['true'.length]);
    expect(await of("CAST(s LIKE '%a%a%a%a%a%a%b' AS VARCHAR)", [row(a)])).toEqual(['false'.length]);
  }, 5_000);
});
