/** What a timeline keeps, against a list that is sorted: merged, shared, damaged, and cut off. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Timeline } from '../../src/base/timeline.ts';
import type { Disk } from '../../src/source/disk.ts';
import { localDisk } from '../../src/source/disk.ts';
import { Corrupt } from '../../src/source/corrupt.ts';
import type { Source } from '../../src/source/source.ts';
import { timelineCount, timelineSource } from '../../src/source/timeline.ts';
import { CHUNK_MAX_BYTES, sweepChunks } from '../../src/source/timeline_chunk.ts';
import { TimelineWriter, TYPES_MAX } from '../../src/source/timeline_writer.ts';
import { SimulatedDisk } from '../sim/disk.ts';
import { Random } from '../sim/random.ts';
import { folders } from './folder.ts';

const newFolder = folders();
const SEEDS = process.env.TILEFOLD_LONG ? 50 : 4;

interface Event {
  type: string;
  text: string;
  timeMicros: bigint;
  order: number;
  arrivalMicros: bigint | null;
}

function freshFolder(): string {
  const folder = newFolder();
  mkdirSync(folder);
  return folder;
}

async function saved(
  folder: string,
  name: string,
  events: Event[],
  order: Timeline['order'],
  disk: Disk = localDisk,
): Promise<Timeline & { chunksWritten: number; chunksShared: number }> {
  const writer = new TimelineWriter(disk, folder);
  for (const [i, { type, text, ...rest }] of events.entries()) {
    writer.add(type, { line: new TextEncoder().encode(text), ...rest });
    if (i % 1000 === 999) await writer.settle();
  }
  const finished = await writer.finish();
  return { name, version: 1, order, clock: { kind: 'wall', maxJumpMs: 1000 }, ...finished };
}

/** Each line with the arrival that its block has. */
async function read(source: Source): Promise<[string, bigint | null][]> {
  const all: [string, bigint | null][] = [];
  let line = 1;
  for await (const block of source.read(0)) {
    expect(block.line).toBe(line);
    const lines = new TextDecoder().decode(block.bytes).trimEnd().split('\n');
    for (const text of lines) all.push([text, block.arrivalMicros]);
    line += lines.length;
  }
  return all;
}

const wanted = (events: Event[], keepsArrivals = true) =>
  events.map(({ text, arrivalMicros }): [string, bigint | null] => [text, keepsArrivals ? arrivalMicros : null]);

function randomLog(random: Random, count: number, typeCount: number, first = 0): Event[] {
  let arrivalMicros = 1_700_000_000_000_000n;
  return Array.from({ length: count }, (_, i) => {
    if (random.chance(0.3)) arrivalMicros += BigInt(random.below(1000));
    const timeMicros = random.chance(0.01) ? 2n ** 62n - BigInt(random.below(9)) : BigInt(random.below(50)) - 10n;
    const type = `t${random.below(typeCount)}`;
    const text = `{"type":"${type}","n":${i},"x":"${'é'.repeat(random.below(40))}"}`;
    return { type, text, timeMicros, order: first + i, arrivalMicros };
  });
}

/** As what makes timelines of files orders them. */
function byTime(events: Event[]): Event[] {
  const sorted = events.toSorted((a, b) => (a.timeMicros < b.timeMicros ? -1 : Number(a.timeMicros > b.timeMicros)));
  let order = 0;
  return sorted.map((event, i) => {
    order = i > 0 && sorted[i - 1]!.timeMicros === event.timeMicros ? order + 1 : 0;
    return { ...event, order, arrivalMicros: null };
  });
}

