/** Lists and structs in feature sets: how they are read, and what is refused, by place. */
import { describe, expect, test } from 'bun:test';
import { faultsOf, planOf, showAggregates, showFeatures, unmark } from './marked.ts';

const TRIP = `types:
  member: { name: string, hours: double?, home: place? }
  place: { zip: string, floors: [int64] }
events:
  trip:
    id: string
    n: int64
    crew: { type: [member], optional: true }
    base: place
    tags: [string]
    fees: [double]
    trip: int64
entities:
  trip: string
`;

function setOf(sql: string): string {
  return `feature_set: s\nentity: trip\nsource: trip\nwindows: [2h]\nsql: |\n  ${sql.replaceAll('\n', '\n  ')}\n`;
}

function selectOf(items: string): string {
  return `SELECT id, ${items} FROM trip GROUP BY id`;
}

const READ: [expression: string, shown: string][] = [
  ['tags[1]', 'tags[0]'],
  ['tags[-1]', 'tags[add(listLength(tags), -1)]'],
  ['tags[n]', 'tags[case(greater(n, 0), subtract(n, 1), add(listLength(tags), n))]'],
  ['tags[NULL]', 'tags[null:int64]'],
  ['LIST_EXTRACT(tags, 2)', 'tags[1]'],
  ['base.zip', 'base.zip'],
  ["base['zip']", 'base.zip'],
  ['(base).zip', 'base.zip'],
  ['trip.base.zip', 'base.zip'],
  ['trip.tags[2]', 'tags[1]'],
  ['base.floors[2]', 'base.floors[1]'],
  [
    'crew[1].home.floors[n]',
    'crew[0].home.floors[case(greater(n, 0), subtract(n, 1), add(listLength(crew[0].home.floors), n))]',
  ],
  ['"crew"[1]."name"', 'crew[0].name'],
  ['trip.trip', 'trip'],
  ['LEN(tags) + LENGTH(id)', 'add(listLength(tags), length(id))'],
  ['CARDINALITY(crew)', 'listLength(crew)'],
  ['LIST_COUNT(crew)', 'listCount(crew)'],
  ["LIST_CONTAINS(tags, 'a')", 'listContains(tags, "a")'],
  ["CONTAINS(tags, 'a')", 'listContains(tags, "a")'],
  ['ARRAY_CONTAINS(fees, 1)', 'listContains(fees, 1)'],
  ['ARRAY_POSITION(fees, n)', 'listPosition(fees, n)'],
  ['LIST_MAX(tags)', 'listMax(tags)'],
  ['LIST_SUM(fees) / LIST_AVG(fees)', 'divide(listSum(fees), listMean(fees))'],
  ['LIST_CONTAINS([1, NULL, 3], n)', 'listContains([1, null:int64, 3], n)'],
  ['LIST_SUM([1, 2.5])', 'listSum([1d, 2.5d])'],
  ["COALESCE(tags, ['x'])[1]", 'coalesce(tags, ["x"])[0]'],
  ['crew IS NULL', 'isNull(crew)'],
  ['CASE WHEN n > 1 THEN crew[1] ELSE crew[2] END', 'case(greater(n, 1), crew[0], crew[1])'],
];

describe('what stands in arguments', () => {
  test.each(READ)('%s', async (expression, shown) => {
    const plan = await planOf(TRIP, setOf(selectOf(`COUNT(${expression}) AS n`)));
    expect(showAggregates(plan)).toEqual([`s:n = count(${shown}): int64`]);
  });

  test('a list or a struct is counted where it is there', async () => {
    const plan = await planOf(TRIP, setOf(selectOf('COUNT(crew) AS n, COUNT(base) FILTER (WHERE n > 1) AS m')));
    expect(showAggregates(plan)).toEqual([
      's:n = count(crew): int64',
      's:m = count(case(greater(n, 1), base, null:struct)): int64',
    ]);
  });

  test('windows reach into what a field or an element is taken of', async () => {
    const plan = await planOf(TRIP, setOf(selectOf("['low', 'high'][COUNT(*)] AS word")));
    expect(showFeatures(plan)).toEqual([
      expect.stringContaining('["low", "high"][case(greater([s:word$1 7200000/60000], 0)'),
    ]);
  });
});

