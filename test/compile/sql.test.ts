import { describe, expect, test } from 'bun:test';
import { walk } from '../../src/plan/expression.ts';
import { expectSetFaults, FLIGHT, planOf, selectOf, setOf, showAggregates, showFeatures } from './marked.ts';

const SUPPORTED: [sql: string, aggregates: string[]][] = [
  ['COUNT(*) AS n', ['s:n = count(): int64']],
  ['count(delay) n', ['s:n = count(delay): int64']],
  ['COUNT(origin) AS "n"', ['s:n = count(origin): int64']],
  ['SUM(flight.delay) AS n', ['s:n = sum(delay): int64']],
  ['AVG(delay) AS n', ['s:n = avg(delay): double']],
  ['SUM(delay / 2) AS n', ['s:n = sum(divide(delay, 2)): double']],
  ['LAST(origin) AS n', ['s:n = last(origin): string']],
  ['FIRST(ok) AS n', ['s:n = first(ok): bool']],
  ['LAST(landed) AS n', ['s:n = last(landed): time']],
  ['LAST_N(delay, 100) AS n', ['s:n = lastN(delay, 100): [int64]']],
  ['last_n(CAST(delay AS VARCHAR), 1) AS n', ['s:n = lastN(toText(delay), 1): [string]']],
  [
    'LAST_N(landed, 1000) AS a, LAST_N(ok, 2) AS b',
    ['s:a = lastN(landed, 1000): [time]', 's:b = lastN(ok, 2): [bool]'],
  ],
  [
    'LAST_N(delay, 3) AS a, LAST_N(delay, 4) AS b, LAST_N(delay, 3) AS c',
    ['s:a = lastN(delay, 3): [int64]', 's:b = lastN(delay, 4): [int64]'],
  ],
  [
    'LAST_N(delay / 2, 3) FILTER (WHERE ok) AS n',
    ['s:n = lastN(case(ok, divide(delay, 2), null:double), 3): [double]'],
  ],
  [
    'VAR_POP(delay) AS a, variance(delay / 2) AS b, STDDEV_POP(distance) FILTER (WHERE ok) AS c, STDDEV(delay) AS d',
    [
      's:a = varPop(delay): double',
      's:b = varSamp(divide(delay, 2)): double',
      's:c = stddevPop(case(ok, distance, null:int64)): double',
      's:d = stddevSamp(delay): double',
    ],
  ],
  [
    'VAR_SAMP(delay) + 1 AS a, VAR_SAMP(delay)::BIGINT AS b, VAR_SAMP(delay) BETWEEN 1 AND 2 AS c',
    ['s:a$1 = varSamp(delay): double'],
  ],
  [
    'MIN(ok) AS a, MAX(landed) AS b, MAX("delay") AS c',
    ['s:a = min(ok): bool', 's:b = max(landed): time', 's:c = max(delay): int64'],
  ],
  [
    'SUM((delay + 1) * -distance % 7 - 2) AS n',
    ['s:n = sum(subtract(modulo(multiply(add(delay, 1), negate(distance)), 7), 2)): int64'],
  ],
  ['SUM(CAST(delay / 2 AS BIGINT)) AS n', ['s:n = sum(toInt64(divide(delay, 2))): int64']],
  ['SUM(TRY_CAST(ok AS INTEGER)) AS n', ['s:n = sum(toInt64(ok)): int64']],
  ['SUM((delay * 1.5)::BIGINT) AS n', ['s:n = sum(toInt64(multiply(delay, 1.5d))): int64']],
  ['SUM(CAST(landed AS INT8)) AS n', ['s:n = sum(toInt64(landed)): int64']],
  ['SUM(delay::BIGINT) AS n', ['s:n = sum(delay): int64']],
  ['SUM(-9223372036854775808) AS n', ['s:n = sum(-9223372036854775808): int64']],
  ['COUNT(delay::DOUBLE PRECISION + 1e3) AS n', ['s:n = count(add(toDouble(delay), 1000d)): int64']],
  ['COUNT(1_000) AS a, COUNT(.5) AS b', ['s:a = count(1000): int64', 's:b = count(0.5d): int64']],
  [
    "COUNT('it''s') AS a, COUNT(TRUE) AS b, COUNT(NULL) AS c",
    ['s:a = count("it\'s"): int64', 's:b = count(true): int64', 's:c = count(null:int64): int64'],
  ],
  [
    'SUM(CASE WHEN delay > 15 THEN 1 WHEN ok THEN 2 END) AS n',
    ['s:n = sum(case(greater(delay, 15), 1, ok, 2, null:int64)): int64'],
  ],
  ["SUM(CASE origin WHEN 'ATL' THEN 1 ELSE 0 END) AS n", ['s:n = sum(case(equal(origin, "ATL"), 1, 0)): int64']],
  ['COUNT(CASE WHEN ok THEN 1 ELSE 0.5 END) AS n', ['s:n = count(case(ok, toDouble(1), 0.5d)): int64']],
  ['MAX(CASE WHEN ok THEN NULL ELSE landed END) AS n', ['s:n = max(case(ok, null:time, landed)): time']],
  ['SUM(COALESCE(delay, distance, 0)) AS n', ['s:n = sum(coalesce(delay, distance, 0)): int64']],
  ['SUM(NULLIF(delay, 0)) AS n', ['s:n = sum(case(equal(delay, 0), null:int64, delay)): int64']],
  ['COUNT(*) FILTER (WHERE ok) AS n', ['s:n = count(case(ok, 1, null:int64)): int64']],
  ['SUM(delay) FILTER (WHERE NOT ok) AS n', ['s:n = sum(case(not(ok), delay, null:int64)): int64']],
  ['MAX(landed) FILTER (WHERE ok) AS n', ['s:n = max(case(ok, landed, null:time)): time']],
];

