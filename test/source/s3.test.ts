import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { isMissing, localDisk } from '../../src/source/disk.ts';
import { type Bucket, readThrough } from '../../src/source/bucket.ts';
import { EventLog, type LogSettings } from '../../src/source/log.ts';
import { s3Bucket } from '../../src/source/s3.ts';
import { packedPath } from '../../src/source/segments.ts';
import { surveyLog } from '../../src/source/survey.ts';
import { restoreSegments } from '../../src/source/upload.ts';
import { packFrame } from '../../src/source/zstd.ts';
import { noPauses } from '../sim/bucket.ts';
import { folders } from './folder.ts';
import { bytesOf, linesOf } from './lines.ts';
import { CREDENTIALS, freePort, type Moto, motoOrSkip, startMoto } from './moto.ts';
import { troubledProxy } from './trouble.ts';

const program = motoOrSkip('the log in a bucket of S3');
const folder = folders();
const HOUR = 3_600_000_000n;
const SEEDS = [1, 2, 3];
const TIMEOUT_MS = 300_000;

let moto: Moto;
beforeAll(async () => {
  if (program !== null) moto = await startMoto(program);
}, TIMEOUT_MS);
afterAll(() => moto?.stop());

let made = 0;
async function newBucket(): Promise<string> {
  const name = `logs-${made++}`;
  await moto.make(name);
  return name;
}

const bucketAt = (endpoint: string, bucket: string): Bucket =>
  s3Bucket({ bucket, endpoint, region: 'us-east-1', prefix: 'a b/' }, CREDENTIALS);

async function* inChunks(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20));
}

const line = (n: number) => JSON.stringify({ n, text: `${n * 7919}`.repeat(20) });
const lines = (to: number) => Array.from({ length: to }, (_, n) => line(n));

const open = (path: string, bucket: Bucket, more: Partial<LogSettings> = {}) =>
  EventLog.open({
    ...{ disk: localDisk, folder: path, clock: { kind: 'event', maxJumpMs: 1 }, segmentBytes: 5_000, pack: packFrame },
    ...{ bucket: { bucket, pauses: noPauses(1) }, keep: { bytes: 1 } },
    ...more,
  });

async function fill(log: EventLog, to: number): Promise<void> {
  for (let n = log.end; n < to; n++) await log.append(bytesOf([line(n)]), 1, BigInt(n) * HOUR);
}

async function readLines(log: EventLog, from = 0): Promise<string[]> {
  const found: string[] = [];
  for await (const { bytes } of log.read(from)) found.push(...linesOf(bytes));
  return found;
}

describe.skipIf(program === null)('a bucket', () => {
  test(
    'gives back what it was given, whole and in ranges, and says what it does not have',
    async () => {
      const bucket = bucketAt(moto.url, await newBucket());
      // More than two parts.
      const large = new Uint8Array(40 << 20).map((_, i) => i * 31 + (i >> 11));
      for (const [name, bytes] of [
        ['small', large.subarray(0, 300)],
        ['large', large],
      ] as const) {
        await bucket.write(name, bytes.length, inChunks(bytes));
        expect(await bucket.size(name)).toBe(bytes.length);
        for (const [offset, length] of [
          [0, bytes.length],
          [100, 150],
          [bytes.length - 3, 10],
        ] as const)
          expect(Buffer.compare(await bucket.read(name, offset, length), bytes.subarray(offset, offset + length))).toBe(
            0,
          );
      }
      expect(await bucket.list()).toEqual([
        { name: 'large', bytes: large.length },
        { name: 'small', bytes: 300 },
      ]);
      expect(await bucket.size('none')).toBeNull();
      expect(isMissing(await bucket.read('none', 0, 1).catch((error: unknown) => error))).toBe(true);
    },
    TIMEOUT_MS,
  );

  test('makes an object once, whoever else tries', async () => {
    const name = await newBucket();
    const makers = Array.from({ length: 8 }, (_, i) =>
      bucketAt(moto.url, name).make('one', new TextEncoder().encode(`${i}`)),
    );
    const made = await Promise.all(makers);
    expect(made.filter(Boolean)).toEqual([true]);
    const bytes = await bucketAt(moto.url, name).read('one', 0, 9);
    expect(new TextDecoder().decode(bytes)).toBe(String(made.indexOf(true)));
    const refused = bucketAt(moto.url, 'nobody-made-it').make('one', bytes);
    await expect(refused).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('NoSuchBucket') });
  });

  test('that nobody has made is a fault of the configuration', async () => {
    const refused = bucketAt(moto.url, 'nobody-made-it').list();
    await expect(refused).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('NoSuchBucket') });
  });

  test(
    'lists more than one page',
    async () => {
      const name = await newBucket();
      const bucket = bucketAt(moto.url, name);
      const count = 1_005;
      const put = (n: number) => fetch(`${moto.url}/${name}/a%20b/${n}`, { method: 'PUT', body: 'x' });
      for (let n = 0; n < count; n += 15) await Promise.all(Array.from({ length: 15 }, (_, i) => put(10_000 + n + i)));
      const listed = await bucket.list();
      expect([listed.length, listed[0]!.name, listed.at(-1)!.name]).toEqual([count, '10000', String(9_999 + count)]);
    },
    TIMEOUT_MS,
  );
});