describe('a timeline', () => {
  test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('is read as it was written, seed %i', async seed => {
    const random = new Random(seed);
    const folder = freshFolder();
    const log = randomLog(random, 3000, 5, 70_000);
    const [one, sorted] = [await saved(folder, 'a', log, 'log'), byTime(randomLog(random, 2000, 3))];
    const other = await saved(folder, 'b', sorted, 'time');
    expect(await read(timelineSource(localDisk, folder, [one]))).toEqual(wanted(log));
    expect(await read(timelineSource(localDisk, folder, [other]))).toEqual(wanted(sorted));
    const types = new Set(['t1', 't4']);
    const some = log.filter(({ type }) => types.has(type));
    expect(await read(timelineSource(localDisk, folder, [one], types))).toEqual(wanted(some));
    expect(timelineCount([one, other], types)).toBe(some.length + sorted.filter(({ type }) => types.has(type)).length);
    expect(timelineSource(localDisk, folder, [one]).clock).toEqual({ kind: 'wall', maxJumpMs: 1000 });
  });

  test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('is merged with others by time, seed %i', async seed => {
    const random = new Random(seed);
    const folder = freshFolder();
    const all = [
      byTime(randomLog(random, 700, 3)),
      byTime(randomLog(random, 500, 2)),
      byTime(randomLog(random, 90, 1)),
    ];
    const timelines = await Promise.all(all.map((events, i) => saved(folder, `t${i}`, events, 'time')));
    const source = timelineSource(localDisk, folder, timelines);
    // Of equal times the timeline given first comes first, and each keeps its order: so sorts a stable sort.
    const merged = all
      .flat()
      .toSorted((a, b) => (a.timeMicros < b.timeMicros ? -1 : Number(a.timeMicros > b.timeMicros)));
    expect(await read(source)).toEqual(wanted(merged, false));
    expect(source.clock.kind).toBe('event');
  });

  test('has a start, an end and a count of each type, and refuses too many types', async () => {
    const folder = freshFolder();
    const { types } = await saved(folder, 'a', randomLog(new Random(5), 500, 2), 'log');
    for (const { type, count, startMicros, endMicros } of types) {
      const times = randomLog(new Random(5), 500, 2)
        .filter(event => event.type === type)
        .map(event => event.timeMicros);
      const sorted = times.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
      expect([count, startMicros, endMicros]).toEqual([times.length, sorted[0]!, sorted.at(-1)!]);
    }
    const many = Array.from({ length: TYPES_MAX + 1 }, (_, i) => ({
      ...{ type: `t${i}`, text: '{}', timeMicros: 0n, order: i, arrivalMicros: null },
    }));
    expect(saved(folder, 'b', many, 'log')).rejects.toThrow(`a timeline has at most ${TYPES_MAX} event types`);
  });

  test('takes lines of any length that an event has', async () => {
    const folder = freshFolder();
    const lengths = [CHUNK_MAX_BYTES - 1, 10, CHUNK_MAX_BYTES - 1, CHUNK_MAX_BYTES / 2, CHUNK_MAX_BYTES / 2, 3];
    const events = lengths.map((length, i) => ({
      ...{ type: 'big', text: String(i).repeat(length), timeMicros: BigInt(i), order: i, arrivalMicros: null },
    }));
    const timeline = await saved(folder, 'a', events, 'log');
    expect(await read(timelineSource(localDisk, folder, [timeline]))).toEqual(wanted(events));
  });
});

/** Long enough for some chunks: 6 MB. */
function longLog(count: number): Event[] {
  const random = new Random(11);
  return Array.from({ length: count }, (_, i) => ({
    type: i % 10 === 0 ? 'rare' : 'often',
    text: `{"n":${i},"x":"${random.next()}${random.next()}${'.'.repeat(60)}"}`,
    timeMicros: BigInt(i),
    order: i,
    arrivalMicros: 5n,
  }));
}

/** A chunk of format 2 as format 1 had it: no hash, and a checksum of what is packed alone. */
function inFormatOne(bytes: Buffer): Buffer {
  const end = 8 + bytes.readUInt32LE(4);
  const newline = bytes.indexOf('\n');
  const [columns, packed] = [bytes.subarray(newline + 1, end), bytes.subarray(end)];
  const { $chunk } = JSON.parse(bytes.subarray(8, newline).toString());
  const { hash: _, ...others } = { ...$chunk, format: 1, crc: crc32(Buffer.concat([columns, packed])) };
  const content = Buffer.concat([Buffer.from(`${JSON.stringify({ $chunk: others })}\n`), columns]);
  const head = Buffer.from(bytes.subarray(0, 8));
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content, packed]);
}

