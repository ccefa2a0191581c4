/** Replays over HTTP: started, followed, stopped, resumed and read; the same ones as the command line's. */
import { afterAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { folderTexts, withBranches } from '../../src/cli/branches.ts';
import { openReplaying, type Replaying } from '../../src/cli/runs/replay_service.ts';
import { Runs } from '../../src/cli/runs/runs.ts';
import { Fault } from '../../src/base/fault.ts';
import { ReplayQueue } from '../../src/cli/runs/replay_queue.ts';
import { LIMITS } from '../../src/http/limits.ts';
import type { ReplayJson } from '../../src/http/replays.ts';
import { appWith, ORIGIN, post, problemIn } from '../http/told.ts';
import { dataFolders } from '../replay/data_folder.ts';

const dataFolder = dataFolders();
const opened: Replaying[] = [];
afterAll(async () => {
  for (const each of opened) await each.close();
});

/** A server's replays over a data folder with some events as the timeline `all`. */
async function server(eventCount: number) {
  const data = await dataFolder(eventCount);
  const { plan } = await data.request();
  const notes: string[] = [];
  const replaying = await openReplaying(
    data.config,
    () => plan,
    text => notes.push(text),
  );
  opened.push(replaying);
  const { app } = appWith({ replays: replaying.service });
  const ask = (path: string, accept = 'application/json', method = 'GET') =>
    app.request(new Request(`${ORIGIN}/v1/replays${path}`, { method, headers: { accept } }));
  const start = async (body: object) => {
    const response = await app.request(post('/v1/replays', JSON.stringify({ timelines: ['all'], ...body })));
    expect([response.status, response.status === 202 ? '' : await response.clone().text()]).toEqual([202, '']);
    return (await response.json()) as ReplayJson;
  };
  const show = async (id: string) => (await (await ask(`/${id}`)).json()) as ReplayJson;
  return { ...data, replaying, app, ask, start, show, notes };
}

/** What is said of a replay until nobody works on it any more: the names of events, and their data. */
async function followed(response: Response): Promise<[string, ReplayJson][]> {
  const text = await response.text();
  return Array.from(text.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm), ([, name, data]) => [name!, JSON.parse(data!)]);
}

