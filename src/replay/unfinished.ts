/**
 * Files on their way: written beside the name that they get once they are whole, and called so that whoever comes later knows
 * whose they were. What the dead have left is nobody's.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { ofFile } from '../base/file.ts';

let count = 0;

/** Another one for each call, of whichever process and thread. */
export function partOf(path: string): string {
  return `${path}.${process.pid}-${threadId}-${count++}.part`;
}

/** Rows of a job that memory has no room for. */
export function rowsPathOf(folder: string, job: number): string {
  return join(folder, `job-${job}.${process.pid}-${threadId}.rows`);
}

/** With what databases have beside them. */
const UNFINISHED = /\.(\d+)-\d+-\d+\.part$|^job-\d+\.(\d+)-\d+\.rows/;

/** Puts a file at its name, at once whole; `make` makes it at another. */
export function placeWhole(path: string, make: (part: string) => void): void {
  const part = partOf(path);
  try {
    make(part);
    renameSync(part, path);
  } finally {
    // Where both names are links to one file, renaming leaves both.
    rmSync(part, { force: true });
  }
}

/** Durable, but for the folder. */
export function placeText(path: string, text: string): void {
  placeWhole(path, part => {
    const file = openSync(part, 'w');
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } catch (error) {
      throw ofFile(error, path);
    } finally {
      closeSync(file);
    }
  });
}

/** Removes what nobody will finish: of processes that are dead, and of this one, which is at nothing in this folder. */
export function sweepUnfinished(folder: string): number {
  let swept = 0;
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const [, ofPart, ofRows] = UNFINISHED.exec(name) ?? [];
    const pid = Number(ofPart ?? ofRows);
    if (Number.isNaN(pid) || (pid !== process.pid && isAlive(pid))) continue;
    rmSync(join(folder, name), { force: true });
    swept++;
  }
  return swept;
}

/** A folder that nobody else has, in one for such folders; those of the dead leave it. */
export function scratchFolder(folder: string): string {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const pid = Number(/^(\d+)-\d+-\d+$/.exec(name)?.[1]);
    if (pid > 0 && pid !== process.pid && !isAlive(pid)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  const made = join(folder, `${process.pid}-${threadId}-${count++}`);
  rmSync(made, { recursive: true, force: true });
  mkdirSync(made, { recursive: true });
  return made;
}

/** A process: its number is given to others after it, and in a container all are number 1. */
export interface ProcessName {
  pid: number;
  /** Since the machine started; null where the system does not say. */
  startTicks: string | null;
}

export function ownProcess(): ProcessName {
  return { pid: process.pid, startTicks: startTicksOf(process.pid) };
}

export function isRunning({ pid, startTicks }: ProcessName): boolean {
  return isAlive(pid) && (startTicks === null || startTicksOf(pid) === startTicks);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The 22nd field of its line; the second one may hold blanks and brackets. */
function startTicksOf(pid: number): string | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[START_FIELD] ?? null;
  } catch {
    return null;
  }
}

/** From the third one on. */
const START_FIELD = 19;
