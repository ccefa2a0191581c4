import { assert } from '../base/assert.ts';
import type { Stages } from '../base/stages.ts';
import { gatheredBytes, select } from '../ingest/advance.ts';
import { sliceEnd } from '../ingest/door.ts';
import type { BadRecord } from '../ingest/engine.ts';
import { type Clocks, decodedClocks, resumeDecoding } from '../kernel/clock.ts';
import type { Fold } from '../kernel/fold.ts';
import type { Layout } from '../kernel/layout.ts';
import { Decoder } from '../kernel/ndjson.ts';
import { pickShares, sharedBytes, takeShares } from '../kernel/share.ts';
import { completeBatch } from '../kernel/upsert.ts';

export interface DealerParts {
  /** Of a plan laid out in this thread. */
  layout: Layout;
  /** Where the last rows of upserts are, in this thread; null where the plan has none. */
  lastRows: Fold | null;
  shards: number;
  /** What rows of all shards may occupy. */
  foldMemoryBytes: number;
  /** Of this thread. */
  stages: Stages;
  /** As far as records have been passed on. */
  at(): { position: number; clocks: Clocks };
  /** Whatever is asked from now on is asked as of the end of these records. */
  pass(count: number, clocks: Clocks, bad: BadRecord[]): void;
  /** False where a barrier or memory goes first. */
  mayDecode(): boolean;
  /** Hands each shard its share, and has it fold what it has gathered where `foldsOf` says so. */
  send(shares: Uint8Array<SharedArrayBuffer>[], foldsOf: (shard: number) => boolean): void;
}

/** Lines that nobody waits for. */
interface Stretch {
  lines: Uint8Array;
  position: number;
  arrivalMicros: bigint | null;
  /** So many bytes of them have been decoded. */
  from: number;
  done: PromiseWithResolvers<void>;
}

/** What shards are handed at a time. They read it where it stands. */
interface Deal {
  bytes: number;
  memory: SharedArrayBuffer;
}

/** What may be under way is so many deals: messages cost little beside them, and shards have something to do early. A shard folds what it has gathered of as many. */
const DEALS = 16;

/**
 * Does a shard fold with a deal what it has gathered? One after the other does, each a part of the way behind the one before: if all
 * folded at once nothing would be decoded meanwhile, and then decoding would be all there is to do.
 */
export function foldsWith(deal: number, shard: number, shards: number): boolean {
  return (deal + Math.floor((shard * DEALS) / shards)) % DEALS === DEALS - 1;
}

/** Memory for a deal is made with room for so many times as much. */
const ROOM_FACTOR = 1.25;

/**
 * Where the log is ahead of the rows: decodes for all shards, in the log's order, and deals the events that count out to the
 * shards that have their keys. What is to be read of a line is read once, so that each shard has only to tile and to fold; and as
 * clocks and last rows of upserts go from line to line, no thread has to wait for them.
 *
 *   lines -> decode -> select -> pick, by shard -- deal --> gather in each shard, tile and fold when that is enough
 */
export class Dealer {
  readonly #parts: DealerParts;
  readonly #decoder: Decoder;
  /** In the log's order, from the first that is not decoded to its end. */
  readonly #stretches: Stretch[] = [];
  /** Those that not all shards have gathered, in the order in which they were sent. */
  readonly #deals: Deal[] = [];
  /** Memory of deals that all have gathered: fresh memory costs more than what is copied into it. */
  readonly #free: SharedArrayBuffer[] = [];
  /** Of each shard, how many of these it has gathered. */
  readonly #gathered: number[];
  /** How many have been sent. */
  #dealt = 0;
  /** Of all deals. */
  #bytes = 0;
  /** Nothing is decoded while so many bytes are under way: as many as shards gather, so that they have some while they fold. */
  readonly #bytesMax: number;
  /** There may be events that are not folded. */
  #isGathered = false;
  #settled: PromiseWithResolvers<void> | null = null;

  constructor(parts: DealerParts) {
    const { layout, shards, foldMemoryBytes } = parts;
    this.#parts = parts;
    this.#decoder = new Decoder(layout.kernel, layout.types);
    this.#gathered = Array.from({ length: shards }, () => 0);
    this.#bytesMax = gatheredBytes(foldMemoryBytes);
  }