const CONDITIONS: [condition: string, expression: string][] = [
  ['delay = 1 OR delay <> 2 AND delay != 3', 'or(equal(delay, 1), and(notEqual(delay, 2), notEqual(delay, 3)))'],
  [
    'delay < 1 AND delay <= 2 AND delay > 3 AND delay >= 4.5',
    'and(and(less(delay, 1), lessOrEqual(delay, 2)), and(greater(delay, 3), greaterOrEqual(delay, 4.5d)))',
  ],
  ['NOT (ok OR delay = -15)', 'not(or(ok, equal(delay, -15)))'],
  ["origin IN ('ATL')", 'equal(origin, "ATL")'],
  ['delay IN (1, (2), 3)', 'or(equal(delay, 1), or(equal(delay, 2), equal(delay, 3)))'],
  ['delay NOT IN (1, NULL)', 'not(or(equal(delay, 1), equal(delay, null:int64)))'],
  ['delay BETWEEN 1 AND 2 AND ok', 'and(and(greaterOrEqual(delay, 1), lessOrEqual(delay, 2)), ok)'],
  ['delay NOT BETWEEN 1 AND distance', 'not(and(greaterOrEqual(delay, 1), lessOrEqual(delay, distance)))'],
  ['delay IS NULL', 'isNull(delay)'],
  ['delay IS NOT NULL', 'not(isNull(delay))'],
  ['NULL OR TRUE', 'or(null:bool, true)'],
  ["landed > '2001-01-31'", 'greater(landed, 980899200000000us)'],
  ["'2001-01-31T00:00:00.5+01:00' = landed", 'equal(980895600500000us, landed)'],
  ["landed IN ('2001-01-31 08:30:00', NULL)", 'or(equal(landed, 980929800000000us), equal(landed, null:time))'],
  ['ok = (delay > 1)', 'equal(ok, greater(delay, 1))'],
  ['origin < destination', 'less(origin, destination)'],
  ['/* who? */ ok -- 😀\nAND delay > 1', 'and(ok, greater(delay, 1))'],
];

