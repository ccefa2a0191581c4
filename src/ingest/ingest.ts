import { assert } from '../base/assert.ts';
import { turn } from '../base/turn.ts';
import { Fault } from '../base/fault.ts';
import { resumeClocks, typeClocks } from '../kernel/clock.ts';
import type { Fold } from '../kernel/fold.ts';
import { admit } from '../kernel/door.ts';
import type { Ids } from '../kernel/layout.ts';
import type { BadEvent } from '../kernel/ndjson.ts';
import { Decoder, PROBLEMS } from '../kernel/ndjson.ts';
import type { Meta } from '../meta/meta.ts';
import type { Plan } from '../plan/plan.ts';
import type { BatchKey } from '../source/keys.ts';
import type { EventLog } from '../source/log.ts';
import type { Store } from '../store/store.ts';
import type { Pipeline } from './advance.ts';
import { advance } from './advance.ts';
import { admitSlices, bodyDigest, SLICE_BYTES, sliceEnd } from './door.ts';
import { horizonsOf, type Keeping, keepingOf, sweptKeys } from './expiry.ts';

/** Events that wait to be written with the next barrier as errors: more of them bring the barrier forward. */
const ERRORS_PENDING_MAX = 1000;

/**
 * Dirty rows that bring a barrier forward: they bound its transaction, and so how long a lookup may wait behind it.
 * 20,000 took 140 ms and 50,000 took 230 ms; fewer are written more often: a week of flights took 3.8 s with 20,000,
 * 3.1 s with 50,000 and no less with 200,000.
 */
const DIRTY_MAX = 25_000;

export interface IngestParts {
  pipeline: Pipeline;
  plan: Plan;
  ids: Ids;
  log: Pick<EventLog, 'clock' | 'end' | 'lastArrivalMicros' | 'append' | 'recall' | 'read'>;
  store: Store;
  meta: Meta;
  /** What rows in memory may occupy. Beyond it there is a barrier, and the rows not used for longest leave. */
  foldMemoryBytes: number;
  barrierMs: number;
  /** The wall, microseconds since 1970 UTC. */
  nowMicros: () => bigint;
  /** Where a failure goes that nobody waits for: the process cannot go on. */
  onFailure: (error: unknown) => void;
  watcher?: Watcher | undefined;
  /** Deletes rows from the store that nothing can read any more. */
  expires?: boolean | undefined;
}

/** Told of what is worth counting; never of single events that count. */
export interface Watcher {
  /** An event that was logged and counts nowhere. */
  bad(code: string): void;
  /** Changed rows are in the store. */
  barrier(seconds: number, rows: number): void;
  /** So many records of the log are folded, of so many that it had on opening. */
  caughtUp?(folded: number, end: number): void;
}

export interface Receipt {
  accepted: number;
  rejected: Rejection[];
  /** Of the last record of the log after this call, -1 when it is empty; of a body with a key, of its own last record. */
  position: number;
  /** The body had been taken before, and counts once. */
  replayed?: boolean;
}

export interface Rejection {
  /** From 1: the line of the body, or the place in a JSON array. */
  line: number;
  code: string;
  reason: string;
}

export type BodyFormat = 'json' | 'ndjson';

/**
 * The way of an event, online: door -> log -> decode -> advance -> (at a barrier) rows.
 *
 * An event is acknowledged when it is durable in the log and folded in memory, so that every lookup after it sees it.
 * Rows, errors and the position they stand for reach the store together, at barriers; what memory had folded beyond
 * the last barrier is folded again from the log after a crash.
 */
export class Ingest {
  readonly #parts: IngestParts;
  readonly #decoder: Decoder;
  /** Records of the log that memory has folded: the position of the next one. */
  #folded: number;
  #lastArrival: bigint;
  /** Appended, not folded yet, by position: folding follows the log's order. */
  readonly #appended = new Map<number, Appended>();
  #isFolding = false;
  #failure: unknown = null;
  /** Bodies with keys that are on their way. */
  readonly #underWay = new Map<string, { digest: string; done: Promise<unknown> }>();
  readonly #keeping: Keeping[];
  #expiredRows = 0;
  #errors: BadRecord[] = [];
  #timer: Timer | null = null;
  #closed = false;

  private constructor(parts: IngestParts, folded: number) {
    this.#parts = parts;
    this.#decoder = new Decoder(parts.pipeline.layout.kernel, parts.pipeline.layout.types);
    this.#folded = folded;
    this.#keeping = parts.expires ? keepingOf(parts.plan, parts.ids) : [];
    this.#lastArrival = parts.log.lastArrivalMicros ?? 0n;
  }

  /** Takes up where the store's rows end: folds the rest of the log. */
  static async open(parts: IngestParts): Promise<Ingest> {
    const { log, store, pipeline } = parts;
    const mark = store.mark();
    if (mark.position > log.end)
      throw new Fault('corrupt', `the rows contain ${mark.position} records, the log has only ${log.end}`);
    resumeClocks(pipeline.layout, mark.clocks);
    for (const fold of pipeline.folds) fold.resume(mark.highest);
    const ingest = new Ingest(parts, mark.position);
    await ingest.#catchUp();
    ingest.barrier();
    ingest.#timer = setInterval(() => ingest.#onTimer(), parts.barrierMs);
    return ingest;
  }

