import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { boundGarbage, collectGarbage } from '../../base/garbage.ts';
import { ColumnReader, ColumnWriter } from '../../replay/column_file.ts';
import { waitsFor } from '../../replay/inputs.ts';
import { runJob } from '../../replay/job.ts';
import { joinParts } from '../../replay/join.ts';
import { inFolder, isDone, type Manifest, type ManifestJob, PATHS, readManifest } from '../../replay/manifest.ts';
import { PlaceTaker } from '../../replay/places.ts';
import { Columns } from '../../replay/stages.ts';
import { rowsPathOf } from '../../replay/unfinished.ts';
import { localDisk } from '../../source/disk.ts';
import { layJob, named, placeWriters, type Work } from './laid_job.ts';
import { rowsOfJob } from '../memory.ts';
import { isTaken, takeTogether } from './together.ts';

export interface JobSettings {
  engine: string;
  /** Beside the thread's runtime. */
  memoryBytes: number;
}

/** Of what jobs may have, so much may be garbage: the less it is, the more often it is collected. */
const GARBAGE_SHARE = 1 / 6;
/** Less would be collected all the time; a thread has room for it beside its jobs. */
const GARBAGE_MIN_BYTES = 16 << 20;

/**
 * Does one job of a replay's folder, if it is not done already: what it leaves is there whole or not at all, so whoever does
 * it again, or beside another, does no harm.
 *
 * @throws Fault naming the columns that were to be made
 */
export async function doJob(folder: string, number: number, settings: JobSettings): Promise<{ isNew: boolean }> {
  const work = workIn(folder, settings)(number);
  const { manifest, job } = work;
  if (isDone(manifest, job, inFolder(folder))) return { isNew: false };
  makeFolders(folder);
  try {
    await make(work, withinGarbage(settings));
  } catch (error) {
    const fault = faultOf(work, error as Error);
    if (fault === null) return { isNew: false };
    throw fault;
  }
  await settle(work);
  return { isNew: true };
}

/**
 * Does jobs that read the same events, one way or another, with one reading where that can be. Each is as if it were done alone.
 *
 * @param tell of each job, once it is done (null) or has failed
 */
export async function doJobs(
  folder: string,
  numbers: number[],
  settings: JobSettings,
  tell: (number: number, error: Error | null) => void,
): Promise<void> {
  const left = new Set(numbers);
  const end = (number: number, error: Error | null) => {
    left.delete(number);
    tell(number, error);
  };
  if (numbers.length > 1) await doTogether(folder, numbers, settings, end);
  for (const number of left)
    await doJob(folder, number, settings).then(
      () => end(number, null),
      (error: unknown) => end(number, error as Error),
    );
}

async function doTogether(
  folder: string,
  numbers: number[],
  settings: JobSettings,
  end: (number: number, error: Error | null) => void,
): Promise<void> {
  const has = inFolder(folder);
  const works = numbers
    .map(workIn(folder, settings))
    .filter(({ manifest, job }) => isTaken(job) && !isDone(manifest, job, has) && !waitsFor(manifest, job, has));
  if (works.length === 0) return;
  makeFolders(folder);
  const outcomes = await takeTogether(works, withinGarbage(settings));
  for (const [i, work] of works.entries()) {
    const outcome = outcomes[i]!;
    if (outcome === 'left') continue;
    if (outcome === 'made') await settle(work);
    end(work.job.number, outcome === 'made' ? null : faultOf(work, outcome));
  }
}

/** @returns what is left for jobs */
function withinGarbage({ memoryBytes }: JobSettings): number {
  boundGarbage(Math.max(GARBAGE_MIN_BYTES, memoryBytes * GARBAGE_SHARE));
  return memoryBytes * (1 - GARBAGE_SHARE);
}

/** @returns the job of a number. @throws Fault `not_found` */
function workIn(folder: string, { engine }: JobSettings): (number: number) => Work {
  const { manifest, plan } = readManifest(folder, engine);
  const columns = new Columns(plan);
  return number => {
    const job = manifest.jobs[number];
    if (!job) throw new Fault('not_found', `${folder} has no job ${number}: they are 0 to ${manifest.jobs.length - 1}`);
    return { folder, manifest, job, columns };
  };
}

