import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { replay, type ReplayBatch } from '../../src/replay/replay.ts';
import type { Block, Source } from '../../src/source/source.ts';
import { body } from './flights.ts';
import { countedIds, EVENT_CLOCK } from './engine.ts';

/** A replay of lines, in a kernel of its own. */
export async function* replayed(of: Plan, lines: Uint8Array[]): AsyncGenerator<ReplayBatch> {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, of, countedIds(of), { clock: EVENT_CLOCK, aheadMaxMs: 0, shards: 1 });
  const source: Source = {
    clock: EVENT_CLOCK,
    async *read() {
      for (let from = 0; from < lines.length; from += 1000) {
        const block: Block = {
          bytes: body(lines.slice(from, from + 1000)),
          arrivalMicros: null,
          file: 'week',
          line: from + 1,
        };
        yield block;
      }
    },
  };
  const nothing = () => {};
  const parts = { pipeline: { layout, folds: [new Fold(kernel, null)] }, source, onRejected: nothing, onBad: nothing };
  yield* replay(parts).batches;
}
