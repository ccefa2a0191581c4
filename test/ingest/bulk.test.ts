/** Bodies that nobody waits to see folded make the rows that others make, and are in the log as early. */
import { expect, test } from 'bun:test';
import type { Engine as EngineOfIngest } from '../../src/ingest/engine.ts';
import { Ingest, type Post, type Receipt } from '../../src/ingest/ingest.ts';
import type { Store } from '../../src/store/store.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { type Engine, memoryDatabase, openEngine, rowMap } from '../sim/engine.ts';
import { body, smallWeek, tame, wild } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';

const SEED = 20010311;
const plan = flightsPlan();
const week = await smallWeek(16, 7);
/** Some of them are no events. */
const lines = wild(week, SEED);
const good = tame(week);
/** Far less than the rows of these flights occupy. */
const LITTLE_BYTES = 256 << 10;

function bodiesOf(random: Random): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + random.below(random.chance(0.2) ? 900 : 60));
    bodies.push(body(lines.slice(from, to)));
    from = to;
  }
  return bodies;
}

/** Up to `most` on their way at a time. */
async function postAll(post: Post, bodies: Uint8Array[], most: number): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  const underWay: Promise<Receipt>[] = [];
  for (const each of bodies) {
    underWay.push(post(each, 'ndjson'));
    if (underWay.length >= most) receipts.push(await underWay.shift()!);
  }
  receipts.push(...(await Promise.all(underWay)));
  return receipts;
}

/** What is in the store, and what is told of it. */
function leftOf({ store, meta, here }: Engine) {
  const late = here.refused().map(({ count }) => count);
  return { rows: rowMap(store), errors: meta.errors({ limit: 1000 }), late, mark: store.mark() };
}

test('rows, errors and what was late are those of bodies that were waited for, with any memory', async () => {
  const bodies = bodiesOf(new Random(SEED));
  const slow = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await postAll((...posted) => slow.ingest.post(...posted), bodies, 1);
  slow.ingest.barrier();
  const wanted = leftOf(slow);
  expect(wanted.rows.size).toBeGreaterThan(5_000);
  expect(wanted.errors.length).toBeGreaterThan(10);
  for (const { most, ...memory } of [{ most: 1 }, { most: 4 }, { most: 3, foldMemoryBytes: LITTLE_BYTES }]) {
    const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), ...memory });
    const before = engine.here.writtenRows;
    const receipts = await engine.ingest.inBulk(async post => {
      const taken = await postAll(post, bodies, most);
      // Without need of room nothing is written on the way.
      expect(engine.here.writtenRows > before).toBe('foldMemoryBytes' in memory);
      return taken;
    });
    // Nobody has asked for a barrier.
    expect(leftOf(engine)).toEqual(wanted);
    let end = 0;
    for (const [i, { accepted, position }] of receipts.entries()) {
      end += accepted;
      if (most === 1) expect([i, position]).toEqual([i, end - 1]);
      else expect(position).toBeGreaterThanOrEqual(end - 1);
    }
    expect([end, engine.log.end]).toEqual([slow.log.end, slow.log.end]);
    await engine.close();
  }
  await slow.close();
});

test('what is posted beside them sees them folded, and they what is posted', async () => {
  const bodies = bodiesOf(new Random(SEED));
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  const random = new Random(SEED);
  await engine.ingest.inBulk(async post => {
    for (const each of bodies)
      if (random.chance(0.5)) await post(each, 'ndjson');
      else expect((await engine.ingest.post(each, 'ndjson')).position).toBe(engine.log.end - 1);
  });
  const slow = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await slow.ingest.post(body(lines), 'ndjson');
  slow.ingest.barrier();
  expect(rowMap(engine.store)).toEqual(rowMap(slow.store));
  await engine.close();
  await slow.close();
});