/** Not where all is done: then a folder of parts is no longer there. */
function makeFolders(folder: string): void {
  mkdirSync(PATHS.columns(folder), { recursive: true });
  mkdirSync(PATHS.parts(folder), { recursive: true });
}

/** Durable then. */
async function settle({ folder, job }: Work): Promise<void> {
  await localDisk.syncFolder(job.part || job.range ? PATHS.parts(folder) : PATHS.columns(folder));
}

/** Null where another one has done it meanwhile, and has tidied up after himself: the parts that he has joined, say. */
function faultOf({ folder, manifest, job }: Work, error: Error): Error | null {
  if (isDone(manifest, job, inFolder(folder))) return null;
  if (!(error instanceof Fault)) return error;
  return new Fault(error.code, `${jobText(manifest, job)}: ${error.message}`, error.at);
}

async function make(work: Work, memoryBytes: number): Promise<void> {
  const { folder, manifest, job } = work;
  const before = waitsFor(manifest, job, inFolder(folder));
  if (before) throw new Fault('conflict', `job ${job.number} needs what job ${before.number} makes, which is not done`);
  if (job.kind === 'join') return joinColumns(work);
  if (isTaken(job)) {
    const [outcome] = await takeTogether([work], memoryBytes);
    if (outcome === 'made') return;
    if (outcome instanceof Error) throw outcome;
    // The kernel that was given up.
    collectGarbage();
  }
  await makeOneByOne(work, memoryBytes);
}

function joinColumns(work: Work): void {
  const { folder, manifest, job } = work;
  for (const id of job.columns) {
    // Whoever was killed here may have joined some of them, and somebody else may be at it too: parts go with it.
    const isJoined = () => existsSync(PATHS.column(folder, manifest.files[id]!));
    if (isJoined()) continue;
    try {
      joinColumn(work, id);
    } catch (error) {
      if (!isJoined()) throw error;
    }
  }
}

function joinColumn({ folder, manifest, job, columns }: Work, id: string): void {
  const file = manifest.files[id]!;
  const paths = Array.from({ length: job.parts }, (_, index) => PATHS.part(folder, file, index, job.parts));
  const parts: ColumnReader[] = [];
  try {
    for (const path of paths) parts.push(new ColumnReader(path));
    const writer = new ColumnWriter(PATHS.column(folder, file), columns.node(id).type, manifest.rows[job.event]!);
    try {
      joinParts(parts, writer);
      writer.finish();
    } finally {
      writer.abandon();
    }
  } finally {
    for (const part of parts) part.close();
  }
  for (const path of paths) rmSync(path, { force: true });
}

/** Event by event. */
async function makeOneByOne(work: Work, memoryBytes: number): Promise<void> {
  // With it comes the database, which most jobs do without.
  const { spillOf } = await import('../alone/retelling.ts');
  const laid = await layJob(work);
  const { parts, source, from, to } = laid;
  const rows = { memoryBytes: rowsOfJob(memoryBytes), path: rowsPathOf(work.folder, work.job.number) };
  const { spill, close } = spillOf(parts.layout, rows);
  try {
    if (work.job.kind === 'places') {
      const taker = new PlaceTaker({ ...parts, fold: spill.fold, writers: placeWriters(laid) });
      for await (const lines of source.read(0)) taker.take(lines);
      taker.finish();
    } else await runJob({ ...parts, source, spill, outputs: named(laid), from, to });
    laid.finish();
  } finally {
    close();
    laid.close();
  }
}

/** What a job makes, in a few words. */
export function jobText({ shown }: Manifest, { number, columns, event, kind, part, range }: ManifestJob): string {
  const names = columns.map(id => shown.find(one => one.id === id)?.name ?? id);
  const some =
    names.length > NAMES_MAX
      ? `${names.slice(0, NAMES_MAX).join(', ')} and ${names.length - NAMES_MAX} more`
      : names.join(', ');
  const piece = part ?? range;
  const which = piece ? `, part ${piece.index + 1} of ${piece.count}` : kind === 'join' ? ', joined' : '';
  return `job ${number} (${some || event}${which})`;
}

const NAMES_MAX = 4;
