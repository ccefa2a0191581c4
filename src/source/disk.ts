import { closeSync, fdatasync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { mkdir, readdir, rename, rm, truncate } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ofFile } from '../base/file.ts';

/**
 * The few things the event log asks of a file system, and the promises it builds on: what `sync` has returned for
 * is there after a power cut; everything else may be there in part, or not. Tests put a disk under the log that
 * keeps nothing but what was synced.
 */
export interface Disk {
  /** Makes a folder and those above it, durably. One that is there already is left as it is. */
  makeFolder(path: string): Promise<void>;
  /** File names in a folder, ascending. */
  list(folder: string): Promise<string[]>;
  /**
   * At most `length` bytes from `offset`; fewer at the end of the file. They may be in `room`, where that is there and has
   * room for them. Throws what `isMissing` knows where there is none.
   */
  read(path: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array>;
  /** Of a file, in bytes. Throws what `isMissing` knows where there is none. */
  size(path: string): Promise<number>;
  /** Makes a new file that must not exist, to append to. It is durable once `syncFolder` has returned. */
  create(path: string): Promise<AppendFile>;
  /** Opens an existing file to append to. */
  append(path: string): Promise<AppendFile>;
  /** Cuts a file to `size` bytes, durably: what is left of it is synced. */
  truncate(path: string, size: number): Promise<void>;
  /** Gives a file another name, at once whole; one that has the name already is gone. Durable once `syncFolder` has returned. */
  rename(from: string, to: string): Promise<void>;
  /** Durable once `syncFolder` has returned. */
  remove(path: string): Promise<void>;
  /** Makes the creation, renaming and removal of files in a folder durable. */
  syncFolder(folder: string): Promise<void>;
}

export interface AppendFile {
  /** Writes all bytes at the end of the file, or throws. Not durable yet. */
  write(bytes: Uint8Array): Promise<void>;
  /** All that was written before is durable once this returns. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Is it the error of a file that is not there? */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

const fdatasyncAsync = promisify(fdatasync);

/** The file system of this machine. */
export const localDisk: Disk = {
  async makeFolder(path) {
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    // A folder is an entry of the one above it, and is there after a power cut once that one is synced.
    for (let made = resolve(path); made.length >= resolve(first).length; made = dirname(made)) syncPath(dirname(made));
  },
  async list(folder) {
    return (await readdir(folder)).sort();
  },
  async read(path, offset, length, room) {
    const fd = openSync(path, 'r');
    try {
      const bytes = room && room.length >= length ? room : new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const count = readSync(fd, bytes, filled, length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    } finally {
      closeSync(fd);
    }
  },
  async size(path) {
    return statSync(path).size;
  },
  async create(path) {
    return appendFile(path, openSync(path, 'ax'));
  },
  async append(path) {
    return appendFile(path, openSync(path, 'a'));
  },
  async truncate(path, size) {
    await truncate(path, size);
    syncPath(path);
  },
  async rename(from, to) {
    await rename(from, to);
  },
  async remove(path) {
    await rm(path);
  },
  async syncFolder(folder) {
    syncPath(folder);
  },
};

function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function appendFile(path: string, fd: number): AppendFile {
  return {
    async write(bytes) {
      try {
        let written = 0;
        while (written < bytes.length) written += writeSync(fd, bytes, written, bytes.length - written);
      } catch (error) {
        throw ofFile(error, path);
      }
    },
    async sync() {
      await fdatasyncAsync(fd);
    },
    async close() {
      closeSync(fd);
    },
  };
}
