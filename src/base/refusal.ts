/** An event that came when a tile was no longer kept for it. */
export interface Refusal {
  /** In the log. */
  position: number;
  timeMicros: bigint;
  /** Of its type, when it came. */
  clockMicros: bigint;
}

/** All that were refused in one place: how many, the first, and the latest few in ascending order of position. */
export interface Refusals {
  count: number;
  first: Refusal;
  latest: Refusal[];
}

/** As the kernels keep them: enough to see what they have in common. */
export const REFUSALS_KEPT = 5;

/** Of two lots of different events. Whatever order lots come in, and however they were cut, the same comes out. */
export function mergeRefusals(a: Refusals, b: Refusals): Refusals {
  return {
    count: a.count + b.count,
    first: a.first.position < b.first.position ? a.first : b.first,
    latest: [...a.latest, ...b.latest].sort((x, y) => x.position - y.position).slice(-REFUSALS_KEPT),
  };
}
