/** Events that count whatever is wrong with their inputs: values and what is said of them, judged by the oracle. */
import { describe, expect, test } from 'bun:test';
import type { EventType } from '../../src/plan/plan.ts';
import {
  BOOL,
  DOUBLE,
  type Field,
  INT64,
  NESTED_VALUES_MAX,
  OPTIONAL,
  type Presence,
  REQUIRED,
  STRING,
  TIME,
  type Type,
  type Value,
} from '../../src/plan/value.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { call, column, index } from '../oracle/fixtures/spell.ts';
import { evaluate } from '../oracle/terms.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { AnyType } from './any_type.ts';
import { bytesOf, type Decoded, decodeBlock, decodingLayout, eventType, joined } from './columns.ts';
import { evaluateAll } from './evaluate.ts';
import { damage, JsonText, NUMBERS, TIMES } from './json_text.ts';
import { judgeEvents } from './judge.ts';

function lenient(name: string, inputs: Field[], onFault: 'null' | 'convert'): EventType {
  return { ...eventType(name, inputs), onFault };
}

function place(name: string, type: Type, presence: Presence = REQUIRED, path = [name]): Field {
  return { name, path, type, presence };
}

function list(of: Type, presence: Presence = REQUIRED): Type {
  return { kind: 'list', of: { type: of, presence } };
}

function map(of: Type, presence: Presence = REQUIRED): Type {
  return { kind: 'map', key: STRING, of: { type: of, presence } };
}

function struct(...fields: Field[]): Type {
  return { kind: 'struct', name: null, fields };
}

function record(data: string, type = 'e'): string {
  return `{"type":"${type}","time":1,"data":${data}}`;
}

async function decode(events: EventType[], lines: string[]): Promise<Decoded> {
  return decodeBlock(await decodingLayout(events), joined(lines.map(bytesOf)));
}

describe.each(['null', 'convert'] as const)('inputs of any type, %s', onFault => {
  test.each(seeds(3, 500))('are what the oracle makes of them, seed %p', async seed => {
    const rng = new Random(seed);
    const json = new JsonText(rng);
    let [good, faulty] = [0, 0];
    for (let round = 0; round < 8; round++) {
      const any = new AnyType(rng, json, rng.pick([0.01, 0.1, 0.3]));
      // One of the types is as strict as ever.
      const events = ['e', 'f', 'g'].map((name, i) => ({ ...any.event(name), ...(i < 2 && { onFault }) }));
      const lines = Array.from({ length: 400 }, () => {
        const { name, inputs } = rng.pick(events);
        const members: [string, string][] = [
          ['type', `"${name}"`],
          ['time', '1'],
          ['data', any.object(inputs)],
        ];
        return bytesOf(json.object(rng.chance(0.2) ? json.shuffled(members) : members));
      });
      const judged = await judgeEvents(events, lines);
      const spoiled = lines.map(line => damage(line, rng).map(byte => (byte === 10 ? 32 : byte)));
      await judgeEvents(events, spoiled);
      [good, faulty] = [good + judged.good, faulty + judged.faulty];
    }
    expect(good).toBeGreaterThan(1500);
    expect(faulty).toBeGreaterThan(300);
  });

  // Lines of one form, with a value here and there that is not: those that are read by their form, and what they leave behind.
  test.each(seeds(2, 500))('in lines that are alike, seed %p', async seed => {
    const rng = new Random(seed * 7919);
    const scalars: [string, Type, () => string][] = [
      ['i', INT64, () => String(rng.below(1e6))],
      ['x', DOUBLE, () => String(rng.below(1e6) / 8)],
      ['s', STRING, () => `"${rng.below(1e6).toString(36)}"`],
      ['b', BOOL, () => rng.pick(['true', 'false'])],
      ['t', TIME, () => `"${rng.pick(TIMES.slice(0, 2))}"`],
      ['l', list(INT64), () => `[1,${rng.below(9)}]`],
      ['m', map(STRING, OPTIONAL), () => `{"a":"${rng.below(9)}","b":null}`],
    ];
    const presences: Presence[] = [REQUIRED, OPTIONAL];
    const event = lenient(
      'e',
      scalars.map(([name, type]) => place(name, type, rng.pick(presences))),
      onFault,
    );
    const again = [...event.inputs, place('i again', STRING, OPTIONAL, ['i'])];
    const odd = ['null', '"null"', '"5"', '"5.5"', '5.5', 'true', '"true"', '"x"', '{}', '[]', '["1"]', '{"a":1}'];
    for (const inputs of [event.inputs, again]) {
      const lines = Array.from({ length: 6000 }, () => {
        const members = scalars
          .filter(() => !rng.chance(0.01))
          .map(([name, , text]) => `"${name}":${rng.chance(0.03) ? rng.pick(odd) : text()}`);
        return bytesOf(record(`{${members.join()}}`));
      });
      const { faulty, bad } = await judgeEvents([{ ...event, inputs }], lines);
      expect(bad).toBe(0);
      expect(faulty).toBeGreaterThan(500);
    }
  });
});

