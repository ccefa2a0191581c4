/**
 * The archive of one partition of events, by whoever owns it:
 *
 *   messages -> lines -> door -> a segment, once it is long or old enough -> commit
 *
 * What the door lets through is counted from the first message on, so an event's position is a function of the partition. A
 * segment is named by its first position and made once: whoever finds that another one was there before leaves out what that one has, and goes
 * on behind it. So nothing is there twice or lacking, whatever process dies, or wakes up late, and whenever.
 */
import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import { admitBody } from '../ingest/door.ts';
import type { Kernel } from '../kernel/instance.ts';
import { type Archive, packedSegment } from '../source/archive.ts';
import { Lost, type Message, type Owner, type Progress } from '../source/partition.ts';
import type { Batch } from '../source/segment.ts';
import { firstLines } from '../source/segment.ts';
import type { Clock } from '../source/source.ts';

const NEWLINE = 10;

export interface ArchiverParts {
  /** Judges lines. */
  door: Kernel;
  archive: Archive;
  partition: number;
  /** Of the events. */
  clock: Clock;
  /** A segment of so many bytes of lines is made. */
  segmentBytes: number;
  /** So is one whose first event was taken so long ago. */
  segmentAgeMs: number;
  /** Monotone, milliseconds. */
  nowMs: () => number;
  /** Commits how far events are kept; it may say no, and then another one goes on. */
  commit: (progress: Progress) => Promise<boolean>;
}

export class Archiver implements Owner {
  readonly #stages = new Stages();
  #next: bigint;
  /** Of the segment that is gathered: its first position, and that of the segment before it. */
  #first: number;
  #previous: number | null;
  #batches: Batch[] = [];
  #bytes = 0;
  #sinceMs = 0;
  /** Events that come next and are in a segment already. */
  #known = 0;
  /** Offsets are committed up to there. */
  #committed: bigint;
  #isLost = false;
  /** Taking and making come one after the other. */
  #work: Promise<void> = Promise.resolve();

  /**
   * @param low the first offset that there is, where nobody has been before
   * @throws Fault `corrupt` where somebody else has committed the offset
   */
  constructor(
    private readonly parts: ArchiverParts,
    committed: Progress | null,
    low: bigint,
  ) {
    const { first, previous } = committed ? readPlace(committed.note) : { first: 0, previous: null };
    this.#next = this.#committed = committed?.next ?? low;
    this.#first = first;
    this.#previous = previous;
  }

  get next(): bigint {
    return this.#next;
  }

  take(given: Message[], next: bigint): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isLost) throw new Lost(`partition ${this.parts.partition}: its offset could not be committed`);
      const messages = given.filter(({ offset }) => offset >= this.#next);
      if (next <= this.#next) return;
      for (let from = 0; from < messages.length; ) {
        const { timestampMs } = messages[from]!;
        let to = from + 1;
        while (to < messages.length && messages[to]!.timestampMs === timestampMs) to++;
        await this.#gather(messages.slice(from, to), BigInt(timestampMs) * 1000n);
        from = to;
      }
      this.#next = next;
      if (this.#bytes >= this.parts.segmentBytes) await this.#make();
    });
  }

  /** Makes a segment of what has waited for long enough, and commits. */
  tick(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#batches.length === 0 || this.parts.nowMs() - this.#sinceMs >= this.parts.segmentAgeMs)
        await this.#make();
    });
  }

  /** Makes a segment of all that was taken, and commits. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#make());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  async #gather(messages: Message[], arrivalMicros: bigint): Promise<void> {
    const body = Buffer.concat(messages.flatMap(({ value }) => [value, Uint8Array.of(NEWLINE)]));
    const { lines, count } = await admitBody(this.parts.door, body, 'ndjson', this.#stages);
    const skipped = Math.min(this.#known, count);
    this.#known -= skipped;
    if (count === skipped) return;
    if (this.#batches.length === 0) this.#sinceMs = this.parts.nowMs();
    this.#batches.push({
      arrivalMicros,
      count: count - skipped,
      lines: withoutFirst(lines, skipped).slice(),
      id: null,
    });
    this.#bytes += lines.length;
  }

  async #make(): Promise<void> {
    if (this.#isLost) return;
    const { archive, partition, clock, commit } = this.parts;
    while (this.#batches.length > 0) {
      const header = { clock, first: this.#first, previous: this.#previous };
      if (await archive.make(partition, this.#first, await packedSegment(header, this.#batches))) {
        this.#goOn(this.#batches.reduce((sum, { count }) => sum + count, 0));
        this.#drop(Number.POSITIVE_INFINITY);
      } else await this.#adopt();
    }
    // What is known already and has not come yet is not passed over again by whoever goes on from here.
    if (this.#known > 0 || this.#next === this.#committed) return;
    if (await commit({ next: this.#next, note: placeNote({ first: this.#first, previous: this.#previous }) }))
      this.#committed = this.#next;
    else this.#isLost = true;
  }

  /** Passes over segments that are there already: what is gathered may be in them, and what comes next. */
  async #adopt(): Promise<void> {
    const { archive, partition } = this.parts;
    for (let records = await archive.records(partition, this.#first); records !== null; ) {
      this.#known += this.#drop(records);
      this.#goOn(records);
      records = await archive.records(partition, this.#first);
    }
  }

  #goOn(records: number): void {
    this.#previous = this.#first;
    this.#first += records;
  }

  /** Leaves out the first events of what is gathered. @returns how many of these it does not have */
  #drop(records: number): number {
    let left = records;
    while (left > 0 && this.#batches.length > 0) {
      const batch = this.#batches[0]!;
      if (batch.count > left) {
        this.#batches[0] = { ...batch, count: batch.count - left, lines: withoutFirst(batch.lines, left) };
        left = 0;
      } else {
        left -= batch.count;
        this.#batches.shift();
      }
    }
    this.#bytes = this.#batches.reduce((sum, { lines }) => sum + lines.length, 0);
    return left;
  }
}

function withoutFirst(lines: Uint8Array, count: number): Uint8Array {
  return count === 0 ? lines : lines.subarray(firstLines(lines, count).length);
}

/** Where the next segment begins, and where the one before it did. */
interface Place {
  first: number;
  previous: number | null;
}

function placeNote({ first, previous }: Place): string {
  return JSON.stringify({ first, previous });
}

function readPlace(note: string): Place {
  try {
    const { first, previous } = JSON.parse(note) as Place;
    if (Number.isSafeInteger(first) && (previous === null || Number.isSafeInteger(previous)))
      return { first, previous };
  } catch {}
  throw new Fault(
    'corrupt',
    `an offset of the archive's group was not committed by it: its note is ${JSON.stringify(note)}`,
  );
}
