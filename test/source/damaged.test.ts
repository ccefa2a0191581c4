/** Files of rows that something has happened to: what of them can be read is, and else a fault says which file it is; nothing hangs. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { Fault } from '../../src/base/fault.ts';
import { csvBlocks } from '../../src/source/csv.ts';
import { parquetBlocks } from '../../src/source/parquet.ts';
import type { Block } from '../../src/source/source.ts';
import { Random } from '../sim/random.ts';
import { LONG, seeds } from '../seeds.ts';

const SEEDS = seeds(2, 100);
const ROUNDS = 60;

/** Many times what a file of these sizes takes. */
const FILE_MAX_MS = 10_000;

const NAMES = { type: 'flight', id: 'id', time: 'at' };

const COUNT = 40;

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'damaged-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Some bytes from `first` on changed, moved, left out or doubled. */
function damaged(bytes: Uint8Array, first: number, rng: Random): Uint8Array {
  let out = [...bytes];
  for (let edits = 1 + rng.below(4); edits > 0; edits--) {
    const at = Math.min(out.length - 1, first + rng.below(bytes.length - first));
    switch (rng.below(6)) {
      case 0:
        out = out.slice(0, at);
        break;
      case 1:
        out.splice(at, 1 + rng.below(16));
        break;
      case 2:
        out.splice(at, 0, ...out.slice(at, at + 1 + rng.below(64)));
        break;
      case 3:
        out[at] = rng.pick([0, 1, 0x7f, 0x80, 0xff]);
        break;
      default:
        out[at] = out[at]! ^ (1 << rng.below(8));
    }
    if (out.length === 0) out = [rng.below(256)];
  }
  return new Uint8Array(out);
}

/** Where what a Parquet file says of itself begins: its length stands before the last four bytes. */
function footerOf(bytes: Uint8Array): number {
  return bytes.length - 8 - new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
}

/** Some bytes of the pages of a Parquet file changed, and none moved; often to what makes numbers long. */
function damagedPages(bytes: Uint8Array, rng: Random): Uint8Array {
  const out = bytes.slice();
  for (let edits = 1 + rng.below(3); edits > 0; edits--) {
    const length = rng.pick([1, 1, 5]);
    const at = rng.below(footerOf(bytes) - length);
    for (let i = at; i < at + length; i++)
      out[i] = rng.chance(0.5) ? rng.pick([0, 1, 0x0f, 0x7f, 0x80, 0xff]) : out[i]! ^ (1 << rng.below(8));
  }
  return out;
}

function csvText(): string {
  const lines = Array.from(
    { length: COUNT },
    (_, i) => `${i},2001-03-11T07:00:${10 + i}Z,"A ""${i}""\nb",${i / 4},true`,
  );
  return `id,at,name,x,ok\n${lines.join('\n')}\n`;
}

function parquetBytes(): Uint8Array {
  const column = <T>(of: (i: number) => T) => Array.from({ length: COUNT }, (_, i) => of(i));
  const columnData = [
    { name: 'id', data: column(i => `${i}`), type: 'STRING' as const },
    { name: 'at', data: column(i => new Date(984_294_000_000 + i)), type: 'TIMESTAMP' as const },
    { name: 'name', data: column(i => (i % 5 === 0 ? null : `A${i % 3}`)), type: 'STRING' as const },
    { name: 'x', data: column(i => i / 4), type: 'DOUBLE' as const },
    { name: 'n', data: column(i => BigInt(i) << 40n), type: 'INT64' as const },
    { name: 'ok', data: column(i => i % 2 === 0), type: 'BOOLEAN' as const },
  ];
  return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 16 }));
}

const FILES: [name: string, whole: () => Uint8Array, read: (file: string) => AsyncGenerator<Block>][] = [
  ['flights.csv', () => new TextEncoder().encode(csvText()), file => csvBlocks(file, NAMES)],
  ['flights.csv.gz', () => gzipSync(csvText()), file => csvBlocks(file, NAMES)],
  ['flights.csv.zst', () => Bun.zstdCompressSync(csvText()), file => csvBlocks(file, NAMES)],
  ['flights.parquet', parquetBytes, file => parquetBlocks(file, NAMES)],
];

/** How many rows a file has, where it can be read; a row is a line of JSON. */
async function rowsOf(blocks: AsyncGenerator<Block>): Promise<number | Fault> {
  let count = 0;
  try {
    for await (const { bytes } of blocks)
      for (const line of new TextDecoder().decode(bytes).trimEnd().split('\n')) {
        JSON.parse(line);
        count++;
      }
    return count;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

test.each(FILES)('%s, whole', async (name, whole, read) => {
  const file = join(folder, name);
  writeFileSync(file, whole());
  expect(await rowsOf(read(file))).toBe(COUNT);
});

for (const seed of SEEDS)
  test.each(FILES)(
    `%s, damaged, seed ${seed}`,
    async (name, whole, read) => {
      const rng = new Random(seed);
      const file = join(folder, name);
      const bytes = whole();
      let refused = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const wrong = damaged(bytes, name.endsWith('.parquet') ? footerOf(bytes) : 0, rng);
        writeFileSync(file, wrong);
        const startMs = performance.now();
        const outcome = await rowsOf(read(file)).catch(error => {
          throw new Error(`seed ${seed}, round ${round}: ${error.stack}`);
        });
        if (outcome instanceof Fault) {
          expect(outcome.message).toContain(file);
          refused++;
        }
        // A file of a few kilobytes that takes seconds says how long to take.
        if (performance.now() - startMs > FILE_MAX_MS) throw new Error(`seed ${seed}, round ${round}: it hangs`);
      }
      expect(refused).toBeGreaterThan(ROUNDS / 10);
    },
    ROUNDS * FILE_MAX_MS,
  );

const python = pythonOrSkip('damaged Parquet files of pyarrow and DuckDB');

test.skipIf(python === null)(
  'pages of Parquet files as pyarrow and DuckDB write them, damaged',
  async () => {
    const said = new TextDecoder().decode(runPython(python!, ['scripts/python/write_parquet.py', folder]));
    const { rows, files } = JSON.parse(said) as { rows: number; files: string[] };
    const rounds = LONG ? 1000 : 10;
    let refused = 0;
    for (const [i, name] of files.entries()) {
      const file = join(folder, name);
      expect([name, await rowsOf(parquetBlocks(file, NAMES))]).toEqual([name, rows]);
      const bytes = new Uint8Array(readFileSync(file));
      for (let round = 0; round < rounds; round++) {
        writeFileSync(file, damagedPages(bytes, new Random(1000 * i + round)));
        const startMs = performance.now();
        const outcome = await rowsOf(parquetBlocks(file, NAMES)).catch(error => {
          throw new Error(`${name}, round ${round}: ${error.stack}`);
        });
        if (performance.now() - startMs > FILE_MAX_MS) throw new Error(`${name}, round ${round}: it hangs`);
        if (!(outcome instanceof Fault)) continue;
        expect(outcome.message).toMatch(/row group \d+, column \w+ cannot be read as Parquet: ./);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan((rounds * files.length) / 10);
  },
  3_600_000,
);
