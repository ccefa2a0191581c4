/**
 * Definitions change while events come: whatever is applied when, in one thread and with workers, over restarts, every value
 * is what the oracle makes of the log and of what was recorded of each aggregate when it came.
 */
import { Database } from 'bun:sqlite';
import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Parts } from '../../src/cli/alone/compose.ts';
import { decodeRow } from '../../src/cli/decode.ts';
import { compareRows } from '../../src/cli/verify.ts';
import { readMembers } from '../../src/meta/members.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { planJson } from '../../src/plan/json.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { folders } from '../source/folder.ts';
import {
  ask,
  changed,
  close,
  closeLeft,
  configOf,
  planOf,
  restart,
  someSet,
  start,
  statesOf,
  textOf,
} from './changing.ts';
import { EVENT_CLOCK } from './engine.ts';
import { body, smallWeek, tame, wild } from './flights.ts';
import { keysOf } from './judge.ts';
import { Random } from './random.ts';

/** `bun scripts/long.ts apply` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = LONG ? 60 : 3;
/** Of what is computed from the log, which takes longer. */
const COMPUTED_SEEDS = LONG ? 60 : 2;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

const folder = folders();
const small = await smallWeek(6, 8);

afterEach(closeLeft);

test.each([null, 0, 2])(
  '%p workers: changes of all kinds between posts that do not wait for them',
  async workers => {
    let compared = 0;
    let waitedMs = 0;
    let applied = 0;
    let brought = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed * 1000 + (workers ?? 7));
      const lines = wild(small, seed);
      let sets = [someSet(random), someSet(random)];
      const at = folder();
      await Bun.write(join(at, 'features/all.yaml'), textOf(sets));
      const log = parseLog(body(lines), await planOf(sets), { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
      const keys = keysOf(log);
      let parts = await start(at, workers);
      for (let from = 0; from < lines.length; ) {
        const to = Math.min(lines.length, from + 1 + random.below(random.chance(0.2) ? 150 : 25));
        const posting = parts.ingest.post(body(lines.slice(from, to)), 'ndjson');
        from = to;
        if (random.chance(0.5)) await posting;
        if (random.chance(0.3)) {
          sets = changed(sets, random);
          const applying = parts.apply(await planOf(sets), 'since-now');
          const more = Math.min(lines.length, from + random.below(20));
          const meanwhile = parts.ingest.post(body(lines.slice(from, more)), 'ndjson');
          from = more;
          waitedMs += (await applying).waitedMs;
          applied++;
          await meanwhile;
        }
        await posting;
        if (random.chance(0.1)) {
          sets = changed(sets, random);
          const next = await planOf(sets);
          const bodies = Array.from({ length: 4 }, () => {
            const more = Math.min(lines.length, from + random.below(60));
            const one = body(lines.slice(from, more));
            from = more;
            return one;
          });
          await parts.ingest.inBulk(async post => {
            const before = bodies.slice(0, 2).map(one => post(one, 'ndjson'));
            if (random.chance(0.5)) await Promise.all(before);
            const applying = parts.apply(next, 'since-now');
            await Promise.all([...before, ...bodies.slice(2).map(one => post(one, 'ndjson')), applying]);
          });
          brought++;
        }
        if (random.chance(0.05)) parts = await restart(parts, at, workers);
        if (random.chance(0.2)) await parts.ingest.barrier();
        if (random.chance(0.4)) compared += await ask(parts, log, keys);
      }
      compared += await ask(parts, log, keys);
      expect(parts.ingest.position).toBe(log.records.length - 1);
      parts = await restart(parts, at, workers);
      compared += await ask(parts, log, keys);
      await close(parts);
      if (workers === null) await rowsAreRight(at, workers);
    }
    expect(applied).toBeGreaterThan(2 * SEEDS);
    expect(brought).toBeGreaterThan(SEEDS);
    expect(compared).toBeGreaterThan(1000 * SEEDS);
    console.log(
      `${applied} changes, ${compared} values compared; posts waited ${(waitedMs / applied).toFixed(0)} ms each`,
    );
  },
  TIMEOUT_MS,
);

