/**
 * Replays that lie in a bucket, for jobs on machines that share nothing else. The objects are named as the files of a folder
 * are. A job brings what it reads into a folder of its own, is done there, and what it leaves is written as objects, each whole or not
 * at all: so whoever does it again, or beside another, does no harm.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { checkColumn } from '../../replay/column_file.ts';
import { chunkInputs, chunksOf, columnInputs, waitsFor } from '../../replay/inputs.ts';
import {
  type Has,
  isDone,
  type Manifest,
  type ManifestJob,
  manifestJson,
  outputsOf,
  PATHS,
  readManifest,
} from '../../replay/manifest.ts';
import { partOf, scratchFolder } from '../../replay/unfinished.ts';
import { type Bucket, readWhole, tryOften } from '../../source/bucket.ts';
import { isMissing, localDisk } from '../../source/disk.ts';
import { fileChunks } from '../../source/stream.ts';
import { chunkPath } from '../../source/timeline_chunk.ts';
import type { Config } from '../config.ts';
import { doJob } from './job.ts';
import { WALL_PAUSES } from '../pauses.ts';
import { isS3, s3Place } from '../s3_place.ts';

/** Objects on their way at once: a request's own time is most of what a small one takes. */
const AT_ONCE = 8;

/** Read in one request. */
const RANGE_BYTES = 4 << 20;

/** Where a replay is that others do: a folder, or a bucket whose objects' names begin alike. */
export type Place = string | Bucket;

/** @param text a folder or `s3://BUCKET/PREFIX`, or the manifest in it */
export function placeOf(text: string, { log }: Pick<Config, 'log'>): Place {
  const place = text.replace(/\/(manifest\.json)?$/, '');
  return isS3(place) ? s3Place(`${place}/`, log.s3).bucket : resolve(place);
}

const MANIFEST = PATHS.manifest('');
const PLAN = PATHS.plan('');

/**
 * Brings a replay that is planned into the bucket; the manifest comes last, and with it the prefix is a replay's.
 *
 * @param folder with the events, and with columns that nobody has to make
 * @throws Fault `conflict` where there is a replay already
 */
export async function handOver(
  bucket: Bucket,
  { manifest, plan, folder }: { manifest: Manifest; plan: string; folder: string },
): Promise<void> {
  if (await hasObject(bucket, MANIFEST)) throw new Fault('conflict', `${bucket.name} has a replay already`);
  const chunks = manifest.jobs.length === 0 ? [] : chunksOf(manifest.timelines);
  const names = [
    ...chunks.map(hash => chunkPath(PATHS.chunks(''), hash)),
    ...manifest.reused.map(id => PATHS.column('', manifest.files[id]!)),
  ];
  await inTurns(names, name => putFile(bucket, name, join(folder, name)));
  await putText(bucket, PLAN, plan);
  await putText(bucket, MANIFEST, manifestJson(manifest));
}

/**
 * One job: reads the objects that it needs and no others, and writes those that it was to make.
 *
 * @param work a folder for folders like its own, which are gone afterwards
 */
