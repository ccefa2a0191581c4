/** Several threads make the rows, answers and errors that one makes, and each answer is of one prefix of the log. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Parts } from '../../src/cli/alone/compose.ts';
import { explanationJson } from '../../src/http/explain.ts';
import { SLICE_BYTES } from '../../src/ingest/door.ts';
import { CHUNK_BYTES } from '../../src/shard/chunk.ts';
import { lateIn } from '../oracle/late.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { body, smallWeek, tame, wild } from '../sim/flights.ts';
import { compareAnswer, everything, keysOf, writtenLate } from '../sim/judge.ts';
import { Random } from '../sim/random.ts';
import { folders } from '../source/folder.ts';
import { end, PLENTY_BYTES, start } from './threads.ts';

const SEED = 20010311;
const DAY_MS = 86_400_000;
/** Of one struct. */
const FIELDS = 1000;
/** Far less than the rows of these logs occupy. */
const LITTLE_BYTES = 256 << 10;

const folder = folders();
const week = await smallWeek(16, 7);

/** Bodies of many sizes, several on their way at a time, and lookups between them. */
async function postAll(parts: Parts, lines: Uint8Array[], log: Log, random: Random): Promise<number> {
  const keys = keysOf(log);
  const asked: Promise<number>[] = [];
  const under: Promise<unknown>[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + random.below(random.chance(0.2) ? 3000 : 40));
    const bytes = body(lines.slice(from, to));
    under.push(parts.ingest.post(bytes, 'ndjson'));
    // One that is judged in slices would be overtaken.
    if (bytes.length > SLICE_BYTES) await under.at(-1);
    from = to;
    if (random.chance(0.1)) asked.push(ask(parts, log, keys));
    if (random.chance(0.1)) await under.shift();
    if (random.chance(0.02)) await parts.ingest.barrier();
  }
  await Promise.all(under);
  asked.push(ask(parts, log, keys));
  return (await Promise.all(asked)).reduce((sum, count) => sum + count, 0);
}

async function ask(parts: Parts, log: Log, keys: ReturnType<typeof keysOf>): Promise<number> {
  const acknowledged = parts.ingest.position;
  const answer = await parts.reader.lookup(everything(parts.plan, keys));
  expect(answer.position).toBeGreaterThanOrEqual(acknowledged);
  // Before the first event there is nothing to compare with.
  return answer.position! < 0 ? 0 : compareAnswer(parts.plan, log, keys, answer);
}

