import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import packageJson from '../../../package.json' with { type: 'json' };
import { Fault } from '../../base/fault.ts';
import { didYouMean } from '../../base/name.ts';
import { wallMicros } from '../../base/time.ts';
import type { Timeline } from '../../base/timeline.ts';
import type { ReplaysPage, UnreadableRun } from '../../http/replay_service.ts';
import { kernelsDigest } from '../../kernel/instance.ts';
import { planJson } from '../../plan/json.ts';
import type { Plan } from '../../plan/plan.ts';
import { ByTime } from '../../replay/by_time.ts';
import { ColumnCache, linkOrCopy, whyComputed } from '../../replay/cache.ts';
import {
  inFolder,
  isDone,
  type Manifest,
  type ManifestJob,
  manifestJson,
  PATHS,
  planReplay,
  readManifest,
} from '../../replay/manifest.ts';
import { chunksOf } from '../../replay/inputs.ts';
import { sortedTimeline } from '../../replay/sorted.ts';
import {
  isHeld,
  noteState,
  readState,
  type RunStatus,
  removeDamaged,
  stateIn,
  statusAt,
  statusOf,
  sweepAll,
  type Work,
} from '../../replay/state.ts';
import { type Order, streamed } from '../../replay/stream.ts';
import { isRunning, ownProcess, placeText } from '../../replay/unfinished.ts';
import type { Stretch } from '../../replay/within.ts';
import type { Bucket } from '../../source/bucket.ts';
import { localDisk } from '../../source/disk.ts';
import { chunkPath } from '../../source/timeline_chunk.ts';
import type { Config } from '../config.ts';
import { bringHome, doJobIn, handOver, type Place, standing } from './handed.ts';
import { doJob } from './job.ts';
import { type CrewOutcome, doJobs } from './job_crew.ts';
import { isS3 } from '../s3_place.ts';

/** Which features of which events are wanted. */
export interface RunRequest {
  plan: Plan;
  /** For people: where the definitions are from. */
  definitions: string;
  timelines: Timeline[];
  order: Order;
  /** Null for all. */
  patterns: string[] | null;
  stretch: Stretch;
  workers: number;
}

/** Hears how many jobs are done, and of which stage the last one was. */
type Tell = (done: number, total: number, stage: number) => void;

/** How a replay is worked on. */
export interface RunHow {
  workers: number;
  /** For what jobs hold, of all workers together. */
  memoryBytes: number;
  /** Stops it. */
  stopped: Promise<void>;
  /** What it is then: `interrupted` where nobody wanted the replay itself to stop. */
  stoppedAs?: 'cancelled' | 'interrupted';
  /** Hears what was found damaged. */
  note?: (text: string) => void;
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
const WORK = 'work';
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
   * @param to null for one among the data
   * @throws Fault `conflict` where there is one already
   */
  async plan(request: RunRequest, to: Place | null): Promise<PlannedRun> {
    this.#sweepUnplanned();
    const id = newId();
    const folder = typeof to === 'string' ? resolve(to) : join(this.config.replays.dir, RUNS, id);
    if (existsSync(PATHS.manifest(folder))) throw new Fault('conflict', `${folder} has a replay already`);
    mkdirSync(folder, { recursive: true });
    noteState(folder, { state: 'planned', by: ownProcess() });
    try {
      const planned = await this.#planIn(folder, request, id);
      if (to === null || typeof to === 'string') return this.#settleIn(folder, request, planned);
      await handOver(to, { manifest: planned.manifest, plan: planJson(request.plan), folder });
      rmSync(folder, { recursive: true });
      return { ...planned, folder: to.name };
    } catch (error) {
      // A folder that somebody has named may hold what is his.
      if (typeof to !== 'string') rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** With columns of the cache, and events. */
  async #planIn(place: string, request: RunRequest, id: string): Promise<PlannedRun> {
    for (const each of FOLDERS) mkdirSync(each(place), { recursive: true });
    const damaged: string[] = [];
    const has = (file: string, column: string) => {
      const outcome = this.cache.take(file, PATHS.column(place, file));
      if (outcome === 'damaged') damaged.push(column);
      return outcome === 'taken';
    };
    const manifest = planReplay({ ...this.#requestOf(request, id), has });
    if (manifest.jobs.length > 0) manifest.timelines = await this.#bringChunks(manifest, request, place);
    return { manifest, folder: place, damaged: damaged.map(column => manifest.about[column]!.name) };
  }

  #settleIn(folder: string, { plan }: RunRequest, planned: PlannedRun): PlannedRun {
    placeText(PATHS.plan(folder), planJson(plan));
    // With it the folder is a replay's.
    placeText(PATHS.manifest(folder), manifestJson(planned.manifest));
    noteState(folder, { by: null });
    return planned;
  }

  /** For folders of jobs whose replay lies in a bucket. */
  get #work(): string {
    return join(this.config.replays.dir, WORK);
  }

  /** Folders of replays whose planning was cut off. */
  #sweepUnplanned(): void {
    const folder = join(this.config.replays.dir, RUNS);
    for (const id of existsSync(folder) ? readdirSync(folder) : []) {
      const place = join(folder, id);
      if (existsSync(PATHS.manifest(place)) || stateIn(place) === null) continue;
      const { by } = readState(place);
      if (by && !isRunning(by)) rmSync(place, { recursive: true, force: true });
    }
  }

