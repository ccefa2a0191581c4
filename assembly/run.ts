/**
 * Runs: rows in order of their addresses, as a store has them (src/store/pack.ts and address.ts), so that nobody has to put
 * them in order, or to look at each of them, on their way from memory into it.
 *
 *   shared | added | address bytes | length | value                                        one row; the numbers are varints
 *   entity u32 | key, each 00 as 00 01, then 00 00 | level u48 | tile start + 2^55 as u56  its address, big-endian
 *
 * `shared` is how many bytes the address has in common with the one before it, none at the start of a part; `added` how many
 * follow. The value of a row that is unread begins with a mark (addends.ts).
 */
import { ADDEND } from './addends';
import { Bytes, copyLoosely } from './memory';
import { writeVarint } from './varint';

/** Level and tile start. */
export const TAIL_SIZE: usize = 6 + 7;
const LEVEL_BITS: i64 = 48;
const START_BITS: i64 = 56;

/** Added to tile starts, so that those before 1970 come first. */
export const START_OFFSET: i64 = <i64>1 << 55;

/** Three varints of lengths, and the ends of loose copies. */
const OVERHEAD_MAX: usize = 64;

/** Entity and key of the row before, then its level and its tile start. */
export const head: Bytes = Bytes.make();
let lastLevel: i64 = 0;
let lastStart: i64 = 0;
/** The part has a row. */
let isBegun: bool = false;
/** The key has a row in this part. */
export let isSameKey: bool = false;

/** A row of the key was put elsewhere (sealing.ts). */
export function setSameKey(): void {
  isSameKey = true;
  isBegun = true;
}

/** What a key's first row has in common with the row before it. */
export let sharedHead: usize = 0;

/** A part begins: its first row is spelt in full. */
export function beginPart(): void {
  isBegun = false;
  isSameKey = false;
  sharedHead = 0;
}

/** The rows that follow are of this key. */
export function beginKey(entity: i32, key: usize, length: usize): void {
  const before = head.length;
  // Behind the last key's bytes, so that both can be compared; then moved to the front.
  head.reserve(4 + (length << 1) + 2);
  let at = head.start + before;
  store<u32>(at, bswap<u32>(<u32>entity));
  at += 4;
  for (let i: usize = 0; i < length; i++) {
    const byte = load<u8>(key + i);
    store<u8>(at++, byte);
    if (byte == 0) store<u8>(at++, 1);
  }
  store<u16>(at, 0);
  const size = at + 2 - (head.start + before);
  let shared: usize = 0;
  const alike = min(before, size);
  while (shared < alike && load<u8>(head.start + shared) == load<u8>(head.start + before + shared)) shared++;
  sharedHead = isBegun ? shared : 0;
  memory.copy(head.start, head.start + before, size);
  head.length = size;
  isSameKey = false;
}

/**
 * Appends a row of the key. Rows come in order of level and tile start.
 *
 * @param isAddend older runs may have more of it
 */
export function appendRow(out: Bytes, levelMs: i64, tileStart: i64, value: usize, length: usize, isAddend: bool): void {
  const start = tileStart + START_OFFSET;
  const shared = isSameKey ? head.length + sharedTail(levelMs ^ lastLevel, start ^ lastStart) : sharedHead;
  const added = head.length + TAIL_SIZE - shared;
  out.reserve(OVERHEAD_MAX + added + length);
  let at = out.end;
  at += writeVarint(at, <u64>shared);
  at += writeVarint(at, <u64>added);
  if (shared < head.length) {
    const rest = head.length - shared;
    copyLoosely(at, head.start + shared, rest);
    at += rest;
  }
  const skipped = shared > head.length ? shared - head.length : 0;
  writeTail(at, levelMs, start, skipped);
  at += TAIL_SIZE - skipped;
  at += writeVarint(at, <u64>length + <u64>isAddend);
  if (isAddend) store<u8>(at++, ADDEND);
  copyLoosely(at, value, length);
  out.length = at + length - out.start;
  lastLevel = levelMs;
  lastStart = start;
  isSameKey = true;
  isBegun = true;
}

/** How many bytes two tails begin with alike, of which these are the differences; never all of them. */
@inline
export function sharedTail(levels: i64, starts: i64): usize {
  if (levels != 0) return <usize>((clz<i64>(levels) - (64 - LEVEL_BITS)) >> 3);
  return 6 + <usize>((clz<i64>(starts) - (64 - START_BITS)) >> 3);
}

/** Level and tile start but for the first bytes of them; the word behind them is written too. */
@inline
export function writeTail(at: usize, levelMs: i64, start: i64, skipped: usize): void {
  if (skipped < 6) {
    store<u64>(at, bswap<u64>(<u64>levelMs << (16 + (<u64>skipped << 3))));
    store<u64>(at + 6 - skipped, bswap<u64>(<u64>start << 8));
  } else store<u64>(at, bswap<u64>(<u64>start << (8 + (<u64>(skipped - 6) << 3))));
}
