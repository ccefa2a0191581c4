/** Functions that plans have and SQL mostly has not, against the oracle, and against what others make of the same. */
import { describe, expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Expression } from '../../src/plan/expression.ts';
import { compileTimeFormat, Directive, TIME_FORMAT_BYTES_MAX, TimeFormatError } from '../../src/plan/time_format.ts';
import { DOUBLE, STRING, TIME, type Type, type Value } from '../../src/plan/value.ts';
import { isZone, offsetsOf } from '../../src/plan/zone.ts';
import { call, column, literal } from '../oracle/fixtures/spell.ts';
import { evaluate } from '../oracle/terms.ts';
import { Random } from '../sim/random.ts';
import { LONG, seeds } from '../seeds.ts';
import { type Columns, evaluateAll, type Row } from './evaluate.ts';

const ROWS = LONG ? 1_000_000 : 20_000;
const SEEDS = seeds(1, 200).map(seed => 11 + seed);

const NO_READS = () => {
  throw new Error('no reads here');
};

/** Values of expressions over rows, each as the oracle has it. */
async function judged(expressions: Expression[], columns: Columns, rows: Row[]): Promise<Value[][]> {
  const found = evaluateAll(await loadKernel(), expressions, columns, rows);
  for (const [i, expression] of expressions.entries())
    for (const [at, row] of rows.entries()) {
      const wanted = evaluate(expression, { column: name => row[name]!, read: NO_READS });
      const got = found[i]![at]!;
      if (Object.is(got, wanted)) continue;
      const { args } = expression as Expression & { kind: 'call' };
      throw new Error(
        `${Bun.inspect(args.slice(1))} of ${Bun.inspect(row)}: ${Bun.inspect(got)}, not ${Bun.inspect(wanted)}`,
      );
    }
  return found;
}

const x = column('x', DOUBLE);
const t = column('t', TIME);
const s = column('s', STRING);
const u = column('u', STRING);

describe('doubles as texts', () => {
  const toText = call('toText', STRING, x);
  const texts = async (values: number[]) =>
    evaluateAll(
      await loadKernel(),
      [toText],
      { x: DOUBLE },
      values.map(value => ({ x: value })),
    )[0]!;
  const word = new DataView(new ArrayBuffer(8));

  test('are as JSON.stringify writes them, and are read as the same', async () => {
    const rng = new Random(7);
    const bits = () => {
      word.setUint32(0, rng.below(2 ** 32));
      word.setUint32(4, rng.below(2 ** 32));
      return word.getFloat64(0);
    };
    const powers = Array.from({ length: 2100 }, (_, i) => 2 ** (i - 1075));
    const tens = Array.from({ length: 640 }, (_, i) => Number(`1e${i - 325}`));
    const near = [...powers, ...tens].flatMap(value => {
      word.setFloat64(0, value);
      const at = word.getBigUint64(0);
      return [at - 1n, at, at + 1n].map(one => {
        word.setBigUint64(0, BigInt.asUintN(63, one));
        return word.getFloat64(0);
      });
    });
    const values = [
      ...[0, -0, 1, -1, 0.1, 0.3, 1 / 3, 5e-324, 1.7976931348623157e308, 2 ** 53, 9007199254740994, 1e21, 1e-6, 1e-7],
      ...[123456789012345680000, 0.000001234, 1.5e-9, 4.35, 2.5e15, 2 ** -44, 9.5367431640625e-7],
      ...near,
      ...Array.from({ length: ROWS }, () => (rng.chance(0.6) ? bits() : (rng.below(2e9) - 1e9) / 10 ** rng.below(9))),
    ].filter(Number.isFinite);
    const found = await texts(values);
    for (const [i, value] of values.entries())
      if (found[i] !== JSON.stringify(value)) throw new Error(`${found[i]}, not ${JSON.stringify(value)}`);
    const back = await judged(
      [call('toDouble', DOUBLE, s)],
      { s: STRING },
      found.map(text => ({ s: text })),
    );
    for (const [i, value] of values.entries())
      if (back[0]![i] !== value) throw new Error(`${found[i]} is read as ${back[0]![i]}`);
  });

  test('have no text where JSON has none', async () => {
    expect(await texts([Number.NaN, Infinity, -Infinity])).toEqual([null, null, null]);
  });
});

