/**
 * Protobuf's varints. Reading never passes `end`: a cut or overlong number makes `varintOk` false.
 *
 * Beside the general way there is one for numbers whose size is known: `wordSize`, `joinWord` and `spreadWord` work on a
 * word of eight bytes at once, so that a number's size costs no branch that the processor has to guess. They load and store
 * whole words: memory has room behind its blocks to load from (memory.ts), and who stores gives room for a word.
 */

export let varintNext: usize = 0;
export let varintOk: bool = true;

/** At most ten bytes; spellings longer than needed are refused, so that equal numbers are equal bytes. */
@inline
export function readVarint(from: usize, end: usize): u64 {
  if (from < end) {
    const first = load<u8>(from);
    if (first < 0x80) {
      varintNext = from + 1;
      varintOk = true;
      return <u64>first;
    }
  }
  return readLongVarint(from, end);
}

function readLongVarint(from: usize, end: usize): u64 {
  const word = load<u64>(from);
  const size = wordSize(word);
  if (size <= 8 && from + size <= end && isLeast(word, size)) {
    varintNext = from + size;
    varintOk = true;
    return joinWord(word, size);
  }
  return readLongestVarint(from, end);
}

function readLongestVarint(from: usize, end: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (from >= end) break;
    const byte = load<u8>(from++);
    if (shift == 63 && byte > 1) break;
    value |= (<u64>(byte & 0x7f)) << shift;
    if (byte < 0x80) {
      varintNext = from;
      varintOk = byte != 0 || shift == 0;
      return value;
    }
  }
  varintNext = end;
  varintOk = false;
  return 0;
}

@inline
export function writeVarint(to: usize, value: u64): usize {
  let at = to;
  while (value >= 0x80) {
    store<u8>(at++, <u8>(value | 0x80));
    value >>= 7;
  }
  store<u8>(at++, <u8>value);
  return at - to;
}

@inline
export function varintSize(value: u64): usize {
  return value < 0x80 ? 1 : <usize>((70 - clz<u64>(value)) / 7);
}

@inline
export function zigzag(value: i64): u64 {
  return <u64>((value << 1) ^ (value >> 63));
}

@inline
export function unzigzag(value: u64): i64 {
  return <i64>(value >> 1) ^ -(<i64>(value & 1));
}

/** Numbers of up to eight bytes: the general way takes the longer ones. */
export const WORD_MAX: u64 = (<u64>1 << 56) - 1;

const STOPS: u64 = 0x8080808080808080;

/** How many bytes the varint at the beginning of a word takes; above 8 where it does not end there. */
@inline
export function wordSize(word: u64): usize {
  return <usize>(ctz<u64>(~word & STOPS) >> 3) + 1;
}

/** The number of a varint of `size` bytes, 1 to 8, at the beginning of a word. */
@inline
export function joinWord(word: u64, size: usize): u64 {
  let bits = word & 0x7f7f7f7f7f7f7f7f & ((~<u64>0) >> (64 - (<u64>size << 3)));
  bits = (bits & 0x007f007f007f007f) | ((bits & 0x7f007f007f007f00) >> 1);
  bits = (bits & 0x00003fff00003fff) | ((bits & 0x3fff00003fff0000) >> 2);
  return (bits & 0x000000000fffffff) | ((bits & 0x0fffffff00000000) >> 4);
}

/** A varint of `size` bytes is spelt with one too many where its last is 0; one byte alone may be. */
@inline
export function isLeast(word: u64, size: usize): bool {
  // No branch: how large numbers are is not to be guessed.
  return (((word >> ((<u64>size - 1) << 3)) & 0xff) | <u64>(size == 1)) != 0;
}

/** The bytes of a number up to WORD_MAX that takes `size` of them. */
@inline
export function spreadWord(value: u64, size: usize): u64 {
  let bits = (value & 0x000000000fffffff) | ((value & 0x00fffffff0000000) << 4);
  bits = (bits & 0x00003fff00003fff) | ((bits & 0x0fffc0000fffc000) << 2);
  bits = (bits & 0x007f007f007f007f) | ((bits & 0x3f803f803f803f80) << 1);
  return bits | (STOPS & (((<u64>1) << ((<u64>size << 3) - 1)) - 1));
}
