import { type Json, JsonNumber } from './json.ts';
import { integerFromText } from './number.ts';

const MICROS_PER_DAY = 86_400_000_000n;

/** Years 0000 to 9999, in epoch milliseconds. */
const EPOCH_MS_MIN = -62_167_219_200_000n;
const EPOCH_MS_MAX = 253_402_300_799_999n;

/** RFC 3339 text or epoch milliseconds -> microseconds since 1970 UTC; null for anything else. */
export function timeFromJson(json: Json | undefined): bigint | null {
  if (typeof json === 'string') return timeFromText(json);
  if (!(json instanceof JsonNumber)) return null;
  const ms = integerFromText(json.text);
  return ms === null || ms < EPOCH_MS_MIN || ms > EPOCH_MS_MAX ? null : ms * 1000n;
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)/;
const CLOCK = /^[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?/;
const ZONE = /^(?:[Zz]|([+-])(\d\d):(\d\d))?$/;

export function timeFromText(text: string): bigint | null {
  const date = DATE.exec(text);
  if (!date) return null;
  const clock = CLOCK.exec(text.slice(10));
  if (!clock) return null;
  const zone = ZONE.exec(text.slice(10 + clock[0].length));
  if (!zone) return null;
  const [year, month, day] = [Number(date[1]), Number(date[2]), Number(date[3])];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null;
  const [hour, minute, second] = [Number(clock[1]), Number(clock[2]), Number(clock[3])];
  if (hour > 23 || minute > 59 || second > 59) return null;
  const [zoneHour, zoneMinute] = [Number(zone[2] ?? 0), Number(zone[3] ?? 0)];
  if (zoneHour > 23 || zoneMinute > 59) return null;
  // +02:00 is two hours ahead of UTC, so UTC is two hours less.
  const ahead = (zoneHour * 60 + zoneMinute) * (zone[1] === '-' ? -1 : 1);
  const micros = (clock[4] ?? '').slice(0, 6).padEnd(6, '0');
  const seconds = ((hour * 60 + minute - ahead) * 60 + second) * 1_000_000;
  return BigInt(daysSince1970(year, month, day)) * MICROS_PER_DAY + BigInt(seconds) + BigInt(micros);
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

function daysInMonth(year: number, month: number): number {
  return [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]!;
}

function daysSince1970(year: number, month: number, day: number): number {
  // Days before 1 January of the year, counted from year 0, itself a leap year.
  const before = (y: number) => y * 365 + Math.ceil(y / 4) - Math.ceil(y / 100) + Math.ceil(y / 400);
  let days = before(year) - before(1970) + day - 1;
  for (let m = 1; m < month; m++) days += daysInMonth(year, m);
  return days;
}