test('lines without a fault are read by their form, and so are those with one', async () => {
  const event = lenient('e', [place('i', INT64), place('s', STRING), place('x', DOUBLE, OPTIONAL)], 'convert');
  const formLines = async (texts: string[]) => {
    const of = await decodingLayout([event]);
    decodeBlock(of, joined(texts.map(text => bytesOf(record(text)))));
    return of.kernel.exports.formLineCount.value;
  };
  const clean = Array.from({ length: 100 }, (_, i) => `{"i":${i},"s":"${i}"}`);
  expect(await formLines(clean)).toBe(99);
  const odd = ['{"i":"7","s":"null"}', '{"i":1.5,"s":"x"}', '{"i":[1],"s":"x"}', '{"i":null,"s":"x"}'];
  expect(await formLines([...clean, ...odd])).toBe(99 + odd.length);
});

describe('what is made of values of another type', () => {
  const inputs = ['int', 'float', 'bool', 'string', 'time'].map((name, i) =>
    place(name, [INT64, DOUBLE, BOOL, STRING, TIME][i]!, REQUIRED, ['v']),
  );
  const NEW_YEAR = 978_307_200_000_000n;
  const none = 'expected ';
  /** The value, a text behind `=`; or what is said of a null; or both. */
  type Wanted = bigint | number | boolean | string | [Value, string];
  const cases: [json: string, Wanted[]][] = [
    ['5', [5n, 5, `${none}bool`, '=5', 5000n]],
    ['5.0', [5n, 5, `${none}bool`, '=5.0', 5000n]],
    ['5.6', [[5n, 'loss of precision'], 5.6, `${none}bool`, '=5.6', `${none}time`]],
    ['-0.9', [[0n, 'loss of precision'], -0.9, `${none}bool`, '=-0.9', `${none}time`]],
    ['1e2', [100n, 100, `${none}bool`, '=1e2', 100_000n]],
    ['1e400', [`${none}int`, Infinity, `${none}bool`, '=1e400', `${none}time`]],
    [
      '9007199254740993.5',
      [[9007199254740993n, 'loss of precision'], 9007199254740994, `${none}bool`, '=9007199254740993.5', `${none}time`],
    ],
    ['9223372036854775808', [`${none}int`, 2 ** 63, `${none}bool`, '=9223372036854775808', `${none}time`]],
    [
      '9223372036854775807.5',
      [[2n ** 63n - 1n, 'loss of precision'], 2 ** 63, `${none}bool`, '=9223372036854775807.5', `${none}time`],
    ],
    ['"5"', [5n, 5, `${none}bool`, '=5', 5000n]],
    ['"\\u0035"', [5n, 5, `${none}bool`, '=5', 5000n]],
    ['"5.6"', [[5n, 'loss of precision'], 5.6, `${none}bool`, '=5.6', `${none}time`]],
    ['"978307200000"', [978307200000n, 978307200000, `${none}bool`, '=978307200000', NEW_YEAR]],
    ['"2001-01-01"', [`${none}int`, `${none}float`, `${none}bool`, '=2001-01-01', NEW_YEAR]],
    ['"2001-02-30"', [`${none}int`, `${none}float`, `${none}bool`, '=2001-02-30', `${none}time`]],
    ['"2001-01-01T00:00:00Z"', [`${none}int`, `${none}float`, `${none}bool`, '=2001-01-01T00:00:00Z', NEW_YEAR]],
    ['"true"', [`${none}int`, `${none}float`, true, '=true', `${none}time`]],
    ['"false"', [`${none}int`, `${none}float`, false, '=false', `${none}time`]],
    ['true', [`${none}int`, `${none}float`, true, '=true', `${none}time`]],
    ['false', [`${none}int`, `${none}float`, false, '=false', `${none}time`]],
    ['"TRUE"', [`${none}int`, `${none}float`, `${none}bool`, '=TRUE', `${none}time`]],
    ['"bar"', [`${none}int`, `${none}float`, `${none}bool`, '=bar', `${none}time`]],
    ['""', [`${none}int`, `${none}float`, `${none}bool`, '=', `${none}time`]],
    ...[' 5', '5 ', '+5', '05', '.5', '5.', '0x5', '1e', '-', 'NaN', 'Infinity', '1_0', '5\\u0000'].map(
      (text): [string, Wanted[]] => [
        `"${text}"`,
        [`${none}int`, `${none}float`, `${none}bool`, `=${text.replace('\\u0000', '\0')}`, `${none}time`],
      ],
    ),
    ['[5]', [`${none}int`, `${none}float`, `${none}bool`, `${none}string`, `${none}time`]],
    ['{"v":5}', [`${none}int`, `${none}float`, `${none}bool`, `${none}string`, `${none}time`]],
    ...['null', '"null"', '"\\u006eull"'].map((json): [string, Wanted[]] => [
      json,
      new Array(5).fill('required input is null'),
    ]),
  ];

  const readWanted = (one: Wanted): [Value, string | null] => {
    if (Array.isArray(one)) return one;
    if (typeof one !== 'string') return [one, null];
    return one.startsWith('=') ? [one.slice(1), null] : [null, one];
  };

  test.each(cases)('%s', async (json, wanted) => {
    const event = lenient('e', inputs, 'convert');
    // The first line is read the long way, the second by its form.
    const { records } = await decode([event], [record(`{"v":${json}}`), record(`{"v":${json}}`)]);
    for (const { inputs: values, faults } of records)
      for (const [i, { name }] of inputs.entries()) {
        const one = wanted[i]!;
        const [value, fault] = readWanted(one);
        expect([name, values![name]!, faults[name]!]).toEqual([name, value, fault] as never);
      }
  });

  test('a missing input, and nothing but that where nothing is converted', async () => {
    const [found] = (await decode([lenient('e', inputs, 'convert')], [record('{}')])).records;
    expect(Object.values(found!.faults)).toEqual(new Array(5).fill('required input missing'));
    const strict = (
      await decode(
        [lenient('e', inputs, 'null')],
        ['"5"', '5.5', '"null"'].map(v => record(`{"v":${v}}`)),
      )
    ).records;
    expect(strict.map(({ inputs: values }) => Object.values(values!))).toEqual([
      [null, null, null, '5', null],
      [null, 5.5, null, null, null],
      [null, null, null, 'null', null],
    ]);
  });
});

