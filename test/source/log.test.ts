import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../src/base/fault.ts';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog, QUEUE_MAX_BYTES } from '../../src/source/log.ts';
import { BATCH_MAX_BYTES } from '../../src/source/segment.ts';
import { type Clock, LINE_MAX_BYTES } from '../../src/source/source.ts';
import { folders } from './folder.ts';
import { bytesOf, linesOf } from './lines.ts';

const folder = folders();
const EVENT: Clock = { kind: 'event', maxJumpMs: 86_400_000 };

const open = (path: string, clock = EVENT, segmentBytes = 1 << 20) =>
  EventLog.open({ disk: localDisk, folder: path, clock, segmentBytes });

async function readLines(log: EventLog, from = 0): Promise<string[]> {
  const lines = [];
  for await (const { bytes } of log.read(from)) lines.push(...linesOf(bytes));
  return lines;
}

test('the file is text that any tool can read', async () => {
  const path = join(folder(), 'data', 'log');
  const log = await open(path);
  await log.append(bytesOf(['{"a":1}', '{"b":2}']), 2, 1_700_000_000_000_000n);
  expect(readFileSync(join(path, '00000000000000000000.ndjson'), 'utf8')).toBe(
    `{"$log":{"version":1,"clock":"event","max_jump_ms":86400000,"first":0,"previous":null}}
{"$batch":{"arrival":1700000000000000,"count":2,"bytes":16,"synced":88,"crc":3654375568}}
{"a":1}
{"b":2}
`,
  );
  await log.close();
});

test('a log goes on where it ended, and its arrivals never go back', async () => {
  const path = folder();
  const first = await open(path);
  expect(first.end).toBe(0);
  expect(first.lastArrivalMicros).toBeNull();
  expect(await first.append(bytesOf(['1', '2']), 2, 500n)).toBe(0);
  expect(await first.append(bytesOf(['3']), 1, 400n)).toBe(2);
  await first.close();
  const second = await open(path);
  expect(second.end).toBe(3);
  expect(second.lastArrivalMicros).toBe(500n);
  expect(await second.append(bytesOf(['4']), 1, 300n)).toBe(3);
  expect(second.lastArrivalMicros).toBe(500n);
  expect(await readLines(second)).toEqual(['1', '2', '3', '4']);
  expect(second.notes).toEqual([]);
  await second.close();
});

test('the clock is fixed when the log is made', async () => {
  const path = folder();
  await (await open(path)).close();
  const asWall = open(path, { kind: 'wall', maxJumpMs: 86_400_000 });
  await expect(asWall).rejects.toThrow('was made with clock event with max_jump 1d, and is opened with clock wall');
  await expect(open(path, { kind: 'event', maxJumpMs: 1000 })).rejects.toThrow('clock event with max_jump 1s');
});

test('what an unfinished write left is cut, and noted', async () => {
  const path = folder();
  const log = await open(path);
  await log.append(bytesOf(['1']), 1, 0n);
  await log.close();
  const file = join(path, '00000000000000000000.ndjson');
  const whole = readFileSync(file, 'utf8');
  await Bun.write(file, `${whole}{"$batch":{"arr`);
  const again = await open(path);
  expect(again.notes).toEqual([
    `${file}: cut at byte ${whole.length}, from where no batch header was left by an unfinished write`,
  ]);
  expect(readFileSync(file, 'utf8')).toBe(whole);
  await again.close();
});

test('damage before synced batches is corruption, with file and byte', async () => {
  const path = folder();
  const log = await open(path);
  for (const n of [1, 2, 3]) await log.append(bytesOf([`{"n":${n}}`]), 1, 0n);
  await log.close();
  const file = join(path, '00000000000000000000.ndjson');
  const text = readFileSync(file, 'utf8');
  await Bun.write(file, text.replace('{"n":2}', '{"n":7}'));
  const at = text.indexOf('{"$batch"', text.indexOf('{"n":1}'));
  const error = await open(path).catch((error: unknown) => error);
  const message = `${file}: a wrong checksum at byte ${at}, where a whole one was written`;
  expect(error).toMatchObject({ code: 'corrupt', file, offset: at, message });
});

test('a log of another version is not touched', async () => {
  const path = folder();
  await (await open(path)).close();
  const file = join(path, '00000000000000000000.ndjson');
  const other = readFileSync(file, 'utf8').replace('"version":1', '"version":2');
  await Bun.write(file, other);
  await expect(open(path)).rejects.toThrow('is an event log of version 2; this one reads version 1');
  expect(readFileSync(file, 'utf8')).toBe(other);
});

test('a read takes in what is durable when it is called, while appends and new segments go on', async () => {
  const log = await open(folder(), EVENT, 200);
  const lines: string[] = [];
  const append = async (n: number) => {
    lines.push(`{"n":${n}}`);
    await log.append(bytesOf([`{"n":${n}}`]), 1, BigInt(n));
  };
  for (let n = 0; n < 10; n++) await append(n);
  const reading = log.read(3);
  const found: string[] = [];
  for (let n = 10; n < 20; n++) await append(n);
  for await (const { bytes } of reading) {
    found.push(...linesOf(bytes));
    await append(20 + found.length);
  }
  expect(found).toEqual(lines.slice(3, 10));
  expect(await readLines(log)).toEqual(lines);
  await log.close();
});

test('a caller may reuse its bytes as soon as append has been called', async () => {
  const log = await open(folder());
  const bytes = bytesOf(['{"n":1}']);
  const append = log.append(bytes, 1, 0n);
  bytes.fill(0);
  await append;
  expect(await readLines(log)).toEqual(['{"n":1}']);
  await log.close();
});

test('an append or a queue that is too large is refused, and the log goes on', async () => {
  const log = await open(folder(), EVENT, 1 << 30);
  const line = `${'x'.repeat(LINE_MAX_BYTES - 1)}\n`;
  const full = new TextEncoder().encode(line.repeat(BATCH_MAX_BYTES / LINE_MAX_BYTES));
  const count = full.length / LINE_MAX_BYTES;
  await expect(log.append(bytesOf([...linesOf(full), '']), count + 1, 0n)).rejects.toThrow('is the most');
  const appends = [];
  const batchMax = Math.floor(QUEUE_MAX_BYTES / (full.length + 256));
  for (let n = 0; n < batchMax; n++) appends.push(log.append(full, count, 0n));
  const refused = await log.append(full, count, 0n).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Fault);
  expect((refused as Fault).code).toBe('busy');
  await Promise.all(appends);
  expect(await log.append(full, count, 0n)).toBe(batchMax * count);
  await log.close();
});

test('miscounted or unfinished lines are our bug', async () => {
  const log = await open(folder());
  await expect(log.append(bytesOf(['1', '2']), 1, 0n)).rejects.toThrow('an append of 1 lines has 2');
  await expect(log.append(Buffer.from('{}'), 1, 0n)).rejects.toThrow('whole lines');
  await expect(log.append(new Uint8Array(0), 0, 0n)).rejects.toThrow('whole lines');
  await log.close();
});
