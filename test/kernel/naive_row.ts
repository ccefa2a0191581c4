/** How two rows merge, by protobuf messages and bigints: what the kernel makes of any bytes is held against it. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type ExactSum,
  type FeatureValue,
  FeatureValueSchema,
  type Int128,
  type Moment,
} from '../../src/gen/tilefold/v1/row_pb.ts';
import { canonicalRanking, mergeRanking, mergeSketch, RANKINGS, type RankingCase } from './naive_ranking.ts';
import { given, int64, Refused, refuse } from './refused.ts';
import { bitsOf, doubleOf, int128, type Kept, ordered, recent, type State } from './rows.ts';

export { Refused };

interface Entry {
  id: number;
  /** The bytes of its FeatureValue, and of all of it. */
  value: Uint8Array;
  whole: Uint8Array;
}

/** The merge of two rows. @throws Refused where either is not canonical, or holds what cannot be merged */
export function mergeNaive(left: Uint8Array, right: Uint8Array): Uint8Array {
  const [ours, theirs] = [entriesOf(left), entriesOf(right)];
  const ids = [...new Set([...ours.keys(), ...theirs.keys()])].sort((a, b) => a - b);
  return Buffer.concat(
    ids.map(id => {
      const [a, b] = [ours.get(id), theirs.get(id)];
      // What only one side has is copied, known or not.
      if (!a || !b) return (a ?? b)!.whole;
      return entryBytes(id, mergeValues(a.value, b.value));
    }),
  );
}

function entriesOf(row: Uint8Array): Map<number, Entry> {
  const entries = new Map<number, Entry>();
  let last = 0;
  try {
    const reader = new BinaryReader(row);
    while (reader.pos < reader.len) {
      const start = reader.pos;
      expectTag(reader, 1, WireType.LengthDelimited);
      const inner = new BinaryReader(reader.bytes());
      expectTag(inner, 1, WireType.Varint);
      const id = Number(inner.uint64());
      expectTag(inner, 2, WireType.LengthDelimited);
      const value = inner.bytes();
      const whole = row.slice(start, reader.pos);
      if (id <= last || id > 0x7fffffff || !same(entryBytes(id, value), whole)) throw new Refused('entry');
      entries.set(id, { id, value, whole });
      last = id;
    }
  } catch (error) {
    throw new Refused(String(error));
  }
  return entries;
}

function expectTag(reader: BinaryReader, field: number, type: WireType): void {
  const tag = reader.tag();
  if (tag[0] !== field || tag[1] !== type) throw new Refused(`field ${tag}`);
}

function entryBytes(id: number, value: Uint8Array): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Varint).uint32(id).tag(2, WireType.LengthDelimited).bytes(value);
  return writer.join().finish();
}

function mergeValues(left: Uint8Array, right: Uint8Array): Uint8Array {
  const [a, b] = [left, right].map(readState) as [State, State];
  if (a!.case !== b!.case) throw new Refused('two aggregates of one id');
  const merged = mergeStates(a!, b!);
  return stateBytes(merged);
}

function stateBytes(state: State): Uint8Array {
  return toBinary(FeatureValueSchema, create(FeatureValueSchema, { state: state! }));
}

/** A state that is spelled as its message says, and not otherwise. */
function readState(value: Uint8Array): State {
  let state: State;
  try {
    state = fromBinary(FeatureValueSchema, value).state;
  } catch (error) {
    throw new Refused(String(error));
  }
  if (state!.case === undefined) throw new Refused('unknown');
  if (!same(stateBytes(canonical(state)), value)) throw new Refused('not canonical');
  return state;
}

/** The state anew, out of what it says: whatever else its bytes had is not there. */
function canonical(state: State): State {
  const empty = emptyOf(state!.case!);
  return empty ? mergeStates(empty, state) : mergeStates(state, state, true);
}

