/**
 * post.ts URL EVENTS RATE BATCH CONNECTIONS SECONDS: posts the lines of a file to a server of this machine, BATCH of them
 * in a body, RATE events a second, over so many connections, and prints what it took as JSON.
 *
 * The loop is open: a body has a time at which it is to be sent, whatever became of those before it, and its wait is
 * counted from then. One that finds no free connection waits for one, and that counts too; so a server that falls
 * behind shows it, as it would to clients who do not know of each other.
 */
import { parseArgs } from 'node:util';

export interface Posted {
  /** Acknowledged, in the time from the first body to the last acknowledgment. */
  events: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** Events a second while it lasted. */
  eventsPerSecond: number;
}

export interface PostLoad {
  /** Events a second. */
  rate: number;
  /** Events in a body. */
  batch: number;
  connections: number;
  seconds: number;
}

const LOOPBACK = '127.0.0.1';
/** It stops by itself: what is not sent by then is left out, and the server is too slow. */
const SECONDS_MAX = 60;
const OVERTIME_S = 10;
/** Waits of the first second are those of a program that has just started, and are left out. */
const WARM_MS = 1_000;
const HEAD_END = new TextEncoder().encode('\r\n\r\n');
const NEWLINE = 10;

/** @throws Error where the server answers with anything but 202, or the file has too few lines */
export async function post(
  url: URL,
  events: Uint8Array,
  { rate, batch, connections, seconds }: PostLoad,
): Promise<Posted> {
  if (url.hostname !== LOOPBACK) throw new Error(`${url.hostname} is not ${LOOPBACK}: this machine only`);
  if (seconds > SECONDS_MAX) throw new Error(`${seconds} s; ${SECONDS_MAX} is the most`);
  const requests = requestsOf(url, events, batch, Math.ceil((rate * seconds) / batch));
  const everyMs = (batch / rate) * 1000;
  const waits = new Float64Array(requests.length);
  const free: Connection[] = [];
  let [sent, answered] = [0, 0];
  const done = Promise.withResolvers<void>();
  const startMs = performance.now();
  const dispatch = () => {
    const dueCount = Math.min(requests.length, Math.floor((performance.now() - startMs) / everyMs) + 1);
    while (sent < dueCount && free.length > 0) {
      const n = sent++;
      free.pop()!.send(requests[n]!, n);
    }
  };
  const hear = (connection: Connection, n: number) => {
    waits[n] = performance.now() - startMs - n * everyMs;
    free.push(connection);
    if (++answered === requests.length) done.resolve();
    else dispatch();
  };
  const opened = await Promise.all(
    Array.from({ length: connections }, () => Connection.open(url, hear, error => done.reject(error))),
  );
  free.push(...opened);
  const timer = setInterval(dispatch, 1);
  const end = setTimeout(() => done.reject(tooSlow(answered, requests.length)), (seconds + OVERTIME_S) * 1000);
  try {
    await done.promise;
  } finally {
    clearInterval(timer);
    clearTimeout(end);
    for (const connection of opened) connection.close();
  }
  const took = (performance.now() - startMs) / 1000;
  const warm = waits.subarray(Math.min(Math.floor(WARM_MS / everyMs), requests.length - 1)).sort();
  const quantile = (q: number) => warm[Math.min(warm.length - 1, Math.floor(warm.length * q))]!;
  const count = requests.length * batch;
  return {
    ...{ events: count, seconds: took, eventsPerSecond: count / took },
    ...{ p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: warm.at(-1)! },
  };
}

function tooSlow(answered: number, count: number): Error {
  return new Error(
    `the server is too slow: ${answered} of ${count} bodies are acknowledged ${OVERTIME_S} s after the last was due`,
  );
}

/** Made before the clock runs. */
function requestsOf(url: URL, events: Uint8Array, batch: number, count: number): Buffer[] {
  const requests: Buffer[] = [];
  for (let start = 0; requests.length < count; ) {
    let end = start;
    for (let i = 0; i < batch; i++) end = events.indexOf(NEWLINE, end) + 1 || events.length + 1;
    if (end > events.length) throw new Error(`the file has not lines enough for ${count} bodies of ${batch}`);
    const head = `POST ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${end - start}\r\n\r\n`;
    requests.push(Buffer.concat([Buffer.from(head), events.subarray(start, end)]));
    start = end;
  }
  return requests;
}

/** Kept alive; one request at a time. */
class Connection {
  #socket: Bun.Socket | null = null;
  #unsent: Uint8Array = new Uint8Array(0);
  #rest = 0;
  #n = 0;

  static async open(
    url: URL,
    hear: (connection: Connection, n: number) => void,
    fail: (error: Error) => void,
  ): Promise<Connection> {
    const connection = new Connection();
    connection.#socket = await Bun.connect({
      hostname: url.hostname,
      port: Number(url.port),
      socket: {
        drain: () => connection.#flush(),
        data(_socket, chunk) {
          try {
            if (connection.#take(chunk)) hear(connection, connection.#n);
          } catch (error) {
            fail(error as Error);
          }
        },
        error: (_socket, error) => fail(error),
      },
    });
    return connection;
  }

  send(request: Uint8Array, n: number): void {
    this.#unsent = request;
    this.#rest = -1;
    this.#n = n;
    this.#flush();
  }

  close(): void {
    this.#socket!.end();
  }

  #flush(): void {
    this.#unsent = this.#unsent.subarray(this.#socket!.write(this.#unsent));
  }

  /** Is the reply whole? Its head comes in one piece: servers write it at once, and it is short. */
  #take(chunk: Buffer): boolean {
    this.#rest = (this.#rest < 0 ? replyLength(chunk) : this.#rest) - chunk.length;
    return this.#rest <= 0;
  }
}

/** Of the whole reply, its head included. */
function replyLength(chunk: Buffer): number {
  const end = chunk.indexOf(HEAD_END);
  const head = chunk.toString('latin1', 0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (!head.startsWith('HTTP/1.1 202 ') || length === undefined)
    throw new Error(`a strange reply: ${chunk.toString()}`);
  return end + HEAD_END.length + Number(length);
}

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [url, events, rate, batch, connections, seconds] = positionals as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const load = { rate: Number(rate), batch: Number(batch), connections: Number(connections), seconds: Number(seconds) };
  console.log(JSON.stringify(await post(new URL(url), await Bun.file(events).bytes(), load)));
}
