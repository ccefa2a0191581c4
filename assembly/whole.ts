/**
 * States of integers, read and written in whole words: counts, and sums, means and extremes of int64, as long as each of
 * their numbers takes at most eight bytes; exact sums of doubles are written here too, where they are near (exact.ts). Nearly
 * all entries of nearly all rows are such; `decode` and `encode` of
 * aggregate.ts take what these refuse, and say the same of what both can do.
 *
 *   COUNT      08 n
 *   SUM        12 size | 08 n          MIN and MAX with 22 and 2A
 *   MEAN       1A size | 0A size | 08 n | 10 count
 *
 * What stands behind a value is looked at, but never believed: sizes come from the entry, and each has to come out even.
 */
import {
  COUNT,
  COUNT_AT,
  MAX,
  MEAN,
  MIN,
  REAL_MEAN,
  REAL_SUM,
  SUM,
  TAG_COUNT,
  TAG_INTEGER,
  TAG_MAX,
  TAG_MEAN,
  TAG_MEAN_COUNT,
  TAG_MEAN_SUM,
  TAG_MIN,
  TAG_NARROW,
  TAG_REAL_MEAN,
  TAG_REAL_SUM,
  TAG_SUM,
  isNarrow,
} from './aggregate';
import { encodeExact, isNear } from './exact';
import { INTEGER } from './kind';
import { WORD_MAX, isLeast, joinWord, spreadWord, unzigzag, varintSize, wordSize, zigzag } from './varint';

/** Are states of this case over values of this kind of integers alone? */
@inline
export function isOfIntegers(aggregateCase: i32, kind: i32): bool {
  if (aggregateCase == MIN || aggregateCase == MAX) return kind == INTEGER;
  return aggregateCase == COUNT || aggregateCase == SUM || aggregateCase == MEAN;
}

/** What was read last. */
export let wholeValue: i64 = 0;
export let wholeCount: i64 = 0;

/** Reads a count from [from, end). */
@inline
export function readCount(from: usize, end: usize): bool {
  const word = load<u64>(from, 1);
  const size = end - from - 1;
  if (load<u8>(from) != TAG_COUNT || !isVarint(word, size)) return false;
  wholeValue = unzigzag(joinWord(word, size));
  return true;
}

/** The word begins with a varint of exactly this size, up to 8, that needs all of it. */
@inline
function isVarint(word: u64, size: usize): bool {
  return (<i32>(wordSize(word) == size) & <i32>(size <= 8) & <i32>isLeast(word, size)) != 0;
}

/** Reads the one number of a sum or an extreme. */
@inline
export function readWhole(aggregateCase: i32, from: usize, end: usize): bool {
  const head = load<u32>(from);
  const word = load<u64>(from, 3);
  const size = end - from - 3;
  if ((head & 0xffffff) != (wholeHead(aggregateCase) | ((<u32>size + 1) << 8))) return false;
  if (!isVarint(word, size)) return false;
  wholeValue = unzigzag(joinWord(word, size));
  return true;
}

/** Tags before the sum of a mean, and between them a size of 0. */
const MEAN_SUM_HEAD: u32 = <u32>TAG_MEAN_SUM | (<u32>TAG_NARROW << 16);

/** Tags before the number, and between them a size of 0. */
@inline
function wholeHead(aggregateCase: i32): u32 {
  if (aggregateCase == SUM) return <u32>TAG_SUM | (<u32>TAG_NARROW << 16);
  return <u32>(aggregateCase == MIN ? TAG_MIN : TAG_MAX) | (<u32>TAG_INTEGER << 16);
}

/** Reads sum and count of a mean. */
@inline
export function readMean(from: usize, end: usize): bool {
  const head = load<u64>(from);
  const sumWord = load<u64>(from, 5);
  const sumSize = wordSize(sumWord);
  const count = from + 5 + sumSize;
  const wanted: u64 = <u64>TAG_MEAN | ((<u64>(end - from) - 2) << 8) | ((<u64>TAG_MEAN_SUM) << 16);
  if ((head & 0xffffffffff) != (wanted | ((<u64>sumSize + 1) << 24) | ((<u64>TAG_NARROW) << 32))) return false;
  if (sumSize > 8 || count >= end || !isLeast(sumWord, sumSize)) return false;
  const countWord = load<u64>(count, 1);
  const countSize = end - count - 1;
  if (load<u8>(count) != TAG_MEAN_COUNT || !isVarint(countWord, countSize)) return false;
  wholeValue = unzigzag(joinWord(sumWord, sumSize));
  wholeCount = unzigzag(joinWord(countWord, countSize));
  return true;
}

