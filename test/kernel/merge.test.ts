/** Windows over rows, merged straight from their bytes, against BigInt: all sizes of numbers and ids, rows of any shape. */
import { expect, test } from 'bun:test';
import type { FoldedRow } from '../../src/kernel/folded_row.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { packRows } from '../../src/kernel/packed.ts';
import { copyRows, type FeatureColumn, makeColumn } from '../../src/kernel/feature_column.ts';
import { windowRanges } from '../../src/kernel/cover.ts';
import { want } from '../../src/kernel/answer.ts';
import { STATUS } from '../../src/kernel/window.ts';
import type { AggregateName } from '../../src/plan/plan.ts';
import { INT64, STRING, type Value } from '../../src/plan/value.ts';
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
import { roundedQuotient } from '../oracle/number.ts';
import { Random } from '../sim/random.ts';
import { oneByOne } from './back.ts';
import { bytesOf, eventType, NEVER_MS } from './columns.ts';
import { changeBatch, integer, randomState, row, type State, statesOf } from './rows.ts';

const FNS: AggregateName[] = ['count', 'sum', 'avg', 'min', 'max'];
/** At both sides of where an id takes a byte more; those in between belong to nobody here. */
const IDS = [1, 5, 127, 128, 129, 300, 16_383, 16_384, 16_385, 2_097_152, 2 ** 31 - 1];
const NOBODYS = [2, 126, 200, 16_000, 20_000, 2 ** 31 - 2];
const NOW_MS = 983_750_400_000 + 13 * HOUR_MS + 7 * 60_000;

async function answering(given: number[] = IDS) {
  const key = column('k', STRING);
  const set = { name: 's', description: '', owner: '', entity: 'k', event: 'e', keys: [key], sql: '', at: null };
  const aggregates = given.map((id, i) =>
    aggregate(`s:${id}`, 'e', [key], FNS[i % FNS.length]!, column('v', INT64), { entity: 'k' }),
  );
  const windows = [sliding(2 * HOUR_MS, 60_000), sliding(DAY_MS, 30 * 60_000), sliding(5 * DAY_MS, 30 * 60_000)];
  const of = plan({
    events: [eventType('e', [optional('k', STRING), optional('v', INT64)])],
    entities: [{ name: 'k', keys: [STRING], at: null }],
    aggregates,
    sets: [set],
    features: aggregates.flatMap(one => [
      feature(set, one.name.slice(2), read(one.name, one.type)),
      ...windows.map((window, i) => feature(set, `${one.name.slice(2)}_${i}`, read(one.name, one.type, { window }))),
    ]),
  });
  const ids = {
    entities: new Map([['k', 1]]),
    aggregates: new Map(aggregates.map(({ name }, i) => [name, given[i]!])),
  };
  const clock = { kind: 'event', maxJumpMs: NEVER_MS } as const;
  const layout = layPlan(await loadKernel(), of, ids, { clock, aheadMaxMs: 0, shards: 1 });
  return { kernel: layout.kernel, answer: layout.lookups.get('k')! };
}

/** States as rows have them; small numbers more often than large ones, as in life. */
function stateFor(which: number, rng: Random): State {
  if (rng.chance(0.3)) return randomState(which, rng);
  const small = () => integer(rng, rng.pick([1, 6, 7, 13, 14, 20]));
  const states: State[] = [
    { case: 'count', value: small() },
    { case: 'sum', value: { narrow: small() } },
    { case: 'mean', value: { sum: { narrow: small() }, count: small() } },
    { case: 'min', value: { value: { case: 'integer', value: small() } } },
    { case: 'max', value: { value: { case: 'integer', value: small() } } },
  ];
  return states[which - 1]!;
}

function randomRow(rng: Random, ids: number[]): Uint8Array {
  const isWhole = rng.chance(0.5);
  const own = ids
    .map((id, i): [number, State] => [id, stateFor(1 + (i % FNS.length), rng)])
    .filter(() => isWhole || rng.chance(0.6));
  const others = NOBODYS.filter(() => rng.chance(0.1)).map((id): [number, State] => [id, stateFor(1, rng)]);
  return row(...[...own, ...others].sort(([a], [b]) => a - b));
}

interface Plain {
  total: bigint;
  count: bigint;
  extremes: bigint[];
}

function add(held: Plain, state: unknown): void {
  const { count, sum, mean, min, max } = state as Record<string, bigint> & { mean?: { sum: bigint; count: bigint } };
  held.count += count ?? mean?.count ?? 0n;
  held.total += sum ?? mean?.sum ?? 0n;
  for (const value of [min, max]) if (typeof value === 'bigint') held.extremes.push(value);
}

/** Value and status of a window that some row was merged into. */
function finished(fn: AggregateName, { total, count, extremes }: Plain): [Value, string | null] {
  const sorted = extremes.sort((a, b) => (a < b ? -1 : 1));
  if (fn === 'count') return [BigInt.asIntN(64, count), null];
  if (fn === 'min') return [sorted[0] ?? null, null];
  if (fn === 'max') return [sorted.at(-1) ?? null, null];
  if (fn === 'sum') return BigInt.asIntN(64, total) === total ? [total, null] : [null, 'OVERFLOW'];
  const weight = BigInt.asIntN(64, count);
  return [weight === 0n ? null : roundedQuotient(total, weight), null];
}

