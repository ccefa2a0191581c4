import type { Command } from 'commander';
import { Fault } from '../base/fault.ts';
import type { Log, LogLevel } from '../base/log.ts';
import type { State } from '../base/metrics.ts';
import { app, type Served } from '../http/app.ts';
import type { Watcher } from '../ingest/engine.ts';
import { aborted, filesApplied, planState } from './apply.ts';
import { compose, type Parts } from './alone/compose.ts';
import { isClustered, type Surroundings } from './cluster/cluster.ts';
import { type Config, loadConfig, parseMemory } from './config.ts';
import { graceOf, listen, logLevelOption, portOf, SHUTTING_DOWN } from './daemon.ts';
import { MEMORY } from './memory.ts';
import { EXIT, reasonOf } from './exit.ts';
import { PROFILE, profileText } from './profile.ts';
import { branchService } from './branches.ts';
import { feedService } from './feed.ts';
import { openReplaying, type Replaying } from './runs/replay_service.ts';
import { timelineService } from './timelines.ts';
import { openServing } from './cluster/serving.ts';
import { stopSignal } from './signal.ts';

interface Options {
  config: string;
  memory?: number;
  host?: string;
  port?: number;
  logLevel: LogLevel;
  grace: number;
  profile?: true;
}

/** Why nobody is answered yet: on one machine, and in a cluster. */
const STILL_FOLDING = 'the log is still being folded';
const STILL_ASKING = 'the cluster is still being asked how far it is';

/** Enough for a load balancer on the same machine to notice; one that asks less often needs --grace. */
const GRACE_DEFAULT_MS = 500;

/** A request that is not answered by then has a client that does not send or read; supervisors kill after 30 s. */
const DRAIN_MAX_MS = 20_000;

/** `tilefold serve`: one process that takes events and answers lookups. */
export function addServe(program: Command) {
  program
    .command('serve')
    .description('take events and answer lookups over HTTP, until SIGINT or SIGTERM; a second one ends it at once')
    .option('--host <address>', 'instead of the configured one; 0.0.0.0 lets other machines in')
    .option('--port <port>', 'instead of the configured one; 0 takes a free one', portOf)
    .option('--grace <duration>', 'how long /readyz says 503 before connections are refused', graceOf, GRACE_DEFAULT_MS)
    .option(...MEMORY, parseMemory)
    .option(...PROFILE)
    .addOption(logLevelOption())
    .action(async (_options, command: Command) => {
      const { config: path, host, port, logLevel, grace, memory, profile = false } = command.optsWithGlobals<Options>();
      const config = await loadConfig(path, memory ?? null);
      const place = { host: host ?? config.serve.host, port: port ?? config.serve.port };
      // The other commands start without them.
      const { openLog } = await import('./logger.ts');
      await serve(config, path, place, openLog(logLevel), grace, profile);
    });
}

/**
 * The address is taken before the log is folded, so that a taken one shows at once; who asks meanwhile is told to
 * wait. On the way out: /readyz says so for a while, then no new connections, requests under way are answered, and
 * everything is written and closed.
 */
async function serve(
  config: Config,
  path: string,
  { host, port }: { host: string; port: number },
  log: Log,
  graceMs: number,
  isProfiled: boolean,
) {
  const startMs = performance.now();
  let opened: Opened | null = null;
  const isOfCluster = isClustered(config);
  let unready: string | null = isOfCluster ? STILL_ASKING : STILL_FOLDING;
  const { Metrics } = await import('../base/metrics.ts');
  const metrics = new Metrics(() => opened?.state() ?? null);
  const end = (error: unknown) => endProcess(error, log);
  const { origins } = config.serve;
  const services = { unready: () => unready ?? opened?.aside() ?? null, origins, log, metrics, broken: end };
  const server = listen(host, port, app({ ...services, parts: null }).fetch);
  try {
    const around = { log, onFailure: end };
    opened = isOfCluster
      ? await openElsewhere(config, path, around)
      : await openHere(config, server.url.origin, around, metrics);
    server.reload({ fetch: app({ ...services, parts: opened.served }).fetch });
    unready = null;
    const stopped = stopSignal();
    console.log(`tilefold serves ${config.definitions} on ${server.url.origin}`);
    const signal = await stopped;
    unready = SHUTTING_DOWN;
    console.log(`${signal}: ${opened.farewell}, then good-bye`);
    await opened.stop();
    await drain(server, graceMs, log);
    await opened.close();
    const state = opened.state();
    if (isProfiled && state) console.error(profileText(state, (performance.now() - startMs) / 1000));
  } finally {
    await server.stop(true);
  }
}