  /** All lines have been decoded. */
  get isIdle(): boolean {
    return this.#stretches.length === 0;
  }

  /** Resolves when `goOn` has decoded them: `foldGathered` then has them folded before whatever shards are asked. */
  add(lines: Uint8Array, position: number, arrivalMicros: bigint | null): Promise<void> {
    const done = Promise.withResolvers<void>();
    // Whoever waits for it hears of a failure.
    done.promise.catch(() => {});
    this.#stretches.push({ lines, position, arrivalMicros, from: 0, done });
    return done.promise;
  }

  /** Decodes what there is room for. */
  goOn(): void {
    while (!this.isIdle && this.#mayDecode) this.#decode(this.#stretches[0]!);
  }

  /** Deals out what is left, and has shards fold what they have gathered. */
  foldGathered(): void {
    if (this.#isGathered) this.#deal(true);
  }

  /** A shard has gathered its share of the next deal that it was sent. */
  takeGathered(shard: number): void {
    this.#gathered[shard]!++;
    if (this.#gathered.some(count => count === 0)) return;
    for (const of of this.#gathered.keys()) this.#gathered[of]!--;
    const { bytes, memory } = this.#deals.shift()!;
    this.#bytes -= bytes;
    this.#free.push(memory);
    if (this.#deals.length > 0) return;
    this.#settled?.resolve();
    this.#settled = null;
  }

  /** Resolves when shards have done all that they were sent. */
  settled(): Promise<void> {
    if (this.#deals.length === 0) return Promise.resolve();
    this.#settled ??= Promise.withResolvers<void>();
    return this.#settled.promise;
  }

  fail(error: unknown): void {
    for (const { done } of this.#stretches) done.reject(error);
    this.#settled?.reject(error);
  }

  get #mayDecode(): boolean {
    return this.#bytes < this.#bytesMax && this.#parts.mayDecode();
  }

  /** The kernel's input is anybody's between two calls, and so are its clocks. */
  #decode(stretch: Stretch): void {
    const { layout, stages, at } = this.#parts;
    const { lines, from } = stretch;
    if (from === 0) assert(stretch.position === at().position, `lines from ${stretch.position} on are the next`);
    resumeDecoding(layout, at().clocks);
    stages.time('decode', () => this.#decoder.fill(lines.subarray(from, sliceEnd(lines, from))));
    while (!this.#decoder.isDone && this.#mayDecode) {
      this.#decodeBatch(stretch.arrivalMicros);
      stretch.from = from + this.#decoder.offset;
      if (sharedBytes(layout.kernel) >= this.#bytesMax / DEALS) this.#deal(false);
    }
    if (stretch.from < lines.length) return;
    this.#stretches.shift();
    stretch.done.resolve();
  }

  #decodeBatch(arrivalMicros: bigint | null): void {
    const { layout, lastRows, stages, at, pass } = this.#parts;
    const decoder = this.#decoder;
    const { position } = at();
    stages.time('decode', () => decoder.next(position, arrivalMicros));
    if (lastRows) stages.time('fold', () => completeBatch(layout.kernel, lastRows));
    stages.time('select', () => select(layout));
    stages.time('tile', () => pickShares(layout.kernel, 0, decoder.count));
    this.#isGathered = true;
    const bad = decoder.bad().map(one => ({ ...one, position: position + one.record }));
    pass(decoder.count, decodedClocks(layout), bad);
  }

  #deal(isLast: boolean): void {
    const { layout, shards, stages, send } = this.#parts;
    const bytes = sharedBytes(layout.kernel);
    const memory = this.#memoryOf(bytes);
    const shares = stages.time('tile', () => takeShares(layout.kernel, shards, memory));
    this.#deals.push({ bytes, memory });
    this.#bytes += bytes;
    if (isLast) this.#isGathered = false;
    const deal = this.#dealt++;
    send(shares, shard => isLast || foldsWith(deal, shard, shards));
  }

  /** A deal passes what is enough for one by less than a batch, and mostly by little. */
  #memoryOf(bytes: number): SharedArrayBuffer {
    const free = this.#free.pop();
    if (free && free.byteLength >= bytes) return free;
    return new SharedArrayBuffer(Math.max(bytes, (this.#bytesMax / DEALS) * ROOM_FACTOR));
  }
}
