/** What a value's 8 bytes are: an int64, a time or a bool; a double; text. Also what an extreme or a moment has seen. */
export const INTEGER: i32 = 1;
export const REAL: i32 = 2;
export const TEXT: i32 = 3;
/** A list of numbers that are looked at one by one. */
export const NUMBERS: i32 = 4;

/** All NaNs are one value, so they are one spelling. */
@inline
export function canonicalNaN(bits: i64): i64 {
  return (bits & i64.MAX_VALUE) > 0x7ff0000000000000 ? 0x7ff8000000000000 : bits;
}

/** A double's bits as an integer that is ordered like it: -0 below 0, NaN above all. */
@inline
export function orderOf(bits: i64): i64 {
  const canonical = canonicalNaN(bits);
  return canonical < 0 ? canonical ^ i64.MAX_VALUE : canonical;
}
