import { describe, expect, test } from 'bun:test';
import { expectSetFaults, FLIGHT, planOf, selectOf, setOf, showAggregates } from './marked.ts';

/** How calls are read: spelling -> plan. What they compute is the business of test/kernel/functions.test.ts. */
const READ: [expression: string, shown: string][] = [
  ["LOWER(origin) || '-' || destination", 'concat(lower(origin), "-", destination)'],
  ['origin || delay || ok || landed', 'concat(origin, toText(delay), toText(ok), toText(landed))'],
  ['CONCAT(origin, delay)', 'concat(coalesce(origin, ""), coalesce(toText(delay), ""))'],
  ['SUBSTRING(origin FROM 1 FOR 2)', 'substring(origin, 1, 2)'],
  ['SUBSTR(origin, 2)', 'substring(origin, 2, 9223372036854775807)'],
  ["TRIM(BOTH 'x' FROM origin)", 'trim(origin, "x")'],
  ["TRIM(LEADING 'x' FROM origin)", 'trimStart(origin, "x")'],
  ["TRIM('x' FROM origin)", 'trim(origin, "x")'],
  ["RTRIM(origin, 'x')", 'trimEnd(origin, "x")'],
  ["POSITION('A' IN origin)", 'position(origin, "A")'],
  ["STRPOS(origin, 'A')", 'position(origin, "A")'],
  ["origin LIKE 'A%'", 'like(origin, "A%", "")'],
  ["origin NOT LIKE 'A!%' ESCAPE '!'", 'not(like(origin, "A!%", "!"))'],
  ["NOT origin NOT LIKE 'A'", 'not(not(like(origin, "A", "")))'],
  ["NOT (origin LIKE 'A')", 'not(like(origin, "A", ""))'],
  ["(origin) NOT ILIKE 'a'", 'not(like(lower(origin), lower("a"), ""))'],
  ["origin || 'x' LIKE 'A%' AND ok", 'and(like(concat(origin, "x"), "A%", ""), ok)'],
  ["REGEXP_MATCHES(origin, 'a.', 'is')", 'regexContains(origin, "(?is)a.")'],
  ["origin ~ 'a'", 'regexContains(origin, "a")'],
  ["NOT origin !~* 'a'", 'not(not(regexContains(origin, "(?i)a")))'],
  ["origin NOT SIMILAR TO 'a'", 'not(regexMatches(origin, "a"))'],
  ["REGEXP_FULL_MATCH(origin, 'a.', 'l')", 'regexMatches(origin, "a\\\\.")'],
  ["REGEXP_EXTRACT(origin, '(a)', 1, 'ic')", 'regexExtract(origin, "(a)", 1)'],
  ["REGEXP_EXTRACT(origin, 'a')", 'regexExtract(origin, "a", 0)'],
  ["REGEXP_REPLACE(origin, 'a', 'b')", 'regexReplace(origin, "a", "b")'],
  ["REGEXP_REPLACE(origin, 'a', 'b', 'gi')", 'regexReplaceAll(origin, "(?i)a", "b")'],
  ['delay // 2 * 3 % distance', 'modulo(multiply(quotient(delay, 2), 3), distance)'],
  ["'//' || origin /* // */ || (delay // 7)", 'concat("//", origin, toText(quotient(delay, 7)))'],
  ['delay & 1 | distance << 2', 'bitOr(bitAnd(delay, 1), shiftLeft(distance, 2))'],
  ['~delay >> 1', 'shiftRight(bitNot(delay), 1)'],
  ['EXTRACT(YEAR FROM landed)', 'datePart("year", landed)'],
  ["DATE_PART('minutes', landed)", 'datePart("minute", landed)'],
  ['HOUR(_time)', 'datePart("hour", _time)'],
  ["DATE_TRUNC('Week', flight._time)", 'dateTrunc("week", _time)'],
  ["DATE_DIFF('day', landed, '2001-01-31')", 'dateDiff("day", landed, 980899200000000us)'],
  ["DATE_SUB('day', landed, _time)", 'quotient(subtract(toInt64(_time), toInt64(landed)), 86400000000)'],
  ['EPOCH(landed)', 'divide(toInt64(landed), 1000000)'],
  ['EPOCH_MS(delay)', 'timeOfMicros(multiply(delay, 1000))'],
  ['landed + INTERVAL 90 MINUTES', 'addMicros(landed, 5400000000)'],
  ["INTERVAL '1 year 2 days' + landed", 'addMicros(addMonths(landed, 12), 172800000000)'],
  ["landed - INTERVAL '1' MONTH", 'addMonths(landed, -1)'],
  ['landed - INTERVAL (delay + 1) HOUR', 'addMicros(landed, multiply(add(delay, 1), -3600000000))'],
  ["landed < _time - INTERVAL '1h 30m'", 'less(landed, addMicros(_time, -5400000000))'],
  ['_time - landed', 'subtract(toInt64(_time), toInt64(landed))'],
  ["TIMESTAMP '2001-01-31' = landed", 'equal(980899200000000us, landed)'],
  ["landed > DATE '2001-01-31'", 'greater(landed, 980899200000000us)'],
  ["COALESCE(landed, '2001-01-31')", 'coalesce(landed, 980899200000000us)'],
  ['IF(ok, 1, delay / 2)', 'case(ok, toDouble(1), divide(delay, 2))'],
  ['NVL(delay, 0)', 'coalesce(delay, 0)'],
  ['GREATEST(delay, 0.5, NULL)', 'greatest(toDouble(delay), 0.5d, null:double)'],
  ['LEFT(origin, NULL)', 'left(origin, null:int64)'],
  ['ROUND(delay)', 'delay'],
  ['ROUND(delay / 2, 1)', 'roundTo(divide(delay, 2), 1)'],
  ['SQRT(delay)', 'squareRoot(toDouble(delay))'],
  ['CAST(origin AS BIGINT)', 'toInt64(origin)'],
  ['TRY_CAST(origin AS BOOLEAN)', 'toBool(origin)'],
  ['CAST(origin AS TIMESTAMP WITH TIME ZONE)', 'toTime(origin)'],
  ['landed::VARCHAR', 'toText(landed)'],
  ['delay::BOOL', 'notEqual(delay, 0)'],
];

