/**
 * A shadow folds other definitions from the log as it grows, beside whoever serves: what it answers is what the oracle makes of
 * the log and of where it has begun, wherever it was stopped, and a comparison finds what is defined otherwise and nothing else.
 */
import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Config } from '../../src/cli/config.ts';
import { diffShadow } from '../../src/cli/shadow_diff.ts';
import { dropShadow, openShadow, shadowStates, stillNow, stillShadow } from '../../src/cli/shadow_rows.ts';
import { openSnapshot } from '../../src/cli/alone/database.ts';
import { readMembers } from '../../src/meta/members.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { folders } from '../source/folder.ts';
import { closeLeft, configOf, planOf, type SetText, someSet, start, textOf } from '../sim/changing.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { body, smallWeek, tame, wild } from '../sim/flights.ts';
import { compareAnswer, everything, keysOf, type Keys } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';

/** `bun scripts/long.ts apply` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = LONG ? 30 : 3;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;

const folder = folders();
const small = await smallWeek(6, 8);
afterEach(closeLeft);

const MEMORY = { memoryBytes: 1 << 20 };

/** Up to where the rows that are served are, or a little of it. */
async function follow(config: Config, name: string, plan: Plan | null, isFromStart: boolean, looks = Infinity) {
  const shadow = await openShadow(config, name, plan, { isFromStart, ...MEMORY });
  let [asked, isDone] = [0, false];
  const isOver = () => isDone || asked++ >= looks;
  await shadow.follow(isOver, (position, end) => {
    isDone = position >= end;
  });
  await shadow.close();
}

async function askShadow(config: Config, name: string, log: Log, keys: Keys): Promise<number> {
  const rows = await stillShadow(config, name);
  const { meta, close } = openSnapshot(join(config.store.sqlite, '../shadow', name, 'rows.db'));
  const recorded = new Map([...readMembers(meta.currentPlan()!.members!)].map(([of, { known }]) => [of, known]));
  close();
  const entities = new Set(rows.plan.sets.map(set => set.entity));
  const asked: Keys = new Map([...keys].filter(([entity]) => entities.has(entity)));
  const reader = rows.readerAt(
    () => rows.position,
    () => stillNow(config, rows),
  );
  const answer = reader.lookup(everything(rows.plan, asked));
  const { plan } = rows;
  rows.close();
  return answer.position! < 0 ? 0 : compareAnswer(plan, log, asked, answer, recorded);
}

test.each([true, false])(
  'from the start: %p; it answers as the oracle does, stopped anywhere',
  async isFromStart => {
    let compared = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed * 90 + Number(isFromStart));
      const lines = wild(small, seed);
      const at = folder();
      await Bun.write(join(at, 'features/all.yaml'), textOf([someSet(random)]));
      const config = configOf(at, null);
      const parts = await start(at, null);
      const tried = await planOf([someSet(random), someSet(random)]);
      const log = parseLog(body(lines), tried, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
      const keys = keysOf(log);
      let plan: Plan | null = tried;
      for (let from = 0; from < lines.length; ) {
        const to = Math.min(lines.length, from + 20 + random.below(120));
        await parts.ingest.post(body(lines.slice(from, to)), 'ndjson');
        from = to;
        if (random.chance(0.7)) await parts.ingest.barrier();
        if (plan && parts.meta.currentPlan() === null) continue;
        await follow(config, 'a', plan, isFromStart, random.chance(0.5) ? random.below(2) : Infinity);
        plan = random.chance(0.5) ? null : tried;
        compared += await askShadow(config, 'a', log, keys);
      }
      await parts.ingest.barrier();
      await follow(config, 'a', null, isFromStart);
      compared += await askShadow(config, 'a', log, keys);
      const [state] = shadowStates(config);
      expect(state).toMatchObject({
        position: log.records.length,
        served_position: log.records.length,
        running: false,
      });
      if (isFromStart) expect(state!.from).toBe(0);
    }
    expect(compared).toBeGreaterThan(500 * SEEDS);
  },
  TIMEOUT_MS,
);

const SET: SetText = {
  name: 'a',
  key: 'origin',
  windows: ['2h', '1d'],
  items: new Map([
    ['n', 'COUNT(*)'],
    ['far', 'MAX(distance)'],
  ]),
  where: null,
};

