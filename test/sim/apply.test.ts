/**
 * Definitions change while events come: whatever is applied when, in one thread and with workers, over restarts, every value
 * is what the oracle makes of the log and of what was recorded of each aggregate when it came.
 */
import { Database } from 'bun:sqlite';
import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { compose, type Parts } from '../../src/cli/compose.ts';
import { type Config, DEFAULTS } from '../../src/cli/config.ts';
import { decodeRow } from '../../src/cli/decode.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { readMembers } from '../../src/meta/members.ts';
import { planJson } from '../../src/plan/json.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { keptLevels } from '../../src/plan/window.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import type { Recorded } from '../oracle/naive.ts';
import { folders } from '../source/folder.ts';
import { EVENT_CLOCK } from './engine.ts';
import { body, smallWeek, wild } from './flights.ts';
import { compareAnswer, everything, type Keys, keysOf } from './judge.ts';
import { Random } from './random.ts';

/** `bun scripts/long.ts apply` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const SEEDS = LONG ? 60 : 3;
const TIMEOUT_MS = LONG ? 3_600_000 : 300_000;
const LATENESS_MS = 3_600_000;

/** Few, so that a short log takes many. */
const STEPS = { mergedAtOnce: 150, gapMax: 40 };

const folder = folders();
const small = await smallWeek(6, 8);

const open = new Set<Parts>();
afterEach(async () => {
  for (const parts of open) await parts.close();
  open.clear();
});

interface SetText {
  name: string;
  key: string;
  windows: string[];
  /** Alias -> expression. */
  items: Map<string, string>;
  where: string | null;
}

const ITEMS = [
  'COUNT(*)',
  'SUM(delay)',
  'AVG(delay)',
  'MIN(delay)',
  'MAX(distance)',
  'LAST(delay)',
  'COUNT(delay)',
  'LAST_N(distance, 3)',
];
const WINDOWS = ['2h', '6h@1m', '1d', '2d@1d', '5d', 'tumbling 1d', '1d offset 2d', 'lifetime'];
const KEYS = ['origin', 'destination', 'origin, destination'];
const WHERES = [null, 'delay > 15', 'distance > 500'];

async function planOf(sets: SetText[]): Promise<Plan> {
  const { plan, faults } = await compileSources([{ file: 'all.yaml', text: textOf(sets) }], {
    latenessMs: LATENESS_MS,
  });
  expect(faults).toEqual([]);
  return plan;
}

function textOf(sets: SetText[]): string {
  const entityOf = (key: string) => (key.includes(',') ? 'route' : key);
  const documents = sets.map(
    ({ name, key, windows, items, where }) => `feature_set: ${name}
entity: ${entityOf(key)}
source: flight
windows: [${windows.join(', ')}]
sql: SELECT ${key}, ${[...items].map(([alias, item]) => `${item} AS ${alias}`).join(', ')} FROM flight ${where ? `WHERE ${where}` : ''} GROUP BY ${key}
`,
  );
  const declared = `events:
  flight:
    origin: string
    destination: string
    delay: { type: int64, optional: true }
    distance: { type: int64, default: 0 }
entities: { origin: string, destination: string, route: [string, string] }
`;
  return [declared, ...documents].join('---\n');
}

let named = 0;

function someSet(random: Random): SetText {
  const items = new Map<string, string>();
  while (items.size < 2) items.set(`x${named++}`, random.pick(ITEMS));
  const windows = WINDOWS.filter(() => random.chance(0.5));
  return {
    name: `set${named++}`,
    key: random.pick(KEYS),
    windows: windows.length > 0 ? windows : ['1d'],
    items,
    where: random.pick(WHERES),
  };
}

/** Any change at all; what it leaves is at least one set. */
function changed(sets: SetText[], random: Random): SetText[] {
  const copies = sets.map(set => ({ ...set, items: new Map(set.items) }));
  const one = random.pick(copies);
  switch (random.below(8)) {
    case 0:
    case 1:
      return [...copies, someSet(random)];
    case 2:
      return copies.length > 1 ? copies.filter(set => set !== one) : copies;
    case 3:
      one.name = `set${named++}`;
      break;
    case 4:
      one.windows = WINDOWS.filter(window => one.windows.includes(window) || random.chance(0.5));
      break;
    case 5:
      one.windows = one.windows.filter((_, i) => i === 0 || random.chance(0.5));
      break;
    case 6:
      one.where = random.pick(WHERES);
      break;
    default:
      one.items.set(`x${named++}`, random.pick(ITEMS));
  }
  return copies;
}

