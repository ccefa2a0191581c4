/**
 * The plainest instructions of expression.ts on many rows at once, where there is SIMD: in blocks of 16 rows, whose nulls are
 * one vector and whose values are eight. Each function returns the first row that it has left to its caller, who takes rows
 * one by one, and all of them where there is no SIMD; what comes out is the same.
 *
 * Under a null anything may stand, here as elsewhere. Nulls and bools that are there are 0 or 1.
 */
import { Op } from './op';
import { Register } from './register';

const BLOCK: usize = 16;

@inline
function endOfBlocks(from: usize, to: usize): usize {
  return from + ((to - from) & ~(BLOCK - 1));
}

/** What is null where either is. */
@inline
function joinNulls(target: Register, a: Register, b: Register, from: usize, end: usize): void {
  for (let row = from; row < end; row += BLOCK)
    v128.store(target.nulls + row, v128.or(v128.load(a.nulls + row), v128.load(b.nulls + row)));
}

/** Marks rows, two at a time, that a mask of two lanes has a bit for. It is seldom that there are any. */
@inline
function addNulls(target: Register, row: usize, lanes: v128): void {
  const mask = i64x2.bitmask(lanes);
  if (mask != 0) {
    store<u8>(target.nulls + row, load<u8>(target.nulls + row) | <u8>(mask & 1));
    store<u8>(target.nulls + row + 1, load<u8>(target.nulls + row + 1) | <u8>(mask >> 1));
  }
}

export function intLanes(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): usize {
  if (op != Op.ADD_INT && op != Op.SUBTRACT_INT) return from;
  const end = endOfBlocks(from, to);
  joinNulls(target, a, b, from, end);
  const isSum = op == Op.ADD_INT;
  for (let row = from; row < end; row += 2) {
    const at = row << 3;
    const x = v128.load(a.values + at);
    const y = v128.load(b.values + at);
    const result = isSum ? i64x2.add(x, y) : i64x2.sub(x, y);
    v128.store(target.values + at, result);
    // Beyond int64 the sign is neither that of x nor, in a sum, that of y.
    addNulls(target, row, v128.and(v128.xor(x, result), isSum ? v128.xor(y, result) : v128.xor(x, y)));
  }
  return end;
}

