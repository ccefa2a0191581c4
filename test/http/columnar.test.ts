import { expect, test } from 'bun:test';
import { cellJson } from '../../src/http/columnar.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, TIME, type Type } from '../../src/plan/value.ts';
import type { FeatureColumn, ScalarValues } from '../../src/kernel/window.ts';

function column(type: Type, values: ScalarValues): FeatureColumn {
  const count = values.length;
  return { name: 'set:name', type, values, nulls: new Uint8Array(count), statuses: new Uint8Array(count) };
}

function cells(of: FeatureColumn): string[] {
  return Array.from({ length: of.nulls.length }, (_, i) => cellJson(of)(i));
}

test('doubles read back as the very same bits; what JSON cannot say is null', () => {
  const values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0, 1e21, 123456789012345680, 0];
  const texts = cells(column(DOUBLE, new Float64Array(values)));
  for (const [i, text] of texts.entries()) expect(Object.is(JSON.parse(text), values[i])).toBe(true);
  expect(cells(column(DOUBLE, new Float64Array([Number.NaN, Infinity, -Infinity])))).toEqual(['null', 'null', 'null']);
});

test('a list is an array of what its items are', () => {
  const list = (of: Type, items: ScalarValues, itemNulls: number[]): FeatureColumn => ({
    name: 'set:name',
    type: { kind: 'list', of: { type: of, presence: REQUIRED } },
    // Room behind the last item is none of them.
    values: { offsets: Uint32Array.of(0, 2, 2, 2, 3), items, itemNulls: Uint8Array.from(itemNulls) },
    nulls: Uint8Array.of(0, 0, 1, 0),
    statuses: new Uint8Array(4),
  });
  const cellsOf = (of: FeatureColumn) => [0, 1, 2, 3].map(cellJson(of));
  expect(cellsOf(list(INT64, BigInt64Array.of(-9223372036854775808n, 0n, 7n, 5n), [0, 1, 0, 0]))).toEqual([
    '[-9223372036854775808,null]',
    '[]',
    'null',
    '[7]',
  ]);
  expect(cellsOf(list(DOUBLE, Float64Array.of(-0, Number.NaN, 0.1), [0, 0, 0]))[0]).toBe('[-0,null]');
  expect(cellsOf(list(STRING, ['"', 'ü', 'a'], [0, 0, 0]))).toEqual(['["\\"","ü"]', '[]', 'null', '["a"]']);
  expect(cellsOf(list(BOOL, Uint8Array.of(1, 0, 1), [0, 0, 0]))[0]).toBe('[true,false]');
  expect(cellsOf(list(TIME, BigInt64Array.of(0n, -1n, 1n), [0, 0, 0]))[0]).toBe(
    '["1970-01-01T00:00:00Z","1969-12-31T23:59:59.999999Z"]',
  );
});

test('int64 has all its digits', () => {
  const values = new BigInt64Array([-9223372036854775808n, 9007199254740993n]);
  expect(cells(column(INT64, values))).toEqual(['-9223372036854775808', '9007199254740993']);
});

test('bools and times', () => {
  expect(cells(column(BOOL, new Uint8Array([0, 1])))).toEqual(['false', 'true']);
  expect(cells(column(TIME, new BigInt64Array([0n, -1n])))).toEqual([
    '"1970-01-01T00:00:00Z"',
    '"1969-12-31T23:59:59.999999Z"',
  ]);
});

test('strings are quoted as JSON quotes them', () => {
  expect(cells(column(STRING, ['', 'a"b\n', 'flüg']))).toEqual(['""', '"a\\"b\\n"', '"flüg"']);
});

test('a null is null whatever stands under it', () => {
  const nulls = new Uint8Array([1]);
  expect(cells({ ...column(INT64, new BigInt64Array([7n])), nulls })).toEqual(['null']);
  expect(cells({ ...column(BOOL, new Uint8Array([1])), nulls })).toEqual(['null']);
  expect(cells({ ...column(TIME, new BigInt64Array([7n])), nulls })).toEqual(['null']);
  expect(cells({ ...column(DOUBLE, new Float64Array([7])), nulls })).toEqual(['null']);
});

test('a type that no column holds is our bug', () => {
  const list: Type = { kind: 'list', of: { type: STRING, presence: REQUIRED } };
  expect(() => cellJson(column(list, new Uint8Array(1)))).toThrow('set:name has type [string]');
  expect(cellJson(column(STRING, ['"a"']))(0)).toBe('"\\"a\\""');
});
