/** Functions of SQL whose meaning is DuckDB's: the kernel's values are DuckDB's over random rows. */
import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
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
import { Random } from '../sim/random.ts';
import { compile, evaluateAll, type Row } from '../kernel/evaluate.ts';

function listOf(type: Type): Type {
  return { kind: 'list', of: { type, presence: OPTIONAL } };
}

function fieldOf(name: string, type: Type): Field {
  return { name, path: [name], type, presence: OPTIONAL };
}

const MEMBER: Type = {
  kind: 'struct',
  name: 'member',
  fields: [fieldOf('name', STRING), fieldOf('legs', listOf(INT64))],
};

const COLUMNS = {
  s: STRING,
  u: STRING,
  v: STRING,
  n: STRING,
  e: STRING,
  f: STRING,
  h: STRING,
  p: STRING,
  i: INT64,
  j: INT64,
  k: INT64,
  x: DOUBLE,
  y: DOUBLE,
  b: BOOL,
  t: TIME,
  r: TIME,
  l: listOf(INT64),
  d: listOf(DOUBLE),
  w: listOf(STRING),
  g: listOf(listOf(INT64)),
  m: MEMBER,
  c: listOf(MEMBER),
};
const THEIRS: Record<string, string> = {
  string: 'VARCHAR',
  int64: 'BIGINT',
  double: 'DOUBLE',
  bool: 'BOOLEAN',
  time: 'TIMESTAMP',
};

/**
 * Ours, and DuckDB's where it is written otherwise there: where we give null for what is infinite, NaN or an error
 * there, count weeks from Monday, and round milliseconds down. Other differences are deliberate too, and kept out: the
 * case of ß and İ, REVERSE of combining marks, CAST of texts like `1e3` `+-1`, and of times with an offset, times as texts,
 * and the types of FLOOR and CEIL of integers. `k` is small, `n` spells a number or nothing, `h` a double, `p` a part of a time;
 * `e` and `f` are of ASCII, for how alike texts are goes by bytes there.
 */