describe('what is read', () => {
  for (const [items, aggregates] of SUPPORTED)
    test(items, async () => {
      expect(showAggregates(await planOf(FLIGHT, setOf(selectOf(items))))).toEqual(aggregates);
    });
  for (const [condition, expression] of CONDITIONS)
    test(condition, async () => {
      const sql = `SELECT COUNT(*) AS n FROM flight WHERE ${condition} GROUP BY origin`;
      expect(showAggregates(await planOf(FLIGHT, setOf(sql)))).toEqual([`s:n = count() where ${expression}: int64`]);
    });
  test('a long IN stays shallow, and is limited', async () => {
    const list = Array.from({ length: 1000 }, (_, i) => i).join(', ');
    const items = (by: string) => selectOf(`COUNT(*) FILTER (WHERE ${by} IN (${list})) AS n`);
    await planOf(FLIGHT, setOf(items('delay')));
    const message = 'the expression comes to 7999 operations, and at most 4096 are computed';
    await expectSetFaults(
      setOf(
        items('delay * 2 - 1')
          .replace(/(delay .*)\) AS/, '«$1») AS')
          .replace('))»', ')»)'),
      ),
      [message],
    );
  });
});

describe('expressions around aggregates', () => {
  test('an aggregate is stored once, under the name its author gave it', async () => {
    const plan = await planOf(FLIGHT, setOf(selectOf('SUM(delay) / COUNT(*) AS mean, COUNT(*) AS n, COUNT(*) AS m')));
    expect(showAggregates(plan)).toEqual(['s:n = count(): int64', 's:mean$1 = sum(delay): int64']);
    expect(showFeatures(plan)).toEqual([
      's:mean_2h = divide([s:mean$1 7200000/60000], [s:n 7200000/60000]): double',
      's:n_2h = [s:n 7200000/60000]: int64',
      's:m_2h = [s:n 7200000/60000]: int64',
    ]);
  });
  test('calls are numbered in the order of the text', async () => {
    const items = 'CASE WHEN COUNT(*) > 5 THEN MIN(delay) WHEN ok IS NULL THEN 1 ELSE MAX(delay) + 1 END AS n';
    const plan = await planOf(FLIGHT, setOf(selectOf(items.replace('ok IS NULL', 'MAX(ok) IS NULL'))));
    expect(showAggregates(plan)).toEqual([
      's:n$1 = count(): int64',
      's:n$2 = min(delay): int64',
      's:n$3 = max(ok): bool',
      's:n$4 = max(delay): int64',
    ]);
  });
  test('a feature may be a text', async () => {
    const plan = await planOf(FLIGHT, setOf(selectOf("CASE WHEN COUNT(*) > 5 THEN 'hot' ELSE 'cold' END AS n")));
    expect(showFeatures(plan)).toEqual(['s:n_2h = case(greater([s:n$1 7200000/60000], 5), "hot", "cold"): string']);
  });
});

describe('places', () => {
  test('every node has its place in the file, behind text of any kind', async () => {
    const sql =
      "SELECT origin, SUM(CASE WHEN origin = 'é😀'\n  AND delay IN (1, 22) THEN NULL ELSE - 5 END) / COUNT(*) AS n FROM flight GROUP BY origin";
    const plan = await planOf(FLIGHT, setOf(sql));
    const lines = setOf(sql).split('\n');
    const texts: string[] = [];
    for (const root of [plan.aggregates[0]!.fn.args[0]!, plan.features[0]!.expression])
      walk(root, ({ at }) => texts.push(lines[at!.line - 1]!.slice(at!.column - 1, at!.column - 1 + at!.length)));
    expect(texts).toEqual([
      "CASE WHEN origin = 'é😀'",
      "origin = 'é😀'",
      "origin = 'é😀'",
      'origin',
      "'é😀'",
      'delay IN (1, 22)',
      'delay IN (1, 22)',
      'delay',
      '1',
      'delay IN (1, 22)',
      'delay',
      '22',
      'NULL',
      '- 5',
      "SUM(CASE WHEN origin = 'é😀'",
      "SUM(CASE WHEN origin = 'é😀'",
      'COUNT(*)',
    ]);
  });
});

