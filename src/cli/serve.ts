import { type Command, InvalidArgumentError } from 'commander';
import { Fault } from '../base/fault.ts';
import { app } from '../http/app.ts';
import { problemOf } from '../http/problem.ts';
import { compose } from './compose.ts';
import { type Config, loadConfig } from './config.ts';

interface Options {
  config: string;
  host?: string;
  port?: number;
}

/** Long enough for the largest lookup to be made and read over a slow line; Bun's own 10 s is for pages. */
const IDLE_TIMEOUT_S = 60;

/** `tilefold serve`: one process that takes events and answers lookups. */
export function addServe(program: Command) {
  program
    .command('serve')
    .description('take events and answer lookups over HTTP, until SIGINT or SIGTERM')
    .option('--host <address>', 'instead of the configured one; 0.0.0.0 lets other machines in')
    .option('--port <port>', 'instead of the configured one; 0 takes a free one', portOf)
    .action(async (_options, command: Command) => {
      const { config: path, host, port } = command.optsWithGlobals<Options>();
      const config = await loadConfig(path);
      await serve(config, host ?? config.serve.host, port ?? config.serve.port);
    });
}

/**
 * The address is taken before the log is folded, so that a taken one shows at once; who asks meanwhile is told to
 * wait. On the way out: no new requests, those under way are answered, then everything is written and closed.
 */
async function serve(config: Config, host: string, port: number) {
  const server = listen(host, port);
  try {
    const parts = await compose(config, server.url.origin, endProcess);
    server.reload({ fetch: app({ ...parts, log: console.error, broken: endProcess }).fetch });
    console.log(`tilefold serves ${config.definitions} on ${server.url.origin}`);
    console.log(await stopSignal());
    await server.stop();
    await parts.close();
  } finally {
    await server.stop(true);
  }
}

function listen(hostname: string, port: number) {
  try {
    const busy = new Fault('busy', 'the log is still being folded; ask again in a moment');
    return Bun.serve({
      hostname,
      port,
      idleTimeout: IDLE_TIMEOUT_S,
      // Resources refuse what is too large for them, with a reply that says so.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: () => problemOf(busy, console.error),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    // Bun says so of every address that it cannot have.
    const why = 'it is taken, or is no address of this machine';
    throw new Fault('config', `cannot listen on ${hostname}:${port}: ${why}. --port gives another, 0 a free one`);
  }
}

async function stopSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => resolve(`${signal}: writing what is folded, then good-bye`));
  return promise;
}

/** Nothing is written on this way out: memory cannot be trusted, the log can. */
function endProcess(error: unknown) {
  console.error('this process cannot go on; started again it takes up from what is durable', error);
  process.exit(70);
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new InvalidArgumentError('wanted a number from 0 to 65535');
  return port;
}