const LIST: (string | string[])[] = [
  ...[
    'LOWER(s)',
    'UPPER(s)',
    'LENGTH(s)',
    'STRLEN(s)',
    'REVERSE(s)',
    'CONCAT(s, u, i, b)',
    's || u || i',
    'TRIM(s)',
    'LTRIM(s)',
  ],
  ...[
    'SUBSTRING(s, k, i % 5)',
    'SUBSTRING(s, k)',
    'SUBSTRING(s FROM k FOR k)',
    'LEFT(s, k)',
    'RIGHT(s, k)',
    'RTRIM(s)',
  ],
  ...[
    "TRIM(s, 'aé😀')",
    "LTRIM(s, 'ab ')",
    "RTRIM(s, '😀')",
    "TRIM(LEADING 'a' FROM s)",
    'REPLACE(s, u, v)',
    "REPLACE(s, 'a', u)",
  ],
  ...[
    'STARTS_WITH(s, u)',
    'ENDS_WITH(s, u)',
    'CONTAINS(s, u)',
    'STRPOS(s, u)',
    'POSITION(u IN s)',
    ['LPAD(s, k, u)', 'lpad(s, k::INT, u)'],
    ['RPAD(s, k, v)', 'rpad(s, k::INT, v)'],
  ],
  ...[
    'REPEAT(s, k)',
    'SPLIT_PART(s, u, k)',
    "SPLIT_PART(s, 'a', k)",
    "s LIKE 'a%'",
    "s LIKE '%a%b%'",
    "s LIKE '_%é'",
    "s NOT LIKE '%'",
  ],
  ...[
    "s LIKE '!%a!_%' ESCAPE '!'",
    "s ILIKE '%A_'",
    "s LIKE '%a_b'",
    "s LIKE '__'",
    "s LIKE ''",
    's < u',
    's >= u',
    'GREATEST(s, u)',
  ],
  ...['LEAST(s, u, v)', 'CAST(i AS VARCHAR)', 'CAST(b AS VARCHAR)', 'TRY_CAST(n AS BIGINT)', 'TRY_CAST(s AS BOOLEAN)'],

  ...'year quarter month week day dow isodow doy isoyear hour minute second millisecond microsecond epoch'
    .split(' ')
    .map(part => `EXTRACT(${part} FROM t)`),
  ...'year quarter month week day hour minute second millisecond microsecond'
    .split(' ')
    .map(part => `DATE_TRUNC('${part}', t)`),
  ...'year quarter month day hour minute second millisecond microsecond'
    .split(' ')
    .map(part => `DATE_DIFF('${part}', t, r)`),
  ["DATE_DIFF('week', t, r)", "(epoch_us(date_trunc('week', r)) - epoch_us(date_trunc('week', t))) // 604800000000"],
  ...'week day hour minute second millisecond microsecond'.split(' ').map(part => `DATE_SUB('${part}', t, r)`),
  ...[
    'EPOCH(t)',

    'EPOCH_US(t)',
    't + INTERVAL 5 MINUTE',
    "t - INTERVAL '1 day 12 hours'",
    't + INTERVAL (k) DAY',
  ],
  ...[
    't + INTERVAL (k) MONTH',
    "t - INTERVAL '1 year 1 month 3 days'",
    't < r',
    'DAYOFYEAR(t)',
    'WEEKOFYEAR(t)',
    'HOUR(t)',
  ],
  ...["t BETWEEN '2000-01-01' AND r", 'GREATEST(t, r)'],
  ...'aAbBhYymdjHIpMSgfwuUWVGxXcTz'.split('').map(name => `STRFTIME(t, '<%${name}> 100%%')`),
  ...'ymdjHIMS'.split('').map(name => `STRFTIME(t, '%-${name}')`),
  ...['%Y-%m-%d %H:%M:%S.%f', '%d/%b/%y:%I%p:%M', '%A, %-d %B %Y %T', '%j %Y %H', '%a%Y%m%d%H%M%S%g'].map(
    format => `TRY_STRPTIME(STRFTIME(t, '${format}'), '${format}')`,
  ),
  ...['%Y-%m-%d', '%d', '%H:%M', '%y%m%d', ' %d  %m', '%b %d', '%I %p', '%S.%f', 'x%d'].map(
    format => `TRY_STRPTIME(p, '${format}')`,
  ),
  // There a product and a sum may be one operation, rounded once, as the processor has it.
  'ROUND(JARO_WINKLER_SIMILARITY(e, f), 12)',
  ['CAST(h AS DOUBLE)', 'TRY_CAST(h AS DOUBLE)'],
  ['EPOCH_MS(t)', 'epoch_us(t) // 1000'],
  ['SQRT(x)', 'CASE WHEN x >= 0 THEN sqrt(x) END'],
  ['i % k', 'CASE WHEN k = -1 AND i IS NOT NULL THEN 0 ELSE i % k END'],
  ['k / j', 'k / nullif(j, 0)'],
  ['t - r', 'epoch_us(t) - epoch_us(r)'],
  ['MAKE_TIMESTAMP(k)', 'make_timestamp(k)'],
  ['EPOCH_MS(k)', 'epoch_ms(k)'],

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

    'SQRT(ABS(k))',
  ],
  ...[
    'ROUND(x, 2)',
    'ROUND(x, 5)',
    'ROUND(x, -2)',
    'ROUND(k, -1)',
    'MOD(k, j)',

    'i // k',
    'i // j',
    'i & j',
    'i | j',
    'XOR(i, j)',
    '~i',
  ],
  ...[
    'k << 3',
    'j << k',
    'i >> k',
    'GREATEST(x, y)',
    'LEAST(x, y)',
    'GREATEST(i, j, k)',
    'NULLIF(i, j)',
    'IF(b, i, j)',
    'IFNULL(i, j)',
  ],
  ...[
    'CAST(i AS BOOLEAN)',
    'CAST(x AS BIGINT)',
    'i + j',
    'i * j',
    'i - j',

    'COALESCE(i, k, 0)',
    'x > y',
    'CASE WHEN b THEN s ELSE u END',
  ],

  ...[
    'l[1]',
    'l[-1]',
    'l[0]',
    'l[k]',
    'd[2]',
    'w[k]',
    'g[2]',
    'g[k][1]',
    'g[-1]',
    'LIST_EXTRACT(l, k)',
    'LIST_ELEMENT(l, 2)',
  ],
  ...[
    'm.name',
    "m['name']",
    'm.legs',
    'm.legs[k]',
    'c[1].name',
    'c[-1].legs[-1]',
    'c[k]',
    'c[1]',
    'ARRAY_EXTRACT(l, 1)',
  ],
  ...['LEN(l)', 'LENGTH(w)', 'ARRAY_LENGTH(g)', 'LEN(c)', 'LIST_COUNT(l)', 'LIST_COUNT(g)', 'LEN(m.legs)'],
  ...['LIST_CONTAINS(l, k)', 'LIST_CONTAINS(d, x)', 'LIST_CONTAINS(d, k)', 'LIST_CONTAINS(w, s)', 'LIST_HAS(w, u)'],
  ...['ARRAY_CONTAINS(l, k)', 'ARRAY_HAS(l, k)', 'CONTAINS(w, u)', 'LIST_CONTAINS([1, NULL, 3], k)', '[4, 5, NULL][k]'],
  ...[
    'LIST_POSITION(l, k)',
    'LIST_POSITION(d, x)',
    'LIST_POSITION(w, u)',
    'LIST_INDEXOF(l, NULL)',
    'ARRAY_POSITION(w, s)',
  ],
  ...['LIST_MIN(l)', 'LIST_MAX(l)', 'LIST_MIN(d)', 'LIST_MAX(d)', 'LIST_MIN(w)', 'LIST_MAX(w)', 'LIST_MAX(g[1])'],
  ...['l IS NULL', 'm IS NOT NULL', 'COALESCE(l, [1, 2])', 'IF(b, l, g[1])', 'CASE WHEN b THEN m ELSE c[1] END'],
  // There it is a HUGEINT; and doubles are summed as they come, ours are dyadic and small.
  ['LIST_SUM(l)', 'TRY_CAST(list_sum(l) AS BIGINT)'],
  ...['LIST_SUM(d)', 'LIST_AVG(d)'],
  'IF(LIST_SUM(l) BETWEEN -1000 AND 1000, LIST_AVG(l), NULL)',
];

