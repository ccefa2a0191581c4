import { expect, test } from 'bun:test';
import { turn } from '../../src/base/turn.ts';
import { Fault } from '../../src/base/fault.ts';
import { EventLog } from '../../src/source/log.ts';
import { type Lie, SimulatedDisk } from '../sim/disk.ts';
import { LONG } from '../seeds.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, linesOf } from './lines.ts';

/** Small, so that a dozen appends fill several. */
const SEGMENT_BYTES = 500;
const SEEDS = LONG ? 60 : 6;

const CLOCK = { kind: 'wall', maxJumpMs: 1 } as const;

/** Packed on this thread, so that the seed alone decides what comes before what. */
const pack = async (plain: Uint8Array) => Bun.zstdCompressSync(Uint8Array.from(plain));

const open = (disk: SimulatedDisk) =>
  EventLog.open({ disk, folder: '/log', clock: CLOCK, segmentBytes: SEGMENT_BYTES });

/** Arrivals of appends lie within a second: many of these segments are closed for their age. */
const openPacking = (disk: SimulatedDisk, notes: string[]) =>
  EventLog.open({
    ...{ disk, folder: '/log', clock: CLOCK, segmentBytes: SEGMENT_BYTES, segmentAgeMs: 200, pack },
    onNote: note => notes.push(note),
  });

/** What must be true of the log, whatever happened to it. */
interface Known {
  /** Lines that were acknowledged, or read back: they are there for good, at these positions. */
  lines: string[];
  /** Appends after them that were not acknowledged, in call order: any number of the first may be there. */
  open: string[][];
  /** Keys of acknowledged batches -> where they stand. */
  keys: Map<string, { position: number; count: number }>;
}

test('every kill point, then a second kill in the recovery: nothing acknowledged is lost, doubled or moved', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await everyKillPoint(seed, null);
  for (const count of Object.values(left)) expect(count).toBeGreaterThan(10);
});

for (const lie of ['sync', 'syncFolder'] as const)
  test(`a disk whose ${lie} does nothing is found out`, async () => {
    expect(await firstFailure(lie)).toMatch(/^seed \d+, killed at operation \w+: /);
  });

async function firstFailure(lie: Lie): Promise<string | null> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const failure = await everyKillPoint(seed, lie).then(
      () => null,
      (error: Error) => error.message,
    );
    if (failure !== null) return failure;
  }
  return null;
}

/** What deaths have left of packing. */
const left = { part: 0, both: 0, packedOnly: 0 };

function noteLeft(disk: SimulatedDisk): void {
  const paths = new Set(disk.paths());
  for (const path of paths) {
    if (path.endsWith('.part')) left.part++;
    else if (path.endsWith('.zst')) left[paths.has(path.slice(0, -4)) ? 'both' : 'packedOnly']++;
  }
}

async function everyKillPoint(seed: number, lie: Lie | null): Promise<void> {
  let kill = Number.POSITIVE_INFINITY;
  try {
    const operations = await lives(seed, lie, kill);
    expect(operations).toBeGreaterThan(30);
    for (kill = 0; kill < operations; kill++) await lives(seed, lie, kill);
  } catch (error) {
    throw new Error(`seed ${seed}, killed at operation ${kill}: ${(error as Error).message}`, { cause: error });
  }
}

/** Three processes after one another; the last one lives. Returns how many operations the first one did. */
async function lives(seed: number, lie: Lie | null, kill: number): Promise<number> {
  const random = new Random(seed);
  const disk = new SimulatedDisk(1000 * seed + Math.min(kill, 999), lie);
  const known: Known = { lines: [], open: [], keys: new Map() };
  disk.kill(kill);
  await life(disk, random, known);
  const { operations } = disk;
  die(disk, random);
  disk.kill(random.below(12));
  await life(disk, random, known);
  die(disk, random);
  await life(disk, random, known);
  disk.powerCut();
  check(known, await readAll(await open(disk), 0));
  expect(known.open).toEqual([]);
  return operations;
}

function die(disk: SimulatedDisk, random: Random): void {
  if (random.chance(0.6)) disk.powerCut();
  else disk.restart();
  noteLeft(disk);
}

