/**
 * Which seeds a test tries: a few for every change; many where `bun scripts/long.ts` asks for them; and those of
 * `TILEFOLD_SEEDS=FIRST-LAST` alone, where it is set, so that what takes a night may be done in pieces, and goes on where it was cut.
 */
export const LONG = process.env.TILEFOLD_LONG === '1';

const RANGE = readRange(process.env.TILEFOLD_SEEDS);

/** From 1 on, in order; those of the range may be beyond what the long run has. */
export function seeds(few: number, many: number): number[] {
  const [first, last] = RANGE ?? [1, LONG ? many : few];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** The same in lots of so many, for seeds that are too short to be tests of their own. */
export function seedLots(few: number, many: number, size: number): number[][] {
  const all = seeds(few, many);
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}

function readRange(text: string | undefined): [first: number, last: number] | null {
  if (text === undefined) return null;
  const [first, last] = (/^(\d+)-(\d+)$/.exec(text) ?? []).slice(1).map(Number);
  if (!first || !last || last < first) throw new Error(`TILEFOLD_SEEDS: found "${text}", wanted FIRST-LAST, from 1 on`);
  return [first, last];
}
