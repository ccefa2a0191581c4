/**
 * The rules of RFC 8259 one by one, in the manner of Nicolas Seriot's "Parsing JSON is a Minefield": what every parser must
 * take (y), what none may (n), and what is left to each (i), where JSON.parse and the encoding standard are followed.
 * Each text stands where nobody reads it, where inputs read it, in lines of no known form and of a known one, and as a
 * body by itself.
 */
import { describe, expect, test } from 'bun:test';
import { admit } from '../../src/kernel/door.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { DOUBLE, INT64, OPTIONAL, STRING } from '../../src/plan/value.ts';
import { bytesOf, decodeBlock, decodingLayout, eventType, joined } from './columns.ts';
import { isRecord, judgeLines } from './judge.ts';

/** In a text, bytes that no UTF-16 can spell: \x80 to \xff as they are. */
const raw = (text: string) => Uint8Array.from(text, char => char.charCodeAt(0));

const Y = {
  arrays: [
    '[]',
    '[ ]',
    '[[]   ]',
    '[""]',
    '["a"]',
    '[false]',
    '[null, 1, "1", {}]',
    '[null]',
    '[1\t]',
    ' [1]',
    '[1,null,null,null,2]',
    '[2] ',
  ],
  numbers: [
    ...[
      '123e65',
      '0e+1',
      '0e1',
      ' 4',
      '-0.000000000000000000000000000000000000000000000000000000000000000000000000000001',
    ],
    ...[
      '20e1',
      '-0',
      '-123',
      '-1',
      '1E22',
      '1E-2',
      '1E+2',
      '123e45',
      '123.456e78',
      '1e-2',
      '1e+2',
      '123',
      '123.456789',
    ],
    ...[
      '0',
      '0.0',
      '-0.0',
      '1e0',
      '1E0',
      '0.1',
      '9007199254740993',
      '18446744073709551615',
      '5e-324',
      '1.7976931348623157e308',
    ],
    ...[
      '2.2250738585072014e-308',
      '2.2250738585072011e-308',
      '0.30000000000000004',
      '1.00000000000000011102230246251565',
    ],
  ],
  objects: [
    ...['{}', '{"":0}', '{"asd":"sdf"}', '{"a":"b","a":"c"}', '{"a":"b","a":"b"}', '{"a":[]}', '{"a":{"b":{}}}'],
    ...[
      '{"foo\\u0000bar": 42}',
      '{ "min": -1.0e+28, "max": 1.0e+28 }',
      '{"x":[{"id": "x"}], "id": "y"}',
      '{"title":"\\u041f"}',
    ],
    ...['{\t"a"\r:\t"b"\r}', '{"a" : 1 , "b" : 2}'],
  ],
  strings: [
    ...[
      '"\\u0060\\u012a\\u12AB"',
      '"\\uD801\\udc37"',
      '"\\ud83d\\ude39\\ud83d\\udc8d"',
      '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
      '"\\\\u0000"',
      '"\\""',
    ],
    ...[
      '"a/*b*/c/*d//e"',
      '"\\\\a"',
      '"\\\\n"',
      '"\\u0012"',
      '"\\uFFFF"',
      '"asd"',
      '"\u{10ffff}"',
      '"\uffff"',
      '"\\u0000"',
      '"\\u002c"',
    ],
    ...[
      '"π"',
      '"\u{1bfff}"',
      '"asd "',
      '" "',
      '"\\uDBFF\\uDFFE"',
      '"new\u00a0line"',
      '"\u2028\u2029"',
      '"\\u0061\\u30af\\u30EA\\u30b9"',
    ],
    ...[
      '"\\uA66D"',
      '"\\u005C"',
      '"⍂㈴⍂"',
      '"\u007f"',
      '"\\u0022"',
      '"\\u200B\\u2064\\uFEFF\\uFFFE"',
      '"\ufeff"',
      '"a\u007fa"',
      '""',
      '"\u0080"',
    ],
  ],
  words: ['true', 'false', 'null'],
};

