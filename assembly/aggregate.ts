/**
 * The algebra of aggregates: empty, update, merge, finish, encode, decode. One state has two forms: unpacked, of a
 * fixed size in memory, where it is computed with; and encoded, as the FeatureValue of proto/tilefold/v1/row.proto,
 * where it rests and travels. An aggregate's case is the number of its field in FeatureValue's oneof, so encoded
 * bytes say how they merge.
 *
 *   case   unpacked
 *   COUNT  count i64
 *   SUM    low u64, high i64                 one signed 128-bit number
 *   MEAN   low u64, high i64, count i64
 *   MIN    seen i64 (0, INTEGER or REAL), value i64 or f64
 *   MAX    seen i64 (0, INTEGER or REAL), value i64 or f64
 *   REAL_SUM, REAL_MEAN   an exact sum, see exact.ts; the mean's count is in it
 *   FIRST, LAST   seen i64 (0, INTEGER, REAL or TEXT), time i64, position i64, value: i64, f64 or (address u32, length u32)
 *   LAST_N        how many values are kept, and the latest of them, which stand beside it: see last_n.ts
 *   MOMENTS       two exact sums: see moments.ts
 *   COUNTS        how many values are counted, and these, which stand beside it: see counts.ts
 *   DECAYED       an exact sum, and what its values have lost: see decayed.ts
 *   FIRST_N to ARG_MIN   values in an order, at most so many: see ranking.ts
 *   HYPERLOGLOG        registers of distinct values: see sketch.ts
 *   VECTOR_MEAN   as many exact sums as a list is long: see vector.ts
 *
 * Text in a state is only pointed at: it stands where it was read from (the input, or a row), and has to stay there for as
 * long as the state is used.
 *
 * The encoding is canonical: one state has one spelling. `decode` accepts that spelling alone.
 */
import {
  EXACT_CLEAR,
  EXACT_ENCODED_MAX,
  EXACT_OVERFLOW,
  EXACT_SIZE,
  addDouble,
  addExact,
  decodeExact,
  encodeExact,
  finishMean,
  finishSum,
  negateExact,
} from './exact';
import {
  COUNTS_CLEAR,
  COUNTS_SIZE,
  addCount,
  countsSizeMax,
  decodeCounts,
  encodeCounts,
  isCountsOf,
  mergeCounts,
  startCounts,
} from './counts';
import { DECAYED_CLEAR, DECAYED_SIZE, addDecayed, mergeDecayed, startDecayed } from './decayed';
import { FINISHED, FINISHED_NULL, FINISHED_OVERFLOW } from './finish';
import { INTEGER, REAL, TEXT, canonicalNaN, orderOf } from './kind';
import {
  RECENT_CLEAR,
  RECENT_SIZE,
  addRecent,
  decodeRecent,
  encodeRecent,
  isRecentOf,
  joinRecent,
  mergeRecent,
  recentSizeMax,
  startRecent,
} from './last_n';
import {
  MOMENTS_CLEAR,
  MOMENTS_ENCODED_MAX,
  MOMENTS_SIZE,
  addMoments,
  decodeMoments,
  encodeMoments,
  mergeMoments,
} from './moments';
import {
  ARG_MAX,
  ARG_MIN,
  FIRST_N,
  GREATEST,
  LAST_DISTINCT,
  LEAST,
  LIST,
  RANKING_CLEAR,
  RANKING_SIZE,
  SET,
  addRanked,
  decodeRanked,
  encodeRanked,
  isRankedOf,
  isRanking,
  mergeRanked,
  rankedSizeMax,
  startRanking,
} from './ranking';
import {
  HYPERLOGLOG,
  HYPERLOGLOG_CLEAR,
  HYPERLOGLOG_SIZE,
  addHashed,
  decodeSketch,
  encodeSketch,
  estimateSketch,
  mergeSketch,
  sketchSizeMax,
  startSketch,
} from './hyperloglog';
import { isWellFormed } from './utf8';
import { readVarint, varintNext, varintOk, varintSize, writeVarint, zigzag, unzigzag } from './varint';
import {
  VECTOR_CLEAR,
  VECTOR_MEAN,
  VECTOR_SIZE,
  addVector,
  decodeVector,
  encodeVector,
  mergeVector,
  startVector,
  vectorSizeMax,
} from './vector';

export { COUNTS_MAX } from './counts';
export { HALF_LIVES_KEPT } from './decayed';
export { PRECISION_MAX, PRECISION_MIN } from './hyperloglog';
export { VECTOR_MAX } from './vector';

