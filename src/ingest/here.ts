import { assert } from '../base/assert.ts';
import type { Behind } from '../base/metrics.ts';
import { Stages, type ThreadStages } from '../base/stages.ts';
import { collectSoon } from '../base/release.ts';
import type { TypeClock } from '../base/time.ts';
import { turn } from '../base/turn.ts';
import { completeBatch } from '../kernel/upsert.ts';
import { greatestClock, resumeClocks, typeClocks } from '../kernel/clock.ts';
import { changesByShard } from '../kernel/change.ts';
import type { FoldedRow } from '../kernel/folded_row.ts';
import { behindCounts, behindOf, takeRefused } from '../kernel/late.ts';
import type { Fold } from '../kernel/fold.ts';
import type { ReadRanges } from '../kernel/hold.ts';
import { type BadEvent, Decoder } from '../kernel/ndjson.ts';
import { sequence } from '../kernel/sequence.ts';
import { pickedBytes } from '../kernel/gather.ts';
import type { Meta } from '../meta/meta.ts';
import type { RunsAhead } from '../store/ahead.ts';
import { PIECE_BYTES } from '../store/pack.ts';
import type { Mark, RowReader, Store } from '../store/store.ts';
import type { Pipeline } from './advance.ts';
import { foldGathered, gather, gatherRecords, isGathered, select } from './advance.ts';
import { enrichedRecords, type TakeEnriched } from './enrich.ts';
import { type BarrierWork, type BesideWriter, writeBarrier } from './barrier.ts';
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

/** Memory may run over its bound by so much while the writer is at work; then folding waits for it. */
const OVER_MAX = 1.5;

/** Dirty rows that bring a barrier forward where lookups may wait behind its transaction. */
const DIRTY_MAX = 40_000;

/** As many where nobody waits but for the snapshot, some ten milliseconds: a larger run costs its rows fewer merges with others. */
const DIRTY_BESIDE_MAX = 200_000;

export interface HereParts {
  pipeline: Pipeline;
  store: Store;
  meta: Meta;
  /** Writes barriers in another thread, while folding goes on; without it this one does. */
  writer?: BesideWriter | null;
  /** What folding and events read rows back with; without it the store itself. */
  rows?: Pick<RowReader, 'readKey' | 'ahead'>;
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
  readonly #writerStages = new Stages();
  #errors: BadRecord[] = [];
  readonly #late: LateLedger;
  /** How far rows from elsewhere have been merged in, since the last barrier. */
  #merged: string | null = null;
  /** Lines are folded one body after the other. */
  #work: Promise<void> = Promise.resolve();
  /** The barrier that the writer is at. */
  #writing: Promise<void> | null = null;
  /** Where the store is. */
  #written: number;
  #failure: unknown = null;
  #closed = false;

  /** Takes up where the store's rows end. */
  constructor(parts: HereParts) {
    this.#parts = parts;
    this.#stages = parts.stages ?? new Stages();
    const { layout, folds } = parts.pipeline;
    this.#decoder = new Decoder(layout.kernel, layout.types);
    const mark = parts.store.mark();
    this.#folded = this.#written = mark.position;
    resumeClocks(layout, mark.clocks);
    this.#late = new LateLedger(layout, parts.meta.late());
    for (const fold of folds) {
      fold.resume(mark.highest);
      fold.boundBytes = parts.foldMemoryBytes / folds.length;
    }
  }

