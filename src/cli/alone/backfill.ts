import { assert } from '../../base/assert.ts';
import { Fault } from '../../base/fault.ts';
import { turn } from '../../base/turn.ts';
import type { Engine } from '../../ingest/engine.ts';
import type { Meta } from '../../meta/meta.ts';
import { LIFETIME_LEVEL_MS } from '../../plan/window.ts';
import { type EventLog, prefixOf } from '../../source/log.ts';
import { lineCount } from '../../source/segment.ts';
import type { Horizon, Mark, Row, RowAddress } from '../../store/store.ts';
import type { Folding } from './engine.ts';
import { durably, type OpenDatabase } from './database.ts';

/** Rows merged between two barriers: what a lookup may wait behind, some tens of milliseconds. */
const MERGED_AT_ONCE = 4_000;

/** Records that may be left when definitions take over: they are folded while events wait, some tens of milliseconds. */
const GAP_MAX = 5_000;

/** After so many rounds it is as near as it will come: events come as fast as they are folded. */
const ROUNDS_MAX = 12;

export interface BackfillParts {
  log: EventLog;
  /** Of all rows. */
  database: OpenDatabase;
  /** What folds and answers by the plan in force, and takes the rows that are made. */
  engine: Pick<Engine, 'merge' | 'barrier'>;
  /** Rows of what is new alone, in a database of their own. */
  side: OpenDatabase;
  /** Entities of the last rows of upserts: those of records before a round are among the others. */
  lastRows: number[];
  /** Folds them from where they are. */
  open: () => Promise<Folding>;
  /** Of rows that nothing would read any more. */
  horizons: () => Horizon[];
  /** Rests as long as it has worked, for whoever works beside it. */
  isGentle: boolean;
  steps?: BackfillSteps | undefined;
}

/** Instead of the usual numbers. */
export interface BackfillSteps {
  mergedAtOnce: number;
  gapMax: number;
}

/** How far it has come. */
export interface BackfillState {
  /** What it does just now: folds the log, or brings what it has made among the other rows. */
  doing: 'folding' | 'merging';
  /** Records of the log that are folded, of so many. */
  folded: number;
  end: number;
  /** Records folded in a second since this process has begun with it, with all that it rests. */
  rate: number;
  /** Rows that have been merged among the others by this process. */
  merged: number;
}

/** How far rows are among the others: those of records [0, base) all, and of [base, until) those up to an address. */
interface Progress {
  base: number;
  until: number | null;
  after: { entity: number; key: string; levelMs: number; tileStartMs: number } | null;
}

/** Nothing of it is among the other rows. */
export function isUnmerged(progress: string, log: Pick<EventLog, 'start'>): boolean {
  return progress === beginningOf(log);
}

/** Of one that nobody goes on with just now. */
export function restingState(progress: string, log: Pick<EventLog, 'end'>): BackfillState {
  const { base, until } = JSON.parse(progress) as Progress;
  return { doing: until === null ? 'folding' : 'merging', folded: until ?? base, end: log.end, rate: 0, merged: 0 };
}

export function beginningOf(log: Pick<EventLog, 'start'>): string {
  return JSON.stringify({ base: log.start, until: null, after: null } satisfies Progress);
}

/**
 * Computes what is new from the log, beside whatever else goes on, and brings its rows among the others.
 *
 *   1. fold    the log from `base` to its end, into rows of its own
 *   2. merge   these rows as changes among the others, with how far that has come in the same transactions
 *   3. again   from there on, into empty rows, until little is left: the plan takes over when that has been merged too
 *
 * States merge in any order, and no event is in the rows of two rounds: so what comes out is what folding in one go gives.
 * Only the last rows of upserts go from one round to the next: they are read from where they have been merged.
 * Rows of its own are written with their position as all rows are; killed anywhere it goes on from where it was.
 */
export class Backfill {
  readonly #parts: BackfillParts;
  #progress: Progress;
  #folding: Folding | null = null;
  #merged = 0;
  #isMerging = false;
  /** Where this process has begun, and the time it has spent with folding since. */
  #foldedBefore: number | null = null;
  #foldingMs = 0;
  #isStopped = false;
  /** Events wait for it. */
  #isUrgent = false;

  constructor(parts: BackfillParts) {
    this.#parts = parts;
    this.#progress = JSON.parse(parts.database.meta.backfill()!.progress) as Progress;
  }

  get state(): BackfillState {
    const folded = this.#folding?.engine.folded ?? this.#progress.base;
    const done = this.#foldedBefore === null ? 0 : folded - this.#foldedBefore;
    return {
      doing: this.#isMerging ? 'merging' : 'folding',
      folded,
      end: this.#parts.log.end,
      rate: this.#foldingMs > 0 ? Math.max(0, Math.round((done * 1000) / this.#foldingMs)) : 0,
      merged: this.#merged,
    };
  }