function emptyOf(of: string): State | null {
  switch (of) {
    case 'count':
      return { case: of, value: 0n };
    case 'sum':
      return { case: of, value: int128(0n) };
    case 'mean':
      return { case: of, value: { sum: int128(0n), count: 0n } };
    case 'realSum':
      return { case: of, value: {} };
    case 'realMean':
      return { case: of, value: { sum: {}, count: 0n } };
    case 'moments':
      return { case: of, value: { sum: {}, squares: {}, count: 0n } };
    case 'decayed':
      return { case: of, value: {} };
    default:
      return null;
  }
}

type Of<Case> = Extract<NonNullable<State>, { case?: Case }>['value'];

function mergeStates(a: State, b: State, isSame = false): State {
  switch (b!.case) {
    case 'count':
      return { case: 'count', value: int64((a!.value as bigint) + b!.value!) };
    case 'sum':
      return { case: 'sum', value: int128(wide(wideOf(a!.value) + wideOf(b!.value))) };
    case 'mean': {
      const [x, y] = [a!.value, b!.value] as Of<'mean'>[];
      const total = int128(wide(wideOf(x!.sum) + wideOf(y!.sum)));
      return { case: 'mean', value: { sum: total, count: int64(given(x!.count) + given(y!.count)) } };
    }
    case 'min':
    case 'max':
      return mergeExtremes(a, b, isSame);
    case 'realSum':
      return { case: 'realSum', value: exactOf(sumExact(a!.value, b!.value)) };
    case 'realMean': {
      const [x, y] = [a!.value, b!.value] as Of<'realMean'>[];
      const total = exactOf(sumExact(x!.sum ?? refuse('no sum'), y!.sum ?? refuse('no sum')));
      return { case: 'realMean', value: { sum: total, count: int64(given(x!.count) + given(y!.count)) } };
    }
    case 'moments': {
      const [x, y] = [a!.value, b!.value] as Of<'moments'>[];
      const [total, squares] = [x!.sum, x!.squares].map((part, i) =>
        exactOf(sumExact(part ?? refuse('no sum'), (i === 0 ? y!.sum : y!.squares) ?? refuse('no sum'))),
      );
      const weight = int64(given(x!.count) + given(y!.count));
      return { case: 'moments', value: { sum: total!, squares: squares!, count: weight } };
    }
    case 'decayed':
      return { case: 'decayed', value: exactOf(sumExact(a!.value, b!.value)) };
    case 'first':
    case 'last':
      return mergeMoments(a, b, isSame);
    case 'lastN':
      return mergeRecents(a, b, isSame);
    case 'counts':
      return mergeCounts(a, b, isSame);
    case 'distinctSketch':
      return { case: 'distinctSketch', value: mergeSketch(a!.value as never, b!.value) };
    case 'vectorMean':
      return { case: 'vectorMean', value: mergeVectors(a!.value as never, b!.value as never, isSame) };
    default:
      return mergeRankings(a, b, isSame);
  }
}

const wide = (value: bigint): bigint => BigInt.asIntN(128, value);

function mergeRankings(a: State, b: State, isSame: boolean): State {
  const of = RANKINGS.find(each => each === b!.case) ?? refuse('unknown');
  const value = isSame
    ? canonicalRanking(of, a!.value as never)
    : mergeRanking(of, a!.value as never, b!.value as never);
  return { case: of as RankingCase, value } as State;
}

function mergeVectors(a: Of<'vectorMean'> & object, b: Of<'vectorMean'> & object, isSame: boolean): Of<'vectorMean'> {
  const [x, y] = [vectorOf(a), vectorOf(isSame ? { length: given(b.length) } : b)];
  const isOurs = x.sums.length >= y.sums.length;
  const isTheirs = y.sums.length >= x.sums.length;
  const { sums, count } = isOurs ? x : y;
  const all = isOurs && isTheirs ? sums.map((sum, i) => addExact(sum, y.sums[i]!)) : sums;
  const total = isOurs && isTheirs ? int64(count + y.count) : count;
  const isEmpty = total === 0n && all.every(({ units, counts }) => units === 0n && counts.every(one => one === 0n));
  return isEmpty ? { length: all.length } : { length: all.length, count: total, sums: all.map(exactOf) };
}

