import { assert } from '../base/assert.ts';
import { Fault } from '../base/fault.ts';
import { Stages } from '../base/stages.ts';
import { MICROS_PER_MS } from '../base/time.ts';
import { admitFilled } from '../kernel/door.ts';
import type { Kernel } from '../kernel/instance.ts';
import type { BatchKey } from '../source/keys.ts';
import type { EventLog } from '../source/log.ts';
import type { BodyFormat, Rejection } from './body.ts';
import { admitBody, admitWhole, bodyDigest, isSlice, refusal, rejection } from './door.ts';
import type { Engine, Watcher } from './engine.ts';
import type { Enriched } from './enrich.ts';

export interface IngestParts {
  /** Judges bodies. Between two calls its input buffer is anybody's. */
  door: Kernel;
  engine: Engine;
  log: Pick<EventLog, 'clock' | 'start' | 'end' | 'lastArrivalMicros' | 'append' | 'recall' | 'read'>;
  barrierMs: number;
  /** The wall, microseconds since 1970 UTC. */
  nowMicros: () => bigint;
  /** 64 random bits, other ones each time: for the names of events that are enriched and have none. */
  seed?: () => bigint;
  /** Where a failure goes that nobody waits for: the process cannot go on. */
  onFailure: (error: unknown) => void;
  watcher?: Watcher | undefined;
  /** Of this thread. */
  stages?: Stages | undefined;
}

export interface Receipt {
  accepted: number;
  rejected: Rejection[];
  /**
   * Of the last record of the log after this call, -1 when it is empty; of a body with a key, of its own last record; null
   * where the log has several partitions.
   */
  position: number | null;
  /** The body had been taken before, and counts once. */
  replayed?: boolean;
}

/** As `Ingest.post` does. */
export type Post = (body: Uint8Array, format: BodyFormat, key?: string | null) => Promise<Receipt>;

/** Bodies that nobody waits to see folded. */
interface Bulk {
  /** The latest one: those before it are folded first. */
  folding: Promise<void>;
  failure: { error: unknown } | null;
}

/** What a body of events is answered with, each as of itself. */
export interface Enrichment {
  /** As they are in the log, with what they lacked. */
  lines: Uint8Array;
  /** What they are called: see `Filled`. */
  names: Uint32Array;
  rejected: Rejection[];
  /** Accepted events, in their order. */
  parts: Enriched[];
}

/** So many times as long as a barrier has taken none comes by the timer: writing is to take a small part of the time. */
const REST = 3;

/**
 * The way of an event, online: door -> log -> decode -> advance -> (at a barrier) rows.
 *
 * An event is acknowledged when it is durable in the log and folded in memory, so that every lookup after it sees it.
 * Rows, errors and the position they stand for reach the store together, at barriers; what memory had folded beyond
 * the last barrier is folded again from the log after a crash. Of bodies that come in bulk that may be all.
 */
export class Ingest {
  readonly #parts: IngestParts;
  readonly #stages: Stages;
  #lastArrival: bigint;
  /** The arrival of bodies of this turn is known. */
  #hasArrival = false;
  /** Bodies with keys that are on their way. */
  readonly #underWay = new Map<string, { digest: string; done: Promise<unknown> }>();
  #timer: Timer | null = null;
  /** The timer brings no barrier before. */
  #restsUntilMs = 0;
  /** So many calls of `inBulk` are under way. */
  #bulks = 0;
  #closed = false;

  private constructor(parts: IngestParts) {
    this.#parts = parts;
    this.#stages = parts.stages ?? new Stages();
    this.#lastArrival = parts.log.lastArrivalMicros ?? 0n;
  }

  /** Takes up where the store's rows end: folds the rest of the log. */
  static async open(parts: IngestParts): Promise<Ingest> {
    const { log, engine } = parts;
    if (engine.folded > log.end)
      throw new Fault('corrupt', `the rows contain ${engine.folded} records, the log has only ${log.end}`);
    if (engine.folded < log.start)
      throw new Fault(
        'expired',
        `record ${engine.folded} is the next to be folded, and the log begins with ${log.start}`,
      );
    const ingest = new Ingest(parts);
    await ingest.#catchUp();
    await ingest.barrier();
    ingest.#timer = setInterval(() => ingest.#onTimer(), parts.barrierMs);
    return ingest;
  }

