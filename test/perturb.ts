/**
 * Makes a tame log of flights wild, by a seed: the same lines and seed always give the same bytes. Whatever a log can
 * hold by the rules of records, and much that it cannot, happens here at a rate that a few thousand lines show.
 *
 * Two things are kept out, since one of them would leave nothing else to test: no jump comes before the clock of
 * its type is set, and none is so short that the clock follows it for days.
 */
import { Random } from './sim/random.ts';

export function perturb(lines: string[], seed: number): Uint8Array[] {
  const rng = new Random(seed);
  const out: Uint8Array[] = [];
  for (const [i, line] of lines.entries()) {
    const { time, data } = JSON.parse(line) as { time: string; data: Flight };
    const ms = Date.parse(time) + rng.below(60_000) + timeShiftMs(rng, i >= JUMPS_FROM);
    const text = recordText('flight', timeText(ms, rng), dataMembers(data, rng), rng);
    out.push(encode(rng.chance(1 / 20000) ? text.padEnd(text.length + LINE_BYTES_MAX - encode(text).length) : text));
    if (rng.chance(1 / 50)) out.push(out.at(-1 - rng.below(Math.min(out.length, DUPLICATE_WITHIN)))!);
    if (rng.chance(1 / 60)) out.push(brokenLine(text, time, rng));
    if (rng.chance(1 / 100)) out.push(encode(recordText('weather', timeText(ms, rng), [['sky', '"clear"']], rng)));
  }
  shuffleLocally(out, rng);
  return out;
}

/** NDJSON of lines, each ended by a newline. */
export function joinLines(lines: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(lines.flatMap(line => [line, NEWLINE])));
}

interface Flight {
  origin: string;
  destination: string;
  delay: number;
  distance: number;
}

/** A line may be this long, without its newline. */
const LINE_BYTES_MAX = 1 << 20;
/** By then the clock is set, wherever a shuffle carries a line. */
const JUMPS_FROM = 100;
/** A duplicate stands at most this many lines after what it doubles, before shuffles. */
const DUPLICATE_WITHIN = 300;
const SHUFFLE_LINES_MAX = 20;

const NEWLINE = encode('\n');
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Late by minutes, hours or days (past lateness, past every tile), a little early, or far ahead. */
function timeShiftMs(rng: Random, mayJump: boolean): number {
  if (rng.chance(1 / 20)) return -rng.below(HOUR_MS);
  if (rng.chance(1 / 60)) return -rng.below(30 * HOUR_MS);
  if (rng.chance(1 / 100)) return -rng.below(12 * DAY_MS);
  if (rng.chance(1 / 5000)) return rng.below(75 * MINUTE_MS);
  if (mayJump && rng.chance(1 / 300)) return 32 * DAY_MS + rng.below(4_000) * DAY_MS;
  return 0;
}

/** Every way to say a moment, as JSON text. */
function timeText(ms: number, rng: Random): string {
  const iso = (shownMs: number) => new Date(shownMs).toISOString().slice(0, -1);
  switch (rng.below(12)) {
    case 0:
      return String(ms);
    case 1:
      return rng.pick([`${ms}.0`, `${ms}e0`, `${ms}000E-3`, exponent(ms)]);
    case 2:
      return `"${iso(ms + 330 * MINUTE_MS)}+05:30"`;
    case 3:
      return `"${iso(ms - 8 * HOUR_MS)}-08:00"`;
    case 4:
      return `"${iso(ms)}"`;
    case 5:
      return `"${iso(ms).replace('T', ' ')}Z"`;
    case 6:
      return `"${iso(ms).replace('T', 't')}z"`;
    case 7:
      return `"${iso(ms)}${rng.pick(['1', '12', '123', '1234', '12345', '999999'])}Z"`;
    case 8:
      return `"${iso(Math.floor(ms / 1000) * 1000).slice(0, -4)}Z"`;
    case 9:
      return escaped(`${iso(ms)}Z`, rng);
    default:
      return `"${iso(ms)}Z"`;
  }
}

