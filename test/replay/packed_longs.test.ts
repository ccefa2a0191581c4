/** Integers of a block of a column, packed: what comes back is what went in, in no more bytes than it needs. */
import { expect, test } from 'bun:test';
import { packLongs, packSizes, unpackLongs, unpackSizes } from '../../src/replay/packed_longs.ts';
import { Random } from '../sim/random.ts';

/** Takes pieces, each at a multiple of 8, and knows how many bytes there were. */
function taken(pieces: Uint8Array[]) {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + Math.ceil(length / 8) * 8, 0));
  let end = 0;
  for (const piece of pieces) {
    all.set(piece, end);
    end += Math.ceil(piece.length / 8) * 8;
  }
  let at = 0;
  const take = (size: number) => {
    const bytes = all.subarray(at, at + size);
    at += Math.ceil(size / 8) * 8;
    return bytes;
  };
  return { take, size: all.length, left: () => all.length - at };
}

function packed(values: bigint[], nulls: Uint8Array | null = null): { values: bigint[]; size: number } {
  const { take, size, left } = taken(packLongs(BigInt64Array.from(values), nulls));
  const back = Array.from(unpackLongs(take, values.length));
  expect(left()).toBe(0);
  return { values: back, size };
}

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

test.each([
  ['nothing', [], 16],
  ['one value', [5n], 24],
  ['bytes', [0n, 255n, 3n], 24],
  ['bytes from a base on', [-1000n, -1255n], 24],
  ['two bytes', [0n, 256n, 0n, 65_535n, 1n], 32],
  ['four bytes', [-1n, 2n ** 32n - 2n], 24],
  ['one more', [-1n, 2n ** 32n - 1n], 24],
  ['one more that is no whole number of units', [0n, 2n ** 32n + 1n], 24],
  ['milliseconds', [1_772_323_200_000_000n, 1_772_927_999_999_000n, 1_772_323_200_001_000n], 32],
  ['microseconds', [1_772_323_200_000_000n, 1_772_927_999_999_001n, 1_772_323_200_001_000n], 32],
  ['what doubles just hold', [2n ** 53n - 1n, 2n ** 53n - 2n], 24],
  ['what they do not', [2n ** 53n + 1n, 2n ** 53n + 2n], 24],
  ['the greatest', [MOST, MOST - 1n], 24],
  ['both ends', [LEAST, MOST, 0n, -1n], 40],
] as [string, bigint[], number][])('%s', (_what, values, size) => {
  const back = packed(values);
  expect(back.values).toEqual(values);
  expect(back.size).toBeLessThanOrEqual(size);
});

test('what stands under a null is 0, whatever it was', () => {
  const nulls = Uint8Array.of(0, 1, 0, 1);
  for (const values of [
    [7n, MOST, 9n, 3n],
    [MOST, 5n, LEAST, 1n],
  ])
    expect(packed(values, nulls).values).toEqual(values.map((value, i) => (nulls[i] ? 0n : value)));
});

test('random values of any width', () => {
  const rng = new Random(7);
  for (let round = 0; round < 200; round++) {
    const [base, spread] = [rng.pick([0, 1, 31, 32, 33, 52, 53, 62]), rng.pick([1, 8, 16, 31, 32, 33, 44, 62])];
    const below = (bits: number) => BigInt(rng.below(2 ** 31)) << BigInt(Math.max(0, bits - 31));
    const from = below(base) * rng.pick([1n, -1n]);
    const unit = rng.pick([1n, 1n, 1000n]);
    const values = Array.from({ length: rng.below(40) }, () =>
      BigInt.asIntN(64, from + (below(spread) % 2n ** BigInt(spread)) * unit),
    );
    expect(packed(values).values).toEqual(values);
  }
});

test.each([[[0]], [[0, 0, 3]], [[0, 255, 256]], [[0, 256]], [[0, 65_535, 131_071]], [[0, 70_000, 4_294_967_295]]])(
  'sizes, ends %p',
  ends => {
    const { take, left } = taken([packSizes(Uint32Array.from(ends))]);
    expect(Array.from(unpackSizes(take, ends.length - 1))).toEqual(ends);
    expect(left()).toBe(0);
  },
);
