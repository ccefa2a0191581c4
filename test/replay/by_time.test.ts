/** Events put in order of time, against a stable sort: in memory, and in files that are merged. */
import { expect, test } from 'bun:test';
import { mkdirSync, readdirSync } from 'node:fs';
import { ByTime } from '../../src/replay/by_time.ts';
import { localDisk } from '../../src/source/disk.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';

const newFolder = folders();

test.each([
  ['in memory', 1 << 20, 0],
  ['in files', 4000, 5],
])('%s: equal times stay as they were given', async (_, runBytes, filesMin) => {
  for (let seed = 1; seed <= 4; seed++) {
    const random = new Random(seed);
    const folder = newFolder();
    mkdirSync(folder);
    const byTime = new ByTime(localDisk, folder, 'waiting', runBytes);
    const events = Array.from({ length: 800 }, (_, i) => ({
      type: random.below(3),
      timeMicros: seed === 1 ? BigInt(i) : BigInt(random.below(60)) - 2n ** 62n,
      line: `${i} ${'x'.repeat(random.below(50))}`,
    }));
    for (const { type, timeMicros, line } of events) {
      byTime.add(type, timeMicros, new TextEncoder().encode(line));
      await byTime.settle();
    }
    expect(readdirSync(folder).length).toBeGreaterThanOrEqual(filesMin);
    const found: typeof events = [];
    for await (const { type, timeMicros, line } of byTime.sorted())
      found.push({ type, timeMicros, line: new TextDecoder().decode(line) });
    const sorted = events.toSorted((a, b) => (a.timeMicros < b.timeMicros ? -1 : Number(a.timeMicros > b.timeMicros)));
    expect(found).toEqual(sorted);
    await byTime.close();
    expect(readdirSync(folder)).toEqual([]);
  }
});
