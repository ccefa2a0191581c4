import { Fault } from '../../base/fault.ts';
import { tryOften } from '../../source/bucket.ts';
import { localDisk } from '../../source/disk.ts';
import { EventLog } from '../../source/log.ts';
import { s3Bucket } from '../../source/s3.ts';
import { summaryOf } from '../../source/segments.ts';
import { restoreSegments } from '../../source/upload.ts';
import type { Config } from '../config.ts';
import { lockFolders, releaseAll } from './data_folder.ts';
import { logSettings, readableLog } from './event_log.ts';
import { WALL_PAUSES } from '../pauses.ts';

/**
 * Notes in the log's folder the segments that it has lost and the bucket has.
 *
 * @throws Fault `config` where no bucket is configured, `not_found` where there is nothing in it
 */
export async function restoreLog(config: Config): Promise<{ restored: number; end: number }> {
  const { dir, s3 } = config.log;
  if (!s3) throw new Fault('config', 'the configuration has no log.s3 to restore the log from');
  const locks = await lockFolders(config);
  try {
    const [bucket, reading] = [s3Bucket(s3), readableLog(config)];
    const { restored, segments } = await restoreSegments(localDisk, reading, dir, {
      list: () => tryOften(`${bucket.name} cannot be listed`, () => bucket.list(), WALL_PAUSES),
    });
    const last = segments.at(-1);
    if (!last) throw new Fault('not_found', `${bucket.name} has no segments of an event log`);
    return { restored, end: last.first + (last.hasPlain ? 0 : (await summaryOf(reading, dir, last)).records) };
  } finally {
    releaseAll(locks);
  }
}

/** Packs and uploads what is closed, and waits for it. Returns how many segments there are and how many were uploaded. */
export async function uploadLog(
  config: Config,
  note: (text: string) => void,
): Promise<{ uploaded: number; closed: number }> {
  if (!config.log.s3) throw new Fault('config', 'the configuration has no log.s3 to upload the log to');
  const locks = await lockFolders(config);
  try {
    const log = await EventLog.open({ ...logSettings(config), onNote: note });
    await log.uploaded();
    const counts = log.uploads();
    await log.close();
    return counts;
  } finally {
    releaseAll(locks);
  }
}
