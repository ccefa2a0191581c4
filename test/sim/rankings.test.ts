/**
 * Aggregates that keep values in an order, HyperLogLogs and averages of vectors, end to end, over every type: online = replay
 * = oracle, out of memory and out of the store, however events were cut and sharded.
 */
import { describe, expect, test } from 'bun:test';
import type { Expression } from '../../src/plan/expression.ts';
import type { Aggregate, AggregateName, Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, OPTIONAL, REQUIRED, STRING, TIME, type Type } from '../../src/plan/value.ts';
import {
  aggregate,
  call,
  column,
  feature,
  HOUR_MS,
  LIFETIME,
  optional,
  plan,
  read,
  sliding,
} from '../oracle/fixtures/spell.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { now as nowAt } from '../oracle/naive.ts';
import { rowsOfCut } from './cuts.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine } from './engine.ts';
import { body } from './flights.ts';
import { compareValue } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

const WINDOWS = { '2h': sliding(2 * HOUR_MS, 60_000), '1d': sliding(24 * HOUR_MS, 30 * 60_000), lifetime: LIFETIME };
const COLUMNS: Record<string, Type> = { i: INT64, d: DOUBLE, s: STRING, b: BOOL, t: TIME };
const DOUBLES: Type = { kind: 'list', of: { type: DOUBLE, presence: OPTIONAL } };
const WHO = ['ann', 'bob', 'çağla', ''];

const KEY = [column('who', STRING)];

function aggregateOf(name: string, fn: AggregateName, args: Expression[], limit: number | null, type: Type): Aggregate {
  return aggregate(`seen:${name}`, 'seen', KEY, fn, args[0]!, {
    entity: 'who',
    fn: { name: fn, args, limit, params: [] },
    type,
  });
}

/** Over every column; what is ranked is so by the next one. */
function rankedPlan(): Plan {
  const inputs = [optional('who', STRING), optional('v', DOUBLES)];
  const now = call('toInt64', INT64, { kind: 'now', type: TIME, at: null });
  for (const [name, type] of Object.entries(COLUMNS)) inputs.push(optional(name, type));
  const set = { name: 'seen', description: '', owner: '', entity: 'who', event: 'seen', keys: KEY, sql: '', at: null };
  const columns = Object.entries(COLUMNS).map(([name, type]) => column(name, type));
  const aggregates = Object.entries(COLUMNS).flatMap(([name, type], i) => {
    const [value, by] = [columns[i]!, columns[(i + 1) % columns.length]!];
    const list: Type = { kind: 'list', of: { type, presence: REQUIRED } };
    const many = (fn: AggregateName, limit: number, args = [value]) =>
      aggregateOf(`${fn}${limit}_${name}`, fn, args, limit, list);
    return [
      ...[many('firstN', 3), many('firstN', 1000), many('lastDistinct', 3), many('lastDistinct', 100)],
      ...[many('list', 40), many('list', 1000), many('set', 3), many('set', 500)],
      ...[
        many('max', 1),
        many('max', 4),
        many('min', 30),
        many('argMax', 5, [value, by]),
        many('argMin', 2, [value, by]),
      ],
      aggregateOf(`argMax_${name}`, 'argMax', [value, by], null, type),
      aggregateOf(`argMin_${name}`, 'argMin', [value, by], null, type),
      aggregateOf(`max_${name}`, 'max', [value], null, type),
      aggregateOf(`min_${name}`, 'min', [value], null, type),
      aggregateOf(`count4_${name}`, 'approxCountDistinct', [value], 4, INT64),
      aggregateOf(`count10_${name}`, 'approxCountDistinct', [value], 10, INT64),
    ];
  });
  const vectors = [1, 3].map(length =>
    aggregateOf(`vector${length}`, 'vectorAvg', [column('v', DOUBLES)], length, DOUBLES),
  );
  const latest = aggregateOf('latest', 'max', [column('_time', TIME)], null, TIME);
  const all = [...aggregates, ...vectors, latest];
  return plan({
    events: [{ name: 'seen', inputs, columns: [], onFault: 'reject', weight: null, at: null }],
    entities: [{ name: 'who', keys: [STRING], at: null }],
    sets: [set],
    aggregates: all,
    features: [
      ...all.flatMap(each =>
        Object.entries(WINDOWS).map(([suffix, window]) =>
          feature(set, `${each.name.slice(5)}_${suffix}`, read(each.name, each.type, { window })),
        ),
      ),
      ...Object.entries(WINDOWS).flatMap(([suffix, window]) => {
        const since = call('subtract', INT64, now, call('toInt64', INT64, read(latest.name, TIME, { window })));
        return [
          feature(set, `since_${suffix}`, since),
          feature(set, `since_or_now_${suffix}`, call('coalesce', INT64, since, now)),
        ];
      }),
    ],
  });
}