describe('a replay over HTTP', () => {
  test('is followed to its end, and gives its events in every format', async () => {
    const { start, ask, show, folder } = await server(600);
    const made = await start({ features: ['login.*', 'payment.amount', 'payment.hold'] });
    expect(['waiting', 'running']).toContain(made.state);
    const said = await followed(await ask(`/${made.id}/progress`));
    expect(said.slice(0, -1).every(([name]) => name === 'progress')).toBe(true);
    const [last, state] = said.at(-1)!;
    expect([last, state.state, state.jobs.done]).toEqual(['end', 'done', made.jobs.total]);
    expect(state.progress).toBe(`${made.jobs.total} of ${made.jobs.total} jobs completed`);
    expect(state.stages.reduce((sum, { total }) => sum + total, 0)).toBe(made.jobs.total);

    // The command line, which is another process, shows the same.
    const shown = (...words: string[]) =>
      Bun.spawnSync([process.execPath, join(import.meta.dir, '../../src/main.ts'), 'replay', ...words], {
        cwd: folder,
      }).stdout.toString();
    expect(JSON.parse(shown('show', made.id, '--json'))).toEqual(await show(made.id));
    const lines = shown('events', made.id, 'login').trim().split('\n');
    const got = async (accept: string) => {
      const response = await ask(`/${made.id}/events/login`, accept);
      expect([response.status, response.headers.get('content-type')]).toEqual([200, accept]);
      return response.arrayBuffer();
    };
    const text = async (accept: string) => new TextDecoder().decode(await got(accept));
    expect((await text('application/x-ndjson')).trim().split('\n')).toEqual(lines);
    const rows = lines.map(line => JSON.parse(line) as Record<string, unknown>);
    expect(rows.length).toBeGreaterThan(100);
    expect((await text('text/csv')).split('\n').length).toBe(rows.length + 2);
    for (const kind of ['stream', 'file']) {
      const table = tableFromIPC(await got(`application/vnd.apache.arrow.${kind}`));
      expect(table.numRows).toBe(rows.length);
      for (const [i, row] of rows.entries())
        for (const [name, value] of Object.entries(row)) {
          if (typeof value !== 'number' && typeof value !== 'boolean') continue;
          const cell: unknown = table.getChild(name)!.get(i);
          expect([i, name, typeof cell === 'bigint' ? Number(cell) : cell]).toEqual([i, name, value]);
        }
    }
    const parquet = await parquetReadObjects({ file: await got('application/vnd.apache.parquet'), compressors });
    expect(parquet.map(({ _id }) => _id)).toEqual(rows.map(({ _id }) => _id) as never);

    const pages: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const response: Response = await ask(`/${made.id}/events/login?limit=97${after && `&after=${after}`}`);
      const body = (await response.json()) as { events: unknown[]; next: string | null };
      expect(body.events.length).toBeLessThanOrEqual(97);
      pages.push(...body.events.map(event => JSON.stringify(event)));
      after = body.next;
    }
    expect(pages).toEqual(rows.map(row => JSON.stringify(row)));
  });

  test('gives its errors, page by page as all at once, and of some events more than one', async () => {
    const data = await server(300);
    const path = join(data.folder, 'features/faulty.scowl');
    const faulty = ['a', 'b', 'c'].map(name => `${name}_at := $.user as int`).join('\n');
    writeFileSync(path, `event login\n${faulty}\n`);
    const { texts, settings } = await folderTexts(join(data.folder, 'features'), data.config);
    await withBranches(data.config, branches =>
      branches.save({ name: 'odd', texts, settings, author: 'ada', message: 'why' }),
    );
    const made = await data.start({ branch: 'odd', features: ['login.*_at'] });
    expect(made.definitions).toBe('branch odd@1');
    await followed(await data.ask(`/${made.id}/progress`));
    const all = (await (await data.ask(`/${made.id}/errors/login`, 'application/x-ndjson')).text()).trim().split('\n');
    expect(all.length).toBeGreaterThan(20);
    expect(all.length % 3).toBe(0);
    // Pages that begin and end within the errors of one event too.
    for (const limit of [7, 2]) {
      const pages: string[] = [];
      for (let after: string | null = ''; after !== null; ) {
        const query = `limit=${limit}${after && `&after=${after}`}`;
        const response: Response = await data.ask(`/${made.id}/errors/login?${query}`);
        const body = (await response.json()) as { errors: unknown[]; next: string | null };
        pages.push(...body.errors.map(error => JSON.stringify(error)));
        after = body.next;
      }
      expect(pages).toEqual(all);
    }
  });
});

