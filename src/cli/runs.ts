import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { Fault } from '../base/fault.ts';
import type { Timeline } from '../base/timeline.ts';
import { kernelsDigest } from '../kernel/instance.ts';
import { planJson } from '../plan/json.ts';
import type { Plan } from '../plan/plan.ts';
import { ColumnCache, linkOrCopy, whyComputed } from '../replay/cache.ts';
import { checkColumn } from '../replay/column_file.ts';
import {
  inFolder,
  isDone,
  type Manifest,
  manifestJson,
  outputsOf,
  PATHS,
  planReplay,
  readManifest,
} from '../replay/manifest.ts';
import { streamed } from '../replay/stream.ts';
import { isRunning, ownProcess, placeText, type ProcessName, sweepUnfinished } from '../replay/unfinished.ts';
import type { Stretch } from '../replay/within.ts';
import { chunkPath } from '../source/timeline_chunk.ts';
import type { Config } from './config.ts';
import { doJob } from './job.ts';
import { type CrewOutcome, doJobs } from './job_crew.ts';

/** Which features of which events are wanted. */
export interface RunRequest {
  plan: Plan;
  /** For people: where the definitions are from. */
  definitions: string;
  timelines: Timeline[];
  /** Null for all. */
  patterns: string[] | null;
  stretch: Stretch;
  workers: number;
}

/** What became of a replay. `interrupted`: whoever was at it is gone. */
export type RunState = 'planned' | 'running' | 'interrupted' | 'done' | 'failed' | 'cancelled';

export interface RunStatus {
  id: string;
  folder: string;
  state: RunState;
  /** Why it failed. */
  errors: string[];
  jobs: { total: number; done: number };
  manifest: Manifest;
}

interface StateFile {
  state: Exclude<RunState, 'interrupted'>;
  /** Whoever works on it. */
  by: ProcessName | null;
  errors: string[];
}

/** A replay that is planned. */
export interface PlannedRun {
  manifest: Manifest;
  folder: string;
  /** Names of columns that the cache had, damaged. */
  damaged: string[];
}

/** What a folder of a replay has in it. */
const FOLDERS = [PATHS.columns, PATHS.parts, PATHS.chunks];

const RUNS = 'runs';
const CACHE = 'cache';
const STATE = 'state.json';
const CANCEL = 'cancel';

/** Replays of a data folder, each a folder of its own, and the cache of their columns. */
export class Runs {
  readonly cache: ColumnCache;

  private constructor(
    private readonly config: Config,
    readonly engine: string,
  ) {
    const { dir, cacheBytes } = config.replays;
    this.cache = new ColumnCache(join(dir, CACHE), cacheBytes, Date.now);
  }

  static async open(config: Config): Promise<Runs> {
    return new Runs(config, `${packageJson.version}+${(await kernelsDigest()).slice(0, ENGINE_DIGITS)}`);
  }

  /**
   * Plans a replay: its folder then has all that jobs need, columns of the cache among it.
   *
   * @param folder null for one among the data
   */
  async plan(request: RunRequest, folder: string | null): Promise<PlannedRun> {
    this.#sweepUnplanned();
    const id = newId();
    const place = folder === null ? join(this.config.replays.dir, RUNS, id) : resolve(folder);
    if (existsSync(PATHS.manifest(place))) throw new Fault('conflict', `${place} has a replay already`);
    mkdirSync(place, { recursive: true });
    this.#state(place, { state: 'planned', by: ownProcess(), errors: [] });
    try {
      return this.#planIn(place, request, id);
    } catch (error) {
      // A folder that somebody has named may hold what is his.
      if (folder === null) rmSync(place, { recursive: true });
      throw error;
    }
  }

  #planIn(place: string, request: RunRequest, id: string): PlannedRun {
    for (const each of FOLDERS) mkdirSync(each(place), { recursive: true });
    const damaged: string[] = [];
    const has = (file: string, column: string) => {
      const outcome = this.cache.take(file, PATHS.column(place, file));
      if (outcome === 'damaged') damaged.push(column);
      return outcome === 'taken';
    };
    const manifest = planReplay({ ...this.#requestOf(request, id), has });
    this.#linkChunks(manifest, place);
    placeText(PATHS.plan(place), planJson(request.plan));
    // With it the folder is a replay's.
    placeText(PATHS.manifest(place), manifestJson(manifest));
    this.#state(place, { state: 'planned', by: null, errors: [] });
    return { manifest, folder: place, damaged: damaged.map(column => manifest.about[column]!.name) };
  }

  /** Folders of replays whose planning was cut off. */
  #sweepUnplanned(): void {
    const folder = join(this.config.replays.dir, RUNS);
    for (const id of existsSync(folder) ? readdirSync(folder) : []) {
      const place = join(folder, id);
      const { by } = stateOf(place);
      if (!existsSync(PATHS.manifest(place)) && by && !isRunning(by)) rmSync(place, { recursive: true, force: true });
    }
  }