/** 983750400123 -> 9.83750400123e11 */
function exponent(integer: number): string {
  const digits = String(Math.abs(integer));
  return `${integer < 0 ? '-' : ''}${digits[0]}.${digits.slice(1) || '0'}e${digits.length - 1}`;
}

/** A JSON string with some or all of its UTF-16 units escaped. */
function escaped(text: string, rng: Random): string {
  const all = rng.chance(1 / 2);
  const units = Array.from({ length: text.length }, (_, i) => {
    if (!all && rng.chance(1 / 2)) return JSON.stringify(text[i]).slice(1, -1);
    const hex = text.charCodeAt(i).toString(16).padStart(4, '0');
    return `\\u${rng.chance(1 / 2) ? hex : hex.toUpperCase()}`;
  });
  return `"${units.join('')}"`;
}

/** An object's members as (name, JSON text), in the order they are written. */
type Members = [name: string, text: string][];

function dataMembers(flight: Flight, rng: Random): Members {
  const members: Members = [
    ['origin', keyText(flight.origin, rng)],
    ['destination', keyText(flight.destination, rng)],
    ['delay', integerText(flight.delay, rng)],
    ['distance', integerText(flight.distance, rng)],
  ];
  const set = (name: string, text: string) => {
    members.find(member => member[0] === name)![1] = text;
  };
  const drop = (name: string) =>
    members.splice(
      members.findIndex(member => member[0] === name),
      1,
    );
  const optionalName = rng.pick(['delay', 'distance']);
  const requiredName = rng.pick(['origin', 'destination']);
  switch (rng.below(300)) {
    case 0:
    case 1:
      set(optionalName, 'null');
      break;
    case 2:
      drop(optionalName);
      break;
    case 3:
    case 4:
      set(requiredName, 'null');
      break;
    case 5:
      drop(requiredName);
      break;
    case 6:
    case 7:
      set(optionalName, rng.pick(WRONG_INTEGERS));
      break;
    case 8:
      set(requiredName, rng.pick(['5', 'true', '["ATL"]', '{"code":"ATL"}']));
      break;
    case 9:
      if (rng.chance(1 / 3)) set(optionalName, rng.pick(EXTREME_INTEGERS));
  }
  if (rng.chance(1 / 10)) members.reverse();
  if (rng.chance(1 / 30)) members.splice(rng.below(members.length + 1), 0, [rng.pick(JUNK_NAMES), junk(rng, 6)]);
  if (rng.chance(1 / 60)) members.unshift(rng.pick(EARLIER_DOUBLES));
  return members;
}

const WRONG_INTEGERS = [
  '"5"',
  '5.5',
  'true',
  'false',
  '[5]',
  '{}',
  '""',
  '1e-1',
  '9223372036854775808',
  '-9223372036854775809',
  '1e19',
  '1e400',
  '123456789012345678901234567890',
];

/** At the edge of int64, and where a double would round; two of them in one sum overflow. */
const EXTREME_INTEGERS = [
  '9223372036854775807',
  '-9223372036854775808',
  '9007199254740993',
  '-9007199254740993',
  '9223372036854775807.000',
  '9.223372036854775807e18',
];

/** Names much like those that matter, and one that objects have of themselves. */
const JUNK_NAMES = ['Delay', 'delay ', 'del', 'delayed', 'orígin', '', 'constructor', '__proto__', 'a"b\\', '\u0000'];

/** Members that a later one of the same name overrides, as long as there is one. */
const EARLIER_DOUBLES: Members = [
  ['delay', '"not this"'],
  ['delay', '{"delay":[1,2,{}]}'],
  ['origin', 'null'],
  ['origin', '"NOT"'],
  ['destination', '7'],
  ['distance', '1e999'],
];

/** Mostly as it is; now and then a key of other letters, or of none. */
function keyText(key: string, rng: Random): string {
  if (rng.chance(1 / 300))
    return rng.pick(['""', '"Zürich"', '"東京"', '"😀"', '"\\ud83d\\ude00"', '"\\ud800"', '"a\\"\\\\\\/\\n"']);
  return rng.chance(1 / 20) ? escaped(key, rng) : JSON.stringify(key);
}

