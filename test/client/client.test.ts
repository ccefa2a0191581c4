/** The client, run by Bun, Node, Deno and in a page against a server, and bundled for browsers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiText, buildClient } from '../../scripts/client.ts';
import { Client, ClientError } from '../../src/client/client.ts';
import { sentEvents } from '../../src/client/sent_events.ts';
import { appWith } from '../http/told.ts';
import { folders } from '../source/folder.ts';
import { openBrowser, servePage, tourInPage } from './page.ts';

const ROOT = join(import.meta.dir, '../..');
const MAIN = join(ROOT, 'src/main.ts');
const BUILT = join(ROOT, 'dist/client/client.js');
const newFolder = folders();
const browser = await openBrowser();

test('its types are those of the document of the API: `bun scripts/client.ts types` writes them', async () => {
  expect(readFileSync(join(ROOT, 'src/gen/api.ts'), 'utf8')).toBe(await apiText());
});

describe('server-sent events', () => {
  const read = async (...pieces: string[]) => {
    const bytes = pieces.map(piece => new TextEncoder().encode(piece));
    return Array.fromAsync(sentEvents(new Blob(bytes).stream()));
  };

  test('have names and data, whatever ends their lines', async () => {
    const wanted = [
      { name: 'progress', data: '{"a":1}' },
      { name: 'message', data: 'one\ntwo' },
    ];
    for (const end of ['\n', '\r\n', '\r'])
      expect(
        await read(
          ['event: progress', 'data: {"a":1}', 'id: 7', '', ': nothing', '', 'data:one', 'data: two', '', ''].join(end),
        ),
      ).toEqual(wanted);
  });

  test('are read as they come, cut anywhere; one that is not ended is none', async () => {
    const text = new TextEncoder().encode('event: é\r\ndata: ä\r\n\r\ndata: cut');
    for (let cut = 0; cut <= text.length; cut++) {
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const piece of [text.slice(0, cut), text.slice(cut)]) controller.enqueue(piece);
          controller.close();
        },
      });
      expect(await Array.fromAsync(sentEvents(stream))).toEqual([{ name: 'é', data: 'ä' }]);
    }
  });
});

describe('what is asked', () => {
  const { app, seen } = appWith();
  const client = new Client({
    url: 'http://localhost/',
    fetch: (async (url: string, init: RequestInit) => app.request(url, init)) as typeof fetch,
  });

  test('keeps all digits of keys, and is said where it cannot be', async () => {
    await client.lookUp({ features: ['a:b'], entities: { user: [9007199254740993n as never, 'x'] } });
    expect(seen.lookups.at(-1)!.entities).toEqual({ user: [9007199254740993n, 'x'] });
  });

  test('has names of paths in their place, and refusals as they were told', async () => {
    const refused = await client.call('showFeatureSet', { path: { name: 'a/b c' } }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ClientError);
    expect(refused).toMatchObject({
      status: 404,
      problem: { code: 'not_found' },
      message: expect.stringContaining('a/b c'),
    });
  });

  test('a reply of somebody between is told too', async () => {
    const proxied = new Client({
      url: 'http://x',
      fetch: (async () => new Response('<h1>no', { status: 502 })) as unknown as typeof fetch,
    });
    await expect(proxied.listTimelines()).rejects.toThrow('502: <h1>no');
  });
});

describe('each runtime', () => {
  let server: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  let url = '';
  let page: Awaited<ReturnType<typeof servePage>>;

  beforeAll(async () => {
    await buildClient(join(ROOT, 'dist/client'));
    page = await servePage();
    const folder = newFolder();
    mkdirSync(folder);
    cpSync(join(ROOT, 'examples/takeover/features'), join(folder, 'features'), { recursive: true });
    writeFileSync(join(folder, 'tilefold.yaml'), `log: { clock: event }\nserve: { origins: [${page.origin}] }\n`);
    const words = [process.execPath, MAIN, 'serve', '--port', '0', '--grace', '0s', '--log-level', 'error'];
    server = Bun.spawn(words, { cwd: folder, stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
    let said = '';
    for await (const chunk of server.stdout) {
      said += new TextDecoder().decode(chunk);
      url = / on (http\S+)/.exec(said)?.[1] ?? '';
      if (url !== '') break;
    }
  });

  afterAll(async () => {
    server.kill('SIGTERM');
    await server.exited;
    page.stop();
    await browser?.close();
  });

  const TOUR = join(import.meta.dir, 'tour.mjs');
  const tour = (name: string, ...words: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([...words, url, name], { cwd: ROOT, timeout: 60_000 });
    expect(`${exitCode} ${stderr}`).toStartWith('0 ');
    return JSON.parse(stdout.toString()) as Record<string, unknown>;
  };

  test.skipIf(browser === null)('a page of another origin gets what Bun gets', async () => {
    expect(await tourInPage(browser!, page.origin, url, 'page')).toEqual(
      tour('beside', process.execPath, TOUR, 'tilefold/client'),
    );
  });

  test('gets the same: Bun, Node and Deno', () => {
    const bun = tour('bun', process.execPath, TOUR, 'tilefold/client');
    expect(bun).toMatchObject({
      posted: 40,
      timeline: ['ready', 2, '2026-03-02T10:00:00.000001Z'],
      log: 'ready',
      feed: 'feed',
      timelines: 3,
      branch: [1, true, true],
      progress: ['done', 'N of N jobs completed'],
      types: {
        ...{ _id: 'Utf8', _type: 'Utf8', _time: 'Timestamp<MICROSECOND, UTC>', 'visit.user': 'Utf8' },
        ...{ 'visit.n': 'Int64', 'visit.at': 'Timestamp<MICROSECOND, UTC>', 'visit.visits': 'Int64' },
      },
      batches: 2,
      listed: 2,
      answer: 'not_found',
      state: 'done',
    });
    expect((bun.rows as string[][])[0]).toContain('9007199254740993');
    expect(bun.refused).toEqual([
      [404, 'not_found', 'no feature is called visit.visit; did you mean "visit.visits"?'],
      [404, 'not_found', 'there is no timeline NAMEs; did you mean "NAME"?'],
      [404, 'not_found', expect.stringContaining('there is no replay')],
      [null, null, expect.stringContaining('timeline NAME@2 could not be made: ')],
    ]);
    expect(tour('node', 'node', TOUR, 'tilefold/client')).toEqual(bun);
    const deno = ['deno', 'run', '--quiet', '--allow-net', '--allow-read', '--allow-env', '--node-modules-dir=manual'];
    expect(tour('deno', join(ROOT, 'node_modules/.bin', deno[0]!), ...deno.slice(1), TOUR, BUILT)).toEqual(bun);
  });
});

test('is typed for who installs it, and bundled for browsers', async () => {
  const folder = join(ROOT, 'dist/consumer');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    const text = `import { Client, type Replay } from 'tilefold/client';
const client = new Client({ url: '' });
const replay: Replay = await client.materialization('a').show();
export const done: number = replay.jobs.done;
// @ts-expect-error there is no such state
export const odd: 'odd' = replay.state;
`;
    writeFileSync(join(folder, 'consumer.ts'), text);
    const options = { module: 'nodenext', target: 'esnext', noEmit: true, strict: true, types: [], skipLibCheck: true };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['.'] }));
    const { exitCode, stdout } = Bun.spawnSync([join(ROOT, 'node_modules/.bin/tsc'), '--project', folder]);
    expect(`${exitCode} ${stdout}`).toBe('0 ');
    const { success, outputs } = await Bun.build({ entrypoints: [join(folder, 'consumer.ts')], target: 'browser' });
    expect(success).toBe(true);
    expect(await outputs[0]!.text()).not.toMatch(/from\s*"(node|bun):|require\("(node:)?(fs|stream|util)"\)/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
