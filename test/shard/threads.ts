import { afterEach } from 'bun:test';
import { join } from 'node:path';
import { compose, type Parts } from '../../src/cli/alone/compose.ts';
import { type Config, DEFAULTS } from '../../src/cli/config.ts';
import { EVENT_CLOCK } from '../sim/engine.ts';
import { type Left, leftIn } from '../sim/left.ts';

const FEATURES = join(import.meta.dir, '../../examples/flights/features');
export const PLENTY_BYTES = 256 << 20;

const open = new Set<Parts>();
afterEach(async () => {
  for (const parts of open) await parts.close();
  open.clear();
});

/** One thread that does it all, or workers, 0 of which leave folding to this thread and writing to another. */
export type Threads = 'one' | number;

/** @param rebuilds forgets the rows, and folds the log anew */
export async function start(
  at: string,
  threads: Threads,
  memoryBytes = PLENTY_BYTES,
  definitions = FEATURES,
  rebuilds = false,
): Promise<Parts> {
  const isAlone = threads === 'one';
  const parts = await compose(
    { ...configOf(at, isAlone ? 0 : threads, memoryBytes), definitions },
    {
      isAlone,
      announce: null,
      onFailure: error => {
        throw error;
      },
      note: console.error,
      ...(rebuilds ? { rebuilds: 'whole' } : {}),
    },
  );
  open.add(parts);
  return parts;
}

function configOf(at: string, workers: number, memoryBytes: number): Config {
  return {
    ...DEFAULTS,
    log: { ...DEFAULTS.log, dir: join(at, 'log'), clock: EVENT_CLOCK },
    store: { sqlite: join(at, 'rows.db') },
    definitions: FEATURES,
    fold: { workers, memoryBytes, barrierMs: 100 },
  };
}

/** What is left in a folder once nobody works in it. */
export async function end(parts: Parts, at: string): Promise<Left> {
  await parts.close();
  open.delete(parts);
  return leftIn(join(at, 'rows.db'), parts.plan);
}
