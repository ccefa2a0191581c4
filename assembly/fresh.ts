/**
 * Rows that have come to be since gathered events began to be folded: of tiles that begin where memory had all rows then. Keys come one
 * after the other, and rows of those that are done leave memory; of a key none of whose fresh rows has left, what memory does not have
 * of them is nowhere. Without knowing that the store would be asked for the rows of all tiles that are new.
 */
import { addToFilter, filterHash, mayHave } from './filter';
import { take } from './occupied';
import { FILTER_MAX, FILTER_SHARE, Stratum, strata } from './stratum';

/** Of keys that fresh rows of have left, by their hash; made for the first of them. */
let departed: usize = 0;
let departedSize: usize = 0;
let isAnyDeparted: bool = false;

/** Gathered events are going to be folded. */
export function beginFresh(): void {
  if (isAnyDeparted) memory.fill(departed, 0, departedSize);
  isAnyDeparted = false;
  for (let at = strata; at != 0; at = changetype<Stratum>(at).next) {
    const stratum = changetype<Stratum>(at);
    stratum.freshFrom = stratum.floor;
  }
}

/** A fresh row of a key leaves memory, where rows may occupy so many bytes. */
export function noteDeparted(hash: u32, targetBytes: f64): void {
  if (departed == 0) {
    const most = min<f64>(targetBytes / <f64>FILTER_SHARE, <f64>FILTER_MAX);
    departedSize = <usize>1 << (31 - clz<u32>(max<u32>(<u32>most, 64)));
    departed = take(departedSize);
    memory.fill(departed, 0, departedSize);
  }
  isAnyDeparted = true;
  addToFilter(departed, departedSize, filterHash(hash, 0));
}

/** There is no such row in the store, nor any that is put away; false where that is not known. */
export function isFresh(stratum: Stratum, hash: u32, tileStart: i64): bool {
  if (tileStart < stratum.freshFrom) return false;
  return !isAnyDeparted || !mayHave(departed, departedSize, filterHash(hash, 0));
}
