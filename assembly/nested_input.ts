/**
 * What a batch's events hold beside columns and input: blocks of lists and structs (nested.ts), texts without their
 * escapes, and what is wrong inside of lists and structs. All of it stands until the next batch is decoded.
 *
 * The elements of a list are counted only when it ends, so they wait on a stack: those of an inner list above those of
 * the list that it stands in.
 */
import { Arena } from './arena';
import { Bytes } from './memory';
import { cellAt, nestedCell, nestedSize, nullAt } from './nested';

/**
 * Elements and fields of all lists and structs of one event. A line may have half as many bytes, so that no list of
 * scalars is too large; but three bytes may stand for a struct of a thousand optional fields.
 */
export const NESTED_VALUES_MAX: i32 = 1 << 20;

/** A batch ends with the event that takes it beyond this: what is beside the columns is bounded as they are. */
const BATCH_SIZE_MAX: usize = 16 << 20;

const arena: Arena = Arena.make();
let size: usize = 0;
let valueCount: i32 = 0;

/** (value u64, null u64) of elements whose lists have not ended. */
const waiting: Bytes = Bytes.make();
const WAITING_SIZE: usize = 16;

/** Forgets the last batch. */
export function beginBatch(): void {
  arena.reset();
  size = 0;
}

@inline
export function isBatchFull(): bool {
  return size > BATCH_SIZE_MAX;
}

export function beginEvent(): void {
  valueCount = 0;
  waiting.length = 0;
}

/** Room for a text of at most `length` bytes, to be written before anything else is made; then `keepText`. */
@inline
export function textRoom(length: usize): usize {
  return arena.reserve(roundedUp(length));
}

@inline
export function keepText(length: usize): void {
  keep(roundedUp(length));
}

@inline
function roundedUp(length: usize): usize {
  return (length + 7) & ~(<usize>7);
}

@inline
function keep(length: usize): void {
  arena.keep(length);
  size += length;
}

/** Of one event: are `count` values more too many? */
@inline
export function isTooMany(count: i32): bool {
  valueCount += count;
  return valueCount > NESTED_VALUES_MAX;
}

/** A block whose cells and nulls are still to be written. */
export function makeBlock(count: i32): usize {
  const length = nestedSize(<usize>count);
  const block = arena.reserve(length);
  keep(length);
  return block;
}

/** Where the elements of a list that begins now will wait. */
@inline
export function listStart(): usize {
  return waiting.length;
}

@inline
export function addElement(value: u64, isNull: u8): void {
  waiting.reserve(WAITING_SIZE);
  store<u64>(waiting.end, value);
  store<u64>(waiting.end, <u64>isNull, 8);
  waiting.length += WAITING_SIZE;
}

/** The cell of a list of all elements that have been waiting since its start. */
export function endList(start: usize): u64 {
  const count = <i32>((waiting.length - start) / WAITING_SIZE);
  const block = makeBlock(count);
  for (let i: i32 = 0; i < count; i++) {
    const from = waiting.start + start + <usize>i * WAITING_SIZE;
    store<u64>(cellAt(block, i), load<u64>(from));
    store<u8>(nullAt(block, count, i), load<u8>(from, 8));
  }
  waiting.length = start;
  return nestedCell(block, count);
}

/** A list that has a fault has no elements. */
@inline
export function dropList(start: usize): void {
  waiting.length = start;
}

const FAULT_SIZE: usize = 16;

/**
 * (bad i32, number i32, inner u32): what is bad in the element or field of that number, and where in there; `inner` is 0
 * where it is the value itself.
 */
export function makeFault(bad: i32, number: i32, inner: usize): usize {
  const fault = arena.reserve(FAULT_SIZE);
  keep(FAULT_SIZE);
  store<i32>(fault, bad);
  store<i32>(fault, number, 4);
  store<usize>(fault, inner, 8);
  return fault;
}

@inline
export function badOf(fault: usize): i32 {
  return load<i32>(fault);
}