const NOT_BY_ITEM: [items: string, ...messages: string[]][] = [
  ['«*»', 'SELECT * is not supported: name key columns and aggregates'],
  ['«flight».*', 'SELECT * is not supported: name key columns and aggregates'],
  [
    '«SUM(delay)», «COUNT(*)»',
    'SUM(delay) has no name: write SUM(delay) AS name',
    'COUNT(*) has no name: write COUNT(*) AS name',
  ],
  [
    'COUNT(*) AS n, COUNT(*) AS «n», COUNT(*) AS «"a b"»',
    'two items are called n',
    '"a b": a name is letters, digits and _, and begins with a letter',
  ],
  [
    '«delay», COUNT(*) AS n',
    'column delay is neither grouped nor aggregated: name it in GROUP BY, or write MAX(delay) or the like',
  ],
  [
    'COUNT(*) + «delay» AS n',
    'column delay is neither grouped nor aggregated: name it in GROUP BY, or write MAX(delay) or the like',
  ],
  [
    "CASE WHEN «origin» = 'ATL' THEN COUNT(*) END AS n",
    'key column origin beside an aggregate is not supported: features are computed from aggregates alone',
  ],
  ['origin AS «airport», COUNT(*) AS n', 'origin is a key column and keeps its name: leave out AS airport'],
  ['«1 + 1» AS n', 'n has no aggregate in it, so it is no feature: aggregate something, or put it under derive:'],
  [
    'AVG(«DISTINCT» delay) AS n, SUM(«DISTINCT» delay) AS m',
    ...Array<string>(2).fill(
      'DISTINCT in an aggregate is not supported: only COUNT, LIST and LAST_N look at each value once',
    ),
  ],
  [
    '«FOO»(delay) AS n, «SUMM»(delay) AS m',
    'unknown function FOO; docs/functions.md lists those that are known',
    'unknown function SUMM; did you mean "SUM"?',
  ],
  [
    '«MEDIAN»(delay) AS n, SUM(«EXP»(delay)) AS m',
    'MEDIAN is not supported: no such aggregate is kept; docs/aggregates.md lists those that are',
    'EXP is not supported: its digits are not the same on every machine; compute it from the feature',
  ],
  ['SUM(«SUM»(delay)) AS n', 'an aggregate inside SUM is not supported: SUM looks at one event at a time'],
  [
    'COUNT(*) FILTER (WHERE «MAX»(delay) > 1) AS n',
    'an aggregate inside FILTER is not supported: FILTER looks at one event at a time',
  ],
  ['COUNT(*) FILTER («ok») AS n', '"ok" is not understood here; wanted WHERE'],
  [
    'SUM(delay) «OVER» (PARTITION BY origin) AS n',
    'window functions (OVER) are not supported: windows: says over which spans of time to aggregate',
  ],
  [
    'SUM(delay «ORDER» BY ok) AS n',
    'ORDER BY is not supported: a lookup asks for its entities by key, so there is nothing to order or cut',
  ],
  ['SUM(delay) «IGNORE» NULLS AS n', 'IGNORE NULLS says nothing: aggregates pass over nulls; leave it out'],
  ['COUNT(«)» AS n, «SUM»(delay, 1) AS m', 'COUNT() wants * or an argument', 'SUM wants one argument'],
  [
    'SUM(«COALESCE»()) AS n, SUM(«NULLIF»(delay)) AS m',
    'COALESCE wants at least one argument, got 0',
    'NULLIF wants two arguments, got 1',
  ],
  [
    '«LAST_N»(delay) AS n, «last_n»() AS m, «LAST_N»(delay, 1, 2) AS k',
    'LAST_N wants two arguments, a value and how many of them to keep, got 1',
    'LAST_N wants two arguments, a value and how many of them to keep, got 0',
    'LAST_N wants two arguments, a value and how many of them to keep, got 3',
  ],
  [
    "LAST_N(delay, «0») AS a, LAST_N(delay, «1001») AS b, LAST_N(delay, «-1») AS c, LAST_N(delay, «1.5») AS d, LAST_N(delay, «distance») AS e, LAST_N(delay, «'5'») AS f, LAST_N(delay, «2 + 3») AS g",
    ...['0', '1001', '-1', '1.5', 'distance', "'5'", '2 + 3'].map(
      text => `LAST_N keeps a whole number of values, from 1 to 1000, and ${text} is none`,
    ),
  ],
  [
    'LAST_N(«dellay», «0») AS n',
    'event flight has no input "dellay"; did you mean "delay"?',
    'LAST_N keeps a whole number of values, from 1 to 1000, and 0 is none',
  ],
  [
    'FIRST_N(«DISTINCT» delay, 3) AS n',
    'DISTINCT in an aggregate is not supported: only COUNT, LIST and LAST_N look at each value once',
  ],
  [
    '«ARG_MAX»(delay) AS a, «ARG_MIN»(delay, ok, 2, 3) AS b, ARG_MAX(delay, «dellay») AS c, ARG_MAX(delay, ok, «0») AS d',
    'ARG_MAX wants two arguments, a value and what ranks it, or three: and how many of them to keep, got 1',
    'ARG_MIN wants two arguments, a value and what ranks it, or three: and how many of them to keep, got 4',
    'event flight has no input "dellay"; did you mean "delay"?',
    'ARG_MAX keeps a whole number of values, from 1 to 1000, and 0 is none',
  ],
  [
    'MAX(delay, «0») AS a, «TOP_N»(delay) AS b, «FIRST_N»(delay) AS c, LIST(delay, «1001») AS d, LIST(DISTINCT delay, «x») AS e',
    'MAX keeps a whole number of values, from 1 to 1000, and 0 is none',
    'TOP_N wants one argument, or two: a value and how many of them to keep, got 1',
    'FIRST_N wants two arguments, a value and how many of them to keep, got 1',
    'LIST keeps a whole number of values, from 1 to 1000, and 1001 is none',
    'LIST keeps a whole number of values, from 1 to 1000, and x is none',
  ],
  [
    'APPROX_COUNT_DISTINCT(delay, «17») AS a, APPROX_COUNT_DISTINCT(delay, «3») AS b, «APPROX_COUNT_DISTINCT»(delay, 4, 5) AS c',
    'APPROX_COUNT_DISTINCT takes a whole number as its precision, from 4 to 16, and 17 is none',
    'APPROX_COUNT_DISTINCT takes a whole number as its precision, from 4 to 16, and 3 is none',
    'APPROX_COUNT_DISTINCT wants one argument, or two: a value and a precision (12), got 3',
  ],
  [
    'VECTOR_AVG(«delay», 3) AS a, VECTOR_AVG([1.0], «0») AS b',
    'VECTOR_AVG wants a list of doubles, got int64',
    'VECTOR_AVG averages lists of one length, from 1 to 1024, and 0 is none',
  ],
  [
    'LIST(delay «ORDER» BY ok) AS n',
    'ORDER BY is not supported: a lookup asks for its entities by key, so there is nothing to order or cut',
  ],
  [
    'MAX(«NOW()») AS a, COUNT(*) FILTER (WHERE _time < «CURRENT_TIMESTAMP») AS b, «NOW()» AS c',
    'NOW(): an event has no other time than its own: write _time',
    'CURRENT_TIMESTAMP: an event has no other time than its own: write _time',
    'NOW(): an event has no other time than its own: write _time',
  ],
  ['«TIME_SINCE_LAST»(delay, ok) AS n', 'TIME_SINCE_LAST wants one argument, or none, got 2'],
  ['LAST_N(«*», 3) AS n', '* stands in COUNT(*) only'],
  ['LAST_N(«MAX»(delay), 3) AS n', 'an aggregate inside LAST_N is not supported: LAST_N looks at one event at a time'],
  [
    'LAST_N(delay, 3) «OVER» () AS n',
    'window functions (OVER) are not supported: windows: says over which spans of time to aggregate',
  ],
  ['COUNT(*) + «LAST_N(delay, 3)» AS m', '+ wants int64 or double, got [int64]'],
  [
    '«ANY_VALUE»(delay) AS n, «LAST_K»(delay, 3) AS m, «LAST_M»(delay, 3) AS k',
    'ANY_VALUE is not supported: write FIRST',
    'LAST_K is not supported: write LAST_N(x, 10), which keeps so many of the latest values',
    'unknown function LAST_M; did you mean "LAST_N"?',
  ],
  ['SUM(«ok») AS n', 'SUM wants int64 or double, got bool; write CASE WHEN ok THEN 1 ELSE 0 END'],
  [
    'SUM(«origin») AS n, AVG(«landed») AS m',
    'SUM wants int64 or double, got string; COUNT, FIRST, LAST and LAST_N take any type; declare the input int64 if it is a number',
    'AVG wants int64 or double, got time; MIN and MAX take a time',
  ],
  [
    'VAR_POP(«origin») AS n, «STDDEV»(delay, 1) AS k',
    'VAR_POP wants int64 or double, got string; COUNT, FIRST, LAST and LAST_N take any type; declare the input int64 if it is a number',
    'STDDEV wants one argument, got 2',
  ],
  ['SUM(«dellay») AS n', 'event flight has no input "dellay"; did you mean "delay"?'],
  ['SUM(«x») AS n', 'event flight has no input "x"; it has origin, destination, delay, distance, ok, landed'],
  ['SUM(«f».delay) AS n', 'unknown table "f": the only one is flight, and no input is called so'],
  ['SUM(CASE WHEN «delay» THEN 1 END) AS n', 'WHEN wants a condition (bool), got int64; write delay <> 0'],
  ["SUM(CASE WHEN ok THEN 1 ELSE «'a'» END) AS n", 'CASE wants values of one type, got int64 and string'],
  ['COUNT(COALESCE(delay, «origin»)) AS n', 'COALESCE wants values of one type, got int64 and string'],
  [
    'COUNT(NOT «delay») AS n, COUNT(ok AND «delay + 1») AS m',
    'NOT wants a condition (bool), got int64; write delay <> 0',
    'AND wants a condition (bool), got int64; write delay + 1 <> 0',
  ],
  [
    'SUM(delay + «ok») AS n, COUNT(- «origin») AS m',
    '+ wants int64 or double, got bool: write CASE WHEN ok THEN 1 ELSE 0 END',
    '- wants int64 or double, got string',
  ],
  ['COUNT(delay % «2.0») AS n', '% wants int64, got double'],
  [
    'COUNT(origin «=» delay) AS n, COUNT(ok «=» 1) AS m',
    '= compares values of one type, got string and int64',
    '= compares values of one type, got bool and int64; a bool is a condition already',
  ],
  ["COUNT(delay «IN» ('a', 1)) AS n", 'IN compares values of one type, got int64 and string'],
  ["COUNT(landed = «'soon'») AS n", "'soon' is no time; wanted one like '2001-01-31' or '2001-01-31T08:30:00Z'"],
  [
    'COUNT(«9223372036854775808») AS n',
    '9223372036854775808 is beyond int64; with a point (9223372036854775808.0) it is a double',
  ],
  ['COUNT(«1e400») AS n', '1e400 is beyond what a double can hold'],
  [
    "COUNT(STRFTIME(_time, «'%Q'»)) AS n",
    'STRFTIME: unknown directive %Q; those that are known are %A %a %B %b %h %Y %y %m %d %j %H %I %p %M %S %g %f %z %w %u %U %W %V %G %F %T %R %x %X %c %%',
  ],
  [
    'SUM(delay::«DATE») AS n, SUM(CAST(delay AS «DECIMAL»(10, 2))) AS m',
    "CAST to DATE is not supported: BIGINT, DOUBLE, BOOLEAN, VARCHAR and TIMESTAMP are; DATE_TRUNC('day', time) is the day of a time",
    'CAST to DECIMAL is not supported: BIGINT, DOUBLE, BOOLEAN, VARCHAR and TIMESTAMP are',
  ],
  [
    "COUNT(origin «GLOB» 'A*') AS n, COUNT(origin SIMILAR TO «'x('») AS m",
    'GLOB is not supported: compare with LIKE, STARTS_WITH or CONTAINS',
    'REGEXP_FULL_MATCH: a ( is never closed',
  ],
  [
    'COUNT(delay «IS» DISTINCT FROM 2) AS n',
    'IS DISTINCT FROM is not supported: write NOT COALESCE(a = b, a IS NULL AND b IS NULL)',
  ],
  [
    'COUNT(delay «ISNULL») AS n, COUNT(delay IN («)») AS m',
    'ISNULL is not supported: write IS NULL',
    'IN () is empty: name at least one value',
  ],
  [
    'COUNT(delay IN («SELECT» 1)) AS n',
    'sub-selects are not supported: a feature set reads one event type; let the writer of the event add what it needs',
  ],
  [
    "COUNT(«TIME» '08:30:00') AS n",
    "time literals are not supported: write a time as TIMESTAMP '2001-01-31T00:00:00Z'",
  ],
  [
    'COUNT(«INTERVAL 1 DAY») AS n, COUNT(«?») AS m',
    'INTERVAL stands beside + and - of a time only: time - INTERVAL 1 DAY',
    'parameters are not supported: write the value',
  ],
  ['SUM(delay) AS n«,»', '"," is not understood here; wanted FROM'],
  [
    "COUNT(*) FILTER (WHERE 'é😀' = origin AND «dely» > 3) AS n",
    'event flight has no input "dely"; did you mean "delay"?',
  ],
];

