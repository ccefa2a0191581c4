import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Database } from 'bun:sqlite';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import type { Row } from '../../src/store/store.ts';

/** The commands that look after the log and what is made of it, from outside. */
const MAIN = join(import.meta.dir, '../../src/main.ts');
const CONFIG =
  'log: { clock: event, segment: { bytes: 4KiB }, compress: false }\ndefinitions: features\nlateness: 1h\nfold: { memory: 1MiB }\n';
const DEFINITIONS = `
events:
  sale: { shop: string, cents: int64 }
entities:
  shop: string
---
feature_set: shops
description: what a shop sells
owner: tests
entity: shop
source: sale
windows: [1h, lifetime]
sql: SELECT shop, COUNT(*) AS n, SUM(cents) AS sum FROM sale GROUP BY shop
`;

/** Every tenth cannot count; every third is of a type that nobody has declared. */
function line(n: number): string {
  const time = new Date(Date.UTC(2024, 4, 1) + n * 60_000).toISOString();
  const cents = n % 10 === 9 ? 'many' : n;
  return `${JSON.stringify({ type: n % 3 === 2 ? 'view' : 'sale', time, data: { shop: `s${n % 7}`, cents } })}\n`;
}

const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(from + i)).join('');
const COUNT = 400;

const ran: Bun.Subprocess[] = [];
let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-log-'));
});
afterAll(async () => {
  for (const each of ran) each.kill('SIGKILL');
  await rm(root, { recursive: true });
});

function start(folder: string, ...words: string[]) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdin: 'ignore', stderr: 'pipe' });
  ran.push(child);
  return child;
}

async function serving(server: ReturnType<typeof start>): Promise<void> {
  let said = '';
  for await (const chunk of server.stdout) {
    said += new TextDecoder().decode(chunk);
    if (said.includes(' on http')) return;
  }
  throw new Error(`the server ended and said: ${said}`);
}