  /** All but what is little; false where it was stopped before. */
  async run(): Promise<boolean> {
    for (let round = 0; !this.#isStopped; round++) {
      await this.#begin();
      const { base, until } = this.#progress;
      const { end } = this.#parts.log;
      if (until === null && (end - base <= (this.#parts.steps?.gapMax ?? GAP_MAX) || round >= ROUNDS_MAX)) return true;
      await this.#round(until ?? end, this.#parts.engine);
    }
    return false;
  }

  /**
   * The rest, up to where all others have been folded. They must not go on meanwhile.
   *
   * @returns where its own rows are then
   */
  async finish(position: number, engine: BackfillParts['engine']): Promise<Mark> {
    const { base } = this.#progress;
    this.#isUrgent = true;
    const isDone = await this.#round(position, engine);
    assert(isDone && base <= position, 'the rest is not stopped');
    return this.#parts.side.store.mark();
  }

  /** Lets go of its rows; what is done stays done. */
  async close(): Promise<void> {
    this.#isStopped = true;
    await this.#folding?.engine.close();
    this.#folding = null;
    this.#parts.side.close();
  }

  /** What is under way ends soon. */
  stop(): void {
    this.#isStopped = true;
  }

  async #round(until: number, engine: BackfillParts['engine']): Promise<boolean> {
    if (!(await this.#foldTo(until)) || !(await this.#merge(until, engine))) return false;
    const { meta, db } = this.#parts.database;
    this.#progress = { base: until, until: null, after: null };
    // Before its own rows go: they could not be made again from where the others say.
    durably(db, () => meta.progressBackfill(JSON.stringify(this.#progress)));
    return true;
  }

  /** Rows of its own that begin with `base`, and what folds them on from where they are. */
  async #begin(): Promise<void> {
    const { side, open, log } = this.#parts;
    const { base } = this.#progress;
    if (base < log.start)
      throw new Fault('expired', `record ${base} is the next to be computed, and the log begins with ${log.start}`);
    if (side.meta.currentPlan() === null || side.store.mark().position < log.start) this.#empty(log.start);
    if (side.meta.currentPlan()!.position !== base || side.store.mark().position < base) {
      // Only their clocks are of use.
      this.#folding ??= await open();
      if (!(await this.#foldTo(base))) return;
      await this.#folding.engine.close();
      this.#folding = null;
      this.#empty(base);
    }
    this.#folding ??= await open();
  }

  #empty(base: number): void {
    const { store, meta } = this.#parts.side;
    const highest = this.#parts.lastRows.map(entity => ({ entity, levelMs: LIFETIME_LEVEL_MS, tileStartMs: 0 }));
    const mark = { ...store.mark(), position: base, highest };
    store.clear(() => {
      store.commit([], mark);
      recordBase(meta, base);
    });
  }

  async #foldTo(until: number): Promise<boolean> {
    const { log } = this.#parts;
    const { engine } = this.#folding!;
    let position = engine.folded;
    this.#isMerging = false;
    this.#foldedBefore ??= position;
    assert(position <= until, `rows of ${position} records cannot be those of ${until}`);
    let folding: Promise<void> = Promise.resolve();
    let sinceMs = performance.now();
    let countedMs = sinceMs;
    for await (const block of prefixOf(log, until).read(position)) {
      if (this.#isStopped && !this.#isUrgent) return false;
      const from = position;
      position += lineCount(block.bytes);
      folding = engine.fold(block.bytes, from, block.arrivalMicros, position < until);
      // Whoever waits for the last one hears of it.
      folding.catch(() => {});
      await engine.room();
      sinceMs = await this.#rest(sinceMs);
      const nowMs = performance.now();
      this.#foldingMs += nowMs - countedMs;
      countedMs = nowMs;
    }
    await folding;
    await engine.barrier();
    return true;
  }

  async #merge(until: number, engine: BackfillParts['engine']): Promise<boolean> {
    const { side, horizons } = this.#parts;
    const { base, after } = this.#progress;
    this.#isMerging = true;
    let rows: Row[] = [];
    let sinceMs = performance.now();
    const hand = async () => {
      const { value, key, ...last } = rows.at(-1)!;
      this.#progress = { base, until, after: { ...last, key: Buffer.from(key).toString('hex') } };
      const over = new Map(horizons().map(one => [`${one.entity} ${one.levelMs}`, one.beforeMs]));
      const kept = rows.filter(row => row.tileStartMs >= (over.get(`${row.entity} ${row.levelMs}`) ?? -Infinity));
      engine.merge(kept, JSON.stringify(this.#progress));
      this.#merged += kept.length;
      rows = [];
      await engine.barrier();
      await turn();
      sinceMs = await this.#rest(sinceMs);
    };
    for (const row of side.store.scan(after ? addressOf(after) : undefined)) {
      if (this.#isStopped && !this.#isUrgent) return false;
      rows.push(row);
      if (rows.length >= (this.#parts.steps?.mergedAtOnce ?? MERGED_AT_ONCE)) await hand();
    }
    if (rows.length > 0) await hand();
    return true;
  }

  /** @returns when work began again */
  async #rest(sinceMs: number): Promise<number> {
    const workedMs = performance.now() - sinceMs;
    if (!this.#parts.isGentle || this.#isUrgent || workedMs < REST_MIN_MS) return sinceMs;
    await Bun.sleep(Math.min(workedMs, REST_MAX_MS));
    return performance.now();
  }
}

/** Shorter ones are not worth a timer; a longer one says that something else was waited for. */
const REST_MIN_MS = 10;
const REST_MAX_MS = 200;

function addressOf({ key, ...rest }: NonNullable<Progress['after']>): RowAddress {
  return { ...rest, key: new Uint8Array(Buffer.from(key, 'hex')) };
}

/** Of rows of its own only the first record is recorded: what they are of is known. */
function recordBase(meta: Meta, base: number): void {
  meta.recordPlan({ hash: '', position: base, appliedAtMicros: 0n, json: '', rowsFrom: null, members: null });
}
