import { versionText } from '../../base/version.ts';
import type { NewReplay, ReplayService } from '../../http/replay_service.ts';
import type { ResultFormat } from '../../http/result_format.ts';
import type { Plan } from '../../plan/plan.ts';
import { resultPage, type ResultTable, resultTable } from '../../replay/tables.ts';
import { errorOf } from '../../shard/failure.ts';
import { branchPlan, LIVE } from '../branches.ts';
import type { Config } from '../config.ts';
import { makerOf } from '../frame/frame_file.ts';
import { batchLines } from '../frame/lines.ts';
import { jobsOf } from '../memory.ts';
import { ReplayQueue } from './replay_queue.ts';
import type { FromPlanner, Planned, ToPlanner } from './run_planner.ts';
import { coresOf, damagedText, type RunRequest, Runs } from './runs.ts';
import { parseTimelineName, Timelines } from '../timelines.ts';

/** Replays of a data folder for a server: the same folders as those of the command line, and the same way to plan and to do them. */
export interface Replaying {
  service: ReplayService;
  /** What is computed stops, and can be resumed. */
  close(): Promise<void>;
}

/**
 * @param live the plan in force
 * @param note hears what no replay's state says
 */
export async function openReplaying(
  config: Config,
  live: () => Plan,
  note: (text: string) => void,
): Promise<Replaying> {
  const runs = await Runs.open(config);
  const workers = workersBeside();
  const queue = new ReplayQueue(runs, { workers, memoryBytes: jobsOf(config.fold.memoryBytes), note });
  const show = async (id: string) => {
    runs.checkOwn(id);
    return runs.show(id);
  };
  return {
    close: () => queue.close(),
    service: {
      list: async page => runs.page(page),
      show,
      async follow(id) {
        runs.checkOwn(id);
        return runs.follow(id);
      },
      async create(replay) {
        const folder = await queue.add(async () => {
          const { id, damaged } = await planBeside(config, await requestOf(config, replay, live(), workers));
          for (const name of damaged) note(damagedText(name));
          return runs.folderOf(id);
        });
        return runs.show(folder);
      },
      async cancel(id) {
        await show(id);
        runs.cancel(id);
        return runs.show(id);
      },
      async resume(id) {
        runs.checkResumable((await show(id)).id);
        await queue.add(async () => runs.folderOf(id));
        return runs.show(id);
      },
      async remove(id) {
        runs.checkOwn(id);
        runs.remove(id);
      },
      async table(id, kind, type, format) {
        await show(id);
        const { manifest, folder } = runs.results(id);
        return bytesOf(resultTable(manifest, folder, kind, type), format);
      },
      async page(id, kind, type, page) {
        await show(id);
        const { manifest, folder } = runs.results(id);
        const { batches, next } = resultPage(manifest, folder, kind, type, page);
        const lines = batches.flatMap(batch => new TextDecoder().decode(batchLines(batch)).trimEnd().split('\n'));
        return { lines, next };
      },
    },
  };
}

/** Lookups and events have a core for themselves, where there are several. */
function workersBeside(): number {
  return Math.max(1, coresOf() - 1);
}

/** @throws Fault `not_found`, Faults what is wrong with the branch */
async function requestOf(
  config: Config,
  { timelines: names, branch, features, order, ...stretch }: NewReplay,
  live: Plan,
  workers: number,
): Promise<RunRequest> {
  const timelines = await Timelines.open(config);
  try {
    const read = timelines.read(names.map(parseTimelineName)).timelines;
    return {
      ...(await definitionsOf(config, branch, live)),
      timelines: read,
      patterns: features,
      order,
      stretch,
      workers,
    };
  } finally {
    timelines.close();
  }
}

async function definitionsOf(config: Config, branch: string | null, live: Plan) {
  if (branch === null || branch === LIVE) return { plan: live, definitions: LIVE };
  const { plan, version } = await branchPlan(config, branch);
  return { plan, definitions: `branch ${versionText(version)}` };
}

/** In a thread of its own. */
function planBeside(config: Config, request: RunRequest): Promise<Planned> {
  const { promise, resolve, reject } = Promise.withResolvers<Planned>();
  const worker = new Worker(new URL('./run_planner.ts', import.meta.url));
  worker.onmessage = ({ data }: MessageEvent<FromPlanner>) => {
    if (data.failure) reject(errorOf(data.failure));
    else resolve(data);
  };
  worker.onerror = ({ message }) => reject(new Error(`the thread that plans a replay ended: ${message}`));
  worker.postMessage({ config, request } satisfies ToPlanner);
  return promise.finally(() => worker.terminate());
}

/** A block of bytes for each block of rows. */
async function bytesOf({ shapes, batches }: ResultTable, format: ResultFormat): Promise<Iterator<Uint8Array>> {
  const frame = (await makerOf(format))(shapes);
  return (function* () {
    for (const batch of batches) {
      const block = Buffer.concat(frame.batch(batch));
      if (block.length > 0) yield block;
    }
    const end = Buffer.concat(frame.end());
    if (end.length > 0) yield end;
  })();
}