/** Rows with these ids alone are closed in memory. */
const SHORT_IDS = IDS.filter(id => id < 16_384);

test.each(
  [1, 2, 3, 4, 5, 6].flatMap(seed => [
    [seed, 'store', IDS] as const,
    [seed, 'memory', IDS] as const,
    [seed, 'memory', SHORT_IDS] as const,
  ]),
)('windows are what BigInt makes of the rows, seed %p, rows of the %s', async (seed, place, ids) => {
  const rng = new Random(seed);
  const { kernel, answer } = await answering(ids);
  const fold = new Fold(
    kernel,
    oneByOne(() => null),
  );
  const { exports } = kernel;
  const features = [...answer.features.values()];
  want(kernel, answer, features);
  exports.coverAt(answer.index, BigInt(NOW_MS) * 1000n, 0);
  const ranges = windowRanges(kernel, answer);
  const key = kernel.put(bytesOf('x'));
  for (let round = 0; round < 60; round++) {
    const rows = Array.from({ length: rng.below(30) }, () => {
      const levelMs = rng.pick([0, 60_000, 30 * 60_000, DAY_MS]);
      const back = rng.pick([2 * HOUR_MS, DAY_MS, 6 * DAY_MS]);
      const tileStartMs = levelMs === 0 ? 0 : Math.floor((NOW_MS - rng.below(back)) / levelMs) * levelMs;
      return { entity: 1, key: bytesOf('x'), levelMs, tileStartMs, value: randomRow(rng, ids) };
    });
    const packed = place === 'store' ? packRows(rows) : new Uint8Array(0);
    const block = kernel.put(packed);
    if (place === 'memory') fold.apply(changeBatch(...rows.map(changeOf)));
    exports.startKey(answer.index, key, 1);
    expect(exports.addPackedRows(answer.index, block, packed.length)).toBe(exports.READ_OK.value);
    expect(exports.addMemoryRows(answer.index)).toBe(exports.READ_OK.value);
    exports.finishKey(answer.index, 0);
    for (const { feature: of, type, register, cells } of features) {
      const { member, window } = cells[0]!;
      const { aggregate: wanted, id } = answer.members[member]!;
      const found = makeColumn({ name: of.name, type }, 1);
      copyRows(kernel, answer, { register }, 1, found, 0);
      const held: Plain = { total: 0n, count: 0n, extremes: [] };
      let isFound = false;
      for (const { levelMs, tileStartMs, value } of rows) {
        const isIn = ranges.some(
          r => r.window === window && r.levelMs === levelMs && r.fromMs <= tileStartMs && tileStartMs < r.toMs,
        );
        const state = isIn ? statesOf(value).find(([one]) => one === id) : undefined;
        if (!state) continue;
        isFound = true;
        add(held, state[1]);
      }
      const [value, status] = finished(wanted.fn.name, held);
      expect([round, of.name, cellOf(found), STATUS[found.statuses[0]!]!]).toEqual([
        round,
        of.name,
        value,
        isFound ? status : 'NOT_FOUND',
      ]);
    }
    exports.release(block, packed.length);
    fold.dirtyRows();
    fold.settle();
    fold.evict(0);
  }
});

function changeOf({ levelMs, tileStartMs, value }: FoldedRow): Parameters<typeof changeBatch>[0] {
  return [{ key: 'x', level: BigInt(levelMs), tileStart: BigInt(tileStartMs) }, value];
}

/** What becomes of one lifetime row. */
async function outcomeOf(given: number[], value: Uint8Array): Promise<number> {
  const { kernel, answer } = await answering(given);
  const { exports } = kernel;
  want(kernel, answer, [...answer.features.values()]);
  exports.coverAt(answer.index, BigInt(NOW_MS) * 1000n, 0);
  const packed = packRows([{ entity: 1, key: bytesOf('x'), levelMs: 0, tileStartMs: 0, value }]);
  exports.startKey(answer.index, kernel.put(bytesOf('x')), 1);
  const outcome = exports.addPackedRows(answer.index, kernel.put(packed), packed.length);
  exports.finishKey(answer.index, 0);
  const [first] = answer.features.values();
  const status = kernel.bytes(exports.frameStatuses(answer.frame, first!.register), 1)[0]!;
  return outcome === exports.READ_OK.value ? status : -1;
}

test('an entry is not known by a part of its head', async () => {
  const notFound = STATUS.indexOf('NOT_FOUND');
  const good = row([1, { case: 'count', value: 5n }]);
  expect(await outcomeOf([1], good)).not.toBe(notFound);
  const short = good.slice();
  short[1]! -= 1;
  expect(await outcomeOf([1], short)).toBe(-1);
  // Seen as two bytes, the longer id would end in those of 301, with the tag behind them.
  expect(await outcomeOf([(0x12 << 15) | 301], row([301, { case: 'count', value: 5n }]))).toBe(notFound);
});

function cellOf({ values, nulls }: FeatureColumn): Value {
  return nulls[0] ? null : ([...(values as Iterable<Value>)][0] as Value);
}
