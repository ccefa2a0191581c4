import { describe, expect, test } from 'bun:test';
import type { Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME } from '../../src/plan/value.ts';
import { optional, plan, required } from './fixtures/spell.ts';
import { parseLog } from './log.ts';
import { now } from './naive.ts';

const EVENT_CLOCK = { clock: 'event', maxJumpMs: 31 * 86_400_000 } as const;
const NEW_YEAR = 978_307_200_000_000n;
const MINUTE = 60_000_000n;
const DAY = 1440n * MINUTE;

/** Event `e` with one input of each kind, `code` required, `count` with a default, `deep` further down. */
function anyPlan(onFault: 'reject' | 'null' = 'reject'): Plan {
  const inputs = [
    required('code', STRING),
    { ...required('count', INT64), presence: { kind: 'default', value: 7n } } as const,
    optional('ok', BOOL),
    optional('real', DOUBLE),
    optional('when', TIME),
    { ...optional('deep', INT64), path: ['a', 'b'] },
  ];
  const event = { name: 'e', inputs, columns: [], onFault, weight: null, at: null };
  return plan({ events: [event, { ...event, name: 'other', inputs: [] }] });
}

/** Of lines that are one record each: what came of it. */
function fates(lines: (string | Uint8Array)[]): string[] {
  return lines.map(line => {
    const log = parseLog(line, anyPlan(), EVENT_CLOCK);
    if (log.rejected.length > 0) return log.rejected[0]!.reason;
    return log.records.length === 1 ? `at ${log.records[0]!.time}` : 'nothing';
  });
}

function record(data: string, time = '"2001-01-01T00:00:00Z"', type = 'e'): string {
  return `{"type":"${type}","time":${time},"data":${data}}`;
}

/** The inputs of one event with this data, or why it is bad. */
function inputs(data: string, onFault: 'reject' | 'null' = 'reject') {
  const [one] = parseLog(record(data), anyPlan(onFault), EVENT_CLOCK).records;
  return one!.bad ?? one!.inputs;
}

