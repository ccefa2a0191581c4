import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE } from './events.ts';
import { memoryOf, type Row, runChild } from './measure.ts';
import type { Posted } from './post.ts';
import { startServer } from './serving.ts';

/** Events a second. The last is what a machine with two cores is to take, load and all. */
const RATES = [5_000, 10_000, 20_000, 50_000];
const BATCH = 100;
const CONNECTIONS = 32;
const SECONDS = 5;

/** What is folded of each event, from nothing to what a service would have. */
const DEFINITIONS = [
  { name: 'nothing folded', folder: null },
  { name: '3 aggregates', folder: join(import.meta.dir, 'features/tiles') },
  { name: '24 features', folder: join(import.meta.dir, 'features/serving') },
];

/** Each rate on a server of its own, with an empty folder; one run. */
export async function postingRows(events: string, program: string[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, folder } of DEFINITIONS)
    for (const rate of RATES) {
      const row = await postingRow(name, folder, rate, events, program);
      rows.push(row);
      // One that falls behind at this rate does so at a higher one.
      if (row.ours < rate * 0.9) break;
    }
  return rows;
}

async function postingRow(
  name: string,
  definitions: string | null,
  rate: number,
  events: string,
  program: string[],
): Promise<Row> {
  const folder = join(CACHE, 'posting');
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'none'), { recursive: true });
  await writeFile(join(folder, 'none/other.yaml'), 'events:\n  other: { key: string }\n');
  const config = `log: { clock: event }\ndefinitions: ${JSON.stringify(definitions ?? join(folder, 'none'))}\n`;
  await writeFile(join(folder, 'tilefold.yaml'), config);
  const words = ['serve', '--port', '0', '--grace', '0s', '--log-level', 'error'];
  const server = await startServer([...program, '--config', join(folder, 'tilefold.yaml'), ...words]);
  const load = [`${server.origin}/v1/events`, events, rate, BATCH, CONNECTIONS, SECONDS].map(String);
  try {
    const { out } = await runChild([process.execPath, join(import.meta.dir, 'post.ts'), ...load]);
    const { eventsPerSecond, p50Ms, p99Ms, maxMs } = JSON.parse(out) as Posted;
    const [p50, p99, max] = [p50Ms, p99Ms, maxMs].map(ms => ms.toFixed(1));
    return {
      work: `posted, ${rate.toLocaleString('en')} events/s, ${name}`,
      unit: 'events/s',
      ours: eventsPerSecond,
      peer: null,
      goal: null,
      memory: { ours: memoryOf(server.pid, 'VmHWM'), peer: null },
      note: `p50 ${p50}, p99 ${p99}, max ${max} ms`,
    };
  } finally {
    await server.stop();
  }
}
