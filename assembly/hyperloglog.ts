/**
 * APPROX_COUNT_DISTINCT: a HyperLogLog of m = 2^precision registers (Flajolet et al. 2007).
 *
 *   1. hash      a value to 64 bits (xxhash.ts): text by its bytes, all else by its eight; -0 is 0, and every NaN one
 *   2. register  the upper `precision` bits choose it; it keeps the greatest rank, which is the place of the first 1 among
 *                the bits below, from 1 to 65 - precision, where there is none
 *   3. estimate  Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), the improved
 *                estimator: no thresholds, no tables of corrections, and nothing but + - * / and square roots
 *
 * Registers are a function of the set of values: their greatest over any parts, in any order, is that of the whole. The
 * standard error is 1.04 / sqrt(m).
 *
 *   unpacked  see Sketch: pairs of (index, rank) while few registers are not 0, else all registers, a byte each
 *
 * A state has one spelling, whichever of the two it is in memory: pairs up to m / 4 registers that are not 0, above that all
 * registers, in 6 bits each. Pairs are ordered by their index, but for those that a tile's batch still collects; who owns
 * them is as with LAST_N (last_n.ts).
 */
import { Arena } from './arena';
import { COLUMN_HEAD, closeColumn } from './columns';
import { REAL, TEXT, canonicalNaN } from './kind';
import { allocate, allocateZeroed, release } from './memory';
import { readVarint, varintNext, varintOk, writeVarint } from './varint';
import { hashBytes, hashWord } from './xxhash';

// A field of FeatureValue, as aggregate.ts has the others.
export const HYPERLOGLOG: i32 = 28;

/** An error of 26 percent; below that it says nothing. */
export const PRECISION_MIN: u32 = 4;
/** An error of 0.4 percent, in 48 KiB of every row that has seen many values. */
export const PRECISION_MAX: u32 = 16;

const REGISTERS_MAX: usize = 1 << 16;

@unmanaged
class Sketch {
  /** 0 in a state that nothing was merged into. */
  precision: u32;
  /** Of pairs. */
  count: u32;
  isDense: u32;
  isUnordered: u32;
  /** (index << 6 | rank), u32 each. */
  pairs: usize;
  capacity: u32;
  registers: usize;
  registersCapacity: u32;
}

export const HYPERLOGLOG_SIZE: usize = 32;
assert(offsetof<Sketch>() <= HYPERLOGLOG_SIZE);

/** Pairs and registers stay with the state when it is cleared. */
export const HYPERLOGLOG_CLEAR: usize = 16;

@inline
function sketchAt(state: usize): Sketch {
  return changetype<Sketch>(state);
}

@inline
function registerCount(sketch: Sketch): usize {
  return (<usize>1) << sketch.precision;
}

/** A state with more registers that are not 0 is written with all of them. */
@inline
function pairsMax(precision: u32): u32 {
  return (<u32>1 << precision) >> 2;
}

@inline
function pairAt(sketch: Sketch, index: u32): u32 {
  return load<u32>(sketch.pairs + (<usize>index << 2));
}

// --- 1. hash and 2. register: a batch's events, one by one

/** Where a batch's pairs and registers stand. */
const collected: Arena = Arena.make();

/** A new batch: the states of the last one are read. */
export function forgetSketches(): void {
  collected.reset();
}

/** Makes a state that is clear ready for `addHashed`. */
export function startSketch(state: usize, precision: u32): void {
  assert(precision >= PRECISION_MIN && precision <= PRECISION_MAX);
  const sketch = sketchAt(state);
  sketch.precision = precision;
  sketch.pairs = 0;
  sketch.capacity = 0;
}

/** How many pairs a batch collects, repeated ones too, before it takes registers: sorting them costs less so far. */
const COLLECTED_MAX: u32 = 64;
const CAPACITY_MIN: u32 = 4;

export function addHashed(state: usize, kind: i32, value: i64): void {
  const sketch = sketchAt(state);
  const pair = pairOf(hashOf(kind, value), sketch.precision);
  if (sketch.isDense == 0 && sketch.count == sketch.capacity) makeRoom(sketch);
  if (sketch.isDense != 0) return raise(sketch.registers, pair);
  if (sketch.count > 0 && pair >> 6 <= pairAt(sketch, sketch.count - 1) >> 6) sketch.isUnordered = 1;
  store<u32>(sketch.pairs + (<usize>sketch.count << 2), pair);
  sketch.count++;
}