describe('at the door', () => {
  test('nested and flat form', () => {
    const at = `at ${NEW_YEAR}`;
    expect(
      fates([
        '{"type":"e","time":"2001-01-01T00:00:00Z"}',
        '{"_type":"e","_time":"2001-01-01T00:00:00Z","_id":"x"}',
        '{"type":null,"_type":"e","time":0,"_time":0}',
        '{"_type":"e","time":"2001-01-01T00:00:00Z"}',
        '{"type":"","time":0}',
        '{"type":1,"time":0}',
        '{"type":"e"}',
        '[]',
        '',
        ' \t\r',
        '\ufeff{"type":"e","time":0}',
        '{"type":"e","time":0,}',
        '{"t\\u0079pe":"\\u0065","time":0}\r',
        '{"type":1,"time":"never","type":"e","time":0}',
      ]),
    ).toEqual([
      ...[at, at, 'no type', 'no time', 'no type', 'no type', 'no time', 'not an object', 'nothing', 'nothing'],
      ...['not JSON', 'not JSON', 'at 0', 'at 0'],
    ]);
  });

  test('lines too long, too deep, or of broken UTF-8', () => {
    const utf8 = (...bytes: number[]) =>
      new Uint8Array([...Buffer.from('{"type":"e","time":0,"x":"'), ...bytes, 0x22, 0x7d]);
    const deep = (depth: number) => `{"type":"e","time":0,"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
    const long = (size: number) => '{"type":"e","time":0}'.padEnd(size);
    expect(
      fates([
        utf8(0xc3, 0xa9),
        utf8(0xff),
        utf8(0xed, 0xa0, 0x80),
        deep(64),
        deep(65),
        long(1 << 20),
        long((1 << 20) + 1),
      ]),
    ).toEqual(['at 0', 'not UTF-8', 'not UTF-8', 'at 0', 'too deep', 'at 0', 'too long']);
  });

  test('times', () => {
    const times: [string, string][] = [
      ['"2001-01-01T00:00:00"', `at ${NEW_YEAR}`],
      ['"2001-01-01 00:00:00z"', `at ${NEW_YEAR}`],
      ['"2001-01-01t02:00:00.1234569+02:00"', `at ${NEW_YEAR + 123_456n}`],
      ['"2000-12-31T23:30:00-00:30"', `at ${NEW_YEAR}`],
      ['"2000-02-29T00:00:00Z"', 'at 951782400000000'],
      ['"0000-01-01T00:00:00Z"', 'at -62167219200000000'],
      ['"9999-12-31T23:59:59.999999Z"', 'at 253402300799999999'],
      ['978307200000', `at ${NEW_YEAR}`],
      ['9.783072e11', `at ${NEW_YEAR}`],
      ['-1', 'at -1000'],
      ['978307200000.5', 'no time'],
      ['253402300800000', 'no time'],
      ['"1900-02-29T00:00:00Z"', 'no time'],
      ['"2001-01-01T24:00:00Z"', 'no time'],
      ['"2001-01-01T00:00:60Z"', 'no time'],
      ['"2001-01-01T00:00:00.Z"', 'no time'],
      ['"2001-01-01T00:00:00.0123456789Z"', 'no time'],
      ['"2001-01-01"', 'no time'],
      ['null', 'no time'],
    ];
    expect(fates(times.map(([time]) => record('{}', time)))).toEqual(times.map(([, fate]) => fate));
  });

  test('positions count records, not lines', () => {
    const log = parseLog(['x', record('{}'), '', record('{}', '0', 'stranger')].join('\n'), anyPlan(), EVENT_CLOCK);
    expect(log.records.map(r => [r.position, r.line, r.type])).toEqual([
      [0, 2, 'e'],
      [1, 4, 'stranger'],
    ]);
    expect(log.rejected).toEqual([{ line: 1, reason: 'not JSON' }]);
  });
});

describe('inputs', () => {
  test('missing and null: a default, null, or a bad event', () => {
    const empty = { code: 'x', count: 7n, ok: null, real: null, when: null, deep: null };
    expect(inputs('{"code":"x"}')).toEqual(empty);
    expect(inputs('{"code":"x","count":null,"ok":null,"a":null}')).toEqual(empty);
    expect(inputs('{"code":"x","a":{"b":null}}')).toEqual(empty);
    expect(inputs('{"code":null}')).toBe('code: required, but null');
    expect(inputs('{}')).toBe('code: required, but missing');
    expect(inputs('null')).toBe('code: required, but missing');
    expect(inputs('[]')).toBe('data is not an object');
  });

  test('values', () => {
    expect(inputs('{"code":"\\ud800\\u0041","count":1e2,"ok":false,"real":1e400,"when":1.0,"a":{"b":3}}')).toEqual({
      ...{ code: '\ufffdA', count: 100n, ok: false, real: Number.POSITIVE_INFINITY, when: 1000n, deep: 3n },
    });
    expect(inputs('{"code":"x","count":9007199254740993,"count":9007199254740995}')).toMatchObject({
      count: 9007199254740995n,
    });
    expect(inputs('{"code":"x","constructor":1,"__proto__":{"count":2}}')).toMatchObject({ count: 7n });
  });

  test('of the wrong type', () => {
    expect(inputs('{"code":5}')).toBe('code: expected string');
    expect(inputs('{"code":"x","count":"5"}')).toBe('count: expected int64');
    expect(inputs('{"code":"x","count":1.5}')).toBe('count: expected int64');
    expect(inputs('{"code":"x","count":9223372036854775808}')).toBe('count: expected int64');
    expect(inputs('{"code":"x","ok":0}')).toBe('ok: expected bool');
    expect(inputs('{"code":"x","when":"noon"}')).toBe('when: expected time');
    expect(inputs('{"code":"x","a":5}')).toBe('a.b: a step of the path is not an object');
  });

  test('with onFault null only the value is lost', () => {
    const [one] = parseLog(record('{"count":"5","ok":0,"real":2}'), anyPlan('null'), EVENT_CLOCK).records;
    expect(one!.bad).toBeNull();
    expect(one!.inputs).toEqual({ code: null, count: 7n, ok: null, real: 2, when: null, deep: null });
    expect(one!.faults).toEqual([
      { input: 'code', path: 'code', text: 'required input missing' },
      { input: 'count', path: 'count', text: 'expected int' },
      { input: 'ok', path: 'ok', text: 'expected bool' },
    ]);
  });
});

describe('clocks', () => {
  const at = (time: bigint, type = 'e', data = '{"code":"x"}') => record(data, `${time / 1000n}`, type);

  test('event clock: the greatest time of the type, faulty events too, jumps and strangers not', () => {
    const log = parseLog(
      [
        at(NEW_YEAR),
        at(NEW_YEAR - DAY),
        at(NEW_YEAR + MINUTE, 'e', '{}'),
        at(NEW_YEAR + MINUTE + 31n * DAY + 1000n),
        at(NEW_YEAR + 90n * DAY, 'stranger'),
        at(NEW_YEAR + 60n * DAY, 'other'),
        at(NEW_YEAR + MINUTE + 31n * DAY),
      ].join('\n'),
      anyPlan(),
      EVENT_CLOCK,
    );
    const bad = log.records.map(r => r.bad);
    expect(bad).toEqual([null, null, 'code: required, but missing', 'jumps ahead', 'undeclared type', null, null]);
    const minutes = (time: bigint | null) => (time === null ? null : Number((time - NEW_YEAR) / MINUTE));
    expect(log.records.map(r => minutes(r.clock))).toEqual([0, 0, 1, 1, null, 60 * 1440, 31 * 1440 + 1]);
    expect(log.records.map(r => minutes(now(log, r.position)))).toEqual([0, 0, 1, 1, 1, 60 * 1440, 60 * 1440]);
    expect(now(log, -1)).toBe(0n);
  });

  test('event clock: the third of three times in a row that jump and are near each other moves it', () => {
    const days = (...times: number[]) =>
      parseLog(times.map(day => at(NEW_YEAR + BigInt(day) * DAY)).join('\n'), anyPlan(), EVENT_CLOCK).records.map(
        ({ bad, clock, since }) => {
          expect(since).toBe(NEW_YEAR + BigInt(times[0]!) * DAY);
          return `${bad ? 'bad' : 'good'} ${(clock! - NEW_YEAR) / DAY}`;
        },
      );
    expect(days(0, 90, 91, 121, 122)).toEqual(['good 0', 'bad 0', 'bad 0', 'good 121', 'good 122']);
    // 90 and 122 are too far from each other; of the latest three times no two are.
    expect(days(0, 90, 91, 122, 92, 93)).toEqual(['good 0', 'bad 0', 'bad 0', 'bad 0', 'good 92', 'good 93']);
    // The same time again says nothing, and a good record in between ends the row.
    expect(days(0, 90, 91, 90, 91, 90)).toEqual(['good 0', ...new Array(5).fill('bad 0')]);
    expect(days(0, 90, 91, 1, 92, 93)).toEqual(['good 0', 'bad 0', 'bad 0', 'good 1', 'bad 1', 'bad 1']);
    expect(days(0, 9000, 90, 91, 92)).toEqual(['good 0', 'bad 0', 'bad 0', 'bad 0', 'good 92']);
  });

  test('now before 1970 is before 1970', () => {
    expect(now(parseLog(at(-DAY), anyPlan(), EVENT_CLOCK), 0)).toBe(-DAY);
    expect(now(parseLog(at(-DAY, 'stranger'), anyPlan(), EVENT_CLOCK), 0)).toBe(0n);
  });

  test('wall clock: the arrival, but for events over ten minutes ahead of theirs', () => {
    const arrivals = [0n, 1n, 2n, 3n].map(i => NEW_YEAR + i * MINUTE);
    const log = parseLog(
      [
        at(NEW_YEAR + 10n * MINUTE),
        at(NEW_YEAR + 11n * MINUTE + 1000n),
        at(NEW_YEAR - 99n * DAY),
        at(0n, 'stranger'),
      ].join('\n'),
      anyPlan(),
      { clock: 'wall', maxJumpMs: 1, arrivals },
    );
    expect(log.records.map(r => r.bad)).toEqual([null, 'ahead of its arrival', null, 'undeclared type']);
    expect(log.records.map(r => r.clock)).toEqual([arrivals[0]!, arrivals[0]!, arrivals[2]!, null]);
    expect(log.records.map(r => now(log, r.position))).toEqual(arrivals);
  });
});

describe('with onFault convert', () => {
  const inputs = [
    required('a', INT64),
    { ...required('b', INT64), presence: { kind: 'default', value: 0n } as const },
    optional('c', DOUBLE),
    optional('d', BOOL),
    optional('e', STRING),
    optional('f', TIME),
  ];
  const event = { name: 'e', inputs, columns: [], onFault: 'convert', weight: null, at: null } as const;
  const converting = plan({ events: [{ ...event, inputs: [...inputs], columns: [] }] });
  const missing = 'a: required input missing';
  const isNull = 'a: required input is null';
  const rest = [null, null];

  test.each([
    ['{"a":"5","b":"5","c":"1.5","d":"true"}', [5n, 5n, 1.5, true, ...rest], []],
    [
      '{"a":5.6,"b":-5.6,"c":2,"d":"no"}',
      [5n, -5n, 2, null, ...rest],
      ['a: loss of precision', 'b: loss of precision', 'd: expected bool'],
    ],
    ['{"a":null,"b":null,"c":null}', [null, 0n, null, null, ...rest], [isNull]],
    ['{"a":"null","b":"null","c":"null","d":"null","e":"null","f":"null"}', [null, 0n, null, null, ...rest], [isNull]],
    ['{}', [null, 0n, null, null, ...rest], [missing]],
    [
      '{"a":"bar","b":"bar","c":"bar"}',
      [null, 0n, null, null, ...rest],
      ['a: expected int', 'b: expected int', 'c: expected float'],
    ],
    ['{"a":"1e2","b":"9223372036854775808"}', [100n, 0n, null, null, ...rest], ['b: expected int']],
    [
      '{"a":"9007199254740993.75","b":-0.5}',
      [9007199254740993n, 0n, null, null, ...rest],
      ['a: loss of precision', 'b: loss of precision'],
    ],
    [
      '{"a":9223372036854775807.9,"b":1e-400}',
      [2n ** 63n - 1n, 0n, null, null, ...rest],
      ['a: loss of precision', 'b: loss of precision'],
    ],
    ['{"a":0,"e":5.0,"f":"2001-01-01"}', [0n, 0n, null, null, '5.0', NEW_YEAR], []],
    ['{"a":0,"e":false,"f":"978307200000"}', [0n, 0n, null, null, 'false', NEW_YEAR], []],
    ['{"a":0,"e":"Null","f":"978307200000.5"}', [0n, 0n, null, null, 'Null', null], ['f: expected time']],
    [
      '{"a":" 5","e":[5],"c":"NaN"}',
      [null, 0n, null, null, ...rest],
      ['a: expected int', 'c: expected float', 'e: expected string'],
    ],
  ])('%s', (data, values, faults) => {
    const line = `{"type":"e","time":0,"data":${data}}`;
    const [record] = parseLog(line, converting, { clock: 'event', maxJumpMs: 1 }).records;
    expect(record!.bad).toBeNull();
    expect(Object.values(record!.inputs)).toEqual(values);
    expect(record!.faults.map(({ path, text }) => `${path}: ${text}`)).toEqual(faults);
  });
});