describe('several at once', () => {
  test('wait for each other; one that waits can be cancelled, and what a server leaves can be resumed', async () => {
    const { start, ask, show, replaying, config, request } = await server(600);
    const first = await start({});
    const [second, third] = [await start({}), await start({})];
    expect((await show(third.id)).state).toBe('waiting');
    const [oldest, between, newest] = [first, second, third].map(({ id }) => id).sort() as [string, string, string];
    const page = async (query: string) => {
      const { replays, next } = (await (await ask(query)).json()) as { replays: { id: string }[]; next: string | null };
      return [replays.map(({ id }) => id), next];
    };
    expect(await page('?limit=2')).toEqual([[newest, between], between]);
    expect(await page(`?limit=1&after=${between}`)).toEqual([[oldest], null]);
    expect((await ask(`/${third.id}`, '', 'DELETE')).status).toBe(409);
    expect((await ask(`/${third.id}/resume`, '', 'POST')).status).toBe(409);
    // As the command line does it.
    (await Runs.open(config)).cancel(third.id);
    expect((await show(third.id)).state).toBe('cancelled');
    await replaying.close();
    const left = [await show(first.id), await show(second.id)];
    expect(left.map(({ state }) => state)).toEqual(['interrupted', 'interrupted']);
    expect((await problemIn(await ask(`/${first.id}/resume`, '', 'POST'))).detail).toContain('shutting down');

    const { plan } = await request();
    const next = await openReplaying(
      config,
      () => plan,
      () => {},
    );
    opened.push(next);
    const { app } = appWith({ replays: next.service });
    const call = (path: string, method = 'POST') =>
      app.request(new Request(`${ORIGIN}/v1/replays${path && `/${path}`}`, { method }));
    for (const id of [first.id, second.id]) expect((await call(`${id}/resume`)).status).toBe(202);
    for (const id of [first.id, second.id])
      expect((await followed(await call(`${id}/progress`, 'GET'))).at(-1)![1].state).toBe('done');
    expect((await call(`${first.id}/resume`)).status).toBe(409);
    expect((await call(`${first.id}/cancel`)).status).toBe(409);
    writeFileSync(join(config.replays.dir, 'runs', third.id, 'manifest.json'), '{"format":1}');
    const listed = (await (await call('', 'GET')).json()) as {
      replays: { id: string }[];
      unreadable: { id: string }[];
    };
    expect(listed.replays.map(({ id }) => id)).not.toContain(third.id);
    expect(listed.unreadable.map(({ id }) => id)).toEqual([third.id]);
    expect((await call(third.id, 'DELETE')).status).toBe(200);
    expect((await call(third.id, 'GET')).status).toBe(404);
  });

  test('are refused beyond the limit, by its name', async () => {
    const { runs } = await dataFolder(60);
    const queue = new ReplayQueue(runs, { workers: 1, memoryBytes: 2 ** 28, note() {} });
    const planned = Promise.withResolvers<string>();
    const all = Array.from({ length: LIMITS.replays_waiting.value }, () => queue.add(() => planned.promise));
    await expect(queue.add(() => planned.promise)).rejects.toThrow('the limit replays_waiting is 16');
    planned.reject(new Fault('not_found', 'no timeline'));
    for (const one of await Promise.allSettled(all)) expect(one.status).toBe('rejected');
    // What could not be planned takes no place.
    await expect(queue.add(() => Promise.reject(new Fault('request', 'again')))).rejects.toThrow('again');
    await queue.close();
  });

  test('one that is cancelled while it is computed stops, and goes on where it was', async () => {
    const { start, ask, show } = await server(600);
    const { id } = await start({});
    const response = await ask(`/${id}/cancel`, '', 'POST');
    expect(response.status).toBe(202);
    const [, end] = (await followed(await ask(`/${id}/progress`))).at(-1)!;
    expect(end.state).toBe('cancelled');
    await ask(`/${id}/resume`, '', 'POST');
    await followed(await ask(`/${id}/progress`));
    expect((await show(id)).state).toBe('done');
  });
});

describe('what there is not', () => {
  test('is told with what may be meant', async () => {
    const { app, config } = await server(60);
    const settings = { latenessMs: 0, dialect: 'duckdb' };
    const texts = [{ file: 'b.scowl', text: 'event login\nx := nothing\n' }];
    await withBranches(config, async branches => {
      for (const name of ['risk', 'broken'])
        await branches.save({ name, texts, settings, author: 'ada', message: 'why' });
    });
    for (const [body, status, wanted] of [
      [{ features: ['login.usr'] }, 404, 'no feature is called login.usr; did you mean "login.user"?'],
      [{ timelines: ['al'] }, 404, 'there is no timeline al; did you mean "all"?'],
      [{ branch: 'rsk' }, 404, 'there is no branch rsk; did you mean "risk"?'],
      [{ branch: 'broken' }, 422, 'broken@1/b.scowl:2:6: '],
      [{ start: 'now' }, 400, 'start: got now, wanted an RFC 3339 time'],
      [{ feature: [] }, 400, 'feature'],
    ] as const) {
      const response = await app.request(post('/v1/replays', JSON.stringify({ timelines: ['all'], ...body })));
      const { detail } = await problemIn(response);
      expect([response.status, detail]).toEqual([status, expect.stringContaining(wanted)]);
    }
  });

  test('nor are folders replays over HTTP, wherever they are', async () => {
    const { runs, request, ask, folder, start } = await server(60);
    runs.plan(await request({ patterns: ['login.user'] }), join(folder, 'elsewhere'));
    for (const id of [join(folder, 'elsewhere'), '..', 'elsewhere', '']) {
      const response = await ask(`/${encodeURIComponent(id)}/events/login`);
      expect([id, response.status]).toEqual([id, 404]);
    }
    const { id } = await start({ features: ['login.user'] });
    await followed(await ask(`/${id}/progress`));
    const near = `${id.slice(0, -1)}x`;
    expect((await problemIn(await ask(`/${near}`))).detail).toContain(`did you mean "${id}"?`);
    expect((await problemIn(await ask(`/${id}/events/logn`))).detail).toContain('did you mean "login"?');
    expect((await ask(`/${id}/events/login?after=x`)).status).toBe(400);
  });
});
