/**
 * Rows of any bytes. Merging them is what a merge by protobuf messages makes of them, or a fault; reading values out of them gives
 * a value or a fault; and whoever is asked next is answered as if nothing had been.
 */
import { describe, expect, test } from 'bun:test';
import { fromBinary } from '@bufbuild/protobuf';
import { Fault } from '../../src/base/fault.ts';
import { FeaturesCombinedCompatibleSchema, FeatureValueSchema } from '../../src/gen/tilefold/v1/row_pb.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { type FeatureColumn, makeColumn } from '../../src/kernel/feature_column.ts';
import { caseOf } from '../../src/kernel/aggregate.ts';
import type { Aggregate, AggregateName, Plan } from '../../src/plan/plan.ts';
import { BOOL, DOUBLE, INT64, REQUIRED, STRING, TIME, type Type } from '../../src/plan/value.ts';
import { answerKeys, type Stored } from '../../src/read/answer.ts';
import { aggregate, call, column, feature, lastN, optional, plan, read } from '../oracle/fixtures/spell.ts';
import { Random } from '../sim/random.ts';
import { seeds } from '../seeds.ts';
import { oneByOne } from './back.ts';
import { bytesOf, eventType, layout } from './columns.ts';
import { damage } from './json_text.ts';
import { cellOf, NO_CELL, RANKINGS, type RankingCase, rankingOf, sketchOf } from './naive_ranking.ts';
import { mergeNaive, same } from './naive_row.ts';
import { Refused } from './refused.ts';
import { changeBatch, count, counts, extreme, type Kept, mean, onlyRow, recent, row, type State, sum } from './rows.ts';

/** In the long run, seeds go on where the short one ends. */
const SEEDS = seeds(3, 300);

/** Many times what a seed takes: one that hangs has failed. */
const SEED_MAX_MS = 120_000;

const moment = (which: 'first' | 'last', time: bigint, position: bigint, value: bigint | number | string): State => {
  const kind = typeof value === 'bigint' ? 'integer' : typeof value === 'number' ? 'real' : 'text';
  return { case: which, value: { time, position, value: { case: kind, value } as never } };
};
const kept = (...values: Kept['value'][]) =>
  values.map((value, i) => ({ time: BigInt(i) * 1000n, position: BigInt(i * 3), value }));
const exact = (magnitude: number[], exponent: number, more = {}): State => ({
  case: 'realSum',
  value: { magnitude: Uint8Array.from(magnitude), exponent, ...more },
});

/** These values, each of an event of its own, ranked by others where the case ranks. */
const ranking = (of: RankingCase, limit: number, ...values: (bigint | number | string)[]): State => {
  const isRanked = of === 'argMax' || of === 'argMin';
  const entries = values.map((value, i) => ({
    ...{ time: BigInt((i * 7) % 5) * 1000n, position: BigInt(i * 3), value: cellOf(value) },
    rank: isRanked ? cellOf(values[(i * 5 + 2) % values.length]!) : NO_CELL,
  }));
  return { case: of, value: rankingOf(of, limit, entries) } as State;
};
const LONG = 'ö'.repeat(600);
const sketch = (precision: number, registers: number[]): State => ({
  case: 'distinctSketch',
  value: sketchOf(precision, registers),
});
const many = (precision: number, every: number) =>
  Array.from({ length: 2 ** precision }, (_, i) => (i % every === 0 ? 1 + (i % (65 - precision)) : 0));
const vector = (count: bigint, ...sums: [number[], number][]): State => ({
  case: 'vectorMean',
  value: {
    ...{ length: sums.length, count },
    sums: sums.map(([magnitude, exponent]) => ({ magnitude: Uint8Array.from(magnitude), exponent })),
  },
});

