/** Records of a topology in this thread, barriers in another one: over restarts, answers are the oracle's, and rows those of one thread. */
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stages } from '../../src/base/stages.ts';
import { foldingOf } from '../../src/cli/alone/engine.ts';
import { openDatabase, REFUSE } from '../../src/cli/alone/database.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { Ingest } from '../../src/ingest/ingest.ts';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { parseLog } from '../oracle/log.ts';
import { countedIds, EVENT_CLOCK, memoryDatabase, openEngine, rowsHash } from '../sim/engine.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { body, tame } from '../sim/flights.ts';
import { compareEnriched } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { randomTopology, randomTopologyLines } from '../sim/topologies.ts';

const folder = mkdtempSync(join(tmpdir(), 'beside-'));
afterAll(() => rmSync(folder, { recursive: true }));

const rng = new Random(3);
const plan = randomTopology(rng, 10);
const lines = tame(randomTopologyLines(rng, 300));

async function open(of: Plan, memoryBytes: number) {
  const log = await EventLog.open({
    disk: localDisk,
    folder: join(folder, 'log'),
    clock: EVENT_CLOCK,
    segmentBytes: 1 << 20,
  });
  const database = openDatabase(join(folder, 'rows.db'), REFUSE, () => {});
  const onFailure = (error: unknown) => {
    throw error;
  };
  const { engine, door } = await foldingOf({
    config: { log: { clock: EVENT_CLOCK }, fold: { memoryBytes } } as Parameters<typeof foldingOf>[0]['config'],
    ...{ plan: of, ids: countedIds(of), database, keeping: [], onFailure, stages: new Stages() },
    ...{ workers: 2, isAlone: false },
  });
  const parts = { door, engine, log, barrierMs: 2 ** 31 - 1, nowMicros: () => 4_102_444_800_000_000n, seed: () => 1n };
  const ingest = await Ingest.open({ ...parts, onFailure });
  const close = async () => {
    await ingest.close();
    await log.close();
    database.close();
  };
  return { ingest, engine, database, close };
}

test('events are answered while their rows are written in another thread', async () => {
  const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  let opened = await open(plan, 100_000);
  const barriers: Promise<unknown>[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = from + 1 + rng.below(20);
    compareEnriched(plan, log, (await opened.ingest.enrich(body(lines.slice(from, to)), 'ndjson')).parts, from);
    from = to;
    // Nobody waits for it: events come meanwhile.
    if (rng.chance(0.5)) barriers.push(Promise.resolve(opened.ingest.barrier()));
    if (!rng.chance(0.15)) continue;
    await Promise.all(barriers.splice(0));
    await opened.close();
    opened = await open(plan, 100_000);
  }
  await Promise.all(barriers);
  await opened.ingest.barrier();
  expect(opened.engine.writtenRows).toBeGreaterThan(0);
  const written = rowsHash(opened.database.store);
  await opened.close();

  const alone = await openEngine(plan, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await alone.ingest.post(body(lines), 'ndjson');
  await alone.ingest.barrier();
  expect(written).toEqual(rowsHash(alone.store));
  await alone.close();
});