describe('chunks', () => {
  test('are shared by stretches of one log, and are the same wherever they begin', async () => {
    const folder = freshFolder();
    const log = longLog(50_000);
    const whole = await saved(folder, 'whole', log, 'log');
    expect(whole.chunksWritten).toBeGreaterThan(6);
    const again = await saved(folder, 'again', log, 'log');
    expect([again.chunksWritten, again.types]).toEqual([0, whole.types]);
    const part = await saved(folder, 'part', log.slice(10_000, 45_000), 'log');
    // Of each type those that the cuts are in, and maybe one more until cuts meet again.
    expect(part.chunksWritten).toBeLessThanOrEqual(6);
    expect(part.chunksShared).toBeGreaterThan(0);
    expect(part.types[0]!.hash).not.toBe(whole.types[0]!.hash);
    const longer = await saved(folder, 'longer', [...log, ...longLog(1)], 'log');
    expect(longer.chunksWritten).toBeLessThanOrEqual(2);
  });

  test('of the same events have the same hash, however they are cut', async () => {
    const log = longLog(20_000);
    const [one, other] = [freshFolder(), freshFolder()];
    const whole = await saved(one, 'whole', log, 'log');
    const writer = new TimelineWriter(localDisk, other);
    for (const { type, text, ...rest } of log) writer.add(type, { line: new TextEncoder().encode(text), ...rest });
    const hashes = (await writer.finish()).types.map(({ hash, placesHash }) => [hash, placesHash]);
    expect(whole.types.map(({ hash, placesHash }) => [hash, placesHash])).toEqual(hashes);
    const moved = await saved(
      other,
      'moved',
      log.map(event => ({ ...event, order: event.order + 1 })),
      'log',
    );
    expect(moved.types.map(({ hash }) => hash)).toEqual(hashes.map(([hash]) => hash!));
    expect(moved.types.map(({ placesHash }) => placesHash)).not.toEqual(hashes.map(([, hash]) => hash!));
    const later = await saved(
      other,
      'later',
      log.map(event => ({ ...event, arrivalMicros: 6n })),
      'log',
    );
    expect(later.types[0]!.hash).not.toBe(hashes[0]![0]!);
  });

  test('tell any damage with their file and a byte, and are mended by who saves the same events', async () => {
    const folder = freshFolder();
    const events = randomLog(new Random(3), 400, 1);
    const timeline = await saved(folder, 'a', events, 'log');
    const [name] = readdirSync(folder);
    const path = join(folder, name!);
    const bytes = readFileSync(path);
    const random = new Random(4);
    for (let i = 0; i < 60; i++) {
      const damaged = Buffer.from(bytes);
      const at = i < 40 ? i * 3 : random.below(bytes.length);
      damaged[at]! ^= 1 << random.below(8);
      writeFileSync(path, damaged);
      const error = await read(timelineSource(localDisk, folder, [timeline])).catch((thrown: unknown) => thrown);
      // A header of another format is no damage, and no less refused.
      const isOther = error instanceof Error && error.message.includes('is a chunk of format');
      if (!isOther) expect(error).toBeInstanceOf(Corrupt);
      expect((error as Corrupt).message).toContain(path);
    }
    for (const length of [0, 20, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(read(timelineSource(localDisk, folder, [timeline]))).rejects.toThrow(/at byte \d+ is damaged/);
    }
    expect((await saved(folder, 'b', events, 'log')).chunksWritten).toBe(1);
    expect(await read(timelineSource(localDisk, folder, [timeline]))).toEqual(wanted(events));
    rmSync(path);
    expect(read(timelineSource(localDisk, folder, [timeline]))).rejects.toThrow(`${path} is gone`);
  });

  test('are not those of another name, and in the format before this one are read as well', async () => {
    const folder = freshFolder();
    const events = randomLog(new Random(5), 100, 1);
    const timeline = await saved(folder, 'a', events, 'log');
    const path = join(folder, readdirSync(folder)[0]!);
    await saved(folder, 'b', randomLog(new Random(6), 100, 1), 'log');
    const other = join(folder, readdirSync(folder).find(name => !path.endsWith(name))!);
    const bytes = readFileSync(path);
    writeFileSync(path, readFileSync(other));
    const isOther = 'it holds other events than its name says';
    expect(read(timelineSource(localDisk, folder, [timeline]))).rejects.toThrow(isOther);
    writeFileSync(path, inFormatOne(bytes));
    expect(await read(timelineSource(localDisk, folder, [timeline]))).toEqual(wanted(events));
    writeFileSync(path, inFormatOne(readFileSync(other)));
    expect(read(timelineSource(localDisk, folder, [timeline]))).rejects.toThrow(isOther);
  });

  test('that nobody has are swept, and what was not finished', async () => {
    const folder = freshFolder();
    const [one, other] = [randomLog(new Random(1), 50, 1), randomLog(new Random(2), 50, 1)];
    const kept = await saved(folder, 'a', one, 'log');
    await saved(folder, 'b', other, 'log');
    writeFileSync(join(folder, `${'0'.repeat(64)}.ndjson.zst.part`), 'half');
    writeFileSync(join(folder, 'notes.txt'), 'not ours');
    const hashes = new Set(kept.types.flatMap(({ chunks }) => chunks.map(({ hash }) => hash)));
    expect(await sweepChunks(localDisk, folder, hashes)).toBe(2);
    expect(readdirSync(folder).sort()).toEqual(
      [...hashes]
        .map(hash => `${hash}.ndjson.zst`)
        .concat('notes.txt')
        .sort(),
    );
    expect(await read(timelineSource(localDisk, folder, [kept]))).toEqual(wanted(one));
  });

  test.each(Array.from({ length: SEEDS }, (_, i) => i + 1))('are there after a power cut, seed %i', async seed => {
    const disk = new SimulatedDisk(seed);
    await disk.makeFolder();
    const events = randomLog(new Random(seed), 3000, 3);
    const random = new Random(seed);
    // Killed anywhere, it is begun anew; what a process has left is taken for whole only where it is.
    for (let i = 0; i < 5; i++) {
      disk.kill(random.below(30));
      await saved('/chunks', 'a', events, 'log', disk).catch(() => {});
      if (random.chance(0.5)) disk.powerCut();
      else disk.restart();
    }
    const timeline = await saved('/chunks', 'a', events, 'log', disk);
    disk.powerCut();
    expect(await read(timelineSource(disk, '/chunks', [timeline]))).toEqual(wanted(events));
  });
});