/** Every aggregate, each with states that have all their fields, and some that have few. */
const STATES: State[] = [
  ...[count(1n), count(-(2n ** 63n)), sum(2n ** 70n), sum(-1n), mean(-(2n ** 90n), 2n), mean(5n, 0n)],
  ...[extreme('min', 4n), extreme('min', null), extreme('max', -(2n ** 63n))],
  { case: 'max', value: { value: { case: 'real', value: Number.NaN } } },
  { case: 'min', value: { value: { case: 'real', value: -0 } } },
  ...[exact([5, 3], -1074), exact([1], 1023, { negative: true, nan: 2n, negativeInfinity: -3n })],
  { case: 'realSum', value: { positiveInfinity: 1n } },
  { case: 'realMean', value: { sum: { magnitude: Uint8Array.of(255, 1), exponent: 4 }, count: 7n } },
  { case: 'realMean', value: { sum: {}, count: 0n } },
  ...[moment('first', -5n, 0n, 7n), moment('first', 2n ** 40n, 2n ** 33n, 0.5), moment('last', 0n, 9n, 'größe')],
  ...[moment('last', 1n, 1n, ''), { case: 'first', value: {} } satisfies State],
  ...[recent(3, kept(1n, -(2n ** 63n))), recent(9, kept(0.5, Number.NaN, -0)), recent(5, kept('a', null, 'größe', ''))],
  recent(1000, []),
  {
    case: 'moments',
    value: {
      sum: { magnitude: Uint8Array.of(5, 3), exponent: -9, negative: true, nan: 2n },
      squares: { magnitude: Uint8Array.of(1), exponent: 700, positiveInfinity: 3n },
      count: 9n,
    },
  },
  { case: 'moments', value: { sum: {}, squares: {}, count: 0n } },
  { case: 'decayed', value: { magnitude: Uint8Array.of(255, 1), exponent: 4, positiveInfinity: -1n } },
  ...[counts(4, [-(2n ** 63n), 0n, 2n ** 63n - 1n]), counts(9, [-1.5, 0, Number.NaN]), counts(3, ['', 'a', 'größe'])],
  ...[counts(1, [7n]), counts(10_000, []), { case: 'counts', value: { limit: 2, overflown: 3 } } satisfies State],
  ...RANKINGS.flatMap(of => [
    ...[ranking(of, 3, 1n, -(2n ** 63n), 9n), ranking(of, 9, 0.5, Number.NaN, -0, 0.5), ranking(of, 1, 'größe')],
    ...[ranking(of, 1000), ranking(of, 2, 'a', 'b', 'c'), ranking(of, 4, 'x', '', 'x')],
  ]),
  ...(['firstN', 'greatest', 'argMin'] as const).map(of => ranking(of, 2, 'a', LONG)),
  ...[sketch(4, many(4, 16)), sketch(4, many(4, 3)), sketch(4, many(4, 20).fill(0)), sketch(5, many(5, 2))],
  ...[
    vector(3n, [[5], -2], [[255, 1], 4]),
    vector(-1n, [[1], -1074]),
    { case: 'vectorMean', value: { length: 3 } } satisfies State,
  ],
];

const fold = new Fold(await loadKernel(), () => null);

