/** Parquet as pyarrow, Polars, pandas and DuckDB read it, and exported tiles as DuckDB makes them of the same log. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { frameMaker } from '../../src/cli/frame/frame_file.ts';
import type { FrameBatch, FrameColumn, FrameShape, FrameType } from '../../src/cli/frame/frame.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, TIME, type Type } from '../../src/plan/value.ts';
import { BYTES } from '../../src/read/tiles.ts';
import { body, tame, weekLines } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const python = pythonOrSkip('Parquet = pyarrow, Polars, pandas, DuckDB');

/** What scripts/python/check_parquet.py writes. */
interface Checked {
  rows: number;
  types: Record<string, string>;
  required: string[];
  about: { parquet: Record<string, string>; arrow: Record<string, string> };
  groups: number[];
  compared: Record<string, number>;
  differences: string[];
}

let folder = '';
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tilefold-parquet-'));
});

afterAll(() => rm(folder, { recursive: true }));

function said<Said>(...words: string[]): Said {
  return JSON.parse(new TextDecoder().decode(runPython(python!, words))) as Said;
}

function run(...words: string[]): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, 'src/main.ts', ...words], { cwd: ROOT });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

const SCALARS: [string, Type][] = [
  ['int64', INT64],
  ['double', DOUBLE],
  ['bool', BOOL],
  ['string', STRING],
  ['time', TIME],
];

const SHAPES: FrameShape[] = [
  ...SCALARS.map(([name, type]) => ({ name: `${name}_required`, type, isRequired: true })),
  ...SCALARS.map(([name, type]) => ({ name, type, isRequired: false })),
  ...SCALARS.map(([name, type]) => ({ name: `${name}_list`, type: listOf(type), isRequired: false })),
  { name: 'bytes', type: BYTES, isRequired: false },
];

function listOf(type: Type): Type {
  return { kind: 'list', of: { type, presence: REQUIRED } };
}

const DOUBLES = [0, -0, 1 / 3, Number.NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE];
const TEXTS = ['', 'a', 'heiß', '\ufeffmark', '\u{1f600}', 'x'.repeat(40), '\0'];
const INT64S = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 9007199254740993n];
/** Years that Python has: 1 to 9999. */
const TIMES = [0n, -1n, 253402300799999999n, -62135596800000000n, 1709300000123456n];

function scalars(random: Random, type: Type, count: number) {
  const pick = <T>(from: readonly T[]) => Array.from({ length: count }, () => random.pick(from));
  switch (type.kind) {
    case 'double':
      return Float64Array.from(pick(DOUBLES));
    case 'bool':
      return Uint8Array.from(pick([0, 1]));
    case 'string':
      return pick(TEXTS);
    case 'time':
      return BigInt64Array.from(pick(TIMES));
    default:
      return BigInt64Array.from(pick(INT64S));
  }
}

function nullsOf(random: Random, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => Number(random.chance(0.3)));
}

function valuesOf(random: Random, type: FrameType, count: number): FrameColumn['values'] {
  if (type.kind === 'bytes')
    return Array.from({ length: count }, () => Uint8Array.from({ length: random.below(5) }, () => random.below(256)));
  if (type.kind !== 'list') return scalars(random, type, count);
  const offsets = new Uint32Array(count + 1);
  for (let row = 0; row < count; row++) offsets[row + 1] = offsets[row]! + random.below(4);
  const items = offsets[count]!;
  return { offsets, items: scalars(random, type.of.type, items), itemNulls: nullsOf(random, items) };
}

function batchOf(random: Random, count: number): FrameBatch {
  const columns = SHAPES.map(({ name, type, isRequired }) => {
    const nulls = isRequired ? new Uint8Array(count) : nullsOf(random, count);
    return { name, type, values: valuesOf(random, type, count), nulls };
  });
  return { count, columns };
}

async function write(out: string, batches: FrameBatch[], shapes = SHAPES): Promise<void> {
  const frame = (await frameMaker(out))(shapes, { 'tilefold.position': '41' });
  const chunks = batches.flatMap(batch => frame.batch(batch).map(chunk => chunk.slice()));
  await Bun.write(out, Buffer.concat([...chunks, ...frame.end()]));
}

function numbers(count: number): FrameColumn {
  return { name: 'n', type: INT64, values: new BigInt64Array(count), nulls: new Uint8Array(count) };
}

function numberLists(count: number, length: number): FrameColumn {
  const offsets = Uint32Array.from({ length: count + 1 }, (_, row) => row * length);
  const { values: items, nulls: itemNulls } = numbers(count * length);
  const values = { offsets, items: items as BigInt64Array, itemNulls };
  return { name: 'n', type: listOf(INT64), values, nulls: new Uint8Array(count) };
}