test('no barrier comes by the timer meanwhile, and one does afterwards', async () => {
  const opened = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  const { here: engine, log, folds, store } = opened;
  const onFailure = (error: unknown) => {
    throw error;
  };
  const settings = { engine, log, barrierMs: 1, nowMicros: () => 1_700_000_000_000_000n, onFailure };
  const ingest = await Ingest.open({ door: folds[0]!.kernel, ...settings });
  await ingest.inBulk(async post => {
    await post(body(good.slice(0, 50)), 'ndjson');
    await Bun.sleep(30);
    // It waits for more, and is not folded by itself.
    expect([engine.folded, folds[0]!.dirtyCount, store.mark().position]).toEqual([50, 0, 0]);
  });
  expect(store.mark().position).toBe(50);
  await ingest.post(body(good.slice(50, 60)), 'ndjson');
  for (let i = 0; i < 1000 && store.mark().position < 60; i++) await Bun.sleep(2);
  expect(store.mark().position).toBe(60);
  await ingest.close();
  await log.close();
});

test('a failure of folding is heard by the next body, and what was taken is folded by whoever opens the log', async () => {
  const random = new Random(SEED);
  const bodies = [...bodiesOf(random), ...bodiesOf(random), ...bodiesOf(random)];
  const [disk, db] = [new SimulatedDisk(1), memoryDatabase()];
  const broken = (store: Store): Store => {
    let count = 0;
    const commit: Store['commit'] = (...work) => {
      if (++count > 1) throw new Error('the database is gone');
      store.commit(...work);
    };
    return { ...store, commit };
  };
  const engine = await openEngine(plan, { disk, db, foldMemoryBytes: LITTLE_BYTES, wrapStore: broken });
  const taken: number[] = [];
  const working = engine.ingest.inBulk(async post => {
    for (const each of bodies) taken.push((await post(each, 'ndjson')).accepted);
  });
  expect(String(await working.catch((error: unknown) => error))).toContain('the database is gone');
  expect(taken.length).toBeGreaterThan(1);
  expect(taken.length).toBeLessThan(bodies.length);
  const sum = taken.reduce((all, count) => all + count, 0);
  expect(engine.log.end).toBeGreaterThanOrEqual(sum);
  await engine.log.close();
  const next = await openEngine(plan, { disk, db: memoryDatabase() });
  const slow = await openEngine(plan, { disk: new SimulatedDisk(2), db: memoryDatabase() });
  for await (const { bytes } of engine.log.read(0)) await slow.ingest.post(bytes, 'ndjson');
  slow.ingest.barrier();
  expect(rowMap(next.store)).toEqual(rowMap(slow.store));
  await next.close();
  await slow.close();
});

test('however work ends, it is over when nothing is being folded any more, and written where it went well', async () => {
  for (const isFine of [true, false]) {
    const { log, folds } = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
    const folding = Promise.withResolvers<void>();
    const happened: string[] = [];
    const engine = {
      ...{ folded: 0, fold: () => folding.promise, room: () => Promise.resolve(), close() {} },
      barrier: () => void happened.push('barrier'),
    } as unknown as EngineOfIngest;
    const settings = { engine, log, barrierMs: 2 ** 31 - 1, nowMicros: () => 1_700_000_000_000_000n, onFailure() {} };
    const ingest = await Ingest.open({ door: folds[0]!.kernel, ...settings });
    happened.length = 0;
    const working = ingest.inBulk(async post => {
      // Of the last record of the log, though nothing is folded.
      expect((await post(body(good.slice(0, 5)), 'ndjson')).position).toBe(4);
      happened.push('taken');
      if (!isFine) throw new Error('no more of the file can be read');
    });
    const over = working.then(
      () => happened.push('done'),
      () => happened.push('thrown'),
    );
    await Bun.sleep(20);
    happened.push('folded');
    folding.resolve();
    await over;
    expect(happened).toEqual(isFine ? ['taken', 'folded', 'barrier', 'done'] : ['taken', 'folded', 'thrown']);
    await ingest.close();
    await log.close();
  }
});

test('what work throws comes out once all is folded, and closing writes that', async () => {
  const db = memoryDatabase();
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db });
  const working = engine.ingest.inBulk(async post => {
    await post(body(good.slice(0, 400)), 'ndjson');
    throw new Error('no more of the file can be read');
  });
  expect(String(await working.catch((error: unknown) => error))).toContain('no more of the file');
  expect([engine.here.folded, engine.store.mark().position]).toEqual([400, 0]);
  engine.ingest.barrier();
  expect(engine.store.mark().position).toBe(400);
  await engine.close();
});