test('texts as doubles', async () => {
  const rng = new Random(8);
  const spelled = [
    '1',
    '+1',
    '-1',
    '.5',
    '5.',
    '-.5e3',
    '1e400',
    ' 1.5\t',
    '0x1',
    '1_0',
    'nan',
    'inf',
    '',
    ' ',
    '.',
    '-',
  ];
  const odd = [
    '1e',
    '1e+',
    'e5',
    '1.2.3',
    '--1',
    '+-1',
    '-+1',
    '1 2',
    '1\u00a0',
    '9007199254740993',
    '1.0e-400',
    '1E5',
  ];
  const atoms = [...'0123456789', '.', '-', '+', 'e', 'E', ' ', '00', '1234567', '\n', 'x'];
  const random = Array.from({ length: 4000 }, () =>
    Array.from({ length: rng.below(7) }, () => rng.pick(atoms)).join(''),
  );
  const rows = [null, ...spelled, ...odd, ...random].map(text => ({ s: text }));
  const [found] = await judged([call('toDouble', DOUBLE, s)], { s: STRING }, rows);
  expect(found!.filter(value => value !== null).length).toBeGreaterThan(800);
});

describe('similarity', () => {
  const similarity = call('similarity', DOUBLE, s, u);
  const columns = { s: STRING, u: STRING };

  test('by Jaro and Winkler, of code points', async () => {
    const pairs: [string, string, number][] = [
      ['', '', 0],
      ['a', '', 0],
      ['a', 'a', 1],
      ['ab', 'ba', 0],
      ['martha', 'marhta', 0.9611111111111111],
      ['dixon', 'dicksonx', 0.8133333333333332],
      ['jellyfish', 'smellyfish', 0.8962962962962964],
      ['é', 'è', 0],
      ['naïve 😀', 'naïve 😀', 1],
      ['a\0', 'a\0', 1],
    ];
    const [found] = await judged(
      [similarity],
      columns,
      pairs.map(([a, b]) => ({ s: a, u: b })),
    );
    expect(found).toEqual(pairs.map(([, , value]) => value));
  });

  test('of random texts, alike and not', async () => {
    const rng = new Random(9);
    const points = [...'aaabbcdé', '\u{10000}', '\u{10ffff}', '\0', 'ß'];
    const text = () => Array.from({ length: rng.below(rng.chance(0.1) ? 200 : 12) }, () => rng.pick(points));
    const rows = Array.from({ length: 4000 }, () => {
      const a = text();
      const b = rng.chance(0.5) ? text() : a.toSpliced(rng.below(a.length + 1), rng.below(3), ...text().slice(0, 2));
      return { s: rng.chance(0.02) ? null : a.join(''), u: b.join('') };
    });
    const [found] = await judged([similarity], columns, rows);
    expect(found!.filter(value => Number(value) > 0.7).length).toBeGreaterThan(500);
  });

  // Every code point of one with every one of the other would be 10^11 pairs.
  test('of long texts takes no more time than their lengths', async () => {
    const many = Array.from({ length: 300_000 }, (_, i) => String.fromCodePoint(0x10000 + ((i * 7919) % 900_000))).join(
      '',
    );
    const rows = [
      { s: 'ab'.repeat(150_000), u: 'ba'.repeat(150_000) },
      { s: 'a'.repeat(300_000), u: 'b'.repeat(300_000) },
      { s: many, u: [...many].reverse().join('') },
    ];
    const [found] = evaluateAll(await loadKernel(), [similarity], columns, rows);
    // All of them are common, and each is another one in its place.
    expect(found!.slice(0, 2)).toEqual([2.5 / 3, 0]);
  });
});

