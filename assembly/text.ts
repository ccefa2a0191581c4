/**
 * Functions of texts, row by row. Positions and lengths count code points. A part of a text is not copied: it stays
 * where the text is. What is new goes to the arena of the frame.
 */
import { keep, reserve } from './arena';
import { writeUtf8 } from './json';
import { LOWER, LOWER_COUNT, UPPER, UPPER_COUNT } from './letters';
import { Op } from './op';
import { Register } from './register';
import { similarity } from './similarity';
import { NOWHERE, countPoints, find, pointBefore, readPoint, skipPoints, widthOf } from './utf8';

/**
 * How long a text can become by CONCAT, REPLACE, LPAD, RPAD and REPEAT; longer ones only if an argument is as long.
 * 4096 rows of them are 64 MiB.
 */
export const TEXT_MAX_BYTES: usize = 16 << 10;

@inline
export function compareStrings(x: usize, y: usize): i32 {
  const xLength = load<u32>(x, 4);
  const yLength = load<u32>(y, 4);
  const order = memory.compare(<usize>load<u32>(x), <usize>load<u32>(y), <usize>min(xLength, yLength));
  if (order != 0) return order;
  return xLength == yLength ? 0 : xLength < yLength ? -1 : 1;
}

/** Null of null, and where a text is not to be had: see each function. */
export function runText(op: i32, target: Register, a: Register, b: Register, c: Register, from: usize, to: usize): void {
  for (let row = from; row < to; row++) {
    const at = row << 3;
    cell = target.values + at;
    store<u64>(cell, 0);
    let isNull = load<u8>(a.nulls + row) | load<u8>(b.nulls + row) | load<u8>(c.nulls + row);
    if (isNull == 0) isNull = <u8>!textOf(op, a.values + at, b.values + at, c.values + at);
    store<u8>(target.nulls + row, isNull);
  }
}

/** Where the result of the row at hand goes. */
let cell: usize = 0;

@inline
function put(start: usize, end: usize): bool {
  store<u32>(cell, <u32>start);
  store<u32>(cell, <u32>(end - start), 4);
  return true;
}

@inline
function putInt(value: i64): bool {
  store<i64>(cell, value);
  return true;
}

@inline
function startOf(value: usize): usize {
  return <usize>load<u32>(value);
}

@inline
function sizeOf(value: usize): usize {
  return <usize>load<u32>(value, 4);
}

/** x, y and z are cells of the arguments, none of them null. False for null. */
function textOf(op: i32, x: usize, y: usize, z: usize): bool {
  const start = startOf(x);
  const end = start + sizeOf(x);
  switch (op) {
    case Op.LOWER:
      return mapLetters(start, end, LOWER, LOWER_COUNT);
    case Op.UPPER:
      return mapLetters(start, end, UPPER, UPPER_COUNT);
    case Op.LENGTH:
      return putInt(countPoints(start, end));
    case Op.BYTE_LENGTH:
      return putInt(<i64>(end - start));
    case Op.CONCAT:
      return concat(start, end, startOf(y), sizeOf(y));
    case Op.SUBSTRING:
      return substring(start, end, load<i64>(y), load<i64>(z));
    case Op.LEFT:
      return put(start, skipPoints(start, end, atMost(start, end, load<i64>(y))));
    case Op.RIGHT:
      return put(skipPoints(start, end, countPoints(start, end) - atMost(start, end, load<i64>(y))), end);
    case Op.TRIM:
    case Op.TRIM_START:
    case Op.TRIM_END:
      return trim(op, start, end, startOf(y), startOf(y) + sizeOf(y));
    case Op.REPLACE:
      return replace(start, end, y, z);
    case Op.STARTS_WITH:
      return putInt(<i64>(sizeOf(y) <= end - start && memory.compare(start, startOf(y), sizeOf(y)) == 0));
    case Op.ENDS_WITH:
      return putInt(<i64>(sizeOf(y) <= end - start && memory.compare(end - sizeOf(y), startOf(y), sizeOf(y)) == 0));
    case Op.CONTAINS:
      return putInt(<i64>(find(start, end, startOf(y), sizeOf(y)) != NOWHERE));
    case Op.POSITION: {
      const found = find(start, end, startOf(y), sizeOf(y));
      return putInt(found == NOWHERE ? 0 : countPoints(start, found) + 1);
    }
    case Op.REVERSE:
      return reverse(start, end);
    case Op.PAD_START:
    case Op.PAD_END:
      return pad(op, start, end, load<i64>(y), startOf(z), sizeOf(z));
    case Op.REPEAT:
      return repeat(start, end - start, load<i64>(y));
    case Op.SPLIT_PART:
      return splitPart(start, end, startOf(y), sizeOf(y), load<i64>(z));
    case Op.SIMILARITY:
      store<f64>(cell, similarity(start, end, startOf(y), startOf(y) + sizeOf(y)));
      return true;
    case Op.IP_BLOCK:
      return ipBlock(start, end);
    default: // LIKE
      return like(start, end, startOf(y), startOf(y) + sizeOf(y), startOf(z), sizeOf(z));
  }
}

