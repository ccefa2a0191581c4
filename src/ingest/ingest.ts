import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import type { Ids } from '../kernel/layout.ts';
import type { BadEvent } from '../kernel/ndjson.ts';
import { admit, Decoder, PROBLEMS } from '../kernel/ndjson.ts';
import type { Meta } from '../meta/meta.ts';
import type { Plan } from '../plan/plan.ts';
import type { EventLog } from '../source/log.ts';
import type { Store } from '../store/store.ts';
import type { Pipeline } from './advance.ts';
import { advance } from './advance.ts';

/** Events that wait to be written with the next barrier as errors: more of them bring the barrier forward. */
const ERRORS_PENDING_MAX = 1000;

/** Dirty rows a barrier writes at most: bounds its transaction, and so how long a lookup may wait behind it. */
const DIRTY_MAX = 200_000;

export interface IngestParts {
  pipeline: Pipeline;
  plan: Plan;
  ids: Ids;
  log: EventLog;
  store: Store;
  meta: Meta;
  /** Rows in memory beyond this are let go of at the next barrier, all of them. */
  foldMemoryBytes: number;
  barrierMs: number;
  /** The wall, microseconds since 1970 UTC. */
  nowMicros: () => bigint;
  /** Where a failure goes that nobody waits for: the process cannot go on. */
  onFailure: (error: unknown) => void;
}

export interface Receipt {
  accepted: number;
  rejected: Rejection[];
  /** Of the last record of the log after this call; -1 when it is empty. */
  position: number;
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
  #errors: BadRecord[] = [];
  #timer: Timer | null = null;
  #closed = false;

  private constructor(parts: IngestParts, folded: number) {
    this.#parts = parts;
    this.#decoder = new Decoder(parts.pipeline.layout.kernel, parts.pipeline.layout.types);
    this.#folded = folded;
    this.#lastArrival = parts.log.lastArrivalMicros ?? 0n;
  }

  /** Takes up where the store's rows end: folds the rest of the log. */
  static async open(parts: IngestParts): Promise<Ingest> {
    const { log, store, pipeline } = parts;
    const mark = store.mark();
    if (mark.position > log.end)
      throw new Fault('corrupt', `the rows contain ${mark.position} records, the log has only ${log.end}`);
    const { exports } = pipeline.layout.kernel;
    for (const [type, { event }] of pipeline.layout.types.entries()) {
      const clock = mark.clocks.get(event.name);
      if (clock === undefined) continue;
      exports.setTypeClock(type, clock);
      exports.setSeen(type, clock);
    }
    const readBack = mark.position === 0 ? null : store.readRow;
    for (const fold of pipeline.folds) fold.readBack = readBack;
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

  /**
   * Takes a body of events. What is accepted is durable and folded when this resolves.
   *
   * @throws Fault `request` where a `json` body is no JSON, `busy` and `too_large` as the log says
   */
  async post(body: Uint8Array, format: BodyFormat): Promise<Receipt> {
    assert(!this.#closed, 'a closed ingest takes no events');
    const admitted = admit(this.#parts.pipeline.layout.kernel, body, format);
    if ('problem' in admitted) throw new Fault('request', `the body is no JSON: ${PROBLEMS[admitted.problem]!.reason}`);
    const { lines, count } = admitted;
    if (count > 0) await this.#append(lines, count);
    const rejected = admitted.rejected.map(({ line, code, reason }) => ({ line, code, reason }));
    return { accepted: count, rejected, position: this.position };
  }

  /** Rows changed since the last barrier, bad events and the position go to the store in one transaction. */
  barrier(): void {
    const { pipeline, store, meta } = this.#parts;
    const mark = store.mark();
    if (mark.position === this.#folded && this.#errors.length === 0) return;
    const errors = this.#errors;
    store.commit(
      pipeline.folds.flatMap(fold => fold.dirtyRows()),
      { position: this.#folded, clocks: this.#clocks() },
      () => meta.addErrors(errors.map(errorRow)),
    );
    this.#errors = [];
    for (const fold of pipeline.folds) fold.settle();
    const stateBytes = pipeline.folds.reduce((sum, fold) => sum + fold.stateBytes, 0);
    if (stateBytes > this.#parts.foldMemoryBytes) for (const fold of pipeline.folds) fold.forget(store.readRow);
  }

  /** Writes what is in memory and stops. Bodies that are on their way are waited for by the caller. */
  async close(): Promise<void> {
    assert(!this.#closed, 'an ingest is closed once');
    this.#closed = true;
    if (this.#timer) clearInterval(this.#timer);
    this.barrier();
  }

  async #append(lines: Uint8Array, count: number): Promise<void> {
    const { log, nowMicros } = this.#parts;
    const now = nowMicros();
    if (now > this.#lastArrival) this.#lastArrival = now;
    const arrivalMicros = this.#lastArrival;
    const position = await log.append(lines, count, arrivalMicros);
    await new Promise<void>((resolve, reject) => {
      this.#appended.set(position, { lines, arrivalMicros, resolve, reject });
      this.#foldAppended();
    });
  }

  /** Folds what is durable, in the log's order, as far as there is no gap. */
  #foldAppended(): void {
    for (let next = this.#appended.get(this.#folded); next; next = this.#appended.get(this.#folded)) {
      this.#appended.delete(this.#folded);
      try {
        this.#fold(next.lines, next.arrivalMicros);
      } catch (error) {
        // The log has the events and memory is part of the way: only a restart makes it whole again.
        next.reject(error);
        this.#fail(error);
        return;
      }
      next.resolve();
    }
  }

  async #catchUp(): Promise<void> {
    for await (const block of this.#parts.log.read(this.#folded)) this.#fold(block.bytes, block.arrivalMicros);
    assert(this.#folded === this.#parts.log.end, 'the log has been folded to its end');
  }

  /** decode -> advance, batch by batch. */
  #fold(lines: Uint8Array, arrivalMicros: bigint | null): void {
    this.#decoder.fill(lines);
    while (this.#decoder.next(this.#folded, arrivalMicros)) {
      advance(this.#parts.pipeline);
      for (const bad of this.#decoder.bad()) this.#errors.push({ ...bad, position: this.#folded + bad.record });
      this.#folded += this.#decoder.count;
      assert(this.#decoder.rejected().length === 0, 'every line of the log has passed the door');
      const dirtyCount = this.#parts.pipeline.folds.reduce((sum, fold) => sum + fold.dirtyCount, 0);
      if (dirtyCount > DIRTY_MAX || this.#errors.length > ERRORS_PENDING_MAX) this.barrier();
    }
  }

  #clocks(): Map<string, bigint> {
    const { kernel, types } = this.#parts.pipeline.layout;
    const none = kernel.exports.CLOCK_NONE.value;
    const clocks = types.map(({ event }, type) => [event.name, kernel.exports.typeClock(type)] as const);
    return new Map(clocks.filter(([, clock]) => clock !== none));
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
