/** Serves in a cluster: events go to Kafka, and lookups read what others fold. Such a process keeps nothing. */
import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import type { Served } from '../http/app.ts';
import type { Now } from '../http/feature_sets.ts';
import { resumeClocks } from '../kernel/clock.ts';
import { Fold } from '../kernel/fold.ts';
import { loadKernel } from '../kernel/instance.ts';
import { layPlan } from '../kernel/load.ts';
import { RemoteReader } from '../read/remote.ts';
import { AHEAD_MAX_MS } from '../source/source.ts';
import { openCassandra } from '../store/cassandra.ts';
import { type Known, readNote, united } from '../work/note.ts';
import { Post } from '../work/post.ts';
import { agreedIds, checkPlan, openBroker, scyllaOf, type Surroundings, tileGroup } from './cluster.ts';
import type { Config } from './config.ts';
import { planOf } from './plan_cache.ts';

/** How often it asks how far the clocks of event types have come: lookups need them to a second or so. */
const CLOCKS_EVERY_MS = 1_000;

export interface Serving {
  served: Served;
  close(): Promise<void>;
}

/** Whether a configuration is of a cluster: it says where events come from, and where rows are. */
export function isClustered({ kafka, scylla }: Config): boolean {
  return kafka !== null && scylla !== null;
}

/**
 * Opens what a server of a cluster works with. Where nothing has been tiled yet, lookups find nothing, as on a new machine.
 *
 * @throws Fault where the definitions cannot be computed in a cluster, or differ from those that its rows are of
 */
export async function openServing(config: Config, path: string, { log }: Surroundings): Promise<Serving> {
  const kafka = config.kafka!;
  const settings = scyllaOf(config, path, true);
  const { plan } = await planOf(config);
  checkPlan(plan);
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const each of undo.splice(0)) await each();
  };
  try {
    const rows = await openCassandra(settings, config.scylla!.serve);
    undo.unshift(() => rows.close());
    const ids = await agreedIds(rows, plan, settings.keyspace.name);
    const broker = await openBroker(kafka);
    undo.unshift(() => broker.close());
    const partitionCount = await broker.partitionsOf(kafka.events);
    if (partitionCount === null)
      throw new Fault('not_found', `there is no topic ${kafka.events}, which kafka.events names`);
    const sender = await broker.sender(kafka.events, partitionCount);
    undo.unshift(() => sender.close());

    const kernel = await loadKernel();
    const layout = layPlan(kernel, plan, ids, { clock: config.log.clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
    new Fold(kernel, null).share();
    let known: Known = { count: 0, clocks: new Map() };
    const lookAtClocks = async () => {
      const notes = await broker.committed(tileGroup(kafka), kafka.events);
      known = united([...notes.values()].map(({ note }) => readNote(note)));
      resumeClocks(layout, known.clocks);
    };
    await lookAtClocks();
    const timer = setInterval(() => {
      lookAtClocks().catch((error: Error) => log.warn({ error: error.message }, 'clocks of events are not known anew'));
    }, CLOCKS_EVERY_MS);
    undo.unshift(() => clearInterval(timer));

    const stages = new Stages();
    const nowMicros = () => (config.log.clock.kind === 'wall' ? wallMicros() : latestOf(known));
    const reader = new RemoteReader({ layout, rows, position: () => known.count - 1, nowMicros });
    const post = new Post({ door: await loadKernel(), sender, stages }, process.pid % partitionCount);
    const moment = (): Now => ({ position: known.count - 1, clocks: known.clocks, nowMicros: nowMicros() });
    const served: Served = {
      ...elsewhere(`${kafka.changelog.topic}.errors`),
      ...{ plan, reader, moment, stages },
      ingest: { post: (...body) => post.post(...body), enrich: refuse('answering events'), barrier() {} },
    };
    return { served, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function wallMicros(): bigint {
  return BigInt(Date.now()) * 1000n;
}

/** 0 before the first event, as of a log on one machine. */
function latestOf({ clocks }: Known): bigint {
  return [...clocks.values()].reduce((latest, { at }) => (at > latest ? at : latest), 0n);
}

/** What a log on one machine has, and a server of a cluster has not. */
function elsewhere(
  errors: string,
): Pick<Served, 'applyFiles' | 'abort' | 'planState' | 'meta' | 'timelines' | 'branches' | 'replays' | 'feed'> {
  const ofPlans = refuse('changing definitions');
  const [timelines, branches, replays] = [refuse('timelines'), refuse('branches'), refuse('replays')];
  return {
    ...{ applyFiles: ofPlans, abort: ofPlans, planState: ofPlans },
    meta: {
      errors: refuse(`what is wrong with events is in the topic ${errors}; listing it`),
      late: refuse('late events'),
    },
    timelines: { list: timelines, show: timelines, create: timelines, upload: timelines, remove: timelines },
    branches: { list: branches, show: branches, save: branches, remove: branches },
    replays: {
      ...{ list: replays, show: replays, follow: replays, create: replays, cancel: replays, resume: replays },
      ...{ remove: replays, table: replays, page: replays },
    },
    feed: { events: refuse('the latest events') },
  };
}

function refuse(what: string): () => never {
  return () => {
    throw new Fault('unsupported', `${what}: that is of a log on one machine, and not of a cluster`);
  };
}