/** How many of a text's code points, or bytes where that is more, `count` means: all but so many where it is negative. */
@inline
function atMost(start: usize, end: usize, count: i64): i64 {
  if (count >= 0) return min(count, <i64>(end - start));
  // All but so many; no text has 2^62 code points.
  return max<i64>(0, countPoints(start, end) + max<i64>(count, -(<i64>1 << 62)));
}

/** The same text where no letter changes. Of a letter's bytes at most half as many again become of it. */
function mapLetters(start: usize, end: usize, table: usize, count: i32): bool {
  let at = start;
  while (at < end && letterOf(at, table, count) == readPoint(at)) at += widthOf(load<u8>(at));
  if (at == end) return put(start, end);
  const size = end - start;
  const made = reserve(size + (size >> 1) + 4);
  memory.copy(made, start, at - start);
  let out = made + (at - start);
  for (; at < end; at += widthOf(load<u8>(at))) {
    const letter = letterOf(at, table, count);
    if (letter < 0x80) store<u8>(out++, <u8>letter);
    else out += writeUtf8(letter, out);
  }
  keep(out - made);
  return put(made, out);
}

/** What the letter at an address becomes: the last run that does not begin after it may hold it. */
function letterOf(at: usize, table: usize, count: i32): u32 {
  const letter = readPoint(at);
  if (letter < 0x80) {
    // The first run is A to Z, or a to z.
    const isMapped = letter >= load<u32>(table) && letter <= load<u32>(table, 4);
    return isMapped ? letter ^ 0x20 : letter;
  }
  let low = 0;
  let high = count;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (load<u32>(table + (<usize>middle << 4)) <= letter) low = middle;
    else high = middle;
  }
  const run = table + (<usize>low << 4);
  const first = load<u32>(run);
  if (letter < first || letter > load<u32>(run, 4) || (letter - first) % load<u32>(run, 8) != 0) return letter;
  return letter + load<u32>(run, 12);
}

/** Is a text too long to be made? `least` is what its longest argument has already. */
@inline
function isTooLong(size: u64, least: usize): bool {
  return size > <u64>max(TEXT_MAX_BYTES, least);
}

function concat(start: usize, end: usize, other: usize, otherSize: usize): bool {
  const size = end - start;
  if (otherSize == 0) return put(start, end);
  if (size == 0) return put(other, other + otherSize);
  if (isTooLong(<u64>size + <u64>otherSize, max(size, otherSize))) return false;
  const made = reserve(size + otherSize);
  memory.copy(made, start, size);
  memory.copy(made + size, other, otherSize);
  keep(size + otherSize);
  return put(made, made + size + otherSize);
}

/** Farther than any text reaches, and far enough from the ends of int64 to be added to. */
const FAR: i64 = <i64>1 << 40;

function addSaturating(x: i64, y: i64): i64 {
  const sum = x + y;
  if (((x ^ sum) & (y ^ sum)) >= 0) return sum;
  return x < 0 ? i64.MIN_VALUE : i64.MAX_VALUE;
}

/**
 * Code points [offset, offset + length), the first one being 1; what lies outside of the text is left out. A negative
 * offset counts from the end, a negative length reaches back.
 */
