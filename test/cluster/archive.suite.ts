import { expect, test } from 'bun:test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { archiveSource } from '../../src/source/archive.ts';
import { bucketDisk } from '../../src/source/bucket.ts';
import { localDisk } from '../../src/source/disk.ts';
import { s3Bucket } from '../../src/source/s3.ts';
import { WALL_PAUSES } from '../../src/cli/pauses.ts';
import { EXIT } from '../../src/cli/exit.ts';
import { weekLines } from '../sim/flights.ts';
import { CREDENTIALS, motoOrSkip, startMoto } from '../source/moto.ts';
import type { Servers } from './servers.ts';
import { clusterOf, PARTITIONS, SETTLED_MAX_MS, startProcess } from './workers.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');

/** Events are kept once, in the order of their partitions, whoever is killed; and a timeline is made of them. */
export function archiveSuite(servers: () => Servers): void {
  const program = motoOrSkip('an archive in a bucket of S3');
  test.each(program === null ? ['a folder'] : ['a folder', 'a bucket'])(
    'what processes archive in %s that are killed is what the topic has, and a timeline has all of it',
    async where => {
      await using bucket = where === 'a bucket' ? await startBucket(program!) : null;
      const { name, kafka, dir, close } = await clusterOf(servers(), 'k');
      const folder = join(dir, 'archive');
      mkdirSync(folder);
      const place = bucket ? `s3://${bucket.name}/kept` : folder;
      const env = bucket?.env ?? {};
      const disk = bucket ? () => bucketDisk(bucket.at('kept/'), WALL_PAUSES) : () => localDisk;
      const read = () => archiveSource(disk(), bucket ? '' : folder);
      const words = ['archive', place, '--segment-age', '300ms', '--segment-bytes', '64KiB', '--log-level', 'error'];
      const start = () => startProcess(dir, words, 'tilefold archives', env);
      const workers = [await start(), await start()];
      const lines = (await weekLines()).slice(0, 6_000);
      const sent = Array.from({ length: PARTITIONS }, () => [] as string[]);
      const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
      await producer.connect();
      for (let from = 0; from < lines.length; from += 500) {
        const messages = [];
        for (let at = from; at < from + 500; at += 20) {
          const partition = (at / 20) % PARTITIONS;
          const value = lines.slice(at, at + 20);
          sent[partition]!.push(...value);
          messages.push({ partition, value: value.join('\n') });
        }
        await producer.send({ topic: name, messages });
        if (from === 2_000) {
          workers[0]!.child.kill('SIGKILL');
          workers[0] = await start();
        }
        await Bun.sleep(100);
      }
      await producer.disconnect();
      const kept = async () => {
        const found: string[] = [];
        const source = await read().catch(() => null);
        if (source) for await (const { bytes } of source.read(0)) found.push(new TextDecoder().decode(bytes));
        return found.join('').trimEnd().split('\n');
      };
      const endMs = performance.now() + SETTLED_MAX_MS;
      let found = await kept();
      while (found.length < lines.length && performance.now() < endMs) {
        await Bun.sleep(300);
        found = await kept();
      }
      expect(found).toEqual(sent.flat());
      for (const { child } of workers) child.kill('SIGTERM');
      for (const { child } of workers) expect(await child.exited).toBe(EXIT.ok);
      expect(await kept()).toEqual(sent.flat());
      const create = ['timeline', 'create', 'all', '--from-archive', place];
      const made = Bun.spawnSync([process.execPath, MAIN, ...create], {
        ...{ cwd: dir, env: { ...process.env, ...env } },
      });
      expect(made.stdout.toString()).toStartWith('all@1: 6000 of 6000 events');
      await close();
    },
    3 * SETTLED_MAX_MS,
  );
}

/** A bucket of its own, and what processes are told of it. */
async function startBucket(program: string) {
  const moto = await startMoto(program);
  const name = 'archives';
  await moto.make(name);
  const env = { ...CREDENTIALS, AWS_ENDPOINT_URL: moto.url, AWS_REGION: 'us-east-1' };
  const at = (prefix: string) => s3Bucket({ bucket: name, prefix }, env);
  return { name, env, at, [Symbol.asyncDispose]: async () => moto.stop() };
}
