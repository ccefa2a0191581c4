/** A body that its client has named counts once, whatever process dies when. */
import { expect, test } from 'bun:test';
import type { Receipt } from '../../src/ingest/ingest.ts';
import { KEY_KEPT_MS, KeyMemory, KEYS_MAX } from '../../src/source/keys.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { Crash, SimulatedDisk } from '../sim/disk.ts';
import { type Engine, memoryDatabase, openEngine } from '../sim/engine.ts';
import { body, smallWeek, tame } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';

const plan = flightsPlan();
const lines = tame(await smallWeek(6, 22));
const some = body(lines.slice(0, 20));
const others = body(lines.slice(20, 30));
const DAY_MICROS = BigInt(KEY_KEPT_MS) * 1000n;

const fresh = (disk = new SimulatedDisk(1)) => openEngine(plan, { disk, db: memoryDatabase() });

test('a retry is answered as the first time was, with the lines that were rejected, and counts once', async () => {
  const engine = await fresh();
  await engine.ingest.post(others, 'ndjson');
  const mixed = body([...lines.slice(0, 3), new TextEncoder().encode('{"type":'), ...lines.slice(3, 5)]);
  const first = await engine.ingest.post(mixed, 'ndjson', 'k');
  expect(first).toMatchObject({ accepted: 5, position: 14, rejected: [{ line: 4, code: 'not_json' }] });
  await engine.ingest.post(others, 'ndjson');
  const again = await engine.ingest.post(mixed, 'ndjson', 'k');
  expect(again).toEqual({ ...first, replayed: true });
  expect(engine.log.end).toBe(25);
  await engine.close();
});

test('another body, or the same in another format, under the same key is a conflict', async () => {
  const engine = await fresh();
  await engine.ingest.post(some, 'ndjson', 'k');
  for (const post of [() => engine.ingest.post(others, 'ndjson', 'k'), () => engine.ingest.post(some, 'json', 'k')])
    await expect(post()).rejects.toMatchObject({ code: 'conflict' });
  expect(engine.log.end).toBe(20);
  await engine.close();
});

test('bodies under one key at the same time: one counts, all are answered alike, another is refused', async () => {
  const engine = await fresh();
  const same = Array.from({ length: 5 }, () => engine.ingest.post(some, 'ndjson', 'k'));
  const other = engine.ingest.post(others, 'ndjson', 'k').catch((error: unknown) => error);
  const receipts = await Promise.all(same);
  expect(receipts.map(({ accepted, position }) => [accepted, position])).toEqual(Array(5).fill([20, 19]));
  expect(receipts.filter(({ replayed }) => replayed).length).toBe(4);
  expect(await other).toMatchObject({ code: 'conflict' });
  expect(engine.log.end).toBe(20);
  await engine.close();
});

test('a body of which nothing was accepted leaves its key free', async () => {
  const engine = await fresh();
  const nothing = new TextEncoder().encode('7\n');
  expect(await engine.ingest.post(nothing, 'ndjson', 'k')).toMatchObject({ accepted: 0, replayed: false });
  expect(await engine.ingest.post(some, 'ndjson', 'k')).toMatchObject({ accepted: 20, replayed: false });
  await engine.close();
});

test('a key is known for a day by arrival, over a restart too', async () => {
  const disk = new SimulatedDisk(1);
  const db = memoryDatabase();
  let now = 1_700_000_000_000_000n;
  const open = () => openEngine(plan, { disk, db, nowMicros: () => now, segmentBytes: 1000 });
  const first = await open();
  await first.ingest.post(some, 'ndjson', 'k');
  now += DAY_MICROS - 1n;
  await first.ingest.post(others, 'ndjson');
  expect(await first.ingest.post(some, 'ndjson', 'k')).toMatchObject({ replayed: true });
  await first.close();
  const second = await open();
  expect(await second.ingest.post(some, 'ndjson', 'k')).toMatchObject({ replayed: true, position: 19 });
  now += 1n;
  expect(await second.ingest.post(some, 'ndjson', 'k')).toMatchObject({ replayed: false, position: 49 });
  expect(await second.ingest.post(some, 'ndjson', 'k')).toMatchObject({ replayed: true, position: 49 });
  await second.close();
});

