/**
 * Is a string's text well-formed UTF-8? Sixteen bytes at a time by three tables of sixteen, which each byte and the one
 * before it look up by half bytes (John Keiser and Daniel Lemire, "Validating UTF-8 In Less Than One Instruction Per
 * Byte"). For builds without SIMD there is only the way byte by byte (json.ts).
 */
import { isContinuation, widthOf } from './utf8';

/** What two bytes one after the other can have against them. */
const TOO_SHORT: u8 = 1; // 11______ 0_______, 11______ 11______
const TOO_LONG: u8 = 2; // 0_______ 10______
const OVERLONG_3: u8 = 4; // 11100000 100_____
const TOO_LARGE: u8 = 8; // 11110100 1001____, 11110100 101_____, 11110101 and beyond
const SURROGATE: u8 = 16; // 11101101 101_____
const OVERLONG_2: u8 = 32; // 1100000_ 10______
const TOO_LARGE_1000: u8 = 64; // 11110101 1000____ and beyond; also OVERLONG_4: 11110000 1000____
const TWO_CONTINUATIONS: u8 = 128; // 10______ 10______
const CARRY: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS; // what the lower half of the first byte has no part in

/** By the upper half of the first byte, its lower half, and the upper half of the second. */
const FIRST_HIGH: usize = memory.data<u8>([
  TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
  TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS,
  TOO_SHORT | OVERLONG_2, TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | TOO_LARGE_1000,
]);
const BEYOND: u8 = CARRY | TOO_LARGE | TOO_LARGE_1000;
const FIRST_LOW: usize = memory.data<u8>([
  CARRY | OVERLONG_3 | OVERLONG_2 | TOO_LARGE_1000, CARRY | OVERLONG_2, CARRY, CARRY,
  CARRY | TOO_LARGE, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND | SURROGATE, BEYOND, BEYOND,
]);
const SECOND_HIGH: usize = memory.data<u8>([
  TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE_1000,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
  TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
  TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
]);

/** Not well-formed. */
export const MALFORMED: usize = 0;

/**
 * How far the text from `from` (where a code point begins) is known to be well-formed and without a quote, a backslash
 * or a control character: up to the first of these, or up to where fewer than 16 bytes are left before `end`. Returns
 * where the last whole code point ends, or MALFORMED.
 */
export function wellFormedEnd(from: usize, end: usize): usize {
  if (!ASC_FEATURE_SIMD) return from;
  let at = from;
  let before = i8x16.splat(0);
  while (end - at >= 16) {
    const chunk = v128.load(at);
    const wrong = i8x16.bitmask(i8x16.ne(faults(before, chunk), i8x16.splat(0)));
    const special = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(chunk, i8x16.splat(0x22)), i8x16.eq(chunk, i8x16.splat(0x5c))),
        i8x16.lt_u(chunk, i8x16.splat(0x20)),
      ),
    );
    if (special != 0) {
      // A code point that the special byte breaks off shows at that byte; what comes behind it is not the text's.
      const stop = ctz(special);
      return (wrong & ((2 << stop) - 1)) != 0 ? MALFORMED : at + <usize>stop;
    }
    if (wrong != 0) return MALFORMED;
    before = chunk;
    at += 16;
  }
  return lastWhole(from, at);
}

/** A byte that is not 0 wherever something is wrong with it and the up to three bytes before it. */
@inline
function faults(before: v128, chunk: v128): v128 {
  const low = i8x16.splat(0x0f);
  const first = i8x16.shuffle(before, chunk, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
  const second = i8x16.shuffle(before, chunk, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
  const third = i8x16.shuffle(before, chunk, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
  const pairs = v128.and(
    v128.and(
      i8x16.swizzle(v128.load(FIRST_HIGH), i8x16.shr_u(first, 4)),
      i8x16.swizzle(v128.load(FIRST_LOW), v128.and(first, low)),
    ),
    i8x16.swizzle(v128.load(SECOND_HIGH), i8x16.shr_u(chunk, 4)),
  );
  // The third byte of three and of four, and the fourth of four, must be continuations behind continuations.
  const later = v128.or(i8x16.sub_sat_u(second, i8x16.splat(0x60)), i8x16.sub_sat_u(third, i8x16.splat(0x70)));
  return v128.xor(v128.and(later, i8x16.splat(<i8>0x80)), pairs);
}

/** The end of the last whole code point before `at`, of text without a fault so far. */
function lastWhole(from: usize, at: usize): usize {
  let lead = at;
  while (lead > from && at - lead < 3 && isContinuation(load<u8>(lead - 1))) lead--;
  if (lead == from) return at;
  lead--;
  return lead + widthOf(load<u8>(lead)) > at ? lead : at;
}
