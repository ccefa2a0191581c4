/** One partition of a changelog, folded by one owner after the other, of whom some do not know that they have lost it. */
import { expect, test } from 'bun:test';
import { loadKernel } from '../../src/kernel/instance.ts';
import type { Message, Progress } from '../../src/source/partition.ts';
import { byteName, keyAt, levelAt, tileStartAt } from '../../src/store/address.ts';
import { PackWalk } from '../../src/store/pack.ts';
import type { Version } from '../../src/store/stamp.ts';
import { Folder } from '../../src/work/folder.ts';
import { readFolded } from '../../src/work/note.ts';
import type { FoldedRows } from '../../src/work/patient.ts';
import { changeBatch, count, row, statesOf } from '../kernel/rows.ts';
import { Random } from '../sim/random.ts';

const SEEDS = process.env.TILEFOLD_LONG === '1' ? 2_000 : 15;
const MESSAGES = 80;
const KEYS = ['ATL', 'ORD', 'SFO', 'JFK', 'LAX'];
const MINUTE = 60_000;
const UNWATCHED = { folded() {}, written() {}, evicted() {}, fresh() {} };

/** What a database with last-write-wins does, and what it does where whoever writes dies on the way. */
class Database implements FoldedRows {
  readonly rows = new Map<string, { value: Uint8Array } & Version>();
  /** So many rows more are written, and then whoever writes dies. */
  left = Number.POSITIVE_INFINITY;

  async readRows(wanted: Uint8Array, take: Parameters<FoldedRows['readRows']>[1]): Promise<void> {
    const walk = new PackWalk().open(wanted);
    for (let index = 0; walk.next(); index++) {
      const found = this.rows.get(byteName(walk.address.subarray(0, walk.length)));
      if (found) take(index, found.value, 0, found.value.length, found);
    }
  }

  async writeRows(run: Uint8Array[], version: Version): Promise<void> {
    for (const part of run)
      for (const walk = new PackWalk().open(part); walk.next(); ) {
        if (this.left-- <= 0) throw new Error('killed');
        const name = byteName(walk.address.subarray(0, walk.length));
        if ((this.rows.get(name)?.stamp ?? -1n) < version.stamp)
          this.rows.set(name, { value: walk.value().slice(), ...version });
      }
  }
}

/** Messages of a few changes each, by a broker whose clock may stand still or go back, and what there is of each row in the end. */
function changelog(random: Random) {
  const messages: Message[] = [];
  const counts = new Map<string, bigint>();
  let timestampMs = 1_000_000;
  for (let offset = 0; offset < MESSAGES; offset++) {
    timestampMs += random.below(40) - 10;
    const changes = Array.from({ length: 1 + random.below(4) }, () => {
      const level = random.pick([0n, BigInt(MINUTE)]);
      const tileStart = level && BigInt(MINUTE * Math.floor((offset + random.below(12)) / 8));
      return { key: random.pick(KEYS), level, tileStart };
    });
    for (const { key, level, tileStart } of changes) {
      const name = `${key} ${level} ${tileStart}`;
      counts.set(name, (counts.get(name) ?? 0n) + 1n);
    }
    const value = changeBatch(...changes.map((change): [object, Uint8Array] => [change, row([1, count(1n)])]));
    messages.push({ offset: BigInt(offset), timestampMs, value });
  }
  return { messages, counts };
}

