/**
 * Linear aggregates, end to end, over every type they take, events with weights among them: online = replay = oracle, out of
 * memory and out of the store, however events were cut and sharded.
 */
import { describe, expect, test } from 'bun:test';
import type { Expression } from '../../src/plan/expression.ts';
import type { Aggregate, AggregateFunction, AggregateName, Feature, Plan, Tiles } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, TIME, type Type, type Value } from '../../src/plan/value.ts';
import {
  call,
  column,
  feature,
  HOUR_MS,
  LIFETIME,
  optional,
  plan,
  read,
  required,
  sliding,
  TILES,
} from '../oracle/fixtures/spell.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { now } from '../oracle/naive.ts';
import { rowsOfCut } from './cuts.ts';
import { SimulatedDisk } from './disk.ts';
import { EVENT_CLOCK, memoryDatabase, openEngine, rowsHash } from './engine.ts';
import { body } from './flights.ts';
import { compareValue, valueAt } from './judge.ts';
import { Random } from './random.ts';
import { replayed } from './replayed.ts';

const WINDOWS = { '2h': sliding(2 * HOUR_MS, 60_000), '1d': sliding(24 * HOUR_MS, 30 * 60_000), lifetime: LIFETIME };
const WHO = ['ann', 'bob', 'çağla', ''];

interface Kept {
  name: string;
  fn: AggregateFunction;
  type: Type;
  tiles?: Tiles;
}

/** So short that windows of hours reach back to what has dropped. */
const SHORT: Tiles = { levelsMs: [60_000, 30 * 60_000], offsetMs: 7 * 60_000 };

const inputs = { i: INT64, d: DOUBLE, s: STRING, b: BOOL, t: TIME } as const;

function of(name: keyof typeof inputs): Expression {
  return column(name, inputs[name]);
}

function kept(
  fn: AggregateName,
  arg: Expression,
  type: Type,
  limit: number | null = null,
  params: number[] = [],
): Kept {
  const at = arg.kind === 'column' ? arg.name : arg.kind;
  return {
    name: [fn, at, limit ?? '', ...params].join('_').replaceAll('.', '_'),
    fn: { name: fn, args: [arg], limit, params },
    type,
  };
}

const SPREADS = ['varPop', 'varSamp', 'stddevPop', 'stddevSamp'] as const;

function listOf(type: Type): Type {
  return { kind: 'list', of: { type, presence: REQUIRED } };
}

/** A list of numbers as it stands in a plan. */
function literals(values: Value[], type: Type): Expression {
  return { kind: 'literal', value: values, type: listOf(type), at: null };
}

function mapOf(key: Type): Type {
  return { kind: 'map', key, of: { type: INT64, presence: REQUIRED } };
}

/** Bounds that some windows stay below and others do not. */
function countsOf(name: keyof typeof inputs, limit: number): Kept[] {
  const type = inputs[name];
  return [
    kept('countUnique', of(name), INT64, limit),
    kept('mode', of(name), type, limit),
    kept('topK', of(name), listOf(type), limit, [3]),
    kept('valueCounts', of(name), mapOf(type), limit),
  ];
}

function sketchOf(name: 'i' | 'd', accuracy: number, limit: number, isList: number, ...quantiles: number[]): Kept {
  const accurate: Expression = { kind: 'literal', value: accuracy, type: DOUBLE, at: null };
  const bucket = call('sketchBucket', INT64, of(name), accurate);
  const type = isList ? listOf(DOUBLE) : DOUBLE;
  const { name: called, ...rest } = kept('quantile', bucket, type, limit, [accuracy, isList, ...quantiles]);
  return { name: `${called}_${name}`, ...rest };
}

function bucketsOf(name: 'i' | 'd', boundaries: Expression): Kept {
  const count = (boundaries as { value: Value[] }).value.length + 1;
  const { name: called, ...rest } = kept(
    'bucketCounts',
    call('bucketIndex', INT64, of(name), boundaries),
    listOf(INT64),
    count,
    [count],
  );
  return { name: `${called}_${name}`, ...rest };
}

/** By half-lives that are much longer than tiles, and so short that the coarsest tile has most of those that are kept. */
const HALF_LIVES_MS = [HOUR_MS, 23 * 60_000];

