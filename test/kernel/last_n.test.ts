/** LAST_N by its states: merged in any grouping, held against lists of JavaScript, and damaged. */
import { describe, expect, test } from 'bun:test';
import { Fault } from '../../src/base/fault.ts';
import { LAST_N_MAX } from '../../src/compile/aggregates.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { Random } from '../sim/random.ts';
import { damage } from './json_text.ts';
import { byMoment, changeBatch, type Kept, onlyRow, recent, row, type State } from './rows.ts';

const fold = new Fold(await loadKernel(), () => null);

/** The row that these become, one after the other, from nothing. */
function merged(...rows: Uint8Array[]): Uint8Array {
  fold.settle();
  fold.evict(0);
  fold.apply(changeBatch(...rows.map(one => [{}, one] as [object, Uint8Array])));
  return onlyRow(fold);
}

function rowOf(state: State): Uint8Array {
  return row([1, state]);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const VALUES: ((rng: Random) => Kept['value'])[] = [
  rng => BigInt(rng.below(1000) - 500) * 2n ** BigInt(rng.below(50)),
  rng => rng.pick([-0, 0.5, Number.NaN, Infinity, 5e-324, rng.next()]),
  rng => rng.pick(['', 'a', 'größe', 'long '.repeat(rng.below(200)), null]),
];

/** Events at positions 0, 1, ..., of which many share their time; late ones among them. */
function randomEvents(count: number, kind: number, rng: Random): Kept[] {
  const late = rng.pick([0, 3, count]);
  return Array.from({ length: count }, (_, i) => {
    const time = BigInt(Math.floor(i / 3) - rng.below(late + 1)) * rng.pick([1n, 1_000_000n]);
    return { time, position: BigInt(i * 7), value: VALUES[kind]!(rng) };
  });
}

describe.each([1, 2, 3, 4])('seed %p', seed => {
  test('merged in any grouping and order, the latest of all events remain, byte for byte', () => {
    const rng = new Random(seed);
    for (let round = 0; round < 120; round++) {
      const limit = rng.pick([1, 2, 7, 100, LAST_N_MAX]);
      const events = randomEvents(rng.below(rng.pick([4, 60, 2500])), round % 3, rng);
      // Cut by position, as batches are, or by chance, as tiles are; an event may be in several parts.
      const parts = Array.from({ length: 4 }, (_, part) =>
        events.filter((_, i) => (round % 2 ? rng.chance(0.3) : Math.floor((i * 4) / events.length) === part)),
      );
      const rows = parts.map(part => rowOf(recent(limit, part)));
      const [a, b, c, d] = rows as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
      const wanted = hex(rowOf(recent(limit, [...new Set(parts.flat())])));
      const grouped = [
        merged(a, b, c, d),
        merged(d, c, b, a),
        merged(merged(a, b), merged(c, d)),
        merged(b, merged(d, merged(a, c))),
        merged(a, a, b, c, d, b),
      ];
      expect([round, ...grouped.map(hex)]).toEqual([round, ...grouped.map(() => wanted)]);
    }
  });

  test('of different limits the lesser, and of different kinds the greater remains', () => {
    const rng = new Random(seed);
    for (let round = 0; round < 60; round++) {
      const rows = [0, 1, 2, 3].map(i =>
        rowOf(
          recent(
            1 + rng.below(9),
            randomEvents(rng.below(12), rng.below(3), rng).map(one => ({ ...one, position: one.position + BigInt(i) })),
          ),
        ),
      );
      const [a, b, c, d] = rows as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
      const wanted = hex(merged(a, b, c, d));
      for (const other of [merged(d, c, b, a), merged(merged(a, b), merged(c, d)), merged(b, merged(d, merged(a, c)))])
        expect(hex(other)).toBe(wanted);
    }
  });

  test('thousands of damaged states: a fault, or the one spelling of what is there', () => {
    const rng = new Random(seed);
    let read = 0;
    for (let round = 0; round < 4000; round++) {
      const events = randomEvents(rng.below(6), round % 3, rng).map(one => ({
        ...one,
        value: typeof one.value === 'string' ? one.value.slice(0, 3) : one.value,
      }));
      const bytes = damage(rowOf(recent(5, events)), rng);
      fold.settle();
      fold.evict(0);
      try {
        fold.apply(changeBatch([{}, bytes], [{}, rowOf(recent(LAST_N_MAX, []))]));
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
        continue;
      }
      // Without a state of id 1 there is nothing that was read.
      const now = onlyRow(fold);
      if (now.length !== bytes.length) continue;
      expect(hex(now)).toBe(hex(bytes));
      read++;
    }
    expect(read).toBeGreaterThan(50);
  });
});

test('a full list of the longest texts', () => {
  const events = Array.from({ length: LAST_N_MAX + 5 }, (_, i) => ({
    time: 0n,
    position: BigInt(i),
    value: String(i).padStart(1024, 'x'),
  }));
  const half = events.length >> 1;
  const parts = [events.slice(half), events.slice(0, half)].map(part => rowOf(recent(LAST_N_MAX, part)));
  const whole = merged(...parts);
  expect(hex(whole)).toBe(hex(rowOf(recent(LAST_N_MAX, events))));
  // What docs/meaning.md says of the largest row: a megabyte, and some for lengths, times and positions.
  expect(whole.length).toBeGreaterThan(1_024_000);
  expect(whole.length).toBeLessThan(1_050_000);
});

test('a limit is a number of values that are kept', async () => {
  const { exports } = await loadKernel();
  expect(exports.RECENT_MAX.value).toBe(LAST_N_MAX);
  const [earliest, ...others] = [3n, 1n, 2n].map(time => ({ time, position: time, value: time })).sort(byMoment);
  expect(hex(merged(rowOf(recent(2, [earliest!])), rowOf(recent(2, others))))).toBe(hex(rowOf(recent(2, others))));
});

describe('malformed', () => {
  const moment = (position: bigint, value: Kept['value']) => ({ time: 5n, position, value });
  const body = (...bytes: number[]) =>
    Uint8Array.from([0x0a, bytes.length + 6, 0x08, 1, 0x12, bytes.length + 2, 0x52, bytes.length, ...bytes]);
  const times = [0x12, 2, 10, 0];
  const positions = [0x1a, 2, 2, 2];
  const cases: [string, number[]][] = [
    ['nothing', []],
    ['no limit', [...times, ...positions, 0x22, 2, 2, 4]],
    ['a limit of 0', [8, 0]],
    ['a limit beyond the greatest', [8, 0xe9, 0x07]],
    ['a limit spelled too long', [8, 0x82, 0]],
    ['more values than the limit', [8, 1, ...times, ...positions, 0x22, 2, 2, 4]],
    ['times that descend', [8, 5, 0x12, 2, 10, 1, ...positions, 0x22, 2, 2, 4]],
    ['positions that do not ascend', [8, 5, ...times, 0x1a, 2, 2, 0, 0x22, 2, 2, 4]],
    ['fewer positions', [8, 5, ...times, 0x1a, 1, 2, 0x22, 2, 2, 4]],
    ['more positions', [8, 5, ...times, 0x1a, 3, 2, 2, 2, 0x22, 2, 2, 4]],
    ['no positions', [8, 5, ...times, 0x22, 2, 2, 4]],
    ['no values', [8, 5, ...times, ...positions]],
    ['fewer integers', [8, 5, ...times, ...positions, 0x22, 1, 2]],
    ['more integers', [8, 5, ...times, ...positions, 0x22, 3, 2, 4, 6]],
    ['integers cut', [8, 5, ...times, ...positions, 0x22, 3, 2, 4]],
    ['integers and more', [8, 5, ...times, ...positions, 0x22, 2, 2, 4, 0x32, 0]],
    ['fewer doubles', [8, 5, ...times, ...positions, 0x2a, 8, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['another NaN', [8, 5, 0x12, 1, 10, 0x1a, 1, 2, 0x2a, 8, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['fewer texts', [8, 5, ...times, ...positions, 0x32, 1, 0x61]],
    ['more texts', [8, 5, ...times, ...positions, 0x32, 1, 0x61, 0x32, 0, 0x32, 0]],
    ['a text beyond the end', [8, 5, ...times, ...positions, 0x32, 1, 0x61, 0x32, 9, 0x61]],
    ['a text too long that is there', [8, 5, ...times, ...positions, 0x32, 1, 0x61, 0x32, 0, 0x3a, 1, 0]],
    ['a text too long that is beyond', [8, 5, ...times, ...positions, 0x32, 1, 0x61, 0x32, 0, 0x3a, 1, 2]],
    ['a text too long twice', [8, 5, ...times, ...positions, 0x32, 0, 0x32, 0, 0x3a, 2, 1, 1]],
    ['an empty column', [8, 5, ...times, ...positions, 0x32, 0, 0x32, 0, 0x3a, 0]],
    ['values without times', [8, 5, 0x22, 1, 2]],
  ];

  test('and what they are next to is not', () => {
    const good = body(8, 5, ...times, ...positions, 0x22, 2, 2, 4);
    expect(hex(good)).toBe(hex(rowOf(recent(5, [moment(1n, 1n), moment(2n, 2n)]))));
    expect(hex(merged(good, rowOf(recent(5, []))))).toBe(hex(good));
    const long = body(8, 5, ...times, ...positions, 0x32, 1, 0x61, 0x32, 0, 0x3a, 1, 1);
    expect(hex(long)).toBe(hex(rowOf(recent(5, [moment(1n, 'a'), moment(2n, null)]))));
    expect(hex(merged(long, rowOf(recent(5, []))))).toBe(hex(long));
  });

  test.each(cases)('%s', (_, bytes) => {
    expect(() => merged(body(...bytes), rowOf(recent(5, [])))).toThrow('canonical');
    expect(() => merged(rowOf(recent(5, [])), body(...bytes))).toThrow('canonical');
  });

  test('a text longer than is kept', () => {
    const state = recent(5, [moment(1n, 'x'.repeat(1025))]);
    expect(() => merged(rowOf(state), rowOf(recent(5, [])))).toThrow('canonical');
  });
});
