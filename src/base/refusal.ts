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

/**
 * Of two lots of different rows. Whatever order lots come in, and however they were cut, the same comes out: an event may
 * have a row in each of them, and the earlier one is kept, as the kernels do.
 */
export function mergeRefusals(a: Refusals, b: Refusals): Refusals {
  const all = [...a.latest, ...b.latest].sort(byPlace);
  return {
    count: a.count + b.count,
    first: byPlace(a.first, b.first) < 0 ? a.first : b.first,
    latest: all.filter(({ position }, i) => position !== all[i - 1]?.position).slice(-REFUSALS_KEPT),
  };
}

function byPlace(a: Refusal, b: Refusal): number {
  return a.position - b.position || Number(a.timeMicros - b.timeMicros);
}