/** What is kept of each event, by functions of each kind. */
const KEPT: Kept[] = [
  ...[of('i'), of('d')].flatMap(arg => SPREADS.map(fn => kept(fn, arg, DOUBLE))),
  ...[...countsOf('i', 1000), ...countsOf('d', 40), ...countsOf('s', 6), ...countsOf('s', 5), ...countsOf('b', 1)],
  ...[...countsOf('t', 9), ...countsOf('i', 12)],
  ...[
    sketchOf('d', 0.01, 4096, 0, 0.5),
    sketchOf('d', 0.3, 15, 1, 0, 0.25, 0.99, 1),
    sketchOf('i', 0.01, 4096, 1, 0.5),
  ],
  ...HALF_LIVES_MS.flatMap(ms => [of('i'), of('d')].map(arg => kept('decayedSum', arg, DOUBLE, ms, [ms]))),
  kept('decayedCount', of('i'), DOUBLE, HOUR_MS, [HOUR_MS]),
  { ...kept('decayedSum', of('i'), DOUBLE, 30_000, [30_000]), tiles: SHORT },
  bucketsOf('i', literals([-10n, 0n, 0n + 5n, 7n], INT64)),
  ...[bucketsOf('i', literals([-1.5, 2.5], DOUBLE)), bucketsOf('d', literals([-50, 0, 0.1, 50], DOUBLE))],
];

/** A set over events that only come, and one over events that come and go. */
function linearPlan(all = KEPT): Plan {
  const key = [column('who', STRING)];
  const fields = [required('who', STRING), ...Object.entries(inputs).map(([name, type]) => optional(name, type))];
  const sets = ['seen', 'changed'].map(event => ({
    ...{ name: event, description: '', owner: '', entity: 'who', event, keys: key, sql: '', at: null },
  }));
  const aggregates = sets.flatMap(({ name: event }) =>
    all.map(
      ({ name, fn, type, tiles = TILES }): Aggregate => ({
        ...{ name: `${event}:${name}`, event, entity: 'who', keys: key, where: null, fn, tiles, type, at: null },
      }),
    ),
  );
  return plan({
    events: ['seen', 'changed'].map(name => ({
      ...{ name, inputs: [...fields, required('w', INT64)], columns: [], onFault: 'reject' as const, at: null },
      weight: name === 'seen' ? null : column('w', INT64),
    })),
    entities: [{ name: 'who', keys: [STRING], at: null }],
    sets,
    aggregates,
    features: aggregates.flatMap((each): Feature[] => {
      const [set, name] = each.name.split(':');
      const windows = Object.entries(WINDOWS).filter(
        ([, { kind }]) => !each.fn.name.startsWith('decayed') || kind !== 'lifetime',
      );
      return windows.map(([suffix, window]) =>
        feature(sets.find(one => one.name === set)!, `${name}_${suffix}`, read(each.name, each.type, { window })),
      );
    }),
  });
}

const DOUBLES = [
  '-0.0',
  '0.5',
  '3',
  '1e-3',
  '1e200',
  '-7.25',
  '1e400',
  '5e-324',
  '1e-170',
  '-1e155',
  '0.1',
  '123456789.123',
];

const TEXTS = ['', 'a', 'b', 'żółć', '__proto__', '7', 'b'.repeat(1024)];

/** Out of order by up to an hour. Mostly plain numbers: with an infinity among them nothing else is to be seen. */
function line(i: number, rng: Random): Uint8Array {
  const time = new Date(Date.UTC(2024, 0, 1) + Math.floor(i / 4) * 20_000 - rng.below(180) * 20_000).toISOString();
  const or = (text: string) => (rng.chance(0.2) ? 'null' : text);
  const whole = rng.chance(0.02) ? rng.pick(['9223372036854775807', '-9223372036854775808']) : rng.below(40) - 20;
  const values = [
    `"who":${JSON.stringify(rng.pick(WHO))}`,
    `"i":${or(String(whole))}`,
    `"d":${or(rng.chance(0.01) ? rng.pick(DOUBLES) : String((rng.below(2000) - 1000) / rng.pick([1, 8, 10])))}`,
    `"s":${or(rng.chance(0.002) ? JSON.stringify('x'.repeat(1025)) : JSON.stringify(rng.pick(TEXTS)))}`,
    `"b":${or(String(rng.chance(0.7)))}`,
    `"t":${or(`"1969-12-31T23:59:5${rng.below(10)}.000001Z"`)}`,
    `"w":${rng.chance(0.4) ? -1 : 1}`,
  ];
  return new TextEncoder().encode(`{"type":"${rng.pick(['seen', 'changed'])}","time":"${time}","data":{${values}}}`);
}

const linear = linearPlan();

test('of sums nothing is left of what is taken back, whatever stood between', async () => {
  const sums = linearPlan(KEPT.filter(({ fn }) => /^(var|stddev|decayed)/.test(fn.name)));
  const rng = new Random(3);
  const value = () => `"i":${rng.below(2 ** 40) - 2 ** 39},"d":${rng.pick(DOUBLES)}`;
  const events = Array.from({ length: 200 }, (_, i) => ({ time: 1_700_000_000_000 + i * 40_000, said: value() }));
  const lineOf = (weight: number, { time, said }: { time: number; said: string }) =>
    new TextEncoder().encode(`{"type":"changed","time":${time},"data":{"who":"ann",${said},"w":${weight}}}`);
  const none = events.map(({ time }) => ({ time, said: '"i":null' }));
  const hashes: unknown[] = [];
  for (const one of [events, none]) {
    const engine = await openEngine(sums, { disk: new SimulatedDisk(1), db: memoryDatabase() });
    const lines = [...one.map(event => lineOf(1, event)), ...one.toReversed().map(event => lineOf(-1, event))];
    for (let from = 0; from < lines.length; from += 70) {
      await engine.ingest.post(body(lines.slice(from, from + 70)), 'ndjson');
      engine.ingest.barrier();
    }
    hashes.push(rowsHash(engine.store));
    await engine.close();
  }
  expect(hashes[0]).toEqual(hashes[1]!);
});

