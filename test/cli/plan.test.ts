/** `tilefold plan` from outside: what it says of a data folder, with a server and without, and how it exits. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const CONFIG = 'log: { clock: event }\ndefinitions: features\nlateness: 1h\nfold: { workers: 0 }\n';
const DEFINITIONS = `events:
  sale: { shop: string, cents: int64? }
entities: { shop: string }
---
feature_set: shops
entity: shop
source: sale
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n, SUM(cents) AS cents FROM sale GROUP BY shop
derive: { mean_1h: cents_1h / n_1h }
`;
const SALES = ['10:00', '10:30', '11:15']
  .map(time => `{"type":"sale","time":"2024-05-01T${time}:00Z","data":{"shop":"north","cents":5}}\n`)
  .join('');

let root = '';
const children: Bun.Subprocess[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-plan-'));
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(root, { recursive: true });
});

async function folderWith(files: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(join(root, 'data-'));
  for (const name of ['features', 'next']) await mkdir(join(folder, name));
  const all = { 'tilefold.yaml': CONFIG, 'features/sales.yaml': DEFINITIONS, 'sales.ndjson': SALES, ...files };
  for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
  return folder;
}

async function run(folder: string, ...words: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  children.push(child);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

test('before anything is in force all is added', async () => {
  const { code, out, err } = await run(await folderWith(), 'plan');
  expect([code, err]).toEqual([2, '']);
  expect(out).toMatch(/^\+ +shops:n_1h +int64 +COUNT\(\*\) over 1h +WARMING for 1h1m$/m);
  expect(out).toContain('features: 5 added');
});

test('what is in force changes nothing, wherever it stands', async () => {
  const folder = await folderWith();
  await run(folder, 'ingest', 'sales.ndjson');
  await writeFile(join(folder, 'next', 'sales.yaml'), `# elsewhere\n${DEFINITIONS}`);
  for (const words of [['plan'], ['plan', 'next']]) {
    const { code, out } = await run(folder, ...words);
    expect([code, out]).toEqual([0, 'no changes: the definitions are those in force\n']);
  }
});

test('a change that decides no values is in force at the next start', async () => {
  const folder = await folderWith();
  await run(folder, 'ingest', 'sales.ndjson');
  await writeFile(join(folder, 'features', 'sales.yaml'), DEFINITIONS.replace('cents_1h / n_1h', 'n_1h / cents_1h'));
  const changed = await run(folder, 'plan');
  expect([changed.code, changed.out]).toEqual([2, expect.stringContaining('n_1h / cents_1h, was cents_1h / n_1h')]);
  const looked = await run(folder, 'lookup', 'shop', 'north');
  expect(looked.err).toBe('');
  expect(looked.out).toContain('shops:mean_1h');
  expect((await run(folder, 'plan')).code).toBe(0);
});

test('says beside a server until when windows are WARMING, for people and for programs', async () => {
  const folder = await folderWith();
  await run(folder, 'ingest', 'sales.ndjson');
  const env = { ...process.env, LOG_LEVEL: 'silent' };
  const server = Bun.spawn([process.execPath, MAIN, 'serve', '--port', '0', '--grace', '0s'], { cwd: folder, env });
  children.push(server);
  for await (const _ of server.stdout) break;
  const next = DEFINITIONS.replace('[1h, lifetime]', '[1h, 2h, lifetime]').replace('AS n,', 'AS sold,');
  await writeFile(join(folder, 'next', 'sales.yaml'), next.replace('/ n_1h', '/ sold_1h'));
  const { code, out, err } = await run(folder, 'plan', 'next');
  expect([code, err]).toEqual([2, '']);
  expect(out).toMatch(/^> +shops:sold_1h +int64 +was shops:n_1h$/m);
  expect(out).toMatch(/^\+ +shops:cents_2h .* WARMING until 2024-05-01T12:16:00Z$/m);
  const told = await run(folder, 'plan', 'next', '--json');
  expect(told.code).toBe(2);
  const { changed, in_force, features, aggregates, tiles, refusals } = JSON.parse(told.out);
  expect([changed, in_force, refusals]).toEqual([true, { position: 0 }, []]);
  expect(features.find(({ name }: { name: string }) => name === 'shops:cents_2h')).toEqual({
    change: 'added',
    name: 'shops:cents_2h',
    was: null,
    entity: 'shop',
    type: 'int64',
    units: null,
    description: 'SUM(cents) over 2h',
    through: [],
    warming_ms: 3_660_000,
    warming_until: '2024-05-01T12:16:00Z',
    counts_from_then_on: false,
  });
  expect(aggregates.map(({ change, name, was }: Record<string, unknown>) => [change, name, was])).toEqual([
    ['renamed', 'shops:sold', 'shops:n'],
    ['kept', 'shops:cents', null],
  ]);
  const [minutes] = tiles;
  expect(minutes).toEqual({
    entity: 'shop',
    level_ms: 60_000,
    before: { kept_ms: 7_260_000, rows_per_key: 121 },
    after: { kept_ms: 10_860_000, rows_per_key: 181 },
  });
  server.kill('SIGTERM');
  expect(await server.exited).toBe(0);
});

test('what is refused is told with its place: 1', async () => {
  const folder = await folderWith();
  await run(folder, 'ingest', 'sales.ndjson');
  await writeFile(join(folder, 'next', 'sales.yaml'), DEFINITIONS.replace('SUM(cents)', 'AVG(cents)'));
  const { code, out, err } = await run(folder, 'plan', 'next');
  expect(code).toBe(1);
  expect(out).toContain('AVG(cents) over 1h, was SUM(cents) over 1h');
  expect(err).toContain(
    'next/sales.yaml:9:48: shops:cents_1h, shops:cents_lifetime: of type int64, and would be of type double under the same name;',
  );
  expect(err).toContain('^^^^^');
  const told = await run(folder, 'plan', 'next', '--json');
  expect([told.code, told.err]).toEqual([1, '']);
  expect(JSON.parse(told.out).refusals).toMatchObject([{ code: 'conflict', at: { file: 'next/sales.yaml', line: 9 } }]);
});

test('faults of definitions are told as by check: 1', async () => {
  const folder = await folderWith({ 'features/more.yaml': 'entities:\n  shelf: strin\n' });
  const { code, out, err } = await run(folder, 'plan');
  expect([code, out]).toEqual([1, '']);
  expect(err).toContain('features/more.yaml:2:10: ');
});