export const COUNT: i32 = 1;
export const SUM: i32 = 2;
export const MEAN: i32 = 3;
export const MIN: i32 = 4;
export const MAX: i32 = 5;
export const REAL_SUM: i32 = 6;
export const REAL_MEAN: i32 = 7;
export const FIRST: i32 = 8;
export const LAST: i32 = 9;
export const LAST_N: i32 = 10;
export const MOMENTS: i32 = 11;
export const COUNTS: i32 = 12;
export const DECAYED: i32 = 13;

/** Room for any unpacked state: two exact sums. */
export const STATE_SIZE_MAX: usize = 1216;

/** Room for an encoded FeatureValue: a mean's tags, lengths and count around an exact sum; a moment's around its text. */
export function encodedSizeMax(aggregateCase: i32, state: usize): usize {
  if (aggregateCase == LAST_N) return recentSizeMax(state);
  if (aggregateCase == COUNTS) return countsSizeMax(state);
  if (aggregateCase == MOMENTS) return MOMENTS_ENCODED_MAX;
  if (isRanking(aggregateCase)) return rankedSizeMax(state);
  if (aggregateCase == HYPERLOGLOG) return sketchSizeMax(state);
  if (aggregateCase == VECTOR_MEAN) return vectorSizeMax(state);
  const isText = (aggregateCase == FIRST || aggregateCase == LAST) && load<i64>(state) == TEXT;
  return EXACT_ENCODED_MAX + 64 + (isText ? <usize>load<u32>(state, 28) : 0);
}

export function isKnownCase(aggregateCase: i32): bool {
  return (aggregateCase >= COUNT && aggregateCase <= DECAYED) || (aggregateCase >= FIRST_N && aggregateCase <= VECTOR_MEAN);
}

/** How much of a state has to be zero for it to be empty. */
export function clearSize(aggregateCase: i32): usize {
  if (aggregateCase == LAST_N) return RECENT_CLEAR;
  if (aggregateCase == MOMENTS) return MOMENTS_CLEAR;
  if (aggregateCase == COUNTS) return COUNTS_CLEAR;
  if (aggregateCase == DECAYED) return DECAYED_CLEAR;
  if (isRanking(aggregateCase)) return RANKING_CLEAR;
  if (aggregateCase == HYPERLOGLOG) return HYPERLOGLOG_CLEAR;
  if (aggregateCase == VECTOR_MEAN) return VECTOR_CLEAR;
  return aggregateCase == REAL_SUM || aggregateCase == REAL_MEAN ? EXACT_CLEAR : stateSize(aggregateCase);
}

export function stateSize(aggregateCase: i32): usize {
  switch (aggregateCase) {
    case COUNT:
      return 8;
    case MEAN:
      return 24;
    case REAL_SUM:
    case REAL_MEAN:
      return EXACT_SIZE;
    case FIRST:
    case LAST:
      return 32;
    case LAST_N:
      return RECENT_SIZE;
    case MOMENTS:
      return MOMENTS_SIZE;
    case COUNTS:
      return COUNTS_SIZE;
    case DECAYED:
      return DECAYED_SIZE;
    case HYPERLOGLOG:
      return HYPERLOGLOG_SIZE;
    case VECTOR_MEAN:
      return VECTOR_SIZE;
    default:
      return isRanking(aggregateCase) ? RANKING_SIZE : 16;
  }
}

/** Do its states have to be told something before they are updated: by `start`? */
export function hasStart(aggregateCase: i32): bool {
  if (aggregateCase == LAST_N || aggregateCase == COUNTS || aggregateCase == DECAYED) return true;
  return isRanking(aggregateCase) || aggregateCase == HYPERLOGLOG || aggregateCase == VECTOR_MEAN;
}

/** Makes a state that is clear ready for the events of a tile. `limit`: of values, a precision, a length, or a half-life in milliseconds. */
export function start(aggregateCase: i32, state: usize, limit: i64, tileStartMs: i64): void {
  if (aggregateCase == LAST_N) startRecent(state, <u32>limit);
  else if (aggregateCase == COUNTS) startCounts(state, <u32>limit);
  else if (isRanking(aggregateCase)) startRanking(state, <u32>limit);
  else if (aggregateCase == HYPERLOGLOG) startSketch(state, <u32>limit);
  else if (aggregateCase == VECTOR_MEAN) startVector(state, <u32>limit);
  else startDecayed(state, limit, tileStartMs);
}

/** When the event was whose values are counted next. */
let momentTime: i64 = 0;
let momentPosition: i64 = 0;
/** And where its values stand: what it is ranked by is among them. */
let momentEvent: usize = 0;

