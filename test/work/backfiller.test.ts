/** Of the events of a partition a part is made by one who begins with the first, and the rest by one who goes on where a plan is taken up. */
import { expect, test } from 'bun:test';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { passOver } from '../../src/kernel/late.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { keptLevels } from '../../src/plan/window.ts';
import type { Message, Outbox, Outgoing, Progress } from '../../src/source/partition.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import { Backfiller } from '../../src/work/backfiller.ts';
import { FIRST_MARK, readNote } from '../../src/work/note.ts';
import { Tiler } from '../../src/work/tiler.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { countedIds, EVENT_CLOCK } from '../sim/engine.ts';
import { smallWeek } from '../sim/flights.ts';
import { Random } from '../sim/random.ts';

const WATCHER = { tiled() {}, bad() {} };
/** Among the events: nobody hears of it again. */
const BAD = '{"type":"flight","time":"2001-03-05T01:00:00Z","data":{"origin":7}}';

interface Sent {
  messages: Outgoing[];
  progress: Progress;
}

async function tilerTo(sent: Sent[], { committed = null as Progress | null, isPast = false } = {}) {
  const plan = flightsPlan();
  const settings = { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 };
  const layout = layPlan(await loadKernel(), plan, countedIds(plan), settings);
  const outbox: Outbox = {
    async send(messages, progress) {
      sent.push({ messages, progress });
      return [];
    },
    async close() {},
  };
  const parts = { lanes: [layout] as [typeof layout], mark: FIRST_MARK, outbox, partition: 0, shards: 1, isPast };
  const topics = { changelog: 'changes', errors: 'errors' };
  return { plan, layout, tiler: new Tiler({ ...parts, topics, watcher: WATCHER }, committed, 0n) };
}

/** `entity key level start -> value` of all that was sent. */
async function rowsOf(sent: Sent[]): Promise<Map<string, string>> {
  const fold = new Fold(await loadKernel(), null);
  for (const { topic, value } of sent.flatMap(({ messages }) => messages)) if (topic === 'changes') fold.apply(value);
  return new Map(
    fold
      .dirtyRows()
      .map(({ entity, key, levelMs, tileStartMs, value }) => [
        [entity, Buffer.from(key).toString('hex'), levelMs, tileStartMs].join(' '),
        value.toHex(),
      ]),
  );
}

test('what was there before a plan and what comes after it are the rows of all, but for tiles that were over', async () => {
  const random = new Random(7);
  const lines = await smallWeek(4, 3);
  lines.splice(lines.length >> 2, 0, BAD);
  const messages = lines.map((line, i): Message => {
    // Offsets that a broker keeps for itself lie between.
    return { offset: BigInt(2 * i), timestampMs: Date.UTC(2001, 2, 12) + i, value: new TextEncoder().encode(line) };
  });
  const half = Math.floor(lines.length * 0.6);
  const until = messages[half]!.offset;

  const all: Sent[] = [];
  const whole = await tilerTo(all);
  await whole.tiler.take(messages.slice(0, half), until);
  const takenUp = all.at(-1)!.progress;
  await whole.tiler.take(messages.slice(half), messages.at(-1)!.offset + 1n);

  const parts: Sent[] = [];
  const past = await tilerTo(parts, { isPast: true });
  passOver(past.layout, readNote(takenUp.note).clocks);
  const backfiller = new Backfiller(past.tiler, until);
  for (let from = 0; from < messages.length; ) {
    const part = messages.slice(from, from + 1 + random.below(300));
    from += part.length;
    await backfiller.take(part, part.at(-1)!.offset + 1n);
    expect(backfiller.next <= until).toBe(true);
  }
  expect([backfiller.isDone, backfiller.next]).toEqual([true, until]);
  const { count } = readNote(parts.at(-1)!.progress.note);
  expect(count).toBe(readNote(takenUp.note).count);
  const told = parts.flatMap(({ messages }) => messages);
  expect(told.every(({ topic, arrivedMs }) => topic === 'changes' && arrivedMs === undefined)).toBe(true);

  const rest = await tilerTo(parts, { committed: takenUp });
  await rest.tiler.take(messages.slice(half), messages.at(-1)!.offset + 1n);
  const [made, expected] = [await rowsOf(parts), await rowsOf(all)];
  const overMs = Number(readNote(takenUp.note).clocks.get('flight')!.at / 1_000n);
  const { plan } = whole;
  const ttls = new Map(
    plan.aggregates.flatMap(one => keptLevels(one, plan).map(({ levelMs, ttlMs }) => [levelMs, ttlMs])),
  );
  const isWanted = (row: string) => {
    const [levelMs, startMs] = row.split(' ').slice(-2).map(Number) as [number, number];
    return levelMs === 0 || startMs + ttls.get(levelMs)! > overMs;
  };
  const wanted = (rows: Map<string, string>) => [...rows].filter(([row]) => isWanted(row)).sort();
  expect(wanted(made)).toEqual(wanted(expected));
  expect(made.size).toBe(wanted(made).length);
  expect(made.size).toBeLessThan(expected.size * 0.8);
});
