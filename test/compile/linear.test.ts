/** How linear aggregates with more than a value are read: spelling -> plan, or a fault at its place. */
import { describe, expect, test } from 'bun:test';
import { COUNTED_DEFAULT, COUNTED_MAX, HALF_LIVES_KEPT } from '../../src/compile/aggregates.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { expectSetFaults, FLIGHT, planOf, selectOf, setOf, showAggregates } from './marked.ts';

const READ: [sql: string, aggregates: string[]][] = [
  ['COUNT(DISTINCT origin) AS n', ['s:n = countUnique(origin, 1000): int64']],
  [
    'COUNT_DISTINCT(delay, 50) AS a, COUNT(DISTINCT delay) FILTER (WHERE ok) AS b',
    ['s:a = countUnique(delay, 50): int64', 's:b = countUnique(case(ok, delay, null:int64), 1000): int64'],
  ],
  [
    'MODE(origin) AS a, mode(ok, 2) AS b, MODE(landed) AS c',
    ['s:a = mode(origin, 1000): string', 's:b = mode(ok, 2): bool', 's:c = mode(landed, 1000): time'],
  ],
  [
    'TOP_K(origin, 3) AS a, APPROX_TOP_K(delay, 1000, 10000) AS b',
    ['s:a = topK(origin, 1000, 3): [string]', 's:b = topK(delay, 10000, 1000): [int64]'],
  ],
  [
    'HISTOGRAM(ok) AS a, VALUE_COUNTS(LOWER(origin), 9) AS b',
    ['s:a = valueCounts(ok, 1000): map{bool: int64}', 's:b = valueCounts(lower(origin), 9): map{string: int64}'],
  ],
  [
    'BUCKET_COUNTS(delay, [-15, 0, 60]) AS a, BUCKET_COUNTS(delay, [0.5]) AS b',
    [
      's:a = bucketCounts(bucketIndex(delay, [-15, 0, 60]), 4, 4): [int64]',
      's:b = bucketCounts(bucketIndex(delay, [0.5d]), 2, 2): [int64]',
    ],
  ],
  [
    'APPROX_QUANTILE(delay, 0.5) AS a, APPROX_QUANTILE(delay / 2, [0, 1], 0.05) AS b',
    [
      's:a = quantile(sketchBucket(delay, 0.01d), 4096, 0.01, 0, 0.5): double',
      's:b = quantile(sketchBucket(divide(delay, 2), 0.05d), 4096, 0.05, 1, 0, 1): [double]',
    ],
  ],
];

describe('reads', () => {
  test.each(READ)('%s', async (sql, wanted) => {
    expect(showAggregates(await planOf(FLIGHT, setOf(selectOf(sql))))).toEqual(wanted);
  });

  test('what decays', async () => {
    const sql =
      "DECAYED_SUM(delay, '1h') AS a, DECAYED_COUNT(origin, INTERVAL 90 MINUTE) AS b, DECAYED_AVG(delay, '2h') AS c";
    expect(showAggregates(await planOf(FLIGHT, setOf(selectOf(sql))))).toEqual([
      's:a = decayedSum(delay, 3600000, 3600000): double',
      's:b = decayedCount(case(isNull(origin), null:double, 1d), 5400000, 5400000): double',
      's:c$1 = decayedSum(delay, 7200000, 7200000): double',
      's:c$2 = decayedCount(case(isNull(delay), null:double, 1d), 7200000, 7200000): double',
    ]);
  });
});

describe('in other dialects', () => {
  const written = (items: string) => setOf(selectOf(items), 'dialect: mysql\n');

  test('those that mean the same, or that none but ours has', async () => {
    const sql =
      "STDDEV_POP(delay) AS a, COUNT(DISTINCT BINARY origin) AS b, TOP_K(origin, 2) AS c, DECAYED_COUNT(delay, '1h') AS d";
    expect(showAggregates(await planOf(FLIGHT, written(sql)))).toEqual([
      's:a = stddevPop(delay): double',
      's:b = countUnique(origin, 1000): int64',
      's:c = topK(origin, 1000, 2): [string]',
      's:d = decayedCount(case(isNull(delay), null:double, 1d), 3600000, 3600000): double',
    ]);
  });

  test('and not those that mean something else there', async () => {
    await expectSetFaults(written('COUNT(DISTINCT «origin») AS a, COUNT(DISTINCT delay) AS b'), [
      'COUNT of different texts goes by a collation in MySQL, and here by their bytes: write BINARY origin',
    ]);
    await expectSetFaults(written('«STDDEV»(delay) AS a, «APPROX_TOP_K»(delay, 2) AS b'), [
      'STDDEV is not supported in MySQL; docs/functions.md lists those that are',
      'APPROX_TOP_K is not supported in MySQL; docs/functions.md lists those that are',
    ]);
  });
});

