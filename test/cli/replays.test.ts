/** Replays in jobs as the command line runs them: in threads, by processes of their own, stopped, killed and damaged. */
import { afterAll, describe, expect, test } from 'bun:test';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { loadConfig } from '../../src/cli/config.ts';
import { compileDefinitions } from '../../src/cli/definitions.ts';
import { type RunRequest, Runs } from '../../src/cli/runs.ts';
import { Timelines } from '../../src/cli/timelines.ts';
import { PATHS } from '../../src/replay/manifest.ts';
import { toldOf, toldWhole } from '../replay/runs.ts';
import { folders } from '../source/folder.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const EXAMPLE = join(import.meta.dir, '../../examples/takeover');
const newFolder = folders();
const NEVER = new Promise<void>(() => {});
const HOW = { workers: 2, memoryBytes: 2 ** 28, stopped: NEVER };
const opened: Timelines[] = [];
afterAll(() => {
  for (const each of opened) each.close();
});

/** A data folder with some events of the example as a timeline. */
async function dataFolder(eventCount = 1500) {
  const folder = newFolder();
  mkdirSync(folder);
  cpSync(join(EXAMPLE, 'features'), join(folder, 'features'), { recursive: true });
  cpSync(join(EXAMPLE, 'tilefold.yaml'), join(folder, 'tilefold.yaml'));
  const lines = gunzipSync(readFileSync(join(EXAMPLE, 'events.ndjson.gz')))
    .toString()
    .split('\n');
  const config = await loadConfig(join(folder, 'tilefold.yaml'));
  const timelines = await Timelines.open(config);
  opened.push(timelines);
  const save = async (count: number) => {
    writeFileSync(join(folder, 'events.ndjson'), lines.slice(0, count).join('\n'));
    const from = { kind: 'files' as const, paths: [join(folder, 'events.ndjson')], names: {} };
    const all = { types: null, startMicros: null, endMicros: null, lastMs: null, where: null };
    await timelines.create({ name: 'all', from, ...all });
  };
  await save(eventCount);
  const request = async (some: Partial<RunRequest> = {}): Promise<RunRequest> => ({
    plan: (await compileDefinitions(null, join(folder, 'tilefold.yaml'))).plan,
    ...{ definitions: 'features', patterns: null, stretch: { startMicros: null, endMicros: null }, workers: 2 },
    timelines: timelines.read([{ name: 'all', version: null }]).timelines,
    ...some,
  });
  const whole = async (manifest: Parameters<typeof toldWhole>[2]) =>
    toldWhole(join(config.timelines.dir, 'chunks'), (await request()).plan, manifest);
  return { folder, config, save, request, whole, runs: await Runs.open(config) };
}

