/** What commands have in common that go on until they are told to stop. */
import { InvalidArgumentError, Option } from 'commander';
import { Fault } from '../base/fault.ts';
import { LOG_LEVELS } from '../base/log.ts';
import { formatDuration, parseDuration } from '../base/time.ts';
import { EXIT } from './exit.ts';

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

/** Supervisors kill after 30 s. */
const GRACE_DEFAULT_MS = 20_000;

/** `--grace` of a process of a cluster. */
export function graceOption(what: string): Option {
  const option = new Option('--grace <duration>', `how long it may take to ${what}, once it is told to stop`);
  return option.argParser(graceOf).default(GRACE_DEFAULT_MS, formatDuration(GRACE_DEFAULT_MS));
}

/** Ends a process of a cluster: by itself where closing takes no longer than that, and else without what is not committed. */
export async function leave(close: () => Promise<void>, graceMs: number): Promise<never> {
  const isClosed = await Promise.race([close().then(() => true), Bun.sleep(graceMs).then(() => false)]);
  if (!isClosed)
    console.error(`tilefold: not done after ${formatDuration(graceMs)}: others go on from what is committed`);
  // Drivers that still try to reach somebody do not keep it.
  process.exit(isClosed ? EXIT.ok : EXIT.stopped);
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
