/**
 * What has become of a replay, as its folder says: for whoever works on it and whoever only looks, of this process and of others.
 *
 *     state.json      who works on it, since when, and what has failed
 *     columns/        of each job that is done, what it has made
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { checkColumn } from './column_file.ts';
import { inFolder, isDone, type Manifest, outputsOf, PATHS } from './manifest.ts';
import { isRunning, type ProcessName, placeText, sweepUnfinished } from './unfinished.ts';

/** `waiting`: for others that a server was asked for before. `interrupted`: whoever was at it is gone. */
export type RunState = 'planned' | 'waiting' | 'running' | 'interrupted' | 'done' | 'failed' | 'cancelled';

export interface RunStatus {
  id: string;
  folder: string;
  state: RunState;
  failed: FailedJob[];
  jobs: Counted;
  /** In their order. */
  stages: (Counted & { stage: number })[];
  /** Of the last time that somebody worked on it; null before. */
  work: Work | null;
  manifest: Manifest;
}

export interface Counted {
  total: number;
  done: number;
}

export interface FailedJob {
  /** Its number. */
  job: number;
  reason: string;
}

/** Since the epoch. */
export interface Work {
  startedMs: number;
  /** Null while it goes on. */
  endedMs: number | null;
  /** Jobs that were done before. */
  doneBefore: number;
}

export interface StateFile {
  state: RunState;
  /** Whoever works on it, or has it wait. */
  by: ProcessName | null;
  failed: FailedJob[];
  work: Work | null;
}

const STATE = 'state.json';

/** Does somebody have it in hand? Then nobody else may. */
export function isHeld(state: RunState): boolean {
  return state === 'running' || state === 'waiting';
}

/** @param known jobs that were seen to be done, which they stay: asked again, only the others are looked for */
export function statusOf(folder: string, manifest: Manifest, known = new Set<number>()): RunStatus {
  const file = readState(folder);
  if (file.failed.some(({ job }) => manifest.jobs[job] === undefined)) throw damagedState(folder, 'no such job failed');
  const has = inFolder(folder);
  for (const job of manifest.jobs)
    if (!known.has(job.number) && (file.state === 'done' || isDone(manifest, job, has))) known.add(job.number);
  return statusAt(folder, manifest, file, known);
}

/** @param done numbers of jobs */
export function statusAt(folder: string, manifest: Manifest, file: StateFile, done: Set<number>): RunStatus {
  const { failed, work } = file;
  const stages = [...Map.groupBy(manifest.jobs, ({ stage }) => stage)]
    .sort(([a], [b]) => a - b)
    .map(([stage, jobs]) => ({
      ...{ stage, total: jobs.length, done: jobs.filter(({ number }) => done.has(number)).length },
    }));
  return {
    ...{ id: manifest.id, folder, manifest, failed, work, stages },
    state: seen(file),
    jobs: { total: manifest.jobs.length, done: done.size },
  };
}

/** Whoever was at it may be gone. */
function seen({ state, by }: StateFile): RunState {
  return isHeld(state) && by !== null && !isRunning(by) ? 'interrupted' : state;
}

/** What its state alone says of it; null where not even that can be read. */
export function stateIn(folder: string): RunState | null {
  try {
    return seen(readState(folder));
  } catch (error) {
    if (error instanceof Fault) return null;
    throw error;
  }
}

/** Jobs per second, and how many seconds the rest of them takes at that; null where nobody can know. */
export function paceOf({ state, jobs, work }: RunStatus, nowMs: number): { rate: number | null; left: number | null } {
  if (work === null) return { rate: null, left: null };
  const seconds = ((work.endedMs ?? nowMs) - work.startedMs) / 1000;
  const rate = seconds > 0 && jobs.done > work.doneBefore ? (jobs.done - work.doneBefore) / seconds : null;
  return { rate, left: state === 'running' && rate !== null ? (jobs.total - jobs.done) / rate : null };
}

/** @throws Fault `corrupt` */
export function readState(folder: string): StateFile {
  const path = join(folder, STATE);
  if (!existsSync(path)) return { state: 'planned', by: null, failed: [], work: null };
  const parsed = STATE_FILE.safeParse(jsonIn(folder, path));
  if (parsed.success) return parsed.data;
  throw damagedState(folder, parsed.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`).join('; '));
}

const STATE_FILE = z.object({
  state: z.enum(['planned', 'waiting', 'running', 'interrupted', 'done', 'failed', 'cancelled']).default('planned'),
  by: z.object({ pid: z.int(), startTicks: z.string().nullable() }).nullable().default(null),
  failed: z.array(z.object({ job: z.int(), reason: z.string() })).default([]),
  work: z
    .object({ startedMs: z.number(), endedMs: z.number().nullable(), doneBefore: z.int() })
    .nullable()
    .default(null),
});

function jsonIn(folder: string, path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw damagedState(folder, (error as Error).message);
  }
}

function damagedState(folder: string, why: string): Fault {
  const path = join(folder, STATE);
  return new Fault('corrupt', `${path} cannot be read: ${why}; without it, what is done is not done again`);
}

/** What is not said stays as it was. */
export function noteState(folder: string, state: Partial<StateFile>): void {
  placeText(join(folder, STATE), JSON.stringify({ ...readState(folder), ...state }));
}

/** Nobody else is at it, on this machine. */
export function sweepAll(folder: string): void {
  for (const each of [folder, PATHS.columns(folder), PATHS.parts(folder)]) sweepUnfinished(each);
}

/** Columns that were made and are not what was written: without them their jobs are not done. */
export function removeDamaged(manifest: Manifest, folder: string): string[] {
  const found: string[] = [];
  for (const { id, path } of manifest.jobs.flatMap(job => outputsOf(manifest, job, folder))) {
    if (!existsSync(path)) continue;
    try {
      checkColumn(path);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      rmSync(path, { force: true });
      found.push(`${manifest.about[id]!.name}: ${error.message}`);
    }
  }
  return found;
}