test('beyond the limit the oldest keys are forgotten, and those of more than a day ago', () => {
  const memory = new KeyMemory();
  const batch = (position: number, arrivalMicros: bigint) => ({ digest: '', position, count: 1, arrivalMicros });
  for (let n = 0; n <= KEYS_MAX; n++) memory.remember(`k${n}`, batch(n, 5n));
  expect([memory.count, memory.recall('k0', 5n), memory.recall('k1', 5n)?.position]).toEqual([KEYS_MAX, null, 1]);
  memory.remember('new', batch(0, 5n + DAY_MICROS));
  expect(memory.count).toBe(1);
});

/** Killed in each operation of the disk, with a power cut or without; then the client, who has no answer, asks again. */
test.each([false, true])(
  'in bulk: %p; killed anywhere between a body and its answer, a retry counts it once',
  async isBulk => {
    const { operations } = await killed(Number.POSITIVE_INFINITY, 1, isBulk);
    expect(operations).toBeGreaterThan(5);
    const replayed = { true: 0, false: 0 };
    for (let kill = 0; kill < operations; kill++)
      for (let seed = 1; seed <= 6; seed++) {
        const { receipts, end } = await killed(kill, seed, isBulk);
        expect([kill, seed, end]).toEqual([kill, seed, 60]);
        expect(receipts.map(({ accepted }) => accepted)).toEqual([20, 10, 10, 20]);
        for (const receipt of receipts) replayed[receipt.replayed ? 'true' : 'false']++;
      }
    expect(replayed.true).toBeGreaterThan(20);
    expect(replayed.false).toBeGreaterThan(20);
  },
);

async function killed(
  kill: number,
  seed: number,
  isBulk: boolean,
): Promise<{ operations: number; receipts: Receipt[]; end: number }> {
  const random = new Random(seed);
  const disk = new SimulatedDisk(seed);
  const bodies = [some, others, body(lines.slice(30, 40)), body(lines.slice(40, 60))];
  const db = memoryDatabase();
  const open = () => openEngine(plan, { disk, db, segmentBytes: 3000 });
  const receipts: Receipt[] = [];
  const postAll = async ({ ingest }: Engine) => {
    receipts.length = 0;
    if (isBulk)
      receipts.push(...(await ingest.inBulk(post => inPairs(bodies, (each, i) => post(each, 'ndjson', `k${i}`)))));
    else for (const [i, each] of bodies.entries()) receipts.push(await ingest.post(each, 'ndjson', `k${i}`));
  };
  const first = await open();
  const before = disk.operations;
  disk.kill(kill);
  const death = await postAll(first).catch((error: unknown) => error);
  const operations = disk.operations - before;
  if (kill === Number.POSITIVE_INFINITY) return { operations, receipts, end: first.log.end };
  expect(String(death)).toMatch(/the process (is dead|died)/);
  if (random.chance(0.5)) disk.powerCut();
  else disk.restart();
  const second = await open().catch((error: unknown) => {
    if (error instanceof Crash) throw new Error('nothing kills the second process', { cause: error });
    throw error;
  });
  await postAll(second);
  const { end } = second.log;
  const logged: Uint8Array[] = [];
  for await (const { bytes } of second.log.read(0)) logged.push(bytes.slice());
  // Whatever died when, in the order in which they were posted.
  expect(Buffer.concat(logged).toString()).toBe(Buffer.concat(bodies).toString());
  await second.close();
  return { operations, receipts, end };
}

/** Each is posted when the last but one is taken. None is on its way when this ends. */
async function inPairs<T>(bodies: Uint8Array[], post: (body: Uint8Array, i: number) => Promise<T>): Promise<T[]> {
  const posted: Promise<T>[] = [];
  for (const [i, each] of bodies.entries()) {
    const one = post(each, i);
    // Whoever waits for it below hears of a failure.
    one.catch(() => {});
    posted.push(one);
    await Promise.allSettled(posted.slice(0, -1));
  }
  return (await Promise.allSettled(posted)).map(one => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}
