import type { Condition } from '../kernel/condition.ts';
import type { RecordReader, Records } from '../kernel/records.ts';
import type { Tail } from '../source/tail.ts';

/** What it reads, and how much of it is held. */
export interface FeedParts {
  tail: Pick<Tail, 'read'>;
  /** The first record that the log still has, and the next one that it will have: all before are durable. */
  bounds: () => Promise<{ start: number; end: number }>;
  reader: Pick<RecordReader, 'read' | 'types'>;
  eventsMax: number;
  /** Since they arrived. */
  ageMs: number;
  /** The wall, microseconds since 1970 UTC. */
  nowMicros: () => bigint;
}

export interface FeedQuery {
  /** Null for all. */
  type: string | null;
  /** Microseconds since 1970 UTC: events of times from then on. */
  sinceMicros: bigint | null;
  condition: Condition | null;
  /** Only records at positions between them, both left out. */
  after: number;
  before: number;
  limit: number;
}

export interface FeedPage {
  /** The newest first. */
  events: FeedEvent[];
  /** What `before` is for the next page; null at the end. */
  next: number | null;
  /** Of the latest event that was looked at, whether it was asked for or not; -1 where there is none. */
  position: number;
}

export interface FeedEvent {
  position: number;
  arrivalMicros: bigint | null;
  /** As it is in the log. */
  line: Uint8Array;
}

/** Lines in memory, whatever the settings. */
const BYTES_MAX = 64 << 20;

/** Records that are next to each other in the log, as arrays with one element for each. */
interface Stretch {
  first: number;
  arrivalMicros: bigint | null;
  bytes: Uint8Array;
  /** Indices into the reader's types. */
  types: Int32Array;
  timesMicros: BigInt64Array;
  starts: Int32Array;
  lengths: Int32Array;
}

/**
 * The latest events of a log, by position, type and time. The log is the truth: what is held here is read from it when
 * somebody asks, the latest part at first and then what has come since, so that after a restart it is there again.
 */
export class Feed {
  /** Ascending. */
  #stretches: Stretch[] = [];
  /** The next record to be read; null before the first. */
  #next: number | null = null;
  #bytes = 0;
  /** Who asks meanwhile waits: what is read is read once. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly parts: FeedParts) {}

  /** @throws Fault as the log says */
  events(query: FeedQuery): Promise<FeedPage> {
    const answered = this.#turn.then(async () => {
      await this.#readOn();
      this.#forget();
      return this.#page(query);
    });
    this.#turn = answered.catch(() => {});
    return answered;
  }

  async #readOn(): Promise<void> {
    const { tail, bounds, reader, eventsMax } = this.parts;
    const { start, end } = await bounds();
    const from = Math.max(start, end - eventsMax, this.#next ?? 0);
    let first = from;
    if (this.#next !== null && from > this.#next) this.#empty();
    for await (const { bytes, arrivalMicros } of tail.read(from, end)) {
      const own = bytes.slice();
      const stretch = { first, arrivalMicros, bytes: own, ...columnsOf(await reader.read(own)) };
      this.#stretches.push(stretch);
      this.#bytes += own.length;
      first += stretch.types.length;
      this.#next = first;
    }
    this.#next = first;
  }

  /** More has come than is held: what lies between was never read. */
  #empty(): void {
    this.#stretches = [];
    this.#bytes = 0;
  }

  #forget(): void {
    const { eventsMax, ageMs, nowMicros } = this.parts;
    const oldest = nowMicros() - BigInt(ageMs) * 1000n;
    for (let [one] = this.#stretches; one; [one] = this.#stretches) {
      const isOld = one.arrivalMicros !== null && one.arrivalMicros < oldest;
      const isBeyond = one.first + one.types.length <= this.#next! - eventsMax;
      if (!isOld && !isBeyond && this.#bytes <= BYTES_MAX) return;
      this.#stretches.shift();
      this.#bytes -= one.bytes.length;
    }
  }

  #page(query: FeedQuery): FeedPage {
    const events: FeedEvent[] = [];
    const position = this.#next! - 1;
    const after = Math.max(query.after, position - this.parts.eventsMax);
    for (const stretch of this.#stretches.toReversed())
      for (const i of asked(stretch, { ...query, after }, this.parts.reader.types)) {
        const { first, arrivalMicros, bytes, starts, lengths } = stretch;
        if (events.length === query.limit) return { events, next: events.at(-1)!.position, position };
        const line = bytes.subarray(starts[i]!, starts[i]! + lengths[i]!);
        events.push({ position: first + i, arrivalMicros, line });
      }
    return { events, next: null, position };
  }
}

/** Indices of the records that are asked for, the last one first. */
function* asked(stretch: Stretch, query: FeedQuery, names: string[]): Generator<number> {
  const { first, bytes, types, timesMicros } = stretch;
  const { type, sinceMicros, condition, after, before } = query;
  if (first >= before || first + types.length - 1 <= after) return;
  const wanted = type === null ? null : names.indexOf(type);
  const holds = condition?.holds(bytes) ?? null;
  for (let i = Math.min(types.length, before - first) - 1; i >= 0 && first + i > after; i--) {
    if (wanted !== null && types[i] !== wanted) continue;
    if (sinceMicros !== null && timesMicros[i]! < sinceMicros) continue;
    if (!holds || holds[i] === 1) yield i;
  }
}

function columnsOf(batches: Records[]): Pick<Stretch, 'types' | 'timesMicros' | 'starts' | 'lengths'> {
  return {
    types: Int32Array.from(batches.flatMap(batch => [...batch.types])),
    timesMicros: BigInt64Array.from(batches.flatMap(batch => [...batch.timesMicros])),
    starts: Int32Array.from(batches.flatMap(batch => [...batch.starts])),
    lengths: Int32Array.from(batches.flatMap(batch => [...batch.lengths])),
  };
}
