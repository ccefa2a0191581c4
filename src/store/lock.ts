import type { Database } from 'bun:sqlite';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { placeFile } from '../base/file.ts';

/** In the data folder, and empty for ever: only the system's lock on it matters. Were it deleted, two could hold it. */
export const LOCK_FILE = 'lock.db';

/** Who holds the lock, for messages and for other commands to find the server: `pid` or `pid url`. */
const OWNER_FILE = 'owner';
const OWNER = /^(\d+)(?: (\S+))?\n$/;

export interface Owner {
  pid: number;
  /** Where it serves, once it does. */
  url: string | null;
}

export interface FolderLock {
  /** Lets others know where this process serves. */
  announce(url: string): void;
  /** Closes the handle too. */
  release(): void;
}

/** Handles that hold locks. One that nobody refers to would be closed by the garbage collector, and its lock with it. */
const held = new Set<Database>();

/**
 * Makes this process the only one that works in a data folder, with SQLite's exclusive lock on a file in it. The
 * system takes that back from a process that dies, however it dies, so none is ever stale.
 *
 * @param db a handle on the folder's `LOCK_FILE`, for nothing else; it is closed when the lock is not to be had
 * @throws Fault `busy` naming the process that holds it, `config` where there is no room to lock it, `corrupt` where the file is no
 *   longer one that can be locked
 */
export function lockFolder(folder: string, db: Database): FolderLock {
  try {
    db.run('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (isBusy(error)) throw new Fault('busy', busyText(folder));
    const why = error instanceof Error ? error.message : String(error);
    if (isOutOfRoom(error)) throw new Fault('config', `${join(folder, LOCK_FILE)} cannot be locked: ${why}`);
    const remedy = 'nothing is kept in it: remove it while no tilefold works here';
    throw new Fault('corrupt', `${join(folder, LOCK_FILE)} cannot be locked: ${why}; ${remedy}`);
  }
  held.add(db);
  const release = () => {
    db.run('ROLLBACK');
    db.close();
    held.delete(db);
  };
  try {
    writeOwner(folder, String(process.pid));
  } catch (error) {
    // This process may go on, and try again once there is room.
    release();
    throw error;
  }
  return {
    announce: url => writeOwner(folder, `${process.pid} ${url}`),
    release() {
      rmSync(join(folder, OWNER_FILE));
      release();
    },
  };
}

/** What the last holder wrote about itself; it may be dead by now. Null where there is nothing to read. */
export function lastOwner(folder: string): Owner | null {
  let text: string;
  try {
    text = readFileSync(join(folder, OWNER_FILE), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  const match = OWNER.exec(text);
  return match && { pid: Number(match[1]), url: match[2] ?? null };
}

function writeOwner(folder: string, text: string): void {
  placeFile(join(folder, OWNER_FILE), `${text}\n`);
}

function busyText(folder: string): string {
  const owner = lastOwner(folder);
  // The holder may have the lock and not have written yet.
  if (!owner) return `${folder} is in use by another process`;
  return `${folder} is in use by process ${owner.pid}${owner.url ? `, which serves ${owner.url}` : ''}`;
}

function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_BUSY');
}

/** A lock takes a page of a journal beside it. */
function isOutOfRoom(error: unknown): boolean {
  return /^SQLITE_(FULL|IOERR)/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