function vectorOf({ length, count, sums }: Of<'vectorMean'> & object): { count: bigint; sums: Exact[] } {
  if (length === undefined || length < 1 || length > 1024) return refuse('length');
  if (count === undefined && (sums ?? []).length === 0)
    return { count: 0n, sums: new Array(length).fill({ units: 0n, counts: [0n, 0n, 0n] }) };
  if (sums!.length !== length) return refuse('sums');
  return { count: given(count), sums: sums!.map(exactRead) };
}

function wideOf(of: unknown): bigint {
  const { narrow, low, high } = (of ?? refuse('no sum')) as Partial<Int128>;
  return narrow ?? BigInt.asIntN(128, (given(high) << 64n) | given(low));
}

// --- extremes

interface Seen {
  kind: 'integer' | 'real';
  /** The number, or the double's bits: NaN is not itself. */
  value: bigint;
}

function seenOf(of: unknown): Seen | null {
  const { value } = of as Of<'min'> & object;
  if (!value || value.case === undefined) return null;
  if (value.case === 'integer') return { kind: 'integer', value: value.value! };
  if (value.case === 'real') return { kind: 'real', value: bitsOf(value.value!) };
  return refuse('an extreme of texts');
}

function mergeExtremes(a: State, b: State, isSame: boolean): State {
  const [x, y] = [seenOf(a!.value), seenOf(b!.value)];
  const isBetter = () => {
    const [p, q] = y!.kind === 'real' ? [ordered(y!.value), ordered(x!.value)] : [y!.value, x!.value];
    return b!.case === 'min' ? p < q : p > q;
  };
  const best = isSame || !y ? x : !x || isBetter() ? y : x;
  const of = b!.case as 'min' | 'max';
  if (!best) return { case: of, value: {} };
  if (best.kind === 'integer') return { case: of, value: { value: { case: 'integer', value: best.value } } };
  return { case: of, value: { value: { case: 'real', value: doubleOf(best.value) } } };
}

// --- exact sums

/** In units of 2^-1074. */
interface Exact {
  units: bigint;
  counts: bigint[];
}

const MAGNITUDE_BITS_MAX = 2098 + 63;

function exactRead(of: unknown): Exact {
  const { magnitude, exponent, negative, nan, positiveInfinity, negativeInfinity } = of as Partial<ExactSum>;
  const counts = [nan, positiveInfinity, negativeInfinity].map(count => count ?? 0n);
  if (magnitude === undefined) return { units: 0n, counts };
  const number = BigInt(`0x${Buffer.from(magnitude).reverse().toString('hex') || '0'}`);
  const position = given(exponent) + 1074;
  if (position < 0 || number === 0n || position + number.toString(2).length > MAGNITUDE_BITS_MAX)
    return refuse('no sum of doubles is that large, or that small');
  const units = number << BigInt(position);
  return { units: negative ? -units : units, counts };
}

function sumExact(a: unknown, b: unknown): Exact {
  return addExact(exactRead(a), exactRead(b));
}

function addExact(x: Exact, y: Exact): Exact {
  return { units: x.units + y.units, counts: x.counts.map((count, i) => int64(count + y.counts[i]!)) };
}

function exactOf({ units, counts }: Exact): Of<'realSum'> {
  const [nan, positiveInfinity, negativeInfinity] = counts.map(count => (count === 0n ? undefined : count));
  const infinities = {
    ...(nan === undefined ? {} : { nan }),
    ...(positiveInfinity === undefined ? {} : { positiveInfinity }),
    ...(negativeInfinity === undefined ? {} : { negativeInfinity }),
  };
  if (units === 0n) return infinities;
  let magnitude = units < 0n ? -units : units;
  let exponent = -1074;
  while ((magnitude & 1n) === 0n) [magnitude, exponent] = [magnitude >> 1n, exponent + 1];
  const digits = magnitude.toString(16);
  const bytes = Buffer.from(digits.length % 2 ? `0${digits}` : digits, 'hex').reverse();
  return { magnitude: new Uint8Array(bytes), exponent, ...(units < 0n ? { negative: true } : {}), ...infinities };
}

