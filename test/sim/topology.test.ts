/** Random topologies over random logs: what events are answered with is the oracle's, to the last bit. */
import { describe, expect, test } from 'bun:test';
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

/** `bun scripts/long.ts topology` sets it: more seeds. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = Array.from({ length: LONG ? 300 : 12 }, (_, i) => i + 1);

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
  }, 60_000);
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
      else compareEnriched(plan, log, (await engine.ingest.enrich(bytes, 'ndjson')).parts, from);
      from = to;
      if (rng.chance(0.2)) engine.ingest.barrier();
      if (rng.chance(0.05)) {
        await engine.close();
        engine = await openEngine(plan, { ...world, expires: true });
      }
    }
    await engine.close();
  }, 60_000);
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
}, 60_000);

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
