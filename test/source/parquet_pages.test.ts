/** What pages say of themselves that is not so: each is told before it takes memory or time. */
import { expect, test } from 'bun:test';
import { type Chunk, checkPages } from '../../src/source/parquet_pages.ts';

const ROWS = 9;

/** A field of a header, in Thrift's compact writing: an int, or fields within. */
type Field = [id: number, value: number | Field[]];

function struct(fields: Field[]): number[] {
  let last = 0;
  const bytes = fields.flatMap(([id, value]) => {
    const step = (id - last) << 4;
    last = id;
    return typeof value === 'number'
      ? [step | 5, ...varint(((value << 1) ^ (value >> 31)) >>> 0)]
      : [step | 12, ...struct(value)];
  });
  return [...bytes, 0];
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [0x80 | (value & 0x7f), ...varint(Math.floor(value / 128))];
}

const PLAIN = 0;
const KEYS = 8;
const DELTA = 5;
const DATA = 0;
const DATA_2 = 3;

function page(
  values: number[],
  count: number,
  encoding: number,
  { size = values.length, crc = null as number | null } = {},
) {
  const about: Field[] = [
    [1, count],
    [2, encoding],
    [3, 3],
    [4, 3],
  ];
  const check: Field[] = crc === null ? [] : [[4, crc]];
  return [...struct([[1, DATA], [2, values.length], [3, size], ...check, [5, about]]), ...values];
}

function page2(
  values: number[],
  about: { count?: number; nulls?: number; rows?: number; defines?: number; size?: number },
) {
  const { count = ROWS, nulls = 0, rows = ROWS, defines = 0, size = values.length } = about;
  const more: Field[] = [
    [1, count],
    [2, nulls],
    [3, rows],
    [4, PLAIN],
    [5, defines],
    [6, 0],
  ];
  return [
    ...struct([
      [1, DATA_2],
      [2, values.length],
      [3, size],
      [8, more],
    ]),
    ...values,
  ];
}

/** Runs with their length before them. */
function measured(runs: number[]): number[] {
  return [runs.length, 0, 0, 0, ...runs];
}

function checked(bytes: number[], { isOptional = false, values = ROWS } = {}) {
  const chunk = {
    ...{ rows: ROWS, start: 100, meta: { type: 'INT32', codec: 'UNCOMPRESSED', num_values: BigInt(values) } },
    schemaPath: ['REQUIRED', isOptional ? 'OPTIONAL' : 'REQUIRED'].map(repetition_type => ({
      ...{ element: { repetition_type }, children: [] },
    })),
  } as unknown as Chunk;
  checkPages(new Uint8Array(bytes), chunk, {});
}

const WORDS = Array.from({ length: 4 * ROWS }, (_, i) => i);
const NULLS = [2 * ROWS, 0];

test('pages that are what they say are left alone', () => {
  checked(page(WORDS, ROWS, PLAIN));
  checked(page(WORDS, ROWS, PLAIN, { crc: Bun.hash.crc32(new Uint8Array(WORDS)) | 0 }));
  checked([...page(WORDS, 4, PLAIN), ...page(WORDS, 5, PLAIN)]);
  checked(page(measured(NULLS), ROWS, PLAIN), { isOptional: true });
  // Groups of eight, filled up.
  checked(page([2, 5, 0xe4, 0xe4, 0xe4, 0xe4], ROWS, KEYS));
  checked(page([...varint(128), 4, ...varint(ROWS), 2], ROWS, DELTA));
  checked(page2(WORDS, {}));
  checked(page2([...NULLS], { nulls: ROWS, defines: NULLS.length }), { isOptional: true });
});

const WRONG: [string, () => void, string][] = [
  [
    'a size that leads back',
    () => checked(page2(WORDS, { size: -20 })),
    'the page at byte 100: it says that it has -20 bytes',
  ],
  ['no values, for ever', () => checked(page2([], { count: 0, rows: 0 })), 'its pages end with 9 of 9 values missing'],
  [
    'a page beyond the end',
    () => checked(page(WORDS, ROWS, PLAIN, { size: 37 })),
    'has 37 bytes, and there is room for 36',
  ],
  ['more values than the column', () => checked(page(WORDS, 10, PLAIN)), 'has 10 values, and there is room for 9'],
  ['more nulls than values', () => checked(page2(WORDS, { nulls: 10 })), 'has 10 nulls'],
  ['less than no rows', () => checked(page2(WORDS, { rows: -1 })), 'has -1 rows'],
  ['levels beyond the page', () => checked(page2(WORDS, { defines: 37 })), 'has 37 bytes of levels'],
  ['fewer values than the column', () => checked(page(WORDS, 8, PLAIN)), 'its pages end with 1 of 9 values missing'],
  [
    'other values than rows',
    () => checked(page(WORDS, ROWS, PLAIN), { values: 8 }),
    'it says that it has 8 values of 9 rows',
  ],
  ['other bytes', () => checked(page(WORDS, ROWS, PLAIN, { crc: 7 })), 'its checksum is not that of its bytes'],
  [
    'a run of levels without end',
    () => checked(page(measured([...varint(0xfffffffe), 1]), ROWS, PLAIN), { isOptional: true }),
    'it has 9 values, and a run of 2147483647',
  ],
  // Eight times as many as it says is less than none in 32 bits.
  ['groups without end', () => checked(page([2, ...varint(0x20000001)], ROWS, KEYS)), 'a run of 2147483648'],
  [
    'a run of version 2',
    () => checked(page2([...varint(2000), 1], { defines: 3 }), { isOptional: true }),
    'a run of 1000',
  ],
  ['groups of none before it', () => checked(page([2, 1, 0, ...varint(2000), 1], ROWS, KEYS)), 'a run of 1000'],
  [
    'levels of some values',
    () => checked(page2([16, 0, 0xfe, 0xff, 0xff, 0x0f], { defines: 2 }), { isOptional: true }),
    'runs end with 1 of 9',
  ],
  ['a number without end', () => checked(page([2, 255, 255, 255, 255, 255, 255], ROWS, KEYS)), 'does not end'],
  [
    'blocks of no parts',
    () => checked(page([...varint(128), 0, 9, 2], ROWS, DELTA)),
    'blocks of 128 values in 0 parts',
  ],
  ['a way that there is not', () => checked(page(WORDS, ROWS, 77)), 'written in no known way'],
  ['lengths of levels cut off', () => checked(page([1, 0], ROWS, PLAIN), { isOptional: true }), 'ends where its runs'],
];

test.each(WRONG)('%s', (_, check, wanted) => {
  expect(check).toThrow(wanted);
});
