import { afterAll, beforeAll, expect, test } from 'bun:test';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noStages } from '../../src/base/stages.ts';
import { profileText } from '../../src/cli/profile.ts';
import { body, tame, weekLines } from '../sim/flights.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const FEATURES = join(import.meta.dir, '../../examples/flights/features');

let folder = '';
let events = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tilefold-profile-'));
  await cp(FEATURES, join(folder, 'features'), { recursive: true });
  const lines = (await weekLines()).filter((_, i) => i % 100 === 0);
  events = lines.length;
  await Bun.write(join(folder, 'log.ndjson'), body(tame(lines)));
});

afterAll(() => rm(folder, { recursive: true }));

/** What a command says on standard error, and how long it took. */
async function profiled(workers: number, ...words: string[]): Promise<{ said: string; seconds: number }> {
  const config = `log: { clock: event, dir: log${workers} }\nstore: { sqlite: rows${workers}.db }\nfold: { workers: ${workers} }\n`;
  await Bun.write(join(folder, 'tilefold.yaml'), config);
  const startMs = performance.now();
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, MAIN, ...words, '--profile'], { cwd: folder });
  expect(exitCode).toBe(0);
  return { said: stderr.toString(), seconds: (performance.now() - startMs) / 1000 };
}

/** The table's rows by their first word. */
function cellsOf(said: string): Record<string, string[]> {
  const lines = said.split('\n').map(line => line.trim().split(/\s{2,}/));
  return Object.fromEntries(lines.map(([name, ...cells]) => [name, cells]));
}

test('stages down, threads across, sums at the edges', () => {
  const main = { thread: 'main', ms: { ...noStages(), door: 500, log: 1_000 } };
  const shard = { thread: 'shard 1', ms: { ...noStages(), door: 500, fold: 2_000 } };
  const counts = { recordsFolded: 500_000, rowsWritten: 1_000, rowsLoaded: 0 };
  expect(profileText({ ...counts, stages: [main, shard] }, 4)).toBe(
    [
      'seconds  main  shard 1   all  share',
      'door     0.50     0.50  1.00  25.0%',
      'log      1.00        -  1.00  25.0%',
      'fold        -     2.00  2.00  50.0%',
      'all      1.50     2.50  4.00',
      '',
      '500000 events in 4.0 s: 125000 events/s',
      'for each million events: 2000 rows written, 0 read back',
    ].join('\n'),
  );
  const nothing = profileText({ recordsFolded: 0, rowsWritten: 0, rowsLoaded: 0, stages: [main] }, 2);
  expect(nothing).toEndWith('0 events in 2.0 s: 0 events/s');
  expect(nothing.split('\n')[0]).toBe('seconds  main  share');
});

test('ingest in the main thread: every stage has its part of the time, and all of them no more than there was', async () => {
  const { said, seconds } = await profiled(0, 'ingest', 'log.ndjson');
  const cells = cellsOf(said);
  expect(cells.seconds).toEqual(['main', 'writer', 'all', 'share']);
  expect(Object.keys(cells)).toEqual(
    expect.arrayContaining(['door', 'log', 'decode', 'select', 'tile', 'fold', 'snapshot', 'write', 'evict']),
  );
  expect(Number(cells.all![0])).toBeWithin(0.005, seconds);
  expect(said).toMatch(new RegExp(`^${events} events in .* s: \\d+ events/s$`, 'm'));
  expect(said).toMatch(/^for each million events: [1-9]\d+ rows written, 0 read back$/m);
});

test('ingest and rebuild in several: each thread its own', async () => {
  for (const words of [
    ['ingest', 'log.ndjson'],
    ['rebuild', '--from-log'],
  ]) {
    const { said } = await profiled(2, ...words);
    const cells = cellsOf(said);
    expect(cells.seconds).toEqual(['main', 'shard 1', 'shard 2', 'writer', 'all', 'share']);
    // Whoever has changed rows folds them, and one alone writes them.
    expect(cells.fold!.slice(0, 4).map(cell => cell === '-')).toEqual([true, false, false, true]);
    expect(cells.write!.slice(0, 4).map(cell => cell === '-')).toEqual([true, true, true, false]);
    expect(said).toContain(`${events} events in`);
  }
});

test('replay', async () => {
  const { said } = await profiled(0, 'replay', '--features', '.', '--log', 'log.ndjson', '--out', 'out.arrow');
  const cells = cellsOf(said);
  expect(Object.keys(cells)).toEqual(expect.arrayContaining(['decode', 'select', 'answer', 'reply', 'write']));
  expect(said).toMatch(/^for each million events: 0 rows written, 0 read back$/m);
});