  /** Of each feature that is asked for whether it would be computed, how, and why. */
  explain(request: RunRequest): Explained[] {
    const { shown, reused, about, jobs } = planReplay({
      ...this.#requestOf(request, 'explain'),
      has: file => this.cache.has(file),
    });
    const known = this.cache.about();
    return shown.map(({ name, event, id }) => {
      const isReused = reused.includes(id);
      const how = howMade(jobs.find(({ kind, columns }) => kind !== 'join' && columns.includes(id)));
      return { name, event, isReused, how, why: isReused ? 'it is in the cache' : whyComputed(about[id]!, known) };
    });
  }

  #requestOf({ plan, definitions, timelines, order, patterns, stretch, workers }: RunRequest, id: string) {
    return {
      ...{ id, plan, definitions, patterns, stretch, order, streamed: streamed(timelines, order), engine: this.engine },
      ...{ createdAtMicros: wallMicros(), parts: workers > 1 ? workers : 1 },
    };
  }

  /** Events that jobs read, as files of the replay's own: whatever becomes of the timelines. What is not in the order yet is put into it. */
  async #bringChunks({ jobs }: Manifest, { timelines, order }: RunRequest, folder: string): Promise<Timeline[]> {
    const types = new Set(jobs.flatMap(({ reads }) => reads));
    const chunks = join(this.config.timelines.dir, 'chunks');
    const brought: Timeline[] = [];
    for (const timeline of timelines) {
      if (order === 'time' && timeline.order === 'log') {
        const byTime = new ByTime(localDisk, folder, 'sorting');
        brought.push(await sortedTimeline(timeline, types, { chunks, to: PATHS.chunks(folder), byTime }));
        continue;
      }
      for (const hash of chunksOf([timeline]))
        linkOrCopy(chunkPath(chunks, hash), chunkPath(PATHS.chunks(folder), hash));
      brought.push(timeline);
    }
    return brought;
  }

  /** Says that this process will work on it, when it comes to it. @throws Fault `busy` where somebody has it in hand, `unsupported` */
  hold(folder: string): void {
    const { manifest } = readManifest(folder, this.engine);
    const { state } = statusOf(folder, manifest);
    if (isHeld(state)) throw new Fault('busy', `replay ${manifest.id} is being worked on`);
    rmSync(join(folder, CANCEL), { force: true });
    noteState(folder, { state: 'waiting', by: ownProcess(), failed: [] });
  }

  /**
   * Does the jobs of a replay that are not done, in threads of this process, and gives their columns to the cache.
   *
   * @throws Fault where jobs failed, naming them; `conflict` where it was cancelled
   */
  async run(folder: string, how: RunHow, tell: Tell): Promise<Manifest> {
    this.hold(folder);
    return this.runHeld(folder, how, tell);
  }

  /** The same of what this process has in hand already; it has not any more then. */
  async runHeld(folder: string, how: RunHow, tell: Tell = () => {}): Promise<Manifest> {
    try {
      return await this.#compute(folder, how, tell);
    } finally {
      // Something that is nobody's fault has come between.
      if (readState(folder).state === 'running') this.release(folder);
    }
  }

  /** Of what this process has in hand, and will not work on any more. */
  release(folder: string): void {
    noteState(folder, { state: 'interrupted', by: null });
  }

  async #compute(
    folder: string,
    { workers, memoryBytes, stopped, stoppedAs = 'cancelled', note = () => {} }: RunHow,
    tell: Tell,
  ): Promise<Manifest> {
    const { manifest } = readManifest(folder, this.engine);
    noteState(folder, { state: 'running', by: ownProcess(), failed: [] });
    sweepAll(folder);
    for (const damage of removeDamaged(manifest, folder)) note(`${damage}; it is computed again`);
    const work = { startedMs: Date.now(), endedMs: null, doneBefore: statusOf(folder, manifest).jobs.done };
    noteState(folder, { work });
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
    return this.#settle(folder, manifest, outcome, { ...work, endedMs: Date.now() }, stoppedAs);
  }

  #settle(
    folder: string,
    manifest: Manifest,
    { failed, skipped, isCancelled }: CrewOutcome,
    work: Work,
    stoppedAs: 'cancelled' | 'interrupted',
  ): Manifest {
    sweepAll(folder);
    if (isCancelled) {
      noteState(folder, { state: existsSync(join(folder, CANCEL)) ? 'cancelled' : stoppedAs, by: null, work });
      const { jobs } = statusOf(folder, manifest);
      const how = `\`tilefold replay resume ${this.#calledBy(folder, manifest.id)}\` goes on with it`;
      throw new Fault(
        'conflict',
        `replay ${manifest.id} was stopped with ${jobs.done} of ${jobs.total} jobs completed; ${how}`,
      );
    }
    const [first] = failed;
    if (!first) {
      this.#end(folder, work);
      return manifest;
    }
    const reasons = failed.map(({ number, error }) => ({ job: number, reason: error.message }));
    noteState(folder, { state: 'failed', by: null, failed: reasons, work });
    const code = first.error instanceof Fault ? first.error.code : 'corrupt';
    const others = skipped.length === 0 ? '' : `; ${skipped.length} more need what was to be made there`;
    throw new Fault(code, `${reasons.map(({ reason }) => reason).join('; ')}${others}`);
  }

  /** One job, whoever does the others. @returns whether it was to be done */
  async job(place: Place, number: number, memoryBytes: number): Promise<boolean> {
    const how = { engine: this.engine, memoryBytes };
    const { isNew } = await (typeof place === 'string'
      ? doJob(resolve(place), number, how)
      : doJobIn(place, number, { ...how, work: this.#work }));
    return isNew;
  }

  /**
   * Ends a replay whose jobs were done by others: its columns are checked to be there, and are kept. One in a bucket is
   * among the data then.
   *
   * @throws Fault `conflict` where jobs are not done
   */
  async finish(place: Place): Promise<{ manifest: Manifest; folder: string }> {
    if (typeof place !== 'string') return this.#finishFrom(place);
    const folder = resolve(place);
    const { manifest } = readManifest(folder, this.engine);
    const damages = removeDamaged(manifest, folder);
    const has = inFolder(folder);
    const missing = manifest.jobs.filter(job => !isDone(manifest, job, has)).map(({ number }) => number);
    if (missing.length > 0) throw notDone(missing, damages);
    this.#keepAll(manifest, folder);
    this.#end(folder, readState(folder).work);
    return { manifest, folder };
  }

  async #finishFrom(bucket: Bucket): Promise<{ manifest: Manifest; folder: string }> {
    this.#sweepUnplanned();
    const { manifest, missing } = await standing(bucket, { engine: this.engine, work: this.#work });
    if (missing.length > 0) throw notDone(missing, []);
    const folder = join(this.config.replays.dir, RUNS, manifest.id);
    if (existsSync(PATHS.manifest(folder))) return { manifest, folder };
    mkdirSync(folder, { recursive: true });
    noteState(folder, { state: 'planned', by: ownProcess() });
    await bringHome(bucket, manifest, folder);
    this.#keepAll(manifest, folder);
    this.#end(folder, null);
    placeText(PATHS.manifest(folder), manifestJson(manifest));
    return { manifest, folder };
  }

  #keepAll(manifest: Manifest, folder: string): void {
    for (const job of manifest.jobs) if (!job.part && !job.range) this.#keep(manifest, folder, job.columns);
    this.cache.trim();
  }

  /** The oldest first. */
  list(): Omit<ReplaysPage, 'next'> {
    return this.#shown(this.#ids());
  }

  /** The newest first: of each a manifest is read. */
  page({ after, limit }: { after: string | null; limit: number }): ReplaysPage {
    const rest = this.#ids()
      .reverse()
      .filter(id => after === null || id < after);
    const ids = rest.slice(0, limit);
    return { ...this.#shown(ids), next: rest.length > limit ? ids.at(-1)! : null };
  }

  /** One that cannot be read is no reason to hide the others. */
  #shown(ids: string[]): Omit<ReplaysPage, 'next'> {
    const replays: RunStatus[] = [];
    const unreadable: UnreadableRun[] = [];
    for (const id of ids) {
      try {
        replays.push(this.show(id));
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        // Somebody may have deleted it meanwhile.
        if (this.#isOwn(id)) unreadable.push({ id, folder: this.#ownFolder(id), reason: error.message });
      }
    }
    return { replays, unreadable };
  }

  /** @param id of a replay among the data, or the folder of one. @throws Fault `not_found` */
  show(id: string): RunStatus {
    return this.follow(id)();
  }

  /** What is to be asked again and again, while somebody works on it. @throws Fault `not_found` */
  follow(id: string): () => RunStatus {
    const folder = this.folderOf(id);
    const { manifest } = readManifest(folder, null);
    const known = new Set<number>();
    return () => statusOf(folder, manifest, known);
  }

  /** How far others are with a replay that lies in a bucket. */
  async showIn(bucket: Bucket): Promise<RunStatus> {
    const { manifest, missing } = await standing(bucket, { engine: null, work: this.#work });
    const done = new Set(manifest.jobs.map(({ number }) => number).filter(number => !missing.includes(number)));
    const file = { by: null, failed: [], work: null };
    return statusAt(bucket.name, manifest, { ...file, state: missing.length === 0 ? 'done' : 'planned' }, done);
  }

  /** What `folderOf` knows it by: one that is kept elsewhere has no other name than its folder. */
  #calledBy(folder: string, id: string): string {
    return resolve(folder) === resolve(this.#ownFolder(id)) ? id : folder;
  }

  folderOf(id: string): string {
    if (this.#isOwn(id)) return this.#ownFolder(id);
    if (isS3(id)) throw new Fault('request', `${id} lies in a bucket: \`tilefold replay finish\` brings it here`);
    if (existsSync(PATHS.manifest(resolve(id)))) return resolve(id);
    throw this.#unknown(id);
  }

  /** For who may not name folders: only replays among the data. @throws Fault `not_found` */
  checkOwn(id: string): void {
    if (!this.#isOwn(id)) throw this.#unknown(id);
  }

  #isOwn(id: string): boolean {
    return ID.test(id) && existsSync(PATHS.manifest(this.#ownFolder(id)));
  }

  #ownFolder(id: string): string {
    return join(this.config.replays.dir, RUNS, id);
  }

  #ids(): string[] {
    const folder = join(this.config.replays.dir, RUNS);
    const ids = existsSync(folder) ? readdirSync(folder).sort() : [];
    return ids.filter(id => this.#isOwn(id));
  }

  #unknown(id: string): Fault {
    const near = didYouMean(id, this.#ids()) || '; `tilefold replay list` says which there are';
    return new Fault('not_found', `there is no replay ${id}${near}`);
  }

  /** Whoever works on it stops; one that waits is not begun. @throws Fault `conflict` where nobody does */
  cancel(id: string): void {
    const { folder, state } = this.show(id);
    if (!isHeld(state)) throw new Fault('conflict', `replay ${id} is ${state}: there is nothing to stop`);
    writeFileSync(join(folder, CANCEL), '');
    if (state === 'waiting') noteState(folder, { state: 'cancelled', by: null });
  }

  /** One that cannot be read too. @throws Fault `conflict` while it is worked on */
  remove(id: string): void {
    const folder = this.folderOf(id);
    const state = stateIn(folder);
    if (state !== null && isHeld(state)) throw new Fault('conflict', `replay ${id} is ${state}: cancel it first`);
    rmSync(folder, { recursive: true });
  }

  /** Does it wait for this process to come to it? Somebody may have cancelled or deleted it. */
  isWaiting(folder: string): boolean {
    return existsSync(PATHS.manifest(folder)) && readState(folder).state === 'waiting';
  }

  /** @throws Fault `conflict` where there is nothing to go on with */
  checkResumable(id: string): void {
    const { state } = this.show(id);
    if (state === 'done' || isHeld(state))
      throw new Fault('conflict', `replay ${id} is ${state}: there is nothing to go on with`);
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

  /** What only jobs need goes first: killed between the two, the replay has no more to do than this. */
  #end(folder: string, work: Work | null): void {
    for (const each of [PATHS.chunks, PATHS.parts]) rmSync(each(folder), { recursive: true, force: true });
    sweepAll(folder);
    noteState(folder, { state: 'done', by: null, failed: [], work });
  }
}

/** What would become of a feature. */
export interface Explained {
  name: string;
  event: string;
  isReused: boolean;
  /** Key by key, event by event, or of each event alone; null where it is reused. */
  how: 'keys' | 'events' | 'alone' | null;
  why: string;
}

function howMade(job: ManifestJob | undefined): Explained['how'] {
  if (!job) return null;
  if (job.kind !== 'fold') return 'alone';
  return job.isSwept ? 'keys' : 'events';
}

/** Enough to tell kernels apart. */
const ENGINE_DIGITS = 16;
const ID = /^[\w-]+$/;

/** Of a column that planning has found damaged. */
export function damagedText(name: string): string {
  return `${name}: what the cache had of it is damaged; it is computed again`;
}

/** Threads of a replay where nobody says how many. */
export function coresOf(): number {
  return availableParallelism();
}

function newId(): string {
  const at = new Date().toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  return `${at}-${Buffer.from(crypto.getRandomValues(new Uint8Array(2))).toString('hex')}`;
}

function notDone(jobs: number[], damages: string[]): Fault {
  return new Fault('conflict', [`jobs are not done: ${jobs.join(', ')}`, ...damages].join('; '));
}