const N = {
  arrays: [
    ...[
      '[1 true]',
      '["": 1]',
      '[""],',
      '[,1]',
      '[1,,2]',
      '["x",,]',
      '["x"]]',
      '["",]',
      '["x"',
      '[x',
      '[3[4]]',
      '[1:2]',
      '[,]',
      '[-]',
      '[   , ""]',
    ],
    ...[
      '["a",4,1,',
      '[1,]',
      '[1,,]',
      '["\u000ba"\\f]',
      '[*]',
      '[""',
      '[1,',
      '[{}',
      '["a" "b"]',
      '[1 2]',
      '[',
      ']',
      '[]]',
      '[}',
      '[{]',
      '[1}',
    ],
  ],
  numbers: [
    ...[
      '++1234',
      '+1',
      '+Inf',
      '-01',
      '-1.0.',
      '-2.',
      '-NaN',
      '.-1',
      '.2e-3',
      '0.1.2',
      '0.3e+',
      '0.3e',
      '0.e1',
      '0E+',
      '0E',
      '0e+',
      '0e',
      '1.0e+',
    ],
    ...[
      '1.0e-',
      '1.0e',
      '1 000.0',
      '1eE2',
      '2.e+3',
      '2.e-3',
      '2.e3',
      '9.e+',
      'Inf',
      'NaN',
      '１',
      '1+2',
      '0x1',
      '0x42',
      'Infinity',
      '0e+-1',
    ],
    ...[
      '-123.123foo',
      '-Infinity',
      '-foo',
      '- 1',
      '-012',
      '-.123',
      '-1x',
      '1ea',
      '1.',
      '.123',
      '1.2a-3',
      '1.8011670033376514H-308',
      '012',
      '00',
      '-',
    ],
    ...[
      '1e',
      '1_000',
      '1,000.0.0',
      '--1',
      '1-',
      '1e1.5',
      '0123456789012345678',
      '1２',
      '-0x1',
      '1d',
      '1f',
      '0b1',
      '1e+ 1',
      '1 .5',
      '-\u00b9',
    ],
  ],
  objects: [
    ...[
      '["x", truth]',
      '{[: "x"}',
      '{"x", null}',
      '{"x"::"b"}',
      '{"a":"a" 123}',
      "{key: 'value'}",
      '{"a" b}',
      '{:"b"}',
      '{"a" "b"}',
      '{"a":',
      '{"a"',
    ],
    ...[
      '{1:1}',
      '{9999E9999:1}',
      '{null:null,null:null}',
      '{"id":0,,,,,}',
      "{'a':0}",
      '{"id":0,}',
      '{"a":"b"}/**/',
      '{"a":"b"}//',
      '{"a":"b",,"c":"d"}',
    ],
    ...[
      '{a: "b"}',
      '{"a":"a',
      '{ "foo" : "bar", "a" }',
      '{"a":"b"}#',
      '{',
      '}',
      '{]',
      '{"a":1]',
      '{,}',
      '{"a":1,}',
      '{"a":}',
      '{true:1}',
      '{"a":1 "b":2}',
    ],
  ],
  strings: [
    ...[
      '"\\uD800\\"',
      '"\\uD800\\u"',
      '"\\uD800\\u1"',
      '"\\uD800\\u1x"',
      '"\\x00"',
      '"\\\\\\"',
      '"\\\t"',
      '"\\🌀"',
      '"\\"',
      '"\\u00A"',
      '"\\uD834\\uDd"',
    ],
    ...[
      '"\\uD800\\uD800\\x"',
      '"\\a"',
      '"\\uqqqq"',
      'é',
      '"',
      "'single quote'",
      'abc',
      '"\\',
      '"a\u0000a"',
      '"\t"',
      '"\\UA66D"',
      '"x"x',
      '"\u0001"',
      '"\u001f"',
    ],
    ...[
      '"\\u 041"',
      '"\\u-041"',
      '"\\u004"',
      '"\\u00g1"',
      '"\\ "',
      '"a\rb"',
      '\\u0020"asd"',
      '"\\0"',
      '"\\v"',
      '"\\\'"',
      '"\\u{41}"',
    ],
  ],
  words: [
    'nul',
    'fals',
    'tru',
    'nulll',
    'truE',
    'TRUE',
    'None',
    'undefined',
    't',
    'n',
    'f',
    'true1',
    'falsetrue',
    'null null',
    'nu ll',
  ],
  structures: [
    ...[
      '<.>',
      '[<null>]',
      '[1]x',
      '[1]]',
      'aå',
      '[True]',
      '{"x": true,',
      '[\u2060]',
      '\ufeff',
      '[a',
      '[1,{',
      '[{"',
      '#',
      '{"a":/*comment*/"b"}',
      '*',
      '\u00a01',
    ],
    ...[
      '{"":',
      '{"a":[',
      '["a\\',
      ';',
      '\u000c1',
      '1\u000b',
      '\u00851',
      '\u20281',
      '//\n1',
      '/**/1',
      '1 //',
      '(1)',
      '<1>',
      '`1`',
      '$',
      '\u0000',
      '1\u0000',
    ],
  ],
};

