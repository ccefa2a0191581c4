import { Fault } from '../base/fault.ts';
import type { ChunkRef, TimelineType } from '../base/timeline.ts';
import type { Disk } from './disk.ts';
import { NEWLINE } from './segment.ts';
import { CHUNK_MAX_BYTES, isLast, keepChunk } from './timeline_chunk.ts';

/** Of a timeline: a reader has a chunk of each in memory, and looks at each for every event. */
export const TYPES_MAX = 256;

/** An event on its way into a timeline. `line` has no newline, and is copied. */
export interface TimelineEvent {
  line: Uint8Array;
  timeMicros: bigint;
  /** As chunks have it. */
  order: number;
  arrivalMicros: bigint | null;
}

/** Takes the events of a timeline in its order, and keeps them as chunks of their types. */
export class TimelineWriter {
  readonly #types = new Map<string, TypeWriter>();
  readonly #keep: Keep;
  #written = 0;
  #shared = 0;

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
  ) {
    this.#keep = async chunk => {
      const { hash, isNew } = await keepChunk(disk, folder, chunk);
      if (isNew) this.#written++;
      else this.#shared++;
      return { hash, count: chunk.count };
    };
  }

  /** @throws Fault `too_large` with more than `TYPES_MAX` types */
  add(type: string, event: TimelineEvent): void {
    let writer = this.#types.get(type);
    if (!writer) {
      if (this.#types.size === TYPES_MAX)
        throw new Fault('too_large', `a timeline has at most ${TYPES_MAX} event types; --types picks some of them`);
      writer = new TypeWriter(type);
      this.#types.set(type, writer);
    }
    writer.add(event);
  }

  /** Writes what is full by now: to be called now and then, at the latest after some megabytes. */
  async settle(): Promise<void> {
    for (const writer of this.#types.values()) await writer.settle(this.#keep);
  }

  /** All that was added is durable then. Types ascend by name. */
  async finish(): Promise<{ types: TimelineType[]; chunksWritten: number; chunksShared: number }> {
    const types: TimelineType[] = [];
    for (const writer of this.#types.values()) types.push(await writer.finish(this.#keep));
    await this.disk.syncFolder(this.folder);
    types.sort((a, b) => (a.type < b.type ? -1 : 1));
    return { types, chunksWritten: this.#written, chunksShared: this.#shared };
  }
}

type Keep = (chunk: Parameters<typeof keepChunk>[2]) => Promise<ChunkRef>;

/** What an event takes beside its line in the hash of its type: its length, and its arrival or that there is none. */
const HASHED_BYTES = 16;
const NO_ARRIVAL = -(2n ** 63n);

class TypeWriter {
  readonly #hash = new Bun.CryptoHasher('sha256');
  readonly #places = new Bun.CryptoHasher('sha256');
  readonly #chunks: ChunkRef[] = [];
  #open = new OpenChunk();
  #full: OpenChunk[] = [];
  #count = 0;
  #startMicros = 0n;
  #endMicros = 0n;

  constructor(private readonly type: string) {}

  add(event: TimelineEvent): void {
    const { line, timeMicros } = event;
    if (this.#open.bytes + line.length + 1 > CHUNK_MAX_BYTES) this.#close();
    this.#open.add(event);
    this.#note(event);
    if (isLast(line, this.#open.bytes)) this.#close();
    if (this.#count === 0 || timeMicros < this.#startMicros) this.#startMicros = timeMicros;
    if (this.#count === 0 || timeMicros > this.#endMicros) this.#endMicros = timeMicros;
    this.#count++;
  }

  async settle(keep: Keep): Promise<void> {
    const full = this.#full;
    this.#full = [];
    for (const chunk of full) this.#chunks.push(await keep(chunk.closed()));
  }

  async finish(keep: Keep): Promise<TimelineType> {
    this.#close();
    await this.settle(keep);
    return {
      type: this.type,
      count: this.#count,
      hash: this.#hash.digest('hex'),
      placesHash: this.#places.digest('hex'),
      startMicros: this.#startMicros,
      endMicros: this.#endMicros,
      chunks: this.#chunks,
    };
  }

  #close(): void {
    if (this.#open.count === 0) return;
    this.#full.push(this.#open);
    this.#open = new OpenChunk();
  }

  #note({ line, timeMicros, order, arrivalMicros }: TimelineEvent): void {
    const view = new DataView(SCRATCH.buffer);
    view.setBigInt64(0, BigInt(line.length), true);
    view.setBigInt64(8, arrivalMicros ?? NO_ARRIVAL, true);
    this.#hash.update(SCRATCH).update(line);
    view.setBigInt64(0, timeMicros, true);
    view.setBigInt64(8, BigInt(order), true);
    this.#places.update(SCRATCH);
  }
}

const SCRATCH = new Uint8Array(HASHED_BYTES);

/** A chunk that still grows. */
class OpenChunk {
  count = 0;
  bytes = 0;
  #lines = new Uint8Array(64 << 10);
  /** Time, order and arrival of each. */
  #columns = new BigInt64Array(3 * 256);
  #hasArrivals = true;

  add({ line, timeMicros, order, arrivalMicros }: TimelineEvent): void {
    this.#makeRoom(line.length + 1);
    this.#lines.set(line, this.bytes);
    this.bytes += line.length;
    this.#lines[this.bytes++] = NEWLINE;
    const at = 3 * this.count++;
    this.#columns[at] = timeMicros;
    this.#columns[at + 1] = BigInt(order);
    this.#columns[at + 2] = arrivalMicros ?? 0n;
    if (arrivalMicros === null) this.#hasArrivals = false;
  }

  closed(): Parameters<typeof keepChunk>[2] {
    const { count } = this;
    const column = (k: number) => BigInt64Array.from({ length: count }, (_, i) => this.#columns[3 * i + k]!);
    return {
      count,
      lines: this.#lines.subarray(0, this.bytes),
      timesMicros: column(0),
      orders: column(1),
      arrivalsMicros: this.#hasArrivals ? column(2) : null,
    };
  }

  #makeRoom(more: number): void {
    if (this.bytes + more > this.#lines.length) {
      const grown = new Uint8Array(Math.max(2 * this.#lines.length, this.bytes + more));
      grown.set(this.#lines);
      this.#lines = grown;
    }
    if (3 * this.count + 3 > this.#columns.length) {
      const grown = new BigInt64Array(2 * this.#columns.length);
      grown.set(this.#columns);
      this.#columns = grown;
    }
  }
}
