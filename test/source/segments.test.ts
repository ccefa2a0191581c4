import { expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog, type LogSettings } from '../../src/source/log.ts';
import { folderLog, folderRecords, listSegments, summaryOf } from '../../src/source/segments.ts';
import { packFrame } from '../../src/source/zstd.ts';
import { folders } from './folder.ts';
import { bytesOf, linesOf } from './lines.ts';

const folder = folders();
const SECOND = 1_000_000n;

const open = (path: string, settings: Partial<LogSettings> = {}) =>
  EventLog.open({
    ...{ disk: localDisk, folder: path, clock: { kind: 'event', maxJumpMs: 1 }, segmentBytes: 1 << 20 },
    ...settings,
  });

async function readLines(log: EventLog, from = 0): Promise<string[]> {
  const lines = [];
  for await (const { bytes } of log.read(from)) lines.push(...linesOf(bytes));
  return lines;
}

const line = (n: number) => JSON.stringify({ n, text: 'x'.repeat(100) });

async function fill(log: EventLog, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await log.append(bytesOf([line(n)]), 1, BigInt(n) * SECOND);
}

const lines = (to: number) => Array.from({ length: to }, (_, n) => line(n));

test('a segment is closed for its age, counted from its first record by arrival, over restarts too', async () => {
  const path = folder();
  const log = await open(path, { segmentAgeMs: 10_000 });
  await fill(log, 5, 15);
  expect(readdirSync(path).length).toBe(1);
  await log.close();
  const again = await open(path, { segmentAgeMs: 10_000 });
  await fill(again, 15, 26);
  const firsts = (await listSegments(localDisk, path)).segments.map(({ first }) => first);
  expect(firsts).toEqual([0, 10, 20]);
  await again.close();
});

test('closed segments are packed, read alike from any position, and any zstd tool can unpack them', async () => {
  const path = folder();
  const plain = await open(path, { segmentBytes: 10_000 });
  await fill(plain, 0, 300);
  await plain.close();
  const before = readdirSync(path).sort();
  const texts = before.map(name => readFileSync(join(path, name), 'utf8'));
  const log = await open(path, { segmentBytes: 10_000, pack: packFrame });
  const reading = log.read(7);
  await log.packed();
  expect(readdirSync(path).sort()).toEqual(before.map((name, i) => (i < before.length - 1 ? `${name}.zst` : name)));
  expect(Bun.zstdDecompressSync(readFileSync(join(path, `${before[0]}.zst`))).toString()).toBe(texts[0]!);
  for (const from of [0, 1, 55, 56, 57, 299, 300]) expect(await readLines(log, from)).toEqual(lines(300).slice(from));
  const found = [];
  for await (const { bytes } of reading) found.push(...linesOf(bytes));
  expect(found).toEqual(lines(300).slice(7));
  await log.close();
  const again = await open(path, { segmentBytes: 10_000 });
  expect([again.end, again.lastArrivalMicros]).toEqual([300, 299n * SECOND]);
  await again.close();
});

test('a folder knows how many records it has, packed or not, beside who writes to it, and from where it begins', async () => {
  const path = folder();
  const records = async () => {
    let count = 0;
    for await (const { bytes } of (await folderLog(localDisk, path)).read(0)) count += linesOf(bytes).length;
    expect(await folderRecords(localDisk, path)).toBe(count);
    return count;
  };
  const log = await open(path, { segmentBytes: 3_000, pack: packFrame, keep: { bytes: 4_000 } });
  await fill(log, 0, 100);
  expect(await records()).toBe(100);
  await log.packed();
  expect(await records()).toBe(100);
  expect(await log.trim(log.end, 0n)).toBeGreaterThan(0);
  expect(await records()).toBe(100 - log.start);
  await log.close();
});

test('what a segment was is read on where it is packed and goes away under its reader', async () => {
  const path = folder();
  const log = await open(path, { segmentBytes: 2_500_000, pack: packFrame });
  const many = lines(30_000);
  for (let at = 0; at < many.length; at += 1000) await log.append(bytesOf(many.slice(at, at + 1000)), 1000, 0n);
  const found: string[] = [];
  for await (const { bytes } of log.read(0)) {
    found.push(...linesOf(bytes));
    if (found.length === 1000) await log.packed();
  }
  expect(found).toEqual(many);
  expect(existsSync(join(path, '00000000000000000000.ndjson'))).toBe(false);
  await log.close();
});

test('appends do not wait for packing, and a packing that fails is told and tried again', async () => {
  const path = folder();
  const held = Promise.withResolvers<never>();
  const notes: string[] = [];
  const log = await open(path, { segmentBytes: 1_000, pack: () => held.promise, onNote: note => notes.push(note) });
  await fill(log, 0, 50);
  expect(await readLines(log)).toEqual(lines(50));
  held.reject(new Error('no room'));
  await log.packed();
  expect(notes).toEqual(['a segment of the event log could not be packed: no room']);
  await fill(log, 50, 60);
  await log.packed();
  expect(notes.length).toBeGreaterThan(1);
  expect(readdirSync(path).some(name => name.endsWith('.zst'))).toBe(false);
  await log.close();
});

test('a packed segment says what it holds, and one that was packed by hand is read as well', async () => {
  const path = folder();
  const log = await open(path, { segmentBytes: 10_000 });
  const id = { key: 'a\\"b', digest: '5'.repeat(64) };
  await log.append(bytesOf([line(0)]), 1, 0n, id);
  await fill(log, 1, 200);
  await log.close();
  const [first, second] = (await listSegments(localDisk, path)).segments;
  const wanted = await summaryOf(localDisk, path, first!);
  expect(wanted).toMatchObject({ records: second!.first, firstArrivalMicros: 0n, keyedCount: 1 });
  for (const pack of [packFrame, undefined]) {
    if (pack) {
      const packing = await open(path, { segmentBytes: 10_000, pack });
      await packing.packed();
      await packing.close();
    } else {
      const zst = join(path, '00000000000000000000.ndjson.zst');
      writeFileSync(zst, Bun.zstdCompressSync(Bun.zstdDecompressSync(readFileSync(zst))));
    }
    const files = { first: 0, hasPlain: false, hasPacked: true, isUploaded: false };
    expect(await summaryOf(localDisk, path, files)).toEqual(wanted);
    const again = await open(path);
    expect(await readLines(again)).toEqual(lines(200));
    expect(again.recall(id.key, 200n * SECOND)).toEqual({
      digest: id.digest,
      position: 0,
      count: 1,
      arrivalMicros: 0n,
    });
    await again.close();
  }
});

test('a log whose last segment is lost goes on behind the packed ones', async () => {
  const path = folder();
  const log = await open(path, { segmentBytes: 10_000, pack: packFrame });
  await fill(log, 0, 100);
  await log.packed();
  await log.close();
  const last = readdirSync(path).find(name => name.endsWith('.ndjson'))!;
  rmSync(join(path, last));
  const again = await open(path);
  expect(again.end).toBe(Number(last.slice(0, 20)));
  await fill(again, again.end, 100);
  expect(await readLines(again)).toEqual(lines(100));
  await again.close();
});