/** @param workers null for one thread that does it all */
async function start(at: string, workers: number | null): Promise<Parts> {
  const config: Config = {
    ...DEFAULTS,
    log: { ...DEFAULTS.log, dir: join(at, 'log'), clock: EVENT_CLOCK },
    store: { sqlite: join(at, 'rows.db') },
    definitions: join(at, 'features'),
    fold: { workers: workers ?? 0, memoryBytes: 256 << 20, barrierMs: 100 },
    latenessMs: LATENESS_MS,
  };
  const onFailure = (error: unknown) => {
    throw error;
  };
  const isAlone = workers === null;
  const parts = await compose(config, { announce: null, onFailure, note: () => {}, isAlone, steps: STEPS });
  open.add(parts);
  return parts;
}

async function restart(parts: Parts, at: string, workers: number | null): Promise<Parts> {
  await parts.close();
  open.delete(parts);
  return start(at, workers);
}

function recordedOf({ meta }: Parts): Recorded {
  const members = readMembers(meta.currentPlan()!.members!);
  return new Map([...members].map(([name, { known }]) => [name, known]));
}

async function ask(parts: Parts, log: Log, keys: Keys): Promise<number> {
  const { plan } = parts;
  const entities = new Set(plan.sets.map(set => set.entity));
  const asked: Keys = new Map([...keys].filter(([entity]) => entities.has(entity)));
  const recorded = recordedOf(parts);
  const answer = await parts.reader.lookup(everything(plan, asked));
  return answer.position! < 0 ? 0 : compareAnswer(plan, log, asked, answer, recorded);
}

test.each([null, 0, 2])(
  '%p workers: changes of all kinds between posts that do not wait for them',
  async workers => {
    let compared = 0;
    let waitedMs = 0;
    let applied = 0;
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
        if (random.chance(0.05)) parts = await restart(parts, at, workers);
        if (random.chance(0.2)) await parts.ingest.barrier();
        if (random.chance(0.4)) compared += await ask(parts, log, keys);
      }
      compared += await ask(parts, log, keys);
      expect(parts.ingest.position).toBe(log.records.length - 1);
      parts = await restart(parts, at, workers);
      compared += await ask(parts, log, keys);
    }
    expect(applied).toBeGreaterThan(2 * SEEDS);
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
    for (let seed = 1; seed <= SEEDS; seed++) {
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
    }
    expect(computed).toBeGreaterThan(SEEDS);
  },
  TIMEOUT_MS,
);

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

/** The states of the aggregates in force, by the places of their rows. */
async function statesOf(parts: Parts, at: string): Promise<Map<string, string>> {
  const { plan, meta } = parts;
  const members = readMembers(meta.currentPlan()!.members!);
  await parts.close();
  open.delete(parts);
  const db = new Database(join(at, 'rows.db'), { strict: true });
  const store = sqliteStore(db);
  const numbered = db
    .query<{ kind: string; id: number; name: string }, []>('SELECT kind, id, name FROM dictionary')
    .all();
  const entities = new Map(numbered.flatMap(({ kind, id, name }) => (kind === 'entity' ? [[id, name]] : [])));
  const names = new Map([...members].map(([name, { id }]) => [id, name]));
  const clock = store.mark().clocks.get('flight')!.at;
  const ttls = new Map(
    plan.aggregates.flatMap(one =>
      keptLevels(one, plan).map(({ levelMs, ttlMs }) => [`${one.name} ${levelMs}`, ttlMs]),
    ),
  );
  const states = new Map<string, string>();
  for (const { entity, key, levelMs, tileStartMs, value } of store.scan())
    for (const [id, state] of decodeRow(value) as Map<number, string>) {
      const name = names.get(id);
      const ttlMs = ttls.get(`${name} ${levelMs}`);
      // When rows leave that have expired is a matter of barriers.
      if (name === undefined || ttlMs === undefined || Number(clock) / 1000 >= tileStartMs + ttlMs) continue;
      states.set(
        `${entities.get(entity)} ${Buffer.from(key).toString('hex')} ${levelMs} ${tileStartMs} ${name}`,
        state,
      );
    }
  store.close();
  db.close();
  return states;
}
