import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { FeatureValueSchema } from '../../src/gen/tilefold/v1/row_pb.ts';

/** Each test starts programs of its own. */
setDefaultTimeout(30_000);

const MAIN = join(import.meta.dir, '../../src/main.ts');

const DEFINITIONS = `
events:
  sale: { shop: string, till: int64, at: time, cents: { type: int64, optional: true } }
entities:
  shop: string
  till: [string, int64, time]
---
feature_set: shops
entity: shop
source: sale
windows: [1h, lifetime]
tiles: [1m, 30m]
sql: |
  SELECT shop, COUNT(*) AS n, AVG(cents) AS mean, SUM(cents) AS cents, MIN(cents) AS least, LAST_N(cents, 2) AS last
  FROM sale GROUP BY shop
---
feature_set: big
entity: shop
source: sale
windows: [lifetime]
sql: SELECT shop, COUNT(*) AS n FROM sale WHERE cents > 200 GROUP BY shop
---
feature_set: tills
entity: till
source: sale
windows: [lifetime]
sql: SELECT shop, till, at, SUM(cents) AS cents FROM sale GROUP BY shop, till, at
`;

const BOM = '\ufeff';
const MOST = '9223372036854775807';
const sale = (time: string, shop: string, till: string, cents: string) =>
  `{"type":"sale","time":"2024-05-01T${time}Z","data":{"shop":"${shop}","till":${till},"at":"2024-05-01T00:00:00.000001Z","cents":${cents}}}\n`;
const SALES = [
  sale('10:00:00', 'north', '1', '250'),
  sale('10:00:30', 'north', MOST, '101'),
  sale('10:31:00', 'north', '1', 'null'),
  sale('10:31:00', `${BOM}south`, '-3', MOST),
  sale('10:31:01', `${BOM}south`, '-3', '1'),
].join('');

let root = '';
let folder = '';
const ran: Bun.Subprocess[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-tiles-'));
  folder = await folderWith('log: { clock: event }\ndefinitions: features\nfold: { workers: 0 }\n');
  expect((await run('ingest', 'sales.ndjson')).code).toBe(0);
});

afterAll(async () => {
  for (const each of ran) each.kill('SIGKILL');
  await rm(root, { recursive: true });
});

async function folderWith(config: string): Promise<string> {
  const made = await mkdtemp(join(root, 'data-'));
  await mkdir(join(made, 'features'));
  const all = { 'tilefold.yaml': config, 'features/sales.yaml': DEFINITIONS, 'sales.ndjson': SALES };
  for (const [name, text] of Object.entries(all)) await writeFile(join(made, name), text);
  return made;
}

async function run(...words: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  ran.push(child);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

/** Integers as their digits: some are beyond 2^53. */
function parse(text: string): unknown[] {
  const digits = (_name: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? context!.source : value;
  return text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line, digits));
}

async function tiles(...words: string[]): Promise<unknown[]> {
  const said = await run('tiles', '--out', 'out.ndjson', '--json', ...words);
  expect([said.code, said.err]).toEqual([0, '']);
  const rows = parse(await Bun.file(join(folder, 'out.ndjson')).text());
  expect(JSON.parse(said.out)).toEqual({ rows: rows.length, position: 4, out: 'out.ndjson' });
  return rows;
}

test('of one entity, every level: keys, starts, values, and null where the tile has none', async () => {
  const tile = (key: string, level: string, start: string | null, values: unknown[]) => {
    const names = ['shops:n', 'shops:mean', 'shops:cents', 'shops:least', 'shops:last', 'big:n'];
    const pairs = names.map((name, i) => [name, values[i]]);
    return { _entity: 'shop', _key_1: key, _level: level, _tile_start: start, ...Object.fromEntries(pairs) };
  };
  const first = ['2', '175.5', '351', '101', ['101', '250'], null];
  const none = ['1', null, '0', null, [], null];
  // The sum is beyond int64, and so null; the mean is not.
  const beyond = ['2', '4611686018427388000', null, '1', ['1', MOST], null];
  expect(await tiles('--entity', 'shop')).toEqual([
    tile('north', 'lifetime', null, ['3', '175.5', '351', '101', ['101', '250'], '1']),
    tile('north', '1m', '2024-05-01T10:00:00Z', first),
    tile('north', '1m', '2024-05-01T10:31:00Z', none),
    tile('north', '30m', '2024-05-01T10:00:00Z', first),
    tile('north', '30m', '2024-05-01T10:30:00Z', none),
    tile(`${BOM}south`, 'lifetime', null, [...beyond.slice(0, 5), '1']),
    tile(`${BOM}south`, '1m', '2024-05-01T10:31:00Z', beyond),
    tile(`${BOM}south`, '30m', '2024-05-01T10:30:00Z', beyond),
  ]);
});

