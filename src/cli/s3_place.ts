import { Fault } from '../base/fault.ts';
import type { Bucket } from '../source/bucket.ts';
import { s3Bucket } from '../source/s3.ts';
import type { Config } from './config.ts';

const S3 = 's3://';
const S3_URL = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/;

export function isS3(place: string): boolean {
  return place.startsWith(S3);
}

/** The archive's bucket, whatever stands behind it. */
export function archiveBucket(url: string, { log }: Pick<Config, 'log'>): Bucket {
  return s3Place(url.endsWith('/') ? url : `${url}/`, log.s3).bucket;
}

/**
 * The objects whose names begin as the URL says. Of a service that is not Amazon's, the address is that of the log's bucket where
 * that has one.
 *
 * @throws Fault `config` where it is no such URL
 */
export function s3Place(url: string, known: Config['log']['s3']): { bucket: Bucket; prefix: string } {
  const [, name, prefix = ''] = S3_URL.exec(url) ?? [];
  if (name === undefined) throw new Fault('config', `${url} is no place in S3: wanted s3://BUCKET/PREFIX`);
  const bucket = s3Bucket({ bucket: name, endpoint: known?.endpoint, region: known?.region, prefix });
  return { bucket, prefix };
}
