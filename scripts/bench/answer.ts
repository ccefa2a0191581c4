/**
 * answer.ts URL EVENTS SIZE BODIES CONNECTIONS: posts events of a file in bodies of SIZE to POST /v1/events?features, each
 * connection its next body when the last one is answered, and prints what it took as JSON. A process of its own, as clients are.
 */
import { assert } from '../../src/base/assert.ts';
import { median } from './measure.ts';

export interface Answered {
  eventsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

const [url, path, size, count, connections] = process.argv.slice(2) as [string, string, string, string, string];
const lines = (await Bun.file(path).text()).trimEnd().split('\n');
const bodies = Array.from({ length: Number(count) }, (_, i) =>
  lines.slice(i * Number(size), (i + 1) * Number(size)).join('\n'),
);
const times: number[] = [];
let next = 0;
const startMs = performance.now();
await Promise.all(Array.from({ length: Number(connections) }, post));
const seconds = (performance.now() - startMs) / 1000;
const sorted = times.toSorted((a, b) => a - b);
const answered: Answered = {
  eventsPerSecond: (bodies.length * Number(size)) / seconds,
  p50Ms: median(sorted.slice(0, sorted.length - 1 + (sorted.length % 2))),
  p99Ms: sorted[Math.floor(sorted.length * 0.99)]!,
};
console.log(JSON.stringify(answered));

async function post(): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson', accept: 'application/x-ndjson' };
  while (next < bodies.length) {
    const body = bodies[next++]!;
    const sentMs = performance.now();
    const reply = await fetch(url, { method: 'POST', headers, body: `${body}\n` });
    const answers = (await reply.text()).trimEnd().split('\n');
    assert(reply.status === 200 && answers.length === Number(size), `a body was answered with ${reply.status}`);
    times.push(performance.now() - sentMs);
  }
}