test('a comparison finds what is defined otherwise and nothing else, where the shadow is behind too', async () => {
  const lines = tame(await smallWeek(8, 4));
  const at = folder();
  await Bun.write(join(at, 'features/all.yaml'), textOf([SET, { ...SET, name: 'b', key: 'origin, destination' }]));
  const config = configOf(at, null);
  const parts = await start(at, null);
  const half = lines.length >> 1;
  await parts.ingest.post(body(lines.slice(0, half)), 'ndjson');
  await parts.ingest.barrier();
  const items = new Map([...SET.items, ['n', 'SUM(delay)'], ['mean', 'AVG(delay)']]);
  const tried = [SET, { ...SET, name: 'b', key: 'origin, destination', items }];
  await follow(config, 'try', await planOf(tried), true);
  await parts.ingest.post(body(lines.slice(half)), 'ndjson');
  await parts.ingest.barrier();
  const asked = { keysMax: 40, names: null };
  const found = await diffShadow(config, 'try', asked);
  const { features, keys, position, not_compared } = found;
  expect(position).toBe(parts.ingest.position + 1);
  expect(keys.origin).toBe(8);
  expect(keys.route).toBeGreaterThan(20);
  expect(keys.route).toBeLessThanOrEqual(40);
  const differing = features.filter(one => one.differing > 0).map(({ feature }) => feature);
  expect(differing.toSorted()).toEqual(['b:n_1d', 'b:n_2h']);
  for (const one of features) {
    expect(one.same + one.differing + one.warming).toBe(one.compared);
    expect(one.match_rate === 1).toBe(one.differing === 0);
  }
  expect(not_compared.map(({ feature }) => feature)).toEqual(['b:mean_2h', 'b:mean_1d']);
  const differs = features.find(({ feature }) => feature === 'b:n_1d')!;
  expect(differs.examples[0]!.served).not.toBe(differs.examples[0]!.shadow);
  expect(await diffShadow(config, 'try', asked)).toEqual(found);
  const one = await diffShadow(config, 'try', { keysMax: 3, names: ['a:*'] });
  expect([one.keys, one.features.length]).toEqual([{ origin: 3 }, 4]);
});

test('what is refused says why', async () => {
  const at = folder();
  await Bun.write(join(at, 'features/all.yaml'), textOf([SET]));
  const config = configOf(at, null);
  const settings = { isFromStart: true, ...MEMORY };
  const plan = await planOf([SET]);
  await expect(openShadow(config, 'a', plan, settings)).rejects.toThrow('there are no rows yet to follow');
  const parts = await start(at, null);
  await parts.ingest.post(body(tame(small.slice(0, 30))), 'ndjson');
  await parts.ingest.barrier();
  await expect(openShadow(config, '../a', plan, settings)).rejects.toThrow('is no name of a shadow');
  await expect(openShadow(config, 'a', null, settings)).rejects.toThrow('there is no shadow a; there are none');
  const shadow = await openShadow(config, 'a', plan, settings);
  expect(shadowStates(config)).toMatchObject([{ name: 'a', running: true, position: 0 }]);
  await expect(openShadow(config, 'a', null, settings)).rejects.toThrow('is in use by process');
  expect(() => dropShadow(config, 'a')).toThrow('is in use by process');
  await shadow.close();
  const other = await planOf([{ ...SET, where: 'delay > 15' }]);
  await expect(openShadow(config, 'a', other, settings)).rejects.toThrow('has been begun with other definitions');
  dropShadow(config, 'a');
  expect(shadowStates(config)).toEqual([]);
  expect(() => dropShadow(config, 'a')).toThrow('there is no shadow a');
});

test('kill -9 of the process that follows: what it has in the end is what it would have had', async () => {
  const lines = tame(await smallWeek(14, 2));
  const at = folder();
  await Bun.write(join(at, 'features/all.yaml'), textOf([SET]));
  await Bun.write(join(at, 'tried/all.yaml'), textOf([SET, { ...SET, name: 'b', key: 'destination' }]));
  const yaml = 'log: { dir: log, clock: event }\nstore: { sqlite: rows.db }\ndefinitions: features\n';
  await Bun.write(join(at, 'tilefold.yaml'), yaml);
  const parts = await start(at, null);
  const words = ['shadow', 'run', 'k', join(at, 'tried'), '--from-start', '--config', join(at, 'tilefold.yaml')];
  const command = [process.execPath, join(import.meta.dir, '../../src/main.ts'), ...words];
  const random = new Random(7);
  await parts.ingest.post(body(lines.slice(0, 500)), 'ndjson');
  await parts.ingest.barrier();
  for (let kill = 0; kill < (LONG ? 30 : 3); kill++) {
    const child = Bun.spawn(command, { stdout: 'ignore', stderr: 'ignore', stdin: 'ignore' });
    const from = 500 + kill * 100;
    await parts.ingest.post(body(lines.slice(from, from + 100)), 'ndjson');
    await Bun.sleep(random.below(900));
    await parts.ingest.barrier();
    child.kill('SIGKILL');
    await child.exited;
  }
  const child = Bun.spawn([...command, '--once', '--json'], { stdout: 'pipe', stderr: 'ignore', stdin: 'ignore' });
  const told = JSON.parse(await new Response(child.stdout).text()) as unknown;
  expect([await child.exited, told]).toEqual([0, { name: 'k', from: 0, position: parts.ingest.position + 1 }]);
  const { features } = await diffShadow(configOf(at, null), 'k', { keysMax: 100, names: null });
  expect(features.map(({ match_rate }) => match_rate)).toEqual([1, 1, 1, 1]);
});
