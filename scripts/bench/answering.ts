import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Answered } from './answer.ts';
import { CACHE } from './events.ts';
import { memoryOf, type Row, runChild } from './measure.ts';
import { paymentLines } from './sequence.ts';
import { startServer } from './serving.ts';

const TOPOLOGY = join(import.meta.dir, 'features/topology');

/**
 * Events in a body, bodies, of which the first are those of a program that has just started and are left out, and connections
 * that each wait for their answers. With the last load rows come to take more than they may: they leave memory, and are read back.
 */
const LOADS = [
  { size: 1, bodies: 4_000, warm: 1_000, connections: 1 },
  { size: 100, bodies: 700, warm: 200, connections: 4 },
  { size: 1_000, bodies: 150, warm: 50, connections: 4 },
  { size: 1_000, bodies: 450, warm: 300, connections: 4 },
];

/** So many events have more rows than fit into memory as it is set. */
const BEYOND_MEMORY = 250_000;

/** What a batch of a busy topology is to take on two cores, load and all. */
const RATE_GOAL = 50_000;

/** Events that are answered with ten exact windows, on the disk before they are: a server of its own for each load. */
export async function answeringRows(program: string[]): Promise<Row[]> {
  await mkdir(CACHE, { recursive: true });
  const events = join(CACHE, 'payments.ndjson');
  const most = Math.max(...LOADS.map(({ size, bodies }) => size * bodies));
  await writeFile(events, Buffer.concat(paymentLines(most).flatMap(line => [line, Uint8Array.of(10)])));
  const rows: Row[] = [];
  for (const load of LOADS) rows.push(await answeringRow(load, events, program));
  await rm(events);
  return rows;
}

async function answeringRow(
  { size, bodies, warm, connections }: (typeof LOADS)[number],
  events: string,
  program: string[],
): Promise<Row> {
  const folder = join(CACHE, 'answering');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const config = `log: { clock: event }\ndefinitions: ${JSON.stringify(TOPOLOGY)}\n`;
  await writeFile(join(folder, 'tilefold.yaml'), config);
  const words = ['serve', '--port', '0', '--grace', '0s', '--log-level', 'error'];
  const server = await startServer([...program, '--config', join(folder, 'tilefold.yaml'), ...words]);
  try {
    const load = [`${server.origin}/v1/events?features`, events, size, bodies, connections, warm].map(String);
    const { out } = await runChild([process.execPath, join(import.meta.dir, 'answer.ts'), ...load]);
    const { eventsPerSecond, p50Ms, p99Ms } = JSON.parse(out) as Answered;
    return {
      work: `answered, bodies of ${size}, ${connections} connection${connections > 1 ? 's' : ''}${warm * size > BEYOND_MEMORY ? ', rows beyond memory' : ''}`,
      unit: 'events/s',
      ours: eventsPerSecond,
      peer: null,
      goal: null,
      memory: { ours: memoryOf(server.pid, 'VmHWM'), peer: null },
      note: `p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(2)} ms${size === 1_000 ? `; goal ${RATE_GOAL} events/s` : ''}`,
    };
  } finally {
    await server.stop();
  }
}
