import type { Kernel } from '../../src/kernel/instance.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { type Replay, replay } from '../../src/replay/replay.ts';
import { Spill } from '../../src/replay/spill.ts';
import { AHEAD_MAX_MS, type Clock, type Source } from '../../src/source/source.ts';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { body } from './flights.ts';
import { countedIds, EVENT_CLOCK, memoryDatabase, PLENTY_BYTES } from './engine.ts';
import { packKernel } from '../../src/kernel/sealing.ts';

export interface ReplaySettings {
  clock?: Clock;
  /** What rows in memory may occupy. */
  memoryBytes?: number;
  /** By line, where the source knows them. */
  arrivals?: bigint[];
}

const BLOCK_LINES = 1000;

/** A replay of lines; the spill's store is in memory too, but in SQLite's. */
export async function replayed(
  plan: Plan,
  lines: Uint8Array[],
  { clock = EVENT_CLOCK, memoryBytes = PLENTY_BYTES, arrivals }: ReplaySettings = {},
): Promise<Replay & { spill: Spill; kernel: Kernel }> {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, countedIds(plan), { clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  const spill = new Spill(layout, memoryBytes, () => sqliteStore(memoryDatabase(), packKernel()));
  const source: Source = {
    clock,
    async *read() {
      // Records of a block have arrived together.
      const step = arrivals ? 1 : BLOCK_LINES;
      for (let from = 0; from < lines.length; from += step) {
        const arrivalMicros = arrivals?.[from] ?? null;
        yield { bytes: body(lines.slice(from, from + step)), arrivalMicros, file: 'log', line: from + 1 };
      }
    },
  };
  const nothing = () => {};
  return { ...replay({ layout, spill, source, onRejected: nothing, onBad: nothing }), spill, kernel };
}