@inline
export function setMoment(timeMicros: i64, position: i64, event: usize): void {
  momentTime = timeMicros;
  momentPosition = position;
  momentEvent = event;
}

/** Counts one value that is not null (any value for an argumentless count), `weight` times. `kind`: INTEGER, REAL or TEXT. */
@inline
export function update(aggregateCase: i32, kind: i32, state: usize, value: i64, weight: i64): void {
  switch (aggregateCase) {
    case COUNT:
      store<i64>(state, load<i64>(state) + weight);
      return;
    case SUM:
      addWeighted(state, value, weight);
      return;
    case MEAN:
      addWeighted(state, value, weight);
      store<i64>(state, load<i64>(state, 16) + weight, 16);
      return;
    case MIN:
      if (load<i64>(state) == 0 || isBelow(kind, value, load<i64>(state, 8))) setExtreme(kind, state, value);
      return;
    case MAX:
      if (load<i64>(state) == 0 || isBelow(kind, load<i64>(state, 8), value)) setExtreme(kind, state, value);
      return;
    case REAL_SUM:
      addDouble(state, reinterpret<f64>(value), weight);
      return;
    case REAL_MEAN:
      addDouble(state, reinterpret<f64>(value), weight);
      store<i64>(state, load<i64>(state, COUNT_AT) + weight, COUNT_AT);
      return;
    case FIRST:
    case LAST:
      if (winsMoment(aggregateCase, momentTime, momentPosition, state))
        storeMoment(state, kind, momentTime, momentPosition, value);
      return;
    case LAST_N:
      addRecent(state, kind, momentTime, momentPosition, value);
      return;
    case MOMENTS:
      addMoments(state, kind, value, weight);
      return;
    case COUNTS:
      addCount(state, kind, value, weight);
      return;
    case DECAYED:
      addDecayed(state, kind == REAL ? reinterpret<f64>(value) : <f64>value, momentTime, weight);
      return;
    case FIRST_N:
    case LAST_DISTINCT:
    case LIST:
    case GREATEST:
    case LEAST:
    case SET:
    case ARG_MAX:
    case ARG_MIN:
      addRanked(aggregateCase, state, kind, momentTime, momentPosition, momentEvent, value);
      return;
    case HYPERLOGLOG:
      addHashed(state, kind, value);
      return;
    case VECTOR_MEAN:
      addVector(state, value, weight);
      return;
    default:
      abort('update of an unknown aggregate');
  }
}

/** Merges `from` into `into`; only `into` changes. */
@inline
export function merge(aggregateCase: i32, into: usize, from: usize): void {
  switch (aggregateCase) {
    case COUNT:
      store<i64>(into, load<i64>(into) + load<i64>(from));
      return;
    case SUM:
      add128(into, load<u64>(from), load<i64>(from, 8));
      return;
    case MEAN:
      add128(into, load<u64>(from), load<i64>(from, 8));
      store<i64>(into, load<i64>(into, 16) + load<i64>(from, 16), 16);
      return;
    case MIN:
    case MAX: {
      const kind = <i32>load<i64>(from);
      if (kind != 0) update(aggregateCase, kind, into, load<i64>(from, 8), 1);
      return;
    }
    case REAL_SUM:
    case REAL_MEAN:
      addExact(into, from);
      return;
    case FIRST:
    case LAST:
      if (load<i64>(from) != 0 && winsMoment(aggregateCase, load<i64>(from, 8), load<i64>(from, 16), into))
        memory.copy(into, from, 32);
      return;
    case LAST_N:
      mergeRecent(into, from);
      return;
    case MOMENTS:
      mergeMoments(into, from);
      return;
    case COUNTS:
      mergeCounts(into, from);
      return;
    case DECAYED:
      mergeDecayed(into, from);
      return;
    case FIRST_N:
    case LAST_DISTINCT:
    case LIST:
    case GREATEST:
    case LEAST:
    case SET:
    case ARG_MAX:
    case ARG_MIN:
      mergeRanked(aggregateCase, into, from);
      return;
    case HYPERLOGLOG:
      mergeSketch(into, from);
      return;
    case VECTOR_MEAN:
      mergeVector(into, from);
      return;
    default:
      abort('merge of an unknown aggregate');
  }
}

/** States that `negate` knows: what is merged in is taken away by merging its opposite, and nothing of it is left. */
export function isGroup(aggregateCase: i32): bool {
  switch (aggregateCase) {
    case COUNT:
    case SUM:
    case MEAN:
    case REAL_SUM:
    case REAL_MEAN:
    case MOMENTS:
      return true;
    default:
      return false;
  }
}

