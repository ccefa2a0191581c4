import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tableFromIPC } from 'apache-arrow';

/** The command line from outside: real processes, in folders of their own. */
const MAIN = join(import.meta.dir, '../../src/main.ts');

const CONFIG = 'log: { clock: event }\ndefinitions: features\nlateness: 1h\n';
const DEFINITIONS = `
events:
  sale: { shop: string, till: int64, cents: { type: int64, optional: true } }
entities:
  shop: string
  till: [string, int64]
---
feature_set: shops
description: what a shop sells
owner: tests
entity: shop
source: sale
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n, AVG(cents) AS mean FROM sale GROUP BY shop
---
feature_set: tills
description: what goes through a till
owner: tests
entity: till
source: sale
windows: [lifetime]
sql: SELECT shop, till, SUM(cents) AS cents FROM sale GROUP BY shop, till
`;

function sale(time: string, shop: string, till: unknown, cents: unknown): string {
  return `${JSON.stringify({ type: 'sale', time: `2024-05-01T${time}Z`, data: { shop, till, cents } })}\n`;
}

const GOOD = [
  sale('10:00:00', 'north', 1, 250),
  sale('10:30:00', 'north', 2, 101),
  sale('10:30:00', 'south', 1, 4),
  sale('11:15:00', 'north', 1, null),
].join('');

const ran: Bun.Subprocess[] = [];
let root = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-cli-'));
});

afterAll(async () => {
  for (const each of ran) each.kill('SIGKILL');
  await rm(root, { recursive: true });
});

async function folderWith(files: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(join(root, 'data-'));
  await mkdir(join(folder, 'features'));
  const all = { 'tilefold.yaml': CONFIG, 'features/sales.yaml': DEFINITIONS, 'good.ndjson': GOOD, ...files };
  for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
  return folder;
}

async function run(folder: string, ...words: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  ran.push(child);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

/** A server on a free port. `said` is everything it has printed so far. */
async function serve(folder: string) {
  const env = { ...process.env, LOG_LEVEL: 'warn' };
  const child = Bun.spawn([process.execPath, MAIN, 'serve', '--port', '0'], { cwd: folder, stderr: 'inherit', env });
  ran.push(child);
  const server = { child, said: '', url: '' };
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    server.said += decoder.decode(chunk, { stream: true });
    const url = / on (http:\S+)\n/.exec(server.said)?.[1];
    if (!url) continue;
    server.url = url;
    return server;
  }
  throw new Error(`the server ended and said: ${server.said}`);
}

describe('usage', () => {
  test('--help names the commands and the exit codes', async () => {
    const { code, out } = await run(root, '--help');
    expect(code).toBe(0);
    for (const verb of ['check', 'plan', 'serve', 'ingest', 'lookup', 'errors', 'replay'])
      expect(out).toContain(`  ${verb} `);
    expect(out).toMatch(/ 64 +wrong usage/);
  });

  test.each([
    [[], 'Usage:'],
    [['frobnicate'], 'unknown command'],
    [['chekc'], 'Did you mean check?'],
    [['lookup', 'shop'], "missing required argument 'key'"],
    [['serve', '--port', 'http'], 'wanted a number from 0 to 65535'],
    [['replay', '--features', 'x'], 'required option'],
  ])('%p is wrong usage: 64', async (words, said) => {
    const { code, err } = await run(root, ...words);
    expect(err).toContain(said);
    expect(code).toBe(64);
  });

  test('a configuration that is not there is a fault: 1', async () => {
    const { code, err } = await run(root, 'ingest', 'x.ndjson');
    expect(err).toContain('./tilefold.yaml cannot be read');
    expect(code).toBe(1);
  });
});