const ALPHABET = [...'aaabbAB  %_!,019-é\u00a0ıǅȺKσςΣ\u3000ﬁ😀𐐀𐐨'];
/** What texts of some columns are made of. */
const ATOMS: Record<string, string[]> = {
  e: [...'aaabbcd '],
  f: [...'aaabbcd '],
  h: [...'0123456789.e-+ ', '12'],
  p: [...'0123456789-: .x', '2001', 'Feb', 'pm'],
};
const SPELLED = [
  '0',
  '-0',
  '+7',
  ' 42 ',
  '007',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '-',
  '',
  'x',
  '1 2',
];
const BOOLS = ['true', 'FALSE', 'T', 'yes', 'No', 'y', 'tru', 'on', '1', '0', ' true'];
const INTS = [0n, 1n, -1n, 2n ** 62n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n) + 1n];

function randomValue(name: string, type: Type, rng: Random): Value {
  if (rng.chance(0.08)) return null;
  const isElement = name === 'e' && type.kind === 'int64';
  if (isElement && rng.chance(0.02)) return rng.pick(INTS);
  if (name === 'k' || isElement) return BigInt(rng.below(24) - 8);
  if (name === 'n')
    return rng.chance(0.5) ? rng.pick(SPELLED) : String(BigInt(rng.below(2 ** 32)) * BigInt(rng.below(2 ** 31)));
  if (ATOMS[name] && type.kind === 'string') {
    const length = rng.below(rng.chance(0.03) ? 70 : 9);
    return Array.from({ length }, () => rng.pick(ATOMS[name]!))
      .join('')
      .replaceAll('+-', '');
  }
  switch (type.kind) {
    case 'list':
      return Array.from({ length: rng.below(5) }, () => randomValue(name === 'd' ? 'd' : 'e', type.of.type, rng));
    case 'struct':
      return Object.fromEntries(type.fields.map(field => [field.name, randomValue('e', field.type, rng)]));
    case 'string':
      if (name === 's' && rng.chance(0.1)) return rng.pick(BOOLS);
      return Array.from({ length: rng.below(name === 's' ? 9 : 3) }, () => rng.pick(ALPHABET)).join('');
    case 'bool':
      return rng.chance(0.5);
    case 'double':
      if (name === 'd') return (rng.below(4001) - 2000) / 8;
      return rng.chance(0.4) ? (rng.below(4001) - 2000) / 8 : (rng.next() - 0.5) * 10 ** (rng.below(30) - 8);
    case 'time':
      // Years 1970 to 2250.
      return BigInt(rng.below(2 ** 32)) * BigInt(rng.below(2_000_000)) + BigInt(rng.below(1_000_000));
    default:
      return rng.chance(0.2)
        ? rng.pick(INTS)
        : BigInt.asIntN(64, BigInt(rng.below(2 ** 32)) * BigInt(rng.below(2 ** 32)));
  }
}

/** A double as Python's float.fromhex reads it. */
function hex(real: number): string {
  const bits = new BigUint64Array(Float64Array.of(real).buffer)[0]!;
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = (bits & (2n ** 52n - 1n)).toString(16).padStart(13, '0');
  return `${bits >> 63n ? '-' : ''}0x${exponent === 0 ? 0 : 1}.${fraction}p${exponent === 0 ? -1022 : exponent - 1023}`;
}

