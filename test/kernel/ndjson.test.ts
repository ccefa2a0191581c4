/** The reader of NDJSON, judged by JSON.parse, TextDecoder and Date.parse, and by the oracle, which stands on them. */
import { describe, expect, test } from 'bun:test';
import {
  BOOL,
  type Field,
  INT64,
  OPTIONAL,
  REQUIRED,
  STRING,
  TIME,
  type Type,
  type Value,
} from '../../src/plan/value.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, type Decoded, decodeBlock, decodingLayout, eventType, joined } from './columns.ts';
import { damage, JsonText, NUMBERS, TIMES } from './json_text.ts';
import { judgeLines } from './judge.ts';

const LINE_MAX_BYTES = 1 << 20;
const BATCH_ROWS = 4096;

function input(name: string, type: Type, path = [name], presence: Field['presence'] = OPTIONAL): Field {
  return { name, path, type, presence };
}

/** Mostly good, with paths that go deep and two inputs on one path. */
const EVENT = eventType('ev', [
  input('i', INT64),
  input('s', STRING),
  input('b', BOOL),
  input('t', TIME),
  input('n', INT64, ['o', 'n']),
  input('q', STRING, ['o', 'p', 'q']),
  input('fallback', INT64, ['f'], { kind: 'default', value: -7n }),
  input('must', STRING, ['s'], { kind: 'default', value: 'none' }),
  input('empty', STRING, ['']),
]);
/** A path that is both a leaf and the way to another. */
const BOTH = eventType('both', [input('leaf', STRING, ['o']), input('deeper', INT64, ['o', 'n'])]);
const FOREIGN = eventType('größe', [input('höhe', INT64, ['höhe', '高さ']), input('\u{1f600}', STRING)]);
const STRICT = eventType('strict', [input('i', INT64, ['i'], REQUIRED), input('s', STRING, ['o', 's'], REQUIRED)]);
const EVENTS = [EVENT, BOTH, FOREIGN, STRICT];
const NAMES = ['type', 'time', 'data', 'i', 's', 'b', 't', 'o', 'f', '', 'höhe', '\u{1f600}', '__proto__', 'toString'];

const lay = decodingLayout(EVENTS);

async function decode(bytes: Uint8Array | string): Promise<Decoded> {
  return decodeBlock(await lay, typeof bytes === 'string' ? bytesOf(bytes) : bytes);
}

/** Members of an event's data: of the right type more often than not. */
function dataOf(json: JsonText, rng: Random): [string, string][] {
  const scalar = (good: string) => (rng.chance(0.9) ? good : json.value(1));
  const inner = json.object(
    json.shuffled([
      ['n', scalar(rng.pick(NUMBERS))],
      ['p', scalar(json.object([['q', scalar(json.spell(json.text()))], ...some(json, rng)]))],
      ...some(json, rng),
    ]),
  );
  return json.shuffled([
    ['i', scalar(rng.pick(NUMBERS.slice(0, 6)))],
    ['s', scalar(json.spell(json.text()))],
    ['b', scalar(rng.pick(['true', 'false', 'null']))],
    ['t', scalar(rng.chance(0.5) ? json.spell(rng.pick(TIMES.slice(0, 5))) : '1234567890123')],
    ['o', scalar(inner)],
    ['f', scalar(rng.pick(['12', 'null', '1e3']))],
    ['höhe', json.object([['高さ', scalar('1')]])],
    ['\u{1f600}', scalar(json.spell(json.text()))],
    ...some(json, rng),
  ]);
}

function some(json: JsonText, rng: Random): [string, string][] {
  if (rng.chance(0.6)) return [];
  return Array.from({ length: 1 + rng.below(3) }, () => [rng.pick([...NAMES, 'n', 'q', json.text()]), json.value(3)]);
}