describe('what is nested', () => {
  const item = struct(place('sku', STRING), place('count', INT64, { kind: 'default', value: 1n }));
  const home = struct(
    place('street', STRING),
    place('zip', STRING, OPTIONAL),
    place('tall', DOUBLE, OPTIONAL, ['size', 'tall']),
  );
  const inputs = [
    place('h', home, OPTIONAL, ['home']),
    place('items', list(item), OPTIONAL),
    place('tags', map(DOUBLE, OPTIONAL), OPTIONAL),
    place('must', list(INT64, OPTIONAL)),
  ];
  const nothing = { h: null, items: null, tags: null, must: [] };
  const cases: [data: string, values: { [name: string]: Value }, faults: { [name: string]: string }][] = [
    ['{"must":[]}', nothing, {}],
    ['{"must":[],"home":null,"items":null,"tags":null}', nothing, {}],
    ['{"must":[],"home":"null","tags":"null"}', nothing, {}],
    ['{}', { ...nothing, must: null }, { must: 'required input missing' }],
    ['{"must":null}', { ...nothing, must: null }, { must: 'required input is null' }],
    ['{"must":5}', { ...nothing, must: null }, { must: 'expected list' }],
    ['{"must":["1",null,2.5,"x"]}', { ...nothing, must: [1n, null, 2n, null] }, { must: 'must[2]: loss of precision' }],
    [
      '{"must":[],"home":{"zip":5,"size":{"tall":"2.5"}}}',
      { ...nothing, h: { street: null, zip: '5', tall: 2.5 } },
      { h: 'home.street: required input missing' },
    ],
    [
      '{"must":[],"home":{"street":"a","zip":[],"size":3}}',
      { ...nothing, h: { street: 'a', zip: null, tall: null } },
      { h: 'home.zip: expected string' },
    ],
    [
      '{"must":[],"home":{"street":"a","size":3}}',
      { ...nothing, h: { street: 'a', zip: null, tall: null } },
      { h: 'home.size.tall: expected float' },
    ],
    ['{"must":[],"home":[]}', nothing, { h: 'expected struct' }],
    ['{"must":[],"items":{}}', nothing, { items: 'expected list' }],
    ['{"must":[],"tags":[]}', nothing, { tags: 'expected map' }],
    [
      '{"must":[],"items":[{"sku":"a"},{"count":"x"},5,null]}',
      { ...nothing, items: [{ sku: 'a', count: 1n }, { sku: null, count: 1n }, null, null] },
      { items: 'items[1].sku: required input missing' },
    ],
    ['{"must":[],"tags":{"b":1,"a":"2","c":null,"":3}}', { ...nothing, tags: { '': 3, a: 2, b: 1, c: null } }, {}],
    [
      '{"must":[],"tags":{"red":"x","blue":[],"green":1}}',
      { ...nothing, tags: { red: null, blue: null, green: 1 } },
      { tags: "tags['blue']: expected float" },
    ],
    ['{"must":[],"tags":{"a":"x","a":2,"b":1,"b":3}}', { ...nothing, tags: { a: 2, b: 3 } }, {}],
    ['{"must":[],"tags":{"a":{"a":1}},"tags":{"b":1}}', { ...nothing, tags: { b: 1 } }, {}],
  ];

  test.each(cases)('%s', async (data, values, faults) => {
    const event = lenient('e', inputs, 'convert');
    const { records } = await decode([event], [record(data), record(data)]);
    for (const found of records) {
      expect(found.inputs).toEqual(values);
      expect(found.faults).toEqual({ h: null, items: null, tags: null, must: null, ...faults });
    }
    await judgeEvents([event], [record(data), record('{}'), record(data)].map(bytesOf));
  });

  test('a place that is deep is named to its end', async () => {
    let type: Type = INT64;
    for (let depth = 0; depth < 12; depth++)
      type = [list(type), map(type), struct(place('a', type, REQUIRED, ['b', 'c']))][depth % 3]!;
    const value = (depth: number): string =>
      depth < 0
        ? '[]'
        : [`[${value(depth - 1)}]`, `{"k'":${value(depth - 1)}}`, `{"b":{"c":${value(depth - 1)}}}`][depth % 3]!;
    const event = lenient('e', [place('x', type)], 'null');
    const { records } = await decode([event], [record(`{"x":${value(11)}}`)]);
    expect(records[0]!.faults.x).toBe(`x${".b.c['k''][0]".repeat(4)}: expected int`);
  });

  test('more values than one event may have are lost, wherever they stand, and nothing else is', async () => {
    const wide = struct(...Array.from({ length: 1000 }, (_, i) => place(`f${i}`, INT64, OPTIONAL)));
    const event = lenient(
      'e',
      [
        place('a', list(INT64, OPTIONAL), OPTIONAL),
        place('x', list(wide), OPTIONAL),
        place('m', map(wide), { kind: 'default', value: {} }),
        place('s', STRING, OPTIONAL),
        place('none', list(INT64), OPTIONAL),
        place('odd', list(INT64), OPTIONAL),
      ],
      'convert',
    );
    const fit = Math.floor((NESTED_VALUES_MAX - 1) / 1001);
    const structs = (count: number) => new Array(count).fill('{}').join();
    const entries = (count: number) => Array.from({ length: count }, (_, i) => `"${i}":{}`).join();
    const lines = [
      record(`{"a":[1],"x":[${structs(fit)}],"s":"t"}`),
      record(`{"a":[1],"x":[${structs(fit + 1)}],"s":"t","odd":5}`),
      record(`{"a":[1],"m":{${entries(fit + 1)}},"s":"t"}`),
      record(`{"a":[1],"m":{${entries(fit)}},"s":"t"}`),
      record(`{"x":[${structs(fit * 2)}],"a":[1],"s":"t"}`),
      record('{"a":[1],"x":[{}],"s":"t"}'),
    ].flatMap(line => [line, line]);
    const { faulty, bad } = await judgeEvents([event], lines.map(bytesOf));
    expect([faulty, bad]).toEqual([6, 0]);
    const { records } = await decode([event], [lines[2]!]);
    const text = `more than ${NESTED_VALUES_MAX} values`;
    expect(records[0]!.faults).toEqual({ a: text, x: text, m: null, s: null, none: null, odd: 'expected list' });
    expect(records[0]!.inputs!.s).toBe('t');
  });
});

