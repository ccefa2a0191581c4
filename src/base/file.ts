import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** The error of an open file says which one it is of, as that of opening it does: a full disk is somebody's. */
export function ofFile(error: unknown, path: string): unknown {
  if (error instanceof Error && 'code' in error) (error as NodeJS.ErrnoException).path ??= path;
  return error;
}

/**
 * Puts a small file at its name by renaming, so that no reader sees half of it, for one writer at a time. What of it a full disk had
 * room for is taken away again: others need that room. Not durable.
 */
export function placeFile(path: string, bytes: Uint8Array | string): void {
  const part = `${path}.new`;
  const file = openSync(part, 'w');
  try {
    writeFileSync(file, bytes);
    renameSync(part, path);
  } catch (error) {
    rmSync(part);
    throw ofFile(error, path);
  } finally {
    closeSync(file);
  }
}
