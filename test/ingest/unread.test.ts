/** Gatherings that leave rows unread, between events that are folded at once, restarts, deaths and expiry: nothing shows of them. */
import { expect, spyOn, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { parseLog } from '../oracle/log.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { type Engine, EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from '../sim/engine.ts';
import { body, smallWeek, wild } from '../sim/flights.ts';
import { compareLookups, keysOf } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';

const plan = flightsPlan();
const lines = wild(await smallWeek(30, 5), 20010312);
/** Far less than the rows of these flights occupy, in however many shards. */
const LITTLE_BYTES = 150 << 10;

/** Over all seeds. */
const counts = { unread: 0, seen: 0 };

test.each(seeds(3, 60))(
  'rows, lookups and what was late are those of events that were folded one batch after the other, seed %p',
  async seed => {
    const random = new Random(seed);
    const gathering = spyOn(Fold.prototype, 'beginGathering');
    const expires = random.chance(0.5);
    const [disk, db] = [new SimulatedDisk(seed), memoryDatabase()];
    const open = () =>
      openEngine(plan, { disk, db, expires, shards: random.pick([1, 1, 3]), foldMemoryBytes: LITTLE_BYTES });
    const slow = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), expires });
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const keys = keysOf(log);
    let engine = await open();
    let lives = 1;
    for (let from = 0; from < lines.length; ) {
      const to = Math.min(lines.length, from + 1 + random.below(500));
      const taken = body(lines.slice(from, to));
      from = to;
      await slow.ingest.post(taken, 'ndjson');
      gathering.mockClear();
      if (random.chance(0.7)) await engine.ingest.inBulk(post => post(taken, 'ndjson'));
      else await engine.ingest.post(taken, 'ndjson');
      counts.unread += gathering.mock.calls.filter(([leavesUnread]) => leavesUnread).length;
      if (random.chance(0.3)) engine.ingest.barrier();
      if (random.chance(0.15) || (lives === 1 && from > lines.length / 2)) {
        // What no barrier has brought dies with its process, and is folded again.
        if (random.chance(0.3)) await engine.close();
        lives++;
        engine = await open();
      }
      // Its reader knows of one shard's memory.
      if (engine.folds.length === 1 && random.chance(0.2)) counts.seen += compareLookups(engine, log, keys);
    }
    for (const one of [engine, slow]) one.ingest.barrier();
    if (!expires) expect(rowMap(engine.store)).toEqual(rowMap(slow.store));
    expect(lateOf(engine)).toEqual(lateOf(slow));
    expect(lives).toBeGreaterThan(1);
    gathering.mockRestore();
    await engine.close();
    await slow.close();
  },
);

test('rows were left unread by many gatherings of these, and answers compared', () => {
  expect(counts.unread).toBeGreaterThan(5);
  expect(counts.seen).toBeGreaterThan(10_000);
});

function lateOf({ here, meta }: Engine) {
  return { late: here.refused().map(({ count }) => count), errors: meta.errors({ limit: 1000 }).length };
}
