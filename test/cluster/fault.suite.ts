import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '../../src/base/fault.ts';
import { WorkMetrics } from '../../src/base/work_metrics.ts';
import { loadConfig } from '../../src/cli/config.ts';
import { openWork, type Work } from '../../src/cli/cluster/working.ts';
import { weekLines } from '../sim/flights.ts';
import { gateTo } from './gate.ts';
import type { Servers } from './servers.ts';
import { STEPS } from './steps.ts';
import { trial } from './trial.ts';
import { clusterOf, SETTLED_MAX_MS, SILENT, storedRows } from './workers.ts';

/** `bun scripts/long.ts cluster` sets it. */
const LONG = process.env.TILEFOLD_LONG === '1';
const TIMEOUT = { timeout: (LONG ? 20 : 3) * SETTLED_MAX_MS };
const HOURS = 3_600_000;

/** Whatever goes wrong, and whenever: it costs time, and nothing else. */
export function faultSuite(servers: () => Servers): void {
  test.each(LONG ? [1, 2, 3, 4] : [1])(
    'processes that are killed, one after the other: seed %p',
    seed =>
      trial(
        servers(),
        { letter: 'k', seed, events: LONG ? 60_000 : 6_000 },
        async ({ feed, start, kill, random, workers }) => {
          // Many more die in test/work/folder.test.ts, without servers.
          const kills = LONG ? 25 : 5;
          await start();
          await start();
          for (let n = 0; n < kills; n++) {
            await feed(0.9 / kills);
            await Bun.sleep(random.below(500));
            await kill(random.pick(workers));
            await start();
          }
        },
      ),
    TIMEOUT,
  );

  test.each(LONG ? [...STEPS] : ['produced' as const, 'writing' as const])(
    'one that falls asleep when it is at `%s`, and wakes up when another one has its partitions',
    step =>
      trial(servers(), { letter: 'z', events: 3_000 }, async ({ feed, start, asleep, wake }) => {
        // Alone, it has every partition, and comes to every step.
        const zombie = await start({ stop: { step, times: step === 'writing' ? 30 : 3 } });
        for (let n = 0; n < 5; n++) {
          await feed(0.1);
          await Bun.sleep(300);
        }
        const sleeping = asleep(zombie);
        await start();
        await sleeping;
        await feed(0.3);
        wake(zombie);
      }),
    TIMEOUT,
  );

  test(
    'clocks that are hours ahead and behind, and offsets of the fold that are lost, so that all changes come again',
    () =>
      trial(servers(), { letter: 'c', events: 3_000 }, async ({ feed, start, workers, cluster: { admin, name } }) => {
        await start({ clockMs: 5 * HOURS });
        await start({ clockMs: -30 * HOURS });
        await feed(0.5);
        await Bun.sleep(2_000);
        for (const { child } of workers) child.kill('SIGTERM');
        expect(await Promise.all(workers.splice(0).map(({ child }) => child.exited))).toEqual([0, 0]);
        await admin.deleteGroups([`${name}.fold.1`]);
        await start({ clockMs: -5 * HOURS });
      }),
    TIMEOUT,
  );

  test(
    'offsets of events that are lost, and topics that are not those of before, are refused, and nothing counts twice',
    () => lostThings(servers()),
    TIMEOUT,
  );

  test.skipIf(!LONG)(
    'a broker and a database that begin anew',
    async () => {
      const { restart } = servers();
      if (!restart) return;
      await trial(servers(), { letter: 'b', events: 9_000 }, async ({ feed, start }) => {
        await start();
        await start();
        for (const name of ['kafka', 'cassandra', 'kafka', 'cassandra'] as const) {
          await feed(0.2);
          await restart(name);
        }
      });
    },
    TIMEOUT,
  );

  test.skipIf(!LONG)(
    'a database that hangs for a minute: memory stays what it was',
    async () => {
      const gate = await gateTo(servers().cassandra);
      await trial(servers(), { letter: 'o', events: 30_000, seen: gate.address }, async ({ feed, start, workers }) => {
        await start();
        await start();
        const bytes = () => Math.max(...workers.map(({ child }) => residentBytes(child.pid)));
        await feed(0.4);
        await Bun.sleep(5_000);
        const before = bytes();
        gate.shut();
        for (let n = 0; n < 4; n++) {
          await feed(0.12);
          await Bun.sleep(15_000);
        }
        expect(bytes()).toBeLessThan(before + (128 << 20));
        gate.open();
      });
      gate.close();
    },
    TIMEOUT,
  );
}

async function lostThings(servers: Servers): Promise<void> {
  const cluster = await clusterOf(servers, 'l');
  const { name, admin, kafka, dir, close } = cluster;
  const path = join(dir, 'tilefold.yaml');
  const config = await loadConfig(path);
  const lines = (await weekLines()).slice(0, 3);
  const producer = kafka.producer();
  await producer.connect();
  const send = (partitions: number[]) =>
    producer.send({ topic: name, messages: partitions.map(partition => ({ partition, value: lines[partition]! })) });
  const working = async (): Promise<Work & { failed: Promise<Fault> }> => {
    const failed = Promise.withResolvers<Fault>();
    const onFailure = (error: unknown) => failed.resolve(error as Fault);
    const watcher = new WorkMetrics(async () => ({ stages: [], rowsDirty: 0, foldBytes: 0 }));
    return { ...(await openWork(config, path, { log: SILENT, onFailure, watcher })), failed: failed.promise };
  };
  const tiled = async () => {
    const [found] = await admin.fetchOffsets({ groupId: `${name}.tile`, topics: [name] });
    return found!.partitions
      .filter(({ offset }) => offset !== '-1')
      .map(({ partition, offset }) => [partition, offset]);
  };
  await send([0, 1]);
  const first = await working();
  for (let n = 0; n < 300 && (await tiled()).length < 2; n++) await Bun.sleep(100);
  await first.close();
  const rows = await storedRows(cluster.store, cluster.plan);
  expect(rows.size).toBeGreaterThan(0);

  // Before anything is sent to it, a partition has an offset: whoever is killed then is not taken for one who has lost it.
  await admin.deleteGroups([`${name}.tile`]);
  await send([0, 1, 2]);
  const second = await working();
  const fault = await second.failed;
  expect(fault.code).toBe('expired');
  expect(fault.message).toMatch(/^partition [01] of \S+ was tiled before, and group \S+\.tile has no offset of it/);
  for (let n = 0; n < 300 && (await tiled())[0]?.[1] !== '1'; n++) await Bun.sleep(100);
  expect(await tiled()).toEqual([[2, '1']]);
  await second.close();

  await admin.deleteTopics({ topics: [`${name}.changes.1`] });
  const third = await working().catch((error: Fault) => error);
  expect(third).toMatchObject({ code: 'not_found' });
  expect((third as Fault).message).toStartWith(`topic ${name}.changes.1, which has changes of this cluster, is gone`);
  await producer.disconnect();
  await close();
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}
