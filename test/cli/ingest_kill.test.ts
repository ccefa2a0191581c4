/**
 * kill -9 of `tilefold ingest` while it works. Run again on the same folder, with any number of threads, it goes on where it was:
 * every event of the file is in the log once, in the file's order, and rows are those of a run that nobody has stopped.
 */
import { expect, test } from 'bun:test';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compileFolder } from '../../src/compile/compile.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { LONG, seeds } from '../seeds.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { body, tame, weekLines } from '../sim/flights.ts';
import { leftIn } from '../sim/left.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const FEATURES = join(import.meta.dir, '../../examples/flights/features');
const SEEDS = seeds(2, 30);
const KILLS = 4;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
/** It looks so often how far the log is. */
const LOOK_EVERY_MS = 2;

const folder = folders();
const plan = await compileFolder(FEATURES, { latenessMs: 3_600_000 });
/** Some of each are bad, and some late. */
const lines = (await weekLines())
  .filter((_, i) => i % 2 === 0)
  .map((line, i) => {
    const event = JSON.parse(line) as { time: string; data: { origin: string | null } };
    if (i % 25 === 3) event.time = new Date(Date.parse(event.time) - (i % 10) * 86_400_000).toISOString();
    if (i % 500 === 7) event.data.origin = null;
    return JSON.stringify({ ...event, id: `f${i}` });
  });
const file = body(tame(lines));

async function prepare(workers: number, at = folder()): Promise<string> {
  await mkdir(at, { recursive: true });
  const config = `log: { dir: log, clock: event, segment: { bytes: 2MiB } }\nstore: { sqlite: rows.db }\ndefinitions: ${FEATURES}\nlateness: 1h\nfold: { workers: ${workers}, memory: 4MiB, barrier: 20ms }\n`;
  await Bun.write(join(at, 'tilefold.yaml'), config);
  await Bun.write(join(at, 'all.ndjson'), file);
  return at;
}

function ingest(at: string) {
  const command = [process.execPath, MAIN, 'ingest', 'all.ndjson', '--json'];
  return Bun.spawn(command, { cwd: at, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
}

async function wholeRun(at: string): Promise<{ accepted: number; replayed: number; rejected: number }> {
  const child = ingest(at);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  // It may tell what it has cut off a log that was left half written.
  expect([await child.exited, err]).toEqual([0, expect.stringMatching(/^(\S+: cut at byte .*\n)?$/)]);
  return JSON.parse(out);
}

async function segmentsIn(at: string): Promise<string[]> {
  const names = await readdir(join(at, 'log')).catch(() => [] as string[]);
  const segments = names.filter(name => /^\d+\.ndjson(\.zst)?$/.test(name)).sort();
  // One that is being packed is there twice.
  return segments.filter(name => !segments.includes(`${name}.zst`)).map(name => join(at, 'log', name));
}

/** What the log has, in its order. */
async function logged(at: string): Promise<string[]> {
  const segments = await segmentsIn(at);
  if (segments.length === 0) return [];
  const parts: Uint8Array[] = [];
  for await (const { bytes } of (await ndjsonFiles(segments, EVENT_CLOCK)).read(0)) parts.push(bytes.slice());
  return Buffer.concat(parts).toString().split('\n').slice(0, -1);
}

/** Kills it when the log has about so many bytes more, or so long after its start, in which it may have come to its end. */
async function killOnce(at: string, random: Random): Promise<void> {
  const sizeOf = async () => {
    const sizes = (await segmentsIn(at)).map(path =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    );
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  };
  const child = ingest(at);
  if (random.chance(0.3)) await Promise.race([child.exited, Bun.sleep(random.below(900))]);
  else {
    const wanted = (await sizeOf()) + random.below(file.length / KILLS / 2);
    while (child.exitCode === null && (await sizeOf()) < wanted) await Bun.sleep(LOOK_EVERY_MS);
  }
  child.kill('SIGKILL');
  await child.exited;
}

test(
  `${SEEDS.length * KILLS} kills: each event of the file counts once, and rows are those of a run to the end`,
  async () => {
    const undisturbed = await prepare(0);
    expect(await wholeRun(undisturbed)).toMatchObject({ accepted: lines.length, replayed: 0, rejected: 0 });
    const wanted = leftIn(join(undisturbed, 'rows.db'), plan);
    expect([wanted.errors.length > 50, wanted.late.length > 5, wanted.rows.count > 10_000]).toEqual([true, true, true]);
    const found: number[] = [];
    for (const seed of SEEDS) {
      const random = new Random(seed);
      const at = await prepare(0);
      for (let kill = 0; kill < KILLS; kill++) {
        await prepare(random.pick([0, 1, 2]), at);
        await killOnce(at, random);
        found.push((await logged(at)).length);
      }
      const before = found.at(-1)!;
      await prepare(random.pick([0, 1, 2]), at);
      const counts = await wholeRun(at);
      expect([seed, counts.accepted, counts.replayed]).toEqual([seed, lines.length, before]);
      expect((await logged(at)).join('\n') === lines.join('\n')).toBe(true);
      expect([seed, leftIn(join(at, 'rows.db'), plan)]).toEqual([seed, wanted]);
    }
    // Those that have met it in the midst of the file.
    expect(found.filter(count => count > 0 && count < lines.length).length).toBeGreaterThanOrEqual(SEEDS.length);
    if (LONG) console.log(`${found.join(', ')} events in the log after each`);
  },
  TIMEOUT_MS,
);
