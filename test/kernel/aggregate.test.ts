/** Finished values: overflow, averages and extremes, judged by BigInt, by Python's integers and by the oracle. */
import { describe, expect, test } from 'bun:test';
import { pythonOrSkip, runPython } from '../../scripts/python.ts';
import { advance } from '../../src/ingest/advance.ts';
import { Fold } from '../../src/kernel/fold.ts';
import type { Layout } from '../../src/kernel/layout.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { makeColumn } from '../../src/kernel/feature_column.ts';
import { STATUS } from '../../src/kernel/window.ts';
import type { AggregateName, Plan } from '../../src/plan/plan.ts';
import { DOUBLE, INT64, STRING, type Type, type Value } from '../../src/plan/value.ts';
import { answerKeys } from '../../src/read/answer.ts';
import { aggregate, column, feature, optional, plan, read } from '../oracle/fixtures/spell.ts';
import { parseLog } from '../oracle/log.ts';
import { value } from '../oracle/naive.ts';
import { roundedQuotient } from '../oracle/number.ts';
import { valueAt } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, eventType, layout, NEVER_MS } from './columns.ts';
import { changeBatch, count, extreme, integer, mean, row, type State, sum } from './rows.ts';

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** Lifetimes of one column `v` by key, with these functions; weighted by a column `w` where asked. */
function planOf(fns: AggregateName[], weighted: boolean, type: Type = INT64): Plan {
  const inputs = [optional('k', STRING), optional('v', type), optional('w', INT64)];
  const key = column('k', STRING);
  const set = { name: 'set', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
  const aggregates = fns.map(fn => aggregate(`set:${fn}`, 'e', [key], fn, column('v', type), { entity: 'k' }));
  return plan({
    events: [eventType('e', inputs, weighted ? column('w', INT64) : null)],
    entities: [{ name: 'k', keys: [STRING], at: null }],
    aggregates,
    sets: [set],
    features: aggregates.map(of => feature(set, of.fn.name, read(of.name, of.type))),
  });
}

function makeFold({ kernel }: Layout): Fold {
  return new Fold(kernel, null);
}

interface Finished {
  value: Value;
  status: (typeof STATUS)[number];
}

/** All features for each key, by the feature's name. */
function answers(of: Layout, keys: string[]): Map<string, Finished[]> {
  const answer = of.lookups.get('k')!;
  const features = [...answer.features.values()];
  const columns = features.map(({ feature: { name }, type }) => makeColumn({ name, type }, keys.length));
  answerKeys(of.kernel, answer, features, keys.map(bytesOf), 0n, false, null, columns);
  return new Map(
    columns.map(column => [
      column.name.slice('set:'.length),
      keys.map((_, i) => ({ value: valueAt(column, i), status: STATUS[column.statuses[i]!]! })),
    ]),
  );
}

const FNS = ['count', 'sum', 'avg', 'min', 'max'] as const;

/** What these states of a function, folded one after the other, finish as. */
async function finished(fn: (typeof FNS)[number], ...states: State[]): Promise<Finished> {
  const of = await layout(planOf([...FNS], false));
  const fold = makeFold(of);
  for (const state of states) fold.apply(changeBatch([{ key: 'x' }, row([FNS.indexOf(fn) + 1, state])]));
  return answers(of, ['x']).get(fn)![0]!;
}

describe('finish', () => {
  test('a sum beyond int64 is OVERFLOW, and no more once it has come back', async () => {
    expect(await finished('sum', sum(MOST))).toEqual({ value: MOST, status: null });
    expect(await finished('sum', sum(MOST), sum(1n))).toEqual({ value: null, status: 'OVERFLOW' });
    expect(await finished('sum', sum(MOST), sum(1n), sum(-1n))).toEqual({ value: MOST, status: null });
    expect(await finished('sum', sum(LEAST), sum(-1n))).toEqual({ value: null, status: 'OVERFLOW' });
    expect(await finished('sum', sum(LEAST), sum(-1n), sum(2n))).toEqual({ value: LEAST + 1n, status: null });
    expect(await finished('sum', sum(2n ** 100n), sum(-(2n ** 100n)))).toEqual({ value: 0n, status: null });
  });

  test('of nothing but nulls', async () => {
    expect(await finished('count', count(0n))).toEqual({ value: 0n, status: null });
    expect(await finished('sum', sum(0n))).toEqual({ value: 0n, status: null });
    expect(await finished('avg', mean(0n, 0n))).toEqual({ value: null, status: null });
    expect(await finished('min', extreme('min', null))).toEqual({ value: null, status: null });
    expect(await finished('max', extreme('max', null), extreme('max', LEAST))).toEqual({ value: LEAST, status: null });
  });

  test('of no row at all', async () => {
    const none = answers(await layout(planOf([...FNS], false)), ['x']);
    const status = 'NOT_FOUND';
    expect([...none].map(([name, [one]]) => [name, one!])).toEqual([
      ['count', { value: 0n, status }],
      ['sum', { value: 0n, status }],
      ['avg', { value: null, status }],
      ['min', { value: null, status }],
      ['max', { value: null, status }],
    ]);
  });
});

/** Quotients that are hard to round: ties, near ties, long and short ones, all signs. */
function quotients(): [bigint, bigint][] {
  const rng = new Random(20010305);
  const list: [bigint, bigint][] = [
    [1n, 3n],
    [-1n, 3n],
    [0n, 5n],
    [0n, -5n],
    [1n, -1n],
    [1n, LEAST],
    [LEAST, LEAST],
    [2n ** 127n - 1n, 1n],
    [-(2n ** 127n), 1n],
    [-(2n ** 127n), LEAST],
    [-(2n ** 127n), MOST],
    [2n ** 127n - 1n, MOST],
    [2n ** 53n, 2n ** 53n + 1n],
    [2n ** 53n + 1n, 1n],
    [2n ** 53n + 3n, 1n],
    [2n ** 64n, 1n],
    [-(2n ** 64n), 3n],
  ];
  for (let bits = 53n; bits < 126n; bits++)
    for (const offset of [-2n, -1n, 0n, 1n, 2n]) {
      // 2^bits and a half of its last place, and a little beside that: a tie, to be broken to even.
      const half = 2n ** (bits - 53n);
      for (const odd of [1n, 3n])
        list.push([2n ** bits + odd * half + offset, 1n], [-(2n ** bits) - odd * half + offset, 1n]);
      const divisor = 3n + BigInt(rng.below(1000));
      list.push(
        [((2n ** bits + half) / 1024n) * divisor + offset, divisor],
        [2n ** bits + offset, MOST - BigInt(rng.below(9))],
      );
    }
  while (list.length < 6000) list.push([integer(rng, 126), integer(rng, 63) || 1n]);
  return list;
}

describe('an average is the exact quotient, rounded once', () => {
  const cases = quotients();
  const averages = (async () => {
    const of = await layout(planOf(['avg'], false));
    const fold = makeFold(of);
    fold.apply(
      changeBatch(
        ...cases.map(([total, weight], i) => [{ key: `${i}` }, row([1, mean(total, weight)])] as [object, Uint8Array]),
      ),
    );
    return answers(
      of,
      cases.map((_, i) => `${i}`),
    )
      .get('avg')!
      .map(one => one.value as number);
  })();

  test('as the oracle says', async () => {
    for (const [i, ours] of (await averages).entries()) {
      const [total, weight] = cases[i]!;
      const theirs = roundedQuotient(total, weight);
      if (!Object.is(ours, theirs)) throw new Error(`${total} / ${weight}: ${ours}, not ${theirs}`);
    }
  });

  const python = pythonOrSkip('averages = Python');

  test.skipIf(python === null)('as Python says, whose integers divide exactly', async () => {
    const program =
      'import sys\nfor line in sys.stdin:\n    n, d = map(int, line.split())\n    print((n / d).hex() if n else "0x0.0p+0")';
    const fraction = program
      .replace('import sys', 'import sys\nfrom fractions import Fraction')
      .replace('n / d', 'float(Fraction(n, d))');
    const input = bytesOf(cases.map(([total, weight]) => `${total} ${weight}\n`).join(''));
    for (const source of [program, fraction]) {
      const lines = new TextDecoder()
        .decode(runPython(python!, ['-c', source], input))
        .trim()
        .split('\n');
      expect(lines.length).toBe(cases.length);
      for (const [i, ours] of (await averages).entries())
        if (!Object.is(ours, fromHex(lines[i]!))) throw new Error(`${cases[i]}: ${ours}, not ${lines[i]}`);
    }
  });
});

/** `-0x1.8000000000000p+3`, as Python writes doubles. */
function fromHex(text: string): number {
  const [, sign, whole, fraction, exponent] = /^(-?)0x(\d)\.([0-9a-f]+)p([+-]\d+)$/.exec(text)!;
  const magnitude = (Number(whole) + Number(`0x${fraction}`) / 16 ** fraction!.length) * 2 ** Number(exponent);
  return sign ? -magnitude : magnitude;
}

test.each([1n, -1n])('doubles of one batch add up to more than 128 bits, times %p', async sign => {
  const of = await layout(planOf(['sum'], false, DOUBLE));
  const pipeline = { layout: of, folds: [makeFold(of)] };
  // In units of the first one's last bit each of the others has 116 bits: 2,048 of them have 127, without the sign.
  const many = Array.from({ length: 2500 }, () => sign * (2n ** 64n - 2n ** 11n));
  const values = [sign, ...many];
  const decoder = new Decoder(of.kernel, of.types);
  decoder.fill(bytesOf(values.map(v => `{"type":"e","time":0,"data":{"k":"x","v":${v}}}`).join('\n')));
  expect(decoder.next(0, null)).toBe(true);
  advance(pipeline);
  expect(decoder.next(0, null)).toBe(false);
  const total = values.reduce((sum, v) => sum + v, 0n);
  expect(answers(of, ['x']).get('sum')).toEqual([{ value: Number(total), status: null }]);
});

describe('weights', () => {
  const lines = (rng: Random, events: number) =>
    Array.from({ length: events }, () => {
      const v = rng.chance(0.1)
        ? 'null'
        : `${rng.chance(0.2) ? rng.pick([LEAST, MOST, LEAST + 1n]) : integer(rng, 20)}`;
      const w = rng.chance(0.05) ? 'null' : rng.pick(['1', '-1']);
      return `{"type":"e","time":${1_000_000 + rng.below(1000)},"data":{"k":"${rng.pick(['a', 'b', 'c'])}","v":${v},"w":${w}}}`;
    });

  test.each([1, 2, 3, 4])('of +1 and -1 count as the oracle counts them, seed %p', async seed => {
    const rng = new Random(seed);
    const of = await layout(planOf(['count', 'sum', 'avg'], true));
    const pipeline = { layout: of, folds: [makeFold(of)] };
    const all = lines(rng, 400);
    const decoder = new Decoder(of.kernel, of.types);
    for (let from = 0; from < all.length; ) {
      const to = from + 1 + rng.below(80);
      decoder.fill(bytesOf(all.slice(from, to).join('\n')));
      while (decoder.next(0, null)) advance(pipeline);
      from = to;
      const log = parseLog(all.slice(0, to).join('\n'), of.plan, { clock: 'event', maxJumpMs: NEVER_MS });
      const found = answers(of, ['a', 'b', 'c']);
      for (const [name, ofKeys] of found)
        for (const [i, key] of ['a', 'b', 'c'].entries()) {
          const wanted = value(of.plan, log, `set:${name}`, [key], log.records.length - 1, 2_000_000_000n);
          expect([seed, to, name, key, ofKeys[i]!]).toEqual([seed, to, name, key, wanted as Finished]);
        }
    }
  });

  test('an insert, its update and its restart, from events to a value', async () => {
    const of = await layout(planOf(['count', 'sum', 'avg'], true));
    const pipeline = { layout: of, folds: [makeFold(of)] };
    const decoder = new Decoder(of.kernel, of.types);
    const post = (...changes: [v: bigint, w: bigint][]) => {
      decoder.fill(
        bytesOf(changes.map(([v, w]) => `{"type":"e","time":0,"data":{"k":"x","v":${v},"w":${w}}}`).join('\n')),
      );
      while (decoder.next(0, null)) advance(pipeline);
      return FNS.slice(0, 3).map(fn => answers(of, ['x']).get(fn)![0]!.value);
    };
    expect(post([3n, 1n])).toEqual([1n, 3n, 3]);
    expect(post([3n, -1n], [5n, 1n])).toEqual([1n, 5n, 5]);
    expect(post([7n, 1n])).toEqual([2n, 12n, 6]);
    expect(post([5n, -1n], [7n, -1n])).toEqual([0n, 0n, null]);
    // -(-2^63) is no int64: it has to be 2^63 all the same.
    expect(post([LEAST, 1n], [LEAST, -1n])).toEqual([0n, 0n, null]);
    expect(post([LEAST, -1n])).toEqual([-1n, null, Number(LEAST)]);
    expect(post([LEAST, 1n], [1n, 1n])).toEqual([1n, 1n, 1]);
  });
});
