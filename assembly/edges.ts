/**
 * Edges of a window over a strand: of each step who reads, by which step its window begins, and by which it is over. Of keys whose steps
 * are in order of time, and once for all that is read over the same window.
 *
 *      millis of a key        10  20  30  40  50        a window of 25
 *      lows                   s0  s0  s1  s2  s3        the first step at or after the moment - 25
 */
import { Bytes, allocateZeroed } from './memory';
import { NO_ROW, Strand, isOrderly } from './strand';
import { Window } from './answer';
import { OPEN, endOf, startOf } from './cover';

/** Of a low edge: its window begins before the first event that is known. */
export const IS_WARMING: u32 = 0x80000000;
/** The low edge of a step that comes too late to read. No strand has so many steps. */
export const REFUSED: u32 = 0xffffffff;

/** For so many windows they are kept until they are wanted again: features mostly have a few. */
const KEPT_MAX: u32 = 8;

@unmanaged
export class Edges {
  strand: usize;
  window: usize;
  /** u32 a step. */
  lows: Bytes;
  /** Likewise; nothing where windows reach up to the step. */
  highs: Bytes;
}

const kept: usize = memory.data(8 * sizeof<usize>(), 8);
let madeCount: u32 = 0;

/** What they take. */
export function edgesBytes(): f64 {
  let size: f64 = 0;
  for (let i: u32 = 0; i < min(madeCount, KEPT_MAX); i++) {
    const edges = changetype<Edges>(load<usize>(kept + <usize>i * sizeof<usize>()));
    size += <f64>(edges.lows.capacity + edges.highs.capacity);
  }
  return size;
}

/** A window reaches up to the moment, and of steps in order none is behind that. */
@inline
export function reachesUp(window: Window): bool {
  return window.everyMs == 0 && (window.isExact || window.agoMs == 0);
}

@inline
export function windowStartOf(window: Window, timeMs: i64, end: i64): i64 {
  if (window.everyMs != 0) return end - window.lengthMs;
  return window.isExact ? timeMs - window.lengthMs : startOf(window, timeMs);
}

/** Of a sorted strand, and a window that is no lifetime. */
export function edgesOf(strand: Strand, window: Window): Edges {
  for (let i: u32 = 0; i < min(madeCount, KEPT_MAX); i++) {
    const edges = changetype<Edges>(load<usize>(kept + <usize>i * sizeof<usize>()));
    if (edges.strand == changetype<usize>(strand) && edges.window == changetype<usize>(window)) return edges;
  }
  const edges = nextEdges();
  edges.strand = changetype<usize>(strand);
  edges.window = changetype<usize>(window);
  edges.lows.setLength(<usize>strand.stepCount << 2);
  edges.highs.setLength(reachesUp(window) ? 0 : <usize>strand.stepCount << 2);
  for (let key: usize = 0; key < <usize>strand.keysFound; key++) {
    if (!isOrderly(strand, key)) continue;
    const place = strand.starts + (key << 2);
    if (reachesUp(window)) findLows(strand, window, edges, load<u32>(place), load<u32>(place, 4));
    else findBoth(strand, window, edges, load<u32>(place), load<u32>(place, 4));
  }
  return edges;
}

/** Of a strand whose steps are no more. */
export function forgetEdges(strand: Strand): void {
  for (let i: u32 = 0; i < min(madeCount, KEPT_MAX); i++) {
    const edges = changetype<Edges>(load<usize>(kept + <usize>i * sizeof<usize>()));
    if (edges.strand == changetype<usize>(strand)) edges.strand = 0;
  }
}

function nextEdges(): Edges {
  const place = kept + <usize>(madeCount % KEPT_MAX) * sizeof<usize>();
  if (madeCount++ >= KEPT_MAX) return changetype<Edges>(load<usize>(place));
  const edges = changetype<Edges>(allocateZeroed(offsetof<Edges>()));
  edges.lows = Bytes.make();
  edges.highs = Bytes.make();
  store<usize>(place, changetype<usize>(edges));
  return edges;
}

@inline
function isRefused(strand: Strand, step: u32): bool {
  return strand.hasLates && load<u8>(strand.lates.start + <usize>step) != 0;
}

@inline
function millisOf(strand: Strand, step: u32): i64 {
  return load<i64>(strand.millis.start + (<usize>step << 3));
}

@inline
function setLow(strand: Strand, edges: Edges, step: u32, low: u32, start: i64): void {
  const edge = isRefused(strand, step) ? REFUSED : start * 1000 < strand.since ? low | IS_WARMING : low;
  store<u32>(edges.lows.start + (<usize>step << 2), edge);
}

/** Of one key. Windows of later moments begin no earlier. */
function findLows(strand: Strand, window: Window, edges: Edges, first: u32, end: u32): void {
  let low = first;
  for (let step = first; step < end; step++) {
    if (load<u32>(strand.rows.start + (<usize>step << 2)) == NO_ROW) continue;
    const timeMs = millisOf(strand, step);
    const start = windowStartOf(window, timeMs, OPEN);
    while (low < step && millisOf(strand, low) < start) low++;
    setLow(strand, edges, step, low, start);
  }
}

/** The same where they are over before the moment. */
function findBoth(strand: Strand, window: Window, edges: Edges, first: u32, end: u32): void {
  let low = first;
  let high = first;
  for (let step = first; step < end; step++) {
    if (load<u32>(strand.rows.start + (<usize>step << 2)) == NO_ROW) continue;
    const timeMs = millisOf(strand, step);
    const over = endOf(window, timeMs, false);
    const start = windowStartOf(window, timeMs, over);
    while (high <= step && millisOf(strand, high) < over) high++;
    while (low < high && millisOf(strand, low) < start) low++;
    setLow(strand, edges, step, low, start);
    store<u32>(edges.highs.start + (<usize>step << 2), high);
  }
}