function integerText(integer: number, rng: Random): string {
  if (!rng.chance(1 / 10)) return String(integer);
  const forms = [
    `${integer}.0`,
    `${integer}.000`,
    `${integer}e0`,
    `${integer}00e-2`,
    `${integer}E+0`,
    exponent(integer),
  ];
  return integer === 0 ? rng.pick(['0', '-0', '0.0', '0e99', '-0.0E-5']) : rng.pick(forms);
}

/** A value that nobody asked for, at most `depth` deep. */
function junk(rng: Random, depth: number): string {
  const leaf = () => rng.pick(['null', 'true', '-1.5e-3', '"}]\\"{["', '"\\\\"', '[]', '{}', '"type"', '1e5']);
  if (depth === 0 || rng.chance(1 / 3)) return leaf();
  const inner = junk(rng, depth - 1);
  return rng.pick([
    `[${leaf()},${inner}]`,
    `{"type":${inner},"x":${leaf()}}`,
    `{"data":{"delay":${leaf()}},"y":${inner}}`,
  ]);
}

function recordText(type: string, time: string, data: Members, rng: Random): string {
  const typeText = rng.chance(1 / 20) ? escaped(type, rng) : JSON.stringify(type);
  if (rng.chance(1 / 20)) return spacedText([['_type', typeText], ['_time', time], ['_id', '"f1"'], ...data], rng);
  const dataText = rng.chance(1 / 200)
    ? rng.pick(['null', '[]', '"data"', '5', 'false', '[{"origin":"ATL"}]'])
    : spacedText(data, rng);
  const members: Members = [
    ['type', typeText],
    ['time', time],
    ['data', dataText],
  ];
  if (rng.chance(1 / 300)) members.pop();
  if (rng.chance(1 / 20)) members.reverse();
  if (rng.chance(1 / 20)) members.push(['id', rng.pick(['"a-1"', '17', 'null'])]);
  if (rng.chance(1 / 60)) members.splice(rng.below(members.length + 1), 0, ['extra', junk(rng, 8)]);
  if (rng.chance(1 / 100))
    members.push(
      rng.pick<Members[number]>([
        ['_type', '"other"'],
        ['_time', '0'],
        ['_id', '1'],
      ]),
    );
  if (rng.chance(1 / 60)) members.unshift(rng.pick<Members[number]>(EARLIER_RECORD_DOUBLES));
  if (rng.chance(1 / 1000)) members.push(['deep', '['.repeat(DEPTH_MAX - 1) + ']'.repeat(DEPTH_MAX - 1)]);
  return spacedText(members, rng);
}

/** A record may be this many brackets deep, its own included. */
const DEPTH_MAX = 64;

const EARLIER_RECORD_DOUBLES: Members = [
  ['type', '"other"'],
  ['type', '5'],
  ['time', '"never"'],
  ['data', '{"origin":"NOT","destination":"NOT","delay":1000}'],
  ['data', '[1]'],
];

/** An object's text: mostly tight, sometimes with all the white space that JSON allows, sometimes with escaped names. */
function spacedText(members: Members, rng: Random): string {
  const space = rng.chance(1 / 20) ? () => rng.pick([' ', '\t', '  ', '', '\r']) : () => '';
  const escapes = rng.chance(1 / 20);
  const texts = members.map(([name, text]) => {
    const nameText = escapes ? escaped(name, rng) : JSON.stringify(name);
    return `${space()}${nameText}${space()}:${space()}${text}${space()}`;
  });
  return `${space()}{${texts.join(',')}}${space()}`;
}