  /** Of each feature that is asked for whether it would be computed, and why; of each event type whether anything has to be. */
  explain(request: RunRequest): { name: string; event: string; isReused: boolean; why: string }[] {
    const { shown, reused, about } = planReplay({
      ...this.#requestOf(request, 'explain'),
      has: file => this.cache.has(file),
    });
    const known = this.cache.about();
    return shown.map(({ name, event, id }) => {
      const isReused = reused.includes(id);
      return { name, event, isReused, why: isReused ? 'it is in the cache' : whyComputed(about[id]!, known) };
    });
  }

  #requestOf({ plan, definitions, timelines, patterns, stretch, workers }: RunRequest, id: string) {
    return {
      ...{ id, plan, definitions, patterns, stretch, streamed: streamed(timelines), engine: this.engine },
      ...{ createdAtMicros: BigInt(Date.now()) * 1000n, parts: workers > 1 ? workers : 1 },
    };
  }

  /** Events that jobs read, as files of the replay's own: whatever becomes of the timelines. */
  #linkChunks({ jobs, timelines }: Manifest, folder: string): void {
    if (jobs.length === 0) return;
    const chunks = new Set(
      timelines.flatMap(({ types }) => types.flatMap(type => type.chunks.map(({ hash }) => hash))),
    );
    for (const hash of chunks)
      linkOrCopy(chunkPath(join(this.config.timelines.dir, 'chunks'), hash), chunkPath(PATHS.chunks(folder), hash));
  }

  /**
   * Does the jobs of a replay that are not done, in threads of this process, and gives their columns to the cache.
   *
   * @param tell hears how many are done, and of which stage the last one was
   * @param note hears what was found damaged
   * @throws Fault where jobs failed, naming them; `conflict` where it was cancelled
   */
  async run(
    folder: string,
    { workers, memoryBytes, stopped }: { workers: number; memoryBytes: number; stopped: Promise<void> },
    tell: (done: number, total: number, stage: number) => void,
    note: (text: string) => void = () => {},
  ): Promise<Manifest> {
    const { manifest } = readManifest(folder, this.engine);
    const { state } = this.#status(folder, manifest);
    if (state === 'running') throw new Fault('busy', `replay ${manifest.id} is being worked on`);
    rmSync(join(folder, CANCEL), { force: true });
    this.#state(folder, { state: 'running', by: ownProcess(), errors: [] });
    sweepAll(folder);
    for (const damage of removeDamaged(manifest, folder)) note(`${damage}; it is computed again`);
    let done = 0;
    tell(0, manifest.jobs.length, 0);
    const outcome = await doJobs({
      ...{ folder, manifest, engine: this.engine, workers, memoryBytes, stopped, cancelPath: join(folder, CANCEL) },
      onDone: number => {
        const job = manifest.jobs[number]!;
        if (!job.part && !job.range) this.#keep(manifest, folder, job.columns);
        tell(++done, manifest.jobs.length, job.stage);
      },
    });
    this.cache.trim();
    return this.#settle(folder, manifest, outcome, done);
  }

  #settle(folder: string, manifest: Manifest, { failed, skipped, isCancelled }: CrewOutcome, done: number): Manifest {
    sweepAll(folder);
    if (isCancelled) {
      this.#state(folder, { state: 'cancelled', by: null, errors: [] });
      const how = `\`tilefold replay resume ${manifest.id}\` goes on with it`;
      throw new Fault(
        'conflict',
        `replay ${manifest.id} was stopped with ${done} of ${manifest.jobs.length} jobs completed; ${how}`,
      );
    }
    const [first] = failed;
    if (!first) {
      this.#end(folder);
      return manifest;
    }
    const errors = failed.map(({ error }) => error.message);
    this.#state(folder, { state: 'failed', by: null, errors });
    const code = first.error instanceof Fault ? first.error.code : 'corrupt';
    const others = skipped.length === 0 ? '' : `; ${skipped.length} more need what was to be made there`;
    throw new Fault(code, `${errors.join('; ')}${others}`);
  }

  /** One job, whoever does the others. */
  async job(folder: string, number: number, memoryBytes: number): Promise<boolean> {
    return (await doJob(resolve(folder), number, { engine: this.engine, memoryBytes })).isNew;
  }

  /** Ends a replay whose jobs were done by others: its columns are checked to be there, and are kept. @throws Fault `conflict` */
  finish(folder: string): Manifest {
    const { manifest } = readManifest(folder, this.engine);
    const damages = removeDamaged(manifest, folder);
    const has = inFolder(folder);
    const missing = manifest.jobs.filter(job => !isDone(manifest, job, has)).map(({ number }) => number);
    if (missing.length > 0)
      throw new Fault('conflict', [`jobs are not done: ${missing.join(', ')}`, ...damages].join('; '));
    for (const job of manifest.jobs) if (!job.part && !job.range) this.#keep(manifest, folder, job.columns);
    this.cache.trim();
    this.#end(folder);
    return manifest;
  }

  list(): RunStatus[] {
    const folder = join(this.config.replays.dir, RUNS);
    const ids = existsSync(folder) ? readdirSync(folder).sort() : [];
    return ids.filter(id => existsSync(PATHS.manifest(join(folder, id)))).map(id => this.show(id));
  }

  /** @param id of a replay among the data, or the folder of one. @throws Fault `not_found` */
  show(id: string): RunStatus {
    const folder = this.folderOf(id);
    return this.#status(folder, readManifest(folder, null).manifest);
  }

  folderOf(id: string): string {
    const own = join(this.config.replays.dir, RUNS, id);
    if (ID.test(id) && existsSync(PATHS.manifest(own))) return own;
    if (existsSync(PATHS.manifest(resolve(id)))) return resolve(id);
    throw new Fault('not_found', `there is no replay ${id}; \`tilefold replay list\` says which there are`);
  }

  /** Whoever works on it stops. @throws Fault `conflict` where nobody does */
  cancel(id: string): void {
    const { folder, state } = this.show(id);
    if (state !== 'running') throw new Fault('conflict', `replay ${id} is ${state}: there is nothing to stop`);
    writeFileSync(join(folder, CANCEL), '');
  }

  /** @throws Fault `conflict` while it is worked on */
  remove(id: string): void {
    const { folder, state } = this.show(id);
    if (state === 'running') throw new Fault('conflict', `replay ${id} is running: cancel it first`);
    rmSync(folder, { recursive: true });
  }

  /** Its columns, where all that is shown is there. @throws Fault `conflict` */
  results(id: string): RunStatus {
    const status = this.show(id);
    const { folder, manifest, jobs } = status;
    if (jobs.done < jobs.total)
      throw new Fault('conflict', `replay ${id} is ${status.state}: ${jobs.done} of ${jobs.total} jobs completed`);
    const { files, reused, shown } = manifest;
    for (const { id: column, name } of shown)
      if (!existsSync(PATHS.column(folder, files[column]!)))
        throw new Fault(
          'corrupt',
          `${reused.includes(column) ? 'a reused column' : 'a column'} of replay ${id} is gone: ${name}`,
        );
    return status;
  }

  #keep(manifest: Manifest, folder: string, columns: string[]): void {
    for (const id of columns) {
      const file = manifest.files[id]!;
      this.cache.keep(file, PATHS.column(folder, file), manifest.about[id]!);
    }
  }

  #status(folder: string, manifest: Manifest): RunStatus {
    const { state, by, errors } = stateOf(folder);
    const has = inFolder(folder);
    const done =
      state === 'done' ? manifest.jobs.length : manifest.jobs.filter(job => isDone(manifest, job, has)).length;
    const isGone = state === 'running' && by !== null && !isRunning(by);
    const jobs = { total: manifest.jobs.length, done };
    return { id: manifest.id, folder, state: isGone ? 'interrupted' : state, errors, jobs, manifest };
  }

  #state(folder: string, state: StateFile): void {
    placeText(join(folder, STATE), JSON.stringify(state));
  }

  /** What only jobs need goes first: killed between the two, the replay has no more to do than this. */
  #end(folder: string): void {
    for (const each of [PATHS.chunks, PATHS.parts]) rmSync(each(folder), { recursive: true, force: true });
    sweepAll(folder);
    this.#state(folder, { state: 'done', by: null, errors: [] });
  }
}

