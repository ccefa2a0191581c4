/**
 * What is known of all rows of one kind and level together: from where on memory has all of them, how far they go, and, of some, a filter
 * of those that there may be.
 */
import { addToFilter, filterHash, mayHave } from './filter';
import { allocateZeroed } from './memory';
import { take } from './occupied';

/** What is known of all rows of one kind and level together. A short list: there are few kinds and levels. */
@unmanaged
export class Stratum {
  kind: i32;
  levelMs: i64;
  next: usize;
  /** Every row that starts at or above it is in memory. */
  floor: i64;
  /** The greatest tile start of any row, in memory or in the store. */
  highest: i64;
  /** Every row that starts at or above `filteredFrom`, in memory or in the store, is in the filter; 0 where there is none. */
  filter: usize;
  filteredFrom: i64;
  /** The floor when gathered events began to be folded (fresh.ts). */
  freshFrom: i64;
}

export let strata: usize = 0;

/** Others write rows to the store, too: of none it is known that there is none there. */
export let isShared: bool = false;

/** Before anything is folded. */
export function shareStore(): void {
  assert(strata == 0);
  isShared = true;
}

/** How many levels entities of a kind mostly have. */
export function levelsOf(kind: i32): i32 {
  let count = 0;
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) if (changetype<Stratum>(at).kind == kind) count++;
  return max(1, count);
}

export function stratumFor(kind: i32, levelMs: i64): Stratum {
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) {
    const known = changetype<Stratum>(at);
    if (known.kind == kind && known.levelMs == levelMs) return known;
  }
  const stratum = changetype<Stratum>(allocateZeroed(offsetof<Stratum>()));
  stratum.kind = kind;
  stratum.levelMs = levelMs;
  stratum.next = strata;
  stratum.floor = isShared ? i64.MAX_VALUE : i64.MIN_VALUE;
  stratum.highest = i64.MIN_VALUE;
  stratum.filteredFrom = i64.MIN_VALUE;
  stratum.freshFrom = i64.MAX_VALUE;
  strata = changetype<usize>(stratum);
  if (filterSize != 0) makeFilter(stratum);
  return stratum;
}

/** For a restart: the store has rows of this kind and level up to this tile. */
export function setHighest(kind: i32, levelMs: f64, tileStart: f64): void {
  const stratum = stratumFor(kind, <i64>levelMs);
  stratum.highest = max(stratum.highest, <i64>tileStart);
  stratum.floor = max(stratum.floor, stratum.highest + 1);
}

/** Of shorter tiles there are few that are below the floor and have no row. */
const FILTERED_MS: i64 = 3_600_000;

/** Of what rows may take, so much for each filter, and so much for all of them; and no filter is larger than this. */
export const FILTER_SHARE: u32 = 32;
const FILTERS_SHARE: u32 = 4;
export const FILTER_MAX: usize = 4 << 20;

/** What each takes; 0 before the first row has left. */
export let filterSize: usize = 0;

/** What is left for more of them. */
let filterRoom: usize = 0;

/** Makes those of all strata, with no row in them; false where there is no room for any. */
export function makeFilters(targetBytes: usize): bool {
  const most = min(targetBytes / FILTER_SHARE, FILTER_MAX);
  // A smaller one would be one block of a row or two.
  if (most < 64) return false;
  filterSize = <usize>1 << (31 - clz<u32>(<u32>most));
  filterRoom = targetBytes / FILTERS_SHARE;
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) makeFilter(changetype<Stratum>(at));
  return true;
}

/** Without one row that it could know, where memory does not have all there are. */
function makeFilter(stratum: Stratum): void {
  const isFiltered = stratum.levelMs == 0 || stratum.levelMs >= FILTERED_MS;
  if (!isFiltered || filterSize > filterRoom) return;
  filterRoom -= filterSize;
  stratum.filter = take(filterSize);
  memory.fill(stratum.filter, 0, filterSize);
  stratum.filteredFrom = stratum.floor == i64.MIN_VALUE ? stratum.highest : stratum.highest + 1;
}

/** A row more: with the first one of a new tile those of the tiles before it are forgotten. */
export function noteInFilter(stratum: Stratum, hash: u32, tileStart: i64): void {
  if (tileStart > stratum.highest) {
    memory.fill(stratum.filter, 0, filterSize);
    stratum.filteredFrom = tileStart;
  }
  if (tileStart >= stratum.filteredFrom) putInFilter(stratum, hash, tileStart);
}

@inline
export function putInFilter(stratum: Stratum, hash: u32, tileStart: i64): void {
  addToFilter(stratum.filter, filterSize, filterHash(hash, tileStart));
}

/** There is no such row, neither in memory nor in the store; false where that is not known. */
export function isNew(stratum: Stratum, hash: u32, tileStart: i64): bool {
  if (stratum.filter == 0 || tileStart < stratum.filteredFrom) return false;
  return !mayHave(stratum.filter, filterSize, filterHash(hash, tileStart));
}