/** A line that no log takes. `time` is a good one. */
function brokenLine(good: string, time: string, rng: Random): Uint8Array {
  if (rng.chance(1 / 100)) return encode(good.padEnd(LINE_BYTES_MAX + 1));
  const record = (members: string) => `{${members}}`;
  switch (rng.below(4)) {
    // Cut short: after the first byte, before the closing bracket.
    case 0: {
      const bytes = encode(good.trim());
      return bytes.slice(0, 1 + rng.below(bytes.length - 1));
    }
    case 1:
      return brokenUtf8(`{"type":"flight","time":"${time}","data":{"origin":"ATL","destination":"O@D"}}`, rng);
    case 2:
      return encode(
        rng.pick([
          `${good.trim()}}`,
          `${good.trim()},`,
          `${good.trim()} x`,
          `\ufeff${good.trim()}`,
          `[${good.trim()}]`,
          'null',
          '"flight"',
          '12',
          'garbage',
          record(`"type":"flight","time":"${time}",`),
          record(`'type':'flight','time':'${time}'`),
          record(`"type":"flight","time":"${time}","data":{"delay":NaN}`),
          record(`"type":"flight","time":"${time}","data":{"delay":01}`),
          record(`"type":"flight","time":"${time}","data":{"delay":+1}`),
          record(`"type":"flight","time":"${time}","data":{"delay":1.}`),
          record(`"type":"flight","time":"${time}","data":{"delay":.5}`),
          record(`"type":"flight","time":"${time}","data":{"delay":1e}`),
          record(`"type":"flight","time":"${time}","data":{"delay":tru}`),
          record(`"type":"flight","time":"${time}","data":{"origin":"a\tb"}`),
          record(`"type":"flight","time":"${time}","data":{"origin":"\\x41"}`),
          record(`"type":"flight","time":"${time}","data":{"origin":"\\u00G0"}`),
          record(`"type":"flight","time":"${time}","data":{"delay":1]}`),
          record(`"type":"flight" "time":"${time}"`),
          record(`"type":"flight","time":"${time}","deep":${'['.repeat(DEPTH_MAX)}${']'.repeat(DEPTH_MAX)}`),
        ]),
      );
    default:
      return encode(
        rng.pick([
          record(`"time":"${time}","data":{}`),
          record(`"type":"","time":"${time}"`),
          record(`"type":null,"_type":"flight","time":"${time}","_time":"${time}"`),
          record(`"type":5,"time":"${time}"`),
          record(`"type":["flight"],"time":"${time}"`),
          record('"type":"flight","data":{}'),
          record(`"_type":"flight","time":"${time}"`),
          ...BAD_TIMES.map(bad => record(`"type":"flight","time":${bad},"data":{"origin":"ATL","destination":"ORD"}`)),
        ]),
      );
  }
}

const BAD_TIMES = [
  'null',
  'true',
  '{}',
  '""',
  '"yesterday"',
  '"2001-03-05"',
  '"2001-02-29T00:00:00Z"',
  '"1900-02-29T00:00:00Z"',
  '"2001-13-01T00:00:00Z"',
  '"2001-00-01T00:00:00Z"',
  '"2001-03-00T00:00:00Z"',
  '"2001-03-05T24:00:00Z"',
  '"2001-03-05T23:60:00Z"',
  '"2001-03-05T23:59:60Z"',
  '"2001-03-05  00:00:00Z"',
  '"2001-03-05T00:00:00.Z"',
  '"2001-03-05T00:00:00.1234567890Z"',
  '"2001-03-05T00:00:00+5:30"',
  '"2001-03-05T00:00:00+24:00"',
  '"2001-03-05T00:00:00+05:60"',
  '"2001-03-05T00:00:00Z "',
  '"2001-3-5T00:00:00Z"',
  '983750400000.5',
  '253402300800000',
  '-62167219200001',
  '1e20',
];

/** Puts bytes that are no UTF-8 in place of the `@`. */
function brokenUtf8(text: string, rng: Random): Uint8Array {
  const [before, after] = text.split('@').map(encode) as [Uint8Array, Uint8Array];
  const bad = rng.pick([[0xff], [0x80], [0xc0, 0x80], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]);
  return new Uint8Array([...before, ...bad, ...after]);
}

/** Here and there a few lines change places. */
function shuffleLocally(lines: Uint8Array[], rng: Random): void {
  for (let from = 0; from < lines.length; from++) {
    if (!rng.chance(1 / 60)) continue;
    const count = Math.min(2 + rng.below(SHUFFLE_LINES_MAX - 1), lines.length - from);
    for (let i = count - 1; i > 0; i--) {
      const j = rng.below(i + 1);
      [lines[from + i], lines[from + j]] = [lines[from + j]!, lines[from + i]!];
    }
  }
}