@inline
function hashOf(kind: i32, value: i64): u64 {
  if (kind == TEXT) return hashBytes(<usize>(<u32>value), <usize>(value >>> 32));
  if (kind == REAL) return hashWord(value == i64.MIN_VALUE ? 0 : <u64>canonicalNaN(value));
  return hashWord(<u64>value);
}

@inline
function pairOf(hash: u64, precision: u32): u32 {
  const rest = hash << precision;
  const rank = rest == 0 ? 65 - precision : <u32>clz<u64>(rest) + 1;
  return (<u32>(hash >> (64 - precision)) << 6) | rank;
}

@inline
function raise(registers: usize, pair: u32): void {
  const register = registers + <usize>(pair >> 6);
  store<u8>(register, max(load<u8>(register), <u8>(pair & 63)));
}

function makeRoom(sketch: Sketch): void {
  if (sketch.count == COLLECTED_MAX) {
    const size = registerCount(sketch);
    const registers = collected.reserve(size);
    collected.keep(size);
    return spread(sketch, registers, size);
  }
  const capacity = max(CAPACITY_MIN, sketch.capacity << 1);
  const size = <usize>capacity << 2;
  const pairs = collected.reserve(size);
  collected.keep(size);
  memory.copy(pairs, sketch.pairs, <usize>sketch.count << 2);
  sketch.pairs = pairs;
  sketch.capacity = capacity;
}

/** Makes registers of pairs. */
function spread(sketch: Sketch, registers: usize, capacity: usize): void {
  memory.fill(registers, 0, registerCount(sketch));
  for (let i: u32 = 0; i < sketch.count; i++) raise(registers, pairAt(sketch, i));
  sketch.registers = registers;
  sketch.registersCapacity = <u32>capacity;
  sketch.isDense = 1;
  sketch.count = 0;
}

/** Puts the pairs of a batch in order; of those of one register the greatest remains. Few: by insertion. */
function settle(sketch: Sketch): void {
  if (sketch.isUnordered == 0) return;
  const pairs = sketch.pairs;
  for (let i: usize = 1; i < <usize>sketch.count; i++) {
    const pair = load<u32>(pairs + (i << 2));
    let to = i;
    for (; to > 0 && load<u32>(pairs + ((to - 1) << 2)) > pair; to--)
      store<u32>(pairs + (to << 2), load<u32>(pairs + ((to - 1) << 2)));
    store<u32>(pairs + (to << 2), pair);
  }
  let kept: usize = 0;
  for (let i: usize = 1; i < <usize>sketch.count; i++) {
    const pair = load<u32>(pairs + (i << 2));
    if (pair >> 6 != load<u32>(pairs + (kept << 2)) >> 6) kept++;
    store<u32>(pairs + (kept << 2), pair);
  }
  sketch.count = <u32>kept + 1;
  sketch.isUnordered = 0;
}

// --- merging

/** Pairs of a merge on their way into a state. */
let merging: usize = 0;

/** Merges the registers of `from` into `into`. Of two precisions the greater remains alone; no definition makes such. */
export function mergeSketch(into: usize, from: usize): void {
  const target = sketchAt(into);
  const source = sketchAt(from);
  if (source.precision < target.precision) return;
  if (source.precision > target.precision) {
    target.precision = source.precision;
    target.count = 0;
    target.isDense = 0;
  }
  if (source.isDense == 0 && source.count == 0) return;
  if (source.isDense == 0 && target.isDense == 0) return mergePairs(target, source);
  if (target.isDense == 0) ownRegisters(target);
  if (source.isDense == 0) for (let i: u32 = 0; i < source.count; i++) raise(target.registers, pairAt(source, i));
  else raiseAll(target.registers, source.registers, registerCount(target));
}

