import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compileFolder } from '../compile/compile.ts';
import type { Plan } from '../plan/plan.ts';
import type { Clock } from '../source/source.ts';
import { type Config, loadConfig, parseConfig } from './config.ts';

/**
 * The plan of a folder, the clock that its events are meant for, and what folded rows may occupy in memory.
 *
 * @param dir a folder of definitions, or one with a tilefold.yaml that says where they are; null for what
 *   `configPath` says
 * @param memoryBytes what the process may take, where the command line says so
 */
export async function compileDefinitions(
  dir: string | null,
  configPath: string,
  memoryBytes: number | null = null,
): Promise<{ plan: Plan; clock: Clock; foldMemoryBytes: number }> {
  const path = dir === null ? configPath : join(dir, 'tilefold.yaml');
  if (dir !== null && !existsSync(path)) {
    // Files come without arrivals, so their clock can only be that of their events.
    return definitionsOf({ ...parseConfig(path, 'log: { clock: event }', memoryBytes), definitions: dir });
  }
  return definitionsOf(await loadConfig(path, memoryBytes));
}

async function definitionsOf(config: Config) {
  const plan = await compileFolder(config.definitions, config);
  return { plan, clock: config.log.clock, foldMemoryBytes: config.fold.memoryBytes };
}
