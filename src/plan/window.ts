import { unreachable } from '../base/assert.ts';
import { formatDuration } from '../base/time.ts';
import type { Read, Window } from './expression.ts';
import { walk } from './expression.ts';
import type { Aggregate, Plan } from './plan.ts';

export const LIFETIME_LEVEL_MS = 0;

/** Distinct windows over all sets of an entity: while one is answered they are the bits of a mask. */
export const WINDOWS_PER_ENTITY_MAX = 64;

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
    case 'exact':
      return `exact ${formatDuration(window.lengthMs)}`;
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
    ...plan.events.flatMap(event => [...event.columns.map(c => c.expression), ...(event.weight ? [event.weight] : [])]),
    ...plan.aggregates.flatMap(a => [...a.keys, ...(a.where ? [a.where] : []), ...a.fn.args]),
  ];
  for (const root of roots)
    walk(root, node => {
      if (node.kind === 'read' && node.read.aggregate === aggregate) reads.push(node.read);
    });
  return reads;
}
