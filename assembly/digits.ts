/** Eight decimal digits at a time, as they stand in a word of eight bytes, the first one lowest. */

/** How many bytes of the word are digits before the first that is none: 0 to 8. */
@inline
export function digitCount(word: u64): i32 {
  // A digit's high half is 3, and still is when 6 is added. Carries show only above a byte that is no digit anyway.
  const high: u64 = 0xf0f0f0f0f0f0f0f0;
  const threes: u64 = 0x3030303030303030;
  const others = ((word & high) ^ threes) | (((word + 0x0606060606060606) & high) ^ threes);
  return others == 0 ? 8 : <i32>(ctz(others) >> 3);
}

/** The number that the first `count` bytes, 1 to 8 digits, are (Daniel Lemire, "Quickly parsing eight digits"). */
@inline
export function digitsOf(word: u64, count: i32): u64 {
  // Shifted to the high end: what comes in below are leading zeros.
  let value = (word & 0x0f0f0f0f0f0f0f0f) << ((8 - count) << 3);
  value = (value * 2561) >> 8;
  value = ((value & 0x00ff00ff00ff00ff) * 6553601) >> 16;
  return ((value & 0x0000ffff0000ffff) * 42949672960001) >> 32;
}

/** 10^0 to 10^8. */
const tens: usize = memory.data<u64>([1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000]);

@inline
export function tenTo(count: i32): u64 {
  return load<u64>(tens + (<usize>count << 3));
}
