import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS, tooLarge } from '../http/limits.ts';
import { localDisk } from '../source/disk.ts';
import type { Config } from './config.ts';

/** What files begin with that a server was sent, and that are nobody's once a timeline is made of them. */
const UPLOAD = 'upload.';

let count = 0;

/** @param suffix says what is in it */
export function uploadPath({ timelines: { dir } }: Config, suffix: string): string {
  mkdirSync(dir, { recursive: true });
  return join(dir, `${UPLOAD}${process.pid}-${count++}${suffix}`);
}

/**
 * Writes a body to a file, piece by piece.
 *
 * @returns the path
 * @throws Fault `too_large`; nothing is left then
 */
export async function receive(body: ReadableStream<Uint8Array> | null, path: string): Promise<string> {
  const file = await localDisk.create(path);
  let size = 0;
  try {
    for await (const piece of body ?? []) {
      size += piece.length;
      if (size > LIMITS.timeline_body_bytes.value) throw tooLarge('timeline_body_bytes', 'the body is larger');
      await file.write(piece);
    }
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return path;
}

/** What a server that was killed has left: there is one of a data folder at a time. */
export function sweepUploads({ timelines: { dir } }: Config): void {
  for (const name of existsSync(dir) ? readdirSync(dir) : [])
    if (name.startsWith(UPLOAD)) rmSync(join(dir, name), { force: true });
}
