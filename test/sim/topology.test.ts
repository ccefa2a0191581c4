/** Random topologies over random logs: what events are answered with is the oracle's, to the last bit. */
import { describe, expect, test } from 'bun:test';
import { paymentLines, paymentsPlan } from '../../scripts/bench/sequence.ts';
import { compileSources } from '../../src/compile/compile.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { ReplayBatch } from '../../src/replay/replay.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { eventRow } from '../oracle/naive.ts';
import { rowsOfCut } from './cuts.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine } from './engine.ts';
import { body, tame } from './flights.ts';
import { compareEnriched, isSame, valueAt } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';
import { randomTopology, randomTopologyLines } from './topologies.ts';
import { seeds } from '../seeds.ts';

const START_MS = Date.UTC(2024, 0, 1);

const GREATEST = `
event sale
k := $.k as string
x := $.x as int
most := Max(x by k last 1 day)
`;

/** `bun scripts/long.ts topology` sets it: more seeds. */
const SEEDS = seeds(12, 300);

describe.each(SEEDS)('seed %d', seed => {
  test('replayed rows = oracle, with memory for all rows and for none', async () => {
    const rng = new Random(seed);
    const plan = randomTopology(rng, 3 + rng.below(8));
    const lines = tame(randomTopologyLines(rng, 150));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    for (const memoryBytes of [2 ** 32, 1]) {
      const good = log.records.filter(({ bad }) => bad === null);
      const positions: number[] = [];
      for await (const batch of (await replayed(plan, lines, { memoryBytes })).batches) {
        compareBatch(plan, log, batch);
        positions.push(...Array.from(batch.positions, Number));
      }
      expect(positions).toEqual(good.map(({ position }) => position));
    }
  });
});

describe.each(SEEDS)('seed %d', seed => {
  test('events are answered as the oracle says, in bodies of any size, over restarts and with little memory', async () => {
    const rng = new Random(seed + 5000);
    const plan = randomTopology(rng, 3 + rng.below(8));
    const lines = tame(randomTopologyLines(rng, 150));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const world = {
      disk: new SimulatedDisk(seed),
      db: memoryDatabase(),
      foldMemoryBytes: rng.pick([1, 100_000, 2 ** 32]),
    };
    let engine = await openEngine(plan, { ...world, expires: true });
    for (let from = 0; from < lines.length; ) {
      const to = from + 1 + rng.below(rng.pick([1, 5, 60]));
      const bytes = body(lines.slice(from, to));
      // What is only posted counts for all who come after it.
      if (rng.chance(0.2)) await engine.ingest.post(bytes, 'ndjson');
      else if (rng.chance(0.1)) await engine.ingest.inBulk(post => post(bytes, 'ndjson'));
      else compareEnriched(plan, log, (await engine.ingest.enrich(bytes, 'ndjson')).parts, from);
      from = to;
      if (rng.chance(0.2)) engine.ingest.barrier();
      if (rng.chance(0.05)) {
        await engine.close();
        engine = await openEngine(plan, { ...world, expires: true });
      }
    }
    await engine.close();
  });
});

test('rows do not show how events were cut into bodies', async () => {
  const rng = new Random(77);
  const plan = randomTopology(rng, 10);
  const lines = tame(randomTopologyLines(rng, 400));
  const hashes = [];
  for (const step of [1, 37, 400]) hashes.push(await rowsOfCut(plan, lines, { shards: 1, step, seed: 1, rng }));
  expect(hashes[0]!.count).toBeGreaterThan(100);
  expect(hashes[1]).toEqual(hashes[0]!);
  expect(hashes[2]).toEqual(hashes[0]!);
});

