import { assert } from '../base/assert.ts';
import { Growing } from '../base/growing.ts';
import { badRow } from './row.ts';
import type { FoldedRow } from './folded_row.ts';
import { Inbox } from './inbox.ts';
import type { Kernel } from './instance.ts';
import { unpackRows } from './packed.ts';

/**
 * Reads rows back that memory has let go of.
 *
 * @param wanted their addresses in order, each once, spelt as rows of a run (assembly/run.ts) that have no value
 * @param take is handed those that there are, in that order
 */
export type ReadBack = (wanted: Uint8Array, take: TakeBack) => void;

/** Is handed the `index`th of the rows that are wanted: its value is [start, end) of bytes that hold until it returns. */
export type TakeBack = (index: number, bytes: Uint8Array, start: number, end: number) => void;

/** A pack of rows that is sealed; all of its bytes are its own. */
export interface FoldedPack {
  /** Addresses of its first row and of its last one. */
  first: Uint8Array<ArrayBuffer>;
  last: Uint8Array<ArrayBuffer>;
  bytes: Uint8Array<ArrayBuffer>;
  /** What its rows take as they are, about. */
  rowBytes: number;
}

/** Changed rows leave the kernel in parts of about so much. */
const PART_BYTES = 1 << 20;

/** Rows are read back by so many bytes at a time: few calls, and little memory beside the rows. */
const READ_BACK_BYTES = 128 << 10;

/** Fewer rows for all the events that were gathered are read back now and then. */
const MISSES_MIN = 1_000;

/** The latest tile that any row of an entity kind and a level starts at. */
export interface HighestTile {
  entity: number;
  levelMs: number;
  tileStartMs: number;
}

/** The rows of one shard, in one kernel instance. It knows no plan: changes say themselves how they merge. */
export class Fold {
  /** Every row that exists is in memory: nothing of it lies in a store alone. */
  isComplete = true;
  /** Rows that left memory, and rows read back, since it was made. */
  evicted = 0;
  loaded = 0;
  /** Of these, how many there were before the events that are gathered now. */
  #loadedBefore = 0;
  /** And for those that were gathered last, read or left unread: nobody knows after a restart, nor where rows have left since. */
  #loadedLately = Number.POSITIVE_INFINITY;
  #leavesUnread = false;
  /** What reading back took, since then. */
  readBackMs = 0;
  /** What rows may occupy: lookups leave what they read in memory up to here. Whoever evicts sets it. */
  boundBytes = Number.POSITIVE_INFINITY;
  /** Bytes of changes that come from another instance are copied here first. */
  readonly #inbox: Inbox;
  /** What was read back last. */
  readonly #readBackValues = new Growing();

  constructor(
    readonly kernel: Kernel,
    /** Null where rows never leave memory. */
    private readonly readBack: ReadBack | null,
  ) {
    this.#inbox = new Inbox(kernel);
  }

  /** Changes come to rows that memory does not have, and not only now and then; or nobody knows. */
  get missesRows(): boolean {
    return !this.isComplete && this.#loadedLately >= MISSES_MIN;
  }

  /** They came to such rows, as far as is known. */
  get hasMissedRows(): boolean {
    return this.missesRows && this.#loadedLately < Number.POSITIVE_INFINITY;
  }

  /**
   * Events that were gathered are going to be folded, one key after the other.
   *
   * @param leavesUnread rows that memory does not have are not read back for their changes: the store adds these to what it has. All
   *   are put away before `endGathering` then
   */
  beginGathering(leavesUnread: boolean): void {
    this.kernel.exports.beginFresh();
    this.#leavesUnread = leavesUnread;
    this.kernel.exports.leaveUnread(leavesUnread ? 1 : 0);
  }

  /** All events that were gathered are folded. */
  endGathering(): void {
    const { exports } = this.kernel;
    this.#loadedLately = this.loaded - this.#loadedBefore + exports.unreadMade.value;
    this.#loadedBefore = this.loaded;
    this.#leavesUnread = false;
    exports.leaveUnread(0);
  }

