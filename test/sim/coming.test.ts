/**
 * Definitions that are to come into force: what waits for its windows takes over when these are whole and no sooner, and what
 * is given up has never been, wherever it was stopped.
 */
import { Database } from 'bun:sqlite';
import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { turn } from '../../src/base/turn.ts';
import { decodeRow } from '../../src/cli/decode.ts';
import { readMembers } from '../../src/meta/members.ts';
import { planHash } from '../../src/plan/canonical.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { parseLog } from '../oracle/log.ts';
import { folders } from '../source/folder.ts';
import {
  ask,
  changed,
  close,
  closeLeft,
  planOf,
  restart,
  type SetText,
  someSet,
  start,
  statesOf,
  textOf,
} from './changing.ts';
import { EVENT_CLOCK } from './engine.ts';
import { body, smallWeek, tame, wild } from './flights.ts';
import { everything, keysOf } from './judge.ts';
import { Random } from './random.ts';

/** `bun scripts/long.ts apply` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = LONG ? 60 : 2;
/** With threads everything takes longer. */
const seedsOf = (workers: number | null) => (workers === null || LONG ? SEEDS : 1);
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

const folder = folders();
const small = await smallWeek(6, 8);
afterEach(closeLeft);

/** A lifetime never is whole, and so may not wait. */
function withoutLifetimes(sets: SetText[]): SetText[] {
  return sets.map(set => {
    const windows = set.windows.filter(window => window !== 'lifetime');
    return { ...set, windows: windows.length > 0 ? windows : ['1d'] };
  });
}

