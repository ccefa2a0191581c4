import { describe, expect, test } from 'bun:test';
import type { Expression, Window } from '../../src/plan/expression.ts';
import type { Aggregate, Feature, FeatureSet, Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, STRING, type Value } from '../../src/plan/value.ts';
import {
  aggregate,
  call,
  column,
  DAY_MS,
  feature,
  HOUR_MS,
  lastN,
  LIFETIME,
  literal,
  optional,
  plan,
  read,
  sliding,
} from './fixtures/spell.ts';
import { type Log, parseLog } from './log.ts';
import { type Answer, eventRow, now, value } from './naive.ts';

const MINUTE_MS = 60_000;
const NOON = 978_350_400_000_000n; // 2001-01-01T12:00:00Z
const MINUTE = 60_000_000n;
const HOUR = 60n * MINUTE;
const DAY = 24n * HOUR;

const key = column('key', STRING);
const x = column('x', INT64);
const set: FeatureSet = {
  ...{ name: 's', description: '', owner: '', entity: 'thing', event: 'e', keys: [key], sql: '', at: null },
};

/** Event `e` of a key, an int64 `x` and a weight `w` (1 by default, if `weighted`), and these features of it. */
function thingPlan(aggregates: Aggregate[], features: [name: string, Expression][], weighted = false): Plan {
  const w = { ...optional('w', INT64), presence: { kind: 'default', value: 1n } } as const;
  const inputs = [optional('key', STRING), optional('x', INT64), w];
  const weight = weighted ? column('w', INT64) : null;
  return plan({
    events: [{ name: 'e', inputs, columns: [], onFault: 'reject', weight, at: null }],
    entities: [{ name: 'thing', keys: [STRING], at: null }],
    aggregates,
    sets: [set],
    features: features.map(([name, expression]): Feature => feature(set, name, expression)),
  });
}

/** One aggregate of each function over x, and a feature of the same name over one window. */
function everyPlan(window: Window, weighted = false): Plan {
  const all = [
    aggregate('events', 'e', [key], 'count', null),
    aggregate('count', 'e', [key], 'count', x),
    aggregate('sum', 'e', [key], 'sum', x),
    aggregate('avg', 'e', [key], 'avg', x),
    aggregate('min', 'e', [key], 'min', x),
    aggregate('max', 'e', [key], 'max', x),
    aggregate('first', 'e', [key], 'first', x),
    aggregate('last', 'e', [key], 'last', x),
    aggregate('unique', 'e', [key], 'countUnique', x),
  ];
  return thingPlan(
    all,
    all.map(a => [a.name, read(a.name, a.type, { window })]),
    weighted,
  );
}

/** [time, data] of each event. */
function logOf(of: Plan, events: [time: bigint, data: object][]): Log {
  const lines = events.map(([time, data]) => `{"type":"e","time":${time / 1000n},"data":${JSON.stringify(data)}}`);
  return parseLog(lines.join('\n'), of, { clock: 'event', maxJumpMs: 31 * DAY_MS });
}

/** All features of key `a`, as of the last event or another moment. */
function all(of: Plan, log: Log, p = log.records.length - 1, t = now(log, p)): { [feature: string]: Value } {
  const entries = of.features.map(f => [f.name.slice(2), value(of, log, f.name, ['a'], p, t)] as const);
  const status = (answer: Answer) => (answer.status === null ? answer.value : `${answer.value} ${answer.status}`);
  return Object.fromEntries(entries.map(([name, answer]) => [name, status(answer)]));
}

