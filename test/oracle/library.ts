/** What the oracle makes of the functions beyond arithmetic and logic: by JavaScript's strings, BigInt and Date. */
import type { FunctionName, TimePart } from '../../src/plan/expression.ts';
import type { Value } from '../../src/plan/value.ts';
import { compareReals, exactQuotient, int64, nearestInt64, roundedQuotient } from './number.ts';
import { timeFromText } from './time.ts';

const TEXT_MAX_BYTES = 16_384;
const MICROS_PER_MS = 1000n;

/** Of arguments that are not null. */
export const LIBRARY: Partial<Record<FunctionName, (...args: never[]) => Value>> = {
  absolute: (x: bigint | number) => (typeof x === 'bigint' ? int64(x < 0n ? -x : x) : Math.abs(x)),
  sign: (x: bigint | number) => (x > 0 ? 1n : x < 0 ? -1n : 0n),
  quotient: (x: bigint, y: bigint) => (y === 0n ? null : int64(x / y)),
  bitAnd: (x: bigint, y: bigint) => x & y,
  bitOr: (x: bigint, y: bigint) => x | y,
  bitXor: (x: bigint, y: bigint) => x ^ y,
  bitNot: (x: bigint) => ~x,
  shiftLeft: (x: bigint, y: bigint) => (x < 0n || y < 0n || y > 63n ? null : int64(x << y)),
  shiftRight: (x: bigint, y: bigint) => (y < 0n || y > 63n ? 0n : x >> y),
  round: (x: number) => roundAway(x),
  roundTo: (x: bigint | number, digits: bigint) =>
    typeof x === 'bigint' ? roundInteger(x, digits) : roundReal(x, digits),
  floor: (x: number) => Math.floor(x),
  ceil: (x: number) => Math.ceil(x),
  truncate: (x: number) => Math.trunc(x),
  squareRoot: (x: number) => (x < 0 ? null : Math.sqrt(x)),

  lower: (s: string) => byCharacter(s, c => c.toLowerCase()),
  upper: (s: string) => byCharacter(s, c => c.toUpperCase()),
  length: (s: string) => BigInt([...s].length),
  byteLength: (s: string) => BigInt(bytes(s)),
  concat: (...parts: string[]) => parts.reduce<string | null>((a, b) => (a === null ? null : made(a + b, a, b)), ''),
  substring: (s: string, offset: bigint, length: bigint) => substring([...s], offset, length),
  left: (s: string, n: bigint) => [...s].slice(0, countOf(s, n)).join(''),
  right: (s: string, n: bigint) => [...s].slice([...s].length - countOf(s, n)).join(''),
  trim: (s: string, set: string) => trim(s, set, true, true),
  trimStart: (s: string, set: string) => trim(s, set, true, false),
  trimEnd: (s: string, set: string) => trim(s, set, false, true),
  replace: (s: string, from: string, to: string) => (from === '' ? s : made(s.split(from).join(to), s, to)),
  startsWith: (s: string, t: string) => s.startsWith(t),
  endsWith: (s: string, t: string) => s.endsWith(t),
  contains: (s: string, t: string) => s.includes(t),
  position: (s: string, t: string) => (s.includes(t) ? BigInt([...s.slice(0, s.indexOf(t))].length) + 1n : 0n),
  reverse: (s: string) => [...s].reverse().join(''),
  padStart: (s: string, n: bigint, fill: string) => pad(s, n, fill, (text, filling) => filling + text),
  padEnd: (s: string, n: bigint, fill: string) => pad(s, n, fill, (text, filling) => text + filling),
  repeat: (s: string, n: bigint) => repeat(s, n),
  splitPart: (s: string, separator: string, index: bigint) => splitPart(s, separator, index),
  like: (s: string, pattern: string, escaping: string) => like(s, pattern, escaping),

  regexContains: (s: string, pattern: string) => regex(pattern).test(s),
  regexMatches: (s: string, pattern: string) => whole(pattern).test(s),
  regexExtract: (s: string, pattern: string, group: bigint) => regex(pattern).exec(s)?.[Number(group)] ?? '',
  regexReplace: (s: string, pattern: string, to: string) => replaced(s, regex(pattern), to),
  regexReplaceAll: (s: string, pattern: string, to: string) => replaced(s, regex(pattern, 'g'), to),

  listLength: (list: Value[]) => BigInt(list.length),
  listCount: (list: Value[]) => BigInt(present(list).length),
  listContains: (list: Value[], x: Value) => positionIn(list, x) !== null,
  listMin: (list: Value[]) => best(list, -1),
  listMax: (list: Value[]) => best(list, 1),
  listSum: (list: Value[]) => quotientOf(list, 1n, total => int64(total)),
  listMean: (list: Value[]) => {
    const count = BigInt(present(list).length);
    return quotientOf(list, count, total => roundedQuotient(total, count));
  },

  similarity: (a: string, b: string) => similarity([...a], [...b]),
  ipBlock: (s: string) => ipBlock(s),
  formatTime: (t: bigint, format: string) => formatTime(t, format),
  parseTime: (s: string, format: string) => parseTime(s, format),
  inZone: (t: bigint, zone: string) => time(t + aheadIn(zone, t)),

  toBool: (s: string) => spelledBool(s),
  toTime: (s: string) => timeFromText(/^\d{4}-\d\d-\d\d$/.test(s) ? `${s}T00:00:00` : s),

  datePart: (part: TimePart, t: bigint) => datePart(part, t),
  dateTrunc: (part: TimePart, t: bigint) => time(startOf(part, t)),
  dateDiff: (part: TimePart, a: bigint, b: bigint) => indexOf(part, b) - indexOf(part, a),
  addMicros: (t: bigint, n: bigint) => time(t + n),
  addMonths: (t: bigint, n: bigint) => addMonths(t, n),
  timeOfMicros: (n: bigint) => time(n),
};