test.each([null, 2])(
  '%p workers: what waits is not seen before its windows are whole, and then answers as what began where it was applied',
  async workers => {
    let waited = 0;
    for (let seed = 1; seed <= seedsOf(workers); seed++) {
      const random = new Random(seed * 300 + (workers ?? 7));
      const lines = wild(small, seed);
      let sets = withoutLifetimes([someSet(random), someSet(random)]);
      const at = folder();
      await Bun.write(join(at, 'features/all.yaml'), textOf(sets));
      const log = parseLog(body(lines), await planOf(sets), { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
      const keys = keysOf(log);
      let parts = await start(at, workers);
      let next: SetText[] | null = null;
      for (let from = 0; from < lines.length; ) {
        const to = Math.min(lines.length, from + 1 + random.below(40));
        await parts.ingest.post(body(lines.slice(from, to)), 'ndjson');
        from = to;
        if (random.chance(0.1)) parts = await restart(parts, at, workers);
        await parts.settle();
        if (next && !parts.waiting()) {
          sets = next;
          next = null;
        }
        if (!next && random.chance(0.4)) {
          const changedSets = withoutLifetimes(changed(sets, random));
          const { position, untilMicros } = await parts.apply(await planOf(changedSets), 'when-warm');
          waited += Number(position === null);
          expect(untilMicros === null).toBe(position !== null);
          if (position === null) next = changedSets;
          else sets = changedSets;
        }
        expect(planHash(parts.plan)).toBe(planHash(await planOf(sets)));
        if (random.chance(0.4)) await ask(parts, log, keys);
      }
      await ask(parts, log, keys);
      await close(parts);
    }
    expect(waited).toBeGreaterThanOrEqual(seedsOf(workers));
  },
  TIMEOUT_MS,
);

test('a window that has waited is whole where it takes over: nothing redefined is WARMING', async () => {
  const lines = tame(await smallWeek(5, 3));
  const set = { name: 'a', key: 'origin', windows: ['2h'], items: new Map([['n', 'COUNT(*)']]), where: null };
  const at = folder();
  await Bun.write(join(at, 'features/all.yaml'), textOf([set]));
  const parts = await start(at, null);
  const half = Math.floor(lines.length / 2);
  await parts.ingest.post(body(lines.slice(0, half)), 'ndjson');
  const next = await planOf([{ ...set, where: 'distance > 500' }]);
  const { untilMicros } = await parts.apply(next, 'when-warm');
  expect(parts.waiting()).not.toBeNull();
  const request = { features: ['a:n_2h'], entities: { origin: ['ATL'] }, at: null };
  for (const line of lines.slice(half)) {
    await parts.ingest.post(body([line]), 'ndjson');
    await parts.settle();
    const { timeMicros, entities } = await parts.reader.lookup(request);
    expect(parts.waiting() === null).toBe(timeMicros >= untilMicros!);
    expect(entities[0]!.features[0]!.sinceMicros).toBeNull();
  }
  expect(parts.waiting()).toBeNull();
  expect(planHash(parts.plan)).toBe(planHash(next));
});

test.each([null, 2])(
  '%p workers: what is given up leaves rows as if it had never been, wherever it was, over restarts',
  async workers => {
    let given = 0;
    for (let seed = 1; seed <= seedsOf(workers); seed++) {
      const random = new Random(seed * 500 + (workers ?? 7));
      const lines = wild(small, seed);
      const sets = [someSet(random), someSet(random)];
      const [at, other] = [folder(), folder()];
      for (const each of [at, other]) await Bun.write(join(each, 'features/all.yaml'), textOf(sets));
      let parts = await start(at, workers);
      const without = await start(other, null);
      for (let from = 0; from < lines.length; ) {
        const to = Math.min(lines.length, from + 40 + random.below(80));
        const bytes = body(lines.slice(from, to));
        await Promise.all([parts.ingest.post(bytes, 'ndjson'), without.ingest.post(bytes, 'ndjson')]);
        from = to;
        const isWhole = random.chance(0.6);
        const coming = changed(changed(sets, random), random);
        const next = await planOf(isWhole ? coming : withoutLifetimes(coming));
        await parts.apply(next, isWhole ? 'whole' : 'when-warm').catch((error: Error) => {
          // What is extended by a lifetime may not wait.
          expect(error.message).toMatch(/lifetime|redefined|windows/);
        });
        if (random.chance(0.6)) await Bun.sleep(random.below(60));
        if (random.chance(0.4)) parts = await restart(parts, at, workers);
        const isGiven = await parts.abort();
        given += Number(isGiven);
        expect(await parts.abort()).toBe(false);
        expect([parts.backfilling(), parts.waiting()]).toEqual([null, null]);
        // It may have come into force before.
        if (planHash(parts.plan) === planHash(await planOf(sets))) continue;
        await parts.apply(await planOf(sets), 'whole');
        await parts.backfilled();
      }
      const named = new Set(sets.map(({ key }) => (key.includes(',') ? 'route' : key)));
      const keys = keysOf(parseLog(body(lines), parts.plan, LOG_SETTINGS));
      const request = everything(parts.plan, new Map([...keys].filter(([entity]) => named.has(entity))));
      const { entities } = await parts.reader.lookup(request);
      const wanted = await without.reader.lookup(request);
      expect(entities.map(({ features }) => features.map(({ name }) => name))).toEqual(
        wanted.entities.map(({ features }) => features.map(({ name }) => name)),
      );
      const found = await statesOf(parts, at);
      expect(found).toEqual(await statesOf(without, other));
    }
    expect(given).toBeGreaterThanOrEqual(seedsOf(workers));
  },
  TIMEOUT_MS,
);

const LOG_SETTINGS = { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs } as const;

test('no row holds anything of what was given up while its rows were brought among the others', async () => {
  const lines = tame(await smallWeek(20, 4));
  const set = { name: 'a', key: 'origin', windows: ['1d'], items: new Map([['n', 'COUNT(*)']]), where: null };
  const at = folder();
  await Bun.write(join(at, 'features/all.yaml'), textOf([set]));
  const parts = await start(at, null);
  await parts.ingest.post(body(lines), 'ndjson');
  const more = { ...set, name: 'b', key: 'destination', windows: ['2h', '5d', 'lifetime'] };
  const next = await planOf([{ ...set, items: new Map([...set.items, ['far', 'MAX(distance)']]) }, more]);
  await parts.apply(next, 'whole');
  const numbers = [...readMembers(parts.meta.backfill()!.members)].flatMap(([name, { id }]) =>
    name === 'a:n' ? [] : id,
  );
  while (parts.backfilling()?.merged === 0) await turn();
  expect(await parts.abort()).toBe(true);
  await parts.ingest.post(body(lines.slice(20, 40)), 'ndjson');
  await close(parts);
  expect(numbersIn(at).intersection(new Set(numbers))).toEqual(new Set());
  expect(numbersIn(at).size).toBe(1);
});

function numbersIn(at: string): Set<number> {
  const db = new Database(join(at, 'rows.db'), { strict: true });
  const store = sqliteStore(db, packKernel());
  const numbers = new Set<number>();
  for (const { value } of store.scan())
    for (const id of (decodeRow(value) as Map<number, string>).keys()) numbers.add(id);
  store.close();
  db.close();
  return numbers;
}
