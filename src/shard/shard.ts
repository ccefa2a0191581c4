import type { Stages } from '../base/stages.ts';
import { foldChanges, foldGathered, select } from '../ingest/advance.ts';
import type { BadRecord } from '../ingest/engine.ts';
import { type Clocks, clocksOf, decodedClocks, resumeDecoding, seeClocks } from '../kernel/clock.ts';
import type { Fold } from '../kernel/fold.ts';
import { behindCounts, type Refused, takeRefused } from '../kernel/late.ts';
import type { Layout } from '../kernel/layout.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { changes, spellChanges } from '../kernel/change.ts';
import { pick } from '../kernel/gather.ts';
import { gatherShare } from '../kernel/share.ts';
import { tilePicked } from '../kernel/tile.ts';
import { takeBack, upsertsOf } from '../kernel/upsert.ts';
import type { FeatureColumn } from '../kernel/feature_column.ts';
import { answerKeys, storedOf } from '../read/answer.ts';
import { type ExplainedFeature, Explainer } from '../read/explain.ts';
import { emptyColumns } from '../read/read.ts';
import { PIECE_BYTES } from '../store/pack.ts';
import type { Mark, RowReader } from '../store/store.ts';
import type { ShardSizes, TakenOff } from './message.ts';

export interface ShardParts {
  layout: Layout;
  fold: Fold;
  store: Pick<RowReader, 'readKey' | 'ahead'>;
  /** How many shards there are: so many buffers of changes come out of a chunk. */
  shards: number;
}

/**
 * One shard: decodes chunks of the log for all, folds the changes of its own keys, and answers for them. It knows
 * nothing of threads; `worker.ts` in cli/ gives it its messages.
 */
export class Shard {
  readonly #decoder: Decoder;
  readonly #explainer: Explainer;

  /**
   * @param mark how far the store's rows have been folded
   * @param stages of its thread
   */
  constructor(
    private readonly parts: ShardParts,
    mark: Mark,
    readonly stages: Stages,
  ) {
    const { layout, fold } = parts;
    this.#decoder = new Decoder(layout.kernel, layout.types);
    this.#explainer = new Explainer(parts);
    fold.resume(mark.highest);
    seeClocks(layout, clocksOf(layout, mark.clocks));
  }

