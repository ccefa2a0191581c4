import { dirname, join } from 'node:path';
import { existsSync } from 'node:fs';
import { pythonOrSkip } from '../../scripts/python.ts';

/** Not before it has imported all of it. */
const READY_MAX_MS = 30_000;

/** What moto takes for credentials is anything; what it is given is in the environment, as for every tool. */
export const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'tests', AWS_SECRET_ACCESS_KEY: 'no secret' };

/** The program of PyPI's moto[server], a server that others wrote to test clients of S3; null, aloud, where it is not there. */
export function motoOrSkip(what: string): string | null {
  const python = pythonOrSkip(what);
  const program = python === null ? null : join(dirname(python), 'moto_server');
  if (program === null || existsSync(program)) return program;
  const reason = `${what}: there is no ${program}; scripts/python/requirements.txt has what is to be installed`;
  if (process.env.CI === 'true') throw new Error(reason);
  console.warn(`SKIPPED ${reason}`);
  return null;
}

export interface Moto {
  url: string;
  /** Makes an empty bucket. */
  make(bucket: string): Promise<void>;
  stop(): void;
}

/** Starts it on a free port of this machine. */
export async function startMoto(program: string): Promise<Moto> {
  const port = freePort();
  const child = Bun.spawn([program, '-H', '127.0.0.1', '-p', String(port)], { stdout: 'ignore', stderr: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const endMs = performance.now() + READY_MAX_MS;
  for (;;) {
    const answer = await fetch(url).catch(() => null);
    if (answer) break;
    if (performance.now() > endMs || child.exitCode !== null) throw new Error(`${program} does not answer on ${url}`);
    await Bun.sleep(50);
  }
  return {
    url,
    async make(bucket) {
      const { status } = await fetch(`${url}/${bucket}`, { method: 'PUT' });
      if (status !== 200) throw new Error(`moto answered ${status}`);
    },
    stop: () => child.kill('SIGKILL'),
  };
}

export function freePort(): number {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}