/** The row that the two become in the kernel, or the code of the fault. */
function mergeKernel(left: Uint8Array, right: Uint8Array): Uint8Array | string {
  fold.settle();
  fold.evict(0);
  try {
    fold.apply(changeBatch([{}, left], [{}, right]));
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
  return onlyRow(fold);
}

/** Which of the two outcomes it is; null where text that is no text leaves no question. */
function expectMerge(left: Uint8Array, right: Uint8Array): 'merged' | 'refused' | null {
  const found = mergeKernel(left, right);
  const what = () => `${hex(left)} and ${hex(right)}`;
  if (typeof found === 'string' && found !== 'corrupt' && found !== 'unsupported')
    throw new Error(`${what()}: a fault ${found}`);
  let wanted: Uint8Array;
  try {
    wanted = mergeNaive(left, right);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // The fold carries texts as bytes: whoever reads them looks at them.
    if (typeof found !== 'string' && isNoText(left, right)) return null;
    if (typeof found === 'string') return 'refused';
    throw new Error(`${what()}: ${hex(found)}, wanted a fault (${error.message})`);
  }
  if (typeof found === 'string') throw new Error(`${what()}: ${found}, wanted ${hex(wanted)}`);
  if (!same(found, wanted)) throw new Error(`${what()}: ${hex(found)}, wanted ${hex(wanted)}`);
  return 'merged';
}

/** Are there texts in them that are no UTF-8? No state here has U+FFFD, which is what protobuf makes of such. */
function isNoText(...rows: Uint8Array[]): boolean {
  const said = rows.map(one => {
    try {
      return Bun.inspect(fromBinary(FeaturesCombinedCompatibleSchema, one), { depth: 9 });
    } catch (error) {
      return String(error);
    }
  });
  return said.some(text => text.includes('\ufffd') || /UTF-?8/i.test(text));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('merging', () => {
  test('any two states, as they are', () => {
    for (const a of STATES)
      for (const b of STATES)
        expect(expectMerge(row([1, a]), row([1, b]))).toBe(a!.case === b!.case ? 'merged' : 'refused');
  });

  test('every cut and every flip of a bit, on either side', () => {
    const outcomes = { merged: 0, refused: 0, text: 0 };
    for (const state of STATES) {
      const whole = row([1, state]);
      // Of a long text what is in its middle is as what is at its ends.
      const places = Array.from(whole.keys()).filter(at => at < 100 || at >= whole.length - 100);
      const damaged = places.flatMap(at => [
        whole.slice(0, at),
        ...Array.from({ length: 8 }, (_, bit) => whole.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte))),
      ]);
      for (const bytes of damaged)
        for (const pair of [
          [bytes, whole],
          [whole, bytes],
          [bytes, bytes],
        ] as const)
          outcomes[expectMerge(...pair) ?? 'text']++;
    }
    expect(outcomes.merged).toBeGreaterThan(1000);
    expect(outcomes.refused).toBeGreaterThan(3000);
    expect(outcomes.text).toBeLessThan(outcomes.merged / 4);
  });

  test.each(SEEDS)(
    'rows of several entries, edited, seed %p',
    seed => {
      const rng = new Random(seed);
      const rowOf = () => {
        const ids = Array.from({ length: 1 + rng.below(4) }, (_, i) => (i + 1) * (1 + rng.below(2)) + i * 100);
        return row(...ids.map(id => [id, rng.pick(STATES)] as [number, State]));
      };
      for (let round = 0; round < 2500; round++) {
        const [left, right] = [rowOf(), rng.chance(0.5) ? rowOf() : null];
        const bytes = rng.chance(0.9)
          ? damage(left, rng)
          : Uint8Array.from({ length: rng.below(60) }, () => rng.below(256));
        try {
          expectMerge(bytes, right ?? left);
          expectMerge(right ?? left, bytes);
        } catch (error) {
          throw new Error(`seed ${seed}, round ${round}: ${error instanceof Error ? error.message : error}`);
        }
      }
    },
    SEED_MAX_MS,
  );

  test('sums as large as none can be are refused before they carry out of their place', () => {
    const huge = (bits: number) =>
      exact([...Array(Math.ceil(bits / 8) - 1).fill(255), 255 >> ((8 - (bits % 8)) % 8)], -1074);
    for (const bits of [2098, 2161, 2162, 2175, 2176]) {
      const bytes = row([1, huge(bits)]);
      expect(expectMerge(bytes, bytes)).toBe(bits <= 2161 ? 'merged' : 'refused');
    }
  });
});

const TYPES: [string, Type][] = [
  ['i', INT64],
  ['d', DOUBLE],
  ['s', STRING],
  ['b', BOOL],
  ['t', TIME],
];

/** All that keeps values in an order, as lists and alone. */
function rankedOf(name: string, type: Type): Aggregate[] {
  const keys = [column('k', STRING)];
  const value = column(name, type);
  const list: Type = { kind: 'list', of: { type, presence: REQUIRED } };
  const of = (fn: AggregateName, limit: number | null, args = [value]) =>
    aggregate(`set:${fn}${limit ?? ''}_${name}`, 'e', keys, fn, value, {
      ...{ entity: 'k', fn: { name: fn, args, limit, params: [] }, type: limit === null ? type : list },
    });
  return [
    ...(['firstN', 'lastDistinct', 'list', 'set', 'max', 'min'] as const).map(fn => of(fn, 4)),
    ...(['argMax', 'argMin'] as const).flatMap(fn => [of(fn, null, [value, value]), of(fn, 3, [value, value])]),
    ...(type === STRING ? (['max', 'min'] as const).map(fn => of(fn, null)) : []),
    { ...of('approxCountDistinct', 4), type: INT64 },
  ];
}

