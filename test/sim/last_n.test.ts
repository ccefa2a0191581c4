/**
 * LAST_N, end to end, over every type: online = replay = oracle, out of memory and out of the store, however events were
 * cut and sharded. Two types of events name the entity, so that a replay's columns are filled from both.
 */
import { describe, expect, test } from 'bun:test';
import type { Expression } from '../../src/plan/expression.ts';
import type { Feature, FeatureSet, Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, STRING, TIME, type Type } from '../../src/plan/value.ts';
import {
  aggregate,
  call,
  column,
  feature,
  HOUR_MS,
  lastN,
  LIFETIME,
  literal,
  optional,
  plan,
  read,
  required,
  sliding,
} from '../oracle/fixtures/spell.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { now } from '../oracle/naive.ts';
import { rowsOfCut } from './cuts.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine } from './engine.ts';
import { body } from './flights.ts';
import { compareValue } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

const WINDOWS = { '2h': sliding(2 * HOUR_MS, 60_000), '1d': sliding(24 * HOUR_MS, 30 * 60_000), lifetime: LIFETIME };
const COLUMNS: Record<string, Type> = { i: INT64, d: DOUBLE, s: STRING, b: BOOL, t: TIME };
const LIMITS = [1, 3, 50, 1000];
const WHO = ['ann', 'bob', 'çağla', ''];

/** Of each type of event a set, of one column the values where another one is true, and how many events there were. */
function recentPlan(): Plan {
  const key = [column('who', STRING)];
  const inputs = [required('who', STRING), ...Object.entries(COLUMNS).map(([name, type]) => optional(name, type))];
  const sets = ['seen', 'heard'].map(event => ({
    ...{ name: event, description: '', owner: '', entity: 'who', event, keys: key, sql: '', at: null },
  }));
  const isTrue = call('and', BOOL, column('b', BOOL), literal(true));
  const aggregates = sets.flatMap(({ name, event }) => [
    ...Object.entries(COLUMNS).map(([input, type], i) =>
      lastN(`${name}:${input}`, event, key, column(input, type), LIMITS[(i + name.length) % LIMITS.length]!, {
        entity: 'who',
      }),
    ),
    lastN(`${name}:true`, event, key, column('i', INT64), 5, { entity: 'who', where: isTrue }),
    aggregate(`${name}:events`, event, key, 'count', null, { entity: 'who' }),
  ]);
  return plan({
    events: ['seen', 'heard'].map(name => ({
      ...{ name, inputs, columns: [], onFault: 'reject' as const, weight: null, at: null },
    })),
    entities: [{ name: 'who', keys: [STRING], at: null }],
    sets,
    aggregates,
    features: aggregates.flatMap(each => {
      const [set, name] = each.name.split(':');
      const of = sets.find(one => one.name === set)!;
      return Object.entries(WINDOWS).flatMap(([suffix, window]) => {
        const list = read(each.name, each.type, { window });
        return [feature(of, `${name}_${suffix}`, list), ...derivedOf(of, `${name}_${suffix}`, list)];
      });
    }),
  });
}

/** What can be computed of a list: its length, an item (there may be none), and a whole one again. */
function derivedOf(set: FeatureSet, name: string, list: Expression): Feature[] {
  if (list.type.kind !== 'list') return [];
  const none: Expression = { kind: 'literal', value: null, type: list.type, at: null };
  const second: Expression = { kind: 'index', of: list, by: literal(1n), type: list.type.of.type, at: null };
  return [
    feature(set, `${name}_count`, call('listLength', INT64, list)),
    feature(set, `${name}_second`, second),
    feature(set, `${name}_again`, call('coalesce', list.type, none, list)),
  ];
}

const TEXTS = ['""', '"a"', '"\\ufeffmark"', '"\\ud800"', '"żółć"', JSON.stringify('x'.repeat(1024))];

