/** How states of many values merge, by protobuf messages and lists: of values in an order, and of registers. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DistinctSketchSchema, RankingSchema } from '../../src/gen/tilefold/v1/row_pb.ts';
import { given, int64, refuse } from './refused.ts';
import { bitsOf, doubleOf, ordered } from './rows.ts';

export type RankingInit = MessageInitShape<typeof RankingSchema>;
export type SketchInit = MessageInitShape<typeof DistinctSketchSchema>;

export const RANKINGS = ['firstN', 'lastDistinct', 'list', 'greatest', 'least', 'set', 'argMax', 'argMin'] as const;
export type RankingCase = (typeof RANKINGS)[number];

/** An integer, the bits of a double, or the bytes of a text; `isCut` where only its beginning is kept. */
export interface Cell {
  kind: 0 | 1 | 2 | 3;
  number: bigint;
  text: string;
  isCut: boolean;
}

export interface Ranked {
  time: bigint;
  position: bigint;
  value: Cell;
  rank: Cell;
}

export const NO_CELL: Cell = { kind: 0, number: 0n, text: '', isCut: false };

/** A value as it is kept: of a text of more than 1024 bytes the first 1024. */
export function cellOf(value: bigint | number | string): Cell {
  if (typeof value === 'bigint') return { ...NO_CELL, kind: 1, number: value };
  if (typeof value === 'number') return { ...NO_CELL, kind: 2, number: bitsOf(value) };
  const bytes = Buffer.from(value);
  return { ...NO_CELL, kind: 3, text: latin(bytes.subarray(0, 1024)), isCut: bytes.length > 1024 };
}

