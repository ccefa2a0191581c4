/** Costly functions run once for rows with the same arguments: what comes out is what each row by itself would give. */
import { expect, test } from 'bun:test';
import { Op } from '../../src/kernel/expression.ts';
import { type Kernel, loadKernel } from '../../src/kernel/instance.ts';
import { INT64, STRING, TIME } from '../../src/plan/value.ts';
import { Random } from '../sim/random.ts';
import { type Columns, compile, evaluateAll, type Row } from './evaluate.ts';

const SEED = 20240607;
const COLUMNS: Columns = { s: STRING, u: STRING, n: INT64, t: TIME };
const FUNCTIONS = [
  "REPLACE(s, 'a', 'xyz')",
  'REPLACE(s, u, s)',
  'REVERSE(s)',
  "LPAD(s, n, '-+')",
  'RPAD(s, n, u)',
  "SPLIT_PART(s, '-', n)",
  "s LIKE '%a_b%'",
  'CAST(t AS VARCHAR)',
  'TRY_CAST(s AS TIMESTAMP)',
  "REGEXP_MATCHES(s, 'a+b|^-')",
  "REGEXP_EXTRACT(s, '(a+)(b?)', 2)",
  "REGEXP_REPLACE(s, 'a', '[&]')",
  "REGEXP_REPLACE(s, '[ab]+', '\\0\\0', 'g')",
];
/** Below what repetitions are looked for in. */
const FEW_ROWS = 32;

/** `kinds` different values a column: texts that differ in one place only, or are the beginnings of others. */
function rowsOf(random: Random, count: number, kinds: number): Row[] {
  const text = (i: number) =>
    i % 7 === 0 ? `2001-03-0${(i % 9) + 1}` : `${'a-b'.repeat(i % 5)}${i}${'ab'.repeat(i % 3)}`;
  return Array.from({ length: count }, () => ({
    s: random.chance(0.05) ? null : text(random.below(kinds)),
    u: random.chance(0.05) ? null : 'ab-'.slice(0, random.below(4)),
    n: random.chance(0.05) ? null : BigInt(random.below(5)),
    t: random.chance(0.05) ? null : BigInt(random.below(kinds)) * 1_000_003n,
  }));
}

/** The same in batches that are too small to look for repetitions. */
function oneByOne(kernel: Kernel, expressions: Parameters<typeof evaluateAll>[1], rows: Row[]) {
  const found = expressions.map((): unknown[] => []);
  for (let at = 0; at < rows.length; at += FEW_ROWS) {
    const part = evaluateAll(kernel, expressions, COLUMNS, rows.slice(at, at + FEW_ROWS));
    for (const [i, values] of part.entries()) found[i]!.push(...values);
  }
  return found;
}

test.each([1, 3, 40, 700, 100_000])('%d different values', async kinds => {
  const random = new Random(SEED + kinds);
  const expressions = await Promise.all(FUNCTIONS.map(sql => compile(sql, COLUMNS)));
  const rows = rowsOf(random, 3000, kinds);
  const [kernel, other] = [await loadKernel(), await loadKernel()];
  const found = evaluateAll(kernel, expressions, COLUMNS, rows);
  const wanted = oneByOne(other, expressions, rows);
  for (const [i, sql] of FUNCTIONS.entries()) expect([sql, found[i]]).toEqual([sql, wanted[i] as never]);
});

test('what repeats is computed once', async () => {
  const expressions = [await compile("REGEXP_MATCHES(s, 'a+b')", COLUMNS)];
  const rows = (kinds: number, from: number) =>
    Array.from({ length: 3000 }, (_, i) => ({
      s: `${'a'.repeat(20)}${from + (i % kinds)}`,
      u: null,
      n: null,
      t: null,
    }));
  const kernel = await loadKernel();
  const stepsOf = (some: Row[]) => {
    const before = kernel.exports.regexSteps.value;
    evaluateAll(kernel, expressions, COLUMNS, some);
    return Number(kernel.exports.regexSteps.value - before);
  };
  const [distinct, repeated] = [stepsOf(rows(3000, 10_000)), stepsOf(rows(10, 10_000))];
  expect(repeated).toBeLessThan(distinct / 20);
});

/** So many texts that some few pairs of them have one hash of 32 bits. */
const HASHED = 300_000;

/** Two texts of equal length whose hashes are the same as arguments of a function. */
function alike({ exports, put }: Kernel, op: Op): [string, string] {
  const texts = Array.from({ length: HASHED }, (_, i) => `text ${100_000 + i}`);
  const length = texts[0]!.length;
  const block = put(new TextEncoder().encode(texts.join('')));
  const seen = new Map<number, string>();
  for (const [i, text] of texts.entries()) {
    const hash = exports.hashKey(op, block + i * length, length);
    const other = seen.get(hash);
    if (other !== undefined) return [other, text];
    seen.set(hash, text);
  }
  throw new Error(`no two of ${HASHED} texts hash alike`);
}

test('texts whose hashes are the same have their own results', async () => {
  const kernel = await loadKernel();
  const pair = alike(kernel, Op.REVERSE);
  const rows = Array.from({ length: 200 }, (_, i): Row => ({ s: pair[i % 2]!, u: null, n: null, t: null }));
  const [found] = evaluateAll(kernel, [await compile('REVERSE(s)', COLUMNS)], COLUMNS, rows);
  const said = new Set(rows.map(({ s }, i) => `${s}, ${found![i]}`));
  expect([...said]).toEqual(pair.map(s => `${s}, ${[...s].reverse().join('')}`));
});
