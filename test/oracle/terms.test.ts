import { expect, test } from 'bun:test';
import type { FunctionName } from '../../src/plan/expression.ts';
import { BOOL, DOUBLE, INT64, type Type, type Value } from '../../src/plan/value.ts';
import { call, literal } from './fixtures/spell.ts';
import { evaluate } from './terms.ts';

const scope = {
  column: () => {
    throw new Error('no columns here');
  },
  read: () => {
    throw new Error('no reads here');
  },
};

function of(fn: FunctionName, type: Type, ...args: Value[]): Value {
  return evaluate(call(fn, type, ...args.map(literal)), scope);
}

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

test('int64 stays int64 and is null on overflow; a double on either side makes a double', () => {
  expect(of('add', INT64, MAX, 0n)).toBe(MAX);
  expect(of('add', INT64, MAX, 1n)).toBeNull();
  expect(of('subtract', INT64, MIN, 1n)).toBeNull();
  expect(of('multiply', INT64, 2n ** 32n, 2n ** 31n)).toBeNull();
  expect(of('multiply', INT64, -(2n ** 32n), 2n ** 31n)).toBe(MIN);
  expect(of('negate', INT64, MIN)).toBeNull();
  expect(of('negate', DOUBLE, 0)).toBe(-0);
  expect(of('add', DOUBLE, 1n, 0.5)).toBe(1.5);
  expect(of('add', INT64, 1n, null)).toBeNull();
});

test('divide is double, modulo has the sign of the dividend, both are null for 0', () => {
  expect(of('divide', DOUBLE, 7n, 2n)).toBe(3.5);
  expect(of('divide', DOUBLE, 7n, 0n)).toBeNull();
  expect(of('divide', DOUBLE, 7, -0)).toBeNull();
  expect([of('modulo', INT64, -7n, 3n), of('modulo', INT64, 7n, -3n)]).toEqual([-1n, 1n]);
  expect([of('modulo', INT64, 7n, 0n), of('modulo', INT64, MIN, -1n)]).toEqual([null, 0n]);
});

test('comparisons', () => {
  expect(of('less', BOOL, false, true)).toBe(true);
  expect(of('less', BOOL, 2n, 10n)).toBe(true);
  // By bytes U+FF5E is before U+1F600; by UTF-16 units it would be after.
  expect(of('less', BOOL, '\uff5e', '😀')).toBe(true);
  expect(of('less', BOOL, 'a', 'aa')).toBe(true);
  // Beside a double an int64 is one.
  expect(of('equal', BOOL, 2n ** 53n + 1n, 2 ** 53)).toBe(true);
  expect(of('equal', BOOL, Infinity, Infinity)).toBe(true);
  expect(of('notEqual', BOOL, 1n, 1n)).toBe(false);
  expect([of('lessOrEqual', BOOL, 1n, 1n), of('greaterOrEqual', BOOL, 1n, 2n)]).toEqual([true, false]);
  expect([of('greater', BOOL, NaN, 1), of('equal', BOOL, NaN, NaN), of('notEqual', BOOL, NaN, NaN)]).toEqual([
    ...[false, false, true],
  ]);
  expect([of('equal', BOOL, null, null), of('notEqual', BOOL, 1n, null)]).toEqual([null, null]);
});

test('three-valued logic', () => {
  const values = [true, false, null];
  const table = (fn: FunctionName) => values.flatMap(a => values.map(b => of(fn, BOOL, a, b)));
  expect(table('and')).toEqual([true, false, null, false, false, false, null, false, null]);
  expect(table('or')).toEqual([true, true, true, true, false, null, true, null, null]);
  expect(values.map(a => of('not', BOOL, a))).toEqual([false, true, null]);
  expect(values.map(a => of('isNull', BOOL, a))).toEqual([false, false, true]);
});

test('choice', () => {
  expect(of('coalesce', INT64, null, 2n, 3n)).toBe(2n);
  expect(of('coalesce', INT64, null, null)).toBeNull();
  expect(of('case', INT64, null, 1n, false, 2n, true, 3n, 4n)).toBe(3n);
  expect(of('case', INT64, false, 1n, 4n)).toBe(4n);
  expect(of('case', DOUBLE, true, 1n, 4.5)).toBe(1);
});

test('conversions', () => {
  expect([of('toInt64', INT64, true), of('toInt64', INT64, 2.5), of('toInt64', INT64, 3.5)]).toEqual([1n, 2n, 4n]);
  expect([of('toInt64', INT64, 2 ** 63), of('toInt64', INT64, NaN), of('toInt64', INT64, 7n)]).toEqual([
    null,
    null,
    7n,
  ]);
  expect([of('toDouble', DOUBLE, false), of('toDouble', DOUBLE, 2n ** 53n + 1n)]).toEqual([0, 2 ** 53]);
});
