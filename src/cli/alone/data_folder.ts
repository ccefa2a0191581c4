import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Plan } from '../../plan/plan.ts';
import { EventLog } from '../../source/log.ts';
import { type FolderLock, LOCK_FILE, lockFolder } from '../../store/lock.ts';
import type { Config } from '../config.ts';
import { type OpenDatabase, type Unreadable, openDatabase, openFile } from './database.ts';
import { logSettings } from './event_log.ts';
import { planOf } from '../plan_cache.ts';

/** What lies in a data folder, held so that nobody else works in it. */
export interface Held {
  plan: Plan;
  log: EventLog;
  database: OpenDatabase;
  locks: FolderLock[];
  /** Closes it all, in order. */
  undo: (() => unknown)[];
}

export async function hold(config: Config, note: (text: string) => void, unreadable: Unreadable): Promise<Held> {
  const { plan, keep } = await planOf(config);
  const locks = await lockFolders(config);
  const undo: (() => unknown)[] = [() => releaseAll(locks)];
  try {
    keep(note);
    const log = await EventLog.open({ ...logSettings(config), onNote: note });
    undo.unshift(() => log.close());
    for (const text of log.notes) note(text);
    const path = config.store.sqlite;
    const database = openDatabase(path, unreadable, note);
    undo.unshift(() => database.close());
    return { plan, log, locks, undo, database };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** In order; what comes first may still need what comes after it. */
export async function closeAll(closers: (() => unknown)[]) {
  for (const close of closers) await close();
}

/** The log is what is kept, the rows are what is made of it: whoever writes one of them writes both. */
export async function lockFolders(config: Config): Promise<FolderLock[]> {
  const locks: FolderLock[] = [];
  try {
    for (const folder of new Set(foldersOf(config))) {
      await mkdir(folder, { recursive: true });
      locks.push(lockFolder(folder, openFile(join(folder, LOCK_FILE))));
    }
    return locks;
  } catch (error) {
    releaseAll(locks);
    throw error;
  }
}

export function foldersOf(config: Config): string[] {
  return [config.log.dir, dirname(config.store.sqlite)];
}

export function releaseAll(locks: FolderLock[]) {
  for (const lock of locks) lock.release();
}