/** Every function over every type that it takes, and texts that are taken apart. */
function readingPlan(): Plan {
  const key = column('k', STRING);
  const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
  const options = { entity: 'k' };
  const aggregates = TYPES.flatMap(([name, type]) => [
    ...(['first', 'last'] as const).map(fn =>
      aggregate(`set:${fn}_${name}`, 'e', [key], fn, column(name, type), options),
    ),
    ...(type === STRING ? [] : (['min', 'max'] as const)).map(fn =>
      aggregate(`set:${fn}_${name}`, 'e', [key], fn, column(name, type), options),
    ),
    ...(type === INT64 || type === DOUBLE ? (['sum', 'avg'] as const) : []).map(fn =>
      aggregate(`set:${fn}_${name}`, 'e', [key], fn, column(name, type), options),
    ),
    lastN(`set:list_${name}`, 'e', [key], column(name, type), 5, options),
    ...rankedOf(name, type),
  ]);
  const counted = aggregate('set:count', 'e', [key], 'count', null, options);
  const last = read('set:last_s', STRING);
  return plan({
    events: [eventType('e', [optional('k', STRING), ...TYPES.map(([name, type]) => optional(name, type))])],
    entities: [{ name: 'k', keys: [STRING], at: null }],
    aggregates: [...aggregates, counted],
    sets: [set],
    features: [
      ...[...aggregates, counted].map(of => feature(set, of.name.slice(4), read(of.name, of.type))),
      feature(set, 'reversed', call('reverse', STRING, last)),
      feature(set, 'upper', call('upper', STRING, last)),
    ],
  });
}

