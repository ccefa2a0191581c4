import { unreachable } from '../base/assert.ts';
import { formatDuration } from '../base/time.ts';
import type { Read, Window } from './expression.ts';
import { walk } from './expression.ts';
import type { Aggregate, Plan } from './plan.ts';

export const LIFETIME_LEVEL_MS = 0;

/** Distinct windows over all sets of an entity: while one is answered they are the bits of a mask. */
export const WINDOWS_PER_ENTITY_MAX = 64;

/** What exact windows begin and end with. */
export const EXACT_TILE_MS = 1;

/** Tiles of one level that start in [fromMs, toMs); `toMs` may be Infinity. */
export interface TileRange {
  levelMs: number;
  fromMs: number;
  toMs: number;
}

/** The start of the tile that holds a moment. */
export function floorTile(ms: number, levelMs: number, offsetMs: number): number {
  return Math.floor((ms - offsetMs) / levelMs) * levelMs + offsetMs;
}

/** The coarsest level not above length / 24, else the finest: what a window is counted in unless its author says. */
export function defaultResolutionMs(lengthMs: number, levelsMs: number[]): number {
  const fitting = levelsMs.filter(levelMs => levelMs <= lengthMs / 24);
  return fitting.at(-1) ?? levelsMs[0]!;
}

/** A window as definitions spell it, with the tiles that it moves by: `2h@1m`. */
export function windowText(window: Window): string {
  switch (window.kind) {
    case 'lifetime':
      return 'lifetime';
    case 'sliding':
      return `${formatDuration(window.lengthMs)}@${formatDuration(window.resolutionMs)}`;
    case 'offset':
      return `${formatDuration(window.lengthMs)}@${formatDuration(window.resolutionMs)}${offsetText(window.agoMs)}`;
    case 'hopping': {
      const { lengthMs, everyMs, agoMs } = window;
      const length = formatDuration(lengthMs);
      if (lengthMs === everyMs) return `tumbling ${length}${offsetText(agoMs)}`;
      return `hopping ${length} every ${formatDuration(everyMs)}${offsetText(agoMs)}`;
    }
    case 'exact':
      return `exact ${formatDuration(window.lengthMs)}`;
    default:
      unreachable(window);
  }
}

function offsetText(agoMs: number): string {
  return agoMs === 0 ? '' : ` offset ${formatDuration(agoMs)}`;
}

/** A window that is read from tiles. */
export type TiledWindow = Extract<Window, { resolutionMs: number }>;

export function isTiled(window: Window): window is TiledWindow {
  return window.kind !== 'lifetime';
}

/** The first moment at which a window starts no earlier than a start of a tile of its resolution. */
export function firstMomentMs(window: TiledWindow, tileStartMs: number, offsetMs: number): number {
  const { lengthMs } = window;
  switch (window.kind) {
    case 'sliding':
    case 'exact':
      return tileStartMs + lengthMs;
    case 'offset':
      return tileStartMs + lengthMs + window.agoMs;
    case 'hopping':
      return -floorTile(-(tileStartMs + lengthMs), window.everyMs, -offsetMs) + window.agoMs;
    default:
      unreachable(window);
  }
}

/** How far back before the moment of reading a window starts, at most, but for what its resolution adds. */
export function reachOf(window: TiledWindow): number {
  switch (window.kind) {
    case 'sliding':
    case 'exact':
      return window.lengthMs;
    case 'offset':
      return window.lengthMs + window.agoMs;
    case 'hopping':
      return window.lengthMs + window.everyMs + window.agoMs;
    default:
      unreachable(window);
  }
}

/** One level of an aggregate's tiles, and how long each of its tiles can still be asked for. */
export interface KeptLevel {
  levelMs: number;
  /** Counted from the tile's start by its event type's clock; Infinity for the lifetime. */
  ttlMs: number;
}

/**
 * The levels an aggregate has to keep for its reads: finer ones than any window needs are not kept, and a level
 * lives for the furthest reach of its windows + one tile + lateness. A window uses the level of its resolution and all
 * coarser ones, so what a coarser level has lost no finer one still has.
 */
export function keptLevels(aggregate: Aggregate, plan: Plan): KeptLevel[] {
  const windows = readsOf(aggregate.name, plan).map(read => read.window);
  const kept: KeptLevel[] = [];
  for (const levelMs of aggregate.tiles.levelsMs) {
    const users = windows.filter(isTiled).filter(window => window.resolutionMs <= levelMs);
    if (users.length === 0) continue;
    kept.push({ levelMs, ttlMs: Math.max(...users.map(reachOf)) + levelMs + plan.latenessMs });
  }
  if (windows.some(window => window.kind === 'lifetime')) kept.push({ levelMs: LIFETIME_LEVEL_MS, ttlMs: Infinity });
  return kept;
}

/** Every read of an aggregate anywhere in the plan. */
export function readsOf(aggregate: string, plan: Plan): Read[] {
  const reads: Read[] = [];
  const roots = [
    ...plan.features.map(feature => feature.expression),
    ...plan.events.flatMap(event => [...event.columns.map(c => c.expression), ...(event.weight ? [event.weight] : [])]),
    ...plan.events.flatMap(({ features = [] }) => features.flatMap(({ error }) => (error ? [error] : []))),
    ...plan.aggregates.flatMap(a => [...a.keys, ...(a.where ? [a.where] : []), ...a.fn.args]),
  ];
  for (const root of roots)
    walk(root, node => {
      if (node.kind === 'read' && node.read.aggregate === aggregate) reads.push(node.read);
    });
  return reads;
}
