import { expect, test } from 'bun:test';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import type { Message, Outgoing, Progress } from '../../src/source/partition.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import { FIRST_MARK, type Known, noteOf, readNote } from '../../src/work/note.ts';
import { Tiler } from '../../src/work/tiler.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { countedIds, EVENT_CLOCK } from '../sim/engine.ts';
import { weekLines } from '../sim/flights.ts';

const SHARDS = 2;

interface Told {
  partition: number;
  offset: string | null;
  line: number | null;
  position: number | null;
  code: string;
  sample: string;
}

test('what is wrong is told with the message and the line that it stands in, whatever arrived with it', async () => {
  const plan = flightsPlan();
  const kernel = await loadKernel();
  const settings = { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: SHARDS };
  const sent: { messages: Outgoing[]; progress: Progress }[] = [];
  const outbox = {
    async send(messages: Outgoing[], progress: Progress) {
      sent.push({ messages, progress });
      return [];
    },
    async close() {},
  };
  const layout = layPlan(kernel, plan, countedIds(plan), settings);
  const topics = { changelog: 'changes', errors: 'errors' };
  const told: (string | number)[] = [];
  const watcher = { tiled: (count: number) => told.push(count), bad: (code: string) => told.push(code) };
  const tiler = new Tiler(
    { lanes: [layout], mark: FIRST_MARK, outbox, partition: 3, shards: SHARDS, topics, watcher },
    null,
    40n,
  );
  const [a, b, c, d] = (await weekLines()).slice(0, 4);
  const bad = '{"type":"flight","time":"2001-03-05T00:01:00Z","data":{"origin":7}}';
  const messages = [
    message(40n, 0, `${a}\n${bad}`),
    { ...message(41n, 0, ''), poison: { code: 'not_protobuf', reason: 'it is cut', sample: '0a09' } },
    message(42n, 0, `${b}\r\n\nno event`),
    message(45n, 1, `${c}\n`),
    message(46n, 1, `${bad}\n${d}\n${bad}`),
  ];
  await tiler.take(messages, 48n);
  const [{ messages: out, progress }] = sent as [(typeof sent)[number]];
  const errors = out
    .filter(({ topic }) => topic === 'errors')
    .map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as Told);
  expect(
    errors.map(({ partition, offset, line, position, code }) => [partition, offset, line, position, code]),
  ).toEqual([
    [3, '41', null, null, 'not_protobuf'],
    [3, '42', 3, null, 'not_json'],
    [3, '40', 2, 1, 'wrong_type'],
    [3, '46', 1, 4, 'wrong_type'],
    [3, '46', 3, 6, 'wrong_type'],
  ]);
  expect(errors.slice(0, 2).map(({ sample }) => sample)).toEqual(['0a09', 'no event']);
  // As docs/cluster.md shows it.
  expect(Object.keys(errors[2]!).join()).toBe('partition,offset,line,position,type,code,reason,sample');
  expect(new Set(out.map(({ topic }) => topic))).toEqual(new Set(['errors', 'changes']));
  expect(progress.next).toBe(48n);
  expect(readNote(progress.note).count).toBe(7);
  expect(tiler.next).toBe(48n);
  expect(told).toEqual(['not_protobuf', 'not_json', 'wrong_type', 'wrong_type', 'wrong_type', 7]);
  for (const { topic, arrivedMs } of out) if (topic === 'changes') expect(arrivedMs).toBe(Date.UTC(2001, 2, 6));
});

/** @param afterMs it arrives so long after others */
function message(offset: bigint, afterMs: number, text: string): Message {
  return { offset, timestampMs: Date.UTC(2001, 2, 6) + afterMs, value: new TextEncoder().encode(text) };
}

test('whoever goes on knows what clocks have shown to others before, and notes it once', async () => {
  const plan = flightsPlan();
  const sent: Progress[] = [];
  const outbox = {
    async send(_messages: Outgoing[], progress: Progress) {
      sent.push(progress);
      return [];
    },
    async close() {},
  };
  const [first, second] = [clock(50n, 40n), clock(30n, 10n)];
  const open = async (committed: Progress, earlier: Known['clocks']) => {
    const settings = { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: SHARDS };
    const layout = layPlan(await loadKernel(), plan, countedIds(plan), settings);
    const parts = { lanes: [layout] as [typeof layout], mark: FIRST_MARK, outbox, partition: 0, shards: SHARDS };
    const topics = { changelog: 'changes', errors: 'errors' };
    return new Tiler({ ...parts, topics, watcher: { tiled() {}, bad() {} }, earlier }, committed, 0n);
  };
  const note = (clocks: Known['clocks']) => ({ next: 7n, note: noteOf({ count: 5, clocks, mark: FIRST_MARK }) });
  for (const [known, earlier, expected] of [
    [first, second, clock(50n, 10n)],
    [second, first, clock(50n, 10n)],
    [new Map(), second, second],
  ] as const) {
    await (await open(note(known), earlier)).takeUp();
    const noted = sent.pop()!;
    expect([noted.next, readNote(noted.note)]).toEqual([7n, { count: 5, clocks: expected, mark: FIRST_MARK }]);
    await (await open(noted, earlier)).takeUp();
    expect(sent).toEqual([]);
  }
});

function clock(at: bigint, since: bigint): Known['clocks'] {
  return new Map([['flight', { at, since, jumps: [] }]]);
}
