/** Definitions that change at random, and the folders and processes that they change in. */
import { Database } from 'bun:sqlite';
import { expect } from 'bun:test';
import { join } from 'node:path';
import { compose, type Parts } from '../../src/cli/alone/compose.ts';
import { type Config, DEFAULTS } from '../../src/cli/config.ts';
import { decodeRow } from '../../src/cli/decode.ts';
import { compileSources } from '../../src/compile/compile.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { readMembers } from '../../src/meta/members.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { keptLevels } from '../../src/plan/window.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import type { Log } from '../oracle/log.ts';
import type { Recorded } from '../oracle/naive.ts';
import { EVENT_CLOCK } from './engine.ts';
import { compareAnswer, everything, type Keys } from './judge.ts';
import type { Random } from './random.ts';

export const LATENESS_MS = 3_600_000;

/** Few, so that a short log takes many. */
export const STEPS = { mergedAtOnce: 150, gapMax: 40 };

const open = new Set<Parts>();

/** What a test that has failed has left open. */
export async function closeLeft(): Promise<void> {
  for (const parts of open) await parts.close();
  open.clear();
}

export interface SetText {
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

export async function planOf(sets: SetText[]): Promise<Plan> {
  const { plan, faults } = await compileSources([{ file: 'all.yaml', text: textOf(sets) }], {
    latenessMs: LATENESS_MS,
  });
  expect(faults).toEqual([]);
  return plan;
}

export function textOf(sets: SetText[]): string {
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

export function someSet(random: Random): SetText {
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
export function changed(sets: SetText[], random: Random): SetText[] {
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
export async function start(at: string, workers: number | null): Promise<Parts> {
  const config = configOf(at, workers);
  const onFailure = (error: unknown) => {
    throw error;
  };
  const isAlone = workers === null;
  const parts = await compose(config, { announce: null, onFailure, note: () => {}, isAlone, steps: STEPS });
  open.add(parts);
  return parts;
}

export function configOf(at: string, workers: number | null): Config {
  return {
    ...DEFAULTS,
    log: { ...DEFAULTS.log, dir: join(at, 'log'), clock: EVENT_CLOCK },
    store: { sqlite: join(at, 'rows.db') },
    definitions: join(at, 'features'),
    fold: { workers: workers ?? 0, memoryBytes: 256 << 20, barrierMs: 100 },
    latenessMs: LATENESS_MS,
  };
}

export async function close(parts: Parts): Promise<void> {
  await parts.close();
  open.delete(parts);
}

export async function restart(parts: Parts, at: string, workers: number | null): Promise<Parts> {
  await close(parts);
  return start(at, workers);
}

export function recordedOf({ meta }: Parts): Recorded {
  const members = readMembers(meta.currentPlan()!.members!);
  return new Map([...members].map(([name, { known }]) => [name, known]));
}

export async function ask(parts: Parts, log: Log, keys: Keys): Promise<number> {
  const { plan } = parts;
  const entities = new Set(plan.sets.map(set => set.entity));
  const asked: Keys = new Map([...keys].filter(([entity]) => entities.has(entity)));
  const recorded = recordedOf(parts);
  const answer = await parts.reader.lookup(everything(plan, asked));
  return answer.position! < 0 ? 0 : compareAnswer(plan, log, asked, answer, recorded);
}

/** The states of the aggregates in force, by the places of their rows. */
export async function statesOf(parts: Parts, at: string): Promise<Map<string, string>> {
  const { plan, meta } = parts;
  const members = readMembers(meta.currentPlan()!.members!);
  await close(parts);
  const db = new Database(join(at, 'rows.db'), { strict: true });
  const store = sqliteStore(db, packKernel());
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