test('blocks of IPv4 addresses', async () => {
  const rng = new Random(10);
  const fixed: [string | null, string | null][] = [
    ['82.177.157.10', '82.177.157'],
    ['0.0.0.0', '0.0.0'],
    ['255.255.255.255', '255.255.255'],
    ...['256.1.1.1', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.04', '1.2.3.', '.1.2.3', '1..2.3', ' 1.2.3.4'].map(
      (text): [string, null] => [text, null],
    ),
    ...[
      '1.2.3.4 ',
      '1.2.3.4:80',
      '::ffff:1.2.3.4',
      '2001:db8::1',
      '',
      '1.2.3.x',
      '-1.2.3.4',
      '1,2,3,4',
      '1111.1.1.1',
    ].map((text): [string, null] => [text, null]),
    [null, null],
  ];
  const parts = ['0', '1', '9', '10', '99', '100', '199', '249', '255', '256', '300', '00', '007', '', 'a'];
  const random = Array.from({ length: 3000 }, () =>
    Array.from({ length: rng.chance(0.9) ? 4 : rng.below(6) }, () =>
      rng.pick(rng.chance(0.9) ? parts.slice(0, 9) : parts),
    ).join('.'),
  );
  const ipBlock = call('ipBlock', STRING, s);
  const [found] = await judged(
    [ipBlock],
    { s: STRING },
    [...fixed.map(([text]) => text), ...random].map(text => ({ s: text })),
  );
  expect(found!.slice(0, fixed.length)).toEqual(fixed.map(([, block]) => block));
  const python = pythonOrSkip('blocks = Python');
  if (python === null) return;
  const program = `
import ipaddress, json, sys
def block(text):
    try:
        return str(ipaddress.IPv4Address(text)).rsplit('.', 1)[0]
    except ValueError:
        return None
print(json.dumps([block(text) for text in json.load(sys.stdin)]))`;
  const theirs = runPython(python, ['-c', program], new TextEncoder().encode(JSON.stringify(random)));
  expect(found!.slice(fixed.length)).toEqual(JSON.parse(new TextDecoder().decode(theirs)));
});

const TIME_MIN = -62_167_219_200_000_000n;
const TIME_MAX = 253_402_300_799_999_999n;

function moment(rng: Random): bigint {
  if (rng.chance(0.05)) return rng.pick([0n, -1n, TIME_MIN, TIME_MAX, 951_782_400_000_000n, 946_684_799_999_999n]);
  const day = BigInt(rng.below(3_652_059)) * 86_400_000_000n + TIME_MIN;
  return rng.chance(0.2) ? day : day + BigInt(rng.below(86_400)) * 1_000_000n + BigInt(rng.below(1_000_000));
}

const SPELLED = [...'aAbBhYymdjHIpMSgfzwuUWVGFTRxXc%'];
const READ = [...'aAbBhYymdjHIpMSgfzFTRxXc%'];

function randomFormat(rng: Random, names: string[]): string {
  const literals = ['-', '/', ' ', ':', '.', 'T', ' at ', 'é', '  ', ''];
  return Array.from({ length: 1 + rng.below(6) }, () => {
    const name = rng.pick(names);
    return `${rng.chance(0.2) && 'ymdjHIMS'.includes(name) ? '%-' : '%'}${name}${rng.pick(literals)}`;
  }).join('');
}

