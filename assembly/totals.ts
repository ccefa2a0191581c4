/**
 * Counts, sums and averages of integers over windows of steps that are in order of time: differences of running totals, which are made once
 * for a feed, and read at the edges of each window (edges.ts).
 *
 *      steps            s0  s1  s2  s3  s4
 *      totals         0   3   3   8   9  14      what the values before it come to
 *      window of s3         |----------|         9 - 3
 *
 * Totals run over the ends of keys, and around where they are too large: a difference is right as long as it is no larger than a value is.
 */
import { COUNT, MEAN, SUM, quotient } from './aggregate';
import { Edges, IS_WARMING, REFUSED } from './edges';
import { INTEGER } from './kind';
import { Bytes } from './memory';
import { Status } from './register';
import { FED, FED_NOT, Feed, NO_ROW, Strand } from './strand';
import { setFault, setNull, setStatus, valueAt } from './swept';

/** Of the feed at hand, one more than there are steps: how many before it count u32, how many have a value u32, and what those come to i64. */
const counted: Bytes = Bytes.make();
const known: Bytes = Bytes.make();
const sums: Bytes = Bytes.make();
let feedAtHand: usize = 0;
/** Sums of any window are values. */
let isNarrow: bool = false;
/** Every step counts, and has a value: how many come before it is its own number. */
let isAll: bool = false;

/** Are values made of totals? Then those of the feed are at hand. */
export function useTotals(strand: Strand, feed: Feed, isCounted: bool, aggregateCase: i32, kind: i32): bool {
  if (!isCounted && aggregateCase != COUNT && (kind != INTEGER || (aggregateCase != SUM && aggregateCase != MEAN))) return false;
  if (feedAtHand != changetype<usize>(feed)) total(strand, feed);
  return isCounted || aggregateCase == COUNT || isNarrow;
}

/** Steps have changed. */
export function forgetTotals(): void {
  feedAtHand = 0;
}

function total(strand: Strand, feed: Feed): void {
  feedAtHand = changetype<usize>(feed);
  isNarrow = false;
  isAll = feed.isAlways;
  if (isAll) return;
  const count = strand.stepCount;
  counted.setLength(<usize>(count + 1) << 2);
  known.setLength(<usize>(count + 1) << 2);
  let counts: u32 = 0;
  let values: u32 = 0;
  for (let step: usize = 0; step < <usize>count; step++) {
    store<u32>(counted.start + (step << 2), counts);
    store<u32>(known.start + (step << 2), values);
    const state = load<u8>(feed.states.start + step);
    counts += <u32>(state != FED_NOT);
    values += <u32>(state == FED);
  }
  store<u32>(counted.start + (<usize>count << 2), counts);
  store<u32>(known.start + (<usize>count << 2), values);
  if (feed.value >= 0 && !feed.isText) sum(strand, feed);
}

function sum(strand: Strand, feed: Feed): void {
  const count = <usize>strand.stepCount;
  sums.setLength((count + 1) << 3);
  let all: i64 = 0;
  let bits: u64 = 0;
  for (let step: usize = 0; step < count; step++) {
    store<i64>(sums.start + (step << 3), all);
    // What has no value has 0 there.
    const value = load<i64>(feed.values.start + (step << 3));
    all += value;
    bits |= <u64>(value ^ (value >> 63));
  }
  store<i64>(sums.start + (count << 3), all);
  isNarrow = (64 - <i32>clz(bits)) + (32 - <i32>clz(strand.longest)) < 63;
}

@inline
function numberBefore(numbers: Bytes, step: u32): i64 {
  return isAll ? <i64>step : <i64>load<u32>(numbers.start + (<usize>step << 2));
}

@inline
function between(numbers: Bytes, low: u32, high: u32): i64 {
  return numberBefore(numbers, high) - numberBefore(numbers, low);
}

@inline
function sumBetween(low: u32, high: u32): i64 {
  return load<i64>(sums.start + (<usize>high << 3)) - load<i64>(sums.start + (<usize>low << 3));
}

/**
 * Values of the steps [first, end) of a key.
 *
 * @param edges null for the lifetime
 */
export function putTotals(
  strand: Strand,
  edges: Edges | null,
  first: u32,
  end: u32,
  isCounted: bool,
  aggregateCase: i32,
): void {
  const lows: usize = edges ? edges.lows.start : 0;
  const highs: usize = edges && edges.highs.length > 0 ? edges.highs.start : 0;
  const past: u32 = strand.isExclusive ? 0 : 1;
  for (let step = first; step < end; step++) {
    const row = load<u32>(strand.rows.start + (<usize>step << 2));
    if (row == NO_ROW) continue;
    let low = lows == 0 ? first : load<u32>(lows + (<usize>step << 2));
    if (low == REFUSED) {
      setFault(row, Status.EXPIRED);
      continue;
    }
    const isWarming = (low & IS_WARMING) != 0;
    low &= ~IS_WARMING;
    const high = highs == 0 ? step + past : load<u32>(highs + (<usize>step << 2));
    const count = between(counted, low, high);
    put(row, low, high, count, isCounted, aggregateCase);
    if (count == 0) setStatus(row, Status.NOT_FOUND);
    else if (isWarming) setStatus(row, Status.WARMING);
  }
}

@inline
function put(row: u32, low: u32, high: u32, count: i64, isCounted: bool, aggregateCase: i32): void {
  const value = valueAt(row);
  if (isCounted) store<i64>(value, count);
  else if (aggregateCase == COUNT) store<i64>(value, between(known, low, high));
  else if (aggregateCase == SUM) store<i64>(value, sumBetween(low, high));
  else {
    const valued = between(known, low, high);
    if (valued == 0) return setNull(row);
    const all = sumBetween(low, high);
    store<f64>(value, quotient(<u64>all, all >> 63, valued));
  }
}
