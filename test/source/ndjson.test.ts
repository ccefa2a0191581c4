import { expect, test } from 'bun:test';
import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../src/base/fault.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { Decoder } from '../../src/kernel/ndjson.ts';
import { localDisk } from '../../src/source/disk.ts';
import { EventLog } from '../../src/source/log.ts';
import { ndjsonFiles } from '../../src/source/ndjson.ts';
import { numbered } from '../../src/source/numbered.ts';
import { type Clock, LINE_MAX_BYTES } from '../../src/source/source.ts';
import { skippedFrame } from '../../src/source/zstd.ts';
import { folders } from './folder.ts';
import { bytesOf, linesOf } from './lines.ts';

const folder = folders();
const clock: Clock = { kind: 'event', maxJumpMs: 1 };

function write(name: string, ...parts: (string | Uint8Array)[]): string {
  const path = folder();
  mkdirSync(path);
  writeFileSync(join(path, name), Buffer.concat(parts.map(part => Buffer.from(part))));
  return join(path, name);
}

async function read(...paths: string[]) {
  const source = await ndjsonFiles(paths, clock);
  const found = { lines: [] as string[], starts: [] as number[], arrivals: [] as (bigint | null)[], source };
  for await (const { bytes, line, arrivalMicros } of numbered(source.read(0))) {
    found.lines.push(...linesOf(bytes));
    found.starts.push(line);
    found.arrivals.push(arrivalMicros);
  }
  return found;
}

test('a byte order mark is dropped, a last line needs no newline, carriage returns stay', async () => {
  const path = write('a.ndjson', Uint8Array.of(0xef, 0xbb, 0xbf), '{"a":1}\r\n\n{"b":2}');
  expect(await read(path, path)).toMatchObject({
    lines: ['{"a":1}\r', '', '{"b":2}', '{"a":1}\r', '', '{"b":2}'],
    starts: [1, 1],
    arrivals: [null, null],
  });
});

test('a line that is too long is cut but stays too long, and the lines after it keep their numbers', async () => {
  const long = 'x'.repeat(5 * LINE_MAX_BYTES);
  const { lines, starts } = await read(write('a.ndjson', `{"a":1}\n${long}\n{"b":2}\n${long}`));
  expect(lines.map(line => line.length)).toEqual([7, LINE_MAX_BYTES + 2, 7, LINE_MAX_BYTES + 2]);
  expect(starts).toEqual([1, 2, 3, 4]);
});

test('a line of 100 MB is refused by the name of its limit, as one that begins with blanks is, and costs no memory', async () => {
  const path = write(
    'a.ndjson',
    '{"type":"e","time":1}\n',
    `{"type":"e","time":2,"x":"${'x'.repeat(100e6)}"}`,
    '\n{"type":"e","time":3}\n',
    `${' '.repeat(5 * LINE_MAX_BYTES)}{"type":"e","time":4}\n`,
  );
  const source = await ndjsonFiles([path], clock);
  const kernel = await loadKernel();
  const decoder = new Decoder(kernel, []);
  const reasons: string[] = [];
  let count = 0;
  for await (const { bytes } of source.read(0)) {
    decoder.fill(bytes);
    while (decoder.next(0, null)) {
      count += decoder.count;
      reasons.push(...decoder.rejected().map(({ reason }) => reason));
    }
  }
  const reason = 'the event is longer than 1048576 bytes, the limit event_bytes';
  expect([count, reasons]).toEqual([2, [reason, reason]]);
  expect(kernel.exports.memory.buffer.byteLength).toBeLessThan(16 << 20);
});

test('gzip is known by its first bytes too, and may have several members', async () => {
  const part = (text: string) => Bun.gzipSync(Buffer.from(text));
  const path = write('packed', part('{"a":1}\n{"b"'), part(':2}\n'));
  expect((await read(path)).lines).toEqual(['{"a":1}', '{"b":2}']);
});