function recordText(json: JsonText, rng: Random): string {
  const type = json.spell(rng.chance(0.8) ? rng.pick(EVENTS).name : json.text());
  const time = rng.chance(0.5) ? json.spell(rng.pick(TIMES)) : rng.pick(['1000', '-62167219200000', '1e3', '1.5']);
  const data = dataOf(json, rng);
  const members: [string, string][] = rng.chance(0.3)
    ? [['_type', type], ['_time', time], ...data.filter(([name]) => name !== 'type' && name !== 'time')]
    : [
        ['type', type],
        ['time', time],
        ['data', rng.chance(0.95) ? json.object(data) : json.value(2)],
      ];
  return json.space() + json.object(json.shuffled([...members, ...some(json, rng)])) + json.space();
}

const judge = async (lines: Uint8Array[]) => judgeLines(await lay, EVENTS, lines);

describe('JSON of any form', () => {
  test.each([1, 2, 3])('is read as JSON.parse reads it, seed %p', async seed => {
    const rng = new Random(seed);
    const json = new JsonText(rng);
    const { records, good } = await judge(Array.from({ length: 4000 }, () => bytesOf(recordText(json, rng))));
    expect(records).toBeGreaterThan(2000);
    expect(good).toBeGreaterThan(500);
  });

  test.each([4, 5, 6])('damaged, is taken where JSON.parse takes it, seed %p', async seed => {
    const rng = new Random(seed);
    const json = new JsonText(rng);
    const lines = Array.from({ length: 6000 }, () =>
      damage(
        bytesOf(rng.chance(0.5) ? recordText(json, rng) : '{"type":"ev","time":1,"data":{"s":"é","i":1}}'),
        rng,
      ).map(byte => (byte === 10 ? 32 : byte)),
    );
    const { records } = await judge(lines);
    expect(records).toBeGreaterThan(300);
    expect(records).toBeLessThan(5000);
  });

  test('of any depth of damage: every prefix of a record, and every byte in every place', async () => {
    const line = bytesOf(
      '{"type":"ev","time":1e3,"data":{"b":true,"s":"\\ud83d\\ude00é\\n","x":[false,null,-0.5E+1,{}]}}',
    );
    const prefixes = Array.from(line, (_, at) => line.slice(0, at));
    await judge(prefixes);
    const changed = Array.from(line, (_, at) =>
      Array.from({ length: 256 }, (_, byte) => line.map((old, i) => (i === at ? byte : old))),
    ).flat();
    await judge(changed.filter(one => !one.includes(10)));
  });
});

/** Wraps texts as the input `name` of good events, and gives back what the kernel reads, or the code of its fault. */
async function values(name: string, texts: string[], type = 'ev'): Promise<(Value | string)[]> {
  const lines = texts.map(text => `{"type":"${type}","time":0,"data":{"${name}":${text}}}`);
  const { records, rejected } = await decode(lines.join('\n'));
  expect(rejected).toEqual([]);
  return records.map(({ inputs, bad }) => (bad ? `fault ${bad.code}` : inputs![name]!));
}

