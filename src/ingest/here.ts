import { assert } from '../base/assert.ts';
import type { Behind } from '../base/metrics.ts';
import { Stages, type ThreadStages } from '../base/stages.ts';
import { collectSoon } from '../base/release.ts';
import type { TypeClock } from '../base/time.ts';
import { turn } from '../base/turn.ts';
import { pickedBytes } from '../kernel/tile.ts';
import { completeBatch } from '../kernel/upsert.ts';
import { resumeClocks, typeClocks } from '../kernel/clock.ts';
import { changesByShard } from '../kernel/change.ts';
import type { FoldedRow } from '../kernel/fold.ts';
import { behindCounts, behindOf, takeRefused } from '../kernel/late.ts';
import type { ReadRanges } from '../kernel/hold.ts';
import { type BadEvent, Decoder } from '../kernel/ndjson.ts';
import { sequence } from '../kernel/sequence.ts';
import type { Meta } from '../meta/meta.ts';
import type { Mark, Store } from '../store/store.ts';
import type { Pipeline } from './advance.ts';
import { foldGathered, GATHERED_BYTES, gather, gatherRecords, select } from './advance.ts';
import { enrichedRecords, type TakeEnriched } from './enrich.ts';
import { writeBarrier } from './barrier.ts';
import { sliceEnd } from './door.ts';
import { type BadRecord, DIRTY_SHARE, type Engine, ERRORS_PENDING_MAX, type Watcher } from './engine.ts';
import type { Keeping } from './expiry.ts';
import { LateLedger, type RefusedCount } from './late.ts';

/** Records that are taken one after the other are decoded by fewer at a time: their rows are many, and there is no barrier between them. */
const SEQUENCED_BYTES = 64 << 10;

/** How lines are folded, and who wants to know what their events are answered with. */
interface How {
  arrivalMicros: bigint | null;
  isBehind: boolean;
  take: TakeEnriched | null;
}

/** Dirty rows that bring a barrier forward where lookups may wait behind its transaction. */
const DIRTY_MAX = 40_000;

export interface HereParts {
  pipeline: Pipeline;
  store: Store;
  meta: Meta;
  /** How long rows are kept; empty where none ever leave the store. */
  keeping: Keeping[];
  /** What rows in memory may occupy. Beyond it there is a barrier, and the rows not used for longest leave. */
  foldMemoryBytes: number;
  onFailure: (error: unknown) => void;
  watcher?: Watcher | undefined;
  /** Of this thread. */
  stages?: Stages | undefined;
}

/** Decoding, folding and writing in this thread, batch by batch, with a turn of the event loop between batches. */
export class Here implements Engine {
  readonly #parts: HereParts;
  readonly #decoder: Decoder;
  readonly #stages: Stages;
  #folded: number;
  #expiredRows = 0;
  #writtenRows = 0;
  #errors: BadRecord[] = [];
  readonly #late: LateLedger;
  /** How far rows from elsewhere have been merged in, since the last barrier. */
  #merged: string | null = null;
  /** Lines are folded one body after the other. */
  #work: Promise<void> = Promise.resolve();
  #failure: unknown = null;
  #closed = false;

  /** Takes up where the store's rows end. */
  constructor(parts: HereParts) {
    this.#parts = parts;
    this.#stages = parts.stages ?? new Stages();
    const { layout, folds } = parts.pipeline;
    this.#decoder = new Decoder(layout.kernel, layout.types);
    const mark = parts.store.mark();
    this.#folded = mark.position;
    resumeClocks(layout, mark.clocks);
    this.#late = new LateLedger(layout, parts.meta.late());
    for (const fold of folds) {
      fold.resume(mark.highest);
      fold.boundBytes = parts.foldMemoryBytes / folds.length;
    }
  }

  get folded(): number {
    return this.#folded;
  }

  get expiredRows(): number {
    return this.#expiredRows;
  }

  get writtenRows(): number {
    return this.#writtenRows;
  }

  stages(): ThreadStages[] {
    return [];
  }

  greatestClock(): bigint | null {
    const { exports } = this.#parts.pipeline.layout.kernel;
    const greatest = exports.greatestClock();
    return greatest === exports.CLOCK_NONE.value ? null : greatest;
  }

  refused(): RefusedCount[] {
    return this.#late.counts();
  }

  behind(): Behind {
    const { layout } = this.#parts.pipeline;
    return behindOf(layout, behindCounts(layout));
  }