describe('maps', () => {
  test('of many keys, in any order and often the same', async () => {
    const rng = new Random(5);
    const event = eventType('e', [place('m', map(INT64))]);
    for (const count of [0, 1, 2, 3, 100, 20_000]) {
      const entries = Array.from({ length: count }, (_, i) => [`${rng.below(count)}`, i] as const);
      for (const ordered of [entries, entries.toSorted(), entries.toReversed()]) {
        const text = `{${ordered.map(([key, value]) => `"${key}":${value}`).join()}}`;
        const { records } = await decode([event], [record(`{"m":${text}}`)]);
        const wanted = Object.fromEntries(ordered.map(([key, value]) => [key, BigInt(value)]));
        expect(records[0]!.inputs!.m).toEqual(wanted);
      }
    }
  });

  test('are asked for a text', async () => {
    const rng = new Random(6);
    const columns = { m: map(INT64, OPTIONAL), k: STRING };
    const keys = ['', 'a', 'ab', 'b', 'é', '\uffff', '\u{10000}', 'z', '__proto__', 'toString'];
    const rows = Array.from({ length: 600 }, () => {
      const entries = keys
        .filter(() => rng.chance(0.4))
        .map(key => [key, rng.chance(0.2) ? null : BigInt(rng.below(9))]);
      return {
        m: rng.chance(0.1) ? null : (Object.fromEntries(entries) as Value),
        k: rng.chance(0.1) ? null : rng.pick(keys),
      };
    });
    const fallback: Value = { b: 1n, '': 2n, é: null };
    const literal = { kind: 'literal', value: fallback, type: columns.m, at: null } as const;
    const either = call('coalesce', columns.m, column('m', columns.m), literal);
    const asked = [column('m', columns.m), literal, either].map(of => index(of, column('k', STRING), INT64));
    const found = evaluateAll(await loadKernel(), [...asked, either], columns, rows);
    for (const [i, expression] of [...asked, either].entries())
      expect(found[i]).toEqual(
        rows.map(row => evaluate(expression, { column: name => row[name as 'm'], read: () => null })),
      );
  });

  test('are bad, where events may be, for the last value of a key', async () => {
    const event = eventType('e', [place('m', map(list(INT64)))]);
    const reasons = async (data: string) =>
      (await decode([event], [record(data), record(data)])).records.map(({ bad }) => bad && [bad.code, bad.reason]);
    const twice = <T>(one: T) => [one, one];
    expect(await reasons('{"m":{"a":["x"],"a":[1]}}')).toEqual(twice(null));
    expect(await reasons('{"m":{"b":[],"a":[1],"a":[2,"é"]}}')).toEqual(
      twice(['wrong_type', "input m['a'][1] is no int64"]),
    );
    expect(await reasons('{"m":{"\\u00e9":null}}')).toEqual(
      twice(['missing', "required input m['é'] is missing or null"]),
    );
    expect(await reasons('{"m":[]}')).toEqual(twice(['wrong_type', 'input m is no map{string: [int64]}']));
  });
});