describe('check', () => {
  test('counts what it found', async () => {
    const { code, out } = await run(await folderWith(), 'check');
    expect(out).toBe('no faults: 2 feature sets, 5 features, 3 stored aggregates, 1 event type\n');
    expect(code).toBe(0);
  });

  test('--json: counts, or faults with their places', async () => {
    const good = await run(await folderWith(), 'check', '--json');
    expect(JSON.parse(good.out)).toEqual({
      faults: [],
      sets: 2,
      features: 5,
      aggregates: 3,
      events: 1,
      event_features: 0,
    });
    const faulty = await folderWith({ 'features/more.yaml': 'entities:\n  shelf: strin\n' });
    const { code, out, err } = await run(faulty, 'check', '--json');
    expect([code, err]).toEqual([1, '']);
    const { faults } = JSON.parse(out);
    expect(faults.length).toBe(1);
    expect(faults[0]).toMatchObject({ code: 'definition', at: { file: 'features/more.yaml', line: 2, column: 10 } });
    const nowhere = await run(faulty, 'check', 'nowhere', '--json');
    expect([nowhere.code, JSON.parse(nowhere.out).faults[0].at]).toEqual([1, null]);
  });

  test('tells every fault of every file with its line, and exits with 1', async () => {
    const folder = await folderWith({
      'features/sales.yaml': DEFINITIONS.replace('COUNT(*)', 'MEDIAN(cents)'),
      'features/more.yaml': 'entities:\n  shelf: strin\n',
    });
    const { code, err } = await run(folder, 'check', '.');
    expect(code).toBe(1);
    expect(err).toMatch(/features\/more\.yaml:2:\d+: /);
    expect(err).toMatch(/features\/sales\.yaml:14:\d+: .*MEDIAN/i);
    expect(err).toContain('^^^');
    expect(err).toContain('2 faults');
  });
});

