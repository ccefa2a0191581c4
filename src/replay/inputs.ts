import type { Timeline } from '../base/timeline.ts';
import { chunkPath } from '../source/timeline_chunk.ts';
import type { Clock } from '../source/source.ts';
import { type Has, type Manifest, type ManifestJob, outputsOf, PATHS } from './manifest.ts';
import { NO_CLOCK, readOf, rowsOf } from './stream.ts';

/** The events that a job reads. */
export interface JobEvents {
  timelines: Timeline[];
  clock: Clock;
  keepsArrivals: boolean;
  /** The row of its event type that they begin with. */
  first: number;
}

export function eventsOfJob({ timelines, clock, keepsArrivals }: Manifest, job: ManifestJob): JobEvents {
  const read = readOf(timelines, job.reads);
  if (job.kind !== 'map') return { timelines: read, clock, keepsArrivals, first: 0 };
  const alone = { clock: NO_CLOCK, keepsArrivals: false };
  if (!job.range) return { timelines: read, ...alone, first: 0 };
  const { timeline, first } = rowsOf(read[0]!, job.range.from, job.range.to);
  return { timelines: [timeline], ...alone, first };
}

/** Jobs for which it is the same text read the same events, in the same way; null of one that reads none. */
export function readingOf(manifest: Manifest, job: ManifestJob): string | null {
  if (job.kind === 'join') return null;
  const { timelines, clock, keepsArrivals } = eventsOfJob(manifest, job);
  const read = timelines.map(({ name, version, types }) => [name, version, types.map(({ type }) => type)]);
  return JSON.stringify([read, clock, keepsArrivals, job.range]);
}

/** Names of the columns, or parts of them, that a job reads: what earlier jobs make, or the cache had. */
export function columnInputs(manifest: Manifest, job: ManifestJob): string[] {
  if (job.kind !== 'join') return job.needs.map(id => PATHS.column('', manifest.files[id]!));
  return job.columns.flatMap(id =>
    Array.from({ length: job.parts }, (_, index) => PATHS.part('', manifest.files[id]!, index, job.parts)),
  );
}

/** Names of the chunks of events that it reads. */
export function chunkInputs(manifest: Manifest, job: ManifestJob): string[] {
  if (job.kind === 'join') return [];
  return chunksOf(eventsOfJob(manifest, job).timelines).map(hash => chunkPath(PATHS.chunks(''), hash));
}

export function chunksOf(timelines: Timeline[]): string[] {
  return [...new Set(timelines.flatMap(({ types }) => types.flatMap(type => type.chunks.map(({ hash }) => hash))))];
}

/** The earlier job that is still to make something that this one reads; null where all of it is there. */
export function waitsFor(manifest: Manifest, job: ManifestJob, has: Has): ManifestJob | null {
  const missing = columnInputs(manifest, job).filter(name => !has(name));
  if (missing.length === 0) return null;
  const makes = (one: ManifestJob) => outputsOf(manifest, one, '').some(({ path }) => missing.includes(path));
  // Parts of what is joined are no more.
  const isLeft = (one: ManifestJob) => one.columns.some(id => !has(PATHS.column('', manifest.files[id]!)));
  return job.after.map(number => manifest.jobs[number]!).find(one => makes(one) && isLeft(one)) ?? null;
}
