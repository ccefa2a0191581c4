import { gunzipSync } from 'node:zlib';
import { joinLines, perturb } from '../perturb.ts';

const WEEK = new URL('../../examples/flights/flights-week.ndjson.gz', import.meta.url).pathname;

/** The bundled week, one line a flight. */
export async function weekLines(): Promise<string[]> {
  const text = new TextDecoder().decode(gunzipSync(await Bun.file(WEEK).arrayBuffer()));
  return text.trimEnd().split('\n');
}

/**
 * A log small enough for the oracle to answer every question about it, over the whole week: every `step`-th flight
 * between some airports.
 */
export async function smallWeek(airports: number, step: number): Promise<string[]> {
  const lines = await weekLines();
  const flown = new Map<string, number>();
  for (const line of lines) {
    const origin = line.slice(line.indexOf('"origin":"') + 10).slice(0, 3);
    flown.set(origin, (flown.get(origin) ?? 0) + 1);
  }
  const busiest = [...flown].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, airports);
  const kept = new Set(busiest.map(([airport]) => airport));
  const between = lines.filter(line => {
    const { origin, destination } = (JSON.parse(line) as { data: { origin: string; destination: string } }).data;
    return kept.has(origin) && kept.has(destination);
  });
  return between.filter((_, i) => i % step === 0);
}

/** NDJSON of the lines as they are, and of a perturbed copy. */
export function tame(lines: string[]): Uint8Array[] {
  return lines.map(line => new TextEncoder().encode(line));
}

export function wild(lines: string[], seed: number): Uint8Array[] {
  return perturb(lines, seed);
}

export function body(lines: Uint8Array[]): Uint8Array {
  return joinLines(lines);
}