const REFUSED: [items: string, ...messages: string[]][] = [
  ['COUNT(LOWER(«delay»)) AS n', 'LOWER wants string as text, got int64: write CAST(delay AS VARCHAR)'],
  [
    'COUNT(LEFT(origin, «delay / 2»)) AS n',
    'LEFT wants int64 as count, got double: write CAST(delay / 2 AS BIGINT), which rounds',
  ],
  [
    'COUNT(HOUR(«delay»)) AS n',
    'HOUR wants time as time, got int64: write EPOCH_MS(delay) for milliseconds, TO_TIMESTAMP(delay) for seconds',
  ],
  ['COUNT(«REPLACE»(origin, origin)) AS n', 'REPLACE wants three arguments, got 2'],
  ['COUNT(«ROUND»(delay, 1, 2)) AS n', 'ROUND wants one or two arguments, got 3'],
  ['COUNT(«REVERSE»()) AS n', 'REVERSE wants one argument, got 0'],
  ['COUNT(EXTRACT(«yaer» FROM landed)) AS n', 'EXTRACT knows no part "yaer"; did you mean "year"?'],
  [
    "COUNT(DATE_TRUNC(«'dow'», landed)) AS n",
    'DATE_TRUNC knows no part "dow"; there are microsecond, millisecond, second, minute, hour, day, week, month, quarter, year',
  ],
  ['COUNT(DATE_TRUNC(«origin», landed)) AS n', 'DATE_TRUNC wants a literal as part, got origin'],
  [
    "COUNT(DATE_SUB(«'month'», landed, landed)) AS n",
    'DATE_SUB of months is not supported: DATE_DIFF counts how many begin',
  ],
  ['COUNT(origin LIKE «destination») AS n', 'LIKE wants a literal as pattern, got destination'],
  ["COUNT(origin LIKE «'a!'» ESCAPE '!') AS n", 'LIKE: the pattern ends in its escape character !'],
  ["COUNT(origin LIKE 'a' ESCAPE «'ab'») AS n", "ESCAPE wants one character, got 'ab'"],
  ['COUNT(REGEXP_MATCHES(origin, «destination»)) AS n', 'REGEXP_MATCHES wants a literal as pattern, got destination'],
  [
    "COUNT(REGEXP_MATCHES(origin, «'(a)\\1'»)) AS n",
    'REGEXP_MATCHES: references to groups are not supported: no linear time is known for them',
  ],
  [
    "COUNT(REGEXP_MATCHES(origin, 'a', «'g'»)) AS n",
    'REGEXP_MATCHES knows no option g; there are c, i, l, m, n, p and s',
  ],
  ["COUNT(REGEXP_EXTRACT(origin, '(a)', «2»)) AS n", 'REGEXP_EXTRACT wants a group of the pattern, 0 to 1, got 2'],
  [
    "COUNT(REGEXP_REPLACE(origin, '(a)', «'\\2'»)) AS n",
    'REGEXP_REPLACE: the replacement wants group 2, and the pattern has 1',
  ],
  [
    "COUNT(REGEXP_REPLACE(origin, 'a', «'\\x'»)) AS n",
    'REGEXP_REPLACE: a \\ in a replacement stands before a digit, or before another one',
  ],
  ['COUNT(ROUND(delay, «30»)) AS n', 'ROUND wants -18 to 18 as digits, got 30'],
  [
    'COUNT(«landed» + delay) AS n',
    '+ wants int64 or double, got time: a time takes an INTERVAL, and times are subtracted from times',
  ],
  ['COUNT(«landed» * 2) AS n', '* wants int64 or double, got time: write EPOCH_US(time) for its microseconds'],
  ['COUNT(«delay» + INTERVAL 1 DAY) AS n', '+ INTERVAL wants a time, got int64'],
  [
    'COUNT(landed + delay * «INTERVAL 1 DAY») AS n',
    'INTERVAL stands beside + and - of a time only: time - INTERVAL 1 DAY; for a number of days that is computed write INTERVAL (x) DAY',
  ],
  [
    "COUNT(landed + «INTERVAL '01:30:00'») AS n",
    "INTERVAL wants whole numbers of microseconds up to years, like INTERVAL '1 day 12 hours', got '01:30:00'",
  ],
  [
    'COUNT(landed + «INTERVAL 1.5 HOUR») AS n',
    "INTERVAL wants whole numbers of microseconds up to years, like INTERVAL '1 day 12 hours', got '1.5 HOUR'",
  ],
  ['COUNT(landed + INTERVAL «(origin)» DAY) AS n', 'INTERVAL wants an int64, got string'],
  ["COUNT(TIMESTAMP «'soon'») AS n", "'soon' is no time; wanted one like '2001-01-31' or '2001-01-31T08:30:00Z'"],
  [
    'COUNT(«(delay / 2)::VARCHAR») AS n',
    'CAST of double to string is not supported; doubles are not spelled; round it and CAST it to BIGINT first',
  ],
  [
    'COUNT(«delay::TIMESTAMP») AS n',
    'CAST of int64 to time is not supported; EPOCH_MS takes milliseconds, TO_TIMESTAMP seconds, MAKE_TIMESTAMP microseconds',
  ],
  [
    'COUNT(«POW»(delay, 2)) AS n',
    'POW is not supported: its digits are not the same on every machine; compute it from the feature',
  ],
  ['COUNT(«NOW()») AS n', 'NOW(): an event has no other time than its own: write _time'],
  ['COUNT(«UPER»(origin)) AS n', 'unknown function UPER; did you mean "UPPER"?'],
];

describe('functions', () => {
  test.each(READ)('%s', async (sql, shown) => {
    const plan = await planOf(FLIGHT, setOf(selectOf(`COUNT(${sql}) AS n`)));
    expect(showAggregates(plan)).toEqual([`s:n = count(${shown}): int64`]);
  });
  test.each(REFUSED.map(([items, ...messages]) => ({ items, messages })))('$items', async ({ items, messages }) => {
    await expectSetFaults(setOf(selectOf(items)), messages);
  });
  test('_time is a column that an input of that name stands before', async () => {
    const events = FLIGHT.replace('    ok: bool', '    _time: string\n    ok: bool');
    const plan = await planOf(events, setOf(selectOf('COUNT(LOWER(_time)) AS n')));
    expect(showAggregates(plan)).toEqual(['s:n = count(lower(_time)): int64']);
  });
});