function substring(start: usize, end: usize, offset: i64, length: i64): bool {
  let first = offset >= 0 ? offset - 1 : countPoints(start, end) + offset;
  let last = addSaturating(first, length);
  if (length < 0) {
    const reached = last;
    last = first;
    first = reached;
  }
  if (last <= 0) return put(start, start);
  const from = skipPoints(start, end, first);
  return put(from, skipPoints(from, end, last - max<i64>(first, 0)));
}

function trim(op: i32, start: usize, end: usize, set: usize, setEnd: usize): bool {
  let from = start;
  let to = end;
  if (op != Op.TRIM_END) while (from < to && isInSet(from, set, setEnd)) from += widthOf(load<u8>(from));
  if (op != Op.TRIM_START) {
    while (to > from) {
      const before = pointBefore(from, to);
      if (!isInSet(before, set, setEnd)) break;
      to = before;
    }
  }
  return put(from, to);
}

function isInSet(at: usize, set: usize, setEnd: usize): bool {
  const point = readPoint(at);
  for (let one = set; one < setEnd; one += widthOf(load<u8>(one))) if (readPoint(one) == point) return true;
  return false;
}

/** Every occurrence from the left; that of an empty text is none. */
function replace(start: usize, end: usize, y: usize, z: usize): bool {
  const needle = startOf(y);
  const needleSize = sizeOf(y);
  const other = startOf(z);
  const otherSize = sizeOf(z);
  let found = needleSize == 0 ? NOWHERE : find(start, end, needle, needleSize);
  if (found == NOWHERE) return put(start, end);
  let count: u64 = 0;
  for (let at = found; at != NOWHERE; at = find(at + needleSize, end, needle, needleSize)) count++;
  const size = <u64>(end - start) + count * <u64>otherSize - count * <u64>needleSize;
  if (isTooLong(size, max(end - start, otherSize))) return false;
  const made = reserve(<usize>size);
  let out = made;
  let at = start;
  for (; found != NOWHERE; found = find(at, end, needle, needleSize)) {
    memory.copy(out, at, found - at);
    out += found - at;
    memory.copy(out, other, otherSize);
    out += otherSize;
    at = found + needleSize;
  }
  memory.copy(out, at, end - at);
  keep(<usize>size);
  return put(made, made + <usize>size);
}

function reverse(start: usize, end: usize): bool {
  const size = end - start;
  const made = reserve(size);
  let out = made + size;
  for (let at = start; at < end; ) {
    const width = widthOf(load<u8>(at));
    out -= width;
    memory.copy(out, at, width);
    at += width;
  }
  keep(size);
  return put(made, made + size);
}

/** Cut or filled to `count` code points. Null where there is nothing to fill it with. */
function pad(op: i32, start: usize, end: usize, count: i64, filler: usize, fillerSize: usize): bool {
  const size = end - start;
  const have = countPoints(start, end);
  if (count <= have) return put(start, skipPoints(start, end, count));
  const wanted = count - have;
  const points = countPoints(filler, filler + fillerSize);
  if (fillerSize == 0 || wanted > <i64>TEXT_MAX_BYTES + <i64>size + <i64>fillerSize) return false;
  const rest = skipPoints(filler, filler + fillerSize, wanted % points) - filler;
  const fillSize = <u64>(wanted / points) * <u64>fillerSize + <u64>rest;
  if (isTooLong(fillSize + <u64>size, max(size, fillerSize))) return false;
  const made = reserve(<usize>fillSize + size);
  let out = made;
  if (op == Op.PAD_END) {
    memory.copy(out, start, size);
    out += size;
  }
  for (let left = wanted / points; left > 0; left--) {
    memory.copy(out, filler, fillerSize);
    out += fillerSize;
  }
  memory.copy(out, filler, rest);
  out += rest;
  if (op == Op.PAD_START) memory.copy(out, start, size);
  keep(<usize>fillSize + size);
  return put(made, made + <usize>fillSize + size);
}