describe('without a server', () => {
  test('ingest, then lookup as a table and as JSON', async () => {
    const folder = await folderWith();
    const ingest = await run(folder, 'ingest', 'good.ndjson');
    expect([ingest.out, ingest.err, ingest.code]).toEqual(['accepted 4, rejected 0\n', '', 0]);

    const table = await run(folder, 'lookup', 'shop', 'north', 'south', 'west');
    expect(table.out).toBe(
      [
        'shop                 north  south         west',
        'shops:n_1h               2      1  0 NOT_FOUND',
        'shops:n_lifetime         3      1  0 NOT_FOUND',
        'shops:mean_1h          101      4  - NOT_FOUND',
        'shops:mean_lifetime  175.5      4  - NOT_FOUND',
        '',
        'at 2024-05-01T11:15:00Z, position 3',
        '',
      ].join('\n'),
    );
    const json = await run(folder, 'lookup', 'till', 'north', '1', 'north', '2', '--feature', 'tills:*', '--json');
    expect(JSON.parse(json.out).entities).toEqual({
      till: {
        keys: [
          ['north', 1],
          ['north', 2],
        ],
        features: { 'tills:cents_lifetime': { values: [250, 101] } },
      },
    });
  });

  test('lookup at a past moment', async () => {
    const folder = await folderWith();
    await run(folder, 'ingest', 'good.ndjson');
    const at = ['--at', '2024-05-01T10:20:00Z', '--feature', 'shops:n_1h'];
    expect((await run(folder, 'lookup', 'shop', 'north', ...at)).out).toBe(
      'shop            north\nshops:n_1h  1 WARMING\n\nat 2024-05-01T10:20:00Z\nWARMING: its events are known since 2024-05-01T10:00:00Z\n',
    );
    const millis = ['--at', String(Date.parse('2024-05-01T10:20:00Z')), '--feature', 'shops:n_1h', '--json'];
    expect(JSON.parse((await run(folder, 'lookup', 'shop', 'north', ...millis)).out).position).toBeNull();
  });

  test.each([
    [['lookup', 'shopp', 'north'], 'there is no entity shopp; did you mean "shop"?'],
    [['lookup', 'x', 'north'], 'there is no entity x; there are shop, till'],
    [['lookup', 'shop', 'north', '--feature', 'shops:n_1hh'], 'no feature shops:n_1hh; did you mean "shops:n_1h"?'],
    [['lookup', 'shop', 'north', '--feature', 'shop:*'], 'no feature shop:*; did you mean "shops:*"?'],
    [['lookup', 'till', 'north'], 'till has 2 key columns'],
    [['lookup', 'till', 'north', 'one'], 'a key of till is int64'],
    [['lookup', 'shop', 'north', '--at', 'noon'], 'no RFC 3339 time'],
    [['lookup', 'shop', 'north', '--feature', 'shops:nope'], 'shops:nope'],
    [['errors', '--limit', 'many'], 'limit'],
    [['ingest', 'nowhere.ndjson'], 'nowhere.ndjson'],
  ])('%p is a fault: 1', async (words, said) => {
    const { code, err } = await run(await folderWith(), ...words);
    expect(err).toContain(said);
    expect(err).toStartWith('tilefold: ');
    expect(code).toBe(1);
  });

  test('lines that are no events are named, the others count, and the exit code says so', async () => {
    const folder = await folderWith({ 'mixed.ndjson': `${sale('10:00:00', 'a', 1, 1)}{"type":\n\n7\n${GOOD}` });
    const { code, out, err } = await run(folder, 'ingest', 'mixed.ndjson');
    expect(out).toBe('accepted 5, rejected 2\n');
    expect(err).toMatch(/^mixed\.ndjson:2: .+\nmixed\.ndjson:4: .+\n$/);
    expect(code).toBe(1);
    const json = await run(folder, 'ingest', 'mixed.ndjson', '--json');
    expect([json.code, json.err]).toEqual([1, '']);
    expect(JSON.parse(json.out)).toEqual({
      accepted: 5,
      replayed: 5,
      rejected: 2,
      rejections: [
        { file: 'mixed.ndjson', line: 2, code: 'not_json', reason: expect.any(String) },
        { file: 'mixed.ndjson', line: 4, code: 'not_object', reason: expect.any(String) },
      ],
    });
  });

  test('says so when a recorded file is too late for the wall clock', async () => {
    const folder = await folderWith({ 'old.ndjson': sale('10:00:00', 'a', 1, 1) });
    const path = join(folder, 'tilefold.yaml');
    await writeFile(path, (await Bun.file(path).text()).replace('clock: event', 'clock: wall'));
    const { code, out, err } = await run(folder, 'ingest', 'old.ndjson');
    expect([code, out]).toEqual([0, 'accepted 1, rejected 0\n']);
    expect(err).toContain('too late for their windows');
  });

  test('bad events come out of errors, page by page', async () => {
    const bad = sale('10:05:00', 'a', 'x', 1) + sale('10:06:00', 'a', 1, '1') + sale('10:07:00', 'a', 1.5, 1);
    const folder = await folderWith({ 'bad.ndjson': bad });
    expect((await run(folder, 'errors')).out).toBe('no errors\n');
    expect((await run(folder, 'ingest', 'bad.ndjson')).out).toBe('accepted 3, rejected 0\n');
    const table = await run(folder, 'errors', '--limit', '2');
    expect(table.out).toMatch(
      /^id +position +type +code +message\n +1 +0 +sale +wrong_type +input till .*\n +2 +1 +sale/,
    );
    expect(table.out).toContain('more with --after 2');
    const rest = JSON.parse((await run(folder, 'errors', '--after', '2', '--json')).out);
    expect(rest.errors.map((error: { position: number }) => error.position)).toEqual([2]);
    expect(rest.next).toBeNull();
  });

  test('changed definitions wait for apply, which says what has changed; rebuild folds them anew', async () => {
    const folder = await folderWith();
    await run(folder, 'ingest', 'good.ndjson');
    const values = async () => {
      const { out, err } = await run(folder, 'lookup', 'shop', 'north', '--feature', 'shops:n_lifetime', '--json');
      return { err, of: JSON.parse(out).entities.shop.features['shops:n_lifetime'] };
    };
    await writeFile(join(folder, 'features/sales.yaml'), DEFINITIONS.replace('COUNT(*) AS n', 'COUNT(cents) AS n'));
    const before = await values();
    expect([before.of, before.err]).toEqual([{ values: [3] }, expect.stringContaining('`tilefold apply`')]);
    const refused = await run(folder, 'apply');
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('shops:n is redefined')]);
    expect(refused.err).toMatch(/sales\.yaml:\d+:\d+/);
    expect((await values()).of).toEqual({ values: [3] });

    const applied = await run(folder, 'apply', '--since-now');
    expect([applied.code, applied.err]).toEqual([0, '']);
    expect(applied.out).toBe('~ shops:n\nin force from record 4 on; 2 stored aggregates go on\n');
    expect(await values()).toEqual({ err: '', of: { values: [0], statuses: ['NOT_FOUND'] } });
    expect((await run(folder, 'apply', '--json')).out).toMatch(/^\{"added":\[\],"redefined":\[\],.*"position":4,/);
    expect((await run(folder, 'verify')).out).toContain('what the log makes by 2 plans, one after the other');

    expect((await run(folder, 'rebuild', '--from-log')).code).toBe(0);
    expect(await values()).toEqual({ err: '', of: { values: [2] } });
    expect((await run(folder, 'verify')).code).toBe(0);
  });

  test('what changes no rows is taken up at the next start: derived features, texts', async () => {
    const folder = await folderWith();
    await run(folder, 'ingest', 'good.ndjson');
    const derived = DEFINITIONS.replace(
      'cents) AS mean FROM sale GROUP BY shop',
      '$&\nderive: { twice: 2 * n_lifetime }',
    );
    await writeFile(join(folder, 'features/sales.yaml'), derived);
    const { out, err } = await run(folder, 'lookup', 'shop', 'north', '--feature', 'shops:twice', '--json');
    expect([err, JSON.parse(out).entities.shop.features['shops:twice'].values]).toEqual(['', [6]]);
  });
});