export function doubleLanes(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): usize {
  const end = endOfBlocks(from, to);
  joinNulls(target, a, b, from, end);
  switch (op) {
    case Op.ADD_DOUBLE:
      for (let at = from << 3; at < end << 3; at += 16)
        v128.store(target.values + at, f64x2.add(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    case Op.SUBTRACT_DOUBLE:
      for (let at = from << 3; at < end << 3; at += 16)
        v128.store(target.values + at, f64x2.sub(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    case Op.MULTIPLY_DOUBLE:
      for (let at = from << 3; at < end << 3; at += 16)
        v128.store(target.values + at, f64x2.mul(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    case Op.DIVIDE_DOUBLE:
      for (let row = from; row < end; row += 2) {
        const at = row << 3;
        const y = v128.load(b.values + at);
        v128.store(target.values + at, f64x2.div(v128.load(a.values + at), y));
        addNulls(target, row, f64x2.eq(y, f64x2.splat(0)));
      }
      break;
    default: // NEGATE_DOUBLE
      for (let at = from << 3; at < end << 3; at += 16)
        v128.store(target.values + at, f64x2.neg(v128.load(a.values + at)));
  }
  return end;
}

/** Of numbers; texts are compared one by one. */
export function comparisonLanes(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): usize {
  if (op > Op.LESS_OR_EQUAL_DOUBLE) return from;
  const end = endOfBlocks(from, to);
  joinNulls(target, a, b, from, end);
  switch (op) {
    case Op.EQUAL_INT:
      for (let at = from << 3; at < end << 3; at += 16)
        putTruth(target, at, i64x2.eq(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    case Op.LESS_INT:
      for (let at = from << 3; at < end << 3; at += 16)
        putTruth(target, at, i64x2.lt_s(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    case Op.LESS_OR_EQUAL_INT:
      for (let at = from << 3; at < end << 3; at += 16)
        putTruth(target, at, i64x2.le_s(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    case Op.EQUAL_DOUBLE:
      for (let at = from << 3; at < end << 3; at += 16)
        putTruth(target, at, f64x2.eq(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    case Op.LESS_DOUBLE:
      for (let at = from << 3; at < end << 3; at += 16)
        putTruth(target, at, f64x2.lt(v128.load(a.values + at), v128.load(b.values + at)));
      break;
    default: // LESS_OR_EQUAL_DOUBLE
      for (let at = from << 3; at < end << 3; at += 16)
        putTruth(target, at, f64x2.le(v128.load(a.values + at), v128.load(b.values + at)));
  }
  return end;
}

@inline
function putTruth(target: Register, at: usize, lanes: v128): void {
  v128.store(target.values + at, i64x2.shr_u(lanes, 63));
}

/** Three-valued, byte by byte: x and y are values, xn and yn say where they are null. */
export function logicLanes(op: i32, target: Register, a: Register, b: Register, from: usize, to: usize): usize {
  const end = endOfBlocks(from, to);
  const ones = i8x16.splat(1);
  for (let row = from; row < end; row += BLOCK) {
    const xn = v128.load(a.nulls + row);
    let isNull = xn;
    let result = xn;
    if (op == Op.IS_NULL) isNull = i8x16.splat(0);
    else {
      const x = truthsAt(a.values + (row << 3));
      if (op == Op.NOT) result = v128.xor(x, ones);
      else {
        const y = truthsAt(b.values + (row << 3));
        const yn = v128.load(b.nulls + row);
        // The other side decides where it is there, and false of AND, or true of OR.
        const isAnd = op == Op.AND;
        const xOpen = isAnd ? x : v128.xor(x, ones);
        const yOpen = isAnd ? y : v128.xor(y, ones);
        isNull = v128.or(v128.and(xn, v128.or(yn, yOpen)), v128.and(yn, xOpen));
        result = isAnd ? v128.and(x, y) : v128.or(v128.andnot(x, xn), v128.andnot(y, yn));
      }
      result = v128.and(result, v128.xor(isNull, ones));
    }
    v128.store(target.nulls + row, isNull);
    putTruths(target.values + (row << 3), result);
  }
  return end;
}

/** COALESCE: a, else b. SELECT: b where a is true, else c. */
export function choiceLanes(
  op: i32,
  target: Register,
  a: Register,
  b: Register,
  c: Register,
  from: usize,
  to: usize,
): usize {
  const end = endOfBlocks(from, to);
  const isSelect = op == Op.SELECT;
  const first = isSelect ? b : a;
  const second = isSelect ? c : b;
  for (let row = from; row < end; row += BLOCK) {
    let isFirst = v128.xor(v128.load(a.nulls + row), i8x16.splat(1));
    if (isSelect) isFirst = v128.and(isFirst, truthsAt(a.values + (row << 3)));
    const mask = i8x16.neg(isFirst);
    v128.store(target.nulls + row, v128.bitselect(v128.load(first.nulls + row), v128.load(second.nulls + row), mask));
    const at = row << 3;
    const low = i16x8.extend_low_i8x16_s(mask);
    const high = i16x8.extend_high_i8x16_s(mask);
    choose(target, first, second, at, i32x4.extend_low_i16x8_s(low));
    choose(target, first, second, at + 32, i32x4.extend_high_i16x8_s(low));
    choose(target, first, second, at + 64, i32x4.extend_low_i16x8_s(high));
    choose(target, first, second, at + 96, i32x4.extend_high_i16x8_s(high));
  }
  return end;
}

/** Four values, by a mask of 32 bits for each. */
@inline
function choose(target: Register, first: Register, second: Register, at: usize, mask: v128): void {
  const x = first.values + at;
  const y = second.values + at;
  const low = v128.bitselect(v128.load(x), v128.load(y), i64x2.extend_low_i32x4_s(mask));
  const high = v128.bitselect(v128.load(x, 16), v128.load(y, 16), i64x2.extend_high_i32x4_s(mask));
  v128.store(target.values + at, low);
  v128.store(target.values + at, high, 16);
}

/** The 16 bools at an address, of eight bytes each, as bytes. */
@inline
function truthsAt(at: usize): v128 {
  return i8x16.narrow_i16x8_u(
    i16x8.narrow_i32x4_u(fourAt(at), fourAt(at + 32)),
    i16x8.narrow_i32x4_u(fourAt(at + 64), fourAt(at + 96)),
  );
}

/** The low half of each of four words, and of that only what a bool may be. */
@inline
function fourAt(at: usize): v128 {
  return v128.and(v128.shuffle<i32>(v128.load(at), v128.load(at, 16), 0, 2, 4, 6), i32x4.splat(1));
}

@inline
function putTruths(at: usize, bytes: v128): void {
  const low = i16x8.extend_low_i8x16_u(bytes);
  const high = i16x8.extend_high_i8x16_u(bytes);
  putFour(at, i32x4.extend_low_i16x8_u(low));
  putFour(at + 32, i32x4.extend_high_i16x8_u(low));
  putFour(at + 64, i32x4.extend_low_i16x8_u(high));
  putFour(at + 96, i32x4.extend_high_i16x8_u(high));
}

@inline
function putFour(at: usize, four: v128): void {
  v128.store(at, i64x2.extend_low_i32x4_u(four));
  v128.store(at, i64x2.extend_high_i32x4_u(four), 16);
}