describe('formats of times', () => {
  test('are spelled', async () => {
    const cases: [string, string][] = [
      ['%Y-%m-%d %H:%M:%S.%f', '2005-03-06 07:08:09.012345'],
      ['%a %A %b %B %h', 'Sun Sunday Mar March Mar'],
      ['%-d.%-m.%y %-I%p', '6.3.05 7AM'],
      ['%j %-j %U %W %V %G %u %w', '065 65 10 09 09 2005 7 0'],
      ['%F|%T|%R|%x|%X|%c', '2005-03-06|07:08:09|07:08|2005-03-06|07:08:09|2005-03-06 07:08:09'],
      ['%g%z%%', '012+00%'],
      ['', ''],
      ['é😀', 'é😀'],
    ];
    const expressions = cases.map(([format]) => call('formatTime', STRING, t, literal(format)));
    const at = 1_110_092_889_012_345n;
    const found = await judged(expressions, { t: TIME }, [{ t: at }, { t: null }]);
    expect(found.map(([one]) => one!)).toEqual(cases.map(([, text]) => text));
    expect(found.map(([, one]) => one)).toEqual(cases.map(() => null));
  });

  test.each(SEEDS)('are spelled and read again, whatever they say, seed %p', async seed => {
    const rng = new Random(seed);
    const rows = Array.from({ length: 300 }, () => ({ t: moment(rng) }));
    const spelled = Array.from({ length: 60 }, () =>
      call('formatTime', STRING, t, literal(randomFormat(rng, SPELLED))),
    );
    await judged(spelled, { t: TIME }, rows);
    let known = 0;
    for (let round = 0; round < 40; round++) {
      const format = randomFormat(rng, READ);
      const [texts] = await judged([call('formatTime', STRING, t, literal(format))], { t: TIME }, rows.slice(0, 100));
      const damaged = texts!.map(text => {
        const cut = rng.below(String(text).length + 1);
        const odd = rng.pick(['', '', ' ', '0', '9', 'x', '-', 'JAN', 'pm', '+02:30', 'Z']);
        return rng.chance(0.5) ? text! : String(text).slice(0, cut) + odd + String(text).slice(cut + rng.below(3));
      });
      const expression = call('parseTime', TIME, s, literal(format));
      const [found] = await judged(
        [expression],
        { s: STRING },
        damaged.map(text => ({ s: text })),
      );
      known += found!.filter(one => one !== null).length;
    }
    expect(known).toBeGreaterThan(800);
  });

  test('are read', async () => {
    const cases: [string, string, string | null][] = [
      ['2001-03-05 01:02:03', '%Y-%m-%d %H:%M:%S', '2001-03-05T01:02:03Z'],
      ['  2001-3-5  ', '%Y-%m-%d', '2001-03-05T00:00:00Z'],
      ['20010305', '%Y%m%d', '2001-03-05T00:00:00Z'],
      ['05/Mar/2001:10:00:00 +0230', '%d/%b/%Y:%H:%M:%S %z', '2001-03-05T07:30:00Z'],
      ['2001-03-05T10:00:00Z', '%FT%T%z', '2001-03-05T10:00:00Z'],
      ['2001-03-05T10:00:00-08', '%FT%T%z', '2001-03-05T18:00:00Z'],
      ['march 5 2001 12 am', '%B %d %Y %I %p', '2001-03-05T00:00:00Z'],
      ['12 PM', '%I %p', '1900-01-01T12:00:00Z'],
      ['064 2001', '%j %Y', '2001-03-05T00:00:00Z'],
      ['366 2000', '%j %Y', '2000-12-31T00:00:00Z'],
      ['366 2001', '%j %Y', null],
      ['68 69', '%y %y', '1969-01-01T00:00:00Z'],
      ['5.25', '%S.%f', '1900-01-01T00:00:05.250Z'],
      ['5.2', '%S.%g', '1900-01-01T00:00:05.200Z'],
      ['2001-02-29', '%Y-%m-%d', null],
      ['2001-13-01', '%Y-%m-%d', null],
      ['13 PM', '%I %p', null],
      ['24:00', '%H:%M', null],
      ['2001-03-05x', '%Y-%m-%d', null],
      ['2001-03', '%Y-%m-%d', null],
      ['10000-01-01', '%Y-%m-%d', null],
      ['0000-01-01 +01', '%Y-%m-%d %z', null],
      ['200103', '%Y %m', null],
      ['2001 \t 03', '%Y %m', '2001-03-01T00:00:00Z'],
      ['', '', '1900-01-01T00:00:00Z'],
    ];
    const micros = (text: string | null) => text && BigInt(Date.parse(text)) * 1000n;
    for (const [text, format, wanted] of cases) {
      const [[found]] = (await judged([call('parseTime', TIME, s, literal(format))], { s: STRING }, [{ s: text }])) as [
        [Value],
      ];
      expect([text, format, found]).toEqual([text, format, micros(wanted)]);
    }
  });

  test('that are none are refused, and say why', () => {
    const why = (format: string, use: 'read' | 'spell') => {
      try {
        compileTimeFormat(format, use);
      } catch (error) {
        if (error instanceof TimeFormatError) return error.message;
        throw error;
      }
      return null;
    };
    expect(why('%Q', 'spell')).toStartWith('unknown directive %Q; those that are known are %A %a %B');
    expect(why('100%', 'spell')).toStartWith('unknown directive %;');
    expect(why('%-a', 'spell')).toStartWith('unknown directive %-a;');
    expect(why('%-F', 'spell')).toStartWith('unknown directive %-F;');
    expect(why('%é', 'spell')).toStartWith('unknown directive %;');
    expect(why('%d %V', 'read')).toStartWith('times are not read by %V; they are by %A %a');
    expect(why('%d %V', 'spell')).toBeNull();
    expect(why('é'.repeat(128), 'spell')).toBeNull();
    expect(why('é'.repeat(129), 'spell')).toBe(`a format has at most ${TIME_FORMAT_BYTES_MAX} bytes, got 258`);
  });

  test('have directives that the kernel numbers alike', async () => {
    const text = await Bun.file(new URL('../../assembly/time_format.ts', import.meta.url)).text();
    const theirs = /enum Directive \{([^}]*)\}/
      .exec(text)![1]!
      .split(',')
      .map(name => name.trim());
    expect(Object.keys(Directive).filter(name => Number.isNaN(Number(name)))).toEqual(theirs.filter(Boolean));
  });
});

