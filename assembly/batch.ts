/**
 * A batch: the input that it is decoded from, what is known of each of its records and of each rejected line, and room beside
 * the input for names that had escapes.
 */
import { Bad, CLOCK_NONE } from './event_type';
import { allocate, release, roundedSize } from './memory';

/** Per record: its type (-1: not declared), its row in that type's frame (-1: none), time, the type's clock after it. */
export const recordType: usize = memory.data(4096 * 4, 16);
export const recordRow: usize = memory.data(4096 * 4, 16);

/** Per record of a type that may take one back: the row that it takes back besides adding its own (-1: none). */
export const recordBefore: usize = memory.data(4096 * 4, 16);
export const recordTime: usize = memory.data(4096 * 8, 16);
export const recordClock: usize = memory.data(4096 * 8, 16);

/** Per record that says what the row of its key is now: where that stands, and its length; no length where it is gone. */
export const recordText: usize = memory.data(4096 * 4, 16);
export const recordTextLength: usize = memory.data(4096 * 4, 16);

/** Per record: its line's place in the input, the line's number, why it is bad, and the input that made it so. */
export const recordStart: usize = memory.data(4096 * 4, 16);
export const recordLength: usize = memory.data(4096 * 4, 16);
export const recordLine: usize = memory.data(4096 * 4, 16);
export const recordBad: usize = memory.data(4096 * 4, 16);
export const recordInput: usize = memory.data(4096 * 4, 16);

/** Per record: where in that input, a fault of nested_input.ts; 0 where it is the input itself. */
export const recordWithin: usize = memory.data(4096 * 4, 16);
export let recordCount: i32 = 0;

/** A type's frame has no room for the rows of another record. */
export let isFrameFull: bool = false;

/** Position in the log of the batch's first record. */
export let firstPosition: i64 = 0;

/** Per rejected line: its number within the input, the problem, its place. */
export const rejectedLine: usize = memory.data(4096 * 4, 16);
export const rejectedProblem: usize = memory.data(4096 * 4, 16);
export const rejectedStart: usize = memory.data(4096 * 4, 16);
export const rejectedLength: usize = memory.data(4096 * 4, 16);
export let rejectedCount: i32 = 0;

/** Lines passed in this batch, blank ones and rejected ones too; and those of them that were read by their form. */
export let lineCount: i32 = 0;
export let formLineCount: i32 = 0;

/** Behind the input and the side buffer, for loads that are wider than what they are for. */
const SLACK: usize = 64;
let inputStart: usize = 0;
let inputCapacity: usize = 0;

/** The input buffer, at least `size` bytes; what was in it is lost when it has to grow. */
export function inputBuffer(size: usize): usize {
  if (size > inputCapacity) {
    if (inputStart != 0) release(inputStart, inputCapacity + SLACK);
    inputCapacity = roundedSize(size);
    inputStart = allocate(inputCapacity + SLACK);
    // Names of types are kept, each no longer than its line, and other names stand one at a time behind them.
    widenSide(inputCapacity * 2 + 64);
  }
  return inputStart;
}

/** Begins a batch of lines of the input, none of them taken yet; returns where the input starts. */
export function beginInput(from: usize, size: usize): usize {
  assert(from <= size && size <= inputCapacity);
  // Ends the input for guess.ts: no number, string or stretch goes on over a NUL byte.
  if (size != 0) store<u64>(inputStart + size, 0);
  rejectedCount = 0;
  lineCount = 0;
  formLineCount = 0;
  return inputStart;
}

/** Begins the records of the batch, the first of them at `position` in the log. */
export function beginRecords(position: i64): void {
  firstPosition = position;
  recordCount = 0;
  isFrameFull = false;
}

@inline
export function noteFullFrame(): void {
  isFrameFull = true;
}

/** One line more. */
@inline
export function noteLine(): void {
  lineCount++;
}

@inline
export function noteFormLine(): void {
  lineCount++;
  formLineCount++;
}

/** Enters a record of the type into the batch, with neither a row nor a fault. */
@inline
export function noteRecord(start: usize, end: usize, type: i32, micros: i64): usize {
  const index = <usize>recordCount;
  recordCount++;
  store<i32>(recordType + (index << 2), type);
  store<i32>(recordRow + (index << 2), -1);
  store<i64>(recordTime + (index << 3), micros);
  store<u32>(recordStart + (index << 2), <u32>(start - inputStart));
  store<u32>(recordLength + (index << 2), <u32>(end - start));
  store<i32>(recordLine + (index << 2), lineCount);
  store<i32>(recordBad + (index << 2), Bad.NONE);
  store<i32>(recordInput + (index << 2), -1);
  store<usize>(recordWithin + (index << 2), 0);
  store<i64>(recordClock + (index << 3), CLOCK_NONE);
  return index;
}

export function reject(start: usize, end: usize, reason: i32): void {
  const at = <usize>rejectedCount << 2;
  store<i32>(rejectedLine + at, lineCount);
  store<i32>(rejectedProblem + at, reason);
  store<u32>(rejectedStart + at, <u32>(start - inputStart));
  store<u32>(rejectedLength + at, <u32>(end - start));
  rejectedCount++;
}

let sideStart: usize = 0;
let sideCapacity: usize = 0;
let sideEnd: usize = 0;

/** Makes room for the names of a text, and forgets what was there. */
export function widenSide(size: usize): void {
  clearSide();
  if (size <= sideCapacity) return;
  if (sideStart != 0) release(sideStart, sideCapacity + SLACK);
  sideCapacity = roundedSize(size);
  sideStart = sideEnd = allocate(sideCapacity + SLACK);
}

/** Forgets the names of the record before. */
@inline
export function clearSide(): void {
  sideEnd = sideStart;
}

@inline
export function sideRoom(size: usize): usize {
  assert(sideEnd + size <= sideStart + sideCapacity);
  return sideEnd;
}

/** What was written where `sideRoom` said stands until the side is cleared. */
@inline
export function holdSide(size: usize): void {
  sideEnd += size;
}
