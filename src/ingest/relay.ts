import { assert } from '../base/assert.ts';
import type { Behind } from '../base/metrics.ts';
import type { ThreadStages } from '../base/stages.ts';
import type { FoldedRow } from '../kernel/folded_row.ts';
import type { Engine } from './engine.ts';
import type { TakeEnriched } from './enrich.ts';

interface Held {
  lines: Uint8Array;
  position: number;
  arrivalMicros: bigint | null;
  take: TakeEnriched | null;
  done: PromiseWithResolvers<void>;
}

/**
 * An engine that may be exchanged for another one between two bodies of lines.
 *
 *   1. hold     lines that come now are durable, and wait; lookups go on with the old engine
 *   2. write    what the old one has folded is in the store: the new one is to go on from there
 *   3. open     the new one, while the old one still answers
 *   4. go on    lines that have waited are folded by the new one, in their order
 *
 * Where the new one cannot be opened, the old one goes on as if nothing had been.
 */
export class Relay implements Engine {
  #engine: Engine;
  /** Lines that wait while it is exchanged, in the log's order; null while nothing has to. */
  #held: Held[] | null = null;
  /** The latest lines that were given to the engine. */
  #last: Promise<unknown> = Promise.resolve();
  #exchanging: Promise<unknown> = Promise.resolve();
  /** Of engines that have gone. */
  #expiredRows = 0;
  #writtenRows = 0;
  #behind: Behind | null = null;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get folded(): number {
    return this.#engine.folded;
  }

  get expiredRows(): number {
    return this.#expiredRows + this.#engine.expiredRows;
  }

  get writtenRows(): number {
    return this.#writtenRows + this.#engine.writtenRows;
  }

  stages(): ThreadStages[] {
    return this.#engine.stages();
  }

  greatestClock(): bigint | null {
    return this.#engine.greatestClock();
  }

  /** Written with the rows: the one that goes on knows of them. */
  refused(): ReturnType<Engine['refused']> {
    return this.#engine.refused();
  }

  behind(): Behind {
    return addBehind(this.#behind, this.#engine.behind());
  }

  clocks(): ReturnType<Engine['clocks']> {
    return this.#engine.clocks();
  }

  fold(
    lines: Uint8Array,
    position: number,
    arrivalMicros: bigint | null,
    isBehind = false,
    take: TakeEnriched | null = null,
  ): Promise<void> {
    if (!this.#held) return this.#fold(lines, position, arrivalMicros, isBehind, take);
    // The caller has its bytes back when `room` resolves, and that may be before these are folded.
    const held = { lines: lines.slice(), position, arrivalMicros, take, done: Promise.withResolvers<void>() };
    this.#held.push(held);
    return held.done.promise;
  }

  #fold(
    lines: Uint8Array,
    position: number,
    arrivalMicros: bigint | null,
    isBehind: boolean,
    take: TakeEnriched | null,
  ): Promise<void> {
    const folding = this.#engine.fold(lines, position, arrivalMicros, isBehind, take);
    this.#last = folding.catch(() => {});
    return folding;
  }

  merge(rows: FoldedRow[], progress: string): void {
    assert(!this.#held, 'nothing is merged while an engine is exchanged');
    this.#engine.merge(rows, progress);
  }

  room(): Promise<void> {
    return this.#settled(engine => engine.room()) as Promise<void>;
  }

  settle(): void | Promise<void> {
    return this.#settled(engine => engine.settle());
  }

  /** Where it is being exchanged, the new one writes what comes then. */
  barrier(): void | Promise<void> {
    return this.#settled(engine => engine.barrier());
  }

  close(): void | Promise<void> {
    return this.#settled(engine => engine.close());
  }

  /** At once, where nothing is being exchanged. */
  #settled(work: (engine: Engine) => void | Promise<void>): void | Promise<void> {
    return this.#held ? this.#exchanging.then(() => work(this.#engine)) : work(this.#engine);
  }

  /**
   * Exchanges the engine.
   *
   * @param open opens the one that goes on from where the store is; what it throws is thrown here. The old one has written
   *   all that it has folded; what else is merged into it has to be written too
   * @returns how long lines have waited, in milliseconds
   */
  exchange(open: (old: Engine) => Promise<Engine>): Promise<number> {
    const exchanging = this.#exchanging.then(() => this.#exchange(open));
    this.#exchanging = exchanging.catch(() => {});
    return exchanging;
  }

  async #exchange(open: (old: Engine) => Promise<Engine>): Promise<number> {
    const startMs = performance.now();
    const old = this.#engine;
    this.#held = [];
    try {
      await this.#last;
      await old.barrier();
      const engine = await open(old);
      assert(engine.folded === old.folded, 'an engine goes on where the one before it has stopped');
      this.#engine = engine;
      this.#expiredRows += old.expiredRows;
      this.#writtenRows += old.writtenRows;
      this.#behind = addBehind(this.#behind, old.behind());
    } finally {
      this.#release();
    }
    const waitedMs = performance.now() - startMs;
    // Nothing is left to be written: what it still does is answer who has asked before.
    await old.close();
    return waitedMs;
  }

  /** All within one turn: nothing that comes now can come before what has waited. */
  #release(): void {
    const held = this.#held!;
    this.#held = null;
    for (const { lines, position, arrivalMicros, take, done } of held)
      this.#fold(lines, position, arrivalMicros, false, take).then(done.resolve, done.reject);
  }
}

/** Of types that both know; what only one of them knows stays as it is. */
function addBehind(gone: Behind | null, now: Behind): Behind {
  if (!gone) return now;
  const added = now.types.map(one => {
    const before = gone.types.find(({ type }) => type === one.type);
    if (!before) return one;
    const counts = one.counts.map((count, i) => count + before.counts[i]!);
    return { type: one.type, counts, seconds: one.seconds + before.seconds };
  });
  const left = gone.types.filter(({ type }) => !now.types.some(one => one.type === type));
  return { bounds: now.bounds, types: [...added, ...left] };
}
