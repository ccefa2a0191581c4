import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CACHE, uniform } from './events.ts';
import type { Load } from './load.ts';
import { median, memoryOf, type Row, RUNS, runChild } from './measure.ts';

const MAIN = join(import.meta.dir, '../../src/main.ts');
const KEYS = 100;
const FEATURES = 20;
const CONNECTIONS = [1, 16];
/** In one run. */
const REQUESTS = 1_000;
const REQUESTS_FIRST = 200;
/** What a server that nobody asks does with its memory is done by then. */
const IDLE_MS = 3_000;

/** A data folder in .cache with the events folded by the command line: door, log, rows. */
export async function makeFolder(
  events: string,
  count: number,
  program: string[],
): Promise<{ folder: string; row: Row }> {
  const folder = join(CACHE, 'serving');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const definitions = join(import.meta.dir, 'features/serving');
  await writeFile(
    join(folder, 'tilefold.yaml'),
    `log: { clock: event }\ndefinitions: ${JSON.stringify(definitions)}\n`,
  );
  const startMs = performance.now();
  const { peakMiB } = await runChild([...program, '--config', join(folder, 'tilefold.yaml'), 'ingest', events]);
  const row: Row = {
    work: 'tilefold ingest, 24 features',
    unit: 'events/s',
    ours: (count / (performance.now() - startMs)) * 1000,
    peer: null,
    goal: null,
    memory: { ours: peakMiB, peer: null },
    note: `${count} events, the whole command: door, event log, rows; one run`,
  };
  return { folder, row };
}

/** Others that answer with the same bytes: one that does not look at the request, and one that looks values up in a Map. */
const PEERS = { 'bare Hono': 'bare.ts', 'a naive Map': 'naive.ts' };

/** Lookups, start and idle memory of the real server, beside its peers. */
export async function servingRows(folder: string, events: string, program: string[]): Promise<Row[]> {
  const [body, reply] = [join(folder, 'request.json'), join(folder, 'reply.json')];
  await writeFile(body, requestBody(await readFile(events, 'utf8').then(text => text.slice(0, 2_000_000))));
  const config = ['--config', join(folder, 'tilefold.yaml')];
  const ours = [...program, ...config, 'serve', '--port', '0', '--grace', '0s', '--log-level', 'error'];
  const peers = Object.entries(PEERS).map(([name, file]) => ({
    name,
    command: [process.execPath, join(import.meta.dir, file), reply],
  }));
  await writeFile(reply, await firstReply(ours, body));
  const peer = peers[0]!.command;
  const starts: { ours: Started[]; peer: Started[] } = { ours: [], peer: [] };
  for (let i = 0; i < RUNS; i++)
    for (const [side, command] of [['ours', ours] as const, ['peer', peer] as const]) {
      const server = await start(command, body);
      await Bun.sleep(IDLE_MS);
      starts[side].push({ firstMs: server.firstMs, idleMiB: residentMiB(server.pid) });
      await server.stop();
    }
  const both = (of: (started: Started) => number) => ({
    ours: median(starts.ours.map(of)),
    peer: { name: 'bare Hono', value: median(starts.peer.map(of)) },
  });
  const shared = { goal: null, memory: { ours: null, peer: null } };
  return [
    ...(await lookupRows(ours, peers, body)),
    {
      work: 'start to first lookup',
      unit: 'ms',
      ...both(s => s.firstMs),
      ...shared,
      note: 'an existing data folder, nothing to fold',
    },
    { work: 'idle memory', unit: 'MiB', ...both(s => s.idleMiB), ...shared, note: 'resident, after one lookup' },
  ];
}

interface Started {
  firstMs: number;
  idleMiB: number;
}

