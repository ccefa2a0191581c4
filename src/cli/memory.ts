/**
 * One bound for all that a process takes, and how it divides itself:
 *
 *   runtime      JavaScript's heap, the kernels' code and buffers, SQLite's pages, segments and bodies under way
 *   each worker  a runtime of its own beside that
 *   rows         a third of what is left: they pass their bound by half while a barrier is written, the copy of what
 *                it writes takes up to half as much, and memory that kernels have given back to themselves is not the system's
 *
 * Gathered events, what lookups have read and what waits between threads are shares of rows already (ingest/advance.ts,
 * ingest/engine.ts): whoever brings more waits until there is room.
 *
 * A replay in jobs has no bodies, no lookups and no database of its own:
 *
 *   runtime      of the first thread, which gives out jobs
 *   each worker  a runtime, and the buffers of what is read and written
 *   jobs         all of the rest: what is gathered for windows to run over, and what JavaScript has let go of (runs/job.ts)
 */
import { InvalidArgumentError } from 'commander';

const MIB = 1024 ** 2;

/** Measured: `tilefold ingest` takes 355 MiB while it folds at full speed with 8 MiB for rows. */
const RUNTIME_BYTES = 384 * MIB;
const WORKER_BYTES = 96 * MIB;

/** Of what is left: see above. */
const ROWS_SHARE = 1 / 3;

/** Fewer bytes for rows would be read back by nearly every event. */
const ROWS_MIN_BYTES = MIB;
/** The kernels' memory is 32-bit. */
const ROWS_MAX_BYTES = 4 * 1024 ** 3;

export const MEMORY_MIN_BYTES = 448 * MIB;

/** For commands that fold: the setting of the configuration, said there. */
export const MEMORY = [
  '--memory <size>',
  'what the process may take in all, 448MiB or more, instead of the configured bound',
] as const;

/** What rows may occupy where the process may take so many bytes. */
export function rowsWithin(processBytes: number, workers: number): number {
  const left = processBytes - RUNTIME_BYTES - workers * WORKER_BYTES;
  return Math.floor(Math.min(Math.max(left * ROWS_SHARE, ROWS_MIN_BYTES), ROWS_MAX_BYTES));
}

/** With so many workers a process takes at least that. */
export function memoryMin(workers: number): number {
  return MEMORY_MIN_BYTES + workers * WORKER_BYTES;
}

/** Measured: with two workers a replay of the benchmark takes 250 MiB beside what its jobs are given. */
const JOBS_RUNTIME_BYTES = 160 * MIB;
const JOB_WORKER_BYTES = 128 * MIB;
/** With less a job would go to its disk for every few thousand events. */
const JOB_MIN_BYTES = 32 * MIB;

/**
 * What jobs of a replay may have, all at once, where the process may take so many bytes.
 *
 * @param workers beside the first thread; with 0 that one does the jobs
 */
export function jobsWithin(processBytes: number, workers: number): number {
  return processBytes - JOBS_RUNTIME_BYTES - workers * JOB_WORKER_BYTES;
}

/** The least that a process may be given that replays in jobs, with so many workers. */
export function jobsMin(workers: number): number {
  return JOBS_RUNTIME_BYTES + workers * JOB_WORKER_BYTES + Math.max(workers, 1) * JOB_MIN_BYTES;
}

/** The same where only that is said which rows may occupy. */
export function jobsOf(rowsBytes: number): number {
  return rowsBytes / ROWS_SHARE;
}

/** What rows may occupy in a job that takes event by event: they have barriers there, too. */
export function rowsOfJob(jobBytes: number): number {
  return Math.floor(jobBytes * ROWS_SHARE);
}

/** @param parse reads a size; null where it is none */
export function memoryArgument(
  parse: (text: string) => number | null,
  leastBytes = MEMORY_MIN_BYTES,
): (text: string) => number {
  return text => {
    const bytes = parse(text);
    if (bytes === null || bytes < leastBytes)
      throw new InvalidArgumentError(`wanted a size of ${leastBytes / MIB}MiB or more, such as 1GiB`);
    return bytes;
  };
}
