/** A log that is ahead of the rows: one thread decodes, several fold what is of their own keys, and it is what one thread makes. */
import { expect, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Folding, foldingOf } from '../../src/cli/alone/engine.ts';
import { openDatabase, REFUSE } from '../../src/cli/alone/database.ts';
import { Stages } from '../../src/base/stages.ts';
import { SLICE_BYTES } from '../../src/ingest/door.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { foldsWith } from '../../src/shard/dealer.ts';
import { planOf } from '../compile/marked.ts';
import { type Log, parseLog } from '../oracle/log.ts';
import { countedIds, EVENT_CLOCK } from '../sim/engine.ts';
import { body, smallWeek, wild } from '../sim/flights.ts';
import { compareAnswer, everything, type Keys, keysOf } from '../sim/judge.ts';
import { leftIn } from '../sim/left.ts';
import { Random } from '../sim/random.ts';
import { definitionsOf, SHOPS, UPSERTS, upsertLines } from '../sim/upserts.ts';
import { folders } from '../source/folder.ts';
import { end, PLENTY_BYTES, start } from './threads.ts';

const SEED = 20010311;
const DAY_MS = 86_400_000;
/** Far less than the rows of these logs occupy. */
const LITTLE_BYTES = 256 << 10;

const folder = folders();
const week = await smallWeek(16, 7);

/** Seats of a table that move from row to row, many of them days late: one record may be refused in two shards. */
const SEATS = `events:
  seat: { changelog: { format: debezium }, room: string, price: int64? }
entities: { room: string }
---
feature_set: seats
entity: room
source: seat
windows: [2h, 1d, lifetime]
sql: SELECT room, COUNT(*) AS n, SUM(price) AS price FROM seat GROUP BY room
`;

function seatLines(count: number, random: Random): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const lateMs = random.chance(0.5) ? random.below(8 * DAY_MS) : 0;
    return seatLine(Date.UTC(2001, 0, 1) + i * 600_000 - lateMs, random);
  });
}

function seatLine(timeMs: number, random: Random): Uint8Array {
  const time = new Date(timeMs).toISOString();
  const [from, to] = [random.below(9), random.below(9)].map(room => `{"room":"r${room}","price":${random.below(99)}}`);
  const data = `{"before":${from},"after":${random.chance(0.03) ? 'null' : to},"op":"u"}`;
  return new TextEncoder().encode(`{"type":"seat","time":"${time}","data":${data}}`);
}

interface Case {
  name: string;
  /** Null for those of the flights. */
  definitions: string | null;
  lines: (random: Random) => Uint8Array[];
  keys: (log: Log) => Keys;
  /** So many errors and refusals, and more. */
  errors: number;
  refused: number;
}

const CASES: Case[] = [
  {
    ...{ name: 'flights', definitions: null, lines: () => wild(week, SEED), keys: keysOf },
    ...{ errors: 10, refused: 0 },
  },
  {
    ...{ name: 'a table', definitions: SEATS, lines: random => seatLines(4000, random) },
    ...{ keys: () => new Map([['room', [['r0'], ['r7'], ['r9']]]]), errors: 10, refused: 500 },
  },
  {
    ...{ name: 'upserts', definitions: definitionsOf(UPSERTS), lines: random => upsertLines(2000, random) },
    ...{ keys: () => new Map([['shop', SHOPS.map(shop => [shop])]]), errors: -1, refused: -1 },
  },
];

/** Returns their folder; nothing for those of the flights. */
async function writeDefinitions(definitions: string | null, at: string): Promise<string | undefined> {
  if (definitions === null) return undefined;
  await Bun.write(join(at, 'features/all.yaml'), definitions);
  return join(at, 'features');
}

