import { assert } from '../base/assert.ts';
import type { Read, Window } from './expression.ts';
import { walk } from './expression.ts';
import type { Aggregate, Plan, Tiles } from './plan.ts';

/**
 * Which tiles answer a window.
 *
 * A window read at t takes the events from S = floor(t - length, resolution) on. It needs no end: the log prefix is
 * one. So a cover climbs from fine tiles to coarse ones and never comes down again; the open coarse tile stands for
 * all that is new:
 *
 *      S                                                        t
 *      |1m|1m|1m|-------30m-------|-------30m-------|-----------1d (still open) ...
 *
 * A lookup at a past moment has an end E, and there the cover comes down again:
 *
 *      S                                                        E
 *      |1m|1m|1m|-------30m-------|-------30m-------|1m|1m|1m|1m|
 *
 * Each level is used at most twice (on the way up and on the way down), so a cover is a short list of ranges, and it
 * has as few tiles as any.
 */
export interface TileRange {
  /** Tile length; 0 is the lifetime, whose one tile starts at 0. */
  levelMs: number;
  /** Tile starts, [fromMs, toMs). `toMs` is Infinity where the range is open. */
  fromMs: number;
  toMs: number;
}

export const LIFETIME_LEVEL_MS = 0;

/**
 * The tiles of a window as of `tMs`, over all of a prefix.
 *
 * @param tMs read time in milliseconds since 1970 UTC, rounded down
 */
export function coverOpen(window: Window, tiles: Tiles, tMs: number): TileRange[] {
  if (window.kind === 'lifetime') return [{ levelMs: LIFETIME_LEVEL_MS, fromMs: 0, toMs: 1 }];
  assert(window.kind === 'sliding', `no cover for a window of kind ${window.kind}`);
  return cover(tiles, window.resolutionMs, windowStartMs(window, tiles, tMs), Number.POSITIVE_INFINITY);
}

/** The tiles of [floor(t - length, r), floor(t, r)): a lookup at a given past moment. A lifetime has no such answer. */
export function coverPast(window: Window, tiles: Tiles, tMs: number): TileRange[] {
  assert(window.kind === 'sliding', `no past cover for a window of kind ${window.kind}`);
  const { resolutionMs } = window;
  return cover(tiles, resolutionMs, windowStartMs(window, tiles, tMs), floorTile(tMs, resolutionMs, tiles.offsetMs));
}

export function windowStartMs(window: Window & { kind: 'sliding' }, tiles: Tiles, tMs: number): number {
  return floorTile(tMs - window.lengthMs, window.resolutionMs, tiles.offsetMs);
}

/** The start of the tile that holds a moment. */
export function floorTile(ms: number, levelMs: number, offsetMs: number): number {
  return Math.floor((ms - offsetMs) / levelMs) * levelMs + offsetMs;
}

/** The fewest tiles of levels at or above `finestMs` that make up [fromMs, toMs); both ends lie on the finest level. */
function cover(tiles: Tiles, finestMs: number, fromMs: number, toMs: number): TileRange[] {
  const levels = tiles.levelsMs.filter(levelMs => levelMs >= finestMs);
  assert(levels[0] === finestMs, `a resolution of ${finestMs} ms is no tile level`);
  const up: TileRange[] = [];
  const down: TileRange[] = [];
  let startMs = fromMs;
  let endMs = toMs;
  for (const [i, levelMs] of levels.entries()) {
    const coarserMs = levels[i + 1];
    const climbMs = coarserMs === undefined ? endMs : ceilTile(startMs, coarserMs, tiles.offsetMs);
    const fallMs = coarserMs === undefined || endMs === Infinity ? endMs : floorTile(endMs, coarserMs, tiles.offsetMs);
    if (climbMs >= fallMs) {
      if (startMs < endMs) up.push({ levelMs, fromMs: startMs, toMs: endMs });
      break;
    }
    if (startMs < climbMs) up.push({ levelMs, fromMs: startMs, toMs: climbMs });
    if (fallMs < endMs) down.unshift({ levelMs, fromMs: fallMs, toMs: endMs });
    startMs = climbMs;
    endMs = fallMs;
  }
  return [...up, ...down];
}

function ceilTile(ms: number, levelMs: number, offsetMs: number): number {
  return -floorTile(-ms, levelMs, -offsetMs);
}

/** The coarsest level not above length / 24, else the finest: what a window is counted in unless its author says. */
export function defaultResolutionMs(lengthMs: number, levelsMs: number[]): number {
  const fitting = levelsMs.filter(levelMs => levelMs <= lengthMs / 24);
  return fitting.at(-1) ?? levelsMs[0]!;
}

/** One level of an aggregate's tiles, and how long each of its tiles can still be asked for. */
export interface KeptLevel {
  levelMs: number;
  /** Counted from the tile's start by its event type's clock; Infinity for the lifetime. */
  ttlMs: number;
}

/**
 * The levels an aggregate has to keep for its reads: finer ones than any window needs are not kept, and a level
 * lives for its longest window + one tile + lateness.
 */
export function keptLevels(aggregate: Aggregate, plan: Plan): KeptLevel[] {
  const windows = readsOf(aggregate.name, plan).map(read => read.window);
  const kept: KeptLevel[] = [];
  for (const levelMs of aggregate.tiles.levelsMs) {
    const users = windows.filter(window => window.kind === 'sliding' && window.resolutionMs <= levelMs);
    if (users.length === 0) continue;
    const longestMs = Math.max(...users.map(window => (window.kind === 'sliding' ? window.lengthMs : 0)));
    kept.push({ levelMs, ttlMs: longestMs + levelMs + plan.latenessMs });
  }
  if (windows.some(window => window.kind === 'lifetime')) kept.push({ levelMs: LIFETIME_LEVEL_MS, ttlMs: Infinity });
  return kept;
}

/** Every read of an aggregate anywhere in the plan. */
export function readsOf(aggregate: string, plan: Plan): Read[] {
  const reads: Read[] = [];
  const roots = [
    ...plan.features.map(feature => feature.expression),
    ...plan.events.flatMap(event => event.columns.map(column => column.expression)),
    ...plan.aggregates.flatMap(a => [...a.keys, ...(a.where ? [a.where] : []), ...a.fn.args]),
  ];
  for (const root of roots)
    walk(root, node => {
      if (node.kind === 'read' && node.read.aggregate === aggregate) reads.push(node.read);
    });
  return reads;
}
