import { horizonsOf, keepingOf, type Keeping, sweptKeys } from '../ingest/expiry.ts';
import { typeClocks } from '../kernel/clock.ts';
import { Fold, type ReadBack } from '../kernel/fold.ts';
import type { ReadRanges } from '../kernel/hold.ts';
import type { Layout } from '../kernel/layout.ts';
import type { Stored } from '../read/answer.ts';
import { PIECE_BYTES } from '../store/pack.ts';
import type { Store } from '../store/store.ts';

/**
 * A replay's rows, within a bound: when memory has no more room, those not used for longest go to a store, which is made
 * for the first of them. What has expired is deleted there, so the store grows with the keys of the log and not with its
 * length. Nobody reads it after the replay.
 */
export class Spill {
  readonly fold: Fold;
  readonly #keeping: Keeping[];
  #store: Store | null = null;
  /** Rows put aside since it was made. */
  writtenRows = 0;

  constructor(
    private readonly layout: Layout,
    /** What rows in memory may occupy; one event may pass it by the rows that it touches. */
    readonly memoryBytes: number,
    private readonly open: () => Store,
  ) {
    const readBack: ReadBack = (wanted, take) => this.#store?.readRows(wanted, take);
    this.fold = new Fold(layout.kernel, readBack);
    this.#keeping = keepingOf(layout.plan, layout.ids);
  }

  /**
   * Lets rows go where they take up too much.
   *
   * @param position that the rows are folded up to
   */
  makeRoom(position: number): void {
    const { fold, layout, memoryBytes } = this;
    if (fold.stateBytes <= memoryBytes) return;
    this.#store ??= this.open();
    const store = this.#store;
    const clocks = typeClocks(layout);
    const highest = fold.highest();
    const rowCount = fold.dirtyCount;
    const sealed = [store.ahead.seal(fold.dirtyPacks(PIECE_BYTES))];
    store.commit({ runs: [], sealed, isBulk: false }, { position, clocks, highest }, () =>
      store.sweep(horizonsOf(this.#keeping, clocks), sweptKeys(rowCount)),
    );
    this.writtenRows += rowCount;
    fold.settle();
    fold.evict(memoryBytes / 2);
  }

  /** For events that read: what they need is held in memory, for mostly they change it, too. */
  readonly readRanges: ReadRanges = (entity, key, ranges, take) => this.#store?.readKey(entity, key, ranges, take);

  /** Stored rows of an entity; null while memory holds every row. */
  reader(entity: string): Stored | null {
    const store = this.#store;
    if (this.fold.isComplete || !store) return null;
    const id = this.layout.ids.entities.get(entity)!;
    // The next event has other keys, mostly: what is read makes no room for what is folded.
    return { read: (key, ranges, take) => store.readKey(id, key, ranges, take), hasRoom: () => false };
  }
}
