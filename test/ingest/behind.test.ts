/** Events that nobody waits for, beside what does not wait to be gathered: records of topologies, and last rows of upserts. */
import { expect, spyOn, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { planOf } from '../compile/marked.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { memoryDatabase, openEngine } from '../sim/engine.ts';
import { body, tame } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';
import { randomTopology, randomTopologyLines } from '../sim/topologies.ts';
import { folders } from '../source/folder.ts';
import { openBeside, openFolding } from './beside.ts';

const folder = folders();

test.each([
  [174, 40_000],
  [175, 20_000],
])('what tiles of a topology refuse is told with the rows, seed %p', async (seed, memoryBytes) => {
  const random = new Random(seed);
  const plan = randomTopology(random, 8);
  const lines = tame(randomTopologyLines(random, 1500));
  const beside = openBeside(folder(), random);
  let { engine } = await openFolding(plan, beside, memoryBytes);
  for (let from = 0; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + random.below(60));
    await engine.fold(body(lines.slice(from, to)), from, null, true);
    if (random.chance(0.1)) await engine.barrier();
    from = to;
    if (!random.chance(0.1)) continue;
    // The process dies, but for what is being written: another one goes on from where the rows are.
    await engine.settle();
    ({ engine } = await openFolding(plan, beside, memoryBytes));
    from = engine.folded;
  }
  await engine.barrier();
  const late = beside.meta.late();
  await engine.close();
  const slow = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await slow.ingest.post(body(lines), 'ndjson');
  slow.ingest.barrier();
  expect(late).toEqual(slow.meta.late());
  expect(late.length).toBeGreaterThan(0);
  await slow.close();
});

const UPSERTS = `events:
  seat: { changelog: { key: id }, id: int64, room: string, price: int64, note: string }
entities: { room: string }
---
feature_set: seats
entity: room
source: seat
windows: [1d, lifetime]
sql: SELECT room, COUNT(*) AS n, SUM(price) AS price FROM seat GROUP BY room
`;

test('last rows of upserts stay within the bound while other events wait to be folded', async () => {
  const random = new Random(1);
  const bytes = 1 << 20;
  const { engine, fold } = await openFolding(await planOf(UPSERTS), openBeside(folder(), random), bytes);
  let most = 0;
  const evict = spyOn(fold, 'evict').mockImplementation(target => {
    most = Math.max(most, fold.stateBytes);
    Fold.prototype.evict.call(fold, target);
  });
  const line = (id: number) => {
    const data = `{"id":${id},"room":"r${id % 9}","price":${id % 100},"note":"${'x'.repeat(200)}"}`;
    return new TextEncoder().encode(`{"type":"seat","time":"2001-03-11T00:00:00Z","data":${data}}`);
  };
  for (let from = 0; from < 30_000; from += 500)
    await engine.fold(body(Array.from({ length: 500 }, (_, i) => line(from + i))), from, null, true);
  await engine.barrier();
  evict.mockRestore();
  expect(fold.evicted).toBeGreaterThan(20_000);
  expect(most).toBeLessThan(2 * bytes);
  await engine.close();
});