describe('aggregates', () => {
  const lifetime = everyPlan(LIFETIME);

  test('pass over nulls, and other keys', () => {
    const log = logOf(lifetime, [
      [NOON, { key: 'a', x: 5 }],
      [NOON, { key: 'a' }],
      [NOON, { key: 'b', x: 100 }],
      [NOON, { key: null, x: 100 }],
      [NOON, { key: 'a', x: 2 }],
      [NOON, { key: 'a', x: 5 }],
    ]);
    expect(all(lifetime, log)).toEqual({
      ...{ events: 4n, count: 3n, sum: 12n, avg: 4, min: 2n, max: 5n, first: 5n, last: 5n, unique: 2n },
    });
    expect(all(lifetime, log, 1)).toEqual({
      ...{ events: 2n, count: 1n, sum: 5n, avg: 5, min: 5n, max: 5n, first: 5n, last: 5n, unique: 1n },
    });
  });

  test('of nothing but nulls: found, though empty', () => {
    expect(all(lifetime, logOf(lifetime, [[NOON, { key: 'a' }]]))).toEqual({
      ...{ events: 1n, count: 0n, sum: 0n, avg: null, min: null, max: null, first: null, last: null, unique: 0n },
    });
  });

  test('of nothing: NOT_FOUND, count and sum 0', () => {
    const expected = {
      ...{ events: '0 NOT_FOUND', count: '0 NOT_FOUND', sum: '0 NOT_FOUND', avg: 'null NOT_FOUND' },
      ...{ min: 'null NOT_FOUND', max: 'null NOT_FOUND', first: 'null NOT_FOUND', last: 'null NOT_FOUND' },
      unique: '0 NOT_FOUND',
    };
    expect(all(lifetime, logOf(lifetime, [[NOON, { key: 'b', x: 1 }]]))).toEqual(expected);
    expect(all(lifetime, logOf(lifetime, []), -1, 0n)).toEqual(expected);
    expect(value(lifetime, logOf(lifetime, []), 's:sum', [null], -1, 0n)).toEqual({ value: null, status: 'NOT_FOUND' });
  });

  test('first and last go by time, then by position', () => {
    const log = logOf(lifetime, [
      [NOON + MINUTE, { key: 'a', x: 1 }],
      [NOON, { key: 'a', x: 2 }],
      [NOON, { key: 'a', x: 3 }],
      [NOON + MINUTE, { key: 'a', x: 4 }],
    ]);
    expect(all(lifetime, log)).toMatchObject({ first: 2n, last: 4n });
    expect(all(lifetime, log, 2)).toMatchObject({ first: 2n, last: 1n });
  });

  test('a sum beyond int64 is null with OVERFLOW, and comes back', () => {
    const weights = everyPlan(LIFETIME, true);
    const lines = ['9223372036854775807', '1', '1'].map(
      (number, i) => `{"type":"e","time":0,"data":{"key":"a","x":${number},"w":${i === 2 ? -1 : 1}}}`,
    );
    const log = parseLog(lines.join('\n'), weights, { clock: 'event', maxJumpMs: 1 });
    expect(all(weights, log, 0)).toMatchObject({ sum: 2n ** 63n - 1n, avg: 2 ** 63 });
    expect(all(weights, log, 1)).toMatchObject({ sum: 'null OVERFLOW', avg: 2 ** 62 });
    expect(all(weights, log, 2)).toMatchObject({ sum: 2n ** 63n - 1n, count: 1n });
  });

  test('weights: 3 - 3 + 5 is 5, and an event undone is found all the same', () => {
    const weights = everyPlan(LIFETIME, true);
    const log = logOf(weights, [
      [NOON, { key: 'a', x: 3 }],
      [NOON, { key: 'a', x: 3, w: -1 }],
      [NOON, { key: 'a', x: 5 }],
      [NOON, { key: 'a', x: 5 }],
    ]);
    expect(all(weights, log, 1)).toMatchObject({ events: 0n, sum: 0n, avg: null, unique: 0n });
    expect(all(weights, log, 2)).toMatchObject({ events: 1n, sum: 5n, avg: 5, unique: 1n });
    expect(all(weights, log, 3)).toMatchObject({ events: 2n, sum: 10n, unique: 1n });
  });

  test('lastN is a list of the latest values, the latest first, ties by position, nulls passed over', () => {
    const latest = lastN('l', 'e', [key], x, 3);
    const of = thingPlan([latest], [['l', read('l', latest.type)]]);
    const log = logOf(of, [
      [NOON, { key: 'b', x: 9 }],
      [NOON, { key: 'a', x: 1 }],
      [NOON, { key: 'a', x: 2 }],
      [NOON + 1000n, { key: 'a' }],
      [NOON - 1000n, { key: 'a', x: 3 }],
      [NOON + 2000n, { key: 'a', x: 4 }],
      [NOON - 2000n, { key: 'a', x: 5 }],
    ]);
    const asked = [0, 1, 3, 4, 5, 6].map(p => value(of, log, 's:l', ['a'], p, now(log, p)));
    expect(asked).toEqual([
      { value: [], status: 'NOT_FOUND' },
      { value: [1n], status: null },
      { value: [2n, 1n], status: null },
      { value: [2n, 1n, 3n], status: null },
      { value: [4n, 2n, 1n], status: null },
      { value: [4n, 2n, 1n], status: null },
    ]);
  });

  test('countUnique beyond its limit is null with OVERFLOW', () => {
    const bounded = aggregate('u', 'e', [key], 'countUnique', x, {
      fn: { name: 'countUnique', args: [x], limit: 2, params: [] },
    });
    const of = thingPlan([bounded], [['u', read('u', INT64)]]);
    const log = logOf(
      of,
      [1, 2, 1, 3].map(n => [NOON, { key: 'a', x: n }]),
    );
    expect([2, 3].map(p => all(of, log, p))).toEqual([{ u: 2n }, { u: 'null OVERFLOW' }]);
  });

  test('where: only what is true counts, null does not', () => {
    const where = call('greater', BOOL, x, literal(2n));
    const of = thingPlan([aggregate('n', 'e', [key], 'count', null, { where })], [['n', read('n', INT64)]]);
    const log = logOf(of, [
      [NOON, { key: 'a', x: 2 }],
      [NOON, { key: 'a' }],
      [NOON, { key: 'a', x: 3 }],
    ]);
    expect([1, 2].map(p => all(of, log, p))).toEqual([{ n: '0 NOT_FOUND' }, { n: 1n }]);
  });
});