/** Enough to tell kernels apart. */
const ENGINE_DIGITS = 16;
const ID = /^[\w-]+$/;

/** Threads of a replay where nobody says how many. */
export function coresOf(): number {
  return availableParallelism();
}

function newId(): string {
  const at = new Date().toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  return `${at}-${Buffer.from(crypto.getRandomValues(new Uint8Array(2))).toString('hex')}`;
}

function stateOf(folder: string): StateFile {
  const path = join(folder, STATE);
  if (!existsSync(path)) return { state: 'planned', by: null, errors: [] };
  return JSON.parse(readFileSync(path, 'utf8')) as StateFile;
}

/** Nobody else is at it, on this machine. */
function sweepAll(folder: string): void {
  for (const each of [folder, PATHS.columns(folder), PATHS.parts(folder)]) sweepUnfinished(each);
}

/** Columns that were made and are not what was written: without them their jobs are not done. */
function removeDamaged(manifest: Manifest, folder: string): string[] {
  const found: string[] = [];
  for (const { id, path } of manifest.jobs.flatMap(job => outputsOf(manifest, job, folder))) {
    if (!existsSync(path)) continue;
    try {
      checkColumn(path);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      rmSync(path, { force: true });
      found.push(`${manifest.about[id]!.name}: ${error.message}`);
    }
  }
  return found;
}
