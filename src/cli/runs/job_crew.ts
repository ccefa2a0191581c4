import { existsSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { type CompiledKernels, compiledKernels } from '../../kernel/instance.ts';
import { readingOf } from '../../replay/inputs.ts';
import { inFolder, isDone, type Manifest } from '../../replay/manifest.ts';
import { sweepBytes } from '../../replay/sweep.ts';
import { errorOf } from '../../shard/failure.ts';
import { jobText } from './job.ts';
import type { FromJobWorker, ToJobWorker } from './job_worker.ts';
import { isTaken } from './together.ts';

/** A job that fails for no reason of its own, a disk or a thread, is tried so often; one with a fault of its input once. */
const ATTEMPTS_MAX = 3;

/** A thread that does not end by then is left to the process. */
const END_MAX_MS = 5_000;

/** How often somebody is looked for who wants the replay to stop. */
const CANCEL_EVERY_MS = 250;

export interface CrewParts {
  folder: string;
  manifest: Manifest;
  engine: string;
  workers: number;
  /** For what jobs hold, of all workers together. */
  memoryBytes: number;
  /** Whoever makes it wants the replay to stop. */
  cancelPath: string;
  /** Stops it too: a signal. */
  stopped: Promise<void>;
  /** Told of each job that is done, those that were done before too. */
  onDone: (number: number) => void;
}

export interface CrewOutcome {
  failed: { number: number; error: Error }[];
  /** Jobs that need what failed ones were to make. */
  skipped: number[];
  isCancelled: boolean;
}

/** Does all jobs of a replay in threads, each as soon as what it needs is there. A failed one fails only what needs it. */
export async function doJobs(parts: CrewParts): Promise<CrewOutcome> {
  return new JobCrew(parts, await compiledKernels()).run();
}

class JobCrew {
  readonly #parts: CrewParts;
  readonly #kernels: CompiledKernels;
  readonly #waiting: Set<number>;
  readonly #done = new Set<number>();
  readonly #failed = new Map<number, Error>();
  readonly #attempts = new Map<number, number>();
  readonly #workers = new Set<Worker>();
  readonly #end = Promise.withResolvers<boolean>();
  #running = 0;
  /** Workers that have nothing to do. */
  #idle: Worker[] = [];

  constructor(parts: CrewParts, kernels: CompiledKernels) {
    this.#parts = parts;
    this.#kernels = kernels;
    // The longest first, so that nobody waits for one that was begun last: the more columns, the longer.
    const jobs = parts.manifest.jobs.toSorted((a, b) => b.columns.length - a.columns.length);
    this.#waiting = new Set(jobs.map(({ number }) => number));
  }

  async run(): Promise<CrewOutcome> {
    const { manifest, folder, cancelPath, stopped } = this.#parts;
    for (const job of manifest.jobs) if (isDone(manifest, job, inFolder(folder))) this.#finish(job.number);
    const timer = setInterval(() => {
      if (existsSync(cancelPath)) this.#end.resolve(true);
    }, CANCEL_EVERY_MS);
    void stopped.then(() => this.#end.resolve(true));
    this.#fill();
    const isCancelled = await this.#end.promise;
    clearInterval(timer);
    await Promise.all([...this.#workers].map(ended));
    const failed = [...this.#failed].map(([number, error]) => ({ number, error }));
    return { failed, skipped: isCancelled ? [] : [...this.#waiting], isCancelled };
  }

  /** Gives out what can be done now; ends where nothing can. */
  #fill(): void {
    const { manifest, workers, memoryBytes } = this.#parts;
    const ready = [...this.#waiting].filter(number =>
      manifest.jobs[number]!.after.every(before => this.#done.has(before)),
    );
    for (const hand of handsOf(manifest, ready, workers - this.#running, memoryBytes / workers)) {
      for (const number of hand) this.#waiting.delete(number);
      this.#start(hand);
    }
    if (this.#running === 0) this.#end.resolve(false);
  }

  #start(numbers: number[]): void {
    const { folder, engine, memoryBytes, workers } = this.#parts;
    this.#running++;
    const worker = this.#idle.pop() ?? this.#open();
    const left = new Set(numbers);
    const end = (number: number, error: Error | null) => {
      left.delete(number);
      if (error) this.#fail(number, error);
      else this.#finish(number);
    };
    const settle = (isAlive: boolean) => {
      worker.onmessage = worker.onerror = null;
      this.#running--;
      if (isAlive) this.#idle.push(worker);
      else this.#workers.delete(worker);
      this.#fill();
    };
    worker.onmessage = ({ data }: MessageEvent<FromJobWorker>) => {
      if (data) end(data.number, data.failure && errorOf(data.failure));
      else settle(true);
    };
    worker.onerror = ({ message }) => {
      for (const number of left) end(number, new Error(`its thread ended: ${message}`));
      settle(false);
    };
    const how = { engine, memoryBytes: memoryBytes / workers, kernels: this.#kernels };
    worker.postMessage({ folder, numbers, ...how } satisfies ToJobWorker);
  }

  #open(): Worker {
    const worker = new Worker(new URL('./job_worker.ts', import.meta.url));
    this.#workers.add(worker);
    return worker;
  }

  #finish(number: number): void {
    this.#waiting.delete(number);
    this.#done.add(number);
    this.#parts.onDone(number);
  }

  #fail(number: number, error: Error): void {
    const { manifest } = this.#parts;
    const attempts = (this.#attempts.get(number) ?? 0) + 1;
    this.#attempts.set(number, attempts);
    if (!(error instanceof Fault) && attempts < ATTEMPTS_MAX) this.#waiting.add(number);
    else if (error instanceof Fault) this.#failed.set(number, error);
    else this.#failed.set(number, new Error(`${jobText(manifest, manifest.jobs[number]!)}: ${error.message}`));
  }
}

/**
 * Deals jobs that can be done to so many threads: each its own, and those that are left to who reads their events in any case, where
 * there is room, and least to do.
 */
export function handsOf(manifest: Manifest, ready: number[], countMax: number, memoryBytes: number): number[][] {
  const hands: { reading: string | null; numbers: number[]; weight: number; bytes: number }[] = [];
  for (const number of ready) {
    const job = manifest.jobs[number]!;
    const reading = isTaken(job) ? readingOf(manifest, job) : null;
    const bytes = job.isSwept ? sweepBytes(job.columns.length, manifest.rows[job.event]!) : 0;
    const weight = job.columns.length;
    if (hands.length < countMax) {
      hands.push({ reading, numbers: [number], weight, bytes });
      continue;
    }
    const [hand] = hands
      .filter(one => reading !== null && one.reading === reading && one.bytes + bytes <= memoryBytes)
      .sort((a, b) => a.weight - b.weight);
    if (!hand) continue;
    hand.numbers.push(number);
    hand.weight += weight;
    hand.bytes += bytes;
  }
  return hands.map(({ numbers }) => numbers);
}

/** So that it writes nothing more. */
function ended(worker: Worker): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, END_MAX_MS);
    worker.addEventListener('close', () => {
      clearTimeout(timer);
      resolve();
    });
    worker.terminate();
  });
}