describe('sliding windows', () => {
  const twoHours = everyPlan(sliding(2 * HOUR_MS, MINUTE_MS));
  const sum = (log: Log, p: number, t: bigint) => all(twoHours, log, p, t).sum!;

  test('start at floor(t - W, r), and have no end but the prefix', () => {
    const log = logOf(twoHours, [
      [NOON - 1000n, { key: 'a', x: 1 }],
      [NOON, { key: 'a', x: 10 }],
      [NOON + 2n * HOUR + 59n * 1_000_000n, { key: 'a', x: 100 }],
    ]);
    // As of 14:00:59.999 the window starts at 12:00:00, as of 14:01 at 12:01.
    expect(sum(log, 2, NOON + 2n * HOUR + MINUTE - 1000n)).toBe(110n);
    expect(sum(log, 2, NOON + 2n * HOUR + MINUTE)).toBe(100n);
    // As of 13:59:59.999 it starts at 11:59, and what is later than 13:59:59.999 counts.
    expect(sum(log, 2, NOON + 2n * HOUR - 1000n)).toBe('111 WARMING');
    expect(sum(log, 1, NOON + 2n * HOUR - 1000n)).toBe('11 WARMING');
  });

  test('that start before the clock first showed something are WARMING, where anything counted', () => {
    const log = logOf(twoHours, [
      [NOON + 30n * DAY, { key: 'a' }],
      [NOON, { key: 'a', x: 1 }],
      [NOON + 30n * DAY + 2n * HOUR, { key: 'a' }],
    ]);
    // An event before that does not make the type known earlier: as of 14:00 the window starts when the clock did.
    expect(sum(log, 2, NOON + 30n * DAY + 2n * HOUR - 1n)).toBe('0 WARMING');
    expect(sum(log, 2, NOON + 30n * DAY + 2n * HOUR)).toBe(0n);
    expect(value(twoHours, log, 's:sum', ['b'], 2, NOON + 30n * DAY + HOUR)).toEqual({
      value: 0n,
      status: 'NOT_FOUND',
    });
    expect(all(everyPlan(LIFETIME), log, 0)).toMatchObject({ events: 1n });
    const faulty = logOf(twoHours, [
      [NOON, { key: 'a', x: 'no' }],
      [NOON + 2n * HOUR, { key: 'a', x: 1 }],
    ]);
    expect(faulty.records[0]!.bad).not.toBeNull();
    // Bad for its inputs, but it moved the clock.
    expect(sum(faulty, 1, NOON + 2n * HOUR)).toBe(1n);
  });

  test('tiles may be shifted', () => {
    // Days that start at 05:30: as of 12:00 on the 2nd, one day back is 05:30 on the 1st.
    const tiles = { levelsMs: [DAY_MS], offsetMs: 5.5 * HOUR_MS };
    const one = aggregate('n', 'e', [key], 'count', null, { tiles });
    const of = thingPlan([one], [['n', read('n', INT64, { window: sliding(DAY_MS, DAY_MS) })]]);
    const start = NOON - 6n * HOUR - 30n * MINUTE;
    const log = logOf(of, [
      [start - 1000n, { key: 'a' }],
      [start, { key: 'a' }],
      [NOON + DAY, { key: 'b' }],
    ]);
    expect(all(of, log)).toEqual({ n: 1n });
  });

  test('read earlier than lateness allows: EXPIRED, but for the lifetime', () => {
    const log = logOf(twoHours, [[NOON, { key: 'a', x: 1 }]]);
    expect(sum(log, 0, NOON - HOUR)).toBe('1 WARMING');
    expect(sum(log, 0, NOON - HOUR - 1n)).toBe('null EXPIRED');
    expect(value(twoHours, log, 's:sum', ['nobody'], 0, NOON - HOUR - 1n).status).toBe('EXPIRED');
    const lifetime = everyPlan(LIFETIME);
    expect(all(lifetime, logOf(lifetime, [[NOON, { key: 'a', x: 1 }]]), 0, 0n)).toMatchObject({ sum: 1n });
  });

  test('an event whose tile had expired on arrival is dropped, even where the clock goes back', () => {
    // Tiles of a minute live 2 h + 1 min + 1 h past their start. The second record arrives just then.
    const ttl = 3n * HOUR + MINUTE;
    const fold = (arrival: bigint) =>
      parseLog(
        [NOON, NOON].map(time => `{"type":"e","time":${time / 1000n},"data":{"key":"a","x":1}}`).join('\n'),
        twoHours,
        {
          clock: 'wall',
          maxJumpMs: 1,
          arrivals: [NOON, arrival],
        },
      );
    // Read at noon, as by a clock that was put back; the lateness is asked of the type's clock, so all but a lookup
    // through the first record alone would be EXPIRED. Therefore a third record brings the clock back.
    const back = (log: Log): Log => ({ ...log, records: [...log.records, { ...log.records[0]!, position: 2 }] });
    expect(sum(back(fold(NOON + ttl - 1n)), 2, NOON)).toBe('3 WARMING');
    expect(sum(back(fold(NOON + ttl)), 2, NOON)).toBe('2 WARMING');
  });
});