/** Strings whose bytes are not UTF-8: JSON between systems has to be. */
const NOT_UTF8 = [
  ...[
    '"\xe9"',
    '"\xff"',
    '"\xed\xa0\x80"',
    '"\xe0\xff"',
    '"\xfc\x83\xbf\xbf\xbf\xbf"',
    '"\xfc\x80\x80\x80\x80\x80"',
    '"\xc0\xaf"',
    '"\x81"',
  ],
  ...[
    '"\xf4\xbf\xbf\xbf"',
    '"\xe6\x97\xa5\xd1\x88\xfa"',
    '"\xed\xa0"',
    '"\xf0\x82\x82\xac"',
    '"\x80\x80"',
    '"\xc3"',
    '"\xf8\x88\x80\x80\x80"',
  ],
];

/** Left to each: halves of surrogate pairs are taken, as JSON.parse takes them; numbers beyond doubles, and any depth up to a limit. */
const I = [
  ...[
    '"\\uDADA"',
    '"\\uD888\\u1234"',
    '"\\uD800\\n"',
    '"\\uDd1ea"',
    '"\\uD800\\uD800\\n"',
    '"\\ud800"',
    '"\\ud800abc"',
    '"\\uDd1e\\uD834"',
    '"\\uDFAA"',
  ],
  ...[
    '0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999969999999006',
  ],
  ...[
    '-1e+9999',
    '1.5e+9999',
    '-123123e100000',
    '123123e100000',
    '123e-10000000',
    '-123123123123123123123123123123',
    '100000000000000000000',
  ],
  ...[
    '-237462374673276894279832749832423479823246327846',
    '[[[[[[[[[[1]]]]]]]]]]',
    `${'['.repeat(63)}${']'.repeat(63)}`,
    '1e-400',
    '-0e-0',
  ],
];

const EV = eventType('ev', [
  { name: 's', path: ['s'], type: STRING, presence: OPTIONAL },
  { name: 'd', path: ['d'], type: DOUBLE, presence: OPTIONAL },
  { name: 'i', path: ['i'], type: INT64, presence: OPTIONAL },
]);

/** The text in every place of a record where a value can stand. */
function linesWith(text: Uint8Array): Uint8Array[] {
  const around = [
    '{"type":"ev","time":0,"x":?}',
    ...['x', 's', 'd', 'i'].map(name => `{"type":"ev","time":0,"data":{"${name}":?}}`),
  ];
  const more = ['{"type":"ev","time":0,"data":{"x":[0,?],"s":"t"}}', '{"x":?,"type":"ev","time":0}'];
  return [...around, ...more].map(line => {
    const [head, tail] = line.split('?') as [string, string];
    return new Uint8Array([...bytesOf(head), ...text, ...bytesOf(tail)]);
  });
}

