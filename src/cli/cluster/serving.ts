/** Serves in a cluster: events go to Kafka, and lookups read what others fold. Such a process keeps nothing. */
import { Fault } from '../../base/fault.ts';
import { Stages } from '../../base/stages.ts';
import type { Served } from '../../http/app.ts';
import type { LookUp } from '../../read/read.ts';
import { openCassandra } from '../../store/cassandra.ts';
import { openAnswering } from './answering.ts';
import { filesApplied } from '../apply.ts';
import { openBroker, scyllaOf, type Surroundings } from './cluster.ts';
import type { Config } from '../config.ts';
import { noteOthers } from './course.ts';
import { openPosting } from './posting.ts';
import { type Succeeding, succeeding } from './succeeding.ts';
import { toldErrors } from '../told.ts';

/** How often it asks how far the clocks of event types have come, and whether other definitions are in force. */
const LOOK_EVERY_MS = 1_000;

export interface Serving {
  served: Served;
  /** Why nobody should ask here for features any more; null where they may. */
  aside(): string | null;
  close(): Promise<void>;
}

/**
 * Opens what a server of a cluster works with. Where nothing has been tiled yet, lookups find nothing, as on a new machine.
 *
 * @throws Fault where definitions that the cluster would begin with cannot be computed in one
 */
export async function openServing(config: Config, path: string, { log, onFailure }: Surroundings): Promise<Serving> {
  const kafka = config.kafka!;
  const settings = scyllaOf(config, path, true);
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const each of undo.splice(0)) await each();
  };
  try {
    const remote = await openCassandra(settings, config.scylla!.serve);
    undo.unshift(() => remote.close());
    const broker = await openBroker(kafka);
    undo.unshift(() => broker.close());
    const stages = new Stages();
    const { post, close: closePosting } = await openPosting(broker, kafka, stages);
    undo.unshift(closePosting);
    const answering = await openAnswering(config, remote, broker);
    await noteOthers(config, answering.courses.course, log);
    let aside: string | null = null;
    undo.unshift(
      every(
        LOOK_EVERY_MS,
        () => answering.look(),
        (error: unknown) => {
          if (isOfNewer(error)) {
            if (aside === null) log.error({ error: error.message }, 'this process answers no lookups any more');
            aside = error.message;
          } else if (error instanceof Fault && error.code !== 'busy') onFailure(error);
          else log.warn({ error: (error as Error).message }, 'how far the cluster has come is not known anew');
        },
      ),
    );
    const served: Served = {
      ...elsewhere(),
      meta: { errors: toldErrors(broker, kafka), late: refuse('late events') },
      ...{ reader: untilAside(answering), moment: () => answering.moment(), stages },
      ...planService(config, succeeding({ config, remote, broker, courses: answering.courses })),
      get plan() {
        return answering.plan;
      },
      ingest: { post: (...body) => post.post(...body), enrich: refuse('answering events'), barrier() {} },
    };
    return { served, aside: () => aside, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A newer version has applied definitions that this one cannot read: it takes events on, and others answer. */
function isOfNewer(error: unknown): error is Fault {
  return error instanceof Fault && error.code === 'unsupported';
}

/** Whoever asks is to ask another server, which is what `busy` says, and not that nobody here can. */
function untilAside(reader: LookUp): LookUp {
  const answered = async <T>(answer: () => T | Promise<T>): Promise<T> => {
    try {
      return await answer();
    } catch (error) {
      throw isOfNewer(error) ? new Fault('busy', error.message) : error;
    }
  };
  return {
    lookup: request => answered(() => reader.lookup(request)),
    explain: request => answered(() => reader.explain(request)),
  };
}

/** @returns what ends it */
function every(ms: number, work: () => Promise<unknown>, failed: (error: unknown) => void): () => void {
  const timer = setInterval(() => {
    work().catch(failed);
  }, ms);
  return () => clearInterval(timer);
}

/** Definitions are proposed here, and taken up by processes that work: whoever asks `GET /v1/plan` hears how far that is. */
function planService(
  config: Config,
  { apply, abort, state }: Succeeding,
): Pick<Served, 'applyFiles' | 'abort' | 'planState'> {
  const proposed = async (...asked: Parameters<typeof apply>) => {
    const { number: _, ...applied } = await apply(...asked);
    return applied;
  };
  return { applyFiles: filesApplied(config, proposed), abort, planState: state };
}

/** What a log on one machine has, and a server of a cluster has not. */
function elsewhere(): Pick<Served, 'timelines' | 'branches' | 'replays' | 'feed'> {
  const [timelines, branches, replays] = [refuse('timelines'), refuse('branches'), refuse('replays')];
  return {
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
