import type { State } from '../../base/metrics.ts';
import { Stages } from '../../base/stages.ts';
import { wallMicros } from '../../base/time.ts';
import type { Now } from '../../http/feature_sets.ts';
import { type Watcher, nowOf } from '../../ingest/engine.ts';
import { Ingest } from '../../ingest/ingest.ts';
import type { Meta } from '../../meta/meta.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Start } from '../../plan/transition.ts';
import type { LookUp } from '../../read/read.ts';
import type { BackfillState, BackfillSteps } from './backfill.ts';
import { type Rebuild, prepareRows } from './beginning.ts';
import type { Config } from '../config.ts';
import { type Held, closeAll, hold } from './data_folder.ts';
import { durablePosition, openDatabase, removeDatabase } from './database.ts';
import { foldingOf } from './engine.ts';
import { type Applied, Live, isComputed } from './live.ts';

/** Everything that works on one data folder, wired together. */
export interface Parts {
  /** That is in force now. */
  readonly plan: Plan;
  ingest: Ingest;
  reader: LookUp;
  meta: Meta;
  state: () => State;
  /** How far the log has come, for the catalogue. */
  moment: () => Now;
  /** Of this thread. */
  stages: Stages;
  /** Brings other definitions into force, while events come and lookups are answered. */
  apply: (next: Plan, start: Start) => Promise<Applied>;
  /** Gives up what is to come into force; false where nothing is. */
  abort: () => Promise<boolean>;
  /** What waits for its windows; null where nothing does. */
  waiting: () => Live['waiting'];
  /** Lets it take over, where they are whole. A server does so by itself. */
  settle: () => Promise<void>;
  /** How far what is computed from the log has come; null where nothing is. */
  backfilling: () => BackfillState | null;
  /** Resolves when nothing is computed any more. */
  backfilled: () => Promise<void>;
  /** Writes what is in memory and lets go of everything, the folder's lock last. */
  close(): Promise<void>;
}

/** What goes on around the parts. */
export interface Surroundings {
  /** Where this process will serve, for other commands to find it; null where it does not. */
  announce: string | null;
  /** Where a failure goes that no request waits for: the process has to end. */
  onFailure: (error: unknown) => void;
  /** Takes a sentence on what was found on opening. */
  note: (text: string) => void;
  watcher?: Watcher;
  /**
   * Forgets all rows and errors, and folds the log anew; killed on the way, the next process goes on with it. `rest` of a
   * log that no longer begins at 0 folds what there still is of it.
   */
  rebuilds?: Rebuild;
  /** One thread does it all: a command that only looks has no work for more. */
  isAlone?: boolean | undefined;
  /** Of what is computed from the log, instead of the usual numbers. */
  steps?: BackfillSteps | undefined;
}

/**
 * Puts the parts together: definitions -> lock -> log and store (data_folder.ts) -> rows to go on with (beginning.ts) -> kernel and
 * threads (engine.ts) -> ingest -> reader. The definitions come first, so that faulty ones never touch the data.
 *
 * @throws Fault `busy` where another process holds the folder
 */