  /** Position of the last record folded; -1 when there is none. */
  get position(): number {
    return this.#folded - 1;
  }

  /** Time of a lookup that names none, microseconds since 1970 UTC. */
  now(): bigint {
    if (this.#parts.log.clock.kind === 'wall') return this.#parts.nowMicros();
    const { exports } = this.#parts.pipeline.layout.kernel;
    const greatest = exports.greatestClock();
    return greatest === exports.CLOCK_NONE.value ? 0n : greatest;
  }

  /** Rows deleted from the store since the start, because nothing could read them any more. */
  get expiredRows(): number {
    return this.#expiredRows;
  }

  /**
   * Takes a body of events. What is accepted is durable and folded when this resolves.
   *
   * @param key names the body: sent again within `KEY_KEPT_MS` it counts once, and is answered alike. One that comes
   *   while the first is on its way waits for that.
   * @throws Fault `request` where a `json` body is no JSON, `conflict` where another body had the key, `busy` and
   *   `too_large` as the log says
   */
  async post(body: Uint8Array, format: BodyFormat, key: string | null = null): Promise<Receipt> {
    assert(!this.#closed, 'a closed ingest takes no events');
    if (key === null) return this.#take(body, format, null);
    const digest = await bodyDigest(body, format);
    for (let first = this.#underWay.get(key); first; first = this.#underWay.get(key)) {
      if (first.digest !== digest) throw conflict(key);
      // Whatever became of it, the log knows.
      await first.done;
    }
    const taking = this.#takeOnce(body, format, { key, digest });
    const done = taking.then(
      () => this.#underWay.delete(key),
      () => this.#underWay.delete(key),
    );
    this.#underWay.set(key, { digest, done });
    return taking;
  }

  async #takeOnce(body: Uint8Array, format: BodyFormat, id: BatchKey): Promise<Receipt> {
    const known = this.#parts.log.recall(id.key, this.#arrivalMicros());
    if (!known) return this.#take(body, format, id);
    if (known.digest !== id.digest) throw conflict(id.key);
    const { rejected } = await this.#admit(body, format);
    return { accepted: known.count, rejected, position: known.position + known.count - 1, replayed: true };
  }

  async #take(body: Uint8Array, format: BodyFormat, id: BatchKey | null): Promise<Receipt> {
    // What fits a slice reaches the log within this turn: bodies are logged in the order in which they are posted.
    const { lines, count, rejected } = isSlice(body, format)
      ? this.#admitWhole(body, format)
      : await this.#admit(body, format);
    const first = count > 0 ? await this.#append(lines, count, id) : null;
    const position = id && first !== null ? first + count - 1 : this.position;
    return { accepted: count, rejected, position, replayed: false };
  }

  async #admit(body: Uint8Array, format: BodyFormat): Promise<TakenBody> {
    if (isSlice(body, format)) return this.#admitWhole(body, format);
    const admitted = await admitSlices(this.#parts.pipeline.layout.kernel, body);
    return { ...admitted, rejected: admitted.rejected.map(rejection) };
  }

  #admitWhole(body: Uint8Array, format: BodyFormat): TakenBody {
    const admitted = admit(this.#parts.pipeline.layout.kernel, body, format);
    if ('problem' in admitted) throw refusal(PROBLEMS[admitted.problem]!);
    return { ...admitted, rejected: admitted.rejected.map(rejection) };
  }