/** Makes a state its opposite. */
export function negate(aggregateCase: i32, state: usize): void {
  assert(isGroup(aggregateCase));
  switch (aggregateCase) {
    case COUNT:
      store<i64>(state, -load<i64>(state));
      return;
    case SUM:
      negate128(state);
      return;
    case MEAN:
      negate128(state);
      store<i64>(state, -load<i64>(state, 16), 16);
      return;
    case MOMENTS:
      negateExact(state);
      negateExact(state + EXACT_SIZE);
      return;
    default:
      negateExact(state);
  }
}

@inline
function negate128(state: usize): void {
  const low = ~load<u64>(state) + 1;
  store<u64>(state, low);
  store<i64>(state, ~load<i64>(state, 8) + <i64>(low == 0), 8);
}

@inline
function winsMoment(aggregateCase: i32, time: i64, position: i64, state: usize): bool {
  if (load<i64>(state) == 0) return true;
  const other = load<i64>(state, 8);
  if (time != other) return aggregateCase == FIRST ? time < other : time > other;
  return aggregateCase == FIRST ? position < load<i64>(state, 16) : position > load<i64>(state, 16);
}

@inline
function storeMoment(state: usize, kind: i32, time: i64, position: i64, value: i64): void {
  store<i64>(state, <i64>kind);
  store<i64>(state, time, 8);
  store<i64>(state, position, 16);
  store<i64>(state, kind == REAL ? canonicalNaN(value) : value, 24);
}

/** Where an exact sum keeps the count of a mean. */
export const COUNT_AT: usize = 24;

@inline
function setExtreme(kind: i32, state: usize, value: i64): void {
  store<i64>(state, <i64>kind);
  store<i64>(state, kind == REAL ? canonicalNaN(value) : value, 8);
}

@inline
function isBelow(kind: i32, x: i64, y: i64): bool {
  return kind == REAL ? orderOf(x) < orderOf(y) : x < y;
}

@inline
function addWeighted(state: usize, value: i64, weight: i64): void {
  if (weight == 1) add128(state, <u64>value, value >> 63);
  else if (value == i64.MIN_VALUE) add128(state, <u64>value, 0); // its negation is 2^63
  else add128(state, <u64>(-value), (-value) >> 63);
}

@inline
export function add128(state: usize, low: u64, high: i64): void {
  const sum = load<u64>(state) + low;
  const carry = <i64>(sum < low);
  store<u64>(state, sum);
  store<i64>(state, load<i64>(state, 8) + high + carry, 8);
}

/**
 * Writes the 8 bytes of the value (int64, double or text) to `out`, or says why there is none. What is shared by functions,
 * and lists, are finished where they are.
 */
export function finish(aggregateCase: i32, state: usize, out: usize): i32 {
  switch (aggregateCase) {
    case COUNT:
      store<i64>(out, load<i64>(state));
      return FINISHED;
    case SUM:
      if (!isNarrow(state)) return FINISHED_OVERFLOW;
      store<i64>(out, load<i64>(state));
      return FINISHED;
    case MEAN:
      if (load<i64>(state, 16) == 0) return FINISHED_NULL;
      store<f64>(out, quotient(load<u64>(state), load<i64>(state, 8), load<i64>(state, 16)));
      return FINISHED;
    case MIN:
    case MAX:
      if (load<i64>(state) == 0) return FINISHED_NULL;
      store<i64>(out, load<i64>(state, 8));
      return FINISHED;
    case FIRST:
    case LAST:
      if (load<i64>(state) == 0) return FINISHED_NULL;
      store<i64>(out, load<i64>(state, 24));
      return FINISHED;
    case REAL_SUM:
      return finishSum(state, out) == EXACT_OVERFLOW ? FINISHED_OVERFLOW : FINISHED;
    case REAL_MEAN: {
      const count = load<i64>(state, COUNT_AT);
      if (count == 0) return FINISHED_NULL;
      return finishMean(state, count, out) == EXACT_OVERFLOW ? FINISHED_OVERFLOW : FINISHED;
    }
    case HYPERLOGLOG:
      store<i64>(out, estimateSketch(state));
      return FINISHED;
    default:
      abort('finish of an unknown aggregate');
      return FINISHED_NULL;
  }
}

@inline
export function isNarrow(state: usize): bool {
  return load<i64>(state, 8) == load<i64>(state) >> 63;
}

/** Integers up to here are doubles without rounding. */
const EXACT_MAX: u64 = 1 << 53;

/**
 * The exact quotient of a 128-bit number and a count, rounded once (to nearest, ties to even).
 *
 * Long division, bit by bit from the top: 55 significant bits of the quotient, then one more that says whether
 * anything was left over. 56 bits converted to a double round as the exact value would.
 */
