import { link, open, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { type Bucket, bucketDisk, type Pauses, type ReadDisk, tryOften } from './bucket.ts';
import { isMissing, localDisk } from './disk.ts';
import { type Batch, encodeBatch, encodeHeader, type SegmentHeader } from './segment.ts';
import { encodeSummary, folderLog, folderRecords, packedPath, type SegmentFiles, summaryOf } from './segments.ts';
import type { Source } from './source.ts';
import { FRAME_BYTES, packFrame, skippedFrame } from './zstd.ts';

/**
 * Where the events of partitions are kept for good: a folder for each, which is an event log of packed segments
 * (segments.ts), each made whole, once, and never changed:
 *
 *     archive/0/00000000000000000000.ndjson.zst
 *     archive/0/00000000000000051200.ndjson.zst
 *     archive/1/00000000000000000000.ndjson.zst
 *
 * Several processes may make the same segment, and one does: what follows on it begins where that one ends.
 */
export interface Archive {
  /** For messages. */
  readonly name: string;
  /** Makes a segment, durably; false where there is one of the name, whatever that holds. */
  make(partition: number, first: number, bytes: Uint8Array): Promise<boolean>;
  /** How many records the segment that begins there has; null where there is none. @throws Fault `corrupt` */
  records(partition: number, first: number): Promise<number | null>;
}

/** In a folder of this machine, or one that several share. */
export function folderArchive(folder: string): Archive {
  return {
    name: folder,
    async make(partition, first, bytes) {
      const of = partitionFolder(folder, partition);
      await localDisk.makeFolder(of);
      const path = packedPath(of, first);
      // Nobody else has a process of this number on this machine; on another one it is another name.
      const part = join(of, `.${basename(path)}.${crypto.randomUUID()}`);
      try {
        const file = await open(part, 'wx');
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await link(part, path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
        throw error;
      } finally {
        await rm(part, { force: true });
      }
      await localDisk.syncFolder(of);
      return true;
    },
    records: (partition, first) => recordsIn(localDisk, partitionFolder(folder, partition), first),
  };
}

/**
 * In a bucket, whose objects are named as the files of a folder are. That a segment is made once rests on a promise of the
 * service, which some that are like S3 do not keep: it is tried out first.
 *
 * @throws Fault `config` where the service makes an object anew that is there
 */
export async function bucketArchive(bucket: Bucket, pauses: Pauses): Promise<Archive> {
  const make = (name: string, bytes: Uint8Array) =>
    tryOften(`${bucket.name}${name} cannot be made`, () => bucket.make(name, bytes), pauses);
  const mark = new TextEncoder().encode('an archive of tilefold\n');
  if ((await make(MARK, mark)) && (await make(MARK, mark)))
    throw new Fault('config', `${bucket.name} cannot have an archive: its service does not heed If-None-Match: *`);
  return {
    name: bucket.name,
    make: (partition, first, bytes) => make(packedPath(String(partition), first), bytes),
    // Another process may have made it a moment ago: each time it is looked at anew.
    records: (partition, first) => recordsIn(bucketDisk(bucket, pauses), String(partition), first),
  };
}

/** An object that says what its neighbours are. */
const MARK = 'archive.txt';

async function recordsIn(disk: ReadDisk, folder: string, first: number): Promise<number | null> {
  const segment: SegmentFiles = { first, hasPlain: false, hasPacked: true, isUploaded: false };
  try {
    return (await summaryOf(disk, folder, segment)).records;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

export function partitionFolder(folder: string, partition: number): string {
  return join(folder, String(partition));
}

/** The bytes of a packed segment. */
export async function packedSegment(header: SegmentHeader, batches: Batch[]): Promise<Uint8Array> {
  const head = encodeHeader(header);
  const plain: Uint8Array[] = [];
  let bytes = head.length;
  for (const batch of batches) {
    for (const piece of encodeBatch(batch, bytes)) {
      plain.push(piece);
      bytes += piece.length;
    }
  }
  const summary = {
    ...{ records: batches.reduce((sum, { count }) => sum + count, 0), bytes, keyedCount: 0 },
    ...{ firstArrivalMicros: batches[0]!.arrivalMicros, lastArrivalMicros: batches.at(-1)!.arrivalMicros },
  };
  const body = Buffer.concat(plain);
  const frames = [skippedFrame(encodeSummary(summary)), await packFrame(head)];
  for (let from = 0; from < body.length; from += FRAME_BYTES)
    frames.push(await packFrame(body.subarray(from, from + FRAME_BYTES)));
  return Buffer.concat(frames);
}

/**
 * All events of an archive, partition by partition, each as they stood in it.
 *
 * @param folder of the disk; a bucket has it in its root
 * @throws Fault `not_found`, `corrupt`
 */
export async function archiveSource(disk: ReadDisk, folder: string, name = folder): Promise<Source> {
  const names = await disk.list(folder).catch((error: unknown) => {
    if (isMissing(error)) throw new Fault('not_found', `there is no archive ${name}`);
    throw error;
  });
  const folders = names
    .filter(name => /^\d{1,9}$/.test(name))
    .sort((a, b) => Number(a) - Number(b))
    .map(name => join(folder, name));
  const [first] = folders;
  if (first === undefined) throw new Fault('not_found', `${name} holds no archive: no partition has a folder in it`);
  const { clock } = await folderLog(disk, first);
  return {
    clock,
    async *read(from) {
      let before = 0;
      for (const of of folders) {
        const records = await folderRecords(disk, of);
        if (from < before + records) yield* (await folderLog(disk, of)).read(Math.max(0, from - before));
        before += records;
      }
    },
  };
}
