/** Rows and changes made and read by @bufbuild/protobuf, which knows nothing of the kernels. */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { ChangeBatchSchema } from '../../src/gen/tilefold/v1/change_pb.ts';
import {
  FeaturesCombinedCompatibleSchema,
  type FeatureValue,
  type FeatureValueSchema,
  type Int128,
  type Ranking,
  type Recent,
} from '../../src/gen/tilefold/v1/row_pb.ts';
import type { FoldedRow } from '../../src/kernel/folded_row.ts';
import type { Fold } from '../../src/kernel/fold.ts';
import { entityAt, keyAt, levelAt, tileStartAt } from '../../src/store/address.ts';
import { PackWalk } from '../../src/store/pack.ts';
import type { Random } from '../sim/random.ts';
import { bytesOf } from './columns.ts';

export type State = MessageInitShape<typeof FeatureValueSchema>['state'];

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

export function int128(value: bigint): { narrow: bigint } | { low: bigint; high: bigint } {
  if (value >= INT64_MIN && value <= INT64_MAX) return { narrow: value };
  return { low: BigInt.asUintN(64, value), high: BigInt.asIntN(64, value >> 64n) };
}

export const count = (value: bigint): State => ({ case: 'count', value });
export const sum = (value: bigint): State => ({ case: 'sum', value: int128(value) });
export const mean = (total: bigint, weight: bigint): State => ({
  case: 'mean',
  value: { sum: int128(total), count: weight },
});
export const extreme = (which: 'min' | 'max', value: bigint | null): State => ({
  case: which,
  value: value === null ? {} : { value: { case: 'integer', value } },
});

/** A value that LAST_N keeps, of the event at this moment. */
export interface Kept {
  time: bigint;
  position: bigint;
  /** Null is a text that is too long to be kept. */
  value: bigint | number | string | null;
}

/** The state of the latest `limit` of these; all are integers, or doubles, or texts. */
export function recent(limit: number, kept: Kept[]): State {
  const latest = kept.toSorted(byMoment).slice(-limit);
  const values = latest.map(one => one.value);
  return {
    case: 'lastN',
    value: {
      limit,
      times: deltas(latest.map(one => one.time)),
      positions: deltas(latest.map(one => one.position)),
      integers: values.filter(one => typeof one === 'bigint'),
      reals: values.filter(one => typeof one === 'number'),
      texts: values.filter(one => typeof one === 'string' || one === null).map(one => one ?? ''),
      tooLong: values.flatMap((one, i) => (one === null ? i : [])),
    },
  };
}

/** The state of these values, ascending, each once, of which the first is there once, the second twice, and so on; none, too. */
export function counts(limit: number, values: bigint[] | number[] | string[]): State {
  const [first] = values;
  return {
    case: 'counts',
    value: {
      limit,
      integers: typeof first === 'bigint' ? deltas(values as bigint[]).map(delta => BigInt.asIntN(64, delta)) : [],
      reals: typeof first === 'number' ? (values as number[]) : [],
      texts: typeof first === 'string' ? (values as string[]) : [],
      times: values.map((_, i) => BigInt(i + 1) * (i % 2 ? -1n : 1n)),
    },
  };
}

export function byMoment(a: Kept, b: Kept): number {
  return Number(a.time - b.time || a.position - b.position);
}

function deltas(numbers: bigint[]): bigint[] {
  return numbers.map((number, i) => number - (numbers[i - 1] ?? 0n));
}

/** A row in canonical form: ids ascend as the caller gives them. */
export function row(...entries: [id: number, state: State][]): Uint8Array<ArrayBuffer> {
  const features = entries.map(([key, state]) => ({ key, value: { state: state! } }));
  return toBinary(FeaturesCombinedCompatibleSchema, create(FeaturesCombinedCompatibleSchema, { features }));
}

export interface Address {
  entity?: number;
  key?: string;
  level?: bigint;
  tileStart?: bigint;
}

export function changeBatch(...changes: [Address, Uint8Array][]): Uint8Array<ArrayBuffer> {
  const list = changes.map(([{ entity = 1, key = 'k', level = 0n, tileStart = 0n }, features]) => ({
    ...{ entity, key: bytesOf(key), level, tileStart },
    features: new Uint8Array(features),
  }));
  return toBinary(ChangeBatchSchema, create(ChangeBatchSchema, { changes: list }));
}

/** What a row says, by id. */
export function statesOf(bytes: Uint8Array): [number, unknown][] {
  const { features } = fromBinary(FeaturesCombinedCompatibleSchema, bytes);
  return features.map(entry => [entry.key, stateOf(entry.value!)]);
}

