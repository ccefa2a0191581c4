/** Event time is int64 microseconds since 1970 UTC; tiles, windows and settings count in milliseconds. */
export const MICROS_PER_MS = 1000n;

/** How far the time of an event type has come, in microseconds since 1970 UTC. */
export interface TypeClock {
  at: bigint;
  /** What the clock showed after the first record that moved it: before that nothing is known of the type. */
  since: bigint;
  /** Times of the latest records that were too far ahead of it to move it, and may yet turn out right: at most two. */
  jumps: bigint[];
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const DURATION = /^(?:\d+(?:ms|s|m|h|d|w))+$/;
const PART = /(\d+)(ms|s|m|h|d|w)/g;

/** `90s`, `30m`, `5h30m`, `1d` -> milliseconds; null where the text is no duration or is longer than 2^53 ms. */
export function parseDuration(text: string): number | null {
  if (!DURATION.test(text)) return null;
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(PART)) totalMs += Number(count) * UNIT_MS[unit!]!;
  return Number.isSafeInteger(totalMs) ? totalMs : null;
}

/** The shortest spelling that `parseDuration` reads back: 5400000 -> `1h30m`. */
export function formatDuration(durationMs: number): string {
  let restMs = durationMs;
  let text = '';
  for (const [unit, unitMs] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ] as const) {
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    restMs -= count * unitMs;
  }
  return text || '0s';
}

/** Microseconds -> `2001-01-01T00:00:00.000000Z`, with as many fraction digits as the time needs (0, 3 or 6). */
export function formatMicros(micros: bigint): string {
  const ms = floorDiv(micros, MICROS_PER_MS);
  const rest = Number(micros - ms * MICROS_PER_MS);
  const iso = new Date(Number(ms)).toISOString();
  if (rest > 0) return `${iso.slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
  return iso.endsWith('.000Z') ? `${iso.slice(0, -5)}Z` : iso;
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?$/;

/** RFC 3339 (no offset means UTC, digits beyond the microsecond are cut off) -> microseconds; null where it is none. */
export function parseMicros(text: string): bigint | null {
  const match = RFC3339.exec(text);
  if (!match) return null;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const monthMax = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > monthMax) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  let offsetMinutes = 0;
  if (zone && zone.length > 1) {
    const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4, 6))];
    if (hours > 23 || minutes > 59) return null;
    offsetMinutes = (hours * 60 + minutes) * (zone[0] === '-' ? -1 : 1);
  }
  const micros = BigInt((fraction ?? '').padEnd(6, '0').slice(0, 6));
  return BigInt(date.getTime() - offsetMinutes * 60_000) * MICROS_PER_MS + micros;
}

/** Rounds toward minus infinity, as tiles before 1970 need. */
export function floorDiv(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor !== 0n && dividend < 0n !== divisor < 0n ? quotient - 1n : quotient;
}

/** Null where there are none. */
export function greatest(times: Iterable<bigint>): bigint | null {
  return [...times].reduce<bigint | null>((most, time) => (most === null || time > most ? time : most), null);
}

/** The clock on the wall, in microseconds. */
export function wallMicros(): bigint {
  return BigInt(Date.now()) * MICROS_PER_MS;
}
