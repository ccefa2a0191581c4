/** Replays in jobs as the command line runs them: in threads, stopped and damaged. */
import { describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Runs } from '../../src/cli/runs/runs.ts';
import { kernelsDigest } from '../../src/kernel/instance.ts';
import { outputsOf, PATHS } from '../../src/replay/manifest.ts';
import { dataFolders, HOW } from '../replay/data_folder.ts';
import { toldOf } from '../replay/runs.ts';

const dataFolder = dataFolders();

/** Counts the threads that are begun from now on and have not ended. */
function openThreads() {
  const { Worker } = globalThis;
  const threads = {
    open: 0,
    [Symbol.dispose]() {
      globalThis.Worker = Worker;
    },
  };
  globalThis.Worker = class extends Worker {
    constructor(...of: ConstructorParameters<typeof Worker>) {
      super(...of);
      threads.open++;
      this.addEventListener('close', () => threads.open--);
    }
  };
  return threads;
}

describe('a replay in threads', () => {
  test('gives what one in one piece gives, and the next one takes all of it', async () => {
    const { runs, request, whole } = await dataFolder();
    const first = await runs.plan(await request(), null);
    const told: number[][] = [];
    await runs.run(first.folder, HOW, (done, total) => told.push([done, total]));
    const total = first.manifest.jobs.length;
    expect(told).toEqual(Array.from({ length: total + 1 }, (_, done) => [done, total]));
    expect(toldOf(first.folder, first.manifest)).toEqual(await whole(first.manifest));
    const again = await runs.plan(await request(), null);
    expect(again.manifest.jobs).toEqual([]);
    expect(toldOf(again.folder, again.manifest)).toEqual(toldOf(first.folder, first.manifest));
    expect(runs.list().replays.map(({ state }) => state)).toEqual(['done', 'planned']);
    // Other kernels are another engine, of the same version too.
    expect(first.manifest.engine).toEndWith((await kernelsDigest()).slice(0, 16));
  });

  test('stopped after any job it goes on from there; what was done is not done again', async () => {
    const { runs, request, whole } = await dataFolder(600);
    const { folder, manifest } = await runs.plan(await request(), null);
    using threads = openThreads();
    let seen = 0;
    for (let isDone = false, round = 0; !isDone && round < manifest.jobs.length; round++) {
      const stop = Promise.withResolvers<void>();
      const before = seen;
      const tell = (done: number) => {
        seen = Math.max(seen, done);
        if (done >= before + 6) stop.resolve();
      };
      try {
        await runs.run(folder, { ...HOW, stopped: stop.promise }, tell);
        isDone = true;
      } catch (error) {
        expect(String(error)).toContain(`was stopped with`);
        expect(runs.show(folder).state).toBe('cancelled');
        expect(threads.open).toBe(0);
        expect(runs.show(folder).jobs.done).toBeGreaterThanOrEqual(before);
      }
    }
    expect(runs.show(folder).state).toBe('done');
    expect(toldOf(folder, manifest)).toEqual(await whole(manifest));
  });

  test('with more events, and with one of many definitions changed, it is as a clean one', async () => {
    const { runs, request, whole, save, folder } = await dataFolder(400);
    await runs.run((await runs.plan(await request(), null)).folder, HOW, () => {});
    await save(800);
    const more = await runs.plan(await request(), null);
    await runs.run(more.folder, HOW, () => {});
    expect(toldOf(more.folder, more.manifest)).toEqual(await whole(more.manifest));
    const path = join(folder, 'features/login.scowl');
    writeFileSync(path, readFileSync(path, 'utf8').replace('fails_10m >= 3', 'fails_10m >= 1'));
    const changed = await runs.plan(await request(), null);
    expect(changed.manifest.reused.length).toBeGreaterThan(20);
    expect(changed.manifest.jobs.length).toBeGreaterThan(3);
    await runs.run(changed.folder, HOW, () => {});
    expect(toldOf(changed.folder, changed.manifest)).toEqual(await whole(changed.manifest));
  });

  test('a job that fails says what it was to make, and fails only what needs it', async () => {
    const { runs, request } = await dataFolder(300);
    const { folder, manifest } = await runs.plan(await request({ patterns: ['login.user', 'payment.*'] }), null);
    const [payment] = manifest.timelines[0]!.types.filter(({ type }) => type === 'payment');
    rmSync(join(PATHS.chunks(folder), `${payment!.chunks[0]!.hash}.ndjson.zst`));
    const failed = await runs.run(folder, HOW, () => {}).then(() => '', String);
    expect(failed).toMatch(/job \d+ \(.*payment\.user.*\): .*is gone.*more need what was to be made there/s);
    const { state, failed: reasons, jobs } = runs.show(folder);
    expect(state).toBe('failed');
    expect(reasons.map(({ reason }) => reason).join()).toContain('is gone');
    // All that is of logins alone is there.
    const ofLogins = manifest.jobs.filter(({ event }) => event === 'login');
    expect(jobs.done).toBeGreaterThanOrEqual(ofLogins.length);
  });
});