const REFUSED: [items: string, ...messages: string[]][] = [
  [
    '«IF(COUNT(*) > 1, [[1]], [[2]])» AS a',
    'a feature is a scalar or a list of scalars, and IF(COUNT(*) > 1, [[1]], [[2]]) is [[int64?]?]; take an element of it, IF(COUNT(*) > 1, [[1]], [[2]])[1], or its LEN(IF(COUNT(*) > 1, [[1]], [[2]]))',
  ],
  ['COUNT(«n.zip») AS a', 'n is int64, and only structs have fields'],
  ['COUNT(«base.zap») AS a', 'base has no field "zap"; did you mean "zip"?'],
  ["COUNT(base[«'zap'»]) AS a", 'base has no field "zap"; did you mean "zip"?'],
  [
    'COUNT(«crew.name») AS a',
    'crew is [member], and only structs have fields; of its first element it is crew[1].name',
  ],
  ['COUNT(crew[1].«x») AS a', 'crew[1] has no field "x"; it has name, hours, home'],
  ['COUNT(«bse».zip) AS a', 'unknown table "bse": the only one is trip; did you mean "base"?'],
  ['COUNT(«n»[1]) AS a', '[ ] wants a list, got int64'],
  ['COUNT(«id»[1]) AS a', '[ ] wants a list, got string: write SUBSTRING(id, 1, 1)'],
  ['COUNT(«base»[1]) AS a', '[ ] wants a list, got place'],
  ['COUNT(tags[«1.5»]) AS a', '[ ] wants an int64, got double'],
  ['COUNT(tags«[»1:2]) AS a', 'slices of lists are not supported: a[1] is an element'],
  ['COUNT([1, «n»]) AS a', 'a list is made of literals only, got n'],
  ["COUNT([1, «'a'»]) AS a", '[ ] wants values of one type, got int64 and string'],
  ['SUM(«fees») AS a', 'SUM wants a scalar, got [double]; take an element of it, fees[1], or its LEN(fees)'],
  ['FIRST(«base») AS a', 'FIRST wants a scalar, got place; take a field of it, like base.zip'],
  ['LAST(«crew[1]») AS a', 'LAST wants a scalar, got member; take a field of it, like crew[1].name'],
  ['COUNT(«tags» = tags) AS a', '= compares scalars, got [string]; take an element of it, list[1], or its LEN(list)'],
  ['COUNT(n IN («base»)) AS a', 'IN compares scalars, got place; take a field of it, like struct.zip'],
  [
    'COUNT(GREATEST(«tags», tags)) AS a',
    'GREATEST wants scalars, got [string]; take an element of it, tags[1], or its LEN(tags)',
  ],
  ['COUNT(COALESCE(tags, «fees»)) AS a', 'COALESCE wants values of one type, got [string] and [double]'],
  ['COUNT(«tags» + 1) AS a', '+ wants int64 or double, got [string]'],
  ['COUNT(UPPER(«tags»)) AS a', 'UPPER wants string as text, got [string]: write tags[1] for its first element'],
  ['COUNT(LIST_SUM(«id»)) AS a', 'LIST_SUM wants list as list, got string: declare id as [string] if it is one'],
  ['COUNT(LIST_SUM(«tags»)) AS a', 'LIST_SUM wants a list of int64 or double, got [string]'],
  ['COUNT(LIST_MAX(«crew»)) AS a', 'LIST_MAX wants a list of scalars, got [member]'],
  ['COUNT(LIST_CONTAINS(tags, «n»)) AS a', 'LIST_CONTAINS wants string, as the elements of tags are, got int64'],
  ['COUNT(LIST_CONTAINS(«crew», n)) AS a', 'LIST_CONTAINS wants a list of scalars, got [member]'],
  [
    'COUNT(«UNNEST»(tags)) AS a',
    'UNNEST is not supported: one event counts once; LIST_SUM, LIST_MAX and the like look at all elements',
  ],
  ['COUNT(id IN «tags») AS a', 'IN of a list is not supported: write LIST_CONTAINS(list, id)'],
  [
    'COUNT(*) AS n, «base.zip»',
    'column base.zip is neither grouped nor aggregated: name it in GROUP BY, or write MAX(base.zip) or the like',
  ],
];

describe('what is refused, by place', () => {
  test.each(REFUSED)('%s', async (items, ...messages) => {
    const { text, expected } = unmark('1.yaml', setOf(selectOf(items)), messages);
    expect(await faultsOf(TRIP, text)).toEqual(expected);
  });

  test('keys are inputs', async () => {
    const sql = 'SELECT COUNT(*) AS a FROM trip GROUP BY «base.zip»';
    const { text, expected } = unmark('1.yaml', setOf(sql), [
      'GROUP BY takes inputs of the event only: give base.zip one of its own, with path: $.data.base.zip',
    ]);
    expect(await faultsOf(TRIP, text)).toEqual(expected);
  });
});