// --- moments

function mergeMoments(a: State, b: State, isSame: boolean): State {
  const [x, y] = [a!.value, b!.value] as Moment[];
  const of = b!.case as 'first' | 'last';
  const isThere = (one: Moment) => one.value?.case !== undefined;
  const isLater = () => {
    const [p, q] = [given(y!.time) - given(x!.time), given(y!.position) - given(x!.position)];
    const difference = p === 0n ? q : p;
    return of === 'last' ? difference > 0n : difference < 0n;
  };
  const winner = isSame || !isThere(y!) ? x! : !isThere(x!) || isLater() ? y! : x!;
  if (!isThere(winner)) return { case: of, value: {} };
  const { time, position, value } = winner;
  return { case: of, value: { time: given(time), position: given(position), value: value as never } };
}

// --- the latest

interface Latest {
  limit: number;
  kind: number;
  kept: Kept[];
}

function latestOf(of: unknown): Latest {
  const { limit, times, positions, integers, reals, texts, tooLong } = of as Required<Of<'lastN'> & object>;
  if (limit === undefined || limit < 1 || limit > 1000 || times!.length > limit) return refuse('limit');
  const values: Kept['value'][] = [...integers!, ...reals!, ...texts!];
  if (values.length !== times!.length || positions!.length !== times!.length) return refuse('columns');
  const kinds = [integers!, reals!, texts!].flatMap((column, i) => (column.length > 0 ? [i + 1] : []));
  if (kinds.length > 1 || (tooLong!.length > 0 && kinds[0] !== 3)) return refuse('kinds');
  let least = 0;
  for (const index of tooLong!) {
    if (index < least || values[index] !== '') return refuse('too long');
    values[index] = null;
    least = index + 1;
  }
  if (values.some(value => typeof value === 'string' && Buffer.byteLength(value) > 1024)) return refuse('a text');
  let [time, position] = [0n, 0n];
  const kept = values.map((value, i) => {
    if (i > 0 && times![i]! < 0n) return refuse('time');
    time += times![i]!;
    position = int64(position + positions![i]!);
    if (time !== int64(time)) return refuse('time');
    return { time, position, value };
  });
  for (let i = 1; i < kept.length; i++) if (compareKept(kept[i - 1]!, kept[i]!) >= 0) return refuse('order');
  return { limit, kind: kinds[0] ?? 0, kept };
}

function compareKept(a: Kept, b: Kept): number {
  const difference = a.time === b.time ? a.position - b.position : a.time - b.time;
  return difference < 0n ? -1 : Number(difference > 0n);
}

function mergeRecents(a: State, b: State, isSame: boolean): State {
  const [x, y] = [latestOf(a!.value), latestOf(b!.value)];
  if (isSame) return recentState(x.limit, x.kept);
  const limit = Math.min(x.limit, y.limit);
  const kind = Math.max(x.kind, y.kind);
  const kept = [x, y].flatMap(side => (side.kind === kind ? side.kept : []));
  const first = kept.filter((one, i) => kept.findIndex(other => compareKept(one, other) === 0) === i);
  return recentState(limit, first.sort(compareKept).slice(-limit));
}

/** As `recent`, its differences as they lie in 64 bits. */
function recentState(limit: number, kept: Kept[]): State {
  const state = recent(limit, kept) as { case: 'lastN'; value: { positions: bigint[] } };
  state.value.positions = state.value.positions.map(int64);
  return state as State;
}

// --- counts of values

interface Tally {
  limit: number;
  /** 1, 2 or 3 for integers, doubles (by their bits) and texts. */
  kind: number;
  overflown: boolean;
  times: Map<bigint | string, bigint>;
}

