/** Stretches of time: an event at which one begins is in it, and one at which it ends is not. */
import { expect, test } from 'bun:test';
import { INT64, STRING } from '../../src/plan/value.ts';
import { batchWithin, isWithin } from '../../src/replay/within.ts';

const TIMES = [4n, 5n, 9n, 10n];

test.each([
  [null, null, [4n, 5n, 9n, 10n]],
  [5n, null, [5n, 9n, 10n]],
  [null, 9n, [4n, 5n]],
  [5n, 10n, [5n, 9n]],
  [5n, 5n, []],
])('from %p to %p', (startMicros, endMicros, within) => {
  expect(TIMES.filter(time => isWithin(time, { startMicros, endMicros }))).toEqual(within);
});

test('a batch keeps its rows of a stretch, with what is wrong with them', () => {
  const count = TIMES.length;
  const known = { nulls: Uint8Array.of(0, 0, 1, 0), statuses: Uint8Array.of(0, 0, 2, 0) };
  const lists = {
    ...{ offsets: Uint32Array.of(0, 1, 3, 3, 4), items: BigInt64Array.of(1n, 2n, 3n, 4n) },
    itemNulls: Uint8Array.of(0, 1, 0, 0),
  };
  const batch = {
    ...{ count, positions: BigInt64Array.of(0n, 1n, 2n, 3n), timesMicros: BigInt64Array.from(TIMES) },
    types: ['a', 'b', 'c', 'd'],
    columns: [
      { name: 'n', type: INT64, values: BigInt64Array.of(7n, 8n, 0n, 9n), ...known },
      {
        name: 'l',
        type: { kind: 'list', of: { type: INT64, presence: 'optional' } } as never,
        values: lists,
        ...known,
      },
      { name: 't', type: STRING, values: ['x', 'y', '', 'z'], ...known },
    ],
    errors: TIMES.map((timeMicros, position) => ({ position, timeMicros, type: 'a', feature: 'a.f', text: 'wrong' })),
  };
  const { columns, ...within } = batchWithin(batch as never, { startMicros: 5n, endMicros: 10n });
  expect(within).toEqual({
    ...{ count: 2, positions: BigInt64Array.of(1n, 2n), timesMicros: BigInt64Array.of(5n, 9n), types: ['b', 'c'] },
    errors: batch.errors.slice(1, 3) as never,
  });
  expect(columns.map(({ values }) => values)).toEqual([
    BigInt64Array.of(8n, 0n),
    { offsets: Uint32Array.of(0, 2, 2), items: BigInt64Array.of(2n, 3n), itemNulls: Uint8Array.of(1, 0) },
    ['y', ''],
  ]);
  expect(columns.map(({ nulls, statuses }) => [[...nulls], [...statuses]])).toEqual(
    Array(3).fill([
      [0, 1],
      [0, 2],
    ]),
  );
});