describe('UTF-8', () => {
  const cases: [string, number[], boolean][] = [
    ['two bytes, least', [0xc2, 0x80], true],
    ['two bytes, overlong', [0xc0, 0x80], false],
    ['two bytes, overlong to the end', [0xc1, 0xbf], false],
    ['three bytes, least', [0xe0, 0xa0, 0x80], true],
    ['three bytes, overlong', [0xe0, 0x9f, 0xbf], false],
    ['before the surrogates', [0xed, 0x9f, 0xbf], true],
    ['the first surrogate', [0xed, 0xa0, 0x80], false],
    ['the last surrogate', [0xed, 0xbf, 0xbf], false],
    ['after the surrogates', [0xee, 0x80, 0x80], true],
    ['four bytes, least', [0xf0, 0x90, 0x80, 0x80], true],
    ['four bytes, overlong', [0xf0, 0x8f, 0xbf, 0xbf], false],
    ['U+10FFFF', [0xf4, 0x8f, 0xbf, 0xbf], true],
    ['above U+10FFFF', [0xf4, 0x90, 0x80, 0x80], false],
    ['five bytes', [0xf8, 0x88, 0x80, 0x80, 0x80], false],
    ['a lone continuation', [0x80], false],
    ['cut after one of two', [0xc3], false],
    ['cut after two of three', [0xe2, 0x82], false],
    ['cut after three of four', [0xf0, 0x9f, 0x98], false],
    ['0xfe', [0xfe], false],
    ['0xff', [0xff], false],
  ];

  test.each(cases)('%s', async (_, bytes, valid) => {
    const wrap = (head: string, tail: string) => new Uint8Array([...bytesOf(head), ...bytes, ...bytesOf(tail)]);
    const inValue = wrap('{"type":"ev","time":0,"data":{"s":"', '"}}');
    const inName = wrap('{"type":"ev","time":0,"data":{"', '":1}}');
    const unread = wrap('{"type":"ev","time":0,"x":["', '"]}');
    const { records, rejected } = await decode(joined([inValue, inName, unread]));
    expect(records.length).toBe(valid ? 3 : 0);
    expect(rejected.map(one => one.code)).toEqual(valid ? [] : ['bad_utf8', 'bad_utf8', 'bad_utf8']);
    if (valid) expect(records[0]!.inputs!.s).toBe(new TextDecoder().decode(Uint8Array.from(bytes)));
    await judge([inValue, inName, unread]);
  });

  test('a byte order mark is no JSON', async () => {
    const { rejected } = await decode('\ufeff{"type":"ev","time":0}');
    expect(rejected.map(one => one.code)).toEqual(['not_json']);
  });

  test('outside of strings only ASCII is JSON', async () => {
    const { records } = await decode(
      '{"type":"ev","time":0\u00a0}\n{"type":"ev",\u2028"time":0}\n{"type":"ev","time":0}\u0085',
    );
    expect(records).toEqual([]);
  });
});

test('strings: escapes, pairs, lone surrogates', async () => {
  const texts = [
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\\u0041\\u00e9\\u20AC"',
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    '"\\ude00x"',
  ];
  const more = ['"\\ud83d\\ud83d\\ude00"', '"\\ud83d\\u0041"', '"\\ud83dx"', '"\\u0000"', '""', '"\\udbff\\udfff"'];
  const read = await values('s', [...texts, ...more]);
  expect(read).toEqual([...texts, ...more].map(text => (JSON.parse(text) as string).toWellFormed()));
  expect(read[3]).toBe('\ufffd');
});

test('int64: exact by digits, in any spelling, and nothing beyond', async () => {
  const good: [string, bigint][] = [
    ['0', 0n],
    ['-0', 0n],
    ['-0.0e5', 0n],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808', -(2n ** 63n)],
    ['9007199254740993', 9007199254740993n],
    ['1e18', 10n ** 18n],
    ['9.223372036854775807e18', 2n ** 63n - 1n],
    ['-9.223372036854775808E+18', -(2n ** 63n)],
    ['922337203685477580700e-2', 2n ** 63n - 1n],
    ['0.1e1', 1n],
    ['100.0', 100n],
    ['100.000e-2', 1n],
    ['10e-1', 1n],
    ['0.000000000000000000000001e24', 1n],
    ['0e999999999999', 0n],
    ['0.0e-999999999999', 0n],
    [`1${'0'.repeat(5000)}e-5000`, 1n],
    [`0.${'0'.repeat(5000)}7e5001`, 7n],
    [`123.${'0'.repeat(5000)}`, 123n],
  ];
  const bad = [
    '9223372036854775808',
    '-9223372036854775809',
    '1e19',
    '1.5',
    '1e-1',
    '1e400',
    '-1e19',
    '1e999999999999',
  ];
  const worse = [
    '0.1',
    '9.223372036854775808e18',
    '18446744073709551616',
    '18446744073709551617',
    '99999999999999999999',
  ];
  expect(
    await values(
      'i',
      good.map(([text]) => text),
    ),
  ).toEqual(good.map(([, value]) => value));
  for (const fault of await values('i', [...bad, ...worse, '1e-999999999999']))
    expect(fault).toBe('fault out_of_range');
  for (const fault of await values('i', ['"1"', 'true', '[1]', '{}'])) expect(fault).toBe('fault wrong_type');
});