/** Reads a value of one case: its number, and where it is a mean its count too; false where it is another. */
@inline
export function readNumbers(aggregateCase: i32, from: usize, end: usize): bool {
  switch (aggregateCase) {
    case COUNT:
      return readCount(from, end);
    case SUM:
    case MIN:
    case MAX:
      return readWhole(aggregateCase, from, end);
    case MEAN:
      return readMean(from, end);
    default:
      return false;
  }
}

/**
 * Copies the numbers of a value, the varints as they stand there, and returns what they take; 0 where it has others. Whole
 * words are stored.
 */
@inline
export function takeNumbers(aggregateCase: i32, from: usize, end: usize, to: usize): usize {
  if (!readNumbers(aggregateCase, from, end)) return 0;
  if (aggregateCase == MEAN) {
    const sumSize = <usize>load<u8>(from, 3) - 1;
    store<u64>(to, load<u64>(from, 5));
    store<u64>(to + sumSize, load<u64>(from + 6 + sumSize));
  } else store<u64>(to, load<u64>(from + numbersHead(aggregateCase)));
  return end - from - numbersHead(aggregateCase);
}

/** What a value takes beside its numbers. */
@inline
export function numbersHead(aggregateCase: i32): usize {
  if (aggregateCase == COUNT) return 1;
  return aggregateCase == MEAN ? 6 : 3;
}

/** Behind the numbers that were put last. */
export let numbersNext: usize = 0;

/** Writes the value whose numbers `takeNumbers` has copied, and returns its size. Whole words are stored. */
@inline
export function putNumbers(aggregateCase: i32, numbers: usize, out: usize): usize {
  const word = load<u64>(numbers);
  const size = wordSize(word);
  numbersNext = numbers + size;
  if (aggregateCase == COUNT) {
    store<u8>(out, TAG_COUNT);
    store<u64>(out, word, 1);
    return 1 + size;
  }
  const body = aggregateCase == MEAN ? out + 2 : out;
  const head = aggregateCase == MEAN ? MEAN_SUM_HEAD : wholeHead(aggregateCase);
  store<u32>(body, head | (<u32>(size + 1) << 8));
  store<u64>(body, word, 3);
  if (aggregateCase != MEAN) return 3 + size;
  const count = load<u64>(numbersNext);
  const countSize = wordSize(count);
  numbersNext += countSize;
  store<u8>(body + 3 + size, TAG_MEAN_COUNT);
  store<u64>(body + 4 + size, count);
  store<u16>(out, <u16>TAG_MEAN | <u16>((4 + size + countSize) << 8));
  return 6 + size + countSize;
}

/** Unpacks a state of integers, as `decode` does; false where it is another. */
@inline
export function readWholeState(aggregateCase: i32, from: usize, end: usize, state: usize): bool {
  switch (aggregateCase) {
    case COUNT:
      if (!readCount(from, end)) return false;
      store<i64>(state, wholeValue);
      return true;
    case SUM:
      if (!readWhole(SUM, from, end)) return false;
      store<i64>(state, wholeValue);
      store<i64>(state, wholeValue >> 63, 8);
      return true;
    case MEAN:
      if (!readMean(from, end)) return false;
      store<i64>(state, wholeValue);
      store<i64>(state, wholeValue >> 63, 8);
      store<i64>(state, wholeCount, 16);
      return true;
    case MIN:
    case MAX:
      if (!readWhole(aggregateCase, from, end)) return false;
      store<i64>(state, INTEGER);
      store<i64>(state, wholeValue, 8);
      return true;
    default:
      return false;
  }
}

/** Room for what `writeWhole` writes, with the ends of the words that it stores. */
export const WHOLE_MAX: usize = 64;

/**
 * Writes a state of integers, or a sum of doubles that is near (exact.ts), as `encode` does, and returns its size; 0 where it
 * is another, or takes more bytes.
 */
