/**
 * Runs of rows into packs. Both are spelt alike (pack.ts), and rows that follow on each other in one of them mostly do so in
 * the pack that comes out: they are copied as they stand, many at a time.
 */
import { PACK_MAX_BYTES, PackWalk, type PackWriter } from './pack.ts';

/** Rows in order of their addresses, each address once: parts one behind the other, each of them spelt as a pack. */
export type Run = Iterable<Uint8Array>;

const NOTHING = new Uint8Array(0);

/** As much of a pack as is merged at once, mostly all of it: what comes out is cut into equal parts. */
const MERGED_MAX_BYTES = 6 * PACK_MAX_BYTES;

/** A run, at one of its rows. */
class RunWalk extends PackWalk {
  readonly #parts: Iterator<Uint8Array>;
  isThere = false;

  /** @param from the address that it begins at, which mostly lies within the first part */
  constructor(run: Run, from: Uint8Array) {
    super();
    this.#parts = run[Symbol.iterator]();
    this.advance();
    if (this.isThere && !this.seek(from, 0, from.length)) this.advance();
  }

  /** On to the next row, of the next part where this one has ended. */
  advance(): void {
    this.isThere = this.next();
    while (!this.isThere) {
      const part = this.#parts.next();
      if (part.done) return;
      this.isThere = this.open(part.value).next();
    }
  }
}

/**
 * Runs side by side, each from an address on. Of those that have an address in common the first in the list wins, and where that has an
 * addend those behind it, as far as these do.
 */
export class Runs {
  readonly #walks: RunWalk[];
  readonly #addends: PackWalk[] = [];

  constructor(runs: Run[], from: Uint8Array = NOTHING) {
    this.#walks = runs.map(run => new RunWalk(run, from));
  }

  /** The run whose row is the next of all; null behind the last. */
  least(): RunWalk | null {
    return leastOf(this.#walks, null);
  }

  /** Goes past rows of the others that are under the address which this one stands at. */
  passBeside(walk: RunWalk): void {
    for (const other of this.#walks)
      if (other !== walk && other.isThere && other.isAt(walk.address, 0, walk.length)) other.advance();
  }

  /**
   * Lists what has to be added up under the address of the least row, which is an addend, in the order of the runs: up to the first
   * that is none. It is a list that holds until the next.
   */
  addends(least: RunWalk): PackWalk[] {
    const found = this.#addends;
    found.length = 0;
    for (const walk of this.#walks) {
      if (!walk.isThere || !walk.isAt(least.address, 0, least.length)) continue;
      found.push(walk);
      if (!walk.isAddend) break;
    }
    return found;
  }

  /** The run whose row is the next of all but this one's. */
  leastBeside(walk: RunWalk): RunWalk | null {
    return leastOf(this.#walks, walk);
  }
}

function leastOf(walks: RunWalk[], beside: RunWalk | null): RunWalk | null {
  let least: RunWalk | null = null;
  for (const walk of walks)
    if (walk !== beside && walk.isThere && (!least || walk.isBelow(least.address, 0, least.length))) least = walk;
  return least;
}

/** What is left of a pack into which runs are merged. */
export class PackMerge {
  readonly #walk = new PackWalk();
  #isThere = false;
  #end: Uint8Array | null = null;

  /** @param end where the next pack begins; null behind the last one */
  open(bytes: Uint8Array, end: Uint8Array | null): void {
    this.#isThere = this.#walk.open(bytes).next();
    this.#end = end;
  }

  /** None of its rows is left: what follows are rows of the runs. */
  get isDone(): boolean {
    return !this.#isThere;
  }

  /**
   * Appends the rows of the pack, and those of the runs that belong into it, to `out`: a run's row replaces the pack's under
   * its address. False where there are so many bytes before all rows are there.
   */
  merge(runs: Runs, out: PackWriter, bytesMax = MERGED_MAX_BYTES): boolean {
    const walk = this.#walk;
    for (let run = runs.least(); run && this.#isWithin(run); run = runs.least()) {
      if (out.size >= bytesMax) return false;
      if (run.isAddend && this.#takeSum(runs, run, out)) continue;
      if (this.#isThere && walk.isAt(run.address, 0, run.length)) this.#isThere = walk.next();
      else if (this.#isThere && walk.isBelow(run.address, 0, run.length)) {
        this.#isThere = take(walk, run, null, out, bytesMax);
        continue;
      }
      runs.passBeside(run);
      if (!take(run, this.#isThere ? walk : null, runs.leastBeside(run), out, bytesMax, this.#end)) run.advance();
    }
    if (!this.#isThere) return true;
    out.take(walk);
    out.copy(walk.bytes, walk.end, walk.bytes.length);
    this.#isThere = false;
    return true;
  }

  /** Takes what is under the address of the least row, an addend, where there is more than that; false where there is not, or less comes first. */
  #takeSum(runs: Runs, run: RunWalk, out: PackWriter): boolean {
    const walk = this.#walk;
    if (this.#isThere && walk.isBelow(run.address, 0, run.length)) return false;
    const added = runs.addends(run);
    const isOurs = this.#isThere && walk.isAt(run.address, 0, run.length);
    if (isOurs && added.at(-1)!.isAddend) added.push(walk);
    if (added.length === 1) return false;
    out.takeSum(added);
    if (isOurs) this.#isThere = walk.next();
    runs.passBeside(run);
    run.advance();
    return true;
  }

  #isWithin(run: RunWalk): boolean {
    return this.#end === null || run.isBelow(this.#end, 0, this.#end.length);
  }
}

/**
 * Takes the row that a walk stands at, and those behind it that are below both bounds and the end, until `out` is full; false where
 * its pack or part has no more. It comes to most rows, and so makes no object.
 */
function take(
  walk: PackWalk,
  bound: PackWalk | null,
  other: PackWalk | null,
  out: PackWriter,
  bytesMax: number,
  end: Uint8Array | null = null,
): boolean {
  const lower = bound && other?.isBelow(bound.address, 0, bound.length) ? other : (bound ?? other);
  const isEnd = end !== null && !lower?.isBelow(end, 0, end.length);
  const least = isEnd ? end : lower?.address;
  const length = isEnd ? end.length : (lower?.length ?? 0);
  // Spelt anew, for another row may be before it now.
  out.take(walk);
  const rest = walk.end;
  const limit = rest + bytesMax - out.size;
  const isThere = walk.next() && (least ? walk.seek(least, 0, length, out, limit) : walk.skip(out, limit));
  out.copy(walk.bytes, rest, walk.start);
  return isThere;
}
