import { Fault } from '../../base/fault.ts';
import { formatMicros, wallMicros } from '../../base/time.ts';
import { planHash } from '../../plan/canonical.ts';
import { planJson } from '../../plan/json.ts';
import type { InForce } from '../../plan/transition.ts';
import type { EventLog } from '../../source/log.ts';
import type { Held } from './data_folder.ts';
import { beginPlan, recordedPlan, renewPlan, rowsFromOf } from './recorded.ts';

/** Folds the log from its start, or what there still is of it. */
export type Rebuild = 'whole' | 'rest';

/** What is noted then; `tilefold apply` need not be told. */
export const NOT_IN_FORCE =
  'the definitions in the folder are not those in force, which go on: `tilefold apply` brings them into force';

/**
 * The plan in force goes on, whatever the folder says: `tilefold apply` brings the folder's into force. Where there are no
 * rows yet, or are to be none, the folder's plan begins with them, and the log is folded from its start.
 *
 * @throws Fault `expired`, with all left as it is, where what would have to be folded has left the log
 */
export async function prepareRows(
  { plan, log, database }: Held,
  rebuilds: Rebuild | null,
  note: (text: string) => void,
): Promise<InForce> {
  const { store, meta } = database;
  const current = meta.currentPlan();
  const isSame = current?.hash === planHash(plan);
  const { position } = store.mark();
  if (current && rebuilds === null && position > rowsFromOf(meta)) {
    if (isSame) return renewPlan(meta, plan);
    if (meta.backfill()?.json !== planJson(plan)) note(NOT_IN_FORCE);
    return recordedPlan(meta)!;
  }
  const from = rebuilds === 'rest' ? log.start : rebuilds === null && current ? rowsFromOf(meta) : 0;
  if ((rebuilds || !isSame) && from < log.start) throw await beginsLater(log);
  store.clear(() => {
    meta.clearErrors();
    meta.clearLate();
    // What was to come is not among the rows any more, and would not be whole.
    meta.endBackfill();
    beginPlan(meta, plan, from, wallMicros());
  });
  // Killed here, the next process comes by again.
  if (from > 0) store.commit([], { position: from, clocks: new Map(), highest: [] });
  return recordedPlan(meta)!;
}

async function beginsLater(log: EventLog): Promise<Fault> {
  const arrival = await log.firstArrivalMicros();
  const since = arrival === null ? '' : `, which arrived at ${formatMicros(arrival)}`;
  const what = `the rows are to be folded from record 0 on, but the log begins with record ${log.start}${since}`;
  return new Fault('expired', `${what}: \`tilefold rebuild --from-log --rest\` folds what there still is`);
}
