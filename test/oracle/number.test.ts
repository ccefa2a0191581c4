import { expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { Random } from '../sim/random.ts';
import { integerFromText, nearestInt64, roundedQuotient } from './number.ts';

test('an int64 is any spelling of an integer in range', () => {
  const spellings: [string, bigint | null][] = [
    ['12', 12n],
    ['-0', 0n],
    ['1.0', 1n],
    ['1e2', 100n],
    ['1.50e3', 1500n],
    ['1200E-2', 12n],
    ['0.000e-999999999999', 0n],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808.00', -(2n ** 63n)],
    ['9223372036854775808', null],
    ['9.223372036854775807e18', 2n ** 63n - 1n],
    ['1.5', null],
    ['12e-1', null],
    ['1e19', null],
    ['1e999999999999', null],
  ];
  expect(spellings.map(([text]) => [text, integerFromText(text)])).toEqual(spellings);
});

test('the nearest int64 has ties to even, and none beyond the range', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, -2.6].map(nearestInt64)).toEqual([0n, 2n, 2n, 0n, -2n, 2n, -3n]);
  expect([2 ** 63, -(2 ** 63), Number.NaN, Infinity].map(nearestInt64)).toEqual([null, -(2n ** 63n), null, null]);
});

test('a quotient is rounded once, ties to even', () => {
  expect(roundedQuotient(7n, 2n)).toBe(3.5);
  expect(roundedQuotient(-1n, 3n)).toBe(-1 / 3);
  expect(roundedQuotient(0n, -3n)).toBe(0);
  // Half way between 2^53 and 2^53 + 2, then a hair above: a tie goes down to even, the hair goes up.
  expect(roundedQuotient(2n ** 53n + 1n, 1n)).toBe(2 ** 53);
  expect(roundedQuotient((2n ** 53n + 1n) * 1000n + 1n, 1000n)).toBe(2 ** 53 + 2);
  // Each side rounded to a double by itself would give 1 here.
  expect(roundedQuotient(2n ** 60n + 2n ** 7n, 2n ** 60n)).toBe(1);
  expect(roundedQuotient(2n ** 60n + 2n ** 8n, 2n ** 60n)).toBe(1 + Number.EPSILON);
});

const python = pythonOrSkip("quotients = Python's fractions");

test.skipIf(python === null)("quotients are those of Python's fractions", () => {
  const rng = new Random(1);
  const integer = (bits: number) => {
    let made = 0n;
    for (let i = 0; i < bits; i++) made = made * 2n + BigInt(rng.below(2));
    return made;
  };
  const pairs: [bigint, bigint][] = [];
  for (let i = 0; i < 5000; i++) {
    const [n, d] = [integer(1 + rng.below(126)), 1n + integer(rng.below(62))];
    // Every other one lies on a tie or next to it: an odd multiple of half a unit in the last place.
    const tie = ((integer(53) | (1n << 53n) | 1n) << BigInt(rng.below(9))) * d + BigInt(rng.below(3) - 1);
    const sign = rng.chance(0.5) ? 1n : -1n;
    pairs.push([sign * (i % 2 === 0 ? n : tie), d]);
  }
  const program = `import sys\nfrom fractions import Fraction
for line in sys.stdin:
    n, d = map(int, line.split())
    print(repr(float(Fraction(n, d))))`;
  const input = new TextEncoder().encode(pairs.map(([n, d]) => `${n} ${d}`).join('\n'));
  const theirs = new TextDecoder()
    .decode(runPython(python!, ['-c', program], input))
    .trim()
    .split('\n')
    .map(Number);
  expect(pairs.map(([n, d]) => roundedQuotient(n, d))).toEqual(theirs);
});