  /** Changes are merged into rows that memory may not have. */
  get #wantsRows(): boolean {
    return !this.isComplete && !this.#leavesUnread;
  }

  /** Rows in memory that are changed and not read, to be put away. */
  get unreadCount(): number {
    return this.kernel.exports.unreadRows.value;
  }

  /** For a restart: the store has rows, up to these tiles. Whatever lies beyond them is new, and costs no read. */
  resume(highest: HighestTile[]): void {
    for (const { entity, levelMs, tileStartMs } of highest)
      this.kernel.exports.setHighest(entity, levelMs, tileStartMs);
    if (highest.length > 0) this.isComplete = false;
  }

  /** Others write rows to the store, too: whatever memory does not hold has to be looked for there. Before anything is folded. */
  share(): void {
    this.kernel.exports.shareStore();
    this.isComplete = false;
  }

  /**
   * Addresses of the rows that changes touch and that memory does not hold, as `ReadBack` is asked for them; a copy. For whoever
   * has to wait for a store: `apply` with the same changes asks for these, as long as nothing is folded in between.
   *
   * @throws Fault as `apply`
   */
  missing(batch: Uint8Array): Uint8Array<ArrayBuffer> {
    const { exports, bytes } = this.kernel;
    check(this.kernel, exports.missing(this.#inbox.put(batch), batch.length));
    return exports.wantListed() === 0
      ? new Uint8Array(0)
      : bytes(exports.wantedStart(), exports.wantedLength()).slice();
  }

  /** What `resume` needs to know after the rows that are dirty now have been written. */
  highest(): HighestTile[] {
    const { exports } = this.kernel;
    exports.listHighest();
    const size = exports.ADDRESS_SIZE.value;
    const count = exports.listedCount();
    const view = new DataView(exports.memory.buffer, exports.listedStart() >>> 0, count * size);
    return Array.from({ length: count }, (_, i) => ({
      entity: view.getInt32(i * size, true),
      levelMs: Number(view.getBigInt64(i * size + 16, true)),
      tileStartMs: Number(view.getBigInt64(i * size + 24, true)),
    }));
  }

  /**
   * Merges changes into rows, reading back first what memory does not hold.
   *
   * @param batch ChangeBatch bytes; a view of this fold's own memory is taken where it stands
   * @throws Fault `corrupt` where the bytes are no changes or a row read back is not canonical, `unsupported` where
   *   one holds an aggregate that this version does not know: the state is then part of the way and must not be used
   */
  apply(batch: Uint8Array): void {
    if (batch.length === 0) return;
    const start = batch.buffer === this.kernel.exports.memory.buffer ? batch.byteOffset : this.#inbox.put(batch);
    const { length } = batch;
    if (this.#wantsRows) this.#loadMissing(() => check(this.kernel, this.kernel.exports.missing(start, length)));
    check(this.kernel, this.kernel.exports.fold(start, length));
  }

  /** Merges the changes that its own kernel has made last, as `apply` does those of others. */
  applyMade(): void {
    const { exports } = this.kernel;
    if (this.#wantsRows) this.#loadMissing(() => exports.missingMade());
    check(this.kernel, exports.foldMade());
  }

  /**
   * Exchanges the last rows of keys for those of a batch.
   *
   * @param upserts as `upsertsOf` lists them; a view of this fold's own memory is taken where it stands
   * @returns what each was before, for `takeBack`, as a view that holds until the next call
   * @throws Fault as `apply`
   */
  complete(upserts: Uint8Array): Uint8Array<ArrayBuffer> {
    const { exports, bytes } = this.kernel;
    const start = upserts.buffer === exports.memory.buffer ? upserts.byteOffset : this.#inbox.put(upserts);
    const { length } = upserts;
    if (!this.isComplete) this.#loadMissing(() => exports.missingLast(start, length));
    check(this.kernel, exports.completeUpserts(start, length) ? exports.FOLD_OK.value : exports.FOLD_MALFORMED.value);
    return bytes(exports.completedStart(), exports.completedLength());
  }

  /** @param list lists the rows that are wanted and that memory does not hold */
  #loadMissing(list: () => void): void {
    this.timeReadBack(() => {
      list();
      this.#loadListed();
    });
  }

  /** Reads back the rows that the kernel has listed as missing. */
  loadListed(): void {
    this.timeReadBack(() => this.#loadListed());
  }

  /** Takes the time of what reads rows back. */
  timeReadBack(work: () => void): void {
    const startMs = performance.now();
    work();
    this.readBackMs += performance.now() - startMs;
  }

  #loadListed(): void {
    const { exports, bytes } = this.kernel;
    const { readBack } = this;
    assert(readBack, 'rows that have left memory can be read back');
    const count = exports.wantListed();
    if (count === 0) return;
    this.loaded += count;
    const sizes = new Uint32Array(count);
    const values = this.#readBackValues;
    values.length = 0;
    let loaded = 0;
    // A copy: memory may grow with what is loaded.
    readBack(bytes(exports.wantedStart(), exports.wantedLength()).slice(), (index, from, start, end) => {
      sizes[index] = end - start;
      values.copy(from, start, end);
      if (values.length < READ_BACK_BYTES) return;
      this.#loadWanted(loaded, sizes.subarray(loaded, index + 1));
      loaded = index + 1;
      values.length = 0;
    });
    this.#loadWanted(loaded, sizes.subarray(loaded));
  }

  /** Rows of these sizes, from the `from`th that is wanted on: the values in the kernel, and behind them, where a word may begin, their sizes. */
  #loadWanted(from: number, sizes: Uint32Array): void {
    const { exports, bytes } = this.kernel;
    const values = this.#readBackValues;
    const sizesAt = (values.length + 3) & ~3;
    const block = exports.allocate(sizesAt + sizes.byteLength) >>> 0;
    bytes(block, values.length).set(values.bytes.subarray(0, values.length));
    bytes(block + sizesAt, sizes.byteLength).set(new Uint8Array(sizes.buffer, sizes.byteOffset, sizes.byteLength));
    exports.loadWanted(from, from + sizes.length, block + sizesAt, block, values.length);
    exports.release(block, sizesAt + sizes.byteLength);
  }

  get dirtyCount(): number {
    return this.kernel.exports.dirtyCount();
  }

  /** What the dirty rows take written out, or a little less: some have grown since. */
  get dirtyBytes(): number {
    return this.kernel.exports.dirtyBytes();
  }

  /** What rows and their index occupy. */
  get stateBytes(): number {
    return this.kernel.exports.foldBytes();
  }

  /** Rows that are read may stay in memory. */
  get hasRoom(): boolean {
    return this.stateBytes <= this.boundBytes;
  }

  /** Rows changed since `settle`, or since the last snapshot; a copy of them. */
  dirtyRows(): FoldedRow[] {
    return Array.from(this.#parts('AS_ROWS'), part => [...unpackRows(part.slice())]).flat();
  }

  /**
   * `dirtyRows` in order of their addresses, spelt as in packs (assembly/run.ts), and in parts, one behind the other. Each is a view
   * that holds until the next; nothing may be folded before the last.
   */
  dirtyRun(): Generator<Uint8Array<ArrayBuffer>> {
    return this.#parts('AS_RUN');
  }

  /** The same as a store keeps them: sealed (assembly/sealing.ts), in packs of rows that take about so many bytes as they are. */
  *dirtyPacks(packBytes: number): Generator<FoldedPack> {
    const { exports, bytes } = this.kernel;
    exports.startPacking();
    while (exports.packPart(exports.AS_PACK.value, packBytes)) {
      const bounds = bytes(exports.boundsStart(), exports.boundsLength()).slice();
      const firstLength = exports.firstLength();
      yield {
        first: bounds.subarray(0, firstLength),
        last: bounds.subarray(firstLength),
        bytes: bytes(exports.sealedStart(), exports.sealedLength()).slice(),
        rowBytes: exports.sealingSize.value,
      };
    }
  }

  /**
   * `dirtyRun` as bytes that may go to another thread. The rows are in flight until `settle`, and folding goes on: one
   * that changes meanwhile is dirty again. One snapshot at a time can be in flight.
   */
  snapshot(): Uint8Array<ArrayBuffer>[] {
    return this.takeOff(this.dirtyRun(), run => Array.from(run, part => part.slice()));
  }

  /** The same for what `keep` makes of `dirtyRun` or `dirtyPacks`, all of which it has to take. */
  takeOff<Part, Kept>(parts: Iterable<Part>, keep: (parts: Iterable<Part>) => Kept): Kept {
    const kept = keep(parts);
    this.kernel.exports.snapshotDirty();
    return kept;
  }

  /**
   * Hands the dirty rows over to `keep`, which has to take all of them, and gives them to whoever reads until the store has them: to
   * memory they are clean from now on, and may leave it.
   */
  putAway(keep: (packs: Iterable<FoldedPack>, rowCount: number) => void, packBytes: number): void {
    keep(this.dirtyPacks(packBytes), this.dirtyCount);
    this.kernel.exports.putAwayDirty();
  }

  /** Views of what the kernel packs. */
  *#parts(form: 'AS_ROWS' | 'AS_RUN'): Generator<Uint8Array<ArrayBuffer>> {
    const { exports, bytes } = this.kernel;
    exports.startPacking();
    while (exports.packPart(exports[form].value, PART_BYTES))
      yield bytes(exports.packedStart(), exports.packedLength());
  }

  /** What the last snapshot gave is in the store now; where none is in flight, what `dirtyRows` has just given. */
  settle(): void {
    this.kernel.exports.settle();
  }

  /**
   * Lets go of the rows that were not used for longest, until `stateBytes` is at most `targetBytes`; those that are dirty
   * or in flight stay. They are read back when a change touches them.
   */
  evict(targetBytes: number): void {
    assert(this.readBack, 'rows that leave memory can be read back');
    this.kernel.exports.evict(targetBytes);
    const count = this.kernel.exports.evictedCount.value;
    this.evicted += count;
    if (count === 0) return;
    this.isComplete = false;
    this.#loadedLately = Number.POSITIVE_INFINITY;
  }
}

function check(kernel: Kernel, outcome: number): void {
  const { exports } = kernel;
  if (outcome === exports.FOLD_OK.value) return;
  throw badRow(outcome === exports.FOLD_UNKNOWN_CASE.value);
}
