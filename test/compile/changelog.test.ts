/** Changelogs in definitions: how they are declared, what may not be said of them, and what may not stand over one. */
import { describe, expect, test } from 'bun:test';
import { aggregateHash } from '../../src/plan/canonical.ts';
import { AGGREGATES } from '../../src/compile/aggregates.ts';
import { LINEAR } from '../../src/plan/plan.ts';
import { faultsOf, planOf, unmark } from './marked.ts';

const EVENT = (changelog: string) => `events:
  order: { changelog: ${changelog}, shop: string, cents: int64?, op: string, kind: string?, at: time, seen: time? }
entities: { shop: string }
`;
const SET = (items: string) =>
  `feature_set: s
entity: shop
source: order
windows: [2h, lifetime]
sql: SELECT shop, ${items} FROM order_ GROUP BY shop
`.replace('order_', '"order"');

test('the input that says what a record changes, and the one that is its time', async () => {
  const [plain, timed] = [await planOf(EVENT('{ op: op }')), await planOf(EVENT('{ op: op, time: at }'))];
  expect(plain.events[0]!.changelog).toEqual({ kind: 'ops', op: 'op', time: null });
  expect(timed.events[0]!.changelog).toEqual({ kind: 'ops', op: 'op', time: 'at' });
  expect(plain.events[0]!.inputs.map(({ name }) => name)).toEqual(['shop', 'cents', 'op', 'kind', 'at', 'seen']);
});

test('rows in envelopes', async () => {
  const [plain, timed] = [
    await planOf(EVENT('{ format: debezium }')),
    await planOf(EVENT('{ format: debezium, time: at }')),
  ];
  expect(plain.events[0]!.changelog).toEqual({ kind: 'debezium', time: null });
  expect(timed.events[0]!.changelog).toEqual({ kind: 'debezium', time: 'at' });
});

test('one way of saying it, not two', async () => {
  for (const [changelog, got] of [
    ['{ op: op, format: debezium }', 'wanted one of op, deleted and format, got op and format'],
    ['{ time: at }', 'wanted op, format or key, got none of them'],
    ['{ deleted: kind }', 'deleted is for events with a key: which rows does it delete?'],
    ['{ key: shop, op: op, deleted: kind }', 'wanted one of op, deleted and format, got op and deleted'],
  ] as const)
    expect(await faultsOf(EVENT(changelog))).toEqual([`0.yaml:2:12+9: changelog: ${got}`]);
});

test.each([
  ['{ key: shop }', { kind: 'upsert', key: ['shop'], form: 'rows', says: null, time: null }],
  ['{ key: [shop, at], op: op }', { kind: 'upsert', key: ['shop', 'at'], form: 'ops', says: 'op', time: null }],
  ['{ key: shop, deleted: kind, time: at }', { kind: 'upsert', key: ['shop'], form: 'flag', says: 'kind', time: 'at' }],
  ['{ key: shop, format: debezium }', { kind: 'upsert', key: ['shop'], form: 'debezium', says: null, time: null }],
])('%s says what a row of a key is now', async (changelog, wanted) => {
  expect((await planOf(EVENT(changelog))).events[0]!.changelog).toEqual(wanted as never);
});

test('an input may be called so', async () => {
  const plan = await planOf(
    'events: { e: { changelog: string }, f: { changelog: { type: int64, optional: true } } }\n',
  );
  expect(plan.events.map(({ inputs, changelog }) => [inputs[0]!.name, changelog])).toEqual([
    ['changelog', undefined],
    ['changelog', undefined],
  ]);
});

test('what is taken back is part of what an aggregate means', async () => {
  const set = SET('COUNT(*) AS n');
  const hashes = await Promise.all(
    ['{ op: op }', '{ op: op, time: at }', '{ key: op }', '{ key: at }', '{ key: op, op: op }', 'string?'].map(
      async changelog => {
        const plan = await planOf(EVENT(changelog), set);
        return aggregateHash(plan.aggregates[0]!, plan);
      },
    ),
  );
  expect(new Set(hashes).size).toBe(6);
});

