/**
 * Definitions over upserts change while events come: what rows were before is known of the whole log, whatever is computed when
 * and wherever that was stopped.
 */
import { Database } from 'bun:sqlite';
import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { compose, type Parts } from '../../src/cli/alone/compose.ts';
import { type Config, DEFAULTS } from '../../src/cli/config.ts';
import { decodeRow } from '../../src/cli/decode.ts';
import { idsOf } from '../../src/cli/alone/recorded.ts';
import { compareRows } from '../../src/cli/verify.ts';
import { readMembers } from '../../src/meta/members.ts';
import { planJson } from '../../src/plan/json.ts';
import { isLastRows, lastRowsOf } from '../../src/plan/upsert.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { planOf } from '../compile/marked.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import type { Recorded } from '../oracle/naive.ts';
import { folders } from '../source/folder.ts';
import { EVENT_CLOCK } from './engine.ts';
import { body } from './flights.ts';
import { compareAnswer } from './judge.ts';
import { Random } from './random.ts';
import { definitionsOf, plan, SHOPS, TYPES, UPSERTS, upsertLines } from './upserts.ts';

const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = LONG ? 40 : 1;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
/** Few, so that a short log takes many. */
const STEPS = { mergedAtOnce: 40, gapMax: 30 };

const folder = folders();
const open = new Set<Parts>();
afterEach(async () => {
  for (const parts of open) await parts.close();
  open.clear();
});

function configOf(at: string, workers: number | null): Config {
  return {
    ...DEFAULTS,
    log: { ...DEFAULTS.log, dir: join(at, 'log'), clock: EVENT_CLOCK },
    store: { sqlite: join(at, 'rows.db') },
    definitions: join(at, 'features'),
    fold: { workers: workers ?? 1, memoryBytes: 100_000, barrierMs: 50 },
  };
}

async function start(at: string, workers: number | null, types: string[], steps = STEPS): Promise<Parts> {
  const config = configOf(at, workers);
  await Bun.write(join(at, 'features/all.yaml'), definitionsOf(UPSERTS, types));
  const onFailure = (error: unknown) => {
    throw error;
  };
  const isAlone = workers === null;
  const parts = await compose(config, { announce: null, onFailure, note: () => {}, isAlone, steps });
  open.add(parts);
  return parts;
}

async function ask(parts: Parts, log: Log): Promise<number> {
  const recorded: Recorded = new Map(
    [...readMembers(parts.meta.currentPlan()!.members!)].map(([name, { known }]) => [name, known]),
  );
  const keys = new Map([['shop', SHOPS.map(shop => [shop])]]);
  const features = parts.plan.sets.map(({ name }) => `${name}:*`);
  const answer = await parts.reader.lookup({ features, entities: { shop: SHOPS }, at: null });
  return compareAnswer(parts.plan, log, keys, answer, recorded);
}

test.each([null, 0, 2])(
  '%p workers: computed from the log, wherever it was stopped',
  async workers => {
    let stopped = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed * 3000 + (workers ?? 7));
      const lines = upsertLines(1000, random);
      const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
      const at = folder();
      let parts = await start(at, workers, ['plain']);
      for (let from = 0; from < lines.length; ) {
        const to = Math.min(lines.length, from + 150 + random.below(300));
        await parts.ingest.post(body(lines.slice(from, to)), 'ndjson');
        from = to;
        // Sets of some types, some of them with another meaning.
        const types = TYPES.filter(() => random.chance(0.6));
        const more = random.chance(0.5) ? ', MODE(cents) AS most' : '';
        const next = await planOf(definitionsOf(UPSERTS, types.length > 0 ? types : ['wrapped'], more));
        let { position } = await parts.apply(next, 'whole');
        const soon = Math.min(lines.length, from + random.below(200));
        const meanwhile = parts.ingest.post(body(lines.slice(from, soon)), 'ndjson');
        from = soon;
        while (position === null && random.chance(0.5)) {
          await Bun.sleep(random.below(40));
          await meanwhile;
          await parts.close();
          open.delete(parts);
          parts = await start(at, workers, ['plain']);
          ({ position } = await parts.apply(next, 'whole'));
          stopped++;
        }
        await Promise.all([parts.backfilled(), meanwhile]);
        expect(planJson(parts.plan)).toBe(planJson(next));
        expect(await ask(parts, log)).toBeGreaterThan(0);
      }
      const fresh = folder();
      const other = await start(fresh, null, []);
      await other.apply(parts.plan, 'whole');
      await other.ingest.post(body(lines), 'ndjson');
      expect(await ask(other, log)).toBe(await ask(parts, log));
      const kept = inForce(await lastRowsIn(parts, at));
      expect(kept.size).toBeGreaterThan(20);
      expect(kept).toEqual(inForce(await lastRowsIn(other, fresh)));
      open.clear();
      const { differing, differences, compared } = await compareRows(configOf(at, workers));
      expect([differing, differences]).toEqual([0, []]);
      expect(compared).toBeGreaterThan(20);
    }
    expect(stopped).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test(
  'what goes on at once goes on with the last rows that there are, and nothing begins without them',
  async () => {
    const lines = upsertLines(900, new Random(5));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const at = folder();
    let parts = await start(at, 2, ['plain', 'flagged']);
    await parts.ingest.post(body(lines.slice(0, 400)), 'ndjson');
    const more = await planOf(definitionsOf(UPSERTS, ['plain', 'worded', 'flagged']));
    const refused = await parts
      .apply(more, 'since-now')
      .catch(error => error.faults.map(({ message }: Error) => message));
    expect(refused).toEqual([
      'worded says only what a row is now, and what its rows were before is in the log: --backfill reads it from there',
    ]);
    await parts.apply(await planOf(definitionsOf(UPSERTS, ['plain', 'flagged'], ', MODE(cents) AS most')), 'since-now');
    await parts.ingest.post(body(lines.slice(400)), 'ndjson');
    await parts.close();
    open.delete(parts);
    parts = await start(at, null, ['plain']);
    expect(await ask(parts, log)).toBeGreaterThan(100);
    // Rows of what nobody reads any more go.
    await parts.apply(await planOf(definitionsOf(UPSERTS, ['plain'])), 'since-now');
    await parts.ingest.post(body(upsertLines(300, new Random(6))), 'ndjson');
    const left = await lastRowsIn(parts, at);
    open.clear();
    expect(new Set([...left.keys()].map(place => place.split(' ')[0]))).toEqual(new Set(['plain']));
  },
  TIMEOUT_MS,
);

