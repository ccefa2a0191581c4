import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compileFolder } from '../compile/compile.ts';
import type { Plan } from '../plan/plan.ts';
import type { Clock } from '../source/source.ts';
import { loadConfig, parseConfig } from './config.ts';

/**
 * The plan of a folder, and the clock that its events are meant for.
 *
 * @param dir a folder of definitions, or one with a tilefold.yaml that says where they are; null for what
 *   `configPath` says
 */
export async function compileDefinitions(
  dir: string | null,
  configPath: string,
): Promise<{ plan: Plan; clock: Clock }> {
  const path = dir === null ? configPath : join(dir, 'tilefold.yaml');
  if (dir !== null && !existsSync(path)) {
    // Files come without arrivals, so their clock can only be that of their events.
    const { latenessMs, log } = parseConfig(path, 'log: { clock: event }');
    return { plan: await compileFolder(dir, { latenessMs }), clock: log.clock };
  }
  const { definitions, latenessMs, log } = await loadConfig(path);
  return { plan: await compileFolder(definitions, { latenessMs }), clock: log.clock };
}