export async function doJobIn(
  bucket: Bucket,
  number: number,
  { engine, memoryBytes, work }: { engine: string; memoryBytes: number; work: string },
): Promise<{ isNew: boolean }> {
  const folder = scratchFolder(work);
  try {
    const manifest = await manifestOf(bucket, folder, engine);
    const job = manifest.jobs[number];
    if (!job)
      throw new Fault('not_found', `${bucket.name} has no job ${number}: they are 0 to ${manifest.jobs.length - 1}`);
    const has = await hasOf(bucket, manifest, [job, ...job.after.map(before => manifest.jobs[before]!)]);
    if (isDone(manifest, job, has)) return { isNew: false };
    const before = waitsFor(manifest, job, has);
    if (before) throw new Fault('conflict', `job ${number} needs what job ${before.number} makes, which is not done`);
    const inputs = [...columnInputs(manifest, job), ...chunkInputs(manifest, job)];
    await inTurns(inputs, name => getFile(bucket, name, join(folder, name)));
    await doJob(folder, number, { engine, memoryBytes });
    await inTurns(outputsOf(manifest, job, ''), ({ path }) => putFile(bucket, path, join(folder, path)));
    return { isNew: true };
  } catch (error) {
    throw inBucket(error, folder, bucket);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a replay in a bucket is, and the numbers of the jobs that are not done. */
export async function standing(
  bucket: Bucket,
  { engine, work }: { engine: string | null; work: string },
): Promise<{ manifest: Manifest; missing: number[] }> {
  const folder = scratchFolder(work);
  try {
    const manifest = await manifestOf(bucket, folder, engine);
    const has = await hasOf(bucket, manifest, manifest.jobs);
    return { manifest, missing: manifest.jobs.filter(job => !isDone(manifest, job, has)).map(({ number }) => number) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Brings the columns of a replay into a folder, and the plan, but for the manifest: then it is as if it had been made there.
 *
 * @throws Fault `corrupt` where a column is not what was written
 */
export async function bringHome(bucket: Bucket, manifest: Manifest, folder: string): Promise<void> {
  await getFile(bucket, PLAN, PATHS.plan(folder));
  const made = manifest.jobs.filter(({ part, range }) => !part && !range).flatMap(({ columns }) => columns);
  await inTurns([...new Set([...manifest.reused, ...made])], async id => {
    const name = PATHS.column('', manifest.files[id]!);
    await getFile(bucket, name, join(folder, name));
    try {
      checkColumn(join(folder, name));
    } catch (error) {
      throw inBucket(error, folder, bucket);
    }
  });
}

/** Reads the manifest and the plan into a folder. @throws Fault `not_found` where the prefix is no replay's */
async function manifestOf(bucket: Bucket, folder: string, engine: string | null): Promise<Manifest> {
  if (!(await hasObject(bucket, MANIFEST)))
    throw new Fault('not_found', `there is no ${bucket.name}${MANIFEST}: that is no place of a replay`);
  for (const name of [MANIFEST, PLAN]) await getFile(bucket, name, join(folder, name));
  try {
    return readManifest(folder, engine).manifest;
  } catch (error) {
    throw inBucket(error, folder, bucket);
  }
}

/** Which of the files that these jobs make are there. */
async function hasOf(bucket: Bucket, manifest: Manifest, jobs: ManifestJob[]): Promise<Has> {
  const names = new Set([
    ...jobs.flatMap(job => columnInputs(manifest, job)),
    ...jobs.flatMap(job =>
      outputsOf(manifest, job, '').flatMap(({ id, path }) => [path, PATHS.column('', manifest.files[id]!)]),
    ),
  ]);
  const there = new Set<string>();
  await inTurns([...names], async name => {
    if (await hasObject(bucket, name)) there.add(name);
  });
  return name => there.has(name);
}

async function hasObject(bucket: Bucket, name: string): Promise<boolean> {
  return (await often(bucket, name, () => bucket.size(name))) !== null;
}

async function putFile(bucket: Bucket, name: string, path: string): Promise<void> {
  const size = await localDisk.size(path);
  await often(bucket, name, () => bucket.write(name, size, fileChunks(localDisk, path)));
}

async function putText(bucket: Bucket, name: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  const once = async function* () {
    yield bytes;
  };
  await often(bucket, name, () => bucket.write(name, bytes.length, once()));
}

async function getFile(bucket: Bucket, name: string, path: string): Promise<void> {
  const size = await often(bucket, name, () => bucket.size(name));
  if (size === null) throw new Fault('corrupt', `${bucket.name}${name} is gone`);
  mkdirSync(dirname(path), { recursive: true });
  const part = partOf(path);
  const file = await localDisk.create(part);
  try {
    for (let at = 0; at < size; at += RANGE_BYTES)
      await file.write(await often(bucket, name, () => readWhole(bucket, name, at, Math.min(RANGE_BYTES, size - at))));
    await file.sync();
  } finally {
    await file.close();
  }
  await localDisk.rename(part, path);
}

async function often<T>(bucket: Bucket, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await tryOften(`${bucket.name}${name} does not answer`, work, WALL_PAUSES);
  } catch (error) {
    if (isMissing(error)) throw new Fault('corrupt', `${bucket.name}${name} is gone`);
    throw error;
  }
}

/** Some at a time; the first that fails ends it. */
async function inTurns<T>(items: T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

/** What is wrong with a file that was an object a moment ago is wrong with that. */
function inBucket(error: unknown, folder: string, bucket: Bucket): unknown {
  if (!(error instanceof Fault)) return error;
  return new Fault(error.code, error.message.replaceAll(`${folder}/`, bucket.name), error.at);
}
