import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { entityOf, Inference } from '../../src/cli/infer.ts';

const ROOT = join(import.meta.dir, '../..');
const MAIN = join(ROOT, 'src/main.ts');
const FLIGHTS = join(ROOT, 'examples/flights/flights-week.ndjson.gz');

let root = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-init-'));
});

afterAll(() => rm(root, { recursive: true }));

async function run(folder: string, ...words: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

async function folderWith(files: Record<string, string | Uint8Array> = {}): Promise<string> {
  const folder = await mkdtemp(join(root, 'data-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** Runs the commands that `init` says to try, one after the other, and gives what the last one printed. */
async function follow(folder: string, said: string): Promise<string> {
  const steps = said
    .slice(said.indexOf('Try it:'))
    .split('\n')
    .flatMap(line => /^ {2}(\S.*)$/.exec(line)?.[1] ?? []);
  expect(steps.at(-1)).toStartWith('tilefold lookup ');
  let out = '';
  for (const step of steps) {
    const command = `tilefold() { "$BUN" "$MAIN" "$@"; }; ${step}`;
    const env = { ...process.env, BUN: process.execPath, MAIN };
    const child = Bun.spawn(['bash', '-c', command], { cwd: folder, env, stdin: 'ignore', stderr: 'pipe' });
    out = await new Response(child.stdout).text();
    expect([step, await child.exited, await new Response(child.stderr).text()]).toEqual([step, 0, '']);
  }
  return out;
}

describe('init', () => {
  test('without samples: what it writes works, with the commands it names', async () => {
    const folder = await folderWith();
    const { code, out } = await run(folder, 'init');
    expect(code).toBe(0);
    const table = await follow(folder, out);
    expect(table).toMatch(/user_activity:events_lifetime +1$/m);
    expect(table).toMatch(/user_activity:ms_mean_1h +80 WARMING$/m);
  });

  test('on flights: their inputs, an airport as entity, and numbers in the lookup', async () => {
    const folder = await folderWith();
    const { code, out } = await run(folder, 'init', '.', '--events', FLIGHTS);
    expect(code).toBe(0);
    const events = await readFile(join(folder, 'features/events.yaml'), 'utf8');
    for (const input of ['origin: string', 'destination: string', 'delay: int64', 'distance: int64'])
      expect(events).toContain(`    ${input}\n`);
    const table = await follow(folder, out);
    expect(table).toMatch(/_activity:events_lifetime +\d{4,}$/m);
    expect(table).toContain('position 112986');
  });

  test('samples with nested, missing, mixed, oddly named and unreadable members', async () => {
    const event = (i: number) => ({
      type: 'page view',
      time: 1_700_000_000_000 + i * 1000,
      data: {
        order: `o${i}`,
        user: { id: `u${i % 3}`, since: '2020-01-01T00:00:00Z' },
        'screen-size': i,
        ms: i % 2 ? 10 : undefined,
        ok: true,
        tags: ['a'],
        marks: i % 2 ? [] : [[1], [2, null]],
        empty: [],
        several: ['a', 1],
        items: [{ sku: 's', n: i, at: { x: 0.5 } }, ...(i % 2 ? [{ sku: 't', odd: i % 4 > 1 ? 'a' : 1 }] : [])],
        mixed: i % 2 ? 1 : 'one',
        group: i,
        null: 1,
      },
    });
    const lines = Array.from({ length: 12 }, (_, i) => JSON.stringify(event(i)));
    const flat = JSON.stringify({ _type: 'tick', _time: '2023-11-14T22:13:20Z', size: 3 });
    const text = [...lines, flat, 'no JSON', '7', ''].join('\n');
    const folder = await folderWith({ 'events.ndjson.gz': gzipSync(text) });
    const { code, out, err } = await run(folder, 'init', 'made', '--events', 'events.ndjson.gz');
    expect([code, err]).toEqual([0, '']);
    const events = await readFile(join(folder, 'made/features/events.yaml'), 'utf8');
    for (const line of [
      '  "page view":',
      '    order: string',
      '    user_id: { type: string, path: "$.data.user.id" }',
      '    user_since: { type: time, path: "$.data.user.since" }',
      '    screen_size: { type: int64, path: "$.data.screen-size" }',
      '    ms: { type: int64, optional: true }   # seen in 6 of 12',
      '    ok: bool',
      '    "null": int64',
      '    tags: [string]',
      '    marks: [[int64?]]',
      '    items: [page_view_items]',
      '    # empty: left out, a list that is always empty',
      '    # several.[]: left out, now string, now int64',
      '    # items.[].odd: left out, now int64, now string',
      '  page_view_items:',
      '    sku: string',
      '    n: { type: int64, optional: true }',
      '    at: { type: page_view_items_at, optional: true }',
      '  page_view_items_at:',
      '    x: double',
      '    # mixed: left out, now string, now int64',
      '  tick:',
      '    size: int64',
      '  user_id: string',
    ])
      expect(events.split('\n')).toContain(line);
    expect((await readdir(join(folder, 'made/features'))).sort()).toEqual(['events.yaml', 'user_id_activity.yaml']);
    expect((await run(join(folder, 'made'), 'check')).code).toBe(0);
    expect((await run(join(folder, 'made'), 'ingest', '../events.ndjson.gz')).out).toBe('accepted 13, rejected 2\n');
    const table = await run(join(folder, 'made'), 'lookup', 'user_id', 'u1');
    expect(table.out).toMatch(/user_id_activity:events_lifetime +4$/m);
    expect((await run(join(folder, 'made'), 'errors')).out).toBe('no errors\n');
    expect(out).toContain('  cd made\n');
  });

  test('changelogs: rows in envelopes, and rows with a word for what they are', async () => {
    const row = (i: number) => ({ shop: `s${i % 3}`, cents: i, note: i % 2 ? null : 'n' });
    const envelope = (i: number) => ({
      ...{ before: i % 4 < 2 ? null : row(i - 1), after: i % 4 === 3 ? null : row(i) },
      ...{ source: { table: 'orders', ts_ms: 1_700_000_000_000 + i * 1000 }, op: 'ccud'[i % 4] },
    });
    const lines = Array.from({ length: 24 }, (_, i) => [
      JSON.stringify(i % 2 ? envelope(i) : { schema: {}, payload: envelope(i) }),
      i % 4 === 3 ? 'null' : '',
      JSON.stringify({
        type: 'stock',
        time: 1_700_000_000_000 + i,
        data: { kind: ['+I', '-D'][i % 2], ...row(i - (i % 2)) },
      }),
    ]).flat();
    const folder = await folderWith({ 'changes.ndjson': lines.join('\n') });
    const { code, out, err } = await run(folder, 'init', '--events', 'changes.ndjson');
    expect([code, err]).toEqual([0, '']);
    const events = (await readFile(join(folder, 'features/events.yaml'), 'utf8')).split('\n');
    for (const line of [
      '  orders:',
      '    changelog: { format: debezium }   # rows are added and taken back',
      '    shop: string',
      '    note: { type: string, optional: true }   # seen in 18 of 30',
      '  stock:',
      '    changelog: { op: kind }   # rows are added and taken back',
    ])
      expect(events).toContain(line);
    const table = await follow(folder, out);
    expect(table).toMatch(/shop_activity:events_lifetime +\d+$/m);
    expect(table).toMatch(/shop_activity:cents_sum_lifetime +\d+$/m);
    expect((await run(folder, 'errors')).out).toBe('no errors\n');
  });

  test('doubles: declared where this version reads them, else left out, and it works either way', async () => {
    const lines = Array.from({ length: 6 }, (_, i) =>
      JSON.stringify({ type: 'sale', time: i * 1000, data: { shop: `s${i % 2}`, price: i + 0.5 } }),
    );
    const folder = await folderWith({ 'sales.ndjson': lines.join('\n') });
    const { code, out, err } = await run(folder, 'init', '--events', 'sales.ndjson');
    expect([code, err]).toEqual([0, '']);
    expect(await readFile(join(folder, 'features/events.yaml'), 'utf8')).toMatch(/ price: (double|left out, double)/);
    expect(await follow(folder, out)).toMatch(/shop_activity:events_lifetime +3$/m);
  });

  test('nothing comes again: event types without a feature set, and a word on it', async () => {
    const lines = [1, 2, 3].map(i => JSON.stringify({ type: 'a', time: i, data: { x: `v${i}` } }));
    const folder = await folderWith({ 'a.ndjson': lines.join('\n') });
    expect((await run(folder, 'init', '--events', 'a.ndjson')).code).toBe(0);
    expect(await readdir(join(folder, 'features'))).toEqual(['events.yaml']);
    expect((await run(folder, 'check')).code).toBe(0);
  });

  test('overwrites nothing, and then writes nothing at all', async () => {
    const folder = await folderWith({ 'tilefold.yaml': '# mine\n' });
    const { code, err } = await run(folder, 'init');
    expect([code, err]).toEqual([1, 'tilefold: tilefold.yaml is there already; nothing was written\n']);
    expect(await readdir(folder)).toEqual(['tilefold.yaml']);
    expect(await readFile(join(folder, 'tilefold.yaml'), 'utf8')).toBe('# mine\n');
  });

  test('no events in the file is a fault', async () => {
    const folder = await folderWith({ 'none.ndjson': '7\n{"a":1}\n' });
    const { code, err } = await run(folder, 'init', '--events', 'none.ndjson');
    expect([code, err]).toEqual([1, expect.stringContaining('none.ndjson holds no events')]);
  });
});

describe('the entity', () => {
  const entityAmong = (...records: object[]) => {
    const inference = new Inference();
    for (const data of records) inference.add({ type: 'a', time: 0, data });
    return entityOf(inference.result().types[0]!)?.name ?? null;
  };

  test.each([
    ['an id before other strings', 'user_id', [0, 1, 2, 3, 4, 5].map(i => ({ lang: `l${i % 3}`, user_id: i % 2 }))],
    ['a string before an integer', 'shop', [0, 1, 2, 3].map(i => ({ n: i % 2, shop: `s${i % 2}` }))],
    ['many values before few', 'user', [0, 1, 2, 3, 4, 5, 6, 7].map(i => ({ kind: `k${i % 2}`, user: `u${i % 4}` }))],
    ['never one that is missing at times', 'b', [0, 1, 2, 3].map(i => ({ ...(i && { id: 'x' }), b: 'y' }))],
    ['never one whose values do not come again', null, [0, 1, 2].map(i => ({ id: `x${i}` }))],
  ])('%s', (_what, name, records) => expect<string | null>(entityAmong(...records)).toBe(name));
});
