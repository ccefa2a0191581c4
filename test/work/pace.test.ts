import { expect, test } from 'bun:test';
import type { Outbox, Outgoing, Placed } from '../../src/source/partition.ts';
import { Pace } from '../../src/work/pace.ts';
import { Random } from '../sim/random.ts';

const AHEAD_BYTES = 1_000;
const MESSAGE_BYTES_MAX = 400;
const NO_PROGRESS = { next: 0n, note: '' };

/** A changelog of two partitions, which is folded while somebody waits. */
function changelog(random: Random) {
  const ends = [0n, 0n];
  const folded = new Map<number, bigint>();
  const waiting: { placed: Placed; bytes: number }[] = [];
  const underWay = () =>
    waiting.reduce(
      (sum, { placed, bytes }) => sum + (placed.offset >= (folded.get(placed.partition) ?? 0n) ? bytes : 0),
      0,
    );
  const outbox: Outbox = {
    async send(messages) {
      const placed = messages.map(({ topic, partition, value }) => {
        const one = { topic, partition, offset: ends[partition]!++ };
        waiting.push({ placed: one, bytes: value.length });
        return one;
      });
      return placed;
    },
    async close() {},
  };
  return {
    ...{ outbox, underWay, folded },
    foldSome() {
      const partition = random.below(2);
      const from = folded.get(partition) ?? 0n;
      if (from < ends[partition]!) folded.set(partition, from + 1n);
    },
  };
}

function message(random: Random): Outgoing {
  return { topic: 'changes', partition: random.below(2), value: new Uint8Array(1 + random.below(MESSAGE_BYTES_MAX)) };
}

test('what several partitions send is never further ahead of rows than it may be, and all of it goes out', async () => {
  const random = new Random(3);
  const { outbox, underWay, folded, foldSome } = changelog(random);
  let rests = 0;
  let nowMs = 0;
  const pace = new Pace({
    aheadBytes: AHEAD_BYTES,
    folded: async () => new Map(folded),
    async pause() {
      rests++;
      foldSome();
    },
    nowMs: () => nowMs++,
  });
  const paced = pace.over(outbox);
  const senders = 4;
  let sent = 0;
  let most = 0;
  const send = async () => {
    for (let n = 0; n < 100; n++) {
      await paced.send([message(random), message(random)], NO_PROGRESS);
      sent++;
      most = Math.max(most, underWay());
    }
  };
  await Promise.all(Array.from({ length: senders }, send));
  expect(sent).toBe(400);
  // It is asked before what is sent is known to fit.
  expect(most).toBeLessThan(AHEAD_BYTES + senders * 2 * MESSAGE_BYTES_MAX);
  expect(most).toBeGreaterThan(AHEAD_BYTES / 2);
  expect(rests).toBeGreaterThan(100);
  const placed = await outbox.send([message(random)], NO_PROGRESS);
  expect(await pace.areFolded(placed)).toBe(true);
  expect(folded.get(placed[0]!.partition)).toBe(placed[0]!.offset + 1n);
});

test('rows have what was sent where they have the last of it in each partition', async () => {
  const folded = new Map<number, bigint>();
  const steps: [partition: number, next: bigint][] = [
    [0, 4n],
    [1, 2n],
    [0, 5n],
    [1, 3n],
  ];
  const pace = new Pace({
    ...{ aheadBytes: 1, folded: async () => folded, nowMs: () => 0 },
    async pause() {
      folded.set(...steps.shift()!);
    },
  });
  const topic = 'changes';
  expect(
    await pace.areFolded([
      { topic, partition: 0, offset: 4n },
      { topic, partition: 1, offset: 2n },
    ]),
  ).toBe(true);
  expect(steps).toEqual([]);
});

test('what could not be sent is not waited for, and at the end nobody waits', async () => {
  const random = new Random(4);
  const { outbox } = changelog(random);
  const pace = new Pace({
    ...{ aheadBytes: 10, folded: async () => new Map(), pause: () => Bun.sleep(1), nowMs: () => 0 },
  });
  const large = [{ topic: 'changes', partition: 0, value: new Uint8Array(50) }];
  const lost = pace.over({ ...outbox, send: () => Promise.reject(new Error('lost')) });
  for (let n = 0; n < 3; n++) expect(lost.send(large, NO_PROGRESS)).rejects.toThrow('lost');
  const placed = await pace.over(outbox).send(large, NO_PROGRESS);
  let isThrough = false;
  const waiting = pace
    .over(outbox)
    .send(large, NO_PROGRESS)
    .then(() => {
      isThrough = true;
    });
  const folded = pace.areFolded(placed);
  await Bun.sleep(1);
  expect(isThrough).toBe(false);
  pace.end();
  await waiting;
  expect(await folded).toBe(false);
});