test('a batch leaves nothing of its faults to the next one', async () => {
  const event = lenient('e', [place('i', INT64), place('l', list(INT64), OPTIONAL)], 'null');
  const bad = record('{"i":"x","l":["\\u0061"]}');
  const good = record('{"i":1,"l":[1]}');
  const of = await decodingLayout([event]);
  const sizes: number[] = [];
  for (let round = 0; round < 12; round++) {
    const lines = Array.from({ length: 5000 }, (_, i) => ((i * 7) % (round + 2) === 0 ? bad : good));
    const { records } = decodeBlock(of, joined(lines.map(bytesOf)));
    expect(records.map(({ faults }) => faults.i !== null)).toEqual(lines.map(line => line === bad));
    expect(records.map(({ faults }) => faults.l)).toEqual(
      lines.map(line => (line === bad ? 'l[0]: expected int' : null)),
    );
    sizes.push(of.kernel.exports.memoryInUse());
  }
  expect(sizes.at(-1)).toBe(sizes[5]!);
});

test('every byte in every place, and every prefix', async () => {
  const line = bytesOf(record('{"i":"12","m":{"a":[1.5,"x"],"b":null},"t":"978307200000","s":true}'));
  const event = lenient(
    'e',
    [
      place('i', INT64),
      place('m', map(list(INT64), OPTIONAL)),
      place('t', TIME),
      place('s', STRING),
      place('never', STRING),
    ],
    'convert',
  );
  const bytes = [...bytesOf('"\\{}[],:0-.etn '), 0, 0x7f, 0x80, 0xff];
  const changed = Array.from(line, (_, at) => bytes.map(byte => line.map((old, i) => (i === at ? byte : old)))).flat();
  await judgeEvents([event], [line, line, ...Array.from(line, (_, at) => line.slice(0, at)), ...changed]);
});

test('numbers of any spelling, as texts and as they are', async () => {
  const event = lenient(
    'e',
    [place('i', INT64, REQUIRED, ['v']), place('x', DOUBLE, REQUIRED, ['v']), place('t', TIME, REQUIRED, ['v'])],
    'convert',
  );
  const rng = new Random(11);
  const digits = (most: number) => Array.from({ length: 1 + rng.below(most) }, () => rng.below(10)).join('');
  const random = Array.from({ length: 3000 }, () => {
    const fraction = rng.chance(0.6) ? `.${digits(25)}` : '';
    const exponent = rng.chance(0.4) ? `e${rng.pick(['', '-', '+'])}${rng.below(30)}` : '';
    return `${rng.pick(['', '-'])}${String(BigInt(digits(22)))}${fraction}${exponent}`;
  });
  const lines = [...NUMBERS, ...random].flatMap(text => [`{"v":${text}}`, `{"v":"${text}"}`]);
  const { faulty } = await judgeEvents(
    [event],
    lines.map(data => bytesOf(record(data))),
  );
  expect(faulty).toBeGreaterThan(1000);
});
