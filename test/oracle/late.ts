/**
 * What tiles refuse, as the oracle has it: an event of which the tile, at some level that is kept, had expired by its
 * type's clock when it arrived. Each event, aggregate and level is looked at by itself.
 */
import type { Plan } from '../../src/plan/plan.ts';
import type { Log } from './log.ts';
import { countedByKey, floorTo, micros, readsIn, tileTtl } from './naive.ts';

export interface Late {
  aggregate: string;
  event: string;
  levelMs: number;
  count: number;
  first: string;
  latest: string[];
}

/** By aggregate and level; each event as `position time clock`. */
export function lateIn(plan: Plan, log: Log): Late[] {
  const late: Late[] = [];
  for (const aggregate of plan.aggregates) {
    const counted = [...countedByKey(plan, log, aggregate).values()].flat().sort((a, b) => a.position - b.position);
    const steps = readsIn(plan).flatMap(({ aggregate: name, window }) =>
      name === aggregate.name && window.kind !== 'lifetime' && window.kind !== 'exact' ? window.resolutionMs : [],
    );
    for (const levelMs of aggregate.tiles.levelsMs.filter(level => steps.some(step => step <= level))) {
      const ttl = tileTtl(plan, aggregate, levelMs);
      const offset = micros(aggregate.tiles.offsetMs);
      const refused = counted.filter(({ time, clock }) => floorTo(time, micros(levelMs), offset) + ttl <= clock);
      if (refused.length === 0) continue;
      // Of an event that takes back one row and adds another the earlier one is told.
      const told = new Map<number, bigint>();
      for (const { position, time } of refused)
        told.set(position, time < (told.get(position) ?? time + 1n) ? time : told.get(position)!);
      const clocks = new Map(refused.map(({ position, clock }) => [position, clock]));
      const texts = [...told].map(([position, time]) => `${position} ${time} ${clocks.get(position)}`);
      const place = { aggregate: aggregate.name, event: aggregate.event, levelMs };
      late.push({ ...place, count: refused.length, first: texts[0]!, latest: texts.slice(-5) });
    }
  }
  return late.sort((a, b) => (a.aggregate < b.aggregate ? -1 : a.aggregate > b.aggregate ? 1 : a.levelMs - b.levelMs));
}