/** Both in order. */
function mergePairs(target: Sketch, source: Sketch): void {
  if (merging == 0) merging = allocate(<usize>pairsMax(PRECISION_MAX) << 3);
  let left: u32 = 0;
  let right: u32 = 0;
  let at = merging;
  for (; left < target.count || right < source.count; at += 4) {
    const ours = left < target.count ? pairAt(target, left) : u32.MAX_VALUE;
    const theirs = right < source.count ? pairAt(source, right) : u32.MAX_VALUE;
    const isOurs = ours >> 6 <= theirs >> 6;
    const isTheirs = theirs >> 6 <= ours >> 6;
    store<u32>(at, isOurs && isTheirs ? max(ours, theirs) : isOurs ? ours : theirs);
    left += <u32>isOurs;
    right += <u32>isTheirs;
  }
  const count = <u32>((at - merging) >> 2);
  if (count > pairsMax(target.precision)) {
    ownRegisters(target);
    for (let i: u32 = 0; i < source.count; i++) raise(target.registers, pairAt(source, i));
    return;
  }
  ownPairs(target, count);
  memory.copy(target.pairs, merging, <usize>count << 2);
  target.count = count;
}

/** Adds registers to others, eight at a time. They are below 64, so a byte of a difference has its upper bit where it is not below. */
function raiseAll(into: usize, from: usize, count: usize): void {
  for (let at: usize = 0; at < count; at += 8) {
    const theirs = load<u64>(from + at);
    if (theirs == 0) continue;
    const ours = load<u64>(into + at);
    const isOurs = ((((ours | UPPER) - theirs) & UPPER) >> 7) * 0xff;
    store<u64>(into + at, (ours & isOurs) | (theirs & ~isOurs));
  }
}

const UPPER: u64 = 0x8080808080808080;
const LOWER: u64 = 0x0101010101010101;

/** Makes registers of the pairs of a state that has a block of its own for them, or one that is large enough. */
function ownRegisters(sketch: Sketch): void {
  const size = registerCount(sketch);
  if (<usize>sketch.registersCapacity < size) {
    release(sketch.registers, <usize>sketch.registersCapacity);
    sketch.registers = allocate(size);
    sketch.registersCapacity = <u32>size;
  }
  spread(sketch, sketch.registers, <usize>sketch.registersCapacity);
}

function ownPairs(sketch: Sketch, count: u32): void {
  if (count <= sketch.capacity) return;
  const capacity = max(count, sketch.capacity << 1);
  release(sketch.pairs, <usize>sketch.capacity << 2);
  sketch.pairs = allocate(<usize>capacity << 2);
  sketch.capacity = capacity;
}

// --- 3. estimate

/** How many registers have each rank, u32 each. */
const histogram: usize = memory.data(64 * 4, 8);

@inline
function withRank(rank: u32): f64 {
  return <f64>load<u32>(histogram + (<usize>rank << 2));
}

function countRanks(sketch: Sketch): void {
  memory.fill(histogram, 0, 64 * 4);
  const size = registerCount(sketch);
  let zeros = size - <usize>sketch.count;
  for (let i: u32 = 0; i < sketch.count; i++) tally(pairAt(sketch, i) & 63);
  if (sketch.isDense != 0) {
    zeros = 0;
    for (let at: usize = 0; at < size; at += 8) {
      let word = load<u64>(sketch.registers + at);
      if (word == 0) zeros += 8;
      else for (let i = 0; i < 8; i++, word >>= 8) tally(<u32>(word & 63));
    }
  }
  store<u32>(histogram, load<u32>(histogram) + <u32>zeros);
}