function fromHex(text: string): number {
  const [, sign, whole, fraction = '', exponent] = /^(-?)0x(\d)(?:\.([0-9a-f]+))?p([+-]\d+)$/.exec(text) ?? [];
  if (whole === undefined) return { nan: Number.NaN, inf: Infinity, '-inf': -Infinity }[text]!;
  const scaled = Number(BigInt(`0x${whole}${fraction}`)) * 2 ** -(4 * fraction.length);
  // In two steps, for the power of a subnormal is none of its own.
  const half = Math.trunc(Number(exponent) / 2);
  return (sign === '-' ? -1 : 1) * scaled * 2 ** half * 2 ** (Number(exponent) - half);
}

function sent(value: Value, type: Type): unknown {
  if (value !== null && type.kind === 'list') return (value as Value[]).map(one => sent(one, type.of.type));
  if (value !== null && type.kind === 'struct')
    return Object.fromEntries(
      type.fields.map(field => [field.name, sent((value as { [name: string]: Value })[field.name]!, field.type)]),
    );
  if (value === null || type.kind === 'string' || type.kind === 'bool') return value;
  return type.kind === 'double' ? hex(value as number) : String(value);
}

type Received = null | boolean | string | Received[] | { [name: string]: Received };

function theirType(type: Type): string {
  if (type.kind === 'list') return `${theirType(type.of.type)}[]`;
  if (type.kind !== 'struct') return THEIRS[type.kind]!;
  return `STRUCT(${type.fields.map(field => `${field.name} ${theirType(field.type)}`).join(', ')})`;
}

function received(value: Received, type: Type): Value {
  if (Array.isArray(value) && type.kind === 'list') return value.map(one => received(one, type.of.type));
  if (value !== null && typeof value === 'object' && !Array.isArray(value) && type.kind === 'struct')
    return Object.fromEntries(type.fields.map(field => [field.name, received(value[field.name]!, field.type)]));
  if (typeof value !== 'string' || type.kind === 'string') return value as Value;
  return type.kind === 'double' ? fromHex(value) : BigInt(value);
}

/** 0 and -0 are one number: which of the two equal ones GREATEST gives is nobody's business. */
function isSame(a: Value, b: Value): boolean {
  if (typeof a === 'object' && a !== null) return Bun.deepEquals(a, b);
  return Object.is(a, b) || (a === 0 && b === 0);
}

const SEED = 20_011_104;
const ROWS = 4000;
const python = pythonOrSkip('functions = DuckDB');

test.skipIf(python === null)(`kernel = DuckDB over ${ROWS} rows, seed ${SEED}`, async () => {
  const rng = new Random(SEED);
  const columns = Object.entries(COLUMNS);
  const rows: Row[] = Array.from({ length: ROWS }, () =>
    Object.fromEntries(columns.map(([name, type]) => [name, randomValue(name, type, rng)])),
  );
  const asked = {
    columns: Object.fromEntries(columns.map(([name, type]) => [name, theirType(type)])),
    rows: rows.map(row => Object.fromEntries(columns.map(([name, type]) => [name, sent(row[name]!, type)]))),
    sql: LIST.map(one => (typeof one === 'string' ? one : one[1]!)),
  };
  const input = new TextEncoder().encode(JSON.stringify(asked));
  const lines = new TextDecoder()
    .decode(runPython(python!, ['scripts/python/duckdb_functions.py'], input))
    .trim()
    .split('\n');
  expect(lines.length).toBe(LIST.length);

  const kernel = await loadKernel();
  const ours = LIST.map(one => (typeof one === 'string' ? one : one[0]!));
  const expressions = await Promise.all(ours.map(sql => compile(sql, COLUMNS)));
  const found = evaluateAll(kernel, expressions, COLUMNS, rows);
  const wrong: string[] = [];
  for (const [i, { type }] of expressions.entries()) {
    const theirs = (JSON.parse(lines[i]!) as Received[]).map(value => received(value, type));
    const at = theirs.findIndex((value, row) => !isSame(value, found[i]![row]!));
    if (at >= 0)
      wrong.push(
        `${ours[i]} of ${Bun.inspect(rows[at])}: ${Bun.inspect(found[i]![at])}, DuckDB ${Bun.inspect(theirs[at])}`,
      );
  }
  expect(wrong).toEqual([]);
});
