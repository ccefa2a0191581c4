/** Replays in jobs: what they give is what a replay in one piece gives, to the last bit. */
import { describe, expect, test } from 'bun:test';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { doJob } from '../../src/cli/runs/job.ts';
import { compileFolder, compileSources } from '../../src/compile/compile.ts';
import { BLOCK_ROWS } from '../../src/replay/column_file.ts';
import { chunkInputs, columnInputs } from '../../src/replay/inputs.ts';
import { outputsOf, PATHS } from '../../src/replay/manifest.ts';
import { eventsOf } from '../../src/replay/results.ts';
import { Random } from '../sim/random.ts';
import { LONG, seeds } from '../seeds.ts';
import { tame } from '../sim/flights.ts';
import { randomTopology, randomTopologyLines } from '../sim/topologies.ts';
import { folders } from '../source/folder.ts';
import { done, ENGINE, planned, timelineOf, toldOf, toldWhole } from './runs.ts';

const SEEDS = seeds(4, 200);
const EXAMPLES = join(import.meta.dir, '../../examples');
const newFolder = folders();

function linesOf(path: string, most: number): Uint8Array[] {
  const text = gunzipSync(readFileSync(path)).toString();
  return text
    .split('\n')
    .slice(0, most)
    .filter(line => line !== '')
    .map(line => Buffer.from(line));
}

describe.each(SEEDS)('random topology %d', seed => {
  test('columns and errors are those of a replay in one piece, in any number of parts and with any memory', async () => {
    const rng = new Random(seed + 9000);
    const plan = randomTopology(rng, 4 + rng.below(10));
    const lines = tame(randomTopologyLines(rng, LONG ? 300 : 120));
    for (const parts of [1, 12]) {
      const folder = newFolder();
      const timelines = [await timelineOf(PATHS.chunks(folder), lines)];
      if (rng.chance(0.5))
        timelines.push(await timelineOf(PATHS.chunks(folder), tame(randomTopologyLines(rng, 40)), 'more'));
      const manifest = planned(folder, { plan, timelines, parts });
      await done(folder, manifest, rng.pick([1, 2 ** 30]));
      const told = toldOf(folder, manifest);
      expect(Object.values(told).flatMap(({ rows }) => rows).length).toBeGreaterThan(20);
      expect(told).toEqual(await toldWhole(PATHS.chunks(folder), plan, manifest));
    }
  });
});

test('a job needs no files but those that it names', async () => {
  const rng = new Random(5);
  const plan = randomTopology(rng, 5);
  const folder = newFolder();
  const timelines = [
    await timelineOf(PATHS.chunks(folder), tame(randomTopologyLines(rng, 80))),
    await timelineOf(PATHS.chunks(folder), tame(randomTopologyLines(rng, 40)), 'more'),
  ];
  const manifest = planned(folder, { plan, timelines, parts: 4 });
  expect(manifest.jobs.some(({ kind, parts }) => kind === 'join' && parts > 1)).toBe(true);
  for (const job of manifest.jobs) {
    const alone = newFolder();
    const named = [...columnInputs(manifest, job), ...chunkInputs(manifest, job)];
    for (const name of ['plan.json', 'manifest.json', ...named]) cpSync(join(folder, name), join(alone, name));
    await doJob(alone, job.number, { engine: ENGINE, memoryBytes: 2 ** 30 });
    for (const { path } of outputsOf(manifest, job, '')) cpSync(join(alone, path), join(folder, path));
  }
  expect(toldOf(folder, manifest)).toEqual(await toldWhole(PATHS.chunks(folder), plan, manifest));
});

test('ranges of a long event type, and parts of its keys, are joined to its columns', async () => {
  const text = `event e
key := $.key as string
text := $.text as string
n := $.n as int
twice := n * 2
seen := Count(by key)
before := Latest(text by key exclusive)
sum := seen + twice
`;
  const { plan, faults } = await compileSources([{ file: 'e.scowl', text }], { latenessMs: 3_600_000 });
  expect(faults.map(({ message }) => message)).toEqual([]);
  const folder = newFolder();
  // One more than the least that is dealt out in ranges.
  const count = 8 * BLOCK_ROWS + 1;
  const line = (i: number) => `{"type":"e","time":${i},"data":{"key":"${i % 7}","text":"${i}","n":${i}}}`;
  const lines = Array.from({ length: count }, (_, i) => Buffer.from(line(i)));
  const timelines = [await timelineOf(PATHS.chunks(folder), lines)];
  const manifest = await done(folder, planned(folder, { plan, timelines, parts: 3 }));
  const pieces = manifest.jobs.filter(({ kind }) => kind !== 'join').map(({ range, part }) => (range ?? part)?.count);
  expect(pieces.filter(one => one === 3).length).toBeGreaterThan(5);
  let row = 0;
  for (const { columns, count } of eventsOf(manifest, folder, 'e')) {
    const of = (name: string) => columns.find(column => column.name === `e.${name}`)!.values;
    const [twice, seen, before, sum] = ['twice', 'seen', 'before', 'sum'].map(of) as [
      bigint[],
      bigint[],
      string[],
      bigint[],
    ];
    for (let i = 0; i < count; i++, row++) {
      const found = [twice[i], seen[i], before[i], sum[i]];
      const n = BigInt(Math.floor(row / 7) + 1);
      const wanted = [BigInt(2 * row), n, row < 7 ? '' : String(row - 7), n + BigInt(2 * row)];
      if (found.some((value, k) => value !== wanted[k])) expect({ row, found }).toEqual({ row, found: wanted });
    }
  }
  expect(row).toBe(count);
});

test.each([
  ['flights', 'flights-week.ndjson.gz', 3],
  ['takeover', 'events.ndjson.gz', 3],
])('%s in parts', async (example, file, parts) => {
  const plan = await compileFolder(join(EXAMPLES, example, 'features'), { latenessMs: 3_600_000 });
  const folder = newFolder();
  const lines = linesOf(join(EXAMPLES, example, file), 4000);
  const timelines = [await timelineOf(PATHS.chunks(folder), lines)];
  const manifest = await done(folder, planned(folder, { plan, timelines, parts: parts * 4 }));
  expect(toldOf(folder, manifest)).toEqual(await toldWhole(PATHS.chunks(folder), plan, manifest));
});