@inline
export function writeWhole(aggregateCase: i32, state: usize, out: usize): usize {
  switch (aggregateCase) {
    case COUNT: {
      const number = zigzag(load<i64>(state));
      if (number > WORD_MAX) return 0;
      store<u8>(out, TAG_COUNT);
      return 1 + writeWord(out + 1, number);
    }
    case SUM: {
      const number = zigzag(load<i64>(state));
      if (number > WORD_MAX || !isNarrow(state)) return 0;
      return writeNumber(out, wholeHead(SUM), number);
    }
    case MEAN:
      if (!isNarrow(state)) return 0;
      return writeMean(out, zigzag(load<i64>(state)), zigzag(load<i64>(state, 16)));
    case MIN:
    case MAX: {
      const number = zigzag(load<i64>(state, 8));
      if (load<i64>(state) != INTEGER || number > WORD_MAX) return 0;
      return writeNumber(out, wholeHead(aggregateCase), number);
    }
    case REAL_SUM: {
      if (!isNear(state)) return 0;
      const size = encodeExact(state, out + 2);
      store<u16>(out, <u16>TAG_REAL_SUM | <u16>(size << 8));
      return 2 + size;
    }
    case REAL_MEAN: {
      const count = zigzag(load<i64>(state, COUNT_AT));
      if (!isNear(state) || count > WORD_MAX) return 0;
      const sumSize = encodeExact(state, out + 4);
      store<u8>(out + 4 + sumSize, TAG_MEAN_COUNT);
      const size: usize = 5 + sumSize + writeWord(out + 5 + sumSize, count);
      store<u32>(out, <u32>TAG_REAL_MEAN | (<u32>(size - 2) << 8) | (<u32>TAG_MEAN_SUM << 16) | (<u32>sumSize << 24));
      return size;
    }
    default:
      return 0;
  }
}

/**
 * Writes the merge of two states of one case, named by the tag that both begin with, and returns its size; 0 where they are
 * no integers, or take more bytes. Two numbers of seven bytes add up without running over.
 */
@inline
export function writeMerged(tag: u8, left: usize, leftEnd: usize, right: usize, rightEnd: usize, out: usize): usize {
  switch (tag) {
    case TAG_COUNT: {
      if (!readCount(left, leftEnd)) return 0;
      const other = wholeValue;
      if (!readCount(right, rightEnd)) return 0;
      const number = zigzag(wholeValue + other);
      if (number > WORD_MAX) return 0;
      store<u8>(out, TAG_COUNT);
      return 1 + writeWord(out + 1, number);
    }
    case TAG_SUM:
    case TAG_MIN:
    case TAG_MAX: {
      const aggregateCase = <i32>(tag >> 3);
      if (!readWhole(aggregateCase, left, leftEnd)) return 0;
      const other = wholeValue;
      if (!readWhole(aggregateCase, right, rightEnd)) return 0;
      const number =
        tag == TAG_SUM ? wholeValue + other : tag == TAG_MIN ? min(wholeValue, other) : max(wholeValue, other);
      if (zigzag(number) > WORD_MAX) return 0;
      return writeNumber(out, wholeHead(aggregateCase), zigzag(number));
    }
    case TAG_MEAN: {
      if (!readMean(left, leftEnd)) return 0;
      const other = wholeValue;
      const otherCount = wholeCount;
      if (!readMean(right, rightEnd)) return 0;
      return writeMean(out, zigzag(wholeValue + other), zigzag(wholeCount + otherCount));
    }
    default:
      return 0;
  }
}

@inline
function writeMean(out: usize, sum: u64, count: u64): usize {
  if (sum > WORD_MAX || count > WORD_MAX) return 0;
  const sumSize = writeNumber(out + 2, MEAN_SUM_HEAD, sum);
  store<u8>(out + 2 + sumSize, TAG_MEAN_COUNT);
  const size: usize = 3 + sumSize + writeWord(out + 3 + sumSize, count);
  store<u16>(out, <u16>TAG_MEAN | <u16>((size - 2) << 8));
  return size;
}

/** A head with a size of 0 in its middle, which is set, and the number. Returns the size of both. */
@inline
function writeNumber(out: usize, head: u32, number: u64): usize {
  const size = writeWord(out + 3, number);
  // The number's first byte goes above the head's three.
  store<u32>(out, head | (<u32>(size + 1) << 8) | (load<u32>(out, 3) << 24));
  return 3 + size;
}

@inline
export function writeWord(out: usize, number: u64): usize {
  const size = varintSize(number);
  store<u64>(out, spreadWord(number, size));
  return size;
}

/** Merges the value read last into a state of MIN or MAX, as `update` does, without a branch that depends on values. */
@inline
export function mergeExtreme(aggregateCase: i32, state: usize, value: i64): void {
  const seen = load<i64>(state);
  const other = load<i64>(state, 8);
  const isBetter = aggregateCase == MIN ? value < other : other < value;
  const wins = (<i32>(seen == 0) | <i32>isBetter) != 0;
  store<i64>(state, select<i64>(<i64>INTEGER, seen, wins));
  store<i64>(state, select<i64>(value, other, wins), 8);
}