describe('time', () => {
  const forms = [
    ...['2001-03-05T06:07:08Z', '2001-03-05t06:07:08z', '2001-03-05 06:07:08Z', '2001-03-05T06:07:08+00:00'],
    ...['2001-03-05T06:07:08-00:00', '2001-03-05T06:07:08+23:59', '2001-03-05T06:07:08-23:59', '2000-02-29T00:00:00Z'],
    ...['2004-02-29T00:00:00Z', '1600-02-29T23:59:59Z', '0000-01-01T00:00:00Z', '0000-02-29T00:00:00Z'],
    ...['9999-12-31T23:59:59Z', '1969-12-31T23:59:59Z', '1970-01-01T00:00:00Z', '0000-03-01T00:00:00+05:30'],
  ];
  const zoneless = ['2001-03-05T06:07:08', '2001-03-05 06:07:08.25', '1970-01-01t00:00:00.000001'];

  test('valid forms are what Date.parse says', async () => {
    const wanted = forms.map(text => BigInt(Date.parse(text.toUpperCase().replace(' ', 'T'))) * 1000n);
    expect(
      await values(
        't',
        forms.map(text => `"${text}"`),
      ),
    ).toEqual(wanted);
    expect(
      (await decode(forms.map(text => `{"type":"ev","time":"${text}"}`).join('\n'))).records.map(r => r.timeMicros),
    ).toEqual(wanted);
  });

  test('no offset is UTC, and fractions are cut to microseconds', async () => {
    expect(
      await values(
        't',
        zoneless.map(text => `"${text}"`),
      ),
    ).toEqual([983772428000000n, 983772428250000n, 1n]);
    const fractions = Array.from({ length: 9 }, (_, i) => '987654321'.slice(0, i + 1));
    const read = await values(
      't',
      fractions.map(digits => `"1970-01-01T00:00:00.${digits}Z"`),
    );
    expect(read).toEqual(fractions.map(digits => BigInt(digits.slice(0, 6).padEnd(6, '0'))));
    expect(await values('t', ['"1969-12-31T23:59:59.9999999Z"'])).toEqual([-1n]);
  });

  test('every day of 400 years, and the day after a month’s last', async () => {
    const days = Array.from({ length: 146_097 / 7 }, (_, i) => new Date(Date.UTC(1890, 0, 1 + i * 7)));
    const read = await values(
      't',
      days.map(day => `"${day.toISOString()}"`),
    );
    expect(read).toEqual(days.map(day => BigInt(day.getTime()) * 1000n));
    for (let year = 1896; year < 2005; year++)
      for (let month = 1; month <= 12; month++) {
        const last = new Date(Date.UTC(year, month, 0)).getUTCDate();
        const text = (day: number) => `"${year}-${String(month).padStart(2, '0')}-${day}T00:00:00Z"`;
        const [is, isNot] = await values('t', [text(last), text(last + 1)]);
        expect([is, isNot]).toEqual([BigInt(Date.UTC(year, month - 1, last)) * 1000n, 'fault wrong_type']);
      }
  });

  const invalid = [
    ...['2001-02-29T00:00:00Z', '1900-02-29T00:00:00Z', '2001-00-05T00:00:00Z', '2001-13-05T00:00:00Z'],
    ...['2001-01-00T00:00:00Z', '2001-04-31T00:00:00Z', '2001-01-01T24:00:00Z', '2001-01-01T00:60:00Z'],
    ...['2001-01-01T00:00:60Z', '2001-01-01T00:00:00+24:00', '2001-01-01T00:00:00+00:60', '2001-01-01T00:00:00.Z'],
    ...['2001-01-01T00:00:00.1234567890Z', '2001-01-01T00:00Z', '2001-01-01', '2001-01-01  00:00:00Z', '', 'now'],
    ...['2001-01-01T00:00:00ZZ', ' 2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z ', '2001-01-01T00:00:00+0000'],
    ...['2001-01-01T00:00:00+00', '20010101T000000Z', '+002001-01-01T00:00:00Z', '2001/01/01T00:00:00Z'],
    ...['2001-01-01x00:00:00Z', '200a-01-01T00:00:00Z', '2001-01-01T0a:00:00Z', '2001-01-01T00:00:00.12a4Z'],
    ...['2001-01-01T00:00:00,5Z', '2001-01-01T00:00:00*00:00', '10000-01-01T00:00:00Z', '-001-01-01T00:00:00Z'],
  ];

  test.each(invalid)('%p is none', async text => {
    expect(await values('t', [JSON.stringify(text)])).toEqual(['fault wrong_type']);
    expect((await decode(`{"type":"ev","time":${JSON.stringify(text)}}`)).rejected.map(one => one.code)).toEqual([
      'bad_time',
    ]);
  });

  test('numbers are epoch milliseconds, integral, of the years 0000 to 9999', async () => {
    const [first, last] = [Date.UTC(2000, 0, 1) - 2000 * 365.2425 * 86_400_000, Date.parse('9999-12-31T23:59:59.999Z')];
    expect(first).toBe(Date.parse('0000-01-01T00:00:00Z'));
    const texts = [String(first), String(last), '0', '-0', '-1', '1e3', '1.0', '983772428123'];
    expect(await values('t', texts)).toEqual(texts.map(text => BigInt(Number(text)) * 1000n));
    const wrong = [String(first - 1), String(last + 1), '0.5', '1e300', '9223372036854775807', '1e-1'];
    for (const fault of await values('t', wrong)) expect(fault).toBe('fault wrong_type');
    for (const fault of await values('t', ['true', '{}', '[]'])) expect(fault).toBe('fault wrong_type');
  });

  test('an escaped time is a time', async () => {
    expect(await values('t', ['"1970-01-01\\u005400:00:01\\u005a"'])).toEqual([1_000_000n]);
  });
});

