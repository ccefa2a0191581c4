/**
 * What a batch's events hold beside columns and input: blocks of lists, maps and structs (nested.ts), texts without their
 * escapes, and what is wrong inside of them, or what is said of that (fault.ts). All of it stands until the next batch is decoded.
 *
 * The elements of a list are counted only when it ends, so they wait on a stack: those of an inner list above those of
 * the list that it stands in.
 */
import { Arena } from './arena';
import { Bytes } from './memory';
import { cellAt, nestedCell, nestedSize, nullAt } from './nested';
import { compareStrings } from './text';

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

/** Have there been too many in this event? */
@inline
export function isOverfull(): bool {
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

/** A list or a map that has a fault, and is lost with it, has no elements. */
@inline
export function dropList(start: usize): void {
  waiting.length = start;
}

/** (key u64, value u64, bad i32, null u32, inner u32, number u32) of entries whose maps have not ended. */
const ENTRY_SIZE: usize = 32;

/** `inner` is where in the value something is bad, and 0 where it is the value itself. */
export function addEntry(key: u64, value: u64, isNull: u8, bad: i32, inner: usize, number: i32): void {
  waiting.reserve(ENTRY_SIZE);
  const entry = waiting.end;
  store<u64>(entry, key);
  store<u64>(entry, value, 8);
  store<i32>(entry, bad, 16);
  store<u32>(entry, <u32>isNull, 20);
  store<u32>(entry, <u32>inner, 24);
  store<i32>(entry, number, 28);
  waiting.length += ENTRY_SIZE;
}

/** What is bad in a map that was ended: of the first key, in the order of their bytes, that something is bad for; else 0. */
export let mapFault: usize = 0;

/**
 * The cell of a map of all entries that have been waiting since its start, in the order of their keys' bytes; of equal keys the
 * last one counts.
 */
export function endMap(start: usize): u64 {
  const first = waiting.start + start;
  sortEntries(first, <i32>((waiting.length - start) / ENTRY_SIZE));
  const count = dropRepeated(first, <i32>((waiting.length - start) / ENTRY_SIZE));
  const block = makeBlock(count << 1);
  mapFault = 0;
  for (let i: i32 = 0; i < count; i++) {
    const entry = first + <usize>i * ENTRY_SIZE;
    store<u64>(cellAt(block, i), load<u64>(entry));
    store<u64>(cellAt(block, count + i), load<u64>(entry, 8));
    store<u8>(nullAt(block, count << 1, i), 0);
    store<u8>(nullAt(block, count << 1, count + i), load<u8>(entry, 20));
    const bad = load<i32>(entry, 16);
    if (bad != 0 && mapFault == 0) mapFault = makeFault(bad, i, <usize>load<u32>(entry, 24), load<u64>(entry));
  }
  waiting.length = start;
  return nestedCell(block, count << 1);
}

/** By key, and by the order in which they came: a heap, for whoever writes an event decides in what order they come. */
function sortEntries(first: usize, count: i32): void {
  let isSorted = true;
  for (let i: i32 = 1; isSorted && i < count; i++)
    isSorted = compareEntries(first + <usize>(i - 1) * ENTRY_SIZE, first + <usize>i * ENTRY_SIZE) < 0;
  if (isSorted) return;
  for (let i = (count >> 1) - 1; i >= 0; i--) sink(first, i, count);
  for (let last = count - 1; last > 0; last--) {
    swapEntries(first, first + <usize>last * ENTRY_SIZE);
    sink(first, 0, last);
  }
}

/** Lets the entry at `index` sink until none below it comes after it. */
function sink(first: usize, index: i32, count: i32): void {
  for (let below = (index << 1) + 1; below < count; below = (index << 1) + 1) {
    const left = first + <usize>below * ENTRY_SIZE;
    if (below + 1 < count && compareEntries(left, left + ENTRY_SIZE) < 0) below++;
    const child = first + <usize>below * ENTRY_SIZE;
    const at = first + <usize>index * ENTRY_SIZE;
    if (compareEntries(at, child) >= 0) return;
    swapEntries(at, child);
    index = below;
  }
}

@inline
function compareEntries(x: usize, y: usize): i32 {
  const order = compareStrings(x, y);
  return order != 0 ? order : load<i32>(x, 28) - load<i32>(y, 28);
}

@inline
function swapEntries(x: usize, y: usize): void {
  for (let i: usize = 0; i < ENTRY_SIZE; i += 8) {
    const word = load<u64>(x + i);
    store<u64>(x + i, load<u64>(y + i));
    store<u64>(y + i, word);
  }
}

/** Of equal keys, which stand side by side, the last one stays. Returns how many entries are left. */
function dropRepeated(first: usize, count: i32): i32 {
  let kept: i32 = 0;
  for (let i: i32 = 0; i < count; i++) {
    const entry = first + <usize>i * ENTRY_SIZE;
    if (i + 1 < count && compareStrings(entry, entry + ENTRY_SIZE) == 0) continue;
    memory.copy(first + <usize>(kept++) * ENTRY_SIZE, entry, ENTRY_SIZE);
  }
  return kept;
}

const FAULT_SIZE: usize = 24;

/**
 * (bad i32, number i32, inner u32, 0 u32, key u64): what is bad in the element or field of that number, or in what a map has
 * for that key (a text's cell), and where in there; `inner` is 0 where it is the value itself.
 */
export function makeFault(bad: i32, number: i32, inner: usize, key: u64): usize {
  const fault = arena.reserve(FAULT_SIZE);
  keep(FAULT_SIZE);
  store<i32>(fault, bad);
  store<i32>(fault, number, 4);
  store<u64>(fault, <u64>inner, 8);
  store<u64>(fault, key, 16);
  return fault;
}

@inline
export function badOf(fault: usize): i32 {
  return load<i32>(fault);
}