/** CAST to a string of what is no string; times as events are written, doubles as JSON has them. */
export function spelled(value: Value, isTime: boolean): Value {
  if (typeof value === 'number') return Number.isFinite(value) ? JSON.stringify(value) : null;
  if (!isTime || typeof value !== 'bigint') return String(value);
  const ms = floorDiv(value, MICROS_PER_MS);
  const micros = value - ms * MICROS_PER_MS;
  const iso = new Date(Number(ms)).toISOString();
  if (micros !== 0n) return `${iso.slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
  return iso.replace('.000Z', 'Z');
}

export function spelledInteger(text: string): bigint | null {
  const digits = /^[\t-\r ]*([+-]?)([0-9]+)[\t-\r ]*$/.exec(text);
  return digits && int64(digits[1] === '-' ? -BigInt(digits[2]!) : BigInt(digits[2]!));
}

export function spelledReal(text: string): number | null {
  const number = /^[\t-\r ]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[\t-\r ]*$/.exec(text);
  return number && Number(number[1]);
}

/** NaN above all; between equals it does not matter which. */
export function extreme(values: Value[], sign: 1 | -1, compare: (a: Value, b: Value) => number): Value {
  const beats = (a: Value, b: Value) =>
    Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : compare(a, b);
  return values
    .filter(value => value !== null)
    .reduce<Value>((best, value) => (best === null || beats(value, best) * sign > 0 ? value : best), null);
}

function present(list: Value[]): Value[] {
  return list.filter(value => value !== null);
}

/** From 1; a null is found as others are. Null where there is none. */
export function positionIn(list: Value[], x: Value): bigint | null {
  // -0 is 0 and NaN is nothing, as for `=`.
  const isEqual = (value: Value) => value === x || (typeof value === 'number' && value === Number(x ?? Number.NaN));
  const index = list.findIndex(isEqual);
  return index < 0 ? null : BigInt(index + 1);
}

function best(list: Value[], sign: number): Value {
  const order = (a: Value, b: Value) => {
    if (typeof a === 'number') return compareReals(a, b as number);
    return typeof a === 'string'
      ? Buffer.compare(Buffer.from(a), Buffer.from(b as string))
      : a! < b!
        ? -1
        : Number(a! > b!);
  };
  return present(list).sort((a, b) => sign * order(b, a))[0] ?? null;
}

/** Of doubles exactly, rounded once; of integers as `whole` says. Null of nothing. */
function quotientOf(list: Value[], divisor: bigint, whole: (total: bigint) => Value): Value {
  const values = present(list);
  if (values.length === 0) return null;
  if (values.every(value => typeof value === 'bigint')) return whole(values.reduce((sum, value) => sum + value, 0n));
  return exactQuotient(
    values.map(value => ({ value: value as number, weight: 1n })),
    divisor,
  );
}

function roundAway(x: number): number {
  const whole = Math.trunc(x);
  if (Math.abs(x - whole) < 0.5 || !Number.isFinite(x)) return whole;
  return whole + Math.sign(x);
}

function roundInteger(x: bigint, digits: bigint): bigint | null {
  if (digits >= 0n) return x;
  const unit = 10n ** -digits;
  const size = x < 0n ? -x : x;
  const rounded = ((size + unit / 2n) / unit) * unit;
  return int64(x < 0n ? -rounded : rounded);
}

function roundReal(x: number, digits: bigint): number {
  const power = Number(10n ** (digits < 0n ? -digits : digits));
  if (digits < 0n) return roundAway(x / power) * power;
  const rounded = roundAway(x * power) / power;
  return Number.isFinite(rounded) ? rounded : x;
}

function bytes(text: string): number {
  return Buffer.byteLength(text);
}

/** A text made of others, unless it is too long. */
function made(text: string, ...from: string[]): string | null {
  return bytes(text) > Math.max(TEXT_MAX_BYTES, ...from.map(bytes)) ? null : text;
}

function byCharacter(text: string, fold: (character: string) => string): string {
  return [...text].map(character => ([...fold(character)].length === 1 ? fold(character) : character)).join('');
}

function substring(characters: string[], offset: bigint, length: bigint): string {
  const begin = offset >= 0n ? offset - 1n : BigInt(characters.length) + offset;
  const [from, to] = length >= 0n ? [begin, begin + length] : [begin + length, begin];
  return characters.filter((_, i) => from <= BigInt(i) && BigInt(i) < to).join('');
}

/** How many characters LEFT and RIGHT take: all but so many where n is negative. */
function countOf(text: string, n: bigint): number {
  const count = BigInt([...text].length);
  const taken = n < 0n ? count + n : n;
  return Number(taken < 0n ? 0n : taken > count ? count : taken);
}

function trim(text: string, set: string, atStart: boolean, atEnd: boolean): string {
  const characters = [...text];
  const others = characters.map(character => ![...set].includes(character));
  const first = others.indexOf(true);
  if (first < 0) return '';
  return characters.slice(atStart ? first : 0, atEnd ? others.lastIndexOf(true) + 1 : undefined).join('');
}

function pad(text: string, n: bigint, fill: string, join: (text: string, filling: string) => string): string | null {
  const characters = [...text];
  if (n <= BigInt(characters.length)) return characters.slice(0, n < 0n ? 0 : Number(n)).join('');
  const missing = n - BigInt(characters.length);
  if (fill === '' || missing > 100_000n) return null;
  const filling = Array.from({ length: Number(missing) }, (_, i) => [...fill][i % [...fill].length]);
  return made(join(text, filling.join('')), text, fill);
}

function repeat(text: string, n: bigint): string | null {
  if (n <= 0n || text === '') return '';
  return n > 100_000n ? null : made(text.repeat(Number(n)), text);
}

function splitPart(text: string, separator: string, index: bigint): string {
  const parts = separator === '' ? [...text] : text.split(separator);
  const at = index < 0n ? BigInt(parts.length) + index : index - 1n;
  return index !== 0n && at >= 0n && at < BigInt(parts.length) ? parts[Number(at)]! : '';
}

/** By the table of which prefixes of the pattern fit which prefixes of the text. */
function like(text: string, pattern: string, escaping: string): boolean | null {
  const signs: { any?: boolean; one?: boolean; is?: string }[] = [];
  const characters = [...pattern];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!;
    if (character === escaping) {
      if (++i === characters.length) return null;
      signs.push({ is: characters[i]! });
    } else signs.push(character === '%' ? { any: true } : character === '_' ? { one: true } : { is: character });
  }
  let fits = [true, ...[...text].map(() => false)];
  for (const sign of signs) {
    const next = fits.map(() => false);
    for (const [i] of fits.entries()) {
      if (sign.any) next[i] = fits[i]! || (i > 0 && next[i - 1]!);
      else if (i > 0) next[i] = fits[i - 1]! && (sign.one === true || sign.is === [...text][i - 1]);
    }
    fits = next;
  }
  return fits.at(-1)!;
}

/**
 * JavaScript's own, of patterns that mean the same there: `.`, `\\s` and the flag s are spelled out, and no group that
 * repeats is asked for, for what it keeps of its turns differs.
 */
function regex(pattern: string, more = ''): RegExp {
  const [, flags = '', body] = /^(?:\(\?([is]+)\))?([\s\S]*)$/.exec(pattern)!;
  const any = flags.includes('s') ? '[^]' : '[^\\n]';
  const spelled = body!.replace(/\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\./gu, part =>
    part === '.' ? any : part.replaceAll('\\s', part === '\\s' ? '[ \\t\\n\\f\\r]' : ' \\t\\n\\f\\r'),
  );
  return new RegExp(spelled, `u${flags.includes('i') ? 'i' : ''}${more}`);
}

function whole(pattern: string): RegExp {
  const { source, flags } = regex(pattern);
  return new RegExp(`^(?:${source})$`, flags);
}

/** What is empty right behind a match is none. */
function replaced(text: string, pattern: RegExp, to: string): string | null {
  let lastEnd = -1;
  const result = text.replace(pattern, (...found) => {
    const at = found.findIndex(one => typeof one === 'number');
    const groups = found.slice(0, at) as (string | undefined)[];
    if (groups[0] === '' && found[at] === lastEnd) return '';
    lastEnd = (found[at] as number) + groups[0]!.length;
    return to.replace(/\\([0-9\\])/g, (_, sign: string) => (sign === '\\' ? '\\' : (groups[Number(sign)] ?? '')));
  });
  return made(result, text, to);
}

function spelledBool(text: string): boolean | null {
  const word = text.replace(/[A-Z]/g, letter => letter.toLowerCase());
  if (['true', 't', 'yes', 'y', '1'].includes(word)) return true;
  return ['false', 'f', 'no', 'n', '0'].includes(word) ? false : null;
}

const TIME_MIN = -62_167_219_200_000_000n;
const TIME_MAX = 253_402_300_799_999_999n;

function time(micros: bigint): bigint | null {
  return micros < TIME_MIN || micros > TIME_MAX ? null : micros;
}

function floorDiv(x: bigint, y: bigint): bigint {
  return (x - (((x % y) + y) % y)) / y;
}

const LENGTHS: Partial<Record<TimePart, bigint>> = {
  microsecond: 1n,
  millisecond: 1_000n,
  second: 1_000_000n,
  minute: 60_000_000n,
  hour: 3_600_000_000n,
  day: 86_400_000_000n,
};

function dateOf(micros: bigint): Date {
  return new Date(Number(floorDiv(micros, MICROS_PER_MS)));
}

function microsOf(year: number, month: number, day: number): bigint {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return BigInt(date.getTime()) * MICROS_PER_MS;
}

/** Monday's midnight. */
function mondayOf(micros: bigint): bigint {
  const date = dateOf(micros);
  return microsOf(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
}

function startOf(part: TimePart, t: bigint): bigint {
  const date = dateOf(t);
  const length = LENGTHS[part];
  if (length !== undefined) return floorDiv(t, length) * length;
  if (part === 'week') return mondayOf(t);
  const month = { month: date.getUTCMonth(), quarter: Math.floor(date.getUTCMonth() / 3) * 3, year: 0 }[part as 'year'];
  return microsOf(date.getUTCFullYear(), month, 1);
}

/** The how-manieth of its kind a part of time is. */
function indexOf(part: TimePart, t: bigint): bigint {
  const date = dateOf(t);
  const length = LENGTHS[part];
  if (length !== undefined) return floorDiv(t, length);
  const months = BigInt(date.getUTCFullYear() * 12 + date.getUTCMonth());
  // 1970-01-05 was a Monday.
  if (part === 'week') return floorDiv(mondayOf(t) - 4n * LENGTHS.day!, 7n * LENGTHS.day!);
  return floorDiv(months, { month: 1n, quarter: 3n, year: 12n }[part as 'year']);
}

function datePart(part: TimePart, t: bigint): bigint {
  const date = dateOf(t);
  const ofMinute = t - startOf('minute', t);
  switch (part) {
    case 'microsecond':
      return ofMinute;
    case 'millisecond':
      return ofMinute / 1_000n;
    case 'second':
      return BigInt(date.getUTCSeconds());
    case 'minute':
      return BigInt(date.getUTCMinutes());
    case 'hour':
      return BigInt(date.getUTCHours());
    case 'day':
      return BigInt(date.getUTCDate());
    case 'month':
      return BigInt(date.getUTCMonth() + 1);
    case 'quarter':
      return BigInt(Math.ceil((date.getUTCMonth() + 1) / 3));
    case 'year':
      return BigInt(date.getUTCFullYear());
    case 'dow':
      return BigInt(date.getUTCDay());
    case 'isodow':
      return BigInt(date.getUTCDay() || 7);
    case 'doy':
      return (startOf('day', t) - startOf('year', t)) / LENGTHS.day! + 1n;
    case 'epoch_ms':
      return floorDiv(t, MICROS_PER_MS);
    default: {
      const thursday = mondayOf(t) + 3n * LENGTHS.day!;
      if (part === 'isoyear') return BigInt(dateOf(thursday).getUTCFullYear());
      return (thursday - startOf('year', thursday)) / (7n * LENGTHS.day!) + 1n;
    }
  }
}

function addMonths(t: bigint, n: bigint): bigint | null {
  if (n > 200_000n || n < -200_000n) return null;
  const date = dateOf(t);
  const month = date.getUTCMonth() + Number(n);
  const first = microsOf(date.getUTCFullYear(), month, 1);
  const lastDay = dateOf(microsOf(date.getUTCFullYear(), month + 1, 0)).getUTCDate();
  const day = Math.min(date.getUTCDate(), lastDay);
  return time(first + BigInt(day - 1) * LENGTHS.day! + (t - startOf('day', t)));
}

/** Jaro's and Winkler's, place by place. */
function similarity(a: string[], b: string[]): number {
  const reach = Math.max(Math.floor(Math.max(a.length, b.length) / 2) - 1, 0);
  const taken = a.map(() => false);
  const common = b.filter((point, j) => {
    const i = a.findIndex((other, i) => !taken[i] && other === point && Math.abs(i - j) <= reach);
    if (i >= 0) taken[i] = true;
    return i >= 0;
  });
  if (common.length === 0) return 0;
  const moved = a.filter((_, i) => taken[i]).filter((point, k) => point !== common[k]).length;
  const inOrder = common.length - Math.floor(moved / 2);
  const jaro = (common.length / a.length + common.length / b.length + inOrder / common.length) / 3;
  const differ = [0, 1, 2, 3].find(i => a[i] === undefined || a[i] !== b[i]) ?? 4;
  return jaro > 0.7 ? jaro + differ * 0.1 * (1 - jaro) : jaro;
}

function ipBlock(text: string): string | null {
  const part = '(?:0|[1-9]\\d{0,2})';
  const found = new RegExp(`^(${part}\\.${part}\\.${part})\\.${part}$`).exec(text);
  return found && text.split('.').every(one => Number(one) < 256) ? found[1]! : null;
}

const FORMATS: Record<string, string> = {
  F: '%Y-%m-%d',
  T: '%H:%M:%S',
  R: '%H:%M',
  x: '%Y-%m-%d',
  X: '%H:%M:%S',
  c: '%Y-%m-%d %H:%M:%S',
  h: '%b',
};

/** Directives that stand for several, written out. */
function plainFormat(format: string): string {
  return format.replace(/%(.)/g, (all, name: string) => FORMATS[name] ?? all);
}

function formatTime(t: bigint, format: string): string | null {
  const date = dateOf(t);
  // The first days of the year 0 are in the last week of the one before.
  if (format.includes('%G') && datePart('isoyear', t) < 0n) return null;
  const part = (name: TimePart, width: number) => String(datePart(name, t)).padStart(width, '0');
  const day = Number(datePart('doy', t)) - 1;
  const hour = date.getUTCHours();
  const spell = (name: string): string => {
    switch (name) {
      case 'a':
        return DAYS[date.getUTCDay()]!.slice(0, 3);
      case 'A':
        return DAYS[date.getUTCDay()]!;
      case 'b':
        return MONTHS[date.getUTCMonth()]!.slice(0, 3);
      case 'B':
        return MONTHS[date.getUTCMonth()]!;
      case 'y':
        return part('year', 4).slice(2);
      case 'I':
        return String(hour % 12 || 12).padStart(2, '0');
      case 'p':
        return hour < 12 ? 'AM' : 'PM';
      case 'S':
        return part('second', 2);
      case 'g':
        return part('millisecond', 5).slice(-3);
      case 'f':
        return part('microsecond', 8).slice(-6);
      case 'U':
        return String(Math.floor((day + 7 - date.getUTCDay()) / 7)).padStart(2, '0');
      case 'W':
        return String(Math.floor((day + 7 - ((date.getUTCDay() + 6) % 7)) / 7)).padStart(2, '0');
      case 'z':
        return '+00';
      case '%':
        return '%';
      default: {
        const [of, width] = PARTS[name]!;
        return part(of, width);
      }
    }
  };
  return plainFormat(format).replace(/%(-?)([a-zA-Z%])/g, (_, short: string, name: string) =>
    short ? String(Number(spell(name))) : spell(name),
  );
}

const PARTS: Record<string, [TimePart, number]> = {
  ...{ Y: ['year', 4], m: ['month', 2], d: ['day', 2], H: ['hour', 2], M: ['minute', 2], j: ['doy', 3] },
  ...{ V: ['week', 2], G: ['isoyear', 4], w: ['dow', 1], u: ['isodow', 1] },
};

const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** In any case, each letter. */
const anyCase = (words: string[]) =>
  words.map(word => [...word].map(c => `[${c.toUpperCase()}${c.toLowerCase()}]`).join('')).join('|');
const short = (words: string[]) => words.map(word => word.slice(0, 3));

const GROUPS: Record<string, string> = {
  ...{ Y: '\\d{1,4}', j: '\\d{1,3}', g: '\\d{1,3}', f: '\\d{1,6}', p: anyCase(['AM', 'PM']) },
  ...{ A: anyCase(DAYS), a: anyCase(short(DAYS)), B: anyCase(MONTHS), b: anyCase(short(MONTHS)) },
  z: '[Zz]|[+-]\\d\\d(?::\\d\\d|\\d\\d|(?![\\d:]))',
};

/** By a regular expression, each of whose groups takes what it can and gives nothing back. */
function parseTime(text: string, format: string): bigint | null {
  const names: string[] = [];
  const source = plainFormat(format).replace(
    /%-?([a-zA-Z%])|[\t-\r ]+|[^%]/gu,
    (literal: string, name: string | undefined) => {
      if (name === '%') return '%';
      if (name === undefined) return /^[\t-\r ]/.test(literal) ? '[\\t-\\r ]+' : RegExp.escape(literal);
      names.push(name);
      // What a look ahead has found it keeps.
      return `(?=(${GROUPS[name] ?? '\\d{1,2}'}))\\${names.length}`;
    },
  );
  const found = new RegExp(`^[\\t-\\r ]*${source}[\\t-\\r ]*$`, 'u').exec(text);
  return found && timeOfParts(names.map((name, i) => [name, found[i + 1]!]));
}

const RANGES: Record<string, [number, number]> = {
  ...{ m: [1, 12], d: [1, 31], j: [1, 366], H: [0, 23], I: [1, 12], M: [0, 59], S: [0, 59] },
};

/** Of several with one meaning the last one counts. */
function timeOfParts(parts: [name: string, text: string][]): bigint | null {
  for (const [name, text] of parts) {
    const range = RANGES[name];
    if (range && (Number(text) < range[0] || Number(text) > range[1])) return null;
    if (name === 'z' && aheadOf(text) === null) return null;
  }
  const last = (...names: string[]) => parts.findLast(([name]) => names.includes(name));
  const number = (name: string) => Number(last(name)?.[1] ?? 0);
  const [yearKind, yearText = '1900'] = last('Y', 'y') ?? [];
  const century = yearKind !== 'y' ? 0 : Number(yearText) < 69 ? 2000 : 1900;
  const year = century + Number(yearText);
  const [monthKind, monthText = '1'] = last('m', 'b', 'B') ?? [];
  const isNamed = monthKind === 'b' || monthKind === 'B';
  const month = isNamed
    ? short(MONTHS).findIndex(one => isSameWord(one, monthText.slice(0, 3)))
    : Number(monthText) - 1;
  const days = number('j') > 0 ? microsOf(year, 0, number('j')) : microsOf(year, month, Number(last('d')?.[1] ?? 1));
  const date = dateOf(days);
  if (date.getUTCFullYear() !== year || (number('j') === 0 && date.getUTCMonth() !== month)) return null;
  const [hourKind, hourText = '0'] = last('H', 'I') ?? [];
  const isAfternoon = /^p/i.test(last('p')?.[1] ?? '');
  const hour = hourKind === 'I' ? (Number(hourText) % 12) + (isAfternoon ? 12 : 0) : Number(hourText);
  const [fractionKind, fraction = '0'] = last('f', 'g') ?? [];
  const micros = fractionKind ? Number(fraction.padEnd(6, '0')) : 0;
  const ahead = aheadOf(last('z')?.[1] ?? 'Z')!;
  const ofDay = ((hour * 60 + number('M') - ahead) * 60 + number('S')) * 1_000_000 + micros;
  return time(days + BigInt(ofDay));
}

function isSameWord(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** In minutes. */
function aheadOf(zone: string): number | null {
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  if (Number(hours) > 23 || Number(minutes) > 59) return null;
  return (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1);
}

const ZONES_FROM = 0n;
const ZONES_TO = BigInt(Date.UTC(2101, 0)) * MICROS_PER_MS - 1n;

/** What clocks in a zone show, taken apart and put together again as if they were UTC. */
function aheadIn(zone: string, t: bigint): bigint {
  const within = t < ZONES_FROM ? ZONES_FROM : t > ZONES_TO ? ZONES_TO : t;
  const second = floorDiv(within, 1_000_000n) * 1000n;
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  const parts = Object.fromEntries(
    format.formatToParts(Number(second)).map(({ type, value }) => [type, Number(value)]),
  );
  const shown = Date.UTC(parts.year!, parts.month! - 1, parts.day!, parts.hour!, parts.minute!, parts.second!);
  return (BigInt(shown) - second) * MICROS_PER_MS;
}

/** Of a double as of a text: CAST to int64. */
export function castInteger(value: Value): Value {
  if (typeof value === 'string') return spelledInteger(value);
  if (typeof value === 'bigint') return value;
  return typeof value === 'boolean' ? BigInt(value) : nearestInt64(value as number);
}
