/** Maps in files and replies: what Apache Arrow, hyparquet and JSON.parse read is what stands in the columns. */
import { describe, expect, test } from 'bun:test';
import { tableFromIPC } from 'apache-arrow';
import { parquetReadObjects } from 'hyparquet';
import { ArrowFrame } from '../../src/cli/frame/arrow.ts';
import type { FrameBatch } from '../../src/cli/frame/frame.ts';
import { batchLines } from '../../src/cli/frame/lines.ts';
import { answerTable } from '../../src/cli/lookup.ts';
import { ParquetFrame } from '../../src/cli/frame/parquet.ts';
import type { ScalarValues } from '../../src/kernel/feature_column.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, TIME, type Type } from '../../src/plan/value.ts';

function mapOf(key: Type): Type {
  return { kind: 'map', key, of: { type: INT64, presence: REQUIRED } };
}

/** Rows of 2, null (with rubbish under it), 0 and 1 entries; behind the last there is room. */
const OFFSETS = Uint32Array.of(0, 2, 2, 2, 3);
const NULLS = Uint8Array.of(0, 1, 0, 0);
const MAPPED = BigInt64Array.of(5n, -1n, 9007199254740993n, 77n);

/** Keys as columns have them, and as each reader gives them. */
const KEYS: { type: Type; items: ScalarValues; json: string[]; arrow: unknown[]; parquet: unknown[] }[] = [
  {
    type: STRING,
    items: ['', 'żółć "7"', 'constructor', 'rubbish'],
    json: ['', 'żółć "7"', 'constructor'],
    arrow: ['', 'żółć "7"', 'constructor'],
    parquet: ['', 'żółć "7"', 'constructor'],
  },
  {
    type: INT64,
    items: BigInt64Array.of(-(2n ** 63n), 7n, 9007199254740993n, 0n),
    json: ['-9223372036854775808', '7', '9007199254740993'],
    arrow: [-(2n ** 63n), 7n, 9007199254740993n],
    parquet: [-(2n ** 63n), 7n, 9007199254740993n],
  },
  {
    type: DOUBLE,
    items: Float64Array.of(-0.5, Infinity, Number.NaN, 0),
    json: ['-0.5', 'Infinity', 'NaN'],
    arrow: [-0.5, Infinity, Number.NaN],
    parquet: [-0.5, Infinity, Number.NaN],
  },
  {
    type: BOOL,
    items: Uint8Array.of(0, 1, 1, 0),
    json: ['false', 'true', 'true'],
    arrow: [false, true, true],
    parquet: [false, true, true],
  },
  {
    type: TIME,
    items: BigInt64Array.of(-1_000_000n, 1_000_000n, 983_750_400_000_000n, 0n),
    json: ['1969-12-31T23:59:59Z', '1970-01-01T00:00:01Z', '2001-03-05T00:00:00Z'],
    arrow: [-1000, 1000, 983_750_400_000],
    parquet: [new Date(-1000), new Date(1000), new Date(983_750_400_000)],
  },
];

const SHAPES = KEYS.map(({ type }) => ({ name: type.kind, type: mapOf(type), isRequired: false }));

function batch(): FrameBatch {
  const columns = KEYS.map(({ type, items }) => ({
    name: type.kind,
    type: mapOf(type),
    values: { offsets: OFFSETS, items, itemNulls: new Uint8Array(4), mapped: MAPPED },
    nulls: NULLS,
  }));
  return { count: 4, columns };
}

/** Entries of the four rows, of which no key is there twice. */
function rowsOf<T>(keys: T[]): ([T, bigint][] | null)[] {
  return [
    [
      [keys[0]!, 5n],
      [keys[1]!, -1n],
    ],
    null,
    [],
    [[keys[2]!, 9007199254740993n]],
  ];
}

describe.each(KEYS)('keys of type $type.kind', ({ type, json, arrow, parquet }) => {
  test('in Arrow', () => {
    const frame = new ArrowFrame(SHAPES);
    const table = tableFromIPC(Buffer.concat([...frame.batch(batch()), ...frame.end()]));
    const vector = table.getChild(type.kind)!;
    expect(String(vector.type)).toStartWith('Map<');
    const found = Array.from({ length: 4 }, (_, i) => {
      const map = vector.get(i) as Iterable<[unknown, bigint]> | null;
      return map && [...map];
    });
    expect(found).toEqual(rowsOf(arrow) as never);
  });

  test('in Parquet', async () => {
    const frame = new ParquetFrame(SHAPES);
    const bytes = Buffer.concat([...frame.batch(batch()), ...frame.end()]);
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const rows = await parquetReadObjects({ file });
    // hyparquet makes an object of a map, and of none undefined.
    const wanted = rowsOf(parquet).map(
      row => row && Object.fromEntries(row.map(([key, value]) => [String(key), value])),
    );
    expect(rows.map(row => row[type.kind] ?? null)).toEqual(wanted);
  });

  test('in NDJSON', () => {
    const lines = new TextDecoder().decode(batchLines(batch())).trim().split('\n');
    const digits = (_: string, value: unknown, { source }: { source?: string } = {}) =>
      typeof value === 'number' ? BigInt(source!) : value;
    const found = lines.map(line => JSON.parse(line, digits as never)[type.kind]);
    expect(found).toEqual(rowsOf(json).map(row => row && Object.fromEntries(row)));
  });
});

test('in the table of a lookup', () => {
  const values = '[{"AA":3,"UA":2},{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6},{},null]';
  const text = `{"time":"t","position":1,"entities":{"k":{"keys":["a","b","c","d"],"features":{"s:m":{"values":${values}}}}}}`;
  expect(answerTable(text).split('\n')[1]!.replace(/ +/g, ' ')).toBe(
    's:m {AA: 3, UA: 2} {a: 1, b: 2, c: 3, d: 4, e: 5, ... 1 more} {} -',
  );
});