@inline
function tally(rank: u32): void {
  const at = histogram + (<usize>rank << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** 1 / (2 ln 2) */
const ALPHA: f64 = 0.7213475204444817;

/** About how many distinct values there were. */
export function estimateSketch(state: usize): i64 {
  const sketch = sketchAt(state);
  if (sketch.isDense == 0 && sketch.count == 0) return 0;
  countRanks(sketch);
  const m = <f64>registerCount(sketch);
  const top = 65 - sketch.precision;
  let z = m * tau((m - withRank(top)) / m);
  for (let rank = top - 1; rank >= 1; rank--) z = 0.5 * (z + withRank(rank));
  z += m * sigma(withRank(0) / m);
  const estimate = Math.floor((ALPHA * m * m) / z + 0.5);
  return estimate < 9223372036854775807.0 ? <i64>estimate : i64.MAX_VALUE;
}

function sigma(x: f64): f64 {
  let power = x;
  let weight: f64 = 1;
  let sum = x;
  let last: f64;
  do {
    power *= power;
    last = sum;
    sum += power * weight;
    weight += weight;
  } while (sum != last);
  return sum;
}

function tau(x: f64): f64 {
  if (x == 0 || x == 1) return 0;
  let root = x;
  let weight: f64 = 1;
  let sum = 1 - x;
  let last: f64;
  do {
    root = Math.sqrt(root);
    last = sum;
    weight *= 0.5;
    sum -= (1 - root) * (1 - root) * weight;
  } while (sum != last);
  return sum / 3;
}

// --- encoding, as DistinctSketch of row.proto

const TAG_PRECISION: u8 = 0x08;
const TAG_PAIRS: u8 = 0x12;
const TAG_REGISTERS: u8 = 0x1a;

/** Room for what `encodeSketch` writes, with the ends of the words that it stores. */
export function sketchSizeMax(state: usize): usize {
  const sketch = sketchAt(state);
  return 64 + (sketch.isDense != 0 ? max(packedSize(sketch), <usize>pairsMax(sketch.precision) << 2) : <usize>sketch.count << 2);
}

/** Of all registers, in 6 bits each. */
@inline
function packedSize(sketch: Sketch): usize {
  return (registerCount(sketch) >> 3) * 6;
}

/** Writes the state as a DistinctSketch, and returns the end of it. */
export function encodeSketch(state: usize, out: usize): usize {
  const sketch = sketchAt(state);
  settle(sketch);
  if (sketch.precision == 0) return out;
  store<u8>(out, TAG_PRECISION);
  const at = out + 1 + writeVarint(out + 1, <u64>sketch.precision);
  const isDense = sketch.isDense != 0;
  const count = isDense ? presentCount(sketch) : sketch.count;
  if (count == 0) return at;
  if (count > pairsMax(sketch.precision)) return isDense ? writeRegisters(sketch, at) : writeSpread(sketch, at);
  return closeColumn(at, TAG_PAIRS, isDense ? writeFound(sketch, at + COLUMN_HEAD) : writePairs(sketch, at + COLUMN_HEAD));
}

/** Of the registers those that are not 0. */
function presentCount(sketch: Sketch): u32 {
  let count: u32 = 0;
  for (let at: usize = 0; at < registerCount(sketch); at += 8)
    count += <u32>popcnt<u64>((load<u64>(sketch.registers + at) + ~UPPER) & UPPER);
  return count;
}

/** A batch may collect more pairs than are written as such, of few registers. */
function writeSpread(sketch: Sketch, at: usize): usize {
  const size = registerCount(sketch);
  const registers = collected.reserve(size);
  collected.keep(size);
  spread(sketch, registers, size);
  return writeRegisters(sketch, at);
}

function writeRegisters(sketch: Sketch, out: usize): usize {
  store<u8>(out, TAG_REGISTERS);
  let at = out + 1 + writeVarint(out + 1, <u64>packedSize(sketch));
  for (let from: usize = 0; from < registerCount(sketch); from += 8, at += 6)
    store<u64>(at, packWord(load<u64>(sketch.registers + from)));
  return at;
}

/** Eight bytes below 64 in 48 bits. */
@inline
function packWord(word: u64): u64 {
  word = (word & 0x003f003f003f003f) | ((word & 0x3f003f003f003f00) >> 2);
  word = (word & 0x00000fff00000fff) | ((word & 0x0fff00000fff0000) >> 4);
  return (word & 0x0000000000ffffff) | ((word & 0x00ffffff00000000) >> 8);
}

@inline
function unpackWord(word: u64): u64 {
  word = (word & 0x0000000000ffffff) | ((word & 0x0000ffffff000000) << 8);
  word = (word & 0x00000fff00000fff) | ((word & 0x00fff00000fff000) << 4);
  return (word & 0x003f003f003f003f) | ((word & 0x0fc00fc00fc00fc0) << 2);
}

/** Indices as differences to the one before. */
function writePairs(sketch: Sketch, at: usize): usize {
  let last: u32 = 0;
  for (let i: u32 = 0; i < sketch.count; i++) {
    const pair = pairAt(sketch, i);
    at += writeVarint(at, <u64>(pair - (last & ~63)));
    last = pair;
  }
  return at;
}

/** The pairs of registers. */
function writeFound(sketch: Sketch, at: usize): usize {
  let last: usize = 0;
  for (let from: usize = 0; from < registerCount(sketch); from += 8) {
    let word = load<u64>(sketch.registers + from);
    for (let index = from; word != 0; index++, word >>= 8) {
      if ((word & 63) == 0) continue;
      at += writeVarint(at, (<u64>(index - last) << 6) | (word & 63));
      last = index;
    }
  }
  return at;
}

// --- decoding

/** Pairs and registers of the last two states that were decoded. */
let decodedPairs: usize = 0;
let decodedRegisters: usize = 0;
let isOdd: bool = false;

/** Unpacks the DistinctSketch in [from, end); false where the bytes are not its one canonical spelling. */
export function decodeSketch(from: usize, end: usize, state: usize): bool {
  if (decodedPairs == 0) {
    decodedPairs = allocate(<usize>pairsMax(PRECISION_MAX) << 3);
    decodedRegisters = allocateZeroed(REGISTERS_MAX << 1);
  }
  isOdd = !isOdd;
  const sketch = sketchAt(state);
  memory.fill(state, 0, HYPERLOGLOG_CLEAR);
  sketch.pairs = decodedPairs + (isOdd ? <usize>pairsMax(PRECISION_MAX) << 2 : 0);
  sketch.capacity = pairsMax(PRECISION_MAX);
  sketch.registers = decodedRegisters + (isOdd ? REGISTERS_MAX : 0);
  sketch.registersCapacity = <u32>REGISTERS_MAX;
  if (from >= end || load<u8>(from) != TAG_PRECISION) return false;
  const precision = readVarint(from + 1, end);
  if (!varintOk || precision < <u64>PRECISION_MIN || precision > <u64>PRECISION_MAX) return false;
  sketch.precision = <u32>precision;
  const at = varintNext;
  if (at == end) return true;
  const tag = load<u8>(at);
  const size = readVarint(at + 1, end);
  if (!varintOk || size == 0 || size != <u64>(end - varintNext)) return false;
  if (tag == TAG_PAIRS) return readPairs(sketch, varintNext, end);
  return tag == TAG_REGISTERS && size == <u64>packedSize(sketch) && readRegisters(sketch, varintNext, end);
}

function readPairs(sketch: Sketch, at: usize, end: usize): bool {
  const top = <u64>(65 - sketch.precision);
  let last: u64 = 0;
  while (at < end) {
    if (sketch.count == pairsMax(sketch.precision)) return false;
    const pair = readVarint(at, end);
    const rank = pair & 63;
    const index = last + (pair >> 6);
    // No register twice: only of the first may the difference be 0.
    if (!varintOk || rank == 0 || rank > top || (pair < 64 && sketch.count > 0)) return false;
    if (pair >> 6 >= <u64>registerCount(sketch) || index >= <u64>registerCount(sketch)) return false;
    store<u32>(sketch.pairs + (<usize>sketch.count << 2), <u32>((index << 6) | rank));
    sketch.count++;
    last = index;
    at = varintNext;
  }
  return true;
}

function readRegisters(sketch: Sketch, at: usize, end: usize): bool {
  // Added to a register above the greatest rank this reaches a byte's upper bit.
  const room = <u64>(127 - (65 - sketch.precision)) * LOWER;
  let isHigh: u64 = 0;
  for (let to: usize = 0; at < end; to += 8, at += 6) {
    const word = unpackWord(load<u64>(at) & 0x0000ffffffffffff);
    isHigh |= (word + room) & UPPER;
    store<u64>(sketch.registers + to, word);
  }
  sketch.isDense = 1;
  return isHigh == 0 && presentCount(sketch) > pairsMax(sketch.precision);
}