  /** Rows changed since the last barrier, bad events and the position go to the store in one transaction. */
  barrier(): void {
    const { pipeline, store, meta } = this.#parts;
    const mark = store.mark();
    if (mark.position === this.#folded && this.#errors.length === 0) return;
    const startMs = performance.now();
    const errors = this.#errors;
    const clocks = typeClocks(pipeline.layout);
    const highest = pipeline.folds.flatMap(fold => fold.highest());
    // Last: they are views, which a call that grows the kernel's memory would empty.
    const rows = pipeline.folds.flatMap(fold => fold.dirtyRows());
    store.commit(rows, { position: this.#folded, clocks, highest }, () => {
      meta.addErrors(errors.map(errorRow));
      this.#expiredRows += store.sweep(horizonsOf(this.#keeping, clocks), sweptKeys(rows.length));
    });
    this.#errors = [];
    for (const fold of pipeline.folds) fold.settle();
    this.#parts.watcher?.barrier((performance.now() - startMs) / 1000, rows.length);
    for (const fold of pipeline.folds) fold.evict(this.#isOver(fold) ? this.#shareBytes / 2 : Number.POSITIVE_INFINITY);
  }

  /** Writes what is in memory and stops. Bodies that are on their way are waited for by the caller. */
  async close(): Promise<void> {
    assert(!this.#closed, 'an ingest is closed once');
    this.#closed = true;
    if (this.#timer) clearInterval(this.#timer);
    this.barrier();
  }

  /** Arrivals never go back, whatever the wall does. */
  #arrivalMicros(): bigint {
    const now = this.#parts.nowMicros();
    if (now > this.#lastArrival) this.#lastArrival = now;
    return this.#lastArrival;
  }

  /** Returns the position of the first line, once all are folded. */
  async #append(lines: Uint8Array, count: number, id: BatchKey | null): Promise<number> {
    const arrivalMicros = this.#arrivalMicros();
    const position = await this.#parts.log.append(lines, count, arrivalMicros, id);
    await new Promise<void>((resolve, reject) => {
      this.#appended.set(position, { lines, arrivalMicros, resolve, reject });
      this.#foldAppended().catch(reject);
    });
    return position;
  }

  /** Folds what is durable, in the log's order, as far as there is no gap. */
  async #foldAppended(): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#isFolding) return;
    this.#isFolding = true;
    for (let next = this.#appended.get(this.#folded); next; next = this.#appended.get(this.#folded)) {
      this.#appended.delete(this.#folded);
      try {
        await this.#fold(next.lines, next.arrivalMicros);
      } catch (error) {
        // The log has the events and memory is part of the way: only a restart makes it whole again.
        this.#failure = error;
        for (const { reject } of [next, ...this.#appended.values()]) reject(error);
        this.#fail(error);
        return;
      }
      next.resolve();
    }
    this.#isFolding = false;
  }

  async #catchUp(): Promise<void> {
    const { log, watcher } = this.#parts;
    const { end } = log;
    for await (const block of log.read(this.#folded)) {
      await this.#fold(block.bytes, block.arrivalMicros);
      watcher?.caughtUp?.(this.#folded, end);
      await turn();
    }
    assert(this.#folded === end, 'the log has been folded to its end');
  }

  /**
   * decode -> advance, batch by batch, with a turn of the event loop between them: lookups see how far it has come.
   * The kernel's input is anybody's meanwhile, so each batch is filled in anew.
   */
  async #fold(lines: Uint8Array, arrivalMicros: bigint | null): Promise<void> {
    for (let from = 0; from < lines.length; from += this.#decoder.offset) {
      if (from > 0) await turn();
      assert(!this.#closed, 'an ingest is closed when nothing is on its way');
      this.#decoder.fill(lines.subarray(from, sliceEnd(lines, from)));
      this.#foldBatch(arrivalMicros);
    }
  }

  /** Memory is exactly at a record before it and after it: a barrier may come between any two. */
  #foldBatch(arrivalMicros: bigint | null): void {
    this.#decoder.next(this.#folded, arrivalMicros);
    advance(this.#parts.pipeline);
    for (const bad of this.#decoder.bad()) {
      this.#errors.push({ ...bad, position: this.#folded + bad.record });
      this.#parts.watcher?.bad(bad.code);
    }
    this.#folded += this.#decoder.count;
    assert(this.#decoder.rejected().length === 0, 'every line of the log has passed the door');
    const dirtyCount = this.#parts.pipeline.folds.reduce((sum, fold) => sum + fold.dirtyCount, 0);
    const isOver = this.#parts.pipeline.folds.some(fold => this.#isOver(fold));
    if (isOver || dirtyCount > DIRTY_MAX || this.#errors.length > ERRORS_PENDING_MAX) this.barrier();
  }

  /** Of the memory for rows, what one shard may take. */
  get #shareBytes(): number {
    return this.#parts.foldMemoryBytes / this.#parts.pipeline.folds.length;
  }

  #isOver(fold: Fold): boolean {
    return fold.stateBytes > this.#shareBytes;
  }

  #onTimer(): void {
    try {
      this.barrier();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#parts.onFailure(error);
  }
}

/** What the door has made of a body. */
interface TakenBody {
  lines: Uint8Array;
  count: number;
  rejected: Rejection[];
}

/** A document is one value, and is judged in one go. */
function isSlice(body: Uint8Array, format: BodyFormat): boolean {
  return format === 'json' || body.length <= SLICE_BYTES;
}

function rejection({ line, code, reason }: Rejection): Rejection {
  return { line, code, reason };
}

function conflict(key: string): Fault {
  return new Fault('conflict', `another body was sent under the key ${key}; a key names one body, for a day`);
}

/** Of a whole body: it is no JSON, or too much of it is no event. */
function refusal({ code, reason }: { code: string; reason: string }): Fault {
  if (code === 'too_many') return new Fault('too_large', `nothing of the body is taken: ${reason}`);
  return new Fault('request', `the body is no JSON: ${reason}`);
}

interface Appended {
  lines: Uint8Array;
  arrivalMicros: bigint;
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface BadRecord extends BadEvent {
  position: number;
}

function errorRow(bad: BadRecord) {
  const { position, type, timeMicros, code, reason, sample } = bad;
  return { position, source: 'log', line: null, type, timeMicros, code, message: reason, sample };
}