describe('lines', () => {
  test('may be 1 MiB, and no byte more', async () => {
    const line = (size: number) => {
      const head = '{"type":"ev","time":0,"data":{"s":"';
      return `${head}${'x'.repeat(size - head.length - 3)}"}}`;
    };
    const { records, rejected } = await decode(
      [line(LINE_MAX_BYTES), line(LINE_MAX_BYTES + 1), line(LINE_MAX_BYTES)].join('\n'),
    );
    expect(rejected.map(({ line: at, code }) => [at, code])).toEqual([[2, 'too_long']]);
    expect(records.map(record => (record.inputs!.s as string).length)).toEqual([1_048_538, 1_048_538]);
    const crlf = await decode(`${line(LINE_MAX_BYTES)}\r\n`);
    expect(crlf.records.length).toBe(1);
  });

  test('may be 64 deep, and no deeper', async () => {
    const nested = (open: string, close: string, depth: number) =>
      `{"type":"ev","time":0,"x":${open.repeat(depth)}${close.repeat(depth)}}`;
    const objects = (depth: number) => `{"type":"ev","time":0,"x":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
    const lines = [
      nested('[', ']', 63),
      nested('[', ']', 64),
      objects(63),
      objects(64),
      `${'['.repeat(64)}${']'.repeat(64)}`,
    ];
    const { records, rejected } = await decode([...lines, '['.repeat(100_000)].join('\n'));
    expect(records.map(record => record.line)).toEqual([1, 3]);
    expect(rejected.map(({ line, code }) => [line, code])).toEqual([
      [2, 'too_deep'],
      [4, 'too_deep'],
      [5, 'not_object'],
      [6, 'too_deep'],
    ]);
    // In the data, where inputs are looked for, and as an array's element behind others.
    await judge([
      ...lines.map(bytesOf),
      bytesOf(`{"type":"ev","time":0,"data":{"o":${'{"o":'.repeat(62)}1${'}'.repeat(62)}}}`),
    ]);
  });

  test('end in LF or CRLF, may be blank or null, and the last may end in nothing', async () => {
    const one = '{"type":"ev","time":0}';
    const { records, rejected } = await decode(`\n${one}\r\n \t\r\n\r\n${one}\n\n\r${one}\ntrue\r\n null \r\n${one}`);
    expect(records.map(record => record.line)).toEqual([2, 5, 7, 10]);
    expect(rejected.map(({ line, code }) => [line, code])).toEqual([[8, 'not_object']]);
    expect((await decode('')).batches).toBe(0);
    expect((await decode('\n')).records).toEqual([]);
    expect((await decode(`${one}\r`)).records.length).toBe(1);
    expect((await decode(`${one}\r\r\n`)).records.length).toBe(1);
  });

  test('are no longer than they may be where they are blank, either: what is cut of them may have been anything', async () => {
    const lines = [' '.repeat(LINE_MAX_BYTES), ' '.repeat(LINE_MAX_BYTES + 1), '{"type":"ev","time":0}'];
    const { records, rejected } = await decode(lines.join('\n'));
    expect(records.map(record => record.line)).toEqual([3]);
    expect(rejected.map(({ line, code }) => [line, code])).toEqual([[2, 'too_long']]);
  });

  test('that are no records say why', async () => {
    const lines: [string, string][] = [
      ['{', 'not_json'],
      ['{"type":"ev","time":0}}', 'not_json'],
      ['f', 'not_json'],
      ['{"type":"ev","time":0,"x":f', 'not_json'],
      ['t', 'not_json'],
      ['{"type":"ev","time":0} 1', 'not_json'],
      ["{'type':'ev'}", 'not_json'],
      ['{"type":"ev","time":0,}', 'not_json'],
      ['{"type":"ev" "time":0}', 'not_json'],
      ['{"type":"ev","time":01}', 'not_json'],
      ['{"type":"ev","time":+1}', 'not_json'],
      ['{"type":"ev","time":.5}', 'not_json'],
      ['{"type":"ev","time":1.}', 'not_json'],
      ['{"type":"ev","time":NaN}', 'not_json'],
      ['{"type":"ev","time":0,"x":"\u0001"}', 'not_json'],
      ['{"type":"ev","time":0,"x":"\\x41"}', 'not_json'],
      ['{"type":"ev","time":0,"x":"\\u00g0"}', 'not_json'],
      ['\u0000', 'not_json'],
      ['1', 'not_object'],
      ['"type"', 'not_object'],
      ['[{"type":"ev","time":0}]', 'not_object'],
      ['{}', 'no_type'],
      ['{"type":"","time":0}', 'no_type'],
      ['{"type":1,"time":0}', 'no_type'],
      ['{"type":null,"_type":"ev","_time":0}', 'no_type'],
      ['{"type":"ev"}', 'no_time'],
      ['{"type":"ev","_time":0}', 'no_time'],
      ['{"_type":"ev","time":0}', 'no_time'],
      ['{"type":"ev","time":null}', 'bad_time'],
      ['{"type":"ev","time":"yesterday"}', 'bad_time'],
    ];
    const { records, rejected } = await decode(lines.map(([line]) => line).join('\n'));
    expect(records).toEqual([]);
    expect(rejected.map((one, i) => [lines[i]![0], one.code])).toEqual(lines);
  });

  test('more than a batch holds, of several types, good, bad and rejected', async () => {
    const kinds = [
      (i: number) => `{"type":"ev","time":${i},"data":{"i":${i},"s":"${i}"}}`,
      (i: number) => `{"type":"größe","time":${i},"data":{"höhe":{"高さ":${i}}}}`,
      (i: number) => `{"type":"strict","time":${i},"data":{"i":${i}}}`,
      (i: number) => `{"type":"unheard of","time":${i}}`,
      (i: number) => `{"type":${i}}`,
      () => '',
    ];
    const count = BATCH_ROWS * 4 + 17;
    const lines = Array.from({ length: count }, (_, i) => kinds[(i * 7 + (i >> 5)) % kinds.length]!(i));
    expect((await decode(lines.join('\n'))).batches).toBeGreaterThan(2);
    const { good } = await judge(lines.map(bytesOf));
    expect(good).toBeGreaterThan(BATCH_ROWS);
    const rejected = Array.from({ length: BATCH_ROWS * 2 + 3 }, (_, i) => (i === BATCH_ROWS ? kinds[0]!(i) : `${i}`));
    const decoded = await decode(rejected.join('\n'));
    expect(decoded.rejected.length).toBe(BATCH_ROWS * 2 + 2);
    expect(decoded.rejected.map(one => one.line)).toEqual(
      rejected.flatMap((_, i) => (i === BATCH_ROWS ? [] : [i + 1])),
    );
    expect(decoded.records.map(record => record.line)).toEqual([BATCH_ROWS + 1]);
  });

  test('in blocks of many pages, wherever a page ends', async () => {
    const of = await decodingLayout([EVENT]);
    for (const shift of [0, 1, 7, 15]) {
      const texts = Array.from({ length: 900 }, (_, i) => 'ä\\n\\u00e9x'.repeat((i * 13) % 61));
      const lines = texts.map((text, i) => `{"type":"ev","time":${i},"data":{"s":"${text}","i":${i}}}`);
      const block = bytesOf(' '.repeat(shift) + lines.join('\n'));
      expect(block.length).toBeGreaterThan(4 * 65_536);
      const { records } = decodeBlock(of, block);
      expect(records.map(record => record.inputs!.s)).toEqual(texts.map(text => JSON.parse(`"${text}"`)));
    }
  });
});

describe('inputs', () => {
  const GIVEN = { missing: '{}', null: '{"x":null}', wrong: '{"x":"1"}', range: '{"x":0.5}', ok: '{"x":5}' };
  const DEFAULT: Field['presence'] = { kind: 'default', value: 9n };
  const table: [Field['presence'], (Value | string)[]][] = [
    [REQUIRED, ['fault missing', 'fault missing', 'fault wrong_type', 'fault out_of_range', 5n]],
    [OPTIONAL, [null, null, 'fault wrong_type', 'fault out_of_range', 5n]],
    [DEFAULT, [9n, 9n, 'fault wrong_type', 'fault out_of_range', 5n]],
  ];

  test.each(table)('%p', async (presence, wanted: unknown[]) => {
    const of = await decodingLayout([eventType('e', [input('x', INT64, ['x'], presence)])]);
    const read = (lines: string[]): unknown[] =>
      decodeBlock(of, bytesOf(lines.join('\n'))).records.map(({ inputs, bad }) =>
        bad ? `fault ${bad.code}` : inputs!.x!,
      );
    expect(read(Object.values(GIVEN).map(data => `{"type":"e","time":0,"data":${data}}`))).toEqual(wanted);
    expect(
      read(Object.values(GIVEN).map(data => `{"_time":0,"_type":"e",${data.slice(1)}`.replace(',}', '}'))),
    ).toEqual(wanted);
    expect(read(['{"type":"e","time":0}', '{"type":"e","time":0,"data":null}'])).toEqual([wanted[0]!, wanted[0]!]);
    for (const data of ['1', '[]', '"x"', 'true'])
      expect(read([`{"type":"e","time":0,"data":${data}}`])).toEqual(['fault data_not_object']);
  });

  test('defaults of every type', async () => {
    const fallback = (value: Value): Field['presence'] => ({ kind: 'default', value });
    const inputs = [
      input('i', INT64, ['i'], fallback(-(2n ** 63n))),
      input('s', STRING, ['s'], fallback('größe')),
      input('e', STRING, ['e'], fallback('')),
      input('b', BOOL, ['b'], fallback(true)),
      input('t', TIME, ['t'], fallback(-1n)),
    ];
    const of = await decodingLayout([eventType('e', inputs)]);
    const { records } = decodeBlock(
      of,
      bytesOf('{"type":"e","time":0}\n{"type":"e","time":0,"data":{"s":"x","b":false}}'),
    );
    const all = { i: -(2n ** 63n), s: 'größe', e: '', b: true, t: -1n };
    expect(records.map(record => record.inputs)).toEqual([all, { ...all, s: 'x', b: false }]);
  });

  test('of equal names the last one wins, whole, at every level', async () => {
    const lines: [string, { [name: string]: Value } | string][] = [
      ['"data":{"i":1,"i":2}', { i: 2n }],
      ['"data":{"i":"no","i":2}', { i: 2n }],
      ['"data":{"i":1,"i":null}', { i: null }],
      ['"data":{"i":1,"\\u0069":3}', { i: 3n }],
      ['"data":{"i":1},"data":{"s":"x"}', { i: null, s: 'x', must: 'x' }],
      ['"data":1,"data":{"i":1}', { i: 1n }],
      ['"data":{"o":{"n":1,"p":{"q":"a"}},"o":{"n":2}}', { n: 2n, q: null }],
      ['"data":{"o":{"n":1},"o":null}', { n: null }],
      ['"data":{"o":5,"o":{"n":1}}', { n: 1n }],
      ['"data":{"o":{"n":1},"o":5}', 'wrong_type'],
      ['"data":{"o":{"p":{"q":"a"},"p":{}}}', { q: null }],
      ['"data":{"o":{"p":1}}', 'wrong_type'],
      ['"data":{"o":{"p":[],"p":{"q":"b"}}}', { q: 'b' }],
      ['"data":{"o":[{"n":1}]}', 'wrong_type'],
      ['"data":{"i":7},"data":null', { i: null }],
    ];
    const { records } = await decode(lines.map(([data]) => `{"type":"ev","time":0,${data}}`).join('\n'));
    const nothing = { i: null, s: null, b: null, t: null, n: null, q: null, fallback: -7n, must: 'none', empty: null };
    expect(records.map(record => record.bad?.code ?? record.inputs)).toEqual(
      lines.map(([, wanted]) => (typeof wanted === 'string' ? wanted : { ...nothing, ...wanted })),
    );
  });

  test('of a record: the last type, the last time, data before type, and the flat form', async () => {
    const lines = [
      '{"data":{"i":1},"time":1,"type":"ev"}',
      '{"type":1,"time":"x","type":"ev","time":2,"data":{"i":2}}',
      '{"\\u0074ype":"\\u0065v","tim\\u0065":3,"d\\u0061ta":{"\\u0069":3}}',
      '{"_type":"ev","_time":4,"i":4,"data":{"i":99}}',
      '{"i":5,"_time":5,"_type":"x","_type":"ev"}',
      // `_type` beside a type is a member like any other.
      '{"_type":"both","_time":99,"type":"ev","time":6,"data":{"i":6}}',
    ];
    const { records } = await decode(lines.join('\n'));
    expect(records.map(({ type, timeMicros, inputs }) => [type, timeMicros, inputs?.i])).toEqual(
      [1n, 2n, 3n, 4n, 5n, 6n].map(n => ['ev', n * 1000n, n]),
    );
    await judge(lines.map(bytesOf));
  });

  test('a path that is a leaf and has more behind it', async () => {
    const { records } = await decode(
      ['{"o":"text"}', '{"o":{"n":1}}', '{"o":null}', '{}', '{"o":{"n":1},"o":null}']
        .map(data => `{"type":"both","time":0,"data":${data}}`)
        .join('\n'),
    );
    const none = { leaf: null, deeper: null };
    expect(records.map(record => record.bad?.reason ?? record.inputs)).toEqual([
      'input deeper is no int64',
      'input leaf is no string',
      none,
      none,
      none,
    ]);
  });
});
