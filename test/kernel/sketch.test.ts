/** Sketches, held against the exact quantiles of the values they were made of; decay, against powers of two that are exact. */
import { describe, expect, test } from 'bun:test';
import { advance } from '../../src/ingest/advance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { makeColumn } from '../../src/kernel/feature_column.ts';
import type { Expression } from '../../src/plan/expression.ts';
import type { Aggregate, Plan } from '../../src/plan/plan.ts';
import { DOUBLE, INT64, REQUIRED, STRING, type Type } from '../../src/plan/value.ts';
import { answerKeys } from '../../src/read/answer.ts';
import { call, column, feature, optional, plan, read, TILES } from '../oracle/fixtures/spell.ts';
import { compareReals } from '../oracle/number.ts';
import { power2 } from '../oracle/sketch.ts';
import { valueAt } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, eventType, layout } from './columns.ts';

const QUANTILES = [0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1];
const LIST: Type = { kind: 'list', of: { type: DOUBLE, presence: REQUIRED } };

/** The quantiles of a column `v` of all events, by a sketch of this accuracy. */
function planOf(accuracy: number): Plan {
  const key = [column('k', STRING)];
  const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys: key, sql: '', at: null };
  const literal: Expression = { kind: 'literal', value: accuracy, type: DOUBLE, at: null };
  const bucket = call('sketchBucket', INT64, column('v', DOUBLE), literal);
  const fn = { name: 'quantile' as const, args: [bucket], limit: 10_000, params: [accuracy, 1, ...QUANTILES] };
  const aggregate: Aggregate = {
    ...{ name: 'set:q', event: 'e', entity: 'k', keys: key, where: null, fn, tiles: TILES, type: LIST, at: null },
  };
  return plan({
    events: [eventType('e', [optional('k', STRING), optional('v', DOUBLE)])],
    entities: [{ name: 'k', keys: [STRING], at: null }],
    aggregates: [aggregate],
    sets: [set],
    features: [feature(set, 'q', read('set:q', LIST))],
  });
}

async function quantilesOf(values: number[], accuracy: number): Promise<number[] | null> {
  const of = await layout(planOf(accuracy));
  const pipeline = { layout: of, folds: [new Fold(of.kernel, null)] };
  const decoder = new Decoder(of.kernel, of.types);
  const text = (value: number) => (Number.isFinite(value) ? String(value) : value > 0 ? '1e999' : '-1e999');
  const lines = values.map(value => `{"type":"e","time":0,"data":{"k":"x","v":${text(value)}}}`);
  decoder.fill(bytesOf(lines.join('\n')));
  while (decoder.next(0, null)) advance(pipeline);
  const answer = of.lookups.get('k')!;
  const columns = [makeColumn({ name: 'set:q', type: LIST }, 1)];
  answerKeys(of.kernel, answer, [...answer.features.values()], [bytesOf('x')], 0n, false, null, columns);
  return valueAt(columns[0]!, 0) as number[] | null;
}

const KINDS: [name: string, make: (rng: Random) => number][] = [
  ['near one another', rng => 100 + rng.next()],
  ['of both signs', rng => (rng.next() - 0.5) * 1000],
  ['exponential', rng => -Math.log(1 - rng.next())],
  ['over all magnitudes', rng => (rng.chance(0.5) ? 1 : -1) * rng.next() * 2 ** (rng.below(600) - 300)],
  ['whole', rng => rng.below(50) - 25],
  ['at the ends', rng => rng.pick([5e-324, 2 ** -1022, Number.MAX_VALUE, -Number.MAX_VALUE, 0, Infinity, -Infinity])],
  ['powers of two and their neighbours', rng => 2 ** rng.below(60) * (1 + rng.pick([0, 2 ** -52, -(2 ** -53)]))],
];

describe.each([0.5, 0.1, 0.01, 0.002])('off by at most %p of the exact quantile', accuracy => {
  test.each(KINDS)('%s', async (_, make) => {
    const rng = new Random(20010305);
    for (const count of [1, 2, 10, 1500]) {
      const values = Array.from({ length: count }, () => make(rng));
      const sorted = values.toSorted(compareReals);
      const found = await quantilesOf(values, accuracy);
      for (const [i, q] of QUANTILES.entries()) {
        const exact = sorted[Math.floor(q * (count - 1))]!;
        const error = Math.abs(found![i]! - exact) / Math.abs(exact);
        if (!Object.is(found![i]! + 0, exact + 0) && !(error <= accuracy))
          throw new Error(`${q} of ${count}: ${found![i]}, and it is ${exact}`);
      }
    }
  });
});

test('the power of two is right to the last two bits', () => {
  const rng = new Random(7);
  for (let i = 0; i < 2000; i++) {
    const part = i < 3 ? [0, 0.5, 1][i]! : rng.next();
    expect(
      Math.abs(Number(scaledPower(part) - BigInt(Math.round(power2(part) * 2 ** 52)) * 2n ** 148n)) / 2 ** 148,
    ).toBeLessThan(2);
  }
});

/** 2^part in units of 2^-200, by as many square roots of 2 as `part` has bits. */
function scaledPower(part: number): bigint {
  const one = 2n ** 200n;
  let [root, product] = [2n * one, one];
  for (let rest = part; rest > 0; ) {
    if (rest >= 1) [product, rest] = [(product * root) / one, rest - 1];
    rest *= 2;
    root = squareRoot(root * one);
  }
  return product;
}

function squareRoot(of: bigint): bigint {
  let root = 2n ** BigInt((of.toString(2).length >> 1) + 1);
  for (;;) {
    const next = (root + of / root) / 2n;
    if (next >= root) return root;
    root = next;
  }
}
