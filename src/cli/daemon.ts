/** What commands have in common that go on until they are told to stop. */
import { InvalidArgumentError, Option } from 'commander';
import { Fault } from '../base/fault.ts';
import { LOG_LEVELS } from '../base/log.ts';
import { parseDuration } from '../base/time.ts';

/** Long enough for the largest lookup to be made and read over a slow line; Bun's own 10 s is for pages. */
const IDLE_TIMEOUT_S = 60;

export const SHUTTING_DOWN = 'the server is shutting down';

/** `--log-level`, which every one of them has. */
export function logLevelOption(): Option {
  return new Option('--log-level <level>', 'what is logged to standard error, as JSON lines where that is no terminal')
    .choices(LOG_LEVELS)
    .env('LOG_LEVEL')
    .default('info');
}

/** `--grace`: milliseconds. */
export function graceOf(text: string): number {
  const graceMs = parseDuration(text);
  if (graceMs === null) throw new InvalidArgumentError('wanted a duration like 500ms or 10s');
  return graceMs;
}

export function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new InvalidArgumentError('wanted a number from 0 to 65535');
  return port;
}

/** @throws Fault `config` where nothing can listen there */
export function listen(hostname: string, port: number, fetch: (request: Request) => Response | Promise<Response>) {
  try {
    return Bun.serve({
      hostname,
      port,
      idleTimeout: IDLE_TIMEOUT_S,
      // Resources refuse what is too large for them, with a reply that says so.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: request => fetch(request),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    // Bun says so of every address that it cannot have.
    const why = 'it is taken, or is no address of this machine';
    throw new Fault('config', `cannot listen on ${hostname}:${port}: ${why}. --port gives another, 0 a free one`);
  }
}