const MANY = 'counts a whole number of different values, from 1 to 10000';
const QUANTILE = 'APPROX_QUANTILE takes a number from 0 to 1, or a list of at most 100 such';
const BETWEEN = 'BUCKET_COUNTS counts between boundaries, which are a list of at most 1000 ascending numbers';

const REFUSED: [sql: string, ...messages: string[]][] = [
  ['COUNT_DISTINCT(delay, «0») AS n', `COUNT_DISTINCT ${MANY}, and 0 is none`],
  ['MODE(delay, «10001») AS n', `MODE ${MANY}, and 10001 is none`],
  ['TOP_K(delay, «0») AS n', 'TOP_K gives a whole number of values, from 1 to 1000, and 0 is none'],
  [
    '«TOP_K»(delay) AS n',
    'TOP_K wants two arguments, a value and how many of them to give, or three with how many different values it counts at most, got 1',
  ],
  ['HISTOGRAM(delay, «[1, 2]») AS n', `HISTOGRAM ${MANY}, and [1, 2] is none`],
  ['BUCKET_COUNTS(delay, «[3, 2]») AS n', `${BETWEEN}, and [3, 2] is none`],
  ['BUCKET_COUNTS(delay, «[]») AS n', `${BETWEEN}, and [] is none`],
  ['BUCKET_COUNTS(delay, «5») AS n', `${BETWEEN}, and 5 is none`],
  ["BUCKET_COUNTS(delay, «['a']») AS n", `${BETWEEN}, and ['a'] is none`],
  ['APPROX_QUANTILE(delay, «1.5») AS n', `${QUANTILE}, and 1.5 is none`],
  ['APPROX_QUANTILE(delay, «distance») AS n', `${QUANTILE}, and distance is none`],
  [
    'APPROX_QUANTILE(delay, 0.5, «0») AS n',
    'APPROX_QUANTILE may be off by a part of the value, a number from 0.001 to 0.5, and 0 is none',
  ],
  [
    'APPROX_QUANTILE(«origin», 0.5) AS n',
    'APPROX_QUANTILE wants int64 or double, got string; COUNT, FIRST, LAST and LAST_N take any type; declare the input int64 if it is a number',
  ],
  [
    "DECAYED_SUM(delay, «'soon'») AS n",
    "DECAYED_SUM wants a half-life from 1ms to 36500d, like '1h' or INTERVAL 1 HOUR, and 'soon' is none",
  ],
  [
    'DECAYED_SUM(delay, «INTERVAL 1 MONTH») AS n',
    "DECAYED_SUM wants a half-life from 1ms to 36500d, like '1h' or INTERVAL 1 HOUR, and INTERVAL 1 MONTH is none",
  ],
  [
    "«DECAYED_COUNT(delay, '10m')» AS n",
    'tiles: 1d is longer than 10h40m, and after 64 half-lives of 10m nothing is left; leave it out',
  ],
  [
    'SUM(«DISTINCT» delay) AS n',
    'DISTINCT in an aggregate is not supported: only COUNT, LIST and LAST_N look at each value once',
  ],
  ['COUNT(DISTINCT «*») AS n', '* stands in COUNT(*) only'],
  ['«HISTOGRAM(delay)» + 1 AS n', '+ wants int64 or double, got map{int64: int64}'],
  [
    '«HISTOGRAM(delay)» = 1 AS n',
    '= compares scalars, got map{int64: int64}; it has no elements to take: it is a feature as a whole',
  ],
  ['«HISTOGRAM(delay)»[1] AS n', '[ ] wants a list, got map{int64: int64}'],
  ["HISTOGRAM(origin)[«'a'»] AS n", 'HISTOGRAM(origin) is map{string: int64}, and only structs have fields'],
  ['LEN(«HISTOGRAM(origin)») AS n', 'LEN wants string or list as text, got map{string: int64}'],
  [
    'COUNT(DISTINCT «delay», distance) AS n',
    'rows of several values are not supported: compare them one by one with AND',
  ],
];

describe('refuses', () => {
  test.each(REFUSED)('%s', async (marked, ...messages) => {
    await expectSetFaults(setOf(selectOf(marked)), messages);
  });

  test('a lifetime of what decays', async () => {
    const set = setOf(selectOf("«DECAYED_SUM(delay, '1h')» AS n")).replace('[2h]', '[2h, lifetime]');
    const message =
      'a lifetime of what decays is not kept: after 64 half-lives of 1h nothing is left; write 2d16h under windows';
    await expectSetFaults(set, [message]);
  });
});

test('the numbers that the kernels have too', async () => {
  const { exports } = await loadKernel();
  expect(exports.COUNTS_MAX.value).toBe(COUNTED_MAX);
  expect(exports.HALF_LIVES_KEPT.value).toBe(BigInt(HALF_LIVES_KEPT));
  expect(COUNTED_DEFAULT).toBeLessThanOrEqual(COUNTED_MAX);
});