export async function compose(config: Config, surroundings: Surroundings): Promise<Parts> {
  const { announce, onFailure, note, watcher, rebuilds } = surroundings;
  const held = await hold(config, note, { damaged: rebuilds ? 'replace' : 'refuse', old: 'replace' });
  const { undo, log, locks, database } = held;
  const { meta } = database;
  try {
    const inForce = await prepareRows(held, rebuilds ?? null, note);
    const { isAlone = false } = surroundings;
    const { workers } = config.fold;
    const stages = new Stages();
    const around = { onFailure, watcher, stages };
    const sidePath = `${config.store.sqlite}.backfill`;
    const live = await Live.open(
      {
        ...{
          config,
          log,
          database,
          isServing: announce !== null,
          nowMicros: wallMicros,
          onFailure,
          steps: surroundings.steps,
        },
        // Beside whatever goes on one thread is enough, and its times are nobody's.
        open: (parts, isBeside) =>
          foldingOf({
            ...parts,
            ...(isBeside ? { onFailure, stages: new Stages() } : around),
            ...{ config, isAlone, workers: isBeside ? 1 : workers },
          }),
        side: {
          open: () => openDatabase(sidePath, { damaged: 'replace', old: 'replace' }, note),
          remove: () => removeDatabase(sidePath),
        },
      },
      inForce,
    );
    const { relay } = live;
    const foldedBefore = relay.folded;
    const settings = {
      engine: relay,
      log,
      barrierMs: config.fold.barrierMs,
      nowMicros: wallMicros,
      seed: randomBits,
      ...around,
    };
    const ingest = await Ingest.open(live.withDoor(settings));
    const trimming = trimNowAndThen(held, note);
    undo.unshift(() => trimming.end(config.log.s3 === null));
    undo.unshift(() => ingest.close());
    undo.unshift(() => live.stop());
    await live.settle();
    if (announce !== null) undo.unshift(settleNowAndThen(live, onFailure));
    if (announce !== null) live.resume();
    if (announce !== null) for (const lock of locks) lock.announce(announce);
    const state = (): State => ({
      logEnd: log.end,
      folded: relay.folded,
      rowsExpired: relay.expiredRows,
      recordsFolded: relay.folded - foldedBefore,
      rowsWritten: relay.writtenRows,
      refused: relay.refused(),
      behind: relay.behind(),
      stages: [{ thread: 'main', ms: stages.ms }, ...relay.stages()],
      uploads: config.log.s3 ? log.uploads() : null,
      backfill: live.backfilling,
      waitsUntilMicros: live.waiting?.untilMicros ?? null,
      ...live.sizes(),
    });
    const moment = (): Now => ({
      position: relay.folded - 1,
      clocks: relay.clocks(),
      nowMicros: nowOf(relay, config.log.clock, wallMicros),
      known: live.known,
      coming: live.coming,
    });
    return {
      get plan() {
        return live.plan;
      },
      ...{ ingest, reader: live, meta, state, moment, stages },
      apply: (next, start) => live.apply(next, start),
      abort: () => live.abort(),
      waiting: () => live.waiting,
      settle: () => live.settle(),
      backfilling: () => live.backfilling,
      backfilled: () => live.backfilled(),
      close: () => closeAll(undo),
    };
  } catch (error) {
    await closeAll(undo);
    throw error;
  }
}

/** Windows are whole to the minute at best. */
const SETTLE_EVERY_MS = 1_000;

/** @returns what ends it, and waits for what is under way */
function settleNowAndThen(live: Live, onFailure: (error: unknown) => void): () => Promise<void> {
  let settling: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (live.waiting) settling = live.settle().catch(onFailure);
  }, SETTLE_EVERY_MS);
  return async () => {
    clearInterval(timer);
    await settling;
  };
}

/** Often enough for segments that are closed by the hour. */
const TRIM_EVERY_MS = 60_000;

/** Lets segments leave the folder that need not stay, now and every minute. */
function trimNowAndThen({ log, database }: Held, note: (text: string) => void) {
  let isOver = false;
  const trim = async () => {
    try {
      // What is computed from the log may still need them.
      if (!(await log.isTrimmable(wallMicros())) || isOver || isComputed(database.meta.backfill())) return;
      const position = durablePosition(database);
      if (position !== null) await log.trim(position, wallMicros());
    } catch (error) {
      note(`segments could not leave the log's folder: ${(error as Error).message}`);
    }
  };
  void trim();
  const timer = setInterval(() => void trim(), TRIM_EVERY_MS);
  return {
    /**
     * Before the database is closed.
     *
     * @param once more for a command that is soon over, where nobody else has to be asked
     */
    async end(once: boolean) {
      clearInterval(timer);
      if (once) await trim();
      isOver = true;
    },
  };
}

function randomBits(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]!;
}
