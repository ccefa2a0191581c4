/** A large body is taken slice by slice: lookups are answered meanwhile, each over a prefix of the log. */
import { expect, test } from 'bun:test';
import { turn } from '../../src/base/turn.ts';
import { admitSlices, SLICE_BYTES, sliceEnd } from '../../src/ingest/door.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { admit } from '../../src/kernel/door.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { parseLog } from '../oracle/log.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine, rowMap } from '../sim/engine.ts';
import { body, tame, weekLines, wild } from '../sim/flights.ts';
import { compareValue } from '../sim/judge.ts';

const plan = flightsPlan();
const week = await weekLines();
const EVENTS = 40_000;

/** Turns that a body takes beside those of its batches and slices: the log's, and the body's own. */
const SPARE_TURNS = 8;

test('lookups during a large body see it grow, as a prefix, batch by batch', async () => {
  const lines = tame(week.slice(0, EVENTS));
  // A small body is judged at once, and overtakes a large one that came before it.
  const first = tame(week.slice(EVENTS, EVENTS + 5));
  const log = parseLog(body([...first, ...lines]), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  const large = body(lines);
  let isDone = false;
  const posted = engine.ingest.post(large, 'ndjson').finally(() => {
    isDone = true;
  });
  const small = engine.ingest.post(body(first), 'ndjson');
  const seen: number[] = [];
  let turns = 0;
  for (; !isDone; turns++) {
    await turn();
    const answer = engine.reader.lookup({ features: ['origin_delays:*'], entities: { origin: ['ATL'] }, at: null });
    if (answer.position === seen.at(-1) || isDone) continue;
    seen.push(answer.position!);
    // A barrier in between changes nothing of it.
    if (seen.length % 3 === 0) engine.ingest.barrier();
    for (const column of answer.entities[0]!.features)
      if (answer.position! >= 0) compareValue(plan, column, 0, log, ['ATL'], answer.position!, answer.timeMicros);
  }
  const batch = engine.folds[0]!.kernel.exports.BATCH_ROWS.value;
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(seen.length).toBeGreaterThan(EVENTS / batch - 1);
  for (const [i, position] of seen.entries()) expect(position - (seen[i - 1] ?? -1)).toBeLessThanOrEqual(batch + 5);
  expect(turns).toBeLessThan(EVENTS / batch + large.length / SLICE_BYTES + SPARE_TURNS);
  expect([(await posted).accepted, (await small).accepted, engine.ingest.position]).toEqual([EVENTS, 5, EVENTS + 4]);
  await engine.close();
});

test('a large body makes the rows that small ones make, on opening too', async () => {
  const lines = wild(week.slice(0, 12_000), 5);
  const [disk, db] = [new SimulatedDisk(1), memoryDatabase()];
  const large = await openEngine(plan, { disk, db });
  await large.ingest.post(body(lines), 'ndjson');
  large.ingest.barrier();
  const small = await openEngine(plan, { disk: new SimulatedDisk(2), db: memoryDatabase() });
  for (let at = 0; at < lines.length; at += 500) await small.ingest.post(body(lines.slice(at, at + 500)), 'ndjson');
  small.ingest.barrier();
  const rows = rowMap(small.store);
  expect(rowMap(large.store)).toEqual(rows);
  await large.close();
  const again = await openEngine(plan, { disk, db: memoryDatabase() });
  expect(rowMap(again.store)).toEqual(rows);
  const errors = (engine: typeof small) =>
    engine.meta.errors({ limit: 1e6 }).map(({ position, code }) => [position, code]);
  expect(errors(again)).toEqual(errors(small));
  await Promise.all([again.close(), small.close()]);
});

test('a body judged in slices is judged as a whole', async () => {
  const kernel = await loadKernel();
  const long = `{"type":"x","time":0,"text":"${'y'.repeat(2 * SLICE_BYTES)}"}`;
  const parts = Array.from({ length: 30_000 }, (_, n) => {
    if (n % 1000 === 7) return n % 2000 === 7 ? '{"type":' : '';
    return n === 15_000 ? long : `{"type":"x","time":${n},"text":"${'z'.repeat(n % 200)}"}\r`;
  });
  const bytes = new TextEncoder().encode(parts.join('\n'));
  const whole = admit(kernel, bytes, 'ndjson');
  expect(await admitSlices(kernel, bytes)).toEqual(whole as Awaited<ReturnType<typeof admitSlices>>);
  expect(sliceEnd(bytes, 0)).toBeLessThan(SLICE_BYTES + 1000);
});