test('gzip that is cut off, changed or followed by something else is a fault with its file and place', async () => {
  const text = Array.from({ length: 20_000 }, (_, n) => `{"n":${n * n}}\n`).join('');
  const whole = Bun.gzipSync(Buffer.from(text));
  const changed = whole.slice();
  changed[changed.length - 6]! ^= 1;
  for (const bytes of [
    whole.subarray(0, whole.length - 1),
    whole.subarray(0, 5),
    new Uint8Array(0),
    changed,
    Buffer.concat([whole, Buffer.from('more')]),
  ]) {
    const path = write('a.ndjson.gz', bytes);
    const error = await read(path).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(Fault);
    expect((error as Fault).code).toBe('corrupt');
    expect((error as Fault).message).toMatch(new RegExp(`^${path}: gzip is truncated or damaged near its byte \\d+`));
  }
});

test('zstd is known by its first bytes too, may have several frames, and some that hold nothing', async () => {
  const part = (text: string) => Bun.zstdCompressSync(Buffer.from(text));
  const nothing = skippedFrame(Buffer.from('not for you'));
  const path = write('packed', nothing, part('{"a":1}\n{"b"'), nothing, part(':2}\n'));
  expect((await read(path)).lines).toEqual(['{"a":1}', '{"b":2}']);
});

test('zstd that is cut off anywhere, changed or followed by something else is a fault with its file and place', async () => {
  const text = Array.from({ length: 60_000 }, (_, n) => `{"n":${n * n}}\n`).join('');
  const first = Bun.zstdCompressSync(Buffer.from('{}\n'));
  const whole = Buffer.concat([first, Bun.zstdCompressSync(Buffer.from(text))]);
  // Behind the magic, the descriptor and a content size of four bytes: the header of the first block.
  const changed = Uint8Array.from(whole).fill(0xff, first.length + 9, first.length + 12);
  const cuts = [0, 3, first.length - 1, first.length + 5, first.length + 10, whole.length >> 1, whole.length - 1];
  for (const bytes of [
    ...cuts.map(cut => whole.subarray(0, cut)),
    changed,
    Buffer.concat([whole, Buffer.from('more')]),
  ]) {
    const path = write('a.ndjson.zst', bytes);
    const error = await read(path).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'corrupt', file: path });
    const offset = bytes.length < first.length ? 0 : bytes.length > whole.length ? whole.length : first.length;
    if (bytes !== changed)
      expect((error as Fault).message).toStartWith(`${path}: the zstd frame at byte ${offset} is damaged`);
  }
});

test('a missing file and a folder are named', async () => {
  await expect(read('/nowhere/a.ndjson')).rejects.toThrow('there is no file /nowhere/a.ndjson');
  await expect(read('/')).rejects.toThrow('/ cannot be read');
});

async function segments(): Promise<string[]> {
  const path = folder();
  const log = await EventLog.open({ disk: localDisk, folder: path, clock: WALL, segmentBytes: 300 });
  for (let n = 0; n < 12; n++) await log.append(bytesOf([`{"n":${n}}`]), 1, BigInt(n));
  await log.close();
  return (await localDisk.list(path)).map(name => join(path, name));
}

const WALL: Clock = { kind: 'wall', maxJumpMs: 5 };

test('segments of an event log bring their clock, arrivals and positions along, packed or not', async () => {
  const paths = await segments();
  const { lines, arrivals, source } = await read(...paths);
  expect(lines.length).toBe(12);
  expect(arrivals).toEqual(lines.map((_, n) => BigInt(n)));
  expect(source.clock).toEqual(WALL);
  const packed = write('0.ndjson.gz', Bun.gzipSync(await Bun.file(paths[0]!).bytes()));
  expect((await read(packed)).arrivals[0]).toBe(0n);
});

test('segments that do not belong together are refused', async () => {
  const paths = await segments();
  await expect(read(paths[0]!, paths[2]!)).rejects.toThrow('does not follow');
  await expect(read(paths[0]!, write('a.ndjson', '{}\n'))).rejects.toThrow('no segment of an event log');
});

test('an unfinished write at the end of the last segment is not there yet; anywhere else it is corruption', async () => {
  const paths = await segments();
  const [first, last] = [paths[0]!, paths.at(-1)!];
  const { lines } = await read(...paths);
  appendFileSync(last, '{"$batch":{"arrival":99,"count":1,"bytes":10,"synced":1,"crc":1}}\n{"n"');
  expect((await read(...paths)).lines).toEqual(lines);
  truncateSync(first, (await Bun.file(first).bytes()).length - 1);
  await expect(read(...paths)).rejects.toThrow(`${first}: an incomplete batch at byte`);
});
