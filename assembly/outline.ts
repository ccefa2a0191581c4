/**
 * Rows of integers alone, kept as their numbers.
 *
 * Nearly all rows have nothing but counts, and sums, means and extremes of int64. What tells two rows of one set apart is then
 * the numbers at the ends of their entries (whole.ts); all else, ids and cases, is their outline, and known once, however many
 * rows have it. So a row is closed to its numbers, each as it stands in its entry, and opened again to the same bytes:
 *
 *   0A 06 08 01 12 02 | 08 0C      0A 09 08 02 12 05 | 12 03 08 A0 3F      two entries, closed to 0C A0 3F
 *
 * A mean has two numbers, its sum and its count. A row with anything else in it, or with a number of more than eight bytes, has
 * no outline, and is kept as it is.
 */
import { MAX, MEAN, MIN, caseOf } from './aggregate';
import { allocateZeroed } from './memory';
import { Head, entryEnd, entryId, entryValue, readEntry } from './row';
import { WORD_MAX, joinWord, unzigzag, wordSize, zigzag } from './varint';
import { numbersHead, numbersNext, putNumbers, takeNumbers, writeWord } from './whole';

/** A row of more is kept as it is. */
const NUMBERS_MAX: i32 = 64;

/** Of a longer id no word says all that comes before a value (row.ts). */
const ID_MAX: i32 = 0x3fff;

/** Rows of a kind and a level have one outline, or a few where sets share them; rows of further ones are kept as they are. */
export const OUTLINES_MAX: u32 = 1024;

/** What an outline says of one number. */
@unmanaged
export class Part {
  /** The id and the case of the entry that it is of. */
  entry: u32;
  /** What that begins with. */
  head: Head;

  @inline
  get id(): i32 {
    return <i32>(this.entry >> 8);
  }

  @inline
  get aggregateCase(): i32 {
    return <i32>(this.entry & 0xff);
  }
}

/** Its parts follow. */
@unmanaged
export class Outline {
  number: u32;
  hash: u32;
  count: i32;
  /** What a row of it takes beside its numbers. */
  size: u32;
  /** Of the same bucket. */
  next: usize;
}

/** Addresses of outlines (u32): by number, the first of which is 1, and the first one of each bucket. */
const outlines: usize = memory.data(1024 * 4, 8);
const buckets: usize = memory.data(256 * 4, 8);
const BUCKETS: u32 = 256;
let outlineCount: u32 = 0;

@inline
export function outlineAt(number: u32): Outline {
  return changetype<Outline>(<usize>load<u32>(outlines + (<usize>(number - 1) << 2)));
}

@inline
export function partAt(outline: Outline, index: i32): Part {
  return changetype<Part>(changetype<usize>(outline) + offsetof<Outline>() + <usize>index * offsetof<Part>());
}

@inline
function entryOf(id: i32, aggregateCase: i32): u32 {
  return (<u32>id << 8) | <u32>aggregateCase;
}

// --- closed

/** Numbers that were made last: of eight bytes at most, stored in whole words. */
export const closed: usize = memory.data(64 * 8 + 8, 8);
export let closedLength: usize = 0;

/** Of each number of the row that is being closed its entry (u32). */
const said: usize = memory.data(64 * 4, 8);

/** Closes the row in [at, end) to `closed`; returns the number of its outline, 0 where it has none. */
export function closeRow(at: usize, end: usize): u32 {
  let to = closed;
  let count = 0;
  let hash: u32 = 0;
  for (let last = 0; at < end; at = entryEnd) {
    if (!readEntry(at, end) || entryId <= last || entryId > ID_MAX) return 0;
    last = entryId;
    const aggregateCase = caseOf(entryValue, entryEnd);
    const more = aggregateCase == MEAN ? 2 : 1;
    if (count + more > NUMBERS_MAX) return 0;
    const size = takeNumbers(aggregateCase, entryValue, entryEnd, to);
    if (size == 0) return 0;
    to += size;
    const entry = entryOf(entryId, aggregateCase);
    hash = (hash ^ entry) * 0x9e3779b1;
    for (const after = count + more; count < after; count++) store<u32>(said + (<usize>count << 2), entry);
  }
  closedLength = to - closed;
  return count == 0 ? 0 : numberOf(hash ^ (hash >> 15), count);
}

