import { Fault } from '../../base/fault.ts';
import { formatDuration } from '../../base/time.ts';
import type { Window } from '../../plan/expression.ts';
import type { Aggregate, Tiles } from '../../plan/plan.ts';
import { EXACT_TILE_MS, WINDOWS_PER_ENTITY_MAX, defaultResolutionMs } from '../../plan/window.ts';
import { HALF_LIVES_KEPT } from '../aggregates.ts';
import type { WindowSpec } from '../shape.ts';
import { valueAt } from '../yaml.ts';
import type { SetScope } from './scope.ts';

/** Each window is a cover of its own in every lookup. */
export const WINDOWS_PER_SET_MAX = 32;

/** Each level is a row more for every event to write; with the lifetime the kernels hold eight. */
export const TILE_LEVELS_MAX = 7;

/** A lookup reads and merges each tile of a window's cover. */
export const TILES_PER_WINDOW_MAX = 4096;

const TILES_DEFAULT_MS = [60_000, 30 * 60_000, 86_400_000];

/** The lengths of tiles that a set keeps: each a whole number of the one before it. */
export function tilesOf({ document, settings, faults }: SetScope): Tiles | null {
  if (valueAt(document.value, ['tiles']) !== undefined && settings.tiles === null) return null;
  const levelsMs = settings.tiles ?? TILES_DEFAULT_MS;
  const before = faults.length;
  const fault = (message: string, ...path: (string | number)[]) =>
    faults.push(new Fault('definition', message, document.at(path)));
  if (levelsMs.length > TILE_LEVELS_MAX)
    fault(`tiles: got ${levelsMs.length} lengths, wanted at most ${TILE_LEVELS_MAX}`, 'tiles');
  for (const [i, levelMs] of levelsMs.entries()) {
    const finerMs = levelsMs[i - 1];
    if (finerMs === undefined || (levelMs > finerMs && levelMs % finerMs === 0)) continue;
    const [finer, level] = [formatDuration(finerMs), formatDuration(levelMs)];
    fault(`tiles: each has to be a whole number of the one before it, and ${level} is none of ${finer}`, 'tiles', i);
  }
  const offsetMs = settings.tile_offset ?? 0;
  const coarsestMs = levelsMs.at(-1)!;
  if (offsetMs >= coarsestMs)
    fault(
      `tile_offset: ${formatDuration(offsetMs)} is not shorter than the coarsest tile, ${formatDuration(coarsestMs)}`,
      'tile_offset',
    );
  return faults.length === before ? { levelsMs, offsetMs } : null;
}

export interface NamedWindow {
  /** What its features' names end in. */
  label: string;
  /** As written. */
  text: string;
  /** A series has several, the latest first. */
  windows: Window[];
  isSeries: boolean;
}

/** What is written under `windows:`, over these tiles; null where something is wrong with one. */
export function windowsOf(set: SetScope, specs: WindowSpec[], tiles: Tiles): NamedWindow[] | null {
  const { document, faults } = set;
  const before = faults.length;
  if (specs.length > WINDOWS_PER_SET_MAX) {
    const message = `windows: got ${specs.length}, and at most ${WINDOWS_PER_SET_MAX} are read`;
    faults.push(new Fault('too_large', message, document.at(['windows'])));
  }
  const windows = specs.map((spec, i): NamedWindow => {
    const { text, label, count } = spec;
    const fault = (message: string) =>
      faults.push(new Fault('definition', `windows: ${message}`, document.at(['windows', i])));
    const twin = specs.findIndex(other => isTwin(other, spec));
    if (twin < i) fault(`${text} is as long as ${specs[twin]!.text}; one of them is enough`);
    if (count !== null && count > WINDOWS_PER_ENTITY_MAX)
      fault(`${text} are ${count} windows, and at most ${WINDOWS_PER_ENTITY_MAX} are read together`);
    const window = windowOf(spec, tiles, fault);
    return { label, text, windows: count === null ? [window] : seriesOf(window, count), isSeries: count !== null };
  });
  return faults.length === before ? windows : null;
}

/** The same times, in tiles of whatever length: nothing of these is in the names of features. */
function isTwin(a: WindowSpec, b: WindowSpec): boolean {
  const isOver = a.everyMs === b.everyMs && a.agoMs === b.agoMs && a.count === b.count;
  return a.lengthMs === b.lengthMs && isOver && a.isExact === b.isExact;
}

function windowOf(spec: WindowSpec, tiles: Tiles, fault: (message: string) => void): Window {
  const { lengthMs, everyMs, agoMs, isExact } = spec;
  if (lengthMs === null) return { kind: 'lifetime' };
  const resolutionMs = tileOf(spec, lengthMs, tiles, fault);
  const isOver = everyMs !== null || agoMs > 0 || isExact;
  const count = coverCountMax(lengthMs, resolutionMs, tiles.levelsMs, isOver);
  if (count > TILES_PER_WINDOW_MAX)
    fault(
      `${spec.text} takes ${count} tiles to answer, and at most ${TILES_PER_WINDOW_MAX} are read; add a coarser one to tiles`,
    );
  if (isExact) return { kind: 'exact', lengthMs, resolutionMs: EXACT_TILE_MS };
  if (everyMs !== null) return { kind: 'hopping', lengthMs, resolutionMs, everyMs, agoMs };
  return agoMs > 0 ? { kind: 'offset', lengthMs, resolutionMs, agoMs } : { kind: 'sliding', lengthMs, resolutionMs };
}

