import { expect, test } from 'bun:test';
import { tableFromIPC, type Vector } from 'apache-arrow';
import { ArrowFrame } from '../../src/cli/frame/arrow.ts';
import { batchLines } from '../../src/cli/frame/lines.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, TIME, type Type } from '../../src/plan/value.ts';
import { type FeatureColumn, isList, type ListValues } from '../../src/kernel/feature_column.ts';
import type { ReplayBatch } from '../../src/replay/replay.ts';
import { replayFrame, replayShapes } from '../../src/cli/frame/frame.ts';

const FEATURES = [
  { name: 'set:count', type: INT64 },
  { name: 'set:mean', type: DOUBLE },
  { name: 'set:late', type: BOOL },
  { name: 'set:since', type: TIME },
  { name: 'set:heat', type: STRING },
  { name: 'set:delays', type: listOf(INT64) },
  { name: 'set:gates', type: listOf(STRING) },
];

function listOf(type: Type): Type {
  return { kind: 'list', of: { type, presence: REQUIRED } };
}

/** Row i has i % 4 items, the second of them null; behind the last there is room. */
function lists(index: number[]): ListValues[] {
  const offsets = new Uint32Array(index.length + 1);
  for (const [row, i] of index.entries()) offsets[row + 1] = offsets[row]! + (i % 4);
  const all = index.flatMap(i => Array.from({ length: i % 4 }, (_, k) => BigInt(i * 10 + k)));
  const itemNulls = Uint8Array.from([...all.map(item => Number(item % 10n === 1n)), 0]);
  return [
    { offsets, items: BigInt64Array.from([...all, 99n]), itemNulls },
    { offsets, items: all.map(item => `gäte ${item}`), itemNulls },
  ];
}

function listAt(i: number): (number | null)[] | null {
  return i % 3 === 2 ? null : Array.from({ length: i % 4 }, (_, k) => (k === 1 ? null : i * 10 + k));
}

/** `count` rows from `position` on; every third value of every column is null, with rubbish under it. */
function batch(position: number, count: number): ReplayBatch {
  const index = Array.from({ length: count }, (_, i) => position + i);
  const nulls = Uint8Array.from(index, i => Number(i % 3 === 2));
  const statuses = new Uint8Array(count);
  const values: FeatureColumn['values'][] = [
    BigInt64Array.from(index, i => 9007199254740993n * BigInt(i)),
    Float64Array.from(index, i => i / 3),
    Uint8Array.from(index, i => i % 2),
    BigInt64Array.from(index, i => BigInt(i) - 1n),
    index.map(i => (i % 2 ? 'heiß' : 'kalt')),
    ...lists(index),
  ];
  return {
    count,
    positions: BigInt64Array.from(index, BigInt),
    timesMicros: BigInt64Array.from(index, i => BigInt(i) * 1_000_001n),
    types: index.map(i => (i % 4 === 1 ? 'flüg' : 'flight')),
    columns: FEATURES.map((feature, i) => ({ ...feature, values: values[i]!, nulls, statuses })),
    errors: [],
  };
}

const SHAPES = replayShapes(FEATURES);

function joined(chunks: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

test('an Arrow file of several batches says what went in', () => {
  const frame = new ArrowFrame(SHAPES);
  const chunks: Uint8Array[] = [];
  const batches = [batch(0, 9), batch(9, 1), batch(10, 70)];
  for (const each of batches) {
    // As a kernel's memory would be: overwritten once the batch is written.
    for (const chunk of frame.batch(replayFrame(each))) chunks.push(chunk.slice());
    for (const { values } of each.columns)
      if (!isList(values) && !Array.isArray(values)) new Uint8Array(values.buffer).fill(0xff);
  }
  chunks.push(...frame.end());
  const table = tableFromIPC(joined(chunks));

  expect(table.schema.fields.map(field => `${field.name}: ${field.type}`)).toEqual([
    '_position: Int64',
    '_type: Utf8',
    '_time: Timestamp<MICROSECOND, UTC>',
    'set:count: Int64',
    'set:mean: Float64',
    'set:late: Bool',
    'set:since: Timestamp<MICROSECOND, UTC>',
    'set:heat: Utf8',
    'set:delays: List<Int64>',
    'set:gates: List<Utf8>',
  ]);
  expect(table.batches.map(each => each.numRows)).toEqual([9, 1, 70]);
  const micros = (column: Vector, i: number) => column.data.flatMap(data => [...data.values])[i];
  for (let i = 0; i < 80; i++) {
    expect(table.getChild('_position')!.get(i)).toBe(BigInt(i));
    expect(table.getChild('_type')!.get(i)).toBe(i % 4 === 1 ? 'flüg' : 'flight');
    expect(micros(table.getChild('_time')!, i)).toBe(BigInt(i) * 1_000_001n);
    const missing = i % 3 === 2;
    expect(table.getChild('set:count')!.get(i)).toBe(missing ? null : 9007199254740993n * BigInt(i));
    expect(table.getChild('set:mean')!.get(i)).toBe(missing ? null : i / 3);
    expect(table.getChild('set:late')!.get(i)).toBe(missing ? null : i % 2 === 1);
    expect(table.getChild('set:since')!.get(i) === null).toBe(missing);
    expect(table.getChild('set:heat')!.get(i)).toBe(missing ? null : i % 2 ? 'heiß' : 'kalt');
    const [delays, gates] = ['set:delays', 'set:gates'].map(name => table.getChild(name)!.get(i)?.toJSON() ?? null);
    expect(delays).toEqual(listAt(i)?.map(item => (item === null ? null : BigInt(item))) ?? null);
    expect(gates).toEqual(listAt(i)?.map(item => (item === null ? null : `gäte ${item}`)) ?? null);
  }
});

test('a frame without a batch is a file with columns and no rows', () => {
  const table = tableFromIPC(joined(new ArrowFrame(SHAPES).end()));
  expect(table.numRows).toBe(0);
  expect(table.schema.fields.length).toBe(3 + FEATURES.length);
});

test('a batch with other columns is our bug', () => {
  expect(() => new ArrowFrame(SHAPES.slice(1)).batch(replayFrame(batch(0, 1)))).toThrow('other columns');
});

test('lines say the same', () => {
  const lines = new TextDecoder().decode(batchLines(replayFrame(batch(1, 2)))).split('\n');
  expect(lines).toEqual([
    '{"_position":1,"_type":"flüg","_time":"1970-01-01T00:00:01.000001Z","set:count":9007199254740993,' +
      '"set:mean":0.3333333333333333,"set:late":true,"set:since":"1970-01-01T00:00:00Z","set:heat":"heiß",' +
      '"set:delays":[10],"set:gates":["gäte 10"]}',
    '{"_position":2,"_type":"flight","_time":"1970-01-01T00:00:02.000002Z","set:count":null,' +
      '"set:mean":null,"set:late":null,"set:since":null,"set:heat":null,"set:delays":null,"set:gates":null}',
    '',
  ]);
});
