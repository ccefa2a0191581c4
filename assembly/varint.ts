/** Protobuf's varints. Reading never passes `end`: a cut or overlong number makes `varintOk` false. */

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