test('a HEAD that is refused, whose answer has no body, is refused with the reason that a GET has', async () => {
  const reason = '<Error><Code>SignatureDoesNotMatch</Code><Message>another secret</Message></Error>';
  const answer = ({ method }: Request) => new Response(method === 'HEAD' ? null : reason, { status: 403 });
  using server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: answer });
  const refused = bucketAt(server.url.origin, 'logs').size('one');
  const message = expect.stringContaining('SignatureDoesNotMatch: another secret');
  await expect(refused).rejects.toMatchObject({ code: 'config', message });
});

describe.skipIf(program === null)('a log with a bucket', () => {
  test(
    'uploads what is packed, lets go of it, reads on, and comes back on a new machine',
    async () => {
      const bucket = bucketAt(moto.url, await newBucket());
      const path = folder();
      const log = await open(path, bucket);
      await fill(log, 200);
      await log.uploaded();
      const reading = log.read(5);
      expect(await log.trim(log.end, 200n * HOUR)).toBeGreaterThan(5);
      expect(readdirSync(path).some(name => name.endsWith('.zst'))).toBe(false);
      const found: string[] = [];
      for await (const { bytes } of reading) found.push(...linesOf(bytes));
      expect(found).toEqual(lines(200).slice(5));
      for (const from of [0, 30, 31, 199]) expect(await readLines(log, from)).toEqual(lines(200).slice(from));
      await log.close();
      const again = await open(path, bucket);
      expect([again.start, again.end, again.lastArrivalMicros]).toEqual([0, 200, 199n * HOUR]);
      await again.close();
      for await (const { damages } of surveyLog(readThrough(localDisk, bucket, noPauses(1)), path, 'all'))
        expect(damages).toEqual([]);
      rmSync(path, { recursive: true });
      await expect(open(path, bucket)).rejects.toThrow('`tilefold log restore` goes on with it');
      await restoreSegments(localDisk, readThrough(localDisk, bucket, noPauses(1)), path, bucket);
      const restored = await open(path, bucket);
      expect(restored.end).toBeGreaterThan(150);
      expect(await readLines(restored)).toEqual(lines(restored.end));
      await restored.close();
    },
    TIMEOUT_MS,
  );

  test.each(SEEDS)(
    'with failures, slow and broken answers in between it does so too: seed %d',
    async seed => {
      const proxy = troubledProxy(moto.url, seed);
      try {
        const bucket = bucketAt(proxy.url, await newBucket());
        const log = await open(folder(), bucket);
        Object.assign(proxy, { troubles: ['fails', 'slow', 'breaks off'], share: 0.3 });
        await fill(log, 100);
        await log.uploaded();
        while ((await log.isTrimmable(100n * HOUR)) && (await log.trim(log.end, 100n * HOUR)) >= 0) await Bun.sleep(1);
        expect(await readLines(log)).toEqual(lines(100));
        expect(proxy.done.size).toBeGreaterThan(1);
        await log.close();
      } finally {
        proxy.stop();
      }
    },
    TIMEOUT_MS,
  );

  test.each(SEEDS)(
    'wrong bytes are noticed, whatever they are: seed %d',
    async seed => {
      const proxy = troubledProxy(moto.url, seed);
      try {
        const bucket = bucketAt(proxy.url, await newBucket());
        const path = folder();
        const notes: string[] = [];
        const log = await open(path, bucket, { onNote: note => notes.push(note) });
        await fill(log, 60);
        await log.uploaded();
        await log.trim(log.end, 60n * HOUR);
        await log.close();
        Object.assign(proxy, { troubles: ['wrong bytes'], share: 1 });
        const damaged = await open(path, bucket, { keep: undefined });
        const found = await readLines(damaged).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'corrupt' });
          return null;
        });
        // A few bits of a zstd frame say nothing of what it unpacks to.
        if (found) expect(found).toEqual(lines(60));
        await damaged.close();
        // An upload whose answer is not what was sent is no upload.
        const fresh = await open(folder(), bucketAt(proxy.url, await newBucket()), {
          onNote: note => notes.push(note),
        });
        await fill(fresh, 40);
        await fresh.uploaded();
        expect(fresh.uploads().uploaded).toBe(0);
        expect(notes.at(-1)).toContain('is not what this log has under that name');
        await fresh.close();
      } finally {
        proxy.stop();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'appends go on while the bucket is away, and it gets all once it is back',
    async () => {
      const name = await newBucket();
      const proxy = troubledProxy(moto.url, 1);
      const port = freePort();
      const notes: string[] = [];
      const bucket = bucketAt(`http://127.0.0.1:${port}`, name);
      const path = folder();
      await (await open(path, bucket, { bucket: undefined })).close();
      const log = await open(path, bucket, { onNote: note => notes.push(note) });
      await fill(log, 100);
      await log.packed();
      while (notes.length < 3) await Bun.sleep(1);
      expect(notes[0]).toContain('could not be uploaded to s3://logs-');
      expect(log.uploads()).toMatchObject({ uploaded: 0, position: 0, segments: 0, bytes: 0 });
      expect(log.uploads().failures).toBeGreaterThan(2);
      expect(await log.trim(log.end, 100n * HOUR)).toBe(0);
      const back = Bun.serve({ hostname: '127.0.0.1', port, fetch: request => relay(request, proxy.url) });
      await log.uploaded();
      const { uploaded, closed, position, segments, bytes } = log.uploads();
      expect([uploaded, segments]).toEqual([closed, closed]);
      expect(position).toBeWithin(50, 100);
      expect(bytes).toBe((await bucket.list()).reduce((sum, object) => sum + object.bytes, 0));
      back.stop(true);
      await log.trim(log.end, 100n * HOUR);
      await log.close();
      proxy.stop();
    },
    TIMEOUT_MS,
  );

  test(
    'another log under the same names is left alone, and noticed',
    async () => {
      const bucket = bucketAt(moto.url, await newBucket());
      const mine = '{"$log": of somebody else';
      await bucket.write(packedPath('', 0), mine.length, inChunks(Buffer.from(mine)));
      const notes: string[] = [];
      const path = folder();
      const plain = await open(path, bucket, { bucket: undefined });
      await fill(plain, 100);
      await plain.packed();
      await plain.close();
      const log = await open(path, bucket, { onNote: note => notes.push(note) });
      await log.uploaded();
      expect(notes).toEqual([expect.stringContaining(`00000.ndjson.zst is not what this log has under that name`)]);
      expect(Buffer.from(await bucket.read(packedPath('', 0), 0, 100)).toString()).toBe(mine);
      await log.trim(log.end, 100n * HOUR);
      expect(existsSync(packedPath(path, 0))).toBe(true);
      expect(await readLines(log)).toEqual(lines(100));
      await log.close();
    },
    TIMEOUT_MS,
  );

  test(
    'an object that is gone from the bucket is uploaded anew before its segment may leave',
    async () => {
      const name = await newBucket();
      const bucket = bucketAt(moto.url, name);
      const log = await open(folder(), bucket);
      await fill(log, 60);
      await log.uploaded();
      await fetch(`${moto.url}/${name}/a%20b/${packedPath('', 0)}`, { method: 'DELETE' });
      await log.trim(log.end, 60n * HOUR);
      expect(await readLines(log)).toEqual(lines(60));
      await log.uploaded();
      expect(await bucket.size(packedPath('', 0))).toBeGreaterThan(0);
      await log.close();
    },
    TIMEOUT_MS,
  );
});

async function relay(request: Request, target: string): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const { method, headers } = request;
  const body = method === 'GET' || method === 'HEAD' ? null : await request.arrayBuffer();
  const answer = await fetch(`${target}${pathname}${search}`, { method, headers, body });
  return new Response(method === 'HEAD' ? null : await answer.arrayBuffer(), answer);
}