function tallyOf(of: unknown): Tally {
  const { limit, integers, reals, texts, times, overflown } = of as Required<Of<'counts'> & object>;
  if (limit === undefined || limit < 1 || limit > 10_000) return refuse('limit');
  const columns = [integers!, reals!, texts!];
  const kinds = columns.flatMap((column, i) => (column.length > 0 ? [i + 1] : []));
  if (overflown !== undefined) {
    if (overflown < 1 || overflown > 3 || kinds.length > 0 || times!.length > 0) return refuse('overflown');
    return { limit, kind: overflown, overflown: true, times: new Map() };
  }
  const kind = kinds[0] ?? 0;
  const values: (bigint | string)[] = [...runningSums(integers!), ...reals!.map(bitsOf), ...texts!];
  if (kinds.length > 1 || values.length > limit || times!.length !== values.length) return refuse('columns');
  for (const [i, value] of values.entries())
    if (i > 0 && compareCounted(kind, values[i - 1]!, value) >= 0) return refuse('order');
  const isOdd = (value: bigint | string) =>
    typeof value === 'string' ? Buffer.byteLength(value) > 1024 : kind === 2 && plainBits(value) !== value;
  if (values.some(isOdd)) return refuse('a value');
  return { limit, kind, overflown: false, times: new Map(values.map((value, i) => [value, times![i]!])) };
}

function runningSums(deltas: bigint[]): bigint[] {
  let last = 0n;
  return deltas.map(delta => (last = int64(last + delta)));
}

function plainBits(bits: bigint): bigint {
  if (bits === -(2n ** 63n)) return 0n;
  return (bits & (2n ** 63n - 1n)) > 0x7ff0_0000_0000_0000n ? 0x7ff8_0000_0000_0000n : bits;
}

function compareCounted(kind: number, a: bigint | string, b: bigint | string): number {
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  const [x, y] = kind === 2 ? [ordered(a), ordered(b as bigint)] : [a, b as bigint];
  return x < y ? -1 : Number(x > y);
}

function mergeCounts(a: State, b: State, isSame: boolean): State {
  const [x, y] = [tallyOf(a!.value), tallyOf(b!.value)];
  if (isSame) return tallyState(x);
  const limit = Math.min(x.limit, y.limit);
  const kind = Math.max(x.kind, y.kind);
  const sides = [x, y].filter(side => side.kind === kind);
  const times = new Map<bigint | string, bigint>();
  for (const side of sides)
    for (const [value, count] of side.times) times.set(value, int64((times.get(value) ?? 0n) + count));
  const overflown = sides.some(side => side.overflown) || times.size > limit;
  return tallyState({ limit, kind, overflown, times });
}

/** Counts of values without those that are there 0 times; any other state as it is. */
export function withoutTaken(value: FeatureValue): FeatureValue {
  if (value.state.case !== 'counts') return value;
  const tally = tallyOf(value.state.value);
  const times = new Map([...tally.times].filter(([, count]) => count !== 0n));
  return create(FeatureValueSchema, { state: tallyState({ ...tally, times, kind: times.size > 0 ? tally.kind : 0 })! });
}

function tallyState({ limit, kind, overflown, times }: Tally): State {
  if (overflown) return { case: 'counts', value: { limit, overflown: kind } };
  const entries = [...times].sort(([p], [q]) => compareCounted(kind, p, q));
  const values = entries.map(([value]) => value);
  const differences = (all: bigint[]) => all.map((value, i) => int64(value - (all[i - 1] ?? 0n)));
  return {
    case: 'counts',
    value: {
      limit,
      ...(kind === 1 ? { integers: differences(values as bigint[]) } : {}),
      ...(kind === 2 ? { reals: values.map(value => doubleOf(value as bigint)) } : {}),
      ...(kind === 3 ? { texts: values as string[] } : {}),
      times: entries.map(([, count]) => count),
    },
  };
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