async function run(folder: string, ...words: string[]) {
  const child = start(folder, ...words);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

/** A folder that has ingested the lines, in files of a hundred: a batch each. */
async function filled(): Promise<string> {
  const folder = await mkdtemp(join(root, 'data-'));
  await mkdir(join(folder, 'features'));
  await writeFile(join(folder, 'tilefold.yaml'), CONFIG);
  await writeFile(join(folder, 'features/sales.yaml'), DEFINITIONS);
  const names = [];
  for (let at = 0; at < COUNT; at += 50) {
    names.push(`${at}.ndjson`);
    await writeFile(join(folder, `${at}.ndjson`), lines(at, at + 50));
  }
  const { out, err } = await run(folder, 'ingest', ...names);
  expect([out, err]).toEqual([`accepted ${COUNT}, rejected 0\n`, '']);
  return folder;
}

const segments = async (folder: string) =>
  (await readdir(join(folder, 'data/log'))).filter(n => /ndjson/.test(n)).sort();
const sqlite = (folder: string) => join(folder, 'data/tilefold.db');

describe('ingest', () => {
  test('the same file counts once, under any name, alone or by a server; --again counts it anew', async () => {
    const folder = await filled();
    await writeFile(join(folder, 'copy.ndjson'), lines(0, 50));
    const copy = await run(folder, 'ingest', 'copy.ndjson', '--json');
    expect(JSON.parse(copy.out)).toEqual({ accepted: 50, replayed: 50, rejected: 0, rejections: [] });
    const server = start(folder, 'serve', '--port', '0');
    await serving(server);
    const held = await run(folder, 'ingest', 'copy.ndjson');
    expect(held.out).toBe('accepted 50, rejected 0\n');
    expect(held.err).toContain('50 events were ingested before');
    const stat = await run(folder, 'log', 'stat', '--json');
    expect(JSON.parse(stat.out).records).toBe(COUNT);
    server.kill('SIGKILL');
    await server.exited;
    expect((await run(folder, 'ingest', '--again', 'copy.ndjson')).err).toBe('');
    expect(JSON.parse((await run(folder, 'log', 'stat', '--json')).out).records).toBe(COUNT + 50);
  });
});

describe('log', () => {
  test('stat says what is there', async () => {
    const folder = await filled();
    const { out } = await run(folder, 'log', 'stat', '--json');
    const found = JSON.parse(out);
    expect(found).toMatchObject({ clock: 'event, max_jump 31d', records: COUNT });
    expect(found.segments.length).toBeGreaterThan(5);
    expect(found.segments.reduce((sum: number, each: { records: number }) => sum + each.records, 0)).toBe(COUNT);
    expect(found.last_arrival >= found.first_arrival).toBe(true);
    expect((await run(folder, 'log', 'stat')).out).toContain(`${COUNT} records, ${found.bytes} bytes`);
  });

  test('cat gives lines back as they were, from and to a position, of some types', async () => {
    const folder = await filled();
    expect((await run(folder, 'log', 'cat')).out).toBe(lines(0, COUNT));
    expect((await run(folder, 'log', 'cat', '--from', '73', '--to', '222')).out).toBe(lines(73, 222));
    expect((await run(folder, 'log', 'cat', '--from', '500')).out).toBe('');
    const views = Array.from({ length: COUNT }, (_, n) => n).filter(n => n % 3 === 2);
    expect((await run(folder, 'log', 'cat', '--types', 'view')).out).toBe(views.map(line).join(''));
    expect((await run(folder, 'log', 'cat', '--types', 'view,sale', '--to', '9')).out).toBe(lines(0, 9));
    const wrong = await run(folder, 'log', 'cat', '--from', '-1');
    expect([wrong.code, wrong.err]).toEqual([64, expect.stringContaining('wanted a position')]);
  });

  test('verify finds damage, and says in which file at which byte', async () => {
    const folder = await filled();
    expect(await run(folder, 'log', 'verify')).toMatchObject({ code: 0, err: '' });
    const names = await segments(folder);
    const damaged = join(folder, 'data/log', names[1]!);
    const bytes = await readFile(damaged);
    const middle = bytes.length >> 1;
    await writeFile(
      damaged,
      Buffer.concat([bytes.subarray(0, middle), Buffer.from('???'), bytes.subarray(middle + 3)]),
    );
    await rm(join(folder, 'data/log', names[3]!));
    const { code, err } = await run(folder, 'log', 'verify');
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`${names[1]}:\\d+: `));
    expect(err).toContain(`${names[4]} follows `);
    const report = JSON.parse((await run(folder, 'log', 'verify', '--json')).out);
    expect(report.ok).toBe(false);
    expect(report.damages.length).toBeGreaterThan(1);
    expect(report.damages[0].file).toEndWith(names[1]!);
    const whole = await run(folder, 'verify');
    expect([whole.code, whole.err]).toEqual([1, expect.stringContaining(names[1]!)]);
    const opened = await run(folder, 'lookup', 'shop', 's1');
    expect([opened.code, opened.err]).toEqual([1, expect.stringContaining(`${names[4]} follows `)]);
  });

  test('an unfinished write at the end is no damage', async () => {
    const folder = await filled();
    const last = join(folder, 'data/log', (await segments(folder)).at(-1)!);
    const size = (await stat(last)).size;
    await truncate(last, size - 10);
    const { code, err } = await run(folder, 'log', 'verify');
    expect([code, err]).toEqual([0, expect.stringMatching(/\.ndjson:\d+: an unfinished write/)]);
  });
});

