/** Tiling a whole batch at once, against tiling event by event, and against sums of JavaScript. */
import { expect, test } from 'bun:test';
import { fromBinary } from '@bufbuild/protobuf';
import { ChangeBatchSchema } from '../../src/gen/tilefold/v1/change_pb.ts';
import { Stages } from '../../src/base/stages.ts';
import { advanceRecords, foldGathered, gather, select } from '../../src/ingest/advance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { changes, spellChanges } from '../../src/kernel/change.ts';
import { tile, tilePicked } from '../../src/kernel/tile.ts';
import type { AggregateName, Plan } from '../../src/plan/plan.ts';
import { DOUBLE, INT64, STRING } from '../../src/plan/value.ts';
import {
  aggregate,
  column,
  DAY_MS,
  feature,
  HOUR_MS,
  optional,
  plan,
  read,
  sliding,
} from '../oracle/fixtures/spell.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, eventType, layout } from './columns.ts';
import { statesOf } from './rows.ts';

const START_MS = 983_664_000_000;

/** Aggregates of integers, which come first, and others. */
const INTEGERS = 5;
const ALL = 8;

/** Every kind of aggregate, or some, in minutes, half hours, days and a lifetime, by one key of text or by two. */
function planOf(keyCount: number, fnCount = ALL): Plan {
  const inputs = [optional('k', STRING), optional('n', INT64), optional('v', INT64), optional('x', DOUBLE)];
  const keys = [column('k', STRING), column('n', INT64)].slice(0, keyCount);
  const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys, sql: '', at: null };
  const fns: [AggregateName, string | null][] = [
    ['count', null],
    ['sum', 'v'],
    ['avg', 'v'],
    ['min', 'v'],
    ['max', 'v'],
    ['sum', 'x'],
    ['first', 'k'],
    ['last', 'v'],
  ];
  const typeOf = (name: string) => inputs.find(input => input.name === name)!.type;
  const aggregates = fns
    .slice(0, fnCount)
    .map(([fn, of], i) =>
      aggregate(`set:${i}`, 'e', keys, fn, of === null ? null : column(of, typeOf(of)), { entity: 'k' }),
    );
  return plan({
    events: [eventType('e', inputs)],
    entities: [{ name: 'k', keys: [STRING, INT64].slice(0, keyCount), at: null }],
    aggregates,
    sets: [set],
    features: aggregates.flatMap(of => [
      feature(set, `${of.name.slice(4)}_lifetime`, read(of.name, of.type)),
      feature(set, `${of.name.slice(4)}_1d`, read(of.name, of.type, { window: sliding(DAY_MS, 60_000) })),
    ]),
  });
}

/** Rows after a batch whose records were tiled in cuts of these sizes. */
async function rowsOf(of: Plan, ndjson: string, cut: number): Promise<Map<string, Uint8Array>> {
  return rowMap(await foldOf(of, ndjson, cut));
}

async function foldOf(of: Plan, ndjson: string, cut: number): Promise<Fold> {
  const placed = await layout(of);
  const fold = new Fold(placed.kernel, null);
  const decoder = new Decoder(placed.kernel, placed.types);
  decoder.fill(bytesOf(ndjson));
  for (let position = 0; decoder.next(position, null); position += decoder.count) {
    select(placed);
    for (let from = 0; from < decoder.count; from += cut)
      advanceRecords({ layout: placed, folds: [fold] }, from, Math.min(from + cut, decoder.count));
  }
  return fold;
}

/** Rows of blocks that are decoded one over the other, some of them tiled together. */
async function gatheredRows(of: Plan, ndjson: string, rng: Random): Promise<Map<string, Uint8Array>> {
  const placed = await layout(of);
  const fold = new Fold(placed.kernel, null);
  const pipeline = { layout: placed, folds: [fold] };
  const decoder = new Decoder(placed.kernel, placed.types);
  const rest = ndjson.split('\n');
  for (let position = 0; rest.length > 0; ) {
    decoder.fill(bytesOf(rest.splice(0, 1 + rng.below(400)).join('\n')));
    for (; decoder.next(position, null); position += decoder.count) gather(placed, new Stages());
    if (rng.chance(0.3)) foldGathered(pipeline, new Stages());
  }
  foldGathered(pipeline, new Stages());
  return rowMap(fold);
}