  /** Where rows go that memory has no room for before the next barrier. */
  get #ahead(): RunsAhead {
    const { rows, store } = this.#parts;
    return (rows ?? store).ahead;
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
    return this.#parts.writer ? [{ thread: 'writer', ms: this.#writerStages.ms }] : [];
  }

  greatestClock(): bigint | null {
    return greatestClock(this.#parts.pipeline.layout);
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
      this.#fail(error);
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

  barrier(): void | Promise<void> {
    // Memory is part of the way, and so must not be written.
    if (this.#failure) throw this.#failure;
    const { writer } = this.#parts;
    return writer ? this.#barrierBeside(writer) : this.#barrierHere(false);
  }

  #barrierHere(isBulk: boolean): void {
    const { store } = this.#parts;
    this.#foldGathered();
    if (store.mark().position === this.#folded && this.#isWritten) this.#makeRoom();
    else this.#writeHere(isBulk);
  }

  #writeHere(isBulk: boolean): void {
    const { pipeline, store, meta, keeping } = this.#parts;
    const startMs = performance.now();
    const { rowCount, ...work } = this.#barrierWork();
    const sealed = () => [
      ...this.#ahead.takeOff(),
      ...pipeline.folds.map(fold => this.#ahead.seal(fold.dirtyPacks(PIECE_BYTES))),
    ];
    this.#expiredRows += this.#stages.time('write', () =>
      writeBarrier(store, meta, keeping, { ...work, rows: { runs: [], sealed: sealed(), isBulk }, rowCount }),
    );
    this.#settle(startMs, rowCount);
  }

  async settle(): Promise<void> {
    if (this.#failure) throw this.#failure;
    const { writer, store } = this.#parts;
    while (this.#writing) await this.#writing;
    if (this.#closed || store.isSettled()) return;
    this.#foldGathered();
    if (writer) await this.#startWriting(writer, false);
    else this.#writeHere(false);
  }

  /** What is folded now is in the store when it resolves. */
  async #barrierBeside(writer: BesideWriter): Promise<void> {
    const position = this.#folded;
    // One that is under way may have begun before the latest errors and rows.
    while (this.#writing) await this.#writing;
    this.#foldGathered();
    if (this.#written >= position && this.#isWritten) this.#makeRoom();
    else await this.#startWriting(writer, false);
  }

  #startWriting(writer: BesideWriter, isBulk: boolean): Promise<void> {
    const startMs = performance.now();
    const { folds } = this.#parts.pipeline;
    const work = this.#barrierWork();
    const runs = this.#stages.time('snapshot', () => folds.map(fold => fold.snapshot()));
    const sealed = this.#ahead.takeOff();
    const write = async () => {
      const { expired, seconds } = await writer.write({ ...work, runs, sealed, isBulk });
      this.#written = work.mark.position;
      this.#expiredRows += expired;
      this.#writerStages.add('write', seconds * 1000);
      this.#settle(startMs, work.rowCount);
    };
    this.#writing = write().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  /** Nothing waits to be written but rows. */
  get #isWritten(): boolean {
    return this.#errors.length === 0 && this.#merged === null && this.#late.isWritten;
  }

  /** What a barrier of this moment brings beside rows: the next one does not bring it again. */
  #barrierWork(): Omit<BarrierWork, 'rows'> {
    const { folds } = this.#parts.pipeline;
    const rowCount = folds.reduce((sum, fold) => sum + fold.dirtyCount, this.#ahead.pendingRows);
    this.#takeRefused();
    const work = { rowCount, mark: this.#mark(), errors: this.#errors, late: this.#late.take(), merged: this.#merged };
    this.#errors = [];
    this.#merged = null;
    return work;
  }

  #settle(startMs: number, rowCount: number): void {
    const { pipeline, watcher } = this.#parts;
    collectSoon();
    this.#writtenRows += rowCount;
    for (const fold of pipeline.folds) fold.settle();
    this.#ahead.settle();
    watcher?.barrier((performance.now() - startMs) / 1000, rowCount);
    for (const fold of pipeline.folds) this.#evict(fold, fold.hasRoom ? Number.POSITIVE_INFINITY : fold.boundBytes / 2);
  }

  /** A barrier that is due. Folding goes on beside the writer, unless memory runs over. */
  #dueBarrier(isBehind: boolean): void | Promise<void> {
    const { pipeline, writer } = this.#parts;
    const isBulk = isBehind && !pipeline.folds.some(({ hasMissedRows }) => hasMissedRows);
    if (!writer) return this.#barrierHere(isBulk);
    // Rows that are put away wait for the next barrier, and no more are put away before it.
    const waits = this.#isOver || this.#ahead.pendingRows > 0;
    if (this.#writing) return waits ? this.#writing.then(() => this.#barrierIfDue(isBehind)) : undefined;
    this.#startWriting(writer, isBulk).catch(error => this.#fail(error));
  }

  #barrierIfDue(isBehind: boolean): void | Promise<void> {
    if (this.#isDue(isBehind)) return this.#dueBarrier(isBehind);
  }

  get #isOver(): boolean {
    return this.#parts.pipeline.folds.some(fold => fold.stateBytes > fold.boundBytes * OVER_MAX);
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#parts.onFailure(error);
  }

  /** What lookups have read may fill memory, too, when nothing changes. */
  #makeRoom(): void {
    for (const fold of this.#parts.pipeline.folds) if (!fold.hasRoom) this.#evict(fold, fold.boundBytes / 2);
  }

  #evict(fold: Fold, targetBytes: number): void {
    this.#stages.time('evict', () => fold.evict(targetBytes));
  }

  close(): void | Promise<void> {
    assert(!this.#closed, 'an engine is closed once');
    this.#closed = true;
    const { writer } = this.#parts;
    const written = this.barrier();
    return writer ? Promise.resolve(written).then(() => writer.close()) : written;
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
      const { kernel } = this.#parts.pipeline.layout;
      if (pickedBytes(kernel) === 0) await this.#barrierIfDue(how.isBehind);
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
    if (!isBehind || this.#isEnough) this.#foldGathered();
  }

  /** Events that are gathered go first where rows take too much of what is folded at once, for no barrier comes before. */
  get #isEnough(): boolean {
    const { pipeline, foldMemoryBytes } = this.#parts;
    return isGathered(pipeline.layout.kernel, foldMemoryBytes) || this.#isOver;
  }

  /** Records in turn: what each reads is there before the next one writes. The others' aggregates are gathered as ever. */
  #sequenceBatch(bads: BadEvent[], take: TakeEnriched | null): void {
    const { pipeline, store, rows } = this.#parts;
    const { layout, folds } = pipeline;
    const { exports } = layout.kernel;
    const fold = folds[0]!;
    const readRanges: ReadRanges = (...asked) => (rows ?? store).readKey(...asked);
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
    foldGathered(pipeline, this.#stages, this.#ahead);
    this.#takeRefused();
  }

  #takeRefused(): void {
    this.#late.add(takeRefused(this.#parts.pipeline.layout));
  }

  #isDue(isBehind: boolean): boolean {
    const { pipeline, foldMemoryBytes, writer } = this.#parts;
    const { folds } = pipeline;
    if (this.#ahead.pendingRows > 0 || folds.some(fold => !fold.hasRoom) || this.#errors.length > ERRORS_PENDING_MAX)
      return true;
    const dirtyCount = folds.reduce((sum, fold) => sum + fold.dirtyCount, 0);
    if (dirtyCount > (writer ? DIRTY_BESIDE_MAX : DIRTY_MAX) && !isBehind) return true;
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
