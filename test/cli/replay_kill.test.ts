/**
 * kill -9 of the processes that do replays, at every stage. Whoever goes on afterwards leaves the columns of a replay that nobody
 * has killed, byte for byte, does nothing again that was done, and leaves nothing else; and so does the cache.
 */
import { expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Runs } from '../../src/cli/runs/runs.ts';
import { checkColumn } from '../../src/replay/column_file.ts';
import { inFolder, isDone, outputsOf, PATHS, readManifest } from '../../src/replay/manifest.ts';
import { dataFolders, HOW } from '../replay/data_folder.ts';
import { Random } from '../sim/random.ts';
import { LONG, seeds } from '../seeds.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const dataFolder = dataFolders();

const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
/** Replays, each killed a few times. */
const SEEDS = seeds(1, 30);
const EVENTS = 800;
const LOOK_EVERY_MS = 2;

type Data = Awaited<ReturnType<typeof dataFolder>>;

function start({ folder }: Data, ...words: string[]) {
  return Bun.spawn([process.execPath, MAIN, ...words], {
    ...{ cwd: folder, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
  });
}

const namesIn = (folder: string) => (existsSync(folder) ? readdirSync(folder).sort() : []);
const columnsIn = (folder: string) => namesIn(folder).filter(name => name.endsWith('.column'));

/** How many columns and parts a replay has that are whole. */
const finished = (folder: string) => columnsIn(PATHS.columns(folder)).length + columnsIn(PATHS.parts(folder)).length;

/** The files of jobs that are done, each with what it is on disk: one that is written again is another. */
function done(folder: string): Map<string, number> {
  if (!existsSync(PATHS.manifest(folder))) return new Map();
  const { manifest } = readManifest(folder, null);
  const jobs = manifest.jobs.filter(job => isDone(manifest, job, inFolder(folder)));
  const paths = jobs.flatMap(job => outputsOf(manifest, job, folder).map(({ path }) => path));
  return new Map(paths.filter(path => existsSync(path)).map(path => [path, statSync(path).ino]));
}

/** Kills it once it has come so far; it may have ended by then. */
async function killWhen(child: ReturnType<typeof start>, hasCome: () => boolean): Promise<void> {
  while (child.exitCode === null && !hasCome()) await Promise.race([child.exited, Bun.sleep(LOOK_EVERY_MS)]);
  child.kill('SIGKILL');
  await child.exited;
}

/** No files but those that belong there. */
function expectTidy(folder: string, runs: Runs, cache: string) {
  expect(namesIn(folder)).toEqual(['columns', 'manifest.json', 'plan.json', 'state.json']);
  expect(namesIn(PATHS.columns(folder))).toEqual(columnsIn(PATHS.columns(folder)));
  const entries = runs.cache.entries().map(({ file }) => file);
  expect(namesIn(cache)).toEqual(entries.flatMap(file => [`${file}.column`, `${file}.json`]).sort());
  for (const file of entries) checkColumn(join(cache, `${file}.column`));
}

/** Columns by name, as bytes. */
function bytesOf(folder: string): Map<string, string> {
  const columns = PATHS.columns(folder);
  return new Map(columnsIn(columns).map(name => [name, Bun.SHA256.hash(readFileSync(join(columns, name)), 'hex')]));
}

const cacheOf = ({ config }: Data) => join(config.replays.dir, 'cache');

/** What nobody has killed, and how many columns and parts it has made on the way. */
async function clean() {
  const data = await dataFolder(EVENTS);
  const { folder } = await data.runs.plan(await data.request(), null);
  let most = 0;
  await data.runs.run(folder, HOW, () => {
    most = Math.max(most, finished(folder));
  });
  expectTidy(folder, data.runs, cacheOf(data));
  return { bytes: bytesOf(folder), most };
}

const whole = await clean();

test(
  'a run that is killed while it plans, at any job and at its end goes on, and does nothing again',
  async () => {
    for (const seed of SEEDS) {
      const random = new Random(seed);
      const data = await dataFolder(EVENTS);
      const out = join(data.folder, 'out');
      const stages = [0.02, 0.4, 0.95].map(share => (LONG ? random.below(whole.most + 1) : share * whole.most));
      await killWhen(start(data, 'replay', 'run', '--timelines', 'all', '--workers', '2', '--out', out), () =>
        random.chance(0.5) ? existsSync(out) : existsSync(PATHS.columns(out)),
      );
      for (const stage of stages) {
        const before = done(out);
        const words = existsSync(PATHS.manifest(out)) ? ['resume', out] : ['run', '--timelines', 'all', '--out', out];
        await killWhen(start(data, 'replay', ...words, '--workers', '2'), () => finished(out) >= stage);
        expectNotRedone(before, done(out));
        if (existsSync(PATHS.manifest(out))) expect(data.runs.show(out).state).toMatch(/^(interrupted|done|planned)$/);
      }
      const before = done(out);
      if (!existsSync(PATHS.manifest(out))) await data.runs.plan(await data.request(), out);
      await data.runs.run(out, HOW, () => {});
      expectNotRedone(before, done(out));
      expect(bytesOf(out)).toEqual(whole.bytes);
      expectTidy(out, data.runs, cacheOf(data));
      // The next one takes all of it.
      expect((await data.runs.plan(await data.request(), null)).manifest.jobs).toEqual([]);
    }
  },
  TIMEOUT_MS,
);

/** What was whole is the same file; parts may have been joined meanwhile. */
function expectNotRedone(before: Map<string, number>, after: Map<string, number>) {
  for (const [path, inode] of before) if (after.has(path)) expect([path, after.get(path)]).toEqual([path, inode]);
}

test(
  'single jobs that are killed, done by two at once and done again leave one whole replay, and so does its end',
  async () => {
    for (const seed of SEEDS) {
      const random = new Random(seed);
      const data = await dataFolder(EVENTS);
      const out = join(data.folder, 'out');
      const { manifest } = await data.runs.plan(await data.request(), out);
      const killed = new Set(LONG ? manifest.jobs.keys() : [0, manifest.jobs.findIndex(({ kind }) => kind === 'join')]);
      for (const { number } of manifest.jobs) {
        if (killed.has(number)) {
          const before = finished(out);
          const marks = [() => finished(out) > before, () => namesIn(PATHS.columns(out)).some(isPart)];
          await killWhen(start(data, 'replay', 'job', out, String(number)), random.pick(marks));
        }
        const twice = [data.runs.job(out, number, HOW.memoryBytes), data.runs.job(out, number, HOW.memoryBytes)];
        await Promise.all(twice.slice(0, 1 + random.below(2)));
      }
      await killWhen(start(data, 'replay', 'finish', out), () => existsSync(cacheOf(data)));
      await data.runs.finish(out);
      expect(bytesOf(out)).toEqual(whole.bytes);
      expectTidy(out, data.runs, cacheOf(data));
    }
  },
  TIMEOUT_MS,
);

const isPart = (name: string) => name.endsWith('.part');

test(
  'Ctrl-C leaves what is done, and says how to go on',
  async () => {
    const data = await dataFolder(EVENTS);
    const out = join(data.folder, 'out');
    const child = start(data, 'replay', 'run', '--timelines', 'all', '--workers', '2', '--out', out);
    const told = new Response(child.stderr).text();
    while (child.exitCode === null && finished(out) < whole.most / 3) await Bun.sleep(LOOK_EVERY_MS);
    child.kill('SIGINT');
    expect(await child.exited).toBe(1);
    expect(await told).toContain(`\`tilefold replay resume ${out}\` goes on with it`);
    expect([...namesIn(out), ...namesIn(PATHS.columns(out)), ...namesIn(PATHS.parts(out))].filter(isPart)).toEqual([]);
    const before = done(out);
    await data.runs.run(out, HOW, () => {});
    expectNotRedone(before, done(out));
    expect(bytesOf(out)).toEqual(whole.bytes);
    expectTidy(out, data.runs, cacheOf(data));
  },
  TIMEOUT_MS,
);
