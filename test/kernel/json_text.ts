/** JSON texts that a seed decides, valid in every form that RFC 8259 has, and what damages them. */
import type { Random } from '../sim/random.ts';

/** What a string may hold; lone surrogates can only be written as escapes. */
const CODES = [0, 1, 8, 9, 10, 12, 13, 0x1f, 0x20, 0x22, 0x2f, 0x5c, 0x61, 0x7f, 0x80, 0x7ff, 0x800, 0x2028, 0xd7ff];
const MORE_CODES = [0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xfeff, 0xfffd, 0xffff, 0x10000, 0x1f600, 0x10ffff];
const SHORT: Record<number, string> = { 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r', 34: '"', 47: '/', 92: '\\' };

export const NUMBERS = [
  '0,-0,1,-1,15,100,1.0,-1.50,1e2,1E+2,10e-1,1e-1,0.1e1,1.5,0e999999999999,0.000e-5,1e18,1e19,1e400,-1e400',
  '9223372036854775807,9223372036854775808,-9223372036854775808,-9223372036854775809,9.223372036854775807e18',
  '9.2233720368547758070e18,92233720368547758.07e2,9.223372036854775808E18,12345678901234567890123,0.1,2e-308',
  '100000000000000000000e-2,0.00000000000000000001e20,0.00000000000000000001e19,9007199254740993,1e000000000000001',
]
  .join()
  .split(',');

export const TIMES = [
  '2001-03-05T00:00:00Z,2001-03-05t00:00:00z,2001-03-05 00:00:00,2001-03-05T00:00:00.123456789+05:30',
  '2000-02-29T23:59:59.9-23:59,1900-02-29T00:00:00Z,2001-02-29T00:00:00Z,0000-01-01T00:00:00Z,2001-03-05',
  '9999-12-31T23:59:59.999999999Z,2001-13-05T00:00:00Z,2001-03-05T24:00:00Z,2001-03-05T00:00:60Z,1969-12-31T23:59:59.5Z',
]
  .join()
  .split(',');

/** Bytes that are more likely than others to make something else of a JSON text. */
const SHARP = new TextEncoder().encode('"\\{}[],: \t\r0123456789eE+-.truefalsn/\0\x7f');

export class JsonText {
  constructor(private readonly rng: Random) {}

  space(): string {
    const { rng } = this;
    return rng.chance(0.7) ? '' : Array.from({ length: 1 + rng.below(3) }, () => rng.pick([' ', '\t', '\r'])).join('');
  }

  /** A text as a JSON string, each of its characters in one of the spellings it has. */
  spell(text: string): string {
    const { rng } = this;
    let out = '"';
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      const isHigh = (unit & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
      const mustEscape = unit < 0x20 || unit === 0x22 || unit === 0x5c || ((unit & 0xf800) === 0xd800 && !isHigh);
      if (isHigh && rng.chance(0.5)) out += text[i]! + text[++i]!;
      else if (SHORT[unit] && rng.chance(0.5)) out += `\\${SHORT[unit]}`;
      else if (mustEscape || isHigh || rng.chance(0.1)) {
        out += this.#hex(unit);
        if (isHigh) out += this.#hex(text.charCodeAt(++i));
      } else out += text[i]!;
    }
    return `${out}"`;
  }

  #hex(unit: number): string {
    const digits = unit.toString(16).padStart(4, '0');
    return `\\u${this.rng.chance(0.5) ? digits : digits.toUpperCase()}`;
  }

  text(): string {
    const { rng } = this;
    const codes = Array.from({ length: rng.below(6) }, () => rng.pick(rng.chance(0.6) ? CODES : MORE_CODES));
    return String.fromCodePoint(...codes);
  }

  /** Any JSON value, its arrays and objects at most `depth` deep. */
  value(depth: number): string {
    const { rng } = this;
    switch (rng.below(depth > 0 ? 8 : 6)) {
      case 0:
        return 'null';
      case 1:
        return rng.pick(['true', 'false']);
      case 2:
        return rng.pick(NUMBERS);
      case 3:
        return this.spell(rng.pick(TIMES));
      case 4:
      case 5:
        return this.spell(this.text());
      case 6:
        return this.array(Array.from({ length: rng.below(4) }, () => this.value(depth - 1)));
      default:
        return this.object(
          Array.from({ length: rng.below(4) }, () => [rng.pick(['a', 'n', '', this.text()]), this.value(depth - 1)]),
        );
    }
  }

  array(values: string[]): string {
    return `[${this.space()}${values.join(`${this.space()},${this.space()}`)}${this.space()}]`;
  }

  /** Members as they come, equal names among them. */
  object(members: [name: string, value: string][]): string {
    const parts = members.map(([name, value]) => `${this.spell(name)}${this.space()}:${this.space()}${value}`);
    return `{${this.space()}${parts.join(`${this.space()},${this.space()}`)}${this.space()}}`;
  }

  shuffled<T>(list: T[]): T[] {
    const left = [...list];
    return list.map(() => left.splice(this.rng.below(left.length), 1)[0]!);
  }
}

/** One to three edits: bits, bytes, cuts, inserts, doubled stretches. */
export function damage(bytes: Uint8Array, rng: Random): Uint8Array {
  let out = [...bytes];
  for (let edits = 1 + rng.below(3); edits > 0; edits--) {
    const at = rng.below(out.length + 1);
    const byte = rng.chance(0.7) ? rng.pick([...SHARP]) : rng.below(256);
    switch (rng.below(6)) {
      case 0:
        if (at < out.length) out[at]! ^= 1 << rng.below(8);
        break;
      case 1:
        if (at < out.length) out[at] = byte;
        break;
      case 2:
        out = out.slice(0, at);
        break;
      case 3:
        out.splice(at, 1 + rng.below(4));
        break;
      case 4:
        out.splice(at, 0, byte);
        break;
      default:
        out.splice(at, 0, ...out.slice(at, at + rng.below(12)));
    }
  }
  return Uint8Array.from(out);
}