/** The number of the outline that is `said`; a new one where it never was before, 0 where there are too many. */
function numberOf(hash: u32, count: i32): u32 {
  const bucket = buckets + (<usize>(hash & (BUCKETS - 1)) << 2);
  for (let at = <usize>load<u32>(bucket); at != 0; at = changetype<Outline>(at).next)
    if (isSaid(changetype<Outline>(at), hash, count)) return changetype<Outline>(at).number;
  if (outlineCount == OUTLINES_MAX) return 0;
  const outline = changetype<Outline>(allocateZeroed(offsetof<Outline>() + <usize>count * offsetof<Part>()));
  outline.number = ++outlineCount;
  outline.hash = hash;
  outline.count = count;
  outline.next = <usize>load<u32>(bucket);
  for (let i = 0; i < count; i++) {
    const part = partAt(outline, i);
    part.entry = load<u32>(said + (<usize>i << 2));
    part.head = headOf(part.entry);
    if (i == 0 || partAt(outline, i - 1).entry != part.entry)
      outline.size += <u32>(part.head.size + numbersHead(part.aggregateCase));
  }
  store<u32>(bucket, <u32>changetype<usize>(outline));
  store<u32>(outlines + (<usize>(outline.number - 1) << 2), <u32>changetype<usize>(outline));
  return outline.number;
}

/** A head that outlines share. */
@unmanaged
class Shared {
  entry: u32;
  head: Head;
  /** Of the same bucket. */
  next: usize;
}

/** Addresses (u32) of the first one of each bucket. */
const heads: usize = memory.data(256 * 4, 8);

/** What entries of an id and a case begin with. */
export function headOf(entry: u32): Head {
  const bucket = heads + (<usize>((entry ^ (entry >> 8)) & (BUCKETS - 1)) << 2);
  for (let at = <usize>load<u32>(bucket); at != 0; at = changetype<Shared>(at).next)
    if (changetype<Shared>(at).entry == entry) return changetype<Shared>(at).head;
  const shared = changetype<Shared>(allocateZeroed(offsetof<Shared>()));
  shared.entry = entry;
  shared.head = Head.make(<i32>(entry >> 8), <i32>(entry & 0xff));
  shared.next = <usize>load<u32>(bucket);
  store<u32>(bucket, <u32>changetype<usize>(shared));
  return shared.head;
}

function isSaid(outline: Outline, hash: u32, count: i32): bool {
  if (outline.hash != hash || outline.count != count) return false;
  for (let i = 0; i < count; i++) if (partAt(outline, i).entry != load<u32>(said + (<usize>i << 2))) return false;
  return true;
}

/** What a closed row takes that is opened. */
@inline
export function openedSize(number: u32, numbersLength: usize): usize {
  return <usize>outlineAt(number).size + numbersLength;
}

// --- merged

/** Numbers that were merged last, as `closed` has them. */
export const merged: usize = memory.data(64 * 8 + 8, 8);
export let mergedLength: usize = 0;

/**
 * Merges the numbers of two closed rows into `merged`. False where the other one has an entry that this one has not, or where a
 * number would take more bytes.
 */
export function mergeClosed(own: u32, numbers: usize, foreign: u32, others: usize): bool {
  const outline = outlineAt(own);
  const other = outlineAt(foreign);
  let to = merged;
  let found = 0;
  for (let i = 0; i < outline.count; i++) {
    const part = partAt(outline, i);
    let number = numberAt(numbers);
    numbers = numberNext;
    if (found < other.count && partAt(other, found).entry == part.entry) {
      number = mergeBoth(part.aggregateCase, number, numberAt(others));
      others = numberNext;
      if (zigzag(number) > WORD_MAX) return false;
      found++;
    }
    to += writeWord(to, zigzag(number));
  }
  mergedLength = to - merged;
  return found == other.count;
}

/** Behind the number that was read last. */
export let numberNext: usize = 0;

/** A number of a closed row. */
@inline
export function numberAt(at: usize): i64 {
  const word = load<u64>(at);
  const size = wordSize(word);
  numberNext = at + size;
  return unzigzag(joinWord(word, size));
}

/** Numbers of eight bytes add up without running over. */
@inline
function mergeBoth(aggregateCase: i32, one: i64, other: i64): i64 {
  if (aggregateCase == MIN) return min(one, other);
  return aggregateCase == MAX ? max(one, other) : one + other;
}

// --- opened

/** Room for a row that is opened: of each entry a head of seven bytes and a value of 22 at most, stored in whole words. */
export const OPENED_MAX: usize = 64 * 29 + 16;
const opened: usize = memory.data(<i32>OPENED_MAX, 16);

/** Where the row is that was opened last: until the next one is. */
export let openStart: usize = 0;
export let openEnd: usize = 0;

/** Opens a row that has an outline, and so numbers, or that has none. */
@inline
export function open(number: u32, at: usize, length: usize): void {
  openStart = number == 0 ? at : opened;
  openEnd = number == 0 ? at + length : opened + openClosed(number, at, opened);
}

/** Writes the row that was closed to these numbers; returns its length. */
export function openClosed(number: u32, numbers: usize, to: usize): usize {
  const outline = outlineAt(number);
  const start = to;
  for (let i = 0; i < outline.count; i++) {
    const part = partAt(outline, i);
    const size = putNumbers(part.aggregateCase, numbers, to + part.head.size);
    part.head.write(to, size);
    to += part.head.size + size;
    numbers = numbersNext;
    if (part.aggregateCase == MEAN) i++;
  }
  return to - start;
}