  /** Decodes the first batch of a chunk, as far as that goes without the clocks before it. */
  parse(lines: Uint8Array, position: number): void {
    this.stages.time('decode', () => this.#decoder.fill(lines));
    this.parseNext(position);
  }

  /** Has all of the chunk been decoded? Mostly one batch takes it. */
  get isDone(): boolean {
    return this.#decoder.isDone;
  }

  parseNext(position: number): void {
    this.stages.time('decode', () => this.#decoder.parse(position));
  }

  /** Events of the batch. */
  get count(): number {
    return this.#decoder.count;
  }

  /** Moves the clocks past the batch; returns where they stand, and the events that are bad. */
  pass(clocks: Clocks, position: number, arrivalMicros: bigint | null): { clocks: Clocks; bad: BadRecord[] } {
    const { layout } = this.parts;
    resumeDecoding(layout, clocks);
    this.stages.time('decode', () => this.#decoder.passClocks(arrivalMicros));
    const bad = this.#decoder.bad().map(one => ({ ...one, position: position + one.record }));
    return { clocks: decodedClocks(layout), bad };
  }

  /** Upserts of the batch, its clocks passed, of which `takeBack` is to be told what they take back; null where there are none. */
  upserts(): Uint8Array<ArrayBuffer> | null {
    const { kernel, keepsLastRows } = this.parts.layout;
    const upserts = keepsLastRows ? upsertsOf(kernel) : null;
    return upserts && upserts.length > 0 ? upserts.slice() : null;
  }

  takeBack(before: Uint8Array): void {
    this.stages.time('decode', () => takeBack(this.parts.layout.kernel, before));
  }

  /** The batch is to be tiled, together with those of the chunk before it. */
  pick(): void {
    const { layout } = this.parts;
    this.stages.time('select', () => select(layout));
    this.stages.time('tile', () => pick(layout.kernel, 0, this.#decoder.count));
  }

  /** The changes of the batches that were picked, for each shard a buffer of its own. */
  tile(): Uint8Array<ArrayBuffer>[] {
    const { layout, shards } = this.parts;
    return this.stages.time('tile', () => {
      tilePicked(layout.kernel);
      spellChanges(layout.kernel);
      return Array.from({ length: shards }, (_, shard) => changes(layout.kernel, shard).slice());
    });
  }

  /** What tiles no longer took of all that was tiled since this was asked last. */
  takeRefused(): Refused[] {
    return takeRefused(this.parts.layout);
  }

  /** Of the chunks that it has decoded. */
  behind(): number[] {
    return behindCounts(this.parts.layout);
  }

  /**
   * Gathers its share of events that were decoded elsewhere.
   *
   * @param clocks as of the prefix that they complete
   * @param folds what it has gathered, too
   */
  gather(share: Uint8Array, clocks: Clocks, folds: boolean): ShardSizes {
    const { layout } = this.parts;
    this.stages.time('tile', () => gatherShare(layout.kernel, share));
    if (folds) this.#foldGathered();
    seeClocks(layout, clocks);
    return this.sizes();
  }

  #foldGathered(): void {
    const { layout, fold, store } = this.parts;
    foldGathered({ layout, folds: [fold] }, this.stages, store.ahead);
  }

  /** Folds changes, and remembers the clocks as of the prefix that they complete. */
  apply(batch: Uint8Array, clocks: Clocks): ShardSizes {
    foldChanges(this.parts.fold, batch, this.stages);
    seeClocks(this.parts.layout, clocks);
    return this.sizes();
  }

  answer(entity: string, names: string[], keys: Uint8Array[], timeMicros: bigint, isPast: boolean): FeatureColumn[] {
    const { layout, fold, store } = this.parts;
    const answer = layout.lookups.get(entity)!;
    const features = names.map(name => answer.features.get(name)!);
    const columns = emptyColumns(features, keys.length);
    const stored = storedOf(store, fold, answer);
    this.stages.time('answer', () =>
      answerKeys(layout.kernel, answer, features, keys, timeMicros, isPast, stored, columns),
    );
    return columns;
  }

  explain(entity: string, name: string, key: Uint8Array, timeMicros: bigint, isPast: boolean): ExplainedFeature {
    const answer = this.parts.layout.lookups.get(entity)!;
    const feature = answer.features.get(name)!;
    return this.stages.time('answer', () => this.#explainer.explain(answer, feature, key, timeMicros, isPast));
  }

  /**
   * Rows changed since the last snapshot, which are on their way to the store until `settle`.
   *
   * @param isSealed compressed, as the database has them
   */
  snapshot(isSealed: boolean): TakenOff {
    const { fold, store } = this.parts;
    const rowCount = fold.dirtyCount + store.ahead.pendingRows;
    return this.stages.time('snapshot', () => {
      const sealed = store.ahead.takeOff();
      if (isSealed) sealed.push(fold.takeOff(fold.dirtyPacks(PIECE_BYTES), packs => store.ahead.seal(packs)));
      return { run: isSealed ? [] : fold.snapshot(), sealed, rowCount, highest: fold.highest() };
    });
  }

  settle(targetBytes: number): ShardSizes {
    const { fold, store } = this.parts;
    fold.settle();
    store.ahead.settle();
    this.stages.time('evict', () => fold.evict(targetBytes));
    return this.sizes();
  }

  sizes(): ShardSizes {
    const { dirtyCount, dirtyBytes, stateBytes, evicted, loaded, hasMissedRows } = this.parts.fold;
    const { pendingRows } = this.parts.store.ahead;
    return { dirtyCount, dirtyBytes, stateBytes, evicted, loaded, hasMissedRows, pendingRows, stages: this.stages.ms };
  }
}
