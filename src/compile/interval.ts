import { PART_MICROS } from './functions/times.ts';
import type { TimePart } from '../plan/expression.ts';

/** What an INTERVAL adds to a time: months are not always as long, so they are not microseconds. */
export interface Interval {
  months: bigint;
  micros: bigint;
}

const MONTHS: Record<string, bigint> = { month: 1n, mon: 1n, quarter: 3n, year: 12n, decade: 120n, century: 1200n };
const SHORT: Record<string, TimePart> = {
  us: 'microsecond',
  ms: 'millisecond',
  s: 'second',
  sec: 'second',
  min: 'minute',
  m: 'minute',
  h: 'hour',
  hr: 'hour',
  d: 'day',
  w: 'week',
};

/** Nobody means more: it is 300 years in microseconds, and keeps sums within int64. */
const COUNT_MAX = 10n ** 16n;

/** `5 minutes`, `1 month -2 days`: the sum of its parts, or why it is none. */
export function readInterval(text: string): Interval | string {
  const wanted = `INTERVAL wants whole numbers of microseconds up to years, like INTERVAL '1 day 12 hours'`;
  const parts = [...text.trim().matchAll(/\s*([+-]?\d+)\s*([A-Za-z]+)/gy)];
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== text.trim())
    return `${wanted}, got '${text.trim()}'`;
  const sum: Interval = { months: 0n, micros: 0n };
  for (const [, digits, word] of parts) {
    const unit = unitOf(word!.toLowerCase());
    const count = BigInt(digits!);
    if (!unit) return `${wanted}, got ${word}`;
    const times = timesInterval(unit, count);
    if (!times) return `${wanted}, got ${digits} ${word}`;
    sum.months += times.months;
    sum.micros += times.micros;
  }
  return isKept(sum) ? sum : `${wanted}, got '${text.trim()}'`;
}

/** So many of it; null where that is more than anybody means. */
export function timesInterval({ months, micros }: Interval, count: bigint): Interval | null {
  const times = { months: months * count, micros: micros * count };
  return count <= COUNT_MAX && count >= -COUNT_MAX && isKept(times) ? times : null;
}

function isKept({ months, micros }: Interval): boolean {
  return [months, micros].every(value => BigInt.asIntN(63, value) === value);
}

function unitOf(word: string): Interval | null {
  for (const name of [word, word.replace(/s$/, '')]) {
    const micros = PART_MICROS[SHORT[name] ?? (name as TimePart)];
    if (micros !== undefined) return { months: 0n, micros };
    if (Object.hasOwn(MONTHS, name)) return { months: MONTHS[name]!, micros: 0n };
  }
  return null;
}