describe('with a server', () => {
  test('commands find it, events posted are seen at once, and SIGTERM leaves all of it behind', async () => {
    const folder = await folderWith({
      'broken.ndjson': `7\n${sale('11:20:00', 'north', 1, 9)}`,
      'none.ndjson': '7\n8\n',
    });
    const server = await serve(folder);
    expect((await run(folder, 'ingest', 'good.ndjson')).out).toBe('accepted 4, rejected 0\n');
    const table = await run(folder, 'lookup', 'shop', 'north', '--feature', 'shops:n_lifetime');
    expect(table.out).toBe('shop              north\nshops:n_lifetime      3\n\nat 2024-05-01T11:15:00Z, position 3\n');

    const body = sale('11:16:00', 'north', 9, 'many');
    const posted = await fetch(`${server.url}/v1/events`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect([posted.status, await posted.json()]).toEqual([202, { accepted: 1, rejected: [], position: 4 }]);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);

    const broken = await run(folder, 'ingest', 'broken.ndjson');
    expect([broken.out, broken.code]).toEqual(['accepted 1, rejected 1\n', 1]);
    expect(broken.err).toMatch(/^broken\.ndjson:1: /);
    expect((await run(folder, 'ingest', 'none.ndjson')).out).toBe('accepted 0, rejected 2\n');
    const unknown = await run(folder, 'lookup', 'shop', 'north', '--feature', 'shops:nope');
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('shops:nope')]);
    const second = await run(folder, 'serve', '--port', '0');
    expect([second.code, second.err]).toEqual([1, expect.stringContaining(server.url)]);
    const port = new URL(server.url).port;
    const taken = await run(await folderWith(), 'serve', '--port', port);
    expect([taken.code, taken.err]).toEqual([1, expect.stringContaining(`cannot listen on 127.0.0.1:${port}`)]);

    server.child.kill('SIGTERM');
    expect(await server.child.exited).toBe(0);
    const after = await run(folder, 'lookup', 'shop', 'north', '--feature', 'shops:n_lifetime', '--json');
    expect(JSON.parse(after.out)).toMatchObject({ position: 5 });
    expect(JSON.parse(after.out).entities.shop.features['shops:n_lifetime'].values).toEqual([4]);
    expect((await run(folder, 'errors')).out).toContain('cents');
  });

  test('a killed one leaves no lock, and every acknowledged event', async () => {
    const folder = await folderWith();
    const server = await serve(folder);
    expect((await run(folder, 'ingest', 'good.ndjson')).code).toBe(0);
    server.child.kill('SIGKILL');
    await server.child.exited;
    const { out, code } = await run(folder, 'lookup', 'shop', 'north', '--feature', 'shops:n_lifetime', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out).entities.shop.features['shops:n_lifetime'].values).toEqual([3]);
  });
});