describe.each([
  ['tame', tame(week)],
  ['perturbed', wild(week, SEED)],
])('%s flights', (_name, lines) => {
  test.each([
    [0, PLENTY_BYTES],
    [1, PLENTY_BYTES],
    [2, PLENTY_BYTES],
    [3, LITTLE_BYTES],
  ])(
    '%d workers, %d bytes for rows: every answer = oracle at its position; rows and errors = those of one thread',
    async (workers, memoryBytes) => {
      const alone = folder();
      const one = await start(alone, 'one');
      const log = parseLog(body(lines), one.plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
      await one.ingest.post(body(lines), 'ndjson');
      const wanted = await end(one, alone);
      expect(wanted.rows.count).toBeGreaterThan(5_000);

      const together = folder();
      const random = new Random(SEED + workers);
      // Stopped in the middle, and gone on with by another number of workers.
      const half = Math.floor(lines.length / 2);
      const first = await start(together, workers, memoryBytes);
      const looked = await postAll(first, lines.slice(0, half), log, random);
      await end(first, together);
      const second = await start(together, workers + 1, memoryBytes);
      const lookedAgain = await postAll(second, lines.slice(half), log, random);
      expect(looked + lookedAgain).toBeGreaterThan(10_000);
      if (memoryBytes === LITTLE_BYTES) expect(second.state().rowsLoaded).toBeGreaterThan(100);
      expect(await end(second, together)).toEqual(wanted);
    },
    300_000,
  );
});

test('chunks that are decoded side by side take their clocks from each other', async () => {
  // Each chunk is a day on from the one before; which of its late events still count hangs on the clock at each of them.
  const random = new Random(SEED);
  const days = 40;
  const padding = 'x'.repeat(CHUNK_BYTES / 100);
  const lines = Array.from({ length: days * 100 }, (_, i) => {
    const clockMs = Date.UTC(2001, 0, 1) + (i / 100) * DAY_MS;
    const time = new Date(clockMs - (random.chance(0.5) ? random.below(8 * DAY_MS) : 0)).toISOString();
    const data = `{"origin":"${'ABC'[random.below(3)]}","destination":"D","delay":1}`;
    return new TextEncoder().encode(`{"type":"flight","time":"${time}","data":${data},"padding":"${padding}"}`);
  });
  const [alone, together] = [folder(), folder()];
  const one = await start(alone, 'one');
  await one.ingest.post(body(lines), 'ndjson');
  const many = await start(together, 3);
  await many.ingest.post(body(lines), 'ndjson');
  const log = parseLog(body(lines), one.plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const late = lateIn(one.plan, log);
  expect(late.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(500);
  for (const parts of [one, many]) {
    await parts.ingest.barrier();
    expect(writtenLate(parts.meta)).toEqual(late);
  }
  expect(many.state().refused).toEqual(one.state().refused);
  expect(await end(many, together)).toEqual(await end(one, alone));
});

test('small bodies that come at once are folded together, and each is answered when it is folded', async () => {
  const random = new Random(SEED);
  const lines = wild(week, SEED);
  const bodies: Uint8Array[] = [];
  for (let at = 0; at < 1500; ) {
    const count = 1 + random.below(5);
    bodies.push(body(lines.slice(at, at + count)));
    at += count;
  }
  const [alone, together] = [folder(), folder()];
  const one = await start(alone, 'one');
  for (const each of bodies) await one.ingest.post(each, 'ndjson');
  const many = await start(together, 2);
  let sum = 0;
  await Promise.all(
    bodies.map(async each => {
      const { accepted, position } = await many.ingest.post(each, 'ndjson');
      sum += accepted;
      expect(position).toBeGreaterThanOrEqual(sum - 1);
    }),
  );
  expect(many.ingest.position).toBe(sum - 1);
  expect(await end(many, together)).toEqual(await end(one, alone));
});

test('a chunk whose lists fill several batches of the kernel is one chunk all the same', async () => {
  const at = folder();
  const features = join(at, 'features');
  const fields = Array.from({ length: FIELDS }, (_, i) => `f${i}: int64?`).join(', ');
  await Bun.write(
    join(features, 'carts.yaml'),
    `events:
  cart: { shop: string, items: [item] }
types:
  item: { ${fields} }
entities: { shop: string }
---
feature_set: carts
entity: shop
source: cart
windows: [2h, lifetime]
sql: SELECT shop, COUNT(*) AS n, SUM(LEN(items)) AS items, LAST(items[-1].f3) AS f3 FROM cart GROUP BY shop
`,
  );
  const lines = Array.from({ length: 60 }, (_, i) => {
    // Few bytes of empty structs are megabytes of columns.
    const items = `${'{},'.repeat(i % 3 === 0 ? 900 : 3)}{"f3":${i}}`;
    const time = new Date(Date.UTC(2001, 0, 1, 0, i)).toISOString();
    return new TextEncoder().encode(`{"type":"cart","time":"${time}","data":{"shop":"s${i % 2}","items":[${items}]}}`);
  });
  const parts = await start(at, 2, PLENTY_BYTES, features);
  await parts.ingest.post(body(lines), 'ndjson');
  const { entities } = await parts.reader.lookup({ features: ['carts:*'], entities: { shop: ['s0', 's1'] }, at: null });
  const found = entities[0]!.features
    .filter(({ name }) => name.endsWith('lifetime'))
    .map(({ values }) => [...(values as BigInt64Array)]);
  expect(found).toEqual([
    [30n, 30n],
    [10n * 901n + 20n * 4n, 10n * 901n + 20n * 4n],
    [58n, 59n],
  ]);
});

test('windows that are over and series, by several threads = oracle', async () => {
  const at = folder();
  const features = join(at, 'features');
  await Bun.write(
    join(features, 'flights.yaml'),
    `events:
  flight: { origin: string, destination: string, delay: int64? }
entities: { origin: string }
---
feature_set: s
entity: origin
source: flight
tile_offset: 5h30m
windows: [2h, tumbling 1h, hopping 1d every 6h, 1d offset 2d, 3 x 1d, 2 x tumbling 12h offset 1h]
sql: SELECT origin, COUNT(*) AS n, AVG(delay) AS mean, MAX(delay) - MIN(delay) AS spread, LAST(destination) AS last FROM flight GROUP BY origin
derive: { trend: 'mean_3x1d[1] - mean_3x1d[3]' }
`,
  );
  const lines = wild(week, SEED + 1);
  const parts = await start(at, 3, LITTLE_BYTES, features);
  const log = parseLog(body(lines), parts.plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
  const keys = new Map([['origin', keysOf(log).get('origin')!]]);
  let asked = 0;
  for (let from = 0; from < lines.length; from += 400) {
    await parts.ingest.post(body(lines.slice(from, from + 400)), 'ndjson');
    asked += compareAnswer(parts.plan, log, keys, await parts.reader.lookup(everything(parts.plan, keys)));
  }
  expect(asked).toBeGreaterThan(2000);
});

test('what several threads explain is what one does', async () => {
  const lines = tame(week);
  const [alone, together] = [folder(), folder()];
  const one = await start(alone, 'one');
  const many = await start(together, 3);
  const random = new Random(SEED);
  const keys = keysOf(parseLog(body(lines), one.plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs }));
  for (let from = 0; from < lines.length; from += 1500) {
    for (const { ingest } of [one, many]) await ingest.post(body(lines.slice(from, from + 1500)), 'ndjson');
    for (let i = 0; i < 12; i++) {
      const { name, entity } = random.pick(one.plan.features);
      const [part, ...more] = random.pick(keys.get(entity)!) as string[];
      const asked = { feature: name, key: more.length > 0 ? [part!, ...more] : part!, at: null };
      const [found, wanted] = [await many.reader.explain(asked), await one.reader.explain(asked)];
      expect(explanationJson(found)).toBe(explanationJson(wanted));
    }
  }
  await expect((async () => many.reader.explain({ feature: 'no:such_2h', key: 'ATL', at: null }))()).rejects.toThrow(
    'no feature no:such_2h',
  );
});
