import { expect, test } from 'bun:test';
import { turn } from '../../src/base/turn.ts';
import { pauseMs, readThrough } from '../../src/source/bucket.ts';
import { EventLog, type LogSettings } from '../../src/source/log.ts';
import { type KeptSegment, leaving, type Moment } from '../../src/source/retention.ts';
import { restoreSegments } from '../../src/source/upload.ts';
import { noPauses, SimulatedBucket } from '../sim/bucket.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { Random } from '../sim/random.ts';
import { bytesOf, linesOf } from './lines.ts';

const SEGMENT_BYTES = 500;
const SEEDS = 6;
/** Bun's own limit is for tests that do not go through every kill point. */
const TIMEOUT_MS = 300_000;
const HOUR = 3_600_000_000n;
const DAY = 24n * HOUR;
const CLOCK = { kind: 'wall', maxJumpMs: 1 } as const;
const pack = async (plain: Uint8Array) => Bun.zstdCompressSync(Uint8Array.from(plain));

const settings = (disk: SimulatedDisk, more: Partial<LogSettings>): LogSettings => ({
  ...{ disk, folder: '/log', clock: CLOCK, segmentBytes: SEGMENT_BYTES, pack },
  ...more,
});

async function linesFrom(log: EventLog, from: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const { bytes } of log.read(from)) lines.push(...linesOf(bytes));
  return lines;
}

const line = (n: number) => JSON.stringify({ n, text: 'x'.repeat(100) });
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(from + i));

async function fill(log: EventLog, to: number, hours = 1n): Promise<void> {
  for (let n = log.end; n < to; n++) await log.append(bytesOf([line(n)]), 1, BigInt(n) * hours * HOUR);
}

test('pauses grow, are capped, and are spread', () => {
  expect([1, 2, 3, 100].map(failures => pauseMs(failures, 0))).toEqual([100, 200, 400, 30_000]);
  expect([1, 2, 3, 100].map(failures => pauseMs(failures, 0.999))).toEqual(
    [1, 2, 3, 100].map(failures => expect.closeTo(2 * pauseMs(failures, 0), -2)),
  );
});

test('which segments leave', () => {
  const segment = (n: number, more: Partial<KeptSegment> = {}): KeptSegment => ({
    ...{ first: 10 * n, end: 10 * n + 10, storedBytes: 100, lastArrivalMicros: BigInt(n) * DAY },
    ...{ keyedCount: 0, isSettled: true, isUploaded: true },
    ...more,
  });
  const gone = (keep: Parameters<typeof leaving>[1], segments: KeptSegment[], more: Partial<Moment> = {}) =>
    leaving(segments, keep, {
      ...{ otherBytes: 50, rowsPosition: 1000, nowMicros: 5n * DAY, hasBucket: false },
      ...more,
    }).map(({ first }) => first / 10);
  const five = [0, 1, 2, 3, 4].map(n => segment(n));
  const but = (n: number, more: Partial<KeptSegment>) => five.with(n, segment(n, more));
  const bucket = { hasBucket: true };
  expect(gone({}, five)).toEqual([]);
  expect(gone({ ageMs: 2 * 86_400_000 }, five)).toEqual([0, 1, 2]);
  expect(gone({ bytes: 250 }, five)).toEqual([0, 1, 2]);
  expect(gone({ bytes: 1 }, five)).toEqual([0, 1, 2, 3, 4]);
  expect(gone({ bytes: 550 }, five)).toEqual([]);
  expect(gone({ ageMs: 4 * 86_400_000, bytes: 250 }, five)).toEqual([0, 1, 2]);
  expect(gone({ bytes: 1 }, five, { rowsPosition: 25 })).toEqual([0, 1]);
  // A day and an hour after its last record a key can no longer be asked for.
  expect(gone({ bytes: 1 }, but(4, { keyedCount: 1 }))).toEqual([0, 1, 2, 3]);
  expect(gone({ bytes: 1 }, but(3, { keyedCount: 1 }))).toEqual([0, 1, 2, 3, 4]);
  expect(gone({ bytes: 1 }, but(4, { keyedCount: 1 }), bucket)).toEqual([0, 1, 2, 3, 4]);
  expect(gone({ bytes: 1 }, but(1, { isSettled: false }))).toEqual([0]);
  expect(gone({ bytes: 1 }, but(1, { isUploaded: false }), bucket)).toEqual([0, 2, 3, 4]);
});