export function quotient(low: u64, high: i64, divisor: i64): f64 {
  const negative = high < 0 != divisor < 0;
  if (high < 0) {
    low = ~low + 1;
    high = ~high + (low == 0 ? 1 : 0);
  }
  const top = <u64>high;
  const by: u64 = divisor < 0 ? <u64>0 - <u64>divisor : <u64>divisor;
  if (top == 0 && low <= EXACT_MAX && by <= EXACT_MAX) {
    const exact = <f64>low / <f64>by;
    return negative && low != 0 ? -exact : exact;
  }
  if (low == 0 && top == 0) return 0;
  let remainder: u64 = 0;
  let bits: u64 = 0;
  let bitCount = 0;
  let exponent = 0;
  let rest = false;
  for (let position: i32 = 127; ; position--) {
    const bit: u64 = position >= 64 ? (top >> (position - 64)) & 1 : position >= 0 ? (low >> position) & 1 : 0;
    // The divisor is below 2^63 or is 2^63 itself, so the remainder doubles within 64 bits.
    remainder = (remainder << 1) | bit;
    const digit: u64 = remainder >= by ? 1 : 0;
    if (digit) remainder -= by;
    if (bitCount < 55) {
      bits = (bits << 1) | digit;
      if (bits != 0) bitCount++;
      exponent = position;
    } else {
      rest = rest || digit != 0;
    }
    if (bitCount == 55 && position <= 0) break;
  }
  bits = (bits << 1) | (rest || remainder != 0 ? 1 : 0);
  const magnitude = scale(<f64>bits, exponent - 1);
  return negative ? -magnitude : magnitude;
}

/** value * 2^exponent, exact for the exponents that occur here (-200 to 200). */
@inline
function scale(value: f64, exponent: i32): f64 {
  return value * reinterpret<f64>((<u64>(exponent + 1023)) << 52);
}

// Field tags, as row.proto gives them: (number << 3) | wire type.
export const TAG_COUNT: u8 = 0x08;
export const TAG_SUM: u8 = 0x12;
export const TAG_MEAN: u8 = 0x1a;
export const TAG_MIN: u8 = 0x22;
export const TAG_MAX: u8 = 0x2a;
export const TAG_NARROW: u8 = 0x08;
const TAG_LOW: u8 = 0x11;
const TAG_HIGH: u8 = 0x19;
export const TAG_MEAN_SUM: u8 = 0x0a;
export const TAG_MEAN_COUNT: u8 = 0x10;
export const TAG_INTEGER: u8 = 0x08;
const TAG_REAL: u8 = 0x11;
export const TAG_REAL_SUM: u8 = 0x32;
export const TAG_REAL_MEAN: u8 = 0x3a;
const TAG_FIRST: u8 = 0x42;
const TAG_LAST: u8 = 0x4a;
const TAG_DECAYED: u8 = 0x6a;
const TAG_MOMENT_TIME: u8 = 0x08;
const TAG_MOMENT_POSITION: u8 = 0x10;
const TAG_MOMENT_INTEGER: u8 = 0x18;
const TAG_MOMENT_REAL: u8 = 0x21;
const TAG_MOMENT_TEXT: u8 = 0x2a;

/** What the FeatureValues of a case begin with: one byte, or two (the lower one first) from field 16 on. */
@inline
export function tagOf(aggregateCase: i32): u32 {
  const tag = <u32>(aggregateCase << 3) | (aggregateCase == COUNT ? 0 : 2);
  return tag < 0x80 ? tag : (tag & 0x7f) | 0x80 | ((tag >> 7) << 8);
}

@inline
export function tagSize(aggregateCase: i32): usize {
  return aggregateCase < 16 ? 1 : 2;
}