function rowMap(fold: Fold): Map<string, Uint8Array> {
  return new Map(
    fold
      .dirtyRows()
      .map(({ key, levelMs, tileStartMs, value }) => [
        `${Buffer.from(key).toString('latin1')} ${levelMs} ${tileStartMs}`,
        value.slice(),
      ]),
  );
}

interface Shape {
  startMs: number;
  events: number;
  keys: number;
  /** How far events lie apart, and how far they are out of order: milliseconds. */
  stepMs: number;
  jitterMs: number;
}

/** Beyond what entries are written of by template, each alone or two together (assembly/plain.ts). */
const LARGE = [
  '9223372036854775807',
  '-9223372036854775808',
  '18014398509481983',
  '-18014398509481983',
  '63',
  '64',
  '-65',
];

function lines(
  rng: Random,
  { startMs, events, keys, stepMs, jitterMs }: Shape,
): { text: string; times: number[]; keys: string[] } {
  const made = Array.from({ length: events }, (_, i) => {
    const key = `key ${rng.below(keys)}`;
    const time = startMs + i * stepMs - rng.below(jitterMs + 1);
    const small = `${rng.below(100_000) - 50_000}`;
    const v = rng.chance(0.1) ? 'null' : rng.chance(0.05) ? rng.pick(LARGE) : small;
    const x = rng.pick(['0.5', '1e300', '-1e300', '3', 'null', `${rng.next()}`]);
    return {
      key,
      time,
      line: `{"type":"e","time":${time},"data":{"k":"${key}","n":${rng.below(2)},"v":${v},"x":${x}}}`,
    };
  });
  return {
    text: made.map(({ line }) => line).join('\n'),
    times: made.map(({ time }) => time),
    keys: made.map(({ key }) => key),
  };
}

const shapes: [string, Shape][] = [
  ['many keys, in order', { startMs: START_MS, events: 3000, keys: 800, stepMs: 700, jitterMs: 0 }],
  ['few keys, in no order', { startMs: START_MS, events: 4000, keys: 2, stepMs: 2000, jitterMs: 20 * HOUR_MS }],
  ['one key, all in one minute', { startMs: START_MS, events: 500, keys: 1, stepMs: 10, jitterMs: 1000 }],
  ['around 1970', { startMs: 0, events: 600, keys: 5, stepMs: 1000, jitterMs: 20 * HOUR_MS }],
];

/** Some levels refuse what others take, and by clocks that move on within a batch. */
const late: [string, Shape] = [
  'later than tiles take events',
  { startMs: START_MS, events: 3000, keys: 4, stepMs: 60_000, jitterMs: 4 * DAY_MS },
];

test.each([...shapes, late])('%s: however a batch is cut, rows are the same bytes', async (name, shape) => {
  for (const [keyCount, fnCount] of [
    [1, ALL],
    [2, ALL],
    [1, INTEGERS],
  ] as const) {
    const { text } = lines(new Random(name.length), shape);
    const whole = await rowsOf(planOf(keyCount, fnCount), text, shape.events);
    expect(whole.size).toBeGreaterThan(shape.keys * 3);
    for (const cut of [1, 7, 1000]) {
      const other = await rowsOf(planOf(keyCount, fnCount), text, cut);
      expect(other.size).toBe(whole.size);
      for (const [address, bytes] of whole)
        if (Buffer.compare(bytes, other.get(address)!) !== 0) throw new Error(`${address} differs when cut by ${cut}`);
    }
  }
});

test.each([...shapes, late])(
  '%s: however many batches are tiled together, rows are the same bytes',
  async (name, shape) => {
    for (const keyCount of [1, 2]) {
      const { text } = lines(new Random(name.length), shape);
      const whole = await rowsOf(planOf(keyCount), text, shape.events);
      for (const seed of [1, 2, 3]) {
        const other = await gatheredRows(planOf(keyCount), text, new Random(seed));
        expect([...other.keys()].sort()).toEqual([...whole.keys()].sort());
        for (const [address, bytes] of whole)
          if (Buffer.compare(bytes, other.get(address)!) !== 0) throw new Error(`seed ${seed}: ${address} differs`);
      }
    }
  },
);

