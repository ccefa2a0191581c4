/** A partition of events up to where a plan was taken up, by whoever owns that: the tiler of what is new takes them, and none behind. */
import type { Message, Owner } from '../source/partition.ts';
import type { Tiler } from './tiler.ts';

export class Backfiller implements Owner {
  /** @param until the first offset that is somebody else's */
  constructor(
    readonly tiler: Tiler,
    private readonly until: bigint,
  ) {}

  get next(): bigint {
    return this.tiler.next;
  }

  get isDone(): boolean {
    return this.next >= this.until;
  }

  async take(messages: Message[], next: bigint): Promise<void> {
    if (this.isDone) return;
    const { tiler, until } = this;
    const before = messages.filter(({ offset }) => offset < until);
    await tiler.take(before, next < until ? next : until);
  }
}