test('a job is refused before what it needs is there', async () => {
  const { runs, request, folder } = await dataFolder(100);
  const { manifest } = await runs.plan(await request(), join(folder, 'plan'));
  const last = manifest.jobs.at(-1)!;
  await expect(runs.job(join(folder, 'plan'), last.number, 2 ** 28)).rejects.toThrow(/needs what job \d+ makes/);
  await expect(runs.finish(join(folder, 'plan'))).rejects.toThrow('jobs are not done: 0, 1');
  expect(() => runs.results(join(folder, 'plan'))).toThrow('is planned: 0 of');
});

test('two replays at once over one cache, which lets everything go, are as one alone', async () => {
  const { config, request, whole } = await dataFolder(300);
  const small = await Runs.open({ ...config, replays: { ...config.replays, cacheBytes: 1 } });
  const both = await Promise.all([small.plan(await request(), null), small.plan(await request(), null)]);
  await Promise.all(both.map(({ folder }) => small.run(folder, { ...HOW, workers: 1 }, () => {})));
  for (const { folder, manifest } of both) expect(toldOf(folder, manifest)).toEqual(await whole(manifest));
  expect(small.cache.entries()).toEqual([]);
  expect(readdirSync(join(config.replays.dir, 'cache'))).toEqual([]);
});

test('a column that is damaged is told and made again, in the cache and among those that are done', async () => {
  const { runs, request, whole, config } = await dataFolder(300);
  const first = await runs.plan(await request(), null);
  await runs.run(first.folder, HOW, () => {});
  const told = await whole(first.manifest);
  const entry = join(config.replays.dir, 'cache', `${first.manifest.files['payment.hold']!}.column`);
  damage(entry, bytes => bytes.subarray(0, bytes.length - 5));
  const again = await runs.plan(await request(), null);
  expect(again.damaged).toEqual(['payment.hold']);
  expect(again.manifest.jobs.flatMap(({ columns }) => columns)).toEqual(['payment.hold']);
  await runs.run(again.folder, HOW, () => {});
  expect(toldOf(again.folder, again.manifest)).toEqual(told);

  runs.cache.clear();
  const { folder, manifest } = await runs.plan(await request(), null);
  const stop = Promise.withResolvers<void>();
  const stopped = runs.run(folder, { ...HOW, stopped: stop.promise }, done => done >= 8 && stop.resolve());
  await expect(stopped).rejects.toThrow('was stopped');
  const made = manifest.jobs.flatMap(job => outputsOf(manifest, job, folder)).find(({ path }) => existsSync(path))!;
  damage(made.path, bytes => bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 4));
  const notes: string[] = [];
  await runs.run(folder, { ...HOW, note: text => notes.push(text) }, () => {});
  expect(notes).toEqual([expect.stringMatching(/is damaged at byte \d+: .*; it is computed again$/)]);
  expect(toldOf(folder, manifest)).toEqual(told);
});

