/** Who owns a partition of earlier events: where that begins, where it ends, and when somebody else has to be asked. */
import { expect, test } from 'bun:test';
import { type PastParts, ownPast } from '../../src/cli/cluster/past_partition.ts';
import { Lost, type Progress } from '../../src/source/partition.ts';
import type { Agreement } from '../../src/store/agreed.ts';
import { FIRST_MARK, noteOf } from '../../src/work/note.ts';
import { Pace } from '../../src/work/pace.ts';
import { takenUpNote } from '../../src/work/succession.ts';
import { flightsPlan } from '../oracle/fixtures/flights.ts';
import { countedIds, EVENT_CLOCK } from '../sim/engine.ts';

const NUMBER = 2;
const UNTIL = 10n;

/** Partition 0, taken up at `UNTIL`, and all that was asked and said, in order. */
function partsOf({ takenUp = true, beginning = null as string | null } = {}) {
  const said: string[] = [];
  const clocks = new Map();
  const reached = {
    plan: new Map(takenUp ? [[0, takenUpNote({ offset: UNTIL, nowMicros: 0n, count: 0, clocks })]] : []),
    backfilling: new Map(beginning === null ? [] : [[0, beginning]]),
  };
  const agreement = {
    reached: async (what: keyof typeof reached) => reached[what],
    reach: async (what: string, ...of: unknown[]) => void said.push(`${what} ${of.join(' ')}`),
  } as unknown as Agreement;
  const plan = flightsPlan();
  const parts: PastParts = {
    ...{ agreement, plan, number: NUMBER, ids: countedIds(plan), clock: EVENT_CLOCK, broker: null as never },
    patience: work => work(),
    epoch: { number: 1, partitions: 2, stamp: 0n, highest: [] },
    source: { group: 'g.backfill', topic: 'events' },
    topics: { changelog: 'changes', errors: 'errors' },
    watcher: { tiled() {}, bad() {} },
    pace: new Pace({ aheadBytes: 1, folded: async () => new Map(), pause: async () => {}, nowMs: () => 0 }),
    async outboxOf() {
      said.push('others are shut out');
      return {
        async send(messages, { next }) {
          said.push(`${messages.length} messages, up to ${next}`);
          return [];
        },
        close: async () => {},
      };
    },
  };
  const own = (low: bigint, committed: Progress | null) => {
    const ask = async () => {
      said.push('asked how far it is');
      return committed;
    };
    return ownPast(parts, { partition: 0, low, committed: ask });
  };
  return { own, said };
}

const upTo = (next: bigint): Progress => {
  return { next, note: noteOf({ count: 0, clocks: new Map(), mark: { ...FIRST_MARK, plan: NUMBER } }) };
};

test('who comes first begins with what there is, commits that, and notes it', async () => {
  const { own, said } = partsOf();
  const { backfiller } = await own(3n, null);
  expect([backfiller.next, backfiller.isDone]).toEqual([3n, false]);
  expect(said).toEqual(['others are shut out', 'asked how far it is', '0 messages, up to 3', 'backfilling 2 0 3']);
});

test('where all of it is gone there is nothing to be made', async () => {
  const { own, said } = partsOf();
  const { backfiller } = await own(20n, null);
  expect([backfiller.next, backfiller.isDone]).toEqual([UNTIL, true]);
  expect(said.at(-1)).toBe('backfilling 2 0 10');
});

test('who takes over goes on, and notes nothing again', async () => {
  const { own, said } = partsOf({ beginning: '3' });
  expect((await own(3n, upTo(7n))).backfiller.next).toBe(7n);
  expect(said).toEqual(['others are shut out', 'asked how far it is']);
});

test('who comes after one that has died before it noted that goes on, where what follows is there', async () => {
  const { own, said } = partsOf();
  await expect(own(5n, upTo(3n))).rejects.toThrow('the broker no longer has what follows');
  expect((await own(3n, upTo(3n))).backfiller.next).toBe(3n);
  expect(said.at(-1)).toBe('backfilling 2 0 3');
});

test('where the broker has forgotten how far it is, nobody begins again', async () => {
  const { own } = partsOf({ beginning: '3' });
  await expect(own(3n, null)).rejects.toMatchObject({ code: 'expired' });
});

test('events that are gone are no loss behind the last one that was wanted', async () => {
  const { own } = partsOf({ beginning: '3' });
  await expect(own(8n, upTo(7n))).rejects.toMatchObject({ code: 'expired' });
  expect((await own(20n, upTo(UNTIL))).backfiller.isDone).toBe(true);
});

test('a partition that has not taken the plan up yet is nobody`s, and nobody is shut out', async () => {
  const { own, said } = partsOf({ takenUp: false });
  await expect(own(0n, null)).rejects.toBeInstanceOf(Lost);
  expect(said).toEqual([]);
});