describe('time zones', () => {
  const ZONES = [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Asia/Kolkata',
    'Australia/Lord_Howe',
    'Africa/Casablanca',
  ];
  const MORE = ['America/St_Johns', 'Africa/Monrovia', 'Pacific/Apia', 'Asia/Gaza', 'Etc/GMT+5', 'Antarctica/Troll'];
  const zones = [...ZONES, ...MORE];
  const expressions = zones.map(zone => call('inZone', TIME, t, literal(zone)));
  const FROM = 0;
  const TO = Date.UTC(2101, 0);

  test('show what clocks show, to the second', async () => {
    const rng = new Random(13);
    const edges = zones.flatMap(zone => offsetsOf(zone).map(({ fromMicros }) => fromMicros));
    const rows = [
      ...Array.from({ length: 400 }, () => BigInt(FROM + Math.floor(rng.next() * (TO - FROM))) * 1000n),
      ...edges.filter(() => rng.chance(0.1)).flatMap(edge => [edge - 1n, edge]),
      ...[TIME_MIN, TIME_MAX, -1n, BigInt(TO) * 1000n, TIME_MAX - 3_600_000_000n],
    ].map(at => ({ t: at as Value }));
    const found = await judged(expressions, { t: TIME }, [...rows, { t: null }]);
    expect(found.map(column => column.at(-1))).toEqual(zones.map(() => null));
  });

  const python = pythonOrSkip('zones = Python');

  test.skipIf(python === null)('as Python has them', async () => {
    const rng = new Random(14);
    const seconds = Array.from({ length: LONG ? 100_000 : 2_000 }, () => Math.floor((rng.next() * (TO - FROM)) / 1000));
    const found = evaluateAll(
      await loadKernel(),
      expressions,
      { t: TIME },
      seconds.map(second => ({ t: BigInt(second) * 1_000_000n })),
    );
    const program = `
import json, sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo
zones, seconds = json.load(sys.stdin)
for zone in zones:
    of = ZoneInfo(zone)
    shown = [datetime.fromtimestamp(s, of).replace(tzinfo=timezone.utc) for s in seconds]
    print(json.dumps([round(one.timestamp()) for one in shown]))`;
    const input = new TextEncoder().encode(JSON.stringify([zones, seconds]));
    const lines = new TextDecoder()
      .decode(runPython(python!, ['-c', program], input))
      .trim()
      .split('\n');
    for (const [i, zone] of zones.entries()) {
      const theirs = (JSON.parse(lines[i]!) as number[]).map(second => BigInt(second) * 1_000_000n);
      const at = theirs.findIndex((one, row) => one !== found[i]![row]);
      if (at >= 0) throw new Error(`${zone} at ${seconds[at]}: ${found[i]![at]}, Python ${theirs[at]}`);
    }
  });

  test('that are none are known to be none', () => {
    expect(['Europe/Berlin', 'UTC', 'Mars/Base', '', 'europe/berlin\0'].map(isZone)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

test('a null gives null', async () => {
  const of = (fn: 'similarity' | 'ipBlock' | 'toDouble', type: Type, ...args: Expression[]) => call(fn, type, ...args);
  const nothing: Expression[] = [
    of('similarity', DOUBLE, s, u),
    of('similarity', DOUBLE, u, s),
    of('ipBlock', STRING, s),
  ];
  const found = await judged(nothing, { s: STRING, u: STRING }, [{ s: null, u: 'a' }]);
  expect(found).toEqual([[null], [null], [null]]);
});