describe('a replay in threads', () => {
  test('gives what one in one piece gives, and the next one takes all of it', async () => {
    const { runs, request, whole } = await dataFolder();
    const first = runs.plan(await request(), null);
    const told: number[][] = [];
    await runs.run(first.folder, HOW, (done, total) => told.push([done, total]));
    const total = first.manifest.jobs.length;
    expect(told).toEqual(Array.from({ length: total + 1 }, (_, done) => [done, total]));
    expect(toldOf(first.folder, first.manifest)).toEqual(await whole(first.manifest));
    const again = runs.plan(await request(), null);
    expect(again.manifest.jobs).toEqual([]);
    expect(toldOf(again.folder, again.manifest)).toEqual(toldOf(first.folder, first.manifest));
    expect(runs.list().map(({ state }) => state)).toEqual(['done', 'planned']);
  }, 60_000);

  test('stopped after any job it goes on from there; what was done is not done again', async () => {
    const { runs, request, whole } = await dataFolder(600);
    const { folder, manifest } = runs.plan(await request(), null);
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
        expect(runs.show(folder).jobs.done).toBeGreaterThanOrEqual(before);
      }
    }
    expect(runs.show(folder).state).toBe('done');
    expect(toldOf(folder, manifest)).toEqual(await whole(manifest));
  }, 60_000);

  test('with more events, and with one of many definitions changed, it is as a clean one', async () => {
    const { runs, request, whole, save, folder } = await dataFolder(400);
    await runs.run(runs.plan(await request(), null).folder, HOW, () => {});
    await save(800);
    const more = runs.plan(await request(), null);
    await runs.run(more.folder, HOW, () => {});
    expect(toldOf(more.folder, more.manifest)).toEqual(await whole(more.manifest));
    const path = join(folder, 'features/login.scowl');
    writeFileSync(path, readFileSync(path, 'utf8').replace('fails_10m >= 3', 'fails_10m >= 1'));
    const changed = runs.plan(await request(), null);
    expect(changed.manifest.reused.length).toBeGreaterThan(20);
    expect(changed.manifest.jobs.length).toBeGreaterThan(3);
    await runs.run(changed.folder, HOW, () => {});
    expect(toldOf(changed.folder, changed.manifest)).toEqual(await whole(changed.manifest));
  }, 60_000);

  test('a job that fails says what it was to make, and fails only what needs it', async () => {
    const { runs, request } = await dataFolder(300);
    const { folder, manifest } = runs.plan(await request({ patterns: ['login.user', 'payment.*'] }), null);
    const [payment] = manifest.timelines[0]!.types.filter(({ type }) => type === 'payment');
    rmSync(join(PATHS.chunks(folder), `${payment!.chunks[0]!.hash}.ndjson.zst`));
    const failed = await runs.run(folder, HOW, () => {}).then(() => '', String);
    expect(failed).toMatch(/job \d+ \(.*payment\.user.*\): .*is gone.*more need what was to be made there/s);
    const { state, errors, jobs } = runs.show(folder);
    expect(state).toBe('failed');
    expect(errors.join()).toContain('is gone');
    // All that is of logins alone is there.
    const ofLogins = manifest.jobs.filter(({ event }) => event === 'login');
    expect(jobs.done).toBeGreaterThanOrEqual(ofLogins.length);
  }, 60_000);
});

test('a shell does the jobs one by one, each in a process of its own', async () => {
  const { folder, runs } = await dataFolder(300);
  const out = join(folder, 'handed over');
  const script = `
    set -e
    tilefold() { "${process.execPath}" "${MAIN}" "$@"; }
    tilefold replay plan --timelines all --features 'payment.hold,login.guessed' --workers 1 --manifest '${out}' --json > plan.json
    rm -r data/timelines
    for job in $(seq 0 $(($(grep -o '"number"' plan.json | wc -l) - 1))); do tilefold replay job '${out}' $job; done
    tilefold replay job '${out}' 0 --json
    tilefold replay finish '${out}'
    tilefold replay events '${out}' payment -o payments.csv
    tilefold cache stats --json
  `;
  writeFileSync(join(folder, 'jobs.sh'), script);
  const { exitCode, stdout, stderr } = Bun.spawnSync(['sh', 'jobs.sh'], { cwd: folder, timeout: 120_000 });
  expect(`${exitCode} ${stderr}`).toStartWith('0 ');
  expect(String(stdout)).toContain('{"job":0,"state":"was done already"}');
  expect(readFileSync(join(folder, 'payments.csv'), 'utf8')).toStartWith('_id,_type,_time,payment.hold\n');
  const { manifest } = runs.show(out);
  expect(readdirSync(out).sort()).toEqual(['columns', 'manifest.json', 'plan.json', 'state.json']);
  expect(Object.keys(toldOf(out, manifest)).sort()).toEqual(['login', 'payment']);
  expect(runs.cache.entries().length).toBeGreaterThan(5);
}, 120_000);

test('a job is refused before what it needs is there', async () => {
  const { runs, request, folder } = await dataFolder(100);
  const { manifest } = runs.plan(await request(), join(folder, 'plan'));
  const last = manifest.jobs.at(-1)!;
  await expect(runs.job(join(folder, 'plan'), last.number, 2 ** 28)).rejects.toThrow(/needs what job \d+ makes/);
  expect(() => runs.finish(join(folder, 'plan'))).toThrow('jobs are not done: 0, 1');
  expect(() => runs.results(join(folder, 'plan'))).toThrow('is planned: 0 of');
});