test('a log without its beginning: positions stay, arrivals go on, keys of a day are known', async () => {
  const disk = new SimulatedDisk(1);
  const open = () => EventLog.open(settings(disk, { keep: { bytes: 1 } }));
  const log = await open();
  const id = { key: 'k', digest: '0'.repeat(64) };
  await fill(log, 80);
  await log.append(bytesOf([line(80)]), 1, 80n * HOUR, id);
  await fill(log, 100);
  await log.packed();
  expect(await log.isTrimmable(100n * HOUR)).toBe(true);
  expect(await log.trim(2, 100n * HOUR)).toBe(0);
  await log.trim(100, 100n * HOUR);
  expect([log.start > 70, log.start <= 80]).toEqual([true, true]);
  const { start } = log;
  for (const again of [log, await open()]) {
    expect([again.start, again.end, again.lastArrivalMicros]).toEqual([start, 100, 99n * HOUR]);
    expect(await linesFrom(again, start)).toEqual(lines(start, 100));
    expect(() => again.read(start - 1)).toThrow('is not within the log');
    expect(again.recall('k', 100n * HOUR)).toMatchObject({ position: 80 });
    expect(await again.firstArrivalMicros()).toBe(BigInt(start) * HOUR);
  }
  disk.lose(disk.paths().find(path => path.includes(String(start).padStart(20, '0')) && path.endsWith('.zst'))!);
  await expect(open()).rejects.toThrow(`.ndjson is missing`);
});

/** What was done to what was known, and by how many processes. */
interface Known {
  lines: string[];
  /** Appended, and not acknowledged. */
  maybe: string[];
  /** Rows contain all before it: nothing at or behind it may ever be gone. */
  rows: number;
}

async function life(disk: SimulatedDisk, random: Random, known: Known, more: Partial<LogSettings>): Promise<void> {
  let log: EventLog | null = null;
  try {
    log = await EventLog.open(settings(disk, more));
    const found = await linesFrom(log, log.start);
    const wanted = [...known.lines, ...known.maybe].slice(log.start);
    expect(found.length).toBeGreaterThanOrEqual(known.lines.length - log.start);
    expect(found).toEqual(wanted.slice(0, found.length));
    expect(log.start).toBeLessThanOrEqual(known.rows);
    known.lines = [...known.lines, ...known.maybe].slice(0, log.end);
    known.maybe = [];
    for (let wave = 0; wave < 8; wave++) {
      const next = lines(known.lines.length, known.lines.length + 1 + random.below(3));
      known.maybe = next;
      await log.append(bytesOf(next), next.length, BigInt(log.end) * DAY);
      known.lines.push(...next);
      known.maybe = [];
      for (let turns = random.below(12); turns > 0; turns--) await turn();
      if (random.chance(0.4)) {
        known.rows = Math.max(known.rows, random.below(known.lines.length + 1));
        await log.trim(known.rows, BigInt(log.end) * DAY);
      }
    }
    if (random.chance(0.5)) await log.packed();
    if (random.chance(0.5)) await uploadedOrDead(log, disk);
    const from = log.start + random.below(log.end - log.start);
    expect(await linesFrom(log, from)).toEqual(known.lines.slice(from));
  } catch (error) {
    if (!/the process (is dead|died)/.test((error as Error).message)) throw error;
  } finally {
    // Nothing of a dead process goes on when the next one begins.
    if (log) await log.close().catch(() => {});
  }
}