describe('replay', () => {
  const LOG = `${GOOD}{"type":\n${sale('11:16:00', 'north', 'x', 1)}${sale('11:17:00', 'north', 1, 50)}`;
  const replay = (folder: string, ...words: string[]) => run(folder, 'replay', '--features', '.', ...words);

  test('writes a row for each event that counts, and lists the others', async () => {
    const folder = await folderWith({ 'log.ndjson': LOG });
    const said = await replay(folder, '--log', 'log.ndjson', '--out', 'out.ndjson', '--errors', 'errors.ndjson');
    expect(said.err).toMatch(
      /^replay: 5 events in .* s, written to out\.ndjson\nreplay: 1 line is no event; errors\.ndjson lists them\nreplay: 1 event could not count; errors\.ndjson lists them\n$/,
    );
    expect(said.code).toBe(0);
    const read = async (name: string) =>
      (await readFile(join(folder, name), 'utf8'))
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line));
    const rows = await read('out.ndjson');
    expect(rows.map(row => [row._position, row['shops:n_1h'], row['shops:mean_lifetime']])).toEqual([
      [0, 1, 250],
      [1, 2, 175.5],
      [2, 1, 4],
      [3, 2, 175.5],
      [5, 3, 401 / 3],
    ]);
    expect(rows[0]).toMatchObject({ _type: 'sale', _time: '2024-05-01T10:00:00Z', 'tills:cents_lifetime': 250 });
    const errors = await read('errors.ndjson');
    expect(errors.map(error => [error.position, error.line, error.code])).toEqual([
      [null, 5, 'not_json'],
      [4, 6, 'wrong_type'],
    ]);

    const json = await replay(folder, '--log', 'log.ndjson', '--out', 'out.arrow', '--json');
    const done = JSON.parse(json.out);
    expect(done).toMatchObject({ events: 5, errors: 2, rejected: 1, out: 'out.arrow', errors_out: null });
    expect(done.seconds).toBeGreaterThan(0);
    const table = tableFromIPC(await readFile(join(folder, 'out.arrow')));
    expect(table.numRows).toBe(rows.length);
    for (const [i, row] of rows.entries()) {
      for (const { name } of table.schema.fields.slice(3)) {
        const value = table.getChild(name)!.get(i);
        expect(typeof value === 'bigint' ? Number(value) : value).toBe(row[name]);
      }
    }
  });

  test('rows that memory has no room for are put aside, and show in no value', async () => {
    const minute = (i: number) => new Date(Date.UTC(2024, 4, 1, 0, 0, i)).toISOString().slice(11, 19);
    const log = Array.from({ length: 8_000 }, (_, i) => sale(minute(i), `shop ${i % 3_000}`, i % 7, i)).join('');
    const outputs: Buffer[][] = [];
    for (const config of ['', 'fold: { memory: 1MiB }\n']) {
      const folder = await folderWith({ 'log.ndjson': log, 'tilefold.yaml': `${CONFIG}${config}` });
      // Of a run that was killed: only who needs the place clears it.
      await writeFile(join(folder, 'out.arrow.rows'), 'left over');
      await replay(folder, '--log', 'log.ndjson', '--out', 'out.arrow');
      await replay(folder, '--log', 'log.ndjson', '--out', 'out.ndjson');
      outputs.push(await Promise.all(['arrow', 'ndjson'].map(ending => readFile(join(folder, `out.${ending}`)))));
      const left = (await readdir(folder)).filter(name => name.includes('.rows'));
      expect(left).toEqual(config === '' ? ['out.arrow.rows'] : []);
    }
    expect(outputs[0]![1]!.toString().split('\n').length).toBe(8_001);
    expect(outputs[1]).toEqual(outputs[0]!);
  });

  test.each([
    ['photo.ndjson', '\x89PNG\r\n\x1a\n', 'photo.ndjson is a PNG image, and holds no events: wanted NDJSON'],
    ['photo.ndjson.gz', gzipSync('%PDF-1.7\n'), 'photo.ndjson.gz is a PDF, and holds no events: wanted NDJSON'],
    ['wide.ndjson', Buffer.from('\ufeff{"type":"sale"}', 'utf16le'), 'wide.ndjson is text in UTF-16'],
    ['noise', Buffer.from('\x00\x01\xfe\n\x07\n', 'latin1'), 'no line is an event: all 2 were rejected'],
    ['table.csv', 'shop,cents\nnorth,250\n', 'line 1 of table.csv: not valid JSON, found "shop,cents"'],
  ])('%s is no log: 1, and no file', async (name, bytes, said) => {
    const folder = await folderWith();
    await writeFile(join(folder, name), typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    const { code, err } = await replay(folder, '--log', name, '--out', 'out.arrow', '--errors', 'errors.ndjson');
    expect(err).toContain(said);
    expect(err).toStartWith('tilefold: ');
    expect(code).toBe(1);
    expect((await readdir(folder)).sort()).toEqual(['features', 'good.ndjson', name, 'tilefold.yaml'].sort());
    const ingest = await run(folder, 'ingest', name);
    expect(ingest.code).toBe(1);
  });

  test('a log that is empty, or of types that nothing declares, has no rows and is a log all the same', async () => {
    const folder = await folderWith({
      'empty.ndjson': '\n',
      'other.ndjson': '7\n{"type":"other","time":"2024-05-01T10:00:00Z"}\n',
    });
    for (const [name, rejected] of [
      ['empty.ndjson', 0],
      ['other.ndjson', 1],
    ] as const) {
      const { code, out } = await replay(folder, '--log', name, '--out', 'out.arrow', '--json');
      expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ events: 0, errors: rejected, rejected })]);
    }
  });

  test('a fault leaves no half file behind', async () => {
    const folder = await folderWith({ 'cut.ndjson.gz': '\x1f\x8b' });
    const damaged = await replay(folder, '--log', 'cut.ndjson.gz', '--out', 'out.arrow', '--errors', 'errors.ndjson');
    expect([damaged.code, damaged.err]).toEqual([1, expect.stringContaining('cut.ndjson.gz')]);
    const wrong = await replay(folder, '--log', 'good.ndjson', '--out', 'out.csv');
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('.arrow, .parquet or .ndjson')]);
    const missing = await replay(folder, '--log', 'good.ndjson', '--out', 'nowhere/out.arrow');
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('nowhere/out.arrow cannot be written')]);
    expect((await readdir(folder)).sort()).toEqual(['cut.ndjson.gz', 'features', 'good.ndjson', 'tilefold.yaml']);
  });
});

test('a reader that has seen enough ends a command, and is no failure', async () => {
  const shell = Bun.spawn(['bash', '-o', 'pipefail', '-c', `"${process.execPath}" "${MAIN}" lookup --help | true`], {
    ...{ stdout: 'ignore', stderr: 'pipe' },
  });
  expect([await shell.exited, await new Response(shell.stderr).text()]).toEqual([0, '']);
});
