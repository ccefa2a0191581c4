/**
 * The fold of one partition of a changelog, by whoever owns it, into rows that rest elsewhere.
 *
 *   messages -> which rows memory lacks -> read them -> leave out what they contain already -> fold
 *   now and then: changed rows are written as of the last message, and then its offset is committed
 *
 * It may have lost the partition and not know it, and another one may have been further with any row. Its memory is what the
 * messages up to `next` make of rows, whoever wrote what meanwhile, and stamp.ts says why its writes do no harm.
 *
 * The note of the offset has the highest tiles that rows had by then. A row beyond them is of later messages alone, whoever may have
 * written it meanwhile: so it is not looked for, and most rows are new ones, of tiles that time has just come to.
 */
import { assert } from '../base/assert.ts';
import { Fold } from '../kernel/fold.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { Message, Owner, Progress } from '../source/partition.ts';
import { byteName } from '../store/address.ts';
import { PackWalk } from '../store/pack.ts';
import { appliedAt, nextStamp } from '../store/stamp.ts';
import { changeCount, type FoundRows, withoutApplied } from './changes.ts';
import { type Folded, foldedNote, readFolded } from './note.ts';
import type { FoldedRows } from './patient.ts';
import type { Watcher } from './watcher.ts';

/** Changes are folded by so many bytes at a time, and what they lack is read at once. */
const CHUNK_BYTES = 512 << 10;

/** Messages between two writes whose arrival is told: of more than these, the first ones. */
const ARRIVALS_MAX = 1_000;

export interface FolderParts {
  kernel: Kernel;
  rows: FoldedRows;
  /** Which changelog it is, and what rows there are before it. */
  epoch: { number: number } & Folded;
  /** Commits how far rows have been written; it may say no, and then another one goes on. */
  commit: (progress: Progress) => Promise<boolean>;
  /** What rows in memory may occupy. */
  memoryBytes: number;
  watcher: Pick<Watcher, 'folded' | 'written' | 'evicted' | 'fresh'>;
  /** The wall, epoch milliseconds. */
  nowMs: () => number;
}

export class Folder implements Owner {
  readonly #parts: FolderParts;
  readonly #fold: Fold;
  readonly #knowsHighest: boolean;
  #found: FoundRows = new Map();
  #next: bigint;
  /** Of the message before `next`. */
  #stamp: bigint;
  #written: bigint;
  /** Changes since rows were written. */
  #changes = 0;
  /** Of messages since then, when what they were made of had arrived. */
  #arrivals: number[] = [];
  /** Taking and writing come one after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(parts: FolderParts, committed: Progress | null) {
    this.#parts = parts;
    this.#fold = new Fold(parts.kernel, (wanted, take) => {
      let index = 0;
      for (const walk = new PackWalk().open(wanted); walk.next(); index++) {
        const row = this.#found.get(byteName(walk.address.subarray(0, walk.length)));
        if (row) take(index, row.value, 0, row.value.length);
      }
    });
    const { stamp, highest } = committed ? readFolded(committed.note) : parts.epoch;
    this.#knowsHighest = highest !== null;
    if (highest) this.#fold.resume(highest);
    else this.#fold.share();
    this.#fold.boundBytes = parts.memoryBytes;
    this.#next = this.#written = committed?.next ?? 0n;
    this.#stamp = stamp;
  }

  get next(): bigint {
    return this.#next;
  }

  get dirtyCount(): number {
    return this.#fold.dirtyCount;
  }

  get stateBytes(): number {
    return this.#fold.stateBytes;
  }

  take(given: Message[], next: bigint): Promise<void> {
    return this.#inTurn(async () => {
      // Partitions may be dealt out anew, and their messages come again, while the same ones are being folded.
      const messages = given.filter(({ offset }) => offset >= this.#next);
      if (next <= this.#next) return;
      for (let from = 0; from < messages.length; ) {
        let size = messages[from]!.value.length;
        let to = from + 1;
        while (to < messages.length && size < CHUNK_BYTES) size += messages[to++]!.value.length;
        await this.#foldChunk(messages.slice(from, to));
        from = to;
        if (!this.#fold.hasRoom) await this.#write();
      }
      this.#next = next;
    });
  }

  /** Writes what has changed, and commits; when it resolves, a lookup anywhere sees all that was taken before. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#write());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  async #foldChunk(messages: Message[]): Promise<void> {
    const { epoch, watcher } = this.#parts;
    const batches = messages.map(({ value }) => value);
    const first = appliedAt(epoch.number, messages[0]!.offset);
    const { isAhead, count: missed } = await this.#read(this.#fold.missing(Buffer.concat(batches)), first);
    if (isAhead)
      for (const [i, { offset }] of messages.entries())
        batches[i] = withoutApplied(batches[i]!, appliedAt(epoch.number, offset), this.#found);
    this.#fold.apply(Buffer.concat(batches));
    this.#found = new Map();
    const changes = batches.reduce((sum, batch) => sum + changeCount(batch), 0);
    this.#changes += changes;
    watcher.folded(changes, Math.min(changes, missed));
    for (const { offset, timestampMs, arrivedMs = timestampMs } of messages) {
      if (this.#arrivals.length < ARRIVALS_MAX) this.#arrivals.push(arrivedMs);
      this.#stamp = nextStamp(this.#stamp, BigInt(timestampMs) * 1000n);
      this.#next = offset + 1n;
    }
  }

  /** Reads rows that are wanted: how many those are, and whether some contain changes from `first` on. */
  async #read(wanted: Uint8Array, first: bigint): Promise<{ count: number; isAhead: boolean }> {
    const names: string[] = [];
    for (const walk = new PackWalk().open(wanted); walk.next(); )
      names.push(byteName(walk.address.subarray(0, walk.length)));
    let isAhead = false;
    if (names.length === 0) return { count: 0, isAhead };
    await this.#parts.rows.readRows(wanted, (index, bytes, start, end, version) => {
      this.#found.set(names[index]!, { value: bytes.subarray(start, end), version });
      if (version.applied >= first) isAhead = true;
      // It is greater only where the note of an offset was lost: what is written from now on comes after it.
      else if (version.stamp > this.#stamp) this.#stamp = version.stamp;
    });
    return { count: names.length, isAhead };
  }

  async #write(): Promise<void> {
    const [fold, next, stamp] = [this.#fold, this.#next, this.#stamp];
    if (next === this.#written) return;
    assert(next > this.#written, `rows up to ${next} after rows up to ${this.#written}`);
    const version = { applied: appliedAt(this.#parts.epoch.number, next - 1n), stamp };
    const { watcher, nowMs } = this.#parts;
    const count = fold.dirtyCount;
    if (count > 0) {
      const startMs = nowMs();
      await this.#parts.rows.writeRows(fold.snapshot(), version);
      fold.settle();
      watcher.written((nowMs() - startMs) / 1000, count, Math.max(count, this.#changes));
      for (const arrivedMs of this.#arrivals) watcher.fresh(Math.max(0, nowMs() - arrivedMs) / 1000);
    }
    this.#changes = 0;
    this.#arrivals = [];
    if (!fold.hasRoom) {
      const before = fold.evicted;
      fold.evict(fold.boundBytes / 2);
      watcher.evicted(fold.evicted - before);
    }
    const note = foldedNote({ stamp, highest: this.#knowsHighest ? fold.highest() : null });
    // Where the group is being dealt out anew it says no, and is asked again with the next flush.
    if (await this.#parts.commit({ next, note })) this.#written = next;
  }
}
