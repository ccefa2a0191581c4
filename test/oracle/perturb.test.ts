import { expect, test } from 'bun:test';
import { joinLines, perturb } from '../perturb.ts';
import { flightsPlan } from './fixtures/flights.ts';
import { parseLog } from './log.ts';
import { now, value } from './naive.ts';

/** Flights of three airports, two a minute: tame, and quick to make. */
function tame(count: number): string[] {
  const airports = ['ATL', 'ORD', 'LAX'];
  return Array.from({ length: count }, (_, i) => {
    const time = new Date(Date.UTC(2001, 2, 5) + Math.floor(i / 2) * 60_000).toISOString();
    const data = { origin: airports[i % 3], destination: airports[(i * 7 + 1) % 3], delay: (i % 50) - 10, distance: i };
    return JSON.stringify({ type: 'flight', time, data });
  });
}

const plan = flightsPlan();
const wild = joinLines(perturb(tame(20_000), 1));
const log = parseLog(wild, plan, { clock: 'event', maxJumpMs: 31 * 86_400_000 });

test('the same seed gives the same bytes, another one others', () => {
  const [a, b, c] = [1, 1, 2].map(seed => Bun.hash(joinLines(perturb(tame(500), seed))));
  expect([a === b, a === c]).toEqual([true, false]);
});

test('every reason to refuse a line and to call an event bad is there', () => {
  const reasons = new Set(log.rejected.map(r => r.reason));
  expect([...reasons].sort()).toEqual([
    ...['no time', 'no type', 'not JSON', 'not UTF-8', 'not an object', 'too deep', 'too long'],
  ]);
  const bad = new Set(log.records.flatMap(r => r.bad ?? []));
  expect([...bad].sort()).toEqual([
    ...['data is not an object', 'delay: expected int64'],
    ...['destination: expected string', 'destination: required, but missing', 'destination: required, but null'],
    ...['distance: expected int64', 'jumps ahead'],
    ...['origin: expected string', 'origin: required, but missing', 'origin: required, but null', 'undeclared type'],
  ]);
});

test('most events are good, and some of them are early, late, and too late for every tile', () => {
  const good = log.records.filter(r => r.bad === null);
  expect(good.length).toBeGreaterThan(18_000);
  const lateByMinutes = good.map(r => Number(r.clock! - r.time) / 60e6);
  const between = (from: number, to: number) => lateByMinutes.filter(m => from <= m && m < to).length;
  expect(between(0, 1e-9)).toBeGreaterThan(2_000);
  expect(between(1, 60)).toBeGreaterThan(500);
  expect(between(60, 1440)).toBeGreaterThan(100);
  expect(between(6 * 1440, Number.POSITIVE_INFINITY)).toBeGreaterThan(20);
  expect(good.filter(r => r.inputs.delay === null).length).toBeGreaterThan(50);
  expect(good.filter(r => r.time % 1_000_000n !== 0n).length).toBeGreaterThan(10_000);
});

test('values of every status come of it', () => {
  const statuses = new Set<string>();
  for (const feature of plan.features) {
    if (feature.entity !== 'origin') continue;
    for (let p = 999; p < log.records.length; p += 1_500) {
      for (const [key, late] of [
        ['ATL', 0n],
        ['ORD', 0n],
        ['LAX', 3_600_000_001n],
        ['Zürich', 0n],
      ] as const) {
        const { value: found, status } = value(plan, log, feature.name, [key], p, now(log, p) - late);
        statuses.add(`${status}${status === 'OVERFLOW' ? ` ${found}` : ''}`);
      }
    }
  }
  expect([...statuses].sort()).toEqual(['EXPIRED', 'NOT_FOUND', 'OVERFLOW null', 'WARMING', 'null']);
});