/** A process that opens the log, looks at what it finds, and appends in waves until it is done or dead. */
async function life(disk: SimulatedDisk, random: Random, known: Known): Promise<void> {
  const notes: string[] = [];
  let log: EventLog | null = null;
  try {
    log = await openPacking(disk, notes);
    check(known, await readAll(log, 0));
    checkKeys(known, log);
    for (let wave = 0; wave < 5; wave++) {
      await appendWave(log, random, known);
      if (random.chance(0.5)) await someTurns(random.below(6));
    }
    const from = random.below(log.end + 1);
    expect((await readAll(log, from)).lines).toEqual(known.lines.slice(from));
    if (random.chance(0.5)) await log.packed();
    checkKeys(known, log);
    await log.close();
  } catch (error) {
    if (!isDeath(error)) throw error;
  } finally {
    // Packing notices a death by itself; nothing of a dead process may go on when the next one begins.
    await log?.packed();
  }
  for (const note of notes) expect(note).toMatch(/could not be packed: the process (is dead|died)/);
}

async function someTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Which key counts is a matter of what is in the log; those that were acknowledged are there. */
function checkKeys(known: Known, log: EventLog): void {
  for (const [key, batch] of known.keys) expect(log.recall(key, 1_000_000n)).toMatchObject(batch);
}

async function appendWave(log: EventLog, random: Random, known: Known): Promise<void> {
  const appends = [];
  let position = known.lines.length;
  for (let i = random.below(4); i >= 0; i--) {
    const lines = Array.from({ length: 1 + random.below(3) }, (_, n) => {
      return JSON.stringify({ position: position + n, text: 'x'.repeat(random.below(80)) });
    });
    known.open.push(lines);
    const arrivalMicros = BigInt(random.below(1_000_000));
    const id = random.chance(0.3) ? { key: `"${random.below(2 ** 31)}\\`, digest: 'ab'.repeat(32) } : null;
    const append = log.append(bytesOf(lines), lines.length, arrivalMicros, id);
    appends.push(acknowledge(append, position, lines, known, id?.key ?? null));
    position += lines.length;
    if (random.chance(0.3)) await null;
  }
  const failed = (await Promise.allSettled(appends)).find(result => result.status === 'rejected');
  if (failed) throw failed.reason;
}

async function acknowledge(
  append: Promise<number>,
  position: number,
  lines: string[],
  known: Known,
  key: string | null,
): Promise<void> {
  expect(await append).toBe(position);
  expect(known.open.shift()).toBe(lines);
  known.lines.push(...lines);
  if (key !== null) known.keys.set(key, { position, count: lines.length });
}

/** The log is what is known, then some of the open appends, each whole. From here on that is known. */
function check(known: Known, found: Found): void {
  const wanted = [...known.lines];
  while (known.open.length > 0 && wanted.length < found.lines.length) wanted.push(...known.open.shift()!);
  expect(found.lines).toEqual(wanted);
  known.lines = wanted;
  known.open = [];
  expect(found.arrivals.every((arrival, i) => arrival >= (found.arrivals[i - 1] ?? 0n))).toBe(true);
}

interface Found {
  lines: string[];
  arrivals: bigint[];
}

async function readAll(log: EventLog, from: number): Promise<Found> {
  const found: Found = { lines: [], arrivals: [] };
  for await (const block of log.read(from)) {
    found.lines.push(...linesOf(block.bytes));
    found.arrivals.push(block.arrivalMicros!);
  }
  expect(found.lines.length).toBe(log.end - from);
  if (found.arrivals.length > 0) expect(log.lastArrivalMicros).toBe(found.arrivals.at(-1)!);
  return found;
}

function isDeath(error: unknown): boolean {
  return error instanceof Error && /the process (is dead|died)/.test(error.message);
}