/** What is served, on this machine or in a cluster. */
interface Opened {
  served: Served;
  /** Null where this process has none of its own. */
  state: () => State | null;
  /** Why nobody should ask here any more, though the process goes on; or null. */
  aside: () => string | null;
  /** For people: what is done at the end. */
  farewell: string;
  /** What would go on for long is left, before requests under way are waited for. */
  stop(): Promise<void>;
  /** Whoever comes after that is told that the server is on its way out. */
  close(): Promise<void>;
}

async function openHere(
  config: Config,
  announce: string,
  { log, onFailure }: Surroundings,
  watcher: Watcher,
): Promise<Opened> {
  const note = (text: string) => log.warn({}, text);
  const parts = await compose(config, { announce, onFailure, note, watcher });
  const replaying = await openReplaying(config, () => parts.plan, note);
  const gate = new Gate(config, parts, replaying, note);
  return {
    ...{ served: gate.served, state: parts.state, aside: () => null, farewell: 'writing what is folded' },
    stop: () => replaying.close(),
    close() {
      gate.closed = true;
      return parts.close();
    },
  };
}

async function openElsewhere(config: Config, path: string, around: Surroundings): Promise<Opened> {
  const { served, aside, close } = await openServing(config, path, around);
  let isClosed = false;
  const { post } = served.ingest;
  const ingest: Served['ingest'] = {
    ...served.ingest,
    post(...body) {
      if (isClosed) throw new Fault('busy', SHUTTING_DOWN);
      return post(...body);
    },
  };
  return {
    ...{ served: { ...served, ingest }, state: () => null, aside, farewell: 'sending what was taken' },
    async stop() {},
    close() {
      isClosed = true;
      return close();
    },
  };
}

/** A body that arrives after all that waiting finds the door shut, not a log that is being closed. */
class Gate {
  closed = false;
  readonly served: Served;

  constructor(config: Config, parts: Parts, { service: replays }: Replaying, note: (text: string) => void) {
    const ifOpen = <T>(work: () => T): T => {
      if (this.closed) throw new Fault('busy', SHUTTING_DOWN);
      return work();
    };
    const { ingest, reader, meta, moment, stages } = parts;
    const applyFiles = filesApplied(config, parts.apply);
    const timelines = timelineService(config, note);
    const branches = branchService(config);
    this.served = {
      ...{ reader, meta, moment, stages },
      get plan() {
        return parts.plan;
      },
      ingest: {
        post: (body, format, key) => ifOpen(() => ingest.post(body, format, key)),
        enrich: (...body) => ifOpen(() => ingest.enrich(...body)),
        barrier: () => {
          if (!this.closed) return ingest.barrier();
        },
      },
      planState: () => planState(parts),
      timelines: {
        ...timelines,
        create: made => ifOpen(() => timelines.create(made)),
        upload: file => ifOpen(() => timelines.upload(file)),
        remove: name => ifOpen(() => timelines.remove(name)),
      },
      branches: {
        ...branches,
        save: branch => ifOpen(() => branches.save(branch)),
        remove: name => ifOpen(() => branches.remove(name)),
      },
      replays: {
        ...replays,
        create: replay => ifOpen(() => replays.create(replay)),
        resume: id => ifOpen(() => replays.resume(id)),
      },
      feed: feedService(
        config,
        async () => parts.plan,
        () => ingest.position + 1,
      ),
      abort: () => ifOpen(() => aborted(parts)),
      applyFiles: (...files) => ifOpen(() => applyFiles(...files)),
    };
  }
}

/** First whoever sends requests learns that there should be no more of them, then there are none. */
async function drain(server: Bun.Server<undefined>, graceMs: number, log: Log) {
  await Bun.sleep(graceMs);
  const cutOff = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => cutOff.resolve('late'), DRAIN_MAX_MS);
  const outcome = await Promise.race([server.stop(), cutOff.promise]);
  clearTimeout(timer);
  if (outcome !== 'late') return;
  log.warn({ requests: server.pendingRequests }, `cutting off what is not answered after ${DRAIN_MAX_MS / 1000} s`);
  await server.stop(true);
}

/** Nothing is written on this way out: memory cannot be trusted, the log can. A disk that is full, or damaged, is no bug. */
function endProcess(error: unknown, log: Log): never {
  const reason = reasonOf(error);
  if (reason !== null) {
    log.error({ error: reason }, 'this process cannot go on; what was acknowledged is in the log');
    process.exit(EXIT.fault);
  }
  const trace = error instanceof Error ? error.stack : String(error);
  log.error({ trace }, 'this process cannot go on; started again it takes up from what is durable');
  process.exit(EXIT.bug);
}
