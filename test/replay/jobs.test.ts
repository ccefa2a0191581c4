/** Replays in jobs: what they give is what a replay in one piece gives, to the last bit. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { compileFolder } from '../../src/compile/compile.ts';
import { PATHS } from '../../src/replay/manifest.ts';
import { Random } from '../sim/random.ts';
import { tame } from '../sim/flights.ts';
import { randomTopology, randomTopologyLines } from '../sim/topologies.ts';
import { folders } from '../source/folder.ts';
import { done, planned, timelineOf, toldOf, toldWhole } from './runs.ts';

/** `bun scripts/long.ts jobs` sets it: more seeds. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = Array.from({ length: LONG ? 200 : 4 }, (_, i) => i + 1);
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
  }, 60_000);
});

test.each([
  ['flights', 'flights-week.ndjson.gz', 3],
  ['takeover', 'events.ndjson.gz', 3],
])(
  '%s in parts',
  async (example, file, parts) => {
    const plan = await compileFolder(join(EXAMPLES, example, 'features'), { latenessMs: 3_600_000 });
    const folder = newFolder();
    const lines = linesOf(join(EXAMPLES, example, file), 4000);
    const timelines = [await timelineOf(PATHS.chunks(folder), lines)];
    const manifest = await done(folder, planned(folder, { plan, timelines, parts: parts * 4 }));
    expect(toldOf(folder, manifest)).toEqual(await toldWhole(PATHS.chunks(folder), plan, manifest));
  },
  60_000,
);
