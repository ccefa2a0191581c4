/** Several threads take back what rows were in the log's order, and what they keep is written with the position it stands for. */
import { Database } from 'bun:sqlite';
import { afterEach, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { turn } from '../../src/base/turn.ts';
import { compose, type Parts } from '../../src/cli/alone/compose.ts';
import { type Config, DEFAULTS } from '../../src/cli/config.ts';
import { idsOf } from '../../src/cli/alone/recorded.ts';
import { FeaturesCombinedSchema, type Moment } from '../../src/gen/tilefold/v1/row_pb.ts';
import { readMembers } from '../../src/meta/members.ts';
import { lastRowsOf } from '../../src/plan/upsert.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteRows } from '../../src/store/sqlite.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { body } from '../sim/flights.ts';
import { compareAnswer } from '../sim/judge.ts';
import { type Left, leftIn } from '../sim/left.ts';
import { Random } from '../sim/random.ts';
import { definitionsOf, SHOPS, TYPES, UPSERTS, upsertLines } from '../sim/upserts.ts';
import { folders } from '../source/folder.ts';

const folder = folders();
const open = new Set<Parts>();
afterEach(async () => {
  for (const parts of open) await parts.close();
  open.clear();
});

/** @param workers -1 is one thread that does it all, 0 leaves writing to another */
async function start(at: string, workers: number, memoryBytes: number): Promise<Parts> {
  const config: Config = {
    ...DEFAULTS,
    log: { ...DEFAULTS.log, dir: join(at, 'log'), clock: EVENT_CLOCK },
    store: { sqlite: join(at, 'rows.db') },
    definitions: join(at, 'features'),
    fold: { workers: Math.max(0, workers), memoryBytes, barrierMs: 50 },
  };
  mkdirSync(config.definitions, { recursive: true });
  writeFileSync(join(config.definitions, 'upserts.yaml'), definitionsOf(UPSERTS));
  const onFailure = (error: unknown) => {
    throw error;
  };
  const parts = await compose(config, { isAlone: workers < 0, announce: null, onFailure, note: console.error });
  open.add(parts);
  return parts;
}

async function end(parts: Parts, at: string): Promise<Left> {
  await parts.close();
  open.delete(parts);
  return leftIn(join(at, 'rows.db'), parts.plan);
}

/** Bodies of many sizes, several on their way at a time, with barriers and lookups between them. */
async function postAll(parts: Parts, lines: Uint8Array[], log: Log, random: Random): Promise<number> {
  const asked: Promise<number>[] = [];
  const under: Promise<unknown>[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + random.below(random.chance(0.1) ? 2500 : 60));
    under.push(parts.ingest.post(body(lines.slice(from, to)), 'ndjson'));
    from = to;
    if (random.chance(0.2)) asked.push(ask(parts, log));
    if (random.chance(0.1)) await under.shift();
    if (random.chance(0.1)) void parts.ingest.barrier();
  }
  await Promise.all(under);
  asked.push(ask(parts, log));
  return (await Promise.all(asked)).reduce((sum, count) => sum + count, 0);
}

/** Whoever is killed now finds in the store the last rows of exactly the records that its position says. */
function lastRowsStand(at: string, { plan, meta }: Parts): { position: number; count: number } {
  const database = new Database(join(at, 'rows.db'), { readonly: true });
  const { entities } = idsOf({ plan, members: readMembers(meta.currentPlan()!.members!) }, meta);
  try {
    const found = { position: 0, count: 0 };
    database.transaction(() => {
      const store = sqliteRows(database, packKernel());
      const { position } = store.mark();
      found.position = position;
      for (const { name } of lastRowsOf(plan))
        for (const { entity, value } of store.scan()) {
          if (entity !== entities.get(name)) continue;
          const { state } = Object.values(fromBinary(FeaturesCombinedSchema, value).features)[0]!;
          expect(state.case).toBe('last');
          found.count++;
          expect(Number((state.value as Moment).position)).toBeLessThan(position);
        }
      store.close();
    })();
    return found;
  } finally {
    database.close();
  }
}

async function ask(parts: Parts, log: Log): Promise<number> {
  const keys = new Map([['shop', SHOPS.map(shop => [shop])]]);
  const features = TYPES.map(type => `${type}s:*`);
  const answer = await parts.reader.lookup({ features, entities: { shop: SHOPS }, at: null });
  return answer.position! < 0 ? 0 : compareAnswer(parts.plan, log, keys, answer);
}

const SEED = 7;
const lines = upsertLines(4000, new Random(SEED));

test.each([
  [0, 256 << 20],
  [1, 256 << 20],
  [3, 60_000],
])(
  '%d workers, %d bytes for rows',
  async (workers, memoryBytes) => {
    const alone = folder();
    const one = await start(alone, -1, 256 << 20);
    const log = parseLog(body(lines), one.plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    await one.ingest.post(body(lines), 'ndjson');
    const wanted = await end(one, alone);
    expect(wanted.rows.count).toBeGreaterThan(500);

    const together = folder();
    const random = new Random(SEED + workers);
    const half = Math.floor(lines.length / 2);
    const first = await start(together, workers, memoryBytes);
    const looked = await postAll(first, lines.slice(0, half), log, random);
    await end(first, together);
    const second = await start(together, workers + 1, memoryBytes);
    const lookedAgain = await postAll(second, lines.slice(half), log, random);
    expect(looked + lookedAgain).toBeGreaterThan(1000);
    if (memoryBytes < 1 << 20) {
      await second.ingest.barrier();
      const { rowsLoaded, stages } = second.state();
      expect(rowsLoaded).toBeGreaterThan(100);
      // All rows but the last ones are in other threads.
      const { ms } = stages.find(({ thread }) => thread === 'main')!;
      expect(Math.min(ms.fold, ms.snapshot, ms.evict)).toBeGreaterThan(0);
    }
    expect(await end(second, together)).toEqual(wanted);
  },
  300_000,
);

test('a barrier that comes while others are decoded has the last rows of its position', async () => {
  const at = folder();
  const parts = await start(at, 3, 256 << 20);
  const under: Promise<unknown>[] = [];
  const found = new Set<number>();
  let isOver = false;
  // Barriers follow each other while each worker has chunks that wait for their turn.
  const barriers = (async () => {
    while (!isOver) {
      await parts.ingest.barrier();
      const { position, count } = lastRowsStand(at, parts);
      if (count > 20) found.add(position);
      await turn();
    }
  })();
  // On a busy machine few barriers end while all are posted once.
  for (let from = 0; from < lines.length || found.size <= 2; from += 20) {
    const first = from % lines.length;
    under.push(parts.ingest.post(body(lines.slice(first, first + 20)), 'ndjson'));
    if (under.length > 24) await under.shift();
    await turn();
  }
  await Promise.all(under);
  isOver = true;
  await barriers;
  expect(found.size).toBeGreaterThan(2);
}, 300_000);