  /** Position of the last record folded; -1 when there is none. */
  get position(): number {
    return this.#parts.engine.folded - 1;
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
    return this.#post(body, format, key, null);
  }

  /**
   * For bodies that nobody waits to see folded. What `work` is given takes them as `post` does, but resolves when its body is
   * durable and there is room for another one: folding goes on behind, as where the log is ahead of the rows. No barrier comes
   * by the timer meanwhile, since each would write rows that the next one writes again; memory brings its own. A crash costs
   * no event: the log has them, and whoever opens it next folds them. Nothing is looked up meanwhile: what is gathered and
   * not folded yet would be missing.
   *
   * When this resolves, all of them are folded and in the store.
   *
   * @param work has none of them on their way when it ends, however it does
   * @throws what `work` does, and why folding failed
   */
  async inBulk<T>(work: (post: Post) => Promise<T>): Promise<T> {
    const bulk: Bulk = { folding: Promise.resolve(), failure: null };
    this.#bulks++;
    try {
      const result = await work((body, format, key = null) => this.#post(body, format, key, bulk));
      await bulk.folding;
      await this.barrier();
      return result;
    } finally {
      // An engine is closed when nothing is on its way. What goes wrong there is thrown already, or what `work` throws came first.
      await bulk.folding.catch(() => {});
      this.#bulks--;
    }
  }

  async #post(body: Uint8Array, format: BodyFormat, key: string | null, bulk: Bulk | null): Promise<Receipt> {
    assert(!this.#closed, 'a closed ingest takes no events');
    if (key === null) return this.#take(body, format, null, bulk);
    return this.#once(body, format, key, id => this.#takeOnce(body, format, id, bulk));
  }

  /** One that comes while the first under its key is on its way waits for that. */
  async #once<T>(body: Uint8Array, format: BodyFormat, key: string, take: (id: BatchKey) => Promise<T>): Promise<T> {
    const digest = await bodyDigest(body, format, this.#stages);
    for (let first = this.#underWay.get(key); first; first = this.#underWay.get(key)) {
      if (first.digest !== digest) throw conflict(key);
      // Whatever became of it, the log knows.
      await first.done;
    }
    const taking = take({ key, digest });
    const done = taking.then(
      () => this.#underWay.delete(key),
      () => this.#underWay.delete(key),
    );
    this.#underWay.set(key, { digest, done });
    return taking;
  }

  async #takeOnce(body: Uint8Array, format: BodyFormat, id: BatchKey, bulk: Bulk | null): Promise<Receipt> {
    const known = this.#parts.log.recall(id.key, this.#nowMicros());
    if (!known) return this.#take(body, format, id, bulk);
    if (known.digest !== id.digest) throw conflict(id.key);
    const { rejected } = await admitBody(this.#parts.door, body, format, this.#stages);
    return { accepted: known.count, rejected, position: known.position + known.count - 1, replayed: true };
  }

  async #take(body: Uint8Array, format: BodyFormat, id: BatchKey | null, bulk: Bulk | null): Promise<Receipt> {
    // What fits a slice reaches the log within this turn: bodies are logged in the order in which they are posted.
    const { lines, count, rejected } = isSlice(body, format)
      ? admitWhole(this.#parts.door, body, format, this.#stages)
      : await admitBody(this.#parts.door, body, format, this.#stages);
    const first = count > 0 ? await this.#append(lines, count, id, bulk) : null;
    // What is folded is behind the log there.
    const last = bulk ? this.#parts.log.end - 1 : this.position;
    const position = id && first !== null ? first + count - 1 : last;
    return { accepted: count, rejected, position, replayed: false };
  }

  /**
   * Takes a body of events as `post` does, and says what each is answered with: as of itself, which is to say that every
   * event acknowledged before it counts, those of the body before it too, and none after it.
   *
   * @param key names the body, as with `post`
   * @throws Fault as `post`, and `conflict` where the body was taken before: what it was answered with then is not kept
   */
  async enrich(body: Uint8Array, format: BodyFormat, key: string | null = null): Promise<Enrichment> {
    assert(!this.#closed, 'a closed ingest takes no events');
    if (key === null) return this.#enrich(body, format, null);
    return this.#once(body, format, key, id => {
      const known = this.#parts.log.recall(id.key, this.#nowMicros());
      if (known) throw known.digest === id.digest ? answeredBefore(id.key) : conflict(id.key);
      return this.#enrich(body, format, id);
    });
  }

  async #enrich(body: Uint8Array, format: BodyFormat, id: BatchKey | null): Promise<Enrichment> {
    const { door, log, engine, seed } = this.#parts;
    assert(seed, 'who enriches events can name them');
    const arrivalMicros = this.#arrivalMicros();
    const fill = { timeMs: Number(arrivalMicros / MICROS_PER_MS), seed: seed() };
    const admitted = this.#stages.time('door', () => admitFilled(door, body, format, fill));
    if ('problem' in admitted) throw refusal(admitted.problem);
    const { lines, count, names } = admitted;
    const parts: Enriched[] = [];
    if (count > 0) {
      const position = await this.#stages.wait('log', () => log.append(lines, count, arrivalMicros, id));
      await engine.fold(lines, position, arrivalMicros, false, part => parts.push(part));
    }
    return { lines, names, rejected: admitted.rejected.map(rejection), parts };
  }

