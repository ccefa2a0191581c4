import type { Engine, Watcher } from '../../ingest/engine.ts';
import { Ingest } from '../../ingest/ingest.ts';
import type { Ids } from '../../kernel/layout.ts';
import { type InForce, planOnly } from '../../plan/transition.ts';
import { type EventLog, prefixOf } from '../../source/log.ts';
import type { Row } from '../../store/store.ts';
import type { Folding } from './engine.ts';
import type { OpenDatabase } from './database.ts';
import type { PlanFrom } from './recorded.ts';

export interface RefoldParts {
  log: EventLog;
  /** That have been in force, the first one first, each with its first record. */
  plans: PlanFrom[];
  /** What rows call the entities and aggregates of each. */
  idsOf: (inForce: InForce) => Ids;
  /** Empty, at the first record that rows contain: this is where they are made. */
  side: OpenDatabase;
  /** Another empty one, for each use. */
  extra: { open(): OpenDatabase; remove(): void };
  /** Folds by a plan into a database, from where that is. */
  open: (plan: InForce['plan'], ids: Ids, database: OpenDatabase) => Promise<Folding>;
  nowMicros: () => bigint;
  onFailure: (error: unknown) => void;
  watcher: Watcher;
}

/** Longer than any command. */
const NEVER_MS = 2 ** 31 - 1;

/** Rows merged between two barriers. */
const MERGED_AT_ONCE = 10_000;

/**
 * Makes the rows of a log that several plans have been applied to, as they were made:
 *
 *   1. each plan folds the records from its own first one to that of the next
 *   2. what a plan has brought with it from before (a backfill) is folded by it up to its first record, and merged
 *
 * @param until the first record that is left out
 */
export async function refold(parts: RefoldParts, until: number): Promise<void> {
  const { plans, side } = parts;
  let before = new Set<number>();
  for (const [i, { position, inForce }] of plans.entries()) {
    const end = plans[i + 1]?.position ?? until;
    const members = [...inForce.members];
    const brought = members.filter(([, { id, known }]) => !before.has(id) && known.sinceMicros === null);
    before = new Set(members.map(([, { id }]) => id));
    const names = new Set(brought.map(([name]) => name));
    if (i > 0 && names.size > 0) await bring(parts, inForce, names, position);
    await foldTo(parts, await parts.open(inForce.plan, parts.idsOf(inForce), side), end);
  }
}

/** Merged by what counts nothing itself: who goes on from there finds them in the store. */
async function bring(parts: RefoldParts, inForce: InForce, names: Set<string>, until: number): Promise<void> {
  const { side, extra, open, idsOf } = parts;
  const rows = await foldBefore(parts, inForce, names, until);
  try {
    const { engine } = await open(planOnly(inForce.plan, new Set()), idsOf(inForce), side);
    await mergeAll(engine, rows.store.scan());
    await engine.close();
  } finally {
    rows.close();
    extra.remove();
  }
}

/** Rows of some aggregates alone, of all records before one; clocks of types that are new with them go on in the others. */
async function foldBefore(parts: RefoldParts, inForce: InForce, names: Set<string>, until: number) {
  const { side, extra, open, idsOf, plans } = parts;
  extra.remove();
  const own = extra.open();
  const from = plans[0]!.position;
  if (from > 0) own.store.commit([], { position: from, clocks: new Map(), highest: [] });
  await foldTo(parts, await open(planOnly(inForce.plan, names), idsOf(inForce), own), until);
  const mark = side.store.mark();
  side.store.commit([], { ...mark, clocks: new Map([...own.store.mark().clocks, ...mark.clocks]) });
  return own;
}

async function foldTo(parts: RefoldParts, { door, engine }: Folding, until: number): Promise<void> {
  const { log, nowMicros, onFailure, watcher } = parts;
  const settings = { barrierMs: NEVER_MS, nowMicros, onFailure, watcher };
  const ingest = await Ingest.open({ door, engine, log: prefixOf(log, until), ...settings });
  await ingest.close();
}

async function mergeAll(engine: Engine, rows: Iterable<Row>): Promise<void> {
  let some: Row[] = [];
  const hand = async () => {
    engine.merge(some, '');
    some = [];
    await engine.barrier();
  };
  for (const row of rows) if (some.push(row) >= MERGED_AT_ONCE) await hand();
  if (some.length > 0) await hand();
}