/** Writes a FeatureValue and returns its size. `out` has room for `encodedSizeMax` bytes. */
export function encode(aggregateCase: i32, state: usize, out: usize): usize {
  switch (aggregateCase) {
    case COUNT:
      store<u8>(out, TAG_COUNT);
      return 1 + writeVarint(out + 1, zigzag(load<i64>(state)));
    case SUM: {
      const size = encode128(state, out + 2);
      store<u8>(out, TAG_SUM);
      store<u8>(out, <u8>size, 1);
      return 2 + size;
    }
    case MEAN: {
      const sumSize = encode128(state, out + 4);
      store<u8>(out, TAG_MEAN_SUM, 2);
      store<u8>(out, <u8>sumSize, 3);
      let end = out + 4 + sumSize;
      store<u8>(end, TAG_MEAN_COUNT);
      end += 1 + writeVarint(end + 1, zigzag(load<i64>(state, 16)));
      store<u8>(out, TAG_MEAN);
      store<u8>(out, <u8>(end - out - 2), 1);
      return end - out;
    }
    case REAL_SUM:
      return encodeNested(TAG_REAL_SUM, out, encodeExact(state, nested));
    case REAL_MEAN: {
      const sumSize = encodeExact(state, nested + NESTED_HEAD);
      // The sum's own head goes right in front of it.
      const headSize: usize = 1 + varintSize(<u64>sumSize);
      const head = nested + NESTED_HEAD - headSize;
      store<u8>(head, TAG_MEAN_SUM);
      writeVarint(head + 1, <u64>sumSize);
      let end = head + headSize + sumSize;
      store<u8>(end, TAG_MEAN_COUNT);
      end += 1 + writeVarint(end + 1, zigzag(load<i64>(state, COUNT_AT)));
      memory.copy(nested, head, end - head);
      return encodeNested(TAG_REAL_MEAN, out, end - head);
    }
    case FIRST:
    case LAST: {
      const size = momentSize(state);
      store<u8>(out, aggregateCase == FIRST ? TAG_FIRST : TAG_LAST);
      const head: usize = 1 + writeVarint(out + 1, <u64>size);
      encodeMoment(state, out + head);
      return head + size;
    }
    case LAST_N:
      return closeBody(LAST_N, out, encodeRecent(state, out + NESTED_HEAD));
    case MOMENTS:
      return closeBody(MOMENTS, out, encodeMoments(state, out + NESTED_HEAD));
    case COUNTS:
      return closeBody(COUNTS, out, encodeCounts(state, out + NESTED_HEAD));
    case DECAYED:
      return encodeNested(TAG_DECAYED, out, encodeExact(state, nested));
    case HYPERLOGLOG:
      return closeBody(HYPERLOGLOG, out, encodeSketch(state, out + NESTED_HEAD));
    case VECTOR_MEAN:
      return closeBody(VECTOR_MEAN, out, encodeVector(state, out + NESTED_HEAD));
    default: {
      if (isRanking(aggregateCase))
        return closeBody(aggregateCase, out, encodeRanked(aggregateCase, state, out + NESTED_HEAD));
      assert(aggregateCase == MIN || aggregateCase == MAX);
      store<u8>(out, aggregateCase == MIN ? TAG_MIN : TAG_MAX);
      if (load<i64>(state) == 0) {
        store<u8>(out, 0, 1);
        return 2;
      }
      if (load<i64>(state) == REAL) {
        store<u8>(out, 9, 1);
        store<u8>(out, TAG_REAL, 2);
        store<i64>(out, load<i64>(state, 8), 3);
        return 11;
      }
      store<u8>(out, TAG_INTEGER, 2);
      const size: usize = 1 + writeVarint(out + 3, zigzag(load<i64>(state, 8)));
      store<u8>(out, <u8>size, 1);
      return 2 + size;
    }
  }
}

/** Puts tag and length in front of a message that was written behind room for them, up to `end`. Returns the size of all. */
function closeBody(aggregateCase: i32, out: usize, end: usize): usize {
  const body = out + NESTED_HEAD;
  store<u16>(out, <u16>tagOf(aggregateCase));
  const tag = tagSize(aggregateCase);
  const head = tag + writeVarint(out + tag, <u64>(end - body));
  memory.copy(out + head, body, end - body);
  return head + (end - body);
}

function momentSize(state: usize): usize {
  const kind = load<i64>(state);
  if (kind == 0) return 0;
  const length = <usize>load<u32>(state, 28);
  const value: usize =
    kind == INTEGER
      ? 1 + varintSize(zigzag(load<i64>(state, 24)))
      : kind == REAL
        ? 9
        : 1 + varintSize(<u64>length) + length;
  return 2 + varintSize(zigzag(load<i64>(state, 8))) + varintSize(load<u64>(state, 16)) + value;
}

function encodeMoment(state: usize, out: usize): void {
  const kind = load<i64>(state);
  if (kind == 0) return;
  let at = out;
  store<u8>(at++, TAG_MOMENT_TIME);
  at += writeVarint(at, zigzag(load<i64>(state, 8)));
  store<u8>(at++, TAG_MOMENT_POSITION);
  at += writeVarint(at, load<u64>(state, 16));
  if (kind == INTEGER) {
    store<u8>(at++, TAG_MOMENT_INTEGER);
    writeVarint(at, zigzag(load<i64>(state, 24)));
  } else if (kind == REAL) {
    store<u8>(at++, TAG_MOMENT_REAL);
    store<i64>(at, load<i64>(state, 24));
  } else {
    const length = <usize>load<u32>(state, 28);
    store<u8>(at++, TAG_MOMENT_TEXT);
    at += writeVarint(at, <u64>length);
    memory.copy(at, <usize>load<u32>(state, 24), length);
  }
}

