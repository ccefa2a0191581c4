import type { TypeClock } from '../base/time.ts';
import type { Ids } from '../kernel/layout.ts';
import { entityOf } from '../plan/layers.ts';
import type { Plan } from '../plan/plan.ts';
import { keptLevels, LIFETIME_LEVEL_MS } from '../plan/window.ts';
import type { Horizon } from '../store/store.ts';

/**
 * Keys looked through for rows that have expired when rows are written: so many, and one more for this many rows. A key
 * then gathers about that many expired rows before its turn comes, which is little beside the rows it keeps.
 */
const SWEPT_KEYS_MIN = 50;
const ROWS_PER_SWEPT_KEY = 16;

export function sweptKeys(rowsWritten: number): number {
  return SWEPT_KEYS_MIN + Math.floor(rowsWritten / ROWS_PER_SWEPT_KEY);
}

/** One level of an entity's rows, and how long each of those that write it can still ask for a tile, or change it. */
export interface Keeping {
  entity: number;
  levelMs: number;
  /** `ttlMs` from a tile's start, by the clock of the event type. */
  users: { event: string; ttlMs: number }[];
}

/** Aggregates of one entity share rows, whatever set they are of and whatever events they count. */
export function keepingOf(plan: Plan, ids: Ids): Keeping[] {
  const found = new Map<string, Keeping>();
  for (const aggregate of plan.aggregates) {
    const entity = ids.entities.get(entityOf(aggregate))!;
    for (const { levelMs, ttlMs } of keptLevels(aggregate, plan)) {
      if (levelMs === LIFETIME_LEVEL_MS) continue;
      const place = `${entity} ${levelMs}`;
      if (!found.has(place)) found.set(place, { entity, levelMs, users: [] });
      found.get(place)!.users.push({ event: aggregate.event, ttlMs });
    }
  }
  return [...found.values()];
}

/** Rows are kept as long as any of several plans wants them. */
export function unitedKeeping(plans: Keeping[][]): Keeping[] {
  const byPlace = Map.groupBy(plans.flat(), ({ entity, levelMs }) => `${entity} ${levelMs}`);
  return [...byPlace.values()].map(([first, ...more]) => ({
    ...first!,
    users: [first!, ...more].flatMap(({ users }) => users),
  }));
}

/**
 * Where rows end that nothing can read or change any more: a tile is over, for those that write it, once its start and
 * their time to live are not after their type's clock; a row goes when it is over for all. Clocks never go back, and
 * an event for a tile that is over is dropped (`Level.ttlMs` in assembly/tile.ts), so what has gone never comes back.
 */
export function horizonsOf(keeping: Keeping[], clocks: Map<string, TypeClock>): Horizon[] {
  const horizons: Horizon[] = [];
  for (const { entity, levelMs, users } of keeping) {
    const ends = users.map(({ event, ttlMs }) => overBefore(clocks.get(event)?.at, ttlMs));
    const beforeMs = Math.min(...ends);
    if (beforeMs > -Infinity) horizons.push({ entity, levelMs, beforeMs });
  }
  return horizons;
}

/** (start + ttl) * 1000 <= clock, for every start before it. A type without events yet has no clock, and ends nothing. */
function overBefore(clockMicros: bigint | undefined, ttlMs: number): number {
  return clockMicros === undefined ? -Infinity : Math.floor(Number(clockMicros) / 1000) - ttlMs + 1;
}
