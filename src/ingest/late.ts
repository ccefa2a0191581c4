import { mergeRefusals, type Refusals } from '../base/refusal.ts';
import type { Refused } from '../kernel/late.ts';
import type { Layout } from '../kernel/layout.ts';
import type { LateRow } from '../meta/meta.ts';

/** How often tiles of a length were too old to take an event of a type. */
export interface RefusedCount {
  type: string;
  levelMs: number;
  count: number;
}

/**
 * What tile levels have refused: since the last barrier, which is to be written with the next one, and in all. It follows
 * what has been folded, so that after a crash what is folded again is counted again, and nothing else is.
 */
export class LateLedger {
  readonly #layout: Layout;
  /** By group and level, since the last barrier. */
  #pending = new Map<string, Refused>();
  readonly #counts = new Map<string, RefusedCount>();

  /** @param written by barriers before */
  constructor(layout: Layout, written: LateRow[]) {
    this.#layout = layout;
    const known = new Map(written.map(row => [`${row.aggregate} ${row.levelMs}`, row.count]));
    for (const [group] of layout.groups.entries())
      for (const [level, { levelMs }] of this.#groupAt(group).levels.entries()) {
        const [first] = this.#aggregatesOf(group);
        const count = known.get(`${first} ${levelMs}`) ?? 0;
        if (count > 0) this.#count(group, level, count);
      }
  }

  add(refused: Refused[]): void {
    for (const one of refused) {
      const place = `${one.group} ${one.level}`;
      const before = this.#pending.get(place);
      this.#pending.set(place, before ? { ...one, ...mergeRefusals(before, one) } : one);
      this.#count(one.group, one.level, one.count);
    }
  }

  /** For a barrier: one for each aggregate and level that has refused something since the last. */
  take(): LateRow[] {
    const pending = this.#pending;
    this.#pending = new Map();
    return [...pending.values()].flatMap(({ group, level, count, first, latest }) => {
      const { levelMs } = this.#groupAt(group).levels[level]!;
      const refusals: Refusals = { count, first, latest };
      const event = this.#eventOf(group);
      return this.#aggregatesOf(group).map(aggregate => ({ aggregate, event, levelMs, ...refusals }));
    });
  }

  /** A barrier has nothing to take. */
  get isWritten(): boolean {
    return this.#pending.size === 0;
  }

  counts(): RefusedCount[] {
    return [...this.#counts.values()];
  }

  #count(group: number, level: number, count: number): void {
    const type = this.#eventOf(group);
    const { levelMs } = this.#groupAt(group).levels[level]!;
    const place = `${levelMs} ${type}`;
    const counted = this.#counts.get(place) ?? { type, levelMs, count: 0 };
    counted.count += count;
    this.#counts.set(place, counted);
  }

  #groupAt(group: number) {
    return this.#layout.groups[group]!.group;
  }

  #eventOf(group: number): string {
    return this.#layout.types[this.#groupAt(group).type]!.event.name;
  }

  /** What shares the tiles of a group is refused alike; names in the order of their numbers. */
  #aggregatesOf(group: number): string[] {
    const names = new Map([...this.#layout.ids.aggregates].map(([name, id]) => [id, name]));
    const ids = this.#groupAt(group).members.map(({ id }) => id);
    return ids.sort((a, b) => a - b).map(id => names.get(id)!);
  }
}
