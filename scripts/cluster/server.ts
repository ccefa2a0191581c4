/** A server in a folder of its own: started, found again by its pid, stopped. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Server {
  name: 'kafka' | 'cassandra';
  pid: number;
  /** Where clients reach it: `127.0.0.1:9092`. */
  address: string;
}

/** What one begins as. */
export interface Launch {
  name: Server['name'];
  /** Settings, data, log and pid. */
  dir: string;
  port: number;
  java: string;
  words: string[];
  /** A line of its log that says that it serves. */
  ready: string;
}

/** A busy machine with two cores takes some tens of seconds. */
const READY_MAX_MS = 180_000;
const STOP_MAX_MS = 30_000;
const LOOK_EVERY_MS = 50;
/** Lines of its log that are shown where it does not start. */
const LOG_SHOWN = 30;

/**
 * Runs a server, and ends it when its own standard input ends: with the process that holds the other side, however that
 * goes.
 */
const TIED = `exec 3<&0; "$@" </dev/null 3<&- & pid=$!; echo $pid >pid
  (cat <&3 >/dev/null; kill $pid) & watch=$!; wait $pid; kill $watch`;

/**
 * Starts a server and waits until it serves.
 *
 * @param isTied it ends with this process, even where that is killed
 * @throws Error with the end of its log where it does not start
 */
export async function startServer(launch: Launch, isTied: boolean): Promise<Server> {
  const { name, dir, port, java, words, ready } = launch;
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'server.out');
  rmSync(path, { force: true });
  const log = openSync(path, 'w');
  const child = isTied
    ? spawn('bash', ['-c', TIED, 'tied', java, ...words], { cwd: dir, detached: true, stdio: ['pipe', log, log] })
    : spawn(java, words, { cwd: dir, detached: true, stdio: ['ignore', log, log] });
  let isOver = false;
  child.on('exit', () => {
    isOver = true;
  });
  child.unref();
  const text = () => readFileSync(path, 'utf8');
  const endMs = performance.now() + READY_MAX_MS;
  // What says that it serves may be written a moment before it does.
  while (!text().includes(ready) || !(await listens(port))) {
    if (isOver || performance.now() > endMs) {
      child.kill();
      throw new Error(`${name} does not start:\n${text().split('\n').slice(-LOG_SHOWN).join('\n')}`);
    }
    await Bun.sleep(LOOK_EVERY_MS);
  }
  const pid = isTied ? Number(readFileSync(join(dir, 'pid'), 'utf8')) : child.pid!;
  const server = { name, pid, address: `127.0.0.1:${port}` };
  writeFileSync(join(dir, 'server.json'), JSON.stringify(server));
  return server;
}

async function listens(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}

/** The server that a folder has, where it is running. */
export function findServer(dir: string): Server | null {
  const path = join(dir, 'server.json');
  if (!existsSync(path)) return null;
  const server = JSON.parse(readFileSync(path, 'utf8')) as Server;
  return isRunning(server, dir) ? server : null;
}

/** A pid may be another process's by now: the words of a server name its folder. */
function isRunning({ pid }: Server, dir: string): boolean {
  const { stdout } = Bun.spawnSync(['ps', '-ww', '-o', 'command=', '-p', String(pid)]);
  return stdout.toString().includes(dir);
}

/** Stops it as it is meant to be stopped, and kills it where it does not. */
export async function stopServer(server: Server, dir: string): Promise<void> {
  const endMs = performance.now() + STOP_MAX_MS;
  process.kill(server.pid, 'SIGTERM');
  while (isRunning(server, dir)) {
    if (performance.now() > endMs) process.kill(server.pid, 'SIGKILL');
    await Bun.sleep(LOOK_EVERY_MS);
  }
  rmSync(join(dir, 'server.json'), { force: true });
}

/** @returns ports that nobody listens on, each once */
export function freePorts(count: number): number[] {
  const servers = Array.from({ length: count }, () =>
    Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } }),
  );
  const ports = servers.map(({ port }) => port);
  for (const server of servers) server.stop(true);
  return ports;
}
