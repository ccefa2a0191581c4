import { expect, test } from 'bun:test';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { buildDescriptors, pythonOrSkip, runPython } from '../../scripts/python.ts';
import { FeaturesCombinedCompatibleSchema, type MapFieldEntrySchema } from '../../src/gen/tilefold/v1/row_pb.ts';

const python = pythonOrSkip("rows = Google's protobuf");

type Entry = MessageInitShape<typeof MapFieldEntrySchema>;

function row(...features: Entry[]): Uint8Array {
  return toBinary(FeaturesCombinedCompatibleSchema, create(FeaturesCombinedCompatibleSchema, { features }));
}

/** Each row after its length, as scripts/python/read_rows.py reads them. */
function read(rows: Uint8Array[]): unknown[] {
  const parts = rows.flatMap(bytes => [new Uint8Array(Uint32Array.of(bytes.length).buffer), bytes]);
  const output = runPython(
    python!,
    ['scripts/python/read_rows.py', buildDescriptors()],
    new Uint8Array(Buffer.concat(parts)),
  );
  return new TextDecoder()
    .decode(output)
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

test.skipIf(python === null)('a row is read as all three messages', () => {
  const low = 2n ** 64n - 1n;
  const read_ = read([
    row(
      { key: 1, value: { state: { case: 'count', value: 0n } } },
      { key: 7, value: { state: { case: 'sum', value: { low, high: -1n } } } },
      { key: 200, value: { state: { case: 'min', value: {} } } },
    ),
    new Uint8Array(0),
    row(
      { key: 3, value: { state: { case: 'mean', value: { sum: { narrow: -5n }, count: 4n } } } },
      { key: 4, value: { state: { case: 'max', value: { value: { case: 'integer', value: 0n } } } } },
    ),
  ]);
  expect(read_).toEqual([
    {
      combined: { '1': { count: 0 }, '7': { sum: -1 }, '200': { min: null } },
      compatible: [
        [1, { count: 0 }],
        [7, { sum: -1 }],
        [200, { min: null }],
      ],
      lazy: ['080112020800', '08071214121211ffffffffffffffff19ffffffffffffffff', '08c80112022200'],
    },
    { combined: {}, compatible: [], lazy: [] },
    {
      combined: { '3': { mean: { sum: -5, count: 4 } }, '4': { max: 0 } },
      compatible: [
        [3, { mean: { sum: -5, count: 4 } }],
        [4, { max: 0 }],
      ],
      lazy: ['080312081a060a0208091008', '080412042a020800'],
    },
  ]);
});

test.skipIf(python === null)('two entries of one id are refused: a map would keep the last', () => {
  const twice: Entry = { key: 1, value: { state: { case: 'count', value: 1n } } };
  expect(() => read([row(twice, twice)])).toThrow('written again as a map');
});