async function folded(seed: number): Promise<void> {
  const random = new Random(seed);
  const { messages: all, counts } = changelog(random);
  const database = new Database();
  const begun = await begunAfter(random.chance(0.5) ? random.below(MESSAGES / 2) : 0, all, database);
  const { epoch, messages } = begun;
  let committed: Progress | null = null;
  let owner: Folder;
  const asleep: Folder[] = [];

  async function takeOver(): Promise<void> {
    const folder: Folder = new Folder(
      {
        ...{
          kernel: await loadKernel(),
          rows: database,
          epoch,
          watcher: UNWATCHED,
        },
        memoryBytes: random.pick([1 << 12, 1 << 20]),
        nowMs: () => 0,
        async commit(progress) {
          // A group that is being dealt out anew takes nothing, and one of others takes nothing of this one.
          if (folder !== owner || random.chance(0.1)) return false;
          committed = progress;
          return true;
        },
      },
      committed,
    );
    owner = folder;
  }

  async function goOn(folder: Folder): Promise<void> {
    const from = Number(folder.next);
    const to = Math.min(messages.length, from + 1 + random.below(9));
    await folder.take(messages.slice(from, to), BigInt(to));
  }

  await takeOver();
  for (let step = 0; step < 60; step++) {
    const one = random.below(10);
    if (one < 4) await goOn(owner!);
    else if (one < 6) await owner!.flush();
    else if (one < 8 && asleep.length > 0) {
      const zombie = random.pick(asleep);
      await (random.chance(0.5) ? goOn(zombie) : zombie.flush());
    } else if (one === 8) {
      database.left = random.below(6);
      await owner!.flush().then(
        () => asleep.push(owner),
        () => {},
      );
      database.left = Number.POSITIVE_INFINITY;
      if (random.chance(0.1)) committed = null;
      await takeOver();
    } else if (one === 9) {
      asleep.push(owner!);
      await takeOver();
    }
  }
  while (owner!.next < messages.length) await goOn(owner!);
  await owner!.flush();
  for (const zombie of asleep) await zombie.flush();
  const found = new Map<string, bigint>();
  for (const [name, { value }] of database.rows) found.set(spelt(name), onlyCount(value));
  expect([...found].sort()).toEqual([...counts].sort());
}

/** The first messages as a changelog of their own, whose rows are there, and the others as the one after it. */
async function begunAfter(count: number, all: Message[], database: Database) {
  const first = { number: 1, stamp: 0n, highest: [] };
  if (count === 0) return { epoch: first, messages: all };
  let left: Progress;
  const folder = new Folder(
    {
      ...{ kernel: await loadKernel(), rows: database, epoch: first, watcher: UNWATCHED, memoryBytes: 1 << 20 },
      nowMs: () => 0,
      async commit(progress) {
        left = progress;
        return true;
      },
    },
    null,
  );
  await folder.take(all.slice(0, count), BigInt(count));
  await folder.flush();
  const messages = all.slice(count).map(message => ({ ...message, offset: message.offset - BigInt(count) }));
  return { epoch: { number: 2, ...readFolded(left!.note) }, messages };
}

function onlyCount(value: Uint8Array): bigint {
  const [[, state]] = statesOf(value) as [[number, { count: bigint }]];
  return state.count;
}

/** An address as tests name it. */
function spelt(name: string): string {
  const address = Buffer.from(name, 'latin1');
  return `${Buffer.from(keyAt(address, address.length))} ${levelAt(address, address.length)} ${tileStartAt(address, address.length)}`;
}

test('whoever dies, sleeps and comes back, each change counts once', async () => {
  for (let seed = 1; seed <= SEEDS; seed++)
    await folded(seed).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`);
    });
});

test('of a changelog after another one, rows beyond the tiles of that are not looked for', async () => {
  const asked: string[] = [];
  const database = new Database();
  const rows: FoldedRows = {
    writeRows: (...written) => database.writeRows(...written),
    readRows(wanted, take) {
      for (const walk = new PackWalk().open(wanted); walk.next(); )
        asked.push(spelt(byteName(walk.address.subarray(0, walk.length))));
      return database.readRows(wanted, take);
    },
  };
  const tile = (key: string, tileStart: number): [object, Uint8Array] => [
    { key, level: BigInt(MINUTE), tileStart: BigInt(tileStart) },
    row([1, count(1n)]),
  ];
  const all = [
    { offset: 0n, timestampMs: 1, value: changeBatch(tile('ATL', MINUTE)) },
    {
      offset: 1n,
      timestampMs: 2,
      value: changeBatch(tile('ATL', MINUTE), tile('ORD', MINUTE), tile('ORD', 2 * MINUTE)),
    },
  ];
  const { epoch, messages } = await begunAfter(1, all, database);
  const parts = { kernel: await loadKernel(), rows, epoch, watcher: UNWATCHED, memoryBytes: 1 << 20, nowMs: () => 0 };
  const folder = new Folder({ ...parts, commit: async () => true }, null);
  await folder.take(messages, 1n);
  await folder.flush();
  expect(asked.sort()).toEqual([`ATL ${MINUTE} ${MINUTE}`, `ORD ${MINUTE} ${MINUTE}`]);
  const counts = [...database.rows].map(([name, { value }]): [string, bigint] => [spelt(name), onlyCount(value)]);
  expect(new Map(counts).get(`ATL ${MINUTE} ${MINUTE}`)).toBe(2n);
});