test.each([...shapes, late])(
  '%s: of a batch, each row changes once, and those of a key follow on each other',
  async (name, shape) => {
    const { text } = lines(new Random(name.length), shape);
    const placed = await layout(planOf(1));
    const decoder = new Decoder(placed.kernel, placed.types);
    decoder.fill(bytesOf(text));
    while (decoder.next(0, null)) {
      select(placed);
      tile(placed.kernel, 0, decoder.count);
      spellChanges(placed.kernel);
      const batch = fromBinary(ChangeBatchSchema, changes(placed.kernel, 0)).changes;
      const addresses = batch.map(({ key, level, tileStart }) =>
        [Buffer.from(key).toString(), level, tileStart].join(),
      );
      expect(new Set(addresses).size).toBe(addresses.length);
      const keys = batch.map(({ key }) => Buffer.from(key).toString());
      const begun = keys.filter((key, i) => key !== keys[i - 1]);
      expect(new Set(begun).size).toBe(begun.length);
    }
  },
);

test.each([...shapes, late])('%s: integers alone are the same bytes as among others', async (name, shape) => {
  const { text } = lines(new Random(name.length), shape);
  const others = await rowsOf(planOf(1), text, shape.events);
  const alone = await rowsOf(planOf(1, INTEGERS), text, shape.events);
  expect([...alone.keys()].sort()).toEqual([...others.keys()].sort());
  // Their ids are the lowest, so that their entries come first.
  for (const [address, bytes] of alone)
    if (Buffer.compare(bytes, others.get(address)!.subarray(0, bytes.length)) !== 0) throw new Error(address);
});

test.each([ALL, INTEGERS])('changes of %p aggregates are made by so many bytes as they are spelt', async fnCount => {
  const [, shape] = shapes[0]!;
  const { text } = lines(new Random(1), shape);
  const placed = await layout(planOf(1, fnCount));
  const decoder = new Decoder(placed.kernel, placed.types);
  decoder.fill(bytesOf(text));
  while (decoder.next(0, null)) gather(placed, new Stages());
  const sizes: number[] = [];
  for (let isDone = false; !isDone; ) {
    isDone = tilePicked(placed.kernel, 16_384);
    spellChanges(placed.kernel);
    const batch = fromBinary(ChangeBatchSchema, changes(placed.kernel, 0)).changes;
    sizes.push(batch.reduce((sum, { features }) => sum + features.length, 0));
  }
  // One key more at most, which has some changes.
  expect(Math.max(...sizes)).toBeLessThan(20_000);
  expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(16_384);
});

test('what nulls come first takes no more memory than what values do', async () => {
  const line = (v: number | null) => `{"type":"e","time":${START_MS},"data":{"k":"a","n":0,"v":${v},"x":null}}`;
  const bytesAfter = async (values: (number | null)[]) =>
    (await foldOf(planOf(1, INTEGERS), values.map(line).join('\n'), 1)).stateBytes;
  expect(await bytesAfter([null])).toBeGreaterThan(await bytesAfter([5]));
  expect(await bytesAfter([null, 5])).toBe(await bytesAfter([5, 5]));
});

test.each(shapes)('%s: counts are those of JavaScript', async (name, shape) => {
  const { text, times, keys } = lines(new Random(name.length), shape);
  const rows = await rowsOf(planOf(1), text, shape.events);
  const wanted = new Map<string, bigint>();
  for (const [i, time] of times.entries())
    for (const levelMs of [0, 60_000, 30 * 60_000, DAY_MS]) {
      const address = `${keys[i]} ${levelMs} ${levelMs === 0 ? 0 : Math.floor(time / levelMs) * levelMs}`;
      wanted.set(address, (wanted.get(address) ?? 0n) + 1n);
    }
  const found = new Map([...rows].map(([address, bytes]) => [address, countOf(bytes)]));
  // A level that a feature does not need is not kept.
  const levels = new Set([...rows.keys()].map(address => address.split(' ').at(-2)!));
  expect(levels.size).toBeGreaterThan(2);
  for (const [address, counted] of wanted)
    if (levels.has(address.split(' ').at(-2)!)) expect([address, found.get(address)]).toEqual([address, counted]);
});

/** The first entry of a row, by protobuf; the others may be of cases that `statesOf` does not tell. */
function countOf(bytes: Uint8Array): bigint {
  const [, state] = statesOf(bytes.slice(0, 2 + bytes[1]!))[0]!;
  return (state as { count: bigint }).count;
}
