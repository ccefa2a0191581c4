/** Memory for rows is bounded by a setting, not by data, and the bound shows in no row and in no answer. */
import { expect, test } from 'bun:test';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { SimulatedDisk } from './disk.ts';
import { type Engine, memoryDatabase, openEngine, PLENTY_BYTES, rowsHash } from './engine.ts';
import { body, tame, weekLines, wild } from './flights.ts';
import { replayed } from './replayed.ts';
import { valueAt } from './judge.ts';

const plan = flightsPlan();
const week = await weekLines();
const LINES = 20_000;
const STEP = 500;

/** Events of a replay: it reads the store for each of them. */
const REPLAYED = 10_000;

interface Outcome {
  rows: ReturnType<typeof rowsHash>;
  answers: string;
  stateBytesMax: number;
  memoryBytes: number;
  loaded: number;
  evicted: number;
}

/** Folds lines in steps with a barrier after each, and looks some entities up now and then. */
async function fold(lines: Uint8Array[], foldMemoryBytes: number): Promise<Outcome> {
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes });
  const [shard] = engine.folds;
  const answers: unknown[] = [];
  let stateBytesMax = 0;
  for (let from = 0; from < lines.length; from += STEP) {
    await engine.ingest.post(body(lines.slice(from, from + STEP)), 'ndjson');
    stateBytesMax = Math.max(stateBytesMax, shard!.stateBytes);
    engine.ingest.barrier();
    if (from % (10 * STEP) === 0) answers.push(look(engine));
  }
  const memoryBytes = shard!.kernel.exports.memory.buffer.byteLength;
  const { loaded, evicted } = shard!;
  const outcome = { rows: rowsHash(engine.store), answers: Bun.hash(JSON.stringify(answers)).toString() };
  await engine.close();
  return { ...outcome, stateBytesMax, memoryBytes, loaded, evicted };
}

function look(engine: Engine): unknown {
  const keys = ['ATL', 'ORD', 'LAX', 'BOI', 'JFK', 'SEA'];
  const route = keys.flatMap(origin => keys.map(destination => [origin, destination]));
  const entities = { origin: keys, destination: keys, route };
  const { entities: found } = engine.reader.lookup({ features: plan.sets.map(s => `${s.name}:*`), entities, at: null });
  return found.map(({ features }) =>
    features.map(column => [Array.from(column.nulls.keys(), row => String(valueAt(column, row))), [...column.nulls]]),
  );
}

test.each([
  ['tame', tame(week.slice(0, LINES))],
  ['perturbed', wild(week.slice(0, LINES), 3)],
] as const)('a hundredth of the memory gives the same rows and answers: %s flights', async (name, lines) => {
  const free = await fold([...lines], PLENTY_BYTES);
  expect(free.evicted).toBe(0);
  expect(free.loaded).toBe(0);
  const bound = Math.floor(free.stateBytesMax / 100);
  const tight = await fold([...lines], bound);
  expect(tight.rows).toEqual(free.rows);
  expect(tight.answers).toBe(free.answers);
  expect(tight.evicted).toBeGreaterThan(10_000);
  // A barrier comes between batches: the bound is passed by no more than one batch's rows.
  const batchBytes = STEP * 3 * 4 * 512;
  expect(tight.stateBytesMax).toBeLessThan(bound + batchBytes);
  // Perturbed flights have lines of a megabyte, and buffers to match: what those take is another matter.
  if (name !== 'tame') return;
  // The rest is what every kernel has, whatever it folds: frames, tables and buffers.
  const empty = await fold([], bound);
  expect(tight.memoryBytes).toBeLessThan(empty.memoryBytes + 3 * (bound + batchBytes));
  expect(free.memoryBytes).toBeGreaterThan(empty.memoryBytes + free.stateBytesMax / 2);
});

interface ReplayOutcome {
  rows: number;
  hash: string;
  stateBytesMax: number;
  memoryBytes: number;
  loaded: number;
  evicted: number;
}

/** Replays lines, keeping of the output nothing but a hash. */
async function replayAll(lines: Uint8Array[], memoryBytes: number): Promise<ReplayOutcome> {
  const { batches, spill, kernel } = await replayed(plan, lines, { memoryBytes });
  const hash = new Bun.CryptoHasher('sha1');
  let rows = 0;
  let stateBytesMax = 0;
  for await (const batch of batches) {
    rows += batch.count;
    stateBytesMax = Math.max(stateBytesMax, spill.fold.stateBytes);
    hash.update(batch.positions).update(batch.timesMicros).update(batch.types.join());
    for (const { values, nulls, statuses } of batch.columns)
      hash
        .update(Array.isArray(values) ? JSON.stringify(values) : (values as BigInt64Array))
        .update(nulls)
        .update(statuses);
  }
  const { loaded, evicted } = spill.fold;
  const memory = kernel.exports.memory.buffer.byteLength;
  return { rows, hash: hash.digest('hex'), stateBytesMax, memoryBytes: memory, loaded, evicted };
}

test.each([
  ['tame', tame(week.slice(0, REPLAYED))],
  ['perturbed', wild(week.slice(0, REPLAYED), 3)],
] as const)('a replay in a hundredth of the memory gives the same bits: %s flights', async (name, lines) => {
  const free = await replayAll([...lines], PLENTY_BYTES);
  expect(free.evicted).toBe(0);
  expect(free.loaded).toBe(0);
  const bound = Math.floor(free.stateBytesMax / 100);
  const tight = await replayAll([...lines], bound);
  expect([tight.rows, tight.hash]).toEqual([free.rows, free.hash]);
  expect(tight.evicted).toBeGreaterThan(10_000);
  expect(tight.loaded).toBeGreaterThan(1_000);
  expect(tight.stateBytesMax).toBeLessThanOrEqual(bound);
  if (name !== 'tame') return;
  // Room is made after each event: what a longer log takes more is the bound, and not the buffers of a block.
  const short = await replayAll(lines.slice(0, REPLAYED / 10), bound);
  expect(tight.memoryBytes).toBeLessThan(short.memoryBytes + 3 * bound);
  expect(free.memoryBytes).toBeGreaterThan(short.memoryBytes + free.stateBytesMax / 2);
});

test('rows of tiles that time has newly come to cost no read, also after a restart', async () => {
  const lines = tame(week.slice(0, LINES));
  const disk = new SimulatedDisk(1);
  const db = memoryDatabase();
  const first = await openEngine(plan, { disk, db });
  await first.ingest.post(body(lines.slice(0, LINES / 2)), 'ndjson');
  await first.close();
  const second = await openEngine(plan, { disk, db });
  const before = [...second.store.scan()].length;
  await second.ingest.post(body(lines.slice(LINES / 2)), 'ndjson');
  second.ingest.barrier();
  const made = [...second.store.scan()].length - before;
  const { loaded } = second.folds[0]!;
  // Lifetimes, and the day that was under way, may have rows already; the finer tiles are new.
  console.log(`${made} new rows, ${loaded} reads`);
  expect(made).toBeGreaterThan(10_000);
  expect(loaded).toBeLessThan(made / 3);
  await second.close();
});
