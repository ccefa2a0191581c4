import { type Bucket, missing, readWhole, type ReadDisk } from './bucket.ts';
import { corrupt } from './corrupt.ts';
import type { Disk } from './disk.ts';
import { encodeHeader } from './segment.ts';
import {
  encodeSummary,
  headerOf,
  listSegments,
  packedPath,
  removeIfThere,
  type SegmentFiles,
  summaryOf,
  uploadedPath,
} from './segments.ts';
import { fileChunks } from './stream.ts';

/** Read and compared at a time. */
const COMPARED_BYTES = 4 << 20;

/**
 * Brings a packed segment into the bucket, and leaves a note of that in the folder once the bucket has given it back
 * byte for byte. Killed at any point it can be done again: an object that is there is compared, not written.
 *
 * @param isStopped asked before the folder is changed
 * @returns `foreign` where the bucket has something else under that name, which is left as it is
 */
export async function uploadSegment(
  disk: Disk,
  folder: string,
  first: number,
  bucket: Bucket,
  isStopped: () => boolean,
): Promise<'done' | 'foreign' | 'stopped'> {
  const path = packedPath(folder, first);
  const name = objectName(first);
  const bytes = await disk.size(path);
  if ((await bucket.size(name)) === null) await bucket.write(name, bytes, fileChunks(disk, path));
  if (!(await isSame(disk, path, bytes, bucket, name))) return 'foreign';
  if (isStopped()) return 'stopped';
  await noteUploaded(disk, disk, folder, { first, hasPlain: false, hasPacked: true, isUploaded: false }, bytes);
  return 'done';
}

/** Of the object that a segment is in a bucket. */
export function objectName(first: number): string {
  return packedPath('', first);
}

async function isSame(disk: Disk, path: string, bytes: number, bucket: Bucket, name: string): Promise<boolean> {
  const size = await bucket.size(name);
  if (size === null) throw missing(`the object ${bucket.name}${name} is not there after it was written`);
  if (size !== bytes) return false;
  for (let offset = 0; offset < bytes; offset += COMPARED_BYTES) {
    const length = Math.min(COMPARED_BYTES, bytes - offset);
    const [here, there] = [await disk.read(path, offset, length), await readWhole(bucket, name, offset, length)];
    if (Buffer.compare(here, there) !== 0) return false;
  }
  return true;
}

/** @param reading where the segment is read from: the bucket too, where the folder does not have it */
async function noteUploaded(
  disk: Disk,
  reading: ReadDisk,
  folder: string,
  segment: SegmentFiles,
  bytes: number,
): Promise<void> {
  const header = await headerOf(reading, folder, segment);
  if (!header) throw corrupt(packedPath(folder, segment.first), 0, 'no log header');
  const summary = await summaryOf(reading, folder, segment);
  const note = `{"$object":{"bytes":${bytes}}}\n`;
  const path = uploadedPath(folder, segment.first);
  await removeIfThere(disk, `${path}.part`);
  const file = await disk.create(`${path}.part`);
  await file.write(Buffer.concat([encodeHeader(header), encodeSummary(summary), Buffer.from(note)]));
  await file.sync();
  await file.close();
  await disk.rename(`${path}.part`, path);
  await disk.syncFolder(folder);
}

const OBJECT_NAME = /^(\d{20})\.ndjson\.zst$/;

/**
 * Notes in a folder that has lost them the segments that a bucket has. Of each only the start is read; the rest is
 * whenever somebody asks for it. Killed on the way it can be done again.
 *
 * @param reading the folder with the bucket behind it
 * @returns how many were noted, and the segments that the folder then has
 */
export async function restoreSegments(
  disk: Disk,
  reading: ReadDisk,
  folder: string,
  bucket: Pick<Bucket, 'list'>,
): Promise<{ restored: number; segments: SegmentFiles[] }> {
  await disk.makeFolder(folder);
  const here = new Set((await listSegments(disk, folder)).segments.map(({ first }) => first));
  let restored = 0;
  for (const { name, bytes } of await bucket.list()) {
    const digits = OBJECT_NAME.exec(name)?.[1];
    if (digits === undefined || here.has(Number(digits))) continue;
    const segment = { first: Number(digits), hasPlain: false, hasPacked: true, isUploaded: false };
    await noteUploaded(disk, reading, folder, segment, bytes);
    restored++;
  }
  return { restored, segments: (await listSegments(disk, folder)).segments };
}
