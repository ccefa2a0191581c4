/**
 * UTF-8 that is known to be well-formed, by code points: the reader of JSON has seen to it, and `isWellFormed` where text comes
 * out of stored rows.
 */
import { Bytes } from './memory';

/** Bytes of the code point that begins with `lead`. */
@inline
export function widthOf(lead: u8): usize {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

@inline
export function isContinuation(byte: u8): bool {
  return (byte & 0xc0) == 0x80;
}

/** Code points in [start, end). */
export function countPoints(start: usize, end: usize): i64 {
  let count: i64 = 0;
  for (let at = start; at < end; at++) count += <i64>!isContinuation(load<u8>(at));
  return count;
}

/** Where the code point with index `count` begins; `end` where there are not as many. */
export function skipPoints(start: usize, end: usize, count: i64): usize {
  let at = start;
  for (; count > 0 && at < end; count--) at += widthOf(load<u8>(at));
  return at;
}

/** Where the code point before `at` begins. */
export function pointBefore(start: usize, at: usize): usize {
  let before = at - 1;
  while (before > start && isContinuation(load<u8>(before))) before--;
  return before;
}

/** Shortest forms only, no surrogates, nothing above U+10FFFF, and none that is cut off. */
export function isWellFormed(start: usize, length: usize): bool {
  const end = start + length;
  for (let at = start; at < end; ) {
    if (end - at >= 8 && (load<u64>(at) & 0x8080808080808080) == 0) {
      at += 8;
      continue;
    }
    const size = sequenceSize(at, end);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

/** Bytes of the code point at `at`, 0 where there is none that is whole within `end`. */
function sequenceSize(at: usize, end: usize): usize {
  const lead = load<u8>(at);
  if (lead < 0x80) return 1;
  const size = widthOf(lead);
  if (lead < 0xc2 || lead > 0xf4 || size > end - at) return 0;
  const second = load<u8>(at, 1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
  for (let i: usize = 1; i < size; i++) if (!isContinuation(load<u8>(at + i))) return 0;
  return size;
}

export function readPoint(at: usize): u32 {
  const lead = <u32>load<u8>(at);
  if (lead < 0x80) return lead;
  const second = <u32>load<u8>(at, 1) & 0x3f;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | second;
  const third = <u32>load<u8>(at, 2) & 0x3f;
  if (lead < 0xf0) return ((lead & 0x0f) << 12) | (second << 6) | third;
  return ((lead & 0x07) << 18) | (second << 12) | (third << 6) | (<u32>load<u8>(at, 3) & 0x3f);
}

export const NOWHERE: usize = usize.MAX_VALUE;

/**
 * Where [needle, needle + size) begins in [start, end) for the first time, or NOWHERE. Knuth, Morris and Pratt: no
 * text, whatever it repeats, takes more than a few steps for each of its bytes.
 */
export function find(start: usize, end: usize, needle: usize, size: usize): usize {
  if (size == 0) return start;
  if (size > end - start) return NOWHERE;
  const first = load<u8>(needle);
  if (size == 1) {
    for (let at = start; at < end; at++) if (load<u8>(at) == first) return at;
    return NOWHERE;
  }
  const borders = bordersOf(needle, size);
  let matched: usize = 0;
  for (let at = start; at < end; at++) {
    const byte = load<u8>(at);
    while (matched > 0 && byte != load<u8>(needle + matched)) matched = <usize>load<u32>(borders + ((matched - 1) << 2));
    if (byte == load<u8>(needle + matched)) matched++;
    if (matched == size) return at + 1 - size;
  }
  return NOWHERE;
}

const borders: Bytes = Bytes.make();

/** For each prefix of the needle the length of its longest border: a true prefix of it that also ends it. */
function bordersOf(needle: usize, size: usize): usize {
  borders.length = 0;
  borders.reserve(size << 2);
  const table = borders.start;
  store<u32>(table, 0);
  let length: usize = 0;
  for (let i: usize = 1; i < size; i++) {
    const byte = load<u8>(needle + i);
    while (length > 0 && byte != load<u8>(needle + length)) length = <usize>load<u32>(table + ((length - 1) << 2));
    if (byte == load<u8>(needle + length)) length++;
    store<u32>(table + (i << 2), <u32>length);
  }
  return table;
}