/** Room for the head of a message whose size shows with its end. */
const NESTED_HEAD: usize = 16;
/** An exact sum on its way to its place. */
const nested: usize = memory.data(512, 8);

function encodeNested(tag: u8, out: usize, size: usize): usize {
  store<u8>(out, tag);
  const head: usize = 1 + writeVarint(out + 1, <u64>size);
  memory.copy(out + head, nested, size);
  return head + size;
}

function encode128(state: usize, out: usize): usize {
  if (isNarrow(state)) {
    store<u8>(out, TAG_NARROW);
    return 1 + writeVarint(out + 1, zigzag(load<i64>(state)));
  }
  store<u8>(out, TAG_LOW);
  store<u64>(out, load<u64>(state), 1);
  store<u8>(out, TAG_HIGH, 9);
  store<u64>(out, load<u64>(state, 8), 10);
  return 18;
}

/** The case of an encoded FeatureValue, or 0 where the bytes begin with none that is known. */
@inline
export function caseOf(from: usize, end: usize): i32 {
  if (from >= end) return 0;
  const tag = load<u8>(from);
  if (tag >= 0x80) return longCaseOf(from, end);
  const wire = tag & 7;
  const field = <i32>(tag >> 3);
  if (!isKnownCase(field) || wire != (field == COUNT ? 0 : 2)) return 0;
  return field;
}

/** Of a tag of two bytes; no case has a longer one. */
function longCaseOf(from: usize, end: usize): i32 {
  if (end - from < 2) return 0;
  const field = <i32>load<u8>(from, 1) << 4 | <i32>((load<u8>(from) & 0x7f) >> 3);
  const tag = <u32>load<u16>(from);
  return isKnownCase(field) && tagSize(field) == 2 && tagOf(field) == tag ? field : 0;
}

/** Unpacks the FeatureValue in [from, end) into `state`; false where the bytes are not its one canonical spelling. */
export function decode(aggregateCase: i32, from: usize, end: usize, state: usize): bool {
  if (aggregateCase == COUNT) {
    store<i64>(state, unzigzag(readVarint(from + 1, end)));
    return varintOk && varintNext == end;
  }
  const length = readVarint(from + tagSize(aggregateCase), end);
  if (!varintOk || length != <u64>(end - varintNext)) return false;
  const body = varintNext;
  switch (aggregateCase) {
    case SUM:
      return decode128(body, end, state);
    case MEAN: {
      if (end - body < 2 || load<u8>(body) != TAG_MEAN_SUM) return false;
      const sumEnd = body + 2 + <usize>load<u8>(body, 1);
      if (sumEnd >= end || !decode128(body + 2, sumEnd, state)) return false;
      if (load<u8>(sumEnd) != TAG_MEAN_COUNT) return false;
      store<i64>(state, unzigzag(readVarint(sumEnd + 1, end)), 16);
      return varintOk && varintNext == end;
    }
    case MIN:
    case MAX:
      if (body == end) {
        store<i64>(state, 0);
        store<i64>(state, 0, 8);
        return true;
      }
      if (load<u8>(body) == TAG_REAL) {
        if (end - body != 9) return false;
        store<i64>(state, REAL);
        store<i64>(state, load<i64>(body, 1), 8);
        return canonicalNaN(load<i64>(body, 1)) == load<i64>(body, 1);
      }
      if (load<u8>(body) != TAG_INTEGER) return false;
      store<i64>(state, INTEGER);
      store<i64>(state, unzigzag(readVarint(body + 1, end)), 8);
      return varintOk && varintNext == end;
    case FIRST:
    case LAST:
      return decodeMoment(body, end, state);
    case LAST_N:
      return decodeRecent(body, end, state);
    case MOMENTS:
      return decodeMoments(body, end, state);
    case COUNTS:
      return decodeCounts(body, end, state);
    case HYPERLOGLOG:
      return decodeSketch(body, end, state);
    case VECTOR_MEAN:
      return decodeVector(body, end, state);
    case DECAYED:
    case REAL_SUM:
      return decodeExact(body, end, state);
    case REAL_MEAN: {
      if (body >= end || load<u8>(body) != TAG_MEAN_SUM) return false;
      const sumLength = readVarint(body + 1, end);
      if (!varintOk || sumLength >= <u64>(end - varintNext)) return false;
      const sum = varintNext;
      const sumEnd = sum + <usize>sumLength;
      if (load<u8>(sumEnd) != TAG_MEAN_COUNT || !decodeExact(sum, sumEnd, state)) return false;
      store<i64>(state, unzigzag(readVarint(sumEnd + 1, end)), COUNT_AT);
      return varintOk && varintNext == end;
    }
    default:
      return isRanking(aggregateCase) && decodeRanked(aggregateCase, body, end, state);
  }
}

