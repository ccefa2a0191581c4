import { Database } from 'bun:sqlite';
import { expect } from 'bun:test';
import { writeBarrier, type BesideWriter } from '../../src/ingest/barrier.ts';
import { Here } from '../../src/ingest/here.ts';
import { packKernel } from '../../src/kernel/sealing.ts';
import { Fold } from '../../src/kernel/fold.ts';
import { loadKernel } from '../../src/kernel/instance.ts';
import { layPlan } from '../../src/kernel/load.ts';
import { openMeta } from '../../src/meta/meta.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { AHEAD_MAX_MS } from '../../src/source/source.ts';
import { sqliteRows, sqliteStore } from '../../src/store/sqlite.ts';
import { countedIds, EVENT_CLOCK } from '../sim/engine.ts';
import type { Random } from '../sim/random.ts';

/** Rows, a reader of them, and one who writes when a few turns of the event loop have passed, as another thread would. */
export function openBeside(path: string, random: Random) {
  const db = new Database(path, { strict: true });
  const store = sqliteStore(db, packKernel());
  const meta = openMeta(db);
  const readable = new Database(path, { readonly: true });
  const rows = sqliteRows(readable, packKernel());
  const writer: BesideWriter = {
    async write({ runs, sealed, isBulk, ...work }) {
      // Of a gathering all is put away, or nothing.
      if (sealed.length > 0) expect(runs.flat()).toEqual([]);
      for (let turns = random.below(6); turns > 0; turns--) await Bun.sleep(0);
      const expired = writeBarrier(store, meta, [], { ...work, rows: { runs, sealed, isBulk } });
      for (let turns = random.below(6); turns > 0; turns--) await Bun.sleep(0);
      return { expired, seconds: 0 };
    },
    close: () => Promise.resolve(),
  };
  return { db, store, meta, rows, writer };
}

/** Folds in this thread, over rows that are written beside it. */
export async function openFolding(plan: Plan, beside: ReturnType<typeof openBeside>, foldMemoryBytes: number) {
  const kernel = await loadKernel();
  const layout = layPlan(kernel, plan, countedIds(plan), { clock: EVENT_CLOCK, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
  const fold = new Fold(kernel, beside.rows.readRows);
  const onFailure = (error: unknown) => {
    throw error;
  };
  const pipeline = { layout, folds: [fold] };
  const engine = new Here({ ...beside, pipeline, keeping: [], foldMemoryBytes, onFailure });
  return { engine, layout, fold };
}
