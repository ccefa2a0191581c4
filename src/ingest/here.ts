import { assert } from '../base/assert.ts';
import { turn } from '../base/turn.ts';
import { resumeClocks, typeClocks } from '../kernel/clock.ts';
import type { Fold } from '../kernel/fold.ts';
import { Decoder } from '../kernel/ndjson.ts';
import type { Meta } from '../meta/meta.ts';
import type { Mark, Store } from '../store/store.ts';
import type { Pipeline } from './advance.ts';
import { advance } from './advance.ts';
import { writeBarrier } from './barrier.ts';
import { sliceEnd } from './door.ts';
import { type BadRecord, type Engine, ERRORS_PENDING_MAX, type Watcher } from './engine.ts';
import type { Keeping } from './expiry.ts';

/**
 * Dirty rows that bring a barrier forward: they bound its transaction, and so how long a lookup may wait behind it.
 * 20,000 took 140 ms and 50,000 took 230 ms; fewer are written more often: a week of flights took 3.8 s with 20,000,
 * 3.1 s with 50,000 and no less with 200,000.
 */
const DIRTY_MAX = 25_000;

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
}

/** Decoding, folding and writing in this thread, batch by batch, with a turn of the event loop between batches. */
export class Here implements Engine {
  readonly #parts: HereParts;
  readonly #decoder: Decoder;
  #folded: number;
  #expiredRows = 0;
  #errors: BadRecord[] = [];
  /** Lines are folded one body after the other. */
  #work: Promise<void> = Promise.resolve();
  #failure: unknown = null;
  #closed = false;

  /** Takes up where the store's rows end. */
  constructor(parts: HereParts) {
    this.#parts = parts;
    const { layout, folds } = parts.pipeline;
    this.#decoder = new Decoder(layout.kernel, layout.types);
    const mark = parts.store.mark();
    this.#folded = mark.position;
    resumeClocks(layout, mark.clocks);
    for (const fold of folds) fold.resume(mark.highest);
  }

  get folded(): number {
    return this.#folded;
  }

  get expiredRows(): number {
    return this.#expiredRows;
  }

  greatestClock(): bigint | null {
    const { exports } = this.#parts.pipeline.layout.kernel;
    const greatest = exports.greatestClock();
    return greatest === exports.CLOCK_NONE.value ? null : greatest;
  }

  fold(lines: Uint8Array, position: number, arrivalMicros: bigint | null): Promise<void> {
    const folding = this.#work.then(() => this.#foldNext(lines, position, arrivalMicros));
    // Whoever waits for these lines hears of a failure, and so does everybody after them.
    this.#work = folding.catch(() => {});
    return folding;
  }

  async #foldNext(lines: Uint8Array, position: number, arrivalMicros: bigint | null): Promise<void> {
    if (this.#failure) throw this.#failure;
    assert(position === this.#folded, `lines from ${position} on, where ${this.#folded} is the next`);
    try {
      await this.#fold(lines, arrivalMicros);
    } catch (error) {
      this.#failure = error;
      this.#parts.onFailure(error);
      throw error;
    }
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
    if (store.mark().position === this.#folded && this.#errors.length === 0) return;
    const startMs = performance.now();
    const errors = this.#errors;
    const mark = this.#mark();
    // Last: they are views, which a call that grows the kernel's memory would empty.
    const rows = pipeline.folds.flatMap(fold => fold.dirtyRows());
    this.#expiredRows += writeBarrier(store, meta, keeping, { rows, rowCount: rows.length, mark, errors });
    this.#errors = [];
    for (const fold of pipeline.folds) fold.settle();
    this.#parts.watcher?.barrier((performance.now() - startMs) / 1000, rows.length);
    for (const fold of pipeline.folds) fold.evict(this.#isOver(fold) ? this.#shareBytes / 2 : Number.POSITIVE_INFINITY);
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
  async #fold(lines: Uint8Array, arrivalMicros: bigint | null): Promise<void> {
    for (let from = 0; from < lines.length; from += this.#decoder.offset) {
      if (from > 0) await turn();
      assert(!this.#closed, 'an engine is closed when nothing is on its way');
      this.#decoder.fill(lines.subarray(from, sliceEnd(lines, from)));
      this.#foldBatch(arrivalMicros);
    }
  }

  /** Memory is exactly at a record before it and after it: a barrier may come between any two. */
  #foldBatch(arrivalMicros: bigint | null): void {
    this.#decoder.next(this.#folded, arrivalMicros);
    advance(this.#parts.pipeline);
    for (const bad of this.#decoder.bad()) {
      this.#errors.push({ ...bad, position: this.#folded + bad.record });
      this.#parts.watcher?.bad(bad.code);
    }
    this.#folded += this.#decoder.count;
    assert(this.#decoder.rejected().length === 0, 'every line of the log has passed the door');
    const dirtyCount = this.#parts.pipeline.folds.reduce((sum, fold) => sum + fold.dirtyCount, 0);
    const isOver = this.#parts.pipeline.folds.some(fold => this.#isOver(fold));
    if (isOver || dirtyCount > DIRTY_MAX || this.#errors.length > ERRORS_PENDING_MAX) this.barrier();
  }

  #mark(): Mark {
    const { layout, folds } = this.#parts.pipeline;
    return {
      position: this.#folded,
      clocks: typeClocks(layout),
      highest: folds.flatMap(fold => fold.highest()),
    };
  }

  /** Of the memory for rows, what one shard may take. */
  get #shareBytes(): number {
    return this.#parts.foldMemoryBytes / this.#parts.pipeline.folds.length;
  }

  #isOver(fold: Fold): boolean {
    return fold.stateBytes > this.#shareBytes;
  }
}