/** A dead process would try for good. */
async function uploadedOrDead(log: EventLog, disk: SimulatedDisk): Promise<void> {
  let isDone = false;
  const done = log.uploaded().then(() => {
    isDone = true;
  });
  while (!isDone && !disk.isDead) await turn();
  if (isDone) await done;
}

async function everyKill(
  kind: 'folder' | 'bucket',
  seed: number,
): Promise<{ start: number; local: number; objects: number }> {
  const most = { start: 0, local: 0, objects: 0 };
  let operations = Number.POSITIVE_INFINITY;
  for (let kill = -1; kill < operations; kill += kill < 0 ? 1 : 2) {
    const random = new Random(seed);
    const disk = new SimulatedDisk(1000 * seed + kill);
    const bucket = new SimulatedBucket(seed);
    bucket.trouble = kill % 4 === 0 ? 0.2 : 0;
    bucket.alive = () => {
      if (disk.isDead) throw new Error('the process is dead');
    };
    const remote = { bucket, pauses: noPauses(seed) };
    const more = { keep: { bytes: 600 }, bucket: kind === 'bucket' ? remote : undefined };
    const known: Known = { lines: [], maybe: [], rows: 0 };
    const failed = (error: Error): never => {
      throw new Error(`seed ${seed}, killed at operation ${kill}: ${error.message}`, { cause: error });
    };
    if (kill >= 0) disk.kill(kill);
    await life(disk, random, known, more).catch(failed);
    if (kill < 0) operations = disk.operations;
    for (let lives = 0; lives < 2; lives++) {
      if (random.chance(0.6)) disk.powerCut();
      else disk.restart();
      if (lives === 0) disk.kill(random.below(60));
      await life(disk, random, known, more).catch(failed);
    }
    bucket.trouble = 0;
    disk.restart();
    if (kind === 'bucket') await lostDisk(bucket, known).catch(failed);
    const paths = disk.paths();
    most.start = Math.max(
      most.start,
      ...paths.filter(path => path.endsWith('.start')).map(path => Number(path.slice(5, 25))),
    );
    most.local = Math.max(
      most.local,
      paths.filter(path => path.endsWith('.s3') && !paths.includes(path.replace(/s3$/, 'zst'))).length,
    );
    most.objects = Math.max(most.objects, bucket.objects.size);
  }
  return most;
}

/** What was uploaded, and nothing else, is there on a new machine; it goes on behind that. */
async function lostDisk(bucket: SimulatedBucket, known: Known): Promise<void> {
  const disk = new SimulatedDisk(7);
  bucket.alive = () => {};
  const pauses = noPauses(7);
  if (bucket.objects.size === 0) return;
  const more = { bucket: { bucket, pauses } };
  await expect(EventLog.open(settings(disk, more))).rejects.toThrow('`tilefold log restore` goes on with it');
  const { restored } = await restoreSegments(disk, readThrough(disk, bucket, pauses), '/log', bucket);
  expect(restored).toBe(bucket.objects.size);
  const log = await EventLog.open(settings(disk, more));
  expect(log.end).toBeLessThanOrEqual(known.lines.length);
  expect(await linesFrom(log, 0)).toEqual(known.lines.slice(0, log.end));
  const { end } = log;
  expect(await log.append(bytesOf(['{}']), 1, 0n)).toBe(end);
  await log.close();
}

test(
  'killed at any point, a log in a folder alone loses no more than it may',
  async () => {
    let start = 0;
    for (let seed = 1; seed <= SEEDS; seed++) start = Math.max(start, (await everyKill('folder', seed)).start);
    expect(start).toBeGreaterThan(10);
  },
  TIMEOUT_MS,
);

test(
  'killed at any point, a log with a bucket loses nothing, and a new machine has what was uploaded',
  async () => {
    const most = { local: 0, objects: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { local, objects } = await everyKill('bucket', seed);
      most.local = Math.max(most.local, local);
      most.objects = Math.max(most.objects, objects);
    }
    expect(most.local).toBeGreaterThan(2);
    expect(most.objects).toBeGreaterThan(5);
  },
  TIMEOUT_MS,
);