/** A state as read_rows.py writes it: `{sum: -1}`; bigints stay bigints. */
export function stateOf({ state }: FeatureValue): unknown {
  switch (state.case) {
    case 'count':
      return { count: state.value };
    case 'sum':
      return { sum: wide(state.value) };
    case 'mean':
      return { mean: { sum: wide(state.value.sum!), count: state.value.count! } };
    case 'min':
    case 'max':
      return { [state.case]: state.value.value.case === undefined ? null : state.value.value.value };
    case 'lastN':
      return { last_n: recentOf(state.value) };
    case 'firstN':
    case 'lastDistinct':
    case 'list':
    case 'greatest':
    case 'least':
    case 'set':
    case 'argMax':
    case 'argMin':
      return { [snake(state.case)]: rankingOf(state.value) };
    case 'distinctSketch': {
      const { precision, pairs, registers } = state.value;
      const all = { precision: BigInt(precision!), pairs: pairs.map(BigInt), registers: hexOf(registers ?? NO_BYTES) };
      return { distinct_sketch: all };
    }
    case 'vectorMean':
      return { vector_mean: { length: BigInt(state.value.length!), sums: BigInt(state.value.sums.length) } };
    case undefined:
      throw new Error('a state without a case');
    default:
      return { [snake(state.case)]: state.value };
  }
}

function recentOf({ limit, times, positions, integers, reals, texts, tooLong }: Recent): unknown {
  const [number, indices] = [BigInt(limit!), tooLong.map(BigInt)];
  return { limit: number, times, positions, integers, reals: reals.map(hexOfReal), texts, too_long: indices };
}

function rankingOf(state: Ranking): unknown {
  const { limit, over, times, positions, integers, reals, texts, cut } = state;
  const ranks = {
    integers: state.rankIntegers,
    reals: state.rankReals.map(hexOfReal),
    texts: state.rankTexts.map(hexOf),
  };
  return {
    ...{ limit: BigInt(limit!), over: over === true, times, positions, integers, reals: reals.map(hexOfReal) },
    ...{ texts: texts.map(hexOf), cut: cut.map(BigInt), ranks, rank_cut: state.rankCut.map(BigInt) },
  };
}

const NO_BYTES = new Uint8Array(0);

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Doubles by their bits, in hexadecimal, for NaN is not itself. */
function hexOfReal(real: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(real);
  return bytes.toString('hex');
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}

function wide({ narrow, low, high }: Int128): bigint {
  return narrow ?? (high! << 64n) + low!;
}

/** Rows of a run, part by part. */
export function runRows(parts: Uint8Array[]): FoldedRow[] {
  const rows: FoldedRow[] = [];
  for (const part of parts) {
    const walk = new PackWalk().open(part);
    while (walk.next()) {
      const { address, length } = walk;
      const [levelMs, tileStartMs] = [levelAt(address, length), tileStartAt(address, length)];
      rows.push({ entity: entityAt(address), key: keyAt(address, length), levelMs, tileStartMs, value: walk.value() });
    }
  }
  return rows;
}

/** Bytes of the only row that a fold holds. */
export function onlyRow(fold: Fold): Uint8Array {
  const rows = fold.dirtyRows();
  if (rows.length !== 1) throw new Error(`${rows.length} rows`);
  return rows[0]!.value.slice();
}

/** Integers where something may break: around powers of two, and small ones. */
export function integer(rng: Random, bits = 63): bigint {
  const size = BigInt(rng.below(bits + 1));
  const random = BigInt(Math.floor(rng.next() * 2 ** 32)) * 2n ** 32n + BigInt(Math.floor(rng.next() * 2 ** 32));
  const wideRandom = random * 2n ** 64n + random;
  const magnitude = rng.chance(0.3) ? 2n ** size - BigInt(rng.below(3)) : BigInt.asUintN(Number(size), wideRandom);
  const value = rng.chance(0.5) ? -magnitude : magnitude;
  return bits > 63 ? value : BigInt.asIntN(64, value);
}

export function randomState(which: number, rng: Random): State {
  switch (which) {
    case 1:
      return count(integer(rng, 60));
    case 2:
      return sum(integer(rng, 100));
    case 3:
      return mean(integer(rng, 100), integer(rng, 60));
    default:
      return extreme(which === 4 ? 'min' : 'max', rng.chance(0.2) ? null : integer(rng));
  }
}

/** A double as an integer in the order of doubles: -0 below 0, NaN above all. */
export function ordered(bits: bigint): bigint {
  const isNone = (bits & (2n ** 63n - 1n)) > 0x7ff0_0000_0000_0000n;
  const one = isNone ? 0x7ff8_0000_0000_0000n : bits;
  return one < 0n ? one ^ (2n ** 63n - 1n) : one;
}

const view = new DataView(new ArrayBuffer(8));

export function bitsOf(double: number): bigint {
  view.setFloat64(0, double);
  return view.getBigInt64(0);
}

export function doubleOf(bits: bigint): number {
  view.setBigInt64(0, bits);
  return view.getFloat64(0);
}