  clocks(): Map<string, TypeClock> {
    return typeClocks(this.#parts.pipeline.layout);
  }

  fold(
    lines: Uint8Array,
    position: number,
    arrivalMicros: bigint | null,
    isBehind = false,
    take: TakeEnriched | null = null,
  ): Promise<void> {
    const folding = this.#work.then(() => this.#foldNext(lines, position, { arrivalMicros, isBehind, take }));
    // Whoever waits for these lines hears of a failure, and so does everybody after them.
    this.#work = folding.catch(() => {});
    return folding;
  }

  async #foldNext(lines: Uint8Array, position: number, how: How): Promise<void> {
    if (this.#failure) throw this.#failure;
    assert(position === this.#folded, `lines from ${position} on, where ${this.#folded} is the next`);
    try {
      await this.#fold(lines, how);
    } catch (error) {
      this.#failure = error;
      this.#parts.onFailure(error);
      throw error;
    }
  }

  merge(rows: FoldedRow[], progress: string): void {
    if (this.#failure) throw this.#failure;
    const { layout, folds } = this.#parts.pipeline;
    for (const [shard, batch] of changesByShard(layout.kernel, rows, folds.length).entries())
      folds[shard]!.apply(batch);
    this.#merged = progress;
  }

  async room(): Promise<void> {
    await this.#work;
    // Whoever waits on this thread goes first.
    await turn();
  }

  barrier(): void {
    // Memory is part of the way, and so must not be written.
    if (this.#failure) throw this.#failure;
    const { pipeline, store, meta, keeping } = this.#parts;
    this.#foldGathered();
    const merged = this.#merged;
    if (store.mark().position === this.#folded && this.#errors.length === 0 && merged === null) {
      this.#makeRoom();
      return;
    }
    const startMs = performance.now();
    const errors = this.#errors;
    const mark = this.#mark();
    const rowCount = pipeline.folds.reduce((sum, fold) => sum + fold.dirtyCount, 0);
    const late = this.#late.take();
    const rows = { runs: pipeline.folds.map(fold => fold.dirtyRun()) };
    const work = { rows, rowCount, mark, errors, late, merged };
    this.#expiredRows += this.#stages.time('write', () => writeBarrier(store, meta, keeping, work));
    collectSoon();
    this.#writtenRows += rowCount;
    this.#errors = [];
    this.#merged = null;
    for (const fold of pipeline.folds) fold.settle();
    this.#parts.watcher?.barrier((performance.now() - startMs) / 1000, rowCount);
    for (const fold of pipeline.folds) fold.evict(fold.hasRoom ? Number.POSITIVE_INFINITY : fold.boundBytes / 2);
  }

  /** What lookups have read may fill memory, too, when nothing changes. */
  #makeRoom(): void {
    for (const fold of this.#parts.pipeline.folds) if (!fold.hasRoom) fold.evict(fold.boundBytes / 2);
  }

  close(): void {
    assert(!this.#closed, 'an engine is closed once');
    this.#closed = true;
    this.barrier();
  }

  /**
   * decode -> advance, batch by batch, with a turn of the event loop between them: lookups see how far it has come.
   * The kernel's input is anybody's meanwhile, so each batch is filled in anew.
   */
  async #fold(lines: Uint8Array, how: How): Promise<void> {
    if (!how.isBehind) this.#foldGathered();
    const { isSequenced } = this.#parts.pipeline.layout;
    for (let from = 0; from < lines.length; from += this.#decoder.offset) {
      if (from > 0) await turn();
      assert(!this.#closed, 'an engine is closed when nothing is on its way');
      const end = sliceEnd(lines, from, isSequenced ? SEQUENCED_BYTES : undefined);
      this.#stages.time('decode', () => this.#decoder.fill(lines.subarray(from, end)));
      this.#foldBatch(how);
    }
  }

  /** Memory is exactly at a record before it and after it: a barrier may come between any two. */
  #foldBatch({ arrivalMicros, isBehind, take }: How): void {
    const { layout } = this.#parts.pipeline;
    this.#stages.time('decode', () => this.#decoder.next(this.#folded, arrivalMicros));
    this.#completeBatch();
    const bads = this.#decoder.bad();
    if (layout.isSequenced) this.#sequenceBatch(bads, take);
    else gather(layout, this.#stages);
    for (const bad of bads) {
      this.#errors.push({ ...bad, position: this.#folded + bad.record });
      this.#parts.watcher?.bad(bad.code);
    }
    this.#folded += this.#decoder.count;
    assert(this.#decoder.rejected().length === 0, 'every line of the log has passed the door');
    if (isBehind && pickedBytes(this.#parts.pipeline.layout.kernel) < GATHERED_BYTES) return;
    this.#foldGathered();
    if (this.#isDue(isBehind)) this.barrier();
  }

  /** Records in turn: what each reads is there before the next one writes. The others' aggregates are gathered as ever. */
  #sequenceBatch(bads: BadEvent[], take: TakeEnriched | null): void {
    const { pipeline, store } = this.#parts;
    const { layout, folds } = pipeline;
    const { exports } = layout.kernel;
    const fold = folds[0]!;
    const readRanges: ReadRanges = (...asked) => store.readKey(...asked);
    this.#stages.time('select', () => select(layout));
    const { count } = this.#decoder;
    for (let from = 0; from < count; ) {
      exports.forgetTexts();
      const to = this.#stages.time('fold', () => sequence(layout, fold, readRanges, from, count));
      gatherRecords(layout, from, to, this.#stages);
      take?.(enrichedRecords(layout, from, to, this.#folded, bads));
      from = to;
    }
  }

  /** Whichever shard keeps the last rows, they are at the position that is folded. */
  #completeBatch(): void {
    const { layout, folds } = this.#parts.pipeline;
    if (layout.keepsLastRows) this.#stages.time('fold', () => completeBatch(layout.kernel, folds[0]!));
  }

  #foldGathered(): void {
    const { pipeline } = this.#parts;
    foldGathered(pipeline, this.#stages);
    this.#late.add(takeRefused(pipeline.layout));
  }

  #isDue(isBehind: boolean): boolean {
    const { pipeline, foldMemoryBytes } = this.#parts;
    const { folds } = pipeline;
    if (folds.some(fold => !fold.hasRoom) || this.#errors.length > ERRORS_PENDING_MAX) return true;
    const dirtyCount = folds.reduce((sum, fold) => sum + fold.dirtyCount, 0);
    if (dirtyCount > DIRTY_MAX && !isBehind) return true;
    return folds.reduce((sum, fold) => sum + fold.dirtyBytes, 0) > foldMemoryBytes * DIRTY_SHARE;
  }

  #mark(): Mark {
    const { layout, folds } = this.#parts.pipeline;
    return {
      position: this.#folded,
      clocks: typeClocks(layout),
      highest: folds.flatMap(fold => fold.highest()),
    };
  }
}