test(
  'a round takes back what the rounds before it have merged',
  async () => {
    const lines = upsertLines(1200, new Random(9));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const parts = await start(folder(), null, ['plain'], { mergedAtOnce: 40, gapMax: 0 });
    await parts.ingest.post(body(lines.slice(0, 300)), 'ndjson');
    await parts.apply(plan, 'whole');
    let isDone = false;
    const done = parts.backfilled().then(() => {
      isDone = true;
    });
    let from = 300;
    // There is always something that the round under way has not begun with.
    for (; !isDone && from < 900; from += 5) await parts.ingest.post(body(lines.slice(from, from + 5)), 'ndjson');
    await parts.ingest.post(body(lines.slice(from)), 'ndjson');
    await done;
    expect(from).toBeGreaterThan(310);
    expect(await ask(parts, log)).toBe(plan.features.length * SHOPS.length);
  },
  TIMEOUT_MS,
);

test(
  'what is given up leaves the last rows as they were',
  async () => {
    const lines = upsertLines(800, new Random(8));
    const log = parseLog(body(lines), plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const at = folder();
    const parts = await start(at, 2, ['plain']);
    await parts.ingest.post(body(lines.slice(0, 400)), 'ndjson');
    const next = await planOf(definitionsOf(UPSERTS, ['plain', 'worded'], ', MODE(cents) AS most'));
    await parts.apply(next, 'whole');
    await parts.abort();
    await parts.ingest.post(body(lines.slice(400, 600)), 'ndjson');
    expect(await ask(parts, log)).toBeGreaterThan(20);
    await parts.apply(next, 'whole');
    await parts.ingest.post(body(lines.slice(600)), 'ndjson');
    await parts.backfilled();
    expect(await ask(parts, log)).toBeGreaterThan(40);
  },
  TIMEOUT_MS,
);

/** The last rows in the store, by event type and key: of those types that are in force what they say. */
async function lastRowsIn({ close, ...parts }: Parts, at: string): Promise<Map<string, unknown>> {
  const members = readMembers(parts.meta.currentPlan()!.members!);
  const { entities } = idsOf({ plan: parts.plan, members }, parts.meta);
  const kept = new Set(lastRowsOf(parts.plan).map(({ name }) => entities.get(name)!));
  await close();
  const db = new Database(join(at, 'rows.db'), { strict: true });
  const store = sqliteStore(db, packKernel());
  const named = db
    .query<{ id: number; name: string }, []>("SELECT id, name FROM dictionary WHERE kind = 'entity'")
    .all();
  const names = new Map(named.flatMap(({ id, name }) => (isLastRows(name) ? [[id, name.split(' ').at(-1)!]] : [])));
  const rows = [...store.scan()].filter(({ entity }) => names.has(entity));
  store.close();
  db.close();
  return new Map(
    rows.map(({ entity, key, value }) => [
      `${names.get(entity)} ${Buffer.from(key).toString('hex')} ${kept.has(entity) ? '' : 'gone'}`,
      kept.has(entity) ? [...(decodeRow(value) as Map<number, string>).values()] : null,
    ]),
  );
}

function inForce(rows: Map<string, unknown>): Map<string, unknown> {
  return new Map([...rows].filter(([, value]) => value !== null));
}
