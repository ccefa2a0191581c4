import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wallMicros } from '../../base/time.ts';
import { loadKernel } from '../../kernel/instance.ts';
import type { KeyInput } from '../../kernel/key.ts';
import { type Layout, countedIds } from '../../kernel/layout.ts';
import { layPlan } from '../../kernel/load.ts';
import type { Plan } from '../../plan/plan.ts';
import { lastRowsOf } from '../../plan/upsert.ts';
import { type Answer, Asker } from '../../read/read.ts';
import { type TileBatch, type TileChoice, type TileTable, tileTable } from '../../read/tiles.ts';
import { type LogStretch, changeTable, changedRows } from '../../replay/changes.ts';
import { type HistoryParts, type Touch, history } from '../../replay/history.ts';
import { type Label, type LabelBatch, type LabelParts, labelled } from '../../replay/labels.ts';
import { type Moment, answersAt } from '../../replay/moments.ts';
import { type Replay, type ReplayParts, replay } from '../../replay/replay.ts';
import { Spill } from '../../replay/spill.ts';
import { folderLog, listSegments } from '../../source/segments.ts';
import { AHEAD_MAX_MS, type Clock, type Source } from '../../source/source.ts';
import type { Config } from '../config.ts';
import { REFUSE, openDatabase, removeDatabase } from './database.ts';
import { readableLog } from './event_log.ts';
import { planOf } from '../plan_cache.ts';

/**
 * A replay numbers its definitions itself: it touches no data folder.
 *
 * @param rows what they may occupy in memory, and where those go that have no room there; `close` deletes that file
 */
export async function composeReplay(
  plan: Plan,
  source: Source,
  rows: { memoryBytes: number; path: string },
  around: Pick<ReplayParts, 'onRejected' | 'onBad' | 'stages'>,
): Promise<Replay & { spill: Spill; close(): void }> {
  const layout = await oneLayout(plan, source);
  const { spill, close } = spillOf(layout, rows);
  return { ...replay({ layout, spill, source, ...around }), spill, close };
}

/** Features as of labels. What is asked of the layout is up to the caller, who knows the labels. */
export async function composeLabels<T extends Label>(
  plan: Plan,
  rows: { memoryBytes: number; path: string },
  clock: Clock,
): Promise<{
  layout: Layout;
  run: (parts: Omit<LabelParts<T>, 'layout' | 'spill'>) => AsyncGenerator<LabelBatch<T>>;
  close(): void;
}> {
  const layout = await oneLayout(plan, { clock });
  const { spill, close } = spillOf(layout, rows);
  return { layout, run: parts => labelled({ ...parts, layout, spill }), close };
}

/** `close` deletes the file, where rows had to go to one. */
export function spillOf(layout: Layout, { memoryBytes, path }: { memoryBytes: number; path: string }) {
  let close = () => {};
  const spill = new Spill(layout, memoryBytes, () => {
    removeDatabase(path);
    const database = openDatabase(path, REFUSE, () => {});
    close = () => {
      database.close();
      removeDatabase(path);
    };
    return database.store;
  });
  return { spill, close: () => close() };
}

/** Lookups as of moments of a log, each by its own clock. Like a replay it touches no data folder. */
export async function composeMoments(
  plan: Plan,
  source: Source,
  rows: { memoryBytes: number; path: string },
  around: Pick<ReplayParts, 'onRejected' | 'onBad'>,
  moments: Moment[],
): Promise<Answer[]> {
  const layout = await oneLayout(plan, source);
  const { spill, close } = spillOf(layout, rows);
  try {
    return await answersAt({ layout, spill, source, ...around }, moments);
  } finally {
    close();
  }
}

/** The log as it lies in its folder, beside whoever writes to it: what is told is of records [from, to). */
async function logStretch(config: Config, stretch: Pick<LogStretch, 'from' | 'to'>): Promise<LogStretch> {
  const disk = readableLog(config);
  const { start } = await listSegments(disk, config.log.dir);
  return { source: await folderLog(disk, config.log.dir), first: start, ...stretch };
}

/** @throws Fault as `tileTable` and `folderLog` */
export async function composeChanges(
  config: Config,
  choice: TileChoice,
  { step, ...stretch }: Pick<LogStretch, 'from' | 'to'> & { step: number },
): Promise<{ columns: TileTable['columns']; batches: AsyncIterable<TileBatch> }> {
  const { plan } = await planOf(config);
  const log = await logStretch(config, stretch);
  const [layout, shown] = await twoLayouts(plan, log);
  const { columns, batches } = changeTable(shown, choice);
  const all = async function* () {
    yield* withLastRows(config, plan, log, async function* (last) {
      for await (const rows of changedRows(layout, last, log, step)) yield* batches(rows);
    });
  };
  return { columns, batches: all() };
}

/** Where the last rows of upserts are while a log is told, within the memory that a fold has; what has no room lies in a file. */
async function* withLastRows<T>(
  config: Config,
  plan: Plan,
  { source }: LogStretch,
  tell: (last: Spill | null) => AsyncIterable<T>,
): AsyncGenerator<T> {
  if (lastRowsOf(plan).length === 0) {
    yield* tell(null);
    return;
  }
  // Several may be told of the same log at once.
  const path = join(tmpdir(), `tilefold-${process.pid}-${spillCount++}.spill`);
  const { spill, close } = spillOf(await oneLayout(plan, source), { memoryBytes: config.fold.memoryBytes, path });
  try {
    yield* tell(spill);
  } finally {
    close();
  }
}

let spillCount = 0;

/** One key's history. @throws Fault as `Asker.ask` and `folderLog` */
export async function composeHistory(
  config: Config,
  { entity, key, features }: { entity: string; key: KeyInput; features: string[] },
  stretch: Pick<LogStretch, 'from' | 'to'>,
): Promise<Pick<HistoryParts, 'answer' | 'features'> & { touches: AsyncIterable<Touch> }> {
  const { plan } = await planOf(config);
  const log = await logStretch(config, stretch);
  const [layout, shown] = await twoLayouts(plan, log);
  const asker = new Asker({ layout, position: () => -1, nowMicros: wallMicros });
  const {
    answer,
    features: asked,
    encoded,
  } = asker.ask({ features, entities: { [entity]: [key] }, at: null }).parts[0]!;
  const table = tileTable(shown, { entity, set: null, levelMs: null, fromMs: null, toMs: null, isRaw: false });
  const parts = { layout, table, log, answer, key: encoded[0]!, features: asked };
  const touches = withLastRows(config, plan, log, last => history({ ...parts, last }));
  return { answer, features: asked, touches };
}

/** Of a plan that is numbered here: one to decode and fold in, one to finish tiles in. */
async function twoLayouts(plan: Plan, { source }: LogStretch): Promise<[Layout, Layout]> {
  return [await oneLayout(plan, source), await oneLayout(plan, source)];
}

async function oneLayout(plan: Plan, { clock }: Pick<Source, 'clock'>): Promise<Layout> {
  return layPlan(await loadKernel(), plan, countedIds(plan), { clock, aheadMaxMs: AHEAD_MAX_MS, shards: 1 });
}