test('a failed operation ends the log: later appends are refused, and a new process finds what was acknowledged', async () => {
  for (let n = 0; n < 40; n++) {
    const random = new Random(n);
    const disk = new SimulatedDisk(n);
    const log = await open(disk);
    const known: Known = { lines: [], open: [], keys: new Map() };
    disk.fail(n);
    for (let wave = 0; wave < 12; wave++)
      await appendWave(log, random, known).catch((error: unknown) => {
        expect(error).toBeInstanceOf(Fault);
        expect((error as Fault).message).toContain('until this process is restarted');
      });
    expect(known.open.length).toBeGreaterThan(0);
    await expect(log.append(bytesOf(['{}']), 1, 0n)).rejects.toThrow('EIO');
    expect((await readAll(log, 0)).lines).toEqual(known.lines);
    await log.close();
    disk.restart();
    expect((await readAll(await open(disk), 0)).lines).toEqual(known.lines);
  }
});

test.each([
  ['plain', open],
  ['packed', (disk: SimulatedDisk) => openPacking(disk, [])],
] as const)('any one rotten byte of a %s log is a fault, or costs at most the last write', async (kind, open) => {
  const made = async () => {
    const disk = new SimulatedDisk(7);
    const log = await open(disk);
    const id = { key: 'k', digest: '0'.repeat(64) };
    for (let n = 0; n < 15; n++) await log.append(bytesOf([JSON.stringify({ n })]), 1, BigInt(n), n === 2 ? id : null);
    await log.packed();
    await log.close();
    return { disk, lines: (await readAll(log, 0)).lines };
  };
  const { disk: whole, lines } = await made();
  const names = await whole.list('/log');
  expect(names.length).toBeGreaterThan(2);
  expect(names.filter(each => each.endsWith('.zst')).length).toBe(kind === 'packed' ? names.length - 1 : 0);
  for (const name of names)
    for (let offset = 0; offset < whole.content(`/log/${name}`).length; offset++) {
      const { disk } = await made();
      disk.rot(`/log/${name}`, offset);
      const found = await open(disk)
        .then(log => readAll(log, 0))
        .catch((error: unknown) => {
          expect(error).toBeInstanceOf(Fault);
          return null;
        });
      // A few bits of a zstd frame say nothing of what it unpacks to.
      const isHarmless = name.endsWith('.zst') && found?.lines.length === lines.length;
      if (found) expect(found.lines).toEqual(isHarmless ? lines : lines.slice(0, -1));
    }
});

test('a missing segment is a fault', async () => {
  const disk = new SimulatedDisk(1);
  const log = await open(disk);
  for (let n = 0; n < 15; n++) await log.append(bytesOf([JSON.stringify({ n })]), 1, 0n);
  await log.close();
  const [first, second] = await disk.list('/log');
  disk.lose(`/log/${second}`);
  await expect(open(disk)).rejects.toThrow(`follows ${second}, but ${first} is before it`);
  disk.lose(`/log/${first}`);
  await expect(open(disk)).rejects.toThrow(`follows ${second}, but there is none before it`);
});

test('appends that wait for a sync go out together, with one sync', async () => {
  const disk = new SimulatedDisk(1);
  const log = await EventLog.open({
    disk,
    folder: '/log',
    clock: { kind: 'wall', maxJumpMs: 1 },
    segmentBytes: 1 << 20,
  });
  const before = disk.operations;
  await Promise.all(Array.from({ length: 100 }, (_, n) => log.append(bytesOf([String(n)]), 1, 0n)));
  // A write and a sync.
  expect(disk.operations - before).toBe(2);
  await log.close();
});

test('segments end where they would if nothing went out together', async () => {
  const cut = async (isTogether: boolean) => {
    const disk = new SimulatedDisk(1);
    const clock = { kind: 'wall', maxJumpMs: 1 } as const;
    const log = await EventLog.open({ disk, folder: '/log', clock, segmentBytes: 500 });
    const appended: Promise<number>[] = [];
    for (let n = 0; n < 40; n++) {
      appended.push(log.append(bytesOf(['x'.repeat(n * 7)]), 1, 0n));
      if (!isTogether) await appended.at(-1);
    }
    expect(await Promise.all(appended)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    await log.close();
    return disk.list('/log');
  };
  const one = await cut(false);
  expect(one.length).toBeGreaterThan(8);
  expect(await cut(true)).toEqual(one);
});