test('of all entities: keys of the one with most columns, each of its type', async () => {
  const rows = (await tiles('--level', 'lifetime')) as Record<string, unknown>[];
  const keys = rows.map(({ _entity, _key_1, _key_2, _key_3 }) => [_entity, _key_1, _key_2, _key_3]);
  const at = '2024-05-01T00:00:00.000001Z';
  expect(keys).toEqual([
    ['shop', 'north', null, null],
    ['shop', `${BOM}south`, null, null],
    ['till', 'north', '1', at],
    ['till', 'north', MOST, at],
    ['till', `${BOM}south`, '-3', at],
  ]);
  expect(rows.map(row => [row['shops:n'], row['tills:cents']])).toEqual([
    ['3', null],
    ['2', null],
    [null, '250'],
    [null, '101'],
    [null, null],
  ]);
});

test('of one set: tiles that have none of it are left out', async () => {
  expect(await tiles('--set', 'big')).toEqual([
    { _entity: 'shop', _key_1: 'north', _level: 'lifetime', _tile_start: null, 'big:n': '1' },
    { _entity: 'shop', _key_1: `${BOM}south`, _level: 'lifetime', _tile_start: null, 'big:n': '1' },
  ]);
});

test('of a span: tiles that start in it, and no lifetime', async () => {
  const starts = async (...words: string[]) =>
    (await tiles('--entity', 'shop', ...words)).map(row => {
      const { _level, _tile_start } = row as Record<string, string>;
      return `${_level} ${_tile_start!.slice(11, 16)}`;
    });
  expect(await starts('--from', '2024-05-01T10:30:00Z')).toEqual(['1m 10:31', '30m 10:30', '1m 10:31', '30m 10:30']);
  expect(await starts('--to', String(Date.UTC(2024, 4, 1, 10, 30)), '--level', '30m')).toEqual(['30m 10:00']);
  expect(await starts('--from', '2024-05-01T10:30:00.000001Z', '--to', '2024-05-01T10:31:00.000001Z')).toEqual([
    '1m 10:31',
    '1m 10:31',
  ]);
});

test('raw: states as protobuf', async () => {
  const [row] = (await tiles('--set', 'shops', '--level', '1m', '--raw')) as Record<string, string>[];
  const state = (name: string) => fromBinary(FeatureValueSchema, Uint8Array.fromBase64(row![name]!)).state;
  expect(state('shops:n')).toEqual({ case: 'count', value: 2n });
  expect(state('shops:mean')).toMatchObject({ case: 'mean', value: { sum: { narrow: 351n }, count: 2n } });
  expect(state('shops:last')).toMatchObject({ case: 'lastN', value: { limit: 2, integers: [250n, 101n] } });
  const [lifetime] = (await tiles('--entity', 'till', '--raw')) as Record<string, unknown>[];
  expect(Object.keys(lifetime!)).toEqual([
    ...['_entity', '_key_1', '_key_2', '_key_3', '_level', '_tile_start', 'tills:cents'],
  ]);
});

describe('what cannot be', () => {
  test.each([
    [['--entity', 'shp'], 1, 'no entity shp; did you mean "shop"?'],
    [['--set', 'nonsense'], 1, 'no feature set nonsense; there are shops, big, tills'],
    [['--set', 'tills', '--entity', 'shop'], 1, 'nothing is stored of set tills under that entity'],
    [['--level', '2m'], 1, 'no tiles of 2m are kept; there are lifetime, 1m, 30m'],
    [['--level', 'long'], 64, 'wanted a duration like 1m, or lifetime'],
    [['--from', 'noon'], 64, 'wanted an RFC 3339 time or epoch milliseconds'],
  ])('%p', async (words, code, said) => {
    const { code: exited, err } = await run('tiles', '--out', 'none.arrow', ...words);
    expect([exited, err]).toEqual([code, expect.stringContaining(said)]);
    expect(await readdir(folder)).not.toContain('none.arrow');
    expect(await readdir(folder)).not.toContain('none.arrow.part');
  });

  test('another kind of file', async () => {
    const { code, err } = await run('tiles', '--out', 'tiles.csv');
    expect([code, err]).toEqual([1, expect.stringContaining('.arrow, .parquet or .ndjson, got tiles.csv')]);
  });
});

test('beside a server: with all that it has acknowledged, by the definitions in force', async () => {
  const before = folder;
  folder = await folderWith('log: { clock: event }\ndefinitions: features\nfold: { workers: 2, barrier: 1h }\n');
  try {
    const words = [process.execPath, MAIN, 'serve', '--port', '0', '--grace', '0s', '--log-level', 'error'];
    const child = Bun.spawn(words, { cwd: folder, stderr: 'inherit', stdout: 'pipe' });
    ran.push(child);
    const reader = child.stdout.getReader();
    for (let said = ''; !/ on (http:\S+)\n/.test(said); ) said += new TextDecoder().decode((await reader.read()).value);
    expect((await run('ingest', 'sales.ndjson')).code).toBe(0);
    expect((await tiles('--level', 'lifetime')).length).toBe(5);
    // What is in the folder and not in force has no tiles.
    await writeFile(join(folder, 'features/sales.yaml'), DEFINITIONS.replace('cents > 200', 'cents > 100'));
    expect((await tiles('--level', 'lifetime')).length).toBe(5);
    child.kill('SIGTERM');
    expect(await child.exited).toBe(0);
  } finally {
    folder = before;
  }
});