function repeat(start: usize, size: usize, count: i64): bool {
  if (count <= 0 || size == 0) return put(start, start);
  if (count == 1) return put(start, start + size);
  if (count > <i64>TEXT_MAX_BYTES || isTooLong(<u64>count * <u64>size, size)) return false;
  const whole = <usize>count * size;
  const made = reserve(whole);
  for (let at: usize = 0; at < whole; at += size) memory.copy(made + at, start, size);
  keep(whole);
  return put(made, made + whole);
}

/** The part before, between or behind separators, from 1; from the end where `index` is negative. '' where there is none. */
function splitPart(start: usize, end: usize, separator: usize, size: usize, index: i64): bool {
  let wanted = index;
  if (index < 0) wanted = countParts(start, end, separator, size) + max(index, -FAR) + 1;
  if (wanted <= 0) return put(end, end);
  if (size == 0) {
    const from = skipPoints(start, end, min(wanted, FAR) - 1);
    return put(from, skipPoints(from, end, 1));
  }
  let from = start;
  for (; wanted > 1; wanted--) {
    const found = find(from, end, separator, size);
    if (found == NOWHERE) return put(end, end);
    from = found + size;
  }
  const found = find(from, end, separator, size);
  return put(from, found == NOWHERE ? end : found);
}

/** The first three of the four numbers of an IPv4 address, as they stand there; null where the text is none. */
function ipBlock(start: usize, end: usize): bool {
  let at = start;
  let blockEnd = start;
  for (let part = 0; part < 4; part++) {
    if (part > 0) {
      if (at == end || load<u8>(at) != 0x2e) return false;
      blockEnd = at++;
    }
    const from = at;
    let value: u32 = 0;
    while (at < end && at - from < 3 && <u32>load<u8>(at) - 0x30 < 10) value = value * 10 + load<u8>(at++) - 0x30;
    // A number with a zero in front would be octal to some.
    if (at == from || value > 255 || (load<u8>(from) == 0x30 && at - from > 1)) return false;
  }
  return at == end && put(start, blockEnd);
}

/** An empty separator makes a part of each code point. */
function countParts(start: usize, end: usize, separator: usize, size: usize): i64 {
  if (size == 0) return countPoints(start, end);
  let count: i64 = 1;
  for (let at = find(start, end, separator, size); at != NOWHERE; at = find(at + size, end, separator, size)) count++;
  return count;
}

/**
 * `%` stands for any text and `_` for a code point, unless the escape stands before them. After a mismatch only the
 * last `%` takes one more: at most (text * pattern) steps. Null where the pattern ends in an escape.
 */
function like(start: usize, end: usize, pattern: usize, patternEnd: usize, escape: usize, escapeSize: usize): bool {
  if (!isWhole(pattern, patternEnd, escape, escapeSize)) return false;
  let at = start;
  let p = pattern;
  let retryAt: usize = 0;
  let retryPattern: usize = 0;
  while (at < end || p < patternEnd) {
    if (p < patternEnd) {
      const escaped = isEscape(p, patternEnd, escape, escapeSize);
      const sign = load<u8>(p);
      if (!escaped && sign == 0x25) {
        retryPattern = ++p;
        retryAt = at;
        continue;
      }
      const literal = escaped ? p + escapeSize : p;
      const width = widthOf(load<u8>(literal));
      if (at < end && !escaped && sign == 0x5f) {
        at += widthOf(load<u8>(at));
        p++;
        continue;
      }
      // Well-formed on both sides: equal bytes are equal code points.
      if (at < end && end - at >= width && memory.compare(at, literal, width) == 0) {
        at += width;
        p = literal + width;
        continue;
      }
    }
    if (retryPattern == 0 || retryAt >= end) return putInt(0);
    retryAt += widthOf(load<u8>(retryAt));
    at = retryAt;
    p = retryPattern;
  }
  return putInt(1);
}

@inline
function isEscape(at: usize, end: usize, escape: usize, size: usize): bool {
  return size != 0 && end - at >= size && memory.compare(at, escape, size) == 0;
}

function isWhole(pattern: usize, end: usize, escape: usize, size: usize): bool {
  let at = pattern;
  while (at < end) {
    if (isEscape(at, end, escape, size)) {
      at += size;
      if (at == end) return false;
    }
    at += widthOf(load<u8>(at));
  }
  return true;
}