/** Bytes as code units, so that texts compare as their bytes do. */
function latin(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/** The state of these entries, in any order, some of them of the same event. */
export function rankingOf(of: RankingCase, limit: number, entries: Ranked[]): RankingInit {
  return written(of, { limit, isOver: false, entries: [] }, entries);
}

/** @throws Refused where either is not canonical */
export function mergeRanking(of: RankingCase, a: RankingInit, b: RankingInit): RankingInit {
  const [x, y] = [read(of, a), read(of, b)];
  const limit = Math.min(x.limit, y.limit);
  const isTooMuch = isWhole(of) && Math.max(x.entries.length, y.entries.length) > limit;
  if (x.isOver || y.isOver || isTooMuch) return written(of, { limit, isOver: true, entries: [] }, []);
  return written(of, { limit, isOver: false, entries: x.entries }, y.entries);
}

/** The state anew, out of what it says. @throws Refused where that is none */
export function canonicalRanking(of: RankingCase, state: RankingInit): RankingInit {
  const { entries, ...more } = read(of, state);
  return written(of, { ...more, entries: [] }, entries);
}

interface Read {
  limit: number;
  isOver: boolean;
  entries: Ranked[];
}

const hasMoments = (of: RankingCase) => of !== 'greatest' && of !== 'least' && of !== 'set';
const hasRanks = (of: RankingCase) => of === 'argMax' || of === 'argMin';
const isWhole = (of: RankingCase) => of === 'list' || of === 'set';
const isDistinct = (of: RankingCase) => of === 'lastDistinct' || of === 'set';

function read(of: RankingCase, state: RankingInit): Read {
  const { limit, over } = state;
  const times = state.times ?? [];
  const positions = state.positions ?? [];
  if (limit === undefined || limit < 1 || limit > 1000) return refuse('limit');
  const values = cells(state.integers ?? [], state.reals ?? [], state.texts ?? [], state.cut ?? []);
  const ranks = cells(state.rankIntegers ?? [], state.rankReals ?? [], state.rankTexts ?? [], state.rankCut ?? []);
  if (over !== undefined && (!over || !isWhole(of) || values.length + times.length > 0)) return refuse('over');
  if (values.length > limit) return refuse('more than the limit');
  const moments = hasMoments(of) ? values.length : 0;
  if (times.length !== moments || positions.length !== moments) return refuse('columns');
  if (ranks.length !== (hasRanks(of) ? values.length : 0)) return refuse('ranks');
  if (isWhole(of) && values.some(({ isCut }) => isCut)) return refuse('a cut text');
  let [time, position] = [0n, 0n];
  const entries = values.map((value, i) => {
    time = int64(time + (times[i] ?? 0n));
    position = int64(position + (positions[i] ?? 0n));
    return { time, position, value, rank: ranks[i] ?? NO_CELL };
  });
  if (isDistinct(of) && values.some(one => one.kind === 2 && one.number === -(2n ** 63n))) return refuse('-0');
  return { limit, isOver: over === true, entries };
}

function cells(integers: bigint[], reals: number[], texts: Uint8Array[], cut: number[]): Cell[] {
  if ([integers, reals, texts].filter(column => column.length > 0).length > 1) return refuse('kinds');
  let least = 0;
  for (const index of cut) {
    if (index < least || texts[index]?.length !== 1024) return refuse('cut');
    least = index + 1;
  }
  if (texts.some(text => text.length > 1024)) return refuse('a text');
  return [
    ...integers.map(cellOf),
    ...reals.map(cellOf),
    ...texts.map((text, i): Cell => ({ ...NO_CELL, kind: 3, text: latin(text), isCut: cut.includes(i) })),
  ];
}

function compareCells(x: Cell, y: Cell): number {
  if (x.kind !== 3) {
    const [p, q] = x.kind === 2 ? [ordered(x.number), ordered(y.number)] : [x.number, y.number];
    return p < q ? -1 : Number(p > q);
  }
  return x.text < y.text ? -1 : x.text > y.text ? 1 : Number(x.isCut) - Number(y.isCut);
}

function compareMoments(x: Ranked, y: Ranked): number {
  const difference = x.time - y.time || x.position - y.position;
  return difference < 0n ? -1 : Number(difference > 0n);
}

function compare(of: RankingCase, x: Ranked, y: Ranked): number {
  switch (of) {
    case 'firstN':
    case 'list':
      return compareMoments(x, y);
    case 'lastDistinct':
      return -compareMoments(x, y);
    case 'greatest':
      return -compareCells(x.value, y.value);
    case 'least':
    case 'set':
      return compareCells(x.value, y.value);
    case 'argMax':
      return -compareCells(x.rank, y.rank) || compareMoments(x, y);
    case 'argMin':
      return compareCells(x.rank, y.rank) || compareMoments(x, y);
  }
}

/** Entries of one state and more of another, put in order: of one event or value the first that is there remains. */
function written(of: RankingCase, { limit, isOver, entries }: Read, more: Ranked[]): RankingInit {
  const kinds = (list: Ranked[]) => (list[0] ? list[0].value.kind * 4 + list[0].rank.kind : 0);
  const greatest = Math.max(kinds(entries), kinds(more));
  const isTooLong = isWhole(of) && more.some(({ value }) => value.isCut);
  const all = [entries, more].flatMap(list => (kinds(list) === greatest ? list : []));
  const inOrder = all
    .map(one =>
      isDistinct(of) && one.value.number === -(2n ** 63n) && one.value.kind === 2 ? { ...one, value: cellOf(0) } : one,
    )
    .toSorted((x, y) => compare(of, x, y));
  const isTwin = (x: Ranked, y: Ranked) =>
    (of !== 'greatest' && of !== 'least' && compare(of, x, y) === 0) ||
    (isDistinct(of) && compareCells(x.value, y.value) === 0);
  const once: Ranked[] = [];
  for (const one of inOrder) if (!once.some(other => isTwin(other, one))) once.push(one);
  if (isOver || isTooLong || (isWhole(of) && once.length > limit)) return { limit, over: true };
  const kept = once.slice(0, limit);
  const values = columnsOf(kept.map(({ value }) => value));
  const ranks = hasRanks(of) ? columnsOf(kept.map(({ rank }) => rank)) : columnsOf([]);
  return {
    limit,
    times: hasMoments(of) ? deltas(kept.map(({ time }) => time)) : [],
    positions: hasMoments(of) ? deltas(kept.map(({ position }) => position)) : [],
    ...values,
    ...{ rankIntegers: ranks.integers, rankReals: ranks.reals, rankTexts: ranks.texts, rankCut: ranks.cut },
  };
}

function columnsOf(kept: Cell[]) {
  return {
    integers: kept.flatMap(one => (one.kind === 1 ? one.number : [])),
    reals: kept.flatMap(one => (one.kind === 2 ? doubleOf(one.number) : [])),
    texts: kept.flatMap(one => (one.kind === 3 ? new Uint8Array(Buffer.from(one.text, 'latin1')) : [])),
    cut: kept.flatMap((one, i) => (one.isCut ? i : [])),
  };
}

function deltas(numbers: bigint[]): bigint[] {
  return numbers.map((number, i) => int64(number - (numbers[i - 1] ?? 0n)));
}

// --- registers

/** What a HyperLogLog of these registers is written as. */
export function sketchOf(precision: number, registers: number[]): SketchInit {
  const found = registers.flatMap((rank, index) => (rank > 0 ? [{ index, rank }] : []));
  if (found.length === 0) return { precision };
  if (found.length <= registers.length / 4)
    return { precision, pairs: found.map(({ index, rank }, i) => (index - (found[i - 1]?.index ?? 0)) * 64 + rank) };
  // The lowest bit of the first register comes first.
  const bits = registers.map(rank => [...rank.toString(2).padStart(6, '0')].reverse().join('')).join('');
  const bytes = bits.match(/.{8}/g)!.map(byte => Number.parseInt([...byte].reverse().join(''), 2));
  return { precision, registers: Uint8Array.from(bytes) };
}

/** @throws Refused where either is not canonical */
export function mergeSketch(a: SketchInit, b: SketchInit): SketchInit {
  const [x, y] = [registersOf(a), registersOf(b)];
  if (x.length !== y.length) return x.length > y.length ? a : b;
  return sketchOf(
    given(a.precision),
    x.map((rank, i) => Math.max(rank, y[i]!)),
  );
}

function registersOf({ precision, pairs, registers }: SketchInit): number[] {
  if (precision === undefined || precision < 4 || precision > 16) return refuse('precision');
  const all = new Array<number>(2 ** precision).fill(0);
  let index = 0;
  for (const [i, pair] of (pairs ?? []).entries()) {
    if (i > 0 && pair < 64) return refuse('a register twice');
    index += Math.floor(pair / 64);
    if (pair % 64 === 0 || index >= all.length) return refuse('a register');
    all[index] = pair % 64;
  }
  if (registers) {
    if (registers.length !== (all.length * 6) / 8) return refuse('size');
    const bits = Array.from(registers, byte => [...byte.toString(2).padStart(8, '0')].reverse().join('')).join('');
    for (let i = 0; i < all.length; i++)
      all[i] = Number.parseInt([...bits.slice(i * 6, i * 6 + 6)].reverse().join(''), 2);
  }
  return all.some(rank => rank > 65 - precision) ? refuse('a rank') : all;
}