const FILTERED = 'SELECT origin, COUNT(*) AS n FROM flight';
const ONE_EVENT = 'a feature set reads one event type; let the writer of the event add what it needs';
const NO_ORDER = 'a lookup asks for its entities by key, so there is nothing to order or cut';

const NOT_BY_STATEMENT: [sql: string, ...messages: string[]][] = [
  [`${FILTERED} GROUP BY «ALL»`, 'GROUP BY ALL is not supported: name the columns'],
  [
    `${FILTERED} GROUP BY «ROLLUP» (origin)`,
    'GROUP BY takes columns of the event only (or their positions in the SELECT)',
  ],
  [`${FILTERED} GROUP BY «2»`, 'GROUP BY 2 is COUNT(*), which is no column of the event'],
  [`${FILTERED} GROUP BY «3»`, 'GROUP BY 3: wanted a column, or its position in the SELECT (1 to 2)'],
  [
    `SELECT COUNT(*) AS n FROM flight GROUP BY «delay»`,
    'column 1 of the key of entity origin is string, and delay is int64',
  ],
  [`${FILTERED} GROUP BY «origin», destination`, 'GROUP BY has 2 columns, and the key of entity origin has 1 (string)'],
  [`${FILTERED} GROUP BY origin, «origin»`, 'GROUP BY names origin twice'],
  [`${FILTERED} GROUP BY «orgin»`, 'event flight has no input "orgin"; did you mean "origin"?'],
  [
    'SELECT «DISTINCT» origin, SUM(«dely») AS n FROM flight GROUP BY origin',
    'SELECT DISTINCT is not supported: GROUP BY already gives one row for each key; leave it out',
    'event flight has no input "dely"; did you mean "delay"?',
  ],
  ['SELECT COUNT(*) AS n FROM «flights» GROUP BY origin', 'FROM flights: the source of this feature set is flight'],
  [
    `${FILTERED} «f» GROUP BY origin`,
    'aliases of tables are not supported: there is one event type, and columns need no prefix',
  ],
  [
    'SELECT COUNT(*) AS n FROM «main».flight GROUP BY origin',
    'FROM takes the name of an event type only: leave out what is before the dot',
  ],
  ["SELECT COUNT(*) AS n FROM «'flight'» GROUP BY origin", 'FROM takes the name of an event type only'],
  [`${FILTERED}«,» other GROUP BY origin`, `FROM takes one event type: ${ONE_EVENT}`],
  [
    'SELECT COUNT(*) AS n FROM «(»SELECT * FROM flight) GROUP BY origin',
    'sub-selects are not supported: FROM takes the event type of source',
  ],
  [
    `${FILTERED} «LEFT» JOIN b ON a = c\nWHERE «dely» > 1 GROUP BY origin «HAVING» COUNT(*) > 1\n«ORDER» BY n «LIMIT» 5`,
    `JOIN is not supported: ${ONE_EVENT}`,
    'event flight has no input "dely"; did you mean "delay"?',
    'HAVING is not supported: a feature has a value for every key; put conditions on events into WHERE',
    `ORDER BY is not supported: ${NO_ORDER}`,
    `LIMIT is not supported: ${NO_ORDER}`,
  ],
  [`${FILTERED} «UNION» SELECT 1, 2 FROM b`, 'UNION is not supported: write a feature set for each select'],
  [`«WITH» x AS (SELECT 1) ${FILTERED} GROUP BY origin`, `WITH is not supported: ${ONE_EVENT}`],
  [`${FILTERED} GROUP BY origin«;» SELECT 2`, 'only one statement is read: write a feature set for each select'],
  ['«INSERT» INTO x VALUES (1)', '"INSERT" is not understood here; wanted a single SELECT'],
  ['«FROM» flight SELECT COUNT(*) AS n GROUP BY origin', 'FROM comes after SELECT'],
  [
    `${FILTERED} WHERE «COUNT»(*) > 1 GROUP BY origin`,
    'an aggregate inside WHERE is not supported: WHERE looks at one event at a time',
  ],
  [`${FILTERED} WHERE «delay» GROUP BY origin`, 'WHERE wants a condition (bool), got int64; write delay <> 0'],
  [`${FILTERED} WHERE «'abc»`, 'SQL: Unterminated string'],
  ['SELECT SUM(delay «FROM» flight GROUP BY origin', "SQL: Expected RParen, got From ('FROM')"],
  [
    `SELECT SUM(${'('.repeat(30)}«(»${'('.repeat(9)}delay${')'.repeat(40)}) AS n FROM flight GROUP BY origin`,
    'SQL nests too deep: at most 32 levels are read',
  ],
  [
    `${FILTERED}\nWHERE delay > 1 -- é😀\n  AND «dely» > /* 😀 */ 2 AND «foo»(1)\nGROUP BY «orgin»`,
    'event flight has no input "dely"; did you mean "delay"?',
    'unknown function FOO; docs/functions.md lists those that are known',
    'event flight has no input "orgin"; did you mean "origin"?',
  ],
];

describe('what is refused, by name and place', () => {
  for (const [items, ...messages] of NOT_BY_ITEM)
    test(items, async () => {
      await expectSetFaults(setOf(selectOf(items)), messages);
    });
  for (const [sql, ...messages] of NOT_BY_STATEMENT)
    test(sql, async () => {
      await expectSetFaults(setOf(sql), messages);
    });
  test('what concerns the whole SELECT', async () => {
    await expectSetFaults(setOf('SELECT COUNT(*) AS n FROM flight').replace('sql:', '«sql»:'), [
      'GROUP BY is missing: name the columns that hold the key of the entity',
    ]);
    await expectSetFaults(setOf('SELECT origin FROM flight GROUP BY origin').replace('sql:', '«sql»:'), [
      'the SELECT has no aggregate, so there is no feature: add one, like COUNT(*) AS events',
    ]);
    await expectSetFaults(setOf(`«S»ELECT '${'x'.repeat(64 * 1024)}'`), [
      'SQL of 65546 characters, and at most 65536 are read',
    ]);
  });
});