test.each(CASES.map(one => [one.name, one] as const))(
  '%s: rows, errors, what was late and what is answered = those of one thread',
  async (_name, { definitions, lines: linesOf, ...wants }) => {
    const at = folder();
    const random = new Random(SEED);
    const features = await writeDefinitions(definitions, at);
    const lines = linesOf(random);
    const one = await start(at, 'one', PLENTY_BYTES, features);
    for (let from = 0; from < lines.length; ) {
      const to = Math.min(lines.length, from + 1 + random.below(600));
      await one.ingest.post(body(lines.slice(from, to)), 'ndjson');
      from = to;
    }
    const { behind, refused } = one.state();
    expect(refused.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(wants.refused);
    const wanted = await end(one, at);
    expect(wanted.errors.length).toBeGreaterThan(wants.errors);
    const log = parseLog(body(lines), one.plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    for (const [workers, memoryBytes] of [
      [0, PLENTY_BYTES],
      [1, LITTLE_BYTES],
      [2, PLENTY_BYTES],
      [3, LITTLE_BYTES],
    ] as const) {
      const many = await start(at, workers, memoryBytes, features, true);
      expect(many.ingest.position).toBe(log.records.length - 1);
      const keys = wants.keys(log);
      const answer = await many.reader.lookup(everything(many.plan, keys));
      expect(compareAnswer(many.plan, log, keys, answer)).toBeGreaterThan(10);
      // Shards have told with what follows a barrier.
      expect(many.state().behind).toEqual(behind);
      expect(many.state().refused).toEqual(refused);
      expect(await end(many, at)).toEqual(wanted);
    }
  },
);

test.each([1, 2, 3, 16, 40])(
  'each of %p shards folds with one deal of sixteen, and no more of them at once than have to',
  shards => {
    const deals = Array.from({ length: 64 }, (_, deal) =>
      Array.from({ length: shards }, (_, shard) => foldsWith(deal, shard, shards)),
    );
    for (let shard = 0; shard < shards; shard++)
      for (let from = 0; from + 16 <= deals.length; from++)
        expect(deals.slice(from, from + 16).filter(folds => folds[shard]).length).toBe(1);
    expect(Math.max(...deals.map(folds => folds.filter(Boolean).length))).toBe(Math.ceil(shards / 16));
  },
);

test.each(CASES.map(one => [one.name, one] as const))(
  '%s brought in bulk: rows, errors and what was late = those of one thread that is waited for',
  async (_name, { definitions, lines: linesOf, ...wants }) => {
    const at = folder();
    const random = new Random(SEED);
    const features = await writeDefinitions(definitions, at);
    const lines = linesOf(random);
    const one = await start(join(at, 'one'), 'one', PLENTY_BYTES, features);
    await one.ingest.post(body(lines), 'ndjson');
    const { refused } = one.state();
    const log = parseLog(body(lines), one.plan, { clock: 'event', maxJumpMs: EVENT_CLOCK.maxJumpMs });
    const keys = wants.keys(log);
    const wanted = await end(one, join(at, 'one'));
    expect(wanted.errors.length).toBeGreaterThan(wants.errors);
    for (const [workers, memoryBytes] of [
      ['one', LITTLE_BYTES],
      [0, LITTLE_BYTES],
      [1, LITTLE_BYTES],
      [2, PLENTY_BYTES],
      [3, LITTLE_BYTES],
    ] as const) {
      const folded = join(at, `bulk ${workers}`);
      const many = await start(folded, workers, memoryBytes, features);
      await many.ingest.inBulk(async post => {
        const posted: Promise<unknown>[] = [];
        // Shards answer meanwhile, as of some position: what they have gathered is folded, and what is put away is found.
        const ask = async () =>
          compareAnswer(many.plan, log, keys, await many.reader.lookup(everything(many.plan, keys)));
        for (let from = 0; from < lines.length; ) {
          const to = Math.min(lines.length, from + 1 + random.below(600));
          const bytes = body(lines.slice(from, to));
          posted.push(post(bytes, 'ndjson'));
          // One that is judged in slices would be overtaken.
          if (bytes.length > SLICE_BYTES) await posted.at(-1);
          else if (posted.length > 3) await posted.at(-3);
          from = to;
          if (workers !== 'one' && random.chance(0.1)) await ask();
        }
        await Promise.all(posted);
      });
      // All of it is in the store before anything is closed.
      expect(many.state().refused).toEqual(refused);
      expect(leftIn(join(folded, 'rows.db'), many.plan)).toEqual(wanted);
      expect(await end(many, folded)).toEqual(wanted);
    }
  },
);

async function fold(at: string, plan: Plan, workers: number | 'one'): Promise<Folding & { close(): Promise<void> }> {
  mkdirSync(at, { recursive: true });
  const database = openDatabase(join(at, 'rows.db'), REFUSE, () => {});
  const folding = await foldingOf({
    config: { log: { clock: EVENT_CLOCK } as never, fold: { workers: 0, memoryBytes: 1 << 20, barrierMs: 0 } },
    ...{ plan, ids: countedIds(plan), database, keeping: [], stages: new Stages() },
    ...{ workers: workers === 'one' ? 0 : workers, isAlone: workers === 'one' },
    onFailure: error => {
      throw error;
    },
  });
  const close = async () => {
    await folding.engine.close();
    database.close();
  };
  return { ...folding, close };
}

test.each([
  [0, 'a table'],
  [2, 'a table'],
  [3, 'a table'],
  [2, 'upserts'],
] as const)('%d workers, %s: lines that are behind and lines that are not, in any order', async (workers, name) => {
  const of = CASES.find(one => one.name === name)!;
  const plan = await planOf(of.definitions!);
  const random = new Random(SEED + workers);
  const lines = of.lines(random);
  const [[entity, asKeys]] = [...of.keys(null as never)] as [[string, string[][]]];
  const keys = asKeys.map(([key]) => key!);
  const [alone, together] = [folder(), folder()];
  const one = await fold(alone, plan, 'one');
  const many = await fold(together, plan, workers);
  const under: Promise<void>[] = [];
  let runs = 0;
  for (let from = 0, isBehind = true; from < lines.length; ) {
    const to = Math.min(lines.length, from + 1 + random.below(random.chance(0.1) ? 900 : 30));
    const bytes = body(lines.slice(from, to));
    await one.engine.fold(bytes, from, null, isBehind);
    under.push(many.engine.fold(bytes, from, null, isBehind));
    from = to;
    if (random.chance(0.3)) await many.engine.room();
    if (random.chance(0.02)) await many.engine.barrier();
    if (random.chance(0.75)) continue;
    isBehind = !isBehind;
    runs++;
    if (!random.chance(0.3)) continue;
    // Whoever asks has waited for what is folded, and says that nothing follows.
    await Promise.all(under);
    for (const { engine } of [one, many]) await engine.fold(new Uint8Array(0), from, null);
    const asked = { features: plan.sets.map(set => `${set.name}:*`), entities: { [entity]: keys }, at: null };
    expect(await many.reader.lookup(asked)).toEqual(await one.reader.lookup(asked));
    expect(many.engine.clocks()).toEqual(one.engine.clocks());
  }
  await Promise.all(under);
  expect(runs).toBeGreaterThan(5);
  expect(many.engine.folded).toBe(lines.length);
  await many.close();
  await one.close();
  expect(leftIn(join(together, 'rows.db'), plan)).toEqual(leftIn(join(alone, 'rows.db'), plan));
});

test('what is behind is decoded by the clocks of what somebody has waited for', async () => {
  const plan = await planOf(SEATS);
  const random = new Random(SEED);
  const folders = [folder(), folder()];
  const [one, many] = [await fold(folders[0]!, plan, 'one'), await fold(folders[1]!, plan, 2)];
  for (let i = 0; i < 20; i++) {
    const timeMs = Date.UTC(2001, 0, 1) + i * 10 * DAY_MS;
    // Days late, it comes by no clock but that of the line before.
    const lines = [seatLine(timeMs, random), seatLine(timeMs - 9 * DAY_MS, random)];
    for (const { engine } of [one, many]) {
      await engine.fold(body(lines.slice(0, 1)), i * 2, null);
      await engine.fold(body(lines.slice(1)), i * 2 + 1, null, true);
    }
  }
  for (const { close } of [one, many]) await close();
  expect(many.engine.refused()).toEqual(one.engine.refused());
  expect(many.engine.refused().reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(20);
  expect(leftIn(join(folders[1]!, 'rows.db'), plan)).toEqual(leftIn(join(folders[0]!, 'rows.db'), plan));
});