/**
 * Writes the merge of two FeatureValues of LAST_N, [leftFrom, leftEnd) and [rightFrom, rightEnd), out of their bytes, and returns
 * its size; 0 where it has to be made of their states, `left` and `right`, that they have been decoded to. `out` has room for
 * what both take, and `JOIN_ROOM` more.
 */
export function joinLatest(
  left: usize,
  leftFrom: usize,
  leftEnd: usize,
  right: usize,
  rightFrom: usize,
  rightEnd: usize,
  out: usize,
): usize {
  const leftBody = bodyOf(leftFrom, leftEnd);
  const rightBody = bodyOf(rightFrom, rightEnd);
  const end = joinRecent(left, leftBody, leftEnd, right, rightBody, rightEnd, out + NESTED_HEAD);
  return end == 0 ? 0 : closeBody(LAST_N, out, end);
}

/** Beyond what both values take: heads at their longest, and numbers that are written whole. */
export const JOIN_ROOM: usize = 128;

@inline
function bodyOf(from: usize, end: usize): usize {
  readVarint(from + tagSize(LAST_N), end);
  return varintNext;
}

/**
 * Are the values that a decoded state holds of this kind, and its texts text? Its bytes alone do not say whose values they are:
 * merging needs no answer, but who reads a value takes its 8 bytes for a number, or for an address.
 */
export function isStateOf(aggregateCase: i32, state: usize, kind: i32): bool {
  switch (aggregateCase) {
    case MIN:
    case MAX:
      return load<i64>(state) == 0 || load<i64>(state) == <i64>kind;
    case FIRST:
    case LAST:
      if (load<i64>(state) == 0) return true;
      if (load<i64>(state) != <i64>kind) return false;
      return kind != TEXT || isWellFormed(<usize>load<u32>(state, 24), <usize>load<u32>(state, 28));
    case LAST_N:
      return isRecentOf(state, kind);
    case COUNTS:
      return isCountsOf(state, kind);
    default:
      return !isRanking(aggregateCase) || isRankedOf(state, kind);
  }
}

function decodeMoment(from: usize, end: usize, state: usize): bool {
  memory.fill(state, 0, 32);
  if (from == end) return true;
  if (load<u8>(from) != TAG_MOMENT_TIME) return false;
  const time = unzigzag(readVarint(from + 1, end));
  if (!varintOk || varintNext >= end || load<u8>(varintNext) != TAG_MOMENT_POSITION) return false;
  const position = <i64>readVarint(varintNext + 1, end);
  if (!varintOk || varintNext >= end) return false;
  const tag = load<u8>(varintNext);
  const at = varintNext + 1;
  if (tag == TAG_MOMENT_INTEGER) {
    storeMoment(state, INTEGER, time, position, unzigzag(readVarint(at, end)));
    return varintOk && varintNext == end;
  }
  if (tag == TAG_MOMENT_REAL) {
    if (end - at != 8) return false;
    storeMoment(state, REAL, time, position, load<i64>(at));
    return canonicalNaN(load<i64>(at)) == load<i64>(at);
  }
  if (tag != TAG_MOMENT_TEXT) return false;
  const length = readVarint(at, end);
  if (!varintOk || length != <u64>(end - varintNext)) return false;
  storeMoment(state, TEXT, time, position, <i64>(<u64>varintNext | (length << 32)));
  return true;
}

function decode128(from: usize, end: usize, state: usize): bool {
  if (from >= end) return false;
  if (load<u8>(from) == TAG_NARROW) {
    const value = unzigzag(readVarint(from + 1, end));
    store<i64>(state, value);
    store<i64>(state, value >> 63, 8);
    return varintOk && varintNext == end;
  }
  if (end - from != 18 || load<u8>(from) != TAG_LOW || load<u8>(from, 9) != TAG_HIGH) return false;
  store<u64>(state, load<u64>(from, 1));
  store<u64>(state, load<u64>(from, 10), 8);
  return !isNarrow(state);
}

/** Bytes of an entry's id field: tag and varint. */
@inline
export function idSize(id: i32): usize {
  return 1 + varintSize(<u64>id);
}
