/** `tilefold late --follow`: each event is told of once, and none is passed over in silence. */
import { expect, test } from 'bun:test';
import { LateFollower } from '../../src/cli/late.ts';
import { lateList } from '../../src/http/late.ts';
import type { LateRow } from '../../src/meta/meta.ts';
import { mergeRefusals, type Refusals } from '../../src/base/refusal.ts';

const refusal = (position: number) => ({
  position,
  timeMicros: BigInt(position) * 60_000_000n,
  clockMicros: BigInt(position) * 60_000_000n + 7_200_000_000n,
});

/** As a ledger adds them up. */
function rowsOf(positions: number[], levels = [60_000, 1_800_000]): LateRow[] {
  const all = positions
    .map((position): Refusals => ({ count: 1, first: refusal(position), latest: [refusal(position)] }))
    .reduce(mergeRefusals);
  return levels.map(levelMs => ({ aggregate: 'shops:n', event: 'sale', levelMs, ...all }));
}

test('events come once each, as they come', () => {
  const follower = new LateFollower();
  const lines = (positions: number[]) => follower.lines(lateList(rowsOf(positions)).late, false);
  expect(follower.lines([], false)).toEqual([]);
  expect(lines([3, 5])).toEqual([
    '3  sale  1970-01-01T00:03:00Z  2h  1m, 30m',
    '5  sale  1970-01-01T00:05:00Z  2h  1m, 30m',
  ]);
  expect(lines([3, 5])).toEqual([]);
  expect(lines([3, 5, 9])).toEqual(['9  sale  1970-01-01T00:09:00Z  2h  1m, 30m']);
});

test('more of them than are kept are counted, once', () => {
  const follower = new LateFollower();
  follower.lines(lateList(rowsOf([1])).late, true);
  const positions = Array.from({ length: 20 }, (_, i) => i + 1);
  const told = follower.lines(lateList(rowsOf(positions)).late, true).map(line => JSON.parse(line));
  expect(told[0]).toEqual({ missed: 20 - told.length });
  expect(told.at(-1)).toEqual({
    ...{
      position: 20,
      event: 'sale',
      time: '1970-01-01T00:20:00Z',
      behind_ms: 7_200_000,
      tiles_ms: [60_000, 1_800_000],
    },
  });
  expect(follower.lines(lateList(rowsOf(positions)).late, true)).toEqual([]);
});

test('rows that were folded anew begin anew', () => {
  const follower = new LateFollower();
  follower.lines(lateList(rowsOf([1, 2, 3])).late, false);
  expect(follower.lines(lateList(rowsOf([1])).late, false)).toEqual([]);
});
