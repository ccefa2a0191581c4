/** HyperLogLogs: hashes by Bun's XXH64, registers as plain lists, merges in any grouping, and how far estimates are off. */
import { describe, expect, test } from 'bun:test';
import { PRECISION_MAX, PRECISION_MIN, VECTOR_MAX } from '../../src/compile/aggregates.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { approximateCount, registersOf } from '../oracle/hyperloglog.ts';
import { Random } from '../sim/random.ts';
import { sketchOf } from './naive_ranking.ts';
import { changeBatch, onlyRow, row } from './rows.ts';

const fold = new Fold(await loadKernel(), () => null);

function merged(...rows: Uint8Array[]): Uint8Array {
  fold.settle();
  fold.evict(0);
  for (const one of rows) fold.apply(changeBatch([{}, one]));
  return onlyRow(fold);
}

function rowOf(precision: number, registers: number[]): Uint8Array {
  return row([1, { case: 'distinctSketch', value: sketchOf(precision, registers) }]);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const seed = 1;

test.each([4, 5, 7, 12, 16])(`of precision %p merge in any grouping to one state (seed ${seed})`, precision => {
  const rng = new Random(seed);
  const m = 2 ** precision;
  for (let round = 0; round < (precision > 12 ? 3 : 20); round++) {
    const parts = [0, 1, 2, 3].map(() => {
      const count = Math.floor(m * rng.pick([0, 0.01, 0.1, 0.2, 0.3, 2]));
      return registersOf(
        Array.from({ length: Math.min(count, 8000) }, () => BigInt(rng.below(2 ** 31))),
        precision,
      );
    });
    const wanted = hex(
      rowOf(
        precision,
        parts[0]!.map((_, i) => Math.max(...parts.map(part => part[i]!))),
      ),
    );
    const [a, b, c, d] = parts.map(part => rowOf(precision, part)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    const grouped = [
      merged(a, b, c, d),
      merged(d, c, b, a),
      merged(merged(a, b), merged(c, d)),
      merged(a, a, b, d, c, b),
    ];
    expect([round, ...grouped.map(hex)]).toEqual([round, ...grouped.map(() => wanted)]);
  }
});

test('precisions and lengths that the compiler takes are those that kernels take', async () => {
  const { exports } = await loadKernel();
  expect([exports.PRECISION_MIN.value, exports.PRECISION_MAX.value]).toEqual([PRECISION_MIN, PRECISION_MAX]);
  expect(exports.VECTOR_MAX.value).toBe(VECTOR_MAX);
});

test('of two precisions the greater remains', () => {
  const [coarse, fine] = [4, 6].map(precision => rowOf(precision, registersOf([1n, 2n, 3n], precision)));
  expect(hex(merged(coarse!, fine!))).toBe(hex(fine!));
  expect(hex(merged(fine!, coarse!))).toBe(hex(fine!));
});

describe('estimates', () => {
  /** Of this many values, drawn anew each time: the mean of the relative errors, and the root of that of their squares. */
  function errorsOf(count: number, precision: number, rounds: number): { bias: number; deviation: number } {
    const rng = new Random(count);
    const errors = Array.from({ length: rounds }, () => {
      const base = BigInt(rng.below(2 ** 31)) << 32n;
      const values = Array.from({ length: count }, (_, i) => base + BigInt(i));
      return Number(approximateCount(values, precision)) / count - 1;
    });
    const mean = (list: number[]) => list.reduce((sum, one) => sum + one, 0) / list.length;
    return { bias: mean(errors), deviation: Math.sqrt(mean(errors.map(one => one * one))) };
  }

  test.each([10, 100, 300, 800, 3000])(
    'of %p values with 256 registers are off by 1.04 / 16, and to neither side',
    count => {
      const { bias, deviation } = errorsOf(count, 8, 120);
      expect(deviation).toBeLessThan((1.04 / 16) * 1.25);
      expect(Math.abs(bias)).toBeLessThan((1.04 / 16 / Math.sqrt(120)) * 4);
    },
  );
});
