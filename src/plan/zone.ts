/**
 * Time zones of the IANA database, as the runtime knows it: what clocks in a zone show, from 1970 to 2100. Before and after that clocks
 * are taken to be as at the ends of that span.
 */
const FIRST_MS = Date.UTC(1970, 0);
const END_MS = Date.UTC(2101, 0);

/** No zone has changed its clocks twice within so few days, and shown the same after as before. */
const STEP_MS = 7 * 86_400_000;

/** From a moment on, the first one of 1970, clocks are ahead of UTC by so much. */
export interface Offset {
  fromMicros: bigint;
  aheadMicros: bigint;
}

/** Has the runtime a zone of this name? */
export function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }) !== null;
  } catch {
    return false;
  }
}

const known = new Map<string, Offset[]>();

/** Ascending. The zone has to be one: `isZone`. */
export function offsetsOf(zone: string): Offset[] {
  const found = known.get(zone) ?? findOffsets(zone);
  known.set(zone, found);
  return found;
}

function findOffsets(zone: string): Offset[] {
  const ahead = clockOf(zone);
  const offset = (ms: number, aheadMs: number) => ({
    fromMicros: BigInt(ms) * 1000n,
    aheadMicros: BigInt(aheadMs) * 1000n,
  });
  let last = ahead(FIRST_MS);
  const offsets = [offset(FIRST_MS, last)];
  for (let from = FIRST_MS; from < END_MS; from += STEP_MS) {
    const to = Math.min(from + STEP_MS, END_MS);
    const next = ahead(to);
    if (next === last) continue;
    offsets.push(offset(firstWith(next, from, to, ahead), next));
    last = next;
  }
  return offsets;
}

/** The first second after `from`, and up to `to`, at which clocks are ahead as they are then. */
function firstWith(aheadMs: number, from: number, to: number, ahead: (ms: number) => number): number {
  let [low, high] = [from, to];
  while (high - low > 1000) {
    const middle = low + Math.floor((high - low) / 2000) * 1000;
    if (ahead(middle) === aheadMs) high = middle;
    else low = middle;
  }
  return high;
}

/** How far clocks are ahead of UTC at a moment; all three in milliseconds. */
function clockOf(zone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  return ms => {
    // `12/31/1969, GMT-05:00`; UTC itself is `GMT`.
    const [, sign, hours = '0', minutes = '0', seconds = '0'] =
      /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(ms)) ?? [];
    const ahead = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
    return sign === '-' ? -ahead : ahead;
  };
}
