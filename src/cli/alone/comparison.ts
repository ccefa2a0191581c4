import { Fault } from '../../base/fault.ts';
import { Stages } from '../../base/stages.ts';
import { wallMicros } from '../../base/time.ts';
import type { Watcher } from '../../ingest/engine.ts';
import type { Ids } from '../../kernel/layout.ts';
import type { Meta } from '../../meta/meta.ts';
import type { Plan } from '../../plan/plan.ts';
import type { InForce } from '../../plan/transition.ts';
import type { EventLog } from '../../source/log.ts';
import { integrityOf } from '../../store/sqlite.ts';
import type { Store } from '../../store/store.ts';
import type { Config } from '../config.ts';
import { closeAll, hold } from './data_folder.ts';
import { REFUSE, openDatabase, removeDatabase } from './database.ts';
import { foldingOf } from './engine.ts';
import { endWith } from '../exit.ts';
import { idsOf, plansFrom, recordedPlan, rowsFromOf } from './recorded.ts';
import { type RefoldParts, refold } from './refold.ts';

/** What is needed to compare rows with what the log makes of them. */
export interface Comparison {
  plan: Plan;
  members: InForce['members'];
  meta: Meta;
  ids: Ids;
  store: Store;
  /** How many plans have been in force since the rows began. */
  planCount: number;
  /** Why the log no longer has all that the rows were folded from; null where it has. */
  why: string | null;
  /** What SQLite finds wrong with the file of the database. */
  damages: { offset: number | null; message: string }[];
  /** Rows of the log up to the store's position, folded anew into a store of its own, which `close` deletes. */
  refold(watcher: Watcher): Promise<{ store: Store; meta: Meta }>;
  close(): Promise<void>;
}

/**
 * Opens a data folder without changing its rows.
 *
 * @throws Fault `busy` where another process holds the folder, `config` where there are no rows
 */
export async function composeComparison(config: Config, note: (text: string) => void): Promise<Comparison> {
  const held = await hold(config, note, REFUSE);
  const { undo, log } = held;
  const { db, store, meta } = held.database;
  try {
    const damages = integrityOf(db);
    const inForce = recordedPlan(meta);
    if (!inForce) throw new Fault('config', 'there are no rows yet');
    const { plan, members } = inForce;
    const ids = idsOf(inForce, meta);
    const from = rowsFromOf(meta);
    const why = whyNotCompared(meta, log);
    const plans = plansFrom(meta);
    const refoldAll = async (watcher: Watcher) => {
      const { position } = store.mark();
      if (position > log.end)
        throw new Fault('corrupt', `the rows contain ${position} records, the log has only ${log.end}`);
      const path = `${config.store.sqlite}.refold`;
      removeDatabase(path);
      undo.unshift(() => removeDatabase(path));
      const other = openDatabase(path, REFUSE, note);
      undo.unshift(() => other.close());
      if (from > 0) other.store.commit([], { position: from, clocks: new Map(), highest: [] });
      const around = { onFailure: endWith, watcher, nowMicros: wallMicros };
      const extraPath = `${path}.part`;
      const extra = { open: () => openDatabase(extraPath, REFUSE, note), remove: () => removeDatabase(extraPath) };
      undo.push(extra.remove);
      const settings = {
        config,
        keeping: [],
        workers: config.fold.workers,
        isAlone: false,
        onFailure: endWith,
        watcher,
      };
      const open: RefoldParts['open'] = (plan, ids, database) =>
        foldingOf({ ...settings, plan, ids, database, stages: new Stages() });
      await refold({ log, plans, idsOf: one => idsOf(one, meta), side: other, extra, open, ...around }, position);
      return { store: other.store, meta: other.meta };
    };
    const close = () => closeAll(undo);
    return { plan, members, meta, ids, store, planCount: plans.length, why, damages, refold: refoldAll, close };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

function whyNotCompared(meta: Meta, log: EventLog): string | null {
  const from = rowsFromOf(meta);
  return from < log.start ? `they were folded from record ${from} on, and the log begins with ${log.start}` : null;
}