test('what decays goes on to while nothing of its entity changes', async () => {
  const event = (who: string, time: string) =>
    `{"type":"seen","time":"2024-01-01T${time}Z","data":{"who":"${who}","i":8,"w":1}}`;
  const lines = [event('ann', '11:00:00'), event('bob', '12:00:05'), event('bob', '12:00:45')];
  const bytes = lines.map(text => new TextEncoder().encode(text));
  const log = parseLog(body(bytes), linear, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const name = 'seen:decayedSum_i_3600000_3600000_2h';
  const engine = await openEngine(linear, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  const seen: unknown[] = [];
  for (const one of bytes) {
    await engine.ingest.post(body([one]), 'ndjson');
    const answer = engine.reader.lookup({ features: [name], entities: { who: ['ann'] }, at: null });
    const [found] = answer.entities[0]!.features;
    compareValue(linear, found!, 0, log, ['ann'], answer.position!, answer.timeMicros);
    seen.push(valueAt(found!, 0));
  }
  expect(new Set(seen).size).toBe(3);
  await engine.close();
});

test('what decays is explained by what is left of its tiles', async () => {
  const rng = new Random(5);
  const engine = await openEngine(linear, { disk: new SimulatedDisk(1), db: memoryDatabase() });
  await engine.ingest.post(body(Array.from({ length: 600 }, (_, i) => line(i, rng))), 'ndjson');
  const decayed = linear.features.filter(({ name }) => /^seen:decayedSum_i_.*_(2h|1d)$/.test(name));
  for (const { name } of decayed) {
    const { answer, reads } = engine.reader.explain({ feature: name, key: 'ann', at: null });
    const { tiles, values } = reads[0]!;
    const sum = tiles.reduce((total, _, i) => total + (valueAt(values, i) as number), 0);
    expect(tiles.length).toBeGreaterThan(1);
    expect(sum / (valueAt(answer, 0) as number)).toBeCloseTo(1, 9);
  }
  expect(decayed.length).toBe(6);
  await engine.close();
});

describe.each([1, 2])('seed %p', seed => {
  const rng = new Random(seed);
  const lines = Array.from({ length: 2000 }, (_, i) => line(i, rng));
  const log: Log = parseLog(body(lines), linear, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });

  test('lookups at many prefixes = oracle, from memory, from the store and from both', async () => {
    const engine = await openEngine(linear, { disk: new SimulatedDisk(seed), db: memoryDatabase() });
    const keys = [...WHO, 'nobody'];
    let compared = 0;
    for (let from = 0; from < lines.length; from += 200) {
      await engine.ingest.post(body(lines.slice(from, from + 200)), 'ndjson');
      if (rng.chance(0.5)) engine.ingest.barrier();
      if (engine.folds[0]!.dirtyCount === 0) engine.folds[0]!.evict(0);
      const p = engine.ingest.position;
      const answer = engine.reader.lookup({ features: ['seen:*', 'changed:*'], entities: { who: keys }, at: null });
      for (const found of answer.entities[0]!.features)
        for (const [row, who] of keys.entries()) {
          compareValue(linear, found, row, log, [who], p, now(log, p));
          compared++;
        }
    }
    expect(compared).toBe(10 * keys.length * linear.features.length);
    await engine.close();
  });

  test('every replayed row = oracle', async () => {
    let row = 0;
    const { batches } = await replayed(linear, lines);
    for await (const batch of batches) {
      for (let i = 0; i < batch.count; i++, row++) {
        if (row % 61 !== 0) continue;
        const { position, time, inputs: said } = log.records[row]!;
        for (const found of batch.columns) compareValue(linear, found, i, log, [said.who!], position, time);
      }
    }
    expect(row).toBe(lines.length);
  });

  test('any batch cut and 1, 2, 7 shards give equal row bytes', async () => {
    const hashes: unknown[] = [];
    for (const [shards, step] of [
      [1, 2000],
      [1, 111],
      [2, 400],
      [7, 300],
    ] as const)
      hashes.push(await rowsOfCut(linear, lines, { shards, step, seed, rng }));
    expect(hashes.slice(1)).toEqual(hashes.slice(1).map(() => hashes[0]!));
  });
});