  /** Rows changed since the last barrier, bad events and the position go to the store: see `Engine.barrier`. */
  barrier(): void | Promise<void> {
    return this.#parts.engine.barrier();
  }

  /** Writes what is in memory and stops. Bodies that are on their way are waited for by the caller. */
  async close(): Promise<void> {
    assert(!this.#closed, 'an ingest is closed once');
    this.#closed = true;
    if (this.#timer) clearInterval(this.#timer);
    await this.#parts.engine.close();
  }

  /** Of a body that arrives now. Those of one turn of the event loop arrive together, and so can be folded together. */
  #arrivalMicros(): bigint {
    if (this.#hasArrival) return this.#lastArrival;
    this.#hasArrival = true;
    setImmediate(() => {
      this.#hasArrival = false;
    });
    this.#lastArrival = this.#nowMicros();
    return this.#lastArrival;
  }

  /** It never goes back, whatever the wall does. */
  #nowMicros(): bigint {
    const now = this.#parts.nowMicros();
    if (now > this.#lastArrival) return now;
    return this.#lastArrival;
  }

  /**
   * Returns the position of the first line, once all are folded, or there is room behind them. What is durable is folded in
   * the log's order.
   */
  async #append(lines: Uint8Array, count: number, id: BatchKey | null, bulk: Bulk | null): Promise<number> {
    const arrivalMicros = this.#arrivalMicros();
    const { log, engine } = this.#parts;
    const position = await this.#stages.wait('log', () => log.append(lines, count, arrivalMicros, id));
    const folding = engine.fold(lines, position, arrivalMicros, bulk !== null);
    if (bulk) await this.#foldBehind(bulk, folding);
    else await folding;
    return position;
  }

  async #foldBehind(bulk: Bulk, folding: Promise<void>): Promise<void> {
    bulk.folding = folding;
    folding.catch((error: unknown) => {
      bulk.failure ??= { error };
    });
    await this.#parts.engine.room();
    if (bulk.failure) throw bulk.failure.error;
  }

  async #catchUp(): Promise<void> {
    const { log, engine, watcher } = this.#parts;
    const { end } = log;
    let folding: Promise<void> = Promise.resolve();
    for await (const block of log.read(engine.folded)) {
      folding = engine.fold(block.bytes, engine.folded, block.arrivalMicros, true);
      // Whoever waits for the last one hears of it.
      folding.catch(() => {});
      // Then it has counted them, which nobody has to do again.
      await engine.room();
      watcher?.caughtUp?.(engine.folded, end);
    }
    await folding;
    assert(engine.folded === end, 'the log has been folded to its end');
  }

  async #onTimer(): Promise<void> {
    const startMs = performance.now();
    if (startMs < this.#restsUntilMs || this.#bulks > 0) return;
    try {
      await this.barrier();
      if (!this.#closed) await this.#parts.engine.settle();
      const endMs = performance.now();
      this.#restsUntilMs = endMs + (endMs - startMs) * REST;
    } catch (error) {
      if (this.#timer) clearInterval(this.#timer);
      this.#parts.onFailure(error);
    }
  }
}

function conflict(key: string): Fault {
  return new Fault('conflict', `another body was sent under the key ${key}; a key names one body, for a day`);
}

function answeredBefore(key: string): Fault {
  const message = `the body was taken under the key ${key} before, and counts once; features are answered as of then, and are not kept`;
  return new Fault('conflict', message);
}
