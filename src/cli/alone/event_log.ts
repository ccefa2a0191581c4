import { type ReadDisk, readThrough } from '../../source/bucket.ts';
import { localDisk } from '../../source/disk.ts';
import type { LogSettings } from '../../source/log.ts';
import { s3Bucket } from '../../source/s3.ts';
import { packFrame } from '../../source/zstd.ts';
import type { Config } from '../config.ts';
import { WALL_PAUSES } from '../pauses.ts';

export function logSettings({ log }: Config): LogSettings {
  const { dir: folder, clock, segmentBytes, segmentAgeMs, compress, keep, s3 } = log;
  const bucket = s3 ? { bucket: s3Bucket(s3), pauses: WALL_PAUSES } : undefined;
  const pack = compress ? packFrame : undefined;
  return { disk: localDisk, folder, clock, segmentBytes, segmentAgeMs, pack, bucket, keep };
}

/** The log's folder with its bucket behind it, for whoever only looks: beside a server too. */
export function readableLog({ log }: Config): ReadDisk {
  return log.s3 ? readThrough(localDisk, s3Bucket(log.s3), WALL_PAUSES) : localDisk;
}