test.each([null, 0, 2])(
  '%p workers: what is computed from the log is what it had been from the start, wherever it was stopped',
  async workers => {
    let computed = 0;
    for (let seed = 1; seed <= COMPUTED_SEEDS; seed++) {
      const random = new Random(seed * 7000 + (workers ?? 7));
      const lines = wild(small, seed);
      let sets = [someSet(random), someSet(random)];
      const at = folder();
      await Bun.write(join(at, 'features/all.yaml'), textOf(sets));
      const log = parseLog(body(lines), await planOf(sets), { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
      const keys = keysOf(log);
      let parts = await start(at, workers);
      for (let from = 0; from < lines.length; ) {
        const to = Math.min(lines.length, from + 60 + random.below(120));
        await parts.ingest.post(body(lines.slice(from, to)), 'ndjson');
        from = to;
        sets = changed(changed(sets, random), random);
        const next = await planOf(sets);
        let { position } = await parts.apply(next, 'whole');
        computed += Number(position === null);
        const more = Math.min(lines.length, from + random.below(100));
        const meanwhile = parts.ingest.post(body(lines.slice(from, more)), 'ndjson');
        from = more;
        while (position === null && random.chance(0.4)) {
          await Bun.sleep(random.below(40));
          await meanwhile;
          parts = await restart(parts, at, workers);
          ({ position } = await parts.apply(next, 'whole'));
        }
        await Promise.all([parts.backfilled(), meanwhile]);
        expect(planJson(parts.plan)).toBe(planJson(next));
        await ask(parts, log, keys);
      }
      await rowsAreThoseOf(parts, at, lines, log, workers);
      await rowsAreRight(at, workers);
    }
    expect(computed).toBeGreaterThan(COMPUTED_SEEDS);
  },
  TIMEOUT_MS,
);

/** As `tilefold verify` finds them, by all plans that there have been. */
async function rowsAreRight(at: string, workers: number | null) {
  const report = await compareRows(configOf(at, workers));
  expect(report).toMatchObject({ why: null, differing: 0, differences: [], errors_differ: false });
  expect(report.compared).toBeGreaterThan(20);
}

/** Of each aggregate, the states that can still be asked for are those of a folder that had the definitions all along. */
async function rowsAreThoseOf(parts: Parts, at: string, lines: Uint8Array[], log: Log, workers: number | null) {
  const fresh = folder();
  // Of the same definitions: what is in force is in no file.
  await Bun.write(join(fresh, 'features/all.yaml'), textOf([someSet(new Random(1))]));
  const other = await start(fresh, workers);
  await other.apply(parts.plan, 'whole');
  await other.ingest.post(body(lines), 'ndjson');
  const keys = keysOf(log);
  expect(await ask(parts, log, keys)).toBe(await ask(other, log, keys));
  const found = await statesOf(parts, at);
  const wanted = await statesOf(other, fresh);
  expect(found.size).toBeGreaterThan(20);
  expect(found).toEqual(wanted);
}

test('a state that is not what the log makes is found after definitions were applied, with its place', async () => {
  const at = folder();
  const sets = [someSet(new Random(1)), someSet(new Random(2))];
  await Bun.write(join(at, 'features/all.yaml'), textOf(sets.slice(0, 1)));
  const parts = await start(at, null);
  await parts.ingest.post(body(tame(small).slice(0, 100)), 'ndjson');
  await parts.apply(await planOf(sets), 'since-now');
  await parts.ingest.post(body(tame(small).slice(100)), 'ndjson');
  const latest = Math.max(...[...readMembers(parts.meta.currentPlan()!.members!).values()].map(({ id }) => id));
  await close(parts);
  const db = new Database(join(at, 'rows.db'), { strict: true });
  const store = sqliteStore(db, packKernel());
  const states = (value: Uint8Array) => decodeRow(value) as Map<number, string>;
  const rows = [...store.scan()].filter(({ value }) => states(value).has(latest));
  const [one, ...others] = rows;
  const other = others.find(({ value }) => states(value).get(latest) !== states(one!.value).get(latest))!;
  store.commit([{ ...one!, value: other.value }], store.mark());
  store.close();
  db.close();
  const { differing, differences, plans } = await compareRows(configOf(at, null));
  expect([differing, plans]).toEqual([1, 2]);
  expect(differences[0]).toMatchObject({ level_ms: one!.levelMs, tile_start_ms: one!.tileStartMs });
  expect(differences[0]!.what).toContain('is not what the log makes');
});