/** As a file of its own: what is linked to it elsewhere stays. */
function damage(path: string, change: (bytes: Uint8Array) => Uint8Array) {
  const bytes = readFileSync(path);
  rmSync(path);
  writeFileSync(path, change(bytes));
}

test('what was cut off while it was planned is nobody`s, and leaves', async () => {
  const { runs, request, config } = await dataFolder(100);
  const folder = join(config.replays.dir, 'runs/20260101-000000-abcd');
  mkdirSync(folder, { recursive: true });
  const state = (startTicks: string) =>
    writeFileSync(
      join(folder, 'state.json'),
      JSON.stringify({ state: 'planned', by: { pid: process.pid, startTicks }, failed: [], work: null }),
    );
  // A process of that number there is, but another one.
  state('1');
  await expect(runs.plan(await request({ patterns: ['no such'] }), null)).rejects.toThrow('no feature is called');
  expect(readdirSync(join(config.replays.dir, 'runs'))).toEqual([]);
});

/** What another version or a damage makes of the files of a replay, and what is said of it. */
const UNREADABLE: [file: string, change: (text: string) => string, wanted: RegExp][] = [
  ['manifest.json', text => text.replace('"format": 3', '"format": 2'), /manifest\.json was made by another version/],
  ['manifest.json', text => text.slice(0, text.length >> 1), /manifest\.json cannot be read: /],
  ['manifest.json', () => 'null', /manifest\.json cannot be read: it is no manifest/],
  ['manifest.json', text => text.replace('"jobs"', '"jbs"'), /manifest\.json cannot be read: something/],
  ['manifest.json', text => text.replace('"needs"', '"neds"'), /manifest\.json cannot be read: something/],
  ['plan.json', text => text.slice(1), /runs\/.*plan\.json cannot be read: /],
  ['state.json', text => text.slice(0, -1), /state\.json cannot be read: .*not done again/],
  ['state.json', text => text.replace('"planned"', '"pland"'), /state\.json cannot be read: state: /],
  [
    'state.json',
    text => text.replace('"failed":[]', '"failed":[{"job":99999,"reason":""}]'),
    /state\.json cannot be read: no such job/,
  ],
];

test('of replays, those that cannot be read are named beside the others, and can be deleted', async () => {
  const { runs, request, config } = await dataFolder(60);
  const wanted = await request({ patterns: ['login.user'] });
  const whole = (await runs.plan(wanted, null)).manifest.id;
  for (const [file, change, reason] of UNREADABLE) {
    const { folder, manifest } = await runs.plan(wanted, null);
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    expect(change(text)).not.toBe(text);
    writeFileSync(path, change(text));
    const found = { id: manifest.id, folder, reason: expect.stringMatching(reason) };
    const { replays, unreadable } = runs.list();
    expect([replays.map(({ id }) => id), unreadable]).toEqual([[whole], [found]]);
    expect(runs.page({ after: null, limit: 5 }).unreadable).toEqual([found]);
    expect(() => runs.show(manifest.id)).toThrow(reason);
    runs.remove(manifest.id);
    expect(existsSync(folder)).toBe(false);
  }
  // Whoever works on one is known by its state alone.
  const { folder, manifest } = await runs.plan(wanted, null);
  writeFileSync(PATHS.manifest(folder), '{');
  const by = JSON.stringify({ pid: process.pid, startTicks: null });
  writeFileSync(join(folder, 'state.json'), `{"state":"running","by":${by},"failed":[],"work":null}`);
  expect(() => runs.remove(manifest.id)).toThrow('is running: cancel it first');
  writeFileSync(join(config.replays.dir, 'runs/20260101-000000-abcd'), 'no folder at all');
  expect(runs.list().unreadable.map(({ id }) => id)).toEqual([manifest.id]);
});