describe('verify and rebuild', () => {
  test('what is right is right, with memory for a fraction of it', async () => {
    const folder = await filled();
    const { code, out, err } = await run(folder, 'verify');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/segments, 400 records: whole\n\d+ rows up to record 400: what the log makes\n$/);
    expect((await readdir(join(folder, 'data'))).filter(name => name.includes('refold'))).toEqual([]);
  });

  test('rows of an older version are folded anew by whoever opens the folder, and refused by who only looks', async () => {
    const folder = await filled();
    const lookup = (await run(folder, 'lookup', 'shop', 's1', 's2', '--json')).out;
    const errors = (await run(folder, 'errors', '--json')).out;
    const db = new Database(sqlite(folder));
    db.run('UPDATE rows_state SET version = 2');
    db.close();
    const refused = await run(folder, 'verify');
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('rows of version 2')]);
    const again = await run(folder, 'lookup', 'shop', 's1', 's2', '--json');
    expect([again.code, again.out]).toEqual([0, lookup]);
    expect(again.err).toContain('the rows are of an older version: folding the log anew');
    expect((await run(folder, 'errors', '--json')).out.replaceAll(/"id":\d+/g, '')).toBe(
      errors.replaceAll(/"id":\d+/g, ''),
    );
    expect((await run(folder, 'verify')).code).toBe(0);
  });

  test('rows that differ, are missing or too many, and errors that are gone, are told, and made anew', async () => {
    const folder = await filled();
    const lookup = (await run(folder, 'lookup', 'shop', 's1', 's2', '--json')).out;
    const db = new Database(sqlite(folder));
    const store = sqliteStore(db, packKernel());
    const mark = store.mark();
    const rows = [...store.scan()];
    const [one, two] = rows.filter(({ levelMs }) => levelMs === 0);
    const isOf = ({ key, levelMs }: Row, shop: string) => levelMs === 0 && Buffer.from(key).toString() === shop;
    store.clear();
    store.commit(
      [
        ...rows.filter(row => !isOf(row, 's5')),
        { ...one!, value: two!.value },
        { ...two!, value: Buffer.from('what') },
        { ...one!, key: Buffer.from('s9'), value: Buffer.from([0x0a]) },
      ],
      mark,
    );
    store.close();
    db.query('DELETE FROM errors WHERE id = 2').run();
    db.close();
    const { code, err } = await run(folder, 'verify');
    expect(code).toBe(1);
    expect(err).toMatch(/the row of shop s0, level lifetime, tile - is not what the log makes: \d aggregates differ/);
    expect(err).toMatch(/the row of shop s1, level lifetime, tile - (cannot be decoded|is not in canonical form)/);
    expect(err).toContain('the row of shop s5, level lifetime, tile - is missing');
    expect(err).toContain('the row of shop s9, level lifetime, tile - is there, and the log makes no such row');
    expect(err).toContain('the errors of events are not those');
    expect(err).toContain('tilefold rebuild --from-log');
    const report = JSON.parse((await run(folder, 'verify', '--json')).out);
    expect(report).toMatchObject({ ok: false, log: { ok: true }, rows: { differing: 4, errors_differ: true } });
    const rebuilt = await run(folder, 'rebuild', '--from-log', '--json');
    expect([rebuilt.code, JSON.parse(rebuilt.out)]).toEqual([0, { records: COUNT }]);
    expect((await run(folder, 'verify')).code).toBe(0);
    expect((await run(folder, 'lookup', 'shop', 's1', 's2', '--json')).out).toBe(lookup);
  });

  test('a database that cannot be read is named with what mends it, put aside and made anew', async () => {
    const folder = await filled();
    const lookup = (await run(folder, 'lookup', 'shop', 's1', 's2', '--json')).out;
    await writeFile(sqlite(folder), 'this was a database once'.repeat(400));
    for (const words of [['lookup', 'shop', 's1'], ['verify']]) {
      const { code, err } = await run(folder, ...words);
      expect([words, code, err]).toEqual([
        words,
        1,
        expect.stringMatching(/tilefold\.db: .*`tilefold rebuild --from-log`/),
      ]);
    }
    const rebuilt = await run(folder, 'rebuild', '--from-log');
    expect(rebuilt.err).toContain('it is put aside as');
    expect([rebuilt.code, rebuilt.out]).toEqual([0, `${COUNT} records folded anew\n`]);
    expect((await run(folder, 'verify')).code).toBe(0);
    expect((await run(folder, 'lookup', 'shop', 's1', 's2', '--json')).out).toBe(lookup);
  });

  test('so is one with damaged pages: verify says at which byte', async () => {
    const folder = await filled();
    const bytes = await readFile(sqlite(folder));
    const table = bytes.length / 4096 - 6;
    await writeFile(sqlite(folder), bytes.fill(0xee, table * 4096, (table + 4) * 4096));
    const { code, err } = await run(folder, 'verify');
    expect([code, err]).toEqual([1, expect.stringMatching(/tilefold\.db:\d+: .*[Pp]age \d+/)]);
    expect(err).toContain('`tilefold rebuild --from-log` makes');
    expect((await run(folder, 'rebuild', '--from-log')).code).toBe(0);
    expect((await run(folder, 'verify')).code).toBe(0);
  });

  test('a rebuild that is killed goes on with the next command that opens the folder', async () => {
    const folder = await filled();
    const lookup = (await run(folder, 'lookup', 'shop', 's1', 's2', '--json')).out;
    for (const delayMs of [150, 200, 250, 300]) {
      const rebuild = start(folder, 'rebuild', '--from-log');
      await Bun.sleep(delayMs);
      rebuild.kill('SIGKILL');
      await rebuild.exited;
      expect((await run(folder, 'lookup', 'shop', 's1', 's2', '--json')).out).toBe(lookup);
      expect((await run(folder, 'verify')).err).toBe('');
    }
  });

  test('beside a server they say that it has to stop', async () => {
    const folder = await filled();
    const server = start(folder, 'serve', '--port', '0');
    await serving(server);
    for (const words of [['verify'], ['rebuild', '--from-log']]) {
      const { code, err } = await run(folder, ...words);
      expect([code, err]).toEqual([1, expect.stringContaining('stop it first')]);
    }
    expect((await run(folder, 'log', 'verify')).code).toBe(0);
    server.kill('SIGKILL');
    await server.exited;
  });
});