const LONG = 'x'.repeat(1022);
const TEXTS = ['', 'a', 'ab', '\ufeffmark', 'żółć', LONG, `${LONG}xy`].map(text => JSON.stringify(text));
/** Rare: a value that decides is one of them now and then. */
const TOO_LONG = [`${LONG}é!`, `${LONG}xyz`, `A${LONG}xyz`].map(text => JSON.stringify(text));
const VECTORS = ['[1,2.5,-3e300]', '[0.1,0.2,0.3]', '[1e308,null,2]', '[]', '[7]', '[-0.0]', '[1e308,1e308,1e400]'];

/** Out of order by up to an hour, a few seconds over and over. */
function line(i: number, rng: Random): Uint8Array {
  const time = new Date(Date.UTC(2024, 0, 1) + Math.floor(i / 4) * 20_000 - rng.below(180) * 20_000).toISOString();
  const or = (text: string) => (rng.chance(0.3) ? 'null' : text);
  const values = [
    `"who":${rng.chance(0.02) ? 'null' : JSON.stringify(rng.pick(WHO))}`,
    `"i":${or(String(rng.below(2000) - 1000))}`,
    `"d":${or(rng.pick(['-0.0', '0', '0.5', '1e400', '1e-320', '3', String(rng.below(100) / 7)]))}`,
    `"s":${or(rng.chance(0.003) ? rng.pick(TOO_LONG) : rng.pick(TEXTS))}`,
    `"b":${or(String(rng.chance(0.5)))}`,
    `"t":${or(`"1969-12-31T23:59:5${rng.below(10)}.000001Z"`)}`,
    `"v":${or(rng.pick(VECTORS))}`,
  ];
  return new TextEncoder().encode(`{"type":"seen","time":"${time}","data":{${values}}}`);
}

const ranked = rankedPlan();
const COUNT = 1600;

describe.each(process.env.TILEFOLD_LONG ? [1, 2, 3, 4, 5] : [1])('seed %p', seed => {
  const rng = new Random(seed);
  const lines = Array.from({ length: COUNT }, (_, i) => line(i, rng));
  const log: Log = parseLog(body(lines), ranked, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });

  test('lookups at many prefixes = oracle, from memory, from the store and from both', async () => {
    const engine = await openEngine(ranked, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
    const keys = [...WHO, 'nobody'];
    const statuses = new Set<number>();
    let compared = 0;
    for (let from = 0; from < lines.length; from += 200) {
      await engine.ingest.post(body(lines.slice(from, from + 200)), 'ndjson');
      if (rng.chance(0.5)) engine.ingest.barrier();
      if (engine.folds[0]!.dirtyCount === 0) engine.folds[0]!.evict(0);
      const p = engine.ingest.position;
      const answer = engine.reader.lookup({ features: ['seen:*'], entities: { who: keys }, at: null });
      for (const found of answer.entities[0]!.features)
        for (const [row, who] of keys.entries()) {
          compareValue(ranked, found, row, log, [who], p, nowAt(log, p));
          statuses.add(found.statuses[row]!);
          compared++;
        }
    }
    expect(compared).toBe((COUNT / 200) * keys.length * ranked.features.length);
    expect(statuses.size).toBeGreaterThan(3);
    await engine.close();
  });

  test('every replayed row = oracle', async () => {
    let row = 0;
    const { batches } = await replayed(ranked, lines);
    for await (const batch of batches) {
      for (let i = 0; i < batch.count; i++, row++) {
        const { position, time, inputs } = log.records[row]!;
        if (row % 97 !== 0 && inputs.who !== null) continue;
        for (const found of batch.columns) compareValue(ranked, found, i, log, [inputs.who ?? null], position, time);
      }
    }
    expect(row).toBe(lines.length);
  });

  test('any batch cut and 1, 2, 3, 7 shards give equal row bytes', async () => {
    const hashes: unknown[] = [];
    for (const [shards, step] of [
      [1, COUNT],
      [1, 111],
      [2, 400],
      [3, 1111],
      [7, 300],
    ] as const)
      hashes.push(await rowsOfCut(ranked, lines, { shards, step, seed, rng }));
    expect(hashes.slice(1)).toEqual(hashes.slice(1).map(() => hashes[0]!));
  });
});

test('the moment of reading is that of the lookup, where nothing else has changed since the last one too', async () => {
  const engine = await openEngine(ranked, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  const post = (who: string, minute: number) =>
    engine.ingest.post(
      new TextEncoder().encode(`{"type":"seen","time":"2024-01-01T00:0${minute}:00Z","data":{"who":"${who}"}}`),
      'ndjson',
    );
  const since = () => {
    const asked = { features: ['seen:since_lifetime'], entities: { who: ['ann'] }, at: null };
    return engine.reader.lookup(asked).entities[0]!.features[0]!.values;
  };
  await post('ann', 0);
  expect(since()).toEqual(BigInt64Array.of(0n));
  for (const minute of [1, 2]) {
    await post('bob', minute);
    expect(since()).toEqual(BigInt64Array.of(BigInt(minute) * 60_000_000n));
  }
  await engine.close();
});
