/**
 * load.ts URL BODY CONNECTIONS REQUESTS: posts a file to a server of this machine so many times over so many
 * connections, each waiting for its reply before it sends again, and prints what it took as JSON. Replies are measured
 * and not read: a client that parsed them would be what is measured.
 */
import { parseArgs } from 'node:util';

export interface Load {
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

const HEAD_END = new TextEncoder().encode('\r\n\r\n');
const LOOPBACK = '127.0.0.1';
const NOTHING: Buffer = Buffer.alloc(0);

async function load(url: URL, body: Uint8Array, connections: number, requests: number): Promise<Load> {
  if (url.hostname !== LOOPBACK) throw new Error(`${url.hostname} is not ${LOOPBACK}: this machine only`);
  const head = `POST ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  const request = Buffer.concat([Buffer.from(head), body]);
  const waits: number[] = [];
  let sent = 0;
  const next = () => sent++ < requests;
  const startMs = performance.now();
  await Promise.all(Array.from({ length: connections }, () => converse(url, request, next, waits)));
  const seconds = (performance.now() - startMs) / 1000;
  waits.sort((a, b) => a - b);
  const quantile = (q: number) => waits[Math.min(waits.length - 1, Math.floor(waits.length * q))]!;
  return { seconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}

/** One connection. */
function converse(url: URL, request: Buffer, next: () => boolean, waits: number[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let [sentMs, unsent, rest] = [0, request, 0];
  let start = NOTHING;
  const flush = (socket: Bun.Socket) => {
    unsent = unsent.subarray(socket.write(unsent));
  };
  const ask = (socket: Bun.Socket) => {
    if (!next()) {
      socket.end();
      return resolve();
    }
    [sentMs, unsent, rest] = [performance.now(), request, -1];
    flush(socket);
  };
  const hear = (socket: Bun.Socket, chunk: Buffer) => {
    if (rest < 0) {
      // A server that answers later than at once may write the head in pieces.
      start = start.length === 0 ? chunk : Buffer.concat([start, chunk]);
      if (start.indexOf(HEAD_END) < 0) return;
      rest = replyLength(start) - start.length;
      start = NOTHING;
    } else rest -= chunk.length;
    if (rest > 0) return;
    waits.push(performance.now() - sentMs);
    ask(socket);
  };
  const connected = Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: { open: ask, drain: flush, data: hear, error: (_, error) => reject(error), close: () => resolve() },
  });
  connected.catch(reject);
  return promise;
}

/** Of the whole reply, its head included. */
function replyLength(chunk: Buffer): number {
  const end = chunk.indexOf(HEAD_END);
  const head = chunk.toString('latin1', 0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (!head.startsWith('HTTP/1.1 200 ') || length === undefined)
    throw new Error(`a strange reply: ${chunk.toString('utf8')}`);
  return end + HEAD_END.length + Number(length);
}

const { positionals } = parseArgs({ allowPositionals: true });
const [url, body, connections, requests] = positionals as [string, string, string, string];
console.log(
  JSON.stringify(await load(new URL(url), await Bun.file(body).bytes(), Number(connections), Number(requests))),
);