test('an input of a changelog may have another name', async () => {
  const hash = async (name: string) => {
    const plan = await planOf(
      `events: { order: { changelog: { op: ${name} }, shop: string, ${name}: { type: string, path: $.data.op } } }\nentities: { shop: string }\n`,
      SET('COUNT(*) AS n'),
    );
    return aggregateHash(plan.aggregates[0]!, plan);
  };
  expect(await hash('kind')).toBe(await hash('what'));
});

describe('refused', () => {
  test.each([
    ['{ op: «opp» }', 'op: event order has no input "opp"; did you mean "op"?'],
    ['{ op: «cents» }', 'op: wanted an input that is string, and cents is int64'],
    ['{ op: «kind» }', 'op: kind is optional, and no change can be without it: declare it required, or with a default'],
    ['{ key: «shp» }', 'key: event order has no input "shp"; did you mean "shop"?'],
    [
      '{ key: [shop, «kind»] }',
      'key: kind is optional, and no change can be without it: declare it required, or with a default',
    ],
    ['{ key: «[]» }', 'key: got 0, wanted 1 to 8 inputs'],
    ['{ key: «[shop, shop]» }', 'key: got one of them twice, wanted 1 to 8 inputs'],
    ['{ key: shop, deleted: «cents» }', 'deleted: wanted an input that is bool or string, and cents is int64'],
    ['{ op: op, time: «op» }', 'time: wanted an input that is time, and op is string'],
    [
      '{ op: op, time: «seen» }',
      'time: seen is optional, and no change can be without it: declare it required, or with a default',
    ],
    ['{ op: «5» }', 'op: got 5, wanted the input that holds +I, -U, +U or -D'],
    ['{ op: op, «tme»: at }', 'unknown key "tme"; did you mean "time"?'],
    ['{ format: «avro» }', 'format: got "avro", wanted debezium'],
    ['{ format: debezium, time: «cents» }', 'time: wanted an input that is time, and cents is int64'],
  ])('%s', async (changelog, message) => {
    const { text, expected } = unmark('0.yaml', EVENT(changelog), [message]);
    expect(await faultsOf(text)).toEqual(expected);
  });

  test('aggregates that cannot take a row back, each at its place', async () => {
    const items = '«MAX»(cents) AS a, COUNT(*) AS n, «last»(cents) AS b, «LAST_N»(cents, 3) AS c, SUM(cents) AS s';
    const why = (label: string) =>
      `${label} over order is not supported: it is a changelog, and ${label} cannot take a row back; COUNT, SUM and AVG can`;
    const { text, expected } = unmark('1.yaml', SET(items), [why('MAX'), why('LAST'), why('LAST_N')]);
    expect(await faultsOf(EVENT('{ op: op }'), text)).toEqual(expected);
    expect(await faultsOf(EVENT('string?'), text)).toEqual([]);
  });

  test('of all that are monotone', async () => {
    const monotone = [
      ...[
        'MIN(cents)',
        'MAX(cents)',
        'FIRST(cents)',
        'LAST(cents)',
        'LAST_N(cents, 3)',
        'MAX(cents, 2)',
        'TOP_N(cents, 2)',
      ],
      ...[
        'FIRST_N(cents, 3)',
        'LAST_N(DISTINCT cents, 3)',
        'LIST(cents)',
        'LIST(DISTINCT cents)',
        'ARG_MAX(cents, op)',
      ],
      ...['ARG_MIN(cents, op, 2)', 'APPROX_COUNT_DISTINCT(cents)', 'TIME_SINCE_LAST()'],
    ];
    const faults = await faultsOf(EVENT('{ op: op }'), SET(monotone.map((call, i) => `${call} AS m${i}`).join(', ')));
    expect(faults.length).toBe(monotone.length);
    // All of them are here, by the names that plans have.
    const isHere = new Set(monotone.flatMap(call => call.slice(0, call.indexOf('('))));
    const missing = AGGREGATES.filter(({ name, names }) => !LINEAR[name] && !names.some(one => isHere.has(one)));
    expect(missing.map(({ name }) => name)).toEqual(['lastDistinct', 'set']);
    expect(Object.values(LINEAR).includes(true)).toBe(true);
  });
});
