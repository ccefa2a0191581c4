/**
 * answer.ts URL EVENTS SIZE BODIES CONNECTIONS WARM: posts events of a file in bodies of SIZE to POST /v1/events?features, each
 * connection its next body when the last one is answered, and prints what it took as JSON. A process of its own, as clients are.
 * Times are of the bodies behind the first WARM ones. Of answers lines are counted and no more: who read them would be measured.
 */
import { assert } from '../../src/base/assert.ts';
import { median } from './measure.ts';

export interface Answered {
  eventsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

const [url, path, size, count, connections, warm] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const NEWLINE = 10;
const events = await Bun.file(path).bytes();
const bodies = Array.from(bodiesOf(events, Number(size), Number(count)));
const times: number[] = [];
let next = 0;
let startMs = performance.now();
await Promise.all(Array.from({ length: Number(connections) }, post));
const seconds = (performance.now() - startMs) / 1000;
const sorted = times.toSorted((a, b) => a - b);
const answered: Answered = {
  eventsPerSecond: ((bodies.length - Number(warm)) * Number(size)) / seconds,
  p50Ms: median(sorted.slice(0, sorted.length - 1 + (sorted.length % 2))),
  p99Ms: sorted[Math.floor(sorted.length * 0.99)]!,
};
console.log(JSON.stringify(answered));

async function post(): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson', accept: 'application/x-ndjson' };
  while (next < bodies.length) {
    const index = next++;
    const sentMs = performance.now();
    if (index === Number(warm)) startMs = sentMs;
    const reply = await fetch(url, { method: 'POST', headers, body: bodies[index]! });
    const answers = lineCount(await reply.bytes());
    assert(reply.status === 200 && answers === Number(size), `a body was answered with ${reply.status}`);
    if (index >= Number(warm)) times.push(performance.now() - sentMs);
  }
}

function* bodiesOf(bytes: Uint8Array<ArrayBuffer>, size: number, count: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let i = 0, start = 0; i < count; i++) {
    let end = start;
    for (let line = 0; line < size; line++) end = bytes.indexOf(NEWLINE, end) + 1;
    yield bytes.subarray(start, end);
    start = end;
  }
}

function lineCount(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
