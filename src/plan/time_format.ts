/**
 * Formats of times, as strftime has them in C and in DuckDB: `%Y-%m-%d`. They are literals, and become programs here that the kernel
 * runs (assembly/time_format.ts): bytes, each a directive, behind LITERAL the number of bytes of a text and these.
 */
export class TimeFormatError extends Error {}

/** Longer ones are refused: what is spelled by them is nine times as long at most. */
export const TIME_FORMAT_BYTES_MAX = 256;

/** What a byte stands for (Directive in assembly/time_format.ts). */
export enum Directive {
  LITERAL,
  SHORT,
  DAY_NAME,
  DAY_NAME_SHORT,
  MONTH_NAME,
  MONTH_NAME_SHORT,
  YEAR,
  YEAR_OF_CENTURY,
  MONTH,
  DAY,
  DAY_OF_YEAR,
  HOUR,
  HOUR_12,
  HALF,
  MINUTE,
  SECOND,
  MILLISECOND,
  MICROSECOND,
  OFFSET,
  DAY_OF_WEEK,
  ISO_DAY_OF_WEEK,
  WEEK_FROM_SUNDAY,
  WEEK_FROM_MONDAY,
  ISO_WEEK,
  ISO_YEAR,
}

const DIRECTIVES: Record<string, Directive> = {
  A: Directive.DAY_NAME,
  a: Directive.DAY_NAME_SHORT,
  B: Directive.MONTH_NAME,
  b: Directive.MONTH_NAME_SHORT,
  h: Directive.MONTH_NAME_SHORT,
  Y: Directive.YEAR,
  y: Directive.YEAR_OF_CENTURY,
  m: Directive.MONTH,
  d: Directive.DAY,
  j: Directive.DAY_OF_YEAR,
  H: Directive.HOUR,
  I: Directive.HOUR_12,
  p: Directive.HALF,
  M: Directive.MINUTE,
  S: Directive.SECOND,
  g: Directive.MILLISECOND,
  f: Directive.MICROSECOND,
  z: Directive.OFFSET,
  w: Directive.DAY_OF_WEEK,
  u: Directive.ISO_DAY_OF_WEEK,
  U: Directive.WEEK_FROM_SUNDAY,
  W: Directive.WEEK_FROM_MONDAY,
  V: Directive.ISO_WEEK,
  G: Directive.ISO_YEAR,
};

/** Directives that stand for several. */
const TOGETHER: Record<string, string> = {
  F: '%Y-%m-%d',
  T: '%H:%M:%S',
  R: '%H:%M',
  x: '%Y-%m-%d',
  X: '%H:%M:%S',
  c: '%Y-%m-%d %H:%M:%S',
};

/** Those that may lose the zeros in front, as `%-d`. */
const NUMBERS = 'ymdjHIMS';

/**
 * The program of a format.
 *
 * @param use a time is read by it, or spelled
 * @throws TimeFormatError where it is none, or longer than `TIME_FORMAT_BYTES_MAX`
 */
export function compileTimeFormat(format: string, use: 'read' | 'spell'): Uint8Array {
  const size = Buffer.byteLength(format);
  if (size > TIME_FORMAT_BYTES_MAX)
    throw new TimeFormatError(`a format has at most ${TIME_FORMAT_BYTES_MAX} bytes, got ${size}`);
  return Uint8Array.from(programOf(format, use));
}

function programOf(format: string, use: 'read' | 'spell'): number[] {
  const program: number[] = [];
  // A directive, a percent sign alone, or a text up to the next of them.
  for (const [found] of format.matchAll(/%-?[a-zA-Z%]|%|[^%]+/g)) {
    const name = found.replace(/^%-?/, '');
    if (found === '%%' || !found.startsWith('%')) program.push(...literal(found === '%%' ? '%' : found));
    else if (TOGETHER[name] && found === `%${name}`) program.push(...programOf(TOGETHER[name], use));
    else program.push(...directive(found, name, use));
  }
  return program;
}

/** A text may be longer than a byte says. */
function literal(text: string): number[] {
  const bytes = [...new TextEncoder().encode(text)];
  const parts = Array.from({ length: Math.ceil(bytes.length / 255) }, (_, i) => bytes.slice(i * 255, (i + 1) * 255));
  return parts.flatMap(part => [Directive.LITERAL, part.length, ...part]);
}

function directive(written: string, name: string, use: 'read' | 'spell'): number[] {
  const code = DIRECTIVES[name];
  const isShort = written.startsWith('%-');
  if (code === undefined || (isShort && !NUMBERS.includes(name)))
    throw new TimeFormatError(`unknown directive ${written}; those that are known are ${known('')}`);
  // A number of weeks, or of a day in one, says no day by itself.
  if (use === 'read' && code >= Directive.DAY_OF_WEEK)
    throw new TimeFormatError(`times are not read by ${written}; they are by ${known('wuUWVG')}`);
  return isShort ? [Directive.SHORT, code] : [code];
}

function known(without: string): string {
  const names = [...Object.keys(DIRECTIVES), ...Object.keys(TOGETHER)].filter(name => !without.includes(name));
  return [...names, '%'].map(name => `%${name}`).join(' ');
}