describe('derived features', () => {
  test('have the gravest status of what they refer to where they are null, else only say WARMING', () => {
    const window = sliding(2 * HOUR_MS, MINUTE_MS);
    const features: [string, Expression][] = [
      ['sum', read('sum', INT64)],
      ['recent', read('sum', INT64, { window })],
      ['events', read('events', INT64)],
      ['rate', call('divide', DOUBLE, column('s:sum', INT64), column('s:events', INT64))],
      ['both', call('add', INT64, column('s:sum', INT64), column('s:recent', INT64))],
      ['kept', call('coalesce', INT64, column('s:sum', INT64), literal(-1n))],
      ['same', column('s:events', INT64)],
      ['twice', call('add', DOUBLE, column('s:rate', DOUBLE), column('s:rate', DOUBLE))],
      ['direct', call('divide', DOUBLE, read('sum', INT64), read('events', INT64))],
    ];
    const { aggregates } = everyPlan(LIFETIME);
    const of = thingPlan(aggregates, features);
    expect(all(of, logOf(of, []), -1, 0n)).toEqual({
      ...{ sum: '0 NOT_FOUND', recent: '0 NOT_FOUND', events: '0 NOT_FOUND', rate: 'null NOT_FOUND', both: 0n },
      ...{ kept: 0n, same: 0n, twice: 'null NOT_FOUND', direct: 'null NOT_FOUND' },
    });
    const max = '9223372036854775807';
    const lines = [max, max].map(n => `{"type":"e","time":${NOON / 1000n},"data":{"key":"a","x":${n}}}`);
    const log = parseLog(lines.join('\n'), of, { clock: 'event', maxJumpMs: 1 });
    // Once: 2^63 - 1 twice in `both` overflows in the expression, which has no status of its own, but that of `recent`.
    expect(all(of, log, 0)).toMatchObject({
      ...{ sum: 2n ** 63n - 1n, recent: `${2n ** 63n - 1n} WARMING`, rate: 2 ** 63, both: 'null WARMING' },
      ...{ kept: 2n ** 63n - 1n, direct: 2 ** 63 },
    });
    expect(all(of, log, 1, NOON - 2n * HOUR)).toEqual({
      ...{ sum: 'null OVERFLOW', recent: 'null EXPIRED', events: 2n, rate: 'null OVERFLOW', both: 'null OVERFLOW' },
      ...{ kept: -1n, same: 2n, twice: 'null OVERFLOW', direct: 'null OVERFLOW' },
    });
  });
});

test('a lattice of features, each made of the one below it twice, is as deep as it likes', () => {
  const deep = Array.from({ length: 60 }, (_, i): [string, Expression] => {
    const below = i === 0 ? read('n', INT64, { window: LIFETIME }) : column(`s:f${i - 1}`, INT64);
    return [`f${i}`, call('subtract', INT64, call('add', INT64, below, below), below)];
  });
  const of = thingPlan([aggregate('n', 'e', [key], 'count', null)], deep);
  const log = logOf(of, [[NOON, { key: 'a' }]]);
  expect(value(of, log, 's:f59', ['a'], 0, NOON)).toEqual({ value: 1n, status: null });
  const columns = Array.from({ length: 60 }, (_, i) => {
    const below = i === 0 ? x : column(`c${i - 1}`, INT64);
    return { name: `c${i}`, expression: call('subtract', INT64, call('add', INT64, below, below), below) };
  });
  const event = { ...of.events[0]!, columns };
  expect(eventRow({ ...of, events: [event] }, logOf(of, [[NOON, { key: 'a', x: 7 }]]), 0)!.c59).toBe(7n);
});