describe('reading', () => {
  const of = (async () => {
    const made = await layout(readingPlan());
    // The store has rows of lifetimes that memory has not.
    made.kernel.exports.setHighest(made.ids.entities.get('k')!, 0, 0);
    return made;
  })();

  /** What all features are of a stored row, or null after a fault. */
  function readStored(value: Uint8Array): Promise<FeatureColumn[] | null> {
    return readAll({ read: (_key, _ranges, take) => take(0, 0, value, 0, value.length), hasRoom: () => false });
  }

  /** The same of a row that memory has. */
  async function readHeld(value: Uint8Array): Promise<FeatureColumn[] | null> {
    const { kernel } = await of;
    const fold = new Fold(
      kernel,
      oneByOne(() => null),
    );
    fold.apply(changeBatch([{}, value]));
    const columns = await readAll({ read() {}, hasRoom: () => false });
    fold.dirtyRows();
    fold.settle();
    fold.evict(0);
    return columns;
  }

  async function readAll(stored: Stored): Promise<FeatureColumn[] | null> {
    const { kernel, lookups } = await of;
    const answer = lookups.get('k')!;
    const features = [...answer.features.values()];
    const columns = features.map(({ feature: { name }, type }) => makeColumn({ name, type }, 1));
    try {
      answerKeys(kernel, answer, features, [bytesOf('k')], 0n, false, stored, columns);
    } catch (error) {
      if (error instanceof Fault && error.code === 'corrupt') return null;
      throw error;
    }
    return columns;
  }

  /** Of one aggregate's name, the state that a row holds for it. */
  async function rowWith(name: string, state: State): Promise<Uint8Array> {
    return row([(await of).ids.aggregates.get(`set:${name}`)!, state]);
  }

  /** States of an aggregate's case; some hold values of another kind. */
  function statesOf({ fn }: Aggregate): State[] {
    const fields = FeatureValueSchema.oneofs[0]!.fields;
    const { localName } = fields.find(({ number }) => number === caseOf(fn))!;
    return STATES.filter(state => state!.case === localName);
  }

  const foreign: [string, State][] = [
    ['last_s', moment('last', 1n, 1n, 0x7fff_ffff_0000_0010n)],
    ['last_s', moment('last', 1n, 1n, 0.5)],
    ['last_i', moment('last', 1n, 1n, 'text')],
    ['last_d', moment('last', 1n, 1n, 7n)],
    ['first_s', moment('first', 1n, 1n, -1n)],
    ['list_s', recent(5, kept(0x7fff_ffff_0000_0010n, 1n))],
    ['list_s', recent(5, kept(0.5))],
    ['list_i', recent(5, kept('text'))],
    ['list_b', recent(5, kept(0.5))],
    ['min_d', extreme('min', 5n)],
    ['firstN4_s', ranking('firstN', 4, 0x7fff_ffff_0000_0010n)],
    ['list4_i', ranking('list', 4, 'text')],
    ['max_s', ranking('greatest', 1, 0x7fff_ffff_0000_0010n)],
    ['set4_d', ranking('set', 4, 1n)],
    ['argMax_s', ranking('argMax', 1, 7n)],
    ['max_i', { case: 'max', value: { value: { case: 'real', value: 0.5 } } }],
  ];

  test.each(foreign)('values of another kind: %s', async (name, state) => {
    expect(await readStored(await rowWith(name, state))).toBeNull();
  });

  test.each([...foreign, ['min_i', sum(5n)], ['sum_i', count(5n)], ['avg_i', sum(5n)], ['count', mean(5n, 1n)]] as [
    string,
    State,
  ][])('values of another kind in memory: %s', async (name, state) => {
    expect(await readHeld(await rowWith(name, state))).toBeNull();
    const good = await readHeld(await rowWith('sum_i', sum(5n)));
    expect(good!.map(({ name, statuses }) => [name, statuses[0]]).filter(([, status]) => status === 0)).toEqual([
      ['set:sum_i', 0],
    ]);
  });

  const noTexts = ['80', 'c0af', 'c3', 'e282', 'eda080', 'f4908080', 'f0808080', 'ff', '6161616161616161e2'];

  test.each(noTexts)('texts that are none: %s', async bytes => {
    const text = Buffer.from(bytes, 'hex');
    const placeholder = 'x'.repeat(text.length);
    for (const [name, state] of [
      ['last_s', moment('last', 1n, 1n, placeholder)],
      ['list_s', recent(5, kept('a', placeholder))],
      ['firstN4_s', ranking('firstN', 4, 'a', placeholder)],
      ['min_s', ranking('least', 1, placeholder)],
    ] as const) {
      const good = await rowWith(name, state);
      expect(await readStored(good)).not.toBeNull();
      const at = Buffer.from(good).lastIndexOf(placeholder);
      expect(await readStored(Buffer.concat([good.slice(0, at), text, good.slice(at + text.length)]))).toBeNull();
    }
  });

  test.each(SEEDS)(
    'damaged rows: a value or a fault, and no more memory than before, seed %p',
    async seed => {
      const rng = new Random(seed);
      const { kernel, ids, plan } = await of;
      const aggregates = plan.aggregates.toSorted((a, b) => ids.aggregates.get(a.name)! - ids.aggregates.get(b.name)!);
      const good = await rowWith('last_s', moment('last', 1n, 1n, 'größe'));
      const wanted = await readStored(good);
      const outcomes = { read: 0, refused: 0 };
      const inUse: number[] = [];
      for (let round = 0; round < 3000; round++) {
        const chosen = aggregates.filter(() => rng.chance(2 / aggregates.length));
        const whole = row(
          ...chosen.map(one => [ids.aggregates.get(one.name)!, rng.pick(statesOf(one))] as [number, State]),
        );
        outcomes[(await readStored(rng.chance(0.4) ? whole : damage(whole, rng))) ? 'read' : 'refused']++;
        if (round % 1000 === 999) inUse.push(kernel.exports.memoryInUse());
      }
      expect(await readStored(good)).toEqual(wanted);
      expect(outcomes.read).toBeGreaterThan(100);
      expect(outcomes.refused).toBeGreaterThan(500);
      expect(inUse.at(-1)! - inUse[0]!).toBeLessThan(64 << 10);
    },
    SEED_MAX_MS,
  );
});
