/**
 * Writes the event log that the benchmarks are run over; the same options always give the same bytes:
 *
 *   bun scripts/bench/events.ts [--events 1000000] [--seed 42] [--new-users 0] [--days 7] [--out FILE]
 *
 * Views of posts over a week (or `--days`), about 190 bytes of NDJSON each: 100,000 posts and 1,000,000 users, both by Zipf's law,
 * slightly out of order. `--new-users 10` makes every tenth event one of a user who was never there before.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

export interface EventLogShape {
  events: number;
  seed: number;
  /** One event in so many is of a new user; 0 makes none. */
  newUsers: number;
  /** That they are spread over. */
  days: number;
}

export const CACHE = join(import.meta.dir, '../../.cache/bench');

const START_MS = Date.UTC(2026, 2, 1);
const DAY_MS = 86_400_000;

/** What all logs are spread over but that of the tired run. */
export const WEEK_DAYS = 7;

/** An event arrives up to so much after it happened, and is written when it arrives. */
const DELAY_MS = 3_000;
const POSTS = 100_000;
const USERS = 1_000_000;
const CREATORS = 20_000;
const LANGUAGES = ['hi', 'en', 'ta', 'te', 'bn', 'mr', 'gu', 'kn'];

/** Lines made into bytes at a time. */
const CHUNK_LINES = 8_192;

/** The path of the log in .cache, made if it is not there. */
export async function eventLog(shape: EventLogShape): Promise<string> {
  const { events, seed, newUsers, days } = shape;
  const span = days === WEEK_DAYS ? '' : `-${days}d`;
  const path = join(CACHE, `events-${events}-${seed}-${newUsers}${span}.ndjson`);
  if (!existsSync(path)) await writeEvents(shape, path);
  return path;
}

async function writeEvents(shape: EventLogShape, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.${process.pid}`;
  const sink = Bun.file(fresh).writer();
  for (const chunk of eventChunks(shape)) {
    sink.write(chunk);
    await sink.flush();
  }
  await sink.end();
  // Renamed into place: a run that was stopped leaves no half a log.
  await rename(fresh, path);
}

export function* eventChunks({ events, seed, newUsers, days }: EventLogShape): Generator<string> {
  const random = uniform(seed);
  const post = zipf(POSTS, 1, random);
  const user = zipf(USERS, 0.7, random);
  let arrivalMs = START_MS;
  let lines = '';
  for (let i = 0; i < events; i++) {
    // Exponential gaps: arrivals come in order without being sorted. The last few may lie past the end.
    arrivalMs -= Math.log(1 - random()) * ((days * DAY_MS) / events);
    const time = new Date(Math.max(START_MS, Math.floor(arrivalMs - random() * DELAY_MS))).toISOString();
    const p = post();
    const u = newUsers > 0 && i % newUsers === 0 ? USERS + i : user();
    const ms = Math.min(50 + Math.floor(-4_000 * Math.log(1 - random())), 99_999);
    const data = `{"user":"u${u}","post":"p${p}","creator":"c${p % CREATORS}","ms":${ms},"liked":${random() < 0.07},"lang":"${LANGUAGES[Math.floor(random() * LANGUAGES.length)]}"}`;
    lines += `{"id":"${id(random)}","time":"${time}","type":"view","data":${data}}\n`;
    if ((i + 1) % CHUNK_LINES === 0) {
      yield lines;
      lines = '';
    }
  }
  if (lines !== '') yield lines;
}

/** Numbers from 0 to below `count`, the k-th likeliest with weight 1 / k^s; which number is likely is arbitrary. */
function zipf(count: number, s: number, random: () => number): () => number {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let k = 0; k < count; k++) upTo[k] = sum += 1 / (k + 1) ** s;
  const numbers = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [numbers[i], numbers[j]] = [numbers[j]!, numbers[i]!];
  }
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return numbers[low]!;
  };
}

/** A text in the form of a UUID. */
function id(random: () => number): string {
  const hex = () => (random() * 2 ** 32).toString(16).split('.')[0]!.padStart(8, '0');
  const [a, b, c, d] = [hex(), hex(), hex(), hex()];
  return `${a}-${b.slice(0, 4)}-${b.slice(4)}-${c.slice(0, 4)}-${c.slice(4)}${d}`;
}

/** sfc32: from 0 to below 1, in steps of 2^-32; the same on every machine. */
export function uniform(seed: number): () => number {
  let [a, b, c, counter] = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88 | 0, 1];
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '42' },
      'new-users': { type: 'string', default: '0' },
      days: { type: 'string', default: `${WEEK_DAYS}` },
      out: { type: 'string' },
    },
  });
  const [events, seed, newUsers, days] = [values.events, values.seed, values['new-users'], values.days].map(Number);
  const shape = { events: events!, seed: seed!, newUsers: newUsers!, days: days! };
  if (values.out === undefined) console.log(await eventLog(shape));
  else await writeEvents(shape, values.out);
}