/** Lines of the same forms with ordinary values, so that the text comes where it is not expected. */
const ORDINARY = ['1', '"a"', 'null'].flatMap(text => linesWith(bytesOf(text)));

async function judgeText(text: Uint8Array): Promise<void> {
  const lines = linesWith(text.map(byte => (byte === 10 ? 32 : byte)));
  judgeLines(await decodingLayout([EV]), [EV], lines);
  judgeLines(await decodingLayout([EV]), [EV], [...ORDINARY, ...ORDINARY, ...lines, ...lines]);
}

const kernel = await loadKernel();

/** As a body of its own, is the text JSON? Where it is no record, that is what is wrong with it. */
function isBody(text: Uint8Array): boolean {
  return !('problem' in admit(kernel, text, 'json'));
}

describe.each(Object.entries(Y))('y %s', (_, texts) => {
  test.each(texts)('%p', async text => {
    expect(() => JSON.parse(text)).not.toThrow();
    await judgeText(bytesOf(text));
    expect(linesWith(bytesOf(text)).every(isRecord)).toBe(true);
    expect(isBody(bytesOf(text))).toBe(true);
  });
});

describe.each(Object.entries(N))('n %s', (_, texts) => {
  test.each(texts)('%p', async text => {
    expect(() => JSON.parse(text)).toThrow();
    await judgeText(bytesOf(text));
    // `1}` and its like would end what is around it, and so could be JSON there: judged as it comes.
    expect(isBody(bytesOf(text))).toBe(false);
  });
});

test.each(NOT_UTF8)('n not UTF-8 %p', async text => {
  await judgeText(raw(text));
  expect(linesWith(raw(text)).some(isRecord)).toBe(false);
  expect(isBody(raw(text))).toBe(false);
});

test.each(I)('i %p', async text => {
  await judgeText(bytesOf(text));
  expect(isBody(bytesOf(text))).toBe(true);
});

test('i: in UTF-16, or behind a byte order mark, it is no JSON', async () => {
  const one = '{"type":"ev","time":0}';
  const little = new Uint8Array(Buffer.from(one, 'utf16le'));
  for (const text of [
    little,
    new Uint8Array([0xff, 0xfe, ...little]),
    new Uint8Array([0xef, 0xbb, 0xbf, ...bytesOf(one)]),
  ]) {
    expect(isBody(text)).toBe(false);
    judgeLines(await decodingLayout([EV]), [EV], [bytesOf(one), bytesOf(one), text, bytesOf(one)]);
  }
});

test('i: nested as deep as it goes, by 64 levels and no more, without an end to it', async () => {
  for (const text of ['['.repeat(100_000), '{"a":'.repeat(100_000), '[{"":'.repeat(50_000)]) {
    const { rejected } = decodeBlock(await decodingLayout([EV]), joined([...ORDINARY, ...linesWith(bytesOf(text))]));
    expect(rejected.map(({ code }) => code)).toEqual(rejected.map(() => 'too_deep'));
    expect(rejected.length).toBe(7);
    expect(isBody(bytesOf(text))).toBe(false);
  }
});

const HEAD = bytesOf('{"type":"ev","time":0,"data":{"s":"');

test('UTF-8: two bytes of every kind, and more behind them, wherever they stand', async () => {
  const of = await decodingLayout([EV]);
  const lines: Uint8Array[] = [];
  const edges = [
    0x00, 0x22, 0x41, 0x5c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff,
  ];
  for (let lead = 0x80; lead < 0x100; lead++)
    for (const second of edges)
      for (const third of edges) {
        const ahead = (lead * 7 + second + third) % 37;
        const before = bytesOf('é'.repeat(ahead % 3) + 'x'.repeat(ahead));
        for (const more of [[], [third], [third, 0x80 + ahead]])
          lines.push(new Uint8Array([...HEAD, ...before, lead, second, ...more, ...bytesOf('ab"}}')]));
      }
  const { records } = judgeLines(of, [EV], lines);
  expect(records).toBeGreaterThan(1000);
});
