/**
 * Functions that cost more than a look into a table run once for all rows of a batch that have the same arguments: texts
 * of events repeat, as languages, user agents and paths do.
 *
 *   hash of the arguments -- table --> the first row that had them --> its result, if they are the same byte by byte
 *
 * Where they mostly are not, looking is given up for the rest of the batch, and for some batches after it. What comes out
 * is the same either way.
 */
import { hashKey } from './key';
import { allocateZeroed, isSame } from './memory';
import { Op } from './op';
import { Register } from './register';

/** Fewer rows do not repeat enough to look. */
const ROWS_MIN: usize = 64;

/** After so many rows it is decided whether looking pays: a quarter of them have to be repetitions. */
const TRIAL_ROWS: u32 = 256;
const TRIAL_SHARE: u32 = 4;

/** For so many batches nobody looks after one that did not pay. */
const REST_BATCHES: i32 = 15;

const TABLE_SIZE: u32 = 4096;
/** Rows that are kept to compare with; a table that is half full still has short probes. */
const KEPT_MAX: u32 = TABLE_SIZE >> 1;

/** (stamp u32, hash u32, row u32, unused u32): an entry of an older stamp is empty, so nothing is ever cleared. */
const ENTRY_SIZE: usize = 16;
const table: usize = allocateZeroed(<usize>TABLE_SIZE * ENTRY_SIZE);
let stamp: u32 = 0;

/** Is one run of the function worth more than a look? */
@inline
export function isCostly(op: i32): bool {
  switch (op) {
    case Op.REPLACE:
    case Op.REVERSE:
    case Op.PAD_START:
    case Op.PAD_END:
    case Op.LIKE:
    case Op.REGEX_CONTAINS:
    case Op.REGEX_EXTRACT:
    case Op.REGEX_REPLACE:
    case Op.REGEX_REPLACE_ALL:
      return true;
    default:
      return false;
  }
}

/** How a costly function is run over rows. */
type Run = (op: i32, target: Register, a: Register, b: Register, c: Register, from: usize, to: usize) => void;

/**
 * Runs a costly function over rows [from, to), each result once.
 *
 * @param rest where this instruction notes for how many batches it does not look, i32
 */
export function runDistinct(
  run: Run,
  op: i32,
  target: Register,
  a: Register,
  b: Register,
  c: Register,
  from: usize,
  to: usize,
  rest: usize,
): void {
  if (to - from < ROWS_MIN || isResting(rest)) return run(op, target, a, b, c, from, to);
  stamp++;
  let looked: u32 = 0;
  let found: u32 = 0;
  let kept: u32 = 0;
  for (let row = from; row < to; row++) {
    if (looked == TRIAL_ROWS && found < TRIAL_ROWS / TRIAL_SHARE) {
      store<i32>(rest, REST_BATCHES);
      return run(op, target, a, b, c, row, to);
    }
    if ((load<u8>(a.nulls + row) | load<u8>(b.nulls + row) | load<u8>(c.nulls + row)) != 0) {
      run(op, target, a, b, c, row, row + 1);
      continue;
    }
    looked++;
    const cell = a.values + (row << 3);
    const entry = entryOf(hashKey(op, <usize>load<u32>(cell), <usize>load<u32>(cell, 4)), a, b, c, row);
    if (load<u32>(entry) == stamp) {
      const first = <usize>load<u32>(entry, 8);
      store<u64>(target.values + (row << 3), load<u64>(target.values + (first << 3)));
      store<u8>(target.nulls + row, load<u8>(target.nulls + first));
      found++;
      continue;
    }
    run(op, target, a, b, c, row, row + 1);
    if (kept == KEPT_MAX) continue;
    store<u32>(entry, stamp);
    store<u32>(entry, <u32>row, 8);
    kept++;
  }
}

function isResting(rest: usize): bool {
  const batches = load<i32>(rest);
  if (batches == 0) return false;
  store<i32>(rest, batches - 1);
  return true;
}

/** Of an earlier row with the same arguments, or an empty one for this row. */
function entryOf(hash: u32, a: Register, b: Register, c: Register, row: usize): usize {
  let place = (hash ^ (hash >> 15)) & (TABLE_SIZE - 1);
  while (true) {
    const entry = table + <usize>place * ENTRY_SIZE;
    if (load<u32>(entry) != stamp) {
      store<u32>(entry, hash, 4);
      return entry;
    }
    if (load<u32>(entry, 4) == hash && isAlike(a, b, c, row, <usize>load<u32>(entry, 8))) return entry;
    place = (place + 1) & (TABLE_SIZE - 1);
  }
}

/** The first argument is a text. The others are mostly literals, whose cells are the same in every row: others count as different. */
@inline
function isAlike(a: Register, b: Register, c: Register, row: usize, other: usize): bool {
  if (changetype<usize>(b) != changetype<usize>(a) && !hasSameCells(b, row, other)) return false;
  if (changetype<usize>(c) != changetype<usize>(a) && !hasSameCells(c, row, other)) return false;
  if (hasSameCells(a, row, other)) return true;
  const x = a.values + (row << 3);
  const y = a.values + (other << 3);
  const length = load<u32>(x, 4);
  return length == load<u32>(y, 4) && isSame(<usize>load<u32>(x), <usize>load<u32>(y), <usize>length);
}

@inline
function hasSameCells(column: Register, row: usize, other: usize): bool {
  return load<u64>(column.values + (row << 3)) == load<u64>(column.values + (other << 3));
}
