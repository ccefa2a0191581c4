import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { Fault } from '../base/fault.ts';
import type { Timeline } from '../base/timeline.ts';
import { kernelsDigest } from '../kernel/instance.ts';
import { planJson } from '../plan/json.ts';
import type { Plan } from '../plan/plan.ts';
import { ColumnCache, linkOrCopy, whyComputed } from '../replay/cache.ts';
import { isDone, type Manifest, manifestJson, PATHS, planReplay, readManifest } from '../replay/manifest.ts';
import { streamed } from '../replay/stream.ts';
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
  pid: number | null;
  errors: string[];
}

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
  plan(request: RunRequest, folder: string | null): { manifest: Manifest; folder: string } {
    const id = newId();
    const place = folder === null ? join(this.config.replays.dir, RUNS, id) : resolve(folder);
    if (existsSync(PATHS.manifest(place))) throw new Fault('conflict', `${place} has a replay already`);
    for (const each of [place, PATHS.columns(place), PATHS.parts(place), PATHS.chunks(place)])
      mkdirSync(each, { recursive: true });
    const manifest = planReplay({
      ...this.#requestOf(request, id),
      has: file => this.cache.take(file, PATHS.column(place, file)),
    });
    this.#linkChunks(manifest, place);
    writeWhole(PATHS.plan(place), planJson(request.plan));
    this.#state(place, { state: 'planned', pid: null, errors: [] });
    // With it the folder is a replay's.
    writeWhole(PATHS.manifest(place), manifestJson(manifest));
    return { manifest, folder: place };
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
   * @throws Fault where jobs failed, naming them; `conflict` where it was cancelled
   */
  async run(
    folder: string,
    { workers, memoryBytes, stopped }: { workers: number; memoryBytes: number; stopped: Promise<void> },
    tell: (done: number, total: number, stage: number) => void,
  ): Promise<Manifest> {
    const { manifest } = readManifest(folder, this.engine);
    const { state } = this.#status(folder, manifest);
    if (state === 'running') throw new Fault('busy', `replay ${manifest.id} is being worked on`);
    rmSync(join(folder, CANCEL), { force: true });
    this.#state(folder, { state: 'running', pid: process.pid, errors: [] });
    sweepUnfinished(folder);
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
    if (isCancelled) {
      this.#state(folder, { state: 'cancelled', pid: null, errors: [] });
      const how = `\`tilefold replay resume ${manifest.id}\` goes on with it`;
      throw new Fault(
        'conflict',
        `replay ${manifest.id} was stopped with ${done} of ${manifest.jobs.length} jobs completed; ${how}`,
      );
    }
    const errors = failed.map(({ error }) => error.message);
    this.#state(folder, { state: failed.length > 0 ? 'failed' : 'done', pid: null, errors });
    const [first] = failed;
    if (!first) {
      this.#leaveWorkings(folder);
      return manifest;
    }
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
    const missing = manifest.jobs.filter(job => !isDone(manifest, job, folder)).map(({ number }) => number);
    if (missing.length > 0) throw new Fault('conflict', `jobs are not done: ${missing.join(', ')}`);
    for (const job of manifest.jobs) if (!job.part && !job.range) this.#keep(manifest, folder, job.columns);
    this.cache.trim();
    this.#state(folder, { state: 'done', pid: null, errors: [] });
    this.#leaveWorkings(folder);
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
    const { state, pid, errors } = stateOf(folder);
    const done =
      state === 'done' ? manifest.jobs.length : manifest.jobs.filter(job => isDone(manifest, job, folder)).length;
    const isGone = state === 'running' && pid !== null && !isAlive(pid);
    const jobs = { total: manifest.jobs.length, done };
    return { id: manifest.id, folder, state: isGone ? 'interrupted' : state, errors, jobs, manifest };
  }

  #state(folder: string, state: StateFile): void {
    writeWhole(join(folder, STATE), JSON.stringify(state));
  }

  /** What only jobs need, and columns that nobody is shown. */
  #leaveWorkings(folder: string): void {
    for (const each of [PATHS.chunks(folder), PATHS.parts(folder)]) rmSync(each, { recursive: true, force: true });
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

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.part`, text);
  renameSync(`${path}.part`, path);
}

function stateOf(folder: string): StateFile {
  const path = join(folder, STATE);
  if (!existsSync(path)) return { state: 'planned', pid: null, errors: [] };
  return JSON.parse(readFileSync(path, 'utf8')) as StateFile;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Of whoever was killed; nobody else is at it. */
function sweepUnfinished(folder: string): void {
  for (const each of [PATHS.columns(folder), PATHS.parts(folder)])
    for (const name of existsSync(each) ? readdirSync(each) : [])
      if (name.endsWith('.part')) rmSync(join(each, name), { force: true });
  for (const name of readdirSync(folder))
    if (/^job-\d+\.\d+\.rows/.test(name)) rmSync(join(folder, name), { force: true });
}