/** All servers run at once and are asked in turns; one row for each peer and number of connections. */
async function lookupRows(
  command: string[],
  peers: { name: string; command: string[] }[],
  body: string,
): Promise<Row[]> {
  const ours = await start(command, body);
  const others = await Promise.all(
    peers.map(async peer => ({ name: peer.name, ...(await start(peer.command, body)) })),
  );
  const servers = [ours, ...others];
  const rows: Row[] = [];
  try {
    for (const { name, reply } of others)
      if (!ours.reply.equals(reply)) throw new Error(`${name} does not answer with the same bytes`);
    for (const server of servers) await loadOn(server.url, body, 16, REQUESTS_FIRST);
    for (const connections of CONNECTIONS) {
      const runs = servers.map((): Load[] => []);
      for (let i = 0; i < RUNS; i++)
        for (const [n, server] of servers.entries())
          runs[n]!.push(await loadOn(server.url, body, connections, REQUESTS));
      const of = (n: number, pick: (load: Load) => number) => median(runs[n]!.map(pick));
      const rate = (n: number) => REQUESTS / of(n, load => load.seconds);
      const p99 = (n: number) => of(n, load => load.p99Ms).toFixed(2);
      for (const [i, { name, pid }] of others.entries())
        rows.push({
          work: `HTTP lookup, ${connections} connection${connections > 1 ? 's' : ''}`,
          unit: 'requests/s',
          ours: rate(0),
          peer: { name, value: rate(i + 1) },
          goal: null,
          memory: { ours: residentMiB(ours.pid), peer: residentMiB(pid) },
          note: `${KEYS} keys x ${FEATURES} features, ${ours.reply.length} bytes; p99 ${p99(0)} / ${p99(i + 1)} ms`,
        });
    }
    // Answers do not change under load.
    if (!(await ask(ours.url, body)).equals(ours.reply)) throw new Error('the same lookup has another answer now');
  } finally {
    for (const server of servers) await server.stop();
  }
  return rows;
}

/** Posts as likely as they are seen, each once. */
export function requestBody(lines: string): string {
  const random = uniform(7);
  const posts = Array.from(lines.matchAll(/"post":"(p\d+)"/g), match => match[1]!);
  const keys = new Set<string>();
  while (keys.size < KEYS) keys.add(posts[Math.floor(random() * posts.length)]!);
  return JSON.stringify({ features: ['post_views:*'], entities: { post: [...keys] } });
}

async function firstReply(command: string[], body: string): Promise<Buffer> {
  const server = await start(command, body);
  await server.stop();
  return server.reply;
}

/** Starts a server and asks it once; `firstMs` is from nothing to the end of that reply. */
async function start(command: string[], body: string) {
  const startMs = performance.now();
  const { origin, pid, stop } = await startServer(command);
  const url = `${origin}/v1/features`;
  const reply = await ask(url, body);
  const firstMs = performance.now() - startMs;
  return { url, reply, firstMs, pid, stop };
}

/** Resolves once it serves. */
export async function startServer(command: string[]) {
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  const origin = await addressOf(child);
  const stop = async () => {
    child.kill('SIGTERM');
    await child.exited;
  };
  return { origin, pid: child.pid, stop };
}

async function addressOf(child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>): Promise<string> {
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  for (let said = ''; ; ) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the server ended before it served: ${said}`);
    said += decoder.decode(value, { stream: true });
    const origin = /serves .*?on (http:\S+)\n/.exec(said)?.[1];
    if (!origin) continue;
    reader.releaseLock();
    return origin.replace('localhost', '127.0.0.1');
  }
}

async function ask(url: string, body: string): Promise<Buffer> {
  const response = await fetch(url, { method: 'POST', body: Bun.file(body) });
  const reply = Buffer.from(await response.arrayBuffer());
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${reply}`);
  return reply;
}

export async function loadOn(url: string, body: string, connections: number, requests: number): Promise<Load> {
  const command = [process.execPath, join(import.meta.dir, 'load.ts'), url, body, `${connections}`, `${requests}`];
  return JSON.parse((await runChild(command)).out) as Load;
}

function residentMiB(pid: number): number {
  const mib = memoryOf(pid, 'VmRSS');
  if (mib === null) throw new Error('the server is gone');
  return mib;
}

/** The program that is measured: the sources, or a binary made of them. */
export function programOf(binary: string | undefined): string[] {
  return binary === undefined ? [process.execPath, MAIN] : [binary];
}