function check(): Checked {
  return said<Checked>('scripts/python/check_parquet.py', file('out.parquet'), file('out.arrow'));
}

describe.skipIf(python === null)('Parquet', () => {
  test.each([1, 2, 3])('says what Arrow says, seed %d', async seed => {
    const random = new Random(seed);
    const batches = Array.from({ length: 6 }, () => batchOf(random, 1 + random.below(300)));
    for (const name of ['out.parquet', 'out.arrow']) await write(file(name), batches);
    const { differences, rows, compared, types, required, about } = check();
    expect(differences).toEqual([]);
    const count = batches.reduce((sum, batch) => sum + batch.count, 0);
    expect(rows).toBe(count);
    const all = count * SHAPES.length;
    expect(compared).toEqual({ pyarrow: all, polars: all, pandas: all, duckdb: all });
    expect(types).toMatchObject({
      ...{ int64: 'int64', double: 'double', bool: 'bool', string: 'string', time: 'timestamp[us, tz=UTC]' },
      ...{ string_list: 'list<element: string>', time_list: 'list<element: timestamp[us, tz=UTC]>', bytes: 'binary' },
    });
    expect(required).toEqual(SCALARS.map(([name]) => `${name}_required`));
    expect(about.parquet).toMatchObject({ 'tilefold.position': '41' });
    expect(about.arrow).toEqual({ 'tilefold.position': '41' });
  });

  test('without a row it is a file with columns', async () => {
    for (const name of ['out.parquet', 'out.arrow']) await write(file(name), []);
    const { differences, rows, types } = check();
    expect(differences).toEqual([]);
    expect(rows).toBe(0);
    expect(Object.keys(types)).toEqual(SHAPES.map(({ name }) => name));
  });

  test('row groups are bounded by their rows, and by their values', async () => {
    const rows = (count: number) => ({ count, columns: [numbers(count)] });
    const groups = async (shapes: FrameShape[], batches: FrameBatch[]) => {
      await write(file('out.parquet'), batches, shapes);
      return said<number[]>('scripts/python/check_parquet.py', file('out.parquet'));
    };
    const numbered = [{ name: 'n', type: INT64, isRequired: true }];
    expect(await groups(numbered, [rows(60_000), rows(6_000), rows(70_000)])).toEqual([65_536, 65_536, 4_928]);
    const lists = Array.from({ length: 6 }, () => ({ count: 250, columns: [numberLists(250, 1_000)] }));
    const listed = [{ name: 'n', type: listOf(INT64), isRequired: false }];
    // 250,250 values a batch, so that the fifth is the first that passes 2^20.
    expect(await groups(listed, lists)).toEqual([1_250, 250]);
  });

  test('a replay is the same in both', async () => {
    const lines = (await weekLines()).filter((_, i) => i % 60 === 0);
    await Bun.write(file('flights.ndjson'), body(tame(lines)));
    for (const out of ['out.parquet', 'out.arrow']) {
      const words = ['--features', 'examples/flights', '--log', file('flights.ndjson'), '--out', file(out)];
      expect(run('replay', ...words)).toMatchObject({ code: 0 });
    }
    const { differences, rows, required } = check();
    expect(differences).toEqual([]);
    expect(rows).toBe(lines.length);
    expect(required).toEqual(['_position', '_type', '_time']);
  });
});

describe.skipIf(python === null)('tiles', () => {
  test('are what DuckDB makes of the log', async () => {
    await cp(join(ROOT, 'examples/flights/features'), file('features'), { recursive: true });
    await Bun.write(file('tilefold.yaml'), 'log: { clock: event }\ndefinitions: features\n');
    const lines = (await weekLines()).filter((_, i) => i % 60 === 0);
    await Bun.write(file('flights.ndjson'), body(tame(lines)));
    expect(run('--config', file('tilefold.yaml'), 'ingest', file('flights.ndjson'))).toMatchObject({ code: 0 });
    for (const out of ['out.parquet', 'out.arrow']) {
      const { code, out: text } = run('--config', file('tilefold.yaml'), 'tiles', '--out', file(out), '--json');
      expect([code, JSON.parse(text)]).toMatchObject([0, { position: lines.length - 1 }]);
    }
    expect(check().differences).toEqual([]);
    const checked = said<{ rows: number; compared: Record<string, number>; gone: number; differences: string[] }>(
      ...['scripts/python/check_tiles.py', file('out.parquet'), file('flights.ndjson')],
    );
    expect(checked.differences).toEqual([]);
    expect(Object.keys(checked.compared).length).toBe(3 * 4);
    for (const count of Object.values(checked.compared)) expect(count).toBeGreaterThan(0);
    expect(Object.values(checked.compared).reduce((sum, count) => sum + count, 0)).toBe(checked.rows);
  });
});
