import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { checkColumn } from '../replay/column_file.ts';
import { type Manifest, outputsOf, PATHS } from '../replay/manifest.ts';
import { isRunning, placeText, type ProcessName, sweepUnfinished } from '../replay/unfinished.ts';

/** What became of a replay. `interrupted`: whoever was at it is gone. */
export type RunState = 'planned' | 'running' | 'interrupted' | 'done' | 'failed' | 'cancelled';

/** As a replay's folder has it. */
export interface StateFile {
  state: Exclude<RunState, 'interrupted'>;
  /** Whoever works on it. */
  by: ProcessName | null;
  errors: string[];
}

const STATE = 'state.json';

export function stateOf(folder: string): StateFile {
  const path = join(folder, STATE);
  if (!existsSync(path)) return { state: 'planned', by: null, errors: [] };
  return JSON.parse(readFileSync(path, 'utf8')) as StateFile;
}

export function writeState(folder: string, state: StateFile): void {
  placeText(join(folder, STATE), JSON.stringify(state));
}

/** Whoever was at it may be gone. */
export function stateNow({ state, by }: StateFile): RunState {
  return state === 'running' && by !== null && !isRunning(by) ? 'interrupted' : state;
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
