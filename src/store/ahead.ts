/**
 * Rows that memory has let go of before they are in the database: runs of packs, compressed as they will rest there. Whoever reads
 * through a reader finds them before what the database has.
 *
 *     memory --putAway--> pending --takeOff--> leaving --settle--> the database has them
 */
import { RunCursor, type RunPacks } from './cursor.ts';
import type { PackKernel } from './pack.ts';
import { unsealPack } from './seal.ts';
import { type SealedPack, type SealedRun, Sealing, sealRun } from './sealed.ts';

/** In ascending order of addresses, as all runs. */
class RunAhead implements RunPacks {
  readonly sealing: Sealing;
  /** Address of the last row. */
  last = new Uint8Array(0);

  constructor(private readonly kernel: PackKernel) {
    this.sealing = new Sealing(kernel);
  }

  at(_run: number, address: Uint8Array): { bytes: Uint8Array<ArrayBuffer>; next: Uint8Array | null } {
    const { firsts, packs } = this.sealing;
    let [low, high] = [0, firsts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (Buffer.compare(firsts[middle]!, address) <= 0) low = middle;
      else high = middle - 1;
    }
    const sealed = packs[low]!;
    const plain = unsealPack(sealed, this.kernel);
    // What is read is given back: one that is not compressed is kept here.
    return { bytes: plain === sealed ? sealed.slice() : plain, next: firsts[low + 1] ?? null };
  }
}

export class RunsAhead {
  /** The oldest first; of these so many are leaving. */
  readonly #runs: RunAhead[] = [];
  #leaving = 0;
  /** Up to where the database had events when they were taken off. */
  #leavingFrom = 0;
  #pendingRows = 0;

  /** @param position up to which the database has events */
  constructor(
    private readonly position: () => number,
    private readonly kernel: PackKernel,
  ) {}

  /** A run as it will rest in the database. */
  seal(packs: Iterable<SealedPack>): SealedRun {
    return sealRun(packs, this.kernel);
  }

  /** Rows put away and not taken off; one that has come back and changed counts again. */
  get pendingRows(): number {
    return this.#pendingRows;
  }

  /** Puts rows away, as packs of a run. Those that come behind all that were put away last become one run with them. */
  putAway(packs: Iterable<SealedPack>, rowCount: number): void {
    let run: RunAhead | null = null;
    for (const pack of packs) {
      run ??= this.#runBehind(pack);
      run.sealing.add(pack);
      run.last = pack.last;
    }
    this.#pendingRows += rowCount;
  }

  /** The run that a pack goes on with, or a new one. */
  #runBehind({ first }: SealedPack): RunAhead {
    const last = this.#runs.length > this.#leaving ? this.#runs.at(-1)! : null;
    if (last && Buffer.compare(last.last, first) < 0) return last;
    const run = new RunAhead(this.kernel);
    this.#runs.push(run);
    return run;
  }

  /**
   * What is put away, the oldest first: copies, for a commit that is to have them before all rows that are in memory still. What no
   * commit has brought, for one has failed, is among it again. No other commit is on its way: that one brings events beyond what the
   * database has now.
   */
  takeOff(): SealedRun[] {
    const position = this.position();
    // One of which nobody has heard has brought them all the same.
    if (this.#hasBrought(position)) this.settle();
    this.#leaving = this.#runs.length;
    this.#leavingFrom = position;
    this.#pendingRows = 0;
    return this.#runs.map(({ sealing }) => sealing.sealed());
  }

  /** Is what is leaving in the database, as of a position of it? */
  #hasBrought(position: number): boolean {
    return position > this.#leavingFrom;
  }

  /** What was taken off is in the database. */
  settle(): void {
    this.#runs.splice(0, this.#leaving);
    this.#leaving = 0;
  }

  /**
   * Of each run, the newest first.
   *
   * @param position of the database that is read beside them: what has left is in there from the commit on, and of addends only one
   *   of the two may count
   */
  cursors(position: number): RunCursor[] {
    const left = this.#hasBrought(position) ? this.#leaving : 0;
    return this.#runs
      .slice(left)
      .toReversed()
      .map(run => new RunCursor(run, 0));
  }

  /** Nothing is put away that the database may not have. */
  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }
}