/** The finest tiles that a window is made of. */
function tileOf(spec: WindowSpec, lengthMs: number, tiles: Tiles, fault: (message: string) => void): number {
  if (spec.everyMs !== null) return hoppingTile(spec, lengthMs, spec.everyMs, tiles, fault);
  if (!spec.isExact) return slidingTile(spec, lengthMs, tiles, fault);
  const levels = tiles.levelsMs.map(formatDuration).join(', ');
  if (tiles.levelsMs[0] !== EXACT_TILE_MS)
    fault(`${spec.text} is made of tiles of 1ms, which are none of ${levels}; write tiles: [1ms, 1s, 1m, 30m, 1d]`);
  return EXACT_TILE_MS;
}

/** The tiles that a window moves by. */
function slidingTile(
  spec: WindowSpec,
  lengthMs: number,
  { levelsMs }: Tiles,
  fault: (message: string) => void,
): number {
  const resolutionMs = spec.resolutionMs ?? defaultResolutionMs(lengthMs, levelsMs);
  const resolution = formatDuration(resolutionMs);
  if (!levelsMs.includes(resolutionMs))
    fault(`${resolution} is none of the tiles: ${levelsMs.map(formatDuration).join(', ')}`);
  else if (resolutionMs > lengthMs)
    fault(`${spec.text} is shorter than a tile of ${resolution}; add a finer one to tiles`);
  return resolutionMs;
}

/** The coarsest tiles that its bounds are always between: which they are cannot be seen in its values. */
function hoppingTile(
  { text }: WindowSpec,
  lengthMs: number,
  everyMs: number,
  { levelsMs }: Tiles,
  fault: (message: string) => void,
): number {
  const [length, every] = [formatDuration(lengthMs), formatDuration(everyMs)];
  if (everyMs > lengthMs)
    fault(`${text} leaves out what lies between one and the next; wanted a length of at least ${every}, got ${length}`);
  const fitting = levelsMs.filter(levelMs => lengthMs % levelMs === 0 && everyMs % levelMs === 0);
  if (fitting.length === 0)
    fault(`${text} begins or ends within a tile of ${formatDuration(levelsMs[0]!)}; add a finer one to tiles`);
  return fitting.at(-1) ?? levelsMs[0]!;
}

/** One before the other, the latest first; the length of each is the step from it to the one before. */
function seriesOf(window: Window, count: number): Window[] {
  if (window.kind === 'lifetime' || window.kind === 'exact') return [window];
  const { lengthMs, resolutionMs } = window;
  const latestMs = window.kind === 'sliding' ? 0 : window.agoMs;
  const setBack = Array.from({ length: count }, (_, i) => latestMs + i * lengthMs);
  return setBack.map((agoMs): Window => {
    if (window.kind === 'hopping') return { ...window, agoMs };
    return agoMs === 0 ? window : { kind: 'offset', lengthMs, resolutionMs, agoMs };
  });
}

/** The most tiles that a cover of such a window has: one step short of the coarser tile on each level, and again on the way down where it is over. */
export function coverCountMax(lengthMs: number, resolutionMs: number, levelsMs: number[], isOver: boolean): number {
  const levels = levelsMs.filter(levelMs => levelMs >= resolutionMs);
  const count = levels.reduce((sum, levelMs, i) => {
    const coarserMs = levels[i + 1];
    if (coarserMs === undefined) return sum + Math.ceil(lengthMs / levelMs) + 1;
    return sum + (coarserMs / levelMs - 1) * (isOver ? 2 : 1);
  }, 0);
  return isOver ? Math.min(count, Math.ceil(lengthMs / resolutionMs) + 1) : count;
}

/** What decays is counted in half-lives from the start of a tile, and what is left of it after so many is nothing: neither may be too long. */
export function checkDecayed(aggregates: Aggregate[], windows: NamedWindow[], tiles: Tiles, faults: Fault[]): void {
  const coarsestMs = tiles.levelsMs.at(-1)!;
  const isLifetime = windows.some(named => named.windows.some(({ kind }) => kind === 'lifetime'));
  for (const { fn, at } of aggregates) {
    if (fn.name !== 'decayedSum' && fn.name !== 'decayedCount') continue;
    const keptMs = HALF_LIVES_KEPT * fn.limit!;
    const [half, kept] = [formatDuration(fn.limit!), formatDuration(keptMs)];
    const nothing = `after ${HALF_LIVES_KEPT} half-lives of ${half} nothing is left`;
    if (isLifetime)
      faults.push(
        new Fault('unsupported', `a lifetime of what decays is not kept: ${nothing}; write ${kept} under windows`, at),
      );
    if (coarsestMs > keptMs) {
      const message = `tiles: ${formatDuration(coarsestMs)} is longer than ${kept}, and ${nothing}; leave it out`;
      faults.push(new Fault('definition', message, at));
    }
  }
}