/** Payments of thousands of customers and merchants, each of which reads ten exact windows (scripts/bench/sequence.ts). */
test('memory is bounded by its setting, however many keys have exact windows', async () => {
  const plan = paymentsPlan();
  const bound = 1 << 20;
  const step = 250;
  const answer = async (lines: Uint8Array[], foldMemoryBytes: number) => {
    const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes });
    const [fold] = engine.folds;
    const hash = new Bun.CryptoHasher('sha1');
    let stateBytesMax = 0;
    for (let from = 0; from < lines.length; from += step) {
      const { parts } = await engine.ingest.enrich(body(lines.slice(from, from + step)), 'ndjson');
      stateBytesMax = Math.max(stateBytesMax, fold!.stateBytes);
      for (const { spelt } of parts) hash.update(spelt.bytes);
      engine.ingest.barrier();
    }
    const memoryBytes = fold!.kernel.exports.memory.buffer.byteLength;
    await engine.close();
    return { answers: hash.digest('hex'), stateBytesMax, memoryBytes };
  };
  const lines = paymentLines(6_000);
  const free = await answer(lines, 2 ** 32);
  const tight = await answer(lines, bound);
  expect(tight.answers).toBe(free.answers);
  expect(free.stateBytesMax).toBeGreaterThan(4 * bound);
  // A barrier comes between bodies, after which half of the bound is left: it is passed by no more than one body's rows, of three
  // keys each, and by what they read back.
  const bodyBytes = step * 3 * 8 * 512;
  expect(tight.stateBytesMax).toBeLessThan(bound + bodyBytes);
  // What a longer log takes more is the bound, and no buffer of its own.
  const short = await answer(lines.slice(0, 1_000), bound);
  expect(tight.memoryBytes).toBeLessThan(short.memoryBytes + 3 * bound);
});

/** A key that has an event each minute, of which each reads a day: most tiles of it have left memory, and are within larger ones. */
test('an event reads back rows where its windows begin, and hardly any that lie between', async () => {
  const { plan, faults } = await compileSources([{ file: 'a.scowl', text: GREATEST }], { latenessMs: 60_000 });
  expect(faults).toEqual([]);
  const rng = new Random(5);
  const lines = Array.from({ length: 4_000 }, (_, i) => {
    const data = { k: 'a', x: rng.below(1_000_000) };
    return new TextEncoder().encode(
      JSON.stringify({ type: 'sale', time: START_MS + i * 60_000 + rng.below(9_000), data }),
    );
  });
  const step = 100;
  const answer = async (foldMemoryBytes: number) => {
    const engine = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase(), foldMemoryBytes });
    const { readKey } = engine.store;
    let rowsRead = 0;
    engine.store.readKey = (entity, key, ranges, take) =>
      readKey(entity, key, ranges, (...row) => {
        rowsRead++;
        take(...row);
      });
    const texts: string[] = [];
    for (let from = 0; from < lines.length; from += step) {
      const { parts } = await engine.ingest.enrich(body(lines.slice(from, from + step)), 'ndjson');
      texts.push(...parts.map(({ spelt }) => new TextDecoder().decode(spelt.bytes)));
      engine.ingest.barrier();
    }
    await engine.close();
    return { texts, rowsRead };
  };
  const free = await answer(2 ** 32);
  const tight = await answer(1);
  expect(free.rowsRead).toBe(0);
  expect(tight.texts).toEqual(free.texts);
  // A day has 1440 events, each of which has its rows of a millisecond, a second and a minute; a barrier lets all of them leave.
  expect(tight.rowsRead).toBeGreaterThan(lines.length / 2);
  expect(tight.rowsRead).toBeLessThan(10 * lines.length);
});

function compareBatch(plan: Plan, log: Log, batch: ReplayBatch): void {
  for (let i = 0; i < batch.count; i++) {
    const position = Number(batch.positions[i]!);
    const wanted = eventRow(plan, log, position)!;
    const { type } = log.records[position]!;
    for (const column of batch.columns) {
      const [event, name] = column.name.split('.') as [string, string];
      const want = event === type ? wanted[name]! : null;
      const got = valueAt(column, i);
      if (!isSame(got, want))
        expect({ position, feature: column.name, got }).toEqual({ position, feature: column.name, got: want });
    }
    const errors = batch.errors.filter(error => error.position === position);
    const faults = plan.events
      .find(({ name }) => name === type)!
      .features!.filter(({ error }) => error?.kind === 'column' && wanted[error.name] !== null)
      .map(({ column }) => ({ feature: `${type}.${column}`, text: wanted[`${column}_fault`] }));
    expect(errors.map(({ feature, text }) => ({ feature, text }) as object)).toEqual(faults);
  }
}