/** Out of order by up to an hour, a few seconds over and over; a text that is too long now and then. */
function line(i: number, rng: Random): Uint8Array {
  const time = new Date(Date.UTC(2024, 0, 1) + Math.floor(i / 4) * 20_000 - rng.below(180) * 20_000).toISOString();
  const or = (text: string) => (rng.chance(0.3) ? 'null' : text);
  const values = [
    `"who":${JSON.stringify(rng.pick(WHO))}`,
    `"i":${or(String(rng.below(2000) - 1000))}`,
    `"d":${or(rng.pick(['-0.0', '0.5', '1e400', '1e-320', '3']))}`,
    `"s":${or(rng.chance(0.02) ? JSON.stringify('é'.repeat(513)) : rng.pick(TEXTS))}`,
    `"b":${or(String(rng.chance(0.5)))}`,
    `"t":${or(`"1969-12-31T23:59:5${rng.below(10)}.000001Z"`)}`,
  ];
  return new TextEncoder().encode(`{"type":"${rng.pick(['seen', 'heard'])}","time":"${time}","data":{${values}}}`);
}

const recent = recentPlan();

describe.each([1, 2])('seed %p', seed => {
  const rng = new Random(seed);
  const lines = Array.from({ length: 3000 }, (_, i) => line(i, rng));
  const log: Log = parseLog(body(lines), recent, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });

  test('lookups at many prefixes = oracle, from memory, from the store and from both', async () => {
    const engine = await openEngine(recent, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
    const keys = [...WHO, 'nobody'];
    let compared = 0;
    for (let from = 0; from < lines.length; from += 150) {
      await engine.ingest.post(body(lines.slice(from, from + 150)), 'ndjson');
      if (rng.chance(0.5)) engine.ingest.barrier();
      if (engine.folds[0]!.dirtyCount === 0) engine.folds[0]!.evict(0);
      const p = engine.ingest.position;
      const answer = engine.reader.lookup({ features: ['seen:*', 'heard:*'], entities: { who: keys }, at: null });
      for (const found of answer.entities[0]!.features)
        for (const [row, who] of keys.entries()) {
          compareValue(recent, found, row, log, [who], p, now(log, p));
          compared++;
        }
    }
    expect(compared).toBe(20 * keys.length * recent.features.length);
    await engine.close();
  });

  test('every replayed row = oracle', async () => {
    let row = 0;
    const { batches } = await replayed(recent, lines);
    for await (const batch of batches) {
      for (let i = 0; i < batch.count; i++, row++) {
        if (row % 37 !== 0) continue;
        const { position, time, inputs } = log.records[row]!;
        for (const found of batch.columns) compareValue(recent, found, i, log, [inputs.who!], position, time);
      }
    }
    expect(row).toBe(lines.length);
  });

  test('any batch cut and 1, 2, 3, 7 shards give equal row bytes', async () => {
    const hashes: unknown[] = [];
    for (const [shards, step] of [
      [1, 3000],
      [1, 111],
      [2, 400],
      [3, 1111],
      [7, 300],
    ] as const)
      hashes.push(await rowsOfCut(recent, lines, { shards, step, seed, rng }));
    expect(hashes.slice(1)).toEqual(hashes.slice(1).map(() => hashes[0]!));
  });
});

test('more lists than a frame holds at once', async () => {
  const rng = new Random(3);
  const lines = Array.from({ length: 1500 }, (_, i) => line(i, rng));
  const log = parseLog(body(lines), recent, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const engine = await openEngine(recent, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await engine.ingest.post(body(lines), 'ndjson');
  const p = engine.ingest.position;
  const keys = Array.from({ length: 300 }, (_, i) => [...WHO, 'nobody'][i % 5]!);
  const answer = engine.reader.lookup({ features: ['seen:*', 'heard:*'], entities: { who: keys }, at: null });
  for (const found of answer.entities[0]!.features)
    for (const row of [...keys.keys()].filter(row => row % 23 === 0))
      compareValue(recent, found, row, log, [keys[row]!], p, now(log, p));
  await engine.close();
});
