/**
 * A log at scale from outside: uploaded while it is written, killed and started again, let go of by its folder, and taken
 * up on a machine that has nothing but the bucket.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../sim/random.ts';
import { CREDENTIALS, type Moto, motoOrSkip, startMoto } from '../source/moto.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
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
const TIMEOUT_MS = 300_000;
const KILLS = 4;

const program = motoOrSkip('a server with a bucket of S3');
const ran: Bun.Subprocess[] = [];
let root = '';
let moto: Moto;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tilefold-bucket-'));
  if (program !== null) moto = await startMoto(program);
}, TIMEOUT_MS);
afterAll(async () => {
  for (const each of ran) each.kill('SIGKILL');
  moto?.stop();
  await rm(root, { recursive: true });
});

async function newFolder(log: string, definitions = DEFINITIONS): Promise<string> {
  const folder = await mkdtemp(join(root, 'data-'));
  await mkdir(join(folder, 'features'));
  await writeFile(
    join(folder, 'tilefold.yaml'),
    `log: { segment: { bytes: 4KiB }, ${log} }\nfold: { memory: 1MiB, barrier: 20ms, workers: 0 }\n`,
  );
  await writeFile(join(folder, 'features/sales.yaml'), definitions);
  return folder;
}

function start(folder: string, ...words: string[]) {
  const env = { ...process.env, ...CREDENTIALS, LOG_LEVEL: 'warn' };
  const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, env, stdin: 'ignore', stderr: 'pipe' });
  ran.push(child);
  return child;
}

async function run(folder: string, ...words: string[]) {
  const child = start(folder, ...words);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

async function serve(folder: string) {
  const server = start(folder, 'serve', '--port', '0', '--grace', '0s');
  let said = '';
  for await (const chunk of server.stdout) {
    said += new TextDecoder().decode(chunk);
    const url = / on (http:\S+)/.exec(said)?.[1];
    if (url) return { server, url };
  }
  throw new Error(`the server ended and said: ${said} ${await new Response(server.stderr).text()}`);
}

const time = (n: number) => new Date(Date.now() - 60_000 + n).toISOString();
const sale = (n: number) => JSON.stringify({ type: 'sale', time: time(n), data: { shop: `s${n % 7}`, cents: n } });

async function post(url: string, from: number, to: number): Promise<void> {
  const body = Array.from({ length: to - from }, (_, i) => `${sale(from + i)}\n`).join('');
  const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': `${from}` };
  const { status } = await fetch(`${url}/v1/events`, { method: 'POST', headers, body });
  expect(status).toBe(202);
}

const lookup = (folder: string) =>
  run(folder, 'lookup', 'shop', 's1', 's2', 's6', '--json', '--feature', 'shops:n_lifetime', 'shops:sum_lifetime');
const valuesOf = (out: string) => (JSON.parse(out) as { entities: unknown }).entities;
const stat = async (folder: string) => JSON.parse((await run(folder, 'log', 'stat', '--json')).out);
const packed = async (folder: string) =>
  (await readdir(join(folder, 'data/log'))).filter(name => name.endsWith('.zst'));

describe.skipIf(program === null)('with a bucket', () => {
  test(
    'killed while it uploads and lets go, and started on an empty folder, it has all that was uploaded',
    async () => {
      await moto.make('sales');
      const log = `keep: { bytes: 8KiB }, s3: { bucket: sales, endpoint: "${moto.url}", region: us-east-1, prefix: one }`;
      const folder = await newFolder(log);
      const random = new Random(1);
      let count = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        const { server, url } = await serve(folder);
        for (let bodies = 0; bodies < 12; bodies++, count += 10) await post(url, count, count + 10);
        await Bun.sleep(random.below(150));
        server.kill('SIGKILL');
        await server.exited;
      }
      const uploaded = JSON.parse((await run(folder, 'log', 'upload', '--json')).out);
      expect(uploaded.uploaded).toBe(uploaded.closed);
      expect(uploaded.closed).toBeGreaterThan(8);
      // Segments leave while a process has the rows open too.
      const { server } = await serve(folder);
      while ((await packed(folder)).includes('00000000000000000000.ndjson.zst')) await Bun.sleep(20);
      server.kill('SIGTERM');
      expect(await server.exited).toBe(0);
      const before = await lookup(folder);
      const { segments, records } = await stat(folder);
      expect(records).toBe(count);
      const places = segments.map(({ where }: { where: string }) => where);
      expect([places[0], places.at(-1)]).toEqual(['bucket', 'folder']);
      expect((await packed(folder)).length).toBeLessThan(places.length - 1);
      expect((await run(folder, 'verify')).out).toContain(`rows up to record ${count}: what the log makes`);
      expect((await run(folder, 'rebuild', '--from-log')).out).toBe(`${count} records folded anew\n`);
      expect(valuesOf((await lookup(folder)).out)).toEqual(valuesOf(before.out));
      const cat = await run(folder, 'log', 'cat');
      expect(cat.out.split('\n').length - 1).toBe(count);
      expect((await run(folder, 'replay', '--features', '.', '--log', 'data/log', '--out', 'a.ndjson')).code).toBe(0);
      expect((await Bun.file(join(folder, 'a.ndjson')).text()).split('\n').length - 1).toBe(count);

      const other = await newFolder(log);
      const refused = await lookup(other);
      expect([refused.code, refused.err]).toEqual([
        1,
        expect.stringContaining('`tilefold log restore` goes on with it'),
      ]);
      const restored = JSON.parse((await run(other, 'log', 'restore', '--json')).out);
      expect(restored.restored).toBe(uploaded.closed);
      expect((await run(other, 'rebuild', '--from-log')).out).toBe(`${restored.end} records folded anew\n`);
      expect((await run(other, 'log', 'cat')).out).toBe(`${cat.out.split('\n').slice(0, restored.end).join('\n')}\n`);
      expect((await run(other, 'verify')).code).toBe(0);
      // Rows of the lost tail do not fit what is left.
      await rm(join(folder, 'data/log'), { recursive: true });
      expect((await run(folder, 'log', 'restore')).out).toContain('segments restored');
      expect((await lookup(folder)).err).toContain(
        `the rows contain ${count} records, the log has only ${restored.end}`,
      );
    },
    TIMEOUT_MS,
  );
});

test(
  'a log that no longer has its beginning says so to whoever would need that',
  async () => {
    const folder = await newFolder('keep: { bytes: 8KiB }');
    let count = 0;
    const files: string[] = [];
    for (let n = 0; n < 12; n++) {
      files.push(`${n}.ndjson`);
      await writeFile(join(folder, `${n}.ndjson`), Array.from({ length: 40 }, () => `${sale(count++)}\n`).join(''));
    }
    // Without keys, which would keep their segments for a day.
    await run(folder, 'ingest', '--again', ...files);
    const before = await lookup(folder);
    const { segments, records } = await stat(folder);
    const { first } = segments[0];
    expect([first > 0, records]).toEqual([true, count - first]);
    expect((await run(folder, 'log', 'cat')).out.split('\n').length - 1).toBe(count - first);
    expect((await run(folder, 'log', 'verify')).code).toBe(0);
    const verified = await run(folder, 'verify');
    expect([verified.code, verified.out]).toEqual([
      0,
      expect.stringContaining(`are not compared: they were folded from record 0 on, and the log begins with ${first}`),
    ]);
    const wanted = `from record 0 on, but the log begins with record ${first}, which arrived at 20`;
    const refused = await run(folder, 'rebuild', '--from-log');
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining(`the rows are to be folded ${wanted}`)]);
    await writeFile(join(folder, 'features/sales.yaml'), DEFINITIONS.replace('windows: [1h', 'windows: [2h'));
    const changed = await lookup(folder);
    expect([changed.code, changed.err]).toEqual([0, expect.stringContaining('are not those in force, which go on')]);
    expect(valuesOf(changed.out)).toEqual(valuesOf(before.out));
    await writeFile(join(folder, 'features/sales.yaml'), DEFINITIONS);
    // What was refused, and what was not applied, has changed nothing.
    expect(valuesOf((await lookup(folder)).out)).toEqual(valuesOf(before.out));
    expect((await run(folder, 'rebuild', '--from-log', '--rest')).out).toBe(`${count} records folded anew\n`);
    expect((await run(folder, 'verify')).out).toContain('what the log makes');
    const after = JSON.parse(
      (await run(folder, 'lookup', 'shop', 's1', '--json', '--feature', 'shops:n_lifetime')).out,
    );
    const s1 = Array.from({ length: count - first }, (_, i) => first + i).filter(n => n % 7 === 1).length;
    expect(after.entities.shop.features['shops:n_lifetime'].values).toEqual([s1]);
  },
  TIMEOUT_MS,
);
